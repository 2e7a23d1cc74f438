"""exp and log in whole numbers: the same floats as `decimal` gives, ten times as fast.

Numbers are whole multiples of 2^-112. A result of which the last bits lie too near to the middle
between two floats to be rounded with certainty is None (Ziv's test: Ziv 1991, "Fast evaluation of
elementary mathematical functions with correctly rounded last bit"); the caller then asks `decimal`.
That happens about once in 2^25 calls, so nothing but time depends on it.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

BITS = 112
ONE = 1 << BITS
# Bounds what this module and 30-digit decimals together are wrong by, as a part of an exponential
# and as a difference of a logarithm. A decimal exponent below 1000 is rounded by 5e-28 = 2^-90.7,
# the logarithms before it likewise; the float in `_exp` is wrong by 2^-91, a logarithm's multiple
# of ln 2 or ln 10 by 2^-101, all else by some 20 units. That is less than 2^-87 together.
ERROR = 1 << (BITS - 85)

_STEP = 10  # bits of a fraction that a table holds
_TOP, _NEXT = BITS - _STEP, BITS - 2 * _STEP
_LOW_TOP, _LOW_NEXT, _LOW_STEP = (1 << _TOP) - 1, (1 << _NEXT) - 1, (1 << _STEP) - 1
_UNIT, _UNITS = 2.0**-BITS, 2.0**BITS
_SPARE = BITS - 52  # bits of a number from 1 to 2 that a float has no room for
_HALF, _LOW_SPARE = 1 << (_SPARE - 1), (1 << _SPARE) - 1


def fixed(x: Decimal) -> int:
    """Return a decimal number as a multiple of 2^-112, rounded down."""
    return math.floor(Fraction(x) * ONE)


_LN2 = fixed(Decimal("0.69314718055994530941723212145817656807550013436025525412068"))
_LN10 = fixed(Decimal("2.30258509299404568401799145468436420760110148862877297603333"))


@lru_cache(maxsize=1)
def _tables() -> tuple[list[int], list[int]]:
    """Return e^(i / 2^10) and e^(i / 2^20) for ten bits i."""
    return _powers(1 << _STEP), _powers(1 << 2 * _STEP)


def _powers(part: int) -> list[int]:
    """Return e^(i / part) for ten bits i, by products with 64 bits to spare."""
    bits = BITS + 64
    root, term, n = 0, 1 << bits, 0
    while term:
        root += term
        n += 1
        term //= n * part
    powers = [1 << bits]
    for _ in range(_LOW_STEP):
        powers.append(powers[-1] * root >> bits)
    return [power >> 64 for power in powers]


def _exp(exponent: int) -> tuple[int, int]:
    """Return (n, m) with e^exponent = m 2^n; 1 <= m < 2 but for the error."""
    n, rest = divmod(exponent, _LN2)
    first, second = _tables()
    product = first[rest >> _TOP] * second[(rest & _LOW_TOP) >> _NEXT] >> BITS
    rest &= _LOW_NEXT
    # e^rest - 1 = rest + rest^2 / 2 + …, with rest < 2^-20: what follows the first term is so small
    # that a float is exact enough, and the fifth is below 2^-106.
    x = rest * _UNIT
    series = rest + int(x * x * (0.5 + x * (1 / 6 + x * (1 / 24))) * _UNITS)
    return n, product + (product * series >> BITS)


def _log(number: int) -> int:
    """Return the logarithm of a whole number above 0, as a multiple of 2^-112.

    The C library's logarithm is only a first guess: what it lacks is added, so that its own
    error plays no part.
    """
    guess = int(math.log(number) * ONE)
    n, scale = _exp(-guess)
    away = (number * scale << n if n >= 0 else number * scale >> -n) - ONE
    return guess + away - (away * away >> (BITS + 1))  # the third power is below 2^-120


def exp(exponent: int) -> float | None:
    """Return e to this multiple of 2^-112, rounded to a float; None where in doubt."""
    n, m = _exp(exponent)
    if not -1022 < n < 1023 or -2 * ERROR <= (m & _LOW_SPARE) - _HALF <= 2 * ERROR:
        return None
    return math.ldexp((m + _HALF) >> _SPARE, n - 52)


def log(x: float) -> float | None:
    """Return the logarithm of x > 0, rounded to a float; None where in doubt, as near 1."""
    part, exponent = math.frexp(x)
    found = _log(int(part * 2.0**53)) + (exponent - 53) * _LN2
    if found < 0:
        negative = _nearest(-found, ERROR, -BITS)
        return None if negative is None else -negative
    return _nearest(found, ERROR, -BITS)


def log_as_written(x: float) -> int:
    """Return the logarithm of x > 0, whose decimal digits are taken for exact."""
    if isinstance(x, int):
        return _log(x)
    digits, _, power = repr(float(x)).partition("e")
    whole, _, part = digits.partition(".")
    return _log(int(whole + part)) + (int(power or 0) - len(part)) * _LN10


def quotient(over: int, under: int) -> float | None:
    """Return over / under as a float, where `over` is wrong by ERROR; None where in doubt."""
    if over <= 0:
        return None
    return _nearest((over << BITS) // under, (ERROR << BITS) // under + 2, -BITS)


def _nearest(number: int, error: int, exponent: int) -> float | None:
    """Return number 2^exponent as a float; None where another is as near, within the error."""
    spare = number.bit_length() - 53
    if spare < 1 or not -1021 < exponent + spare + 53 < 1024:  # all its 53 bits are normal
        return None
    half = 1 << (spare - 1)
    if 4 * error >= half or abs((number & (2 * half - 1)) - half) <= error:
        return None
    return math.ldexp((number + half) >> spare, exponent + spare)
