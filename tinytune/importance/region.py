"""Where in a parameter's range the best trials lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinytune.distributions import Value
from tinytune.importance.evidence import Bools, Column

INNER = 0.8  # of the best trials lie in the region


@dataclass(frozen=True)
class Region:
    """The values of the best trials: from `low` to `high`, or the options with their counts.

    The tenth part of them that lies farthest down is left out, and that farthest up.
    """

    count: int  # of the best trials, those in which the parameter is active
    low: Value
    high: Value
    options: tuple[tuple[Value, int], ...]  # the most frequent one first; of those without order
    width: float  # of the range from low to high, 0 to 1

    @property
    def usual(self) -> tuple[tuple[Value, int], ...]:
        """The options that most of the best trials have, as few as possible."""
        found: list[tuple[Value, int]] = []
        for option in self.options:
            if sum(count for _, count in found) >= INNER * self.count:
                break
            found.append(option)
        return tuple(found)


def best_region(column: Column, top: Bools) -> Region | None:
    """Return where the best trials lie, None where the parameter is active in none of them."""
    chosen = np.flatnonzero(top & column.active)
    if not len(chosen):
        return None
    if not column.is_ordered:
        counts = np.bincount(column.offset[chosen].astype(np.int64))
        options = [(column.parameter.distribution.at(i), int(n)) for i, n in enumerate(counts) if n]  # type: ignore[union-attr]
        options.sort(key=lambda option: -option[1])
        return Region(len(chosen), None, None, tuple(options), 1.0)
    ordered = chosen[np.argsort(column.offset[chosen], kind="stable")]
    spare = int((1 - INNER) / 2 * (len(ordered) - 1))
    low, high = ordered[spare], ordered[len(ordered) - 1 - spare]
    width = float(column.place[high] - column.place[low])
    return Region(len(chosen), column.values[low], column.values[high], (), width)
