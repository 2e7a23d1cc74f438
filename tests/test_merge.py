"""Merging: all trials of several studies in one file, each proved as its own study made it."""

import json
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress

import pytest

from tests.faults.hostile_files import edited, loosened, read, readings, snapshot, spoken
from tests.faults.test_fuzz import ODD_CELLS
from tests.shell import ENVIRONMENT, ROOT
from tests.studies import SPACE, record
from tests.test_changing import change_somehow
from tests.test_early_stopping import verified as proved
from tests.test_removal import take_steps
from tests.test_verify import found_by_anything, study_of
from tinytune import __version__, budget, changing, learn, merge, search, stopping
from tinytune import study as study_module
from tinytune.changing import Wanted
from tinytune.distributions import Choice, Float, Int
from tinytune.errors import StudyFileError, TinytuneError, TrialStopped, UsageError
from tinytune.history import Environment, Goal, Outcome, Output
from tinytune.replicate import chosen
from tinytune.replicate import start as start_replica
from tinytune.space import Space
from tinytune.store.editor import Editor
from tinytune.store.reader import Reader
from tinytune.store.writer import Store, create
from tinytune.study import Study


def square(trial):
    return trial.params["x"] ** 2


def run(opened, count, value=square):
    for _ in range(count):
        trial = opened.ask()
        with suppress(TrialStopped):
            trial.report(0, loss=trial.params["x"])
            trial.report(1, loss=trial.params["x"] / 2)
        opened.tell(trial, None if trial.should_stop else value(trial))


def made(path, count=5, value=square, wanted=None, **changes):
    """Return a study's file, all trials of which were run."""
    assert study_module.start(path, wanted or record(budget=count, **changes), None)
    with Study(path) as opened:
        run(opened, count, value)
    return path


def merged(folder, *paths, name="c.db"):
    path = folder / name
    merge.merge(paths, path)
    return path


@pytest.fixture
def pair(tmp_path):
    return made(tmp_path / "a.db", 4, seed=1), made(tmp_path / "b.db", 6, seed=2, search="tpe")


def trials(path):
    with Reader(path) as reader:
        return reader.trials()


# What is in the new file.


def test_every_trial_is_there_under_a_number_of_its_own(tmp_path, pair):
    before = snapshot(tmp_path)
    code, out, errors = spoken("merge", *pair, "-o", tmp_path / "c.db")
    assert (code, out) == (0, "")
    assert errors == f"{pair[1]}: 6 trials, from number 4 on\n{tmp_path / 'c.db'}: 10 trials\n"
    path = tmp_path / "c.db"
    assert snapshot(tmp_path) == before | {"c.db": path.read_bytes()}
    found, there = trials(path), [trial for each in pair for trial in trials(each)]
    assert [trial.number for trial in found] == list(range(10))
    same = ("params", "seed", "value", "values", "state", "origin", "search", "started", "seconds")
    for new, old in zip(found, there, strict=True):
        assert all(getattr(new, name) == getattr(old, name) for name in same)
    with Study(path) as opened, Study(pair[1]) as other:
        assert opened.curves(7) == other.curves(3)
        best = min(there, key=lambda trial: trial.value)
        assert opened.best.params == best.params
        assert opened.progress.ended == opened.progress.budget == 10
    verdicts = proved(path)
    assert verdicts.is_good
    assert verdicts.count("exact") == 10
    assert not found_by_anything(path)


def test_where_a_trial_came_from_is_shown(tmp_path, pair):
    path = merged(tmp_path, *pair)
    assert "merged    trial 3 of b.db" in spoken("show", path, 7)[1]
    assert "merged" not in spoken("show", path, 3)[1]
    shown = json.loads(spoken("show", path, 4, "--format", "json")[1])
    assert shown["merged"] == {"study": "b.db", "number": 0}
    assert "from trial 4 on, 6 trials merged from b.db" in spoken("status", path)[1]
    status = json.loads(spoken("status", path, "--format", "json")[1])
    with Reader(pair[1]) as reader:
        seed = reader.study().seed
    assert [(each["study"], each["first"], each["trials"], each["seed"])
            for each in status["merged"]] == [("b.db", 4, 6, seed)]  # fmt: skip


