"""A function whose signature is a search space, and what it returns."""

from __future__ import annotations

import copy
import functools
import inspect
import json
import math
import numbers
import os
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tinytune import context
from tinytune.bounds import is_finite, shown
from tinytune.context import Trial
from tinytune.distributions import Choice, Distribution, Float, Int, Normal
from tinytune.errors import ObjectiveError, SpaceError, UsageError
from tinytune.history import COSTS, Goal, Outcome
from tinytune.space import Space

LONGEST_ERROR = 4096  # characters of a stored message
LONGEST_TRACEBACK = 16_384  # characters of a stored traceback; its end is kept
_DISTRIBUTIONS = (Float, Int, Choice, Normal)
_UNIONS = (typing.Union, types.UnionType)
_TRIALS = (Trial, "Trial", "tinytune.Trial")  # as texts where the annotations cannot be read


class Objective:
    """A decorated function; calling it calls the function.

    Attributes: `space` (annotated parameters), `goals`, `subject_to` (what results have to meet),
    `settings` (the other parameters' defaults, as far as JSON can hold them).
    """

    def __init__(
        self,
        function: Callable[..., object],
        *,
        goals: Sequence[Goal],
        subject_to: Sequence[str] = (),
        space: Mapping[str, Distribution] | None = None,
        where: str | Sequence[str] = (),
    ) -> None:
        _check_function(function)
        functools.update_wrapper(self, function)
        self.function = function
        self.goals = tuple(goals)
        self.subject_to = tuple(subject_to)
        self._signature = inspect.signature(function)
        hints = _hints(function, can_fail=space is not None)
        try:
            distributions = _annotated(hints) if space is None else dict(space)
            self._trial_name = _trial_name(self._signature, hints, distributions)
            _check_signature(self._signature, distributions, self._trial_name)
            self.space = _space(self._signature, distributions, where)
        except SpaceError as error:
            raise SpaceError(f"{self.name}: {error}") from None
        self.settings = self._own_settings(distributions)

    @property
    def name(self) -> str:
        """The function's name, as `tinytune run file.py:NAME` finds it."""
        return self.function.__qualname__

    @property
    def file(self) -> Path | None:
        """The file that it was defined in, None if there is none (a notebook)."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        path = Path("" if code is None else code.co_filename)
        return path.resolve() if path.is_file() else None

    @property
    def module(self) -> str:
        """The name of the module that it was defined in."""
        return self.function.__module__ or "__main__"  # None in an exec that named none

    def __repr__(self) -> str:
        return f"<objective {self.name}({', '.join(self.space.by_name)})>"

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call the function; outside of a study a trial parameter gets one that records nothing."""
        if self._trial_name is not None and self._trial_name not in kwargs:
            bound = self._signature.bind_partial(*args, **kwargs)
            if self._trial_name not in bound.arguments:
                kwargs[self._trial_name] = Trial()
        return self.function(*args, **kwargs)

    def run(self, trial: Trial, settings: Mapping[str, object]) -> Outcome:
        """Run one trial; whatever it returns or raises becomes an outcome.

        BaseExceptions that are not errors (an interrupt) pass through. A fork of the process ends
        where it leaves the function.
        """
        known = {name: value for name, value in settings.items() if name in self.settings}
        arguments = copy.deepcopy(known)  # a list that one trial changes is not another's
        if self._trial_name is not None:
            arguments[self._trial_name] = trial
        try:
            with _one_process(), context.running(trial):
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


def _check_function(function: object) -> None:
    """Raise ObjectiveError unless it is a function."""
    found = shown(function)
    if isinstance(function, str) or not callable(function):
        raise ObjectiveError(
            f"{found} is not a function: write @tinytune.trial above a `def`, "
            "or @tinytune.trial(minimize='loss')"
        )
    if isinstance(function, type) or not hasattr(function, "__qualname__"):
        raise ObjectiveError(
            f"{found} is not a function: write @tinytune.trial above a `def` that calls it, "
            "and whose annotated parameters are what is tuned"
        )


@contextmanager
def _one_process() -> Iterator[None]:
    """End a fork that leaves the block, as by sys.exit(): the trial is the first process's."""
    pid = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != pid:
            _end_fork(sys.exception())


