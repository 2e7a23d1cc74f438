"""Studies driven by hand: trials that are added, asked for and told from the command line."""

import json

import pytest

from tests.shell import ROOT, tinytune
from tests.studies import SPACE, make_study
from tinytune import budget, process
from tinytune.errors import SpaceError, UsageError
from tinytune.lease import Watch
from tinytune.search.fold import Fold
from tinytune.store.reader import Reader
from tinytune.study import Study
from tinytune.verify import verify

TOY = ROOT / "tests" / "toys" / "toy.py"
GIVEN = {"x": 0.25, "kind": "b", "n": 2, "value": 0.5}


def trials_of(path):
    with Reader(path) as reader:
        return reader.trials()


def exact(path):
    with Reader(path) as reader:
        found = verify(reader, lambda done, total: None)
    assert found.problems == ()
    assert found.count("differs") == 0
    return found.count("exact")


def finish(path):
    with Study(path) as study:
        while (trial := study.ask()) is not None:
            study.tell(trial, trial.params["x"] ** 2)


def test_an_added_configuration_is_run_next_and_comes_on_top_of_the_budget(tmp_path):
    path = make_study(tmp_path, budget=4)
    with Study(path) as study:
        study.tell(study.ask(), 1.0)
        assert study.add(GIVEN) == 1
        assert study.ask().params == GIVEN
    finish(path)
    trials = trials_of(path)
    assert len(trials) == 5
    assert [t.origin for t in trials] == ["default", "manual", "search", "search", "search"]
    assert exact(path) == 4


def test_it_shifts_no_other_suggestion(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    plain = make_study(tmp_path / "a")
    finish(plain)
    path = make_study(tmp_path / "b")
    with Study(path) as study:
        study.add(GIVEN)
        study.tell(study.ask(), 1.0)
        study.tell(study.ask(), 1.0)
        study.add(GIVEN, 0.5)
    finish(path)
    searched = [t.params for t in trials_of(path) if t.origin != "manual"]
    assert searched == [t.params for t in trials_of(plain)]
    assert exact(path) == 6


def test_a_grid_still_has_each_of_its_points(tmp_path):
    path = make_study(tmp_path, search="grid", budget=4, points={"x": 2}, order="even")
    with Study(path) as study:
        study.add(GIVEN)
    finish(path)
    trials = trials_of(path)
    assert len(trials) == 5
    assert len({repr(t.params) for t in trials}) == 5
    assert exact(path) == 4


def test_a_result_from_elsewhere_is_recorded(tmp_path):
    path = make_study(tmp_path)
    with Study(path) as study:
        number = study.add(GIVEN, {"loss": -5.0, "size": 2})
        assert study.best.number == number
        assert study.best.values == {"loss": -5.0, "size": 2.0}
        with pytest.raises(UsageError, match="cannot be recorded"):
            study.add(GIVEN, float("nan"))
        with pytest.raises(SpaceError, match="'x'"):
            study.add({**GIVEN, "x": 7})
    assert len(trials_of(path)) == 1


@pytest.mark.parametrize("search", ["cma-es", "nelder-mead", "de"])
def test_searches_learn_from_what_was_added(tmp_path, search):
    path = tmp_path / "study.db"
    done = tinytune("run", TOY, "--study", path, "--search", search, "--trials", 3, "--quiet")
    assert done.returncode == 0, done.stderr
    best = trials_of(path)[0].params
    with Study(path) as study:
        study.add(best, -100.0)
    assert tinytune("resume", path, "--trials", "+6", "--quiet").returncode == 0
    assert exact(path) == 9


def test_a_trial_is_asked_for_and_told_by_hand(tmp_path):
    path = make_study(tmp_path)
    asked = json.loads(tinytune("ask", path).stdout)
    assert asked["number"] == 0
    assert asked["params"] == SPACE.defaults
    assert asked["seed"] == trials_of(path)[0].seed
    second = json.loads(tinytune("ask", path).stdout)
    assert second["number"] == 1
    assert "asked for by hand" in tinytune("status", path).stdout
    assert tinytune("tell", path, 0, "0.5").returncode == 0
    assert tinytune("tell", path, 1, "--failed", "it fell over").returncode == 0
    trials = trials_of(path)
    assert (trials[0].state, trials[0].value) == ("complete", 0.5)
    assert (trials[1].state, trials[1].error) == ("failed", "it fell over")
    assert exact(path) == 2


def test_a_result_may_be_negative_and_a_slip_of_the_pen_is_no_failure(tmp_path):
    path = make_study(tmp_path)
    tinytune("ask", path)
    for slip in ("0,5", "nan", "error=2"):
        refused = tinytune("tell", path, 0, slip)
        assert refused.returncode == 2
        assert "that cannot be told" in refused.stderr
    assert trials_of(path)[0].state == "running"
    assert tinytune("tell", path, 0, "-.5").returncode == 0
    assert trials_of(path)[0].value == -0.5


def test_a_grid_that_is_extended_keeps_its_points_beside_trials_by_hand(tmp_path):
    path = make_study(tmp_path, search="grid", budget=2, points={"x": 2}, order="even")
    with Study(path) as study:
        study.add(GIVEN, 1.0)
        study.add(GIVEN, 1.0)
        size = Fold(study.record).size
    budget.extend(path, "+1000")
    finish(path)
    searched = [t.params for t in trials_of(path) if t.origin != "manual"]
    assert len(searched) == len({repr(params) for params in searched}) == size


def test_what_was_asked_for_is_held_until_it_is_released(tmp_path):
    path = make_study(tmp_path, budget=1)
    assert tinytune("ask", path).returncode == 0
    assert process.is_dead(process.BY_HAND) is None
    watch = Watch(lambda: 1e9)
    assert watch.dead({1: (0, process.BY_HAND)}) == []  # however long it takes
    with Study(path) as study:
        assert study.ask() is None
        assert study.is_over()  # `resume` does not wait for somebody's hand
    released = tinytune("release", path)
    assert "1 trial given back" in released.stderr
    refused = tinytune("tell", path, 0, 1.0)
    assert refused.returncode == 2
    assert "was not asked for by hand, or has ended" in refused.stderr
    assert json.loads(tinytune("ask", path).stdout)["number"] == 0  # it runs again
    assert tinytune("tell", path, 0, 1.0).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "x=0.1"], "parameter 'kind' has no value"),
        (["add", "x"], "'x' is no NAME=VALUE: write lr=0.1"),
        (["add", "x=0.1", "x=0.2"], "x=… is given twice"),
        (["add", "y=1"], "there is no parameter 'y'"),
        (["add", "x=0.1", "kind=a", "value=0", "--value", "nan"], "cannot be recorded"),
        (["tell", "0", "1.0"], "was not asked for by hand"),
        (["tell", "0"], "give the result, or --failed"),
        (["tell", "0", "1.0", "--failed", "x"], "give the result, or --failed"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(tmp_path, arguments, said):
    path = make_study(tmp_path)
    name, *rest = arguments
    done = tinytune(name, path, *rest)
    assert done.returncode in {1, 2}
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert trials_of(path) == []


def test_a_study_whose_budget_is_used_up_has_nothing_to_ask_for(tmp_path):
    path = make_study(tmp_path, budget=1)
    finish(path)
    done = tinytune("ask", path)
    assert done.returncode == 1
    assert "no trial left to run" in done.stderr
