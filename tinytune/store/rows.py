"""Rows become records; since anybody may have written the file, everything in them is checked.

Each function raises ValueError, with what is wrong, for a row that tinytune cannot have written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

from tinytune.draw import SEED_LIMIT
from tinytune.history import (
    STATES,
    AttemptRecord,
    Checkpoint,
    Command,
    Continuation,
    Cost,
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
    check_goals,
)
from tinytune.process import Identity
from tinytune.space import Space
from tinytune.store import cells

_SUFFIX = r"(\.[A-Za-z0-9]{1,16})?"
_SHA256 = r"[0-9a-f]{64}"


def study(row: Sequence[Any]) -> StudyRecord:
    """Return the study's row as a record."""
    space, search, goals, settings, seed, defaults, budget, objective, *others = row
    source, created, copied, rules_text, steps, repeats, budget_seconds, subject_to = others
    rules, audit = stopping(rules_text)
    found = cells.mapping_of(objective)
    return StudyRecord(
        Space.from_json(cells.text(space)),
        search_spec(search),
        _goals(cells.document(goals)),
        cells.mapping_of(settings),
        cells.whole(seed, 0, SEED_LIMIT),
        bool(cells.whole(defaults, 0, 2)),
        None if budget is None else cells.whole(budget),
        ObjectiveReference(
            cells.name(found.get("function")),
            None if found.get("module") is None else cells.name(found["module"]),
            cells.path(found.get("beside_study")),
            cells.path(found.get("from_cwd")),
            None if found.get("command") is None else _command(cells.mapping(found["command"])),
        ),
        None if source is None else cells.text(source),
        cells.time(created),
        None if copied is None else cells.texts(cells.mapping_of(copied)),
        stopping=rules,
        audit=audit,
        budget_steps=None if steps is None else cells.whole(steps),
        repeats=cells.whole(repeats, 1),
        budget_seconds=None if budget_seconds is None else max(0.0, cells.finite(budget_seconds)),
        subject_to=_requirements(cells.document(subject_to)),
    )


def _requirements(found: object) -> tuple[str, ...]:
    texts = tuple(map(cells.text, cells.items(found)))
    if texts:
        from tinytune import requirement

        requirement.parsed(texts)
    return texts


def stopping(text: object) -> tuple[tuple[RuleSpec, ...], float]:
    """Return a study's stopping rules, and the share of trials that they only judge."""
    if text is None:
        return (), 0.0
    found = cells.mapping_of(text)
    specs = [_search(each) for each in map(cells.mapping, cells.items(found["rules"]))]
    rules = tuple(RuleSpec(spec.name, spec.version, spec.options) for spec in specs)
    return rules, cells.finite(found["audit"])


def decision(row: Sequence[Any]) -> Decision:
    """Return a stopping rule's decision as a record."""
    trial, attempt, tick, part, step, verdict, facts = row
    if verdict not in ("rung", "stop", "spared", "pause", "promote", "budget"):
        raise ValueError(f"there is no verdict {verdict!r:.40}")
    numbers = {name: _fact(value) for name, value in cells.mapping_of(facts).items()}
    whole = (cells.whole(trial), cells.whole(attempt), cells.whole(tick), cells.whole(part))
    if not isinstance(step, int):
        raise ValueError(f"there is no step {step!r:.40}")  # noqa: TRY004 - a value of the file
    return Decision(*whole, step, verdict, numbers)


def _fact(value: object) -> float | int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return cells.finite(value)


def report(row: Sequence[Any]) -> tuple[int, int, int, int, str, float]:
    """Return tick, trial, attempt, step, metric and value of a report."""
    tick, trial, attempt, step, name, value = row
    name, step, value = metric((name, step, value))
    return cells.whole(tick), cells.whole(trial), cells.whole(attempt), step, name, value


def complete(row: Sequence[Any]) -> tuple[int, int, int, bool]:
    """Return a trial's number, tick of its end and attempt, and whether it meets what it has to."""
    number, told, attempt, violation = row
    is_met = violation is None or not cells.finite(violation) > 0.0
    return cells.whole(number), cells.whole(told), cells.whole(attempt), is_met


def lesson(row: Sequence[Any]) -> Lesson:
    """Return another study's trial as a record."""
    number, study, chain, trial, state, value, params, results, violation = row
    if state not in ("complete", "stopped", "failed"):
        raise ValueError(f"there is no lesson {state!r:.40}")
    result = Finished(
        -cells.whole(-number, 1),
        state,
        _configuration(params),
        None if value is None else cells.finite(value),
        values=_values(results),
        violation=None if violation is None else max(0.0, cells.finite(violation)),
    )
    return Lesson(cells.file_name(study), cells.text(chain), cells.whole(trial), result)


