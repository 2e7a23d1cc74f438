"""What `run` and `resume` have in common: they say what they do, do it, and say how it ended."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import typer

from tinytune import budget, extract, files, loading, search, session, study
from tinytune.checkpoints import Keeping
from tinytune.errors import UsageError
from tinytune.history import Progress, State, StudyRecord, TrialRecord
from tinytune.limits import TrialLimits
from tinytune.objective import Objective
from tinytune.output.formats import clean, counted
from tinytune.output.progress import Live, bytes_of, duration, seconds_of
from tinytune.output.savings import unseen_texts
from tinytune.output.status import NONE_MEETS, best_text, curve_text, goals_text
from tinytune.savings import unseen
from tinytune.session import Work
from tinytune.store.reader import Reader
from tinytune.supervisor import Ending
from tinytune.worker import StopReason


def how(
    workers: int,
    timeout: str | None,
    max_failures: int,
    trial_timeout: str | None,
    max_memory: str | None,
    checkpoints: Path | None = None,
    keep_checkpoints: bool = False,  # noqa: FBT001 - as the options are
    *,
    debug: bool,
    no_git: bool,
    capture: bool | None = None,
) -> Work:
    """Return the session's limits from the command line's options."""
    return Work(
        workers,
        None if timeout is None else seconds_of(timeout),
        max_failures,
        TrialLimits(
            None if trial_timeout is None else seconds_of(trial_timeout),
            None if max_memory is None else bytes_of(max_memory),
        ),
        debug,
        not no_git,
        capture,
        Keeping(checkpoints, keep_checkpoints),
    )


def work(
    path: Path,
    objective: Objective,
    target: str,
    limits: Work,
    *,
    is_new: bool,
    accept_changes: bool,
    quiet: bool,
    advice: str | None = None,
    may_fail: bool = False,
) -> int:
    """Run a session and return the exit code; `advice` is what it says to do next.

    Where all trials have failed the code is 1, unless they may.
    """
    _warn_of_changes(path, objective, accept=accept_changes)
    if not quiet:
        begun = _again(path) if limits.repeats_only else _beginning(path, is_new=is_new)
        typer.echo(begun, err=True)
    live = Live(path, objective.goals[0], quiet=quiet, repeats_only=limits.repeats_only)
    with live:
        ending = session.run(path, objective, target, limits, live)
    if not quiet:
        ended = _how_it_ended(ending, live.seconds)
        told = _repeats(path) if limits.repeats_only else _summary(path, ending, advice)
        typer.echo(f"{ended}: {told}", err=True)
    if ending.reason is StopReason.FAILURES:
        typer.echo(session.failure_text(path, limits), err=True)
        return 1
    if ending.signal is not None:
        return 128 + ending.signal
    failed = None if may_fail else _last_where_all_failed(path, limits)
    if failed is not None and quiet:
        typer.echo(f"tinytune: {path}: all trials have failed; {_failed_text(failed)}", err=True)
    return 0 if failed is None else 1


def _last_where_all_failed(path: Path, limits: Work) -> TrialRecord | None:
    """Return the trial that failed last, None where any has come to a result, or none has ended."""
    with study.Study(path) as opened:
        progress = opened.progress
        counts = progress.repeats if limits.repeats_only else progress.counts
        if any(counts.get(state) for state in ("complete", "stopped", "paused")):
            return None
        return opened.reader.last_failed() if counts.get("failed") else None


def _failed_text(failed: TrialRecord) -> str:
    return f"trial {failed.number} failed last: {clean(failed.error or '')}"


def check_determinism(path: Path, objective: Objective, *, quiet: bool) -> None:
    """Run the first trial twice, and say whether the objective repeats itself."""
    first, second = session.repeats_itself(path, objective)
    if first.state == "failed":
        text = f"cannot tell whether the objective repeats itself: it failed ({first.error})"
    elif (first.state, first.values) == (second.state, second.values):
        text = f"the objective repeats itself: {first.value!r} twice for the first trial"
        if quiet:
            return
    else:
        text = (
            f"the objective does not repeat itself: {first.value!r}, then {second.value!r} for the "
            "same trial and seed; call tinytune.seed_everything() at its start"
        )
    typer.echo(text, err=True)


def lacks_log(path: Path) -> bool:
    """Return whether a study's write-ahead log is not there; to be asked before it is opened."""
    with suppress(OSError):  # it may not be read: who opens it says so
        return path.is_file() and files.lacks_log(path)
    return False


