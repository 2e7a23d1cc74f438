"""A study's file that is open: rows become records, whatever else is done with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tinytune import db
from tinytune.errors import SpaceError, StudyFileError, UsageError
from tinytune.history import TrialRecord
from tinytune.store import rows

T = TypeVar("T")
_NONSENSE = (
    ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError,
    SpaceError, UsageError,
)  # fmt: skip


class Opened:
    """A study's file, opened to read it unless a database is given."""

    def __init__(self, path: Path, database: db.Database | None = None) -> None:
        self.path = path
        self._db = db.open_reader(path) if database is None else database

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def lacks_log(self) -> bool:
        """Whether the file should have a write-ahead log beside it, and there was none."""
        return self._db.lacks_log

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all reads of a block see the study as it is in one moment."""
        return self._db.snapshot()

    def raw(self, query: str, arguments: Sequence[object] = ()) -> list[db.Row]:
        """Return rows as they are, for other modules of the store."""
        return self._db.all(query, arguments)

    def _records(self, query: str, arguments: Sequence[object] = ()) -> list[TrialRecord]:
        return self._all(rows.trial, query, arguments)

    def _all(
        self, make: Callable[[db.Row], T], query: str, arguments: Sequence[object] = ()
    ) -> list[T]:
        return [
            self._made(make, row, f"row {row[0]!r:.40}") for row in self._db.all(query, arguments)
        ]

    def _made(self, make: Callable[[db.Row], T], row: db.Row, what: str) -> T:
        """Return a row as a record; StudyFileError where tinytune cannot have written it."""
        try:
            return make(row)
        except _NONSENSE as error:
            raise StudyFileError(
                f"{self.path} holds {what} in a way that makes no sense ({error}): "
                "restore it from a copy"
            ) from error
