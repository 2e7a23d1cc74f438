"""pack, retry, release, check: what cares for a study's file."""

import json
import sqlite3

import pytest

from tests.faults.hostile_files import spoken
from tests.shell import ROOT, results, tinytune
from tests.studies import make_study, run_all
from tinytune import check, process
from tinytune.store.reader import Reader
from tinytune.store.writer import Store, copy
from tinytune.study import Study

BROKEN = ROOT / "tests" / "toys" / "broken.py"


def one_line(done, code=0):
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_a_study_at_work_is_packed_whole(tmp_path):
    path = make_study(tmp_path)
    with Study(path) as asking:
        asking.tell(asking.ask(), 1.0)
        running = asking.ask()
        running.report(0, loss=2.0)
        packed = tmp_path / "packed.db"
        assert one_line(tinytune("pack", path, "-o", packed)) == f"{packed}: 2 trials"
        with Reader(packed) as reader:  # the copy stands alone: what runs here is waiting there
            assert [trial.state for trial in reader.trials()] == ["complete", "waiting"]
            assert reader.curves(reader.trial(1)) == {"loss": {0: 2.0}}
        assert asking.tell(running, 2.0).state == "complete"
    told = one_line(tinytune("pack", path, "-o", packed), code=1)
    assert told == f"tinytune: {packed} exists already: name another file"
    assert tinytune("check", packed).returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["packed.db", "study.db"]


def test_a_copy_goes_on_by_itself(tmp_path):
    path = make_study(tmp_path)
    with Study(path) as asking:
        for _ in range(3):
            trial = asking.ask()
            asking.tell(trial, trial.params["x"] ** 2)
        asking.ask()
        copy(path, tmp_path / "copy.db")
    run_all(path)
    run_all(tmp_path / "copy.db")
    assert results(path) == results(tmp_path / "copy.db")


def test_failed_trials_run_again(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(BROKEN.read_text())
    tinytune("run", "train.py:sometimes", "--trials", 6, cwd=tmp_path)
    before = results(tmp_path / "study.db")
    done = tinytune("retry", "study.db", 2, cwd=tmp_path)
    assert one_line(done) == "1 trial waits to run again: tinytune resume study.db"
    script.write_text(BROKEN.read_text().replace("== 2", "== 7"))
    assert tinytune("resume", "study.db", "-q", cwd=tmp_path).returncode == 0
    after = results(tmp_path / "study.db")
    assert [trial[1] for trial in after] == ["complete"] * 5 + ["failed"]
    assert [trial[3] for trial in after] == [trial[3] for trial in before]  # the same params
    shown = json.loads(tinytune("show", "study.db", 2, "--format", "json", cwd=tmp_path).stdout)
    assert shown["attempt"] == 2
    assert [(a["ending"], a["error"]) for a in shown["attempts"]] == [
        ("failed", "RuntimeError: every third")
    ]
    assert "every third" in tinytune("show", "study.db", 2, cwd=tmp_path).stdout
    told = one_line(tinytune("retry", "study.db", 0, cwd=tmp_path), code=2)
    assert told == "tinytune: trial 0 of study.db has not failed: see `tinytune trials`"
    one_line(tinytune("retry", "study.db", cwd=tmp_path))
    with Reader(tmp_path / "study.db") as reader:
        assert reader.trial(5).state == "waiting"


def test_a_learning_search_remembers_a_failure_that_was_retried(tmp_path):
    path = make_study(tmp_path)
    with Store(path) as store:
        worker = store.join(process.current(), "0", "3", None)
        from tinytune.history import Outcome

        def claim():
            return store.claim(worker, "random/1", 0, lambda number: ({"x": 0.1}, "search"))

        store.tell(claim().token, Outcome("failed", error="bad"), 1.0)
        asked = claim().asked  # it saw the failure
        store.retry([0])
        again = claim()
        store.tell(again.token, Outcome("complete", 1.0, {"loss": 1.0}), 1.0)
        assert [(t.number, t.state) for t in store.history(before=asked)] == [(0, "failed")]
        assert store.pending(before=asked) == []
        late = [(t.number, t.state) for t in store.history(before=store.tick() + 1)]
        assert late == [(0, "failed"), (0, "complete")]


def test_what_a_vanished_host_held_is_released(tmp_path):
    path = make_study(tmp_path)
    here = process.current()
    far = process.Identity(**{**here._asdict(), "boot": "b", "machine": "m", "host": "far"})
    with Store(path) as store:
        for who in (far, here):
            worker = store.join(who, "0", "3", None)
            store.claim(worker, "random/1", 0, lambda number: ({"x": number / 10}, "search"))
        done = tinytune("release", path)
        assert done.stderr.splitlines() == [
            f"1 trial given back: tinytune resume {path}",
            "1 trial is run by processes that live here, and not given back",
        ]
        assert [t.state for t in store.trials()] == ["waiting", "running"]
        assert store.trial(0).deaths == 0


@pytest.fixture
def whole(tmp_path):
    path = make_study(tmp_path)
    run_all(path)
    return path


def test_a_whole_study_is_found_whole(whole):
    done = tinytune("check", whole)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("  ok\n") == 12
    assert f"SQLite {sqlite3.sqlite_version}" in done.stdout
    document = json.loads(tinytune("check", whole, "--format", "json").stdout)
    assert document["ok"] is True


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("DELETE FROM trial WHERE number = 3", "trial 3 is missing"),
        ("UPDATE trial SET number = 9 WHERE number = 5", "trial 5 is missing"),
        ("UPDATE study SET budget = 2", "6 trials ended of 2"),
        ("UPDATE trial SET asked = 1 WHERE number = 4", "trial 4 was asked before trial 3"),
        ("UPDATE trial SET told = 999 WHERE number = 1", "trial 1 was told at tick 999"),
        ("UPDATE trial SET told = asked WHERE number = 1", "trial 1 shares its tick"),
        ("UPDATE clock SET tick = 3", "outside of its time"),
        ("""UPDATE trial SET params = '{"x": 7}' WHERE number = 2""", "trial 2: parameter 'x'"),
        ("UPDATE metric SET attempt = 9 WHERE trial = 0", "trial 0 has reports of an attempt"),
    ],
)
def test_what_was_changed_by_hand_is_found(whole, damage, told):
    connection = sqlite3.connect(whole)
    with connection:
        connection.execute(damage)
    connection.close()
    done = tinytune("check", whole)
    assert done.returncode == 1
    assert told in done.stdout


