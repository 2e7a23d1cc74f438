"""Runs tinytune's searches through a quality harness and writes results.md: each beside its peers.

python benchmarks/quality/compare.py HARNESS                    # runs what is missing, then writes
python benchmarks/quality/compare.py HARNESS --report           # writes from what is there
python benchmarks/quality/compare.py HARNESS --also ng-de,pycma # runs these peers too

HARNESS is the harness's folder; nothing in it is changed. Runs are kept in build/quality.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import overall
import runs

HERE = Path(__file__).parent
RUNS = HERE.parents[1] / "build" / "quality"
BUDGETS = (50, 200)
TITLES = {"seq": "one worker", "par4": "4 simulated asynchronous workers"}
FAMILIES = {
    "hpo": "real models (hpo)",
    "syn": "synthetic and mixed (syn)",
    "bbob": "COCO's bbob, 2, 5 and 10 numbers (bbob)",
}
PEERS = {  # our search -> the stored ones that run the same algorithm
    "random": ("random",),
    "grid": ("grid",),
    "sobol": ("sobol",),
    "nelder-mead": ("scipy-nm",),
    "one-plus-one": ("ng-oneplusone",),
    "de": ("ng-de",),
    "cma-es": ("pycma", "cmaes", "cmaes-catwm", "optuna-cma"),
    "trust-region": ("pybobyqa", "scipy-cobyqa"),
}
RELATIVES = {  # the nearest thing that is stored, where nothing runs the same algorithm
    "halton": ("sobol",),
    "latin": ("sobol",),
    "pattern": ("scipy-powell",),
}
LANDMARKS = ("optuna-tpe", "hyperopt-tpe", "optuna-gp", "ng-ngopt", "smac-hpo")
DEFAULT = "auto"
NONE = "-"  # in a table, where nothing was run
LABELS = {"random": "numpy, random", "sobol": "scipy, sobol", "grid": "the harness's grid"}


@dataclass(frozen=True)
class Mean:
    """The mean normalised regret of a search over a family's problems, each counting the same."""

    value: float
    error: float  # its standard error; NaN where a problem has but one run
    count: int  # of runs

    @property
    def text(self) -> str:
        """As a cell of a table."""
        error = "?" if math.isnan(self.error) else f"{self.error:.3f}"
        return f"{self.value:.3f} ± {error}"


@dataclass(frozen=True)
class Duel:
    """One of our searches beside one peer."""

    mode: str
    family: str
    budget: int
    ours: str
    peer: str
    is_same: bool  # whether both run the same algorithm
    own: Mean
    other: Mean

    @property
    def verdict(self) -> str:
        """Better or worse by more than one standard error of the difference, or level."""
        error = math.hypot(self.own.error, self.other.error)
        if math.isnan(error):
            return "?"
        gap = self.own.value - self.other.value
        return "worse" if gap > error else "better" if gap < -error else "level"

    @property
    def text(self) -> str:
        """As a cell of a table; losses as plain as gains."""
        return {"worse": "**ours is worse**", "better": "ours is better"}.get(
            self.verdict, self.verdict
        )


