"""Early stopping at equal total steps, beside Optuna's pruners: writes results.md and curves.svg.

python benchmarks/stopping/compare.py HARNESS            # runs what is missing, then writes
python benchmarks/stopping/compare.py HARNESS --report   # writes from what is there

HARNESS is the quality harness's folder, with learning-curve tables and `mf.py`. Runs are kept in
build/stopping. Needs numpy and optuna.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytune import draw, search, stopping
from tinytune.distributions import Choice, Float, Int
from tinytune.history import Ended, Finished, Goal, ObjectiveReference, Pending, State, StudyRecord
from tinytune.search.fold import Fold
from tinytune.space import Params, Space
from tinytune.stopping.judge import Attempt, Judge

HERE = Path(__file__).parent
RUNS = HERE.parents[1] / "build" / "stopping"
SEEDS = 10
OURS = {  # name -> search, rules; {R} are the steps of a whole trial
    f"tinytune {name} + {rules.partition('(')[0]}": (name, rules)
    for name in ("random", "tpe", "gp")
    for rules in ("none", "median", "asha", "hyperband(max_steps={R})")
    if name != "gp" or rules.startswith(("none", "hyperband"))
}
PEERS = {
    f"optuna {sampler} + {label}": f"{sampler}+{pruner}"
    for sampler in ("random", "tpe")
    for pruner, label in (
        ("none", "none"),
        ("median", "MedianPruner"),
        ("sha", "SuccessiveHalvingPruner"),
        ("hyperband", "HyperbandPruner"),
    )
}
WORKERS = (1, 4)
AT = (10, 20, 50)  # whole trainings' worth of steps


def space_of(parameters: Sequence[dict[str, Any]]) -> Space:
    """Return tinytune's space of the harness's parameters."""
    found: dict[str, Float | Int | Choice] = {}
    for p in parameters:
        if p["type"] == "cat":
            found[p["name"]] = Choice(*p["choices"], when=p.get("when"))
        else:
            kind = Int if p["type"] == "int" else Float
            found[p["name"]] = kind(p["low"], p["high"], log=p["log"], when=p.get("when"))
    return Space.of(found)


@dataclass
class Running:
    """A trial that is running."""

    number: int
    params: Params
    attempt: Attempt
    values: list[float] = field(default_factory=list)
    rungs: list[tuple[int, float]] = field(default_factory=list)


class Study:
    """A search and its stopping rules, as the harness drives them: ask, report, tell."""

    def __init__(self, parameters: Any, seed: int, whole: int, name: str, rules: str) -> None:
        specs = ()
        if rules != "none":
            specs = stopping.specs(stopping.parse(rules.format(R=whole)))
        record = StudyRecord(
            space_of(parameters), search.spec(search.make(name, {})), (Goal("loss", "minimize"),),
            {}, seed, use_defaults=False, budget=None, objective=ObjectiveReference("f"),
            stopping=specs,
        )  # fmt: skip
        self.fold, self.judge = Fold(record), Judge(record)
        self.asked = self.ticks = 0
        self.running: dict[int, Running] = {}

    def ask(self) -> dict[str, Any]:
        """Return the next configuration."""
        pending = [Pending(each.number, each.params) for each in self.running.values()]
        params = self.fold.suggest(self.asked, pending)
        if params is None:
            raise RuntimeError("the search has no more to suggest")
        config = dict(params)
        attempt = self.judge.attempt(self.asked, 1)
        self.running[id(config)] = Running(self.asked, params, attempt)
        self.asked += 1
        return config

    def report(self, config: dict[str, Any], step: int, value: float) -> bool:
        """Take in a step's value; return whether the trial is to stop."""
        trial = self.running[id(config)]
        self.ticks += 1
        trial.values.append(value)
        trial.attempt.add(step, {"loss": value})
        for rung in self.judge.rungs(trial.attempt, step):
            trial.rungs.append((step, value))
            self.judge.note(rung)
        return self.judge.decide(trial.attempt, step, self.ticks) is not None

    def tell(self, config: dict[str, Any], value: float | None) -> None:
        """End a trial: with its value, or stopped."""
        trial = self.running.pop(id(config))
        self.ticks += 1
        state: State = "stopped" if value is None else "complete"
        known = trial.values[-1] if value is None else value
        rungs = tuple(trial.rungs)
        self.fold.tell([Finished(trial.number, state, trial.params, known, rungs=rungs)])
        if value is not None:
            reports = tuple(("loss", step, v) for step, v in enumerate(trial.values, start=1))
            self.judge.tell(Ended(trial.number, self.ticks, reports))


