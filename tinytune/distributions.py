"""What one parameter may be: Float, Int, Choice, Normal, LogNormal.

Each maps a number of the unit interval to a value and back. A distribution does not know its
parameter's name, so `problem` returns what is wrong as a phrase and the space adds the name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from tinytune import portable
from tinytune.portable import as_written

Value: TypeAlias = float | int | str | bool | None
Json: TypeAlias = dict[str, object]

_SMALLEST, _LARGEST = 2.0**-53, 1 - 2.0**-53  # an unbounded normal has no value at 0 and 1


@dataclass(frozen=True)
class Between:
    """A condition's range, both ends included; None leaves an end open."""

    low: float | None = None
    high: float | None = None


When: TypeAlias = Mapping[str, object]


@dataclass(frozen=True)
class Float:
    """A real number from low to high, both included; `log` spaces it by ratios, `step` by steps.

    `when` names conditions on other parameters: `{"optimizer": "sgd"}`, a list of values, or a
    `Between(low, high)`.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: When | None = field(default=None, hash=False)

    def problem(self) -> str | None:
        """Return what is wrong with the arguments, or None."""
        return (
            _range_problem("Float", self.low, self.high)
            or _log_problem("Float", self.low, self.high, log=self.log, step=self.step)
            or (
                None
                if self.step is None
                else _step_problem("Float", self.low, self.high, self.step)
            )
        )

    @property
    def size(self) -> int | None:
        """The number of values, None where they are a continuum."""
        if self.step is None:
            return None
        return int((as_written(self.high) - as_written(self.low)) / as_written(self.step)) + 1

    def at(self, index: int) -> float:
        """Return the value of one step; decimal arithmetic, so that 0.1 * 3 is 0.3."""
        assert self.step is not None  # noqa: S101 - only called where size is not None
        return float(as_written(self.low) + index * as_written(self.step))

    def from_unit(self, u: float) -> float:
        """Return the value at 0 <= u <= 1."""
        if self.size is not None:
            return self.at(_cell(u, self.size))
        if self.log:
            return portable.interpolate_log(self.low, self.high, u)
        return min(max(self.low + u * (self.high - self.low), float(self.low)), float(self.high))

    def to_unit(self, value: Value) -> float:
        """Return where in the unit interval a value of this range lies."""
        x = _number(value)
        if self.step is not None and self.size is not None:
            return _centre(
                round((as_written(x) - as_written(self.low)) / as_written(self.step)), self.size
            )
        if self.log:
            return portable.fraction_log(self.low, self.high, x)
        return (x - self.low) / (self.high - self.low)

    def canonical(self, value: object) -> Value:
        """Return value as this parameter stores it; ValueError says why it cannot be."""
        x = float(_in_range(value, self.low, self.high))
        if self.size is not None and self.from_unit(self.to_unit(x)) != x:
            raise ValueError(f"is not a multiple of the step {self.step} above {self.low}")
        return x

    def spread(self, count: int) -> tuple[Value, ...]:
        """Return up to `count` values, evenly spaced with both ends."""
        if self.size is not None:
            return tuple(self.at(step) for step in _steps(count, self.size))
        between = portable.interpolate_log if self.log else portable.interpolate
        return tuple(between(self.low, self.high, u) for u in _marks(count))

    def to_json(self) -> Json:
        """Return the arguments as JSON."""
        return _compact({"type": "float", "low": float(self.low), "high": float(self.high),
                         "log": self.log, "step": self.step})  # fmt: skip


@dataclass(frozen=True)
class Int:
    """A whole number from low to high, both included; `log` and `step` as for Float."""

    low: int
    high: int
    log: bool = False
    step: int | None = None
    when: When | None = field(default=None, hash=False)

    def problem(self) -> str | None:
        """Return what is wrong with the arguments, or None."""
        for bound in (self.low, self.high, 1 if self.step is None else self.step):
            if not isinstance(bound, int) or isinstance(bound, bool):
                return f"{bound!r} is not a whole number: use Float, or write a whole number"
        return (
            _range_problem("Int", self.low, self.high)
            or _log_problem("Int", self.low, self.high, log=self.log, step=self.step)
            or (None if self.step is None else _step_problem("Int", self.low, self.high, self.step))
        )

    @property
    def size(self) -> int:
        """The number of values."""
        return (self.high - self.low) // (self.step or 1) + 1

    def at(self, index: int) -> int:
        """Return the value of one step."""
        return self.low + index * (self.step or 1)

    def from_unit(self, u: float) -> int:
        """Return the value at 0 <= u <= 1; each gets the part of the interval that rounds to it."""
        if not self.log:
            return self.at(_cell(u, self.size))
        x = portable.interpolate_log(self.low - 0.5, self.high + 0.5, u)
        return min(max(round(x), self.low), self.high)

    def to_unit(self, value: Value) -> float:
        """Return where in the unit interval a value of this range lies."""
        x = int(_number(value)) if not isinstance(value, int) else value
        if not self.log:
            return _centre((x - self.low) // (self.step or 1), self.size)
        return portable.fraction_log(self.low - 0.5, self.high + 0.5, x)

    def canonical(self, value: object) -> Value:
        """Return value as this parameter stores it; ValueError says why it cannot be."""
        x = _in_range(value, self.low, self.high)
        if x != int(x):
            raise ValueError("is not a whole number")
        if (int(x) - self.low) % (self.step or 1):
            raise ValueError(f"is not a multiple of the step {self.step} above {self.low}")
        return int(x)

    def spread(self, count: int) -> tuple[Value, ...]:
        """Return up to `count` values, evenly spaced with both ends."""
        if self.log:
            ends = (portable.interpolate_log(self.low, self.high, u) for u in _marks(count))
            return tuple(dict.fromkeys(round(x) for x in ends))
        return tuple(self.at(step) for step in _steps(count, self.size))

    def to_json(self) -> Json:
        """Return the arguments as JSON."""
        return _compact({"type": "int", "low": self.low, "high": self.high,
                         "log": self.log, "step": self.step})  # fmt: skip


@dataclass(frozen=True, init=False)
class Choice:
    """One of some options: text, numbers, True, False or None; `ordered` says they have an order.

    `weights` are relative probabilities for searches that draw at random.
    """

    options: tuple[Value, ...]
    weights: tuple[float, ...] | None
    ordered: bool
    when: When | None = field(hash=False)

    def __init__(
        self,
        *options: Value,
        weights: Sequence[float] | None = None,
        ordered: bool = False,
        when: When | None = None,
    ) -> None:
        for name, value in (
            ("options", options),
            ("weights", None if weights is None else tuple(weights)),
            ("ordered", ordered),
            ("when", when),
        ):
            object.__setattr__(self, name, value)

    def problem(self) -> str | None:
        """Return what is wrong with the arguments, or None."""
        if not self.options:
            return "Choice has no options: write Choice('a', 'b')"
        for index, option in enumerate(self.options):
            if not (option is None or isinstance(option, (str, int, float))) or (
                isinstance(option, float) and not math.isfinite(option)
            ):
                return (
                    f"option {option!r} cannot be stored in a study: give the options names, "
                    "and look the name up in the objective"
                )
            if option in self.options[:index]:
                return f"option {option!r} is given twice: remove one"
        return self._weights_problem()

    def _weights_problem(self) -> str | None:
        if self.weights is None:
            return None
        if len(self.weights) != len(self.options):
            return (
                f"{len(self.weights)} weights for {len(self.options)} options: "
                "give one weight for each option"
            )
        if not all(w > 0 and math.isfinite(w) for w in self.weights):
            return (
                f"weights {list(self.weights)} must all be above 0: "
                "leave out what must not be drawn"
            )
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
        *cuts, _ = _cumulated(self.weights)
        return self.options[sum(u >= cut for cut in cuts)]

    def to_unit(self, value: Value) -> float:
        """Return the middle of an option's share of the unit interval."""
        index = self.index(value)
        if self.weights is None:
            return _centre(index, self.size)
        cuts = [0.0, *_cumulated(self.weights)]
        return (cuts[index] + cuts[index + 1]) / 2

    def index(self, value: object) -> int:
        """Return the position of an option; ValueError where there is no such option."""
        for index, option in enumerate(self.options):
            if option == value and isinstance(option, bool) == isinstance(value, bool):
                return index
        raise ValueError(f"is not one of {', '.join(map(repr, self.options))}")

    def canonical(self, value: object) -> Value:
        """Return value as this parameter stores it; ValueError says why it cannot be."""
        return self.options[self.index(value)]

    def spread(self, count: int) -> tuple[Value, ...]:
        """Return up to `count` options, evenly spaced."""
        return tuple(self.options[step] for step in _steps(count, self.size))

    def to_json(self) -> Json:
        """Return the arguments as JSON."""
        return _compact({"type": "choice", "options": list(self.options),
                         "weights": None if self.weights is None else list(self.weights),
                         "ordered": self.ordered})  # fmt: skip