def test_attempts_logs_tags_notes_removals_and_runs_that_confirm_come_along(tmp_path):
    a, b = made(tmp_path / "a.db", 2), tmp_path / "b.db"
    assert study_module.start(b, record(budget=8, seed=7), None)
    with Study(b) as opened:
        trial = opened.ask()
        trial.report(0, loss=0.5)
        opened.give_back(trial)
        run(opened, 4)
        opened.add({"x": 0.5, "kind": "a", "value": 0.5}, 0.25)
        opened.tell(opened.ask(), Outcome("failed", error="no", traceback="Traceback\n"))
    with Store(b) as store:
        store.keep_output([Output(1, 1, "stdout", "hello\n", "", 0)])
        store.add_repeats([(store.trial(0), repeat) for repeat in range(3)], 7)
    with Study(b, repeats_only=True) as opened:
        run(opened, 2)
    with Editor(b) as editor:
        editor.remove([1, 2])
        editor.restore([2])
        editor.tag(3, ["good"])
        editor.note(3, "looks odd")
        editor.note(None, "of the cluster")
    path = merged(tmp_path, a, b)
    assert proved(path).is_good
    assert not found_by_anything(path)
    with Reader(path) as reader:
        assert [(each.attempt, each.ending) for each in reader.attempts(2)] == [(1, "given back")]
        assert [each.head for each in reader.outputs(3)] == ["hello\n"]
        assert reader.trial(5).tags == ("good",)
        assert [note.text for note in reader.notes(5)] == ["looks odd"]
        assert [note.text for note in reader.notes()] == ["of the cluster"]
        assert [trial.removed for trial in reader.trials()] == [False] * 3 + [True] + [False] * 7
        assert [trial.confirms for trial in reader.repeats()] == [2] * 3
        assert reader.trial(7).traceback == "Traceback\n"
        assert reader.progress(reader.study().goals[0]).repeats["waiting"] == 1
    with Study(path, repeats_only=True) as opened:  # the run that waited, with its study's seed
        run(opened, 1)
    with Editor(path) as editor:
        editor.restore([3])
        editor.remove([4])
    with Store(path) as store:
        store.retry([7])
    with Study(path) as opened:
        run(opened, 1)
    assert proved(path).is_good
    assert proved(path).count("exact") == 2 + 8


def test_a_study_that_learned_is_proved_with_its_own_lessons(tmp_path):
    old = made(tmp_path / "old.db", 5, seed=9)
    taught = [learn.learned(record(search="tpe", seed=s), [old])[0] for s in (1, 2, 3)]
    paths = [made(tmp_path / f"{n}.db", 6, wanted=each) for n, each in enumerate(taught)]
    path = merged(tmp_path, *paths)
    assert proved(path).count("exact") == 18
    with Reader(path) as reader:
        assert len(reader.study().lessons) == 5
    changing.change(path, Wanted(trials="+5"))
    with Study(path) as opened:
        run(opened, 5)
    found = proved(path)
    assert found.is_good
    assert found.count("exact") == 23


def test_each_study_is_proved_by_its_own_stopping_rules(tmp_path):
    rules = ["median(grace=0, min_trials=2)", "asha(min_steps=1, eta=2)", "none"]
    paths = []
    for number, text in enumerate(rules):
        specs = () if text == "none" else stopping.specs(stopping.parse(text))
        wanted = record(budget=12, seed=number)._replace(stopping=specs)
        paths.append(made(tmp_path / f"{number}.db", 12, wanted=wanted))
    path = merged(tmp_path, *paths)
    stops = [proved(each).stops for each in paths]
    assert min(stops[:2]) > 0
    found = proved(path)
    assert found.is_good, found.problems
    assert found.stops == sum(stops)
    changing.change(path, Wanted(trials="+12"))
    with Study(path) as opened:
        run(opened, 12)
    found = proved(path)
    assert found.is_good, found.problems
    assert found.stops > sum(stops)


