"""What mattered: how much each parameter of a study has to do with its results.

One algorithm, one file: `ped_anova` asks which parameters the best trials agree on, `fanova` how
much of the results' variance each one explains, alone and with each other. All of them are pure
functions of recorded trials; `measure` joins them, `advice` says what to do about it.
"""

from __future__ import annotations

from pathlib import Path

TYPE_CHECKING = False  # type checkers know better
if TYPE_CHECKING:
    from tinytune.importance.measure import Method


def shares(study: str | Path, method: Method = "ped-anova") -> dict[str, float]:
    """Return how much each parameter of a study mattered, the most important first.

    They are shares of 1, as `tinytune importance` shows them with their intervals; `method` is
    "ped-anova" or "fanova". A parameter of which nothing can be said is left out. UsageError where
    there are too few trials, all of them are alike, or there is no such method.
    """
    from tinytune import arguments
    from tinytune.bounds import shown
    from tinytune.errors import UsageError
    from tinytune.importance import measure, reading
    from tinytune.store.reader import Reader

    if method not in measure.METHODS:
        raise UsageError(f"method must be {' or '.join(measure.METHODS)}, not {shown(method)}")
    with Reader(arguments.path("study", study)) as reader:
        seed = reader.study().seed
        found = measure.measure(reading.read(reader)[1], method, seed)
    return {each.name: each.estimate.share for each in found.parameters if each.estimate}
