-- A tinytune study: one SQLite file, format 1.
--
-- This file is the whole schema. A study can be read with `sqlite3 study.db`
-- alone; the views at the end of a study (trials, curves, best) are for people.
-- Times are Unix seconds (UTC). JSON is written by Python, so its numbers are exact.
-- There is no CHECK on it: with trusted_schema off, as strangers' files are read,
-- SQLite before 3.42 refuses a table whose CHECK calls a JSON function.
--
-- Ticks. Every change of a study is one short transaction that takes the next
-- value of clock.tick. SQLite has one writer at a time, so ticks are in commit
-- order, and what a search may have seen when it made a suggestion is exactly
-- the rows whose ticks are below trial.asked.

-- What is being tuned, and how. One row, written when the study is created;
-- later only the budget, the objective's place and its accepted source change.
CREATE TABLE study (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    created    REAL    NOT NULL,               -- Unix seconds
    version    TEXT    NOT NULL,               -- the tinytune that created it
    space      TEXT    NOT NULL,               -- parameters, conditions, constraints
    search     TEXT    NOT NULL,               -- {"name", "version", "options"}
    stopping   TEXT,                           -- {"rules": [{"name", "version", "options"}], "audit"}
    objectives TEXT    NOT NULL,               -- [{"name", "direction"}]
    subject_to TEXT    NOT NULL DEFAULT '[]',  -- what results have to meet: ["memory_mb <= 800"]
    settings   TEXT    NOT NULL,               -- the objective's fixed arguments
    seed       INTEGER NOT NULL CHECK (seed >= 0),
    defaults   INTEGER NOT NULL CHECK (defaults IN (0, 1)),     -- 1: trial 0 takes the defaults
    budget     INTEGER CHECK (budget >= 0),    -- number of trials; NULL: no limit
    budget_steps INTEGER CHECK (budget_steps >= 0),             -- reported steps of all; NULL: no limit
    budget_seconds REAL CHECK (budget_seconds >= 0),            -- of all attempts together; NULL: no limit
    objective  TEXT    NOT NULL,               -- {"function", "module", "beside_study", "from_cwd"}
    source     TEXT    REFERENCES source (hash),                -- the accepted text of the objective's file
    repeats    INTEGER NOT NULL DEFAULT 1 CHECK (repeats >= 1), -- runs of each trial, whose value is their mean
    copied     TEXT,                           -- {"name", "chain"} of the study that this one repeats, or NULL
    seal       TEXT                            -- of this row, sources, environments, vouchers, notes, …
) STRICT;

-- The study's logical clock. A table of its own, so that a tick does not
-- rewrite the long row above. The chain has a link for each attempt that ended:
-- a digest of its trial, of its metrics, of how it ended and of the link before.
-- `tinytune verify` computes it again: it shows accidents and casual edits. The
-- row also holds where the time went: the seconds of all attempts that ended,
-- by how they ended, added up in the order of their ends.
CREATE TABLE clock (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    tick       INTEGER NOT NULL CHECK (tick >= 0),  -- the last tick that was taken
    steps      INTEGER NOT NULL DEFAULT 0 CHECK (steps >= 0),   -- reported so far: see `metric`
    edited     INTEGER NOT NULL DEFAULT 0 CHECK (edited >= 0), -- tick of the latest removal or version
    chain      TEXT    NOT NULL,               -- the last link; a merged study's chain is one of it
    complete   REAL    NOT NULL DEFAULT 0,     -- seconds
    stopped    REAL    NOT NULL DEFAULT 0,
    failed     REAL    NOT NULL DEFAULT 0,
    paused     REAL    NOT NULL DEFAULT 0,
    died       REAL    NOT NULL DEFAULT 0,
    given_back REAL    NOT NULL DEFAULT 0
) STRICT;

-- Texts of the objective's file and of the local modules that it imports, each
-- stored once.
CREATE TABLE source (
    hash  TEXT PRIMARY KEY,                    -- SHA-256 of the text, hexadecimal
    path  TEXT NOT NULL,                       -- file name only
    text  TEXT NOT NULL,
    first REAL NOT NULL                        -- when it was first used, Unix seconds
) STRICT;

