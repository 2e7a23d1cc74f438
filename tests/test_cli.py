"""The command line's contract: scripts rely on it."""

import csv
import io
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests import shell
from tests.shell import ROOT, tinytune
from tinytune.study import Study

TOYS = ROOT / "tests" / "toys"
TOY = TOYS / "toy.py"
BROKEN = TOYS / "broken.py"


def fails(code, *arguments, cwd=None, environment=None):
    """Run a command that fails; return its one sentence."""
    done = tinytune(*arguments, cwd=cwd, environment=environment)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith("tinytune: "), done.stderr
    return lines[-1].removeprefix("tinytune: ")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of ten trials, every third of which failed."""
    path = tmp_path_factory.mktemp("cli") / "study.db"
    done = tinytune(
        "run",
        f"{BROKEN}:sometimes",
        "--study",
        path,
        "--trials",
        10,
        "--seed",
        5,
        "--search",
        "random",
    )
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "toy.db"
    assert (
        tinytune("run", TOY, "--study", path, "--trials", 8, "--search", "random").returncode == 0
    )
    return path


# run and resume


def test_run_says_what_it_does_how_it_ended_and_what_to_do_next(tmp_path):
    done = tinytune("run", TOY, "--trials", 5, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == ""  # all of it is for people
    first, *_, result, best, curve, following = done.stderr.splitlines()
    chosen = "sobol: the trials are too few, or the workers too many, to learn from results"
    assert first == f"study.db: new study, auto search ({chosen}), seed 0, 5 trials"
    assert re.fullmatch(r"done after [\d.]+ s: 5 complete", result)
    assert re.match(r"best: loss [\d.e-]+ in trial \d: x=", best)
    assert "▁" in curve
    assert following == "next: tinytune best study.db · tinytune resume study.db --trials +50"


def test_quiet_prints_nothing(tmp_path):
    done = tinytune("run", TOY, "--trials", 2, "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_run_again_continues_and_does_nothing_twice(tmp_path):
    for trials, expected in ((3, 3), (3, 3), (5, 5), (4, 5)):
        done = tinytune("run", TOY, "--trials", trials, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        with Study(tmp_path / "study.db") as opened:
            assert opened.progress.ended == opened.progress.budget == expected
    assert "continuing" in done.stderr


def test_run_without_trials_makes_a_hundred(tmp_path):
    assert tinytune("run", TOY, "--search", "random", cwd=tmp_path).returncode == 0
    with Study(tmp_path / "study.db") as opened:
        assert opened.progress.ended == opened.progress.budget == 100


def test_run_on_another_study_stops_and_shows_the_difference(tmp_path):
    path = tmp_path / "study.db"
    tinytune("run", TOY, "--study", path, "--trials", 2, "--seed", 1)
    before = path.read_bytes()
    told = fails(1, "run", TOY, "--study", path, "--seed", 2, "--set", "harm=exit", "--trials", 9)
    assert "holds another study" in told
    assert "seed is 1 there and 2 here" in told
    assert "setting 'harm' is \"\" there and exit here" in told
    assert (
        "search is auto(allow_repeats=false, seconds=null, smooth=false, trials=2, "
        "trust_defaults=null, workers=1) there and grid"
        in fails(1, "run", TOY, "--study", path, "--grid", "x=3")
    )
    assert "parameter 'kind'" in fails(1, "run", f"{BROKEN}:raises", "--study", path)
    assert path.read_bytes() == before


def test_what_is_not_said_is_as_the_study_has_it(tmp_path):
    tinytune("run", TOY, "--trials", 2, "--seed", 7, "--grid", "x=3", cwd=tmp_path)
    done = tinytune("run", TOY, cwd=tmp_path)
    assert "continuing, grid search, seed 7, 2 trials" in done.stderr


def test_resume_more_trials(tmp_path):
    tinytune("run", TOY, "--trials", 2, cwd=tmp_path)
    for wanted, expected in (("4", 4), ("+3", 7), ("7", 7)):
        assert tinytune("resume", "study.db", "--trials", wanted, cwd=tmp_path).returncode == 0
        with Study(tmp_path / "study.db") as opened:
            assert opened.progress.ended == expected


def test_a_grid_is_as_large_as_it_is(tmp_path):
    done = tinytune("run", TOY, "--grid", "x=-1,0,1", "--workers", 2, cwd=tmp_path)
    assert "grid search, seed 0, 18 trials" in done.stderr
    assert "the defaults are not on the grid" in done.stderr
    with Study(tmp_path / "study.db") as opened:
        found = [json.dumps(trial.params) for trial in opened.trials()]
    assert len(found) == len(set(found)) == 3 * (1 + 5)  # n is there only beside kind b


def test_a_grid_begins_with_the_defaults_and_stays_a_grid(tmp_path):
    done = tinytune("run", TOY, "--grid", "x=5", cwd=tmp_path)
    assert "not on the grid" not in done.stderr
    with Study(tmp_path / "study.db") as opened:
        trials = opened.trials()
    assert len(trials) == 30
    assert trials[0].origin == "default"
    assert trials[0].params == {"x": 0.5, "kind": "a"}


def test_no_defaults(tmp_path):
    tinytune("run", TOY, "--trials", 1, "--no-defaults", cwd=tmp_path)
    with Study(tmp_path / "study.db") as opened:
        (trial,) = opened.trials()
    assert trial.origin == "search"
    assert trial.params["x"] != 0.5


def test_without_replacement(tmp_path):
    told = fails(2, "run", TOY, "--without-replacement", cwd=tmp_path)
    assert "parameter 'x' is continuous" in told
    assert list(tmp_path.iterdir()) == []


def test_a_timeout_starts_no_trial_after_it(tmp_path):
    done = tinytune("run", TOY, "--timeout", "0s", cwd=tmp_path)
    assert done.returncode == 0
    assert "time is up" in done.stderr
    told = fails(2, "resume", "study.db", cwd=tmp_path)
    assert told.startswith(
        "study.db has no limit: say --trials N, --budget-steps N, --budget-seconds"
    )


def test_failures_are_recorded_and_the_search_goes_on(study):
    with Study(study) as opened:
        states = [trial.state for trial in opened.trials()]
        failed = opened.trials("failed")
    assert states == ["complete", "complete", "failed"] * 3 + ["complete"]
    assert failed[0].error == "RuntimeError: every third"
    assert 'raise RuntimeError("every third")' in failed[0].traceback


def test_failures_in_a_row_stop_the_run(tmp_path):
    done = tinytune("run", f"{BROKEN}:raises", "--max-failures", 4, cwd=tmp_path)
    assert done.returncode == 1
    assert "RuntimeError: x is" in done.stderr
    assert "4 trials in a row failed" in done.stderr
    with Study(tmp_path / "study.db") as opened:
        assert opened.progress.counts["failed"] == 4
    tinytune("resume", "study.db", "--max-failures", 2, cwd=tmp_path)  # counts anew
    with Study(tmp_path / "study.db") as opened:
        assert opened.progress.counts["failed"] == 6


def test_where_all_have_failed_it_is_said_why(tmp_path):
    done = tinytune("run", f"{BROKEN}:raises", "--trials", 3, cwd=tmp_path)
    assert done.returncode == 1
    assert "3 failed\ntrial 2 failed last: RuntimeError: x is 0." in done.stderr
    again = tinytune("resume", "study.db", "--quiet", cwd=tmp_path)
    assert again.returncode == 1
    assert "all trials have failed; trial 2 failed last: RuntimeError: x is 0." in again.stderr
    assert "trial 2: RuntimeError: x is 0." in tinytune("status", "study.db", cwd=tmp_path).stdout
    with Study(tmp_path / "study.db") as opened:
        opened.add({"x": 0.5}, 1.0)
    assert tinytune("resume", "study.db", "--quiet", cwd=tmp_path).returncode == 0


def test_failures_in_a_row_stop_all_workers(tmp_path):
    run = ["run", f"{BROKEN}:raises", "--max-failures", 4, "--workers", 3]
    done = tinytune(*run, cwd=tmp_path)
    assert done.returncode == 1
    assert "trials in a row failed" in done.stderr.splitlines()[-1]
    assert "workers died" not in done.stderr
    with Study(tmp_path / "study.db") as opened:
        counts = opened.progress.counts
        assert 4 <= counts["failed"] <= 4 + 2  # what the others were in the middle of
        assert counts["running"] == 0
        assert opened._reader._db.one("SELECT count(*) FROM worker")[0] <= 3


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("nan", "the objective returned loss = NaN, not a number"),
        ("nothing", "the objective returned loss = None: end it with `return loss`"),
        ("other", "the objective returned no 'loss', only accuracy"),
    ],
)
def test_a_result_that_is_none_fails_with_a_reason(tmp_path, function, error):
    target = f"{BROKEN}:{function}"
    assert tinytune("run", target, "--trials", 1, "--max-failures", 9, cwd=tmp_path).returncode == 1
    with Study(tmp_path / "study.db") as opened:
        assert [trial.error for trial in opened.trials()] == [error]


def test_changed_source_is_shown_and_can_be_accepted(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(BROKEN.read_text())
    run = ["run", "train.py:sometimes", "--trials", "2"]
    tinytune(*run, cwd=tmp_path)
    script.write_text(BROKEN.read_text().replace("return x\n", "return x + 1\n"))
    for _ in range(2):
        done = tinytune("resume", "study.db", cwd=tmp_path)
        assert done.returncode == 0
        assert "source has changed since study.db was made (accept it with" in done.stderr
        assert "+    return x + 1" in done.stderr
    done = tinytune("resume", "study.db", "--accept-changes", cwd=tmp_path)
    assert "accepted from now on" in done.stderr
    assert "has changed" not in tinytune("resume", "study.db", cwd=tmp_path).stderr
    connection = sqlite3.connect(tmp_path / "study.db")
    assert connection.execute("SELECT count(*) FROM source").fetchone() == (2,)
    connection.close()


def test_a_changed_space_is_another_study(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(BROKEN.read_text())
    tinytune("run", "train.py:sometimes", "--trials", "2", cwd=tmp_path)
    script.write_text(BROKEN.read_text().replace("Float(0.0, 1.0)", "Float(0.0, 2.0)"))
    told = fails(1, "resume", "study.db", "--trials", "+1", cwd=tmp_path)
    assert "sometimes has changed: parameter 'x' is" in told


def test_resume_finds_the_objective_from_anywhere(tmp_path):
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text(TOY.read_text())
    assert tinytune("run", "code/train.py", "--trials", 1, cwd=tmp_path).returncode == 0
    (tmp_path / "elsewhere").mkdir()
    more = ["--trials", "+1"]
    from_afar = tinytune("resume", "../study.db", *more, cwd=tmp_path / "elsewhere")
    assert from_afar.returncode == 0, from_afar.stderr
    moved = (tmp_path / "study.db").rename(tmp_path / "elsewhere" / "study.db")
    assert tinytune("resume", moved, *more, cwd=tmp_path).returncode == 0
    told = fails(1, "resume", "study.db", *more, cwd=tmp_path / "elsewhere")
    assert told.startswith("study.db was made by the function 'train', which is not at ")
    assert told.endswith(": name it with --objective FILE.py:FUNCTION")
    named = tinytune(
        "resume", "study.db", *more, "--objective", code / "train.py", cwd=moved.parent
    )
    assert named.returncode == 0, named.stderr


def test_resume_does_not_run_what_a_stranger_named(tmp_path):
    """Not even code beside the study: the user names it once."""
    (tmp_path / "train.py").write_text(
        "from pathlib import Path\nPath('ran').touch()\n" + TOY.read_text()
    )
    assert tinytune("run", "train.py", "--trials", 1, cwd=tmp_path).returncode == 0
    (tmp_path / "ran").unlink()
    stranger = {"XDG_STATE_HOME": str(tmp_path / "another user")}
    told = fails(1, "resume", "study.db", cwd=tmp_path, environment=stranger)
    assert told == (
        "study.db would run train.py:train, which you have not named for it before: look at both, "
        "then `tinytune resume study.db --objective train.py:train`"
    )
    assert not (tmp_path / "ran").exists()
    named = ["resume", "study.db", "--objective", "train.py:train"]
    assert tinytune(*named, cwd=tmp_path, environment=stranger).returncode == 0
    assert tinytune("resume", "study.db", cwd=tmp_path, environment=stranger).returncode == 0

    # The same study and the same names at another place are not what was named.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("study.db", "train.py"):
        (elsewhere / name).write_bytes((tmp_path / name).read_bytes())
    assert "have not named" in fails(1, "resume", "study.db", cwd=elsewhere, environment=stranger)


def test_a_module_by_name(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "train.py").write_text(TOY.read_text())
    run = ["run", "package.train:train", "--trials", 1]
    assert tinytune(*run, cwd=tmp_path).returncode == 0
    done = tinytune("resume", "study.db", "--trials", "+1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


# errors


@pytest.mark.parametrize(
    ("code", "arguments", "told"),
    [
        (1, ["run", "none.py"], "there is no file none.py: check the path"),
        (1, ["run", "none.such"], "none.such cannot be loaded: ModuleNotFoundError"),
        (2, ["run", "train-it"], "'train-it' is no objective: write FILE.py"),
        (2, ["run", BROKEN], "has several objectives: name one of raises, sometimes"),
        (1, ["run", f"{BROKEN}:none"], "has no objective 'none': it has raises"),
        (1, ["run", f"{BROKEN}:plain"], "has no objective 'plain': decorate it with @tinytune"),
        (2, ["run", TOY, "--search", "magic"], "there is no search 'magic': use one of"),
        (2, ["run", TOY, "--search", "grid(colour=1)"], "search 'grid' has no option 'colour'"),
        (2, ["run", TOY, "--search", "grid"], "parameter 'x' has no values of its own"),
        (2, ["run", TOY, "--search", "random", "--grid", "x=3"], "--grid is for the search 'grid'"),
        (2, ["run", TOY, "--grid", "y=3"], "there is no parameter 'y'"),
        (2, ["run", TOY, "--grid", "x"], "--grid 'x' is no NAME=VALUE: write --grid lr=5"),
        (2, ["run", TOY, "--grid", "x=3", "--grid", "x=4"], "--grid x=… is given twice"),
        (2, ["run", TOY, "--grid", "x=0,7"], "parameter 'x': 7 is outside of -1.0 to 1.0"),
        (2, ["run", TOY, "--grid-order", "odd"], "there is no grid order 'odd'"),
        (2, ["run", TOY, "--set", "epochs=3"], "has no setting 'epochs': its settings are gate"),
        (2, ["run", TOY, "--set", "x=3"], "'x' is tuned, not set"),
        (2, ["run", TOY, "--set", "gate=3"], "setting 'gate' is '', a str, and 3 is not"),
        (2, ["run", TOY, "--timeout", "soon"], "'soon' is no duration: write 90s"),
        (2, ["run", TOY, "--trials", "0"], "trials must be at least 1, not 0"),
        (2, ["run", TOY, "--workers", "0"], "workers must be from 1 to 1000, not 0"),
        (2, ["run", TOY, "--workers", "9999"], "workers must be from 1 to 1000, not 9999"),
        (2, ["run", TOY, "--seed", "-1"], "the seed must be from 0 to 2^63 - 1, not -1"),
        (2, ["run", TOY, "--max-failures", "0"], "max failures must be at least 1"),
        (1, ["run", TOY, "--study", "no/such.db"], "no/such.db cannot be created: there is no"),
        (1, ["run", TOY, "--study", "."], ". is a directory: name a file"),
        (1, ["run", TOY, "--study", ":memory:"], ":memory: is no file: a study is kept in one"),
        (1, ["run", TOY, "--study", "sqlite:///s.db"], "give its path alone, such as study.db"),
        (1, ["resume", "none.db"], "there is no study at none.db: start one with `tinytune run`"),
        (1, ["best", "none.db"], "there is no study at none.db"),
    ],
)  # fmt: skip
def test_errors_are_one_sentence_and_leave_nothing_behind(tmp_path, code, arguments, told):
    assert told in fails(code, *arguments, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_space_name_the_parameter(tmp_path):
    (tmp_path / "train.py").write_text(
        "import tinytune\n@tinytune.trial(space={'lr': tinytune.Float(1, 0.1)})\n"
        "def train(lr): return lr\n"
    )
    told = fails(1, "run", "train.py", cwd=tmp_path)
    assert told == "train: parameter 'lr': low 1 is not below high 0.1: write Float(0.1, 1)"


def test_an_error_in_the_users_file_names_the_line(tmp_path):
    (tmp_path / "train.py").write_text("import tinytune\nimport no_such_thing\n")
    told = fails(1, "run", "train.py", cwd=tmp_path)
    assert told == (
        "train.py cannot be loaded: ModuleNotFoundError: No module named 'no_such_thing' (line 2)"
    )


def test_a_file_that_tunes_while_it_is_loaded(tmp_path):
    (tmp_path / "train.py").write_text(BROKEN.read_text() + "\nsometimes.tune(trials=3)\n")
    told = fails(1, "run", "train.py:sometimes", cwd=tmp_path)
    assert told == (
        "train.py calls sometimes.tune() while it is loaded: "
        "put the call under `if __name__ == '__main__':`"
    )


def test_debug_shows_the_traceback(tmp_path):
    done = tinytune("run", "none.py", "--debug", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_wrong_usage_exits_with_2(tmp_path):
    for arguments in (
        ["run"],
        ["best"],
        ["fly"],
        ["run", TOY, "--trials", "many"],
        ["best", "--up"],
    ):
        done = tinytune(*arguments, cwd=tmp_path)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr


# best, trials, show, status


def test_best_as_json_is_the_whole_trial(study):
    best = json.loads(tinytune("best", study, "--format", "json").stdout)
    assert list(best) == [
        "number", "state", "removed", "origin", "params", "settings", "value", "values", "metrics",
        "attempt", "seed", "started", "finished", "seconds", "cpu_seconds", "memory_mb", "steps",
        "error", "confirms", "tags", "confirmed",
    ]  # fmt: skip
    assert best["state"] == "complete"
    assert best["value"] == best["params"]["x"] == best["values"]["value"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", best["started"])
    top = json.loads(tinytune("best", study, "--top", 3, "--format", "json").stdout)
    assert top[0] == best
    assert [trial["value"] for trial in top] == sorted(trial["value"] for trial in top)


def test_best_as_arguments_can_be_pasted(toy):
    done = tinytune("best", toy, "--format", "args")
    best = json.loads(tinytune("best", toy, "--format", "json").stdout)
    assert done.stdout.split()[:2] == ["--x", repr(best["params"]["x"])]


def test_best_as_a_table(study):
    done = tinytune("best", study, "--top", 2)
    header, line, *rows = done.stdout.splitlines()
    assert header.split() == ["number", "state", "value", "x", "seconds"]
    assert set(line) == {"-", " "}
    assert len(rows) == 2
    assert tinytune("best", study, "--format", "markdown").stdout.startswith("|   number | state")
    alone = [line.split() for line in tinytune("best", study).stdout.splitlines()]
    assert [name for name, _ in alone] == header.split()
    assert [value for _, value in alone] == rows[0].split()


def test_best_before_there_is_one(tmp_path):
    tinytune("run", TOY, "--timeout", "0s", cwd=tmp_path)
    assert fails(1, "best", "study.db", cwd=tmp_path).startswith("study.db has no complete trial")


def test_trials_in_all_formats(study):
    rows = json.loads(tinytune("trials", study, "--format", "json").stdout)
    assert [row["number"] for row in rows] == list(range(10))
    assert rows[2]["error"] == "RuntimeError: every third"
    assert rows[2]["value"] is None
    text = tinytune("trials", study, "--format", "csv").stdout
    read = list(csv.DictReader(io.StringIO(text)))
    assert [float(row["x"]) for row in read] == [row["params"]["x"] for row in rows]
    assert len(tinytune("trials", study).stdout.splitlines()) == 12


def test_trials_by_state_and_in_order(study):
    failed = json.loads(tinytune("trials", study, "--state", "failed", "--format", "json").stdout)
    assert [row["number"] for row in failed] == [2, 5, 8]
    up = json.loads(tinytune("trials", study, "--sort", "x", "--format", "json").stdout)
    assert [row["params"]["x"] for row in up] == sorted(row["params"]["x"] for row in up)
    down = json.loads(tinytune("trials", study, "--sort=-value", "--format", "json").stdout)
    values = [row["value"] for row in down]
    assert values == sorted(values[:7], reverse=True) + [None] * 3
    first = json.loads(tinytune("trials", study, "--top", "2", "--format", "json").stdout)
    assert [row["number"] for row in first] == [0, 1]
    top = json.loads(
        tinytune("trials", study, "--sort=-value", "--top", "2", "--format", "json").stdout
    )
    assert top == down[:2]
    assert tinytune("trials", study, "--top", "0").returncode == 2
    assert "there is no state 'lost'" in fails(2, "trials", study, "--state", "lost")
    assert "there is no column 'y': use one of number" in fails(2, "trials", study, "--sort", "y")


def test_show(toy, study):
    text = tinytune("show", toy, 0).stdout
    assert re.search(r"origin +default \(random/1\)", text)
    assert re.search(r"x +0\.5\n", text)
    assert "curves\n" in text
    assert "Traceback" in tinytune("show", study, 2).stdout
    shown = json.loads(tinytune("show", toy, 0, "--format", "json").stdout)
    assert shown["curves"] == {"loss": [{"step": 0, "value": 3.25}, {"step": 1, "value": 0.25}]}
    assert shown["metrics"] == {"loss": 0.25}
    assert shown["attempts"] == []
    assert fails(2, "show", toy, 99).startswith(f"{toy} has no trial 99: see")


def test_status(study):
    text = tinytune("status", study).stdout
    assert re.search(r"trials +10 of 10 ended \(7 complete, 3 failed\)", text)
    assert re.search(r"search +random, seed 5", text)
    stand = json.loads(tinytune("status", study, "--format", "json").stdout)
    assert stand["counts"] == {
        "waiting": 0, "running": 0, "paused": 0, "complete": 7, "stopped": 0, "failed": 3
    }  # fmt: skip
    assert (stand["budget"], stand["seed"], stand["search"]["name"]) == (10, 5, "random")
    assert tinytune("status", study, "--watch").returncode == 0  # ends with the study


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path):
    (tmp_path / "train.py").write_text(
        "import tinytune\n@tinytune.trial(space={'x': tinytune.Choice('=1+1', 'b\\x1b[31m')})\n"
        "def train(x): raise RuntimeError('\\x1b[2J boo')\n"
    )
    tinytune("run", "train.py", "--trials", 4, cwd=tmp_path)
    for words in (["trials"], ["show"], ["status"]):
        extra = [0] if words == ["show"] else []
        assert "\x1b" not in tinytune(*words, "study.db", *extra, cwd=tmp_path).stdout
    text = tinytune("trials", "study.db", "--format", "csv", cwd=tmp_path).stdout
    assert "'=1+1" in text


def test_every_command_and_option_has_help():
    text = tinytune("--help").stdout
    commands = re.findall(r"^  ([\w-]+)  +\S", text.partition("Commands:")[2], re.MULTILINE)
    assert commands == [
        "run", "resume", "trials", "show", "status", "searches", "stoppings", "best", "confirm",
        "stopping-report", "importance", "verify", "replicate", "extract", "diff", "add", "ask",
        "tell", "logs", "tag", "note", "remove", "widen", "pack", "merge", "retry", "release",
        "check", "set",
    ]  # fmt: skip
    for name in commands:
        text = tinytune(name, "--help").stdout
        for line in re.findall(r"^  (?:-\w, )?--.*(?:\n {10,}.*)*", text, re.MULTILINE):
            assert re.search(r"(  |\n +)\S", line), line
    assert tinytune("--version").stdout.startswith("tinytune 0.")


# What `best` loads of tinytune; the other commands that read a study load a little more.
BEST = """
tinytune tinytune.bounds tinytune.cli tinytune.cli.app tinytune.cli.best tinytune.cli.options
tinytune.confirm tinytune.db tinytune.digest tinytune.distributions tinytune.draw tinytune.errors
tinytune.files tinytune.frozen tinytune.history tinytune.output tinytune.output.confirm
tinytune.output.formats
tinytune.portable tinytune.process tinytune.queue tinytune.schema tinytune.space tinytune.store
tinytune.store.cells tinytune.store.changes tinytune.store.opened tinytune.store.parts
tinytune.store.proofs tinytune.store.reader tinytune.store.rows tinytune.store.sql
tinytune.store.sql_kept tinytune.store.views tinytune.timeline
"""
SHOW = BEST.replace("cli.best", "cli.show")
OUTPUT = "tinytune.output.details tinytune.output.progress tinytune.output.versions"
DETAILS = f"{SHOW} {OUTPUT} tinytune.pace"
STATUS = DETAILS.replace("output.details", "output.status")
TRIALS, TRIAL = (
    loaded.replace("tinytune.confirm", "").replace("tinytune.output.confirm", "")
    for loaded in (SHOW, DETAILS)
)


@pytest.mark.parametrize(
    ("command", "loaded", "dear"),
    [
        (["--version"], "tinytune tinytune.cli tinytune.cli.app tinytune.errors", "sqlite3 json"),
        (["best", "STUDY"], BEST, "tabulate dataclasses csv shlex"),
        (["status", "STUDY"], STATUS, "tabulate"),
        (["trials", "STUDY"], TRIALS, ""),
        (["show", "STUDY", "0"], f"{TRIAL} tinytune.output.provenance", "tabulate"),
    ],
)
def test_a_command_loads_only_what_it_needs(study, command, loaded, dear):
    import subprocess
    import sys

    script = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import tinytune\n"
        "assert set(sys.modules) - before <= {'__future__', 'tinytune'}\n"
        "from tinytune.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(end='\\0' + ' '.join(sys.modules))\n"
    )
    words = [str(study) if word == "STUDY" else word for word in command]
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        env=shell.ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = done.stdout.partition("\0")[2].split()
    assert sorted(m for m in found if m.partition(".")[0] == "tinytune") == sorted(loaded.split())
    never = "numpy pandas sqlite_utils rich scipy multiprocessing decimal fractions _hashlib"
    assert not set(found) & set(f"{never} {dear}".split())


def test_a_worker_loads_only_what_it_needs():
    import subprocess
    import sys

    script = (
        "import sys, tinytune.child, tinytune.search.random\n"
        "dear = {'numpy', 'typer', 'sqlite_utils', 'importlib.metadata', 'importlib.resources',\n"
        "        'platform', 'subprocess', 'difflib', 'tempfile', 'random', 'email.message'}\n"
        "assert not dear & set(sys.modules), dear & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=shell.ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def in_shell(line, *arguments):
    """Run a command in a shell that does something to its streams."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {line}', "sh", *shell.command(*arguments)],
        env=shell.ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_daemon_may_have_closed_the_standard_streams(tmp_path):
    path = tmp_path / "study.db"
    done = in_shell("<&- >&- 2>&-", "run", TOY, "--study", path, "--trials", 2, "--search=random")
    assert done.returncode == 0
    with Study(path) as opened:
        assert [trial.state for trial in opened.trials()] == ["complete"] * 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_under_the_output_is_one_sentence(study):
    done = in_shell("> /dev/full", "trials", study)
    assert done.returncode == 1
    told = "tinytune: the disk is full, and what was to be written is not: make room\n"
    assert done.stderr == told


def test_the_workers_of_a_module_with_relative_imports_load_it_as_a_module(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "constants.py").write_text("SHIFT = 3\n")
    (package / "train.py").write_text(
        "import tinytune\nfrom .constants import SHIFT\n"
        "@tinytune.trial(space={'x': tinytune.Float(0, 1)})\n"
        "def train(x): return x + SHIFT\n"
        "if __name__ == '__main__':\n"
        "    train.tune(search='random', trials=2, workers=2, quiet=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "package.train"], cwd=tmp_path, env=shell.ENVIRONMENT, check=False
    )
    assert done.returncode == 0
    assert tinytune("resume", "study.db", "--trials", "+1", cwd=tmp_path).returncode == 0
    with Study(tmp_path / "study.db") as opened:
        assert [trial.state for trial in opened.trials()] == ["complete"] * 3
