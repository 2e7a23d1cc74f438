"""What `verify`, `replicate` and `diff` found, for people and for scripts."""

from __future__ import annotations

from typing import Any

from tinytune.output.formats import table
from tinytune.verify import Verdict, Verification

MOST_ROWS = 20  # of a table of differences


def verification_json(found: Verification) -> dict[str, Any]:
    """Return what was found as scripts get it."""
    return {
        "ok": found.is_good,
        "exact": found.count("exact"),
        "differs": found.count("differs"),
        "not_applicable": found.count("not applicable"),
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
    parts += [f"wrong: {problem}" for problem in found.problems]
    parts += _reasons(found)
    total = found.count("exact") + len(differing)
    parts.append(f"{found.count('exact')} of {total} suggestions recomputed exactly")
    parts.append("all digests hold" if not found.problems else "the file is not as it was written")
    return "\n".join(parts)


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
        lines.append(f"not applicable: {len(numbers)} ({which}): {reason}")
    return lines
