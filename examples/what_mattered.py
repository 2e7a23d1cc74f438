"""Gradient descent with five settings on a valley, to see which of them matter, and when.

The momentum exists only for the two methods that have one. Ask after the search:

    tinytune run examples/what_mattered.py --search random --trials 200
    tinytune importance study.db
    tinytune importance study.db --pairs
    tinytune importance study.db --at 1 --at 10 --at 50
"""

import math
from typing import Annotated

import tinytune
from tinytune import Choice, Float


@tinytune.trial(maximize="digits")
def descend(
    method: Annotated[str, Choice("plain", "heavy-ball", "nesterov")] = "plain",
    lr: Annotated[float, Float(1e-3, 0.3, log=True)] = 0.01,
    momentum: Annotated[float, Float(0.0, 0.95, when={"method": ["heavy-ball", "nesterov"]})] = 0.5,
    decay: Annotated[float, Float(0.0, 0.02)] = 0.0,
    clip: Annotated[float, Float(20.0, 2000.0, log=True)] = 100.0,
    steps: int = 50,
) -> float:
    """Return how many decimal digits the distance from the minimum of a valley has gained."""
    point, velocity = [1.0, 1.0], [0.0, 0.0]
    digits = 0.0
    for step in range(1, steps + 1):
        rate = lr / (1.0 + decay * step)
        for axis, curvature in enumerate((1.0, 25.0)):
            ahead = momentum * velocity[axis] if method == "nesterov" else 0.0
            slope = max(-clip, min(clip, curvature * (point[axis] + ahead)))
            kept = 0.0 if method == "plain" else momentum * velocity[axis]
            velocity[axis] = kept - rate * slope
            point[axis] += velocity[axis]
        digits = -math.log10(max(abs(point[0]), abs(point[1]), 1e-12))
        tinytune.report(step, digits=digits)
    return digits


if __name__ == "__main__":
    study = descend.tune("study.db", search="random", trials=200)
    print(study.best)
