"""ASHA: at steps 1, 3, 9, … only the best third of the trials seen there goes on.

Asynchronous successive halving (Li et al. 2020) never waits. The variant that stops: at a rung a
trial is stopped iff its rank among the m values seen there is above max(1, floor(m / eta)). The one
that pauses (algorithm 2 there): it is paused iff its rank is above floor(m / eta), and is resumed
once it is not, before anything new is begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tinytune.errors import UsageError
from tinytune.stopping.halving import Halving, Ladder, check_pause, check_rungs, ranked


@dataclass(frozen=True)
class Asha:
    """Options of asynchronous successive halving.

    Rungs are after `min_steps`, min_steps * `eta`, min_steps * eta^2, … reports, up to below
    `max_steps` if that is given. At each the best of every `eta` trials go on. With `pause` the
    others wait, and go on when enough worse ones have come; then `max_steps`, the reports of a
    whole trial, must be given, and none is complete before there are some eta^rungs trials.

    Suits many trials whose early order tells something, with any number of workers: most of them
    end at the first rung. Weak where good trials begin badly: raise min_steps.
    """

    min_steps: int = 1
    eta: int = 3
    max_steps: int | None = None
    pause: bool = False
    metric: str | None = None
    direction: str | None = None

    name: ClassVar[str] = "asha"
    version: ClassVar[int] = 1
    looks: ClassVar[bool] = False
    climbs: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rungs(self.name, self.min_steps, self.eta, self.max_steps, may_be_endless=True)
        check_pause(self.name, self.pause)
        if self.pause and self.max_steps is None:
            raise UsageError(
                "asha: pause needs max_steps, the reports of a whole trial: else each would pause "
                "again before its end"
            )

    def start(self, seed: int) -> Halving:  # noqa: ARG002
        """Return the rule at work."""
        kind = Ladder if self.pause else Halving
        return kind(self.eta, lambda _: self.min_steps, self.max_steps)

    @staticmethod
    def sentence(facts: Mapping[str, str]) -> str:
        """Return why a trial was stopped, paused or resumed."""
        return ranked(facts)
