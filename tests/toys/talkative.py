"""An objective that prints in every way there is, and some that make trouble."""

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Annotated

import tinytune
from tinytune import Int

print("loading")


@tinytune.trial(minimize="loss")
def talk(
    trial: tinytune.Trial, x: Annotated[int, Int(0, 100)] = 1, gate: str = "", flood: bool = False
) -> float:
    """In trial 1 the first worker dies; `flood` prints until the end, `gate` is waited for."""
    while flood:
        print("flood " * 1000)
        Path("flooding").touch()
    print("hello from", trial.number, trial.attempt)
    os.write(2, b"raw error\n")
    subprocess.run(["echo", "from a child"], check=True)
    warnings.warn("be careful", stacklevel=1)
    if trial.number == 1 and trial.attempt == 1:
        print("about to die")
        os.abort()
    if trial.number == 2:
        sys.stdout.write("".join(f"line {line}\n" for line in range(20_000)))
    if trial.number == 3:
        sys.stdout.flush()
        os.close(1)
    while gate and not Path(gate).exists():
        time.sleep(0.005)
    return float(x)
