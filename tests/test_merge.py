"""Merging: all trials of several studies in one file, and each still proved."""

from dataclasses import replace

from tests.studies import SPACE, make_study, record
from tests.test_early_stopping import verified as proved
from tinytune import merge
from tinytune import study as study_module
from tinytune.store.reader import Reader
from tinytune.study import Study


def study(path, count=8, value=lambda trial: trial.params["x"] ** 2, **changes):
    assert study_module.start(path, record(budget=count, **changes), None)
    with Study(path) as opened:
        run(opened, count, value)
    return path


def run(opened, count, value=lambda trial: trial.params["x"] ** 2):
    for _ in range(count):
        trial = opened.ask()
        trial.report(0, loss=trial.params["x"])
        opened.tell(trial, value(trial))


def test_all_trials_are_in_the_new_file(tmp_path):
    a = study(tmp_path / "a.db", 6, seed=1)
    b = study(tmp_path / "b.db", 8, seed=2, search="tpe")
    notes = merge.merge([a, b], tmp_path / "c.db")
    print(notes)
    found = proved(tmp_path / "c.db")
    assert found.is_good, found
    assert found.count("exact") == 14
