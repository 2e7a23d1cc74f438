"""What early stopping has saved, how often it was wrong, and what a constant length would give."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from tinytune import preference, stopping
from tinytune.errors import UsageError
from tinytune.history import Decision, Goal, RuleSpec, StudyRecord, TrialRecord
from tinytune.repeated import is_of_first_run
from tinytune.stopping.judge import is_joint
from tinytune.store.reader import Reader
from tinytune.timeline import Timeline

_ENDS = ("stop", "pause")
LENGTHS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)  # reports of a short trial


@dataclass(frozen=True)
class Short:
    """What a study of trials of one constant length would have chosen, and what it costs."""

    length: int  # reports of each trial
    steps: int  # of all of them, and of the chosen one to its end
    trial: int  # the best after so many reports
    value: float | None  # in the end; None where it was stopped before
    rank: int | None  # of that value among the complete trials, 1 the best


@dataclass(frozen=True)
class Savings:
    """What stopping rules have done in a study."""

    whole: int  # reports of a whole trial: the median of the complete ones
    complete: int
    stopped: int
    by_rule: dict[str, int]  # rule -> how many trials it stopped
    steps: int  # that were reported
    steps_saved: int  # if each stopped trial had gone on to `whole`
    seconds: float  # of all trials
    seconds_saved: float  # at each trial's own speed
    spared: int  # trials that a rule would have stopped, and the audit let run on
    spared_good: int | None  # of them, in the better half of the complete ones; of one objective
    spared_best: int  # of them, the best of all, or on the Pareto front
    compared: tuple[str, ...]  # objectives at which a rule looks together, that were reported
    left_out: tuple[str, ...]  # the others
    short: tuple[Short, ...]

    @property
    def share_saved(self) -> float:
        """The part of the steps that was saved."""
        total = self.steps + self.steps_saved
        return self.steps_saved / total if total else 0.0


@dataclass(frozen=True)
class Unseen:
    """A stopping rule that has had nothing to look at, although a trial is complete."""

    rule: RuleSpec
    metric: str | None  # the one that it was to look at; None: whichever is reported
    wanted: tuple[str, ...]  # what should be reported
    is_joint: bool  # it compares several objectives, of which fewer than two are reported
    reported: tuple[str, ...]  # the metrics that there are
    instead: tuple[RuleSpec, ...]  # the study's rules, if each looked at one that there is
    of_command: bool


def unseen(reader: Reader) -> list[Unseen]:
    """Return a study's rules whose metric no trial has reported, once one is complete."""
    with reader.snapshot():
        record = reader.study()
        if not record.stopping or not reader.trials("complete", 1):
            return []
        seen = [_is_seen(reader, record, rule) for rule in record.stopping]
        found = [] if all(seen) else reader.last_steps()
    names = tuple(name for name in found if record.repeats == 1 or is_of_first_run(name))
    own = record.goals[0].name
    other = own if own in names else next(iter(names), None)
    instead = tuple(
        rule
        if is_seen or _is_joint(rule)
        else rule._replace(options={**rule.options, "metric": other})
        for rule, is_seen in zip(record.stopping, seen, strict=True)
    )
    of_command = record.objective.command is not None
    return [
        Unseen(
            rule, _metric(rule), _wanted(record, rule), _is_joint(rule), names, instead, of_command
        )
        for rule, is_seen in zip(record.stopping, seen, strict=True)
        if not is_seen
    ]


def _is_seen(reader: Reader, record: StudyRecord, rule: RuleSpec) -> bool:
    if len(record.goals) > 1 and _is_joint(rule):
        return sum(reader.is_reported(goal.name) for goal in record.goals) > 1
    return reader.is_reported(_metric(rule))


def _wanted(record: StudyRecord, rule: RuleSpec) -> tuple[str, ...]:
    if _is_joint(rule):
        return tuple(goal.name for goal in record.goals)
    return (_metric(rule) or record.goals[0].name,)


def _metric(rule: RuleSpec) -> str | None:
    name = rule.options.get("metric")
    return name if isinstance(name, str) else None