def _end_fork(error: BaseException | None) -> None:
    if error is not None and not isinstance(error, SystemExit):
        sys.excepthook(type(error), error, error.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    code = error.code if isinstance(error, SystemExit) else error
    os._exit(code if isinstance(code, int) else int(code is not None))


def outcome(returned: object, goals: Sequence[Goal]) -> Outcome:
    """Turn what an objective returned into how its trial ended.

    What is measured of a trial need not be returned; then the value is not known yet.
    """
    own = [goal.name for goal in goals if goal.name not in COSTS]
    try:
        values = _named_values(returned, own)
    except Exception as error:  # noqa: BLE001 - a mapping of their own, for example
        return failure(error)
    checked: dict[str, float] = {}
    for name, value in values.items():
        number, reason = _number(value)
        if number is None and value is returned and len(own) > 1:
            names = ", ".join(f"{each!r}: …" for each in own)
            return failed(f"the objective returned {shown(value)}: return {{{names}}}")
        if number is None:
            remedy = f": end it with `return {name}`" if returned is None else ""
            return failed(f"the objective returned {name} = {reason}{remedy}")
        checked[name] = number
    for name in own:
        if name not in checked:
            found = ", ".join(checked) or "an empty mapping"
            return failed(f"the objective returned no {name!r}, only {found}")
    return Outcome("complete", checked.get(goals[0].name), checked)


def _named_values(returned: object, names: Sequence[str]) -> dict[str, object]:
    if not isinstance(returned, Mapping):
        if returned is None and not names:  # all that counts is measured
            return {}
        return {names[0] if names else "value": returned}
    return {_printable(str(key)): value for key, value in returned.items()}


def _number(value: object) -> tuple[float | None, str]:
    """Return a finite number, or why there is none."""
    if value is None:
        return None, "None"
    if type(value) is float and math.isfinite(value):
        return value + 0.0, ""  # SQLite keeps no -0.0
    try:
        if not _is_real(value):
            return None, f"{shown(value)}, a {type(value).__name__}, not a number"
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return None, f"{shown(value)}, too large for a number of 64 bits"
    except Exception as error:  # noqa: BLE001 - an array of two numbers, for example
        return None, f"{shown(value)}, which is no single number ({_message(error)})"
    if not math.isfinite(number):
        return None, "NaN, not a number" if math.isnan(number) else f"{number}, not a finite number"
    return number + 0.0, ""


def _is_real(value: object) -> bool:
    """Return whether float() makes a number of this without losing or guessing anything."""
    if isinstance(value, (bool, str, bytes)) or type(value).__name__ in {"bool", "bool_"}:
        return False
    if isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real):
        return False  # numpy would drop the imaginary part of one of its own
    return hasattr(value, "__float__")


def failure(error: BaseException) -> Outcome:
    """Turn what an objective raised into how its trial ended: message and end of the traceback."""
    import traceback

    try:
        lines = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - as above
        lines = "".join(traceback.format_tb(error.__traceback__))
    return failed(_message(error), _printable(lines)[-LONGEST_TRACEBACK:])


def failed(error: str, lines: str | None = None) -> Outcome:
    """Return the outcome of a trial that failed, and why; `lines` say more."""
    return Outcome("failed", error=_printable(error)[:LONGEST_ERROR], traceback=lines)


def _message(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}".removesuffix(": ")
    except Exception:  # noqa: BLE001 - an error that cannot be printed is still an error
        return f"{type(error).__name__} (its message cannot be printed)"


