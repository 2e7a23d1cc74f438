"""The decorator, what a function returns or raises, and reports."""

import contextlib
import json
import math
import threading
from collections import UserDict
from decimal import Decimal
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import pytest

import tinytune
from tinytune import context, objective
from tinytune.distributions import Between, Choice, Float, Int, Normal
from tinytune.errors import ObjectiveError, SpaceError, UsageError
from tinytune.history import Goal, Outcome
from tinytune.objective import Objective
from tinytune.output import progress

GOALS = (Goal("loss", "minimize"),)


def names(function):
    return list(function.space.by_name)


# The decorator


def test_bare():
    @tinytune.trial
    def train(lr: Annotated[float, Float(1e-4, 1, log=True)] = 0.1, epochs: int = 20) -> float:
        """Train it."""
        return lr * epochs

    assert isinstance(train, Objective)
    assert train.goals == (Goal("value", "minimize"),)
    assert names(train) == ["lr"]
    assert train.settings == {"epochs": 20}
    assert train.space.defaults == {"lr": 0.1}
    assert train() == 2.0
    assert train(0.5, epochs=2) == 1.0
    assert train.__doc__ == "Train it."
    assert train.__name__ == "train"
    assert train.name == "test_bare.<locals>.train"


@pytest.mark.parametrize(
    ("arguments", "goal"),
    [
        ({}, Goal("value", "minimize")),
        ({"minimize": "error"}, Goal("error", "minimize")),
        ({"maximize": "accuracy"}, Goal("accuracy", "maximize")),
    ],
)
def test_with_arguments(arguments, goal):
    @tinytune.trial(**arguments)
    def train(lr: Annotated[float, Float(0, 1)] = 0.1):
        return lr

    assert train.goals == (goal,)


def test_both_directions_are_several_objectives():
    @tinytune.trial(minimize=("error", "seconds"), maximize="recall")
    def train(lr: Annotated[float, Float(0, 1)] = 0.1):
        return {"error": lr, "recall": lr}

    directions = {"error": "minimize", "seconds": "minimize", "recall": "maximize"}
    assert train.goals == tuple(Goal(*goal) for goal in directions.items())
    with pytest.raises(UsageError, match="'a' is given twice"):
        tinytune.trial(minimize=("a", "b"), maximize="a")
    with pytest.raises(UsageError, match="a plain name, without quotes"):
        tinytune.trial(minimize=("a", 'b"'))
    with pytest.raises(
        UsageError, match=r"minimize must be a text or a list of texts, not \('a', 3\)"
    ):
        tinytune.trial(minimize=("a", 3))


def test_a_space_beside_the_function():
    @tinytune.trial(space={"x": Float(0, 1), "n": Int(1, 9)}, where="x * n <= 4")
    def f(x, n=3, other="a"):
        return x * n

    assert names(f) == ["x", "n"]
    assert f.settings == {"other": "a"}
    assert f.space.defaults is None  # x has none
    assert [constraint.text for constraint in f.space.constraints] == ["x * n <= 4"]
    assert f(0.5) == 1.5


def test_a_space_replaces_the_annotations():
    @tinytune.trial(space={"n": Int(1, 9)})
    def f(x: Annotated[float, Float(0, 1)] = 0.5, n=3):
        return x * n

    assert names(f) == ["n"]
    assert f.settings == {"x": 0.5}


def test_a_function_that_takes_any_names():
    @tinytune.trial(space={"c": Choice("a", "b"), "x": Float(0, 1, when={"c": "b"})})
    def f(**params):
        return len(params)

    assert names(f) == ["c", "x"]
    assert run(f, {"c": "a"}).value == 1
    assert run(f, {"c": "b", "x": 0.5}).value == 2


FUTURE = """
from __future__ import annotations

@tinytune.trial(minimize="loss")
def train(
    trial: tinytune.Trial,
    lr: Annotated[float, Float(1e-4, 1, log=True)] = 0.1,
    momentum: Annotated[float, Float(0, 1, when={"lr": Between(low=0.5)})] | None = None,
    epochs: int = 20,
) -> Annotated[float, "a loss"]:
    return trial.number
"""


