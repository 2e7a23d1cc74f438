"""What people change beside the work on a study: its queries, and its rows as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinytune.history import Note, Removal, RuleSpec, SearchSpec, StudyRecord, Version
from tinytune.space import Space
from tinytune.store.cells import text, time, whole, written
from tinytune.store.rows import search_spec, stopping

EDIT = "UPDATE clock SET tick = tick + 1, edited = tick + 1 RETURNING tick"
REMOVE = """
INSERT INTO removal (removed, trial, time, seal) VALUES (?1, ?2, ?3, digest(?1, ?2, NULL, ?3))
"""
RESTORE = """
UPDATE removal SET restored = ?1, seal = digest(removed, trial, ?1, time)
WHERE trial = ?2 AND restored IS NULL
"""
SELECT_REMOVALS = "SELECT trial, removed, restored FROM removal ORDER BY removed"
SELECT_BROKEN_REMOVALS = """
SELECT trial FROM removal WHERE seal <> digest(removed, trial, restored, time)
"""
INSERT_VERSION = """
INSERT INTO version (tick, trial, first, space, search, stopping, time) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
# A version begins where a study that was merged does, and where that ends.
SELECT_VERSIONS = """
SELECT tick, trial, first, space, search, stopping, time, EXISTS (
    SELECT 1 FROM part AS p
    WHERE p.start = v.tick OR p.start + p.ticks < v.tick AND NOT EXISTS (
        SELECT 1 FROM version WHERE tick > p.start + p.ticks AND tick < v.tick))
FROM version AS v ORDER BY tick
"""
SELECT_EDITED = """
SELECT edited, max((SELECT coalesce(max(removed), 0) FROM removal),
                   (SELECT coalesce(max(restored), 0) FROM removal),
                   (SELECT coalesce(max(tick), 0) FROM version)) FROM clock
"""
ADD_TAG = "INSERT OR IGNORE INTO note (trial, kind, text, time) VALUES (?, 'tag', ?, ?)"
REMOVE_TAG = "DELETE FROM note WHERE trial = ? AND kind = 'tag' AND text = ?"
ADD_NOTE = "INSERT INTO note (trial, kind, text, time) VALUES (?, 'note', ?, ?)"
SELECT_NOTES = "SELECT trial, text, time FROM note WHERE kind = 'note' AND trial IS ? ORDER BY id"


def removal(row: Sequence[Any]) -> Removal:
    """Return from when to when a trial did not count."""
    trial, removed, restored = row
    return Removal(whole(trial), whole(removed), None if restored is None else whole(restored))


def version(row: Sequence[Any]) -> Version:
    """Return what a study is from one trial on."""
    tick, trial, first, space, search, rules, changed, begins = row
    numbers = whole(tick), whole(trial), whole(first)
    if numbers[2] > numbers[1]:
        raise ValueError("its search counts from a trial to come")
    return Version(
        *numbers,
        Space.from_json(text(space)),
        search_spec(search),
        *stopping(rules),
        time(changed),
        bool(begins),
    )


def applied(made: StudyRecord, versions: Sequence[Version]) -> list[StudyRecord]:
    """Return a study as it was made and in each version; ValueError where that makes no sense."""
    trial, first = 0, 0
    for each in versions:
        if each.trial < trial or each.first < first:
            raise ValueError(f"version {each.tick} begins before the one before")
        if each.space.by_name.keys() != made.space.by_name.keys():
            raise ValueError(f"version {each.tick} has other parameters")
        trial, first = each.trial, each.first
    return [made, *(each.of(made) for each in versions)]


def edited(row: Sequence[Any]) -> tuple[int, int]:
    """Return the tick of the latest change, as the clock has it, and as the changes say."""
    stored, found = row
    return whole(stored), whole(found)


def note(row: Sequence[Any]) -> Note:
    """Return what somebody has written about a trial, or about the study."""
    trial, words, written = row
    return Note(None if trial is None else whole(trial), text(words), time(written))


def search_json(search: SearchSpec) -> str:
    """Return a search as it is stored."""
    return written({"name": search.name, "version": search.version, "options": search.options})


def stopping_json(rules: Sequence[RuleSpec], audit: float) -> str | None:
    """Return stopping rules as they are stored."""
    return written({"rules": [rule._asdict() for rule in rules], "audit": audit}) if rules else None


def odd_ticks(ticks: Sequence[Any], last: int) -> tuple[int, int]:
    """Return the first tick that no row has, or the clock not, and how many there are."""
    if not all(isinstance(tick, int) for tick in ticks):
        return 0, len(ticks)  # somebody wrote texts or fractions
    found = sorted(ticks)
    within = [tick for tick in found if 1 <= tick <= last]
    outside = [tick for tick in found if not 1 <= tick <= last]
    gaps = (tick for tick, there in enumerate(within, start=1) if tick != there)
    first = next(gaps, len(within) + 1)
    count = last - len(within) + len(outside)
    if first > last:
        first = outside[0] if outside else 0
    return first, count
