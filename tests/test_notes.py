"""Tags and notes: they are shown, change nothing else, and cannot be altered unnoticed."""

import json

import pytest

from tests.faults.hostile_files import spoken
from tests.shell import results
from tests.studies import make_study, run_all
from tinytune.store.reader import Reader
from tinytune.verify import verify


@pytest.fixture
def path(tmp_path):
    path = make_study(tmp_path, budget=4)
    run_all(path)
    return path


def says(code, *words):
    found, out, errors = spoken(*words)
    assert found == code, (out, errors)
    return out + errors


def refused(*words):
    text = says(2, *words)
    assert text.startswith("tinytune: ")
    assert text.count("\n") == 1
    return text


def test_tags_are_shown_and_found(path):
    before = results(path)
    assert says(0, "tag", path, 2, "odd", "keep") == "trial 2: keep, odd\n"
    assert says(0, "tag", path, 2, "odd") == "trial 2: keep, odd\n"  # once is enough
    says(0, "tag", path, 1, "odd")
    table = says(0, "trials", path)
    assert "tags" in table.splitlines()[0]
    found = json.loads(says(0, "trials", path, "--tag", "odd", "--format", "json"))
    assert [(each["number"], each["tags"]) for each in found] == [
        (1, ["odd"]),
        (2, ["keep", "odd"]),
    ]
    words = ("trials", path, "--tag", "odd", "--state", "failed", "--format", "json")
    assert json.loads(says(0, *words)) == []
    assert "keep, odd" in says(0, "show", path, 2)
    assert says(0, "tag", path, 2, "--remove", "keep") == "trial 2: odd\n"
    assert results(path) == before
    with Reader(path) as reader:
        assert verify(reader, lambda done, total: None).is_good


def test_a_study_without_tags_has_no_column_for_them(path):
    assert "tags" not in says(0, "trials", path)


def test_notes_are_shown_where_they_belong(path):
    says(0, "note", path, "3", "the loss\nlooks \x1b[31modd")
    says(0, "note", path, "a first try; 3 more to come")
    shown = says(0, "show", path, 3)
    assert "the loss⏎looks �[31modd" in shown
    assert "first try" not in shown
    status = says(0, "status", path)
    assert "a first try; 3 more to come" in status
    assert "looks" not in status
    (found,) = json.loads(says(0, "show", path, 3, "--format", "json"))["notes"]
    assert found["text"].startswith("the loss\n")
    (found,) = json.loads(says(0, "status", path, "--format", "json"))["notes"]
    assert found["text"].startswith("a first")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["tag", 9, "odd"], "has no trial 9"),
        (["tag", 1, "two words"], "is not one word"),
        (["tag", 1, ""], "is not one word"),
        (["tag", 1, "a\x1b"], "is not one word"),
        (["tag", 1, "--remove", "odd"], "has no tag 'odd': it has none"),
        (["note", 9, "text"], "has no trial 9"),
        (["note", "not", "in", "quotes"], "is no number of a trial"),
        (["note", " "], "a note has 1 to 10,000 characters"),
    ],
)
def test_what_is_no_tag_or_note_is_one_sentence(path, words, reason):
    before = path.read_bytes()
    assert reason in refused(words[0], path, *words[1:])
    with Reader(path) as reader:
        assert reader.notes() == []
    assert len(path.read_bytes()) == len(before)
