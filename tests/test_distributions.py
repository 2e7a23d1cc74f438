"""What each distribution may be, and its way to and from the unit interval."""

import copy
import decimal
import json
import math
import pickle
import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import stats

from tinytune import draw
from tinytune.distributions import Choice, Float, Int, LogNormal, Normal, same
from tinytune.space import Space

UNITS = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5, 2.0**-53, 1 - 2.0**-53]))
FINITE = st.floats(-1e300, 1e300)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), FINITE,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
)  # fmt: skip


def rejected(distribution, value):
    with pytest.raises(ValueError) as caught:
        distribution.canonical(value)
    return str(caught.value)


def reread(distribution):
    """The distribution as a study's file gives it back."""
    text = Space.of({"x": distribution}).to_json()
    return Space.from_json(text).by_name["x"].distribution


@st.composite
def floats(draw_):
    log = draw_(st.booleans())
    bound = st.floats(1e-300, 1e300) if log else FINITE
    low, high = sorted([draw_(bound), draw_(bound)])
    assume(low < high)
    return Float(low, high, log=log)


@st.composite
def stepped(draw_):
    """A Float whose low and step have few digits, as people write them."""
    digits = draw_(st.integers(0, 6))
    low, step = draw_(st.integers(-1000, 1000)), draw_(st.integers(1, 1000))
    count = draw_(st.integers(1, 10**6))
    low, high, step = (float(f"{x}e-{digits}") for x in (low, low + count * step, step))
    return Float(low, high, step=step), count


@st.composite
def ints(draw_):
    log = draw_(st.booleans())
    low = draw_(st.integers(1 if log else -(10**6), 10**6))
    size = draw_(st.integers(2, 10**9))
    step = None if log else draw_(st.none() | st.integers(1, 50))
    return Int(low, low + (size - 1) * (step or 1), log=log, step=step)


@st.composite
def choices(draw_):
    unique = {"unique_by": lambda option: (option, isinstance(option, bool))}
    options = draw_(st.lists(SCALARS, min_size=1, max_size=8, **unique))
    weights = st.lists(st.floats(1e-3, 1e3), min_size=len(options), max_size=len(options))
    return Choice(*options, weights=draw_(st.none() | weights), ordered=draw_(st.booleans()))


@st.composite
def normals(draw_):
    mean, sd = draw_(st.floats(-5, 5)), draw_(st.floats(0.01, 5))
    low = draw_(st.none() | st.floats(-4, 0))
    high = draw_(st.none() | st.floats(0.01, 4))
    low, high = (None if z is None else mean + z * sd for z in (low, high))
    if draw_(st.booleans()):
        return Normal(mean, sd, low, high)
    return LogNormal(
        mean, sd, None if low is None else math.exp(low), None if high is None else math.exp(high)
    )


DISCRETE = st.one_of(stepped().map(lambda pair: pair[0]), ints(), choices())
ANY = st.one_of(floats(), DISCRETE, normals())


# To and from the unit interval


@given(ANY, UNITS)
def test_what_comes_from_the_interval_can_be_stored_and_goes_back_into_it(distribution, u):
    assert distribution.problem() is None
    value = distribution.from_unit(u)
    assert distribution.canonical(value) == value
    assert type(distribution.canonical(value)) is type(value)
    assert 0 <= distribution.to_unit(value) <= 1


@given(ANY, UNITS, UNITS)
def test_the_way_from_the_interval_is_monotone(distribution, u, v):
    if isinstance(distribution, Choice):
        options = [distribution.index(distribution.from_unit(x)) for x in sorted([u, v])]
    else:
        options = [distribution.from_unit(x) for x in sorted([u, v])]
    assert options[0] <= options[1]


@given(DISCRETE, st.data())
def test_a_discrete_value_comes_back_exactly(distribution, data):
    index = data.draw(st.integers(0, distribution.size - 1))
    value = distribution.at(index)
    assert distribution.index(value) == index
    assert same(distribution.from_unit(distribution.to_unit(value)), value)


