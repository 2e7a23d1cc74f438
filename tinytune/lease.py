"""Who holds which trial, and whether they still live.

A worker of this machine is dead when its process is gone; that is known at once. A worker that
cannot be looked at (another host or container) is dead when its beat has not changed for
LEASE_SECONDS by this process's own monotonic clock: no two clocks are ever compared.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tinytune import process
from tinytune.errors import TinytuneError
from tinytune.process import Identity
from tinytune.store.fenced import LEASE_SECONDS
from tinytune.store.writer import Store

BEAT_SECONDS = LEASE_SECONDS / 4
LOOK_SECONDS = 0.1  # at most so often are other processes looked at


class Watch:
    """Looks after the workers that hold a trial, and names the dead."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked = -LOOK_SECONDS
        self._beats: dict[int, tuple[int, float]] = {}  # worker -> its beat, and since when

    def is_due(self) -> bool:
        """Return whether it is time to look again, and begin a new interval if so."""
        now = self._clock()
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        return True

    def dead(self, workers: Mapping[int, tuple[int, Identity]]) -> list[int]:
        """Return which of these workers (id -> beat, process) are dead."""
        return [
            worker for worker, (beat, who) in workers.items() if self._is_dead(worker, beat, who)
        ]

    def _is_dead(self, worker: int, beat: int, who: Identity) -> bool:
        if who == process.BY_HAND:  # `tinytune tell` or `release` will come
            return False
        gone = process.is_dead(who)
        if gone is not None:
            return gone
        now = self._clock()
        last, since = self._beats.get(worker, (None, now))
        if last != beat:
            since = now
        self._beats[worker] = (beat, since)
        return now - since >= LEASE_SECONDS


class Heart(threading.Thread):
    """Shows, while it runs, that a worker lives; it has its own connection to the file."""

    def __init__(self, path: Path, worker: int) -> None:
        super().__init__(name="tinytune heart", daemon=True)
        self._path, self._worker = path, worker
        self._stopped = threading.Event()

    def run(self) -> None:
        """Beat until stopped; a beat that cannot be written is tried again at the next one."""
        while not self._stopped.wait(BEAT_SECONDS):
            with suppress(TinytuneError), Store(self._path) as store:
                store.beat(self._worker)

    def stop(self) -> None:
        """Stop beating."""
        self._stopped.set()
        if self.is_alive():
            self.join()
