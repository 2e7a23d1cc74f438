"""Studies made by somebody who means harm: nothing is run, nothing is written, nothing is shown.

A hostile file may be refused or read; what it must not do is change a result, run code, steer a
terminal or take for ever.
"""

import csv
import io
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.faults.hostile_files import (
    CONTROL,
    edited,
    full_study,
    loosened,
    read,
    readings,
    snapshot,
    spoken,
)
from tests.shell import ENVIRONMENT, ROOT, command, tinytune
from tinytune.errors import TinytuneError
from tinytune.study import Study

TOY = ROOT / "tests" / "toys" / "toy.py"
EVIL = "\x1b]0;title\x07\x1b[31mred\x9b2J\x00\x7f"


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    return full_study(tmp_path_factory.mktemp("healthy") / "study.db").read_bytes()


@pytest.fixture
def path(tmp_path, healthy):
    """A study of one's own, alone in a folder, for the test to spoil."""
    folder = tmp_path / "received"
    folder.mkdir()
    path = folder / "study.db"
    path.write_bytes(healthy)
    return path


def say(path, name, *more):
    """Run a command in this process as the shell would; return its exit code and all it says."""
    code, out, errors = spoken(name, path, *more)
    assert code in {0, 1, 2}, errors
    if code:
        assert out == ""
        assert re.fullmatch(r"tinytune: [^\n]+\n", errors), errors
    return code, out + errors


def assert_harmless(path):
    """Every reading command answers or refuses, prints no control bytes, and changes nothing."""
    before, told = snapshot(path.parent), set()
    for words, (function, arguments) in readings().items():
        try:
            text = read(function, path, *arguments)
        except TinytuneError as error:
            if str(error) in told:  # the command line takes long to be built
                continue
            told.add(str(error))
            name, *more = words.split()
            code, text = say(path, name, *more)
            assert code, text
        assert not CONTROL.search(text), (words, CONTROL.findall(text))
    assert snapshot(path.parent) == before


def assert_refused(path):
    """Every command refuses the file, and so does Python."""
    before = snapshot(path.parent)
    for function, arguments in readings().values():
        with pytest.raises(TinytuneError, match=re.escape(str(path))):
            read(function, path, *arguments)
    for name, *more in (["status"], ["resume"], ["resume", "--objective", TOY]):
        code, text = say(path, name, *more)
        assert code == 1, text
        assert not CONTROL.search(text)
    with pytest.raises(TinytuneError):
        work(path)
    assert snapshot(path.parent) == before


def work(path):
    with Study(path) as study:
        trial = study.ask()
        if trial is not None:
            trial.report(0, loss=1.0)
            study.tell(trial, 1.0)


# What is built otherwise than a study: it is refused.

BUILT_OTHERWISE = {
    "a trigger after a result": "CREATE TRIGGER t AFTER UPDATE ON trial BEGIN"
    " UPDATE trial SET value = -999 WHERE number = new.number; END",
    "a trigger before a trial": "CREATE TRIGGER t BEFORE INSERT ON trial BEGIN"
    " SELECT raise(IGNORE); END",
    "a trigger with a name like SQLite's own": "CREATE TRIGGER sqliteXt AFTER UPDATE ON trial BEGIN"
    " UPDATE trial SET value = -999 WHERE number = new.number; END",
    "a trigger on a view": "CREATE TRIGGER t INSTEAD OF INSERT ON best BEGIN SELECT 1; END",
    "another view": "CREATE VIEW other AS SELECT * FROM trial",
    "an extra table": "CREATE TABLE other (x)",
    "a table with a name like SQLite's own": "CREATE TABLE sqliteother (x)",
    "a virtual table": "CREATE VIRTUAL TABLE other USING fts5 (x)",
    "a computed virtual table": "CREATE VIRTUAL TABLE other USING rtree (id, a, b)",
    "an extra index": "CREATE INDEX other ON trial (seconds)",
    "an index on an expression": "CREATE INDEX other ON trial (abs(number))",
    "an unknown column": "ALTER TABLE trial ADD COLUMN other TEXT",
    "a computed column": "ALTER TABLE trial ADD COLUMN other INT AS (number + 1)",
    "a missing table": "DROP TABLE attempt",
    "a missing index": "DROP INDEX trial_told",
    "a renamed column": "ALTER TABLE metric RENAME COLUMN time TO clock",
}


