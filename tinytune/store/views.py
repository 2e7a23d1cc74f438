"""The views of a study's file, which spread parameters into columns for people."""

from __future__ import annotations

from tinytune.history import Goal
from tinytune.space import Space

CREATE_TRIALS_VIEW = """
CREATE VIEW trials AS SELECT number, state, origin, value, {columns}attempt, seconds,
    datetime(started, 'unixepoch') AS started, datetime(finished, 'unixepoch') AS finished, error
FROM trial
"""
CREATE_CURVES_VIEW = """
CREATE VIEW curves AS SELECT m.trial, m.name, m.step, m.value
FROM metric AS m JOIN trial AS t ON m.trial = t.number AND m.attempt = t.attempt
"""
CREATE_BEST_VIEW = """
CREATE VIEW best AS SELECT * FROM trials WHERE state = 'complete' AND origin <> 'confirm'
ORDER BY value{direction}, number
"""
VIEW_COLUMNS = frozenset(
    ["number", "state", "origin", "value", "attempt", "seconds", "started", "finished", "error"]
)


def views(space: Space, goal: Goal) -> list[str]:
    """Return the views that spread parameters into columns; names are Python identifiers."""
    columns = "".join(
        f"""json_extract(params, '$."{name}"') AS "{_column(name)}", """ for name in space.by_name
    )
    direction = " DESC" if goal.direction == "maximize" else ""
    return [
        CREATE_TRIALS_VIEW.format(columns=columns),
        CREATE_CURVES_VIEW,
        CREATE_BEST_VIEW.format(direction=direction),
    ]


def _column(name: str) -> str:
    return f"{name}_" if name in VIEW_COLUMNS else name