@dataclass(frozen=True)
class Normal:
    """A normal (Gaussian) number with this mean and standard deviation, cut to [low, high]."""

    mean: float
    sd: float
    low: float | None = None
    high: float | None = None
    when: When | None = field(default=None, hash=False)

    def problem(self) -> str | None:
        """Return what is wrong with the arguments, or None."""
        return _normal_problem(type(self).__name__, self, low_limit=-math.inf)

    @property
    def size(self) -> int | None:
        """None: the values are a continuum."""
        return None

    def from_unit(self, u: float) -> float:
        """Return the quantile of u, 0 <= u <= 1, within the bounds."""
        return _cut(self._from_line(self._quantile(u)), self.low, self.high)

    def to_unit(self, value: Value) -> float:
        """Return the probability, within the bounds, of a smaller value."""
        start, end = self._share
        z = (self._to_line(_number(value)) - self.mean) / self.sd
        return _cut((portable.normal_cdf(z) - start) / (end - start), 0.0, 1.0)

    def canonical(self, value: object) -> Value:
        """Return value as this parameter stores it; ValueError says why it cannot be."""
        return float(_in_range(value, *self._bounds()))

    def spread(self, count: int) -> tuple[Value, ...]:
        """Return `count` values that cut the probability into equal parts."""
        return tuple(self.from_unit((i + 0.5) / count) for i in range(count))

    def to_json(self) -> Json:
        """Return the arguments as JSON."""
        return _compact({"type": type(self).__name__.lower(), "mean": float(self.mean),
                         "sd": float(self.sd), "low": self.low, "high": self.high})  # fmt: skip

    def _bounds(self) -> tuple[float, float]:
        return (
            -math.inf if self.low is None else self.low,
            math.inf if self.high is None else self.high,
        )

    @property
    def _share(self) -> tuple[float, float]:
        """The probabilities below the two bounds."""
        low, high = ((self._to_line(bound) - self.mean) / self.sd for bound in self._bounds())
        return portable.normal_cdf(low), portable.normal_cdf(high)

    def _quantile(self, u: float) -> float:
        start, end = self._share
        p = _cut(start + u * (end - start), _SMALLEST, _LARGEST)
        return self.mean + self.sd * portable.normal_quantile(p)

    def _to_line(self, value: float) -> float:
        return value

    def _from_line(self, x: float) -> float:
        return x


