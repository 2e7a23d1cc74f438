"""A study with asynchronous workers, simulated: no file, no processes, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias

from tinytune import draw
from tinytune.history import Finished, Pending, State
from tinytune.search import SearchOptions
from tinytune.space import Params, Space

Loss: TypeAlias = Callable[[Params], float | None]


@dataclass(frozen=True)
class Simulated:
    """A trial of a simulated study, and what its search knew when it was asked."""

    result: Finished
    seen: int  # the results that had been told
    pending: tuple[Pending, ...]
    started: float  # simulated seconds
    ended: float  # simulated seconds


def simulate(
    options: SearchOptions,
    space: Space,
    objective: Loss,
    trials: int,
    workers: int = 1,
    seed: int = 0,
    *,
    first: Params | None = None,
    fail_share: float = 0.0,
    stop_share: float = 0.0,
) -> tuple[Simulated, ...]:
    """Return the trials of a study with asynchronous workers, in the order in which they ended.

    The search minimises what `objective` returns; None is a failure. Trials take from 0.1 seconds
    to very long. That, and which further shares of them fail or are stopped, depends on the seed
    and the trial's number alone. Fewer trials come back if the search has no more to suggest.
    """
    working = options.start(space, seed, first)
    running: list[tuple[float, int, Simulated]] = []
    ended: list[Simulated] = []
    now, number = 0.0, 0
    while True:
        while len(running) < workers and number < trials:
            pending = pending_of(trial.result for _, _, trial in running)
            params = working.suggest(number, pending)
            if params is None:
                trials = number
                break
            result = _result(number, params, objective, seed, fail_share, stop_share)
            u = draw.uniform(seed, number, "simulated duration")
            end = now + 0.1 + u / (1.0 - u)  # half of them take less than 1.1 seconds
            trial = Simulated(result, len(ended), pending, now, end)
            heappush(running, (end, number, trial))
            number += 1
        if not running:
            return tuple(ended)
        now, _, trial = heappop(running)
        working.tell(trial.result)
        ended.append(trial)


def pending_of(results: Iterable[Finished]) -> tuple[Pending, ...]:
    """Return trials as a search sees them that are not told yet: by number."""
    ordered = sorted(results, key=lambda result: result.number)
    return tuple(Pending(result.number, dict(result.params)) for result in ordered)


def _result(
    number: int, params: Params, objective: Loss, seed: int, fail_share: float, stop_share: float
) -> Finished:
    value = objective(dict(params))
    chance = draw.uniform(seed, number, "simulated ending")
    state: State = "stopped" if chance < fail_share + stop_share else "complete"
    if value is None or chance < fail_share:
        state, value = "failed", None
    return Finished(number, state, dict(params), value)


def bowl(space: Space) -> Callable[[Params], float]:
    """Return a smooth function to minimise: how far the parameters are from 0.3 of their ranges."""

    def loss(params: Params) -> float:
        total = 0.0
        for u in space.to_units(params).values():
            total += (u - 0.3) * (u - 0.3)
        return total

    return loss
