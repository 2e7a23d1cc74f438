"""A study: one file, joined to the search that makes its suggestions."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tinytune import (
    __version__,
    arguments,
    confirm,
    difference,
    files,
    lease,
    preference,
    process,
    requirement,
)
from tinytune.bounds import shown
from tinytune.checkpoints import BESIDE, Checkpoints, Folder, Keeping
from tinytune.context import Trial
from tinytune.errors import StudyFileError, StudyMismatchError, TrialStopped, UsageError
from tinytune.files import typed
from tinytune.history import (
    STATES,
    Claim,
    Cost,
    Decision,
    Environment,
    Outcome,
    Progress,
    Source,
    State,
    StudyRecord,
    Token,
    TrialRecord,
)
from tinytune.meter import Meter
from tinytune.objective import outcome
from tinytune.referee import Referee
from tinytune.search.fold import Fold
from tinytune.settle import settled
from tinytune.space import Params, Space
from tinytune.store.reader import Reader
from tinytune.store.writer import EditedError, Store, create
from tinytune.timeline import Era, Timeline

_PYTHON = sys.version.split()[0]  # what platform.python_version() returns, without loading it
_not_left: dict[Path, set[int]] = {}  # workers of this process that could not say goodbye


class Study:
    """A study's file. Reading it changes nothing; the first `ask` enters this process as a worker.

    Use it as a context manager, or close it. StudyFileError where the file cannot be used.
    """

    def __init__(
        self,
        path: str | Path,
        source: Source | None = None,
        environment: Environment | None = None,
        *,
        by_hand: bool = False,
        checkpoints: Keeping = BESIDE,
        repeats_only: bool = False,
    ) -> None:
        self.path = arguments.path("the study", path)
        self._file = self.path.absolute()  # the objective may change the working directory
        self._reader = Reader(self.path)
        try:
            self.record: StudyRecord = self._reader.study()
        except BaseException:
            self._reader.close()
            raise
        self._source, self._environment = source, environment
        self._repeats_only = repeats_only  # take no trial but those that confirm others
        self._by_hand = by_hand  # what is asked for is held after this process has ended
        self._store: Store | None = None
        self._heart: lease.Heart | None = None
        self._closed = False
        self._worker = 0
        self._watch = lease.Watch()
        self._timeline = Timeline([self.record])  # read when a claim finds that there is more
        self._fold: Fold | None = None
        self._folded: tuple[StudyRecord, frozenset[int]] = (self.record, frozenset())
        """The version that is folded, and the removed trials of which it was not told."""
        self._referees: dict[int, Referee] = {}  # by the place of their era
        self._keeping = checkpoints
        self._checkpoints = Checkpoints(self._file, self.record.created, checkpoints)
        self._requirements = requirement.parsed(self.record.subject_to)
        self._held: dict[int, tuple[Token, Meter, Folder]] = {}  # by number

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Study({str(self.path)!r})"

    @property
    def space(self) -> Space:
        """The search space."""
        return self.record.space

    @property
    def best(self) -> TrialRecord | None:
        """The best complete trial, None before there is one; see `best_trials`."""
        best = self.best_trials(1)
        return best[0] if best else None

    @property
    def best_params(self) -> dict[str, Any]:
        """The configuration of `best`, for `objective(**study.best_params)`; UsageError if none."""
        return confirm.the_best(self._reader, self.record.goals[0])[0]

    @property
    def best_value(self) -> float:
        """The value of `best`, of several objectives the first one's; UsageError if none."""
        return confirm.the_best(self._reader, self.record.goals[0])[1]

    def best_trials(self, count: int) -> list[TrialRecord]:
        """Return the best complete trials, the best first.

        Configurations that `tinytune confirm` has run again count by the mean of their new runs.
        """
        arguments.whole(count=count)
        return confirm.best(self._reader, self.record.goals[0], max(count, 0))

    def front(self) -> list[TrialRecord]:
        """Return the Pareto front of several objectives, by the first one, the best first."""
        return preference.front_of(self._reader, self.record.goals)

    def trials(self, state: State | None = None) -> list[TrialRecord]:
        """Return all trials by number, or those in one state; UsageError if there is none such."""
        if state is not None and state not in STATES:
            raise UsageError(f"there is no state {shown(state)}: use one of {', '.join(STATES)}")
        return self._reader.trials(state)

    def curves(self, number: int) -> dict[str, dict[int, float]]:
        """Return what a trial reported: metric -> step -> value; UsageError if there is none."""
        trial = self._reader.trial(number)
        if trial is None:
            raise UsageError(f"{self.path} has no trial {number}")
        return self._reader.curves(trial)

    @property
    def progress(self) -> Progress:
        """How many trials there are in each state, the budget and the best trial."""
        return confirm.progress(self._reader, self.record.goals[0])

    @property
    def reader(self) -> Reader:
        """All queries on the file."""
        return self._reader

    def ask(self) -> Trial | None:
        """Take a trial to run, None if there is none to take now.

        That is when the budget is used up; trials that others are running may come back all the
        same, if those die.
        """
        claim = self._claim()
        if claim is None:
            return None
        params = claim.params
        if params is None:
            params, origin, label = self._suggestion(claim.token.number, claim.asked)
            self._writer.suggest(claim.token, params, origin, label)
        elif claim.waited:
            params = self.space.checked(params)
        token = claim.token
        folder = Folder(self._checkpoints, token.number, params)
        self._held[token.number] = (token, Meter(), folder)
        return Trial(
            token.number,
            params,
            claim.seed,
            self._write(claim),
            token.attempt,
            lambda state: self._save(token, folder.path(), state),
            lambda: self._load(token, folder.path()),
            folder.path,
        )

    def _save(self, token: Token, folder: Path, state: bytes | Path) -> None:
        with self._referee_of(token.number).saving(self._writer, token) as may_save:
            if may_save:
                self._checkpoints.save(self._writer, token, folder, state)

    def _load(self, token: Token, folder: Path) -> bytes | Path | None:
        state, went_on = self._checkpoints.load(self._writer, token, folder)
        if went_on is not None:
            self._referee_of(token.number).go_on(self._writer, token)
        reason = self._referee_of(token.number).reason(token)
        if reason is not None:  # its worker died after it had saved, and before it was paused
            raise TrialStopped(f"trial {token.number} is paused {reason}")
        return state

    def _write(self, claim: Claim) -> Callable[[int, Mapping[str, float]], str | None]:
        """Return how a trial reports; no stopping rule looks at one that confirms another."""
        token, referee = claim.token, self._referee_of(claim.token.number)

        def judged(step: int, metrics: Mapping[str, float]) -> str | None:
            return referee.report(self._writer, token, step, metrics)

        def written(step: int, metrics: Mapping[str, float]) -> None:
            self._writer.report(token, step, metrics, counts=False)

        return written if claim.is_repeat else judged

    def tell(self, trial: Trial, value: object = None) -> Outcome:
        """Write a trial's result: a number, named numbers, or an Outcome.

        One that a stopping rule has ended needs no value. What is none of these fails the trial
        with a reason. LeaseLostError if another worker has taken the trial in the meantime;
        nothing is written then.
        """
        if _number(trial) not in self._held:
            raise UsageError(
                f"trial {trial.number} is not running here: ask for it, and tell it once"
            )
        token, meter, folder = self._held.pop(trial.number)
        cost = _cost(meter, trial, self._writer.steps_of(token))
        referee = self._referee_of(token.number)
        result: Outcome | None = None
        if isinstance(value, Outcome):
            result = value
        elif value is not None or not referee.is_stopped(token):
            result = outcome(value, self.record.goals)
        ending, decision = referee.ended(token, result)
        whole = cost if token.attempt == 1 else self._whole(token, cost)
        ending = settled(ending, whole, self.record.goals, self._requirements)
        self._writer.tell(token, ending, cost.seconds or 0.0, decision, cost)
        if ending.state != "paused" and (folder.is_known or token.attempt > 1):
            self._checkpoints.clear(token, folder.path())
        return ending

    def _whole(self, token: Token, cost: Cost) -> Cost:
        """Return what a trial took with the time up to the checkpoint from which it went on."""
        found = self._writer.continuations(token.number)
        before = sum(each.seconds for each in found if each.attempt == token.attempt)
        return cost._replace(seconds=(cost.seconds or 0.0) + before)

    def add(self, params: Mapping[str, object], value: object = None) -> int:
        """Queue a configuration, or with a value record one that was run elsewhere.

        Returns the trial's number. SpaceError names the parameter that is wrong; UsageError where
        the value is no result.
        """
        given = arguments.mapping("params", params, '{"lr": 0.1}')
        configuration = self.space.checked(given)
        label, seed = self.record.search.label, self.record.seed
        if value is None:
            return self._writer.add(configuration, label, seed)
        result = outcome(value, self.record.goals)
        result = settled(result, Cost(), self.record.goals, self._requirements)
        if result.state != "complete":
            raise UsageError(f"the value cannot be recorded: {result.error}")
        return self._writer.record(self._worker, configuration, result, label, seed)

    def take_up(self, number: int) -> Trial:
        """Return a trial that was asked for by hand before; UsageError if there is none."""
        for running in self._writer.running():
            if running.token.number == number and running.process == process.BY_HAND:
                age_seconds = max(0.0, time.time() - running.started)
                self._timeline = self._writer.timeline()
                found = self._reader.trial(number)
                if found is not None:
                    folder = Folder(self._checkpoints, number, found.params or {})
                    folder.path()  # whoever asked for it may have used it
                    self._held[number] = (running.token, Meter(age_seconds), folder)
                    return Trial(number, found.params, found.seed, folder=folder.path)
        raise UsageError(
            f"trial {number} of {self.path} was not asked for by hand, or has ended: "
            f"see `tinytune status {typed(self.path)}`"
        )

    def give_back(self, trial: Trial) -> None:
        """Return an unfinished trial: it runs again later, and nothing counts against it."""
        if _number(trial) not in self._held:
            raise UsageError(f"trial {trial.number} is not running here: it cannot be given back")
        token, meter, _ = self._held.pop(trial.number)
        cost = _cost(meter, trial)
        self._referee_of(token.number).forget(token)
        self._writer.give_back(token, cost)

    def is_over(self) -> bool:
        """Return whether no trial is waiting or running; what dead workers held is taken first.

        What was asked for by hand is not waited for.
        """
        self._bury_the_dead()
        return not self._reader.has_open_trials(repeats_only=self._repeats_only)

    def close(self) -> None:
        """Give back what is held, leave, and close the file; once closed, nothing more happens."""
        if self._closed:
            return
        self._closed = True
        if self._store is not None:
            if self._heart is not None:
                self._heart.stop()
            if not self._by_hand:
                try:
                    self._store.leave(self._worker)
                except StudyFileError:  # a full disk, for example; this process lives on
                    _not_left.setdefault(self._file, set()).add(self._worker)
        self._reader.close()  # the store, if there is one

    @property
    def _writer(self) -> Store:
        """The store, with this process entered as a worker."""
        if self._store is None:
            if self._closed:  # before it was written to: a reader is closed
                self._reader.study()
            self._store = Store(self.path, keep_checkpoints=self._keeping.after_the_end)
            self._reader.close()
            self._reader = self._store
            if self._by_hand:
                self._worker = self._store.hand(__version__, _PYTHON)
                return self._store
            self._worker = self._store.join(
                process.current(), __version__, _PYTHON, self._source,
                self._environment,
            )  # fmt: skip
            for worker in _not_left.pop(self._file, ()):
                self._store.leave(worker)
            self._heart = lease.Heart(self._file, self._worker)
            self._heart.start()
        return self._store

    def _claim(self) -> Claim | None:
        writer = self._writer
        if self._watch.is_due():
            self._bury_the_dead()
        if self._repeats_only:
            return writer.claim_repeat(self._worker)
        while True:
            fold = self._fold_of(self.record, self._folded[1])
            if not fold.learns and not fold.is_quick:
                rank = max(writer.next_number() - self.record.first, 0)
                fold.suggest(rank, ())  # its long part, before the file is locked
            try:
                return writer.claim(
                    self._worker,
                    self.record.search.label,
                    self.record.seed,
                    None if fold.learns else self._independent_suggestion,
                    self._promotable,
                    self._timeline.edited,
                )
            except EditedError:
                self._timeline = writer.timeline()
                self.record = self._timeline.records[-1]

    def _promotable(self, tick: int) -> Decision | None:
        """Return which paused trial the rules of now let on; those of earlier rules stay paused."""
        era = self._timeline.eras[-1]
        return self._referee_in(era).promotable(self._writer, tick, self._timeline.edited)

    def _bury_the_dead(self) -> None:
        workers = self._writer.running_workers()
        workers.pop(self._worker, None)
        dead = self._watch.dead(workers)
        if dead:
            self._writer.bury(dead, "vanished")

    def _independent_suggestion(self, rank: int) -> tuple[Params, str] | None:
        fold = self._fold_of(self.record, self._folded[1])
        params = fold.suggest(rank, ())
        return None if params is None else (params, fold.origin(rank, params))

    def _suggestion(self, number: int, asked: int) -> tuple[Params, str, str]:
        """Return a learning search's suggestion: a function of what had a tick below `asked`."""
        record, removed = self._timeline.at(number), self._timeline.removed(asked)
        if self._fold is None or self._fold.seen >= asked:  # another worker's trial, and older
            self._fold = None
        fold = self._fold_of(record, removed)
        told = self._writer.history(before=asked, after=fold.seen)
        fold.tell(result for result in told if result.number not in removed)
        made = fold.answer(number - record.first, self._writer.pending(before=asked))
        if made is None:
            raise UsageError(f"the search {record.search.name!r} has nothing more to suggest")
        return made

    def _fold_of(self, record: StudyRecord, removed: frozenset[int]) -> Fold:
        """Return the search of a version; what was removed must be forgotten."""
        if self._fold is None or self._folded != (record, removed):
            self._fold = Fold(record)
        self._folded = (record, removed)  # the same objects are compared at once
        return self._fold

    def _referee_of(self, number: int) -> Referee:
        """Return who judges a trial: the rules stay those that the study had for it."""
        return self._referee_in(self._timeline.era_at(number))

    def _referee_in(self, era: Era) -> Referee:
        if era.place not in self._referees:
            self._referees[era.place] = Referee(era)
        return self._referees[era.place]


