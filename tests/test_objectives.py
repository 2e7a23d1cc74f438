"""Several objectives, what is measured as an objective, and what results have to meet."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.hostile_files import spoken
from tests.shell import tinytune
from tests.studies import record
from tinytune import difference as difference_module
from tinytune import preference, requirement, verify
from tinytune import study as study_module
from tinytune.errors import StudyFileError, UsageError
from tinytune.history import Cost, Goal, Outcome
from tinytune.settle import settled
from tinytune.store.reader import Reader
from tinytune.study import Study

GOALS = (Goal("error", "minimize"), Goal("ms", "minimize"), Goal("recall", "maximize"))
RESULTS = [  # error, ms, recall, size
    (0.30, 1.0, 0.5, 10), (0.10, 9.0, 0.5, 90), (0.20, 4.0, 0.5, 50), (0.20, 4.0, 0.6, 50),
    (0.35, 1.0, 0.5, 20), (0.05, 30.0, 0.4, 300), (0.40, 0.5, 0.9, 5),
]  # fmt: skip
FRONT = [5, 1, 3, 0, 6]  # by error


def made(folder, goals=GOALS, **changes):
    path = Path(folder) / "study.db"
    wanted = record(budget=None)._replace(goals=goals, **changes)
    assert study_module.start(path, wanted, None)
    return path


def told(folder, results=RESULTS, **changes):
    path = made(folder, **changes)
    names = ("error", "ms", "recall", "size")
    with Study(path) as study:
        for result in results:
            study.tell(
                study.ask(), None if result is None else dict(zip(names, result, strict=True))
            )
    return path


def numbers(output):
    return [int(line.split()[0]) for line in output.splitlines()[2:]]


def problems(path):
    with Reader(path) as reader:
        return verify.verify(reader, lambda *_: None).problems


def test_best_is_the_pareto_front(tmp_path):
    path = told(tmp_path)
    code, out, _ = spoken("best", path)
    assert code == 0
    assert numbers(out) == FRONT
    assert out.split()[:5] == ["number", "state", "error", "ms", "recall"]
    found = json.loads(spoken("best", path, "--format=json")[1])
    assert [trial["number"] for trial in found] == FRONT
    assert found[0]["values"] == {"error": 0.05, "ms": 30.0, "recall": 0.4, "size": 300.0}
    csv = spoken("best", path, "--format=csv")[1].splitlines()
    assert csv[1].startswith("5,complete,0.05,30.0,0.4,")
    with Study(path) as study:
        assert [trial.number for trial in study.front()] == FRONT
    with closing(sqlite3.connect(path)) as connection:  # and without tinytune
        rows = connection.execute("SELECT number, value, ms, recall FROM best").fetchall()
    assert rows[0] == (5, 0.05, 30.0, 0.4)
    assert [row[0] for row in rows] == FRONT
    assert problems(path) == ()


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (("--weights=error=1,ms=0.03",), 2),
        (("--weights=error=1,ms=0.0001",), 5),
        (("--weights=error=1,ms=0.03,recall=0.01",), 3),
        (("--weights=size=1",), 6),
        (("--limit=ms <= 5", "--weights=error=1"), 2),
        (("--limit=ms <= 5", "--limit=recall > 0.4"), 2),
        (("--limit=size < 15", "--weights=error=1"), 0),
    ],
)
def test_weights_and_limits_pick_one_of_what_has_run(tmp_path, arguments, number):
    path = told(tmp_path)
    found = json.loads(spoken("best", path, "--format=json", *arguments)[1])
    assert found["number"] == number


def test_what_a_limit_speaks_of_is_no_objective_any_more(tmp_path):
    path = told(tmp_path)
    assert numbers(spoken("best", path, "--limit", "ms <= 5")[1]) == [3, 6]
    assert numbers(spoken("best", path, "--limit", "ms <= 5", "--top=2")[1]) == [2, 3]
    assert numbers(spoken("best", path, "--limit", "seconds < 1000")[1]) == FRONT


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--limit=ms <= 0.1",), 1, "keeps to ms <= 0.1"),
        (("--limit=speed <= 1",), 2, "no trial has a number 'speed': there are seconds,"),
        (("--weights=speed=1",), 2, "no trial has a number 'speed'"),
        (("--weights=error=fast",), 2, "--weights error=fast is no number"),
        (("--weights=error",), 2, "is no NAME=VALUE"),
        (("--limit=ms",), 2, "write a comparison of results"),
        (("--limit=ms <= 5 and error < 1",), 2, "write a comparison of results"),
        (("--limit=ms == 5",), 2, "is no <=, <, >= or >"),
        (("--limit=__import__('os')",), 2, "is not allowed"),
        (("--hypervolume", "--top=1"), 2, "leave out the other options"),
        (("--hypervolume", "--reference=size=1"), 2, "'size' is no objective"),
        (("--hypervolume", "--format=csv"), 2, "no format 'csv' for a hypervolume"),
    ],
)
def test_slips_are_told(tmp_path, arguments, code, said):
    found, _, errors = spoken("best", told(tmp_path), *arguments)
    assert (found, errors.count("\n")) == (code, 1)
    assert said in errors


def test_the_hypervolume_over_the_trials(tmp_path):
    path = told(tmp_path, [(1, 3, 0, 0), (2, 2, 0, 0), (3, 1, 0, 0)], goals=GOALS[:2])
    reference = ("--hypervolume", "--reference=error=4,ms=4", "--format=json")
    found = json.loads(spoken("best", path, *reference)[1])
    assert found["values"] == [3.0, 5.0, 6.0]
    assert (found["hypervolume"], found["ideal"]) == (6.0, {"error": 1.0, "ms": 1.0})
    own = json.loads(spoken("best", path, "--hypervolume", "--format=json")[1])
    assert own["reference"] == {"error": 3.0, "ms": 3.0}
    assert own["hypervolume"] == 1.0
    assert "hypervolume      1 (25% of the box" in spoken("best", path, "--hypervolume")[1]
    status = spoken("status", path)[1]
    assert "minimize error and ms" in status
    assert "Pareto front  3 trials" in status
    assert json.loads(spoken("status", path, "--format=json")[1])["front"]["trials"] == [0, 1, 2]


def test_a_larger_recall_is_a_larger_volume(tmp_path):
    path = told(tmp_path, [(1, 0, 0.2, 0), (1, 0, 0.6, 0)], goals=(GOALS[0], GOALS[2]))
    reference = ("--hypervolume", "--reference=error=2,recall=0", "--format=json")
    found = json.loads(spoken("best", path, *reference)[1])
    assert found["values"] == pytest.approx([0.2, 0.6])


# What is measured is a result


def test_what_a_trial_takes_can_be_an_objective(tmp_path):
    path = made(tmp_path, (Goal("error", "minimize"), Goal("seconds", "minimize")))
    with Study(path) as study:
        for _ in range(2):
            study.tell(study.ask(), 0.5)
        study.tell(study.ask(), {"error": 0.5, "seconds": 99.0})  # what it says itself counts
    with Reader(path) as reader:
        first, second, third = reader.trials()
        assert first.values == {"error": 0.5, "seconds": first.seconds}
        assert third.values["seconds"] == 99.0
        (best,) = preference.front_of(reader, reader.study().goals)
        assert best.number == min((first, second), key=lambda trial: trial.seconds).number
    assert problems(path) == ()


def test_an_objective_that_is_measured_alone_needs_no_result(tmp_path):
    path = made(tmp_path, (Goal("steps", "minimize"),))
    with Study(path) as study:
        for count in (3, 2):
            trial = study.ask()
            for step in range(count):
                trial.report(step, loss=1.0)
            study.tell(trial, Outcome("complete"))
        study.tell(study.ask(), Outcome("complete"))
        assert study.best.number == 1
        assert [trial.value for trial in study.trials()] == [3.0, 2.0, None]
        assert study.trials()[2].error.startswith("it reported no steps")


def test_what_a_stopped_trial_took_is_no_result():
    outcome = Outcome("stopped", 0.5, {"error": 0.5})
    goals = (Goal("error", "minimize"), Goal("seconds", "minimize"))
    assert settled(outcome, Cost(1.0), goals, ()) == outcome


def test_what_nobody_measured_fails_the_trial():
    goals = (Goal("error", "minimize"), Goal("memory_mb", "minimize"))
    ended = settled(Outcome("complete", 0.5, {"error": 0.5}), Cost(1.0), goals, ())
    assert (ended.state, ended.value) == ("failed", None)
    assert ended.error.startswith("memory_mb is an objective or required, and was not measured")


# What results have to meet


@pytest.mark.parametrize(
    ("text", "values", "violation"),
    [
        ("a <= 800", {"a": 800}, 0.0),
        ("a <= 800", {"a": 1000}, 0.25),
        ("800 >= a", {"a": 1000}, 0.25),
        ("a < 800", {"a": 800}, 1e-300),
        ("a >= 0.9", {"a": 0.5}, 0.4),
        ("a * b <= 100", {"a": 10, "b": 20}, 1.0),
        ("a / b <= 100", {"a": 10, "b": 0}, 1e300),
        ("a <= 1e308", {"a": 1e308}, 0.0),
        ("a * a <= 1", {"a": 1e308}, 1e300),
    ],
)
def test_by_how_much_a_requirement_is_missed(text, values, violation):
    assert requirement.parse(text).violation(values) == pytest.approx(violation)


@pytest.mark.parametrize(
    "text", ["size", "size == 3", "1 <= 2", "1 < size < 3", "a or b", "a <", ""]
)
def test_what_is_no_requirement(text):
    with pytest.raises(UsageError, match="the requirement"):
        requirement.parse(text)


def test_what_does_not_meet_the_requirements_is_kept_and_never_best(tmp_path):
    path = told(tmp_path, goals=GOALS[:1], subject_to=("size <= 60", "ms < 4"))
    with Study(path) as study:
        assert [trial.state for trial in study.trials()] == ["complete"] * 7
        assert [trial.is_candidate for trial in study.trials()] == [
            True, False, False, False, True, False, True
        ]  # fmt: skip
        assert study.best.number == 0
        assert [trial.number for trial in study.best_trials(9)] == [0, 4, 6]
        assert study.trials()[1].violation == pytest.approx(30 / 60 + 5 / 4)
        assert study.reader.best_so_far(GOALS[0]) == [0.3, 0.3, 0.3]
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT number, violation FROM best").fetchall()
    assert rows == [(0, 0.0), (4, 0.0), (6, 0.0)]
    assert numbers(spoken("best", path, "--weights=error=1", "--top=9")[1]) == [0, 4, 6]
    assert problems(path) == ()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE trial SET violation = 0 WHERE number = 1")
    assert problems(path)


def test_where_nothing_meets_them_the_nearest_is_named(tmp_path):
    path = told(tmp_path, subject_to=("size <= 1",))
    code, _, errors = spoken("best", path)
    assert code == 1
    assert "no trial of" in errors
    assert "keeps to size <= 1: the nearest is trial 6 (error 0.4, ms 0.5, recall 0.9" in errors
    assert "no trial meets what its results have to meet" in spoken("status", path)[1]


def test_a_run_in_which_nothing_meets_them_says_so_and_how_to_go_on(tmp_path):
    (tmp_path / "train.py").write_text(
        "import tinytune\n"
        "train = tinytune.trial(subject_to='value <= 1', space={'x': tinytune.Float(2, 3)})("
        "lambda x: x)\n"
    )
    done = tinytune("run", "train.py:train", "--search", "random", "--trials", 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith(
        "best: no trial meets what its results have to meet\n"
        "next: tinytune best study.db · tinytune resume study.db --trials +50\n"
    )


def test_a_result_that_is_required_and_missing_fails_the_trial(tmp_path):
    path = made(tmp_path, GOALS[:1], subject_to=("size <= 60",))
    with Study(path) as study:
        told = study.tell(study.ask(), 0.5)
    assert told.error == "the objective returned no 'size', which is required"


def test_another_requirement_is_another_study(tmp_path):
    path = made(tmp_path, subject_to=("size <= 60",))
    other = record(budget=None)._replace(goals=GOALS, subject_to=("size <= 70",))
    with Reader(path) as reader:
        (difference,) = difference_module.differences(reader.study(), other)
    assert difference == "what results have to meet is size <= 60 there and size <= 70 here"


@pytest.mark.parametrize(
    "change",
    [
        "subject_to = '[\"import os\"]'",
        "subject_to = '[1]'",
        "subject_to = '{}'",
        'objectives = replace(objectives, \'"ms"\', \'"m\\"s"\')',
    ],
)
def test_a_strangers_study_of_nonsense_is_refused(tmp_path, change):
    path = told(tmp_path, RESULTS[:1])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE study SET {change}")
    with pytest.raises(StudyFileError), Reader(path) as reader:
        reader.study()


def test_the_front_of_the_file_is_that_of_its_trials(tmp_path):
    path = told(tmp_path)
    with Reader(path) as reader:
        trials = preference.candidates(reader, ())
        assert [trial.number for trial in preference.front(trials, GOALS)] == FRONT
        assert [trial.number for trial in preference.front_of(reader, GOALS)] == FRONT


def test_names_that_columns_have_already(tmp_path):
    goals = (Goal("loss", "minimize"), Goal("x", "minimize"), Goal("seconds", "minimize"))
    path = made(tmp_path, goals)
    with Study(path) as study:
        study.tell(study.ask(), {"loss": 1.0, "x": 7.0, "seconds": 3.0})
    with closing(sqlite3.connect(path)) as connection:
        (row,) = connection.execute("SELECT x, x_, seconds_ FROM best").fetchall()
    assert row == (0.5, 7.0, 3.0)
    assert spoken("best", path)[0] == spoken("trials", path)[0] == 0
