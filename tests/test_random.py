"""Random search, and how a search is named, given options and found again."""

import itertools
import json
import math
import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tinytune import search
from tinytune.distributions import Between, Choice, Float, Int, LogNormal, Normal
from tinytune.errors import UsageError
from tinytune.history import SearchSpec
from tinytune.search.grid import Grid
from tinytune.search.random import Random
from tinytune.space import Space

SPACE = Space.of(
    {
        "lr": Float(1e-4, 1, log=True),
        "optimizer": Choice("sgd", "adam"),
        "momentum": Float(0, 1, when={"optimizer": "sgd"}),
        "layers": Int(1, 8),
    },
    {"lr": 0.1, "optimizer": "adam", "momentum": 0.9, "layers": 2},
    "lr * layers <= 1",
)
SEEDS = st.integers(0, 2**63 - 1)


def walked(walk):
    found = []
    while (params := walk.suggest(len(found), ())) is not None:
        found.append(params)
    return found


# Independent draws


@given(SEEDS, st.lists(st.integers(0, 10**9), min_size=1, max_size=5))
def test_pure_in_space_seed_and_number(seed, numbers):
    walk = Random().start(SPACE, seed, None)
    expected = {number: walk.suggest(number, ()) for number in numbers}
    for number in reversed(numbers):
        fresh = Random().start(Space.from_json(SPACE.to_json()), seed, None)
        assert walk.suggest(number, ()) == fresh.suggest(number, ()) == expected[number]


def test_every_trial_and_every_seed_differs():
    found = [
        json.dumps(Random().start(SPACE, seed, None).suggest(number, ()))
        for seed in range(20)
        for number in range(20)
    ]
    assert len(set(found)) == 400


def test_the_first_is_trial_0():
    walk = Random().start(SPACE, 0, SPACE.defaults)
    assert walk.suggest(0, ()) == SPACE.defaults
    without = Random().start(SPACE, 0, None)
    assert without.suggest(0, ()) != SPACE.defaults
    assert walk.suggest(1, ()) == without.suggest(1, ())
    walk.suggest(0, ())["lr"] = 7
    assert walk.suggest(0, ()) == SPACE.defaults


@given(SEEDS, st.integers(0, 10**9))
def test_constraints_and_conditions_always_hold(seed, number):
    params = Random().start(SPACE, seed, None).suggest(number, ())
    assert SPACE.checked(params) == params
    assert params["lr"] * params["layers"] <= 1
    assert ("momentum" in params) == (params["optimizer"] == "sgd")


def test_it_never_ends():
    walk = Random().start(SPACE, 0, None)
    assert walk.size is None
    assert walk.is_quick
    assert walk.suggest(10**15, ())


CONTINUOUS = [
    (Float(-2, 5), stats.uniform(-2, 7)),
    (Float(1e-5, 10, log=True), stats.loguniform(1e-5, 10)),
    (Normal(3, 2), stats.norm(3, 2)),
    (Normal(0, 1, low=-0.5, high=2), stats.truncnorm(-0.5, 2)),
    (LogNormal(-1, 0.7), stats.lognorm(0.7, scale=math.exp(-1))),
]
SHARES = [
    (Int(3, 7), [1] * 5),
    (Int(1, 4, log=True), [math.log((k + 0.5) / (k - 0.5)) for k in range(1, 5)]),
    (Int(0, 20, step=5), [1] * 5),
    (Float(0, 1, step=0.25), [1] * 5),
    (Choice("a", "b", "c"), [1] * 3),
    (Choice("a", "b", "c", weights=[7, 2, 1]), [7, 2, 1]),
]


@pytest.mark.parametrize(("distribution", "reference"), CONTINUOUS, ids=lambda v: type(v).__name__)
def test_continuous_distributions_are_followed(distribution, reference):
    walk = Random().start(Space.of({"x": distribution}), 1, None)
    found = [walk.suggest(number, ())["x"] for number in range(2000)]
    assert stats.kstest(found, reference.cdf).pvalue > 0.01


