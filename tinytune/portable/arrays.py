"""Elementary functions of arrays that give the same bits on every machine.

numpy's own exp and log differ between processors in the last bit. These are built from + - * /,
sqrt, comparisons and integer arithmetic only, which IEEE 754 leaves no freedom in; each step is a
ufunc of its own, so no compiler fuses two of them. What an element gives depends on nothing but
that element: not on its neighbours, nor on the array's length, strides or alignment.

Every function takes a float or an array of any shape and returns the same. Edges are numpy's
(log(0) is -inf, log(-1) is nan), without warnings.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Protocol, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Elementary(Protocol):
    """A function of a float, or of each element of an array."""

    @overload
    def __call__(self, x: float) -> float: ...
    @overload
    def __call__(self, x: ArrayLike) -> Floats: ...


# Intermediate results of this many numbers stay in the processor's cache.
_BLOCK = 8192


def _elementary(function: Callable[[Floats], Floats]) -> Elementary:
    """Let a function of a contiguous vector, which it must not change, take any shape."""

    @wraps(function)
    def of_any_shape(x: ArrayLike) -> float | Floats:
        array = np.asarray(x, dtype=np.float64)
        flat = array.ravel()
        with np.errstate(all="ignore"):
            if flat.size <= _BLOCK:
                result = function(flat)
            else:
                result = np.empty(flat.size)
                for start in range(0, flat.size, _BLOCK):
                    result[start : start + _BLOCK] = function(flat[start : start + _BLOCK])
        return float(result[0]) if isinstance(x, (float, int)) else result.reshape(array.shape)

    return of_any_shape  # type: ignore[return-value]


def _constant(value: float) -> Floats:
    """Return a number as an array: numpy combines two arrays sooner than an array and a float."""
    return np.array(value)


def _constants(*values: float) -> tuple[Floats, ...]:
    return tuple(map(_constant, values))


def _integer(value: int) -> Ints:
    return np.array(value)


_HALF, _ONE, _TWO, _THREE, _SIX = _constants(0.5, 1.0, 2.0, 3.0, 6.0)
_SMALLEST_NORMAL = _constant(2.0**-1022)
_HUGE = _constant(1.7e308)


def _polynomial(coefficients: tuple[Floats, ...], x: Floats) -> Floats:
    """Evaluate a polynomial whose coefficients are given from the highest power down."""
    total = coefficients[0] * x
    for coefficient in coefficients[1:-1]:
        total += coefficient
        total *= x
    total += coefficients[-1]
    return total


def _all(mask: NDArray[np.bool_]) -> bool:
    return int(np.count_nonzero(mask)) == mask.size


# --- exp. The reduction and the polynomial are fdlibm's (Sun Microsystems 1993, e_exp.c). ---

# Adding 1.5 2^52 rounds to an integer, which then stands in the lowest bits of the sum.
_ROUNDER = _constant(1.5 * 2.0**52)
_INVERSE_LN2 = _constant(1.4426950408889634)
_LN2_HIGH = _constant(6.93147180369123816490e-01)  # its last 21 bits are 0: products are exact
_LN2_LOW = _constant(1.90821492927058770002e-10)
_EXP = _constants(
    4.13813679705723846039e-08,
    -1.65339022054652515390e-06,
    6.61375632143793436117e-05,
    -2.77777777770155933842e-03,
    1.66666666666666019037e-01,
)
_EXP_SAFE, _EXP_LOWEST, _EXP_HIGHEST = _constants(700.0, -746.0, 710.0)
_BIAS, _EXPONENT_SHIFT, _INTEGER_ONE = _integer(1023), _integer(52), _integer(1)


def _reduced_exp(x: Floats, low: Floats | None = None) -> tuple[Floats, Ints]:
    """Return y and integers n of which the lowest bits are k: exp(x + low) = y 2^k, |x| < 2000."""
    rounded = x * _INVERSE_LN2
    rounded += _ROUNDER
    k = rounded - _ROUNDER
    high = x - k * _LN2_HIGH
    k *= _LN2_LOW
    if low is not None:
        k -= low
    r = high - k
    square = r * r
    c = _polynomial(_EXP, square)
    c *= square
    np.subtract(r, c, c)
    r *= c
    np.subtract(_TWO, c, c)
    r /= c
    k -= r
    k -= high
    return np.subtract(_ONE, k, k), rounded.view(np.int64)


def _scaled(y: Floats, n: Ints) -> Floats:
    """Return y 2^k in two steps, of which only the last may round, overflow or underflow."""
    k = n - _ROUNDER.view(np.int64)
    half = k >> _INTEGER_ONE
    y *= _power_of_two(half)
    k -= half
    y *= _power_of_two(k)
    return y


def _power_of_two(k: Ints) -> Floats:
    """Return 2^k for -1023 < k < 1024."""
    return ((k + _BIAS) << _EXPONENT_SHIFT).view(np.float64)


@_elementary
def exp(x: Floats) -> Floats:
    """Return e to the power of x, to within 1 unit in the last place."""
    if _all(np.abs(x) < _EXP_SAFE):
        y, n = _reduced_exp(x)
        bits = y.view(np.int64)
        bits += n << _EXPONENT_SHIFT  # no exponent leaves its range here
        return y
    y = _scaled(*_reduced_exp(np.minimum(np.maximum(x, _EXP_LOWEST), _EXP_HIGHEST)))
    y[np.isnan(x)] = np.nan  # the sign of a computed nan depends on the processor
    return y


# --- expm1: fdlibm's s_expm1.c, but with one formula for every k. ---

_EXPM1 = _constants(
    -2.01099218183624371326e-07,
    4.00821782732936239552e-06,
    -7.93650757867487942473e-05,
    1.58730158725481460165e-03,
    -3.33333333333331316428e-02,
    1.0,
)
_EXPM1_LOWEST = _constant(-60.0)


@_elementary
def expm1(x: Floats) -> Floats:
    """Return exp(x) - 1, to within 1 unit in the last place also where x is small."""
    if _all(np.abs(x) < _EXP_SAFE):
        return _expm1(x)
    y = _expm1(np.minimum(np.maximum(x, _EXPM1_LOWEST), _EXP_HIGHEST))
    y[np.isnan(x)] = np.nan
    return y


def _expm1(x: Floats) -> Floats:
    """Return 2^k ((1 - 2^-k) + expm1(r)), where x = k ln 2 + r, for -700 < x <= 710."""
    rounded = x * _INVERSE_LN2
    rounded += _ROUNDER
    k = rounded - _ROUNDER
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    c = (high - r) - low
    half = r * _HALF
    square = r * half
    ratio = _polynomial(_EXPM1, square)
    t = _THREE - ratio * half
    e = (ratio - t) / (_SIX - r * t)
    e *= square
    e -= c
    e *= r
    e -= c
    e -= square
    # What the difference loses to rounding is subtracted afterwards: near r = -ln(2)/2 it counts.
    difference = e - r
    lost = (e - difference) - r
    powers = rounded.view(np.int64) - _ROUNDER.view(np.int64)
    y = _ONE - _power_of_two(np.maximum(-powers, _integer(-1022)))
    y -= difference
    y -= lost
    y = _scaled(y, rounded.view(np.int64))
    return np.copysign(y, x, y)  # -0 stays -0


# --- log and log1p: fdlibm's e_log.c and s_log1p.c, the argument split as in musl's log.c. ---

_LOG_ODD = _constants(
    1.479819860511658591e-01,
    1.818357216161805012e-01,
    2.857142874366239149e-01,
    6.666666666666735130e-01,
)
_LOG_EVEN = _constants(1.531383769920937332e-01, 2.222219843214978396e-01, 3.999999999940941908e-01)
_SQRT_HALF_BITS = _integer(0x3FE6A09E00000000)
_ONE_BITS_OVER = _integer(0x3FF0000000000000 - 0x3FE6A09E00000000)
_FRACTION_MASK = _integer((1 << 52) - 1)
_FAR_UP, _FAR_UP_EXPONENT = _constants(2.0**54, 54.0)
_ZERO, _MINUS_ONE = _constants(0.0, -1.0)


def _split(x: Floats) -> tuple[Floats, Floats]:
    """Return f and k with x = 2^k (1 + f), sqrt(1/2) < 1 + f < sqrt(2), for normal x > 0."""
    bits = x.view(np.int64) + _ONE_BITS_OVER
    k = (bits >> _EXPONENT_SHIFT) - _BIAS
    bits &= _FRACTION_MASK
    bits += _SQRT_HALF_BITS
    return bits.view(np.float64) - _ONE, k.astype(np.float64)


def _log_of_split(f: Floats, k: Floats, correction: Floats | None = None) -> Floats:
    """Return k ln 2 + log(1 + f) + correction."""
    s = f / (_TWO + f)
    z = s * s
    w = z * z
    ratio = _polynomial(_LOG_ODD, w)
    ratio *= z
    even = _polynomial(_LOG_EVEN, w)
    even *= w
    ratio += even
    half_square = f * f
    half_square *= _HALF
    ratio += half_square
    ratio *= s
    low = k * _LN2_LOW
    if correction is not None:
        low += correction
    ratio += low
    ratio -= half_square
    ratio += f
    k *= _LN2_HIGH
    ratio += k
    return ratio


def _log(x: Floats) -> Floats:
    """Return the logarithm of a vector."""
    if _all((x >= _SMALLEST_NORMAL) & (x < _HUGE)):
        return _log_of_split(*_split(x))
    subnormal = x < _SMALLEST_NORMAL
    f, k = _split(np.where(subnormal, x * _FAR_UP, x))
    k[subnormal] -= _FAR_UP_EXPONENT
    y = _log_of_split(f, k)
    y[x == np.inf] = np.inf
    y[x == _ZERO] = -np.inf
    y[~(x >= _ZERO)] = np.nan
    return y


@_elementary
def log(x: Floats) -> Floats:
    """Return the natural logarithm, to within 1 unit in the last place; -inf at 0, nan below."""
    return _log(x)


def _log1p(x: Floats) -> Floats:
    """Return the logarithm of 1 + x, where what the sum loses is added to first order."""
    total = x + _ONE
    rest = total - _ONE
    lost = (_ONE - (total - rest)) + (x - rest)
    lost /= total
    y = _log_of_split(*_split(total), lost)
    np.copysign(y, x, y)  # -0 stays -0
    if not _all((x > _MINUS_ONE) & (x < _HUGE)):
        y[x == np.inf] = np.inf
        y[x == _MINUS_ONE] = -np.inf
        y[~(x >= _MINUS_ONE)] = np.nan
    return y


@_elementary
def log1p(x: Floats) -> Floats:
    """Return log(1 + x), to within 1 unit in the last place also where x is small."""
    return _log1p(x)


@_elementary
def tanh(x: Floats) -> Floats:
    """Return the hyperbolic tangent, to within 2 units in the last place."""
    e = _expm1(np.maximum(np.abs(x) * -_TWO, _EXPM1_LOWEST))
    y = np.copysign(e / (e + _TWO), x)
    y[np.isnan(x)] = np.nan
    return y


# --- The normal distribution. ---
#
# Of x >= 0 the upper tail is exp(-x^2/2) / sqrt(2 pi) M(x), and Mills' ratio M(x) is
# (1 + g(x)) / (x + 3/4) with 0 < g < 0.19. g is a polynomial in (x - 6) / (x + 6): a Chebyshev fit
# (of ours, in 50 digits) for 0 <= x <= 40, which is off by less than 2^-58.

_MILLS = _constants(
    4.2666220779616815e-10,
    5.197318654065432e-09,
    6.775556838991542e-09,
    -4.4526760025975624e-08,
    -4.8416267318704376e-08,
    3.5135651793890707e-07,
    -3.762375597728357e-08,
    -2.5798076361602133e-06,
    4.918352122167655e-06,
    1.0762676557373855e-05,
    -6.94948074170036e-05,
    0.00010758978028041693,
    0.0002917614700987378,
    -0.0022912785137972585,
    0.007993684139598469,
    -0.01983821173097823,
    0.038748645840832756,
    -0.06144597895098068,
    0.07859809190386324,
    -0.0760694140023519,
    0.04036454384829238,
    0.03347238900418221,
    -0.13592487336000397,
    0.09604921105385536,
)
_MILLS_SHIFT, _ERFC_SHIFT = _constants(0.75, 0.5303300858899106)  # the second is 0.75 / sqrt(2)
_LAST_TAIL = _constant(40.0)
_SQRT_2 = _constant(1.4142135623730951)
# The logarithms of sqrt(2 pi) and of sqrt(pi), each as an exact number and a rest.
_NORMAL_HIGH, _NORMAL_LOW = _constants(0.90625, 0.012688533204672742)
_ERFC_HIGH, _ERFC_LOW = _constants(0.5625, 0.009864942924700087)
_LOG_SQRT_2PI = _constant(0.9189385332046728)
_GRID_ROUNDER = _constant(1.5 * 2.0**32)


def _mills_excess(x: Floats) -> Floats:
    """Return g(x), see above."""
    return _polynomial(_MILLS, (x - _SIX) / (x + _SIX))


def _bell(x: Floats) -> tuple[Floats, Ints]:
    """Return exp(-x^2/2) / sqrt(2 pi) for 0 <= x <= 40, as a pair like `_reduced_exp`'s.

    x is rounded to a multiple of 2^-20 whose square is exact; the rest is small.
    """
    near = (x + _GRID_ROUNDER) - _GRID_ROUNDER
    low = (near - x) * (near + x)
    low *= _HALF
    low -= _NORMAL_LOW
    near *= near
    near *= -_HALF
    near -= _NORMAL_HIGH
    return _reduced_exp(near, low)


def _normal_tail(x: Floats) -> Floats:
    """Return the probability that a standard normal number is above x >= 0."""
    x = np.minimum(x, _LAST_TAIL)
    y, n = _bell(x)
    y += y * _mills_excess(x)
    y /= x + _MILLS_SHIFT
    return _scaled(y, n)


@_elementary
def normal_cdf(x: Floats) -> Floats:
    """Return the probability that a standard normal number is below x, also far in the tail."""
    y = _normal_tail(np.abs(x))
    above = x > _ZERO
    y[above] = _ONE - y[above]
    y[np.isnan(x)] = np.nan
    return y


@_elementary
def normal_pdf(x: Floats) -> Floats:
    """Return the density of the standard normal distribution at x."""
    y = _scaled(*_bell(np.minimum(np.abs(x), _LAST_TAIL)))
    y[np.isnan(x)] = np.nan
    return y


@_elementary
def log_normal_cdf(x: Floats) -> Floats:
    """Return the logarithm of `normal_cdf(x)`, also where that is too small for a float."""
    y = np.empty_like(x)
    above = x > _ZERO
    below = ~above
    if np.count_nonzero(above):
        y[above] = _log1p(-_normal_tail(x[above]))
    if np.count_nonzero(below):
        y[below] = _log_lower_tail(-x[below])
    y[np.isnan(x)] = np.nan
    return y


def _log_lower_tail(x: Floats) -> Floats:
    """Return the logarithm of `_normal_tail(x)`, without its underflow."""
    ratio = (_mills_excess(x) + _ONE) / (x + _MILLS_SHIFT)
    far = x > _LAST_TAIL
    if np.count_nonzero(far):
        ratio[far] = _far_mills(x[far])
    y = _log(ratio)
    y -= _LOG_SQRT_2PI
    y -= x * x * _HALF
    return y


def _far_mills(x: Floats) -> Floats:
    """Return Mills' ratio for x > 40, Abramowitz and Stegun 26.2.12: (1 - 1/x^2 + 3/x^4 …) / x."""
    y = _ONE / (x * x)
    series = _ONE - _constant(9.0) * y
    for n in (7.0, 5.0, 3.0, 1.0):
        series *= y
        series *= _constant(-n)
        series += _ONE
    return series / x


