"""The searches: one algorithm, one file, and the table of their names.

A search is a pure function of (space, seed, number, what was told before): it knows no files, no
processes, no clock and no other randomness than `tinytune.draw`.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from tinytune import named
from tinytune.bounds import is_count as is_count
from tinytune.bounds import shown
from tinytune.errors import UsageError
from tinytune.history import Finished, Pending, SearchSpec
from tinytune.space import Params, Space

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class Search(Protocol):
    """A search at work on one study; it may be thrown away and rebuilt at any time."""

    size: int | None
    """The number of trials after which it has no more to suggest, None if that is not known."""
    is_quick: bool
    """Whether a suggestion takes microseconds, so that it may be made while the file is locked."""

    def tell(self, result: Finished) -> None:
        """Take in one result; results come in the order in which they were told."""

    def suggest(self, number: int, pending: Sequence[Pending]) -> Params | None:
        """Return the configuration of trial `number`, None when there is none left."""


class SearchOptions(Protocol):
    """A search's options: a frozen dataclass whose fields are JSON.

    A constant `objectives` says what it is told of several ones: "first" (also where there is no
    such constant), "weighted" (one value, by other weights for each trial) or "all" of them, in
    `Finished.goals`.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    """Changes whenever the same study would get other numbers."""
    learns: ClassVar[bool]
    """Whether suggestions depend on results."""
    exhausts: ClassVar[bool]
    """Whether it means to try everything, so that it needs no budget to end."""

    def start(self, space: Space, seed: int, first: Params | None) -> Search:
        """Return the search at work; `first`, if it can be suggested, is trial 0."""


_CLASSES = {  # module -> its options, loaded when asked for; a name has - where a module has _
    "random": "Random",
    "grid": "Grid",
    "sobol": "Sobol",
    "halton": "Halton",
    "latin": "Latin",
    "nelder_mead": "NelderMead",
    "pattern": "Pattern",
    "one_plus_one": "OnePlusOne",
    "de": "De",
    "cma_es": "CmaEs",
    "trust_region": "TrustRegion",
    "tpe": "Tpe",
    "gp": "Gp",
    "nsga_ii": "NsgaII",
    "auto": "Auto",
}
_CONSTANTS = ("name", "version", "learns", "exhausts", "start")
ENTRY_POINTS = "tinytune.search"  # the group under which installed packages name their searches
_registered: dict[str, type[SearchOptions]] = {}


def register(options: type[SearchOptions]) -> None:
    """Make a search of your own known by its name; call it in the objective's file.

    UsageError where a constant of `SearchOptions` is missing, or the name is taken.
    """
    missing = [each for each in _CONSTANTS if not hasattr(options, each)]
    if missing or not dataclasses.is_dataclass(options):
        lacks = f"has no {missing[0]!r}" if missing else "is no dataclass"
        named = getattr(options, "__name__", shown(options))
        raise UsageError(f"{named} {lacks}: see tinytune.search.SearchOptions")
    if is_own(options.name):
        raise UsageError(f"there is a search {options.name!r} already: give yours another name")
    _registered[options.name] = options


def is_search(given: object) -> bool:
    """Return whether this is a search's options, and not their class."""
    return (
        dataclasses.is_dataclass(given)
        and not isinstance(given, type)
        and all(hasattr(given, each) for each in _CONSTANTS)
    )


def names() -> tuple[str, ...]:
    """Return the names of all searches: tinytune's, installed packages' and registered ones."""
    installed = (entry.name for entry in _installed())
    own = (module.replace("_", "-") for module in _CLASSES)
    return tuple(dict.fromkeys((*own, *installed, *_registered)))


def _installed() -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points  # takes as long to load as all searches' options

    return entry_points(group=ENTRY_POINTS)


def is_own(name: str) -> bool:
    """Return whether a search is one of tinytune's."""
    return name.replace("-", "_") in _CLASSES


def options_class(name: str) -> type[SearchOptions]:
    """Return the options of the search of this name; UsageError if there is none."""
    if name in _registered:
        return _registered[name]
    module_name = name.replace("-", "_")
    for entry in _installed() if module_name not in _CLASSES else ():
        if entry.name == name:
            register(entry.load())
            return _registered[name]
    if module_name not in _CLASSES:
        raise UsageError(f"there is no search {name!r}: use one of {', '.join(names())}")
    module = importlib.import_module(f"tinytune.search.{module_name}")
    options: type[SearchOptions] = getattr(module, _CLASSES[module_name])
    return options


def spec(options: SearchOptions) -> SearchSpec:
    """Return what a study stores of a search: its name, version and options."""
    fields = dataclasses.fields(options)  # type: ignore[arg-type]
    values = {field.name: getattr(options, field.name) for field in fields}
    return SearchSpec(options.name, options.version, values)


def from_spec(stored: SearchSpec) -> SearchOptions:
    """Return the options that a study stored; UsageError where this tinytune cannot use them."""
    version = options_class(stored.name).version
    if version != stored.version:  # looked at first: another version may have other options
        raise UsageError(
            f"the study was made with version {stored.version} of the search {stored.name!r} and "
            f"this tinytune has version {version}: use the tinytune that made it"
        )
    return make(stored.name, stored.options)


def make(name: str, values: Mapping[str, object]) -> SearchOptions:
    """Return a search's options from their names and values; UsageError names what is wrong."""
    options = options_class(name)
    known = [field.name for field in dataclasses.fields(options)]  # type: ignore[arg-type]
    for option in values:
        if option not in known:
            raise UsageError(
                f"the search {name!r} has no option {option!r}: it has {', '.join(known)}"
            )
    return options(**values)


def completed(options: SearchOptions, known: Mapping[str, object]) -> SearchOptions:
    """Return the options with those that are None taken from what is known, where it is."""
    fields = (field.name for field in dataclasses.fields(options))  # type: ignore[arg-type]
    missing = {
        name: known[name]
        for name in fields
        if getattr(options, name) is None and known.get(name) is not None
    }
    return dataclasses.replace(options, **missing) if missing else options  # type: ignore[type-var]


def planned(
    options: SearchOptions,
    trials: int | None,
    workers: int,
    *,
    begins_with_defaults: bool,
    seconds: float | None = None,
) -> SearchOptions:
    """Return the options with those that a search's `plan` takes from what is planned.

    `plan` maps an option to "trials", "workers", "seconds" (of all attempts together) or
    "designed": the trials after the defaults. Of no seconds at all nothing can be planned.
    """
    designed = None if trials is None else max(1, trials - int(begins_with_defaults))
    facts: dict[str, float | None] = {
        "trials": trials, "workers": workers, "designed": designed, "seconds": seconds or None,
    }  # fmt: skip
    plan = getattr(options, "plan", {})
    return completed(options, {name: facts[what] for name, what in plan.items()})


def parse(text: str) -> tuple[str, dict[str, object]]:
    """Read `name` or `name(option=value, …)`; UsageError where it is neither."""
    return named.parse(text, "search")
