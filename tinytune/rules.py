"""Stopping rules as a study of several runs in each trial has them."""

from __future__ import annotations

from collections.abc import Mapping

from tinytune import stopping
from tinytune.history import Goal
from tinytune.repeated import METRIC
from tinytune.stopping import RuleOptions
from tinytune.stopping.judge import is_joint


def of_repeats(rule: RuleOptions, repeats: int, goal: Goal) -> RuleOptions:
    """Return a rule as it is in a study of several runs in each trial.

    Racing looks at the results of the runs, all others at what the first run reports.
    """
    if repeats == 1 or rule.metric is not None or is_joint(rule):
        return rule
    if rule.name != "racing":
        return _changed(rule, {"metric": goal.name})
    direction = rule.direction or goal.direction
    return _changed(rule, {"metric": METRIC, "direction": direction, "folds": repeats})


def _changed(rule: RuleOptions, changes: Mapping[str, object]) -> RuleOptions:
    known = stopping.specs([rule])[0].options
    return stopping.make(rule.name, {**known, **changes})
