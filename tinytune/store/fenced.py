"""The fence around a worker's writes, and the checkpoints behind it.

A worker names the trial, the attempt and itself; once the trial has been taken from it, nothing is
changed.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tinytune import db
from tinytune.digest import Sum
from tinytune.errors import LeaseLostError
from tinytune.history import Checkpoint, Continuation, Cost, Token
from tinytune.store import rows, sql, sql_kept
from tinytune.store.reader import Reader

LEASE_SECONDS = 60.0  # after its last sign of life a worker that nobody can look at counts as dead
KEPT = 2  # checkpoints of a trial: should the newest be broken, there is the one before


@dataclass
class Reported:
    """What an attempt has reported so far."""

    sum: Sum = field(default_factory=Sum)
    steps: set[int] = field(default_factory=set)


class Fenced(Reader):
    """Writes what the worker that holds a trial has saved of it."""

    def __init__(
        self,
        path: Path,
        *,
        keep_checkpoints: bool = False,
        database: db.Database | None = None,
    ) -> None:
        super().__init__(path, db.open_writer(path) if database is None else database)
        self._reported: dict[Token, Reported] = {}  # of attempts that began here
        self._reporting = threading.Lock()
        self._last_steps: dict[Token, int] = {}  # the highest that an attempt has reported
        self._saved: dict[Token, int] = {}  # how often attempts that began here have saved
        self._keep_checkpoints = keep_checkpoints

    def next_save(self, token: Token) -> int:
        """Return the sequence number of an attempt's next checkpoint."""
        return self._saved.get(token, 0) + 1

    def save(
        self,
        token: Token,
        kind: Literal["bytes", "file", "folder"],
        suffix: str,
        size: int,
        sha256: str,
        content: bytes | None = None,
        *,
        durable: bool = True,
    ) -> list[Checkpoint]:
        """Write a checkpoint; return what is kept of the trial's, the newest first.

        Without a content it lies beside the file. If it is not `durable`, it survives a kill, and
        a power loss once something later is durable. LeaseLostError if the trial was taken away.
        """
        sequence = self.next_save(token)
        row = (token.number, token.attempt, sequence, time.time(), kind, suffix, size, sha256,
               content)  # fmt: skip
        with self._db.transaction(durable=durable):
            self._check_held(token)
            self._db.change(sql_kept.KEEP_CHECKPOINT, row)
            self._db.change(sql_kept.DROP_CHECKPOINTS, (token.number, KEPT))
            kept = self.checkpoints(token.number)
        self._saved[token] = sequence
        self._db.checkpoint()
        return kept

    def go_on(self, token: Token, of: Checkpoint) -> Continuation:
        """Take over what was reported before a checkpoint, and what rules decided on it.

        A trial that gets on between them may have any number of dead workers. LeaseLostError if it
        was taken away.
        """
        copied = (token.number, token.attempt, of.attempt, of.tick)
        with self._reporting:
            self._reported.pop(token, None)  # SQL will add up what has been copied
            with self._db.transaction():
                tick = self._tick_if_held(token)
                self._db.change(sql_kept.CONTINUE, (*copied, tick, of.time))
                self._db.change(sql_kept.COPY_METRICS, copied)
                self._db.change(sql_kept.COPY_DECISIONS, copied)
                self._db.change(sql.COUNT_DEATHS, (token.number,))
                found = self.continuations(token.number)
        return found[-1]

    def steps_of(self, token: Token) -> int | None:
        """Return at how many different steps an attempt has reported; None where at none."""
        known = self._reported.get(token)
        if known is not None:
            return len(known.steps) or None
        (count,) = self._db.one(sql.COUNT_STEPS_OF, (token.number, token.attempt)) or (0,)
        return int(count) or None

    def _cost_row(
        self, token: Token, used: Cost, seconds: float | None = None
    ) -> tuple[object, ...]:
        """Return what the columns of an attempt hold, in their order; the steps are counted."""
        taken = used.seconds if seconds is None else seconds
        return taken, used.cpu_seconds, used.memory_mb, self.steps_of(token)

    def _by_signs(self, token: Token) -> Cost:
        """Return how long an attempt ran whose end only others saw: until now, the moment they did.

        But no longer than its lease: a session that goes on the next day has not run all night.
        LeaseLostError if the trial was taken away.
        """
        self._check_held(token)
        row = self._db.one(sql.SELECT_SIGNS, (token.number,)) or ()
        began, *later = self._made(rows.signs, row, f"trial {token.number}")
        end = min(time.time(), max((began, *later)) + LEASE_SECONDS)
        return Cost(max(0.0, end - began))

    def _clear(self, token: Token) -> None:
        """Drop the checkpoints of a trial that ends, unless it is known to have none."""
        if self._saved.pop(token, None) != 0 and not self._keep_checkpoints:
            self._db.change(sql_kept.DROP_CHECKPOINTS, (token.number, 0))

    def _check_held(self, token: Token) -> None:
        held = (token.number, token.attempt, token.worker)
        self._held(token, self._db.one(sql.IS_HELD, held))

    def _tick_if_held(self, token: Token) -> int:
        """Take a tick, or raise LeaseLostError: the fence around every write of a worker."""
        row = self._db.one(sql.TICK_IF_HELD, (token.number, token.attempt, token.worker))
        return int(self._held(token, row)[0])

    def _step_if_held(self, token: Token, *, is_new: bool) -> tuple[int, int, int | None]:
        """Take a tick and count a step.

        Returns it, the tick of the study's latest change, and the budget where it is used up.
        """
        held = (token.number, token.attempt, token.worker)
        row = self._db.one(sql.STEP_IF_HELD, (is_new, *held))
        tick, edited, steps, budget = self._held(token, row)
        is_over = is_new and budget is not None and steps > budget
        return int(tick), int(edited), int(budget) if is_over else None

    def _last_step(self, token: Token) -> int | None:
        """Return the highest step that an attempt has reported, None if it has none."""
        if token not in self._last_steps and token not in self._reported:
            row = self._db.one(sql.SELECT_LAST_STEP, (token.number, token.attempt)) or (None,)
            return None if row[0] is None else int(row[0])
        return self._last_steps.get(token)

    @staticmethod
    def _held(token: Token, row: db.Row | None) -> db.Row:
        if row is None:
            raise LeaseLostError(
                f"trial {token.number} is no longer this worker's (attempt {token.attempt}): "
                "what came late was not written"
            )
        return row