def test_several_objectives_are_merged_and_have_one_front(tmp_path):
    goals = (Goal("error", "minimize"), Goal("recall", "maximize"))

    def both(trial):
        return {"error": trial.params["x"] ** 2, "recall": trial.params["value"]}

    paths = [
        made(tmp_path / f"{n}.db", 6, both, record(budget=6, seed=n)._replace(goals=goals,
                                                   subject_to=("error <= 0.9",)))
        for n in (1, 2)
    ]  # fmt: skip
    path = merged(tmp_path, *paths)
    assert proved(path).is_good
    with Study(path) as opened:
        assert {trial.number // 6 for trial in opened.front()} <= {0, 1}
        assert len(opened.front()) >= 1


def test_commands_that_read_a_study_work_over_all_trials(tmp_path, pair):
    path = merged(tmp_path, *pair)
    rows = json.loads(spoken("trials", path, "--format", "json")[1])
    assert [row["number"] for row in rows] == list(range(10))
    assert spoken("importance", path)[0] == 0
    assert spoken("check", path)[0] == 0
    assert spoken("verify", path)[1].startswith("10 of 10 suggestions recomputed exactly")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM best").fetchone() == (10,)
    with Reader(path) as reader:
        assert start_replica(reader, tmp_path / "again.db", chosen(reader, None, None))
    assert [t.copied for t in trials(tmp_path / "again.db")] == list(range(10))
    taught, _ = learn.learned(record(search="tpe"), [path])
    assert len(taught.lessons) == 10


# Which search goes on.


@pytest.mark.parametrize("name", ["random", "tpe", "cma-es", "grid"])
def test_the_search_of_the_first_goes_on_and_knows_all_trials(tmp_path, name):
    options = {"points": {"x": 3}} if name == "grid" else {}
    spec = search.spec(search.make(name, options))
    a = made(tmp_path / "a.db", 6, wanted=record(budget=6, seed=5)._replace(search=spec))
    b = made(tmp_path / "b.db", 9, seed=6)
    path = merged(tmp_path, a, b)
    with Study(path) as opened:
        assert opened.ask() is None  # not more than there are, until somebody says so
    budget.extend(path, "+7")
    with Study(path) as opened:
        assert opened.record.search == spec
        run(opened, 7)
        assert opened.ask() is None
    found = proved(path)
    assert found.is_good
    assert found.count("exact") == 22
    with Study(path) as opened:
        new = [trial.params for trial in opened.trials()[15:]]
    alone = tmp_path / "alone.db"
    shutil.copy(a, alone)
    budget.extend(alone, "+7")
    if name in ("tpe", "cma-es"):  # what the other study had found made a difference
        with Study(alone) as opened:
            run(opened, 7)
            assert [trial.params for trial in opened.trials()[6:]] != new


def test_a_merged_study_is_resumed_from_the_command_line(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in ("seeded.py", "lazily.py"):
        shutil.copy(ROOT / "tests" / "toys" / name, name)
    for seed in (1, 2):
        code, _, errors = spoken(
            "run", "seeded.py", "--study", f"{seed}.db", "--trials", 4, "--seed", seed
        )
        assert code == 0, errors
    assert spoken("merge", "1.db", "2.db", "-o", "../there/c.db")[0] == 0
    monkeypatch.chdir(tmp_path)
    code, _, errors = spoken("resume", "there/c.db", "--trials", "+2")
    assert code == 0, errors
    found = proved(tmp_path / "there" / "c.db")
    assert found.is_good
    assert found.count("exact") == 10


def test_trials_that_ran_or_waited_run_in_the_new_file(tmp_path):
    paths = [tmp_path / "a.db", tmp_path / "b.db"]
    for number, path in enumerate(paths):
        assert study_module.start(path, record(budget=6, seed=number), None)
        opened = Study(path)
        run(opened, 2)
        trial = opened.ask()
        trial.report(0, loss=1.0)
        trial.save(b"state")  # and its process goes on
        opened.add({"x": 0.25, "kind": "a", "value": 0.5})
        paths[number] = (path, opened, trial)
    (a, first, _), (b, second, trial) = paths
    code, _, errors = spoken("merge", a, b, "-o", tmp_path / "c.db")
    assert code == 0
    said = "1 running, 1 waiting; they wait in the new file, to be run there from the beginning"
    assert [f"{path}: {said}" in errors for path in (a, b)] == [True, True]
    second.tell(trial, 0.0)  # of this nothing is in the new file
    first.close()
    second.close()
    found = trials(tmp_path / "c.db")
    assert [each.state for each in found] == (["complete"] * 2 + ["waiting"] * 2) * 2
    assert proved(tmp_path / "c.db").is_good
    with Study(tmp_path / "c.db") as opened:
        assert opened.reader.checkpoints(6) == []
        run(opened, 4)
        assert opened.ask() is None
        assert [each.value for each in opened.trials()] == [square(t) for t in opened.trials()]
    found = proved(tmp_path / "c.db")
    assert found.is_good
    assert (found.count("exact"), found.count("not applicable")) == (6, 2)


@pytest.mark.parametrize("is_left", [True, False], ids=["left", "running"])
def test_what_was_asked_for_is_suggested_as_its_own_search_would_have(tmp_path, is_left):
    a = made(tmp_path / "a.db")
    b = made(tmp_path / "b.db", 12, search="tpe")  # of them 10 at random
    changing.change(b, Wanted(trials="+1"))
    with Study(b) as opened:
        opened._writer.claim(opened._worker, "tpe/1", 1, None)  # and killed before it suggests
        if not is_left:
            merge.merge([a, b], tmp_path / "c.db")
    if is_left:
        merge.merge([a, b], tmp_path / "c.db")
    before = b.read_bytes()
    last = len(trials(tmp_path / "c.db")) - 1
    assert proved(tmp_path / "c.db").count("exact") == last + 1
    with Study(tmp_path / "c.db") as opened:
        run(opened, 1)
    assert proved(tmp_path / "c.db").count("exact") == last + 1
    path = merged(tmp_path, b, a, name="d.db")  # as the first one it goes on itself
    with Study(path) as opened:
        run(opened, 1)
    assert proved(path).count("exact") == last + 1
    assert b.read_bytes() == before
    with Study(b) as opened:
        run(opened, 1)
    assert trials(b)[12].params == trials(tmp_path / "c.db")[last].params


# The same twice.


def test_the_same_study_is_merged_once(tmp_path, pair):
    a, b = pair
    path = merged(tmp_path, a, b)
    for number, paths in enumerate([(a, a), (path, b), (b, path), (a, path, b)]):
        again = merged(tmp_path, *paths, name=f"{number}.db")
        assert len(trials(again)) == (4 if number == 0 else 10)
        assert proved(again).is_good
    shutil.copy(a, tmp_path / "copy.db")
    budget.extend(a, "+2")
    with Study(a) as opened:
        run(opened, 2)
    with Editor(tmp_path / "copy.db") as editor:
        editor.tag(1, ["mine"])
    for number, paths in enumerate([(tmp_path / "copy.db", a), (a, tmp_path / "copy.db")]):
        again = merged(tmp_path, *paths, name=f"later-{number}.db")
        assert len(trials(again)) == 6
        assert trials(again)[1].tags == ("mine",)
        assert proved(again).is_good


def test_of_copies_that_went_on_apart_nothing_counts_twice(tmp_path):
    a = made(tmp_path / "a.db", 5, search="tpe")
    b = tmp_path / "b.db"
    shutil.copy(a, b)
    for path, value in ((a, square), (b, lambda trial: 1.0)):
        budget.extend(path, "+3")
        with Study(path) as opened:
            run(opened, 3, value)
    code, _, errors = spoken("merge", a, b, "-o", tmp_path / "c.db")
    assert code == 0
    assert "b.db: 8 trials, from number 8 on; 5 of them are here already, and are removed" in errors
    path = tmp_path / "c.db"
    assert [trial.removed for trial in trials(path)] == [False] * 8 + [True] * 5 + [False] * 3
    assert proved(path).is_good
    assert not found_by_anything(path)
    budget.extend(path, "+3")
    with Study(path) as opened:
        run(opened, 3)
    assert proved(path).is_good


def test_the_last_session_is_that_of_the_study_that_goes_on(tmp_path):
    a, b = tmp_path / "a.db", tmp_path / "b.db"
    for path, cpus in ((a, (1, 2)), (b, (4, 8))):
        assert study_module.start(path, record(budget=2, search="auto"), None)
        for number in cpus:
            facts = json.dumps({"cpu": str(number)})
            with Study(path, environment=Environment(str(number), facts)) as opened:
                run(opened, 1)
    path = merged(tmp_path, a, b)
    with Reader(path) as reader, Reader(a) as before:
        assert reader.latest_environment().known == {"cpu": "2"}
        assert reader.latest_search() == before.latest_search()
    told = spoken("status", path)[1]
    assert re.search(r"since \S+: cpu 1 → 2\n", told)
    assert re.search(r"since \S+, in b.db: cpu 4 → 8\n", told)
    assert "2 → 4" not in told
    budget.extend(path, "+1")
    with Study(path, environment=Environment("16", '{"cpu": "16"}')) as opened:
        run(opened, 1)
    with Reader(path) as reader:
        assert reader.latest_environment().known == {"cpu": "16"}
    assert re.search(r"since \S+: cpu 2 → 16\n", spoken("status", path)[1])


# What is refused.


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"direction": "maximize"}, "objective is minimize loss in the one and maximize loss"),
        ({"settings": {"epochs": 4}}, "setting 'epochs' is 3 in the one and 4 in the other"),
        ({"repeats": 2}, "repeats is 1 in the one and 2 in the other"),
        ({"subject_to": ("seconds <= 3",)}, "what results have to meet is nothing in the one"),
        ({"space": {"kind": Choice("a", "b"), "more": Float(0, 1)}}, "parameter 'more' is missing"),
        ({"space": {"x": Float(0.5, 2.0, log=True)}}, "x is .* in the one and .*log.* in"),
        ({"space": {"x": Choice(0.5, 2.0)}}, "x is .* in the one and .*choice.* in the other"),
        ({"space": {"value": Float(0.25, 1.25, step=0.25)}}, "value is .* in the one and"),
        ({"space": {"value": Float(0.25, 1.25, step=0.5)}}, "no space has all .* does not fit"),
        ({"space": {"kind": Choice("a", "b", weights=(1, 2))}},
         r"kind is choice\(a, b\) = a in the one and choice\(a, b, weights=\[1, 2\]\) in the"),
        ({"settings": {"epochs": {"b": True}}}, r"'epochs' is 3 in the one and \{\"b\": true\} in"),
        ({"space": {"kind": Choice("a", "b", "c"), "n": Int(1, 5)}}, "n is .* in the one"),
    ],
)  # fmt: skip
def test_studies_of_different_things_are_refused_in_a_sentence(tmp_path, change, says):
    a = made(tmp_path / "a.db", 2)
    wanted = record(budget=2, seed=3, direction=change.pop("direction", "minimize"))
    if "space" in change:
        known = {name: p.distribution for name, p in SPACE.by_name.items()}
        change["space"] = Space.of(known | change["space"], {})
    b = made(tmp_path / "b.db", 2, lambda trial: 1.0, wanted._replace(**change))
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match=says) as error:
        merge.merge([a, b], tmp_path / "c.db")
    assert "\n" not in str(error.value)
    assert snapshot(tmp_path) == before


