"""What a user of tinytune writes: `@tinytune.trial`, `objective.tune(…)`, `tinytune.open(…)`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    SupportsIndex,
    TypeVar,
    overload,
)

from tinytune import arguments, loading, requirement, search, session
from tinytune import confirm as confirming
from tinytune import stopping as rules
from tinytune.bounds import is_finite, shown
from tinytune.checkpoints import Keeping
from tinytune.confirm import Ranking
from tinytune.context import Trial
from tinytune.distributions import Distribution, Value
from tinytune.errors import ObjectiveError, UsageError
from tinytune.history import goals_of
from tinytune.limits import TrialLimits
from tinytune.objective import Objective
from tinytune.output.progress import Live, bytes_of, seconds_of
from tinytune.search import SearchOptions
from tinytune.session import Wishes, Work
from tinytune.stopping import RuleOptions
from tinytune.store.reader import Reader
from tinytune.study import Study
from tinytune.worker import StopReason

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class TunableObjective(Objective, Generic[P, R]):
    """An objective as the decorator returns it: call it as before, or `tune` it."""

    if TYPE_CHECKING:  # the function's own parameters and result, for type checkers and editors

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:  # type: ignore[override]
            """Call the function."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Be pickled by name, as its function would be; by value where its name is no place."""
        found = getattr(sys.modules.get(self.module), self.name, None)
        is_there = found is self and self.file is not None  # not in a notebook
        return self.name if is_there else super().__reduce_ex__(protocol)

    def tune(
        self,
        study: str | Path = "study.db",
        *,
        search: str | SearchOptions | None = None,  # noqa: A002, RUF100 - the field's word
        trials: int | None = None,
        seed: int | None = None,
        timeout: float | str | None = None,
        budget_seconds: float | str | None = None,
        workers: int = 1,
        settings: Mapping[str, object] | None = None,
        grid: Mapping[str, int | Sequence[Value]] | None = None,
        defaults: bool | None = None,
        max_failures: int = 10,
        trial_timeout: float | str | None = None,
        max_memory: float | str | None = None,
        stopping: str | Sequence[RuleOptions] | None = None,
        audit: float | None = None,
        budget_steps: int | None = None,
        repeats: int | None = None,
        learn_from: str | Path | Sequence[str | Path] = (),
        capture: bool | None = None,
        checkpoints: str | Path | None = None,
        keep_checkpoints: bool = False,
        quiet: bool = False,
    ) -> Study:
        """Search for good parameters, in a new study or where the file's study stopped.

        Arguments: `search` a name, `"random(without_replacement=true)"` or `tinytune.Grid(…)`;
        `trials` in all (default 100, or the whole grid); `seed` (default 0); `timeout` in seconds
        or as "2h": no trial starts later; `budget_seconds` of all trials together, also those that
        fail or die: none starts when they are spent; `workers` processes (with one, trials run in
        this process); `settings` for the parameters that are not tuned; `grid` as `tinytune.Grid`;
        `defaults=False` not to begin with the defaults; `max_failures` in a row before it stops;
        `trial_timeout` and `max_memory` ("10m", "2G") end a trial, whose process they then need;
        `stopping`, a rule or several that end hopeless trials, as `"median(grace=5)+threshold"`;
        `audit`, a share of the trials that they stop only on paper;
        `budget_steps` that all trials may report together; `repeats`, how often each configuration
        is run, under other seeds: its value is the mean;
        `learn_from` one or more studies' files, of whose trials a new study's search is told first;
        `capture` keeps what trials print (default: with several workers), see `tinytune logs`;
        `checkpoints`, a folder for what trials save and is large (default: beside the study);
        `keep_checkpoints` those of trials that have ended.

        Returns the study, open for reading. StudyMismatchError if the file holds another study;
        ObjectiveError after too many failures.
        """
        loading.refuse_while_loading(f"{self.name}.tune()")
        path = arguments.path("study", study)
        arguments.flags(quiet=quiet, keep_checkpoints=keep_checkpoints)
        arguments.flags_or_none(defaults=defaults)
        folder = None if checkpoints is None else arguments.path("checkpoints", checkpoints)
        keeping = Keeping(folder, keep_checkpoints)
        how = _how(workers, timeout, max_failures, trial_timeout, max_memory, capture)
        how = replace(how, checkpoints=keeping)
        arguments.whole_or_none(
            trials=trials, seed=seed, budget_steps=budget_steps, repeats=repeats
        )
        if audit is not None and not is_finite(audit):
            raise UsageError(f"audit must be a share such as 0.05, not {shown(audit)}")
        wishes = Wishes(
            options_of(search, grid),
            seed,
            trials,
            defaults,
            workers,
            {} if settings is None else arguments.mapping("settings", settings, '{"epochs": 50}'),
            _rules(stopping),
            audit,
            budget_steps,
            arguments.paths("learn_from", learn_from),
            repeats,
            _read("budget_seconds", seconds_of, budget_seconds),
        )
        target = self._target(how)
        note = Live(path, self.goals[0], quiet=quiet).note
        has_timeout = how.timeout_seconds is not None
        session.start(path, self, None, wishes, has_timeout=has_timeout, note=note)
        self._work(path, target, how, quiet=quiet)
        return Study(path)

    def confirm(
        self,
        study: str | Path = "study.db",
        *,
        top: int | None = None,
        repeats: int = 5,
        timeout: float | str | None = None,
        workers: int = 1,
        max_failures: int = 10,
        trial_timeout: float | str | None = None,
        max_memory: float | str | None = None,
        capture: bool | None = None,
        quiet: bool = False,
    ) -> Ranking:
        """Run a study's best configurations again under new seeds, as `tinytune confirm` does.

        Arguments: `top`, how many configurations (default: 5, or all there are); `repeats`, new
        runs of each one; the others as in `tune`. Called again, it goes on where it stopped, and
        with more repeats adds them.

        Returns the ranking by the new runs alone, the best mean first: see docs/noise.md.
        StudyMismatchError if the file holds another objective's study; ObjectiveError after too
        many failures.
        """
        loading.refuse_while_loading(f"{self.name}.confirm()")
        path = arguments.path("study", study)
        how = _how(workers, timeout, max_failures, trial_timeout, max_memory, capture)
        arguments.whole_or_none(top=top)
        arguments.whole(repeats=repeats)
        arguments.flags(quiet=quiet)
        target = self._target(how)
        session.check_space(path, self)
        left = confirming.left(path, top, repeats)
        if left is not None:
            session.vouch(path, self, None)
            left.enter()
            self._work(path, target, replace(how, repeats_only=True), quiet=quiet)
        with Reader(path) as reader, reader.snapshot():
            return confirming.ranking(reader, self.goals[0])

    def _target(self, how: Work) -> str | None:
        """Return the target that other processes load; None where this process runs the trials."""
        if how.workers == 1 and not how.trial_limits.any and not how.capture:
            return None
        target = loading.target_of(self)
        if target is None:
            raise ObjectiveError(
                f"{self.name} is in no file that other processes could load: "
                "put it into one, or use workers=1 without limits for a trial or capture"
            )
        return target

    def _work(self, path: Path, target: str | None, how: Work, *, quiet: bool) -> None:
        live = Live(path, self.goals[0], quiet=quiet, repeats_only=how.repeats_only)
        with live:
            ending = session.run(path, self, target, how, live)
        if ending.reason is StopReason.FAILURES:
            raise ObjectiveError(session.failure_text(path, how))
        if ending.reason is StopReason.INTERRUPTED:
            raise KeyboardInterrupt