def _printable(text: str) -> str:
    """Replace what UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _hints(function: Callable[..., object], *, can_fail: bool) -> dict[str, object]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        if can_fail:  # the space was given: only a trial parameter is looked for
            with suppress(Exception):
                return dict(inspect.get_annotations(function))
            return {}
        raise ObjectiveError(
            f"the annotations of {function.__qualname__} cannot be read ({error}): "
            "import the names that they use at the top of the file, or give space={...}"
        ) from error


def _annotated(hints: Mapping[str, object]) -> dict[str, Distribution]:
    """Return the parameters that are annotated with a distribution."""
    found: dict[str, Distribution] = {}
    for name, hint in hints.items():
        if name == "return":
            continue
        if isinstance(hint, _DISTRIBUTIONS) or _is_distribution_class(hint):
            raise SpaceError(
                f"parameter {name!r} is annotated with a distribution alone: "
                "write a type with it, for example Annotated[float, Float(0, 1)]"
            )
        for kind, extra in _extras(hint):
            if kind is int and isinstance(extra, (Float, Normal)):
                raise SpaceError(
                    f"parameter {name!r} is an int, and {type(extra).__name__} gives numbers "
                    "between: use Int, or annotate it as float"
                )
            if isinstance(extra, _DISTRIBUTIONS):
                found[name] = extra
            elif _is_distribution_class(extra):
                raise SpaceError(
                    f"parameter {name!r}: {extra.__name__} has no range: "
                    f"write {extra.__name__}(...) with its arguments"
                )
    return found


def _extras(hint: object) -> list[tuple[object, object]]:
    """Return what is annotated beside a type, with that, also in `Annotated[float, …] | None`."""
    return [
        (getattr(member, "__origin__", None), extra)
        for member in _members(hint)
        for extra in getattr(member, "__metadata__", ())
    ]


def _members(hint: object) -> tuple[object, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in _UNIONS else (hint,)


def _is_distribution_class(extra: object) -> typing.TypeGuard[type]:
    return isinstance(extra, type) and issubclass(extra, _DISTRIBUTIONS)


def _trial_name(
    signature: inspect.Signature,
    hints: Mapping[str, object],
    distributions: Mapping[str, Distribution],
) -> str | None:
    """Return the name of the parameter that gets the running trial."""
    for name in signature.parameters:
        wanted = any(member in _TRIALS for member in _members(hints.get(name)))
        if wanted and name not in distributions:
            return name
    return None


def _check_signature(
    signature: inspect.Signature, distributions: Mapping[str, Distribution], trial_name: str | None
) -> None:
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for name, distribution in distributions.items():
        if not isinstance(distribution, _DISTRIBUTIONS):
            raise SpaceError(
                f"parameter {name!r}: {shown(distribution)} is not a distribution: "
                "use Float, Int, Choice, Normal or LogNormal"
            )
        if name not in signature.parameters and not takes_any:
            raise SpaceError(
                f"parameter {name!r} of the space is not one of the function's: "
                f"it has {', '.join(signature.parameters) or 'none'}"
            )
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise SpaceError(f"parameter {name!r} is positional-only: remove the / after it")
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            if name in distributions:
                raise SpaceError(f"parameter {name!r} has a star and cannot be tuned: remove it")
            continue
        if name not in distributions and name != trial_name:
            _check_fixed(name, parameter.default)


def _check_fixed(name: str, default: object) -> None:
    """Raise SpaceError where a parameter that is not tuned was probably meant otherwise."""
    if isinstance(default, _DISTRIBUTIONS):
        raise SpaceError(
            f"parameter {name!r} has a distribution as its default: annotate it with it, "
            f"for example {name}: Annotated[float, Float(0, 1)] = 0.5"
        )
    if default is not inspect.Parameter.empty:
        return
    if name == "trial":
        remedy = "for the running trial write trial: tinytune.Trial"
    elif name == "self":
        remedy = "decorate a function, or a method of an object: tinytune.trial(model.fit)"
    else:
        remedy = (
            f"annotate it, for example {name}: Annotated[float, Float(0, 1)], "
            "or give it a fixed value"
        )
    raise SpaceError(f"parameter {name!r} has neither a distribution nor a default: {remedy}")


def _space(
    signature: inspect.Signature,
    distributions: Mapping[str, Distribution],
    where: str | Sequence[str],
) -> Space:
    defaults = {}
    for name, distribution in distributions.items():
        parameter = signature.parameters.get(name)
        if parameter is None:  # the function takes any names, and gets those that are there
            continue
        if parameter.default is not parameter.empty:
            defaults[name] = parameter.default
        elif distribution.when is not None:
            raise SpaceError(
                f"parameter {name!r} has a condition but no default: give it one, which the "
                "function gets where the condition does not hold"
            )
        # None stands for "not there" in a conditional parameter; it need not be in the range.
        options = distribution.options if isinstance(distribution, Choice) else ()
        is_option = any(option is None for option in options)
        if distribution.when is not None and defaults[name] is None and not is_option:
            del defaults[name]
    return Space.of(distributions, defaults, where)


def _converted(name: str, value: object, default: object) -> object:
    """Return a setting's new value; it must be of the default's kind."""
    if not _is_json(value):
        raise UsageError(
            f"setting {name!r} cannot be {shown(value)}: a study stores texts, finite numbers, "
            "true, false, null, and lists and mappings of them"
        )
    kind = next((kind for kind in (bool, int, float, str) if isinstance(default, kind)), object)
    if kind is float and is_finite(value):
        return float(value)  # type: ignore[arg-type]
    is_flag_for_number = isinstance(value, bool) and kind is int
    if not isinstance(value, kind) or is_flag_for_number:
        article = "an" if kind is int else "a"
        raise UsageError(
            f"setting {name!r} is {default!r}, {article} {kind.__name__}, and {shown(value)} is not"
        )
    return value


def _is_json(value: object) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError, RecursionError):
        return False
