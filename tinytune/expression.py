"""A small, safe language for constraints: `batch * width <= 8192 and optimizer != "sgd"`.

Python's own parser reads the text; the tree is walked here, once, and never given to `eval`. Only
comparisons, arithmetic, and/or/not, `in`, and abs, min and max exist; nothing can be called,
looked up or made large, so that a text from a stranger's file is safe too.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

Compiled: TypeAlias = Callable[[Mapping[str, object]], Any]
"""From the parameters' values to that of an expression."""

LONGEST = 1000  # characters
DEEPEST = 200  # levels: far from Python's own limit, which depends on the caller
LARGEST_POWER = 64
LARGEST_BITS = 4096  # of a power, since powers of powers could fill the memory

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
_FUNCTIONS: dict[str, tuple[Callable[..., Any], range]] = {  # and how many arguments they take
    "abs": (abs, range(1, 2)), "min": (min, range(2, LONGEST)), "max": (max, range(2, LONGEST)),
}  # fmt: skip
_ALLOWED = "comparisons, + - * / // % **, and, or, not, in, abs(a), min(a, b), max(a, b)"


class ExpressionError(ValueError):
    """A constraint's text cannot be read, or its values do not go together."""


@dataclass(frozen=True)
class Expression:
    """A constraint: its text, and the names of the parameters in it."""

    text: str
    names: frozenset[str]
    tree: ast.expr = field(compare=False, repr=False)

    @cached_property
    def _value(self) -> Compiled:
        return _compiled(self.tree)

    def holds(self, params: Mapping[str, object]) -> bool:
        """Return whether the constraint holds; ExpressionError where it cannot be computed."""
        try:
            return bool(self._value(params))
        except (TypeError, OverflowError) as error:
            raise ExpressionError(f"{self.text!r} cannot be computed: {error}") from error
        except ZeroDivisionError:
            return False

    def number(self, values: Mapping[str, object]) -> float:
        """Return the number that a side of a comparison is, infinite where that is too large.

        ExpressionError where it cannot be computed.
        """
        try:
            return float(_number(self._value(values)))
        except (OverflowError, ZeroDivisionError):
            return math.inf
        except (TypeError, KeyError) as error:
            raise ExpressionError(f"{self.text!r} cannot be computed: {error}") from error


def parse(text: str) -> Expression:
    """Read a constraint; ExpressionError says what is not allowed in it."""
    if len(text) > LONGEST:
        raise ExpressionError(
            f"{_short(text)} is longer than {LONGEST} characters: write it as several constraints"
        )
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        names = frozenset(_names(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, ExpressionError):
            raise
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise ExpressionError(
            f"{_short(text)} cannot be read ({reason}): write a comparison such as a * b <= 100"
        ) from error
    return Expression(text, names, tree)


def _short(text: str) -> str:
    return repr(text) if len(text) <= 100 else f"{text[:40]!r}…"


def _names(tree: ast.expr) -> set[str]:
    """Return the parameter names in a tree; ExpressionError where it has what is not allowed."""
    names: set[str] = set()
    waiting: list[tuple[ast.expr, int]] = [(tree, 1)]  # a node and its level
    while waiting:
        node, level = waiting.pop()
        if level > DEEPEST:
            raise RecursionError(f"more than {DEEPEST} levels")
        if isinstance(node, ast.Name):
            names.add(node.id)
        waiting += [(part, level + 1) for part in _within(node)]
    return names


def _within(node: ast.expr) -> list[ast.expr]:  # noqa: C901 - one case for each kind of node
    """Return the nodes in an allowed node."""
    match node:
        case ast.Name():
            return []
        case ast.Constant(value=value):
            if value is None or isinstance(value, (bool, int, float, str)):
                return []
        case ast.BoolOp(values=parts):
            return parts
        case ast.UnaryOp(operand=operand):
            if not isinstance(node.op, ast.Invert):
                return [operand]
        case ast.BinOp(left=left, op=op, right=right):
            if type(op) in _ARITHMETIC or _is_small_power(node):
                return [left, right]
        case ast.Compare(left=left, ops=ops, comparators=others):
            if all(type(op) in _COMPARISONS for op in ops):
                return [part for side in (left, *others) for part in _parts(side)]
        case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]):
            if len(arguments) in _FUNCTIONS.get(function, (None, ()))[1]:
                return arguments
    raise ExpressionError(f"{ast.unparse(node)!r} is not allowed in a constraint: use {_ALLOWED}")


