"""ASHA: at steps 1, 3, 9, … only the best third of the trials seen there goes on.

Asynchronous successive halving (Li et al. 2020), the variant that stops: at a rung a trial is
stopped iff its rank among the m values seen there is above max(1, floor(m / eta)). It never waits.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from tinytune.bounds import is_count, shown
from tinytune.errors import UsageError
from tinytune.stopping.curve import Curve, Facts


@dataclass(frozen=True)
class Asha:
    """Options of asynchronous successive halving.

    Rungs are after `min_steps`, min_steps * `eta`, min_steps * eta^2, … reports, up to below
    `max_steps` if that is given. At each the best of every `eta` trials go on.

    Suits many trials whose early order tells something, with any number of workers: most of them
    end at the first rung. Weak where good trials begin badly: raise min_steps.
    """

    min_steps: int = 1
    eta: int = 3
    max_steps: int | None = None
    metric: str | None = None
    direction: str | None = None

    name: ClassVar[str] = "asha"
    version: ClassVar[int] = 1
    looks: ClassVar[bool] = False
    climbs: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rungs(self.name, self.min_steps, self.eta, self.max_steps)

    def start(self, seed: int) -> Halving:  # noqa: ARG002
        """Return the rule at work."""
        return Halving(self.eta, lambda _: self.min_steps, self.max_steps)

    @staticmethod
    def sentence(facts: Mapping[str, str]) -> str:
        """Return why a trial was stopped."""
        return (
            f"rank {facts['rank']} of {facts['trials']} trials after {facts['reports']} reports, "
            f"of which the best {facts['kept']} go on"
        )


def check_rungs(name: str, min_steps: object, eta: object, max_steps: object) -> None:
    """Raise UsageError where one of these options makes no sense."""
    for option, value, least in (("min_steps", min_steps, 1), ("eta", eta, 2)):
        if not is_count(value, least, 10**9):
            raise UsageError(f"{name}: {option} {shown(value)} must be a whole number from {least}")
    if max_steps is not None and not (
        is_count(max_steps, 1, 10**9) and max_steps >= min_steps  # type: ignore[operator]
    ):
        raise UsageError(
            f"{name}: max_steps {shown(max_steps)} must be a whole number from min_steps"
        )


class Halving:
    """Rungs at work: the values that were seen at each."""

    def __init__(
        self,
        eta: int,
        first: Callable[[int], int],
        most: int | None,
        group: Callable[[int], int] = lambda _: 0,
    ) -> None:
        """Take the first rung and the group of a trial as functions of its number."""
        self._eta, self._first, self._most, self._group = eta, first, most, group
        self._at: dict[tuple[int, int], list[float]] = {}  # (group, reports) -> values, rising
        self._of: dict[tuple[int, int], float] = {}  # (trial, reports) -> its value there

    def tell(self, curve: Curve) -> None:
        """Do nothing: what counts is what was seen at the rungs."""

    def rung(self, curve: Curve) -> bool:
        """Return whether a rung was reached by the last report."""
        if curve.latest != len(curve) - 1 or (self._most and len(curve) >= self._most):
            return False
        place = self._first(curve.number)
        while place < len(curve):
            place *= self._eta
        return place == len(curve)

    def note(self, number: int, place: int, value: float) -> None:
        """Take in a trial's value at a rung; an attempt that was made again counts anew."""
        rung = (self._group(number), place)
        values = self._at.setdefault(rung, [])
        before = self._of.get((number, place))
        if before is not None:
            del values[bisect_left(values, before)]
        self._of[number, place] = value
        insort(values, value)

    def decide(self, curve: Curve) -> Facts | None:
        """Return the trial's rank at the rung it has reached, None where it is good enough."""
        if not self.rung(curve):
            return None
        value, place = curve.values[-1], len(curve)
        values = self._at.get((self._group(curve.number), place), [])
        kept = max(1, len(values) // self._eta)
        rank = 1 + bisect_left(values, value)  # ties are not worse
        if rank <= kept:
            return None
        return {"rank": rank, "trials": len(values), "reports": place, "kept": kept}
