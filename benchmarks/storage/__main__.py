"""Measures and writes results.md: python -m benchmarks.storage [--size N] [--parts …]."""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.storage import contestants, overhead, processes, scale, suggestions

RESULTS = Path(__file__).resolve().parents[1] / "results.md"
SEARCHES = ["random", "grid", "sobol", "halton", "latin", "nelder-mead", "pattern", "one-plus-one",
            "de", "cma-es", "trust-region", "tpe", "gp"]  # fmt: skip
TITLES = {
    "overhead": "Time of a trial and of a report",
    "processes": "Several processes on one file",
    "work": "Several processes with trials of 50 ms",
    "suggestions": "Time of a suggestion, ms of CPU, 20 parameters",
    "start": "Start-up",
    "scale": "A large study",
}


def main() -> None:
    """Measure the parts asked for, and replace them in results.md."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--parts", nargs="+", default=list(TITLES), choices=list(TITLES))
    asked.add_argument("--size", type=int, default=100_000, help="trials of the large study")
    asked.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    compared = [name for name in contestants.LOOPS if name != "working"]
    asked.add_argument("--loops", nargs="+", default=compared)
    asked.add_argument("--seconds", type=float, default=3.0, help="of each run of processes")
    asked.add_argument("--folder", type=Path, default=Path("bench"), help="on the disk to measure")
    chosen = asked.parse_args()
    chosen.folder.mkdir(exist_ok=True)
    measured: dict[str, Callable[[argparse.Namespace], str]] = {
        "overhead": lambda c: overhead.tables(str(c.folder), c.sizes, c.loops),
        "processes": lambda c: processes.table(str(c.folder), c.loops, c.seconds, 3),
        "work": lambda c: processes.working(str(c.folder), c.seconds, 3),
        "suggestions": lambda _: suggestions.table(SEARCHES),
        "start": lambda c: scale.start_up(scale.made(c.folder / "1000.db", 1_000, 10)),
        "scale": _scale,
    }
    for part in chosen.parts:
        sys.stderr.write(f"{part} …\n")
        write(part, f"{_here()}\n\n{measured[part](chosen)}")


def _scale(chosen: argparse.Namespace) -> str:
    small = scale.made(chosen.folder / "1000.db", 1_000, 10)
    large = scale.made(chosen.folder / f"{chosen.size}.db", chosen.size, 10)
    plain = scale.made(chosen.folder / "verify.db", min(chosen.size, 100_000), 0)
    size_bytes = large.stat().st_size / chosen.size
    return "\n".join(
        [
            f"{chosen.size:,} trials of 5 parameters with 10 reports, {size_bytes:.0f} bytes each",
            "",
            scale.commands(small, large),
            "",
            f"- {scale.first_ask(large)}",
            f"- {scale.resident(small, large)}",
            f"- {scale.grid(chosen.folder)}",
            f"- {scale.verified(plain, min(chosen.size, 100_000))}",
        ]
    )


def _here() -> str:
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    return (
        f"*{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} processors with "
        f"{load:.1f} processes waiting for each, Python {platform.python_version()}, SQLite "
        f"{sqlite3.sqlite_version}, numpy {np.__version__}.*"
    )


def write(part: str, text: str) -> None:
    """Put a part between its marks in results.md."""
    marks = f"<!-- {part} -->", f"<!-- end of {part} -->"
    page = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# What storage costs\n"
    if marks[0] not in page:
        page += f"\n## {TITLES[part]}\n\n{marks[0]}\n{marks[1]}\n"
    before, rest = page.split(marks[0], 1)
    after = rest.split(marks[1], 1)[1]
    RESULTS.write_text(f"{before}{marks[0]}\n{text}\n{marks[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
