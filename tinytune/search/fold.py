"""A study's search at work: what it has been told so far, and what it suggests then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from tinytune import draw, requirement, search
from tinytune.errors import SpaceError
from tinytune.history import Finished, Pending, StudyRecord
from tinytune.search import rungs, several
from tinytune.space import Params

_T = TypeVar("_T", Finished, Pending)


class Fold:
    """A search and how far it has been told. It may be thrown away and built anew at any time.

    Searches always minimise: what is to be maximised reaches them with its sign changed. Where
    there are several objectives, results have to meet something, or trials end at rungs, the value
    of a result depends on all of them: a search whose earlier results have other values now is
    begun anew.
    """

    def __init__(self, record: StudyRecord) -> None:
        options = search.from_spec(record.search)
        self._before = record.first  # trials of an earlier search, or in an earlier space
        begins = record.use_defaults and not self._before
        self.first = record.space.defaults if begins else None
        self.learns = options.learns
        self.seen = 0  # tick of the last result that it was told
        self._goals, self._seed = record.goals, record.seed
        if self._before:
            self._seed = draw.later_seed(record.seed, self._before)
        self._takes = getattr(options, "objectives", "first") if len(record.goals) > 1 else "first"
        self._is_plain = len(record.goals) == 1 and not (record.subject_to or record.stopping)
        self._is_apart = len(record.goals) == 1 and not record.subject_to
        """Whether no result's value has depended on others so far: none had come to a rung."""
        self._results: list[Finished] = []  # all, where their values may change
        self._heard: list[Finished] = []  # what the search was told of them
        self._requirements = requirement.parsed(record.subject_to)
        self._options = options
        self._space, self._name = record.space, record.search.name
        self._label = record.search.label
        self._is_own = search.is_own(self._name)
        self._working = self._begun()
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
            known = self._here(result)
            if known is None:
                continue
            if not self._is_plain and self.learns:
                self._is_apart = self._is_apart and not known.rungs
                self._results.append(several.with_goals(known, self._goals, self._requirements))
            elif known.value is not None and self._goals[0].direction == "maximize":
                self._working.tell(known._replace(value=-known.value))
            else:
                self._working.tell(known)

    def _here(self, trial: _T) -> _T | None:
        """Return a trial as the search counts, None if it lies outside of the space.

        What an earlier search has suggested, or this one in an earlier space, has a number below
        0: it is evidence, as a lesson is.
        """
        if not self._before:
            return trial
        number, params = trial.number - self._before, trial.params
        if number < 0:
            try:
                params = self._space.checked(params)
            except SpaceError:
                return None
        return trial._replace(number=number, params=params)

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:
        """Return the configuration of trial `number`, None when there is none left.

        The number is counted from the study's `first`; those of pending trials are not.
        SpaceError where a search of the user's own suggests what is not in the space.
        """
        if self._results:
            self._catch_up(number)
        if self._before:
            here = (self._here(trial) for trial in pending)
            pending = [trial for trial in here if trial is not None]
        params = self._working.suggest(number, pending)
        if params is None or self._is_own:
            return params
        try:
            return self._space.checked(params)
        except SpaceError as error:
            raise SpaceError(
                f"the search {self._name!r} made an impossible suggestion, number {number}: {error}"
            ) from error

    def answer(self, number: int, pending: Sequence[Pending]) -> tuple[Params, str, str] | None:
        """Return what a trial stores of a suggestion: params, origin and label; see `suggest`."""
        params = self.suggest(number, pending)
        if params is None:
            return None
        return params, self.origin(number, params), self.label(number)

    def _begun(self) -> search.Search:
        return self._options.start(self._space, self._seed, self.first)

    def _catch_up(self, number: int) -> None:
        """Let the search know all results, with the values that they have for a trial."""
        if self._is_apart:  # only what is new is looked at
            new = self._results[len(self._heard) :]
            self._hear([result._replace(plain=result.value) for result in new])
            return
        weights = None
        if self._takes == "weighted":
            weights = several.weights(self._seed, number, len(self._goals))
        results = self._at_one_rung()
        plain = several.plain(results, weights)
        values = several.penalised(plain, results)
        now = [
            result._replace(value=value, plain=plain_value)
            for result, value, plain_value in zip(results, values, plain, strict=True)
        ]
        if now[: len(self._heard)] != self._heard:
            self._working, self._heard = self._begun(), []
        self._hear(now[len(self._heard) :])

    def _hear(self, results: Sequence[Finished]) -> None:
        for result in results:
            self._working.tell(result)
        self._heard += results

    def _at_one_rung(self) -> list[Finished]:
        """Return all results; of one objective with what each is worth at the same rung."""
        if len(self._goals) > 1 or not any(result.rungs for result in self._results):
            return self._results
        results = rungs.latest(self._results)
        count = len(self._space.parameters)
        told = zip(results, rungs.values(results, count), rungs.below(results, count), strict=True)
        return [result._replace(value=value, below=below) for result, value, below in told]

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
