"""Runs tinytune as a user's shell does: real processes, real files."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tinytune.study import Study

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "examples" / "momentum_sgd.py"
LONG = os.environ.get("TINYTUNE_LONG") == "1"  # `make torture`
PATIENCE_SECONDS = int(os.environ.get("PATIENCE_SECONDS", "120"))  # less for mutants

# numpy's threads would only get into each other's way: the matrices are small.
ENVIRONMENT = {
    **os.environ,
    "OPENBLAS_NUM_THREADS": "1",
    "COLUMNS": "200",
    "PYTHONPATH": str(ROOT),
    "XDG_STATE_HOME": str(Path(tempfile.gettempdir()) / f"tinytune-tests-{os.getuid()}"),
}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tinytune", *map(str, arguments)]


def tinytune(
    *arguments: object, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env={**ENVIRONMENT, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def start(*arguments: object, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start a command in a process group of its own, as a shell does."""
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def kill_all(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    """Send a signal to a command and all its workers."""
    os.killpg(process.pid, number)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]


def results(path: Path) -> list[tuple[object, ...]]:
    """Return what must not depend on who ran the trials, or when."""
    with Study(path) as study:
        return [
            (
                t.number,
                t.state,
                t.origin,
                tuple((t.params or {}).items()),
                t.value,
                tuple(t.values.items()),
            )
            for t in study.trials()
        ]


def ended(path: Path) -> int:
    """Return how many trials have ended."""
    if not path.exists():
        return 0
    with Study(path) as study:
        return study.progress.ended


def await_ended(path: Path, count: int, working: subprocess.Popen[str]) -> None:
    """Wait until so many trials have ended, while a command works on them."""
    await_true(lambda: ended(path) >= count and path.exists(), working)


def kill_at_random(path: Path, command: Sequence[object], seed: str, times: int) -> None:
    """Begin a command so many times, and kill all its processes after some more trials."""
    moments = random.Random(seed)
    for _ in range(times):
        working = start(*command)
        await_ended(path, ended(path) + 1 + moments.randrange(10), working)
        kill_all(working)
        working.communicate()


def await_true(condition: Callable[[], bool], working: subprocess.Popen[str] | None = None) -> None:
    """Wait until something holds; fail when the command has ended first, or after a long time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if working is not None and working.poll() is not None and not condition():
            raise AssertionError(f"the command ended early: {working.communicate()}")
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.01)
