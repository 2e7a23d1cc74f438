"""Commands that list what there is to choose from: searches, stoppings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from tinytune.cli.options import Debug, DetailFormat

if TYPE_CHECKING:
    from tinytune.output.searches import Described


def searches(form: DetailFormat = "table", debug: Debug = False) -> None:
    """List the searches: what each is, what it suits, and its options."""
    from tinytune.output.searches import described

    _list(described, form)


def stoppings(form: DetailFormat = "table", debug: Debug = False) -> None:
    """List the stopping rules: what each is, what it suits, and its options."""
    from tinytune.output.searches import described_rules

    _list(described_rules, form)


def _list(described: Callable[[], list[Described]], form: str) -> None:
    from tinytune.output import formats, searches

    formats.check_detail_format(form)
    found = described()
    if form == "json":
        typer.echo(formats.json_text([vars(each) for each in found]))
    else:
        typer.echo(searches.text(found))
