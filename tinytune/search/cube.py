"""A space as a unit cube: how searches that reckon with vectors see any space.

Each parameter is one coordinate, in the order of the objective's signature. Numbers lie where their
distribution puts them (logarithmic ranges by their logarithm, steps and whole numbers in the middle
of equal cells, `Normal` by its quantiles); the options of a choice are cells, as wide as their
weights. A parameter that is not active keeps its coordinate, which has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytune import draw
from tinytune.distributions import Choice, Normal
from tinytune.search.belief import beliefs
from tinytune.space import MISSING, Params, Space

Vector = NDArray[np.float64]


class Cube:
    """The unit cube of a space: vectors of shape (d,) with 0 <= u <= 1, and back."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.names = tuple(parameter.name for parameter in space.parameters)
        self.size = len(self.names)  # d
        self.cells = tuple(parameter.distribution.size for parameter in space.parameters)
        """How many values each coordinate has, None for a continuum."""
        self.is_category = tuple(
            isinstance(parameter.distribution, Choice) and not parameter.distribution.ordered
            for parameter in space.parameters
        )
        """Whether a coordinate's cells are in no order."""
        self._unit = lru_cache(maxsize=100_000)(self._unit_of)
        looked_at = _looked_at(space)
        self._constrained = [i for i, name in enumerate(self.names) if name in looked_at]
        parameters = tuple(space.parameters[i] for i in self._constrained)
        self._part = space._replace(parameters=parameters)
        """The space of the parameters that decide whether the constraints hold."""
        self._allows = lru_cache(maxsize=100_000)(self._allows_at)
        defaults = {p.name: p.default for p in space.parameters if p.default is not MISSING}
        self.beliefs = beliefs(space)
        """What is believed of each coordinate, None for nothing."""
        middles = [0.5 if belief is None else belief.drawn(0.5) for belief in self.beliefs]
        self.start = self.vector(defaults, np.array(middles))  # (d,)
        """Each parameter's default, or the middle of its prior, or of its range."""

    def vector(self, params: Mapping[str, object], rest: Vector | None = None) -> Vector:
        """Return a configuration's coordinates; those of absent parameters from `rest` or 1/2."""
        units = np.full(self.size, 0.5) if rest is None else rest.copy()
        for index, name in enumerate(self.names):
            if name in params:
                units[index] = self._unit(index, params[name], isinstance(params[name], bool))
        return units

    def params(self, units: Vector) -> Params:
        """Return the configuration at a point; coordinates outside of the cube are clipped."""
        clipped = dict(zip(self.names, _clipped(units).tolist(), strict=True))
        return self.space.from_units(clipped.__getitem__)

    def snapped(self, units: Vector) -> Vector:
        """Return the point that stands for the configuration at `units`."""
        return self.vector(self.params(units), _clipped(units))

    def allows(self, units: Vector) -> bool:
        """Return whether the configuration at a point meets the space's constraints."""
        return not self.space.constraints or self._allows(*units[self._constrained].tolist())

    def beside(self, index: int, unit: float, by: int) -> float | None:
        """Return where a discrete coordinate's value `by` places further lies, None if nowhere."""
        distribution = self.space.parameters[index].distribution
        if isinstance(distribution, Normal) or distribution.size is None:
            return None
        place = distribution.index(distribution.from_unit(unit)) + by  # type: ignore[arg-type]
        if not 0 <= place < distribution.size:
            return None
        return distribution.to_unit(distribution.at(place))

    def random(self, seed: int, number: int, purpose: str, draw_number: int = 0) -> Vector:
        """Return a point drawn evenly from the cube, whether or not it is allowed."""
        return draw.uniforms(self.size, seed, number, purpose, draw=draw_number)

    def _allows_at(self, *units: float) -> bool:
        clipped = (min(max(unit, 0.0), 1.0) for unit in units)
        at = dict(zip((p.name for p in self._part.parameters), clipped, strict=True))
        return self._part.allows(self._part.from_units(at.__getitem__))

    def _unit_of(self, index: int, value: Any, is_bool: bool) -> float:  # noqa: FBT001, ARG002
        # 1, 1.0 and True are one key of a cache; is_bool tells the last from the others.
        return self.space.parameters[index].distribution.to_unit(value)


def _clipped(units: Vector) -> Vector:
    """Return a point, clipped to the cube; `np.clip` takes ten times as long for so few numbers."""
    return np.minimum(np.maximum(units, 0.0), 1.0)


def _looked_at(space: Space) -> set[str]:
    """Return the parameters in the constraints, and those that decide whether these are active."""
    found = {name for constraint in space.constraints for name in constraint.names}
    for parameter in reversed(space.ordered):
        if parameter.name in found:
            found |= {condition.name for condition in parameter.conditions}
    return found
