"""The run of `steps` ends, or meets an error, at each of its SQL statements in turn."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.steps import BUDGET
from tests.shell import ENVIRONMENT, LONG
from tinytune import db
from tinytune.errors import StudyFileError
from tinytune.store.reader import Reader
from tinytune.study import Study

FEWER = 1 if LONG else 6  # the short version tries every sixth statement


def steps(path, at, *harm):
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.steps", str(path), str(at), *harm],
        env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return [line.split(" ", 1) for line in done.stdout.splitlines()]


def statements(tmp_path_factory):
    path = tmp_path_factory.mktemp("calm") / "study.db"
    (count,) = [int(rest) for what, rest in steps(path, 0, "exit") if what == "statements"]
    return count


@pytest.fixture(scope="module")
def number_of_statements(tmp_path_factory):
    count = statements(tmp_path_factory)
    assert count > 80  # else the run does not do what it is said to do
    return count


def check(path, acknowledged):
    """The invariants hold, and the study can be completed."""
    if not path.exists():
        assert acknowledged == []
        return
    complete(path)
    with Reader(path) as reader:
        assert reader._db.all("PRAGMA integrity_check") == [("ok",)]
        assert reader._db.all("PRAGMA foreign_key_check") == []
        trials = reader.trials()
        assert [trial.number for trial in trials] == list(range(BUDGET))
        assert {trial.state for trial in trials} == {"complete"}
        ticks = [t for trial in trials for t in (trial.asked, trial.suggested, trial.told)]
        assert len(set(ticks)) == len(ticks)
        assert sorted(t.asked for t in trials) == [t.asked for t in trials]
        for what, rest in acknowledged:
            if what == "told":
                number, value = rest.split()
                assert trials[int(number)].value == float(value)
            if what == "report":
                number, step = map(int, rest.split())
                found = reader._db.all(
                    "SELECT 1 FROM metric WHERE trial = ? AND step = ?", (number, step)
                )
                assert found, f"report {step} of trial {number} is lost"


def complete(path):
    from tests.faults import objective  # noqa: F401 - registers the search

    with Study(path) as study:
        while not study.is_over() or study.progress.ended < BUDGET:
            trial = study.ask()
            assert trial is not None, study.trials()
            study.tell(trial, trial.params["x"])


def in_parallel(check_one, points):
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(check_one, points):
            pass


def test_a_process_may_end_at_any_statement(tmp_path, number_of_statements):
    def one(at):
        path = tmp_path / f"{at}.db"
        check(path, steps(path, at, "exit"))

    in_parallel(one, range(1, number_of_statements + 1, FEWER))


@pytest.mark.parametrize("kind", ["full", "ioerr", "busy", "nomem"])
@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
def test_any_statement_may_fail(tmp_path, number_of_statements, kind, for_ever):
    def one(at):
        path = tmp_path / f"{at}.db"
        lines = steps(path, at, kind, *(["forever"] if for_ever else []))
        if kind == "busy" and not for_ever:
            assert not [rest for what, rest in lines if what == "error"]  # it was tried again
        for what, rest in lines:
            assert what != "error" or rest.startswith(f"{path} "), rest
        check(path, [line for line in lines if line[0] in {"told", "report"}])

    in_parallel(one, range(1, number_of_statements + 1, FEWER * 3))


def test_a_file_stays_locked_for_good(tmp_path, monkeypatch):
    from tests.studies import make_study

    monkeypatch.setattr(db, "BUSY_SECONDS", 0.05)
    path = make_study(tmp_path)
    import sqlite3

    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StudyFileError, match="has been locked by another program for"):
        Study(path)
    other.close()
