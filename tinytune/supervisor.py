"""Runs workers as processes of their own, and takes care of those that die.

A child that is killed, crashes or exits in the middle of a trial is noticed at once: its trial
is taken from it, to run again, and another child takes its place.
"""

from __future__ import annotations

import json
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tinytune import child, command, process
from tinytune.capture import Listener
from tinytune.checkpoints import BESIDE, Keeping
from tinytune.errors import TinytuneError
from tinytune.history import Output, RunningTrial
from tinytune.limits import NO_LIMITS, Guard, TrialLimits, Verdict
from tinytune.pace import Pace, PaceReader
from tinytune.store.writer import Store
from tinytune.worker import STOP_SIGNALS, StopReason

LOOK_SECONDS = 0.2  # how often the observer is called
GRACE_SECONDS = {signal.SIGINT: 10.0, signal.SIGTERM: 0.8, signal.SIGHUP: 0.8}
MAX_EARLY_DEATHS = 3  # children that die before they claim a trial


@dataclass(frozen=True)
class Order:
    """What the children are to do."""

    study: Path
    target: str
    source: str | None  # hash of the objective's text
    environment: str  # hash of what the children run in, which the study knows already
    deadline: float | None  # by time.monotonic()
    max_failures: int
    since_tick: int
    trial_limits: TrialLimits = NO_LIMITS
    debug: bool = False
    capture: bool = False  # keep what the trials print in the study
    checkpoints: Keeping = BESIDE
    repeats_only: bool = False  # run no trial but those that confirm others

    def text(self, descriptor: int, listener: Listener | None, pace: int | None = None) -> str:
        """Return the order as a child's argument, with what it inherits: socket, outputs, pace."""
        left = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        return json.dumps(
            {
                "study": str(self.study),
                "target": self.target,
                "source": self.source,
                "environment": self.environment,
                "timeout_seconds": left,
                "max_failures": self.max_failures,
                "since_tick": self.since_tick,
                "debug": self.debug,
                "socket": descriptor,
                "pace": pace,
                "repeats_only": self.repeats_only,
                "capture": None if listener is None else listener.order,
                "checkpoints": self.checkpoints.to_json(),
            }
        )


@dataclass(frozen=True)
class Ending:
    """How a session of work ended; `signal` is what interrupted it."""

    reason: StopReason
    signal: int | None = None


@dataclass
class _Child:
    process: subprocess.Popen[bytes]
    socket: socket.socket
    birth: str
    listener: Listener | None = None
    pace: PaceReader | None = None
    killed_by_us: bool = False

    def last_output(self) -> list[Output]:
        """Return what it has printed that is not kept yet, once it has ended."""
        if self.listener is None:
            return []
        self.listener.finish()
        return self.listener.collect(everything=True)


