"""What is tuned, as the command line names it: an objective in Python, or a command after `--`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tinytune.objective import Objective

Words = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET | -- COMMAND…",
        help="FILE.py, FILE.py:FUNCTION or PACKAGE.MODULE:FUNCTION; or with --param a command, in "
        "which {NAME} stands for a parameter's value.",
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Argument(metavar="[-- COMMAND…]", help="The command, where it is another one now."),
]
Param = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=KIND(…)",
        help='A command\'s parameter: "lr=float(1e-4, 1, log) = 0.1" with its default, '
        '"layers=int(1, 8)", "opt=choice(adam, sgd)". One that only exists beside some values of '
        'others: "momentum=float(0, 0.99) when opt=sgd".',
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(metavar="CONSTRAINT", help='Of a command\'s parameters: "layers * width <= 64".'),
]
Metric = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=PATTERN",
        help='A result in what a command prints: "error=Test error: ([0-9.]+)". The last one '
        'counts. Also read are JSON lines and lines "tinytune: step=3 loss=0.2".',
    ),
]
Minimize = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMES",
        help="A command's result, or several: error,seconds. Default: the first metric, or value.",
    ),
]
Maximize = Annotated[
    list[str] | None, typer.Option(metavar="NAMES", help="The same, if large is good.")
]
SubjectTo = Annotated[
    list[str] | None,
    typer.Option(
        metavar="REQUIREMENT", help='What a command\'s results have to meet: "memory_mb <= 800".'
    ),
]


def named(
    words: Sequence[str],
    params: Sequence[str],
    where: Sequence[str],
    metrics: Sequence[str],
    goals: tuple[Sequence[str], Sequence[str]],
    subject_to: Sequence[str] = (),
) -> tuple[Objective, str]:
    """Return what is to be tuned and its target; `goals` are to be (minimised, maximised)."""
    from tinytune import command, loading, notation
    from tinytune.errors import UsageError
    from tinytune.history import Command

    # "a,b" is said at once, or each by itself.
    least, most = (",".join(names) or None for names in goals)
    if params:
        wanted = Command(tuple(words), tuple(metrics))
        space = notation.space(params, where)
        command.check_program(wanted, Path.cwd())
        made = command.CommandObjective(
            wanted, Path.cwd(), space, command.goals(least, most, metrics=metrics), subject_to
        )
        return made, made.target
    options = {
        "--where": where, "--metric": metrics, "--minimize": least, "--maximize": most,
        "--subject-to": subject_to,
    }  # fmt: skip
    given = next((name for name, value in options.items() if value), None)
    if given is not None:
        raise UsageError(
            f"{given} is for commands: give their parameters with --param; a function says it "
            "itself, in @tinytune.trial(…)"
        )
    if len(words) > 1:
        raise UsageError(
            f"{words[0]} and {words[1]} are two targets: name one, or give a command's parameters, "
            'for example --param "lr=float(1e-4, 1, log)"'
        )
    return loading.load(words[0]), words[0]


def given_anew(study: Path, words: Sequence[str]) -> str:
    """Return the target of a study's command as it is given now, to be run in this folder."""
    from tinytune import command
    from tinytune.errors import UsageError
    from tinytune.history import Command
    from tinytune.store.reader import Reader

    with Reader(study) as reader:
        record = reader.study()
    before = record.objective.command
    if before is None:
        raise UsageError(f"{study} tunes a function, not a command: name it with --objective")
    now = Command(tuple(words), before.metrics)
    command.check_program(now, Path.cwd())
    made = command.CommandObjective(now, Path.cwd(), record.space, record.goals, record.subject_to)
    return made.target
