"""`for epoch in tinytune.steps(100)`: it is range, it ends with its trial, and it is shown."""

import itertools
import json
import math
import os
import pty
import re
import subprocess
from typing import Annotated

import pytest

import tinytune
from tests.shell import ENVIRONMENT, PATIENCE_SECONDS, command
from tests.shell import tinytune as shell
from tinytune import Float, context, loop, pace
from tinytune.context import Trial
from tinytune.errors import ObjectiveError, TrialStopped
from tinytune.history import Goal
from tinytune.output.progress import Live, pace_line, sparkline
from tinytune.pace import Pace
from tinytune.repeated import Repeated


@pytest.mark.parametrize(
    ("given", "start", "expected"),
    [
        (4, 0, [0, 1, 2, 3]),
        (4, 3, [3]),
        (4, 4, []),
        (4, 9, []),
        (0, 0, []),
        (-1, 0, []),
        ("abc", 1, ["b", "c"]),
        ([], 2, []),
        (range(10, 14), 2, [12, 13]),
        ({"a": 1, "b": 2}, 0, ["a", "b"]),
    ],
)
def test_outside_of_a_study_it_is_like_range(given, start, expected):
    found = tinytune.steps(given, start=start)
    assert list(found) == expected
    assert list(found) == expected  # again, as a range
    assert len(found) == len(expected)


def test_numbers_of_numpy_are_whole_numbers():
    numpy = pytest.importorskip("numpy")
    assert list(tinytune.steps(numpy.int64(3), start=numpy.int32(1))) == [1, 2]


def test_a_late_start_does_not_count_up_to_it():
    assert list(tinytune.steps(2**60, start=2**60 - 2)) == [2**60 - 2, 2**60 - 1]


@pytest.mark.parametrize("given", [1.5, 10.0, None, "never"])
def test_what_is_no_number_of_steps_is_refused_in_one_sentence(given):
    with pytest.raises(ObjectiveError, match=r"^steps: .* is .*: give a whole number"):
        tinytune.steps(
            *([given] if given != "never" else [3]), start=0 if given != "never" else "1"
        )


def test_a_start_below_zero_is_refused():
    with pytest.raises(ObjectiveError, match="start is -1"):
        tinytune.steps(5, start=-1)


def test_what_has_no_length_has_none():
    endless = tinytune.steps(itertools.count())
    with pytest.raises(TypeError, match="count has no len"):
        len(endless)
    assert list(itertools.islice(endless, 3)) == [0, 1, 2]


def running(*, stops_at=math.inf, show=None):
    def write(step, metrics):
        return "at last" if step >= stops_at else None

    trial = Trial(7, {}, 0, write)
    trial.show = show
    return trial


def test_it_ends_once_the_trial_is_stopped_and_takes_no_item_more():
    items = iter(range(100))
    trial = running(stops_at=2)
    seen = []
    with context.running(trial):
        for item in tinytune.steps(items):
            seen.append(item)
            trial.report(item, loss=1.0, stop=False)
        assert list(tinytune.steps(5)) == []  # nor does another loop begin
    assert seen == [0, 1, 2]
    assert next(items) == 3
    assert trial.loops == []


def test_report_raises_through_it():
    trial = running(stops_at=1)
    depths = []

    def train():
        for step in tinytune.steps(10):
            depths.extend(len(trial.loops) for _ in tinytune.steps(2))
            tinytune.report(step, loss=1.0)

    with context.running(trial), pytest.raises(TrialStopped):
        train()
    assert depths == [2] * 4
    assert trial.loops == []


