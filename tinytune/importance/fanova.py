"""fANOVA: how much of the results' variance each parameter explains, alone and with another one.

Hutter, Hoos and Leyton-Brown 2014, "An Efficient Approach for Assessing Hyperparameter Importance".
A forest is fitted to the trials. A tree's leaves are boxes, so that its mean over all parameters
but one, and the variance of that, are sums over leaves, without any sampling (their Algorithm 2).
The space is spread out evenly on the scale on which it is searched: logarithmic for parameters that
are searched by ratios, by their weights for options.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinytune import draw
from tinytune.importance.evidence import Bools, Column, Evidence, Floats, Ints
from tinytune.importance.forest import Leaves, grow

TREES = 64
MOST_ROWS = 600  # of a tree: more trials make more different trees
_MOST_HELD = 300  # rows on which the forest is tested
LEAST_ACTIVE = 10  # trials in which a parameter must be active


@dataclass(frozen=True, eq=False)
class Axis:
    """One parameter as the leaves see it: the columns that are its own, and its parts."""

    columns: tuple[int, ...]  # one; of options without an order, one for each
    shares: Floats | None  # (k,) of options without an order


@dataclass(frozen=True, eq=False)
class Fractions:
    """The share of the variance that is due to parameters, in each tree."""

    alone: dict[str, Floats]  # name -> (trees,)
    pairs: dict[tuple[str, str], Floats]  # two names -> (trees,): what they explain only together
    fit: dict[str, float]  # name -> R^2 on trials that trees had not seen


def fanova(evidence: Evidence, seed: int = 0) -> Fractions:
    """Return the shares of variance that parameters explain alone and by pairs.

    Parameters that are active in the same trials have a forest of their own, fitted to these
    trials: there it is seen what they explain. Parameters with a single value have no share.
    """
    alone: dict[str, Floats] = {}
    pairs: dict[tuple[str, str], Floats] = {}
    fit: dict[str, float] = {}
    for rows, own, columns in _groups(evidence):
        found, quality = _forest(evidence.scaled[rows], [_cut(c, rows) for c in columns], seed)
        for i, column in enumerate(columns):
            if column.name in own:
                alone[column.name], fit[column.name] = found[i, i], quality
            for j in range(i):
                pair = (columns[j].name, column.name)
                if own & set(pair):  # where both of them are active
                    pairs[pair] = found[j, i]
    return Fractions(alone, pairs, fit)


def _groups(evidence: Evidence) -> Iterator[tuple[Bools, set[str], list[Column]]]:
    """Yield trials, the parameters that are active just there, and all that are active there."""
    masks = {column.active.tobytes(): column.active for column in evidence.columns}
    for rows in masks.values():
        if rows.sum() < LEAST_ACTIVE or np.ptp(evidence.scaled[rows]) == 0:
            continue
        there = [c for c in evidence.columns if c.active[rows].all() and _cut(c, rows).distinct > 1]
        own = {c.name for c in there if np.array_equal(c.active, rows)}
        if own:
            yield rows, own, there


def _cut(column: Column, rows: Bools) -> Column:
    values = tuple(v for v, is_kept in zip(column.values, rows, strict=True) if is_kept)
    return replace(column, values=values, offset=column.offset[rows], unit=column.unit[rows])


def _forest(loss: Floats, columns: Sequence[Column], seed: int) -> tuple[Floats, float]:
    """Return shares of variance, (d, d, trees) as of `decompose`, and R^2 on unseen trials."""
    axes, x = encoded(columns)
    count = len(loss)
    size = min(count, MOST_ROWS)
    uniform = draw.uniforms(TREES * size, seed, 0, "importance", "fanova")
    samples = (uniform * count).astype(np.int64).reshape(TREES, size)
    leaves = grow(
        x, loss, samples, lambda depth, k: draw.uniforms(k, seed, 0, "importance", "ties", depth)
    )
    trees = [leaves.of(tree) for tree in range(TREES)]
    fractions = np.stack([decompose(tree, axes) for tree in trees], axis=2)
    return fractions, _fit(x, loss, samples, trees)


def _fit(x: Floats, loss: Floats, samples: Ints, trees: Sequence[Leaves]) -> float:
    """Return R^2 of the mean prediction of those trees that have not seen a row."""
    rows = np.unique(np.linspace(0, len(loss) - 1, _MOST_HELD).astype(np.int64))
    total, votes = np.zeros(len(rows)), np.zeros(len(rows))
    for sample, tree in zip(samples, trees, strict=True):
        unseen = ~np.isin(rows, sample)
        total[unseen] += tree.predict(x[rows[unseen]])
        votes[unseen] += 1
    known = votes > 0
    y = loss[rows[known]]
    around = float(((y - y.mean()) ** 2).sum()) if len(y) else 0.0
    if around == 0:
        return 0.0
    return 1.0 - float(((y - total[known] / votes[known]) ** 2).sum()) / around


def encoded(columns: Sequence[Column]) -> tuple[list[Axis], Floats]:
    """Return the axes, and the trials as the forest sees them, shape (n, p).

    Options without an order are a column each, 1 where it is chosen and 0 elsewhere.
    """
    axes, parts = [], []
    place = 0
    for column in columns:
        width = 1 if column.shares is None else len(column.shares)
        axes.append(Axis(tuple(range(place, place + width)), column.shares))
        if column.shares is None:
            parts.append(column.unit[:, None])
        else:
            parts.append((column.offset[:, None] == np.arange(width)).astype(np.float64))
        place += width
    return axes, np.concatenate(parts, axis=1)


def decompose(leaves: Leaves, axes: Sequence[Axis]) -> Floats:
    """Return the shares of a tree's variance, (d, d): alone on the diagonal, of pairs above it.

    With the leaves' volumes v and values c around the mean, V = sum v c^2; the mean given t is
    a_j(t) = sum over leaves with t of v / v_j c, and V_j = sum over parts w_j a_j^2 (eq. 5 to 7).
    """
    parts = [_parts(leaves, axis) for axis in axes]
    extents = np.stack([part.extents for part in parts])  # (d, l)
    volume = extents.prod(axis=0)
    volume /= volume.sum()  # 1 but for rounding
    value = leaves.value - float((volume * leaves.value).sum())
    variance = float((volume * value**2).sum())
    shares = np.zeros((len(axes), len(axes)))
    if variance <= 0:
        return shares
    for j, part in enumerate(parts):
        mean = _mean(volume / extents[j] * value, part)
        shares[j, j] = float((part.widths * mean**2).sum()) / variance
        for i, other in enumerate(parts[:j]):
            both = _mean_of_two(volume / (extents[i] * extents[j]) * value, other, part)
            explained = float((other.widths[:, None] * part.widths * both**2).sum()) / variance
            shares[i, j] = max(0.0, explained - shares[i, i] - shares[j, j])
    return shares


@dataclass(frozen=True, eq=False)
class _Parts:
    """An axis cut into s parts, and in which of them each leaf lies.

    Of an interval only the ends are kept: +1 at its first part, -1 after the last one. Sums over
    leaves are sums of these, and then running sums over the parts.
    """

    widths: Floats  # (s,)
    place: Ints  # (l, m) parts that a leaf begins or ends in, or that it contains
    sign: Floats  # (l, m)
    is_interval: bool

    @property
    def extents(self) -> Floats:
        """How much of the axis each leaf covers, (l,)."""
        upto = np.concatenate([[0.0], np.cumsum(self.widths)])
        sizes = -upto[self.place] if self.is_interval else self.widths[self.place]
        result: Floats = (self.sign * sizes).sum(axis=1)
        return result


def _mean(weight: Floats, axis: _Parts) -> Floats:
    """Return the sum of the leaves' weights over those that contain each part, (l,) -> (s,)."""
    size = len(axis.widths)
    signed = (axis.sign * weight[:, None]).ravel()
    result: Floats = np.bincount(axis.place.ravel(), signed, size + 1).astype(np.float64)
    return (np.cumsum(result) if axis.is_interval else result)[:size]


