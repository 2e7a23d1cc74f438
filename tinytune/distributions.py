"""What one parameter may be: Float, Int, Choice, Normal, LogNormal.

Each maps a number of the unit interval to a value and back. A distribution does not know its
parameter's name, so `problem` returns what is wrong as a phrase and the space adds the name.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from tinytune import portable
from tinytune.bounds import LEAST, MOST, interval_problem, is_finite, normal_problem, shown
from tinytune.frozen import Frozen

Value: TypeAlias = float | int | str | bool | None
Json: TypeAlias = dict[str, object]

_SMALLEST, _LARGEST = 2.0**-53, 1 - 2.0**-53  # an unbounded normal has no value at 0 and 1


class Between(NamedTuple):
    """A condition's range, both ends included; None leaves an end open."""

    low: float | None = None
    high: float | None = None


When: TypeAlias = Mapping[str, object]


class Float(Frozen):
    """A real number from low to high, both included; `log` spaces it by ratios, `step` by steps.

    `when` names conditions on other parameters: `{"optimizer": "sgd"}`, a list of values, or a
    `Between(low, high)`. `prior`, a `Normal` or `LogNormal`, is a belief about where the best value
    lies: searches that can use one look there first, and trust it less with each result.
    """

    low: float
    high: float
    log: bool
    step: float | None
    when: When | None
    prior: Normal | None

    def __init__(
        self,
        low: float,
        high: float,
        log: bool = False,  # noqa: FBT001 - as people write it
        step: float | None = None,
        when: When | None = None,
        prior: Normal | None = None,
    ) -> None:
        vars(self).update(low=low, high=high, log=log, step=step, when=when, prior=prior)

    def problem(self) -> str | None:
        """Return what is wrong with the arguments, or None."""
        return interval_problem("Float", self) or _prior_problem(self)

    @property
    def size(self) -> int | None:
        """The number of values, None where they are a continuum."""
        if self.step is None:
            return None
        rational = portable.scalars.rational
        return int((rational(self.high) - rational(self.low)) / rational(self.step)) + 1

    def at(self, index: int) -> float:
        """Return the value of one step; exact arithmetic, so that 0.1 * 3 is 0.3."""
        rational = portable.scalars.rational
        return float(rational(self.low) + index * rational(self.step or 0))

    def index(self, value: float) -> int:
        """Return which step a value is; ValueError where it is none."""
        rational = portable.scalars.rational
        index = round((rational(value) - rational(self.low)) / rational(self.step or 1))
        if self.at(index) != value:
            raise ValueError(f"is not a multiple of the step {self.step} above {self.low}")
        return index

    def from_unit(self, u: float) -> float:
        """Return the value at 0 <= u <= 1."""
        size = None if self.step is None else self.size
        if size is not None:
            return self.at(_cell(u, size))
        if self.log:
            return portable.scalars.interpolate_log(self.low, self.high, u)
        if u >= 1:  # the sum below may miss it by the last bit
            return float(self.high)
        x = self.low + u * (self.high - self.low)
        return min(max(x, float(self.low)), float(self.high))

    def to_unit(self, value: Value) -> float:
        """Return where in the unit interval a value of this range lies."""
        x = float(_number(value))
        if self.size is not None:
            return _centre(self.index(x), self.size)
        if self.log:
            return portable.scalars.fraction_log(self.low, self.high, x)
        return (x - self.low) / (self.high - self.low)

    def canonical(self, value: object) -> Value:
        """Return value as this parameter stores it; ValueError says why it cannot be."""
        x = float(_in_range(value, self.low, self.high)) + 0.0  # -0.0 becomes 0.0
        if self.step is not None:
            self.index(x)
        return x

    def spread(self, count: int) -> tuple[Value, ...]:
        """Return up to `count` values, evenly spaced with both ends."""
        if self.size is not None:
            return tuple(self.at(step) for step in portable.scalars.steps(count, self.size))
        return tuple(dict.fromkeys(self.mark(place, count) for place in range(count)))

    def mark(self, place: int, count: int) -> float:
        """Return one of so many values, evenly spaced with both ends, of a range without a step."""
        between = portable.scalars.interpolate_log if self.log else portable.scalars.interpolate
        return between(self.low, self.high, portable.scalars.mark(place, count))

    def has_room(self, count: int) -> bool:
        """Return whether so many values are sure to differ, by far more than a float's last bit."""
        if self.step is not None or count < 2:
            return False
        if not self.log:
            widest = max(abs(self.low), abs(self.high))
            return (float(self.high) - self.low) / (count - 1) > 16 * math.ulp(widest)
        width = math.log(self.high) - math.log(self.low)
        return self.low > _NORMAL and width / (count - 1) > 2.0**-40

    def to_json(self) -> Json:
        """Return the arguments as JSON."""
        return _compact({"type": "float", "low": float(self.low), "high": float(self.high),
                         "log": self.log, "step": self.step,
                         "prior": _json(self.prior)})  # fmt: skip


