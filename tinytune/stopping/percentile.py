"""The percentile rule: the median rule with another share than a half.

A trial is stopped if its best value so far is strictly worse than the given percentile of the
complete trials' running means (see `median`): with 25 only a quarter of usual trials would go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tinytune.bounds import is_finite, shown
from tinytune.errors import UsageError
from tinytune.stopping.median import RunningMeans, check_grace


@dataclass(frozen=True)
class Percentile:
    """Options of the percentile rule.

    `percentile` of the complete trials' running means, counted from the best: 50 is the median
    rule, less is stricter. The others are as for `median`.

    Suits objectives whose order is clear early (25 or less), or late (75). Weak as `median` is.
    """

    percentile: float = 25.0
    grace: int | str = "auto"
    min_trials: int = 5
    interval: int = 1
    metric: str | None = None
    direction: str | None = None

    name: ClassVar[str] = "percentile"
    version: ClassVar[int] = 1
    looks: ClassVar[bool] = True
    climbs: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_grace(self.name, self.grace, self.min_trials, self.interval)
        if not is_finite(self.percentile) or not 0 < self.percentile < 100:
            raise UsageError(
                f"percentile: percentile {shown(self.percentile)} must be above 0 and below 100"
            )

    def start(self, seed: int) -> RunningMeans:  # noqa: ARG002
        """Return the rule at work."""
        share = self.percentile / 100.0
        return RunningMeans(share, self.grace, self.min_trials, self.interval)

    @staticmethod
    def sentence(facts: Mapping[str, str]) -> str:
        """Return why a trial was stopped."""
        return (
            f"best so far {facts['best']}, the percentile of {facts['trials']} finished trials' "
            f"running means {facts['limit']}"
        )
