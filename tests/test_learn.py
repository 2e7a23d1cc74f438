"""Learning from other studies: what is taken over, what is said of it, and that it helps."""

import json
import shutil
from typing import Annotated

import pytest

from tests.shell import ROOT, tinytune
from tests.studies import record
from tests.test_cli import fails
from tests.test_kills import LEARNERS
from tinytune import learn, search, testing
from tinytune import study as study_module
from tinytune.decorator import trial as objective
from tinytune.distributions import Choice, Float, Int
from tinytune.errors import StudyMismatchError, UsageError
from tinytune.history import Finished, Goal, Lesson
from tinytune.search.fold import Fold
from tinytune.space import Space
from tinytune.store.reader import Reader
from tinytune.study import Study
from tinytune.verify import verify

HERE = Space.of({"x": Float(-1, 1), "n": Int(1, 9), "kind": Choice("a", "b")}, {"n": 4})


def made(path, space, results, goal="minimize", **settings):
    """Return a study's file with these trials: params and value, None for a failure."""
    wanted = record(budget=0, space=space, direction=goal)
    assert study_module.start(path, wanted._replace(settings=settings), None)
    with Study(path) as study:
        for params, value in results:
            if value is None:
                study.add(params)
                study.tell(study.ask(), float("nan"))
            else:
                study.add(params, value)
    return path


def wanted(space=HERE, name="gp", direction="minimize"):
    return record(search=name, space=space, direction=direction)


def test_trials_are_taken_over_by_name(tmp_path):
    there = Space.of({"x": Float(-5, 5), "rate": Float(0, 1)})
    old = made(
        tmp_path / "old.db",
        there,
        [({"x": 0.5, "rate": 0.1}, 1.0), ({"x": 3.0, "rate": 0.2}, 2.0),
         ({"x": -0.5, "rate": 0.3}, None)],
        kind="b",
    )  # fmt: skip
    taught, (text,) = learn.learned(wanted(), [old])
    assert [lesson.result for lesson in taught.lessons] == [
        Finished(-2, "complete", {"x": 0.5, "n": 4, "kind": "b"}, 1.0),
        Finished(-1, "failed", {"x": -0.5, "n": 4, "kind": "b"}, None),
    ]
    assert {(lesson.study, lesson.trial) for lesson in taught.lessons} == {
        ("old.db", 0),
        ("old.db", 2),
    }
    assert text == (
        f"learned from 2 of 3 trials of {old}: n was not tuned there and is taken as 4; "
        "kind was not tuned there and is taken as 'b'; rate of there is not tuned here; "
        "1 left out: x is not in its range here"
    )


@pytest.mark.parametrize(
    ("here", "goal", "results", "message"),
    [
        (wanted(name="random"), "minimize", 1, "'random' does not learn from results: leave out"),
        (wanted(), "maximize", 1, "old.db is to maximize loss, and this study to minimize loss"),
        (wanted(Space.of({"y": Float(0, 1)})), "minimize", 1, "has none of this study's"),
        (wanted(), "minimize", 0, "no trial that ended in this study's space"),
    ],
)  # fmt: skip
def test_what_teaches_nothing_is_refused(tmp_path, here, goal, results, message):
    trials = [({"x": 0.5}, 1.0)] * results
    old = made(tmp_path / "old.db", Space.of({"x": Float(-1, 1)}), trials, goal)
    with pytest.raises(UsageError, match=message):
        learn.learned(here, [old])


def bowl(params):
    return abs(params["x"] - 0.4321) ** 1.5 + (params["y"] + 0.7123) ** 2


