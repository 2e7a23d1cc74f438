"""Queries on a study's file, as constants; sql_kept.py has those on what attempts leave."""

from __future__ import annotations

from tinytune.digest import START
from tinytune.history import STATES

INSERT_STUDY = """
INSERT INTO study (id, created, version, space, search, objectives, settings, seed, defaults,
                   budget, objective, source, copied, stopping, budget_steps, repeats,
                   budget_seconds, subject_to)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_CLOCK = "INSERT INTO clock (id, tick, chain) VALUES (1, ?, ?)"
INSERT_SOURCE = "INSERT OR IGNORE INTO source (hash, path, text, first) VALUES (?, ?, ?, ?)"
SELECT_STUDY = """
SELECT space, search, objectives, settings, seed, defaults, budget, objective, source, created,
       copied, stopping, budget_steps, repeats, budget_seconds, subject_to
FROM study
"""
INSERT_LESSON = """
INSERT INTO lesson (number, study, chain, trial, state, params, value, results, violation)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_LESSONS = """
SELECT number, study, chain, trial, state, value, params, results, violation FROM lesson
WHERE -number <= coalesce((SELECT min(lessons) FROM part), -number)  -- no merged study's
ORDER BY number
"""
SELECT_VIEWS = "SELECT sql FROM sqlite_schema WHERE type = 'view'"
SELECT_SOURCE = "SELECT hash, path, text FROM source WHERE hash = ?"
SELECT_VOUCHER = "SELECT 1 FROM voucher WHERE mark = ?"
INSERT_VOUCHER = "INSERT OR IGNORE INTO voucher (mark) VALUES (?)"
SET_OBJECTIVE = "UPDATE study SET objective = ?"
SET_BUDGET = """
UPDATE study SET budget = max(?, (SELECT coalesce(max(number) + 1, 0) - count(confirms) FROM trial))
"""
SET_BUDGET_STEPS = "UPDATE study SET budget_steps = max(?, (SELECT steps FROM clock))"
SET_BUDGET_SECONDS = "UPDATE study SET budget_seconds = ?"
SET_SOURCE = "UPDATE study SET source = ?"

# digest, digest_sum and link are functions of ours (tinytune/digest.py) that db adds to SQLite.
_SEAL = """
digest(created, version, space, search, objectives, settings, seed, defaults, budget, objective,
       source, copied, stopping, budget_steps, repeats, budget_seconds, subject_to,
       (SELECT digest_sum(hash, path, text, first) FROM source),
       (SELECT digest_sum(hash, facts, first) FROM environment),
       (SELECT digest_sum(mark) FROM voucher),
       (SELECT digest_sum(number, study, chain, trial, state, params, value, results, violation)
        FROM lesson),
       (SELECT digest_sum(id, trial, kind, text, time) FROM note),
       (SELECT digest_sum(tick, trial, first, space, search, stopping, time) FROM version),
       (SELECT digest_sum(start, ticks, first, trials, workers, lessons, taught, name, created,
                          seed, defaults, source, chain) FROM part),
       (SELECT count(*) FROM worker))
"""
SEAL = f"UPDATE study SET seal = {_SEAL}"
SELECT_SEALS = f"SELECT seal, {_SEAL} FROM study"
INSERT_ENVIRONMENT = "INSERT OR IGNORE INTO environment (hash, facts, first) VALUES (?, ?, ?)"