class Int(Frozen):
    """A whole number from low to high, both included; `log`, `step` and `prior` as for Float."""

    low: int
    high: int
    log: bool
    step: int | None
    when: When | None
    prior: Normal | None

    def __init__(
        self,
        low: int,
        high: int,
        log: bool = False,  # noqa: FBT001 - as people write it
        step: int | None = None,
        when: When | None = None,
        prior: Normal | None = None,
    ) -> None:
        vars(self).update(low=low, high=high, log=log, step=step, when=when, prior=prior)

    def problem(self) -> str | None:
        """Return what is wrong with the arguments, or None."""
        for bound in (self.low, self.high, 1 if self.step is None else self.step):
            if not isinstance(bound, int) or isinstance(bound, bool):
                return f"{shown(bound)} is not a whole number: use Float, or write a whole number"
        return interval_problem("Int", self) or _prior_problem(self)

    @property
    def size(self) -> int:
        """The number of values."""
        return (self.high - self.low) // (self.step or 1) + 1

    def at(self, index: int) -> int:
        """Return the value of one step."""
        return self.low + index * (self.step or 1)

    def index(self, value: int) -> int:
        """Return which step a value is; ValueError where it is none."""
        index, rest = divmod(value - self.low, self.step or 1)
        if rest:
            raise ValueError(f"is not a multiple of the step {self.step} above {self.low}")
        return index

    def from_unit(self, u: float) -> int:
        """Return the value at 0 <= u <= 1; each gets the part of the interval that rounds to it."""
        if not self.log:
            return self.at(_cell(u, self.size))
        x = portable.scalars.interpolate_log(self.low - 0.5, self.high + 0.5, u)
        return min(max(round(x), self.low), self.high)

    def to_unit(self, value: Value) -> float:
        """Return where in the unit interval a value of this range lies."""
        x = int(_number(value))
        if not self.log:
            return _centre(self.index(x), self.size)
        return portable.scalars.fraction_log(self.low - 0.5, self.high + 0.5, x)

    def canonical(self, value: object) -> Value:
        """Return value as this parameter stores it; ValueError says why it cannot be."""
        x = _in_range(value, self.low, self.high)
        if x != int(x):
            raise ValueError("is not a whole number")
        self.index(int(x))
        return int(x)

    def spread(self, count: int) -> tuple[Value, ...]:
        """Return up to `count` values, evenly spaced with both ends."""
        if self.log:
            scalars = portable.scalars
            ends = (scalars.interpolate_log(self.low, self.high, u) for u in scalars.marks(count))
            return tuple(dict.fromkeys(round(x) for x in ends))
        return tuple(self.at(step) for step in portable.scalars.steps(count, self.size))

    def to_json(self) -> Json:
        """Return the arguments as JSON."""
        return _compact({"type": "int", "low": self.low, "high": self.high,
                         "log": self.log, "step": self.step,
                         "prior": _json(self.prior)})  # fmt: skip