-- What workers ran in: Python, platform, packages, git commit and changes, argv,
-- and which text each file of the objective had. Each stored once.
CREATE TABLE environment (
    hash  TEXT PRIMARY KEY,                    -- SHA-256 of facts
    facts TEXT NOT NULL,                       -- a JSON object
    first REAL NOT NULL                        -- when it was first used, Unix seconds
) STRICT;

-- Trials of other studies that this one's search was told of before its own
-- (`--learn-from`), in this study's parameters. They are no trials of this study.
CREATE TABLE lesson (
    number INTEGER PRIMARY KEY CHECK (number < 0),   -- -1 is the latest
    study  TEXT    NOT NULL,                   -- name of the other file
    chain  TEXT    NOT NULL,                   -- last link of its chain, when it was read
    trial  INTEGER NOT NULL,                   -- number there
    state  TEXT    NOT NULL CHECK (state IN ('complete', 'stopped', 'failed')),
    params TEXT    NOT NULL,                   -- as of a trial
    value  REAL,                               -- NULL where it has none
    results TEXT,                              -- its numbers for this study's objectives, by name
    violation REAL,                            -- by how much it misses this study's subject_to
    CHECK (state <> 'complete' OR value IS NOT NULL)
) STRICT;

-- Marks of the users who have named the objective's file or module themselves.
-- Without one's own mark, `tinytune resume` asks for the objective to be named:
-- a study from a stranger must not say what is run.
CREATE TABLE voucher (
    mark TEXT PRIMARY KEY                      -- keyed hash of the place, with the user's own key
) STRICT, WITHOUT ROWID;

-- One row for each process that has worked on the study. Rows are never used
-- again by another process.
CREATE TABLE worker (
    id        INTEGER PRIMARY KEY,
    host      TEXT    NOT NULL,                -- host name, for people
    machine   TEXT    NOT NULL,                -- machine id, or ''
    boot      TEXT    NOT NULL,                -- boot id of the kernel, or ''
    namespace TEXT    NOT NULL,                -- process-id namespace, or ''
    pid       INTEGER NOT NULL,
    birth     TEXT    NOT NULL,                -- the process's start time as its system tells it
    version   TEXT    NOT NULL,                -- the tinytune it ran
    python    TEXT    NOT NULL,                -- the Python it ran
    source    TEXT    REFERENCES source (hash),-- the objective's text that it ran
    environment TEXT  REFERENCES environment (hash),
    joined    REAL    NOT NULL,                -- Unix seconds
    beat      INTEGER NOT NULL DEFAULT 0,      -- counts up while the worker lives
    seen      REAL    NOT NULL,                -- when it last counted up, or joined; Unix seconds
    ended     REAL,                            -- Unix seconds; NULL: not known to have ended
    ending    TEXT,                            -- 'left', or how it died
    seal      TEXT    NOT NULL,                -- digest of this row, without beat and seen while it lives
    CHECK ((ended IS NULL) = (ending IS NULL))
) STRICT;

