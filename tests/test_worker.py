"""The loop of one worker: outcomes, signals, limits."""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.shell import tinytune
from tests.studies import make_study, record
from tinytune import report
from tinytune.decorator import trial as decorator
from tinytune.errors import StudyFileError
from tinytune.study import Study
from tinytune.worker import Interrupt, Interrupted, Limits, StopReason, work

SPACE = {parameter.name: parameter.distribution for parameter in record().space.parameters}


def objective(function):
    def run(x, kind, n=3, value=0.5):
        return function(x)

    return decorator(space=SPACE, minimize="loss")(run)


@pytest.fixture
def study(tmp_path):
    with Study(make_study(tmp_path, budget=4)) as opened:
        yield opened


@pytest.fixture
def interrupt():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    installed = Interrupt()
    installed.install()
    yield installed
    for number, handler in before.items():
        signal.signal(number, handler)


def test_an_interrupted_objective_is_given_back(study, interrupt):
    def interrupted(x):
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("it went on")

    assert work(study, objective(interrupted), Limits(), interrupt) is StopReason.INTERRUPTED
    assert interrupt.signal == signal.SIGTERM
    assert [(t.state, t.deaths) for t in study.trials()] == [("waiting", 0)]


def test_an_objective_that_swallows_the_interrupt_is_not_believed(study, interrupt):
    def swallowing(x):
        with suppress(BaseException):
            signal.raise_signal(signal.SIGTERM)
        return -1.0

    assert work(study, objective(swallowing), Limits(), interrupt) is StopReason.INTERRUPTED
    assert [(t.state, t.value) for t in study.trials()] == [("waiting", None)]


def test_no_signal_breaks_into_a_write(interrupt):
    done = []

    def write():
        with interrupt.breaking_in():
            with interrupt.held_off():
                signal.raise_signal(signal.SIGTERM)
                done.append("written")
            done.append("went on")

    with pytest.raises(Interrupted):
        write()
    assert done == ["written"]


def test_no_signal_breaks_in_between_trials(interrupt):
    signal.raise_signal(signal.SIGTERM)
    assert interrupt.signal == signal.SIGTERM
    with pytest.raises(Interrupted), interrupt.breaking_in():
        pytest.fail("it went on")


def test_a_second_signal_does_not_break_in_again(study, interrupt):
    cleaned = []

    def cleaning(x):
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGINT)
            cleaned.append(True)

    assert work(study, objective(cleaning), Limits(), interrupt) is StopReason.INTERRUPTED
    assert cleaned == [True]


def test_what_took_the_trial_away_does_not_take_the_worker_away(study, tmp_path):
    other = Study(study.path)

    def robbed(x):
        if study.trials()[0].attempt == 1:
            other._writer.bury([study._worker], "vanished")
            other.ask()
        return x

    # It stops when only the trial that was taken away is left, which the other one holds.
    assert work(study, objective(robbed), Limits(), StopWhenIdle()) is StopReason.INTERRUPTED
    assert [t.state for t in study.trials()] == ["running"] + ["complete"] * 3
    other.close()


class StopWhenIdle(Interrupt):
    """An interrupt that comes when there is nothing left to claim."""

    def wait(self, seconds):
        self.signal = signal.SIGTERM


def test_a_file_that_cannot_be_written_is_no_failure_of_the_trial(study, monkeypatch):
    def reporting(x):
        report(0, loss=x)
        return x

    def full(*_):
        raise StudyFileError("the disk is full")

    monkeypatch.setattr(study._writer, "report", full)
    with pytest.raises(StudyFileError, match="the disk is full"):
        work(study, objective(reporting), Limits(), Interrupt())
    study.close()
    with Study(study.path) as again:
        assert [(t.state, t.deaths) for t in again.trials()] == [("waiting", 0)]


def test_while_it_waits_for_a_trial_of_others_it_tells_how_far_the_study_is(study):
    held = study.ask()
    seen = []

    def observe():
        seen.append(study.progress.counts)
        if len(seen) == 4:  # the other three have ended, and this is what is waited for
            study.tell(held, {"loss": 0.5})

    ended = work(study, objective(lambda x: x), Limits(), Interrupt(), observe)
    assert ended is StopReason.DONE
    assert (seen[-1]["running"], seen[-1]["complete"]) == (1, 3)


def test_no_trial_starts_after_the_deadline(study):
    limits = Limits(deadline=time.monotonic() - 1)
    assert work(study, objective(lambda x: x), limits, Interrupt()) is StopReason.TIMEOUT
    assert study.trials() == []


def hostile_message():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no")

    raise Mute


def recursion(x):
    return recursion(x)


def generator_exit(x):
    raise GeneratorExit


def leaves_threads(x):
    threading.Thread(target=threading.Event().wait, args=(0.01,), daemon=True).start()
    return x


