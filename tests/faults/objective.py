"""The objective of the torture: it keeps a record of its own of what it was promised.

A line of the record is written in one append, after what it says has happened: `S` a trial has
started, `R` a report has returned, `E` the objective returns its value. So an `R` is an
acknowledged report; and an `E` is an acknowledged result once its process has gone on to another
trial, which it does only after `tell` has returned.
"""

import os
import time
from dataclasses import dataclass
from typing import Annotated, ClassVar

import tinytune
from tinytune import Choice, Float, search
from tinytune.draw import uniform

REPORTS = 5


class Learner:
    """A search that learns: its suggestions depend on all results, and on their order."""

    size = None
    is_quick = False

    def __init__(self, seed):
        self._seed, self._state = seed, 0.5

    def tell(self, result):
        self._state = (self._state * 0.75 + (result.value or 0.0) + 0.01 * result.number) % 1.0

    def suggest(self, number, pending):
        shift = sum(p.params["x"] for p in pending)
        x = (uniform(self._seed, number, "learner") + self._state + 0.1 * shift) % 1.0
        return {"x": x, "kind": "a" if x < 0.5 else "b"}


@dataclass(frozen=True)
class LearnerOptions:
    name: ClassVar[str] = "learner"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = True
    exhausts: ClassVar[bool] = False

    def start(self, space, seed, first):
        return Learner(seed)


search.register(LearnerOptions)


def value(x: float, kind: str) -> float:
    return (x - 0.3) ** 2 + (0.125 if kind == "b" else 0.0)


@tinytune.trial(minimize="loss")
def torture(
    trial: tinytune.Trial,
    x: Annotated[float, Float(0.0, 1.0)] = 0.5,
    kind: Annotated[str, Choice("a", "b")] = "a",
    record: str = "",
    work_seconds: float = 0.02,
) -> float:
    descriptor = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(what: str, *facts: object) -> None:
        moment = time.clock_gettime(time.CLOCK_MONOTONIC)
        line = " ".join(map(str, (what, os.getpid(), f"{moment:.6f}", trial.number, *facts)))
        os.write(descriptor, f"{line}\n".encode())

    try:
        note("S", repr(x), kind)
        for step in range(REPORTS):
            time.sleep(work_seconds / REPORTS)
            trial.report(step, loss=x + step)
            note("R", step, repr(x + step))
        note("E", repr(value(x, kind)))
    finally:
        os.close(descriptor)
    return value(x, kind)
