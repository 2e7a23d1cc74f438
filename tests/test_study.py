"""A study from Python: ask and tell, tune, searches that learn, and studies that differ."""

import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import pytest

from tests.shell import PATIENCE_SECONDS, ROOT, results
from tests.studies import SPACE, make_study, record, run_all
from tinytune import Choice, Float, Grid, Random, search, study
from tinytune import open as open_study
from tinytune.decorator import trial as decorator
from tinytune.errors import (
    LeaseLostError,
    ObjectiveError,
    StudyFileError,
    StudyMismatchError,
    UsageError,
)
from tinytune.study import Study


def train(x=0.5, batch=32):
    return (x - 0.25) ** 2 + batch / 1000


def objective():
    return decorator(space={"x": Float(0.0, 1.0), "batch": Choice(16, 32)}, minimize="loss")(train)


def test_tune_and_look(tmp_path):
    path = tmp_path / "study.db"
    tuned = objective().tune(path, trials=12, seed=4, quiet=True)
    best = tuned.best
    assert best.value == min(trial.value for trial in tuned.trials())
    assert tuned.best_trials(2)[0] == best
    assert [trial.number for trial in tuned.trials("complete")] == list(range(12))
    tuned.close()
    with open_study(path) as opened:
        assert opened.best == best
        assert opened.record.seed == 4
    assert [p.name for p in tmp_path.iterdir()] == ["study.db"]


def test_tune_again_continues(tmp_path):
    path = tmp_path / "study.db"
    calls = []

    def counted(x=0.5):
        calls.append(x)
        return x

    counting = decorator(space={"x": Float(0.0, 1.0)})(counted)
    for trials in (5, 5, 8):
        counting.tune(path, trials=trials, quiet=True).close()
    assert len(calls) == 8
    assert results(path) == results(make_same(tmp_path, counting, 8))


def make_same(folder, tuned, trials):
    path = folder / "same.db"
    tuned.tune(path, trials=trials, quiet=True).close()
    return path


def test_tune_with_a_grid_and_with_options(tmp_path):
    points = {"x": [0.0, 0.5, 1.0]}
    with objective().tune(tmp_path / "a.db", grid=points, quiet=True) as a:
        assert len(a.trials()) == 6
    with objective().tune(tmp_path / "b.db", search=Grid(points), quiet=True) as b:
        assert [t.params for t in b.trials()] == [t.params for t in a_trials(tmp_path / "a.db")]
    with objective().tune(tmp_path / "c.db", search=Random(), trials=2, quiet=True) as c:
        assert c.record.search.name == "random"
    with pytest.raises(UsageError, match="workers must be from 1 to 1000"):
        objective().tune(tmp_path / "d.db", workers=0)


def a_trials(path):
    with Study(path) as opened:
        return opened.trials()


def test_tune_with_workers_needs_a_file(tmp_path):
    scope = {}
    exec("def lost(x=0.5): return x", scope)
    lost = decorator(space={"x": Float(0.0, 1.0)})(scope["lost"])
    with pytest.raises(ObjectiveError, match="lost is in no file that other processes could load"):
        lost.tune(tmp_path / "study.db", workers=2)
    assert list(tmp_path.iterdir()) == []
    lost.tune(tmp_path / "study.db", trials=3, quiet=True).close()


def test_tune_with_workers_gives_the_same(tmp_path, monkeypatch):
    from tinytune import loading

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    toy = loading.load(str(ROOT / "tests" / "toys" / "toy.py"))
    toy.tune(tmp_path / "one.db", search="random", trials=12, quiet=True).close()
    toy.tune(tmp_path / "many.db", search="random", trials=12, workers=3, quiet=True).close()
    assert results(tmp_path / "one.db") == results(tmp_path / "many.db")


def test_tune_stops_after_failures_with_the_traceback(tmp_path):
    def bad(x=0.5):
        raise RuntimeError("no good")

    failing = decorator(space={"x": Float(0.0, 1.0)})(bad)
    with pytest.raises(ObjectiveError, match=r"no good\n\n3 trials in a row failed"):
        failing.tune(tmp_path / "study.db", max_failures=3, quiet=True)


