"""A trial whose worker is killed goes on from its last checkpoint, and nothing is doubled."""

import json
import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import pytest

import tinytune
from tests.shell import ROOT, await_true, kill_all, results, start
from tests.shell import tinytune as shell
from tests.studies import SPACE, make_study, record
from tinytune import Float, check, checkpoints, draw, process, stopping
from tinytune import study as study_module
from tinytune.cli import care
from tinytune.context import running
from tinytune.digest import sha256
from tinytune.errors import LeaseLostError, StudyFileError, TrialStopped, UsageError
from tinytune.history import Goal, Outcome
from tinytune.store.reader import Reader
from tinytune.store.writer import Store
from tinytune.study import Study
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


def verified(path):
    with Reader(path) as reader:
        return verify(reader, lambda *_: None)


def problems(path):
    return verified(path).problems


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


@pytest.mark.parametrize("ending", ["died", "given back"])
def test_seconds_as_an_objective_are_those_of_the_whole_trial(tmp_path, monkeypatch, ending):
    """Each attempt takes ten seconds, seven of them up to its checkpoint."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("time.time", lambda: clock.now)
    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    goals = (Goal("loss", "minimize"), Goal("seconds", "minimize"))
    path = tmp_path / "study.db"
    wanted = record(budget=1)._replace(goals=goals, subject_to=("seconds <= 20",))
    assert study_module.start(path, wanted, None)
    for attempt in range(4):
        with Study(path) as study:
            trial = study.ask()
            assert (trial.load() is None) == (attempt == 0)
            clock.now += 7.0
            trial.report(attempt, loss=0.5)
            trial.save(b"state")
            clock.now += 3.0
            if attempt == 3:
                study.tell(trial, 0.5)
            elif ending == "died":
                study._writer.bury([study._worker], "vanished")
                study._held.clear()
            else:
                study.give_back(trial)
        clock.now += 5000.0  # the next day
    with Reader(path) as reader:
        trial = reader.trial(0)
        assert [each.seconds for each in reader.continuations(0)] == [7.0, 14.0, 21.0]
    assert (trial.seconds, trial.values["seconds"], trial.violation) == (10.0, 31.0, 0.55)
    assert problems(path) == ()
    changed(path, "UPDATE continuation SET seconds = 1.0 WHERE attempt = 3")
    assert problems(path) != ()


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


# What an objective sees.

LARGE = checkpoints.INSIDE_BYTES + 1


def made(folder, rules="", **changes):
    path = folder / "study.db"
    wanted = record(**changes)._replace(
        stopping=stopping.specs(stopping.parse(rules)) if rules else ()
    )
    study_module.start(path, wanted, None)
    return path


def states_of(folder):
    """Return each kind of state, small and large: name -> what is saved, and how it is read."""
    for name, size in (("small", 5), ("large", LARGE)):
        content = name.encode() * (size // 5 + 1)
        file = folder / f"{name}.pt"
        file.write_bytes(content)
        tree = folder / name
        (tree / "inner").mkdir(parents=True)
        (tree / "inner" / "a").write_bytes(content)
        (tree / "b").write_text("b")
        (tree / "link").symlink_to("b")
        yield content
        yield file
        yield tree


def read(state):
    """Return what a state holds, wherever it lies."""
    if not isinstance(state, Path):
        return state
    if state.is_file():
        return state.suffix, state.read_bytes()
    return {
        path.relative_to(state): path.read_bytes() for path in state.rglob("*") if path.is_file()
    }


def beside(path):
    """Return the names of the files and folders beside a study, by trial."""
    folder = Path(f"{path}.checkpoints")
    return sorted(found.name for found in folder.glob("*/*"))


def test_every_kind_of_state_comes_back_as_it_was(tmp_path):
    path = made(tmp_path)
    with Study(path) as study:
        for state in states_of(tmp_path):
            expected = read(state)
            trial = study.ask()
            assert trial.load() is None
            trial.report(0, loss=1.0)
            trial.save(b"before")
            trial.save(state)
            if isinstance(state, Path):  # what becomes of the original does not matter
                state.rename(f"{state}.gone")
            study.give_back(trial)
            again = study.ask()
            found = again.load()
            assert again.number == trial.number
            assert read(found) == expected
            assert not isinstance(found, Path) or not found.is_symlink()
            if isinstance(found, Path) and found.is_file():
                found.write_text("scribbled over")  # it is a copy
            assert read(again.load()) == expected
            study.tell(again, 1.0)
            assert beside(path) == []
    assert not Path(f"{path}.checkpoints").exists()
    assert problems(path) == ()


def test_only_the_last_two_lie_beside(tmp_path):
    path = made(tmp_path)
    with Study(path) as study:
        trial = study.ask()
        for turn in range(4):
            trial.save(bytes(LARGE))
            assert len(beside(path)) == min(turn + 1, 2)
        trial.save(b"small")
        assert beside(path) == ["1-4"]
        study.give_back(trial)
        again = study.ask()
        (Path(f"{path}.checkpoints") / again.folder.name / "1-9").write_text("left by a kill")
        again.save(bytes(LARGE))
        assert beside(path) == ["2-1"]
        study.give_back(again)
    with Study(path, checkpoints=checkpoints.Keeping(after_the_end=True)) as study:
        trial = study.ask()
        assert trial.load() == bytes(LARGE)
        study.tell(trial, 1.0)
    assert beside(path) == ["2-1"]


def spoil_content(folder, path):
    changed(path, "UPDATE checkpoint SET content = x'00' WHERE sequence = 2")


def spoil_file(folder, path):
    (folder / "1-2").write_bytes(b"1")


def remove_file(folder, path):
    (folder / "1-2").unlink()


def replace_by_link(folder, path):
    (folder / "1-2").rename(folder / "other")
    (folder / "1-2").symlink_to("other")


@pytest.mark.parametrize(
    ("size", "spoil"),
    [(5, spoil_content), (LARGE, spoil_file), (LARGE, remove_file), (LARGE, replace_by_link)],
)
def test_a_broken_checkpoint_is_passed_over_and_that_is_said(tmp_path, capsys, size, spoil):
    path = made(tmp_path)
    with Study(path) as study:
        trial = study.ask()
        for step in range(2):
            trial.report(step, loss=float(step))
            trial.save(b"%d" % step * size)
        study.give_back(trial)
        spoil(trial.folder, path)
        again = study.ask()
        assert again.load() == b"0" * size
        assert capsys.readouterr().err.startswith("tinytune: trial 0: ")
        study.tell(again, 1.0)
        assert study.curves(0) == {"loss": {0: 0.0}}
    assert problems(path) == ()


def test_where_all_are_broken_the_trial_begins_anew(tmp_path, capsys):
    path = made(tmp_path)
    with Study(path) as study:
        trial = study.ask()
        trial.report(0, loss=1.0)
        trial.save(bytes(LARGE))
        study.give_back(trial)
    with Study(path, checkpoints=checkpoints.Keeping(tmp_path / "elsewhere")) as study:
        trial = study.ask()
        assert trial.load() is None
        said = capsys.readouterr().err
        assert "1-1 is not there" in said
        assert "trial 0 begins anew: none of its checkpoints can be used" in said
        trial.report(0, loss=1.0)
        study.tell(trial, 1.0)
    assert problems(path) == ()


def test_what_cannot_be_saved(tmp_path):
    path = made(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "tree" / "inner").mkdir(parents=True)
    (tmp_path / "tree" / "loop").symlink_to("inner")
    with Study(path) as study:
        trial = study.ask()
        for state, said in [
            ("model.pt", "a str is neither bytes nor the Path .*: write Path"),
            ({"epoch": 1}, "a dict is neither bytes nor"),
            (tmp_path / "nothing", "nothing is not there"),
            (tmp_path / "pipe", "neither a file nor a folder"),
            (tmp_path / "tree", "is a link to a folder"),
            (tmp_path, "holds the checkpoints themselves"),
        ]:
            with pytest.raises(UsageError, match=f"save: .*{said}"):
                trial.save(state)
        assert study.reader.checkpoints(0) == []
        assert beside(path) == []
        with pytest.raises(UsageError, match=r"call load\(\) at the beginning"):
            trial.load()


def test_load_comes_before_the_first_report(tmp_path):
    with Study(made(tmp_path)) as study:
        trial = study.ask()
        trial.report(0, loss=1.0)
        with pytest.raises(UsageError, match="trial 0 has reported or saved already"):
            trial.load()


def test_outside_of_a_study_nothing_is_saved(tmp_path):
    assert tinytune.load() is None
    tinytune.save(b"state")
    assert tinytune.load() is None
    with Study(made(tmp_path)) as study:
        trial = study.ask()
        with running(trial):
            tinytune.save(b"state")
        study.give_back(trial)
        with running(study.ask()):
            assert tinytune.load() == b"state"


# What is killed again and again.


def killed(store, step, *, do_save):
    """Let a worker take the trial up, come to a step, and die."""
    worker = store.join(process.current(), "0", "3", None)
    token = claim(store, worker)
    saved = store.checkpoints(0)
    if saved:
        store.go_on(token, saved[0])
    store.report(token, step, {"loss": 1.0})
    if do_save:
        save(store, token, b"state")
    store.bury([worker], "vanished")
    return store.trial(0).state


def test_a_trial_that_gets_on_may_be_killed_any_number_of_times(store, worker):
    for step in range(7):
        assert killed(store, step, do_save=True) == "waiting"
        assert store.trial(0).deaths <= 2
    assert killed(store, 7, do_save=False) == "waiting"  # it had come to step 6 before
    assert killed(store, 7, do_save=False) == "failed"
    assert "its worker died 3 times" in store.trial(0).error
    assert problems(store.path) == ()
    changed(store.path, "UPDATE trial SET deaths = 4")
    assert "trial 0, its metrics" in problems(store.path)[0]


def test_a_trial_that_dies_at_the_same_step_fails_although_it_saves(store, worker):
    # The first attempt has got on, the two after it have not.
    states = [killed(store, 3, do_save=True) for _ in range(3)]
    assert states == ["waiting", "waiting", "failed"]
    assert problems(store.path) == ()


# Stopping rules.

RULES = "median(grace=0, min_trials=2)+hyperband(max_steps=9)+patience(patience=3)"
STEPS = 9


def loss(number, step):
    return draw.uniform(5, number, "level") + draw.uniform(5, number, f"noise {step}") / 4


def run_trial(study, chance):
    """Run a trial, interrupted at random moments; return how often."""
    interrupts = 0
    trial = study.ask()
    state = trial.load()
    step = 0 if state is None else int(state)
    while step < STEPS and not trial.should_stop:
        trial.report(step, loss=loss(trial.number, step), stop=False)
        if chance.random() < 0.25:
            study.give_back(trial)
            return interrupts + 1 + run_trial(study, chance)
        trial.save(b"%d" % (step + 1))
        step += 1
    study.tell(trial, None if trial.should_stop else loss(trial.number, STEPS - 1))
    return interrupts


def judged(path):
    """Return what became of each trial, and what was decided of it, without ticks."""
    with Reader(path) as reader:
        trials = reader.trials()
        last = {(trial.number, trial.attempt) for trial in trials}
        decisions = [
            (d.trial, d.part, d.step, d.verdict, d.facts)
            for d in sorted(reader.decisions(), key=lambda d: (d.trial, d.tick))
            if (d.trial, d.attempt) in last
        ]
        curves = [reader.curves(trial) for trial in trials]
        return [(t.number, t.state, t.value) for t in trials], decisions, curves


def test_stopping_decides_as_if_nothing_had_happened(tmp_path):
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    interrupts = []
    for folder in (calm, wild):
        folder.mkdir()
        path = folder / "study.db"
        rules = stopping.specs(stopping.parse(RULES))
        study_module.start(path, record(budget=24)._replace(stopping=rules, audit=0.4), None)
        chance = random.Random(1) if folder is wild else SimpleNamespace(random=lambda: 1.0)
        with Study(path) as study:
            interrupts.append(sum(run_trial(study, chance) for _ in range(24)))
        assert verified(path).is_good, verified(path).problems
    assert interrupts[0] == 0
    assert interrupts[1] > 24
    assert judged(calm / "study.db") == judged(wild / "study.db")
    states = {state for _, state, _ in judged(calm / "study.db")[0]}
    verdicts = {verdict for _, _, _, verdict, _ in judged(calm / "study.db")[1]}
    assert (states, verdicts) == ({"complete", "stopped"}, {"rung", "stop", "spared"})


def test_once_stopped_nothing_is_saved(tmp_path):
    path = made(tmp_path, "threshold(upper=0.5)")
    with Study(path) as study:
        trial = study.ask()
        trial.report(0, loss=0.1)
        trial.save(b"good")
        trial.report(1, loss=0.9, stop=False)
        trial.save(b"hopeless")
        study.give_back(trial)  # as if killed before it could be told
        again = study.ask()
        assert again.load() == b"good"
        again.report(1, loss=0.9, stop=False)
        study.tell(again)
    assert verified(path).is_good
    assert verified(path).stops == 1


def test_what_was_spared_stays_spared_and_a_forged_copy_is_noticed(tmp_path):
    path = tmp_path / "study.db"
    rules = stopping.specs(stopping.parse("threshold(upper=0.5)"))
    study_module.start(path, record()._replace(stopping=rules, audit=1.0), None)
    with Study(path) as study:
        trial = study.ask()
        trial.report(0, loss=0.9)
        trial.save(b"1")
        study.give_back(trial)
        again = study.ask()
        assert again.load() == b"1"
        again.report(1, loss=0.9)
        study.tell(again, 0.9)
    assert verified(path).is_good
    with Reader(path) as reader:
        assert [(d.attempt, d.verdict) for d in reader.decisions()] == [
            (1, "spared"),
            (2, "spared"),
        ]
    changed(path, "DELETE FROM decision WHERE attempt = 2")
    assert any("spared" in problem for problem in problems(path))


def test_a_stopped_trial_has_the_last_value_of_before_its_interruption(tmp_path):
    path = made(tmp_path, "threshold(upper=0.5, metric=norm)")
    with Study(path) as study:
        trial = study.ask()
        trial.report(0, loss=0.25)
        trial.save(b"")
        study.give_back(trial)
        again = study.ask()
        assert again.load() == b""
        again.report(1, norm=9.0, stop=False)
        assert study.tell(again).value == 0.25


@tinytune.trial(minimize="loss")
def climber(trial: tinytune.Trial, x: Annotated[float, Float(0.0, 1.0)] = 0.5) -> float:
    """It reports, and then saves."""
    state = tinytune.load()
    for step in range(0 if state is None else int(state), STEPS):
        tinytune.report(step, loss=loss(trial.number, step))
        tinytune.save(b"%d" % (step + 1))
    return loss(trial.number, STEPS - 1)


@pytest.mark.parametrize(
    "rules", ["asha(pause=true, max_steps=9)", "hyperband(max_steps=9, pause=true)"]
)
def test_a_paused_trial_is_let_on_exactly_where_it_was(tmp_path, rules):
    path = tmp_path / "study.db"
    climber.tune(path, trials=24, search="random", stopping=rules, quiet=True)
    with Reader(path) as reader:
        trials = reader.trials()
        curves = [reader.curves(trial)["loss"] for trial in trials]
        assert sum(map(len, curves)) == reader.steps()  # no step was made twice
        went_on = sum(len(reader.continuations(trial.number)) for trial in trials)
        assert went_on > 3
        assert {trial.state for trial in trials} >= {"paused"}
        assert [list(curve) for curve in curves] == [list(range(len(c))) for c in curves]
        promoted = [d for d in reader.decisions() if d.verdict == "promote"]
        assert len(promoted) == went_on
    assert verified(path).is_good, verified(path).problems


def test_who_dies_between_its_last_save_and_its_pause_is_paused_all_the_same(tmp_path):
    path = made(tmp_path, "asha(pause=true, max_steps=9)")
    with Study(path) as study:
        trial = study.ask()
        assert trial.load() is None
        trial.report(0, loss=0.5)
        assert trial.should_stop
        with pytest.raises(TrialStopped, match="trial 0 is paused at step 0 by asha"):
            trial.save(b"1")
        study.give_back(trial)  # as if it were killed here
        again = study.ask()
        with pytest.raises(TrialStopped, match="trial 0 is paused at step 0 by asha"):
            again.load()
        assert study.tell(again) == Outcome("paused", 0.5, {"loss": 0.5})
        for value in (0.6, 0.7):
            other = study.ask()
            other.report(0, loss=value, stop=False)
            study.tell(other)
        on = study.ask()
        assert (on.number, on.attempt, on.load()) == (0, 3, b"1")
        on.report(1, loss=0.5)
        study.give_back(on)  # not let on again, and not paused again either
        on = study.ask()
        assert (on.number, on.attempt, on.load()) == (0, 4, b"1")
        on.report(1, loss=0.5)
        on.report(2, loss=0.5, stop=False)
        assert on.should_stop
        on.save(b"3")  # who cleans up itself may save, too
        assert study.tell(on).state == "paused"
    assert verified(path).is_good, verified(path).problems


def test_who_does_not_load_is_paused_at_once(tmp_path):
    with Study(made(tmp_path, "asha(pause=true, max_steps=9)")) as study:
        trial = study.ask()
        with pytest.raises(TrialStopped, match="paused at step 0"):
            trial.report(0, loss=0.5)


def test_what_was_kept_is_not_counted_again_by_a_budget_of_steps(tmp_path):
    path = tmp_path / "study.db"
    study_module.start(path, record(budget=None)._replace(budget_steps=7), None)
    with Study(path) as study:
        trial = study.ask()
        for step in range(4):
            trial.report(step, loss=1.0)
            if step < 3:
                trial.save(b"%d" % step)
        assert study.reader.steps() == 4
        study.give_back(trial)
        again = study.ask()
        assert again.load() == b"2"
        assert study.reader.steps() == 4
        again.report(2, loss=1.0)  # no step more than it had
        again.report(3, loss=1.0)  # made twice, and counted twice
        assert study.reader.steps() == 5
        for step in range(4, 8):
            again.report(step, loss=1.0, stop=False)
        assert again.should_stop
        again.save(b"late")
        assert study.reader.content(study.reader.checkpoints(0)[0]) == b"2"
        study.tell(again)
        assert study.ask() is None
    assert verified(path).is_good, verified(path).problems


def test_folders_of_trials_that_others_have_ended_go_and_no_others(tmp_path):
    path = made(tmp_path, "asha(pause=true, max_steps=9)")
    sweeper = checkpoints.Checkpoints(path, Reader(path).study().created, checkpoints.BESIDE)
    with Study(path) as study, Store(path) as supervisor:
        folders = []
        for ending in ("told", "paused", "running", "condemned"):
            trial = study.ask()
            trial.save(bytes(LARGE))
            folders.append(trial.folder)
            if ending == "told":
                trial.report(0, loss=0.1, stop=False)  # it pauses, and fails
                study.tell(trial, Outcome("failed", error="no"))
                assert not trial.folder.exists()
            elif ending == "paused":
                trial.report(0, loss=0.2, stop=False)
                assert study.tell(trial).state == "paused"
            elif ending == "condemned":
                supervisor.condemn(study._held[trial.number][0], "it took too long")
        other = folders[0].parent / "3-0123456789ab"  # another study's, or its user's
        other.mkdir()
        assert folders[3].exists()
        sweeper.sweep(study.reader, study.reader.tick())
        assert folders[3].exists()  # somebody has ended it before this session
        sweeper.sweep(study.reader, 0)
        assert sorted(other.parent.iterdir()) == sorted([folders[1], folders[2], other])


# Copies.


def test_a_packed_study_goes_on_with_what_lies_beside(tmp_path, capsys):
    path, packed = made(tmp_path), tmp_path / "packed.db"
    keeping = checkpoints.Keeping(tmp_path / "there")
    with Study(path, checkpoints=keeping) as study:
        trial = study.ask()
        trial.report(0, loss=1.0)
        trial.save(bytes(LARGE))
        care.pack(path, packed, tmp_path / "there")
        assert "packed.db.checkpoints: large checkpoints of 1 trial; keep both" in (
            capsys.readouterr().err
        )
        care.pack(path, tmp_path / "bare.db", None)
        assert "the large checkpoints of 0; say --checkpoints DIR" in capsys.readouterr().err
        with Study(packed) as copy:
            again = copy.ask()
            assert again.load() == bytes(LARGE)
            copy.tell(again, 1.0)
            assert copy.curves(0) == {"loss": {0: 1.0}}
        assert beside(packed) == []
        trial.save(b"")
        study.tell(trial, 1.0)  # the original is none the worse for it
    Path(f"{packed}2.checkpoints").mkdir()
    with pytest.raises(StudyFileError, match=r"packed.db2.checkpoints exists already"):
        care.pack(path, Path(f"{packed}2"), None)


def test_an_unwritable_folder_is_one_sentence(tmp_path):
    with Study(made(tmp_path), checkpoints=checkpoints.Keeping(tmp_path / "file" / "x")) as study:
        (tmp_path / "file").write_text("")
        trial = study.ask()
        with pytest.raises(StudyFileError, match=r"cannot be written to .*Not a directory: make"):
            trial.save(bytes(LARGE))


def test_a_file_is_no_folder_for_checkpoints(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for place in (file, file / "x"):
        with pytest.raises(
            UsageError, match=r"cannot lie in .*: .*file is no folder; name a folder"
        ):
            checkpoints.Keeping(place)
    checkpoints.Keeping(tmp_path / "new" / "deep")
    (tmp_path / "link").symlink_to(tmp_path)
    checkpoints.Keeping(tmp_path / "link")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="dangling is no folder"):
        checkpoints.Keeping(tmp_path / "dangling")


def test_check_names_the_trials_whose_files_are_gone(tmp_path):
    path, there = made(tmp_path), tmp_path / "there"

    def problem(folder=None):
        with Reader(path) as reader:
            found = {f.what: f.problem for f in check.check(reader, folder)}
        return found["large checkpoints are there"]

    with Study(path) as study:
        trials = [study.ask() for _ in range(3)]
        for trial in trials:
            trial.save(bytes(LARGE))
        trials[0].save(b"small")  # it lies in the study, the other one is needed no less
        assert problem() == ""
        Path(f"{path}.checkpoints").rename(there)
        assert problem() == "files that trials 0, 1, 2 saved are missing"
        assert problem(there) == ""
        study.tell(trials[1], 1.0)
        assert problem() == "files that trials 0, 2 saved are missing"
        (there / trials[2].folder.name / "1-1").unlink()
        assert problem(there) == "files that trial 2 saved are missing"


def test_a_file_that_was_replaced_while_check_looks_is_not_missing(tmp_path, monkeypatch):
    path = made(tmp_path)
    with Study(path) as study, Reader(path) as reader:
        trial = study.ask()
        trial.save(bytes(LARGE))
        old = reader.checkpoints_beside()
        for _ in range(2):
            trial.save(bytes(LARGE))
        answers = iter([old])
        look = reader.checkpoints_beside
        monkeypatch.setattr(reader, "checkpoints_beside", lambda: next(answers, None) or look())
        assert checkpoints.missing_beside(reader, None) == []


# Real processes.

SURVIVOR = ROOT / "examples" / "survivor.py"


def reports(path):
    """Return how many reports were made in all attempts."""
    if not path.exists():
        return 0
    with Reader(path) as reader:
        return reader._db.one("SELECT count(DISTINCT tick) FROM metric")[0]


def test_killed_with_kill_9_the_curves_are_those_of_a_calm_run(tmp_path):
    calm, torn = tmp_path / "calm.db", tmp_path / "torn.db"
    run = ["run", SURVIVOR, "--search", "random", "--trials", 3, "--workers", 2]
    assert shell(*run, "--study", calm, "--set", "pause=0.01").returncode == 0
    chance = random.Random("checkpoints")
    for _ in range(2):
        working = start(*run, "--study", torn, "--set", "pause=0.01")
        enough = reports(torn) + chance.randrange(10, 25)
        await_true(lambda enough=enough: reports(torn) > enough, working)
        kill_all(working)
        working.communicate()
    last = shell("resume", torn)
    assert last.returncode == 0, last.stderr
    assert results(torn) == results(calm)
    with Reader(torn) as reader, Reader(calm) as other:
        trials, others = reader.trials(), other.trials()
        for trial, same in zip(trials, others, strict=True):
            assert reader.curves(trial) == other.curves(same)
            found = [step for _, step, _, _ in reader.reports_of(trial.number, trial.attempt)]
            assert found == list(range(40))
            continued = reader.continuations(trial.number)
            # At most the one report that was not saved yet is made again.
            for each in continued:
                earlier = reader.reports_of(trial.number, each.source)
                assert each.step >= earlier[-1][1] - 1
        number = max(trials, key=lambda trial: trial.attempt).number
    assert verified(torn).is_good, verified(torn).problems
    shown = shell("show", torn, number).stdout
    assert "continued  from step " in shown
    continued = json.loads(shell("show", torn, number, "--format", "json").stdout)["continued"]
    assert f"from step {continued['step']} of attempt {continued['attempt']}" in shown
    assert sorted(found.name for found in tmp_path.iterdir()) == ["calm.db", "torn.db"]
