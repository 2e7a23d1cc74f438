"""Disks that are full or read-only, and files that are deleted, linked or torn from their log."""

import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing, contextmanager, suppress

import pytest

from tests.shell import ROOT, await_true, kill_all, results, start, tinytune
from tests.studies import make_study, record
from tinytune import study as study_module
from tinytune.errors import StudyFileError
from tinytune.study import Study

TOY = ROOT / "tests" / "toys" / "toy.py"
FULL = "cannot be written, the disk is full: make room, then resume it"

# It writes down, on another disk, what tinytune has acknowledged: a report has returned, and a
# trial that begins shows that its worker's earlier ones were told.
TALKATIVE = """
import json
from pathlib import Path
from typing import Annotated

import tinytune
from tinytune import Float


def record(log, **entry):
    with Path(log).open("a") as file:
        file.write(json.dumps(entry) + "\\n")


@tinytune.trial(minimize="loss")
def train(
    trial: tinytune.Trial,
    x: Annotated[float, Float(0.0, 1.0)] = 0.5,
    log: str = "",
    steps: int = 40,
) -> float:
    record(log, begins=trial.number)
    for step in range(steps):
        tinytune.report(step, loss=x + step, accuracy=x * step)
        record(log, trial=trial.number, step=step, loss=x + step)
    return x
"""


@contextmanager
def mounted(folder, size):
    """Mount a small disk at a folder; skip the test where that is not allowed."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root, to mount a small disk")
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"may not mount a small disk: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def disk(tmp_path):
    """A disk of 1 MiB."""
    with mounted(tmp_path / "disk", "1m") as folder:
        yield folder


def remount(folder, option):
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)


def fill(folder):
    """Leave no room on a disk; return the file that takes it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    assert shutil.disk_usage(folder).free == 0
    return filler


def is_sound(path):
    """Return whether SQLite finds nothing wrong with a file."""
    with closing(sqlite3.connect(path)) as connection:
        foreign = connection.execute("PRAGMA foreign_key_check").fetchall()
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)] and not foreign


def states(path):
    with Study(path) as study:
        return [trial.state for trial in study.trials()]


def assert_one_sentence(done, path, *told):
    """A command failed as it should: with its path, the cause and the remedy, and nothing else."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("tinytune: ")]
    assert len(errors) == 1, done.stderr
    assert str(path) in errors[0]
    for text in told:
        assert text in errors[0]


@pytest.fixture
def talkative(tmp_path):
    path = tmp_path / "talkative.py"
    path.write_text(TALKATIVE)
    return path


@pytest.mark.parametrize("workers", [1, 3])
def test_a_disk_that_fills_up_loses_nothing(tmp_path, disk, talkative, workers):
    path, log = disk / "study.db", tmp_path / "log"
    done = tinytune(
        "run", talkative, "--study", path, "--trials", 40, "--set", f"log={log}", "-w", workers,
        "--max-failures", 1000,
    )  # fmt: skip
    assert_one_sentence(done, path, FULL)
    acknowledged = [json.loads(line) for line in log.read_text().splitlines()]
    assert is_sound(path)
    assert reports_in(path) >= {
        (entry["trial"], entry["step"], entry["loss"]) for entry in acknowledged if "step" in entry
    }
    if workers == 1:  # a trial begins when those before it are told
        began = {entry["begins"] for entry in acknowledged if "begins" in entry}
        assert states(path)[: max(began)] == ["complete"] * max(began)
    before = [row for row in results(path) if row[1] == "complete"]

    remount(disk, "size=64m")
    assert tinytune("resume", path, "--quiet", "-w", workers).returncode == 0
    assert states(path) == ["complete"] * 40
    assert set(before) <= set(results(path))
    assert is_sound(path)
    assert [p.name for p in disk.iterdir()] == ["study.db"]


def reports_in(path):
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("SELECT trial, step, value FROM metric WHERE name = 'loss'"))


def work_without_end(path, told):
    with Study(path) as study:
        while True:
            trial = study.ask()
            study.tell(trial, trial.params["x"])
            told.append((trial.number, trial.params["x"]))


def test_in_python_too_what_was_acknowledged_is_there(disk):
    path = disk / "study.db"
    study_module.start(path, record(budget=None), None)
    told = []
    with pytest.raises(StudyFileError, match="the disk is full"):
        work_without_end(path, told)
    assert told
    assert is_sound(path)
    with Study(path) as study:
        assert [(t.number, t.value) for t in study.trials("complete")][: len(told)] == told
    remount(disk, "size=64m")
    with Study(path) as study:
        trial = study.ask()
        study.tell(trial, 1.0)
        assert study.is_over()
    assert is_sound(path)


def test_a_full_disk_can_be_read_and_makes_no_new_study(tmp_path, disk):
    path = disk / "study.db"
    assert tinytune("run", TOY, "--study", path, "--trials", 6).returncode == 0
    filler = fill(disk)
    for arguments in (["best", path], ["trials", path], ["status", path], ["show", path, 0]):
        assert tinytune(*arguments).returncode == 0
    new = disk / "new.db"
    done = tinytune("run", TOY, "--study", new, "--trials", 1)
    assert_one_sentence(done, new, "No space left on device")
    assert sorted(disk.iterdir()) == [filler, path]
    more = ["resume", path, "--trials", "+1"]
    assert_one_sentence(tinytune(*more), path, FULL)
    assert sorted(disk.iterdir()) == [filler, path]
    assert states(path) == ["complete"] * 6


def test_a_read_only_disk_can_be_read_and_not_resumed(disk):
    path = disk / "study.db"
    assert tinytune("run", TOY, "--study", path, "--trials", 2).returncode == 0
    remount(disk, "ro")
    for arguments in (["best", path], ["trials", path], ["status", path], ["show", path, 0]):
        done = tinytune(*arguments)
        assert done.returncode == 0, done.stderr
    done = tinytune("resume", path, "--trials", "+1")
    assert_one_sentence(done, path, "is read-only here: make the file and its directory writable")
    new = disk / "new.db"
    assert_one_sentence(tinytune("run", TOY, "--study", new), new, "Read-only file system")


def test_a_disk_that_becomes_read_only_at_work(tmp_path, disk):
    """As Linux does after an error of the device. The open file is then still writable on tmpfs."""
    path, _ = killed_at_work(disk / "study.db", tmp_path)
    remount(disk, "ro")
    for arguments in (["best", path], ["trials", path], ["status", path]):
        done = tinytune(*arguments)
        assert "Traceback" not in done.stderr
        assert done.returncode == 0 or done.stderr.startswith(f"tinytune: {path} "), done.stderr
        assert done.returncode == 0, done.stderr
    remount(disk, "rw")
    assert tinytune("resume", path, "--quiet").returncode == 0
    assert states(path) == ["complete"] * 8


def killed_at_work(path, folder):
    """Run a study and kill -9 all its processes in trial 5; return path and the log's name."""
    gate = folder / "gate"
    command = ["run", TOY, "--study", path, "--trials", 8]
    with Study(make_named(path)) as study:
        for _ in range(5):
            trial = study.ask()
            study.tell(trial, trial.params["x"])
    process = start(*command, "--set", f"gate={gate}")
    await_true(lambda: "running" in states(path), process)
    kill_all(process)
    process.communicate()
    gate.touch()
    return path, path.with_name(f"{path.name}-wal")


