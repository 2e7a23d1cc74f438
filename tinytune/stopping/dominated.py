"""Domination: stops a trial that many others beat in every objective at once.

A trial dominates another if it is nowhere worse and somewhere better. The more trials dominate
one, the further it is from the Pareto front (the rank of Fonseca and Fleming 1993). What is
compared at a step are the values there, or the last ones before it, and not the best so far of each
objective: a trial ends with one set of values, and the error of its last step with the seconds of
its first is none that it had. An unlucky report is outweighed by asking for many that dominate it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tinytune.bounds import is_finite, shown
from tinytune.errors import UsageError
from tinytune.stopping.curve import Curve, Facts
from tinytune.stopping.median import check_grace, first_looked_at

Curves: TypeAlias = Mapping[str, Curve | None]

_ROOM = 64  # trials in a table at first


@dataclass(frozen=True)
class Dominated:
    """Options of the rule of domination.

    A trial is stopped if at least `share` of the complete trials dominate it at its step: are
    nowhere worse and somewhere better, in all objectives that were reported at steps. Not before
    `min_trials` others have come there; `grace` and `interval` are as for `median`. Trials that
    miss the study's requirements do not count.

    Suits several objectives. Report all of them as you go on, also what a trial costs so far: what
    is known only in the end is left out, and with one left nothing is stopped. A larger share is
    more cautious; the more objectives, the fewer trials dominate each other.
    """

    share: float = 0.2
    grace: int | str = "auto"
    min_trials: int = 10
    interval: int = 1

    name: ClassVar[str] = "dominated"
    version: ClassVar[int] = 1
    looks: ClassVar[bool] = True
    climbs: ClassVar[bool] = False
    joint: ClassVar[bool] = True
    metric: ClassVar[None] = None
    direction: ClassVar[None] = None

    def __post_init__(self) -> None:
        check_grace(self.name, self.grace, self.min_trials, self.interval)
        if not is_finite(self.share) or not 0 < self.share < 1:
            raise UsageError(
                f"dominated: share {shown(self.share)} must be above 0 and below 1, as 0.2"
            )

    def start(self, seed: int) -> Dominating:  # noqa: ARG002
        """Return the rule at work."""
        return Dominating(self)

    @staticmethod
    def sentence(facts: Mapping[str, str]) -> str:
        """Return why a trial was stopped."""
        names = dict.fromkeys(
            name for what, _, name in (fact.partition(" ") for fact in facts) if name
        )
        own, its = (
            ", ".join(f"{name} {facts[f'{whose} {name}']}" for name in names)
            for whose in ("own", "its")
        )
        left_out = int(facts["objectives"]) - int(facts["compared"])
        rest = f"; {left_out} of {facts['objectives']} objectives not reported, left out"
        return (
            f"{facts['dominating']} of {facts['trials']} finished trials dominate its {own}, "
            f"as trial {facts['trial']} with {its}{rest if left_out else ''}"
        )


class Dominating:
    """The rule at work: where the complete trials were at each step that was asked for."""

    def __init__(self, options: Dominated) -> None:
        self._options = options
        self._told: list[Curves] = []
        self._longest = 0
        self._reported: set[str] = set()
        self._at: dict[tuple[int, tuple[str, ...]], Table] = {}
        """(step, objectives that are compared) -> the trials there."""

    def tell(self, curves: Curves) -> None:
        """Take in a complete trial's curves."""
        known = _known(curves)
        if not known:
            return
        self._told.append(curves)
        self._longest = max(self._longest, *map(len, known.values()))
        self._reported |= known.keys()
        for (step, names), table in self._at.items():
            _enter(table, curves, names, step)

    def rung(self, curve: Curve) -> bool:  # noqa: ARG002
        """Return False: it looks at every report."""
        return False

    def decide(self, curves: Curves, step: int) -> Facts | None:
        """Return by how many the trial is dominated, None where they are too few."""
        known = _known(curves)
        names = tuple(name for name in curves if name in known or name in self._reported)
        here = _point(curves, names, step)
        if here is None or len(names) < min(2, len(curves)):
            return None
        options = self._options
        reports = max(map(len, known.values()))
        after = reports - first_looked_at(options.grace, self._longest)
        if after < 0 or after % options.interval:
            return None
        table = self._table(step, names)
        found = table.dominating(here)
        if len(table) < options.min_trials or len(found) < options.share * len(table):
            return None
        number, there = table.best(found)
        return {
            **{f"own {name}": value for name, value in zip(names, here, strict=True)},
            **{f"its {name}": value for name, value in zip(names, there, strict=True)},
            "trial": number,
            "dominating": len(found),
            "trials": len(table),
            "compared": len(names),
            "objectives": len(curves),
        }

    def _table(self, step: int, names: tuple[str, ...]) -> Table:
        place = step, names
        if place not in self._at:
            table = self._at[place] = Table(len(names))
            for curves in self._told:
                _enter(table, curves, names, step)
        return self._at[place]


class Table:
    """Points of trials, small values good: who dominates a point is found in microseconds."""

    def __init__(self, size: int) -> None:
        """Make room for points of `size` values."""
        self._numbers: list[int] = []  # of the trials
        self._points = np.empty((size, _ROOM))

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int, point: list[float]) -> None:
        """Take in a trial's point."""
        count = len(self)
        if count == self._points.shape[1]:
            self._points = np.concatenate([self._points, np.empty_like(self._points)], axis=1)
        self._points[:, count] = point
        self._numbers.append(number)

    def dominating(self, point: list[float]) -> NDArray[np.int64]:
        """Return the places of the points that dominate one."""
        here, there = np.array(point)[:, None], self._points[:, : len(self)]
        found = np.all(there <= here, axis=0) & np.any(there < here, axis=0)
        return np.flatnonzero(found)

    def best(self, places: NDArray[np.int64]) -> tuple[int, list[float]]:
        """Return trial and point of the one with the best first value; of equal ones, the first."""
        place = int(places[np.argmin(self._points[0, places])])
        return self._numbers[place], self._points[:, place].tolist()


def _known(curves: Curves) -> dict[str, Curve]:
    return {name: curve for name, curve in curves.items() if curve is not None}


def _enter(table: Table, curves: Curves, names: Iterable[str], step: int) -> None:
    """Take a trial into a table, where it has a value of each objective by then."""
    point = _point(curves, names, step)
    if point is not None:
        number = next(curve.number for curve in curves.values() if curve is not None)
        table.add(number, point)


def _point(curves: Curves, names: Iterable[str], step: int) -> list[float] | None:
    """Return the values at a step, or the last ones before it; None where one is not known."""
    point = []
    for name in names:
        curve = curves.get(name)
        value = None if curve is None else curve.at(step)
        if value is None:
            return None
        point.append(value)
    return point
