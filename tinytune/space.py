"""The search space: parameters, the conditions under which they exist, and constraints."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tinytune import draw, portable
from tinytune.bounds import is_finite, shown
from tinytune.distributions import (
    Between,
    Choice,
    Distribution,
    Float,
    Int,
    Json,
    LogNormal,
    Normal,
    Value,
    When,
    same,
)  # fmt: skip
from tinytune.errors import SpaceError

if TYPE_CHECKING:
    from tinytune.expression import Expression

Params: TypeAlias = dict[str, Value]

MISSING = object()  # a parameter without a default
_DRAWS = 10_000  # attempts to meet the constraints before giving up


class Condition(NamedTuple):
    """A parameter exists only where another one has one of these values, or lies in a range."""

    name: str
    values: tuple[Value, ...] | None = None
    between: Between | None = None

    def holds(self, params: Mapping[str, Value]) -> bool:
        """Return whether the other parameter is there and meets the condition."""
        if self.name not in params:
            return False
        value = params[self.name]
        if self.between is None:
            return any(same(value, wanted) for wanted in self.values or ())
        low, high = self.between.low, self.between.high
        return (
            isinstance(value, (int, float))
            and (low is None or value >= low)
            and (high is None or value <= high)
        )

    def to_json(self) -> object:
        """Return the condition as JSON."""
        if self.between is None:
            return list(self.values or ())
        return {"low": self.between.low, "high": self.between.high}


class Parameter(NamedTuple):
    """A name, what it may be, its default (MISSING if none), and when it exists."""

    name: str
    distribution: Distribution
    default: object = MISSING
    conditions: tuple[Condition, ...] = ()

    def is_active(self, params: Mapping[str, Value]) -> bool:
        """Return whether the parameter exists beside these values of the others."""
        return not self.conditions or all(condition.holds(params) for condition in self.conditions)

    def to_json(self) -> Json:
        """Return the parameter as JSON."""
        entry: Json = {"name": self.name, **self.distribution.to_json()}
        if self.conditions:
            entry["when"] = {condition.name: condition.to_json() for condition in self.conditions}
        if self.default is not MISSING:
            entry["default"] = self.default
        return entry


class _Parts(NamedTuple):
    parameters: tuple[Parameter, ...]
    constraints: tuple[Expression, ...] = ()


class Space(_Parts):
    """Every configuration that a search may suggest. Build one with `Space.of`."""

    @classmethod
    def of(
        cls,
        distributions: Mapping[str, Distribution],
        defaults: Mapping[str, object] | None = None,
        where: str | Sequence[str] = (),
    ) -> Space:
        """Return the checked space of these parameters; SpaceError names what is wrong."""
        defaults = {} if defaults is None else defaults
        parameters = tuple(
            _parameter(name, distribution, defaults.get(name, MISSING))
            for name, distribution in distributions.items()
        )
        if not parameters:
            raise SpaceError(
                "the objective has no parameters to tune: annotate one, "
                "for example lr: Annotated[float, Float(1e-4, 1, log=True)] = 0.1"
            )
        _check_conditions(parameters)
        texts = tuple(where) if isinstance(where, (list, tuple)) else (where,)
        space = cls(parameters, tuple(_constraint(text, distributions) for text in texts))
        space._check_constraints()
        return space

    @cached_property
    def by_name(self) -> dict[str, Parameter]:
        """The parameters by name."""
        return {parameter.name: parameter for parameter in self.parameters}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    @cached_property
    def has_conditions(self) -> bool:
        """Whether a parameter exists only beside some values of others."""
        return any(parameter.conditions for parameter in self.parameters)

    @cached_property
    def ordered(self) -> tuple[Parameter, ...]:
        """The parameters, each after those that its conditions look at."""
        return _in_order_of_conditions(self.parameters)

    @cached_property
    def defaults(self) -> Params | None:
        """The configuration of the defaults, None where an active parameter has none."""
        params: Params = {}
        for parameter in self.ordered:
            if parameter.is_active(params):
                if parameter.default is MISSING:
                    return None
                params[parameter.name] = parameter.default  # type: ignore[assignment]
        return self.arranged(params)

    def from_units(self, unit: Callable[[str], float]) -> Params:
        """Return the configuration at `unit(name)`, in [0, 1], for each active parameter."""
        if not self.has_conditions:
            return {p.name: p.distribution.from_unit(unit(p.name)) for p in self.parameters}
        params: Params = {}
        for parameter in self.ordered:
            if parameter.is_active(params):
                params[parameter.name] = parameter.distribution.from_unit(unit(parameter.name))
        return self.arranged(params)

    def to_units(self, params: Mapping[str, Value]) -> dict[str, float]:
        """Return where in [0, 1] each active parameter lies."""
        return {
            name: self.by_name[name].distribution.to_unit(value) for name, value in params.items()
        }

    def sample(self, seed: int, number: int, purpose: str) -> Params:
        """Return a random configuration that meets the constraints; pure in its arguments."""
        for attempt in range(_DRAWS):
            if self.has_conditions:
                params = self.from_units(partial(draw.uniform, seed, number, purpose, draw=attempt))
            else:
                units = draw.uniform_each(seed, number, purpose, self.names, attempt)
                params = {
                    p.name: p.distribution.from_unit(u)
                    for p, u in zip(self.parameters, units, strict=True)
                }
            if self.allows(params):
                return params
        raise SpaceError(
            f"no configuration in {_DRAWS:,} drawn at random satisfies "
            f"{self._constraint_texts()}: loosen the constraint, or the ranges"
        )

    def allows(self, params: Mapping[str, Value]) -> bool:
        """Return whether every constraint holds whose parameters are all active."""
        if not self.constraints:
            return True
        from tinytune.expression import ExpressionError

        try:
            return all(
                constraint.holds(params)
                for constraint in self.constraints
                if constraint.names <= params.keys()
            )
        except ExpressionError as error:
            raise SpaceError(f"constraint {error}: compare numbers with numbers") from error

    def checked(self, params: Mapping[str, object]) -> Params:
        """Return a configuration as it is stored; SpaceError names the parameter that is wrong."""
        unknown = params.keys() - self.by_name.keys()
        if unknown:
            raise SpaceError(
                f"there is no parameter {min(unknown)!r}: the space has {', '.join(self.by_name)}"
            )
        checked: Params = {}
        for parameter in self.ordered:
            if not parameter.is_active(checked):
                continue  # what is inactive is not recorded
            if parameter.name not in params:
                raise SpaceError(f"parameter {parameter.name!r} has no value: give it one")
            checked[parameter.name] = _canonical(parameter, params[parameter.name])
        if not self.allows(checked):
            raise SpaceError(
                f"{checked} does not satisfy {self._constraint_texts()}: change a value"
            )
        return self.arranged(checked)

    def arranged(self, params: Mapping[str, Value]) -> Params:
        """Return the same configuration in the order of the objective's signature."""
        return {name: params[name] for name in self.by_name if name in params}

    def to_json(self) -> str:
        """Return the space as JSON text, always the same for the same space."""
        document: Json = {"parameters": [parameter.to_json() for parameter in self.parameters]}
        if self.constraints:
            document["where"] = [constraint.text for constraint in self.constraints]
        return json.dumps(document, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Space:
        """Return the space that `to_json` wrote, without the objective's code."""
        document = json.loads(text)
        distributions, defaults = {}, {}
        for entry in document["parameters"]:
            name, when = str(entry.pop("name")), entry.pop("when", None)
            if "default" in entry:
                defaults[name] = entry.pop("default")
            distributions[name] = _distribution_from_json(entry, _when_from_json(when))
        return cls.of(distributions, defaults, document.get("where", ()))

    def _constraint_texts(self) -> str:
        return " and ".join(repr(constraint.text) for constraint in self.constraints)

    def _check_constraints(self) -> None:
        if not self.constraints:
            return
        if self.defaults is not None and not self.allows(self.defaults):
            raise SpaceError(
                f"the defaults {self.defaults} do not satisfy {self._constraint_texts()}: "
                "change a default, or the constraint"
            )
        self.sample(0, 0, "check")


def _parameter(name: str, distribution: Distribution, default: object) -> Parameter:
    if not isinstance(name, str) or not name.isidentifier():
        raise SpaceError(f"parameter {shown(name)} is not a Python name: rename it")
    problem = distribution.problem()
    if problem:
        raise SpaceError(f"parameter {name!r}: {problem}")
    conditions = _conditions(name, distribution.when)
    parameter = Parameter(name, distribution, default, conditions)
    if default is MISSING:
        return parameter
    return Parameter(name, distribution, _canonical(parameter, default, "default "), conditions)


def _canonical(parameter: Parameter, value: object, what: str = "") -> Value:
    try:
        return parameter.distribution.canonical(value)
    except ValueError as error:
        remedy = ": change it, or the range" if what else ""
        raise SpaceError(
            f"parameter {parameter.name!r}: {what}{shown(value)} {error}{remedy}"
        ) from None


def _conditions(name: str, when: Mapping[str, object] | None) -> tuple[Condition, ...]:
    if when is None:
        return ()
    if not isinstance(when, Mapping) or not when:
        raise SpaceError(
            f"parameter {name!r}: when={shown(when)} is not a condition: "
            'write when={"optimizer": "sgd"}, a list of values, or Between(low, high)'
        )
    return tuple(_condition(name, other, wanted) for other, wanted in when.items())


def _condition(name: str, other: str, wanted: object) -> Condition:
    if isinstance(wanted, Between):
        for bound in (wanted.low, wanted.high):
            if bound is not None and not is_finite(bound):
                raise SpaceError(
                    f"parameter {name!r}: the bound {shown(bound)} of its condition on {other!r} "
                    "is not a finite number: write Between(low, high), with None for an open end"
                )
        return Condition(other, between=wanted)
    if isinstance(wanted, range):
        if wanted.step == 1 and wanted:
            return Condition(other, between=Between(wanted.start, wanted.stop - 1))
        wanted = list(wanted)
    if isinstance(wanted, (set, frozenset)):
        wanted = sorted(wanted, key=repr)  # the same text in every process
    values = tuple(wanted) if isinstance(wanted, (list, tuple)) else (wanted,)
    if not values or not all(v is None or isinstance(v, (str, int, float)) for v in values):
        raise SpaceError(
            f"parameter {name!r}: the condition {other}={shown(wanted)} is not a value: "
            "write a value, a list of values or Between(low, high)"
        )
    return Condition(other, values=values)


_TYPES: dict[str, type[Float | Int | Normal | LogNormal]] = {
    "float": Float, "int": Int, "normal": Normal, "lognormal": LogNormal,
}  # fmt: skip


def _distribution_from_json(entry: Mapping[str, object], when: When | None) -> Distribution:
    """Return the distribution that `to_json` wrote; KeyError or TypeError where it did not."""
    arguments = {name: value for name, value in entry.items() if name != "type"}
    if isinstance(arguments.get("prior"), dict):
        arguments["prior"] = _distribution_from_json(arguments["prior"], None)  # type: ignore[arg-type]
    if entry["type"] == "choice":
        options: Iterable[Value] = arguments.pop("options")  # type: ignore[assignment]
        return Choice(*options, when=when, **arguments)  # type: ignore[arg-type]
    return _TYPES[str(entry["type"])](when=when, **arguments)  # type: ignore[arg-type]


def _when_from_json(when: Mapping[str, object] | None) -> dict[str, object] | None:
    if when is None:
        return None
    return {
        name: Between(**wanted) if isinstance(wanted, dict) else wanted
        for name, wanted in when.items()
    }


def _check_conditions(parameters: tuple[Parameter, ...]) -> None:
    """Every condition is on a parameter that exists, on values that it can have, in no circle."""
    by_name = {parameter.name: parameter for parameter in parameters}
    for parameter in parameters:
        for condition in parameter.conditions:
            other = by_name.get(condition.name)
            if other is None:
                others = ", ".join(name for name in by_name if name != parameter.name)
                raise SpaceError(
                    f"parameter {parameter.name!r} has a condition on {condition.name!r}, which is "
                    f"not a parameter: {f'use one of {others}' if others else 'remove it'}"
                )
            problem = _never_holds(condition, other.distribution)
            if problem:
                raise SpaceError(
                    f"parameter {parameter.name!r} has a condition that never holds: "
                    f"{condition.name}={problem}: change it"
                )
    _in_order_of_conditions(parameters)


def _never_holds(condition: Condition, other: Distribution) -> str | None:
    """Return which of the condition's values the other parameter can never have, and why."""
    if condition.between is not None:
        if _reaches(other, condition.between):
            return None
        return f"{condition.between} has none of its values"
    for value in condition.values or ():
        try:
            other.canonical(value)
        except ValueError as error:
            return f"{shown(value)} {error}"
    return None


def _reaches(other: Distribution, between: Between) -> bool:
    """Return whether a distribution has a value in a range."""
    if isinstance(other, Choice):
        return any(Condition("", between=between).holds({"": option}) for option in other.options)
    low, high = other.limits if isinstance(other, Normal) else (other.low, other.high)
    least = low if between.low is None else max(low, between.low)
    most = high if between.high is None else min(high, between.high)
    if least > most or isinstance(other, Normal) or other.size is None:
        return bool(least <= most)
    step = portable.scalars.rational(other.step or 1)
    first = math.ceil((portable.scalars.rational(least) - portable.scalars.rational(low)) / step)
    return other.at(first) <= most


def _in_order_of_conditions(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    placed: dict[str, Parameter] = {}
    waiting = list(parameters)
    while waiting:
        ready = [p for p in waiting if all(c.name in placed for c in p.conditions)]
        if not ready:
            raise SpaceError(
                f"the conditions of {', '.join(repr(p.name) for p in waiting)} go in a circle: "
                "remove one of them"
            )
        placed.update((parameter.name, parameter) for parameter in ready)
        waiting = [parameter for parameter in waiting if parameter.name not in placed]
    return tuple(placed.values())


def _constraint(text: str, distributions: Mapping[str, Distribution]) -> Expression:
    if not isinstance(text, str):
        raise SpaceError(f"constraint {shown(text)} is not a text: write where='a * b <= 100'")
    from tinytune import expression

    try:
        constraint = expression.parse(text)
    except expression.ExpressionError as error:
        raise SpaceError(f"constraint {error}") from error
    unknown = constraint.names - distributions.keys()
    if unknown:
        raise SpaceError(
            f"constraint {text!r} uses {min(unknown)!r}, which is not a parameter: "
            f"use {', '.join(distributions)}"
        )
    if not constraint.names:
        raise SpaceError(f"constraint {text!r} uses no parameter: use {', '.join(distributions)}")
    return constraint
