"""What trials print, kept in the study: workers mark where attempts begin, a supervisor listens.

A worker's standard output and error are pipes to its supervisor, which lives on when the worker is
killed or crashes: what was printed until then is kept. Marks stand in the outputs themselves, so
nothing is put down to the wrong attempt. No log fails a trial: what cannot be kept is lost.
"""

from __future__ import annotations

import codecs
import os
import selectors
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tinytune import files
from tinytune.context import Trial
from tinytune.history import Outcome, Output
from tinytune.repeated import Runnable

HEAD, TAIL = 16_384, 49_152  # characters that are kept of a stream: its beginning and its end
LIVE_SECONDS = 2.0  # how often the output of a running attempt is written
STREAMS = {1: "stdout", 2: "stderr"}
_CHUNK = 65_536  # bytes


class Recorder:
    """A worker's part: it marks the beginning and the end of each attempt in both outputs."""

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode()
        # The objective may close or replace its own.
        self._ours = {number: files.duplicate(number) for number in STREAMS}
        with suppress(AttributeError, OSError, ValueError):
            for stream in (sys.stdout, sys.stderr):  # a killed process does not flush
                stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    @contextmanager
    def attempt(self, trial: Trial) -> Iterator[None]:
        """Mark what is printed in a block as one attempt's; each has its own Python warnings."""
        self._write(f"{trial.number} {trial.attempt}")
        try:
            with warnings.catch_warnings():  # else a worker would show each of them once
                yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(AttributeError, OSError, ValueError):
                    stream.flush()
            self._write("end")

    def _write(self, text: str) -> None:
        for number, ours in self._ours.items():
            with suppress(OSError):
                os.write(ours, b"\0" + self._mark + text.encode() + b"\n")
            with suppress(OSError):
                if not _is_open(number):  # or the next file would become the standard output
                    os.dup2(ours, number)


class Recorded:
    """An objective whose output is recorded, attempt by attempt."""

    def __init__(self, objective: Runnable, recorder: Recorder) -> None:
        self._objective, self._recorder = objective, recorder

    def run(self, trial: Trial, settings: Mapping[str, object]) -> Outcome:
        """Run one trial."""
        with self._recorder.attempt(trial):
            return self._objective.run(trial, settings)


@dataclass
class _Excerpt:
    """What is kept of one output of one attempt."""

    trial: int
    attempt: int
    stream: str
    head: str = ""
    tail: str = ""
    left_out: int = 0  # characters between the two
    is_new: bool = False  # since it was last collected
    collected: float = 0.0  # by time.monotonic()
    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def add(self, chunk: bytes) -> None:
        text = self.decoder.decode(chunk).replace("\0", "\N{REPLACEMENT CHARACTER}")
        more = text[: max(0, HEAD - len(self.head))] if not self.tail else ""
        self.head += more
        tail = self.tail + text[len(more) :]
        self.tail = tail[-TAIL:]
        self.left_out += len(tail) - len(self.tail)
        self.is_new = self.is_new or bool(text)

    def record(self) -> Output:
        return Output(self.trial, self.attempt, self.stream, self.head, self.tail, self.left_out)


class _Cutter:
    """Cuts one output at its marks."""

    def __init__(self, mark: bytes, number: int) -> None:
        self._mark, self._number = b"\0" + mark, number
        self._rest = b""
        self.current: _Excerpt | None = None
        self.ended: list[_Excerpt] = []

    def take(self, chunk: bytes, *, is_last: bool = False) -> None:
        """Take in what came."""
        data = self._rest + chunk
        while (start := data.find(self._mark)) >= 0:
            end = data.find(b"\n", start)
            if end < 0:
                break
            self._add(data[:start])
            self._turn(data[start + len(self._mark) : end].decode("ascii", "replace"))
            data = data[end + 1 :]
        keep = len(data) - start if start >= 0 else _overlap(data, self._mark)
        keep = 0 if is_last or keep > 200 else keep  # a mark is shorter
        self._add(data[: len(data) - keep])
        self._rest = data[len(data) - keep :]
        if is_last:
            self._turn("end")

    def _turn(self, text: str) -> None:
        if self.current is not None:
            self.ended.append(self.current)
        words = text.split()
        self.current = None
        if len(words) == 2 and all(word.isdecimal() for word in words):
            self.current = _Excerpt(int(words[0]), int(words[1]), STREAMS[self._number])

    def _add(self, chunk: bytes) -> None:
        if self.current is not None:
            self.current.add(chunk)
        elif chunk:  # while the objective is loaded, for example
            with suppress(OSError):
                os.write(self._number, chunk)