# --- erf and erfc: near 0 with the polynomials of FreeBSD's s_erf.c, elsewhere as above. ---

_ERF_OVER = _constants(
    -2.37630166566501626084e-05,
    -5.77027029648944159157e-03,
    -2.84817495755985104766e-02,
    -3.25042107247001499370e-01,
    1.28379167095512558561e-01,
)
_ERF_UNDER = _constants(
    -3.96022827877536812320e-06,
    1.32494738004321644526e-04,
    5.08130628187576562776e-03,
    6.50222499887672944485e-02,
    3.97917223959155352819e-01,
    1.0,
)
_ERF_NEAR, _ERFC_NEAR, _LAST_ERFC = _constants(0.84375, 0.46875, 28.0)


def _near_erf(x: Floats) -> Floats:
    """Return erf(x) for |x| < 0.84375."""
    square = x * x
    return x + x * (_polynomial(_ERF_OVER, square) / _polynomial(_ERF_UNDER, square))


def _far_erfc(x: Floats) -> Floats:
    """Return erfc(x) for x >= 0: exp(-x^2) / sqrt(pi) (1 + g(sqrt(2) x)) / (x + 0.75 / sqrt(2))."""
    x = np.minimum(x, _LAST_ERFC)
    near = (x + _GRID_ROUNDER) - _GRID_ROUNDER
    low = (near - x) * (near + x) - _ERFC_LOW
    y, n = _reduced_exp(-(near * near) - _ERFC_HIGH, low)
    y += y * _mills_excess(x * _SQRT_2)
    y /= x + _ERFC_SHIFT
    return _scaled(y, n)