INSERT_WORKER = """
INSERT INTO worker (host, machine, boot, namespace, pid, birth, version, python, source,
                    environment, joined, seen, seal)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11,
        digest(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, NULL, NULL, NULL, NULL)) RETURNING id
"""
SELECT_WORKERS = """
SELECT id, beat, host, machine, boot, namespace, pid, birth FROM worker
WHERE id IN (SELECT worker FROM trial WHERE state = 'running')
"""
SELECT_HAND = "SELECT id FROM worker WHERE machine = ? AND pid = 0 AND ended IS NULL"
SELECT_OPEN_WORKERS = "SELECT id FROM worker WHERE pid = ? AND birth = ? AND ended IS NULL"
_WORKER = "host, machine, boot, namespace, pid, birth, version, python, source, environment, joined"
END_WORKER = f"""
UPDATE worker SET ended = ?1, ending = ?2, seal = digest({_WORKER}, ?1, ?2, beat, seen)
WHERE id = ?3 AND ended IS NULL
"""
SELECT_BROKEN_WORKERS = f"""
SELECT id FROM worker WHERE seal <> digest({_WORKER}, ended, ending,
    iif(ended IS NULL, NULL, beat), iif(ended IS NULL, NULL, seen))
"""
SELECT_LAST_WORKER = "SELECT coalesce(max(id), 0), count(*) FROM worker"
BEAT = "UPDATE worker SET beat = beat + 1, seen = ? WHERE id = ?"

