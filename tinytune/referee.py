"""Brings a study's stopping rules and its file together: what is reported is judged at once."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping

from tinytune.history import Decision, Outcome, StudyRecord, Token
from tinytune.stopping.judge import Attempt, Judge, sentence
from tinytune.store.writer import Store


class Referee:
    """The rules, as far as this process has had to tell them; one for each open study.

    A report is written first, at its tick. Then the rules look at exactly what has no higher tick:
    what they have not been told yet is read, so that a report costs the same however many trials
    there are.
    """

    def __init__(self, record: StudyRecord) -> None:
        self._record = record
        self._judge: Judge | None = None
        self._attempts: dict[Token, Attempt] = {}
        self._decisions: dict[Token, Decision] = {}  # the first one of each attempt
        self._values: dict[Token, float] = {}  # the last ones of the objective's own metric
        self._lock = threading.Lock()  # an objective's threads may report at once

    def report(
        self, store: Store, token: Token, step: int, metrics: Mapping[str, float]
    ) -> str | None:
        """Write a report; return why the trial is to stop, None where it goes on."""
        value = metrics.get(self._record.goals[0].name)
        with self._lock:
            if not self._record.stopping:
                store.report(token, step, metrics)
                return None
            if value is not None:
                self._values[token] = float(value)
            judge = self._judge = self._judge or Judge(self._record)
            attempt = self._attempts.setdefault(token, judge.attempt(token.number, token.attempt))
            attempt.add(step, metrics)
            if token in self._decisions:
                store.report(token, step, metrics)
                return self._reason(self._decisions[token])
            tick = store.report(token, step, metrics, judge.rungs(attempt, step))
            decision = self._told(store, tick).decide(attempt, step, tick)
            if decision is None:
                return None
            self._decisions[token] = decision
            if decision.verdict == "spared":
                store.decide(token, decision)
            return self._reason(decision)

    def ended(self, token: Token, outcome: Outcome | None) -> tuple[Outcome, Decision | None]:
        """Return how a trial ended, given what its objective returned, and the decision behind it.

        One that a rule has stopped stays stopped, with what the objective returned in the end, or
        else with its last reported value. Where it failed, it has failed.
        """
        decision = self._decisions.pop(token, None)
        value = self._values.pop(token, math.nan)
        self._attempts.pop(token, None)
        if decision is None or decision.verdict == "spared":
            return outcome or Outcome("failed", error="the objective returned nothing"), None
        if outcome is None or outcome.state == "stopped":
            known = value if math.isfinite(value) else None
            values = {} if known is None else {self._record.goals[0].name: known}
            return Outcome("stopped", known, values), decision
        if outcome.state == "complete":
            return Outcome("stopped", outcome.value, outcome.values), decision
        return outcome, decision

    def is_stopped(self, token: Token) -> bool:
        """Return whether a rule has stopped a trial."""
        decision = self._decisions.get(token)
        return decision is not None and decision.verdict == "stop"

    def forget(self, token: Token) -> None:
        """Drop what an attempt has reported: it was given back, or taken away."""
        for kept in (self._decisions, self._values, self._attempts):
            kept.pop(token, None)

    def _told(self, store: Store, tick: int) -> Judge:
        """Return the rules, told of everything up to a tick, and of nothing later."""
        judge = self._judge
        if judge is None or judge.seen > tick:  # another thread's report came in between
            judge = self._judge = Judge(self._record)
        if judge.looks:
            for ended in store.complete(judge.seen, tick):
                judge.tell(ended)
        if judge.has_rungs:
            for rung in store.rungs(judge.seen, tick):
                judge.note(rung)
        judge.seen = tick
        return judge

    def _reason(self, decision: Decision) -> str | None:
        if decision.verdict == "spared":
            return None
        return explained(self._record, decision)


def explained(record: StudyRecord, decision: Decision) -> str:
    """Return in words why a rule stopped a trial, and when."""
    if decision.part >= len(record.stopping):
        return f"at step {decision.step} by a rule that the study does not have"
    spec = record.stopping[decision.part]
    return f"at step {decision.step} by {spec.name}: {sentence(spec, decision.facts)}"
