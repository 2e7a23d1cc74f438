"""Commands that prove a study, and repeat it: verify."""

from __future__ import annotations

import typer

from tinytune.cli.care import Debug, DetailFormat, StudyFile


def verify(study: StudyFile, form: DetailFormat = "table", debug: Debug = False) -> None:
    """Recompute every suggestion of a study from its file alone; exit code 1 if one differs.

    Nothing of the objective is run. Digests of all rows are compared too: they show accidents
    and casual edits, not a forger who computes them anew.
    """
    from tinytune import verify as verifying
    from tinytune.output import formats, proof
    from tinytune.output.progress import Counter
    from tinytune.store.reader import Reader

    formats.check_detail_format(form)
    with Reader(study) as reader, Counter("verifying") as counter:
        found = verifying.verify(reader, counter.show)
    if form == "json":
        typer.echo(formats.json_text(proof.verification_json(found)))
    else:
        typer.echo(proof.verification_text(found))
    raise typer.Exit(0 if found.is_good else 1)
