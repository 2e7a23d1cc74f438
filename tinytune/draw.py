"""All of tinytune's random numbers: each is a pure function of what it is for.

A number's key is a hash of (seed, trial, purpose, name, draw). So a parameter that is added, a
trial that is repeated or a process that died shifts no other number; and no global random state
is read or changed.
"""

from __future__ import annotations

import struct
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from tinytune.digest import blake2b

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Philox
    from numpy.typing import NDArray

_pack = struct.Struct("<QqQ").pack
SEED_LIMIT = 1 << 63  # seeds fit a signed SQLite integer


def key(seed: int, number: int, purpose: str, name: str = "", draw: int = 0) -> int:
    """Return 128 random bits for one purpose; `number` is the trial's, below 0 for a lesson."""
    return int.from_bytes(_digest(seed, number, purpose, name, draw), "little")


def _digest(seed: int, number: int, purpose: str, name: str, draw: int) -> bytes:
    text = _pack(seed, number, draw) + f"{purpose}\0{name}".encode()
    return blake2b(text, digest_size=16, person=b"tinytune.v1").digest()


def uniform(seed: int, number: int, purpose: str, name: str = "", draw: int = 0) -> float:
    """Return a number strictly between 0 and 1, one of 2^52 equally likely and evenly spaced."""
    found = int.from_bytes(_digest(seed, number, purpose, name, draw), "little")
    return ((found >> 76) + 0.5) * 2.0**-52


def uniform_each(
    seed: int, number: int, purpose: str, names: tuple[str, ...], draw: int = 0
) -> list[float]:
    """Return what `uniform` does for each of some names, in half the time."""
    start = _pack(seed, number, draw)
    found = (
        blake2b(start + name, digest_size=16, person=b"tinytune.v1").digest()
        for name in _encoded(purpose, names)
    )
    return [((int.from_bytes(key, "little") >> 76) + 0.5) * 2.0**-52 for key in found]


@lru_cache(maxsize=64)
def _encoded(purpose: str, names: tuple[str, ...]) -> list[bytes]:
    return [f"{purpose}\0{name}".encode() for name in names]


def bits(
    count: int, seed: int, number: int, purpose: str, name: str = "", draw: int = 0
) -> NDArray[np.uint64]:
    """Return `count` random 64-bit words, shape (count,), from one key.

    They are Philox 4x64-10's raw stream (Salmon et al. 2011), which numpy promises to keep.
    """
    return _stream.at(_digest(seed, number, purpose, name, draw)).random_raw(count)


class _Stream(threading.local):
    """One generator for each thread, set to a key each time: to make one takes ten times longer."""

    philox: Philox | None = None

    def at(self, key: bytes) -> Philox:
        """Return the generator at the beginning of the stream of a key of 16 bytes."""
        import numpy as np

        if self.philox is None:
            self.philox = np.random.Philox(key=0)
            self.start = np.zeros(4, dtype=np.uint64)
        self.philox.state = {
            "bit_generator": "Philox",
            "state": {"counter": self.start, "key": np.frombuffer(key, dtype="<u8")},
            "buffer": self.start, "buffer_pos": 4, "has_uint32": 0, "uinteger": 0,
        }  # fmt: skip
        return self.philox


_stream = _Stream()


def uniforms(
    count: int, seed: int, number: int, purpose: str, name: str = "", draw: int = 0
) -> NDArray[np.float64]:
    """Return `count` numbers strictly between 0 and 1, shape (count,), from one key."""
    words = bits(count, seed, number, purpose, name, draw) >> 12
    return (words.astype("float64") + 0.5) * 2.0**-52


def normals(
    count: int, seed: int, number: int, purpose: str, name: str = "", draw: int = 0
) -> NDArray[np.float64]:
    """Return `count` standard normal numbers, shape (count,), from one key, by inversion."""
    from tinytune.portable.arrays import normal_quantile

    return normal_quantile(uniforms(count, seed, number, purpose, name, draw))


def below(limit: int, seed: int, number: int, purpose: str) -> int:
    """Return an integer from 0 to limit - 1; up to a limit of 2^100 without visible bias."""
    return (key(seed, number, purpose) * limit) >> 128


def trial_seed(seed: int, number: int) -> int:
    """Return the seed that a trial's objective gets for its own use, 0 to 2^32 - 1."""
    return key(seed, number, "objective") >> 96


def repeat_seed(seed: int, repeat: int) -> int:
    """Return the seed of a trial's further run, 1 or above; `seed` is the trial's, the first's."""
    return key(seed, repeat, "repeat") >> 96


def confirm_seed(seed: int, repeat: int) -> int:
    """Return the seed of a run that confirms a configuration: the same for all configurations."""
    return key(seed, repeat, "confirm") >> 96


def later_seed(seed: int, number: int) -> int:
    """Return the seed of a search that begins anew with a later trial, 0 to 2^63 - 1."""
    return key(seed, number, "search") >> 65


def permuted(index: int, size: int, seed: int, purpose: str) -> int:
    """Return where `index` lands in a random order of range(size), without building that order.

    A Feistel network of six rounds is a bijection on a square of at least `size` cells; what
    lands outside of the range is sent on until it lands inside (Black and Rogaway 2002).
    """
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    while True:
        left, right = index >> half_bits, index & ((1 << half_bits) - 1)
        for turn in range(6):
            left, right = right, left ^ _mixed(right, half_bits, seed, turn, purpose)
        index = left << half_bits | right
        if index < size:
            return index


def _mixed(half: int, bits: int, seed: int, turn: int, purpose: str) -> int:
    """Return as many random bits as a half has, 128 from each key."""
    mixed = 0
    for draw in range((bits + 127) // 128):
        mixed |= key(seed, turn, purpose, str(half), draw) << 128 * draw
    return mixed & ((1 << bits) - 1)
