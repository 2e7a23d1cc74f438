"""What CMA-ES sees of a space: numbers as coordinates, categories as probabilities.

A number, a step or an ordered choice is one coordinate of the unit cube (`cube.py`). A coordinate
with few values is cut into cells, and a result says only in which cell it lies; the first and the
last cell reach to infinity. Where in its cell a result counts is drawn anew, from what the
distribution says of that cell. An inactive parameter is a cell that reaches from end to end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinytune.distributions import Choice, Distribution, Float, Int, LogNormal, Normal, Value
from tinytune.portable import arrays, scalars
from tinytune.search.cube import Cube
from tinytune.space import Params, Space

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

MOST_CELLS = 10_000  # a coordinate with more values is taken for a continuum
_INFINITY = float("inf")


@dataclass(frozen=True)
class Row:
    """A configuration as CMA-ES keeps it until its generation is full."""

    low: list[float]  # (d,): where its cell begins; of a continuum, the value itself
    high: list[float]  # (d,): where its cell ends
    options: list[int]  # (c,): which option of each category; -1 where inactive


class Encoding:
    """The d numbers and c categories of a space."""

    def __init__(self, space: Space) -> None:
        self.cube = Cube(space)
        is_category = self.cube.is_category
        parameters = space.parameters
        self._numbers = [i for i in range(self.cube.size) if not is_category[i]]
        self._categories = [i for i in range(self.cube.size) if is_category[i]]
        self.size = len(self._numbers)  # d
        self.is_number = ~np.array(is_category, dtype=bool)  # of each coordinate of the cube
        self.names = [parameters[i].name for i in self._numbers]
        self.distributions = [parameters[i].distribution for i in self._numbers]
        self.choices = [
            distribution
            for distribution in (parameters[i].distribution for i in self._categories)
            if isinstance(distribution, Choice)
        ]
        self.choice_names = [parameters[i].name for i in self._categories]
        self.edges = [_edges(distribution) for distribution in self.distributions]
        """Where the cells of each coordinate begin and end; None for a continuum."""
        self.is_continuous = np.array([edges is None for edges in self.edges], dtype=bool)  # (d,)
        self.is_finite = not self.is_continuous.any()
        self._scale = _Scale(self.distributions, self.is_continuous)
        self._by_name = dict(zip(self.names, self.distributions, strict=True))
        cells: list[dict[object, tuple[float, float]]] = [{} for _ in self.names]
        self._columns = list(zip(self.names, self.edges, cells, strict=True))
        indexes: list[dict[object, int]] = [{} for _ in self.choices]
        self._rest = list(zip(self.choice_names, self.choices, indexes, strict=True))

    def row(self, params: Mapping[str, Value]) -> Row:
        """Return a configuration as it is kept."""
        low, high, options = [], [], []
        for name, edges, known in self._columns:
            if name not in params:
                start, end = -_INFINITY, _INFINITY
            elif edges is None:
                start = end = float(params[name])  # type: ignore[arg-type]
            else:
                value = params[name]
                key = (value,) if isinstance(value, bool) else value  # True is not 1
                if key not in known:
                    known[key] = _around(edges, self._by_name[name].to_unit(value))
                start, end = known[key]
            low.append(start)
            high.append(end)
        for name, choice, indexes in self._rest:
            if name not in params:
                options.append(-1)
                continue
            value = params[name]
            key = (value,) if isinstance(value, bool) else value
            if key not in indexes:
                indexes[key] = choice.index(value)
            options.append(indexes[key])
        return Row(low, high, options)

    def bounds(self, rows: Sequence[Row]) -> tuple[Matrix, Matrix]:
        """Return where the cells of some rows begin and end, each of shape (n, d), in the cube."""
        low = np.array([row.low for row in rows]).reshape(len(rows), self.size)
        high = np.array([row.high for row in rows]).reshape(len(rows), self.size)
        columns = np.flatnonzero(self.is_continuous)
        if columns.size:
            units = self._scale.units(low[:, columns])
            is_open = np.isinf(low[:, columns])
            low[:, columns] = np.where(is_open, low[:, columns], units)
            high[:, columns] = np.where(is_open, high[:, columns], units)
        return low, high

    def is_inside(self, point: Vector) -> bool:
        """Return whether no continuous coordinate of a point, (d,), leaves the cube."""
        outside = ((point < 0) | (point > 1)) & self.is_continuous
        return not np.count_nonzero(outside)

    def shares(self) -> list[list[float]]:
        """Return how likely the options of each category are before anything is known."""
        shares = []
        for choice in self.choices:
            weights = choice.weights or [1.0] * len(choice.options)
            sums = scalars.shares(weights)
            shares.append([end - start for start, end in zip([0.0, *sums], sums, strict=False)])
        return shares

    def numbers(self, units: Vector) -> Vector:
        """Return the d coordinates of a point of the cube."""
        numbers: Vector = units[self.is_number]
        return numbers

    def hot(self, rows: Sequence[Row], probabilities: Matrix) -> NDArray[np.float64]:
        """Return (n, c, k): 1 at each row's options; the probabilities where inactive."""
        options = np.array([row.options for row in rows])[:, :, None]  # (n, c, 1)
        hot = options == np.arange(probabilities.shape[1])
        return np.where(options < 0, probabilities, hot.astype(np.float64))

    def params(self, point: Vector, options: Sequence[int]) -> Params:
        """Return the configuration at a point, (d,), clipped to the cube, with these options."""
        units = np.empty(self.cube.size)
        units[self._numbers] = point
        for j, i in enumerate(self._categories):
            units[i] = self.choices[j].to_unit(self.choices[j].options[options[j]])
        return self.cube.params(units)


