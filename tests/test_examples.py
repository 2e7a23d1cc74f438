"""Every example runs as its first lines say."""

import json
import re
import shlex

import pytest

from tests.shell import ROOT, tinytune
from tinytune import confirm, loading, search, testing
from tinytune.store.reader import Reader

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_commands_of_an_example(tmp_path, path):
    commands = re.findall(r"^    tinytune (run .*)$", path.read_text(), re.MULTILINE)
    assert commands
    for number, command in enumerate(commands):
        study = tmp_path / f"{number}.db"
        arguments = shlex.split(command.replace("examples/", f"{ROOT}/examples/"))
        done = tinytune(*arguments, "--study", study, "--trials", 6)
        assert done.returncode == 0, done.stderr
        trials = json.loads(tinytune("trials", study, "--format", "json").stdout)
        ends = {"complete", "stopped"} if "--stop" in arguments else {"complete"}
        assert len(trials) == 6
        assert {trial["state"] for trial in trials} == ends
        reports = re.search(r"\.report\(|tinytune\.integrations", path.read_text()) is not None
        assert all(bool(trial["metrics"]) == reports for trial in trials)


def test_the_noisy_example_is_confirmed_as_its_first_lines_say(tmp_path):
    path = ROOT / "examples" / "noisy_walk.py"
    for command in re.findall(r"^    tinytune (.*)$", path.read_text(), re.MULTILINE):
        words = shlex.split(command.replace("examples/", f"{ROOT}/examples/"))
        done = tinytune(*words, "--no-git", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert words[0] == "confirm"
    assert re.search(r"^trial \d+ leads trial \d+ by [\d.]+ ± [\d.]+: ", done.stdout, re.MULTILINE)
    with Reader(tmp_path / "noisy.db") as reader:
        found = confirm.ranking(reader, reader.study().goals[0])
    assert [len(row.values) for row in found.rows] == [8] * 5
    assert all(row.optimism > 0 for row in found.rows)  # the winner's curse


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


@pytest.mark.parametrize("check", testing.CHECKS, ids=lambda check: check.__name__)
def test_the_search_of_ones_own_keeps_every_promise(check):
    loading.load(f"{ROOT}/examples/own_search.py")
    check(search.make("nearest", {}))


def test_a_study_by_a_search_of_ones_own_proves_itself(tmp_path):
    example = ROOT / "examples" / "own_search.py"
    how = ["--search", "nearest(candidates=4)", "--trials", 9, "--workers", 2, "--quiet"]
    assert tinytune("run", example, *how, cwd=tmp_path).returncode == 0
    done = tinytune("verify", "study.db", "--objective", example, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 of 9 suggestions recomputed exactly" in done.stdout


def test_an_installed_package_brings_a_search(tmp_path):
    """Nothing but its metadata names it: tinytune finds it in `run` and in `verify`."""
    source = (ROOT / "examples" / "own_search.py").read_text()
    source = source[: source.index('if "nearest"')]
    (tmp_path / "nearest_package.py").write_text(source)
    metadata = tmp_path / "nearest_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: nearest-package\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[tinytune.search]\nnearest = nearest_package:Nearest\n"
    )
    environment = {"PYTHONPATH": str(tmp_path)}
    listed = tinytune("searches", environment=environment)
    assert "nearest(candidates=8)" in listed.stdout
    example, how = ROOT / "examples" / "heavy_ball.py", ["--search", "nearest", "--trials", 5]
    done = tinytune("run", example, *how, cwd=tmp_path, environment=environment)
    assert done.returncode == 0, done.stderr
    done = tinytune("verify", "study.db", cwd=tmp_path, environment=environment)
    assert "5 of 5 suggestions recomputed exactly" in done.stdout
