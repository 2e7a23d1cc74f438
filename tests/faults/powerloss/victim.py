"""Works on a study under shim.c, and says what it was promised.

Run as `python victim.py PATH PLAN [OPTION]`.
Plans: `whole` creates the study, works, closes it, works again, raises the budget and ends without
closing; `share` does some of the trials beside another process. Options: `rollback` (as on a
network file system), `careless` (results are not synced: the test must notice).
"""

import ctypes
import json
import os
import sys
from pathlib import Path

from tests.studies import record
from tinytune import db, queue
from tinytune import study as study_module
from tinytune.study import Study

BUDGET, RAISED = 12, 14
REPORTS = 3


def value_of(number: int) -> float:
    return 1 / (number + 1)


def curve_of(number: int) -> dict[int, float]:
    return {step: number + step / 8 for step in range(REPORTS)}


def promised(**what: object) -> None:
    ctypes.CDLL(None).powerloss_mark(json.dumps(what).encode())


def create(path: Path) -> None:
    study_module.start(path, record(budget=BUDGET), None)
    promised(budget=BUDGET)


def work(study: Study, count: int) -> None:
    for _ in range(count):
        trial = study.ask()
        for step, value in curve_of(trial.number).items():
            trial.report(step, loss=value)
        if trial.number % 2:
            os.utime(study.path, (0, 0))  # the last checkpoint is long ago: it is time for one
        study.tell(trial, value_of(trial.number))
        promised(trial=trial.number)


def whole(path: Path) -> None:
    create(path)
    with Study(path) as study:
        work(study, 5)
    study = Study(path)
    work(study, 3)
    study_module.set_budget(path, RAISED)
    promised(budget=RAISED)
    work(study, 4)
    os._exit(0)


def share(path: Path) -> None:
    print("ready", flush=True)
    input()
    create(path)
    with Study(path) as study:
        work(study, BUDGET // 2)


def be_careless() -> None:
    """Make every commit of a write-ahead log as cheap as a report's."""
    queue._fsync = lambda log: None


if __name__ == "__main__":
    options = sys.argv[3:]
    if "rollback" in options:
        db.file_system = lambda path: "nfs4"
    if "careless" in options:
        be_careless()
    {"whole": whole, "share": share}[sys.argv[2]](Path(sys.argv[1]))