def tell_of_missing_log(path: Path) -> None:
    """Say that results may be missing: such a file is older than what its workers wrote last."""
    typer.echo(
        f"tinytune: {path}-wal is missing, and with it perhaps what was written last, since {path} "
        "was copied or moved while at work, or its processes were killed: if the log still exists, "
        "stop, and start again from both files",
        err=True,
    )


def _warn_of_changes(path: Path, objective: Objective, *, accept: bool) -> None:
    changed = session.changed_source(path, objective, accept=accept)
    if changed is None:
        return
    advice = "accepted from now on" if accept else "accept it with --accept-changes, or undo it"
    changed = "\n".join(map(clean, changed.splitlines()))
    typer.echo(
        f"tinytune: the objective's source has changed since {path} was made "
        f"({advice}):\n{changed}",
        err=True,
    )


def _beginning(path: Path, *, is_new: bool) -> str:
    with study.Study(path) as opened:
        record, progress = opened.record, opened.progress
    limit = _budget(record)
    done = "" if is_new else f", {progress.ended} ended before"
    verb = "new study" if is_new else "continuing"
    with_it = f" ({_chosen(record)})" if is_new and record.search.name == "auto" else ""
    text = f"{path}: {verb}, {record.search.name} search{with_it}, seed {record.seed}, "
    text += f"{limit}{done}"
    if is_new and _leaves_out_the_defaults(record):
        text += "; the defaults are not on the grid"
    return text


def _budget(record: StudyRecord) -> str:
    """Return what ends the study, whichever comes first."""
    steps, seconds = record.budget_steps, record.budget_seconds
    parts = [] if record.budget is None else [counted(record.budget, "trial")]
    if steps is not None:
        parts.append(
            counted(steps, "step") if parts else f"until {counted(steps, 'step')} are reported"
        )
    if seconds is not None:
        parts.append(f"{duration(seconds)} of trials")
    return " or ".join(parts) or "until the time is up"


def _again(path: Path) -> str:
    """Return what is run, where configurations are run again."""
    with study.Study(path) as opened:
        progress = opened.progress
        configurations = len({repeat.confirms for repeat in opened.reader.repeats()})
    total = sum(progress.repeats.values())
    done = f", {progress.repeats_ended} ended before" if progress.repeats_ended else ""
    return f"{path}: {counted(configurations, 'configuration')} again in {total} runs{done}"


def _repeats(path: Path) -> str:
    """Return how many runs of configurations there are now in each state."""
    with study.Study(path) as opened:
        return _counts(opened.progress.repeats)


def _counts(counts: Mapping[State, int]) -> str:
    return ", ".join(f"{n} {state}" for state, n in counts.items() if n)


def _chosen(record: StudyRecord) -> str | None:
    """Return which search an automatic choice begins with, and why."""
    from tinytune.output import searches  # loads numpy
    from tinytune.search.fold import Fold

    return searches.at_work(Fold(record).label(0))


def _leaves_out_the_defaults(record: StudyRecord) -> bool:
    first = record.space.defaults
    if not record.use_defaults or first is None or record.search.name != "grid":
        return False
    working = search.from_spec(record.search).start(record.space, record.seed, first)
    return working.suggest(0, ()) != first


def _how_it_ended(ending: Ending, seconds: float) -> str:
    how_it_ended = {
        StopReason.DONE: "done",
        StopReason.TIMEOUT: "time is up",
        StopReason.INTERRUPTED: "interrupted; what was running was given back",
        StopReason.FAILURES: "stopped, too many failures in a row",
    }[ending.reason]
    return f"{how_it_ended} after {duration(seconds)}"


