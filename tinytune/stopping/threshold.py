"""Thresholds: stops a trial whose metric leaves its bounds, or is no number any more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tinytune.bounds import is_count, is_finite, shown
from tinytune.errors import UsageError
from tinytune.stopping.curve import Curve, Facts


@dataclass(frozen=True)
class Threshold:
    """Options of thresholds.

    A trial is stopped if the metric is above `upper`, below `lower`, or, unless `nan` is false, no
    finite number; not before its `grace`-th report.

    Suits training that diverges: `--stop median+threshold`. It compares with no other trial.
    """

    upper: float | None = None
    lower: float | None = None
    nan: bool = True
    grace: int = 0
    metric: str | None = None
    direction: str | None = None

    name: ClassVar[str] = "threshold"
    version: ClassVar[int] = 1
    looks: ClassVar[bool] = False
    climbs: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for option in ("upper", "lower"):
            value = getattr(self, option)
            if value is not None and not is_finite(value):
                raise UsageError(f"threshold: {option} {shown(value)} must be a number")
        if not isinstance(self.nan, bool):
            raise UsageError("threshold: nan must be true or false")
        if self.upper is not None and self.lower is not None and self.lower >= self.upper:
            raise UsageError(f"threshold: lower {self.lower} must be below upper {self.upper}")
        if not is_count(self.grace, 0, 10**9):
            raise UsageError(f"threshold: grace {shown(self.grace)} must be a whole number from 0")

    def start(self, seed: int) -> Bounds:  # noqa: ARG002
        """Return the rule at work."""
        return Bounds(self)

    @staticmethod
    def sentence(facts: Mapping[str, str]) -> str:
        """Return why a trial was stopped."""
        if "bound" not in facts:
            return "it is no finite number any more"
        return f"it is {facts['value']}, past the bound {facts['bound']}"


class Bounds:
    """The rule at work; it sees values as they were reported, whatever their direction."""

    is_raw = True

    def __init__(self, options: Threshold) -> None:
        self._options = options

    def tell(self, curve: Curve) -> None:
        """Do nothing."""

    def rung(self, curve: Curve) -> bool:  # noqa: ARG002
        """Return False: it looks at every report."""
        return False

    def note(self, number: int, place: int, value: float) -> None:
        """Do nothing."""

    def decide(self, curve: Curve) -> Facts | None:
        """Return the value and the bound that it has passed, None where it is within."""
        options = self._options
        value = curve.values[curve.latest]
        if len(curve) < options.grace:
            return None
        if not math.isfinite(value):
            return {"reports": len(curve)} if options.nan else None
        if options.upper is not None and value > options.upper:
            return {"value": value, "bound": float(options.upper)}
        if options.lower is not None and value < options.lower:
            return {"value": value, "bound": float(options.lower)}
        return None
