"""Queries on what is kept of attempts: output, checkpoints, what they went on from and ran in."""

from __future__ import annotations

KEEP_OUTPUT = """
INSERT OR REPLACE INTO output (trial, attempt, stream, head, tail, left_out, seal)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, digest(?1, ?2, ?3, ?4, ?5, ?6)
FROM trial WHERE number = ?1 AND attempt >= ?2
"""
SELECT_OUTPUTS = """
SELECT trial, attempt, stream, head, tail, left_out FROM output WHERE trial = ?
ORDER BY attempt, stream DESC  -- stdout first
"""
SELECT_BROKEN_OUTPUTS = """
SELECT trial FROM output WHERE seal <> digest(trial, attempt, stream, head, tail, left_out)
"""
_COPIED = {
    "metric": "name, step, value, time, tick",
    "decision": "part, step, verdict, facts, tick",
}
_TABLES = {
    "metric": "metric",
    "decision": "(SELECT * FROM decision WHERE verdict IN ('rung', 'spared'))",
}
_BOTH = {"source": "tick <= c.upto", "attempt": "tick < c.tick"}  # must have the same rows
SELECT_BROKEN_COPIES = "SELECT trial FROM continuation AS c WHERE " + " OR ".join(
    f"""EXISTS (
    SELECT {columns} FROM {_TABLES[table]}
    WHERE trial = c.trial AND attempt = c.{one} AND {_BOTH[one]}
    EXCEPT
    SELECT {columns} FROM {_TABLES[table]}
    WHERE trial = c.trial AND attempt = c.{two} AND {_BOTH[two]})"""
    for table, columns in _COPIED.items()
    for one, two in (("source", "attempt"), ("attempt", "source"))
)
_CHECKPOINT = "trial, attempt, sequence, tick, time, kind, suffix, size, sha256"
KEEP_CHECKPOINT = f"""
INSERT INTO checkpoint ({_CHECKPOINT}, content, seal)
SELECT ?1, ?2, ?3, tick, ?4, ?5, ?6, ?7, ?8, ?9,
       digest(?1, ?2, ?3, tick, ?4, ?5, ?6, ?7, ?8, ?9 IS NULL)
FROM clock
"""
DROP_CHECKPOINTS = """
DELETE FROM checkpoint WHERE rowid IN (
    SELECT rowid FROM checkpoint WHERE trial = ? ORDER BY attempt DESC, sequence DESC
    LIMIT -1 OFFSET ?)
"""
SELECT_CHECKPOINTS = f"""
SELECT {_CHECKPOINT}, content IS NULL FROM checkpoint WHERE trial = ?
ORDER BY attempt DESC, sequence DESC
"""
SELECT_BESIDE = f"""
SELECT {_CHECKPOINT}, 1 FROM checkpoint WHERE content IS NULL ORDER BY trial, attempt, sequence
"""
SELECT_CONTENT = """
SELECT content FROM checkpoint WHERE trial = ? AND attempt = ? AND sequence = ?
"""
SELECT_BROKEN_CHECKPOINTS = f"""
SELECT trial FROM checkpoint WHERE seal <> digest({_CHECKPOINT}, content IS NULL)
"""
SELECT_CONTENTS = "SELECT trial, sha256, content FROM checkpoint WHERE content IS NOT NULL"
# ?1 trial, ?2 the new attempt, ?3 the one that had saved, ?4 the checkpoint's tick, ?5 the tick
# now, ?6 the checkpoint's time. It had not run longer then than it did until its end, whatever
# clocks say.
CONTINUE = """
INSERT INTO continuation (trial, attempt, source, upto, step, tick, seconds)
SELECT ?1, ?2, ?3, ?4, (SELECT step FROM metric WHERE trial = ?1 AND attempt = ?3 AND tick <= ?4
                        ORDER BY tick DESC LIMIT 1), ?5,
       max(0.0, min(?6 - started, coalesce(seconds, ?6 - started)))
       + coalesce((SELECT seconds FROM continuation WHERE trial = ?1 AND attempt = ?3), 0.0)
FROM attempt WHERE trial = ?1 AND attempt = ?3
"""
COPY_METRICS = """
INSERT INTO metric (trial, attempt, name, step, tick, value, time)
SELECT trial, ?2, name, step, tick, value, time FROM metric
WHERE trial = ?1 AND attempt = ?3 AND tick <= ?4
"""
COPY_DECISIONS = """
INSERT INTO decision (trial, attempt, tick, part, step, verdict, facts)
SELECT trial, ?2, tick, part, step, verdict, facts FROM decision
WHERE trial = ?1 AND attempt = ?3 AND tick <= ?4 AND verdict <> 'promote'
AND NOT (verdict = 'pause' AND EXISTS (  -- it is over
    SELECT 1 FROM decision AS later
    WHERE later.trial = ?1 AND later.verdict = 'promote' AND later.tick > decision.tick))
"""
SELECT_CONTINUATIONS = """
SELECT trial, attempt, source, upto, step, tick, seconds FROM continuation WHERE trial = ?
ORDER BY attempt
"""
SELECT_REPORTS_OF = """
SELECT tick, trial, attempt, step, name, value FROM metric WHERE trial = ? AND attempt = ?
ORDER BY tick, name
"""

# The study that a worker w was merged with, NULL where it is this one's own: it joined before the
# merge, and after all who were here then.
_MERGED_WITH = """
(SELECT p.start FROM part AS p JOIN version AS v ON v.tick = p.start
 WHERE w.id > p.workers AND w.joined <= v.time ORDER BY p.workers DESC LIMIT 1)
"""
SELECT_ENVIRONMENTS = f"""
SELECT DISTINCT e.hash, e.facts, e.first, {_MERGED_WITH} AS part
FROM environment AS e LEFT JOIN worker AS w ON w.environment = e.hash
ORDER BY part, e.first, e.hash
"""
SELECT_LATEST_ENVIRONMENT = f"""
SELECT e.hash, e.facts, e.first, NULL
FROM environment AS e LEFT JOIN worker AS w ON w.environment = e.hash AND {_MERGED_WITH} IS NULL
WHERE w.id IS NOT NULL OR NOT EXISTS (SELECT 1 FROM worker WHERE environment = e.hash)
ORDER BY coalesce(w.id, 0) DESC, e.first DESC LIMIT 1
"""
SELECT_ENVIRONMENT_OF = """
SELECT e.hash, e.facts, e.first, NULL
FROM worker AS w JOIN environment AS e ON w.environment = e.hash
WHERE w.id = ?
"""
