"""Densities of the tree-structured Parzen estimator: mixtures of kernels in the unit cube.

A kernel is a product over the coordinates: a normal density cut to [0, 1]; its mass in a cell,
where values are discrete; a share of one option and of all, where they are categories. The first
kernel is the prior: what is believed of each coordinate, or even in the cube, where a parameter's
own distribution has density 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinytune.distributions import Choice, Distribution, Int
from tinytune.portable import arrays, linear, scalars
from tinytune.search.belief import Belief, log_mass

Floats = NDArray[np.float64]

_LEAST_WIDTH = 0.03  # of a kernel, in parts of the range
_CELL_WIDTH = 0.5  # of a kernel, in parts of the cell that it is in
_LEAST_MASS = 1e-300
_MOST_CELLS = 1 << 20  # of numbers; more are a continuum
_MOST_IN_TABLE = 4096  # of logarithmic ranges: what lies in a table is not reckoned again
_LOG_ROOT_TWO_PI = 0.9189385332046727


class Axis:
    """One coordinate: where the cells of its values lie."""

    def __init__(self, distribution: Distribution) -> None:
        self.count = distribution.size  # of cells, None for a continuum
        if not isinstance(distribution, Choice) and (self.count or 0) > _MOST_CELLS:
            self.count = None
        self.is_category = isinstance(distribution, Choice) and not distribution.ordered
        self._cuts: Floats | None = None  # (count + 1,)
        self._logs: tuple[float, float, float] | None = None
        self._table: tuple[Floats, Floats] | None = None  # the ends of each value's cell
        if isinstance(distribution, Choice) and distribution.weights is not None:
            ends = list(scalars.shares(distribution.weights))
            self._cuts = np.array([0.0, *ends[: distribution.size - 1], 1.0])
        elif isinstance(distribution, Int) and distribution.log:
            start = arrays.log(float(distribution.low) - 0.5)
            end = arrays.log(float(distribution.high) + 0.5)
            self._logs = start, end - start, float(distribution.high)
            if distribution.size <= _MOST_IN_TABLE:
                lowest = np.rint(arrays.exp(start) + 0.5)
                self._table = self._around(lowest + np.arange(distribution.size))

    def cells(self, units: Floats) -> tuple[Floats, Floats]:
        """Return the lower and the upper ends (n,) of the cells that hold `units` (n,)."""
        if self._cuts is not None:
            place = np.searchsorted(self._cuts[1:-1], units, side="right")
            return self._cuts[place], self._cuts[place + 1]
        if self._logs is not None:
            start, span, highest = self._logs
            lowest = np.rint(arrays.exp(start) + 0.5)
            values = np.rint(arrays.exp(start + units * span))
            values = np.minimum(np.maximum(values, lowest), highest)
            if self._table is None:
                return self._around(values)
            place = (values - lowest).astype(np.intp)
            return self._table[0][place], self._table[1][place]
        count = float(self.count or 1)
        at: Floats = np.minimum(np.floor(units * count), count - 1.0)
        return at / count, (at + 1.0) / count

    def _around(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the ends (n,) of the cells of whole numbers (n,) in a logarithmic range."""
        start, span, _ = self._logs or (0.0, 1.0, 0.0)
        low = (arrays.log(values - 0.5) - start) / span
        high = (arrays.log(values + 0.5) - start) / span
        ends: Floats = np.minimum(np.maximum(np.stack([low, high]), 0.0), 1.0)
        return ends[0], ends[1]

    def snapped(self, units: Floats) -> Floats:
        """Return the middles of the cells; a continuum's units as they are."""
        if self.count is None:
            return units
        low, high = self.cells(units)
        return (low + high) / 2.0


