"""A study's stopping rules at work: what each makes of a report."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

from tinytune import draw, stopping
from tinytune.history import Decision, Ended, Goal, RuleSpec, StudyRecord
from tinytune.stopping.curve import Curve, Facts

_NO_VALUES = frozenset({"p"})  # facts that are floats and no values of the metric


@dataclass(frozen=True)
class Part:
    """One of the rules, and the metric that it looks at."""

    options: stopping.RuleOptions
    rule: stopping.Rule
    goals: tuple[Goal, ...]

    @property
    def joint(self) -> stopping.Joint | None:
        """The rule, if it looks at all objectives at once."""
        return cast("stopping.Joint", self.rule) if is_joint(self.options) else None

    @property
    def pausing(self) -> stopping.Pausing | None:
        """The rule, if it pauses trials."""
        rule = self.rule
        return cast("stopping.Pausing", rule) if getattr(rule, "pauses", False) else None

    def metric(self, reported: Iterable[str]) -> str | None:
        """Return the metric to look at, of those that were reported."""
        found = sorted(reported)
        wanted = self.options.metric
        if wanted is None:
            wanted = self.goals[0].name if self.goals[0].name in found else next(iter(found), None)
        return wanted if wanted in found else None

    def sign(self, metric: str) -> float:
        """Return 1 where small values are good, and where they are not to be changed; else -1."""
        if getattr(self.rule, "is_raw", False):
            return 1.0
        known = {goal.name: goal.direction for goal in self.goals}
        direction = self.options.direction or known.get(metric, "minimize")
        return 1.0 if direction == "minimize" else -1.0


def is_joint(options: stopping.RuleOptions | type[stopping.RuleOptions]) -> bool:
    """Return whether a rule looks at all objectives at once."""
    return bool(getattr(options, "joint", False))


class Attempt:
    """What one attempt at a trial has reported: a curve for each rule."""

    def __init__(self, number: int, attempt: int, parts: Sequence[Part]) -> None:
        self.number, self.attempt, self._parts = number, attempt, parts
        self._curves: dict[tuple[int, str], Curve] = {}
        self._reported: set[str] = set()
        self._now: Mapping[str, float] = {}

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take in a report."""
        self._reported |= metrics.keys()
        self._now = metrics
        for metric, value in metrics.items():
            for place, part in enumerate(self._parts):
                curve = self._curves.setdefault((place, metric), Curve(self.number))
                curve.add(step, part.sign(metric) * value)

    def curve(self, place: int) -> Curve | None:
        """Return the curve that a rule looks at, None where the last report was not about it."""
        metric = self._parts[place].metric(self._reported)
        if metric is None or metric not in self._now:
            return None
        return self._curves[place, metric]

    def whole(self, place: int) -> Curve | None:
        """Return the curve that a rule looks at."""
        metric = self._parts[place].metric(self._reported)
        return None if metric is None else self._curves[place, metric]

    def curves(self, place: int) -> dict[str, Curve | None]:
        """Return those of all objectives, None where one was not reported.

        Of a single one whose name was not reported it is that of the first metric.
        """
        part = self._parts[place]
        names = [goal.name for goal in part.goals]
        if len(names) == 1:
            names = [part.metric(self._reported) or names[0]]
        return {name: self._curves.get((place, name)) for name in names}

    def was_about(self, names: Iterable[str]) -> bool:
        """Return whether the last report had one of these metrics."""
        return any(name in self._now for name in names)

    def sign(self, place: int, fact: str) -> float:
        """Return the sign with which a rule sees the metric of something that it compared."""
        part = self._parts[place]
        if part.joint is not None:
            return part.sign(fact.partition(" ")[2])
        metric = part.metric(self._reported)
        return 1.0 if metric is None else part.sign(metric)


