"""Which search is chosen, that it is written down, and that nothing is tried twice."""

import pytest

from tests.shell import ROOT, tinytune
from tests.studies import record
from tinytune import search, study, testing
from tinytune.distributions import Between, Choice, Float, Int
from tinytune.errors import UsageError
from tinytune.history import Finished
from tinytune.search import auto
from tinytune.search.auto import Auto
from tinytune.search.oracle import key
from tinytune.search.reasons import REASONS
from tinytune.space import Space
from tinytune.study import Study
from tinytune.verify import verify

NUMBERS = Space.of({"x": Float(0.0, 1.0), "y": Float(1e-3, 1.0, log=True)})
MIXED = Space.of({"x": Float(0.0, 1.0), "kind": Choice("a", "b", "c")})
MANY_OPTIONS = Space.of({"x": Float(0.0, 1.0), "kind": Choice(*"abcdefg")})
RANKED = Space.of({"x": Float(0.0, 1.0), "size": Choice(*range(9), ordered=True)})
BRANCHES = Space.of({"kind": Choice("a", "b"), "depth": Int(1, 900, when={"kind": "b"})})
CONDITIONED = Space.of(  # one of four parameters
    {
        "x": Float(-1.0, 1.0),
        **{f"{n}": Float(0.0, 1.0) for n in "ab"},
        "y": Float(0.0, 1.0, when={"x": Between(0.0, 1.0)}),
    }
)
WIDE = Space.of({f"x{i}": Float(0.0, 1.0) for i in range(21)})
LISTED = Space.of({"kind": Choice("a", "b", "c"), "n": Int(1, 9)})


def chosen(space, told=0, **options):
    working = Auto(**options).start(space, 1, None)
    for number in range(told):
        params = space.sample(1, number, "test")
        working.tell(Finished(number, "complete", params, float(number), number + 1))
    return working.chosen(told)


@pytest.mark.parametrize(
    ("expected", "space", "options"),
    [
        ("grid", LISTED, {"trials": 27}),
        ("gp", LISTED, {"trials": 26}),
        ("grid", LISTED, {}),  # 100 trials
        ("gp", NUMBERS, {}),
        ("gp", NUMBERS, {"trials": 6}),
        ("sobol", NUMBERS, {"trials": 5}),
        ("gp", NUMBERS, {"trials": 49, "workers": 16}),
        ("sobol", NUMBERS, {"trials": 48, "workers": 16}),
        ("gp", MIXED, {"trials": 50}),
        ("gp", MANY_OPTIONS, {"trials": 50}),
        ("gp", RANKED, {"trials": 50}),
        ("gp", BRANCHES, {"trials": 50}),
        ("tpe", BRANCHES, {"told": 250, "trials": 900}),
        ("tpe", WIDE, {"trials": 50}),
        ("sobol", WIDE, {"trials": 43}),
        ("trust-region", NUMBERS, {"smooth": True}),
        ("trust-region", NUMBERS, {"smooth": True, "workers": 2}),
        ("gp", NUMBERS, {"smooth": True, "workers": 3}),
        ("gp", MIXED, {"smooth": True}),
        ("gp", NUMBERS, {"told": 25}),
        ("gp", NUMBERS, {"told": 26}),
        ("trust-region", NUMBERS, {"told": 27}),
        ("trust-region", NUMBERS, {"told": 27, "workers": 4}),
        ("gp", NUMBERS, {"told": 27, "workers": 5}),
        ("gp", MIXED, {"told": 99}),
        ("gp", CONDITIONED, {"told": 99}),
        ("gp", NUMBERS, {"told": 248, "trials": 900}),
        ("cma-es", NUMBERS, {"told": 250, "trials": 900}),
        ("cma-es", RANKED, {"told": 250, "trials": 900}),
        ("tpe", MIXED, {"told": 250, "trials": 900}),
    ],
)
def test_the_first_rule_that_holds_decides(expected, space, options):
    assert chosen(space, **options) == expected
    assert expected in REASONS


