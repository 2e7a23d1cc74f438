"""Commands in any language are tuned as functions are; nothing of them outlives its trial."""

import json
import os
import resource
import signal
import sys
from pathlib import Path

import pytest

from tests.faults.hostile_files import spoken
from tests.shell import ROOT, await_true, children, kill_all, start, tinytune
from tinytune import command, notation, session
from tinytune.command import CommandObjective
from tinytune.context import Trial
from tinytune.errors import ObjectiveError, UsageError
from tinytune.history import Command, Goal
from tinytune.store.reader import Reader
from tinytune.study import Study

SPACE = notation.space(["lr=float(1e-5, 1, log)", "opt=choice(adam, 'a b; touch owned', true)"])
X = ["--param", "x=int(1, 9) = 3", "--minimize", "error", "--trials", "3", "--search", "random"]


def shell(script, *more):
    """Return the arguments of a shell that gets the value of x as $1."""
    return ["sh", "-c", script.replace("{", "{{").replace("}", "}}"), "sh", *more, "{x}"]


def run_one(folder, script, metrics=(), goal="error", trial=None):
    """Run one trial of a shell command; return its outcome and what it reported."""
    reports = []
    space = notation.space(["x=int(1, 9)"])
    made = CommandObjective(
        Command(tuple(shell(script)), metrics), folder, space, [Goal(goal, "minimize")]
    )
    trial = trial or Trial(7, {"x": 3}, 11, lambda step, found: reports.append((step, found)))
    return made.run(trial, {}), reports


# Arguments


@pytest.mark.parametrize(
    ("argument", "filled"),
    [
        ("{lr}", "1e-05"),
        ("--lr={lr}", "--lr=1e-05"),
        ("{opt}{opt}", "a b; $(x)" * 2),
        ('{{"lr": {lr}}}', '{"lr": 1e-05}'),
        ("{{{lr}}}", "{1e-05}"),
        ("{{lr}}", "{lr}"),
        ("{flag} {none}", "true null"),
        ("plain", "plain"),
    ],
)
def test_placeholders_are_replaced_within_an_argument(argument, filled):
    values = {"lr": 1e-5, "opt": "a b; $(x)", "flag": True, "none": None}
    assert command.filled(argument, values) == filled


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ("t --m {m} --lr {lr}", "t --lr 0.1"),
        ("t --lr {lr} --m {m}", "t --lr 0.1"),
        ("t --m={m} --lr={lr}", "t --lr=0.1"),
        ("t -m {m} {m}", "t"),
        ("t -- {m} {lr}", "t -- 0.1"),
        ("t --x=1 {m} {lr}", "t --x=1 0.1"),
        ("t --lr {lr} {m}", "t --lr 0.1"),
        ("t x {m}{lr}", "t x"),
        ("t --both {m},{lr}", "t"),
    ],
)
def test_what_does_not_exist_in_a_trial_is_left_out_with_its_option(arguments, left):
    assert command.filled_all(arguments.split(), {"lr": 0.1}) == left.split()


def test_a_program_always_exists():
    space = notation.space(["opt=choice(a, b)", "m=choice(x, y) when opt=a"])
    with pytest.raises(UsageError, match="does not always exist"):
        command.check(Command(("{m}", "{opt}")), space)


