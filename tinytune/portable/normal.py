"""The normal distribution and the error function for `arrays`.

Of x >= 0 the upper tail is exp(-x^2/2) / sqrt(2 pi) M(x), and Mills' ratio M(x) is here written as
(1 + g(x)) / (x + 7/8) with -0.01 < g < 0.23. g is a polynomial in (x - 4) / (x + 4): a Chebyshev
fit, made for this in 50 digits, which between 0.66 and 40 is off by less than 2^-58.
"""

from __future__ import annotations

import numpy as np

from tinytune.portable.elementary import (
    HALF,
    ONE,
    TWO,
    ZERO,
    Floats,
    constant,
    constants,
    elementary,
    log1p_of_vector,
    log_of_vector,
    polynomial,
    reduced_exp,
    scaled,
)

# fmt: off
_MILLS = constants(
    -8.32606858413075e-09, 1.1981334649400549e-08, 5.795977306413178e-08, -5.0801252720957586e-08,
    -2.995276286766826e-07, 2.0599334189385164e-08, 1.4271979130492376e-06, 9.477459516574229e-07,
    -6.763637145628109e-06, -8.342334611291895e-06, 3.550806959737094e-05, 5.181442640762819e-05,
    -0.00022919206284924593, -0.00022242782689031607, 0.0018004989615639344,
    -0.0009161095492286279, -0.012698137302328128, 0.04761994491039712, -0.09037883351200855,
    0.09415845804301204, -0.003879689541620539, -0.18900920217605002, 0.15368036670360827,
)
# (normal_cdf(x) - 1/2) / x as a polynomial in x^2 for |x| < 0.68, fitted likewise: 2^-60.
_CENTRE = constants(
    2.0508045011720026e-09, -4.103705123850363e-08, 6.658814814411589e-07, -9.444632438658216e-06,
    0.00011543468381553415, -0.0011873282151394346, 0.009973557010020477, -0.06649038006690518,
    0.3989422804014327,
)
# fmt: on
_FOUR, _MILLS_SHIFT = constants(4.0, 0.875)
_ERFC_SHIFT, _ERFC_REST = constants(
    0.618718147277832, 2.8626039705260073e-07
)  # together 7/8 / sqrt(2)
_CENTRE_END, _LAST_TAIL = constants(0.671875, 40.0)
_SQRT_2, _MINUS_HALF = constants(1.4142135623730951, -0.5)
# The logarithms of sqrt(2 pi) and of sqrt(pi), each as a short number and a rest.
_NORMAL_HIGH, _NORMAL_LOW = constants(0.90625, 0.012688533204672742)
_ERFC_HIGH, _ERFC_LOW = constants(0.5625, 0.009864942924700087)
_LOG_SQRT_2PI = constant(0.9189385332046728)
_GRID_ROUNDER = constant(1.5 * 2.0**32)


def _mills_excess(x: Floats) -> Floats:
    """Return g(x), see above."""
    return polynomial(_MILLS, (x - _FOUR) / (x + _FOUR))


def _rounded(x: Floats) -> tuple[Floats, Floats]:
    """Return x <= 40 as a multiple of 2^-20, whose square is exact, and a small rest."""
    near = (x + _GRID_ROUNDER) - _GRID_ROUNDER
    return near, x - near


def _bell(x: Floats, near: Floats, rest: Floats) -> tuple[Floats, Floats]:
    """Return u and a small v: exp(u + v) is exp(-x^2/2) / sqrt(2 pi)."""
    low = near + x
    low *= rest
    low *= _MINUS_HALF
    low -= _NORMAL_LOW
    high = near * near
    high *= _MINUS_HALF
    high -= _NORMAL_HIGH
    return high, low


