"""Points with several values, all of which are to be small: which are the best, and how good.

A point dominates another one if it is nowhere worse and somewhere better. Those that no other one
dominates are the Pareto front. Everything here is comparison and exact arithmetic in fixed order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TypeAlias

Point: TypeAlias = Sequence[float]


def dominates(a: Point, b: Point) -> bool:
    """Return whether a is nowhere worse than b, and somewhere better."""
    is_better = False
    for x, y in zip(a, b, strict=True):
        if x > y:
            return False
        is_better = is_better or x < y
    return is_better


def front(points: Sequence[Point]) -> list[int]:
    """Return the places of the points that none dominates, in their order; equal ones are all kept.

    In the order of their values a point can only be dominated by one before it.
    """
    order = sorted(range(len(points)), key=lambda place: tuple(points[place]))
    kept: list[int] = []
    if points and len(points[0]) <= 2:
        return sorted(_flat_front(points, order))
    for place in order:
        if not any(dominates(points[other], points[place]) for other in kept):
            kept.append(place)
    return sorted(kept)


def _flat_front(points: Sequence[Point], order: Sequence[int]) -> list[int]:
    """Return the front of points with one or two values: the last value falls along it."""
    kept: list[int] = []
    for place in order:
        if not kept or not dominates(points[kept[-1]], points[place]):
            kept.append(place)
    return kept


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Return the volume that the points dominate, up to a reference point.

    Two values: a sweep. More: the exclusive volume of one point after the other, each within the
    limits that it sets the rest (While, Bradstreet and Barone 2012, WFG).
    """
    inside = [tuple(p) for p in points if all(x < r for x, r in zip(p, reference, strict=True))]
    kept = sorted({inside[place] for place in front(inside)}, reverse=True)
    if not kept:
        return 0.0
    if len(reference) == 1:
        return reference[0] - kept[-1][0]
    if len(reference) == 2:
        return _area(kept[::-1], reference)
    total = 0.0
    for place, point in enumerate(kept):  # the worst in the first value first: its rest is small
        limited = [tuple(map(max, point, other)) for other in kept[place + 1 :]]
        total += _box(point, reference) - hypervolume(limited, reference)
    return total


def growing_hypervolume(points: Sequence[Point], reference: Point) -> list[float]:
    """Return the hypervolume of the first point, of the first two, and so on."""
    found: list[float] = []
    best: list[Point] = []
    for point in points:
        is_new = all(x < r for x, r in zip(point, reference, strict=True)) and not any(
            dominates(other, point) or tuple(other) == tuple(point) for other in best
        )
        if is_new:
            best = [other for other in best if not dominates(point, other)] + [point]
        found.append(hypervolume(best, reference) if is_new or not found else found[-1])
    return found


def layers(points: Sequence[Point]) -> list[int]:
    """Return each point's rank: 0 on the front, 1 on the front of the others, and so on.

    In the order of their values each point goes into the first layer where none dominates it.
    """
    order = sorted(range(len(points)), key=lambda place: tuple(points[place]))
    ranks = [0] * len(points)
    found: list[list[int]] = []
    for place in order:
        point = points[place]
        # If no point of a layer dominates it, none of a later layer does.
        rank = bisect_left(
            found, True, key=lambda layer: not any(dominates(points[o], point) for o in layer)
        )
        if rank == len(found):
            found.append([])
        found[rank].append(place)
        ranks[place] = rank
    return ranks


def _area(kept: Sequence[Point], reference: Point) -> float:
    """Return the area that a front of two values dominates; its first values rise."""
    total, ceiling = 0.0, reference[1]
    for x, y in kept:
        total += (reference[0] - x) * (ceiling - y)
        ceiling = y
    return total


def _box(point: Point, reference: Point) -> float:
    volume = 1.0
    for x, r in zip(point, reference, strict=True):
        volume *= r - x
    return volume
