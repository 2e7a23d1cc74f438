"""Searches with several objectives and requirements: what they are told, replay, and kills."""

import json
import math
import random
import sqlite3
from contextlib import closing
from itertools import pairwise

import numpy as np
import pytest

from tests.shell import tinytune
from tests.studies import record
from tinytune import draw, pareto, search, verify
from tinytune import study as study_module
from tinytune.distributions import Float
from tinytune.errors import UsageError
from tinytune.history import Finished, Goal
from tinytune.portable import arrays
from tinytune.search import gp_several, layers, nsga_ii, several
from tinytune.search.fold import Fold
from tinytune.search.gp_acquisition import log_improvement
from tinytune.search.nsga_ii import Member, NsgaII
from tinytune.space import Space
from tinytune.store.reader import Reader
from tinytune.study import Study

GOALS = (Goal("loss", "minimize"), Goal("gain", "maximize"))
THREE = (*GOALS, Goal("size", "minimize"))
SMALL = {"gp": {"startup": 4, "most": 20, "candidates": 20}}
SEARCHES = ("tpe", "gp", "nsga-ii", "auto", "de", "cma-es", "random")


def wanted(name, budget=20, goals=GOALS, subject_to=("size <= 60",)):
    spec = search.spec(search.make(name, SMALL.get(name, {})))
    return record(budget=budget)._replace(search=spec, goals=goals, subject_to=subject_to)


def results(params):
    x, n = params["x"], params.get("n", 2)
    return {"loss": (x - 0.3) ** 2 + params["value"], "gain": x * n, "size": 30 * n}


def work(path, workers=3, seed=1, until=None):
    """Run a study with several trials at a time, told in any order; one in seven fails."""
    chance, open_trials, count = random.Random(seed), [], 0
    with Study(path) as study:
        while until is None or count < until:
            while len(open_trials) < workers and (trial := study.ask()) is not None:
                open_trials.append(trial)
            if not open_trials:
                return
            trial = open_trials.pop(chance.randrange(len(open_trials)))
            study.tell(trial, None if trial.number % 7 == 3 else results(trial.params))
            count += 1
        for trial in open_trials:
            study.give_back(trial)


def params_of(path):
    with Reader(path) as reader:
        return [trial.params for trial in reader.trials()]


@pytest.mark.parametrize(
    ("name", "goals"),
    [
        *((name, GOALS) for name in SEARCHES),
        *((name, GOALS[:1]) for name in ("gp", "de")),
        ("gp", THREE),
    ],
)
def test_every_suggestion_is_recomputed_exactly(tmp_path, name, goals):
    path = tmp_path / "study.db"
    assert study_module.start(path, wanted(name, goals=goals), None)
    work(path)
    with Reader(path) as reader:
        found = verify.verify(reader, lambda *_: None)
    assert found.count("exact") == 20
    assert found.problems == ()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE trial SET params = json_set(params, '$.x', 0.123456)")
    with Reader(path) as reader:
        assert verify.verify(reader, lambda *_: None).count("differs") >= 19


def test_what_trials_took_is_read_from_the_file_when_it_is_verified(tmp_path):
    path, options = tmp_path / "study.db", {**SMALL["gp"], "seconds": 0.5}
    spec = search.spec(search.make("gp", options))
    assert study_module.start(path, wanted("gp")._replace(search=spec), None)
    work(path)
    with Reader(path) as reader:
        assert all(trial.seconds > 0 for trial in reader.trials())
        assert verify.verify(reader, lambda *_: None).count("exact") == 20
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE trial SET seconds = 0.01 * (number % 3)")
    with Reader(path) as reader:
        assert verify.verify(reader, lambda *_: None).count("differs") > 3


def test_gp_takes_its_seconds_from_the_budget():
    plan = {"trials": 9, "workers": 1, "begins_with_defaults": False, "seconds": 60.0}
    assert search.planned(search.make("gp", {}), **plan).seconds == 60.0
    assert search.planned(search.make("gp", {"seconds": 5}), **plan).seconds == 5
    assert search.planned(search.make("gp", {}), 9, 1, begins_with_defaults=False).seconds is None