@pytest.mark.parametrize("name", LEARNERS)
def test_a_search_that_was_taught_is_exact_and_not_worse(tmp_path, name):
    space = Space.of({"x": Float(-1, 1), "y": Float(-1, 1)}, {"x": 0.0, "y": 0.0})
    options = search.make(name, {"candidates": 60} if name == "gp" else {})
    if name == "auto":
        options = search.make(name, {"trials": 24})
    before = testing.simulate(options, space, bowl, 24, seed=5)
    old = made(tmp_path / "old.db", space, [(t.result.params, t.result.value) for t in before])
    base = record(space=space, budget=10)._replace(search=search.spec(options))
    taught, _ = learn.learned(base, [old])
    best = []
    for place, each in enumerate((base, taught)):
        path = tmp_path / f"{place}.db"
        assert study_module.start(path, each, None)
        with Study(path) as study:
            while (trial := study.ask()) is not None:
                study.tell(trial, bowl(trial.params))
            best.append(min(trial.value for trial in study.trials()))
        with Reader(path) as reader:
            assert verify(reader, lambda done, total: None).count("exact") == 10
    assert best[1] <= max(best[0], 1e-4)
    if name in ("gp", "cma-es", "nelder-mead", "trust-region"):
        assert best[1] < 0.5 * best[0]


def test_a_lesson_is_maximised_too():
    lesson = Lesson("old.db", "", 0, Finished(-1, "complete", {"x": 0.5, "y": 0.5}, 3.0))
    told = []

    class Working:
        size = None

        def tell(self, result):
            told.append(result.value)

    fold = Fold.__new__(Fold)
    fold._before, fold._is_plain, fold._working = 0, True, Working()
    fold._goals = (Goal("loss", "maximize"),)
    fold.tell([lesson.result])
    assert told == [-3.0]


