"""The protocol: claims, fences, ticks, budgets, and what each of them costs."""

import errno
import itertools
import math
import sqlite3
import threading
from contextlib import closing
from types import SimpleNamespace

import pytest

from tests.studies import make_study, record, run_all
from tinytune import db, process, queue, session
from tinytune.errors import LeaseLostError, StudyFileError
from tinytune.history import Cost, Outcome
from tinytune.limits import TrialLimits
from tinytune.objective import failed
from tinytune.store.reader import Reader
from tinytune.store.writer import Store

DONE = Outcome("complete", 0.5, {"loss": 0.5})


def suggest(number):
    return {"x": number / 10}, "search"


@pytest.fixture
def store(tmp_path):
    opened = Store(make_study(tmp_path, budget=4))
    yield opened
    opened.close()


@pytest.fixture
def workers(store):
    return [store.join(process.current(), "0", "3", None) for _ in range(2)]


def test_trials_are_numbered_without_a_gap_up_to_the_budget(store, workers):
    claims = [store.claim(worker, "random/1", 0, suggest) for worker in workers * 3]
    assert [claim and claim.token.number for claim in claims] == [0, 1, 2, 3, None, None]
    assert [trial.state for trial in store.trials()] == ["running"] * 4
    asked = [trial.asked for trial in store.trials()]
    assert asked == sorted(set(asked))


def test_a_search_that_has_no_more_takes_nothing(store, workers):
    before = store.tick()
    assert store.claim(workers[0], "random/1", 0, lambda number: None) is None
    assert store.trials() == []
    assert store.tick() == before


def test_every_change_takes_the_next_tick(store, workers):
    claim = store.claim(workers[0], "random/1", 0, None)
    assert claim.asked == 1
    store.suggest(claim.token, {"x": 1.0}, "search", "random/1")
    store.report(claim.token, 0, {"loss": 1.0, "error": 2.0})
    store.tell(claim.token, DONE, 1.0)
    (trial,) = store.trials()
    assert (trial.asked, trial.suggested, trial.told) == (1, 2, 4)
    assert store.tick() == 4


@pytest.mark.parametrize("late", ["report", "tell", "give_back", "suggest"])
def test_who_lost_a_trial_can_write_nothing_about_it(store, workers, late):
    zombie, heir = workers
    lost = store.claim(zombie, "random/1", 0, suggest).token
    store.report(lost, 0, {"loss": 1.0})
    store.bury([zombie], "vanished")
    held = store.claim(heir, "random/1", 0, suggest).token
    assert (held.number, held.attempt) == (lost.number, 2)
    before = store.trials(), store.curves(store.trial(0)), store.tick()

    writes = {
        "report": lambda: store.report(lost, 1, {"loss": 9.0}),
        "tell": lambda: store.tell(lost, DONE, 1.0),
        "give_back": lambda: store.give_back(lost),
        "suggest": lambda: store.suggest(lost, {"x": 9.0}, "search", "random/1"),
    }
    with pytest.raises(LeaseLostError, match="trial 0 is no longer this worker's"):
        writes[late]()
    assert (store.trials(), store.curves(store.trial(0)), store.tick()) == before

    store.tell(held, DONE, 1.0)
    with pytest.raises(LeaseLostError):  # nor can it change what has ended
        writes[late]()
    assert store.trial(0).value == 0.5


def test_a_trial_is_told_once(store, workers):
    token = store.claim(workers[0], "random/1", 0, suggest).token
    store.tell(token, DONE, 1.0)
    with pytest.raises(LeaseLostError):
        store.tell(token, Outcome("complete", 9.0, {"loss": 9.0}), 1.0)
    assert store.trial(0).value == 0.5


def test_waiting_trials_come_first_and_keep_their_params(store, workers):
    first, second = (store.claim(worker, "random/1", 0, suggest) for worker in workers)
    store.give_back(second.token)
    store.give_back(first.token)
    again = store.claim(workers[1], "random/1", 0, lambda number: pytest.fail("no new suggestion"))
    assert (again.token.number, again.token.attempt, again.params) == (0, 2, {"x": 0.0})
    assert store.trial(0).deaths == 0


def test_the_third_dead_worker_fails_the_trial(store):
    for attempt in (1, 2, 3):
        worker = store.join(process.current(), "0", "3", None)
        assert store.claim(worker, "random/1", 0, suggest).token.attempt == attempt
        store.bury([worker], "was killed by SIGKILL")
    trial = store.trial(0)
    assert (trial.state, trial.deaths, trial.attempt) == ("failed", 3, 3)
    assert trial.error == "its worker died 3 times, at last it was killed by SIGKILL"
    assert [a.ending for a in store.attempts(0)] == ["died", "died"]