def test_spaces_that_overlap_become_one(tmp_path):
    def space(low, high, *kinds):
        return Space.of({"x": Float(low, high), "kind": Choice(*kinds)}, {"x": low})

    a = made(tmp_path / "a.db", 4, space=space(0.0, 1.0, "a", "b"), search="tpe")
    b = made(tmp_path / "b.db", 4, space=space(0.5, 3.0, "c", "b"), seed=4)
    path = merged(tmp_path, a, b)
    with Study(path) as opened:
        parameters = opened.space.by_name
        assert (parameters["x"].distribution.low, parameters["x"].distribution.high) == (0.0, 3.0)
        assert parameters["kind"].distribution.options == ("a", "b", "c")
        assert parameters["x"].default == 0.0
    budget.extend(path, "+6")
    with Study(path) as opened:
        run(opened, 6)
    found = proved(path)
    assert found.is_good
    assert found.count("exact") == 14
    assert not found_by_anything(path)


def test_nothing_is_written_over_and_one_study_is_not_enough(tmp_path, pair):
    before = snapshot(tmp_path)
    for words, says in [
        ((*pair, "-o", pair[0]), "a.db exists already"),
        ((*pair, "-o", tmp_path / "no" / "c.db"), "there is no directory"),
        ((pair[0], "-o", tmp_path / "c.db"), "merge takes two studies or more"),
        ((pair[0], tmp_path / "no.db", "-o", tmp_path / "c.db"), "there is no study at"),
    ]:
        code, _, errors = spoken("merge", *words)
        assert code != 0
        assert says in errors
        assert snapshot(tmp_path) == before


