"""Visits the points of a finite space one by one, in a given order; grids and shuffles share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinytune.history import Finished, Pending
from tinytune.points import Points
from tinytune.space import Params


class Walk:
    """Trial n is the n-th point, in the order of `index`, that satisfies the constraints.

    `index` is a bijection of range(points.size). Without constraints a point is found at once;
    with them, the way to it is walked once in each process and remembered.
    """

    def __init__(self, points: Points, index: Callable[[int], int]) -> None:
        self._points, self._index = points, index
        self._constrained = bool(points.space.constraints)
        self._allowed: list[int] = []  # positions of points that satisfy the constraints
        self._position = 0  # where the walk goes on

    @property
    def size(self) -> int | None:
        """The number of points; None until a constrained walk has reached its end."""
        if not self._constrained:
            return self._points.size
        return len(self._allowed) if self._position == self._points.size else None

    @property
    def is_quick(self) -> bool:
        """Whether no walk is needed."""
        return not self._constrained

    def tell(self, result: Finished) -> None:
        """Nothing is learnt."""

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:  # noqa: ARG002
        """Return the configuration of trial `number`, None past the last point."""
        if not self._constrained:
            if number >= self._points.size:
                return None
            return self._points.at(self._index(number))
        while len(self._allowed) <= number and self._position < self._points.size:
            if self._points.space.allows(self._points.at(self._index(self._position))):
                self._allowed.append(self._position)
            self._position += 1
        if number >= len(self._allowed):
            return None
        return self._points.at(self._index(self._allowed[number]))
