"""Which trials are the best where several numbers count, by what was said about them afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinytune import pareto, requirement
from tinytune.errors import UsageError
from tinytune.expression import ExpressionError
from tinytune.history import COSTS, Goal, TrialRecord
from tinytune.requirement import Requirement
from tinytune.store.reader import Reader


@dataclass(frozen=True)
class Volume:
    """What a study's front is worth: the volume that it dominates, up to a reference point."""

    reference: dict[str, float]  # the worst that counts, in each objective
    ideal: dict[str, float]  # the best that was seen, in each objective
    values: list[float]  # after each complete trial, in the order of their ends

    @property
    def last(self) -> float:
        """The hypervolume of all trials."""
        return self.values[-1]


def numbers(trial: TrialRecord) -> dict[str, float]:
    """Return all numbers that are known of a trial: its results before what it took."""
    taken = {name: getattr(trial, name) for name in COSTS}
    known = {name: float(number) for name, number in taken.items() if number is not None}
    return {**known, **trial.values}


def candidates(reader: Reader, limits: Sequence[Requirement]) -> list[TrialRecord]:
    """Return the trials that may be the best and keep to the limits, by number.

    UsageError where no trial has a number that a limit looks at.
    """
    trials = [trial for trial in reader.trials("complete") if trial.is_candidate]
    check_names(requirement.names(limits), trials)
    return [trial for trial in trials if _keeps(trial, limits)]


def check_names(names: Sequence[str], trials: Sequence[TrialRecord]) -> None:
    """Raise UsageError where none of the trials has a number of a name."""
    known = dict.fromkeys(name for trial in trials for name in numbers(trial))
    for name in names:
        if trials and name not in known:
            raise UsageError(f"no trial has a number {name!r}: there are {', '.join(known)}")


def weighted(
    trials: Sequence[TrialRecord], weights: Mapping[str, float], goals: Sequence[Goal]
) -> list[tuple[float, TrialRecord]]:
    """Return trials with their weighted sums, the best first; those that lack a number are out.

    What is to be maximised counts with its sign changed; so does nothing that is no objective.
    """
    check_names(list(weights), trials)
    signs = {goal.name: goal.small(1.0) for goal in goals}
    found = []
    for trial in trials:
        known = numbers(trial)
        if all(name in known for name in weights):
            terms = (weight * signs.get(n, 1.0) * known[n] for n, weight in weights.items())
            found.append((sum(terms), trial))
    return sorted(found, key=lambda pair: (pair[0], pair[1].number))


def left(goals: Sequence[Goal], limits: Sequence[Requirement]) -> tuple[Goal, ...]:
    """Return the objectives of which no limit speaks, or else the first one."""
    limited = set(requirement.names(limits))
    return tuple(goal for goal in goals if goal.name not in limited) or tuple(goals[:1])


def front(trials: Sequence[TrialRecord], goals: Sequence[Goal]) -> list[TrialRecord]:
    """Return the trials that none dominates, by the first objective, the best first.

    Where there is one objective these are the best ones, which have the same value.
    """
    points = [[goal.small(numbers(trial)[goal.name]) for goal in goals] for trial in trials]
    kept = sorted(pareto.front(points), key=lambda place: (points[place], trials[place].number))
    return [trials[place] for place in kept]


def points_of(reader: Reader, goals: Sequence[Goal]) -> list[tuple[int, tuple[float, ...]]]:
    """Return number and values, all to be small, of each trial that may be the best.

    In the order of their ends; only those that have a number for each of the goals.
    """
    found = []
    for number, value, values in reader.candidates():
        known = {goals[0].name: value, **values}
        if all(goal.name in known for goal in goals):
            found.append((number, tuple(goal.small(known[goal.name]) for goal in goals)))
    return found


def front_of(reader: Reader, goals: Sequence[Goal]) -> list[TrialRecord]:
    """Return the Pareto front: the complete trials that no other one dominates.

    They come by the first objective, the best one first.
    """
    points = points_of(reader, goals)
    kept = pareto.front([point for _, point in points])
    kept.sort(key=lambda place: (points[place][1], points[place][0]))
    found = (reader.trial(points[place][0]) for place in kept)
    return [trial for trial in found if trial is not None]


def volume(reader: Reader, goals: Sequence[Goal], said: Mapping[str, float]) -> Volume | None:
    """Return the hypervolume after each trial; None before there is one.

    The reference point is the worst of all complete trials, as far as nothing else is said.
    """
    for name in said:
        if name not in [goal.name for goal in goals]:
            raise UsageError(
                f"{name!r} is no objective: there are {', '.join(goal.name for goal in goals)}"
            )
    points = [point for _, point in points_of(reader, goals)]
    if not points:
        return None
    columns = list(zip(*points, strict=True))
    worst = [
        goal.small(said[goal.name]) if goal.name in said else max(column)
        for goal, column in zip(goals, columns, strict=True)
    ]
    best = [min(column) for column in columns]
    return Volume(_named(goals, worst), _named(goals, best), _grown(points, worst))


def _grown(points: Sequence[Sequence[float]], reference: Sequence[float]) -> list[float]:
    return pareto.growing_hypervolume(points, reference)


def _named(goals: Sequence[Goal], values: Sequence[float]) -> dict[str, float]:
    return {goal.name: goal.small(value) for goal, value in zip(goals, values, strict=True)}


def _keeps(trial: TrialRecord, limits: Sequence[Requirement]) -> bool:
    known = numbers(trial)
    if not all(name in known for name in requirement.names(limits)):
        return False
    try:
        return not requirement.violation(limits, known)
    except ExpressionError as error:
        raise UsageError(f"--limit {error}") from None
