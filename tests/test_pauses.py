"""Rules that pause trials: who goes on, from where, and that all of it is recomputed."""

import json
import random
import sqlite3
from collections import Counter
from contextlib import closing, suppress

import pytest

from tests.shell import ROOT, kill_at_random
from tests.shell import tinytune as shell
from tests.studies import record
from tests.test_early_stopping import made, verified
from tinytune import learn, replicate
from tinytune.errors import TinytuneError, TrialStopped, UsageError
from tinytune.output.proof import verification_text
from tinytune.stopping.asha import Asha
from tinytune.stopping.halving import Ladder
from tinytune.stopping.successive_halving import SuccessiveHalving
from tinytune.store.reader import Reader
from tinytune.study import Study

BALL = ROOT / "examples" / "heavy_ball.py"


def loss_of(number):
    """Return a trial's loss: no two are equal, and they are in no order."""
    return (number * 37 + 11) % 1009 / 1009.0


def step_on(study, trial, whole, has_checkpoints=False):
    """Run a trial until it ends or pauses; return how many steps it took."""
    state = trial.load() if has_checkpoints else None
    first = 0 if state is None else int(state)
    for step in range(first, whole):
        try:
            trial.report(step, loss=loss_of(trial.number) + 1.0 / (step + 1))
            if has_checkpoints:
                trial.save(str(step + 1).encode())
        except TrialStopped:
            study.tell(trial)
            return step + 1 - first
    study.tell(trial, loss_of(trial.number))
    return whole - first


def run_all(path, whole, **how):
    with Study(path) as study:
        steps = 0
        while (trial := study.ask()) is not None:
            steps += step_on(study, trial, whole, **how)
        assert study.is_over()
    return steps


def rungs_reached(path):
    """Return how many trials were seen at each number of reports."""
    with Reader(path) as reader:
        marks = {(d.trial, d.facts["place"]) for d in reader.decisions() if d.verdict == "rung"}
    return Counter(place for _, place in marks)


@pytest.mark.parametrize(
    ("whole", "table"), [(27, {1: 27, 3: 9, 9: 3}), (81, {1: 81, 3: 27, 9: 9, 27: 3})]
)
def test_successive_halving_climbs_as_in_the_table_of_the_paper(tmp_path, whole, table):
    path = made(tmp_path, f"successive-halving(max_steps={whole})", budget=whole)
    run_all(path, whole)
    assert rungs_reached(path) == table
    with Reader(path) as reader:
        complete = [trial.number for trial in reader.trials("complete")]
    assert complete == [min(range(whole), key=loss_of)]
    found = verified(path)
    assert found.is_good
    assert (found.stops, found.pauses) == (0, sum(table.values()))
    said = f"{sum(table.values())} pauses recomputed exactly"
    assert said in verification_text(found).splitlines()


def test_what_goes_on_from_a_checkpoint_does_no_step_twice(tmp_path):
    rules = "successive-halving(max_steps=27)"
    path = made(tmp_path, rules, budget=27)
    assert run_all(path, 27) == 27 * 1 + 9 * 3 + 3 * 9 + 27
    again = made(tmp_path / "checkpoints", rules, budget=27)
    assert run_all(again, 27, has_checkpoints=True) == 27 + 9 * (3 - 1) + 3 * (9 - 3) + (27 - 9)
    assert rungs_reached(path) == rungs_reached(again)
    assert verified(again).is_good
    shown = shell("show", again, min(range(27), key=loss_of)).stdout
    assert "resumed    after 9 by successive-halving: rank 1 of 3 trials after 9 reports" in shown


@pytest.fixture(autouse=True)
def _folders(tmp_path):
    (tmp_path / "checkpoints").mkdir()


def test_a_group_waits_for_its_last_trial_and_others_begin(tmp_path):
    path = made(tmp_path, "successive-halving(max_steps=3, trials=3)", budget=9)
    with Study(path) as study:
        slow = study.ask()
        for _ in range(2):
            step_on(study, study.ask(), 3)
        following = study.ask()
        assert following.number == 3
        step_on(study, slow, 3)
        let_on = study.ask()
        assert let_on.number == min(range(3), key=loss_of)
        assert study.reader.promotion_of(study.reader.trial(let_on.number)).facts["trials"] == 3
        study.tell(let_on, 1.0)
        study.tell(following, ValueError)  # it failed; its group does not wait for it
        for _ in range(2):
            step_on(study, study.ask(), 3)
        assert study.ask().number == min((4, 5), key=loss_of)
    found = verified(path)
    assert found.is_good, found.problems


