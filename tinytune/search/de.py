"""Differential evolution: moves configurations by differences between others; gains stay."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tinytune import draw
from tinytune.bounds import is_finite, shown
from tinytune.errors import UsageError
from tinytune.history import Finished, Pending
from tinytune.portable.arrays import normal_quantile
from tinytune.search.cube import Cube
from tinytune.space import Params, Space

STRATEGIES = ("current-to-pbest", "rand")
_DRAWS = "de"  # the purpose of its random numbers
_TRIES = 20  # candidates for one suggestion that may be refused
_PLAIN_TRIES = 8  # of these come from differences alone; later ones also get a random coordinate
_GREED = 0.2  # the part of the population that counts as the best
_PACE = 0.1  # by how much one gain moves the factor and the crossover rate
_SPREAD = 0.1  # standard deviation of a trial's factor and crossover rate
_LEAST_FACTOR = 0.1

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class De:
    """Options of differential evolution (Storn and Price 1997), steady-state and asynchronous.

    `population` is the number of slots; 0 means 10 and one more for each two parameters. `strategy`
    is "current-to-pbest" (Zhang and Sanderson 2009: towards one of the best fifth) or "rand"
    (rand/1: from anywhere, slower and more thorough). `factor` scales the differences, `crossover`
    is how likely a parameter is to take part. With `adapt` these two are only where it begins:
    each trial varies them, and they follow those that brought a gain.

    Suits objectives that are rugged, or discrete in part, a few hundred trials or more, and any
    number of workers. Weak with less than some twenty trials for each parameter.

    Trial n belongs to slot n mod `population`, whoever suggested it. The first trials are a Latin
    hypercube, with the defaults as trial 0. A result that is at least as good as its slot's takes
    its place; a failed one never does. A trial of an empty slot is drawn at random.
    Differences of whole numbers, steps and ordered choices are rounded; a category is taken from
    the configurations that the differences come from. What was told already, or is pending, is not
    suggested again while there is something else within some tries.
    """

    population: int = 0
    strategy: str = "current-to-pbest"
    factor: float = 0.5
    crossover: float = 0.9
    adapt: bool = True

    name: ClassVar[str] = "de"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = True
    exhausts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        population = self.population
        if isinstance(population, bool) or not isinstance(population, int):
            raise UsageError(f"de: population {shown(population)} must be a whole number")
        if population and not 4 <= population <= 10_000:
            raise UsageError(f"de: population {population} must be 4 to 10,000, or 0 to choose")
        if self.strategy not in STRATEGIES:
            raise UsageError(
                f"de: there is no strategy {shown(self.strategy)}: use {' or '.join(STRATEGIES)}"
            )
        if not is_finite(self.factor) or not 0 < self.factor <= 2:
            raise UsageError(f"de: factor {shown(self.factor)} must be above 0 and up to 2")
        if not is_finite(self.crossover) or not 0 <= self.crossover <= 1:
            raise UsageError(f"de: crossover {shown(self.crossover)} must be from 0 to 1")
        if not isinstance(self.adapt, bool):
            raise UsageError("de: adapt must be true or false")

    def start(self, space: Space, seed: int, first: Params | None) -> Population:
        """Return the search at work; `first` is trial 0."""
        return Population(self, space, seed, first)


@lru_cache(maxsize=4096)  # asked for again when the trial's result is told
def _normals(seed: int, number: int) -> tuple[float, float]:
    """Return the two random numbers that a trial's factor and crossover rate depend on."""
    first, second = normal_quantile(draw.uniforms(2, seed, number, "de rates")).tolist()
    return first, second


@dataclass(frozen=True, eq=False)
class Slot:
    """A member of the population."""

    point: Vector  # (d,), in the cube
    value: float


