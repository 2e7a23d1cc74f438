"""How much of the best trials' lead was luck: their configurations, run again under new seeds.

The best of many noisy values is too good to be true, the more so the more there are: it was chosen
for its luck too (the winner's curse). So only the new runs count. All configurations get the same
new seeds; what a seed does to all of them cancels in the differences, whose intervals are those of
pairs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tinytune.errors import TinytuneError, UsageError
from tinytune.files import typed
from tinytune.history import Goal, Progress, StudyRecord, TrialRecord
from tinytune.store.reader import Reader

if TYPE_CHECKING:
    from tinytune import student

LEVEL = 0.95  # of all intervals
DEFAULT_TOP = 5
FEWEST = 2  # runs that make a mean with an interval
MOST = 1000  # configurations, and runs of each
_LOOKED_AT = 50  # of the best trials, when it is guessed whether the objective is noisy


class Gap(NamedTuple):
    """How far a configuration lies behind the leader, in runs that share a seed."""

    difference: float  # above 0: it is worse in the mean
    margin: float
    pairs: int

    @property
    def is_tie(self) -> bool:
        """Whether it may be as good as the leader."""
        return self.difference <= self.margin


class Confirmed(NamedTuple):
    """A configuration that was run again."""

    trial: TrialRecord  # the first that had it, with the value for which it was chosen
    values: Mapping[int, float]  # of the new runs, by repeat
    failed: int
    left: int  # runs that have not ended
    mean: student.Mean | None  # of the new runs; None before there is one
    optimism: float | None  # by how much the first value looked better than the mean
    gap: Gap | None = None  # to the leader; None for itself, and where there are too few pairs

    @property
    def counts(self) -> bool:
        """Whether there are enough runs to rank it."""
        return len(self.values) >= FEWEST


class Ranking(NamedTuple):
    """All configurations that were run again, the best mean first; those with too few runs last."""

    goal: Goal
    rows: tuple[Confirmed, ...]

    @property
    def ranked(self) -> tuple[Confirmed, ...]:
        """Those with enough runs."""
        return tuple(row for row in self.rows if row.counts)

    @property
    def left(self) -> int:
        """How many runs have not ended."""
        return sum(row.left for row in self.rows)

    @property
    def first_choice(self) -> Confirmed:
        """The configuration that the single values would have chosen."""
        return min(self.rows, key=lambda row: (self.goal.rank(row.trial.value), row.trial.number))

    @property
    def is_noisy(self) -> bool:
        """Whether a configuration gave different values."""
        return any(len({row.trial.value, *row.values.values()}) > 1 for row in self.rows)


class Left(NamedTuple):
    """What is left to run: what has to be entered, and what was entered and has not ended."""

    path: Path
    new: tuple[tuple[TrialRecord, int], ...]  # (trial, repeat), not entered yet
    seed: int  # of the study

    def enter(self) -> None:
        """Write the new runs into the study, where they wait; workers take them then."""
        from tinytune.store.writer import Store  # what only reads does without it

        if self.new:
            with Store(self.path) as store:
                store.add_repeats(self.new, self.seed)


def chosen(reader: Reader, top: int | None) -> list[TrialRecord]:
    """Return the trials with the best single values, each configuration once.

    One that was run again before is named by the same trial as then. UsageError where there are
    not so many; without `top` it is five, or as many as there are.
    """
    if top is not None and not 1 <= top <= MOST:
        raise UsageError(f"top must be from 1 to {MOST}, not {top}")
    wanted = DEFAULT_TOP if top is None else top
    goal = reader.study().goals[0]
    before = {_key(trial): trial.confirms for trial in reader.repeats()}
    found: dict[str, TrialRecord] = {}
    count = wanted
    while True:
        trials = reader.best(goal, count)
        for trial in trials:
            found.setdefault(_key(trial), trial)
        if len(found) >= wanted or len(trials) < count:
            break
        count *= 2
    if not found:
        raise TinytuneError(
            f"{reader.path} has no complete trial yet: see `tinytune status {typed(reader.path)}`"
        )
    if top is not None and len(found) < top:
        count = len(found)
        there = f"{count} complete configuration" + ("" if count == 1 else "s")
        raise UsageError(
            f"{reader.path} has {there}, not {top}: say --top {count}, or run more trials"
        )
    named = []
    for key, trial in list(found.items())[:wanted]:
        first = before.get(key)
        known = trial if first is None else reader.trial(first)
        named.append(trial if known is None else known)
    return named


def runs(trials: Sequence[TrialRecord], repeats: int) -> list[tuple[TrialRecord, int]]:
    """Return (trial, repeat) in the order of the runs: all once, then all again.

    So that whenever it stops all have about as many. UsageError for less than two repeats, from
    which no interval follows.
    """
    if not FEWEST <= repeats <= MOST:
        raise UsageError(f"repeats must be from {FEWEST} to {MOST}, not {repeats}")
    return [(trial, repeat) for repeat in range(repeats) for trial in trials]


def missing(
    reader: Reader, wanted: Sequence[tuple[TrialRecord, int]]
) -> list[tuple[TrialRecord, int]]:
    """Return those of the wanted (trial, repeat) that have not been entered yet."""
    known = {(repeat.confirms, repeat.repeat) for repeat in reader.repeats()}
    return [(trial, repeat) for trial, repeat in wanted if (trial.number, repeat) not in known]


def left(path: Path, top: int | None, repeats: int) -> Left | None:
    """Return what is left to run of the best `top`, `repeats` times each; None: nothing is.

    UsageError and TinytuneError as of `chosen` and `runs`.
    """
    with Reader(path) as reader:
        wanted = runs(chosen(reader, top), repeats)
        new = missing(reader, wanted)
        if not new and not reader.has_open_trials(repeats_only=True):
            return None
        return Left(path, tuple(new), reader.study().seed)


def ranking(reader: Reader, goal: Goal) -> Ranking:
    """Return the configurations that were run again, ranked by their new runs alone."""
    grouped: dict[int, list[TrialRecord]] = {}
    for repeat in reader.repeats():
        grouped.setdefault(repeat.confirms or 0, []).append(repeat)
    rows = []
    for number, repeats in grouped.items():
        trial = reader.trial(number)
        if trial is not None and trial.value is not None:
            rows.append(confirmed(trial, repeats, goal))
    return Ranking(goal, tuple(ranked(rows, goal)))


def best(reader: Reader, goal: Goal, count: int) -> list[TrialRecord]:
    """Return the best complete trials; configurations that were run again count by their mean.

    First come trials that are better in their one run than each of those was in its first; then
    those, by their means; then all others.
    """
    return ordered(reader, ranking(reader, goal), count)


def the_best(reader: Reader, goal: Goal) -> tuple[dict[str, Any], float]:
    """Return the best trial's configuration and value; UsageError before there is one."""
    for trial in best(reader, goal, 1):
        if trial.params is not None and trial.value is not None:
            return trial.params, trial.value
    raise UsageError(
        f"{reader.path} has no best trial, as none is complete that meets what is required: "
        f"see `tinytune status {typed(reader.path)}`"
    )


