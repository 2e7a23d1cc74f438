"""The median rule: stops a trial whose best is worse than the others' usual running mean.

Vizier's automated early stopping (Golovin et al. 2017, section 3.2.2): a trial is stopped at step s
if its best value up to s is strictly worse than the median of the running means, up to s, of the
trials that are complete.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tinytune.bounds import is_count, shown
from tinytune.errors import UsageError
from tinytune.stopping.curve import Curve, Facts

_SHARE = 20  # of the longest curve's steps, 1 in so many is the least grace
_LEAST_GRACE = 2


@dataclass(frozen=True)
class Median:
    """Options of the median rule.

    No trial is stopped before its `grace`-th report ("auto": the second, or a twentieth of the
    longest complete curve), and before `min_trials` others are complete; from then on every
    `interval`-th report is looked at.

    Suits any objective that reports as it goes on, and any search: it needs no settings. Weak where
    good trials begin badly: raise the grace, or use a higher percentile.
    """

    grace: int | str = "auto"
    min_trials: int = 5
    interval: int = 1
    metric: str | None = None
    direction: str | None = None

    name: ClassVar[str] = "median"
    version: ClassVar[int] = 1
    looks: ClassVar[bool] = True
    climbs: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_grace(self.name, self.grace, self.min_trials, self.interval)

    def start(self, seed: int) -> RunningMeans:  # noqa: ARG002
        """Return the rule at work."""
        return RunningMeans(0.5, self.grace, self.min_trials, self.interval)

    @staticmethod
    def sentence(facts: Mapping[str, str]) -> str:
        """Return why a trial was stopped."""
        return (
            f"best so far {facts['best']}, median of {facts['trials']} finished trials' "
            f"running means {facts['limit']}"
        )


def check_grace(name: str, grace: object, min_trials: object, interval: object) -> None:
    """Raise UsageError where one of these options makes no sense."""
    if grace != "auto" and not is_count(grace, 0, 10**9):
        raise UsageError(f'{name}: grace {shown(grace)} must be a whole number from 0, or "auto"')
    for option, value in (("min_trials", min_trials), ("interval", interval)):
        if not is_count(value, 1, 10**9):
            raise UsageError(f"{name}: {option} {shown(value)} must be a whole number from 1")


def first_looked_at(grace: int | str, longest: int) -> int:
    """Return which report is the first to be judged, where the longest curve has so many."""
    return max(grace if isinstance(grace, int) else max(_LEAST_GRACE, longest // _SHARE), 1)


class RunningMeans:
    """The rule at work: the complete trials' running means up to each step that was asked for."""

    def __init__(self, share: float, grace: int | str, min_trials: int, interval: int) -> None:
        self._share, self._grace = share, grace
        self._min_trials, self._interval = min_trials, interval
        self._curves: list[Curve] = []
        self._longest = 0
        self._means: dict[int, list[float]] = {}  # step -> the means there, rising

    def tell(self, curve: Curve) -> None:
        """Take in a complete trial's curve."""
        if not len(curve):
            return
        self._curves.append(curve)
        self._longest = max(self._longest, len(curve))
        for step, means in self._means.items():
            mean = curve.mean(step)
            if mean is not None:
                insort(means, mean)

    def rung(self, curve: Curve) -> bool:  # noqa: ARG002
        """Return False: it looks at every report."""
        return False

    def note(self, number: int, place: int, value: float) -> None:
        """Do nothing."""

    def decide(self, curve: Curve) -> Facts | None:
        """Return the best value and the limit that it is above, None where it is not."""
        after = len(curve) - first_looked_at(self._grace, self._longest)
        if after < 0 or after % self._interval:
            return None
        means = self._at(curve.steps[curve.latest])
        if len(means) < self._min_trials:
            return None
        limit = quantile(means, self._share)
        best = curve.best
        return {"best": best, "limit": limit, "trials": len(means)} if best > limit else None

    def _at(self, step: int) -> list[float]:
        if step not in self._means:
            found = (curve.mean(step) for curve in self._curves)
            self._means[step] = sorted(mean for mean in found if mean is not None)
        return self._means[step]


def quantile(rising: list[float], share: float) -> float:
    """Return a quantile of rising numbers, between two of them by their distances."""
    place = share * (len(rising) - 1)
    low = int(place)
    part = place - low
    if not part:
        return rising[low]
    if math.isinf(rising[low + 1]):
        return rising[low + 1]
    return rising[low] * (1.0 - part) + rising[low + 1] * part
