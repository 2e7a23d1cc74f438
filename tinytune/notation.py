"""Parameters as they are written on the command line: `lr=float(1e-4, 1, log) = 0.1`.

And when they exist: `momentum=float(0, 0.99) = 0.9 when opt=sgd`.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence

from tinytune.bounds import shown
from tinytune.distributions import Between, Choice, Distribution, Float, Int, LogNormal, Normal
from tinytune.errors import SpaceError, UsageError
from tinytune.space import MISSING, Condition, Parameter, Space

KINDS: dict[str, type[Distribution]] = {
    "float": Float, "int": Int, "choice": Choice, "normal": Normal, "lognormal": LogNormal,
}  # fmt: skip
_EXAMPLE = 'write for example --param "lr=float(1e-4, 1, log) = 0.1"'
_START = re.compile(r"\s*([^=\s]+)\s*=\s*(\w+)\s*\(")
_KEYWORD = re.compile(r"(\w+)\s*=\s*(.+)", re.DOTALL)
_QUOTED = r"""'[^']*'|"(?:\\.|[^"\\])*\""""
_DEFAULT = re.compile(rf"\s*=\s*({_QUOTED}|.*?)\s*(?:\bwhen\b(.*))?", re.DOTALL)
_WHEN = re.compile(r"\s*when\b(.*)", re.DOTALL)
_TOKEN = re.compile(rf"\s*({_QUOTED}|\||=|[^\s|='\"][^\s|=]*)")
_BETWEEN = re.compile(r"([^\s|'\"]*?)\.\.([^\s|'\"]*)")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_CONDITIONS = "write when opt=sgd, opt=sgd|adam or depth=2..5, several joined by and"
_PLAIN = re.compile(r"[^\s,()|='\"]+")
_TYPES = re.compile(r"\b(Float|Int|Choice|Normal|LogNormal)\b")


def space(texts: Iterable[str], where: Sequence[str] = ()) -> Space:
    """Return the space of parameters such as "layers=int(1, 8)"; UsageError says what is wrong."""
    distributions: dict[str, Distribution] = {}
    defaults: dict[str, object] = {}
    for text in texts:
        name, distribution, default = _parameter(text)
        if name in distributions:
            raise UsageError(f"--param {name}=… is given twice: give it once")
        distributions[name] = distribution
        if default is not MISSING:
            defaults[name] = default
    try:
        return Space.of(distributions, defaults, where)
    except SpaceError as error:
        raise UsageError(_as_typed(str(error))) from None


def decimal(text: str) -> float | str:
    """Return `.5` and `1.`, which are no JSON, as numbers; anything else as it is."""
    return float(text) if _DECIMAL.fullmatch(text) else text


def value(text: str) -> object:
    """Return a number, true, false, null or a quoted text; what is none of these is its text."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1]
    try:
        found = json.loads(text)
    except ValueError:
        return decimal(text)
    return text if isinstance(found, (list, dict)) else found


def written(parameter: Parameter) -> str:
    """Return a parameter as it is written on the command line, without its name.

    `float(1e-4, 1, log) = 0.1 when opt=sgd`; a prior, which cannot be written there, as for Python.
    """
    text = _call(parameter.distribution.to_json())
    if parameter.default is not MISSING:
        text += f" = {exact(parameter.default)}"
    conditions = " and ".join(sorted(map(_said, parameter.conditions)))
    return f"{text} when {conditions}" if conditions else text


def _call(entry: Mapping[str, object]) -> str:
    """Return a distribution's arguments as a call: float(0, 1, step=0.5)."""
    places = ("low", "high") if "mean" not in entry else ("mean", "sd")
    options = entry.get("options")
    parts = list(map(exact, options)) if isinstance(options, list) else []
    for name, argument in entry.items():
        if name in {"type", "options"}:
            continue
        if name == "log":
            parts.append("log")
        elif isinstance(argument, Mapping):
            parts.append(f"{name}={_call(argument)}")
        else:
            parts.append(exact(argument) if name in places else f"{name}={exact(argument)}")
    return f"{entry['type']}({', '.join(parts)})"


def _said(condition: Condition) -> str:
    between = condition.between
    if between is None:
        return f"{condition.name}={'|'.join(map(exact, condition.values or ()))}"
    low, high = ("" if end is None else exact(end) for end in (between.low, between.high))
    return f"{condition.name}={low}..{high}"


def exact(given: object) -> str:
    """Return what `value` reads as the same value again; 1 and 1.0 are the same."""
    is_plain = isinstance(given, str) and _PLAIN.fullmatch(given) and value(given) == given
    return str(given) if is_plain else json.dumps(_same(given), ensure_ascii=False, sort_keys=True)


def _same(given: object) -> object:
    if isinstance(given, float) and given.is_integer() and abs(given) < 1e15:
        return int(given)
    if isinstance(given, list):
        return [_same(each) for each in given]
    if isinstance(given, dict):
        return {name: _same(each) for name, each in given.items()}
    return given


def _parameter(text: str) -> tuple[str, Distribution, object]:
    start = _START.match(text)
    if start is None:
        raise UsageError(f"--param {text!r} is no NAME=KIND(…): {_EXAMPLE}")
    name, kind = start.groups()
    if kind not in KINDS:
        raise UsageError(
            f"--param {name}: there is no kind {kind!r}: use one of {', '.join(KINDS)}"
        )
    arguments, rest = _arguments(name, text[start.end() :])
    told, conditions = _told(name, rest.strip())
    default = MISSING if told is None else value(told)
    if default == "":
        raise UsageError(f"--param {name}: no value follows the last =: {_EXAMPLE}")
    when = None if conditions is None else _when(name, conditions)
    return name, _distribution(name, kind, arguments, when), default


