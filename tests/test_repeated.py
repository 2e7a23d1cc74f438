"""Each trial runs its objective several times, under other seeds; its value is the mean."""

import json
import math
import statistics
from typing import Annotated

import pytest

import tinytune
from tests.faults.hostile_files import spoken
from tests.shell import ROOT
from tests.shell import tinytune as shell
from tinytune import Float, check, context, draw, repeated
from tinytune.errors import StudyMismatchError, UsageError
from tinytune.history import Outcome
from tinytune.store.reader import Reader
from tinytune.verify import verify

X = Annotated[float, Float(0.0, 1.0)]


@tinytune.trial(minimize="loss")
def noisy(x: X = 0.5, longer: bool = False) -> dict[str, float]:
    noise = tinytune.seed() / 2**32
    for step in range(3 + longer * int(4 * noise)):
        tinytune.report(step, loss=x + noise - step)
    return {"loss": x + noise, "seed": float(tinytune.seed())}


@tinytune.trial(maximize="score")
def scored(x: X = 0.5) -> float:
    return -x - tinytune.seed() / 2**33


@tinytune.trial(minimize="loss")
def odd(trial: tinytune.Trial, x: X = 0.5, fault: str = "") -> float:
    if trial.seed != draw.trial_seed(0, trial.number):  # in a further run
        if fault == "raise":
            raise RuntimeError("no good")
        if fault == "name":
            tinytune.report(0, repeat=1.0)
        if fault == "huge":
            return 1.7e308
    return 1.7e308 if fault == "huge" else x


def is_good(path):
    with Reader(path) as reader:
        found = verify(reader, lambda done, total: None)
        assert not any(finding.problem for finding in check.check(reader))
    return found.is_good


def test_the_value_is_the_mean_of_runs_under_seeds_that_differ(tmp_path):
    path = tmp_path / "study.db"
    with noisy.tune(path, search="random", trials=3, repeats=4, quiet=True) as study:
        trials = study.trials()
        curves = study.curves(1)
    seeds = set()
    for trial in trials:
        own = [trial.seed, *(draw.repeat_seed(trial.seed, r) for r in (1, 2, 3))]
        losses = [trial.params["x"] + seed / 2**32 for seed in own]
        assert trial.value == trial.values["loss"] == pytest.approx(statistics.mean(losses))
        assert trial.values["loss_spread"] == pytest.approx(statistics.stdev(losses))
        assert trial.values["loss_standard_error"] == trial.values["loss_spread"] / 2
        assert trial.values["seed"] == pytest.approx(statistics.mean(own))
        assert trial.values["repeats"] == 4
        seeds |= set(own)
    assert len(seeds) == 12
    assert set(curves) == {"loss", "loss@1", "loss@2", "loss@3", "repeat"}
    assert [list(curve) for curve in curves.values()] == [[0, 1, 2]] * 4 + [[0, 1, 2, 3]]
    assert len({curve[0] for curve in curves.values()}) == 4  # repeat has the first run's value too
    assert is_good(path)


def test_racing_looks_at_the_runs_and_stops_what_cannot_win(tmp_path):
    path = tmp_path / "study.db"
    how = {"search": "random", "trials": 12, "repeats": 4, "quiet": True}
    with noisy.tune(path, stopping="racing", **how) as study:
        (rule,) = study.record.stopping
        trials, best = study.trials(), study.best
    assert (rule.options["folds"], rule.options["metric"]) == (4, "repeat")
    stopped = [trial for trial in trials if trial.state == "stopped"]
    assert stopped
    for trial in stopped:
        with Reader(path) as reader:
            done = reader.curves(trial)["repeat"]
        assert len(done) < 4
        assert trial.value == pytest.approx(statistics.mean(done.values()))
        assert trial.values["repeats"] == len(done)
    with noisy.tune(tmp_path / "whole.db", **how) as study:
        assert (study.best.number, study.best.value) == (best.number, best.value)
    assert is_good(path)


def test_racing_knows_that_large_scores_are_good(tmp_path):
    path = tmp_path / "study.db"
    how = {"search": "random", "trials": 10, "repeats": 3, "quiet": True}
    with scored.tune(path, stopping="racing", **how) as study:
        assert study.record.stopping[0].options["direction"] == "maximize"
        best, states = study.best, [trial.state for trial in study.trials()]
    assert "stopped" in states
    with scored.tune(tmp_path / "whole.db", **how) as study:
        assert study.best.params == best.params


