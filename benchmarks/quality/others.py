"""Runs a search on the functions of bbob that results.md does not have, and prints its mean regret.

python benchmarks/quality/others.py HARNESS [--search auto] [--seeds 1]

Nothing was chosen by them. Their instances are others than those of the harness's own functions,
and their references are computed here. Runs are kept in build/quality/others.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from types import ModuleType

import compare
import runs

FUNCTIONS = (1, 3, 5, 7, 9, 11, 14, 16, 17, 19, 21, 23)
AT = (50, 100, 200)  # evaluations
SAMPLES = 16_000  # random points for a reference, as the harness has them for bbob


def references(modules: runs.Modules, names: list[str], seeds: int, path: Path) -> runs.Run:
    """Return what random search reaches on each problem and instance, kept in a file."""
    found: runs.Run = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in names:
        for seed in range(seeds):
            if f"{name}/{seed}" not in found:
                found[f"{name}/{seed}"] = modules.refs.one(name, seed, SAMPLES)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found), encoding="utf-8")
    return found


def regret(modules: runs.Modules, run: runs.Run, reference: runs.Run, evaluations: int) -> float:
    """Return a run's normalised regret after so many evaluations, as the harness has it."""
    levels, typical = modules.refs.LEVELS, reference["q"]
    at = next(i for i, level in enumerate(levels) if level >= evaluations)
    best = float(modules.analyse.at(run, evaluations))
    whole = typical[at] - reference["best"]
    return min(max((best - reference["best"]) / max(whole, math.ulp(0.0)), 0.0), 2.0)


def problems(run: ModuleType) -> list[str]:
    """Return the functions' names in the harness, which has a list for them."""
    run.P.BBOB_HELD[:] = FUNCTIONS
    found: list[str] = run.P.pids("HELD", "bbob")
    return found


def main() -> None:
    """Run what is missing, and print the means."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("harness", type=Path, help="the harness's folder")
    parser.add_argument("--search", default=compare.DEFAULT, help="one of ours, by its name")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each function")
    parser.add_argument("--runs", type=Path, default=compare.RUNS / "others", help="their folder")
    asked = parser.parse_args()
    modules = runs.load(asked.harness.resolve())
    names = problems(modules.run)
    known = references(modules, names, asked.seeds, asked.runs / "references.json")
    search, path = runs.PREFIX + asked.search, asked.runs / f"{asked.search}.jsonl"
    wanted = [(name, seed) for seed in range(asked.seeds) for name in names]
    runs.perform_on(modules.run, path, search, wanted, runs.BUDGET, workers=1)
    made = [run for run in runs.lines(path) if (run["p"], run["s"]) in set(wanted)]
    for evaluations in AT:
        regrets = [
            regret(modules, run, known[f"{run['p']}/{run['s']}"], evaluations) for run in made
        ]
        print(f"{evaluations} evaluations: {sum(regrets) / len(regrets):.3f} ({len(regrets)} runs)")


if __name__ == "__main__":
    main()
