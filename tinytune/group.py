"""A command in a process group of its own, which ends with it, and with this process."""

from __future__ import annotations

import os
import select
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tinytune import keeper, meter
from tinytune.printed import STDERR, STDOUT

GRACE_SECONDS = 0.5  # between SIGTERM and SIGKILL; less than a worker itself is given
WORD = 0
_CHUNK = 65_536  # bytes
_LAST_CHUNKS = 32  # of a pipe whose command has ended: more than a pipe holds


class Group:
    """Runs a command: use it as a context manager, and iterate over its output to its end.

    `code` is its exit code then, negative for a signal; `problem` says why it could not start;
    `memory_mb` is its peak, None where it did not end by itself or when it was asked to. On
    leaving the block nothing of the group is left: it is asked to end if it has not, then killed.
    """

    def __init__(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.code: int | None = None
        self.problem = ""
        self.memory_mb: float | None = None
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._keeper = subprocess.Popen(  # noqa: S603 - what its user told us to run
                [sys.executable, "-I", "-S", keeper.__file__, str(theirs.fileno()), *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=environment,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self.code is None and not self.problem:
                self._signal(signal.SIGTERM)
                ends = select.poll()  # select itself takes no descriptor from 1,024 on
                ends.register(self._ours, select.POLLIN)
                if ends.poll(1000 * GRACE_SECONDS):
                    self._heed(self._ours.recv(_CHUNK))
        finally:
            self._ours.close()
            self._signal(signal.SIGKILL)  # the keeper may have been stopped, or be dead
            self._keeper.wait()
            for pipe in self._pipes:
                pipe.close()

    def output(self) -> Iterator[tuple[int, bytes]]:
        """Yield (STDOUT or STDERR, some bytes) as they come, until the command has ended.

        What others of its group still do then, in the background, is not waited for.
        """
        pipes = dict(zip((STDOUT, STDERR), self._pipes, strict=True))
        with selectors.DefaultSelector() as selector:
            selector.register(self._ours, selectors.EVENT_READ, WORD)
            for number, pipe in pipes.items():
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ, number)
            has_ended = False
            while not has_ended:
                ready = [key.data for key, _ in selector.select()]
                has_ended = WORD in ready
                if has_ended:
                    self._heed(self._ours.recv(_CHUNK))
                    self._signal(signal.SIGKILL)  # or what is read now might have no end
                for number in [n for n in pipes if has_ended or n in ready]:
                    for _ in range(_LAST_CHUNKS if has_ended else 1):
                        chunk = _chunk(pipes[number])
                        if not chunk:
                            break
                        yield number, chunk
                    if chunk == b"" and not has_ended:
                        selector.unregister(pipes.pop(number))

    @property
    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        stdout, stderr = self._keeper.stdout, self._keeper.stderr
        assert stdout is not None  # noqa: S101 - both are pipes
        assert stderr is not None  # noqa: S101
        return stdout, stderr

    def _heed(self, word: bytes) -> None:
        """Take in what the keeper said, which is nothing if it was killed."""
        kind, _, text = word.decode("utf-8", "replace").partition(" ")
        if kind == "status":
            status, maxrss = map(int, text.split())
            self.code = os.waitstatus_to_exitcode(status)
            self.memory_mb = meter.megabytes(maxrss)
        elif kind == "error":
            self.problem = text
        else:
            self.code = -signal.SIGKILL

    def _signal(self, number: int) -> None:
        # Before the keeper is waited for, its number is no one else's.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._keeper.pid, number)


def _chunk(pipe: IO[bytes]) -> bytes | None:
    """Return what is in a pipe, nothing at its end, None where there may be more later."""
    try:
        return os.read(pipe.fileno(), _CHUNK)
    except BlockingIOError:
        return None
