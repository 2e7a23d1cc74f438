"""Recorded trials as arrays: what every measure of importance starts from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tinytune.bounds import is_finite
from tinytune.distributions import Choice, Distribution, Float, Int, Value
from tinytune.history import Direction, TrialRecord
from tinytune.space import Parameter, Params, Space

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


_PARTS = 10


@dataclass(frozen=True, eq=False)
class Column:
    """One parameter's values in n trials, on the scale on which it is searched.

    `offset` is the distance from its low end, out of `span`: of the logarithm where it is searched
    by ratios, of the probability where it is a normal; of options the position. It is NaN where the
    parameter is not active. `unit` is where the value lies in [0, 1] if the space is spread out
    evenly: the middle of its share, where there are finitely many values.
    """

    parameter: Parameter
    values: tuple[Value, ...]  # None where it is not active
    offset: Floats  # (n,)
    span: float
    unit: Floats  # (n,)
    shares: Floats | None  # (k,) of options without an order; their sum is 1

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.parameter.name

    @cached_property
    def active(self) -> Bools:
        """Where the parameter is active, shape (n,)."""
        return ~np.isnan(self.offset)

    @property
    def place(self) -> Floats:
        """Where each value lies between the low end, 0, and the high end, 1; shape (n,)."""
        return self.offset / (self.span or 1.0)

    @property
    def is_ordered(self) -> bool:
        """Whether its values have an order."""
        return self.shares is None

    @property
    def distinct(self) -> int:
        """How many different values were tried."""
        return len(np.unique(self.offset[self.active]))

    @cached_property
    def is_uneven(self) -> bool:
        """Whether the trials crowd in a part of the range, as those of searches that learn do.

        That is where the shares p of up to ten equal parts differ from even ones q by more than
        chance allows, sum (p - q)^2 / q > 1/2 + 2 (parts - 1) / n.
        """
        unit, count = self.unit[self.active], int(self.active.sum())
        if self.shares is not None:
            even, part = self.shares, self.offset[self.active].astype(np.int64)
        else:
            parts = max(min(_PARTS, self.distinct), 1)
            even, part = (
                np.full(parts, 1 / parts),
                np.minimum((unit * parts).astype(np.int64), parts - 1),
            )
        found = np.bincount(part, minlength=len(even)) / max(count, 1)
        differ = float(((found - even) ** 2 / even).sum())
        return count > 0 and differ > 0.5 + 2 * (len(even) - 1) / count

    @property
    def possible(self) -> int | None:
        """How many different values there are, None where they are a continuum."""
        return self.parameter.distribution.size


@dataclass(frozen=True, eq=False)
class Evidence:
    """The n trials that count, by number: their parameters, and a loss of which small is good."""

    columns: tuple[Column, ...]
    loss: Floats  # (n,), finite
    with_value: int  # how many have a number of their own; all others are as bad as the worst
    numbers: Ints  # (n,)
    states: tuple[str, ...]
    left_out: int  # trials that ended and do not count

    @property
    def count(self) -> int:
        """How many trials count."""
        return len(self.loss)

    @cached_property
    def scaled(self) -> Floats:
        """The losses from 0, the best, to 1, so that no square is out of range; shape (n,)."""
        halves = self.loss / 2  # their differences are finite, those of the losses may not be
        halves -= halves.min()
        result: Floats = halves / (halves.max() or 1.0)
        return result

    @cached_property
    def top(self) -> Bools:
        """Which are the best trials, shape (n,): see `best_share`."""
        return self.loss <= cutoff(np.sort(self.loss), np.ones(self.count))

    @cached_property
    def best(self) -> int:
        """The position of the best trial, the earlier one of equals."""
        return int(np.argmin(self.loss))

    def by_state(self, state: str) -> int:
        """Return how many of the trials that count ended in a state."""
        return self.states.count(state)


TOP_SHARE, LEAST_TOP = 0.1, 5  # the best tenth, of few trials the best five (Watanabe 2023, 5.2)


def best_share(count: int) -> int:
    """Return how many of so many trials are "the best": a tenth of them, but at least five."""
    return max(math.ceil(TOP_SHARE * count), min(LEAST_TOP, count))


def cutoff(ordered: Floats, weights: Floats) -> float:
    """Return the loss of the last of the best trials; those with an equal one belong to them.

    `ordered` are the losses from the best on, `weights` how often each one counts; both (n,).
    """
    upto = np.cumsum(weights)
    last = int(np.searchsorted(upto, best_share(round(float(upto[-1])))))
    return float(ordered[min(last, len(ordered) - 1)])


def gather(
    space: Space,
    trials: Sequence[TrialRecord],
    value: Callable[[TrialRecord], float | None],
    direction: Direction,
) -> Evidence:
    """Return what those trials are evidence of that have ended, and that had parameters.

    `value` returns a trial's number, NaN or an infinity where it counts as the worst of all, and
    None where it does not count. ValueError where a parameter is what it cannot be.
    """
    # Runs that confirm the best configurations would only count those several times.
    own = [trial for trial in trials if trial.confirms is None]
    ended = [trial for trial in own if trial.state not in {"waiting", "running"}]
    sign = 1.0 if direction == "minimize" else -1.0
    known: list[tuple[TrialRecord, Params, float]] = []
    for trial in ended:
        found = value(trial)
        if trial.params is not None and found is not None:
            known.append((trial, trial.params, sign * found))
    loss = np.array([each for _, _, each in known], dtype=np.float64)
    finite = np.isfinite(loss)
    loss[~finite] = loss[finite].max(initial=-np.inf)
    if not finite.any():
        known, loss = [], loss[:0]
    configurations = [params for _, params, _ in known]
    return Evidence(
        tuple(column(parameter, configurations) for parameter in space.parameters),
        loss,
        int(finite.sum()),
        np.array([trial.number for trial, _, _ in known], dtype=np.int64),
        tuple(trial.state for trial, _, _ in known),
        len(ended) - len(known),
    )


def column(parameter: Parameter, configurations: Sequence[Mapping[str, Value]]) -> Column:
    """Return one parameter's values; ValueError where one is none that it can have."""
    name, of = parameter.name, parameter.distribution
    there = [name in params for params in configurations]
    values = [params[name] for params in configurations if name in params]
    offsets, span, units = _scaled(of, values)
    offset, unit = np.full(len(there), np.nan), np.full(len(there), np.nan)
    offset[there], unit[there] = offsets, units
    shares = None
    if isinstance(of, Choice) and not of.ordered:
        weights = np.array(of.weights or [1.0] * of.size)
        shares = weights / weights.sum()
    recorded = tuple(params.get(name) for params in configurations)
    return Column(parameter, recorded, offset, span, unit, shares)


