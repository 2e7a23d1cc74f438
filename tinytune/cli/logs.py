"""The command that shows what a trial printed: logs."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from tinytune.cli.hand import Number
from tinytune.cli.options import Debug, StudyFile

LOOK_SECONDS = 0.2  # how often --follow looks
LAST_SECONDS = 1.0  # after the end of an attempt, whose last output is written shortly after it


def logs(
    study: StudyFile,
    number: Number,
    attempt: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="Which attempt. Default: the last.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the attempt has ended.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Show what a trial printed: its output on the output, its errors on the error output.

    Kept are the first 16,384 and the last 49,152 characters of each.
    """
    from tinytune.output.logs import Follower
    from tinytune.store.reader import Reader

    with Reader(study) as reader:
        follower = Follower(reader, number, attempt)
    is_last = not follow
    while True:
        with Reader(study) as reader, reader.snapshot():
            is_running = follower.look(reader)
        for stream, text in follower.news:
            typer.echo(text, err=stream == "stderr", nl=False)
            (sys.stderr if stream == "stderr" else sys.stdout).flush()
        if is_last:
            break
        is_last = not is_running
        time.sleep(LAST_SECONDS if is_last else LOOK_SECONDS)
    for line in follower.notes:
        typer.echo(line, err=True)
