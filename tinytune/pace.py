"""How far a running trial's loops are: what a worker tells whoever shows it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

LONGEST_NAME = 40  # characters of a metric's name; a message must fit a pipe's 4,096 atomic bytes
MOST_METRICS = 2
MOST_LOOPS = 5


@dataclass(frozen=True)
class Pace:
    """How far a trial is: its loops, the outermost first, and its latest numbers.

    Each loop is (steps done, steps in all or None). `began_at` is the step at which the outermost
    one began, `seconds` how long ago that was.
    """

    trial: int
    loops: tuple[tuple[int, int | None], ...]
    began_at: int = 0
    seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds_left(self) -> float | None:
        """How long the outermost loop will go on like this, None where that cannot be told."""
        done, total = self.loops[0]
        if total is None or done <= self.began_at:
            return None
        return (total - done) * self.seconds / (done - self.began_at)


def written(pace: Pace | None) -> bytes:
    """Return a pace as a line; None is that no loop runs any more."""
    if pace is None:
        return b"null\n"
    shown = list(pace.metrics.items())[:MOST_METRICS]
    metrics = {name[:LONGEST_NAME]: value for name, value in shown}
    loops = pace.loops[:MOST_LOOPS]
    return json.dumps([pace.trial, loops, pace.began_at, pace.seconds, metrics]).encode() + b"\n"


def read(line: bytes) -> Pace | None:
    """Return what a line tells; ValueError where it is none."""
    try:
        found = json.loads(line)
        if found is None:
            return None
        trial, loops, began_at, seconds, metrics = found
        pairs = tuple((int(done), None if total is None else int(total)) for done, total in loops)
        if not pairs:
            raise ValueError("no loop")
        numbers = {str(name): float(value) for name, value in metrics.items()}
        return Pace(int(trial), pairs, int(began_at), float(seconds), numbers)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"no pace: {line!r:.80}") from error


def teller(descriptor: int) -> Callable[[Pace | None], None]:
    """Return what tells paces to a supervisor; what it is too busy for is lost."""
    os.set_inheritable(descriptor, False)
    os.set_blocking(descriptor, False)

    def tell(pace: Pace | None) -> None:
        with suppress(OSError):  # the pipe is full, or the supervisor has died
            os.write(descriptor, written(pace))

    return tell


class PaceReader:
    """A supervisor's end of a pipe through which one worker tells its pace."""

    def __init__(self) -> None:
        self._end, self.worker_end = os.pipe()
        self._rest = b""
        os.set_blocking(self._end, False)

    def start(self) -> None:
        """Leave the worker's end to the worker."""
        os.close(self.worker_end)

    def latest(self) -> Iterator[Pace | None]:
        """Yield the latest pace, if one has come since the last time."""
        try:
            data = self._rest + os.read(self._end, 65_536)
        except OSError:  # nothing has come
            return
        *lines, self._rest = data.split(b"\n")
        if lines:
            with suppress(ValueError):
                yield read(lines[-1])

    def close(self) -> None:
        """Close our end, once the worker has ended."""
        os.close(self._end)
