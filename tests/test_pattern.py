"""Pattern search: its polls, its mesh, and what it finds."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.local_search import (
    SPACES,
    best_of,
    box,
    check_asynchronous,
    rosenbrock,
    sphere,
    told,
)
from tinytune.distributions import Choice, Float, Int
from tinytune.errors import UsageError
from tinytune.history import Finished, Pending
from tinytune.search.cube import Cube
from tinytune.search.mixed import axes_at
from tinytune.search.pattern import Pattern, _Mesh
from tinytune.space import Space


def walked(options, space, values, first=None):
    """Tell values one after the other; return the configurations that were suggested."""
    search = options.start(space, 0, first)
    found = []
    for number, value in enumerate(values):
        found.append(search.suggest(number, ()))
        search.tell(told(number, found[-1], value))
    return found, search


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("name", SPACES)
def test_suggestions_are_pure_allowed_and_found_again(name, workers):
    check_asynchronous(Pattern(), SPACES[name], 1, workers, first=SPACES[name].defaults)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(1, 40), st.sampled_from(sorted(SPACES)))
def test_any_number_of_workers(seed, workers, name):
    check_asynchronous(Pattern(poll="complete"), SPACES[name], seed, workers)


def test_a_poll_looks_both_ways_along_each_number():
    found, _ = walked(Pattern(step=0.25), box(2), [1.0, 2.0, 2.0, 2.0, 2.0])
    assert [tuple(params.values()) for params in found] == [
        (0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0),
    ]  # fmt: skip


def test_workers_share_a_poll():
    search = Pattern(step=0.25, poll="complete").start(box(2), 0, None)
    start = search.suggest(0, ())
    search.tell(Finished(0, "complete", start, 1.0))
    pending = []
    for number in range(1, 5):
        pending.append(Pending(number, search.suggest(number, pending)))
    found = {tuple(trial.params.values()) for trial in pending}
    assert found == {(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)}


def test_an_opportunistic_poll_moves_at_once_and_repeats_the_move():
    found, _ = walked(Pattern(step=0.125), box(2), [1.0, 2.0, 0.5, 0.4])
    assert tuple(found[2].values()) == (-0.5, 0.0)  # better: no need to look further
    assert tuple(found[3].values()) == (-1.0, 0.0)  # Hooke and Jeeves: the same move again


def test_a_complete_poll_moves_to_the_best():
    found, search = walked(Pattern(step=0.125, poll="complete"), box(2), [3.0, 2.0, 9.0, 1.0, 9.0])
    assert len({tuple(params.values()) for params in found}) == 5
    assert tuple(search.suggest(5, ()).values()) == (0.0, 1.0)  # twice the step to (0, 0.5)


def test_a_failed_poll_tries_the_parabolas_and_halves_the_mesh():
    f = sphere(0.3)
    space = box(2)
    search = Pattern(step=0.25).start(space, 0, None)
    values = []
    for number in range(6):
        params = search.suggest(number, ())
        values.append(f(params))
        search.tell(Finished(number, "complete", params, f(params)))
    assert values[5] == pytest.approx(0.0, abs=1e-25)  # a parabola's minimum is exact here
    params = search.suggest(6, ())
    assert max(abs(x - 0.3) for x in params.values()) == pytest.approx(0.5)  # half of 1.0


def test_the_mesh_doubles_when_a_direction_succeeds_again():
    space = Space.of({"x": Float(0, 100)})
    # From 50: better at 55, not at 60, better at 57.5 and then 62.5, worse beyond.
    values = {50: 9.0, 55: 8.0, 60: 8.5}
    search = Pattern(step=0.05).start(space, 0, None)
    for number, (x, value) in enumerate(values.items()):
        params = search.suggest(number, ())
        assert params["x"] == pytest.approx(x)
        search.tell(Finished(number, "complete", params, value))
    # The poll around 55 finds 60 known and worse, and 50 too; its parabola's minimum is between.
    assert 55 < search.suggest(3, ())["x"] < 57


@pytest.mark.parametrize(("times", "size"), [(1, 0.1), (2, 0.2), (3, 0.4), (4, 0.5)])
def test_the_mesh_grows(times, size):
    cube = Cube(box(2))
    mesh = _Mesh(axes_at(cube, cube.start), 0.1)
    for _ in range(times):
        mesh.succeeded(1, -1.0)
    assert mesh.size == pytest.approx(size)
    assert mesh.directions()[:2] == [(1, -1.0), (1, 1.0)]
    mesh.succeeded(1, 1.0)
    assert mesh.size == pytest.approx(size)
    mesh.failed()
    mesh.succeeded(1, 1.0)
    assert mesh.size == pytest.approx(size / 2)


def test_discrete_numbers_move_at_least_to_the_next_value():
    space = Space.of(
        {"n": Int(1, 9), "log": Int(1, 100, log=True), "b": Choice(1, 2, 4, ordered=True)}
    )
    f = lambda params: (params["n"] - 7) ** 2 + (params["log"] - 3) ** 2 + params["b"]  # noqa: E731
    assert best_of(Pattern(), space, f, 60) == 1


@pytest.mark.parametrize("poll", ["opportunistic", "complete"])
def test_categories_are_polled_too(poll):
    space = Space.of({f"c{i}": Choice("a", "b", "c", "d") for i in range(6)})
    f = lambda params: sum(ord(value) * 2**i for i, value in enumerate(params.values()))  # noqa: E731
    assert best_of(Pattern(poll=poll), space, f, 25) == ord("a") * 63  # of 4096


@pytest.mark.parametrize("poll", ["opportunistic", "complete"])
@pytest.mark.parametrize("workers", [1, 4])
def test_it_finds_the_minimum(poll, workers):
    options = Pattern(poll=poll)
    assert best_of(options, box(3), sphere(0.7), 100, workers=workers) < 1e-3
    assert best_of(options, box(2), rosenbrock, 150, workers=workers) < 0.5


def test_it_restarts_elsewhere_when_the_mesh_is_fine():
    space, f = box(2), sphere(0.7)
    search = Pattern().start(space, 0, None)
    far = []
    for number in range(150):
        params = search.suggest(number, ())
        far.append(f(params) > 1.0)
        search.tell(Finished(number, "complete", params, f(params)))
    assert not any(far[10:25])
    assert any(far[25:])


def test_values_at_the_end_of_the_floats_do_no_harm():
    for values in ([1e308, -1e308, 1e308, 5e-324] * 15, [5e-324, 0.0] * 30, [math.inf] * 60):
        found, _ = walked(Pattern(), box(3), values)
        assert len({repr(params) for params in found}) == 60


@pytest.mark.parametrize(
    "options", [{"step": 0}, {"step": True}, {"poll": "some"}, {"tolerance": 0}, {"tolerance": 1}]
)
def test_options_are_checked(options):
    with pytest.raises(UsageError, match=rf"pattern: {next(iter(options))}"):
        Pattern(**options)
