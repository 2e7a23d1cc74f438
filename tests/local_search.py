"""What every local search must do, on spaces of every kind; its tests call these."""

import math
import random

import numpy as np

from tinytune.distributions import Choice, Float, Int, LogNormal, Normal
from tinytune.history import Finished, Pending
from tinytune.space import Space

SPACES = {
    "line": Space.of({"x": Float(-1, 3)}),
    "logs": Space.of({f"x{i}": Float(1e-4, 1, log=True) for i in range(4)}),
    "tree": Space.of(
        {
            "lr": Float(1e-4, 1, log=True),
            "optimizer": Choice("sgd", "adam", "none", weights=[3, 2, 1]),
            "momentum": Float(0, 1, when={"optimizer": "sgd"}),
            "nesterov": Choice(True, False, when={"optimizer": "sgd"}),
            "layers": Int(1, 8),
            "width": Int(1, 512, log=True, when={"layers": [2, 3, 4]}),
        },
        {"lr": 0.1, "optimizer": "adam", "momentum": 0.9, "nesterov": True, "layers": 2,
         "width": 64},
        "lr * layers <= 1",
    ),
    "narrow": Space.of({"a": Float(0, 1), "b": Float(0, 1)}, where="a + b <= 0.4"),
    "one value": Space.of({"only": Choice("a"), "n": Int(3, 12, step=3)}),
    "categories": Space.of({"a": Choice(1, True, "1"), "b": Choice(None, "x"), "c": Choice(0, 1)}),
    "rungs": Space.of(
        {"a": Float(0, 1, step=0.25), "b": Choice(16, 32, 64, ordered=True), "c": Int(1, 9)}
    ),
    "normal": Space.of({"a": Normal(0, 1), "b": LogNormal(0, 1, high=5), "c": Choice("x", "y")}),
    "wide": Space.of({f"x{i}": Float(0, 1) for i in range(50)}),
}  # fmt: skip


def bowl(params):
    """A number that any configuration has; failed trials here and there."""
    total = 0.0
    for index, value in enumerate(params.values()):
        place = float(value) if isinstance(value, (int, float)) else 0.1 * len(str(value))
        total += (index + 1) * (place - 0.3) ** 2
    return math.inf if 0.6 < total < 0.61 else total


def told(number, params, value):
    if math.isfinite(value):
        return Finished(number, "complete", params, value)
    return Finished(number, "failed", params, None)


def rebuilt(options, space, seed, history, first=None):
    search = options.start(space, seed, first)
    for result in history:
        search.tell(result)
    return search


def check_asynchronous(options, space, seed, workers, trials=40, first=None):
    """Run a study with several workers; every suggestion is allowed, pure, and found again."""
    order = random.Random(seed)
    search = options.start(space, seed, first)
    history, running = [], {}
    for number in range(trials):
        pending = [Pending(*item) for item in running.items()]
        params = search.suggest(number, pending)
        assert space.checked(params) == params
        assert search.suggest(number, pending) == params
        if number % 5 == 4:
            again = rebuilt(options, Space.from_json(space.to_json()), seed, history, first)
            assert repr(again.suggest(number, pending)) == repr(params)
        running[number] = params
        while len(running) >= workers:
            ended = order.choice(list(running))
            history.append(told(ended, running[ended], bowl(running.pop(ended))))
            if order.random() < 0.1:  # a failed trial is tried again
                history.append(Finished(ended, "failed", history[-1].params, None))
                search.tell(history[-2])
            search.tell(history[-1])
    return history


def best_of(options, space, objective, trials, seed=0, first=None, workers=1):
    """Return the lowest value of some trials."""
    search = options.start(space, seed, first)
    lowest, running = math.inf, []
    for number in range(trials):
        pending = [Pending(n, params) for n, params in running]
        running.append((number, search.suggest(number, pending)))
        if len(running) == workers:
            ended, params = running.pop(0)
            value = objective(params)
            lowest = min(lowest, value)
            search.tell(Finished(ended, "complete", params, value))
    return lowest


def sphere(centre):
    return lambda params: sum((x - centre) ** 2 for x in params.values())


def rosenbrock(params):
    x = np.array(list(params.values()))
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def box(size, low=-2.0, high=2.0):
    return Space.of({f"x{i}": Float(low, high) for i in range(size)})
