"""Options and arguments that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="The study's file.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

DetailFormat = Annotated[
    str, typer.Option("--format", metavar="table|json", help="How to write it.")
]
LoadFirst = Annotated[
    str | None,
    typer.Option(
        "--objective",
        metavar="TARGET",
        help="Load this file first, for a search or a rule of your own.",
    ),
]
MOST = 1_000_000_000  # of what is counted on the command line
Workers = Annotated[int, typer.Option("--workers", "-w", metavar="N", help="Worker processes.")]
Timeout = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Start no trial after this time: 90s, 10m, 2h, 1h30m."),
]
BudgetSteps = Annotated[
    int | None,
    typer.Option(metavar="N", help="End the study after so many reported steps, of all trials."),
]
BudgetSeconds = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Of all trials together, also those that fail or die: 600, 10m, 2h. None starts when "
        "it is spent. resume also takes +10m.",
    ),
]
Objective = Annotated[
    str | None,
    typer.Option(metavar="TARGET", help="Where the objective is now, if it is not found."),
]
TrialTimeout = Annotated[
    str | None, typer.Option(metavar="TIME", help="End a trial that takes longer; it has failed.")
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="End a trial whose process, or command with its processes, uses more: 500M, 2G. It "
        "is looked at five times a second; a shorter peak ends no trial, and is told.",
    ),
]
Accept = Annotated[
    bool, typer.Option("--accept-changes", help="Accept the objective's changed source.")
]
MaxFailures = Annotated[
    int, typer.Option(metavar="N", help="Stop after so many failed trials in a row.")
]
Capture = Annotated[
    bool | None,
    typer.Option(
        "--capture/--no-capture",
        help="Keep what trials print in the study: see `tinytune logs`. Default: of commands, and "
        "with several workers.",
        show_default=False,
    ),
]
CheckpointsFolder = Annotated[
    Path | None,
    typer.Option(
        "--checkpoints",
        metavar="DIR",
        help="Where large checkpoints are. Default: STUDY.checkpoints.",
    ),
]
KeepCheckpoints = Annotated[
    bool, typer.Option("--keep-checkpoints", help="Keep the last two of trials that have ended.")
]
NoGit = Annotated[
    bool, typer.Option("--no-git", help="Do not record commit and changes of the repository.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
