"""Every query on a study's file, as a named constant, and its views."""

from __future__ import annotations

from tinytune.history import Goal
from tinytune.space import Space

INSERT_STUDY = """
INSERT INTO study (id, created, version, space, search, objectives, settings, seed, defaults,
                   budget, objective, source)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_CLOCK = "INSERT INTO clock (id, tick) VALUES (1, 0)"
INSERT_SOURCE = "INSERT OR IGNORE INTO source (hash, path, text, first) VALUES (?, ?, ?, ?)"
SELECT_STUDY = """
SELECT space, search, objectives, settings, seed, defaults, budget, objective, source, created
FROM study
"""
SELECT_VIEWS = "SELECT sql FROM sqlite_schema WHERE type = 'view'"
SELECT_SOURCE = "SELECT hash, path, text FROM source WHERE hash = ?"
SELECT_VOUCHER = "SELECT 1 FROM voucher WHERE mark = ?"
INSERT_VOUCHER = "INSERT OR IGNORE INTO voucher (mark) VALUES (?)"
SET_OBJECTIVE = "UPDATE study SET objective = ?"
SET_BUDGET = "UPDATE study SET budget = ?"
SET_SOURCE = "UPDATE study SET source = ?"

INSERT_WORKER = """
INSERT INTO worker (host, machine, boot, namespace, pid, birth, version, python, source, joined)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
"""
SELECT_WORKERS = """
SELECT id, beat, host, machine, boot, namespace, pid, birth FROM worker
WHERE id IN (SELECT worker FROM trial WHERE state = 'running')
"""
SELECT_OPEN_WORKERS = "SELECT id FROM worker WHERE pid = ? AND birth = ? AND ended IS NULL"
END_WORKER = "UPDATE worker SET ended = ?, ending = ? WHERE id = ? AND ended IS NULL"
BEAT = "UPDATE worker SET beat = beat + 1 WHERE id = ?"

SELECT_TICK = "SELECT tick FROM clock"
SET_TICK = "UPDATE clock SET tick = ?"
TICK_IF_HELD = """
UPDATE clock SET tick = tick + 1 WHERE EXISTS (
    SELECT 1 FROM trial WHERE number = ? AND attempt = ? AND worker = ? AND state = 'running')
RETURNING tick
"""
SELECT_NEXT = """
SELECT (SELECT tick FROM clock),
       (SELECT budget FROM study),
       (SELECT coalesce(max(number) + 1, 0) FROM trial),
       (SELECT min(number) FROM trial WHERE state = 'waiting')
"""
NEXT_NUMBER = "SELECT coalesce(max(number) + 1, 0) FROM trial"
INSERT_TRIAL = """
INSERT INTO trial (number, state, origin, search, params, asked, suggested, attempt, worker,
                   started)
VALUES (?, 'running', ?, ?, ?, ?, ?, 1, ?, ?)
"""
TAKE_WAITING = """
UPDATE trial SET state = 'running', attempt = attempt + 1, worker = ?, started = ?
WHERE number = ? RETURNING attempt, asked, params
"""
SET_PARAMS = "UPDATE trial SET params = ?, suggested = ?, origin = ? WHERE number = ?"
INSERT_METRIC = """
INSERT INTO metric (trial, attempt, name, step, tick, value, time) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
TELL = """
UPDATE trial SET state = ?, told = ?, finished = ?, seconds = ?, value = ?, results = ?, error = ?,
                 traceback = ?
WHERE number = ?
"""
KEEP_FAILURE = """
INSERT INTO attempt (trial, attempt, worker, started, ended, tick, ending, error)
SELECT number, attempt, worker, coalesce(started, finished), finished, told, 'failed', error
FROM trial WHERE number = ? AND state = 'failed'
"""
RETRY = """
UPDATE trial SET state = 'waiting', deaths = 0, told = NULL, started = NULL, finished = NULL,
                 seconds = NULL, error = NULL, traceback = NULL
WHERE number = ? AND state = 'failed'
"""
SELECT_DAMAGE = "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'"
SELECT_ORPHANS = 'SELECT "table", rowid, parent FROM pragma_foreign_key_check'
SELECT_STRAY_METRICS = """
SELECT DISTINCT m.trial FROM metric AS m LEFT JOIN trial AS t ON m.trial = t.number
WHERE t.number IS NULL OR m.attempt NOT BETWEEN 1 AND t.attempt
"""
INSERT_ATTEMPT = """
INSERT INTO attempt (trial, attempt, worker, started, ended, tick, ending)
SELECT number, attempt, worker, started, ?, ?, ? FROM trial WHERE number = ?
"""
SELECT_RUNNING_OF = "SELECT number, deaths FROM trial WHERE state = 'running' AND worker = ?"
GIVE_BACK = """
UPDATE trial SET state = 'waiting', deaths = deaths + ?, started = NULL WHERE number = ?
"""
FAIL_DEAD = """
UPDATE trial SET state = 'failed', deaths = deaths + 1, told = ?, finished = ?, error = ?
WHERE number = ?
"""

