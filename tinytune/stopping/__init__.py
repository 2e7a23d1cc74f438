"""The rules that end hopeless trials early: one rule, one file, and the table of their names.

A rule is a pure function of what was reported: of the trial's own curve, of the curves of trials
that were complete before, and of what others had reached. It knows no files, no processes and no
clock. Rules are joined by `+`: the first one that says stop ends the trial.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

from tinytune import named
from tinytune.bounds import shown
from tinytune.errors import UsageError
from tinytune.history import RuleSpec
from tinytune.stopping.curve import Curve, Facts


class Rule(Protocol):
    """A rule at work on one study; it may be thrown away and rebuilt at any time.

    It sees curves whose small values are good: those of what is to be maximised have their sign
    changed. NaN reaches it as infinity.
    """

    def tell(self, curve: Curve) -> None:
        """Take in the curve of a trial that is complete; they come in the order of being told."""

    def rung(self, curve: Curve) -> bool:
        """Return whether the report just made reached a place where trials are compared."""

    def note(self, number: int, place: int, value: float) -> None:
        """Take in that a trial reached such a place, after so many steps, with this value."""

    def decide(self, curve: Curve) -> Facts | None:
        """Return what a trial is stopped for after its last report; None: it goes on."""


class Pausing(Rule, Protocol):
    """A rule that pauses trials instead of stopping them: its `pauses` is true."""

    pauses: bool

    def resumed(self, number: int, place: int) -> None:
        """Take in that a paused trial was let on from a rung."""

    def promotable(self, state: Callable[[int], str]) -> tuple[int, Facts] | None:
        """Return the paused trial to let on now, and why; `state` tells a trial's."""


class Joint(Protocol):
    """A rule that looks at all objectives at once: `joint` is true in its options.

    It has no rungs and no options `metric` and `direction`. The curves that it sees are by
    objective, in their order, None where it was not reported at steps; small values are good in all
    of them. Of what it compared, floats are named `own NAME` or `its NAME`.
    """

    def tell(self, curves: Mapping[str, Curve | None]) -> None:
        """Take in the curves of a trial that is complete, and meets the study's requirements."""

    def decide(self, curves: Mapping[str, Curve | None], step: int) -> Facts | None:
        """Return what a trial is stopped for after its report at a step; None: it goes on."""


class RuleOptions(Protocol):
    """A rule's options: a frozen dataclass whose fields are JSON."""

    name: ClassVar[str]
    version: ClassVar[int]
    """Changes whenever the same curves would be judged differently."""
    looks: ClassVar[bool]
    """Whether it compares with complete trials."""
    climbs: ClassVar[bool]
    """Whether it has rungs, at which it compares with all that have reached them."""
    metric: str | None
    """The metric that it looks at; None: the first objective's, or else the first one reported."""
    direction: str | None
    """Whether small or large is good; None: the objective's for that, else minimize."""

    def start(self, seed: int) -> Rule:
        """Return the rule at work."""

    @staticmethod
    def sentence(facts: Mapping[str, str]) -> str:
        """Return why a trial was stopped, from its facts as texts."""


_CLASSES = {  # module -> its options, loaded when asked for; a name has - where a module has _
    "median": "Median",
    "percentile": "Percentile",
    "dominated": "Dominated",
    "patience": "Patience",
    "threshold": "Threshold",
    "asha": "Asha",
    "successive_halving": "SuccessiveHalving",
    "hyperband": "Hyperband",
    "racing": "Racing",
}
ENTRY_POINTS = "tinytune.stopping"  # the group under which installed packages name their rules
_CONSTANTS = ("name", "version", "looks", "climbs", "metric", "direction", "start", "sentence")
_registered: dict[str, type[RuleOptions]] = {}


def register(options: type[RuleOptions]) -> None:
    """Make a rule of your own known by its name; call it in the objective's file.

    UsageError where something of `RuleOptions` is missing, or the name is taken.
    """
    missing = [each for each in _CONSTANTS if not hasattr(options, each)]
    if missing or not dataclasses.is_dataclass(options):
        lacks = f"has no {missing[0]!r}" if missing else "is no dataclass"
        named = getattr(options, "__name__", shown(options))
        raise UsageError(f"{named} {lacks}: see tinytune.stopping.RuleOptions")
    if options.name.replace("-", "_") in _CLASSES:
        raise UsageError(f"there is a rule {options.name!r} already: give yours another name")
    _registered[options.name] = options


