"""What early stopping has saved, told to people and to scripts."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinytune import stopping
from tinytune.files import typed
from tinytune.history import StudyRecord
from tinytune.output.formats import clean, counted, number_text, table
from tinytune.output.progress import duration
from tinytune.savings import Savings, Unseen


def savings_json(found: Savings, blind: Sequence[Unseen]) -> dict[str, Any]:
    """Return it for scripts."""
    return {
        **vars(found),
        "unseen": unseen_json(blind),
        "share_saved": found.share_saved,
        "short": [vars(each) for each in found.short],
    }


def unseen_json(blind: Sequence[Unseen]) -> list[dict[str, Any]]:
    """Return for scripts which rules have had nothing to look at."""
    return [
        {"rule": each.rule.name, "metric": each.metric, "reported": each.reported} for each in blind
    ]


def unseen_texts(path: Path, blind: Sequence[Unseen]) -> list[str]:
    """Return a sentence for each rule that has had nothing to look at: which, why, what to do."""
    return [_unseen_text(typed(path), each) for each in blind]


def _unseen_text(path: str, of: Unseen) -> str:
    rule = stopping.text([of.rule])
    if not of.reported:
        report = f"call tinytune.report(step, {'=…, '.join(of.wanted)}=…) in the objective"
        if of.of_command:
            numbers = "=0.5 ".join(of.wanted)
            report = f'let the command print "tinytune: step=1 {numbers}=0.5" after a step'
        return (
            f"{rule} has stopped no trial, since none has reported anything: {report}, or do "
            f"without: tinytune set {path} --stop none"
        )
    names = " and ".join(map(repr, of.reported))
    if of.is_joint:
        rest = " and ".join(name for name in of.wanted if name not in of.reported)
        verb = "is" if len(of.reported) == 1 else "are"
        return (
            f"{rule} has stopped no trial, since it compares at least two objectives, and only "
            f"{names} {verb} reported at steps: report {rest} there too, or do without: "
            f"tinytune set {path} --stop none"
        )
    instead = shlex.quote(stopping.text(of.instead))
    return (
        f"{rule} has stopped no trial, since none has reported {of.metric!r}, but only {names}: "
        f"report that too, or look at what there is: tinytune set {path} --stop {instead}"
    )


def savings_text(found: Savings, record: StudyRecord) -> str:
    """Return it in sentences, and the constant lengths as a table."""
    rules = ", ".join(f"{count} by {name}" for name, count in found.by_rule.items())
    stopped = counted(found.stopped, "trial")
    by = f" ({rules})" if rules else ""
    lines = [f"{stopped} stopped early{by}, {found.complete} complete", *_together_text(found)]
    if not found.whole:
        lines.append("no complete trial has reported anything: nothing can be said of savings")
        return "\n".join(lines)
    lines.append(
        f"steps: {found.steps:,} reported; about {found.steps_saved:,} saved "
        f"({found.share_saved:.0%}), if each stopped trial had gone on to {found.whole} steps, "
        "as half of the complete ones did"
    )
    lines.append(
        f"time: {duration(found.seconds)} in trials; about {duration(found.seconds_saved)} saved, "
        "at each trial's own speed"
    )
    if found.spared:
        lines.append(_audit_text(found))
    elif record.stopping and not record.audit:
        lines.append("audit: none; `--audit 5%` would show how often stopping is wrong")
    if found.short:
        lines.append(
            "\nif all trials had ended after a constant number of steps, and only the best gone on:"
        )
        goal = record.goals[0].name
        rows = [
            (each.length, f"{each.steps:,}", each.trial,
             "was stopped" if each.value is None else number_text(each.value),
             "" if each.rank is None else each.rank)
            for each in found.short
        ]  # fmt: skip
        lines.append(table(("after", "steps", "trial", f"{goal} in the end", "rank"), rows))
    return "\n".join(lines)


def _together_text(found: Savings) -> list[str]:
    """Return which objectives a rule compares together, nothing where there is no such rule."""
    there, rest = (", ".join(map(clean, names)) for names in (found.compared, found.left_out))
    if not rest:
        return [f"dominated compares {there}"] if there else []
    if len(found.compared) > 1:
        return [f"dominated compares {there}; left out, as not reported at steps: {rest}"]
    return []  # nothing could be stopped: see `unseen_texts`


def _audit_text(found: Savings) -> str:
    spared = counted(found.spared, "trial")
    if found.spared_good is None:
        ended = f"{found.spared_best or 'none'} ended on the Pareto front"
    else:
        best = "one" if found.spared_best else "none"
        ended = f"{found.spared_good} ended in the better half, and {best} as the best"
    return f"audit: of {spared} that a rule would have stopped and that ran to the end, {ended}"
