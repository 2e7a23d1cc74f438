"""What early stopping has saved, told to people and to scripts."""

from __future__ import annotations

from typing import Any

from tinytune.history import StudyRecord
from tinytune.output.formats import counted, number_text, table
from tinytune.output.progress import duration
from tinytune.savings import Savings


def savings_json(found: Savings) -> dict[str, Any]:
    """Return it for scripts."""
    return {
        **vars(found),
        "share_saved": found.share_saved,
        "short": [vars(each) for each in found.short],
    }


def savings_text(found: Savings, record: StudyRecord) -> str:
    """Return it in sentences, and the constant lengths as a table."""
    rules = ", ".join(f"{count} by {name}" for name, count in found.by_rule.items())
    stopped = counted(found.stopped, "trial")
    by = f" ({rules})" if rules else ""
    lines = [f"{stopped} stopped early{by}, {found.complete} complete"]
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
        lines.append(
            f"audit: of {counted(found.spared, 'trial')} that a rule would have stopped and that "
            f"ran to the end, {found.spared_good} ended in the better half, and "
            f"{'one' if found.spared_best else 'none'} as the best"
        )
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