def test_annotations_that_are_texts():
    space = {"tinytune": tinytune, "Annotated": Annotated, "Float": Float, "Between": Between}
    exec(FUTURE, space)
    train = space["train"]
    assert names(train) == ["lr", "momentum"]
    assert train.settings == {"epochs": 20}
    assert run(train, {"lr": 0.1}, number=5).value == 5


def test_annotations_that_cannot_be_read():
    def f(x: "Nowhere" = 1, lr: Annotated[float, Float(0, 1)] = 0.1): ...  # noqa: F821

    with pytest.raises(ObjectiveError) as caught:
        tinytune.trial(f)
    assert str(caught.value) == (
        f"the annotations of {f.__qualname__} cannot be read (name 'Nowhere' is not defined): "
        "import the names that they use at the top of the file, or give space={...}"
    )
    assert names(tinytune.trial(space={"lr": Float(0, 1)})(f)) == ["lr"]  # the remedy works


def test_a_trial_parameter_beside_annotations_that_cannot_be_read():
    @tinytune.trial(space={"x": Float(0, 1)})
    def f(x, trial: "tinytune.Trial", other: "Nowhere" = None):  # noqa: F821
        return trial.number + x

    assert run(f, {"x": 0.5}, number=2).value == 2.5


@pytest.mark.parametrize(
    "hint",
    [
        Annotated[float, Float(0, 1)],
        Annotated[float, "text", Float(0, 1)],
        Annotated[float | None, Float(0, 1)],
        Annotated[float, Float(0, 1)] | None,
        Optional[Annotated[float, Float(0, 1)]],  # noqa: UP045
    ],
    ids=str,
)
def test_where_a_distribution_may_stand(hint):
    def f(x=0.5): ...

    f.__annotations__ = {"x": hint}
    assert tinytune.trial(f).space.by_name["x"].distribution == Float(0, 1)


def test_an_annotated_result_is_no_parameter():
    @tinytune.trial
    def f(x: Annotated[float, Float(0, 1)] = 0.5) -> Annotated[float, Float(0, 1)]:
        return x

    assert names(f) == ["x"]


def test_none_stands_for_not_there_in_a_conditional_parameter():
    @tinytune.trial
    def f(
        c: Annotated[str, Choice("a", "b")] = "a",
        x: Annotated[float | None, Float(0, 1, when={"c": "b"})] = None,
        y: Annotated[str | None, Choice(None, "z", when={"c": "a"})] = None,
    ):
        return 0.0 if x is None else x

    assert f.space.defaults == {"c": "a", "y": None}
    assert run(f, {"c": "a", "y": None}).value == 0
    assert run(f, {"c": "b", "x": 0.25}).value == 0.25


@pytest.mark.parametrize("wrong", ["loss", 5, None], ids=repr)
def test_what_is_no_function(wrong):
    with pytest.raises(ObjectiveError) as caught:
        tinytune.trial()(wrong)
    assert str(caught.value).endswith(
        " is not a function: write @tinytune.trial above a `def`, "
        "or @tinytune.trial(minimize='loss')"
    )


class Model:
    def __call__(self, x: Annotated[float, Float(0, 1)] = 0.5) -> float:
        return x


@pytest.mark.parametrize("wrong", [partial(max, 1), Model(), Model], ids=["partial", "it", "class"])
def test_what_can_be_called_and_is_no_function(wrong):
    with pytest.raises(ObjectiveError, match=r"write @tinytune\.trial above a `def` that calls it"):
        tinytune.trial(wrong)


def test_a_function_behind_another_callable_is_in_its_own_file(tmp_path):
    @tinytune.trial
    @cache
    def squared(x: Annotated[float, Float(-1, 1)] = 0.5) -> float:
        return x * x

    assert squared.file == Path(__file__)
    with squared.tune(tmp_path / "s.db", trials=2) as study:
        assert study.best_value <= 0.25


