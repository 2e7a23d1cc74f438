"""What type checkers know of a user's file: `make lint` checks it, and nothing runs it.

An error that must be found is ignored here; where it is not found, the comment is unused.
"""

from typing import Annotated, assert_type

import tinytune
from tinytune import Choice, Float


@tinytune.trial(minimize="loss")
def train(
    lr: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.01,
    kind: Annotated[str, Choice("sgd", "adam")] = "sgd",
) -> float:
    return lr if kind == "sgd" else 2 * lr


@tinytune.trial
def bare(x: Annotated[float, Float(0, 1)] = 0.5) -> int:
    return round(x)


@tinytune.trial(maximize="recall")
def injected(trial: tinytune.Trial, x: Annotated[float, Float(0, 1)] = 0.5) -> dict[str, float]:
    trial.report(0, recall=x)
    return {"recall": x}


def twice(objective: tinytune.Objective[..., float]) -> tinytune.Study:
    objective.tune("study.db", trials=10)
    return objective.tune("study.db", trials=20)


assert_type(twice(train), tinytune.Study)
assert_type(train(lr=0.3), float)
assert_type(bare(), int)
assert_type(injected(x=0.3), dict[str, float])  # the trial need not be given
train(lr="large")  # type: ignore[arg-type]
train(rate=0.3)  # type: ignore[call-arg]

with train.tune("study.db", grid={"lr": 5, "kind": ["sgd"]}) as study:
    assert_type(study, tinytune.Study)
    assert_type(study.best_value, float)
    train(**study.best_params)
    asked = study.ask()
    if asked is not None:
        rate: float = asked.params["lr"]
        study.tell(asked, train(**asked.params))
