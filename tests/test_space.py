"""Conditions, constraints, JSON, and what is said where a space is wrong."""

import json
import re
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinytune
from tinytune.distributions import Between, Choice, Float, Int, LogNormal, Normal
from tinytune.errors import SpaceError
from tinytune.space import MISSING, Space

SGD = {"optimizer": "sgd"}
OPTIMIZER = Choice("sgd", "adam")


def message(distributions, defaults=None, where=()):
    with pytest.raises(SpaceError) as caught:
        Space.of(distributions, defaults, where)
    text = str(caught.value)
    assert "\n" not in text
    return text


def active(space, **units):
    """The names of the parameters that are there at these places of the unit interval."""
    return set(space.from_units(lambda name: units.get(name, 0.0)))


# Conditions


@pytest.mark.parametrize(
    ("when", "holds_for"),
    [
        ({"n": 3}, {3}),
        ({"n": 3.0}, {3}),
        ({"n": [1, 4]}, {1, 4}),
        ({"n": (1, 4)}, {1, 4}),
        ({"n": {4, 1}}, {1, 4}),
        ({"n": range(2, 4)}, {2, 3}),
        ({"n": range(1, 6, 2)}, {1, 3, 5}),
        ({"n": Between(2, 4)}, {2, 3, 4}),
        ({"n": Between(low=4)}, {4, 5}),
        ({"n": Between(high=2)}, {1, 2}),
        ({"n": Between(1.5, 2.5)}, {2}),
        ({"n": Between()}, {1, 2, 3, 4, 5}),
    ],
)
def test_when_a_condition_holds(when, holds_for):
    space = Space.of({"n": Int(1, 5), "x": Float(0, 1, when=when)})
    for place in range(5):
        params = space.from_units(lambda name, place=place: (place + 0.5) / 5)
        assert ("x" in params) == (params["n"] in holds_for)
    assert Space.from_json(space.to_json()).by_name["x"].conditions == (
        space.by_name["x"].conditions
    )


@pytest.mark.parametrize(
    ("option", "others"),
    [("sgd", ["adam"]), (None, ["None"]), (True, [1]), (1, [True]), (0, [False, None, ""])],
)
def test_a_condition_on_a_choice_tells_its_options_apart(option, others):
    space = Space.of({"c": Choice(option, *others), "x": Float(0, 1, when={"c": option})})
    for index, value in enumerate([option, *others]):
        params = space.from_units(lambda name, index=index: (index + 0.5) / (1 + len(others)))
        assert params["c"] == value
        assert ("x" in params) == (index == 0)


def test_a_condition_on_numbers_among_texts():
    space = Space.of({"c": Choice("auto", 1, 8), "x": Float(0, 1, when={"c": Between(low=2)})})
    assert active(space, c=0.1) == active(space, c=0.5) == {"c"}
    assert active(space, c=0.9) == {"c", "x"}


def test_all_conditions_of_a_parameter_must_hold():
    space = Space.of(
        {"a": Choice(0, 1), "b": Choice(0, 1), "x": Float(0, 1, when={"a": 1, "b": 1})}
    )
    assert active(space, a=0.9, b=0.9) == {"a", "b", "x"}
    assert active(space, a=0.9, b=0.1) == active(space, a=0.1, b=0.9) == {"a", "b"}


def test_what_depends_on_an_inactive_parameter_is_inactive_too():
    space = Space.of(
        {
            "nesterov": Choice(True, False, when={"momentum": Between(low=0.5)}),
            "damping": Float(0, 1, when={"nesterov": False}),
            "momentum": Float(0, 1, when=SGD),
            "optimizer": OPTIMIZER,
        }
    )
    assert [p.name for p in space.ordered] == ["optimizer", "momentum", "nesterov", "damping"]
    everything = space.from_units(lambda name: {"optimizer": 0.1}.get(name, 0.9))
    assert list(everything) == ["nesterov", "damping", "momentum", "optimizer"]
    assert active(space, optimizer=0.1, momentum=0.9, nesterov=0.1) == {
        "optimizer", "momentum", "nesterov",
    }  # fmt: skip
    assert active(space, optimizer=0.1, momentum=0.2, nesterov=0.9) == {"optimizer", "momentum"}
    assert active(space, optimizer=0.9, momentum=0.9, nesterov=0.9) == {"optimizer"}