-- One row for each trial: the configuration, and its current or last attempt.
-- Trials of origin 'confirm' run another one's configuration again, under other
-- seeds (`tinytune confirm`). They are beside the search: it is not told of them,
-- stopping rules neither see nor stop them, and the budget does not count them.
CREATE TABLE trial (
    number    INTEGER PRIMARY KEY CHECK (number >= 0),   -- 0, 1, 2, … without a gap
    state     TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'complete', 'stopped', 'paused', 'failed')),
    origin    TEXT    NOT NULL CHECK (origin IN ('default', 'search', 'manual', 'copy', 'confirm')),
    search    TEXT    NOT NULL,                -- 'name/version' of the search that suggested it
    seed      INTEGER NOT NULL,                -- for the objective's own randomness
    copied    INTEGER,                         -- number of the other study's trial that it repeats
    confirms  INTEGER REFERENCES trial (number),         -- the trial whose configuration it runs again
    repeat    INTEGER CHECK (repeat >= 0),     -- which run of it: runs of one number share a seed
    params    TEXT,                            -- NULL until suggested; inactive parameters are absent
    asked     INTEGER NOT NULL,                -- tick of its first claim; rises with the number
    suggested INTEGER,                         -- tick at which params were written
    told      INTEGER,                         -- tick at which it ended
    attempt   INTEGER NOT NULL CHECK (attempt >= 0),     -- 1, 2, …; with worker, the token that fences writes
    deaths    INTEGER NOT NULL DEFAULT 0,      -- attempts whose worker died, since it last got on
    worker    INTEGER REFERENCES worker (id),  -- of the current or last attempt
    claimed   INTEGER,                         -- tick at which that attempt began
    started   REAL,                            -- of that attempt, Unix seconds
    finished  REAL,                            -- Unix seconds
    seconds   REAL,                            -- duration of that attempt by a monotonic clock
    cpu_seconds REAL,                          -- of its process and of the ended ones that that started
    memory_mb REAL,                            -- peak of its process, in 10^6 bytes: see docs/objectives.md
    steps     INTEGER,                         -- different steps at which it reported
    value     REAL,                            -- of the first objective
    results   TEXT,                            -- all numbers that the objective returned, by name; of several
                                               -- runs their means, and spread and standard error
    violation REAL,                            -- by how much it misses subject_to; 0: not at all; NULL: not known
    error     TEXT,                            -- why it failed, one line
    traceback TEXT,
    link      TEXT,                            -- of the chain, once it has ended
    seal      TEXT,                            -- digest of a trial that was entered to wait
    CHECK ((told IS NULL) = (link IS NULL)),
    CHECK ((told IS NULL) = (state IN ('waiting', 'running'))),
    CHECK ((suggested IS NULL) = (params IS NULL)),
    CHECK (state <> 'running' OR worker IS NOT NULL),
    CHECK (state <> 'complete' OR value IS NOT NULL),
    CHECK ((state = 'failed') = (error IS NOT NULL)),
    CHECK ((origin = 'confirm') = (confirms IS NOT NULL)),
    CHECK ((confirms IS NULL) = (repeat IS NULL))
) STRICT;

-- The rows that are looked for often are few; each of these indexes holds only those.
CREATE INDEX trial_waiting ON trial (number) WHERE state = 'waiting';
CREATE INDEX trial_running ON trial (worker) WHERE state = 'running';
CREATE INDEX trial_manual ON trial (number) WHERE origin = 'manual';
CREATE INDEX trial_stopped ON trial (told) WHERE state = 'stopped';
CREATE INDEX trial_paused ON trial (told) WHERE state = 'paused';
CREATE INDEX trial_failed ON trial (told) WHERE state = 'failed';
CREATE INDEX trial_value ON trial (value) WHERE state = 'complete' AND confirms IS NULL;
CREATE UNIQUE INDEX trial_repeat ON trial (confirms, repeat) WHERE confirms IS NOT NULL;
CREATE UNIQUE INDEX trial_told ON trial (told) WHERE told IS NOT NULL;

-- Earlier attempts at a trial that did not end it: the worker died, or gave
-- the trial back; or a rule paused it, and let it on later; or it failed, and
-- `tinytune retry` let it run again. The current or last attempt is in the trial's
-- own row, as that of a trial that is paused.
CREATE TABLE attempt (
    trial    INTEGER NOT NULL REFERENCES trial (number),
    attempt  INTEGER NOT NULL,
    worker   INTEGER NOT NULL REFERENCES worker (id),
    claimed  INTEGER NOT NULL,                 -- tick at which it began
    started  REAL    NOT NULL,                 -- Unix seconds
    ended    REAL    NOT NULL,                 -- Unix seconds
    seconds  REAL,                             -- how long it ran; of one that died, until that was noticed or due
    cpu_seconds REAL,                          -- NULL where nobody knows, as of one that died
    memory_mb REAL,
    steps    INTEGER,
    tick     INTEGER NOT NULL,                 -- at which it ended
    ending   TEXT    NOT NULL CHECK (ending IN ('died', 'given back', 'paused', 'failed')),
    value    REAL,                             -- of one that paused: the last one
    results  TEXT,                             -- likewise
    error    TEXT,                             -- of one that failed
    traceback TEXT,
    link     TEXT    NOT NULL,                 -- of the chain
    PRIMARY KEY (trial, attempt)
) STRICT, WITHOUT ROWID;

