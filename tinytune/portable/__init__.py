"""Arithmetic that gives the same bits on every machine.

`scalars` is for single numbers and needs no numpy; `arrays` has elementary functions of arrays,
`linear` the linear algebra of small matrices.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinytune.portable import scalars as scalars


def __getattr__(name: str) -> object:
    """Load `portable.scalars` when it is first used: reading most studies takes no decimals."""
    if name != "scalars":
        raise AttributeError(f"module 'tinytune.portable' has no attribute {name!r}")
    from importlib import import_module

    return import_module("tinytune.portable.scalars")
