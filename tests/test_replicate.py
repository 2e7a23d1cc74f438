"""A study is run again from its file, and compared; its code is extracted; two studies differ."""

import json
import re
import shlex
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.shell import ROOT, start, tinytune
from tinytune import extract, replicate
from tinytune.errors import TinytuneError, UsageError
from tinytune.store.reader import Reader

TOY = ROOT / "tests" / "toys" / "seeded.py"


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(TOY, tmp_path / "seeded.py")
    shutil.copy(TOY.with_name("lazily.py"), tmp_path / "lazily.py")
    done = tinytune("run", "seeded.py", "--search", "random", "--trials", 8, "--workers", 2, "-q")
    assert done.returncode == 0, done.stderr
    return tmp_path / "study.db"


def trials_of(path):
    with Reader(path) as reader:
        return reader.trials()


def test_a_repetition_gives_the_same_values(study):
    done = tinytune("replicate", study, "--quiet", "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert "8 of 8 within 1e-06" in done.stdout
    again = trials_of(study.with_name("study-replica.db"))
    before = trials_of(study)
    assert [(t.params, t.seed, t.value) for t in again] == [
        (t.params, t.seed, t.value) for t in before
    ]
    assert tinytune("verify", study.with_name("study-replica.db")).returncode == 0


def test_a_search_that_learns_is_repeated_too(tmp_path):
    objective = ROOT / "tests" / "faults" / "objective.py"
    record = tmp_path / "record"
    path = tmp_path / "study.db"
    done = tinytune("run", objective, "--study", path, "--search", "learner", "--trials", 12,
                    "--workers", 3, "--quiet", "--set", f"record={record}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = tinytune("replicate", path, "--quiet", "--workers", 2, "--objective", objective)
    assert done.returncode == 0, done.stderr
    assert "12 of 12 within" in done.stdout
    assert {t.origin for t in trials_of(tmp_path / "study-replica.db")} == {"copy"}


def test_a_killed_repetition_goes_on(study):
    with closing(sqlite3.connect(study)) as connection, connection:
        connection.execute("UPDATE study SET settings = json_set(settings, '$.wait', 0.3)")
    command = ("replicate", study, "-o", study.with_name("new.db"), "--quiet")
    running = start(*command)
    while not study.with_name("new.db").exists() or not any(
        t.told for t in trials_of(study.with_name("new.db"))
    ):
        assert running.poll() is None
    running.send_signal(signal.SIGKILL)
    running.communicate()
    done = tinytune(*command)
    assert done.returncode == 0, done.stderr
    assert "8 of 8 within" in done.stdout


def test_a_repetition_that_is_interrupted_says_how_far_it_came(study):
    with closing(sqlite3.connect(study)) as connection, connection:
        connection.execute("UPDATE study SET settings = json_set(settings, '$.wait', 30)")
    new = study.with_name("new.db")
    running = start("replicate", study, "-o", new)
    while not new.exists() or not any(t.state == "running" for t in trials_of(new)):
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    running.send_signal(signal.SIGINT)
    out, errors = running.communicate()
    assert running.returncode == 130
    assert out == "none of 8 trials was run to its end: give the same command again\n"
    assert "interrupted" in errors
    assert "next:" not in errors


def test_a_repetition_may_have_limits(study):
    with closing(sqlite3.connect(study)) as connection, connection:
        connection.execute("UPDATE study SET settings = json_set(settings, '$.wait', 30)")
    done = tinytune("replicate", study, "--trials", 1, "--trial-timeout", "1s", "-q")
    assert done.returncode == 1
    assert "complete then, failed now" in done.stdout


def test_what_is_not_seeded_is_told(study):
    path = study.with_name("loose.db")
    tinytune("run", "seeded.py", "--study", path, "--trials", 3, "--set", "seeded=false", "--quiet")
    done = tinytune("replicate", path, "--quiet")
    assert done.returncode == 1
    assert "0 of 3 within 1e-06" in done.stdout
    assert "its objective may not be seeded" in done.stdout
    loose = tinytune("replicate", path, "--quiet", "--tolerance", 2)
    assert loose.returncode == 0  # the same repetition, measured otherwise


def test_only_some_trials_are_repeated(study):
    done = tinytune("replicate", study, "--trials", "1,5-6", "--quiet", "--format", "json")
    found = json.loads(done.stdout)
    assert [each["number"] for each in found["trials"]] == [1, 5, 6]
    assert all(each["within"] for each in found["trials"])
    refused = tinytune("replicate", study, "--top", 2, "--quiet")
    assert refused.returncode == 1
    assert "holds something else than the repetition of these trials" in refused.stderr
    best = tinytune("replicate", study, "--top", 2, "-o", study.with_name("b.db"), "--quiet")
    assert "2 of 2 within" in best.stdout


def test_the_stored_code_runs_only_after_it_was_named(study, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(study, elsewhere / "study.db")
    for name in ("seeded.py", "lazily.py"):
        (tmp_path / name).unlink()
    refused = tinytune("replicate", elsewhere / "study.db", "--quiet")
    assert refused.returncode == 1
    assert "--objective" in refused.stderr
    assert not (elsewhere / "study-replica.db").exists()
    done = tinytune("replicate", elsewhere / "study.db", "--trust-code", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "running the code that" in done.stderr
    assert "seeded.py: " in done.stderr
    assert "lazily.py: " in done.stderr  # it was imported within the function
    assert "8 of 8 within" in done.stdout


def test_another_objective_is_refused(study, tmp_path):
    other = tmp_path / "other.py"
    other.write_text((tmp_path / "seeded.py").read_text().replace("Float(-1.0", "Float(-2.0"))
    done = tinytune("replicate", study, "--objective", other, "--quiet")
    assert done.returncode == 1
    assert "parameter 'x'" in done.stderr


def test_a_setting_that_the_objective_does_not_have_is_refused(study, tmp_path):
    other = tmp_path / "other.py"
    other.write_text((tmp_path / "seeded.py").read_text().replace("wait", "pause"))
    done = tinytune("replicate", study, "--objective", other, "--quiet")
    assert done.returncode == 1
    assert "made with other settings: train has no setting 'wait'" in done.stderr


def test_numbers_are_read():
    assert replicate.numbers("3,17,40-43") == [3, 17, 40, 41, 42, 43]
    assert replicate.numbers(" 1 , 1") == [1]
    for bad in ("", "a", "3-", "5-3", "-1", "1,,2"):
        with pytest.raises(UsageError):
            replicate.numbers(bad)


def test_there_must_be_something_to_repeat(study):
    with Reader(study) as reader:
        with pytest.raises(UsageError, match="no trial 99 that ran to its end"):
            replicate.chosen(reader, [99], None)
        with pytest.raises(UsageError, match="not both"):
            replicate.chosen(reader, [1], 2)
    with closing(sqlite3.connect(study)) as connection, connection:
        for table in ("metric", "attempt", "trial"):
            connection.execute(f"DELETE FROM {table}")
    with Reader(study) as reader, pytest.raises(TinytuneError, match="nothing to repeat"):
        replicate.chosen(reader, None, None)


def test_a_trial_that_fails_otherwise_than_before_is_no_agreement(study, tmp_path):
    source = (tmp_path / "seeded.py").read_text()
    (tmp_path / "seeded.py").write_text(
        source.replace("    import time\n", "    raise ValueError(x)\n")
    )
    path = tmp_path / "failing.db"
    tinytune("run", "seeded.py", "--study", path, "--trials", 2, "--quiet")
    same = tinytune("replicate", path, "--quiet")
    assert same.returncode == 0
    assert "failed as before" in same.stdout
    (tmp_path / "seeded.py").write_text(
        source.replace("    import time\n", "    import not_there\n")
    )
    other = tinytune("replicate", path, "--quiet", "-o", tmp_path / "other.db")
    assert other.returncode == 1
    assert "0 of 2 within" in other.stdout
    assert "failed otherwise: ModuleNotFoundError" in other.stdout


def test_the_objective_is_found_among_its_files_also_after_a_change(study, tmp_path):
    with (tmp_path / "seeded.py").open("a") as file:
        file.write("# a comment\n")
    (tmp_path / "aaa.py").write_text("x = 1\n")
    text = (tmp_path / "lazily.py").read_text()
    (tmp_path / "lazily.py").write_text(f"import aaa\n{text}")
    assert tinytune("resume", study, "--trials", 9, "--quiet").returncode == 0
    done = tinytune("replicate", study, "--trust-code", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "9 of 9 within" in done.stdout


# What is extracted.


def test_sources_requirements_and_commands_are_extracted(study, tmp_path):
    folder = tmp_path / "code"
    done = tinytune("extract", study, folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "seeded.py").read_text() == TOY.read_text()
    assert (folder / "lazily.py").exists()
    assert "seeded.py:train" in (folder / "README.md").read_text()
    assert "typer==" in (folder / "requirements.txt").read_text()
    assert (
        tinytune("replicate", study, "--quiet", "--objective", folder / "seeded.py").returncode == 0
    )
    assert "not an empty folder" in tinytune("extract", study, folder).stderr


@pytest.mark.parametrize("name", ["../evil.py", "/tmp/evil.py", "a/../../evil.py", "evil.sh", ""])
def test_a_path_that_leads_out_of_the_folder_is_left_out(study, tmp_path, name):
    with closing(sqlite3.connect(study)) as connection, connection:
        (facts,) = connection.execute("SELECT facts FROM environment").fetchone()
        known = json.loads(facts)
        digest = known["files"].pop("lazily.py")
        known["files"][name] = digest
        connection.execute("UPDATE environment SET facts = ?", (json.dumps(known),))
    with Reader(study) as reader:
        written = extract.write(reader, tmp_path / "inside" / "code")
    assert {path.name for path in written} >= {"seeded.py", "README.md"}
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("name", ["seeded.py/b.py", "n" * 300 + ".py"])
def test_a_path_that_cannot_be_written_is_said_in_a_sentence(study, tmp_path, name):
    with closing(sqlite3.connect(study)) as connection, connection:
        (facts,) = connection.execute("SELECT facts FROM environment").fetchone()
        known = json.loads(facts)
        known["files"][name] = known["files"].pop("lazily.py")
        connection.execute("UPDATE environment SET facts = ?", (json.dumps(known),))
    done = tinytune("extract", study, tmp_path / "code")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


PACKAGE = {
    "src/nets/__init__.py": "",
    "src/nets/deep/__init__.py": "from ..scale import SCALE\n",
    "src/nets/scale.py": "SCALE = 3.0\n",
    "src/nets/deep/train.py": """
from typing import Annotated
import tinytune
from . import SCALE

@tinytune.trial
def train(x: Annotated[float, tinytune.Float(0, 1)] = 0.5) -> float:
    from .late import shift
    return SCALE * x + shift()
""",
    "src/nets/deep/late.py": "def shift() -> float:\n    return 1.0\n",
}


@pytest.mark.parametrize("workers", [1, 2])
def test_the_objective_of_a_package_is_extracted_and_run_from_the_file(
    tmp_path, monkeypatch, workers
):
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    done = tinytune("run", "src/nets.deep.train:train", "--trials", 4, "--study", "deep.db", "-q")
    assert done.returncode == 0, done.stderr
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resumed = tinytune("resume", "../deep.db", "--trials", 5, "-q")
    assert resumed.returncode == 0, resumed.stderr
    (tmp_path / "src").rename(tmp_path / "gone")
    done = tinytune("replicate", "../deep.db", "--trust-code", "--workers", workers)
    assert done.returncode == 0, done.stderr
    assert "5 of 5 within" in done.stdout
    assert tinytune("extract", "../deep.db", "code").returncode == 0
    written = {path.relative_to("code").as_posix() for path in Path("code").rglob("*.py")}
    assert written == {name.removeprefix("src/") for name in PACKAGE}
    monkeypatch.chdir(tmp_path / "elsewhere" / "code")
    (command,) = re.findall("tinytune (replicate .*)", Path("README.md").read_text())
    assert "../../deep.db" in command
    done = tinytune(*command.split(), "-q", "-o", "again.db")
    assert done.returncode == 0, done.stderr
    assert "5 of 5 within" in done.stdout


# What differs.


def test_a_study_differs_from_another(study):
    other = study.with_name("other.db")
    how = ["--study", other, "--search", "random", "--trials", 6, "--seed", 5, "--quiet"]
    tinytune("run", "seeded.py", *how)
    done = tinytune("diff", study, other)
    assert done.returncode == 1
    assert "seed is 0 there and 5 here" in done.stdout
    assert "the numbers of trials are 8 there and 6 here" in done.stdout
    assert "5 trials (1, 2, 3, 4, 5) have other parameters" in done.stdout
    same = tinytune("diff", study, study)
    assert (same.returncode, same.stdout) == (0, "nothing differs\n")
    as_json = json.loads(tinytune("diff", study, other, "--format", "json").stdout)
    assert as_json["study"] == ["seed is 0 there and 5 here"]


def test_a_study_differs_from_its_unseeded_repetition_in_results_alone(study):
    path = study.with_name("loose.db")
    tinytune("run", "seeded.py", "--study", path, "--trials", 3, "--set", "seeded=false", "--quiet")
    tinytune("replicate", path, "--quiet")
    done = tinytune("diff", path, study.with_name("loose-replica.db"))
    assert "3 trials (0, 1, 2) have other results, at most" in done.stdout
    assert "other parameters" not in done.stdout


# Commands.

SCRIPT = """
import sys
from inner import SCALE
print(f"tinytune: loss={float(sys.argv[1]) * SCALE}")
"""


def tuned(folder, *command):
    """Tune a command in a folder of its own; return the study, in another folder."""
    done = tinytune(
        "run", "--study", "study.db", "--trials", 3, "--search", "random", "--minimize", "loss",
        "--param", "x=float(0, 1)", "--no-git", "--quiet", "--", *command, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(folder / "study.db", elsewhere)
    shutil.rmtree(folder)
    return elsewhere / "study.db"


def test_a_stored_command_runs_only_after_it_was_named(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "train.py").write_text(f"#!{sys.executable}\n{SCRIPT}")
    (folder / "train.py").chmod(0o755)
    (folder / "inner.py").write_text("SCALE = 2.0\n")
    study = tuned(folder, "./train.py", "{x}")
    refused = tinytune("replicate", study, "--quiet", cwd=study.parent)
    assert refused.returncode == 1
    assert "--trust-code" in refused.stderr
    done = tinytune("replicate", study, "--trust-code", "--quiet", cwd=study.parent)
    assert done.returncode == 0, done.stderr
    assert f"running the command that {study} holds: " in done.stderr
    assert "train.py: 5 lines" in done.stderr
    assert "3 of 3 within" in done.stdout
    assert tinytune("extract", study, "code", cwd=study.parent).returncode == 0
    code = study.parent / "code"
    assert (code / "inner.py").read_text() == "SCALE = 2.0\n"
    text = (code / "README.md").read_text()
    assert "{x}" in text
    (line,) = re.findall("tinytune (replicate .*)", text)
    again = tinytune(*shlex.split(line), "-o", "again.db", "--quiet", cwd=code)
    assert again.returncode == 0, again.stderr


def test_a_command_without_a_script_is_all_in_the_study(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "values.sh").write_text('echo "tinytune: loss=$1"\n')
    study = tuned(folder, "sh", "values.sh", "{x}")
    done = tinytune("replicate", study, "--trust-code", "--quiet", cwd=study.parent)
    assert "3 of 3 within" in done.stdout, done.stderr
    whole = tmp_path / "whole"
    whole.mkdir()
    shutil.rmtree(study.parent)
    study = tuned(whole, "sh", "-c", 'echo "tinytune: loss=$1"', "sh", "{x}")
    done = tinytune("replicate", study, "--trust-code", "--quiet", cwd=study.parent)
    assert "3 of 3 within" in done.stdout, done.stderr
    assert tinytune("extract", study, "code", cwd=study.parent).returncode == 0


def test_a_script_that_would_lie_elsewhere_is_left_out(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "values.sh").write_text('echo "tinytune: loss=$1"\n')
    study = tuned(folder, "sh", "values.sh", "{x}")
    before = "values.sh"
    for number, name in enumerate(["../evil.sh", ".evil", "a/evil.sh", "-evil", "evil:x", ""]):
        with closing(sqlite3.connect(study)) as connection, connection:
            (facts,) = connection.execute("SELECT facts FROM environment").fetchone()
            known = json.loads(facts)
            known["files"][name] = known["files"].pop(before)
            known["main"] = before = name
            connection.execute("UPDATE environment SET facts = ?", (json.dumps(known),))
        with Reader(study) as reader:
            written = extract.write(reader, tmp_path / f"{number}" / "code")
        assert {path.name for path in written} == {"README.md", "requirements.txt"}
    assert not list(tmp_path.rglob("*evil*"))
