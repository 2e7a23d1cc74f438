"""An objective whose trials last until a file appears, so that tests decide when they end."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import tinytune
from tinytune import Choice, Float, Int


@tinytune.trial(minimize="loss")
def train(
    trial: tinytune.Trial,
    x: Annotated[float, Float(-1.0, 1.0)] = 0.5,
    kind: Annotated[str, Choice("a", "b")] = "a",
    n: Annotated[int, Int(1, 5, when={"kind": "b"})] = 3,
    gate: str = "",
    harm: str = "",
    log: str = "",
) -> float:
    """`gate`: a file to wait for. `harm`: what goes wrong in trial 1. `log`: a file of starts."""
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{trial.number} {os.getpid()}\n")
    tinytune.report(0, loss=x * x + n)
    while gate and not Path(gate).exists():
        time.sleep(0.005)
    if harm and trial.number == 1:
        do_harm(harm)
    loss = x * x + (n if kind == "b" else 0)
    tinytune.report(1, loss=loss)
    return loss


def do_harm(harm: str) -> None:
    if harm == "exit":
        os._exit(3)
    if harm == "exit 0":
        os._exit(0)
    if harm == "sys.exit":
        raise SystemExit("enough")
    if harm == "interrupt":
        raise KeyboardInterrupt
    if harm in {"fork", "fork and exit"}:
        child = os.fork()
        if child == 0 and harm == "fork":
            return
        if child == 0:
            sys.exit(7)
        os.waitpid(child, 0)
        return
    if harm == "memory":
        hoard = [bytearray(b"x" * 400_000_000)]
        while hoard:
            time.sleep(0.005)
    os.kill(os.getpid(), getattr(signal, harm))
