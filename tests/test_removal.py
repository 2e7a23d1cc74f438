"""Removed trials do not count from then on; what was suggested before stays, and is recomputed."""

import json
import random
import sqlite3
from contextlib import closing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.hostile_files import spoken
from tests.studies import make_study, run_all
from tests.test_early_stopping import made
from tests.test_early_stopping import verified as proved
from tests.test_verify import found_by_anything, interleave, study_of
from tinytune import __version__
from tinytune.errors import TrialStopped, UsageError
from tinytune.search.fold import Fold
from tinytune.store.editor import Editor
from tinytune.store.reader import Reader
from tinytune.store.writer import create
from tinytune.study import Study


def says(code, *words):
    found, out, errors = spoken(*words)
    assert found == code, (out, errors)
    return out + errors


@pytest.fixture
def path(tmp_path):
    path = make_study(tmp_path, budget=6)
    run_all(path)
    return path


def best(path):
    with Study(path) as study:
        return study.best.number, [trial.number for trial in study.best_trials(9)]


def test_the_best_is_among_those_that_count(path):
    first, ranked = best(path)
    says(0, "remove", path, first)
    assert best(path) == (ranked[1], ranked[1:])
    with closing(sqlite3.connect(path)) as connection:
        (seen,) = connection.execute("SELECT number FROM best LIMIT 1").fetchone()
    assert seen == ranked[1]
    assert f"in trial {ranked[1]}:" in says(0, "status", path)
    assert "6 complete, 1 of them removed" in says(0, "status", path)
    says(0, "remove", path, first, "--undo")
    assert best(path) == (first, ranked)


def test_removed_trials_are_marked_and_listed(path):
    told = says(0, "remove", path, 4, 2, 2)
    assert told == f"2 trials removed; undo it with `tinytune remove {path} 4 2 --undo`\n"
    listed = json.loads(says(0, "trials", path, "--state", "removed", "--format", "json"))
    assert [(each["number"], each["state"]) for each in listed] == [
        (2, "complete"),
        (4, "complete"),
    ]
    every = json.loads(says(0, "trials", path, "--format", "json"))
    assert [each["number"] for each in every if each["removed"]] == [2, 4]
    assert says(0, "trials", path).count("removed") == 2
    assert "complete (removed)" in says(0, "show", path, 2)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([9], "has no trial 9"),
        ([3, 6], "trial 6 of {path} is running: remove it once it has ended"),
        ([3, 1], "trial 1 of {path} is removed already"),
        ([1, 3, "--undo"], "trial 3 of {path} is not removed"),
    ],
)
def test_all_or_none_are_removed(path, words, reason):
    with Study(path, by_hand=True) as study:
        study._writer.set_budget(7)
        study.ask()
    says(0, "remove", path, 1)
    told = says(2, "remove", path, *words)
    assert told.startswith("tinytune: ")
    assert reason.format(path=path) in told
    with Reader(path) as reader:
        assert [trial.number for trial in reader.trials("removed")] == [1]
        assert reader.odd_ticks() == (0, 0)


def test_a_failed_trial_that_was_removed_is_not_run_again(path):
    with Study(path) as study:
        study._writer.set_budget(8)
        for _ in range(2):
            study.tell(study.ask(), float("nan"))
    says(0, "remove", path, 6)
    assert "let it count again first" in says(2, "retry", path, 6)
    says(0, "retry", path)
    with Reader(path) as reader:
        assert [trial.number for trial in reader.trials("waiting")] == [7]


# Searches and stopping rules.


@pytest.mark.parametrize("search", ["tpe", "cma-es", "de"])
def test_a_search_goes_on_as_if_a_removed_trial_had_never_been_told(tmp_path, search):
    path = tmp_path / "study.db"
    assert create(path, study_of(search, 2), None, __version__)
    with Study(path) as study:
        for number in range(12):
            study.tell(study.ask(), -100.0 if number == 5 else float(number % 4))
        with Editor(path) as editor:
            editor.remove([5])
        trial = study.ask()  # the same worker, which has been told of trial 5
        fold = Fold(study.record)
        results = study.reader.history(before=study.reader.tick())
        fold.tell(result for result in results if result.number != 5)
        assert trial.params == fold.suggest(12, [])
        with_it = Fold(study.record)
        with_it.tell(results)
        assert trial.params != with_it.suggest(12, [])
    assert proved(path).count("exact") == 13
    assert proved(path).is_good


