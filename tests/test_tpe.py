"""TPE: its densities, its split, and that it is better than random."""

import math

import numpy as np
import pytest

from tinytune import draw
from tinytune.distributions import Choice, Float, Int, Normal
from tinytune.errors import UsageError
from tinytune.history import Finished, Pending
from tinytune.search.random import Random
from tinytune.search.tpe import Tpe, improvements
from tinytune.search.tpe_density import Axis, Mixture
from tinytune.space import Space
from tinytune.testing import bowl, simulate, spaces

KINDS = {
    "float": Float(0, 1),
    "normal": Normal(0, 1),
    "step": Float(0, 1, step=0.1),
    "int": Int(1, 7),
    "log int": Int(1, 50, log=True),
    "choice": Choice("a", "b", "c"),
    "weights": Choice("a", "b", "c", weights=[5, 2, 1]),
    "ordered": Choice("a", "b", "c", weights=[1, 2, 1], ordered=True),
}


def mixture(axis, count=6):
    points = draw.uniforms(count, 1, 0, "points").reshape(-1, 1)
    return Mixture.of([axis], points, np.arange(1.0, count + 1.0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 6, 60])
def test_a_density_integrates_to_one(kind, count):
    axis = Axis(KINDS[kind])
    units = (np.arange(40_000) + 0.5) / 40_000
    density = np.exp(mixture(axis, count).log_density(axis.snapped(units)[:, None]))
    assert density.mean() == pytest.approx(1, abs=2e-3)
    assert math.fsum(mixture(axis, count).weights) == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_follow_the_density(kind):
    axis = Axis(KINDS[kind])
    made = mixture(axis)
    found = made.sample(draw.uniforms(60_000, 3, 0, "sample").reshape(-1, 3))[:, 0]
    units = (np.arange(40_000) + 0.5) / 40_000
    density = np.exp(made.log_density(axis.snapped(units)[:, None]))
    for end in (0.2, 0.5, 0.8):
        snapped = axis.snapped(units)
        assert np.mean(found < end) == pytest.approx(
            float(np.mean(density * (snapped < end))), abs=0.015
        )


@pytest.mark.parametrize("kind", KINDS)
def test_cells_are_those_of_the_distribution(kind):
    distribution, axis = KINDS[kind], Axis(KINDS[kind])
    for u in draw.uniforms(200, 5, 0, "cells").tolist():
        snapped = float(axis.snapped(np.array([u]))[0])
        assert distribution.from_unit(snapped) == distribution.from_unit(u)


def test_the_good_ones_are_weighed_by_improvement():
    assert improvements(np.array([1.0, 2.0, 3.0]), 3.0).tolist() == [1.0, 0.5, 1e-12]
    assert improvements(np.array([1.0, 2.0]), math.inf).tolist() == [1.0, 1.0]
    assert improvements(np.array([-1e308]), 1e308).tolist() == [1.0]


@pytest.mark.parametrize(("count", "good"), [(10, 2), (20, 3), (21, 4), (500, 25)])
def test_the_split_is_by_gamma(count, good):
    space = Space.of({"x": Float(0, 1)})
    running = Tpe().start(space, 1, None)
    for number in range(count):
        running.tell(Finished(number, "complete", {"x": (number + 0.5) / count}, float(number)))
    rows = np.lexsort((running._numbers[:count], running._values[:count]))
    below, above = running._split(np.array([0]), rows, np.empty((0, 1)))
    assert below.centres[:, 0].tolist() == [(i + 0.5) / count for i in range(good)]
    assert len(above.centres) == min(count - good, 400)


@pytest.mark.parametrize("name", ["20 numbers", "conditions", "categories", "whole numbers"])
def test_the_order_of_telling_has_no_effect(name):
    space = spaces()[name]
    told = [t.result for t in simulate(Tpe(), space, bowl(space), 40, 4, fail_share=0.2)]
    one, other = Tpe().start(space, 1, None), Tpe().start(space, 1, None)
    for result in told:
        one.tell(result)
    for result in reversed(told):
        other.suggest(41, ())
        other.tell(result)
    assert [one.suggest(n, ()) for n in (40, 41)] == [other.suggest(n, ()) for n in (40, 41)]


def test_a_pending_trial_changes_the_suggestion():
    space = Space.of({"x": Float(0, 1), "y": Float(0, 1)})
    running = Tpe().start(space, 1, None)
    for number in range(30):
        params = space.sample(1, number, "told")
        running.tell(Finished(number, "complete", params, bowl(space)(params)))
    changed = 0
    for number in range(30, 50):
        params = running.suggest(number, ())
        waiting = [Pending(60 + i, params) for i in range(5)]
        changed += running.suggest(number, waiting) != params
    assert changed >= 5


@pytest.mark.parametrize("name", ["2 numbers", "logarithmic", "whole numbers"])
def test_is_better_than_random(name):
    space, wins = spaces()[name], 0
    for seed in range(12):
        best = [
            min(t.result.value for t in simulate(o, space, bowl(space), 60, seed=seed))
            for o in (Tpe(), Random())
        ]
        wins += best[0] <= best[1]
    assert wins >= 9


@pytest.mark.parametrize(
    "options",
    [{"startup": 0}, {"startup": True}, {"candidates": 2.5}, {"gamma": 0}, {"gamma": 1}],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(UsageError, match="tpe: "):
        Tpe(**options)