class Board:
    """The means of all searches, as the harness scores them."""

    def __init__(
        self, modules: runs.Modules, stored: runs.Stored, budgets: Sequence[int] = BUDGETS
    ) -> None:
        modules.analyse.BUD = tuple(budgets)
        self._modules, self._stored = modules, stored
        self._problems = {family: runs.problems(modules.run, family) for family in FAMILIES}
        for name in (*self._problems["hpo"], *self._problems["syn"]):
            self._problems[name] = [name]
        for name in self._problems["bbob"]:
            self._problems.setdefault(f"bbob {int(name[-2:])}D", []).append(name)
        references = modules.refs.load()
        for mode in stored.values():  # one best known value of each problem for both modes
            for at in mode.values():
                for (problem, _), run in (pair for line in at.values() for pair in line.items()):
                    if problem.startswith("hpo"):
                        reference = references[f"{problem}/0"]
                        reference["best"] = min(reference["best"], run["v"][-1])
        self._scores = {
            mode: modules.analyse.Scores(found, references) for mode, found in stored.items()
        }

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of families: single problems, and bbob's dimensions."""
        return tuple(name for name in self._problems if name not in FAMILIES)

    def mean(self, mode: str, family: str, budget: int, name: str) -> Mean | None:
        """Return a search's mean, None if it was not run on each of the family's problems."""
        scores, problems = self._scores[mode], self._problems[family]
        row: dict[str, Any] | None = scores.row(name, problems, budget)
        if row is None:
            return None
        count = sum(len(scores.nr[name][budget][problem]) for problem in problems)
        return Mean(float(row["NR"]), float(row["se"]), count)

    def overall(self, mode: str, budget: int) -> list[list[str]]:
        """Return the rows of `overall.compared` for the default search."""
        ours = runs.PREFIX + DEFAULT
        found = self._stored[mode]
        scores = self._scores[mode]
        return overall.compared(self._modules, scores, found, ours, tuple(FAMILIES), budget)

    def speed_ups(self, searches: Sequence[str]) -> list[list[str]]:
        """Return the rows of `overall.speed_ups`, one worker."""
        names = (*(runs.PREFIX + name for name in searches), *LANDMARKS, "random")
        return overall.speed_ups(self._modules, self._scores["seq"], tuple(FAMILIES), names)

    def duels(self, searches: Sequence[str]) -> Iterable[Duel]:
        """Return our searches beside their peers, wherever both were run."""
        for mode in runs.MODES:
            for family in FAMILIES:
                for ours in searches:
                    for peer in (*PEERS.get(ours, ()), *RELATIVES.get(ours, ())):
                        for budget in BUDGETS:
                            own = self.mean(mode, family, budget, runs.PREFIX + ours)
                            other = self.mean(mode, family, budget, peer)
                            if own and other:
                                is_same = peer in PEERS.get(ours, ())
                                yield Duel(mode, family, budget, ours, peer, is_same, own, other)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(line)} |" for line in lines] + [""]


def means(
    board: Board, columns: dict[str, tuple[str, str, int]], searches: Sequence[str], *others: str
) -> list[str]:
    """Return a table of means: head -> (mode, family or part, budget); ours, and some others."""
    names = {f"**{name}**": runs.PREFIX + name for name in searches}
    names |= {LABELS.get(name, name): name for name in others}
    cells = {}
    for head, column in columns.items():
        found = {label: board.mean(*column, name) for label, name in names.items()}
        texts = {label: f"{mean.value:.2f}" for label, mean in found.items() if mean}
        least = min(text for label, text in texts.items() if label.startswith("**"))
        for label in names:
            text = texts.get(label, NONE)
            cells[label, head] = f"**{text}**" if NONE != text <= least else text
    rows = [[label, *(cells[label, head] for head in columns)] for label in names]
    return table(["search", *columns], rows)


def overview(board: Board, searches: Sequence[str]) -> list[str]:
    """Return one table of all means, ours and the landmarks."""
    columns = {
        f"{family} {budget}{', 4 w.' if mode == 'par4' else ''}": (mode, family, budget)
        for mode in runs.MODES
        for family in FAMILIES
        for budget in BUDGETS
    }
    return means(board, columns, searches, *LANDMARKS, "random")


def by_parts(board: Board, searches: Sequence[str]) -> list[str]:
    """Return a table of each problem, and of bbob's dimensions, for each budget; one worker."""
    lines = []
    for budget in BUDGETS:
        columns = {part.partition("_")[2] or part: ("seq", part, budget) for part in board.parts}
        lines += [f"At {budget} evaluations:", "", *means(board, columns, searches)]
    return lines


