"""Beliefs about where the best value of a parameter lies, and what they are worth with n results.

`gp` multiplies the expected improvement at a point by the belief's density to the power 10 / n, n
being the number of results: the pi-BO of Hvarfner et al. (2022), equation 6. In `tpe` it is one
kernel of the good trials' density. Everywhere at least a twentieth of the density's peak is left,
so that a wrong belief costs a little and never rules anything out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tinytune.bounds import shown
from tinytune.distributions import Choice, Float, Int, LogNormal, Normal, believed
from tinytune.errors import UsageError
from tinytune.portable import arrays, linear, scalars
from tinytune.space import MISSING, Parameter, Params, Space

if TYPE_CHECKING:
    from tinytune.search.cube import Cube

Floats = NDArray[np.float64]

WEIGHT = 10.0  # beta: with n results a belief counts by WEIGHT / n
_FLOOR = 0.05  # of the density, spread over the whole range
_MIDDLES = 1_024
LEVELS = {"low": (0.4, 2.0), "medium": (0.2, 4.0), "high": (0.1, 10.0)}
"""Trust in the defaults: spread in parts of the range, and how much likelier an option is."""


class Belief(Protocol):
    """What is believed of one coordinate."""

    def __hash__(self) -> int:
        """Return the same for the same belief."""

    def log_density(self, units: Floats) -> Floats:
        """Return the logarithm of the density at units (m,), 0 at its peak; shape (m,)."""

    def drawn(self, unit: float) -> float:
        """Return where a draw lies, made from an even one."""


@dataclass(frozen=True)
class Bell:
    """The best value is normally distributed over the range, as that is spaced."""

    centre: float
    spread: float

    def log_density(self, units: Floats) -> Floats:
        """Return the logarithm of the density at units (m,)."""
        return _floored((units - self.centre) / self.spread)

    def drawn(self, unit: float) -> float:
        """Return where a draw lies."""
        return Normal(self.centre, self.spread, 0.0, 1.0).from_unit(unit)


@dataclass(frozen=True)
class Told:
    """The best value has the range's own prior."""

    range: Float | Int

    def log_density(self, units: Floats) -> Floats:
        """Return the logarithm of the density at units (m,)."""
        prior = self.range.prior or Normal(0.0, 1.0)
        low, high = _ends(self.range)
        is_log = isinstance(prior, LogNormal)
        if self.range.log:
            start = scalars.log(low)
            line = start + units * (scalars.log(high) - start)
            line = line if is_log else arrays.exp(line)
        else:
            line = low + units * (high - low)
            line = arrays.log(np.maximum(line, 1e-300)) if is_log else line
        return _floored((line - prior.mean) / prior.sd)

    def drawn(self, unit: float) -> float:
        """Return where a draw lies."""
        value = believed(self.range).from_unit(unit)
        low, high = _ends(self.range)
        value = min(max(value, low), high)
        return (
            scalars.fraction_log(low, high, value)
            if self.range.log
            else (value - low) / (high - low)
        )


@dataclass(frozen=True)
class Favourite:
    """One option of a choice is the best with so much greater odds than each of the others."""

    choice: Choice
    index: int
    odds: float

    def log_density(self, units: Floats) -> Floats:
        """Return the logarithm of the density at units (m,)."""
        few, place = np.unique(units, return_inverse=True)
        found = [self.choice.index(self.choice.from_unit(unit)) for unit in few.tolist()]
        is_it = np.array(found, dtype=np.int64)[place] == self.index
        return np.where(is_it, 0.0, -scalars.log(self.odds))

    def drawn(self, unit: float) -> float:
        """Return where a draw lies."""
        extra = (self.odds - 1.0) / (self.odds - 1.0 + self.choice.size)
        if unit < extra:
            return self.choice.to_unit(self.choice.at(self.index))
        return (unit - extra) / (1.0 - extra)


def _floored(z: Floats) -> Floats:
    return arrays.log((1.0 - _FLOOR) * arrays.exp(-0.5 * np.minimum(z * z, 1400.0)) + _FLOOR)


def _ends(of: Float | Int) -> tuple[float, float]:
    """Return the values at 0 and 1: those of whole numbers and steps lie in the middle of cells."""
    if isinstance(of, Float) and of.step is None:
        return float(of.low), float(of.high)
    half = 0.5 * (of.step or 1)
    return of.low - half, of.high + half


def beliefs(space: Space, trust: str | None = None) -> list[Belief | None]:
    """Return what is believed of each parameter: its prior, or where it is trusted, its default.

    UsageError where defaults are trusted and there are none.
    """
    if trust is not None and all(p.default is MISSING for p in space.parameters):
        raise UsageError(
            "there is no default to trust: give parameters defaults, or prior=Normal(…)"
        )
    return [_belief(parameter, trust) for parameter in space.parameters]


def _belief(parameter: Parameter, trust: str | None) -> Belief | None:
    distribution = parameter.distribution
    if isinstance(distribution, (Float, Int)) and distribution.prior is not None:
        return Told(distribution)
    if trust is None or parameter.default is MISSING:
        return None
    spread, odds = LEVELS[trust]
    default = distribution.canonical(parameter.default)
    if isinstance(distribution, Choice) and not distribution.ordered:
        return Favourite(distribution, distribution.index(default), odds)
    return Bell(distribution.to_unit(default), spread)


def checked(trust: object, name: str) -> None:
    """Raise UsageError unless this is None or a level of trust."""
    if trust is not None and not (isinstance(trust, str) and trust in LEVELS):
        raise UsageError(f"{name}: trust_defaults {shown(trust)} must be low, medium or high")


@lru_cache(maxsize=1_000)
def log_mass(belief: Belief) -> float:
    """Return the logarithm of a density's integral over the unit interval, by midpoints."""
    middles = (np.arange(_MIDDLES) + 0.5) / _MIDDLES
    return arrays.log(linear.total(arrays.exp(belief.log_density(middles))) / _MIDDLES)


@dataclass(frozen=True)
class Opinion:
    """Beliefs, and how much they count."""

    beliefs: Sequence[Belief | None]  # d of them
    weight: float

    @classmethod
    def of(cls, found: Sequence[Belief | None], results: int) -> Opinion | None:
        """Return what the beliefs count for after so many results; None where there are none."""
        if all(belief is None for belief in found):
            return None
        return cls(found, WEIGHT / max(results, 1))

    def of_points(self, points: Floats, active: NDArray[np.bool_]) -> Floats:
        """Return the weighted logarithms (m,) at points (m, d), of the coordinates that count."""
        total = np.zeros(len(points))
        for index, belief in enumerate(self.beliefs):
            if belief is not None:
                total += np.where(active[:, index], belief.log_density(points[:, index]), 0.0)
        return self.weight * total


def first_guess(found: Sequence[Belief | None], cube: Cube, number: int, params: Params) -> Params:
    """Return a configuration of the design: every second one is drawn from the beliefs instead.

    The others stay evenly spread, so that a wrong belief costs half of the design.
    """
    if number % 2 == 0 or all(belief is None for belief in found):
        return params
    pairs = zip(found, cube.vector(params).tolist(), strict=True)
    units = [unit if belief is None else belief.drawn(unit) for belief, unit in pairs]
    return cube.params(np.array(units))
