"""The command `best`: the best trial, the Pareto front, or what is best by weights and limits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tinytune.cli.options import MOST, Debug, StudyFile
from tinytune.files import typed
from tinytune.output.formats import Format

if TYPE_CHECKING:
    from tinytune.history import Goal, StudyRecord, TrialRecord
    from tinytune.store.reader import Reader


def best(
    study: StudyFile,
    top: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=MOST, help="The N best trials.")
    ] = None,
    form: Annotated[
        Format,
        typer.Option("--format", help="args prints --lr 0.1 …; json without --top is one object."),
    ] = Format.TABLE,
    weights: Annotated[
        str | None,
        typer.Option(metavar="NAME=W,…", help="By a weighted sum: error=1,inference_ms=0.01."),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMIT", help='Only trials that keep to it: "inference_ms <= 5".'),
    ] = None,
    hypervolume: Annotated[
        bool,
        typer.Option("--hypervolume", help="How much the Pareto front dominates, over the trials."),
    ] = False,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=VALUE,…",
            help="The hypervolume's reference point. Default: the worst of all complete trials.",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Show the best trial, or the best few; of several objectives the Pareto front.

    Configurations that `tinytune confirm` has run again count by the mean of their new runs.
    --weights and --limit choose among what has run, without running it again; what a limit speaks
    of is no objective any more. They know every result, and seconds, cpu_seconds, memory_mb, steps.
    """
    from tinytune.store.reader import Reader

    with Reader(study) as reader:
        record = reader.study()
        is_plain = weights is None and not limit and not hypervolume and reference is None
        if is_plain and len(record.goals) == 1:  # as nearly always; it loads less
            _show_confirmed(reader, record, top, form)
            return
        _show_chosen(reader, record, top, form, weights, limit or (), reference, hypervolume)


def _show_chosen(
    reader: Reader,
    record: StudyRecord,
    top: int | None,
    form: Format,
    weights: str | None,
    limit: Sequence[str],
    reference: str | None,
    hypervolume: bool,  # noqa: FBT001 - as the command line gives it
) -> None:
    """Show the Pareto front, what weights and limits choose, or the hypervolume."""
    from tinytune import preference, requirement
    from tinytune.cli import values
    from tinytune.errors import TinytuneError, UsageError
    from tinytune.output import formats

    if hypervolume or reference is not None:
        if weights is not None or limit or top is not None:
            raise UsageError("--hypervolume is of all trials: leave out the other options")
        typer.echo(_volume(reader, record.goals, values.numbers("--reference", reference), form))
        return
    goals = preference.left(record.goals, requirement.parsed(limit))
    is_front = weights is None and len(goals) > 1 and top is None
    if weights is None and not limit and not is_front:
        _show_confirmed(reader, record, top, form)
        return
    sums = values.numbers("--weights", weights)
    found = _chosen(reader, record, sums, limit, None if is_front else top or 1)
    metrics = {trial.number: reader.last_metrics_of(trial) for trial in found}
    if not found:
        raise TinytuneError(_why_none(reader, record, limit))
    if form == Format.JSON and top is None and not is_front:
        only = formats.trial_json(found[0], record, metrics[found[0].number])
        typer.echo(formats.json_text(only))
    else:
        shape = form if is_front else _shape(form, top)
        typer.echo(formats.trials_text(found, record, shape, metrics))


def _show_confirmed(reader: Reader, record: StudyRecord, top: int | None, form: Format) -> None:
    """Show the best trials by one objective; what was run again counts by the mean of that."""
    from tinytune import confirm
    from tinytune.errors import TinytuneError
    from tinytune.output import confirm as output
    from tinytune.output import formats

    ranking = confirm.ranking(reader, record.goals[0])
    found = confirm.ordered(reader, ranking, top or 1)
    if not found:
        raise TinytuneError(_why_none(reader, record, ()))
    doubt = confirm.doubt(reader, record, ranking, found[0])
    metrics = {trial.number: reader.last_metrics_of(trial) for trial in found}
    if form == Format.JSON:
        documents = output.best_json(found, record, metrics, ranking)
        typer.echo(formats.json_text(documents[0] if top is None else documents))
    elif form == Format.ARGS:
        typer.echo(formats.trials_text(found, record, form))
    else:
        typer.echo(output.best_text(found, record, _shape(form, top), ranking))
    if form == Format.JSON:  # it says what was run again; and scripts may read both streams
        return
    is_shown = sys.stderr.isatty() and record.repeats == 1
    remark = output.remark(reader.path, doubt, ranking, is_shown=is_shown)
    if remark:
        typer.echo(remark, err=True)


def _shape(form: Format, top: int | None) -> str:
    """Return the form in which trials are written; the best one alone is no table."""
    return "lines" if form == Format.TABLE and top is None else form


def _chosen(
    reader: Reader,
    record: StudyRecord,
    weights: dict[str, float],
    limits: Sequence[str],
    count: int | None,
) -> list[TrialRecord]:
    """Return the best by weights, else by the objectives that no limit speaks of.

    `count` of them; None: the whole front.
    """
    from tinytune import preference, requirement

    limited = requirement.parsed(limits)
    trials = preference.candidates(reader, limited)
    goals = preference.left(record.goals, limited)
    if count is None:
        return preference.front(trials, goals)
    sums = weights or {goals[0].name: 1.0}
    return [trial for _, trial in preference.weighted(trials, sums, record.goals)][:count]


def _volume(reader: Reader, goals: tuple[Goal, ...], said: dict[str, float], form: Format) -> str:
    from tinytune import preference
    from tinytune.errors import TinytuneError, UsageError
    from tinytune.output import formats
    from tinytune.output.status import volume_text

    if form not in {Format.TABLE, Format.JSON}:
        raise UsageError(f"there is no format {form.value!r} for a hypervolume: use table or json")
    found = preference.volume(reader, goals, said)
    if found is None:
        raise TinytuneError(f"{reader.path} has no complete trial yet")
    if form == Format.JSON:
        return formats.json_text({"hypervolume": found.last, **vars(found)})
    return volume_text(found)


def _why_none(reader: Reader, record: StudyRecord, limits: Sequence[str]) -> str:
    """Return why there is no best trial."""
    from tinytune.output.formats import number_text

    missed = reader.nearest()
    if missed is None and not limits:
        paused = len(reader.trials("paused"))
        more = f", {paused} are paused until there are more trials" if paused else ""
        see = f"see `tinytune status {typed(reader.path)}`"
        return f"{reader.path} has no complete trial yet{more}: {see}"
    text = f"no trial of {reader.path} keeps to {' and '.join((*record.subject_to, *limits))}"
    if missed is None:
        return text
    results = ", ".join(f"{name} {number_text(value)}" for name, value in missed.values.items())
    return f"{text}: the nearest is trial {missed.number} ({results})"
