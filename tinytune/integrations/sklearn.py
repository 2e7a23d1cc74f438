"""scikit-learn: cross-validation fold by fold, and models that learn epoch by epoch."""

from __future__ import annotations

from typing import Any

from tinytune import context
from tinytune.errors import ObjectiveError
from tinytune.integrations.reporting import library
from tinytune.loop import steps


def cross_val_score(
    estimator: Any,
    X: Any,  # noqa: N803 - scikit-learn's name, (n, d)
    y: Any = None,  # (n,)
    *,
    metric: str,
    cv: Any = None,
    groups: Any = None,
    **others: Any,
) -> Any:
    """Return the scores of the folds, each reported as `metric` as soon as it is known.

    The folds are steps 0, 1, 2, … It is scikit-learn's cross_val_score, with the same arguments,
    fold by fold. Where a stopping rule such as `racing` ends the trial, the folds that are left are
    not run, and the scores are those of the folds that were. Folds must be the same in every trial
    to be compared: give a shuffling splitter a `random_state`.
    """
    selection = library("sklearn.model_selection", "sklearn")
    is_classifier = library("sklearn.base", "sklearn").is_classifier(estimator)
    splitter = selection.check_cv(cv, y, classifier=is_classifier)
    scores: list[float] = []
    for split in steps(list(splitter.split(X, y, groups))):
        (score,) = selection.cross_val_score(estimator, X, y, cv=[split], **others)
        context.current().record(len(scores), {metric: score}, stop=False)
        scores.append(score)
    return library("numpy", "sklearn").array(scores)  # (folds that were run,)


def partial_fit(
    model: Any,
    X: Any,  # noqa: N803 - (n, d)
    y: Any,  # (n,)
    *,
    epochs: int,
    validation: tuple[Any, Any],
    metric: str,
    scoring: Any = None,
    start: int = 0,
) -> float:
    """Train a model by its `partial_fit`, one pass over the rows an epoch; return the last score.

    Each epoch ends with the score on `validation`, a pair of rows and targets, which is reported as
    `metric`; `scoring` is scikit-learn's, by default the model's own. Where a stopping rule ends
    the trial, no epoch begins any more. The rows are shuffled by the trial's seed and the epoch's
    number, so that a loaded model goes on at `start` as if it had never stopped. ObjectiveError
    where the model cannot be trained so.
    """
    if not hasattr(model, "partial_fit"):
        raise ObjectiveError(
            f"{type(model).__name__} has no partial_fit: train it with fit, or fold by fold with "
            "cross_val_score"
        )
    shuffle = library("sklearn.utils", "sklearn").shuffle
    scorer = library("sklearn.metrics", "sklearn").check_scoring(model, scoring=scoring)
    options = {}
    if library("sklearn.base", "sklearn").is_classifier(model):
        options["classes"] = library("numpy", "sklearn").unique(y)
    score: float | None = None
    for epoch in steps(epochs, start=start):
        seed = (context.current_seed() + epoch) % 2**32
        model.partial_fit(*shuffle(X, y, random_state=seed), **options)
        score = float(scorer(model, *validation))
        context.current().record(epoch, {metric: score}, stop=False)
    return float(scorer(model, *validation)) if score is None else score
