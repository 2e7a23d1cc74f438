"""LightGBM: `lightgbm.train(…, callbacks=[tinytune.integrations.lightgbm.callback()])`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinytune.integrations.reporting import library, record


def callback(**metrics: str) -> Report:
    """Return a callback for `train`, `cv` and `fit` that reports the evaluations of each iteration.

    `callback(loss="valid_0-l2")` reports the metric l2 of the dataset valid_0 as `loss`; without
    arguments every one is reported under its own name. A stopping rule ends training as LightGBM's
    early stopping does; the booster's best iteration is then the last one.
    """
    return Report(metrics, library("lightgbm", "lightgbm").callback.EarlyStopException)


class Report:
    """The callback at work."""

    def __init__(self, metrics: Mapping[str, str], early_stop: type[Exception]) -> None:
        self._metrics, self._early_stop = metrics, early_stop
        # After record_evaluation (20), and before early_stopping (30), which would keep the last
        # iteration from us.
        self.order = 25
        self.before_iteration = False

    def __call__(self, env: Any) -> None:
        """Report one iteration; LightGBM's EarlyStopException where a rule stops the trial."""
        rows = env.evaluation_result_list or ()
        measured = {f"{dataset}-{metric}": value for dataset, metric, value, *_ in rows}
        if record(env.iteration, measured, self._metrics, otherwise="give it valid_sets"):
            raise self._early_stop(env.iteration, rows)
