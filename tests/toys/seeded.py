"""An objective with randomness of its own, seeded or not, and a module beside it."""

import random
from typing import Annotated

import tinytune
from tinytune import Float


@tinytune.trial(minimize="loss")
def train(
    x: Annotated[float, Float(-1.0, 1.0)] = 0.5, seeded: bool = True, wait: float = 0.0
) -> float:
    import time

    from lazily import helper

    time.sleep(wait)
    if seeded:
        tinytune.seed_everything()
    else:
        random.seed()
    return helper(x) + random.random()
