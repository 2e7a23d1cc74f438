"""The loops that are compared: each runs whole trials of a no-op objective on 5 parameters.

All claim a trial, report, and tell its value. What survives what:

    bare        the commits that tinytune makes: a claim and a report at synchronous=NORMAL, a tell
                at FULL, in write-ahead logging, one checkpoint a second. A finished trial survives
                a power cut, a report the end of its process.
    tinytune    the same
    rdb         Optuna's RDBStorage on SQLite as it comes: a rollback journal at FULL; all survives
                a power cut
    rdb-wal     the same in write-ahead logging at FULL; all survives a power cut
    journal     Optuna's JournalStorage on a file, each append fsynced; all survives a power cut
    memory      Optuna's InMemoryStorage: nothing survives the process

One more is compared with itself alone:

    working     tinytune, with 5 reports, each after 10 ms of sleep, as on a processor of its own
"""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tinytune import study as study_module
from tinytune.distributions import Float
from tinytune.history import Goal, ObjectiveReference, SearchSpec, StudyRecord
from tinytune.space import Space
from tinytune.study import Study

NAMES = [f"x{i}" for i in range(5)]
SPACE = Space.of({name: Float(0.0, 1.0) for name in NAMES})

Trial = Callable[[int], None]
"""Runs one trial with so many reports."""


def record(search: str = "random", budget: int | None = None, **options: object) -> StudyRecord:
    """Return a study of the five parameters."""
    if search == "random" and not options:
        options = {"without_replacement": False}
    return StudyRecord(
        SPACE, SearchSpec(search, 1, options), (Goal("value", "minimize"),), {}, 1,
        use_defaults=False, budget=budget, objective=ObjectiveReference("train"), created=0.0,
    )  # fmt: skip


@contextmanager
def tinytune(folder: Path, filled: int = 0, sleep_seconds: float = 0.0) -> Iterator[Trial]:
    """Ask, report, each time after a sleep, and tell on a study of tinytune's."""
    path = folder / "tinytune.db"
    study_module.start(path, record(), None)
    if filled:
        fill(path, filled)
    with Study(path) as study:

        def trial(reports: int) -> None:
            asked = study.ask()
            if asked is None:
                raise RuntimeError("the study has no trial left")
            for step in range(reports):
                if sleep_seconds:
                    time.sleep(sleep_seconds)
                asked.report(step, loss=0.5)
            study.tell(asked, 0.5)

        yield trial


def fill(path: Path, trials: int, reports: int = 0) -> None:
    """Add finished trials through the store's own code, in a few large transactions."""
    with Study(path) as study:
        asked = study.ask()  # joins
        if asked is not None:
            study.tell(asked, 0.5)
        store = study._writer  # noqa: SLF001 - not for users: it bends the rules of commits
        database = store._db  # noqa: SLF001
        commit = type(database).transaction
        inner = suppress  # a transaction inside another one does nothing of its own
        database.transaction = lambda **_: inner()  # type: ignore[method-assign, assignment]
        database.checkpoint = lambda: None  # type: ignore[method-assign]
        done = 1
        while done < trials:
            with commit(database):
                for number in range(done, min(done + 20_000, trials)):
                    asked = study.ask()
                    if asked is None:
                        return
                    for step in range(reports):
                        asked.report(step, loss=1.0 / (1 + step))
                    study.tell(asked, float((number * 7919) % 1_000_003))
            done += 20_000
            database.one("PRAGMA wal_checkpoint(TRUNCATE)")
        del database.transaction, database.checkpoint


_BARE = """
CREATE TABLE trial (number INTEGER PRIMARY KEY, state TEXT NOT NULL, params TEXT, value REAL);
CREATE TABLE metric (trial INTEGER, name TEXT, step INTEGER, value REAL,
                     PRIMARY KEY (trial, name, step)) WITHOUT ROWID;
"""


@contextmanager
def bare(folder: Path, filled: int = 0) -> Iterator[Trial]:
    """Do the same commits with sqlite3 alone."""
    path = folder / "bare.db"
    is_new = not path.exists()
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    execute = connection.execute
    execute("PRAGMA journal_mode=WAL")
    execute("PRAGMA wal_autocheckpoint=0")
    if is_new:
        connection.executescript(_BARE)
        rows = ((n, "complete", json.dumps(_params()), 0.5) for n in range(filled))
        execute("BEGIN")
        connection.executemany("INSERT INTO trial VALUES (?, ?, ?, ?)", rows)
        execute("COMMIT")
    checked = time.time()

    def trial(reports: int) -> None:
        nonlocal checked
        execute("PRAGMA synchronous=NORMAL")
        execute("BEGIN IMMEDIATE")
        (number,) = execute("SELECT coalesce(max(number) + 1, 0) FROM trial").fetchone()
        execute("INSERT INTO trial VALUES (?, 'running', ?, NULL)", (number, json.dumps(_params())))
        execute("COMMIT")
        for step in range(reports):
            execute("BEGIN IMMEDIATE")
            execute("INSERT INTO metric VALUES (?, 'loss', ?, 0.5)", (number, step))
            execute("COMMIT")
        execute("PRAGMA synchronous=FULL")
        execute("BEGIN IMMEDIATE")
        execute("UPDATE trial SET state = 'complete', value = 0.5 WHERE number = ?", (number,))
        execute("COMMIT")
        if time.time() - checked >= 1:
            execute("PRAGMA wal_checkpoint(FULL)").fetchone()
            checked = time.time()

    try:
        yield trial
    finally:
        connection.close()


def _params() -> dict[str, float]:
    return {name: random.random() for name in NAMES}


def _optuna(kind: str, folder: Path) -> object:
    import optuna

    if kind == "memory":
        return optuna.storages.InMemoryStorage()
    if kind == "journal":
        backend = optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
        return optuna.storages.JournalStorage(backend)
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / f'{kind}.db'}")
    if kind == "rdb-wal":
        from sqlalchemy import event

        @event.listens_for(storage.engine, "connect")
        def _(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

    return storage


@contextmanager
def optuna_loop(kind: str, folder: Path, filled: int = 0) -> Iterator[Trial]:
    """Ask, report (and ask whether to prune) and tell on a study of Optuna's."""
    import optuna
    from optuna.distributions import FloatDistribution
    from optuna.trial import create_trial

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {name: FloatDistribution(0.0, 1.0) for name in NAMES}
    study = optuna.create_study(
        storage=_optuna(kind, folder), sampler=optuna.samplers.RandomSampler(seed=1),
        pruner=optuna.pruners.NopPruner(), study_name="bench", load_if_exists=True,
    )  # fmt: skip
    study.add_trials(
        [create_trial(params=_params(), distributions=space, value=0.5) for _ in range(filled)]
    )

    def trial(reports: int) -> None:
        asked = study.ask(space)
        for step in range(reports):
            asked.report(0.5, step)
        study.tell(asked, 0.5)

    yield trial


@contextmanager
def working(folder: Path, filled: int = 0) -> Iterator[Trial]:
    """Run trials that take 50 ms beside what they cost, with 5 reports."""
    with tinytune(folder, filled, sleep_seconds=0.01) as trial:
        yield lambda _: trial(5)


PEERS = ("memory", "journal", "rdb-wal", "rdb")
LOOPS: dict[str, Callable[..., object]] = {
    "bare": bare,
    "tinytune": tinytune,
    "working": working,
} | {
    kind: (lambda folder, filled=0, kind=kind: optuna_loop(kind, folder, filled)) for kind in PEERS
}