def _how(
    workers: int,
    timeout: float | str | None,
    max_failures: int,
    trial_timeout: float | str | None,
    max_memory: float | str | None,
    capture: bool | None,  # noqa: FBT001 - as the arguments are
) -> Work:
    arguments.whole(workers=workers, max_failures=max_failures)
    arguments.flags_or_none(capture=capture)
    limits = TrialLimits(
        _read("trial_timeout", seconds_of, trial_timeout), _read("max_memory", bytes_of, max_memory)
    )
    seconds = _read("timeout", seconds_of, timeout)
    return Work(workers, seconds, max_failures, limits, capture=capture)


def _read(name: str, read: Callable[[float | str], T], given: float | str | None) -> T | None:
    """Return a time or an amount that is given as a number or a text."""
    try:
        return None if given is None else read(given)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def _rules(given: object) -> Sequence[RuleOptions] | None:
    """Return rules that are given as a text or a list of their options."""
    if given is None or isinstance(given, str):
        return None if given is None else rules.parse(given)
    if isinstance(given, (list, tuple)) and all(map(rules.is_rule, given)):
        return given
    raise UsageError(
        f"stopping must be a text or a list of rules, not {shown(given)}: write "
        'stopping="median+threshold(upper=10)"'
    )


class _Decorator(Protocol):
    """What `trial(minimize=…)` returns; a parameter for the running trial need not be given."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[Trial, P], R], /
    ) -> TunableObjective[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> TunableObjective[P, R]: ...


@overload
def trial(function: Callable[Concatenate[Trial, P], R], /) -> TunableObjective[P, R]: ...


@overload
def trial(function: Callable[P, R], /) -> TunableObjective[P, R]: ...


@overload
def trial(
    *,
    minimize: str | Sequence[str] = (),
    maximize: str | Sequence[str] = (),
    subject_to: str | Sequence[str] = (),
    space: Mapping[str, Distribution] | None = None,
    where: str | Sequence[str] = (),
) -> _Decorator: ...


def trial(
    function: Callable[..., object] | None = None,
    /,
    *,
    minimize: str | Sequence[str] = (),
    maximize: str | Sequence[str] = (),
    subject_to: str | Sequence[str] = (),
    space: Mapping[str, Distribution] | None = None,
    where: str | Sequence[str] = (),
) -> object:
    """Make a function an objective; its annotated parameters are the search space.

    Arguments: the name of the number to `minimize` (default "value") or `maximize`, among those
    that the function returns, or several names: `minimize=("error", "seconds")`. The numbers
    "seconds", "cpu_seconds", "memory_mb" and "steps" are measured and need not be returned;
    `subject_to`, what results have to meet to be the best: "memory_mb <= 800"; `space`, name ->
    distribution, for functions that cannot be annotated; `where`, constraints of the parameters
    such as "batch * width <= 8192".

    SpaceError names the parameter that is wrong.
    """
    goals = goals_of(
        arguments.texts("minimize", minimize, '("error", "seconds")'),
        arguments.texts("maximize", maximize, '("recall", "accuracy")'),
    )
    required = arguments.texts("subject_to", subject_to, '"memory_mb <= 800"')
    if space is not None:
        arguments.mapping("space", space, '{"lr": Float(0, 1)}')
    requirement.parsed(required)

    def decorate(wrapped: Callable[P, R]) -> TunableObjective[P, R]:
        return TunableObjective(wrapped, goals=goals, subject_to=required, space=space, where=where)

    return decorate if function is None else decorate(function)


def _points(name: str, spec: object) -> object:
    if isinstance(spec, int):
        return spec
    if isinstance(spec, Iterable) and not isinstance(spec, (str, bytes)):
        return list(spec)
    raise UsageError(f"grid: {name} is {shown(spec)}: give a number of points, or a list of values")


def open_study(path: str | Path) -> Study:
    """Open a study's file to read it, or to ask and tell; StudyFileError if it is none."""
    return Study(path)


def options_of(
    wanted: str | SearchOptions | None,
    grid: Mapping[str, int | Sequence[Value]] | None = None,
    changes: Mapping[str, object] | None = None,
) -> SearchOptions | None:
    """Return a search's options from a name or options, a grid's points, and single options."""
    options = dict(changes or {})
    if grid is not None:
        grid = arguments.mapping("grid", grid, '{"lr": 5, "momentum": [0, 0.9]}')
    if grid:
        options["points"] = {name: _points(name, spec) for name, spec in grid.items()}
    if wanted is None and grid:
        wanted = "grid"
    if wanted is None:
        return search.make(session.DEFAULT_SEARCH, options) if options else None
    if not isinstance(wanted, str):
        if not search.is_search(wanted):
            raise UsageError(
                f"search must be a name or a search's options, not {shown(wanted)}: write "
                'search="random" or search=tinytune.Random()'
            )
        if options:
            raise UsageError("give the search's options in the search, or beside its name")
        return wanted
    name, own = search.parse(wanted)
    if grid and name != "grid":
        raise UsageError(f"--grid is for the search 'grid', not for {name!r}")
    return search.make(name, {**own, **options})