def _edges(distribution: Distribution) -> list[float] | None:
    """Return where the cells begin and end, from 0 to 1; None for a continuum."""
    size = distribution.size
    if size is None or size > MOST_CELLS:
        return None
    if isinstance(distribution, Choice) and distribution.weights is not None:
        return [0.0, *scalars.shares(distribution.weights)]
    if isinstance(distribution, Int) and distribution.log:
        halves = arrays.log(np.arange(size + 1) + (distribution.low - 0.5))
        inner = (halves - halves[0]) / (halves[-1] - halves[0])
        return [float(edge) for edge in inner]
    return [index / size for index in range(size + 1)]


def _around(edges: Sequence[float], unit: float) -> tuple[float, float]:
    """Return the cell of a point; the first and the last reach to infinity."""
    cell = min(max(bisect_right(edges, unit) - 1, 0), len(edges) - 2)
    start = -_INFINITY if cell == 0 else edges[cell]
    end = _INFINITY if cell == len(edges) - 2 else edges[cell + 1]
    return start, end


class _Scale:
    """From values of the continuous parameters to the unit interval, many at once."""

    def __init__(self, distributions: Sequence[Distribution], is_continuous: Vector) -> None:
        chosen = [d for d, wanted in zip(distributions, is_continuous, strict=True) if wanted]
        self._is_log = np.array([_is_log(d) for d in chosen], dtype=bool)
        self._is_normal = np.array([isinstance(d, Normal) for d in chosen], dtype=bool)
        lines = [_line(d) for d in chosen]
        self._start = np.array([start for start, _ in lines])
        self._length = np.array([length for _, length in lines])
        shares = [_shares(d) for d in chosen]
        self._share_start = np.array([start for start, _ in shares])
        self._share_length = np.array([length for _, length in shares])

    def units(self, values: Matrix) -> Matrix:
        """Return where in [0, 1] values lie, (n, m) -> (n, m); nonsense for infinite ones."""
        is_finite = np.isfinite(values)
        line = np.where(is_finite, values, 1.0)
        if self._is_log.any():
            line = np.where(self._is_log, arrays.log(np.where(self._is_log, line, 1.0)), line)
        units = (line - self._start) / self._length
        if self._is_normal.any():
            share = arrays.normal_cdf(np.where(self._is_normal, units, 0.0))
            share = (share - self._share_start) / self._share_length
            units = np.where(self._is_normal, share, units)
        inside: Matrix = np.minimum(np.maximum(units, 0.0), 1.0)
        return inside


def _is_log(distribution: Distribution) -> bool:
    if isinstance(distribution, (Float, Int)):
        return distribution.log
    return isinstance(distribution, LogNormal)


def _line(distribution: Distribution) -> tuple[float, float]:
    """Return what is subtracted from a number, or its logarithm, and what it is divided by."""
    if isinstance(distribution, Normal):
        return float(distribution.mean), float(distribution.sd)
    if not isinstance(distribution, (Float, Int)):
        raise TypeError(f"{distribution} is no continuum")
    half = (distribution.step or (1 if isinstance(distribution, Int) else 0)) / 2
    low, high = distribution.low - half, distribution.high + half
    if distribution.log:
        low, high = scalars.log(low), scalars.log(high)
    return low, high - low


def _shares(distribution: Distribution) -> tuple[float, float]:
    """Return the probability below a normal's range, and that within it."""
    if not isinstance(distribution, Normal):
        return 0.0, 1.0
    shares = []
    for bound, without in ((distribution.low, 0.0), (distribution.high, 1.0)):
        if bound is None or (bound <= 0 and isinstance(distribution, LogNormal)):
            shares.append(without)
            continue
        line = scalars.log(bound) if isinstance(distribution, LogNormal) else bound
        shares.append(scalars.normal_cdf((line - distribution.mean) / distribution.sd))
    return shares[0], shares[1] - shares[0]