def beside(board: Board, duels: list[Duel], mode: str, family: str, ours: str) -> list[list[str]]:
    """Return the rows of one of our searches and its peers in one family."""
    own = {b: board.mean(mode, family, b, runs.PREFIX + ours) for b in BUDGETS}
    rows = [[f"**{ours}**", _count(own[BUDGETS[-1]])]]
    for budget in BUDGETS:
        mean = own[budget]
        rows[0] += [NONE if mean is None else f"**{mean.text}**", ""]
    found: dict[str, list[Duel]] = {}
    for duel in duels:
        if (duel.mode, duel.family, duel.ours) == (mode, family, ours):
            found.setdefault(duel.peer, []).append(duel)
    for peer, at in found.items():
        label = LABELS.get(peer, peer) + ("" if at[0].is_same else " (a relative)")
        row = [label, _count(at[-1].other)]
        for duel in at:
            row += [duel.other.text, duel.text]
        rows.append(row)
    return rows


def _count(mean: Mean | None) -> str:
    return NONE if mean is None else str(mean.count)


def summary(duels: list[Duel], searches: Sequence[str]) -> list[str]:
    """Return how often each search is better, level and worse than its own algorithm elsewhere."""
    rows = []
    for ours in searches:
        mine = [duel for duel in duels if duel.ours == ours and duel.is_same]
        if mine:
            verdicts = [duel.verdict for duel in mine]
            peers = ", ".join(LABELS.get(peer, peer) for peer in PEERS[ours])
            counts = [str(verdicts.count(v)) for v in ("better", "level", "worse")]
            rows.append([ours, peers, *counts])
    return table(["search", "peers", "better", "level", "worse"], rows)


def losses(duels: list[Duel]) -> list[str]:
    """Return every comparison that we lose, the largest difference first."""
    lost = [duel for duel in duels if duel.verdict == "worse" and duel.is_same]
    lost.sort(key=lambda duel: duel.other.value - duel.own.value)
    rows = [
        [d.ours, LABELS.get(d.peer, d.peer), d.family, str(runs.MODES[d.mode]), str(d.budget),
         d.own.text, d.other.text]
        for d in lost
    ]  # fmt: skip
    heads = ["search", "peer", "family", "workers", "evaluations", "ours", "the peer"]
    return table(heads, rows) if rows else ["None.", ""]


def report(board: Board, searches: Sequence[str]) -> str:
    """Return the whole of results.md."""
    duels = list(board.duels(searches))
    lines = [INTRODUCTION, "## The default search beside every other tool", "", OVERALL, ""]
    for mode, title in TITLES.items():
        for budget in BUDGETS:
            lines += [f"### {budget} evaluations, {title}", ""]
            heads = ["search", "mean of the families", *FAMILIES, "mean rank"]
            heads += [f"{DEFAULT} less it", "pairs"]
            lines += table(heads, board.overall(mode, budget))
    lines += ["## Faster than random search by", "", SPEED_UPS, ""]
    lines += table(["search", *FAMILIES], board.speed_ups(searches))
    lines += ["## All searches", "", OVERVIEW, ""]
    lines += overview(board, searches)
    lines += ["## Problem by problem, one worker", "", PARTS, ""]
    lines += by_parts(board, searches)
    lines += ["## Our searches beside the same algorithm elsewhere", "", COUNTS, ""]
    lines += summary(duels, searches)
    lines += ["### Where ours is worse", ""]
    lines += losses(duels)
    for mode, title in TITLES.items():
        for family, label in FAMILIES.items():
            lines += [f"## {label[0].upper() + label[1:]}, {title}", ""]
            rows: list[list[str]] = []
            for ours in searches:
                rows += beside(board, duels, mode, family, ours)
            rows += landmarks(board, mode, family)
            heads = ["search", "runs"]
            for budget in BUDGETS:
                heads += [f"regret at {budget}", f"at {budget}"]
            lines += table(heads, rows)
    return "\n".join(lines).rstrip() + "\n"