def trial(row: Sequence[Any]) -> TrialRecord:
    """Return a trial's row as a record."""
    number, state, origin, search, seed, copied, params, value, results, *rest = row
    attempt, deaths, worker, *rest = rest
    asked, suggested, told, started, finished, seconds, error, traceback, *rest = rest
    confirms, repeat, *used, violation, tags, removed = rest
    taken = cost((seconds, *used))
    if state not in STATES:
        raise ValueError(f"there is no state {state!r:.40}")
    return TrialRecord(
        cells.whole(number),
        state,
        cells.text(origin),
        cells.text(search),
        cells.whole(seed, 0, SEED_LIMIT),
        None if copied is None else cells.whole(copied),
        None if params is None else _configuration(params),
        None if value is None else cells.finite(value),
        _values(results),
        cells.whole(attempt),
        cells.whole(deaths),
        None if worker is None else cells.whole(worker),
        cells.whole(asked),
        None if suggested is None else cells.whole(suggested),
        None if told is None else cells.whole(told),
        None if started is None else cells.time(started),
        None if finished is None else cells.time(finished),
        taken.seconds,
        None if error is None else cells.text(error),
        None if traceback is None else cells.text(traceback),
        None if confirms is None else cells.whole(confirms),
        None if repeat is None else cells.whole(repeat),
        taken.cpu_seconds,
        taken.memory_mb,
        taken.steps,
        None if violation is None else max(0.0, cells.finite(violation)),
        () if tags is None else tuple(sorted(cells.text(tags).split())),
        bool(removed),
    )


def repeats(row: Sequence[Any]) -> tuple[State, int]:
    """Return a state, and how many runs that confirm a configuration are in it."""
    state, count = row
    if state not in STATES:
        raise ValueError(f"there is no state {state!r:.40}")
    return cast("State", state), cells.whole(count)


def cost(row: Sequence[Any]) -> Cost:
    """Return what an attempt took."""
    *numbers, steps = row
    known = [None if number is None else max(0.0, cells.finite(number)) for number in numbers]
    seconds, cpu_seconds, memory_mb = known
    return Cost(seconds, cpu_seconds, memory_mb, None if steps is None else cells.whole(steps))


def spent(row: Sequence[Any]) -> list[float]:
    """Return the seconds of all attempts, by how they ended."""
    return [max(0.0, cells.finite(seconds)) for seconds in row]


def signs(row: Sequence[Any]) -> tuple[float, ...]:
    """Return when an attempt began, when its worker was last seen, and when it last reported."""
    return tuple(cells.time(moment) for moment in row if moment is not None)


def params(row: Sequence[Any]) -> dict[str, Any] | None:
    """Return a configuration from a row that holds it last, None before it was suggested."""
    return None if row[-1] is None else _configuration(row[-1])


def number(row: Sequence[Any]) -> int:
    """Return a row's only cell: a trial's number, or a tick."""
    return cells.whole(row[0])


def value(row: Sequence[Any]) -> tuple[int, float]:
    """Return a complete trial's tick and value."""
    return cells.whole(row[0]), cells.finite(row[1])


Next: TypeAlias = tuple[int, int | None, int, int | None, int, int | None, int, bool, int]


def next_one(row: Sequence[Any]) -> Next:
    """Return tick, budget, next number, lowest waiting, skipped, steps, repeats, is_spent, edit."""
    tick, budget, number, lowest, manual, steps, repeats, is_spent, edited = row
    return (
        cells.whole(tick),
        None if budget is None else cells.whole(budget),
        cells.whole(number),
        None if lowest is None else cells.whole(lowest),
        cells.whole(manual),
        None if steps is None else cells.whole(max(steps, 0)),
        cells.whole(repeats),
        bool(cells.whole(is_spent, 0, 2)),
        cells.whole(edited),
    )


def waiting(row: Sequence[Any]) -> tuple[int, int, int, bool, dict[str, Any] | None]:
    """Return attempt, tick of the first claim, seed, whether it confirms, and configuration."""
    attempt, asked, seed, confirms, _ = row
    whole = cells.whole(attempt), cells.whole(asked), cells.whole(seed, 0, SEED_LIMIT)
    return *whole, confirms is not None, params(row)


def paused_attempt(row: Sequence[Any]) -> tuple[int, int, int]:
    """Return trial, attempt and tick of a pause."""
    trial, attempt, tick = row
    return cells.whole(trial), cells.whole(attempt), cells.whole(tick)


