"""The commands, as Typer reads them from these functions' signatures."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.models import CommandInfo

from tinytune import __version__
from tinytune.cli import best, care, change, commands, edit, hand, importance, logs, proof
from tinytune.cli.confirm import confirm as confirm_command
from tinytune.cli.options import (
    MOST,
    Accept,
    BudgetSeconds,
    BudgetSteps,
    Capture,
    CheckpointsFolder,
    Debug,
    DetailFormat,
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
from tinytune.output.formats import ListFormat

app = typer.Typer(
    name="tinytune",
    help="Tunes hyperparameters and remembers everything: one decorator, one SQLite file.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_commands: list[CommandInfo] = []  # all of them, once one was chosen


def choose(arguments: Sequence[str]) -> None:
    """Leave only the command that was asked for, if any: Typer reads each one's signature."""
    if not _commands:
        _commands.extend(app.registered_commands)
    chosen = [c for c in _commands if arguments and _name(c) == arguments[0]]
    app.registered_commands = chosen or list(_commands)


def _name(command: CommandInfo) -> str:
    return command.name or getattr(command.callback, "__name__", "").replace("_", "-")


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


@app.command()
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
        target, param or (), where or (), metric or (), (minimize, maximize), subject_to or ()
    )
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
    is_new = session.start(
        study,
        objective,
        place,
        wishes,
        has_timeout=how.timeout_seconds is not None,
        note=lambda text: None if quiet else typer.echo(f"{study}: {clean(text)}", err=True),
    )
    if check_determinism:
        work.check_determinism(study, objective, quiet=quiet)
    code = work.work(
        study, objective, place, how, is_new=is_new, accept_changes=accept_changes, quiet=quiet
    )
    raise typer.Exit(code)


@app.command()
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
    loaded, target, differs = work.own_objective(study, named, "resume")
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


@app.command()
def trials(
    study: StudyFile,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE",
            help="waiting, running, complete, stopped, paused, failed or removed.",
        ),
    ] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Order; -COLUMN for the largest first.")
    ] = None,
    top: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=MOST, help="The first N of them.")
    ] = None,
    form: Annotated[
        ListFormat, typer.Option("--format", help="How to write them.")
    ] = ListFormat.TABLE,
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Of the table: number,error,cpu_seconds,memory_mb,lr."),
    ] = None,
    tag: Annotated[
        str | None, typer.Option(metavar="WORD", help="Only those with this tag.")
    ] = None,
    debug: Debug = False,
) -> None:
    """List the trials."""
    from tinytune.errors import UsageError
    from tinytune.history import STATES
    from tinytune.output import formats
    from tinytune.store.reader import Reader

    if state not in (None, *STATES, "removed"):
        known = ", ".join((*STATES, "removed"))
        raise UsageError(f"there is no state {state!r}: use one of {known}")
    with Reader(study) as reader:
        record = reader.study()
        found = reader.trials(state, -1 if top is None or sort is not None else top, tag)
        if sort is not None:
            column = sort.removeprefix("-")
            found = formats.sorted_trials(found, record, column, descending=sort.startswith("-"))
            found = found[:top]
        metrics = None
        if form == ListFormat.JSON and top is None:
            metrics = reader.last_metrics()
        elif form == ListFormat.JSON:
            metrics = {trial.number: reader.last_metrics_of(trial) for trial in found}
    names = None if columns is None else [name.strip() for name in columns.split(",")]
    typer.echo(formats.trials_text(found, record, form, metrics, columns=names))


@app.command()
def show(
    study: StudyFile,
    number: Annotated[
        int | None, typer.Argument(metavar="[NUMBER]", help="The trial's number.")
    ] = None,
    code: Annotated[bool, typer.Option("--code", help="The objective's source.")] = False,
    environment: Annotated[
        bool, typer.Option("--environment", help="Python, packages, platform, git commit.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Changes of the repository that were not committed.")
    ] = False,
    form: DetailFormat = "table",
    debug: Debug = False,
) -> None:
    """Show one trial: parameters, attempts, curves, error; or what a study or a trial ran in."""
    from tinytune.errors import UsageError
    from tinytune.output import details, formats, provenance
    from tinytune.store.reader import Reader

    formats.check_detail_format(form)
    if code or environment or diff:
        with Reader(study) as reader:
            around = provenance.environment(reader, number)
            shown = [provenance.code(reader, around)] if code else []
        if diff:  # first, since the other leaves it out
            shown.append(provenance.diff_text(around))
        if environment:
            shown.append(provenance.environment_text(around, as_json=form == "json"))
        typer.echo("\n\n".join(shown))
        return
    if number is None:
        raise UsageError(
            "name a trial's number, or say --code, --environment or --diff for the whole study"
        )
    with Reader(study) as reader:
        record, trial = reader.timeline().at(number), reader.trial(number)
        if trial is None:
            raise UsageError(f"{study} has no trial {number}: see `tinytune trials {study}`")
        known = details.known_of(reader, trial)
    if form == "json":
        typer.echo(formats.json_text(details.trial_details_json(trial, record, *known)))
    else:
        typer.echo(details.trial_details(trial, record, *known))


@app.command()
def status(
    study: StudyFile,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every second.")] = False,
    form: DetailFormat = "table",
    debug: Debug = False,
) -> None:
    """Show how a study stands: what it tunes, how far it is, who works on it."""
    from tinytune import confirm
    from tinytune.output import details, formats
    from tinytune.store.reader import Reader

    formats.check_detail_format(form)
    while True:
        with Reader(study) as reader:
            record = reader.study()
            progress = confirm.progress(reader, record.goals[0])
            if form == "json":
                text = formats.json_text(details.status_json(reader, record, progress))
            else:
                text = details.status_text(reader, record, progress)
        clear = "\x1b[H\x1b[2J" if watch and sys.stdout.isatty() else ""
        typer.echo(f"{clear}{text}")
        if not watch or (progress.budget is not None and progress.ended >= progress.budget):
            return
        time.sleep(1)


@app.command()
def searches(form: DetailFormat = "table", debug: Debug = False) -> None:
    """List the searches: what each is, what it suits, and its options."""
    from tinytune.output import formats, searches

    formats.check_detail_format(form)
    found = searches.described()
    if form == "json":
        typer.echo(formats.json_text([vars(each) for each in found]))
    else:
        typer.echo(searches.text(found))


@app.command()
def stoppings(form: DetailFormat = "table", debug: Debug = False) -> None:
    """List the stopping rules: what each is, what it suits, and its options."""
    from tinytune.output import formats, searches

    formats.check_detail_format(form)
    found = searches.described_rules()
    if form == "json":
        typer.echo(formats.json_text([vars(each) for each in found]))
    else:
        typer.echo(searches.text(found))


# A result may be negative, and must not be taken for an option.
NEGATIVE = {"ignore_unknown_options": True}
for further_command, settings in (
    (best.best, None),
    (confirm_command, None),
    (proof.stopping_report, None),
    (importance.importance, None),
    (proof.verify, None),
    (proof.replicate, None),
    (proof.extract, None),
    (proof.diff, None),
    (hand.add, None),
    (hand.ask, None),
    (hand.tell, NEGATIVE),
    (logs.logs, None),
    (edit.tag, None),
    (edit.note, None),
    (edit.remove, None),
    (change.widen, None),
    (care.pack, None),
    (care.merge, None),
    (care.retry, None),
    (care.release, None),
    (care.check, None),
):
    app.command(context_settings=settings)(further_command)
app.command("set")(change.set_)
