"""What CMA-ES does about values that are few: cells keep a margin, categories are probabilities."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tinytune.portable import arrays, linear, scalars
from tinytune.search import cma_state
from tinytune.search.cma_state import State

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_LOG_CERTAINTY = -0.31471074483970024  # ln 0.73, CatCMA's certainty of its margin


def within(low: Matrix, high: Matrix, state: State, uniforms: Matrix) -> Matrix:
    """Return a point of each cell, (n, d), drawn from the distribution's marginals there.

    low, high: (n, d), where the cells begin and end; equal ones are the point. Where in a cell a
    result lies is not known, and this says neither more nor less than that.
    """
    unsure = np.flatnonzero((low != high).any(axis=0))
    points = low.copy()
    low, high = low[:, unsure], high[:, unsure]
    mean, deviations = state.mean[unsure], state.deviations[unsure]
    start, end = (low - mean) / deviations, (high - mean) / deviations
    is_above = start > 0  # reckoned from the other side, where probabilities have more digits
    start, end = np.where(is_above, -end, start), np.where(is_above, -start, end)
    start_share, end_share = arrays.normal_cdf(np.stack((start, end)))
    share = start_share + uniforms[:, unsure] * (end_share - start_share)
    normal = arrays.normal_quantile(np.minimum(np.maximum(share, 1e-300), 1 - 2.0**-53))
    drawn = mean + deviations * np.where(is_above, -normal, normal)
    points[:, unsure] = np.minimum(np.maximum(drawn, low), high)
    return points


def with_margin(state: State, edges: Sequence[Sequence[float] | None], alpha: float) -> State:
    """Return the distribution, moved and widened so that no coordinate freezes in one cell.

    Hamano et al. (2022), "CMA-ES with Margin" (arXiv 2205.13482): a neighbouring cell keeps a
    probability of alpha, two of them alpha/2 each.
    """
    columns, starts, ends = [], [], []
    for j, column in enumerate(edges):
        if column is not None:
            start, end = _inner(column, float(state.mean[j]))
            columns.append(j)
            starts.append(start)
            ends.append(end)
    if not columns:
        return state
    deviations = state.deviations[columns]
    mean, low, high = state.mean[columns], np.array(starts), np.array(ends)
    reach = deviations * _quantile(1 - alpha)
    # At an end of the range there is one neighbour: the mean comes near enough to it.
    new_mean = np.where(np.isinf(low), np.maximum(mean, high - reach), mean)
    new_mean = np.where(np.isinf(high), np.minimum(mean, low + reach), new_mean)
    middle = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(middle, low, mean - 1.0), np.where(middle, high, mean + 1.0)
    middle_mean, scale = _kept_open(mean, deviations, low, high, alpha / 2)
    new_mean, scale = np.where(middle, middle_mean, new_mean), np.where(middle, scale, 1.0)
    all_means, all_scales = state.mean.copy(), np.ones(len(state.mean))
    all_means[columns], all_scales[columns] = new_mean, scale
    return cma_state.rescaled(state, all_means, all_scales)


@lru_cache(maxsize=64)
def _quantile(p: float) -> float:
    return scalars.normal_quantile(p)


def _kept_open(
    mean: Vector, deviation: Vector, low: Vector, high: Vector, least: float
) -> tuple[Vector, Vector]:
    """Return the mean, and how much wider, so that both sides of a cell have a probability.

    All of shape (n,), but for `least`, the probability that neither side falls below.
    """
    shares = arrays.normal_cdf(np.stack(((low - mean) / deviation, (mean - high) / deviation)))
    is_short = np.min(shares, axis=0) < least
    if not is_short.any():
        return mean, np.ones(len(mean))
    to_low, to_high = -arrays.normal_quantile(np.minimum(np.maximum(shares, least), 0.5))
    both = np.where(is_short, to_low + to_high, 1.0)
    new_mean = (low * to_high + high * to_low) / both
    scale = (high - low) / both / deviation
    return np.where(is_short, new_mean, mean), np.where(is_short, scale, 1.0)


def _inner(edges: Sequence[float], at: float) -> tuple[float, float]:
    """Return the edges around a point; an end of the range is infinitely far away."""
    last = len(edges) - 2
    cell = min(max(bisect_right(edges, at) - 1, 0), last)
    start = -math.inf if cell == 0 else edges[cell]
    return start, math.inf if cell == last else edges[cell + 1]


@dataclass(frozen=True, eq=False)
class Categories:
    """The probabilities of each category's options."""

    probabilities: Matrix  # (c, k); rows end with zeros where there are fewer options
    least: Matrix  # (c, k): no probability falls below

    def options(self, uniforms: Vector) -> list[int]:
        """Return an option of each category, drawn with uniforms of shape (c,)."""
        chosen = []
        for row, uniform in zip(self.probabilities.tolist(), uniforms.tolist(), strict=True):
            total, option = 0.0, 0
            for candidate, probability in enumerate(row):
                if probability > 0:
                    option = candidate
                    total = total + probability
                if uniform < total:
                    break
            chosen.append(option)
        return chosen


def categories(shares: Sequence[Sequence[float]]) -> Categories:
    """Return categories whose options have these probabilities, each row of sum 1.

    Their margin is CatCMA's (Hamano et al. 2024, arXiv 2405.09962): with a probability of 0.27
    one category or other is not at its most likely option.
    """
    most = max(map(len, shares), default=0)
    probabilities, least = np.zeros((len(shares), most)), np.zeros((len(shares), most))
    for i, row in enumerate(shares):
        count = len(row)
        change = 1 - scalars.exp(_LOG_CERTAINTY / len(shares))
        probabilities[i, :count] = row
        least[i, :count] = min(change / (count - 1), 1 / count) if count > 1 else 1.0
    return Categories(_floored(probabilities, least), least)


def learnt(old: Categories, hot: NDArray[np.float64], weights: Vector, mu_eff: float) -> Categories:
    """Return the probabilities after one generation: they move towards those of the best results.

    hot: (n, c, k), 1 at the options of each result; weights: (n,), of sum 1. The more results
    count (mu_eff), the further: by some two fifths in a usual generation.
    """
    rate = mu_eff / (mu_eff + 4)
    probabilities = (1 - rate) * old.probabilities
    for i in np.flatnonzero(weights):
        probabilities = probabilities + rate * weights[i] * hot[i]
    return Categories(_floored(probabilities, old.least), old.least)


def _floored(probabilities: Matrix, least: Matrix) -> Matrix:
    """Return probabilities that are not below the least, with rows of sum 1."""
    above = np.maximum(probabilities - least, 0.0)
    room = 1.0 - linear.total(least, axis=1)
    total = linear.total(above, axis=1)
    share = np.where(total > 0, room / np.where(total > 0, total, 1.0), 0.0)
    floored: Matrix = least + above * share[:, None]
    return floored