def _told(name: str, rest: str) -> tuple[str | None, str | None]:
    """Return the texts of the default and of the conditions, None where there are none."""
    told, alone = _DEFAULT.fullmatch(rest), _WHEN.fullmatch(rest)
    if told is not None:
        return told[1], told[2]
    if rest and alone is None:
        raise UsageError(
            f"--param {name}: {rest!r} follows the range: write a default as = VALUE, and a "
            "condition as when NAME=VALUE"
        )
    return None, None if alone is None else alone[1]


def _when(name: str, text: str) -> dict[str, object]:
    """Return conditions such as "opt=sgd|adam and depth=2..": name -> values, or a range."""
    found: dict[str, object] = {}
    tokens = _tokens(name, text.strip())
    while not found or tokens:
        if found and tokens.pop(0) != "and":
            raise UsageError(f"--param {name}: {text.strip()!r} lacks an and: {_CONDITIONS}")
        other, sign, *tokens = [*tokens, "", ""]
        values, tokens = _values([token for token in tokens if token])
        if not other.isidentifier() or sign != "=" or not values:
            raise UsageError(f"--param {name}: {text.strip()!r} is no condition: {_CONDITIONS}")
        if other in found:
            raise UsageError(f"--param {name}: {other} is in two conditions: {_CONDITIONS}")
        found[other] = _wanted(name, values)
    return found


def _tokens(name: str, text: str) -> list[str]:
    found, end = [], 0
    while end < len(text):
        token = _TOKEN.match(text, end)
        if token is None:
            raise UsageError(f"--param {name}: a quote is not closed in {text!r}: {_CONDITIONS}")
        found.append(token[1])
        end = token.end()
    return found


def _values(tokens: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the values at the beginning, between which is |, and what comes after them."""
    values, rest = list(tokens[:1]), list(tokens[1:])
    while rest[:1] == ["|"]:
        values, rest = values + (rest[1:2] or ["|"]), rest[2:]
    return [] if {"|", "="} & set(values) else values, rest


def _wanted(name: str, texts: Sequence[str]) -> object:
    """Return a list of values, or the range LOW..HIGH, either of whose ends may be left out."""
    span = _BETWEEN.fullmatch(texts[0]) if len(texts) == 1 else None
    if span is None or not any(span.groups()):
        return [value(text) for text in texts]
    ends = [value(end) if end else None for end in span.groups()]
    for end in ends:
        if isinstance(end, (str, bool)):
            raise UsageError(f"--param {name}: {shown(end)} is no end of a range: {_CONDITIONS}")
    low, high = ends
    return Between(low, high)  # type: ignore[arg-type]


def _arguments(name: str, text: str) -> tuple[list[str], str]:
    """Split what follows an opening parenthesis at its commas; quoted ones do not count."""
    parts, quote, escaped = [""], "", False
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote and not escaped else quote
            escaped = letter == "\\" and not escaped
        elif letter in "\"'" and not parts[-1].strip():
            quote = letter
        elif letter == ",":
            parts.append("")
            continue
        elif letter == ")":
            found = [part.strip() for part in parts]
            return ([] if found == [""] else found), text[place + 1 :]
        parts[-1] += letter
    missing = f"the quote {quote} is not closed" if quote else "its parenthesis is not closed"
    raise UsageError(f"--param {name}: {missing}: {_EXAMPLE}")


def _distribution(
    name: str, kind: str, arguments: Sequence[str], when: dict[str, object] | None
) -> Distribution:
    positional: list[object] = []
    keywords: dict[str, object] = {}
    flags = {"log"} if kind in {"float", "int"} else set()
    unsaid = {"options", "when", "prior"}
    known = [k for k in inspect.signature(KINDS[kind]).parameters if k not in unsaid]
    for text in arguments:
        if not text:
            raise UsageError(f"--param {name}: nothing stands between two commas: {_EXAMPLE}")
        keyword = _KEYWORD.fullmatch(text) if text[0] not in "\"'" else None
        key, told = (text, True) if text in flags else keyword.groups() if keyword else ("", text)
        if key and key not in known:
            raise UsageError(
                f"--param {name}: {kind} has no {key!r}: it has {', '.join(known)}"
                + (f'; write "{text}" in quotes for an option' if kind == "choice" else "")
                + ("; a condition follows the parenthesis: when NAME=VALUE" * (key == "when"))
            )
        if key in keywords:
            raise UsageError(f"--param {name}: {key} is given twice: give it once")
        if key:
            keywords[key] = told if told is True else value(str(told))
        else:
            positional.append(value(text))
    if kind != "choice":
        _check_numbers(name, kind, [*positional, *keywords.values()])
    if when is not None:
        keywords["when"] = when
    try:
        if kind != "choice" and len(positional) > len(known):
            raise TypeError
        return KINDS[kind](*positional, **keywords)  # type: ignore[arg-type]
    except TypeError:
        least = "a, b" if kind == "choice" else ", ".join(known[:2])
        raise UsageError(
            f"--param {name}: {kind}({', '.join(arguments)}) has too few or too many numbers: "
            f"write {kind}({least})"
        ) from None


def _check_numbers(name: str, kind: str, values: Iterable[object]) -> None:
    for given in values:
        if isinstance(given, str):
            raise UsageError(f"--param {name}: {shown(given)} in {kind}(…) is not a number")


def _as_typed(message: str) -> str:
    """Return what is said of a space with the names that are used on the command line."""
    return _TYPES.sub(lambda found: found[0].lower(), message)