def test_another_gain_gives_other_suggestions(tmp_path):
    """The second objective is heard: with its sign turned the search goes elsewhere."""
    told = {}
    for direction in ("maximize", "minimize"):
        path = tmp_path / f"{direction}.db"
        goals = (GOALS[0], Goal("gain", direction))
        assert study_module.start(path, wanted("tpe", goals=goals), None)
        work(path)
        told[direction] = params_of(path)
    assert told["maximize"][:10] == told["minimize"][:10]  # before the model
    assert told["maximize"] != told["minimize"]


@pytest.mark.parametrize("name", ["tpe", "nsga-ii"])
def test_a_study_that_was_cut_off_goes_on_as_if_nothing_had_happened(tmp_path, name):
    whole, parts = tmp_path / "whole.db", tmp_path / "parts.db"
    for path in (whole, parts):
        assert study_module.start(path, wanted(name, budget=24), None)
    work(whole, workers=1)
    for _ in range(3):
        work(parts, workers=1, until=9)
    assert params_of(parts) == params_of(whole)


@pytest.mark.parametrize("name", ["tpe", "nsga-ii", "de"])
def test_step_by_step_equals_rebuilt(name):
    growing, told = Fold(wanted(name)), []
    for number in range(24):
        params = growing.suggest(number, ())
        values = results(params)
        missed = max(0.0, values["size"] - 60) / 60
        value = values["loss"]
        told.append(Finished(number, "complete", params, value, number + 1, values, missed))
        growing.tell(told[-1:])
        growing.suggest(number + 7, ())  # other weights in between
    rebuilt = Fold(wanted(name))
    rebuilt.tell(told)
    assert rebuilt.suggest(24, ()) == growing.suggest(24, ())
    assert rebuilt.seen == growing.seen


KILLED = """
import os, signal
from pathlib import Path
from typing import Annotated
import tinytune
from tinytune import Float

@tinytune.trial(minimize=("loss", "steps"), subject_to="loss <= 0.5")
def train(trial: tinytune.Trial, x: Annotated[float, Float(0.0, 1.0)] = 0.5):
    for step in range(1 + int(8 * x)):
        tinytune.report(step, loss=x)
    if trial.number in (4, 9) and trial.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"loss": (x - 0.3) ** 2}
"""


