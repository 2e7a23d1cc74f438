"""Studies that are changed while they live: each trial is recomputed in its own version."""

import json
import random
import sqlite3
from contextlib import closing, suppress
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinytune
from tests.faults.hostile_files import spoken
from tests.studies import SPACE, make_study, record
from tests.test_early_stopping import made
from tests.test_early_stopping import verified as proved
from tests.test_removal import remove_or_restore, take_steps
from tests.test_verify import found_by_anything, study_of
from tinytune import __version__, budget, changing, command, search, session, stopping
from tinytune import study as study_module
from tinytune.changing import Wanted
from tinytune.distributions import Choice, Float, Int
from tinytune.errors import ObjectiveError, StudyMismatchError, TrialStopped, UsageError
from tinytune.history import Command, Goal
from tinytune.search.fold import Fold
from tinytune.space import Space
from tinytune.store.editor import Editor
from tinytune.store.reader import Reader
from tinytune.store.writer import create
from tinytune.study import Study


def says(code, *words):
    found, out, errors = spoken(*words)
    assert found == code, (out, errors)
    return out + errors


def run(study, count, value=lambda trial: trial.params["x"] ** 2):
    for _ in range(count):
        trial = study.ask()
        study.tell(trial, value(trial))


def searching(path, name, trials=None, **options):
    return changing.change(path, Wanted(trials, search.make(name, options)))


# Another search.


@pytest.mark.parametrize("name", ["gp", "tpe", "cma-es", "nelder-mead"])
def test_a_learning_search_is_told_of_all_that_was_before(tmp_path, name):
    path = make_study(tmp_path, budget=20)
    with Study(path) as study:
        run(study, 10)
        late = study.ask()
        (line,) = searching(path, name)
        assert line.startswith("from trial 11 on, search: random(")
        trial = study.ask()  # the same worker takes it up
        blind = Fold(study.record._replace(lessons=()))
        assert trial.params != blind.suggest(0, [])
        study.tell(trial, 0.5)
        study.tell(late, 0.25)  # of the version before, told in this one
        run(study, 8)
        assert study.ask() is None
    found = proved(path)
    assert found.is_good, found
    assert found.count("exact") == 20
    with Reader(path) as reader:
        assert [t.search.split("/")[0] for t in reader.trials()] == ["random"] * 11 + [name] * 9


def test_what_was_good_before_decides_what_is_tried_next(tmp_path):
    path = make_study(tmp_path, budget=60)
    with Study(path) as study:
        run(study, 40)
        searching(path, "tpe")
        run(study, 20)
        near = [abs(trial.params["x"]) < 0.4 for trial in study.trials()]
    assert sum(near[40:]) / 20 > sum(near[:40]) / 40 + 0.2


def test_a_grid_begins_with_its_first_point_and_is_walked_once(tmp_path):
    path = make_study(tmp_path, budget=50)
    with Study(path) as study:
        run(study, 5)
        study.add({"x": 0.125, "kind": "a", "value": 0.5}, 1.0)
        lines = searching(path, "grid", points={"x": 3})
        assert lines[-1] == "trials: 51 → 60"
        study.add({"x": 0.25, "kind": "a", "value": 0.5}, 1.0)
        while (trial := study.ask()) is not None:
            study.tell(trial, 1.0)
        points = [json.dumps(t.params) for t in study.trials()[6:] if t.origin != "manual"]
    assert len(points) == len(set(points)) == 3 * 3 * (1 + 5)
    assert proved(path).is_good
    assert not found_by_anything(path)


def test_at_random_nothing_is_drawn_twice(tmp_path):
    path = make_study(tmp_path, budget=40)
    with Study(path) as study:
        run(study, 10)
        changing.widen(path, ["kind+=c"])
        run(study, 10)
        searching(path, "random", without_replacement=False)  # as it is
        run(study, 10)
        found = [trial.params["x"] for trial in study.trials()]
    assert len(set(found)) == len(found) == 30
    with Reader(path) as reader:
        assert len(reader.timeline().versions) == 1
    assert proved(path).is_good


# A wider space.