def test_a_damaged_page_is_found(whole):
    content = bytearray(whole.read_bytes())
    connection = sqlite3.connect(whole)
    (root,) = connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'trial_told'"
    ).fetchone()
    connection.close()
    start = (root - 1) * 4096
    content[start + 3 : start + 5] = b"\0\0"  # the index says that it holds nothing
    whole.write_bytes(content)
    done = tinytune("check", whole)
    assert done.returncode == 1
    assert "restore" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_what_sqlite_is_exposed_to_is_said():
    assert "WAL-reset defect" in check.sqlite_notes((3, 40, 1))[0]
    assert "WAL-reset defect" in check.sqlite_notes((3, 51, 2))[0]
    for version in ((3, 51, 3), (3, 53, 0), (3, 50, 7), (3, 44, 6)):
        assert check.sqlite_notes(version) == [f"SQLite {'.'.join(map(str, version))}"]


def test_a_hot_journal_is_taken_back_even_by_a_reader(whole, tmp_path):
    """The moment of a kill in a transaction in rollback mode, as a disk holds it."""
    crash = tmp_path / "crash"
    crash.mkdir()
    connection = sqlite3.connect(whole, isolation_level=None)
    connection.execute("PRAGMA cache_size=1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE trial SET value = -1, error = NULL, traceback = hex(zeroblob(9999))")
    for name in ("study.db", "study.db-journal"):
        (crash / name).write_bytes((tmp_path / name).read_bytes())
    connection.close()
    with Reader(whole) as reader:
        expected = [trial.value for trial in reader.trials()]
    done = tinytune("trials", crash / "study.db", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert [trial["value"] for trial in json.loads(done.stdout)] == expected
    assert [p.name for p in crash.iterdir()] == ["study.db"]


def test_where_there_is_nothing_to_run_again_that_is_said(tmp_path):
    path = make_study(tmp_path)
    run_all(path)
    assert spoken("retry", path)[2] == f"{path}: there is no failed trial that could run again\n"
    told = f"{path}: no trial is running, so there is none to give back\n"
    assert spoken("release", path)[2] == told
