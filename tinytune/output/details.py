"""One trial, told to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinytune.history import (
    AttemptRecord,
    Continuation,
    Cost,
    Decision,
    Note,
    StudyRecord,
    TrialRecord,
)
from tinytune.output import versions
from tinytune.output.formats import (
    clean,
    counted,
    facts,
    finite,
    iso_time,
    notes_json,
    notes_text,
    table,
    trial_json,
)
from tinytune.output.progress import duration
from tinytune.store.reader import Reader

Curves = Mapping[str, Mapping[int, float]]


def known_of(
    reader: Reader, trial: TrialRecord
) -> tuple[
    list[AttemptRecord],
    Curves,
    Decision | None,
    list[Continuation],
    Decision | None,
    list[Note],
    tuple[str, int] | None,
]:
    """Return what is known of a trial beside its record, in the order that is shown."""
    return (
        reader.attempts(trial.number),
        reader.curves(trial),
        reader.decision_of(trial),
        reader.continuations(trial.number),
        reader.promotion_of(trial),
        reader.notes(trial.number),
        versions.source(reader, trial.number),
    )


def trial_details(
    trial: TrialRecord,
    study: StudyRecord,
    attempts: Sequence[AttemptRecord],
    curves: Curves,
    decision: Decision | None = None,
    continuations: Sequence[Continuation] = (),
    promotion: Decision | None = None,
    notes: Sequence[Note] = (),
    merged: tuple[str, int] | None = None,
) -> str:
    """Return everything that is known of a trial."""
    goal = study.goals[0]
    stopped = None
    if decision is not None:
        stopped = _explained(study, decision)
        stopped += "; the audit let it run on" if decision.verdict == "spared" else ""
    went_on = {each.attempt: _from(each) for each in continuations}
    # The trial's own count begins anew when it gets on.
    died = max(trial.deaths, sum(a.ending == "died" for a in attempts))
    known: list[tuple[str, object]] = [
        ("trial", trial.number),
        ("state", f"{trial.state} (removed)" if trial.removed else trial.state),
        ("origin", f"{trial.origin} ({trial.search})"),
        ("merged", None if merged is None else f"trial {merged[1]} of {merged[0]}"),
        ("confirms", None if trial.confirms is None else f"trial {trial.confirms}"),
        (goal.name, trial.value),
        *((name, value) for name, value in trial.values.items() if name != goal.name),
        ("started", iso_time(trial.started)),
        ("finished", iso_time(trial.finished)),
        ("took", cost_text(Cost(trial.seconds, trial.cpu_seconds, trial.memory_mb, trial.steps))),
        ("attempt", f"{trial.attempt}" + (f" ({died} died)" if died else "")),
        ("continued", went_on.get(trial.attempt)),
        ("seed", trial.seed),
        ("resumed", None if promotion is None else _explained(study, promotion)),
        ("paused" if decision is not None and decision.verdict == "pause" else "stopped", stopped),
        ("error", trial.error),
        ("tags", ", ".join(trial.tags) or None),
    ]
    parts = [
        facts(known),
        "params\n" + _indented(trial.params),
    ]
    if study.settings:
        parts.append("settings\n" + _indented(study.settings))
    if attempts:
        rows = [
            (
                a.attempt,
                a.worker,
                iso_time(a.started),
                cost_text(a.cost) or duration(a.ended - a.started),
                f"{a.ending}: {a.error}" if a.error else a.ending,
                *([went_on.get(a.attempt)] if went_on else []),
            )
            for a in attempts
        ]
        header = ["attempt", "worker", "started", "after", "ending"]
        header += ["continued"] if went_on else []
        parts.append("earlier attempts\n" + table(header, rows))
    if curves:
        parts.append("curves\n" + _curve_table(curves))
    if notes:
        parts.append(notes_text(notes))
    if trial.traceback:
        parts.append(_clean_lines(trial.traceback))
    return "\n\n".join(parts)


def trial_details_json(
    trial: TrialRecord,
    study: StudyRecord,
    attempts: Sequence[AttemptRecord],
    curves: Curves,
    decision: Decision | None = None,
    continuations: Sequence[Continuation] = (),
    promotion: Decision | None = None,
    notes: Sequence[Note] = (),
    merged: tuple[str, int] | None = None,
) -> dict[str, Any]:
    """Return everything that is known of a trial, for scripts."""
    judged = None
    if decision is not None:
        judged = {**decision._asdict(), "reason": _explained(study, decision)}
    last = {name: curve[max(curve)] for name, curve in curves.items()}
    went_on = {each.attempt: {"step": each.step, "attempt": each.source} for each in continuations}
    return {
        **trial_json(trial, study, last),
        "decision": judged,
        "promotion": None if promotion is None else {
            **promotion._asdict(), "reason": _explained(study, promotion),
        },
        "continued": went_on.get(trial.attempt),
        "traceback": trial.traceback,
        "notes": notes_json(notes),
        "merged": None if merged is None else {"study": merged[0], "number": merged[1]},
        "attempts": [
            {
                "attempt": a.attempt,
                "worker": a.worker,
                "started": iso_time(a.started),
                "ended": iso_time(a.ended),
                "ending": a.ending,
                **a.cost._asdict(),
                "error": a.error,
                "continued": went_on.get(a.attempt),
            }
            for a in attempts
        ],
        "curves": {
            name: [{"step": step, "value": finite(value)} for step, value in curve.items()]
            for name, curve in curves.items()
        },
    }  # fmt: skip


def _from(went_on: Continuation) -> str:
    """Return where an attempt went on."""
    step = "before the first step" if went_on.step is None else f"step {went_on.step}"
    return f"from {step} of attempt {went_on.source}"


def _explained(study: StudyRecord, decision: Decision) -> str:
    from tinytune.referee import explained

    return explained(study, decision)


def cost_text(cost: Cost) -> str | None:
    """Return what an attempt took, as far as it is known."""
    parts = [] if cost.seconds is None else [_brief(cost.seconds)]
    if cost.cpu_seconds is not None:
        parts.append(f"{_brief(cost.cpu_seconds)} of processor time")
    if cost.memory_mb is not None:
        parts.append(f"{cost.memory_mb:,.0f} MB at most")
    if cost.steps is not None:
        parts.append(counted(cost.steps, "step"))
    return ", ".join(parts) or None


def _brief(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 0.1 else duration(seconds)


def _curve_table(curves: Curves) -> str:
    steps = sorted({step for curve in curves.values() for step in curve})
    rows = [(step, *(curve.get(step) for curve in curves.values())) for step in steps]
    return table(("step", *curves), rows)


def _indented(values: Mapping[str, object] | None) -> str:
    if not values:
        return "  none yet" if values is None else "  none"
    width = max(map(len, values))
    return "\n".join(f"  {clean(name):<{width}}  {_shown(value)}" for name, value in values.items())


def _shown(value: object) -> str:
    """Parameters are shown with all digits, to be copied; settings may be lists and mappings."""
    if isinstance(value, (list, dict)):
        from tinytune import notation

        return clean(notation.exact(value))
    return clean(repr(value) if isinstance(value, float) else str(value))


def _clean_lines(text: str) -> str:
    return "\n".join(map(clean, text.rstrip().splitlines()))