def test_a_wider_space_is_used_and_old_trials_stay(tmp_path):
    path = make_study(tmp_path, budget=60)
    with Study(path) as study:
        run(study, 20)
        says(0, "widen", path, "x=-4..1", "kind+=c,d", "n=1..9")
        run(study, 40)
        trials = study.trials()
    assert all(-1 <= trial.params["x"] <= 1 for trial in trials[:20])
    assert any(trial.params["x"] < -1 for trial in trials[20:])
    assert {trial.params["kind"] for trial in trials[20:]} == {"a", "b", "c", "d"}
    assert any(trial.params.get("n", 0) > 5 for trial in trials[20:])
    found = proved(path)
    assert found.is_good
    assert found.count("exact") == 60
    assert not found_by_anything(path)
    with Study(path) as study:
        assert study.space.by_name["x"].distribution.low == -4


LOG = Space.of(
    {"lr": Float(1e-3, 1, log=True), "step": Float(0, 1, step=0.25), "n": Int(2, 8, step=2),
     "opt": Choice("sgd", "adam"), "size": Choice(1, 2, weights=(1, 2))},
    {"lr": 0.1},
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lr=1e-6..1", "1e-06..1"),
        ("lr = 1e-6 .. 2", "1e-06..2"),
        ("lr=..10", "0.001..10"),
        ("lr=1e-6..", "1e-06..1"),
        ("step=-0.5..1", "-0.5..1"),
        ("n=..12", "2..12"),
        ("opt+=adamw, 3,true", "sgd, adam, adamw, 3, True"),
    ],
)
def test_what_is_wider(text, shown):
    made = changing.wider(LOG, [text])
    name = text.split("=")[0].strip(" +")
    assert changing.shown(made.by_name[name].distribution) == shown
    assert made.by_name["lr"].default == 0.1
    assert [p.name for p in made.parameters] == [p.name for p in LOG.parameters]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("lr=1e-2..1", "leaves out some of 0.001..1"),
        ("lr=0..1", "log needs low above 0"),
        ("lr=-inf..1", "'-inf' is no number"),
        ("lr=1e-6..1e999", "'1e999' is no number"),
        ("lr=a..1", "'a' is no number"),
        ("lr", "says nothing of a range"),
        ("lr=5", "says nothing of a range"),
        ("lr+=5", "is no choice but a range"),
        ("opt=1..2", "is no range but a choice"),
        ("opt+=adam", "is given twice"),
        ("opt+=", "says nothing of a range"),
        ("size+=3", "has weights"),
        ("step=-0.1..1", "step 0.25 does not fit"),
        ("n=1..8", "step 2 does not fit"),
        ("n=0.5..8", "not a whole number"),
        ("other=1..2", "there is no parameter 'other'"),
    ],
)
def test_what_is_not_wider_is_one_sentence(tmp_path, text, reason):
    path = make_study(tmp_path, space=LOG)
    told = says(2, "widen", path, text)
    assert told.startswith("tinytune: ")
    assert told.count("\n") == 1
    assert reason in told
    with Reader(path) as reader:
        assert reader.timeline().versions == []
        assert reader.tick() == 0


def objective(low, high=1.0):
    @tinytune.trial(minimize="loss")
    def train(x: Annotated[float, Float(low, high)] = 0.5, y: Annotated[int, Int(1, 3)] = 1):
        return x * y

    return train


def started(path, wanted, notes):
    wishes = session.Wishes(trials=9)
    return session.start(path, wanted, None, wishes, has_timeout=False, note=notes.append)


def test_the_objective_may_keep_its_annotation_or_take_the_wider_one(tmp_path):
    path, notes = tmp_path / "study.db", []
    assert started(path, objective(-1.0), notes)
    changing.widen(path, ["x=-3..1"])
    changing.widen(path, ["x=-4..1"])
    for low in (-1.0, -3.0, -4.0):
        assert not started(path, objective(low), notes)
        told = session.check_space(path, objective(low))
        assert told == ("" if low == -4 else notes[-1])
    assert notes == ["the study's space was changed since, and counts: x is -4..1 there"] * 2
    other = objective(-2.0)  # which it never was
    with pytest.raises(StudyMismatchError, match="parameter 'x' is"):
        started(path, other, notes)
    with pytest.raises(StudyMismatchError, match="parameter 'x' is"):
        session.check_space(path, other)
    objective(-1.0).tune(path, trials=9, quiet=True)
    assert proved(path).count("exact") == 9