def _scaled(of: Distribution, values: Sequence[Value]) -> tuple[Floats, float, Floats]:
    """Return offsets, span and units; see `Column`."""
    if isinstance(of, Choice):
        index = _indices(of, values)
        units = np.array([of.to_unit(option) for option in of.options])
        return index.astype(np.float64), of.size - 1.0, units[index]
    number = np.array([_number(value) for value in values], dtype=np.float64)
    if not isinstance(of, (Float, Int)):  # a normal: where in its probability
        units = np.array([of.to_unit(float(each)) for each in number])
        return units, 1.0, units
    number = np.clip(number, float(of.low), float(of.high))
    if of.log:
        low, high = math.log(of.low), math.log(of.high)
        offset, span = np.log(number) - low, high - low
    else:
        offset, span = number - of.low, float(of.high - of.low)
    offset = np.clip(offset, 0.0, span)
    if isinstance(of, Int) and of.log:
        low, high = math.log(of.low - 0.5), math.log(of.high + 0.5)
        return offset, span, (np.log(number) - low) / (high - low)
    if of.size is None:
        return offset, span, offset / span
    steps = np.rint(offset / float(of.step or 1))
    return offset, span, (steps + 0.5) / of.size


def _indices(of: Choice, values: Sequence[Value]) -> Ints:
    known = {(option, isinstance(option, bool)): i for i, option in enumerate(of.options)}
    try:
        found = [known[value, isinstance(value, bool)] for value in values]
    except (KeyError, TypeError):
        raise ValueError("one of its values is none of the options") from None
    return np.array(found, dtype=np.int64)


def _number(value: Value) -> float:
    if not isinstance(value, (int, float)) or not is_finite(value):
        raise ValueError(f"{value!r:.40} is not a finite number")
    return value
