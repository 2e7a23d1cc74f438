"""How good a front searches find: the hypervolume on ZDT and DTLZ problems, as a share of the best.

python -m benchmarks.objectives.fronts [--seeds 5] [--trials 100] [SEARCH …]
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Sequence

from tinytune import search
from tinytune.distributions import Float
from tinytune.history import Finished, Goal, ObjectiveReference, StudyRecord
from tinytune.pareto import hypervolume
from tinytune.search.fold import Fold
from tinytune.space import Space

Point = Sequence[float]
SIZE = 6  # parameters


def zdt(shape: Callable[[float, float], float]) -> Callable[[Point], Point]:
    """Return a problem of Zitzler, Deb and Thiele (2000) from its h(f1, g)."""

    def problem(x: Point) -> Point:
        g = 1 + 9 * sum(x[1:]) / (len(x) - 1)
        return x[0], g * shape(x[0], g)

    return problem


def dtlz2(x: Point) -> Point:
    """Return the objectives of DTLZ2 (Deb et al. 2002): the front is an eighth of a sphere."""
    g = 1 + sum((xi - 0.5) ** 2 for xi in x[2:])
    a, b = x[0] * math.pi / 2, x[1] * math.pi / 2
    return g * math.cos(a) * math.cos(b), g * math.cos(a) * math.sin(b), g * math.sin(a)


def _zdt3(f: float, g: float) -> float:
    return 1 - math.sqrt(f / g) - f / g * math.sin(10 * math.pi * f)


PROBLEMS: dict[str, tuple[Callable[[Point], Point], Point]] = {  # function, reference point
    "zdt1": (zdt(lambda f, g: 1 - math.sqrt(f / g)), (1.1, 5.0)),
    "zdt2": (zdt(lambda f, g: 1 - (f / g) ** 2), (1.1, 5.0)),
    "zdt3": (zdt(_zdt3), (1.1, 5.0)),
    "dtlz2": (dtlz2, (1.1, 1.1, 1.1)),
}


def best(problem: str) -> float:
    """Return the hypervolume of the true front: of 2,001 of its points, or an eighth of a ball."""
    function, reference = PROBLEMS[problem]
    if problem == "dtlz2":
        return math.prod(reference) - math.pi / 6
    points = [function([i / 2000, *[0.0] * (SIZE - 1)]) for i in range(2001)]
    return hypervolume(points, reference)


def run(name: str, problem: str, trials: int, seed: int) -> float:
    """Return the share of the best hypervolume that a search has found with one worker."""
    function, reference = PROBLEMS[problem]
    names = [f"x{i}" for i in range(SIZE)]
    goals = tuple(Goal(f"f{i}", "minimize") for i in range(len(reference)))
    space = Space.of({n: Float(0.0, 1.0) for n in names}, {})
    spec = search.spec(search.make(name, {}))
    record = StudyRecord(space, spec, goals, {}, seed, False, trials, ObjectiveReference("f"))
    fold, found = Fold(record), []
    for number in range(trials):
        params = fold.suggest(number, ()) or {}
        values = function([float(params[n]) for n in names])  # type: ignore[arg-type]
        found.append(values)
        results = dict(zip((goal.name for goal in goals), values, strict=True))
        done = Finished(number, "complete", params, values[0], number + 1, results)
        fold.tell([done])
    return hypervolume(found, reference) / best(problem)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("searches", nargs="*", default=["random", "sobol", "tpe", "gp", "nsga-ii"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS))
    said = parser.parse_args()
    lines = [
        "| search | " + " | ".join(said.problems) + " |",
        "| --- " * (len(said.problems) + 1) + "|",
    ]
    for name in said.searches:
        cells = []
        for problem in said.problems:
            shares = [run(name, problem, said.trials, seed) for seed in range(said.seeds)]
            spread = statistics.stdev(shares) if said.seeds > 1 else 0.0
            cells.append(f"{statistics.mean(shares):.3f} ± {spread:.3f}")
            print(name, problem, cells[-1], flush=True)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
