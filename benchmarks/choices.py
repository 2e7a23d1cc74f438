"""gp and tpe where parameters have conditions or many options: writes choices.md.

python benchmarks/choices.py            # a minute of one core
python benchmarks/choices.py --seeds 1  # a look

What `auto` takes in such spaces rests on these problems, which no other benchmark has.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tinytune import draw, search
from tinytune.distributions import Choice, Distribution, Float, Int
from tinytune.space import Params, Space
from tinytune.testing import simulate

HERE = Path(__file__).parent
BUDGETS = (25, 50)
SEARCHES = ("gp", "tpe", "random")
Parts = dict[str, Distribution]


def pipeline() -> Parts:
    """Return two choices, each of which decides what else there is."""
    parts: Parts = {"model": Choice(*"abcd"), "reg": Float(1e-6, 1.0, log=True)}
    for model, count in zip("abcd", (3, 2, 1, 2), strict=True):
        for i in range(count):
            parts[f"{model}{i}"] = Float(1e-4, 10.0, log=True, when={"model": model})
    parts["prepare"] = Choice("none", "reduce", "powers")
    parts["kept"] = Int(1, 40, log=True, when={"prepare": "reduce"})
    parts["degree"] = Int(1, 4, when={"prepare": "powers"})
    return parts


def nested() -> Parts:
    """Return a choice below a choice."""
    return {
        "rate": Float(1e-5, 1.0, log=True),
        "kind": Choice("sgd", "adam"),
        "momentum": Float(0.0, 1.0, when={"kind": "sgd"}),
        "nesterov": Choice("no", "yes", when={"kind": "sgd"}),
        "damping": Float(0.0, 1.0, when={"nesterov": "yes"}),
        "beta1": Float(0.0, 1.0, when={"kind": "adam"}),
        "beta2": Float(0.0, 1.0, when={"kind": "adam"}),
    }


def layers() -> Parts:
    """Return a count that decides how many sizes matter."""
    parts: Parts = {"layers": Int(1, 4), "drop": Float(0.0, 0.8)}
    for i in range(1, 5):
        parts[f"size{i}"] = Int(4, 512, log=True, when={"layers": list(range(i, 5))})
    return parts


def switches() -> Parts:
    """Return parts that are on or off, with a number each."""
    parts: Parts = {}
    for i in range(5):
        parts[f"on{i}"] = Choice("off", "on")
        parts[f"at{i}"] = Float(0.0, 1.0, when={f"on{i}": "on"})
    return parts


def options(*counts: int) -> Parts:
    """Return choices of so many options, and four numbers."""
    parts: Parts = {f"x{i}": Float(0.0, 1.0) for i in range(4)}
    for i, count in enumerate(counts):
        parts[f"option{i}"] = Choice(*range(count))
    return parts


PROBLEMS: dict[str, Callable[[], Parts]] = {
    "two choices decide what else there is": pipeline,
    "a choice below a choice": nested,
    "a count of layers": layers,
    "five switches": switches,
    "8 and 8 options": lambda: options(8, 8),
    "20 options": lambda: options(20),
}


def loss_of(space: Space, name: str, seed: int) -> Callable[[Params], float]:
    """Return a loss: a bowl with ripples and twists of what is active, and a cost of each option.

    The best place, the widths and the costs are others for each seed.
    """

    def unit(*what: object) -> float:
        return draw.uniform(seed, 0, " ".join(["choices", name, *map(str, what)]))

    def loss(params: Params) -> float:
        total, steps = 0.0, []
        for parameter in space.parameters:
            if parameter.name not in params:
                continue
            here, distribution = parameter.name, parameter.distribution
            if isinstance(distribution, Choice):
                total += 0.4 * unit(here, distribution.index(params[here]))
                continue
            step = distribution.to_unit(params[here]) - 0.1 - 0.8 * unit(here, "best")
            steps.append(step)
            total += (0.5 + 2.5 * unit(here, "width")) * step * step
            total += 0.05 * (1.0 - math.cos(9.0 * step))
        return total + sum(0.8 * a * b for a, b in pairwise(steps))

    return loss


def bests(name: str, problem: str, seed: int) -> list[float]:
    """Return the best value after each budget."""
    space = Space.of(PROBLEMS[problem]())
    loss = loss_of(space, problem, seed)
    run = simulate(search.make(name, {}), space, loss, max(BUDGETS), seed=seed)
    values = [float(trial.result.value or 0.0) for trial in run]
    return [min(values[:budget]) for budget in BUDGETS]


INTRODUCTION = """\
# Conditions and many options: gp and tpe

`python benchmarks/choices.py` writes this file; do not edit it. Each cell is in how many of {seeds}
runs gp had the better value, and its mean advantage in value with two standard errors, above 0
where it is better.

"""


def cell(ours: list[float], theirs: list[float]) -> str:
    """Return wins, and the mean difference with two standard errors."""
    gaps = [b - a for a, b in zip(ours, theirs, strict=True)]
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / max(len(gaps) - 1, 1))
    return f"{sum(gap > 0 for gap in gaps)}, {mean:+.3f} ± {2 * spread / math.sqrt(len(gaps)):.3f}"


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=4)
    asked = parser.parse_args()
    heads = [f"gp beside {other}, at {b}" for other in SEARCHES[1:] for b in BUDGETS]
    lines = ["| problem | " + " | ".join(heads) + " |", "|" + " --- |" * (1 + len(heads))]
    for problem in PROBLEMS:
        found = {
            name: [bests(name, problem, seed) for seed in range(asked.seeds)] for name in SEARCHES
        }
        cells = [
            cell([run[i] for run in found["gp"]], [run[i] for run in found[other]])
            for other in SEARCHES[1:]
            for i in range(len(BUDGETS))
        ]
        lines.append(f"| {problem} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    text = INTRODUCTION.format(seeds=asked.seeds) + "\n".join(lines) + "\n"
    (HERE / "choices.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