def test_an_inactive_parameter_that_is_none_is_not_one_whose_option_is_none():
    space = Space.of(
        {"a": Choice(0, 1), "b": Choice(None, "z", when={"a": 1}), "c": Int(0, 3, when={"b": None})}
    )
    assert active(space, a=0.1, b=0.1) == {"a"}
    assert active(space, a=0.9, b=0.1) == {"a", "b", "c"}


# Configurations


@pytest.fixture
def training():
    return Space.of(
        {
            "lr": Float(1e-4, 1, log=True),
            "optimizer": OPTIMIZER,
            "momentum": Float(0, 0.99, when=SGD),
            "layers": Int(1, 4),
            "width": Int(16, 512, log=True, when={"layers": range(2, 5)}),
        },
        {"lr": 0.1, "optimizer": "adam", "momentum": 0.9, "layers": 2, "width": 64},
        "layers * width <= 1024",
    )


def test_the_defaults_leave_out_what_is_inactive(training):
    assert training.defaults == {"lr": 0.1, "optimizer": "adam", "layers": 2, "width": 64}


@pytest.mark.parametrize(
    ("defaults", "expected"),
    [
        ({}, None),
        ({"optimizer": "sgd"}, None),
        ({"optimizer": "adam"}, {"optimizer": "adam"}),
        ({"optimizer": "sgd", "momentum": 1}, {"optimizer": "sgd", "momentum": 1.0}),
        ({"momentum": 0.5}, None),
    ],
)
def test_there_are_defaults_where_no_active_parameter_lacks_one(defaults, expected):
    space = Space.of({"optimizer": OPTIMIZER, "momentum": Float(0, 1, when=SGD)}, defaults)
    assert space.defaults == expected


def test_none_as_an_option_is_a_default():
    space = Space.of({"clip": Choice(None, 1.0)}, {"clip": None})
    assert space.defaults == {"clip": None}
    assert Space.from_json(space.to_json()).defaults == {"clip": None}


def test_checked_stores_what_is_active_in_the_order_of_the_signature(training):
    given_ = {"width": 64.0, "layers": 3, "momentum": 0.5, "optimizer": "adam", "lr": 1}
    checked = training.checked(given_)
    assert json.dumps(checked) == '{"lr": 1.0, "optimizer": "adam", "layers": 3, "width": 64}'


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lr": 2}, "parameter 'lr': 2 is outside of 0.0001 to 1"),
        ({"lr": "fast"}, "parameter 'lr': 'fast' is not a number"),
        ({"lr": 10**5000}, "parameter 'lr': <int> is outside of 0.0001 to 1"),
        ({"optimizer": "lion"}, "parameter 'optimizer': 'lion' is not one of 'sgd', 'adam'"),
        ({"layers": 1.5}, "parameter 'layers': 1.5 is not a whole number"),
        ({"depth": 3}, "there is no parameter 'depth': the space has lr, optimizer, momentum, la"),
        ({"optimizer": "sgd"}, "parameter 'momentum' has no value: give it one"),
        ({"width": 512, "layers": 4}, "does not satisfy 'layers * width <= 1024': change a value"),
    ],
)
def test_checked_names_what_is_wrong(training, change, told):
    with pytest.raises(SpaceError, match=re.escape(told)):
        training.checked({"lr": 0.1, "optimizer": "adam", "layers": 2, "width": 64, **change})


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_samples_satisfy_everything(seed, number):
    space = Space.of(
        {"a": Int(1, 30), "b": Int(1, 30), "c": Choice(0, 1), "d": Float(0, 1, when={"c": 1})},
        where=["a < b", "d > 0.5", "a * b <= 100 or c == 0"],
    )
    params = space.sample(seed, number, "random")
    assert params == space.sample(seed, number, "random")
    assert space.checked(params) == params
    assert params["a"] < params["b"]
    assert ("d" in params) == (params["c"] == 1)
    if params["c"]:
        assert params["d"] > 0.5
        assert params["a"] * params["b"] <= 100


