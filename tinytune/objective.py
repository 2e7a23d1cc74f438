"""A function whose signature is a search space, and what it returns."""

from __future__ import annotations

import functools
import inspect
import json
import math
import typing
from collections.abc import Callable, Mapping, Sequence

from tinytune import context
from tinytune.context import Trial
from tinytune.distributions import Choice, Distribution, Float, Int, Normal
from tinytune.errors import ObjectiveError, SpaceError, UsageError
from tinytune.history import Goal, Outcome
from tinytune.space import Space

LONGEST_ERROR = 4096  # characters of a stored message
LONGEST_TRACEBACK = 16_384  # characters of a stored traceback; its end is kept


class Objective:
    """A decorated function; calling it calls the function.

    Attributes: `space` (annotated parameters), `goals`, `settings` (the other parameters'
    defaults, as far as JSON can hold them).
    """

    def __init__(
        self,
        function: Callable[..., object],
        *,
        goal: Goal,
        space: Mapping[str, Distribution] | None = None,
        where: str | Sequence[str] = (),
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.goals = (goal,)
        self._signature = inspect.signature(function)
        hints = _hints(function)
        distributions = _annotated(hints) if space is None else dict(space)
        self._trial_name = _trial_name(self._signature, hints, distributions)
        _check_signature(self._signature, distributions, self._trial_name)
        defaults = {
            name: parameter.default
            for name, parameter in self._signature.parameters.items()
            if parameter.default is not parameter.empty and name in distributions
        }
        try:
            self.space = _space(distributions, defaults, where)
        except SpaceError as error:
            raise SpaceError(f"{self.name}: {error}") from None
        self.settings = self._own_settings(distributions)

    @property
    def name(self) -> str:
        """The function's name, as `tinytune run file.py:NAME` finds it."""
        return self.function.__qualname__

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call the function; outside of a study a trial parameter gets one that records nothing."""
        if self._trial_name is not None and self._trial_name not in kwargs:
            bound = self._signature.bind_partial(*args, **kwargs)
            if self._trial_name not in bound.arguments:
                kwargs[self._trial_name] = Trial()
        return self.function(*args, **kwargs)

    def run(self, trial: Trial, settings: Mapping[str, object]) -> Outcome:
        """Run one trial; whatever it returns or raises becomes an outcome.

        BaseExceptions that are not errors (an interrupt) pass through.
        """
        arguments = {name: value for name, value in settings.items() if name in self.settings}
        if self._trial_name is not None:
            arguments[self._trial_name] = trial
        try:
            with context.running(trial):
                returned = self.function(**trial.params, **arguments)
        except Exception as error:  # noqa: BLE001 - any error of the objective is a result
            return failure(error)
        return outcome(returned, self.goals)

    def settings_with(self, changes: Mapping[str, object]) -> dict[str, object]:
        """Return the settings with some changed; UsageError names what there is not."""
        for name, value in changes.items():
            if name in self.space.by_name:
                raise UsageError(
                    f"{name!r} is tuned, not set: give it one value with --grid {name}={value},"
                )
            if name not in self.settings:
                known = ", ".join(self.settings) or "none"
                raise UsageError(f"{self.name} has no setting {name!r}: its settings are {known}")
        return {
            name: _converted(name, changes[name], default) if name in changes else default
            for name, default in self.settings.items()
        }

    def _own_settings(self, distributions: Mapping[str, Distribution]) -> dict[str, object]:
        return {
            name: parameter.default
            for name, parameter in self._signature.parameters.items()
            if name not in distributions
            and name != self._trial_name
            and parameter.default is not parameter.empty
            and _is_json(parameter.default)
        }


def outcome(returned: object, goals: Sequence[Goal]) -> Outcome:
    """Turn what an objective returned into how its trial ended."""
    values = returned if isinstance(returned, Mapping) else {goals[0].name: returned}
    numbers: dict[str, float] = {}
    for name, value in values.items():
        number, reason = _number(value)
        if number is None:
            return Outcome("failed", error=f"the objective returned {name} = {reason}")
        numbers[str(name)] = number
    for goal in goals:
        if goal.name not in numbers:
            found = ", ".join(map(str, values)) or "nothing"
            return Outcome("failed", error=f"the objective returned no {goal.name!r}, only {found}")
    return Outcome("complete", numbers[goals[0].name], numbers)


def _number(value: object) -> tuple[float | None, str]:
    """Return a finite number, or why there is none."""
    shown = f"{value!r:.100}"
    if value is None:
        return None, "None: end it with `return loss`"
    if isinstance(value, (bool, str, bytes, complex)) or not hasattr(value, "__float__"):
        return None, f"{shown}, a {type(value).__name__}, not a number"
    try:
        number = float(value)
    except OverflowError:
        return None, f"{shown}, too large for a number of 64 bits"
    except Exception as error:  # noqa: BLE001 - an array of two numbers, for example
        return None, f"{shown}, which is no single number ({error})"
    if not math.isfinite(number):
        return None, "NaN, not a number" if math.isnan(number) else f"{number}, not a finite number"
    return number, ""


def failure(error: BaseException) -> Outcome:
    """Turn what an objective raised into how its trial ended: message and end of the traceback."""
    import traceback

    try:
        message = f"{type(error).__name__}: {error}".strip()
    except Exception:  # noqa: BLE001 - an error that cannot be printed is still an error
        message = f"{type(error).__name__} (its message cannot be printed)"
    try:
        lines = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - as above
        lines = "".join(traceback.format_tb(error.__traceback__))
    return Outcome(
        "failed",
        error=_printable(message)[:LONGEST_ERROR],
        traceback=_printable(lines)[-LONGEST_TRACEBACK:],
    )


def _printable(text: str) -> str:
    """Replace what UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _hints(function: Callable[..., object]) -> dict[str, object]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise ObjectiveError(
            f"the annotations of {function.__qualname__} cannot be read ({error}): "
            "import the names that they use at the top of the file, or give space={...}"
        ) from error


def _annotated(hints: Mapping[str, object]) -> dict[str, Distribution]:
    """Return the parameters that are annotated with a distribution."""
    found: dict[str, Distribution] = {}
    for name, hint in hints.items():
        for extra in getattr(hint, "__metadata__", ()):
            if isinstance(extra, (Float, Int, Choice, Normal)):
                found[name] = extra
            elif extra in {Float, Int, Choice, Normal} if isinstance(extra, type) else False:
                raise SpaceError(
                    f"parameter {name!r}: {extra.__name__} has no range: "
                    f"write {extra.__name__}(...) with its arguments"
                )
    return found


def _trial_name(
    signature: inspect.Signature,
    hints: Mapping[str, object],
    distributions: Mapping[str, Distribution],
) -> str | None:
    """Return the name of the parameter that gets the running trial."""
    for name in signature.parameters:
        if name not in distributions and hints.get(name) is Trial:
            return name
    return None


def _check_signature(
    signature: inspect.Signature, distributions: Mapping[str, Distribution], trial_name: str | None
) -> None:
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for name, distribution in distributions.items():
        if not isinstance(distribution, (Float, Int, Choice, Normal)):
            raise SpaceError(
                f"parameter {name!r}: {distribution!r} is not a distribution: "
                "use Float, Int, Choice, Normal or LogNormal"
            )
        if name not in signature.parameters and not takes_any:
            raise SpaceError(f"parameter {name!r} of the space is not one of the function's")
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise SpaceError(f"parameter {name!r} is positional-only: remove the / after it")
        fixed = name not in distributions and name != trial_name
        if fixed and parameter.default is parameter.empty and parameter.kind not in {
            parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD,
        }:  # fmt: skip
            raise SpaceError(
                f"parameter {name!r} has neither a distribution nor a default: annotate it, "
                f"for example {name}: Annotated[float, Float(0, 1)], or give it a fixed value"
            )


def _space(
    distributions: Mapping[str, Distribution],
    defaults: Mapping[str, object],
    where: str | Sequence[str],
) -> Space:
    for name, distribution in distributions.items():
        if distribution.when is not None and name not in defaults:
            raise SpaceError(
                f"parameter {name!r} has a condition but no default: give it one, which the "
                "function gets where the condition does not hold"
            )
    # None stands for "not there" in a conditional parameter; it need not be in the range.
    defaults = {
        name: default
        for name, default in defaults.items()
        if default is not None or distributions[name].when is None
    }
    return Space.of(distributions, defaults, where)


def _converted(name: str, value: object, default: object) -> object:
    """Return a setting's new value; it must be of the default's kind."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    kinds = (bool, int, float, str)
    if isinstance(default, kinds) and type(value) is not type(default):
        raise UsageError(
            f"setting {name!r} is {default!r}, a {type(default).__name__}, and {value!r} is not"
        )
    return value


def _is_json(value: object) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False
