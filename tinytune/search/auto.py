"""Chooses the search for you: by the space, the numbers of trials and workers, and the results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tinytune import draw, search
from tinytune.bounds import is_finite, shown
from tinytune.distributions import Choice
from tinytune.errors import UsageError
from tinytune.history import Finished, Pending
from tinytune.points import Points, Values
from tinytune.search import belief
from tinytune.search.oracle import key, value_of
from tinytune.space import Params, Space

MOST_LISTED = 10_000  # configurations of a space that is tried as a whole
_TRIALS = 100  # taken to be planned where their number is not known
_MODELLED = 250  # results, up to which a Gaussian process pays
_MANY_PARAMETERS = 20
_BELIEVERS = ("gp", "tpe")  # that can make use of a belief
_SETTLED = 20  # results, and 3 for each number, after which a trust region takes turns with gp
_SETTLED_EACH = 3
_MOST_AT_ONCE = 4  # workers up to which it does: it is a search of one step after the other
_NEAR: dict[str, object] = {"step": 0.1, "tolerance": 1e-5}  # of that trust region
_TRIES = 64  # random configurations, to find an untried one
_WALK = 20_000  # and then so many in a shuffled order


@dataclass(frozen=True)
class Auto:
    """Options of the automatic choice; a trial's `search` tells which one made it.

    `trials` and `workers` are what is planned; a new study takes them from the command, and
    without a number of trials 100 are taken to be planned. `smooth` says that the objective is
    smooth and without noise. `allow_repeats` lets a finite space's configurations be tried again,
    for noisy objectives, while others are untried. `trust_defaults` is that of `gp` and `tpe`, and
    `seconds`, from --budget-seconds, that of `gp`, which looks at cheap trials first then.

    Suits any space. The first rule that holds decides, for each trial anew: (1) `grid` where there
    are no more configurations than trials, at most 10,000; (2) `sobol` where a third of the
    trials or more run at once, or there are fewer than 2 for each parameter, and 2; (3) from 250
    results on `cma-es` for numbers alone, else `tpe`; (4) `tpe` where there are more than 20
    parameters; (5) `trust-region` if smooth, for ranges without steps and up to two workers;
    (6) `trust-region` for every second trial in ranges without steps or conditions, after 20
    results and 3 for each parameter, with up to four workers: it begins at the best of those and
    takes small steps; (7) `gp`, also for conditions and choices. All of them learn from all
    results. With several objectives `tpe` takes the place of `cma-es`, and `gp` that of
    `trust-region`.
    """

    trials: int | None = None
    workers: int | None = None
    smooth: bool = False
    allow_repeats: bool = False
    trust_defaults: str | None = None
    seconds: float | None = None

    name: ClassVar[str] = "auto"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = True
    exhausts: ClassVar[bool] = False
    objectives: ClassVar[str] = "weighted"
    plan: ClassVar[dict[str, str]] = {
        "trials": "trials", "workers": "workers", "seconds": "seconds",
    }  # fmt: skip

    def __post_init__(self) -> None:
        for option in ("trials", "workers"):
            count = getattr(self, option)
            if count is not None and not search.is_count(count, 1, math.inf):
                raise UsageError(f"auto: {option} {shown(count)} must be a whole number above 0")
        for option in ("smooth", "allow_repeats"):
            if not isinstance(getattr(self, option), bool):
                raise UsageError(f"auto: {option} must be true or false")
        if self.seconds is not None and not (is_finite(self.seconds) and self.seconds > 0):
            raise UsageError(f"auto: seconds {shown(self.seconds)} must be a number above 0")
        belief.checked(self.trust_defaults, "auto")

    def start(self, space: Space, seed: int, first: Params | None) -> Automatic:
        """Return the search at work; `first` is trial 0."""
        return Automatic(self, space, seed, first)


class Automatic:
    """The automatic choice at work: the results, and the searches that have been needed so far."""

    size = None
    is_quick = False

    def __init__(self, options: Auto, space: Space, seed: int, first: Params | None) -> None:
        belief.beliefs(space, options.trust_defaults)  # says what is wrong before anything is made
        self._options, self._space, self._seed, self._first = options, space, seed, first
        self._trials = _TRIALS if options.trials is None else options.trials
        self._told: list[Finished] = []
        self._is_weighted = False  # several objectives: values change from trial to trial
        self._tried: set[str] = set()  # the configurations told
        self._working: dict[str, search.Search] = {}
        self._heard: dict[str, int] = {}  # how many of the results each of them was told
        self._points = _points(space)
        self._grid = self._whole()
        self._next = 0  # all on the grid before this one were told

    @property
    def distinct(self) -> int | None:
        """The number of trials after which nothing is new, None where that is far or allowed."""
        return None if self._grid is None or self._options.allow_repeats else self._grid.size

    def tell(self, result: Finished) -> None:
        """Take in one result."""
        self._told.append(result)
        self._is_weighted = len(result.goals) > 1
        if not result.is_lesson:
            self._tried.add(key(result.params))

    def chosen(self, number: int) -> str:
        """Return the name of the search that suggests trial `number`."""
        if self._grid is not None:
            return "grid"
        parameters = self._space.parameters
        count = len(parameters)
        if (self._options.workers or 1) * 3 >= self._trials or self._trials < 2 * (count + 1):
            return "sobol"
        if len(self._told) >= _MODELLED:
            choices = [p.distribution for p in parameters if isinstance(p.distribution, Choice)]
            has_categories = any(not choice.ordered for choice in choices)
            return "tpe" if has_categories or self._is_weighted else "cma-es"
        if count > _MANY_PARAMETERS:
            return "tpe"
        if self._is_weighted:
            return "gp"
        continuous = all(p.distribution.size is None for p in parameters)
        if continuous and self._is_smooth:
            return "trust-region"
        is_bare = continuous and not any(p.conditions for p in parameters)
        is_settled = is_bare and len(self._told) >= self._settled
        few = (self._options.workers or 1) <= _MOST_AT_ONCE
        return "trust-region" if is_settled and few and number % 2 else "gp"

    @property
    def _is_smooth(self) -> bool:
        return self._options.smooth and (self._options.workers or 1) <= 2

    @property
    def _settled(self) -> int:
        return _SETTLED + _SETTLED_EACH * len(self._space.parameters)

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:
        """Return the configuration of trial `number`."""
        if number == 0 and self._first is not None:
            return dict(self._first)
        busy = {key(trial.params) for trial in pending}
        if self._grid is not None:
            return self._of_all(self._grid, number, busy)
        params = self._caught_up(self.chosen(number)).suggest(number, pending)
        if params is None or self._options.allow_repeats or self._points is None:
            return params
        if self._is_new(params, busy):
            return params
        return self._untried(number, busy) or params

    def _caught_up(self, name: str) -> search.Search:
        """Return a search that has been told all results."""
        if name not in self._working:
            self._working[name] = self._begun(name)
        working = self._working[name]
        for result in self._told[self._heard.get(name, 0) :]:
            working.tell(result)
        self._heard[name] = len(self._told)
        return working

    def _begun(self, name: str) -> search.Search:
        """Return a search that has been told nothing; it is the same whenever it is begun."""
        trust, first = self._options.trust_defaults, self._first
        options: dict[str, object] = {"trust_defaults": trust} if name in _BELIEVERS else {}
        if name == "gp":
            options["seconds"] = self._options.seconds
        if name == "trust-region" and not self._is_smooth:
            options = dict(_NEAR)
            first = min(self._told[: self._settled], key=value_of).params
        return search.make(name, options).start(self._space, self._seed, first)

    def _whole(self) -> search.Search | None:
        """Return the grid of all configurations, None where they are too many."""
        if self._points is None or self._points.size > min(self._trials, MOST_LISTED):
            return None
        values = {name: list(values) for name, values in self._points.values.items()}
        grid = search.make("grid", {"points": values}).start(self._space, self._seed, self._first)
        grid.suggest(self._points.size, ())  # constraints are counted on the way to the end
        return grid if grid.size else None

    def _of_all(self, grid: search.Search, number: int, busy: set[str]) -> Params | None:
        """Return the first configuration that was not tried, or where there is none, one again."""
        while (params := grid.suggest(self._next, ())) is not None and key(params) in self._tried:
            self._next += 1
        place = self._next
        while (params := grid.suggest(place, ())) is not None:
            if self._is_new(params, busy):
                return params
            place += 1
        return grid.suggest(number % place, ())

    def _is_new(self, params: Params, busy: set[str]) -> bool:
        text = key(params)
        return text not in self._tried and text not in busy

    def _untried(self, number: int, busy: set[str]) -> Params | None:
        """Return a configuration that was neither tried nor is pending, None if none is found."""
        for attempt in range(_TRIES):
            params = self._space.sample(self._seed, number, f"auto {attempt}")
            if self._is_new(params, busy):
                return params
        points = self._points
        if points is None:
            return None
        for place in range(min(points.size, _WALK)):
            params = points.at(draw.permuted(place, points.size, self._seed, "auto"))
            if self._is_new(params, busy) and self._space.allows(params):
                return params
        return None


def _points(space: Space) -> Points | None:
    """Return the points of a finite space, None where a parameter is a continuum."""
    if any(parameter.distribution.size is None for parameter in space.parameters):
        return None
    return Points(space, {p.name: Values(p.distribution) for p in space.parameters})
