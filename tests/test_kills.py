"""kill -9 at random moments: nothing is lost, nothing is done twice, and nothing is different."""

import random

import pytest

from tests.shell import DIGITS, await_ended, ended, kill_all, results, start, tinytune
from tinytune.study import Study

KILLS = 10
GRID = [
    "--grid",
    "lr=6",
    "--grid",
    "momentum=5",
    "--grid",
    "batch=2",
    "--grid",
    "l2=2",
]  # 120 points


@pytest.mark.parametrize(
    ("name", "options", "trials"),
    [("random", ["--trials", "120"], 120), ("grid", GRID, 120)],
    ids=["random", "grid"],
)
def test_killed_ten_times_ends_as_if_never_killed(tmp_path, name, options, trials):
    moments = random.Random(f"{name} kills")
    calm, torn = tmp_path / "calm.db", tmp_path / "torn.db"
    run = ["run", DIGITS, *options, "--seed", "3", "--set", "epochs=10"]
    assert tinytune(*run, "--study", calm).returncode == 0
    for _ in range(KILLS):
        command = ["resume", torn] if torn.exists() else [*run, "--study", torn]
        working = start(*command, "--workers", "4")
        await_ended(torn, ended(torn) + moments.randrange(12), working)
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
