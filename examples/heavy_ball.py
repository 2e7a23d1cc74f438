"""Gradient descent with momentum on f(x, y) = (x² + 25 y²) / 2.

The shortest example: no data, no packages.

    tinytune run examples/heavy_ball.py --trials 60 --workers 4
"""

from typing import Annotated

import tinytune
from tinytune import Float


@tinytune.trial(minimize="loss")
def descend(
    lr: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.01,
    momentum: Annotated[float, Float(0.0, 0.99)] = 0.9,
    steps: int = 50,
) -> float:
    x, y, vx, vy = 1.0, 1.0, 0.0, 0.0
    for step in range(steps):
        vx, vy = momentum * vx - lr * x, momentum * vy - lr * 25 * y
        x, y = x + vx, y + vy
        loss = (x * x + 25 * y * y) / 2
        tinytune.report(step, loss=loss)
    return loss