-- What an attempt printed, as far as it is kept: `tinytune logs`. It takes no ticks and is in no
-- link of the chain; it may be deleted.
CREATE TABLE output (
    trial    INTEGER NOT NULL REFERENCES trial (number),
    attempt  INTEGER NOT NULL,
    stream   TEXT    NOT NULL CHECK (stream IN ('stdout', 'stderr')),
    head     TEXT    NOT NULL,                 -- its first 16,384 characters
    tail     TEXT    NOT NULL,                 -- the last 49,152 of the others
    left_out INTEGER NOT NULL CHECK (left_out >= 0),     -- characters between the two
    seal     TEXT    NOT NULL,                 -- digest of this row
    PRIMARY KEY (trial, attempt, stream)
) STRICT, WITHOUT ROWID;

-- What people have changed about the study: each row says what it is from one trial on, as the
-- study's own row says what it was before. The search is told of all that ended before, if it learns.
CREATE TABLE version (
    tick     INTEGER PRIMARY KEY,
    trial    INTEGER NOT NULL CHECK (trial >= 0),        -- number of the first trial that it is for
    first    INTEGER NOT NULL CHECK (first BETWEEN 0 AND trial), -- number from which its search counts
    space    TEXT    NOT NULL,                 -- these as in study
    search   TEXT    NOT NULL,
    stopping TEXT,
    time     REAL    NOT NULL                  -- Unix seconds
) STRICT;

-- Studies that were merged into this one: its trial n is trial first + n here, what had tick t there
-- has start + t, worker w is worker workers + w, lesson -n is lesson -(lessons + n). Its version at
-- `start` says what it was made with; it is part of this one only up to its last tick. Studies that
-- had been merged into it before have rows of their own, moved in the same way.
CREATE TABLE part (
    start    INTEGER PRIMARY KEY REFERENCES version (tick),
    ticks    INTEGER NOT NULL CHECK (ticks >= 0),        -- how many it had taken
    first    INTEGER NOT NULL CHECK (first >= 0),
    trials   INTEGER NOT NULL CHECK (trials >= 0),       -- how many it had
    workers  INTEGER NOT NULL CHECK (workers >= 0),
    lessons  INTEGER NOT NULL CHECK (lessons >= 0),
    taught   INTEGER NOT NULL CHECK (taught >= 0),       -- how many lessons it had
    name     TEXT    NOT NULL,                 -- of its file
    created  REAL    NOT NULL,                 -- these as in study
    seed     INTEGER NOT NULL,
    defaults INTEGER NOT NULL,
    source   TEXT    REFERENCES source (hash),
    chain    TEXT    NOT NULL                  -- its last link
) STRICT;

-- Trials that people have removed. From the one tick to the other they are as if they were not
-- there: never the best, and unknown to searches and stopping rules. What was made before stays.
CREATE TABLE removal (
    removed  INTEGER PRIMARY KEY,              -- tick from which the trial does not count
    trial    INTEGER NOT NULL REFERENCES trial (number),
    restored INTEGER CHECK (restored > removed),         -- tick from which it counts again
    time     REAL    NOT NULL,                 -- Unix seconds
    seal     TEXT    NOT NULL                  -- digest of this row
) STRICT;
CREATE UNIQUE INDEX removal_now ON removal (trial) WHERE restored IS NULL;

-- What people say of a trial, or of the study. It takes no ticks, and nothing depends on it.
CREATE TABLE note (
    id    INTEGER PRIMARY KEY,
    trial INTEGER REFERENCES trial (number),   -- NULL: of the study as a whole
    kind  TEXT    NOT NULL CHECK (kind IN ('tag', 'note')),
    text  TEXT    NOT NULL,                    -- of a tag one word
    time  REAL    NOT NULL                     -- Unix seconds
) STRICT;
CREATE UNIQUE INDEX note_tag ON note (trial, text) WHERE kind = 'tag';