def _number(trial: object) -> int:
    if isinstance(trial, Trial):
        return trial.number
    raise UsageError(f"{shown(trial)} is no trial: give the one that ask() has returned")


def _cost(meter: Meter, trial: Trial, steps: int | None = None) -> Cost:
    cost = meter.read(steps)
    return cost if trial.used is None else cost._replace(memory_mb=trial.used.memory_mb)


def start(path: Path, wanted: StudyRecord, source: Source | None) -> bool:
    """Create the study, or find that the file holds the same one; return whether it is new.

    Budgets that differ are taken over. StudyMismatchError, with the file unchanged, if the file
    holds another study.
    """
    if not files.exists(path) and create(path, wanted, source, __version__):
        return True
    with Reader(path) as reader:
        found = reader.study()
    different = difference.differences(found, wanted)
    if different:
        raise StudyMismatchError(
            f"{path} holds another study: {'; '.join(different)}. "
            "Name another file with --study, or run what the file holds with `tinytune resume`"
        )
    if wanted.budget is not None and wanted.budget != found.budget:
        set_budget(path, wanted.budget)
    if wanted.budget_steps is not None and wanted.budget_steps != found.budget_steps:
        set_budget_steps(path, wanted.budget_steps)
    if wanted.budget_seconds is not None and wanted.budget_seconds != found.budget_seconds:
        set_budget_seconds(path, wanted.budget_seconds)
    return False