@given(floats(), UNITS)
def test_a_real_value_comes_back_closely(distribution, u):
    low, high = distribution.low, distribution.high
    x = distribution.from_unit(u)
    back = distribution.from_unit(distribution.to_unit(x))
    # 2^-50 of the range, or of the logarithms' range, plus the spacing of the floats there.
    scale = math.log(high / low) * x if distribution.log else high - low
    assert abs(back - x) <= 2**-50 * scale + 4 * math.ulp(max(abs(low), abs(high)))


@given(floats(), UNITS)
def test_a_place_in_the_interval_comes_back_closely(distribution, u):
    low, high = distribution.low, distribution.high
    x = distribution.from_unit(u)
    spacing = math.ulp(max(abs(low), abs(high)))
    around = spacing / (high - low)
    if distribution.log:
        around = math.ulp(x) / x / math.log(high / low) + 1e-14 / min(1, math.log(high / low))
    assert abs(distribution.to_unit(x) - u) <= 4 * around + 1e-14


@given(normals(), st.floats(1e-6, 1 - 1e-6))
def test_a_normal_place_comes_back_closely(distribution, u):
    assert distribution.to_unit(distribution.from_unit(u)) == pytest.approx(u, abs=1e-9)


@given(st.one_of(floats(), ints(), stepped().map(lambda pair: pair[0])))
def test_the_bounds_are_at_the_ends(distribution):
    for u, bound in ((0.0, distribution.low), (1.0, distribution.high)):
        assert distribution.from_unit(u) == bound
        assert distribution.canonical(bound) == bound
    assert distribution.to_unit(distribution.low) <= distribution.to_unit(distribution.high)


@given(normals())
def test_the_bounds_of_a_normal_are_at_the_ends(distribution):
    for u, bound in ((0.0, distribution.low), (1.0, distribution.high)):
        if bound is not None:
            assert distribution.from_unit(u) == bound
        assert math.isfinite(distribution.from_unit(u))


def test_the_last_bit_of_a_bound_is_kept():
    # low + (high - low) is 0.30000000000000004 or the like for these.
    for low, high in ((-0.1, 0.3), (0.1, 0.7), (-1.1, 2.3), (-7.3, 0.1)):
        assert Float(low, high).from_unit(1.0) == high
    big = 3.776367940084542e16  # as written it lies halfway between two floats
    assert Float(1.0, big, log=True).from_unit(1.0) == big
    assert Float(1.0, big, log=True).spread(2) == (1.0, big)
    assert Float(1e-20, big).spread(2) == (1e-20, big)


@pytest.mark.parametrize("low", [1, 2, 3, 7])
def test_each_whole_number_on_a_log_scale_gets_what_rounds_to_it(low):
    distribution = Int(low, low + 9, log=True)
    spaced = [distribution.from_unit((i + 0.5) / 40_000) for i in range(40_000)]
    counts = Counter(spaced)
    total = math.log((low + 9.5) / (low - 0.5))
    for value in range(low, low + 10):
        share = math.log((value + 0.5) / (value - 0.5)) / total
        assert counts[value] / 40_000 == pytest.approx(share, abs=1e-4)


@given(st.integers(2, 60), st.integers(-50, 50))
def test_each_whole_number_has_the_same_share(size, low):
    distribution = Int(low, low + size - 1)
    counts = Counter(distribution.from_unit((i + 0.5) / (size * 10)) for i in range(size * 10))
    assert set(counts.values()) == {10}
    assert len(counts) == size


def test_large_ranges():
    distribution = Int(-(2**53), 2**53)
    assert distribution.problem() is None
    assert distribution.canonical(2**53 - 1) == 2**53 - 1
    assert distribution.from_unit(0.0) == -(2**53)
    assert distribution.from_unit(1.0) == 2**53
    fine = Float(0, 1, step=1e-15)
    assert fine.canonical(0.123456789012345) == 0.123456789012345
    assert fine.size == 10**15 + 1


# Steps


