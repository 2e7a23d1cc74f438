"""What `tinytune confirm` is worth on noisy objectives: writes confirm.md.

python benchmarks/confirm.py             # two minutes of one core
python benchmarks/confirm.py --share 0.1 # a look
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tinytune import confirm, draw, search
from tinytune.distributions import Float
from tinytune.history import Goal, TrialRecord
from tinytune.space import Params, Space
from tinytune.testing import simulate

HERE = Path(__file__).parent
TRIALS, TOP, REPEATS = 60, 5, 5
STUDIES = {"random": 100, "tpe": 12}  # of each problem and noise
GOAL = Goal("loss", "minimize")
LEVELS = {"little": 0.03, "some": 0.1, "much": 0.3}  # of the middle of the function's values
SHARED = 0.5  # of the noise's variance: what a seed does to all configurations alike
TEXT = """\
# What confirming is worth

`python benchmarks/confirm.py` writes this file; do not edit it. Each cell: in how many
simulated studies the configuration with the lowest true value of all that were tried was named; and
in brackets how far the true value of the named one lies above that, in standard deviations of one
run, with two standard errors. *single*: the best single value; *confirmed*: the best mean of 5 new
runs of the 5 best of 60 trials. The last two columns compare both at 85 runs in all, with the truly
best of 85 trials; those that were confirmed are the first 60 of them. The noise is normal; its
standard deviation, in parts of the median of the function's values, is {noise}.
Half of its variance is the seed's own and the same for all configurations."""
Loss = Callable[[list[float]], float]


def bowl(x: list[float]) -> float:
    """Return a sum of squares."""
    return sum(t * t for t in x)


def valley(x: list[float]) -> float:
    """Return Rosenbrock's function (1960), in a range of -2 to 2."""
    y = [2.0 * t for t in x]
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(y))


def rough(x: list[float]) -> float:
    """Return Ackley's function (1987), in a range of -4 to 4."""
    y = [4.0 * t for t in x]
    root = math.sqrt(sum(t * t for t in y) / len(y))
    waves = sum(math.cos(2 * math.pi * t) for t in y) / len(y)
    return 20 - 20 * math.exp(-0.2 * root) + math.e - math.exp(waves)


PROBLEMS: dict[str, tuple[Loss, int]] = {
    "bowl, 2 numbers": (bowl, 2),
    "valley, 2 numbers": (valley, 2),
    "rough, 4 numbers": (rough, 4),
}


@dataclass(frozen=True)
class Found:
    """What each way of choosing has named in a study: its true value, less the best one tried."""

    single: float  # the best single value of 60 trials, against the best of those
    confirmed: float  # the leader of 25 further runs of the five best of them
    longer: float  # the best single value of 85 trials, against the best of those
    short: float  # that leader, against the best of those 85
    claims: int  # configurations over which the leader's lead was called more than luck
    false: int  # those of them that are not truly worse


class Noisy:
    """A function with noise, a part of which is the seed's own."""

    def __init__(self, loss: Loss, size: int, level: float) -> None:
        self.loss = loss
        self.space = Space.of({f"x{i}": Float(-1.0, 1.0) for i in range(size)})
        points = [[2 * draw.uniform(0, n, "middle", str(i)) - 1 for i in range(size)]
                  for n in range(1000)]  # fmt: skip
        self.deviation = level * statistics.median(map(loss, points))

    def true(self, params: Params) -> float:
        """Return the mean of all possible values."""
        return self.loss([float(value) for value in params.values()])  # type: ignore[arg-type]

    def value(self, params: Params, seed: int, number: int) -> float:
        """Return the value of one run; `number` tells runs under one seed apart."""
        common = float(draw.normals(1, seed, 0, "common")[0])
        own = float(draw.normals(1, seed, number, "own")[0])
        noise = math.sqrt(SHARED) * common + math.sqrt(1 - SHARED) * own
        return self.true(params) + self.deviation * noise


def study(problem: Noisy, name: str, seed: int) -> Found:
    """Simulate one study of 85 trials, of which the first 60 are confirmed with 25 runs."""
    number = -1

    def run(params: Params) -> float:
        nonlocal number
        number += 1
        return problem.value(params, draw.trial_seed(seed, number), number)

    longer = TRIALS + TOP * REPEATS
    ended = simulate(search.make(name, {}), problem.space, run, longer, seed=seed)
    trials = [_record(t.result.number, t.result.params, t.result.value or 0.0) for t in ended]
    first = trials[:TRIALS]
    best, best_of_all = (min(map(_true(problem), some)) for some in (first, trials))
    leader, claims, false = _confirmed(problem, first, seed)
    single, single_of_all = (min(some, key=lambda t: t.value or 0.0) for some in (first, trials))
    true = _true(problem)
    return Found(
        true(single) - best,
        true(leader) - best,
        true(single_of_all) - best_of_all,
        true(leader) - best_of_all,
        claims,
        false,
    )


