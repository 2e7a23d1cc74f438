"""Nelder-Mead: a simplex of d + 1 points walks, stretches and shrinks towards lower values.

From the defaults it needs few trials to improve on them, uses no derivatives and minds only which
value is smaller. It suits up to about 10 numbers and objectives with little noise; it is a local
search, which restarts at random points when its simplex has collapsed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
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

_FEW = 4  # dimensions up to which the standard coefficients do better than the adaptive ones


@dataclass(frozen=True)
class NelderMead:
    """Options of Nelder-Mead search.

    `step` is the size of the first simplex, as a part of each range: its points are the defaults
    (or the best configuration known) and one step from there along each number. `adaptive` takes
    coefficients that depend on the dimension (Gao and Han 2012): true, false, or "auto", which
    means above 4 dimensions. A simplex has collapsed when it is smaller than `tolerance` in every
    range or when its values are all equal; then the other options of each category are tried, and
    if none is better the next run begins at a random point. Whole numbers, steps and ordered
    choices are rounded; categories and what is inactive stay as they are while a simplex walks.
    """

    step: float = 0.25
    adaptive: bool | str = "auto"
    tolerance: float = 3e-3

    name: ClassVar[str] = "nelder-mead"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = True
    exhausts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not is_finite(self.step) or not 0 < self.step <= 0.5:
            raise UsageError(f"nelder-mead: step {shown(self.step)} must be above 0, up to 0.5")
        if self.adaptive is not True and self.adaptive is not False and self.adaptive != "auto":
            raise UsageError(
                f"nelder-mead: adaptive {shown(self.adaptive)} must be true, false or auto"
            )
        if not is_finite(self.tolerance) or not 0 <= self.tolerance < self.step:
            raise UsageError(
                f"nelder-mead: tolerance {shown(self.tolerance)} must be 0 or above, "
                f"and below the step {self.step}"
            )

    def start(self, space: Space, seed: int, first: Params | None) -> Runs:
        """Return the search at work; it begins at `first`, or at the defaults and middles."""
        return runs(space, seed, first, self.name, self._phase, self._design)

    def _design(self, axes: Axes) -> list[Vector]:
        return axes.simplex(self.step)

    def _phase(self, axes: Axes, value: float, turn: int) -> Generator[Wanted, float, Found]:
        """Let a simplex walk from the axes' base until it has collapsed."""
        step = self.step if turn == 0 else -0.5 * self.step
        simplex = np.array([axes.origin, *axes.simplex(step)])
        adaptive = axes.size > _FEW if self.adaptive == "auto" else bool(self.adaptive)
        coefficients = Coefficients.of(axes.size, adaptive)
        walk = steps(simplex, value, coefficients, clipped, self._has_collapsed)
        return (yield from lifted(walk, axes))

    def _has_collapsed(self, simplex: Vector, values: Vector) -> bool:
        size = float(np.max(np.abs(simplex[1:] - simplex[0])))
        return size <= self.tolerance or bool(values[0] == values[-1])


@dataclass(frozen=True)
class Coefficients:
    """How far a simplex reflects, expands, contracts and shrinks (rho, chi, psi, sigma)."""

    reflection: float = 1.0
    expansion: float = 2.0
    contraction: float = 0.5
    shrinkage: float = 0.5

    @classmethod
    def of(cls, size: int, adaptive: bool) -> Coefficients:  # noqa: FBT001
        """Return the coefficients for n dimensions; adaptive ones are Gao and Han's, eq. (4.1)."""
        if not adaptive or size < 2:
            return cls()
        return cls(1.0, 1.0 + 2.0 / size, 0.75 - 1.0 / (2.0 * size), 1.0 - 1.0 / size)


def clipped(point: Vector) -> Vector:
    """Return the nearest point of the unit cube."""
    return np.minimum(np.maximum(point, 0.0), 1.0)


