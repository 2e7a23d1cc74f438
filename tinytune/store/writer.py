"""Writes a study's file, for one worker or for the study's owner.

A worker's writes are fenced: they name the trial, the attempt and the worker, and change nothing
once the trial has been taken from it. Each change is one short transaction that takes a tick.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from tinytune import db, draw, process
from tinytune.digest import digest
from tinytune.errors import LeaseLostError, StudyFileError, UsageError
from tinytune.history import (
    Claim,
    Cost,
    Decision,
    Environment,
    ObjectiveReference,
    Outcome,
    Output,
    Source,
    StudyRecord,
    Token,
    TrialRecord,
)
from tinytune.queue import UnconfirmedError
from tinytune.space import Params
from tinytune.store import rows, sql, sql_kept
from tinytune.store.again import Again
from tinytune.store.cells import written
from tinytune.store.made import statements

MOST_UNFOLDED = 16_000_000  # characters of output between two checkpoints
MOST_SILENT = 10  # trials without a report, where nothing but steps is to end a study
MAX_DEATHS = 3  # after so many dead workers, without a further checkpoint, a trial has failed


class _NothingError(Exception):
    """There is no trial to take: the transaction is taken back."""


class EditedError(Exception):
    """The study was changed by somebody since its changes were read: read them, and try again."""


def create(
    path: Path,
    study: StudyRecord,
    source: Source | None,
    version: str,
    copies: Sequence[TrialRecord] = (),
) -> bool:
    """Create a study's file; False, with nothing changed, if there is a file at the path.

    `copies` are trials of another study that are to be run again, and wait to be taken.
    """
    return db.create(path, statements(study, source, version, copies))


def copy(path: Path, target: Path) -> int:
    """Copy a study, also one at work, and give back in the copy what runs; return its trials.

    StudyFileError, with nothing changed, if there is a file at the target.
    """
    memory = db.copy_in_memory(path)
    try:
        if not db.publish(memory, target):
            raise StudyFileError(f"{target} exists already: name another file")
    finally:
        memory.close()
    with Store(target) as store:
        for trial in store.running():
            store.leave(trial.token.worker)
        return store.next_number()


class Store(Again):
    """Reads and writes a study's file, for one worker or for the study's owner.

    With `keep_checkpoints` those of trials that end are kept.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_checkpoints: bool = False,
        database: db.Database | None = None,
    ) -> None:
        super().__init__(path, keep_checkpoints=keep_checkpoints, database=database)
        self._unfolded = 0

    def join(
        self,
        who: process.Identity,
        version: str,
        python: str,
        source: Source | None,
        environment: Environment | None = None,
    ) -> int:
        """Enter this process as a worker and return the worker's id."""
        now = time.time()
        with self._db.transaction():
            if source is not None:
                self._db.change(sql.INSERT_SOURCE, (source.hash, source.name, source.text, now))
            if environment is not None:
                self._add_environment(environment, now)
            row = (who.host, who.machine, who.boot, who.namespace, who.pid, who.birth, version,
                   python, None if source is None else source.hash,
                   None if environment is None else environment.hash, now)  # fmt: skip
            (worker,) = self._db.one(sql.INSERT_WORKER, row) or (0,)
            self._db.change(sql.SEAL)
        return int(worker)

    def hand(self, version: str, python: str) -> int:
        """Return the worker for trials that are asked for by hand; it is entered once."""
        row = self._db.one(sql.SELECT_HAND, (process.BY_HAND.machine,))
        return self.join(process.BY_HAND, version, python, None) if row is None else int(row[0])

    def add_environment(self, environment: Environment) -> None:
        """Enter what workers are to run in."""
        with self._db.transaction():
            self._add_environment(environment, time.time())
            self._db.change(sql.SEAL)

    def beat(self, worker: int) -> None:
        """Show that a worker lives, to those who cannot look at its process."""
        with self._db.transaction():
            self._db.change(sql.BEAT, (time.time(), worker))

    def leave(self, worker: int) -> None:
        """Enter that a worker has gone; what it still holds is given back."""
        with self._db.transaction():
            self._release(worker, "left", died=False)

    def bury(self, workers: Iterable[int], ending: str) -> None:
        """Take the trials of dead workers from them; a trial that killed three has failed."""
        with self._db.transaction():
            for worker in workers:
                self._release(worker, ending, died=True)

    def condemn(self, token: Token, reason: str) -> None:
        """Fail a trial whose worker was ended because of it; nothing if it is no longer held."""
        with self._db.transaction(durable=True), suppress(LeaseLostError):
            self._tell(token, Outcome("failed", error=reason), self._by_signs(token))

    def keep_output(self, outputs: Iterable[Output]) -> None:
        """Write what trials have printed so far; it costs no fsync, and replaces what was there."""
        with self._db.transaction():
            for each in outputs:
                row = (each.trial, each.attempt, each.stream, each.head, each.tail, each.left_out)
                self._db.change(sql_kept.KEEP_OUTPUT, row)
                self._unfolded += len(each.head) + len(each.tail)
        if self._unfolded > MOST_UNFOLDED:  # a long trial that prints must not let the log grow
            self._unfolded = 0
            self._db.checkpoint()

    def open_workers(self, pid: int, birth: str) -> list[int]:
        """Return the workers of one process that have not left."""
        rows = self._db.all(sql.SELECT_OPEN_WORKERS, (pid, birth))
        return [worker for (worker,) in rows]

    def running_workers(self) -> dict[int, tuple[int, process.Identity]]:
        """Return the workers that hold a trial: id -> (beat, process)."""
        found = self._all(rows.worker, sql.SELECT_WORKERS)
        return {number: (beat, who) for number, beat, who in found}

    def set_budget(self, budget: int | None) -> None:
        """Change how many trials the study is to have: at least as many as there are."""
        with self._db.transaction(durable=True):
            self._db.change(sql.SET_BUDGET, (budget,))
            self._db.change(sql.SEAL)

    def set_budget_steps(self, steps: int) -> None:
        """Change how many steps may be reported: at least as many as have been."""
        with self._db.transaction(durable=True):
            self._db.change(sql.SET_BUDGET_STEPS, (steps,))
            self._db.change(sql.SEAL)

    def set_budget_seconds(self, seconds: float | None) -> None:
        """Change how many seconds the study's attempts may take together."""
        with self._db.transaction(durable=True):
            self._db.change(sql.SET_BUDGET_SECONDS, (seconds,))
            self._db.change(sql.SEAL)

    def set_objective(self, reference: ObjectiveReference, mark: str | None) -> None:
        """Write where the objective is, and the mark of the user who says so."""
        with self._db.transaction():
            self._db.change(sql.SET_OBJECTIVE, (written(reference.to_json()),))
            if mark is not None:
                self._db.change(sql.INSERT_VOUCHER, (mark,))
            self._db.change(sql.SEAL)

    def accept_source(self, source: Source) -> None:
        """Make this text the study's accepted one; the earlier ones are kept."""
        with self._db.transaction(durable=True):
            self._db.change(sql.INSERT_SOURCE, (source.hash, source.name, source.text, time.time()))
            self._db.change(sql.SET_SOURCE, (source.hash,))
            self._db.change(sql.SEAL)

    def claim(
        self,
        worker: int,
        search: str,
        seed: int,
        suggest: Callable[[int], tuple[Params, str] | None] | None,
        promote: Callable[[int], Decision | None] = lambda _: None,
        edited: int = 0,
    ) -> Claim | None:
        """Take the lowest waiting trial, or append the next; None where there is none to take.

        `promote(tick)` may name a paused trial to be let on, before a new one is begun.

        `seed` is the study's. `suggest(rank)` gives a new trial's params and origin, or None
        past the last one; it runs while the file is locked. The rank is the trial's number less
        the trials that were given by hand, and less those that confirm others. With suggest=None
        it is taken without params. `edited` is the tick of the latest change that the caller
        knows; EditedError, with nothing taken, where there is a later one.
        """
        try:
            with self._db.transaction():
                found = self._next(sql.TAKE_NEXT)
                tick, budget, number, waiting, manual, steps, repeats, is_spent, latest = found
                if latest != edited:
                    raise EditedError
                if is_spent or steps == 0:
                    raise _NothingError
                if steps is not None and budget is None:
                    self._check_reports(number)
                if waiting is not None:
                    claim = self._take(waiting, worker, tick)
                elif (decision := promote(tick - 1)) is not None:
                    return self._promoted(worker, decision, tick)
                elif budget is not None and number - repeats >= budget:
                    raise _NothingError
                else:
                    made = suggest and suggest(number - manual - repeats)
                    if suggest is not None and made is None:
                        raise _NothingError
                    claim = self._appended(number, made, search, seed, worker, tick)
        except _NothingError:
            return None
        self._begun(claim)
        return claim

    def _appended(
        self,
        number: int,
        made: tuple[Params, str] | None,
        search: str,
        seed: int,
        worker: int,
        tick: int,
    ) -> Claim:
        """Append a new trial for a worker, with its params and origin if they are known."""
        params, origin = made or (None, "search")
        text = None if params is None else written(params)
        suggested = None if params is None else tick
        own = draw.trial_seed(seed, number)
        row = (number, origin, search, own, text, tick, suggested, worker, time.time())
        self._db.change(sql.INSERT_TRIAL, row)
        return Claim(Token(number, 1, worker), tick, own, params, waited=False)

    def _promoted(self, worker: int, decision: Decision, tick: int) -> Claim:
        """Let a paused trial on, as its next attempt."""
        self._db.change(sql.KEEP_PAUSED, (decision.trial,))
        claim = self._take(decision.trial, worker, tick, sql.TAKE_PAUSED)
        self._begun(claim)
        self._decided(claim.token, decision._replace(attempt=claim.token.attempt, tick=tick))
        return claim

    def _check_reports(self, number: int) -> None:
        """Raise UsageError where only steps could end the study, and nobody reports any."""
        (is_silent,) = (self._db.one(sql.IS_SILENT) if number >= MOST_SILENT else None) or (0,)
        if is_silent:
            raise UsageError(
                f"{number} trials have reported no step, so the budget of steps would never be "
                "used up: let the objective report, or say --trials N"
            )

    def add(self, params: Params, search: str, seed: int) -> int:
        """Append a configuration that was given by hand, to wait for a worker; return its number.

        It comes on top of the budget.
        """
        with self._db.transaction(durable=True):
            number, tick = self._append()
            own = draw.trial_seed(seed, number)
            row = (number, "manual", search, own, None, written(params), tick, None, None)
            self._db.change(sql.INSERT_WAITING, row)
        return number

    def record(self, worker: int, params: Params, outcome: Outcome, search: str, seed: int) -> int:
        """Append a trial that was run elsewhere, with its result; return its number."""
        with self._db.transaction(durable=True):
            number, tick = self._append()
            own = draw.trial_seed(seed, number)
            row = (number, "manual", search, own, written(params), tick, tick, worker, time.time())
            self._db.change(sql.INSERT_TRIAL, row)
            self._tell(Token(number, 1, worker), outcome, Cost())
        self._db.checkpoint()
        return number

    def suggest(self, token: Token, params: Params, origin: str, search: str) -> None:
        """Write the configuration of a claimed trial, and the search that made it.

        LeaseLostError if it was taken away.
        """
        with self._db.transaction():
            tick = self._tick_if_held(token)
            self._db.change(sql.SET_PARAMS, (written(params), tick, origin, search, token.number))

    def report(
        self,
        token: Token,
        step: int,
        metrics: Mapping[str, float],
        rungs: Sequence[Decision] = (),
        *,
        counts: bool = True,
    ) -> tuple[int, int] | None:
        """Append one step's numbers and the rungs that it reaches; return the tick.

        And that of the latest change of the study, see `timeline`. Where no step is left of the
        budget, that is written instead, and None returned; unless it `counts`, it takes none.
        LeaseLostError if the trial was taken away.
        """
        now = time.time()
        values = {n: None if math.isnan(value) else float(value) for n, value in metrics.items()}
        with self._reporting:
            before = self._last_step(token)
            is_new = counts and (before is None or step > before)
            reported = self._reported.pop(token, None)  # not known any more if this fails
            with self._db.transaction():
                tick, edited, budget = self._step_if_held(token, is_new=is_new)
                if budget is not None:
                    self._db.change(sql.TAKE_STEP_BACK)
                    at = (token.number, token.attempt, tick, 0, step)
                    refusal = Decision(*at, "budget", {"steps": budget})
                    self._db.change(sql.INSERT_DECISION, _decision(refusal))
                    return None
                rows = [(name, step, tick, value, now) for name, value in values.items()]
                self._db.change_many(
                    sql.INSERT_METRIC, ((token.number, token.attempt, *row) for row in rows)
                )
                made = [_decision(rung._replace(tick=tick)) for rung in rungs]
                for decision in made:
                    self._db.change(sql.INSERT_DECISION, decision)
            if reported is not None:
                for row in (*rows, *map(_summed, made)):
                    reported.sum.step(*row)
                reported.steps.add(step)
                self._reported[token] = reported
            if is_new:
                self._last_steps[token] = step
        return tick, edited

    def decide(self, token: Token, decision: Decision) -> None:
        """Write what a stopping rule decided of a trial that goes on all the same.

        LeaseLostError if it was taken away.
        """
        with self._reporting, self._db.transaction():
            self._check_held(token)
            self._decided(token, decision)

    def tell(
        self,
        token: Token,
        outcome: Outcome,
        seconds: float,
        decision: Decision | None = None,
        used: Cost = Cost(),  # noqa: B008 - it is frozen
    ) -> None:
        """Write how a trial ended, durably, and which decision ended it, if one did.

        `used` tells of processor and memory; the steps are counted here. LeaseLostError if the
        trial was taken away; UnconfirmedError if it is written, but may not be on the disk.
        """
        try:
            with self._db.transaction(durable=True):
                if decision is not None:
                    self._decided(token, decision)
                self._tell(token, outcome, used, seconds)
        except UnconfirmedError as error:
            then = "that looks whether it is there, and runs the trial again if it is not"
            what = f"the result of trial {token.number}"
            raise UnconfirmedError(self.path, what, error.why, then) from error
        self._db.checkpoint()

    def give_back(self, token: Token, used: Cost | None = None) -> None:
        """Return an unfinished trial, to run again; LeaseLostError if it was taken away."""
        with self._db.transaction():
            self._give_back(token, "given back", used)

    def retry(self, numbers: Iterable[int]) -> None:
        """Let failed trials wait to run again; each failure is kept as an attempt."""
        with self._db.transaction(durable=True):
            for number in numbers:
                if self._db.change(sql.KEEP_FAILURE, (number,)):
                    self._db.change(sql.RETRY, (number,))

    def _decided(self, token: Token, decision: Decision) -> None:
        """Append a decision, and add it to the sum of what the attempt has reported."""
        reported = self._reported.pop(token, None)  # not known any more if this fails
        row = _decision(decision)
        self._db.change(sql.INSERT_DECISION, row)
        if reported is not None:
            reported.sum.step(*_summed(row))
            self._reported[token] = reported

    def _append(self) -> tuple[int, int]:
        """Take the next number and a tick for a trial that comes on top of the budget."""
        tick, budget, number, *_ = self._next()
        if budget is not None:
            self._db.change(sql.SET_BUDGET, (budget + 1,))
            self._db.change(sql.SEAL)
        self._db.change(sql.SET_TICK, (tick + 1,))
        return number, tick + 1

    def _add_environment(self, environment: Environment, now: float) -> None:
        for each in environment.sources:
            self._db.change(sql.INSERT_SOURCE, (each.hash, each.name, each.text, now))
        if environment.facts is not None:
            self._db.change(sql.INSERT_ENVIRONMENT, (environment.hash, environment.facts, now))

    def _end(
        self, token: Token, kind: str, now: float, cost: tuple[object, ...], *more: object
    ) -> tuple[int, str]:
        """Take a tick, add up the seconds, and make a link of the chain, behind the same fence."""
        held = (token.number, token.attempt, token.worker)
        reported = self._reported.pop(token, None)
        self._last_steps.pop(token, None)
        known = None if reported is None else reported.sum.finalize()
        ending = digest(kind, now, *cost, *more)
        row = self._db.one(sql.END_IF_HELD, (*held, ending, known, kind, cost[0] or 0.0))
        tick, link = self._held(token, row)
        return int(tick), str(link)

    def _tell(
        self, token: Token, outcome: Outcome, used: Cost, seconds: float | None = None
    ) -> None:
        now, cost = time.time(), self._cost_row(token, used, seconds)
        results = (
            outcome.value, written(outcome.values) if outcome.values else None, outcome.error,
            outcome.traceback, outcome.violation,
        )  # fmt: skip
        tick, link = self._end(token, outcome.state, now, cost, *results)
        ending = (tick, link, outcome.state, now, *cost, *results, token.number)
        self._db.change(sql.TELL, ending)
        if outcome.state != "paused":  # it goes on from there
            self._clear(token)

    def _give_back(self, token: Token, ending: str, used: Cost | None = None) -> None:
        used = self._by_signs(token) if used is None else used
        now, cost = time.time(), self._cost_row(token, used)
        tick, link = self._end(token, ending, now, cost, *[None] * 5)
        row = (tick, link, ending, now, *cost, token.number)
        self._db.change(sql.INSERT_ATTEMPT, row)
        self._db.change(sql.GIVE_BACK, (int(ending == "died"), token.number))

    def _release(self, worker: int, ending: str, *, died: bool) -> None:
        self._db.change(sql.END_WORKER, (time.time(), ending, worker))
        for number, attempt, deaths in self._db.all(sql.SELECT_RUNNING_OF, (worker,)):
            token = Token(number, attempt, worker)
            if died and deaths + 1 >= MAX_DEATHS:
                error = f"its worker died {deaths + 1} times, at last it {ending}"
                self._tell(token, Outcome("failed", error=error), self._by_signs(token))
                self._db.change(sql.COUNT_DEATH, (number,))
            else:
                self._give_back(token, "died" if died else "given back")


def _decision(of: Decision) -> tuple[object, ...]:
    """Return a decision's row."""
    return of.trial, of.attempt, of.tick, of.part, of.step, of.verdict, written(of.facts)


def _summed(row: Sequence[object]) -> tuple[object, ...]:
    """Return of a decision's row what its attempt's sum takes in, as SELECT_REPORTED does."""
    _, _, tick, part, step, verdict, facts = row
    return verdict, step, tick, float(cast("int", part)), facts  # a real number, as in its union