def _confirmed(
    problem: Noisy, trials: Sequence[TrialRecord], seed: int
) -> tuple[TrialRecord, int, int]:
    """Return the leader, how many leads are called more than luck, and how many of them wrongly."""
    rows = []
    for trial in sorted(trials, key=lambda t: t.value or 0.0)[:TOP]:
        values = [
            problem.value(trial.params or {}, draw.confirm_seed(seed, repeat), trial.number)
            for repeat in range(REPEATS)
        ]
        again = [_record(0, trial.params or {}, v, repeat) for repeat, v in enumerate(values)]
        rows.append(confirm.confirmed(trial, again, GOAL))
    first, *others = confirm.ranked(rows, GOAL)
    claims = [row for row in others if row.gap is not None and not row.gap.is_tie]
    true = _true(problem)
    false = sum(true(row.trial) <= true(first.trial) for row in claims)
    return first.trial, len(claims), false


def _true(problem: Noisy) -> Callable[[TrialRecord], float]:
    return lambda trial: problem.true(trial.params or {})


def _record(number: int, params: Params, value: float, repeat: int | None = None) -> TrialRecord:
    known: dict[str, object] = dict.fromkeys(TrialRecord._fields)
    known |= {"number": number, "params": params, "value": value, "repeat": repeat,
              "state": "complete", "told": 1}  # fmt: skip
    return TrialRecord(**known)  # type: ignore[arg-type]


def table(name: str, studies: int) -> list[str]:
    """Return the rows of one search."""
    lines = [
        f"\n## {name}, {studies} studies in each row\n",
        "| problem | noise | single of 60 | confirmed | single of 85 | confirmed, among 85 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    total: list[Found] = []
    for title, (loss, size) in PROBLEMS.items():
        for level, share in LEVELS.items():
            problem = Noisy(loss, size, share)
            found = [study(problem, name, seed) for seed in range(studies)]
            total += found
            cells = [_cell([getattr(f, way) for f in found], problem.deviation)
                     for way in ("single", "confirmed", "longer", "short")]  # fmt: skip
            lines.append(f"| {title} | {level} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    more = [sum(f.confirmed < f.single for f in total), sum(f.confirmed > f.single for f in total)]
    equal = [_wins(total, better=True), _wins(total, better=False)]
    hits = {way: sum(getattr(f, way) == 0 for f in total) for way in ("single", "confirmed",
            "longer", "short")}  # fmt: skip
    lines.append(
        f"\nOf {len(total)} studies: the best single value of 60 names the truly best in "
        f"{hits['single']}, 25 further runs do in {hits['confirmed']}; they name a truly better "
        f"configuration than the single value in {more[0]} studies, a worse one in {more[1]}. With "
        f"85 runs for both, the single value names the truly best of 85 in {hits['longer']}, "
        f"confirming in {hits['short']}; what was confirmed is truly better in {equal[0]} studies "
        f"and worse in {equal[1]}. {sum(f.claims for f in total)} leads were called more than "
        f"luck, {sum(f.false for f in total)} of them wrongly."
    )
    return lines


def _wins(found: Sequence[Found], *, better: bool) -> int:
    sign = 1 if better else -1
    return sum(sign * (f.longer - f.short) > 0 for f in found)


def _cell(regrets: Sequence[float], deviation: float) -> str:
    """Return how often the truly best was named, and the mean regret in deviations of a run."""
    hits = sum(regret == 0 for regret in regrets)
    mean = statistics.fmean(regrets) / deviation
    error = statistics.stdev(regrets) / deviation / math.sqrt(len(regrets))
    return f"{hits} ({mean:.2f} ± {2 * error:.2f})"


def main() -> None:
    """Run all studies and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the studies")
    wanted = parser.parse_args()
    noise = ", ".join(f"*{name}* {share:g}" for name, share in LEVELS.items())
    lines = [TEXT.format(noise=noise)]
    for name, studies in STUDIES.items():
        lines += table(name, max(2, round(studies * wanted.share)))
        (HERE / "confirm.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
