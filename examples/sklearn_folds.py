"""A support vector machine on handwritten digits, by cross-validation that ends early.

Each fold is reported as soon as it is known, and `racing` stops a configuration that cannot become
the best any more, even if its other folds were as good as the best fold seen.

    tinytune run examples/sklearn_folds.py --stop "racing(folds=5)" --trials 40
"""

from typing import Annotated

from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC

import tinytune
from tinytune import Float
from tinytune.integrations.sklearn import cross_val_score


@tinytune.trial(maximize="accuracy")
def classify(
    C: Annotated[float, Float(1e-2, 1e2, log=True)] = 1.0,  # noqa: N803 - scikit-learn's name
    gamma: Annotated[float, Float(1e-5, 1e-1, log=True)] = 1e-3,
    folds: int = 5,
    rows: int = 600,
) -> float:
    """Return the mean accuracy over the folds that were run."""
    digits = load_digits()
    splits = StratifiedKFold(folds, shuffle=True, random_state=0)
    scores = cross_val_score(
        SVC(C=C, gamma=gamma), digits.data[:rows], digits.target[:rows], cv=splits,
        metric="accuracy",
    )  # fmt: skip
    return float(scores.mean())


if __name__ == "__main__":
    study = classify.tune("folds.db", trials=40, stopping="racing(folds=5)")
    print(study.best)
