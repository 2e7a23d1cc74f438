"""What every attempt took is measured, kept, counted against the budget, and covered by digests."""

import json
import os
import sqlite3

import pytest

from tests.faults.hostile_files import spoken
from tests.shell import tinytune
from tests.studies import make_study, record
from tinytune import meter, process, stopping, verify
from tinytune import study as study_module
from tinytune.history import Cost, Outcome
from tinytune.store import writer
from tinytune.store.fenced import LEASE_SECONDS
from tinytune.store.reader import Reader
from tinytune.store.writer import MAX_DEATHS, Store
from tinytune.study import Study

DONE = Outcome("complete", 1.0, {"loss": 1.0})
CAN_RESET = os.access("/proc/self/clear_refs", os.W_OK)


def suggest(rank):
    return {"x": 0.5, "kind": "a", "value": 0.5}, "search"


@pytest.fixture
def store(tmp_path):
    with Store(make_study(tmp_path, budget=None)) as opened:
        yield opened


@pytest.fixture
def worker(store):
    return store.join(process.current(), "0", "3", None)


def claim(store, worker):
    return store.claim(worker, "random/1", 1, suggest)


def is_good(path):
    with Reader(path) as reader:
        return not verify.verify(reader, lambda *_: None).problems


def test_an_attempt_of_every_ending_has_its_cost(tmp_path):
    path = make_study(tmp_path)
    with Study(path) as study:
        for value in (1.0, Outcome("failed", error="no"), Outcome("stopped")):
            trial = study.ask()
            for step in (0, 5, 5, 9):
                trial.report(step, loss=1.0)
            study.tell(trial, value)
        trial = study.ask()
        trial.report(3, loss=1.0)
        study.give_back(trial)
    with Reader(path) as reader:
        *ended, waiting = reader.trials()
        for trial in ended:
            assert trial.seconds > 0
            assert trial.cpu_seconds > 0
            assert 1 < trial.memory_mb < 10_000
            assert trial.steps == 3
        assert (waiting.seconds, waiting.cpu_seconds, waiting.steps) == (None, None, None)
        (given_back,) = reader.attempts(3)
        assert given_back.cost.seconds > 0
        assert given_back.cost.cpu_seconds > 0
        assert given_back.cost.steps == 1
        spent = reader.spent()
        assert spent["died"] == 0
        assert [spent[trial.state] for trial in ended] == [trial.seconds for trial in ended]
        assert spent["given back"] == given_back.cost.seconds
        found = verify.verify(reader, lambda *_: None).problems
    assert found == ("trial 2 is stopped, and no rule said so",)


def test_one_that_reported_nothing_has_no_steps(store, worker):
    store.tell(claim(store, worker).token, DONE, 1.0)
    assert store.trial(0).steps is None


def test_steps_are_counted_in_the_file_where_another_process_reported_them(store, worker):
    token = claim(store, worker).token
    for step in (1, 2, 2, 7):
        store.report(token, step, {"loss": 1.0, "other": 2.0})
    with Store(store.path) as other:
        other.bury([worker], "vanished")
        assert other.attempts(0)[0].cost.steps == 3
    assert is_good(store.path)


@pytest.mark.skipif(not CAN_RESET, reason="the peak of memory cannot be set back here")
def test_a_small_trial_after_a_large_one_shows_its_own_memory(tmp_path):
    path = make_study(tmp_path)
    with Study(path) as study:
        for megabytes in (1, 80, 1):
            trial = study.ask()
            held = bytearray(megabytes * 1_000_000)
            study.tell(trial, float(len(held)))
            del held
    with Reader(path) as reader:
        first, large, last = [trial.memory_mb for trial in reader.trials()]
    assert large > first + 50
    assert large > last + 50


def test_where_the_peak_cannot_be_set_back_it_is_that_of_the_process(monkeypatch, tmp_path):
    monkeypatch.setattr(meter, "_OWN", tmp_path)
    held = bytearray(50_000_000)
    del held
    began = meter.Meter()
    first = began.read().memory_mb
    assert first == meter.Meter().read().memory_mb > 50  # it never falls


def test_what_runs_in_another_process_counts_once_it_has_ended(monkeypatch):
    measured = meter.Meter()
    monkeypatch.setattr(meter, "cpu_seconds", lambda: measured._cpu + 2.5)
    assert measured.read().cpu_seconds == pytest.approx(2.5)
    assert meter.Meter(already_seconds=10.0).read().cpu_seconds is None  # it ran elsewhere


