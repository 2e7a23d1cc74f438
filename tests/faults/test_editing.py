"""A change of a study is made as a whole or not at all, wherever its process ends or fails."""

import shutil
import sqlite3
from contextlib import suppress

import pytest

from tests.studies import make_study
from tests.test_verify import found_by_anything
from tinytune import changing, db, search, stopping
from tinytune.changing import Wanted
from tinytune.errors import StudyFileError
from tinytune.store.editor import Editor
from tinytune.store.reader import Reader
from tinytune.study import Study


class Ended(BaseException):
    """As far as the file can tell, the process has ended."""


def edit(path, act):
    with Editor(path) as editor:
        act(editor)


CHANGES = {
    "tag": lambda path: edit(path, lambda editor: editor.tag(1, ["a", "b"])),
    "note": lambda path: edit(path, lambda editor: editor.note(1, "text")),
    "remove": lambda path: edit(path, lambda editor: editor.remove([0, 2])),
    "restore": lambda path: edit(path, lambda editor: editor.restore([1, 3])),
    "widen": lambda path: changing.widen(path, ["x=-2..1", "kind+=c"]),
    "set": lambda path: changing.change(
        path, Wanted("+5", search.make("tpe", {}), stopping.parse("median"))
    ),
}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    path = make_study(tmp_path_factory.mktemp("healthy"), budget=6)
    with Study(path) as study:
        for _ in range(5):
            trial = study.ask()
            trial.report(0, loss=1.0)
            study.tell(trial, trial.params["x"])
    with Editor(path) as editor:
        editor.remove([1, 3])
    return path


def state(path):
    with Reader(path) as reader:
        timeline = reader.timeline()
        return (
            [(trial.tags, trial.removed) for trial in reader.trials()],
            reader.notes(1) and reader.notes(1)[0].text,
            [(each.trial, each.space.to_json(), each.search) for each in timeline.versions],
            reader.study().budget,
        )


def refused():
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


@pytest.mark.parametrize(("name", "harm"), [("set", refused), *((name, Ended) for name in CHANGES)])
def test_a_change_is_made_as_a_whole_or_not_at_all(healthy, tmp_path, monkeypatch, name, harm):
    whole = tmp_path / "whole.db"
    shutil.copy(healthy, whole)
    CHANGES[name](whole)
    before, after = state(healthy), state(whole)
    assert before != after
    execute, seen, at = db.Database._execute, set(), 0
    while seen != {"all"}:
        at += 1
        path = tmp_path / f"{at}.db"
        shutil.copy(healthy, path)
        left = at

        def harmed(self, sql, arguments=()):
            nonlocal left
            left -= 1
            if left == 0:
                raise harm()
            return execute(self, sql, arguments)

        with monkeypatch.context() as broken, suppress(StudyFileError, Ended):
            broken.setattr(db.Database, "_execute", harmed)
            CHANGES[name](path)
        seen = {"all"} if left > 0 else {"some"}
        assert state(path) in (before, after), at
        assert at % 4 or not found_by_anything(path), at
    assert at > 8
    with Study(path) as study:  # it goes on
        trial = study.ask()
        study.tell(trial, 0.5)
    assert not found_by_anything(path)