SELECT_TICK = "SELECT tick FROM clock"
SET_TICK = "UPDATE clock SET tick = ?"
TICK_IF_HELD = """
UPDATE clock SET tick = tick + 1 WHERE EXISTS (
    SELECT 1 FROM trial WHERE number = ? AND attempt = ? AND worker = ? AND state = 'running')
RETURNING tick
"""
# A step more, unless none is left: it has to be taken back then, when the sum is above the budget.
STEP_IF_HELD = """
UPDATE clock SET tick = tick + 1, steps = steps + ? WHERE EXISTS (
    SELECT 1 FROM trial WHERE number = ? AND attempt = ? AND worker = ? AND state = 'running')
RETURNING tick, edited, steps, (SELECT budget_steps FROM study)
"""
TAKE_STEP_BACK = "UPDATE clock SET steps = steps - 1"
SELECT_STEPS = "SELECT steps FROM clock"
IS_SILENT = "SELECT steps = 0 AND budget_seconds IS NULL FROM clock, study"
SELECT_LAST_STEP = "SELECT max(step) FROM metric WHERE trial = ? AND attempt = ?"
COUNT_STEPS = """
SELECT count(DISTINCT tick) FROM (
    SELECT tick, step, max(step) OVER (PARTITION BY trial, attempt ORDER BY tick, name
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM metric
    WHERE tick <= ? AND trial NOT IN (SELECT number FROM trial WHERE confirms IS NOT NULL))
WHERE before IS NULL OR step > before
"""
IS_HELD = """
SELECT 1 FROM trial WHERE number = ? AND attempt = ? AND worker = ? AND state = 'running'
"""
# What a link is made of: the trial and its attempt, its metrics, its suggestion as far as there
# was one then, how it ended (a digest made in Python), and the link before. Who reported all of the
# attempt's metrics knows their sum (?5).
SELECT_REPORTED = f"""
SELECT coalesce(digest_sum(name, step, tick, value, time), '{START}') FROM (
    SELECT name, step, tick, value, time FROM metric WHERE trial = ?1 AND attempt = ?2
    UNION ALL
    SELECT verdict, step, tick, part * 1.0, facts FROM decision WHERE trial = ?1 AND attempt = ?2
    UNION ALL
    SELECT source, step, tick, upto * 1.0, seconds FROM continuation
    WHERE trial = ?1 AND attempt = ?2)
"""
SELECT_WITH_REPORTS = [
    f"SELECT DISTINCT trial, attempt FROM {table}"
    for table in ("metric", "decision", "continuation")
]
ENDINGS = ("complete", "stopped", "failed", "paused", "died", "given back")
_SPENT = ", ".join(
    f"{ending.replace(' ', '_')} = {ending.replace(' ', '_')} + iif(?6 = '{ending}', ?7, 0)"
    for ending in ENDINGS
)
END_IF_HELD = f"""
UPDATE clock SET tick = tick + 1, {_SPENT}, chain = (
    SELECT link(chain, clock.tick + 1, ?4, coalesce(?5, ({SELECT_REPORTED})), number, attempt,
                worker, claimed, started, seed, copied, asked, suggested,
                iif(params IS NULL, NULL, origin), iif(params IS NULL, NULL, search), params)
    FROM trial WHERE number = ?1)
WHERE EXISTS (
    SELECT 1 FROM trial WHERE number = ?1 AND attempt = ?2 AND worker = ?3 AND state = 'running')
RETURNING tick, chain
"""
SELECT_CHAIN = "SELECT tick, chain FROM clock"
SELECT_ENDINGS = """
SELECT told AS tick, link, state, finished, seconds, cpu_seconds, memory_mb, steps, value, results,
       error, traceback, violation, number, attempt, worker, claimed, started,
       seed, copied, asked, suggested, iif(params IS NULL, NULL, origin),
       iif(params IS NULL, NULL, search), params
FROM trial WHERE told IS NOT NULL
UNION ALL
SELECT a.tick, a.link, a.ending, a.ended, a.seconds, a.cpu_seconds, a.memory_mb, a.steps, a.value,
       a.results, a.error, a.traceback, NULL, a.trial, a.attempt, a.worker, a.claimed, a.started,
       t.seed, t.copied, t.asked, iif(t.suggested < a.tick, t.suggested, NULL),
       iif(t.suggested < a.tick, t.origin, NULL), iif(t.suggested < a.tick, t.search, NULL),
       iif(t.suggested < a.tick, t.params, NULL)
FROM attempt AS a JOIN trial AS t ON a.trial = t.number
ORDER BY tick
"""
# Attempts that died since the trial last failed or got on: since an attempt that saved at a higher
# step than that from which it had begun, as the attempt that went on from it tells.
DEATHS = """
SELECT count(*) FROM attempt WHERE trial = number AND ending = 'died' AND attempt > (
    SELECT coalesce(max(attempt), 0) FROM attempt WHERE trial = number AND ending = 'failed')
AND attempt >= (
    SELECT coalesce(max(c.source), 0) FROM continuation AS c
    LEFT JOIN continuation AS before ON before.trial = c.trial AND before.attempt = c.source
    WHERE c.trial = number AND c.step > coalesce(before.step, c.step - 1))
"""
COUNT_DEATHS = f"UPDATE trial SET deaths = ({DEATHS}) WHERE number = ?"
SELECT_MISCOUNTED = f"""
SELECT number FROM trial
WHERE deaths <> (state = 'failed' AND error LIKE 'its worker died%') + ({DEATHS})
"""
SELECT_TICKS = """
SELECT asked FROM trial UNION SELECT claimed FROM trial UNION SELECT suggested FROM trial
UNION SELECT told FROM trial UNION SELECT tick FROM metric UNION SELECT claimed FROM attempt
UNION SELECT tick FROM attempt UNION SELECT tick FROM decision UNION SELECT tick FROM continuation
UNION SELECT removed FROM removal UNION SELECT restored FROM removal UNION SELECT tick FROM version
"""
# The seconds that are spent: of attempts that ended, and of those that run; who took a trial by
# hand may be at lunch.
_RUNNING_SECONDS = """
coalesce((SELECT sum(max(0, ?1 - t.started)) FROM trial AS t JOIN worker AS w ON t.worker = w.id
          WHERE t.state = 'running' AND NOT (w.machine = 'by hand' AND w.pid = 0)), 0)
"""
_SPENT_SECONDS = "complete + stopped + failed + paused + died + given_back"  # of the clock
IS_SPENT = f"""
coalesce((SELECT budget_seconds FROM study) <= {_SPENT_SECONDS} + {_RUNNING_SECONDS}, 0)
"""
SELECT_SPENT = "SELECT complete, stopped, failed, paused, died, given_back FROM clock"
_NEXT = f"""
tick,
       (SELECT budget FROM study),
       (SELECT coalesce(max(number) + 1, 0) FROM trial),
       (SELECT min(number) FROM trial WHERE state = 'waiting'),
       (SELECT v.first + (SELECT count(*) FROM trial WHERE origin = 'manual' AND number >= v.first)
                       - (SELECT count(*) FROM trial WHERE confirms < v.first AND number < v.first)
        FROM (SELECT coalesce(max(first), 0) AS first FROM version) AS v),
       (SELECT budget_steps FROM study) - steps,
       (SELECT count(*) FROM trial WHERE confirms IS NOT NULL),
       {IS_SPENT},
       edited
"""
SELECT_NEXT = f"SELECT {_NEXT} FROM clock"
TAKE_NEXT = f"UPDATE clock SET tick = tick + 1 RETURNING {_NEXT}"  # one statement in place of two
NEXT_NUMBER = "SELECT coalesce(max(number) + 1, 0) FROM trial"
INSERT_TRIAL = """
INSERT INTO trial (number, state, origin, search, seed, params, asked, suggested, attempt, worker,
                   claimed, started)
VALUES (?1, 'running', ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?6, ?9)
"""
INSERT_WAITING = """
INSERT INTO trial (number, state, origin, search, seed, copied, params, asked, suggested, attempt,
                   confirms, repeat, seal)
VALUES (?1, 'waiting', ?2, ?3, ?4, ?5, ?6, ?7, ?7, 0, ?8, ?9,
        digest(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9))
"""
SELECT_BROKEN_TRIALS = """
SELECT number FROM trial
WHERE seal IS NOT NULL  -- so that the digest is not made for all the others
    AND seal <> digest(number, origin, search, seed, copied, params, asked, confirms, repeat)
   OR seal IS NULL AND told IS NULL AND (origin IN ('manual', 'copy') OR copied IS NOT NULL)
   OR seal IS NULL AND confirms IS NOT NULL
"""
TAKE_WAITING = """
UPDATE trial SET state = 'running', attempt = attempt + 1, worker = ?, claimed = ?, started = ?
WHERE number = ? RETURNING attempt, asked, seed, confirms, params
"""
SET_PARAMS = """
UPDATE trial SET params = ?, suggested = ?, origin = ?, search = ? WHERE number = ?
"""
INSERT_METRIC = """
INSERT INTO metric (trial, attempt, name, step, tick, value, time) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
INSERT_DECISION = """
INSERT INTO decision (trial, attempt, tick, part, step, verdict, facts) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_DECISIONS = "SELECT trial, attempt, tick, part, step, verdict, facts FROM decision"
SELECT_RUNGS = f"""
{_DECISIONS} WHERE tick > ? AND tick <= ? AND verdict IN ('rung', 'promote') ORDER BY tick, part
"""
SELECT_DECISIONS = f"{_DECISIONS} ORDER BY tick, part, verdict"
SELECT_DECISION_OF = f"""
{_DECISIONS} WHERE trial = ? AND attempt = ? AND verdict NOT IN ('rung', 'promote')
ORDER BY tick LIMIT 1
"""
SELECT_PROMOTION = f"{_DECISIONS} WHERE trial = ? AND attempt = ? AND verdict = 'promote'"
SELECT_COMPLETE = """
SELECT number, told, attempt, violation FROM trial
WHERE told > ? AND told <= ? AND state = 'complete' AND confirms IS NULL ORDER BY told
"""
SELECT_REPORTS = """
SELECT name, step, value FROM metric WHERE trial = ? AND attempt = ? ORDER BY tick, name
"""
SELECT_ALL_REPORTS = """
SELECT m.tick, m.trial, m.attempt, m.step, m.name, m.value FROM metric AS m
JOIN trial AS t ON m.trial = t.number
LEFT JOIN attempt AS a ON a.trial = m.trial AND a.attempt = m.attempt
WHERE ((t.told IS NOT NULL AND m.attempt = t.attempt) OR a.ending = 'paused')
    AND t.confirms IS NULL
ORDER BY m.tick, m.attempt, m.name
"""
TELL = """
UPDATE trial SET told = ?, link = ?, state = ?, finished = ?, seconds = ?, cpu_seconds = ?,
                 memory_mb = ?, steps = ?, value = ?, results = ?, error = ?, traceback = ?,
                 violation = ?
WHERE number = ?
"""
KEEP_FAILURE = """
INSERT INTO attempt (trial, attempt, worker, claimed, started, ended, seconds, cpu_seconds,
                     memory_mb, steps, tick, ending, error, traceback, link)
SELECT number, attempt, worker, claimed, started, finished, seconds, cpu_seconds, memory_mb, steps,
       told, 'failed', error, traceback, link
FROM trial WHERE number = ? AND state = 'failed'
"""
KEEP_PAUSED = """
INSERT INTO attempt (trial, attempt, worker, claimed, started, ended, seconds, cpu_seconds,
                     memory_mb, steps, tick, ending, value, results, link)
SELECT number, attempt, worker, claimed, started, finished, seconds, cpu_seconds, memory_mb, steps,
       told, 'paused', value, results, link
FROM trial WHERE number = ?
"""
TAKE_PAUSED = """
UPDATE trial SET state = 'running', attempt = attempt + 1, worker = ?, claimed = ?, started = ?,
                 told = NULL, link = NULL, finished = NULL, seconds = NULL, cpu_seconds = NULL,
                 memory_mb = NULL, steps = NULL, value = NULL, results = NULL
WHERE number = ? AND state = 'paused' RETURNING attempt, asked, seed, confirms, params
"""
# What has failed once counts as failed for stopping rules: when it was let run again has no tick.
SELECT_STATE = """
SELECT iif(state <> 'paused' AND EXISTS (
    SELECT 1 FROM attempt WHERE trial = number AND ending = 'failed'), 'failed', state)
FROM trial WHERE number = ?
"""
RETRY = """
UPDATE trial SET state = 'waiting', deaths = 0, told = NULL, link = NULL, claimed = NULL,
                 started = NULL, finished = NULL, seconds = NULL, cpu_seconds = NULL,
                 memory_mb = NULL, steps = NULL, error = NULL, traceback = NULL
WHERE number = ? AND state = 'failed'
"""
SELECT_DAMAGE = "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'"
SELECT_ORPHANS = 'SELECT "table", rowid, parent FROM pragma_foreign_key_check'
SELECT_STRAY_METRICS = """
SELECT DISTINCT m.trial
FROM (SELECT trial, attempt FROM metric UNION ALL SELECT trial, attempt FROM decision
      UNION ALL SELECT trial, attempt FROM checkpoint
      UNION ALL SELECT trial, attempt FROM continuation) AS m
LEFT JOIN trial AS t ON m.trial = t.number
WHERE t.number IS NULL OR m.attempt NOT BETWEEN 1 AND t.attempt
"""
INSERT_ATTEMPT = """
INSERT INTO attempt (trial, attempt, worker, claimed, started, tick, link, ending, ended, seconds,
                     cpu_seconds, memory_mb, steps)
SELECT number, attempt, worker, claimed, started, ?, ?, ?, ?, ?, ?, ?, ? FROM trial WHERE number = ?
"""
COUNT_STEPS_OF = "SELECT count(DISTINCT step) FROM metric WHERE trial = ? AND attempt = ?"
# When an attempt began, when its worker was last seen, and when it last reported, Unix seconds.
SELECT_SIGNS = """
SELECT t.started, w.seen,
       (SELECT max(m.time) FROM metric AS m WHERE m.trial = t.number AND m.attempt = t.attempt)
FROM trial AS t JOIN worker AS w ON t.worker = w.id WHERE t.number = ?
"""
SELECT_RUNNING_OF = """
SELECT number, attempt, deaths FROM trial WHERE state = 'running' AND worker = ?
"""
GIVE_BACK = """
UPDATE trial SET state = 'waiting', deaths = deaths + ?, claimed = NULL, started = NULL
WHERE number = ?
"""
COUNT_DEATH = "UPDATE trial SET deaths = deaths + 1 WHERE number = ?"