def test_a_kill_loses_nothing(tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    run = ("run", "killed.py", "--search=nsga-ii(population=4)", "--trials", 16, "--workers", 2)
    assert tinytune(*run, cwd=tmp_path).returncode == 0
    with Reader(tmp_path / "study.db") as reader:
        trials = reader.trials()
        assert [trial.state for trial in trials] == ["complete"] * 16
        assert all(trial.values["steps"] == 1 + int(8 * trial.params["x"]) for trial in trials)
        (attempt,) = reader.attempts(4)
        assert (attempt.ending, attempt.cost.steps) == ("died", trials[4].steps)
        assert reader.spent()["died"] > 0
        found = verify.verify(reader, lambda *_: None)
    assert found.count("exact") == 16
    assert found.problems == ()


# What a search is told


def finished(number, goals, violation=None, state="complete", params=None):
    value = goals[0] if math.isfinite(goals[0]) else None
    return Finished(number, state, params or {}, value, goals=tuple(goals), violation=violation)


def test_weights_add_up_and_spread_evenly():
    for count in (2, 3, 5):
        found = [several.weights(7, number, count) for number in range(200)]
        assert all(sum(weights) == pytest.approx(1.0, abs=1e-12) for weights in found)
        assert all(0 <= weight <= 1 for weights in found for weight in weights)
        for place in range(count):
            mean = sum(weights[place] for weights in found) / len(found)
            assert mean == pytest.approx(1 / count, abs=0.02)
    ten = sorted(weights[0] for weights in (several.weights(7, n, 2) for n in range(10)))
    assert max(b - a for a, b in pairwise(ten)) < 0.2  # any ten in a row
    assert several.weights(7, 3, 2) != several.weights(8, 3, 2)


def test_of_three_objectives_the_points_looked_for_are_even_not_the_weights():
    """The distance is least where values are as 1 to the weights; few of these lie at an end."""
    found = [several.weights(3, number, 3) for number in range(300)]
    aims = [[1 / weight for weight in weights] for weights in found]
    aims = [[x / sum(aim) for x in aim] for aim in aims]
    for place in range(3):
        assert sum(aim[place] > 0.5 for aim in aims) / 300 == pytest.approx(0.25, abs=0.03)
        assert sum(aim[place] > 0.9 for aim in aims) / 300 == pytest.approx(0.01, abs=0.01)


def test_the_improvement_by_the_greatest_of_normal_variables():
    chance = np.random.RandomState(4)
    means, deviations = chance.randn(3, 20), np.exp(0.5 * chance.randn(3, 20))
    best = chance.randn(20) + np.repeat([2.0, -1.0], 10)
    found = gp_several.log_improvement(means, deviations, best)
    t = np.linspace(0.0, 30.0, 3_001)[:, None, None]  # the probability to be below, summed up
    below = arrays.normal_cdf((best - t - means) / deviations).prod(axis=1)
    assert found == pytest.approx(np.log(np.trapezoid(below, dx=0.01, axis=0)), abs=0.01)
    alone = gp_several.log_improvement(means[:1], deviations[:1], best)
    assert alone == pytest.approx(log_improvement(means[0], deviations[0] ** 2, best), abs=0.02)


def test_what_one_objective_rules_out_is_no_improvement():
    """However unsure the others are: the distance is not taken for normal."""
    means, deviations = np.array([[1.0], [0.0]]), np.array([[0.01], [3.0]])
    assert gp_several.log_improvement(means, deviations, np.array([0.5]))[0] < -1000


def test_an_objective_that_no_trial_has_reported_does_no_harm():
    goals = tuple(Goal(name, "minimize") for name in ("loss", "size", "other"))
    fold = Fold(wanted("gp", goals=goals, subject_to=()))
    for number in range(8):
        params = fold.suggest(number, ())
        values = {"loss": params["x"], "size": 1 - params["x"]}
        done = Finished(number, "stopped", params, values["loss"], number + 1, values)
        fold.tell([done])
    assert fold.suggest(8, ()) is not None


def test_the_value_is_the_augmented_chebyshev_distance():
    told = [finished(0, (0.0, 4.0)), finished(1, (2.0, 0.0)), finished(2, (1.0, 3.0))]
    found = several.values(told, [0.25, 0.75])
    # in units of the front: (0, 1), (1, 0), (0.5, 0.75)
    expected = [0.75 + 0.05 * 0.75, 0.25 + 0.05 * 0.25, 0.5625 + 0.05 * (0.125 + 0.5625)]
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_result_far_off_does_not_flatten_the_others():
    told = [finished(0, (0.0, 1.0)), finished(1, (1.0, 0.0)), finished(2, (1e9, 1e9))]
    found = several.values(told, [0.5, 0.5])
    assert found[:2] == several.values(told[:2], [0.5, 0.5])


def test_one_that_dominates_is_told_a_smaller_value_whatever_the_weights():
    chance = random.Random(5)
    told = [finished(n, [round(chance.random(), 2) for _ in range(3)]) for n in range(40)]
    for number in range(20):
        found = several.values(told, several.weights(1, number, 3))
        for a, x in zip(told, found, strict=True):
            for b, y in zip(told, found, strict=True):
                if pareto.dominates(a.goals, b.goals):
                    assert x < y


def test_what_is_not_known_of_a_stopped_trial_counts_as_the_worst():
    told = [finished(0, (0.0, 4.0)), finished(1, (2.0, 0.0))]
    stopped = finished(2, (1.0, math.inf), state="stopped")
    failed = Finished(3, "failed", {}, None, goals=(math.inf, math.inf))
    found = several.values([*told, stopped, failed], [0.5, 0.5])
    assert found[3] is None
    assert found[2] == pytest.approx(0.5 + 0.05 * (0.25 + 0.5))


@pytest.mark.parametrize("weights", [None, [0.5, 0.5]])
def test_what_misses_the_requirements_is_worse_than_all_that_meets_them(weights):
    chance = random.Random(2)
    told = [
        finished(n, (chance.random(), chance.random()), chance.choice([0.0, 0.0, chance.random()]))
        for n in range(30)
    ]
    found = several.values(told, weights)
    met = [value for value, result in zip(found, told, strict=True) if not result.violation]
    missed = sorted((r.violation, v) for v, r in zip(found, told, strict=True) if r.violation)
    assert max(met) < missed[0][1]
    assert [value for _, value in missed] == sorted(value for _, value in missed)
    alone = several.values([result for result in told if result.violation], weights)
    order = np.argsort([r.violation for r in told if r.violation])
    assert [alone[i] for i in order] == sorted(alone)


def test_the_first_objective_with_its_sign():
    result = Finished(0, "complete", {}, 2.0, values={"loss": 2.0, "gain": 3.0})
    assert several.with_goals(result, GOALS).goals == (2.0, -3.0)
    turned = several.with_goals(result, (GOALS[1], GOALS[0]))
    assert (turned.value, turned.goals) == (-2.0, (-2.0, 2.0))  # the value is the first one's
    alone = several.with_goals(result, (Goal("loss", "maximize"),))
    assert (alone.value, alone.goals) == (-2.0, ())


# The layers by which tpe splits


def test_the_front_and_the_layers_after_it():
    chance = random.Random(3)
    goals = np.array([[float(chance.randrange(6)) for _ in range(3)] for _ in range(60)])
    assert layers.front(goals).tolist() == pareto.front(goals.tolist())
    ranks = np.array(pareto.layers(goals.tolist()))
    for count in (1, 7, 30, 60):
        found = layers.best(goals, np.zeros(60), count)
        assert len(set(found.tolist())) == count
        assert sorted(ranks[found]) == sorted(ranks)[:count]


def test_what_misses_less_is_in_a_better_layer():
    goals = np.array([(0.0, 0.0), (9.0, 9.0), (1.0, 1.0), (8.0, 9.5)])
    assert layers.best(goals, np.array([2.0, 0.0, 1.0, 0.0]), 3).tolist() == [1, 3, 2]


def test_of_a_layer_are_taken_the_middle_and_the_ends():
    goals = np.array([(i / 20, 1 - i / 20) for i in range(21)])
    assert sorted(layers.spread(goals, 3)) == [1, 10, 19]  # the very ends serve one direction each
    crowded = np.array([(0.0, 1.0), (0.5, 0.5), (0.501, 0.499), (1.0, 0.0)])
    assert set(layers.spread(crowded, 3)) in ({0, 1, 3}, {0, 2, 3})
    weights = layers.weights(crowded)
    assert max(weights) == 1.0
    assert weights[1] == weights[2] == min(weights)


def test_values_that_are_not_known_count_as_the_worst():
    goals = np.array([(0.0, 4.0), (2.0, 2.0), (1.0, math.inf)])
    assert layers.front(goals).tolist() == [0, 1]
    assert layers.in_units(goals).tolist() == [[0.0, 1.0], [1.0, 0.0], [0.5, 1.0]]


def test_trials_of_tpe_take_turns_at_all_parameters_together_and_each_by_itself(monkeypatch):
    """Each has its own draws, under the name of the first of a group."""
    seen, drawn = [], draw.uniforms
    monkeypatch.setattr(draw, "uniforms", lambda *a: seen.append(a[4]) or drawn(*a))
    space = search_space(3)
    working = search.make("tpe", {}).start(space, 1, None)
    for number in range(10):
        params = space.sample(1, number, "test")
        working.tell(finished(number, tuple(params.values()), params=params))
    for number in (10, 11):
        seen.clear()
        working.suggest(number, ())
        assert seen == (["x0"], ["x0", "x1", "x2"])[number % 2]


# NSGA-II


def test_layers_are_those_of_brute_force():
    chance = random.Random(3)
    goals = [[float(chance.randrange(5)) for _ in range(3)] for _ in range(40)]
    found = nsga_ii.layered(np.array(goals), np.zeros(40))
    assert found.tolist() == pareto.layers(goals)


def test_what_misses_less_is_better_whatever_its_objectives():
    members = [
        Member(0, np.zeros(1), (0.0, 0.0), 2.0),
        Member(1, np.zeros(1), (9.0, 9.0), 0.0),
        Member(2, np.zeros(1), (1.0, 1.0), 1.0),
        Member(3, np.zeros(1), (math.inf, math.inf), math.inf),
        Member(4, np.zeros(1), (8.0, 9.5), 0.0),
    ]
    assert nsga_ii.ranked(members) == [1, 4, 2, 0, 3]


def test_the_crowding_distance():
    goals = np.array([(0.0, 4.0), (1.0, 3.0), (3.0, 1.0), (4.0, 0.0)])
    assert nsga_ii.crowding(goals).tolist() == [math.inf, 1.5, 1.5, math.inf]


def test_children_stay_in_the_cube_and_lie_around_their_parents():
    chance = np.linspace(0.001, 0.999, 999)
    mother, father = np.full(999, 0.2), np.full(999, 0.6)
    child = nsga_ii.crossed(mother, father, chance, np.full(999, 0.1))
    assert np.all((child >= 0) & (child <= 1))
    assert np.median(np.abs(child - 0.4)) == pytest.approx(0.2, abs=0.001)  # a spread of 1
    assert np.all(nsga_ii.crossed(mother, father, chance, np.full(999, 0.9)) == 0.2)
    mutant = nsga_ii.mutated(np.full(999, 0.7), chance)
    assert np.all((mutant >= 0) & (mutant <= 1))
    assert mutant[499] == pytest.approx(0.7)
    assert np.all(np.diff(mutant) >= 0)


@pytest.mark.parametrize("option", [{"population": 3}, {"population": 4.5}, {"crossover": 2}])
def test_options_that_make_no_sense(option):
    with pytest.raises(UsageError, match=f"nsga-ii: {next(iter(option))}"):
        NsgaII(**option)


@pytest.mark.parametrize(("name", "trials", "gain"), [("nsga-ii", 160, 1.1), ("tpe", 80, 1.2)])
def test_it_finds_a_front(name, trials, gain):
    """On (x, 1 - x + distance) the front is found better than by chance."""
    assert volume(name, trials) > gain * volume("random", trials)


def volume(name, trials):
    spec = search.spec(search.make(name, {}))
    goals = (Goal("a", "minimize"), Goal("b", "minimize"))
    fold = Fold(wanted("random", goals=goals)._replace(space=search_space(6), search=spec))
    points = []
    for number in range(trials):
        params = fold.suggest(number, ())
        x, *others = params.values()
        distance = sum((u - 0.5) ** 2 for u in others)
        points.append((x, 1 - x + 4 * distance))
        values = dict(zip("ab", points[-1], strict=True))
        fold.tell([Finished(number, "complete", params, points[-1][0], number + 1, values)])
    return pareto.hypervolume(points, (1.2, 1.2))


def search_space(size):
    return Space.of({f"x{i}": Float(0.0, 1.0) for i in range(size)}, {})


def test_its_label_is_in_the_file(tmp_path):
    path = tmp_path / "study.db"
    assert study_module.start(path, wanted("nsga-ii"), None)
    work(path)
    with closing(sqlite3.connect(path)) as connection:
        (stored,) = connection.execute("SELECT search FROM study").fetchone()
    assert json.loads(stored)["options"] == {"population": 16, "crossover": 0.9}
