"""The loop of one worker: claim a trial, run it, tell the result; and its signals."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from types import FrameType
from typing import ParamSpec, Protocol, TypeVar

from tinytune import process
from tinytune.context import Trial
from tinytune.errors import LeaseLostError, StudyFileError, TrialStopped
from tinytune.history import Outcome
from tinytune.objective import failure
from tinytune.pace import Pace
from tinytune.study import Study

P = ParamSpec("P")
T = TypeVar("T")
SIGNAL_SECONDS = 0.5  # how long the supervisor's word may take, where Ctrl-C went past us
POLL_SECONDS = 0.2  # how often to look whether the last running trials have ended, or come back
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopReason(Enum):
    """Why a worker stopped."""

    DONE = "done"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    FAILURES = "failures"


@dataclass(frozen=True)
class Limits:
    """When a worker stops before the budget is used up."""

    deadline: float | None = None  # by time.monotonic()
    max_failures: int = 10  # consecutive ones
    since_tick: int = 0  # failures before it belong to an earlier session

    def is_late(self) -> bool:
        """Return whether no new trial may be started."""
        return self.deadline is not None and time.monotonic() >= self.deadline


class Runnable(Protocol):
    """What a worker needs of an objective."""

    def run(self, trial: Trial, settings: Mapping[str, object]) -> Outcome:
        """Run one trial."""


class Interrupted(KeyboardInterrupt):
    """Raised in the objective when its worker is told to stop; `except Exception` lets it pass."""


class Interrupt:
    """The signals that tell a worker to stop; they break into the objective and nothing else."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.broke_in = False
        self.is_installed = False
        self._may_break_in = False
        self._arrived = threading.Event()

    def install(self) -> None:
        """Take over SIGINT, SIGTERM and SIGHUP in this process, which is a worker's own."""
        self.is_installed = True
        for number in STOP_SIGNALS:
            signal.signal(number, self._handle)

    @contextmanager
    def breaking_in(self) -> Iterator[None]:
        """Let a signal raise Interrupted within the block; at most once."""
        self._may_break_in = True
        try:
            if self.signal is not None:
                self._break_in()
            yield
        finally:
            self._may_break_in = False

    @contextmanager
    def held_off(self) -> Iterator[None]:
        """Let nothing break into a block, such as a write, inside the objective."""
        before, self._may_break_in = self._may_break_in, False
        try:
            yield
        finally:
            self._may_break_in = before
        if before and self.signal is not None and not self.broke_in:
            self._break_in()

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until a signal arrives."""
        self._arrived.wait(seconds)

    def is_meant_by(self, error: KeyboardInterrupt) -> bool:
        """Return whether somebody interrupts; an objective may also raise it by itself.

        It may have taken SIGINT over itself; then the supervisor tells its worker to stop.
        """
        if self.is_installed and not isinstance(error, Interrupted):
            self.wait(SIGNAL_SECONDS)
            return self.signal is not None
        return True

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.signal is None:
            self.signal = number
            self._arrived.set()
            if self._may_break_in:
                self._break_in()

    def _break_in(self) -> None:
        self._may_break_in = False
        self.broke_in = True
        raise Interrupted


def work(
    study: Study,
    objective: Runnable,
    limits: Limits,
    interrupt: Interrupt,
    observe: Callable[[], None] = lambda: None,
    show: Callable[[Pace | None], None] | None = None,
) -> StopReason:
    """Run trials until the study is over or a limit is reached, and return why it stopped.

    `observe` is called after each trial and while it waits; `show` is told how far a trial's loops
    are, None where nobody watches. While others still run trials it waits, since a trial whose
    worker dies must be run again.
    """
    while interrupt.signal is None:
        if limits.is_late():
            return StopReason.TIMEOUT
        trial = study.ask()
        if trial is None:
            if study.is_over():
                return StopReason.DONE
            observe()
            interrupt.wait(POLL_SECONDS)
            continue
        outcome = _run(study, objective, trial, interrupt, show)
        observe()
        failed = outcome is not None and outcome.state == "failed"
        if failed and study.reader.failures_since(limits.since_tick) >= limits.max_failures:
            return StopReason.FAILURES
    return StopReason.INTERRUPTED


def _run(
    study: Study,
    objective: Runnable,
    trial: Trial,
    interrupt: Interrupt,
    show: Callable[[Pace | None], None] | None,
) -> Outcome | None:
    """Run one trial and tell its outcome; None if it was given back or taken away."""
    broken: list[StudyFileError] = []
    trial = _held_off(trial, interrupt, broken)
    trial.show = show
    try:
        with interrupt.breaking_in():
            outcome = objective.run(trial, study.record.settings)
    except KeyboardInterrupt as error:
        if interrupt.is_meant_by(error):
            if interrupt.is_installed:  # what it has started would go on beside its next run
                process.end(process.started_by(os.getpid()))
            with suppress(LeaseLostError):
                study.give_back(trial)
            if not isinstance(error, Interrupted):  # no signals were taken over, or not all of them
                raise
            return None
        outcome = failure(error)
    except TrialStopped:
        outcome = Outcome("stopped")
    except BaseException as error:  # noqa: BLE001 - sys.exit() in an objective ends its trial alone
        outcome = failure(error)
    if broken:  # a full disk, for example, is no fault of the objective's: the trial runs again
        raise broken[0]
    with suppress(LeaseLostError):
        if interrupt.broke_in:
            # The objective went on all the same: its result is not to be trusted.
            study.give_back(trial)
            return None
        return study.tell(trial, outcome)
    return None


def _held_off(trial: Trial, interrupt: Interrupt, broken: list[StudyFileError]) -> Trial:
    """Return the trial with writes into which no signal breaks; what the file refuses is noted."""

    def guarded(do: Callable[P, T]) -> Callable[P, T]:
        def done(*args: P.args, **kwargs: P.kwargs) -> T:
            with interrupt.held_off():
                try:
                    return do(*args, **kwargs)
                except StudyFileError as error:
                    broken.append(error)
                    raise

        return done

    def write(step: int, metrics: Mapping[str, float]) -> str | None:
        trial.record(step, metrics, stop=False)
        return trial.stopped

    return Trial(
        trial.number,
        trial.params,
        trial.seed,
        guarded(write),
        trial.attempt,
        guarded(trial.save),
        guarded(trial.load),
        trial.find_folder,
    )
