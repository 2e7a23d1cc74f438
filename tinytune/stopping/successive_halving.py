"""Successive halving: groups of trials climb the rungs together, and at each the best third go on.

Jamieson and Talwalkar (2016); the rungs are those of a bracket of Hyperband (Li et al. 2018, JMLR,
table 1). A group waits at each rung until all of it are there; workers begin the next group then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from tinytune.bounds import is_count, shown
from tinytune.errors import UsageError
from tinytune.stopping.curve import Curve, Facts
from tinytune.stopping.halving import FINAL, Pausing, check_rungs, facts_of, ranked


@dataclass(frozen=True)
class SuccessiveHalving:
    """Options of successive halving.

    Rungs are after `min_steps`, min_steps * `eta`, … reports, below `max_steps`, those of a whole
    trial. Groups of `trials` ("auto": as many as leave one for the last rung) are formed by
    number; all of a group pause at a rung, and when the last one is there, or has ended, one of
    every `eta` goes on. A group that is not full, at the end of a study, stays at its first rung:
    let --trials be a multiple of `trials`.

    Suits trials that take much longer than a pause does, where the fairest comparison counts, and
    one worker or few. Weak with many workers, who begin new groups while others wait: there `asha`
    spends less.
    """

    max_steps: int = 81
    eta: int = 3
    min_steps: int = 1
    trials: int | str = "auto"
    metric: str | None = None
    direction: str | None = None

    name: ClassVar[str] = "successive-halving"
    version: ClassVar[int] = 1
    looks: ClassVar[bool] = False
    climbs: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rungs(self.name, self.min_steps, self.eta, self.max_steps)
        if self.max_steps <= self.min_steps:
            raise UsageError(
                f"{self.name}: max_steps {shown(self.max_steps)} leaves no rung: give more than "
                f"min_steps, {self.min_steps}"
            )
        if self.trials != "auto" and not is_count(self.trials, 2, 100_000):
            raise UsageError(
                f"{self.name}: trials {shown(self.trials)} must be a whole number from 2 to "
                '100,000, or "auto"'
            )

    def start(self, seed: int) -> Groups:  # noqa: ARG002
        """Return the rule at work."""
        size = self.trials if isinstance(self.trials, int) else self._full()
        return Groups(
            self.eta,
            lambda _: self.min_steps,
            self.max_steps,
            lambda number: number // size,
            size=size,
        )

    def _full(self) -> int:
        """Return eta to the number of rungs."""
        size, place = 1, self.min_steps
        while place < self.max_steps:
            size, place = size * self.eta, place * self.eta
        return size

    @staticmethod
    def sentence(facts: Mapping[str, str]) -> str:
        """Return why a trial was paused or resumed."""
        if facts["kept"] == "0":
            return f"after {facts['reports']} reports all of its group wait for the others"
        return f"{ranked(facts)}, in its group"


@dataclass
class Groups(Pausing):
    """Groups of trials at work: each waits at a rung until all of it are there."""

    size: int = 1  # of a group
    _open: set[int] = field(default_factory=set, init=False)
    """Groups in which one may still go on."""

    def note(self, number: int, place: int, value: float) -> None:
        """Take in a trial's value at a rung."""
        super().note(number, place, value)
        self._open.add(self.group(number))

    def decide(self, curve: Curve) -> Facts | None:
        """Return that the trial pauses, at each rung; None where it was let on from there."""
        place = len(curve)
        if not self.rung(curve) or self.has_climbed(curve.number, place):
            return None
        return facts_of(0, len(self._at[self.group(curve.number), place]), place, 0)

    def promotable(self, state: Callable[[int], str]) -> tuple[int, Facts] | None:
        """Return the paused trial to be resumed: of the earliest group that has one, the best."""
        for group in sorted(self._open):
            found = self._of_group(group, state)
            if found is not None:
                return found
        return None

    def _of_group(self, group: int, state: Callable[[int], str]) -> tuple[int, Facts] | None:
        members = list(range(group * self.size, (group + 1) * self.size))
        place = self.first(members[0])
        while members and (self.most is None or place < self.most):
            for member in members:
                if (member, place) not in self._of and state(member) not in FINAL:
                    return None  # the others wait for it
            there = sorted((self._of[m, place], m) for m in members if (m, place) in self._of)
            kept = len(members) // self.eta
            members = [member for _, member in there[:kept]]
            for rank, member in enumerate(members, 1):
                if not self.has_climbed(member, place) and state(member) == "paused":
                    return member, facts_of(rank, len(there), place, kept)
            place *= self.eta
        self._open.discard(group)
        return None
