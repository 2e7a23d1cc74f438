"""Lightning: `Trainer(…, callbacks=[tinytune.integrations.lightning.callback()])`."""

from __future__ import annotations

from typing import Any

from tinytune.integrations.reporting import library, record


def callback(**metrics: str) -> Any:
    """Return a Callback for a Trainer that reports what the module has logged, epoch by epoch.

    `callback(error="val_loss")` reports `val_loss` as `error`; without arguments everything in
    `trainer.callback_metrics` is reported under its own name: what was logged in training and
    validation steps. A stopping rule sets `trainer.should_stop`, as Lightning's EarlyStopping does;
    `min_epochs` still holds. For training in this process: strategies that start others report
    nothing from there.
    """
    base: Any = library("lightning.pytorch", "lightning").Callback

    class Report(base):  # type: ignore[misc]
        """The callback at work."""

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
            """Report one epoch, with its validation."""
            measured = trainer.callback_metrics
            advice = "log something in the module, as self.log('val_loss', loss)"
            if record(trainer.current_epoch, measured, metrics, otherwise=advice):
                trainer.should_stop = True

    return Report()