def failed_attempt(row: Sequence[Any]) -> tuple[int, int]:
    """Return trial and tick of a failure."""
    number, tick = row
    return cells.whole(number), cells.whole(tick)


def finished(row: Sequence[Any]) -> Finished:
    """Return a trial that ended, as a search is told of it."""
    number, state, configuration, value, told, results, violation, rungs, seconds = row
    known = _configuration(configuration)
    result = None if value is None else cells.finite(value)
    missed = None if violation is None else max(0.0, cells.finite(violation))
    took = None if seconds is None else max(0.0, cells.finite(seconds))
    return Finished(
        cells.whole(number), state, known, result, cells.whole(told), _values(results), missed,
        rungs=() if rungs is None else _rungs(cells.text(rungs)), seconds=took,
    )  # fmt: skip


def _rungs(lines: str) -> tuple[tuple[int, float], ...]:
    """Return places and values of the rungs of a trial's first rule that has any.

    At a place that was reached again, in a later attempt, the last value counts.
    """
    marks = []
    for line in lines.split("\n"):
        tick, part, text = line.split(" ", 2)
        marks.append((int(part), int(tick), cells.mapping_of(text)))
    first = min(mark[0] for mark in marks)
    found = {}
    for of, _, facts in sorted(marks, key=lambda mark: mark[:2]):
        if of == first:
            value = facts.get("value")
            number = math.inf if value is None else cells.finite(value)
            found[cells.whole(facts["place"], 1)] = number
    return tuple(sorted(found.items()))


def best_text(row: Sequence[Any]) -> tuple[int, float, str]:
    """Return number, value and configuration, as it is written, of one of the best trials."""
    number, value, configuration = row
    return cells.whole(number), cells.finite(value), cells.text(configuration)


def candidate(row: Sequence[Any]) -> tuple[int, float, dict[str, float]]:
    """Return number, value and all results of a trial that may be the best."""
    number, value, results = row
    return cells.whole(number), cells.finite(value), _values(results)


def _values(results: object) -> dict[str, float]:
    if results is None:
        return {}
    found = cells.mapping(cells.document(results))
    return {name: cells.finite(number) for name, number in found.items()}


def pending(row: Sequence[Any]) -> Pending:
    """Return a trial whose result is not known."""
    number, configuration = row
    return Pending(cells.whole(number), _configuration(configuration))


def worker(row: Sequence[Any]) -> tuple[int, int, Identity]:
    """Return a worker's id, its beat and its process."""
    number, beat, *who = row
    return cells.whole(number), cells.whole(beat), identity(who)


def attempt(row: Sequence[Any]) -> AttemptRecord:
    """Return an attempt's row as a record."""
    number, worker, started, ended, ending, error, *used = row
    return AttemptRecord(
        cells.whole(number),
        cells.whole(worker),
        cells.time(started),
        cells.time(ended),
        cells.text(ending),
        None if error is None else cells.text(error),
        cost(used),
    )


def running(row: Sequence[Any]) -> RunningTrial:
    """Return a running trial with its process."""
    number, attempted, worker, started, *who = row
    token = Token(cells.whole(number), cells.whole(attempted), cells.whole(worker))
    return RunningTrial(token, cells.time(started), identity(who))


def environment(row: Sequence[Any]) -> Environment:
    """Return an environment, whose facts are the JSON object that tinytune writes."""
    name, facts, first, part = row
    found = cells.mapping_of(facts)
    for kind in ("packages", "variables", "files"):
        cells.texts(cells.mapping(found.get(kind, {})))
    for kind in ("python", "platform", "cpu", "commit", "branch", "diff", "folder"):
        cells.text(found.get(kind, ""))
    for word in cells.items(found.get("argv", [])):
        cells.text(word)
    part = None if part is None else cells.whole(part)
    return Environment(cells.text(name), facts, first=cells.time(first), part=part)


def output(row: Sequence[Any]) -> Output:
    """Return what is kept of an attempt's output."""
    trial, attempted, stream, head, tail, left_out = row
    if stream not in {"stdout", "stderr"}:
        raise ValueError(f"there is no stream {stream!r:.40}")
    numbers = cells.whole(trial), cells.whole(attempted)
    return Output(*numbers, stream, cells.text(head), cells.text(tail), cells.whole(left_out))