def set_budget(path: Path, budget: int | None) -> None:
    """Change how many trials a study is to have."""
    with Store(path) as writer:
        writer.set_budget(budget)


def set_budget_steps(path: Path, steps: int) -> None:
    """Change how many steps the trials of a study may report, all together."""
    with Store(path) as writer:
        writer.set_budget_steps(steps)


def set_budget_seconds(path: Path, seconds: float | None) -> None:
    """Change how many seconds a study's attempts may take together."""
    with Store(path) as writer:
        writer.set_budget_seconds(seconds)


def extend_seconds(path: Path, seconds: float, *, is_more: bool) -> None:
    """Change how long a study's attempts may take together: in all, or that much more."""
    check_seconds(seconds)
    if is_more:
        with Reader(path) as reader:
            had = reader.study().budget_seconds
            seconds += sum(reader.spent().values()) if had is None else had
    set_budget_seconds(path, seconds)


def check_seconds(seconds: float | None) -> None:
    """Raise UsageError unless a budget may be so many seconds."""
    if seconds is not None and not 0 <= seconds < math.inf:
        raise UsageError(f"the budget of seconds must be a time from 0 on, not {seconds}")


def with_budget(record: StudyRecord, skipped: int = 0) -> StudyRecord:
    """Return the record with its budget cut to what its search can suggest at all.

    Trials that were given by hand, or made before that search, come on top of that.
    """
    size = Fold(record).size
    if size is None or (record.budget is not None and record.budget <= size + skipped):
        return record
    return record._replace(budget=size + skipped)