def test_a_constraint_looks_only_at_what_is_active():
    space = Space.of(
        {"optimizer": OPTIMIZER, "momentum": Float(0, 1, when=SGD)}, where="momentum >= 0.5"
    )
    assert space.allows({"optimizer": "adam"})
    assert space.allows({"optimizer": "sgd", "momentum": 0.5})
    assert not space.allows({"optimizer": "sgd", "momentum": 0.4})


def test_a_constraint_that_compares_text_with_numbers_says_so_whenever_it_is_met():
    # The draw that checks the constraint may never meet the text.
    space = Space.of({"n": Choice(1, "auto", weights=[1e6, 1])}, where="n < 5")
    assert space.allows({"n": 1})
    with pytest.raises(
        SpaceError, match=r"constraint 'n < 5' cannot be computed: .*: compare numb"
    ):
        space.allows({"n": "auto"})


@given(st.data())
def test_units_go_there_and_back(data):
    space = Space.of(
        {"a": Float(1e-3, 1, log=True), "b": Int(0, 9), "c": Choice("x", "y"),
         "d": Normal(0, 1, when={"c": "x"})}
    )  # fmt: skip
    units = {name: data.draw(st.floats(0.01, 0.99)) for name in space.by_name}
    params = space.from_units(units.__getitem__)
    back = space.to_units(params)
    assert back.keys() == params.keys()
    assert space.from_units(back.__getitem__) == pytest.approx(params)


# JSON


@st.composite
def spaces(draw):
    """Spaces with conditions on earlier parameters, constraints and some defaults."""
    distributions, defaults = {}, {}
    for index in range(draw(st.integers(1, 6))):
        name = f"p{index}"
        when = draw(conditions(distributions)) if distributions else None
        distribution = draw(
            st.sampled_from(
                [
                    Float(0, 1, when=when),
                    Float(1e-3, 1e3, log=True, when=when),
                    Float(-1, 1, step=0.25, when=when),
                    Int(0, 4, when=when),
                    Int(1, 1000, log=True, when=when),
                    Choice("a", 'b"\\', None, True, 0, 1.5, when=when),
                    Choice("ä", "名", weights=[1, 3], ordered=True, when=when),
                    Normal(0, 2.5, high=3, when=when),
                    LogNormal(-1, 0.5, when=when),
                ]
            )
        )
        distributions[name] = distribution
        if draw(st.booleans()):
            defaults[name] = distribution.from_unit(draw(st.floats(0, 1)))
    where = draw(st.sampled_from([(), "p0 == p0", ["p0 == p0", "p0 != 7 or p0 == 7"]]))
    return Space.of(distributions, defaults, where)


@st.composite
def conditions(draw, earlier):
    if draw(st.booleans()):
        return None
    name = draw(st.sampled_from(sorted(earlier)))
    other = earlier[name]
    values = [other.from_unit(draw(st.floats(0, 1))) for _ in range(draw(st.integers(1, 3)))]
    forms = [values, values[0]]
    if not isinstance(other, Choice):
        forms.append(Between(min(values), draw(st.sampled_from([None, max(values)]))))
    return {name: draw(st.sampled_from(forms))}


@given(spaces())
def test_a_space_survives_json(space):
    text = space.to_json()
    json.loads(text, parse_constant=pytest.fail)  # no NaN or Infinity
    again = Space.from_json(text)
    assert again.to_json() == text
    assert again.defaults == space.defaults
    assert again.constraints == space.constraints
    for parameter, reread in zip(space.parameters, again.parameters, strict=True):
        assert reread.conditions == parameter.conditions
        assert reread.default == parameter.default
    assert again.sample(1, 2, "random") == space.sample(1, 2, "random")


def test_json_keeps_a_default_of_false_and_none_apart_from_a_missing_one():
    space = Space.of(
        {"a": Choice(True, False), "b": Choice(None, 0), "c": Choice(1, 2)}, {"a": False, "b": None}
    )
    defaults = [parameter.default for parameter in Space.from_json(space.to_json()).parameters]
    assert defaults == [False, None, MISSING]


