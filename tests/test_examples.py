"""Every example runs as its first lines say."""

import json
import re

import pytest

from tests.shell import ROOT, tinytune

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_commands_of_an_example(tmp_path, path):
    commands = re.findall(r"^    tinytune (run .*)$", path.read_text(), re.MULTILINE)
    assert commands
    for number, command in enumerate(commands):
        study = tmp_path / f"{number}.db"
        arguments = command.replace("examples/", f"{ROOT}/examples/").split()
        done = tinytune(*arguments, "--study", study, "--trials", 6)
        assert done.returncode == 0, done.stderr
        trials = json.loads(tinytune("trials", study, "--format", "json").stdout)
        assert [trial["state"] for trial in trials] == ["complete"] * 6
        assert all(trial["metrics"] for trial in trials)


def test_digits_are_read_well(tmp_path):
    tinytune("run", ROOT / "examples" / "momentum_sgd.py", "--trials", 10, cwd=tmp_path)
    best = json.loads(tinytune("best", "study.db", "--format", "json", cwd=tmp_path).stdout)
    assert best["value"] < 0.04
    assert best["metrics"]["error"] == best["value"]


def test_inactive_parameters_are_not_recorded(tmp_path):
    tinytune("run", ROOT / "examples" / "sklearn_svm.py", "--trials", 12, cwd=tmp_path)
    trials = json.loads(tinytune("trials", "study.db", "--format", "json", cwd=tmp_path).stdout)
    for trial in trials:
        kernel = trial["params"]["kernel"]
        assert ("gamma" in trial["params"]) == (kernel in {"rbf", "poly"})
        assert ("degree" in trial["params"]) == (kernel == "poly")