@pytest.mark.parametrize("statement", BUILT_OTHERWISE.values(), ids=BUILT_OTHERWISE)
def test_a_file_that_is_built_otherwise_is_refused(path, statement):
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)
    except sqlite3.OperationalError as error:
        if "no such module" in str(error):
            pytest.skip(f"this SQLite cannot make one: {error}")
        raise
    assert_refused(path)


TRIGGER = (
    "CREATE TRIGGER {} AFTER UPDATE ON trial WHEN new.state = 'complete' BEGIN"
    " UPDATE trial SET value = -999 WHERE number = new.number; END"
)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("trigger", "sqlite_t"), (None, "t"), ("trigger", None), ("view", "t"), ("index", "t"),
     ("table", "sqlite_stat1"), ("nonsense", "t"), ("", ""), (None, None), (7, b"t")],
)  # fmt: skip
def test_a_trigger_that_hides_in_the_schema(path, kind, name):
    """SQLite runs what the text says, whatever the schema's other columns say."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql)"
            " VALUES (?, ?, 'trial', 0, ?)",
            (kind, name, TRIGGER.format("t" if name != "sqlite_t" else name)),
        )
    assert_refused(path)


def edit_schema(path, change):
    """Change the text of the schema's rows behind SQLite's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema=ON")
        rows = connection.execute("SELECT rowid, name, sql FROM sqlite_master").fetchall()
        for row, name, sql in rows:
            if sql is not None:
                connection.execute(
                    "UPDATE sqlite_master SET sql = ? WHERE rowid = ?", (change(name, sql), row)
                )


CHANGED_TEXTS = {
    "a check that costs": lambda name, sql: sql.replace("CHECK (tick >= 0)", "CHECK (tick > 0)"),
    "a default": lambda name, sql: sql.replace(
        "deaths    INTEGER NOT NULL DEFAULT 0", "deaths    INTEGER NOT NULL DEFAULT 2"
    ),
    "not strict": lambda name, sql: sql.replace("STRICT", ""),
    "a partial index of fewer rows": lambda name, sql: sql.replace(
        "WHERE state = 'waiting'", "WHERE state = 'nothing'"
    ),
    "a view of something else": lambda name, sql: (
        "CREATE VIEW best AS SELECT 0 AS number, -1.0 AS value" if name == "best" else sql
    ),
    "a view that never ends": lambda name, sql: (
        "CREATE VIEW best AS WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
        " SELECT * FROM n"
        if name == "best"
        else sql
    ),
    "a table that is a view": lambda name, sql: (
        "CREATE VIEW source AS SELECT 'a' AS hash, 'b' AS path, 'c' AS text, 0.0 AS first"
        if name == "source"
        else sql
    ),
}


@pytest.mark.parametrize("change", CHANGED_TEXTS.values(), ids=CHANGED_TEXTS)
def test_a_changed_schema_is_refused(path, change):
    edit_schema(path, change)
    assert_refused(path)