def _parts(side: ast.expr) -> list[ast.expr]:
    """Return what a side of a comparison compares.

    Only there may a list stand: `where="a < 1, b < 2"` would be a list, which always holds.
    """
    return side.elts if isinstance(side, (ast.Tuple, ast.List)) else [side]


def _is_small_power(node: ast.BinOp) -> bool:
    """A power is repeated multiplication: its exponent is written out, and small."""
    exponent = node.right.value if isinstance(node.right, ast.Constant) else None
    return (
        isinstance(node.op, ast.Pow)
        and isinstance(exponent, int)
        and 0 <= exponent <= LARGEST_POWER
    )


def _compiled(node: ast.expr) -> Compiled:
    """Return the function that computes an allowed tree: searches ask for it a thousand times."""
    match node:
        case ast.Name(id=name):
            return operator.itemgetter(name)
        case ast.Constant(value=value):
            return lambda _: value
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            values = [_compiled(part) for part in parts]
            return lambda params: [value(params) for value in values]
        case ast.BoolOp(op=op, values=parts):
            return _chain([_compiled(part) for part in parts], isinstance(op, ast.Or))
        case ast.UnaryOp(op=op, operand=operand):
            return _unary(op, _compiled(operand))
        case ast.BinOp(left=left, op=op, right=right):
            function = _power if isinstance(op, ast.Pow) else _ARITHMETIC[type(op)]
            a, b = _compiled(left), _compiled(right)
            return lambda params: function(_number(a(params)), _number(b(params)))
        case ast.Compare(left=left, ops=ops, comparators=others):
            tests = [_COMPARISONS[type(op)] for op in ops]
            return _comparison(tests, [_compiled(side) for side in (left, *others)])
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _call(_FUNCTIONS[name][0], [_compiled(part) for part in arguments])
    raise ExpressionError(f"{ast.unparse(node)!r} is not allowed in a constraint")


def _chain(parts: list[Compiled], until: bool) -> Compiled:  # noqa: FBT001
    """Return the first of the values that decides, or the last: `and`, `or`."""

    def value(params: Mapping[str, object]) -> Any:
        for part in parts:
            found = part(params)
            if bool(found) == until:
                break
        return found

    return value


def _unary(op: ast.unaryop, operand: Compiled) -> Compiled:
    if isinstance(op, ast.Not):
        return lambda params: not operand(params)
    if isinstance(op, ast.USub):
        return lambda params: -_number(operand(params))
    return lambda params: _number(operand(params))


def _comparison(tests: list[Callable[[Any, Any], bool]], sides: list[Compiled]) -> Compiled:
    first, *others = sides

    def holds(params: Mapping[str, object]) -> bool:
        left = first(params)
        for test, side in zip(tests, others, strict=True):
            right = side(params)
            if not test(left, right):
                return False
            left = right
        return True

    return holds


def _call(function: Callable[..., Any], arguments: list[Compiled]) -> Compiled:
    def value(params: Mapping[str, object]) -> Any:
        numbers = []
        for argument in arguments:  # a comprehension would take another frame of the stack
            numbers.append(_number(argument(params)))  # noqa: PERF401
        return function(*numbers)

    return value


def _number(value: object) -> int | float:
    """Arithmetic is for numbers alone: text times a number could fill the memory."""
    if not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is not a number")
    return value


def _power(base: float, exponent: float) -> float:
    """Multiply, since the C library's pow differs between platforms in the last bit."""
    result: float = 1
    for _ in range(int(exponent)):
        result *= base
        if isinstance(result, int) and result.bit_length() > LARGEST_BITS:
            raise OverflowError("a power is too large")
    return result
