"""Commands that change what a study is from now on: set, widen."""

from __future__ import annotations

from typing import Annotated

import typer

from tinytune.cli.options import Debug, LoadFirst, StudyFile


def set_(
    study: StudyFile,
    trials: Annotated[
        str | None, typer.Option(metavar="N|+N", help="Trials in all, or +N more.")
    ] = None,
    search: Annotated[
        str | None, typer.Option(metavar="NAME", help="Another search: gp, or NAME(option=value).")
    ] = None,
    grid: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SPEC", help="Grid points, as for `run`.")
    ] = None,
    stop: Annotated[
        str | None, typer.Option(metavar="RULES", help="Other stopping rules; none for none.")
    ] = None,
    audit: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Of the stopped trials, let this share run on: 5%."),
    ] = None,
    objective: LoadFirst = None,
    debug: Debug = False,
) -> None:
    """Change a study's search, stopping rules or number of trials, also while it is at work.

    It holds for all trials that are asked for from now on. A search that learns is told of all
    trials before.
    """
    from tinytune import changing, loading, stopping
    from tinytune.cli import values
    from tinytune.decorator import options_of
    from tinytune.errors import UsageError

    if objective is not None:
        loading.load(objective)
    options = options_of(search, values.grid(grid or ()))
    if trials is None and options is None and stop is None and audit is None:
        raise UsageError("say what to set: --trials, --search, --grid, --stop or --audit")
    rules = None if stop is None else [] if stop == "none" else stopping.parse(stop)
    share = None if audit is None else values.share(audit)
    _say(study, changing.change(study, changing.Wanted(trials, options, rules, share)))


def widen(
    study: StudyFile,
    ranges: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=LOW..HIGH...",
            help="lr=1e-6..1, or a further option: opt+=lion.",
        ),
    ],
    debug: Debug = False,
) -> None:
    """Widen ranges and add options, also while a study is at work; its trials stay.

    It holds for all trials that are asked for from now on. A search that learns is told of all
    trials before; the others begin anew.
    """
    from tinytune import changing

    _say(study, changing.widen(study, ranges))


def _say(study: object, lines: list[str]) -> None:
    from tinytune.output.formats import clean

    for line in lines or ["that is so already: nothing has changed"]:
        typer.echo(f"{study}: {clean(line)}", err=True)
