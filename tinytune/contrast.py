"""What differs between two studies."""

from __future__ import annotations

from dataclasses import dataclass

from tinytune import difference, environment, loading
from tinytune.history import TrialRecord
from tinytune.store.reader import Reader


@dataclass(frozen=True)
class Contrast:
    """What differs between two studies, part by part; an empty part is the same in both."""

    study: tuple[str, ...]  # space, search, seed, objective, settings
    code: str
    environment: tuple[str, ...]
    trials: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.study or self.code or self.environment or self.trials)


def contrast(first: Reader, second: Reader) -> Contrast:
    """Return how the second study differs from the first."""
    return Contrast(
        tuple(difference.differences(first.study(), second.study())),
        _code(first, second),
        _environment(first, second),
        tuple(_trials(first.trials(), second.trials())),
    )


def _code(first: Reader, second: Reader) -> str:
    found = []
    for reader in (first, second):
        digest = reader.study().source_hash
        found.append(None if digest is None else reader.source(digest))
    before, after = found
    if before is None or after is None or before.hash == after.hash:
        return ""
    return loading.change(before, after)


def _environment(first: Reader, second: Reader) -> tuple[str, ...]:
    before, after = first.latest_environment(), second.latest_environment()
    if before is None and after is None:
        return ()
    if before is None or after is None:
        return ("one of them does not say what it ran in",)
    return tuple(environment.changes(before.known, after.known))


def _trials(first: list[TrialRecord], second: list[TrialRecord]) -> list[str]:
    found = []
    if len(first) != len(second):
        found.append(f"the numbers of trials are {len(first)} there and {len(second)} here")
    by_number = {trial.number: trial for trial in first}
    pairs = [
        (by_number[number], trial)
        for trial in second
        if (number := trial.number if trial.copied is None else trial.copied) in by_number
    ]
    other = [a.number for a, b in pairs if a.params != b.params]
    if other:
        found.append(f"{_listed(other)} other parameters")
    same = [(a, b) for a, b in pairs if a.params == b.params]
    results = [a.number for a, b in same if (a.state, a.value) != (b.state, b.value)]
    if results:
        apart = [
            abs(a.value - b.value) for a, b in same if a.value is not None and b.value is not None
        ]
        largest = f", at most {max(apart):.3g} apart" if apart else ""
        found.append(f"{_listed(results)} other results{largest}")
    return found


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5])) + (", …" if len(numbers) > 5 else "")
    if len(numbers) == 1:
        return f"trial {shown} has"
    return f"{len(numbers)} trials ({shown}) have"
