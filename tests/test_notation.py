"""Parameters on the command line become a space, and every slip one sentence."""

import pytest

from tinytune import notation
from tinytune.distributions import Between, Choice, Float, Int, LogNormal, Normal
from tinytune.errors import UsageError
from tinytune.notation import written
from tinytune.space import Parameter, Space


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("x=float(1e-4, 1, log)", Float(1e-4, 1, log=True)),
        ("x = float ( 0,1 )", Float(0, 1)),
        ("x=float(0, 1, step=0.25)", Float(0, 1, step=0.25)),
        ("x=float(1, 2, log=true)", Float(1, 2, log=True)),
        ("x=float(-.5, 1.)", Float(-0.5, 1.0)),
        ("x=choice(.5, +.5e1, 1.5.2, '.5', .)", Choice(0.5, 5.0, "1.5.2", ".5", ".")),
        ("x=int(1, 8)", Int(1, 8)),
        ("x=int(low=1, high=8)", Int(1, 8)),
        ("x=choice(adam, sgd)", Choice("adam", "sgd")),
        ("x=choice(16, 3.5, true, null, '16')", Choice(16, 3.5, True, None, "16")),
        ('x=choice("a, b", "c)", it\'s)', Choice("a, b", "c)", "it's")),
        (r'x=choice("say \"hi, you\"", b)', Choice('say "hi, you"', "b")),
        ("x=choice('log=1', log)", Choice("log=1", "log")),
        ("x=choice(small, large, ordered=true)", Choice("small", "large", ordered=True)),
        ("x=normal(0, 1, low=-2)", Normal(0, 1, low=-2)),
        ("x=lognormal(0, 1)", LogNormal(0, 1)),
    ],
)
def test_each_kind_is_read(text, distribution):
    assert notation.space([text]) == Space.of({"x": distribution})


def test_defaults_and_constraints():
    space = notation.space(
        ["lr=float(1e-4, 1, log) = 0.1", "n=int(1, 8)=2", "opt=choice(adam, sgd) = 'sgd'"],
        ["n * lr < 4"],
    )
    assert space.defaults == {"lr": 0.1, "n": 2, "opt": "sgd"}
    assert [constraint.text for constraint in space.constraints] == ["n * lr < 4"]
    assert notation.space(["a=int(1, 3) = 2", "b=int(1, 3)"]).defaults is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr", "--param 'lr' is no NAME=KIND(…): write for example"),
        ("lr=0.1", "is no NAME=KIND(…)"),
        ("lr=flaot(0, 1)", "--param lr: there is no kind 'flaot': use one of float, int, choice"),
        ("lr=float(0, 1", "--param lr: its parenthesis is not closed"),
        ('lr=choice("a, b)', '--param lr: the quote " is not closed'),
        ("lr=float(0, 1) 0.1", "--param lr: '0.1' follows the range: write a default as = VALUE"),
        ("lr=float(0, 1) =", "--param lr: no value follows the last ="),
        ("lr=float(0,, 1)", "--param lr: nothing stands between two commas"),
        ("lr=float(0)", "--param lr: float(0) has too few or too many numbers: write float(low, "),
        ("lr=float(0, 1, 2, 3, 4, 5)", "has too few or too many numbers"),
        ("lr=float(a, 1)", "--param lr: 'a' in float(…) is not a number"),
        ("lr=float(0, 1, lgo)", "--param lr: 'lgo' in float(…) is not a number"),
        ("lr=float(0, 1, stop=2)", "--param lr: float has no 'stop': it has low, high, log, step"),
        ("lr=float(0, 1, log, log)", "--param lr: log is given twice"),
        ("lr=choice(a, b=2)", 'write "b=2" in quotes for an option'),
        ("lr=choice()", "parameter 'lr': choice has no options: write choice('a', 'b')"),
        ("lr=float(1, 0)", "parameter 'lr': low 1 is not below high 0: write float(0, 1)"),
        ("lr=float(0, 1, log)", "parameter 'lr': log needs low above 0, not 0"),
        ("lr=float(1, 2) = 3", "parameter 'lr': default 3 is outside of 1 to 2"),
        ("lr=choice(a, a)", "option 'a' is given twice"),
        ("l-r=float(0, 1)", "parameter 'l-r' is not a Python name: rename it"),
    ],
)
def test_every_slip_is_one_sentence(text, said):
    with pytest.raises(UsageError) as caught:
        notation.space([text])
    message = str(caught.value)
    assert said in message
    assert "\n" not in message


