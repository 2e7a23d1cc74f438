"""How good a front searches find: the hypervolume that they dominate, as a share of the best.

python -m benchmarks.objectives.fronts gp nsga-ii optuna-tpe --into /tmp/fronts.jsonl
python -m benchmarks.objectives.fronts --table /tmp/fronts.jsonl

Everything runs in one process and in memory, one trial after the other.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.objectives.problems import NAMES, Point, problem
from tinytune import search
from tinytune.history import Finished, Goal, ObjectiveReference, StudyRecord
from tinytune.search.fold import Fold
from tinytune.space import Space

ALL = ("random", "sobol", "nsga-ii", "tpe", "gp", "optuna-nsga-ii", "optuna-tpe")
THEIRS = ("optuna-nsga-ii", "optuna-tpe")


def ours(name: str, where: str, trials: int, seed: int) -> list[Point]:
    """Return what a search of tinytune's finds with one worker."""
    task = problem(where)
    goals = tuple(Goal(f"f{i}", "minimize") for i in range(len(task.reference)))
    spec = search.spec(search.make(*search.parse(name)))
    space = Space.of(dict(task.space), {})
    record = StudyRecord(space, spec, goals, {}, seed, False, trials, ObjectiveReference("f"))
    fold, found = Fold(record), []
    for number in range(trials):
        params = fold.suggest(number, ()) or {}
        found.append(task.values([float(params[key]) for key in task.space]))  # type: ignore[arg-type]
        results = dict(zip((goal.name for goal in goals), found[-1], strict=True))
        fold.tell([Finished(number, "complete", params, found[-1][0], number + 1, results)])
    return found


def theirs(name: str, where: str, trials: int, seed: int) -> list[Point]:
    """Return what a sampler of Optuna's finds, with its defaults."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    task = problem(where)
    kinds = {
        "optuna-nsga-ii": optuna.samplers.NSGAIISampler,
        "optuna-tpe": optuna.samplers.TPESampler,
    }
    directions = ["minimize"] * len(task.reference)
    study = optuna.create_study(directions=directions, sampler=kinds[name](seed=seed))
    found = []
    for _ in range(trials):
        trial = study.ask()
        point = []
        for key, range_ in task.space.items():
            suggest = trial.suggest_float if isinstance(range_.low, float) else trial.suggest_int  # type: ignore[union-attr]
            point.append(suggest(key, range_.low, range_.high))  # type: ignore[union-attr]
        found.append(task.values(point))
        study.tell(trial, list(found[-1]))
    return found


def table(path: Path, baselines: Sequence[str] = THEIRS) -> str:
    """Return the table of what a file holds, with how often each search was better or worse."""
    shares: dict[tuple[str, str], dict[int, float]] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        shares.setdefault((row["search"], row["problem"]), {})[row["seed"]] = row["share"]
    names = list(dict.fromkeys(name for name, _ in shares))
    where = [each for each in NAMES if any(each == task for _, task in shares)]
    lines = ["| search | " + " | ".join(where) + " |", "| --- " * (len(where) + 1) + "|"]
    for name in names:
        cells = [_cell(list(shares.get((name, task), {}).values())) for task in where]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for base in baselines:
        lines += ["", f"Seeds better : worse than `{base}`'s, by problem:", ""]
        lines += ["| search | " + " | ".join(where) + " |", "| --- " * (len(where) + 1) + "|"]
        for name in (each for each in names if each != base):
            cells = [
                _won(shares.get((name, task), {}), shares.get((base, task), {})) for task in where
            ]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(found: Sequence[float]) -> str:
    if len(found) < 2:
        return "".join(f"{share:.3f}" for share in found) or "-"
    return f"{statistics.mean(found):.3f} ± {statistics.stdev(found):.3f}"


def _won(mine: dict[int, float], other: dict[int, float]) -> str:
    seeds = mine.keys() & other.keys()
    better = sum(mine[seed] > other[seed] for seed in seeds)
    return f"{better} : {sum(mine[seed] < other[seed] for seed in seeds)}"


def main() -> None:
    """Run the searches, or print the table of what was run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("searches", nargs="*", default=list(ALL))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--begin", type=int, default=0, help="the first seed")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--problems", nargs="*", default=list(NAMES))
    parser.add_argument(
        "--into", type=Path, help="a file to which results are added, as JSON lines"
    )
    parser.add_argument("--label", help="what the search is called there")
    parser.add_argument("--table", type=Path, help="only print the table of such a file")
    said = parser.parse_args()
    if said.table is not None:
        print(table(said.table))
        return
    run: Callable[[str, str, int, int], list[Point]]
    for name in said.searches:
        run = theirs if name in THEIRS else ours
        for where in said.problems:
            shares = []
            for seed in range(said.begin, said.begin + said.seeds):
                found = run(name, where, said.trials, seed)
                shares.append(problem(where).share(found))
                row = {
                    "search": said.label or name,
                    "problem": where,
                    "seed": seed,
                    "share": shares[-1],
                }
                if said.into is not None:
                    with said.into.open("a") as file:
                        file.write(json.dumps(row) + "\n")
            print(said.label or name, where, _cell(shares), flush=True)


if __name__ == "__main__":
    main()