@pytest.mark.parametrize(("distribution", "shares"), SHARES, ids=lambda v: type(v).__name__)
def test_discrete_distributions_are_followed(distribution, shares):
    walk = Random().start(Space.of({"x": distribution}), 1, None)
    found = Counter(walk.suggest(number, ())["x"] for number in range(2000))
    counts = [found[distribution.at(index)] for index in range(distribution.size)]
    expected = [2000 * share / sum(shares) for share in shares]
    assert stats.chisquare(counts, expected).pvalue > 0.01


def test_parameters_are_independent():
    walk = Random().start(Space.of({"a": Float(0, 1), "b": Float(0, 1)}), 1, None)
    found = [walk.suggest(number, ()) for number in range(2000)]
    table = Counter((int(p["a"] * 4), int(p["b"] * 4)) for p in found)
    counts = [[table[i, j] for j in range(4)] for i in range(4)]
    assert stats.chi2_contingency(counts).pvalue > 0.01
    following = stats.spearmanr([p["a"] for p in found[:-1]], [p["a"] for p in found[1:]])
    assert following.pvalue > 0.01


GOLDEN = [
    {"lr": 0.00017772145066870262, "optimizer": "adam", "layers": 8},
    {"lr": 0.01837356586759385, "optimizer": "sgd", "momentum": 0.5218742859091062, "layers": 3},
    {"lr": 0.19156651154494214, "optimizer": "adam", "layers": 5},
]
GOLDEN_WALK = [
    ("poly", 2, 1.0, 5, True),
    ("poly", 4, 1.5, 4, False),
    ("linear", 0.5, 5, False),
    ("linear", 2.0, 2),
]


def test_golden_draws():
    """Whoever changes these raises the version of random search."""
    walk = Random().start(SPACE, 7, None)
    assert [walk.suggest(number, ()) for number in (0, 1, 2)] == GOLDEN
    without = Random(without_replacement=True).start(FINITE, 7, None)
    assert [tuple(without.suggest(number, ()).values()) for number in range(4)] == GOLDEN_WALK


# Without replacement

FINITE = Space.of(
    {
        "kernel": Choice("rbf", "poly", "linear"),
        "degree": Int(2, 5, when={"kernel": "poly"}),
        "c": Float(0.5, 2, step=0.5),
        "n": Int(1, 6, log=True),
        "deep": Choice(True, False, when={"n": Between(low=4)}),
    },
    {"kernel": "poly", "degree": 3, "c": 1.0, "n": 2, "deep": False},
)
LIMITED = Space.of(
    {name: p.distribution for name, p in FINITE.by_name.items()}, FINITE.defaults, "c * n <= 4"
)


@pytest.mark.parametrize("seed", [0, 1, 99])
@pytest.mark.parametrize("has_first", [True, False])
def test_each_configuration_exactly_once(seed, has_first):
    first = FINITE.defaults if has_first else None
    walk = Random(without_replacement=True).start(FINITE, seed, first)
    found = walked(walk)
    assert walk.size == len(found) == (1 + 4 + 1) * 4 * (3 + 3 * 2)
    assert len({json.dumps(params) for params in found}) == len(found)
    assert all(FINITE.checked(params) == params for params in found)
    if has_first:
        assert found[0] == first


@pytest.mark.parametrize("first", [LIMITED.defaults, None])
def test_each_configuration_that_satisfies_the_constraints_exactly_once(first):
    walk = Random(without_replacement=True).start(LIMITED, 0, first)
    assert walk.size is None
    found = walked(walk)
    everything = walked(Random(without_replacement=True).start(FINITE, 5, None))
    allowed = {json.dumps(params) for params in everything if params["c"] * params["n"] <= 4}
    assert {json.dumps(params) for params in found} == allowed
    assert walk.size == len(found) == len(allowed)
    if first is not None:
        assert found[0] == first


