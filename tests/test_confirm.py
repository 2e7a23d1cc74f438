"""The best configurations are run again under new seeds, and it is told how much was luck."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from tests.studies import make_study, record, run_all
from tinytune import check, draw, stopping
from tinytune import study as study_module
from tinytune.errors import TrialStopped
from tinytune.store.reader import Reader
from tinytune.store.writer import Store
from tinytune.study import Study
from tinytune.verify import verify


def verified(path):
    with Reader(path) as reader:
        return verify(reader, lambda done, total: None)


def is_whole(path):
    with Reader(path) as reader:
        return not any(finding.problem for finding in check.check(reader))


def confirmed_study(folder, top=2, repeats=2, **changes):
    """Make a study of six trials, and run its best ones again with a value that is worse by 1."""
    path = make_study(folder, **changes)
    run_all(path)
    with Store(path) as store:
        best = store.best(store.study().goals[0], top)
        assert store.add_repeats([(t, r) for r in range(repeats) for t in best], 1) == top * repeats
    with Study(path, repeats_only=True) as study:
        while (trial := study.ask()) is not None:
            trial.report(0, loss=-9.0)
            study.tell(trial, trial.params["x"] ** 2 - 1.0)
    return path


def test_repeats_share_seeds_and_are_new_ones(tmp_path):
    path = confirmed_study(tmp_path)
    with Reader(path) as reader:
        best = reader.best(reader.study().goals[0], 9)
        repeats = reader.repeats()
        known = {trial.seed for trial in reader.trials() if trial.confirms is None}
    assert [(t.confirms, t.repeat) for t in repeats] == sorted(
        (t.number, r) for t in best[:2] for r in range(2)
    )
    assert all(t.seed == draw.confirm_seed(1, t.repeat) for t in repeats)
    assert len({t.seed for t in repeats}) == 2
    assert known.isdisjoint({t.seed for t in repeats})


def test_repeats_are_beside_the_search_the_budget_and_the_best(tmp_path):
    path = confirmed_study(tmp_path)
    with Study(path) as study:
        progress = study.progress
        assert (progress.ended, progress.budget, progress.repeats_ended) == (6, 6, 4)
        assert study.ask() is None  # the budget is used up, as before
        assert study.reader.repeats()[0].value < study.best.value  # and is not the best
        assert [t.number for t in study.reader.history(before=999)] == list(range(6))
        assert study.reader.pending(before=999) == []
        assert len(study.reader.complete(0, 999)) == 6
        assert min(study.reader.best_so_far(study.record.goals[0])) >= 0
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT min(value) FROM best").fetchone()[0] >= 0
    found = verified(path)
    assert found.is_good
    assert found.count("exact") == 10
    assert is_whole(path)


@pytest.mark.parametrize("search", ["random", "grid", "sobol", "cma-es"])
def test_a_search_goes_on_as_if_nothing_had_been_confirmed(tmp_path, search):
    options = {"points": {"x": 9}, "order": "even"} if search == "grid" else {}
    (tmp_path / "plain").mkdir()
    plain = make_study(tmp_path / "plain", search=search, **options)
    run_all(plain)
    path = confirmed_study(tmp_path, search=search, **options)
    for each in (plain, path):
        with Store(each) as store:
            store.set_budget(9)
        run_all(each)
    with Reader(plain) as one, Reader(path) as other:
        expected = [trial.params for trial in one.trials()]
        trials = [trial for trial in other.trials() if trial.confirms is None]
    if search == "cma-es":  # it draws by a trial's number, which is another one now
        expected, trials = expected[:6], trials[:9]
    assert [trial.params for trial in trials][: len(expected)] == expected
    assert len(trials) == 9
    assert verified(path).is_good


def test_a_session_that_confirms_takes_nothing_else(tmp_path):
    path = make_study(tmp_path)
    run_all(path)
    with Store(path) as store:
        store.set_budget(8)
        best = store.best(store.study().goals[0], 1)[0]
    with Study(path) as study:
        study.give_back(study.ask())  # a trial that waits
    with Study(path, repeats_only=True) as study:
        assert study.ask() is None
        assert study.is_over()
    with Store(path) as store:
        assert store.add_repeats([(best, 0), (best, 0), (best, 1)], 1) == 2
        assert store.add_repeats([(best, 0), (best, 1)], 1) == 0  # they are there
    with Study(path, repeats_only=True) as study:
        assert not study.is_over()
        taken = [study.ask(), study.ask()]
        assert study.ask() is None
        assert [trial.seed for trial in taken] == [draw.confirm_seed(1, r) for r in range(2)]
        for trial in taken:
            study.tell(trial, 0.5)
        assert study.is_over()
    with Study(path) as study:
        assert not study.is_over()
    assert verified(path).is_good


@pytest.mark.parametrize(
    ("column", "value"), [("repeat", 5), ("seed", 3), ("confirms", 0), ("params", '{"x": 0.25}')]
)
@pytest.mark.parametrize("seal", [True, False])
def test_a_repeat_that_was_changed_is_noticed(tmp_path, column, value, seal):
    path = confirmed_study(tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        (number, confirms) = connection.execute(
            "SELECT max(number), confirms FROM trial"
        ).fetchone()
        if column == "confirms":
            value = next(n for n in range(6) if n != confirms)
        change = "" if seal else ", seal = NULL"
        connection.execute(
            f"UPDATE trial SET {column} = ?{change} WHERE number = ?", (value, number)
        )
    assert not verified(path).is_good


def test_a_trial_of_the_search_does_not_become_a_repeat(tmp_path):
    path = confirmed_study(tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE trial SET origin = 'confirm', confirms = 1, repeat = 7 WHERE number = 2"
        )
    assert not verified(path).is_good


def test_no_stopping_rule_sees_a_repeat(tmp_path):
    path = tmp_path / "study.db"
    rules = stopping.specs(stopping.parse("threshold(upper=0.5)+median(min_trials=2, grace=0)"))
    assert study_module.start(path, replace(record(), stopping=rules), None)
    with Study(path) as study:
        while (trial := study.ask()) is not None:
            trial.report(0, loss=0.1)
            study.tell(trial, 0.1)
    with Store(path) as store:
        store.add_repeats([(store.trial(0), r) for r in range(3)], 1)
    with Study(path, repeats_only=True) as study:
        while (trial := study.ask()) is not None:
            trial.report(0, loss=0.9)  # a rule would stop it
            assert not trial.should_stop
            study.tell(trial, 0.9)
    with Study(path) as study:
        assert study.progress.repeats["complete"] == 3
        study._writer.set_budget(7)
        trial = study.ask()
        with pytest.raises(TrialStopped):
            trial.report(0, loss=0.9)
        study.tell(trial)
    assert verified(path).is_good


def test_repeats_take_no_steps_of_the_budget(tmp_path):
    path = tmp_path / "study.db"
    assert study_module.start(path, replace(record(budget=2), budget_steps=2), None)
    run_all(path)
    with Store(path) as store:
        store.add_repeats([(store.trial(0), r) for r in range(2)], 1)
    with Study(path, repeats_only=True) as study:
        assert not study.is_over()
        while (trial := study.ask()) is not None:
            trial.report(0, loss=0.9)
            trial.report(1, loss=0.9)
            study.tell(trial, 0.9)
        assert study.is_over()
        assert (study.progress.steps, study.progress.repeats["complete"]) == (2, 2)
    assert verified(path).is_good