def test_parameters_of_a_command_may_have_conditions(tmp_path):
    path = tmp_path / "study.db"
    code, _, errors = spoken(
        "run", "--study", path, "--minimize", "error", "--trials", 8, "--search", "random",
        "--param", "opt=choice(adam, sgd) = adam",
        "--param", "m=float(0, 1) = 0.5 when opt=sgd",
        "--no-capture", "-q", "--",
        "sh", "-c", 'test "$1 $3" = "adam " || test "$1 $2" = "sgd --m" || exit 9; echo "'
        '{{\\"error\\": 1}}"', "sh", "{opt}", "--m", "{m}",
    )  # fmt: skip
    assert code == 0, errors
    with Reader(path) as reader:
        trials = reader.trials()
    assert {trial.state for trial in trials} == {"complete"}, [t.error for t in trials]
    assert {("m" in t.params, t.params["opt"]) for t in trials} == {(False, "adam"), (True, "sgd")}
    assert spoken("verify", path)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "there is no command: write it after --"),
        (("train", "{lr}"), "the command does not use the parameter 'opt'"),
        (("train", "{lr}", "{opt}", "{rate}"), "{rate} in the command is no parameter"),
        (("train", "{lr}{opt}", "{"), "has a { that stands alone: write {{ for a brace"),
        (("train", "{lr}{opt}", "}"), "has a } that stands alone: write }} for a brace"),
        (("train", "{lr}{opt}", "{print $1}"), "{print $1} in the command is no parameter"),
        (("train", "{lr}{opt}", "{lr.real}"), "{lr.real} in the command is no parameter"),
    ],
)
def test_a_command_that_does_not_fit_its_parameters(arguments, said):
    with pytest.raises(UsageError) as caught:
        command.check(Command(arguments), SPACE)
    assert said in str(caught.value)


def test_a_parameter_may_not_be_called_as_tinytunes_own_placeholders():
    with pytest.raises(UsageError, match="stands for something else"):
        command.check(Command(("t", "{seed}")), notation.space(["seed=int(1, 2)"]))


def test_no_shell_sees_a_value(tmp_path):
    echo = Command(("python", "-c", "import sys; print(sys.argv[2:])", "{lr}", "{opt}", "{seed}"))
    made = CommandObjective(echo, tmp_path, SPACE, [Goal("value", "minimize")])
    script = "import sys; print(int(sys.argv[1:] == ['0.5', 'a b; touch owned', '11']))"
    made.command = Command((sys.executable, "-c", script, "{lr}", "{opt}", "{seed}"))
    outcome = made.run(Trial(0, {"lr": 0.5, "opt": "a b; touch owned"}, 11), {})
    assert outcome.value == 1.0
    assert not list(tmp_path.iterdir())


# What is printed


@pytest.mark.parametrize(
    ("script", "metrics", "value"),
    [
        ("echo tinytune: error=0.12", (), 0.12),
        ("echo tinytune: error=1; echo tinytune: error=2; echo bye", (), 2.0),
        ('echo \'{"error": 0.5, "name": "x"}\'; echo done', (), 0.5),
        ('echo \'{"error": 1}\'; echo \'{"error": 2}\'; echo \'{"event": "end"}\'', (), 2.0),
        ("echo 'Test error: 0.25%'; echo 'Test error: 0.125%'", ("error=error: ([0-9.]+)",), 0.125),
        ("echo 'error: 3' >&2", ("error=error: (.*)",), 3.0),
        ("echo tinytune: step=1 error=4; echo tinytune: step=2 error=3", (), 3.0),
        ("echo tinytune: step=1 error=4; echo tinytune: error=9", (), 9.0),
        ("echo 5; printf '0.75'", (), 0.75),
        ("printf '  10%%\\r  90%%\\rtinytune: error=6'", (), 6.0),
        ("echo tinytune: error=$1", (), 3.0),
        ("echo tinytune: error=$TINYTUNE_TRIAL$TINYTUNE_SEED", (), 711.0),
        ("exec >&-; exec 2>&-; exit 0", (), None),
        ("head -c 3000000 /dev/zero | tr '\\0' y; echo; echo tinytune: error=8", (), 8.0),
        ("head -c 300000 /dev/zero; echo; echo tinytune: error=8", (), 8.0),
    ],
)
def test_results_are_found_in_what_is_printed(tmp_path, capfd, script, metrics, value):
    outcome, _ = run_one(tmp_path, script, metrics)
    assert outcome.value == value, outcome


def test_all_numbers_are_results(tmp_path):
    line = '{"error": 0.5, "size": 7, "loss": 1, "ok": true}'
    outcome, reports = run_one(
        tmp_path, f"echo 'acc 9'; echo '{line}'; echo tinytune: loss=2", ("accuracy=acc (.*)",)
    )
    assert outcome.values == {"accuracy": 9.0, "error": 0.5, "size": 7.0, "loss": 2.0}
    assert reports == []


