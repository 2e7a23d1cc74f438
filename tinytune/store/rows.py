"""Rows become records; since anybody may have written the file, everything in them is checked.

Each function raises ValueError, with what is wrong, for a row that tinytune cannot have written.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, cast

from tinytune.draw import SEED_LIMIT
from tinytune.history import (
    STATES,
    AttemptRecord,
    Checkpoint,
    Command,
    Continuation,
    Decision,
    Environment,
    Finished,
    Goal,
    Lesson,
    ObjectiveReference,
    Output,
    Pending,
    RuleSpec,
    RunningTrial,
    SearchSpec,
    State,
    StudyRecord,
    Token,
    TrialRecord,
)
from tinytune.process import Identity
from tinytune.space import Space

LONGEST_NAME = 4096  # characters of a name or a path
LATEST = 253_402_300_799.0  # the end of the year 9999, Unix seconds
_INTEGER_LIMIT = 1 << 62  # ticks and numbers stay far below what SQLite can count to
_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,16})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DOTTED = re.compile(r"[^\W\d]\w*(\.([^\W\d]\w*|<locals>))*")


def study(row: Sequence[Any]) -> StudyRecord:
    """Return the study's row as a record."""
    space, search, goals, settings, seed, defaults, budget, objective, *others = row
    source, created, copied, stopping, steps, repeats = others
    rules, audit = _stopping(stopping)
    found = _object(objective)
    return StudyRecord(
        Space.from_json(_text(space)),
        _search(_object(search)),
        _goals(document(goals)),
        _object(settings),
        _whole(seed, 0, SEED_LIMIT),
        bool(_whole(defaults, 0, 2)),
        None if budget is None else _whole(budget),
        ObjectiveReference(
            _name(found.get("function")),
            None if found.get("module") is None else _name(found["module"]),
            _path(found.get("beside_study")),
            _path(found.get("from_cwd")),
            None if found.get("command") is None else _command(_mapping(found["command"])),
        ),
        None if source is None else _text(source),
        time(created),
        None if copied is None else _texts(_object(copied)),
        stopping=rules,
        audit=audit,
        budget_steps=None if steps is None else _whole(steps),
        repeats=_whole(repeats, 1),
    )


def _stopping(text: object) -> tuple[tuple[RuleSpec, ...], float]:
    """Return a study's stopping rules, and the share of trials that they only judge."""
    if text is None:
        return (), 0.0
    found = _object(text)
    specs = [_search(each) for each in map(_mapping, _list(found["rules"]))]
    rules = tuple(RuleSpec(spec.name, spec.version, spec.options) for spec in specs)
    return rules, _finite(found["audit"])


def decision(row: Sequence[Any]) -> Decision:
    """Return a stopping rule's decision as a record."""
    trial, attempt, tick, part, step, verdict, facts = row
    if verdict not in ("rung", "stop", "spared", "pause", "promote", "budget"):
        raise ValueError(f"there is no verdict {verdict!r:.40}")
    numbers = {name: _fact(value) for name, value in _object(facts).items()}
    whole = (_whole(trial), _whole(attempt), _whole(tick), _whole(part))
    if not isinstance(step, int):
        raise ValueError(f"there is no step {step!r:.40}")  # noqa: TRY004 - a value of the file
    return Decision(*whole, step, verdict, numbers)


def _fact(value: object) -> float | int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return _finite(value)


def report(row: Sequence[Any]) -> tuple[int, int, int, int, str, float]:
    """Return tick, trial, attempt, step, metric and value of a report."""
    tick, trial, attempt, step, name, value = row
    name, step, value = metric((name, step, value))
    return _whole(tick), _whole(trial), _whole(attempt), step, name, value


def complete(row: Sequence[Any]) -> tuple[int, int, int]:
    """Return number, tick of its end and attempt of a trial."""
    number, told, attempt = row
    return _whole(number), _whole(told), _whole(attempt)


