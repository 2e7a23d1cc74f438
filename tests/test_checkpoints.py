"""A trial whose worker is killed goes on from its last checkpoint, and nothing is doubled."""

import sqlite3
from contextlib import closing

import pytest

from tests.studies import SPACE, make_study
from tinytune import process
from tinytune.digest import sha256
from tinytune.errors import LeaseLostError, StudyFileError
from tinytune.history import Outcome
from tinytune.store.reader import Reader
from tinytune.store.writer import Store
from tinytune.verify import verify

DONE = Outcome("complete", 1.0, {"loss": 1.0})


def suggest(_):
    return SPACE.defaults, "search"


@pytest.fixture
def store(tmp_path):
    with Store(make_study(tmp_path)) as store:
        yield store


@pytest.fixture
def worker(store):
    return store.join(process.current(), "0", "3", None)


def claim(store, worker):
    return store.claim(worker, "random/1", 1, suggest).token


def save(store, token, content):
    return store.save(token, "bytes", "", len(content), sha256(content), content)


def problems(path):
    with Reader(path) as reader:
        return verify(reader, lambda *_: None).problems


def changed(path, statement):
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement).rowcount > 0


def test_the_last_two_are_kept_until_the_trial_ends(store, worker):
    token, other = claim(store, worker), claim(store, worker)
    for turn in range(4):
        kept = save(store, token, b"%d" % turn)
        save(store, other, b"other")
    assert [(each.sequence, store.content(each)) for each in kept] == [(4, b"3"), (3, b"2")]
    store.tell(token, DONE, 1.0)
    assert store.checkpoints(token.number) == []
    assert len(store.checkpoints(other.number)) == 2


@pytest.mark.parametrize("ending", ["died", "given back"])
def test_an_attempt_that_goes_on_has_the_earlier_reports_once(store, worker, ending):
    token = claim(store, worker)
    for step in range(4):
        store.report(token, step, {"loss": step / 2})
        if step == 2:
            save(store, token, b"state")
    before = store.reports_of(0, 1)
    if ending == "died":
        store.bury([worker], "vanished")
        worker = store.join(process.current(), "0", "3", None)
    else:
        store.give_back(token)
    again = claim(store, worker)
    [saved] = store.checkpoints(0)
    went = store.go_on(again, saved)
    assert (went.attempt, went.source, went.step) == (2, 1, 2)
    assert store.reports_of(0, 2) == before[:3]  # with their ticks
    for step in (3, 4):
        store.report(again, step, {"loss": step / 2})
    store.tell(again, DONE, 1.0)
    assert store.curves(store.trial(0)) == {"loss": {s: s / 2 for s in range(5)}}
    assert store.checkpoints(0) == []
    assert problems(store.path) == ()


def test_who_lost_a_trial_cannot_save(store, worker):
    token = claim(store, worker)
    save(store, token, b"mine")
    store.bury([worker], "vanished")
    other = store.join(process.current(), "0", "3", None)
    heir = claim(store, other)
    with pytest.raises(LeaseLostError):
        save(store, token, b"late")
    with pytest.raises(LeaseLostError):
        store.go_on(token, store.checkpoints(0)[0])
    assert [store.content(each) for each in store.checkpoints(0)] == [b"mine"]
    assert heir.attempt == 2


@pytest.mark.parametrize("ending", ["condemned", "buried"])
def test_who_ends_a_trial_of_another_process_clears_it_too(tmp_path, ending):
    path = make_study(tmp_path)
    with Store(path) as mine, Store(path) as supervisor:
        for _ in range(1 if ending == "condemned" else 3):
            worker = mine.join(process.current(), "0", "3", None)
            token = claim(mine, worker)
            save(mine, token, b"x")
            if ending == "condemned":
                supervisor.condemn(token, "it took too long")
            else:
                supervisor.bury([worker], "vanished")
        assert mine.trial(0).state == "failed"
        assert mine.checkpoints(0) == []


def test_checkpoints_may_be_kept(tmp_path):
    with Store(make_study(tmp_path), keep_checkpoints=True) as store:
        worker = store.join(process.current(), "0", "3", None)
        token = claim(store, worker)
        save(store, token, b"x")
        store.tell(token, DONE, 1.0)
        assert [store.content(each) for each in store.checkpoints(0)] == [b"x"]
        assert problems(store.path) == ()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE checkpoint SET content = x'00'", "a checkpoint of trial 0"),
        ("UPDATE checkpoint SET content = NULL", "a checkpoint of trial 0"),
        ("UPDATE checkpoint SET sequence = 7", "a checkpoint of trial 0"),
        ("UPDATE checkpoint SET tick = 1", "a checkpoint of trial 0"),
        ("UPDATE checkpoint SET suffix = '.pkl'", "a checkpoint of trial 0"),
        ("DELETE FROM continuation", "written at tick"),
        ("UPDATE continuation SET step = 0", "trial 0, its metrics"),
        ("UPDATE continuation SET upto = upto - 1", "with other reports"),
        ("UPDATE continuation SET tick = tick + 1", "trial 0, its metrics"),
        ("UPDATE metric SET value = 9 WHERE attempt = 2 AND step = 0", "with other reports"),
        ("UPDATE metric SET time = 9 WHERE attempt = 2 AND step = 0", "with other reports"),
        ("DELETE FROM metric WHERE attempt = 2 AND step = 1", "with other reports"),
        ("DELETE FROM metric WHERE attempt = 1 AND step = 1", "with other reports"),
        ("UPDATE metric SET name = 'b' WHERE attempt = 2 AND step = 0", "with other reports"),
    ],
)
def test_what_is_changed_is_noticed(tmp_path, statement, said):
    path = make_study(tmp_path)
    with Store(path, keep_checkpoints=True) as store:
        worker = store.join(process.current(), "0", "3", None)
        token = claim(store, worker)
        for step in range(2):
            store.report(token, step, {"loss": 1.0})
        save(store, token, b"state")
        store.give_back(token)
        token = claim(store, worker)
        store.go_on(token, store.checkpoints(0)[0])
        store.report(token, 2, {"loss": 1.0})
        store.tell(token, DONE, 1.0)
    assert problems(path) == ()
    changed(path, statement)
    assert said in "; ".join(problems(path))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE checkpoint SET suffix = '/../x'",
        "UPDATE checkpoint SET sha256 = '../' || sha256",
        "UPDATE checkpoint SET attempt = -1",
    ],
)
def test_a_row_names_no_place(store, worker, statement):
    token = claim(store, worker)
    save(store, token, b"state")
    changed(store.path, statement)
    with pytest.raises(StudyFileError, match="makes no sense"):
        store.checkpoints(0)
