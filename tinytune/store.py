"""Every query on a study's file, as named constants, and the rows as records.

A worker's writes are fenced: they name the trial, the attempt and the worker, and change nothing
once the trial has been taken from it. Each change is one short transaction that takes a tick.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinytune import db, process
from tinytune.errors import LeaseLostError, SpaceError, StudyFileError
from tinytune.history import (
    STATES, AttemptRecord, Claim, Finished, Goal, ObjectiveReference, Outcome, Pending, Progress,
    SearchSpec, Source, State, StudyRecord, Token, TrialRecord,
)  # fmt: skip
from tinytune.space import Params, Space

MAX_DEATHS = 3  # after so many dead workers a trial has failed

_INSERT_STUDY = """
INSERT INTO study (id, created, version, space, search, objectives, settings, seed, defaults,
                   budget, objective, source)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_CLOCK = "INSERT INTO clock (id, tick) VALUES (1, 0)"
_INSERT_SOURCE = "INSERT OR IGNORE INTO source (hash, path, text, first) VALUES (?, ?, ?, ?)"
_SELECT_STUDY = """
SELECT space, search, objectives, settings, seed, defaults, budget, objective, source, created
FROM study
"""
_SELECT_SOURCE = "SELECT hash, path, text FROM source WHERE hash = ?"
_SET_BUDGET = "UPDATE study SET budget = ?"
_SET_SOURCE = "UPDATE study SET source = ?"

_INSERT_WORKER = """
INSERT INTO worker (host, machine, boot, namespace, pid, birth, version, python, source, joined)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
"""
_SELECT_WORKERS = """
SELECT id, beat, host, machine, boot, namespace, pid, birth FROM worker
WHERE id IN (SELECT worker FROM trial WHERE state = 'running')
"""
_SELECT_OPEN_WORKERS = "SELECT id FROM worker WHERE pid = ? AND birth = ? AND ended IS NULL"
_END_WORKER = "UPDATE worker SET ended = ?, ending = ? WHERE id = ? AND ended IS NULL"
_BEAT = "UPDATE worker SET beat = beat + 1 WHERE id = ?"

_SELECT_TICK = "SELECT tick FROM clock"
_SET_TICK = "UPDATE clock SET tick = ?"
_TICK_IF_HELD = """
UPDATE clock SET tick = tick + 1 WHERE EXISTS (
    SELECT 1 FROM trial WHERE number = ? AND attempt = ? AND worker = ? AND state = 'running')
RETURNING tick
"""
_SELECT_NEXT = """
SELECT (SELECT tick FROM clock),
       (SELECT budget FROM study),
       (SELECT coalesce(max(number) + 1, 0) FROM trial),
       (SELECT min(number) FROM trial WHERE state = 'waiting')
"""
_NEXT_NUMBER = "SELECT coalesce(max(number) + 1, 0) FROM trial"
_INSERT_TRIAL = """
INSERT INTO trial (number, state, origin, search, params, asked, suggested, attempt, worker, started)
VALUES (?, 'running', ?, ?, ?, ?, ?, 1, ?, ?)
"""
_TAKE_WAITING = """
UPDATE trial SET state = 'running', attempt = attempt + 1, worker = ?, started = ?
WHERE number = ? RETURNING attempt, asked, params
"""
_SET_PARAMS = "UPDATE trial SET params = ?, suggested = ?, origin = ? WHERE number = ?"
_INSERT_METRIC = """
INSERT INTO metric (trial, attempt, name, step, tick, value, time) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_TELL = """
UPDATE trial SET state = ?, told = ?, finished = ?, seconds = ?, value = ?, results = ?, error = ?,
                 traceback = ?
WHERE number = ?
"""
_INSERT_ATTEMPT = """
INSERT INTO attempt (trial, attempt, worker, started, ended, tick, ending)
SELECT number, attempt, worker, started, ?, ?, ? FROM trial WHERE number = ?
"""
_SELECT_RUNNING_OF = "SELECT number, deaths FROM trial WHERE state = 'running' AND worker = ?"
_GIVE_BACK = """
UPDATE trial SET state = 'waiting', deaths = deaths + ?, started = NULL WHERE number = ?
"""
_FAIL_DEAD = """
UPDATE trial SET state = 'failed', deaths = deaths + 1, told = ?, finished = ?, error = ?
WHERE number = ?
"""

_TRIAL_COLUMNS = """
SELECT number, state, origin, search, params, value, results, attempt, deaths, worker, asked,
       suggested, told, started, finished, seconds, error, traceback FROM trial
