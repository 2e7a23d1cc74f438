"""Runs searches through a quality harness, and keeps what they found.

One line of JSON for each run, in FOLDER/MODE/SEARCH.jsonl, in the harness's own form. What is
there already is not run again, so a run that was cut off is continued by the same command.
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
    refs: ModuleType
    searches: tuple[str, ...]


def load(harness: Path) -> Modules:
    """Return the modules of the harness in a folder, with our searches registered there."""
    sys.path[:0] = [str(harness), str(Path(__file__).parent)]
    for library in ("OMP", "OPENBLAS", "MKL"):  # before any of them is loaded
        os.environ[f"{library}_NUM_THREADS"] = "1"
    import analyse
    import refs
    import run
    import tinytune_adapter

    return Modules(run, analyse, refs, tinytune_adapter.search.names())


def problems(run: ModuleType, family: str) -> list[str]:
    """Return the identifiers of a family's problems."""
    found: list[str] = run.P.pids("DEV", family)
    return found


def perform(modules: Modules, folder: Path, names: Sequence[str], stored: Stored) -> None:
    """Run each search on every problem, seed by seed, where neither we nor the harness has."""
    run = modules.run
    for mode, workers in MODES.items():
        for family, seeds in SEEDS.items():
            for name in names:
                if workers > 1 and not run.A.PAR[name]:
                    continue
                path = folder / mode / f"{name}.jsonl"
                path.parent.mkdir(parents=True, exist_ok=True)
                done = {(r["p"], r["s"]) for r in lines(path)}
                done |= stored[mode].get(name, {}).get(BUDGET, {}).keys()
                with path.open("a", encoding="utf-8") as file:
                    for seed in range(seeds):
                        for problem in problems(run, family):
                            if (problem, seed) not in done:
                                found = run.run_once(name, problem, seed, BUDGET, workers)
                                file.write(json.dumps(found, separators=(",", ":")) + "\n")
                                file.flush()
                print(mode, family, name, flush=True)


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
            own = found[mode].setdefault(path.stem, {}).setdefault(BUDGET, {})
            own.update({(r["p"], r["s"]): r for r in lines(path)})
    return found