@dataclass(frozen=True)
class LogNormal(Normal):
    """A number whose logarithm is normal; mean and sd are the logarithm's, low and high its own."""

    def problem(self) -> str | None:
        """Return what is wrong with the arguments, or None."""
        return _normal_problem("LogNormal", self, low_limit=0.0)

    def _bounds(self) -> tuple[float, float]:
        low, high = super()._bounds()
        return max(low, 5e-324), high

    def _to_line(self, value: float) -> float:
        return math.inf if math.isinf(value) else portable.log(value)

    def _from_line(self, x: float) -> float:
        return portable.exp(x)


Distribution: TypeAlias = Float | Int | Choice | Normal | LogNormal
TYPES: dict[str, type[Float | Int | Normal | LogNormal]] = {
    "float": Float, "int": Int, "normal": Normal, "lognormal": LogNormal,
}  # fmt: skip


def from_json(entry: Mapping[str, object], when: When | None) -> Distribution:
    """Return the distribution that `to_json` wrote; KeyError or TypeError where it did not."""
    arguments = {name: value for name, value in entry.items() if name != "type"}
    if entry["type"] == "choice":
        options: Iterable[Value] = arguments.pop("options")  # type: ignore[assignment]
        return Choice(*options, when=when, **arguments)  # type: ignore[arg-type]
    return TYPES[str(entry["type"])](when=when, **arguments)  # type: ignore[arg-type]


