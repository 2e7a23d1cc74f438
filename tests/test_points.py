"""Counting and numbering the points of a finite space, against listing them all."""

import itertools
import math
import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinytune.distributions import Between, Choice, Float, Int
from tinytune.points import Marks, Points, Values
from tinytune.space import Space


@st.composite
def finite_spaces(draw):
    """Small spaces, with conditions on any other parameters that do not go in a circle."""
    names = [f"p{i}" for i in range(draw(st.integers(1, 5)))]
    distributions = {}
    for name in names:
        when = {}
        for other in distributions:
            if draw(st.integers(0, 2)) == 0:
                size = distributions[other].size
                wanted = draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=size))
                when[other] = [distributions[other].at(index) for index in sorted(wanted)]
        if when and isinstance(distributions[other], Int) and other in when:
            when[other] = Between(min(when[other]), max(when[other]))
        kinds = [
            lambda when: Choice("a", when=when),
            lambda when: Choice(None, "b", when=when),
            lambda when: Choice(1, True, "1", when=when),
            lambda when: Int(0, 3, when=when),
            lambda when: Int(1, 3, log=True, when=when),
            lambda when: Float(0, 0.3, step=0.1, when=when),
        ]
        distributions[name] = draw(st.sampled_from(kinds))(when or None)
    shuffled = draw(st.permutations(names))
    return Space.of({name: distributions[name] for name in shuffled})


def written(params):
    """A configuration as something that can be compared, in which 1 is not True."""
    return tuple((name, repr(value)) for name, value in params.items())


def listed(space, values):
    """All configurations, each once: every combination, without what is inactive in it."""
    names = [parameter.name for parameter in space.ordered]
    found = {}
    for combination in itertools.product(*(values[name] for name in names)):
        everything = dict(zip(names, combination, strict=True))
        params = {}
        for parameter in space.ordered:
            if parameter.is_active(params):
                params[parameter.name] = everything[parameter.name]
        found.setdefault(written(space.arranged(params)), space.arranged(params))
    return list(found.values())


@given(finite_spaces(), st.data())
def test_points_are_what_listing_finds(space, data):
    values = {
        name: data.draw(st.sampled_from([
            Values(parameter.distribution), parameter.distribution.spread(2), list(Values(
                parameter.distribution))[::-1],
        ]))
        for name, parameter in space.by_name.items()
    }  # fmt: skip
    points = Points(space, values)
    expected = listed(space, values)
    assert points.size == len(expected)
    found = [points.at(index) for index in range(points.size)]
    assert [written(params) for params in found] == [written(params) for params in expected]
    assert [points.index(params) for params in found] == list(range(points.size))


@given(finite_spaces(), st.randoms(use_true_random=False))
def test_the_order_of_asking_plays_no_part(space, random):
    values = {name: Values(parameter.distribution) for name, parameter in space.by_name.items()}
    expected = [written(params) for params in listed(space, values)]
    order = list(range(len(expected)))
    random.shuffle(order)
    points = Points(space, values)
    for index in order:
        assert written(points.at(index)) == expected[index]


@given(finite_spaces())
def test_places_are_those_of_the_values(space):
    values = {name: Values(parameter.distribution) for name, parameter in space.by_name.items()}
    points = Points(space, values)
    for index in range(points.size):
        places = points.places(index)
        params = {name: values[name][place] for name, place in places.items()}
        assert written(space.arranged(params)) == written(points.at(index))


def test_a_configuration_that_is_no_point():
    space = Space.of({"a": Float(0, 1), "b": Choice("x", "y")})
    points = Points(space, {"a": [0.0, 0.5], "b": ["x", "y"]})
    assert points.index({"a": 0.5, "b": "x"}) == 2
    assert points.index({"a": 0.3, "b": "x"}) is None


