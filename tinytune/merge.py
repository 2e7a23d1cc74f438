"""Makes one study of several of the same objective: `tinytune merge`.

The first one goes on as it was; all rows of the others come after its own, with numbers and ticks
that are moved on. See docs/adr/0014-merging.md.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tinytune import changing, difference, files, notation
from tinytune.checkpoints import refuse_leftover
from tinytune.errors import SpaceError, StudyFileError, UsageError
from tinytune.history import ObjectiveReference, StudyRecord
from tinytune.search.fold import Fold
from tinytune.space import Space
from tinytune.store.merging import Merging, taken_out
from tinytune.store.reader import Reader
from tinytune.verify import digests

_MAY_DIFFER = ("search", "seed", "start from the defaults", "stopping", "what it learned from")
_WIDENED = ("low", "high", "options", "default")  # what may differ in a parameter


def merge(paths: Sequence[Path], output: Path) -> list[str]:
    """Write all trials of several studies into a new file; return in lines what was done.

    Nothing is changed but the output, which is there as a whole or not at all. UsageError or
    StudyFileError where they are no studies of the same objective, or the output exists.
    """
    if len(paths) < 2:
        raise UsageError(f"merge takes two studies or more: {paths[0]} alone is one already")
    if files.exists(output):
        raise StudyFileError(f"{output} exists already: name another file with -o")
    refuse_leftover(output)
    with ExitStack() as stack:
        studies = [stack.enter_context(Merging(path)) for path in paths]
        for study in studies:
            _check_whole(study)
        kept, notes = _without_copies(studies)
        whole, *others = kept
        record = whole.study()
        for other in others:
            record = _common(whole.path, record, other)
            _suggest(other)
        notes += [text for study in kept for text in _left(study)]
        notes += _sources(whole, others)
        known = {link: number for number, link in whole.linked()}
        doubles: list[int] = []
        for other in others:
            part = whole.take_in(other)
            again = [(part.first + n, link) for n, link in other.linked() if link in known]
            known |= {link: part.first + n for n, link in other.linked() if link not in known}
            doubles += [number for number, _ in again if not whole.existing(number).removed]
            notes.append(_moved(other, part.first, part.trials, len(again)))
        whole.end(record, _seen_from(record.objective, whole.path, output), doubles)
        _check_whole(whole)
        count = whole.next_number()
        whole.publish(output)
    return [*notes, f"{output}: {_trials(count)}"]


def _check_whole(study: Merging) -> None:
    """Raise StudyFileError unless all digests of a study hold: in the new file they are new."""
    problem = next(_problems(study), None)
    if problem is not None:
        raise StudyFileError(
            f"{study.path} is not as it was written ({problem}): see "
            f"`tinytune verify {files.typed(study.path)}`, and merge a copy that is whole"
        )


def _problems(study: Reader, *, is_part: bool = False) -> Iterator[str]:
    """Yield what is not as it was written, in a study and in those that were merged into it."""
    yield from digests(study, study.study(), study.trials(), is_part=is_part)
    for part in study.parts():
        with taken_out(study, part) as inner:
            for problem in _problems(inner, is_part=True):
                yield f"{part.name}, merged from trial {part.first} on: {problem}"


def _without_copies(studies: Sequence[Merging]) -> tuple[list[Merging], list[str]]:
    """Leave out what is in another study already, but for what was noted of it."""
    kept, notes = list(studies), []
    for study in reversed(studies):
        for other in kept:
            place = None if other is study else _place(other, study)
            if place is not None:
                other.add_notes(study, place)
                kept.remove(study)
                notes.append(f"{study.path}: all of it is in {other.path} already")
                break
    return kept, notes


def _place(whole: Merging, study: Merging) -> int | None:
    """Return the number of a study's trial 0 in another one that holds all of it; else None."""
    created, links, edits = study.study().created, study.links(), study.edits()
    if not links <= whole.links():
        return None
    places = [(0, 0)] if whole.study().created == created else []
    places += [(part.first, part.start) for part in whole.parts() if part.created == created]
    for first, start in places:
        has_edits = {start + tick for tick in edits} <= whole.edits()
        if has_edits and _has_open(whole, study, first, start):
            return first
    return None


def _has_open(whole: Reader, study: Reader, first: int, start: int) -> bool:
    """Return whether what has not ended in a study is in another one, with all its reports."""
    for trial in study.trials():
        if trial.told is not None:
            continue
        found = whole.trial(first + trial.number)
        if found is None or found.asked != start + trial.asked:
            return False
        if trial.params is not None and trial.params != found.params:
            return False
        for attempt in range(1, trial.attempt + 1):
            there = set(map(repr, whole.reports_of(found.number, attempt)))
            here = study.reports_of(trial.number, attempt)
            if not {repr((tick + start, *rest)) for tick, *rest in here} <= there:
                return False
    return True


