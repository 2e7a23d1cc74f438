"""The default search beside every other tool: ranks, means, paired differences and speed-ups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import runs
from numpy.typing import NDArray

from tinytune import draw

RESAMPLES = 2000  # of each bootstrap
LEVEL = 0.95
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """Ours less the other's mean regret on the same problems and seeds, below 0 where ours wins."""

    value: float
    low: float
    high: float
    pairs: int

    @property
    def text(self) -> str:
        """As a cell of a table; bold where the interval is on the wrong side."""
        text = f"{self.value:+.3f} ({self.low:+.3f} to {self.high:+.3f})"
        return f"**{text}**" if self.low > 0 else text


def difference(pairs: Mapping[tuple[str, int], tuple[float, float]], seed: int = 0) -> Difference:
    """Return the mean difference of pairs, problems counting the same, and its interval.

    The bootstrap draws problems, and then runs within each, both with replacement.
    """
    by_problem: dict[str, list[float]] = {}
    for (problem, _), (ours, other) in sorted(pairs.items()):
        by_problem.setdefault(problem, []).append(ours - other)
    gaps = [np.array(found) for found in by_problem.values()]
    means = np.empty(RESAMPLES)
    for turn in range(RESAMPLES):
        drawn = _below(len(gaps), len(gaps), seed, turn, "problems")
        parts = [
            gaps[at][_below(len(gaps[at]), len(gaps[at]), seed, turn, f"runs {place}")].mean()
            for place, at in enumerate(drawn.tolist())
        ]
        means[turn] = np.mean(parts)
    edge = (1 - LEVEL) / 2
    low, high = np.quantile(means, (edge, 1 - edge)).tolist()
    value = float(np.mean([gap.mean() for gap in gaps]))
    return Difference(value, low, high, len(pairs))


def _below(limit: int, count: int, seed: int, turn: int, purpose: str) -> NDArray[np.int64]:
    units = draw.uniforms(count, seed, turn, f"bootstrap {purpose}")
    return (units * limit).astype(np.int64)


def ranks(
    scores: Any, problems: Sequence[str], budget: int, names: Iterable[str]
) -> dict[str, float]:
    """Return each name's mean rank over problems, 1 the best, of those that ran on all of them."""
    rows = {name: scores.row(name, problems, budget) for name in names}
    known = {name: row["per"] for name, row in rows.items() if row is not None}
    table = np.array(list(known.values()))  # (names, problems)
    less = (table[None] < table[:, None]).sum(1)
    same = (table[None] == table[:, None]).sum(1)
    return dict(zip(known, (less + (same + 1) / 2).mean(1).tolist(), strict=True))


def compared(
    modules: runs.Modules,
    scores: Any,
    found: dict[str, dict[int, dict[tuple[str, int], runs.Run]]],
    ours: str,
    families: Sequence[str],
    budget: int,
) -> list[list[str]]:
    """Return a row for each system: means by family, mean rank, and ours less it, paired.

    A system that lacks a problem has no mean there, and no rank.
    """
    problems = {family: runs.problems(modules.run, family) for family in families}
    every = [problem for family in families for problem in problems[family]]
    systems = [name for name in scores.nr if budget in scores.nr[name]]
    ranked = ranks(scores, every, budget, systems)
    rows: list[tuple[float, list[str]]] = []
    for name in systems:
        row = {family: scores.row(name, problems[family], budget) for family in families}
        means = [None if at is None else float(at["NR"]) for at in row.values()]
        if all(mean is None for mean in means):
            continue
        whole = [mean for mean in means if mean is not None]
        overall = sum(whole) / len(whole) if len(whole) == len(means) else None
        pairs = {} if name == ours else modules.paired.pairs(scores, found, ours, name, budget)
        pairs = {key: pair for key, pair in pairs.items() if key[0] in every}
        cells = [f"{mean:.3f}" if mean is not None else "-" for mean in (overall, *means)]
        cells.append(f"{ranked[name]:.1f}" if name in ranked else "-")
        cells += [difference(pairs).text, str(len(pairs))] if pairs else ["", ""]
        label = name.removeprefix(runs.PREFIX)
        rows.append(
            (
                9.0 if overall is None else overall,
                [f"**{label}**" if label != name else name, *cells],
            )
        )
    return [cells for _, cells in sorted(rows, key=lambda pair: (pair[0], pair[1]))]


def speed_ups(
    modules: runs.Modules, scores: Any, families: Sequence[str], names: Iterable[str]
) -> list[list[str]]:
    """Return a row for each name: how many times fewer evaluations than random search it needs."""
    rows = []
    for name in names:
        cells = [scores.su(name, runs.problems(modules.run, family)) for family in families]
        if any(cell is not None for cell in cells):
            label = name.removeprefix(runs.PREFIX)
            label = f"**{label}**" if label != name else name
            rows.append([label, *("-" if cell is None else f"{cell:.1f}" for cell in cells)])
    return rows
