"""What must stay quick in a large study: which indexes its queries use, and what its curve says."""

import random

import pytest

from tests.studies import make_study, record, run_all
from tinytune import process
from tinytune.history import STATES, Goal, Outcome
from tinytune.store import reader as reader_module
from tinytune.store import sql
from tinytune.store.reader import Reader
from tinytune.store.writer import Store


def told(path, values):
    """Tell a study these results; None is a failure."""
    with Store(path) as store:
        worker = store.join(process.current(), "0", "3", None)
        for value in values:
            token = store.claim(worker, "random/1", 1, lambda rank: ({"x": 0.5}, "search")).token
            done = Outcome("complete", value, {"loss": value})
            store.tell(token, Outcome("failed", error="x") if value is None else done, 1.0)


def plan(path, query, arguments):
    with Reader(path) as reader:
        return [row[3] for row in reader._db.all(f"EXPLAIN QUERY PLAN {query}", arguments)]


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        (sql.COUNT_STATES, ()),
        (sql.SELECT_BEST["minimize"], (1,)),
        (sql.SELECT_BEST["maximize"], (1,)),
        (sql.SELECT_BETTER["minimize"], (0.5,)),
        (sql.SELECT_BETTER["maximize"], (0.5,)),
        (sql.SELECT_VALUES, (1000,)),
        (sql.SELECT_TRIALS, (20,)),
        (sql.SELECT_NEXT, (0.0,)),
        (sql.SELECT_LATEST_SEARCH, ()),
        (sql.HAS_OPEN, (False, 0.0)),
        (sql.SELECT_WORKERS, ()),
        (sql.SELECT_RUNNING, ()),
        (sql.COUNT_FAILURES_AT_END, (0,)),
    ],
)
def test_no_query_of_every_day_reads_the_whole_table_of_trials(tmp_path, query, arguments):
    path = make_study(tmp_path)
    few = {sql.SELECT_RUNNING, *sql.SELECT_BETTER.values()}
    ordered = {sql.SELECT_TRIALS, sql.SELECT_LATEST_SEARCH}  # by number, up to a limit
    for step in plan(path, query, arguments):
        is_scan = step.startswith(("SCAN trial", "SCAN t")) and "USING" not in step
        assert not is_scan or query in ordered, step
        is_sorted = "TEMP B-TREE FOR ORDER BY" in step  # equal values alone may be sorted
        assert not is_sorted or query in few, step


def test_counts_are_those_of_the_table(tmp_path):
    path = make_study(tmp_path, budget=9)
    told(path, [0.5, None, 0.3, None, 0.2])
    with Store(path) as store:
        worker = store.join(process.current(), "0", "3", None)
        store.claim(worker, "random/1", 1, lambda rank: ({"x": 0.5}, "search"))
    with Reader(path) as reader:
        counts = reader.progress(Goal("loss", "minimize")).counts
        table = dict(reader._db.all("SELECT state, count(*) FROM trial GROUP BY state"))
    assert counts == {state: table.get(state, 0) for state in STATES}
    assert counts["failed"] == 2


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_curve_of_many_trials_is_that_of_all(tmp_path, monkeypatch, direction):
    draw = random.Random(3)
    values = [round(draw.gauss(0, 1), 3) for _ in range(300)]
    values[7] = None
    path = make_study(tmp_path, budget=400, direction=direction)
    told(path, values)
    goal = Goal("loss", direction)
    with Reader(path) as reader:
        every = reader.best_so_far(goal)
        monkeypatch.setattr(reader_module, "_MANY", 20)
        some = reader.best_so_far(goal)
    complete = [value for value in values if value is not None]
    assert len(every) == len(complete) == 299
    best = min if direction == "minimize" else max
    assert every == [best(complete[: i + 1]) for i in range(299)]
    assert len(some) == 20
    assert (some[0], some[-1]) == (every[0], every[-1])
    assert set(some) <= set(every)
    assert some == sorted(some, reverse=direction == "minimize")
    places = [round(i * 298 / 19) for i in range(20)]  # each trial takes two ticks here
    for value, place in zip(some, places, strict=True):
        assert value in every[max(place - 2, 0) : place + 3]


def test_the_first_trials_are_the_first(tmp_path):
    path = make_study(tmp_path)
    run_all(path)
    with Reader(path) as reader:
        assert [trial.number for trial in reader.trials(count=2)] == [0, 1]
        assert [trial.number for trial in reader.trials("complete", 2)] == [0, 1]
        assert len(reader.trials()) == record().budget
