"""exp, log and their like for `arrays`, and what the normal distribution needs of their insides."""

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


def elementary(function: Callable[[Floats], Floats]) -> Elementary:
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


def constant(value: float) -> Floats:
    """Return a number as an array: numpy combines two arrays sooner than an array and a float."""
    return np.array(value)


def constants(*values: float) -> tuple[Floats, ...]:
    """Return numbers as arrays."""
    return tuple(map(constant, values))


ZERO, HALF, ONE, TWO, THREE, SIX, MINUS_ONE = constants(0.0, 0.5, 1.0, 2.0, 3.0, 6.0, -1.0)


def polynomial(coefficients: tuple[Floats, ...], x: Floats) -> Floats:
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
_ROUNDER = constant(1.5 * 2.0**52)
_ROUNDER_BITS = _ROUNDER.view(np.int64)
_INVERSE_LN2 = constant(1.4426950408889634)
_LN2_HIGH = constant(6.93147180369123816490e-01)  # its last 21 bits are 0: products are exact
_LN2_LOW = constant(1.90821492927058770002e-10)
# fmt: off
_EXP = constants(
    4.13813679705723846039e-08, -1.65339022054652515390e-06, 6.61375632143793436117e-05,
    -2.77777777770155933842e-03, 1.66666666666666019037e-01,
)
# fmt: on
_EXP_SAFE, _EXP_LOWEST, _EXP_HIGHEST = constants(700.0, -746.0, 710.0)
_BIAS, _EXPONENT_SHIFT, _INTEGER_ONE, _LOWEST_EXPONENT = np.array([[1023], [52], [1], [-1022]])


def reduced_exp(x: Floats, low: Floats | None = None) -> tuple[Floats, Ints]:
    """Return y and integers whose lowest bits are k: exp(x + low) = (1 + y) 2^k, |x| < 2000."""
    rounded = x * _INVERSE_LN2
    rounded += _ROUNDER
    k = rounded - _ROUNDER
    high = x - k * _LN2_HIGH
    k *= _LN2_LOW
    if low is not None:
        k -= low
    r = high - k
    square = r * r
    c = polynomial(_EXP, square)
    c *= square
    np.subtract(r, c, c)
    r *= c
    np.subtract(TWO, c, c)
    r /= c
    k -= r
    return np.subtract(high, k, k), rounded.view(np.int64)


def scaled(y: Floats, integers: Ints) -> Floats:
    """Return y 2^k in two steps, of which only the last may round, overflow or underflow."""
    k = integers - _ROUNDER_BITS
    half = k >> _INTEGER_ONE
    y = y * _power_of_two(half)
    k -= half
    y *= _power_of_two(k)
    return y


def _power_of_two(k: Ints) -> Floats:
    """Return 2^k for -1023 < k < 1024."""
    bits: Ints = (k + _BIAS) << _EXPONENT_SHIFT
    return bits.view(np.float64)


@elementary
def exp(x: Floats) -> Floats:
    """Return e to the power of x, to within 1 unit in the last place."""
    if _all(np.abs(x) < _EXP_SAFE):
        y, integers = reduced_exp(x)
        y += ONE
        bits = y.view(np.int64)
        bits += integers << _EXPONENT_SHIFT  # no exponent leaves its range here
        return y
    y, integers = reduced_exp(np.minimum(np.maximum(x, _EXP_LOWEST), _EXP_HIGHEST))
    y = scaled(y + ONE, integers)
    y[np.isnan(x)] = np.nan  # the sign of a computed nan depends on the processor
    return y


# --- expm1: fdlibm's s_expm1.c, but with one formula for every k. ---

# fmt: off
_EXPM1 = constants(
    -2.01099218183624371326e-07, 4.00821782732936239552e-06, -7.93650757867487942473e-05,
    1.58730158725481460165e-03, -3.33333333333331316428e-02, 1.0,
)
# fmt: on
_EXPM1_LOWEST = constant(-60.0)