@pytest.mark.parametrize(
    ("parameter", "remedy"),
    [
        ("trial", "for the running trial write trial: tinytune.Trial"),
        ("self", "or a method of an object"),
        ("lr=Float(0, 1)", "'lr' has a distribution as its default: annotate it with it"),
        ("n: Annotated[int, Float(1, 9)] = 2", "'n' is an int, and Float gives numbers between"),
        ("n: Annotated[int, Normal(1, 9)] = 2", "and Normal gives numbers between"),
    ],
)
def test_a_parameter_that_was_meant_otherwise(parameter, remedy):
    made: dict[str, Any] = {}
    exec(f"def f(x: Annotated[float, Float(0, 1)], *, {parameter}): return x", globals(), made)
    with pytest.raises(SpaceError) as caught:
        tinytune.trial(made["f"])
    assert remedy in str(caught.value)


def test_several_results_go_by_name():
    @tinytune.trial(minimize=("error", "seconds_each"))
    def f(x: Annotated[float, Float(0, 1)] = 0.5) -> tuple[float, float]:
        return x, 2.0

    assert run(f, {"x": 0.5}).error == (
        "the objective returned (0.5, 2.0): return {'error': …, 'seconds_each': …}"
    )


def test_what_is_printed_of_objectives_studies_and_trials(tmp_path):
    @tinytune.trial
    def f(x: Annotated[float, Float(0, 1)] = 0.5, y: Annotated[int, Int(1, 2)] = 1) -> float:
        return x + y

    path = tmp_path / "s.db"
    with f.tune(path, trials=1, timeout=0) as study:  # the study alone, and no trial
        assert repr(study) == f"Study({str(path)!r})"
        for attribute in ("best_params", "best_value"):
            with pytest.raises(UsageError, match="has no best trial"):
                getattr(study, attribute)
        trial = study.ask()
        assert repr(trial) == "Trial(number=0, params={'x': 0.5, 'y': 1})"
        study.tell(trial, f.run(trial, f.settings))
        assert (study.best_params, study.best_value) == ({"x": 0.5, "y": 1}, 1.5)
    assert repr(f).startswith("<objective test_what_is_printed")
    assert repr(f).endswith(".f(x, y)>")


def test_a_name_given_as_if_it_were_the_function():
    with pytest.raises(ObjectiveError, match="'loss' is not a function"):
        tinytune.trial("loss")


# Calling it by itself


OPTIONAL_TRIAL = Optional[tinytune.Trial]  # noqa: UP045


@pytest.mark.parametrize("hint", [tinytune.Trial, tinytune.Trial | None, OPTIONAL_TRIAL], ids=str)
def test_a_trial_is_injected(hint):
    def f(x, trial=None, scale=2):
        trial.report(0, x=x)
        return trial.number + x * scale

    f.__annotations__ = {"x": Annotated[float, Float(0, 1)], "trial": hint}
    f = tinytune.trial(f)
    assert f.settings == {"scale": 2}
    assert f(0.5) == f(x=0.5) == 1.0  # number 0, outside of a study
    mine = tinytune.Trial(7)
    assert f(0.5, mine) == f(0.5, trial=mine) == 8.0
    assert run(f, {"x": 0.5}, number=3).value == 4.0


def test_a_wrong_call_is_pythons_error():
    @tinytune.trial
    def f(trial: tinytune.Trial, x: Annotated[float, Float(0, 1)] = 0.5): ...

    with pytest.raises(TypeError, match="unexpected keyword argument"):
        f(y=3)


def test_what_a_call_raises_passes_through():
    @tinytune.trial
    def f(x: Annotated[float, Float(0, 1)] = 0.5):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        f()


# Settings


@pytest.fixture
def configured():
    @tinytune.trial
    def f(
        x: Annotated[float, Float(0, 1)] = 0.5,
        epochs: int = 20,
        rate: float = 0.5,
        fast: bool = False,
        name: str = "a",
        layers: list[int] = [64, 32],  # noqa: B006
        extra: dict | None = None,
        device: object = threading,
        shape: tuple = (1, 2),
        limit: float = math.inf,
    ):
        return x

    return f


