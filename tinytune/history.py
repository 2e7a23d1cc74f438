"""The frozen records that the study file, the searches and the faces speak in.

They are named tuples, which are defined and made several times as fast as dataclasses: every
command loads this module, and a trial makes a dozen of them. Annotations are no texts here: of
those `NamedTuple` would compile each one.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from tinytune.errors import UsageError
from tinytune.process import Identity
from tinytune.space import Params, Space

State: TypeAlias = Literal["waiting", "running", "complete", "stopped", "paused", "failed"]
STATES: tuple[State, ...] = ("waiting", "running", "complete", "stopped", "paused", "failed")
_ENDED: tuple[State, ...] = STATES[2:]
_NONE: dict[Any, Any] = {}  # shared by records, which nobody changes
Direction: TypeAlias = Literal["minimize", "maximize"]


class Goal(NamedTuple):
    """A number that the objective returns, and whether small or large is good."""

    name: str
    direction: Direction

    def small(self, value: float) -> float:
        """Return the value, or its negative, so that small is good."""
        return value if self.direction == "minimize" else -value

    def rank(self, value: float | None) -> float:
        """Return the same of what may be missing, or no number: that comes last."""
        return math.inf if value is None or math.isnan(value) else self.small(value)

    def better(self, a: float, b: float) -> bool:
        """Return whether a is strictly better than b."""
        return a < b if self.direction == "minimize" else a > b


def goals_of(
    minimize: str | Sequence[str] | None,
    maximize: str | Sequence[str] | None,
    default: str = "value",
) -> tuple[Goal, ...]:
    """Return what is sought, what is to be small first; UsageError where that makes no sense."""
    small, large = (
        (names,) if isinstance(names, str) else tuple(names or ()) for names in (minimize, maximize)
    )
    for name in (*small, *large):
        if not isinstance(name, str):
            raise UsageError(f"an objective is a name, not {name!r:.80}")
    goals = (
        *(Goal(name, "minimize") for name in small), *(Goal(name, "maximize") for name in large)
    )  # fmt: skip
    check_goals(goals)
    return goals or (Goal(default, "minimize"),)


def check_goals(goals: Sequence[Goal]) -> None:
    """Raise UsageError where several objectives share a name, or one has quotes in it."""
    names = [goal.name for goal in goals]
    for name in names if len(names) > 1 else ():
        if names.count(name) > 1:
            raise UsageError(f"the objective {name!r} is given twice: give it once")
        if not name or not name.isprintable() or '"' in name or "'" in name or "{" in name:
            raise UsageError(
                f"the objective {name!r:.80} needs a plain name, without quotes and braces, "
                "where there are several"
            )


class SearchSpec(NamedTuple):
    """A search as a study names it."""

    name: str
    version: int
    options: dict[str, object]

    @property
    def label(self) -> str:
        """Name and version, as each trial stores them."""
        return f"{self.name}/{self.version}"


class RuleSpec(NamedTuple):
    """A stopping rule as a study names it; rules that are joined are several."""

    name: str
    version: int
    options: dict[str, object]


class Command(NamedTuple):
    """A command that is tuned: its arguments, and how its results are found in what it prints."""

    arguments: tuple[str, ...]  # {name} stands for a parameter's value, {{ for a brace
    metrics: tuple[str, ...] = ()  # NAME=PATTERN

    @property
    def text(self) -> str:
        """The arguments as they are typed in a shell, which leaves {name} alone."""
        import re
        import shlex

        plain = re.compile(r"([\w@%+=:./-]|\{\w+\})+", re.ASCII)  # what needs no quotes
        return " ".join(
            argument if plain.fullmatch(argument) else shlex.quote(argument)
            for argument in self.arguments
        )


class ObjectiveReference(NamedTuple):
    """Where the objective can be found again: a file (seen from two places), a module, a command.

    Of a command the path is that of the folder in which it runs.
    """

    function: str
    module: str | None = None
    beside_study: str | None = None  # path relative to the study's folder
    from_cwd: str | None = None  # path relative to the working directory of the first run
    command: Command | None = None

    @property
    def label(self) -> str:
        """The function's name, or the command as a shell would read it."""
        return self.function if self.command is None else self.command.text

    def to_json(self) -> dict[str, Any]:
        """Return the reference as JSON; what a function has not is left out."""
        known = self._asdict()
        if self.command is None:
            del known["command"]
        else:
            known["command"] = self.command._asdict()
        return known


class Source(NamedTuple):
    """The text of an objective's file."""

    hash: str  # SHA-256, hexadecimal
    name: str  # of the file, without its folder
    text: str


