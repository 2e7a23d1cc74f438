"""Connections to a study's file: the only PRAGMAs, and where sqlite3's errors are caught."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from tinytune.errors import StudyFileError
from tinytune.schema import APPLICATION_ID, SCHEMA_VERSION, migrate, schema_sql

BUSY_SECONDS = 60.0  # how long to wait for other processes' transactions before giving up
CHECKPOINT_SECONDS = 1.0  # at most so often is the journal folded into the file
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs"}
    | {"lustre", "beegfs", "gpfs", "fuse.sshfs"}
)
_BUSY, _LOCKED = 5, 6  # SQLITE_BUSY, SQLITE_LOCKED

Row: TypeAlias = tuple[Any, ...]
Arguments: TypeAlias = Sequence[object]
T = TypeVar("T")


class Database:
    """One connection to a study's file; threads may share it, processes may not."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._journal = ""
        self._synchronous = ""

    def one(self, sql: str, arguments: Arguments = ()) -> Row | None:
        """Return the first row, or None."""
        row: Row | None = self._attempt(lambda: self._execute(sql, arguments).fetchone())
        return row

    def all(self, sql: str, arguments: Arguments = ()) -> list[Row]:
        """Return all rows."""
        return self._attempt(lambda: self._execute(sql, arguments).fetchall())

    def change(self, sql: str, arguments: Arguments = ()) -> int:
        """Run a statement inside a transaction and return how many rows it changed."""
        return self._attempt(lambda: self._execute(sql, arguments).rowcount)

    def change_many(self, sql: str, rows: Iterable[Arguments]) -> None:
        """Run a statement once for each row of arguments, inside a transaction."""
        rows = list(rows)
        self._attempt(lambda: self._connection.executemany(sql, rows))

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """Hold the file's one write lock: all of the block's changes are made, or none.

        IMMEDIATE, since a transaction that begins by reading fails at once when it comes to write
        beside another writer. `durable` makes the commit survive a power loss, at the price of
        one fsync.
        """
        with self._lock:
            self._pragma_synchronous("FULL" if durable or self._journal != "wal" else "NORMAL")
            self._attempt(lambda: self._execute("BEGIN IMMEDIATE"))
            try:
                yield
                self._attempt(lambda: self._execute("COMMIT"))
            except BaseException:
                with suppress(sqlite3.Error):
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                raise

    def checkpoint(self) -> None:
        """Fold the journal into the file, unless that was done within the last second.

        FULL holds the write lock: no other checkpoint or commit runs beside it, so the WAL-reset
        defect of SQLite before 3.51.3 cannot arise. When others are writing it does nothing, and
        the next finished trial tries again.
        """
        try:
            age_seconds = time.time() - self.path.stat().st_mtime
        except FileNotFoundError:
            raise StudyFileError(
                f"{self.path} was deleted or moved while it was in use: put it back, then resume it"
            ) from None
        if self._journal == "wal" and not 0 <= age_seconds < CHECKPOINT_SECONDS:
            self.one("PRAGMA wal_checkpoint(FULL)")

    def close(self) -> None:
        """Close the connection; whoever leaves last leaves one complete file and no journal."""
        if self._pid != os.getpid():  # a fork must not touch what it inherited
            return
        with self._lock:
            if self._journal == "wal":
                with suppress(sqlite3.Error):
                    self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                    # Refused at once while anybody else has the file open. At rest the study is
                    # then in rollback mode, which needs no side files even to be read.
                    self._connection.execute("PRAGMA journal_mode=DELETE").fetchone()
            self._connection.close()

    def start_journal(self) -> None:
        """Switch to write-ahead logging, where reports cost no fsync and readers never wait."""
        if file_system(self.path) in NETWORK_FILE_SYSTEMS:
            self._journal = "delete"
            return
        # Beside other processes that open the file in the same moment, SQLite answers "locked"
        # here whatever its time-out says: ask again.
        (mode,) = self.one("PRAGMA journal_mode=WAL") or ("",)
        self._journal = str(mode)
        self.one("PRAGMA wal_autocheckpoint=0")

    def _pragma_synchronous(self, level: str) -> None:
        if level != self._synchronous:
            self._attempt(lambda: self._execute(f"PRAGMA synchronous={level}"))
            self._synchronous = level

    def _execute(self, sql: str, arguments: Arguments = ()) -> sqlite3.Cursor:
        return self._connection.execute(sql, arguments)

    def _attempt(self, run: Callable[[], T]) -> T:
        """Run one statement; wait while another process holds the lock, and translate errors.

        SQLite's own waiting backs off to 100 ms, which starves whoever waits beside a process
        that keeps taking the lock; short waits of irregular length do not.
        """
        if self._pid != os.getpid():
            raise StudyFileError(
                f"{self.path} was opened by process {self._pid} and cannot be used in its fork "
                f"{os.getpid()}: report from the process that runs the trial"
            )
        deadline = None
        with self._lock:
            while True:
                try:
                    return run()
                except sqlite3.Error as error:
                    if not _is_busy(error):
                        raise _explained(error, self.path) from error
                    now = time.monotonic()
                    deadline = now + BUSY_SECONDS if deadline is None else deadline
                    if now > deadline:
                        raise _explained(error, self.path) from error
                time.sleep(0.0002 + 0.0008 * (time.perf_counter_ns() % 1009) / 1009)


def open_reader(path: Path) -> Database:
    """Open a study to read it; nothing is created or changed, whatever the file says."""
    check_path(path)
    database = _connect(path, "ro")
    _check_format(database)
    database.one("PRAGMA query_only=ON")
    return database