def load(harness: Path) -> Any:
    """Return the harness's module for early stopping, with our studies registered there."""
    sys.path.insert(0, str(harness))
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
    import mf

    for label, (name, rules) in OURS.items():
        mf.MF[label] = lambda space, seed, whole, _budget, _workers, n=name, r=rules: Study(
            space, seed, whole, n, r
        )
    return mf


def perform(mf: Any, folder: Path) -> None:
    """Run everything that is missing, seed by seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(SEEDS):
        for workers in WORKERS:
            for label in (*OURS, *PEERS):
                path = folder / f"{label}.{workers}.jsonl"
                have = {(line["p"], line["s"]) for line in lines(path)}
                with path.open("a", encoding="utf-8") as file:
                    for problem in mf.P.MF_DEV:
                        if (problem, seed) not in have:
                            name = PEERS.get(label, label)
                            found = mf.run_once(name, problem, seed, workers)
                            file.write(json.dumps(found) + "\n")
                            file.flush()
        print("seed", seed, flush=True)


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file, none if there is no file."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


class Board:
    """Normalised regrets: 0 the best value known, 1 random search with as many whole trainings."""

    def __init__(self, mf: Any, folder: Path) -> None:
        import refs

        self._harness = mf.P
        self._levels, self._references = refs.LEVELS, refs.load()
        self.problems = list(mf.P.MF_DEV)
        self.runs = {
            (label, workers): lines(folder / f"{label}.{workers}.jsonl")
            for label in (*OURS, *PEERS)
            for workers in WORKERS
        }
        self._best = {p: self._references[f"hpo_{p}/0"]["best"] for p in self.problems}
        for found in self.runs.values():
            for run in found:
                if run["v"]:
                    self._best[run["p"]] = min(self._best[run["p"]], *run["v"])

    def curves(self, problem: str) -> NDArray[np.float64]:
        """Return the curves (600, R) of random configurations of a problem."""
        found = self._harness.load(f"hpo_{problem}", 0)
        space = space_of(found.space)
        return np.array([found.curve(space.sample(0, n, "order")) for n in range(600)])

    def regrets(self, label: str, workers: int, trainings: float) -> dict[tuple[str, int], float]:
        """Return the regret of each run after so many whole trainings' worth of steps."""
        found = {}
        for run in self.runs[label, workers]:
            reference = self._references[f"hpo_{run['p']}/0"]
            place = int(np.searchsorted(run["e"], trainings * run["R"], side="right")) - 1
            value = run["v"][place] if place >= 0 else reference["q"][0]
            level = min(self._levels, key=lambda known: abs(known - trainings))
            usual = reference["q"][self._levels.index(level)]
            best = self._best[run["p"]]
            found[run["p"], run["s"]] = float(np.clip((value - best) / (usual - best), 0, 2))
        return found


def mean(regrets: dict[tuple[str, int], float], problems: Sequence[str]) -> float:
    """Return the mean over problems of the mean over seeds."""
    return float(
        np.mean([np.mean([v for (p, _), v in regrets.items() if p == q]) for q in problems])
    )


def interval(ours: dict[tuple[str, int], float], other: dict[tuple[str, int], float]) -> str:
    """Return the mean paired difference, and its 95 % interval by a bootstrap over runs."""
    gaps = np.array([ours[key] - other[key] for key in sorted(ours.keys() & other.keys())])
    means = []
    for turn in range(2000):
        units = draw.uniforms(len(gaps), 0, turn, "bootstrap")
        means.append(gaps[(units * len(gaps)).astype(int)].mean())
    low, high = np.quantile(means, (0.025, 0.975))
    text = f"{gaps.mean():+.3f} ({low:+.3f} to {high:+.3f})"
    return f"**{text}**" if low > 0 else text


