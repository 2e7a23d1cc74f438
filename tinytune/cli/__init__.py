"""The command line: `tinytune run train.py`. See `app` for the commands."""

from __future__ import annotations

import errno
import gc
import os
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line; every error is one sentence on stderr and an exit code."""
    from tinytune.errors import TinytuneError

    debug = "--debug" in sys.argv
    _fill_standard_streams()
    gc.disable()  # while modules load, which leaves no garbage
    try:
        from tinytune.cli.app import app, choose

        choose(sys.argv[1:])
        # What is loaded by now stays to the end: else Python searches it for garbage when it ends,
        # for a tenth of a short command's time. Once, where a process has several command lines.
        if not gc.get_freeze_count():
            gc.freeze()
        gc.enable()
        app(standalone_mode=True, prog_name="tinytune")
    except TinytuneError as error:
        if debug:
            raise
        from tinytune.output.formats import clean

        sys.stderr.write(f"tinytune: {clean(str(error))}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `tinytune trials study.db | head`
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:  # `tinytune trials study.db > file`
        if debug or error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        sys.stderr.write(
            "tinytune: the disk is full, and what was to be written is not: make room\n"
        )
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fill_standard_streams() -> None:
    """Open nothing at all where a daemon has closed input, output or errors.

    No file of ours must get their descriptors, to which whatever is loaded prints.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
