"""What running the best configurations again has shown, for people and for scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinytune.confirm import LEVEL, Confirmed, Ranking, comparisons
from tinytune.errors import UsageError
from tinytune.files import typed
from tinytune.history import StudyRecord, TrialRecord
from tinytune.output.formats import (
    Format,
    clean,
    counted,
    csv_text,
    finite,
    number_text,
    table,
    trial_json,
    trials_text,
)

FORMATS = ("table", "json", "csv")


def check_format(form: str) -> None:
    """Raise UsageError unless a ranking can be written so."""
    if form not in FORMATS:
        raise UsageError(f"there is no format {form!r} here: use {', '.join(FORMATS)}")


def ranking_text(found: Ranking) -> str:
    """Return the ranking as a table, and in plain sentences what it says."""
    name = found.goal.name
    header = [
        "rank",
        "trial",
        f"mean {name}",
        "±",
        "runs",
        f"first {name}",
        "optimism",
        "behind",
        "± ",
    ]
    failed = any(row.failed for row in found.rows)
    rows = [_row(place, row, failed=failed) for place, row in enumerate(found.rows, start=1)]
    if failed:
        header.insert(5, "failed")
    return "\n".join([table(header, rows), "", *sentences(found)])


def sentences(found: Ranking) -> list[str]:
    """Return what the ranking says."""
    said = []
    if found.left:
        said.append(f"{counted(found.left, 'run')} left: give the same command again")
    if not found.ranked:
        return [*said, "no configuration has two complete runs yet: nothing can be said"]
    if not found.is_noisy:
        return [*said, "every run of a configuration gave the same value: no lead is luck"]
    return [*said, *_lead(found), *_curse(found), *_method(found)]


def ranking_json(found: Ranking) -> dict[str, Any]:
    """Return the ranking for scripts."""
    return {
        "goal": {"name": found.goal.name, "direction": found.goal.direction},
        "level": LEVEL,
        "left": found.left,
        "sentences": sentences(found),
        "configurations": [
            {
                **_numbers(place, row),
                "params": row.trial.params,
                "values": list(row.values.values()),
            }
            for place, row in enumerate(found.rows, start=1)
        ],
    }


def ranking_csv(found: Ranking) -> str:
    """Return the ranking as CSV."""
    names = list(dict.fromkeys(name for row in found.rows for name in row.trial.params or {}))
    rows = [_numbers(place, row) for place, row in enumerate(found.rows, start=1)]
    header = [*(rows[0] if rows else ()), *names]
    cells = [
        [*numbers.values(), *((row.trial.params or {}).get(name) for name in names)]
        for numbers, row in zip(rows, found.rows, strict=True)
    ]
    return csv_text(header, cells)


def best_json(
    trials: Sequence[TrialRecord],
    study: StudyRecord,
    metrics: Mapping[int, Mapping[str, float]],
    found: Ranking,
) -> list[dict[str, Any]]:
    """Return the best trials for scripts, each with what its new runs have shown."""
    rows = {row.trial.number: row for row in found.rows}
    return [
        {
            **trial_json(trial, study, metrics.get(trial.number)),
            "confirmed": _confirmed_json(rows[trial.number]) if trial.number in rows else None,
        }
        for trial in trials
    ]


def best_text(trials: Sequence[TrialRecord], study: StudyRecord, form: str, found: Ranking) -> str:
    """Return the best trials as `trials_text` does, with what running them again has shown."""
    rows = {row.trial.number: row for row in found.ranked}
    if not any(trial.number in rows for trial in trials):
        return trials_text(trials, study, form)
    is_csv = form == Format.CSV
    cells: list[list[object]] = []
    for trial in trials:
        row = rows.get(trial.number)
        mean = None if row is None else row.mean
        margin = None if mean is None or mean.margin is None else mean.margin
        count = None if row is None else len(row.values)
        cells.append([mean and mean.mean, margin if is_csv else _short(margin), count])
    name = found.goal.name
    more = (f"mean {name}", "margin" if is_csv else "±", "runs")
    return trials_text(trials, study, form, more=(more, cells))


def mean_text(found: Ranking, trial: TrialRecord) -> str | None:
    """Return in words what running a trial's configuration again gave; None where it was not."""
    for row in found.ranked:
        if row.trial.number == trial.number and row.mean is not None:
            value = f"{number_text(row.mean.mean)} ± {_short(row.mean.margin)}"
            return f"{found.goal.name} {value} in {len(row.values)} new runs"
    return None


