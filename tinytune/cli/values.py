"""Reads what is written after options: NAME=VALUE, and a grid's NAME=5 or NAME=a,b,c."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

from tinytune import notation
from tinytune.distributions import Value
from tinytune.errors import UsageError


def settings(texts: Iterable[str]) -> dict[str, object]:
    """Return `--set epochs=50` as names and values: JSON where it is JSON, else text."""
    return {name: _value(text) for name, text in _pairs("--set", texts, "epochs=50")}


def params(texts: Iterable[str]) -> dict[str, object]:
    """Return `lr=0.1 momentum=0.9` as names and values: JSON where it is JSON, else text."""
    return {name: _value(text) for name, text in _pairs("", texts, "lr=0.1")}


def result(texts: Sequence[str]) -> object:
    """Return `0.12` as a number, `error=0.12 size=5` as named numbers."""
    if len(texts) == 1 and "=" not in texts[0]:
        return _value(texts[0])
    return {name: _value(text) for name, text in _pairs("", texts, "error=0.12")}


def numbers(option: str, text: str | None) -> dict[str, float]:
    """Return `error=1,inference_ms=0.01` as names and numbers; UsageError where it is none."""
    found: dict[str, float] = {}
    for name, value in _pairs(option, text.split(",") if text else (), "error=1,seconds=0.01"):
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = math.nan
        if not math.isfinite(found[name]):
            raise UsageError(f"{option} {name}={value} is no number: write {name}=0.5")
    return found


def share(text: str) -> float:
    """Return `5%` or `0.05` as 0.05; UsageError where it is no share."""
    number = text.strip().removesuffix("%")
    try:
        found = float(number) / (100.0 if text.strip().endswith("%") else 1.0)
    except ValueError:
        found = -1.0
    if not 0.0 <= found <= 1.0:
        raise UsageError(f"{text!r} is no share: write 5% or 0.05")
    return found


def grid(texts: Iterable[str]) -> dict[str, int | Sequence[Value]]:
    """Return `--grid lr=5` as a number of points, `--grid momentum=0,0.5` as a list of them.

    A whole number alone is a number of points; `batch=32,` is the one value 32.
    """
    found: dict[str, int | Sequence[Value]] = {}
    for name, text in _pairs("--grid", texts, "lr=5"):
        if text.isdecimal():
            found[name] = int(text)
        else:
            values = [_value(part.strip()) for part in text.removesuffix(",").split(",")]
            found[name] = values  # type: ignore[assignment]  # the grid checks them
    return found


def _pairs(option: str, texts: Iterable[str], example: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            sentence = f"{option} {text!r} is no NAME=VALUE: write {option} {example}"
            raise UsageError(" ".join(sentence.split()))
        pairs.append((name.strip(), value))
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{option} {name}=… is given twice: give it once".strip())
    return pairs


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        named = {"True": True, "False": False, "None": None}
        return named[text] if text in named else notation.decimal(text)
