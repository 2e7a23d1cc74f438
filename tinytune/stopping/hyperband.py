"""Hyperband: several brackets of successive halving, from bold to cautious.

Hyperband (Li et al. 2018, JMLR): the rungs are after R / eta^k steps, rounded down, and bracket s
compares from R / eta^s on. A trial's bracket is drawn by its number alone, with the odds of the
table there; within a bracket `asha` decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from tinytune import draw
from tinytune.bounds import shown
from tinytune.errors import UsageError
from tinytune.stopping.halving import Halving, Ladder, check_pause, check_rungs, ranked


@dataclass(frozen=True)
class Hyperband:
    """Options of Hyperband.

    `max_steps` is R, the reports of a whole trial; `eta` the factor between rungs; no bracket
    begins below `min_steps`. `pause` is that of `asha`.

    Suits objectives of which it is not known how early they tell something: the cautious brackets
    save less and are seldom wrong. With `--search random` it is Hyperband, with `tpe` BOHB's idea:
    a search compares trials at the highest rung that enough of them have reached. Weak with fewer
    trials than some ten for each bracket.
    """

    max_steps: int = 81
    eta: int = 3
    min_steps: int = 1
    pause: bool = False
    metric: str | None = None
    direction: str | None = None

    name: ClassVar[str] = "hyperband"
    version: ClassVar[int] = 1
    looks: ClassVar[bool] = False
    climbs: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rungs(self.name, self.min_steps, self.eta, self.max_steps)
        check_pause(self.name, self.pause)
        if self.max_steps < self.min_steps * self.eta:
            raise UsageError(
                f"hyperband: max_steps {shown(self.max_steps)} makes one bracket only: give at "
                f"least {self.min_steps * self.eta}, or use asha"
            )

    def start(self, seed: int) -> Halving:
        """Return the rule at work."""
        sizes = [bracket[0][0] for bracket in table(self.max_steps, self.eta, self.min_steps)]
        total = sum(sizes)

        @lru_cache(maxsize=100_000)
        def bracket(number: int) -> int:
            place = draw.uniform(seed, number, "hyperband bracket") * total
            s = len(sizes) - 1
            for size in sizes:
                place -= size
                if place < 0:
                    return s
                s -= 1
            return 0

        def first(number: int) -> int:
            return self.max_steps // int(self.eta ** bracket(number))

        places = frozenset(self.max_steps // self.eta**s for s in range(1, len(sizes)))
        kind = Ladder if self.pause else Halving
        return kind(self.eta, first, self.max_steps, bracket, places)

    @staticmethod
    def sentence(facts: Mapping[str, str]) -> str:
        """Return why a trial was stopped, paused or resumed."""
        return f"{ranked(facts)} in its bracket"


def table(R: int, eta: int, least: int = 1) -> list[list[tuple[int, int]]]:  # noqa: N803 - the paper's
    """Return each bracket's rungs (n_i, r_i), the boldest bracket first: table 1 of the paper.

    In whole numbers: logarithms of floats lose a bracket at R = 243.
    """
    s_max = 0
    while least * eta ** (s_max + 1) <= R:
        s_max += 1
    brackets = []
    for s in range(s_max, -1, -1):
        n = -(-(s_max + 1) * eta**s // (s + 1))  # ceil((s_max + 1) / (s + 1) * eta^s)
        brackets.append([(n // eta**i, R // eta ** (s - i)) for i in range(s + 1)])
    return brackets