def test_each_choice_suggests_what_the_chosen_search_would():
    for name, space, options in [
        ("tpe", WIDE, {"trials": 60}),
        ("trust-region", NUMBERS, {"smooth": True}),
        ("sobol", NUMBERS, {"trials": 60, "workers": 30}),
    ]:
        working = Auto(**options).start(space, 3, space.defaults)
        alone = search.make(name, {}).start(space, 3, space.defaults)
        loss = testing.bowl(space)
        for number in range(25):
            params = working.suggest(number, ())
            assert params == alone.suggest(number, ())
            result = Finished(number, "complete", params, loss(params), number + 1)
            working.tell(result)
            alone.tell(result)


def test_with_a_budget_of_seconds_gp_looks_at_cheap_trials_first():
    def suggested(options):
        working, found = options.start(NUMBERS, 1, None), []
        for number in range(9):
            params = working.suggest(number, ())
            found.append(params)
            took = 100.0 if params["x"] > 0.5 else 1.0
            value = (params["x"] - 0.7) ** 2
            working.tell(Finished(number, "complete", params, value, number + 1, seconds=took))
        return found

    budget = {"seconds": 1e5}
    assert suggested(Auto(**budget)) == suggested(search.make("gp", budget))
    assert suggested(Auto(**budget)) != suggested(Auto())
    assert search.planned(Auto(), 9, 2, begins_with_defaults=True, seconds=7.0) == Auto(
        9, 2, seconds=7.0
    )
    assert search.planned(Auto(), 9, 2, begins_with_defaults=True) == Auto(9, 2)
    assert search.planned(Auto(), 9, 2, begins_with_defaults=True, seconds=0.0) == Auto(9, 2)
    with pytest.raises(UsageError, match="auto: seconds 0 must be a number above 0"):
        Auto(seconds=0)


def test_a_search_that_is_chosen_late_has_heard_of_all_results():
    loss = testing.bowl(RANKED)
    working = Auto(trials=600).start(RANKED, 3, None)
    alone = search.make("cma-es", {}).start(RANKED, 3, None)
    for number in range(250):
        params = RANKED.sample(3, number, "test")
        result = Finished(number, "complete", params, loss(params), number + 1)
        working.tell(result)
        alone.tell(result)
    assert working.chosen(250) == "cma-es"
    assert working.suggest(250, ()) == alone.suggest(250, ())


def test_a_trust_region_begins_at_the_best_of_the_first_results_whenever_it_is_made():
    loss = testing.bowl(NUMBERS)
    told = [finished(number, NUMBERS.sample(3, number, "test"), loss) for number in range(50)]
    best = min(told[:26], key=lambda result: result.value)
    alone = search.make("trust-region", {"step": 0.1, "tolerance": 1e-5})
    alone = alone.start(NUMBERS, 3, best.params)
    early, late = (Auto().start(NUMBERS, 3, None) for _ in range(2))
    for result in told:
        early.tell(result)
        alone.tell(result)
        late.tell(result)
        if result.number == 26:
            early.suggest(27, ())
    assert early.suggest(51, ()) == late.suggest(51, ()) == alone.suggest(51, ())


def finished(number, params, loss):
    return Finished(number, "complete", params, loss(params), number + 1)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_small_space_is_tried_as_a_whole_and_then_it_is_over(workers):
    run = testing.simulate(Auto(trials=100), LISTED, testing.bowl(LISTED), 27, workers)
    assert len({key(trial.result.params) for trial in run}) == 27
    assert Auto(trials=100).start(LISTED, 1, None).distinct == 27
    assert Auto(trials=26).start(LISTED, 1, None).distinct is None
    assert Auto(trials=100, allow_repeats=True).start(LISTED, 1, None).distinct is None


