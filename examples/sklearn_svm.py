"""A support vector machine on the wine data, by cross-validation, with a conditional kernel.

`gamma` exists only for the kernels that have one, `degree` only for polynomials. In a trial with
another kernel they are not recorded, and the function gets their defaults.

    tinytune run examples/sklearn_svm.py --trials 60 --workers 2
"""

from typing import Annotated

from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import tinytune
from tinytune import Choice, Float, Int


@tinytune.trial(maximize="accuracy")
def classify(
    kernel: Annotated[str, Choice("linear", "rbf", "poly")] = "rbf",
    C: Annotated[float, Float(1e-3, 1e3, log=True)] = 1.0,  # noqa: N803 - scikit-learn's name
    gamma: Annotated[float, Float(1e-4, 1e1, log=True, when={"kernel": ["rbf", "poly"]})] = 0.1,
    degree: Annotated[int, Int(2, 5, when={"kernel": "poly"})] = 3,
    folds: int = 5,
) -> float:
    """Return the mean accuracy over the folds."""
    features, labels = load_wine(return_X_y=True)
    model = make_pipeline(StandardScaler(), SVC(C=C, kernel=kernel, gamma=gamma, degree=degree))
    splits = StratifiedKFold(folds, shuffle=True, random_state=0)
    scores = cross_val_score(model, features, labels, cv=splits)
    for fold, score in enumerate(scores):
        tinytune.report(fold, fold_accuracy=score)
    return float(scores.mean())


if __name__ == "__main__":
    study = classify.tune("svm.db", trials=60)
    print(study.best)
