"""Lets an algorithm for numbers loose on a space that has categories and conditions too.

Categories have no order, so an algorithm that reckons with vectors does not see them: it moves the
numbers that are active at its centre, and holds everything else. Before it, and after it has come
to rest, each category's other options are tried at the centre, one category after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tinytune.search.cube import Cube, Vector
from tinytune.search.oracle import Known, Runs, Steps, Wanted, random_point, start_point
from tinytune.space import Params, Space

_MOST_OPTIONS = 12  # of a category, tried in one round
_MOST_ROUNDS = 50

Found = tuple[Vector, float]  # a point and its value


@dataclass(frozen=True)
class Axes:
    """The n coordinates that an algorithm moves; the others stay as in `base`."""

    cube: Cube
    base: Vector  # (d,)
    indices: tuple[int, ...]  # n of them

    @property
    def size(self) -> int:
        """The number of axes, n."""
        return len(self.indices)

    @property
    def origin(self) -> Vector:
        """The part (n,) of the base."""
        return self.base[list(self.indices)]

    def at(self, part: Vector) -> Vector:
        """Return the point (d,) whose moved coordinates are `part` (n,)."""
        point = self.base.copy()
        point[list(self.indices)] = part
        return point

    def is_discrete(self, axis: int) -> bool:
        """Whether an axis has values with gaps between them."""
        return self.cube.cells[self.indices[axis]] is not None

    def moved(self, part: Vector, axis: int, by: float) -> Vector | None:
        """Return the part moved along an axis up to the border; None where that is no move.

        A discrete number moves at least to its next value.
        """
        now = float(part[axis])
        aim = min(max(now + by, 0.0), 1.0)
        if self.is_discrete(axis):
            index = self.indices[axis]
            distribution = self.cube.space.parameters[index].distribution
            value = distribution.from_unit(aim)
            if value != distribution.from_unit(now):
                aim = distribution.to_unit(value)
            else:
                beside = self.cube.beside(index, now, 1 if by > 0.0 else -1)
                aim = now if beside is None else beside
        if aim == now:
            return None
        moved = part.copy()
        moved[axis] = aim
        return moved

    def snapped(self, part: Vector) -> Vector:
        """Return the nearest part in the cube whose discrete numbers lie where their values do."""
        snapped = np.clip(part, 0.0, 1.0)
        for axis, index in enumerate(self.indices):
            if self.is_discrete(axis):
                distribution = self.cube.space.parameters[index].distribution
                value = distribution.from_unit(float(snapped[axis]))
                snapped[axis] = distribution.to_unit(value)
        return snapped

    def simplex(self, step: float) -> list[Vector]:
        """Return the origin moved by a step along each axis; inward where it does not fit."""
        parts = []
        for axis in range(self.size):
            fits = 0.0 <= self.origin[axis] + step <= 1.0
            ways = (step, -step) if fits else (-step, step)
            moves = (self.moved(self.origin, axis, way) for way in ways)
            part = next((move for move in moves if move is not None), None)
            parts.append(self.origin if part is None else part)
        return parts


Phase = Callable[[Axes, float, int], Generator[Wanted, float, Found]]
"""From (axes, value at their base, round) to the best part (n,) and its value."""
Design = Callable[[Axes], list[Vector]]
"""The parts (n,) with which a phase begins."""


def axes_at(cube: Cube, point: Vector) -> Axes:
    """Return the numbers that are active at a point and have more than one value."""
    active = cube.params(point)
    indices = [
        index
        for index, name in enumerate(cube.names)
        if name in active and not cube.is_category[index] and cube.cells[index] != 1
    ]
    return Axes(cube, point, tuple(indices))


def options_at(cube: Cube, index: int, point: Vector) -> list[Vector]:
    """Return the points (d,) with the other options of a category, none where it is inactive."""
    if not cube.is_category[index] or cube.names[index] not in cube.params(point):
        return []
    count = cube.cells[index] or 1
    units = [cube.beside(index, float(point[index]), by) for by in range(1 - count, count) if by]
    places = [unit for unit in units if unit is not None]
    if len(places) > _MOST_OPTIONS:
        places = [places[i * len(places) // _MOST_OPTIONS] for i in range(_MOST_OPTIONS)]
    points = []
    for place in places:
        other = point.copy()
        other[index] = place
        points.append(other)
    return points


def runs(
    space: Space, seed: int, first: Params | None, name: str, phase: Phase, design: Design
) -> Runs:
    """Return the search that lets an algorithm loose at `first`, then at random points."""
    cube = Cube(space)

    def begin(number: int, known: Known | None) -> Steps:
        if number == 0:
            return descent(cube, start_point(cube, seed, first), phase, design, known)
        return descent(cube, random_point(cube, seed, number, name), phase, design)

    return Runs(cube, seed, first, begin)


def lifted(walk: Generator[Wanted, float, Found], axes: Axes) -> Generator[Wanted, float, Found]:
    """Run a walk of parts (n,) in the space of points (d,)."""
    try:
        wanted = next(walk)
        while True:
            also = partial(_lifted_all, wanted.also, axes)
            wanted = walk.send((yield Wanted(axes.at(wanted.point), also, wanted.certain)))
    except StopIteration as end:
        found: Found = end.value
        return found


def _lifted_all(also: Callable[[], Iterable[Vector]], axes: Axes) -> Iterator[Vector]:
    return (axes.at(part) for part in also())


def descent(
    cube: Cube, start: Vector, phase: Phase, design: Design, known: Known | None = None
) -> Steps:
    """Run rounds of categories and numbers from `start` until one brings nothing better.

    Where `known` is given, the descent begins at the best of what is known once `start` is.
    """
    value = yield Wanted(start, partial(_soon, cube, start, 0, design))
    found = start, value
    if known is not None and known.best is not None and known.best[0] < value:
        found = cube.vector(known.best[1], start), known.best[0]
    for turn in range(_MOST_ROUNDS):
        before = found[1]
        found = yield from _categories(cube, found, design)
        if turn and not found[1] < before:
            return
        axes = axes_at(cube, found[0])
        if axes.size:
            part, value = yield from phase(axes, found[1], turn)
            found = axes.at(part), value


def _categories(cube: Cube, found: Found, design: Design) -> Generator[Wanted, float, Found]:
    """Try each category's other options and keep the best, one category after the other."""
    for index in range(cube.size):
        centre, best = found[0], found
        options = options_at(cube, index, centre)
        for place, point in enumerate(options):
            rest = options[place + 1 :]
            value = yield Wanted(point, partial(_soon, cube, centre, index + 1, design, rest))
            if value < best[1]:
                best = point, value
        found = best
    return found


def _soon(
    cube: Cube, point: Vector, first: int, design: Design, rest: Sequence[Vector] = ()
) -> Iterator[Vector]:
    """Yield `rest`, the options of categories from `first` on, and how the numbers begin."""
    yield from rest
    for index in range(first, cube.size):
        yield from options_at(cube, index, point)
    axes = axes_at(cube, point)
    for part in design(axes):
        yield axes.at(part)