def _tail(
    high: Floats, low: Floats, excess: Floats, near: Floats, rest: Floats, shift: Floats
) -> Floats:
    """Return exp(high + low) (1 + excess) / (near + rest + shift); shift in multiples of 2^-20.

    What the divisor loses to rounding is given to the exponent, and only 1 + y is rounded, not each
    factor: that keeps the sum of all errors within 2 units in the last place.
    """
    divisor = near + shift
    exact = divisor.copy()
    divisor += rest
    exact -= divisor
    exact += rest
    exact /= divisor
    low -= exact
    y, integers = reduced_exp(high, low)
    product = y * excess
    product += excess
    product += y
    product += ONE
    product /= divisor
    return scaled(product, integers)


def _upper_tail(x: Floats) -> Floats:
    """Return the probability that a standard normal number is above x >= 0."""
    x = np.minimum(x, _LAST_TAIL)
    near, rest = _rounded(x)
    y = _tail(*_bell(x, near, rest), _mills_excess(x), near, rest, _MILLS_SHIFT)
    centre = x < _CENTRE_END
    if np.count_nonzero(centre):
        x = x[centre]
        y[centre] = HALF - x * polynomial(_CENTRE, x * x)
    return y


@elementary
def normal_cdf(x: Floats) -> Floats:
    """Return the probability that a standard normal number is below x.

    To within 2 units in the last place, also far in the lower tail.
    """
    y = _upper_tail(np.abs(x))
    above = x > ZERO
    y[above] = ONE - y[above]
    y[np.isnan(x)] = np.nan
    return y


@elementary
def normal_pdf(x: Floats) -> Floats:
    """Return the density of the standard normal distribution at x, to within 1 unit."""
    size = np.minimum(np.abs(x), _LAST_TAIL)
    y, integers = reduced_exp(*_bell(size, *_rounded(size)))
    y = scaled(y + ONE, integers)
    y[np.isnan(x)] = np.nan
    return y


@elementary
def log_normal_cdf(x: Floats) -> Floats:
    """Return the logarithm of `normal_cdf(x)`, also where that is too small for a float."""
    y = np.empty_like(x)
    far = x < -_CENTRE_END
    near = ~far
    if np.count_nonzero(far):
        y[far] = _log_upper_tail(-x[far])
    if np.count_nonzero(near):
        y[near] = _log_of_most(x[near])
    y[np.isnan(x)] = np.nan
    return y


def _log_of_most(x: Floats) -> Floats:
    """Return the logarithm of `normal_cdf(x)` for x > -0.68."""
    tail = _upper_tail(np.abs(x))
    below = x < ZERO
    tail[below] = ONE - tail[below]
    return log1p_of_vector(-tail)


def _log_upper_tail(x: Floats) -> Floats:
    """Return the logarithm of `_upper_tail(x)` for x > 0.67, without its underflow."""
    ratio = (_mills_excess(x) + ONE) / (x + _MILLS_SHIFT)
    far = x > _LAST_TAIL
    if np.count_nonzero(far):
        ratio[far] = _far_mills(x[far])
    y = log_of_vector(ratio)
    y -= _LOG_SQRT_2PI
    y -= x * x * HALF
    return y


_MILLS_SERIES = constants(945.0, -105.0, 15.0, -3.0, 1.0)


def _far_mills(x: Floats) -> Floats:
    """Return Mills' ratio for x > 40: (1 - 1/x^2 + 3/x^4 …) / x (Abramowitz and Stegun 26.2.12)."""
    square = ONE / (x * x)
    return (ONE - square * polynomial(_MILLS_SERIES, square)) / x


# --- erf and erfc: near 0 with the polynomials of FreeBSD's s_erf.c, elsewhere as above. ---

# fmt: off
_ERF_OVER = constants(
    -2.37630166566501626084e-05, -5.77027029648944159157e-03, -2.84817495755985104766e-02,
    -3.25042107247001499370e-01, 1.28379167095512558561e-01,
)
_ERF_UNDER = constants(
    -3.96022827877536812320e-06, 1.32494738004321644526e-04, 5.08130628187576562776e-03,
    6.50222499887672944485e-02, 3.97917223959155352819e-01, 1.0,
)
# fmt: on
_ERF_NEAR, _LAST_ERFC = constants(0.625, 28.0)