class Environment(NamedTuple):
    """What a worker runs in."""

    hash: str  # SHA-256 of facts, hexadecimal
    facts: str | None = None  # a JSON object; None where the study is known to have it
    sources: tuple[Source, ...] = ()  # of the files that it names
    first: float = 0.0  # when it was first used, Unix seconds
    part: int | None = None  # the start of the merged study whose workers ran in it

    @property
    def known(self) -> dict[str, Any]:
        """The facts as a mapping."""
        known: dict[str, Any] = json.loads(self.facts or "{}")
        return known


class Finished(NamedTuple):
    """A trial that ended, as a learning search is told of it; value is None where it failed."""

    number: int  # below 0: a lesson
    state: State
    params: Params
    value: float | None
    told: int = 0  # tick
    values: dict[str, float] = _NONE  # all results by name
    violation: float | None = None  # by how much it misses what the study's results have to meet
    goals: tuple[float, ...] = ()  # of several objectives, all of which are to be small
    rungs: tuple[tuple[int, float], ...] = ()  # reports and value there, small good; infinite: none
    excess: tuple[float | None, ...] = ()  # by how much it misses each; below 0: by how much not
    plain: float | None = None  # its value, were nothing required
    seconds: float | None = None  # how long its last attempt took
    below: float = 0.0  # how far it ended below the rung that counts, from 1 at the lowest one

    @property
    def is_lesson(self) -> bool:
        """Whether it is another study's trial: evidence, and yet to be tried in this one."""
        return self.number < 0


class Lesson(NamedTuple):
    """A trial of another study, of which this one's search is told before its own."""

    study: str  # name of that file
    chain: str  # of that study, when it was read
    trial: int  # number there
    result: Finished


class StudyRecord(NamedTuple):
    """What a study is: everything that its trials have in common."""

    space: Space
    search: SearchSpec
    goals: tuple[Goal, ...]
    settings: dict[str, object]
    seed: int
    use_defaults: bool
    budget: int | None  # trials; None: no limit
    objective: ObjectiveReference
    source_hash: str | None = None
    created: float = 0.0  # Unix seconds
    copied: dict[str, str] | None = None  # name and chain of the study that this one repeats
    lessons: tuple[Lesson, ...] = ()  # of other studies, the earliest first
    stopping: tuple[RuleSpec, ...] = ()  # the rules that may end a trial early
    audit: float = 0.0  # the share of trials that a rule stops only on paper
    budget_steps: int | None = None  # reported steps of all trials; None: no limit
    repeats: int = 1  # runs of the objective in each trial, whose value is their mean
    budget_seconds: float | None = None  # of all attempts together; None: no limit
    subject_to: tuple[str, ...] = ()  # what results have to meet
    first: int = 0  # number of the trial from which its search counts: it was changed then

    @property
    def learned_from(self) -> dict[str, int]:
        """How many lessons there are of each study, by its file's name."""
        return dict(Counter(lesson.study for lesson in self.lessons))


class Version(NamedTuple):
    """What a study is from one trial on, since somebody has changed it."""

    tick: int
    trial: int  # number of the first trial that it is for
    first: int  # number from which its search counts
    space: Space
    search: SearchSpec
    stopping: tuple[RuleSpec, ...]
    audit: float
    time: float  # Unix seconds
    begins: bool = False  # it is of another study than the one before: see `tinytune merge`

    def of(self, made: StudyRecord) -> StudyRecord:
        """Return the study as it is in this version."""
        return made._replace(
            space=self.space,
            search=self.search,
            stopping=self.stopping,
            audit=self.audit,
            first=self.first,
        )


class Token(NamedTuple):
    """The right to write about a running trial: it fences out whoever lost that trial."""

    number: int
    attempt: int
    worker: int


class RunningTrial(NamedTuple):
    """A trial that is running, and the process that runs it."""

    token: Token
    started: float  # Unix seconds
    process: Identity

    @property
    def pid(self) -> int:
        """The process's number on its host."""
        return self.process.pid


class Claim(NamedTuple):
    """A trial that a worker has taken; params are None until its search suggests them."""

    token: Token
    asked: int  # tick: the search may see what has a lower one
    seed: int  # for the objective's own randomness
    params: Params | None
    waited: bool  # it was in the file before: its params are whatever the file says
    is_repeat: bool = False  # it confirms another trial


class Ended(NamedTuple):
    """A complete trial with what it reported, as a stopping rule is told of it."""

    number: int
    told: int  # tick
    reports: tuple[tuple[str, int, float], ...]  # metric, step, value; NaN where none
    is_met: bool = True  # whether it meets what the study's results have to


class Decision(NamedTuple):
    """What a stopping rule made of a report."""

    trial: int
    attempt: int
    tick: int  # of the report: the rule looked at what has no higher one
    part: int  # which of the study's rules
    step: int
    verdict: Literal["rung", "stop", "spared", "budget", "pause", "promote"]
    facts: dict[str, float | int]  # what it compared