def checkpoint(row: Sequence[Any]) -> Checkpoint:
    """Return what a trial has saved, without the content."""
    trial, attempted, sequence, tick, saved, kind, suffix, size, sha256, is_beside = row
    if kind not in {"bytes", "file", "folder"}:
        raise ValueError(f"there is no kind {kind!r:.40}")
    if not re.fullmatch(_SUFFIX, cells.text(suffix)):  # it becomes part of a file's name
        raise ValueError(f"{suffix!r:.40} is no suffix")
    if not re.fullmatch(_SHA256, cells.text(sha256)):
        raise ValueError(f"{sha256!r:.40} is no SHA-256")
    return Checkpoint(
        cells.whole(trial),
        cells.whole(attempted),
        cells.whole(sequence, 1),
        cells.whole(tick),
        cells.time(saved),
        kind,
        suffix,
        cells.whole(size),
        sha256,
        bool(cells.whole(is_beside, 0, 2)),
    )


def content(row: Sequence[Any]) -> bytes:
    """Return what a checkpoint in the file holds."""
    if not isinstance(row[0], bytes):
        raise ValueError(f"{row[0]!r:.40} is no content")  # noqa: TRY004 - it is a bad value
    return row[0]


def continuation(row: Sequence[Any]) -> Continuation:
    """Return how an attempt went on from a checkpoint."""
    trial, attempted, source, upto, step, tick, seconds = row
    if step is not None and not isinstance(step, int):
        raise ValueError(f"there is no step {step!r:.40}")
    whole = cells.whole(trial), cells.whole(attempted), cells.whole(source, 1), cells.whole(upto)
    return Continuation(*whole, step, cells.whole(tick), max(0.0, cells.finite(seconds)))


def identity(row: Sequence[Any]) -> Identity:
    """Return a worker's process."""
    host, machine, boot, namespace, pid, birth = row
    return Identity(
        cells.text(host),
        cells.text(machine),
        cells.text(boot),
        cells.text(namespace),
        cells.whole(pid),
        cells.text(birth),
    )


def metric(row: Sequence[Any]) -> tuple[str, int, float]:
    """Return (name, step, value); SQLite stores NaN as NULL."""
    name, step, value = row
    if not isinstance(step, int):
        raise ValueError(f"step {step!r:.40} is not a whole number")  # noqa: TRY004
    return cells.text(name), step, math.nan if value is None else cells.real(value)


def value_at_step(row: Sequence[Any]) -> tuple[int, float]:
    """Return (trial, value) of a report."""
    trial, step, value = row
    return cells.whole(trial), metric(("", step, value))[2]


def peak(row: Sequence[Any]) -> tuple[int, float]:
    """Return (trial, the most memory that it used) in 10^6 bytes."""
    trial, memory_mb = row
    return cells.whole(trial), metric(("", 0, memory_mb))[2]


def last_step(row: Sequence[Any]) -> tuple[str, int]:
    """Return a metric's name and its last step."""
    name, step, _ = metric((*row, 0.0))
    return name, step


def search_spec(cell: object) -> SearchSpec:
    """Return a search as a study stores it."""
    return _search(cells.mapping_of(cell))


def _search(found: dict[str, Any]) -> SearchSpec:
    options = found.get("options", {})
    if not isinstance(options, dict):
        raise ValueError("the search's options are no JSON object")  # noqa: TRY004
    return SearchSpec(cells.text(found.get("name")), cells.whole(found.get("version")), options)


def _command(found: dict[str, Any]) -> Command:
    arguments = tuple(cells.text(argument) for argument in cells.items(found["arguments"]))
    metrics = tuple(cells.text(metric) for metric in cells.items(found["metrics"]))
    if not arguments or any("\0" in argument for argument in arguments):
        raise ValueError("its command is none")
    return Command(arguments, metrics)


def _goals(found: object) -> tuple[Goal, ...]:
    if not isinstance(found, list) or not found:
        raise ValueError("the study has no objective")
    for goal in found:
        if not isinstance(goal, dict) or goal.get("direction") not in {"minimize", "maximize"}:
            raise ValueError(f"{goal!r:.40} is no objective")
    goals = tuple(Goal(cells.text(goal.get("name")), goal["direction"]) for goal in found)
    check_goals(goals)
    return goals


def _configuration(cell: object) -> dict[str, Any]:
    found = cells.mapping(cells.document(cell))
    for name, value in found.items():
        if isinstance(value, float):
            if not math.isfinite(value):
                raise ValueError(f"parameter {name!r:.40} is infinite")
        elif not (value is None or isinstance(value, (int, str))):
            raise ValueError(f"parameter {name!r:.40} has the value {value!r:.40}")
    return found
