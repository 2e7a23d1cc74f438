"""Milliseconds for one suggestion, for each search and history."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.searches import spaces, value
from tinytune import search
from tinytune.history import Finished

HISTORIES = (100, 1_000, 10_000)
_LARGEST = {"gp": 1_000, "auto": 1_000, "trust-region": 1_000, "grid": 1_000}
_COUNT = 10


def table(names: list[str], histories: tuple[int, ...] = HISTORIES) -> str:
    """Return the table for 20 parameters, floats and mixed, as Markdown."""
    header = " | ".join(f"{label}, {n:,}" for label in ("floats", "mixed") for n in histories)
    lines = [f"| search | {header} |", "|---|" + "--:|" * 2 * len(histories)]
    for name in names:
        cells = []
        for label in ("floats", "mixed"):
            for told in histories:
                is_measured = told <= _LARGEST.get(name, told)
                cells.append(f"{_milliseconds(name, label, told):.2f}" if is_measured else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _milliseconds(name: str, label: str, told: int) -> float:
    """Return the median time of ask and tell, after so many random trials were told."""
    space = spaces()[label]
    points = {p.name: 3 for p in space.parameters if p.distribution.size is None}
    points |= {p.name: 3 for p in space.parameters if getattr(p.distribution, "log", False)}
    options = {"points": points} if name == "grid" else {}
    options |= {"points": 20_000} if name == "latin" else {}
    working = search.make(name, options).start(space, 1, None)
    drawn = search.make("random", {}).start(space, 2, None)
    for number in range(told):
        params = drawn.suggest(number, ())
        working.tell(Finished(number, "complete", params, value(space, params)))
    times = []
    for number in range(told, told + _COUNT):
        start = time.process_time()
        params = working.suggest(number, ())
        times.append(time.process_time() - start)
        working.tell(Finished(number, "complete", params, value(space, params)))
    return median(times) * 1000