def test_what_is_given_twice_or_cannot_hold():
    with pytest.raises(UsageError, match=r"--param a=… is given twice"):
        notation.space(["a=int(1, 2)", "a=int(1, 3)"])
    with pytest.raises(UsageError, match="no configuration"):
        notation.space(["a=int(1, 2)"], ["a > 2"])
    with pytest.raises(UsageError, match="b"):
        notation.space(["a=int(1, 2)"], ["a < b"])


@pytest.mark.parametrize(
    ("text", "when", "default"),
    [
        ("when opt=sgd", {"opt": "sgd"}, None),
        (" = 0.5 when opt=sgd", {"opt": "sgd"}, 0.5),
        ("when opt = sgd | 'a b'", {"opt": ["sgd", "a b"]}, None),
        ('= 1 when opt="a | b and c"', {"opt": "a | b and c"}, 1.0),
        ("when depth=2..5 and opt=sgd", {"depth": Between(2, 5), "opt": "sgd"}, None),
        ("when depth=2..", {"depth": Between(2)}, None),
        ("when depth=..5 and  nested=true", {"depth": Between(None, 5), "nested": True}, None),
    ],
)
def test_conditions_are_those_of_the_decorator(text, when, default):
    others = [
        "opt=choice(sgd, adam, 'a b', 'a | b and c')", "depth=int(1, 9)",
        "nested=choice(true, false)",
    ]  # fmt: skip
    made = notation.space([*others, f"x=float(0, 1){text}"])
    found = made.by_name["x"]
    assert (
        found.conditions
        == Space.of(
            {**{n: p.distribution for n, p in made.by_name.items()}, "x": Float(0, 1, when=when)}
        )
        .by_name["x"]
        .conditions
    )
    assert found.default == default or default is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("when", "'' is no condition: write when opt=sgd, opt=sgd|adam or depth=2..5"),
        ("when opt", "'opt' is no condition"),
        ("when opt=", "'opt=' is no condition"),
        ("when opt=a|", "'opt=a|' is no condition"),
        ("when opt=|a", "'opt=|a' is no condition"),
        ("when opt==a", "'opt==a' is no condition"),
        ("when opt=a and", "'opt=a and' is no condition"),
        ("when opt=a b", "'opt=a b' lacks an and"),
        ("when opt=a and opt=b", "opt is in two conditions"),
        ("when opt='a", 'a quote is not closed in "opt=\'a"'),
        ("when opt=" + "x" * 90 + " '", "a quote is not closed"),
        ("when opt=a..b", "'a' is no end of a range"),
        ("when opt=..", "'..'"),
        ("whenever opt=a", "'whenever opt=a' follows the range"),
        ("when other=a", "other"),
        ("when opt=c", "parameter 'x' has a condition that never holds"),
        ("when x=1", "x"),
    ],
)
def test_a_condition_that_is_none_is_one_sentence(text, said):
    with pytest.raises(UsageError) as caught:
        notation.space(["opt=choice(a, b)", f"x=float(0, 1) {text}"])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_a_condition_belongs_is_said():
    with pytest.raises(UsageError, match="a condition follows the parenthesis: when NAME=VALUE"):
        notation.space(["opt=choice(a, b)", "x=float(0, 1, when=a)"])


@pytest.mark.parametrize(
    "text",
    [
        "float(0.0001, 1, log) = 0.1",
        "float(0, 1, step=0.25)",
        "int(1, 512, log) = 8",
        'choice(16, 32, true, null, adam, "a b", "1", "a,b") = adam',
        "choice(a, b, c, ordered=true)",
        "normal(0, 1.5, low=-3) = 0.5",
        "lognormal(0, 1)",
        "float(0, 0.99) = 0.9 when other=sgd|adam",
        'float(0, 0.99) = 0.9 when depth=2.. and other="a b"',
    ],
)
def test_what_is_written_is_read_as_the_same(text):
    known = {"other": ("sgd", "adam", "a b"), "depth": (1, 2, 3)}
    others = [
        f"{name}={written(Parameter(name, Choice(*values)))}" for name, values in known.items()
    ]
    space = notation.space([*others, f"p={text}"])
    assert written(space.by_name["p"]) == text
    assert notation.space([*others, f"p={written(space.by_name['p'])}"]) == space


def test_a_prior_and_equal_numbers_are_written():
    space = Space.of({"x": Float(0, 1, prior=Normal(0.5, 0.1)), "c": Choice(1.0, 2)})
    assert [written(parameter) for parameter in space.parameters] == [
        "float(0, 1, prior=normal(0.5, 0.1))",
        "choice(1, 2)",
    ]
    assert notation.exact({"b": [1.0, True, None], "a": "x"}) == '{"a": "x", "b": [1, true, null]}'
