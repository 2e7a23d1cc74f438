"""Halton search."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from scipy.stats import qmc

from tests.test_sobol import points
from tinytune.distributions import Choice, Float, Int
from tinytune.search.halton import Digits, Halton, primes
from tinytune.space import Space


def names(count):
    return [f"x{i}" for i in range(count)]


def radical_inverse(index, base):
    """Halton (1960), exactly."""
    place, total = Fraction(1, base), Fraction(0)
    while index:
        index, digit = divmod(index, base)
        total += digit * place
        place /= base
    return float(total)


def test_primes():
    assert primes(12) == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37]
    assert primes(168)[-1] == 997


def test_the_point_4_of_the_plain_sequence():
    expected = [1 / 8, 4 / 9, 4 / 5, 4 / 7]
    assert points(Halton(scramble=False), 4, 5)[4].tolist() == expected


@pytest.mark.parametrize("dimensions", [1, 4, 50, 200])
def test_the_plain_sequence_is_scipys(dimensions):
    found = points(Halton(scramble=False), dimensions, 500)
    reference = qmc.Halton(dimensions, scramble=False).random(500)
    assert np.allclose(found, reference, rtol=0, atol=1e-15)


@pytest.mark.parametrize("index", [0, 1, 10**6, 10**12, 2**40 - 1])
def test_any_point_is_computed_at_once_and_exactly(index):
    found = Digits(names(20), None).point(index)
    expected = [radical_inverse(index, base) for base in primes(20)]
    assert found.tolist() == expected


@pytest.mark.parametrize("scramble", [True, False])
@pytest.mark.parametrize("seed", [0, 5])
def test_each_box_of_a_block_holds_one_point(scramble, seed):
    """Of b1^i * b2^j consecutive points each box of sides b1^-i and b2^-j holds one."""
    found = points(Halton(scramble=scramble), 3, 2**3 * 3**2 * 5, seed)
    for i, j, k in itertools.product(range(4), range(3), range(2)):
        sides = [2**i, 3**j, 5**k]
        count = 2**i * 3**j * 5**k
        for start in (0, count):
            block = found[start : start + count]
            if len(block) == count:
                cells = np.floor(block * sides + 1e-12).astype(int)
                assert len({tuple(cell) for cell in cells.tolist()}) == count


@pytest.mark.parametrize("seed", range(3))
def test_scrambled_points_lie_inside_and_in_cells_of_their_own(seed):
    found = points(Halton(), 60, 600, seed)
    assert found.min() > 0
    assert found.max() < 1
    for column, base in zip(found.T, primes(60), strict=True):
        assert sorted((column[:base] * base).astype(int).tolist()) == list(range(base))
        assert len(set(column.tolist())) == 600


def test_every_point_is_even_over_the_seeds():
    found = np.array([points(Halton(), 3, 3, seed) for seed in range(400)])  # (seed, point, d)
    for index, dimension in itertools.product(range(3), range(3)):
        assert stats.kstest(found[:, index, dimension], "uniform").pvalue > 0.001


def test_scrambling_parts_the_lines_of_large_bases():
    """Plain coordinates 19 and 20 have bases 67 and 71: short sequences lie on a diagonal."""
    plain = points(Halton(scramble=False), 20, 60)[:, 18:]
    assert stats.spearmanr(plain).statistic > 0.99
    scrambled = [points(Halton(), 20, 60, seed)[:, 18:] for seed in range(10)]
    assert max(abs(stats.spearmanr(pair).statistic) for pair in scrambled) < 0.5


GOLDEN = [
    {"lr": 0.1, "layers": 2, "kind": "a"},
    {"lr": 0.0165710145003678, "layers": 8, "kind": "b"},
    {"lr": 0.000165710145003678, "layers": 3, "kind": "a"},
    {"lr": 0.006035921497586725, "layers": 8, "kind": "b"},
]


def test_golden_points():
    """Whoever changes these raises the version of Halton search."""
    space = Space.of(
        {"lr": Float(1e-4, 1, log=True), "layers": Int(1, 8), "kind": Choice("a", "b")}
    )
    walk = Halton().start(space, 7, {"lr": 0.1, "layers": 2, "kind": "a"})
    assert [walk.suggest(number, ()) for number in (0, 1, 2, 10**15)] == GOLDEN