def test_two_tables_in_one_place(path):
    """The schema's texts are in order, and its page numbers are not."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_master SET rootpage ="
            " (SELECT rootpage FROM sqlite_master WHERE name = 'worker') WHERE name = 'trial'"
        )
    assert_harmless(path)


# Texts that would steer a terminal.


def put(path, table, column, value, where="1"):
    with loosened(path) as connection:
        changed = connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))
        assert changed.rowcount


def put_json(path, column, change, table="study", where="1"):
    """Change a JSON text of the study by a function; where it has versions, in all of them."""
    versioned = table == "study" and column in {"space", "search", "stopping"}
    with edited(path) as connection:
        for each in (table, "version") if versioned else (table,):
            find = f"SELECT rowid, {column} FROM {each} WHERE {where}"
            for row, text in connection.execute(find).fetchall():
                document = json.loads(text)
                change(document)
                connection.execute(
                    f"UPDATE {each} SET {column} = ? WHERE rowid = ?", (json.dumps(document), row)
                )


TEXTS = {
    "error": lambda path: put(path, "trial", "error", EVIL, "number = 3"),
    "traceback": lambda path: put(path, "trial", "traceback", f"a\n{EVIL}\r\nb", "number = 3"),
    "origin": lambda path: put(path, "trial", "origin", EVIL, "number = 3"),
    "search of a trial": lambda path: put(path, "trial", "search", EVIL, "number = 3"),
    "state": lambda path: put(path, "trial", "state", EVIL, "number = 3"),
    "host": lambda path: put(path, "worker", "host", EVIL),
    "ending": lambda path: put(path, "attempt", "ending", EVIL),
    "metric": lambda path: put(path, "metric", "name", EVIL, "trial = 3 AND name = 'loss'"),
    "category": lambda path: put_json(
        path, "params", lambda d: d.update(kind=EVIL), "trial", "number = 3"
    ),
    "param": lambda path: put_json(
        path, "params", lambda d: d.update({EVIL: 1}), "trial", "number = 3"
    ),
    "result": lambda path: put(
        path, "trial", "results", json.dumps({EVIL: 1.0}), "number = 3"
    ),
    "option": lambda path: put_json(
        path, "space", lambda d: d["parameters"][1]["options"].append(EVIL)
    ),
    "goal": lambda path: put_json(path, "objectives", lambda d: d[0].update(name=EVIL)),
    "direction": lambda path: put_json(path, "objectives", lambda d: d[0].update(direction=EVIL)),
    "setting": lambda path: put_json(path, "settings", lambda d: d.update({EVIL: EVIL})),
    "search": lambda path: put_json(path, "search", lambda d: d.update(name=EVIL)),
    "option of the search": lambda path: put_json(
        path, "search", lambda d: d["options"].update({EVIL: EVIL})
    ),
    "unknown key": lambda path: put_json(path, "search", lambda d: d.update({EVIL: 1})),
    "function": lambda path: put_json(path, "objective", lambda d: d.update(function=EVIL)),
    "place": lambda path: put_json(path, "objective", lambda d: d.update(beside_study=EVIL)),
    "no object": lambda path: put(path, "trial", "results", json.dumps([[EVIL]]), "number = 3"),
    "lone surrogate": lambda path: put(path, "trial", "results", '{"\\ud800": 1}', "number = 3"),
    "source": lambda path: put(path, "source", "text", EVIL),
}  # fmt: skip


@pytest.mark.parametrize("spoil", TEXTS.values(), ids=TEXTS)
def test_control_bytes_are_not_printed(path, spoil):
    spoil(path)
    assert_harmless(path)
    for more in ([], ["--objective", TOY]):  # it fails, since the toy is another objective
        _, text = say(path, "resume", *more)
        assert not CONTROL.search(text), text


def test_the_stored_source_is_shown_without_control_bytes(tmp_path):
    """`resume` shows how the objective's source has changed: one side of that is in the file."""
    path = tmp_path / "study.db"
    assert tinytune("run", TOY, "--study", path, "--trials", 1).returncode == 0
    put(path, "source", "hash", "0" * 64)
    put(path, "source", "text", f"{EVIL}\r\nx = 1\n")
    put(path, "source", "path", EVIL)
    put(path, "study", "source", "0" * 64)
    done = tinytune("resume", path, "--trials", "+1")
    assert done.returncode == 0, done.stderr
    assert "source has changed" in done.stderr
    assert not CONTROL.search(done.stderr)


def test_one_line_stays_one_line(path):
    """A text with line ends must not look like a fact that tinytune states."""
    put_json(path, "settings", lambda d: d.update(epochs="3\nbest         loss 0 in trial 99"))
    put(path, "worker", "host", "a\n99  1 s  b")
    put(path, "trial", "error", "x\nstate   complete", "number = 3")
    lines = say(path, "status")[1].splitlines() + say(path, "show", 3)[1].splitlines()
    assert sum(line.startswith("best  ") for line in lines) == 1
    assert sum(line.startswith("state ") for line in lines) == 1


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\x00=", "\n="])
def test_no_formula_reaches_a_spreadsheet(path, start):
    formula = f"{start}1+cmd|' /C calc'!A0"
    put(path, "trial", "error", formula, "number = 3")
    put_json(path, "params", lambda d: d.update(kind=formula), "trial", "number = 4")
    put_json(path, "objectives", lambda d: d[0].update(name=formula))
    for name in ("trials", "best"):
        code, text = say(path, name, "--format=csv")
        assert code == 0
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert any("cmd" in cell for cell in cells)
        for cell in cells:
            assert not cell.lstrip("\0\t\r\n ").startswith(("=", "+", "@")), cell
            assert not cell.startswith("-") or float(cell) < 0, cell


