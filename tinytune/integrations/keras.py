"""Keras 3, with any backend: `model.fit(…, callbacks=[tinytune.integrations.keras.callback()])`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinytune.integrations.reporting import library, record


def callback(**metrics: str) -> Any:
    """Return a Callback for `fit` that reports the logs of each epoch.

    `callback(error="val_loss")` reports `val_loss` as `error`; without arguments every number in
    the logs is reported under its own name. A stopping rule sets `model.stop_training`, as Keras's
    EarlyStopping does.
    """
    base: Any = library("keras", "keras").callbacks.Callback

    class Report(base):  # type: ignore[misc]
        """The callback at work."""

        def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
            """Report one epoch."""
            if record(epoch, logs or {}, metrics, otherwise="compile the model with a loss"):
                self.model.stop_training = True

    return Report()
