"""How many trials a study is to have: what was asked for, and what it gets where that differs."""

from __future__ import annotations

import re
from pathlib import Path

from tinytune import study
from tinytune.errors import UsageError
from tinytune.files import typed
from tinytune.history import StudyRecord
from tinytune.search.fold import Fold
from tinytune.store.reader import Reader

_TRIALS = re.compile(r"\+?\d{1,15}")
NO_STEPS = (
    "a budget of steps does not count those of a trial's further runs: say --trials instead, or "
    "leave out --repeats"
)


def asked_for(text: str, record: StudyRecord, counted: int) -> int:
    """Return how many trials "60", in all, or "+20", more than the study has, would be."""
    if not text.isascii() or not _TRIALS.fullmatch(text):
        raise UsageError(
            f"{text!r} is no number of trials: write 60 for 60 in all, or +20 for 20 more"
        )
    known = counted if record.budget is None else record.budget
    return int(text) + known if text.startswith("+") else int(text)


def granted(path: Path, wanted: StudyRecord, counted: int, skipped: int) -> tuple[StudyRecord, str]:
    """Return a study with the budget that it can have, and in a sentence why, where it is another.

    Of its trials `counted` have begun; `skipped` of them are not of its search.
    """
    asked = wanted.budget
    record = study.with_budget(wanted, skipped)
    if asked is None:
        return record, ""
    if asked < counted:
        begun = f"{counted} trials have" if counted != 1 else "1 trial has"
        text = f"{begun} begun already, so there cannot be {asked}: the study is to have {counted}"
        return record._replace(budget=counted), text
    if record.budget is None or asked <= record.budget:
        return record, ""
    return record, _ends(path, record, max(0, record.budget - counted), record.budget - skipped)


def _ends(path: Path, record: StudyRecord, left: int, size: int) -> str:
    is_grid = record.search.name == "grid"
    has = f"the {'grid' if is_grid else 'space'} has only {size} configuration"
    has += "" if size == 1 else "s"
    if left:
        return f"{has}, so that the study is to have {record.budget} trials"
    place = typed(path)
    remedy = f"tinytune set {place} --search auto --trials +20" if is_grid else ""
    remedy = remedy or f"tinytune widen {place} …"
    return f"{has}, and none of them is left to try: to go on, change the study with `{remedy}`"


def granted_to(path: Path, wanted: StudyRecord, *, is_new: bool) -> tuple[StudyRecord, list[str]]:
    """Return the same for a study that `run` begins or continues, and what there is to say."""
    if is_new:
        record, text = granted(path, wanted, 0, 0)
        return record, [text] if text else []
    with Reader(path) as reader:
        steps = "" if wanted.budget_steps is None else steps_text(reader, wanted.budget_steps)
        record, text = granted(path, wanted, reader.counted(), reader.skipped())
    return record, [said for said in (text, steps) if said]


def is_exhausted(path: Path) -> bool:
    """Return whether a study's search has nothing new to suggest after the trials that it has."""
    with Reader(path) as reader:
        record, counted, skipped = reader.study(), reader.counted(), reader.skipped()
    size = Fold(record).size
    return size is not None and counted >= size + skipped


def extend(path: Path, trials: str | None, budget_steps: int | None = None) -> str:
    """Change a study's budget: "60" trials in all, or "+20" more than it had; and that of steps.

    Returns in a sentence why it has another one than was asked for, or nothing.
    """
    texts = []
    if budget_steps is not None:
        check_steps(budget_steps)
        with Reader(path) as reader:
            if reader.study().repeats > 1:
                raise UsageError(NO_STEPS)
            texts.append(steps_text(reader, budget_steps))
        study.set_budget_steps(path, budget_steps)
    if trials is not None:
        texts.append(_extend(path, trials))
    return "; ".join(filter(None, texts))


def _extend(path: Path, trials: str) -> str:
    with Reader(path) as reader:
        record, counted, skipped = reader.study(), reader.counted(), reader.skipped()
    wanted = record._replace(budget=asked_for(trials, record, counted))
    made, text = granted(path, wanted, counted, skipped)
    if made.budget != record.budget:
        study.set_budget(path, made.budget)
    return text


def steps_text(reader: Reader, steps: int) -> str:
    """Return in a sentence that more steps are reported already, or nothing."""
    reported = reader.steps()
    if steps >= reported:
        return ""
    return f"{reported} steps are reported already, so there cannot be {steps}: none is left"


def check_steps(steps: int) -> None:
    """Raise UsageError unless a study's trials may report so many steps."""
    if not 1 <= steps < 2**62:
        raise UsageError(f"the budget of steps must be a whole number from 1, not {steps}")