def test_at_the_command_line(tmp_path):
    shutil.copy(ROOT / "examples" / "heavy_ball.py", tmp_path / "ball.py")
    run = ("run", "ball.py", "--trials")
    assert (
        tinytune(*run, 8, "--study", "old.db", "--search", "random", cwd=tmp_path).returncode == 0
    )
    taught = (*run, 7, "--study", "new.db", "--search", "tpe", "--learn-from", "old.db")
    done = tinytune(*taught, "--workers", 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "new.db: learned from 8 of 8 trials of old.db\n" in done.stderr
    (tmp_path / "old.db").unlink()
    again = tinytune(*taught, "--trials", 9, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "9 complete" in again.stderr
    checked = tinytune("verify", "new.db", cwd=tmp_path)
    assert "9 of 9 suggestions recomputed exactly" in checked.stdout
    status = json.loads(tinytune("status", "new.db", "--format", "json", cwd=tmp_path).stdout)
    assert status["learned_from"] == [{"study": "old.db", "trials": 8}]
    assert "learned from  8 trials of old.db" in tinytune("status", "new.db", cwd=tmp_path).stdout
    other = (*run, 7, "--study", "new.db", "--learn-from", "other.db")
    assert "new.db has learned from old.db, not from other.db" in fails(1, *other, cwd=tmp_path)
    told = fails(1, *run, 2, "--study", "a.db", "--learn-from", "none.db", cwd=tmp_path)
    assert "none.db" in told
    assert not (tmp_path / "a.db").exists()


def test_other_lessons_are_another_study(tmp_path):
    lesson = Lesson("old.db", "", 0, Finished(-1, "complete", {"x": 0.5, "n": 1, "kind": "a"}, 3.0))
    path = tmp_path / "study.db"
    assert study_module.start(path, wanted()._replace(lessons=(lesson,)), None)
    with pytest.raises(StudyMismatchError, match=r"1 trials of old\.db there and nothing here"):
        study_module.start(path, wanted(), None)


# Several objectives.

ERROR, RECALL = Goal("error", "minimize"), Goal("recall", "maximize")


def front(params):
    return {"error": params["x"] ** 2, "recall": 1 - abs(params["x"] - 0.5), "size": 7.0}


def searched(path, goals, count=8, name="random", values=front, **changes):
    """Return a study of several objectives, whose trials were run."""
    base = record(budget=count, space=Space.of({"x": Float(-1, 1)}, {"x": 0.25}))
    options = search.make(name, {"candidates": 60} if name == "gp" else {})
    wanted = base._replace(goals=goals, search=search.spec(options), **changes)
    assert study_module.start(path, wanted, None)
    with Study(path) as study:
        while (trial := study.ask()) is not None:
            study.tell(trial, values(trial.params))
    return path


@pytest.mark.parametrize("name", ["gp", "tpe", "nsga-ii", "auto"])
def test_several_objectives_are_learned_by_their_names(tmp_path, name):
    old = searched(tmp_path / "my old-study.db", (RECALL, ERROR))
    base = record(space=Space.of({"x": Float(-1, 1)}, {"x": 0.25}), budget=6)._replace(
        search=search.spec(search.make(name, {"candidates": 60} if name == "gp" else {})),
        goals=(ERROR, RECALL),
    )
    taught, (text,) = learn.learned(base, [old])
    assert text == f"learned from 8 of 8 trials of {old}"
    with Reader(old) as reader:
        trials = reader.trials()
    assert [lesson.result.value for lesson in taught.lessons] == [
        front(trial.params)["error"] for trial in trials
    ]
    assert all(lesson.result.values.keys() == {"error", "recall"} for lesson in taught.lessons)
    path = tmp_path / "new.db"
    searched(path, base.goals, 6, name, lessons=taught.lessons)
    with Reader(path) as reader:
        assert reader.study().lessons == taught.lessons
        assert verify(reader, lambda *_: None).count("exact") == 6
        assert not verify(reader, lambda *_: None).problems
        last = reader.trial(5).params
        blind = reader.study()._replace(lessons=())
        fold = Fold(blind)
        fold.tell(reader.history(before=reader.trial(5).asked))
        assert name == "nsga-ii" or fold.suggest(5, []) != last


def test_what_was_measured_or_returned_there_may_be_sought_here(tmp_path):
    old = searched(tmp_path / "old.db", (ERROR,))
    base = record(search="tpe", space=Space.of({"x": Float(-1, 1)}))
    goals = (ERROR, Goal("seconds", "minimize"), Goal("size", "maximize"))
    required = ("error <= 0.25", "seconds <= 60")
    taught, _ = learn.learned(base._replace(goals=goals, subject_to=required), [old])
    with Reader(old) as reader:
        trials = reader.trials()
    for lesson, trial in zip(taught.lessons, trials, strict=True):
        result, error = lesson.result, trial.values["error"]
        assert result.values == {"error": error, "seconds": trial.seconds, "size": 7.0}
        assert result.violation == max(0.0, error - 0.25)
    alone, _ = learn.learned(base._replace(goals=(ERROR,), subject_to=("other < 1",)), [old])
    assert {lesson.result.violation for lesson in alone.lessons} == {None}


@pytest.mark.parametrize(
    ("there", "here", "message"),
    [
        ((ERROR, RECALL), (ERROR, Goal("recall", "minimize")), "maximize recall, and this"),
        ((ERROR, RECALL), (ERROR, Goal("cost", "minimize")), "has a number 'cost', which"),
        ((ERROR, RECALL), (Goal("size", "minimize"),), "is to minimize error, and this study to"),
    ],
)  # fmt: skip
def test_other_objectives_teach_nothing(tmp_path, there, here, message):
    old = searched(tmp_path / "old.db", there, 2)
    base = record(search="tpe", space=Space.of({"x": Float(-1, 1)}))
    with pytest.raises(UsageError, match=message) as error:
        learn.learned(base._replace(goals=here), [old])
    assert "\n" not in str(error.value)


def test_one_of_several_objectives_teaches_a_study_of_that_one(tmp_path):
    old = searched(tmp_path / "old.db", (ERROR, RECALL), 3)
    base = record(search="tpe", space=Space.of({"x": Float(-1, 1)}), direction="maximize")
    taught, _ = learn.learned(base._replace(goals=(RECALL,)), [old])
    assert [lesson.result.value for lesson in taught.lessons] == [
        front(lesson.result.params)["recall"] for lesson in taught.lessons
    ]


def test_from_python_a_single_study_needs_no_list(tmp_path):
    @objective(minimize="loss")
    def square(x: Annotated[float, Float(-2, 1)] = 0.5) -> float:
        return x * x

    old, new = str(tmp_path / "old.db"), tmp_path / "new.db"
    square.tune(old, trials=2, quiet=True).close()
    square.tune(new, trials=2, quiet=True, learn_from=old).close()
    with Reader(new) as reader:
        assert len(reader.study().lessons) == 2
    with pytest.raises(UsageError, match="seed must be a whole number, not '7'"):
        square.tune(tmp_path / "c.db", seed="7")
    assert not (tmp_path / "c.db").exists()