def changes_folder(x):
    os.chdir("/")
    return x


def forks(x):
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return x


def forks_and_reports(x):
    if (child := os.fork()) == 0:
        try:
            report(0, loss=x)
        except Exception:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    return x


def raising(error):
    def raises(x):
        raise error

    return raises


OUTCOMES = {
    "nan": (lambda x: float("nan"), "failed", "NaN"),
    "inf": (lambda x: float("inf"), "failed", "inf, not a finite number"),
    "-inf": (lambda x: -float("inf"), "failed", "-inf"),
    "none": (lambda x: None, "failed", "None: end it with"),
    "bool": (lambda x: True, "failed", "True, a bool"),
    "text": (lambda x: "1.5", "failed", "'1.5', a str"),
    "huge": (lambda x: 10**400, "failed", "too large"),
    "complex": (lambda x: 1j, "failed", "1j, a complex"),
    "list": (lambda x: [1.0], "failed", "a list"),
    "dict": (lambda x: {"loss": x, "more": 1}, "complete", None),
    "missing": (lambda x: {"error": x}, "failed", "no 'loss', only error"),
    "exception": (raising(ValueError("bad x")), "failed", "ValueError: bad x"),
    "long": (raising(ValueError("x" * 10**6)), "failed", "ValueError: xxx"),
    "mute": (lambda x: hostile_message(), "failed", "its message cannot be printed"),
    "surrogate": (raising(ValueError("\ud800")), "failed", "ValueError: ?"),
    "memory": (raising(MemoryError()), "failed", "MemoryError"),
    "recursion": (recursion, "failed", "RecursionError"),
    "exit": (raising(SystemExit(3)), "failed", "SystemExit: 3"),
    "generator": (generator_exit, "failed", "GeneratorExit"),
    "threads": (leaves_threads, "complete", None),
    "chdir": (changes_folder, "complete", None),
    "fork": (forks, "complete", None),
    "fork and report": (forks_and_reports, "complete", None),
}


def test_an_objective_may_change_the_working_folder(tmp_path, monkeypatch):
    make_study(tmp_path, budget=3)
    monkeypatch.chdir(tmp_path)
    with Study("study.db") as study:
        study.give_back(study.ask())  # joined, before the objective goes elsewhere
        os.utime(tmp_path / "study.db", (0, 0))  # so that the journal is due to be folded in
        reason = work(study, objective(changes_folder), Limits(), Interrupt())
        assert reason is StopReason.DONE
    monkeypatch.chdir(tmp_path)
    with Study("study.db") as study:
        assert [t.state for t in study.trials()] == ["complete"] * 3


@pytest.mark.parametrize(("function", "state", "error"), OUTCOMES.values(), ids=OUTCOMES)
def test_outcomes(study, function, state, error, monkeypatch):
    monkeypatch.chdir(Path.cwd())  # comes back if the objective leaves
    reason = work(study, objective(function), Limits(), Interrupt())
    assert reason is StopReason.DONE  # the worker lived on
    trials = study.trials()
    assert [trial.state for trial in trials] == [state] * 4
    for trial in trials:
        assert (trial.error is None) == (error is None)
        assert error is None or error in trial.error
        assert len(trial.error or "") <= 4096
        assert len(trial.traceback or "") <= 16384


CLOSES_STDOUT = """
import os, sys
from contextlib import suppress
from typing import Annotated
import tinytune

@tinytune.trial
def train(trial: tinytune.Trial, x: Annotated[float, tinytune.Float(0, 1)] = 0.5) -> float:
    with suppress(OSError, ValueError):
        sys.stdout.close()
    for descriptor in (0, 1, 2):
        with suppress(OSError):
            os.close(descriptor)
    from pathlib import Path
    from tinytune.store.writer import Store
    with Store(Path("study.db")):  # as a heart's beat does
        for descriptor in (0, 1, 2):
            with suppress(OSError):
                os.write(descriptor, b"not for the study" * 1000)
    trial.report(0, loss=x)
    return x
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_an_objective_may_close_stdout_and_print(tmp_path, monkeypatch, workers):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(CLOSES_STDOUT)
    done = tinytune("run", "train.py", "--trials", 6, "--workers", workers)
    assert done.returncode == 0, done.stderr
    assert "6 complete" in done.stderr
    assert tinytune("check", "study.db").returncode == 0
    assert tinytune("verify", "study.db").returncode == 0


def test_the_working_folder_may_vanish(tmp_path, monkeypatch):
    path = make_study(tmp_path, budget=3)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def vanishing(x):
        if (tmp_path / "here").exists():
            (tmp_path / "here").rmdir()
        return x

    with Study(path) as study:
        assert work(study, objective(vanishing), Limits(), Interrupt()) is StopReason.DONE
        assert [trial.state for trial in study.trials()] == ["complete"] * 3
    monkeypatch.chdir(tmp_path)
