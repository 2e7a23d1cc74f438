"""Elementary functions that give the same bits on every machine.

The C library's exp and log differ between platforms in the last bit, and numpy's between
processors. `decimal` rounds correctly everywhere, but takes twenty to fifty microseconds a call;
`rounded` finds the same floats sooner, and leaves to `decimal` what it cannot round with certainty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache

from tinytune.portable import rounded


def _context(digits: int) -> Context:
    """Return a context of our own: the objective may change the thread's, and the default one."""
    return Context(digits, ROUND_HALF_EVEN, -999_999, 999_999, 1, 0, [], [InvalidOperation])


# 30 digits: the result, rounded again to a float, is wrong in about one case in 10^13.
_CONTEXT = _context(30)
_SQRT_HALF = Decimal("0.7071067811865475244008443621048490392848359376885")
_NEGLIGIBLE = Decimal("1e-45")
_SQRT_PI = Decimal("1.7724538509055160272981674833411451827975494561224")


def as_written(x: float) -> Decimal:
    """Return the decimal number that a person would write for x: 0.1 is a tenth."""
    # Decimal(0.5) is an error where the thread's decimal context traps floats; a text never is.
    return Decimal(repr(float(x))) if isinstance(x, float) else Decimal(x)


@lru_cache(maxsize=1024)
def log_decimal(x: float) -> Decimal:
    """Return the natural logarithm of x > 0, as written, to 30 digits."""
    return _CONTEXT.ln(as_written(x))


def log(x: float) -> float:
    """Return the natural logarithm of x > 0; of its exact value, since near 1 every bit counts."""
    fast = rounded.log(x) if 0 < x < math.inf else None
    return float(_CONTEXT.ln(_exact(x))) if fast is None else fast


def exp(x: float) -> float:
    """Return e to the power of x; infinite where that is too large for a float."""
    fast = rounded.exp(int(x * rounded.ONE)) if -800 < x < 800 else None
    return float(_CONTEXT.exp(_exact(x))) if fast is None else fast


def rational(x: float) -> Fraction:
    """Return x as written; fractions, unlike decimals, have no precision that others may change."""
    return Fraction(as_written(x))


def marks(count: int) -> list[Decimal]:
    """Return evenly spaced numbers of the unit interval with both ends; one alone is the middle."""
    return [mark(place, count) for place in range(count)]


def mark(place: int, count: int) -> Decimal:
    """Return one of the `marks`."""
    if count == 1:
        return Decimal("0.5")
    return _CONTEXT.divide(Decimal(place), Decimal(count - 1))


def steps(count: int, size: int) -> list[int]:
    """Return up to `count` evenly spaced numbers of range(size), with both ends."""
    count = min(count, size)
    if count == 1:
        return [round(Fraction(size - 1, 2))]
    return [round(Fraction(i * (size - 1), count - 1)) for i in range(count)]


def shares(weights: Sequence[float]) -> list[float]:
    """Return, for each weight, what part of their sum lies up to it."""
    total, sums = 0.0, []  # not `sum`: it rounds otherwise from Python 3.12 on
    for weight in weights:
        total = total + weight
        sums.append(total)
    return [part / total for part in sums]


def interpolate(low: float, high: float, u: float | Decimal) -> float:
    """Return low + u (high - low) in decimal arithmetic, for 0 <= u <= 1."""
    if u <= 0 or u >= 1:
        return float(low if u <= 0 else high)
    start, end = as_written(low), as_written(high)
    return float(_CONTEXT.fma(_exact(u), _CONTEXT.subtract(end, start), start))


def interpolate_log(low: float, high: float, u: float | Decimal) -> float:
    """Return low^(1-u) high^u for 0 < low < high and 0 <= u <= 1.

    Powers of ten come out exactly: from 1e-5 to 1 at u = 0.2 (a Decimal) it is 1e-4.
    """
    if u <= 0 or u >= 1:  # the rounding of a logarithm may miss an end by a bit
        return float(low if u <= 0 else high)
    start, width = _log_range(low, high)
    fast = None
    if isinstance(u, float):
        first, length = _log_range_fixed(low, high)
        fast = rounded.exp(first + (int(u * rounded.ONE) * length >> rounded.BITS))
    if fast is None:
        fast = float(_CONTEXT.exp(_CONTEXT.fma(_exact(u), width, start)))
    return min(max(fast, float(low)), float(high))


