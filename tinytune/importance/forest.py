"""A forest of regression trees in numpy: all trees grow at once, level by level.

Breiman 2001, with all columns tried at each split, as bagging does. Each tree is grown until its
leaves are pure. Where several columns split a node equally well, as they all do where two rows are
left, chance decides: else the first column would seem to matter more than the last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinytune.importance.evidence import Floats, Ints

_TIED = 1e-9  # of a node's variance: gains that differ by less differ by rounding alone


@dataclass(frozen=True, eq=False)
class Leaves:
    """The leaves of some trees: boxes in p columns, and the mean of the rows in each."""

    tree: Ints  # (l,)
    low: Floats  # (l, p), -inf where there is no bound
    high: Floats  # (l, p)
    value: Floats  # (l,)

    def of(self, tree: int) -> Leaves:
        """Return the leaves of one tree."""
        chosen = self.tree == tree
        return Leaves(self.tree[chosen], self.low[chosen], self.high[chosen], self.value[chosen])

    def predict(self, x: Floats) -> Floats:
        """Return the values of one tree's leaves in which the rows lie, (n, p) -> (n,)."""
        inside = np.ones((len(x), len(self.value)), dtype=np.bool_)
        for j in range(x.shape[1]):
            inside &= (self.low[:, j] < x[:, j, None]) & (x[:, j, None] <= self.high[:, j])
        result: Floats = self.value[inside.argmax(axis=1)]
        return result


@dataclass(frozen=True, eq=False)
class _Level:
    """The nodes of one depth, in all trees, and the rows in them."""

    tree: Ints  # (k,)
    low: Floats  # (k, p)
    high: Floats  # (k, p)
    node: Ints  # (m,) the node in which each row is, rising
    order: tuple[Ints, ...]  # for each column the rows, by node and then by value: (m,) each


Ties = Callable[[int, int], Floats]  # (depth, count) -> numbers in (0, 1), shape (count,)


def grow(x: Floats, y: Floats, samples: Ints, ties: Ties) -> Leaves:
    """Return the leaves of trees grown on rows of x (n, p) and y (n,).

    `samples` names the rows of each tree, shape (trees, m); a row may be named several times.
    """
    trees, size = samples.shape
    rows = samples.ravel()  # (trees * m,)
    values = x[rows]
    scale = float(np.ptp(y)) or 1.0
    target = (y[rows] - y.mean()) / scale
    tree = np.repeat(np.arange(trees), size)
    order = tuple(np.lexsort((values[:, j], tree)) for j in range(x.shape[1]))
    bounds = np.full((trees, x.shape[1]), np.inf)
    level = _Level(np.arange(trees), -bounds, bounds, tree, order)
    done: list[tuple[Ints, Floats, Floats, Floats]] = []
    depth = 0
    while len(level.tree):
        counts = np.bincount(level.node)
        mean = np.bincount(level.node, target[level.order[0]]) / counts
        column, threshold = _splits(level, values, target, counts, ties, depth)
        ends = column < 0
        done.append((level.tree[ends], level.low[ends], level.high[ends], mean[ends]))
        level = _divided(level, values, column, threshold)
        depth += 1
    tree, low, high, value = (np.concatenate(parts) for parts in zip(*done, strict=True))
    return Leaves(tree, low, high, value * scale + y.mean())


def _splits(
    level: _Level, values: Floats, target: Floats, counts: Ints, ties: Ties, depth: int
) -> tuple[Ints, Floats]:
    """Return each node's best column, -1 where it is a leaf, and the threshold; (k,) each."""
    nodes, columns = len(counts), len(level.order)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    y = target[level.order[0]]
    base = np.bincount(level.node, y) ** 2 / counts
    spread = np.bincount(level.node, y**2) - base  # sum of squares around the mean
    gain, threshold = np.empty((columns, nodes)), np.empty((columns, nodes))
    for j, order in enumerate(level.order):
        gain[j], threshold[j] = _best_of_column(
            values[order, j], target[order], level.node, starts, counts
        )
    gain -= base
    most = gain.max(axis=0)
    # Also without any gain: where only two columns together say something, neither does alone.
    is_impure = np.maximum.reduceat(y, starts) > np.minimum.reduceat(y, starts)
    chance = ties(depth, columns * nodes).reshape(columns, nodes)
    column = np.where(gain >= most - _TIED * spread, chance, -1.0).argmax(axis=0)
    column[~(is_impure & np.isfinite(most))] = -1
    return column, threshold[column, np.arange(nodes)]


def _best_of_column(
    x: Floats, y: Floats, node: Ints, starts: Ints, counts: Ints
) -> tuple[Floats, Floats]:
    """Return each node's greatest sum of (sum of a side)^2 / count, and the threshold; (k,) each.

    Rows are by node and by x. The variance within a node falls by that sum minus (sum)^2 / count.
    """
    upto = np.cumsum(y)
    before = np.concatenate([[0.0], upto])[starts]
    total = upto[starts + counts - 1] - before
    left = upto - before[node]
    there = np.arange(len(x)) - starts[node] + 1
    rest = counts[node] - there
    possible = np.zeros(len(x), dtype=np.bool_)
    possible[:-1] = (node[1:] == node[:-1]) & (x[1:] > x[:-1])
    right = total[node] - left
    score = np.where(possible, left**2 / there + right**2 / np.maximum(rest, 1), -np.inf)
    most = np.maximum.reduceat(score, starts)
    at = np.flatnonzero(score == most[node])
    _, first = np.unique(node[at], return_index=True)  # every node has one
    cut = at[first]
    following = np.minimum(cut + 1, len(x) - 1)
    return most, (x[cut] + x[following]) / 2.0


def _divided(level: _Level, values: Floats, column: Ints, threshold: Floats) -> _Level:
    """Return the next level: the two halves of each node that has a split."""
    splits = np.flatnonzero(column >= 0)
    rank = np.full(len(column), -1)
    rank[splits] = np.arange(len(splits))
    column, threshold = column[splits], threshold[splits]
    order, child = [], np.empty(0, dtype=np.int64)
    for each in level.order:
        kept = each[rank[level.node] >= 0]
        mother = rank[level.node[rank[level.node] >= 0]]
        child = 2 * mother + (values[kept, column[mother]] > threshold[mother])
        by_child = np.argsort(child, kind="stable")
        order.append(kept[by_child])
        child = child[by_child]
    low, high = (np.repeat(bound[splits], 2, axis=0) for bound in (level.low, level.high))
    left = 2 * np.arange(len(splits))
    high[left, column] = threshold
    low[left + 1, column] = threshold
    return _Level(np.repeat(level.tree[splits], 2), low, high, child, tuple(order))