OTHERS = "first, trials, workers, lessons, taught, name, created, seed, defaults, source, chain"

# Files that somebody has changed, and processes that are killed.


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trial SET value = 0.0 WHERE number = 2",
        "UPDATE metric SET value = 0.0 WHERE trial = 2",
        "UPDATE study SET seed = 8",
        "UPDATE worker SET host = 'other'",
        "DELETE FROM trial WHERE number = 1",
        "UPDATE clock SET tick = tick + 1",
        "UPDATE clock SET tick = 4611686018427387903",
        "UPDATE worker SET id = 4611686018427387903",
        "UPDATE trial SET params = '[]' WHERE number = 0",
    ],
)
def test_a_study_that_was_changed_by_hand_is_not_merged(tmp_path, pair, change):
    with edited(pair[1]) as connection:
        connection.execute(change)
    with pytest.raises(StudyFileError, match=r"b\.db"):
        merge.merge(pair, tmp_path / "c.db")
    assert sorted(snapshot(tmp_path)) == ["a.db", "b.db"]


def test_a_merged_study_whose_part_was_changed_is_not_merged_again(tmp_path, pair):
    path = merged(tmp_path, *pair)
    with edited(path) as connection:
        connection.execute("UPDATE trial SET value = 0.0 WHERE number = 6")
    other = made(tmp_path / "d.db", count=2, seed=5)
    for paths in ([path, other], [other, path]):
        with pytest.raises(StudyFileError, match=r"c\.db is not .*b\.db, merged from trial 4 on"):
            merge.merge(paths, tmp_path / "e.db")
    assert not (tmp_path / "e.db").exists()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trial SET value = 0.0 WHERE number = 6",
        "UPDATE trial SET params = json_set(params, '$.x', 0.5) WHERE number = 6",
        "UPDATE metric SET value = 0.0 WHERE trial = 6",
        "UPDATE part SET seed = 8",
        "UPDATE part SET chain = 'ab'",
        "UPDATE part SET name = 'other.db'",
        "UPDATE part SET first = 3",
        "UPDATE part SET trials = 5",
        "UPDATE part SET ticks = ticks - 1",
        "UPDATE part SET ticks = 1000000000",
        "UPDATE part SET ticks = 4611686018427387903",
        "UPDATE part SET first = 4611686018427387903",
        "UPDATE part SET start = start + 1",
        "UPDATE part SET lessons = 7, taught = 3",
        "UPDATE part SET defaults = 7",
        "UPDATE part SET created = -1.0",
        f"INSERT INTO part SELECT start + 2, 900, {OTHERS} FROM part",
        "DELETE FROM part",
        "DELETE FROM version",
        "UPDATE version SET first = 0, trial = 0",
        "UPDATE version SET search = replace(search, 'tpe', 'gp')",
        "UPDATE clock SET chain = 'ab'",
    ],
)
def test_what_is_changed_in_the_new_file_is_noticed(tmp_path, pair, change):
    path = merged(tmp_path, *pair)
    budget.extend(path, "+1")
    with Study(path) as opened:
        run(opened, 1)
    with edited(path) as connection:
        connection.execute(change)
    assert found_by_anything(path)
    every = readings()
    for words in ("status", "show 3", "verify"):
        command, arguments = every[words]
        with suppress(TinytuneError):
            read(command, path, *arguments)