def remark(path: Path, doubt: str, found: Ranking, *, is_shown: bool) -> str:
    """Return what to say beside the best trial: that it may owe its place to luck.

    Where there is no sign of noise it is a hint, for those who sit at a terminal.
    """
    command = f"tinytune confirm {typed(path)}"
    if found.left:
        return f"{counted(found.left, 'run')} that would confirm it left: {command}"
    if doubt:
        return f"{clean(doubt)}: {command}"
    if is_shown and not found.rows:
        return f"one run only; if the objective is noisy: {command}"
    return ""


def _confirmed_json(row: Confirmed) -> dict[str, Any]:
    numbers = _numbers(0, row)
    known = ("mean", "margin", "deviation", "standard_error", "runs", "failed", "optimism")
    return {name: numbers[name] for name in known}


def _numbers(place: int, row: Confirmed) -> dict[str, Any]:
    mean, gap = row.mean, row.gap
    found = {
        "rank": place,
        "trial": row.trial.number,
        "mean": None if mean is None else mean.mean,
        "margin": None if mean is None else mean.margin,
        "deviation": None if mean is None else mean.deviation,
        "standard_error": None if mean is None else mean.error,
        "runs": len(row.values),
        "failed": row.failed,
        "left": row.left,
        "first_value": row.trial.value,
        "optimism": row.optimism,
        "behind": None if gap is None else gap.difference,
        "behind_margin": None if gap is None else gap.margin,
        "pairs": None if gap is None else gap.pairs,
        "tie": None if gap is None else gap.is_tie,
    }
    return {n: finite(value) if isinstance(value, float) else value for n, value in found.items()}


def _row(place: int, row: Confirmed, *, failed: bool) -> list[object]:
    mean, gap = row.mean, row.gap
    margin = None if mean is None else mean.margin
    cells: list[object] = [
        place if row.counts else "",
        row.trial.number,
        None if mean is None else mean.mean,
        _short(margin),
        len(row.values),
        row.trial.value,
        _short(row.optimism),
        _short(None if gap is None else gap.difference),
        _short(None if gap is None else gap.margin),
    ]
    if failed:
        cells.insert(5, row.failed)
    return cells


def _lead(found: Ranking) -> list[str]:
    """Say whether the first one leads for sure, and over whom it does not."""
    leader, *others = found.ranked
    number = leader.trial.number
    compared = [row for row in others if row.gap is not None]
    if not compared:
        return [f"trial {number} stands alone: nothing to compare it with"]
    ties = [row for row in compared if row.gap is not None and row.gap.is_tie]
    said = []
    second = compared[0]
    if second.gap is not None:
        by = f"{_short(second.gap.difference)} ± {_short(second.gap.margin)}"
        tied = "a tie" if second.gap.is_tie else "more than luck"
        said.append(f"trial {number} leads trial {second.trial.number} by {by}: {tied}")
    further = [str(row.trial.number) for row in ties if row is not second]
    if further:
        noun = "trial" if len(further) == 1 else "trials"
        said.append(f"its leads over {noun} {', '.join(further)} may be luck as well")
    return said


def _curse(found: Ranking) -> list[str]:
    """Say what became of the configuration that the single values would have chosen."""
    first = found.first_choice
    if first.mean is None or first.optimism is None:
        return []
    margin = "" if first.mean.margin is None else f" ± {_short(first.mean.margin)}"
    looked = "better" if first.optimism >= 0 else "worse"
    ranks = [row.trial.number for row in found.ranked]
    place = f", rank {ranks.index(first.trial.number) + 1} of {len(ranks)}" if first.counts else ""
    said = (
        f"trial {first.trial.number} had the best first value, {number_text(first.trial.value)}; "
        f"run again it has {number_text(first.mean.mean)}{margin}{place}: "
        f"it had looked {_short(abs(first.optimism))} {looked} than that"
    )
    return [said]


def _method(found: Ranking) -> list[str]:
    compared = sum(row.gap is not None for row in found.rows) + 1
    text = f"± is {LEVEL:.0%}: of a mean by Student's t"
    if compared > 1:
        text += "; of a difference by Student's t of pairs of runs that share a seed"
    if compared > 2:
        text += f", for all {comparisons(compared)} differences together"
    return [text]


def _short(value: float | None) -> str:
    """Return a difference or a margin: two digits are enough."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return "unknown"
    return f"{float(f'{value:.2g}'):g}"  # 570, not 5.7e+02
