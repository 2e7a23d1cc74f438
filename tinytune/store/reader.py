"""Reads a study's file: rows become records, and nothing is changed."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence

from tinytune.errors import StudyFileError
from tinytune.history import (
    STATES,
    AttemptRecord,
    Checkpoint,
    Continuation,
    Decision,
    Ended,
    Environment,
    Finished,
    Goal,
    Note,
    Output,
    Pending,
    Progress,
    RunningTrial,
    Source,
    State,
    StudyRecord,
    TrialRecord,
    Version,
)
from tinytune.store import changes, rows, sql, sql_kept, views
from tinytune.store.proofs import Proofs
from tinytune.timeline import Timeline

_MANY = 1000  # complete trials of which a curve is made up


class Reader(Proofs):
    """Reads a study's file and changes nothing."""

    def study(self) -> StudyRecord:
        """Return what the study is now; StudyFileError where the file makes no sense."""
        return self._records_of(self._as_made(), self._versions())[-1]

    def _as_made(self) -> StudyRecord:
        """Return what the study was when it was made."""
        row = self._db.one(sql.SELECT_STUDY)
        if row is None:
            raise StudyFileError(f"{self.path} holds no study: restore it from a copy")
        record = self._made(rows.study, row, "its study")
        self._check_views(record)
        lessons = self._all(rows.lesson, sql.SELECT_LESSONS)
        return record._replace(lessons=tuple(lessons)) if lessons else record

    def _versions(self) -> list[Version]:
        return self._all(changes.version, changes.SELECT_VERSIONS)

    def _records_of(self, made: StudyRecord, versions: Sequence[Version]) -> list[StudyRecord]:
        """Return what the study was as it was made, and in each version."""
        return self._made(lambda _: changes.applied(made, versions), (), "its versions")

    def _check_views(self, record: StudyRecord) -> None:
        """Refuse views that are not the study's own: people would be shown something else."""
        expected = {view.strip() for view in views.views(record)}
        found = {text for (text,) in self._db.all(sql.SELECT_VIEWS)}
        if found != expected:
            raise StudyFileError(
                f"{self.path} has views that tinytune did not make: it was changed by hand or by "
                "another program, and is not used; get it anew from where it came from"
            )

    def skipped(self) -> int:
        """Return how many trials are not of the search: made before it, or given by hand."""
        return self._next()[4]

    def counted(self) -> int:
        """Return how many trials the budget counts: all but those that confirm others."""
        _, _, number, *_, repeats, _, _ = self._next()
        return number - repeats

    def repeats(self) -> list[TrialRecord]:
        """Return the runs that confirm others, by the number of those and then of their own."""
        return self._records(sql.SELECT_REPEATS)

    def latest_search(self) -> str | None:
        """Return what made the latest suggestion of this study's own, None if there is none yet."""
        row = self._db.one(sql.SELECT_LATEST_SEARCH)
        return None if row is None else self._made(str, row, "a search")

    def has_voucher(self, mark: str) -> bool:
        """Return whether a user has left this mark."""
        return self._db.one(sql.SELECT_VOUCHER, (mark,)) is not None

    def source(self, digest: str) -> Source | None:
        """Return a stored source text by its hash."""
        row = self._db.one(sql.SELECT_SOURCE, (digest,))
        return None if row is None else Source(*row)

    def environments(self) -> list[Environment]:
        """Return what workers have run in, the first one first; this study's own before others'."""
        return self._all(rows.environment, sql_kept.SELECT_ENVIRONMENTS)

    def latest_environment(self) -> Environment | None:
        """Return what the last worker that joined ran in, None where none has said.

        What ran in a study that was merged into this one does not count.
        """
        return next(iter(self._all(rows.environment, sql_kept.SELECT_LATEST_ENVIRONMENT)), None)

    def environment_of(self, worker: int) -> Environment | None:
        """Return what a worker ran in, None where it did not say."""
        found = self._all(rows.environment, sql_kept.SELECT_ENVIRONMENT_OF, (worker,))
        return found[0] if found else None

    def progress(self, goal: Goal) -> Progress:
        """Return how far the study is."""
        total, *found, removed = self._db.one(sql.COUNT_STATES) or (0, 0)
        others = dict(zip((s for s in STATES if s != "complete"), found, strict=True))
        left = max(total - sum(found), 0)
        repeats = dict(self._all(rows.repeats, sql.COUNT_REPEATS))
        counts: dict[State, int] = {
            s: max(others.get(s, left) - repeats.get(s, 0), 0) for s in STATES
        }
        _, budget, *_, is_spent, _ = self._next()
        best = self.best(goal, 1)
        first = best[0] if best else None
        spent = self.spent()
        return Progress(counts, budget, first, self.steps(), repeats, spent, is_spent, removed)

    def best(self, goal: Goal, count: int) -> list[TrialRecord]:
        """Return the best complete trials; the earlier one first where values are equal."""
        return self._records(sql.SELECT_BEST[goal.direction], (count,))

    def best_texts(self, goal: Goal, count: int) -> list[tuple[int, float, str]]:
        """Return their numbers, values and configurations, these as they are written."""
        return self._all(rows.best_text, sql.SELECT_BEST_TEXTS[goal.direction], (count,))

    def candidates(self) -> list[tuple[int, float, dict[str, float]]]:
        """Return number, value and results of each trial that may be the best, as they ended."""
        return self._all(rows.candidate, sql.SELECT_CANDIDATES)

    def nearest(self) -> TrialRecord | None:
        """Return the complete trial that comes nearest to what results have to meet."""
        return next(iter(self._records(sql.SELECT_NEAREST)), None)

    def trials(
        self,
        state: str | None = None,
        count: int = -1,
        tag: str | None = None,
    ) -> list[TrialRecord]:
        """Return all trials, or those in a state, or with a tag, or `count` of them, by number."""
        if state == "removed":
            found = self._records(sql.SELECT_REMOVED, (-1 if tag else count,))
            found = [trial for trial in found if tag is None or tag in trial.tags]
            return found if count < 0 else found[:count]
        if tag is not None:
            return self._records(sql.SELECT_TAGGED, (state, tag, count))
        if state is None:
            return self._records(sql.SELECT_TRIALS, (count,))
        return self._records(sql.SELECT_TRIALS_IN, (state, count))

    def trial(self, number: int) -> TrialRecord | None:
        """Return one trial."""
        records = self._records(sql.SELECT_TRIAL, (number,))
        return records[0] if records else None

    def best_so_far(self, goal: Goal) -> list[float]:
        """Return the best value so far, after each complete trial in the order of their ends.

        Of more than a thousand trials only the first thousand are read, and those that are better
        than all of them; the curve is then that at a thousand evenly spaced ticks.
        """
        known = self._all(rows.value, sql.SELECT_VALUES, (_MANY,))
        best = _running_best([value for _, value in known], goal)
        if len(known) < _MANY:
            return best
        better = self._all(rows.value, sql.SELECT_BETTER[goal.direction], (best[-1],))
        best += _running_best([value for _, value in better], goal)
        ticks = [tick for tick, _ in (*known, *better)]
        length = max(self.tick() - ticks[0], 1)
        places = [ticks[0] + i * length // (_MANY - 1) for i in range(_MANY)]
        return [best[max(bisect_right(ticks, place) - 1, 0)] for place in places]

    def curves(self, trial: TrialRecord) -> dict[str, dict[int, float]]:
        """Return what a trial's current or last attempt reported: name -> step -> value."""
        curves: dict[str, dict[int, float]] = {}
        key = (trial.number, trial.attempt)
        for name, step, value in self._all(rows.metric, sql.SELECT_METRICS, key):
            curves.setdefault(name, {})[step] = value
        return curves

    def last_metrics(self) -> dict[int, dict[str, float]]:
        """Return, for each trial that reported, the last value of each metric."""
        last: dict[int, dict[str, float]] = {}
        for trial, name, value, tick in self._db.all(sql.SELECT_LAST_METRICS):
            found = self._made(rows.metric, (name, tick, value), f"a report of trial {trial}")
            last.setdefault(trial, {})[found[0]] = found[2]
        return last

    def last_metrics_of(self, trial: TrialRecord) -> dict[str, float]:
        """Return the last value of each metric that a trial reported."""
        key = (trial.number, trial.attempt)
        found = self._all(rows.metric, sql.SELECT_LAST_METRICS_OF, key)
        return {name: value for name, _, value in found}

    def values_at(self, name: str, step: int) -> dict[int, float]:
        """Return what each ended trial that came to a step had last reported of a metric by then.

        A number, NaN where that was none, for each trial that reported at that step or later.
        """
        return dict(self._all(rows.value_at_step, sql.SELECT_AT_STEP, (name, step)))

    def is_reported(self, name: str | None) -> bool:
        """Return whether any trial has reported a metric; None: any at all."""
        (found,) = self._db.one(sql.IS_REPORTED, (name,)) or (0,)
        return bool(found)

    def last_steps(self) -> dict[str, int]:
        """Return each metric that was reported, and its last step in any trial."""
        return dict(self._all(rows.last_step, sql.SELECT_LAST_STEPS))

    def complete(self, after: int, upto: int) -> list[Ended]:
        """Return the trials that were complete after one tick and up to another, with reports."""
        found = []
        made = self._all(rows.complete, sql.SELECT_COMPLETE, (after, upto))
        for number, told, attempt, is_met in made:
            reports = self._all(rows.metric, sql.SELECT_REPORTS, (number, attempt))
            found.append(Ended(number, told, tuple(reports), is_met))
        return found

    def rungs(self, after: int, upto: int) -> list[Decision]:
        """Return the rungs that were reached after one tick and up to another."""
        return self._all(rows.decision, sql.SELECT_RUNGS, (after, upto))

    def decisions(self) -> list[Decision]:
        """Return all that stopping rules have decided, by tick."""
        return self._all(rows.decision, sql.SELECT_DECISIONS)

    def decision_of(self, trial: TrialRecord) -> Decision | None:
        """Return what a stopping rule decided of a trial's current or last attempt, if anything."""
        return self.decision_on(trial.number, trial.attempt)

    def decision_on(self, number: int, attempt: int) -> Decision | None:
        """Return what a stopping rule decided of an attempt, if anything."""
        found = self._all(rows.decision, sql.SELECT_DECISION_OF, (number, attempt))
        return found[0] if found else None

    def promotion_of(self, trial: TrialRecord) -> Decision | None:
        """Return why a trial's attempt was let on after a pause, None where it was not."""
        found = self._all(rows.decision, sql.SELECT_PROMOTION, (trial.number, trial.attempt))
        return found[0] if found else None

    def reports(self) -> list[tuple[int, int, int, int, str, float]]:
        """Return (tick, trial, attempt, step, metric, value) of what stopping rules have judged.

        That is all of attempts that were paused, and of the last ones of trials that ended.
        """
        return self._all(rows.report, sql.SELECT_ALL_REPORTS)

    def attempts(self, number: int) -> list[AttemptRecord]:
        """Return the attempts at a trial that did not end it."""
        return self._all(rows.attempt, sql.SELECT_ATTEMPTS, (number,))

    def outputs(self, number: int) -> list[Output]:
        """Return what is kept of what a trial printed, by attempt and stream."""
        return self._all(rows.output, sql_kept.SELECT_OUTPUTS, (number,))

    def checkpoints(self, number: int) -> list[Checkpoint]:
        """Return what a trial has saved, the newest first."""
        return self._all(rows.checkpoint, sql_kept.SELECT_CHECKPOINTS, (number,))

    def checkpoints_beside(self) -> list[Checkpoint]:
        """Return what all trials have saved beside the study's file, by trial."""
        return self._all(rows.checkpoint, sql_kept.SELECT_BESIDE)

    def content(self, of: Checkpoint) -> bytes | None:
        """Return what a checkpoint in the file holds, None where it is gone."""
        row = self._db.one(sql_kept.SELECT_CONTENT, (of.trial, of.attempt, of.sequence))
        return None if row is None else self._made(rows.content, row, f"trial {of.trial}")

    def continuations(self, number: int) -> list[Continuation]:
        """Return which attempts at a trial went on from a checkpoint, by attempt."""
        return self._all(rows.continuation, sql_kept.SELECT_CONTINUATIONS, (number,))

    def reports_of(self, number: int, attempt: int) -> list[tuple[int, int, str, float]]:
        """Return (tick, step, metric, value) of all that an attempt reported, by tick."""
        found = self._all(rows.report, sql_kept.SELECT_REPORTS_OF, (number, attempt))
        return [(tick, step, name, value) for tick, _, _, step, name, value in found]

    def timeline(self) -> Timeline:
        """Return what people have changed about the study."""
        edited, _ = self._edited()  # first: what is read after it has all changes up to it
        versions = self._versions()
        records = self._records_of(self._as_made(), versions)
        removals = self._all(changes.removal, changes.SELECT_REMOVALS)
        return Timeline(records, versions, removals, edited)

    def notes(self, number: int | None = None) -> list[Note]:
        """Return what was written about a trial, or about the study, the earliest first."""
        return self._all(changes.note, changes.SELECT_NOTES, (number,))

    def running(self) -> list[RunningTrial]:
        """Return the running trials by number."""
        return self._all(rows.running, sql.SELECT_RUNNING)

    def has_open_trials(self, *, repeats_only: bool = False) -> bool:
        """Return whether a trial is running, or waiting while there are steps and seconds left.

        With `repeats_only` it is asked of those that confirm others, which need neither.
        """
        (found,) = self._db.one(sql.HAS_OPEN, (repeats_only, time.time())) or (0,)
        return bool(found)

    def failures_since(self, tick: int) -> int:
        """Return how many trials failed after a tick with no success among or after them."""
        (count,) = self._db.one(sql.COUNT_FAILURES_AT_END, (tick,)) or (0,)
        return int(count)

    def last_failed(self) -> TrialRecord | None:
        """Return the trial that failed last."""
        return next(iter(self._records(sql.LAST_FAILED)), None)

    def peaks(self, after: int, above_mb: float) -> list[tuple[int, float]]:
        """Return (number, peak in 10^6 bytes) of trials told after a tick that used more memory.

        The largest first, without those that failed.
        """
        return self._all(rows.peak, sql.SELECT_PEAKS, (after, above_mb))

    def next_number(self) -> int:
        """Return the number that the next new trial will have."""
        return self._made(rows.number, self._db.one(sql.NEXT_NUMBER) or (0,), "a trial")

    def history(self, before: int, after: int = 0) -> list[Finished]:
        """Return the trials told between two ticks, in the order in which they were told."""
        return self._all(rows.finished, sql.SELECT_HISTORY, (before, after, before, after))

    def pending(self, before: int) -> list[Pending]:
        """Return the trials that were suggested but not told before a tick, by number."""
        return self._all(rows.pending, sql.SELECT_PENDING, (before, before, before))

    def paused_attempts(self) -> list[tuple[int, int, int]]:
        """Return (trial, attempt, tick) of each pause that is over."""
        return self._all(rows.paused_attempt, sql.SELECT_PAUSED_ATTEMPTS)

    def state(self, number: int) -> str:
        """Return a trial's state, as stopping rules see it; "" where there is none."""
        row = self._db.one(sql.SELECT_STATE, (number,))
        return "" if row is None else str(row[0])

    def failed_attempts(self) -> list[tuple[int, int]]:
        """Return (trial, tick) of each failure of a trial that was to run again."""
        return self._all(rows.failed_attempt, sql.SELECT_FAILED_ATTEMPTS)

    def _next(self, query: str = sql.SELECT_NEXT) -> rows.Next:
        """Return what a claim looks at: see `rows.next_one`."""
        row = self._db.one(query, (time.time(),)) or ()
        return self._made(rows.next_one, row, "a clock")


def _running_best(values: Sequence[float], goal: Goal) -> list[float]:
    best: list[float] = []
    for value in values:
        best.append(value if not best or goal.better(value, best[-1]) else best[-1])
    return best
