"""Connections to a study's file: the only PRAGMAs, and where sqlite3's errors are caught."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from tinytune.digest import Sum, digest
from tinytune.errors import StudyFileError
from tinytune.files import (
    NETWORK_FILE_SYSTEMS,
    check_folder,
    check_path,
    file_system,
    identity,
    lacks_log,
    published,
    refuse_foreign_log,
    refuse_leftover_log,
    refuse_other_names,
    status,
)
from tinytune.queue import Queue
from tinytune.schema import APPLICATION_ID, BUILT, BUILT_OF, SCHEMA_VERSION, migrate, schema_sql

BUSY_SECONDS = 60.0  # how long to wait for other processes' transactions before giving up
CHECKPOINT_SECONDS = 1.0  # at most so often is the journal folded into the file
_BUSY, _LOCKED = 5, 6  # SQLITE_BUSY, SQLITE_LOCKED
_READONLY_ROLLBACK = 776  # SQLITE_READONLY_ROLLBACK, of a reader that finds a hot journal

Row: TypeAlias = tuple[Any, ...]
Arguments: TypeAlias = Sequence[object]
T = TypeVar("T")


class NeedsRecoveryError(StudyFileError):
    """The last writer died in the middle of a transaction that only a writer may take back."""


class Database:
    """One connection to a study's file; threads may share it, processes may not."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path  # as the user wrote it
        self._file = path.absolute()  # the objective may change the working directory
        self._identity = identity(self._file)
        self.lacks_log = False  # it should have a write-ahead log, and there was none
        self._connection = connection
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._journal = ""
        self._synchronous = ""
        self._queue: Queue | None = None  # where there is a write-ahead log

    def one(self, sql: str, arguments: Arguments = ()) -> Row | None:
        """Return the first row, or None."""
        return self._attempt(self._first, sql, arguments)

    def all(self, sql: str, arguments: Arguments = ()) -> list[Row]:
        """Return all rows."""
        return self._attempt(self._every, sql, arguments)

    def change(self, sql: str, arguments: Arguments = ()) -> int:
        """Run a statement inside a transaction and return how many rows it changed."""
        return self._attempt(self._count, sql, arguments)

    def change_many(self, sql: str, rows: Iterable[Arguments]) -> None:
        """Run a statement once for each row of arguments, inside a transaction."""
        self._attempt(self._connection.executemany, sql, list(rows))

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        """Hold the file's one write lock: all of the block's changes are made, or none.

        IMMEDIATE, since a transaction that begins by reading fails at once when it comes to write
        beside another writer. `durable` makes the commit survive a power loss, at the price of
        one fsync.
        """
        return _Transaction(self, durable=durable)

    def begin(self, *, durable: bool) -> None:
        """Begin a transaction, which `end` must follow; see `transaction`."""
        self._lock.acquire()
        try:
            self._set_synchronous(self._level(durable=durable))
            if self._queue is not None:
                self._queue.wait()
            self._attempt(self._execute, "BEGIN IMMEDIATE")
        except BaseException:
            if self._queue is not None:
                self._queue.leave()
            self._lock.release()
            raise

    def end(self, *, durable: bool, is_good: bool) -> None:
        """Commit a transaction if it `is_good`, else take it back."""
        is_committed = False
        try:
            try:
                if is_good:
                    self._attempt(self._execute, "COMMIT")
                    is_committed = True
            finally:
                if not is_committed:
                    self._roll_back()
                if self._queue is not None:
                    self._queue.leave()
            if durable and is_committed and self._queue is not None:
                self._queue.sync()
        finally:
            self._lock.release()

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reads of a block see the file as it is in one moment, whoever writes."""
        with self._lock:
            self._attempt(self._execute, "BEGIN")
            try:
                yield
            finally:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")

    def checkpoint(self) -> None:
        """Fold the journal into the file, unless that was done within the last second.

        FULL holds the write lock: no other checkpoint or commit runs beside it, so the WAL-reset
        defect of SQLite before 3.51.3 cannot arise. When others are writing it does nothing, and
        the next finished trial tries again.
        """
        found = status(self._file)
        if found is None or (found.st_dev, found.st_ino) != self._identity:
            raise StudyFileError(
                f"{self.path} was deleted, moved or replaced while it was in use: "
                "put it back, then resume it"
            )
        age_seconds = time.time() - found.st_mtime
        if self._journal == "wal" and not 0 <= age_seconds < CHECKPOINT_SECONDS:
            self.one("PRAGMA wal_checkpoint(FULL)")

    def close(self) -> None:
        """Close the connection; whoever leaves last leaves one complete file and no journal."""
        if self._pid != os.getpid():  # a fork must not touch what it inherited
            return
        with self._lock:
            if self._journal == "wal" and self._is_in_place():
                if self._queue is not None:
                    self._queue.wait()
                self._fold_up()
            self._connection.close()
            if self._queue is not None:
                self._queue.close()
                self._queue = None

    def _fold_up(self) -> None:
        """Fold the whole journal into the file, put it into rollback mode, and close it."""
        with suppress(sqlite3.Error):
            # The change of mode rewrites the file's first page: at NORMAL a power cut could find
            # its rollback journal half written, and restore zeros from it.
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._rest()
            self._connection.close()  # before the next one tries

    def _rest(self) -> None:
        """Put the file into rollback mode, which needs no side files even to be read.

        Refused while anybody else has the file open. Of several that leave in the same moment
        each waits for its turn, so the last one finds itself alone, but for somebody who reads.
        """
        deadline = time.monotonic() + 0.03
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=DELETE").fetchone()
            except sqlite3.Error as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    return
                time.sleep(0.005)
            else:
                return

    def _is_in_place(self) -> bool:
        """Return whether the name still means the file that was opened."""
        return identity(self._file) == self._identity

    def start_journal(self) -> None:
        """Switch to write-ahead logging, where reports cost no fsync and readers never wait."""
        if file_system(self.path) in NETWORK_FILE_SYSTEMS:
            self._journal = "delete"
            return
        self._set_synchronous("FULL")  # for the same reason as in close
        # Beside other processes that open the file in the same moment, SQLite answers "locked"
        # here whatever its time-out says: ask again.
        (mode,) = self.one("PRAGMA journal_mode=WAL") or ("",)
        self._journal = str(mode)
        self.one("PRAGMA wal_autocheckpoint=0")
        self.one("PRAGMA user_version")  # the log is made by the first read
        with suppress(OSError):
            self._queue = Queue(self.path, self._file)

    def _level(self, *, durable: bool) -> str:
        """Return the setting that makes a commit durable, or only safe.

        In rollback mode FULL does not sync the directory: after a power cut the journal that was
        deleted may come back, and undo what was committed.
        """
        if self._journal == "wal":
            return "FULL" if durable and self._queue is None else "NORMAL"  # else the queue syncs
        return "EXTRA" if durable else "FULL"

    def _set_synchronous(self, level: str) -> None:
        if level != self._synchronous:
            self._attempt(self._execute, f"PRAGMA synchronous={level}")
            self._synchronous = level

    def _execute(self, sql: str, arguments: Arguments = ()) -> sqlite3.Cursor:
        return self._connection.execute(sql, arguments)

    def _first(self, sql: str, arguments: Arguments = ()) -> Row | None:
        row: Row | None = self._execute(sql, arguments).fetchone()
        return row

    def _every(self, sql: str, arguments: Arguments = ()) -> list[Row]:
        return self._execute(sql, arguments).fetchall()

    def _count(self, sql: str, arguments: Arguments = ()) -> int:
        return self._execute(sql, arguments).rowcount

    def _attempt(self, run: Callable[..., T], *given: object) -> T:
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
                    return run(*given)
                except (OverflowError, UnicodeDecodeError, SystemError) as error:
                    # A number beyond what SQLite counts to; or its message quotes damaged bytes,
                    # or a function of ours was to be given some.
                    raise StudyFileError(
                        f"{self.path} is damaged: restore it from a copy"
                    ) from error
                except sqlite3.Error as error:
                    if not _is_busy(error):
                        raise _explained(error, self.path) from error
                    now = time.monotonic()
                    deadline = now + BUSY_SECONDS if deadline is None else deadline
                    if now > deadline:
                        raise _explained(error, self.path) from error
                time.sleep(0.0002 + 0.0008 * (time.perf_counter_ns() % 1009) / 1009)


class _Transaction:
    """What `Database.transaction` returns: a generator of contextlib's would take twice as long."""

    __slots__ = ("_database", "_durable")

    def __init__(self, database: Database, *, durable: bool) -> None:
        self._database, self._durable = database, durable

    def __enter__(self) -> None:
        self._database.begin(durable=self._durable)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.end(durable=self._durable, is_good=kind is None)


