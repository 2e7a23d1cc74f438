"""A budget of reported steps: exact with any number of workers, and proved afterwards."""

import itertools
import sqlite3
from contextlib import closing

import pytest

from tests.shell import tinytune
from tests.studies import record
from tinytune import study as studies
from tinytune.errors import TrialStopped, UsageError
from tinytune.store.reader import Reader
from tinytune.study import Study
from tinytune.verify import verify

OBJECTIVE = """
from typing import Annotated
import tinytune
from tinytune import Float

@tinytune.trial(minimize="loss")
def train(x: Annotated[float, Float(0.0, 1.0)] = 0.5, epochs: int = 7):
    for epoch in range(epochs):
        tinytune.report(epoch, loss=x / (epoch + 1))
    return x
"""


def made(folder, steps, budget=None, **changes):
    path = folder / "study.db"
    wanted = record(budget, **changes)._replace(budget_steps=steps)
    assert studies.start(path, wanted, None)
    return path


def reported(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM metric").fetchone()[0]


def proof(path):
    with Reader(path) as reader:
        return verify(reader, lambda done, total: None)


def run(opened, trial, steps, first=0):
    """Report so many steps; return whether all of them were taken."""
    try:
        for step in range(first, first + steps):
            trial.report(step, loss=1.0)
    except TrialStopped:
        opened.tell(trial)
        return False
    opened.tell(trial, 1.0)
    return True


def test_workers_take_turns_and_the_last_step_is_the_last_of_the_budget(tmp_path):
    path = made(tmp_path, 20)
    with Study(path) as one, Study(path) as other:
        trials = [(opened, opened.ask()) for opened in (one, other, one)]
        taken = 0
        for (opened, trial), step in itertools.product(trials, range(9)):  # 27 are more than 20
            if trial.number not in opened._held:
                continue
            try:
                trial.report(step, loss=float(step))
                taken += 1
            except TrialStopped:
                opened.tell(trial)
        assert taken == 20 == reported(path) == one.reader.steps()
        for opened, trial in trials[:2]:
            opened.tell(trial, 1.0)
        assert one.ask() is None
        assert one.is_over()
        last = one.trials()[-1]
    assert (last.state, last.value) == ("stopped", 1.0)  # of its step 1, its last one
    assert proof(path).is_good
    assert proof(path).stops == 1
    shown = tinytune("show", path, 2).stdout
    assert "before step 2: the study's budget of 20 steps was used up" in shown


def test_the_last_trial_may_end_with_the_last_step(tmp_path):
    path = made(tmp_path, 14)
    with Study(path) as opened:
        assert run(opened, opened.ask(), 7)
        assert run(opened, opened.ask(), 7)
        assert opened.ask() is None
        assert {trial.state for trial in opened.trials()} == {"complete"}
    assert proof(path).is_good


def test_a_step_counts_once_however_much_is_reported_of_it(tmp_path):
    path = made(tmp_path, 3)
    with Study(path) as opened:
        trial = opened.ask()
        for step in (5, 5, 4, 6):
            trial.report(step, loss=1.0)
            trial.report(step, accuracy=0.5)
        assert opened.reader.steps() == 2
        opened.give_back(trial)
        again = opened.ask()
        again.report(5, loss=1.0)  # what an earlier attempt did has been spent
        with pytest.raises(TrialStopped, match="budget of 3 steps"):
            again.report(6, loss=1.0)
        with pytest.raises(TrialStopped):  # and goes on being refused
            again.report(6, loss=2.0)
        opened.tell(again)
    assert proof(path).is_good


def test_what_a_worker_reported_before_it_died_is_spent(tmp_path):
    path = made(tmp_path, 6)
    with Study(path) as opened:
        trial = opened.ask()
        for step in range(4):
            trial.report(step, loss=1.0)
        opened._writer.bury([opened._worker], "died")
        opened._held.clear()
    with Study(path) as opened:
        assert not run(opened, opened.ask(), 4)
        assert opened.reader.steps() == 6
    assert proof(path).is_good


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("UPDATE clock SET steps = 5", "and the clock says 5"),
        ("UPDATE decision SET facts = '{\"steps\": 19}'", "steps left of the budget"),
        ("DELETE FROM decision", "no rule said so"),
        ("UPDATE study SET budget_steps = 30", "the study"),
    ],
)
def test_changes_by_hand_are_noticed(tmp_path, change, complaint):
    path = made(tmp_path, 10)
    with Study(path) as opened:
        assert run(opened, opened.ask(), 7)
        assert not run(opened, opened.ask(), 7)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    assert any(complaint in problem for problem in proof(path).problems), proof(path).problems


def test_a_budget_of_steps_that_nobody_reports_is_an_error(tmp_path):
    path = made(tmp_path, 10)
    with Study(path) as opened:
        for _ in range(10):
            opened.tell(opened.ask(), 1.0)
        with pytest.raises(UsageError, match="10 trials have reported no step"):
            opened.ask()
    studies.set_budget_seconds(path, 3600.0)  # which end the study
    with Study(path) as opened:
        assert opened.ask().number == 10


def test_run_resume_and_raise_it_with_workers(tmp_path):
    (tmp_path / "train.py").write_text(OBJECTIVE)
    how = ("--search", "random", "--workers", 3)
    done = tinytune("run", "train.py", *how, "--budget-steps", 40, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "until 40 steps are reported" in done.stderr
    assert "--budget-steps 80" in done.stderr
    path = tmp_path / "study.db"
    assert reported(path) == 40
    tinytune("resume", path, "--budget-steps", 1, cwd=tmp_path)  # no less than there are
    assert "40 of 40 reported" in tinytune("status", path).stdout
    done = tinytune("resume", path, "--workers", 2, "--budget-steps", 55, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert reported(path) == 55
    assert tinytune("verify", path).returncode == 0
    assert tinytune("check", path).returncode == 0
    refused = tinytune("resume", path, "--budget-steps", 0, cwd=tmp_path)
    assert refused.returncode == 2
    assert "must be a whole number from 1, not 0" in refused.stderr
