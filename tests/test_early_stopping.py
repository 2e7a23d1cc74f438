"""Early stopping in studies: what is stopped, what is told of it, and that it can be proved."""

import json
import math
import sqlite3
from contextlib import closing, suppress
from typing import Annotated

import pytest

import tinytune
from tests.faults.hostile_files import spoken
from tests.shell import ROOT, kill_at_random
from tests.shell import tinytune as shell
from tests.studies import record
from tests.test_cli import fails
from tinytune import Float, stopping
from tinytune import study as study_module
from tinytune.errors import ObjectiveError, StudyMismatchError, TrialStopped
from tinytune.history import Outcome
from tinytune.store.reader import Reader
from tinytune.study import Study
from tinytune.verify import verify

BALL = ROOT / "examples" / "heavy_ball.py"


def made(folder, rules="threshold(upper=0.5)", **changes):
    path = folder / "study.db"
    wanted = record(**{"budget": 50, **changes})._replace(
        stopping=stopping.specs(stopping.parse(rules))
    )
    assert study_module.start(path, wanted, None)
    return path


def verified(path):
    with Reader(path) as reader:
        return verify(reader, lambda done, total: None)


def states(path):
    with Reader(path) as reader:
        return {trial.number: (trial.state, trial.value) for trial in reader.trials()}


@tinytune.trial(minimize="loss")
def careless(trial: tinytune.Trial, x: Annotated[float, Float(0, 1)] = 0.25) -> float:
    """It swallows whatever is an Exception, as many training loops do."""
    for step in range(4):
        with suppress(Exception):
            tinytune.report(step, loss=x + step / 4, other=math.nan)
    return 7.0


@tinytune.trial(minimize="loss")
def tidy(trial: tinytune.Trial, x: Annotated[float, Float(0, 1)] = 0.25) -> float:
    """It cleans up itself."""
    for step in range(4):
        trial.report(step, loss=x + step / 4, stop=False)
        if tinytune.should_stop():
            assert "at step" in trial.stopped
            return x
    return 7.0


@tinytune.trial(minimize="loss")
def stubborn(x: Annotated[float, Float(0, 1)] = 0.25) -> float:
    """It catches everything, and goes on."""
    for step in range(4):
        with suppress(BaseException):
            tinytune.report(step, loss=x + step / 4)
    return x


@tinytune.trial(minimize="loss")
def crashing(x: Annotated[float, Float(0, 1)] = 0.25) -> float:
    """It does not survive its own clean-up."""
    try:
        tinytune.report(0, loss=x + 1)
    except TrialStopped:
        raise ValueError("no")  # noqa: B904
    return x


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (careless, ("stopped", 0.75)),  # its last reported value
        (tidy, ("stopped", 0.25)),  # what it returned
        (stubborn, ("stopped", 0.25)),
        (crashing, ("failed", None)),
    ],
)
def test_how_a_stopped_trial_ends(tmp_path, objective, expected):
    path = tmp_path / "study.db"
    objective.tune(path, trials=1, search="random", stopping="threshold(upper=0.6)", quiet=True)
    assert states(path) == {0: expected}
    found = verified(path)
    assert found.is_good, found.problems
    assert found.stops == 1


def test_outside_of_a_study_nothing_is_stopped():
    assert careless(x=0.5) == 7.0
    assert not tinytune.should_stop()
    with pytest.raises(ObjectiveError, match="stop must be True or False"):
        tinytune.report(0, stop=0.5)


def test_a_stopped_trial_is_never_the_best_and_is_evidence(tmp_path):
    path = made(tmp_path, search="tpe")
    with Study(path) as study:
        first = study.ask()
        with pytest.raises(TrialStopped, match="trial 0 is stopped at step 3 by threshold"):
            first.report(3, loss=0.6)
        study.tell(first)
        study.tell(study.ask(), 0.9)
        assert study.best.number == 1
        assert [(f.state, f.value) for f in study.reader.history(99)] == [
            ("stopped", 0.6),
            ("complete", 0.9),
        ]


def test_by_hand_a_trial_is_told_with_or_without_a_value(tmp_path):
    path = made(tmp_path)
    with Study(path) as study:
        for value in (0.1, None):
            trial = study.ask()
            trial.report(0, loss=3.0, stop=False)
            assert trial.should_stop
            trial.report(1, loss=0.2, stop=False)
            assert trial.should_stop, "once stopped is stopped"
            study.tell(trial, value)
        trial = study.ask()
        assert study.tell(trial).error.startswith("the objective returned loss = None")
    assert states(path) == {0: ("stopped", 0.1), 1: ("stopped", 0.2), 2: ("failed", None)}
    assert verified(path).stops == 2


