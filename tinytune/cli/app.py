"""The command line: where each command is, and Typer, which reads its function's signature."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated

import typer

from tinytune import __version__

# The module and the function of each command, in the order of --help. Only the one that was asked
# for is loaded: what all of them import would take longer than most of them run.
COMMANDS = {
    "run": ("run", "run"),
    "resume": ("run", "resume"),
    "trials": ("show", "trials"),
    "show": ("show", "show"),
    "status": ("show", "status"),
    "searches": ("listing", "searches"),
    "stoppings": ("listing", "stoppings"),
    "best": ("best", "best"),
    "confirm": ("confirm", "confirm"),
    "stopping-report": ("proof", "stopping_report"),
    "importance": ("importance", "importance"),
    "verify": ("proof", "verify"),
    "replicate": ("proof", "replicate"),
    "extract": ("proof", "extract"),
    "diff": ("proof", "diff"),
    "add": ("hand", "add"),
    "ask": ("hand", "ask"),
    "tell": ("hand", "tell"),
    "logs": ("logs", "logs"),
    "tag": ("edit", "tag"),
    "note": ("edit", "note"),
    "remove": ("edit", "remove"),
    "widen": ("change", "widen"),
    "pack": ("care", "pack"),
    "merge": ("care", "merge"),
    "retry": ("care", "retry"),
    "release": ("care", "release"),
    "check": ("care", "check"),
    "set": ("change", "set_"),
}
# A result may be negative, and must not be taken for an option.
_SETTINGS = {"tell": {"ignore_unknown_options": True}}

app = typer.Typer(
    name="tinytune",
    help="Tunes hyperparameters and remembers everything: one decorator, one SQLite file.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def choose(arguments: Sequence[str]) -> None:
    """Load the command that was asked for; all of them where that is none, as for --help."""
    asked = arguments[0] if arguments else ""
    names: Iterable[str] = COMMANDS
    if asked in COMMANDS or asked == "--version":
        names = [asked] if asked in COMMANDS else []
    app.registered_commands.clear()
    for name in names:
        module, function = COMMANDS[name]
        found = getattr(import_module(f"tinytune.cli.{module}"), function)
        summary = (found.__doc__ or "").partition("\n")[0]  # whole: Typer's own would be cut off
        app.command(name, short_help=summary, context_settings=_SETTINGS.get(name))(found)


def _version(value: bool) -> None:  # noqa: FBT001 - Typer's way
    if value:
        typer.echo(f"tinytune {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Tunes hyperparameters and remembers everything: one decorator, one SQLite file."""
