"""Studies that somebody or something has spoilt, and the commands that read a study."""

import io
import json
import random
import re
import sqlite3
import sys
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import typer

from tests.studies import record
from tinytune import changing
from tinytune import study as study_module
from tinytune.history import Environment, Outcome, Output, Source
from tinytune.output.formats import Format, ListFormat
from tinytune.store.editor import Editor
from tinytune.store.writer import Store
from tinytune.study import Study

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
SOURCE = Source("0" * 64, "toy.py", "def train(x):\n    return x\n")
ENVIRONMENT = Environment(
    "1" * 64,
    json.dumps(
        {"python": "3.11.7", "platform": "Linux", "cpu": "x86", "argv": ["tinytune", "run"],
         "folder": ".", "packages": {"numpy": "2.1.0"}, "variables": {"OMP_NUM_THREADS": "1"},
         "files": {"toy.py": "0" * 64}, "commit": "a" * 40, "branch": "main", "diff": "+x = 1\n"}
    ),
    (SOURCE,),
)  # fmt: skip


def full_study(path: Path) -> Path:
    """Make a study that has a row of every kind, and is several pages long."""
    study_module.start(path, record(budget=None), SOURCE)
    chance = random.Random(1)
    with Study(path, SOURCE, ENVIRONMENT) as study:
        trial = study.ask()
        trial.report(0, loss=1.0)
        trial.save(b"state")
        study.give_back(trial)  # so that there is an earlier attempt, from which one goes on
        for _ in range(20):
            trial = study.ask()
            trial.load()
            for step in range(6):
                trial.report(step, loss=chance.random(), accuracy=float("nan"))
            if trial.number % 7 == 3:
                study.tell(trial, Outcome("failed", error="no good", traceback="Traceback\n  x"))
            else:
                study.tell(trial, trial.params["x"] ** 2)
        trial = study.ask()
        trial.save(b"state")
        study.give_back(trial)  # one that waits
    with Store(path) as store:  # two runs that confirm trial 5, and one that waits
        store.add_repeats([(store.trial(5), repeat) for repeat in range(3)], record().seed)
    with Study(path, repeats_only=True) as study:
        for _ in range(2):
            study.tell(study.ask(), chance.random())
    with Store(path) as store:
        store.keep_output(
            [Output(0, 1, "stdout", "begin\n", "", 0), Output(3, 1, "stderr", "a\n", "b\n", 7)]
        )
    changing.widen(path, ["kind+=c"])
    with Editor(path) as editor:
        editor.remove([2, 4])
        editor.restore([4])
        editor.tag(3, ["good"])
        editor.note(3, "looks odd")
        editor.note(None, "of strangers")
    with edited(path) as connection:  # and one that runs, in a process that is gone
        connection.execute(
            "INSERT INTO trial (number, state, origin, search, seed, params, asked, suggested,"
            " attempt, worker, claimed, started) SELECT 24, 'running', origin, search, seed,"
            " params, asked + 9, suggested, 1, worker, asked + 9, 1.0 FROM trial WHERE number = 20"
        )
    return path


@contextmanager
def edited(path: Path):
    """Yield a connection that may change anything but the schema; commit at the end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints=ON")
        connection.execute("PRAGMA foreign_keys=OFF")
        yield connection


@contextmanager
def loosened(path: Path):
    """Yield a connection to which every column may be anything; the old schema is back after it."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL"
        ).fetchall()
        bare = [(_bare(connection, name, sql), name) for name, sql in tables]
    _write_schema(path, bare)
    with edited(path) as connection:
        yield connection
    _write_schema(path, [(sql, name) for name, sql in tables])


def _bare(connection: sqlite3.Connection, table: str, sql: str) -> str:
    """Return the table without types, NOT NULL and CHECK; its key must stay."""
    columns, keys = [], []
    for _, name, kind, _, _, key in connection.execute(f"PRAGMA table_info({table})"):
        columns.append(f"{name} {kind}" if key else name)
        if key:
            keys.append(name)
    tail = " WITHOUT ROWID" if "WITHOUT ROWID" in sql else ""
    return f"CREATE TABLE {table} ({', '.join(columns)}, PRIMARY KEY ({', '.join(keys)})){tail}"