def report(board: Board) -> str:
    """Return the whole of results.md."""
    parts = [INTRODUCTION.format(problems=" and ".join(board.problems), seeds=SEEDS)]
    for workers in WORKERS:
        parts += [f"## {workers} worker{'s' if workers > 1 else ''}", ""]
        heads = ["search + rule", *(f"after {at}" for at in AT), *board.problems, "trials", "runs"]
        rows = []
        for label in (*OURS, *PEERS):
            runs = board.runs[label, workers]
            if runs:
                means = [mean(board.regrets(label, workers, at), board.problems) for at in AT]
                trials = np.mean([run["trials"] for run in runs])
                last = board.regrets(label, workers, AT[-1])
                each = [mean(last, [problem]) for problem in board.problems]
                cells = [f"{m:.3f}" for m in (*means, *each)] + [f"{trials:.0f}", str(len(runs))]
                name = f"**{label}**" if label in OURS else label
                rows.append((means[-1], f"| {name} | " + " | ".join(cells) + " |"))
        parts += [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
        parts += [row for _, row in sorted(rows)] + [""]
        parts += [PAIRED, ""]
        ours = [label for label in OURS if "hyperband" in label or "asha" in label]
        peers = [label for label in PEERS if "tpe" in label and "none" not in label]
        parts += [f"| ours | {' | '.join(peers)} |", "|" + " --- |" * (len(peers) + 1)]
        for label in ours:
            own = board.regrets(label, workers, AT[-1])
            if own:
                cells = [interval(own, board.regrets(peer, workers, AT[-1])) for peer in peers]
                parts.append(f"| {label} | {' | '.join(cells)} |")
        parts.append("")
    parts += [
        ORDER,
        "",
        "| problem | after 1 step | after 3 | after 9 |",
        "| --- | --- | --- | --- |",
    ]
    parts += [order_of(problem, board.curves(problem)) for problem in board.problems]
    parts += ["", TRIED]
    return "\n".join(parts).rstrip() + "\n"


def order_of(problem: str, curves: NDArray[np.float64]) -> str:
    """Return a row: how much the order of curves (n, R) after 1, 3 and 9 steps tells of the last.

    Spearman's correlation among the best fifth, and how many of the best 10 a rung would keep.
    """
    best = np.argsort(curves[:, -1], kind="stable")
    cells = []
    for step in (1, 3, 9):
        ranks = np.argsort(np.argsort(curves[:, step - 1], kind="stable"))
        some = np.argsort(np.argsort(ranks[best[: len(best) // 5]]))
        correlation = float(np.corrcoef(some, np.arange(len(some)))[0, 1])
        kept = int(np.sum(ranks[best[:10]] < len(best) // 3))
        cells.append(f"{correlation:.2f}; {kept}")
    return f"| {problem} | {' | '.join(cells)} |"


PAIRED = "Paired differences after 50 trainings, ours less Optuna's; bold where ours is worse:"
ORDER = """\
## How early the order shows

Of 600 random configurations: the rank correlation with the last value among the best fifth, and how
many of the best 10 are in the first third after so many steps, where a rung with eta = 3 would let
them go on. Where one step says little of the order, as on sgd_bc, rules that begin there gain
nothing over whole trainings, and a search that learns from what they stopped there loses."""
TRIED = """\
## What `gp` may hear of lower rungs

Written by hand. On seeds 100 to 105, which are not in the tables above, one worker, `gp` with
`hyperband`; regret after 50, and its standard error. The rule was chosen by these:

| what `gp` hears of who ended below the rung that counts | mlp_digits | sgd_bc |
| --- | --- | --- |
| the value of the same rank (as other searches do, and `gp` did) | 0.149 ± 0.028 | 1.627 ± 0.197 |
| what a rising regression expects (Ayer et al. 1955) | 0.143 ± 0.038 | 1.218 ± 0.155 |
| a rank nearer to the middle, by the rank correlation | 0.174 ± 0.039 | 1.876 ± 0.078 |
| the value of the same rank, and how far below it is (**now**) | 0.098 ± 0.026 | 1.198 ± 0.066 |
| what it would have had at its end, which nobody knows (5 and 4 seeds) | 0.066 | 1.207 |

- It was not the lowest rungs' share of the steps, nor too few complete trials: 85 % and 67 % of the
  steps went to some 42 and 33 trials that were complete. What was suggested was worse: in the last
  third of the steps on sgd_bc the median suggestion had a regret of 4.7 before, and has 2.1 now.
- With `tpe` (seeds 100 to 109) neither the regression (0.203, 1.393) nor the nearer ranks (0.269,
  1.245) are better than ranks (0.286, 1.264) beyond chance, nor is what nobody knows (0.310, 1.064)
  on mlp_digits; so it hears what it did.
- On sgd_bc the noise of the last epoch is three times the spread of the best tenth of what can be
  suggested. The best of the complete trials had a regret of 0.8 before and has it now, but another
  one's noisy value is less. No rule of stopping mends that; `tinytune confirm` does.
- Where curves cross, rungs stop what would have been best. `untouched.py` has boosted trees on the
  diabetes data, where fast learners lead at first: `tpe` with `hyperband` suggested configurations
  with a regret of 0.27, and the best that came to its end had 0.80 (seeds 100 to 104).
- Of two more problems of `untouched.py`, 3 seeds each: on a network that learns the digits `gp`
  with `hyperband` had 0.23 ± 0.03 before and has 0.19 ± 0.08, with whole trainings 0.21 ± 0.04;
  on linear regression of the diabetes data 0.77 ± 0.33 before, 0.53 ± 0.44 now, and 0.14 ± 0.09
  with whole trainings, which are better there. That is too little to show a gain or a loss by the
  change."""
INTRODUCTION = """\
# Early stopping at equal total steps

`compare.py` writes this file; do not edit it. Problems: {problems}, tables of real learning curves
of 27 epochs (scikit-learn models on its own data); {seeds} seeds each; 50 whole trainings' worth of
epochs. **Regret** is normalised: 0 is the best value known, 1 what random search reaches with as
many whole trainings; the incumbent is the best trial that was trained to its end. The columns of
problems are after 50. Two problems are few: differences between rules here say little about yours.
Peers are Optuna 5.0.0's.

![regret against epochs](curves.svg)
"""


TITLE = "Regret against whole trainings, 1 worker"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    'font-family="sans-serif" font-size="12">'
)


def picture(board: Board) -> str:
    """Return a drawing of regret against whole trainings, one worker."""
    shown = {
        "tinytune random + none": "#9a9a9a",
        "tinytune random + hyperband": "#56b4e9",
        "tinytune tpe + asha": "#0072b2",
        "tinytune tpe + hyperband": "#009e73",
        "tinytune gp + hyperband": "#000000",
        "optuna tpe + MedianPruner": "#e69f00",
        "optuna tpe + SuccessiveHalvingPruner": "#d55e00",
        "optuna tpe + HyperbandPruner": "#cc79a7",
    }
    places = [2 * i for i in range(1, 26)]
    left, top, width, height = 60, 30, 420, 280
    parts = [
        SVG.format(width=left + width + 290, height=top + height + 50),
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{left}" y="18" font-weight="bold">{TITLE}</text>',
    ]
    for tick in (0.0, 0.5, 1.0, 1.5):
        y = top + height * (1 - tick / 1.5)
        parts.append(
            f'<line x1="{left}" y1="{y:.0f}" x2="{left + width}" y2="{y:.0f}" stroke="#dddddd"/>'
            f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">{tick}</text>'
        )
    for tick in (10, 20, 30, 40, 50):
        x = left + width * tick / 50
        parts.append(
            f'<text x="{x:.0f}" y="{top + height + 18}" text-anchor="middle">{tick}</text>'
        )
    for place, (label, colour) in enumerate(shown.items()):
        if not board.runs.get((label, 1)):
            continue
        means = [mean(board.regrets(label, 1, at), board.problems) for at in places]
        points = " ".join(
            f"{left + width * at / 50:.1f},{top + height * (1 - min(m, 1.5) / 1.5):.1f}"
            for at, m in zip(places, means, strict=True)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        y = top + 16 + 20 * place
        x = left + width + 12
        parts.append(
            f'<line x1="{x}" y1="{y}" x2="{x + 18}" y2="{y}" stroke="{colour}" stroke-width="3"/>'
            f'<text x="{x + 24}" y="{y + 4}">{label}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Run what is missing, and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("harness", type=Path, help="the harness's folder")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where runs are kept")
    parser.add_argument("--report", action="store_true", help="only write")
    asked = parser.parse_args()
    mf = load(asked.harness.resolve())
    if not asked.report:
        perform(mf, asked.runs)
    board = Board(mf, asked.runs)
    (HERE / "results.md").write_text(report(board), encoding="utf-8")
    (HERE / "curves.svg").write_text(picture(board), encoding="utf-8")


if __name__ == "__main__":
    main()
