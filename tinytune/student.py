"""Student's t: how far a mean of a few noisy numbers may lie from the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_HALVINGS = 60  # of an angle below pi / 2: to the last bit


@dataclass(frozen=True)
class Mean:
    """The mean of a few numbers, and its interval; None where there are too few for one."""

    count: int
    mean: float
    deviation: float | None  # the standard deviation of one number, with n - 1
    error: float | None  # the standard error of the mean
    margin: float | None  # the interval is mean - margin to mean + margin


def mean(values: Sequence[float], level: float) -> Mean:
    """Return the mean of one number or more, and the margin within which the truth lies.

    `level` is the probability of the interval, 0.95 for example.
    """
    count = len(values)
    middle = sum(value / count for value in values)
    if count < 2:
        return Mean(count, middle, None, None, None)
    squares = [(value - middle) * (value - middle) for value in values]
    deviation = math.sqrt(sum(squares) / (count - 1))
    error = deviation / math.sqrt(count)
    margin = error * quantile(level, count - 1) if error else 0.0
    return Mean(count, middle, deviation, error, margin)


def quantile(level: float, freedom: int) -> float:
    """Return t such that |T| <= t with probability `level`, for so many degrees of freedom.

    It halves the angle theta = atan(t / sqrt(freedom)).
    """
    low, high = 0.0, math.pi / 2
    for _ in range(_HALVINGS):
        theta = (low + high) / 2
        if within(theta, freedom) < level:
            low = theta
        else:
            high = theta
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def within(theta: float, freedom: int) -> float:
    """Return the probability that |T| <= sqrt(freedom) tan(theta).

    Abramowitz and Stegun (1964), 26.7.3 for odd degrees of freedom and 26.7.4 for even ones: finite
    sums over powers of the cosine.
    """
    sine, square = math.sin(theta), math.cos(theta) ** 2
    if freedom == 1:
        return 2 * theta / math.pi
    is_odd = freedom % 2 == 1
    term = math.cos(theta) if is_odd else 1.0
    total = term
    for power in range(2 + is_odd, freedom - 1, 2):
        term *= square * (power - 1) / power
        total += term
    return 2 * (theta + sine * total) / math.pi if is_odd else sine * total
