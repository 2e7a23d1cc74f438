"""A study is recomputed from its file, and whatever is changed in the file is noticed."""

import json
import random
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.objective import torture
from tests.shell import LONG, tinytune
from tests.studies import record
from tinytune import __version__, changing, check, process
from tinytune.digest import START, Sum, digest
from tinytune.errors import StudyFileError
from tinytune.history import Environment, Finished, Lesson, Outcome, SearchSpec, Source
from tinytune.search import make, names, spec
from tinytune.stopping import parse
from tinytune.store.editor import Editor
from tinytune.store.reader import Reader
from tinytune.store.writer import create
from tinytune.study import Study
from tinytune.verify import _Past, verify


def verified(path):
    with Reader(path) as reader:
        return verify(reader, lambda done, total: None)


def found_by_anything(path):
    """Return whether opening, verifying or checking a file finds anything wrong."""
    try:
        if not verified(path).is_good:
            return True
        with Reader(path) as reader:
            return any(finding.problem for finding in check.check(reader))
    except StudyFileError:
        return True


# A study in which every table has rows.


SOURCE = Source("a" * 64, "train.py", "x = 1\n")
ENVIRONMENT = Environment(
    "b" * 64, '{"python": "3.12.1"}', (Source("c" * 64, "model.py", "y = 2\n"),)
)


@pytest.fixture
def rich(tmp_path):
    path = tmp_path / "study.db"
    lessons = (
        Lesson("old.db", "ab", 3, Finished(-2, "complete", {"x": 0.5, "kind": "a"}, 0.25)),
        Lesson("old.db", "ab", 7, Finished(-1, "failed", {"x": 0.5, "kind": "b", "n": 2}, None)),
    )
    assert create(path, record(budget=5)._replace(lessons=lessons), SOURCE, __version__)
    with Study(path) as study:
        store = study._writer
        store.set_objective(study.record.objective, "mark")
        lost = store.join(process.current(), __version__, "3.12", SOURCE, ENVIRONMENT)
        for number in range(4):
            trial = study.ask()
            trial.report(0, loss=0.5, accuracy=float("nan"))
            if number == 1:
                study.give_back(trial)
                trial = study.ask()
            if number == 2:
                study.tell(trial, Outcome("failed", error="ValueError: no", traceback="in line 1"))
                store.retry([2])
                trial = study.ask()
                trial.report(1, loss=0.25)
            study.tell(trial, {"loss": number / 7, "size": 3.0})
        claim = store.claim(lost, "random/1", 1, study._independent_suggestion)
        store.report(claim.token, 0, {"loss": 9.0})
        store.bury([lost], "vanished")
        study.tell(study.ask(), 4.0)
    changing.change(path, changing.Wanted(stopping=parse("median")))
    with Editor(path) as editor:
        editor.remove([0, 2])
        editor.restore([2])
        editor.tag(3, ["good", "0.25"])
        editor.note(2, "it failed once")
        editor.note(None, "a study of everything")
    return path


@pytest.fixture
def waiting(tmp_path):
    """A study with trials that were added by hand and wait, one that has been tried before."""
    path = tmp_path / "waiting.db"
    assert create(path, record(budget=2), SOURCE, __version__)
    with Study(path) as study:
        for x in (0.25, 0.5):
            study._writer.add({"x": x, "kind": "a", "value": 0.5}, "random/1", 1)
        study.give_back(study.ask())
    return path


def test_a_negative_zero_is_no_change_of_the_file(tmp_path):
    path = tmp_path / "study.db"
    assert create(path, record(budget=2), SOURCE, __version__)
    with Study(path) as study:
        for told in (-0.0, {"loss": np.float64(-0.0), "size": -0.0}):
            trial = study.ask()
            trial.report(0, loss=-0.0, size=np.float32(-0.0))
            study.tell(trial, told)
    assert verified(path).is_good


def test_trials_that_wait_are_under_a_seal(waiting, tmp_path):
    assert not found_by_anything(waiting)
    with closing(sqlite3.connect(waiting)) as connection:
        everything = list(rows_of(connection, "trial"))
    for cells, where, keys in everything:
        for name in ("params", "seed", "copied", "origin", "seal", "asked", "search"):
            for other in [*changed(cells[name]), None]:
                copy = changed_copy(waiting, tmp_path, "trial", name, other, where, keys)
                if copy is not None and other != cells[name]:
                    assert found_by_anything(copy), f"{name}: {cells[name]!r} became {other!r}"


def test_a_finished_study_is_exact(rich):
    found = verified(rich)
    assert found.is_good
    assert found.count("exact") == 5
    with closing(sqlite3.connect(rich)) as connection:
        kinds = {ending for (ending,) in connection.execute("SELECT ending FROM attempt")}
        assert kinds == {"died", "given back", "failed"}
        for table in TABLES:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0