def test_an_interrupt_in_python_gives_the_trial_back(tmp_path):
    stops = [True]

    def interrupted(x=0.5):
        if stops:
            raise KeyboardInterrupt
        return x

    tunable = decorator(space={"x": Float(0.0, 1.0)})(interrupted)
    with pytest.raises(KeyboardInterrupt):
        tunable.tune(tmp_path / "study.db", trials=3, quiet=True)
    with Study(tmp_path / "study.db") as opened:
        assert [(t.state, t.deaths) for t in opened.trials()] == [("waiting", 0)]
    stops.clear()
    with tunable.tune(tmp_path / "study.db", trials=3, quiet=True) as opened:
        assert [t.state for t in opened.trials()] == ["complete"] * 3


def test_ask_and_tell(tmp_path):
    path = make_study(tmp_path, budget=3)
    with Study(path) as asking:
        first, second = asking.ask(), asking.ask()
        assert (first.number, first.params["x"]) == (0, 0.5)
        assert first.seed != second.seed
        first.report(3, loss=0.5)
        assert asking.tell(first, 0.5).state == "complete"
        assert asking.tell(second, {"loss": 1.0, "other": 2}).values == {"loss": 1.0, "other": 2.0}
        third = asking.ask()
        assert asking.tell(third, float("nan")).state == "failed"
        assert asking.ask() is None
        with pytest.raises(UsageError, match="trial 0 is not running here"):
            asking.tell(first, 0.1)
        assert asking.curves(0) == {"loss": {3: 0.5}}
        with pytest.raises(UsageError, match="has no trial 9"):
            asking.curves(9)


def test_closing_gives_back_what_is_held(tmp_path):
    path = make_study(tmp_path)
    with Study(path) as asking:
        held = asking.ask()
    with Study(path) as asking:
        again = asking.ask()
        assert (again.number, again.params) == (held.number, held.params)


def test_reading_enters_no_worker(tmp_path):
    path = make_study(tmp_path)
    before = path.read_bytes()
    with Study(path) as reading:
        assert reading.best is None
        assert reading.trials() == []
    assert path.read_bytes() == before


def test_two_threads_may_work_on_studies_of_their_own(tmp_path):
    from tinytune import report

    def reporting(x=0.5):
        report(0, x=x)
        return x

    tunable = decorator(space={"x": Float(0.0, 1.0)})(reporting)
    paths = [tmp_path / f"{i}.db" for i in range(3)]
    threads = [
        threading.Thread(
            target=lambda p=p, s=s: tunable.tune(p, trials=20, seed=s, quiet=True).close()
        )
        for s, p in enumerate(paths)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in paths:
        with Study(path) as opened:
            trials = opened.trials()
            assert len(trials) == 20
            assert all(opened.curves(t.number) == {"x": {0: t.value}} for t in trials)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 2}, "seed is 1 there and 2 here"),
        ({"search": "grid", "order": "even"}, "search is random"),
        ({"direction": "maximize"}, "objective is minimize loss there and maximize loss here"),
    ],
)
def test_another_study_is_refused(tmp_path, change, told):
    path = make_study(tmp_path)
    before = path.read_bytes()
    with pytest.raises(StudyMismatchError, match=told):
        study.start(path, record(**change), None)
    assert path.read_bytes() == before


def test_the_space_is_read_back_without_the_objective(tmp_path):
    with Study(make_study(tmp_path)) as opened:
        assert opened.space.to_json() == record().space.to_json()


class Learner:
    """A search that learns: it halves x after each result, and steps aside from what is pending."""

    size = None
    is_quick = False

    def __init__(self):
        self.seen = []

    def tell(self, result):
        self.seen.append(result.number)

    def suggest(self, number, pending):
        return {"x": 1.0 / (1 + len(self.seen)) - 0.001 * len(pending), "kind": "a", "value": 0.5}


class LearnerOptions:
    name, version, learns, exhausts = "learner", 1, True, False

    def start(self, space, seed, first):
        return Learner()


@pytest.fixture
def learner(monkeypatch):
    monkeypatch.setattr(search, "from_spec", lambda spec: LearnerOptions())


def test_a_learning_search_sees_what_was_told_before_it_was_asked(tmp_path, learner):
    path = make_study(tmp_path, budget=4, search="learner")
    with Study(path) as asking:
        a, b = asking.ask(), asking.ask()
        assert a.params["x"] == 1.0
        assert b.params["x"] == 1.0 - 0.001  # a is pending
        asking.tell(b, 1.0)
        c = asking.ask()
        assert c.params["x"] == 0.5 - 0.001
        asking.tell(a, 1.0)
        asking.tell(c, 1.0)
        assert asking.ask().params["x"] == 0.25


