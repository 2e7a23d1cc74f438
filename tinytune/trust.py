"""How a user's own studies are known from a stranger's.

A study names the file or module of its objective, and `resume` runs what it names. So that a
stranger's file cannot say what is run, a user who names an objective on the command line, or calls
its `tune`, leaves a mark in the study: a keyed hash of the objective's place, with a key that only
this user has. `resume` follows the study to a place only if it holds this user's mark for it.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path


def mark(place: str) -> str | None:
    """Return this user's mark for a place, None where a key can be neither read nor kept."""
    key = _key()
    if key is None:
        return None
    return blake2b(place.encode(), key=key, digest_size=16, person=b"tinytune.vouch").hexdigest()


def _key() -> bytes | None:
    """Return the user's key; it is made when it is first needed."""
    state = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    path = Path(state) / "tinytune" / "key"
    try:
        if not path.exists():
            _keep(path, os.urandom(32))  # as secrets has it, which loads much
        return path.read_bytes()[:64] or None
    except (OSError, RuntimeError):  # no home, or none that can be written
        return None


def _keep(path: Path, key: bytes) -> None:
    """Write a new key for this user alone; of several processes that do so at once, one wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"key.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, key)
    finally:
        os.close(descriptor)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
