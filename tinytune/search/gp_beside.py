"""Processes beside that of the objective: of what results have to meet, and of what trials take.

Requirements: what is modelled is by how much each is missed, as a part of its limit, negative where
it is met; squeezed to sign(y) log(1 + |y|), so that what is far off counts less than what is near
the limit (Eriksson and Poloczek 2021). The improvement is multiplied by the probabilities that all
are met (Gardner et al. 2014), alone as long as nothing meets them (Gelbart et al. 2014).

Seconds: their logarithm is modelled. The improvement is divided by a power of the expected ones,
which falls from 1 to 0 as they are spent (Lee et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinytune.portable import arrays, linear
from tinytune.search.gp_field import Field
from tinytune.search.gp_model import Posterior, Prior, fitted

Floats = NDArray[np.float64]

_MOST = 3  # requirements with a process of their own; of more, the one that is missed most counts
_LEAST_SECONDS = 1e-3  # less is no matter


@dataclass(frozen=True)
class Process:
    """The process of a number after some results."""

    points: Floats  # (n, d), snapped
    active: NDArray[np.bool_]  # (n, d)
    posterior: Posterior  # of the standardised numbers
    middle: float
    scale: float

    @classmethod
    def of(cls, field: Field, points: Floats, numbers: Floats, prior: Prior) -> Process:
        """Return the process after numbers (n,) at points (n, d)."""
        points = field.snapped(points)
        active = field.active(points)
        squares = field.squares(points, active, points, active)
        rows, columns = np.tril_indices(len(points), -1)
        middle = linear.total(numbers) / len(numbers)
        rest = numbers - middle
        scale = float(np.sqrt(linear.dot(rest, rest) / len(rest)))
        scale = scale if scale > 1e-12 else 1.0
        values = rest / scale
        found = fitted(squares[:, rows, columns], values, prior)
        return cls(points, active, Posterior(squares, values, found), float(middle), scale)

    def at(self, field: Field, points: Floats) -> tuple[Floats, Floats]:
        """Return mean and standard deviation (m,) at snapped points (m, d)."""
        squares = field.squares(self.points, self.active, points, field.active(points))
        mean, variance = self.posterior.at(squares)
        return self.middle + self.scale * mean, self.scale * np.sqrt(variance)


@dataclass(frozen=True)
class Beside:
    """What counts beside the objective."""

    limits: Sequence[Process] = ()  # of the requirements that some results have missed; met below 0
    seconds: Process | None = None  # of their logarithm
    power: float = 0.0  # of the seconds, by which the improvement is divided

    def log_factor(self, field: Field, points: Floats) -> Floats:
        """Return the logarithm of what the improvement is multiplied by, (m,), at points (m, d)."""
        total = np.zeros(len(points))
        for limit in self.limits:
            mean, deviation = limit.at(field, points)
            total += arrays.log_normal_cdf(-mean / deviation)
        if self.seconds is not None:
            total -= self.power * self.seconds.at(field, points)[0]
        return total


NOTHING = Beside()


def limits(
    field: Field, points: Floats, excesses: Sequence[Sequence[float | None]], prior: Prior
) -> list[Process]:
    """Return the processes of all requirements that some of the results (n, d) have missed.

    `excesses` are those of each result, in the order of the requirements; None where not known.
    """
    known = [place for place, row in enumerate(excesses) if row and None not in row]
    if len(known) < 2:
        return []
    table = np.array([excesses[place] for place in known], dtype=np.float64)  # (n, r)
    if table.shape[1] > _MOST:
        table = np.max(table, axis=1)[:, None]
    missed = [column for column in table.T if float(np.max(column)) > 0.0]
    return [Process.of(field, points[known], _squeezed(column), prior) for column in missed]


def _squeezed(excess: Floats) -> Floats:
    found: Floats = np.where(excess < 0.0, -1.0, 1.0) * arrays.log1p(np.abs(excess))
    return found


def of_seconds(
    field: Field, points: Floats, seconds: Sequence[float | None], prior: Prior
) -> Process | None:
    """Return the process of the logarithm of what the results (n, d) took, None where not known."""
    known = [place for place, each in enumerate(seconds) if each is not None]
    if len(known) < 2:
        return None
    taken = np.array([max(seconds[place] or 0.0, _LEAST_SECONDS) for place in known])
    return Process.of(field, points[known], arrays.log(taken), prior)


def power(spent: Sequence[float], budget: float | None) -> float:
    """Return the power of seconds after so many of a budget: from 1, by what is left of it, to 0.

    The sum is exact, so that the order has no effect.
    """
    return 0.0 if budget is None else max(0.0, 1.0 - math.fsum(spent) / budget)
