"""Grid search: each point once, evenly from the first trials on."""

import itertools
import json
import math
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

from tinytune import search
from tinytune.distributions import Between, Choice, Float, Int, LogNormal, Normal
from tinytune.errors import UsageError
from tinytune.points import Points
from tinytune.search.grid import Grid
from tinytune.space import Space

ORDERS = pytest.mark.parametrize("order", ["even", "lexicographic"])


def walked(walk):
    """Everything that a search suggests, until it has nothing more."""
    found = []
    while (params := walk.suggest(len(found), ())) is not None:
        found.append(params)
    return found


def written(params):
    return json.dumps(params)


def refused(space, **options):
    with pytest.raises(UsageError) as caught:
        Grid(**options).start(space, 0, None)
    assert "\n" not in str(caught.value)
    return str(caught.value)


CONDITIONAL = Space.of(
    {
        "lr": Float(1e-4, 1, log=True),
        "optimizer": Choice("sgd", "adam", "lion"),
        "momentum": Float(0, 0.9, step=0.3, when={"optimizer": "sgd"}),
        "layers": Int(1, 4),
        "width": Int(8, 64, log=True, when={"layers": Between(low=3)}),
    },
    {"lr": 0.01, "optimizer": "adam", "momentum": 0.3, "layers": 3, "width": 16},
)
CONSTRAINED = Space.of(
    {name: p.distribution for name, p in CONDITIONAL.by_name.items()},
    CONDITIONAL.defaults,
    ["layers * width <= 128", "lr <= 0.1 or optimizer == 'adam'"],
)
POINTS = {"lr": 5, "width": [8, 16, 64]}


# Each point once


@ORDERS
@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_each_point_exactly_once(order, seed):
    walk = Grid(POINTS, order=order).start(CONDITIONAL, seed, CONDITIONAL.defaults)
    found = list(map(written, walked(walk)))
    assert len(set(found)) == len(found) == walk.size == 5 * (4 + 1 + 1) * (2 + 2 * 3)


@ORDERS
def test_each_point_that_satisfies_the_constraints_exactly_once(order):
    everything = walked(Grid(POINTS, order=order).start(CONDITIONAL, 0, None))
    walk = Grid(POINTS, order=order).start(CONSTRAINED, 0, CONSTRAINED.defaults)
    assert walk.size is None  # not before the end of the walk is reached
    assert not walk.is_quick
    found = walked(walk)
    assert walk.size == len(found)
    assert len(set(map(written, found))) == len(found)
    allowed = {written(params) for params in everything if CONSTRAINED.allows(params)}
    assert set(map(written, found)) == allowed
    assert 0 < len(allowed) < len(everything)


@ORDERS
def test_a_constraint_that_no_point_satisfies(order):
    space = Space.of({"a": Float(0, 1)}, where="a > 0.6 and a < 0.9")
    walk = Grid({"a": 2}, order=order).start(space, 0, None)
    assert walk.suggest(0, ()) is None
    assert walk.size == 0


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 2**63 - 1))
def test_each_point_of_any_small_grid_exactly_once(sizes, seed):
    space = Space.of({f"p{i}": Choice(*range(size)) for i, size in enumerate(sizes)})
    for first in (None, space.sample(seed, 0, "test")):
        walk = Grid().start(space, seed, first)
        found = walked(walk)
        assert walk.size == math.prod(sizes)
        assert set(map(written, found)) == set(
            map(written, walked(Grid(order="lexicographic").start(space, 0, None)))
        )
        assert len(found) == walk.size
        if first is not None:
            assert found[0] == first


# Pure


