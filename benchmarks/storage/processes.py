"""Trials a second of several processes on one file, and how evenly they share it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.storage.contestants import LOOPS
from tinytune.study import Study

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Shared:
    """What some processes did in some seconds."""

    rate: float  # trials a second, of all
    slowest: float  # the slowest one's part of a fair share
    worst: float  # seconds: the longest trial
    errors: int
    lost: int  # trials that the file does not have, or has twice


def run(folder: str | None, name: str, count: int, seconds: float) -> Shared:
    """Let `count` processes run trials for some seconds."""
    with TemporaryDirectory(dir=folder) as place:
        with LOOPS[name](Path(place), 0) as trial:  # the file is there before they start
            trial(0)
        workers = [
            subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "benchmarks.storage.worker", name, place],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for _ in range(count)
        ]  # fmt: skip
        for worker in workers:
            worker.stdout.readline()  # ready
        for worker in workers:
            worker.stdin.write(f"{seconds}\n")
            worker.stdin.flush()
        found = [json.loads(worker.communicate()[0]) for worker in workers]
        done = [each["done"] for each in found]
        lost = 0
        if name in ("tinytune", "working"):
            with Study(Path(place) / "tinytune.db") as study:
                lost = abs(study.progress.counts["complete"] - sum(done) - 1)
    return Shared(
        sum(done) / seconds,
        min(done) * count / max(1, sum(done)),
        max(each["worst"] for each in found),
        sum(each["errors"] for each in found),
        lost,
    )


def table(folder: str | None, names: list[str], seconds: float, rounds: int) -> str:
    """Return the table for 1 to 16 processes, in turns, as Markdown.

    `slowest` is the part of a fair share that the slowest process got, `longest` the longest trial,
    `lost` the trials that the file lacks or has twice.
    """
    lines = [
        "| processes | loop | trials/s (range) | / bare | slowest | longest, s | errors | lost |",
        "|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    for count in (1, 2, 4, 8, 16):
        found: dict[str, list[Shared]] = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                found[name].append(run(folder, name, count, seconds))
        bare = median(each.rate for each in found["bare"])
        for name, each in found.items():
            rates = [one.rate for one in each]
            lines.append(
                f"| {count} | {name} | {median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f}"
                f") | {median(rates) / bare:.2f} | {min(one.slowest for one in each):.2f} "
                f"| {max(one.worst for one in each):.2f} | {sum(one.errors for one in each)} "
                f"| {sum(one.lost for one in each) if name == 'tinytune' else ''} |"
            )
    return "\n".join(lines)


def working(folder: str | None, seconds: float, rounds: int) -> str:
    """Return what processes with trials of 50 ms reach, in turns, as Markdown."""
    counts = (1, 2, 4, 8, 16)
    found: dict[int, list[Shared]] = {count: [] for count in counts}
    for _ in range(rounds):
        for count in counts:
            found[count].append(run(folder, "working", count, seconds))
    alone = median(each.rate for each in found[1])
    lines = ["| processes | trials/s (range) | / processes x one's | lost |", "|--:|--:|--:|--:|"]
    for count, each in found.items():
        rates = [one.rate for one in each]
        lines.append(
            f"| {count} | {median(rates):,.1f} ({min(rates):,.1f} to {max(rates):,.1f}) "
            f"| {median(rates) / count / alone:.3f} | {sum(one.lost for one in each)} |"
        )
    return "\n".join(lines)
