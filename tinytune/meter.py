"""Measures what an attempt takes: time, processor and memory, as far as the system tells.

Processor time is that of this process and of its children that have ended; threads that run other
trials at the same time count too. The peak of memory is that of this process alone. Linux lets it
be set back, so that it is the attempt's own; elsewhere it is the process's since it began, and an
attempt after a larger one shows the larger one's.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress

from tinytune.history import Cost

try:
    import resource
except ImportError:  # only systems like Unix have it
    resource = None  # type: ignore[assignment]

MEGABYTE = 1e6  # bytes
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss
_OWN = "/proc/self"
_RESET = b"5"  # of clear_refs: set the peak back to what is in use now, see proc(5)


class Meter:
    """Begins to measure when it is made."""

    def __init__(self, already_seconds: float = 0.0) -> None:
        """`already_seconds` it has been running, perhaps elsewhere: then time alone is known."""
        self._began = time.monotonic() - already_seconds
        self._is_whole = not already_seconds
        if self._is_whole:
            _forget_peak()
        self._cpu = cpu_seconds()

    def read(self, steps: int | None = None) -> Cost:
        """Return what it took until now, with the number of steps that its owner has counted."""
        seconds = time.monotonic() - self._began
        now = cpu_seconds()
        if not self._is_whole or self._cpu is None or now is None:
            return Cost(seconds, steps=steps)
        return Cost(seconds, max(0.0, now - self._cpu), peak_mb(), steps)


def cpu_seconds() -> float | None:
    """Return the processor time of this process and its ended children, None if not known."""
    if resource is None:
        return None
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def peak_mb() -> float | None:
    """Return the most memory that this process had in use at once, in 10^6 bytes."""
    with suppress(OSError, ValueError, IndexError):
        status = _whole(f"{_OWN}/status")
        return int(status.partition(b"VmHWM:")[2].split(None, 1)[0]) * 1024 / MEGABYTE
    if resource is None:
        return None
    return megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def megabytes(maxrss: int) -> float:
    """Return what the system tells as ru_maxrss in 10^6 bytes."""
    return maxrss * _MAXRSS_BYTES / MEGABYTE


def _forget_peak() -> None:
    with suppress(OSError):  # not Linux, or not allowed
        file = os.open(f"{_OWN}/clear_refs", os.O_WRONLY)
        try:
            os.write(file, _RESET)
        finally:
            os.close(file)


def _whole(path: str) -> bytes:
    """Return a small file of the system's; without a buffer, since it is read for every trial."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 65_536)
    finally:
        os.close(file)