def test_other_rules_end_a_hopeless_trial_in_its_first_run(tmp_path):
    path = tmp_path / "study.db"
    rules = "threshold(upper=1.0)"
    how = {"search": "random", "trials": 10, "repeats": 3, "quiet": True}
    with noisy.tune(path, stopping=rules, **how) as study:
        for trial in study.trials():
            with Reader(path) as reader:
                curves = reader.curves(trial)
            begins_badly = curves["loss"][0] > 1.0
            assert (trial.state == "stopped") == begins_badly
            assert ("loss@1" in curves) != begins_badly
    assert is_good(path)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("raise", "run 2 of 3: RuntimeError: no good"),
        ("name", "run 2 of 3: ObjectiveError: report: 'repeat' is what each of several runs has"),
        ("huge", "the sum of 3 runs is too large a number"),
    ],
)
def test_a_run_that_fails_fails_its_trial(tmp_path, fault, told):
    path = tmp_path / "study.db"
    with odd.tune(path, trials=2, repeats=3, settings={"fault": fault}, quiet=True) as study:
        trials = study.trials()
    assert {trial.state for trial in trials} == {"failed"}
    assert all(trial.error.startswith(told) for trial in trials)
    assert is_good(path)


def test_the_number_of_repeats_is_part_of_the_study(tmp_path):
    path = tmp_path / "study.db"
    noisy.tune(path, trials=2, repeats=2, quiet=True).close()
    with noisy.tune(path, trials=3, quiet=True) as study:  # what is not said is as it was
        assert [trial.values["repeats"] for trial in study.trials()] == [2, 2, 2]
    with pytest.raises(StudyMismatchError, match="repeats is 2 there and 3 here"):
        noisy.tune(path, repeats=3, quiet=True)
    for repeats in (0, -1, 1001):
        with pytest.raises(UsageError, match=f"repeats must be from 1 to 1000, not {repeats}"):
            noisy.tune(tmp_path / "new.db", repeats=repeats, quiet=True)
    with pytest.raises(UsageError, match="does not count those of a trial's further runs"):
        noisy.tune(tmp_path / "new.db", repeats=2, budget_steps=9, quiet=True)
    with pytest.raises(UsageError, match="does not count those of a trial's further runs"):
        noisy.tune(path, budget_steps=9, quiet=True)
    assert not (tmp_path / "new.db").exists()
    code, out, _ = spoken("status", path)
    assert not code
    assert "2 runs in each trial" in out
    assert json.loads(spoken("status", path, "--format", "json")[1])["repeats"] == 2


def test_workers_make_the_same_trials_and_confirm_runs_means_again(tmp_path):
    toy = ROOT / "tests" / "toys" / "seeded.py"
    values = []
    for workers in (1, 2):
        path = tmp_path / f"{workers}.db"
        how = ("--search", "random", "--trials", 4, "--repeats", 3, "-q", "--no-git")
        done = shell("run", toy, "--study", path, *how, "--workers", workers)
        assert done.returncode == 0, done.stderr
        with Reader(path) as reader:
            values.append([trial.value for trial in reader.trials()])
    assert values[0] == values[1]
    done = shell("confirm", path, "--top", 2, "--repeats", 2, "-q", "--no-git")
    assert done.returncode == 0, done.stderr
    with Reader(path) as reader:
        again = reader.repeats()
    assert [trial.values["repeats"] for trial in again] == [3] * 4
    assert is_good(path)
    assert "rests on one run" not in spoken("best", path)[2]


def test_a_run_has_a_folder_of_its_own_and_no_checkpoint_of_another(tmp_path):
    seen = []

    class Watching:
        def run(self, trial, settings):
            seen.append((trial.folder, trial.load(), trial.attempt))
            trial.save(b"state")
            return Outcome("complete", 1.0, {"loss": 1.0})

    saved = []
    trial = context.Trial(3, {}, 7, None, 2, saved.append, lambda: b"old", lambda: tmp_path)
    assert repeated.Repeated(Watching(), 2, "loss").run(trial, {}).value == 1.0
    assert seen == [(tmp_path / "run-0", None, 2), (tmp_path / "run-1", None, 2)]
    assert saved == []


def test_means_are_added_in_order_whatever_python_sums_like():
    values = [0.1, 0.2, 0.3, 1e16, -1e16]
    found = repeated.mean([Outcome("complete", v, {"loss": v}) for v in values], "loss")
    total = 0.0
    for value in values:
        total += value
    assert found.value == total / 5
    far = [Outcome("complete", v, {"loss": v}) for v in (1e200, -1e200)]
    assert "loss_spread" not in repeated.mean(far, "loss").values  # beyond what a file can hold
    assert math.isfinite(repeated.mean(far, "loss").value)
