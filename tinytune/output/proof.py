"""What `verify`, `replicate` and `diff` found, for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinytune.contrast import Contrast
from tinytune.output.formats import clean, counted, table
from tinytune.replicate import Comparison
from tinytune.verify import Verdict, Verification

MOST_ROWS = 20  # of a table of differences


def verification_json(found: Verification) -> dict[str, Any]:
    """Return what was found as scripts get it."""
    return {
        "ok": found.is_good,
        "exact": found.count("exact"),
        "differs": found.count("differs"),
        "not_applicable": found.count("not applicable"),
        "stops_exact": found.stops,
        "pauses_exact": found.pauses,
        "stops_not_applicable": found.unjudged or None,
        "problems": list(found.problems),
        "trials": [
            {
                "number": verdict.number,
                "status": verdict.status,
                "reason": verdict.reason,
                "differences": [vars(difference) for difference in verdict.differences],
            }
            for verdict in found.verdicts
        ],
    }


def verification_text(found: Verification) -> str:
    """Return what was found: what differs as a table, what else is wrong, and the sum of it."""
    parts = []
    differing = [verdict for verdict in found.verdicts if verdict.status == "differs"]
    if differing:
        rows = [row for verdict in differing for row in _rows(verdict)]
        parts.append(
            table(["trial", "parameter", "stored", "computed", "distance"], rows[:MOST_ROWS])
        )
        if len(rows) > MOST_ROWS:
            parts.append(f"… {len(rows) - MOST_ROWS} more: see --format json")
    parts += [f"wrong: {clean(problem)}" for problem in found.problems]
    parts += _reasons(found)
    total = found.count("exact") + len(differing)
    parts.append(
        f"{found.count('exact')} of {total} suggestions recomputed exactly"
        if total
        else "no suggestion could be recomputed"
    )
    judged = ((found.stops, "early stop"), (found.pauses, "pause"))
    named = [counted(count, what) for count, what in judged if count]
    if named:
        parts.append(f"{' and '.join(named)} recomputed exactly")
    if found.unjudged:
        parts.append(f"decisions to stop were not recomputed: {clean(found.unjudged)}")
    parts.append("all digests hold" if not found.problems else "the file is not as it was written")
    return "\n".join(parts)


def comparison_text(found: Sequence[Comparison], goal: str) -> str:
    """Return trials beside their repetitions, those that differ first."""
    rows = [
        (each.number, each.recorded, each.new,
         each.note if each.difference is None else f"{each.difference:.2g}",
         "yes" if each.within else "no")
        for each in sorted(found, key=lambda each: each.within)
    ]  # fmt: skip
    header = ("trial", f"recorded {goal}", "new", "difference", "within")
    text = table(header, rows[:MOST_ROWS])
    more = f"\n… {len(rows) - MOST_ROWS} more" if len(rows) > MOST_ROWS else ""
    return text + more


def comparison_json(found: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return the same for scripts."""
    return [{**vars(each), "difference": each.difference} for each in found]


def contrast_text(found: Contrast) -> str:
    """Return what differs between two studies."""
    if found.is_empty:
        return "nothing differs"
    parts = {
        "study": "\n".join(found.study),
        "code": found.code,
        "environment": "\n".join(found.environment),
        "trials": "\n".join(found.trials),
    }
    lines = []
    for name, text in parts.items():
        lines += [name, *(f"  {clean(line)}" for line in (text or "the same").splitlines())]
    return "\n".join(lines)


def _rows(verdict: Verdict) -> list[list[object]]:
    if not verdict.differences:
        return [[verdict.number, verdict.reason, "", "", ""]]
    return [
        [verdict.number, each.name, each.stored, each.computed,
         "" if each.distance is None else f"{each.distance:.2g}"]
        for each in verdict.differences
    ]  # fmt: skip


def _reasons(found: Verification) -> list[str]:
    """Return why trials were not recomputed, each reason once."""
    reasons: dict[str, list[int]] = {}
    for verdict in found.verdicts:
        if verdict.status == "not applicable":
            reasons.setdefault(verdict.reason, []).append(verdict.number)
    lines = []
    for reason, numbers in reasons.items():
        which = f"trial {numbers[0]}" if len(numbers) == 1 else f"trials {numbers[0]}, …"
        lines.append(f"not applicable: {len(numbers)} ({which}): {clean(reason)}")
    return lines
