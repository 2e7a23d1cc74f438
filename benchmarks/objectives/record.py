"""Records two real problems as tables: a model's error against its size, for every configuration.

python -m benchmarks.objectives.record      (two minutes; needs scikit-learn)

The size is the number of nodes of all trees, which is what a prediction's time and memory grow
with, and the same wherever it is counted: seconds are not.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.model_selection import train_test_split

FOLDER = Path(__file__).parent
FOREST: dict[str, list[Any]] = {
    "depth": [2, 3, 4, 5, 6, 8, 11, 16],
    "features": [0.02, 0.05, 0.1, 0.2, 0.4, 0.8],
    "leaf": [1, 2, 4, 8, 16],
    "share": [0.1, 0.3, 1.0],  # of the images, that each tree sees
    "trees": [1, 2, 4, 8, 16, 32, 64],
}
BOOSTING: dict[str, list[Any]] = {
    "rate": [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64],
    "depth": [1, 2, 3, 4, 6],
    "leaf": [1, 4, 16, 48],
    "share": [0.2, 0.5, 1.0],
    "trees": [1, 2, 4, 8, 16, 32, 64, 128],
}
Row = tuple[float, int]  # error, nodes


def forests() -> Iterator[Row]:
    """Yield the share of digits that a random forest misreads, and its nodes."""
    x, y = load_digits(return_X_y=True)
    x, test, y, truth = train_test_split(x, y, test_size=0.4, random_state=0, stratify=y)
    *names, _ = FOREST
    for values in itertools.product(*(FOREST[name] for name in names)):
        depth, features, leaf, share = values
        model = RandomForestClassifier(
            max(FOREST["trees"]), max_depth=depth, max_features=features, min_samples_leaf=leaf,
            max_samples=None if share == 1.0 else share, random_state=0,
        ).fit(x, y)  # fmt: skip
        votes = np.cumsum([tree.predict_proba(test) for tree in model.estimators_], axis=0)
        nodes = np.cumsum([tree.tree_.node_count for tree in model.estimators_])
        for trees in FOREST["trees"]:
            wrong = np.mean(np.argmax(votes[trees - 1], axis=1) != truth)
            yield float(wrong), int(nodes[trees - 1])


def boostings() -> Iterator[Row]:
    """Yield the root mean squared error of boosted trees on diabetes, and their nodes."""
    x, y = load_diabetes(return_X_y=True)
    x, test, y, truth = train_test_split(x, y, test_size=0.4, random_state=0)
    *names, _ = BOOSTING
    for values in itertools.product(*(BOOSTING[name] for name in names)):
        rate, depth, leaf, share = values
        model = GradientBoostingRegressor(
            n_estimators=max(BOOSTING["trees"]), learning_rate=rate, max_depth=depth,
            min_samples_leaf=leaf, subsample=share, random_state=0,
        ).fit(x, y)  # fmt: skip
        found = list(model.staged_predict(test))
        nodes = np.cumsum([tree.tree_.node_count for tree in model.estimators_[:, 0]])
        for trees in BOOSTING["trees"]:
            rest = found[trees - 1] - truth
            yield float(np.sqrt(np.mean(rest * rest))), int(nodes[trees - 1])


def write(name: str, levels: dict[str, list[Any]], rows: Sequence[Row]) -> None:
    """Write a table: the parameters' levels, and the rows in the order of their product."""
    table = {
        "levels": levels,
        "error": [float(f"{error:.5g}") for error, _ in rows],
        "nodes": [nodes for _, nodes in rows],
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(table, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    write("digits", FOREST, list(forests()))
    write("diabetes", BOOSTING, list(boostings()))
