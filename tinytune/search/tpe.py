"""The tree-structured Parzen estimator (TPE): samples where good trials are denser than bad."""

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
from tinytune.search import belief, is_count, layers
from tinytune.search.cube import Cube, Vector
from tinytune.search.oracle import key
from tinytune.search.sobol import Sobol
from tinytune.search.tpe_density import Axis, Mixture
from tinytune.space import Condition, Params, Space

_MOST_GOOD = 25
_MOST_BAD = 400  # kernels of the bad ones
_MOST_PENDING = 100
_TRIES = 5  # suggestions that may be refused
_RANDOM_TRIES = 20  # and then random ones

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Tpe:
    """Options of TPE (Bergstra et al. 2011), multivariate, as Watanabe (2023) recommends it.

    `startup` results come from a scrambled Sobol sequence before the model is used. The best
    `gamma` of the results, at most 25, are the good ones. Of `candidates` drawn from their density
    the one is suggested where the ratio to the others' density is highest. `trust_defaults` low,
    medium or high takes the defaults as a belief, as a parameter's `prior` is one: it is the first
    kernel of the good ones' density, and weighs as much as the mean of the others.

    Suits any space, also with categories and conditions, noise, and any number of workers. Weak
    where parameters depend strongly on each other, or where many digits are wanted.

    Parameters with the same conditions are modelled together, from the results that have them all.
    A failed trial counts among the bad ones, a stopped one by its last value, a pending one among
    the bad ones. Trials count by their values and numbers: the order of telling has no effect,
    except that of two results of one trial the later counts. Of more than 400 bad results 400 are
    taken, evenly by rank; of more than 100 pending trials the latest. What was told already, or is
    pending or not allowed, is drawn again up to 4 times, then at random.

    With several objectives the good ones are the first layers of the Pareto front (Ozaki et al.
    2022), as many as before; of the last layer those that serve most directions best, and all weigh
    by that. Every second trial draws each parameter by itself, which joins what is good of several.
    """

    startup: int = 10
    gamma: float = 0.15
    candidates: int = 24
    trust_defaults: str | None = None

    name: ClassVar[str] = "tpe"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = True
    exhausts: ClassVar[bool] = False
    objectives: ClassVar[str] = "all"

    def __post_init__(self) -> None:
        for option, most in (("startup", 10_000), ("candidates", 1_000)):
            count = getattr(self, option)
            if not is_count(count, 1, most):
                raise UsageError(
                    f"tpe: {option} {shown(count)} must be a whole number from 1 to {most:,}"
                )
        if not is_finite(self.gamma) or not 0 < self.gamma < 1:
            raise UsageError(f"tpe: gamma {shown(self.gamma)} must be above 0 and below 1")
        belief.checked(self.trust_defaults, "tpe")

    def start(self, space: Space, seed: int, first: Params | None) -> Estimator:
        """Return the search at work; `first` is trial 0."""
        return Estimator(self, space, seed, first)