def is_rule(given: object) -> bool:
    """Return whether this is a rule's options, and not their class."""
    return (
        dataclasses.is_dataclass(given)
        and not isinstance(given, type)
        and all(hasattr(given, each) for each in _CONSTANTS)
    )


def names() -> tuple[str, ...]:
    """Return the names of all rules: tinytune's, installed packages' and registered ones."""
    from importlib.metadata import entry_points  # slow to load

    installed = (entry.name for entry in entry_points(group=ENTRY_POINTS))
    own = (module.replace("_", "-") for module in _CLASSES)
    return tuple(dict.fromkeys((*own, *installed, *_registered)))


def options_class(name: str) -> type[RuleOptions]:
    """Return the options of the rule of this name; UsageError if there is none."""
    if name in _registered:
        return _registered[name]
    module_name = name.replace("-", "_")
    if module_name in _CLASSES:
        module = importlib.import_module(f"tinytune.stopping.{module_name}")
        options: type[RuleOptions] = getattr(module, _CLASSES[module_name])
        return options
    from importlib.metadata import entry_points

    for entry in entry_points(group=ENTRY_POINTS, name=name):
        register(entry.load())
        return _registered[name]
    raise UsageError(f"there is no stopping rule {name!r}: use one of {', '.join(names())}")


def make(name: str, values: Mapping[str, object]) -> RuleOptions:
    """Return a rule's options from their names and values; UsageError names what is wrong."""
    options = options_class(name)
    known = [field.name for field in dataclasses.fields(options)]  # type: ignore[arg-type]
    for option in values:
        if option not in known:
            raise UsageError(
                f"the rule {name!r} has no option {option!r}: it has {', '.join(known)}"
            )
    made = options(**values)
    for option, kind in (("metric", "the name of a metric"), ("direction", "a direction")):
        value = getattr(made, option)
        if option == "metric" and isinstance(value, (list, tuple)):
            raise UsageError(
                f"{name}: metric names {len(value)} metrics, and a rule compares one: name one, or "
                "report a weighted sum of them and name that; the rule dominated compares all"
            )
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{name}: {option} {value!r:.80} is not {kind}")
    if made.direction not in (None, "minimize", "maximize"):
        raise UsageError(f"{name}: direction {made.direction!r} must be minimize or maximize")
    return made


def parse(text: str) -> list[RuleOptions]:
    """Read rules that are joined by `+`: `median(grace=5)+threshold(upper=10)`."""
    parts, depth, begun = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "+" and not depth:
            parts.append(text[begun:place])
            begun = place + 1
    parts.append(text[begun:])
    return [make(*named.parse(part, "stopping rule")) for part in parts]


def specs(rules: Sequence[RuleOptions]) -> tuple[RuleSpec, ...]:
    """Return what a study stores of its rules: names, versions and options."""
    found = []
    for rule in rules:
        fields = dataclasses.fields(rule)  # type: ignore[arg-type]
        values = {field.name: getattr(rule, field.name) for field in fields}
        found.append(RuleSpec(rule.name, rule.version, values))
    return tuple(found)


def from_spec(stored: RuleSpec) -> RuleOptions:
    """Return the options that a study stored; UsageError where this tinytune cannot use them."""
    version = options_class(stored.name).version
    if version != stored.version:
        raise UsageError(
            f"the study was made with version {stored.version} of the rule {stored.name!r} and "
            f"this tinytune has version {version}: use the tinytune that made it"
        )
    return make(stored.name, stored.options)


def text(stored: Sequence[RuleSpec]) -> str:
    """Return rules as the command line takes them, with the options that are not as usual."""
    parts = []
    for spec in stored:
        try:
            usual = specs([make(spec.name, {})])[0].options
        except UsageError:  # somebody's own rule, whose file was not loaded
            usual = {}
        said = ", ".join(f"{k}={v}" for k, v in spec.options.items() if usual.get(k, spec) != v)
        parts.append(f"{spec.name}({said})" if said else spec.name)
    return "+".join(parts)
