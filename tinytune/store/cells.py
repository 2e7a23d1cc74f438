"""Cells of rows that anybody may have written: each function raises ValueError for what is none."""

from __future__ import annotations

import json
import math
import re
from typing import Any

LONGEST_NAME = 4096  # characters of a name or a path
LATEST = 253_402_300_799.0  # the end of the year 9999, Unix seconds
_INTEGER_LIMIT = 1 << 62  # ticks and numbers stay far below what SQLite can count to
_PART = r"([^\W\d]\w*|<locals>|<lambda>)"
_DOTTED = rf"{_PART}(\.{_PART})*"


_encoder = json.JSONEncoder(ensure_ascii=False)  # json.dumps would make one for each call


def written(value: object) -> str:
    """Return a value as a JSON document, as `document` reads it."""
    return _encoder.encode(value)


def document(cell: object) -> Any:
    """Return a JSON document as Python wrote it: without infinity, and not nested without end."""
    try:
        return _decoder.decode(text(cell))
    except RecursionError:
        raise ValueError("a document is nested too deeply") from None


def time(value: object) -> float:
    """Return a time that a calendar knows, in Unix seconds."""
    seconds = finite(value)
    if not 0 <= seconds <= LATEST:
        raise ValueError(f"{seconds} is no time")
    return seconds


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of a study")


_decoder = json.JSONDecoder(parse_constant=_refuse)


def mapping_of(cell: object) -> dict[str, Any]:
    """Return a JSON object, whose numbers are finite."""
    found = mapping(document(cell))
    _check_numbers(found)
    return found


def _check_numbers(found: dict[str, Any] | list[Any]) -> None:
    """Refuse numbers that JSON can write and a float cannot hold, such as 1e999."""
    for part in found.values() if isinstance(found, dict) else found:
        if isinstance(part, float):
            if not math.isfinite(part):
                raise ValueError("a number is infinite")
        elif isinstance(part, (dict, list)):
            _check_numbers(part)


def mapping(found: object) -> dict[str, Any]:
    """Return a part of a document that is an object."""
    if not isinstance(found, dict):
        raise ValueError(f"{found!r:.40} is no JSON object")  # noqa: TRY004 - it is a bad value
    return found


def items(found: object) -> list[Any]:
    """Return a part of a document that is a list."""
    if not isinstance(found, list):
        raise ValueError(f"{found!r:.40} is no JSON list")  # noqa: TRY004 - it is a bad value
    return found


def texts(found: dict[str, Any]) -> dict[str, str]:
    """Return an object whose values are texts."""
    return {name: text(value) for name, value in found.items()}


def text(value: object) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is no text")  # noqa: TRY004 - it is a bad value
    return value


def name(value: object) -> str:
    """Return the name of something in Python, perhaps with dots in it."""
    found = text(value)
    is_name = found.isidentifier() or re.fullmatch(_DOTTED, found)
    if len(found) > LONGEST_NAME or not is_name:
        raise ValueError(f"{found!r:.40} is no name")
    return found


def file_name(value: object) -> str:
    """Return the name of a file, without a folder, as it is told to people."""
    found = text(value)
    if not 0 < len(found) <= LONGEST_NAME or "/" in found:
        raise ValueError(f"{found!r:.40} is no name of a file")
    return found


def path(value: object) -> str | None:
    """Return a path, None where there is none."""
    if value is None:
        return None
    found = text(value)
    if not found or len(found) > LONGEST_NAME or not found.isprintable():
        raise ValueError(f"{found!r:.40} is no path")
    return found


def whole(value: object, low: int = 0, limit: int = _INTEGER_LIMIT) -> int:
    """Return a whole number from `low` to below `limit`."""
    if type(value) is int and low <= value < limit:
        return value
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value < limit:
        raise ValueError(f"{value!r:.40} is no whole number from {low} on")
    return value


def real(value: object) -> float:
    """Return a number, which may be infinite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{value!r:.40} is no number")  # noqa: TRY004 - it is a bad value
    try:
        return float(value)
    except OverflowError:
        raise ValueError("a number is too large") from None


def finite(value: object) -> float:
    """Return a number that is neither infinite nor NaN."""
    if type(value) is float and math.isfinite(value):
        return value
    number = real(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no finite number")
    return number
