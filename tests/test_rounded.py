"""exp and log in whole numbers are the decimal ones, and know when they cannot tell."""

import math
from decimal import Decimal

import mpmath
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tinytune.portable import rounded, scalars

POSITIVE = st.floats(5e-324, 1.7e308)
MANY = settings(max_examples=500)


def by_decimal(function, *arguments):
    """Return what a function of `scalars` gives where every fast result is in doubt."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("exp", "log", "quotient"):
            patch.setattr(rounded, name, lambda *_: None)
        return function(*arguments)


def exact(number):
    return mpmath.mpf(number) / rounded.ONE


@pytest.fixture(autouse=True)
def _sixty_digits():
    with mpmath.workdps(60):
        yield


@MANY
@given(st.one_of(st.floats(-746, 710), st.floats(-1e-3, 1e-3)))
@example(0.0)
@example(709.782712893384)  # the largest that is finite, and the next
@example(709.7827128933841)
@example(-708.3964185322642)  # from here on results are subnormal
@example(-745.1332191019412)
@example(2.0**-53)  # half way between 1 and the next float, but for 2^-107
def test_exp_is_the_decimal_one(x):
    assert scalars.exp(x) == by_decimal(scalars.exp, x)


@MANY
@given(st.one_of(POSITIVE, st.floats(0.999, 1.001), st.integers(1, 2**53).map(float)))
@example(1.0)
@example(math.nextafter(1, 2))
@example(math.nextafter(1, 0))
@example(5e-324)
@example(1.7976931348623157e308)
def test_log_is_the_decimal_one(x):
    assert scalars.log(x) == by_decimal(scalars.log, x)


RANGES = st.one_of(
    st.tuples(POSITIVE, POSITIVE),
    st.tuples(st.integers(-12, 3), st.integers(1, 9)).map(
        lambda powers: (10.0 ** powers[0], 10.0 ** sum(powers))
    ),
    st.tuples(st.integers(1, 60), st.integers(2, 10**6)).map(
        lambda ends: (ends[0] - 0.5, sum(ends) + 0.5)
    ),
)


@MANY
@given(RANGES, st.floats(0, 1), st.sampled_from([1.0, 2.0**-20, 2.0**-53]))
@example((5e-324, 1.7e308), 0.5, 1.0)
@example((1.0, math.nextafter(1, 2)), 0.5, 1.0)
def test_a_place_in_a_range_and_back_are_the_decimal_ones(ends, u, factor):
    low, high = sorted(ends)
    assume(low < high)
    x = scalars.interpolate_log(low, high, u * factor)
    assert x == by_decimal(scalars.interpolate_log, low, high, u * factor)
    assert scalars.fraction_log(low, high, x) == by_decimal(scalars.fraction_log, low, high, x)
    whole = round(x)
    if low <= whole <= high:
        back = scalars.fraction_log(low, high, whole)
        assert back == by_decimal(scalars.fraction_log, low, high, whole)


@given(st.integers(-700 * rounded.ONE, 700 * rounded.ONE))
def test_an_exponential_is_within_a_quarter_of_the_error(exponent):
    n, m = rounded._exp(exponent)
    wrong = abs(exact(m) * mpmath.mpf(2) ** n / mpmath.exp(exact(exponent)) - 1)
    assert wrong * rounded.ONE < rounded.ERROR / 4


@given(st.integers(1, 2**60))
def test_a_logarithm_is_within_a_quarter_of_the_error(number):
    assert abs(rounded._log(number) - mpmath.log(number) * rounded.ONE) < rounded.ERROR / 4


@given(st.floats(5e-324, 1.7e308))
def test_a_logarithm_takes_digits_as_they_are_written(x):
    wanted = mpmath.log(mpmath.mpf(repr(x)))
    assert abs(rounded.log_as_written(x) - wanted * rounded.ONE) < rounded.ERROR / 4


@given(st.integers(2**52, 2**53 - 1), st.integers(-400, 400))
def test_half_way_between_two_floats_is_in_doubt_and_beside_it_is_not(mantissa, power):
    middle = (mantissa + mpmath.mpf("0.5")) * mpmath.mpf(2) ** power
    at_middle = int(mpmath.floor(mpmath.log(middle) * rounded.ONE))
    far = 8 * rounded.ERROR
    assert rounded.exp(at_middle) is None
    assert rounded.exp(at_middle - far) == math.ldexp(mantissa, power)
    assert rounded.exp(at_middle + far) == math.ldexp(mantissa + 1, power)


@given(st.integers(2**52, 2**53 - 1))
def test_a_quotient_half_way_is_in_doubt_and_beside_it_is_not(mantissa):
    middle = (2 * mantissa + 1) * rounded.ONE >> 54  # of a length of 1
    far = 8 * rounded.ERROR
    assert rounded.quotient(middle, rounded.ONE) is None
    assert rounded.quotient(middle - far, rounded.ONE) == mantissa * 2.0**-53
    assert rounded.quotient(middle + far, rounded.ONE) == (mantissa + 1) * 2.0**-53


def test_doubt_is_rare():
    units = [(k * 0.6180339887498949) % 1.0 for k in range(1, 2001)]
    fixed = rounded.fixed(Decimal("-11.5")), rounded.fixed(Decimal("11.5"))
    found = [rounded.exp(fixed[0] + (int(u * rounded.ONE) * fixed[1] >> 112)) for u in units]
    assert None not in found
    assert None not in [rounded.log(u) for u in units if u < 0.999]
