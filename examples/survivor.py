"""An epoch loop that goes on after kill -9: it saves its state, and loads it at its beginning.

    tinytune run examples/survivor.py --search random --trials 20 --workers 2

With `--set pause=0.2` there is time to kill it in the rudest way. `tinytune resume study.db` then
runs no epoch again that was saved, and `tinytune show study.db 0` says where the trial went on.
"""

import json
import time
from typing import Annotated

import tinytune
from tinytune import Float


@tinytune.trial(minimize="loss")
def descend(
    lr: Annotated[float, Float(1e-5, 1e-2, log=True)] = 1e-3,
    momentum: Annotated[float, Float(0.0, 0.99)] = 0.9,
    epochs: int = 40,
    pause: float = 0.0,
) -> float:
    state = {"epoch": 0, "x": -1.0, "y": 1.0, "vx": 0.0, "vy": 0.0, "loss": 4.0}
    saved = tinytune.load()  # None, unless an earlier attempt at this trial was killed
    if saved is not None:
        state = json.loads(saved)
    while state["epoch"] < epochs:
        for _ in range(10):  # Rosenbrock's valley, by gradient descent with momentum
            x, y = state["x"], state["y"]
            state["vx"] = momentum * state["vx"] - lr * (2 * (x - 1) - 400 * x * (y - x * x))
            state["vy"] = momentum * state["vy"] - lr * 200 * (y - x * x)
            state["x"] = min(max(x + state["vx"], -9.0), 9.0)
            state["y"] = min(max(y + state["vy"], -9.0), 9.0)
        state["loss"] = (state["x"] - 1) ** 2 + 100 * (state["y"] - state["x"] ** 2) ** 2
        time.sleep(pause)
        tinytune.report(state["epoch"], loss=state["loss"])  # report first, then save
        state["epoch"] += 1
        tinytune.save(json.dumps(state).encode())
    return state["loss"]
