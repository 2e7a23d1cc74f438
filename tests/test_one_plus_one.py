"""The (1+1) evolution strategy: its step, its mutants, and what it finds."""

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.local_search import (
    SPACES,
    best_of,
    box,
    check_asynchronous,
    rebuilt,
    sphere,
)
from tinytune.distributions import Choice, Float, Int
from tinytune.errors import UsageError
from tinytune.history import Finished
from tinytune.search.one_plus_one import OnePlusOne
from tinytune.space import Space


def after_the_start(options, space, seed=0):
    """Return a search that knows one result, that of the middle."""
    search = options.start(space, seed, None)
    search.tell(Finished(0, "complete", search.suggest(0, ()), 1.0))
    return search


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("name", SPACES)
def test_suggestions_are_pure_allowed_and_found_again(name, workers):
    check_asynchronous(OnePlusOne(), SPACES[name], 1, workers, first=SPACES[name].defaults)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(1, 40), st.sampled_from(sorted(SPACES)))
def test_any_number_of_workers(seed, workers, name):
    check_asynchronous(OnePlusOne(), SPACES[name], seed, workers)


def test_it_begins_at_the_defaults():
    space = SPACES["tree"]
    search = OnePlusOne().start(space, 0, space.defaults)
    assert search.suggest(0, ()) == space.defaults
    assert OnePlusOne().start(box(2), 0, None).suggest(7, ()) == {"x0": 0.0, "x1": 0.0}


def test_mutants_of_numbers_are_normal():
    search = after_the_start(OnePlusOne(step=0.05), box(2, 0.0, 1.0))
    found = [search.suggest(number, ()) for number in range(1, 1001)]
    for name in ("x0", "x1"):
        deviations = [(params[name] - 0.5) / 0.05 for params in found]
        assert stats.kstest(deviations, "norm").pvalue > 0.01
    assert abs(stats.pearsonr(*zip(*(p.values() for p in found), strict=True))[0]) < 0.1


def test_mutants_are_reflected_at_the_borders():
    search = OnePlusOne(step=0.5).start(box(1, 0.0, 1.0), 0, {"x0": 1.0})
    search.tell(Finished(0, "complete", {"x0": 1.0}, 1.0))
    found = [search.suggest(number, ())["x0"] for number in range(1, 501)]
    folded = stats.halfnorm(scale=0.5)
    assert all(0 <= x <= 1 for x in found)
    inner = [1 - x for x in found if x > 0.2]
    assert len(inner) / 500 == pytest.approx(folded.cdf(0.8) + folded.sf(1.2), abs=0.06)


def test_categories_change_one_by_one_and_at_least_one_does():
    space = Space.of({f"c{i}": Choice("a", "b", "c") for i in range(8)})
    search = after_the_start(OnePlusOne(), space)
    start = search._cube.params(search._parent)
    changes, options = Counter(), Counter()
    for number in range(1, 1001):
        params = search.suggest(number, ())
        changed = [name for name in start if params[name] != start[name]]
        changes[len(changed)] += 1
        options.update(params[name] for name in changed)
    assert changes[0] == 0
    # 8 chances of 1/8 each, and none is made one
    expected = [stats.binom.pmf(k, 8, 1 / 8) for k in range(4)]
    assert changes[1] / 1000 == pytest.approx(expected[0] + expected[1], abs=0.05)
    assert changes[2] / 1000 == pytest.approx(expected[2], abs=0.05)
    assert len(options) == 2  # the others of start's
    assert min(options.values()) > 0.4 * sum(options.values())


def test_discrete_numbers_change_by_at_least_one_value():
    space = Space.of({"n": Int(0, 10), "m": Int(0, 10)})
    search = after_the_start(OnePlusOne(step=0.01, tolerance=0), space)
    found = Counter(tuple(search.suggest(number, ()).values()) for number in range(1, 400))
    assert (5, 5) not in found
    assert {(4, 5), (6, 5), (5, 4), (5, 6)} <= set(found)
    assert all(4 <= n <= 6 and 4 <= m <= 6 for n, m in found)


def test_what_a_category_brings_to_life_is_drawn_anew():
    space = Space.of({"kind": Choice("a", "b"), "x": Float(0, 1, when={"kind": "a"})})
    search = OnePlusOne(step=0.001).start(space, 0, {"kind": "b"})
    search.tell(Finished(0, "complete", {"kind": "b"}, 1.0))
    found = [search.suggest(number, ()) for number in range(1, 300)]
    assert stats.kstest([params["x"] for params in found], "uniform").pvalue > 0.01


def test_the_step_grows_with_successes_and_shrinks_with_failures():
    for values, direction in ((range(0, -9, -1), 1), (range(9), -1)):
        search = OnePlusOne(step=0.1).start(box(4), 0, None)
        steps = []
        for number, value in enumerate(values):
            search.tell(Finished(number, "complete", search.suggest(number, ()), float(value)))
            steps.append(search._step)
        assert all((b - a) * direction > 0 for a, b in pairwise(steps))


def test_at_a_fifth_of_successes_the_step_stays():
    search = OnePlusOne(step=0.1).start(box(4), 0, None)
    steps = []
    for number in range(501):
        value = -float(number) if number % 5 == 0 else 1.0
        search.tell(Finished(number, "complete", search.suggest(number, ()), value))
        steps.append(search._step)
    assert steps[500] == pytest.approx(steps[250], rel=1e-3)


def test_the_step_is_set_back_when_it_is_too_small():
    search = OnePlusOne(step=0.1, tolerance=0.01).start(box(1), 0, None)
    steps = []
    for number in range(100):
        search.tell(Finished(number, "complete", search.suggest(number, ()), float(number)))
        steps.append(search._step)
    assert min(steps) >= 0.01
    assert steps.count(0.1) > 2


def test_results_count_in_the_order_in_which_they_are_told():
    space = box(2)
    results = [
        Finished(number, "complete", {"x0": number / 10, "x1": 0.0}, value)
        for number, value in enumerate([3.0, 1.0, 2.0, math.nan, 1.5])
    ]
    forward, backward = (
        rebuilt(OnePlusOne(), space, 0, order) for order in (results, results[::-1])
    )
    assert forward._value == backward._value == 1.0
    assert forward._step != backward._step


@pytest.mark.parametrize("workers", [1, 8])
def test_it_finds_the_minimum(workers):
    assert best_of(OnePlusOne(), box(4), sphere(0.7), 300, workers=workers) < 0.01
    space = Space.of({f"c{i}": Choice(*"abcd") for i in range(6)})
    f = lambda params: sum(ord(value) for value in params.values())  # noqa: E731
    assert best_of(OnePlusOne(), space, f, 200, workers=workers) == 6 * ord("a")


def test_small_spaces_are_seen_through():
    space = Space.of({"a": Int(1, 5), "b": Choice("x", "y", "z")})
    search = OnePlusOne().start(space, 0, None)
    found = set()
    for number in range(30):
        params = search.suggest(number, ())
        found.add(repr(params))
        search.tell(Finished(number, "complete", params, float(params["a"])))
    assert len(found) == 15


@pytest.mark.parametrize(
    "options", [{"step": 0}, {"step": 1.5}, {"step": None}, {"tolerance": -1}, {"tolerance": 0.2}]
)
def test_options_are_checked(options):
    with pytest.raises(UsageError, match=rf"one-plus-one: {next(iter(options))}"):
        OnePlusOne(**options)
