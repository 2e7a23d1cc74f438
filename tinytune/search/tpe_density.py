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
        if isinstance(distribution, Choice) and distribution.weights is not None:
            ends = list(scalars.shares(distribution.weights))
            self._cuts = np.array([0.0, *ends[: distribution.size - 1], 1.0])
        elif isinstance(distribution, Int) and distribution.log:
            start = arrays.log(float(distribution.low) - 0.5)
            end = arrays.log(float(distribution.high) + 0.5)
            self._logs = start, end - start, float(distribution.high)

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
            low = (arrays.log(values - 0.5) - start) / span
            high = (arrays.log(values + 0.5) - start) / span
            ends: Floats = np.minimum(np.maximum(np.stack([low, high]), 0.0), 1.0)
            return ends[0], ends[1]
        count = float(self.count or 1)
        at: Floats = np.minimum(np.floor(units * count), count - 1.0)
        return at / count, (at + 1.0) / count

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
        centres = np.empty((count, len(axes)))
        widths = np.ones((count, len(axes)))
        for j, axis in enumerate(axes):
            centres[:, j] = axis.snapped(points[:, j])
            if not axis.is_category:
                widths[:, j] = _widths(axis, centres[:, j])
        prior = linear.total(weights) / count if count else 1.0
        every = np.concatenate([np.array([prior]), weights])
        return cls(axes, centres, widths, every / linear.total(every), beliefs)

    def sample(self, uniforms: Floats) -> Floats:
        """Return points (m, g) drawn by inversion from `uniforms` (m, 1 + 2 g)."""
        ends = np.cumsum(self.weights)
        chosen = np.searchsorted(ends, uniforms[:, 0] * ends[-1], side="right")
        chosen = np.minimum(chosen, len(self.weights) - 1)
        points = np.empty((len(uniforms), len(self.axes)))
        for j, axis in enumerate(self.axes):
            chance, other = uniforms[:, 1 + 2 * j], uniforms[:, 2 + 2 * j]
            points[:, j] = axis.snapped(self._drawn(j, axis, chosen, chance, other))
        return points

    def _drawn(
        self, j: int, axis: Axis, chosen: NDArray[np.intp], chance: Floats, other: Floats
    ) -> Floats:
        """Return coordinates (m,) from the kernels `chosen` (m,), of which 0 is the prior."""
        prior = self._believed(j, chance, chosen == 0)
        if not len(self.centres):
            return prior
        at = np.maximum(chosen - 1, 0)
        centre, width = self.centres[at, j], self.widths[at, j]
        if axis.is_category:
            spread = float(axis.count or 1) / len(self.centres)
            drawn = np.where(other < spread / (1.0 + spread), chance, centre)
        else:
            low = arrays.normal_cdf((0.0 - centre) / width)
            high = arrays.normal_cdf((1.0 - centre) / width)
            p = np.clip(low + chance * (high - low), 2.0**-53, 1.0 - 2.0**-53)
            drawn = np.clip(centre + width * arrays.normal_quantile(p), 0.0, 1.0)
        units: Floats = np.where(chosen == 0, prior, drawn)
        return units

    def _believed(self, j: int, chance: Floats, is_prior: NDArray[np.bool_]) -> Floats:
        """Return the coordinates (m,) that are drawn from the prior; the others are as they are."""
        belief = self.beliefs[j] if self.beliefs else None
        if belief is None:
            return chance
        pairs = zip(chance.tolist(), is_prior.tolist(), strict=True)
        return np.array([belief.drawn(unit) if is_it else unit for unit, is_it in pairs])

    def log_density(self, points: Floats) -> Floats:
        """Return the logarithm of the density at snapped `points` (m, g); shape (m,)."""
        logs = np.zeros((len(points), len(self.weights)))
        for j, axis in enumerate(self.axes):
            logs[:, 1:] += self._kernels(j, axis, points[:, j])
            belief = self.beliefs[j] if self.beliefs else None
            if belief is not None:
                logs[:, 0] += belief.log_density(points[:, j]) - log_mass(belief)
        highest = np.max(logs, axis=1)
        sums = linear.total(self.weights * arrays.exp(logs - highest[:, None]), axis=1)
        density: Floats = highest + arrays.log(sums)
        return density

    def _kernels(self, j: int, axis: Axis, units: Floats) -> Floats:
        """Return the logarithms (m, n) of one coordinate's factors."""
        centre, width = self.centres[:, j], self.widths[:, j]
        if axis.is_category:
            low, high = axis.cells(units)
            spread = float(axis.count or 1) / max(1, len(centre))
            share = (high - low)[:, None]
            is_same = (low[:, None] < centre) & (centre < high[:, None])
            return arrays.log((spread + is_same / share) / (1.0 + spread))
        inside = arrays.normal_cdf((1.0 - centre) / width) - arrays.normal_cdf(-centre / width)
        if axis.count is None:
            z = (units[:, None] - centre) / width
            return -0.5 * z * z - (arrays.log(width * inside) + _LOG_ROOT_TWO_PI)
        low, high = axis.cells(units)
        mass = arrays.normal_cdf((high[:, None] - centre) / width)
        mass = mass - arrays.normal_cdf((low[:, None] - centre) / width)
        return arrays.log(np.maximum(mass, _LEAST_MASS) / inside / (high - low)[:, None])


def _widths(axis: Axis, centres: Floats) -> Floats:
    """Return each kernel's width (n,): the larger gap to its neighbours, or to the border.

    Bergstra et al. 2011; the lower limit is Watanabe's (2023) with his exponent 2.
    """
    count = len(centres)
    order = np.argsort(centres, kind="stable")
    ranked = np.concatenate([np.array([0.0]), centres[order], np.array([1.0])])
    gaps = ranked[1:] - ranked[:-1]
    widths = np.empty(count)
    widths[order] = np.maximum(gaps[:-1], gaps[1:])
    least = max(_LEAST_WIDTH, 1.0 / ((count + 2.0) * (count + 2.0)))
    widths = np.clip(widths, least, 1.0)
    if axis.count is None:
        return widths
    low, high = axis.cells(centres)
    return np.maximum(widths, _CELL_WIDTH * (high - low))