TRIAL_COLUMNS = """
SELECT number, state, origin, search, seed, copied, params, value, results, attempt, deaths, worker,
       asked, suggested, told, started, finished, seconds, error, traceback, confirms, repeat,
       cpu_seconds, memory_mb, steps, violation,
       (SELECT group_concat(text, ' ') FROM note WHERE trial = number AND kind = 'tag'),
       EXISTS (SELECT 1 FROM removal WHERE trial = number AND restored IS NULL)
FROM trial
"""
SELECT_TRIALS = f"{TRIAL_COLUMNS} ORDER BY number LIMIT ?"
SELECT_TRIALS_IN = f"{TRIAL_COLUMNS} WHERE state = ? ORDER BY number LIMIT ?"
_COUNTS = "number NOT IN (SELECT trial FROM removal WHERE restored IS NULL)"
SELECT_REMOVED = f"""
{TRIAL_COLUMNS} WHERE number IN (SELECT trial FROM removal WHERE restored IS NULL)
ORDER BY number LIMIT ?
"""
SELECT_TAGGED = f"""
{TRIAL_COLUMNS} WHERE number IN (SELECT trial FROM note WHERE kind = 'tag' AND text = ?2)
    AND (?1 IS NULL OR state = ?1)
ORDER BY number LIMIT ?3
"""
SELECT_TRIAL = f"{TRIAL_COLUMNS} WHERE number = ?"
_CANDIDATE = f"""
state = 'complete' AND confirms IS NULL AND coalesce(violation, 0) = 0 AND {_COUNTS}
"""
SELECT_BEST = {
    direction: f"{TRIAL_COLUMNS} WHERE {_CANDIDATE} ORDER BY value{order}, number LIMIT ?"
    for direction, order in (("minimize", ""), ("maximize", " DESC"))
}
SELECT_BEST_TEXTS = {
    direction: f"""
SELECT number, value, params FROM trial WHERE {_CANDIDATE} ORDER BY value{order}, number LIMIT ?"""
    for direction, order in (("minimize", ""), ("maximize", " DESC"))
}
SELECT_CANDIDATES = f"SELECT number, value, results FROM trial WHERE {_CANDIDATE} ORDER BY told"
SELECT_NEAREST = f"""
{TRIAL_COLUMNS} WHERE state = 'complete' AND violation > 0 AND confirms IS NULL AND {_COUNTS}
ORDER BY violation, number LIMIT 1
"""
SELECT_REPEATS = f"{TRIAL_COLUMNS} WHERE confirms IS NOT NULL ORDER BY confirms, repeat"
COUNT_REPEATS = "SELECT state, count(*) FROM trial WHERE confirms IS NOT NULL GROUP BY state"
SELECT_REPEAT_KEYS = "SELECT confirms, repeat FROM trial WHERE confirms IS NOT NULL"
SELECT_NEXT_REPEAT = """
SELECT (SELECT tick FROM clock), min(number) FROM trial
WHERE state = 'waiting' AND confirms IS NOT NULL
"""
# Indexes of what is rare are counted sooner than the table; all others are complete, since numbers
# have no gap.
_IN_STATES = [
    f"(SELECT count(*) FROM trial WHERE state = '{s}')" for s in STATES if s != "complete"
]
COUNT_STATES = f"""
SELECT (SELECT coalesce(max(number) + 1, 0) FROM trial), {", ".join(_IN_STATES)},
       (SELECT count(*) FROM removal WHERE restored IS NULL)
"""
HAS_OPEN = f"""
SELECT EXISTS (SELECT 1 FROM trial WHERE state = 'waiting' AND (confirms IS NOT NULL OR NOT ?1))
       AND (?1 OR coalesce((SELECT budget_steps > steps FROM study, clock), 1)
                  AND NOT (SELECT {IS_SPENT.replace("?1", "?2")} FROM clock))
    OR EXISTS (SELECT 1 FROM trial JOIN worker ON trial.worker = worker.id
               WHERE state = 'running' AND NOT (machine = 'by hand' AND pid = 0)
                   AND (confirms IS NOT NULL OR NOT ?1))
"""
SELECT_LATEST_SEARCH = """
SELECT search FROM trial
WHERE origin = 'search' AND params IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM part WHERE number >= first AND number < first + part.trials)
ORDER BY number DESC LIMIT 1
"""
SELECT_VALUES = f"""
SELECT told, value FROM trial
WHERE told IS NOT NULL AND {_CANDIDATE} ORDER BY told LIMIT ?
"""
SELECT_BETTER = {
    direction: f"""
SELECT told, value FROM trial
WHERE {_CANDIDATE} AND value {sign} ? ORDER BY told
"""
    for direction, sign in (("minimize", "<"), ("maximize", ">"))
}
COUNT_FAILURES_AT_END = """
SELECT count(*) FROM trial WHERE state = 'failed' AND told > max(?,
    coalesce((SELECT told FROM trial WHERE told IS NOT NULL AND state <> 'failed'
              ORDER BY told DESC LIMIT 1), 0))
"""
SELECT_PEAKS = """
SELECT number, memory_mb FROM trial
WHERE told > ? AND memory_mb > ? AND state <> 'failed' ORDER BY memory_mb DESC, number
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
# What each trial that came as far as a step had reported last by then. The latest report of a step
# counts, and comes last.
SELECT_AT_STEP = """
SELECT m.trial, m.step, m.value FROM trial AS t JOIN metric AS m
ON m.trial = t.number AND m.attempt = t.attempt AND m.name = ?1
WHERE t.told IS NOT NULL
AND m.step = (SELECT max(step) FROM metric
              WHERE trial = t.number AND attempt = t.attempt AND name = ?1 AND step <= ?2)