def test_golden_json():
    space = Space.of(
        {"lr": Float(1e-4, 1, log=True), "opt": OPTIMIZER, "m": Float(0, 1, when={"opt": "sgd"})},
        {"lr": 0.1},
        "lr < m",
    )
    assert space.to_json() == (
        '{"parameters": [{"name": "lr", "type": "float", "low": 0.0001, "high": 1.0, '
        '"log": true, "default": 0.1}, {"name": "opt", "type": "choice", "options": ["sgd", '
        '"adam"]}, {"name": "m", "type": "float", "low": 0.0, "high": 1.0, "when": {"opt": '
        '["sgd"]}}], "where": ["lr < m"]}'
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "5", "[]", "{}", '{"parameters": 3}', '{"parameters": [3]}',
        '{"parameters": [{"name": "x"}]}',
        '{"parameters": [{"name": "x", "type": "float"}]}',
        '{"parameters": [{"name": "x", "type": "gamma", "low": 0}]}',
        '{"parameters": [{"name": "x", "type": "float", "low": 0, "high": 1, "colour": 2}]}',
        '{"parameters": [{"name": "x", "type": "float", "low": "a", "high": 1}]}',
        '{"parameters": [{"name": "x", "type": "float", "low": [], "high": {}}]}',
        '{"parameters": [{"name": "x", "type": "float", "low": NaN, "high": Infinity}]}',
        '{"parameters": [{"name": "x", "type": "int", "low": 0, "high": 9, "step": "a"}]}',
        '{"parameters": [{"name": "x", "type": "choice", "options": 5}]}',
        '{"parameters": [{"name": "x", "type": "choice", "options": [[1], {}]}]}',
        '{"parameters": [{"name": "x", "type": "choice", "options": [1], "weights": ["a"]}]}',
        '{"parameters": [{"name": "x", "type": "choice", "options": [1], "weights": 1}]}',
        '{"parameters": [{"name": "x", "type": "normal", "mean": "a", "sd": null}]}',
        '{"parameters": [{"name": "x", "type": "choice", "options": [1], "when": 5}]}',
        '{"parameters": [{"name": "x", "type": "choice", "options": [], "when": {"y": {"a": 1}}}]}',
        '{"parameters": [{"name": "x y", "type": "choice", "options": [1]}]}',
        '{"parameters": [{"name": "x", "type": "choice", "options": [1]}], "where": 5}',
        '{"parameters": [{"name": "x", "type": "choice", "options": [1]}], "where": ["exit()"]}',
    ],
)  # fmt: skip
def test_a_space_that_makes_no_sense_raises_what_the_store_expects(text):
    with pytest.raises((SpaceError, ValueError, KeyError, TypeError, AttributeError)):
        Space.from_json(text)


# What is wrong with a distribution: the whole message, as the space tells it