def test_the_dead_are_buried_once(store, workers):
    store.claim(workers[0], "random/1", 0, suggest)
    store.bury([workers[0]], "vanished")
    after = store.trials(), store.tick()
    store.bury([workers[0]], "vanished")
    assert (store.trials(), store.tick()) == after


def test_leaving_gives_back_without_blame(store, workers):
    store.claim(workers[0], "random/1", 0, suggest)
    store.leave(workers[0])
    trial = store.trial(0)
    assert (trial.state, trial.deaths) == ("waiting", 0)


def test_numbers_survive_the_file_exactly(store, workers):
    token = store.claim(workers[0], "random/1", 0, suggest).token
    odd = {"a": 0.1 + 0.2, "b": 5e-324, "c": -0.0, "d": 1.7976931348623157e308, "e": math.inf}
    store.report(token, 7, {**odd, "n": math.nan})
    store.tell(token, Outcome("complete", 0.1 + 0.2, {"loss": 0.1 + 0.2, "é": 1e-310}), 1.0)
    curves = store.curves(store.trial(0))
    assert {name: curves[name][7] for name in odd} == odd
    assert math.isnan(curves["n"][7])
    assert store.trial(0).values == {"loss": 0.1 + 0.2, "é": 1e-310}


def test_a_step_reported_again_counts_with_its_last_value(store, workers):
    token = store.claim(workers[0], "random/1", 0, suggest).token
    for value in (1.0, 2.0):
        store.report(token, 0, {"loss": value})
    assert store.curves(store.trial(0)) == {"loss": {0: 2.0}}
    assert store.last_metrics() == {0: {"loss": 2.0}}


def test_failures_in_a_row_are_counted_from_a_tick(store, workers):
    def end(state):
        token = store.claim(workers[0], "random/1", 0, suggest).token
        error = "bad" if state == "failed" else None
        store.tell(token, Outcome(state, None if error else 1.0, error=error), 1.0)

    end("failed")
    since = store.tick()
    assert store.failures_since(0) == 1
    assert store.failures_since(since) == 0
    end("failed")
    assert (store.failures_since(0), store.failures_since(since)) == (2, 1)
    end("complete")
    assert store.failures_since(0) == 0
    end("failed")
    assert store.failures_since(0) == 1
    assert store.last_failed().number == 3


def test_history_and_pending_are_what_had_a_lower_tick(store, workers):
    tokens = [store.claim(workers[0], "random/1", 0, suggest).token for _ in range(3)]
    store.tell(tokens[1], DONE, 1.0)
    asked = store.claim(workers[0], "random/1", 0, suggest).asked
    store.tell(tokens[0], DONE, 1.0)
    assert [t.number for t in store.history(before=asked)] == [1]
    assert [t.number for t in store.pending(before=asked)] == [0, 2]
    assert [t.number for t in store.history(before=store.tick() + 1)] == [1, 0]  # as told


def test_best_is_by_direction_and_the_earlier_where_equal(tmp_path):
    for direction, expected in (("minimize", [1, 2, 0]), ("maximize", [0, 1, 2])):
        folder = tmp_path / direction
        folder.mkdir()
        store = Store(make_study(folder, direction=direction))
        worker = store.join(process.current(), "0", "3", None)
        for value in (2.0, 1.0, 1.0):
            token = store.claim(worker, "random/1", 0, suggest).token
            store.tell(token, Outcome("complete", value, {"loss": value}), 1.0)
        assert [t.number for t in store.best(store.study().goals[0], 9)] == expected
        store.close()