class Pending(NamedTuple):
    """A trial whose configuration is known and whose result is not."""

    number: int
    params: Params


class Outcome(NamedTuple):
    """How a trial ended, as its worker tells it."""

    state: State
    value: float | None = None
    values: dict[str, float] = _NONE
    error: str | None = None
    traceback: str | None = None
    violation: float | None = None  # by how much it misses what results have to meet; 0: not at all


class Cost(NamedTuple):
    """What an attempt took, as far as it is known.

    A peak of memory is that of the attempt's process: see `tinytune/meter.py`.
    """

    seconds: float | None = None
    cpu_seconds: float | None = None
    memory_mb: float | None = None  # 10^6 bytes
    steps: int | None = None  # different ones that were reported; None: none


COSTS = ("seconds", "cpu_seconds", "memory_mb", "steps")  # names that objectives and limits know
NO_COST = Cost()


class TrialRecord(NamedTuple):
    """A trial as its study's file holds it."""

    number: int
    state: State
    origin: str
    search: str
    seed: int
    copied: int | None  # number of the other study's trial that it repeats
    params: dict[str, Any] | None
    value: float | None
    values: dict[str, float]
    attempt: int
    deaths: int
    worker: int | None
    asked: int
    suggested: int | None
    told: int | None
    started: float | None  # Unix seconds
    finished: float | None  # Unix seconds
    seconds: float | None
    error: str | None
    traceback: str | None
    confirms: int | None = None  # the trial whose configuration it runs again
    repeat: int | None = None  # which run of it; those of one number share a seed
    cpu_seconds: float | None = None
    memory_mb: float | None = None
    steps: int | None = None
    violation: float | None = None
    tags: tuple[str, ...] = ()
    removed: bool = False  # it does not count any more

    @property
    def is_candidate(self) -> bool:
        """Whether it may be the best: complete, as results have to be, and no run again."""
        is_own = self.confirms is None and not self.removed
        return is_own and self.state == "complete" and not self.violation


class AttemptRecord(NamedTuple):
    """An attempt at a trial that did not end it."""

    attempt: int
    worker: int
    started: float  # Unix seconds
    ended: float  # Unix seconds
    ending: str
    error: str | None = None
    cost: Cost = NO_COST


class Checkpoint(NamedTuple):
    """What a running trial has saved, to go on from in a later attempt."""

    trial: int
    attempt: int
    sequence: int  # 1, 2, … in its attempt
    tick: int  # what the attempt had reported by then has no higher one
    time: float  # Unix seconds
    kind: Literal["bytes", "file", "folder"]
    suffix: str  # of a file's name, such as ".pt", or ""
    size: int  # bytes
    sha256: str  # hexadecimal
    is_beside: bool  # the study's file, not in it


class Continuation(NamedTuple):
    """How an attempt went on from a checkpoint of an earlier one."""

    trial: int
    attempt: int
    source: int  # the attempt that had saved
    upto: int  # the checkpoint's tick
    step: int | None  # the last one reported by then
    tick: int  # at which it went on
    seconds: float  # for which the trial had run by the checkpoint


class Output(NamedTuple):
    """What is kept of what one attempt printed to one stream."""

    trial: int
    attempt: int
    stream: str  # stdout or stderr
    head: str
    tail: str
    left_out: int  # characters between the two


class Removal(NamedTuple):
    """A trial that does not count, from one tick to another."""

    trial: int
    removed: int  # tick
    restored: int | None  # tick; None: it still does not count

    def holds(self, tick: int) -> bool:
        """Return whether the trial did not count at a tick."""
        return self.removed < tick and (self.restored is None or self.restored >= tick)


class Note(NamedTuple):
    """What somebody has written about a trial, or about the study."""

    trial: int | None  # None: the study
    text: str
    time: float  # Unix seconds


class Progress(NamedTuple):
    """How far a study is; runs that confirm a configuration are counted by themselves."""

    counts: dict[State, int]
    budget: int | None
    best: TrialRecord | None
    steps: int = 0  # reported by all trials
    repeats: dict[State, int] = _NONE
    spent: dict[str, float] = _NONE  # seconds of attempts, by their endings
    is_spent: bool = False  # all the seconds that the study was given
    removed: int = 0  # of them, trials that do not count any more

    @property
    def ended(self) -> int:
        """The number of trials that ended, one way or another."""
        return sum(self.counts[state] for state in _ENDED)

    @property
    def repeats_ended(self) -> int:
        """The number of runs that ended, of those that confirm a configuration."""
        return sum(self.repeats.get(state, 0) for state in _ENDED)
