"""What a trial's results have to meet: `memory_mb <= 800`, `2 * inference_ms < 1000`.

Not a constraint of the space: whether it is met is known when the trial has ended.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tinytune import expression
from tinytune.errors import UsageError
from tinytune.expression import Expression, ExpressionError

_LEAST = 1e-300  # a violation, however small, is one
_EXAMPLE = 'write a comparison of results, such as "memory_mb <= 800"'


@dataclass(frozen=True)
class Requirement:
    """A comparison of two sides, of which the smaller one has to be on the left."""

    text: str
    names: frozenset[str]
    whole: Expression
    small: Expression
    large: Expression

    def violation(self, values: Mapping[str, float]) -> float:
        """Return by how much it is missed, as a part of its limit; 0 where it is met.

        A limit between -1 and 1 is taken as 1 or -1. ExpressionError where it cannot be computed.
        """
        if self.whole.holds(values):
            return 0.0
        return max(self.excess(values), _LEAST)

    def excess(self, values: Mapping[str, float]) -> float:
        """Return by how much it is missed, as a part of its limit; below 0 by how much it is met.

        ExpressionError where it cannot be computed.
        """
        small, large = self.small.number(values), self.large.number(values)
        excess = (small - large) / max(abs(large), 1.0)
        return min(max(excess, -1e300), 1e300) if math.isfinite(excess) else 1e300


def parse(text: str) -> Requirement:
    """Read a requirement; UsageError says what is wrong."""
    try:
        whole = expression.parse(text)
    except ExpressionError as error:
        raise UsageError(f"the requirement {error}") from None
    tree = whole.tree
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or not whole.names:
        raise UsageError(f"the requirement {text!r:.200} cannot be used: {_EXAMPLE}")
    left, right = (Expression(text, whole.names, side) for side in (tree.left, tree.comparators[0]))
    if isinstance(tree.ops[0], (ast.LtE, ast.Lt)):
        return Requirement(text, whole.names, whole, left, right)
    if isinstance(tree.ops[0], (ast.GtE, ast.Gt)):
        return Requirement(text, whole.names, whole, right, left)
    raise UsageError(f"the requirement {text!r:.200} is no <=, <, >= or >: {_EXAMPLE}")


def parsed(texts: Iterable[str]) -> tuple[Requirement, ...]:
    """Read some requirements; UsageError says what is wrong with one."""
    return tuple(parse(text) for text in texts)


def names(requirements: Sequence[Requirement]) -> list[str]:
    """Return the names of the results that some requirements look at."""
    return sorted({name for requirement in requirements for name in requirement.names})


def excesses(
    requirements: Sequence[Requirement], values: Mapping[str, float]
) -> tuple[float | None, ...]:
    """Return by how much each is missed, negative where it is met; None where not known."""
    found: list[float | None] = []
    for requirement in requirements:
        try:
            found.append(requirement.excess(values))
        except ExpressionError:
            found.append(None)
    return tuple(found)


def violation(requirements: Sequence[Requirement], values: Mapping[str, float]) -> float:
    """Return by how much requirements are missed in all; 0 where all of them are met."""
    total = 0.0
    for requirement in requirements:
        total += requirement.violation(values)
    return min(total, 1e300)