def test_what_json_holds_is_recorded(configured):
    assert configured.settings == {
        "epochs": 20, "rate": 0.5, "fast": False, "name": "a", "layers": [64, 32], "extra": None,
    }  # fmt: skip
    assert configured.settings_with({}) == configured.settings
    json.dumps(configured.settings, allow_nan=False)


def test_a_setting_that_contains_itself_is_not_recorded():
    loop, deep = [], []
    loop.append(loop)
    for _ in range(100_000):
        deep = [deep]

    @tinytune.trial
    def f(x: Annotated[float, Float(0, 1)] = 0.5, a=loop, b=deep, c=3): ...

    assert f.settings == {"c": 3}
    while deep:  # taken apart here, level by level
        deep = deep.pop()


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("epochs", 5, 5),
        ("rate", 0.25, 0.25),
        ("rate", 2, 2.0),
        ("rate", np.float64(0.25), 0.25),
        ("fast", True, True),
        ("name", "b", "b"),
        ("layers", [1], [1]),
        ("layers", "none", "none"),
        ("extra", {"a": [1, None]}, {"a": [1, None]}),
        ("extra", True, True),
        ("extra", 1, 1),
    ],
)
def test_settings_with(configured, name, value, stored):
    found = configured.settings_with({name: value})
    assert found == {**configured.settings, name: stored}
    assert type(found[name]) is type(stored)
    assert list(found) == list(configured.settings)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("x", 0.3, "'x' is tuned, not set: give it one value with --grid x=0.3,"),
        ("epoch", 3, "no setting 'epoch': its settings are epochs, rate, fast, name, layers, ext"),
        ("device", "gpu", "no setting 'device': its settings are epochs"),
        ("epochs", 2.5, "setting 'epochs' is 20, an int, and 2.5 is not"),
        ("epochs", True, "setting 'epochs' is 20, an int, and True is not"),
        ("epochs", "5", "setting 'epochs' is 20, an int, and '5' is not"),
        ("rate", "fast", "setting 'rate' is 0.5, a float, and 'fast' is not"),
        ("rate", True, "setting 'rate' is 0.5, a float, and True is not"),
        ("rate", 10**400, "setting 'rate' is 0.5, a float, and 1000"),
        ("fast", 1, "setting 'fast' is False, a bool, and 1 is not"),
        ("name", 5, "setting 'name' is 'a', a str, and 5 is not"),
        ("name", None, "setting 'name' is 'a', a str, and None is not"),
        ("rate", math.nan, "setting 'rate' cannot be nan: a study stores texts, finite numbers"),
        ("extra", math.inf, "setting 'extra' cannot be inf: a study stores texts"),
        ("extra", {1, 2}, "setting 'extra' cannot be {1, 2}: a study stores texts"),
        ("layers", (1, 2), "setting 'layers' cannot be (1, 2): a study stores texts"),
    ],
)
def test_what_is_wrong_with_a_setting(configured, name, value, told):
    with pytest.raises(UsageError) as caught:
        configured.settings_with({name: value})
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_function_without_settings_says_so():
    @tinytune.trial
    def f(x: Annotated[float, Float(0, 1)] = 0.5): ...

    with pytest.raises(UsageError, match="f has no setting 'y': its settings are none"):
        f.settings_with({"y": 1})


def test_the_settings_of_the_study_are_passed_and_others_are_not(configured):
    seen = {}

    @tinytune.trial
    def f(x: Annotated[float, Float(0, 1)], epochs=20, device=threading):
        seen.update(x=x, epochs=epochs, device=device)
        return x

    run(f, {"x": 0.25}, settings={"epochs": 3, "gone": 1, "device": "stored by someone"})
    assert seen == {"x": 0.25, "epochs": 3, "device": threading}


def test_a_list_that_one_trial_changes_is_not_the_next_ones():
    @tinytune.trial
    def f(x: Annotated[float, Float(0, 1)], layers=[1, 2]):  # noqa: B006
        layers.append(3)
        return len(layers)

    settings = f.settings_with({})
    assert [run(f, {"x": 0.5}, settings=settings).value for _ in range(3)] == [3, 3, 3]


