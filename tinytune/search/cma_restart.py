"""When a run of CMA-ES has ended, and how large the next one is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tinytune.portable import scalars
from tinytune.search.cma_state import State

_SMALLEST_STEP = 1e-9  # of the range
_SAME = 1e-12  # values whose relative difference is smaller are the same
_WORST_CONDITION = 1e14
_TENTH_SQUARED = -4.605170185988091  # ln 0.01


@dataclass
class Course:
    """How a run has gone so far: of each generation the best and the median value."""

    best: list[float] = field(default_factory=list)
    median: list[float] = field(default_factory=list)

    def note(self, values: NDArray[np.float64]) -> None:
        """Take in one generation's values."""
        ordered = sorted(values.tolist())
        self.best.append(ordered[0])
        self.median.append(ordered[len(ordered) // 2])

    def has_ended(self, population: int, state: State | None, is_free: NDArray[np.bool_]) -> bool:
        """Return whether the run can get no further; Hansen (2009), appendix of "BI-population".

        is_free: (d,), whether a coordinate is a continuum.
        """
        size = 1 if state is None else len(state.mean)
        return (
            _is_flat(self.best, 10 + math.ceil(30 * size / population))
            or self._stagnates(120 + 30 * size // population)
            or (state is not None and _is_degenerate(state, is_free))
        )

    def _stagnates(self, least: int) -> bool:
        """Whether the last third of the last fifth, or more, is no better than its first."""
        length = max(least, len(self.best) // 5)
        if len(self.best) < length:
            return False
        part = 3 * length // 10
        return all(
            _median(values[-part:]) >= _median(values[-length : part - length])
            for values in (self.best, self.median)
        )


def _is_flat(best: Sequence[float], length: int) -> bool:
    recent = best[-length:]
    low, high = min(recent), max(recent)
    return len(recent) == length and (low == high or high - low <= _SAME * max(-low, high))


def _is_degenerate(state: State, is_free: NDArray[np.bool_]) -> bool:
    """Whether the steps are too short, or the axes too unequal: A's diagonal tells at least."""
    diagonal = np.diagonal(state.factor)
    ratio = float(np.max(diagonal) / np.min(diagonal))
    if ratio * ratio > _WORST_CONDITION:
        return True
    return bool(is_free.any()) and float(np.max(state.deviations[is_free])) < _SMALLEST_STEP


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


@dataclass(frozen=True)
class Regime:
    """The population and the first step of a run, and what its kind has cost so far."""

    population: int
    sigma: float
    large: int  # the population of the latest large run
    is_small: bool = False
    large_cost: int = 0  # results
    small_cost: int = 0


def first(population: int, sigma: float) -> Regime:
    """Return the regime of the first run."""
    return Regime(population, sigma, population)


def following(
    last: Regime, origin: Regime, restarts: str, cost: int, uniforms: Sequence[float]
) -> Regime:
    """Return the regime of the next run, after one that took `cost` results.

    "ipop": the population doubles (Auger and Hansen 2005). "bipop": runs with doubled populations
    and runs with small ones and short first steps, each kind at about the same cost (Hansen 2009,
    "Benchmarking a BI-population CMA-ES"); two uniforms choose the latter.
    """
    if last.is_small:
        last = replace(last, small_cost=last.small_cost + cost)
    else:
        last = replace(last, large_cost=last.large_cost + cost)
    if restarts == "ipop" or last.small_cost >= last.large_cost or last.large == origin.population:
        double = 2 * last.large
        return replace(last, population=double, large=double, sigma=origin.sigma, is_small=False)
    half = last.large / (2 * origin.population)
    power = scalars.exp(uniforms[0] * uniforms[0] * scalars.log(half))
    return replace(
        last,
        population=max(int(origin.population * power), 4),
        sigma=origin.sigma * scalars.exp(uniforms[1] * _TENTH_SQUARED),
        is_small=True,
    )
