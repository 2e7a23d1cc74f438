"""Patience: stops a trial that has not become better for some time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tinytune.bounds import is_count, is_finite, shown
from tinytune.errors import UsageError
from tinytune.stopping.curve import Curve, Facts


@dataclass(frozen=True)
class Patience:
    """Options of patience.

    A trial is stopped if the last `patience` reports were not better by more than `min_delta` than
    the best one before them; not before its `grace`-th report.

    Suits training that overfits or stalls. Weak on noisy curves and on those with plateaus; it
    compares with no other trial, so that bad trials that still improve go on.
    """

    patience: int = 10
    min_delta: float = 0.0
    grace: int = 0
    metric: str | None = None
    direction: str | None = None

    name: ClassVar[str] = "patience"
    version: ClassVar[int] = 1
    looks: ClassVar[bool] = False
    climbs: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for option, least in (("patience", 1), ("grace", 0)):
            value = getattr(self, option)
            if not is_count(value, least, 10**9):
                raise UsageError(
                    f"patience: {option} {shown(value)} must be a whole number from {least}"
                )
        if not is_finite(self.min_delta) or self.min_delta < 0:
            raise UsageError(f"patience: min_delta {shown(self.min_delta)} must be a number from 0")

    def start(self, seed: int) -> Waiting:  # noqa: ARG002
        """Return the rule at work."""
        return Waiting(self)

    @staticmethod
    def sentence(facts: Mapping[str, str]) -> str:
        """Return why a trial was stopped."""
        return f"no better than {facts['best']} in {facts['reports']} reports"


class Waiting:
    """The rule at work; it remembers nothing."""

    def __init__(self, options: Patience) -> None:
        self._options = options

    def tell(self, curve: Curve) -> None:
        """Do nothing."""

    def rung(self, curve: Curve) -> bool:  # noqa: ARG002
        """Return False: it looks at every report."""
        return False

    def note(self, number: int, place: int, value: float) -> None:
        """Do nothing."""

    def decide(self, curve: Curve) -> Facts | None:
        """Return the best value before the last reports, None where one of them is better."""
        patience = self._options.patience
        before = len(curve) - patience
        if before < 1 or len(curve) < self._options.grace:
            return None
        best = min(curve.values[:before])
        latest = min(curve.values[before:])
        if latest < best - self._options.min_delta or (math.isinf(best) and latest < best):
            return None
        return {"best": best, "reports": patience}
