"""Racing: stops cross-validation, or repeats, once they cannot become the best any more.

Each report is one fold's value, and the trial's value is their mean. The bound is lossless: a trial
is stopped only if even the best value seen in any fold, for all the folds that are left, would not
make its mean better than the best complete one's.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tinytune.bounds import is_count, is_finite, shown
from tinytune.errors import UsageError
from tinytune.stopping.curve import Curve, Facts

RULES = ("bound", "forgiving", "wilcoxon")


@dataclass(frozen=True)
class Racing:
    """Options of racing.

    `folds` is how many values a whole trial has. With `rule` "bound" no trial is stopped that could
    still win, if no fold is better than the best seen; "forgiving" stops a trial whose mean is
    worse than the worst fold of the best one (Bergman et al. 2024); "wilcoxon" one that is worse in
    a signed-rank test, fold by fold, at the level `alpha`, and worse in the mean.

    Suits folds and repeats of one configuration, reported as steps 0, 1, 2, … The bound saves
    little with 5 folds and is never wrong; forgiving saves most.
    """

    folds: int = 5
    rule: str = "bound"
    alpha: float = 0.1
    metric: str | None = None
    direction: str | None = None

    name: ClassVar[str] = "racing"
    version: ClassVar[int] = 1
    looks: ClassVar[bool] = True
    climbs: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not is_count(self.folds, 2, 10_000):
            raise UsageError(f"racing: folds {shown(self.folds)} must be a whole number from 2")
        if self.rule not in RULES:
            raise UsageError(f"racing: rule {shown(self.rule)} must be {', '.join(RULES)}")
        if not is_finite(self.alpha) or not 0 < self.alpha < 1:
            raise UsageError(f"racing: alpha {shown(self.alpha)} must be above 0 and below 1")

    def start(self, seed: int) -> Race:  # noqa: ARG002
        """Return the rule at work."""
        return Race(self)

    @staticmethod
    def sentence(facts: Mapping[str, str]) -> str:
        """Return why a trial was stopped."""
        after = f"mean {facts['mean']} after {facts['folds']} folds"
        if "p" in facts:
            return f"{after}, trial {facts['leader']}'s {facts['best']}: p = {facts['p']}"
        if "worst" in facts:
            return f"{after}, worse than the worst fold {facts['worst']} of trial {facts['leader']}"
        return (
            f"{after}, at best {facts['possible']} in the end, and trial {facts['leader']} has "
            f"{facts['best']}"
        )


class Race:
    """Racing at work: the complete trial with the best mean."""

    def __init__(self, options: Racing) -> None:
        self._options = options
        self._leader: Curve | None = None
        self._best = math.inf  # the leader's mean
        self._least = math.inf  # the best value of any fold that was complete

    def tell(self, curve: Curve) -> None:
        """Take in a complete trial's folds."""
        mean = curve.mean(curve.steps[-1]) if len(curve) >= self._options.folds else None
        if mean is None:
            return
        self._least = min(self._least, curve.best)
        if mean < self._best:
            self._leader, self._best = curve, mean

    def rung(self, curve: Curve) -> bool:  # noqa: ARG002
        """Return False: it looks at every report."""
        return False

    def note(self, number: int, place: int, value: float) -> None:
        """Do nothing."""

    def decide(self, curve: Curve) -> Facts | None:
        """Return what the trial's mean was compared with, None where it may go on."""
        done = len(curve)
        mean = curve.mean(curve.steps[-1])
        if self._leader is None or mean is None or done >= self._options.folds:
            return None
        facts: Facts = {"mean": mean, "folds": done, "leader": self._leader.number}
        if self._options.rule == "forgiving":
            worst = max(self._leader.values)
            return {**facts, "worst": worst} if mean > worst else None
        if self._options.rule == "wilcoxon":
            return self._by_ranks(curve, facts, mean)
        left = self._options.folds - done
        possible = (mean * done + left * min(self._least, curve.best)) / self._options.folds
        if not possible > self._best:
            return None
        return {**facts, "possible": possible, "best": self._best}

    def _by_ranks(self, curve: Curve, facts: Facts, mean: float) -> Facts | None:
        leader = dict(zip(self._leader.steps, self._leader.values, strict=True))  # type: ignore[union-attr]
        gaps = [
            value - leader[step]
            for step, value in zip(curve.steps, curve.values, strict=True)
            if step in leader
        ]
        same = [leader[step] for step in curve.steps if step in leader]
        if not gaps or not all(map(math.isfinite, gaps)) or mean <= sum(same) / len(same):
            return None
        p = signed_rank(gaps)
        return {**facts, "best": self._best, "p": p} if p < self._options.alpha else None


def signed_rank(gaps: list[float]) -> float:
    """Return Wilcoxon's one-sided p, exact: that gaps are so far above 0 by chance.

    Zeros are left out; ties share their ranks. Half ranks are counted as whole ones.
    """
    sizes: list[float] = []
    for gap in gaps:
        if gap:
            insort(sizes, abs(gap))
    if not sizes:
        return 1.0
    # twice each rank, so that the mean of tied ones is a whole number
    ranks = {size: sizes.index(size) * 2 + sizes.count(size) + 1 for size in sizes}
    every = [ranks[size] for size in sizes]
    seen = sum(ranks[abs(gap)] for gap in gaps if gap > 0)
    ways = [1] + [0] * sum(every)  # sum of ranks -> in how many ways
    for rank in every:
        for total in range(len(ways) - 1, rank - 1, -1):
            ways[total] += ways[total - rank]
    return float(sum(ways[seen:]) / (1 << len(every)))
