"""Commands that drive a study by hand, or from any other language: add, ask, tell."""

from __future__ import annotations

from typing import Annotated

import typer

from tinytune.cli.options import Debug, StudyFile
from tinytune.files import typed

Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The trial's number.")]


def add(
    study: StudyFile,
    params: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="The configuration: lr=0.1 …")
    ],
    value: Annotated[
        list[str] | None,
        typer.Option(metavar="VALUE", help="Its result, or NAME=VALUE for each: it is not run."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Queue a configuration to be run next, or record one that was run elsewhere.

    All searches learn from it. It comes on top of the study's budget.
    """
    from tinytune.cli import values
    from tinytune.study import Study

    with Study(study, by_hand=True) as opened:
        result = None if not value else values.result(value)
        number = opened.add(values.params(params), result)
    what = f"waits: tinytune resume {typed(study)}" if result is None else "is recorded"
    typer.echo(f"trial {number} {what}", err=True)


def ask(study: StudyFile, debug: Debug = False) -> None:
    """Take the next trial to run by hand, and print it as JSON: number, params, seed, settings.

    It is held until `tinytune tell`, or until `tinytune release` gives it back.
    """
    from tinytune.errors import TinytuneError
    from tinytune.output import formats
    from tinytune.study import Study

    with Study(study, by_hand=True) as opened:
        trial = opened.ask()
        settings = opened.record.settings
    if trial is None:
        raise TinytuneError(
            f"{study} has no trial left to run: see `tinytune status {typed(study)}`"
        )
    document = {
        "number": trial.number,
        "params": trial.params,
        "seed": trial.seed,
        "settings": settings,
    }
    typer.echo(formats.json_text(document))


def tell(
    study: StudyFile,
    number: Number,
    value: Annotated[
        list[str] | None,
        typer.Argument(metavar="VALUE...", help="Its result, or NAME=VALUE for each."),
    ] = None,
    failed: Annotated[
        str | None, typer.Option(metavar="REASON", help="It has failed, and why.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Tell the result of a trial that `tinytune ask` gave."""
    from tinytune.cli import values
    from tinytune.errors import UsageError
    from tinytune.history import Outcome
    from tinytune.objective import outcome
    from tinytune.output.formats import number_text
    from tinytune.study import Study

    if bool(value) == (failed is not None):
        raise UsageError("give the result, or --failed REASON")
    with Study(study, by_hand=True) as opened:
        trial = opened.take_up(number)
        found = Outcome("failed", error=failed)
        if value:
            found = outcome(values.result(value), opened.record.goals)
            if found.state == "failed":  # a slip of the pen must not fail the trial
                raise UsageError(f"that cannot be told: {found.error}")
        told = opened.tell(trial, found)
    if told.state == "failed":
        typer.echo(f"trial {number} has failed: {told.error}", err=True)
    else:
        typer.echo(f"trial {number}: {number_text(told.value)}", err=True)
