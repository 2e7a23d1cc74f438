"""What the integrations have in common: they load a library late, and report what it measured."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from tinytune import context
from tinytune.errors import ObjectiveError


def library(module: str, extra: str) -> Any:
    """Return a module of a library; ObjectiveError says how to install it where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ObjectiveError(
            f"tinytune.integrations.{extra} cannot load {module} ({error}): "
            f"pip install 'tinytune[{extra}]'"
        ) from error


def record(
    step: int, measured: Mapping[str, Any], names: Mapping[str, str], *, otherwise: str
) -> bool:
    """Report what a library measured at a step; return whether a rule stops the trial.

    `names` maps the name to report to the library's; without any, all are reported as they are.
    `otherwise` is how to make the library measure something. Outside of a study nothing is
    reported. ObjectiveError where the library did not measure what is to be reported.
    """
    if not measured:
        raise ObjectiveError(f"there is nothing to report at step {step}: {otherwise}")
    for theirs in names.values():
        if theirs not in measured:
            raise ObjectiveError(
                f"there is no {theirs!r} to report at step {step}: it is one of "
                f"{', '.join(measured)}"
            )
    trial = context.current()
    chosen = {name: measured[theirs] for name, theirs in names.items()} or measured
    trial.record(step, chosen, stop=False)
    return trial.should_stop
