"""NSGA-II: children of configurations that none beats in all objectives, spread along the front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tinytune import draw
from tinytune.bounds import is_finite, shown
from tinytune.errors import UsageError
from tinytune.history import Finished, Pending
from tinytune.search import is_count
from tinytune.search.cube import Cube, Vector
from tinytune.search.oracle import Known, fresh, key, value_of
from tinytune.search.sobol import Sobol
from tinytune.space import Params, Space

_ROOTS = 2  # square roots in a row: the power 1/4, of a distribution index of 3


@dataclass(frozen=True)
class NsgaII:
    """Options of NSGA-II (Deb et al. 2002), steady-state and asynchronous.

    `population` members are kept. The first trials, as many, are a scrambled Sobol sequence after
    the defaults. Then a trial is a child of two parents, each the better one of two random members:
    simulated binary crossover, with probability `crossover`, and polynomial mutation of one
    parameter in d, both with a distribution index of 3. Each result joins the population, and the
    worst leaves it: what fewer others dominate in layers is better, and in a layer what has more
    room around it (the crowding distance). A category comes from either parent, and mutates into
    any other one.

    So small a population, and indices that let children go far from their parents, are for some
    hundred trials; for thousands a population of 50 to 100 keeps more of the front.

    Suits two or three objectives, cheap trials in hundreds, any space and any number of workers.
    Weak below some hundred trials, where `gp` and `tpe` find a better front. With one objective it
    is a plain genetic algorithm.

    What misses the study's requirements comes after all that meets them, by how much it does (Deb's
    rule); a failed trial comes last, and a stopped one has the worst value in what is not known.
    What was told already, is pending or not allowed is not suggested while there is something else
    within some tries.
    """

    population: int = 16
    crossover: float = 0.9

    name: ClassVar[str] = "nsga-ii"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = True
    exhausts: ClassVar[bool] = False
    objectives: ClassVar[str] = "all"

    def __post_init__(self) -> None:
        if not is_count(self.population, 4, 10_000):
            raise UsageError(
                f"nsga-ii: population {shown(self.population)} must be a whole number "
                "from 4 to 10,000"
            )
        if not is_finite(self.crossover) or not 0 <= self.crossover <= 1:
            raise UsageError(f"nsga-ii: crossover {shown(self.crossover)} must be from 0 to 1")

    def start(self, space: Space, seed: int, first: Params | None) -> Generations:
        """Return the search at work; `first` is trial 0."""
        return Generations(self, space, seed, first)


@dataclass(frozen=True, eq=False)
class Member:
    """A member of the population."""

    number: int  # of its trial
    point: Vector  # (d,), in the cube
    goals: tuple[float, ...]  # all to be small; infinite where unknown
    violation: float  # of what results have to meet; infinite where the trial failed


class Generations:
    """NSGA-II at work: a population, from the best member to the worst."""

    size = None
    is_quick = False

    def __init__(self, options: NsgaII, space: Space, seed: int, first: Params | None) -> None:
        self._options, self._seed, self._first = options, seed, first
        self._cube = Cube(space)
        self._start = Sobol().start(space, seed, first)
        self._members: list[Member] = []
        self._known = Known()

    def tell(self, result: Finished) -> None:
        """Take in one result: it joins the population, and the worst member leaves."""
        self._known.tell(result)
        goals = result.goals or (value_of(result),)
        missed = result.violation or 0.0
        if not any(map(math.isfinite, goals)):
            missed = math.inf
        point = self._cube.vector(result.params, self._cube.start)
        self._members = [m for m in self._members if m.number != result.number]
        self._members.append(Member(result.number, point, goals, missed))
        order = ranked(self._members)
        self._members = [self._members[place] for place in order[: self._options.population]]

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:
        """Return the configuration of trial `number`."""
        if number == 0 and self._first is not None:
            return dict(self._first)
        busy = {key(trial.params) for trial in pending}
        is_start = number < self._options.population or len(self._members) < 2
        candidate = self._start.suggest(number, ()) if is_start else None
        if candidate is not None and self._is_new(candidate, busy):
            return candidate
        for attempt in range(self._known.tries if len(self._members) >= 2 else 0):
            candidate = self._cube.params(self._child(number, attempt))
            if self._is_new(candidate, busy):
                return candidate
        return fresh(self._cube, self._seed, number, busy, self._known)

    def _is_new(self, params: Params, busy: set[str]) -> bool:
        text = key(params)
        return (
            text not in busy and text not in self._known.values and self._cube.space.allows(params)
        )

    def _child(self, number: int, attempt: int) -> Vector:
        """Return a child (d,) of two parents; pure in the population and the arguments."""
        size = self._cube.size
        chances = draw.uniforms(5 + 5 * size, self._seed, number, "nsga-ii", draw=attempt)
        mother, father = (self._parent(chances[i : i + 2]) for i in (0, 2))
        places = chances[5:].reshape(5, size)
        child = mother.copy()
        if chances[4] < self._options.crossover:
            child = crossed(mother, father, places[0], places[1])
            swapped = np.where(places[1] < 0.5, mother, father)
            child = np.where(self._cube.is_category, swapped, child)
        mutant = mutated(child, places[2])
        for index in np.flatnonzero(self._cube.is_category).tolist():
            mutant[index] = places[3][index]
        moved = places[4] * size < 1.0
        if not np.any(moved) and np.all(child == mother):  # else it would be a copy
            moved[int(places[4][0] * size) % size] = True
        return np.where(moved, mutant, child)

    def _parent(self, chances: Vector) -> Vector:
        """Return the better one of two random members; they go from the best to the worst."""
        return self._members[int(np.min(chances) * len(self._members))].point


def ranked(members: Sequence[Member]) -> list[int]:
    """Return the places of the members from the best to the worst.

    First by what they miss, then by layers, then by the room that they have in their layer; what is
    equal goes by number.
    """
    goals = np.array([member.goals for member in members])  # (n, k)
    missed = np.array([member.violation for member in members])  # (n,)
    layer = layered(goals, missed)
    room = np.zeros(len(members))
    for rank in range(int(np.max(layer)) + 1):
        inside = np.flatnonzero(layer == rank)
        room[inside] = crowding(goals[inside])
    numbers = np.array([member.number for member in members])
    found: list[int] = np.lexsort((numbers, -room, layer)).tolist()
    return found


def layered(goals: NDArray[np.float64], missed: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the layer (n,) of each of the points (n, k): 0 where no other one dominates it.

    What misses less dominates what misses more (Deb et al. 2002, definition 1).
    """
    no_worse = np.all(goals[:, None, :] <= goals[None, :, :], axis=2)  # (n, n)
    better = np.any(goals[:, None, :] < goals[None, :, :], axis=2)
    equal = missed[:, None] == missed[None, :]
    dominates = (missed[:, None] < missed[None, :]) | (equal & no_worse & better)
    layer = np.full(len(goals), -1, dtype=np.int64)
    rank = 0
    while np.any(left := layer < 0):
        free = left & ~np.any(dominates & left[:, None], axis=0)
        layer[free] = rank
        rank += 1
    return layer


