"""Pareto fronts against brute force, hypervolumes against known values, boxes and chance."""

import random
from fractions import Fraction
from itertools import product

import pytest

from tinytune.pareto import dominates, front, growing_hypervolume, hypervolume, layers


def brute_front(points):
    return [
        i
        for i, p in enumerate(points)
        if not any(
            all(x <= y for x, y in zip(q, p, strict=True)) and tuple(q) != tuple(p) for q in points
        )
    ]


def exact(points, reference):
    """Return the hypervolume by inclusion and exclusion, in fractions."""
    total = Fraction(0)
    for chosen in product((False, True), repeat=len(points)):
        some = [p for p, is_in in zip(points, chosen, strict=True) if is_in]
        if some:
            volume = Fraction(1)
            for j, r in enumerate(reference):
                volume *= max(Fraction(0), Fraction(r) - max(Fraction(p[j]) for p in some))
            total += volume if len(some) % 2 else -volume
    return total


def cloud(count, size, seed, grid=None):
    chance = random.Random(seed)
    draw = chance.random if grid is None else lambda: float(chance.randrange(grid))
    return [tuple(draw() for _ in range(size)) for _ in range(count)]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("grid", [None, 3])
def test_the_front_is_that_of_brute_force(size, grid):
    for seed in range(20):
        points = cloud(40, size, seed, grid)
        assert front(points) == brute_front(points)


def test_equal_points_are_all_on_the_front():
    assert front([(1, 2), (2, 1), (1, 2), (2, 2)]) == [0, 1, 2]
    assert front([]) == []
    assert not dominates((1, 2), (1, 2))
    assert dominates((1, 2), (1, 3))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_layers_are_fronts_one_after_the_other(size):
    for seed in range(10):
        points = cloud(40, size, seed, grid=6)
        left, expected, rank = set(range(40)), [0] * 40, 0
        while left:
            places = sorted(left)
            for place in brute_front([points[p] for p in places]):
                expected[places[place]] = rank
                left.discard(places[place])
            rank += 1
        assert layers(points) == expected


@pytest.mark.parametrize(
    ("points", "reference", "volume"),
    [
        ([], (1, 1), 0.0),
        ([(1, 1)], (1, 1), 0.0),
        ([(0, 2)], (1, 1), 0.0),
        ([(0.25,)], (1,), 0.75),
        ([(1, 3), (2, 2), (3, 1)], (4, 4), 6.0),
        ([(1, 3), (2, 2), (3, 1), (3, 3), (2, 2)], (4, 4), 6.0),
        ([(0, 0, 0)], (1, 2, 3), 6.0),
        ([(0, 1, 1), (1, 0, 1), (1, 1, 0)], (2, 2, 2), 4.0),
        ([(-1, -1), (0, -2)], (0.5, 0), 2.0),
    ],
)
def test_hypervolumes_that_are_known(points, reference, volume):
    assert hypervolume(points, reference) == volume


@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_hypervolume_is_that_of_inclusion_and_exclusion(size):
    for seed in range(8):
        points = cloud(7, size, seed)
        reference = (0.9,) * size
        expected = float(exact(points, reference))
        assert hypervolume(points, reference) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_the_hypervolume_of_many_is_that_of_chance():
    points = [(x, y, z) for x, y, z in cloud(40, 3, 5) if x + y + z > 1.0]
    chance = random.Random(1)
    count = 4000
    hits = 0
    for _ in range(count):
        place = [chance.random() for _ in range(3)]
        hits += any(all(x <= u for x, u in zip(p, place, strict=True)) for p in points)
    share = hits / count
    error = (share * (1 - share) / count) ** 0.5
    assert hypervolume(points, (1, 1, 1)) == pytest.approx(share, abs=4 * error)


def test_it_grows_to_the_whole_and_never_falls():
    for size in (2, 3):
        points = cloud(25, size, 3)
        reference = (0.8,) * size
        grown = growing_hypervolume(points, reference)
        assert grown == sorted(grown)
        for count in (1, 7, 25):
            assert grown[count - 1] == pytest.approx(hypervolume(points[:count], reference))


def test_the_front_of_thousands_takes_no_square():
    """A front of 20,000 points in two objectives: each is compared with one, not with all."""
    count = 20_000
    points = [(float(i), float(count - i)) for i in range(count)]
    random.Random(1).shuffle(points)
    assert len(front(points)) == count