def steps(
    simplex: Vector,  # (n + 1, n)
    value: float | None,  # of the first point, if it is known
    coefficients: Coefficients,
    inside: Callable[[Vector], Vector],
    has_collapsed: Callable[[Vector, Vector], bool],
) -> Generator[Wanted, float, Found]:
    """Walk until the simplex has collapsed; return the best point and its value.

    Nelder and Mead 1965, in the form of Lagarias et al. 1998; equal values keep their order.
    """
    values = np.empty(len(simplex))
    for index, point in enumerate(simplex):
        if index == 0 and value is not None:
            values[0] = value
        else:
            values[index] = yield Wanted(point, partial(iter, simplex[index + 1 :]))
    simplex, values = _sorted(simplex, values)
    while not has_collapsed(simplex, values):
        moves = Moves(simplex, coefficients, inside)
        point, new = yield from _moved(moves, values)
        if point is None:
            for index in range(1, len(simplex)):
                shrunk = moves.shrunk(index)
                values[index] = yield Wanted(shrunk, partial(moves.all_shrunk, index + 1))
                simplex[index] = shrunk
        else:
            simplex[-1], values[-1] = point, new
        simplex, values = _sorted(simplex, values)
    return simplex[0], float(values[0])


def _moved(moves: Moves, values: Vector) -> Generator[Wanted, float, tuple[Vector | None, float]]:
    """Return the point that takes the worst one's place and its value; None: shrink."""
    reflected = moves.reflected
    value = yield Wanted(reflected, moves.after_reflection, certain=False)
    if value < values[0]:
        expanded = moves.expanded
        far = yield Wanted(
            expanded, partial(moves.next_reflections, (reflected, expanded)), certain=False
        )
        return (expanded, far) if far < value else (reflected, value)
    if value < values[-2]:
        return reflected, value
    outside = value < values[-1]
    contracted = moves.outside if outside else moves.inside
    near = yield Wanted(contracted, partial(moves.after_contraction, contracted), certain=False)
    if near <= value if outside else near < values[-1]:
        return contracted, near
    return None, np.inf


class Moves:
    """The points that a sorted simplex (n + 1, n) may go to."""

    def __init__(
        self, simplex: Vector, coefficients: Coefficients, inside: Callable[[Vector], Vector]
    ) -> None:
        self._simplex, self._of, self._inside = simplex, coefficients, inside
        self._centroid = _mean(simplex[:-1])

    @property
    def reflected(self) -> Vector:
        """The worst point mirrored at the centroid of the others."""
        return self._on_line(self._of.reflection)

    @property
    def expanded(self) -> Vector:
        """Further in the same direction."""
        return self._on_line(self._of.reflection * self._of.expansion)

    @property
    def outside(self) -> Vector:
        """Between the centroid and the reflected point."""
        return self._on_line(self._of.contraction * self._of.reflection)

    @property
    def inside(self) -> Vector:
        """Between the worst point and the centroid."""
        return self._on_line(-self._of.contraction)

    def _on_line(self, length: float) -> Vector:
        away = (1.0 + length) * self._centroid - length * self._simplex[-1]
        return self._inside(away)

    def shrunk(self, index: int) -> Vector:
        """Return a point drawn to the best one."""
        best = self._simplex[0]
        return self._inside(best + self._of.shrinkage * (self._simplex[index] - best))

    def all_shrunk(self, first: int) -> Iterator[Vector]:
        """Yield the points from `first` on, drawn to the best one."""
        return (self.shrunk(index) for index in range(first, len(self._simplex)))

    def after_reflection(self) -> Iterator[Vector]:
        """Yield what may follow a reflection: any other move."""
        yield from (self.expanded, self.outside, self.inside)
        yield from self.all_shrunk(1)

    def after_contraction(self, contracted: Vector) -> Iterator[Vector]:
        """Yield what may follow a contraction: the next reflection, or a shrunken simplex."""
        yield from self.next_reflections((contracted,))
        yield from self.all_shrunk(1)

    def next_reflections(self, entering: tuple[Vector, ...]) -> Iterator[Vector]:
        """Yield the next reflections, if a point enters as the best."""
        for point in entering:
            simplex = np.vstack((point, self._simplex[:-1]))
            yield Moves(simplex, self._of, self._inside).reflected


def _mean(points: Vector) -> Vector:
    total: Vector = points[0]
    for point in points[1:]:
        total = total + point
    return total / len(points)


def _sorted(simplex: Vector, values: Vector) -> tuple[Vector, Vector]:
    order = np.argsort(values, kind="stable")
    return simplex[order], values[order]