@elementary
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
    half = r * HALF
    square = r * half
    ratio = polynomial(_EXPM1, square)
    t = THREE - ratio * half
    e = (ratio - t) / (SIX - r * t)
    e *= square
    e -= c
    e *= r
    e -= c
    e -= square  # expm1(r) = r - e
    # What this difference loses to rounding is subtracted afterwards: near r = -ln(2)/2 it counts.
    difference = e - r
    lost = e - (difference + r)
    integers = rounded.view(np.int64)
    y = ONE - _power_of_two(np.maximum(_ROUNDER_BITS - integers, _LOWEST_EXPONENT))
    y -= difference
    y -= lost
    y = scaled(y, integers)
    return np.copysign(y, x, y)  # -0 stays -0


# --- log and log1p: fdlibm's e_log.c and s_log1p.c, the argument split as in musl's log.c. ---

# fmt: off
_LOG_ODD = constants(
    1.479819860511658591e-01, 1.818357216161805012e-01, 2.857142874366239149e-01,
    6.666666666666735130e-01,
)
_LOG_EVEN = constants(1.531383769920937332e-01, 2.222219843214978396e-01, 3.999999999940941908e-01)
# fmt: on
_SQRT_HALF_BITS, _UP_TO_ONE, _FRACTION_MASK = np.array(
    [[0x3FE6A09E00000000], [0x3FF0000000000000 - 0x3FE6A09E00000000], [(1 << 52) - 1]]
)
_SMALLEST_NORMAL, _HUGE = constants(2.0**-1022, 1.7e308)
_FAR_UP, _FAR_UP_EXPONENT = constants(2.0**54, 54.0)


def _split(x: Floats) -> tuple[Floats, Floats]:
    """Return f and k with x = 2^k (1 + f), sqrt(1/2) < 1 + f < sqrt(2), for normal x > 0."""
    bits = x.view(np.int64) + _UP_TO_ONE
    k = (bits >> _EXPONENT_SHIFT) - _BIAS
    bits &= _FRACTION_MASK
    bits += _SQRT_HALF_BITS
    return bits.view(np.float64) - ONE, k.astype(np.float64)


def _log_of_split(f: Floats, k: Floats, correction: Floats | None = None) -> Floats:
    """Return k ln 2 + log(1 + f) + correction."""
    s = f / (TWO + f)
    z = s * s
    w = z * z
    ratio = polynomial(_LOG_ODD, w)
    ratio *= z
    even = polynomial(_LOG_EVEN, w)
    even *= w
    ratio += even
    half_square = f * f
    half_square *= HALF
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


def log_of_vector(x: Floats) -> Floats:
    """Return what `log` does, for a contiguous vector."""
    if _all((x >= _SMALLEST_NORMAL) & (x < _HUGE)):
        return _log_of_split(*_split(x))
    subnormal = x < _SMALLEST_NORMAL
    f, k = _split(np.where(subnormal, x * _FAR_UP, x))
    k[subnormal] -= _FAR_UP_EXPONENT
    y = _log_of_split(f, k)
    y[x == np.inf] = np.inf
    y[x == ZERO] = -np.inf
    y[~(x >= ZERO)] = np.nan
    return y


@elementary
def log(x: Floats) -> Floats:
    """Return the natural logarithm, to within 1 unit in the last place; -inf at 0, nan below."""
    return log_of_vector(x)


def log1p_of_vector(x: Floats) -> Floats:
    """Return the logarithm of 1 + x; what the sum loses is added to first order."""
    total = x + ONE
    rest = total - ONE
    lost = (ONE - (total - rest)) + (x - rest)
    lost /= total
    y = _log_of_split(*_split(total), lost)
    np.copysign(y, x, y)  # -0 stays -0
    if not _all((x > MINUS_ONE) & (x < _HUGE)):
        y[x == np.inf] = np.inf
        y[x == MINUS_ONE] = -np.inf
        y[~(x >= MINUS_ONE)] = np.nan
    return y


@elementary
def log1p(x: Floats) -> Floats:
    """Return log(1 + x), to within 1 unit in the last place also where x is small."""
    return log1p_of_vector(x)


_TANH_HIGHEST = constant(100.0)


@elementary
def tanh(x: Floats) -> Floats:
    """Return the hyperbolic tangent, to within 2 units in the last place."""
    size = np.abs(x)
    e = _expm1(np.minimum(TWO * size, _TANH_HIGHEST))
    under = e + TWO
    y = ONE - TWO / under
    near = size < ONE
    y[near] = e[near] / under[near]
    np.copysign(y, x, y)
    y[np.isnan(x)] = np.nan
    return y