def make_named(path):
    """Create the toy's study by a run that ends before its first trial."""
    gate = path.parent.parent / "gate"
    done = tinytune(
        "run", TOY, "--study", path, "--trials", 8, "--set", f"gate={gate}", "--timeout", 0
    )
    assert done.returncode == 0, done.stderr
    return path


def test_a_lost_log_is_noticed(tmp_path):
    """After kill -9 the last results are in study.db-wal; without it the study is an older one."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path, log = killed_at_work(folder / "study.db", tmp_path)
    assert log.stat().st_size
    log.unlink()
    log.with_name("study.db-shm").unlink(missing_ok=True)
    assert is_sound_copy(path)
    again = shutil.copy(path, tmp_path / "again.db")
    done = tinytune("resume", again)
    assert done.returncode == 0
    assert f"tinytune: {again}-wal is missing, and with it perhaps what was" in done.stderr
    assert "is missing" not in tinytune("resume", again).stderr
    before = path.read_bytes()
    done = tinytune("check", path)
    assert "study.db-wal" in done.stdout + done.stderr, "nothing is said of the missing log"
    assert tinytune("trials", path).returncode == 0
    assert path.read_bytes() == before
    assert not log.exists() or log.stat().st_size == 0


def test_a_copy_over_a_leftover_log(tmp_path):
    """Who restores a study from a copy after a kill -9 must not get a mixture of the two."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path, log = killed_at_work(folder / "study.db", tmp_path)
    copy = tmp_path / "older.db"
    assert tinytune("run", TOY, "--study", copy, "--trials", 3, "--seed", 9).returncode == 0
    shutil.copy(copy, path)
    stale = log.read_bytes()
    for arguments in (["status", path], ["resume", path, "--objective", TOY]):
        assert_one_sentence(tinytune(*arguments), path, "study.db-wal")
    assert path.read_bytes() == copy.read_bytes()
    assert log.read_bytes() == stale
    log.unlink()
    log.with_name("study.db-shm").unlink(missing_ok=True)
    assert tinytune("resume", path, "--quiet", "--trials", "+1").returncode in {0, 1}
    assert is_sound(path)
    assert results(path)[:3] == results(copy)


