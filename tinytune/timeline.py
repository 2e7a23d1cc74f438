"""What people have changed about a study, and from which tick or trial on it holds.

Trial n was made from what had a lower tick than its first claim; so were the changes that it saw.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import NamedTuple

from tinytune.history import Removal, StudyRecord, Version

_END = 1 << 62  # above all numbers of trials


class Era(NamedTuple):
    """Versions of a study, one after another, that have the same stopping rules."""

    place: int  # of the first of them, among the records
    record: StudyRecord
    trials: range  # the numbers of their trials

    def counts(self, number: int, removed: frozenset[int]) -> bool:
        """Return whether a trial's rungs are compared with those of the others."""
        return number in self.trials and number not in removed


class Part(NamedTuple):
    """A study that was merged into this one: its trial n is trial first + n here, and so on."""

    start: int  # what had tick t there has start + t here
    ticks: int  # how many it had taken
    first: int
    trials: int  # how many it had
    workers: int  # how many others were here before its own
    lessons: int  # likewise
    taught: int  # how many lessons it had
    name: str  # of its file
    created: float  # Unix seconds
    seed: int
    use_defaults: bool
    source: str | None  # hash of the objective's text that it had accepted
    chain: str  # the last link there

    @property
    def end(self) -> int:
        """The last of its ticks here."""
        return self.start + self.ticks

    def spans(self, tick: int) -> bool:
        """Return whether a tick is one of its own."""
        return self.start < tick <= self.end

    def holds(self, number: int) -> bool:
        """Return whether a trial is one of its own."""
        return self.first <= number < self.first + self.trials


def _eras(
    firsts: Sequence[int], records: Sequence[StudyRecord], versions: Sequence[Version]
) -> Iterator[Era]:
    blocks = accumulate([0, *(version.begins for version in versions)])
    keys = [(b, r.stopping, r.audit) for b, r in zip(blocks, records, strict=True)]
    same = groupby(enumerate(records), lambda each: keys[each[0]])
    begins = [next(some) for _, some in same]
    ends = [firsts[place] for place, _ in begins[1:]] + [_END]
    for (place, record), end in zip(begins, ends, strict=True):
        yield Era(place, record, range(firsts[place], end))


class Timeline:
    """The changes of a study up to a tick."""

    def __init__(
        self,
        records: Sequence[StudyRecord],
        versions: Sequence[Version] = (),
        removals: Sequence[Removal] = (),
        edited: int = 0,
    ) -> None:
        self.records, self.versions = records, versions
        """The study as it was made, and in each version: one more than there are versions."""
        self.edited = edited
        """The tick of the latest change; later ones may be here too."""
        self._removals = removals
        self._trials = [version.trial for version in versions]
        self.eras = tuple(_eras([0, *self._trials], records, versions))
        ends = (tick for each in removals for tick in (each.removed, each.restored))
        self._ticks = sorted(tick for tick in ends if tick is not None)
        self._last: tuple[int, frozenset[int]] = (0, frozenset())  # after so many of the ticks

    def at(self, number: int) -> StudyRecord:
        """Return the study as it was for a trial."""
        return self.records[bisect_right(self._trials, number)]

    def era_at(self, number: int) -> Era:
        """Return the era of a trial: its stopping rules stay those that it began with."""
        return self.era_of(bisect_right(self._trials, number))

    def era_on(self, tick: int) -> Era:
        """Return the era at a tick."""
        return self.era_of(bisect_left([version.tick for version in self.versions], tick))

    def era_of(self, place: int) -> Era:
        """Return the era of a version, by its place among the records."""
        return self.eras[bisect_right([era.place for era in self.eras], place) - 1]

    def removed(self, tick: int) -> frozenset[int]:
        """Return the trials that did not count at a tick."""
        after = bisect_left(self._ticks, tick)
        if after != self._last[0]:
            found = (each.trial for each in self._removals if each.holds(tick))
            self._last = (after, frozenset(found))
        return self._last[1]
