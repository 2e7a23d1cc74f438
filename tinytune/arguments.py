"""Whether what is given from Python is of the kind that it must be; UsageError says what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from tinytune.bounds import shown
from tinytune.errors import UsageError


def path(name: str, given: object) -> Path:
    """Return the path that was given, as a text or a Path."""
    if not isinstance(given, (str, PathLike)):
        raise UsageError(f"{name} must be a path, not {shown(given)}: write a text or a Path")
    return Path(given)


def paths(name: str, given: object) -> tuple[Path, ...]:
    """Return one path or several."""
    if isinstance(given, (str, PathLike)):
        return (path(name, given),)
    if not isinstance(given, Sequence) or isinstance(given, bytes):
        raise UsageError(f"{name} must be a path or a list of them, not {shown(given)}")
    return tuple(path(name, each) for each in given)


def mapping(name: str, given: object, example: str) -> Mapping[str, Any]:
    """Return a mapping whose keys are names."""
    if isinstance(given, Mapping) and all(isinstance(key, str) for key in given):
        return given
    raise UsageError(
        f"{name} must be a mapping of names, not {shown(given)}: write {name}={example}"
    )


def texts(name: str, given: object, example: str) -> tuple[str, ...]:
    """Return one text or several; None stands for none."""
    if isinstance(given, str):
        return (given,)
    found = () if given is None else given
    if isinstance(found, (list, tuple)) and all(isinstance(each, str) for each in found):
        return tuple(found)
    raise UsageError(
        f"{name} must be a text or a list of texts, not {shown(given)}: write {name}={example}"
    )


def whole(**numbers: object) -> None:
    """Raise UsageError for what is no whole number."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int):
            raise UsageError(f"{name} must be a whole number, not {shown(number)}")


def whole_or_none(**numbers: object) -> None:
    """Raise UsageError for what is no whole number; None stands for the default."""
    whole(**{name: number for name, number in numbers.items() if number is not None})


def flags(**given: object) -> None:
    """Raise UsageError for what is neither True nor False."""
    for name, flag in given.items():
        if not isinstance(flag, bool):
            raise UsageError(f"{name} must be True or False, not {shown(flag)}")


def flags_or_none(**given: object) -> None:
    """Raise UsageError for what is neither True nor False; None stands for the default."""
    flags(**{name: flag for name, flag in given.items() if flag is not None})
