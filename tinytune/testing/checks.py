"""The checks, each of one promise."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import FrozenInstanceError, dataclass, fields
from types import FrameType
from typing import Any, TypeAlias

from tinytune import draw, search
from tinytune.errors import TinytuneError
from tinytune.history import Finished, Pending, SearchSpec
from tinytune.search import Search, SearchOptions
from tinytune.space import Params, Space
from tinytune.testing.simulation import Loss, Simulated, bowl, pending_of, simulate
from tinytune.testing.spaces import Spaces
from tinytune.testing.spaces import spaces as every

Options: TypeAlias = SearchOptions | Callable[[Space], SearchOptions]

_SEED = 20
_PLAIN = (float, int, str, bool, type(None))
_MOST = sys.float_info.max


def check_options(options: Options, spaces: Spaces | None = None) -> None:
    """Options are frozen, survive the study's file, and say what the search is."""
    for case in _cases(options, spaces):
        own = case.options
        stored = search.spec(own)
        again = SearchSpec(stored.name, stored.version, json.loads(json.dumps(stored.options)))
        try:
            case.require(search.from_spec(again) == own, "options differ after JSON")
        except TinytuneError as error:
            raise AssertionError(
                f"{case.label}: its options cannot be read back: {error}"
            ) from error
        case.require(
            type(own.version) is int and own.version >= 1, "version is no number from 1 on"
        )
        for flag in ("learns", "exhausts"):
            case.require(type(getattr(own, flag)) is bool, f"{flag} is not True or False")
        working = case.start()
        case.require(type(working.is_quick) is bool, "is_quick is not True or False")
        size = working.size
        case.require(size is None or (type(size) is int and size > 0), f"size is {size!r}")
        for field in fields(own):  # type: ignore[arg-type]
            try:
                setattr(own, field.name, getattr(own, field.name))
            except FrozenInstanceError:
                continue
            case.require(False, f"option {field.name} can be changed: freeze the dataclass")


def check_suggestions_lie_in_the_space(options: Options, spaces: Spaces | None = None) -> None:
    """Every suggestion is a configuration of the space, in plain values and in its order."""
    for case in _cases(options, spaces):
        for trial in case.simulate(30, workers=3, fail_share=0.1, stop_share=0.1):
            case.require_valid(trial.result.number, trial.result.params)


def check_replay(options: Options, spaces: Spaces | None = None) -> None:
    """Each trial of a study with many workers follows from what it had seen, bit for bit."""
    for case in _cases(options, spaces):
        run = case.simulate(24, workers=5, fail_share=0.1, stop_share=0.1)
        for trial in run:
            fresh = case.start()
            _tell(fresh, [before.result for before in run[: trial.seen]])
            number = trial.result.number
            found = fresh.suggest(number, trial.pending)
            case.require_same(found, trial.result.params, f"trial {number}, replayed,")


def check_purity(options: Options, spaces: Spaces | None = None) -> None:
    """Suggestions do not depend on which others were made, how often, or in which order."""
    for case in _cases(options, spaces):
        run = case.simulate(20, workers=4)
        for seen in (0, 7, len(run)):
            told = [trial.result for trial in run[:seen]]
            waiting = pending_of(trial.result for trial in run[seen : seen + 3])
            asked = range(seen + 3, seen + 9)
            one, other = case.start(), case.start()
            _tell(one, told)
            _tell(other, told)
            expected = {number: one.suggest(number, waiting) for number in asked}
            for number in [*reversed(asked), *asked[::2]]:
                found = other.suggest(number, waiting)
                case.require_same(
                    found, expected[number], f"trial {number}, asked in another order,"
                )
                _spoil(found)
            for number in asked:
                found = one.suggest(number, waiting)
                case.require_same(found, expected[number], f"trial {number}, asked twice,")


def check_fold(options: Options, spaces: Spaces | None = None) -> None:
    """A search that went on step by step equals one that is rebuilt from the results."""
    for case in _cases(options, spaces):
        results = [trial.result for trial in case.simulate(30, workers=4, fail_share=0.2)]
        growing = case.start()
        for seen, result in enumerate(results):
            growing.suggest(seen, ())
            growing.suggest(seen + 5, pending_of(results[seen:][:2]))
            growing.tell(result)
            if seen % 7 == 6 or seen == len(results) - 1:
                rebuilt = case.start()
                _tell(rebuilt, results[: seen + 1])
                number = len(results) + 1
                expected = rebuilt.suggest(number, ())
                what = f"trial {number}, rebuilt from {seen + 1} results,"
                case.require_same(growing.suggest(number, ()), expected, what)


