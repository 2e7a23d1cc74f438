"""Starts one command and holds its process group: when the worker is gone, the group ends.

A program of its own, run by `python -I -S keeper.py DESCRIPTOR COMMAND…` as the leader of a new
group. The descriptor is one end of a pair of sockets, whose other end the worker alone has: it
closes when the worker lets go, and also however the worker dies. That works on every system;
a signal at the parent's death exists on Linux alone.
"""

import _thread
import os
import signal
import sys

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Run the command, tell the worker how it ended, and end the group when the worker says so."""
    worker, arguments = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(worker, False)
    for number in STOP_SIGNALS:  # they are for the command; a handler is not inherited by it
        signal.signal(number, lambda *_: None)
    try:
        pid = os.posix_spawnp(
            arguments[0], arguments, os.environ, setsigmask=(), setsigdef=(signal.SIGPIPE,)
        )
    except (OSError, ValueError) as error:
        os.write(worker, f"error {getattr(error, 'strerror', None) or error}".encode())
    else:
        _thread.start_new_thread(_wait, (pid, worker))
    try:
        os.read(worker, 1)
    finally:
        os.killpg(0, signal.SIGKILL)


def _wait(pid: int, worker: int) -> None:
    _, status, used = os.wait4(pid, 0)
    os.write(worker, f"status {status} {used.ru_maxrss}".encode())


if __name__ == "__main__":
    main()
