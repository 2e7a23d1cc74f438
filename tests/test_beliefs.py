"""Beliefs about where the best lies: where they lead, and what a wrong one costs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shell import tinytune
from tests.studies import make_study, run_all
from tests.test_cli import fails
from tinytune import search, testing
from tinytune.distributions import Choice, Float, Int, LogNormal, Normal
from tinytune.errors import SpaceError, UsageError
from tinytune.search.belief import LEVELS, Opinion, beliefs
from tinytune.space import Space
from tinytune.store.reader import Reader
from tinytune.verify import verify

RANGES = [
    Float(0.0, 10.0, prior=Normal(3.0, 1.0)),
    Float(1e-4, 1.0, log=True, prior=LogNormal(math.log(0.01), 1.0)),
    Float(1e-4, 1.0, log=True, prior=Normal(0.2, 0.1)),
    Float(0.1, 5.0, prior=LogNormal(0.0, 0.5)),
    Float(0.0, 1.0, step=0.1, prior=Normal(0.4, 0.2)),
    Int(1, 20, prior=Normal(8, 2)),
    Int(1, 1024, log=True, prior=LogNormal(math.log(64), 1.0)),
]


@pytest.mark.parametrize("distribution", RANGES, ids=str)
@given(place=st.floats(0.001, 0.999))
def test_the_density_is_the_priors(distribution, place):
    prior = distribution.prior
    belief = beliefs(Space.of({"x": distribution}))[0]
    value = distribution.from_unit(place)
    line = math.log(value) if isinstance(prior, LogNormal) and value > 0 else value
    wanted = math.log(0.95 * math.exp(-0.5 * ((line - prior.mean) / prior.sd) ** 2) + 0.05)
    unit = distribution.to_unit(value)
    assert float(belief.log_density(np.array([unit]))[0]) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("distribution", RANGES, ids=str)
def test_draws_are_the_priors(distribution):
    belief = beliefs(Space.of({"x": distribution}))[0]
    units = [belief.drawn((i + 0.5) / 200) for i in range(200)]
    assert units == sorted(units)
    assert min(units) >= 0.0
    assert max(units) <= 1.0
    prior = distribution.prior
    values = [distribution.from_unit(unit) for unit in units]
    within = [
        abs((math.log(v) if isinstance(prior, LogNormal) else v) - prior.mean) <= prior.sd
        for v in values
    ]
    assert 0.5 < sum(within) / len(within) <= 1.0  # about 68 %, before rounding and cutting


@pytest.mark.parametrize("level", LEVELS)
def test_trust_in_a_default(level):
    space = Space.of(
        {"x": Float(0, 1), "kind": Choice("a", "b", "c"), "size": Choice(1, 2, 4, ordered=True)},
        {"x": 0.25, "kind": "b", "size": 4},
    )
    number, kind, size = beliefs(space, level)
    density = number.log_density(np.array([0.05, 0.25, 0.6, 1.0]))
    assert density[1] == pytest.approx(0.0)
    assert density[1] > density[0] > density[2] > density[3] >= math.log(0.05)
    odds = np.exp(kind.log_density(np.array([1, 3, 5]) / 6))
    assert odds == pytest.approx([1 / LEVELS[level][1], 1, 1 / LEVELS[level][1]])
    drawn = [space.by_name["kind"].distribution.from_unit(kind.drawn(i / 300)) for i in range(300)]
    shares = [drawn.count(option) / 300 for option in "abc"]
    assert shares[1] / shares[0] == pytest.approx(LEVELS[level][1], rel=0.15)
    assert size.log_density(np.array([5 / 6]))[0] == pytest.approx(0.0)


def test_a_belief_counts_less_with_each_result():
    found = beliefs(Space.of({"x": Float(0, 1, prior=Normal(0.2, 0.1))}))
    points, active = np.array([[0.9]]), np.array([[True]])
    few, many = (Opinion.of(found, count).of_points(points, active)[0] for count in (5, 50))
    assert few == pytest.approx(10 * many)
    assert Opinion.of(found, 5).of_points(points, ~active)[0] == 0.0
    assert Opinion.of(beliefs(Space.of({"x": Float(0, 1)})), 5) is None


def hill(best):
    return lambda p: sum((p[name] - at) ** 2 for name, at in best.items())


def after(options, space, loss, trials):
    """Return the mean of the best values of some seeds."""
    runs = [testing.simulate(options, space, loss, trials, seed=seed) for seed in range(4)]
    return sum(min(trial.result.value for trial in run) for run in runs) / len(runs)


@pytest.mark.parametrize("name", ["gp", "tpe"])
def test_a_right_belief_helps_and_a_wrong_one_costs_little(name):
    best = {"x": 0.15, "y": 0.8, "z": 0.7}

    def space(shift):
        return Space.of(
            {n: Float(0, 1, prior=Normal(abs(at - shift), 0.1)) for n, at in best.items()}
        )

    few = search.make(name, {"candidates": 60} if name == "gp" else {})
    none = Space.of({n: Float(0, 1) for n in best})
    assert after(few, space(0.03), hill(best), 15) < 0.7 * after(few, none, hill(best), 15)
    wrong = after(few, space(0.8), hill(best), 25)
    random = after(search.make("random", {}), none, hill(best), 25)
    assert wrong < random


def test_the_search_begins_at_the_prior_where_there_is_no_default():
    space = Space.of({"x": Float(0, 10, prior=Normal(2.0, 0.5)), "y": Float(0, 1)})
    for name in ("gp", "nelder-mead", "cma-es"):
        first = search.make(name, {}).start(space, 0, None).suggest(0, ())
        assert first["x"] == pytest.approx(2.0, abs=0.01), name


@pytest.mark.parametrize(
    ("distribution", "message"),
    [
        (Float(0, 1, prior=0.3), r"prior 0.3 is no belief: write Float\(…, prior=Normal"),
        (Float(0, 1, prior=Normal(50, 1)), "its prior: almost nothing of the distribution lies"),
        (Int(1, 9, prior=Normal(5, -1)), "its prior: sd -1 must be above 0"),
        (Float(0, 1, prior=Normal(0, 1, when={"y": 1})), "has a condition of its own"),
    ],
)  # fmt: skip
def test_a_prior_that_makes_no_sense(distribution, message):
    with pytest.raises(SpaceError, match=f"parameter 'x': .*{message}"):
        Space.of({"x": distribution})


@pytest.mark.parametrize("distribution", RANGES, ids=str)
def test_a_prior_is_in_the_study(distribution):
    space = Space.of({"x": distribution})
    assert Space.from_json(space.to_json()) == space
    assert Space.from_json(space.to_json()).to_json() == space.to_json()


def test_without_defaults_none_can_be_trusted():
    for name in ("gp", "tpe", "auto"):
        options = search.make(name, {"trust_defaults": "high"})
        with pytest.raises(UsageError, match="no default to trust"):
            options.start(Space.of({"x": Float(0, 1)}), 0, None)
        with pytest.raises(UsageError, match="'much' must be low, medium or high"):
            search.make(name, {"trust_defaults": "much"})


@pytest.mark.parametrize("name", ["gp", "tpe"])
def test_a_study_with_beliefs_is_recomputed_exactly(tmp_path, name):
    space = Space.of({"x": Float(-1, 1, prior=Normal(0, 0.2)), "n": Int(1, 64, log=True)}, {"n": 8})
    path = make_study(tmp_path, search=name, space=space, trust_defaults="medium", budget=14)
    run_all(path)
    with Reader(path) as reader:
        assert verify(reader, lambda done, total: None).count("exact") == 14


def test_trust_defaults_at_the_command_line(tmp_path):
    toy = "examples/heavy_ball.py"
    path = tmp_path / "study.db"
    done = tinytune("run", toy, "--study", path, "--trials", 4, "--trust-defaults", "high")
    assert done.returncode == 0, done.stderr
    with Reader(path) as reader:
        assert reader.study().search.options["trust_defaults"] == "high"
    told = fails(2, "run", toy, "--study", tmp_path / "b.db", "--trust-defaults", "very")
    assert "must be low, medium or high" in told
    told = fails(
        2, "run", toy, "--study", tmp_path / "c.db", "--search", "random", "--trust-defaults", "low"
    )
    assert "'random' has no option 'trust_defaults'" in told
