"""Runs a study's trials again in a new file, and compares what came out."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinytune import __version__, files
from tinytune.errors import StudyMismatchError, TinytuneError, UsageError
from tinytune.history import StudyRecord, TrialRecord
from tinytune.search import options_class
from tinytune.store.reader import Reader
from tinytune.store.writer import create

_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
LONGEST_RANGE = 100_000


@dataclass(frozen=True)
class Comparison:
    """A trial and its repetition; a value is None where the trial has none."""

    number: int
    repeated: int  # the number of its repetition
    recorded: float | None
    new: float | None
    within: bool
    note: str = ""

    @property
    def difference(self) -> float | None:
        """How far the values lie apart."""
        if self.recorded is None or self.new is None:
            return None
        return abs(self.new - self.recorded)


def numbers(text: str) -> list[int]:
    """Read "3,17,40-60"; UsageError where it is no list of numbers."""
    found: dict[int, None] = {}
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise UsageError(f"{text!r} is no list of trials: write 3,17,40-60")
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if not first <= last < first + LONGEST_RANGE:
            raise UsageError(
                f"{part.strip()!r} is no range of up to {LONGEST_RANGE:,} trials, the smaller first"
            )
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def chosen(reader: Reader, wanted: Sequence[int] | None, top: int | None) -> list[TrialRecord]:
    """Return the trials to repeat: those wanted, the best few, or all that ended.

    Trials that confirm others are left out unless they are wanted.
    """
    if wanted is not None and top is not None:
        raise UsageError("give --trials or --top, not both")
    if top is not None:
        trials = reader.best(reader.study().goals[0], top)
    else:
        trials = [
            trial
            for trial in reader.trials()
            if trial.state in ("complete", "failed") and trial.params is not None
            if wanted is not None or (trial.confirms is None and not trial.removed)
        ]
    if wanted is not None:
        by_number = {trial.number: trial for trial in trials}
        missing = [number for number in wanted if number not in by_number]
        if missing:
            raise UsageError(
                f"{reader.path} has no trial {missing[0]} that ran to its end: choose others"
            )
        trials = [by_number[number] for number in wanted]
    if not trials:
        raise TinytuneError(f"{reader.path} has no trial that has ended: nothing to repeat")
    return sorted(trials, key=lambda trial: trial.number)


def start(original: Reader, path: Path, trials: Sequence[TrialRecord]) -> bool:
    """Create the repetition, or find that the file holds it; return whether it is new.

    Each trial gets its configuration and its seed, and waits to be run. StudyMismatchError, with
    the file unchanged, if the file holds anything else.
    """
    record = original.study()
    copied = {"name": original.path.name, "chain": original.chain()}
    wanted = record._replace(budget=len(trials), copied=copied, stopping=(), budget_steps=None)
    if not files.exists(path):
        source = None if record.source_hash is None else original.source(record.source_hash)
        is_changed = bool(original.timeline().versions)
        copies = [
            _copy(trial, number, record, is_changed=is_changed)
            for number, trial in enumerate(trials)
        ]
        if create(path, wanted, source, __version__, copies):
            return True
    with Reader(path) as reader:
        there = reader.study().copied
        found = [(trial.copied, trial.params, trial.seed) for trial in reader.trials()]
    if there is not None and found == [(t.number, t.params, t.seed) for t in trials]:
        return False
    raise StudyMismatchError(
        f"{path} holds something else than the repetition of these trials of {original.path}: "
        "name another file with --output"
    )


def _copy(trial: TrialRecord, number: int, record: StudyRecord, *, is_changed: bool) -> TrialRecord:
    """Return a trial as it waits in the new file.

    What a search suggests from the number alone it would suggest there too, so `verify` may
    recompute it; what it suggests from results, or in a study that was changed, it need not.
    """
    is_alone = trial.confirms is None and not options_class(record.search.name).learns
    same = trial.number == number and is_alone and not is_changed
    return trial._replace(origin=trial.origin if same else "copy", copied=trial.number)


def compare(original: Reader, repeated: Reader, tolerance: float) -> list[Comparison]:
    """Return, for each repeated trial that has ended, how it compares.

    Within the tolerance is |new - recorded| <= tolerance * max(1, |recorded|).
    """
    before = {trial.number: trial for trial in original.trials()}
    return [
        _comparison(before[trial.copied], trial, tolerance)
        for trial in repeated.trials()
        if trial.copied in before and trial.told is not None
    ]


def _comparison(old: TrialRecord, new: TrialRecord, tolerance: float) -> Comparison:
    values = (old.number, new.number, old.value, new.value)
    if old.value is None or new.value is None:
        same = old.state == new.state and old.error == new.error
        note = "failed as before" if same else f"{old.state} then, {new.state} now"
        if not same and old.state == new.state:
            note = f"failed otherwise: {new.error}"
        return Comparison(*values, same, note)
    close = abs(new.value - old.value) <= tolerance * max(1.0, abs(old.value))
    return Comparison(*values, close)


def verdict(found: Sequence[Comparison], total: int, tolerance: float) -> str:
    """Return in a sentence or two how the repetition compares."""
    if not found:
        return f"none of {total} trials was run to its end: give the same command again"
    outside = [each for each in found if not each.within]
    text = f"{len(found) - len(outside)} of {len(found)} within {tolerance:g}"
    if outside:
        worst = max(outside, key=lambda each: each.difference or math.inf)
        apart = "" if worst.difference is None else f" by {worst.difference:.2g}"
        cause = worst.note or "its objective may not be seeded"
        text += f"; trial {worst.number} differs{apart}: {cause}"
    if len(found) < total:
        text += f"; {total - len(found)} have not been run yet: give the same command again"
    return text
