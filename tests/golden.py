"""Whole studies in a few bytes: what each search suggests, hashed, to be compared anywhere.

python -m tests.golden           prints name and hash of each search
python -m tests.golden --write   writes them to tests/golden.json, after a search's version
                                 was raised because its numbers are meant to change
"""

import hashlib
import json
import sys
from pathlib import Path

from tinytune import search
from tinytune.space import Space
from tinytune.testing import bowl, simulate, spaces

FILE = Path(__file__).with_name("golden.json")
TRIALS = 40
FEWER_TRIALS = {"auto": 12, "gp": 24}  # a model is dear
WORKERS = 4


def options_for(name: str, space: Space) -> search.SearchOptions:
    """Return a search's defaults; a grid gets three points where a range has none of its own."""
    if name != "grid":
        return search.make(name, {})
    points = {
        parameter.name: 3
        for parameter in space.parameters
        if parameter.distribution.size is None or getattr(parameter.distribution, "log", False)
    }
    return search.make(name, {"points": points})


def digest(name: str) -> str:
    """Return the hash of a search's trials, with several workers, in every kind of space."""
    hashed = hashlib.sha256()
    count = FEWER_TRIALS.get(name, TRIALS)
    for kind, space in spaces().items():
        trials = simulate(
            options_for(name, space), space, bowl(space), count, WORKERS, seed=1,
            first=space.defaults, fail_share=0.1, stop_share=0.1,
        )  # fmt: skip
        told = [[trial.result.number, trial.result.params] for trial in trials]
        hashed.update(json.dumps([kind, told]).encode())
    return hashed.hexdigest()


def digests() -> dict[str, str]:
    """Return the hash of each of tinytune's own searches."""
    return {name: digest(name) for name in names()}


def names() -> list[str]:
    """Return the names of tinytune's own searches."""
    return sorted(name.replace("_", "-") for name in search._CLASSES)


def main() -> None:
    found = digests()
    if "--write" in sys.argv:
        FILE.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
