"""Looks whether a study's file is whole, and whether what must always hold does hold."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tinytune import process
from tinytune.checkpoints import missing_beside
from tinytune.files import typed
from tinytune.history import TrialRecord
from tinytune.store.reader import Reader
from tinytune.timeline import Timeline

_RESET_FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))  # and all later ones of the same minor release


_MOST_NAMED = 8  # trials in one sentence
_BESIDE = ("manual", "confirm")  # origins of trials that no search has suggested


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `problem` is empty where all is well."""

    what: str
    problem: str = ""
    remedy: str = ""


def check(reader: Reader, checkpoints: Path | None = None) -> list[Finding]:
    """Return what was looked at. Opening the file has compared its schema with the expected one.

    `checkpoints` is the folder of the large ones, None where they lie beside the study.
    """
    record = reader.study()
    trials = reader.trials()
    pages = reader.damage()
    return [
        Finding("format and schema"),
        Finding(
            "write-ahead log",
            f"{reader.path.name}-wal is missing, and with it perhaps what was written last"
            if reader.lacks_log
            else "",
            "put it back beside the file if it still exists",
        ),
        Finding("pages and indexes", "; ".join(pages[:3]), "restore the file from a copy"),
        _finding("numbers run from 0 without a gap", _gaps(trials)),
        _finding("the budget is kept", _over_budget(trials, record.budget)),
        _finding("the budget of steps is kept", _over_steps(reader, record.budget_steps)),
        _finding("ticks are in order", _ticks(trials, reader.tick())),
        _finding("configurations lie in the space", _outside(trials, reader)),
        _finding("each point of a grid was tried once", _repeated(trials, reader.timeline())),
        _finding("metrics belong to an attempt", _stray(reader)),
        Finding(
            "large checkpoints are there",
            _lost(reader, checkpoints),
            "put them back, or say --checkpoints DIR if they are elsewhere; without them these "
            "trials go on from what they saved before, or begin anew",
        ),
        Finding(
            "workers",
            _dead(reader),
            f"`tinytune resume {typed(reader.path)}` runs their trials again",
        ),
    ]


def sqlite_notes(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> list[str]:
    """Return what this Python's SQLite is, and what it is exposed to."""
    text = ".".join(map(str, version))
    fixed = version >= _RESET_FIXED[0] or any(
        version[:2] == good[:2] and version >= good for good in _RESET_FIXED
    )
    if fixed:
        return [f"SQLite {text}"]
    defect = (
        f"SQLite {text} has the WAL-reset defect (mended in 3.51.3), which needs a checkpoint "
        "beside a commit. tinytune makes none, since its checkpoints hold the write lock; "
        "do not let other programs write to a study that is at work."
    )
    return [defect]


def _finding(what: str, problem: str) -> Finding:
    return Finding(what, problem, "the file was changed by hand: restore it from a copy")


def _gaps(trials: list[TrialRecord]) -> str:
    missing = set(range(len(trials))) - {trial.number for trial in trials}
    return f"trial {min(missing)} is missing" if missing else ""


def _over_budget(trials: list[TrialRecord], budget: int | None) -> str:
    ended = sum(trial.told is not None and trial.confirms is None for trial in trials)
    return f"{ended} trials ended of {budget}" if budget is not None and ended > budget else ""


def _over_steps(reader: Reader, budget: int | None) -> str:
    steps = reader.steps()
    return f"{steps} steps of {budget}" if budget is not None and steps > budget else ""


def _ticks(trials: list[TrialRecord], last: int) -> str:
    asked = [trial.asked for trial in trials]
    for before, after in pairwise(trials):
        if after.asked <= before.asked:
            return f"trial {after.number} was asked before trial {before.number}"
    told = Counter(trial.told for trial in trials if trial.told is not None)
    for trial in trials:
        if trial.told is not None and (told[trial.told] > 1 or trial.told in asked):
            return f"trial {trial.number} shares its tick {trial.told}"
        if trial.told is not None and not trial.asked < trial.told <= last:
            return f"trial {trial.number} was told at tick {trial.told}, outside of its time"
    return ""


def _outside(trials: list[TrialRecord], reader: Reader) -> str:
    from tinytune.errors import SpaceError

    timeline = reader.timeline()
    for trial in trials:
        try:
            space = timeline.at(trial.number).space
            if trial.params is not None and space.checked(trial.params) != trial.params:
                return f"trial {trial.number} has parameters that are not active"
        except SpaceError as error:
            return f"trial {trial.number}: {error}"
    return ""


def _repeated(trials: list[TrialRecord], timeline: Timeline) -> str:
    seen: dict[tuple[int, str], int] = {}
    for trial in trials:
        record = timeline.at(trial.number)
        if record.search.name == "grid" and trial.params and trial.origin not in _BESIDE:
            first = seen.setdefault((record.first, repr(trial.params)), trial.number)
            if first != trial.number:
                return f"trials {first} and {trial.number} are the same point"
    return ""


def _stray(reader: Reader) -> str:
    stray = reader.stray_metrics()
    return f"trial {stray[0]} has reports of an attempt that never was" if stray else ""


def _lost(reader: Reader, checkpoints: Path | None) -> str:
    numbers = missing_beside(reader, checkpoints)
    if not numbers:
        return ""
    shown = ", ".join(map(str, numbers[:_MOST_NAMED]))
    more = f" and {len(numbers) - _MOST_NAMED} more" if len(numbers) > _MOST_NAMED else ""
    trials = "trial" if len(numbers) == 1 else "trials"
    return f"files that {trials} {shown}{more} saved are missing"


def _dead(reader: Reader) -> str:
    held = [trial.token.number for trial in reader.running() if process.is_dead(trial.process)]
    return f"dead workers hold {len(held)} trials (trial {held[0]}, …)" if held else ""
