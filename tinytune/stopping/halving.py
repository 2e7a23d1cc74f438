"""Rungs, at which the best of every few trials go on: what asha, hyperband and others share."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from tinytune.bounds import is_count, shown
from tinytune.errors import UsageError
from tinytune.stopping.curve import Curve, Facts

Entry: TypeAlias = tuple[float, int]  # a value, and the trial that had it
FINAL = frozenset({"complete", "stopped", "failed"})  # states of trials that do not go on


def check_rungs(
    name: str, min_steps: object, eta: object, max_steps: object, *, may_be_endless: bool = False
) -> None:
    """Raise UsageError where one of these options makes no sense."""
    for option, value, least in (("min_steps", min_steps, 1), ("eta", eta, 2)):
        if not is_count(value, least, 10**9):
            raise UsageError(f"{name}: {option} {shown(value)} must be a whole number from {least}")
    if not (may_be_endless and max_steps is None) and not (
        is_count(max_steps, 1, 10**9) and max_steps >= min_steps  # type: ignore[operator]
    ):
        raise UsageError(
            f"{name}: max_steps {shown(max_steps)} must be a whole number from min_steps"
        )


def check_pause(name: str, pause: object) -> None:
    """Raise UsageError where this is no yes or no."""
    if not isinstance(pause, bool):
        raise UsageError(f"{name}: pause {shown(pause)} must be true or false")


def ranked(facts: Mapping[str, str]) -> str:
    """Return a rank and its rung in words."""
    return (
        f"rank {facts['rank']} of {facts['trials']} trials after {facts['reports']} reports, "
        f"of which the best {facts['kept']} go on"
    )


@dataclass
class Halving:
    """Rungs at work: the values that were seen at each."""

    eta: int
    first: Callable[[int], int]  # a trial's number -> its first rung, in reports
    most: int | None
    group: Callable[[int], int] = lambda _: 0  # a trial's number -> with whom it is compared
    places: frozenset[int] | None = None
    """All rungs, in reports; None: the first one's times eta, eta^2, …"""
    _at: dict[tuple[int, int], list[Entry]] = field(default_factory=dict, init=False)
    """(group, reports) -> values and trials, rising."""
    _of: dict[tuple[int, int], float] = field(default_factory=dict, init=False)
    """(trial, reports) -> its value there."""

    def tell(self, curve: Curve) -> None:
        """Do nothing: what counts is what was seen at the rungs."""

    def rung(self, curve: Curve) -> bool:
        """Return whether a rung was reached by the last report.

        Those below the trial's first one are recorded too, for the searches, which learn from what
        all trials had after as many reports.
        """
        if curve.latest != len(curve) - 1 or (self.most and len(curve) >= self.most):
            return False
        if self.places is not None:
            return len(curve) in self.places
        place = self.first(curve.number)
        while place < len(curve):
            place *= self.eta
        return place == len(curve)

    def note(self, number: int, place: int, value: float) -> None:
        """Take in a trial's value at a rung; an attempt that was made again counts anew."""
        if not self.compares(number, place):
            return
        rung = (self.group(number), place)
        values = self._at.setdefault(rung, [])
        before = self._of.get((number, place))
        if before is not None:
            del values[bisect_left(values, (before, number))]
        self._of[number, place] = value
        insort(values, (value, number))

    def compares(self, number: int, place: int) -> bool:
        """Return whether a trial is compared with others at a rung, or it is below its first."""
        return place >= self.first(number)

    def decide(self, curve: Curve) -> Facts | None:
        """Return the trial's rank at the rung it has reached, None where it is good enough."""
        if not self.rung(curve) or not self.compares(curve.number, len(curve)):
            return None
        value, place = curve.values[-1], len(curve)
        values = self._at.get((self.group(curve.number), place), [])
        kept = max(1, len(values) // self.eta)
        rank = 1 + bisect_left(values, (value, -1))  # ties are not worse
        if rank <= kept:
            return None
        return facts_of(rank, len(values), place, kept)


@dataclass
class Pausing(Halving):
    """Rungs at which trials are paused, to be resumed later."""

    pauses: ClassVar[bool] = True
    _climbed: dict[int, int] = field(default_factory=dict, init=False)
    """Trial -> the highest rung from which it was resumed."""

    def resumed(self, number: int, place: int) -> None:
        """Take in that a paused trial was let on from a rung."""
        self._climbed[number] = max(place, self._climbed.get(number, 0))

    def has_climbed(self, number: int, place: int) -> bool:
        """Return whether a trial was let on from a rung, or from a higher one."""
        return place <= self._climbed.get(number, 0)


@dataclass
class Ladder(Pausing):
    """Rungs at which trials are paused unless they are among the best there, and until they are."""

    _top: dict[int, int] = field(default_factory=dict, init=False)
    """Trial -> the rung where it was seen last, and may pause."""
    _here: dict[tuple[int, int], list[Entry]] = field(default_factory=dict, init=False)
    """Of `_at`, those that were seen there last."""

    def note(self, number: int, place: int, value: float) -> None:
        """Take in a trial's value at a rung, where it may pause unless it was let on from there."""
        if not self.compares(number, place):
            return
        for rung in {place, self._top.get(number, place)}:
            self._leave(number, rung)
        super().note(number, place, value)
        if not self.has_climbed(number, place):
            self._top[number] = place
            insort(self._here.setdefault((self.group(number), place), []), (value, number))

    def resumed(self, number: int, place: int) -> None:
        """Take in that a paused trial was let on from a rung."""
        self._leave(number, place)
        super().resumed(number, place)

    def _leave(self, number: int, place: int) -> None:
        if (number, place) in self._of:
            here = self._here.get((self.group(number), place), [])
            _drop(here, (self._of[number, place], number))

    def decide(self, curve: Curve) -> Facts | None:
        """Return the trial's rank at the rung where it pauses, None where it goes on."""
        place = len(curve)
        if not self.rung(curve) or not self.compares(curve.number, place):
            return None
        if self.has_climbed(curve.number, place):
            return None
        values = self._at.get((self.group(curve.number), place), [])
        kept = len(values) // self.eta
        rank = 1 + bisect_left(values, (curve.values[-1], curve.number))
        return None if rank <= kept else facts_of(rank, len(values), place, kept)

    def promotable(self, state: Callable[[int], str]) -> tuple[int, Facts] | None:
        """Return the paused trial to be resumed: the best one of the highest rung that has one.

        `state` tells a trial's.
        """
        for rung in sorted(self._here, key=lambda rung: (-rung[1], rung[0])):
            values, here = self._at[rung], self._here[rung]
            kept = len(values) // self.eta
            for entry in here[: bisect_right(here, values[kept - 1])] if kept else ():
                now = state(entry[1])
                if now == "paused":
                    rank = 1 + bisect_left(values, entry)
                    return entry[1], facts_of(rank, len(values), rung[1], kept)
                if now in FINAL:
                    _drop(here, entry)
        return None


def _drop(entries: list[Entry], entry: Entry) -> None:
    """Remove an entry from a rising list, where it is in it."""
    place = bisect_left(entries, entry)
    if place < len(entries) and entries[place] == entry:
        del entries[place]


def facts_of(rank: int, trials: int, place: int, kept: int) -> Facts:
    """Return what a rung says of a trial."""
    return {"rank": rank, "trials": trials, "reports": place, "kept": kept}