AND EXISTS (SELECT 1 FROM metric
            WHERE trial = t.number AND attempt = t.attempt AND name = ?1 AND step >= ?2)
ORDER BY m.trial, m.tick
"""
IS_REPORTED = "SELECT EXISTS (SELECT 1 FROM metric WHERE ?1 IS NULL OR name = ?1)"
SELECT_LAST_STEPS = "SELECT name, max(step) FROM metric GROUP BY name"
SELECT_ATTEMPTS = """
SELECT attempt, worker, started, ended, ending, error, seconds, cpu_seconds, memory_mb, steps
FROM attempt WHERE trial = ? ORDER BY attempt
"""
SELECT_RUNNING = """
SELECT t.number, t.attempt, t.worker, t.started,
       w.host, w.machine, w.boot, w.namespace, w.pid, w.birth
FROM trial AS t JOIN worker AS w ON t.worker = w.id WHERE t.state = 'running'
ORDER BY +t.number  -- by number itself SQLite would go through all trials, to spare the sorting
"""
# The rungs that a trial had come to when it ended, of whichever attempt, a line for each.
_RUNGS_OF = """
(SELECT group_concat(d.tick || ' ' || d.part || ' ' || d.facts, char(10)) FROM decision AS d
 WHERE d.trial = {trial} AND d.verdict = 'rung' AND d.tick < {tick})