@pytest.mark.parametrize("is_mine", [True, False])
def test_a_command_that_was_vouched_for_stays_so_in_a_wider_space(tmp_path, is_mine):
    path, space = tmp_path / "study.db", Space.of({"x": Float(0, 1)})
    made = command.CommandObjective(
        Command(("echo", "{x}")), tmp_path, space, [Goal("value", "minimize")]
    )
    session.start(path, made, made.target, session.Wishes(trials=2), has_timeout=False)
    assert session.find_objective(path) == made.target
    if not is_mine:
        with Editor(path) as editor, editor._db.transaction():
            editor._db.change("DELETE FROM voucher")
    changing.widen(path, ["x=0..9"])
    if is_mine:
        assert "9.0" in session.find_objective(path)
    else:
        with pytest.raises(ObjectiveError, match="which you have not given for it before"):
            session.find_objective(path)


# Other stopping rules.


def test_trials_keep_the_rules_they_began_with(tmp_path):
    path = made(tmp_path, "threshold(upper=10)", budget=40)
    with Study(path) as study:
        early = study.ask()
        rules = stopping.parse("threshold(upper=1)")
        changing.change(path, Wanted(stopping=rules))
        late = study.ask()
        early.report(0, loss=5.0)
        with suppress(TrialStopped):
            late.report(0, loss=5.0)
        assert late.should_stop
        changing.change(path, Wanted(stopping=[]))
        free = study.ask()
        free.report(0, loss=99.0)
        with suppress(TrialStopped):
            early.report(1, loss=50.0)
        assert early.should_stop
        study.tell(free, 1.0)
        study.tell(late)
        study.tell(early)
    found = proved(path)
    assert found.is_good, found.problems
    assert found.stops == 2
    assert "threshold" in says(0, "show", path, 1)


def test_rungs_are_those_of_the_same_rules(tmp_path):
    path = made(tmp_path, "asha(min_steps=1, eta=2)", budget=40)
    chance = random.Random(4)
    with Study(path) as study:
        for number in range(24):
            if number == 12:
                changing.change(path, Wanted(stopping=stopping.parse("hyperband+median(grace=1)")))
            trial = study.ask()
            with suppress(TrialStopped):
                for step in range(8):
                    trial.report(step, loss=chance.random())
            study.tell(trial, None if trial.should_stop else 1.0)
    found = proved(path)
    assert found.is_good, found.problems
    assert found.stops > 5


# Any interleaving, with every kind of change.


def change_somehow(editor, chance):
    kind = chance.randrange(4)
    path = editor.path
    if kind == 0:
        remove_or_restore(editor, chance)
    elif kind == 1:
        name = chance.choice(["tpe", "de", "random", "cma-es", "sobol"])
        searching(path, name, trials="+2")
    elif kind == 2:
        low = editor.study().space.by_name["x"].distribution.low
        changing.widen(path, [f"x={low - chance.random()}..", f"kind+={chance.random()}"])
    else:
        rules = stopping.parse(chance.choice(["median(grace=0)", "asha", "patience(patience=1)"]))
        changing.change(path, Wanted(stopping=rules))