def test_steps_are_reported_as_they_come(tmp_path):
    script = "echo tinytune: step=3 loss=0.2 acc=nan; echo tinytune: step=4 loss=1e-3; echo 1"
    outcome, reports = run_one(tmp_path, script)
    assert [(step, found["loss"]) for step, found in reports] == [(3, 0.2), (4, 1e-3)]
    assert reports[0][1]["acc"] != reports[0][1]["acc"]
    assert outcome.values == {"error": 1.0}


@pytest.mark.parametrize(
    ("script", "metrics", "said"),
    [
        ("exit 3", (), "it exited with code 3"),
        ("echo oops >&2; echo >&2; exit 3", (), "it exited with code 3: oops"),
        ("echo tinytune: error=1; exit 1", (), "it exited with code 1"),
        ("kill -SEGV $$", (), "it was killed by SIGSEGV"),
        ("kill -KILL 0", (), "it was killed by SIGKILL"),
        ("true", (), "it printed no 'error', and no other number either: let it end with"),
        ("echo tinytune: loss=1 acc=2", (), "it printed no 'error', only loss, acc"),
        ("echo tinytune: hello", (), "it printed 'tinytune: hello', which cannot be read"),
        ("echo tinytune: error=low", (), "it printed error = 'low', which is not a number"),
        ("echo tinytune: step=x error=1", (), "it printed step=x, which is not a whole number"),
        ("echo tinytune: step=1", (), "it printed 'tinytune: step=1' without a number"),
        ("echo tinytune:; sleep 100", (), "it printed 'tinytune:' without a number"),
        ("echo error: high", ("error=error: (.*)",), "the pattern of error found 'high', which"),
        ("echo tinytune: error=nan", (), "NaN, not a number"),
        ("echo '{\"error\": Infinity}'", (), "not a finite number"),
    ],
)
def test_a_trial_fails_with_the_reason(tmp_path, capfd, script, metrics, said):
    outcome, _ = run_one(tmp_path, script, metrics)
    assert outcome.state == "failed"
    assert said in outcome.error
    if "oops" in script:
        assert outcome.traceback == "oops\n\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("error", "--metric 'error' is no NAME=PATTERN"),
        ("error=(", "'(' is no pattern"),
        ("error=x", "has 0 groups: put the number"),
        ("error=(a)(b)", "has 2 groups"),
        ("er ror=(a)", "is no NAME=PATTERN"),
    ],
)
def test_metrics_that_are_none(text, said):
    with pytest.raises(UsageError) as caught:
        command.goals(None, None, [text])
    assert said in str(caught.value)


# Ends


class Stopped(BaseException):
    """As the early end of a trial is told."""


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "])
def test_the_early_end_of_a_trial_ends_its_whole_group(tmp_path, trap):
    def stop(step, found):
        raise Stopped

    script = f"{trap}sleep 1000 & echo $! > inner; echo tinytune: step=1 error=2; wait; sleep 1000"
    with pytest.raises(Stopped):
        run_one(tmp_path, script, trial=Trial(0, {"x": 1}, 0, stop))
    await_true(lambda: not is_alive(tmp_path / "inner"))


def test_a_command_may_clean_up_before_it_ends(tmp_path):
    def stop(step, found):
        raise Stopped

    script = "trap 'echo ok > saved; exit' TERM; echo tinytune: step=1 error=2; sleep 1000 & wait"
    with pytest.raises(Stopped):
        run_one(tmp_path, script, trial=Trial(0, {"x": 1}, 0, stop))
    assert (tmp_path / "saved").read_text() == "ok\n"


def test_what_a_command_leaves_behind_ends_with_it(tmp_path):
    outcome, _ = run_one(tmp_path, "yes & echo $! > inner; echo tinytune: error=1")
    assert outcome.value == 1.0
    await_true(lambda: not is_alive(tmp_path / "inner"))