def open_reader(path: Path) -> Database:
    """Open a study to read it; nothing is created or changed, whatever the file says."""
    check_path(path)
    refuse_foreign_log(path)
    found = lacks_log(path)  # looked at before SQLite makes an empty one
    database = _connect(path, "ro")
    try:
        _check(database)
    except NeedsRecoveryError:
        _recover(path)
        database = _connect(path, "ro")
        _check(database)
    database.one("PRAGMA query_only=ON")
    database.lacks_log = found
    return database


def _recover(path: Path) -> None:
    """Let SQLite take back the half transaction of a process that died; a reader may not.

    Only our own files: nothing of another program's is written, not even by recovering it. Nobody
    can be at work on the file, so reading it directly takes no lock away from this process.
    """
    with path.open("rb") as file:
        header = file.read(72)
    if int.from_bytes(header[68:72], "big") == APPLICATION_ID:
        database = _connect(path, "rw")
        database.one("PRAGMA user_version")
        database.close()


def open_writer(path: Path) -> Database:
    """Open a study to work on it; files of older formats are brought up to date."""
    open_reader(path).close()  # a foreign file is refused before it is opened for writing
    refuse_other_names(path)
    database = _connect(path, "rw")
    _check(database)
    database.one("PRAGMA foreign_keys=ON")
    database.start_journal()
    (version,) = database.one("PRAGMA user_version") or (0,)
    if version != SCHEMA_VERSION:
        migrate(database._connection)  # noqa: SLF001 - same module
        _check(database)
    return database