def lesson(row: Sequence[Any]) -> Lesson:
    """Return another study's trial as a record."""
    number, study, chain, trial, state, value, params = row
    if state not in ("complete", "stopped", "failed"):
        raise ValueError(f"there is no lesson {state!r:.40}")
    result = Finished(
        -_whole(-number, 1),
        state,
        _params(_object(params)),
        None if value is None else _finite(value),
    )
    return Lesson(_name(study), _text(chain), _whole(trial), result)


def trial(row: Sequence[Any]) -> TrialRecord:
    """Return a trial's row as a record."""
    number, state, origin, search, seed, copied, params, value, results, *rest = row
    attempt, deaths, worker, *rest = rest
    asked, suggested, told, started, finished, seconds, error, traceback, confirms, repeat = rest
    if state not in STATES:
        raise ValueError(f"there is no state {state!r:.40}")
    values = {} if results is None else _object(results)
    return TrialRecord(
        _whole(number),
        state,
        _text(origin),
        _text(search),
        _whole(seed, 0, SEED_LIMIT),
        None if copied is None else _whole(copied),
        None if params is None else _params(_object(params)),
        None if value is None else _finite(value),
        {name: _finite(number) for name, number in values.items()},
        _whole(attempt),
        _whole(deaths),
        None if worker is None else _whole(worker),
        _whole(asked),
        None if suggested is None else _whole(suggested),
        None if told is None else _whole(told),
        None if started is None else time(started),
        None if finished is None else time(finished),
        None if seconds is None else max(0.0, _finite(seconds)),
        None if error is None else _text(error),
        None if traceback is None else _text(traceback),
        None if confirms is None else _whole(confirms),
        None if repeat is None else _whole(repeat),
    )


def repeats(row: Sequence[Any]) -> tuple[State, int]:
    """Return a state, and how many runs that confirm a configuration are in it."""
    state, count = row
    if state not in STATES:
        raise ValueError(f"there is no state {state!r:.40}")
    return cast("State", state), _whole(count)


def params(row: Sequence[Any]) -> dict[str, Any] | None:
    """Return a configuration from a row that holds it last, None before it was suggested."""
    return None if row[-1] is None else _params(_object(row[-1]))


def number(row: Sequence[Any]) -> int:
    """Return a row's only cell: a trial's number, or a tick."""
    return _whole(row[0])


def value(row: Sequence[Any]) -> tuple[int, float]:
    """Return a complete trial's tick and value."""
    return _whole(row[0]), _finite(row[1])


def next_one(
    row: Sequence[Any],
) -> tuple[int, int | None, int, int | None, int, int | None, int]:
    """Return tick, budget, next number, lowest waiting, count of manual, steps left, of repeats."""
    tick, budget, number, lowest, manual, steps, repeats = row
    return (
        _whole(tick),
        None if budget is None else _whole(budget),
        _whole(number),
        None if lowest is None else _whole(lowest),
        _whole(manual),
        None if steps is None else _whole(max(steps, 0)),
        _whole(repeats),
    )


def waiting(row: Sequence[Any]) -> tuple[int, int, int, bool, dict[str, Any] | None]:
    """Return attempt, tick of the first claim, seed, whether it confirms, and configuration."""
    attempt, asked, seed, confirms, _ = row
    whole = _whole(attempt), _whole(asked), _whole(seed, 0, SEED_LIMIT)
    return *whole, confirms is not None, params(row)


def paused_attempt(row: Sequence[Any]) -> tuple[int, int, int]:
    """Return trial, attempt and tick of a pause."""
    trial, attempt, tick = row
    return _whole(trial), _whole(attempt), _whole(tick)


def failed_attempt(row: Sequence[Any]) -> tuple[int, int]:
    """Return trial and tick of a failure."""
    number, tick = row
    return _whole(number), _whole(tick)


def finished(row: Sequence[Any]) -> Finished:
    """Return a trial that ended, as a search is told of it."""
    number, state, configuration, value, told = row
    known = _params(_object(configuration))
    result = None if value is None else _finite(value)
    return Finished(_whole(number), state, known, result, _whole(told))


