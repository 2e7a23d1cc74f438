"""How two studies differ, in words."""

from __future__ import annotations

from collections.abc import Mapping

from tinytune import notation, stopping
from tinytune.history import StudyRecord
from tinytune.space import Space


def differences(found: StudyRecord, wanted: StudyRecord) -> list[str]:
    """Return in words how two studies differ; an empty list if they are the same."""
    return [f"{what} is {a} there and {b} here" for what, a, b in contrasts(found, wanted)]


def contrasts(found: StudyRecord, wanted: StudyRecord) -> list[tuple[str, object, object]]:
    """Return what differs between two studies, and what it is in each."""
    pairs: list[tuple[str, object, object]] = [
        ("search", _search_text(found), _search_text(wanted)),
        ("seed", found.seed, wanted.seed),
        ("objective", _goal_text(found), _goal_text(wanted)),
        ("repeats", found.repeats, wanted.repeats),
        ("what results have to meet", _required(found), _required(wanted)),
        ("start from the defaults", found.use_defaults, wanted.use_defaults),
        ("stopping", _stopping(found), _stopping(wanted)),
        ("what it learned from", _lessons(found), _lessons(wanted)),
    ]
    pairs += _named("parameter", _parameters(found.space), _parameters(wanted.space))
    pairs += _named("setting", _settings(found), _settings(wanted))
    pairs.append(("command", _command_text(found), _command_text(wanted)))
    pairs.append(("constraints", _constraints(found.space), _constraints(wanted.space)))
    return [(what, a, b) for what, a, b in pairs if a != b]


def _named(
    kind: str, found: Mapping[str, str], wanted: Mapping[str, str]
) -> list[tuple[str, object, object]]:
    names = [*found, *(name for name in wanted if name not in found)]
    return [
        (f"{kind} {name!r}", found.get(name, "missing"), wanted.get(name, "missing"))
        for name in names
    ]


def _parameters(space: Space) -> dict[str, str]:
    return {parameter.name: notation.written(parameter) for parameter in space.parameters}


def _settings(record: StudyRecord) -> dict[str, str]:
    """Return settings as `--set` takes them."""
    return {name: notation.exact(value) for name, value in record.settings.items()}


def _constraints(space: Space) -> str:
    return " and ".join(constraint.text for constraint in space.constraints) or "none"


def _stopping(record: StudyRecord) -> str:
    text = stopping.text(record.stopping) or "none"
    return f"{text}, audit {record.audit:g}" if record.audit else text


def _lessons(record: StudyRecord) -> str:
    found = record.learned_from.items()
    return ", ".join(f"{count} trials of {study}" for study, count in found) or "nothing"


def _goal_text(record: StudyRecord) -> str:
    return ", ".join(f"{goal.direction} {goal.name}" for goal in record.goals)


def _required(record: StudyRecord) -> str:
    return " and ".join(record.subject_to) or "nothing"


def _command_text(record: StudyRecord) -> str:
    """Return the command and how its results are read; nothing for a function."""
    command = record.objective.command
    if command is None:
        return "none"
    return " ".join([record.objective.label, *(f"--metric {text!r}" for text in command.metrics)])


def _search_text(record: StudyRecord) -> str:
    found = sorted(record.search.options.items())
    options = ", ".join(f"{name}={notation.exact(value)}" for name, value in found)
    return f"{record.search.name}({options})"