def open_writer(path: Path) -> Database:
    """Open a study to work on it; files of older formats are brought up to date."""
    open_reader(path).close()  # a foreign file is refused before it is opened for writing
    database = _connect(path, "rw")
    database.one("PRAGMA foreign_keys=ON")
    database.start_journal()
    (version,) = database.one("PRAGMA user_version") or (0,)
    if version != SCHEMA_VERSION:
        migrate(database._connection)  # noqa: SLF001 - same module
    return database


def create(path: Path, statements: Sequence[tuple[str, Arguments]]) -> bool:
    """Publish a new study with these rows at once; False, with nothing changed, if a file is there.

    The file is built in memory and linked to its name when it is complete, so that no process
    ever sees half a study, however many create it at once and whenever they are killed.
    """
    check_folder(path)
    memory = sqlite3.connect(":memory:", isolation_level=None)
    try:
        memory.executescript(schema_sql())
        memory.execute(f"PRAGMA application_id={APPLICATION_ID}")
        memory.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        for sql, arguments in statements:
            memory.execute(sql, arguments)
        content = memory.serialize()
    finally:
        memory.close()
    try:
        return _publish(path, content)
    except OSError as error:
        raise StudyFileError(f"{path} cannot be created: {error.strerror}") from error


def check_folder(path: Path) -> None:
    """Raise StudyFileError unless a file may stand at this path."""
    try:
        is_folder, has_folder = path.is_dir(), path.parent.is_dir()
    except OSError as error:  # a folder on the way that may not be entered
        raise StudyFileError(f"{path} cannot be reached: {error.strerror}") from error
    if is_folder:
        raise StudyFileError(f"{path} is a directory: name a file, such as {path / 'study.db'}")
    if not has_folder:
        raise StudyFileError(
            f"{path} cannot be created: there is no directory {path.parent}; make it first"
        )


def exists(path: Path) -> bool:
    """Return whether there is a file; StudyFileError where none could be."""
    check_folder(path)
    return path.exists()


def check_path(path: Path) -> None:
    """Raise StudyFileError unless there is a file that could be a study."""
    check_folder(path)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise StudyFileError(
            f"there is no study at {path}: start one with `tinytune run`, or check the path"
        ) from None
    except OSError as error:
        raise StudyFileError(f"{path} cannot be read: {error.strerror}") from error
    if size == 0:
        raise StudyFileError(
            f"{path} is empty, not a study: restore it from a copy, or delete it and start anew"
        )


def file_system(path: Path) -> str:
    """Return the type of the file system that holds a path, '' where the system does not tell."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    found, kind = "", ""
    target = str(path.resolve())
    for mount in mounts:
        before, _, after = mount.partition(" - ")
        point = before.split()[4].replace("\\040", " ")
        inside = point == "/" or target == point or target.startswith(f"{point}/")
        if inside and len(point) >= len(found):
            found, kind = point, after.split()[0]
    return kind


def _connect(path: Path, mode: str) -> Database:
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    try:
        connection = sqlite3.connect(
            uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise _explained(error, path) from error
    database = Database(path, connection)
    for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
        database.all(f"PRAGMA {pragma}")
    return database


def _check_format(database: Database) -> None:
    """Raise StudyFileError, and close the connection, unless the file is a study we can read."""
    try:
        (application,) = database.one("PRAGMA application_id") or (0,)
        (version,) = database.one("PRAGMA user_version") or (0,)
        if application != APPLICATION_ID:
            raise StudyFileError(
                f"{database.path} is another program's SQLite file, not a tinytune study: "
                "name another path"
            )
        if not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
            raise StudyFileError(
                f"{database.path} has format {version}, but this tinytune reads up to format "
                f"{SCHEMA_VERSION}: upgrade tinytune"
            )
    except BaseException:
        database.close()
        raise


def _publish(path: Path, content: bytes) -> bool:
    """Give a complete file its name in one step; False if a file is already there."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        try:
            _publish_unnamed(path, content, folder)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}:
                raise
            _publish_renamed(path, content)  # a file system without unnamed files
        os.fsync(folder)  # so that the new name survives a power loss
    except FileExistsError:
        return False
    finally:
        os.close(folder)
    return True


def _publish_unnamed(path: Path, content: bytes, folder: int) -> None:
    """Write a file that has no name yet: whenever this is killed, nothing is left behind."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None:
        raise OSError(errno.EOPNOTSUPP, "unnamed files are Linux's")
    descriptor = os.open(path.parent, os.O_WRONLY | flag, 0o644)
    try:
        _write_synced(descriptor, content)
        # The folder's descriptor makes Python call linkat, which alone follows this link.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(descriptor)


def _publish_renamed(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            _write_synced(descriptor, content)
        finally:
            os.close(descriptor)
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if path.exists():
                raise FileExistsError(path) from None
            temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_synced(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (_BUSY, _LOCKED)


_REASONS = {
    sqlite3.SQLITE_BUSY: f"has been locked by another program for {BUSY_SECONDS:.0f} s: "
    "close what holds it, then resume",
    sqlite3.SQLITE_READONLY: "is read-only here: make the file and its directory writable",
    sqlite3.SQLITE_FULL: "cannot be written, the disk is full: make room, then resume it",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check the permissions of file and directory",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore it from a copy",
    sqlite3.SQLITE_NOTADB: "is not a tinytune study: name another path",
    sqlite3.SQLITE_PERM: "may not be opened: check its permissions",
}


def _explained(error: sqlite3.Error, path: Path) -> StudyFileError:
    """Return what SQLite said as one sentence with the path and a remedy."""
    code = getattr(error, "sqlite_errorcode", None)
    reason = _REASONS.get(-1 if code is None else code & 0xFF)
    if reason is None:
        reason = f"cannot be read or written ({error}): check the disk, or restore it from a copy"
    return StudyFileError(f"{path} {reason}")
