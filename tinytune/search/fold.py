"""A study's search at work: what it has been told so far, and what it suggests then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tinytune import search
from tinytune.history import Finished, Pending, StudyRecord
from tinytune.space import Params


class Fold:
    """A search and how far it has been told. It may be thrown away and built anew at any time.

    Searches always minimise: what is to be maximised reaches them with its sign changed.
    """

    def __init__(self, record: StudyRecord) -> None:
        options = search.from_spec(record.search)
        self.first = record.space.defaults if record.use_defaults else None
        self.learns = options.learns
        self.seen = 0  # tick of the last result that it was told
        self._maximizes = record.goals[0].direction == "maximize"
        self._working = options.start(record.space, record.seed, self.first)

    @property
    def size(self) -> int | None:
        """The number of trials after which it has no more to suggest, None if not known."""
        return self._working.size

    @property
    def is_quick(self) -> bool:
        """Whether a suggestion takes microseconds."""
        return self._working.is_quick

    def tell(self, results: Iterable[Finished]) -> None:
        """Take in results, in the order in which they were told."""
        for result in results:
            self.seen = result.told
            if self._maximizes and result.value is not None:
                self._working.tell(replace(result, value=-result.value))
            else:
                self._working.tell(result)

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:
        """Return the configuration of trial `number`, None when there is none left."""
        return self._working.suggest(number, pending)

    def origin(self, number: int, params: Params) -> str:
        """Return where a suggestion came from: "default" or "search"."""
        return "default" if number == 0 and params == self.first else "search"
