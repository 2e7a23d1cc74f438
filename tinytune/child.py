"""The process that a supervisor starts: it loads the objective, works, and says how that ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinytune import capture, loading, pace
from tinytune.checkpoints import Keeping
from tinytune.errors import ObjectiveError, TinytuneError
from tinytune.files import typed
from tinytune.history import Environment
from tinytune.repeated import repeated
from tinytune.study import Study
from tinytune.worker import STOP_SIGNALS, Interrupt, Limits, StopReason, work

EXIT_ERROR = 1
EXIT_CODES = {StopReason.DONE: 0, StopReason.TIMEOUT: 0, StopReason.FAILURES: 70}


def main() -> int:
    """Work as the JSON in the first argument says; return the exit code."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    interrupt = Interrupt()
    interrupt.install()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # the supervisor blocked them
    parent = socket.socket(fileno=order["socket"])
    recorder: capture.Recorder | None = None
    ends: list[int] = []
    if order["capture"] is not None:
        ends = order["capture"]["ends"]
        for end in ends:
            os.set_inheritable(end, False)
        recorder = capture.Recorder(order["capture"]["mark"])
    threading.Thread(target=_follow, args=(parent, ends), daemon=True).start()
    try:
        reason = _work(order, interrupt, recorder)
    except TinytuneError as error:
        if order["debug"]:
            raise
        parent.sendall(str(error).encode())
        return EXIT_ERROR
    except KeyboardInterrupt:  # while the objective was being loaded
        reason = StopReason.INTERRUPTED
    if reason is StopReason.INTERRUPTED:
        return 128 + (interrupt.signal or signal.SIGINT)
    return EXIT_CODES[reason]


def _work(
    order: dict[str, Any], interrupt: Interrupt, recorder: capture.Recorder | None
) -> StopReason:
    with interrupt.breaking_in():
        objective = loading.load(order["target"])
    source = loading.source(objective)
    if order["source"] != (source and source.hash):
        raise ObjectiveError(
            f"{objective.name} was changed while the study was running: "
            f"look at the change, then `tinytune resume {typed(order['study'])}`"
        )
    seconds = order["timeout_seconds"]
    limits = Limits(
        None if seconds is None else time.monotonic() + seconds,
        order["max_failures"],
        order["since_tick"],
    )
    around, keeping = Environment(order["environment"]), Keeping.from_json(order["checkpoints"])
    path, only = Path(order["study"]), order["repeats_only"]
    with Study(path, source, around, checkpoints=keeping, repeats_only=only) as study:
        several = repeated(objective, study.record)
        recorded = several if recorder is None else capture.Recorded(several, recorder)
        teller = None if order["pace"] is None else pace.teller(order["pace"])
        return work(study, recorded, limits, interrupt, show=teller)


def _follow(parent: socket.socket, ends: Sequence[int]) -> None:
    """Stop when the supervisor is gone: its end of the socket closes, however it died."""
    try:
        parent.recv(1)
    except OSError:
        return
    os.kill(os.getpid(), signal.SIGTERM)
    capture.swallow(ends)


if __name__ == "__main__":
    sys.exit(main())