@pytest.mark.parametrize(
    ("distribution", "told"),
    [
        (Float(1, 0), "low 1 is not below high 0: write Float(0, 1)"),
        (Float(1, 1), "low 1 is not below high 1: a fixed value needs no annotation"),
        (Int(9, 1), "low 9 is not below high 1: write Int(1, 9)"),
        (Int(3, 3), "low 3 is not below high 3: a fixed value needs no annotation"),
        (Float("0", 1), "'0' is not a number: write Float(low, high)"),
        (Float(0, True), "True is not a number: write Float(low, high)"),
        (Float(0, float("inf")), "0 to inf is not a finite range: give finite bounds"),
        (Float(float("nan"), 1), "nan to 1 is not a finite range: give finite bounds"),
        (Float(-1e308, 1e308), "-1e+308 to 1e+308 is not a finite range: give finite bounds"),
        (Float(0, 10**5000), "0 to <int> is not a finite range: give fini"),
        (Int(0.5, 3), "0.5 is not a whole number: use Float, or write a whole number"),
        (Int(0, 3, step=0.5), "0.5 is not a whole number: use Float, or write a whole number"),
        (Int(0, 2**54), f"0 to {2**54} is too large: whole numbers go up to 2**53"),
        (
            Float(0, 1, log=True),
            "log needs low above 0, not 0: write a low such as 0.001, or leave out log",
        ),
        (
            Float(-2, -1, log=True),
            "log needs low above 0, not -2: write a low such as 1e-4, or leave out log",
        ),
        (
            Int(0, 9, log=True),
            "log needs low above 0, not 0: write a low such as 1, or leave out log",
        ),
        (Float(0.1, 1, log=True, step=0.1), "log and step exclude each other: leave out one"),
        (Int(1, 9, log=True, step=2), "log and step exclude each other: leave out one"),
        (
            Float(0, 1, step=0.3),
            "step 0.3 does not fit from 0 to 1: write high=0.9 or high=1.2 in Float",
        ),
        (
            Float(0.1, 1, step=0.2),
            "step 0.2 does not fit from 0.1 to 1: write high=0.9 or high=1.1 in Float",
        ),
        (Int(1, 10, step=4), "step 4 does not fit from 1 to 10: write high=9 or high=13 in Int"),
        (Float(0, 1, step=5), "step 5 does not fit from 0 to 1: write high=5 in Float"),
        (Float(0, 1, step=0), "step 0 must be a number above 0: change it, or leave it out"),
        (Float(0, 1, step=-0.1), "step -0.1 must be a number above 0: change it, or leave it out"),
        (Float(0, 1, step="a"), "step 'a' must be a number above 0: change it, or leave it out"),
        (Int(0, 4, step=-2), "step -2 must be a number above 0: change it, or leave it out"),
        (Float(0, 1e300, step=1e-5), "step 1e-05 is too small from 0 to 1e+300: leave it out"),
        (Choice(), "Choice has no options: write Choice('a', 'b')"),
        (Choice("a", "b", "a"), "option 'a' is given twice: remove one"),
        (Choice(1, 2, 1.0), "option 1.0 is given twice: remove one"),
        (Choice(None, None), "option None is given twice: remove one"),
        (
            Choice((1, 2), (3, 4)),
            (
                "option (1, 2) cannot be stored in a study: give the options names, "
                "and look the name up in the objective"
            ),
        ),
        (Choice(1, float("nan")), "option nan cannot be stored in a study: give the options nam"),
        (Choice(1, 2**63), f"option {2**63} cannot be stored in a study: give the options names"),
        (Choice(10**5000), "option <int> cannot be stored in a study: give"),
        (Choice("\ud800"), "option '\\ud800' cannot be stored in a study: give the options names"),
        (Choice(b"x"), "option b'x' cannot be stored in a study: give the options names"),
        (Choice("a", "b", weights=[1]), "1 weights for 2 options: give one for each option"),
        (Choice("a", weights=[1, 2]), "2 weights for 1 options: give one for each option"),
        (Choice("a", "b", weights=[1, 0]), "weights [1, 0] must all be above 0: leave out what is"),
        (Choice("a", "b", weights=[1, -1]), "weights [1, -1] must all be above 0: leave out what"),
        (Choice("a", "b", weights=[1, 1e-30]), "weights [1, 1e-30] must all be above 0: leave out"),
        (Choice("a", weights=["b"]), "weights ('b',) are not finite numbers: write weights=[2, 1"),
        (Choice("a", weights=5), "weights 5 are not finite numbers: write weights=[2, 1, 1]"),
        (Choice("a", weights=[float("inf")]), "weights (inf,) are not finite numbers: write weig"),
        (Choice("a", "b", weights=[1e308, 1e308]), "weights [1e+308, 1e+308] must all be above 0"),
        (Normal("a", 1), "'a' is not a finite number: write Normal(mean, sd)"),
        (Normal(0, float("inf")), "inf is not a finite number: write Normal(mean, sd)"),
        (Normal(0, 10**400), "1000"),
        (Normal(0, 0), "sd 0 must be above 0: write Normal(mean, sd)"),
        (LogNormal(0, -1), "sd -1 must be above 0: write LogNormal(mean, sd)"),
        (Normal(0, 1, low=2, high=1), "low 2 is not below high 1: swap them"),
        (Normal(0, 1, low=1, high=1), "low 1 is not below high 1: a fixed value needs no annotat"),
        (Normal(0, 1, low=float("nan")), "nan is not a finite number: write Normal(mean, sd)"),
        (LogNormal(0, 1, low=-1), "low -1 must not be negative: a LogNormal number is above 0"),
        (LogNormal(0, 1, high=0), "high 0 must be above 0: a LogNormal number is above 0"),
        (
            Normal(0, 1, low=7, high=8),
            "almost nothing of the distribution lies from 7 to 8: move mean, or widen",
        ),
        (LogNormal(1000, 1), "almost nothing of the distribution lies from"),
    ],
)
def test_what_is_wrong_with_a_distribution(distribution, told):
    assert message({"x": distribution}).startswith(f"parameter 'x': {told}")


