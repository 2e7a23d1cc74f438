"""Random search: every trial drawn from the parameters' distributions, independently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tinytune import draw
from tinytune.errors import UsageError
from tinytune.history import Finished, Pending
from tinytune.points import Points, Values
from tinytune.search.walk import Walk
from tinytune.space import Params, Space


@dataclass(frozen=True)
class Random:
    """Options of random search.

    `without_replacement`: in a finite space, never repeat a configuration. All configurations are
    then equally likely: distributions and weights have no part in it.
    """

    without_replacement: bool = False

    name: ClassVar[str] = "random"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = False
    exhausts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.without_replacement, bool):
            raise UsageError("random: without_replacement must be true or false")

    def start(self, space: Space, seed: int, first: Params | None) -> Independent | Walk:
        """Return the search at work; `first` is trial 0."""
        if self.without_replacement:
            return _without_replacement(space, seed, first)
        return Independent(space, seed, first)


class Independent:
    """Trial n depends on (space, seed, n) alone."""

    size = None
    is_quick = True

    def __init__(self, space: Space, seed: int, first: Params | None) -> None:
        self._space, self._seed, self._first = space, seed, first

    def tell(self, result: Finished) -> None:
        """Nothing is learnt."""

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:  # noqa: ARG002
        """Return the configuration of trial `number`."""
        if number == 0 and self._first is not None:
            return dict(self._first)
        return self._space.sample(self._seed, number, "random")


def _without_replacement(space: Space, seed: int, first: Params | None) -> Walk:
    """Walk through all points in an order shuffled by the seed, `first` before the others."""
    values = {}
    for parameter in space.parameters:
        if parameter.distribution.size is None:
            raise UsageError(
                f"random without replacement needs a finite space, but parameter "
                f"{parameter.name!r} is continuous: give it a step, or leave out the option"
            )
        values[parameter.name] = Values(parameter.distribution)
    points = Points(space, values)
    at_start = draw.permuted(0, points.size, seed, "shuffle")
    wanted = None if first is None else points.index(first)

    def index(position: int) -> int:
        if position == 0 and wanted is not None:
            return wanted
        shuffled = draw.permuted(position, points.size, seed, "shuffle")
        return at_start if shuffled == wanted else shuffled  # those two change places

    return Walk(points, index)