# What is returned


def run(function, params, number=0, settings=None, write=None):
    trial = tinytune.Trial(number, params, 0, write)
    return function.run(trial, function.settings if settings is None else settings)


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


class UnprintableNumber(Unprintable):
    def __float__(self):
        raise Unprintable2


class Unprintable2(Exception):
    def __str__(self):
        raise RuntimeError("no")


class Proxy:
    def __getattr__(self, name):
        raise RuntimeError(f"no {name}")


class BrokenMapping(UserDict):
    def items(self):
        raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("returned", "value"),
    [
        (0.5, 0.5),
        (3, 3.0),
        (-0.0, -0.0),
        (5e-324, 5e-324),
        (1.7976931348623157e308, 1.7976931348623157e308),
        (10**300, 1e300),
        (np.float64(0.25), 0.25),
        (np.float32(0.25), 0.25),
        (np.int8(-3), -3.0),
        (np.uint64(2**63), 2.0**63),
        (np.array(0.25), 0.25),
        (np.array(7), 7.0),
        (Decimal("0.1"), 0.1),
        (Fraction(1, 3), 1 / 3),
        ({"loss": 0.5}, 0.5),
        ({"loss": np.float32(0.5), "accuracy": 1, "time": Decimal(2)}, 0.5),
        (UserDict(loss=0.5), 0.5),
    ],
    ids=repr,
)
def test_numbers_that_are_returned(returned, value):
    found = objective.outcome(returned, GOALS)
    assert found.state == "complete"
    assert found.value == found.values["loss"] == value
    assert all(type(number) is float for number in found.values.values())
    assert found.error is None
    json.dumps(found.values, allow_nan=False)


def test_all_numbers_of_a_mapping_are_kept():
    found = objective.outcome({"accuracy": 1, "loss": 0.5, 3: 4}, GOALS)
    assert found.values == {"accuracy": 1.0, "loss": 0.5, "3": 4.0}


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (None, "returned loss = None: end it with `return loss`"),
        ({"loss": 1, "size": None}, "returned size = None"),
        (math.nan, "returned loss = NaN, not a number"),
        (np.float32("nan"), "returned loss = NaN, not a number"),
        (np.array(math.nan), "returned loss = NaN, not a number"),
        (Decimal("NaN"), "returned loss = NaN, not a number"),
        (Decimal("sNaN"), "returned loss = Decimal('sNaN'), which is no single number (ValueErr"),
        (math.inf, "returned loss = inf, not a finite number"),
        (-math.inf, "returned loss = -inf, not a finite number"),
        (Decimal("1e400"), "returned loss = inf, not a finite number"),
        (True, "returned loss = True, a bool, not a number"),
        (np.True_, "returned loss = np.True_, a bool, not a number"),
        ("1.5", "returned loss = '1.5', a str, not a number"),
        (np.str_("1.5"), "returned loss = np.str_('1.5'), a str_, not a number"),
        (b"1.5", "returned loss = b'1.5', a bytes, not a number"),
        (10**400, f"returned loss = {str(10**400)[:100]}, too large for a number of 64 bits"),
        (10**5000, "returned loss = <int>, too large for a number of 64 bits"),
        (Fraction(10**400), "too large for a number of 64 bits"),
        (1 + 2j, "returned loss = (1+2j), a complex, not a number"),
        (np.complex64(1 + 2j), "returned loss = np.complex64(1+2j), a complex64, not a number"),
        (np.array(1j), "returned loss = array(0.+1.j), which is no single number (TypeError"),
        (np.array([1.0, 2.0]), "returned loss = array([1., 2.]), which is no single number (Type"),
        (
            np.zeros((2, 2)),
            "returned loss = array([[0., 0.],        [0., 0.]]), which is no single",
        ),
        ([0.5], "returned loss = [0.5], a list, not a number"),
        ((0.5, 0.6), "returned loss = (0.5, 0.6), a tuple, not a number"),
        ({0.5}, "returned loss = {0.5}, a set, not a number"),
        (print, "returned loss = <built-in function print>, a builtin_function_or_method, not a"),
        (float, "returned loss = <class 'float'>, which is no single number (TypeError"),
        ("x" * 10**6, f"returned loss = '{'x' * 99}, a str, not a number"),
        ("\ud800", "returned loss = '\\ud800', a str, not a number"),
        ({}, "returned no 'loss', only an empty mapping"),
        ({"accuracy": 1, "time": 2}, "returned no 'loss', only accuracy, time"),
        ({"loss": 0.5, "accuracy": math.nan}, "returned accuracy = NaN, not a number"),
        ({"loss": 0.5, "note": "good"}, "returned note = 'good', a str, not a number"),
        ({"loss": {"train": 1, "test": 2}}, "returned loss = {'train': 1, 'test': 2}, a dict, not"),
        ({"\ud800": 1}, "returned no 'loss', only ?"),
        ({"\ud800": None}, "returned ? = None"),
        (Unprintable(), "returned loss = <Unprintable>, a Unprintable, not a number"),
        (UnprintableNumber(), "which is no single number (Unprintable2 (its message cannot be pr"),
        (Proxy(), "which is no single number (RuntimeError: no __float__)"),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_what_is_no_number(returned, told):
    found = objective.outcome(returned, GOALS)
    assert (found.state, found.value, found.values) == ("failed", None, {})
    assert f"the objective {told}" in found.error or told in found.error
    assert found.error.startswith("the objective returned ")
    assert found.error.encode()
    assert "\n" not in found.error
    assert len(found.error) <= objective.LONGEST_ERROR
    assert found.traceback is None


