"""Whatever is given from Python, what comes of it is a result or one sentence."""

import inspect
import shutil
from contextlib import suppress
from typing import Annotated

import pytest

import tinytune
from tinytune import Choice, Float, search, stopping
from tinytune.errors import TinytuneError, UsageError

ODD = [None, 3, "x", [], object(), {3: 4}]
SEARCHES = [name for name in tinytune.__all__ if hasattr(getattr(tinytune, name), "exhausts")]


def square(x: Annotated[float, Float(0, 1)] = 0.5, epochs: int = 3) -> float:
    return x * x


tuned = tinytune.trial(square)


def works_or_says_why(call, *given, **named):
    """Return what was said, None where it worked."""
    try:
        call(*given, **named)
    except TinytuneError as error:
        told = str(error)
        assert "\n" not in told
        return told
    return None


def arguments_of(*functions):
    return [
        (function.__name__, name)
        for function in functions
        for name in inspect.signature(function).parameters
        if name != "self"
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "study.db"
    tuned.tune(path, trials=2, search="random", quiet=True)
    return path


@pytest.mark.parametrize("name", ["minimize", "maximize", "subject_to", "space", "where"])
def test_of_the_decorator(name):
    for odd in ODD:
        works_or_says_why(lambda value: tinytune.trial(**{name: value})(square), odd)
    assert name in works_or_says_why(tinytune.trial, **{name: 3}) if name != "where" else True


@pytest.mark.parametrize(
    ("method", "name"), arguments_of(tinytune.decorator.TunableObjective.tune,
                                     tinytune.decorator.TunableObjective.confirm)
)  # fmt: skip
def test_of_an_objective(tmp_path, monkeypatch, made, method, name):
    monkeypatch.chdir(tmp_path)
    for number, odd in enumerate(ODD):
        if odd == 3 and name in {"workers", "trial_timeout", "max_memory"}:
            continue  # right, and it starts processes
        if odd is None and name == "trials":
            continue  # right, and it takes long
        path = tmp_path / f"{number}.db"
        known = {"trials": 1, "search": "random"}
        if method == "confirm":
            shutil.copy(made, path)
            known = {"top": 1, "repeats": 2}
        if name in {"grid", "learn_from"}:
            known.pop("search")
        works_or_says_why(
            getattr(tuned, method), **{"study": path, "quiet": True, **known, name: odd}
        )


@pytest.mark.parametrize(("kind", "name"), [
    argument
    for kind in ("Float", "Int", "Normal", "LogNormal", "Choice", "Between", *SEARCHES)
    for argument in arguments_of(getattr(tinytune, kind))
])  # fmt: skip
def test_of_distributions_and_searches(kind, name):
    def use(odd):
        """Make it, and see what the search says of it before any trial."""
        if kind == "Choice":
            made = Choice(odd, odd) if name == "options" else Choice("a", "b", **{name: odd})
        elif kind in SEARCHES:
            made = getattr(tinytune, kind)(**{name: odd})
        else:
            most = {"Float": (0.5, 1), "Int": (1, 4)}.get(kind, (0, 1))
            names = list(inspect.signature(getattr(tinytune, kind)).parameters)
            made = getattr(tinytune, kind)(**{**dict(zip(names, most, strict=False)), name: odd})
        if kind in SEARCHES:
            made.start(tuned.space, 0, None)
        elif kind == "Between":
            tinytune.trial(space={"c": Float(0, 1), "x": Float(0, 1, when={"c": made})})(
                lambda c, x=0.5: x + c
            )
        else:
            tinytune.trial(space={"x": made})(lambda x: x)

    for odd in ODD:
        works_or_says_why(use, odd)
    if name in {"log", "ordered"}:
        assert f"{name} 'x' must be True or False" in works_or_says_why(use, "x")


def test_of_what_is_called_in_an_objective():
    for odd in ODD:
        works_or_says_why(tinytune.report, odd, loss=1.0)
        works_or_says_why(tinytune.report, 0, loss=odd)
        works_or_says_why(tinytune.report, 0, stop=odd, loss=1.0)
        works_or_says_why(tinytune.steps, odd)
        works_or_says_why(tinytune.steps, 5, start=odd)
        works_or_says_why(tinytune.save, odd)
        works_or_says_why(tinytune.seed_everything, odd)


def test_of_a_study(tmp_path, made):
    path = tmp_path / "study.db"
    shutil.copy(made, path)
    for odd in ODD:
        assert works_or_says_why(tinytune.open, odd)
        with tinytune.open(path) as study:
            works_or_says_why(study.trials, odd)
            for call in (study.best_trials, study.curves, study.take_up):
                assert works_or_says_why(call, odd) or odd == 3
            for call in (study.tell, study.add, study.give_back):
                assert works_or_says_why(call, odd)
            works_or_says_why(study.add, {"x": odd})
            works_or_says_why(study.add, {"x": 0.5}, odd)
            trial = study.ask()
            if trial is not None:
                works_or_says_why(study.tell, trial, odd)


@pytest.mark.parametrize("module", [search, stopping])
def test_of_what_registers_ones_own(module):
    for odd in (*ODD, Float):
        assert "has no" in works_or_says_why(module.register, odd)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"search": 3}, "search must be a name or a search's options, not 3: write search="),
        ({"search": tinytune.Grid}, "search must be a name or a search's options, not <class"),
        ({"grid": {"x": "ab"}}, "grid: x is 'ab': give a number of points, or a list of values"),
        ({"stopping": 3}, "stopping must be a text or a list of rules, not 3: write stopping="),
        ({"trials": "ten"}, "trials must be a whole number, not 'ten'"),
        ({"workers": 0}, "workers must be from 1 to 1000, not 0"),
        ({"timeout": "soon"}, "timeout: 'soon' is no duration: write 90s"),
        ({"learn_from": 3}, "learn_from must be a path or a list of them, not 3"),
        ({"settings": [3]}, "settings must be a mapping of names, not \\[3\\]: write settings="),
    ],
)
def test_it_is_said_what_is_wrong_and_what_to_do(tmp_path, arguments, says):
    with pytest.raises(UsageError, match=says):
        tuned.tune(tmp_path / "study.db", **arguments)
    with suppress(FileNotFoundError):
        (tmp_path / "study.db").unlink()
        pytest.fail("nothing must have been made")
