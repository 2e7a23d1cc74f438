"""What one attempt at a trial reported of one metric, step by step."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import TypeAlias

Facts: TypeAlias = dict[str, float | int]
"""What a rule compared: name -> number. Floats are values of the metric, ints are counts."""


class Curve:
    """Values by step; small ones are good, and what was no number is infinite.

    A step that is reported again counts with its last value.
    """

    def __init__(self, number: int) -> None:
        self.number = number  # of the trial
        self.steps: list[int] = []  # rising
        self.values: list[float] = []  # as many
        self.best = math.inf  # the least of them
        self.latest = 0  # the place of the step that was reported last

    def __len__(self) -> int:
        return len(self.steps)

    def add(self, step: int, value: float) -> None:
        """Take in a report."""
        value = math.inf if math.isnan(value) else value
        place = bisect_left(self.steps, step)
        self.latest = place
        if place < len(self.steps) and self.steps[place] == step:
            self.values[place] = value
            self.best = min(self.values)
        else:
            self.steps.insert(place, step)
            self.values.insert(place, value)
            self.best = min(self.best, value)

    def at(self, step: int) -> float | None:
        """Return the value at the last step up to one, None where there is none."""
        count = bisect_right(self.steps, step)
        return self.values[count - 1] if count else None

    def mean(self, step: int) -> float | None:
        """Return the mean of the values up to a step, None where there are none."""
        count = bisect_right(self.steps, step)
        if not count:
            return None
        total = 0.0
        for value in self.values[:count]:  # in this order, so that it is the same everywhere
            total += value
        return total / count