# What is wrong with defaults


@pytest.mark.parametrize(
    ("distribution", "default", "told"),
    [
        (Float(0, 1), 2, "default 2 is outside of 0 to 1: change it, or the range"),
        (Float(0, 1), "a", "default 'a' is not a number: change it, or the range"),
        (Float(0, 1), None, "default None is not a number: change it, or the range"),
        (Int(1, 5), 2.5, "default 2.5 is not a whole number: change it, or the range"),
        (
            Int(1, 5, step=2),
            2,
            "default 2 is not a multiple of the step 2 above 1: change it, or the range",
        ),
        (
            Choice("a", "b"),
            "c",
            "default 'c' is not one of 'a', 'b': change it, or the range",
        ),
        (LogNormal(0, 1), 0.0, "default 0.0 is not above 0: change it, or the range"),
    ],
)
def test_what_is_wrong_with_a_default(distribution, default, told):
    assert message({"x": distribution}, {"x": default}) == f"parameter 'x': {told}"


# What is wrong with conditions


def test_a_condition_on_an_unknown_parameter():
    told = message({"x": Float(0, 1, when={"opt": "sgd"}), "optimizer": OPTIMIZER})
    assert told == (
        "parameter 'x' has a condition on 'opt', which is not a parameter: use one of optimizer"
    )
    assert message({"x": Float(0, 1, when={"opt": "sgd"})}) == (
        "parameter 'x' has a condition on 'opt', which is not a parameter: remove it"
    )


def test_a_circle_of_conditions():
    told = message(
        {"a": Choice(0, 1, when={"b": 1}), "b": Choice(0, 1, when={"a": 1}), "c": Float(0, 1)}
    )
    assert told == "the conditions of 'a', 'b' go in a circle: remove one of them"
    assert "'a' go in a circle" in message({"a": Choice(0, 1, when={"a": 1})})


@pytest.mark.parametrize(
    ("other", "wanted", "told"),
    [
        (OPTIMIZER, "lion", "'lion' is not one of 'sgd', 'adam'"),
        (OPTIMIZER, ["sgd", "lion"], "'lion' is not one of 'sgd', 'adam'"),
        (Choice(True, False), 1, "1 is not one of True, False"),
        (Int(1, 4), 5, "5 is outside of 1 to 4"),
        (Int(1, 4), range(1, 9, 3), "7 is outside of 1 to 4"),
        (Float(0, 1), "a", "'a' is not a number"),
        (Float(0, 1, step=0.25), 0.3, "0.3 is not a multiple of the step 0.25 above 0"),
        (Int(1, 4), Between(5, 9), "Between(low=5, high=9) has none of its values"),
        (Int(1, 4), Between(high=0), "Between(low=None, high=0) has none of its values"),
        (Int(1, 4), Between(3, 2), "Between(low=3, high=2) has none of its values"),
        (Int(1, 4), Between(2.2, 2.8), "Between(low=2.2, high=2.8) has none of its values"),
        (Int(0, 9, step=3), Between(4, 5), "Between(low=4, high=5) has none of its values"),
        (Int(1, 4), range(7, 9), "Between(low=7, high=8) has none of its values"),
        (
            Float(0, 1, step=0.25),
            Between(0.3, 0.4),
            "Between(low=0.3, high=0.4) has none of its values",
        ),
        (Float(0, 1), Between(low=1.5), "Between(low=1.5, high=None) has none of its values"),
        (OPTIMIZER, Between(0, 1), "Between(low=0, high=1) has none of its values"),
        (LogNormal(0, 1), Between(high=0), "Between(low=None, high=0) has none of its values"),
    ],
)
def test_a_condition_that_never_holds(other, wanted, told):
    assert message({"o": other, "x": Float(0, 1, when={"o": wanted})}) == (
        f"parameter 'x' has a condition that never holds: o={told}: change it"
    )


