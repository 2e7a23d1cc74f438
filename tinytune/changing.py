"""Changes of a study that has begun: another search or other rules, more trials, wider ranges."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinytune import budget, command, difference, loading, notation, rules, search, stopping, trust
from tinytune.distributions import Choice, Distribution, Normal
from tinytune.errors import SpaceError, UsageError
from tinytune.history import StudyRecord
from tinytune.search import SearchOptions
from tinytune.search.fold import Fold
from tinytune.space import Space
from tinytune.stopping import RuleOptions
from tinytune.store.editor import Editor
from tinytune.store.reader import Reader

_RANGE = re.compile(r"\s*(\w+)\s*=\s*(.*?)\s*\.\.\s*(.*?)\s*")
_MORE = re.compile(r"\s*(\w+)\s*\+=\s*(.+)")


@dataclass(frozen=True)
class Wanted:
    """What is to change; None leaves it as it is."""

    trials: str | None = None  # "60" in all, or "+20" more
    search: SearchOptions | None = None
    stopping: Sequence[RuleOptions] | None = None
    audit: float | None = None  # the share of trials that a rule stops only on paper


def change(path: Path, wanted: Wanted) -> list[str]:
    """Change search, stopping rules or the number of trials; return in words what has changed.

    The search and the rules hold for all trials that are asked for from now on, by all workers.
    UsageError or SpaceError, with nothing changed, where that cannot be.
    """
    notes: list[str] = []

    def make(record: StudyRecord, reader: Reader) -> StudyRecord:
        new, text = _set(path, record, reader, wanted)
        notes.extend([text] if text and wanted.trials is not None else [])
        return new

    return _changed(path, make) + notes


def widen(path: Path, texts: Sequence[str]) -> list[str]:
    """Widen ranges and add options, as in "lr=1e-6..1" and "optimizer+=adamw".

    The search begins anew in the wider space, told of all trials that ended before, if it learns.
    UsageError or SpaceError, with nothing changed, where that cannot be.
    """

    def make(record: StudyRecord, reader: Reader) -> StudyRecord:
        space = wider(record.space, texts)
        if space.to_json() == record.space.to_json():
            return record
        size = Fold(record).size
        is_whole = size is not None and record.budget == size + reader.skipped()
        limit = None if is_whole else record.budget
        new = record._replace(space=space, first=reader.next_number(), budget=limit)
        return _within(path, new, reader.counted(), reader.counted())[0]

    return _changed(path, make)


def _changed(path: Path, make: Callable[[StudyRecord, Reader], StudyRecord]) -> list[str]:
    def vouched(record: StudyRecord) -> str | None:
        if record.objective.command is None:  # a function runs whatever its parameters are
            return None
        return trust.mark(loading.place(command.target_of(record, path)))

    with Editor(path) as editor:
        before, after, number = editor.change(make, vouched)
    return texts(before, after, number)


def texts(before: StudyRecord, after: StudyRecord, number: int) -> list[str]:
    """Return in words what is different in a version of a study from a trial on."""
    lines = []
    for what, was, now in difference.contrasts(before, after):
        name = what.removeprefix("parameter ").strip("'")
        if what != name and name in after.space.by_name:
            ranges = (shown(r.space.by_name[name].distribution) for r in (before, after))
            lines.append(f"from trial {number} on, {name}: {' → '.join(ranges)}")
        else:
            lines.append(f"from trial {number} on, {what}: {was} → {now}")
    if before.budget != after.budget:
        was, now = ("no limit" if r.budget is None else r.budget for r in (before, after))
        lines.append(f"trials: {was} → {now}")
    return lines


def shown(distribution: Distribution) -> str:
    """Return a range as low..high, a choice as its options."""
    if isinstance(distribution, Choice):
        return ", ".join(map(str, distribution.options))
    low, high = _limits(distribution)
    return f"{low:g}..{high:g}"


def _set(
    path: Path, record: StudyRecord, reader: Reader, wanted: Wanted
) -> tuple[StudyRecord, str]:
    """Return what a study is to be, and in a sentence why it is not all that was asked for."""
    number, counted, skipped = reader.next_number(), reader.counted(), reader.skipped()
    new = record
    if wanted.trials is not None:
        new = new._replace(budget=budget.asked_for(wanted.trials, record, counted))
    if wanted.stopping is not None:
        made = [rules.of_repeats(rule, record.repeats, record.goals[0]) for rule in wanted.stopping]
        audit = record.audit if made else 0.0
        new = new._replace(stopping=stopping.specs(made), audit=audit)
    if wanted.audit is not None:
        new = new._replace(audit=wanted.audit)
    if new.audit and not new.stopping:
        raise UsageError("an audit needs stopping rules: say --stop too, for example --stop median")
    if wanted.search is not None:
        left = None if new.budget is None else max(new.budget - counted, 1)
        spec = search.spec(_planned(wanted.search, new, number, left))
        if spec != record.search:
            if wanted.search.exhausts and wanted.trials is None:
                new = new._replace(budget=None)  # all that it can suggest
            new, skipped = new._replace(search=spec, first=number), counted
    return _within(path, new, counted, skipped)


def _planned(
    options: SearchOptions, record: StudyRecord, number: int, left: int | None
) -> SearchOptions:
    """Return a search's options for the trials that are left."""
    if record.search.name == options.name:
        options = search.completed(options, record.search.options)
    begins = number == 0 and record.use_defaults and record.space.defaults is not None
    return search.planned(options, left, 1, begins_with_defaults=begins)