def test_the_seed_shuffles():
    orders = [
        tuple(map(json.dumps, walked(Random(without_replacement=True).start(FINITE, seed, None))))
        for seed in range(5)
    ]
    assert len(set(orders)) == 5
    assert len({frozenset(order) for order in orders}) == 1
    assert list(orders[0]) != sorted(orders[0])
    # The first of many seeds are spread over all configurations.
    firsts = Counter(
        Random(without_replacement=True).start(FINITE, seed, None).suggest(0, ())["c"]
        for seed in range(400)
    )
    assert stats.chisquare([firsts[c] for c in (0.5, 1.0, 1.5, 2.0)]).pvalue > 0.01


def test_the_first_changes_places_with_one_other():
    without = walked(Random(without_replacement=True).start(FINITE, 0, None))
    first = without[50]
    with_first = walked(Random(without_replacement=True).start(FINITE, 0, first))
    differing = [n for n, pair in enumerate(zip(without, with_first, strict=True)) if len(
        {json.dumps(params) for params in pair}) == 2]  # fmt: skip
    assert differing == [0, 50]
    assert with_first[0] == first


def test_no_replacement_in_any_order_of_asking():
    expected = walked(Random(without_replacement=True).start(LIMITED, 3, LIMITED.defaults))
    numbers = list(range(len(expected)))
    random.Random(0).shuffle(numbers)
    walk = Random(without_replacement=True).start(LIMITED, 3, LIMITED.defaults)
    assert [walk.suggest(n, ()) for n in numbers] == [expected[n] for n in numbers]
    for number in numbers[:10]:
        fresh = Random(without_replacement=True).start(LIMITED, 3, LIMITED.defaults)
        assert fresh.suggest(number, ()) == expected[number]


def test_a_huge_finite_space_is_not_built():
    space = Space.of(
        {f"p{i}": Float(0, 1, step=1e-6) for i in range(12)} | {"n": Int(0, 2**53)},
        {f"p{i}": 0.5 for i in range(12)} | {"n": 12345},
    )
    walk = Random(without_replacement=True).start(space, 0, space.defaults)
    assert walk.size == (10**6 + 1) ** 12 * (2**53 + 1)
    found = [walk.suggest(number, ()) for number in (0, 1, 2, 10**15)]
    assert found[0] == space.defaults
    assert len({json.dumps(params) for params in found}) == 4


def test_very_many_options_are_all_reached():
    """Past 2^256 points one key has too few bits for all of them."""
    space = Space.of({f"p{i}": Choice(0, 1) for i in range(300)})
    walk = Random(without_replacement=True).start(space, 0, None)
    found = [walk.suggest(number, ()) for number in range(60)]
    for name in space.by_name:
        assert {params[name] for params in found} == {0, 1}


@pytest.mark.parametrize("distribution", [Float(0, 1), Normal(0, 1), Float(1, 2, log=True)])
def test_a_continuous_space_has_no_end(distribution):
    with pytest.raises(UsageError) as caught:
        Random(without_replacement=True).start(
            Space.of({"c": Choice(1, 2), "x": distribution}), 0, None
        )
    assert str(caught.value) == (
        "random without replacement needs a finite space, but parameter 'x' is continuous: "
        "give it a step, or leave out the option"
    )


@pytest.mark.parametrize("value", [1, 0, "true", None, "yes", []])
def test_an_option_that_is_neither_true_nor_false(value):
    with pytest.raises(UsageError, match=r"^random: without_replacement must be true or false$"):
        search.make("random", {"without_replacement": value})