TABLES = [
    "study",
    "clock",
    "source",
    "environment",
    "lesson",
    "note",
    "removal",
    "version",
    "voucher",
    "worker",
    "trial",
    "attempt",
    "metric",
]


def changed(value):
    """Return other values of the same kind, so that the file's own checks do not refuse them."""
    if value is None:
        return [1, "x"]
    if isinstance(value, str):
        return [value + " ", value[:-1], value.replace("0", "1")]
    return [value + 1, value * 2, -value]


def rows_of(connection, table):
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    keys = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]]
    for row in connection.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall():
        cells = dict(zip(names, row, strict=True))
        where = " AND ".join(f"{key} IS ?" for key in keys)
        yield cells, where, [cells[key] for key in keys]


def changed_copy(path, folder, table, name, value, where, keys):
    """Return a copy of a study with one cell changed, None where the schema refuses that."""
    copy = folder / "copy.db"
    shutil.copy(path, copy)
    with closing(sqlite3.connect(copy)) as connection:
        try:
            with connection:
                connection.execute(f"UPDATE {table} SET {name} = ? WHERE {where}", [value, *keys])
        except sqlite3.Error:
            return None
    return copy


@pytest.mark.parametrize("table", TABLES)
def test_any_cell_that_is_changed_is_noticed(rich, table, tmp_path):
    tried = 0
    with closing(sqlite3.connect(rich)) as connection:
        everything = list(rows_of(connection, table))
    for cells, where, keys in everything:
        for name, value in cells.items():
            for other in changed(value):
                copy = changed_copy(rich, tmp_path, table, name, other, where, keys)
                if copy is not None and other != value:
                    tried += 1
                    assert found_by_anything(copy), f"{table}.{name}: {value!r} became {other!r}"
    assert tried >= len(everything)


@pytest.mark.parametrize("table", TABLES)
def test_any_row_that_is_deleted_is_noticed(rich, table, tmp_path):
    with closing(sqlite3.connect(rich)) as connection:
        everything = list(rows_of(connection, table))
    for cells, where, keys in everything:
        copy = tmp_path / "copy.db"
        shutil.copy(rich, copy)
        with closing(sqlite3.connect(copy)) as connection, connection:
            connection.execute(f"DELETE FROM {table} WHERE {where}", keys)
        assert found_by_anything(copy), f"{table}: {cells} is gone"


def test_what_was_tampered_with_is_named(rich):
    with closing(sqlite3.connect(rich)) as connection, connection:
        connection.execute(
            "UPDATE trial SET params = json_set(params, '$.x', 0.125) WHERE number = 3"
        )
    found = verified(rich)
    (verdict,) = [v for v in found.verdicts if v.status == "differs"]
    assert verdict.number == 3
    (difference,) = verdict.differences
    assert (difference.name, difference.stored) == ("x", 0.125)
    distance = abs(difference.stored - difference.computed) / 2  # the range is from -1 to 1
    assert difference.distance == pytest.approx(distance)
    assert found.problems == ("trial 3, its metrics or an attempt at it were changed afterwards",)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE trial SET told = 99 WHERE number = 3", "trial 3, its metrics"),
        ("UPDATE trial SET seed = 7 WHERE number = 2", "the seed of trial 2"),
        ("DELETE FROM trial WHERE number = 1", "trial 1 is missing"),
        ("DELETE FROM metric WHERE trial = 3", "what was written at tick"),
        ("UPDATE study SET budget = 9", "the study's own row"),
        ("UPDATE worker SET pid = 1 WHERE id = 1", "worker 1"),
    ],
)
def test_what_leaves_the_suggestions_alone_is_named_too(rich, change, named):
    with closing(sqlite3.connect(rich)) as connection, connection:
        connection.execute(change)
    assert any(named in problem for problem in verified(rich).problems)


def test_the_study_s_seed_decides(rich):
    with closing(sqlite3.connect(rich)) as connection, connection:
        connection.execute("UPDATE study SET seed = 2")
    assert verified(rich).count("differs") >= 4  # all but the defaults, perhaps


def test_another_version_is_not_applicable(rich):
    with closing(sqlite3.connect(rich)) as connection, connection:
        connection.execute(
            "UPDATE study SET search = replace(search, '\"version\": 1', '\"version\": 99')"
        )
    found = verified(rich)
    assert found.count("not applicable") == 5
    assert "version 99" in found.verdicts[0].reason


# Any interleaving of workers, with kills, is exact.


def worker(path):
    study = Study(path)
    study._watch.is_due = lambda: False  # who dies here is buried by hand
    assert study._writer.tick() >= 0  # joins
    return study