def _summary(path: Path, ending: Ending, advice: str | None) -> str:
    with study.Study(path) as opened:
        record, progress = opened.record, opened.progress
        goal = record.goals[0]
        counts = _counts(progress.counts)
        curve = curve_text(opened.reader, goal)
        front = opened.front() if len(record.goals) > 1 else []
        failed = opened.reader.last_failed() if progress.best is None else None
        blind = unseen_texts(path, unseen(opened.reader))
    lines = [counts or "no trials"]
    if progress.is_spent and ending.reason is StopReason.DONE:
        lines.append("the seconds of its budget are spent")
    if progress.best is not None and len(record.goals) > 1:
        lines.append(f"Pareto front: {counted(len(front), 'trial')}, {goals_text(record)}")
    elif progress.best is not None:
        lines.append(f"best: {best_text(progress.best, goal)}")
        lines.append(f"best so far: {curve}")
    elif record.subject_to and progress.counts["complete"]:
        lines.append(f"best: {NONE_MEETS}")
    if failed is not None and ending.reason in (StopReason.DONE, StopReason.TIMEOUT):
        lines.append(_failed_text(failed))
    lines += map(clean, blind)
    if advice is None:
        is_done = ending.reason is StopReason.DONE
        advice = _advice(path, is_done=is_done, progress=progress, record=record)
    return "\n".join(lines + ([advice] if advice else []))


def _advice(path: Path, *, is_done: bool, progress: Progress, record: StudyRecord) -> str:
    name = files.typed(path)
    if progress.is_spent and (progress.best is not None or not progress.counts["failed"]):
        look = "" if progress.best is None else f"tinytune best {name} · "
        return f"next: {look}tinytune resume {name} --budget-seconds +10m"
    if is_done and progress.counts["complete"]:  # also where none meets what it has to
        if budget.is_exhausted(path):
            return f"next: tinytune best {name}"
        more = "--trials +50"
        if record.budget_steps is not None and progress.steps >= record.budget_steps:
            more = f"--budget-steps {2 * record.budget_steps}"
        return f"next: tinytune best {name} · tinytune resume {name} {more}"
    if is_done and progress.counts["failed"]:
        return f"next: tinytune trials {name} · mend the objective · tinytune retry {name}"
    return f"next: tinytune resume {name}"


def own_objective(path: Path, named: str | None, command: str) -> tuple[Objective, str, str]:
    """Load a study's objective, where it is named, or else where the study says.

    Returns it, its place, and in words where the study's space was widened, or nothing.
    StudyMismatchError unless it has the study's space; `command` is what asks for it.
    """
    target = session.find_objective(path, command) if named is None else named
    loaded = loading.load(target)
    differs = session.check_space(path, loaded)
    if named is not None:
        session.vouch(path, loaded, target)
    return loaded, target, differs


@contextmanager
def objective_of(
    reader: Reader, named: str | None, *, trust_code: bool
) -> Iterator[tuple[Objective, str]]:
    """Load a study's objective: the user's own, or after saying what it is, the stored one."""
    if not trust_code:
        target = session.find_objective(reader.path, "replicate") if named is None else named
        yield loading.load(target), target
        return
    if named is not None:
        raise UsageError("give --objective or --trust-code, not both")
    files = extract.sources(reader)
    command = reader.study().objective.command
    target = "" if command is not None else extract.target(reader, files)
    what = "code" if command is None else "command"
    shown = "" if command is None else f" {clean(command.text)}"
    typer.echo(f"running the {what} that {reader.path} holds:{shown}", err=True)
    for name, source in files.items():
        lines = len(source.text.splitlines())
        typer.echo(f"  {clean(name)}: {lines} lines, SHA-256 {source.hash}", err=True)
    for name in extract.missing(reader):
        typer.echo(f"  {clean(name)}: its text is not in the study", err=True)
    with tempfile.TemporaryDirectory(prefix="tinytune-") as folder:
        extract.write_texts({name: source.text for name, source in files.items()}, Path(folder))
        place = f"{folder}/{target}"
        if command is not None:
            place = extract.stored_command(reader, files, Path(folder)).target
        yield loading.load(place), place
