"""A stopping rule of one's own: a trial must not be far behind the best complete one.

It is used by its name, like tinytune's own, and passes `tinytune.testing.RULE_CHECKS`:

    tinytune run examples/own_rule.py --stop "behind(slack=0.2)" --trials 40
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import tinytune
from tinytune import Float, stopping


@dataclass(frozen=True)
class Behind:
    """Its options; they are stored in the study."""

    slack: float = 0.1  # by how much a trial may be worse than the best one was then
    metric: str | None = None
    direction: str | None = None

    name: ClassVar[str] = "behind"
    version: ClassVar[int] = 1  # to be raised when it would judge the same curves otherwise
    looks: ClassVar[bool] = True  # it compares with complete trials
    climbs: ClassVar[bool] = False  # it has no rungs

    def start(self, seed):  # noqa: ARG002 - it draws nothing
        """Return the rule at work on one study."""
        return BehindAtWork(self.slack)

    @staticmethod
    def sentence(facts):
        """Return why a trial was stopped, from what was compared, as texts."""
        return f"{facts['value']}, and the best trial had {facts['best']} then"


class BehindAtWork:
    """What it knows: the curve that ended best. Small values are good, also where one maximises."""

    def __init__(self, slack):
        self.slack, self.best = slack, None

    def tell(self, curve):
        """Take in a complete trial's curve."""
        if self.best is None or curve.values[-1] < self.best.values[-1]:
            self.best = curve

    def rung(self, curve):  # noqa: ARG002
        """It has none."""
        return False

    def note(self, number, place, value):
        """So it is told of none."""

    def decide(self, curve):
        """Return what a trial is stopped for after its last report, None where it goes on."""
        place = curve.latest
        if self.best is None or place >= len(self.best):
            return None
        value, best = curve.values[place], self.best.values[place]
        return {"value": value, "best": best} if value > best + self.slack else None


if "behind" not in stopping.names():  # a file can be loaded twice
    stopping.register(Behind)


@tinytune.trial(minimize="loss")
def descent(rate: Annotated[float, Float(0.001, 2.2, log=True)] = 0.01) -> float:
    x = 1.0
    for step in range(30):
        x -= rate * x
        loss = min(x * x, 1e6) if math.isfinite(x) else 1e6
        tinytune.report(step, loss=loss)
    return loss