def test_steps_are_decimal():
    tenths = Float(0, 1, step=0.1)
    assert [tenths.at(i) for i in range(11)] == [
        0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0,
    ]  # fmt: skip
    assert tenths.canonical(0.3) == 0.3
    assert 0.1 * 3 != 0.3
    assert Float(1e-3, 1e-2, step=1e-3).spread(10)[2] == 0.003


@given(stepped(), st.data())
def test_steps_are_what_one_would_write(pair, data):
    distribution, count = pair
    assert distribution.problem() is None
    assert distribution.size == count + 1
    index = data.draw(st.integers(0, count))
    exact = Fraction(repr(distribution.low)) + index * Fraction(repr(distribution.step))
    assert distribution.at(index) == float(exact)
    assert distribution.canonical(distribution.at(index)) == distribution.at(index)


@given(ANY, st.floats(0, 1))
def test_the_threads_decimal_context_plays_no_part(distribution, u):
    def everything():
        value = distribution.from_unit(u)
        return value, distribution.to_unit(value), distribution.spread(5), distribution.problem()

    expected = everything()
    hostile = decimal.Context(prec=2, Emax=3, Emin=-3, traps=[decimal.FloatOperation])
    with decimal.localcontext(hostile):
        assert everything() == expected


# Choices


@given(choices())
def test_options_have_shares_as_large_as_their_weights(choice):
    weights = choice.weights or (1,) * choice.size
    count = 2000
    found = Counter(choice.index(choice.from_unit((i + 0.5) / count)) for i in range(count))
    for index, weight in enumerate(weights):
        assert found[index] / count == pytest.approx(weight / math.fsum(weights), abs=1.5 / count)


def test_options_are_drawn_as_often_as_their_weights_say():
    choice = Choice("a", "b", "c", weights=[6, 3, 1])
    found = [choice.from_unit(draw.uniform(3, number, "test", "c")) for number in range(3000)]
    counts = [found.count(option) for option in choice.options]
    assert stats.chisquare(counts, [1800, 900, 300]).pvalue > 0.01


def test_an_option_begins_where_the_one_before_it_ends():
    for choice in (Choice("a", "b"), Choice("a", "b", weights=[1, 1])):
        assert choice.from_unit(math.nextafter(0.5, 0)) == "a"
        assert choice.from_unit(0.5) == "b"


def test_arguments_do_not_change():
    distribution = Float(0, 1, when={"kind": ["a"]})
    with pytest.raises(AttributeError, match="does not change: make another one instead"):
        distribution.low = 0.5
    with pytest.raises(AttributeError, match="does not change"):
        del distribution.low
    assert copy.deepcopy(distribution) == pickle.loads(pickle.dumps(distribution)) == distribution
    assert hash(distribution) == hash(Float(0, 1))


def test_true_is_not_one():
    choice = Choice(1, True, 0, False, None, "1")
    assert choice.problem() is None
    for index, option in enumerate(choice.options):
        assert choice.index(option) == index
        assert same(choice.canonical(option), option)
    assert choice.index(1.0) == 0
    assert reread(choice) == choice


# Normals


@pytest.mark.parametrize("low", [None, -3.0, -1.5, 0.0, 0.4, 2.0])
@pytest.mark.parametrize("high", [None, 0.5, 1.0, 3.0, 6.0])
def test_normals_against_scipy(low, high):
    if None not in (low, high) and low >= high:
        return
    mean, sd = 0.25, 1.5
    distribution = Normal(mean, sd, low, high)
    a, b = ((x - mean) / sd if x is not None else s * np.inf for x, s in ((low, -1), (high, 1)))
    reference = stats.truncnorm(a, b, loc=mean, scale=sd)
    for u in (1e-9, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999):
        assert distribution.from_unit(u) == pytest.approx(reference.ppf(u), rel=1e-9, abs=1e-9)
        x = float(reference.ppf(u))
        assert distribution.to_unit(x) == pytest.approx(u, rel=1e-9)