"""
_SELECT_TRIALS = f"{_TRIAL_COLUMNS} ORDER BY number"
_SELECT_TRIALS_IN = f"{_TRIAL_COLUMNS} WHERE state = ? ORDER BY number"
_SELECT_TRIAL = f"{_TRIAL_COLUMNS} WHERE number = ?"
_SELECT_BEST = {
    "minimize": f"{_TRIAL_COLUMNS} WHERE state = 'complete' ORDER BY value, number LIMIT ?",
    "maximize": f"{_TRIAL_COLUMNS} WHERE state = 'complete' ORDER BY value DESC, number LIMIT ?",
}
_COUNT_STATES = "SELECT state, count(*) FROM trial GROUP BY state"
_HAS_OPEN = """
SELECT EXISTS (SELECT 1 FROM trial WHERE state = 'waiting')
    OR EXISTS (SELECT 1 FROM trial WHERE state = 'running')
"""
_SELECT_VALUES = "SELECT value FROM trial WHERE state = 'complete' ORDER BY told"
_COUNT_FAILURES_AT_END = """
SELECT count(*) FROM trial WHERE state = 'failed' AND told > max(?,
    coalesce((SELECT told FROM trial WHERE told IS NOT NULL AND state <> 'failed'
              ORDER BY told DESC LIMIT 1), 0))
"""
_LAST_FAILED = f"{_TRIAL_COLUMNS} WHERE state = 'failed' ORDER BY told DESC LIMIT 1"
_SELECT_METRICS = """
SELECT name, step, value FROM metric WHERE trial = ? AND attempt = ? ORDER BY name, step, tick
"""
_SELECT_LAST_METRICS = """
SELECT m.trial, m.name, m.value, max(m.tick)  -- SQLite takes the value from the row of the maximum
FROM metric AS m JOIN trial AS t ON m.trial = t.number AND m.attempt = t.attempt
GROUP BY m.trial, m.name
"""
_SELECT_ATTEMPTS = """
SELECT attempt, worker, started, ended, ending FROM attempt WHERE trial = ? ORDER BY attempt
"""
_SELECT_RUNNING = """
SELECT t.number, t.started, w.host, w.pid FROM trial AS t JOIN worker AS w ON t.worker = w.id
WHERE t.state = 'running' ORDER BY t.number
"""
_SELECT_HISTORY = """
SELECT number, state, params, value FROM trial WHERE told < ? AND told > ? ORDER BY told
"""
_SELECT_PENDING = """
SELECT number, params FROM trial
WHERE suggested < ? AND (told IS NULL OR told >= ?) ORDER BY number
"""

_CREATE_TRIALS_VIEW = """
CREATE VIEW trials AS SELECT number, state, origin, value, {columns}attempt, seconds,
    datetime(started, 'unixepoch') AS started, datetime(finished, 'unixepoch') AS finished, error
FROM trial
"""
_CREATE_CURVES_VIEW = """
CREATE VIEW curves AS SELECT m.trial, m.name, m.step, m.value
FROM metric AS m JOIN trial AS t ON m.trial = t.number AND m.attempt = t.attempt
"""
_CREATE_BEST_VIEW = """
CREATE VIEW best AS SELECT * FROM trials WHERE state = 'complete' ORDER BY value{direction}, number
"""
_EMPTY = (0, None, 0, None)
_VIEW_COLUMNS = frozenset(
    "number state origin value attempt seconds started finished error".split()
)


def create(path: Path, study: StudyRecord, source: Source | None, version: str) -> bool:
    """Create a study's file; False, with nothing changed, if there is a file at the path."""
    now = time.time()
    statements: list[tuple[str, Sequence[object]]] = []
    if source is not None:
        statements.append((_INSERT_SOURCE, (source.hash, source.name, source.text, now)))
    row = (
        now, version, study.space.to_json(),
        _json({"name": study.search.name, "version": study.search.version,
               "options": study.search.options}),
        _json([{"name": goal.name, "direction": goal.direction} for goal in study.goals]),
        _json(study.settings), study.seed, int(study.use_defaults), study.budget,
        _json(vars(study.objective)), None if source is None else source.hash,
    )  # fmt: skip
    statements += [(_INSERT_STUDY, row), (_INSERT_CLOCK, ())]
    statements += [(view, ()) for view in _views(study.space, study.goals[0])]
    return db.create(path, statements)