def test_a_claim_without_params_is_suggested_by_its_heir_as_if_nothing_had_happened(
    tmp_path, learner
):
    path = make_study(tmp_path, budget=4, search="learner")
    with Study(path) as dying, Study(path) as heir:
        dying.tell(dying.ask(), 1.0)
        claim = dying._claim()  # and it dies before it suggests
        assert claim.params is None
        heir.tell(heir.ask(), 1.0)
        dying._writer.bury([dying._worker], "vanished")
        trial = heir.ask()
        assert trial.number == claim.token.number == 1
        assert trial.params["x"] == 0.5  # of what had been told by then, and no more
        with pytest.raises(LeaseLostError):
            dying._writer.suggest(claim.token, {"x": 9.0}, "search", "random/1")
        heir.tell(trial, 1.0)
        assert heir.ask().params["x"] == 0.25


def test_params_from_the_file_are_checked_before_they_are_run(tmp_path):
    import sqlite3

    path = make_study(tmp_path)
    with Study(path) as asking:
        asking.ask()
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE trial SET params = ?", (json.dumps({"x": 5, "kind": "a"}),))
    connection.close()
    with Study(path) as asking, pytest.raises(Exception, match="parameter 'x': 5 is outside"):
        asking.ask()


def test_params_that_wait_are_checked_too(tmp_path):
    import sqlite3

    path = make_study(tmp_path)
    with Study(path) as adding:
        adding.add({"x": 0.5, "kind": "a", "value": 0.5})
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE trial SET params = ?", (json.dumps({"x": 5, "kind": "a"}),))
    connection.close()
    with Study(path) as asking, pytest.raises(Exception, match="parameter 'x': 5 is outside"):
        asking.ask()


def test_a_space_that_makes_no_sense_is_one_sentence(tmp_path):
    import sqlite3

    path = make_study(tmp_path)
    for space in ("[]", "{}", '{"parameters": 3}', '{"parameters": [{"name": "x"}]}', "{"):
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("UPDATE study SET space = ?", (space,))
        connection.close()
        with pytest.raises(StudyFileError, match="makes no sense"):
            Study(path)


def test_workers_in_one_process_share_the_work(tmp_path):
    path = make_study(tmp_path, budget=40)
    threads = [threading.Thread(target=run_all, args=(path,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    serial = tmp_path / "serial"
    serial.mkdir()
    run_all(make_study(serial, budget=40))
    assert results(path) == results(serial / "study.db")


def test_sixteen_workers_make_their_suggestions_at_the_same_time(tmp_path, monkeypatch):
    """They meet in the middle of it, which they never would if one of them held the file."""
    meeting = threading.Barrier(16)

    @dataclass(frozen=True)
    class Meeting:
        name = "meeting"
        version = 1
        learns = True
        exhausts = False
        size = None
        is_quick = False

        def start(self, *_):
            return self

        def tell(self, result):
            pass

        def suggest(self, number, _):
            meeting.wait(PATIENCE_SECONDS)
            return SPACE.sample(0, number, "meeting")

    monkeypatch.setitem(search._registered, "meeting", Meeting)
    path = make_study(tmp_path, search="meeting", budget=16)

    def work(_):
        with Study(path) as study:
            study.tell(study.ask(), 1.0)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    with Study(path) as study:
        assert study.progress.counts["complete"] == 16


@pytest.mark.parametrize("was_written", [False, True])
def test_what_is_asked_of_a_closed_study_is_told(tmp_path, was_written):
    with Study(make_study(tmp_path)) as study:
        if was_written:
            study.tell(study.ask(), 1.0)
    for use in (study.ask, study.trials, lambda: study.best, lambda: study.progress):
        with pytest.raises(StudyFileError, match="was closed here: open it again"):
            use()


@decorator
def pickled(x: Annotated[float, Float(0, 1)] = 0.5) -> float:
    return x


def test_an_objective_goes_to_other_processes_by_its_name():
    assert pickle.loads(pickle.dumps(pickled)) is pickled
    assert pickle.loads(pickle.dumps(objective()))(0.25) == 0.032  # `train` is the function alone
