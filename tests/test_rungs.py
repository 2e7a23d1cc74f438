"""What searches are told where trials end at rungs: values at one rung, and the same on replay."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.studies import record
from tests.test_early_stopping import verified
from tinytune import search, stopping
from tinytune import study as study_module
from tinytune.errors import TrialStopped
from tinytune.history import Finished, Goal
from tinytune.search import rungs, several
from tinytune.search.fold import Fold
from tinytune.store.reader import Reader
from tinytune.study import Study


def ended(number, at, value=None, state=None):
    """Return a trial with these values by rung; one with a value is complete."""
    state = state or ("stopped" if value is None else "complete")
    last = value if value is not None or not at else [*at.values()][-1]
    return Finished(number, state, {"x": 0.5}, last, rungs=tuple(at.items()))


def test_the_highest_rung_with_enough_trials_counts():
    results = [ended(n, {1: 0.9 - n / 10, 3: 0.1 + n / 10}) for n in range(4)]
    results.append(ended(4, {1: 0.2, 3: 0.7, 9: 5.0}))
    assert rungs.values(results, 1) == [0.1, 0.2, pytest.approx(0.3), pytest.approx(0.4), 0.7]
    complete = [ended(n, {1: 1.0, 3: 1.0, 9: 1.0}, n / 8) for n in range(5, 9)]
    assert rungs.values([*results, *complete], 1)[5:] == [5 / 8, 6 / 8, 7 / 8, 8 / 8]
    # BOHB: d + 1, and 2 more. With two parameters four are too few for rung 9, and for the whole
    found = rungs.values([*results, *complete], 2)
    assert found[4:] == [5.0, 1.0, 1.0, 1.0, 1.0]


def test_before_there_are_enough_the_rung_with_most_trials_counts():
    results = [ended(0, {1: 0.5, 3: 9.0}), ended(1, {1: 0.4})]
    assert rungs.values(results, 5) == [0.5, 0.4]
    assert rungs.values([ended(0, {1: 0.5, 3: 9.0})], 5) == [9.0]


PEERS = [ended(n, {1: float(n)}, 10.0 * n) for n in range(1, 5)]


@pytest.mark.parametrize(
    ("at", "told"),
    [(2.5, 25.0), (2.0, 20.0), (0.5, 10.0), (3.75, 37.5), (5.0, 70.0), (math.inf, 70.0)],
)
def test_a_trial_that_ended_below_is_told_the_value_of_its_rank(at, told):
    assert rungs.values([*PEERS, ended(9, {1: at})], 1)[-1] == told


def test_those_worse_than_all_come_after_them_the_later_rungs_first():
    low = [ended(5, {}, state="stopped"), ended(6, {1: 8.0}), ended(7, {1: 7.0, 3: 99.0})]
    low[0] = Finished(5, "stopped", {}, 0.0)  # it came to no rung at all
    low.append(Finished(8, "failed", {}, None, rungs=((1, 0.0),)))
    found = rungs.values([*PEERS, *low], 1)
    assert found[:4] == [10.0, 20.0, 30.0, 40.0]
    assert found[4:] == [70.0, 60.0, 50.0, None]


def test_what_was_no_number_at_the_rung_is_as_bad_as_a_failure():
    results = [*PEERS[:3], ended(4, {1: math.inf}), ended(5, {1: 2.0}), ended(6, {1: 9.0})]
    assert rungs.values([ended(n, dict(r.rungs)) for n, r in enumerate(results)], 3) == [
        1.0, 2.0, 3.0, None, 2.0, 9.0
    ]  # fmt: skip


def test_how_far_below_the_rung_that_counts_a_trial_ended():
    low = [ended(5, {1: 1.0}), ended(6, {1: 1.0, 3: 1.0}), ended(7, {1: 1.0, 3: 1.0, 9: 1.0})]
    failed = Finished(8, "failed", {}, None, rungs=((1, 0.0),))
    early = Finished(9, "complete", {}, 1.0)  # it returned before it came to a rung
    places = rungs.below([*PEERS, *low, failed, early], 1)
    assert places == [0.0] * 4 + [1.0, 2 / 3, 1 / 3, 0.0, 0.0]
    assert rungs.below([*PEERS, ended(5, {}, state="failed")], 1) == [0.0] * 5
    nowhere = Finished(5, "stopped", {}, 0.0)
    assert rungs.below([*low, nowhere], 0) == [0.0, 0.0, 0.0, 1.0]  # at rung 1 most have been
    assert rungs.below([nowhere], 0) == [0.0]


def test_huge_numbers_lead_to_none_that_is_infinite():
    most = 1.7e308
    peers = [ended(n, {1: v}, v) for n, v in enumerate((-most, most, -most, most))]
    found = rungs.values([*peers, ended(5, {1: 0.0}), ended(6, {1: math.inf})], 1)
    assert all(math.isfinite(value) for value in found)


VALUE = st.integers(0, 9).map(float)


@settings(max_examples=60)
@given(st.lists(st.lists(VALUE, min_size=1, max_size=4), min_size=1, max_size=30), st.randoms())
def test_told_values_are_in_the_order_of_those_at_the_rung(curves, chance):
    places = (1, 3, 9)
    results = [
        ended(n, dict(zip(places, curve, strict=False)), curve[3] if len(curve) == 4 else None)
        for n, curve in enumerate(curves)
    ]
    told = rungs.values(results, 2)
    known = [rungs._points(result) for result in results]
    by_rung = {p: sum(p in points for points in known) for points in known for p in points}
    enough = min(5, max(by_rung.values()))
    rung = max(place for place, count in by_rung.items() if count >= enough)
    came = [points[rung] for points in known if rung in points]
    assert [t for t, points in zip(told, known, strict=True) if rung in points] == came
    assert min(told) == min(came)  # who ended below is never the best alone
    assert max(told) <= max(came) + max(max(came) - min(came), abs(max(came)), 1.0)
    for place in places:  # of those who ended at the same rung the better one is told as better
        here = sorted((p[place], t) for p, t in zip(known, told, strict=True) if max(p) == place)
        assert place >= rung or [t for _, t in here] == sorted(t for _, t in here)
    order = chance.sample(range(len(results)), len(results))
    again = rungs.values([results[n] for n in order], 2)
    ties = len(set(map(tuple, curves))) < len(curves)
    assert ties or again == [told[n] for n in order]


def test_a_trial_that_was_let_on_is_told_once():
    before = [ended(0, {1: 0.5}), ended(1, {1: 0.7})]
    after = [*before, ended(0, {1: 0.5, 3: 0.2})]
    assert [(r.number, r.rungs) for r in rungs.latest(after)] == [
        (0, ((1, 0.5), (3, 0.2))), (1, ((1, 0.7),))
    ]  # fmt: skip


# Whole studies

SMALL = {"gp": {"startup": 4, "most": 20, "candidates": 20}}
RULES = (
    "hyperband(max_steps=9)",
    "hyperband(max_steps=9, pause=true)",
    "asha(pause=true, max_steps=9)",
)


def wanted(name, rules, budget=24, direction="minimize"):
    found = record(budget=budget, direction=direction)
    spec = search.spec(search.make(name, SMALL.get(name, {})))
    rule = stopping.specs(stopping.parse(rules))
    return found._replace(search=spec, stopping=rule)


def curve(params, step, sign=1.0):
    x, value = params["x"], params["value"]
    return sign * ((x - 0.3) ** 2 + 0.1 * value + (1.0 + abs(x)) / (1 + step))


def work(path, sign=1.0, workers=3, between=lambda: None):
    """Run a study with several trials at a time, step by step; one in eleven fails."""
    chance, running = random.Random(1), {}
    with Study(path) as study:
        while True:
            while len(running) < workers and (trial := study.ask()) is not None:
                running[trial] = 0
            if not running:
                return
            between()
            trial = chance.choice([*running])
            step = running[trial]
            running[trial] += 1
            if trial.number % 11 == 5 and step == 2:
                study.tell(trial, ValueError("it broke"))
            elif step < 9:
                try:
                    trial.report(step, loss=curve(trial.params, step, sign))
                except TrialStopped:
                    study.tell(trial)
                else:
                    continue
            else:
                study.tell(trial, curve(trial.params, 8, sign))
            del running[trial]


@pytest.mark.parametrize(
    ("name", "rules"),
    [*zip(("de", "cma-es", "nelder-mead"), RULES, strict=True), ("tpe", RULES[1]),
     ("gp", RULES[2]), ("auto", RULES[1]), ("nelder-mead", RULES[1]), ("pattern", RULES[2])],
)  # fmt: skip
def test_every_suggestion_follows_from_what_was_recorded(tmp_path, name, rules):
    path = tmp_path / "study.db"
    assert study_module.start(path, wanted(name, rules), None)
    work(path)
    found = verified(path)
    assert found.is_good, (found.problems, [v for v in found.verdicts if v.status == "differs"])
    assert found.count("exact") == 24


def test_what_a_search_heard_of_a_paused_trial_stays_so_when_it_is_let_on(tmp_path):
    path, heard = tmp_path / "study.db", {}
    assert study_module.start(path, wanted("de", RULES[2]), None)
    with Reader(path) as reader:

        def listen():
            now = reader.tick() + 1
            heard[now] = reader.history(before=now)

        work(path, between=listen)
        for tick, then in heard.items():
            assert reader.history(before=tick) == then


def test_verify_notices_another_rung(tmp_path, monkeypatch):
    path = tmp_path / "study.db"
    assert study_module.start(path, wanted("tpe", RULES[0]), None)
    work(path)
    monkeypatch.setattr(rungs, "_MORE", 6)
    assert verified(path).count("differs")


def test_a_search_told_step_by_step_equals_one_that_is_rebuilt(tmp_path):
    path = tmp_path / "study.db"
    made = wanted("de", RULES[1])
    assert study_module.start(path, made, None)
    work(path)
    with Reader(path) as reader:
        results = reader.history(before=reader.tick() + 1)
    assert len(results) > 24  # some were let on
    growing = Fold(made)
    for count, result in enumerate(results, start=1):
        growing.tell([result])
        rebuilt = Fold(made)
        rebuilt.tell(results[:count])
        assert growing.suggest(40, ()) == rebuilt.suggest(40, ())
    assert len(growing._heard) == 24  # each trial is told once, with its latest ending
    assert {result.below for result in growing._heard} >= {0.0, 1.0}


def test_what_is_to_be_maximised_is_the_mirror_image(tmp_path):
    params = []
    for direction, sign in (("minimize", 1.0), ("maximize", -1.0)):
        path = tmp_path / f"{direction}.db"
        assert study_module.start(path, wanted("tpe", RULES[0], direction=direction), None)
        work(path, sign)
        with Reader(path) as reader:
            params.append([trial.params for trial in reader.trials()])
    assert params[0] == params[1]


def test_all_rungs_of_hyperband_are_recorded_for_all_of_its_trials(tmp_path):
    path = tmp_path / "study.db"
    assert study_module.start(path, wanted("random", "hyperband(max_steps=20)", budget=30), None)
    with Study(path) as study:
        while (trial := study.ask()) is not None:
            try:
                for step in range(20):
                    trial.report(step, loss=curve(trial.params, step))
            except TrialStopped:
                study.tell(trial)
            else:
                study.tell(trial, curve(trial.params, 19))
        history = study.reader.history(before=study.reader.tick() + 1)
    for result in history:
        steps = 20 if result.state == "complete" else result.rungs[-1][0]
        assert [place for place, _ in result.rungs] == [p for p in (2, 6) if p <= steps]  # 20 / 3^k
        assert [v for _, v in result.rungs] == [
            curve(result.params, place - 1) for place, _ in result.rungs
        ]


def test_several_objectives_are_told_as_without_rungs():
    made = wanted("tpe", RULES[0])
    goals = (Goal("loss", "minimize"), Goal("size", "minimize"))
    fold = Fold(made._replace(goals=goals))
    fold.tell([Finished(0, "stopped", {"x": 0.1}, 1.0, 5, {"loss": 1.0}, rungs=((1, 1.0),))])
    assert fold._at_one_rung() is fold._results


def test_without_rungs_a_suggestion_looks_only_at_what_is_new(monkeypatch):
    results = [Finished(n, "stopped", {"x": n / 50}, n % 7.0, n + 1) for n in range(40)]
    made = wanted("de", "median")
    slow = Fold(made)
    slow._is_apart = False
    slow.tell(results)
    looked, real = [], several.plain

    def counted(known, weights):
        looked.append(len(known))
        return real(known, weights)

    monkeypatch.setattr(several, "plain", counted)
    quick = Fold(made)
    for result in results:
        quick.tell([result])
        quick.suggest(99, ())
    assert looked == []
    assert quick.suggest(99, ()) == slow.suggest(99, ())
    assert quick._heard == slow._heard
    late = Finished(40, "stopped", {"x": 0.9}, 0.5, 41, rungs=((1, 0.5),))  # rules were others then
    for fold in (quick, slow):
        fold.tell([late])
    assert quick.suggest(99, ()) == slow.suggest(99, ())
    assert looked == [40, 41, 41]