def crowding(goals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far (n,) the neighbours of each point (n, k) of a layer are from each other.

    Infinite at the ends of each objective (Deb et al. 2002, section III-B).
    """
    room = np.zeros(len(goals))
    for column in goals.T:
        order = np.argsort(column, kind="stable")
        values = column[order]
        room[order[0]] = room[order[-1]] = math.inf
        span = float(values[-1]) - float(values[0])
        if 0.0 < span < math.inf:
            room[order[1:-1]] += (values[2:] - values[:-2]) / span
    return room


def crossed(mother: Vector, father: Vector, spread: Vector, side: Vector) -> Vector:
    """Return a child (d,) by simulated binary crossover (Deb and Agrawal 1995).

    Each coordinate, by half a chance, is crossed; it then lies as far from the middle of its
    parents' as they do times a random spread, on either side.
    """
    beta = np.where(
        spread <= 0.5, _root(2.0 * spread), 1.0 / _root(np.maximum(2.0 - 2.0 * spread, 2.0**-52))
    )
    middle, half = 0.5 * mother + 0.5 * father, 0.5 * father - 0.5 * mother
    turn = np.where((side * 2.0) % 1.0 < 0.5, 1.0, -1.0)
    child = np.where(side < 0.5, middle + turn * (beta * half), mother)
    return np.minimum(np.maximum(child, 0.0), 1.0)


def mutated(point: Vector, chances: Vector) -> Vector:
    """Return a point (d,) of which each coordinate is moved by polynomial mutation (Deb 2001).

    Half of them go down, and never below 0; the others up, and never above 1.
    """
    low = np.minimum(2.0 * chances, 1.0)
    high = np.minimum(np.maximum(2.0 - 2.0 * chances, 0.0), 1.0)
    down = point * (_root(low) - 1.0)
    up = (1.0 - point) * (1.0 - _root(high))
    moved = point + np.where(chances < 0.5, down, up)
    return np.minimum(np.maximum(moved, 0.0), 1.0)


def _root(x: Vector) -> Vector:
    """Return the fourth root: square roots are exact to the last bit everywhere."""
    for _ in range(_ROOTS):
        x = np.sqrt(x)
    return x
