"""The points of a finite space, counted and numbered without ever being listed.

Points are numbered in lexicographic order, the last parameter turning fastest. Where a condition
leaves a parameter out, the points that would differ only in it are one point. Constraints are not
looked at here: whether a point satisfies them is known only when it is made.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias, overload

from tinytune.distributions import Distribution, Float, Value, same
from tinytune.space import Parameter, Params, Space

_Key: TypeAlias = tuple[int, tuple[str, ...]]


class Values(Sequence[Value]):
    """All values of a finite distribution, made when they are asked for."""

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = distribution

    def __len__(self) -> int:
        return self._distribution.size or 0

    @overload
    def __getitem__(self, index: int) -> Value: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Value]: ...
    def __getitem__(self, index: int | slice) -> Value | Sequence[Value]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self[place] for place in places]
        return self._at(places)

    def _at(self, place: int) -> Value:
        return self._distribution.at(place)  # type: ignore[union-attr]

    def place(self, value: Any) -> int | None:
        """Return where a value is, None if nowhere; without a look at the others."""
        try:
            return self._distribution.index(self._distribution.canonical(value))  # type: ignore[union-attr, arg-type]
        except ValueError:
            return None


class Marks(Values):
    """Evenly spaced values of a range that has room for them, made when they are asked for."""

    def __init__(self, distribution: Float, count: int) -> None:
        super().__init__(distribution)
        self._range, self._number = distribution, count

    def __len__(self) -> int:
        return self._number

    def _at(self, place: int) -> Value:
        return self._range.mark(place, self._number)

    def place(self, value: Any) -> int | None:
        """Return where a value is, None if nowhere; they rise, so that few are looked at."""
        place = bisect_left(self, value)
        return place if place < len(self) and same(self[place], value) else None


@dataclass(frozen=True)
class Points:
    """A space with the values that each parameter may take."""

    space: Space
    values: Mapping[str, Sequence[Value]]
    _counts: dict[_Key, int] = field(default_factory=dict, repr=False)
    _branches: dict[_Key, list[int]] = field(default_factory=dict, repr=False)

    @cached_property
    def size(self) -> int:
        """The number of points."""
        return self._count(0, {})

    def at(self, index: int) -> Params:
        """Return the configuration of one point, 0 <= index < size."""
        places = self.places(index)
        return self.space.arranged({name: self.values[name][i] for name, i in places.items()})

    def places(self, index: int) -> dict[str, int]:
        """Return, for each active parameter, which of its values the point has."""
        places: dict[str, int] = {}
        params: Params = {}
        for position, parameter in enumerate(self._parameters):
            if not parameter.is_active(params):
                continue
            name = parameter.name
            if ends := self._ends(position, params):
                places[name] = bisect_right(ends, index)
                index -= _start(ends, places[name])
            else:
                places[name], index = divmod(index, self._count(position + 1, params))
            if name in self._conditional:
                params[name] = self.values[name][places[name]]
        return places

    def index(self, params: Mapping[str, Value]) -> int | None:
        """Return the number of the point that is this configuration, None if it is no point."""
        index = 0
        before: Params = {}
        for position, parameter in enumerate(self._parameters):
            if not parameter.is_active(before):
                continue
            place = _place(self.values[parameter.name], params[parameter.name])
            if place is None:
                return None
            if ends := self._ends(position, before):
                index += _start(ends, place)
            else:
                index += place * self._count(position + 1, before)
            before[parameter.name] = params[parameter.name]
        return index

    @cached_property
    def _parameters(self) -> tuple[Parameter, ...]:
        return self.space.ordered

    @cached_property
    def _conditional(self) -> frozenset[str]:
        """The parameters on whose values it depends which others there are."""
        return frozenset(c.name for parameter in self._parameters for c in parameter.conditions)

    @cached_property
    def _watched(self) -> tuple[tuple[str, ...], ...]:
        """For each position, the earlier parameters that conditions from there on look at."""
        watched: list[tuple[str, ...]] = []
        for position in range(len(self._parameters) + 1):
            earlier = {parameter.name for parameter in self._parameters[:position]}
            later = self._parameters[position:]
            looked_at = {c.name for parameter in later for c in parameter.conditions}
            watched.append(tuple(sorted(earlier & looked_at)))
        return tuple(watched)

    def _key(self, position: int, params: Params) -> _Key:
        """Return what the number of points from a position on depends on."""
        # A missing parameter is not one that is None.
        watched = self._watched[position]
        return position, tuple(repr(params[n]) if n in params else "" for n in watched)

    def _ends(self, position: int, params: Params) -> list[int]:
        """Return, for each value, the number of points up to its last one.

        The list is empty where all values have equally many.
        """
        name = self._parameters[position].name
        if name not in self._watched[position + 1]:
            return []
        key = self._key(position, params)
        if key not in self._branches:
            ends, end = [], 0
            for value in self.values[name]:
                end += self._count(position + 1, {**params, name: value})
                ends.append(end)
            self._branches[key] = ends
        return self._branches[key]

    def _count(self, position: int, params: Params) -> int:
        """Return how many points there are, given the parameters before this position."""
        key = self._key(position, params)
        if key not in self._counts:
            count = 1
            for later in range(position, len(self._parameters)):
                parameter = self._parameters[later]
                if not parameter.is_active(params):
                    continue
                if ends := self._ends(later, params):
                    count *= ends[-1]
                    break
                count *= len(self.values[parameter.name])
            self._counts[key] = count
        return self._counts[key]


def _start(ends: Sequence[int], place: int) -> int:
    """Return the number of points before those of a value."""
    return ends[place - 1] if place else 0


def _place(values: Sequence[Value], value: Value) -> int | None:
    if isinstance(values, Values):
        return values.place(value)
    for place, candidate in enumerate(values):
        if same(candidate, value):
            return place
    return None
