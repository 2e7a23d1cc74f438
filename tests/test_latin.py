"""Latin hypercube search."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.test_sobol import points
from tinytune import search
from tinytune.distributions import Choice, Float, Int
from tinytune.errors import UsageError
from tinytune.search.latin import MOST_POINTS, Latin
from tinytune.space import Space
from tinytune.testing import numbers


@given(st.integers(0, 2**63 - 1), st.integers(1, 60), st.integers(1, 6), st.booleans())
def test_each_part_is_visited_exactly_once_in_each_block(seed, count, dimensions, centered):
    found = points(Latin(count, centered), dimensions, 3 * count, seed)
    for block in np.split(found, 3):
        for column in (block * count).astype(int).T:
            assert sorted(column.tolist()) == list(range(count))


@pytest.mark.parametrize("count", [1, 3, 10, 17])
def test_centered_points_are_the_middles(count):
    found = points(Latin(count, centered=True), 3, count)
    for column in found.T:
        assert sorted(column.tolist()) == [(part + 0.5) / count for part in range(count)]


def test_the_largest_number_of_points():
    walk = Latin(MOST_POINTS).start(numbers(1), 0, None)
    asked = range(0, MOST_POINTS, 97)
    parts = [int(walk.suggest(number, ())["x0"] * MOST_POINTS) for number in asked]
    assert len(set(parts)) == len(asked)
    assert max(parts) > 0.99 * MOST_POINTS


def test_large_blocks_are_made_before_the_file_is_locked():
    assert Latin().start(numbers(50), 0, None).is_quick
    assert not Latin(MOST_POINTS).start(numbers(2), 0, None).is_quick


def test_places_within_the_parts_are_even():
    found = points(Latin(10), 4, 500, 1) * 10 % 1
    assert stats.kstest(found.ravel(), "uniform").pvalue > 0.01
    assert len(np.unique(found)) == found.size


def test_orders_are_even_and_independent():
    first = Counter(int(points(Latin(5), 1, 1, seed)[0, 0] * 5) for seed in range(500))
    assert stats.chisquare([first[part] for part in range(5)]).pvalue > 0.01
    found = points(Latin(5), 3, 5 * 300)
    orders = (found * 5).astype(int).T.reshape(3, 300, 5)
    assert len({tuple(order) for order in orders[0].tolist()}) > 100  # of 120
    for a, b in ((0, 1), (1, 2), (0, 2)):
        table = Counter(zip(orders[a].ravel().tolist(), orders[b].ravel().tolist(), strict=True))
        counts = [[table[i, j] for j in range(5)] for i in range(5)]
        assert stats.chi2_contingency(counts).pvalue > 0.001


def test_the_blocks_begin_after_the_first():
    first = {"x0": 0.5, "x1": 0.5}
    with_first = Latin(8).start(numbers(2), 1, first)
    found = [with_first.suggest(number, ()) for number in range(9)]
    assert found[0] == first
    assert sorted(int(params["x0"] * 8) for params in found[1:]) == list(range(8))


def test_blocks_in_any_order():
    walk = Latin(4).start(numbers(2), 1, None)
    expected = [walk.suggest(number, ()) for number in range(40)]
    for number in (39, 0, 17, 38, 1, 5, 5):
        assert walk.suggest(number, ()) == expected[number]


def test_values_come_equally_often():
    space = Space.of({"n": Int(1, 10), "kind": Choice("a", "b", weights=[3, 1])})
    walk = Latin(100).start(space, 0, None)
    found = [walk.suggest(number, ()) for number in range(100)]
    assert set(Counter(params["n"] for params in found).values()) == {10}
    assert Counter(params["kind"] for params in found) == {"a": 75, "b": 25}


@pytest.mark.parametrize("value", [0, -1, True, 1.5, 1e3, "10", MOST_POINTS + 1])
def test_a_number_of_points_that_is_none(value):
    with pytest.raises(
        UsageError, match=r"^latin: points must be a whole number from 1 to 100,000, not "
    ) as caught:
        search.make("latin", {"points": value})
    assert str(caught.value).endswith(repr(value))


@pytest.mark.parametrize("value", [1, None, "no"])
def test_an_option_that_is_neither_true_nor_false(value):
    with pytest.raises(UsageError, match=re.escape("latin: centered must be true or false")):
        search.make("latin", {"centered": value})


GOLDEN = [
    {"lr": 0.1, "layers": 2, "kind": "a"},
    {"lr": 0.053079488558531764, "layers": 4, "kind": "a"},
    {"lr": 0.0004521347313655379, "layers": 4, "kind": "b"},
    {"lr": 0.896381260992132, "layers": 6, "kind": "a"},
]


def test_golden_points():
    """Whoever changes these raises the version of Latin hypercube search."""
    space = Space.of(
        {"lr": Float(1e-4, 1, log=True), "layers": Int(1, 8), "kind": Choice("a", "b")}
    )
    walk = Latin().start(space, 7, {"lr": 0.1, "layers": 2, "kind": "a"})
    assert [walk.suggest(number, ()) for number in (0, 1, 2, 10**15)] == GOLDEN