def landmarks(board: Board, mode: str, family: str) -> list[list[str]]:
    """Return the rows of searches that are shown for orientation."""
    rows = []
    for name in LANDMARKS:
        means = [board.mean(mode, family, budget, name) for budget in BUDGETS]
        known = [mean for mean in means if mean]
        if known:
            row = [f"*{name}*", _count(known[-1])]
            for mean in means:
                row += [NONE if mean is None else mean.text, ""]
            rows.append(row)
    return rows


INTRODUCTION = """\
# tinytune's searches beside other tools

`compare.py` writes this file; do not edit it. README.md says how to run it.

**Regret** is normalised: 0 is the best value known of a problem, 1 is what random search reaches
with as many evaluations (the median), and 2 is the most that is counted. On the noisy problem it is
the true value of the configuration with the best noisy value. Each mean is over a family's
problems, which count the same, and over the runs of each; ± is its standard error over runs.
It says nothing about other problems.

**Better** and **worse** mean: by more than one standard error of the difference of the two means.
With so many comparisons, about one in three of two equal searches would be called better or worse
by chance alone.

The runs have 200 evaluations; the figures at 50 are read off the same runs, also those of `latin`
and `grid`, which were told that 200 would come. Where a peer has runs that were told 50 (grid), its
figures at 50 are from those. The peers' runs are the harness's own, or were made by
`compare.py --also`.

What to hold against these figures:

- No problem has defaults, so our local searches and cma-es begin exactly in the middle of each
  range. scipy's solvers and pybobyqa begin within 0.2 of it, pycma and cmaes in the middle, too.
- scipy's solvers, pybobyqa, pycma and cmaes see a category as equal cells of [0, 1] and a
  conditional parameter always. That costs them on syn, and is no fault of theirs.
- cma-es and de were measured on these problems while they were written.
- The five hpo problems are the same in every run; only the seed differs.
"""
OVERALL = f"""\
Tinytune's are bold, `{DEFAULT}` is the default. The mean rank is over all problems, among those
that ran on all of them. *{DEFAULT} less it* is the mean difference of regret over the same
problems and seeds, below 0 where {DEFAULT} is better, with a {overall.LEVEL:.0%} interval by a
bootstrap over problems and runs; bold where the interval says that {DEFAULT} is worse. `gp` was
run with 50 evaluations only. Columns of runs below tell where a search has fewer of them.
`proto-…` are drafts that came with the harness."""
SPEED_UPS = """\
How many evaluations random search needs for what it reaches with 200 (in the median), divided by
how many the search needs: the geometric mean over a family's problems, one worker."""
OVERVIEW = """\
Mean regret. Bold: the best of tinytune's, and others that are as good. -: not run.
*4 w.*: 4 workers."""
PARTS = """\
enet_diabetes to sgd_bc tune real models; of branin2of10's ten numbers two matter; noisyhart6 has
noise; steps5 has plateaus; cat8 has categories alone; condtree has conditions. Bold: the best."""
COUNTS = "Comparisons over families, budgets and numbers of workers, wherever both have runs."


def main() -> None:
    """Run what is missing, and write results.md."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("harness", type=Path, help="the harness's folder")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where runs are kept")
    parser.add_argument("--only", default="", help="our searches to run, not all")
    parser.add_argument("--also", default="", help="peers to run too, by their harness's names")
    parser.add_argument("--report", action="store_true", help="only write results.md")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # the other tools' own
    modules = runs.load(asked.harness.resolve())
    stored = runs.read(modules, asked.runs)
    if not asked.report:
        names = [runs.PREFIX + name for name in asked.only.split(",") if name]
        names = names or [runs.PREFIX + name for name in modules.searches]
        names += [name for name in asked.also.split(",") if name]
        runs.perform(modules, asked.runs, names, stored)
        stored = runs.read(modules, asked.runs)
    ran = [n for n in modules.searches if any(runs.PREFIX + n in at for at in stored.values())]
    text = report(Board(modules, stored), ran)
    (HERE / "results.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
