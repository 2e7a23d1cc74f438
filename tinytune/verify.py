"""Recomputes a study from its file: each suggestion on what it had seen, and all digests.

Nothing of the user's is run. One difference does not make what follows differ: each suggestion is
recomputed on the recorded results, not on recomputed ones.
"""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import groupby
from typing import Literal, TypeAlias

from tinytune import draw, stopping
from tinytune.errors import TinytuneError
from tinytune.history import Finished, Pending, StudyRecord, TrialRecord, Version
from tinytune.search.fold import Fold
from tinytune.space import Params, Space
from tinytune.store.merging import taken_out
from tinytune.store.reader import Reader
from tinytune.timeline import Part, Timeline
from tinytune.verify_stops import Stops, verify_stops

Status: TypeAlias = Literal["exact", "differs", "not applicable"]
Progress: TypeAlias = Callable[[int, int], None]  # how many are done, of how many

_NOT_RECOMPUTED = {
    "manual": "it was given by hand",
    "copy": "it repeats another study's trial",
}


@dataclass(frozen=True)
class Difference:
    """A parameter whose stored value is not the one that was computed."""

    name: str
    stored: object
    computed: object
    distance: float | None  # in the unit interval; None where one of them is missing


@dataclass(frozen=True)
class Verdict:
    """What became of one trial's suggestion."""

    number: int
    status: Status
    reason: str = ""
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Verification:
    """What was found: a verdict for each trial, and what else in the file is not as it was."""

    verdicts: tuple[Verdict, ...]
    problems: tuple[str, ...]
    stops: int = 0  # of trials, by stopping rules, that were recomputed exactly
    pauses: int = 0  # the same
    unjudged: str = ""  # why decisions of stopping rules could not be recomputed

    def count(self, status: Status) -> int:
        """Return how many trials have this status."""
        return sum(verdict.status == status for verdict in self.verdicts)

    @property
    def is_good(self) -> bool:
        """Whether nothing differs."""
        return not self.problems and not self.count("differs")


def verify(reader: Reader, progress: Progress, *, is_part: bool = False) -> Verification:
    """Return what recomputing a study gives; `progress` is called as it goes on.

    Studies that were merged into it are recomputed as they were before; a part was taken out so,
    and its seals are the whole's.
    """
    with _without_collector():
        return _verified(reader, progress, is_part=is_part)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Spare Python looking at all records over and over for circles, of which they have none."""
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_on:
            gc.enable()


def _verified(reader: Reader, progress: Progress, *, is_part: bool) -> Verification:
    record, trials = reader.study(), reader.trials()
    total = 2 * len(trials)  # each has a suggestion and, most of them, a link
    verdicts = []
    for verdict in _verdicts(reader, trials):
        verdicts.append(verdict)
        progress(len(verdicts), total)
    problems = list(digests(reader, record, trials, progress, is_part=is_part))
    unjudged = _unjudged(reader)
    stops = Stops() if unjudged else verify_stops(reader, trials, lambda: progress(total, total))
    problems += stops.problems
    found = Verification(tuple(verdicts), tuple(problems), stops.exact, stops.pauses, unjudged)
    for part in reader.parts():
        with taken_out(reader, part) as inner:
            found = _with(found, part, verify(inner, lambda *_: None, is_part=True))
        progress(total, total)
    return found


def _unjudged(reader: Reader) -> str:
    """Return why a study's stopping rules cannot be asked again, or nothing."""
    try:
        for record in reader.timeline().records:
            for rule in record.stopping:
                stopping.from_spec(rule)
    except TinytuneError as error:  # an unknown rule, or another version of it
        return str(error)
    return ""


def _with(found: Verification, part: Part, other: Verification) -> Verification:
    """Return what was found together with what was found of a part."""
    verdicts = [
        *found.verdicts,
        *(replace(verdict, number=verdict.number + part.first) for verdict in other.verdicts),
    ]
    problems = (f"{part.name}, merged from trial {part.first} on: {p}" for p in other.problems)
    return Verification(
        tuple(sorted(verdicts, key=lambda verdict: verdict.number)),
        (*found.problems, *problems),
        found.stops + other.stops,
        found.pauses + other.pauses,
        found.unjudged or other.unjudged,
    )