class Judge:
    """The rules at work, told of everything up to a tick. It may be thrown away and rebuilt."""

    def __init__(self, record: StudyRecord) -> None:
        self.seen = 0  # the tick up to which it was told
        self._record = record
        self.parts = [
            Part(options, options.start(record.seed), record.goals)
            for options in map(stopping.from_spec, record.stopping)
        ]
        self.looks = any(part.options.looks for part in self.parts)
        """Whether it has to be told of complete trials."""
        self.has_rungs = any(part.options.climbs for part in self.parts)
        """Whether it has to be told which rungs trials have reached."""
        self.pauses = any(part.pausing for part in self.parts)
        """Whether it lets trials wait, and has to be asked which of them to resume."""

    def attempt(self, number: int, attempt: int) -> Attempt:
        """Return an attempt that has reported nothing yet."""
        return Attempt(number, attempt, self.parts)

    def tell(self, ended: Ended) -> None:
        """Take in a complete trial."""
        whole = self.attempt(ended.number, 0)
        for metric, step, value in ended.reports:
            whole.add(step, {metric: value})
        for place, part in enumerate(self.parts):
            if part.joint is not None:
                if ended.is_met:
                    part.joint.tell(whole.curves(place))
            elif (curve := whole.whole(place)) is not None:
                part.rule.tell(curve)

    def note(self, mark: Decision) -> None:
        """Take in that a trial has reached a rung, or was let on from one."""
        pausing = self.parts[mark.part].pausing
        if mark.verdict == "promote":
            if pausing is not None:
                pausing.resumed(mark.trial, int(mark.facts["reports"]))
            return
        value = mark.facts.get("value")
        number = math.inf if value is None else float(value)
        self.parts[mark.part].rule.note(mark.trial, int(mark.facts["place"]), number)

    def rungs(self, attempt: Attempt, step: int) -> list[Decision]:
        """Return the rungs that the last report has reached; their tick is not known yet."""
        found = []
        for place, part in enumerate(self.parts):
            curve = None if part.joint else attempt.curve(place)
            if curve is not None and part.rule.rung(curve):
                facts = _plain({"place": len(curve), "value": curve.values[-1]})
                found.append(
                    Decision(attempt.number, attempt.attempt, 0, place, step, "rung", facts)
                )
        return found

    def decide(self, attempt: Attempt, step: int, tick: int) -> Decision | None:
        """Return the first rule's verdict that would stop a trial, None where it goes on."""
        for place, part in enumerate(self.parts):
            facts = _compared(part, attempt, place, step)
            if facts is not None:
                verdict: Literal["spared", "stop", "pause"] = "pause" if part.pausing else "stop"
                if self._is_spared(attempt.number):
                    verdict = "spared"
                plain = _plain(facts, partial(attempt.sign, place))
                return Decision(
                    attempt.number, attempt.attempt, tick, place, step, verdict, plain
                )  # fmt: skip
        return None

    def promotable(self, state: Callable[[int], str]) -> Decision | None:
        """Return the decision to resume a paused trial, its attempt and tick not known yet.

        `state` tells a trial's, or "" where there is no such trial yet.
        """
        for place, part in enumerate(self.parts):
            found = None if part.pausing is None else part.pausing.promotable(state)
            if found is not None:
                number, facts = found
                step = int(facts["reports"])
                return Decision(number, 0, 0, place, step, "promote", _plain(facts))
        return None

    def _is_spared(self, number: int) -> bool:
        if not self._record.audit:
            return False
        return draw.uniform(self._record.seed, number, "audit") < self._record.audit


def _compared(part: Part, attempt: Attempt, place: int, step: int) -> Facts | None:
    """Return what a rule stops a trial for after its last report, None where it goes on."""
    if part.joint is None:
        curve = attempt.curve(place)
        return None if curve is None else part.rule.decide(curve)
    curves = attempt.curves(place)
    return part.joint.decide(curves, step) if attempt.was_about(curves) else None


def _plain(facts: Facts, sign: Callable[[str], float] = lambda _: 1.0) -> Facts:
    """Return facts as they were reported: with their own sign, and without what is infinite."""
    found: Facts = {}
    for name, value in facts.items():
        if isinstance(value, float):
            if math.isfinite(value):
                found[name] = value if name in _NO_VALUES else sign(name) * value + 0.0
        else:
            found[name] = value
    return found


def sentence(spec: RuleSpec, facts: Mapping[str, object]) -> str:
    """Return why a trial was stopped, in words."""
    texts = {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in facts.items()
    }
    try:
        return stopping.options_class(spec.name).sentence(_Known(texts))
    except Exception:  # noqa: BLE001 - a rule of somebody else's, or facts that were changed
        return ", ".join(f"{name} {text}" for name, text in texts.items())


class _Known(dict[str, str]):
    """Facts as texts; what is missing was no finite number."""

    def __missing__(self, name: str) -> str:
        return "not finite"
