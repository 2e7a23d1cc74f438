"""Trials that wait to be taken, among them runs that confirm another trial's configuration."""

from __future__ import annotations

import time
from collections.abc import Iterable

from tinytune import draw
from tinytune.history import Claim, Token, TrialRecord
from tinytune.store import rows, sql
from tinytune.store.cells import written
from tinytune.store.fenced import Fenced, Reported


class Again(Fenced):
    """Enters runs that confirm others, and gives waiting trials to workers."""

    def add_repeats(self, wanted: Iterable[tuple[TrialRecord, int]], seed: int) -> int:
        """Append a run for each (trial, repeat) that has none yet; return how many were appended.

        They wait for a worker, and the budget does not count them. `seed` is the study's.
        """
        count = 0
        with self._db.transaction(durable=True):
            known = set(self._db.all(sql.SELECT_REPEAT_KEYS))
            tick, _, number, *_ = self._next()
            for trial, repeat in wanted:
                if (trial.number, repeat) not in known:
                    params = written(trial.params)
                    row = (number + count, "confirm", trial.search, draw.confirm_seed(seed, repeat),
                           None, params, tick + count + 1, trial.number, repeat)  # fmt: skip
                    self._db.change(sql.INSERT_WAITING, row)
                    known.add((trial.number, repeat))
                    count += 1
            self._db.change(sql.SET_TICK, (tick + count,))
        return count

    def claim_repeat(self, worker: int) -> Claim | None:
        """Take the lowest waiting run that confirms another; None where none waits."""
        with self._db.transaction():
            tick, waiting = self._db.one(sql.SELECT_NEXT_REPEAT) or (0, None)
            if waiting is None:
                return None
            claim = self._take(int(waiting), worker, int(tick) + 1)
            self._db.change(sql.SET_TICK, (int(tick) + 1,))
        self._begun(claim)
        return claim

    def _take(self, number: int, worker: int, tick: int, query: str = sql.TAKE_WAITING) -> Claim:
        """Give a waiting trial to a worker; by another query, a paused one."""
        row = self._db.one(query, (worker, tick, time.time(), number)) or ()
        attempt, asked, own, is_repeat, params = self._made(rows.waiting, row, f"trial {number}")
        token = Token(number, attempt, worker)
        return Claim(token, asked, own, params, waited=True, is_repeat=is_repeat)

    def _begun(self, claim: Claim) -> None:
        """Note that all that an attempt will report and save comes from here."""
        self._reported[claim.token] = Reported()
        if claim.token.attempt == 1:  # no earlier attempt can have saved
            self._saved[claim.token] = 0
