"""A noisy objective: how far a learner ends from its target, which depends on its seed.

    tinytune run examples/noisy_walk.py --study noisy.db --search random --trials 60

Each run sees other noise, so that the best of sixty values is too good to be true. Which of the
best configurations is really good is told by running them again:

    tinytune confirm noisy.db --top 5 --repeats 8
"""

import random
from typing import Annotated

import tinytune
from tinytune import Float, Int


@tinytune.trial(minimize="error")
def learn(
    lr: Annotated[float, Float(0.01, 1.0, log=True)] = 0.1,
    batch: Annotated[int, Int(1, 32, log=True)] = 4,
    samples: int = 320,
) -> float:
    chance = random.Random(tinytune.seed())
    weight = -2.0  # should become 1
    for _ in range(samples // batch):
        noise = sum(chance.gauss(0, 1) for _ in range(batch)) / batch
        weight -= lr * (weight - 1 + noise)
    return abs(weight - 1)
