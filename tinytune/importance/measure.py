"""What mattered in a study, measured by one of the methods and told parameter by parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from tinytune.distributions import Value
from tinytune.errors import UsageError
from tinytune.importance import advice
from tinytune.importance.evidence import Column, Evidence, Floats
from tinytune.importance.fanova import fanova
from tinytune.importance.ped_anova import ped_anova
from tinytune.importance.region import Region, best_region

Method: TypeAlias = Literal["ped-anova", "fanova"]
METHODS: tuple[Method, ...] = ("ped-anova", "fanova")
LEAST_TRIALS = 10  # that count
LEAST_VALUES = 5  # of them, with a number of their own


@dataclass(frozen=True)
class Estimate:
    """A share from 0 to 1, and the interval in which it lies in about 95 of 100 cases."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Importance:
    """How much one parameter matters; `estimate` is None where nothing can be said."""

    name: str
    estimate: Estimate | None
    chance: float | None  # of PED-ANOVA: the share that chance alone may make up, 1 time in 20
    may_be_chance: bool
    trials: int  # in which it was active
    distinct: int  # values that were tried
    possible: int | None  # values that there are; None: a continuum
    best: Value  # in the best trial, None where it is not active there
    region: Region | None  # where the best trials lie
    advice: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """What two parameters explain only together, beyond what each explains alone."""

    names: tuple[str, str]
    estimate: Estimate


@dataclass(frozen=True)
class Measured:
    """What mattered in a study."""

    method: Method
    parameters: tuple[Importance, ...]  # the most important one first
    pairs: tuple[Pair, ...]  # of fANOVA; the most important one first
    trials: int  # that counted
    stopped: int  # of them, with their last value
    paused: int  # of them, with their last value
    failed: int  # of them, as bad as the worst
    left_out: int  # ended, and did not count
    top: int  # that are taken for the best
    effective: float  # dimension: how many equally important parameters would be as spread out
    fit: float | None  # of fANOVA: R^2 of the forest on trials that it had not seen
    advice: tuple[str, ...]


def measure(evidence: Evidence, method: Method = "ped-anova", seed: int = 0) -> Measured:
    """Return what mattered; the same for the same evidence and seed.

    UsageError where there are too few trials, or all of them are alike.
    """
    problem = _problem(evidence)
    if problem is not None:
        raise UsageError(problem)
    pairs: tuple[Pair, ...] = ()
    joint: dict[str, float] = {}
    chance: dict[str, float] = {}
    fit = None
    if method == "ped-anova":
        estimates, chance = _shares(evidence, seed)
    else:
        estimates, pairs, joint, fit = _fractions(evidence, seed)
    found = [
        _importance(column, evidence, estimates.get(column.name), chance.get(column.name), joint)
        for column in evidence.columns
    ]
    found.sort(
        key=lambda each: -1.0 if each.estimate is None else each.estimate.share, reverse=True
    )
    said = [(p.name, p.estimate.share, p.may_be_chance) for p in found if p.estimate is not None]
    return Measured(
        method,
        tuple(found),
        pairs,
        evidence.count,
        evidence.by_state("stopped"),
        evidence.by_state("paused"),
        evidence.by_state("failed"),
        evidence.left_out,
        int(evidence.top.sum()),
        effective_dimension([share for _, share, _ in said]),
        fit,
        tuple(advice.of_study(evidence, said, fit)),
    )


