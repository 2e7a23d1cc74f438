"""A process ends, or its disk is full, at each SQL statement and each step on files of a save."""

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.steps import Harm, install
from tests.faults.test_disk import fill, mounted
from tests.shell import LONG
from tests.studies import make_study
from tinytune import checkpoints, db, files
from tinytune.errors import StudyFileError
from tinytune.store.reader import Reader
from tinytune.study import Study
from tinytune.verify import verify

FEWER = 1 if LONG else 6  # the short version tries every sixth one
EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}
STEPS = 5
LARGE = 200  # bytes


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch):
    monkeypatch.setattr(checkpoints, "INSIDE_BYTES", 100)


def content(step):
    """Return a state: small and large ones in turn."""
    return b"%08d" % step + bytes(LARGE if step % 2 else 0)


def run_trial(study, folder, say):
    """Run a trial from its checkpoint on, or from the beginning."""
    trial = study.ask()
    state = trial.load()
    say("begins", 0 if state is None else int(read(state)[:8]))
    for step in range(0 if state is None else int(read(state)[:8]), STEPS):
        trial.report(step, loss=1 / (step + 1))
        say("reported", step)
        if step == 3:
            file = folder / "model.bin"
            file.write_bytes(content(step + 1))
            trial.save(file)
        else:
            trial.save(content(step + 1))
        say("saved", step + 1)
    study.tell(trial, 1.0)
    say("told")


def read(state):
    return state.read_bytes() if isinstance(state, Path) else state


def harmed(path, at, kind):
    """Run a trial in a process of its own, harmed at some step; return what it has said."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid:
        os.close(theirs)
        with os.fdopen(ours) as stream:
            lines = [line.split() for line in stream]
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), lines
    try:
        files._descriptors.clear()
        harm = Harm(at, kind, for_ever=False)
        install(harm)  # before SQL statements

        def on_file(event, arguments):
            if event in EVENTS and "checkpoints" in str(arguments[0]):
                step_on_disk(harm)

        sys.addaudithook(on_file)
        fsync = os.fsync
        os.fsync = lambda descriptor: (step_on_disk(harm), fsync(descriptor))[1]

        def say(*words):
            os.write(theirs, f"{' '.join(map(str, words))}\n".encode())

        with suppress(StudyFileError), Study(path) as study:
            run_trial(study, path.parent, say)
        say("steps", harm.count)
        os._exit(0)
    finally:
        os._exit(1)


def step_on_disk(harm):
    try:
        harm()
    except db.sqlite3.OperationalError:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None


def said_to(lines):
    return lambda *words: lines.append([*map(str, words)])


def last(lines, what):
    return max((int(words[1]) for words in lines if words[0] == what), default=0)


@pytest.mark.parametrize("kind", ["exit", "full"])
def test_at_any_moment(tmp_path, kind):
    calm = tmp_path / "calm"
    calm.mkdir()
    code, lines = harmed(make_study(calm, budget=1), 0, kind)
    steps = last(lines, "steps")
    assert (code, lines[-2]) == (0, ["told"])
    assert steps > 90  # else it does not do what it is said to do
    resumed = 0
    for at in range(1, steps - 3, FEWER):  # how it closes the file differs a little
        folder = tmp_path / str(at)
        folder.mkdir()
        path = make_study(folder, budget=1)
        code, lines = harmed(path, at, kind)
        assert code == (9 if kind == "exit" else 0), (at, lines)
        said = []
        with Study(path) as study:
            assert study.is_over() or study.progress.ended == 0
            if study.progress.ended == 0:
                run_trial(study, folder, said_to(said))
                resumed += last(said, "begins") > 0
                assert last(said, "begins") >= last(lines, "saved"), at
            trial = study.trials()[0]
            assert study.curves(0) == {"loss": {step: 1 / (step + 1) for step in range(STEPS)}}
            reports = study.reader.reports_of(0, trial.attempt)
            assert [step for _, step, _, _ in reports] == list(range(STEPS)), at
            assert study.reader.checkpoints(0) == []
        left = [found for found in folder.rglob("*") if found.name not in {"study.db", "model.bin"}]
        # Only who is harmed between telling and tidying up leaves something behind.
        assert not left or not said, (at, left)
        with Reader(path) as reader:
            assert verify(reader, lambda *_: None).is_good, at
    assert resumed > 8


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    path = make_study(tmp_path, budget=1)
    with mounted(tmp_path / "disk", "1m") as disk:
        keeping = checkpoints.Keeping(disk / "here")
        with Study(path, checkpoints=keeping) as study:
            trial = study.ask()
            trial.report(0, loss=1.0)
            trial.save(content(1))
            assert (trial.folder / "1-1").is_file()
            filler = fill(disk)
            trial.report(1, loss=1.0)
            with pytest.raises(StudyFileError, match=r"to .*here.*: No space left on device: make"):
                trial.save(content(3))
            assert [found.name for found in trial.folder.iterdir()] == ["1-1"]
        filler.unlink()
        with Study(path, checkpoints=keeping) as study:
            trial = study.ask()
            assert trial.load() == content(1)
            trial.report(1, loss=1.0)
            trial.save(content(3))
            study.tell(trial, 1.0)
            assert study.curves(0) == {"loss": {0: 1.0, 1: 1.0}}
        assert list(disk.iterdir()) == []


def test_a_file_has_its_name_when_it_is_on_the_disk_and_its_row_after_that(tmp_path, monkeypatch):
    seen = []
    fsync, rename, execute = os.fsync, Path.rename, db.Database._execute

    def note(what, do):
        def done(*arguments):
            seen.append(what(*arguments))
            return do(*arguments)

        return done

    def place(descriptor):
        return f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}"

    with Study(make_study(tmp_path)) as study:
        trial = study.ask()
        state = tmp_path / "state"
        (state / "inner").mkdir(parents=True)
        (state / "inner" / "file").write_bytes(b"x")
        monkeypatch.setattr(os, "fsync", note(place, fsync))
        monkeypatch.setattr(Path, "rename", note(lambda old, new: f"name {new.name}", rename))
        monkeypatch.setattr(
            db.Database, "_execute", note(lambda _, sql, *__: " ".join(sql.split()[:3]), execute)
        )
        trial.save(state)
        monkeypatch.undo()
    folder = trial.folder.name
    order = [
        "sync file", "sync inner", "sync .1-1.new", "name 1-1", f"sync {folder}",
        "sync study.db.checkpoints", "BEGIN IMMEDIATE", "INSERT INTO checkpoint", "COMMIT",
    ]  # fmt: skip
    assert [what for what in seen if what in order] == order
