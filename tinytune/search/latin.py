"""Latin hypercube search: a known number of trials, each in a part of each range of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tinytune import draw
from tinytune.bounds import shown
from tinytune.errors import UsageError
from tinytune.search import is_count
from tinytune.search.cube import Vector
from tinytune.search.stream import Stream
from tinytune.space import Params, Space

MOST_POINTS = 100_000  # a block's orders are held in memory
_POINTS = 100
_QUICK = 100_000  # numbers to put in order, in all; they take about 10 milliseconds


@dataclass(frozen=True)
class Latin:
    """Options of Latin hypercube search.

    `points`: into how many equal parts each parameter's range is cut; every block of so many
    trials visits each part of each parameter exactly once. A new study takes it from the number of
    trials, less one if the defaults are trial 0; without such a number it is 100. `centered`:
    visit the middle of a part, not a random place.

    Suits a first look at a space with a budget that is known, and few trials in many parameters.
    Cut off early it is no better than random search; Sobol and Halton are even at every length,
    and in pairs of parameters as well. Weak where results should guide the search.
    """

    points: int | None = None
    centered: bool = False

    name: ClassVar[str] = "latin"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = False
    exhausts: ClassVar[bool] = False
    plan: ClassVar[dict[str, str]] = {"points": "designed"}

    def __post_init__(self) -> None:
        if self.points is not None and not is_count(self.points, 1, MOST_POINTS):
            raise UsageError(
                f"latin: points must be a whole number from 1 to {MOST_POINTS:,}, "
                f"not {shown(self.points)}"
            )
        if not isinstance(self.centered, bool):
            raise UsageError("latin: centered must be true or false")

    def start(self, space: Space, seed: int, first: Params | None) -> Stream:
        """Return the search at work; `first` is trial 0, the blocks begin after it."""
        names = tuple(parameter.name for parameter in space.parameters)
        points = _POINTS if self.points is None else self.points

        @lru_cache(maxsize=2)  # a worker may lag behind into the block before
        def orders(block: int) -> NDArray[np.int64]:
            """Which part each trial of a block visits, for each parameter; shape (d, points)."""
            words = [draw.bits(points, seed, block, "latin order", name) for name in names]
            return np.argsort(np.array(words), axis=1, kind="stable")

        def place(index: int) -> Vector:
            block, position = divmod(index, points)
            within = [0.5] * len(names) if self.centered else _jitter(seed, index, names)
            units: Vector = (orders(block)[:, position] + np.array(within)) / points
            return units

        is_quick = points * len(names) <= _QUICK
        return Stream(space, seed, first, "latin", place, is_quick=is_quick)


def _jitter(seed: int, index: int, names: tuple[str, ...]) -> list[float]:
    """Return where in its part each coordinate lies, strictly between 0 and 1."""
    # 32 bits: added to the number of a part, they are not rounded into the next one.
    words = (draw.key(seed, index, "latin place", name) >> 96 for name in names)
    return [(word + 0.5) * 2.0**-32 for word in words]
