"""Where to look next: the logarithm of the expected improvement, and how its maximum is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinytune import draw
from tinytune.portable import arrays
from tinytune.search.gp_field import Field

Floats = NDArray[np.float64]
Score = Callable[[Floats], Floats]
"""From snapped points (m, d) to how promising they are, (m,), more being better."""

_LOG_ROOT_TWO_PI = 0.9189385332046727


def log_h(z: Floats) -> Floats:
    """Return log(phi(z) + z Phi(z)), shape (n,), without cancellation for negative z.

    Ament et al. (2023), equation 9: the expected improvement of a standard normal, as logarithm.
    """
    result = np.empty(z.shape)
    near, far = z > -1.0, z < -25.0
    middle = ~near & ~far
    x = z[near]
    result[near] = arrays.log(arrays.normal_pdf(x) + x * arrays.normal_cdf(x))
    x = z[middle]
    log_pdf = -0.5 * (x * x) - _LOG_ROOT_TWO_PI
    share = arrays.log(-x) + arrays.log_normal_cdf(x) - log_pdf  # log of |z| Phi / phi, below 0
    result[middle] = log_pdf + arrays.log(-arrays.expm1(share))
    x = z[far]
    square = x * x
    w = 1.0 / square
    tail = -w * (3.0 - w * (15.0 - w * (105.0 - w * 945.0)))
    result[far] = -0.5 * square - _LOG_ROOT_TWO_PI - arrays.log(square) + arrays.log1p(tail)
    return result


def log_improvement(mean: Floats, variance: Floats, best: float) -> Floats:
    """Return the logarithm of the expected improvement on `best`, (m,), of normal values."""
    deviation = np.sqrt(variance)
    result: Floats = log_h((best - mean) / deviation) + 0.5 * arrays.log(variance)
    return result


@dataclass(frozen=True)
class Effort:
    """How many points a search for the maximum looks at."""

    candidates: int = 1000  # anywhere
    near: int = 60  # near each good result, at each scale
    climbers: int = 8  # of the best, that are improved
    tries: int = 40  # by each climber in each round
    rounds: int = 8


_SCALES = (0.2, 0.05, 0.01)


@dataclass(frozen=True)
class Hunt:
    """A search for the point with the highest score; all of it follows from seed and number."""

    field: Field
    effort: Effort
    seed: int
    number: int
    low: Floats
    """The corner (d,) of the box in which is looked, and the other one."""
    high: Floats
    within: bool = False
    """Whether to stay in the box: outside, a model of the nearest results would promise anything.

    Only for spaces of ranges without steps: points are not snapped again.
    """

    def run(self, score: Score, good: Floats, shape: Floats) -> tuple[Floats, Floats]:
        """Return points (m, d) and their scores, the best first.

        `good` (k, d) are good results, `shape` (d,) how far apart points differ, about 1.
        """
        pool = [self.anywhere()]
        for place, scale in enumerate(_SCALES):
            pool.append(self._around(good, self.effort.near, scale * shape, place))
        points = np.concatenate(pool)
        scores = score(points)
        order = np.argsort(-scores, kind="stable")
        climbers, heights = (
            points[order[: self.effort.climbers]],
            scores[order[: self.effort.climbers]],
        )
        scale = 0.1
        for turn in range(self.effort.rounds):
            climbers, heights = self._climbed(score, climbers, heights, scale * shape, 10 + turn)
            scale *= 0.5
        points = np.concatenate([climbers, points[order[:200]]])
        scores = np.concatenate([heights, scores[order[:200]]])
        order = np.argsort(-scores, kind="stable")
        return points[order], scores[order]

    def anywhere(self) -> Floats:
        """Return points (m, d) drawn evenly from the box."""
        count, size = self.effort.candidates, self.field.size
        units = draw.uniforms(count * size, self.seed, self.number, "gp anywhere")
        units = units.reshape(count, size)
        return self.field.snapped(self.low + units * (self.high - self.low))

    def _around(self, centres: Floats, count: int, scales: Floats, turn: int) -> Floats:
        """Return `count` points near each of the centres (k, d), centre by centre."""
        size = self.field.size
        points = np.repeat(centres, count, axis=0)
        shape = points.shape
        total = points.size
        chance = draw.uniforms(2 * total, self.seed, self.number, "gp moves", "", turn)
        steps = draw.normals(total, self.seed, self.number, "gp steps", "", turn).reshape(shape)
        steps = steps * scales
        moves = chance[:total].reshape(shape) < min(1.0, 5.0 / size)
        moves[np.arange(len(points)), np.arange(len(points)) % size] = True
        steps = np.where(moves, steps, 0.0)
        found = self.field.moved(points, steps, chance[total:].reshape(shape))
        return np.minimum(np.maximum(found, self.low), self.high) if self.within else found

    def _climbed(
        self, score: Score, climbers: Floats, heights: Floats, scales: Floats, turn: int
    ) -> tuple[Floats, Floats]:
        """Return each climber's best of itself and of points near it."""
        count, tries = len(climbers), self.effort.tries
        points = self._around(climbers, tries, scales, turn)
        scores = score(points).reshape(count, tries)
        best = np.argmax(scores, axis=1)
        rows = np.arange(count)
        found = points.reshape(count, tries, -1)[rows, best]
        reached = scores[rows, best]
        is_better = reached > heights
        return (
            np.where(is_better[:, None], found, climbers),
            np.where(is_better, reached, heights),
        )
