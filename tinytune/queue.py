"""The queue of tinytune's writers before a study's write-ahead log, and what syncs the log."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

from tinytune.errors import StudyFileError
from tinytune.files import opened

_GATE, _COUNTER = 0, 1  # bytes of the log that are locked
_fsync = getattr(os, "fdatasync", os.fsync)  # as SQLite does


class UnconfirmedError(StudyFileError):
    """What was written is in the file, but the disk has not confirmed it."""

    def __init__(self, path: Path, what: str, why: str | None, then: str) -> None:
        super().__init__(
            f"{path}: {what} is recorded, but the disk has not confirmed it ({why}), and a power "
            f"failure could undo it: check the disk, then resume; {then}"
        )
        self.why = why


class Queue:
    """One connection's place in the kernel's queue, in place of asking SQLite over and over.

    With 64 processes the asking alone took all of two processors. The locks are on the write-ahead
    log, on which SQLite takes none; they keep order and protect nothing, so no harm is done where
    they cannot be had or are lost. There are two, as at a counter with a gate: who has just been
    served must go to the end of the queue before the gate, and cannot slip in again before the next
    one has woken up.
    """

    def __init__(self, path: Path, file: Path) -> None:
        """Open the log of a study's `file`, which `path` is in messages; OSError if there is none.

        It stays the same file for as long as a connection of this process is open.
        """
        self._path = path
        self._log = opened(f"{file.resolve()}-wal", os.O_RDWR)
        self._pid = os.getpid()
        # Also where nobody closes it.
        self.close = weakref.finalize(self, os.close, self._log)

    def wait(self) -> None:
        """Wait for a turn to write."""
        if self._pid != os.getpid():
            return
        try:
            fcntl.lockf(self._log, fcntl.LOCK_EX, 1, _GATE)
            fcntl.lockf(self._log, fcntl.LOCK_EX, 1, _COUNTER)
            fcntl.lockf(self._log, fcntl.LOCK_UN, 1, _GATE)
        except OSError:
            return

    def leave(self) -> None:
        """Let the next one have its turn."""
        if self._pid != os.getpid():
            return
        try:
            fcntl.lockf(self._log, fcntl.LOCK_UN, 2, _GATE)
        except OSError:
            return

    def sync(self) -> None:
        """Make durable what was committed, while the next one has its turn already.

        At synchronous=FULL SQLite would sync the same file, but before it lets go of its write
        lock: all others would wait for the disk as well, and two settings a trial would have to be
        parsed. What was committed earlier lies before it in the log, and becomes durable with it;
        what others have folded into the file by now was synced before and after that.
        UnconfirmedError where the disk fails.
        """
        try:
            _fsync(self._log)
        except OSError as error:
            raise UnconfirmedError(
                self._path, "what was written last", error.strerror, "see then whether it is there"
            ) from error
