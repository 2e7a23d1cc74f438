"""PED-ANOVA: which parameters the best trials agree on.

Watanabe, Bansal and Hutter 2023, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in
Arbitrary Subspaces". Two densities of each parameter are estimated, one from the best trials and
one from all of them; the importance is how much they differ (the Pearson divergence, eq. 9). Where
a search has looked often is so divided out. Only the order of the results counts, so that a trial
which failed may simply be the worst.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinytune import draw
from tinytune.distributions import Int
from tinytune.importance.evidence import Column, Evidence, Floats, Ints, cutoff
from tinytune.portable.arrays import normal_cdf

CELLS = 50  # of the grid on which densities are estimated
RESAMPLES = 200
SHUFFLES = 100
_LEAST_SIGMA = 0.5 / 1.64  # in cells: nine tenths of a kernel lie in its own
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Divergences:
    """The importance of d parameters, how sure it is, and how much of it may be chance."""

    found: Floats  # (d,), not below 0
    resampled: Floats  # (RESAMPLES, d): in trials that were drawn anew
    chance: Floats  # (d,): above 95% of those where others were called the best, at random


def ped_anova(evidence: Evidence, seed: int = 0) -> Divergences:
    """Return each parameter's divergence, those of 200 bootstrap samples, and those of chance."""
    count = evidence.count
    draws = np.concatenate([np.ones((1, count)), _samples(count, seed)])
    order = np.argsort(evidence.loss, kind="stable")
    ordered = evidence.loss[order]
    cuts = np.array([cutoff(ordered, weights) for weights in draws[:, order]])
    best = draws * (evidence.loss <= cuts[:, None])  # (1 + RESAMPLES, n)
    draws = np.concatenate([draws, np.ones((SHUFFLES, count))])
    best = np.concatenate([best, best[0][_shuffles(count, seed)]])
    found = [_importance(column, draws, best) for column in evidence.columns]
    table = np.stack(found, axis=1)  # (1 + RESAMPLES + SHUFFLES, d)
    chance = np.quantile(table[-SHUFFLES:], 0.95, axis=0)
    return Divergences(table[0], table[1:-SHUFFLES], chance)


def _samples(count: int, seed: int) -> Floats:
    """Return how often each trial is in each bootstrap sample, shape (RESAMPLES, count)."""
    uniform = draw.uniforms(RESAMPLES * count, seed, 0, "importance", "ped-anova")
    picked = (uniform * count).astype(np.int64).reshape(RESAMPLES, count)
    return np.stack([np.bincount(row, minlength=count) for row in picked]).astype(np.float64)


def _shuffles(count: int, seed: int) -> Ints:
    """Return random orders of the trials, shape (SHUFFLES, count)."""
    uniform = draw.uniforms(SHUFFLES * count, seed, 0, "importance", "shuffles")
    return np.argsort(uniform.reshape(SHUFFLES, count), axis=1, kind="stable")


def _importance(column: Column, all_trials: Floats, best: Floats) -> Floats:
    """Return a parameter's importance under each weighting of the trials, (r, n) -> (r,).

    Of a parameter that is not always active only the trials count in which it is: the divergence
    is weighed by alpha^2 / beta, the shares of the best and of all trials in which it is active
    (Theorem 4.2 of "Conditional PED-ANOVA", 2026). The whole is times (gamma' / gamma)^2, the share
    of the best trials squared, which is the same for every parameter.
    """
    cell, cells = grid(column)
    if cells < 2:
        return np.zeros(len(best))
    active = column.active
    local, top = (_counts(cell, cells, w[:, active]) for w in (all_trials, best))
    alpha = top.sum(axis=1) / best.sum(axis=1)
    beta = local.sum(axis=1) / all_trials.sum(axis=1)
    share = best.sum(axis=1) / all_trials.sum(axis=1)
    density = options_density if column.shares is not None else steps_density
    enough = (top.sum(axis=1) > 0) & (local.sum(axis=1) >= 2)
    top[~enough, 0] = local[~enough, 0] = 1.0  # anything, so that nothing is divided by 0
    divergence = pearson(density(top) + _TINY, density(local) + _TINY)
    found = np.where(enough, alpha**2 / np.where(enough, beta, 1.0) * divergence, 0.0)
    result: Floats = found * share**2
    return result