class Choice(Frozen):
    """One of some options: text, numbers, True, False or None; `ordered` says they have an order.

    `weights` are relative probabilities for searches that draw at random.
    """

    options: tuple[Value, ...]
    weights: tuple[float, ...] | None
    ordered: bool
    when: When | None

    def __init__(
        self,
        *options: Value,
        weights: Sequence[float] | None = None,
        ordered: bool = False,
        when: When | None = None,
    ) -> None:
        shares = tuple(weights) if isinstance(weights, Iterable) else weights
        vars(self).update(options=options, weights=shares, ordered=ordered, when=when)

    def problem(self) -> str | None:
        """Return what is wrong with the arguments, or None."""
        if not self.options:
            return "Choice has no options: write Choice('a', 'b')"
        seen = set()
        for option in self.options:
            if not _is_storable(option):
                return (
                    f"option {shown(option)} cannot be stored in a study: give the options names, "
                    "and look the name up in the objective"
                )
            if (option, isinstance(option, bool)) in seen:
                return f"option {option!r} is given twice: remove one"
            seen.add((option, isinstance(option, bool)))
        if not isinstance(self.ordered, bool):
            ordered = shown(self.ordered)
            return f"ordered {ordered} must be True or False: leave it out, or write ordered=True"
        return self._weights_problem()

    def _weights_problem(self) -> str | None:
        weights = self.weights
        if weights is None:
            return None
        if not isinstance(weights, tuple) or not all(map(is_finite, weights)):
            return f"weights {shown(weights)} are not finite numbers: write weights=[2, 1, 1]"
        if len(weights) != len(self.options):
            return f"{len(weights)} weights for {self.size} options: give one for each option"
        if not min(weights) > 1e-12 * sum(weights):  # a smaller share would never be hit
            return f"weights {list(weights)} must all be above 0: leave out what is never drawn"
        return None

    @property
    def size(self) -> int:
        """The number of options."""
        return len(self.options)

    def at(self, index: int) -> Value:
        """Return one option."""
        return self.options[index]

    def from_unit(self, u: float) -> Value:
        """Return the option at 0 <= u <= 1; each has a share as large as its weight."""
        if self.weights is None:
            return self.options[_cell(u, self.size)]
        *cuts, _ = portable.scalars.shares(self.weights)
        return self.options[sum(u >= cut for cut in cuts)]

    def to_unit(self, value: Value) -> float:
        """Return the middle of an option's share of the unit interval."""
        index = self.index(value)
        if self.weights is None:
            return _centre(index, self.size)
        cuts = [0.0, *portable.scalars.shares(self.weights)]
        return (cuts[index] + cuts[index + 1]) / 2

    def index(self, value: object) -> int:
        """Return the position of an option; ValueError where there is no such option."""
        for index, option in enumerate(self.options):
            if same(option, value):
                return index
        raise ValueError(f"is not one of {', '.join(map(repr, self.options))}")

    def canonical(self, value: object) -> Value:
        """Return value as this parameter stores it; ValueError says why it cannot be."""
        return self.options[self.index(value)]

    def spread(self, count: int) -> tuple[Value, ...]:
        """Return up to `count` options, evenly spaced."""
        return tuple(self.options[step] for step in portable.scalars.steps(count, self.size))

    def to_json(self) -> Json:
        """Return the arguments as JSON."""
        return _compact({"type": "choice", "options": list(self.options),
                         "weights": None if self.weights is None else list(self.weights),
                         "ordered": self.ordered})  # fmt: skip