def effective_dimension(shares: list[float]) -> float:
    """Return (sum s)^2 / sum s^2: d where d parameters matter equally, 1 where one alone does."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / squares if squares else 0.0


def _problem(evidence: Evidence) -> str | None:
    """Return why nothing can be said, or None."""
    if evidence.count == 0:
        return "no trial that counts has a value: see `tinytune trials`"
    if evidence.count < LEAST_TRIALS or evidence.with_value < LEAST_VALUES:
        return (
            f"{evidence.count} trials count, {evidence.with_value} of them with a value: what "
            f"mattered shows in {LEAST_TRIALS} or more, {LEAST_VALUES} of them with a value"
        )
    if np.ptp(evidence.scaled) == 0:
        return f"all {evidence.count} trials have the same value: nothing can have mattered"
    if not any(_says_something(column) for column in evidence.columns):
        return "no parameter had two values in enough trials: nothing can be compared"
    return None


def _says_something(column: Column) -> bool:
    return bool(column.active.sum() >= LEAST_TRIALS) and column.distinct > 1


def _shares(evidence: Evidence, seed: int) -> tuple[dict[str, Estimate], dict[str, float]]:
    """Return PED-ANOVA's importances as shares of their sum, and the shares of chance.

    The interval is two standard deviations of the bootstrap to each side: its quantiles would lie
    too high where nothing matters, since a divergence cannot fall below 0.
    """
    found = ped_anova(evidence, seed)
    asked = np.array([_says_something(column) for column in evidence.columns])
    shares = _normalised(found.found[None, :] * asked)[0]
    deviation = 1.96 * _normalised(found.resampled * asked).std(axis=0)
    total = float((found.found * asked).sum())
    chance = found.chance / total if total > 0 else np.ones(len(asked))
    names = {i: column.name for i, column in enumerate(evidence.columns) if asked[i]}
    estimates = {
        name: _cut(shares[i], shares[i] - deviation[i], shares[i] + deviation[i])
        for i, name in names.items()
    }
    return estimates, {name: min(float(chance[i]), 1.0) for i, name in names.items()}


def _normalised(table: Floats) -> Floats:
    total = table.sum(axis=1, keepdims=True)
    equal = np.full_like(table, 1.0 / table.shape[1])
    result: Floats = np.where(total > 0, table / np.where(total > 0, total, 1.0), equal)
    return result


def _fractions(
    evidence: Evidence, seed: int
) -> tuple[dict[str, Estimate], tuple[Pair, ...], dict[str, float], float | None]:
    """Return fANOVA's shares alone, of pairs, what each parameter has in pairs, and the fit."""
    found = fanova(evidence, seed)
    alone = {name: _over_trees(shares) for name, shares in found.alone.items()}
    pairs = [Pair(names, _over_trees(shares)) for names, shares in found.pairs.items()]
    pairs.sort(key=lambda pair: pair.estimate.share, reverse=True)
    joint = {
        name: sum(pair.estimate.share for pair in pairs if name in pair.names) for name in alone
    }
    whole = [
        name for name in alone if all(c.active.all() for c in evidence.columns if c.name == name)
    ]
    fit = found.fit[whole[0]] if whole else min(found.fit.values(), default=None)
    return alone, tuple(pairs), joint, fit


def _over_trees(shares: Floats) -> Estimate:
    low, high = np.quantile(shares, [0.025, 0.975])
    return _cut(float(shares.mean()), low, high)


def _cut(share: float, low: float, high: float) -> Estimate:
    return Estimate(
        float(share), max(0.0, min(float(low), share)), min(1.0, max(float(high), share))
    )


def _importance(
    column: Column,
    evidence: Evidence,
    estimate: Estimate | None,
    chance: float | None,
    joint: dict[str, float],
) -> Importance:
    known, unsure = None, False
    if estimate is not None:
        unsure = estimate.low <= 0 and estimate.high > 0.3
        if chance is not None:
            unsure = estimate.share <= chance
        known = advice.Known(
            estimate.share,
            estimate.low,
            estimate.high,
            joint.get(column.name, 0.0),
            advice.negligible(len(evidence.columns)),
            may_be_chance=unsure,
        )
        unsure &= not advice.is_negligible(known)
    return Importance(
        column.name,
        estimate,
        chance,
        unsure,
        int(column.active.sum()),
        column.distinct,
        column.possible,
        column.values[evidence.best],
        best_region(column, evidence.top),
        tuple(advice.of_parameter(column, evidence, known)),
    )
