"""XGBoost: `xgboost.train(…, callbacks=[tinytune.integrations.xgboost.callback()])`."""

from __future__ import annotations

from typing import Any

from tinytune.integrations.reporting import library, record


def callback(*, start: int = 0, **metrics: str) -> Any:
    """Return a TrainingCallback for `train`, `cv` and estimators that reports each round.

    `callback(loss="valid-rmse")` reports the metric rmse of the evaluation set valid as `loss`;
    without arguments every one is reported under its own name. A stopping rule ends training as
    XGBoost's own callbacks do. Put it before other callbacks that may end it. `start` is the number
    of rounds that a loaded booster has (`xgb_model`): XGBoost begins to count at 0 again.
    """
    xgboost = library("xgboost", "xgboost")
    base: Any = xgboost.callback.TrainingCallback

    class Report(base):  # type: ignore[misc]
        """The callback at work."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            """Report one round; return whether training ends."""
            measured = {
                f"{dataset}-{metric}": _mean(values[-1])
                for dataset, of_dataset in evals_log.items()
                for metric, values in of_dataset.items()
            }
            ends = record(start + epoch, measured, metrics, otherwise="give it evals, or eval_set")
            if ends and not isinstance(model, xgboost.Booster):
                model.set_attr(best_iteration=str(epoch))  # `cv` cannot end without one
            return ends

    return Report()


def _mean(value: Any) -> Any:
    """Return a value; of cross-validation's pairs (mean, deviation) the mean."""
    return value[0] if isinstance(value, tuple) else value
