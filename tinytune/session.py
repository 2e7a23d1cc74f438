"""One session of work on a study: start or continue it, check what changed, run it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from tinytune import (
    agreed,
    difference,
    draw,
    environment,
    files,
    learn,
    loading,
    rules,
    search,
    stopping,
    study,
    trust,
)
from tinytune import command as commands
from tinytune.budget import NO_STEPS, check_steps, granted_to
from tinytune.checkpoints import BESIDE, Checkpoints, Keeping
from tinytune.context import Trial
from tinytune.errors import ObjectiveError, StudyMismatchError, UsageError
from tinytune.files import typed
from tinytune.history import (
    COSTS,
    Environment,
    Goal,
    Outcome,
    RuleSpec,
    SearchSpec,
    Source,
    StudyRecord,
)
from tinytune.limits import NO_LIMITS, TrialLimits
from tinytune.meter import MEGABYTE
from tinytune.objective import Objective
from tinytune.pace import Pace
from tinytune.repeated import MOST as MOST_REPEATS
from tinytune.repeated import repeated
from tinytune.search import SearchOptions
from tinytune.search.fold import Fold
from tinytune.stopping import RuleOptions
from tinytune.store.reader import Reader
from tinytune.store.writer import Store
from tinytune.supervisor import Ending, Order, Supervisor
from tinytune.worker import Interrupt, Limits, work

DEFAULT_TRIALS = 100
DEFAULT_SEARCH = "auto"
MOST_WORKERS = 1000  # each is a process of its own
MOST_CHANGES = 8  # of the environment, that a session names


class Live(Protocol):
    """What shows a session's progress."""

    def observe(self, reader: Reader) -> None:
        """Show the state of things, if it is time to."""

    def note(self, text: str) -> None:
        """Show a line."""

    @property
    def shows_pace(self) -> bool:
        """Whether anybody sees how far the running trial is."""

    def pace(self, pace: Pace | None) -> None:
        """Show how far the only running trial is, None once its loop is over."""


@dataclass(frozen=True)
class Wishes:
    """What was asked for; None means: as the study has it, or the default in a new one."""

    search: SearchOptions | None = None
    seed: int | None = None
    trials: int | None = None
    use_defaults: bool | None = None
    workers: int = 1
    settings: Mapping[str, object] = field(default_factory=dict)
    stopping: Sequence[RuleOptions] | None = None
    audit: float | None = None  # the share of trials that a rule stops only on paper
    budget_steps: int | None = None  # to be reported by all trials together
    learn_from: Sequence[Path] = ()  # studies whose trials a new one's search is told of
    repeats: int | None = None  # runs of the objective in each trial
    budget_seconds: float | None = None  # of all attempts together


@dataclass(frozen=True)
class Work:
    """How to run a session."""

    workers: int = 1
    timeout_seconds: float | None = None
    max_failures: int = 10
    trial_limits: TrialLimits = NO_LIMITS
    debug: bool = False
    with_git: bool = True
    capture: bool | None = None  # None: of commands, and where there are several workers
    checkpoints: Keeping = BESIDE
    repeats_only: bool = False  # run no trial but those that confirm others

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= MOST_WORKERS:
            raise UsageError(f"workers must be from 1 to {MOST_WORKERS}, not {self.workers}")
        if self.timeout_seconds is not None and not self.timeout_seconds >= 0:
            raise UsageError(f"the timeout must not be negative: {self.timeout_seconds}")
        if self.max_failures < 1:
            raise UsageError(f"max failures must be at least 1, not {self.max_failures}")


def start(
    path: Path,
    objective: Objective,
    target: str | None,
    wishes: Wishes,
    *,
    has_timeout: bool,
    note: Callable[[str], None] = lambda _: None,
) -> bool:
    """Create the study that is asked for, or find it in the file; return whether it is new.

    `note` is told what was learned from other studies, and why there will be another number of
    trials than was asked for. StudyMismatchError, with the file
    unchanged, if the file holds another study.
    """
    _check(wishes)
    found = _found(path)
    budgets = (wishes.budget_steps, wishes.budget_seconds)
    ends = has_timeout or any(budget is not None for budget in budgets)
    is_endless = wishes.search is None or not wishes.search.exhausts
    is_asked = wishes.trials is not None or wishes.budget_steps is not None
    if found is None and wishes.trials is None and is_endless and not ends:
        wishes = replace(wishes, trials=DEFAULT_TRIALS)
    wanted = _wanted(path, objective, target, wishes, found)
    if found is not None:
        wanted = agreed.in_its_space(path, objective, wanted, note)
    wanted, texts = granted_to(path, wanted, is_new=found is None)
    for text in texts if is_asked else ():
        note(text)
    if found is None:
        wanted, notes = learn.learned(wanted, wishes.learn_from)
        for text in notes:
            note(text)
    elif wishes.learn_from:
        learn.check_same(path, found, wishes.learn_from)
    is_new = study.start(path, wanted, loading.source(objective))
    vouch(path, objective, target)
    return is_new


