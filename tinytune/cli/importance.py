"""The command that shows what mattered: importance."""

from __future__ import annotations

from typing import Annotated

import typer

from tinytune.cli.options import Debug, StudyFile
from tinytune.output.formats import ListFormat


def importance(
    study: StudyFile,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="ped-anova (default): what the best trials agree on; fanova: what explains the "
            "variance of all of them.",
        ),
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Also what two parameters do together: fanova.")
    ] = False,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of another number than the objective's: one that was returned or reported, "
            "seconds, cpu_seconds, memory_mb or steps.",
        ),
    ] = None,
    maximize: Annotated[
        bool, typer.Option("--maximize", help="Large values of --metric are good.")
    ] = False,
    at: Annotated[
        list[int] | None,
        typer.Option(
            metavar="STEP",
            help="Of what had been reported by this step; given several times, side by side.",
        ),
    ] = None,
    form: Annotated[
        ListFormat, typer.Option("--format", help="How to write it.")
    ] = ListFormat.TABLE,
    debug: Debug = False,
) -> None:
    """Show which parameters mattered, how sure that is, and what to do about each.

    A stopped trial counts with its last value, a failed one as the worst; a parameter is compared
    only among the trials in which it was active.
    """
    from tinytune.errors import UsageError
    from tinytune.importance import measure as measuring
    from tinytune.importance import reading
    from tinytune.output import formats
    from tinytune.output import importance as output
    from tinytune.store.reader import Reader

    named = method or ("fanova" if pairs else "ped-anova")
    chosen = next((known for known in measuring.METHODS if known == named), None)
    if chosen is None:
        raise UsageError(f"there is no method {named!r}: use {' or '.join(measuring.METHODS)}")
    if pairs and chosen != "fanova":
        raise UsageError(f"{named} does not look at pairs: leave out --method, or use fanova")
    steps: list[int | None] = [*at] if at else [None]
    answers = []
    with Reader(study) as reader:
        seed = reader.study().seed
        for step in steps:
            question, evidence = reading.read(reader, metric, step, maximize=maximize)
            place = "" if step is None else f" at step {step}"
            try:
                found = measuring.measure(evidence, chosen, seed)
            except UsageError as error:
                raise UsageError(f"{study}{place}: {error}") from error
            answers.append((question, found))
    question, found = answers[0]
    if form == ListFormat.JSON:
        documents = [output.json_of(*answer) for answer in answers]
        typer.echo(formats.json_text(documents if len(steps) > 1 else documents[0]))
    elif len(steps) > 1 and form == ListFormat.CSV:
        typer.echo(formats.csv_text(*output.by_step(answers)))
    elif len(steps) > 1:
        typer.echo(output.text_by_step(answers, form))
    elif form == ListFormat.CSV:
        typer.echo(output.csv_of_pairs(found) if pairs else output.csv_of(found))
    else:
        typer.echo(output.text_of(question, found, pairs=pairs, form=form))