@ORDERS
@pytest.mark.parametrize("space", [CONDITIONAL, CONSTRAINED], ids=["free", "constrained"])
def test_pure_in_space_seed_and_number(order, space):
    options = Grid(POINTS, order=order)
    expected = walked(options.start(space, 3, space.defaults))
    numbers = list(range(len(expected) + 3))
    random.Random(0).shuffle(numbers)
    walk = options.start(space, 3, space.defaults)
    for number in numbers:
        wanted = expected[number] if number < len(expected) else None
        assert walk.suggest(number, ()) == wanted
    again = Space.from_json(space.to_json())
    stored = search.from_spec(search.spec(options))
    for number in numbers[:20]:  # a new search for each trial, from what a file holds
        fresh = stored.start(again, 3, again.defaults)
        wanted = expected[number] if number < len(expected) else None
        assert fresh.suggest(number, ()) == wanted


def test_what_is_suggested_may_be_changed_by_whoever_gets_it():
    walk = Grid(POINTS).start(CONDITIONAL, 0, CONDITIONAL.defaults)
    walk.suggest(0, ())["lr"] = 7
    assert walk.suggest(0, ()) == CONDITIONAL.defaults


GOLDEN = [
    (0.75, "z", 1),
    (0.0, "x", 2),
    (0.25, "y", 3),
    (0.5, "z", 4),
    (1.0, "y", 1),
    (0.0, "z", 2),
]


def test_golden_grid():
    """Whoever changes this raises the grid's version."""
    space = Space.of({"a": Float(0, 1, step=0.25), "b": Choice("x", "y", "z"), "c": Int(1, 4)})
    walk = Grid().start(space, 7, None)
    assert [tuple(walk.suggest(number, ()).values()) for number in range(6)] == GOLDEN


# Large grids


def test_a_million_million_points_are_not_built():
    space = Space.of({f"p{i}": Int(0, 9) for i in range(12)}, {f"p{i}": 5 for i in range(12)})
    tracemalloc.start()
    try:
        walk = Grid().start(space, 0, space.defaults)
        assert walk.size == 10**12
        found = [walk.suggest(number, ()) for number in (0, 1, 10**11, 10**12 - 1)]
        assert walk.suggest(10**12, ()) is None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(set(map(written, found))) == 4
    assert found[0] == space.defaults
    assert peak < 5_000_000


def test_one_parameter_of_a_million_million_values_is_not_built():
    space = Space.of(
        {"n": Int(0, 10**12), "x": Float(0, 1, step=1e-12)}, {"n": 10**11, "x": 0.123456789012}
    )
    tracemalloc.start()
    try:
        walk = Grid().start(space, 0, space.defaults)
        assert walk.size == (10**12 + 1) ** 2
        assert walk.suggest(0, ()) == space.defaults
        assert walk.suggest(10**12, ()) != walk.suggest(10**12 + 1, ())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def test_few_points_are_made_to_find_an_order(monkeypatch):
    made = []
    places = Points.places

    def counted(self, index):
        made.append(index)
        return places(self, index)

    monkeypatch.setattr(Points, "places", counted)
    space = Space.of({f"p{i}": Int(0, 99) for i in range(6)})
    walk = Grid().start(space, 0, None)
    walk.suggest(12345, ())
    assert len(made) <= 1000


# Orders


def test_the_lexicographic_order():
    space = Space.of({"a": Choice("x", "y"), "b": Int(1, 3)}, {"a": "y", "b": 2})
    walk = Grid(order="lexicographic").start(space, 5, space.defaults)
    assert [tuple(params.values()) for params in walked(walk)] == [
        ("x", 1), ("x", 2), ("x", 3), ("y", 1), ("y", 2), ("y", 3),
    ]  # fmt: skip


def test_the_even_order_begins_at_the_defaults_where_they_are_on_the_grid():
    on = Grid(POINTS).start(CONDITIONAL, 0, CONDITIONAL.defaults)
    assert on.suggest(0, ()) == CONDITIONAL.defaults
    off = Grid({"lr": [0.1, 0.3], "width": 3}).start(CONDITIONAL, 0, CONDITIONAL.defaults)
    assert off.suggest(0, ())["lr"] in {0.1, 0.3}
    none = Grid(POINTS).start(CONDITIONAL, 0, None)
    assert none.suggest(0, ()) != CONDITIONAL.defaults


