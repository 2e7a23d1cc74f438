"""What every stopping rule promises, each a check, and a made-up study that it is put to."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import FrozenInstanceError, dataclass, fields
from typing import TypeAlias

from tinytune import draw, stopping
from tinytune.distributions import Float
from tinytune.errors import TinytuneError
from tinytune.history import (
    Decision,
    Direction,
    Ended,
    Goal,
    ObjectiveReference,
    RuleSpec,
    SearchSpec,
    StudyRecord,
)
from tinytune.space import Space
from tinytune.stopping import RuleOptions
from tinytune.stopping.judge import Attempt, Judge, is_joint

Values: TypeAlias = Sequence[tuple[int, float]]
"""A trial's reports: step and value, in the order in which they were made."""

_SEED = 20
_TRIALS, _STEPS, _WORKERS = 40, 12, 4
_METRIC, _OTHER = "loss", "cost"  # the second one for a rule that looks at several objectives
_SPACE = Space.of({"x": Float(0.0, 1.0)})


def check_rule_options(options: RuleOptions) -> None:
    """Options are frozen, survive the study's file, and say what the rule is."""
    stored = stopping.specs([options])[0]
    again = RuleSpec(stored.name, stored.version, json.loads(json.dumps(stored.options)))
    try:
        _require(options, stopping.from_spec(again) == options, "options differ after JSON")
    except TinytuneError as error:
        raise AssertionError(f"{options}: its options cannot be read back: {error}") from error
    is_number = type(options.version) is int and options.version >= 1
    _require(options, is_number, "version is no number from 1 on")
    for flag in ("looks", "climbs"):
        is_flag = type(getattr(options, flag)) is bool
        _require(options, is_flag, f"{flag} is not True or False")
    for field in fields(options):  # type: ignore[arg-type]
        try:
            setattr(options, field.name, getattr(options, field.name))
        except FrozenInstanceError:
            continue
        _require(options, False, f"option {field.name} can be changed: freeze the dataclass")
    pauses = getattr(options.start(_SEED), "pauses", False)
    _require(options, not pauses or options.climbs, "it pauses, and climbs is not True")


def check_rule_replay(options: RuleOptions) -> None:
    """Each decision follows from what had been reported before, in a rule that is begun anew."""
    for direction in ("minimize", "maximize"):
        run = _Run(options, _curves(direction), direction)
        run.go()
        for place in range(0, len(run.log), 7):
            event = run.log[place]
            if isinstance(event, _Report):
                found = _replayed(run, place)
                what = f"trial {event.number} at step {event.step}, replayed,"
                _require(options, found == event.made, f"{what} is {found}, not {event.made}")


def check_rule_purity(options: RuleOptions) -> None:
    """Asking changes nothing: a decision is the same the second time, and so are all later ones."""
    once, twice = (_Run(options, _curves(), times=times) for times in (1, 3))
    once.go()
    twice.go()
    for one, other in zip(once.log, twice.log, strict=False):
        _require(options, one == other, f"asked several times, it makes {other} of {one}")


def check_rule_facts(options: RuleOptions) -> None:
    """What was compared is plain numbers by name, and the rule has a sentence for them."""
    run = _Run(options, _curves())
    run.go()
    for facts in run.facts():
        for name, value in facts.items():
            is_plain = type(name) is str and type(value) in (int, float)
            _require(options, is_plain, f"it compared {name}={value!r}, no plain number")
        said = options.sentence({name: f"{value}" for name, value in facts.items()})
        _require(options, type(said) is str and bool(said), f"its sentence for {facts} is {said!r}")


def check_rule_needs(options: RuleOptions) -> None:
    """A rule that does not look or climb, by its own word, has no use for trials or rungs."""
    run = _Run(options, _curves())
    run.go()
    if not options.climbs:
        rungs = [each for each in run.log if isinstance(each, _Report) and each.made[0]]
        _require(options, not rungs, "it has rungs, and climbs is not True")
    if not options.looks:
        told = _Run(options, _curves(), always_tells=True)
        told.go()
        _require(options, told.log == run.log, "complete trials matter, and looks is not True")


