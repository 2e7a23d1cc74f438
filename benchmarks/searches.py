"""What searches cost: CPU seconds to rebuild one from its trials, and for each further trial.

python benchmarks/searches.py cma-es "de(population=20)"
"""

from __future__ import annotations

import sys
import time

from tinytune import search
from tinytune.distributions import Choice, Float, Int
from tinytune.history import Finished
from tinytune.search import Search
from tinytune.space import Space

TRIALS, MORE = 10_000, 500


def spaces() -> dict[str, Space]:
    """Return the spaces that are measured, of 20 parameters each."""
    plain = {f"x{i}": Float(-5, 5) for i in range(20)}
    logs = {f"x{i}": Float(1e-5, 1, log=True) for i in range(20)}
    mixed = {f"x{i}": Float(1e-5, 1, log=i % 2 == 0) for i in range(10)}
    mixed |= {f"n{i}": Int(1, 100, log=i % 2 == 0) for i in range(5)}
    mixed |= {f"c{i}": Choice("a", "b", "c") for i in range(5)}
    return {"floats": Space.of(plain), "log floats": Space.of(logs), "mixed": Space.of(mixed)}


def value(space: Space, params: dict[str, object]) -> float:
    """Return a sphere's value, with its centre off the middle."""
    total = 0.0
    for name, unit in space.to_units(params).items():
        weight = 1 + len(name)
        total += weight * (unit - 0.3) * (unit - 0.3)
    return total


def folded(started: Search, results: list[Finished]) -> Search:
    """Tell a search all results."""
    for result in results:
        started.tell(result)
    return started


def measure(text: str, label: str, space: Space) -> None:
    """Print the costs of one search on one space."""
    options = search.make(*search.parse(text))
    running = options.start(space, 1, None)
    results = []
    for number in range(TRIALS):
        params = running.suggest(number, ())
        results.append(Finished(number, "complete", params, value(space, params)))
        running.tell(results[-1])
    start = time.process_time()
    running = folded(options.start(space, 1, None), results)
    rebuilt = time.process_time() - start
    spent = 0.0
    for number in range(TRIALS, TRIALS + MORE):
        start = time.process_time()
        params = running.suggest(number, ())
        spent += time.process_time() - start
        result = Finished(number, "complete", params, value(space, params))
        start = time.process_time()
        running.tell(result)
        spent += time.process_time() - start
    print(
        f"{text:<24} {label:<12} rebuild of {TRIALS:,} trials {rebuilt:6.3f} s CPU, "
        f"one more trial {1000 * spent / MORE:6.3f} ms CPU"
    )


if __name__ == "__main__":
    for text in sys.argv[1:] or ["cma-es"]:
        for label, space in spaces().items():
            measure(text, label, space)
