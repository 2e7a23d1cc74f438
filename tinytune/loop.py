"""`for epoch in tinytune.steps(100)`: a loop that ends when its trial is to stop, and is shown."""

from __future__ import annotations

import itertools
import operator
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Generic, TypeVar, overload

from tinytune import context
from tinytune.context import Loop, Trial
from tinytune.errors import ObjectiveError
from tinytune.pace import Pace

SHOW_AFTER_SECONDS = 0.5  # a loop that is over by then is not shown
SHOW_EVERY_SECONDS = 0.2

T = TypeVar("T")


class Steps(Generic[T]):
    """What `steps` returns: it may be iterated as often as what it was given."""

    def __init__(self, items: Iterable[T], skipped: int, first: int) -> None:
        self._items = items
        self._skipped = skipped  # how many items are left out
        self._first = first  # the step of the first item that is not
        self._total = first - skipped + len(items) if isinstance(items, Sized) else None

    def __len__(self) -> int:
        """Return how many steps there are; TypeError where what is iterated has no length."""
        if self._total is None:
            raise TypeError(f"{type(self._items).__name__} has no len()")
        return max(0, self._total - self._first)

    def __iter__(self) -> Iterator[T]:
        trial = context.current()
        if trial.should_stop:
            return
        now = time.monotonic()
        loop = Loop(self._first, self._total, self._first, now, now + SHOW_AFTER_SECONDS)
        trial.loops.append(loop)
        try:
            for item in itertools.islice(self._items, self._skipped, None):
                _show(trial)
                yield item
                loop.done += 1
                if trial.should_stop:  # before the next item is made
                    return
        finally:
            trial.loops.remove(loop)
            if trial.show is not None and not trial.loops:
                trial.show(None)


@overload
def steps(what: int, /, *, start: int = 0) -> Steps[int]: ...


@overload
def steps(what: Iterable[T], /, *, start: int = 0) -> Steps[T]: ...


def steps(what: int | Iterable[T], /, *, start: int = 0) -> Steps[int] | Steps[T]:
    """Loop over the steps of a trial: `for epoch in tinytune.steps(100)`, or over any iterable.

    `start` is the step to begin at, for example one that a checkpoint holds: `steps(100, start=40)`
    goes from 40 to 99; of an iterable so many items are left out. Once a stopping rule has ended
    the trial, and `report(..., stop=False)` let it go on, no step begins any more. On a terminal,
    and with one worker whose output is not kept, it is shown how far the trial is. Outside of a
    study it is like `range`. ObjectiveError where there is nothing to iterate over.
    """
    begin = _whole("start", start)
    if begin < 0:
        raise ObjectiveError(f"steps: start is {begin}: give the number of steps that are done")
    if isinstance(what, Iterable):
        return Steps(what, begin, begin)
    count = _whole("the number of steps", what)
    return Steps(range(begin, max(begin, count)), 0, begin)


def _whole(name: str, value: object) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ObjectiveError(
            f"steps: {name} is {value!r:.80}: give a whole number"
            + ("" if name == "start" else ", or something to iterate over")
        ) from None


def _show(trial: Trial) -> None:
    """Tell how far a trial is, if somebody watches and it is time to."""
    if trial.show is None:
        return
    outermost = trial.loops[0]
    now = time.monotonic()
    if now < outermost.due:
        return
    outermost.due = now + SHOW_EVERY_SECONDS
    loops = tuple((loop.done, loop.total) for loop in trial.loops)
    trial.show(Pace(trial.number, loops, outermost.began_at, now - outermost.began, trial.latest))