def check_rule_hard_curves(options: RuleOptions) -> None:
    """Huge, infinite and missing numbers, and steps in any order, lead to no error or warning."""
    hard = (math.nan, math.inf, -math.inf, 1.7e308, -1.7e308, 5e-324, 0.0, -0.0)
    curves: list[Values] = []
    for number in range(_TRIALS):
        units = draw.uniforms(2 * _STEPS, _SEED, number, "hard").tolist()
        steps = [int(unit * _STEPS) - 2 for unit in units[:_STEPS]]
        values = [hard[int(unit * len(hard))] for unit in units[_STEPS:]]
        curves.append(list(zip(steps, values, strict=True)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _Run(options, curves).go()
        _Run(options, [[(step, math.nan) for step in range(_STEPS)]] * _TRIALS).go()
        _Run(options, [[(step, 1.0) for step in range(_STEPS)]] * _TRIALS).go()


def check_rule_pauses(options: RuleOptions) -> None:
    """Only paused trials are let on, one that is let on is not due any more, and the same anew."""
    if not getattr(options.start(_SEED), "pauses", False):
        return
    run = _Run(options, _curves())
    run.go()
    for place, event in enumerate(run.log):
        if not isinstance(event, _Claim):
            continue
        found = event.promoted
        if found is not None:
            was = event.states.get(found.trial, "")
            _require(options, was == "paused", f"it lets on trial {found.trial}, which is {was!r}")
            _require(options, event.again != found.trial, f"it lets trial {found.trial} on twice")
        judge = run.judge_at(place)
        anew = judge.promotable(lambda number: event.states.get(number, ""))  # noqa: B023
        _require(options, anew == found, f"asked anew, it lets on {anew}, not {found}")


RULE_CHECKS: tuple[Callable[[RuleOptions], None], ...] = (
    check_rule_options,
    check_rule_replay,
    check_rule_purity,
    check_rule_facts,
    check_rule_needs,
    check_rule_hard_curves,
    check_rule_pauses,
)


def check_rule(options: RuleOptions) -> None:
    """Put a stopping rule to all of `RULE_CHECKS`: AssertionError says which promise it breaks."""
    for check in RULE_CHECKS:
        check(options)


# What the checks share


def _require(options: RuleOptions, holds: bool, message: str) -> None:  # noqa: FBT001
    if not holds:
        raise AssertionError(f"{options}: {message}")


def _curves(direction: Direction = "minimize") -> list[Values]:
    """Return curves that fall at different speeds to different values, with some noise."""
    sign = 1.0 if direction == "minimize" else -1.0
    found: list[Values] = []
    for number in range(_TRIALS):
        end, rise, *noise = draw.uniforms(_STEPS + 2, _SEED, number, "curve").tolist()
        values = [sign * (end + rise / (1 + s) + 0.1 * noise[s]) for s in range(_STEPS)]
        found.append(list(enumerate(values)))
    return found


Made: TypeAlias = tuple[list[Decision], Decision | None]
"""What a rule makes of a report: the rungs that it reaches, and what it decides."""


@dataclass(frozen=True)
class _Report:
    """A report, and what the rule made of it."""

    number: int
    attempt: int
    step: int
    metrics: dict[str, float]
    tick: int
    made: Made


@dataclass(frozen=True)
class _Claim:
    """A worker that was free: the states of all trials then, and which one was let on, if any."""

    states: dict[int, str]
    promoted: Decision | None
    again: int | None  # the trial that the rule lets on next, the first one still being paused


class _Run:
    """A made-up study under a rule: several workers, whose trials go on in any order."""

    def __init__(
        self,
        options: RuleOptions,
        curves: Sequence[Values],
        direction: Direction = "minimize",
        *,
        times: int = 1,
        always_tells: bool = False,
    ) -> None:
        self.options, self._curves, self._times = options, curves, times
        self._tells_all = always_tells
        self._names = (_METRIC, _OTHER) if is_joint(options) else (_METRIC,)
        goals = tuple(Goal(name, direction) for name in self._names)
        self.record = StudyRecord(
            _SPACE, SearchSpec("random", 1, {}), goals, {}, _SEED,
            use_defaults=False, budget=None, objective=ObjectiveReference("rule"),
            stopping=stopping.specs([options]),
        )  # fmt: skip
        self.judge = Judge(self.record)
        self.log: list[_Report | _Claim | Ended] = []
        self.states: dict[int, str] = {}

    def go(self) -> None:
        """Run all trials; one that is paused begins anew when it is let on."""
        running: list[tuple[Attempt, int]] = []  # and the reports that were made
        attempts: dict[int, int] = {}
        tick = 0
        while True:
            while len(running) < _WORKERS and (number := self._claimed(attempts)) is not None:
                attempts[number] = attempts.get(number, 0) + 1
                running.append((self.judge.attempt(number, attempts[number]), 0))
            if not running:
                return
            tick += 1
            turn = draw.below(len(running), _SEED, tick, "turn")
            attempt, count = running.pop(turn)
            if count < len(self._curves[attempt.number]):
                decision = self._reported(attempt, count, tick)
                if decision is None:
                    running.append((attempt, count + 1))
                else:
                    self.states[attempt.number] = (
                        "paused" if decision.verdict == "pause" else "stopped"
                    )
            else:
                self._complete(attempt, tick)

    def _claimed(self, attempts: dict[int, int]) -> int | None:
        """Return the trial that a free worker takes, None where there is none left.

        One that was not paused is not let on, nor is any more often than it has steps.
        """
        promoted = self._promoted() if self.judge.pauses else None
        number = len(attempts) if promoted is None else promoted.trial
        if number >= len(self._curves) or attempts.get(number, 0) > _STEPS:
            return None
        if promoted is not None and self.states.get(number) != "paused":
            return None
        self.states[number] = "running"
        return number

    def _promoted(self) -> Decision | None:
        states = dict(self.states)
        found = self.judge.promotable(lambda number: states.get(number, ""))
        again = None
        if found is not None:
            self.judge.note(found)
            next_one = self.judge.promotable(lambda number: states.get(number, ""))
            again = None if next_one is None else next_one.trial
        self.log.append(_Claim(states, found, again))
        return found

    def _reported(self, attempt: Attempt, count: int, tick: int) -> Decision | None:
        step, metrics = self._at(attempt.number, count)
        attempt.add(step, metrics)
        made = _made(self.judge, attempt, step, tick, self._times)
        self.log.append(_Report(attempt.number, attempt.attempt, step, metrics, tick, made))
        return made[1]

    def _at(self, number: int, count: int) -> tuple[int, dict[str, float]]:
        """Return step and metrics of a trial's report; the second metric is another trial's."""
        step = self._curves[number][count][0]
        places = range(number, number - len(self._names), -1)
        values = (self._curves[place][count][1] for place in places)
        return step, dict(zip(self._names, values, strict=True))

    def _complete(self, attempt: Attempt, tick: int) -> None:
        number = attempt.number
        self.states[number] = "complete"
        reports = (self._at(number, count) for count in range(len(self._curves[number])))
        rows = ((name, step, value) for step, made in reports for name, value in made.items())
        ended = Ended(number, tick, tuple(rows))
        self.log.append(ended)
        if self.judge.looks or self._tells_all:
            self.judge.tell(ended)

    def facts(self) -> Iterator[dict[str, float | int]]:
        """Yield what the rule has compared."""
        for event in self.log:
            if isinstance(event, _Report) and event.made[1] is not None:
                yield event.made[1].facts
            elif isinstance(event, _Claim) and event.promoted is not None:
                yield event.promoted.facts

    def judge_at(self, place: int) -> Judge:
        """Return the rule begun anew, and told of what had happened before a place of the log."""
        judge = Judge(self.record)
        for event in self.log[:place]:
            if isinstance(event, Ended):
                if judge.looks:
                    judge.tell(event)
            elif isinstance(event, _Claim):
                if event.promoted is not None:
                    judge.note(event.promoted)
            else:
                for rung in event.made[0]:
                    judge.note(rung)
        return judge


def _made(judge: Judge, attempt: Attempt, step: int, tick: int, times: int = 1) -> Made:
    """Return what a rule makes of the last report; it is asked so many times."""
    for _ in range(times):
        rungs = [rung._replace(tick=tick) for rung in judge.rungs(attempt, step)]
    for rung in rungs:
        judge.note(rung)
    for _ in range(times):
        decision = judge.decide(attempt, step, tick)
    return rungs, decision


def _replayed(run: _Run, place: int) -> Made:
    """Return what the rule makes of a report when it is begun anew and told of what was before."""
    event = run.log[place]
    assert isinstance(event, _Report)  # noqa: S101 - its callers have looked
    judge = run.judge_at(place)
    attempt = judge.attempt(event.number, event.attempt)
    for before in run.log[: place + 1]:
        is_same = isinstance(before, _Report) and before.number == event.number
        if isinstance(before, _Report) and is_same and before.attempt == event.attempt:
            attempt.add(before.step, before.metrics)
    return _made(judge, attempt, event.step, event.tick)
