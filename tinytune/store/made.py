"""The rows of a new study."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tinytune.digest import START
from tinytune.history import Source, StudyRecord, TrialRecord
from tinytune.store import changes, sql, views
from tinytune.store.cells import written


def statements(
    study: StudyRecord,
    source: Source | None,
    version: str,
    copies: Sequence[TrialRecord] = (),
) -> list[tuple[str, Sequence[object]]]:
    """Return what makes a new study's rows."""
    now = time.time()
    made: list[tuple[str, Sequence[object]]] = []
    if source is not None:
        made.append((sql.INSERT_SOURCE, (source.hash, source.name, source.text, now)))
    row = (
        now, version, study.space.to_json(),
        changes.search_json(study.search),
        written([{"name": goal.name, "direction": goal.direction} for goal in study.goals]),
        written(study.settings), study.seed, int(study.use_defaults), study.budget,
        written(study.objective.to_json()), None if source is None else source.hash,
        None if study.copied is None else written(study.copied),
        changes.stopping_json(study.stopping, study.audit),
        study.budget_steps, study.repeats, study.budget_seconds, written(study.subject_to),
    )  # fmt: skip
    made += [(sql.INSERT_STUDY, row), (sql.INSERT_CLOCK, (len(copies), START))]
    for number, trial in enumerate(copies):
        waiting = (number, trial.origin, trial.search, trial.seed, trial.copied,
                   written(trial.params), number + 1, None, None)  # fmt: skip
        made.append((sql.INSERT_WAITING, waiting))
    for lesson in study.lessons:
        of = lesson.result
        told = (of.number, lesson.study, lesson.chain, lesson.trial, of.state, written(of.params),
                of.value, written(of.values) if of.values else None, of.violation)  # fmt: skip
        made.append((sql.INSERT_LESSON, told))
    made.append((sql.SEAL, ()))
    made += [(view, ()) for view in views.views(study)]
    return made