def savings(reader: Reader) -> Savings:
    """Return what early stopping has saved in a study, as far as it has come."""
    with reader.snapshot():
        record, every, decisions = reader.study(), reader.trials(), reader.decisions()
        trials = [trial for trial in every if trial.confirms is None and not trial.removed]
        again = (trial for trial in every if trial.confirms is not None)
        steps = reader.steps() - sum(len(_curve(reader, t, record.goals[0])) for t in again)
        timeline = reader.timeline()
        curves = {trial.number: _curve(reader, trial, record.goals[0]) for trial in trials}
        reported = {name for last in reader.last_metrics().values() for name in last}
    goal = record.goals[0]
    complete = [t for t in trials if t.state == "complete" and t.value is not None]
    stopped = [t for t in trials if t.state in ("stopped", "paused")]
    lengths = [len(curves[t.number]) for t in complete if curves[t.number]]
    whole = round(statistics.median(lengths)) if lengths else 0
    saved = {t.number: max(0, whole - len(curves[t.number])) for t in stopped}
    rules: dict[str, int] = {}
    for each in _last(decisions, stopped):
        stopping = timeline.at(each.trial).stopping
        name = stopping[each.part].name if each.part < len(stopping) else "?"
        rules[name] = rules.get(name, 0) + 1
    spared = {d.trial for d in decisions if d.verdict == "spared"}
    ranked = sorted(complete, key=lambda t: goal.rank(t.value))
    ranks = {trial.number: place for place, trial in enumerate(ranked, start=1)}
    judged = [ranks[number] for number in spared if number in ranks]
    good: int | None = sum(2 * rank <= len(ranked) for rank in judged)
    top = sum(rank == 1 for rank in judged)
    if len(record.goals) > 1:
        front = preference.front([t for t in complete if t.is_candidate], record.goals)
        good, top = None, sum(trial.number in spared for trial in front)
    return Savings(
        whole,
        len(complete),
        len(stopped),
        rules,
        steps,
        sum(saved.values()),
        sum(t.seconds or 0.0 for t in trials),
        sum(saved[t.number] * (t.seconds or 0.0) / max(len(curves[t.number]), 1) for t in stopped),
        len(judged),
        good,
        top,
        *_together(timeline, reported),
        tuple(_shorts(trials, curves, ranks, whole, goal)),
    )


def _curve(reader: Reader, trial: TrialRecord, goal: Goal) -> list[float]:
    """Return what a trial reported of the objective's metric, or of the first one, in order."""
    curves = reader.curves(trial)
    if not curves:
        return []
    curve = curves.get(goal.name) or curves[min(curves)]
    return [curve[step] for step in sorted(curve)]


def _together(timeline: Timeline, reported: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which objectives a rule compares together, and which were not reported for that."""
    record = timeline.records[-1]
    if not any(map(_is_joint, record.stopping)):
        return (), ()
    names = [goal.name for goal in record.goals]
    there = tuple(name for name in names if name in reported)
    return there, tuple(name for name in names if name not in reported)


def _is_joint(spec: RuleSpec) -> bool:
    try:
        return is_joint(stopping.options_class(spec.name))
    except UsageError:  # somebody's own rule, whose file was not loaded
        return False


def _last(decisions: list[Decision], stopped: list[TrialRecord]) -> list[Decision]:
    attempts = {(trial.number, trial.attempt) for trial in stopped}
    return [d for d in decisions if d.verdict in _ENDS and (d.trial, d.attempt) in attempts]


def _shorts(
    trials: list[TrialRecord],
    curves: dict[int, list[float]],
    ranks: dict[int, int],
    whole: int,
    goal: Goal,
) -> list[Short]:
    """Return what each constant length would have chosen, shorter than a whole trial."""
    values = {trial.number: trial.value for trial in trials}
    found = []
    for length in LENGTHS:
        there = {n: curve[length - 1] for n, curve in curves.items() if len(curve) >= length}
        if length >= whole or not there:
            break
        best = min(there, key=lambda number: (goal.rank(there[number]), number))
        rank = ranks.get(best)
        steps = length * len(curves) + whole - length
        found.append(Short(length, steps, best, values[best] if rank else None, rank))
    return found
