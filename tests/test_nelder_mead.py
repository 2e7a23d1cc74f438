"""Nelder-Mead: the algorithm against scipy's, and the search that it drives."""

from itertools import pairwise

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
    rebuilt,
    rosenbrock,
    sphere,
    told,
)
from tinytune import search
from tinytune.distributions import Choice, Float, Int
from tinytune.errors import UsageError
from tinytune.history import Finished, Pending, SearchSpec
from tinytune.search.nelder_mead import Coefficients, NelderMead, steps
from tinytune.space import Space

FIVE = (1.3, 0.7, 0.8, 1.9, 1.2)  # the start in scipy's tutorial


def scipys_simplex(start):
    simplex = np.tile(np.array(start, dtype=float), (len(start) + 1, 1))
    for index, value in enumerate(start):
        simplex[index + 1, index] = 1.05 * value if value else 0.00025
    return simplex


def run(start, adaptive=False, xatol=1e-4, fatol=1e-4, f=optimize.rosen):
    """Run the algorithm on raw coordinates; return the values, the iterations and the end."""
    iterations = []

    def has_collapsed(simplex, values):
        iterations.append(values[0])
        size = np.max(np.abs(simplex[1:] - simplex[0]))
        return size <= xatol and np.max(np.abs(values[1:] - values[0])) <= fatol

    coefficients = Coefficients.of(len(start), adaptive)
    walk = steps(scipys_simplex(start), None, coefficients, lambda point: point, has_collapsed)
    found = []
    wanted = next(walk)
    try:
        while True:
            found.append((wanted.point.tolist(), [p.tolist() for p in wanted.also()]))
            wanted = walk.send(f(wanted.point))
    except StopIteration as end:
        return found, len(iterations), end.value


# The algorithm


def test_rosenbrock_in_two_dimensions_is_scipys_published_run():
    found, iterations, (best, value) = run((-1.2, 1.0))
    first = [optimize.rosen(point) for point, _ in found[:9]]
    expected = [24.2, 39.634976, 20.05, 10.809616, 5.161796, 4.497796, 6.244241, 9.058256, 4.796116]
    assert first == pytest.approx(expected, abs=1e-6)
    assert (iterations, len(found)) == (85, 159)
    assert value == pytest.approx(8.1777e-10, rel=1e-4)
    assert best == pytest.approx([1, 1], abs=1e-4)


@pytest.mark.parametrize(("adaptive", "expected"), [(False, (339, 571)), (True, (487, 838))])
def test_rosenbrock_in_five_dimensions_is_scipys_published_run(adaptive, expected):
    found, iterations, _ = run(FIVE, adaptive, xatol=1e-8)
    assert (iterations, len(found)) == expected


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_every_point_is_scipys(size, adaptive):
    rng = np.random.RandomState(size)
    start, scale = rng.uniform(-2, 2, size), rng.uniform(0.5, 5, size)
    theirs = []

    def f(x):
        theirs.append(np.asarray(x).tolist())
        return float(np.sum(scale * np.abs(x - 0.1) ** 1.5))

    options = {"adaptive": adaptive and size > 1, "maxfev": 10_000}
    optimize.minimize(f, start, method="Nelder-Mead", options=options)
    expected = theirs[:]
    found, _, _ = run(start, adaptive and size > 1, f=f)
    assert len(found) == len(expected)
    assert np.allclose([point for point, _ in found[:60]], expected[:60], rtol=1e-9, atol=1e-12)


def test_idle_workers_get_points_of_the_same_step():
    found, _, _ = run((-1.2, 1.0))
    guessed = sum(
        any(np.allclose(following, point, atol=1e-12) for point in also)
        for (_, also), (following, _) in pairwise(found)
    )
    assert guessed > 0.6 * len(found)  # what was wanted next was among the guesses


def test_adaptive_coefficients_are_gao_and_hans():
    assert Coefficients.of(10, True) == Coefficients(1.0, 1.2, 0.7, 0.9)
    assert Coefficients.of(2, True) == Coefficients.of(2, False) == Coefficients(1.0, 2.0, 0.5, 0.5)


# The search


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("name", SPACES)
def test_suggestions_are_pure_allowed_and_found_again(name, workers):
    check_asynchronous(NelderMead(), SPACES[name], 1, workers, first=SPACES[name].defaults)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(1, 40), st.sampled_from(sorted(SPACES)))
def test_any_number_of_workers(seed, workers, name):
    history = check_asynchronous(NelderMead(), SPACES[name], seed, workers, 60)
    if name in {"line", "logs", "tree", "wide"}:
        assert len({repr(result.params) for result in history}) == len(
            {result.number for result in history}
        )


def test_it_begins_at_the_defaults_with_one_step_along_each_number():
    space = box(3, 0.0, 1.0)
    walk = NelderMead(step=0.1).start(space, 0, None)
    found = []
    for number in range(4):
        found.append(walk.suggest(number, ()))
        walk.tell(Finished(number, "complete", found[-1], float(number)))
    expected = [[0.5, 0.5, 0.5], [0.6, 0.5, 0.5], [0.5, 0.6, 0.5], [0.5, 0.5, 0.6]]
    assert [list(params.values()) for params in found] == pytest.approx(np.array(expected))


