"""CMA-ES: draws from a normal distribution that learns from the best results where to go."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tinytune import draw
from tinytune.bounds import is_finite, shown
from tinytune.errors import UsageError
from tinytune.history import Finished, Pending
from tinytune.portable import arrays
from tinytune.search import cma_discrete, cma_restart, cma_state
from tinytune.search.cma_discrete import Categories
from tinytune.search.cma_space import Encoding, Row, Vector
from tinytune.search.cma_state import State
from tinytune.space import Params, Space

RESTARTS = ("ipop", "bipop", "none")
_DRAWS = "cma-es"  # the purpose of its random numbers
_TRIES = 20  # draws for one suggestion that may be refused
_INSIDE = 10  # draws that must lie inside of the ranges; later ones are clipped to them


@dataclass(frozen=True)
class CmaEs:
    """Options of CMA-ES (covariance matrix adaptation evolution strategy; Hansen 2016).

    `sigma` is the first step, as a part of each range. `population` is how many results make a
    generation; 0 means 4 + 3 ln d of them for d parameters: more are better where the objective is
    noisy or has many minima. `restarts` says what follows when a run can get no further: "ipop"
    doubles the population, "bipop" takes turns between large populations and small ones, "none"
    goes on. `active` lets bad results push the distribution away.

    Suits five to forty numbers and a hundred trials or more, also where they depend on each other,
    where the objective is noisy or not smooth, and where there are many workers. Weak where
    categories decide, or where fewer than some ten trials for each parameter can be paid.

    It begins at the defaults, or in the middle where there are none. Results count in the order in
    which they were told, whoever suggested them: each `population` of them are a generation. One
    that lies too far off counts as if it lay nearer in the same direction; failed ones count as the
    worst, and a generation of failures teaches nothing. Late results of a run that has ended do not
    count in the next. Whole numbers, steps and ordered choices keep a chance to change (CMA-ES with
    Margin); those with more than 10,000 values are taken for a continuum. A category is drawn with
    probabilities that follow the best results. In a finite space what was told, or is pending, is
    not suggested again while there is something else within 20 draws.

    Warm start: where a generation's number of trials or more were told before the first that the
    search itself suggested, it begins at the weighted mean of the best tenth, with a step that fits
    how far those lie apart, from `sigma` down to a quarter of it.
    """

    sigma: float = 0.2
    population: int = 0
    restarts: str = "ipop"
    active: bool = True

    name: ClassVar[str] = "cma-es"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = True
    exhausts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not is_finite(self.sigma) or not 0 < self.sigma <= 1:
            raise UsageError(f"cma-es: sigma {shown(self.sigma)} must be above 0 and up to 1")
        population = self.population
        if isinstance(population, bool) or not isinstance(population, int):
            raise UsageError(f"cma-es: population {shown(population)} must be a whole number")
        if population and not 4 <= population <= 10_000:
            raise UsageError(f"cma-es: population {population} must be 4 to 10,000, or 0 to choose")
        if self.restarts not in RESTARTS:
            raise UsageError(
                f"cma-es: there are no restarts {shown(self.restarts)}: use {', '.join(RESTARTS)}"
            )
        if not isinstance(self.active, bool):
            raise UsageError("cma-es: active must be true or false")

    def start(self, space: Space, seed: int, first: Params | None) -> Evolution:
        """Return the search at work; `first` is trial 0, and where it begins."""
        return Evolution(self, space, seed, first)


@dataclass(frozen=True, eq=False)
class Model:
    """What is drawn from: numbers (None where there are none) and categories."""

    numbers: State | None
    categories: Categories


@dataclass(frozen=True)
class Told:
    """A result as it waits for its generation."""

    row: Row
    number: int
    value: float  # infinite where it failed


class Evolution:
    """CMA-ES at work: a fold over the results, and draws from what the last generation left."""

    size = None
    is_quick = False

    def __init__(self, options: CmaEs, space: Space, seed: int, first: Params | None) -> None:
        self._options, self._space, self._seed, self._first = options, space, seed, first
        self._encoding = Encoding(space)
        cube = self._encoding.cube
        self._start = cube.start if first is None else cube.vector(first, cube.start)
        population = options.population or cma_state.default_population(cube.size)
        self._origin = self._regime = cma_restart.first(population, options.sigma)
        self._course = cma_restart.Course()
        self._generations, self._restarts = 0, 0
        self._cost = 0  # results that this run has taken in
        self._since = 0  # results of trials with lower numbers belong to a run that has ended
        self._highest = -1  # of the numbers told
        self._group: list[Told] = []  # this generation, as far as it was told
        self._seen: set[object] = set()  # the configurations told, in a finite space
        self._model = self._beginning(self._start, options.sigma)
        self._before: list[tuple[Params, int, float]] | None = []
        """Results told before the first of the search's own; None from that on."""
        self._warm = 0  # how many of them have made the model
        self._earlier = self._model  # the one before a warm start's latest model

    def tell(self, result: Finished) -> None:
        """Take in one result; each `population` of them are a generation."""
        is_failed = result.value is None or math.isnan(result.value)
        value = math.inf if is_failed else float(result.value or 0.0)
        if self._encoding.is_finite and not result.is_lesson:
            self._seen.add(self._key(result.params))
        if self._before is None:
            self._take(result.params, result.number, value)
        elif self._is_own(result):
            rest, self._before = self._before[self._warm :], None
            for params, number, earlier in rest:
                self._take(params, number, earlier)
            self._take(result.params, result.number, value)
        else:
            self._before.append((result.params, result.number, value))
            self._highest = max(self._highest, result.number)
            if len(self._before) >= max(self._origin.population, 2 * self._warm):
                self._warm = len(self._before)
                self._earlier, self._model = self._model, self._warmed(self._before)

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:
        """Return a draw from the distribution that the last complete generation left."""
        if number == 0 and self._first is not None:
            return dict(self._first)
        taken = {self._key(other.params) for other in pending} if self._encoding.is_finite else ()
        repeated = None
        for params in self._draws(self._model, number):
            key = self._key(params) if self._encoding.is_finite else None
            if key is None or (key not in self._seen and key not in taken):
                return params
            repeated = repeated or params
        return repeated or self._space.sample(self._seed, number, _DRAWS)

    def _draws(self, model: Model, number: int) -> Iterator[Params]:
        """Yield what may be suggested for a trial, the first choice first; one in a continuum."""
        encoding = self._encoding
        size, cube_size = encoding.size, encoding.cube.size
        for attempt in range(_TRIES):
            uniforms = draw.uniforms(cube_size, self._seed, number, _DRAWS, draw=attempt)
            is_mean = number == 0 and attempt == 0  # it is worth a trial, once
            point = _point(model.numbers, None if is_mean else uniforms[:size])
            if attempt < _INSIDE and not encoding.is_inside(point):
                continue
            params = encoding.params(point, model.categories.options(uniforms[size:]))
            if self._space.constraints and not self._space.allows(params):
                continue
            yield params
            if not encoding.is_finite:
                return

    def _is_own(self, result: Finished) -> bool:
        """Whether this search can have suggested it before any generation was complete."""
        if result.number == 0 and self._first is not None:
            return self._key(result.params) == self._key(self._first)
        models = (self._model,) if self._model is self._earlier else (self._model, self._earlier)
        key = self._key(result.params)
        return any(
            self._key(params) == key
            for model in models
            for params in self._draws(model, result.number)
        )

    def _take(self, params: Params, number: int, value: float) -> None:
        self._highest = max(self._highest, number)
        if number < self._since:
            return
        self._group.append(Told(self._encoding.row(params), number, value))
        if len(self._group) == self._regime.population:
            group, self._group = self._group, []
            self._cost += len(group)
            self._generations += 1
            values = np.array([told.value for told in group])
            if np.min(values) < math.inf:
                self._model = self._learnt(group, values)
                self._course.note(values)
                self._restart_if_ended()

    def _learnt(self, group: Sequence[Told], values: Vector) -> Model:
        """Return the model after one generation."""
        encoding, (state, categories) = (
            self._encoding,
            (self._model.numbers, self._model.categories),
        )
        rows = [told.row for told in group]
        rates = cma_state.rates(max(encoding.size, 1), len(group), self._options.active)
        if state is not None:
            low, high = encoding.bounds(rows)
            if not np.array_equal(low, high):
                uniforms = draw.uniforms(low.size, self._seed, self._generations, "cma-es cells")
                low = cma_discrete.within(low, high, state, uniforms.reshape(low.shape))
            state = cma_state.updated(state, rates, low, values)
            widest = float(np.max(state.deviations))
            state = replace(state, sigma=state.sigma / max(widest, 1.0))  # at most the range
        if encoding.choices:
            weights = cma_state.ranked(values, np.maximum(rates.weights, 0.0))
            hot = encoding.hot(rows, categories.probabilities)
            categories = cma_discrete.learnt(categories, hot, weights, rates.mu_eff)
        return self._with_margin(Model(state, categories))

    def _restart_if_ended(self) -> None:
        regime, encoding = self._regime, self._encoding
        if self._options.restarts == "none" or not self._course.has_ended(
            regime.population, self._model.numbers, encoding.is_continuous
        ):
            return
        self._restarts += 1
        self._since = self._highest + 1
        uniforms = draw.uniforms(2, self._seed, self._restarts, "cma-es regime").tolist()
        self._regime = cma_restart.following(
            regime, self._origin, self._options.restarts, self._cost, uniforms
        )
        start = encoding.cube.random(self._seed, self._restarts, "cma-es restart")
        self._model = self._beginning(start, self._regime.sigma)
        self._course, self._cost = cma_restart.Course(), 0

    def _beginning(self, start: Vector, sigma: float) -> Model:
        """Return a round model at a point of the cube."""
        encoding = self._encoding
        state = cma_state.beginning(encoding.numbers(start), sigma) if encoding.size else None
        return self._with_margin(Model(state, cma_discrete.categories(encoding.shares())))

    def _with_margin(self, model: Model) -> Model:
        if model.numbers is None:
            return model
        alpha = 1 / (self._encoding.cube.size * self._regime.population)
        numbers = cma_discrete.with_margin(model.numbers, self._encoding.edges, alpha)
        return replace(model, numbers=numbers)

    def _warmed(self, before: Sequence[tuple[Params, int, float]]) -> Model:
        """Return the model of a warm start: the mean of the best tenth, and as wide as they lie."""
        ordered = sorted(before, key=lambda earlier: earlier[2])  # stable
        best = [params for params, _, value in ordered if value < math.inf]
        best = best[: max(1, len(before) // 10)]
        if not best:
            return self._model
        weights = cma_state.rates(1, 2 * len(best), active=False).weights[: len(best)]
        mean, sigma = self._start, self._options.sigma
        if self._encoding.size:
            vectors = [self._encoding.cube.vector(params, self._start) for params in best]
            mean, spread = cma_state.centre(np.array(vectors), self._encoding.is_number, weights)
            if len(best) > 2:  # fewer cannot tell
                sigma = min(max(spread, sigma / 4), sigma)
        model = self._beginning(mean, sigma)
        rows = [self._encoding.row(params) for params in best]
        hot = self._encoding.hot(rows, model.categories.probabilities)
        return replace(
            model, categories=cma_discrete.learnt(model.categories, hot, weights, float(len(best)))
        )

    def _key(self, params: Params) -> object:
        """Return a configuration as a set holds it; True is not 1."""
        return tuple(
            (name, isinstance(params[name], bool), params[name])
            for name in self._encoding.cube.names
            if name in params
        )


def _point(state: State | None, uniforms: Vector | None) -> Vector:
    """Return the point, (d,), that uniforms of shape (d,) stand for; the mean for None."""
    if state is None:
        return np.zeros(0)
    return state.mean if uniforms is None else state.point(arrays.normal_quantile(uniforms))