def at(monkeypatch, store, seconds):
    """Let the clock show so many seconds after the only attempt began."""
    (row,) = store._db.all("SELECT started FROM trial WHERE state = 'running'")
    monkeypatch.setattr(writer.time, "time", lambda: row[0] + seconds)


@pytest.mark.parametrize(("noticed", "counted"), [(7.0, 7.0), (80_000.0, LEASE_SECONDS + 20.0)])
def test_a_dead_attempt_counts_until_that_was_noticed_but_not_overnight(
    store, worker, monkeypatch, noticed, counted
):
    token = claim(store, worker).token
    if noticed > LEASE_SECONDS:
        at(monkeypatch, store, 20.0)
        store.beat(worker)
    at(monkeypatch, store, noticed)
    store.bury([worker], "vanished")
    assert store.attempts(0)[0].cost == Cost(pytest.approx(counted))
    assert store.spent()["died"] == pytest.approx(counted)
    assert store.trial(token.number).deaths == 1
    assert is_good(store.path)


def test_a_report_is_a_sign_of_life(store, worker, monkeypatch):
    token = claim(store, worker).token
    at(monkeypatch, store, 500.0)
    store.report(token, 0, {"loss": 1.0})
    at(monkeypatch, store, 9_000.0)
    store.bury([worker], "vanished")
    assert store.attempts(0)[0].cost.seconds == pytest.approx(500.0 + LEASE_SECONDS)


def test_a_trial_that_killed_three_and_one_that_was_condemned_have_taken_time(store, monkeypatch):
    for _ in range(MAX_DEATHS):
        worker = store.join(process.current(), "0", "3", None)
        claim(store, worker)
        at(monkeypatch, store, 3.0)
        store.bury([worker], "vanished")
    worker = store.join(process.current(), "0", "3", None)
    token = claim(store, worker).token
    at(monkeypatch, store, 4.0)
    store.condemn(token, "too long")
    assert [trial.seconds for trial in store.trials()] == pytest.approx([3.0, 4.0])
    assert store.spent()["died"] == pytest.approx(3.0 * (MAX_DEATHS - 1))
    assert store.spent()["failed"] == pytest.approx(7.0)
    assert is_good(store.path)


def test_a_failure_that_is_tried_again_keeps_its_cost(store, worker):
    token = claim(store, worker).token
    store.report(token, 0, {"loss": 1.0})
    used = Cost(cpu_seconds=0.5, memory_mb=80.0)
    store.tell(token, Outcome("failed", error="no"), 2.0, None, used)
    store.retry([0])
    assert store.trial(0).seconds is None
    store.tell(claim(store, worker).token, DONE, 3.0)
    assert store.attempts(0)[0].cost == Cost(2.0, 0.5, 80.0, 1)
    assert store.spent() == {
        "complete": 3.0, "stopped": 0.0, "failed": 2.0, "paused": 0.0, "died": 0.0,
        "given back": 0.0,
    }  # fmt: skip
    assert is_good(store.path)


@pytest.mark.parametrize("change", [
    "UPDATE trial SET cpu_seconds = 0.1", "UPDATE trial SET memory_mb = 1",
    "UPDATE trial SET steps = 9",
    "UPDATE clock SET complete = complete + 1", "UPDATE clock SET given_back = 1",
    "UPDATE attempt SET memory_mb = 1", "UPDATE attempt SET seconds = 1",
    "UPDATE study SET budget_seconds = 5", "UPDATE worker SET seen = seen + 1",
])  # fmt: skip
def test_a_cost_that_was_changed_by_hand_is_noticed(tmp_path, change):
    path = make_study(tmp_path)
    with Study(path) as study:
        study.give_back(study.ask())
        study.tell(study.ask(), 1.0)
    assert is_good(path)
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    connection.close()
    assert not is_good(path)


# The budget


def budgeted(tmp_path, seconds):
    path = tmp_path / "study.db"
    wanted = record(budget=None)._replace(budget_seconds=seconds)
    assert study_module.start(path, wanted, None)
    return path


def test_all_that_trials_took_counts_and_what_runs(tmp_path, monkeypatch):
    with Store(budgeted(tmp_path, 10.0)) as store:
        worker = store.join(process.current(), "0", "3", None)
        store.tell(claim(store, worker).token, DONE, 3.0)
        store.tell(claim(store, worker).token, Outcome("failed", error="no"), 3.0)
        store.give_back(claim(store, worker).token, Cost(3.0))
        assert claim(store, worker) is not None
        at(monkeypatch, store, 0.5)
        other = claim(store, worker)
        store.give_back(other.token, Cost(0.25))
        at(monkeypatch, store, 1.5)  # 9.25 of those that ended, and 1.5
        assert claim(store, worker) is None
        assert store.has_open_trials()  # one runs
        store.tell(next(iter(store.running())).token, DONE, 0.5)
        assert claim(store, worker) is not None  # it took less than its clock had said


