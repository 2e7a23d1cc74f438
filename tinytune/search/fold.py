"""A study's search at work: what it has been told so far, and what it suggests then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tinytune import search
from tinytune.errors import SpaceError
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
        self._space, self._name = record.space, record.search.name
        self._label = record.search.label
        self._is_own = search.is_own(self._name)
        self._working = options.start(record.space, record.seed, self.first)
        self.tell(lesson.result for lesson in record.lessons)

    @property
    def size(self) -> int | None:
        """The number of trials after which it has nothing new to suggest, None if not known."""
        size = self._working.size
        return getattr(self._working, "distinct", None) if size is None else size

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
        """Return the configuration of trial `number`, None when there is none left.

        SpaceError where a search of the user's own suggests what is not in the space.
        """
        params = self._working.suggest(number, pending)
        if params is None or self._is_own:
            return params
        try:
            return self._space.checked(params)
        except SpaceError as error:
            raise SpaceError(
                f"the search {self._name!r} made an impossible suggestion, number {number}: {error}"
            ) from error

    def label(self, number: int) -> str:
        """Return name and version of the search, and of the one that it has chosen for a trial."""
        chosen = getattr(self._working, "chosen", None)
        if chosen is None:
            return self._label
        name = chosen(number)
        return f"{self._label} {name}/{search.options_class(name).version}"

    def origin(self, number: int, params: Params) -> str:
        """Return where a suggestion came from: "default" or "search"."""
        return "default" if number == 0 and params == self.first else "search"