TRIAL_COLUMNS = """
SELECT number, state, origin, search, params, value, results, attempt, deaths, worker, asked,
       suggested, told, started, finished, seconds, error, traceback FROM trial
"""
SELECT_TRIALS = f"{TRIAL_COLUMNS} ORDER BY number"
SELECT_TRIALS_IN = f"{TRIAL_COLUMNS} WHERE state = ? ORDER BY number"
SELECT_TRIAL = f"{TRIAL_COLUMNS} WHERE number = ?"
SELECT_BEST = {
    "minimize": f"{TRIAL_COLUMNS} WHERE state = 'complete' ORDER BY value, number LIMIT ?",
    "maximize": f"{TRIAL_COLUMNS} WHERE state = 'complete' ORDER BY value DESC, number LIMIT ?",
}
COUNT_STATES = "SELECT state, count(*) FROM trial GROUP BY state"
HAS_OPEN = """
SELECT EXISTS (SELECT 1 FROM trial WHERE state = 'waiting')
    OR EXISTS (SELECT 1 FROM trial WHERE state = 'running')
"""
SELECT_VALUES = "SELECT value FROM trial WHERE state = 'complete' ORDER BY told"
COUNT_FAILURES_AT_END = """
SELECT count(*) FROM trial WHERE state = 'failed' AND told > max(?,
    coalesce((SELECT told FROM trial WHERE told IS NOT NULL AND state <> 'failed'
              ORDER BY told DESC LIMIT 1), 0))
"""
LAST_FAILED = f"{TRIAL_COLUMNS} WHERE state = 'failed' ORDER BY told DESC LIMIT 1"
SELECT_METRICS = """
SELECT name, step, value FROM metric WHERE trial = ? AND attempt = ? ORDER BY name, step, tick
"""
SELECT_LAST_METRICS = """
SELECT m.trial, m.name, m.value, max(m.tick)  -- SQLite takes the value from the row of the maximum
FROM metric AS m JOIN trial AS t ON m.trial = t.number AND m.attempt = t.attempt
GROUP BY m.trial, m.name
"""
SELECT_LAST_METRICS_OF = """
SELECT name, max(tick), value FROM metric WHERE trial = ? AND attempt = ? GROUP BY name
"""
SELECT_ATTEMPTS = """
SELECT attempt, worker, started, ended, ending, error FROM attempt WHERE trial = ? ORDER BY attempt
"""
SELECT_RUNNING = """
SELECT t.number, t.attempt, t.worker, t.started,
       w.host, w.machine, w.boot, w.namespace, w.pid, w.birth
FROM trial AS t JOIN worker AS w ON t.worker = w.id WHERE t.state = 'running' ORDER BY t.number
"""
SELECT_HISTORY = """
SELECT number, state, params, value, told AS tick FROM trial WHERE told < ? AND told > ?
    AND params IS NOT NULL  -- it may have died three times before it was suggested
UNION ALL  -- failures of trials that were run again later
SELECT a.trial, 'failed', t.params, NULL, a.tick FROM attempt AS a JOIN trial AS t
ON a.trial = t.number
WHERE a.ending = 'failed' AND a.tick < ? AND a.tick > ? AND t.params IS NOT NULL
ORDER BY tick
"""
SELECT_PENDING = """
SELECT number, params FROM trial
WHERE suggested < ? AND (told IS NULL OR told >= ?) AND NOT EXISTS (
    SELECT 1 FROM attempt WHERE trial = number AND ending = 'failed' AND tick < ?)
ORDER BY number
"""

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
CREATE VIEW best AS SELECT * FROM trials WHERE state = 'complete' ORDER BY value{direction}, number
"""
NOTHING = (0, None, 0, None)  # in place of SELECT_NEXT's row
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
