"""Commands that list what there is to choose from: searches, stoppings."""

from __future__ import annotations

import typer

from tinytune.cli.options import Debug, DetailFormat


def searches(form: DetailFormat = "table", debug: Debug = False) -> None:
    """List the searches: what each is, what it suits, and its options."""
    from tinytune.output import formats, searches

    formats.check_detail_format(form)
    found = searches.described()
    if form == "json":
        typer.echo(formats.json_text([vars(each) for each in found]))
    else:
        typer.echo(searches.text(found))


def stoppings(form: DetailFormat = "table", debug: Debug = False) -> None:
    """List the stopping rules: what each is, what it suits, and its options."""
    from tinytune.output import formats, searches

    formats.check_detail_format(form)
    found = searches.described_rules()
    if form == "json":
        typer.echo(formats.json_text([vars(each) for each in found]))
    else:
        typer.echo(searches.text(found))
