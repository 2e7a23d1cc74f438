"""What to do about what mattered, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tinytune.distributions import Float, Int, Value
from tinytune.importance.evidence import Column, Evidence
from tinytune.importance.region import best_region

EDGE = 0.1  # of the range at each end
MOST_FIT = 0.3  # R^2 below which a forest is no witness
MOST = 0.8  # of all importance is "most"


def negligible(dimension: int) -> float:
    """Return the share below which a parameter hardly matters: half an equal one, at most 0.1."""
    return min(0.1, 0.5 / dimension)


@dataclass(frozen=True)
class Known:
    """What is known of a parameter's importance."""

    share: float
    low: float  # of the interval
    high: float
    joint: float  # what it has in pairs; that must be small too for it not to matter
    limit: float  # below which it hardly matters
    may_be_chance: bool


def is_negligible(known: Known) -> bool:
    """Return whether a parameter hardly matters, neither alone nor with another one, for sure."""
    return max(known.high, known.joint) < known.limit


def of_parameter(column: Column, evidence: Evidence, known: Known | None) -> Iterator[str]:
    """Yield what to do about a parameter."""
    name, tried = column.name, int(column.active.sum())
    if known is None:
        few = f"it was active in {tried} trials" if column.distinct > 1 else _single(column)
        yield f"`{name}`: {few}, nothing can be said of it"
        return
    if not (evidence.top & column.active).any():
        yield f"none of the best trials had `{name}`"
        return
    if is_negligible(known):
        yield _fix(column, evidence)
        return
    if known.may_be_chance:
        return  # it is told of all such parameters at once
    edge = _edge(column, evidence)
    if edge is not None:
        yield f"the best `{name}` lies at the {edge} of its range: widen it, if it may go there"
    elif known.low > known.limit and not column.is_uneven:  # else the search is there already
        yield from _narrow(column, evidence)
    if known.share > known.limit:
        yield from _few_values(column, tried)


def of_study(
    evidence: Evidence, found: Sequence[tuple[str, float, bool]], fit: float | None
) -> Iterator[str]:
    """Yield what is to be said of the whole study.

    `found` holds names, shares and whether they may be chance, the most important one first.
    """
    yield from _of_forest(evidence, fit)
    unsure = [f"`{name}`" for name, _, may_be_chance in found if may_be_chance]
    count, dimension = evidence.count, len(evidence.columns)
    if len(unsure) == len(found):
        yield (
            f"in {count:,} trials, each parameter that seems to matter may do so by chance: more "
            "trials would tell"
        )
        return
    shares = np.array([share for _, share, _ in found])
    upto = np.cumsum(shares) / (shares.sum() or 1.0)
    needed = found[: int(np.searchsorted(upto, MOST)) + 1]
    them = [f"`{name}`" for name, _, may_be_chance in needed if not may_be_chance]
    if them and len(them) < dimension:
        yield f"most of what mattered is {_joined(them)}"
    if unsure:
        yield f"{_joined(unsure)} may only seem to matter, by chance: more trials would tell"
    crowded = [f"`{column.name}`" for column in evidence.columns if column.is_uneven]
    if crowded:
        yield (
            f"the search looked more closely at some values of {_joined(crowded)}: importance "
            "holds where it looked; trials by random or sobol tell of the whole space"
        )
    name = next(name for name, _, may_be_chance in found if not may_be_chance)
    first = next(column for column in evidence.columns if column.name == name)
    on_grid = int(count ** (1 / dimension) + 1e-9)
    if dimension > 1 and first.distinct > 2 * on_grid:
        yield (
            f"of `{first.name}`, which mattered most, {first.distinct:,} values were tried; a full "
            f"grid of {count:,} trials has {on_grid} of each parameter"
        )


def _of_forest(evidence: Evidence, fit: float | None) -> Iterator[str]:
    """Yield what speaks against a forest's numbers; `fit` is None where there is no forest."""
    if fit is None:
        return
    if fit < MOST_FIT:
        yield (
            f"the forest explains {max(fit, 0.0):.0%} of the variance of trials that it had not "
            "seen: do not rely on these numbers; more trials, or --method ped-anova, may help"
        )
    square = (evidence.scaled - evidence.scaled.mean()) ** 2
    if square.max() > 0.5 * square.sum():
        yield (
            f"trial {evidence.numbers[square.argmax()]} alone makes up more than half of the "
            "variance that is explained here; to --method ped-anova only its rank counts"
        )


def shown(value: Value) -> str:
    """Return a value as people read it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _single(column: Column) -> str:
    if not column.active.any():
        return "it was never active"
    return f"it was {shown(column.values[int(column.active.argmax())])} in all trials"


def _fix(column: Column, evidence: Evidence) -> str:
    if column.is_uneven:
        return (
            f"`{column.name}` hardly mattered where the search looked, which was not everywhere: "
            "try other values before you fix it"
        )
    best = column.values[evidence.best]
    example = "" if best is None else f", for example at {shown(best)} as in the best trial"
    return f"`{column.name}` hardly matters: fix it{example}"


def _edge(column: Column, evidence: Evidence) -> str | None:
    """Return which end of its range half of the best trials lie at, and the best one too."""
    of, possible = column.parameter.distribution, column.possible
    if not isinstance(of, (Float, Int)) or (possible is not None and possible < 5):
        return None
    top = evidence.top & column.active
    place = column.place
    for edge, bound, away in (("lower", of.low, place), ("upper", of.high, 1.0 - place)):
        near = away <= EDGE
        if near[evidence.best] and np.mean(near[top]) >= 0.5:
            return f"{edge} edge, {shown(bound)},"
    return None


def _narrow(column: Column, evidence: Evidence) -> Iterator[str]:
    region = best_region(column, evidence.top)
    if region is None:
        return
    if not column.is_ordered:
        usual = region.usual
        if len(usual) == 1 and len(region.options) < (column.possible or 2):
            yield f"nearly all of the best trials have `{column.name}` {shown(usual[0][0])}"
    elif region.width == 0:
        yield f"the best `{column.name}` is {shown(region.low)}: look closer around it"
    elif region.width < 0.25:
        between = f"between {shown(region.low)} and {shown(region.high)}"
        yield f"the best `{column.name}` lies {between}: look closer there"


def _few_values(column: Column, tried: int) -> Iterator[str]:
    """Yield the argument against grids: few values of what matters, again and again."""
    possible = column.possible or tried
    if column.is_ordered and 4 * column.distinct <= min(tried, possible):
        yield (
            f"only {column.distinct} values of `{column.name}` were tried in {tried} trials: a "
            "search that is no grid tries a new one in each"
        )


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
