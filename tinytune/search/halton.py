"""Halton search: a sequence that covers the space evenly, one prime number for each parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tinytune import draw
from tinytune.errors import UsageError
from tinytune.search.cube import Vector
from tinytune.search.stream import Stream
from tinytune.space import Params, Space

_LIMIT = 1 << 52  # of the cells that a coordinate tells apart, so that a float can hold them


@dataclass(frozen=True)
class Halton:
    """Options of Halton search.

    `scramble`: permute the digits by the seed (Owen 2017). Without it every seed gives the same
    points, the first in the lowest corner, and from about the eighth parameter on the points of
    short studies lie on few lines.

    Suits a first look at a space, many workers, and budgets that are no power of two. Sobol is
    more even with 2^k trials. Weak where results should guide the search.
    """

    scramble: bool = True

    name: ClassVar[str] = "halton"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = False
    exhausts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.scramble, bool):
            raise UsageError("halton: scramble must be true or false")

    def start(self, space: Space, seed: int, first: Params | None) -> Stream:
        """Return the search at work; `first` is trial 0, the sequence begins after it."""
        names = [parameter.name for parameter in space.parameters]
        digits = Digits(names, seed if self.scramble else None)
        return Stream(space, seed, first, "halton", digits.point)


class Digits:
    """The points of Halton's sequence: index n's digits in base b, in reverse, behind the point.

    Coordinate i has the i-th prime as its base and as many digits as a float can hold; then it
    begins anew. With a seed each digit is sent through a random permutation of its own, which
    depends on the coordinate's name and the digit's place (Owen 2017, "A randomized Halton
    algorithm in R"): every permutation of a digit keeps the sequence's evenness.
    """

    def __init__(self, names: list[str], seed: int | None) -> None:
        bases = primes(len(names))
        lengths = [_length(base) for base in bases]
        self._bases = np.array(bases)[:, np.newaxis]  # (d, 1)
        self._cells = np.array([b**n for b, n in zip(bases, lengths, strict=True)])  # (d,)
        self._has_middle = seed is not None
        shape = len(names), max(lengths)
        self._powers = np.ones(shape, dtype=np.int64)  # (d, digits): what to divide an index by
        self._starts = np.zeros(shape, dtype=np.int64)  # (d, digits): of a digit's own table
        tables = [np.zeros(max(bases), dtype=np.int64)]  # for the digits that a coordinate lacks
        start = max(bases)
        for row, (name, base, length) in enumerate(zip(names, bases, lengths, strict=True)):
            for place in range(length):
                self._powers[row, place] = base**place
                self._starts[row, place] = start + place * base
            tables.append(_values(name, base, length, seed).ravel())
            start += length * base
        self._values = np.concatenate(tables)

    def point(self, index: int) -> Vector:
        """Return one point, shape (d,); a scrambled one is in the middle of its cell."""
        digits = index // self._powers % self._bases
        cells = self._values[self._starts + digits].sum(axis=1)  # whole numbers: exact
        units: Vector = (cells + 0.5 if self._has_middle else cells) / self._cells
        return units


def primes(count: int) -> list[int]:
    """Return the first prime numbers."""
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _length(base: int) -> int:
    """Return how many digits tell apart at most _LIMIT cells."""
    length = 1
    while base ** (length + 1) <= _LIMIT:
        length += 1
    return length


def _values(name: str, base: int, length: int, seed: int | None) -> NDArray[np.int64]:
    """Return what each digit adds to the cell's number at each place; shape (length, base)."""
    digits = np.tile(np.arange(base), (length, 1))
    if seed is not None:  # the order of random words is a random permutation
        words = draw.bits(length * base, seed, 0, "halton digits", name).reshape(length, base)
        digits = np.argsort(words, axis=1, kind="stable")
    weights = np.array([base**place for place in reversed(range(length))])
    values: NDArray[np.int64] = digits * weights[:, np.newaxis]
    return values
