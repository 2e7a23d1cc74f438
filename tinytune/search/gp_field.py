"""A cube as the Gaussian process sees it: many points at a time, as arrays.

Discrete coordinates lie in the middle of their values' cells. Of a parameter that is not active
the coordinate does not count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinytune.distributions import Choice, Normal
from tinytune.search.cube import Cube
from tinytune.space import Condition

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

_MOST_CELLS = 1000  # more values are a continuum
_BESIDE = 0.75  # squared distance from a range of a parameter that is not active


class Field:
    """The geometry of a space: snapping, activity, distances and moves, each of (m, d) points."""

    def __init__(self, cube: Cube) -> None:
        self.cube = cube
        self.size = cube.size
        self.centres = [self._centres_of(index) for index in range(cube.size)]
        """Where each coordinate's values lie, None for a continuum."""
        self._edges = [
            np.empty(0) if c is None else 0.5 * c[1:] + 0.5 * c[:-1] for c in self.centres
        ]
        self.is_category = np.array(cube.is_category)
        self._place = {name: index for index, name in enumerate(cube.names)}
        self._ordered = [self._place[p.name] for p in cube.space.ordered]
        self.is_conditional = any(p.conditions for p in cube.space.parameters)
        self._tables = [[self._table(c) for c in p.conditions] for p in cube.space.parameters]
        """For each parameter's conditions, which of the other one's values meet it."""

    def _centres_of(self, index: int) -> Floats | None:
        distribution = self.cube.space.parameters[index].distribution
        count = self.cube.cells[index]
        if count is None or isinstance(distribution, Normal):
            return None
        if count > _MOST_CELLS and not isinstance(distribution, Choice):
            return None
        return np.array([distribution.to_unit(distribution.at(i)) for i in range(count)])

    def place(self, index: int, units: Floats) -> Ints:
        """Return which value each unit (m,) of a discrete coordinate stands for."""
        return np.searchsorted(self._edges[index], units, side="right").astype(np.int64)

    def snapped(self, units: Floats) -> Floats:
        """Return points (m, d) in the cube whose discrete coordinates are in their cells."""
        result = np.minimum(np.maximum(units, 0.0), 1.0)
        for index, centres in enumerate(self.centres):
            if centres is not None:
                result[:, index] = centres[self.place(index, result[:, index])]
        return result

    def active(self, units: Floats) -> Bools:
        """Return which coordinates count, (m, d), at snapped points (m, d)."""
        result = np.ones(units.shape, dtype=bool)
        if self.is_conditional:
            for index in self._ordered:
                conditions = self.cube.space.parameters[index].conditions
                for condition, table in zip(conditions, self._tables[index], strict=True):
                    result[:, index] &= self._holds(condition, table, units, result)
        return result

    def _holds(
        self, condition: Condition, table: Bools | None, units: Floats, active: Bools
    ) -> Bools:
        other = self._place[condition.name]
        column = units[:, other]
        if table is None:
            return self._met(condition, column) & active[:, other]
        return table[self.place(other, column)] & active[:, other]

    def _table(self, condition: Condition) -> Bools | None:
        """Return which values of the other parameter meet a condition, None for a continuum."""
        centres = self.centres[self._place[condition.name]]
        return None if centres is None else self._met(condition, centres)

    def _met(self, condition: Condition, units: Floats) -> Bools:
        """Return whether a condition is met, (m,), where the other parameter lies at units (m,)."""
        distribution = self.cube.space.by_name[condition.name].distribution
        values = [distribution.from_unit(unit) for unit in units.tolist()]
        return np.array([condition.holds({condition.name: value}) for value in values])

    def squares(self, first: Floats, has: Bools, second: Floats, also: Bools) -> Floats:
        """Return squared distances (d, a, b) of points (a, d) and (b, d), by coordinate.

        Categories are 1 apart. Where a number counts at one point only, that one is as far away
        as from a place beside the middle of its range, from 3/4 to 1: one number for all would
        be no distance in any Euclidean space, and the kernel not positive.
        """
        result = np.empty((self.size, len(first), len(second)))
        for index in range(self.size):
            there, here = first[:, index], second[:, index]
            if self.is_conditional:
                there = np.where(has[:, index], there, 0.5)
                here = np.where(also[:, index], here, 0.5)
                is_one = has[:, index, None] != also[:, index]
            if self.is_category[index]:
                result[index] = there[:, None] != here
                if self.is_conditional:
                    result[index][is_one] = 1.0
            else:
                apart = there[:, None] - here
                np.multiply(apart, apart, result[index])
                if self.is_conditional:
                    result[index][is_one] += _BESIDE
        return result

    def moved(self, points: Floats, steps: Floats, options: Floats) -> Floats:
        """Return points (m, d) moved by steps (m, d); where a step is 0 a coordinate stays.

        Discrete numbers move by a value at least. Categories take an option at `options` (m, d),
        uniform numbers.
        """
        result = points + steps
        result = np.where(result < 0.0, -result, result)  # reflected
        result = np.where(result > 1.0, 2.0 - result, result)
        result = np.minimum(np.maximum(result, 0.0), 1.0)
        for index, centres in enumerate(self.centres):
            if centres is None:
                continue
            step, now = steps[:, index], self.place(index, points[:, index])
            if self.is_category[index]:
                then = np.minimum(
                    (options[:, index] * len(centres)).astype(np.int64), len(centres) - 1
                )
            else:
                then = self.place(index, result[:, index])
                way = np.where(step > 0.0, 1, -1)
                then = np.where(then == now, now + way, then)
                then = np.where(then < 0, now + 1, np.where(then >= len(centres), now - 1, then))
                then = np.minimum(np.maximum(then, 0), len(centres) - 1)
            result[:, index] = centres[np.where(step == 0.0, now, then)]
        return result