def _check(wishes: Wishes) -> None:
    if wishes.seed is not None and not 0 <= wishes.seed < draw.SEED_LIMIT:
        raise UsageError(f"the seed must be from 0 to 2^63 - 1, not {wishes.seed}")
    if wishes.trials is not None and wishes.trials < 1:
        raise UsageError(f"trials must be at least 1, not {wishes.trials}")
    if wishes.budget_steps is not None:
        check_steps(wishes.budget_steps)
    study.check_seconds(wishes.budget_seconds)


def vouch(path: Path, objective: Objective, target: str | None) -> None:
    """Write into the study where its objective is, as its user has just named it."""
    target = target or loading.target_of(objective)
    if target is None:  # a notebook's
        return
    reference = loading.reference(objective, path, target)
    mark = trust.mark(loading.place(target))
    with Reader(path) as reader:
        known = reader.study().objective == reference
        if known and (mark is None or reader.has_voucher(mark)):
            return
    with Store(path) as store:
        store.set_objective(reference, mark)


def find_objective(path: Path, command: str = "resume") -> str:
    """Return the target that the study names, if its user has named it before.

    ObjectiveError where it is not found, or where somebody else named it.
    """
    with Reader(path) as reader:
        record = reader.study()
        if record.objective.command is not None:
            return _find_command(reader, record, command)
        target = loading.find(record.objective, path)
        mark = trust.mark(loading.place(target))
        if mark is not None and reader.has_voucher(mark):
            return target
    raise ObjectiveError(
        f"{path} would run {target}, which you have not named for it before: look at both, "
        f"then `tinytune {command} {typed(path)} --objective {shlex.quote(target)}`"
    )


def _find_command(reader: Reader, record: StudyRecord, doing: str) -> str:
    """Return the target of a study's command, if its user has given it before, for this folder."""
    target = commands.target_of(record, reader.path)
    mark = trust.mark(loading.place(target))
    if mark is not None and reader.has_voucher(mark):
        return target
    shown = record.objective.label
    remedy = f"tinytune resume {typed(reader.path)} -- {shown}"
    if doing == "replicate":
        remedy = f"tinytune {doing} {typed(reader.path)} --trust-code"
    raise ObjectiveError(
        f"{reader.path} would run {shown!r}, which you have not given for it before, in this "
        f"folder and with these parameters: look at both, then `{remedy}`"
    )


def changed_source(path: Path, objective: Objective, *, accept: bool) -> str | None:
    """Return how the objective's text differs from the study's accepted one; None if it does not.

    With `accept` the new text becomes the accepted one, and the old one is kept beside it.
    """
    now = loading.source(objective)
    with Reader(path) as reader:
        digest = reader.study().source_hash
        before = None if digest is None else reader.source(digest)
    if now is None or before is None or before.hash == now.hash:
        return None
    if accept:
        _accept(path, now)
    return loading.change(before, now)


def check_space(path: Path, objective: Objective) -> str:
    """Raise StudyMismatchError unless the objective still has the study's space.

    Returns in words where the study's is another one because it was widened, or nothing.
    """
    record = _found(path)
    if record is None:
        return ""
    space, text = agreed.space(path, objective)
    here = record._replace(space=space, goals=objective.goals, subject_to=objective.subject_to)
    different = difference.differences(record, here)
    if different:
        raise StudyMismatchError(
            f"{objective.name} has changed: {'; '.join(different)}. "
            f"Undo that to continue {path}, or start another study"
        )
    try:
        objective.settings_with(record.settings)
    except UsageError as error:
        raise StudyMismatchError(f"{path} was made with other settings: {error}") from error
    return text


def repeats_itself(path: Path, objective: Objective) -> tuple[Outcome, Outcome]:
    """Run the first trial twice in this process, write nothing, and return both outcomes."""
    with Reader(path) as reader:
        record = reader.study()
    params = Fold(record._replace(first=0)).suggest(0, ()) or {}
    seed = draw.trial_seed(record.seed, 0)
    first, second = (objective.run(Trial(0, params, seed), record.settings) for _ in range(2))
    return first, second


