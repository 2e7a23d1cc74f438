"""How a study stands, told to people."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tinytune import process
from tinytune.confirm import ranking
from tinytune.files import typed
from tinytune.history import (
    STATES,
    Goal,
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
    iso_time,
    notes_json,
    notes_text,
    number_text,
    table,
    trial_json,
)
from tinytune.output.progress import duration, sparkline
from tinytune.store.reader import Reader

if TYPE_CHECKING:
    from tinytune.preference import Volume

NONE_MEETS = "no trial meets what its results have to meet"


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
        "stopping": [rule._asdict() for rule in study.stopping],
        "unseen": _unseen_json(reader, study),
        "audit": study.audit,
        "repeats": study.repeats,
        "learned_from": [
            {"study": name, "trials": count} for name, count in study.learned_from.items()
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
        "notes": notes_json(reader.notes()),
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
    options = _written({k: v for k, v in study.search.options.items() if v})
    counts, lessons = _counts_text(progress), study.learned_from.items()
    ended = "ended, without a limit" if progress.budget is None else f"of {progress.budget} ended"
    known: list[tuple[str, object]] = [
        ("study", reader.path),
        ("objective", f"{study.objective.label}: {goals_text(study)}"),
        ("subject to", " and ".join(study.subject_to) or None),
        ("search", f"{study.search.name}{f'({options})' if options else ''}, seed {study.seed}"),
        ("at work", at_work(reader, study)),
        ("stopping", _stopping_text(study)),
        ("repeats", f"{study.repeats} runs in each trial" if study.repeats > 1 else None),
        ("learned from", ", ".join(f"{n} trials of {of}" for of, n in lessons) or None),
        (
            "settings",
            _written(study.settings) or "none",
        ),
        ("trials", f"{progress.ended} {ended} ({counts or 'none yet'})"),
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
        known.append(("best", NONE_MEETS))
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
    text += _unseen_text(reader, study)
    text += _said(reader)
    running = reader.running()
    if running:
        rows = [_running_row(trial) for trial in running]
        text += "\n\n" + table(("running", "for", "host", "pid", "worker"), rows)
    if any(process.is_dead(trial.process) for trial in running):
        text += f"\n\nnext: tinytune resume {typed(reader.path)} runs again what dead workers held"
    return text


def _stopping_text(study: StudyRecord) -> str | None:
    if not study.stopping:
        return None
    from tinytune import stopping

    return stopping.text(study.stopping)


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
    from tinytune import preference

    known = preference.volume(reader, study.goals, {})
    return {
        "trials": [trial.number for trial in preference.front_of(reader, study.goals)],
        "hypervolume": None if known is None else known.last,
        "reference": None if known is None else known.reference,
    }


def _front_facts(reader: Reader, study: StudyRecord) -> list[tuple[str, object]]:
    from tinytune import preference

    front = preference.front_of(reader, study.goals)
    known = preference.volume(reader, study.goals, {})
    found: list[tuple[str, object]] = [
        ("Pareto front", f"{counted(len(front), 'trial')}: tinytune best {typed(reader.path)}")
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


def _written(options: Mapping[str, object]) -> str:
    """Return options as they are written on the command line."""
    if not options:
        return ""
    from tinytune import notation

    return ", ".join(f"{name}={notation.exact(value)}" for name, value in options.items())


def _unseen_json(reader: Reader, study: StudyRecord) -> list[dict[str, Any]]:
    """Return the rules whose metric no trial has reported."""
    if not study.stopping:
        return []
    from tinytune import savings
    from tinytune.output.savings import unseen_json

    return unseen_json(savings.unseen(reader))


def _unseen_text(reader: Reader, study: StudyRecord) -> str:
    """Return the same as paragraphs, nothing where there are none."""
    if not study.stopping:
        return ""
    from tinytune import savings
    from tinytune.output.savings import unseen_texts

    found = unseen_texts(reader.path, savings.unseen(reader))
    return "".join(f"\n\n{clean(each)}" for each in found)


def environment_changes(reader: Reader) -> list[tuple[str | None, str | None, str]]:
    """Return when workers began to run in something else, in which study, and what was new.

    The study is None, or the name of one that was merged into this one.
    """
    names = {part.start: part.name for part in reader.parts()}
    found = []
    for before, now in pairwise(reader.environments()):
        if before.part != now.part:
            continue
        from tinytune import environment

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
    return text + ("\n\n" + notes_text(notes) if notes else "")


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