# The pieces that several of them share.


def _cell(u: float, size: int) -> int:
    return min(int(u * size), size - 1)


def _centre(index: int, size: int) -> float:
    return (index + 0.5) / size


def _cut(x: float, low: float | None, high: float | None) -> float:
    x = x if low is None else max(x, float(low))
    return x if high is None else min(x, float(high))


def _cumulated(weights: Sequence[float]) -> list[float]:
    total, sums = 0.0, []
    for weight in weights:
        total = total + weight
        sums.append(total)
    return [part / total for part in sums]


def _marks(count: int) -> list[Decimal]:
    """Evenly spaced numbers of the unit interval with both ends; one alone is the middle."""
    if count == 1:
        return [Decimal("0.5")]
    return [Decimal(i) / Decimal(count - 1) for i in range(count)]


def _steps(count: int, size: int) -> list[int]:
    """Evenly spaced numbers of range(size), with both ends and without repeats."""
    return [round(mark * (size - 1)) for mark in _marks(min(count, size))]


def _number(value: object) -> float:
    """Return a real number as a float; ValueError where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("is not a number")  # noqa: TRY004 - reported as a value, not as a bug
    return float(value)


def _in_range(value: object, low: float, high: float) -> float | int:
    number = _number(value)
    if not low <= number <= high:
        raise ValueError(f"is outside of {low} to {high}")
    return value if isinstance(value, int) else number


def _range_problem(kind: str, low: float, high: float) -> str | None:
    for bound in (low, high):
        if isinstance(bound, bool) or not isinstance(bound, (int, float)):
            return f"{bound!r} is not a number: write {kind}(low, high)"
    if not (math.isfinite(low) and math.isfinite(high) and math.isfinite(high - low)):
        return f"{low} to {high} is not a finite range: give finite bounds"
    if low >= high:
        remedy = (
            f"write {kind}({high}, {low})" if low > high else "a fixed value needs no annotation"
        )
        return f"low {low} is not below high {high}: {remedy}"
    if kind == "Int" and max(abs(low), abs(high)) > 2**53:
        return f"{low} to {high} is too large: whole numbers go up to 2**53"
    return None


def _log_problem(
    kind: str, low: float, high: float, *, log: bool, step: float | None
) -> str | None:
    if not log:
        return None
    if step is not None:
        return "log and step exclude each other: leave out one"
    if low <= 0:
        positive = "1" if kind == "Int" else f"{high / 1000:g}" if high > 0 else "1e-4"
        return f"log needs low above 0, not {low}: write a low such as {positive}, or leave out log"
    return None


def _step_problem(kind: str, low: float, high: float, step: float) -> str | None:
    if not (isinstance(step, (int, float)) and math.isfinite(step) and step > 0):
        return f"step {step} must be above 0"
    exact_low, exact_step = as_written(low), as_written(step)
    count, rest = divmod(as_written(high) - exact_low, exact_step)
    if not rest:
        return None
    below, above = (exact_low + (count + extra) * exact_step for extra in (0, 1))
    fits = f"high={above}" if not count else f"high={below} or high={above}"
    return f"step {step} does not fit from {low} to {high}: write {fits} in {kind}"


def _normal_problem(kind: str, normal: Normal, low_limit: float) -> str | None:
    for bound in (normal.mean, normal.sd, normal.low or 1, normal.high or 1):
        if (
            isinstance(bound, bool)
            or not isinstance(bound, (int, float))
            or not math.isfinite(bound)
        ):
            return f"{bound!r} is not a finite number: write {kind}(mean, sd)"
    if normal.sd <= 0:
        return f"sd {normal.sd} must be above 0"
    low, high = normal._bounds()  # noqa: SLF001 - same module
    if low >= high:
        return f"low {low} is not below high {high}: swap them"
    if normal.low is not None and normal.low < low_limit:
        return f"low {normal.low} must not be negative: a {kind} number is above 0"
    start, end = normal._share  # noqa: SLF001 - same module
    if end - start < 1e-9:
        return f"almost nothing of the distribution lies from {low} to {high}: move mean, or widen"
    return None


def _compact(entry: Json) -> Json:
    """Leave out what has its default value."""
    return {
        name: value for name, value in entry.items() if value is not None and value is not False
    }
