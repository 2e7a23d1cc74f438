"""Digests of a study's rows: what is changed in the file afterwards, by accident or hand, shows.

Each attempt that ends becomes a link of a chain, in the order of ticks: a digest of its trial, of
what it reported and of how it ended, together with the link before it. Rows that belong to the
study as a whole are under one seal. Whoever computes all of them anew can forge a study; they show
accidents and casual edits.
"""

from __future__ import annotations

import struct
from typing import Any

try:
    from _blake2 import blake2b  # hashlib's own; hashlib loads OpenSSL, for 2 ms
except ImportError:
    from hashlib import blake2b

_REAL = struct.Struct("<cd").pack
__all__ = ["START", "Sum", "blake2b", "digest", "sha256"]
START = "0" * 32  # the link before the first one


def digest(*cells: object) -> str:
    """Return the digest of some cells, as 32 hexadecimal digits; types count, not only values."""
    return _hash(cells).hex()


def sha256(content: bytes) -> str:
    """Return the SHA-256 of some bytes, as 64 hexadecimal digits."""
    import hashlib

    return hashlib.sha256(content).hexdigest()


class Sum:
    """The digest of any number of rows, whatever their order: the sum of theirs modulo 2^128."""

    def __init__(self) -> None:
        self._total = 0

    def step(self, *cells: object) -> None:
        """Add a row. The names of the two methods are those that SQLite's aggregates have."""
        self._total += int.from_bytes(_hash(cells), "big")

    def finalize(self) -> str:
        """Return the digest of all rows."""
        return f"{self._total % (1 << 128):032x}"


def _hash(cells: tuple[Any, ...]) -> bytes:
    parts = []
    for cell in cells:  # several dozen for each trial: they are told apart, and hashed, at once
        kind = type(cell)
        if kind is str:
            text = cell.encode("utf-8", "surrogatepass")
            parts.append(b"t%d:%b" % (len(text), text))
        elif kind is int:
            parts.append(b"i%d;" % cell)
        elif kind is float:
            parts.append(_REAL(b"r", cell + 0.0))  # SQLite keeps no -0.0
        elif cell is None:
            parts.append(b"n;")
        else:
            parts.append(_rare(cell))
    return blake2b(b"".join(parts), digest_size=16, person=b"tinytune.seal").digest()


def _rare(cell: Any) -> bytes:
    """Return what is hashed of bytes, and of what a class derived from the others makes."""
    if isinstance(cell, str):
        text = cell.encode("utf-8", "surrogatepass")
        return b"t%d:%b" % (len(text), text)
    if isinstance(cell, float):
        return _REAL(b"r", cell + 0.0)
    return b"b%d:%b" % (len(cell), cell) if isinstance(cell, bytes) else b"i%d;" % cell
