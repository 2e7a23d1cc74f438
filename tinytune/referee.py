"""Brings a study's stopping rules and its file together: what is reported is judged at once."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter

from tinytune.context import Pause
from tinytune.history import Decision, Outcome, State, StudyRecord, Token
from tinytune.stopping.judge import Attempt, Judge, sentence
from tinytune.store.writer import Store
from tinytune.timeline import Era


class Referee:
    """The rules, as far as this process has had to tell them; one for each open study.

    A report is written first, at its tick. Then the rules look at exactly what has no higher tick:
    what they have not been told yet is read, so that a report costs the same however many trials
    there are.
    """

    def __init__(self, era: Era) -> None:
        self._record, self._era = era.record, era
        self._judge: Judge | None = None
        self._edited = 0  # tick of the latest change of the study that the rules know
        self._removed: frozenset[int] = frozenset()
        self._attempts: dict[Token, Attempt] = {}
        self._decisions: dict[Token, Decision] = {}  # the first one of each attempt
        self._written: set[Token] = set()  # attempts whose pause is in the file before they end
        self._values: dict[Token, float] = {}  # the last ones of the objective's own metric
        self._lock = threading.Lock()  # an objective's threads may report at once

    def report(
        self, store: Store, token: Token, step: int, metrics: Mapping[str, float]
    ) -> str | None:
        """Write a report; return why the trial is to stop, None where it goes on."""
        value = metrics.get(self._record.goals[0].name)
        with self._lock:
            ended = self._decisions.get(token)
            if ended is not None and ended.verdict == "budget":  # nothing is written any more
                return self._reason(ended)
            if not self._record.stopping:
                if store.report(token, step, metrics) is None:
                    return self._refused(store, token, step)
                self._note(token, value)
                return None
            judge = self._judge = self._judge or Judge(self._record)
            attempt = self._attempts.setdefault(token, judge.attempt(token.number, token.attempt))
            attempt.add(step, metrics)
            rungs = () if ended is not None else judge.rungs(attempt, step)
            written = store.report(token, step, metrics, rungs)
            if written is None:
                return self._refused(store, token, step)
            self._note(token, value)
            if ended is not None:
                return self._reason(ended)
            tick, edited = written
            decision = self._told(store, tick, edited).decide(attempt, step, tick)
            if decision is None:
                return None
            self._decisions[token] = decision
            if decision.verdict == "spared":
                store.decide(token, decision)
            return self._reason(decision)

    def _note(self, token: Token, value: float | None) -> None:
        if value is not None:
            self._values[token] = float(value)

    def _refused(self, store: Store, token: Token, step: int) -> str | None:
        """Return why a trial is to stop whose report found no step left of the budget."""
        facts: dict[str, float | int] = {"steps": store.steps()}
        decision = Decision(token.number, token.attempt, 0, 0, step, "budget", facts)
        self._decisions[token] = decision
        return self._reason(decision)

    def go_on(self, store: Store, token: Token) -> None:
        """Take over what was reported before the checkpoint from which an attempt goes on."""
        with self._lock:
            judge = self._judge = self._judge or Judge(self._record)
            attempt = self._attempts[token] = judge.attempt(token.number, token.attempt)
            reports = store.reports_of(token.number, token.attempt)
            for (_, step), rows in groupby(reports, key=itemgetter(0, 1)):
                metrics = {name: value for *_, name, value in rows}
                attempt.add(step, metrics)
                self._note(token, metrics.get(self._record.goals[0].name))
            decision = store.decision_on(token.number, token.attempt)
            if decision is not None:
                self._decisions[token] = decision
                self._written.add(token)

    def reason(self, token: Token) -> str | None:
        """Return why a trial is stopped or paused, None where it goes on."""
        decision = self._decisions.get(token)
        return None if decision is None else self._reason(decision)

    @contextmanager
    def saving(self, store: Store, token: Token) -> Iterator[bool]:
        """Let no report come into a block, and tell it whether the trial may save.

        The pause of one that is paused is written first: who goes on from there is paused as well.
        """
        with self._lock:
            decision = self._decisions.get(token)
            if decision is not None and decision.verdict == "pause" and token not in self._written:
                store.decide(token, decision)
                self._written.add(token)
            yield decision is None or decision.verdict in ("spared", "pause")

    def promotable(self, store: Store, tick: int, edited: int) -> Decision | None:
        """Return the decision to let a paused trial on, given all up to a tick; None: none."""
        with self._lock:
            if not self._record.stopping:
                return None
            self._judge = self._judge or Judge(self._record)
            if not self._judge.pauses:
                return None
            judge = self._told(store, tick, edited)
            return judge.promotable(lambda number: self._state(store, number))

    def _state(self, store: Store, number: int) -> str:
        """Return a trial's state; those that do not count have as good as failed."""
        state = store.state(number)
        return state if not state or self._era.counts(number, self._removed) else "failed"

    def ended(self, token: Token, outcome: Outcome | None) -> tuple[Outcome, Decision | None]:
        """Return how a trial ended, given what its objective returned, and the decision behind it.

        One that a rule has stopped or paused is so, with what the objective returned in the end, or
        else with its last reported value. Where it failed, it has failed.
        """
        decision = self._decisions.pop(token, None)
        value = self._values.pop(token, math.nan)
        self._attempts.pop(token, None)
        if decision is None or decision.verdict == "spared":
            return outcome or Outcome("failed", error="the objective returned nothing"), None
        is_written = decision.verdict == "budget" or token in self._written
        self._written.discard(token)
        to_write = None if is_written else decision
        state: State = "paused" if decision.verdict == "pause" else "stopped"
        if outcome is None or (outcome.state == "stopped" and outcome.value is None):
            known = value if math.isfinite(value) else None
            values = {} if known is None else {self._record.goals[0].name: known}
            return Outcome(state, known, values), to_write
        if outcome.state in ("complete", "stopped"):  # or the mean of its runs so far
            return Outcome(state, outcome.value, outcome.values), to_write
        return outcome, to_write

    def is_stopped(self, token: Token) -> bool:
        """Return whether a rule has stopped a trial."""
        decision = self._decisions.get(token)
        return decision is not None and decision.verdict != "spared"

    def forget(self, token: Token) -> None:
        """Drop what an attempt has reported: it was given back, or taken away."""
        self._written.discard(token)
        for kept in (self._decisions, self._values, self._attempts):
            kept.pop(token, None)

    def _told(self, store: Store, tick: int, edited: int) -> Judge:
        """Return the rules, told of everything up to a tick, and of nothing later."""
        judge = self._judge
        if edited != self._edited:  # what was removed must be forgotten
            timeline = store.timeline()
            self._era = timeline.era_of(self._era.place)
            self._edited, self._removed, judge = edited, timeline.removed(tick + 1), None
        if judge is None or judge.seen > tick:  # another thread's report came in between
            judge = self._judge = Judge(self._record)
        if judge.looks:
            for ended in store.complete(judge.seen, tick):
                if ended.number not in self._removed:
                    judge.tell(ended)
        if judge.has_rungs:
            for rung in store.rungs(judge.seen, tick):
                if self._era.counts(rung.trial, self._removed):
                    judge.note(rung)
        judge.seen = tick
        return judge

    def _reason(self, decision: Decision) -> str | None:
        if decision.verdict == "spared":
            return None
        reason = explained(self._record, decision)
        return Pause(reason) if decision.verdict == "pause" else reason


def explained(record: StudyRecord, decision: Decision) -> str:
    """Return in words why a trial was stopped, and when."""
    if decision.verdict == "budget":
        steps = f"{decision.facts['steps']:,}"
        return f"before step {decision.step}: the study's budget of {steps} steps was used up"
    if decision.part >= len(record.stopping):
        return f"at step {decision.step} by a rule that the study does not have"
    spec = record.stopping[decision.part]
    at = "after" if decision.verdict == "promote" else "at step"
    return f"{at} {decision.step} by {spec.name}: {sentence(spec, decision.facts)}"
