"""Digests of a study's rows: what is changed in the file afterwards, by accident or hand, shows.

Each attempt that ends becomes a link of a chain, in the order of ticks: a digest of its trial, of
what it reported and of how it ended, together with the link before it. Rows that belong to the
study as a whole are under one seal. Whoever computes all of them anew can forge a study; they show
accidents and casual edits.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from hashlib import sha256 as _sha256

START = "0" * 32  # the link before the first one


def digest(*cells: object) -> str:
    """Return the digest of some cells, as 32 hexadecimal digits; types count, not only values."""
    return _hash(cells).hexdigest()


def sha256(content: bytes) -> str:
    """Return the SHA-256 of some bytes, as 64 hexadecimal digits."""
    return _sha256(content).hexdigest()


class Sum:
    """The digest of any number of rows, whatever their order: the sum of theirs modulo 2^128."""

    def __init__(self) -> None:
        self._total = 0

    def step(self, *cells: object) -> None:
        """Add a row. The names of the two methods are those that SQLite's aggregates have."""
        self._total += int.from_bytes(_hash(cells).digest(), "big")

    def finalize(self) -> str:
        """Return the digest of all rows."""
        return f"{self._total % (1 << 128):032x}"


def _hash(cells: tuple[object, ...]) -> blake2b:
    hashed = blake2b(digest_size=16, person=b"tinytune.seal")
    for cell in cells:
        if isinstance(cell, str):
            text = cell.encode("utf-8", "surrogatepass")
            hashed.update(b"t%d:" % len(text))
            hashed.update(text)
        elif isinstance(cell, float):
            hashed.update(b"r" + struct.pack("<d", cell))
        elif isinstance(cell, bytes):
            hashed.update(b"b%d:" % len(cell) + cell)
        else:
            hashed.update(b"n;" if cell is None else b"i%d;" % cell)  # type: ignore[str-format]
    return hashed
