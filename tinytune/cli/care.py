"""Commands that care for a study's file: pack, retry, release, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinytune.cli.options import CheckpointsFolder, Debug, DetailFormat, StudyFile
from tinytune.files import typed


def pack(
    study: StudyFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The copy; must not exist.")
    ],
    checkpoints: CheckpointsFolder = None,
    debug: Debug = False,
) -> None:
    """Make a complete copy of a study, also while it is at work; what runs is waiting in it."""
    from tinytune.checkpoints import copy_beside, refuse_leftover
    from tinytune.output.formats import counted
    from tinytune.store.writer import copy

    refuse_leftover(output)
    count = copy(study, output)
    saved, missing = copy_beside(study, output, checkpoints)
    typer.echo(f"{output}: {counted(count, 'trial')}", err=True)
    if saved > len(missing):
        shown = counted(saved - len(missing), "trial")
        typer.echo(f"{output}.checkpoints: large checkpoints of {shown}; keep both", err=True)
    if missing:
        shown = ", ".join(map(str, missing))
        typer.echo(
            f"not found, so that these trials begin anew in the copy: the large checkpoints of "
            f"{shown}; say --checkpoints DIR if they are elsewhere",
            err=True,
        )


def merge(
    studies: Annotated[
        list[Path], typer.Argument(metavar="STUDY...", help="Two or more, of one objective.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The new study; must not exist.")
    ],
    debug: Debug = False,
) -> None:
    """Make one study of several of the same objective; the first one goes on, with more evidence.

    Each trial keeps its metrics, attempts, logs, tags and notes, and can still be proved. The
    studies themselves are not changed.
    """
    from tinytune import merge as merging
    from tinytune.output.formats import clean

    for text in merging.merge(studies, output):
        typer.echo(clean(text), err=True)


def retry(
    study: StudyFile,
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[NUMBER]...", help="Default: all that failed.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Let failed trials run again at the next resume; their failures are kept as attempts."""
    from tinytune.errors import UsageError
    from tinytune.output.formats import counted
    from tinytune.store.writer import Store

    with Store(study) as store:
        trials, parts = store.trials("failed"), store.parts()
        numbered = {trial.number for trial in trials if trial.params is None}
        lacking = {n for n in numbered if any(part.holds(n) for part in parts)}
        failed = {trial.number for trial in trials if not trial.removed} - lacking
        wanted = set(numbers) if numbers else failed
        for trial in trials:
            if trial.removed and trial.number in wanted:
                raise UsageError(
                    f"trial {trial.number} of {study} is removed: let it count again first, with "
                    f"`tinytune remove {typed(study)} {trial.number} --undo`"
                )
            if trial.number in lacking & set(numbers or ()):
                raise UsageError(
                    f"trial {trial.number} of {study} was merged without a configuration, and only "
                    "its own study's search could suggest one: retry the others by their numbers"
                )
        if wanted - failed:
            number = min(wanted - failed)
            raise UsageError(f"trial {number} of {study} has not failed: see `tinytune trials`")
        store.retry(sorted(wanted))
    if not wanted:
        typer.echo(f"{study}: there is no failed trial that could run again", err=True)
        return
    verb = "waits" if len(wanted) == 1 else "wait"
    waiting = counted(len(wanted), "trial")
    typer.echo(f"{waiting} {verb} to run again: tinytune resume {typed(study)}", err=True)


def release(study: StudyFile, debug: Debug = False) -> None:
    """Give back the trials of workers that are gone, or on a host that has vanished."""
    from tinytune import process
    from tinytune.output.formats import counted
    from tinytune.store.writer import Store

    released, kept = 0, 0
    with Store(study) as store:
        for trial in store.running():
            dead = process.is_dead(trial.process)
            if dead is False:
                kept += 1
                continue
            store.leave(trial.token.worker)
            released += 1
    given = counted(released, "trial")
    if released:
        typer.echo(f"{given} given back: tinytune resume {typed(study)}", err=True)
    elif not kept:
        typer.echo(f"{study}: no trial is running, so there is none to give back", err=True)
    if kept:
        verb = "is" if kept == 1 else "are"
        left = counted(kept, "trial")
        typer.echo(f"{left} {verb} run by processes that live here, and not given back", err=True)


def check(
    study: StudyFile,
    checkpoints: CheckpointsFolder = None,
    form: DetailFormat = "table",
    debug: Debug = False,
) -> None:
    """Look whether a study's file is whole; exit code 1 if it is not."""
    from tinytune import check as checks
    from tinytune.output import formats
    from tinytune.store.reader import Reader

    formats.check_detail_format(form)
    with Reader(study) as reader:
        findings = checks.check(reader, checkpoints)
    notes = checks.sqlite_notes()
    bad = [finding for finding in findings if finding.problem]
    if form == "json":
        document = {"ok": not bad, "findings": [vars(f) for f in findings], "notes": notes}
        typer.echo(formats.json_text(document))
    else:
        rows = [(f.what, f"{f.problem}: {f.remedy}" if f.problem else "ok") for f in findings]
        typer.echo(formats.facts(rows))
        typer.echo("\n".join(notes))
    raise typer.Exit(1 if bad else 0)
