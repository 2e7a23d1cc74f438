"""The searches and the stopping rules, told to people: what their own files say of them."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import textwrap
from dataclasses import dataclass

from tinytune import search, stopping
from tinytune.search.reasons import REASONS

WIDTH = 96


@dataclass(frozen=True)
class Described:
    """A search, or a stopping rule, as its file describes it."""

    name: str
    summary: str
    details: str
    options: dict[str, object]  # name -> default
    learns: bool


def described() -> list[Described]:
    """Return all searches, in the order of the table in `tinytune.search`."""
    found = ((name, search.options_class(name)) for name in search.names())
    return [_described(name, options, learns=options.learns) for name, options in found]


def described_rules() -> list[Described]:
    """Return all stopping rules, in the order of the table in `tinytune.stopping`."""
    found = ((name, stopping.options_class(name)) for name in stopping.names())
    return [_described(name, options, learns=options.looks) for name, options in found]


def _described(name: str, options: type, *, learns: bool) -> Described:
    module = sys.modules[options.__module__]
    return Described(
        name,
        (inspect.getdoc(module) or "").partition("\n\n")[0].replace("\n", " "),
        inspect.getdoc(options) or "",
        {field.name: _default(field) for field in dataclasses.fields(options)},
        learns,
    )


def text(found: list[Described]) -> str:
    """Return one line for each, then each with its options."""
    width = max(len(each.name) for each in found)
    lines = [f"{each.name:<{width}}  {each.summary}" for each in found]
    for each in found:
        options = ", ".join(f"{name}={_shown(value)}" for name, value in each.options.items())
        lines += ["", f"{each.name}({options})"]
        for paragraph in each.details.split("\n\n"):
            lines.append(
                textwrap.fill(
                    paragraph.replace("\n", " "), WIDTH, initial_indent="  ", subsequent_indent="  "
                )
            )
    return "\n".join(lines)


def _default(field: dataclasses.Field[object]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def at_work(label: str | None) -> str | None:
    """Return which search an automatic choice has taken, and why; None if there was no choice."""
    _, _, chosen = (label or "").partition(" ")
    name = chosen.partition("/")[0]
    return f"{name}: {REASONS[name]}" if name in REASONS else None
