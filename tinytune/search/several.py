"""One value for each result, where several objectives count or results have to meet something.

With several objectives a trial may look at them with weights of its own (ParEGO, Knowles 2006): the
weighted distance from the best of each, so that all of the trials together spread along the front.
What does not meet the study's requirements is worse than all that does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from tinytune import draw, pareto
from tinytune.history import Finished, Goal
from tinytune.requirement import Requirement, excesses

SUM = 0.05  # weight of the sum, which tells apart what is equal in the worst objective
_LEAST = 1e-3  # of a share, where its inverse is taken
_GAP = 0.1  # between what meets the requirements and what does not, as a part of the range


def with_goals(
    result: Finished, goals: Sequence[Goal], requirements: Sequence[Requirement] = ()
) -> Finished:
    """Return a result with the values of all objectives, small ones good, infinite where unknown.

    Its value is that of the first objective. It knows by how much it misses each requirement.
    """
    known = dict(result.values)
    if result.value is not None:
        known[goals[0].name] = result.value
    is_known = result.state != "failed"
    points = (known.get(goal.name) if is_known else None for goal in goals)
    values = tuple(
        math.inf if value is None else goal.small(value)
        for goal, value in zip(goals, points, strict=True)
    )
    first = values[0] if math.isfinite(values[0]) else None
    missed = excesses(requirements, known if is_known else {})
    return result._replace(value=first, goals=values if len(goals) > 1 else (), excess=missed)


def values(results: Sequence[Finished], weights: Sequence[float] | None) -> list[float | None]:
    """Return one value for each of the results, which come from `with_goals`; None: it failed.

    Without weights the first objective counts alone.
    """
    return penalised(plain(results, weights), results)


def plain(results: Sequence[Finished], weights: Sequence[float] | None) -> list[float | None]:
    """Return the values as they would be if nothing were required."""
    if weights is None:
        return [result.value for result in results]
    return _weighted([result.goals for result in results], _is_met(results), weights)


def weights(seed: int, number: int, count: int) -> list[float]:
    """Return the weights (count,) of the objectives for a trial; they add up to one.

    The distance is least where values are as 1 to the weights. So these are the inverses of even
    shares: the points that are looked for are spread evenly, not crowded at the ends of the front
    (Qi et al. 2014). Of two objectives the inverses are the same shares, exchanged.
    """
    found = shares(seed, number, count)
    if count < 3:
        return found
    inverse = [1.0 / max(share, _LEAST) for share in found]
    total = math.fsum(inverse)
    return [each / total for each in inverse]


def shares(seed: int, number: int, count: int) -> list[float]:
    """Return `count` shares of one, for a trial.

    They are the gaps between count - 1 marks in the unit interval, which is even in all shares;
    from trial to trial the marks go on by steps that fill the cube evenly (Roberts 2018).
    """
    marks = []
    for place, step in enumerate(_steps(count - 1)):
        shift = draw.key(seed, 0, "weights", str(place)) >> 64
        bits = (shift + number * step) % 2**64
        marks.append(((bits >> 12) + 0.5) * 2.0**-52)
    edges = [0.0, *sorted(marks), 1.0]
    return [edges[i + 1] - edges[i] for i in range(count)]


def _weighted(
    points: Sequence[Sequence[float]], is_met: Sequence[bool], weights: Sequence[float]
) -> list[float | None]:
    """Return the augmented Chebyshev distance of each point (k,) from the best of each objective.

    max_i w_i z_i + 0.05 sum_i w_i z_i (Knowles 2006, eq. 2), where z_i is 0 at the best value and 1
    at the worst on the front. An unknown value counts as the worst of all.
    """
    ends = units(points, is_met, len(weights))
    most = [
        max((x for x in column if math.isfinite(x)), default=0.0)
        for column in zip(*points, strict=True)
    ]
    found: list[float | None] = []
    for point in points:
        if not any(map(math.isfinite, point)):
            found.append(None)
            continue
        worst = total = 0.0
        for x, (low, span), largest, weight in zip(point, ends, most, weights, strict=True):
            z = weight * ((min(x, largest) - low) / span)
            worst, total = max(worst, z), total + z
        found.append(worst + SUM * total)
    return found


def units(
    points: Sequence[Sequence[float]], is_met: Sequence[bool], count: int
) -> list[tuple[float, float]]:
    """Return where the unit of each of `count` objectives begins, and how long it is.

    It goes from the best value to the worst one on the front of what meets the requirements.
    """
    known = [p for p, met in zip(points, is_met, strict=True) if met and all(map(math.isfinite, p))]
    known = known or [p for p in points if all(map(math.isfinite, p))]
    return [_unit(column) for column in _columns(known, count)]


def _columns(
    known: Sequence[Sequence[float]], count: int
) -> list[tuple[Sequence[float], Sequence[float]]]:
    """Return, for each objective, the values on the front and all values."""
    front = [known[place] for place in pareto.front(known)]
    return [([p[i] for p in front], [p[i] for p in known]) for i in range(count)]


def _unit(column: tuple[Sequence[float], Sequence[float]]) -> tuple[float, float]:
    """Return where an objective's unit begins, and how long it is."""
    front, every = column
    if not every:
        return 0.0, 1.0
    low = min(every)
    for span in (max(front) - low, max(every) - low):
        if 0.0 < span < math.inf:
            return low, span
    return low, 1.0


def penalised(found: Sequence[float | None], results: Sequence[Finished]) -> list[float | None]:
    """Return the values with those that miss the requirements after all others, by how much."""
    is_met = _is_met(results)
    if all(is_met):
        return list(found)
    good = [value for value, met in zip(found, is_met, strict=True) if met and value is not None]
    low, high = (min(good), max(good)) if good else (0.0, 0.0)
    span = high - low if 0.0 < high - low < math.inf else max(abs(high), 1.0)
    most = max(result.violation or 0.0 for result in results)
    return [
        value if met or value is None else high + span * (_GAP + (result.violation or 0.0) / most)
        for value, met, result in zip(found, is_met, results, strict=True)
    ]


def _is_met(results: Sequence[Finished]) -> list[bool]:
    return [not result.violation for result in results]


@lru_cache(maxsize=16)
def _steps(count: int) -> tuple[int, ...]:
    """Return the steps of `count` marks in 2^-64: powers of the root of x^(count + 1) = x + 1."""
    low, high = 1.0, 2.0
    for _ in range(64):
        middle = 0.5 * low + 0.5 * high
        power = 1.0
        for _ in range(count + 1):
            power *= middle
        low, high = (low, middle) if power > middle + 1.0 else (middle, high)
    steps, share = [], 1.0
    for _ in range(count):
        share /= low
        steps.append(int(share * 2.0**64))
    return tuple(steps)
