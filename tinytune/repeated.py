"""An objective that is run several times in each trial, under other seeds: its value is the mean.

What it reports the first time is recorded under its own names, so that stopping rules end hopeless
trials in their first run; later runs report under names of their own (`loss@1`), so that no step
meets another. Each run's result is reported as the metric `repeat`, one step each, which the rule
`racing` looks at. Numbers are added in a fixed order, since they go into the study.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from tinytune import draw
from tinytune.context import Trial
from tinytune.errors import ObjectiveError, TrialStopped
from tinytune.history import Outcome, StudyRecord
from tinytune.objective import failed

METRIC = "repeat"  # the result of each run
MOST = 1000  # runs in a trial


class Runnable(Protocol):
    """What can be run again and again."""

    def run(self, trial: Trial, settings: Mapping[str, object]) -> Outcome:
        """Run one trial."""


class Repeated:
    """An objective whose every trial is several runs."""

    def __init__(self, objective: Runnable, repeats: int, goal: str) -> None:
        self._objective, self._repeats, self._goal = objective, repeats, goal

    def run(self, trial: Trial, settings: Mapping[str, object]) -> Outcome:
        """Run one trial: as often as it is to be repeated, or until a rule or an error ends it."""
        found: list[Outcome] = []
        for repeat in range(self._repeats):
            one = _part(trial, repeat)
            outcome = self._objective.run(one, settings)
            trial.used = one.used
            if outcome.state == "failed":
                where = f"run {repeat + 1} of {self._repeats}"
                return outcome._replace(error=f"{where}: {outcome.error}")
            if outcome.state == "stopped" or one.should_stop or outcome.value is None:
                return outcome  # by a rule that its own reports have met
            found.append(outcome)
            try:
                trial.record(repeat, {METRIC: outcome.value})
            except TrialStopped:
                return mean(found, self._goal)._replace(state="stopped")
        return mean(found, self._goal)


def repeated(objective: Runnable, record: StudyRecord) -> Runnable:
    """Return the objective as a study runs it."""
    if record.repeats == 1:
        return objective
    return Repeated(objective, record.repeats, record.goals[0].name)


def is_of_first_run(name: str) -> bool:
    """Return whether a metric is one that the objective itself has reported under this name."""
    return name != METRIC and not re.search(r"@\d+$", name)


def mean(found: Sequence[Outcome], goal: str) -> Outcome:
    """Return the mean of each result that all runs have, and how far the objective's own varies.

    That is `loss_spread`, the standard deviation with n - 1, and `loss_standard_error`.
    """
    count = len(found)
    common = [name for name in found[0].values if all(name in each.values for each in found)]
    means = {name: _mean([each.values[name] for each in found]) for name in common}
    if not all(map(math.isfinite, means.values())):
        return failed(f"the sum of {count} runs is too large a number")
    if count > 1:
        squares = 0.0
        for each in found:
            apart = each.values[goal] - means[goal]
            squares += apart * apart
        spread = math.sqrt(squares / (count - 1))
        if math.isfinite(spread):
            means[f"{goal}_spread"] = spread
            means[f"{goal}_standard_error"] = spread / math.sqrt(count)
    means["repeats"] = float(count)
    return Outcome("complete", means[goal], means)


def _mean(values: Sequence[float]) -> float:
    total = 0.0  # not sum(), which compensates in newer Pythons
    for value in values:
        total += value
    return total / len(values)


def _part(trial: Trial, repeat: int) -> Trial:
    """Return the trial as one of its runs sees it.

    It has no checkpoints, since an attempt begins with the first run again; a command's folder is
    each run's own.
    """
    found = trial.folder
    folder = None if found is None else partial(Path, found, f"run-{repeat}")
    seed = trial.seed if repeat == 0 else draw.repeat_seed(trial.seed, repeat)
    one = Trial(trial.number, trial.params, seed, _write(trial, repeat), trial.attempt, None, None,
                folder)  # fmt: skip
    one.show = trial.show
    return one


def _write(trial: Trial, repeat: int) -> Callable[[int, Mapping[str, float]], str | None]:
    def write(step: int, metrics: Mapping[str, float]) -> str | None:
        if METRIC in metrics:
            raise ObjectiveError(
                f"report: {METRIC!r} is what each of several runs has in the end: give the metric "
                "another name"
            )
        named = metrics if repeat == 0 else {f"{name}@{repeat}": v for name, v in metrics.items()}
        trial.record(step, named, stop=False)
        return trial.stopped

    return write