class Normal(Frozen):
    """A normal (Gaussian) number with this mean and standard deviation, cut to [low, high]."""

    mean: float
    sd: float
    low: float | None
    high: float | None
    when: When | None

    def __init__(
        self,
        mean: float,
        sd: float,
        low: float | None = None,
        high: float | None = None,
        when: When | None = None,
    ) -> None:
        vars(self).update(mean=mean, sd=sd, low=low, high=high, when=when)

    def problem(self) -> str | None:
        """Return what is wrong with the arguments, or None."""
        return normal_problem("Normal", self, low_limit=-math.inf)

    @property
    def size(self) -> int | None:
        """None: the values are a continuum."""
        return None

    def from_unit(self, u: float) -> float:
        """Return the quantile of u, 0 <= u <= 1, within the bounds."""
        low, high = self.limits
        if u <= 0 and self.low is not None:  # the quantile may miss a bound by some bits
            return float(low)
        if u >= 1 and self.high is not None:
            return float(high)
        start, end = self.share
        p = _cut(start + u * (end - start), _SMALLEST, _LARGEST)
        x = self.mean + self.sd * portable.scalars.normal_quantile(p)
        return _cut(self._from_line(x), low, high)

    def to_unit(self, value: Value) -> float:
        """Return the probability, within the bounds, of a smaller value."""
        start, end = self.share
        z = (self._to_line(float(_number(value))) - self.mean) / self.sd
        return _cut((portable.scalars.normal_cdf(z) - start) / (end - start), 0.0, 1.0)

    def canonical(self, value: object) -> Value:
        """Return value as this parameter stores it; ValueError says why it cannot be."""
        return float(_in_range(value, *self.limits)) + 0.0  # -0.0 becomes 0.0

    def spread(self, count: int) -> tuple[Value, ...]:
        """Return up to `count` values that cut the probability into equal parts."""
        return tuple(dict.fromkeys(self.from_unit((i + 0.5) / count) for i in range(count)))

    def to_json(self) -> Json:
        """Return the arguments as JSON."""
        return _compact({"type": type(self).__name__.lower(), "mean": float(self.mean),
                         "sd": float(self.sd), "low": self.low, "high": self.high})  # fmt: skip

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest value; at the end of the floats where none is given."""
        return -MOST if self.low is None else self.low, MOST if self.high is None else self.high

    @property
    def share(self) -> tuple[float, float]:
        """The probabilities below the two bounds."""
        low, high = ((self._to_line(bound) - self.mean) / self.sd for bound in self.limits)
        return portable.scalars.normal_cdf(low), portable.scalars.normal_cdf(high)

    def _to_line(self, value: float) -> float:
        return value

    def _from_line(self, x: float) -> float:
        return x


class LogNormal(Normal):
    """A number whose logarithm is normal; mean and sd are the logarithm's, low and high its own."""

    def problem(self) -> str | None:
        """Return what is wrong with the arguments, or None."""
        return normal_problem("LogNormal", self, low_limit=0.0)

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest value."""
        low, high = super().limits
        return max(low, LEAST), high

    def _to_line(self, value: float) -> float:
        return portable.scalars.log(value)

    def _from_line(self, x: float) -> float:
        return portable.scalars.exp(x)


Distribution: TypeAlias = Float | Int | Choice | Normal | LogNormal


# The pieces that several of them share.


def same(a: object, b: object) -> bool:
    """Return whether two values are the same in a study: 1 and 1.0 are, 1 and True are not."""
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


_NORMAL = 1e-300  # above it floats have all their bits


def _cell(u: float, size: int) -> int:
    return min(int(u * size), size - 1)


def _centre(index: int, size: int) -> float:
    return (index + 0.5) / size


def _cut(x: float, low: float, high: float) -> float:
    return min(max(x, float(low)), float(high))


def _number(value: object) -> float:
    """Return a real number, which may be one of numpy's; ValueError where it is none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError("is not a number")  # noqa: TRY004 - reported as a value, not as a bug
    return value  # type: ignore[return-value]


def _in_range(value: object, low: float, high: float) -> float:
    number = _number(value)
    if not low <= number <= high:
        raise ValueError("is not above 0" if low == LEAST else f"is outside of {low} to {high}")
    return number


def _is_storable(option: object) -> bool:
    """Whether JSON and SQLite hold it: UTF-8, 64 bits."""
    if isinstance(option, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in option)
    if isinstance(option, int):
        return -(2**63) <= option < 2**63
    return option is None or is_finite(option)


def _prior_problem(of: Float | Int) -> str | None:
    """Return what is wrong with a belief about where in its range the best value lies, or None."""
    if of.prior is None:
        return None
    kind = type(of).__name__
    if not isinstance(of.prior, Normal):
        return f"prior {shown(of.prior)} is no belief: write {kind}(…, prior=Normal(mean, sd))"
    if of.prior.when is not None:
        return f"its prior has a condition of its own: write when= in {kind}(…) instead"
    problem = of.prior.problem() or believed(of).problem()
    return None if problem is None else f"its prior: {problem}"


def believed(of: Float | Int) -> Normal:
    """Return a range's prior, cut to the range."""
    prior = of.prior or Normal(0.0, 1.0)
    floor = -math.inf if type(prior) is Normal else 0.0
    low, high = (None if bound <= floor else float(bound) for bound in (of.low, of.high))
    return type(prior)(prior.mean, prior.sd, low, high, prior.when)


def _json(prior: Normal | None) -> Json | None:
    return None if prior is None else prior.to_json()


def _compact(entry: Json) -> Json:
    """Leave out what has its default value."""
    return {k: v for k, v in entry.items() if v is not None and v is not False}
