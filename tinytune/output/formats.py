"""Trials as tables for people, and as JSON, CSV, Markdown and arguments for scripts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from tinytune.errors import UsageError
from tinytune.history import COSTS, Note, StudyRecord, TrialRecord

# Compiled when they are first used: each takes as long as the rest of this module, or longer.
_COLOUR = r"\x1b\[[0-9;]*m"
_CONTROL = r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
_UNSAFE = r"[\x7f-\x9f\ud800-\udfff]"
_FORMULA = r"[\s\x00]*[=+\-@]|[\t\r]"
_TIMES = ("started", "finished")
_FACTS = (
    *("value", "seconds", "cpu_seconds", "memory_mb", "steps", "origin", "search", "attempt"),
    *("deaths", "seed", *_TIMES, "confirms", "repeat", "error", "tags"),
)
_ATTRIBUTES = {"number", "state", *_FACTS}
_SHOWN = {"number", "state", "value", "seconds", "confirms", "error", "tags"}  # unless chosen


class Format(StrEnum):
    """How trials are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    ARGS = "args"


class ListFormat(StrEnum):
    """How many trials are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


def trial_json(
    trial: TrialRecord, study: StudyRecord, metrics: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Return a trial as scripts get it; `metrics` holds the last value of each reported metric."""
    return {
        "number": trial.number,
        "state": trial.state,
        "removed": trial.removed,
        "origin": trial.origin,
        "params": trial.params,
        "settings": study.settings,
        "value": trial.value,
        "values": trial.values,
        "metrics": {name: finite(value) for name, value in (metrics or {}).items()},
        "attempt": trial.attempt,
        "seed": trial.seed,
        "started": iso_time(trial.started),
        "finished": iso_time(trial.finished),
        "seconds": trial.seconds,
        "cpu_seconds": trial.cpu_seconds,
        "memory_mb": trial.memory_mb,
        "steps": trial.steps,
        "error": trial.error,
        "confirms": trial.confirms,
        "tags": list(trial.tags),
    }


def trials_text(
    trials: Sequence[TrialRecord],
    study: StudyRecord,
    form: str,
    metrics: Mapping[int, Mapping[str, float]] | None = None,
    more: tuple[Sequence[str], Sequence[Sequence[object]]] | None = None,
    columns: Sequence[str] | None = None,
) -> str:
    """Return trials in one of the formats; `more` is a header and cells, to go after the value.

    `columns` are those of a table, where they are chosen. The form "lines" is one trial for people,
    a name and a value on each line.
    """
    if form == "json":
        last = metrics or {}
        return json_text([trial_json(t, study, last.get(t.number)) for t in trials])
    if form == "args":
        return "\n".join(arguments(trial) for trial in trials)
    header = list(_header(trials, study) if columns is None else checked(columns, trials, study))
    of_column = _reader(study)
    rows = [[of_column(trial, name) for name in header] for trial in trials]
    if more is not None:
        after = 1 + header.index(next(iter(_goals(study))))
        header[after:after] = more[0]
        for row, cells in zip(rows, more[1], strict=True):
            row[after:after] = cells
    if form == "csv":
        return csv_text(header, rows)
    if form == "lines":
        return facts(zip(header, rows[0], strict=True))
    return table(header, rows, "github" if form == "markdown" else "simple")


def sorted_trials(
    trials: Sequence[TrialRecord], study: StudyRecord, column: str, *, descending: bool = False
) -> list[TrialRecord]:
    """Return trials in the order of a column of the table; those without a value come last."""
    checked([column], trials, study)
    of_column = _reader(study)
    found = {trial.number: of_column(trial, column) for trial in trials}
    with_value = [trial for trial in trials if found[trial.number] is not None]
    without = [trial for trial in trials if found[trial.number] is None]
    with_value.sort(key=lambda trial: _sort_key(found[trial.number]), reverse=descending)
    return with_value + without


def checked(
    columns: Sequence[str], trials: Sequence[TrialRecord], study: StudyRecord
) -> Sequence[str]:
    """Return names of columns; UsageError for one that no trial has."""
    results = dict.fromkeys(name for trial in trials for name in trial.values)
    own = (*_goals(study), *results, *_params(study))
    known = dict.fromkeys(("number", "state", *own, *_FACTS, _reason(study)))
    for name in columns:
        if name not in known:
            raise UsageError(f"there is no column {name!r}: use one of {', '.join(known)}")
    return columns


def _reader(study: StudyRecord) -> Callable[[TrialRecord, str], object]:
    """Return what reads a trial's column: a parameter, else an objective, a result or a fact."""
    params, goals, reason = _params(study), _goals(study), _reason(study)
    first = study.goals[0].name

    def of_column(trial: TrialRecord, name: str) -> object:
        if name in params:
            return (trial.params or {}).get(params[name])
        if name in goals:
            return trial.value if goals[name] == first else _goal(trial, goals[name])
        return trial.error if name == reason else _result(trial, name)

    return of_column


def _goal(trial: TrialRecord, name: str) -> object:
    measured: object = getattr(trial, name) if name in COSTS else None
    return trial.values.get(name, measured)


