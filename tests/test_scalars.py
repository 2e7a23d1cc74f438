"""exp, log and the normal distribution, against references that do not share their code.

scipy is not exact far out in the tails; mpmath computes to as many digits as it is told.
"""

import decimal
import math
from decimal import Decimal

import mpmath
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import special, stats

from tinytune.portable import scalars

POSITIVE = st.floats(5e-324, 1.7e308)


def ulps(value, exact):
    """How many units in the last place a float is from an exact number."""
    return abs(mpmath.mpf(value) - exact) / mpmath.mpf(math.ulp(value))


@pytest.fixture(autouse=True)
def _sixty_digits():
    with mpmath.workdps(60):
        yield


@given(st.floats(-745, 709.7))
def test_exp_is_within_an_ulp_of_math(x):
    assert abs(scalars.exp(x) - math.exp(x)) <= math.ulp(math.exp(x))


@given(st.one_of(POSITIVE, st.floats(0.9, 1.1)))
def test_log_is_within_an_ulp_of_math(x):
    assert abs(scalars.log(x) - math.log(x)) <= math.ulp(math.log(x))


@given(st.floats(-700, 700))
def test_exp_is_rounded_correctly(x):
    # The reference is rounded once more, to a float: half an ulp, and nothing beyond.
    with mpmath.workdps(60):
        assert scalars.exp(x) == float(mpmath.exp(mpmath.mpf(x)))


@given(st.one_of(POSITIVE, st.floats(0.999, 1.001)))
@example(1.0)
@example(1 + 2**-52)
@example(1 - 2**-53)
@example(5e-324)
def test_log_is_rounded_correctly(x):
    with mpmath.workdps(60):
        assert scalars.log(x) == float(mpmath.log(mpmath.mpf(x)))


@pytest.mark.parametrize("x", [1e3, 1e6, 1e7, 1e300, math.inf])
def test_exp_of_too_much_is_infinite_and_of_too_little_zero(x):
    assert scalars.exp(x) == math.inf
    assert scalars.exp(-x) == 0.0


@pytest.mark.parametrize("low", range(-12, 1))
def test_interpolation_gives_powers_of_ten_exactly(low):
    for high in range(low + 1, 7):
        steps = high - low
        for step, mark in enumerate(scalars.marks(steps + 1)):
            wanted = float(f"1e{low + step}")
            assert scalars.interpolate_log(float(f"1e{low}"), float(f"1e{high}"), mark) == wanted


def test_interpolation_gives_powers_of_two_exactly():
    found = [scalars.interpolate_log(16, 256, mark) for mark in scalars.marks(5)]
    assert found == [16, 32, 64, 128, 256]
    assert all(isinstance(x, float) for x in found)


def test_linear_interpolation_is_decimal():
    found = [scalars.interpolate(0.1, 0.5, mark) for mark in scalars.marks(5)]
    assert found == [0.1, 0.2, 0.3, 0.4, 0.5]


@given(st.floats(1e-300, 1e300), st.floats(1.001, 1e3), st.floats(0, 1))
def test_log_interpolation_and_its_inverse(low, factor, u):
    high = low * factor
    x = scalars.interpolate_log(low, high, u)
    assert low <= x <= high
    assert scalars.fraction_log(low, high, x) == pytest.approx(u, abs=1e-12)


@given(st.floats(1e-300, 1e300), st.floats(1.001, 1e3))
def test_log_interpolation_reaches_both_ends(low, factor):
    high = low * factor
    assert scalars.interpolate_log(low, high, 0.0) == low
    assert scalars.interpolate_log(low, high, 1.0) == high
    assert scalars.fraction_log(low, high, low) == 0
    assert scalars.fraction_log(low, high, high) == 1


@given(st.floats(-38.4, 8.2))
def test_the_normal_cdf_is_within_an_ulp(z):
    with mpmath.workdps(60):
        assert ulps(scalars.normal_cdf(z), mpmath.ncdf(z)) <= 1


@given(st.floats(-37, 8))
def test_the_normal_cdf_against_scipy(z):
    assert scalars.normal_cdf(z) == pytest.approx(stats.norm.cdf(z), rel=1e-12)