def test_threads_may_share_a_store(store, workers):
    token = store.claim(workers[0], "random/1", 0, suggest).token
    numbers = itertools.count()
    threads = [
        threading.Thread(
            target=lambda: [store.report(token, next(numbers), {"loss": 1.0}) for _ in range(50)]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.curves(store.trial(0))["loss"].keys() == set(range(200))


def test_what_a_trial_costs_is_counted_exactly(store, workers, monkeypatch):
    """2 transactions, 4 statements in them and 1 fsync a trial; a report 1, 2 and none."""
    seen, synced = [], []
    sync = queue._fsync
    monkeypatch.setattr(queue, "_fsync", lambda log: (synced.append(log), sync(log)))
    store._db.checkpoint = lambda: None  # once a second at most, counted elsewhere
    token = store.claim(
        workers[0], "random/1", 0, suggest
    ).token  # settles the connection's pragmas
    store.tell(token, DONE, 1.0)
    store._db._connection.set_trace_callback(seen.append)
    synced.clear()

    def cost():
        kinds = [sql.split()[0] for sql in seen]
        work = [kind for kind in kinds if kind not in {"BEGIN", "COMMIT"}]
        counted = kinds.count("COMMIT"), len(work), len(synced)
        seen.clear()
        synced.clear()
        return counted

    token = store.claim(workers[0], "random/1", 0, suggest).token
    assert cost() == (1, 2, 0)
    store.report(token, 0, {"loss": 1.0})
    assert cost() == (1, 2, 0)
    store.tell(token, DONE, 1.0)
    assert cost() == (1, 2, 1)


def test_a_log_that_cannot_be_synced_is_one_sentence(store, workers, monkeypatch):
    def broken(log):
        raise OSError(errno.EIO, "Input/output error")

    token = store.claim(workers[0], "random/1", 0, suggest).token
    with monkeypatch.context() as disk:
        disk.setattr(queue, "_fsync", broken)
        says = (
            r"the result of trial 0 is recorded, but the disk has not confirmed it "
            r"\(Input/output error\).* runs the trial again if it is not"
        )
        with pytest.raises(StudyFileError, match=says):
            store.tell(token, DONE, 1.0)
        with pytest.raises(StudyFileError, match="what was written last is recorded, but"):
            store.set_budget(9)
    assert store.trial(0).state == "complete"  # it is there, unless the power fails now
    token = store.claim(workers[0], "random/1", 0, suggest).token
    store.tell(token, DONE, 1.0)


def test_without_a_queue_sqlite_syncs(store, workers):
    seen = []
    store._db._queue = None  # as where the log could not be opened
    token = store.claim(workers[0], "random/1", 0, suggest).token
    store._db._connection.set_trace_callback(seen.append)
    store.tell(token, DONE, 1.0)
    assert seen[:2] == ["PRAGMA synchronous=FULL", "BEGIN IMMEDIATE"]


def test_a_failed_transaction_leaves_nothing(store, workers):
    token = store.claim(workers[0], "random/1", 0, suggest).token
    before = store.trials(), store.tick()
    with pytest.raises(StudyFileError):
        store.tell(
            token, Outcome("complete", None), 1.0
        )  # the file refuses a value that is missing
    assert (store.trials(), store.tick()) == before
    store.tell(token, DONE, 1.0)
    assert store.trial(0).state == "complete"


def test_nobody_writes_between_what_a_transaction_reads_and_what_it_writes(
    store, tmp_path, monkeypatch
):
    """A deferred one would fail here: SQLite lets nobody write who has read an older state."""
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.0)
    said, read = [], store._next

    def read_beside_another(*query):
        found = read(*query)
        with closing(sqlite3.connect(tmp_path / "study.db", timeout=0)) as other:
            try:
                other.execute("UPDATE study SET budget = budget + 1")
                other.commit()
            except sqlite3.OperationalError as error:
                said.append(str(error))
        return found

    monkeypatch.setattr(store, "_next", read_beside_another)
    assert store.add({"x": 0.5}, "random/1", 0) == 0
    assert said == ["database is locked"]


def test_a_peak_of_memory_between_two_looks_is_told(store, workers):
    told = []
    live = SimpleNamespace(note=told.append)
    limit = TrialLimits(memory_bytes=100_000_000)
    for peak_mb, outcome in ((99.0, DONE), (730.0, DONE), (120.0, DONE), (900.0, failed("no"))):
        token = store.claim(workers[0], "random/1", 0, suggest).token
        store.tell(token, outcome, 1.0, used=Cost(memory_mb=peak_mb))
    session._note_peaks(store, 0, limit, live)
    session._note_peaks(store, store.trial(1).told, limit, live)
    session._note_peaks(store, store.tick(), limit, live)
    session._note_peaks(store, 0, TrialLimits(), live)
    two, one = told
    assert two.startswith("2 trials used more memory than --max-memory allows")
    assert "at most 730 MB in trial 1, of 100 MB" in two
    assert one.startswith("trial 2 used")


def test_readers_cannot_write(tmp_path):
    reader = Reader(make_study(tmp_path))
    with pytest.raises(StudyFileError, match="read-only"):
        reader._db.one("DELETE FROM trial")
    reader.close()


def test_a_writer_sees_another_ones_work_while_it_holds_the_file(store, tmp_path):
    reader = Reader(tmp_path / "study.db")
    assert reader.progress(record().goals[0]).ended == 0
    run_all(tmp_path / "study.db")
    assert reader.progress(record().goals[0]).ended == 4
    reader.close()


def test_the_file_at_rest_is_one_file_in_rollback_mode(tmp_path):
    path = make_study(tmp_path)
    run_all(path)
    assert [p.name for p in tmp_path.iterdir()] == ["study.db"]
    assert path.read_bytes()[18:20] == b"\x01\x01"  # no write-ahead log is needed to read it
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def test_an_earlier_attempt_of_the_same_worker_is_fenced_too(store, workers):
    first = store.claim(workers[0], "random/1", 0, suggest).token
    store.give_back(first)
    second = store.claim(workers[0], "random/1", 0, suggest).token
    assert (second.number, second.worker) == (first.number, first.worker)
    with pytest.raises(LeaseLostError):
        store.report(first, 0, {"loss": 9.0})
    store.tell(second, DONE, 1.0)