def ordered(reader: Reader, found: Ranking, count: int) -> list[TrialRecord]:
    """Return the same where the ranking is known."""
    goal = found.goal
    confirmed = [row.trial for row in found.ranked]
    trials = reader.best(goal, count + len(confirmed))
    if not confirmed:
        return trials[:count]
    numbers = {trial.number for trial in confirmed}
    known = {_key(trial) for trial in confirmed}
    bar = min(goal.rank(trial.value) for trial in confirmed)
    others = [trial for trial in trials if trial.number not in numbers]
    ahead = [t for t in others if goal.rank(t.value) < bar and _key(t) not in known]
    rest = [trial for trial in others if trial not in ahead]
    return [*ahead, *confirmed, *rest][:count]


def progress(reader: Reader, goal: Goal) -> Progress:
    """Return how far a study is, with the best trial as `best` has it."""
    found = reader.progress(goal)
    if not found.repeats:
        return found
    return found._replace(best=next(iter(best(reader, goal, 1)), None))


def doubt(reader: Reader, record: StudyRecord, found: Ranking, trial: TrialRecord) -> str:
    """Return why a best trial may owe its place to luck, nothing where there is no sign of it.

    The objective is taken for noisy where one configuration gave different values, or where its
    user has said so. It is looked for among the best trials only.
    """
    if record.repeats > 1 or any(row.trial.number == trial.number for row in found.ranked):
        return ""
    alone = f"trial {trial.number} rests on one run only"
    if found.ranked and found.is_noisy:
        return f"{alone}, in which it was better than what was run again"
    if found.ranked:  # nothing is left to chance
        return ""
    seen: dict[str, tuple[int, float]] = {}
    for number, value, params in reader.best_texts(record.goals[0], _LOOKED_AT):
        first, before = seen.setdefault(params, (number, value))
        if value != before:
            return (
                f"{alone}, and trials {first} and {number} gave {before:g} and {value:g} for the "
                "same configuration"
            )
    if record.search.options.get("allow_repeats") is True:
        return f"{alone}, of a noisy objective"
    return ""


def confirmed(trial: TrialRecord, repeats: Sequence[TrialRecord], goal: Goal) -> Confirmed:
    """Return what a trial's new runs say of its configuration, before it is compared."""
    from tinytune import student

    values = {
        t.repeat or 0: t.value for t in repeats if t.state == "complete" and t.value is not None
    }
    mean = student.mean(list(values.values()), LEVEL) if values else None
    optimism = None
    if mean is not None:
        optimism = goal.rank(mean.mean) - goal.rank(trial.value)
    failed = sum(repeat.state in ("failed", "stopped") for repeat in repeats)
    return Confirmed(trial, values, failed, sum(t.told is None for t in repeats), mean, optimism)


def ranked(rows: Sequence[Confirmed], goal: Goal) -> list[Confirmed]:
    """Return the rows in the order of their means, with their differences to the first one.

    Which one is the first was found by looking at these very runs, so the intervals are those that
    all k (k - 1) / 2 differences of k configurations have together (Bonferroni): where all are
    equally good, in one study of twenty at most one seems to lead another.
    """
    rows = sorted(rows, key=lambda row: _place(row, goal))
    if not rows or not rows[0].counts:
        return rows
    from tinytune import student

    leader, *others = rows
    pairs = [
        [
            goal.rank(value) - goal.rank(leader.values[repeat])
            for repeat, value in row.values.items()
            if repeat in leader.values
        ]
        for row in others
    ]
    level = 1 - (1 - LEVEL) / comparisons(sum(len(found) >= FEWEST for found in pairs) + 1)
    gaps = [student.mean(found, level) if found else None for found in pairs]
    return [
        leader,
        *(
            row
            if gap is None or gap.margin is None
            else row._replace(gap=Gap(gap.mean, gap.margin, gap.count))
            for row, gap in zip(others, gaps, strict=True)
        ),
    ]


def comparisons(count: int) -> int:
    """Return how many pairs there are of so many configurations, at least one."""
    return max(count * (count - 1) // 2, 1)


def _place(row: Confirmed, goal: Goal) -> tuple[bool, float, int]:
    value = None if row.mean is None else row.mean.mean
    return not row.counts, goal.rank(value), row.trial.number


def _key(trial: TrialRecord) -> str:
    return json.dumps(trial.params, sort_keys=True)