class Population:
    """Differential evolution at work: slots, and how far and how often it moves."""

    size = None
    is_quick = False

    def __init__(self, options: De, space: Space, seed: int, first: Params | None) -> None:
        self._options, self._space, self._seed, self._first = options, space, seed, first
        self._cube = Cube(space)
        self._count = options.population or 10 + self._cube.size // 2
        self._slots: list[Slot | None] = [None] * self._count
        self._seen: set[object] = set()  # the configurations told
        self._factor, self._crossover = float(options.factor), float(options.crossover)
        self._squares = self._factor * self._factor  # of the factors that brought a gain, a mean
        self._sums = self._factor

    def tell(self, result: Finished) -> None:
        """Take in one result: it takes its slot's place if it is at least as good."""
        if not result.is_lesson:
            self._seen.add(self._key(result.params))
        if result.value is None or math.isnan(result.value):
            return
        at = result.number % self._count
        slot = self._slots[at]
        if slot is not None and result.value > slot.value:
            return
        if slot is not None and result.value < slot.value and self._options.adapt:
            self._follow(*self._rates(result.number))
        rest = self._random(result.number) if slot is None else slot.point
        self._slots[at] = Slot(self._cube.vector(result.params, rest), float(result.value))

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:
        """Return a configuration for the slot of trial `number`."""
        if number == 0 and self._first is not None:
            return dict(self._first)
        taken = {self._key(other.params) for other in pending}
        repeated = None
        for point in self._points(number):
            params = self._cube.params(point)
            if self._space.constraints and not self._space.allows(params):
                continue
            key = self._key(params)
            if key not in self._seen and key not in taken:
                return params
            repeated = repeated or params
        return repeated or self._space.sample(self._seed, number, _DRAWS)

    def _points(self, number: int) -> Iterator[Vector]:
        """Yield candidates of a trial, the first choice first."""
        at = number % self._count
        target = self._slots[at]
        others = [slot for i, slot in enumerate(self._slots) if slot is not None and i != at]
        if number < self._count:
            yield self._cube.start if number == 0 else self._stratified(number)
        if number < self._count or target is None or len(others) < 3:
            for attempt in range(1, _TRIES):
                yield self._random(number, attempt)
            return
        for attempt in range(_TRIES):
            uniforms = draw.uniforms(
                4 + 4 * len(target.point), self._seed, number, _DRAWS, draw=attempt
            )
            point = self._crossed(number, target, others, uniforms)
            if attempt >= _PLAIN_TRIES:
                fresh = self._random(number, attempt)
                j = int(uniforms[3] * len(point))
                point[j] = fresh[j]
            yield point

    def _crossed(self, number: int, target: Slot, others: list[Slot], uniforms: Vector) -> Vector:
        """Return the target, crossed with a mutant; (d,)."""
        size = len(target.point)
        picks, (mixed, nudged, swayed, _) = uniforms[:4].tolist(), uniforms[4:].reshape(4, size)
        factor, crossover = self._rates(number)
        rest = list(others)
        first = rest.pop(int(picks[0] * len(rest)))
        second = rest.pop(int(picks[1] * len(rest)))
        if self._options.strategy == "rand":
            base = rest.pop(int(picks[2] * len(rest))).point
            mutant = base + factor * (first.point - second.point)
        else:
            ranked = sorted([target, *others], key=lambda slot: slot.value)  # stable
            best = ranked[int(picks[2] * max(2, int(_GREED * len(ranked))))]
            base = np.where(swayed < factor, best.point, target.point)
            mutant = target.point + factor * (best.point - target.point)
            mutant = mutant + factor * (first.point - second.point)
        # Between the target and the bound that was left, as in JADE.
        mutant = np.where(mutant < 0, target.point * 0.5, mutant)
        mutant = np.where(mutant > 1, (target.point + 1) * 0.5, mutant)
        differs = (first.point != second.point) & (nudged < factor)
        option = np.where(differs, first.point, base)
        mutant = np.where(np.array(self._cube.is_category), option, mutant)
        is_crossed = mixed < crossover
        is_crossed[int(picks[3] * size)] = True  # at least one
        return np.where(is_crossed, mutant, target.point)

    def _rates(self, number: int) -> tuple[float, float]:
        """Return a trial's factor and crossover rate, around what brought gains so far.

        When its result is told, those of the memory as it then is are taken: what was told in the
        meantime may have moved them a little.
        """
        if not self._options.adapt:
            return self._factor, self._crossover
        first, second = _normals(self._seed, number)
        factor, crossover = self._factor + _SPREAD * first, self._crossover + _SPREAD * second
        return min(max(factor, _LEAST_FACTOR), 1.0), min(max(crossover, 0.0), 1.0)

    def _follow(self, factor: float, crossover: float) -> None:
        """Move the memory towards rates that brought a gain; large factors weigh more (JADE)."""
        self._squares = (1 - _PACE) * self._squares + _PACE * factor * factor
        self._sums = (1 - _PACE) * self._sums + _PACE * factor
        self._factor = self._squares / self._sums
        self._crossover = (1 - _PACE) * self._crossover + _PACE * crossover

    def _stratified(self, number: int) -> Vector:
        """Return one point of a Latin hypercube of as many points as there are slots."""
        count, seed = self._count, self._seed
        strata = [draw.permuted(number, count, seed, f"de {name}") for name in self._cube.names]
        return (np.array(strata) + self._random(number)) / count

    def _random(self, number: int, attempt: int = 0) -> Vector:
        return self._cube.random(self._seed, number, "de random", attempt)

    def _key(self, params: Params) -> object:
        """Return a configuration as a set holds it; True is not 1."""
        return tuple(
            (name, isinstance(params[name], bool), params[name])
            for name in self._cube.names
            if name in params
        )
