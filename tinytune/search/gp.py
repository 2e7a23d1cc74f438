"""Bayesian search: a Gaussian process of the results, and where it expects most improvement."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tinytune import draw
from tinytune.bounds import is_finite, shown
from tinytune.errors import UsageError
from tinytune.history import Finished, Pending
from tinytune.portable import arrays, linear, scalars
from tinytune.search import belief, gp_beside, is_count, several
from tinytune.search.belief import Opinion
from tinytune.search.cube import Cube, Vector
from tinytune.search.gp_acquisition import Effort, Hunt, log_improvement
from tinytune.search.gp_beside import NOTHING, Beside
from tinytune.search.gp_field import Field
from tinytune.search.gp_model import Posterior, Prior, fitted
from tinytune.search.gp_several import Goals, Joint
from tinytune.search.gp_warp import capped, standardised, warped
from tinytune.search.oracle import key
from tinytune.search.sobol import Sobol
from tinytune.space import Params, Space

_SMALL = 1_000  # configurations of a finite space that are all looked at
_MOST_PENDING = 50
_GOOD = 5  # results near which is searched
_RANDOM_TRIES = 20
_VIEWS = ("plain", "warped", "local")  # of the results, which trials take in turn
_REGION_FROM = 4  # ranges without steps and conditions: then that view has a trust region
_APART_FROM = 3  # objectives: then they are modelled apart, but for the warped view
_LOCAL = 10  # results there, and as many more for each parameter:
_LOCAL_EACH = 4
_ASKED = 100  # candidates that may be refused


@dataclass(frozen=True)
class Gp:
    """Options of Bayesian search with a Gaussian process (Matérn 5/2, a length per parameter).

    `startup` results come from a scrambled Sobol sequence before the model is used; "auto" is one
    more than there are parameters, from 5 to 10. `noise` "auto" estimates how noisy values are,
    false takes them as exact. `most` results make up the model: of more than that, the best half
    and the latest. `candidates` points anywhere are looked at for each suggestion, and about
    three times as many near good ones. `trust_defaults` low, medium or high takes the defaults
    as a belief about where the best values lie, as a parameter's `prior` is one. `seconds`, taken
    from --budget-seconds where that is given, is what all trials may take together: the improvement
    then counts by expected second, to a power that falls from 1 to 0 as they are spent.

    Suits up to some 250 trials of up to 20 parameters that take a second or longer, and up to
    some ten workers, also with categories and conditions. Weak past `most` trials; a suggestion
    takes from 0.05 to 1 second.

    Suggested is where the expected improvement is greatest (its logarithm, Ament et al. 2023).
    Trials take turns at three views of the results: as they are; warped, so that the good ones
    stand out (Yeo and Johnson 2000); and only those nearest to the best, which leads there, or to
    where none are. In spaces of four ranges or more, without steps and conditions, the first has
    very bad values cut, and the last is a trust region: the nearer half, warped, looking only
    around the best as far as half of those are.
    Of three objectives or more each has a process of its own, but in the warped view; what is
    improved is their weighted distance.
    What results have to meet has a process for each requirement: the improvement, on the best that
    meets them, is multiplied by the probability that a point does (Gardner et al. 2014).
    The model's lengths and noise are the most probable ones, found anew from fixed starts. A
    pending trial takes the value that the model expects (the kriging believer), a failed one the
    worst value of all, a stopped one its last. Where trials end at rungs, how far below the rung
    that counts they ended is one more coordinate, with a length of its own, and the improvement is
    sought at that rung (as Kandasamy et al. 2017 have it): results at lower ones count for as much
    as they have told so far. Trials count by their values and numbers: the order of telling has no
    effect, except that of two results of one trial the later counts. A space of
    up to 1,000 configurations is looked at as a whole, and none is tried twice while one is left;
    elsewhere what was told, is pending or not allowed gives way to the next best of 100 points,
    then to 20 random ones.
    """

    startup: int | str = "auto"
    noise: bool | str = "auto"
    most: int = 250
    candidates: int = 1_000
    trust_defaults: str | None = None
    seconds: float | None = None

    name: ClassVar[str] = "gp"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = True
    exhausts: ClassVar[bool] = False
    objectives: ClassVar[str] = "weighted"
    plan: ClassVar[dict[str, str]] = {"seconds": "seconds"}

    def __post_init__(self) -> None:
        if self.startup != "auto" and not is_count(self.startup, 1, 10_000):
            raise UsageError(
                f"gp: startup {shown(self.startup)} must be a whole number from 1 to 10,000, "
                'or "auto"'
            )
        if self.noise is not False and self.noise != "auto":
            raise UsageError(f'gp: noise {shown(self.noise)} must be false or "auto"')
        for option, least, most in (("most", 10, 1_000), ("candidates", 10, 100_000)):
            if not is_count(getattr(self, option), least, most):
                raise UsageError(
                    f"gp: {option} {shown(getattr(self, option))} must be a whole number "
                    f"from {least} to {most:,}"
                )
        if self.seconds is not None and not (is_finite(self.seconds) and self.seconds > 0):
            raise UsageError(f"gp: seconds {shown(self.seconds)} must be a number above 0")
        belief.checked(self.trust_defaults, "gp")

    def start(self, space: Space, seed: int, first: Params | None) -> Bayesian:
        """Return the search at work; `first` is trial 0, else the middle of the space is."""
        return Bayesian(self, space, seed, first)


class Bayesian:
    """Bayesian search at work: all results, by trial."""

    size = None
    is_quick = False

    def __init__(self, options: Gp, space: Space, seed: int, first: Params | None) -> None:
        self._options, self._space, self._seed = options, space, seed
        self._first = first
        self._cube = Cube(space)
        self._field = Field(self._cube)
        self._effort = Effort(
            options.candidates,
            max(2, options.candidates * 6 // 100),
            tries=max(2, options.candidates * 4 // 100),
        )
        centre = self._cube.params(self._cube.start)
        if first is None and space.allows(centre):
            first = centre
        self._start = Sobol().start(space, seed, first)
        count = len(space.parameters)
        startup = options.startup
        self._startup = startup if isinstance(startup, int) else min(max(count + 1, 5), 10)
        self._seen: set[str] = set()  # the configurations told
        self._told: dict[int, Told] = {}  # by number
        self._results = 0  # that have a value
        self._spent: list[float] = []  # seconds
        self._has_requirements = False  # of results
        self._all: list[Params] | None = None  # of a small space, its configurations
        cells = [size for size in self._cube.cells if size is not None]
        has_conditions = any(parameter.conditions for parameter in space.parameters)
        self._has_region = count >= _REGION_FROM and not cells and not has_conditions
        self._is_small = len(cells) == count and math.prod(cells) <= _SMALL
        self._beliefs = belief.beliefs(space, options.trust_defaults)

    def tell(self, result: Finished) -> None:
        """Take in one result."""
        if not result.is_lesson:
            self._seen.add(key(result.params))
        told = Told.of(result, self._cube.vector(result.params))
        before = self._told.get(result.number)
        self._results += int(told.value < math.inf)
        self._results -= int(before is not None and before.value < math.inf)
        self._told[result.number] = told
        self._has_requirements |= bool(told.excess)
        if result.seconds is not None:
            self._spent.append(result.seconds)

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:
        """Return the configuration of trial `number`."""
        if number == 0 and self._first is not None:
            return dict(self._first)
        busy = {key(trial.params) for trial in pending}
        for params in self._wanted(number, pending, busy):
            text = key(params)
            if text not in busy and text not in self._seen and self._space.allows(params):
                return dict(params)
        return self._space.sample(self._seed, number, "gp")

    def _wanted(self, number: int, pending: Sequence[Pending], busy: set[str]) -> Iterator[Params]:
        """Yield configurations for trial `number`, best first, and then random ones."""
        if self._results < self._startup:
            candidate = self._start.suggest(number, ())
            if candidate is not None:
                yield belief.first_guess(self._beliefs, self._cube, number, candidate)
        elif not self._is_small:
            yield from self._modelled(number, pending)
        if self._is_small:
            left = self._left(busy)
            if left and self._results >= self._startup:
                yield from self._ranked(left, number, pending)
            if left:
                yield left[draw.below(len(left), self._seed, number, "gp left")]
        for attempt in range(_RANDOM_TRIES):
            yield self._cube.params(self._cube.random(self._seed, number, "gp random", attempt))

    def _modelled(self, number: int, pending: Sequence[Pending]) -> Iterator[Params]:
        """Yield configurations, the most promising first."""
        view = _VIEWS[number % len(_VIEWS)]
        model = self._model(number, pending, view)
        low, high = np.zeros(self._cube.size), np.ones(self._cube.size)
        if view == "local":
            low, high = model.region() if self._has_region else model.box()
        within = self._has_region
        hunt = Hunt(self._field, self._effort, self._seed, number, low, high, within=within)
        points, _ = hunt.run(model.score, model.good(_GOOD), model.shape())
        for point in points[:_ASKED]:
            yield self._cube.params(point)

    def _ranked(
        self, left: list[Params], number: int, pending: Sequence[Pending]
    ) -> Iterator[Params]:
        """Yield the configurations that are left of a small space, the most promising first."""
        points = self._field.snapped(np.array([self._cube.vector(p) for p in left]))
        scores = self._model(number, pending, "plain" if number % 2 else "warped").score(points)
        yield left[int(np.argmax(scores))]

    def _left(self, busy: set[str]) -> list[Params]:
        """Return the configurations of a small space that are neither told nor pending."""
        if self._all is None:
            centres = [c.tolist() for c in self._field.centres if c is not None]
            found = {}
            for units in itertools.product(*centres):
                params = self._cube.params(np.array(units))
                found[key(params)] = params
            self._all = [params for params in found.values() if self._space.allows(params)]
        used = self._seen | busy
        return [params for params in self._all if key(params) not in used]

    def _model(self, number: int, pending: Sequence[Pending], view: str) -> Model:
        told = [self._told[number] for number in sorted(self._told)]
        values = _without_failures([each.value for each in told])
        kept = chosen(values, self._options.most)
        points = np.array([told[index].point for index in kept.tolist()])
        if view == "local":
            most = _LOCAL + _LOCAL_EACH * self._cube.size
            if self._has_region:
                most = min(most, half(len(points), self._cube.size))
            near = nearest(self._field, points, values[kept], most)
            kept, points = kept[near], points[near]
        waiting = sorted(pending, key=lambda trial: trial.number)[-_MOST_PENDING:]
        more = [self._cube.vector(trial.params) for trial in waiting]
        more_points = np.array(more).reshape(-1, self._cube.size)
        prior = prior_of(self._cube.size, self._options.noise)
        fit_for = warped if view == "warped" else standardised
        if self._has_region:
            fit_for = capped if view == "plain" else warped
        opinion = belief.Opinion.of(self._beliefs, self._results)
        here = [told[index] for index in kept.tolist()]
        is_met = None
        if self._has_requirements:
            values = _without_failures([each.plain for each in told])
            is_met = np.array([each.is_met for each in here])
        beside = self._beside(here, points, prior)
        goals = self._goals(here, number) if view != "warped" else None
        shaped = fit_for(values[kept])
        below = np.array([each.below for each in here])
        return Model(
            self._field, points, shaped, more_points, prior, opinion, is_met, beside, goals, below
        )

    def _goals(self, told: Sequence[Told], number: int) -> Goals | None:
        """Return what the objectives gave where there are three or more; unknown is the worst."""
        count = max(len(each.goals) for each in told)
        if count < _APART_FROM:
            return None
        unknown = (math.inf,) * count
        table = np.array([each.goals or unknown for each in told])
        shaped = [capped(_without_failures(column)) for column in table.T]
        is_met = np.array([each.is_met for each in told])
        return Goals(np.array(shaped).T, is_met, several.weights(self._seed, number, count))

    def _beside(self, told: Sequence[Told], points: Vector, prior: Prior) -> Beside:
        """Return what counts beside the objective, after the results told, at points (n, d)."""
        power = gp_beside.power(self._spent, self._options.seconds)
        seconds = None
        if power > 0.0:
            taken = [each.seconds for each in told]
            seconds = gp_beside.of_seconds(self._field, points, taken, prior)
        limits = gp_beside.limits(self._field, points, [each.excess for each in told], prior)
        return Beside(limits, seconds, power)


@dataclass(frozen=True, eq=False)
class Told:
    """A result as the model sees it."""

    point: Vector  # (d,)
    value: float  # by which results are ranked; infinite where it failed
    plain: float  # the same, were nothing required
    excess: tuple[float | None, ...]  # by how much it misses each requirement
    is_met: bool
    goals: tuple[float, ...]  # of several objectives, infinite where not known
    seconds: float | None  # that it took; None where it failed, which may be soon
    below: float  # how far below the rung that counts it ended

    @classmethod
    def of(cls, result: Finished, point: Vector) -> Told:
        """Return it from a result."""
        value = _finite(result.value)
        plain = _finite(result.plain) if result.excess else value
        is_met = not result.violation and value < math.inf
        seconds = None if value == math.inf else result.seconds
        return cls(point, value, plain, result.excess, is_met, result.goals, seconds, result.below)


def _finite(value: float | None) -> float:
    return math.inf if value is None or not math.isfinite(value) else float(value)


def _without_failures(values: Sequence[float] | Vector) -> Vector:
    """Return values (n,) in which what failed has the worst of the others."""
    known: Vector = np.array(values)
    finite = known[known < math.inf]
    return np.minimum(known, float(np.max(finite))) if len(finite) else np.zeros(len(known))


class Model:
    """The process after the results, and what points are worth."""

    def __init__(
        self,
        field: Field,
        points: Vector,
        values: Vector,
        pending: Vector,
        prior: Prior,
        opinion: Opinion | None = None,
        is_met: NDArray[np.bool_] | None = None,
        beside: Beside = NOTHING,
        goals: Goals | None = None,
        below: Vector | None = None,
    ) -> None:
        """Take in results (n, d), their warped values (n,) and pending points (q, d).

        `goals` take the place of the values where several objectives are modelled apart. `is_met`
        (n,) tells which of them meet the requirements, None where there are none; `below` (n,) how
        far below the rung that counts they ended. That is one coordinate more: what ended there
        says as much of the rung as the results themselves show that it does.
        """
        self._field, self._opinion, self._beside = field, opinion, beside
        count = len(points)
        self._points = field.snapped(np.concatenate([points, pending]))
        self._active = field.active(self._points)
        self._below: Vector | None = None  # (n + q,); pending trials are wanted at the rung
        if below is not None and np.count_nonzero(below):
            self._below = np.concatenate([below, np.zeros(len(pending))])
        squares = self._squares(self._points, self._active, self._below)
        self._posterior: Joint | Posterior
        if goals is not None:
            self._posterior = Joint(squares, goals, prior)
        else:
            rows, columns = np.tril_indices(count, -1)
            found = fitted(squares[:, rows, columns], values, prior)
            self._posterior = Posterior(squares, values, found)
        means = self._posterior.known
        self._is_met = np.ones(len(means), dtype=bool)
        if is_met is not None:
            self._is_met[:count] = is_met
            self._is_met[count:] = False  # nobody knows of what is pending
        if self._below is not None and np.count_nonzero(self._is_met & (self._below == 0.0)):
            self._is_met &= self._below == 0.0  # the others' means are not those at the rung
        good = means[self._is_met]
        self._best = float(np.min(good)) if len(good) else None

    def score(self, points: Vector) -> Vector:
        """Return the logarithm of the expected improvement, (m,), at snapped points (m, d).

        The belief is added to it: the improvement times the belief's density, as piBO has it; and
        the probability that the requirements are met, without the improvement as long as no result
        meets them; and a power of what a trial is expected to take.
        It is minus infinity where the constraints refuse a point.
        """
        if self._field.cube.space.constraints:
            result = np.full(len(points), -math.inf)
            allowed = np.array([self._field.cube.allows(point) for point in points])
            if np.count_nonzero(allowed):
                result[allowed] = self._score(points[allowed])
            return result
        return self._score(points)

    def _score(self, points: Vector) -> Vector:
        result = np.empty(len(points))
        step = max(1, 60_000 // len(self._points))
        for start in range(0, len(points), step):
            part = points[start : start + step]
            result[start : start + step] = self._worth(part)
        if self._opinion is not None:
            result += self._opinion.of_points(points, self._field.active(points))
        return result

    def _worth(self, points: Vector) -> Vector:
        found = self._beside.log_factor(self._field, points)
        if self._best is None:
            return found
        active = self._field.active(points)
        squares = self._squares(points, active)
        if isinstance(self._posterior, Joint):
            found += self._posterior.log_improvement(squares, self._best)
        else:
            mean, variance = self._posterior.at(squares)
            found += log_improvement(mean, variance, self._best)
        return found

    def _squares(
        self, points: Vector, active: NDArray[np.bool_], below: Vector | None = None
    ) -> Vector:
        """Return squared distances (d, n, m) to points; with rungs, one coordinate more."""
        squares = self._field.squares(self._points, self._active, points, active)
        if self._below is None:
            return squares
        here = np.zeros(len(points)) if below is None else below
        apart = self._below[:, None] - here
        return np.concatenate([squares, (apart * apart)[None]])

    def good(self, count: int) -> Vector:
        """Return the points whose mean is lowest, (k, d) with k up to `count`.

        What meets the requirements comes first.
        """
        order = np.lexsort((self._posterior.known, ~self._is_met))
        return self._points[order[:count]]

    def box(self) -> tuple[Vector, Vector]:
        """Return the corners (d,) of the box around all results and pending points."""
        return np.min(self._points, axis=0), np.max(self._points, axis=0)

    def region(self) -> tuple[Vector, Vector]:
        """Return the corners (d,) of a box around the best that reaches as far as half of all."""
        centre = self.good(1)[0]
        near = nearest(self._field, self._points, self._posterior.known, half(*self._points.shape))
        reach = np.max(np.abs(self._points[near] - centre), axis=0)
        return np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0)

    def shape(self) -> Vector:
        """Return the lengths (d,) in parts of their geometric mean."""
        logs = arrays.log(self._posterior.lengths[: self._field.size])
        apart = logs - linear.total(logs) / len(logs)
        return arrays.exp(np.minimum(np.maximum(apart, -1.0), 1.0))


def chosen(values: Vector, most: int) -> NDArray[np.intp]:
    """Return which of the values (n,), in order of trials, make up the model: `most` at most.

    The better half of them are the best ones, the others the latest.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    best = np.argsort(values, kind="stable")[: most // 2]
    is_rest = np.ones(count, dtype=bool)
    is_rest[best] = False
    latest = np.flatnonzero(is_rest)[-(most - len(best)) :]
    return np.sort(np.concatenate([best, latest]))


def half(count: int, size: int) -> int:
    """Return half of the count of results, but no fewer than a model of so many numbers needs."""
    return max(count // 2, size + 2)


def nearest(field: Field, points: Vector, values: Vector, count: int) -> NDArray[np.intp]:
    """Return which of the points (n, d), `count` at most, are nearest to the best, in order."""
    points = field.snapped(points)
    best = int(np.argmin(values))
    has = field.active(points)
    squares = field.squares(points[best : best + 1], has[best : best + 1], points, has)
    order = np.argsort(linear.total(squares, 0)[0], kind="stable")
    return np.sort(order[:count])


def prior_of(size: int, noise: object) -> Prior:
    """Return the priors for so many parameters."""
    log_size = scalars.log(float(size))
    if size > 20:
        length, spread = 1.4142135623730951 + 0.5 * log_size - 1.0, 1.0
    else:
        length, spread = scalars.log(0.5) + 0.25 * log_size, 0.75
    if noise is False:
        return Prior(length, spread, -14.0, 0.1)
    return Prior(length, spread, -7.0, 2.5)
