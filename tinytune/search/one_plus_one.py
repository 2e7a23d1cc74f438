"""The (1+1) evolution strategy: mutants of the best configuration, with a step that adapts itself.

Where many mutants are better the steps grow, where few are they shrink (the 1/5th success rule).
It suits any space and any number of workers, is cheap at 10,000 trials, and a sound first choice
for mixed and discrete spaces; it knows no correlations between parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinytune import draw
from tinytune.bounds import is_finite, shown
from tinytune.errors import UsageError
from tinytune.history import Finished, Pending
from tinytune.portable import scalars
from tinytune.search.cube import Cube, Vector
from tinytune.search.oracle import Known, fresh, key, start_point, value_of
from tinytune.space import Params, Space

_TARGET = 0.2  # of all mutants that are to be better than their parent


@dataclass(frozen=True)
class OnePlusOne:
    """Options of the (1+1) evolution strategy.

    `step` is the first standard deviation of a number's mutation, as a part of its range. Numbers
    mutate by normal numbers, reflected at the borders; discrete ones by at least one value, if at
    all; categories are drawn anew with probability 1/d, together with what they bring to life. At
    least one parameter changes. Results count in the order in which they are told: each that is
    no worse than the parent takes its place. A step below `tolerance` is set back to the first.
    """

    step: float = 0.15
    tolerance: float = 1e-4

    name: ClassVar[str] = "one-plus-one"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = True
    exhausts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not is_finite(self.step) or not 0 < self.step <= 1:
            raise UsageError(f"one-plus-one: step {shown(self.step)} must be above 0, up to 1")
        if not is_finite(self.tolerance) or not 0 <= self.tolerance < self.step:
            raise UsageError(
                f"one-plus-one: tolerance {shown(self.tolerance)} must be 0 or above, "
                f"and below the step {self.step}"
            )

    def start(self, space: Space, seed: int, first: Params | None) -> Evolution:
        """Return the search at work; it begins at `first`, or at the defaults and middles."""
        return Evolution(self, Cube(space), seed, first)


class Evolution:
    """The fold of a (1+1) evolution strategy."""

    size = None
    is_quick = True

    def __init__(self, options: OnePlusOne, cube: Cube, seed: int, first: Params | None) -> None:
        self._options, self._cube, self._seed, self._first = options, cube, seed, first
        self._known = Known()
        self._has_conditions = cube.space.has_conditions
        self._parent = start_point(cube, seed, first)  # (d,)
        self._value = math.inf
        self._step, self._rate = options.step, _TARGET
        self._damping = 1.0 + (cube.size - sum(cube.is_category)) / 2.0  # by how many numbers
        self._active = self._active_at(self._parent)

    def tell(self, result: Finished) -> None:
        """Take in one result: a better one is the next parent, and all change the step."""
        value = value_of(result)
        self._known.tell(result)
        is_success = value < self._value
        if math.isfinite(self._value):
            self._adapt(is_success)
        if value <= self._value and math.isfinite(value):
            if value < self._value or key(result.params) != key(self._cube.params(self._parent)):
                self._parent = self._cube.vector(result.params, self._parent)
                self._active = self._active_at(self._parent)
            self._value = value

    def _adapt(self, is_success: bool) -> None:  # noqa: FBT001
        """Change the step by the smoothed rate of successes (Igel et al. 2006, eq. 2 and 3)."""
        self._rate = self._rate + (float(is_success) - self._rate) / 12.0
        excess = (self._rate - _TARGET) / (1.0 - _TARGET)
        self._step = min(self._step * scalars.exp(excess / self._damping), 1.0)
        if self._step < self._options.tolerance:
            self._step, self._rate = self._options.step, _TARGET

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:
        """Return a mutant of the best configuration so far; the start before anything is known."""
        if number == 0 and self._first is not None:
            return dict(self._first)
        busy = {key(trial.params) for trial in pending}
        if not math.isfinite(self._value):
            params = self._cube.params(self._parent)
            if key(params) not in self._known.values and key(params) not in busy:
                return params
        for attempt in range(self._known.tries):
            params = self._cube.params(self._mutant(number, attempt))
            text = key(params)
            if text in self._known.values or text in busy:
                continue
            if self._cube.space.allows(params):
                return params
        return fresh(self._cube, self._seed, number, busy, self._known)

    def _mutant(self, number: int, attempt: int) -> Vector:
        """Return a mutant (d,) of the parent; pure in the parent, the step and the arguments."""
        size, parent = self._cube.size, self._parent
        normals = draw.normals(size, self._seed, number, "one-plus-one", draw=attempt)
        chances = draw.uniforms(3 * size + 1, self._seed, number, "one-plus-one +", draw=attempt)
        is_chosen = chances[:size] * len(self._active) < 1.0  # of what mutates one by one
        child = parent.copy()
        for index in self._active:
            if self._cube.cells[index] is None:
                child[index] = _reflected(float(parent[index] + self._step * normals[index]))
            elif not self._cube.is_category[index]:
                child[index] = self._near(index, float(normals[index]), bool(is_chosen[index]))
            elif is_chosen[index]:
                child[index] = self._other(index, float(chances[size + index]))
        if self._active and not np.any(child != parent):
            index = self._active[int(chances[-1] * len(self._active))]
            move = self._other if self._cube.is_category[index] else self._next
            child[index] = move(index, float(chances[size + index]))
        if self._has_conditions and np.any(child != parent):
            for index in self._active_at(child):
                if index not in self._active:
                    child[index] = chances[2 * size + index]
        return child

    def _active_at(self, point: Vector) -> list[int]:
        """Return the coordinates that are active at a point and have more than one value."""
        active = self._cube.params(point)
        return [
            index
            for index, name in enumerate(self._cube.names)
            if name in active and self._cube.cells[index] != 1
        ]

    def _near(self, index: int, normal: float, is_chosen: bool) -> float:  # noqa: FBT001
        """Return a discrete number's mutant: where the step is small, the next value or none."""
        before = float(self._parent[index])
        after = _reflected(before + self._step * normal)
        distribution = self._cube.space.parameters[index].distribution
        if distribution.from_unit(after) != distribution.from_unit(before):
            return after
        return self._next(index, 0.25 if normal < 0.0 else 0.75) if is_chosen else before

    def _next(self, index: int, chance: float) -> float:
        """Return the value below or above; at the ends there is but one."""
        by = -1 if chance < 0.5 else 1
        before = float(self._parent[index])
        ways = (self._cube.beside(index, before, by), self._cube.beside(index, before, -by))
        return next((way for way in ways if way is not None), before)

    def _other(self, index: int, chance: float) -> float:
        """Return another option of a category, all equally likely."""
        before, count = float(self._parent[index]), self._cube.cells[index] or 1
        by = 1 + int(chance * (count - 1))
        ways = (self._cube.beside(index, before, by), self._cube.beside(index, before, by - count))
        return next((way for way in ways if way is not None), before)


def _reflected(u: float) -> float:
    """Return a coordinate mirrored at the borders of the unit interval."""
    u = math.fabs(u)
    u = 2.0 - u if u > 1.0 else u
    return min(max(u, 0.0), 1.0)
