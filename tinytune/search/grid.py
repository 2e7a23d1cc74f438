"""Grid search: every combination of some values of each parameter, each exactly once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from tinytune import draw
from tinytune.bounds import shown
from tinytune.distributions import Distribution, Float, Int, Value
from tinytune.errors import UsageError
from tinytune.points import Marks, Points, Values
from tinytune.search.walk import Walk
from tinytune.space import Params, Space

ORDERS = ("even", "lexicographic")
_GOLDEN = 0.6180339887498949  # (sqrt(5) - 1) / 2: the fraction that ratios approximate worst
MOST_POINTS = 100_000  # of one parameter, evenly spaced by their number
_CANDIDATES = 16  # strides to choose from
_BEGINNINGS = (4, 8, 16, 32)  # points of the walk that are to lie evenly


@dataclass(frozen=True)
class Grid:
    """Options of grid search.

    `points` gives the values of a parameter: how many, evenly (log-)spaced, or a list of them.
    Choices and stepped ranges need none. `order` is "even", which covers the whole grid from the
    first trials on and begins with the defaults where they are on the grid, or "lexicographic".
    """

    points: Mapping[str, int | Sequence[Value]] = field(default_factory=dict)
    order: str = "even"

    name: ClassVar[str] = "grid"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = False
    exhausts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise UsageError(f"there is no grid order {self.order!r}: use {' or '.join(ORDERS)}")
        if not isinstance(self.points, Mapping):
            raise UsageError(
                f"grid: points {shown(self.points)} must map names to numbers of values or lists: "
                "write points={'lr': 5, 'momentum': [0, 0.9]}"
            )
        points = {name: _wanted(name, wanted) for name, wanted in self.points.items()}
        object.__setattr__(self, "points", points)  # as the study's file will hold it

    def start(self, space: Space, seed: int, first: Params | None) -> Walk:
        """Return the search at work; the even order begins at `first` if that is on the grid."""
        points = Points(space, self._values(space))
        size = points.size
        if self.order == "lexicographic":
            return Walk(points, lambda position: position)
        start = None if first is None else points.index(first)
        if start is None:
            start = draw.below(size, seed, 0, "grid")
        stride = _even_stride(points)
        return Walk(points, lambda position: (start + position * stride) % size)

    def _values(self, space: Space) -> dict[str, Sequence[Value]]:
        unknown = self.points.keys() - space.by_name.keys()
        if unknown:
            raise UsageError(
                f"grid: there is no parameter {min(unknown)!r}: use {', '.join(space.by_name)}"
            )
        return {
            parameter.name: _values(
                parameter.name, parameter.distribution, self.points.get(parameter.name)
            )
            for parameter in space.parameters
        }


def _wanted(name: str, wanted: object) -> int | list[Value]:
    """Return how many values, or which, as plain numbers and lists."""
    if hasattr(wanted, "tolist"):  # an array of numpy's
        wanted = wanted.tolist()
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        return wanted
    if isinstance(wanted, (list, tuple, range)):
        return [v.item() if hasattr(v, "item") else v for v in wanted]
    raise UsageError(
        f"grid: parameter {name!r} has points {shown(wanted)}: "
        "write a whole number, for so many values, or a list of values"
    )


def _values(
    name: str, distribution: Distribution, wanted: int | Sequence[Value] | None
) -> Sequence[Value]:
    """Return the values that one parameter takes on the grid."""
    if wanted is None:
        return _own_values(name, distribution)
    if isinstance(wanted, int):
        if not 1 <= wanted <= MOST_POINTS:
            raise UsageError(
                f"grid: parameter {name!r} needs 1 to {MOST_POINTS:,} values, not {wanted:,}"
            )
        if isinstance(distribution, Float) and distribution.has_room(wanted):
            return Marks(distribution, wanted)
        return distribution.spread(wanted)
    values: list[Value] = []
    for value in wanted:
        try:
            values.append(distribution.canonical(value))
        except ValueError as error:
            raise UsageError(f"grid: parameter {name!r}: {shown(value)} {error}") from None
    if len(set(map(repr, values))) < len(values) or not values:
        raise UsageError(f"grid: parameter {name!r} needs different values, not {values}")
    return values


def _own_values(name: str, distribution: Distribution) -> Sequence[Value]:
    size = distribution.size
    if size is None or (isinstance(distribution, Int) and distribution.log):
        example = (
            "0.5,1"
            if not isinstance(distribution, (Float, Int))
            else (f"{distribution.low},{distribution.high}")
        )
        raise UsageError(
            f"grid: parameter {name!r} has no values of its own: say how many with "
            f"--grid {name}=5, or which with --grid {name}={example}"
        )
    return Values(distribution)


def _even_stride(points: Points) -> int:
    """Return a stride, coprime to the size, whose first points lie evenly over every parameter.

    Walking the lexicographic numbers with a stride near the golden section spreads the first
    parameter's values; how the others fare depends on the stride's remainders, so the best of
    some candidates is taken.
    """
    size = points.size
    if size <= 2:
        return 1
    middle = max(1, int(size * _GOLDEN) if size < 2**50 else size * 6180339887498949 // 10**16)
    candidates = []
    for distance in range(size):
        candidates += [
            stride
            for stride in {middle + distance, middle - distance}
            if 0 < stride < size and math.gcd(stride, size) == 1
        ]
        if len(candidates) >= _CANDIDATES:
            break
    return min(sorted(candidates), key=lambda stride: _unevenness(points, stride))


def _unevenness(points: Points, stride: int) -> float:
    """Sum, over parameters and beginnings of the walk, the distance of their values from even.

    That distance is Wasserstein's, between the values' places and the uniform distribution.
    """
    places: dict[str, list[float]] = {name: [] for name in points.values}
    distances: list[float] = []
    for position in range(min(_BEGINNINGS[-1], points.size)):
        for name, place in points.places(position * stride % points.size).items():
            places[name].append((place + 0.5) / len(points.values[name]))
        if position + 1 in _BEGINNINGS:
            distances += [_from_uniform(sorted(visited)) for visited in places.values()]
    return math.fsum(distances)  # unlike `sum`, the same in every version of Python


def _from_uniform(places: list[float]) -> float:
    """Return how far sorted numbers of the unit interval are from evenly spaced ones."""
    count = len(places)
    total = math.fsum(abs(place - (i + 0.5) / count) for i, place in enumerate(places))
    return total / max(count, 1)