def pending(row: Sequence[Any]) -> Pending:
    """Return a trial whose result is not known."""
    number, configuration = row
    return Pending(_whole(number), _params(_object(configuration)))


def worker(row: Sequence[Any]) -> tuple[int, int, Identity]:
    """Return a worker's id, its beat and its process."""
    number, beat, *who = row
    return _whole(number), _whole(beat), identity(who)


def attempt(row: Sequence[Any]) -> AttemptRecord:
    """Return an attempt's row as a record."""
    number, worker, started, ended, ending, error = row
    return AttemptRecord(
        _whole(number),
        _whole(worker),
        time(started),
        time(ended),
        _text(ending),
        None if error is None else _text(error),
    )


def running(row: Sequence[Any]) -> RunningTrial:
    """Return a running trial with its process."""
    number, attempted, worker, started, *who = row
    token = Token(_whole(number), _whole(attempted), _whole(worker))
    return RunningTrial(token, time(started), identity(who))


def environment(row: Sequence[Any]) -> Environment:
    """Return an environment, whose facts are the JSON object that tinytune writes."""
    name, facts, first = row
    found = _object(facts)
    for kind in ("packages", "variables", "files"):
        _texts(_mapping(found.get(kind, {})))
    for kind in ("python", "platform", "cpu", "commit", "branch", "diff", "folder"):
        _text(found.get(kind, ""))
    for word in _list(found.get("argv", [])):
        _text(word)
    return Environment(_text(name), facts, first=time(first))


def output(row: Sequence[Any]) -> Output:
    """Return what is kept of an attempt's output."""
    trial, attempted, stream, head, tail, left_out = row
    if stream not in {"stdout", "stderr"}:
        raise ValueError(f"there is no stream {stream!r:.40}")
    numbers = _whole(trial), _whole(attempted)
    return Output(*numbers, stream, _text(head), _text(tail), _whole(left_out))


def checkpoint(row: Sequence[Any]) -> Checkpoint:
    """Return what a trial has saved, without the content."""
    trial, attempted, sequence, tick, saved, kind, suffix, size, sha256, is_beside = row
    if kind not in {"bytes", "file", "folder"}:
        raise ValueError(f"there is no kind {kind!r:.40}")
    if not _SUFFIX.fullmatch(_text(suffix)):  # it becomes part of a file's name
        raise ValueError(f"{suffix!r:.40} is no suffix")
    if not _SHA256.fullmatch(_text(sha256)):
        raise ValueError(f"{sha256!r:.40} is no SHA-256")
    return Checkpoint(
        _whole(trial),
        _whole(attempted),
        _whole(sequence, 1),
        _whole(tick),
        time(saved),
        kind,
        suffix,
        _whole(size),
        sha256,
        bool(_whole(is_beside, 0, 2)),
    )


def content(row: Sequence[Any]) -> bytes:
    """Return what a checkpoint in the file holds."""
    if not isinstance(row[0], bytes):
        raise ValueError(f"{row[0]!r:.40} is no content")  # noqa: TRY004 - it is a bad value
    return row[0]


def continuation(row: Sequence[Any]) -> Continuation:
    """Return how an attempt went on from a checkpoint."""
    trial, attempted, source, upto, step, tick = row
    if step is not None and not isinstance(step, int):
        raise ValueError(f"there is no step {step!r:.40}")
    whole = _whole(trial), _whole(attempted), _whole(source, 1), _whole(upto)
    return Continuation(*whole, step, _whole(tick))


def identity(row: Sequence[Any]) -> Identity:
    """Return a worker's process."""
    host, machine, boot, namespace, pid, birth = row
    return Identity(
        _text(host), _text(machine), _text(boot), _text(namespace), _whole(pid), _text(birth)
    )


def metric(row: Sequence[Any]) -> tuple[str, int, float]:
    """Return (name, step, value); SQLite stores NaN as NULL."""
    name, step, value = row
    if not isinstance(step, int):
        raise ValueError(f"step {step!r:.40} is not a whole number")  # noqa: TRY004
    return _text(name), step, math.nan if value is None else _real(value)


