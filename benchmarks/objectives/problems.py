"""Problems with several objectives, all to be small: test functions and recorded tables."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tinytune.distributions import Distribution, Float, Int
from tinytune.pareto import front, hypervolume

Point = Sequence[float]
SIZE = 6  # parameters of the test functions


@dataclass(frozen=True)
class Problem:
    """What is searched, what it gives, and how much of the objectives' space can be had at best."""

    space: Mapping[str, Distribution]
    values: Callable[[Point], Point]  # of the parameters, in their order
    reference: Point
    most: float  # the hypervolume of the true front

    def share(self, found: Sequence[Point]) -> float:
        """Return the hypervolume of what was found, as a share of the true front's."""
        return hypervolume(found, self.reference) / self.most


def zdt(shape: Callable[[float, float], float]) -> Callable[[Point], Point]:
    """Return a function of Zitzler, Deb and Thiele (2000) from its h(f1, g)."""

    def values(x: Point) -> Point:
        g = 1 + 9 * sum(x[1:]) / (len(x) - 1)
        return x[0], g * shape(x[0], g)

    return values


def _zdt3(f: float, g: float) -> float:
    return 1 - math.sqrt(f / g) - f / g * math.sin(10 * math.pi * f)


def dtlz2(x: Point) -> Point:
    """Return the objectives of DTLZ2 (Deb et al. 2002): the front is an eighth of a sphere."""
    g = 1 + sum((xi - 0.5) ** 2 for xi in x[2:])
    a, b = x[0] * math.pi / 2, x[1] * math.pi / 2
    return g * math.cos(a) * math.cos(b), g * math.cos(a) * math.sin(b), g * math.sin(a)


def dtlz7(x: Point) -> Point:
    """Return the objectives of DTLZ7 (Deb et al. 2002): the front is in four pieces."""
    g = 2 + 9 * sum(x[2:]) / (len(x) - 2)
    return x[0], x[1], g * (3 - sum(f / g * (1 + math.sin(3 * math.pi * f)) for f in x[:2]))


def _flat(
    function: Callable[[Point], Point], reference: Point, most: float | None = None
) -> Problem:
    """Return a problem in the unit cube; a front of two objectives is where all but x0 are 0."""
    if most is None:
        points = [function([i / 4000, *[0.0] * (SIZE - 1)]) for i in range(4001)]
        most = hypervolume(points, reference)
    return Problem({f"x{i}": Float(0.0, 1.0) for i in range(SIZE)}, function, reference, most)


def _below_dtlz7(reference: Point) -> float:
    """Return the hypervolume of DTLZ7's front, summed up over cells of 1/2,000."""
    marks = np.arange(int(2000 * reference[0])) / 2000
    part = np.where(marks <= 1, marks / 2 * (1 + np.sin(3 * np.pi * marks)), -np.inf)
    least = np.maximum.accumulate(part)  # the most that either of the first two takes off
    height = reference[2] - 2 * (3 - least[:, None] - least[None, :])
    return float(np.sum(height)) / 2000**2


def recorded(name: str) -> Problem:
    """Return a problem that `record.py` has written: error and the logarithm of nodes.

    The reference point is the worst of the front in each, and a tenth of the front's range more.
    """
    table = json.loads(Path(__file__).with_name(f"{name}.json").read_text())
    sizes = [len(levels) for levels in table["levels"].values()]
    rows = list(zip(table["error"], map(math.log10, table["nodes"]), strict=True))

    def values(x: Point) -> Point:
        place = 0
        for size, level in zip(sizes, x, strict=True):
            place = place * size + int(level)
        return rows[place]

    best = [rows[place] for place in front(rows)]
    ends = [(min(row[i] for row in best), max(row[i] for row in best)) for i in range(2)]
    reference = [high + 0.1 * (high - low) for low, high in ends]
    space = {key: Int(0, size - 1) for key, size in zip(table["levels"], sizes, strict=True)}
    return Problem(space, values, reference, hypervolume(rows, reference))


_MADE: dict[str, Callable[[], Problem]] = {
    "zdt1": lambda: _flat(zdt(lambda f, g: 1 - math.sqrt(f / g)), (1.1, 5.0)),
    "zdt2": lambda: _flat(zdt(lambda f, g: 1 - (f / g) ** 2), (1.1, 5.0)),
    "zdt3": lambda: _flat(zdt(_zdt3), (1.1, 5.0)),
    "dtlz2": lambda: _flat(dtlz2, (1.1, 1.1, 1.1), 1.1**3 - math.pi / 6),
    "dtlz7": lambda: _flat(dtlz7, (1.1, 1.1, 12.0), _below_dtlz7((1.1, 1.1, 12.0))),
    "digits": lambda: recorded("digits"),
    "diabetes": lambda: recorded("diabetes"),
}
NAMES = tuple(_MADE)


@lru_cache
def problem(name: str) -> Problem:
    """Return a problem by its name."""
    return _MADE[name]()
