"""Files beside a study: what its trials have saved and is too large for the study's own file.

Each trial has a folder, named after its number and a digest, so that no other study and no other
configuration finds it. Names are made of numbers: nothing in a study says where a file lies.
A file or folder gets its name when it is complete and on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tinytune.digest import digest
from tinytune.errors import StudyFileError

_CHUNK = 1 << 20  # bytes
_MOST_TRIES = 100


class UnreadableError(Exception):
    """What was to be read or copied is not there, or is neither a file nor a folder."""


def root(study: Path) -> Path:
    """Return the folder for all trials of a study, unless its user names another one."""
    return Path(f"{study.absolute()}.checkpoints")


def folder(root: Path, created: float, number: int, params: Mapping[str, object]) -> Path:
    """Return the folder of one trial; `created` is the study's."""
    key = digest(created, json.dumps(params, sort_keys=True))[:12]
    return root / f"{number}-{key}"


def number_of(folder: Path) -> int | None:
    """Return the number of the trial that a folder may belong to."""
    number, _, key = folder.name.partition("-")
    return int(number) if number.isdecimal() and len(number) < 20 and len(key) == 12 else None


def make(folder: Path) -> None:
    """Make a trial's folder, if it is not there; StudyFileError where it cannot be made."""
    with _writing(folder):
        for _ in range(_MOST_TRIES):
            with suppress(FileNotFoundError):  # another worker has just removed the empty parent
                folder.mkdir(parents=True, exist_ok=True)
                break


def put(folder: Path, name: str, state: bytes | Path) -> tuple[int, str]:
    """Write bytes, or a copy of a file or folder, in one step; return size and SHA-256.

    StudyFileError, and nothing is left, where it cannot be written; UnreadableError where there is
    nothing to be copied.
    """
    make(folder)
    if isinstance(state, Path) and folder.resolve().is_relative_to(state.resolve()):
        raise UnreadableError(f"{state} holds the checkpoints themselves: name a folder within")
    temporary = folder / f".{name}.new"
    try:
        with _writing(folder):
            found = _copy(state, temporary, is_ours=False, durable=True)
            remove(folder / name)  # of another history of this study, restored from a copy
            temporary.rename(folder / name)
            _sync(folder)
            _sync(folder.parent)
    except BaseException:
        remove(temporary)
        raise
    return found


def take_out(state: bytes | Path, target: Path) -> str:
    """Write bytes, or a copy of what `put` has written, to a place; return the SHA-256.

    StudyFileError where it cannot be written; UnreadableError where it cannot be read.
    """
    make(target.parent)
    with _writing(target.parent):
        _, sha256 = _copy(state, target, is_ours=True)
    return sha256


def _copy(
    state: bytes | Path, target: Path, *, is_ours: bool, durable: bool = False
) -> tuple[int, str]:
    """Return size and SHA-256; of a folder that is of the JSON list of its [path, SHA-256].

    Links to files are followed in what is the user's; what is ours has none.
    """
    remove(target)
    if isinstance(state, bytes):
        return _copy_file(iter([state]), target, durable=durable)
    if not stat.S_ISDIR(_mode(state, is_ours=is_ours)):
        return _copy_file(_chunks(state, is_ours=is_ours), target, durable=durable)
    total = 0
    listed: list[tuple[str, str]] = []
    for place, source in _files(state, Path(), is_ours=is_ours):
        if source is None:
            (target / place).mkdir()
            listed.append((place.as_posix(), ""))
            continue
        size, sha256 = _copy_file(_chunks(source, is_ours=is_ours), target / place, durable=durable)
        total += size
        listed.append((place.as_posix(), sha256))
    if durable:
        for inner, _, _ in os.walk(target, topdown=False):
            _sync(Path(inner))
    return total, hashlib.sha256(json.dumps(sorted(listed)).encode()).hexdigest()


def read(path: Path, most: int | None = None, *, is_ours: bool) -> bytes:
    """Return a file's content, or a little more than the first `most` bytes of a larger one."""
    found = bytearray()
    for chunk in _chunks(path, is_ours=is_ours):
        found += chunk
        if most is not None and len(found) > most:
            break
    return bytes(found)


def is_folder(path: Path) -> bool:
    """Return whether there is a folder; UnreadableError where there is neither that nor a file."""
    return stat.S_ISDIR(_mode(path, is_ours=False))


def tidy(folder: Path, names: set[str]) -> None:
    """Remove everything from a trial's folder but what has these names, as far as possible."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name not in names:
                remove(path)
    leave(folder)


def leave(folder: Path) -> None:
    """Remove a trial's folder if it is empty, and the folder of all trials likewise."""
    with suppress(OSError):
        folder.rmdir()
        folder.parent.rmdir()


def drop(folder: Path) -> None:
    """Remove a trial's folder with what is in it, as far as possible."""
    remove(folder)
    with suppress(OSError):
        folder.parent.rmdir()


def copy_all(root: Path, target: Path) -> None:
    """Copy the folders of all trials, as far as they are still there when it comes to them."""
    import shutil  # slow to load

    with _writing(target), suppress(FileNotFoundError):
        try:
            shutil.copytree(root, target, symlinks=True)
        except shutil.Error as error:  # a list of (source, target, reason)
            gone = [not Path(source).exists() for source, *_ in error.args[0]]
            if not all(gone):
                raise OSError(None, error.args[0][gone.index(False)][2]) from error


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there, as far as possible."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            import shutil  # slow to load

            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _files(top: Path, place: Path, *, is_ours: bool) -> Iterator[tuple[Path, Path | None]]:
    """Yield the place of each folder, with None, and of each file within, with its path."""
    yield place, None
    with _reading(top / place):
        paths = sorted((top / place).iterdir())
    for path in paths:
        if not stat.S_ISDIR(_mode(path, is_ours=is_ours)):
            yield place / path.name, path
        elif path.is_symlink():
            raise UnreadableError(f"{path} is a link to a folder: leave it out, or copy that")
        else:
            yield from _files(top, place / path.name, is_ours=is_ours)


def _mode(path: Path, *, is_ours: bool) -> int:
    with _reading(path):
        mode = path.stat(follow_symlinks=not is_ours).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # to open a pipe could take for ever
        raise UnreadableError(f"{path} is neither a file nor a folder")
    return mode


def _chunks(path: Path, *, is_ours: bool) -> Iterator[bytes]:
    _mode(path, is_ours=is_ours)
    flags = os.O_RDONLY | os.O_CLOEXEC | (os.O_NOFOLLOW if is_ours else 0)
    with _reading(path):
        descriptor = os.open(path, flags)
    try:
        while True:
            with _reading(path):
                chunk = os.read(descriptor, _CHUNK)
            if not chunk:
                return
            yield chunk
    finally:
        os.close(descriptor)


def _copy_file(chunks: Iterator[bytes], target: Path, *, durable: bool) -> tuple[int, str]:
    hashed, size = hashlib.sha256(), 0
    with target.open("xb") as file:
        for chunk in chunks:
            file.write(chunk)
            hashed.update(chunk)
            size += len(chunk)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    return size, hashed.hexdigest()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        there = "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise UnreadableError(f"{path} {there} ({error.strerror})") from error


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StudyFileError(
            f"checkpoints cannot be written to {folder}: {error.strerror}: "
            "make room there, or name another folder with --checkpoints, then resume"
        ) from error
