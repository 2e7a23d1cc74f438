"""Recomputes every decision of a study's stopping rules: to stop, and to go on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from tinytune.bench import Bench
from tinytune.history import Decision, TrialRecord
from tinytune.stopping.judge import Attempt
from tinytune.store.reader import Reader
from tinytune.timeline import Timeline
from tinytune.verify_pauses import verify_pauses


@dataclass(frozen=True)
class Stops:
    """What recomputing gave: how many decisions are the same, and what is wrong with others."""

    exact: int = 0  # trials that were stopped, or spared by the audit
    pauses: int = 0  # of trials, the same
    problems: tuple[str, ...] = ()


def verify_stops(reader: Reader, trials: list[TrialRecord], before: Callable[[], object]) -> Stops:
    """Judge all reports of the trials that ended again, each from what was there at its tick.

    `before()` is called before each report. TinytuneError where a rule is not known here.
    """
    parts = reader.parts()  # what was decided in them is not this study's

    def is_own(tick: int) -> bool:
        return not any(part.spans(tick) for part in parts)

    decisions = [each for each in reader.decisions() if is_own(each.tick)]
    refused = [each for each in decisions if each.verdict == "budget"]
    stored = {_place(each): each for each in decisions if each.verdict != "budget"}
    short = tuple(
        f"trial {each.trial} at step {each.step}: there were steps left of the budget"
        for each in refused
        if reader.counted_steps(each.tick) != each.facts.get("steps")
    )
    kept = len(refused) - len(short)
    timeline = reader.timeline()
    ended = [trial for trial in trials if trial.told is not None and is_own(trial.told)]
    if not any(record.stopping for record in timeline.records):
        stray = tuple(f"trial {each.trial} was judged without a rule" for each in stored.values())
        return Stops(kept, 0, (*stray, *short, *_unjudged(ended, refused)))
    judged = {(trial.number, trial.attempt) for trial in ended}
    judged |= {
        (number, attempt) for number, attempt, tick in reader.paused_attempts() if is_own(tick)
    }
    mine = {
        place: each
        for place, each in stored.items()
        if (each.trial, each.attempt) in judged and each.verdict != "promote"
    }
    let_on: dict[int, list[Decision]] = defaultdict(list)
    for each in decisions:
        if each.verdict == "promote":
            let_on[each.trial].append(each)
    found = {_place(each): each for each in _decisions(reader, timeline, let_on, is_own, before)}
    places = sorted(mine.keys() | found.keys())
    problems = [
        _problem(mine.get(place), found.get(place))
        for place in places
        if mine.get(place) != found.get(place)
    ]
    wrong = _unjudged(ended, [*mine.values(), *refused])
    exact = Counter(each.verdict for place, each in mine.items() if each == found.get(place))
    order = verify_pauses(reader, timeline, trials, decisions, is_own)
    return Stops(
        kept + exact["stop"] + exact["spared"],
        exact["pause"],
        tuple(dict.fromkeys([*problems, *short, *wrong, *order])),
    )


def _unjudged(trials: list[TrialRecord], decisions: Iterable[Decision]) -> list[str]:
    """Return which trials are stopped or paused though nothing did that to their last attempt."""
    causes = {"stopped": ("stop", "budget"), "paused": ("pause",)}
    ends = {(d.trial, d.attempt, d.verdict) for d in decisions}
    return [
        f"trial {trial.number} is {trial.state}, and no rule said so"
        for trial in trials
        if trial.state in causes
        and not any((trial.number, trial.attempt, v) in ends for v in causes[trial.state])
    ]


def _place(of: Decision) -> tuple[int, int, str, int]:
    return of.tick, of.part, of.verdict, of.attempt  # a later attempt may have copies


def _problem(stored: Decision | None, computed: Decision | None) -> str:
    decision = stored or computed
    assert decision is not None  # noqa: S101 - one of them differs from the other
    where = f"trial {decision.trial} at step {decision.step}"
    if computed is None:
        return f"{where}: the stored {decision.verdict} is not what the rule says"
    if stored is None:
        return f"{where}: the rule's {decision.verdict} is not in the file"
    return f"{where}: the rule compared {computed.facts}, not {stored.facts}"


def _decisions(
    reader: Reader,
    timeline: Timeline,
    let_on: Mapping[int, list[Decision]],
    is_own: Callable[[int], bool],
    before: Callable[[], object],
) -> Iterator[Decision]:
    """Yield what the rules say of the reports, in the order of ticks.

    An attempt at a trial that was let on has copies of reports at which an earlier one was paused.
    """
    benches: dict[int, Bench] = {}
    attempts: dict[tuple[int, int], Attempt] = {}
    ended: set[tuple[int, int]] = set()
    for (tick, number, count), rows in groupby(reader.reports(), key=itemgetter(0, 1, 2)):
        before()
        if not is_own(tick):
            continue
        reported = list(rows)
        step = reported[0][3]
        era = timeline.era_at(number)
        bench = benches.get(era.place) or benches.setdefault(era.place, Bench(reader, era))
        attempt = attempts.setdefault((number, count), bench.judge.attempt(number, count))
        attempt.add(step, {name: value for *_, name, value in reported})
        if (number, count) in ended:
            continue
        bench.tell(tick, timeline.removed(tick))
        for rung in bench.judge.rungs(attempt, step):
            yield Decision(number, rung.attempt, tick, rung.part, step, "rung", rung.facts)
        bench.note(tick)
        decision = bench.judge.decide(attempt, step, tick)
        if decision is not None and not (
            decision.verdict == "pause"
            and any(p.attempt <= count and p.tick > tick for p in let_on.get(number, ()))
        ):
            ended.add((number, count))
            yield decision
