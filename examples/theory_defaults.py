"""Logistic regression by the heavy ball method, whose step and momentum start where theory says.

Theory speaks of quadratics; how far from it is the best pair for a fixed number of steps here?

    tinytune run examples/theory_defaults.py --trials 30
"""

from typing import Annotated

import numpy as np

import tinytune
from tinytune import Float, recipes

PENALTY = 0.01  # no curvature is below it

rng = np.random.default_rng(0)
ROWS = rng.normal(size=(200, 10)) * np.geomspace(0.3, 3, 10)
LABELS = np.where(ROWS @ rng.normal(size=10) + rng.normal(size=200) > 0, 1.0, -1.0)


def hessian_vector(v: np.ndarray) -> np.ndarray:
    """Return the Hessian at its largest, where each weight is 1/4, times a vector."""
    return ROWS.T @ (ROWS @ v) / (4 * len(ROWS)) + PENALTY * v


L = recipes.largest_curvature(hessian_vector, 10).value
THEORY = recipes.heavy_ball(PENALTY, L)


@tinytune.trial(minimize="loss")
def descend(
    step: Annotated[float, Float(1e-3, 10.0, log=True)] = THEORY.step,
    momentum: Annotated[float, Float(0.0, 0.999)] = THEORY.momentum,
    steps: int = 60,
) -> float:
    weights = velocity = np.zeros(10)
    for _ in range(steps):
        slopes = -LABELS / (1 + np.exp(np.clip(LABELS * (ROWS @ weights), -500, 500)))
        gradient = ROWS.T @ slopes / len(ROWS) + PENALTY * weights
        velocity = momentum * velocity - step * gradient
        weights = weights + velocity
    margins = LABELS * (ROWS @ weights)
    return float(np.mean(np.logaddexp(0, -margins)) + PENALTY * (weights @ weights) / 2)
