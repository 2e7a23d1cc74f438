"""What a belief is worth, right, vague or wrong: writes beliefs.md.

python benchmarks/beliefs.py            # half an hour of one core
python benchmarks/beliefs.py --seeds 2  # a look
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tinytune import draw, search
from tinytune.distributions import Float, Normal
from tinytune.space import Params, Space
from tinytune.testing import simulate

HERE = Path(__file__).parent
BUDGETS = (10, 20, 50)
BELIEFS = {  # name -> distance of its middle from the best, spread; in parts of each range
    "none": None,
    "right": (0.05, 0.1),
    "vague": (0.15, 0.3),
    "wrong": (0.5, 0.1),
    "wrong and vague": (0.5, 0.3),
}
Loss = Callable[[list[float]], float]


def bowl(x: list[float]) -> float:
    """Return a sum of squares with axes of different lengths, 0 at 0."""
    return sum(10.0**i * t * t for i, t in enumerate(x))


def rosenbrock(x: list[float]) -> float:
    """Return Rosenbrock's function (1960), moved so that it is 0 at 0."""
    y = [4.0 * t + 1.0 for t in x]
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(y))


def ackley(x: list[float]) -> float:
    """Return Ackley's function (1987), 0 at 0: rough, with a funnel."""
    y = [16.0 * t for t in x]
    root = math.sqrt(sum(t * t for t in y) / len(y))
    waves = sum(math.cos(2 * math.pi * t) for t in y) / len(y)
    return 20 - 20 * math.exp(-0.2 * root) + math.e - math.exp(waves)


def ridge(x: list[float]) -> float:
    """Return a function of which the first number decides nearly everything."""
    return abs(x[0]) + 0.01 * sum(abs(t) for t in x[1:])


PROBLEMS: dict[str, tuple[Loss, int]] = {
    "bowl, 3 numbers": (bowl, 3),
    "rosenbrock, 3 numbers": (rosenbrock, 3),
    "ackley, 4 numbers": (ackley, 4),
    "ridge, 6 numbers": (ridge, 6),
}


def best_place(seed: int, size: int) -> list[float]:
    """Return where the best lies: elsewhere for each seed, up to a fifth from the borders."""
    return [0.2 + 0.6 * draw.uniform(seed, i, "best place") for i in range(size)]


def space_of(belief: tuple[float, float] | None, best: list[float], seed: int) -> Space:
    """Return a space of numbers from 0 to 1 with a belief about each."""
    found = {}
    for i, at in enumerate(best):
        prior = None
        if belief is not None:
            distance, spread = belief
            way = 1.0 if draw.uniform(seed, i, "way") < 0.5 else -1.0
            centre = at + way * distance
            if not 0.0 <= centre <= 1.0:
                centre = at - way * distance
            prior = Normal(min(max(centre, 0.0), 1.0), spread)
        found[f"x{i}"] = Float(0.0, 1.0, prior=prior)
    return Space.of(found)


def regrets(name: str, problem: str, belief: str, seed: int) -> list[float]:
    """Return the best value after each budget."""
    function, size = PROBLEMS[problem]
    best = best_place(seed, size)
    space = space_of(BELIEFS[belief], best, seed)

    def loss(params: Params) -> float:
        return function([float(params[f"x{i}"]) - best[i] for i in range(size)])  # type: ignore[arg-type]

    first = {f"x{i}": 0.5 for i in range(size)}  # the same beginning for all
    run = simulate(search.make(name, {}), space, loss, max(BUDGETS), seed=seed, first=first)
    values = [float(trial.result.value or 0.0) for trial in run]
    return [min(values[:budget]) for budget in BUDGETS]


def table(name: str, seeds: int) -> list[str]:
    """Return the rows of a search: the geometric mean of value with a belief / value without."""
    lines = [f"| {name} | " + " | ".join(f"at {budget}" for budget in BUDGETS) + " |"]
    lines.append("|" + " --- |" * (1 + len(BUDGETS)))
    for problem in PROBLEMS:
        plain = [regrets(name, problem, "none", seed) for seed in range(seeds)]
        for belief in list(BELIEFS)[1:]:
            found = [regrets(name, problem, belief, seed) for seed in range(seeds)]
            cells = []
            for place in range(len(BUDGETS)):
                logs = [
                    math.log(max(a[place], 1e-12) / max(b[place], 1e-12))
                    for a, b in zip(found, plain, strict=True)
                ]
                mean = sum(logs) / seeds
                error = math.sqrt(sum((x - mean) ** 2 for x in logs) / max(seeds - 1, 1) / seeds)
                low, high = math.exp(mean - 2 * error), math.exp(mean + 2 * error)
                cells.append(f"{math.exp(mean):.2f} ({low:.2f} to {high:.2f})")
            lines.append(f"| {problem}: {belief} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    return [*lines, ""]


INTRODUCTION = """\
# What a belief is worth

`python benchmarks/beliefs.py` writes this file; do not edit it. Each cell is the best value found
with a `prior` on every parameter, divided by the best one found without, as a geometric mean over
{seeds} seeds, with two standard errors: below 1 the belief helps. All begin in the middle of the
space. *right*: the prior's middle is 0.05 of the range from the best, its spread 0.1; *vague*: 0.15
and 0.3; *wrong*: half of the range away, and sure of itself (0.1); *wrong and vague*: half of the
range away, spread 0.3.
"""


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    asked = parser.parse_args()
    lines = [INTRODUCTION.format(seeds=asked.seeds)]
    for name in ("tpe", "gp"):
        lines += table(name, asked.seeds)
    (HERE / "beliefs.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
