"""Looks after a session's running trials: how long they take, and how much memory they use."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tinytune.history import RunningTrial, Token


@dataclass(frozen=True)
class TrialLimits:
    """What one trial may use; None: no limit."""

    seconds: float | None = None
    memory_bytes: int | None = None

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
    ) -> None:
        self._limits, self._clock = limits, clock
        self._memory_of = resident_bytes if memory_of is None else memory_of
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
                    f"its process used {used / 1e6:,.0f} MB of memory, more than its limit of "
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
