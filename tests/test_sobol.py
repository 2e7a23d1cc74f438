"""Sobol search, and how the points of a sequence become trials."""

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats
from scipy.stats import qmc

from tinytune import draw, search
from tinytune.distributions import Choice, Float, Int
from tinytune.errors import UsageError
from tinytune.search import directions, sobol, stream
from tinytune.search.halton import Halton
from tinytune.search.latin import Latin
from tinytune.search.sobol import Sobol
from tinytune.space import Space
from tinytune.testing import numbers


def points(options, dimensions, count, seed=0):
    """Return the first trials in a unit cube, shape (count, dimensions)."""
    walk = options.start(numbers(dimensions), seed, None)
    return np.array([list(walk.suggest(number, ()).values()) for number in range(count)])


# The sequence


@pytest.mark.parametrize("dimensions", [1, 2, 3, 10, 33, 64, directions.MOST])
def test_the_plain_sequence_is_the_one_of_joe_and_kuo(dimensions):
    found = points(Sobol(scramble=False), dimensions, 1024)
    reference = qmc.Sobol(dimensions, scramble=False, bits=directions.BITS).random(1024)
    assert np.array_equal(found, reference)


def test_the_first_points_in_six_dimensions():
    expected = [
        [0, 0, 0, 0, 0, 0],
        [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
        [0.75, 0.25, 0.25, 0.25, 0.75, 0.75],
        [0.25, 0.75, 0.75, 0.75, 0.25, 0.25],
        [0.375, 0.375, 0.625, 0.875, 0.375, 0.125],
        [0.875, 0.875, 0.125, 0.375, 0.875, 0.625],
        [0.625, 0.125, 0.875, 0.625, 0.625, 0.875],
        [0.125, 0.625, 0.375, 0.125, 0.125, 0.375],
    ]
    assert points(Sobol(scramble=False), 6, 8).tolist() == expected


@pytest.mark.parametrize("start", [2**16 - 3, 2**22 - 5])
def test_any_point_is_computed_at_once(start):
    engine = qmc.Sobol(7, scramble=False, bits=30).fast_forward(start)
    found = [sobol.point(index, 7) for index in range(start, start + 10)]
    assert np.array_equal(np.array(found) * 2.0**-directions.BITS, engine.random(10))


def test_all_indices_have_points_of_their_own_until_the_sequence_begins_anew():
    last = 2**directions.BITS
    found = {sobol.point(index, 1).item() for index in (0, 1, last // 2, last - 2, last - 1)}
    assert len(found) == 5
    assert np.array_equal(sobol.point(last + 5, 3), sobol.point(5, 3))


def test_the_direction_numbers_cannot_be_changed_by_accident():
    table = directions.directions(5)
    with pytest.raises(ValueError, match="read-only"):
        table[0, 0] = 1


# Scrambling


def coin(key, node):
    """SplitMix64 (Steele, Lea and Flood 2014), in plain whole numbers."""
    mixed = (key + node * 0x9E3779B97F4A7C15) % 2**64
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
    return mixed ^ mixed >> 31


def test_the_coins_are_splitmix64():
    assert coin(0, 1) == 0xE220A8397B1DCDAF  # the published first output for seed 0
    assert coin(1234567, 1) == 6457827717110365317


@pytest.mark.parametrize("seed", range(5))
def test_a_scramble_flips_each_bit_by_the_bits_before_it(seed):
    words = draw.bits(20, seed, 0, "words") >> np.uint64(12)
    keys = draw.bits(20, seed, 0, "keys")
    found = sobol.scrambled(words, keys)
    for word, key, after in zip(words.tolist(), keys.tolist(), found.tolist(), strict=True):
        bits = f"{word:052b}"
        flips = [coin(key, int("1" + bits[:place], 2)) >> 63 for place in range(52)]
        assert f"{after:052b}" == "".join(
            str(int(bit) ^ flip) for bit, flip in zip(bits, flips, strict=True)
        )


def test_a_scramble_is_a_bijection_that_keeps_common_beginnings():
    words = np.arange(256, dtype=np.uint64) << np.uint64(44)
    found = sobol.scrambled(words, np.full(256, 12345, dtype=np.uint64)) >> np.uint64(44)
    assert sorted(found.tolist()) == list(range(256))
    assert found.tolist() != list(range(256))
    for a, b in itertools.combinations(range(0, 256, 7), 2):
        common = 8 - (a ^ b).bit_length()
        assert 8 - (int(found[a]) ^ int(found[b])).bit_length() == common


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
@pytest.mark.parametrize("scramble", [True, False])
@pytest.mark.parametrize("power", range(1, 10))
def test_each_dyadic_box_of_a_square_holds_one_point(power, scramble, seed):
    found = points(Sobol(scramble=scramble), 2, 2**power, seed)
    for across in range(power + 1):
        cells = (found * [2**across, 2 ** (power - across)]).astype(int)
        assert len({tuple(cell) for cell in cells.tolist()}) == 2**power


@pytest.mark.parametrize("start", [0, 64, 192])
@pytest.mark.parametrize("dimensions", [5, 20])
def test_each_part_of_each_range_holds_one_point_of_a_block(dimensions, start):
    found = points(Sobol(), dimensions, start + 64, 3)[start:]
    for column in (found * 64).astype(int).T:
        assert sorted(column.tolist()) == list(range(64))


def test_every_point_is_even_over_the_seeds():
    found = np.array([points(Sobol(), 2, 4, seed) for seed in range(400)])  # (seed, point, d)
    for index, dimension in itertools.product(range(4), range(2)):
        assert stats.kstest(found[:, index, dimension], "uniform").pvalue > 0.001
    assert abs(stats.spearmanr(found[:, 1, 0], found[:, 1, 1]).statistic) < 0.15


@pytest.mark.parametrize("dimensions", [2, 5, 10, 20])
@pytest.mark.parametrize("options", [Sobol(), Halton(), Latin(points=64)], ids=repr)
def test_points_are_more_even_than_random_ones(options, dimensions):
    uniform = [draw.uniforms(64 * dimensions, seed, 0, "uniform") for seed in range(20)]
    by_chance = [qmc.discrepancy(units.reshape(64, dimensions)) for units in uniform]
    found = [qmc.discrepancy(points(options, dimensions, 64, seed)) for seed in range(20)]
    assert np.mean(found) < 0.9 * np.mean(by_chance)
    if dimensions == 2 and not isinstance(options, Latin):
        assert max(found) < 0.5 * np.mean(by_chance)


# Trials


def test_the_sequence_begins_after_the_first():
    space, first = numbers(3), {"x0": 0.1, "x1": 0.2, "x2": 0.3}
    with_first, without = Sobol().start(space, 4, first), Sobol().start(space, 4, None)
    assert with_first.suggest(0, ()) == first
    for number in range(20):
        assert with_first.suggest(number + 1, ()) == without.suggest(number, ())


@pytest.mark.parametrize("options", [Sobol(), Halton(), Latin()], ids=repr)
def test_seeds_and_parameters_differ(options):
    found = {tuple(points(options, 1, 4, seed).ravel()) for seed in range(50)}
    assert len(found) == 50
    columns = points(options, 20, 16, 1).T
    assert len({tuple(column) for column in columns.tolist()}) == 20


@pytest.mark.parametrize("options", [Sobol(), Halton(), Latin()], ids=repr)
def test_a_parameter_that_is_added_at_the_end_shifts_no_other(options):
    wide, narrow = points(options, 7, 30, 2), points(options, 6, 30, 2)
    assert np.array_equal(wide[:, :6], narrow)


def test_parameters_past_the_table_are_drawn_at_random():
    dimensions = directions.MOST + 40
    found = points(Sobol(), dimensions, 64, 1)
    assert np.array_equal(found[:, : directions.MOST], points(Sobol(), directions.MOST, 64, 1))
    rest = found[:, directions.MOST :]
    assert stats.kstest(rest.ravel(), "uniform").pvalue > 0.01
    assert len(np.unique(rest)) == rest.size
    assert not np.array_equal(rest, points(Sobol(), dimensions, 64, 2)[:, directions.MOST :])


def test_values_of_a_choice_come_equally_often():
    space = Space.of({"kind": Choice("a", "b", "c", "d"), "n": Int(1, 8)})
    walk = Sobol().start(space, 0, None)
    found = [tuple(walk.suggest(number, ()).values()) for number in range(32)]
    assert set(Counter(found).values()) == {1}


TRIANGLE = Space.of({"x": Float(0, 1), "y": Float(0, 1)}, {"x": 0, "y": 0}, "x + y <= 1")


@pytest.mark.parametrize("options", [Sobol(), Halton(), Latin(points=50)], ids=repr)
def test_trials_are_the_allowed_points_in_order(options):
    free = options.start(numbers(2), 1, None)
    square = Space.of({"x0": Float(0, 1), "x1": Float(0, 1)}, None, "x0 + x1 <= 1")
    every = [free.suggest(number, ()) for number in range(200)]
    allowed = [params for params in every if params["x0"] + params["x1"] <= 1]
    walk = options.start(square, 1, None)
    for number in reversed(range(len(allowed))):
        assert walk.suggest(number, ()) == allowed[number]
    assert 80 < len(allowed) < 120


def test_only_a_walk_through_refused_points_is_slow():
    assert Sobol().start(numbers(2), 0, None).is_quick
    assert not Sobol().start(TRIANGLE, 0, None).is_quick


def test_where_hardly_anything_is_allowed_trials_are_drawn_at_random():
    space = Space.of({"x": Float(0, 1), "y": Float(0, 1)}, None, "x + y <= 0.03")
    walk = Sobol().start(space, 0, None)
    found = [walk.suggest(number, ()) for number in range(8)]
    assert all(space.checked(params) == params for params in found)
    drawn = [params == space.sample(0, number, "sobol") for number, params in enumerate(found)]
    assert 0 < sum(drawn) < 8
    assert found == [Sobol().start(space, 0, None).suggest(number, ()) for number in range(8)]
    assert stream.TRIES * 8 > walk._next > stream.TRIES


@pytest.mark.parametrize("name", ["sobol", "halton"])
@pytest.mark.parametrize("value", [1, None, "yes"])
def test_an_option_that_is_neither_true_nor_false(name, value):
    with pytest.raises(UsageError, match=f"^{name}: scramble must be true or false$"):
        search.make(name, {"scramble": value})


GOLDEN = [
    {"lr": 0.1, "layers": 2, "kind": "a"},
    {"lr": 0.002843587562787505, "layers": 1, "kind": "a"},
    {"lr": 0.02058998565043297, "layers": 8, "kind": "b"},
    {"lr": 0.0028448660524253663, "layers": 5, "kind": "a"},
]


def test_golden_points():
    """Whoever changes these raises the version of Sobol search."""
    space = Space.of(
        {"lr": Float(1e-4, 1, log=True), "layers": Int(1, 8), "kind": Choice("a", "b")}
    )
    walk = Sobol().start(space, 7, {"lr": 0.1, "layers": 2, "kind": "a"})
    assert [walk.suggest(number, ()) for number in (0, 1, 2, 10**15)] == GOLDEN
