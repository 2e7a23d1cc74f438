"""Completes how a trial ended: by what it took, and by whether it is as it has to be."""

from __future__ import annotations

from collections.abc import Sequence

from tinytune import requirement
from tinytune.expression import ExpressionError
from tinytune.history import COSTS, Cost, Goal, Outcome
from tinytune.objective import failed
from tinytune.requirement import Requirement


def settled(
    outcome: Outcome, cost: Cost, goals: Sequence[Goal], requirements: Sequence[Requirement]
) -> Outcome:
    """Return the outcome of a complete trial with what was measured of it, others as they are.

    What a trial took that was stopped says nothing of what it would have taken. A trial fails
    where something is to be small, or required, that nobody has measured.
    """
    if outcome.state != "complete":
        return outcome
    values = dict(outcome.values)
    for name in dict.fromkeys([*(g.name for g in goals), *requirement.names(requirements)]):
        if name in values:
            continue
        found = getattr(cost, name) if name in COSTS else None
        if found is None:
            return failed(_missing(name))
        values[name] = float(found)
    try:
        missed = requirement.violation(requirements, values) if requirements else None
    except ExpressionError as error:
        return failed(f"what its results have to meet {error}")
    value = values[goals[0].name]
    return Outcome(outcome.state, value, values, outcome.error, outcome.traceback, missed)


def _missing(name: str) -> str:
    if name == "steps":
        return "it reported no steps, and steps are an objective or required: call report()"
    if name in COSTS:
        return f"{name} is an objective or required, and was not measured: give it as a result"
    return f"the objective returned no {name!r}, which is required"
