"""Reads a study's file: rows become records, and nothing is changed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tinytune import db
from tinytune.errors import SpaceError, StudyFileError
from tinytune.history import (
    STATES,
    AttemptRecord,
    Finished,
    Goal,
    ObjectiveReference,
    Pending,
    Progress,
    RunningTrial,
    SearchSpec,
    Source,
    State,
    StudyRecord,
    Token,
    TrialRecord,
)
from tinytune.process import Identity
from tinytune.space import Space
from tinytune.store import sql


class Reader:
    """Reads a study's file and changes nothing."""

    def __init__(self, path: Path, database: db.Database | None = None) -> None:
        self.path = path
        self._db = db.open_reader(path) if database is None else database

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def study(self) -> StudyRecord:
        """Return what the study is; StudyFileError where the file makes no sense."""
        row = self._db.one(sql.SELECT_STUDY)
        if row is None:
            raise StudyFileError(f"{self.path} holds no study: restore it from a copy")
        space, search, goals, settings, seed, defaults, budget, objective, source, created = row
        try:
            record = StudyRecord(
                Space.from_json(space),
                SearchSpec(**json.loads(search)),
                tuple(Goal(**goal) for goal in json.loads(goals)),
                json.loads(settings),
                seed,
                bool(defaults),
                budget,
                ObjectiveReference(**json.loads(objective)),
                source,
                created,
            )
        except (ValueError, TypeError, KeyError, AttributeError, SpaceError) as error:
            raise StudyFileError(
                f"{self.path} describes its study in a way that makes no sense ({error}): "
                "restore it from a copy"
            ) from error
        self._check_views(record)
        return record

    def _check_views(self, record: StudyRecord) -> None:
        """Refuse views that are not the study's own: people would be shown something else."""
        expected = {view.strip() for view in sql.views(record.space, record.goals[0])}
        found = {text for (text,) in self._db.all(sql.SELECT_VIEWS)}
        if found != expected:
            raise StudyFileError(
                f"{self.path} has views that tinytune did not make: it was changed by hand or by "
                "another program, and is not used; get it anew from where it came from"
            )

    def has_voucher(self, mark: str) -> bool:
        """Return whether a user has left this mark."""
        return self._db.one(sql.SELECT_VOUCHER, (mark,)) is not None

    def source(self, digest: str) -> Source | None:
        """Return a stored source text by its hash."""
        row = self._db.one(sql.SELECT_SOURCE, (digest,))
        return None if row is None else Source(*row)

    def progress(self, goal: Goal) -> Progress:
        """Return how far the study is."""
        counts: dict[State, int] = dict.fromkeys(STATES, 0)
        counts.update(self._db.all(sql.COUNT_STATES))
        _, budget, _, _ = self._db.one(sql.SELECT_NEXT) or sql.NOTHING
        best = self.best(goal, 1)
        return Progress(counts, budget, best[0] if best else None)

    def best(self, goal: Goal, count: int) -> list[TrialRecord]:
        """Return the best complete trials; the earlier one first where values are equal."""
        return self._records(sql.SELECT_BEST[goal.direction], (count,))

    def trials(self, state: State | None = None) -> list[TrialRecord]:
        """Return all trials, or those in one state, by number."""
        if state is None:
            return self._records(sql.SELECT_TRIALS)
        return self._records(sql.SELECT_TRIALS_IN, (state,))

    def trial(self, number: int) -> TrialRecord | None:
        """Return one trial."""
        records = self._records(sql.SELECT_TRIAL, (number,))
        return records[0] if records else None

    def values(self) -> list[float]:
        """Return the values of the complete trials in the order in which they ended."""
        return [value for (value,) in self._db.all(sql.SELECT_VALUES)]

    def curves(self, trial: TrialRecord) -> dict[str, dict[int, float]]:
        """Return what a trial's current or last attempt reported: name -> step -> value."""
        curves: dict[str, dict[int, float]] = {}
        for name, step, value in self._db.all(sql.SELECT_METRICS, (trial.number, trial.attempt)):
            curves.setdefault(name, {})[step] = _real(value)
        return curves

    def last_metrics(self) -> dict[int, dict[str, float]]:
        """Return, for each trial that reported, the last value of each metric."""
        last: dict[int, dict[str, float]] = {}
        for trial, name, value, _ in self._db.all(sql.SELECT_LAST_METRICS):
            last.setdefault(trial, {})[name] = _real(value)
        return last

    def last_metrics_of(self, trial: TrialRecord) -> dict[str, float]:
        """Return the last value of each metric that a trial reported."""
        rows = self._db.all(sql.SELECT_LAST_METRICS_OF, (trial.number, trial.attempt))
        return {name: _real(value) for name, value, _ in rows}

    def attempts(self, number: int) -> list[AttemptRecord]:
        """Return the attempts at a trial that did not end it."""
        rows = self._db.all(sql.SELECT_ATTEMPTS, (number,))
        return [AttemptRecord(*row) for row in rows]

    def running(self) -> list[RunningTrial]:
        """Return the running trials by number."""
        return [
            RunningTrial(Token(number, attempt, worker), started, Identity(*who))
            for number, attempt, worker, started, *who in self._db.all(sql.SELECT_RUNNING)
        ]

    def damage(self) -> list[str]:
        """Return what SQLite finds wrong with the file's pages, indexes and references."""
        found = [text for (text,) in self._db.all(sql.SELECT_DAMAGE)]
        orphans = self._db.all(sql.SELECT_ORPHANS)
        return found + [f"a row of {child} refers to no {parent}" for child, _, parent in orphans]

    def stray_metrics(self) -> list[int]:
        """Return the trials that have reports of an attempt that never was."""
        return [trial for (trial,) in self._db.all(sql.SELECT_STRAY_METRICS)]

    def has_open_trials(self) -> bool:
        """Return whether a trial is waiting or running."""
        (found,) = self._db.one(sql.HAS_OPEN) or (0,)
        return bool(found)

    def failures_since(self, tick: int) -> int:
        """Return how many trials failed after a tick with no success among or after them."""
        (count,) = self._db.one(sql.COUNT_FAILURES_AT_END, (tick,)) or (0,)
        return int(count)

    def last_failed(self) -> TrialRecord | None:
        """Return the trial that failed last."""
        records = self._records(sql.LAST_FAILED)
        return records[0] if records else None

    def tick(self) -> int:
        """Return the last tick that was taken."""
        (tick,) = self._db.one(sql.SELECT_TICK) or (0,)
        return int(tick)

    def next_number(self) -> int:
        """Return the number that the next new trial will have."""
        (number,) = self._db.one(sql.NEXT_NUMBER) or (0,)
        return int(number)

    def history(self, before: int, after: int = 0) -> list[Finished]:
        """Return the trials told between two ticks, in the order in which they were told."""
        rows = self._db.all(sql.SELECT_HISTORY, (before, after, before, after))
        return [
            Finished(number, state, json.loads(params), value)
            for number, state, params, value, _ in rows
            if params is not None  # it died three times before it was suggested
        ]

    def pending(self, before: int) -> list[Pending]:
        """Return the trials that were suggested but not told before a tick, by number."""
        rows = self._db.all(sql.SELECT_PENDING, (before, before, before))
        return [Pending(number, json.loads(params)) for number, params in rows]

    def _records(self, sql: str, arguments: Sequence[object] = ()) -> list[TrialRecord]:
        return [_record(row, self.path) for row in self._db.all(sql, arguments)]


def _record(row: db.Row, path: Path) -> TrialRecord:
    number, state, origin, search, params, value, results, *rest = row
    try:
        return TrialRecord(
            number, state, origin, search, loaded(params), value, loaded(results) or {}, *rest
        )
    except (ValueError, TypeError) as error:
        raise StudyFileError(
            f"{path} holds a trial {number} that makes no sense ({error}): restore it from a copy"
        ) from error


def _real(value: float | None) -> float:
    """SQLite stores NaN as NULL."""
    return math.nan if value is None else float(value)


def loaded(text: str | None) -> dict[str, Any] | None:
    """Return a JSON object, or None for NULL."""
    return None if text is None else dict(json.loads(text))