def _write_schema(path: Path, texts: list[tuple[str, str]]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        with connection:
            connection.executemany(
                "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", texts
            )


def readings() -> dict[str, tuple]:
    """Return what reads a study: the words of the command -> its function and arguments."""
    from tinytune.cli import best, importance, logs, proof, show
    from tinytune.cli.confirm import confirm

    return {
        "best": (best.best, (None, Format.TABLE)),
        "best --top=3 --format=args": (best.best, (3, Format.ARGS)),
        "best --format=json": (best.best, (None, Format.JSON)),
        "best --weights=value=1,seconds=2": (best.best, (5, Format.TABLE, "loss=1,seconds=2")),
        "best --limit=value<9": (best.best, (None, Format.TABLE, None, ["loss < 9"])),
        "best --hypervolume": (best.best, (None, Format.TABLE, None, None, True)),
        "trials": (show.trials, (None, None, None, ListFormat.TABLE)),
        "trials --format=json": (show.trials, (None, None, None, ListFormat.JSON)),
        "trials --sort=-value --top=5 --format=csv": (
            show.trials,
            (None, "-value", 5, ListFormat.CSV),
        ),
        "trials --sort=x --format=markdown": (
            show.trials,
            (None, "x", None, ListFormat.MARKDOWN),
        ),
        "trials --tag=good": (
            show.trials,
            (None, None, None, ListFormat.TABLE, None, "good"),
        ),
        "trials --state=removed": (
            show.trials,
            ("removed", None, None, ListFormat.TABLE),
        ),
        "show 3": (show.show, (3, False, False, False, "table")),
        "show 3 --format=json": (show.show, (3, False, False, False, "json")),
        "show 0": (show.show, (0, False, False, False, "table")),
        "show --code --diff": (show.show, (None, True, False, True, "table")),
        "show 0 --environment": (show.show, (0, False, True, False, "table")),
        "show --environment --format=json": (show.show, (None, False, True, False, "json")),
        "logs 0": (logs.logs, (0, None, False)),
        "logs 3 --attempt=1": (logs.logs, (3, 1, False)),
        "verify": (proof.verify, (None, "table")),
        "verify --format=json": (proof.verify, (None, "json")),
        "confirm --show": (confirm, (None, 5, "table", True)),
        "confirm --show --format=json": (confirm, (None, 5, "json", True)),
        "confirm --show --format=csv": (confirm, (None, 5, "csv", True)),
        "stopping-report": (proof.stopping_report, ("table",)),
        "stopping-report --format=json": (proof.stopping_report, ("json",)),
        # By the quick method alone: the other one reads no more than this does.
        "importance --format=json": (
            importance.importance,
            (None, False, None, False, None, ListFormat.JSON),
        ),
        "importance --metric=loss --at=0": (
            importance.importance,
            (None, False, "loss", False, [0], ListFormat.TABLE),
        ),
        "status": (show.status, (False, "table")),
        "status --format=json": (show.status, (False, "json")),
    }


def read(command, path: Path, *arguments: object) -> str:
    """Return what a command prints, as bytes that went through UTF-8 as on a real terminal."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    # `verify` says by its exit code that something differs.
    with redirect_stdout(out), redirect_stderr(out), suppress(typer.Exit):
        command(path, *arguments)
    out.flush()
    return out.buffer.getvalue().decode("utf-8")


def spoken(*arguments: object) -> tuple[object, str, str]:
    """Run a command line in this process; return its exit code, output and errors."""
    from tinytune.cli import main

    out, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    before, sys.argv = sys.argv, ["tinytune", *map(str, arguments)]
    code: object = 0
    try:
        with redirect_stdout(out), redirect_stderr(errors):
            main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    out.flush()
    errors.flush()
    return code, out.buffer.getvalue().decode(), errors.buffer.getvalue().decode()


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder with what they hold."""
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}
