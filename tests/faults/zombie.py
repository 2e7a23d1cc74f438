"""A worker that the others cannot look at, as if it were on another host, with a short lease.

    python -m tests.faults.zombie STUDY RECORD GATE [CLOCK_SHIFT_SECONDS]

It works on the study as any worker does; its trials wait at the gate and report before and after.
While a file GATE.suspend exists, it suspends itself there, in the middle of no transaction: who is
suspended within one holds SQLite's lock, and everybody waits until he goes on.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from tinytune import lease, process
from tinytune.decorator import trial as decorator
from tinytune.store.writer import Store
from tinytune.study import Study
from tinytune.worker import Interrupt, Limits, work

lease.LEASE_SECONDS, lease.BEAT_SECONDS = 1.0, 0.1
process.is_dead = lambda who: None

beating = threading.Lock()
beat = Store.beat


def beat_alone(store: Store, worker: int) -> None:
    with beating:
        beat(store, worker)


Store.beat = beat_alone


def main() -> None:
    path, record, gate, *shift = sys.argv[1:]
    if shift:
        real = time.time
        time.time = lambda: real() + float(shift[0])

    def note(*words: object) -> None:
        with Path(record).open("a", encoding="utf-8") as file:
            file.write(" ".join(map(str, (os.getpid(), *words))) + "\n")

    def objective(trial, x, kind, n=3, value=0.5):
        note("started", trial.number)
        trial.report(0, loss=x)
        while not Path(gate).exists():
            if Path(gate + ".suspend").exists():
                with beating:
                    os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0.005)
        try:
            trial.report(1, loss=x)
            note("reported", trial.number)
        except Exception as error:
            note("refused", trial.number, type(error).__name__)
            raise
        return x

    from tests.studies import SPACE
    from tinytune.context import Trial

    objective.__annotations__ = {"trial": Trial}
    space = {parameter.name: parameter.distribution for parameter in SPACE.parameters}
    tuned = decorator(space=space, minimize="loss")(objective)
    with Study(path) as study:
        print(work(study, tuned, Limits(), Interrupt()).value)


if __name__ == "__main__":
    main()
