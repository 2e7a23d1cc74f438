"""What may be wrong with the arguments of a distribution: ranges, steps, means."""

from __future__ import annotations

import sys
from typing import Protocol

from tinytune import portable

LEAST, MOST = 5e-324, sys.float_info.max  # of the floats above 0
_FIXED = "a fixed value needs no annotation"


class Interval(Protocol):
    """A distribution from low to high."""

    @property
    def low(self) -> float:
        """The least value."""

    @property
    def high(self) -> float:
        """The greatest value."""

    @property
    def log(self) -> bool:
        """Whether ratios are what counts."""

    @property
    def step(self) -> float | None:
        """How far apart values lie, None for a continuum."""


class Bell(Protocol):
    """A normal distribution, of numbers or of their logarithms, cut to a range."""

    @property
    def mean(self) -> float:
        """The mean before the cut."""

    @property
    def sd(self) -> float:
        """The standard deviation before the cut."""

    @property
    def low(self) -> float | None:
        """The least value."""

    @property
    def high(self) -> float | None:
        """The greatest value."""

    @property
    def limits(self) -> tuple[float, float]:
        """Both of them, as floats."""

    @property
    def share(self) -> tuple[float, float]:
        """The probabilities below them."""


def shown(value: object) -> str:
    """Return a value as a message shows it: shortened, whatever its own repr does."""
    try:
        return f"{value!r:.100}".replace("\n", " ")
    except Exception:  # noqa: BLE001 - such as 10**5000, or any class with a broken repr
        return f"<{type(value).__name__}>"


def is_finite(x: object) -> bool:
    """Return whether this is a plain number that a float can hold."""
    return isinstance(x, (int, float)) and not isinstance(x, bool) and abs(x) <= MOST


def is_count(value: object, least: int, most: float) -> bool:
    """Return whether an option's value is a whole number, True and False not among them."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def interval_problem(kind: str, of: Interval) -> str | None:
    """Return what is wrong with a range's arguments, or None."""
    if not isinstance(of.log, bool):
        return f"log {shown(of.log)} must be True or False: leave it out, or write log=True"
    return (
        _range_problem(kind, of.low, of.high)
        or (_log_problem(kind, of) if of.log else None)
        or _step_problem(kind, of.low, of.high, of.step)
    )


def _range_problem(kind: str, low: float, high: float) -> str | None:
    for bound in (low, high):
        if isinstance(bound, bool) or not isinstance(bound, (int, float)):
            return f"{shown(bound)} is not a number: write {kind}(low, high)"
    if not (is_finite(low) and is_finite(high) and is_finite(high - low)):
        return f"{shown(low)} to {shown(high)} is not a finite range: give finite bounds"
    if low >= high:
        remedy = f"write {kind}({high}, {low})" if low > high else _FIXED
        return f"low {low} is not below high {high}: {remedy}"
    if kind == "Int" and max(abs(low), abs(high)) > 2**53:
        return f"{low} to {high} is too large: whole numbers go up to 2**53"
    return None


def _log_problem(kind: str, of: Interval) -> str | None:
    if of.step is not None:
        return "log and step exclude each other: leave out one"
    if of.low > 0:
        return None
    low = "1" if kind == "Int" else f"{of.high / 1000:g}" if of.high > 0 else "1e-4"
    return f"log needs low above 0, not {of.low}: write a low such as {low}, or leave out log"


def _step_problem(kind: str, low: float, high: float, step: float | None) -> str | None:
    if step is None:
        return None
    if not is_finite(step) or step <= 0:
        return f"step {shown(step)} must be a number above 0: change it, or leave it out"
    rational = portable.scalars.rational
    count, rest = divmod(rational(high) - rational(low), rational(step))
    if count > 2**54:
        return f"step {step} is too small from {low} to {high}: leave it out"
    if not rest:
        return None
    ends = [rational(low) + (count + more) * rational(step) for more in (0, 1)]
    below, above = (end.numerator if end.denominator == 1 else float(end) for end in ends)
    fits = f"high={above}" if not count else f"high={below} or high={above}"
    return f"step {step} does not fit from {low} to {high}: write {fits} in {kind}"


def normal_problem(kind: str, normal: Bell, low_limit: float) -> str | None:
    """Return what is wrong with a normal distribution's arguments, or None."""
    given = (bound for bound in (normal.low, normal.high) if bound is not None)
    for number in (normal.mean, normal.sd, *given):
        if not is_finite(number):
            return f"{shown(number)} is not a finite number: write {kind}(mean, sd)"
    if normal.sd <= 0:
        return f"sd {normal.sd} must be above 0: write {kind}(mean, sd)"
    if normal.low is not None and normal.low < low_limit:
        return f"low {normal.low} must not be negative: a {kind} number is above 0"
    if normal.high is not None and normal.high <= low_limit:
        return f"high {normal.high} must be above 0: a {kind} number is above 0"
    low, high = normal.limits
    if low >= high:
        return f"low {low} is not below high {high}: {'swap them' if low > high else _FIXED}"
    start, end = normal.share
    if end - start < 1e-9:
        return f"almost nothing of the distribution lies from {low} to {high}: move mean, or widen"
    return None
