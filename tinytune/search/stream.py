"""A search whose trials are the points of one fixed sequence; sobol, halton and latin share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinytune.history import Finished, Pending
from tinytune.search.cube import Vector
from tinytune.space import Params, Space

TRIES = 1000  # points refused in a row after which a trial is drawn at random


class Stream:
    """Trial n is point n of a sequence; with `first` as trial 0, it is point n - 1.

    So `first` costs the sequence no point: the point that a balanced set lacks is missed more
    than the one that comes too late (Owen 2020, "On dropping the first Sobol' point").

    The constraints leave points out: trial n is then the n-th point that is allowed. That keeps
    what is allowed as evenly covered as the whole is, which no rule does that gives a refused
    trial a point of its own from elsewhere. Its price: a process that joins a constrained study
    walks once through the points of the trials before. A trial that meets `TRIES` refused points
    in a row is drawn at random instead. A finite space's configurations may come more than once.
    """

    size = None

    def __init__(
        self,
        space: Space,
        seed: int,
        first: Params | None,
        purpose: str,
        point: Callable[[int], Vector],
        *,
        is_quick: bool = True,
    ) -> None:
        self._space, self._seed, self._first, self._purpose = space, seed, first, purpose
        self._point = point  # index -> (d,), a coordinate for each parameter
        self._names = tuple(parameter.name for parameter in space.parameters)
        self._allowed: list[int | None] = []  # of each rank, the index; None: drawn at random
        self._next = 0  # the index where the walk goes on
        self.is_quick = is_quick and not space.constraints

    def tell(self, result: Finished) -> None:
        """Nothing is learnt."""

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:  # noqa: ARG002
        """Return the configuration of trial `number`."""
        rank = number
        if self._first is not None:
            if number == 0:
                return dict(self._first)
            rank -= 1
        if not self._space.constraints:
            return self._params(rank)
        while len(self._allowed) <= rank:
            self._allowed.append(self._walk())
        index = self._allowed[rank]
        if index is None:
            return self._space.sample(self._seed, rank, self._purpose)
        return self._params(index)

    def _walk(self) -> int | None:
        """Return the index of the next point that is allowed, None after TRIES that are not."""
        for index in range(self._next, self._next + TRIES):
            self._next = index + 1
            if self._space.allows(self._params(index)):
                return index
        return None

    def _params(self, index: int) -> Params:
        units = dict(zip(self._names, self._point(index).tolist(), strict=True))
        return self._space.from_units(units.__getitem__)