def test_a_trial_that_is_given_back_is_judged_anew(tmp_path):
    path = made(tmp_path)
    with Study(path) as study:
        trial = study.ask()
        trial.report(0, loss=3.0, stop=False)
        study.give_back(trial)
        again = study.ask()
        assert not again.should_stop
        again.report(0, loss=0.1)
        study.tell(again, 0.1)
    assert states(path) == {0: ("complete", 0.1)}
    found = verified(path)
    assert found.is_good, found.problems


def test_a_report_costs_the_same_however_many_trials_there_are(tmp_path):
    path = made(tmp_path, "median(grace=0)+asha+dominated(grace=0)", budget=400)
    costs = []
    with Study(path) as study:
        for number in range(301):
            trial = study.ask()
            seen = []
            study._writer._db._connection.set_trace_callback(seen.append)
            for step in range(3):
                trial.report(step, loss=0.0)
            study._writer._db._connection.set_trace_callback(None)
            if number in (10, 300):
                costs.append([s.split()[0] for s in seen if not s.startswith("PRAGMA")])
            study.tell(trial, 0.0)
    few, many = costs
    # begin, fence, (rung,) metric, commit; then what is new: complete trials, their curves, rungs
    assert len(many) == len(few) <= 24
    assert few.count("COMMIT") == 3


def run(path, *options, workers=2, trials=40):
    done = shell("run", BALL, "--study", path, "--search", "random", "--trials", trials,
                 "--workers", workers, *options)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("rules", ["median(min_trials=2)+threshold(upper=1e4)", "hyperband"])
def test_what_many_workers_stop_is_recomputed_exactly(tmp_path, rules):
    path = tmp_path / "study.db"
    run(path, "--stop", rules, "--audit", "20%", workers=4)
    found = verified(path)
    assert found.is_good, found.problems
    with Reader(path) as reader:
        decisions = [each for each in reader.decisions() if each.verdict != "rung"]
        stopped = [trial.number for trial in reader.trials("stopped")]
    assert found.stops == len(decisions) > 5
    assert sorted(d.trial for d in decisions if d.verdict == "stop") == stopped
    assert {d.verdict for d in decisions} == {"stop", "spared"}
    with Reader(path) as reader:
        for decision in decisions:
            if decision.verdict == "spared":
                assert reader.trial(decision.trial).state == "complete"
                assert len(reader.curves(reader.trial(decision.trial))["loss"]) == 50


def test_killed_at_random_nothing_is_judged_twice(tmp_path):
    path = tmp_path / "study.db"
    command = ["run", BALL, "--study", path, "--search", "random", "--trials", "60", "--stop",
               "asha+median", "--set", "steps=200", "--workers", "3"]  # fmt: skip
    kill_at_random(path, command, "stops", 3)
    last = shell("resume", path)
    assert last.returncode == 0, last.stderr
    found = verified(path)
    assert found.is_good, found.problems
    assert set(states(path)) == set(range(60))
    assert shell("check", path).returncode == 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE decision SET facts = json_set(facts, '$.limit', 1.5) WHERE verdict = 'stop'",
        "UPDATE decision SET step = step + 1 WHERE verdict = 'stop'",
        "UPDATE decision SET verdict = 'spared' WHERE verdict = 'stop'",
        "DELETE FROM decision WHERE verdict = 'stop'",
        "UPDATE trial SET state = 'complete' WHERE state = 'stopped'",
        "UPDATE metric SET value = 0 WHERE trial = 3",
        "UPDATE study SET stopping = NULL",
        "UPDATE study SET stopping = replace(stopping, '\"min_trials\": 5', '\"min_trials\": 6')",
    ],
)
def test_what_is_changed_is_noticed(tmp_path, change):
    path = made(tmp_path, "median(grace=0)", budget=12)
    with Study(path) as study:
        while (trial := study.ask()) is not None:
            with suppress(TrialStopped):
                for step in range(3):
                    trial.report(step, loss=float(trial.number % 7))
            study.tell(trial, None if trial.should_stop else 1.0)
    assert verified(path).is_good
    assert verified(path).stops == 5
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(change).rowcount
    assert not verified(path).is_good


