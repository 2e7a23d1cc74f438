"""Sobol search: a sequence that covers the space evenly, at every length and without learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tinytune import draw
from tinytune.errors import UsageError
from tinytune.search.cube import Vector
from tinytune.search.directions import BITS, MOST, directions
from tinytune.search.stream import Stream
from tinytune.space import Params, Space

Words = NDArray[np.uint64]

_INDICES = 1 << BITS
_SHIFTS: Words = np.arange(BITS, 0, -1, dtype=np.uint64)  # each leaves the bits before one
_LEVELS: Words = np.uint64(1) << np.arange(BITS, dtype=np.uint64)
_DIGITS: Words = np.arange(BITS - 1, -1, -1, dtype=np.uint64)
_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64's constants
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class Sobol:
    """Options of Sobol search.

    `scramble`: shuffle the sequence by the seed (Owen's nested uniform scrambling), which keeps
    its evenness. Without it every seed gives the same points, the first in the lowest corner.

    Suits a first look at a space, many workers, and budgets of 2^k trials (one more with the
    defaults): each part of 1/2^k of a parameter's range then gets one trial. Parameters past the
    128th are drawn at random. Weak where results should guide the search.
    """

    scramble: bool = True

    name: ClassVar[str] = "sobol"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = False
    exhausts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.scramble, bool):
            raise UsageError("sobol: scramble must be true or false")

    def start(self, space: Space, seed: int, first: Params | None) -> Stream:
        """Return the search at work; `first` is trial 0, the sequence begins after it."""
        names = [parameter.name for parameter in space.parameters]
        even, others = names[:MOST], names[MOST:]
        keys = np.array([_key(seed, name) for name in even], dtype=np.uint64)

        def place(index: int) -> Vector:
            words = point(index, len(even))
            if self.scramble:  # the middles of cells, strictly between 0 and 1
                units = (scrambled(words, keys).astype(np.float64) + 0.5) * 2.0**-BITS
            else:
                units = words.astype(np.float64) * 2.0**-BITS
            if not others:
                return units
            more = [draw.uniform(seed, index, "sobol rest", name) for name in others]
            return np.array([*units, *more])

        return Stream(space, seed, first, "sobol", place)


def point(index: int, dimensions: int) -> Words:
    """Return one point of Sobol's sequence, times 2^BITS; shape (dimensions,).

    Points come in the order of Gray's code (Antonov and Saleev 1979), as in most libraries. The
    sequence begins anew after 2^BITS points.
    """
    index %= _INDICES
    gray = index ^ index >> 1
    places = [place for place in range(gray.bit_length()) if gray >> place & 1]
    chosen = directions(dimensions)[places]
    words: Words = np.bitwise_xor.reduce(chosen, axis=0)
    return words


def scrambled(words: Words, keys: Words) -> Words:
    """Return coordinates after Owen's nested uniform scrambling (1995); shape (d,), as both.

    Each bit is flipped or not by a coin that belongs to the bits before it: to one node of a
    binary tree, the k-th bit's nodes being numbered from 2^k. The coins of a coordinate are the
    highest bits of SplitMix64's stream (Steele, Lea and Flood 2014) from its key, by node.
    """
    nodes: Words = (words[:, np.newaxis] >> _SHIFTS) | _LEVELS  # (d, BITS)
    mixed: Words = keys[:, np.newaxis] + nodes * _GAMMA
    mixed = (mixed ^ mixed >> np.uint64(30)) * _MIX_1
    mixed = (mixed ^ mixed >> np.uint64(27)) * _MIX_2
    coins = (mixed ^ mixed >> np.uint64(31)) >> np.uint64(63)
    flips: Words = (coins << _DIGITS).sum(axis=1, dtype=np.uint64)
    return words ^ flips


def _key(seed: int, name: str) -> int:
    return draw.key(seed, 0, "sobol scramble", name) >> 64