def interleave(path, chance, workers, steps=400, between=lambda: None):
    """Let workers of one study take steps in a random order; some die on the way."""
    studies = [worker(path) for _ in range(workers)]
    running = {}
    for _ in range(steps):
        between()
        index = chance.randrange(workers)
        if index in running:
            end_or_go_on(studies, running, index, chance)
            continue
        trial = studies[index].ask()
        if trial is not None:
            running[index] = trial
        elif not running:
            break
    for study in studies:
        study.close()


def end_or_go_on(studies, running, index, chance):
    study, trial = studies[index], running[index]
    step = chance.choice(["die", "give back", "report", "report", "fail", "retry", *["tell"] * 4])
    if step == "report":
        trial.report(chance.randrange(5), loss=chance.random())
        return
    del running[index]
    if step == "die":
        study._writer.bury([study._worker], "vanished")
        study._reader.close()  # the file alone: the dead do not leave
        studies[index] = worker(study.path)
    elif step == "give back":
        study.give_back(trial)
    else:
        study.tell(trial, chance.random() if step == "tell" else None)
        if step == "retry":
            study._writer.retry([trial.number])


def study_of(search, seed):
    """Return a study of a search that tinytune has, or of the tests' own learner."""
    found = record(budget=24, seed=seed % 7, direction="maximize" if seed % 2 else "minimize")
    if search == "learner":
        return found._replace(space=torture.space, search=SearchSpec("learner", 1, {}))
    options = make(search, {"points": {"x": 3}} if search == "grid" else {})
    return found._replace(search=spec(options))


@pytest.mark.parametrize("search", sorted({*names(), "learner"}))
@settings(max_examples=10 if LONG else 2, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_interleaving_of_many_workers_with_kills_is_exact(tmp_path_factory, search, seed):
    path = tmp_path_factory.mktemp("study") / "study.db"
    assert create(path, study_of(search, seed), None, __version__)
    interleave(path, random.Random(seed), 16)
    found = verified(path)
    assert found.problems == ()
    assert [v for v in found.verdicts if v.status == "differs"] == []
    assert found.count("exact") >= 10


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_verify_takes_for_seen_is_what_the_queries_say_at_each_tick(tmp_path_factory, seed):
    path = tmp_path_factory.mktemp("study") / "study.db"
    assert create(path, study_of("random", seed), None, __version__)
    interleave(path, random.Random(seed), 4)
    with Reader(path) as reader:
        past, told = _Past(reader, reader.trials()), []
        for tick in range(1, reader.tick() + 2):
            told += past.results(before=tick)
            assert told == reader.history(before=tick)
            assert past.pending == reader.pending(before=tick)
        assert len(told) >= 10


def test_a_study_at_work_is_seen_as_it_is_in_one_moment(tmp_path):
    path = tmp_path / "study.db"
    assert create(path, study_of("cma-es", 1), None, __version__)
    with Study(path) as study:
        for _ in range(5):
            study.tell(study.ask(), 0.5)

        def work_on(done, total):
            trial = study.ask()
            if trial is not None:
                trial.report(0, loss=1.0)
                study.tell(trial, 0.25)

        with Reader(path) as reader, reader.snapshot():
            found = verify(reader, work_on)
        assert found.is_good
        assert found.count("exact") == 5
        assert len(study.trials()) > 5


# The digests themselves.


def test_digests_tell_types_and_borders_apart():
    cells = [("a", "b"), ("ab", ""), ("", "ab"), (1,), (1.0,), ("1",), (None,), (0,), (b"1",), ()]
    assert len({digest(*each) for each in cells}) == len(cells)


@given(st.lists(st.tuples(st.integers(-5, 5), st.text(max_size=2)), max_size=6))
def test_a_sum_does_not_depend_on_the_order_of_rows(rows):
    sums = []
    for order in (rows, rows[::-1]):
        total = Sum()
        for row in order:
            total.step(*row)
        sums.append(total.finalize())
    assert sums[0] == sums[1]
    if not rows:
        assert sums[0] == START


# The command.


def test_the_command_says_how_many_are_exact(rich):
    shown = tinytune("verify", rich)
    assert shown.returncode == 0
    assert "5 of 5 suggestions recomputed exactly" in shown.stdout
    as_json = json.loads(tinytune("verify", rich, "--format", "json").stdout)
    assert (as_json["ok"], as_json["exact"]) == (True, 5)


def test_the_command_exits_1_and_shows_both_values(rich):
    with closing(sqlite3.connect(rich)) as connection, connection:
        connection.execute(
            "UPDATE trial SET params = json_set(params, '$.x', 0.125) WHERE number = 3"
        )
    shown = tinytune("verify", rich)
    assert shown.returncode == 1
    assert "0.125" in shown.stdout
    assert "4 of 5 suggestions recomputed exactly" in shown.stdout
