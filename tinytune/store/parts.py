"""Studies that are part of another one: where their rows are, and how rows are moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinytune.digest import digest
from tinytune.draw import SEED_LIMIT
from tinytune.store import cells
from tinytune.store.sql import DEATHS
from tinytune.timeline import Part

DEEPEST = 20  # studies that were merged, within studies that were merged, …

_COLUMNS = (
    "start, ticks, first, trials, workers, lessons, taught, name, created, seed, defaults, "
    "source, chain"
)
SELECT_PARTS = f"SELECT {_COLUMNS} FROM part ORDER BY start"
INSERT_PART = f"INSERT INTO part ({_COLUMNS}) VALUES ({', '.join('?' * 13)})"

# What is counted on where rows are moved, for each table; all other columns stay as they are.
MOVED: dict[str, dict[str, str]] = {
    "version": {"tick": "start", "trial": "first", "first": "first"},
    "part": {"start": "start", "first": "first", "workers": "workers", "lessons": "lessons"},
    "lesson": {"number": "lessons"},
    "trial": {
        "number": "first", "confirms": "first", "asked": "start", "suggested": "start",
        "told": "start", "claimed": "start", "worker": "workers",
    },
    "attempt": {"trial": "first", "worker": "workers", "claimed": "start", "tick": "start"},
    "metric": {"trial": "first", "tick": "start"},
    "decision": {"trial": "first", "tick": "start"},
    "continuation": {"trial": "first", "upto": "start", "tick": "start"},
    "removal": {"removed": "start", "trial": "first", "restored": "start"},
}  # fmt: skip
BESIDE: dict[str, dict[str, str]] = {  # nothing is computed again from these
    "worker": {"id": "workers"},
    "output": {"trial": "first"},
    "source": {},
    "environment": {},
}
SELECT_COLUMNS = "SELECT name FROM pragma_table_info(?)"

COUNT_LESSONS = "SELECT count(*) FROM lesson"
SELECT_LINKS = """
SELECT link FROM trial WHERE told IS NOT NULL UNION SELECT link FROM attempt
"""
SELECT_LINKED = "SELECT number, link FROM trial WHERE told IS NOT NULL ORDER BY number"
SELECT_EDITS = """
SELECT removed FROM removal UNION SELECT restored FROM removal WHERE restored IS NOT NULL
UNION SELECT tick FROM version
"""
SELECT_ALL_NOTES = "SELECT trial, kind, text, time FROM note ORDER BY id"
ADD_NOTE = "INSERT OR IGNORE INTO note (trial, kind, text, time) VALUES (?, ?, ?, ?)"

# Digests of rows that hold their own numbers or ticks.
SEAL_MOVED = (
    """
UPDATE trial SET seal = digest(number, origin, search, seed, copied, params, asked, confirms,
                               repeat)
WHERE seal IS NOT NULL AND number >= ?1
""",
    "UPDATE removal SET seal = digest(removed, trial, restored, time) WHERE trial >= ?1",
    """
UPDATE output SET seal = digest(trial, attempt, stream, head, tail, left_out) WHERE trial >= ?1
""",
)
MOVE_CLOCK = """
UPDATE clock SET tick = ?, chain = ?, edited = ?, steps = steps + ?, complete = ?, stopped = ?,
                 failed = ?, paused = ?, died = ?, given_back = ?
"""
WITHOUT_BUDGETS = """
UPDATE study SET budget_steps = NULL, budget_seconds = NULL,
                 budget = (SELECT count(*) - count(confirms) FROM trial)
"""
DROP_CHECKPOINTS = "DELETE FROM checkpoint"

# Rows are taken out of a study with what has happened to them later, which is taken back here. ?1
# is the last tick that counts. What ran then, runs; what has run again since, waits.
TAKE_BACK = (
    "DELETE FROM attempt WHERE claimed > ?1",
    """
UPDATE trial SET state = 'waiting', told = NULL, link = NULL, claimed = NULL, started = NULL,
                 finished = NULL, seconds = NULL, cpu_seconds = NULL, memory_mb = NULL,
                 steps = NULL, value = NULL, results = NULL, violation = NULL, error = NULL,
                 traceback = NULL