def test_whatever_a_part_holds_is_no_accident(tmp_path, pair):
    whole = merged(tmp_path, *pair)
    chance = random.Random(1)
    for column in OTHERS.split(", "):
        for value in chance.sample([cell for cell in ODD_CELLS if cell is not None], 4):
            path = tmp_path / "odd.db"
            shutil.copy(whole, path)
            with loosened(path) as connection:
                query = f"UPDATE part SET {column} = ?1 WHERE {column} IS NOT ?1"
                changed = connection.execute(query, (value,)).rowcount
            assert not changed or found_by_anything(path)
            with suppress(TinytuneError):
                merge.merge([path, pair[0]], tmp_path / "more.db")
            assert not changed or not (tmp_path / "more.db").exists()
            (tmp_path / "more.db").unlink(missing_ok=True)


def test_nested_parts_have_an_end(tmp_path, pair):
    path = merged(tmp_path, *pair)
    with edited(path) as connection:
        for number in range(1, 30):
            connection.execute(
                f"INSERT INTO part SELECT start + ?1, ticks - ?1, {OTHERS} FROM part"
                " WHERE start = (SELECT min(start) FROM part) AND ticks > ?1",
                (number,),
            )
    with pytest.raises(StudyFileError, match=r"too often|across"):
        proved(path)