def value_at_step(row: Sequence[Any]) -> tuple[int, float]:
    """Return (trial, value) of a report."""
    trial, step, value = row
    return _whole(trial), metric(("", step, value))[2]


def last_step(row: Sequence[Any]) -> tuple[str, int]:
    """Return a metric's name and its last step."""
    name, step, _ = metric((*row, 0.0))
    return name, step


def document(text: object) -> Any:
    """Return a JSON document as Python wrote it: without infinity, and not nested without end."""
    try:
        return json.loads(_text(text), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("a document is nested too deeply") from None


def time(value: object) -> float:
    """Return a time that a calendar knows, in Unix seconds."""
    seconds = _finite(value)
    if not 0 <= seconds <= LATEST:
        raise ValueError(f"{seconds} is no time")
    return seconds


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of a study")


def _object(text: object) -> dict[str, Any]:
    found = _mapping(document(text))
    _check_numbers(found)
    return found


def _check_numbers(found: object) -> None:
    """Refuse numbers that JSON can write and a float cannot hold, such as 1e999."""
    parts = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    for part in parts:
        if isinstance(part, float) and not math.isfinite(part):
            raise ValueError("a number is infinite")
        _check_numbers(part)


def _search(found: dict[str, Any]) -> SearchSpec:
    options = found.get("options", {})
    if not isinstance(options, dict):
        raise ValueError("the search's options are no JSON object")  # noqa: TRY004
    return SearchSpec(_text(found.get("name")), _whole(found.get("version")), options)


def _command(found: dict[str, Any]) -> Command:
    arguments = tuple(_text(argument) for argument in _list(found["arguments"]))
    metrics = tuple(_text(metric) for metric in _list(found["metrics"]))
    if not arguments or any("\0" in argument for argument in arguments):
        raise ValueError("its command is none")
    return Command(arguments, metrics)


def _goals(found: object) -> tuple[Goal, ...]:
    if not isinstance(found, list) or not found:
        raise ValueError("the study has no objective")
    for goal in found:
        if not isinstance(goal, dict) or goal.get("direction") not in {"minimize", "maximize"}:
            raise ValueError(f"{goal!r:.40} is no objective")
    return tuple(Goal(_text(goal.get("name")), goal["direction"]) for goal in found)


def _params(found: dict[str, Any]) -> dict[str, Any]:
    for name, value in found.items():
        if not (value is None or isinstance(value, (str, int, float))):
            raise ValueError(f"parameter {name!r:.40} has the value {value!r:.40}")
    return found


def _mapping(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"{found!r:.40} is no JSON object")  # noqa: TRY004 - it is a bad value
    return found


def _list(found: object) -> list[Any]:
    if not isinstance(found, list):
        raise ValueError(f"{found!r:.40} is no JSON list")  # noqa: TRY004 - it is a bad value
    return found


def _texts(found: dict[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in found.items()}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is no text")  # noqa: TRY004 - it is a bad value
    return value


def _name(value: object) -> str:
    text = _text(value)
    if len(text) > LONGEST_NAME or not _DOTTED.fullmatch(text):
        raise ValueError(f"{text!r:.40} is no name")
    return text


def _path(value: object) -> str | None:
    if value is None:
        return None
    text = _text(value)
    if not text or len(text) > LONGEST_NAME or not text.isprintable():
        raise ValueError(f"{text!r:.40} is no path")
    return text


def _whole(value: object, low: int = 0, limit: int = _INTEGER_LIMIT) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value < limit:
        raise ValueError(f"{value!r:.40} is no whole number from {low} on")
    return value


def _real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{value!r:.40} is no number")  # noqa: TRY004 - it is a bad value
    try:
        return float(value)
    except OverflowError:
        raise ValueError("a number is too large") from None


def _finite(value: object) -> float:
    number = _real(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no finite number")
    return number
