"""Bad paths and bad files: one sentence with the path and the remedy, and nothing is touched."""

import os
import shlex
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.shell import ENVIRONMENT, ROOT, await_true, command, results, start, tinytune
from tests.studies import make_study, record, run_all
from tinytune import db, study
from tinytune.errors import StudyFileError
from tinytune.files import typed
from tinytune.store.reader import Reader
from tinytune.store.writer import Store
from tinytune.study import Study

TOY = ROOT / "tests" / "toys" / "toy.py"
READING = (["best"], ["trials"], ["status"], ["show", 0])


def foreign(path):
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE notes (text)")
    connection.close()


def newer(path):
    make_study(path.parent).rename(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def truncated(path):
    make_study(path.parent).rename(path)
    path.write_bytes(path.read_bytes()[:5000])


def header_gone(path):
    make_study(path.parent).rename(path)
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])


CASES = {
    "foreign": (foreign, "is another program's SQLite file, not a tinytune study"),
    "empty": (lambda path: path.touch(), "is empty, not a study"),
    "text": (lambda path: path.write_text("a,b\n1,2\n" * 999), "is not a tinytune study"),
    "newer": (newer, "has format 99, but this tinytune reads up to format 1: upgrade"),
    "truncated": (truncated, "is damaged: restore it from a copy"),
    "header": (header_gone, "is not a tinytune study"),
    "folder": (lambda path: path.mkdir(), "is a directory: name a file"),
}


@pytest.mark.parametrize(("make", "told"), CASES.values(), ids=CASES)
def test_what_is_no_study_is_refused_and_left_as_it_is(tmp_path, make, told):
    path = tmp_path / "bad.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    for name, *more in (*READING, ["resume"]):
        done = tinytune(name, path, *more)
        assert done.returncode == 1
        assert done.stderr.startswith(f"tinytune: {path} {told}"), done.stderr
        assert len(done.stderr.splitlines()) == 1
    done = tinytune("run", TOY, "--study", path, "--trials", 1)
    assert done.returncode == 1
    assert told in done.stderr
    assert before is None or path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["bad.db"]


