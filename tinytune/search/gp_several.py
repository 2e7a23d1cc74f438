"""A process for each of several objectives, and the weighted distance that follows from them.

The weighted Chebyshev distance (ParEGO, Knowles 2006) has an edge wherever another objective
becomes the worst, which no smooth process fits; the objectives themselves have none. So each of
them has a process of its own, and the expected improvement of the distance is integrated. To take
the distance itself for normal would promise improvement where one objective alone rules it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinytune.portable import arrays
from tinytune.search import several
from tinytune.search.gp_model import Parameters, Posterior, Prior, fitted

Floats = NDArray[np.float64]

_LOG_ROOT_TWO_PI = 0.9189385332046727
_FALL = 12.0  # by which the logarithm of what is integrated falls at most, if it falls evenly
# Gauss and Legendre's ten nodes in the unit interval, and the logarithms of their weights.
_NODES = (
    0.013046735741414128,
    0.06746831665550773,
    0.16029521585048778,
    0.2833023029353764,
    0.4255628305091844,
    0.5744371694908156,
    0.7166976970646236,
    0.8397047841495122,
    0.9325316833444923,
    0.9869532642585859,
)
_LOG_WEIGHTS = (
    -3.401127219493256,
    -2.5939315434150747,
    -2.2114364580728196,
    -2.005200049574598,
    -1.912151647325874,
    -1.912151647325874,
    -2.005200049574598,
    -2.2114364580728196,
    -2.5939315434150747,
    -3.401127219493256,
)


@dataclass(frozen=True)
class Goals:
    """What several objectives gave, and how much each counts."""

    values: Floats  # (n, k), small ones good, as the processes see them
    is_met: NDArray[np.bool_]  # (n,), whether the requirements are
    weights: Sequence[float]  # (k,)


class Joint:
    """The processes of several objectives, seen as one number: the weighted distance."""

    def __init__(self, squares: Floats, goals: Goals, prior: Prior) -> None:
        """Take in the squares (d, n + q, n + q) of n results and q pending points."""
        values = np.ascontiguousarray(goals.values.T)  # (k, n)
        rows, columns = np.tril_indices(values.shape[1], -1)
        pairs = squares[:, rows, columns]
        found = [fitted(pairs, column, prior) for column in values]
        self._processes = [
            Posterior(squares, column, each) for column, each in zip(values, found, strict=True)
        ]
        self._units = several.units(values.T.tolist(), goals.is_met.tolist(), len(values))
        self._weights = goals.weights
        self.known = self._distance(np.array([each.known for each in self._processes]))
        """The distance of all results and pending points, (n + q,)."""
        self.lengths = _geometric(found)
        """How far apart points differ, (d,)."""

    def log_improvement(self, squares: Floats, best: float) -> Floats:
        """Return the logarithm of the expected improvement of the distance on `best`, (m,).

        `squares` (d, n + q, m) lead to new points.
        """
        found = [each.at(squares) for each in self._processes]
        mean, deviation = self._weighted(
            np.array([m for m, _ in found]), np.sqrt(np.array([v for _, v in found]))
        )
        total = np.zeros(mean.shape[1:])
        for each in mean:
            total += each
        return log_improvement(mean, deviation, best - several.SUM * total)

    def _weighted(self, means: Floats, deviations: Floats) -> tuple[Floats, Floats]:
        """Return means and deviations (k, m) in the objectives' units, times their weights."""
        low = np.array([low for low, _ in self._units])[:, None]
        scale = np.array(
            [w / span for (_, span), w in zip(self._units, self._weights, strict=True)]
        )
        return (means - low) * scale[:, None], deviations * scale[:, None]

    def _distance(self, values: Floats) -> Floats:
        """Return the distance (m,) of values (k, m)."""
        weighted, _ = self._weighted(values, values)
        most, total = weighted[0], np.zeros(weighted.shape[1:])
        for each in weighted:
            most, total = np.maximum(most, each), total + each
        found: Floats = most + several.SUM * total
        return found


def log_improvement(means: Floats, deviations: Floats, best: Floats) -> Floats:
    """Return the logarithm of the expected improvement (m,) on `best` (m,) by the greatest.

    The greatest of independent normal variables, of means and deviations (k, m), is below t with
    the product of their probabilities; the improvement is the integral of that up to `best`. The
    product's logarithm is concave: it falls at least as fast as it does at `best`, by which the
    length of what is integrated is chosen.
    """
    z = (best - means) / deviations
    logs = arrays.log_normal_cdf(z)
    slope = arrays.exp(-0.5 * z * z - _LOG_ROOT_TWO_PI - logs) / deviations
    fall, gap = np.zeros(best.shape), np.full(best.shape, np.inf)
    for part, mean, deviation in zip(slope, means, deviations, strict=True):
        fall = fall + part
        gap = np.minimum(gap, np.maximum(best - mean, 0.0) + 6.0 * deviation)
    length = np.minimum(_FALL / np.maximum(fall, 1e-300), gap)
    terms = np.empty((len(_NODES), len(best)))
    for place, (node, weight) in enumerate(zip(_NODES, _LOG_WEIGHTS, strict=True)):
        z = (best - node * length - means) / deviations
        logs = arrays.log_normal_cdf(z)
        terms[place] = weight
        for part in logs:
            terms[place] += part
    most = np.max(terms, axis=0)
    total = np.zeros(best.shape)
    for term in terms:
        total += arrays.exp(term - most)
    found: Floats = arrays.log(total) + most + arrays.log(length)
    return found


def _geometric(found: Sequence[Parameters]) -> Floats:
    """Return the geometric mean (d,) of the lengths of all processes."""
    total = np.zeros(len(found[0].lengths))
    for each in found:
        total += arrays.log(each.lengths)
    return arrays.exp(total / len(found))
