"""Who a worker's process is, and whether such a process is still alive.

A process is known by (machine, boot, process-id namespace, pid, start time): all five together
never come twice, so a worker that died is known at once, with no heartbeat and no time-out. A
suspended process is alive.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Identity(NamedTuple):
    """One process of one boot of one machine."""

    host: str
    machine: str  # '' where the system has no such id
    boot: str
    namespace: str
    pid: int
    birth: str  # the process's start time as its system tells it


BY_HAND = Identity("", "by hand", "", "", 0, "")
"""Who holds trials that were asked for by hand, between one command and the next."""


def current() -> Identity:
    """Return this process."""
    pid = os.getpid()
    return Identity(os.uname().nodename, *_here(), pid, birth(pid) or "")


def is_dead(other: Identity) -> bool | None:
    """Return whether a process has ended; None where that cannot be told from here."""
    machine, boot, namespace = _here()
    if not boot or other.boot != boot:
        rebooted = machine and other.boot and other.machine == machine
        return True if rebooted and other.host == os.uname().nodename else None
    if other.namespace != namespace:
        return None
    found = birth(other.pid)
    return found is None or found != other.birth


@cache
def _here() -> tuple[str, str, str]:
    """Machine, boot and namespace of this process."""
    boot = _text("/proc/sys/kernel/random/boot_id")
    if not boot:  # not Linux
        boot = _output("sysctl", "-n", "kern.boottime")
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return _text("/etc/machine-id"), boot, namespace


def listed() -> Iterator[tuple[int, int, int, int, int]]:
    """Yield (process, parent, group, session, bytes in use) of all that can be seen on Linux."""
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        names = [path.name for path in Path("/proc").iterdir() if path.name.isdecimal()]
    except OSError:
        return
    for name in names:
        try:
            fields = _fields(Path(f"/proc/{name}/stat").read_bytes())
            parent, group, session = map(int, fields[1:4])
            yield int(name), parent, group, session, int(fields[21]) * page
        except (OSError, ValueError, IndexError):  # it has just ended
            continue


def _fields(stat: bytes) -> list[bytes]:
    """Return what follows a program's name, which may hold anything, in /proc/PID/stat."""
    return stat[stat.rindex(b")") + 2 :].split()


def started_by(pid: int) -> list[int]:
    """Return the processes that one has started, and those that these have; none if not on Linux.

    What has a session of its own is left out: a command's keeper, a daemon. It ends as it sees fit.
    """
    children: dict[int, list[int]] = {}
    sessions: dict[int, int] = {}
    for number, parent, _, session, _ in listed():
        children.setdefault(parent, []).append(number)
        sessions[number] = session
    found, left = [], children.get(pid, [])
    while left:
        number = left.pop()
        if sessions[number] == sessions.get(pid):
            found.append(number)
            left += children.get(number, [])
    return found


def end(pids: Iterable[int]) -> None:
    """End processes at once; those that are gone, or are somebody else's, are left alone."""
    import signal  # every command loads this module, and few end anything

    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def birth(pid: int) -> str | None:
    """Return a process's start time, None if there is none or it only waits to be reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _birth_by_ps(pid)
    except OSError:  # it went away while it was read
        return None
    fields = _fields(stat)
    return None if fields[0] in {b"Z", b"X"} else fields[19].decode()


def _birth_by_ps(pid: int) -> str | None:
    state, _, start = _output("ps", "-o", "stat=,lstart=", "-p", str(pid)).partition(" ")
    return None if not state or state.startswith("Z") else start.strip()


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _output(*command: str) -> str:
    import subprocess

    try:
        return subprocess.run(  # noqa: S603 - fixed commands
            command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
        ).stdout.strip()
    except OSError:
        return ""