def _views(space: Space, goal: Goal) -> list[str]:
    """Return the views that spread parameters into columns; names are Python identifiers."""
    columns = "".join(
        f"""json_extract(params, '$."{name}"') AS "{f'{name}_' if name in _VIEW_COLUMNS else name}", """
        for name in space.by_name
    )
    direction = " DESC" if goal.direction == "maximize" else ""
    return [
        _CREATE_TRIALS_VIEW.format(columns=columns),
        _CREATE_CURVES_VIEW,
        _CREATE_BEST_VIEW.format(direction=direction),
    ]


class Reader:
    """Reads a study's file and changes nothing."""

    def __init__(self, path: Path, database: db.Database | None = None) -> None:
        self.path = path
        self._db = db.open_reader(path) if database is None else database

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def study(self) -> StudyRecord:
        """Return what the study is; StudyFileError where the file makes no sense."""
        row = self._db.one(_SELECT_STUDY)
        if row is None:
            raise StudyFileError(f"{self.path} holds no study: restore it from a copy")
        space, search, goals, settings, seed, defaults, budget, objective, source, created = row
        try:
            return StudyRecord(
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

    def source(self, digest: str) -> Source | None:
        """Return a stored source text by its hash."""
        row = self._db.one(_SELECT_SOURCE, (digest,))
        return None if row is None else Source(*row)

    def progress(self, goal: Goal) -> Progress:
        """Return how far the study is."""
        counts: dict[State, int] = dict.fromkeys(STATES, 0)
        for state, count in self._db.all(_COUNT_STATES):
            counts[state] = count
        _, budget, _, _ = self._db.one(_SELECT_NEXT) or _EMPTY
        best = self.best(goal, 1)
        return Progress(counts, budget, best[0] if best else None)

    def best(self, goal: Goal, count: int) -> list[TrialRecord]:
        """Return the best complete trials; the earlier one first where values are equal."""
        return self._records(_SELECT_BEST[goal.direction], (count,))

    def trials(self, state: State | None = None) -> list[TrialRecord]:
        """Return all trials, or those in one state, by number."""
        if state is None:
            return self._records(_SELECT_TRIALS)
        return self._records(_SELECT_TRIALS_IN, (state,))

    def trial(self, number: int) -> TrialRecord | None:
        """Return one trial."""
        records = self._records(_SELECT_TRIAL, (number,))
        return records[0] if records else None

    def values(self) -> list[float]:
        """Return the values of the complete trials in the order in which they ended."""
        return [value for (value,) in self._db.all(_SELECT_VALUES)]

    def curves(self, trial: TrialRecord) -> dict[str, dict[int, float]]:
        """Return what a trial's current or last attempt reported: name -> step -> value."""
        curves: dict[str, dict[int, float]] = {}
        for name, step, value in self._db.all(_SELECT_METRICS, (trial.number, trial.attempt)):
            curves.setdefault(name, {})[step] = _real(value)
        return curves

    def last_metrics(self) -> dict[int, dict[str, float]]:
        """Return, for each trial that reported, the last value of each metric."""
        last: dict[int, dict[str, float]] = {}
        for trial, name, value, _ in self._db.all(_SELECT_LAST_METRICS):
            last.setdefault(trial, {})[name] = _real(value)
        return last

    def attempts(self, number: int) -> list[AttemptRecord]:
        """Return the attempts at a trial that did not end it."""
        rows = self._db.all(_SELECT_ATTEMPTS, (number,))
        return [AttemptRecord(*row) for row in rows]

    def running(self) -> list[tuple[int, float, str, int]]:
        """Return (trial, start in Unix seconds, host, pid) of each running trial."""
        return self._db.all(_SELECT_RUNNING)

    def has_open_trials(self) -> bool:
        """Return whether a trial is waiting or running."""
        (found,) = self._db.one(_HAS_OPEN) or (0,)
        return bool(found)

    def failures_since(self, tick: int) -> int:
        """Return how many trials failed after a tick with no success among or after them."""
        (count,) = self._db.one(_COUNT_FAILURES_AT_END, (tick,)) or (0,)
        return int(count)

    def last_failed(self) -> TrialRecord | None:
        """Return the trial that failed last."""
        records = self._records(_LAST_FAILED)
        return records[0] if records else None

    def tick(self) -> int:
        """Return the last tick that was taken."""
        (tick,) = self._db.one(_SELECT_TICK) or (0,)
        return int(tick)

    def next_number(self) -> int:
        """Return the number that the next new trial will have."""
        (number,) = self._db.one(_NEXT_NUMBER) or (0,)
        return int(number)

    def history(self, before: int, after: int = 0) -> list[Finished]:
        """Return the trials told between two ticks, in the order in which they were told."""
        rows = self._db.all(_SELECT_HISTORY, (before, after))
        return [
            Finished(number, state, json.loads(params), value)
            for number, state, params, value in rows
            if params is not None  # it died three times before it was suggested
        ]

    def pending(self, before: int) -> list[Pending]:
        """Return the trials that were suggested but not told before a tick, by number."""
        rows = self._db.all(_SELECT_PENDING, (before, before))
        return [Pending(number, json.loads(params)) for number, params in rows]

    def _records(self, sql: str, arguments: Sequence[object] = ()) -> list[TrialRecord]:
        return [_record(row, self.path) for row in self._db.all(sql, arguments)]


class Store(Reader):
    """Reads and writes a study's file, for one worker or for the study's owner."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, db.open_writer(path))

    def join(self, who: process.Identity, version: str, python: str, source: Source | None) -> int:
        """Enter this process as a worker and return the worker's id."""
        now = time.time()
        with self._db.transaction():
            if source is not None:
                self._db.change(_INSERT_SOURCE, (source.hash, source.name, source.text, now))
            row = (who.host, who.machine, who.boot, who.namespace, who.pid, who.birth, version,
                   python, None if source is None else source.hash, now)  # fmt: skip
            (worker,) = self._db.one(_INSERT_WORKER, row) or (0,)
        return int(worker)

    def beat(self, worker: int) -> None:
        """Show that a worker lives, to those who cannot look at its process."""
        with self._db.transaction():
            self._db.change(_BEAT, (worker,))

    def leave(self, worker: int) -> None:
        """Enter that a worker has gone; what it still holds is given back."""
        with self._db.transaction():
            self._release(worker, "left", died=False)

    def bury(self, workers: Iterable[int], ending: str) -> None:
        """Take the trials of dead workers from them; a trial that killed three has failed."""
        with self._db.transaction():
            for worker in workers:
                self._release(worker, ending, died=True)

    def open_workers(self, pid: int, birth: str) -> list[int]:
        """Return the workers of one process that have not left."""
        rows = self._db.all(_SELECT_OPEN_WORKERS, (pid, birth))
        return [worker for (worker,) in rows]

    def running_workers(self) -> dict[int, tuple[int, process.Identity]]:
        """Return the workers that hold a trial: id -> (beat, process)."""
        rows = self._db.all(_SELECT_WORKERS)
        return {worker: (beat, process.Identity(*who)) for worker, beat, *who in rows}

    def set_budget(self, budget: int | None) -> None:
        """Change how many trials the study is to have."""
        with self._db.transaction(durable=True):
            self._db.change(_SET_BUDGET, (budget,))

    def accept_source(self, source: Source) -> None:
        """Make this text the study's accepted one; the earlier ones are kept."""
        with self._db.transaction(durable=True):
            self._db.change(_INSERT_SOURCE, (source.hash, source.name, source.text, time.time()))
            self._db.change(_SET_SOURCE, (source.hash,))

    def claim(
        self, worker: int, search: str, suggest: Callable[[int], tuple[Params, str] | None] | None
    ) -> Claim | None:
        """Take the lowest waiting trial, or append the next; None where there is none to take.

        `suggest(number)` gives a new trial's params and origin, or None past the last one; it
        runs while the file is locked. With suggest=None the trial is taken without params.
        """
        now = time.time()
        with self._db.transaction():
            tick, budget, number, waiting = self._db.one(_SELECT_NEXT) or _EMPTY
            if waiting is not None:
                row = self._db.one(_TAKE_WAITING, (worker, now, waiting)) or ()
                attempt, asked, params = row
                claim = Claim(Token(waiting, attempt, worker), asked, _loaded(params))
            elif budget is not None and number >= budget:
                return None
            else:
                made = None if suggest is None else suggest(number)
                if suggest is not None and made is None:
                    return None
                params, origin = made or (None, "search")
                text = None if params is None else _json(params)
                suggested = None if params is None else tick + 1
                self._db.change(
                    _INSERT_TRIAL,
                    (number, origin, search, text, tick + 1, suggested, worker, now),
                )
                claim = Claim(Token(number, 1, worker), tick + 1, params)
            self._db.change(_SET_TICK, (tick + 1,))
        return claim

    def suggest(self, token: Token, params: Params, origin: str) -> None:
        """Write the configuration of a claimed trial; LeaseLostError if it was taken away."""
        with self._db.transaction():
            tick = self._tick_if_held(token)
            self._db.change(_SET_PARAMS, (_json(params), tick, origin, token.number))

    def report(self, token: Token, step: int, metrics: Mapping[str, float]) -> None:
        """Append one step's numbers; LeaseLostError if the trial was taken away."""
        now = time.time()
        with self._db.transaction():
            tick = self._tick_if_held(token)
            self._db.change_many(
                _INSERT_METRIC,
                (
                    (token.number, token.attempt, name, step, tick, value, now)
                    for name, value in metrics.items()
                ),
            )

    def tell(self, token: Token, outcome: Outcome, seconds: float) -> None:
        """Write how a trial ended, durably; LeaseLostError if it was taken away."""
        with self._db.transaction(durable=True):
            tick = self._tick_if_held(token)
            self._db.change(
                _TELL,
                (outcome.state, tick, time.time(), seconds, outcome.value,
                 _json(outcome.values) if outcome.values else None, outcome.error,
                 outcome.traceback, token.number),
            )  # fmt: skip
        self._db.checkpoint()

    def give_back(self, token: Token) -> None:
        """Return a trial that was not finished, to run again; LeaseLostError if it was taken away."""
        with self._db.transaction():
            tick = self._tick_if_held(token)
            self._db.change(_INSERT_ATTEMPT, (time.time(), tick, "given back", token.number))
            self._db.change(_GIVE_BACK, (0, token.number))

    def _tick_if_held(self, token: Token) -> int:
        """Take a tick, or raise LeaseLostError: the fence around every write of a worker."""
        row = self._db.one(_TICK_IF_HELD, (token.number, token.attempt, token.worker))
        if row is None:
            raise LeaseLostError(
                f"trial {token.number} is no longer this worker's (attempt {token.attempt}): "
                "what came late was not written"
            )
        return int(row[0])

    def _release(self, worker: int, ending: str, *, died: bool) -> None:
        now = time.time()
        self._db.change(_END_WORKER, (now, ending, worker))
        for number, deaths in self._db.all(_SELECT_RUNNING_OF, (worker,)):
            tick = self.tick() + 1
            self._db.change(_SET_TICK, (tick,))
            if died and deaths + 1 >= MAX_DEATHS:
                error = f"its worker died {deaths + 1} times, at last it {ending}"
                self._db.change(_FAIL_DEAD, (tick, now, error, number))
                continue
            self._db.change(
                _INSERT_ATTEMPT, (now, tick, "died" if died else "given back", number)
            )
            self._db.change(_GIVE_BACK, (int(died), number))


def _record(row: db.Row, path: Path) -> TrialRecord:
    number, state, origin, search, params, value, results, *rest = row
    try:
        return TrialRecord(
            number, state, origin, search, _loaded(params), value, _loaded(results) or {}, *rest
        )
    except (ValueError, TypeError) as error:
        raise StudyFileError(
            f"{path} holds a trial {number} that makes no sense ({error}): restore it from a copy"
        ) from error


def _real(value: float | None) -> float:
    """SQLite stores NaN as NULL."""
    return math.nan if value is None else float(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _loaded(text: str | None) -> dict[str, Any] | None:
    """Return a JSON object, or None for NULL."""
    return None if text is None else dict(json.loads(text))
