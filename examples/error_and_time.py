"""Error against training time on handwritten digits: a network with one hidden layer, in numpy.

A larger network that is trained for longer makes fewer errors. Which trade is the best is decided
afterwards, without running anything again:

    tinytune run examples/error_and_time.py --trials 40

    tinytune best study.db
    tinytune best study.db --limit "seconds <= 0.5"
    tinytune best study.db --weights error=1,seconds=0.01
    tinytune best study.db --hypervolume

Both objectives are reported after each epoch, so that with `--stop dominated` what many others beat
in both of them ends early; `tinytune stopping-report study.db` says what that saved.
"""

import time
from functools import cache
from typing import Annotated

import numpy as np
from sklearn.datasets import load_digits

import tinytune
from tinytune import Float, Int

Arrays = tuple[np.ndarray, np.ndarray]


@cache
def digits() -> tuple[Arrays, Arrays]:
    """Return (images, labels) for training, 1,200 of them, and for validation, 597."""
    data = load_digits()
    order = np.random.RandomState(0).permutation(len(data.data))  # the same split for every trial
    images, labels = data.data[order] / 16.0, data.target[order]
    return (images[:1200], labels[:1200]), (images[1200:], labels[1200:])


@tinytune.trial(minimize=("error", "seconds"), subject_to="error <= 0.5")
def train(
    trial: tinytune.Trial,
    lr: Annotated[float, Float(1e-2, 3.0, log=True)] = 0.3,
    width: Annotated[int, Int(2, 256, log=True)] = 32,
    epochs: Annotated[int, Int(1, 40, log=True)] = 10,
) -> dict[str, float]:
    """Return the share of validation digits that are misread; the seconds are measured."""
    (images, labels), (valid_images, valid_labels) = digits()
    rng = np.random.RandomState(trial.seed)
    first = rng.randn(64, width) * np.sqrt(2 / 64)
    second = rng.randn(width, 10) * np.sqrt(2 / width)
    targets = np.eye(10)
    begun = time.perf_counter()
    for epoch in range(epochs):
        for batch in np.array_split(rng.permutation(len(images)), 40):
            hidden = np.maximum(images[batch] @ first, 0.0)  # (30, width)
            scores = hidden @ second
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            wrong = scores / scores.sum(axis=1, keepdims=True) - targets[labels[batch]]
            back = (wrong @ second.T) * (hidden > 0)
            second -= lr / len(batch) * (hidden.T @ wrong)
            first -= lr / len(batch) * (images[batch].T @ back)
        guesses = np.argmax(np.maximum(valid_images @ first, 0.0) @ second, axis=1)
        error = float(np.mean(guesses != valid_labels))
        tinytune.report(epoch, error=error, seconds=time.perf_counter() - begun)
    return {"error": error, "weights": 74.0 * width}
