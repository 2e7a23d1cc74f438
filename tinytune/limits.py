"""Looks after a session's running trials: how long they take, and how much memory they use."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tinytune import process
from tinytune.errors import UsageError
from tinytune.history import RunningTrial, Token


@dataclass(frozen=True)
class TrialLimits:
    """What one trial may use; None: no limit."""

    seconds: float | None = None
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds > 0:
            raise UsageError(f"a trial's time limit must be above 0 s, not {self.seconds:g}")
        if self.memory_bytes is not None and self.memory_bytes < 1:
            raise UsageError(f"a trial's memory limit must be above 0, not {self.memory_bytes}")

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return self.seconds is not None or self.memory_bytes is not None


NO_LIMITS = TrialLimits()


@dataclass(frozen=True)
class Verdict:
    """A trial that has used too much, and what is written about it."""

    token: Token
    pid: int
    reason: str


class Guard:
    """Remembers since when each trial has been running, by a clock that nobody sets."""

    def __init__(
        self,
        limits: TrialLimits,
        clock: Callable[[], float] = time.monotonic,
        memory_of: Callable[[int], int] | None = None,
        *,
        of_group: bool = False,
    ) -> None:
        """With `of_group` the memory is that of the process groups that a worker has begun."""
        self._limits, self._clock = limits, clock
        self._user = "the command with all that it has started" if of_group else "its process"
        own = partial(group_bytes, most=limits.memory_bytes or 0) if of_group else resident_bytes
        self._memory_of = own if memory_of is None else memory_of
        self._since: dict[Token, float] = {}

    def verdicts(self, running: Iterable[RunningTrial]) -> list[Verdict]:
        """Return which of these trials must end now."""
        now = self._clock()
        trials = {trial.token: trial for trial in running}
        self._since = {token: self._since.get(token, now) for token in trials}
        found = []
        for token, trial in trials.items():
            reason = self._reason(now - self._since[token], trial.pid)
            if reason is not None:
                found.append(Verdict(token, trial.pid, reason))
        return found

    def _reason(self, seconds: float, pid: int) -> str | None:
        limits = self._limits
        if limits.seconds is not None and seconds > limits.seconds:
            return f"it ran longer than its limit of {limits.seconds:g} s (--trial-timeout)"
        if limits.memory_bytes is not None:
            used = self._memory_of(pid)
            if used > limits.memory_bytes:
                return (
                    f"{self._user} used {used / 1e6:,.0f} MB of memory, more than its limit of "
                    f"{limits.memory_bytes / 1e6:,.0f} MB (--max-memory)"
                )
        return None


def resident_bytes(pid: int) -> int:
    """Return the memory that a process has in use, 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def group_bytes(worker: int, most: int) -> int:
    """Return the memory of the process groups that a worker's children lead.

    It is the sum of what each process has in use. Where that is above `most`, pages that several of
    them share are counted once, as far as the system tells.
    """
    processes = list(process.listed())
    groups = {pid for pid, parent, group, *_ in processes if parent == worker and group == pid}
    members = {pid: used for pid, _, group, _, used in processes if group in groups}
    total = sum(members.values())
    if total <= most:
        return total
    return sum(min(used, _proportional_bytes(pid, used)) for pid, used in members.items())


def _proportional_bytes(pid: int, otherwise: int) -> int:
    """Return what a process has in use, of shared pages only its share."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_bytes()
        return int(text.partition(b"\nPss:")[2].split(None, 1)[0]) * 1024
    except (OSError, ValueError, IndexError):
        return otherwise
