"""Commands that prove a study, repeat it, and compare it: verify, replicate, extract, diff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinytune.cli.options import (
    MOST,
    Debug,
    DetailFormat,
    LoadFirst,
    MaxMemory,
    StudyFile,
    TrialTimeout,
)


def verify(
    study: StudyFile,
    objective: LoadFirst = None,
    form: DetailFormat = "table",
    debug: Debug = False,
) -> None:
    """Recompute every suggestion of a study from its file alone; exit code 1 if one differs.

    Nothing of the objective is run. Digests of all rows are compared too: they show accidents
    and casual edits, not a forger who computes them anew.
    """
    from tinytune import loading
    from tinytune import verify as verifying
    from tinytune.output import formats, proof
    from tinytune.output.progress import Counter
    from tinytune.store.reader import Reader

    formats.check_detail_format(form)
    if objective is not None:
        loading.load(objective)
    with Reader(study) as reader, Counter("verifying") as counter, reader.snapshot():
        found = verifying.verify(reader, counter.show)
    if form == "json":
        typer.echo(formats.json_text(proof.verification_json(found)))
    else:
        typer.echo(proof.verification_text(found))
    raise typer.Exit(0 if found.is_good else 1)


def stopping_report(study: StudyFile, form: DetailFormat = "table", debug: Debug = False) -> None:
    """Show what early stopping has saved, how often it was wrong, and what short trials give."""
    from tinytune import savings as measuring
    from tinytune.output import formats, savings
    from tinytune.store.reader import Reader

    formats.check_detail_format(form)
    with Reader(study) as reader:
        record, found = reader.study(), measuring.savings(reader)
        blind = measuring.unseen(reader)
    if form == "json":
        typer.echo(formats.json_text(savings.savings_json(found, blind)))
        return
    typer.echo(savings.savings_text(found, record))
    for text in savings.unseen_texts(study, blind):
        typer.echo(f"\n{formats.clean(text)}")


def replicate(
    study: StudyFile,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The new study. Default: NAME-replica.db."
        ),
    ] = None,
    objective: Annotated[
        str | None, typer.Option(metavar="TARGET", help="Your own copy of the objective.")
    ] = None,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Run the code that the study holds.")
    ] = False,
    trials: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="Only these: 3,17,40-60.")
    ] = None,
    top: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=MOST, help="Only the N best.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Largest difference, relative above 1.")
    ] = 1e-6,
    workers: Annotated[
        int, typer.Option("--workers", "-w", metavar="N", help="Worker processes.")
    ] = 1,
    form: DetailFormat = "table",
    trial_timeout: TrialTimeout = None,
    max_memory: MaxMemory = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the comparison alone.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Run a study's trials again from its file, into a new file, and compare the results.

    Each trial gets the configuration and the seed that it had, in the order of their numbers.
    Exit code 1 where a result differs by more than the tolerance. Given again, the command
    continues where it stopped.
    """
    from tinytune import replicate as repeating
    from tinytune import session
    from tinytune.cli import work
    from tinytune.output import formats, proof
    from tinytune.store.reader import Reader

    formats.check_detail_format(form)
    path = study.with_name(f"{study.stem}-replica.db") if output is None else output
    with (
        Reader(study) as original,
        work.objective_of(original, objective, trust_code=trust_code) as (loaded, target),
    ):
        session.check_space(study, loaded)
        wanted = None if trials is None else repeating.numbers(trials)
        with original.snapshot():
            chosen = repeating.chosen(original, wanted, top)
        is_new = repeating.start(original, path, chosen)
        if not trust_code:
            session.vouch(path, loaded, target)
        limits = (workers, None, len(chosen) + 1, trial_timeout, max_memory)
        how = work.how(*limits, debug=debug, no_git=False)
        code = work.work(
            path, loaded, target, how, is_new=is_new, accept_changes=False, quiet=quiet, advice="",
            may_fail=True,
        )  # fmt: skip
        with Reader(path) as repeated:
            found = repeating.compare(original, repeated, tolerance)
        goal = original.study().goals[0].name
    verdict = repeating.verdict(found, len(chosen), tolerance)
    if form == "json":
        document = {"verdict": verdict, "trials": proof.comparison_json(found)}
        typer.echo(formats.json_text(document))
    else:
        typer.echo("\n".join([*([proof.comparison_text(found, goal)] if found else []), verdict]))
    raise typer.Exit(code or int(any(not each.within for each in found)))


def extract(
    study: StudyFile,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    debug: Debug = False,
) -> None:
    """Write the objective's stored sources, its requirements and a README into a folder."""
    from tinytune import extract as extracting
    from tinytune.output.formats import clean
    from tinytune.store.reader import Reader

    with Reader(study) as reader:
        written = extracting.write(reader, folder)
        missing = extracting.missing(reader)
    typer.echo("\n".join(map(str, written)))
    for name in missing:
        typer.echo(f"not there: {clean(name)}, whose text the study does not hold", err=True)
    typer.echo(f"next: read {folder / 'README.md'}, and the code before you run it", err=True)


def diff(
    first: Annotated[Path, typer.Argument(metavar="A.db", help="A study.")],
    second: Annotated[Path, typer.Argument(metavar="B.db", help="Another one.")],
    form: DetailFormat = "table",
    debug: Debug = False,
) -> None:
    """Show what differs between two studies; exit code 1 if anything does."""
    from tinytune.contrast import contrast
    from tinytune.output import formats, proof
    from tinytune.store.reader import Reader

    formats.check_detail_format(form)
    with Reader(first) as one, Reader(second) as other, one.snapshot(), other.snapshot():
        found = contrast(one, other)
    if form == "json":
        typer.echo(formats.json_text(vars(found)))
    else:
        typer.echo(proof.contrast_text(found))
    raise typer.Exit(0 if found.is_empty else 1)
