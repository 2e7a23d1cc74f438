"""A study's stopping rules as `verify` asks them: told of what is in the file, up to each tick."""

from __future__ import annotations

from tinytune.stopping.judge import Judge
from tinytune.store.reader import Reader
from tinytune.timeline import Era


class Bench:
    """The rules of one era, told of everything up to a tick."""

    def __init__(self, reader: Reader, era: Era) -> None:
        self.judge = Judge(era.record)
        self._era = era
        end = reader.tick()
        self._complete = reader.complete(0, end) if self.judge.looks else []
        self._rungs = reader.rungs(0, end) if self.judge.has_rungs else []
        self._removed: frozenset[int] = frozenset()
        self._told = self._noted = 0

    def tell(self, tick: int, removed: frozenset[int]) -> None:
        """Tell the rules of trials that were complete by a tick."""
        if removed != self._removed:  # what was removed must be forgotten
            self.judge, self._removed = Judge(self._era.record), removed
            self._told = self._noted = 0
        while self._told < len(self._complete) and self._complete[self._told].told <= tick:
            if self._complete[self._told].number not in removed:
                self.judge.tell(self._complete[self._told])
            self._told += 1

    def note(self, tick: int) -> None:
        """Tell the rules of the rungs that had been reached by a tick."""
        while self._noted < len(self._rungs) and self._rungs[self._noted].tick <= tick:
            rung = self._rungs[self._noted]
            if self._era.counts(rung.trial, self._removed):
                self.judge.note(rung)
            self._noted += 1
