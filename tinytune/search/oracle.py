"""Runs algorithms that were written for one worker with any number of them.

Such an algorithm is a generator: it yields the point whose value it needs next, and is sent that
value. The values come from what was told, by configuration, so nothing is evaluated twice. A worker
who comes while the wanted value is being computed gets a point that the algorithm may need soon,
or one of the next run's, which is then already on its way when this run ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tinytune.history import Finished, Pending
from tinytune.search.cube import Cube, Vector
from tinytune.space import Params

_AHEAD = 8  # runs that idle workers may begin before this one has ended
_STARTS = 8  # runs that one result may end: in a small space all of a run may be known
_MOST = 1000  # points that are of use at a time
_MOST_STALE = 20  # asks in a row for nothing new, and 2 more for each dimension, end a run
_TRIES = 20  # random configurations, to find one that nobody has tried
_FEW_TRIES = 2  # where the last result was of a configuration that was known before
_CACHED = 4096  # points whose configurations are remembered


def nothing() -> tuple[Vector, ...]:
    """Return no points."""
    return ()


@dataclass(frozen=True)
class Wanted:
    """The point whose value an algorithm needs, and those that it may need next, best first."""

    point: Vector  # (d,)
    also: Callable[[], Iterable[Vector]] = nothing
    certain: bool = True
    """Whether it will need all of `also`, whatever this value is."""


Steps = Generator[Wanted, float, None]


def key(params: Params) -> str:
    """Return a configuration as text: the same for the same one, 1 and True apart."""
    return repr(params)


def value_of(result: Finished) -> float:
    """Return a result's value, infinite where the trial failed or its value is no number."""
    value = math.inf if result.state == "failed" or result.value is None else result.value
    return math.inf if math.isnan(value) else value