def test_a_mapping_that_fails():
    found = objective.outcome(BrokenMapping(loss=1), GOALS)
    assert (found.state, found.error) == ("failed", "OSError: the disk is gone")
    found = objective.outcome({Unprintable(): 1}, GOALS)
    assert (found.state, found.error) == ("failed", "RuntimeError: no")


def test_a_name_of_a_million_letters_is_cut():
    found = objective.outcome({"x" * 10**6: 1}, GOALS)
    assert len(found.error) == objective.LONGEST_ERROR


def test_a_generator_is_no_number():
    def f():
        yield 1

    found = objective.outcome(f(), GOALS)
    assert found.state == "failed"
    assert ", a generator, not a number" in found.error


# What is raised


def raised(error):
    trial = tinytune.Trial(0, {"x": 0.5})

    @tinytune.trial(minimize="loss")
    def f(x: Annotated[float, Float(0, 1)]):
        raise error

    found = f.run(trial, {})
    assert isinstance(found, Outcome)
    assert (found.state, found.value, found.values) == ("failed", None, {})
    assert found.error.encode()
    assert found.traceback.encode()
    assert len(found.error) <= objective.LONGEST_ERROR
    assert len(found.traceback) <= objective.LONGEST_TRACEBACK
    return found


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no message")


class NotText(Exception):
    def __str__(self):
        return 5


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("bad"), "ValueError: bad"),
        (ValueError(), "ValueError"),
        (ValueError(""), "ValueError"),
        (KeyError("lr"), "KeyError: 'lr'"),
        (ValueError("two\nlines"), "ValueError: two\nlines"),
        (ValueError("\ud800 x"), "ValueError: ? x"),
        (ValueError("nul \x00"), "ValueError: nul \x00"),
        (Mute(), "Mute (its message cannot be printed)"),
        (NotText(), "NotText (its message cannot be printed)"),
        (MemoryError(), "MemoryError"),
        (RecursionError("deep"), "RecursionError: deep"),
        (StopIteration(3), "StopIteration: 3"),
        (ExceptionGroup("many", [ValueError("a"), TypeError("b")]), "ExceptionGroup: many (2 sub"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), "UnicodeDecodeError: 'utf-8' codec ca"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors(error, told):
    found = raised(error)
    assert found.error.startswith(told)
    assert "in f" in found.traceback