class Listener:
    """A supervisor's part: a thread that reads what one worker prints, until `finish`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.mark = f"tinytune {os.urandom(8).hex()} "
        self._pipes = {number: os.pipe() for number in STREAMS}
        self._cutters = {number: _Cutter(self.mark.encode(), number) for number in STREAMS}
        self._lock = threading.Lock()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def outputs(self) -> tuple[int, int]:
        """The descriptors that are to be the worker's standard output and error."""
        return self._pipes[1][1], self._pipes[2][1]

    @property
    def order(self) -> dict[str, Any]:
        """What the worker must know; it inherits our ends of the pipes.

        So that its objective, when we are killed, meets no broken pipe before its worker stops.
        """
        return {"mark": self.mark, "ends": [self._pipes[number][0] for number in STREAMS]}

    def start(self) -> None:
        """Listen, once the worker has its ends."""
        for output in self.outputs:
            os.close(output)
        for number in STREAMS:
            os.set_blocking(self._pipes[number][0], False)
        self._thread.start()

    def finish(self) -> None:
        """Read what an ended worker has left; its own children's later output is nobody's."""
        self._wake.close()
        self._thread.join()

    def collect(self, *, everything: bool = False) -> list[Output]:
        """Return the outputs that have grown: all that ended, and now and then those that run."""
        now = self._clock()
        with self._lock:
            found = []
            for cutter in self._cutters.values():
                found += cutter.ended
                cutter.ended = []
                current = cutter.current
                if current and (everything or now - current.collected >= LIVE_SECONDS):
                    found.append(current)
            found = [excerpt for excerpt in found if excerpt.is_new]
            for excerpt in found:
                excerpt.is_new, excerpt.collected = False, now
            return [excerpt.record() for excerpt in found]

    def _listen(self) -> None:
        ends = {number: self._pipes[number][0] for number in STREAMS}
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ, 0)
            for number, end in ends.items():
                selector.register(end, selectors.EVENT_READ, number)
            is_last = False
            while not is_last:
                ready = [key.data for key, _ in selector.select()]
                is_last = 0 in ready
                for number in [n for n in ends if is_last or n in ready]:
                    if not self._read(number, ends[number], is_last=is_last):
                        selector.unregister(ends[number])
        for end in (*ends.values(), self._woken.detach()):
            os.close(end)

    def _read(self, number: int, end: int, *, is_last: bool) -> bool:
        """Take in a chunk, or all that is there at last; return whether there may be more."""
        chunk: bytes | None = b""
        for _ in range(32 if is_last else 1):
            try:
                chunk = os.read(end, _CHUNK)
            except OSError:  # nothing is there now
                chunk = None
            if not chunk:
                break
            with self._lock:
                self._cutters[number].take(chunk)
        if is_last:
            with self._lock:
                self._cutters[number].take(b"", is_last=True)
        return is_last or chunk != b""


def swallow(ends: Sequence[int]) -> None:
    """Read and forget what this process prints: its supervisor, which would, has died."""
    with suppress(OSError), selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                with suppress(BlockingIOError):
                    os.read(key.fd, _CHUNK)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _overlap(data: bytes, mark: bytes) -> int:
    """Return how much of the end of some data may be the beginning of a mark."""
    start = data.rfind(mark[:1], max(0, len(data) - len(mark)))
    return len(data) - start if start >= 0 and mark.startswith(data[start:]) else 0