class Known:
    """What was told: each configuration's first value, and the best result of all."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        """The first value of each configuration: runs that have used it must not see another."""
        self.best: tuple[float, Params] | None = None
        self.tries = _TRIES
        """How many random configurations to try: few where the space seems to be used up."""

    def tell(self, result: Finished) -> bool:
        """Take in one result; return whether its configuration is new."""
        value, text = value_of(result), key(result.params)
        if value < (math.inf if self.best is None else self.best[0]):
            self.best = value, result.params
        is_new = text not in self.values
        self.tries = _TRIES if is_new else _FEW_TRIES
        self.values.setdefault(text, value)
        return is_new


class Configurations:
    """The configurations at points, each found but once."""

    def __init__(self, cube: Cube) -> None:
        self._cube = cube
        self._at = lru_cache(maxsize=_CACHED)(self._configuration)

    def at(self, point: Vector) -> tuple[str, Params, bool]:
        """Return the key and the configuration at a point, and whether it is allowed."""
        return self._at(point.tobytes())

    def _configuration(self, point: bytes) -> tuple[str, Params, bool]:
        params = self._cube.params(np.frombuffer(point))
        return key(params), params, self._cube.space.allows(params)


class Run:
    """One run of an algorithm, as far as what is known takes it.

    It is a pure function of the known values, whenever it is begun and however often it is
    advanced. It ends when its algorithm does, or when it goes on asking for configurations that
    it has asked for before (a discrete space) or that the constraints refuse.
    """

    def __init__(self, configurations: Configurations, known: Known, steps: Steps) -> None:
        self._configurations, self._known, self._steps = configurations, known, steps
        self._asked: set[str] = set()
        self._stale = 0  # asks in a row for nothing new
        self._soon: list[tuple[str, Params] | None] = []  # what `points` has yielded
        self._source: Iterator[Vector] | None = None
        self._take(next(steps, None))
        self.advance()

    def _take(self, wanted: Wanted | None) -> None:
        self.wanted = wanted
        if wanted is None:
            return
        self._key, self._params, self._is_allowed = self._configurations.at(wanted.point)
        is_new = self._is_allowed and self._key not in self._asked
        self._asked.add(self._key)
        self._stale = 0 if is_new else self._stale + 1
        self._soon, self._source = [], None

    def advance(self) -> None:
        """Go on until a value is needed that is not known; refused configurations are infinite."""
        while self.wanted is not None:
            value = self._known.values.get(self._key) if self._is_allowed else math.inf
            if value is None:
                return
            if self._stale > _MOST_STALE + 2 * len(self.wanted.point):
                self.wanted = None
                return
            try:
                self._take(self._steps.send(value))
            except StopIteration:
                self.wanted = None

    def points(self, guesses: int) -> Iterator[tuple[str, Params]]:
        """Yield the configurations that are of use now, with their keys, the wanted one first.

        Of those that are not certain to be needed, yield up to `guesses`.
        """
        if self.wanted is None:
            return
        yield self._key, self._params
        if self._source is None:
            self._source = iter(self.wanted.also())
        for index in range(_MOST if self.wanted.certain else guesses):
            if index == len(self._soon):
                point = next(self._source, None)
                if point is None:
                    return
                text, params, is_allowed = self._configurations.at(point)
                self._soon.append((text, params) if is_allowed else None)
            entry = self._soon[index]
            if entry is not None:
                yield entry


class Runs:
    """A search that runs an algorithm again and again.

    `begin(0, known)` starts run 0 at `first` or what stands for it; that run may also look at what
    else is known. `begin(k, None)` starts run k, which must depend on nothing but k.
    """

    size = None
    is_quick = False

    def __init__(
        self,
        cube: Cube,
        seed: int,
        first: Params | None,
        begin: Callable[[int, Known | None], Steps],
    ) -> None:
        self._cube, self._seed, self._first, self._begin = cube, seed, first, begin
        self._known, self._configurations = Known(), Configurations(cube)
        self._number = 0  # of the present run
        self._runs = {0: Run(self._configurations, self._known, begin(0, self._known))}
        # A value that goes to the unit cube and back may lose its last bit.
        self._first_key = None if first is None else key(first)
        self._start_key = None if first is None else key(cube.params(cube.vector(first)))

    def tell(self, result: Finished) -> None:
        """Take in one result."""
        is_new = self._known.tell(result)
        if self._start_key is not None and key(result.params) == self._first_key:
            self._known.values.setdefault(self._start_key, value_of(result))
        if not is_new:  # no run gets any further
            return
        for _ in range(_STARTS):
            if self._run(self._number).wanted is not None:
                break
            del self._runs[self._number]
            self._number += 1

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:
        """Return the configuration of trial `number`: one that the present or a later run needs."""
        if number == 0 and self._first is not None:
            return dict(self._first)
        busy = {key(trial.params) for trial in pending}
        if self._start_key is not None and self._first_key in busy:
            busy.add(self._start_key)
        for guesses in (1, _MOST):
            for ahead in range(_AHEAD):
                for text, params in self._run(self._number + ahead).points(guesses):
                    if text not in self._known.values and text not in busy:
                        is_first = self._first is not None and text == self._start_key
                        return dict(self._first if self._first and is_first else params)
        return fresh(self._cube, self._seed, number, busy, self._known)

    def _run(self, number: int) -> Run:
        if number not in self._runs:
            self._runs[number] = Run(self._configurations, self._known, self._begin(number, None))
        run = self._runs[number]
        run.advance()
        return run


def fresh(cube: Cube, seed: int, number: int, busy: set[str], known: Known) -> Params:
    """Return a random configuration, if possible one that is neither known nor being tried."""
    for attempt in range(known.tries):
        params = cube.params(cube.random(seed, number, "fresh", attempt))
        text = key(params)
        if text not in known.values and text not in busy and cube.space.allows(params):
            return params
    return cube.space.sample(seed, number, "fresh")


def start_point(cube: Cube, seed: int, first: Params | None) -> Vector:
    """Return where a search begins: `first`, the defaults and middles, or any allowed point."""
    if first is not None:
        return cube.vector(first, cube.start)
    if cube.allows(cube.start):
        return cube.start
    return cube.vector(cube.space.sample(seed, 0, "start"), cube.start)


def random_point(cube: Cube, seed: int, number: int, purpose: str) -> Vector:
    """Return a random allowed point: where run `number` begins."""
    point = cube.random(seed, number, purpose)
    if cube.allows(point):
        return point
    return cube.vector(cube.space.sample(seed, number, purpose), point)
