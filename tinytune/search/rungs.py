"""One value for each result where trials were not all trained for as long: that at the same rung.

A stopping rule with rungs ends most trials early, and values after 1 step and after 27 are not to
be compared. So searches hear of what trials had at one rung: the highest one that enough of them
have come to, which is BOHB's choice of the budget on which it models (Falkner et al. 2018, 3.2).
BOHB leaves out who did not come so far. Here those are told what they would have had, if ranks
stayed as they were at the highest rung that they did reach: searches that go through a population
or a pattern wait for every trial that they have suggested.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TypeAlias

from tinytune.history import Finished

Points: TypeAlias = Mapping[int, float]  # rung -> value there

_MORE = 3  # results than parameters are enough: BOHB's N_min = d + 1, and 2 more
_WHOLE = sys.maxsize  # the rung of complete trials
_NONE = 0  # that of trials that ended below all rungs


def latest(results: Iterable[Finished]) -> list[Finished]:
    """Return the last result of each trial, in the order of the first: one may have been let on."""
    return list({result.number: result for result in results}.values())


def values(results: Sequence[Finished], parameters: int) -> list[float | None]:
    """Return what each result is told with, small ones good; None: it failed.

    They have small values good themselves. A rung is enough with `parameters` + 3 trials, or the
    most that any has.
    """
    known = [_points(result) for result in results]
    rung = _chosen(known, parameters)
    told = [_finite(points.get(rung)) for points in known]
    there = [points for points in known if _finite(points.get(rung)) is not None]

    @cache
    def pairs(place: int) -> tuple[list[float], list[float]]:
        """Return the values, rising, that those who came to the rung had at a place, and there."""
        both = [each for each in there if _finite(each.get(place)) is not None]
        return sorted(each[place] for each in both), sorted(each[rung] for each in both)

    beyond = []
    for index, points in enumerate(known):
        if rung not in points and points:
            place = max((each for each in points if pairs(each)[0]), default=_NONE)
            told[index] = _placed(points[place], *pairs(place)) if place in points else None
            if told[index] is None:
                beyond.append((-max(points), points[max(points)], index))
    for index, value in _after([each[rung] for each in there], sorted(beyond)):
        told[index] = value
    return told


def below(results: Sequence[Finished], parameters: int) -> list[float]:
    """Return how far each result ended below the rung that counts: 0 there, 1 at the lowest."""
    known = [_points(result) for result in results]
    rung = _chosen(known, parameters)
    places = sorted({place for points in known for place in points if place <= rung})
    last = len(places) - 1
    return [
        (last - places.index(max(points))) / last if points and max(points) < rung else 0.0
        for points in known
    ]


def _chosen(known: Sequence[Points], parameters: int) -> int:
    """Return the highest rung that enough trials have come to."""
    counts = Counter(place for points in known for place in points if place != _NONE)
    enough = min(parameters + _MORE, max(counts.values(), default=0))
    return max((place for place, count in counts.items() if count >= enough), default=_NONE)


def _points(result: Finished) -> Points:
    """Return what is known of a trial by rung, nothing where it failed."""
    if result.state == "failed":
        return {}
    points = dict(result.rungs)
    if result.value is not None and (result.state == "complete" or not points):
        points[_WHOLE if result.state == "complete" else _NONE] = result.value
    return points


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _placed(value: float, here: Sequence[float], there: Sequence[float]) -> float | None:
    """Return the value of the same rank, between those of its neighbours; None: it is the worst."""
    after = bisect_left(here, value)
    if after == len(here):
        return None
    if after == 0:
        return there[0]
    low, high = here[after - 1], here[after]
    share = (value - low) / (high - low)
    found = there[after - 1] + share * (there[after] - there[after - 1])
    return found if math.isfinite(found) else there[after]  # huge numbers


def _after(
    known: Sequence[float], beyond: Sequence[tuple[int, float, int]]
) -> Iterable[tuple[int, float]]:
    """Yield the places of results that are worse than all known, and values to the same width.

    They come in the order given; only that counts, since values of other rungs are of other sizes.
    """
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    span = high - low if 0.0 < high - low < math.inf else max(abs(high), 1.0)
    for rank, (_, _, index) in enumerate(beyond, start=1):
        yield index, min(high + span * (rank / len(beyond)), sys.float_info.max)