@pytest.mark.parametrize(
    ("other", "between"),
    [
        (Int(0, 9, step=3), Between(4, 6)),
        (Float(0, 1, step=0.1), Between(0.3, 0.3)),
        (Float(0, 1), Between(1, 1)),
        (Int(1, 4), Between(-5, 1)),
        (Normal(0, 1), Between(low=1e300)),
        (Choice("auto", 3), Between(2, 4)),
    ],
)
def test_a_condition_that_may_hold(other, between):
    assert Space.of({"o": other, "x": Float(0, 1, when={"o": between})})


@pytest.mark.parametrize("when", ["sgd", {}, 5, ["optimizer"]])
def test_what_is_no_condition(when):
    told = message({"o": OPTIMIZER, "x": Float(0, 1, when=when)})
    assert told == (
        f"parameter 'x': when={when!r} is not a condition: "
        'write when={"optimizer": "sgd"}, a list of values, or Between(low, high)'
    )


@pytest.mark.parametrize("wanted", [[], range(5, 5), {"a": 1}, [[1]], b"sgd", 1j])
def test_what_is_no_value_of_a_condition(wanted):
    told = message({"o": OPTIMIZER, "x": Float(0, 1, when={"o": wanted})})
    assert told.startswith("parameter 'x': the condition o=")
    assert told.endswith("is not a value: write a value, a list of values or Between(low, high)")


@pytest.mark.parametrize("bound", ["a", float("nan"), float("inf"), True, 10**400])
def test_what_is_no_bound_of_a_condition(bound):
    told = message({"o": Int(1, 4), "x": Float(0, 1, when={"o": Between(bound, None)})})
    assert told.startswith("parameter 'x': the bound ")
    assert told.endswith(
        " of its condition on 'o' is not a finite number: "
        "write Between(low, high), with None for an open end"
    )


# What is wrong with constraints


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("a + c < 1", "constraint 'a + c < 1' uses 'c', which is not a parameter: use a, b"),
        ("1 < 2", "constraint '1 < 2' uses no parameter: use a, b"),
        ("'a < b'", "constraint \"'a < b'\" uses no parameter: use a, b"),
        ("a <", "constraint 'a <' cannot be read (invalid syntax): write a comparison such as"),
        ("open(a)", "constraint 'open(a)' is not allowed in a constraint: use comparisons, + -"),
        ("a < 1, b < 1", "constraint '(a < 1, b < 1)' is not allowed in a constraint: use comp"),
        (5, "constraint 5 is not a text: write where='a * b <= 100'"),
        ([None], "constraint None is not a text: write where='a * b <= 100'"),
        ({"a": 1}, "constraint {'a': 1} is not a text: write where='a * b <= 100'"),
        (
            "a > 5",
            (
                "no configuration in 10,000 drawn at random satisfies 'a > 5': "
                "loosen the constraint, or the ranges"
            ),
        ),
        (
            ["a < 0.5", "a > 0.5"],
            (
                "no configuration in 10,000 drawn at random satisfies 'a < 0.5' and 'a > 0.5': "
                "loosen the constraint, or the ranges"
            ),
        ),
        ("b < a", "constraint 'b < a' cannot be computed: '<' not supported between instances"),
        ("b * 9 < a", "constraint 'b * 9 < a' cannot be computed: 'x' is not a number: compare"),
    ],
)
def test_what_is_wrong_with_a_constraint(where, told):
    assert message({"a": Float(0, 1), "b": Choice("x")}, where=where).startswith(told)