def is_alive(file: Path) -> bool:
    """Return whether the process whose number a file holds is at work."""
    try:
        stat = Path(f"/proc/{file.read_text().strip()}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def gated(tmp_path, *options):
    """Start a run of a command that waits for a gate; return it when both trials have begun."""
    script = "echo $$ > pid-$1; until test -e gate; do sleep 0.02; done; echo tinytune: error=$1"
    process = start("run", *X, "--workers", 2, *options, "--", *shell(script), cwd=tmp_path)
    await_true(lambda: len(list(tmp_path.glob("pid-*"))) == 2, process)
    return process, list(tmp_path.glob("pid-*"))


@pytest.mark.parametrize("whom", ["worker", "everybody"])
def test_a_command_dies_with_its_worker(tmp_path, whom):
    process, pids = gated(tmp_path)
    if whom == "everybody":
        kill_all(process)
        await_true(lambda: not any(map(is_alive, pids)))
        process.communicate()
        (tmp_path / "gate").touch()
        done = tinytune("resume", "study.db", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    else:
        for path in pids:
            path.rename(tmp_path / f"old-{path.name}")
        os.kill(children(process.pid)[0], signal.SIGKILL)
        old = list(tmp_path.glob("old-*"))
        await_true(lambda: len(list(filter(is_alive, old))) == 1, process)
        (tmp_path / "gate").touch()
        process.communicate(timeout=60)
    with Study(tmp_path / "study.db") as study:
        assert [trial.state for trial in study.trials()] == ["complete"] * 3
        assert max(trial.attempt for trial in study.trials()) == 2


def test_an_interrupt_gives_the_trials_back_and_ends_their_commands(tmp_path):
    process, pids = gated(tmp_path)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    await_true(lambda: not any(map(is_alive, pids)))
    with Study(tmp_path / "study.db") as study:
        assert [trial.state for trial in study.trials()] == ["waiting", "waiting"]


def test_a_command_that_takes_too_long_ends_and_has_failed(tmp_path):
    script = "echo $$ > pid-$1; test $1 = 3 && sleep 1000; echo tinytune: error=$1"
    run = ["run", *X, "--trial-timeout", "0.3s", "--", *shell(script)]
    done = tinytune(*run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not is_alive(tmp_path / "pid-3")
    with Study(tmp_path / "study.db") as study:
        assert study.trials()[0].error == "it ran longer than its limit of 0.3 s (--trial-timeout)"


# Studies


def test_a_study_remembers_its_command(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("import sys\nprint(float(sys.argv[1]) ** 2)\n")
    run = ["run", *X, "--", sys.executable, "train.py", "{x}"]
    first = tinytune(*run, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    other = tmp_path / "elsewhere"
    other.mkdir()
    more = tinytune("resume", "../study.db", "--trials", "+3", "--workers", 2, cwd=other)
    assert more.returncode == 0, more.stderr
    assert tinytune("run", *X, "--trials", 7, *run[len(X) + 1 :], cwd=tmp_path).returncode == 0
    with Study(tmp_path / "study.db") as study:
        assert [trial.value for trial in study.trials()] == [
            float(trial.params["x"] ** 2) for trial in study.trials()
        ]
        assert len(study.trials()) == 7
    assert (
        "7 of 7 suggestions recomputed exactly" in tinytune("verify", tmp_path / "study.db").stdout
    )
    assert "sys.argv[1]" in tinytune("show", tmp_path / "study.db", "--code").stdout
    changed = tinytune(*run[:-1], "--x={x}", cwd=tmp_path)
    assert changed.returncode == 1
    assert "holds another study: command is " in changed.stderr
    assert [path.name for path in tmp_path.iterdir() if "checkpoints" in path.name] == []


def test_a_strangers_study_must_not_say_what_is_run(tmp_path, monkeypatch):
    shelled = shell("echo tinytune: error=1")
    made = tinytune("run", *X, "--trials", 1, "--", *shelled, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    code, _, errors = spoken("resume", "study.db", "--trials", "+1")
    assert code == 1
    assert "which you have not given for it before" in errors
    assert "tinytune resume study.db -- sh -c 'echo tinytune: error=1' sh {x}" in errors
    own = {"XDG_STATE_HOME": str(tmp_path / "other")}
    named = tinytune("resume", "study.db", "--trials", 2, "--", *shelled, environment=own)
    assert named.returncode == 0, named.stderr
    session.find_objective(Path("study.db"))  # raises nothing any more
    monkeypatch.chdir("/")  # the same file, but it may not be moved to where the command is another
    moved = (tmp_path / "study.db").rename(tmp_path / "other" / "study.db")
    with pytest.raises(ObjectiveError, match="which you have not given"):
        session.find_objective(moved)
    with Study(moved) as study:
        assert study.progress.ended == 2


def test_checkpoints_are_kept_across_attempts_and_not_across_studies(tmp_path):
    script = (
        'cd "$TINYTUNE_CHECKPOINTS" && if test -e half; then echo tinytune: error=1; '
        "else touch half; kill -9 $(ps -o ppid= -p $PPID); sleep 1000; fi"
    )
    folder = tmp_path / "study.db.checkpoints"
    for keep in (["--keep-checkpoints"], ["--keep-checkpoints"], ["--checkpoints", "elsewhere"]):
        done = tinytune("run", *X, "--trials", "1", *keep, "--", *shell(script), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        with Study(tmp_path / "study.db") as study:
            assert [(t.state, t.attempt) for t in study.trials()] == [("complete", 2)]
        (tmp_path / "study.db").unlink()
    assert len(list(folder.iterdir())) == 2
    assert not (tmp_path / "elsewhere").exists()  # they go when their trial has ended


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([*X, "--", "no-such-program", "{x}"], 1, "the program 'no-such-program' is not there"),
        ([*X, "--", "./plain", "{x}"], 1, "'./plain' may not be executed: chmod +x ./plain"),
        ([*X, "--", "echo"], 2, "the command does not use the parameter 'x'"),
        (["--param", "x=int(1, 2)", "--minimize", "a,b", "--maximize", "b", "--", "echo", "{x}"], 2,
         "the objective 'b' is given twice"),
        ([*X, "--minimize", "a", "--maximize", "error", "--", "echo", "{x}"], 2,
         "the objective 'error' is given twice"),
        ([*X, "--subject-to", "size", "--", "echo", "{x}"], 2, "the requirement 'size' cannot"),
        (["--metric", "a=(b)", "train.py"], 2, "--metric is for commands"),
        (["--", "python", "train.py"], 2, "python and train.py are two targets"),
        ([*X, "--set", "a=1", "--", "echo", "{x}"], 2, "has no setting 'a'"),
    ],
)  # fmt: skip
def test_slips_on_the_command_line(tmp_path, monkeypatch, arguments, code, said):
    (tmp_path / "plain").touch()
    monkeypatch.chdir(tmp_path)
    found, _, errors = spoken("run", *arguments)
    assert found == code, errors
    assert said in errors
    assert len(errors.strip().splitlines()) == 1
    assert not (tmp_path / "study.db").exists()


def test_a_target_from_elsewhere_says_what_is_missing(tmp_path):
    made = CommandObjective(
        Command(("sh", "{x}")), tmp_path, notation.space(["x=int(1, 2)"]), [Goal("v", "minimize")]
    )
    assert command.load(made.target).command == made.command
    document = json.loads(made.target.removeprefix(command.TARGET))
    document["folder"] = str(tmp_path / "gone")
    with pytest.raises(ObjectiveError, match="which is not there"):
        command.load(command.TARGET + json.dumps(document))


def test_the_example_of_a_shell_command(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = tmp_path / "study.db"
    found, _, errors = spoken(
        "run", "--study", study, "--minimize", "loss", "--param", "x=float(-2, 2) = 0",
        "--param", "y=float(-2, 2) = 0", "--search", "cma-es", "--trials", "12",
        "--", "sh", "examples/valley.sh", "{x}", "{y}",
    )  # fmt: skip
    assert found == 0, errors
    with Reader(study) as reader:
        trials = reader.trials()
        assert trials[0].value == 1.0
        assert [len(reader.curves(trial)["loss"]) for trial in trials] == [4] * 12


def test_a_process_with_many_open_files_can_still_end_a_command(tmp_path):
    def stop(step, found):
        raise Stopped

    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < 1200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1200, most), most))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1030)]
    try:
        with pytest.raises(Stopped):
            run_one(
                tmp_path,
                "echo tinytune: step=1 error=2; sleep 1000",
                trial=Trial(0, {"x": 1}, 0, stop),
            )
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