def take_steps(path, chance, workers, edit):
    """Let workers take steps as in tests/test_verify.py, and change the study in between."""
    with Editor(path) as editor:

        def now_and_then():
            if chance.random() < 0.15:
                edit(editor, chance)

        interleave(path, chance, workers, 300, now_and_then)


def remove_or_restore(editor, chance):
    trials = [trial for trial in editor.trials() if trial.told is not None]
    if trials:
        trial = chance.choice(trials)
        (editor.restore if trial.removed else editor.remove)([trial.number])


@pytest.mark.parametrize("search", ["cma-es", "grid", "learner"])
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_interleaving_with_removals_is_exact(tmp_path_factory, search, seed):
    path = tmp_path_factory.mktemp("study") / "study.db"
    assert create(path, study_of(search, seed), None, __version__)
    take_steps(path, random.Random(seed), 4, remove_or_restore)
    found = proved(path)
    assert found.problems == ()
    assert [v for v in found.verdicts if v.status == "differs"] == []
    assert found.count("exact") >= 10


def test_a_stopping_rule_forgets_what_was_removed(tmp_path):
    """The removed trials were too good for all others: without them nothing is stopped."""
    path = made(tmp_path, "median(grace=0, min_trials=2)+asha", budget=40)
    stopped = {}
    with Study(path) as study:
        for number in range(12):
            if number == 6:
                with Editor(path) as editor:
                    editor.remove([0, 1, 2])
            trial = study.ask()
            with suppress(TrialStopped):
                for step in range(4):
                    trial.report(step, loss=0.0 if number < 3 else 5.0 - number / 10)
            stopped[number] = trial.should_stop
            study.tell(trial, None if trial.should_stop else 0.0)
    assert [stopped[number] for number in range(3, 6)] == [True] * 3
    assert not any(stopped[number] for number in range(6, 12))
    found = proved(path)
    assert found.is_good, found.problems
    assert found.stops == 3


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM removal WHERE trial = 1",
        "DELETE FROM removal WHERE trial = 2",
        "UPDATE removal SET trial = 3 WHERE trial = 1",
        "UPDATE removal SET restored = NULL WHERE trial = 1",
        "UPDATE removal SET restored = 25 WHERE trial = 2",
        "UPDATE removal SET removed = removed + 1 WHERE trial = 2",
        "UPDATE removal SET time = 1.0 WHERE trial = 2",
        "UPDATE clock SET edited = edited - 1",
    ],
)
def test_what_is_changed_is_noticed(path, change):
    with Editor(path) as editor:
        editor.remove([1, 2])
        editor.restore([1])
    assert not found_by_anything(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(change).rowcount
    assert found_by_anything(path)


def test_a_claim_after_a_change_costs_no_more_than_before(path):
    with Study(path) as study:
        study._writer.set_budget(20)
        study.give_back(study.ask())
        with Editor(path) as editor:
            editor.remove([1])
        study._watch.is_due = lambda: False
        costs = []
        for _ in range(2):
            seen = []
            study._writer._db._connection.set_trace_callback(seen.append)
            trial = study.ask()
            study._writer._db._connection.set_trace_callback(None)
            costs.append([text.split()[0] for text in seen if not text.startswith("PRAGMA")])
            study.tell(trial, 0.5)
    assert costs[1] == ["BEGIN", "UPDATE", "INSERT", "COMMIT"]
    assert costs[0].count("ROLLBACK") == 1  # and once it reads the changes


def test_a_late_change_is_refused_in_one_transaction(path):
    with Editor(path) as editor:
        editor.remove([1])
        with pytest.raises(UsageError):
            editor.remove([2, 1])
        assert [trial.number for trial in editor.trials("removed")] == [1]