@pytest.mark.parametrize("workers", [1, 5])
def test_nothing_is_tried_twice_while_there_is_something_new(workers, monkeypatch):
    """Even if the search at work has but one idea."""
    space = Space.of({"n": Int(1, 40)})
    stubborn = type("Stubborn", (), {"tell": lambda *_: None, "suggest": lambda *_: {"n": 7}})
    monkeypatch.setattr("tinytune.search.auto.Automatic._begun", lambda *_: stubborn())
    run = testing.simulate(Auto(trials=39), space, testing.bowl(space), 39, workers)
    assert len({trial.result.params["n"] for trial in run}) == 39
    again = testing.simulate(
        Auto(trials=39, allow_repeats=True), space, testing.bowl(space), 39, workers
    )
    assert {trial.result.params["n"] for trial in again} == {7}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"trials": 0}, "auto: trials 0 must be a whole number above 0"),
        ({"workers": True}, "auto: workers True must be a whole number above 0"),
        ({"smooth": 1}, "auto: smooth must be true or false"),
        ({"allow_repeats": "no"}, "auto: allow_repeats must be true or false"),
    ],
)
def test_options_that_are_none(options, complaint):
    with pytest.raises(UsageError, match=complaint):
        Auto(**options)


def test_what_is_known_of_the_objective_can_be_said_on_the_command_line(tmp_path):
    how = ["--trials", 1, "--smooth", "--allow-repeats", "--workers", 2, "--budget-seconds", "1h"]
    done = tinytune("run", ROOT / "examples" / "heavy_ball.py", *how, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with Study(tmp_path / "study.db") as opened:
        assert opened.record.search.options == {
            "trials": 1, "workers": 2, "smooth": True, "allow_repeats": True,
            "trust_defaults": None, "seconds": 3600.0,
        }  # fmt: skip
    done = tinytune("run", ROOT / "examples" / "heavy_ball.py", "--search", "de", "--smooth")
    assert done.returncode == 2
    assert "the search 'de' has no option 'smooth'" in done.stderr


def test_each_trial_says_which_search_made_it_and_a_study_proves_itself(tmp_path):
    path = tmp_path / "study.db"
    study.start(path, record(8, "auto", space=BRANCHES, trials=40, workers=1, seconds=60.0), None)
    loss = testing.bowl(BRANCHES)
    with Study(path) as opened:
        while (trial := opened.ask()) is not None:
            opened.tell(trial, loss(trial.params))
        assert {trial.search for trial in opened.trials()} == {"auto/1 gp/1"}
    done = tinytune("verify", path)
    assert done.returncode == 0, done.stdout
    assert "8 of 8 suggestions" in done.stdout
    shown = tinytune("status", path).stdout
    assert f"gp: {REASONS['gp']}" in shown


def test_searches_that_take_turns_are_replayed(tmp_path, monkeypatch):
    monkeypatch.setattr(auto, "_SETTLED", 4)
    monkeypatch.setattr(auto, "_SETTLED_EACH", 0)
    path = tmp_path / "study.db"
    study.start(path, record(14, "auto", space=NUMBERS, trials=40, workers=2), None)
    loss = testing.bowl(NUMBERS)
    with Study(path) as one, Study(path) as other:
        for opened in (one, other) * 3 + (other, one) * 4:
            trial = opened.ask()
            opened.tell(trial, loss(trial.params))
        labels = [trial.search for trial in one.trials()]
        proof = verify(one.reader, lambda done, total: None)
    assert labels[:5] == ["auto/1 gp/1"] * 5
    assert labels[5:] == ["auto/1 trust-region/1", "auto/1 gp/1"] * 4 + ["auto/1 trust-region/1"]
    assert proof.is_good
    assert proof.count("exact") == 14


def test_a_wrong_name_of_the_search_is_noticed(tmp_path):
    import sqlite3

    path = tmp_path / "study.db"
    study.start(path, record(4, "auto", space=BRANCHES, trials=40, workers=1), None)
    with Study(path) as opened:
        while (trial := opened.ask()) is not None:
            opened.tell(trial, 1.0)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE trial SET search = 'auto/1 tpe/1' WHERE number = 2")
    connection.close()
    done = tinytune("verify", path)
    assert done.returncode == 1
    assert "auto/1 gp/1 suggests it, not auto/1 tpe/1" in done.stdout