@dataclass(frozen=True, eq=False)
class Mixture:
    """Kernels at n points of g coordinates, after the prior, and how much each weighs."""

    axes: Sequence[Axis]  # g of them
    centres: Floats  # (n, g), snapped
    widths: Floats  # (n, g)
    weights: Floats  # (n + 1,), the prior's first; their sum is 1
    beliefs: Sequence[Belief | None] = ()  # g of them, or none

    @classmethod
    def of(
        cls,
        axes: Sequence[Axis],
        points: Floats,
        weights: Floats,
        beliefs: Sequence[Belief | None] = (),
    ) -> Mixture:
        """Return the mixture at `points` (n, g); `weights` (n,) are relative.

        The prior weighs as much as the mean of the others (Watanabe 2023, 2304.11127).
        """
        count = len(points)
        centres = _snapped(axes, points)
        widths = np.ones((count, len(axes)))
        numbers = [j for j, axis in enumerate(axes) if not axis.is_category]
        widths[:, numbers] = _widths([axes[j] for j in numbers], centres[:, numbers])
        prior = linear.total(weights) / count if count else 1.0
        every = np.concatenate([np.array([prior]), weights])
        return cls(axes, centres, widths, every / linear.total(every), beliefs)

    def sample(self, uniforms: Floats) -> Floats:
        """Return points (m, g) drawn by inversion from `uniforms` (m, 1 + 2 g)."""
        ends = np.cumsum(self.weights)
        chosen = np.searchsorted(ends, uniforms[:, 0] * ends[-1], side="right")
        chosen = np.minimum(chosen, len(self.weights) - 1)
        chance, other = uniforms[:, 1::2], uniforms[:, 2::2]  # (m, g)
        return _snapped(self.axes, self._drawn(chosen, chance, other))

    def _drawn(self, chosen: NDArray[np.intp], chance: Floats, other: Floats) -> Floats:
        """Return points (m, g) from the kernels `chosen` (m,), of which 0 is the prior."""
        prior = self._believed(chance, chosen == 0)
        if not len(self.centres):
            return prior
        at = np.maximum(chosen - 1, 0)
        centre, width = self.centres[at], self.widths[at]
        drawn = np.empty(centre.shape)
        for j, axis in enumerate(self.axes):
            if axis.is_category:
                spread = float(axis.count or 1) / len(self.centres)
                is_any = other[:, j] < spread / (1.0 + spread)
                drawn[:, j] = np.where(is_any, chance[:, j], centre[:, j])
        numbers = [j for j, axis in enumerate(self.axes) if not axis.is_category]
        centre, width = centre[:, numbers], width[:, numbers]
        low, high = arrays.normal_cdf(np.stack(((0.0 - centre) / width, (1.0 - centre) / width)))
        p = np.clip(low + chance[:, numbers] * (high - low), 2.0**-53, 1.0 - 2.0**-53)
        drawn[:, numbers] = np.clip(centre + width * arrays.normal_quantile(p), 0.0, 1.0)
        units: Floats = np.where(chosen[:, None] == 0, prior, drawn)
        return units

    def _believed(self, chance: Floats, is_prior: NDArray[np.bool_]) -> Floats:
        """Return points (m, g): those that are drawn from the prior by what is believed."""
        found = chance.copy()
        for j, belief in enumerate(self.beliefs):
            if belief is not None:
                found[is_prior, j] = [belief.drawn(unit) for unit in chance[is_prior, j].tolist()]
        return found

    def log_density(self, points: Floats) -> Floats:
        """Return the logarithm of the density at snapped `points` (m, g); shape (m,)."""
        logs = np.zeros((len(points), len(self.weights)))
        ends = np.stack(((1.0 - self.centres) / self.widths, -self.centres / self.widths))
        above, below = arrays.normal_cdf(ends)
        inside = above - below  # (n, g), of no meaning for categories
        divisors = arrays.log(self.widths * inside) + _LOG_ROOT_TWO_PI
        for j, belief in enumerate(self.beliefs):
            if belief is not None:
                logs[:, 0] += belief.log_density(points[:, j]) - log_mass(belief)
        for j, axis in enumerate(self.axes):
            if axis.count is None:
                z = (points[:, j, None] - self.centres[:, j]) / self.widths[:, j]
                logs[:, 1:] += -0.5 * z * z - divisors[:, j]
                continue
            low, high = axis.cells(points[:, j])
            _, first, place = np.unique(low, return_index=True, return_inverse=True)
            kernels = self._cell_kernels(j, axis, low[first], high[first], inside[:, j])
            logs[:, 1:] += kernels[place]
        highest = np.max(logs, axis=1)
        sums = linear.total(self.weights * arrays.exp(logs - highest[:, None]), axis=1)
        density: Floats = highest + arrays.log(sums)
        return density

    def _cell_kernels(
        self, j: int, axis: Axis, low: Floats, high: Floats, inside: Floats
    ) -> Floats:
        """Return the logarithms (m, n) of a coordinate's factors in the cells from low to high."""
        centre, width = self.centres[:, j], self.widths[:, j]
        size = (high - low)[:, None]
        if axis.is_category:
            spread = float(axis.count or 1) / max(1, len(centre))
            is_same = np.array([True, False])
            same, other = arrays.log((spread + is_same / size) / (1.0 + spread)).T
            is_same = (low[:, None] < centre) & (centre < high[:, None])
            kernels: Floats = np.where(is_same, same[:, None], other[:, None])
            return kernels
        mass = arrays.normal_cdf((high[:, None] - centre) / width)
        mass = mass - arrays.normal_cdf((low[:, None] - centre) / width)
        return arrays.log(np.maximum(mass, _LEAST_MASS) / inside / size)


def _snapped(axes: Sequence[Axis], points: Floats) -> Floats:
    """Return points (n, g) with discrete coordinates in the middle of their cells."""
    snapped = points.copy()
    for j, axis in enumerate(axes):
        if axis.count is not None:
            snapped[:, j] = axis.snapped(points[:, j])
    return snapped


def _widths(axes: Sequence[Axis], centres: Floats) -> Floats:
    """Return each kernel's widths (n, g): the larger gap to its neighbours, or to the border.

    Bergstra et al. 2011; the lower limit is Watanabe's (2023) with his exponent 2.
    """
    count, size = centres.shape
    order = np.argsort(centres, axis=0, kind="stable")
    ranked = np.take_along_axis(centres, order, axis=0)
    ranked = np.concatenate([np.zeros((1, size)), ranked, np.ones((1, size))])
    gaps = ranked[1:] - ranked[:-1]
    widths = np.empty(centres.shape)
    np.put_along_axis(widths, order, np.maximum(gaps[:-1], gaps[1:]), axis=0)
    least = max(_LEAST_WIDTH, 1.0 / ((count + 2.0) * (count + 2.0)))
    widths = np.clip(widths, least, 1.0)
    for j, axis in enumerate(axes):
        if axis.count is not None:
            low, high = axis.cells(centres[:, j])
            widths[:, j] = np.maximum(widths[:, j], _CELL_WIDTH * (high - low))
    return widths
