"""One trial, and a study's state, told to people."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from tinytune import environment, learn, notation, preference, process, savings, stopping
from tinytune.confirm import ranking
from tinytune.history import (
    STATES,
    AttemptRecord,
    Continuation,
    Cost,
    Decision,
    Goal,
    Note,
    Progress,
    RunningTrial,
    StudyRecord,
    TrialRecord,
)
from tinytune.output import confirm, versions
from tinytune.output.formats import (
    clean,
    counted,
    facts,
    finite,
    iso_time,
    number_text,
    table,
    trial_json,
)
from tinytune.output.progress import duration, sparkline
from tinytune.output.savings import unseen_json, unseen_texts
from tinytune.preference import Volume
from tinytune.referee import explained
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
        stopped = explained(study, decision)
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
        ("resumed", None if promotion is None else explained(study, promotion)),
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
        parts.append(_notes_text(notes))
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
        judged = {**decision._asdict(), "reason": explained(study, decision)}
    last = {name: curve[max(curve)] for name, curve in curves.items()}
    went_on = {each.attempt: {"step": each.step, "attempt": each.source} for each in continuations}
    return {
        **trial_json(trial, study, last),
        "decision": judged,
        "promotion": None if promotion is None else {
            **promotion._asdict(), "reason": explained(study, promotion),
        },
        "continued": went_on.get(trial.attempt),
        "traceback": trial.traceback,
        "notes": _notes_json(notes),
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


def at_work(reader: Reader, study: StudyRecord) -> str | None:
    """Return which search made the latest suggestion, and why, where it was chosen for the user."""
    if study.search.name != "auto":
        return None
    from tinytune.output import searches  # loads numpy

    return searches.at_work(reader.latest_search())


def status_json(reader: Reader, study: StudyRecord, progress: Progress) -> dict[str, Any]:
    """Return how a study stands, for scripts."""
    return {
        "study": str(reader.path),
        "objective": study.objective.label,
        "goals": [{"name": goal.name, "direction": goal.direction} for goal in study.goals],
        "search": {"name": study.search.name, "version": study.search.version,
                   "options": study.search.options, "at_work": at_work(reader, study)},
        "stopping": [vars(rule) for rule in study.stopping],
        "unseen": unseen_json(savings.unseen(reader)),
        "audit": study.audit,
        "repeats": study.repeats,
        "learned_from": [
            {"study": name, "trials": count} for name, count in learn.counts(study.lessons).items()
        ],
        "seed": study.seed,
        "settings": study.settings,
        "budget": progress.budget,
        "steps": progress.steps,
        "budget_steps": study.budget_steps,
        "subject_to": list(study.subject_to),
        "budget_seconds": study.budget_seconds,
        "counts": progress.counts,
        "run_again": {state: progress.repeats.get(state, 0) for state in STATES},
        "spent_seconds": progress.spent,
        "removed": progress.removed,
        "versions": versions.as_json(reader),
        "merged": versions.merged_json(reader),
        "notes": _notes_json(reader.notes()),
        "changes": [
            {"since": since, "study": name, "changes": changed}
            for since, name, changed in environment_changes(reader)
        ],
        "best": None if progress.best is None else trial_json(progress.best, study),
        "front": None if len(study.goals) == 1 else _front_json(reader, study),
        "running": [
            {
                "number": trial.token.number,
                "started": iso_time(trial.started),
                "host": trial.process.host,
                "pid": trial.pid,
                "alive": None if (dead := process.is_dead(trial.process)) is None else not dead,
            }
            for trial in reader.running()
        ],
    }  # fmt: skip


def status_text(reader: Reader, study: StudyRecord, progress: Progress) -> str:
    """Return how a study stands."""
    goal = study.goals[0]
    found = study.search.options.items()
    options = ", ".join(f"{name}={notation.exact(value)}" for name, value in found if value)
    counts = _counts_text(progress)
    budget = "without a limit" if progress.budget is None else f"of {progress.budget}"
    known: list[tuple[str, object]] = [
        ("study", reader.path),
        ("objective", f"{study.objective.label}: {goals_text(study)}"),
        ("subject to", " and ".join(study.subject_to) or None),
        ("search", f"{study.search.name}{f'({options})' if options else ''}, seed {study.seed}"),
        ("at work", at_work(reader, study)),
        ("stopping", stopping.text(study.stopping) or None),
        ("repeats", f"{study.repeats} runs in each trial" if study.repeats > 1 else None),
        ("learned from", learn.text(study.lessons) or None),
        (
            "settings",
            ", ".join(f"{k}={notation.exact(v)}" for k, v in study.settings.items()) or "none",
        ),
        ("trials", f"{progress.ended} {budget} ended ({counts or 'none yet'})"),
        ("steps", steps_text(progress, study)),
        ("time", spent_text(progress, study.budget_seconds)),
    ]
    if progress.repeats:
        again = ", ".join(f"{n} {state}" for state, n in progress.repeats.items() if n)
        total = sum(progress.repeats.values())
        known.append(("run again", f"{progress.repeats_ended} of {total} ended ({again})"))
    if progress.best is not None and len(study.goals) > 1:
        known += _front_facts(reader, study)
    elif progress.best is not None:
        known.append(("best", best_text(progress.best, goal)))
        if progress.repeats:
            mean = confirm.mean_text(ranking(reader, goal), progress.best)
            known.append(("confirmed", mean))
        known.append(("best so far", curve_text(reader, goal)))
    elif study.subject_to and progress.counts["complete"]:
        known.append(("best", "no trial meets what its results have to meet"))
    elif (failed := reader.last_failed()) is not None:
        known.append(("failed last", f"trial {failed.number}: {failed.error}"))
    text = facts(known)
    changes = environment_changes(reader)
    if changes:
        lines = [
            f"  since {since}{clean(f', in {name}') if name else ''}: {clean(changed)}"
            for since, name, changed in changes
        ]
        text += "\n\nnot as before\n" + "\n".join(lines)
    blind = unseen_texts(reader.path, savings.unseen(reader))
    text += "".join(f"\n\n{clean(each)}" for each in blind)
    text += _said(reader)
    running = reader.running()
    if running:
        rows = [_running_row(trial) for trial in running]
        text += "\n\n" + table(("running", "for", "host", "pid", "worker"), rows)
    if any(process.is_dead(trial.process) for trial in running):
        text += f"\n\nnext: tinytune resume {reader.path} runs again what dead workers held"
    return text


def _counts_text(progress: Progress) -> str:
    counts = ", ".join(f"{progress.counts[s]} {s}" for s in STATES if progress.counts[s])
    return counts + (f", {progress.removed} of them removed" if progress.removed else "")


def spent_text(progress: Progress, budget_seconds: float | None) -> str | None:
    """Return where the time of all attempts went: seconds and share of each ending."""
    total = sum(progress.spent.values())
    of = "" if budget_seconds is None else f" of {duration(budget_seconds)}"
    parts = ", ".join(
        f"{ending} {duration(seconds)} ({seconds / total:.0%})"
        for ending, seconds in progress.spent.items()
        if seconds
    )
    if not total and not of:
        return None
    return f"{duration(total)}{of}" + (f": {parts}" if parts else "")


def goals_text(study: StudyRecord) -> str:
    """Return what is sought: minimize error and seconds, maximize recall."""
    parts = []
    for direction in ("minimize", "maximize"):
        names = [goal.name for goal in study.goals if goal.direction == direction]
        if names:
            parts.append(f"{direction} {' and '.join(names)}")
    return ", ".join(parts)


def _front_json(reader: Reader, study: StudyRecord) -> dict[str, Any]:
    known = preference.volume(reader, study.goals, {})
    return {
        "trials": [trial.number for trial in preference.front_of(reader, study.goals)],
        "hypervolume": None if known is None else known.last,
        "reference": None if known is None else known.reference,
    }


def _front_facts(reader: Reader, study: StudyRecord) -> list[tuple[str, object]]:
    front = preference.front_of(reader, study.goals)
    known = preference.volume(reader, study.goals, {})
    found: list[tuple[str, object]] = [
        ("Pareto front", f"{counted(len(front), 'trial')}: tinytune best {reader.path}")
    ]
    for goal in study.goals:
        best = min(front, key=lambda trial: goal.small(trial.values[goal.name]))
        found.append((f"best {goal.name}", best_of(best, goal)))
    if known is not None:
        curve = f"0 {sparkline(known.values)} {number_text(known.last)}"
        found.append(("hypervolume", curve))
    return found


def best_of(trial: TrialRecord, goal: Goal) -> str:
    """Return a trial in a line: its value of an objective, and its parameters."""
    return best_text(trial._replace(value=trial.values[goal.name]), goal).removeprefix(
        f"{goal.name} "
    )


def volume_text(volume: Volume) -> str:
    """Return what a front is worth, and how that grew."""
    box = 1.0
    for name, worst in volume.reference.items():
        box *= abs(worst - volume.ideal[name])
    share = f" ({volume.last / box:.0%} of the box from the best of each)" if box else ""
    reference = ", ".join(f"{name} {number_text(v)}" for name, v in volume.reference.items())
    ideal = ", ".join(f"{name} {number_text(v)}" for name, v in volume.ideal.items())
    return facts(
        [
            ("hypervolume", f"{number_text(volume.last)}{share}"),
            ("reference", reference),
            ("best of each", ideal),
            ("over the trials", f"0 {sparkline(volume.values)} {number_text(volume.last)}"),
        ]
    )


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


def environment_changes(reader: Reader) -> list[tuple[str | None, str | None, str]]:
    """Return when workers began to run in something else, in which study, and what was new.

    The study is None, or the name of one that was merged into this one.
    """
    names = {part.start: part.name for part in reader.parts()}
    found = []
    for before, now in pairwise(reader.environments()):
        if before.part != now.part:
            continue
        changed = environment.changes(before.known, now.known)
        if changed:
            name = None if now.part is None else names.get(now.part)
            found.append((iso_time(now.first), name, "; ".join(changed)))
    return found


def _said(reader: Reader) -> str:
    """Return how people have changed a study, and what they have noted about it."""
    text, changed, notes = "", versions.texts(reader), reader.notes()
    if changed:
        text += "\n\nchanged\n" + "\n".join(f"  {since}  {clean(what)}" for since, what in changed)
    return text + ("\n\n" + _notes_text(notes) if notes else "")


def _notes_text(notes: Sequence[Note]) -> str:
    lines = [f"  {iso_time(note.time)}  {clean(note.text)}" for note in notes]
    return "notes\n" + "\n".join(lines)


def _notes_json(notes: Sequence[Note]) -> list[dict[str, object]]:
    return [{"time": iso_time(note.time), "text": note.text} for note in notes]


def _running_row(trial: RunningTrial) -> tuple[object, ...]:
    dead = process.is_dead(trial.process)
    state = {True: "dead", False: "alive", None: "unknown, on another host"}[dead]
    if trial.process == process.BY_HAND:
        state = "asked for by hand"
    took = duration(max(0.0, time.time() - trial.started))
    return trial.token.number, took, trial.process.host, trial.pid, state


def steps_text(progress: Progress, study: StudyRecord) -> str | None:
    """Return how many steps were reported, None where none were and none are asked for."""
    if study.budget_steps is not None:
        return f"{progress.steps:,} of {study.budget_steps:,} reported"
    return f"{progress.steps:,} reported" if progress.steps else None


def best_text(best: TrialRecord, goal: Goal) -> str:
    """Return a trial in a line: its value and its parameters."""
    params = ", ".join(
        f"{name}={number_text(value)}" for name, value in (best.params or {}).items()
    )
    return f"{goal.name} {number_text(best.value)} in trial {best.number}: {params}"


def curve_text(reader: Reader, goal: Goal) -> str:
    """Return the best so far, trial by trial, as a row of bars."""
    best = reader.best_so_far(goal)
    if not best:
        return ""
    return f"{number_text(best[0])} {sparkline(best)} {number_text(best[-1])}"


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
        return clean(notation.exact(value))
    return clean(repr(value) if isinstance(value, float) else str(value))


def _clean_lines(text: str) -> str:
    return "\n".join(map(clean, text.rstrip().splitlines()))