def test_an_option_that_is_none_is_not_an_inactive_parameter():
    space = Space.of(
        {
            "a": Choice(0, 1),
            "b": Choice(None, "z", when={"a": 1}),
            "x": Choice("p", "q", when={"a": [0, 1]}),
            "c": Int(0, 3, when={"b": None}),
        }
    )
    expected = [
        *({"a": 0, "x": x} for x in "pq"),
        *({"a": 1, "b": None, "x": x, "c": c} for x in "pq" for c in range(4)),
        *({"a": 1, "b": "z", "x": x} for x in "pq"),
    ]
    values = {name: Values(parameter.distribution) for name, parameter in space.by_name.items()}
    for order in (range(12), reversed(range(12))):  # what is remembered of one serves no other
        points = Points(space, values)
        assert all(points.at(index) == expected[index] for index in order)
        assert points.size == 12


def test_a_million_million_points_are_numbered_at_once():
    space = Space.of({f"p{i}": Int(0, 9) for i in range(12)})
    points = Points(space, {name: range(10) for name in space.by_name})
    assert points.size == 10**12
    for index in (0, 1, 123_456_789_012, 10**12 - 1):
        params = points.at(index)
        assert "".join(str(params[f"p{i}"]) for i in range(12)) == f"{index:012}"
        assert points.index(params) == index


def test_a_large_conditional_space_is_numbered_at_once():
    distributions = {"kind": Choice("small", "large")}
    distributions |= {f"s{i}": Int(0, 1, when={"kind": "small"}) for i in range(10)}
    distributions |= {f"l{i}": Int(0, 999, when={"kind": "large"}) for i in range(10)}
    space = Space.of(distributions)
    points = Points(space, {name: Values(p.distribution) for name, p in space.by_name.items()})
    assert points.size == 2**10 + 10**30
    assert points.at(2**10 - 1) == {"kind": "small"} | {f"s{i}": 1 for i in range(10)}
    assert points.at(2**10) == {"kind": "large"} | {f"l{i}": 0 for i in range(10)}
    for index in (5, 2**10 + 10**29, points.size - 1):
        assert points.index(points.at(index)) == index


def test_values_are_made_when_they_are_asked_for():
    space = Space.of({"a": Int(0, 2**52), "b": Float(0, 1, step=1e-12)})
    points = Points(space, {name: Values(p.distribution) for name, p in space.by_name.items()})
    assert points.size == (2**52 + 1) * (10**12 + 1)
    params = {"a": 2**51, "b": 0.123456789012}
    assert points.at(points.index(params)) == params


def test_as_many_parameters_as_one_likes():
    count = sys.getrecursionlimit() + 50
    space = Space.of({f"p{i}": Choice(0, 1) for i in range(count)})
    points = Points(space, dict.fromkeys(space.by_name, (0, 1)))
    assert points.size == 2**count
    assert set(points.at(2**count - 1).values()) == {1}


def test_values_are_a_sequence():
    values = Values(Float(0, 1, step=0.25))
    assert list(values) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert values[-1] == 1.0
    assert values[1:3] == [0.25, 0.5]
    assert values.place(0.75) == 3
    assert values.place(0.3) is None
    assert 0.5 in values
    with pytest.raises(IndexError):
        values[5]


@given(
    st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.booleans(), st.integers(2, 40),
    st.data(),
)  # fmt: skip
def test_marks_are_what_spread_lists(low, high, log, count, data):
    low, high = sorted((low, high) if not log else (abs(low), abs(high)))
    assume(low < high and (low > 0 or not log))
    of = Float(low, high, log=log)
    if data.draw(st.booleans()):  # a range of few floats
        of = Float(low, math.nextafter(low, high), log=log)
    listed = of.spread(count)
    if not of.has_room(count):
        return
    marks = Marks(of, count)
    assert [*map(repr, marks)] == [*map(repr, listed)]
    assert [marks.place(value) for value in listed] == list(range(count))
    assert marks.place(math.nextafter(listed[1], math.inf)) is None
    assert marks.place(math.nextafter(high, math.inf)) is None


def test_a_range_of_few_floats_has_no_room():
    assert Float(0.0, 1.0).has_room(100_000)
    assert Float(1e-5, 1.0, log=True).has_room(100_000)
    for log in (False, True):
        assert not Float(1.0, 1.0 + 2**-40, log=log).has_room(100_000)
    assert not Float(5e-324, 1e-310, log=True).has_room(3)
    assert not Float(0.0, 1.0, step=0.1).has_room(3)
