"""The trial that is running now, as its objective sees it."""

from __future__ import annotations

import numbers
import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn, SupportsIndex

from tinytune.bounds import shown
from tinytune.errors import ObjectiveError, TrialStopped, UsageError
from tinytune.history import Cost
from tinytune.pace import Pace
from tinytune.space import Params


@dataclass(eq=False)
class Loop:
    """A loop of `tinytune.steps` at work; times are by time.monotonic()."""

    done: int  # steps
    total: int | None
    began_at: int  # the step
    began: float
    due: float  # when it is to be shown next


class Pause(str):
    """A reason for which a trial is paused: it may still save, to go on from there later."""

    __slots__ = ()


class Trial:
    """One running trial: its number, its parameters, and a seed for the objective's own randomness.

    `seed` is a whole number from 0 to 2^32 - 1 that depends on the study's seed and the trial's
    number alone. `attempt` counts from 1; a later one follows where a worker died.
    """

    def __init__(
        self,
        number: int = 0,
        params: Params | None = None,
        seed: int = 0,
        write: Callable[[int, Mapping[str, float]], str | None] | None = None,
        attempt: int = 1,
        save: Callable[[bytes | Path], None] | None = None,
        load: Callable[[], bytes | Path | None] | None = None,
        folder: Callable[[], Path] | None = None,
    ) -> None:
        self.number = number
        self.params: dict[str, Any] = {} if params is None else params
        self.seed = seed
        self.stopped: str | None = None
        """Why a stopping rule stops or pauses this trial, None while it may go on."""
        self.attempt = attempt
        self.find_folder = folder
        """Returns `folder`, whose name is not made unless somebody asks for it."""
        self.used: Cost | None = None
        """What a process of its own used, where it has one: its memory counts, not this one's."""
        self._write, self._save, self._load = write, save, load
        self._has_begun = self._has_loaded = False
        self._waits_for_save = False  # it is paused, and ends when it has saved
        self.loops: list[Loop] = []
        """The loops over `steps` that it is in, the outermost first."""
        self.latest: Mapping[str, float] = {}
        """What it reported last."""
        self.show: Callable[[Pace | None], None] | None = None
        """Who is told how far the loops are, None where nobody watches."""

    def __repr__(self) -> str:
        return f"Trial(number={self.number}, params={self.params!r})"

    @property
    def folder(self) -> Path | None:
        """What a command's attempts leave to the next one; it need not be there yet."""
        return None if self.find_folder is None else self.find_folder()

    @property
    def should_stop(self) -> bool:
        """Whether a stopping rule has ended this trial: clean up, and return the last value."""
        return self.stopped is not None

    def report(self, step: int, *, stop: bool = True, **metrics: float) -> None:
        """Record intermediate numbers at a step, for example an epoch.

        A step that is reported again counts with its last value. Where the study's stopping rule
        says that the trial is hopeless, TrialStopped ends it; with `stop=False` it goes on, and
        `should_stop` tells.

        Outside of a study it does nothing. ObjectiveError where something is not a number.
        """
        if not isinstance(stop, bool):
            raise ObjectiveError("report: stop must be True or False: give the metric another name")
        self.record(step, metrics, stop=stop)

    def record(self, step: int, metrics: Mapping[str, float], *, stop: bool = True) -> None:
        """Do what `report` does, with metrics of any name."""
        checked = _numbers(metrics)
        whole_step = _whole(step)
        self._has_begun = True
        if self._waits_for_save:
            self._end()
        self.latest = checked
        if self._write is not None:
            self.stopped = self._write(whole_step, checked) or self.stopped
        if stop and self.stopped is not None:
            self._waits_for_save = self._has_loaded and isinstance(self.stopped, Pause)
            if not self._waits_for_save:
                self._end()

    def _end(self) -> NoReturn:
        how = "paused" if isinstance(self.stopped, Pause) else "stopped"
        raise TrialStopped(f"trial {self.number} is {how} {self.stopped}")

    def save(self, state: bytes | PathLike[str]) -> None:
        """Keep a state: bytes, or a copy of the file or folder at a path.

        If this attempt's worker dies or gives the trial back, the next attempt gets it from `load`,
        and what was reported before it is kept: so report a step first, then save. The last two
        are kept, until the trial ends. Once a stopping rule has stopped the trial, and outside of a
        study, it does nothing. Where a rule has paused a trial that has called `load`, TrialStopped
        ends it when it has saved.

        UsageError where there is nothing to be saved; StudyFileError where it cannot be written,
        which ends the worker and not the trial.
        """
        checked = _state(state)
        self._has_begun = True
        if self._save is not None:
            self._save(checked)
        if self._waits_for_save:
            self._end()

    def load(self) -> bytes | Path | None:
        """Return the state that an earlier attempt has saved, None where there is none.

        Bytes are returned as they were; of a file or folder the path of a copy for this attempt
        alone, which is gone when the trial has ended. The trial goes on from there, with what was
        reported before it. Call it before the first report: UsageError after it.
        """
        if self._has_begun:
            raise UsageError(
                f"load: trial {self.number} has reported or saved already in this attempt: "
                "call load() at the beginning"
            )
        self._has_loaded = True
        return None if self._load is None else self._load()