def test_the_seed_decides_where_the_even_order_begins_and_nothing_else():
    starts = {
        written(Grid(POINTS).start(CONDITIONAL, seed, None).suggest(0, ())) for seed in range(20)
    }
    assert len(starts) > 10
    one, other = (Grid(POINTS).start(CONDITIONAL, s, CONDITIONAL.defaults) for s in (1, 2))
    assert walked(one) == walked(other)


GRIDS = [(10, 10), (5, 5, 5), (7, 11), (8, 8), (64,), (6, 6, 2), (2, 3, 50), (4, 4, 4, 4),
         (5, 10, 4, 3), (20, 20, 20), (100, 100), (3,) * 6, (2,) * 8]  # fmt: skip


def unevenness(points, sizes):
    """The centred discrepancy: how far the shares of points in boxes are from the boxes' volumes.

    It looks at every parameter, every pair of them and so on; small is even.
    """
    places = [[(place + 0.5) / size for place, size in zip(p, sizes, strict=True)] for p in points]
    return qmc.discrepancy(np.array(places), method="CD")


@pytest.mark.parametrize("sizes", GRIDS, ids=str)
def test_every_beginning_is_more_even_than_other_orders(sizes):
    space = Space.of({f"p{i}": Choice(*range(size)) for i, size in enumerate(sizes)})
    everything = list(itertools.product(*map(range, sizes)))
    generator = random.Random(0)
    walks = [Grid().start(space, seed, None) for seed in range(3)]
    for count in (8, 16, 32):
        by_chance = [generator.sample(everything, count) for _ in range(200)]
        expected = min(
            unevenness(everything[:count], sizes),
            np.mean([unevenness(points, sizes) for points in by_chance]),
        )
        for walk in walks:
            points = [tuple(walk.suggest(number, ()).values()) for number in range(count)]
            assert unevenness(points, sizes) < expected


# Which points


def test_points_as_numbers_and_lists():
    space = Space.of(
        {"lr": Float(1e-4, 1, log=True), "drop": Float(0, 0.5), "n": Int(1, 1000, log=True),
         "c": Choice("a", "b", "c"), "noise": Normal(0, 1)}
    )  # fmt: skip
    points = {"lr": 3, "drop": [0, 0.5], "n": 4, "c": ("a", "c"), "noise": 1}
    found = walked(Grid(points).start(space, 0, None))
    assert len(found) == 3 * 2 * 4 * 2
    assert {params["lr"] for params in found} == {1e-4, 1e-2, 1.0}
    assert {params["drop"] for params in found} == {0.0, 0.5}
    assert all(isinstance(params["drop"], float) for params in found)
    assert {params["n"] for params in found} == {1, 10, 100, 1000}
    assert {params["c"] for params in found} == {"a", "c"}
    assert {params["noise"] for params in found} == {0.0}


def test_choices_and_steps_need_no_points():
    space = Space.of({"c": Choice("a", None), "n": Int(1, 9, step=4), "x": Float(0, 1, step=0.5)})
    found = walked(Grid(order="lexicographic").start(space, 0, None))
    assert [tuple(params.values()) for params in found] == list(
        itertools.product(["a", None], [1, 5, 9], [0.0, 0.5, 1.0])
    )


def test_more_points_than_there_are_values():
    space = Space.of({"n": Int(1, 3), "x": Float(1.0, math.nextafter(1.0, 2))})
    assert len(walked(Grid({"n": 99, "x": 99}).start(space, 0, None))) == 6


@pytest.mark.parametrize(
    "values",
    [
        (1, 5), [1, 5], range(1, 6, 4), np.array([1, 5]), np.array([1.0, 5.0]),
        [np.int64(1), np.float32(5)],
    ],
    ids=repr,
)  # fmt: skip
def test_points_are_stored_as_plain_json(values):
    options = Grid({"n": values})
    stored = json.loads(json.dumps(search.spec(options).options))
    assert stored == {"points": {"n": [1, 5]}, "order": "even"}
    assert search.make("grid", stored) == options
    space = Space.of({"n": Int(1, 9)})
    assert len(walked(options.start(space, 0, None))) == 2