"""
SELECT_HISTORY = f"""
SELECT number, iif(state = 'paused', 'stopped', state), params, value, told AS tick, results,
       violation, {_RUNGS_OF.format(trial="number", tick="told")}, seconds
FROM trial
WHERE told < ? AND told > ?
    AND confirms IS NULL
    AND params IS NOT NULL  -- it may have died three times before it was suggested
UNION ALL  -- of trials that failed or were paused, and were run again or let on later
SELECT a.trial, iif(a.ending = 'paused', 'stopped', 'failed'), t.params, a.value, a.tick, a.results,
       NULL, {_RUNGS_OF.format(trial="a.trial", tick="a.tick")}, a.seconds
FROM attempt AS a JOIN trial AS t ON a.trial = t.number
WHERE a.ending IN ('failed', 'paused') AND a.tick < ? AND a.tick > ? AND t.suggested < a.tick
    AND t.confirms IS NULL
ORDER BY tick
"""
SELECT_PENDING = """
SELECT number, params FROM trial
WHERE suggested < ? AND (told IS NULL OR told >= ?) AND confirms IS NULL AND NOT EXISTS (
    SELECT 1 FROM attempt
    WHERE trial = number AND ending IN ('failed', 'paused') AND tick < ? AND tick > suggested)
ORDER BY number
"""
SELECT_FAILED_ATTEMPTS = "SELECT trial, tick FROM attempt WHERE ending = 'failed' ORDER BY tick"
SELECT_PAUSED_ATTEMPTS = "SELECT trial, attempt, tick FROM attempt WHERE ending = 'paused'"