@dataclass
class Supervisor:
    """A few children at work on one study."""

    order: Order
    store: Store
    observe: Callable[[], None]
    notify: Callable[[str], None]
    hear: Callable[[Pace | None], None] | None = None  # how far the only trial is
    _children: dict[int, _Child] = field(default_factory=dict)
    _ended: queue.SimpleQueue[int | None] = field(default_factory=queue.SimpleQueue)
    _signal: int | None = None
    _signals: int = 0
    _kill_at: float | None = None
    _stopping: bool = False
    _early_deaths: int = 0
    _verdicts: dict[int, Verdict] = field(default_factory=dict)  # by process

    def run(self, workers: int) -> Ending:
        """Work with so many children until they have ended; TinytuneError is what one met."""
        is_command = self.order.target.startswith(command.TARGET)
        self._guard = Guard(self.order.trial_limits, of_group=is_command)
        before = {number: signal.signal(number, self._handle) for number in STOP_SIGNALS}
        try:
            for _ in range(workers):
                self._start()
            return self._watch()
        finally:
            self._kill()
            for pid in list(self._children):
                self._children[pid].process.wait()
                with suppress(TinytuneError):  # what brought us here is what is told
                    self._reap(pid)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _watch(self) -> Ending:
        failures, error = False, ""
        while self._children:
            pid = self._next_ended()
            if pid is not None:
                code, message = self._reap(pid)
                error = error or message
                failures = failures or code == child.EXIT_CODES[StopReason.FAILURES]
                if error or failures:
                    self._stop()
            self._heed_signals()
            self._guard_trials()
            self._keep_output()
            self._hear()
            self.observe()
        if error:
            raise TinytuneError(error)
        if self._signal is not None:
            return Ending(StopReason.INTERRUPTED, self._signal)
        late = self.order.deadline is not None and time.monotonic() >= self.order.deadline
        if failures:
            return Ending(StopReason.FAILURES)
        return Ending(StopReason.TIMEOUT if late and self._is_unfinished() else StopReason.DONE)

    def _heed_signals(self) -> None:
        """Stop the children after a signal; kill them after a second one, or if they dawdle."""
        if self._signal is None:
            return
        if self._kill_at is None:
            self._stop()
            self.notify("giving back the running trials; a second Ctrl-C ends at once")
            self._kill_at = time.monotonic() + GRACE_SECONDS[signal.Signals(self._signal)]
        if self._signals > 1 or time.monotonic() > self._kill_at:
            self._kill()

    def _guard_trials(self) -> None:
        """End the children whose trial has used more than it may."""
        if not self.order.trial_limits.any:
            return
        mine = [trial for trial in self.store.running() if self._is_mine(trial)]
        for verdict in self._guard.verdicts(mine):
            self._verdicts[verdict.pid] = verdict
            _end(self._children[verdict.pid].process)

    def _keep_output(self) -> None:
        for running in self._children.values():
            if running.listener is not None:
                self._keep(running.listener.collect())

    def _keep(self, outputs: Sequence[Output]) -> None:
        """Write what trials have printed; what cannot be written is no reason to end one."""
        if outputs:
            with suppress(TinytuneError):
                self.store.keep_output(outputs)

    def _hear(self) -> None:
        """Pass on how far the running trial is."""
        for running in self._children.values():
            if running.pace is not None and self.hear is not None:
                for pace in running.pace.latest():
                    self.hear(pace)

    def _hear_no_more(self, ended: _Child) -> None:
        if ended.pace is not None and self.hear is not None:
            ended.pace.close()
            self.hear(None)

    def _is_mine(self, trial: RunningTrial) -> bool:
        running = self._children.get(trial.pid)
        return running is not None and running.birth == trial.process.birth

    def _is_unfinished(self) -> bool:
        if self.order.repeats_only:
            return self.store.has_open_trials(repeats_only=True)
        record = self.store.study()
        if self.store.has_open_trials():
            return True
        if record.budget_steps is not None and self.store.steps() >= record.budget_steps:
            return False
        return record.budget is None or self.store.counted() < record.budget

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        listener = Listener() if self.order.capture else None
        stdout, stderr = (None, None) if listener is None else listener.outputs
        pace = None if self.hear is None else PaceReader()
        told = [] if pace is None else [pace.worker_end]
        # A signal that comes before the child can take it waits until it can.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            with theirs:
                running = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    [
                        sys.executable,
                        "-m",
                        "tinytune.child",
                        self.order.text(theirs.fileno(), listener, *told),
                    ],
                    pass_fds=[
                        theirs.fileno(),
                        *(listener.order["ends"] if listener else ()),
                        *told,
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        if listener is not None:
            listener.start()
        if pace is not None:
            pace.start()
        birth = process.birth(running.pid) or ""
        self._children[running.pid] = _Child(running, ours, birth, listener, pace)
        threading.Thread(target=self._await, args=(running,), daemon=True).start()

    def _await(self, running: subprocess.Popen[bytes]) -> None:
        running.wait()
        self._ended.put(running.pid)

    def _next_ended(self) -> int | None:
        try:
            return self._ended.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            return None

    def _reap(self, pid: int) -> tuple[int, str]:
        """Take in how a child ended; one that died is replaced. Return exit code and error."""
        ended = self._children.pop(pid)
        code = ended.process.returncode
        message = _received(ended.socket)
        self._keep(ended.last_output())
        self._hear_no_more(ended)
        left_behind = self.store.open_workers(pid, ended.birth)
        is_told_to_stop = self._stopping or self._signal is not None
        is_stopping = is_told_to_stop or ended.killed_by_us or bool(message)
        verdict = self._verdicts.pop(pid, None)
        if verdict is not None:
            self.store.condemn(verdict.token, verdict.reason)
        if ended.killed_by_us or verdict is not None:
            for worker in left_behind:  # what else they held is none of its trial's fault
                self.store.leave(worker)
            if not is_stopping:
                self._start()
            return code, message
        if left_behind:
            self.store.bury(left_behind, _ending(code))
            self._early_deaths = 0
        elif code == child.EXIT_ERROR and not message:  # a Python error of our own was printed
            return code, "a worker ended with an error, which is printed above"
        elif code in (0, child.EXIT_ERROR, *child.EXIT_CODES.values()) or is_stopping:
            return code, message
        else:
            self._early_deaths += 1
            if self._early_deaths >= MAX_EARLY_DEATHS:
                return (
                    code,
                    f"workers died before they could claim a trial: the last {_ending(code)}",
                )
        if not is_stopping:
            self._start()
        return code, message

    def _stop(self) -> None:
        """Ask every child to give its trial back and end; none is replaced from now on."""
        self._stopping = True
        for running in self._children.values():
            running.process.send_signal(signal.SIGTERM)

    def _kill(self) -> None:
        for running in self._children.values():
            running.killed_by_us = True
            _end(running.process)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._signals += 1
        self._signal = self._signal or number
        self._ended.put(None)  # wakes the loop


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill a child, and what its objective has started, which would go on without it."""
    started = process.started_by(child.pid)
    child.kill()
    process.end(started)


def _received(ours: socket.socket) -> str:
    """Return the error that a child sent before it ended."""
    with ours:
        parts = []
        ours.settimeout(1.0)
        try:
            while part := ours.recv(65536):
                parts.append(part)
        except OSError:
            pass
        return b"".join(parts).decode("utf-8", "replace")


def _ending(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"exited with code {code} in the middle of it"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = {"SIGKILL": " (out of memory?)", "SIGSEGV": " (segmentation fault)"}.get(name, "")
    return f"was killed by {name}{hint}"