@pytest.mark.parametrize("stop", [True, False])
def test_a_study_stops_it(tmp_path, stop):
    ended = []

    @tinytune.trial(minimize="loss")
    def objective(x: Annotated[float, Float(0, 1)] = 0.5) -> float:
        loss = math.nan
        for step in tinytune.steps(10):
            loss = x + step
            tinytune.report(step, loss=loss, stop=stop)
        ended.append(loss)
        return loss

    study = objective.tune(
        tmp_path / "study.db", search="random", trials=2, stopping="threshold(upper=3)", quiet=True
    )
    assert [trial.state for trial in study.trials()] == ["stopped", "stopped"]
    assert all(3 < trial.value < 4 for trial in study.trials())
    assert all(len(study.curves(number)["loss"]) <= 4 for number in (0, 1))
    assert len(ended) == (0 if stop else 2)


def test_a_loop_goes_on_at_a_loaded_step(tmp_path):
    path = tmp_path / "study.db"
    taken = []

    @tinytune.trial(minimize="loss", space={"x": Float(0, 1)})
    def objective(x=0.5):
        for step in tinytune.steps(6, start=int(tinytune.load() or 0)):
            if taken == [0, 1, 2]:
                taken.append("killed")
                raise KeyboardInterrupt
            taken.append(step)
            tinytune.report(step, loss=x + step)
            tinytune.save(str(step + 1).encode())
        return x

    with pytest.raises(KeyboardInterrupt):
        objective.tune(path, trials=1, quiet=True)
    study = objective.tune(path, trials=1, quiet=True)
    assert taken == [0, 1, 2, "killed", 3, 4, 5]
    assert study.curves(0)["loss"] == {step: 0.5 + step for step in range(6)}


def test_how_far_it_is_is_shown_after_a_moment_and_not_too_often(monkeypatch):
    now = 100.0
    monkeypatch.setattr(loop.time, "monotonic", lambda: now)
    shown = []
    trial = running(show=shown.append)
    with context.running(trial):
        for epoch in tinytune.steps(14, start=10):
            for _ in tinytune.steps(iter("abc")):
                now += 0.125
            trial.report(epoch, loss=epoch / 2)
    assert shown[-1] is None
    assert [pace.loops for pace in shown[:-1]] == [
        ((11, 14), (1, None)),  # after 0.5 s
        ((12, 14),),
        ((12, 14), (2, None)),
        ((13, 14), (1, None)),
    ]
    assert shown[1].metrics == {"loss": 5.5}
    assert shown[1].seconds == 0.75
    assert shown[1].seconds_left == 0.75
    assert shown[0].trial == 7


def test_repeated_runs_are_shown_too(monkeypatch):
    monkeypatch.setattr(loop, "SHOW_AFTER_SECONDS", 0)
    monkeypatch.setattr(loop, "SHOW_EVERY_SECONDS", 0)
    shown = []

    @tinytune.trial(minimize="loss", space={"x": Float(0, 1)})
    def objective(x=0.5):
        return float(sum(tinytune.steps(3)))

    trial = running(show=shown.append)
    trial.params = {"x": 0.5}
    assert Repeated(objective, 2, "loss").run(trial, {}).value == 3
    assert [pace and pace.loops[0][0] for pace in shown] == [0, 1, 2, None] * 2


def test_a_pace_in_words():
    text = pace_line(Pace(12, ((34, 100), (5, None)), 14, 10.0, {"error": 0.31234, "a\x1b[2J": 1}))
    assert text.startswith("trial 12: step 34/100 + 5, 33 s left, error 0.3123, a")
    assert "\x1b" not in text
    assert pace_line(Pace(0, ((0, 3),))) == "trial 0: step 0/3"


@pytest.mark.parametrize("told", [None, Pace(3, ((1, 2), (5, None)), 1, 0.25, {"loss": math.inf})])
def test_a_pace_goes_through_a_line(told):
    assert pace.read(pace.written(told)) == told


def test_the_longest_pace_fits_a_pipe_at_once():
    names = {chr(0x1F600 + i) * 9_999: -1.7976931348623157e308 for i in range(50)}
    long = pace.written(Pace(2**62, ((2**62, 2**62),) * 50, 2**62, 1e300, names))
    assert len(long) < 4096  # PIPE_BUF


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[1]", b"[1,[],0,0,{}]", b'[1,[["a",2]],0,0,{}]', b"\xff"]
)
def test_a_line_that_is_no_pace_is_told_apart(line):
    with pytest.raises(ValueError):
        pace.read(line)