def _common(path: Path, record: StudyRecord, other: Merging) -> StudyRecord:
    """Return a study in whose space both ones' trials are; UsageError says what differs."""
    there = other.study()
    shared = record.space.by_name.keys() & there.space.by_name.keys()
    for what, here, other_one in difference.contrasts(record, there):
        name = what.removeprefix("parameter ").strip("'")
        if what in _MAY_DIFFER or (what != name and name in shared):
            continue
        raise UsageError(
            f"{path} and {other.path} cannot be merged: {what} is {here} in the one and "
            f"{other_one} in the other"
        )
    return record._replace(space=_hull(path, record.space, other.path, there.space))


def _suggest(other: Merging) -> None:
    """Let a study's search suggest what it was asked for and has not answered yet.

    No other one can: the search that goes on in the new file knows more, and counts otherwise.
    """
    timeline = other.timeline()
    for trial in other.trials():
        if trial.told is not None or trial.params is not None:
            continue
        record, removed = timeline.at(trial.number), timeline.removed(trial.asked)
        fold = Fold(record)
        told = other.history(before=trial.asked)
        fold.tell(result for result in told if result.number not in removed)
        made = fold.answer(trial.number - record.first, other.pending(before=trial.asked))
        if made is None:
            raise UsageError(
                f"{other.path}: its search has nothing to suggest for trial {trial.number}, which "
                "has no configuration yet: name that study first"
            )
        other.suggest_late(trial.number, *made)


def _hull(path: Path, space: Space, other_path: Path, other: Space) -> Space:
    """Return a space with all values of two whose parameters have the same names and kinds."""
    document = json.loads(space.to_json())
    entries = {entry["name"]: entry for entry in json.loads(other.to_json())["parameters"]}
    for entry in document["parameters"]:
        there = entries[entry["name"]]
        here_fixed, there_fixed = (
            {key: value for key, value in each.items() if key not in _WIDENED}
            for each in (entry, there)
        )
        if here_fixed != there_fixed:
            one, another = (
                notation.written(each.by_name[entry["name"]]) for each in (space, other)
            )
            raise UsageError(
                f"{path} and {other_path} cannot be merged: {entry['name']} is {one} in the one "
                f"and {another} in the other, and only ends, options and defaults may differ"
            )
        _widen(entry, there)
    try:
        made = Space.from_json(json.dumps(document))
        for each in (space, other):
            changing.check_contains(made, each)
    except (SpaceError, UsageError) as error:
        raise UsageError(
            f"{path} and {other_path} cannot be merged, since no space has all of theirs: {error}"
        ) from None
    return made


def _widen(entry: dict[str, Any], there: dict[str, Any]) -> None:
    """Give a parameter the values of another one of its kind too."""
    for end, chosen in (("low", min), ("high", max)):
        if end in entry and end in there:
            entry[end] = chosen(entry[end], there[end])
        else:  # without an end on this side
            entry.pop(end, None)
    if "options" in entry:
        known = list(map(repr, entry["options"]))
        entry["options"] += [each for each in there["options"] if repr(each) not in known]


def _left(study: Merging) -> list[str]:
    """Return what is to be known of trials of a study that have not ended."""
    states = Counter(trial.state for trial in study.trials() if trial.told is None)
    if not states:
        return []
    said = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return [f"{study.path}: {said}; they wait in the new file, to be run there from the beginning"]


def _sources(whole: Merging, others: Sequence[Merging]) -> list[str]:
    mine = whole.study().source_hash
    return [
        f"{other.path}: its objective's text is another one (`tinytune diff "
        f"{files.typed(whole.path)} {files.typed(other.path)}`)"
        for other in others
        if other.study().source_hash != mine
    ]


def _moved(other: Merging, first: int, count: int, again: int) -> str:
    text = f"{other.path}: {_trials(count)}, from number {first} on"
    if again:
        text += f"; {again} of them are here already, and are removed"
    return text


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"


def _seen_from(objective: ObjectiveReference, path: Path, output: Path) -> ObjectiveReference:
    """Return where the objective is, seen from the new file."""
    if objective.beside_study is None:
        return objective
    place = path.resolve().parent / objective.beside_study
    return objective._replace(beside_study=os.path.relpath(place, output.resolve().parent))