def run(path: Path, objective: Objective, target: str | None, how: Work, live: Live) -> Ending:
    """Work on a study until it is over or a limit is reached.

    With a target the workers are processes of their own, which may die; without one the single
    worker is this process.
    """
    record = _found(path)
    is_endless = record is not None and _is_endless(record) and not how.repeats_only
    if is_endless and how.timeout_seconds is None:
        raise UsageError(
            f"{path} has no limit: say --trials N, --budget-steps N, --budget-seconds 2h or "
            "--timeout 2h"
        )
    deadline = None if how.timeout_seconds is None else time.monotonic() + how.timeout_seconds
    around = environment.gather(objective, path, with_git=how.with_git)
    with Store(path, keep_checkpoints=how.checkpoints.after_the_end) as store:
        since = store.tick()
        _note_changes(store, around, live)
        if target is None:
            limits = Limits(deadline, how.max_failures, since)
            return _run_here(path, objective, around, limits, how, live)
        store.add_environment(around)
        source = loading.source(objective)
        digest = None if source is None else source.hash
        order = Order(
            path,
            target,
            digest,
            around.hash,
            deadline,
            how.max_failures,
            since,
            how.trial_limits,
            how.debug,
            is_captured(how, target),
            how.checkpoints,
            how.repeats_only,
        )
        # Several trials at once, or output that is kept: then no single trial is followed.
        is_followed = live.shows_pace and how.workers == 1 and not order.capture
        hear = live.pace if is_followed else None
        supervisor = Supervisor(order, store, lambda: live.observe(store), live.note, hear)
        ending = supervisor.run(how.workers)
        _note_peaks(store, since, how.trial_limits, live)
        Checkpoints(path, store.study().created, how.checkpoints).sweep(store, since)
        return ending


def is_captured(how: Work, target: str) -> bool:
    """Return whether what the trials print goes into the study."""
    if how.capture is None:
        return how.workers > 1 or target.startswith(commands.TARGET)
    return how.capture


def _note_peaks(store: Store, since: int, limits: TrialLimits, live: Live) -> None:
    """Say which trials came above their limit of memory between two looks, and ended all the same.

    How much they used at most is measured by the system, and recorded.
    """
    if limits.memory_bytes is None:
        return
    most_mb = limits.memory_bytes / MEGABYTE
    peaks = store.peaks(since, most_mb)
    if not peaks:
        return
    number, peak_mb = peaks[0]
    one = len(peaks) == 1
    used, their = (f"trial {number}", "its") if one else (f"{len(peaks)} trials", "their")
    live.note(
        f"{used} used more memory than --max-memory allows for a moment, between two looks, and "
        f"ran to {their} end: at most {peak_mb:,.0f} MB{'' if one else f' in trial {number}'}, of "
        f"{most_mb:,.0f} MB (`tinytune show {typed(store.path)} {number}`)"
    )


def _note_changes(store: Store, around: Environment, live: Live) -> None:
    """Say what is not as it was when the study was last at work; it goes on all the same."""
    before = store.latest_environment()
    if before is None or before.hash == around.hash:
        return
    changed = environment.changes(before.known, around.known)
    if changed:
        shown = "; ".join(changed[:MOST_CHANGES])
        more = f"; {len(changed) - MOST_CHANGES} more" if len(changed) > MOST_CHANGES else ""
        live.note(
            f"not as in the last session: {shown}{more} (`tinytune status {typed(store.path)}`)"
        )


def _run_here(
    path: Path,
    objective: Objective,
    around: Environment,
    limits: Limits,
    how: Work,
    live: Live,
) -> Ending:
    source, keeping = loading.source(objective), how.checkpoints
    only = how.repeats_only
    with study.Study(path, source, around, checkpoints=keeping, repeats_only=only) as opened:
        several = repeated(objective, opened.record)
        show = live.pace if live.shows_pace else None

        def observe() -> None:
            live.observe(opened.reader)  # which is another one once the study is written to

        reason = work(opened, several, limits, Interrupt(), observe, show)
    return Ending(reason)


