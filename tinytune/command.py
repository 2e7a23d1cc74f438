"""A command in any language as an objective: `python train.py --lr {lr} --layers {layers}`."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tinytune import beside, printed, requirement
from tinytune.context import Trial
from tinytune.distributions import Value
from tinytune.errors import ObjectiveError, UsageError
from tinytune.history import (
    COSTS,
    Command,
    Cost,
    Goal,
    ObjectiveReference,
    Outcome,
    StudyRecord,
    goals_of,
)
from tinytune.objective import Objective, failed, failure, outcome
from tinytune.space import Space

TARGET = "command "  # a target that begins so is a command, written as JSON
OWN = ("trial", "seed", "checkpoints")  # placeholders that are no parameters
LONGEST_NAME = 60  # characters of a command in messages
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class CommandObjective(Objective):
    """A command as an objective; `folder` is where it runs."""

    def __init__(
        self,
        command: Command,
        folder: Path,
        space: Space,
        goals: Sequence[Goal],
        subject_to: Sequence[str] = (),
    ) -> None:
        check(command, space)
        self.command, self.folder = command, folder
        self.space, self.goals, self.subject_to = space, tuple(goals), tuple(subject_to)
        required = requirement.names(requirement.parsed(subject_to))
        names = dict.fromkeys([*(goal.name for goal in goals), *required])
        self._wanted = [name for name in names if name not in COSTS]
        self.settings: dict[str, object] = {}
        self._patterns = printed.patterns(command.metrics)

    @property
    def name(self) -> str:
        """The command, as a shell would read it, shortened."""
        text = self.command.text
        return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"

    @property
    def file(self) -> Path | None:
        """The script that is run, as far as the arguments tell: the program, or its first file."""
        for number, argument in enumerate(self.command.arguments):
            if argument.startswith("-") or "{" in argument:
                continue
            path = self.folder / argument
            with suppress(OSError, ValueError):
                if path.is_file() and _is_text(path):
                    return path.resolve()
            if number > 0:
                break
        return None

    @property
    def module(self) -> str:
        """The name that its script would have as a module."""
        return "" if self.file is None else self.file.stem

    @property
    def target(self) -> str:
        """The text from which `load` makes the objective again."""
        document = {
            **self.command._asdict(), "folder": str(self.folder), "space": self.space.to_json(),
            "goals": [goal._asdict() for goal in self.goals], "subject_to": self.subject_to,
        }  # fmt: skip
        return TARGET + json.dumps(document, ensure_ascii=False)

    def __call__(self, *args: object, **kwargs: object) -> object:  # noqa: ARG002
        """A command is run by a study alone."""
        raise UsageError(f"{self.name} is a command, not a function: run it with `tinytune run`")

    def run(self, trial: Trial, settings: Mapping[str, object]) -> Outcome:  # noqa: ARG002
        """Run one trial; whatever the command prints, and however it ends, becomes an outcome.

        BaseExceptions that are not errors (an interrupt, the trial's early end) pass through;
        nothing of the command is running then.
        """
        read = printed.Printed(self._patterns, trial.record)
        try:
            with _folder_of(trial) as checkpoints:
                return self._run(trial, checkpoints, read)
        except ObjectiveError as error:
            return failed(str(error), read.errors or None)
        except Exception as error:  # noqa: BLE001 - as of a function
            return failure(error)

    def _run(self, trial: Trial, checkpoints: Path, read: printed.Printed) -> Outcome:
        from tinytune.group import Group  # loads subprocess

        own: dict[str, Value] = {
            "trial": trial.number,
            "seed": trial.seed,
            "checkpoints": str(checkpoints),
        }
        values = {**own, **trial.params}
        group = Group(
            filled_all(self.command.arguments, values),
            self.folder,
            # Else Python, with its output in a pipe, would report its steps at the very end.
            {"PYTHONUNBUFFERED": "1", **os.environ, **_variables(own)},
        )
        try:
            with group:
                for stream, chunk in group.output():
                    _pass_on(stream, chunk)
                    read.feed(stream, chunk)
                read.finish()
        finally:  # also where a stopping rule ends it
            trial.used = Cost(memory_mb=group.memory_mb)
        if group.problem:
            raise ObjectiveError(f"{self.name} cannot be started: {group.problem}")
        if group.code:
            last = f": {read.last_error}" if read.last_error else ""
            raise ObjectiveError(f"it {_ending(group.code)}{last}")
        results = read.results(self._wanted)
        missing = [name for name in self._wanted if name not in results]
        if missing:
            found = f"only {', '.join(results)}" if results else "and no other number either"
            raise ObjectiveError(
                f"it printed no {missing[0]!r}, {found}: let it end with a line "
                f'"{printed.MARK} {missing[0]}=0.12" or {{"{missing[0]}": 0.12}}, or say --metric'
            )
        return outcome(results, self.goals)


@contextmanager
def _folder_of(trial: Trial) -> Iterator[Path]:
    """Yield the trial's folder, which its next attempt finds again; an empty one is removed.

    Outside of a study each attempt begins with one of its own.
    """
    if trial.folder is None:
        import tempfile  # slow to load

        with tempfile.TemporaryDirectory(prefix="tinytune-") as folder:
            yield Path(folder)
        return
    beside.make(trial.folder)
    try:
        yield trial.folder
    finally:
        beside.leave(trial.folder)


def check(command: Command, space: Space) -> None:
    """Raise UsageError unless the command names every parameter, and nothing else."""
    if not command.arguments or not command.arguments[0]:
        raise UsageError("there is no command: write it after --, for example -- ./train --lr {lr}")
    taken = [name for name in OWN if name in space.by_name]
    if taken:
        raise UsageError(
            f"parameter {taken[0]!r}: {{{taken[0]}}} stands for something else in a command, "
            "as do {trial}, {seed} and {checkpoints}: rename it"
        )
    for name in placeholders(command.arguments[0]):
        if name in space.by_name and space.by_name[name].conditions:
            raise UsageError(
                f"the program is named by {{{name}}}, which does not always exist: leave out the "
                "condition of that parameter"
            )
    named = {name for argument in command.arguments for name in placeholders(argument)}
    unknown = sorted(named - set(OWN) - set(space.by_name))
    if unknown:
        raise UsageError(
            f"{{{unknown[0]}}} in the command is no parameter: the parameters are "
            f"{', '.join(space.by_name)}; for a brace itself write {{{{ or }}}}"
        )
    missing = [name for name in space.by_name if name not in named]
    if missing:
        raise UsageError(
            f"the command does not use the parameter {missing[0]!r}: "
            f"write {{{missing[0]}}} where its value belongs, or leave out its --param"
        )


def check_program(command: Command, folder: Path) -> None:
    """Raise ObjectiveError where the command's program is not there."""
    program = command.arguments[0]
    if list(placeholders(program)):  # which one it is depends on the trial
        return
    program = filled(program, {})
    path = program if os.sep not in program else str(folder / program)
    import shutil  # slow to load

    if shutil.which(path) is None:
        is_there = os.sep in program and Path(path).is_file()
        remedy = f"chmod +x {shlex.quote(program)}" if is_there else "check its name, and the PATH"
        problem = "may not be executed" if is_there else "is not there"
        raise ObjectiveError(f"the program {program!r} {problem}: {remedy}")


def placeholders(argument: str) -> Iterator[str]:
    """Yield the names that stand in braces; UsageError for a brace that stands alone."""
    for found in _BRACES.finditer(argument):
        if found[0] in {"{", "}"}:
            raise UsageError(
                f"the argument {argument!r} has a {found[0]} that stands alone: "
                f"write {found[0] * 2} for a brace"
            )
        if found[1] is not None:
            yield found[1]


def filled_all(arguments: Sequence[str], values: Mapping[str, Value]) -> list[str]:
    """Return all arguments with their values.

    One that names a parameter which does not exist in this trial is left out, and with it the
    option before it whose value it is: in `--momentum {momentum}` both.
    """
    found: list[str] = []
    for argument, before in zip(arguments, ("", *arguments), strict=False):
        if all(name in values for name in placeholders(argument)):
            found.append(filled(argument, values))
        elif _is_option(before):
            found.pop()
    return found


def _is_option(argument: str) -> bool:
    """Return whether an argument such as --lr waits for a value."""
    return argument.startswith("-") and argument != "--" and not set(argument) & set("={}")


def filled(argument: str, values: Mapping[str, Value]) -> str:
    """Return an argument with the values of its placeholders; no shell ever sees it."""

    def replaced(found: re.Match[str]) -> str:
        return found[0][0] if found[1] is None else text(values[found[1]])

    return _BRACES.sub(replaced, argument)


def text(value: Value) -> str:
    """Return a value as commands read it: 0.1, 1e-05, true; a text is itself."""
    return value if isinstance(value, str) else json.dumps(value)


def load(target: str) -> CommandObjective:
    """Return the objective of a target that `CommandObjective.target` has written."""
    found = json.loads(target.removeprefix(TARGET))
    command = Command(tuple(found["arguments"]), tuple(found["metrics"]))
    folder = Path(found["folder"])
    if not folder.is_dir():
        raise ObjectiveError(
            f"{command.text!r} runs in {folder}, which is not there: "
            "name the command again from another folder, after resume STUDY --"
        )
    check_program(command, folder)
    goals = [Goal(**goal) for goal in found["goals"]]
    space = Space.from_json(found["space"])
    return CommandObjective(command, folder, space, goals, found["subject_to"])


def target_of(record: StudyRecord, study: Path) -> str:
    """Return the target of a study's command; it runs where it ran, seen from the study's file."""
    stored = record.objective
    folder = Path(os.path.normpath(study.resolve().parent / (stored.beside_study or ".")))
    command = stored.command or Command(())
    return CommandObjective(command, folder, record.space, record.goals, record.subject_to).target


def reference(objective: CommandObjective, study: Path) -> ObjectiveReference:
    """Return how `resume` can find a command and its folder again."""
    folder = os.path.relpath(objective.folder, study.resolve().parent)
    return ObjectiveReference("command", beside_study=folder, command=objective.command)


def place(target: str) -> str:
    """Return what running a target would run, and where, and with what values."""
    found = json.loads(target.removeprefix(TARGET))
    return TARGET + json.dumps({name: found[name] for name in ("arguments", "folder", "space")})


def goals(minimize: str | None, maximize: str | None, metrics: Sequence[str]) -> tuple[Goal, ...]:
    """Return what is sought: what was said, or the first metric, or "value", as small as can be.

    Names are separated by commas.
    """
    small, large = (
        [name.strip() for name in names.split(",")] if names else None
        for names in (minimize, maximize)
    )
    return goals_of(small, large, next(iter(printed.patterns(metrics)), "value"))


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(4096)
    return b"\0" not in start


def _variables(own: Mapping[str, object]) -> dict[str, str]:
    return {f"TINYTUNE_{name.upper()}": str(value) for name, value in own.items()}


def _pass_on(stream: int, chunk: bytes) -> None:
    """Write what the command printed to this worker's own output; a log fails no trial."""
    with suppress(OSError):
        while chunk:
            chunk = chunk[os.write(stream, chunk) :]


def _ending(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return f"was killed by signal {-code}"