def reference(values, eta, places):
    """Return what algorithm 2 of Li et al. (2020) does with one worker: (trial, place) in order."""
    at = {place: [] for place in places}
    let_on, made_ = set(), []
    begun = 0
    while True:
        job = None
        for place in reversed(places[:-1]):
            ranked = sorted(at[place], key=values.__getitem__)
            for trial in ranked[: len(ranked) // eta]:
                if (trial, place) not in let_on:
                    job = (trial, place)
                    break
            if job:
                break
        if job is None:
            if begun == len(values):
                return made_
            trial, reached = begun, places[0]
            begun += 1
        else:
            let_on.add(job)
            trial, reached = job[0], places[places.index(job[1]) + 1]
        made_.append((trial, reached))
        at[reached].append(trial)


def test_asha_lets_on_whom_the_paper_lets_on(tmp_path):
    path = made(tmp_path, "asha(pause=true, max_steps=27)", budget=40)
    wanted = reference([loss_of(n) for n in range(40)], 3, [1, 3, 9, 27])
    with Study(path) as study:
        seen = []
        while (trial := study.ask()) is not None:
            step_on(study, trial, 27)
            seen.append(trial.number)
    # Where the paper's worker asks and gets its own trial back, ours goes on with it.
    merged = [
        trial
        for place, (trial, _) in enumerate(wanted)
        if not place or wanted[place - 1][0] != trial
    ]
    assert seen == merged
    assert verified(path).is_good


@pytest.mark.parametrize(
    "rules",
    [
        "asha(pause=true, max_steps=9)",
        "hyperband(max_steps=27, pause=true)",
        "successive-halving(max_steps=9)",
        "median(min_trials=3)+asha(pause=true, max_steps=9)",
    ],
)
@pytest.mark.parametrize("search", ["random", "tpe"])
def test_interleaved_workers_that_die_and_give_back(tmp_path, rules, search):
    path = made(tmp_path, rules, budget=24, search=search)
    chance = random.Random(rules + search)
    studies = [Study(path) for _ in range(3)]
    open_, steps = [None] * 3, [0] * 3
    for _ in range(2000):
        place = chance.randrange(3)
        study, trial = studies[place], open_[place]
        if trial is None:
            trial = open_[place] = study.ask()
            steps[place] = 0
            if trial is None and all(each is None for each in open_):
                break
        elif chance.random() < 0.02:
            study.give_back(trial)
            open_[place] = None
        elif chance.random() < 0.02:  # another finds its process gone
            study._writer.bury([study._worker], "died")
            study.close()
            studies[place], open_[place] = Study(path), None
        else:
            try:
                trial.report(steps[place], loss=loss_of(trial.number) / (steps[place] + 1))
                steps[place] += 1
            except TrialStopped:
                study.tell(trial)
                open_[place] = None
            if open_[place] is not None and steps[place] == 27:
                study.tell(trial, loss_of(trial.number))
                open_[place] = None
    for study in studies:
        study.close()
    with Reader(path) as reader:
        assert len(reader.trials()) == 24
        assert not reader.has_open_trials()
        assert reader.trials("complete")
        assert any(d.verdict == "promote" for d in reader.decisions())
    found = verified(path)
    assert found.is_good, found.problems
    assert shell("check", path).returncode == 0


def test_killed_at_random_nobody_is_let_on_twice(tmp_path):
    path = tmp_path / "study.db"
    rule = "asha(pause=true, max_steps=100)"
    command = ["run", BALL, "--study", path, "--search", "random", "--trials", "40",
               "--stop", rule, "--set", "steps=100", "--workers", "3"]  # fmt: skip
    kill_at_random(path, command, "pauses", 2)
    last = shell("resume", path)
    assert last.returncode == 0, last.stderr
    found = verified(path)
    assert found.is_good, found.problems
    with Reader(path) as reader:
        let_on = Counter(
            (d.trial, d.facts["reports"]) for d in reader.decisions() if d.verdict == "promote"
        )
    assert let_on
    assert set(let_on.values()) == {1}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE decision SET facts = json_set(facts, '$.rank', 2) WHERE verdict = 'promote'",
        "DELETE FROM decision WHERE verdict = 'promote'",
        "DELETE FROM decision WHERE verdict = 'pause'",
        "UPDATE decision SET verdict = 'stop' WHERE verdict = 'pause'",
        "UPDATE trial SET state = 'stopped' WHERE state = 'paused'",
        "UPDATE attempt SET ending = 'given back' WHERE ending = 'paused'",
        "UPDATE attempt SET value = value + 1 WHERE ending = 'paused'",
        "UPDATE study SET stopping = replace(stopping, '\"eta\": 3', '\"eta\": 4')",
    ],
)
def test_what_is_changed_is_noticed(tmp_path, change):
    path = made(tmp_path, "asha(pause=true, max_steps=4)", budget=12)
    run_all(path, 4)
    assert verified(path).is_good
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    assert not verified(path).is_good


