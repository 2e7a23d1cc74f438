"""The command that runs the best configurations again under new seeds: confirm."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from tinytune.cli.options import (
    Accept,
    Capture,
    Debug,
    MaxFailures,
    MaxMemory,
    NoGit,
    Objective,
    Quiet,
    StudyFile,
    Timeout,
    TrialTimeout,
    Workers,
)
from tinytune.files import typed

if TYPE_CHECKING:
    from tinytune.confirm import Left
    from tinytune.session import Work


def confirm(
    study: StudyFile,
    top: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many configurations. Default: 5, or all there are."),
    ] = None,
    repeats: Annotated[int, typer.Option(metavar="N", help="New runs of each one.")] = 5,
    form: Annotated[
        str, typer.Option("--format", metavar="table|json|csv", help="How to write the ranking.")
    ] = "table",
    show: Annotated[
        bool, typer.Option("--show", help="Run nothing; show what has been run so far.")
    ] = False,
    workers: Workers = 1,
    timeout: Timeout = None,
    objective: Objective = None,
    trial_timeout: TrialTimeout = None,
    max_memory: MaxMemory = None,
    max_failures: MaxFailures = 10,
    accept_changes: Accept = False,
    no_git: NoGit = False,
    capture: Capture = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run the best configurations again under new seeds, and tell how much of the lead was luck.

    The new runs are trials of the same study, which its search is not told of and its budget does
    not count. Given again, the command continues where it stopped; with more repeats, it adds them.
    Exit code 1 where all runs have failed, or too many in a row.
    """
    from tinytune import confirm as confirming
    from tinytune.cli import work
    from tinytune.errors import TinytuneError
    from tinytune.output import confirm as output
    from tinytune.output import formats
    from tinytune.store.reader import Reader

    output.check_format(form)
    code = 0
    if not show:
        limits = (workers, timeout, max_failures, trial_timeout, max_memory)
        how = work.how(*limits, debug=debug, no_git=no_git, capture=capture)
        left = confirming.left(study, top, repeats)
        if left is not None:  # else nothing is loaded
            code = _run(left, objective, how, accept_changes=accept_changes, quiet=quiet)
    with Reader(study) as reader, reader.snapshot():
        found = confirming.ranking(reader, reader.study().goals[0])
    if not found.rows:
        raise TinytuneError(
            f"nothing of {study} has been run again yet: leave out --show, or see "
            f"`tinytune status {typed(study)}`"
        )
    if form == "json":
        typer.echo(formats.json_text(output.ranking_json(found)))
    elif form == "csv":
        typer.echo(output.ranking_csv(found))
    else:
        typer.echo(output.ranking_text(found))
    raise typer.Exit(code)


def _run(
    left: Left,
    objective: str | None,
    how: Work,
    *,
    accept_changes: bool,
    quiet: bool,
) -> int:
    """Run what is left, and return the exit code."""
    from tinytune.cli import work

    loaded, target, _ = work.own_objective(left.path, objective, "confirm")
    left.enter()
    how = replace(how, repeats_only=True)
    return work.work(
        left.path, loaded, target, how, is_new=False, accept_changes=accept_changes, quiet=quiet
    )