def _mean_of_two(weight: Floats, one: _Parts, other: _Parts) -> Floats:
    """Return the same for each pair of parts, (l,) -> (s, s')."""
    size, wide = len(one.widths), len(other.widths) + 1
    place = one.place[:, :, None] * wide + other.place[:, None, :]
    sign = one.sign[:, :, None] * other.sign[:, None, :] * weight[:, None, None]
    flat: Floats = np.bincount(place.ravel(), sign.ravel(), (size + 1) * wide).astype(np.float64)
    table = flat.reshape(size + 1, wide)
    table = np.cumsum(table, axis=0) if one.is_interval else table
    table = np.cumsum(table, axis=1) if other.is_interval else table
    return table[:size, : wide - 1]


def _parts(leaves: Leaves, axis: Axis) -> _Parts:
    """Return the parts into which some leaves cut an axis."""
    columns = list(axis.columns)
    low, high = leaves.low[:, columns], leaves.high[:, columns]  # (l, 1), or (l, k) of options
    if axis.shares is None:
        low, high = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
        edges = np.unique(np.concatenate([[0.0, 1.0], low.ravel(), high.ravel()]))
        ends = np.concatenate([low, high], axis=1)  # (l, 2)
        sign = np.broadcast_to([1.0, -1.0], ends.shape)
        return _Parts(np.diff(edges), np.searchsorted(edges, ends), sign, is_interval=True)
    # A leaf contains an option if that may be chosen, and all others need not be.
    needed = low >= 0
    others = needed.sum(axis=1)[:, None] - needed
    inside = ((high >= 1) & (others == 0)).astype(np.float64)
    place = np.broadcast_to(np.arange(len(columns)), inside.shape)
    return _Parts(axis.shares, place, inside, is_interval=False)