def _within(path: Path, record: StudyRecord, counted: int, skipped: int) -> tuple[StudyRecord, str]:
    """Return the record with a budget that it can have, and why; UsageError where it cannot work.

    See `budget.granted`.
    """
    for rule in record.stopping:
        stopping.from_spec(rule)
    Fold(record).suggest(0, ())
    return budget.granted(path, record, counted, skipped)


def wider(space: Space, texts: Sequence[str]) -> Space:
    """Return a space with wider ranges or more options; UsageError says what is wrong."""
    document = json.loads(space.to_json())
    entries = {entry["name"]: entry for entry in document["parameters"]}
    for text in texts:
        span, more = _RANGE.fullmatch(text), _MORE.fullmatch(text)
        found = more or span
        if found is None:
            raise UsageError(
                f"{text!r} says nothing of a range: write lr=1e-6..1, or optimizer+=adamw"
            )
        name = found[1]
        if name not in entries:
            raise UsageError(f"there is no parameter {name!r}: the space has {', '.join(entries)}")
        distribution = space.by_name[name].distribution
        if more is not None:
            entries[name]["options"] = _options(name, distribution, more[2])
        else:
            entries[name] |= _ends(name, distribution, found[2], found[3])
    try:
        made = Space.from_json(json.dumps(document))
    except SpaceError as error:
        raise UsageError(str(error)) from None
    check_contains(made, space)
    return made


def _options(name: str, distribution: Distribution, text: str) -> list[object]:
    if not isinstance(distribution, Choice):
        raise UsageError(f"{name} is no choice but a range: write {name}=LOW..HIGH")
    if distribution.weights is not None:
        raise UsageError(f"{name} has weights, and a new option would have none: begin a new study")
    return [*distribution.options, *(notation.value(part) for part in text.split(","))]


def _ends(name: str, distribution: Distribution, low: str, high: str) -> dict[str, object]:
    if isinstance(distribution, Choice):
        raise UsageError(f"{name} is no range but a choice: write {name}+=OPTION")
    ends: dict[str, object] = {}
    for end, text, known in zip(("low", "high"), (low, high), _limits(distribution), strict=True):
        value = _number(text) if text else known
        if value is None:
            raise UsageError(f"{name}: {text!r} is no number: write {name}=LOW..HIGH")
        if value > known if end == "low" else value < known:
            raise UsageError(
                f"{name}={low}..{high} leaves out some of {shown(distribution)}: a range can only "
                "be made wider, since trials in it stay"
            )
        if math.isfinite(value):
            ends[end] = value
    return ends


def _number(text: str) -> float | int | None:
    value = notation.value(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value


def check_contains(made: Space, space: Space) -> None:
    """Raise UsageError unless each value of a range is one of the wider range too."""
    for parameter in space.parameters:
        new, old = made.by_name[parameter.name].distribution, parameter.distribution
        ends = [end for end in _limits(old) if math.isfinite(end)]
        try:
            for value in old.options if isinstance(old, Choice) else ends:
                new.canonical(value)
        except ValueError as error:
            raise UsageError(
                f"{parameter.name}: {value!r} {error} of {shown(new)}: choose an end that is whole "
                "steps away"
            ) from None


def _limits(distribution: Distribution) -> tuple[float, float]:
    if isinstance(distribution, Choice):
        return 0.0, 0.0
    if isinstance(distribution, Normal):
        return distribution.limits
    return distribution.low, distribution.high
