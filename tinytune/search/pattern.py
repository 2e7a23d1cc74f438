"""Pattern search: polls the 2d neighbours of the best point on a mesh that grows and shrinks.

Simple and thorough: it looks along every number and at every category, needs no derivatives, and
keeps many workers busy with one poll. It suits few dimensions, discrete spaces, and objectives
whose parameters act more or less one by one; narrow oblique valleys make it slow.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from tinytune.bounds import is_finite, shown
from tinytune.errors import UsageError
from tinytune.search.cube import Vector
from tinytune.search.mixed import Axes, Found, lifted, runs
from tinytune.search.oracle import Runs, Wanted
from tinytune.space import Params, Space

POLLS = ("opportunistic", "complete")


@dataclass(frozen=True)
class Pattern:
    """Options of pattern search.

    `step` is the first mesh size, as a part of each range. A poll tries one step up and down along
    each number, at least to the next value of a discrete one: `poll` "opportunistic" moves as soon
    as a value is better, "complete" to the best of all. A success in the direction of the last one
    doubles the mesh; a poll without success tries the minimum of the parabolas through its values,
    and halves the mesh if that is not better. Below `tolerance` the other options of each category
    are tried, and if none is better the next run begins at a random point.
    """

    step: float = 0.25
    poll: str = "opportunistic"
    tolerance: float = 3e-3

    name: ClassVar[str] = "pattern"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = True
    exhausts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not is_finite(self.step) or not 0 < self.step <= 0.5:
            raise UsageError(f"pattern: step {shown(self.step)} must be above 0, up to 0.5")
        if self.poll not in POLLS:
            raise UsageError(f"pattern: poll {shown(self.poll)} must be {' or '.join(POLLS)}")
        if not is_finite(self.tolerance) or not 0 < self.tolerance < self.step:
            raise UsageError(
                f"pattern: tolerance {shown(self.tolerance)} must be above 0 "
                f"and below the step {self.step}"
            )

    def start(self, space: Space, seed: int, first: Params | None) -> Runs:
        """Return the search at work; it begins at `first`, or at the defaults and middles."""
        return runs(space, seed, first, self.name, self._phase, self._design)

    def _design(self, axes: Axes) -> list[Vector]:
        return _Mesh(axes, self.step).neighbours(axes.origin)

    def _phase(self, axes: Axes, value: float, turn: int) -> Generator[Wanted, float, Found]:
        """Poll from the axes' base until the mesh is finer than the tolerance."""
        mesh = _Mesh(axes, self.step if turn == 0 else self.step / 2)
        walk = steps(mesh, (axes.origin, value), self.poll == "complete", self.tolerance)
        return (yield from lifted(walk, axes))


class _Mesh:
    """The lengths of the steps along n axes, and the way in which to look first."""

    def __init__(self, axes: Axes, size: float) -> None:
        self._axes, self.size = axes, size
        self._signs = [1.0] * axes.size
        self._first = list(range(axes.size))
        self.last: tuple[int, float] | None = None  # axis and direction of the last success

    def is_finest(self, centre: Vector) -> bool:
        """Whether all steps from the centre are to the next value of a discrete number."""
        if not all(map(self._axes.is_discrete, self._first)):
            return False
        nearest = (self._axes.moved(centre, axis, sign * 1e-9) for axis, sign in self.directions())
        near = [point.tolist() for point in nearest if point is not None]
        return near == [point.tolist() for point in self.neighbours(centre)]

    def directions(self) -> list[tuple[int, float]]:
        """Return all (axis, sign), those that succeeded last first."""
        return [(axis, sign * self._signs[axis]) for axis in self._first for sign in (1.0, -1.0)]

    def neighbour(self, centre: Vector, axis: int, sign: float) -> Vector | None:
        """Return the point one step along an axis; None at the border."""
        return self._axes.moved(centre, axis, sign * self.size)

    def neighbours(self, centre: Vector, first: int = 0) -> list[Vector]:
        """Return the points (n,) one step from the centre, from a direction on."""
        points = (self.neighbour(centre, *way) for way in self.directions()[first:])
        return [point for point in points if point is not None]

    def succeeded(self, axis: int, sign: float) -> None:
        """Look along this axis first, and this way; a second success doubles the mesh."""
        if self.last == (axis, sign):
            self.size = min(2.0 * self.size, 0.5)
        self.last, self._signs[axis] = (axis, sign), sign
        self._first.remove(axis)
        self._first.insert(0, axis)

    def failed(self) -> None:
        """Halve the mesh."""
        self.size, self.last = 0.5 * self.size, None


def steps(
    mesh: _Mesh,
    found: Found,
    complete: bool,  # noqa: FBT001
    tolerance: float,
) -> Generator[Wanted, float, Found]:
    """Poll until the mesh is finer than the tolerance; return the best point and its value.

    Generalised pattern search (Torczon 1997) with two search steps: Hooke and Jeeves' (1961)
    repetition of the last move, and the minimum of the parabolas through a poll's values.
    """
    came_from: Vector | None = None  # the centre before the last success
    while mesh.size >= tolerance:
        centre, value = found
        if came_from is not None:
            again = np.clip(2.0 * centre - came_from, 0.0, 1.0)
            far = yield Wanted(again, partial(mesh.neighbours, centre))
            came_from = None
            if far < value:
                found, came_from = (again, far), centre
                continue
        found, values = yield from _poll(mesh, found, complete)
        if found[1] < value:
            came_from = centre
            continue
        lowest = _lowest(mesh, centre, value, values)
        if lowest is not None:
            low = yield Wanted(lowest, partial(_half_way, mesh, centre), certain=False)
            if low < value:
                found = lowest, low
        if mesh.is_finest(centre) and found[1] == value:
            break
        mesh.failed()
    return found


def _poll(
    mesh: _Mesh,
    found: Found,
    complete: bool,  # noqa: FBT001
) -> Generator[Wanted, float, tuple[Found, dict[tuple[int, float], float]]]:
    """Look around; return what is better than `found`, or `found`, and the values by direction."""
    centre, best, way = found[0], found, None
    values = {}
    for index, (axis, sign) in enumerate(mesh.directions()):
        point = mesh.neighbour(centre, axis, sign)
        if point is None:
            continue
        value = yield Wanted(point, partial(mesh.neighbours, centre, index + 1))
        values[axis, sign] = value
        if value < best[1]:
            best, way = (point, value), (axis, sign)
            if not complete:
                break
    if way is not None:
        mesh.succeeded(*way)
    return best, values


def _half_way(mesh: _Mesh, centre: Vector) -> Iterator[Vector]:
    """Yield the poll that follows if nothing better is found."""
    for point in mesh.neighbours(centre):
        yield 0.5 * (centre + point)


def _lowest(
    mesh: _Mesh, centre: Vector, value: float, values: dict[tuple[int, float], float]
) -> Vector | None:
    """Return where the parabolas through a failed poll's values are lowest; None if nowhere."""
    lowest = centre.copy()
    for axis in range(len(centre)):
        sides = mesh.neighbour(centre, axis, 1.0), mesh.neighbour(centre, axis, -1.0)
        up, down = (values.get((axis, sign), np.inf) - value for sign in (1.0, -1.0))
        if sides[0] is None or sides[1] is None or not 0.0 < up + down < np.inf:
            continue
        right, left = (float(side[axis] - centre[axis]) for side in sides if side is not None)
        bend = up * left - down * right  # < 0; through (left, down), (0, 0), (right, up)
        if bend < 0.0:  # unless it is too small for a float
            lowest[axis] += 0.5 * (up * left * left - down * right * right) / bend
    return lowest if np.any(lowest != centre) else None
