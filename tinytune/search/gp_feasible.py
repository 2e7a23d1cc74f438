"""How probable it is that a configuration meets the requirements: a process for each of them.

What is modelled is by how much a requirement is missed, as a part of its limit, negative where it
is met; squeezed to sign(y) log(1 + |y|), so that what is far off counts less than what is near the
limit (Eriksson and Poloczek 2021). The improvement is multiplied by the probabilities (Gardner et
al. 2014); as long as nothing meets the requirements they count alone (Gelbart et al. 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinytune.portable import arrays, linear
from tinytune.search.gp_field import Field
from tinytune.search.gp_model import Posterior, Prior, fitted

Floats = NDArray[np.float64]

_MOST = 3  # requirements with a process of their own; of more, the one that is missed most counts


@dataclass(frozen=True)
class Limit:
    """The process of one requirement, which is met below `limit`."""

    points: Floats  # (n, d), snapped
    active: NDArray[np.bool_]  # (n, d)
    posterior: Posterior
    limit: float

    @classmethod
    def of(cls, field: Field, points: Floats, excess: Floats, prior: Prior) -> Limit:
        """Return the process after points (n, d) that miss the requirement by `excess` (n,)."""
        active = field.active(points)
        squares = field.squares(points, active, points, active)
        rows, columns = np.tril_indices(len(points), -1)
        low = np.where(excess < 0.0, -1.0, 1.0) * arrays.log1p(np.abs(excess))
        middle = linear.total(low) / len(low)
        rest = low - middle
        scale = float(np.sqrt(linear.dot(rest, rest) / len(low)))
        scale = scale if scale > 1e-12 else 1.0
        values = rest / scale
        found = fitted(squares[:, rows, columns], values, prior)
        return cls(points, active, Posterior(squares, values, found), -middle / scale)

    def log_probability(self, field: Field, points: Floats) -> Floats:
        """Return the logarithm of the probability (m,) that it is met at snapped points (m, d)."""
        squares = field.squares(self.points, self.active, points, field.active(points))
        mean, variance = self.posterior.at(squares)
        return arrays.log_normal_cdf((self.limit - mean) / np.sqrt(variance))


def limits(
    field: Field, points: Floats, excesses: Sequence[Sequence[float | None]], prior: Prior
) -> list[Limit]:
    """Return the processes of all requirements that some of the results (n, d) have missed.

    `excesses` are those of each result, in the order of the requirements; None where not known.
    """
    known = [place for place, row in enumerate(excesses) if row and None not in row]
    if len(known) < 2:
        return []
    table = np.array([excesses[place] for place in known], dtype=np.float64)  # (n, r)
    if table.shape[1] > _MOST:
        table = np.max(table, axis=1)[:, None]
    here = field.snapped(points[known])
    return [Limit.of(field, here, c.copy(), prior) for c in table.T if float(np.max(c)) > 0.0]


def log_probability(found: Sequence[Limit], field: Field, points: Floats) -> Floats:
    """Return the logarithm of the probability (m,) that all are met at snapped points (m, d)."""
    total = np.zeros(len(points))
    for limit in found:
        total += limit.log_probability(field, points)
    return total
