"""Reads from a study's file which of its numbers is asked about, and at which step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tinytune.errors import StudyFileError, UsageError
from tinytune.history import Direction, StudyRecord, TrialRecord
from tinytune.importance.evidence import Evidence, gather
from tinytune.store.reader import Reader

COSTS = ("seconds", "cpu_seconds", "memory_mb", "steps")  # that are measured of every trial
_LEAST_STEP = -(1 << 63)  # that SQLite can hold


@dataclass(frozen=True)
class Question:
    """Which number it is whose causes are sought, and whether small or large ones are good."""

    metric: str
    direction: Direction
    step: int | None = None  # of the curves; None: what trials ended with
    is_goal: bool = True


def read(
    reader: Reader, metric: str | None = None, step: int | None = None, *, maximize: bool = False
) -> tuple[Question, Evidence]:
    """Return the question, and the trials that answer it, as the study is in one moment.

    UsageError where no trial has such a number; StudyFileError where the file makes no sense.
    """
    with reader.snapshot():
        record = reader.study()
        trials = [trial for trial in reader.trials() if not trial.removed]
        question = _question(reader, record, metric, step, maximize=maximize)
        value = _value(reader, record, question, trials)
    try:
        evidence = gather(record.space, trials, value, question.direction)
    except ValueError as error:
        raise StudyFileError(
            f"{reader.path} holds a trial with a parameter that makes no sense ({error}): restore "
            "it from a copy"
        ) from error
    return question, evidence


def _question(
    reader: Reader, record: StudyRecord, metric: str | None, step: int | None, *, maximize: bool
) -> Question:
    goals = {goal.name: goal.direction for goal in record.goals}
    name = record.goals[0].name if metric is None else metric
    if step is not None:
        reported = reader.last_steps()
        if metric is None and name not in reported and reported:
            name = min(reported)
        if name not in reported:
            known = f"reported were {', '.join(sorted(reported))}" if reported else "none was"
            raise UsageError(f"no trial of {reader.path} has reported {name!r}: {known}")
        if step > reported[name]:
            raise UsageError(
                f"no trial of {reader.path} has reported {name!r} at step {step} or later: the "
                f"last step is {reported[name]}"
            )
    direction: Direction = "maximize" if maximize else goals.get(name, "minimize")
    return Question(name, direction, step, name in goals)


def _of_goal(trial: TrialRecord, value: float | None) -> float:
    is_bad = trial.state == "failed" or value is None or bool(trial.violation)
    return math.nan if is_bad or value is None else value


def _value(
    reader: Reader, record: StudyRecord, question: Question, trials: list[TrialRecord]
) -> Callable[[TrialRecord], float | None]:
    """Return what `gather` asks: a trial's number, NaN for the worst, None if it does not count."""
    name = question.metric
    if question.step is not None:
        there = reader.values_at(name, max(question.step, _LEAST_STEP))
        if not there:
            raise UsageError(
                f"no trial of {reader.path} had reported {name!r} by step {question.step}"
            )
        return lambda trial: there.get(trial.number)
    if question.is_goal:  # what failed is worse than everything else
        is_first = name == record.goals[0].name
        return lambda trial: _of_goal(trial, trial.value if is_first else trial.values.get(name))
    if any(name in trial.values for trial in trials):
        return lambda trial: trial.values.get(name)
    last = reader.last_metrics()
    if any(name in metrics for metrics in last.values()):
        nothing: Mapping[str, float] = {}
        return lambda trial: last.get(trial.number, nothing).get(name)
    if name in COSTS:
        return lambda trial: getattr(trial, name) if trial.state == "complete" else None
    names = {n for t in trials for n in t.values} | {n for m in last.values() for n in m}
    raise UsageError(
        f"no trial of {reader.path} has a number {name!r}: use one of "
        f"{', '.join(sorted({*names, *COSTS, record.goals[0].name}))}"
    )