@_elementary
def erf(x: Floats) -> Floats:
    """Return the error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    y = np.copysign(_ONE - _far_erfc(np.abs(x)), x)
    near = np.abs(x) < _ERF_NEAR
    if np.count_nonzero(near):
        y[near] = _near_erf(x[near])
    y[np.isnan(x)] = np.nan
    return y


@_elementary
def erfc(x: Floats) -> Floats:
    """Return 1 - erf(x), also far in the tail."""
    y = _far_erfc(np.abs(x))
    below = x < _ZERO
    y[below] = _TWO - y[below]
    near = np.abs(x) < _ERFC_NEAR
    if np.count_nonzero(near):
        y[near] = _ONE - _near_erf(x[near])
    y[np.isnan(x)] = np.nan
    return y


# --- The normal quantile: Wichura (1988), algorithm AS 241, routine PPND16. ---

_CENTRE_OVER = _constants(
    2509.0809287301226727,
    33430.575583588128105,
    67265.770927008700853,
    45921.953931549871457,
    13731.693765509461125,
    1971.5909503065514427,
    133.14166789178437745,
    3.387132872796366608,
)
_CENTRE_UNDER = _constants(
    5226.495278852545925,
    28729.085735721942674,
    39307.89580009271061,
    21213.794301586595867,
    5394.1960214247511077,
    687.1870074920579083,
    42.313330701600911252,
    1.0,
)
_NEAR_OVER = _constants(
    7.7454501427834140764e-4,
    0.0227238449892691845833,
    0.24178072517745061177,
    1.27045825245236838258,
    3.64784832476320460504,
    5.7694972214606914055,
    4.6303378461565452959,
    1.42343711074968357734,
)
_NEAR_UNDER = _constants(
    1.05075007164441684324e-9,
    5.475938084995344946e-4,
    0.0151986665636164571966,
    0.14810397642748007459,
    0.68976733498510000455,
    1.6763848301838038494,
    2.05319162663775882187,
    1.0,
)
_FAR_OVER = _constants(
    2.01033439929228813265e-7,
    2.71155556874348757815e-5,
    0.0012426609473880784386,
    0.026532189526576123093,
    0.29656057182850489123,
    1.7848265399172913358,
    5.4637849111641143699,
    6.6579046435011037772,
)
_FAR_UNDER = _constants(
    2.04426310338993978564e-15,
    1.4215117583164458887e-7,
    1.8463183175100546818e-5,
    7.868691311456132591e-4,
    0.0148753612908506148525,
    0.13692988092273580531,
    0.59983220655588793769,
    1.0,
)
_CENTRE_WIDTH, _CENTRE_SQUARE = _constants(0.425, 0.180625)
_NEAR_START, _FAR_START = _constants(1.6, 5.0)


@_elementary
def normal_quantile(x: Floats) -> Floats:
    """Return z with `normal_cdf(z)` = x; -inf at 0, inf at 1, nan outside."""
    q = x - _HALF
    r = _CENTRE_SQUARE - q * q
    z = q * _polynomial(_CENTRE_OVER, r)
    z /= _polynomial(_CENTRE_UNDER, r)
    outside = ~(np.abs(q) <= _CENTRE_WIDTH)
    if np.count_nonzero(outside):
        z[outside] = _tail_quantile(x[outside])
    return z


def _tail_quantile(p: Floats) -> Floats:
    """Return the quantiles of p < 0.075 or p > 0.925, or nan."""
    r = np.sqrt(-_log(np.minimum(p, _ONE - p)))
    far = r > _FAR_START
    near = r - _NEAR_START
    z = _polynomial(_NEAR_OVER, near) / _polynomial(_NEAR_UNDER, near)
    if np.count_nonzero(far):
        r = r[far] - _FAR_START
        z[far] = _polynomial(_FAR_OVER, r) / _polynomial(_FAR_UNDER, r)
    np.copysign(z, p - _HALF, z)
    edge = ~((p > _ZERO) & (p < _ONE))
    if np.count_nonzero(edge):
        z[edge] = np.nan
        z[p == _ZERO] = -np.inf
        z[p == _ONE] = np.inf
    return z