def test_looking_too_far_is_noticed(tmp_path, monkeypatch):
    """A rule that sees what was told after the report decides otherwise than `verify` does."""
    path = made(tmp_path, "median(grace=0, min_trials=2)", budget=8)
    tick = Reader.tick
    complete = Reader.complete
    with Study(path) as study:
        monkeypatch.setattr(
            type(study._writer), "complete",
            lambda self, after, upto: complete(self, after, tick(self)),
        )  # fmt: skip
        others = [study.ask() for _ in range(3)]
        late = study.ask()
        for other in others:
            other.report(0, loss=0.0)
        real = study._writer.report

        def slow(*arguments):
            at = real(*arguments)
            monkeypatch.undo_report()
            for other in others:
                study.tell(other, 0.0)
            return at

        monkeypatch.undo_report = lambda: setattr(study._writer, "report", real)
        study._writer.report = slow
        late.report(0, loss=9.0, stop=False)
        study.tell(late, None)
    assert not verified(path).is_good


def test_at_the_command_line(tmp_path):
    path = tmp_path / "study.db"
    run(path, "--stop", "threshold(upper=30)", trials=12)
    with Reader(path) as reader:
        number = reader.trials("stopped")[0].number
    told = shell("show", path, number).stdout
    assert "state     stopped\n" in told
    assert "by threshold: it is " in told
    assert "past the bound 30\n" in told
    decision = json.loads(shell("show", path, number, "--format", "json").stdout)["decision"]
    assert decision["verdict"] == "stop"
    assert "stopping     threshold(upper=30)" in shell("status", path).stdout
    assert "recomputed exactly" in shell("verify", path).stdout.splitlines()[1]
    told = fails(1, "run", BALL, "--study", path, "--stop", "median")
    assert "stopping is threshold(upper=30) there and median here" in told
    told = fails(2, "run", BALL, "--study", tmp_path / "b.db", "--audit", "5x")
    assert "'5x' is no share: write 5% or 0.05" in told
    again = shell("run", BALL, "--study", path, "--search", "random", "--trials", 14)
    assert again.returncode == 0, again.stderr
    replica = shell("replicate", path, "--objective", BALL, "--quiet")
    assert "within 1e-06" in replica.stdout
    assert fails(2, "replicate", path, "--objective", BALL, "--trials", number) != ""


def test_other_rules_are_another_study(tmp_path):
    path = made(tmp_path, "median")
    with pytest.raises(StudyMismatchError, match="stopping is median there and none here"):
        study_module.start(path, record(budget=50), None)
    assert Outcome("stopped").value is None


def test_a_rule_that_has_had_nothing_to_look_at_is_told(tmp_path):
    rules = "median(grace=3, metric=zzz)+threshold(upper=10, metric=acc)+asha"
    path = made(tmp_path, rules)
    with Study(path) as study:
        trial = study.ask()
        trial.report(0, loss=1.0, acc=0.5)
        assert "has stopped" not in details(path)  # it may report zzz yet
        study.tell(trial, 1.0)
    remedy = "--stop 'median(grace=3, metric=loss)+threshold(upper=10, metric=acc)+asha'"
    for told in (details(path), spoken("stopping-report", path)[1]):
        assert "since none has reported 'zzz', but only 'acc' and 'loss'" in told
        assert f"tinytune set {path} {remedy}" in told
        assert told.count("has stopped no trial") == 1
    for command in ("status", "stopping-report"):
        (unseen,) = json.loads(spoken(command, path, "--format", "json")[1])["unseen"]
        assert unseen == {"rule": "median", "metric": "zzz", "reported": ["acc", "loss"]}


def test_rules_beside_an_objective_that_reports_nothing_are_told(tmp_path):
    path = made(tmp_path, "median")
    with Study(path) as study:
        study.tell(study.ask(), 1.0)
    assert "call tinytune.report(step, loss=…) in the objective" in details(path)


def test_further_runs_are_no_metric_to_look_at(tmp_path):
    path = made(tmp_path, "median(metric=zzz)")
    with closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE study SET repeats = 2")
        file.commit()
    with Study(path) as study:
        trial = study.ask()
        trial.record(0, {"repeat": 1.0, "loss@1": 2.0})
        study.tell(trial, 1.0)
    assert "none has reported anything: call tinytune.report(step, zzz=…)" in details(path)


def details(path):
    return spoken("status", path)[1]
