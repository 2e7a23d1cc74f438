"""Interrupts and deaths: what was running runs again, and nothing else happens twice."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shell import ROOT, await_true, children, kill_all, results, start, tinytune
from tinytune import limits
from tinytune.process import birth
from tinytune.study import Study

TOY = ROOT / "tests" / "toys" / "toy.py"


@pytest.fixture
def study(tmp_path):
    return tmp_path / "study.db"


def run_gated(study, trials=6, workers=2):
    """Start a run whose trials wait at the gate; return the process and the gate."""
    gate, log = study.parent / "gate", study.parent / "log"
    process = start(
        "run", TOY, "--study", study, "--trials", trials, "--workers", workers,
        "--set", f"gate={gate}", "--set", f"log={log}",
    )  # fmt: skip
    await_true(lambda: log.exists() and len(log.read_text().splitlines()) == workers, process)
    return process, gate


def states(study):
    with Study(study) as opened:
        return [trial.state for trial in opened.trials()]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_gives_back_what_was_running(study, number, code):
    process, gate = run_gated(study)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert "interrupted" in errors
    assert f"next: tinytune resume {study}" in errors
    assert "Traceback" not in errors
    assert states(study) == ["waiting", "waiting"]
    with Study(study) as opened:
        assert [a.ending for a in opened.reader.attempts(0)] == ["given back"]
        assert opened.trials()[0].deaths == 0

    gate.touch()
    assert tinytune("resume", study).returncode == 0
    assert states(study) == ["complete"] * 6


def test_ctrl_c_in_a_terminal_reaches_the_whole_group_and_is_one_interrupt(study):
    process, _ = run_gated(study)
    kill_all(process, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert states(study) == ["waiting", "waiting"]


def test_a_second_ctrl_c_ends_at_once(study, tmp_path):
    process, _ = run_gated(study)
    workers = children(process.pid)
    for worker in workers:  # they cannot answer the first one
        os.kill(worker, signal.SIGSTOP)
    os.kill(process.pid, signal.SIGINT)
    while "a second Ctrl-C ends at once" not in process.stderr.readline():
        pass
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=9)  # less than the grace of one Ctrl-C
    assert process.returncode == 130
    assert states(study) == ["waiting", "waiting"]
    assert [path.name for path in tmp_path.glob("study.db*")] == ["study.db"]


def test_workers_end_when_their_supervisor_is_killed(study):
    process, gate = run_gated(study)
    workers = children(process.pid)
    process.kill()
    process.communicate(timeout=30)
    await_true(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert states(study) == ["waiting", "waiting"]
    gate.touch()
    assert tinytune("resume", study).returncode == 0
    assert states(study) == ["complete"] * 6


def test_a_killed_worker_is_replaced_and_its_trial_runs_again(study):
    process, gate = run_gated(study)
    victim = children(process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    await_true(lambda: len((study.parent / "log").read_text().splitlines()) == 3, process)
    gate.touch()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert states(study) == ["complete"] * 6
    with Study(study) as opened:
        (wounded,) = [trial for trial in opened.trials() if trial.deaths]
        assert wounded.attempt == 2
        assert [a.ending for a in opened.reader.attempts(wounded.number)] == ["died"]
        # The first attempt's report is kept, and does not count.
        assert opened.curves(wounded.number)["loss"].keys() == {0, 1}


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("SIGSEGV", "was killed by SIGSEGV"),
        ("SIGKILL", "was killed by SIGKILL"),
        ("exit", "exited with code 3"),
        ("exit 0", "exited with code 0"),
    ],
)
def test_a_trial_that_kills_three_workers_has_failed(study, harm, told):
    done = tinytune("run", TOY, "--study", study, "--trials", 4, "--set", f"harm={harm}")
    assert done.returncode == 0, done.stderr
    assert states(study) == ["complete", "failed", "complete", "complete"]
    with Study(study) as opened:
        failed = opened.trials()[1]
    assert (failed.attempt, failed.deaths) == (3, 3)
    assert failed.error.startswith("its worker died 3 times, at last it ")
    assert told in failed.error


def test_sys_exit_ends_its_trial_alone(study):
    done = tinytune("run", TOY, "--study", study, "--trials", 3, "--set", "harm=sys.exit")
    assert done.returncode == 0
    assert states(study) == ["complete", "failed", "complete"]
    with Study(study) as opened:
        assert opened.trials()[1].error == "SystemExit: enough"


def test_an_interrupt_that_nobody_sent_is_an_error_of_its_trial(study):
    done = tinytune("run", TOY, "--study", study, "--trials", 3, "--set", "harm=interrupt")
    assert done.returncode == 0
    assert states(study) == ["complete", "failed", "complete"]
    with Study(study) as opened:
        assert opened.trials()[1].error == "KeyboardInterrupt"


@pytest.mark.parametrize("harm", ["fork", "fork and exit"])
def test_a_fork_ends_where_it_leaves_the_objective(study, harm):
    done = tinytune("run", TOY, "--study", study, "--trials", 3, "--set", f"harm={harm}")
    assert done.returncode == 0, done.stderr
    assert states(study) == ["complete"] * 3
    with Study(study) as opened:
        assert opened.trials()[1].attempt == 1
    if harm == "fork":  # the fork had reported first
        assert "report from the process that runs the trial" in done.stderr


def test_separate_commands_join_one_study(study):
    process, gate = run_gated(study, trials=12, workers=1)
    others = [start("resume", study, "--workers", "1") for _ in range(2)]
    log = study.parent / "log"
    await_true(lambda: len(log.read_text().splitlines()) == 3, process)
    gate.touch()
    for each in (process, *others):
        _, errors = each.communicate(timeout=60)
        assert each.returncode == 0, errors
    assert [number for number, *_ in results(study)] == list(range(12))
    assert len(log.read_text().splitlines()) == 12  # no trial was run twice
    assert [path.name for path in study.parent.glob("study.db*")] == ["study.db"]


def test_workers_wait_for_the_last_trial_of_another_command(study):
    process, gate = run_gated(study, trials=1, workers=1)
    other = start("resume", study)
    with Study(study) as opened:
        await_true(lambda: bool(opened.reader.running()), process)
    process.kill()  # its worker gives the trial back, and the other command runs it
    process.communicate(timeout=30)
    gate.touch()
    _, errors = other.communicate(timeout=60)
    assert other.returncode == 0, errors
    assert states(study) == ["complete"]


def test_a_trial_that_takes_too_long_has_failed_and_the_others_go_on(study):
    process, gate = run_gated(study, trials=3, workers=1)
    process.kill()
    process.communicate(timeout=30)
    slow = start("resume", study, "--trial-timeout", "0.3s")
    await_true(lambda: states(study).count("failed") >= 1, slow)
    gate.touch()
    _, errors = slow.communicate(timeout=60)
    assert slow.returncode == 0, errors
    with Study(study) as opened:
        failed = opened.trials("failed")
        assert failed[0].number == 0
        assert failed[0].error == "it ran longer than its limit of 0.3 s (--trial-timeout)"
        assert failed[0].deaths == 0
        assert opened.progress.ended == 3


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="as on Linux")
def test_what_an_objective_has_started_ends_with_its_trial(tmp_path):
    (tmp_path / "train.py").write_text(STARTS)
    run = ["run", "train.py", "--trials", 1, "--trial-timeout", "0.5s", "-q"]
    done = tinytune(*run, cwd=tmp_path)  # it has the same output, and would keep it open
    assert done.returncode == 1, done.stderr
    assert "it ran longer than its limit" in done.stderr
    await_true(lambda: not any(map(birth, started(tmp_path))))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="as on Linux")
def test_what_an_objective_has_started_ends_before_its_trial_is_given_back(tmp_path):
    (tmp_path / "train.py").write_text(STARTS)
    process = start("run", tmp_path / "train.py", "--study", tmp_path / "s.db", cwd=tmp_path)
    await_true(lambda: len(started(tmp_path)) == 2, process)
    process.terminate()  # the command alone: a terminal would interrupt all of them
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    await_true(lambda: not any(map(birth, started(tmp_path))))
    assert states(tmp_path / "s.db") == ["waiting"]


def started(folder):
    path = folder / "started"
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def test_a_trial_that_uses_too_much_memory_has_failed(study):
    run = ["run", TOY, "--study", study, "--trials", 3, "--set", "harm=memory"]
    done = tinytune(*run, "--max-memory", "300M")
    assert done.returncode == 0, done.stderr
    assert states(study) == ["complete", "failed", "complete"]
    with Study(study) as opened:
        assert "more than its limit of 315 MB (--max-memory)" in opened.trials()[1].error


STARTS = """
import subprocess, sys
from typing import Annotated
import tinytune

