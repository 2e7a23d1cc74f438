"""Changes that people make to a study beside its work: each is one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from tinytune.errors import UsageError
from tinytune.files import typed
from tinytune.history import StudyRecord, TrialRecord
from tinytune.store import changes, sql
from tinytune.store.reader import Reader
from tinytune.store.writer import Store


class Editor(Store):
    """Writes what people say of a study and its trials."""

    def tag(self, number: int, words: Iterable[str]) -> None:
        """Give a trial tags; those that it has already stay as they are."""
        now = time.time()
        with self._db.transaction(durable=True):
            for word in words:
                self._db.change(changes.ADD_TAG, (number, word, now))
            self._db.change(sql.SEAL)

    def untag(self, number: int, words: Iterable[str]) -> None:
        """Take tags from a trial."""
        with self._db.transaction(durable=True):
            for word in words:
                self._db.change(changes.REMOVE_TAG, (number, word))
            self._db.change(sql.SEAL)

    def remove(self, numbers: Iterable[int]) -> None:
        """Let trials that have ended not count from now on; UsageError where one does already not.

        All of them, or none. Each takes a tick.
        """
        now = time.time()
        with self._db.transaction(durable=True):
            for number in numbers:
                trial = self.existing(number)
                if trial.told is None:
                    raise UsageError(
                        f"trial {number} of {self.path} is {trial.state}: remove it once it has "
                        "ended"
                    )
                if trial.removed:
                    raise UsageError(f"trial {number} of {self.path} is removed already")
                self._db.change(changes.REMOVE, (self._edit(), number, now))

    def restore(self, numbers: Iterable[int]) -> None:
        """Let removed trials count again; UsageError where one is not removed."""
        with self._db.transaction(durable=True):
            for number in numbers:
                if not self.existing(number).removed:
                    raise UsageError(f"trial {number} of {self.path} is not removed")
                self._db.change(changes.RESTORE, (self._edit(), number))

    def change(
        self,
        make: Callable[[StudyRecord, Reader], StudyRecord],
        vouched: Callable[[StudyRecord], str | None] = lambda _: None,
    ) -> tuple[StudyRecord, StudyRecord, int]:
        """Change the study from the next trial on; return it before and after, and that number.

        `make(record, reader)` returns what it is to be. It runs while the file is locked; what it
        raises leaves all as it was. `vouched` returns the user's mark for what is run in it.
        """
        with self._db.transaction(durable=True):
            before, number = self.study(), self.next_number()
            after = make(before, self)
            row = (after.space.to_json(), changes.search_json(after.search),
                   changes.stopping_json(after.stopping, after.audit))  # fmt: skip
            if row != (before.space.to_json(), changes.search_json(before.search),
                       changes.stopping_json(before.stopping, before.audit)):  # fmt: skip
                now = time.time()
                version = (self._edit(), number, after.first, *row, now)
                self._db.change(changes.INSERT_VERSION, version)
            if after.budget != before.budget:
                self._db.change(sql.SET_BUDGET, (after.budget,))
            known, mark = vouched(before), vouched(after)
            if known is not None and mark is not None and self.has_voucher(known):
                self._db.change(sql.INSERT_VOUCHER, (mark,))
            self._db.change(sql.SEAL)
        return before, after, number

    def existing(self, number: int) -> TrialRecord:
        """Return a trial; UsageError if there is none."""
        trial = self.trial(number)
        if trial is None:
            raise UsageError(
                f"{self.path} has no trial {number}: see `tinytune trials {typed(self.path)}`"
            )
        return trial

    def _edit(self) -> int:
        """Take a tick for a change of which searches are to know."""
        (tick,) = self._db.one(changes.EDIT) or (0,)
        return int(tick)

    def note(self, number: int | None, text: str) -> None:
        """Write something about a trial, or about the study."""
        with self._db.transaction(durable=True):
            self._db.change(changes.ADD_NOTE, (number, text, time.time()))
            self._db.change(sql.SEAL)