@pytest.mark.parametrize(("mean", "sd"), [(0, 1), (-7, 2), (3, 0.1)])
def test_lognormals_against_scipy(mean, sd):
    distribution = LogNormal(mean, sd)
    reference = stats.lognorm(sd, scale=math.exp(mean))
    for u in (1e-12, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-12):
        assert distribution.from_unit(u) == pytest.approx(reference.ppf(u), rel=1e-9)
        assert distribution.to_unit(reference.ppf(u)) == pytest.approx(u, rel=1e-9)


def test_bounded_lognormals_against_scipy():
    distribution = LogNormal(0, 1, low=0.5, high=4)
    below, above = (stats.norm.cdf(math.log(x)) for x in (0.5, 4))
    for u in (0.001, 0.2, 0.5, 0.8, 0.999):
        expected = math.exp(stats.norm.ppf(below + u * (above - below)))
        assert distribution.from_unit(u) == pytest.approx(expected, rel=1e-12)


@given(st.floats(-1e308, 1e308), st.floats(1e-300, 1e308), UNITS)
@example(0.0, 1e308, 0.0)
@example(1e308, 1e308, 1.0)
def test_a_normal_is_always_finite(mean, sd, u):
    distribution = Normal(mean, sd)
    assume(distribution.problem() is None)
    assert math.isfinite(distribution.from_unit(u))
    assert distribution.canonical(distribution.from_unit(u)) == distribution.from_unit(u)


@given(st.floats(-700, 700), st.floats(1e-3, 1e5), UNITS)
@example(0.0, 1000.0, 1e-300)
@example(0.0, 1000.0, 1 - 2**-53)
def test_a_lognormal_is_always_finite_and_above_zero(mean, sd, u):
    distribution = LogNormal(mean, sd)
    assert distribution.problem() is None
    value = distribution.from_unit(u)
    assert 0 < value <= sys.float_info.max
    assert distribution.canonical(value) == value


# Values on a grid