@pytest.mark.parametrize("name", ["a study.db", "50%?#1.db", "größe☃.db", "-.db", "x'y\".db"])
def test_paths_that_need_quoting(tmp_path, name):
    arguments = ["--trials", 3, "--study", f"./{name}"]
    done = tinytune("run", TOY, *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert tinytune("best", "--", name, cwd=tmp_path).returncode == 0
    assert tinytune("resume", "--trials", "+1", "--", name, cwd=tmp_path).returncode == 0


def test_reading_creates_and_changes_nothing(tmp_path):
    path = make_study(tmp_path)
    run_all(path)
    before = path.read_bytes()
    for name, *more in READING:
        assert tinytune(name, path, *more).returncode == 0
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["study.db"]


@pytest.fixture
def nobody():
    """A folder that another user may enter, and a command's run as that user."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, to become somebody else")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)

        def run(*arguments):
            become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            return subprocess.run(
                [*become, *command(*arguments)],
                env={**ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                check=False,
            )

        if run("--version").returncode != 0:
            pytest.skip("another user cannot run this Python")
        yield folder, run


def test_a_study_that_may_not_be_written_can_be_read_and_not_resumed(nobody):
    folder, run = nobody
    path = folder / "study.db"
    assert tinytune("run", TOY, "--study", path, "--trials", 2).returncode == 0
    path.chmod(0o444)
    assert run("best", path).returncode == 0
    done = run("resume", path, "--objective", TOY, "--trials", "+1")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "read-only here: make the file and its directory writable" in done.stderr


def test_a_folder_that_may_not_be_entered(nobody):
    folder, run = nobody
    hidden = folder / "hidden"
    hidden.mkdir(mode=0o700)
    for arguments in (["best", hidden / "study.db"], ["run", TOY, "--study", hidden / "new.db"]):
        done = run(*arguments)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].endswith("Permission denied")
        assert "Traceback" not in done.stderr


def test_many_processes_create_one_study(tmp_path):
    path = tmp_path / "study.db"
    racing = [start("run", TOY, "--study", path, "--trials", 30) for _ in range(8)]
    for each in racing:
        _, errors = each.communicate(timeout=120)
        assert each.returncode == 0, errors
    assert [number for number, *_ in results(path)] == list(range(30))
    assert [p.name for p in tmp_path.iterdir()] == ["study.db"]


def test_only_one_creation_wins(tmp_path):
    path = tmp_path / "study.db"
    assert study.start(path, record(), None) is True
    assert study.start(path, record(), None) is False


@pytest.mark.parametrize("way", ["unnamed", "renamed"])
def test_creation_leaves_nothing_behind_on_any_file_system(tmp_path, monkeypatch, way):
    if way == "renamed":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
        monkeypatch.setattr(
            os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(1, "no links"))
        )
    path = make_study(tmp_path)
    assert study.start(path, record(), None) is False
    run_all(path)
    assert [p.name for p in tmp_path.iterdir()] == ["study.db"]


def test_the_file_alone_can_be_copied_while_it_is_in_use(tmp_path):
    """A copy of the .db alone lacks at most the last second or two, and is whole."""
    path = make_study(tmp_path, budget=None)
    with Study(path) as asking:
        for _ in range(20):
            trial = asking.ask()
            asking.tell(trial, trial.params["x"])
        asking._writer._db.one("PRAGMA wal_checkpoint(FULL)")
        copy = tmp_path / "copy.db"
        copy.write_bytes(subprocess.run(["cat", path], capture_output=True, check=True).stdout)
    with Reader(copy) as reader:
        assert len(reader.trials("complete")) == 20


def test_finished_trials_are_folded_into_the_file_once_a_second(tmp_path, monkeypatch):
    path = make_study(tmp_path, budget=None)
    folded = []
    real = db.Database.one

    def one(self, sql, arguments=()):
        if "checkpoint(" in sql:
            folded.append(sql)
        return real(self, sql, arguments)

    monkeypatch.setattr(db.Database, "one", one)
    with Study(path) as asking:
        for age in (0.0, 5.0, 0.0, 0.0, 5.0):
            trial = asking.ask()
            stamp = time.time() - age
            os.utime(path, (stamp, stamp))
            asking.tell(trial, 1.0)
    assert folded == ["PRAGMA wal_checkpoint(FULL)"] * 2


def test_on_a_network_file_system_there_is_no_write_ahead_log(tmp_path, monkeypatch):
    path = make_study(tmp_path)
    monkeypatch.setattr(db, "file_system", lambda path: "nfs4")
    with Study(path) as asking:
        asking.tell(asking.ask(), 1.0)
        assert not (tmp_path / "study.db-wal").exists()
        assert asking._writer._db.one("PRAGMA synchronous") == (3,)  # EXTRA
    run_all(path)
    with Reader(path) as reader:
        assert len(reader.trials("complete")) == 6


def test_a_fork_cannot_write_through_what_it_inherited(tmp_path):
    path = make_study(tmp_path)
    with Study(path) as asking:
        trial = asking.ask()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                trial.report(0, loss=1.0)
            except StudyFileError as error:
                os.write(writing, str(error).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert b"cannot be used in its fork" in os.read(reading, 4096)
        asking.tell(trial, 1.0)
    with Reader(path) as reader:
        assert reader.curves(reader.trial(0)) == {}


def test_a_locked_file_is_waited_for(tmp_path):
    path = make_study(tmp_path)
    with Store(path) as store:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        waiting = threading.Thread(target=store.set_budget, args=(9,))
        waiting.start()
        with Reader(path) as reader:
            assert reader.study().budget == 6  # readers do not wait
        other.execute("COMMIT")
        waiting.join()
        assert store.study().budget == 9
        other.close()


def test_a_deleted_file_is_one_sentence(tmp_path):
    path = tmp_path / "study.db"
    gate, log = tmp_path / "gate", tmp_path / "log"
    process = start(
        "run", TOY, "--study", path, "--trials", 3, "--set", f"gate={gate}", "--set", f"log={log}"
    )
    await_true(log.exists, process)
    path.unlink()
    gate.touch()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith(f"tinytune: {path} ")


def test_a_hint_has_the_path_as_it_is_typed(tmp_path):
    for name in ("study.db", "a b.db", "$HOME.db", "it's.db", "größe.db", "a;b.db", "..db"):
        assert shlex.split(f"tinytune best {typed(tmp_path / name)}")[2] == str(tmp_path / name)
    assert typed("runs-1/my_study.db") == "runs-1/my_study.db"
    path = make_study(tmp_path).rename(tmp_path / "a b.db")
    failed = tinytune("best", path)
    assert failed.stderr.endswith(f"see `tinytune status '{path}'`\n")
