"""The file's format: commented for strangers, marked as ours, readable without tinytune."""

import re
import sqlite3
from contextlib import closing
from itertools import chain
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from tests.studies import make_study, run_all
from tinytune.digest import digest
from tinytune.schema import APPLICATION_ID, BUILT, BUILT_OF, SCHEMA_VERSION, migrate, schema_sql

ROOT = Path(__file__).resolve().parents[1]


def test_there_is_one_copy_of_the_schema():
    assert not (ROOT / "tinytune" / "schema.sql").exists()
    assert schema_sql() == (ROOT / "schema.sql").read_text(encoding="utf-8")


def test_how_a_study_is_built_is_known():
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.executescript(schema_sql())
        found = digest(*chain.from_iterable(memory.execute(BUILT_OF)))
    assert found == BUILT, f"write {found!r} into tinytune/schema.py"


def test_every_table_is_strict_and_commented():
    text = schema_sql()
    tables = re.findall(
        r"((?:^--[^\n]*\n)+)CREATE TABLE (\w+) \(\n.*?\n\) ([^\n]*);",
        text,
        re.MULTILINE | re.DOTALL,
    )
    assert {name for _, name, _ in tables} == set(re.findall(r"CREATE TABLE (\w+)", text))
    for comment, name, options in tables:
        assert len(comment) > 20, name
        assert "STRICT" in options, name


def test_the_file_is_marked(tmp_path):
    path = make_study(tmp_path)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()


def test_people_can_read_it_with_sqlite3_alone(tmp_path):
    path = make_study(tmp_path, budget=6)
    run_all(path)
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    connection.row_factory = sqlite3.Row
    rows = [dict(row) for row in connection.execute("SELECT * FROM trials")]
    assert [row["number"] for row in rows] == list(range(6))
    assert rows[0].keys() >= {"x", "kind", "n", "value", "value_", "seconds", "started"}
    best = connection.execute("SELECT number, value FROM best").fetchone()
    assert best["value"] == min(row["value"] for row in rows)
    curve = connection.execute("SELECT step, value FROM curves WHERE trial = 0").fetchall()
    assert [tuple(row) for row in curve] == [(0, 0.5)]
    connection.close()


def test_migrations_are_applied_once_each(tmp_path):
    steps = Migrations("tinytune")

    @steps()
    def adds_a_column(database):
        database["study"].add_column("colour", str)

    connection = sqlite3.connect(make_study(tmp_path))
    migrate(connection, steps)
    migrate(connection, steps)
    assert "colour" in Database(connection)["study"].columns_dict
    connection.close()
