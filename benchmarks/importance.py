"""How far the measures of importance can be relied on: writes importance.md.

python benchmarks/importance.py                  # ten minutes of one core
python benchmarks/importance.py --repetitions 5  # a look
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tinytune.distributions import Choice, Float, Int
from tinytune.history import TrialRecord
from tinytune.importance.evidence import Evidence, Floats, gather
from tinytune.importance.fanova import fanova
from tinytune.importance.measure import METHODS, measure
from tinytune.importance.ped_anova import ped_anova
from tinytune.space import Params, Space

HERE = Path(__file__).parent
SIX = Space.of({
    "a": Float(0, 1), "b": Float(0, 1), "k": Choice("x", "y", "z"), "n": Int(1, 8),
    "l": Float(1e-5, 1, log=True), "none": Float(0, 1),
})  # fmt: skip
ANGLES = Space.of({name: Float(-math.pi, math.pi) for name in "abc"})
TEN = Space.of({f"x{i}": Float(1e-3, 1, log=i % 2 == 0) for i in range(10)})
Function = Callable[[Params], float]


def additive(params: Params) -> float:
    """Return a sum of what five of six parameters do."""
    a, b, n, ratio = (float(params[name]) for name in ("a", "b", "n", "l"))  # type: ignore[arg-type]
    option = {"x": 0.0, "y": 0.3, "z": 1.0}[str(params["k"])]
    return 2 * a + b + option + 0.2 * n + 0.1 * math.log10(ratio)


def ishigami(params: Params) -> float:
    """Return the function of Ishigami and Homma (1990)."""
    a, b, c = (float(params[name]) for name in "abc")  # type: ignore[arg-type]
    return math.sin(a) + 7 * math.sin(b) ** 2 + 0.1 * c**4 * math.sin(a)


def mixed(params: Params) -> float:
    """Return a function of four of ten parameters."""
    x = [float(params[f"x{i}"]) for i in range(4)]  # type: ignore[arg-type]
    return x[0] + x[1] * x[2] + 0.1 * x[3]


def random_trials(space: Space, function: Function, count: int, seed: int) -> Evidence:
    """Return random trials of a function."""
    trials = []
    for number in range(count):
        params = space.sample(seed, number, "benchmark")
        trials.append(
            TrialRecord(number, "complete", "search", "random/1", 0, None, params,
                        function(params), {}, 1, 0, 1, number, number, number, 0.0, 0.0, 0.0,
                        None, None)
        )  # fmt: skip
    return gather(space, trials, lambda trial: trial.value, "minimize")


def shares(evidence: Evidence) -> tuple[Floats, Floats]:
    """Return PED-ANOVA's shares, and those of bootstrap samples."""
    found = ped_anova(evidence)
    resampled = found.resampled / found.resampled.sum(axis=1, keepdims=True)
    return found.found / found.found.sum(), resampled


def coverage(repetitions: int) -> Iterator[str]:
    """Yield in how many of 100 cases intervals hold what 30,000 trials give."""
    truth, _ = shares(random_trials(SIX, additive, 30_000, 999))
    names = list(SIX.by_name)
    yield f"| trials | interval | {' | '.join(names)} |"
    yield "| --- | --- |" + " --- |" * len(names)
    yield f"| 30,000 | (importance) | {' | '.join(f'{share:.3f}' for share in truth)} |"
    for count in (50, 100, 300):
        normal, quantiles = np.zeros(len(names)), np.zeros(len(names))
        for seed in range(repetitions):
            found, resampled = shares(random_trials(SIX, additive, count, seed))
            reach = 1.96 * resampled.std(axis=0)
            low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
            normal += np.abs(np.clip(found, 0, 1) - truth) <= reach
            quantiles += (low <= truth) & (truth <= high)
        for name, held in (("two deviations (ours)", normal), ("bootstrap quantiles", quantiles)):
            cells = " | ".join(f"{100 * share / repetitions:.0f}" for share in held)
            yield f"| {count} | {name} | {cells} |"


def false_alarms(repetitions: int) -> Iterator[str]:
    """Yield how often a parameter that does nothing is said to matter, and one that does is not."""
    yield "| trials | none, said to matter | a, taken for chance | n, taken for chance |"
    yield "| --- | --- | --- | --- |"
    for count in (50, 100, 300):
        alarms, missed = 0, np.zeros(2)
        for seed in range(repetitions):
            measured = measure(random_trials(SIX, additive, count, seed), "ped-anova", seed)
            by_name = {each.name: each for each in measured.parameters}
            one = by_name["none"]
            alarms += one.estimate is not None and one.estimate.share > (one.chance or 0)
            missed += [by_name[name].may_be_chance for name in ("a", "n")]
        cells = [alarms, *missed]
        yield f"| {count} | {' | '.join(f'{100 * c / repetitions:.0f}%' for c in cells)} |"


def forest(repetitions: int) -> Iterator[str]:
    """Yield what fANOVA finds of the Ishigami function."""
    seeds = min(repetitions, 10)
    yield "| random trials | a alone | b alone | c alone | a and c together | R² on unseen trials |"
    yield "| --- | --- | --- | --- | --- | --- |"
    yield "| exact | 0.314 | 0.442 | 0 | 0.244 | |"
    for count in (100, 200, 500, 2000):
        rows = []
        for seed in range(seeds):
            found = fanova(random_trials(ANGLES, ishigami, count, seed), seed)
            alone = [float(found.alone[name].mean()) for name in "abc"]
            rows.append([*alone, float(found.pairs["a", "c"].mean()), found.fit["a"]])
        mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
        cells = (f"{m:.3f} ± {s:.3f}" for m, s in zip(mean, spread, strict=True))
        yield f"| {count} | {' | '.join(cells)} |"


def duration() -> Iterator[str]:
    """Yield how many CPU seconds the methods take."""
    yield "| trials of ten parameters | PED-ANOVA | fANOVA, with pairs |"
    yield "| --- | --- | --- |"
    for count in (100, 1000, 10_000):
        evidence = random_trials(TEN, mixed, count, 1)
        seconds = []
        for method in METHODS:
            start = time.process_time()
            measure(evidence, method)
            seconds.append(time.process_time() - start)
        yield f"| {count:,} | {' | '.join(f'{s:.2f}' for s in seconds)} |"


def main() -> None:
    """Write importance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=80)
    repetitions = parser.parse_args().repetitions
    parts = [
        "# How far the measures of importance can be relied on\n",
        "`python benchmarks/importance.py` writes this file; do not edit it.\n",
        "## PED-ANOVA's intervals\n",
        (
            "Of random trials of an additive function of five parameters, and one, `none`, that "
            f"does nothing: in how many of 100 cases ({repetitions} were tried) an interval holds "
            "the importance that 30,000 trials give.\n"
        ),
        *coverage(repetitions),
        "\n## What is chance\n",
        (
            'How often the parameter that does nothing comes out above its "by chance" (5% is '
            "meant), and how often the two that matter most are taken for chance.\n"
        ),
        *false_alarms(repetitions),
        "\n## fANOVA's forest\n",
        "What it finds of the Ishigami function in random trials, with the spread over 10 seeds.\n",
        *forest(repetitions),
        "\n## CPU seconds\n",
        *duration(),
    ]
    (HERE / "importance.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
