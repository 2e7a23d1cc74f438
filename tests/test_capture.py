"""What trials print is kept, whatever they do, and no log ever costs a trial."""

import os
import random
import signal
import sqlite3
import subprocess

import pytest

from tests.faults.hostile_files import edited, spoken
from tests.shell import ROOT, await_true, start, tinytune
from tests.studies import make_study
from tinytune import capture
from tinytune.errors import StudyFileError
from tinytune.history import Output
from tinytune.store.reader import Reader
from tinytune.store.writer import Store
from tinytune.study import Study

TALKATIVE = ROOT / "tests" / "toys" / "talkative.py"


def cut(parts):
    """Return the excerpts that a stream gives when it comes in these parts."""
    cutter = capture._Cutter(b"tinytune 00ff ", 1)
    for part in parts:
        cutter.take(part)
    cutter.take(b"", is_last=True)
    return [(e.trial, e.attempt, e.head + e.tail, e.left_out) for e in cutter.ended]


def test_a_stream_is_cut_at_its_marks_however_it_arrives(capfd):
    mark = b"\0tinytune 00ff "
    stream = (
        b"before" + mark + b"3 1\nfirst \xc3\xa9\n\0not a mark \0tinytune \n" + mark + b"end\n"
        b"between" + mark + b"4 2\n" + mark + b"end\n" + mark + b"5 1\nlast, without an end"
    )  # fmt: skip
    expected = [
        (3, 1, "first é\n�not a mark �tinytune \n", 0), (4, 2, "", 0),
        (5, 1, "last, without an end", 0),
    ]  # fmt: skip
    assert cut([stream]) == expected
    chance = random.Random(1)
    for _ in range(200):
        places = sorted(chance.sample(range(len(stream)), chance.randrange(1, 30)))
        parts = [stream[a:b] for a, b in zip([0, *places], [*places, None], strict=True)]
        assert cut(parts) == expected
    assert capfd.readouterr().out == "beforebetween" * 201