def test_a_full_pipe_and_a_dead_supervisor_cost_a_trial_nothing():
    reader = pace.PaceReader()
    worker_end = os.dup(reader.worker_end)
    reader.start()
    tell = pace.teller(worker_end)
    assert list(reader.latest()) == []
    for step in range(5_000):  # more than a pipe holds
        tell(Pace(1, ((step, 5_000),)))
    (found,) = reader.latest()
    assert found.loops[0][0] > 0
    reader.close()
    tell(None)
    os.close(worker_end)


class Terminal:
    """What looks like one."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_the_live_line_is_led_by_the_trial_and_cut_to_the_terminal(tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "30")
    live = Live(tmp_path, Goal("loss", "minimize"), quiet=False)
    live.pace(None)
    assert terminal.text == ""
    live.pace(Pace(3, ((1, 2),), 0, 2.0, {"a_long_metric": 1.0}))
    assert terminal.text == "\r\x1b[Ktrial 3: step 1/2, 2.0 s left"[: 4 + 29]
    live.pace(None)
    assert terminal.text.endswith("\r\x1b[K")
    assert not Live(tmp_path, Goal("loss", "minimize"), quiet=True).shows_pace


def test_without_a_terminal_nothing_is_shown(tmp_path, capsys):
    live = Live(tmp_path, Goal("loss", "minimize"), quiet=False)
    assert not live.shows_pace
    live.pace(Pace(3, ((1, 2),)))
    assert capsys.readouterr() == ("", "")


FOLLOWED = '''
import os, tinytune
from pathlib import Path
from tinytune import Float, loop

loop.SHOW_AFTER_SECONDS = 0

@tinytune.trial(minimize="loss", space={"x": Float(0, 1)})
def followed(trial: tinytune.Trial, x=0.5):
    """Return whether it is watched; go on until it was seen."""
    for step in tinytune.steps(10**9):
        tinytune.report(0, loss=0.5)
        if trial.show is None or Path("seen").exists():
            return float(trial.show is not None)
'''


def on_a_terminal(folder, *options):
    """Run a study on a terminal, and return what it shows, as far as it takes to see a step."""
    (folder / "followed.py").write_text(FOLLOWED)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("run", "followed.py", "--trials", 1, *options),
        cwd=folder, env=ENVIRONMENT, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65_536)
        except OSError:  # it has ended
            break
        if re.search(rb"trial 0: step \d+/1000000000, .*loss 0.5 ", shown):
            (folder / "seen").touch()
    os.close(ours)
    assert process.wait(PATIENCE_SECONDS) == 0, shown
    return shown.decode()


def value(folder):
    (trial,) = json.loads(shell("trials", "study.db", "--format", "json", cwd=folder).stdout)
    return trial["value"]


def test_on_a_terminal_one_worker_is_followed(tmp_path):
    shown = on_a_terminal(tmp_path)
    assert "0/1 trials · 1 running" in shown.split("step", 1)[1]  # the study's line goes on
    assert value(tmp_path) == 1


@pytest.mark.parametrize("options", [["--workers", 2, "--no-capture"], ["--capture"]], ids=str)
def test_what_would_be_garbled_is_not_followed(tmp_path, options):
    assert "step" not in on_a_terminal(tmp_path, *options)
    assert value(tmp_path) == 0


def test_a_curve_is_drawn_by_logarithms_where_it_falls_by_decades():
    assert sparkline([]) == ""
    assert sparkline([3.0, 3.0]) == "▁▁"
    assert sparkline([8.0, 4.5, 1.0]) == "█▅▁"
    assert sparkline([1e-2, 1e-9, 1e-16]) == "█▅▁"
    assert sparkline([1e3, 0.0]) == "█▁"
    assert len(sparkline([float(n) for n in range(1, 1001)])) == 40