def _verdicts(reader: Reader, trials: list[TrialRecord]) -> Iterator[Verdict]:
    """Recompute each trial in the version of the study under which it was suggested."""
    timeline, parts = reader.timeline(), reader.parts()
    past = cache(partial(_Past, reader, trials))
    own = [trial for trial in trials if not any(part.holds(trial.number) for part in parts)]
    in_order = sorted(own, key=lambda trial: trial.asked)
    for record, some in groupby(in_order, key=lambda trial: timeline.at(trial.number)):
        of_version = list(some)
        try:
            fold = Fold(record)
        except TinytuneError as error:  # an unknown search, or another version of it
            for trial in of_version:
                yield Verdict(trial.number, "not applicable", str(error))
        else:
            yield from _recomputed(record, fold, of_version, trials, past, timeline)


def _recomputed(
    record: StudyRecord,
    fold: Fold,
    of_version: list[TrialRecord],
    trials: list[TrialRecord],
    past: Callable[[], _Past],
    timeline: Timeline,
) -> Iterator[Verdict]:
    """Recompute the trials of one version, each from what had happened before."""
    others = sorted(trial.number for trial in trials if trial.origin in ("manual", "confirm"))
    skipped = record.first - bisect_left(others, record.first)
    by_number = {trial.number: trial for trial in trials}
    removed, is_told = frozenset[int](), False
    for trial in of_version:
        if trial.confirms is not None:
            yield _repeated(trial, by_number.get(trial.confirms), record.space)
            continue
        reason = _why_not(trial, record)
        if reason:
            yield Verdict(trial.number, "not applicable", reason)
            continue
        if not fold.learns:  # a suggestion depends on how many the search had made
            place, pending = trial.number - skipped - bisect_left(others, trial.number), []
        else:
            told = past().results(before=trial.asked)
            if removed != timeline.removed(trial.asked):  # what was removed must be forgotten
                removed, is_told, fold = timeline.removed(trial.asked), False, Fold(record)
            results = told if is_told else past().told
            fold.tell(result for result in results if result.number not in removed)
            is_told = True
            place, pending = trial.number - record.first, past().pending
        yield _compared(trial, fold, place, pending, record.space)


class _Past:
    """What had happened before each tick; asked for in the order of ticks."""

    def __init__(self, reader: Reader, trials: list[TrialRecord]) -> None:
        self._results = reader.history(before=reader.tick() + 1)
        self._told = 0  # so many results were handed out
        self._open: dict[int, Pending] = {}
        events = [
            (trial.suggested, trial.number, trial.params)
            for trial in trials
            if trial.suggested is not None and trial.params is not None and trial.confirms is None
        ]
        self._suggested = sorted(events, key=lambda event: event[0])
        self._begun = 0  # so many suggestions had been made

    @property
    def pending(self) -> list[Pending]:
        """The trials that were suggested and not told, by number."""
        return [self._open[number] for number in sorted(self._open)]

    @property
    def told(self) -> list[Finished]:
        """All results that were handed out."""
        return self._results[: self._told]

    def results(self, before: int) -> list[Finished]:
        """Return the results since the last call up to a tick, and move on to it."""
        while self._begun < len(self._suggested) and self._suggested[self._begun][0] < before:
            _, number, params = self._suggested[self._begun]
            self._open[number] = Pending(number, params)
            self._begun += 1
        start = self._told
        while self._told < len(self._results) and self._results[self._told].told < before:
            self._open.pop(self._results[self._told].number, None)
            self._told += 1
        return self._results[start : self._told]


def _why_not(trial: TrialRecord, record: StudyRecord) -> str:
    """Return why a trial's suggestion cannot be recomputed, or nothing."""
    if trial.params is None:
        return "it was never suggested"
    if trial.search.partition(" ")[0] != record.search.label:
        return (
            f"it was suggested by {trial.search}, and the study's search is {record.search.label}"
        )
    return _NOT_RECOMPUTED.get(trial.origin, "")


def _compared(
    trial: TrialRecord, fold: Fold, place: int, pending: list[Pending], space: Space
) -> Verdict:
    made = fold.answer(place, pending)
    if made is None:
        return Verdict(trial.number, "differs", "the search suggests nothing here")
    computed, origin, label = made
    differences = _differences(trial.params or {}, computed, space)
    if differences:
        return Verdict(trial.number, "differs", "", differences)
    if trial.origin != origin:
        return Verdict(trial.number, "differs", f"its origin is not {trial.origin!r}")
    if trial.search != label:
        return Verdict(trial.number, "differs", f"{label} suggests it, not {trial.search}")
    return Verdict(trial.number, "exact")