def test_a_huge_message_is_cut_and_the_tracebacks_end_is_kept():
    found = raised(ValueError("start" + "x" * 10**6 + "end"))
    assert found.error.startswith("ValueError: startx")
    assert len(found.error) == objective.LONGEST_ERROR
    assert len(found.traceback) == objective.LONGEST_TRACEBACK
    assert found.traceback.endswith("end\n")


def test_a_cause_is_in_the_traceback():
    error = ValueError("outer")
    error.__cause__ = KeyError("inner")
    error.add_note("and a note")
    found = raised(error)
    assert "KeyError: 'inner'" in found.traceback
    assert "and a note" in found.traceback


def test_endless_recursion():
    @tinytune.trial
    def f(x: Annotated[float, Float(0, 1)]):
        return f.function(x)

    found = run(f, {"x": 0.5})
    assert found.state == "failed"
    assert found.error.startswith("RecursionError: maximum recursion depth exceeded")


def test_memory_that_there_is_not():
    @tinytune.trial
    def f(x: Annotated[float, Float(0, 1)]):
        return bytes(2**62)

    assert run(f, {"x": 0.5}).error == "MemoryError"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_error_passes_through(error):
    @tinytune.trial
    def f(x: Annotated[float, Float(0, 1)]):
        raise error

    with pytest.raises(error):
        run(f, {"x": 0.5})
    assert context._running == []


def test_parameters_that_the_function_does_not_take_fail_the_trial():
    @tinytune.trial
    def f(x: Annotated[float, Float(0, 1)]): ...

    found = run(f, {"x": 0.5, "y": 1})
    assert found.state == "failed"
    assert "unexpected keyword argument 'y'" in found.error


# Reports


class Written(list):
    def __call__(self, step, metrics):
        self.append((step, dict(metrics)))


def reporting(report):
    @tinytune.trial
    def f(x: Annotated[float, Float(0, 1)] = 0.5):
        report()
        return x

    return f


def test_outside_of_a_study_a_report_does_nothing():
    tinytune.report(0, loss=0.5)
    tinytune.Trial().report(1, loss=0.5)
    assert reporting(lambda: tinytune.report(3, loss=0.5))() == 0.5


@pytest.mark.parametrize(
    ("step", "metrics", "written"),
    [
        (0, {"loss": 0.5}, (0, {"loss": 0.5})),
        (-1, {"loss": 1, "error": True}, (-1, {"loss": 1.0, "error": 1.0})),
        (np.int64(7), {"loss": np.float32(0.5)}, (7, {"loss": 0.5})),
        (True, {"loss": Decimal("0.5")}, (1, {"loss": 0.5})),
        (2, {"loss": np.array(0.5)}, (2, {"loss": 0.5})),
        (2, {"loss": math.inf}, (2, {"loss": math.inf})),
    ],
)
def test_what_is_reported_is_written(step, metrics, written):
    writes = Written()
    found = run(reporting(lambda: tinytune.report(step, **metrics)), {"x": 0.5}, write=writes)
    assert found.state == "complete"
    assert writes == [written]
    assert type(writes[0][0]) is int
    assert all(type(value) is float for value in writes[0][1].values())