WHERE told > ?1 OR claimed > ?1
""",
    """
UPDATE trial SET (state, attempt, worker, claimed, started) = (
    SELECT 'running', attempt, worker, claimed, started FROM attempt
    WHERE trial = number AND tick > ?1)
WHERE EXISTS (SELECT 1 FROM attempt WHERE trial = number AND tick > ?1)
""",
    "DELETE FROM attempt WHERE tick > ?1",
    "DELETE FROM metric WHERE tick > ?1",
    "DELETE FROM decision WHERE tick > ?1",
    "DELETE FROM continuation WHERE tick > ?1",
    "DELETE FROM removal WHERE removed > ?1",
    "UPDATE removal SET restored = NULL WHERE restored > ?1",
)
COUNT_DEATHS = f"UPDATE trial SET deaths = ({DEATHS}) WHERE told IS NULL"


def select(table: str, columns: Sequence[str], part: Part, *, back: bool = False) -> str:
    """Return the query for a table's rows, moved to where a part is, or taken from there."""
    moves = (MOVED | BESIDE)[table]
    sign = -1 if back else 1
    shown = []
    for column in columns:
        by = getattr(part, moves[column]) * sign if column in moves else 0
        by = -by if (table, column) == ("lesson", "number") else by
        shown.append(f"{column} + {by}" if by else column)
    where = f" WHERE {_own(table, part)}" if back else ""
    return f"SELECT {', '.join(shown)} FROM {table}{where}"


def _own(table: str, part: Part) -> str:
    """Return the condition for a part's rows."""
    within = f"> {part.start} AND {{0}} <= {part.end}"
    if table == "version":
        return f"tick {within.format('tick')}"
    if table == "part":
        return f"start {within.format('start')}"
    if table == "lesson":
        return f"-number > {part.lessons} AND -number <= {part.lessons + part.taught}"
    key = "number" if table == "trial" else "trial"
    return f"{key} >= {part.first} AND {key} < {part.first + part.trials}"


def insert(table: str, columns: Sequence[str]) -> str:
    """Return how rows are entered; texts that are there already are not entered twice."""
    known = "OR IGNORE " if table in ("source", "environment") else ""
    places = ", ".join("?" * len(columns))
    return f"INSERT {known}INTO {table} ({', '.join(columns)}) VALUES ({places})"


def joined(previous: str, part: Part) -> str:
    """Return the link that stands for all of a part's."""
    return digest(previous, part.start, part.chain)


def part(row: Sequence[Any]) -> Part:
    """Return a study that was merged into this one."""
    start, ticks, first, trials, workers, lessons, taught, *others = row
    name, created, seed, defaults, source, chain = others
    return Part(
        cells.whole(start),
        cells.whole(ticks),
        cells.whole(first),
        cells.whole(trials),
        cells.whole(workers),
        cells.whole(lessons),
        cells.whole(taught),
        cells.text(name),
        cells.time(created),
        cells.whole(seed, 0, SEED_LIMIT),
        bool(cells.whole(defaults, 0, 2)),
        None if source is None else cells.text(source),
        cells.text(chain),
    )


def values(part: Part) -> tuple[object, ...]:
    """Return a part's row."""
    *known, defaults, source, chain = part
    return (*known, int(defaults), source, chain)


def outermost(every: Sequence[Part]) -> list[Part]:
    """Return the parts that are in no other one; ValueError where they overlap otherwise."""
    around: list[Part] = []
    found: list[Part] = []
    for each in every:
        while around and around[-1].end < each.start:
            around.pop()
        outer = around[-1] if around else None
        if outer is None:
            if found and each.first < found[-1].first + found[-1].trials:
                raise ValueError(f"the study at tick {each.start} has trials of the one before")
            found.append(each)
        elif each.end > outer.end or not (
            outer.first <= each.first
            and each.first + each.trials <= outer.first + outer.trials
            and outer.lessons <= each.lessons
            and each.lessons + each.taught <= outer.lessons + outer.taught
            and outer.workers <= each.workers
        ):
            raise ValueError(f"the study at tick {each.start} lies across the one around it")
        around.append(each)
        if len(around) > DEEPEST:
            raise ValueError("studies were merged into each other too often")
    return found