KILLED = """
import os, signal, sys
from pathlib import Path
from tinytune import files, merge
when = sys.argv[1]
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
def half(descriptor, content):
    os.write(descriptor, content[:len(content) // 2])
    die()
if when == "writing":
    files._write_synced = half
elif when == "linking":
    os.link = die
elif when == "after":
    os.fsync, kept = (lambda descriptor: None), os.fsync
    os.link, link = (lambda *a, **k: (link(*a, **k), die())), os.link
merge.merge([Path("a.db"), Path("b.db")], Path("c.db"))
"""


@pytest.mark.parametrize("when", ["writing", "linking", "after"])
def test_whenever_it_is_killed_there_is_a_whole_file_or_none(tmp_path, pair, when):
    before = snapshot(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, when], cwd=tmp_path, env=ENVIRONMENT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    after = snapshot(tmp_path)
    if when == "after":
        assert proved(tmp_path / "c.db").is_good
        del after["c.db"]
    assert after == before


def test_any_studies_can_be_merged_and_go_on(tmp_path):
    """Studies that were changed, killed and given back at random, merged into each other."""
    seed = 2
    chance = random.Random(seed)

    def work(path, seed):
        with suppress(TrialStopped, UsageError):  # an option that is there already
            take_steps(path, random.Random(seed), 3, change_somehow)
        return path

    paths = []
    for number, name in enumerate(chance.sample(["random", "tpe", "grid", "de", "sobol"], 3)):
        wanted = study_of(name, 2)._replace(seed=10 * seed + number, budget=8)
        assert create(tmp_path / f"{number}.db", wanted, None, __version__)
        paths.append(work(tmp_path / f"{number}.db", 10 * seed + number))
    path = merged(tmp_path, *paths[:2])
    budget.extend(path, "+6")
    again = merged(tmp_path, paths[2], work(path, seed), paths[0], name="d.db")
    budget.extend(again, "+4")
    work(again, seed)
    found = proved(again)
    assert found.is_good, found.problems
    assert found.count("differs") == found.count("not applicable") == 0
    assert not found_by_anything(again)