_current: ContextVar[Trial | None] = ContextVar("tinytune_trial", default=None)
_running: list[Trial] = []  # for threads that the objective starts: they have contexts of their own


def report(step: int, *, stop: bool = True, **metrics: float) -> None:
    """Record intermediate numbers of the running trial: `report(epoch, loss=0.3, accuracy=0.9)`.

    A hopeless trial ends here, by the study's stopping rule; with `stop=False` it goes on, and
    `should_stop()` tells. Outside of a study it does nothing, so that the objective can be called
    by itself.
    """
    current().report(step, stop=stop, **metrics)


def save(state: bytes | PathLike[str]) -> None:
    """Keep a state of the running trial, bytes or a copy of the file or folder at a path.

    Should its worker die, the next attempt gets it from `load()`. Report a step first, then save.
    Outside of a study it does nothing.
    """
    current().save(state)


def load() -> bytes | Path | None:
    """Return what an earlier attempt at the running trial has saved, None where there is nothing.

    Call it before the first report. Outside of a study it returns None.
    """
    return current().load()


def should_stop() -> bool:
    """Return whether a stopping rule has ended the running trial; False outside of a study."""
    return current().should_stop


def current_seed() -> int:
    """Return the running trial's seed for the objective's own randomness; 0 outside of a study."""
    return current().seed


def seed_everything(seed: int | None = None) -> int:
    """Seed Python's and numpy's global generators, and torch's where it is loaded.

    `seed` defaults to the running trial's. Returns it, for generators of one's own.
    """
    import random

    if seed is not None and not isinstance(seed, SupportsIndex):
        raise UsageError(f"seed_everything: the seed must be a whole number, not {seed!r:.80}")
    chosen = current_seed() if seed is None else operator.index(seed)
    random.seed(chosen)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(chosen % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(chosen)
    return chosen


def current() -> Trial:
    """Return the running trial; outside of a study one that records nothing."""
    return _current.get() or (_running[0] if len(_running) == 1 else Trial())


@contextmanager
def running(trial: Trial) -> Iterator[None]:
    """Make a trial the current one for a block."""
    token = _current.set(trial)
    _running.append(trial)
    try:
        yield
    finally:
        _running.remove(trial)
        _current.reset(token)


def _state(state: object) -> bytes | Path:
    if isinstance(state, (bytes, bytearray, memoryview)):
        return bytes(state)
    if isinstance(state, PathLike):
        return Path(state)
    hint = "write Path(...)" if isinstance(state, str) else "make one of these of it first"
    raise UsageError(
        f"save: a {type(state).__name__} is neither bytes nor the Path of a file or folder: {hint}"
    )


def _numbers(metrics: Mapping[str, object]) -> dict[str, float]:
    if not metrics:
        raise ObjectiveError("report was given no numbers: write report(step, loss=loss)")
    return {name: _real(name, value) for name, value in metrics.items()}


def _real(name: str, value: object) -> float:
    if isinstance(value, (str, bytes)):
        raise ObjectiveError(f"report: {name} is the text {value!r:.80}: report a number")
    try:
        if isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real):
            raise TypeError("it is complex")  # numpy would drop the imaginary part
        return float(value) + 0.0  # type: ignore[arg-type]  # SQLite keeps no -0.0
    except Exception as error:  # noqa: BLE001 - what __float__ raises of theirs
        raise ObjectiveError(f"report: {name} is {shown(value)}, not a number: {error}") from None


def _whole(step: object) -> int:
    try:
        whole = operator.index(step)  # type: ignore[arg-type]
    except TypeError:
        raise ObjectiveError(f"report: the step {shown(step)} is not a whole number") from None
    if not -(2**62) < whole < 2**62:
        raise ObjectiveError(f"report: the step {shown(whole)} is too large")
    return whole
