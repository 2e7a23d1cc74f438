"""Reads what is chosen by its name: `cma-es(sigma=0.3)`, `median(grace=5)`."""

from __future__ import annotations

import ast
from contextlib import suppress

from tinytune.errors import UsageError


def parse(text: str, what: str) -> tuple[str, dict[str, object]]:
    """Read `name` or `name(option=value, …)`; UsageError where it is neither."""
    name, bracket, rest = text.strip().partition("(")
    with suppress(SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        tree = ast.parse(name.replace("-", "_") + bracket + rest, mode="eval").body
        if isinstance(tree, ast.Name):
            return name.strip(), {}
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.args:
            options = {keyword.arg: _literal(keyword.value) for keyword in tree.keywords}
            if None not in options and len(options) == len(tree.keywords):
                return name.strip(), {str(option): value for option, value in options.items()}
    raise UsageError(f"{text!r} is not a {what}: write a name, or name(option=value)")


def _literal(node: ast.expr) -> object:
    """A Python literal; a bare word is text, except true and false."""
    if isinstance(node, ast.Name):
        return {"true": True, "false": False}.get(node.id.lower(), node.id)
    value: object = ast.literal_eval(node)
    return value