def test_letting_another_on_is_noticed(tmp_path, monkeypatch):
    """A rule that lets the worst on, in place of the best."""
    path = made(tmp_path, "asha(pause=true, max_steps=4)", budget=12)

    def worst(self, state):
        first = self._at.get((0, 1), [])
        found = [(v, n) for v, n in first if state(n) == "paused" and n not in self._climbed]
        if len(found) < 3:
            return None
        return max(found)[1], {"rank": 9, "trials": 9, "reports": 1, "kept": 3}

    with monkeypatch.context() as patched:
        patched.setattr(Ladder, "promotable", worst)
        run_all(path, 4)
    assert any("was let on at tick" in problem for problem in verified(path).problems)


def test_beginning_a_new_trial_instead_is_noticed(tmp_path, monkeypatch):
    path = made(tmp_path, "asha(pause=true, max_steps=4)", budget=12)
    with monkeypatch.context() as patched:
        patched.setattr(Ladder, "promotable", lambda self, state: None)
        run_all(path, 4)
    assert any("was to be let on" in problem for problem in verified(path).problems)


def test_a_claim_costs_the_same_however_many_are_paused(tmp_path):
    path = made(tmp_path, "asha(pause=true, max_steps=4)", budget=400)
    costs = {}
    with Study(path) as study:
        for number in range(302):
            seen = []
            study._writer._db._connection.set_trace_callback(seen.append)
            trial = study.ask()
            study._writer._db._connection.set_trace_callback(None)
            costs[number] = len(seen)
            with suppress(TrialStopped):  # the later the worse: nobody is let on
                trial.report(0, loss=float(trial.number))
                trial.report(1, loss=float(trial.number))
            study.tell(trial, 0.5 if not trial.should_stop else None)
    assert costs[301] <= costs[10] + 1


def test_a_paused_trial_is_evidence_and_never_the_best(tmp_path):
    path = made(tmp_path, "asha(pause=true, max_steps=4)", budget=4)
    with Study(path) as study:
        for _ in range(2):
            step_on(study, study.ask(), 9)
        assert study.best is None
        history = study.reader.history(before=10**6)
        assert [(f.state, f.value) for f in history] == [
            ("stopped", loss_of(0) + 1.0), ("stopped", loss_of(1) + 1.0)
        ]  # fmt: skip
        with pytest.raises(TinytuneError, match="no trial that has ended"):
            replicate.chosen(study.reader, None, None)
    taught, _ = learn.learned(record(search="tpe"), [path])
    assert [(f.result.state, f.result.value) for f in taught.lessons] == [
        ("stopped", loss_of(0) + 1.0), ("stopped", loss_of(1) + 1.0)
    ]  # fmt: skip
    shown = json.loads(shell("show", path, 1, "--format", "json").stdout)
    assert shown["state"] == "paused"
    assert shown["decision"]["reason"].startswith("at step 0 by asha: rank")
    text = shell("show", path, 0).stdout
    assert (
        "\npaused    at step 0 by asha: rank 1 of 1 trials after 1 reports, of which the best 0"
        in text
    )
    assert "2 paused" in shell("status", path).stdout
    none = shell("best", path)
    assert none.returncode == 1
    assert "no complete trial yet, 2 are paused until there are more trials" in none.stderr


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Asha(pause=1), "pause 1 must be true or false"),
        (lambda: Asha(pause=True), "pause needs max_steps"),
        (lambda: SuccessiveHalving(max_steps=1), "max_steps 1 leaves no rung"),
        (lambda: SuccessiveHalving(trials=1), "trials 1 must be a whole number from 2"),
        (lambda: SuccessiveHalving(eta=1), "eta 1 must be a whole number from 2"),
    ],
)
def test_options_that_are_none(make, complaint):
    with pytest.raises(UsageError, match=complaint):
        make()