class Estimator:
    """TPE at work: all results, as rows of a table."""

    size = None
    is_quick = False

    def __init__(self, options: Tpe, space: Space, seed: int, first: Params | None) -> None:
        self._options, self._space, self._seed, self._first = options, space, seed, first
        self._cube = Cube(space)
        self._axes = [Axis(parameter.distribution) for parameter in space.parameters]
        self._groups = _groups(space)
        self._alone = [group[i : i + 1] for group in self._groups for i in range(len(group))]
        self._beliefs = belief.beliefs(space, options.trust_defaults)
        self._start = Sobol().start(space, seed, first)
        self._seen: set[str] = set()  # the configurations told
        self._row: dict[int, int] = {}  # number -> row
        self._points = np.empty((64, self._cube.size))
        self._active = np.zeros((64, self._cube.size), dtype=bool)
        self._numbers = np.zeros(64, dtype=np.int64)
        self._values = np.full(64, math.inf)
        self._missed = np.zeros(64)  # by how much each misses what results have to meet
        self._goals: dict[int, tuple[float, ...]] = {}  # row -> several objectives
        self._layers: dict[bytes, tuple[Indices, Vector]] = {}  # rows -> the good ones, weights
        self._results = 0  # that have a value

    def tell(self, result: Finished) -> None:
        """Take in one result."""
        if not result.is_lesson:
            self._seen.add(key(result.params))
        row = self._row.setdefault(result.number, len(self._row))
        if row == len(self._values):
            self._grow()
        value = math.inf if result.value is None else float(result.value)
        value = value if math.isfinite(value) else math.inf
        self._results += int(value < math.inf) - int(self._values[row] < math.inf)
        self._points[row] = self._cube.vector(result.params)
        self._active[row] = self._has(result.params)
        self._numbers[row], self._values[row] = result.number, value
        self._missed[row] = result.violation or 0.0
        if result.goals:
            self._goals[row] = result.goals
            self._layers.clear()

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:
        """Return the configuration of trial `number`."""
        if number == 0 and self._first is not None:
            return dict(self._first)
        busy = {key(trial.params) for trial in pending}
        is_start = self._results < self._options.startup
        candidate: Params | None
        for attempt in range(_TRIES + _RANDOM_TRIES):
            if is_start and not attempt:
                candidate = self._start.suggest(number, ())
                if candidate is not None:
                    candidate = belief.first_guess(self._beliefs, self._cube, number, candidate)
            elif is_start or attempt >= _TRIES:
                candidate = self._cube.params(
                    self._cube.random(self._seed, number, "tpe random", attempt)
                )
            else:
                candidate = self._cube.params(self._modelled(number, attempt, pending))
            if candidate is not None and self._is_new(candidate, busy):
                return candidate
        return self._space.sample(self._seed, number, "tpe")

    def _is_new(self, params: Params, busy: set[str]) -> bool:
        text = key(params)
        return text not in busy and text not in self._seen and self._space.allows(params)

    def _modelled(self, number: int, attempt: int, pending: Sequence[Pending]) -> Vector:
        """Return a point (d,), one group of coordinates after the other."""
        count = len(self._row)
        order = np.lexsort((self._numbers[:count], self._values[:count]))
        waiting = sorted(pending, key=lambda trial: trial.number)[-_MOST_PENDING:]
        busy = np.array([self._cube.vector(t.params) for t in waiting])
        has = np.array([self._has(t.params) for t in waiting], dtype=bool)
        busy, has = busy.reshape(-1, self._cube.size), has.reshape(-1, self._cube.size)
        point = self._cube.start.copy()
        params: Params = {}
        for place, group in enumerate(self._alone if self._goals and number % 2 else self._groups):
            if place:
                params = self._cube.params(point)
            if place and self._cube.names[group[0]] not in params:
                continue
            rows = order[np.all(self._active[order][:, group], axis=1)]
            also = busy[np.all(has[:, group], axis=1)][:, group]
            good, bad = self._split(group, rows, also)
            width = 1 + 2 * len(group)
            uniforms = draw.uniforms(
                self._options.candidates * width,
                self._seed,
                number,
                "tpe",
                self._cube.names[group[0]],
                attempt,
            )
            found = good.sample(uniforms.reshape(-1, width))
            gain = good.log_density(found) - bad.log_density(found)
            point[group] = found[int(np.argmax(gain))]
        return point

    def _split(self, group: Indices, rows: Indices, also: Vector) -> tuple[Mixture, Mixture]:
        """Return the densities of the good and the bad ones of `rows`, which go from the best."""
        count = min(math.ceil(self._options.gamma * len(rows)), _MOST_GOOD)
        if self._goals:
            rows, count, gains = self._layered(rows, count)
        else:
            values = self._values[rows]
            count = min(count, int(np.count_nonzero(values < math.inf)))
            limit = float(values[count]) if count < len(rows) else math.inf
            gains = improvements(values[:count], limit)
        axes = [self._axes[index] for index in group.tolist()]
        points = self._points[rows][:, group]
        rest = points[count:]
        if len(rest) > _MOST_BAD:
            rest = rest[np.arange(_MOST_BAD) * len(rest) // _MOST_BAD]
        rest = np.concatenate([rest, also])
        believed = [self._beliefs[index] for index in group.tolist()]
        good = Mixture.of(axes, points[:count], gains, believed)
        return good, Mixture.of(axes, rest, np.ones(len(rest)))

    def _layered(self, rows: Indices, count: int) -> tuple[Indices, int, Vector]:
        """Return rows with the good ones first, how many these are, and what each weighs.

        It is for several objectives, of which none counts more than another.
        """
        text = rows.tobytes()
        if text not in self._layers:
            goals = np.array([self._goals[row] for row in rows.tolist()])
            known = np.flatnonzero(np.any(np.isfinite(goals), axis=1))  # the others have failed
            good = known[layers.best(goals[known], self._missed[rows[known]], count)]
            self._layers[text] = good, layers.weights(goals[good])
        good, gains = self._layers[text]
        rest = np.setdiff1d(np.arange(len(rows)), good)
        return rows[np.concatenate([good, rest])], len(good), gains

    def _has(self, params: Params) -> list[bool]:
        return [name in params for name in self._cube.names]

    def _grow(self) -> None:
        """Make room for twice as many rows."""
        self._points = np.concatenate([self._points, np.empty_like(self._points)])
        self._active = np.concatenate([self._active, np.zeros_like(self._active)])
        self._numbers = np.concatenate([self._numbers, np.zeros_like(self._numbers)])
        self._values = np.concatenate([self._values, np.full(len(self._values), math.inf)])
        self._missed = np.concatenate([self._missed, np.zeros_like(self._missed)])


def improvements(values: Vector, limit: float) -> Vector:
    """Return weights (n,) of the good ones, up to 1: by how much each is better than `limit`.

    `limit` is the best of the bad ones (Watanabe 2023, expected improvement). Equal weights where
    there is none, or where nothing is better.
    """
    if not len(values) or not math.isfinite(limit):
        return np.ones(len(values))
    gains = 0.5 * limit - 0.5 * values  # halves, so that no difference overflows
    most = float(np.max(gains))
    return np.maximum(gains / most, 1e-12) if most > 0.0 else np.ones(len(values))


def _groups(space: Space) -> list[Indices]:
    """Return the coordinates that have the same conditions, each group after what it needs."""
    place = {parameter.name: index for index, parameter in enumerate(space.parameters)}
    groups: dict[tuple[Condition, ...], list[int]] = {}
    for parameter in space.ordered:
        groups.setdefault(parameter.conditions, []).append(place[parameter.name])
    return [np.array(group, dtype=np.intp) for group in groups.values()]