def _repeated(trial: TrialRecord, confirmed: TrialRecord | None, space: Space) -> Verdict:
    """Return whether a trial has the configuration of the one that it confirms."""
    is_there = confirmed is not None and confirmed.confirms is None
    if confirmed is None or not is_there or confirmed.state != "complete":
        return Verdict(trial.number, "differs", f"trial {trial.confirms} has nothing to confirm")
    differences = _differences(trial.params or {}, confirmed.params or {}, space)
    return Verdict(trial.number, "differs" if differences else "exact", "", differences)


def _differences(stored: Params, computed: Params, space: Space) -> tuple[Difference, ...]:
    if _is_same(stored, computed):  # as good as always
        return ()
    different = [
        name
        for name in dict.fromkeys([*stored, *computed])
        if name not in stored or name not in computed or repr(stored[name]) != repr(computed[name])
    ]
    return tuple(_difference(space, name, stored, computed) for name in different)


def _is_same(stored: Params, computed: Params) -> bool:
    """Return at once whether two configurations are the same; False also where a zero has a sign.

    Equal numbers may differ: 1, 1.0 and true, or 0.0 and -0.0.
    """
    kinds = [*map(type, stored.values())] == [*map(type, computed.values())]
    return kinds and stored == computed and [*stored] == [*computed] and 0 not in stored.values()


def _difference(space: Space, name: str, stored: Params, computed: Params) -> Difference:
    distance = None
    if name in space.by_name and name in stored and name in computed:
        unit = space.by_name[name].distribution.to_unit
        with suppress(ValueError, ArithmeticError):  # it may be no value of this parameter
            distance = abs(unit(stored[name]) - unit(computed[name]))
    return Difference(name, stored.get(name), computed.get(name), distance)


def _seed(trial: TrialRecord, record: StudyRecord) -> int:
    if trial.repeat is not None:
        return draw.confirm_seed(record.seed, trial.repeat)
    return draw.trial_seed(record.seed, trial.number)


def digests(
    reader: Reader,
    record: StudyRecord,
    trials: list[TrialRecord],
    progress: Progress = lambda *_: None,
    *,
    is_part: bool = False,
) -> Iterator[str]:
    """Yield what is not as it was written, without computing any suggestion again."""
    count = len(trials)
    broken = reader.broken_links(lambda more: progress(min(count + more, 2 * count), 2 * count))
    missing = sorted(set(range(len(trials))) - {trial.number for trial in trials})
    if missing:
        yield f"trial {missing[0]} is missing"
    yield from _odd_seeds(reader, record, trials)
    yield from _out_of_version(reader.timeline().versions, trials)
    for number in broken:
        if number < 0:
            yield "the end of the chain is missing, or the clock was changed"
        else:
            yield f"trial {number}, its metrics or an attempt at it were changed afterwards"
    counted = reader.counted_steps(reader.tick())
    if counted != reader.steps():
        yield f"{counted} steps were reported, and the clock says {reader.steps()}"
    for number in reader.broken_copies():
        yield f"trial {number} went on from a checkpoint with other reports than it had before it"
    tick, count = reader.odd_ticks()
    if count:
        yield f"what was written at tick {tick} is gone or was moved ({count} such ticks)"
    for what in () if is_part else reader.broken_seals():
        yield f"{what} was changed afterwards"


def _odd_seeds(reader: Reader, record: StudyRecord, trials: list[TrialRecord]) -> Iterator[str]:
    parts = reader.parts()  # whose trials have the seeds of other studies
    for trial in trials:
        is_own = not any(part.holds(trial.number) for part in parts)
        if is_own and trial.copied is None and trial.seed != _seed(trial, record):
            yield f"the seed of trial {trial.number} is not the study's"


def _out_of_version(versions: Sequence[Version], trials: list[TrialRecord]) -> Iterator[str]:
    """Yield which trials were asked for before their version was made, or after it was replaced."""
    for version in versions:
        for trial in trials:
            if (trial.asked > version.tick) != (trial.number >= version.trial):
                yield f"trial {trial.number} was not made in the version of its tick"
                break