def test_spread_is_exact_on_a_log_scale():
    assert Float(1e-5, 1, log=True).spread(6) == (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    assert Float(1e-4, 1, log=True).spread(3) == (1e-4, 1e-2, 1.0)
    assert Int(1, 1000, log=True).spread(4) == (1, 10, 100, 1000)
    assert Int(1, 256, log=True).spread(9) == (1, 2, 4, 8, 16, 32, 64, 128, 256)


def test_spread_is_exact_on_a_linear_scale():
    assert Float(0, 1).spread(11) == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    assert Float(-1, 1).spread(3) == (-1.0, 0.0, 1.0)
    assert Float(0, 1).spread(1) == (0.5,)
    assert Int(0, 10).spread(3) == (0, 5, 10)
    assert Int(1, 3).spread(10) == (1, 2, 3)
    assert Int(0, 100, step=25).spread(3) == (0, 50, 100)
    assert Float(0, 1, step=0.25).spread(3) == (0.0, 0.5, 1.0)
    assert Choice("a", "b", "c").spread(2) == ("a", "c")
    assert Choice("a", "b", "c").spread(9) == ("a", "b", "c")


def test_spread_of_a_normal_cuts_the_probability_into_equal_parts():
    values = Normal(0, 1).spread(4)
    assert values == tuple(Normal(0, 1).from_unit(u) for u in (0.125, 0.375, 0.625, 0.875))
    assert [Normal(0, 1).to_unit(v) for v in values] == pytest.approx([0.125, 0.375, 0.625, 0.875])


@given(ANY, st.integers(1, 30))
def test_spread_gives_different_values_that_can_be_stored(distribution, count):
    values = distribution.spread(count)
    assert 1 <= len(values) <= count
    assert len({(value, isinstance(value, bool)) for value in values}) == len(values)
    for value in values:
        assert same(distribution.canonical(value), value)
    if not isinstance(distribution, (Choice, Normal)):
        assert list(values) == sorted(values)
        if count > 1:
            assert (values[0], values[-1]) == (distribution.low, distribution.high)


def test_spread_has_no_repeats_where_there_are_few_floats():
    high = math.nextafter(math.nextafter(1.0, 2), 2)
    assert Float(1.0, high).spread(9) == (1.0, math.nextafter(1.0, 2), high)
    assert len(Normal(1e16, 1e-3).spread(9)) == 1


# JSON


@given(ANY)
def test_a_distribution_survives_json(distribution):
    assert reread(distribution) == distribution
    text = json.dumps(distribution.to_json(), allow_nan=False)
    assert json.dumps(reread(distribution).to_json()) == text


def test_json_leaves_out_defaults_and_keeps_zeros():
    assert Float(0, 1).to_json() == {"type": "float", "low": 0.0, "high": 1.0}
    assert Normal(0, 1, low=0).to_json() == {"type": "normal", "mean": 0.0, "sd": 1.0, "low": 0}
    assert Choice(0, False, None).to_json() == {"type": "choice", "options": [0, False, None]}


# Values that are given: defaults, points of a grid, what a study's file holds


@pytest.mark.parametrize(
    ("distribution", "value", "stored"),
    [
        (Float(0, 1), 0, 0.0),
        (Float(0, 1), -0.0, 0.0),
        (Float(0, 1), np.float64(0.5), 0.5),
        (Float(0, 1), np.float32(0.5), 0.5),
        (Float(0, 1), np.int64(1), 1.0),
        (Float(0, 1), Fraction(1, 2), 0.5),
        (Int(1, 9), 3.0, 3),
        (Int(1, 9), np.int8(3), 3),
        (Int(1, 9, step=4), 5, 5),
        (Choice(16, 32), np.int64(32), 32),
        (Choice(16, 32), 32.0, 32),
        (Choice("a", None), None, None),
        (Choice(False, True), False, False),
        (Normal(0, 1), 40, 40.0),
        (LogNormal(0, 1), 1e-300, 1e-300),
    ],
)
def test_canonical_accepts(distribution, value, stored):
    found = distribution.canonical(value)
    assert found == stored
    assert type(found) is type(stored)
    assert math.copysign(1, found) == 1 if isinstance(found, float) else True
    json.dumps(found)


@pytest.mark.parametrize(
    ("distribution", "value", "reason"),
    [
        (Float(0, 1), 1.5, "is outside of 0 to 1"),
        (Float(0, 1), math.nan, "is outside of 0 to 1"),
        (Float(0, 1), math.inf, "is outside of 0 to 1"),
        (Float(0, 1), 10**400, "is outside of 0 to 1"),
        (Float(0, 1), "0.5", "is not a number"),
        (Float(0, 1), None, "is not a number"),
        (Float(0, 1), True, "is not a number"),
        (Float(0, 1), 0.5j, "is not a number"),
        (Float(0, 1, step=0.1), 0.25, "is not a multiple of the step 0.1 above 0"),
        (Float(0, 1, step=0.1), 0.1 * 3, "is not a multiple of the step 0.1 above 0"),
        (Int(1, 9), 2.5, "is not a whole number"),
        (Int(1, 9), 0, "is outside of 1 to 9"),
        (Int(1, 9), True, "is not a number"),
        (Int(1, 9, step=4), 4, "is not a multiple of the step 4 above 1"),
        (Int(1, 9), -(10**400), "is outside of 1 to 9"),
        (Choice("a", "b"), "c", "is not one of 'a', 'b'"),
        (Choice(1, 2), True, "is not one of 1, 2"),
        (Choice(True, False), 1, "is not one of True, False"),
        (Choice("a"), ["a"], "is not one of 'a'"),
        (Normal(0, 1, -2, 2), 3, "is outside of -2 to 2"),
        (Normal(0, 1), math.inf, "is outside of -1.7976931348623157e+308 to 1.7"),
        (Normal(0, 1), math.nan, "is outside of"),
        (LogNormal(0, 1), 0, "is not above 0"),
        (LogNormal(0, 1), -1.0, "is not above 0"),
    ],
)
def test_canonical_refuses(distribution, value, reason):
    assert rejected(distribution, value).startswith(reason)