def test_the_defaults_are_tried_once_though_the_cube_loses_their_last_bits():
    space = Space.of({f"x{i}": Float(1e-5, 1, log=True) for i in range(3)})
    for seed in range(20):
        first = {f"x{i}": 0.1 / (seed + i + 3) for i in range(3)}
        walk = NelderMead().start(space, seed, first)
        assert walk.suggest(0, ()) == walk.suggest(1, ()) == first
        during = walk.suggest(1, [Pending(0, first)])
        assert during != first
        walk.tell(Finished(0, "complete", first, 1.0))
        assert walk.suggest(1, ()) == during


def test_it_goes_on_from_the_best_that_was_told_before():
    space = box(2)
    walk = NelderMead().start(space, 0, None)
    walk.tell(Finished(0, "complete", {"x0": 1.5, "x1": -1.0}, 1.0))
    walk.tell(Finished(1, "complete", {"x0": 0.5, "x1": -1.0}, 2.0))
    start = walk.suggest(2, ())
    assert start == {"x0": 0.0, "x1": 0.0}
    walk.tell(Finished(2, "complete", start, 3.0))
    # From (1.5, -1) a step along x0 leads inward to (0.5, -1), which is known: the next is x1's.
    assert walk.suggest(3, ()) == {"x0": 1.5, "x1": 0.0}


def test_nothing_is_evaluated_twice_and_small_spaces_are_seen_through():
    space = Space.of({"a": Int(1, 6), "b": Float(0, 1, step=0.25), "c": Choice("x", "y")})
    walk = NelderMead().start(space, 3, None)
    found = set()
    for number in range(60):
        params = walk.suggest(number, ())
        found.add(repr(params))
        walk.tell(told(number, params, params["a"] + params["b"]))
    assert len(found) >= 58  # of 60; the last few by chance


def test_it_restarts_elsewhere_when_the_simplex_has_collapsed():
    space = box(2)
    f = sphere(0.7)
    walk = NelderMead().start(space, 0, None)
    far = []
    for number in range(150):
        params = walk.suggest(number, ())
        far.append(f(params) > 1.0)
        walk.tell(Finished(number, "complete", params, f(params)))
    assert not any(far[8:20])  # the first run takes some 25 trials
    assert any(far[20:])


@pytest.mark.parametrize("value", [None, 1.0])
def test_it_goes_on_where_all_trials_fail_or_are_equal(value):
    space = box(3)
    walk = NelderMead().start(space, 0, None)
    found = set()
    for number in range(50):
        params = walk.suggest(number, ())
        found.add(repr(params))
        walk.tell(Finished(number, "failed" if value is None else "complete", params, value))
    assert len(found) == 50


@pytest.mark.parametrize("workers", [1, 4])
def test_it_finds_the_minimum(workers):
    assert best_of(NelderMead(), box(2), sphere(0.7), 100, workers=workers) < 1e-3
    assert best_of(NelderMead(), box(2), rosenbrock, 150, workers=1) < 1e-3


def test_categories_are_chosen_and_their_numbers_tuned():
    space = Space.of(
        {"kind": Choice("a", "b", "c"), "x": Float(0, 1, when={"kind": "b"}), "y": Float(0, 1)}
    )

    def f(params):
        return {"a": 1, "b": 0, "c": 2}[params["kind"]] + sum(
            (params.get(name, 0.5) - 0.2) ** 2 for name in "xy"
        )

    assert best_of(NelderMead(), space, f, 60) < 1e-3


def test_a_result_costs_the_same_late_as_early():
    """The algorithm is not run again from its start: the same generator goes on."""
    space = box(4)
    walk = NelderMead().start(space, 0, None)
    runs = {id(walk._runs[0])}
    for number in range(300):
        params = walk.suggest(number, ())
        walk.tell(Finished(number, "complete", params, rosenbrock(params)))
        runs.add(id(walk._runs[walk._number]))
        assert len(walk._runs) <= 9
    assert len(runs) < 10


@pytest.mark.parametrize(
    "options",
    [
        {"step": 0},
        {"step": 0.7},
        {"step": "a"},
        {"adaptive": "no"},
        {"adaptive": 1},
        {"tolerance": -1},
        {"tolerance": 0.3},
    ],
)
def test_options_are_checked(options):
    with pytest.raises(UsageError, match=rf"nelder-mead: {next(iter(options))}"):
        NelderMead(**options)


# The name


def test_names_have_dashes_and_may_be_written_with_either():
    assert "nelder-mead" in search.names()
    assert not any("_" in name for name in search.names())
    for text in ("nelder-mead", "nelder_mead", "nelder-mead(step=0.1)", "nelder_mead(step=0.1)"):
        name, options = search.parse(text)
        assert search.make(name, options) == NelderMead(step=options.get("step", 0.25))
    assert search.make(*search.parse("nelder-mead(adaptive=auto)")) == NelderMead()
    assert search.make(*search.parse("nelder-mead(adaptive=true)")) == NelderMead(adaptive=True)


def test_a_stored_search_is_found_again():
    options = NelderMead(step=0.1, adaptive=True)
    stored = search.spec(options)
    assert stored.label == "nelder-mead/1"
    assert search.from_spec(SearchSpec(stored.name, 1, dict(stored.options))) == options


def test_a_search_is_rebuilt_from_its_results_alone():
    space, history = SPACES["tree"], []
    search_ = NelderMead().start(space, 5, None)
    for number in range(30):
        params = search_.suggest(number, ())
        history.append(Finished(number, "complete", params, float(number % 7)))
        search_.tell(history[-1])
    assert rebuilt(NelderMead(), space, 5, history).suggest(30, ()) == search_.suggest(30, ())