# Names and options


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("random", "random", {}),
        (" random ", "random", {}),
        ("random()", "random", {}),
        ("random(without_replacement=true)", "random", {"without_replacement": True}),
        ("random(without_replacement=True)", "random", {"without_replacement": True}),
        ("random(without_replacement = FALSE)", "random", {"without_replacement": False}),
        ("grid(order=lexicographic)", "grid", {"order": "lexicographic"}),
        ("grid(order='even')", "grid", {"order": "even"}),
        (
            "grid(points={'lr': 5, 'n': [1, 2]}, order=even,)",
            "grid",
            {"points": {"lr": 5, "n": [1, 2]}, "order": "even"},
        ),
        ("cma-es", "cma-es", {}),
        ("cma-es(sigma=-0.5)", "cma-es", {"sigma": -0.5}),
        ("some-one(a='b-c', d=-1e-3)", "some-one", {"a": "b-c", "d": -1e-3}),
        ("x(a=None, b=1_000, c=(1, 2))", "x", {"a": None, "b": 1000, "c": (1, 2)}),
    ],
)
def test_what_is_a_search(text, name, options):
    assert search.parse(text) == (name, options)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "random(", "random)", "random(true)", "random(*a)", "random(**{'a': 1})",
        "random(a=1, a=2)", "random(a=b())", "random(a=open('x'))", "random(a=b.c)",
        "random(a=1)(b=2)", "random; grid", "random grid", "a.b", "a.b(c=1)", "5", "'random'",
        "random(a=1+'b')", "random(a={[]: 1})", "random[1]", "(random)(a=1) or 2", "random\x00",
        "random(a=" + "-" * 5000 + "1)", "random(a=" + "[" * 500 + "]" * 500 + ")",
        "x(a=9" + "9" * 5000 + ")", "\ud800",
    ],
)  # fmt: skip
def test_what_is_no_search(text):
    with pytest.raises(UsageError) as caught:
        search.parse(text)
    assert str(caught.value).endswith(" is not a search: write a name, or name(option=value)")


def test_an_unknown_search():
    with pytest.raises(UsageError, match=re.escape("there is no search 'magic': use one of ra")):
        search.make("magic", {})
    with pytest.raises(UsageError, match=re.escape("there is no search 'os': use one of random,")):
        search.options_class("os")


def test_an_unknown_option():
    with pytest.raises(UsageError, match=re.escape(
        "the search 'grid' has no option 'pints': it has points, order"
    )):  # fmt: skip
        search.make("grid", {"pints": {}})


@pytest.mark.parametrize(
    "options",
    [Random(), Random(without_replacement=True), Grid(), Grid({"x": 3}, order="lexicographic")],
    ids=repr,
)
def test_options_survive_a_file(options):
    stored = search.spec(options)
    again = SearchSpec(**json.loads(json.dumps(stored._asdict())))
    assert search.from_spec(again) == options
    assert stored.label == f"{options.name}/1"


def test_another_version_is_refused_before_its_options_are_read():
    for options in ({}, {"option_of_the_future": 1}):
        with pytest.raises(UsageError) as caught:
            search.from_spec(SearchSpec("random", 2, options))
        assert str(caught.value) == (
            "the study was made with version 2 of the search 'random' and this tinytune has "
            "version 1: use the tinytune that made it"
        )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("grid", {"points": 5}), ("grid", {"points": {"x": "a"}}), ("grid", {"order": []}),
        ("grid", {"order": {"a": 1}}), ("random", {"without_replacement": [1]}),
    ],
)  # fmt: skip
def test_options_of_a_strangers_file_that_make_no_sense(name, options):
    with pytest.raises(UsageError):
        search.from_spec(SearchSpec(name, 1, options))


def test_names_lists_the_searches():
    assert {"random", "grid"} <= set(search.names())
    assert all(search.options_class(name).name == name for name in search.names())


def test_telling_changes_nothing():
    for walk in (
        Random().start(SPACE, 0, None),
        Random(without_replacement=True).start(FINITE, 0, None),
    ):
        before = list(itertools.islice((walk.suggest(n, ()) for n in itertools.count()), 5))
        walk.tell(None)
        assert [walk.suggest(n, ()) for n in range(5)] == before
