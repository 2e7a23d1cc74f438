"""Commands that work on a study: run, resume."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinytune.cli import commands
from tinytune.cli.options import (
    Accept,
    BudgetSeconds,
    BudgetSteps,
    Capture,
    CheckpointsFolder,
    Debug,
    KeepCheckpoints,
    MaxFailures,
    MaxMemory,
    NoGit,
    Objective,
    Quiet,
    StudyFile,
    Timeout,
    TrialTimeout,
    Workers,
)


def run(
    target: commands.Words,
    study: Annotated[Path, typer.Option(metavar="PATH", help="The study's file.")] = Path(
        "study.db"
    ),
    search: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Default: auto. See `tinytune searches`. Options: NAME(option=value).",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(metavar="N", help="Trials in all. Default: 100, or the whole grid."),
    ] = None,
    budget_steps: BudgetSteps = None,
    repeats: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Run each configuration N times, under other seeds, and take the mean.",
        ),
    ] = None,
    timeout: Timeout = None,
    budget_seconds: BudgetSeconds = None,
    workers: Workers = 1,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Default: 0.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a fixed setting: epochs=50."),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SPEC", help="Grid points: lr=5 for five, momentum=0,0.5,0.9 for these."
        ),
    ] = None,
    grid_order: Annotated[
        str | None, typer.Option(metavar="ORDER", help="even (default) or lexicographic.")
    ] = None,
    without_replacement: Annotated[
        bool, typer.Option("--without-replacement", help="random: never repeat a configuration.")
    ] = False,
    allow_repeats: Annotated[
        bool,
        typer.Option("--allow-repeats", help="auto: a noisy objective; repeat configurations."),
    ] = False,
    smooth: Annotated[
        bool, typer.Option("--smooth", help="auto: the objective is smooth and without noise.")
    ] = False,
    stop: Annotated[
        str | None,
        typer.Option(metavar="RULES", help="End hopeless trials: median, asha, median+threshold …"),
    ] = None,
    audit: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Of the stopped trials, let this share run on: 5%."),
    ] = None,
    learn_from: Annotated[
        list[Path] | None,
        typer.Option(metavar="OLD.db", help="Tell the search of another study's trials first."),
    ] = None,
    trust_defaults: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL",
            help="auto, gp, tpe: believe that the best lies near the defaults: low, medium, high.",
        ),
    ] = None,
    check_determinism: Annotated[
        bool,
        typer.Option("--check-determinism", help="Run the first trial twice before, and compare."),
    ] = False,
    no_defaults: Annotated[
        bool, typer.Option("--no-defaults", help="Do not begin with the defaults as trial 0.")
    ] = False,
    param: commands.Param = None,
    where: commands.Where = None,
    metric: commands.Metric = None,
    minimize: commands.Minimize = None,
    maximize: commands.Maximize = None,
    subject_to: commands.SubjectTo = None,
    trial_timeout: TrialTimeout = None,
    max_memory: MaxMemory = None,
    max_failures: MaxFailures = 10,
    accept_changes: Accept = False,
    no_git: NoGit = False,
    capture: Capture = None,
    checkpoints: CheckpointsFolder = None,
    keep_checkpoints: KeepCheckpoints = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Start a study of an objective or a command, or continue it where the file stopped.

    Exit code 1 where all its trials have failed, or too many in a row.
    """
    from tinytune import session, stopping
    from tinytune.cli import values, work
    from tinytune.decorator import options_of
    from tinytune.output.formats import clean
    from tinytune.output.progress import seconds_of

    # First, since its file may register a search of its own.
    objective, place = commands.named(
        target, param or (), where or (), metric or (), (minimize or (), maximize or ()),
        subject_to or (),
    )  # fmt: skip
    changes: dict[str, object] = {}
    if grid_order is not None:
        changes["order"] = grid_order
    flags = {
        "without_replacement": without_replacement,
        "allow_repeats": allow_repeats,
        "smooth": smooth,
    }
    changes |= {name: True for name, is_said in flags.items() if is_said}
    if trust_defaults is not None:
        changes["trust_defaults"] = trust_defaults
    points = values.grid(grid or ())
    if search is None and (grid_order is not None or without_replacement):
        search = "grid" if grid_order is not None else "random"
    wishes = session.Wishes(
        options_of(search, points, changes),
        seed,
        trials,
        False if no_defaults else None,
        workers,
        values.settings(set_ or ()),
        None if stop is None else stopping.parse(stop),
        None if audit is None else values.share(audit),
        budget_steps,
        learn_from or (),
        repeats,
        None if budget_seconds is None else seconds_of(budget_seconds),
    )
    limits = (workers, timeout, max_failures, trial_timeout, max_memory)
    keeping = (checkpoints, keep_checkpoints)
    how = work.how(*limits, *keeping, debug=debug, no_git=no_git, capture=capture)
    lacks_log = work.lacks_log(study)
    is_new = session.start(
        study,
        objective,
        place,
        wishes,
        has_timeout=how.timeout_seconds is not None,
        note=lambda text: None if quiet else typer.echo(f"{study}: {clean(text)}", err=True),
    )
    if lacks_log and not is_new:
        work.tell_of_missing_log(study)
    if check_determinism:
        work.check_determinism(study, objective, quiet=quiet)
    code = work.work(
        study, objective, place, how, is_new=is_new, accept_changes=accept_changes, quiet=quiet
    )
    raise typer.Exit(code)


def resume(
    study: StudyFile,
    command: commands.Given = None,
    trials: Annotated[
        str | None,
        typer.Option(metavar="N|+N", help="Trials in all, or +N more than the study had."),
    ] = None,
    budget_steps: BudgetSteps = None,
    workers: Workers = 1,
    timeout: Timeout = None,
    budget_seconds: BudgetSeconds = None,
    objective: Objective = None,
    trial_timeout: TrialTimeout = None,
    max_memory: MaxMemory = None,
    max_failures: MaxFailures = 10,
    accept_changes: Accept = False,
    no_git: NoGit = False,
    capture: Capture = None,
    checkpoints: CheckpointsFolder = None,
    keep_checkpoints: KeepCheckpoints = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Continue a study; any number of terminals may do so at once.

    Exit code 1 where all its trials have failed, or too many in a row.
    """
    from tinytune import budget
    from tinytune import study as studies
    from tinytune.cli import work
    from tinytune.output.formats import clean
    from tinytune.output.progress import seconds_of

    limits = (workers, timeout, max_failures, trial_timeout, max_memory)
    keeping = (checkpoints, keep_checkpoints)
    how = work.how(*limits, *keeping, debug=debug, no_git=no_git, capture=capture)
    named = commands.given_anew(study, command) if command else objective
    lacks_log = work.lacks_log(study)
    loaded, target, differs = work.own_objective(study, named, "resume")
    if lacks_log:
        work.tell_of_missing_log(study)
    if differs and not quiet:
        typer.echo(f"{study}: {clean(differs)}", err=True)
    limited = budget.extend(study, trials, budget_steps)
    if limited and not quiet:
        typer.echo(f"{study}: {clean(limited)}", err=True)
    if budget_seconds is not None:
        seconds = seconds_of(budget_seconds.removeprefix("+"))
        studies.extend_seconds(study, seconds, is_more=budget_seconds.startswith("+"))
    code = work.work(
        study, loaded, target, how, is_new=False, accept_changes=accept_changes, quiet=quiet
    )
    raise typer.Exit(code)