def fraction_log(low: float, high: float, x: float) -> float:
    """Return the u for which `interpolate_log(low, high, u)` is x."""
    first, length = _log_range_fixed(low, high)
    fast = rounded.quotient(rounded.log_as_written(x) - first, length)
    if fast is not None:
        return fast
    start, width = _log_range(low, high)
    return float(_CONTEXT.divide(_CONTEXT.subtract(log_decimal(x), start), width))


@lru_cache(maxsize=1024)
def _log_range(low: float, high: float) -> tuple[Decimal, Decimal]:
    """Return where a logarithmic range begins, and how long it is."""
    start = log_decimal(low)
    return start, _CONTEXT.subtract(log_decimal(high), start)


@lru_cache(maxsize=1024)
def _log_range_fixed(low: float, high: float) -> tuple[int, int]:
    """Return `_log_range` as `rounded` reckons."""
    start, width = _log_range(low, high)
    return rounded.fixed(start), rounded.fixed(width)


def _exact(x: float | Decimal) -> Decimal:
    """Return x as a decimal number, to the last bit."""
    # Decimal(x) would be an error where the objective has made its thread trap floats.
    return Decimal.from_float(x) if isinstance(x, (int, float)) else x  # noqa: FURB164


@lru_cache(maxsize=1024)
def normal_cdf(z: float) -> float:
    """Return the probability that a standard normal number is below z."""
    if math.isinf(z):
        return 0.0 if z < 0 else 1.0
    if z > 0:
        return 1.0 - normal_cdf(-z)
    if z < -38.6:  # below the smallest float
        return 0.0
    return float(_lower_tail_series(z) if z > -4 else _lower_tail_fraction(z))


def _lower_tail_series(z: float) -> Decimal:
    """1/2 - phi(z) (z + z^3/3 + z^5/15 + …); Abramowitz and Stegun 26.2.11."""
    context = _context(45)  # the difference loses up to 5 digits
    x = _exact(-z)
    square = context.multiply(x, x)
    term = total = x
    n = 1
    while term > context.multiply(total, _NEGLIGIBLE):
        n += 2
        term = context.divide(context.multiply(term, square), Decimal(n))
        total = context.add(total, term)
    return context.subtract(Decimal("0.5"), context.multiply(_density(square, context), total))


def _lower_tail_fraction(z: float) -> Decimal:
    """phi(x) / (x + 1/(x + 2/(x + 3/(x + …)))) for x = -z; Abramowitz and Stegun 26.2.14."""
    context = _context(40)
    x = _exact(-z)
    fraction = x
    for n in range(400, 0, -1):
        fraction = context.add(x, context.divide(Decimal(n), fraction))
    return context.divide(_density(context.multiply(x, x), context), fraction)


def _density(square: Decimal, context: Context) -> Decimal:
    """exp(-square/2) / sqrt(2 pi)."""
    bell = context.exp(context.multiply(square, Decimal("-0.5")))
    return context.divide(context.multiply(bell, _SQRT_HALF), _SQRT_PI)


def normal_quantile(p: float) -> float:
    """Return z such that a standard normal number is below z with probability p, 0 < p < 1.

    Wichura (1988), algorithm AS 241, routine PPND16: about 16 digits.
    """
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * _horner(_CENTRE_OVER, r) / _horner(_CENTRE_UNDER, r)
    tail = p if q < 0 else 1.0 - p
    r = math.sqrt(-log(tail))
    if r <= 5.0:
        z = _horner(_NEAR_OVER, r - 1.6) / _horner(_NEAR_UNDER, r - 1.6)
    else:
        z = _horner(_FAR_OVER, r - 5.0) / _horner(_FAR_UNDER, r - 5.0)
    return -z if q < 0 else z


def _horner(coefficients: tuple[float, ...], x: float) -> float:
    """Evaluate a polynomial whose coefficients are given from the highest power down."""
    total = coefficients[0]
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


# fmt: off
_CENTRE_OVER = (
    2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
    13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608,
)
_CENTRE_UNDER = (
    5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
    5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0,
)
_NEAR_OVER = (
    7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177,
    1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055,
    4.6303378461565452959, 1.42343711074968357734,
)
_NEAR_UNDER = (
    1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966,
    0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494,
    2.05319162663775882187, 1.0,
)
_FAR_OVER = (
    2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386,
    0.026532189526576123093, 0.29656057182850489123, 1.7848265399172913358,
    5.4637849111641143699, 6.6579046435011037772,
)
_FAR_UNDER = (
    2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5,
    7.868691311456132591e-4, 0.0148753612908506148525, 0.13692988092273580531,
    0.59983220655588793769, 1.0,
)
