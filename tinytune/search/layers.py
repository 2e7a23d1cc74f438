"""Which of many points with several values are the best, all values being small where good.

Points come in layers: the first is the Pareto front, the second the front of the others, and so on.
What misses less of what results have to meet comes before what misses more (Deb et al. 2002).
Where only a part of a layer is taken, it is the part that serves most directions best: the greedy
choice by the R2 indicator (Hansen and Jaszkiewicz 1998), of augmented Chebyshev distances. Unlike
the hypervolume it is cheap for any number of values.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tinytune.portable import linear
from tinytune.search import several

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DIRECTIONS = 40  # for each value
_LEAST = 0.7  # of the greatest weight: at the ends of a front are points that serve few directions


def best(goals: Floats, missed: Floats, count: int) -> Ints:
    """Return the places of `count` of the points (n, k) at most, the better layers first.

    `missed` (n,) is by how much each misses what results have to meet.
    """
    found: list[int] = []
    left = np.arange(len(goals))
    while len(left) and len(found) < count:
        here = left[missed[left] == np.min(missed[left])]
        here = here[front(goals[here])]
        space = count - len(found)
        chosen = here if len(here) <= space else here[spread(goals[here], space)]
        found += chosen.tolist()
        left = np.setdiff1d(left, here, assume_unique=True)
    return np.array(found, dtype=np.int64)


def front(goals: Floats) -> Ints:
    """Return the places of the points (n, k) that no other one dominates, in their order."""
    order = np.lexsort(goals.T[::-1])
    kept: list[int] = []
    while len(order):
        first, rest = int(order[0]), order[1:]  # by its values nothing left can dominate it
        kept.append(first)
        beaten = np.all(goals[first] <= goals[rest], axis=1)
        beaten &= np.any(goals[first] < goals[rest], axis=1)
        order = rest[~beaten]
    return np.sort(np.array(kept, dtype=np.int64))


def spread(goals: Floats, count: int) -> list[int]:
    """Return the places of `count` of the points (n, k), each the one that adds most to those."""
    apart = distances(goals)
    least = np.full(apart.shape[1], 2.0)
    found: list[int] = []
    for _ in range(count):
        gain = linear.total(np.maximum(least - apart, 0.0), 1)
        gain[found] = -1.0
        found.append(int(np.argmax(gain)))
        least = np.minimum(least, apart[found[-1]])
    return found


def weights(goals: Floats) -> Floats:
    """Return what each of the points (n, k) weighs, up to 1: how much would be lost without it."""
    if len(goals) < 2:
        return np.ones(len(goals))
    apart = distances(goals)
    order = np.argsort(apart, axis=0, kind="stable")
    columns = np.arange(apart.shape[1])
    gain = np.zeros(len(goals))
    np.add.at(gain, order[0], apart[order[1], columns] - apart[order[0], columns])
    most = float(np.max(gain))
    return np.maximum(gain / most, _LEAST) if most > 0.0 else np.ones(len(goals))


def distances(goals: Floats) -> Floats:
    """Return how far (n, m) the points (n, k) are from the best of each value, by m weights."""
    units = in_units(goals)
    parts = units[:, None, :] * _directions(goals.shape[1])
    most, total = parts[:, :, 0], np.zeros(parts.shape[:2])
    for index in range(goals.shape[1]):
        most, total = np.maximum(most, parts[:, :, index]), total + parts[:, :, index]
    found: Floats = most + several.SUM * total
    return found


def in_units(goals: Floats) -> Floats:
    """Return values (n, k) from 0, the least of each, to 1, the greatest finite one."""
    units = np.zeros(goals.shape)
    for index, column in enumerate(goals.T):
        finite = column[np.isfinite(column)]
        if not len(finite):
            continue
        low, high = float(np.min(finite)), float(np.max(finite))
        if 0.0 < high - low < math.inf:
            units[:, index] = (np.minimum(np.maximum(column, low), high) - low) / (high - low)
        else:
            units[:, index] = column > low
    return units


@lru_cache(maxsize=16)
def _directions(count: int) -> Floats:
    """Return weights (m, k) of so many values, spread evenly."""
    made = [several.shares(0, number, count) for number in range(_DIRECTIONS * count)]
    return np.array(made)