def test_a_nan_is_reported():
    writes = Written()
    run(reporting(lambda: tinytune.report(0, loss=math.nan)), {"x": 0.5}, write=writes)
    assert math.isnan(writes[0][1]["loss"])


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(
    ("step", "metrics", "told"),
    [
        (0, {"loss": "0.5"}, "report: loss is the text '0.5': report a number"),
        (0, {"loss": b"0.5"}, "report: loss is the text b'0.5': report a number"),
        (0, {"loss": None}, "report: loss is None, not a number: "),
        (0, {"loss": [1, 2]}, "report: loss is [1, 2], not a number: "),
        (0, {"loss": np.array([1, 2])}, "report: loss is array([1, 2]), not a number: "),
        (0, {"loss": 1j}, "report: loss is 1j, not a number: "),
        (0, {"loss": np.complex128(1)}, "report: loss is np.complex128(1+0j), not a number: "),
        (10**400, {"loss": 1}, "is too large"),
        (0, {"loss": 10**400}, "not a number: int too large to convert to float"),
        (0, {"good": 1, "loss": "x"}, "report: loss is the text 'x': report a number"),
        (0, {}, "report was given no numbers: write report(step, loss=loss)"),
        (1.0, {"loss": 1}, "report: the step 1.0 is not a whole number"),
        ("1", {"loss": 1}, "report: the step '1' is not a whole number"),
        (None, {"loss": 1}, "report: the step None is not a whole number"),
        (np.float32(1), {"loss": 1}, "report: the step np.float32(1.0) is not a whole number"),
    ],
)
def test_what_cannot_be_reported(inside, step, metrics, told):
    writes = Written()
    f = reporting(lambda: tinytune.report(step, **metrics))
    if inside:
        found = run(f, {"x": 0.5}, write=writes)
        assert found.state == "failed"
        assert told in found.error
        assert found.error.startswith("ObjectiveError: ")
    else:  # as early as when the function is tried out
        with pytest.raises(ObjectiveError) as caught:
            f()
        assert told in str(caught.value)
    assert writes == []


def test_a_report_from_a_thread_that_the_objective_starts():
    def report():
        thread = threading.Thread(target=tinytune.report, args=(4,), kwargs={"loss": 0.25})
        thread.start()
        thread.join()

    writes = Written()
    assert run(reporting(report), {"x": 0.5}, write=writes).state == "complete"
    assert writes == [(4, {"loss": 0.25})]


def test_reports_of_trials_in_threads_stay_apart():
    barrier = threading.Barrier(4)
    writes = [Written() for _ in range(4)]

    def report():
        barrier.wait()
        tinytune.report(0, loss=1)
        barrier.wait()

    def work(number):
        run(reporting(report), {"x": 0.5}, number, write=writes[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writes == [[(0, {"loss": 1.0})]] * 4


def test_a_report_after_the_trial_does_nothing():
    writes = Written()
    run(reporting(lambda: None), {"x": 0.5}, write=writes)
    tinytune.report(0, loss=1)
    assert writes == []


def test_a_trial_within_a_trial():
    inner, outer = Written(), Written()
    g = reporting(lambda: tinytune.report(1, loss=1))

    def report():
        run(g, {"x": 0.5}, write=inner)
        g()  # called by itself it reports for the trial that calls it
        tinytune.report(2, loss=2)

    run(reporting(report), {"x": 0.5}, write=outer)
    assert inner == [(1, {"loss": 1.0})]
    assert outer == [(1, {"loss": 1.0}), (2, {"loss": 2.0})]


def test_what_a_write_raises_reaches_the_objective():
    def write(step, metrics):
        raise OSError("no space left")

    def report():
        with contextlib.suppress(ValueError):
            tinytune.report(0, loss=1)

    assert run(reporting(report), {"x": 0.5}, write=write).error == "OSError: no space left"


def test_the_message_of_a_wrong_space_names_the_function_and_the_parameter():
    with pytest.raises(SpaceError, match=r"wrong: parameter 'noise': sd 0 must be above 0"):

        @tinytune.trial
        def wrong(noise: Annotated[float, Normal(0, 0)] = 0.1): ...


def test_tune_shows_how_far_it_is_while_trials_run_in_its_own_process(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    tuned = tinytune.trial(space={"x": Float(0, 1)})(lambda x: x)
    tuned.tune(tmp_path / "study.db", search="random", trials=3).close()
    shown = capsys.readouterr().err.splitlines()
    assert [line.split(" trials")[0] for line in shown] == ["1/3", "2/3", "3/3"]


def test_a_lambda_may_be_tuned(tmp_path):
    identity = tinytune.trial(space={"x": Float(0, 1)})(lambda x: x)
    with identity.tune(tmp_path / "study.db", search="random", trials=2, quiet=True) as study:
        assert [trial.state for trial in study.trials()] == ["complete"] * 2
