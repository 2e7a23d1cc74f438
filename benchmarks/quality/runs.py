"""Runs searches through a quality harness, and keeps what they found.

One line of JSON for each run, in FOLDER/MODE/SEARCH.bBUDGET.jsonl, in the harness's own form. What
is there already is not run again, so a run that was cut off is continued by the same command.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

BUDGET = 200  # evaluations of each run; smaller budgets are read off the same run
SEEDS = {"hpo": 10, "syn": 10, "bbob": 3}  # family -> runs of each problem
SHORT = ("tinytune-gp",)  # runs with 50 evaluations alone; `auto`, which is gp at first, has both
TOLD = ("tinytune-auto",)  # is told how many trials are planned, so 50 need runs of their own
MODES = {"seq": 1, "par4": 4}  # the harness's name -> workers
PREFIX = "tinytune-"

Run = dict[str, Any]  # a line: p problem, s seed, b budget, t evaluations, v values, n, sec
Stored = dict[str, dict[str, dict[int, dict[tuple[str, int], Run]]]]
"""Mode -> the harness's name of the search -> budget -> (problem, seed) -> run."""


@dataclass(frozen=True)
class Modules:
    """The harness's modules, and the names of tinytune's searches."""

    run: ModuleType
    analyse: ModuleType
    paired: ModuleType
    refs: ModuleType
    searches: tuple[str, ...]


def load(harness: Path) -> Modules:
    """Return the modules of the harness in a folder, with our searches registered there."""
    sys.path[:0] = [str(harness), str(Path(__file__).parent)]
    for library in ("OMP", "OPENBLAS", "MKL"):  # before any of them is loaded
        os.environ[f"{library}_NUM_THREADS"] = "1"
    import analyse
    import cmp_at
    import refs
    import run
    import tinytune_adapter

    return Modules(run, analyse, cmp_at, refs, tinytune_adapter.search.names())


def problems(run: ModuleType, family: str) -> list[str]:
    """Return the identifiers of a family's problems."""
    found: list[str] = run.P.pids("DEV", family)
    return found


def plan(name: str) -> list[tuple[int, dict[str, int]]]:
    """Return the budgets of a search's runs, and the runs of each family's problems."""
    short = [(50, SEEDS)] if name in (*SHORT, *TOLD) else []
    return short if name in SHORT else [*short, (BUDGET, SEEDS)]


def perform(modules: Modules, folder: Path, names: Sequence[str], stored: Stored) -> None:
    """Run each search on every problem, seed by seed, where neither we nor the harness has."""
    for name in names:
        for budget, counts in plan(name):
            for mode, workers in MODES.items():
                if workers > 1 and not modules.run.A.PAR[name]:
                    continue
                known = set(stored[mode].get(name, {}).get(budget, {}))
                path = folder / mode / f"{name}.b{budget}.jsonl"
                for family, seeds in counts.items():
                    wanted = [(p, s) for s in range(seeds) for p in problems(modules.run, family)]
                    missing = [pair for pair in wanted if pair not in known]
                    perform_on(modules.run, path, name, missing, budget, workers)
                    print(mode, family, name, budget, flush=True)


def perform_on(
    run: ModuleType,
    path: Path,
    name: str,
    wanted: Sequence[tuple[str, int]],
    budget: int,
    workers: int,
) -> None:
    """Run a search on problems and seeds, where its file does not have them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {(line["p"], line["s"]) for line in lines(path)}
    with path.open("a", encoding="utf-8") as file:
        for problem, seed in wanted:
            if (problem, seed) not in done:
                found = run.run_once(name, problem, seed, budget, workers)
                file.write(json.dumps(found, separators=(",", ":")) + "\n")
                file.flush()


def lines(path: Path) -> Iterator[Run]:
    """Return the whole lines of a file, none if there is no file; drop one that was cut off."""
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    for line in whole.splitlines():
        yield json.loads(line)


def read(modules: Modules, folder: Path) -> Stored:
    """Return the harness's stored runs, and those in the folder."""
    found: Stored = {}
    for mode in MODES:
        found[mode] = modules.analyse.read(mode)
        for path in sorted((folder / mode).glob("*.jsonl")):
            name, _, budget = path.stem.rpartition(".b")
            own = found[mode].setdefault(name, {}).setdefault(int(budget), {})
            own.update({(r["p"], r["s"]): r for r in lines(path)})
    return found
