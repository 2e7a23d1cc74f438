"""Recomputes which paused trials were let on, and that no new trial was begun in their place."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator

from tinytune.bench import Bench
from tinytune.history import Decision, TrialRecord
from tinytune.store.reader import Reader
from tinytune.timeline import Era, Timeline


def verify_pauses(
    reader: Reader,
    timeline: Timeline,
    trials: list[TrialRecord],
    decisions: list[Decision],
    is_own: Callable[[int], bool],
) -> tuple[str, ...]:
    """Ask the rules again at every claim, given what had a lower tick; return what differs.

    `is_own(tick)` is false in the time of a study that was merged into this one.
    """
    promotions = [each for each in decisions if each.verdict == "promote"]
    claims: list[tuple[int, int, Decision | None]] = [
        (each.tick, each.trial, each) for each in promotions
    ]
    claims += [(t.asked, t.number, None) for t in trials if t.origin in ("default", "search")]
    claims = [claim for claim in claims if is_own(claim[0])]
    return tuple(_problems(reader, timeline, sorted(claims, key=lambda claim: claim[0]), trials))


def _problems(
    reader: Reader,
    timeline: Timeline,
    claims: list[tuple[int, int, Decision | None]],
    trials: list[TrialRecord],
) -> Iterator[str]:
    states = _States(reader, trials, claims)
    benches = {era.place: Bench(reader, era) for era in timeline.eras}
    for tick, number, stored in claims:
        states.tick, states.era = tick, timeline.era_on(tick)
        states.removed = timeline.removed(tick)
        bench = benches[states.era.place]
        if not bench.judge.pauses:
            continue
        bench.tell(tick - 1, states.removed)
        bench.note(tick - 1)
        found = bench.judge.promotable(states.of)
        if stored is None:
            if found is not None:
                yield f"trial {number} was begun, and trial {found.trial} was to be let on"
        elif found is None:
            yield f"trial {number} was let on at tick {tick}, and the rules let none on"
        elif found._replace(attempt=stored.attempt, tick=tick) != stored:
            yield f"trial {number} was let on at tick {tick}, and the rules let {found.trial} on"


class _States:
    """The states of trials at a tick, as stopping rules saw them."""

    def __init__(
        self,
        reader: Reader,
        trials: list[TrialRecord],
        claims: list[tuple[int, int, Decision | None]],
    ) -> None:
        self.tick, self.era = 0, Era(0, reader.study(), range(0))
        self.removed: frozenset[int] = frozenset()
        self._trials = {trial.number: trial for trial in trials}
        let_on = {(each.trial, each.attempt): each.tick for *_, each in claims if each is not None}
        pauses = reader.paused_attempts()
        pauses += [(t.number, t.attempt, t.told or 0) for t in trials if t.state == "paused"]
        self._pauses: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for number, attempt, begun in pauses:
            end = let_on.get((number, attempt + 1), math.inf)
            self._pauses[number].append((begun, end))
        self._failed = dict(
            reversed(reader.failed_attempts())
        )  # trial -> tick of its first failure

    def of(self, number: int) -> str:
        """Return a trial's state just before the tick; "" where there was no such trial."""
        trial = self._trials.get(number)
        if trial is None or trial.asked >= self.tick:
            return ""
        if not self.era.counts(number, self.removed):  # it has as good as failed
            return "failed"
        if any(begun < self.tick <= end for begun, end in self._pauses[number]):
            return "paused"
        if self._failed.get(number, self.tick) < self.tick:
            return "failed"
        is_over = trial.told is not None and trial.told < self.tick
        return trial.state if is_over else "running"