def create(path: Path, statements: Sequence[tuple[str, Arguments]]) -> bool:
    """Publish a new study with these rows at once; False, with nothing changed, if a file is there.

    The file is built in memory and linked to its name when it is complete, so that no process
    ever sees half a study, however many create it at once and whenever they are killed.
    """
    memory = in_memory(path, statements)
    try:
        return publish(memory, path)
    finally:
        memory.close()


def in_memory(path: Path, statements: Sequence[tuple[str, Arguments]]) -> Database:
    """Return a study with these rows in memory; `path` is what errors name."""
    memory = _memory()
    memory.executescript(schema_sql())
    memory.execute(f"PRAGMA application_id={APPLICATION_ID}")
    memory.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    for sql, arguments in statements:
        memory.execute(sql, arguments)
    return Database(path, memory)


def _memory() -> sqlite3.Connection:
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _add_functions(memory)
    return memory


def _connect(path: Path, mode: str) -> Database:
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    try:
        connection = sqlite3.connect(
            uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise _explained(error, path) from error
    _add_functions(connection)
    database = Database(path, connection)
    for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
        database.all(f"PRAGMA {pragma}")
    return database


def _add_functions(connection: sqlite3.Connection) -> None:
    """Let SQL make digests; the schema itself uses none, so any SQLite can read a study."""
    connection.create_function("digest", -1, digest, deterministic=True)
    connection.create_function("link", -1, digest, deterministic=True)
    connection.create_aggregate("digest_sum", -1, Sum)  # type: ignore[arg-type]


def _check(database: Database) -> None:
    """Raise StudyFileError, and close the connection, unless the file is a study we can read."""
    try:
        _check_format(database)
        _check_schema(database)
    except BaseException:
        database.close()
        raise


def _check_format(database: Database) -> None:
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


def _check_schema(database: Database) -> None:
    """Refuse what is no part of a study: a trigger, for example, would run as we write.

    Views are made for each study; the store, which never uses them, compares them itself.
    """
    (version,) = database.one("PRAGMA user_version") or (0,)
    found = database.all(BUILT_OF)
    if version < SCHEMA_VERSION or digest(*chain.from_iterable(found)) == BUILT:
        return
    odd = sorted(f"{kind} {name!r}" for kind, name, _ in set(found) ^ _expected_schema())
    if not odd:  # schema.sql has changed, and BUILT has not yet
        return
    raise StudyFileError(
        f"{database.path} is not built as a study is ({odd[0]}): it was changed by hand or by "
        "another program, and is not used; get it anew from where it came from"
    )


def copy_in_memory(path: Path) -> Database:
    """Return a copy, in memory, of a study as it is in one moment."""
    source = open_reader(path)
    memory = _memory()
    try:
        source._connection.backup(memory)  # noqa: SLF001 - same module
    except sqlite3.Error as error:
        memory.close()
        raise _explained(error, path) from error
    finally:
        source.close()
    return Database(path, memory)


def publish(memory: Database, target: Path) -> bool:
    """Give what is in memory a file's name at once; False if there is a file at the target."""
    check_folder(target)
    refuse_leftover_log(target)
    content = bytearray(memory._connection.serialize())  # noqa: SLF001 - same module
    content[18:20] = b"\x01\x01"  # at rest it is in rollback mode, also if the original is at work
    return published(target, bytes(content))


@cache
def _expected_schema() -> frozenset[Row]:
    memory = sqlite3.connect(":memory:")
    try:
        memory.executescript(schema_sql())
        return frozenset(memory.execute(BUILT_OF))
    finally:
        memory.close()


def _is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (_BUSY, _LOCKED)


_REASONS = {
    sqlite3.SQLITE_BUSY: f"has been locked by another program for {BUSY_SECONDS:.0f} s: "
    "close what holds it, then resume",
    sqlite3.SQLITE_READONLY: "is read-only here: make the file and its directory writable",
    sqlite3.SQLITE_FULL: "cannot be written, the disk is full: make room, then resume it",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check the permissions of file and directory; what "
    "was copied while at work is read where its directory can be written",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore it from a copy",
    sqlite3.SQLITE_NOTADB: "is not a tinytune study: name another path",
    sqlite3.SQLITE_PERM: "may not be opened: check its permissions",
}


def _explained(error: sqlite3.Error, path: Path) -> StudyFileError:
    """Return what SQLite said as one sentence with the path and a remedy."""
    code = getattr(error, "sqlite_errorcode", None)
    if "closed database" in str(error):
        return StudyFileError(f"{path} was closed here: open it again, or use it before that")
    if code == _READONLY_ROLLBACK:
        return NeedsRecoveryError(
            f"{path} was being written when its process died: open it where it can be written"
        )
    reason = _REASONS.get(-1 if code is None else code & 0xFF)
    if reason is None:
        said = str(error).partition(" with text")[0]  # what follows may quote damaged bytes
        reason = f"cannot be read or written ({said}): check the disk, or restore it from a copy"
    return StudyFileError(f"{path} {reason}")
