"""Paths and files, as far as SQLite has no part in them."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from pathlib import Path

from tinytune.errors import StudyFileError

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs"}
    | {"lustre", "beegfs", "gpfs", "fuse.sshfs"}
)


def typed(path: str | Path) -> str:
    """Return a path as it is typed in a shell, in quotes where it needs them."""
    text = str(path)
    if text.isascii() and re.sub("[-/._]", "", text).isalnum():
        return text
    import shlex  # most paths do without

    return shlex.quote(text)


def check_folder(path: Path) -> None:
    """Raise StudyFileError unless a file may stand at this path."""
    if path.name == ":memory:" or path.parts[:1] == ("sqlite:",):
        raise StudyFileError(
            f"{path} is no file: a study is kept in one, also for a short time: give its path "
            "alone, such as study.db"
        )
    try:
        is_folder, has_folder = path.is_dir(), path.parent.is_dir()
    except OSError as error:  # a folder on the way that may not be entered
        raise StudyFileError(f"{path} cannot be reached: {error.strerror}") from error
    if is_folder:
        raise StudyFileError(f"{path} is a directory: name a file, such as {path / 'study.db'}")
    if not has_folder:
        raise StudyFileError(
            f"{path} cannot be created: there is no directory {path.parent}; make it first"
        )


_descriptors: dict[tuple[int, int], int] = {}


def exists(path: Path) -> bool:
    """Return whether there is a file; StudyFileError where none could be."""
    check_folder(path)
    return path.exists()


def check_path(path: Path) -> None:
    """Raise StudyFileError unless there is a file that could be a study."""
    check_folder(path)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise StudyFileError(
            f"there is no study at {path}: start one with `tinytune run`, or check the path"
        ) from None
    except OSError as error:
        raise StudyFileError(f"{path} cannot be read: {error.strerror}") from error
    if size == 0:
        raise StudyFileError(
            f"{path} is empty, not a study: restore it from a copy, or delete it and start anew"
        )


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name, None where there is none."""
    found = status(path)
    return None if found is None else (found.st_dev, found.st_ino)


def status(path: Path) -> os.stat_result | None:
    """Return what the system knows of a file, None where there is none."""
    try:
        return path.stat()
    except OSError:
        return None


def refuse_leftover_log(path: Path) -> None:
    """Raise StudyFileError where a new study would inherit the log of one that is gone."""
    for ending in ("-wal", "-journal"):
        log = Path(f"{path.resolve()}{ending}")
        if log.exists() and not path.exists():  # last, since another process may just create it
            raise StudyFileError(
                f"{path} cannot be created: {log.name} beside it is left of a study that is gone; "
                "put that study back, or delete what is left of it"
            )


def refuse_foreign_log(path: Path) -> None:
    """Raise StudyFileError where a log lies beside a file that was at rest when it was copied.

    SQLite would mix the log's pages into whatever has the right name.
    """
    log = Path(f"{path.resolve()}-wal")
    if _size(log) and not is_in_log_mode(path) and _size(log):
        raise StudyFileError(
            f"{path} is not the study that {log.name} beside it was written for: if it was "
            f"restored from a copy, delete {log.name}, otherwise put the other file back"
        )


def refuse_other_names(path: Path) -> None:
    """Raise StudyFileError where a file has several names, each of which would get its own log."""
    deadline = time.monotonic() + 1.0  # a new file may have two names for a moment
    while path.stat().st_nlink > 1:
        if time.monotonic() > deadline:
            raise StudyFileError(
                f"{path} has {path.stat().st_nlink} names (hard links), and a log is kept beside "
                "each name: copy it to a file of its own, and work on that"
            )
        time.sleep(0.01)


def is_in_log_mode(path: Path) -> bool:
    """Return whether the file's header says that a write-ahead log belongs to it.

    The descriptor is kept: closing it would drop the locks that SQLite holds in this process.
    """
    key = identity(path)
    if key is None:
        return True
    if key not in _descriptors:
        _descriptors[key] = opened(path, os.O_RDONLY)
    return os.pread(_descriptors[key], 2, 18) != b"\x01\x01"


def lacks_log(path: Path) -> bool:
    """Return whether a file should have a write-ahead log beside it, and there is none."""
    return not Path(f"{path.resolve()}-wal").exists() and is_in_log_mode(path)


def duplicate(descriptor: int) -> int:
    """Return another descriptor of the same file that is none of the standard three."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def opened(path: Path | str, flags: int) -> int:
    """Return a descriptor of a file that is none of the standard three.

    An objective that closed standard output may still print, or close it again. The free ones are
    taken by the null device first: to open the file and move it would drop SQLite's locks on it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    return os.open(path, flags | os.O_CLOEXEC)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def file_system(path: Path) -> str:
    """Return the type of the file system that holds a path, '' where the system does not tell."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    found, kind = "", ""
    target = str(path.resolve())
    for mount in mounts:
        before, _, after = mount.partition(" - ")
        point = before.split()[4].replace("\\040", " ")
        inside = point == "/" or target == point or target.startswith(f"{point}/")
        if inside and len(point) >= len(found):
            found, kind = point, after.split()[0]
    return kind


def published(path: Path, content: bytes) -> bool:
    """Give a complete file its name in one step; False if a file is already there."""
    try:
        return _publish(path.resolve(), content)  # a link may name a file that is not there yet
    except OSError as error:
        raise StudyFileError(f"{path} cannot be created: {error.strerror}") from error


def _publish(path: Path, content: bytes) -> bool:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        try:
            _publish_unnamed(path, content, folder)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}:
                raise
            _publish_renamed(path, content)  # a file system without unnamed files
        os.fsync(folder)  # so that the new name survives a power loss
    except FileExistsError:
        return False
    finally:
        os.close(folder)
    return True


def _publish_unnamed(path: Path, content: bytes, folder: int) -> None:
    """Write a file that has no name yet: whenever this is killed, nothing is left behind."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None:
        raise OSError(errno.EOPNOTSUPP, "unnamed files are Linux's")
    descriptor = os.open(path.parent, os.O_WRONLY | flag, 0o644)
    try:
        _write_synced(descriptor, content)
        # The folder's descriptor makes Python call linkat, which alone follows this link.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(descriptor)


def _publish_renamed(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            _write_synced(descriptor, content)
        finally:
            os.close(descriptor)
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if path.exists():
                raise FileExistsError(path) from None
            temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_synced(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