def _near_erf_excess(x: Floats) -> Floats:
    """Return erf(x) - x for |x| < 0.84375."""
    square = x * x
    return x * (polynomial(_ERF_OVER, square) / polynomial(_ERF_UNDER, square))


def _far_erfc(x: Floats) -> Floats:
    """Return exp(-x^2) / sqrt(pi) (1 + g(sqrt(2) x)) / (x + 7/8 / sqrt(2)) for x > 0.5."""
    x = np.minimum(x, _LAST_ERFC)
    near, rest = _rounded(x)
    high = -(near * near) - _ERFC_HIGH
    low = -(near + x) * rest - _ERFC_LOW
    return _tail(high, low, _mills_excess(x * _SQRT_2), near, rest + _ERFC_REST, _ERFC_SHIFT)


@elementary
def erf(x: Floats) -> Floats:
    """Return 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, to within 2 units."""
    size = np.abs(x)
    y = np.copysign(ONE - _far_erfc(size), x)
    near = size < _ERF_NEAR
    if np.count_nonzero(near):
        x_near = x[near]
        y[near] = x_near + _near_erf_excess(x_near)
    y[np.isnan(x)] = np.nan
    return y


@elementary
def erfc(x: Floats) -> Floats:
    """Return 1 - erf(x), to within 2 units in the last place, also far in the upper tail."""
    size = np.abs(x)
    y = _far_erfc(size)
    below = x < ZERO
    y[below] = TWO - y[below]
    near = size < _ERF_NEAR
    if np.count_nonzero(near):
        x_near = x[near]
        # x - 1/2 is exact where it counts, from 1/4 on
        y[near] = HALF - (_near_erf_excess(x_near) + (x_near - HALF))
    y[np.isnan(x)] = np.nan
    return y


# --- The normal quantile: Wichura (1988), algorithm AS 241, routine PPND16. ---

# fmt: off
_CENTRE_OVER = constants(
    2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
    13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608,
)
_CENTRE_UNDER = constants(
    5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
    5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0,
)
_NEAR_OVER = constants(
    7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177,
    1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959,
    1.42343711074968357734,
)
_NEAR_UNDER = constants(
    1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966,
    0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187,
    1.0,
)
_FAR_OVER = constants(
    2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386,
    0.026532189526576123093, 0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699,
    6.6579046435011037772,
)
_FAR_UNDER = constants(
    2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5,
    7.868691311456132591e-4, 0.0148753612908506148525, 0.13692988092273580531,
    0.59983220655588793769, 1.0,
)
# fmt: on
_CENTRE_WIDTH, _CENTRE_SQUARE = constants(0.425, 0.180625)
_NEAR_START, _FAR_START = constants(1.6, 5.0)


@elementary
def normal_quantile(x: Floats) -> Floats:
    """Return z with `normal_cdf(z)` = x; -inf at 0, inf at 1, nan outside."""
    q = x - HALF
    r = _CENTRE_SQUARE - q * q
    z = q * polynomial(_CENTRE_OVER, r)
    z /= polynomial(_CENTRE_UNDER, r)
    outside = ~(np.abs(q) <= _CENTRE_WIDTH)
    if np.count_nonzero(outside):
        z[outside] = _tail_quantile(x[outside])
    return z


def _tail_quantile(p: Floats) -> Floats:
    """Return the quantiles of p < 0.075 or p > 0.925, or nan."""
    r = np.sqrt(-log_of_vector(np.minimum(p, ONE - p)))
    far = r > _FAR_START
    near = r - _NEAR_START
    z = polynomial(_NEAR_OVER, near) / polynomial(_NEAR_UNDER, near)
    if np.count_nonzero(far):
        r = r[far] - _FAR_START
        z[far] = polynomial(_FAR_OVER, r) / polynomial(_FAR_UNDER, r)
    np.copysign(z, p - HALF, z)
    edge = ~((p > ZERO) & (p < ONE))
    if np.count_nonzero(edge):
        z[edge] = np.nan
        z[p == ZERO] = -np.inf
        z[p == ONE] = np.inf
    return z
