"""Learning from other studies: their trials, in the parameters of a new one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinytune import requirement, search
from tinytune.errors import SpaceError, StudyMismatchError, UsageError
from tinytune.expression import ExpressionError
from tinytune.history import COSTS, Finished, Lesson, StudyRecord, TrialRecord
from tinytune.space import MISSING, Params
from tinytune.store.reader import Reader


@dataclass(frozen=True)
class Taught:
    """What was learned from one study, and what to tell people of it."""

    lessons: tuple[Lesson, ...]
    text: str


def learned(record: StudyRecord, paths: Sequence[Path]) -> tuple[StudyRecord, list[str]]:
    """Return a new study's record with other studies' trials as lessons, and a line for each.

    UsageError where the search does not learn, or another study has another objective.
    """
    if not paths:
        return record, []
    if not search.options_class(record.search.name).learns:
        raise UsageError(
            f"the search {record.search.name!r} does not learn from results: leave out "
            "--learn-from, or use auto, gp, tpe, cma-es or another one that learns"
        )
    taught = [_taught(record, path) for path in paths]
    every = [lesson for each in taught for lesson in each.lessons]
    numbered = tuple(
        lesson._replace(result=lesson.result._replace(number=place - len(every)))
        for place, lesson in enumerate(every)
    )
    return record._replace(lessons=numbered), [each.text for each in taught]


def check_same(path: Path, found: StudyRecord, wanted: Sequence[Path]) -> None:
    """Raise StudyMismatchError unless an existing study has learned from files of these names.

    They are not read again: a study's lessons are those of the moment when it was made.
    """
    before = list(dict.fromkeys(lesson.study for lesson in found.lessons))
    now = list(dict.fromkeys(other.name for other in wanted))
    if before != now:
        raise StudyMismatchError(
            f"{path} has learned from {', '.join(before) or 'no other study'}, not from "
            f"{', '.join(now)}: name another file with --study to begin anew"
        )


def _taught(record: StudyRecord, path: Path) -> Taught:
    with Reader(path) as reader, reader.snapshot():
        other, chain = reader.study(), reader.chain()
        trials = [trial for trial in reader.trials() if trial.confirms is None]
    _check_goals(record, other, path, trials)
    shared = [name for name in record.space.by_name if name in other.space.by_name]
    if not shared:
        raise UsageError(f"{path} has none of this study's parameters: nothing to learn from it")
    taken, missing = _filled(record, other)
    ended = sorted(
        (t for t in trials if t.told is not None and t.params is not None and not t.removed),
        key=lambda trial: trial.told or 0,
    )
    lessons, left = [], Counter[str]()
    for trial in ended:
        try:
            result = _result(record, trial, taken, other.goals[0].name)
        except SpaceError as error:
            left[str(error)] += 1
            continue
        lessons.append(Lesson(path.name, chain, trial.number, result))
    if not lessons:
        raise UsageError(
            f"{path} has no trial that ended in this study's space: nothing to learn from it"
        )
    notes = [f"{name} was not tuned there and is taken as {taken[name]!r}" for name in missing]
    unused = [name for name in other.space.by_name if name not in record.space.by_name]
    notes += [f"{name} of there is not tuned here" for name in unused]
    notes += [f"{count} left out: {why}" for why, count in left.most_common(3)]
    text = f"learned from {len(lessons)} of {len(trials)} trials of {path}"
    return Taught(tuple(lessons), f"{text}: {'; '.join(notes)}" if notes else text)


def _check_goals(
    record: StudyRecord, other: StudyRecord, path: Path, trials: Sequence[TrialRecord]
) -> None:
    """Raise UsageError unless another study's trials say something of each of this one's goals.

    They do if it is sought there too, or is one of their numbers, such as their seconds.
    """
    sought = {goal.name: goal for goal in other.goals}
    for goal in record.goals:
        there = sought.get(goal.name, goal if len(record.goals) > 1 else other.goals[0])
        if there != goal:
            raise UsageError(
                f"{path} is to {there.direction} {there.name}, and this study to {goal.direction} "
                f"{goal.name}: its results say nothing here"
            )
        if goal.name not in sought and not any(goal.name in _numbers(t, "") for t in trials):
            raise UsageError(
                f"no trial of {path} has a number {goal.name!r}, which this study is to "
                f"{goal.direction}: leave out that study"
            )


def _numbers(trial: TrialRecord, first: str) -> dict[str, float]:
    """Return what is known of a trial: its results, what it took, and its value as `first`."""
    taken = {name: getattr(trial, name) for name in COSTS} | {first: trial.value}
    known = {name: float(number) for name, number in taken.items() if number is not None}
    return {**known, **trial.values}


def _filled(record: StudyRecord, other: StudyRecord) -> tuple[Params, list[str]]:
    """Return values for all parameters, and the names of those that were not tuned there.

    What was fixed there is taken as it was, else a parameter's default, else its middle.
    """
    found: Params = {}
    missing = []
    for parameter in record.space.parameters:
        name = parameter.name
        value = parameter.default
        if name in other.settings:
            value = other.settings[name]
        if value is MISSING:
            value = parameter.distribution.from_unit(0.5)
        try:
            found[name] = parameter.distribution.canonical(value)
        except ValueError as error:
            raise UsageError(f"{name} was fixed as {value!r} there, which {error} here") from None
        if name not in other.space.by_name:
            missing.append(name)
    return found, missing


def _result(record: StudyRecord, trial: TrialRecord, filled: Params, first: str) -> Finished:
    """Return a trial as this study sees it; SpaceError where it is outside of the space.

    `first` is the other study's first objective.
    """
    params = {**filled, **(trial.params or {})}
    for name, parameter in record.space.by_name.items():
        try:
            parameter.distribution.canonical(params[name])
        except ValueError:
            raise SpaceError(f"{name} is not in its range here") from None
    try:
        checked = record.space.checked({name: params[name] for name in record.space.by_name})
    except SpaceError:
        raise SpaceError("what must hold here does not") from None
    state = "stopped" if trial.state == "paused" else trial.state
    known = {} if state == "failed" else _numbers(trial, first)
    missing = [goal.name for goal in record.goals if goal.name not in known]
    if state == "complete" and missing:
        raise SpaceError(f"it has no {missing[0]}")
    values = {goal.name: known[goal.name] for goal in record.goals if goal.name in known}
    missed = _violation(record, known) if state == "complete" else None
    value = values.get(record.goals[0].name)
    kept = values if len(record.goals) > 1 else {}
    return Finished(-1, state, checked, value, values=kept, violation=missed)


def _violation(record: StudyRecord, known: dict[str, float]) -> float | None:
    """Return by how much a trial misses what this study's results have to meet, None: not known."""
    required = requirement.parsed(record.subject_to)
    if not required or not set(requirement.names(required)) <= known.keys():
        return None
    try:
        return requirement.violation(required, known)
    except ExpressionError:
        return None