# Documents that mean harm.


def nested(depth, opening, closing):
    return opening * depth + closing * depth


DOCUMENTS = {
    "deep": nested(100_000, "[", "]"),
    "quite deep": nested(900, "[", "]"),
    "deep object": nested(5000, '{"a":', "1}")[:-1],
    "deep text": '{"x": ' + nested(900, '{"a":', "}") + "}",
    "digits": "9" * 100_000,
    "large": '{"x": ' + "9" * 4000 + "}",
    "infinite": '{"x": 1e999}',
    "NaN": '{"x": NaN}',
    "list": "[]",
    "text": '"a"',
    "nothing": "",
}
COLUMNS = ["space", "search", "objectives", "settings", "objective", "params", "results"]


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_odd_documents(path, column, text):
    put(path, "trial" if column in {"params", "results"} else "study", column, text)
    assert_harmless(path)
    with edited(path) as connection:  # it comes back to whoever asks
        connection.execute("UPDATE trial SET state = 'waiting' WHERE number = 20")
    with suppress(TinytuneError):
        work(path)


NAMES = (
    'x"; DROP TABLE trial; --', "x' OR 1=1 --", 'x") AS y, load_extension("/tmp/x") AS "z', "../x",
    "os.system", "", " ", "a" * 100_000, "__class__", "\ufb01", "x\n", "x\u202e", "x\ud800",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_parameter_names(path, name):
    """Names go into SQL only where a study is made; a stored one must not go there unread."""
    put_json(path, "space", lambda d: d["parameters"][0].update(name=name))
    assert_harmless(path)
    assert_refused(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM trial").fetchone() == (25,)


CONSTRAINTS = {
    "code": "__import__('os').system('touch ran')",
    "call": "open('ran', 'w')",
    "attribute": "x.__class__",
    "subscript": "x[0]",
    "lambda": "(lambda: 1)()",
    "walrus": "(y := 1) > 0",
    "format": "f'{x}' == ''",
    "power": "10**10**10 > 0",
    "powers": "((x**64)**64)**64 > 0",
    "powers of whole numbers": "(((n + 9)**64)**64)**64 > 0",
    "product": " * ".join(["99999999999999999999"] * 40) + " > x",
    "shift": "1 << 10**10 > 0",
    "repetition": "'a' * 10**10 == ''",
    "list": "[0] * 10**10 == []",
    "long": "x > 0 and " * 100_000 + "x > 0",
    "nested": "(" * 300 + "x" + ")" * 300 + " > 0",
    "negated": "-" * 900 + "x > 0",
    "not": "not " * 240 + "x > 0",
    "never": "x > 5",
    "slow": " or ".join(["x ** 64 > 5"] * 80),
    "null byte": "x > 0\x00",
    "control": "x > 0 \x1b[31m",
    "no text": 7,
    "nothing": None,
    "nested list": [["x > 0"]],
    "object": {"x": 1},
}


@pytest.mark.parametrize("text", CONSTRAINTS.values(), ids=CONSTRAINTS)
def test_constraints(path, text, monkeypatch):
    monkeypatch.chdir(path.parent)
    put_json(path, "space", lambda d: d.update(where=text if isinstance(text, dict) else [text]))
    assert_harmless(path)


MANY = {
    "parameters": lambda d: d["parameters"].extend(
        {"name": f"p{i}", "type": "float", "low": 0.0, "high": 1.0} for i in range(5000)
    ),
    "chain": lambda d: d["parameters"].extend(
        {"name": f"p{i}", "type": "choice", "options": [0, 1], "when": {f"p{i + 1}": [1]}}
        for i in range(3000)
    ),
    "options": lambda d: d["parameters"][1].update(options=list(range(100_000))),
    "constraints": lambda d: d.update(where=["x ** 64 < 99"] * 10_000),
    "steps": lambda d: d["parameters"][0].update(low=0.0, high=1e300, step=1e-300),
    "twins": lambda d: d["parameters"].append(d["parameters"][0]),
}


@pytest.mark.parametrize("change", MANY.values(), ids=MANY)
def test_large_spaces_take_no_long_time(path, change):
    put_json(path, "space", change)
    try:
        done = subprocess.run(
            command("status", path), env=ENVIRONMENT, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.fail("not ended after 60 s")
    assert done.returncode in {0, 1}
    assert "Traceback" not in done.stderr


# Names that lead somewhere else.

EVIL_MODULE = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
import tinytune
from typing import Annotated
@tinytune.trial
def train(x: Annotated[float, tinytune.Float(0.0, 1.0)] = 0.5) -> float:
    return x
"""


@pytest.fixture
def evil(path, monkeypatch):
    """Modules beside the study that leave a file when they are run; its folder is entered."""
    monkeypatch.chdir(path.parent)
    for name in ("evil.py", "os.py", "sitecustomize.py"):
        (path.parent / name).write_text(EVIL_MODULE)
    return path


def assert_nothing_ran(path):
    assert not (path.parent / "ran").exists()


@pytest.mark.parametrize(
    "name",
    ["../x", "os", "evil", "..evil", "evil:train", "random.os", "__init__", "walk", "", "a/b"],
)
def test_the_search_is_no_module(evil, name):
    """The name of a search is looked up in a table, and never imported or opened."""
    put_json(evil, "search", lambda d: d.update(name=name))
    assert_harmless(evil)
    code, _ = say(evil, "resume", "--objective", TOY)
    assert code == 1
    with pytest.raises(TinytuneError):
        work(evil)
    assert_nothing_ran(evil)


GRIDS = {
    "points": {"points": 7},
    "points of what is not there": {"points": {"y": 3}},
    "a text": {"points": {"x": "abc"}},
    "lists": {"points": {"x": [[1], [2]]}},
    "no points": {"points": {"x": []}},
    "points below zero": {"points": {"x": -3}},
    "half a point": {"points": {"x": 2.5}},
    "true": {"points": {"x": True}},
    "an order": {"order": ["even"], "points": {"x": 3}},
    "a large order": {"order": {"a": 1}},
}


@pytest.mark.parametrize("options", GRIDS.values(), ids=GRIDS)
def test_options_of_a_search(path, options):
    put_json(path, "search", lambda d: d.update(name="grid", options=options))
    assert_harmless(path)
    with suppress(TinytuneError):
        work(path)


def test_a_grid_of_very_many_points(path):
    """Whoever resumes it gets an answer before the memory is used up."""
    put_json(path, "search", lambda d: d.update(name="grid", options={"points": {"x": 10**12}}))
    script = (
        "import resource, sys, pathlib; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31));"
        "from tinytune.study import Study; from tinytune.errors import TinytuneError\n"
        "try:\n    Study(pathlib.Path(sys.argv[1])).ask()\n"
        "except TinytuneError as error:\n    print(error)"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, path], env=ENVIRONMENT, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.fail("not ended after 60 s")
    assert done.returncode == 0, done.stderr[-300:]


REFERENCES = {
    "absolute": {"from_cwd": "/etc/passwd"},
    "parents": {"beside_study": "../../../../../../etc/passwd"},
    "a file here": {"beside_study": "evil.py", "from_cwd": "evil.py"},
    "a file of another function": {"from_cwd": "evil.py", "function": "system"},
    "a module of Python": {"module": "os", "function": "system"},
    "a module here": {"module": "evil"},
    "a module of ours": {"module": "tinytune.cli", "function": "main"},
    "a module with a file": {"module": "evil.py", "from_cwd": "evil.py"},
    "an attribute": {"module": "os.path", "function": "os.system"},
    "standard input": {"from_cwd": "/dev/stdin"},
    "a shell's command": {"from_cwd": "evil.py", "function": "train; touch ran"},
    "a shell's substitution": {"from_cwd": "evil.py", "function": "$(touch ran)"},
    "an option": {"from_cwd": "evil.py", "function": "train --accept-changes"},
    "not a text": {"from_cwd": 7},
    "a list": {"beside_study": ["evil.py"]},
    "a null byte": {"from_cwd": "evil.py\x00"},
    "a long path": {"from_cwd": "x" * 10_000},
    "a module that is no text": {"module": ["os"]},
    "a function that is no text": {"function": {"a": 1}, "from_cwd": "evil.py"},
    "empty": {"function": "", "from_cwd": "", "beside_study": ""},
}


@pytest.mark.parametrize("reference", REFERENCES.values(), ids=REFERENCES)
def test_the_objectives_place_is_not_followed(evil, reference):
    nothing = {"module": None, "from_cwd": None, "beside_study": None}
    put_json(evil, "objective", lambda d: d.update({**nothing, **reference}))
    assert_harmless(evil)
    _, told = say("study.db", "resume")
    assert_nothing_ran(evil)
    advised = re.search(r"then `(.*)", told)
    if advised:  # the command that the user is told to give does no more than it seems to
        word = r"([\w./:-]+|'[^'`]*')"
        assert re.fullmatch(rf"tinytune resume study\.db --objective {word}`", advised[1]), told


def test_a_name_that_is_vouched_for_is_not_another_functions(evil):
    """A stranger returns the study with another function of the same file, and other settings."""
    mine = evil.with_name("mine.db")
    assert (
        tinytune("run", "evil.py", "--study", mine, "--trials", 1, cwd=evil.parent).returncode == 0
    )
    (evil.parent / "ran").unlink()
    put_json(mine, "objective", lambda d: d.update(beside_study="other.py", from_cwd="other.py"))
    (evil.parent / "other.py").write_text(EVIL_MODULE)
    done = tinytune("resume", mine, "--trials", "+1", cwd=evil.parent)
    assert done.returncode == 1
    assert_nothing_ran(evil)


def test_reading_imports_nothing_from_the_studys_folder(evil):
    (evil.parent / "tinytune.py").write_text(EVIL_MODULE)
    for words in ("status", "show 3", "trials --format=json"):
        name, *more = words.split()
        done = subprocess.run(
            ["tinytune", name, "study.db", *more],
            executable=_script(), cwd=evil.parent, env={**ENVIRONMENT, "PYTHONPATH": ""},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert_nothing_ran(evil)


def _script():
    script = Path(sys.executable).with_name("tinytune")
    if not script.exists():
        pytest.skip("tinytune is not installed as a command here")
    return script


# Numbers that would make work without end, or ruin arithmetic.

NUMBERS = {
    "a trial at the end of the numbers": ("trial", "number", 2**63 - 1, "number = 24"),
    "the clock at its end": ("clock", "tick", 2**63 - 1, "1"),
    "the clock before zero": ("clock", "tick", -5, "1"),
    "the clock behind": ("clock", "tick", 3, "1"),
    "attempts at the end": ("trial", "attempt", 2**63 - 1, "number = 20"),
    "a beat at the end": ("worker", "beat", 2**63 - 1, "1"),
    "a seed too large": ("study", "seed", 2**63 - 1, "1"),
    "a seed below zero": ("study", "seed", -1, "1"),
    "a process of none": ("worker", "pid", -1, "1"),
    "the process of all": ("worker", "pid", 0, "1"),
    "a process too large": ("worker", "pid", 2**62, "1"),
    "a time long ago": ("trial", "started", -1e300, "1"),
    "a time to come": ("trial", "finished", 1e300, "1"),
    "no end of time": ("trial", "started", float("inf"), "1"),
    "a duration below zero": ("trial", "seconds", float("-inf"), "1"),
    "the best value of all": ("trial", "value", float("-inf"), "number = 4"),
    "infinite": ("trial", "value", float("inf"), "number = 4"),
    "a step at the end": ("metric", "step", 2**63 - 1, "trial = 3 AND step = 5"),
    "an infinite number": ("metric", "value", float("inf"), "trial = 3"),
}


@pytest.mark.parametrize(("table", "column", "value", "where"), NUMBERS.values(), ids=NUMBERS)
def test_odd_numbers(path, table, column, value, where):
    put(path, table, column, value, where)
    assert_harmless(path)
    with suppress(TinytuneError):
        work(path)
