"""What workers ran in is recorded, without secrets, and shown."""

import json
import subprocess
import sys

import numpy as np
import pytest

import tinytune as package
from tests.shell import tinytune
from tinytune import draw, environment, loading
from tinytune.context import Trial, running
from tinytune.store.reader import Reader

OBJECTIVE = """
from typing import Annotated
import tinytune
from tinytune import Float
import model

@tinytune.trial
def train(x: Annotated[float, Float(0, 1)] = 0.5, seed: int = 0) -> float:
    import hypothesis
    from parts import layer
    return x
"""


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(OBJECTIVE)
    (tmp_path / "model.py").write_text("from pathlib import Path\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "layer.py").write_text("size = 3\n")
    (tmp_path / "unused.py").write_text("x = 1\n")
    (tmp_path / "my_secrets.py").write_text("key = 'hunter2'\n")
    (tmp_path / ".env").write_text("KEY=hunter2\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "x.txt").write_text("hunter2\n")
    git(tmp_path, "init", "-q", "-b", "work")
    git(tmp_path, "add", "-A", "-f")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def facts(project, **options):
    for name in ("train", "model", "parts", "parts.layer", "my_secrets"):
        sys.modules.pop(name, None)
    objective = loading.load("train.py")
    found = environment.gather(objective, project / "study.db", **options)
    sys.path.remove(str(project))
    return found, found.known


def test_files_are_those_that_are_imported_anywhere(project):
    found, known = facts(project)
    assert set(known["files"]) == {"train.py", "model.py", "parts/__init__.py", "parts/layer.py"}
    assert next(iter(known["files"])) in known["files"]
    assert {source.text for source in found.sources} >= {OBJECTIVE, "size = 3\n"}


def test_packages_are_those_that_are_loaded_or_imported_later(project):
    _, known = facts(project)
    assert known["packages"]["numpy"] == np.__version__
    assert "hypothesis" in known["packages"]  # imported within the function
    assert known["packages"]["tinytune"] == package.__version__


def test_git_s_commit_and_changes_are_known_without_secrets(project):
    _, known = facts(project)
    assert (known["branch"], known["diff"]) == ("work", "")
    assert len(known["commit"]) == 40
    (project / "model.py").write_text("size = 4\n")
    (project / ".env").write_text("KEY=swordfish\n")
    (project / "secrets" / "x.txt").write_text("swordfish\n")
    (project / "my_secrets.py").write_text("key = 'swordfish'\n")
    _, known = facts(project)
    assert "+size = 4" in known["diff"]
    assert "swordfish" not in known["diff"]
    assert "commit" not in facts(project, with_git=False)[1]


def test_the_text_of_a_secret_file_is_not_stored(project):
    (project / "model.py").write_text("import my_secrets\n")
    found, known = facts(project)
    assert "my_secrets.py" in known["files"]
    assert all("hunter2" not in source.text for source in found.sources)


def test_usual_words_in_a_module_s_name_are_no_secret(project):
    (project / "tokenizer.py").write_text("words = 3\n")
    (project / "model.py").write_text("import tokenizer\n")
    found, _ = facts(project)
    assert "words = 3\n" in {source.text for source in found.sources}


def test_what_a_script_of_ones_own_was_told_is_not_stored(project, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/drive.py", "--api-key", "hunter2"])
    assert facts(project)[1]["argv"] == ["drive.py"]
    monkeypatch.setattr(sys, "argv", ["/usr/bin/tinytune", "run", "train.py"])
    assert facts(project)[1]["argv"] == ["tinytune", "run", "train.py"]


def test_a_long_diff_is_cut(project, monkeypatch):
    monkeypatch.setattr(environment, "LONGEST_DIFF", 300)
    (project / "model.py").write_text("x = 1\n" * 500)
    _, known = facts(project)
    assert 300 < len(known["diff"]) < 400
    assert "more characters were left out" in known["diff"]


def test_only_listed_variables_are_looked_at(project, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("API_KEY", "hunter2")
    found, known = facts(project)
    assert known["variables"]["OMP_NUM_THREADS"] == "3"
    assert "hunter2" not in found.facts


def test_the_same_environment_is_the_same_row(project):
    assert facts(project)[0].hash == facts(project)[0].hash


def test_changes_are_told_in_words():
    before = {
        "python": "3.11.7",
        "commit": "a" * 40,
        "packages": {"numpy": "2.0"},
        "files": {"a.py": "1"},
    }
    now = {
        "python": "3.12.1",
        "commit": "b" * 40,
        "packages": {"numpy": "2.1", "x": "1"},
        "files": {},
    }
    assert environment.changes(before, now) == [
        "python 3.11.7 → 3.12.1",
        f"commit {'a' * 12} → {'b' * 12}",
        "numpy 2.0 → 2.1",
        "x not there → 1",
        "a.py gone",
    ]
    assert environment.changes(before, before) == []
    assert environment.changes({"commit": "a"}, {}) == []  # --no-git


def test_a_session_says_what_is_not_as_before(project):
    assert tinytune("run", "train.py", "--trials", 2, "--workers", 2).returncode == 0
    assert "not as in" not in tinytune("resume", "study.db", "--trials", 3).stderr
    (project / "parts" / "layer.py").write_text("size = 5\n")
    resumed = tinytune("resume", "study.db", "--trials", 4)
    assert "not as in the last session" in resumed.stderr
    assert "parts/layer.py changed" in resumed.stderr
    status = tinytune("status", "study.db").stdout
    assert "not as before" in status
    assert "parts/layer.py changed" in status
    changes = json.loads(tinytune("status", "study.db", "--format", "json").stdout)["changes"]
    assert len(changes) == 1
    shown = tinytune("show", "study.db", "--diff").stdout
    assert "+size = 5" in shown
    assert "nothing but commit" in tinytune("show", "study.db", 0, "--diff").stdout
    assert "size = 3" in tinytune("show", "study.db", 0, "--code").stdout
    assert "numpy==" in tinytune("show", "study.db", "--environment").stdout
    as_json = json.loads(tinytune("show", "study.db", "--environment", "--format", "json").stdout)
    assert as_json["branch"] == "work"
    assert tinytune("show", "study.db").returncode == 2


def test_the_latest_environment_is_the_one_that_was_used_last(project):
    command = ("resume", "study.db", "--trials", "+1", "--quiet")
    assert tinytune("run", "train.py", "--trials", 1, "--quiet").returncode == 0
    layer = project / "parts" / "layer.py"
    for text in ("size = 3\n", "size = 5\n", "size = 3\n"):  # A, B, A with the same command
        layer.write_text(text)
        assert tinytune(*command).returncode == 0
    with Reader(project / "study.db") as reader:
        first, second = (each.known["files"] for each in reader.environments()[-2:])
        latest = reader.latest_environment().known["files"]
        assert first != second
        assert latest == first
    assert "size = 3" in tinytune("show", "study.db", "--code").stdout


# The objective's own randomness.


def test_each_trial_has_a_seed_of_its_own_that_the_file_holds(project):
    tinytune("run", "train.py", "--trials", 3, "--seed", 4, "--quiet")
    with Reader(project / "study.db") as reader:
        assert [t.seed for t in reader.trials()] == [draw.trial_seed(4, n) for n in range(3)]


def test_seed_everything_seeds_python_and_numpy():
    import random

    def numbers():
        return random.random(), float(np.random.rand())

    with running(Trial(0, {}, 123)):
        assert package.seed() == 123
        assert package.seed_everything() == 123
        first = numbers()
        package.seed_everything()
        assert numbers() == first
        package.seed_everything(124)
        assert numbers() != first
    assert package.seed() == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return x", "the objective repeats itself: 0.5 twice"),
        ("import random; return random.SystemRandom().random()", "does not repeat itself: 0."),
        ("raise ValueError('no')", "cannot tell whether"),
    ],
)
def test_an_objective_is_asked_whether_it_repeats_itself(tmp_path, monkeypatch, body, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o.py").write_text(
        "from typing import Annotated\nimport tinytune\n@tinytune.trial\n"
        f"def o(x: Annotated[float, tinytune.Float(0, 1)] = 0.5) -> float:\n    {body}\n"
    )
    done = tinytune("run", "o.py", "--trials", 1, "--check-determinism")
    assert said in done.stderr
    with Reader(tmp_path / "study.db") as reader:
        assert len(reader.trials()) == 1  # the two runs before are in no study
