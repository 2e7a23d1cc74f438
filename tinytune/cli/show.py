"""Commands that show what a study holds: trials, show, status."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from tinytune.cli.options import MOST, Debug, DetailFormat, StudyFile
from tinytune.files import typed
from tinytune.output.formats import ListFormat


def trials(
    study: StudyFile,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE",
            help="waiting, running, complete, stopped, paused, failed or removed.",
        ),
    ] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Order; -COLUMN for the largest first.")
    ] = None,
    top: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=MOST, help="The first N of them.")
    ] = None,
    form: Annotated[
        ListFormat, typer.Option("--format", help="How to write them.")
    ] = ListFormat.TABLE,
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Of the table: number,error,cpu_seconds,memory_mb,lr."),
    ] = None,
    tag: Annotated[
        str | None, typer.Option(metavar="WORD", help="Only those with this tag.")
    ] = None,
    debug: Debug = False,
) -> None:
    """List the trials."""
    from tinytune.errors import UsageError
    from tinytune.history import STATES
    from tinytune.output import formats
    from tinytune.store.reader import Reader

    if state not in (None, *STATES, "removed"):
        known = ", ".join((*STATES, "removed"))
        raise UsageError(f"there is no state {state!r}: use one of {known}")
    with Reader(study) as reader:
        record = reader.study()
        found = reader.trials(state, -1 if top is None or sort is not None else top, tag)
        if sort is not None:
            column = sort.removeprefix("-")
            found = formats.sorted_trials(found, record, column, descending=sort.startswith("-"))
            found = found[:top]
        metrics = None
        if form == ListFormat.JSON and top is None:
            metrics = reader.last_metrics()
        elif form == ListFormat.JSON:
            metrics = {trial.number: reader.last_metrics_of(trial) for trial in found}
    names = None if columns is None else [name.strip() for name in columns.split(",")]
    typer.echo(formats.trials_text(found, record, form, metrics, columns=names))


def show(
    study: StudyFile,
    number: Annotated[
        int | None, typer.Argument(metavar="[NUMBER]", help="The trial's number.")
    ] = None,
    code: Annotated[bool, typer.Option("--code", help="The objective's source.")] = False,
    environment: Annotated[
        bool, typer.Option("--environment", help="Python, packages, platform, git commit.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Changes of the repository that were not committed.")
    ] = False,
    form: DetailFormat = "table",
    debug: Debug = False,
) -> None:
    """Show one trial: parameters, attempts, curves, error; or what a study or a trial ran in."""
    from tinytune.errors import UsageError
    from tinytune.output import details, formats, provenance
    from tinytune.store.reader import Reader

    formats.check_detail_format(form)
    if code or environment or diff:
        with Reader(study) as reader:
            around = provenance.environment(reader, number)
            shown = [provenance.code(reader, around)] if code else []
        if diff:  # first, since the other leaves it out
            shown.append(provenance.diff_text(around))
        if environment:
            shown.append(provenance.environment_text(around, as_json=form == "json"))
        typer.echo("\n\n".join(shown))
        return
    if number is None:
        raise UsageError(
            "name a trial's number, or say --code, --environment or --diff for the whole study"
        )
    with Reader(study) as reader:
        record, trial = reader.timeline().at(number), reader.trial(number)
        if trial is None:
            raise UsageError(f"{study} has no trial {number}: see `tinytune trials {typed(study)}`")
        known = details.known_of(reader, trial)
    if form == "json":
        typer.echo(formats.json_text(details.trial_details_json(trial, record, *known)))
    else:
        typer.echo(details.trial_details(trial, record, *known))


def status(
    study: StudyFile,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every second.")] = False,
    form: DetailFormat = "table",
    debug: Debug = False,
) -> None:
    """Show how a study stands: what it tunes, how far it is, who works on it."""
    from tinytune import confirm
    from tinytune.output import formats
    from tinytune.output.status import status_json, status_text
    from tinytune.store.reader import Reader

    formats.check_detail_format(form)
    while True:
        with Reader(study) as reader:
            record = reader.study()
            progress = confirm.progress(reader, record.goals[0])
            if form == "json":
                text = formats.json_text(status_json(reader, record, progress))
            else:
                text = status_text(reader, record, progress)
        clear = "\x1b[H\x1b[2J" if watch and sys.stdout.isatty() else ""
        typer.echo(f"{clear}{text}")
        if not watch or (progress.budget is not None and progress.ended >= progress.budget):
            return
        time.sleep(1)