def check_first(options: Options, spaces: Spaces | None = None) -> None:
    """Trial 0 is the configuration to begin with; one that tries everything may lack it."""
    for case in _cases(options, spaces):
        first = case.space.defaults or case.space.sample(_SEED, 0, "first")
        working = case.options.start(case.space, _SEED, dict(first))
        if not case.options.exhausts:
            case.require_same(working.suggest(0, ()), first, "trial 0, with a first configuration,")
            _spoil(working.suggest(0, ()))
            case.require_same(working.suggest(0, ()), first, "trial 0, its copy changed,")
        for trial in case.simulate(8, workers=2, first=dict(first)):
            case.require_valid(trial.result.number, trial.result.params)


def check_end(options: Options, spaces: Spaces | None = None) -> None:
    """Only a search with a size ends: there, for good, and without a repetition if it exhausts."""
    for case in _cases(options, spaces):
        working = case.start()
        found: list[str] = []
        while len(found) < 60 and (params := working.suggest(len(found), ())) is not None:
            found.append(repr(params))
        count, size = len(found), working.size
        if count == 60:
            case.require(
                size is None or size >= 60, f"size is {size}, but there are 60 suggestions"
            )
            continue
        case.require(size == count, f"it ended after {count} trials, but its size is {size}")
        if case.options.exhausts:
            case.require(len(set(found)) == count, "it repeats configurations")
        for number in (count, count + 1, count + 100):
            case.require(
                working.suggest(number, ()) is None, f"it goes on at {number} after its end"
            )


def check_pending(options: Options, spaces: Spaces | None = None) -> None:
    """Workers that ask before others have told get different configurations of a continuum."""
    for case in _cases(options, spaces, only=("2 numbers", "20 numbers", "logarithmic")):
        run = case.simulate(20, workers=4)
        working = case.start()
        for told in (0, len(run)):
            _tell(working, [trial.result for trial in run[:told]])
            waiting: list[Pending] = []
            for number in range(told, told + 16):
                params = working.suggest(number, tuple(waiting))
                case.require_valid(number, params, may_end=True)
                if params is None:
                    break
                is_new = all(repr(params) != repr(other.params) for other in waiting)
                case.require(is_new, f"trial {number} repeats a pending one after {told} results")
                waiting.append(Pending(number, params))


def check_learning(options: Options, spaces: Spaces | None = None) -> None:
    """A search that does not learn, by its own word, ignores results and pending trials."""
    for case in _cases(options, spaces):
        if case.options.learns:
            continue
        working, untold = case.start(), case.start()
        _tell(working, [trial.result for trial in case.simulate(12, workers=2)])
        for number in range(12):
            found = working.suggest(number, (Pending(99, case.sample(99)),))
            expected = untold.suggest(number, ())
            case.require_same(found, expected, f"trial {number}, after results,")


def check_failures(options: Options, spaces: Spaces | None = None) -> None:
    """Failed and stopped trials are taken in, also when all are, and when one is told again."""
    for case in _cases(options, spaces):
        for fail_share, stop_share in ((0.4, 0.4), (1.0, 0.0), (0.0, 1.0)):
            for trial in case.simulate(16, 2, fail_share=fail_share, stop_share=stop_share):
                case.require_valid(trial.result.number, trial.result.params)
        working = case.start()
        for number in range(12):  # each fails at first, as one that is retried
            params = case.sample(number)
            working.tell(Finished(number, "failed", params, None))
            working.tell(Finished(number, "complete", params, float(number)))
        case.require_valid(12, working.suggest(12, ()), may_end=True)


def check_foreign_results(options: Options, spaces: Spaces | None = None) -> None:
    """Results and pending trials that the search never suggested are taken in."""
    for case in _cases(options, spaces):
        working, loss = case.start(), bowl(case.space)
        for step in range(24):
            number = (step * 7) % 50  # in no order
            params = case.sample(number)
            working.tell(Finished(number, "complete", dict(params), loss(params)))
            waiting = tuple(Pending(n, case.sample(n)) for n in (51, 60))
            case.require_valid(step, working.suggest(step, waiting), may_end=True)


def check_extreme_values(options: Options, spaces: Spaces | None = None) -> None:
    """Huge, tiny and equal values lead to no error and no warning."""
    rows: list[list[float]] = [
        [1e300, -1e300, 0.0], [_MOST, -_MOST], [5e-324, -5e-324, -0.0], [7.0], [1e300, 1.0, 2.0],
    ]  # fmt: skip
    for case in _cases(options, spaces, only=("1 number", "20 numbers", "conditions")):
        for row in rows:
            values = iter(row * 30)
            for trial in case.simulate(24, 3, objective=lambda _: next(values)):  # noqa: B023
                case.require_valid(trial.result.number, trial.result.params)


