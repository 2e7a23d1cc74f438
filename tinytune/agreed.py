"""Whether an objective's space is its study's, which may have been widened since."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinytune.history import StudyRecord
from tinytune.objective import Objective
from tinytune.space import Space
from tinytune.store.reader import Reader


def space(path: Path, objective: Objective) -> tuple[Space, str]:
    """Return the study's space where the objective's was it once, else the objective's.

    And in words where they differ.
    """
    with Reader(path) as reader:
        spaces = [record.space for record in reader.timeline().records]
    now, here = spaces[-1], objective.space
    names = [parameter.name for parameter in here.parameters]
    if names != list(now.by_name) or here.constraints != now.constraints:
        return here, ""
    texts = []
    for name in names:
        mine, theirs = here.by_name[name].to_json(), now.by_name[name].to_json()
        if mine not in [space.by_name[name].to_json() for space in spaces]:
            return here, ""
        if mine != theirs:
            from tinytune import changing  # it loads much

            there = changing.shown(now.by_name[name].distribution)
            texts.append(f"{name} is {there} there")
    text = f"the study's space was changed since, and counts: {', '.join(texts)}" if texts else ""
    return now, text


def in_its_space(
    path: Path, objective: Objective, wanted: StudyRecord, note: Callable[[str], None]
) -> StudyRecord:
    """Return what is wanted with the study's own space, where that was widened since."""
    found, text = space(path, objective)
    if text:
        note(text)
    return wanted._replace(space=found)
