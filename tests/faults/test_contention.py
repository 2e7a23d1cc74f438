"""Many processes on one file: no lock errors, nothing lost or doubled, nobody starved."""

import json
import subprocess
import sys

import pytest

from tests.shell import ENVIRONMENT, LONG
from tests.studies import make_study
from tinytune.store.reader import Reader
from tinytune.study import Study

WORKER = """
import json, sys, time
from tinytune.study import Study
with Study(sys.argv[1]) as study:
    if sys.argv[2] == "no queue":
        study._writer._db._queue = None  # as where the lock that keeps order cannot be had
    study._writer  # joins
    print("ready", flush=True)
    sys.stdin.readline()
    mine, waits = [], []

    def timed(write, *arguments, **metrics):
        began = time.perf_counter()
        result = write(*arguments, **metrics)
        waits.append(time.perf_counter() - began)
        return result

    while (trial := timed(study.ask)) is not None:
        for step in range(5):
            timed(trial.report, step, loss=1.0)
        timed(study.tell, trial, trial.params["x"])
        mine.append(trial.number)
print(json.dumps([mine, waits]))
"""


def race(path, processes, queue):
    """Let so many processes work on a study at once; return what each did."""
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), queue],
            env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )
        for _ in range(processes)
    ]  # fmt: skip
    for each in racing:
        assert each.stdout.readline() == "ready\n", each.stderr.read()
    for each in racing:
        each.stdin.write("\n")
        each.stdin.flush()
    done = []
    for each in racing:
        out, errors = each.communicate(timeout=300)
        assert each.returncode == 0, errors
        done.append(json.loads(out))
    return done


@pytest.mark.parametrize(
    ("processes", "queue"), [(16, "queue"), (8, "no queue"), *([(64, "queue")] if LONG else [])]
)
def test_many_processes_write_one_file(tmp_path, processes, queue):
    trials = 50 * processes
    path = make_study(tmp_path, budget=trials)
    done = race(path, processes, queue)
    numbers = sorted(number for mine, _ in done for number in mine)
    assert numbers == list(range(trials))  # none lost, none done twice, exactly the budget
    fair = trials / processes
    shares = sorted(len(mine) / fair for mine, _ in done)
    times = sorted(t for _, waits in done for t in waits)
    # Shown by `make torture`; how long it takes is no matter of right or wrong.
    median, p99 = times[len(times) // 2], times[int(0.99 * len(times))]
    print(f"{processes} processes: slowest share {shares[0]:.2f}")
    print(
        f"a write takes {median:.4f} s in the median, {p99:.4f} s at p99, at most {times[-1]:.4f}"
    )
    assert shares[0] >= 0.5 or queue == "no queue"  # nobody is starved
    if queue == "no queue":  # two that leave at the same moment may leave the log to the next one
        with Study(path) as study:
            study._writer  # noqa: B018 - joins
    with Reader(path) as reader:
        assert {(t.state, t.attempt) for t in reader.trials()} == {("complete", 1)}
        assert reader.tick() == trials * (1 + 5 + 1)
        assert reader.damage() == []
    assert [p.name for p in tmp_path.iterdir()] == ["study.db"]
