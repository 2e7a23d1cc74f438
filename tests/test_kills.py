"""kill -9 at random moments: nothing is lost, nothing is done twice, and nothing is different."""

import random

import pytest

from tests.shell import DIGITS, LONG, ROOT, await_ended, ended, kill_all, results, start, tinytune
from tinytune import search
from tinytune.store.reader import Reader
from tinytune.study import Study
from tinytune.verify import verify

KILLS = 10 if LONG else 2
GRID = [
    "--grid",
    "lr=5",
    "--grid",
    "momentum=3",
    "--grid",
    "batch=2",
    "--grid",
    "l2=2",
]  # 60 points


@pytest.mark.parametrize(
    ("name", "options", "trials"),
    [("random", ["--search", "random", "--trials", "60"], 60), ("grid", GRID, 60)],
    ids=["random", "grid"],
)
def test_killed_many_times_ends_as_if_never_killed(tmp_path, name, options, trials):
    moments = random.Random(f"{name} kills")
    calm, torn = tmp_path / "calm.db", tmp_path / "torn.db"
    run = ["run", DIGITS, *options, "--seed", "3", "--set", "epochs=5"]
    assert tinytune(*run, "--study", calm).returncode == 0
    for _ in range(KILLS):
        command = ["resume", torn] if torn.exists() else [*run, "--study", torn]
        working = start(*command, "--workers", "4")
        await_ended(torn, ended(torn) + moments.randrange(60 // (KILLS + 1)), working)
        kill_all(working)
        working.communicate()
    last = tinytune("resume", torn)
    assert last.returncode == 0, last.stderr

    assert [number for number, *_ in results(torn)] == list(range(trials))
    assert results(torn) == results(calm)
    with Study(torn) as study:
        assert study.progress.counts["complete"] == trials
        curves = [study.curves(number)["error"] for number in range(trials)]
    with Study(calm) as study:
        assert curves == [study.curves(number)["error"] for number in range(trials)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["calm.db", "torn.db"]


OBJECTIVE = ROOT / "tests" / "faults" / "objective.py"
LEARNERS = [
    name for name in (module.replace("_", "-") for module in search._CLASSES)
    if search.options_class(name).learns
]  # fmt: skip


def torn_study(folder, name, workers, trials, kills):
    """Return a study whose processes were all killed, several times."""
    path = folder / "torn.db"
    run = ["run", OBJECTIVE, "--study", path, "--search", name, "--trials", trials,
           "--set", f"record={folder / 'record'}"]  # fmt: skip
    moments = random.Random(f"{name} {workers}")
    for _ in range(kills):
        working = start(*run, "--workers", workers)
        await_ended(path, ended(path) + 1 + moments.randrange(trials // (kills + 2)), working)
        kill_all(working)
        working.communicate()
    last = tinytune("resume", path)
    assert last.returncode == 0, last.stderr
    return path


@pytest.mark.parametrize("name", LEARNERS)
def test_a_search_that_learns_goes_on_as_if_never_killed(tmp_path, name):
    torn = torn_study(tmp_path, name, workers=1, trials=30, kills=3 if LONG else 1)
    calm = tmp_path / "calm.db"
    done = tinytune("run", OBJECTIVE, "--study", calm, "--search", name, "--trials", 30,
                    "--set", f"record={tmp_path / 'record'}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert results(torn) == results(calm)


# What many workers see is checked for every search where they interleave: see test_verify.
@pytest.mark.parametrize("name", LEARNERS if LONG else ["cma-es", "tpe"])
def test_a_search_that_learns_loses_nothing_with_four_workers(tmp_path, name):
    path = torn_study(tmp_path, name, workers=4, trials=40, kills=3)
    with Reader(path) as reader:
        trials = reader.trials()
        found = verify(reader, lambda done, total: None)
    assert [trial.number for trial in trials] == list(range(40))
    assert {trial.state for trial in trials} <= {"complete", "failed"}  # after three deaths
    assert found.is_good
    assert found.count("exact") == 40
