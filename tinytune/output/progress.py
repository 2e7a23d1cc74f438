"""The live line of a running study, and how times and curves are written."""

from __future__ import annotations

import math
import re
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tinytune.bounds import is_finite
from tinytune.errors import UsageError
from tinytune.history import STATES, Goal, Progress
from tinytune.output.formats import clean
from tinytune.pace import Pace
from tinytune.store.reader import Reader

LINE_SECONDS = 30.0  # how often a line is printed where there is no terminal
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1, "": 1}
_BARS = "▁▂▃▄▅▆▇█"
_DECADES = 100.0  # a factor between values from which a curve is drawn by logarithms


class Live:
    """Shows how far a study is: a line that changes on a terminal, one now and then elsewhere."""

    def __init__(self, path: Path, goal: Goal, *, quiet: bool, repeats_only: bool = False) -> None:
        self._path, self._goal, self._quiet = path, goal, quiet
        self._repeats_only = repeats_only  # configurations are run again, and nothing else
        self._terminal = sys.stderr.isatty()
        self._began = time.monotonic()
        self._at_start: int | None = None  # trials that had ended before
        self._first: tuple[int, float] | None = None  # as the first one ended: how many, when
        self._due = self._began + (0 if self._terminal else LINE_SECONDS)
        self._line = ""  # the study's
        self._pace: Pace | None = None  # of the only trial that is running

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._terminal and not self._quiet:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    @property
    def seconds(self) -> float:
        """How long the session has lasted."""
        return time.monotonic() - self._began

    def note(self, text: str) -> None:
        """Show a line above the live one."""
        if not self._quiet:
            sys.stderr.write("\r\x1b[K" if self._terminal else "")
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def observe(self, reader: Reader) -> None:
        """Show the state of things, if it is time to."""
        now = time.monotonic()
        if self._quiet or now < self._due:
            return
        progress = reader.progress(self._goal)
        # A large study takes long to count: look less often then.
        took = time.monotonic() - now
        self._due = now + (max(0.2, 20 * took) if self._terminal else LINE_SECONDS)
        if self._repeats_only:
            progress = progress._replace(
                counts={state: progress.repeats.get(state, 0) for state in STATES},
                budget=sum(progress.repeats.values()),
            )
        self._line = progress_line(progress, self._goal, self._rate(progress.ended, now))
        if self._terminal:
            self._draw()
        else:
            sys.stderr.write(f"{self._line}\n")
            sys.stderr.flush()

    @property
    def shows_pace(self) -> bool:
        """Whether anybody sees how far the running trial is."""
        return self._terminal and not self._quiet

    def pace(self, pace: Pace | None) -> None:
        """Show how far the only running trial is, None once its loop is over."""
        is_new = pace != self._pace
        self._pace = pace
        if self.shows_pace and is_new:
            self._draw()

    def _draw(self) -> None:
        parts = [pace_line(self._pace)] if self._pace else []
        parts += [self._line] if self._line else []
        width = shutil.get_terminal_size().columns
        sys.stderr.write(f"\r\x1b[K{' · '.join(parts)[: width - 1]}")
        sys.stderr.flush()

    def _rate(self, ended: int, now: float) -> float:
        """Return the trials a second, counted from when the first one was seen to end.

        What came before that was the workers' loading.
        """
        if self._at_start is None:
            self._at_start = ended
        if ended == self._at_start:
            return 0.0
        if self._first is None:
            self._first = (ended, now)
        before, since = self._first
        return (ended - before) / (now - since) if now > since else 0.0


def progress_line(progress: Progress, goal: Goal, rate: float) -> str:
    """Return the line: done / budget, running, rate in trials a second, time left, best so far."""
    budget = "" if progress.budget is None else f"/{progress.budget}"
    parts = [f"{progress.ended}{budget} trials", f"{progress.counts['running']} running"]
    if progress.counts["failed"]:
        parts.append(f"{progress.counts['failed']} failed")
    if rate:
        parts.append(f"{rate:.3g}/s" if rate >= 1 else f"{60 * rate:.3g}/min")
        if progress.budget is not None:
            parts.append(f"{duration((progress.budget - progress.ended) / rate)} left")
    if progress.best is not None:
        parts.append(f"best {goal.name} {progress.best.value:.6g} (trial {progress.best.number})")
    return " · ".join(parts)


def pace_line(pace: Pace) -> str:
    """Return how far a trial is: `trial 12: step 34/100, 12 s left, error 0.31`."""
    loops = [f"{done}" if total is None else f"{done}/{total}" for done, total in pace.loops]
    parts = [f"step {' + '.join(loops)}"]
    if pace.seconds_left is not None:
        parts.append(f"{duration(pace.seconds_left)} left")
    parts += [f"{name} {value:.4g}" for name, value in pace.metrics.items()]
    return clean(f"trial {pace.trial}: {', '.join(parts)}")


def duration(seconds: float) -> str:
    """Return a duration for people: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def seconds_of(text: float | str) -> float:
    """Return the seconds of "90", "90s", "10m", "2h", "1h30m" or "1d"; UsageError if it is none."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms]?)", str(text))
    if not parts or "".join(number + unit for number, unit in parts) != str(text).replace(" ", ""):
        raise UsageError(f"{text!r} is no duration: write 90s, 10m, 2h or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


class Counter:
    """A line on the terminal that counts, for what takes longer than a moment; gone at the end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._due = time.monotonic() + 0.5
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def show(self, done: int, total: int) -> None:
        """Show how far it is, ten times a second."""
        if time.monotonic() < self._due or not sys.stderr.isatty():
            return
        sys.stderr.write(f"\r{self._what}: {done:,} of {total:,}\x1b[K")
        sys.stderr.flush()
        self._due, self._shown = time.monotonic() + 0.1, True


def bytes_of(text: float | str) -> int:
    """Return the bytes of "500M", "2G" or a number of bytes; UsageError if it is none."""
    if isinstance(text, (int, float)) and is_finite(text):
        return int(text)
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", str(text), re.IGNORECASE)
    if found is None:
        raise UsageError(f"{text!r} is no amount of memory: write 500M or 2G")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Return a curve as a row of block characters, at most so many.

    Values above 0 that differ by more than a factor of 100 are shown by their logarithms, or all
    but the first of a curve that falls by decades would lie on the ground.
    """
    if not values:
        return ""
    count = min(width, len(values))
    picked = [values[round(i * (len(values) - 1) / max(count - 1, 1))] for i in range(count)]
    if min(picked) > 0.0 and max(picked) > _DECADES * min(picked):
        picked = [math.log(value) for value in picked]
    low, high = min(picked), max(picked)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((value - low) * scale)] for value in picked)
