"""Suspended workers and clocks that are wrong: late writes are refused, and time proves nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shell import ENVIRONMENT, await_true
from tests.studies import make_study
from tinytune import lease, process
from tinytune.study import Study, set_budget

ASKS_AND_WAITS = """
import sys
from tinytune.study import Study
with Study(sys.argv[1]) as study:
    trial = study.ask()
    print("asked", flush=True)
    sys.stdin.readline()
    study.tell(trial, 1.0)
"""


@pytest.fixture
def zombie(tmp_path):
    """Return a function that starts a worker; whatever becomes of the test, none stays behind."""
    started = []

    def start(path, *shift):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zombie", str(path), str(tmp_path / "record"),
             str(tmp_path / "gate"), *map(str, shift)],
            env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def lines(folder):
    path = folder / "record"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def test_a_suspended_worker_loses_its_trial_only_by_its_lease_and_lives_on(tmp_path, zombie):
    path = make_study(tmp_path, budget=1)
    (tmp_path / "gate.suspend").touch()
    suspended = zombie(path)
    change = os.waitid(os.P_PID, suspended.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert change.si_status == signal.SIGSTOP
    (tmp_path / "gate.suspend").unlink()
    assert lines(tmp_path) == [[str(suspended.pid), "started", "0"]]
    heir = zombie(path)  # it takes trial 0 when the lease is over
    await_true(lambda: [str(heir.pid), "started", "0"] in lines(tmp_path), heir)
    set_budget(path, 3)  # so that there is something left to go on with
    (tmp_path / "gate").touch()
    await_true(lambda: [str(heir.pid), "reported", "0"] in lines(tmp_path), heir)
    os.kill(suspended.pid, signal.SIGCONT)

    for each in (suspended, heir):
        out, errors = each.communicate(timeout=60)
        assert (out, each.returncode) == ("done\n", 0), errors
    assert [str(suspended.pid), "refused", "0", "LeaseLostError"] in lines(tmp_path)
    with Study(path) as study:
        trials = study.trials()
        assert [trial.state for trial in trials] == ["complete"] * 3
        assert (trials[0].attempt, trials[0].deaths) == (2, 1)
        assert study.curves(0)["loss"].keys() == {0, 1}
        # What the first attempt had reported in time is kept, what came late is not there.
        rows = study.reader._db.all("SELECT attempt, step FROM metric WHERE trial = 0")
        assert sorted(rows) == [(1, 0), (2, 0), (2, 1)]


def test_a_suspended_worker_of_this_machine_is_not_dead(tmp_path):
    path = make_study(tmp_path, budget=1)
    (tmp_path / "other").mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", ASKS_AND_WAITS, str(path)],
        env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout.readline() == "asked\n"
    os.kill(child.pid, signal.SIGSTOP)
    with Study(path) as study:
        assert study.ask() is None
        assert not study.is_over()
        assert study.ask() is None
        os.kill(child.pid, signal.SIGCONT)
        child.communicate("\n", timeout=60)
        assert study.is_over()
        assert study.trials()[0].attempt == 1


@pytest.mark.parametrize("shift", [3600, -3600])
def test_a_wrong_wall_clock_changes_nothing(tmp_path, zombie, shift):
    path = make_study(tmp_path, budget=6)
    (tmp_path / "gate").touch()
    wrong, right = zombie(path, shift), zombie(path)
    for each in (wrong, right):
        out, errors = each.communicate(timeout=60)
        assert (out, each.returncode) == ("done\n", 0), errors
    with Study(path) as study:
        assert [(t.state, t.attempt) for t in study.trials()] == [("complete", 1)] * 6


@pytest.mark.parametrize("shift", [3600.0, -3600.0])
def test_a_jump_of_the_wall_clock_does_not_change_a_timeout(tmp_path, monkeypatch, shift):
    import time

    from tinytune.worker import Limits

    limits = Limits(deadline=time.monotonic() + 100)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + shift)
    assert not limits.is_late()


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_who_cannot_be_looked_at_is_dead_when_its_beat_stands_still(monkeypatch):
    clock = Clock()
    watch = lease.Watch(clock)
    monkeypatch.setattr(process, "is_dead", lambda who: None)
    far = process.Identity("far", "m", "b", "n", 1, "0")
    assert watch.dead({1: (0, far)}) == []  # how long it has stood still is not known yet
    clock.now += lease.LEASE_SECONDS - 1
    assert watch.dead({1: (0, far)}) == []
    assert watch.dead({1: (1, far)}) == []  # it beat
    clock.now += lease.LEASE_SECONDS - 1
    assert watch.dead({1: (1, far)}) == []
    clock.now += 1
    assert watch.dead({1: (1, far)}) == [1]


def test_a_process_is_known_by_more_than_its_number(monkeypatch):
    here = process.current()
    assert process.is_dead(here) is False

    def changed(**facts):
        return process.is_dead(process.Identity(**{**here._asdict(), **facts}))

    assert changed(birth="1") is True  # the number was given to another process
    assert changed(namespace="pid:[1]") is None  # a container's
    assert changed(boot="other", machine="other") is None  # another machine's
    if here.machine:
        assert changed(boot="other") is True  # this machine before it was started anew
        assert changed(boot="other", host="other") is None


def test_a_process_that_waits_to_be_reaped_is_dead():
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    identity = process.Identity(**{**process.current()._asdict(), "pid": child.pid,
                                   "birth": process.birth(child.pid) or ""})  # fmt: skip
    await_true(lambda: process.is_dead(identity) is True)
    assert Path(f"/proc/{child.pid}").exists()
    child.wait()
    assert process.is_dead(identity) is True