def test_a_study_whose_seconds_are_spent_is_over_though_a_trial_waits(tmp_path):
    path = budgeted(tmp_path, 5.0)
    with Store(path) as store:
        worker = store.join(process.current(), "0", "3", None)
        store.give_back(claim(store, worker).token, Cost(5.0))
        assert claim(store, worker) is None
        assert not store.has_open_trials()
        assert store.progress(record().goals[0]).is_spent
    study_module.set_budget_seconds(path, 5.5)
    with Store(path) as store:
        assert store.has_open_trials()
        assert claim(store, worker).token.attempt == 2
    assert is_good(path)


def test_a_trial_that_is_asked_for_by_hand_spends_nothing_before_it_is_told(tmp_path):
    path = budgeted(tmp_path, 5.0)
    with Study(path, by_hand=True) as study:
        study.ask()
    with Store(path) as store:
        with store._db.transaction():
            store._db.change("UPDATE trial SET started = started - 9000")
        assert not store.progress(record().goals[0]).is_spent


TOY = """
from typing import Annotated
import tinytune
from tinytune import Float

@tinytune.trial(minimize="error")
def train(x: Annotated[float, Float(0.0, 1.0)] = 0.5):
    tinytune.report(1, error=x)
    if x > 0.7:
        raise ValueError("too large")
    return {"error": x, "size": 3.0}
"""


def test_the_faces_show_costs(tmp_path):
    (tmp_path / "toy.py").write_text(TOY)
    run = ("run", "toy.py", "--search", "random", "--trials", 8, "--budget-seconds", "1h")
    done = tinytune(*run, cwd=tmp_path)
    assert "8 trials or 1 h 0 min of trials" in done.stderr
    path = tmp_path / "study.db"
    status = spoken("status", path)[1]
    assert " of 1 h 0 min: complete " in status
    assert "failed" in status
    document = json.loads(spoken("status", path, "--format=json")[1])
    assert document["budget_seconds"] == 3600.0
    assert document["spent_seconds"]["complete"] > 0
    columns = ("trials", path, "--columns", "number,size,cpu_seconds,steps,x", "--format=csv")
    header, first, *_ = spoken(*columns)[1].splitlines()
    assert header == "number,size,cpu_seconds,steps,x"
    number, size, cpu_seconds, steps, x = first.split(",")
    assert (number, size, steps, x) == ("0", "3.0", "1", "0.5")
    assert float(cpu_seconds) > 0
    code, _, error = spoken("trials", path, "--columns=sizes")
    assert code == 2
    assert "there is no column 'sizes': use one of number, state, error, size, x" in error
    shown = spoken("show", path, 0)[1]
    assert "of processor time" in shown
    assert "MB at most, 1 step" in shown
    spent = tinytune("resume", "study.db", "--budget-seconds", "0", cwd=tmp_path)
    assert "the seconds of its budget are spent" in spent.stderr
    assert tinytune("resume", "study.db", "--budget-seconds=soon", cwd=tmp_path).returncode == 2
    run = ("run", "toy.py", "--study", "asked.db", "--budget-seconds", "0")  # by the default search
    asked = tinytune(*run, cwd=tmp_path)
    assert asked.returncode == 0, asked.stderr
    assert asked.stderr.endswith("next: tinytune resume asked.db --budget-seconds +10m\n")


def test_a_paused_attempt_keeps_its_cost(tmp_path):
    path = tmp_path / "study.db"
    rules = stopping.specs(stopping.parse("asha(pause=true, max_steps=9)"))
    wanted = record(budget=9)._replace(stopping=rules)
    assert study_module.start(path, wanted, None)
    with Study(path) as study:
        while (trial := study.ask()) is not None:
            for step in range(9):
                trial.report(step, stop=False, loss=trial.params["x"])
                if trial.should_stop:
                    break
            study.tell(trial, None if trial.should_stop else trial.params["x"])
    with Reader(path) as reader:
        paused = [a for n in range(9) for a in reader.attempts(n) if a.ending == "paused"]
        waiting = reader.trials("paused")
        assert paused
        assert all(a.cost.cpu_seconds is not None and a.cost.steps for a in paused)
        seconds = [a.cost.seconds for a in paused] + [trial.seconds for trial in waiting]
        assert reader.spent()["paused"] == pytest.approx(sum(seconds))
    assert is_good(path)
