"""The points of a finite space, counted and numbered without ever being listed.

Points are numbered in lexicographic order, the last parameter turning fastest. Where a condition
leaves a parameter out, the points that would differ only in it are one point. Constraints are not
looked at here: whether a point satisfies them is known only when it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tinytune.distributions import Value
from tinytune.space import Parameter, Params, Space


@dataclass(frozen=True)
class Points:
    """A space with the values that each parameter may take."""

    space: Space
    values: Mapping[str, Sequence[Value]]
    _counts: dict[tuple[int, tuple[object, ...]], int] = field(default_factory=dict, repr=False)

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
            branches = self._branches(position, params)
            if branches:
                places[name], index = _branch(branches, index)
            else:
                places[name], index = divmod(index, self._count(position + 1, params))
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
            if branches := self._branches(position, before):
                index += sum(branches[:place])
            else:
                index += place * self._count(position + 1, before)
            before[parameter.name] = params[parameter.name]
        return index

    @cached_property
    def _parameters(self) -> tuple[Parameter, ...]:
        return self.space.ordered

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

    def _branches(self, position: int, params: Params) -> list[int]:
        """Return each value's number of points, or nothing where all have equally many."""
        parameter = self._parameters[position]
        if parameter.name not in self._watched[position + 1]:
            return []
        return [
            self._count(position + 1, {**params, parameter.name: value})
            for value in self.values[parameter.name]
        ]

    def _count(self, position: int, params: Params) -> int:
        """Return how many points there are, given the parameters before this position."""
        if position == len(self._parameters):
            return 1
        key = (position, tuple(repr(params.get(name)) for name in self._watched[position]))
        if key not in self._counts:
            parameter = self._parameters[position]
            if not parameter.is_active(params):
                count = self._count(position + 1, params)
            elif branches := self._branches(position, params):
                count = sum(branches)
            else:
                count = len(self.values[parameter.name]) * self._count(position + 1, params)
            self._counts[key] = count
        return self._counts[key]


def _branch(branches: Sequence[int], index: int) -> tuple[int, int]:
    """Return the branch that a number falls into, and its number there."""
    for place, count in enumerate(branches):
        if index < count:
            return place, index
        index -= count
    raise IndexError(index)


def _place(values: Sequence[Value], value: Value) -> int | None:
    for place, candidate in enumerate(values):
        if candidate == value and isinstance(candidate, bool) == isinstance(value, bool):
            return place
    return None
