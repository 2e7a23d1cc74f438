"""Warps values so that a Gaussian fits them: robust scale, then Yeo and Johnson's transformation.

The transformation's parameter is taken from a fixed grid, by maximum likelihood.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinytune.portable import arrays, linear

Floats = NDArray[np.float64]

GRID: Floats = np.arange(-20, 11) / 10.0
"""Parameters of the transformation that are tried, (31,).

None is above 1: it would bring the few good values nearer to the many bad ones.
"""


MOST = 4.0
"""Where `capped` cuts: so many times as far above the median as good values are below it."""


def yeo_johnson(z: Floats, power: Floats) -> Floats:
    """Return the transformed values, shape (m, n), for z (n,) and powers (m,).

    Yeo and Johnson (2000), equation 2.1: ((z+1)^p - 1) / p for z >= 0, and the same of -z with
    2 - p, negative, for z < 0; logarithms where that power is 0.
    """
    is_low = z < 0.0
    logs = arrays.log1p(np.abs(z))  # (n,)
    exponent = np.where(is_low, 2.0 - power[:, None], power[:, None])  # (m, n)
    is_zero = np.abs(exponent) < 1e-9
    safe = np.where(is_zero, 1.0, exponent)
    grown = np.where(is_zero, logs, arrays.expm1(np.minimum(safe * logs, 600.0)) / safe)
    return np.where(is_low, -grown, grown)


def log_likelihood(z: Floats, power: Floats) -> Floats:
    """Return the profile log-likelihood of each power, shape (m,), up to a constant."""
    count = len(z)
    warped = yeo_johnson(z, power)
    rest = warped - (linear.total(warped, 1) / count)[:, None]
    spread = linear.total(rest * rest, 1) / count
    signed = np.where(z < 0.0, -1.0, 1.0) * arrays.log1p(np.abs(z))
    jacobian = (power - 1.0) * linear.total(signed)
    result: Floats = -0.5 * count * arrays.log(np.maximum(spread, 1e-300)) + jacobian
    return result


def normalised(values: Floats) -> Floats:
    """Return values (n,) about their median in units of how far the better half is from it.

    So bad values, which may be very bad, do not blur what sets the good ones apart. Where the
    better half is all alike, values are standardised.
    """
    small = _reduced(values)
    rest = small - _median(small)
    scale = -_median(rest[rest <= 0.0])
    if not scale > 1e-6 * float(np.max(np.abs(rest))):
        return standardised(small)
    return rest / scale


def _reduced(values: Floats) -> Floats:
    """Return values (n,) in parts of the largest, so that no sum or square overflows."""
    largest = float(np.max(np.abs(values)))
    return values / largest if largest > 1e-300 else values * 0.0


def warped(values: Floats) -> Floats:
    """Return values (n,) made as normal as a power of the grid can, with mean 0 and variance 1."""
    z = normalised(values)
    best = int(np.argmax(log_likelihood(z, GRID)))
    return standardised(yeo_johnson(z, GRID[best : best + 1])[0])


def capped(values: Floats) -> Floats:
    """Return values (n,) with mean 0 and variance 1, after very bad ones were cut.

    Else one value that is a thousand times as bad as the others would make these all alike.
    """
    return standardised(np.minimum(normalised(values), MOST))


def standardised(values: Floats) -> Floats:
    """Return values (n,) with mean 0 and variance 1; zeros where all are equal."""
    small = _reduced(values)
    rest = small - linear.total(small) / len(values)
    scale = float(np.sqrt(linear.dot(rest, rest) / len(values)))
    return rest / scale if scale > 1e-15 else np.zeros(len(values))


def _median(values: Floats) -> float:
    ordered = np.sort(values)
    return float(0.5 * ordered[(len(values) - 1) // 2] + 0.5 * ordered[len(values) // 2])
