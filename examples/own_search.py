"""A search of one's own: of some random configurations it takes the one nearest to the best.

It is used by its name, like tinytune's own, and passes `tinytune.testing.CHECKS`:

    tinytune run examples/own_search.py --search "nearest(candidates=16)" --trials 60
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import tinytune
from tinytune import Float, search


@dataclass(frozen=True)
class Nearest:
    """Its options; they are stored in the study."""

    candidates: int = 8

    name: ClassVar[str] = "nearest"
    version: ClassVar[int] = 1  # to be raised when it would suggest something else
    learns: ClassVar[bool] = True
    exhausts: ClassVar[bool] = False

    def start(self, space, seed, first):
        """Return the search at work; `first` is the defaults, or None."""
        return NearestAtWork(self.candidates, space, seed, first)


class NearestAtWork:
    """What it knows of one study: no more than the best result, told again after every crash."""

    size = None
    is_quick = True

    def __init__(self, candidates, space, seed, first):
        self.candidates, self.space, self.seed, self.first = candidates, space, seed, first
        self.best = None

    def tell(self, result):
        """Learn from a trial that has ended."""
        if result.value is None:  # it failed
            return
        if self.best is None or result.value < self.best.value:  # also where one maximises
            self.best = result

    def suggest(self, number, pending):
        """Return the configuration of trial `number`, while others are `pending`."""
        if number == 0 and self.first is not None:
            return dict(self.first)
        drawn = [self.space.sample(self.seed, number, str(i)) for i in range(self.candidates)]
        busy = [trial.params for trial in pending]
        drawn = [params for params in drawn if params not in busy] or drawn
        if self.best is None or number % 4 == 0:
            return drawn[0]
        return min(drawn, key=self.distance)

    def distance(self, params):
        """Return how far a configuration is from the best one, each range counting as 1."""
        here, there = self.space.to_units(params), self.space.to_units(self.best.params)
        return sum(abs(here.get(name, 2) - there.get(name, 2)) for name in here | there)


if "nearest" not in search.names():  # a file can be loaded twice
    search.register(Nearest)


@tinytune.trial(minimize="loss")
def rosenbrock(
    x: Annotated[float, Float(-2.0, 2.0)] = -1.0,
    y: Annotated[float, Float(-1.0, 3.0)] = 1.0,
) -> float:
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2
