"""A small run in a process of its own, in which the n-th SQL statement is the last, or fails.

    python -m tests.faults.steps STUDY N exit|full|ioerr|busy|nomem [forever]

It makes one study go through everything: creation, claim, suggest, report, tell, give back, taking
over from the dead, leaving. What was acknowledged is printed, line by line.
"""

import errno
import os
import sqlite3
import sys
from pathlib import Path

from tests.faults.objective import torture  # its file registers the learning search
from tests.studies import record
from tinytune import db, process, queue, study
from tinytune.errors import TinytuneError
from tinytune.history import SearchSpec
from tinytune.study import Study

ERRORS = {
    "full": (sqlite3.SQLITE_FULL, "database or disk is full"),
    "ioerr": (sqlite3.SQLITE_IOERR, "disk I/O error"),
    "busy": (sqlite3.SQLITE_BUSY, "database is locked"),
    "nomem": (sqlite3.SQLITE_NOMEM, "out of memory"),
}
BUDGET = 4
SPACE = torture.space


class Harm:
    """Counts the statements, and does its harm at the n-th (and, for ever, at all later ones)."""

    def __init__(self, at: int, kind: str, *, for_ever: bool) -> None:
        self.at, self.kind, self.for_ever = at, kind, for_ever
        self.count = 0

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.at or (self.for_ever and self.count > self.at):
            if self.kind == "exit":
                os._exit(9)
            code, text = ERRORS[self.kind]
            error = sqlite3.OperationalError(text)
            error.sqlite_errorcode = code
            raise error


def install(harm: Harm) -> None:
    """Let the harm come before each statement of any connection, and each fsync of a log."""
    execute, many, sync = db.Database._execute, db.Database.change_many, queue._fsync

    def harmed(self: db.Database, sql: str, arguments: db.Arguments = ()) -> sqlite3.Cursor:
        harm()
        return execute(self, sql, arguments)

    def harmed_many(self: db.Database, sql: str, rows: object) -> None:
        self._attempt(harm)
        many(self, sql, rows)

    def harmed_sync(log: int) -> None:
        try:
            harm()
        except sqlite3.OperationalError as error:
            if harm.kind != "busy":  # which an fsync never is
                raise OSError(errno.EIO, str(error)) from None
        sync(log)

    queue._fsync = harmed_sync
    db.Database._execute = harmed
    db.Database.change_many = harmed_many
    db.BUSY_SECONDS = 0.05
    db.CHECKPOINT_SECONDS = 0.0  # fold the journal after every trial


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def run(path: Path) -> None:
    wanted = record(budget=BUDGET, space=SPACE)
    study.start(path, wanted._replace(search=SearchSpec("learner", 1, {})), None)
    with Study(path) as first, Study(path) as dying:
        lost = dying.ask()
        trial = first.ask()
        trial.report(0, loss=1.0)
        say("report", trial.number, 0)
        first.give_back(trial)
        process.is_dead = lambda who: True  # the other worker of this process is taken for dead
        first._bury_the_dead()
        process.is_dead = lambda who: False
        while (trial := first.ask()) is not None:
            trial.report(1, loss=2.0)
            say("report", trial.number, 1)
            first.tell(trial, trial.params["x"])
            say("told", trial.number, repr(trial.params["x"]))
        say("lost", lost.number)


def main() -> None:
    path, at, kind, *rest = sys.argv[1:]
    harm = Harm(int(at), kind, for_ever=bool(rest))
    install(harm)
    try:
        run(Path(path))
    except TinytuneError as error:
        say("error", error)
    say("statements", harm.count)


if __name__ == "__main__":
    main()
