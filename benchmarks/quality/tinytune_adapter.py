"""tinytune's searches behind the quality harness's protocol: ask() -> config, tell(config, value).

The harness hands its own objects to `Adapter` by way of its registry; see README.md here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import adapters  # the harness's

from tinytune import search
from tinytune.distributions import Choice, Distribution, Float, Int
from tinytune.history import Finished, Pending
from tinytune.space import Params, Space

SEARCHES = {f"tinytune-{name}": name for name in search.names()}
"""The name in the harness -> the search as the command line names it."""
SEARCHES["tinytune-latin"] = "latin(points={budget})"
SEARCHES["tinytune-auto"] = "auto(trials={budget}, workers={workers})"
SEARCHES["tinytune-cma-es-bipop"] = "cma-es(restarts=bipop)"
SEARCHES["tinytune-de-rand"] = "de(strategy=rand)"


def distribution(parameter: Mapping[str, Any]) -> Distribution:
    """Return what the harness's description of a parameter says it may be."""
    when = parameter.get("when")
    if parameter["type"] == "cat":
        return Choice(*parameter["choices"], when=when)
    kind = Int if parameter["type"] == "int" else Float
    return kind(parameter["low"], parameter["high"], log=parameter["log"], when=when)


def space_of(parameters: Sequence[Mapping[str, Any]]) -> Space:
    """Return tinytune's space of the harness's parameters."""
    return Space.of({parameter["name"]: distribution(parameter) for parameter in parameters})


def grid(space: Space, trials: int) -> dict[str, int]:
    """Return how many points of each range make the smallest grid of at least so many trials."""
    ranges = [p.name for p in space.parameters if not isinstance(p.distribution, Choice)]
    points = dict.fromkeys(ranges, 2)
    for turn in range(len(ranges) * trials):
        size = search.make("grid", {"points": points}).start(space, 0, None).size
        if size is None or size >= trials:
            break
        name = ranges[turn % len(ranges)]
        distribution = space.by_name[name].distribution
        points[name] = min(points[name] + 1, distribution.size or trials)
    return points


class Adapter(adapters.Base):
    """One running search; without defaults, since the harness has none."""

    def __init__(self, space: Any, seed: int, budget: int, workers: int, text: str) -> None:
        self.text = text
        super().__init__(space, seed, budget, workers)

    def init(self) -> None:
        """Start the search."""
        name, options = search.parse(self.text.format(budget=self.budget, workers=self.workers))
        space = space_of(self.space)
        if name == "grid":
            options["points"] = grid(space, self.budget + self.workers)
        self.search = search.make(name, options).start(space, self.seed, None)
        self.asked = 0
        self.pending: dict[int, Params] = {}

    def ask(self) -> dict[str, Any]:
        """Return the next configuration."""
        pending = [Pending(number, params) for number, params in self.pending.items()]
        params = self.search.suggest(self.asked, pending)
        if params is None:
            raise RuntimeError("the search has no more to suggest")
        self.pending[self.asked] = params
        self.asked += 1
        return self.out(dict(params), self.asked - 1)

    def tell(self, config: dict[str, Any], value: float) -> None:
        """Tell the search a value, which it minimises."""
        number = self.tok(config)
        self.search.tell(Finished(number, "complete", self.pending.pop(number), float(value)))


for harness_name, text in SEARCHES.items():
    adapters.reg(harness_name, text=text)(Adapter)
