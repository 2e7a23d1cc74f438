"""The command that runs the best configurations again under new seeds: confirm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
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

if TYPE_CHECKING:
    from tinytune.history import TrialRecord
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
        with Reader(study) as reader:
            wanted = confirming.runs(confirming.chosen(reader, top), repeats)
        code = _run(study, wanted, objective, how, accept_changes=accept_changes, quiet=quiet)
    with Reader(study) as reader, reader.snapshot():
        found = confirming.ranking(reader, reader.study().goals[0])
    if not found.rows:
        raise TinytuneError(
            f"nothing of {study} has been run again yet: leave out --show, or see "
            f"`tinytune status {study}`"
        )
    if form == "json":
        typer.echo(formats.json_text(output.ranking_json(found)))
    elif form == "csv":
        typer.echo(output.ranking_csv(found))
    else:
        typer.echo(output.ranking_text(found))
    raise typer.Exit(code)


def _run(
    study: Path,
    wanted: Sequence[tuple[TrialRecord, int]],
    objective: str | None,
    how: Work,
    *,
    accept_changes: bool,
    quiet: bool,
) -> int:
    """Run what has not been run yet, and return the exit code; load nothing where all is done."""
    from tinytune import confirm as confirming
    from tinytune.cli import work
    from tinytune.store.reader import Reader
    from tinytune.store.writer import Store

    with Reader(study) as reader:
        missing = confirming.missing(reader, wanted)
        if not missing and not reader.has_open_trials(repeats_only=True):
            return 0
        seed = reader.study().seed
    loaded, target, _ = work.own_objective(study, objective, "confirm")
    if missing:
        with Store(study) as store:
            store.add_repeats(missing, seed)
    how = replace(how, repeats_only=True)
    return work.work(
        study, loaded, target, how, is_new=False, accept_changes=accept_changes, quiet=quiet
    )
