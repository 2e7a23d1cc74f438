"""Milliseconds for a trial, and for a report, as studies grow."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.storage.contestants import LOOPS, PEERS

ROUNDS = 5
_LARGEST = {"rdb": 1_000, "rdb-wal": 1_000, "journal": 10_000, "memory": 10_000}


@dataclass(frozen=True)
class Spent:
    """Milliseconds of each of some rounds."""

    wall: list[float]
    cpu: list[float]


def measure(folder: str | None, filled: int, names: list[str], reports: int) -> dict[str, Spent]:
    """Return what a trial costs each contestant, in turns, on studies of so many trials."""
    spent = {name: Spent([], []) for name in names}
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory(dir=folder)))
        loops = {name: stack.enter_context(LOOPS[name](place, filled)) for name in names}
        for trial in loops.values():
            trial(reports)  # what is made once is not counted
        for _ in range(ROUNDS):
            for name, trial in loops.items():
                count = 5 if name in PEERS else 200
                wall, cpu = time.perf_counter(), time.process_time()
                for _ in range(count):
                    trial(reports)
                spent[name].cpu.append((time.process_time() - cpu) / count * 1000)
                spent[name].wall.append((time.perf_counter() - wall) / count * 1000)
    return spent


def tables(folder: str | None, sizes: list[int], names: list[str]) -> str:
    """Return the tables of trials without reports and with ten, as Markdown."""
    parts = []
    for reports, what in ((0, "A trial without reports"), (10, "A trial with 10 reports")):
        lines = [
            f"### {what}",
            "",
            "| trials before | loop | wall ms, median (range) | CPU ms | CPU / bare | / tinytune |",
            "|--:|---|--:|--:|--:|--:|",
        ]
        for size in sizes:
            chosen = [name for name in names if size <= _LARGEST.get(name, size)]
            spent = measure(folder, size, chosen, reports)
            ours = {name: median(spent[name].cpu) for name in chosen}
            lines += [
                f"| {size:,} | {name} | {_shown(spent[name].wall)} | {_shown(spent[name].cpu)} "
                f"| {ours[name] / ours['bare']:.2f} | {ours[name] / ours['tinytune']:.2f} |"
                for name in chosen
            ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _shown(numbers: list[float]) -> str:
    return f"{median(numbers):.3f} ({min(numbers):.3f} to {max(numbers):.3f})"