def check_growth(options: Options, spaces: Spaces | None = None) -> None:
    """With 10,000 results a suggestion takes at most twice the steps that it takes with 1,000.

    Steps are Python's instructions, so that the count is the same on every machine. What one call
    into numpy does is one step, whatever it costs.
    """
    for case in _cases(options, spaces, only=("20 numbers",)):
        working = case.start()
        counts, number = [], 0
        for goal in (1_000, 10_000):
            results = []
            for known in range(number, goal + 32):
                value = draw.uniform(_SEED, known, "value")
                results.append(Finished(known, "complete", case.sample(known), value))
            number = goal + 32
            _tell(working, results[:-32])
            working.suggest(goal, ())  # what is done once
            counts.append(_steps(lambda: _continue(working, results[-32:])))  # noqa: B023
        few, many = counts
        message = f"32 trials take {few:,} steps after 1,000 results and {many:,} after 10,000"
        case.require(many <= 2 * few + 1_000, message)


CHECKS: tuple[Callable[..., None], ...] = (
    check_options,
    check_suggestions_lie_in_the_space,
    check_replay,
    check_purity,
    check_fold,
    check_first,
    check_end,
    check_pending,
    check_learning,
    check_failures,
    check_foreign_results,
    check_extreme_values,
    check_growth,
)


# What the checks share


@dataclass(frozen=True)
class _Case:
    """A search in one space."""

    label: str
    options: SearchOptions
    space: Space

    def start(self) -> Search:
        return self.options.start(self.space, _SEED, None)

    def simulate(
        self, trials: int, workers: int, objective: Loss | None = None, **how: Any
    ) -> tuple[Simulated, ...]:
        loss = bowl(self.space) if objective is None else objective
        return simulate(self.options, self.space, loss, trials, workers, _SEED, **how)

    def sample(self, number: int) -> Params:
        return self.space.sample(_SEED, number, "foreign")

    def require(self, holds: bool, message: str) -> None:  # noqa: FBT001
        if not holds:
            raise AssertionError(f"{self.label}: {message}")

    def require_same(self, found: Params | None, expected: Params | None, what: str) -> None:
        same = repr(found) == repr(expected)  # unlike ==, tells 1 from 1.0 and True
        self.require(same, f"{what} is {found}, not {expected}")

    def require_valid(self, number: int, params: Params | None, *, may_end: bool = False) -> None:
        if params is None:
            self.require(may_end, f"trial {number} has no suggestion")
            return
        for name, value in params.items():
            self.require(type(value) in _PLAIN, f"trial {number}: {name} is {value!r}, not plain")
        try:
            checked = self.space.checked(params)
        except TinytuneError as error:
            raise AssertionError(f"{self.label}: trial {number}: {error}") from error
        self.require_same(params, checked, f"trial {number}")


def _cases(
    options: Options, given: Spaces | None, only: Sequence[str] | None = None
) -> Iterator[_Case]:
    """Yield the search in each space, warnings being errors while it is looked at."""
    chosen = given
    if chosen is None:
        chosen = {n: space for n, space in every().items() if only is None or n in only}
    for name, space in chosen.items():
        own = options(space) if callable(options) else options
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield _Case(f"{own} in the space {name!r}", own, space)


def _tell(working: Search, results: Iterable[Finished]) -> None:
    for result in results:
        working.tell(result)


def _continue(working: Search, results: Iterable[Finished]) -> None:
    for result in results:
        working.tell(result)
        working.suggest(result.number + 1, ())


def _spoil(params: Params | None) -> None:
    """Change a suggestion that was handed out: it must be nobody else's."""
    if params is not None:
        params.clear()


def _steps(work: Callable[[], object]) -> int:
    """Return how many instructions Python executes in a function and all that it calls."""
    if sys.version_info >= (3, 12):  # there, tracing misses some of the first ones
        return _steps_monitored(work)
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:  # noqa: ARG001
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


if sys.version_info >= (3, 12):

    def _steps_monitored(work: Callable[[], object]) -> int:
        """Return the same by the interpreter's own monitoring."""
        monitoring, count = sys.monitoring, 0
        instruction = monitoring.events.INSTRUCTION
        tool = next(number for number in range(6) if monitoring.get_tool(number) is None)

        def step(code: object, offset: int) -> None:  # noqa: ARG001
            nonlocal count
            count += 1

        monitoring.use_tool_id(tool, "tinytune.testing")
        monitoring.register_callback(tool, instruction, step)
        monitoring.set_events(tool, instruction)
        try:
            work()
        finally:
            monitoring.set_events(tool, 0)
            monitoring.register_callback(tool, instruction, None)
            monitoring.free_tool_id(tool)
        return count
