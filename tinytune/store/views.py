"""A study's views: for people, who read its file with `sqlite3` alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tinytune.history import StudyRecord

CREATE_TRIALS_VIEW = """
CREATE VIEW trials AS SELECT number, state, origin, value, {columns}attempt, seconds,
    cpu_seconds, memory_mb, steps, datetime(started, 'unixepoch') AS started,
    datetime(finished, 'unixepoch') AS finished, error
FROM trial
"""
CREATE_CURVES_VIEW = """
CREATE VIEW curves AS SELECT m.trial, m.name, m.step, m.value
FROM metric AS m JOIN trial AS t ON m.trial = t.number AND m.attempt = t.attempt
"""
CREATE_BEST_VIEW = """
CREATE VIEW best AS SELECT * FROM trials AS a
WHERE state = 'complete' AND origin <> 'confirm'{met}
    AND number NOT IN (SELECT trial FROM removal WHERE restored IS NULL){front}
ORDER BY value{direction}, number
"""
VIEW_COLUMNS = frozenset(
    ("number", "state", "origin", "value", "attempt", "seconds", "cpu_seconds", "memory_mb",
     "steps", "started", "finished", "error", "violation")
)  # fmt: skip


def views(record: StudyRecord) -> list[str]:
    """Return the views that spread results and parameters into columns.

    Parameters' names are Python identifiers; those of several objectives have no quotes in them.
    `best` holds the Pareto front where there are several, and only what meets the requirements.
    """
    goals, params = record.goals, record.space.by_name
    found = [goal.name for goal in goals[1:]]
    columns = "".join(
        f"""json_extract(results, '$."{n}"') AS "{_result(n, params)}", """ for n in found
    )
    columns += "violation, " if record.subject_to else ""
    columns += "".join(
        f"""json_extract(params, '$."{name}"') AS "{_column(name)}", """ for name in params
    )
    names = ["value", *(_result(name, params) for name in found)]
    front = _front(names, [goal.direction for goal in goals], is_limited=bool(record.subject_to))
    return [
        CREATE_TRIALS_VIEW.format(columns=columns),
        CREATE_CURVES_VIEW,
        CREATE_BEST_VIEW.format(
            direction=" DESC" if goals[0].direction == "maximize" else "",
            met=" AND violation = 0" if record.subject_to else "",
            front=front if len(goals) > 1 else "",
        ),
    ]


def _front(names: Sequence[str], directions: Sequence[str], *, is_limited: bool) -> str:
    """Return the condition that no other trial is nowhere worse and somewhere better."""
    signs = ["<" if direction == "minimize" else ">" for direction in directions]
    pairs = list(zip(names, signs, strict=True))
    nowhere = " AND ".join(f'b."{name}" {sign}= a."{name}"' for name, sign in pairs)
    somewhere = " OR ".join(f'b."{name}" {sign} a."{name}"' for name, sign in pairs)
    met = " AND b.violation = 0" if is_limited else ""
    return f""" AND NOT EXISTS (
    SELECT 1 FROM trials AS b WHERE b.state = 'complete' AND b.origin <> 'confirm'{met}
        AND b.number NOT IN (SELECT trial FROM removal WHERE restored IS NULL)
        AND {nowhere} AND ({somewhere}))"""


def _result(name: str, taken: Collection[str]) -> str:
    """Return a result's column: beside those of the view itself, and of the parameters."""
    columns = {*VIEW_COLUMNS, *map(_column, taken)}
    while name in columns:
        name += "_"
    return name


def _column(name: str) -> str:
    return f"{name}_" if name in VIEW_COLUMNS else name