-- One row for each number that an objective reported. Rows of an attempt that
-- died are kept; the trial's own attempt number tells which count. An attempt that
-- went on from a checkpoint has copies of what was reported before it. A report is a
-- step more (clock.steps) where its step is above all that its attempt reported before.
CREATE TABLE metric (
    trial   INTEGER NOT NULL REFERENCES trial (number),
    attempt INTEGER NOT NULL,
    name    TEXT    NOT NULL,
    step    INTEGER NOT NULL,
    tick    INTEGER NOT NULL,                  -- a later report of the same step has a higher tick and counts
    value   REAL,                              -- NULL: not a number (NaN)
    time    REAL    NOT NULL,                  -- Unix seconds
    PRIMARY KEY (trial, attempt, name, step, tick)
) STRICT, WITHOUT ROWID;

-- What the stopping rules made of reports. A rule looks at what has no higher
-- tick than the report: at the trial's own numbers, at trials that were complete
-- by then, and at the rungs that others had reached. 'spared': by the audit. 'promote'
-- lets a paused trial on; its tick is that of the claim. 'budget' is no rule's: no step
-- was left for a report, which was not written.
CREATE TABLE decision (
    trial   INTEGER NOT NULL REFERENCES trial (number),
    attempt INTEGER NOT NULL,
    tick    INTEGER NOT NULL,                  -- of the report
    part    INTEGER NOT NULL CHECK (part >= 0),-- which of the study's rules, from 0
    step    INTEGER NOT NULL,                  -- of the report
    verdict TEXT    NOT NULL CHECK (verdict IN ('rung', 'stop', 'spared', 'pause', 'promote', 'budget')),
    facts   TEXT    NOT NULL,                  -- what it compared: {name: number}
    PRIMARY KEY (tick, part, verdict, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX decision_trial ON decision (trial, attempt);

-- What running trials have saved, to go on from where their worker dies or gives them back: the
-- last two of each trial, until it ends. It takes no ticks and is in no link of the chain. What
-- is larger than a megabyte lies beside the study, in STUDY.checkpoints; no row names a place.
CREATE TABLE checkpoint (
    trial    INTEGER NOT NULL REFERENCES trial (number),
    attempt  INTEGER NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence > 0),      -- 1, 2, … in its attempt
    tick     INTEGER NOT NULL,                 -- what the attempt had reported by then has no higher one
    time     REAL    NOT NULL,                 -- Unix seconds
    kind     TEXT    NOT NULL CHECK (kind IN ('bytes', 'file', 'folder')),
    suffix   TEXT    NOT NULL,                 -- of the file's name, such as '.pt', or ''
    size     INTEGER NOT NULL CHECK (size >= 0),         -- bytes
    sha256   TEXT    NOT NULL,                 -- of the content, hexadecimal; of a folder: of a list of its files
    content  BLOB,                             -- NULL: it lies beside
    seal     TEXT    NOT NULL,                 -- digest of this row, without the content
    PRIMARY KEY (trial, attempt, sequence)
) STRICT;

-- Attempts that went on from a checkpoint of an earlier one. What that one had reported by then,
-- and the decisions on it, are rows of both, with the same ticks and times; but not to pause it,
-- if it was let on since.
CREATE TABLE continuation (
    trial   INTEGER NOT NULL REFERENCES trial (number),
    attempt INTEGER NOT NULL,
    source  INTEGER NOT NULL CHECK (source > 0 AND source < attempt),  -- the attempt that had saved
    upto    INTEGER NOT NULL,                  -- the checkpoint's tick
    step    INTEGER,                           -- the last one reported by then; NULL: none
    tick    INTEGER NOT NULL,                  -- at which it went on
    seconds REAL    NOT NULL,                  -- for which the trial had run by the checkpoint
    PRIMARY KEY (trial, attempt)
) STRICT, WITHOUT ROWID;