def test_a_number_of_points_from_numpy():
    assert json.dumps(search.spec(Grid({"n": np.int64(3)})).options["points"]) == '{"n": 3}'


# Errors


@pytest.mark.parametrize(
    ("distribution", "example"),
    [
        (Float(0.1, 2), "0.1,2"),
        (Float(1e-4, 1, log=True), "0.0001,1"),
        (Int(1, 64, log=True), "1,64"),
        (Normal(0, 1), "0.5,1"),
        (LogNormal(0, 1), "0.5,1"),
    ],
)
def test_a_continuous_parameter_without_points(distribution, example):
    assert refused(Space.of({"c": Choice(1, 2), "x": distribution})) == (
        f"grid: parameter 'x' has no values of its own: say how many with --grid x=5, "
        f"or which with --grid x={example}"
    )


SMALL = Space.of({"lr": Float(0, 1), "n": Int(1, 9, step=2), "c": Choice("a", "b")})


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ({"rl": 3, "lr": 3}, "grid: there is no parameter 'rl': use lr, n, c"),
        ({"lr": [0.5, 1.5]}, "grid: parameter 'lr': 1.5 is outside of 0 to 1"),
        ({"lr": [0.5, "a"]}, "grid: parameter 'lr': 'a' is not a number"),
        ({"lr": [10**5000]}, "grid: parameter 'lr': <int> is outside of 0 to 1"),
        ({"lr": [math.nan]}, "grid: parameter 'lr': nan is outside of 0 to 1"),
        ({"lr": 3, "n": [2]}, "grid: parameter 'n': 2 is not a multiple of the step 2 above 1"),
        ({"lr": 3, "n": [1.5]}, "grid: parameter 'n': 1.5 is not a whole number"),
        ({"lr": 3, "c": ["a", "z"]}, "grid: parameter 'c': 'z' is not one of 'a', 'b'"),
        ({"lr": [0, 0.0]}, "grid: parameter 'lr' needs different values, not [0.0, 0.0]"),
        ({"lr": [0.0, -0.0]}, "grid: parameter 'lr' needs different values, not [0.0, 0.0]"),
        ({"lr": 3, "c": ["a", "a"]}, "grid: parameter 'c' needs different values, not ['a', 'a']"),
        ({"lr": []}, "grid: parameter 'lr' needs different values, not []"),
        ({"lr": 0}, "grid: parameter 'lr' needs 1 to 100,000 values, not 0"),
        ({"lr": -3}, "grid: parameter 'lr' needs 1 to 100,000 values, not -3"),
    ],
)
def test_what_is_wrong_with_points(points, told):
    assert refused(SMALL, points=points) == told


@pytest.mark.parametrize(
    "wanted",
    [0.5, "ab", True, None, {1, 2}, {"a": 1}, np.array(0.5), b"x", iter([1])],
    ids=lambda v: type(v).__name__,
)
def test_what_is_no_number_and_no_list_of_values(wanted):
    told = refused(SMALL, points={"lr": wanted})
    assert told.startswith("grid: parameter 'lr' has points ")
    assert told.endswith(": write a whole number, for so many values, or a list of values")


@pytest.mark.parametrize("points", [5, [1], "lr", None])
def test_points_that_are_no_mapping(points):
    assert refused(SMALL, points=points) == (
        f"grid: points {points!r} must map names to numbers of values or lists: "
        "write points={'lr': 5, 'momentum': [0, 0.9]}"
    )


@pytest.mark.parametrize("order", ["odd", "", None, 3])
def test_an_unknown_order(order):
    assert refused(SMALL, order=order) == (
        f"there is no grid order {order!r}: use even or lexicographic"
    )