def pearson(top: Floats, local: Floats) -> Floats:
    """Return the Pearson divergence of densities on a grid, (r, g) -> (r,) (eq. 9)."""
    result: Floats = (local * (top / local - 1.0) ** 2).sum(axis=1)
    return result


def grid(column: Column) -> tuple[Ints, int]:
    """Return in which cell the active trials' values lie, and how many cells there are."""
    offset = column.offset[column.active]
    if column.shares is not None:
        return offset.astype(np.int64), len(column.shares)
    of, possible = column.parameter.distribution, column.possible
    cells = CELLS if possible is None else min(possible, CELLS)
    if isinstance(of, Int) and of.log:
        cells = min((of.size - 1).bit_length() + 1, CELLS)
    if cells < 2 or column.span <= 0:
        return np.zeros(len(offset), dtype=np.int64), 1
    nearest = np.ceil(offset / (column.span / (cells - 1)) - 0.5).astype(np.int64)
    return np.clip(nearest, 0, cells - 1), cells


def _counts(cell: Ints, cells: int, weights: Floats) -> Floats:
    """Return how many trials lie in each cell, (r, n) -> (r, cells)."""
    counts = np.stack([np.bincount(cell, row, minlength=cells) for row in weights])
    return counts.astype(np.float64)  # of no trials at all numpy counts in integers


def steps_density(counts: Floats) -> Floats:
    """Return densities on a grid by normal kernels, and one wide one as a prior; (r, g) -> (r, g).

    A kernel stands on each cell that has a trial, with Scott's bandwidth (1992), and is cut to the
    grid: its mass in a cell is a difference of the normal distribution's function.
    """
    cells = counts.shape[1]
    sigma = np.maximum(bandwidth(counts), _LEAST_SIGMA)  # (r,)
    # Edges of cells as seen from a kernel's centre: only their difference counts.
    edges = np.arange(-cells, cells) + 0.5  # (2g,)
    below = normal_cdf(edges / sigma[:, None])  # (r, 2g)
    mass = np.diff(below, axis=1)  # (r, 2g - 1): in the cell that is -g + 1 … g - 1 away
    centre = np.arange(cells)
    inside = below[:, 2 * cells - 1 - centre] - below[:, cells - 1 - centre]  # (r, g)
    weights = counts / inside
    away = centre[:, None] - centre[None, :] + cells - 1  # (g, g): of a cell from a centre
    density = np.empty_like(counts)
    for row in range(len(counts)):  # (g, g) at a time
        density[row] = mass[row][away] @ weights[row]
    middle = (cells - 1) / 2.0
    prior = np.diff(normal_cdf((np.arange(cells + 1) - 0.5 - middle) / cells))
    density += prior / prior.sum()
    result: Floats = density / (counts.sum(axis=1) + 1.0)[:, None]
    return result


def bandwidth(counts: Floats) -> Floats:
    """Return Scott's bandwidth in cells, from the spread and from the quartiles; (r, g) -> (r,)."""
    cells = np.arange(counts.shape[1])
    total = counts.sum(axis=1)
    mean = counts @ cells / total
    squares = (counts * (cells - mean[:, None]) ** 2).sum(axis=1)
    deviation = np.sqrt(squares / np.maximum(1.0, total - 1.0))
    upto = np.cumsum(counts, axis=1)
    # The first quartile is the cell that reaches it, the third the next one that has a trial.
    first = (upto < (total // 4)[:, None]).sum(axis=1)
    third = (upto <= (total * 3 // 4)[:, None]).sum(axis=1)
    quartiles = np.empty(len(counts))
    for row, each in enumerate(counts):
        full = np.flatnonzero(each)
        low = full[np.searchsorted(full, min(first[row], full[-1]))]
        high = full[np.searchsorted(full, min(third[row], full[-1]))]
        quartiles[row] = high - low
    result: Floats = 1.059 * np.minimum(quartiles / 1.34, deviation) * total**-0.2
    return result


def options_density(counts: Floats) -> Floats:
    """Return the probabilities of options: their counts, smoothed; (r, k) -> (r, k)."""
    seen = (counts > 0).sum(axis=1)[:, None]
    options = counts.shape[1]
    spread = 1.0 / (seen + 1.0)  # of each kernel, to every option
    own = (counts + spread * counts.sum(axis=1)[:, None]) / (1.0 + options * spread)
    result: Floats = (own + 1.0 / options) / (counts.sum(axis=1)[:, None] + 1.0)
    return result