def _result(trial: TrialRecord, name: str) -> object:
    """Return a fact that is always shown, else a result, else another fact."""
    if name in {"number", "state"}:
        return "removed" if name == "state" and trial.removed else getattr(trial, name)
    if name in trial.values or name not in _ATTRIBUTES:
        return trial.values.get(name)
    if name == "tags":
        return " ".join(trial.tags) or None
    found: object = getattr(trial, name)
    return iso_time(found) if name in _TIMES and isinstance(found, float) else found


def _params(study: StudyRecord) -> dict[str, str]:
    """Return the parameters by their columns: `state_`, as in the view `trials`, for `state`."""
    return {f"{name}_" if name in _SHOWN else name: name for name in study.space.by_name}


def _goals(study: StudyRecord) -> dict[str, str]:
    """Return the objectives by their columns, none of which is a parameter's or a fact's."""
    taken = {*_params(study), *(_SHOWN - {*COSTS, "value", "error"})}
    first, *others = (goal.name for goal in study.goals)
    columns = {"value" if first in taken else first: first}
    for name in others:
        column = name
        while column in taken or column in columns:
            column += "_"
        columns[column] = name
    return columns


def _reason(study: StudyRecord) -> str:
    """Return the column of why trials failed."""
    return "failure" if "error" in _goals(study) else "error"


def check_detail_format(form: str) -> None:
    """Raise UsageError unless details can be written so."""
    if form not in {"table", "json"}:
        raise UsageError(f"there is no format {form!r} here: use table or json")


def json_text(value: object) -> str:
    """Return JSON for scripts, with control characters and lone surrogates written as escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return re.sub(_UNSAFE, lambda found: f"\\u{ord(found[0]):04x}", text)


def arguments(trial: TrialRecord) -> str:
    """Return a configuration as command-line arguments: `--lr 0.1 --momentum 0.9`."""
    import shlex

    return " ".join(
        f"--{name.replace('_', '-')} {shlex.quote(_plain(value))}"
        for name, value in (trial.params or {}).items()
    )


def table(header: Sequence[str], rows: Iterable[Sequence[object]], style: str = "simple") -> str:
    """Return a table for people; long texts are cut, and control characters left out."""
    from tabulate import tabulate

    cells = [[_cell(value) for value in row] for row in rows]
    numeric = [all(_is_number(row[i]) for row in cells) for i in range(len(header))]
    return tabulate(
        cells,
        headers=[clean(name) for name in header],
        tablefmt=style,
        disable_numparse=True,
        colalign=["right" if right else "left" for right in numeric] if cells else None,
    )


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Return names and values for people, one pair a line, without what has no value."""
    known = [(clean(name), number_text(value)) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in known), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in known)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return CSV; a text that a spreadsheet would take for a formula gets a quote before it."""
    import csv
    import io

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_csv_cell(name) for name in header])
    writer.writerows([_csv_cell(value) for value in row] for row in rows)
    return buffer.getvalue().rstrip("\n")


def iso_time(seconds: float | None) -> str | None:
    """Return a Unix time as ISO 8601 in UTC, to the millisecond."""
    if seconds is None:
        return None
    from datetime import UTC, datetime

    return (
        datetime.fromtimestamp(seconds, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def counted(count: int, noun: str) -> str:
    """Return "1 trial" or "2 trials"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def clean(text: str) -> str:
    """Return one line of text without the characters that could steer a terminal."""
    return text if text.isprintable() else re.sub(_CONTROL, "�", text).replace("\n", "⏎")


def clean_text(text: str) -> str:
    """Return lines of text without the characters that could steer a terminal, or colours."""
    plain = re.sub(_COLOUR, "", text).replace("\r\n", "\n").replace("\r", "\n").expandtabs()
    return "\n".join(re.sub(_CONTROL, "�", line) for line in plain.split("\n"))


def number_text(value: object) -> str:
    """Return a value for people: six digits are enough."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return clean(str(value))


def _header(trials: Sequence[TrialRecord], study: StudyRecord) -> list[str]:
    """Return the columns that trials have something in."""
    header = ["number", "state", *_goals(study), *_params(study)]
    header += [name for name in ("seconds",) if name not in header]
    header += ["confirms"] if any(trial.confirms is not None for trial in trials) else []
    header += [_reason(study)] if any(trial.error for trial in trials) else []
    return [*header, "tags"] if any(trial.tags for trial in trials) else header


def _cell(value: object) -> str:
    text = number_text(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True


def _csv_cell(value: object) -> object:
    if isinstance(value, str):
        text = clean(value)
        return f"'{text}" if re.match(_FORMULA, value) else text
    return repr(value) if isinstance(value, float) else value


def _plain(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _sort_key(value: object) -> tuple[str, object]:
    """Numbers before texts."""
    return ("", value) if isinstance(value, (int, float)) else ("text", str(value))


def finite(value: float) -> float | None:
    """Return a number as JSON can hold it: null for NaN and infinity."""
    return value if math.isfinite(value) else None


def notes_text(notes: Sequence[Note]) -> str:
    """Return the notes on a study or a trial, a line each."""
    lines = [f"  {iso_time(note.time)}  {clean(note.text)}" for note in notes]
    return "notes\n" + "\n".join(lines)


def notes_json(notes: Sequence[Note]) -> list[dict[str, object]]:
    """Return the same for scripts."""
    return [{"time": iso_time(note.time), "text": note.text} for note in notes]