def test_after_a_lost_log_the_study_goes_on(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    path, log = killed_at_work(folder / "study.db", tmp_path)
    log.unlink()
    done = tinytune("resume", path, "--quiet")
    assert done.returncode == 0, done.stderr
    assert states(path) == ["complete"] * 8
    assert is_sound(path)
    assert [p.name for p in folder.iterdir()] == ["study.db"]


def is_sound_copy(path):
    copy = path.parent.parent / "copy.db"
    shutil.copy(path, copy)
    return is_sound(copy)


def test_another_studys_log_is_not_taken_over(tmp_path):
    """The .db is deleted after a kill -9, its -wal is not: a new study must not inherit it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path, log = killed_at_work(folder / "study.db", tmp_path)
    path.unlink()
    log.with_name("study.db-shm").unlink(missing_ok=True)
    stale = log.read_bytes()
    done = tinytune("run", TOY, "--study", path, "--trials", 2, "--seed", 7)
    if done.returncode == 0:
        assert is_sound(path)
        assert len(states(path)) == 2, "the new study has the old one's trials"
    else:
        assert_one_sentence(done, path, "study.db-wal")
        assert log.read_bytes() == stale
        assert not path.exists()


@pytest.mark.parametrize("how", ["deleted", "replaced", "moved"])
def test_a_file_that_is_taken_away_at_work(tmp_path, how):
    """Nobody is told that a result is safe which is not; the other file is left as it is."""
    path, gate, log = tmp_path / "study.db", tmp_path / "gate", tmp_path / "log"
    other = make_study(tmp_path)
    other.rename(tmp_path / "other.db")
    run = ["run", TOY, "--study", path, "--trials", 3]
    process = start(*run, "--set", f"gate={gate}", "--set", f"log={log}")
    await_true(log.exists, process)
    if how == "moved":
        path.rename(tmp_path / "moved.db")
    else:
        path.unlink()
    if how == "replaced":
        shutil.copy(tmp_path / "other.db", path)
    before = path.read_bytes() if path.exists() else None
    gate.touch()
    out, errors = process.communicate(timeout=120)
    done = subprocess.CompletedProcess(run, process.returncode, out, errors)
    assert_one_sentence(done, path)
    assert (path.read_bytes() if path.exists() else None) == before


def test_through_a_symbolic_link_and_the_target_at_once(tmp_path):
    folder, links = tmp_path / "folder", tmp_path / "links"
    folder.mkdir()
    links.mkdir()
    path, link = folder / "study.db", links / "link.db"
    link.symlink_to(path)
    study_module.start(path, record(budget=40), None)
    with Study(path) as one, Study(link) as two:
        for turn in range(40):
            study = (one, two)[turn % 2]
            trial = study.ask()
            trial.report(0, loss=1.0)
            study.tell(trial, trial.number)
            assert len(one.trials("complete")) == len(two.trials("complete")) == turn + 1
    assert [trial[4] for trial in results(path)] == list(range(40))
    assert is_sound(path)
    assert [p.name for p in folder.iterdir()] == ["study.db"]
    assert [p.name for p in links.iterdir()] == ["link.db"]
    assert link.is_symlink()


def test_commands_through_a_symbolic_link(tmp_path):
    path, link = tmp_path / "study.db", tmp_path / "link.db"
    link.symlink_to(path)
    done = tinytune("run", TOY, "--study", link, "--trials", 2)
    if done.returncode:  # a link that leads nowhere: refused, or the study is made at its target
        assert_one_sentence(done, link, "symbolic link")
        assert tinytune("run", TOY, "--study", path, "--trials", 2).returncode == 0
    assert tinytune("resume", link, "--quiet", "--trials", "+2").returncode == 0
    assert tinytune("best", link).stdout == tinytune("best", path).stdout
    assert states(path) == ["complete"] * 4


def test_a_file_with_two_names_is_read_and_not_worked_on(tmp_path):
    """Each name would have a log of its own: two workers would overwrite each other's results."""
    path, other = tmp_path / "study.db", tmp_path / "other.db"
    assert tinytune("run", TOY, "--study", path, "--trials", 2).returncode == 0
    os.link(path, other)
    for name in (path, other):
        assert tinytune("best", name).returncode == 0
        assert_one_sentence(tinytune("resume", name, "--trials", "+1"), name, "hard link")
    other.unlink()
    assert tinytune("resume", path, "--quiet", "--trials", "+1").returncode == 0


def test_a_copy_is_a_study_of_its_own(tmp_path):
    path, copy = tmp_path / "study.db", tmp_path / "copy.db"
    assert tinytune("run", TOY, "--study", path, "--trials", 2).returncode == 0
    shutil.copy(path, copy)
    assert tinytune("resume", copy, "--quiet", "--trials", "+1").returncode == 0
    assert (len(states(path)), len(states(copy))) == (2, 3)
