"""Trust region search: its quadratic models, their minima, and what it finds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from tests.local_search import (
    SPACES,
    best_of,
    box,
    check_asynchronous,
    rosenbrock,
    sphere,
)
from tinytune.distributions import Choice, Float, Int
from tinytune.errors import UsageError
from tinytune.history import Finished, Pending
from tinytune.search.cube import Cube
from tinytune.search.mixed import axes_at
from tinytune.search.quadratic import Interpolation, Quadratic, minimum
from tinytune.search.trust_region import TrustRegion, design
from tinytune.space import Space


def symmetric(rng, size):
    matrix = rng.standard_normal((size, size))
    return matrix + matrix.T


# The model


@given(st.integers(0, 1000), st.integers(1, 6))
def test_the_model_goes_through_its_points(seed, size):
    rng = np.random.RandomState(seed)
    points = rng.uniform(-1, 1, (2 * size + 1, size))
    points[0] = 0.0
    values = rng.standard_normal(2 * size + 1)
    values[0] = 0.0
    model = Interpolation(points).through(values)
    assert [model.at(y) for y in points] == pytest.approx(values, abs=1e-6)


@given(st.integers(0, 1000), st.integers(2, 5))
def test_its_hessian_has_the_least_norm(seed, size):
    rng = np.random.RandomState(seed)
    points = rng.uniform(-1, 1, (2 * size + 1, size))
    values = rng.standard_normal(2 * size + 1)
    hessian = Interpolation(points).through(values).hessian
    # The least-norm solution of c + g.y + y.Hy/2 = f in the entries of H, by a pseudo-inverse.
    first, second = np.triu_indices(size)
    weight = np.where(first == second, 0.5, 1 / math.sqrt(2))
    bends = points[:, first] * points[:, second] * weight
    linear = np.column_stack((np.ones(len(points)), points))
    rest = np.eye(len(points)) - linear @ np.linalg.pinv(linear)
    entries = np.linalg.pinv(rest @ bends, rcond=1e-10) @ rest @ values
    expected = np.zeros((size, size))
    expected[first, second] = entries * np.where(first == second, 1.0, 1 / math.sqrt(2))
    expected = np.triu(expected) + np.triu(expected, 1).T
    assert hessian == pytest.approx(expected, abs=1e-5 * (1 + np.max(np.abs(expected))))


def test_lagrange_polynomials_are_one_at_their_points_and_zero_at_the_others():
    points = np.random.RandomState(0).uniform(-1, 1, (7, 3))
    interpolation = Interpolation(points)
    for index, point in enumerate(points):
        assert interpolation.lagrange_at(point) == pytest.approx(np.eye(7)[index], abs=1e-9)
        value = interpolation.constant(index) + interpolation.lagrange(index).at(point)
        assert value == pytest.approx(1.0, abs=1e-9)


def test_points_on_a_plane_determine_nothing():
    with pytest.raises(ValueError, match="singular"):
        Interpolation(np.zeros((5, 2)))


# Its minimum


@given(st.integers(0, 2000), st.integers(1, 6))
def test_the_minimum_is_within_and_below_what_lines_reach(seed, size):
    rng = np.random.RandomState(seed)
    model = Quadratic(rng.standard_normal(size), symmetric(rng, size))
    low, high = -rng.uniform(0, 2, size), rng.uniform(0, 2, size)
    s = minimum(model, 1.0, low, high)
    assert np.all(low <= s)
    assert np.all(s <= high)
    assert np.linalg.norm(s) <= 1 + 1e-9
    down = np.clip(-model.gradient / np.linalg.norm(model.gradient), low, high)
    cauchy = min(model.at(t * down) for t in np.linspace(0, 1, 50))
    assert model.at(s) <= 0.9 * cauchy + 1e-9


@given(st.integers(0, 500), st.integers(1, 6))
def test_it_is_exact_where_the_model_is_convex_and_its_minimum_within(seed, size):
    rng = np.random.RandomState(seed)
    factor = rng.standard_normal((size, size))
    hessian = factor @ factor.T + np.eye(size)
    target = rng.uniform(-0.3, 0.3, size)
    s = minimum(Quadratic(-hessian @ target, hessian), 1.0, np.full(size, -1.0), np.ones(size))
    assert s == pytest.approx(target, abs=1e-5)


@given(st.integers(0, 500), st.integers(2, 5))
def test_with_bounds_it_is_scipys(seed, size):
    rng = np.random.RandomState(seed)
    factor = rng.standard_normal((size, size))
    model = Quadratic(3 * rng.standard_normal(size), factor @ factor.T + 0.5 * np.eye(size))
    low, high = -rng.uniform(0.1, 0.5, size), rng.uniform(0.1, 0.5, size)
    theirs = optimize.minimize(
        model.at, np.zeros(size), jac=model.slope, bounds=list(zip(low, high, strict=True)),
        method="L-BFGS-B",
    )  # fmt: skip
    ours = model.at(minimum(model, 10.0, low, high))
    assert ours <= 0.95 * theirs.fun + 1e-9  # a bound is never left again, as in BOBYQA


# The first points


def test_the_design_is_a_step_up_and_down_or_both_inward():
    cube = Cube(box(2, 0.0, 1.0))
    parts = design(axes_at(cube, np.array([0.5, 0.9])), 0.2)
    expected = [[0.7, 0.9], [0.5, 0.7], [0.3, 0.9], [0.5, 0.5]]
    assert np.array(parts) == pytest.approx(np.array(expected))


def test_the_design_of_discrete_numbers_is_their_values():
    space = Space.of({"two": Int(0, 1), "nine": Int(1, 9), "one": Choice("a"), "x": Float(0, 1)})
    cube = Cube(space)
    axes = axes_at(cube, cube.start)
    found = [tuple(cube.params(axes.at(part)).values()) for part in design(axes, 0.01)]
    assert len(set(found)) == len(found) == 5
    assert {(two, nine) for two, nine, _, x in found if x == 0.5} == {(0, 5), (1, 4), (1, 6)}


# The search


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("name", SPACES)
def test_suggestions_are_pure_allowed_and_found_again(name, workers):
    first = SPACES[name].defaults
    check_asynchronous(TrustRegion(), SPACES[name], 1, workers, trials=30, first=first)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(1, 40), st.sampled_from(sorted(SPACES)))
def test_any_number_of_workers(seed, workers, name):
    check_asynchronous(TrustRegion(), SPACES[name], seed, workers, trials=30)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_quadratic_is_solved_in_little_more_than_its_points(size):
    assert best_of(TrustRegion(), box(size), sphere(0.7), 2 * size + 4) < 1e-20


def test_an_oblique_quadratic_is_solved_to_the_last_digits():
    rng = np.random.RandomState(1)
    factor = rng.standard_normal((4, 4))
    hessian = factor @ factor.T + 0.1 * np.eye(4)

    def f(params):
        step = np.array(list(params.values())) - 0.7
        return float(step @ hessian @ step)

    assert best_of(TrustRegion(tolerance=1e-6), box(4), f, 100) < 1e-10


def test_rosenbrock_is_solved_about_as_fast_as_by_bobyqa():
    # Py-BOBYQA 1.5 from the same point and radius: 0.34 after 120, 0.006 after 200 trials.
    options = TrustRegion(tolerance=1e-6)
    assert best_of(options, box(4), rosenbrock, 120) < 0.5
    assert best_of(options, box(4), rosenbrock, 200) < 0.006


def test_minima_on_the_border_are_found():
    f = lambda params: sum((x - 1.5) ** 2 for x in params.values()) + params["x0"] * params["x1"]  # noqa: E731
    expected = optimize.minimize(
        lambda x: f(dict(zip(("x0", "x1", "x2"), x, strict=True))), [0.5] * 3, bounds=[(0, 1)] * 3
    )
    found = best_of(TrustRegion(), box(3, 0.0, 1.0), f, 60)
    assert found == pytest.approx(expected.fun, abs=1e-9)


def test_rounded_numbers_and_categories_take_part():
    space = Space.of({"n": Int(1, 100), "kind": Choice("a", "b", "c"), "x": Float(0, 1)})

    def f(params):
        return (params["n"] - 77) ** 2 / 1000 + (params["x"] - 0.3) ** 2 + ord(params["kind"]) - 97

    assert best_of(TrustRegion(), space, f, 60) < 1e-3


def test_workers_get_different_points_that_help():
    space, f = box(3), sphere(0.7)
    search = TrustRegion().start(space, 0, None)
    for number in range(8):
        params = search.suggest(number, ())
        search.tell(Finished(number, "complete", params, f(params) + params["x0"] * params["x1"]))
    pending = []
    for number in range(8, 16):
        pending.append(Pending(number, search.suggest(number, pending)))
    assert len({repr(trial.params) for trial in pending}) == 8
    assert best_of(TrustRegion(), space, f, 40, workers=4) < 1e-9


@pytest.mark.parametrize(
    "values",
    [[math.inf] * 60, [1e308, -1e308, 1e308, 5e-324] * 15, [1.0] * 60, [1.0, math.inf, 0.5] * 20],
)
def test_values_at_the_end_of_the_floats_do_no_harm(values):
    search = TrustRegion().start(box(3), 0, None)
    found = set()
    for number, value in enumerate(values):
        params = search.suggest(number, ())
        search.suggest(number, [])
        found.add(repr(params))
        state = "complete" if math.isfinite(value) else "failed"
        search.tell(Finished(number, state, params, value if state == "complete" else None))
    assert len(found) == 60


def test_failed_trials_are_avoided():
    space = box(2)

    def f(params):
        return sphere(0.7)(params) if params["x0"] < 0.8 else math.inf

    search = TrustRegion().start(space, 0, None)
    lowest = math.inf
    for number in range(40):
        params = search.suggest(number, ())
        value = f(params)
        lowest = min(lowest, value)
        state = "complete" if math.isfinite(value) else "failed"
        search.tell(Finished(number, state, params, value if state == "complete" else None))
    assert lowest < 1e-3


@pytest.mark.parametrize(
    "options", [{"step": 0}, {"step": 0.6}, {"tolerance": 0}, {"tolerance": 0.3}]
)
def test_options_are_checked(options):
    with pytest.raises(UsageError, match=rf"trust-region: {next(iter(options))}"):
        TrustRegion(**options)
