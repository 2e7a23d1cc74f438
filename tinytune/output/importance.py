"""What mattered in a study, told to people and to scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinytune.importance.advice import shown
from tinytune.importance.measure import Estimate, Importance, Measured
from tinytune.importance.reading import Question
from tinytune.output.formats import ListFormat, clean, counted, csv_text, table

_NAMES = {"ped-anova": "PED-ANOVA", "fanova": "fANOVA"}
_MOST_PAIRS = 10  # in the table
_HEADER = ("parameter", "importance", "low", "high", "chance", "trials", "distinct", "possible",
           "best", "region_low", "region_high")  # fmt: skip


def json_of(question: Question, found: Measured) -> dict[str, Any]:
    """Return it for scripts."""
    return {
        "metric": question.metric,
        "direction": question.direction,
        "step": question.step,
        "method": found.method,
        "trials": found.trials,
        "stopped": found.stopped,
        "paused": found.paused,
        "failed": found.failed,
        "left_out": found.left_out,
        "top": found.top,
        "effective_dimension": found.effective,
        "fit": found.fit,
        "advice": list(found.advice),
        "parameters": [_parameter_json(each) for each in found.parameters],
        "pairs": [
            {"parameters": list(pair.names), **_estimate_json(pair.estimate)}
            for pair in found.pairs
        ],
    }


def csv_of(found: Measured) -> str:
    """Return the parameters as CSV."""
    rows = []
    for each in found.parameters:
        estimate = _estimate_json(each.estimate)
        region = (None, None) if each.region is None else (each.region.low, each.region.high)
        rows.append([each.name, *estimate.values(), each.chance, each.trials, each.distinct,
                     each.possible, each.best, *region])  # fmt: skip
    return csv_text(_HEADER, rows)


def csv_of_pairs(found: Measured) -> str:
    """Return the pairs as CSV."""
    rows = [[*pair.names, *_estimate_json(pair.estimate).values()] for pair in found.pairs]
    return csv_text(("first", "second", "importance", "low", "high"), rows)


def text_of(
    question: Question, found: Measured, *, pairs: bool = False, form: ListFormat = ListFormat.TABLE
) -> str:
    """Return it for people: a table, and what to do in sentences."""
    parts = [_headline(question, found), _table(found, form)]
    if pairs:
        parts.append(_pairs(found, form))
    dimension = f"{found.effective:.1f} of {len(found.parameters)}"
    known = sum(each.estimate is not None for each in found.parameters)
    sentences = [f"effective dimension {dimension}" if known > 1 else "", *found.advice]
    sentences += [sentence for each in found.parameters for sentence in each.advice]
    parts.append("\n".join(f"- {clean(sentence)}" for sentence in sentences if sentence))
    return "\n\n".join(part for part in parts if part)


def text_by_step(
    answers: Sequence[tuple[Question, Measured]], form: ListFormat = ListFormat.TABLE
) -> str:
    """Return the importances at several steps side by side."""
    header, rows = by_step(answers)
    question, first = answers[0]
    title = (
        f"what mattered for {clean(question.metric)} ({_good(question)}) at each step, "
        f"by {_NAMES[first.method]}"
    )
    counts = ", ".join(f"{found.trials} at step {asked.step}" for asked, found in answers)
    style = "github" if form == ListFormat.MARKDOWN else "simple"
    return f"{title}\n\n{table(header, rows, style)}\n\ntrials that came so far: {counts}"


def by_step(
    answers: Sequence[tuple[Question, Measured]],
) -> tuple[list[str], list[list[object]]]:
    """Return parameters and steps as header and rows, what matters most in the end first."""
    shares: list[Mapping[str, Estimate | None]] = [
        {each.name: each.estimate for each in found.parameters} for _, found in answers
    ]
    header = ["parameter", *(f"step {question.step}" for question, _ in answers)]
    names = [each.name for each in answers[-1][1].parameters]
    return header, [[name, *(_share(at[name]) for at in shares)] for name in names]


def _headline(question: Question, found: Measured) -> str:
    at = "" if question.step is None else f" at step {question.step}"
    trials = counted(found.trials, "trial")
    inside = [f"{found.stopped} stopped (their last value)" if found.stopped else "",
              f"{found.paused} paused (their last value)" if found.paused else "",
              f"{found.failed} failed (as the worst)" if found.failed else ""]  # fmt: skip
    among = ", ".join(filter(None, inside))
    said = f"{trials}{f', of them {among}' if among else ''}; the best {found.top}"
    if found.left_out:
        said += f"; {found.left_out} without such a number left out"
    if found.fit is not None:
        said += f"; the forest explains {max(found.fit, 0.0):.0%} of unseen trials"
    name = clean(question.metric)
    return f"what mattered for {name}{at} ({_good(question)}), by {_NAMES[found.method]}\n{said}"


def _good(question: Question) -> str:
    return f"{'small' if question.direction == 'minimize' else 'large'} is good"


def _table(found: Measured, form: ListFormat) -> str:
    partly = any(each.trials < found.trials for each in found.parameters)
    header = ["parameter", "importance", "interval", "values tried", "the best trials", "the best"]
    if partly:
        header.insert(3, "active in")
    if found.method == "ped-anova":
        header.insert(3, "by chance")
    rows = []
    for each in found.parameters:
        row: list[object] = [each.name, _share(each.estimate), _interval(each.estimate),
                             _tried(each), _region(each), "" if each.best is None
                             else shown(each.best)]  # fmt: skip
        if partly:
            row.insert(3, each.trials)
        if found.method == "ped-anova":
            row.insert(3, "" if each.chance is None else f"to {each.chance:.2f}")
        rows.append(row)
    return table(header, rows, "github" if form == ListFormat.MARKDOWN else "simple")


def _pairs(found: Measured, form: ListFormat) -> str:
    rows = [
        (
            f"{pair.names[0]} \N{MULTIPLICATION SIGN} {pair.names[1]}",
            _share(pair.estimate),
            _interval(pair.estimate),
        )
        for pair in found.pairs[:_MOST_PAIRS]
    ]
    style = "github" if form == ListFormat.MARKDOWN else "simple"
    shown_pairs = table(("only together", "importance", "interval"), rows, style) if rows else ""
    more = len(found.pairs) - _MOST_PAIRS
    return f"{shown_pairs}\nand {more} more" if more > 0 else shown_pairs


def _share(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{estimate.share:.2f}"


def _interval(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{estimate.low:.2f} to {estimate.high:.2f}"


def _tried(each: Importance) -> str:
    return f"{each.distinct}" if each.possible is None else f"{each.distinct} of {each.possible}"


def _region(each: Importance) -> str:
    region = each.region
    if region is None:
        return ""
    if not region.options:
        same = region.low == region.high
        return shown(region.low) if same else f"{shown(region.low)} to {shown(region.high)}"
    return ", ".join(f"{shown(value)} ({count})" for value, count in region.usual)


def _estimate_json(estimate: Estimate | None) -> dict[str, float | None]:
    if estimate is None:
        return {"importance": None, "low": None, "high": None}
    return {"importance": estimate.share, "low": estimate.low, "high": estimate.high}


def _parameter_json(each: Importance) -> dict[str, Any]:
    region = each.region
    lies = None
    if region is not None and region.options:
        options = [{"value": value, "trials": count} for value, count in region.options]
        lies = {"trials": region.count, "options": options}
    elif region is not None:
        lies = {"trials": region.count, "low": region.low, "high": region.high}
    return {
        "name": each.name,
        **_estimate_json(each.estimate),
        "chance": each.chance,
        "may_be_chance": each.may_be_chance,
        "trials": each.trials,
        "distinct": each.distinct,
        "possible": each.possible,
        "best": each.best,
        "region": lies,
        "advice": list(each.advice),
    }
