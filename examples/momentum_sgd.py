"""Softmax regression on handwritten digits, trained by minibatch SGD with momentum.

The search that every lecture on grid search draws: learning rate against momentum, with the batch
size and the weight decay beside them. The data are scikit-learn's 1,797 real digits of 8 x 8
pixels; the model and its training are a few lines of numpy.

    tinytune run examples/momentum_sgd.py --trials 40 --workers 2
    tinytune run examples/momentum_sgd.py --grid lr=5 --grid momentum=0,0.5,0.9 --grid l2=3
"""

from functools import cache
from typing import Annotated

import numpy as np
from sklearn.datasets import load_digits

import tinytune
from tinytune import Choice, Float

Arrays = tuple[np.ndarray, np.ndarray]


@cache
def digits() -> tuple[Arrays, Arrays]:
    """Return (images, labels) for training, 1,200 of them, and for validation, 597."""
    data = load_digits()
    images = np.c_[data.data / 16.0, np.ones(len(data.data))]  # (n, 65), the last for the bias
    order = np.random.RandomState(0).permutation(len(images))  # the same split for every trial
    train, valid = order[:1200], order[1200:]
    return (images[train], data.target[train]), (images[valid], data.target[valid])


def probabilities(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Softmax of images (n, 65) times weights (65, 10)."""
    scores = images @ weights
    scores -= scores.max(axis=1, keepdims=True)
    exp = np.exp(scores)
    return exp / exp.sum(axis=1, keepdims=True)


@tinytune.trial(minimize="error")
def train(
    trial: tinytune.Trial,
    lr: Annotated[float, Float(1e-3, 10.0, log=True)] = 0.01,
    momentum: Annotated[float, Float(0.0, 0.99)] = 0.9,
    batch: Annotated[int, Choice(16, 32, 64, 128)] = 32,
    l2: Annotated[float, Float(1e-6, 1e-1, log=True)] = 1e-4,
    epochs: int = 20,
) -> dict[str, float]:
    """Return the share of validation digits that are misread after the last epoch."""
    (images, labels), (valid_images, valid_labels) = digits()
    rng = np.random.RandomState(trial.seed)
    weights = np.zeros((images.shape[1], 10))
    velocity = np.zeros_like(weights)
    error, loss = 1.0, float("nan")
    for epoch in range(epochs):
        order = rng.permutation(len(images))
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            slope = probabilities(images[part], weights)
            slope[np.arange(len(part)), labels[part]] -= 1.0
            gradient = images[part].T @ slope / len(part) + l2 * weights
            velocity = momentum * velocity - lr * gradient
            weights = weights + velocity
        guess = probabilities(valid_images, weights)
        error = float((guess.argmax(axis=1) != valid_labels).mean())
        likelihood = guess[np.arange(len(valid_labels)), valid_labels]
        loss = float(-np.log(np.maximum(likelihood, 1e-12)).mean())
        trial.report(epoch, error=error, loss=loss)
    return {"error": error, "loss": loss}


if __name__ == "__main__":
    print(train())  # with the defaults, outside of any study