def test_of_a_long_output_the_beginning_and_the_end_are_kept():
    text = "".join(f"line {line}\n" for line in range(40_000))
    parts = [
        b"\0tinytune 00ff 0 1\n",
        *(text[i : i + 777].encode() for i in range(0, len(text), 777)),
    ]
    [(_, _, kept, left_out)] = cut(parts)
    assert kept == text[: capture.HEAD] + text[-capture.TAIL :]
    assert left_out == len(text) - len(kept)
    exact = "x" * (capture.HEAD + capture.TAIL)
    assert cut([parts[0], exact.encode()]) == [(0, 1, exact, 0)]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capture")
    run = ["run", TALKATIVE, "--trials", 5, "--search", "random", "--workers", 2]
    done = tinytune(*run, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "loading" in done.stdout  # what is no trial's goes where it always went
    assert "hello" not in done.stdout
    assert "raw error" not in done.stderr
    return folder / "study.db"


def logs(study, *arguments):
    """Return what `tinytune logs` prints to its two outputs."""
    code, out, errors = spoken("logs", study, *arguments)
    assert code == 0, errors
    return out, errors


def test_output_errors_and_warnings_of_each_attempt_are_kept(study):
    with Study(study) as opened:
        assert [trial.state for trial in opened.trials()] == ["complete"] * 5
    for number in (0, 4):
        out, errors = logs(study, number)
        assert out == f"hello from {number} 1\nfrom a child\n"
        assert errors.startswith("raw error\n")
        assert errors.count("UserWarning: be careful") == 1  # in each, not once for a worker


def test_what_a_dead_worker_printed_is_kept(study):
    out, errors = logs(study, 1, "--attempt", 1)
    assert out == "hello from 1 1\nfrom a child\nabout to die\n"
    assert "raw error" in errors
    assert logs(study, 1)[0] == "hello from 1 2\nfrom a child\n"


def test_a_long_output_says_what_is_left_out(study):
    out, _ = logs(study, 2)
    assert out.startswith("hello from 2 1\n")
    assert out.endswith("line 19999\n")
    assert "\n… 143,382 characters were left out …\n" in out


def test_a_closed_descriptor_is_open_again_in_the_next_trial(study):
    assert logs(study, 3)[0].startswith("hello from 3 1\n")
    assert logs(study, 4)[0].startswith("hello from 4 1\n")


def test_logs_are_under_a_seal(study, tmp_path):
    copy = tmp_path / "copy.db"
    copy.write_bytes(study.read_bytes())
    assert spoken("verify", copy)[0] == 0
    with edited(copy) as connection:
        connection.execute("UPDATE output SET head = 'hello' WHERE trial = 4")
    code, out, _ = spoken("verify", copy)
    assert code == 1
    assert "the output of trial 4 was changed afterwards" in out


def test_logs_steer_no_terminal(tmp_path):
    path = make_study(tmp_path)
    with Study(path) as opened:
        opened.ask()
        text = "\x1b[31mred\x1b[0m\x1b]0;title\x07 10%\r20%\r\n\ttab\n"
        opened._store.keep_output([Output(0, 1, "stdout", text, "", 0)])
        assert logs(path, 0)[0] == "red�]0;title� 10%\n20%\n        tab\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((9,), "has no trial 9: see `tinytune trials"),
        ((1, "--attempt", 3), "trial 1 has no attempt 3: the last one is 2"),
    ],
)
def test_logs_of_what_there_is_not(study, arguments, said):
    code, out, errors = spoken("logs", study, *arguments)
    assert (code, out) == (2, "")
    assert said in errors


def test_follow_shows_what_comes_until_the_attempt_ends(tmp_path):
    run = ["run", TALKATIVE, "--trials", 1, "--capture", "--set", "gate=gate", "--no-defaults"]
    process = start(*run, cwd=tmp_path)
    path = tmp_path / "study.db"

    def has_printed():
        with Reader(path) as reader:
            return bool(reader.outputs(0))

    await_true(lambda: path.exists() and has_printed(), process)
    following = start("logs", path, 0, "--follow")
    assert following.stdout.readline() == "hello from 0 1\n"
    assert following.poll() is None
    (tmp_path / "gate").touch()
    assert following.stdout.read() == "from a child\n"
    assert "be careful" in following.stderr.read()
    for each in (following, process):
        each.communicate(timeout=60)
        assert each.returncode == 0


def test_nothing_is_captured_where_that_is_not_wanted(tmp_path):
    run = ["run", TALKATIVE, "--trials", 1]
    done = tinytune(*run, "--workers", 2, "--no-capture", cwd=tmp_path)
    assert "hello from 0 " in done.stdout
    _, errors = logs(tmp_path / "study.db", 0)
    assert "its output was not captured (--capture)" in errors


def test_a_killed_supervisor_breaks_no_trial_that_prints(tmp_path):
    run = ["run", TALKATIVE, "--trials", 2, "--workers", 2, "--set", "flood=true"]
    process = start(*run, cwd=tmp_path)
    await_true(lambda: (tmp_path / "flooding").exists(), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    path = tmp_path / "study.db"

    def states():
        with Study(path) as opened:
            return {trial.state for trial in opened.trials()}

    await_true(lambda: "running" not in states())
    assert states() == {"waiting"}  # given back; none has failed with a broken pipe


def test_a_log_that_cannot_be_written_costs_no_trial(tmp_path, monkeypatch):
    from tinytune import supervisor

    path = make_study(tmp_path)
    with Store(path) as store:
        made = supervisor.Supervisor(None, store, None, None)
        monkeypatch.setattr(store, "keep_output", _refuse)
        made._keep([Output(0, 1, "stdout", "x", "", 0)])
        with pytest.raises(StudyFileError):
            store.keep_output([])


def _refuse(outputs):
    raise StudyFileError("full")


def test_output_of_an_attempt_that_never_was_is_not_stored(tmp_path):
    path = make_study(tmp_path)
    with Study(path) as opened:
        opened.ask()
        opened._store.keep_output([Output(n, a, "stdout", "x", "", 0) for n, a in [(0, 2), (9, 1)]])
        assert opened.reader.outputs(0) == opened.reader.outputs(9) == []


def test_a_listener_takes_what_a_dead_process_left():
    listener = capture.Listener()
    script = f"printf '\\0{listener.mark}3 1\\nlast words'; sleep 1000 & kill -9 $$"
    stdout, stderr = listener.outputs
    process = subprocess.Popen(["sh", "-c", script], stdout=stdout, stderr=stderr)
    listener.start()
    process.wait()
    listener.finish()  # though a child of its own holds the pipe
    found = listener.collect(everything=True)
    assert [(each.trial, each.head) for each in found] == [(3, "last words")]
    assert listener.collect(everything=True) == []


def test_the_schema_knows_two_streams(tmp_path):
    path = make_study(tmp_path)
    with sqlite3.connect(path) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO output VALUES (0, 1, 'third', '', '', 0, '')")
