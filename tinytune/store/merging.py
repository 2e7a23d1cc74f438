"""Puts one study's rows into another, and takes them out again; all of it happens in memory."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from tinytune import __version__, db
from tinytune.errors import StudyFileError
from tinytune.history import ObjectiveReference, StudyRecord
from tinytune.space import Params
from tinytune.store import changes, parts, sql
from tinytune.store.cells import written
from tinytune.store.editor import Editor
from tinytune.store.made import statements
from tinytune.store.reader import Reader
from tinytune.timeline import Part


class Merging(Editor):
    """A copy of a study in memory, which takes in others and becomes a file in the end."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, database=db.copy_in_memory(path))

    def links(self) -> set[str]:
        """Return the links of all attempts that ended: equal ones have the same history."""
        return {link for (link,) in self.raw(parts.SELECT_LINKS)}

    def linked(self) -> list[tuple[int, str]]:
        """Return number and link of each trial that has ended, by number."""
        return [(number, link) for number, link in self.raw(parts.SELECT_LINKED)]

    def edits(self) -> set[int]:
        """Return the ticks of all changes that people have made."""
        return {tick for (tick,) in self.raw(parts.SELECT_EDITS)}

    def suggest_late(self, number: int, params: Params, origin: str, search: str) -> None:
        """Write the configuration of a trial that was asked for, though its worker has not."""
        with self._db.transaction():
            tick = self.tick() + 1
            self._db.change(sql.SET_TICK, (tick,))
            self._db.change(sql.SET_PARAMS, (written(params), tick, origin, search, number))

    def take_in(self, other: Merging) -> Part:
        """Append all rows of another study, as part of this one."""
        record = other.study()
        (workers, _) = self._db.one(sql.SELECT_LAST_WORKER) or (0, 0)
        (lessons,) = self.raw(parts.COUNT_LESSONS)[0]
        (taught,) = other.raw(parts.COUNT_LESSONS)[0]
        number, ticks, trials = self.next_number(), other.tick(), other.next_number()
        of = (other.path.name, record.created, record.seed, record.use_defaults,
              record.source_hash, other.chain())  # fmt: skip
        with self._db.transaction():
            part = Part(self.tick() + 1, ticks, number, trials, workers, lessons, taught, *of)
            for table in (*parts.BESIDE, *parts.MOVED):
                self._move(other, table, part)
            made = other.timeline().records[0]
            self._db.change(changes.INSERT_VERSION, (part.start, number, number, *_row(made)))
            self._db.change(parts.INSERT_PART, parts.values(part))
            for query in parts.SEAL_MOVED:
                self._db.change(query, (number,))
            spent = self.spent()
            for _, _, ending, _, seconds, *_ in other.raw(sql.SELECT_ENDINGS):
                spent[ending] += seconds or 0.0
            chain = parts.joined(self.chain(), part)
            self._db.change(
                parts.MOVE_CLOCK, (part.end, chain, part.start, other.steps(), *spent.values())
            )
        self.add_notes(other, number)
        return part

    def _move(self, other: Merging, table: str, part: Part) -> None:
        columns = _columns(other, table)
        found = other.raw(parts.select(table, columns, part))
        self._db.change_many(parts.insert(table, columns), found)

    def add_notes(self, other: Merging, first: int) -> None:
        """Take over notes and tags of another study that are not here; its trial 0 is `first`."""
        with self._db.transaction():
            known = set(self.raw(parts.SELECT_ALL_NOTES))
            for trial, *note in other.raw(parts.SELECT_ALL_NOTES):
                row = (None if trial is None else first + trial, *note)
                if row not in known:
                    self._db.change(parts.ADD_NOTE, row)

    def end(
        self, record: StudyRecord, objective: ObjectiveReference, doubles: Iterable[int]
    ) -> None:
        """Go on as this study from here, without trials that are here twice; nothing runs now."""
        now, number = time.time(), self.next_number()
        with self._db.transaction():
            if self.parts():
                version = (self._edit(), number, number, *_row(record))
                self._db.change(changes.INSERT_VERSION, version)
                self._db.change(parts.WITHOUT_BUDGETS)
            for double in doubles:
                self._db.change(changes.REMOVE, (self._edit(), double, now))
            for running in self.running():
                self._release(running.token.worker, "left", died=False)
            self._db.change(parts.DROP_CHECKPOINTS)
            self._db.change(sql.SET_OBJECTIVE, (written(objective.to_json()),))
            self._db.change(sql.SEAL)

    def publish(self, target: Path) -> None:
        """Make it a file; StudyFileError, with nothing changed, if there is one at the target."""
        if not db.publish(self._db, target):
            raise StudyFileError(f"{target} exists already: name another file")


def taken_out(reader: Reader, part: Part) -> Reader:
    """Return a study as it was when it was merged, without what nothing is proved of."""
    timeline = reader.timeline()
    ticks = [version.tick for version in timeline.versions]
    if part.start not in ticks:
        raise StudyFileError(
            f"{reader.path} does not say what {part.name} was, which was merged into it: restore "
            "it from a copy"
        )
    made = timeline.records[ticks.index(part.start) + 1]._replace(
        seed=part.seed,
        use_defaults=part.use_defaults,
        first=0,
        lessons=(),
        budget=None,
    )
    database = db.in_memory(reader.path, statements(made, None, __version__))
    inner = Reader(reader.path, database)
    for table in parts.MOVED:
        columns = _columns(reader, table)
        found = reader.raw(parts.select(table, columns, part, back=True))
        database.change_many(parts.insert(table, columns), found)
    for query in parts.TAKE_BACK:
        database.change(query, (part.ticks,))
    database.change(parts.COUNT_DEATHS)
    ((_, edited),) = inner.raw(changes.SELECT_EDITED)
    steps = inner.counted_steps(part.ticks)
    spent = dict.fromkeys(sql.ENDINGS, 0.0)
    for _, _, ending, _, seconds, *_ in database.all(sql.SELECT_ENDINGS):
        spent[ending] += seconds or 0.0
    database.change(parts.MOVE_CLOCK, (part.ticks, part.chain, edited, steps, *spent.values()))
    return inner


def _columns(reader: Reader, table: str) -> list[str]:
    return [name for (name,) in reader.raw(parts.SELECT_COLUMNS, (table,))]


def _row(record: StudyRecord) -> tuple[str, str, str | None, float]:
    """Return what a version's row holds of a study, with the time of now."""
    return (
        record.space.to_json(), changes.search_json(record.search),
        changes.stopping_json(record.stopping, record.audit), time.time(),
    )  # fmt: skip
