"""What early stopping saves with two objectives, and what it loses of the front: writes early.md.

python -m benchmarks.objectives.early      (two minutes; needs scikit-learn)

300 random trials of examples/error_and_time.py are run to their ends, once. Then rules are put to
100 of them in each of 20 random orders: with the work so far as the second objective (weights times
epochs, which is the same wherever it is counted, as seconds are not), and with the weights alone.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from examples.error_and_time import train
from tinytune import pareto, stopping
from tinytune.distributions import Float
from tinytune.history import Ended, Goal, ObjectiveReference, SearchSpec, StudyRecord
from tinytune.space import Space
from tinytune.stopping.judge import Judge
from tinytune.store.reader import Reader

Curve: TypeAlias = list[tuple[float, float]]  # error and cost after each epoch

RULES = ("dominated(share=0.1)", "dominated", "dominated(share=0.3)", "median")
PROBLEMS = ("error, work so far", "error, weights")
GOALS = (Goal("error", "minimize"), Goal("cost", "minimize"))
TRIALS, ORDERS = 100, 20


def recorded() -> list[tuple[int, list[float]]]:
    """Return the weights of each network, and its error after each epoch."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.db"
        train.tune(path, trials=300, search="random", quiet=True, workers=2)
        with Reader(path) as reader:
            trials = reader.trials("complete")
            errors = [reader.curves(trial)["error"] for trial in trials]
            return [
                (int(trial.values["weights"]), [curve[step] for step in sorted(curve)])
                for trial, curve in zip(trials, errors, strict=True)
            ]


def judge_of(rule: str) -> Judge:
    """Return a rule at work on two objectives."""
    return Judge(
        StudyRecord(
            Space.of({"x": Float(0.0, 1.0)}), SearchSpec("random", 1, {}), GOALS, {}, 0,
            use_defaults=False, budget=None, objective=ObjectiveReference("train"),
            stopping=stopping.specs(stopping.parse(rule)),
        )
    )  # fmt: skip


def judged(curves: Sequence[Curve], rule: str) -> tuple[float, float]:
    """Return the share of the epochs that is saved, and that of the hypervolume that is lost."""
    judge, kept, epochs = judge_of(rule), [], 0
    for number, curve in enumerate(curves):
        attempt = judge.attempt(number, 1)
        for step, (error, cost) in enumerate(curve):
            epochs += 1
            attempt.add(step, {"error": error, "cost": cost})
            if judge.decide(attempt, step, 0):
                break
        else:
            kept.append(curve[-1])
            rows = ((g.name, s, v[i]) for i, g in enumerate(GOALS) for s, v in enumerate(curve))
            judge.tell(Ended(number, number, tuple(rows)))
    every = [curve[-1] for curve in curves]
    return 1 - epochs / sum(map(len, curves)), 1 - volume(kept, every) / volume(every, every)


def volume(points: Sequence[tuple[float, float]], every: Sequence[tuple[float, float]]) -> float:
    """Return the hypervolume of errors and logarithms of costs, up to the worst of every trial."""
    worst = [max(error for error, _ in every), max(math.log(cost) for _, cost in every)]
    return pareto.hypervolume([(error, math.log(cost)) for error, cost in points], worst)


def main() -> None:
    """Record, judge and write."""
    known = recorded()
    curves: list[list[Curve]] = [
        [[(e, weights * (s + 1.0)) for s, e in enumerate(errors)] for weights, errors in known],
        [[(error, float(weights)) for error in errors] for weights, errors in known],
    ]
    heads = [f"{name}: {what}" for name in PROBLEMS for what in ("saved", "lost")]
    lines = ["| rule | " + " | ".join(heads) + " |", "|" + " --- |" * 5]
    for rule in RULES:
        cells = []
        for problem in curves:
            orders = (np.random.RandomState(s).permutation(len(problem)) for s in range(ORDERS))
            found = [judged([problem[i] for i in order[:TRIALS]], rule) for order in orders]
            cells += [f"{sum(part) / ORDERS:.2%}" for part in zip(*found, strict=True)]
        lines.append(f"| `{rule}` | " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    (Path(__file__).parent / "early.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
