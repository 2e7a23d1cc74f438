"""Objectives that go wrong."""

from typing import Annotated

import tinytune
from tinytune import Float

X = Annotated[float, Float(0.0, 1.0)]


@tinytune.trial
def raises(x: X = 0.5) -> float:
    raise RuntimeError(f"x is {x}: no good")


@tinytune.trial
def sometimes(trial: tinytune.Trial, x: X = 0.5) -> float:
    if trial.number % 3 == 2:
        raise RuntimeError("every third")
    return x


@tinytune.trial(minimize="loss")
def nan(x: X = 0.5) -> float:
    return float("nan")


@tinytune.trial(minimize="loss")
def nothing(x: X = 0.5) -> None:
    return None


@tinytune.trial(minimize="loss")
def other(x: X = 0.5) -> dict[str, float]:
    return {"accuracy": x}


def plain(x: float = 0.5) -> float:
    return x