@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_interleaving_with_changes_is_exact(tmp_path_factory, seed):
    path = tmp_path_factory.mktemp("study") / "study.db"
    assert create(path, study_of("random", seed), None, __version__)
    with suppress(TrialStopped):
        take_steps(path, random.Random(seed), 4, change_somehow)
    found = proved(path)
    assert found.problems == ()
    assert [v for v in found.verdicts if v.status == "differs"] == []
    assert found.count("exact") >= 5


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM version WHERE trial = 3",
        "UPDATE version SET trial = 4 WHERE trial = 3",
        "UPDATE version SET first = 2 WHERE trial = 3",
        "UPDATE version SET tick = tick + 1 WHERE trial = 3",
        "UPDATE version SET space = replace(space, '-2.0', '-3.0')",
        "UPDATE version SET search = replace(search, 'tpe', 'gp') WHERE trial = 5",
        "UPDATE version SET stopping = NULL",
        "UPDATE version SET time = 7.0 WHERE trial = 3",
        "UPDATE clock SET edited = 0",
    ],
)
def test_what_is_changed_is_noticed(tmp_path, change):
    path = make_study(tmp_path, budget=8)
    with Study(path) as study:
        run(study, 3)
        changing.widen(path, ["x=-2..1"])
        run(study, 2)
        searching(path, "tpe")
        changing.change(path, Wanted(stopping=stopping.parse("median")))
        run(study, 3)
    assert not found_by_anything(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(change).rowcount
    assert found_by_anything(path)


def test_what_fails_leaves_all_as_it_was(tmp_path):
    path = make_study(tmp_path, budget=8)
    with Study(path) as study:
        run(study, 3)
    before = says(0, "status", path, "--format", "json")
    for wanted, reason in (
        (Wanted(search=search.make("grid", {})), "has no values of its own"),
        (Wanted(trials="+x"), "is no number of trials"),
        (Wanted(audit=0.5), "an audit needs stopping rules"),
    ):
        with pytest.raises(UsageError, match=reason):
            changing.change(path, wanted)
    assert "nothing has changed" in says(0, "set", path, "--stop", "none")
    assert "say what to set" in says(2, "set", path)
    assert says(0, "status", path, "--format", "json") == before
    assert not found_by_anything(path)


def test_the_search_that_auto_has_chosen_is_proved_by_numbers_counted_anew(tmp_path, monkeypatch):
    from tinytune.search import auto

    monkeypatch.setattr(auto, "_SETTLED", 2)  # trust-region has every second number from there
    wanted = record(space=Space.of({"x": Float(0, 1)}), budget=9)
    made = wanted._replace(search=search.spec(search.make("auto", {"trials": 9})))
    path = tmp_path / "study.db"
    assert create(path, made, None, __version__)
    with Study(path) as study:
        run(study, 5)
        changing.widen(path, ["x=-1..1"])
        run(study, 4)
    with Reader(path) as reader:
        names = [trial.search.split()[1] for trial in reader.trials()[5:]]
    assert len(set(names)) == 2
    assert proved(path).count("exact") == 9


def test_a_claim_costs_no_more_in_a_study_that_was_changed(tmp_path):
    path = make_study(tmp_path, budget=20)
    with Study(path) as study:
        run(study, 3)
        changing.widen(path, ["x=-2..1"])
        run(study, 1)
        study._watch.is_due = lambda: False
        seen = []
        study._writer._db._connection.set_trace_callback(seen.append)
        study.ask()
        kinds = [text.split()[0] for text in seen if not text.startswith("PRAGMA")]
        assert kinds == ["BEGIN", "UPDATE", "INSERT", "COMMIT"]


def test_the_status_tells_what_was_changed(tmp_path):
    path = make_study(tmp_path, budget=8)
    says(0, "set", path, "--trials", "+4", "--stop", "median")
    told = says(0, "status", path)
    assert "from trial 0 on, stopping: none → median" in told
    assert "of 12 ended" in told
    (version,) = json.loads(says(0, "status", path, "--format", "json"))["versions"]
    assert version["change"] == "from trial 0 on, stopping: none → median"


def test_who_asks_for_more_than_a_grid_has_or_less_than_there_is_is_told_so(tmp_path):
    path = make_study(tmp_path, search="grid", budget=3, points={"x": 2}, order="even")
    with Study(path) as study:
        size = Fold(study.record).size
        run(study, 3)
    told = budget.extend(path, "+1000")
    assert told.startswith(f"the grid has only {size} configurations, so that the study is to have")
    assert not budget.is_exhausted(path)
    with Study(path) as study:
        run(study, size - 3)
    assert budget.is_exhausted(path)
    for told in (says(0, "set", path, "--trials", "+20"), budget.extend(path, "+20")):
        assert f"the grid has only {size} configurations, and none of them is left to try" in told
        assert f"tinytune set {path} --search auto" in told
    for told in (says(0, "set", path, "--trials", "2"), budget.extend(path, "2")):
        assert f"{size} trials have begun already, so there cannot be 2" in told
    assert says(0, "set", path, "--trials", size).count("that is so already") == 1
    with Study(path) as study:
        study.add(study.trials()[0].params)
        trial = study.ask()
        trial.report(0, loss=1.0)
        trial.report(1, loss=1.0)
        study.tell(trial, 1.0)
    assert budget.extend(path, None, 2) == ""
    assert "2 steps are reported already, so there cannot be 1" in budget.extend(path, None, 1)


def test_a_change_before_the_first_trial_is_a_study_made_so(tmp_path):
    path = make_study(tmp_path, budget=5)
    changing.widen(path, ["x=-2..1"])
    plain = tmp_path / "plain.db"
    wider = changing.wider(SPACE, ["x=-2..1"])
    assert study_module.start(plain, record(budget=5)._replace(space=wider), None)
    found = []
    for each in (path, plain):
        with Study(each) as study:
            run(study, 5)
            found.append([(t.origin, t.params) for t in study.trials()])
    assert found[0] == found[1]
    with Editor(path) as editor:
        assert editor.study().first == 0