CHILD = "import subprocess as s; p = s.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"

@tinytune.trial(minimize="loss")
def train(x: Annotated[float, tinytune.Float(0, 1)] = 0.5):
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True)
    grandchild = int(child.stdout.readline())
    open("started", "w").write(f"{child.pid} {grandchild}")
    return child.wait()
"""
HOARD = "import sys; kept = bytearray(60_000_000); print(flush=True); sys.stdin.read()"
SHARED = """
import os, sys
kept = bytearray(90_000_000)
for _ in range(3):
    if os.fork() == 0:
        break
print(flush=True)
sys.stdin.read()
"""


def test_a_command_that_uses_too_much_memory_in_several_processes_has_failed(study):
    hoard = f'{sys.executable} -S -c "$0" | {sys.executable} -S -c "$0"; sleep 60'
    done = tinytune(
        "run", "--study", study, "--trials", 2, "--max-memory", "100M", "--search", "random",
        "--param", "x=int(1, 9)", "--", "sh", "-c",
        f'[ "$1" = 0 ] && echo "tinytune: value=1" || {{{{ sleep 60 | {hoard}; }}}}',
        HOARD, "{trial}", "{x}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with Study(study) as opened:
        first, second = opened.trials()
        assert first.state == "complete"
        assert "the command with all that it has started used 1" in second.error
        assert "MB of memory, more than its limit of 105 MB (--max-memory)" in second.error


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells")
@pytest.mark.parametrize(("script", "processes"), [(HOARD, 1), (SHARED, 4)])
def test_shared_memory_is_counted_once(script, processes):
    with subprocess.Popen(
        [sys.executable, "-S", "-c", script],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    ) as group:  # fmt: skip
        for _ in range(processes):
            group.stdout.readline()
        size = 60e6 if processes == 1 else 90e6
        assert size < limits.group_bytes(os.getpid(), 100_000_000) < size + 40e6
        group.stdin.close()


def test_status_tells_the_dead_from_the_living(study):
    process, _ = run_gated(study)
    assert tinytune("status", study).stdout.count("alive") == 2
    kill_all(process)
    process.communicate(timeout=30)
    shown = tinytune("status", study).stdout
    assert shown.count("dead\n") == 2
    assert "runs again what dead workers held" in shown