def test_defaults_that_violate_a_constraint():
    told = message({"a": Int(1, 9), "b": Int(1, 9)}, {"a": 7, "b": 3}, "a < b")
    assert told == (
        "the defaults {'a': 7, 'b': 3} do not satisfy 'a < b': change a default, or the constraint"
    )


# What is wrong with the whole


def test_no_parameters_at_all():
    assert message({}) == (
        "the objective has no parameters to tune: annotate one, "
        "for example lr: Annotated[float, Float(1e-4, 1, log=True)] = 0.1"
    )


@pytest.mark.parametrize("name", ["learning rate", "2x", "", "a-b", "a;drop", 5, None])
def test_a_name_that_python_does_not_know(name):
    assert message({name: Float(0, 1)}) == f"parameter {name!r} is not a Python name: rename it"


# What the decorator finds out, which knows the function


def refused(function, **arguments):
    with pytest.raises(SpaceError) as caught:
        tinytune.trial(**arguments)(function)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{function.__qualname__}: ")


def test_a_conditional_parameter_without_a_default():
    def f(o: Annotated[str, OPTIMIZER], x: Annotated[float, Float(0, 1, when={"o": "sgd"})]): ...

    assert refused(f) == (
        "parameter 'x' has a condition but no default: give it one, which the function gets "
        "where the condition does not hold"
    )


def test_an_unannotated_parameter_without_a_default():
    def f(epochs, lr: Annotated[float, Float(0, 1)] = 0.1): ...

    assert refused(f) == (
        "parameter 'epochs' has neither a distribution nor a default: annotate it, "
        "for example epochs: Annotated[float, Float(0, 1)], or give it a fixed value"
    )


@pytest.mark.parametrize("kind", [Float, Int, Choice, Normal, LogNormal])
def test_a_distribution_without_parentheses(kind):
    def f(x): ...

    f.__annotations__ = {"x": Annotated[float, kind]}
    name = kind.__name__
    assert refused(f) == f"parameter 'x': {name} has no range: write {name}(...) with its arguments"


@pytest.mark.parametrize("hint", [Float, Normal, Float(0, 1), Choice("a")])
def test_a_distribution_without_annotated(hint):
    def f(x=0.5): ...

    f.__annotations__ = {"x": hint}
    assert refused(f) == (
        "parameter 'x' is annotated with a distribution alone: "
        "write a type with it, for example Annotated[float, Float(0, 1)]"
    )


def test_a_positional_only_parameter():
    def f(x: Annotated[float, Float(0, 1)], /): ...

    assert refused(f) == "parameter 'x' is positional-only: remove the / after it"


def test_a_parameter_with_a_star():
    def f(x: Annotated[float, Float(0, 1)] = 0.1, *rest: Annotated[float, Float(0, 1)]): ...
    def g(x: Annotated[float, Float(0, 1)] = 0.1, **rest: Annotated[float, Float(0, 1)]): ...

    for function in (f, g):
        assert refused(function) == "parameter 'rest' has a star and cannot be tuned: remove it"


def test_nothing_to_tune():
    def f(x=1): ...

    assert refused(f).startswith("the objective has no parameters to tune: annotate one")
    assert refused(f, space={}).startswith("the objective has no parameters to tune")


def test_a_space_that_does_not_match_the_function():
    def f(x=1): ...

    assert refused(f, space={"y": Float(0, 1)}) == (
        "parameter 'y' of the space is not one of the function's: it has x"
    )
    assert refused(f, space={"x": (0, 1)}) == (
        "parameter 'x': (0, 1) is not a distribution: use Float, Int, Choice, Normal or LogNormal"
    )


def test_the_message_names_the_function():
    def train(lr: Annotated[float, Float(1, 0)] = 0.1): ...

    with pytest.raises(SpaceError, match=r"train: parameter 'lr': low 1 is not below high 0"):
        tinytune.trial(train)
