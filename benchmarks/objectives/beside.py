"""What gp makes of requirements and of what trials take, beside not modelling them.

python -m benchmarks.objectives.beside [--seeds 5]

Seconds: the least error that trials found whose nodes together are within a budget (one node counts
as one second). Requirements: the best of 40 trials that meets both of Gramacy's (the best there is:
0.5998).
"""

from __future__ import annotations

import argparse
import math
import statistics

from benchmarks.objectives.problems import Point, problem
from tinytune import requirement, search
from tinytune.distributions import Float
from tinytune.history import Finished, Goal, ObjectiveReference, StudyRecord
from tinytune.search.fold import Fold
from tinytune.space import Space

_MOST = 90  # trials
GOALS = (Goal("f", "minimize"),)
BUDGETS = {"digits": 40_000.0, "diabetes": 10_000.0}  # nodes
SUBJECT_TO = ("wave <= 0", "disk <= 1.5")


def within(where: str, budget: float, seed: int, *, is_told: bool) -> tuple[float, int]:
    """Return the least error within a budget, and the number of trials; gp may be told of it."""
    task = problem(where)
    options: dict[str, object] = {"candidates": 300}
    made = search.make("gp", {**options, "seconds": budget} if is_told else options)
    space = Space.of(dict(task.space), {})
    reference = ObjectiveReference("f")
    record = StudyRecord(space, search.spec(made), GOALS, {}, seed, False, _MOST, reference)
    fold, spent, least, number = Fold(record), 0.0, math.inf, 0
    while spent < budget and number < _MOST:
        params = fold.suggest(number, ()) or {}
        error, size = task.values([float(params[key]) for key in task.space])  # type: ignore[arg-type]
        spent += 10**size
        if spent <= budget:
            least = min(least, error)
        number += 1
        done = Finished(number - 1, "complete", params, error, number, {"f": error})
        fold.tell([done._replace(seconds=10**size)])
    return least, number


def gramacy(x: Point) -> dict[str, float]:
    """Return objective and constraints of Gramacy et al. (2016)."""
    wave = 1.5 - x[0] - 2 * x[1] - 0.5 * math.sin(2 * math.pi * (x[0] * x[0] - 2 * x[1]))
    return {"f": x[0] + x[1], "wave": wave, "disk": x[0] * x[0] + x[1] * x[1]}


def required(name: str, seed: int, trials: int = 40) -> float:
    """Return the best value that a search finds of what meets the requirements."""
    space = Space.of({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)}, {})
    spec = search.spec(search.make(name, {}))
    reference = ObjectiveReference("f")
    record = StudyRecord(
        space, spec, GOALS, {}, seed, False, trials, reference, subject_to=SUBJECT_TO
    )
    requirements = requirement.parsed(SUBJECT_TO)
    fold, best = Fold(record), math.inf
    for number in range(trials):
        params = fold.suggest(number, ()) or {}
        values = gramacy([float(value) for value in params.values()])  # type: ignore[arg-type]
        missed = requirement.violation(requirements, values)
        best = best if missed else min(best, values["f"])
        done = Finished(number, "complete", params, values["f"], number + 1, values, missed)
        fold.tell([done])
    return best


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    for name in ("random", "tpe", "gp"):
        found = sorted(required(name, seed) for seed in seeds)
        print(f"gramacy  {name:<8}", *(f"{value:.4f}" for value in found), flush=True)
    for where, budget in BUDGETS.items():
        for is_told in (False, True):
            runs = [within(where, budget, seed, is_told=is_told) for seed in seeds]
            errors, counts = zip(*runs, strict=True)
            label = "told" if is_told else "not told"
            mean = statistics.mean(errors)
            print(f"{where:<8} {label:<8} {mean:.5g}, trials", *counts, flush=True)


if __name__ == "__main__":
    main()