def test_the_normal_cdf_beyond_the_floats():
    assert scalars.normal_cdf(-math.inf) == scalars.normal_cdf(-40) == 0.0
    assert scalars.normal_cdf(math.inf) == scalars.normal_cdf(40) == 1.0
    assert scalars.normal_cdf(0.0) == 0.5
    below, above = scalars.normal_cdf(-4 - 1e-12), scalars.normal_cdf(-4 + 1e-12)
    assert below < scalars.normal_cdf(-4) < above  # where the two methods meet


@pytest.mark.parametrize(
    ("p", "z"),
    [  # the values that the paper gives
        (0.25, -0.6744897501960817),
        (0.001, -3.090232306167813),
        (1e-20, -9.262340089798408),
        (0.5, 0.0),
    ],
)
def test_known_values_of_as_241(p, z):
    assert scalars.normal_quantile(p) == pytest.approx(z, rel=4e-16)


@given(st.one_of(st.floats(1e-300, 0.5), st.floats(-300, -0.4).map(lambda e: 10.0**e)))
def test_the_normal_quantile_inverts_the_cdf(p):
    z = scalars.normal_quantile(p)
    with mpmath.workdps(60):
        # A relative error of 1e-15 in z moves the probability by this much of itself.
        slope = mpmath.npdf(z) / mpmath.ncdf(z)
        allowed = slope * (abs(z) * mpmath.mpf("1.5e-15") + mpmath.mpf("1e-16"))
        assert abs(mpmath.ncdf(z) / mpmath.mpf(p) - 1) <= allowed


@given(st.floats(1e-300, 1 - 2**-53))
def test_the_normal_quantile_against_scipy(p):
    assert scalars.normal_quantile(p) == pytest.approx(special.ndtri(p), rel=1e-11, abs=1e-15)


@given(st.integers(1, 2**52 - 1))
def test_the_normal_quantile_is_odd(k):
    p = k * 2.0**-53  # then 1 - p is exact
    assert scalars.normal_quantile(1 - p) == -scalars.normal_quantile(p)


def test_the_normal_quantile_at_the_ends_of_the_floats():
    assert scalars.normal_quantile(5e-324) == pytest.approx(-38.46740561714434, rel=1e-4)
    assert scalars.normal_quantile(1 - 2**-53) == pytest.approx(8.209536151601387, rel=1e-14)


@pytest.mark.parametrize(
    ("count", "size", "steps"),
    [
        (1, 1, [0]),
        (1, 4, [2]),
        (2, 5, [0, 4]),
        (3, 5, [0, 2, 4]),
        (3, 6, [0, 2, 5]),
        (9, 4, [0, 1, 2, 3]),
        (3, 10**30 + 1, [0, 5 * 10**29, 10**30]),
    ],
)
def test_steps(count, size, steps):
    assert scalars.steps(count, size) == steps


@given(st.integers(1, 60), st.integers(1, 10**9))
def test_steps_are_different_and_reach_both_ends(count, size):
    steps = scalars.steps(count, size)
    assert len(set(steps)) == len(steps) == min(count, size)
    assert steps == sorted(steps)
    if len(steps) > 1:
        assert (steps[0], steps[-1]) == (0, size - 1)


def test_shares_end_at_one():
    assert scalars.shares([1, 1, 2]) == [0.25, 0.5, 1.0]
    assert scalars.shares([0.1] * 10)[-1] == 1.0


@given(st.floats(1e-3, 1e3), st.floats(0, 1), st.floats(-9, 9))
def test_the_threads_decimal_context_plays_no_part(x, u, z):
    def all_of_them():
        for cached in (scalars.log_decimal, scalars._log_range, scalars._log_range_fixed):
            cached.cache_clear()
        scalars.normal_cdf.cache_clear()
        return (
            scalars.log(x), scalars.exp(z), scalars.normal_cdf(z), scalars.rational(x),
            scalars.interpolate(0.1, x, u), scalars.interpolate_log(1e-4, x, u),
            scalars.fraction_log(1e-4, 1e4, x), scalars.marks(7), scalars.steps(7, 1000),
        )  # fmt: skip

    expected = all_of_them()
    hostile = decimal.Context(
        prec=3, rounding=decimal.ROUND_UP, Emin=-5, Emax=5,
        traps=[decimal.FloatOperation, decimal.Inexact, decimal.Rounded],
    )  # fmt: skip
    with decimal.localcontext(hostile):
        assert all_of_them() == expected


def test_as_written():
    assert scalars.as_written(0.1) == Decimal("0.1")
    assert scalars.as_written(3) == Decimal(3)
    assert scalars.as_written(1e-300) == Decimal("1e-300")