def failure_text(path: Path, how: Work) -> str:
    """Return the last failed trial's traceback, for a run that stopped because of failures."""
    with Reader(path) as reader:
        last = reader.last_failed()
    if last is None:
        return ""
    remedy = f"retry {typed(path)}` and `tinytune confirm" if how.repeats_only else "resume"
    return (
        f"{last.traceback or last.error}\n"
        f"{how.max_failures} trials in a row failed, the last one is above (trial {last.number}): "
        f"mend the objective, then `tinytune {remedy} {typed(path)}`"
    )


def _found(path: Path) -> StudyRecord | None:
    """Return what the file holds, None if there is no file."""
    if not files.exists(path):
        return None
    with Reader(path) as reader:
        return reader.study()


def _wanted(
    path: Path, objective: Objective, target: str | None, wishes: Wishes, found: StudyRecord | None
) -> StudyRecord:
    seed, use_defaults = wishes.seed, wishes.use_defaults
    if seed is None:
        seed = 0 if found is None else found.seed
    if use_defaults is None:
        use_defaults = True if found is None else found.use_defaults
    budget = wishes.trials
    if budget is None and found is not None:
        budget = found.budget
    has_defaults = use_defaults and objective.space.defaults is not None
    return StudyRecord(
        space=objective.space,
        search=_search(wishes, found, budget, begins_with_defaults=has_defaults),
        goals=objective.goals,
        settings=objective.settings_with(wishes.settings),
        seed=seed,
        use_defaults=use_defaults,
        budget=budget,
        objective=loading.reference(objective, path, target),
        lessons=() if found is None else found.lessons,
        stopping=_stopping(wishes, found, objective.goals[0]),
        first=0 if found is None else found.first,
        audit=_audit(wishes, found),
        budget_steps=_budget_steps(wishes, found),
        repeats=_repeats(wishes, found, objective.goals[0]),
        budget_seconds=_budget_seconds(wishes, found),
        subject_to=objective.subject_to,
    )


def _budget_steps(wishes: Wishes, found: StudyRecord | None) -> int | None:
    if wishes.budget_steps is None and found is not None:
        return found.budget_steps
    return wishes.budget_steps


def _repeats(wishes: Wishes, found: StudyRecord | None, goal: Goal) -> int:
    repeats = wishes.repeats
    if repeats is None:
        repeats = 1 if found is None else found.repeats
    if not 1 <= repeats <= MOST_REPEATS:
        raise UsageError(f"repeats must be from 1 to {MOST_REPEATS}, not {repeats}")
    if repeats > 1 and goal.name in COSTS:
        raise UsageError(f"{goal.name} is measured of a whole trial: put another objective first")
    if repeats > 1 and _budget_steps(wishes, found) is not None:
        raise UsageError(NO_STEPS)
    return repeats


def _budget_seconds(wishes: Wishes, found: StudyRecord | None) -> float | None:
    if wishes.budget_seconds is None and found is not None:
        return found.budget_seconds
    return wishes.budget_seconds


def _stopping(wishes: Wishes, found: StudyRecord | None, goal: Goal) -> tuple[RuleSpec, ...]:
    if wishes.stopping is None:
        return () if found is None else found.stopping
    repeats = _repeats(wishes, found, goal)
    return stopping.specs([rules.of_repeats(rule, repeats, goal) for rule in wishes.stopping])


def _audit(wishes: Wishes, found: StudyRecord | None) -> float:
    if wishes.audit is None:
        return 0.0 if found is None else found.audit
    if not 0.0 <= wishes.audit <= 1.0:
        raise UsageError(f"the audit must be a share from 0 to 100 %, not {wishes.audit:.0%}")
    return wishes.audit


def _search(
    wishes: Wishes, found: StudyRecord | None, budget: int | None, *, begins_with_defaults: bool
) -> SearchSpec:
    """Return the search that is wanted; what was not said is as in the study, or as planned."""
    if wishes.search is None and found is not None:
        return found.search
    options = wishes.search or search.make(DEFAULT_SEARCH, {})
    if found is not None and found.search.name == options.name:
        return search.spec(search.completed(options, found.search.options))
    return search.spec(search.planned(
        options, budget, wishes.workers, begins_with_defaults=begins_with_defaults,
        seconds=wishes.budget_seconds,
    ))  # fmt: skip


def _is_endless(record: StudyRecord) -> bool:
    if record.budget is not None or record.budget_steps is not None:
        return False
    return record.budget_seconds is None and not search.from_spec(record.search).exhausts


def _accept(path: Path, source: Source) -> None:
    with Store(path) as store:
        store.accept_source(source)
