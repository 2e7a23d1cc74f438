"""The best configurations are run again under new seeds, and it is told how much was luck."""

import csv
import io
import json
import math
import random
import re
import shutil
import signal
import sqlite3
import statistics
from contextlib import closing
from pathlib import Path
from typing import Annotated

import pytest
from scipy import stats

from tests.faults.hostile_files import spoken
from tests.shell import ROOT, await_true, kill_all, start, tinytune
from tests.studies import make_study, record, run_all
from tinytune import check, confirm, draw, loading, stopping, student, trust
from tinytune import study as study_module
from tinytune.context import current_seed
from tinytune.decorator import trial as objective
from tinytune.distributions import Float
from tinytune.errors import StudyMismatchError, TrialStopped, UsageError
from tinytune.history import Goal, Outcome, TrialRecord
from tinytune.store.reader import Reader
from tinytune.store.writer import Store
from tinytune.study import Study
from tinytune.verify import verify


def verified(path):
    with Reader(path) as reader:
        return verify(reader, lambda done, total: None)


def is_whole(path):
    with Reader(path) as reader:
        return not any(finding.problem for finding in check.check(reader))


def confirmed_study(folder, top=2, repeats=2, change=-1.0, **changes):
    """Make a study of six trials, and run its best ones again, where values are smaller by 1."""
    path = make_study(folder, **changes)
    run_all(path)
    with Store(path) as store:
        best = store.best(store.study().goals[0], top)
        assert store.add_repeats([(t, r) for r in range(repeats) for t in best], 1) == top * repeats
    with Study(path, repeats_only=True) as study:
        while (trial := study.ask()) is not None:
            trial.report(0, loss=-9.0)
            study.tell(trial, trial.params["x"] ** 2 + change)
    return path


def test_repeats_share_seeds_and_are_new_ones(tmp_path):
    path = confirmed_study(tmp_path)
    with Reader(path) as reader:
        best = reader.best(reader.study().goals[0], 9)
        repeats = reader.repeats()
        known = {trial.seed for trial in reader.trials() if trial.confirms is None}
    assert [(t.confirms, t.repeat) for t in repeats] == sorted(
        (t.number, r) for t in best[:2] for r in range(2)
    )
    assert all(t.seed == draw.confirm_seed(1, t.repeat) for t in repeats)
    assert len({t.seed for t in repeats}) == 2
    assert known.isdisjoint({t.seed for t in repeats})


def test_repeats_are_beside_the_search_the_budget_and_the_best(tmp_path):
    path = confirmed_study(tmp_path)
    with Study(path) as study:
        progress = study.progress
        assert (progress.ended, progress.budget, progress.repeats_ended) == (6, 6, 4)
        assert study.ask() is None  # the budget is used up, as before
        assert study.reader.repeats()[0].value < study.best.value  # and is not the best
        assert [t.number for t in study.reader.history(before=999)] == list(range(6))
        assert study.reader.pending(before=999) == []
        assert len(study.reader.complete(0, 999)) == 6
        assert min(study.reader.best_so_far(study.record.goals[0])) >= 0
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT min(value) FROM best").fetchone()[0] >= 0
    found = verified(path)
    assert found.is_good
    assert found.count("exact") == 10
    assert is_whole(path)


@pytest.mark.parametrize("search", ["random", "grid", "sobol", "cma-es"])
def test_a_search_goes_on_as_if_nothing_had_been_confirmed(tmp_path, search):
    options = {"points": {"x": 9}, "order": "even"} if search == "grid" else {}
    (tmp_path / "plain").mkdir()
    plain = make_study(tmp_path / "plain", search=search, **options)
    run_all(plain)
    path = confirmed_study(tmp_path, search=search, **options)
    for each in (plain, path):
        with Store(each) as store:
            store.set_budget(9)
        run_all(each)
    with Reader(plain) as one, Reader(path) as other:
        expected = [trial.params for trial in one.trials()]
        trials = [trial for trial in other.trials() if trial.confirms is None]
    if search == "cma-es":  # it draws by a trial's number, which is another one now
        expected, trials = expected[:6], trials[:9]
    assert [trial.params for trial in trials][: len(expected)] == expected
    assert len(trials) == 9
    assert verified(path).is_good


def test_a_session_that_confirms_takes_nothing_else(tmp_path):
    path = make_study(tmp_path)
    run_all(path)
    with Store(path) as store:
        store.set_budget(8)
        best = store.best(store.study().goals[0], 1)[0]
    with Study(path) as study:
        study.give_back(study.ask())  # a trial that waits
    with Study(path, repeats_only=True) as study:
        assert study.ask() is None
        assert study.is_over()
    with Store(path) as store:
        assert store.add_repeats([(best, 0), (best, 0), (best, 1)], 1) == 2
        assert store.add_repeats([(best, 0), (best, 1)], 1) == 0  # they are there
    with Study(path, repeats_only=True) as study:
        assert not study.is_over()
        taken = [study.ask(), study.ask()]
        assert study.ask() is None
        assert [trial.seed for trial in taken] == [draw.confirm_seed(1, r) for r in range(2)]
        for trial in taken:
            study.tell(trial, 0.5)
        assert study.is_over()
    with Study(path) as study:
        assert not study.is_over()
    assert verified(path).is_good


@pytest.mark.parametrize(
    ("column", "value"), [("repeat", 5), ("seed", 3), ("confirms", 0), ("params", '{"x": 0.25}')]
)
@pytest.mark.parametrize("seal", [True, False])
def test_a_repeat_that_was_changed_is_noticed(tmp_path, column, value, seal):
    path = confirmed_study(tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        (number, confirms) = connection.execute(
            "SELECT max(number), confirms FROM trial"
        ).fetchone()
        if column == "confirms":
            value = next(n for n in range(6) if n != confirms)
        change = "" if seal else ", seal = NULL"
        connection.execute(
            f"UPDATE trial SET {column} = ?{change} WHERE number = ?", (value, number)
        )
    assert not verified(path).is_good


def test_a_trial_of_the_search_does_not_become_a_repeat(tmp_path):
    path = confirmed_study(tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE trial SET origin = 'confirm', confirms = 1, repeat = 7 WHERE number = 2"
        )
    assert not verified(path).is_good


def test_no_stopping_rule_sees_a_repeat(tmp_path):
    path = tmp_path / "study.db"
    rules = stopping.specs(stopping.parse("threshold(upper=0.5)+median(min_trials=2, grace=0)"))
    assert study_module.start(path, record()._replace(stopping=rules), None)
    with Study(path) as study:
        while (trial := study.ask()) is not None:
            trial.report(0, loss=0.1)
            study.tell(trial, 0.1)
    with Store(path) as store:
        store.add_repeats([(store.trial(0), r) for r in range(3)], 1)
    with Study(path, repeats_only=True) as study:
        while (trial := study.ask()) is not None:
            trial.report(0, loss=0.9)  # a rule would stop it
            assert not trial.should_stop
            study.tell(trial, 0.9)
    with Study(path) as study:
        assert study.progress.repeats["complete"] == 3
        study._writer.set_budget(7)
        trial = study.ask()
        with pytest.raises(TrialStopped):
            trial.report(0, loss=0.9)
        study.tell(trial)
    assert verified(path).is_good


def test_repeats_take_no_steps_of_the_budget(tmp_path):
    path = tmp_path / "study.db"
    assert study_module.start(path, record(budget=2)._replace(budget_steps=2), None)
    run_all(path)
    with Store(path) as store:
        store.add_repeats([(store.trial(0), r) for r in range(2)], 1)
    with Study(path, repeats_only=True) as study:
        assert not study.is_over()
        while (trial := study.ask()) is not None:
            trial.report(0, loss=0.9)
            trial.report(1, loss=0.9)
            study.tell(trial, 0.9)
        assert study.is_over()
        assert (study.progress.steps, study.progress.repeats["complete"]) == (2, 2)
    assert verified(path).is_good


# the command


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study of an objective with noise from its seed; its best trials owe it to luck."""
    folder = tmp_path_factory.mktemp("made")
    for name in ("seeded.py", "lazily.py"):
        shutil.copy(ROOT / "tests" / "toys" / name, folder / name)
    how = ("--search", "random", "--trials", 8, "--quiet", "--no-git")
    done = tinytune("run", "seeded.py", *how, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def noisy(tmp_path, monkeypatch, made):
    """A copy of that study, beside its objective; the working folder is that of both."""
    shutil.copytree(made, tmp_path / "noisy")
    monkeypatch.chdir(tmp_path / "noisy")
    with Store(Path("study.db")) as store:  # the place is another one now, and ours as well
        store.set_objective(store.study().objective, trust.mark(loading.place("seeded.py")))
    return tmp_path / "noisy" / "study.db"


def said(code, *arguments):
    """Run a command in this process; return what it prints, or the sentence that it fails with."""
    found, out, errors = spoken(*arguments)
    assert (found or 0) == code, errors
    return errors if code else out


def repeats_of(path):
    with Reader(path) as reader:
        return [(t.confirms, t.repeat, t.seed, t.params, t.value) for t in reader.repeats()]


def set_wait(path, seconds):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE study SET settings = json_set(settings, '$.wait', ?)", (seconds,)
        )


def test_the_best_are_run_again_and_ranked_by_the_new_runs_alone(noisy):
    done = tinytune("confirm", noisy, "--top", 3, "--repeats", 4, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert "3 configurations again in 12 runs\n" in done.stderr
    assert re.search(r"done after [\d.]+ s: 12 complete\n$", done.stderr)
    found = json.loads(said(0, "confirm", noisy, "--top", 3, "--repeats", 4, "--format", "json"))
    with Reader(noisy) as reader:
        best = reader.best(reader.study().goals[0], 3)
        values = {t.number: [] for t in best}
        for repeat in reader.repeats():
            values[repeat.confirms].append(repeat.value)
    rows = found["configurations"]
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert {row["trial"] for row in rows} == {trial.number for trial in best}
    for row in rows:
        assert row["mean"] == pytest.approx(statistics.mean(values[row["trial"]]))
        assert row["deviation"] == pytest.approx(statistics.stdev(values[row["trial"]]))
        assert row["margin"] == pytest.approx(3.182446 * row["standard_error"])  # t of 3 degrees
        assert row["optimism"] == pytest.approx(row["mean"] - row["first_value"])
    means = [row["mean"] for row in rows]
    assert means == sorted(means)
    leader = rows[0]["trial"]
    for row in rows[1:]:  # pair by pair, all three at once: 98.33 % each
        gaps = [a - b for a, b in zip(values[row["trial"]], values[leader], strict=True)]
        assert row["behind"] == pytest.approx(statistics.mean(gaps))
        assert row["behind_margin"] == pytest.approx(4.856656 * statistics.stdev(gaps) / 2)
        assert row["tie"] == (row["behind"] <= row["behind_margin"])
    assert f"trial {leader} leads trial {rows[1]['trial']} by " in done.stdout
    assert f"trial {best[0].number} had the best first value, {best[0].value:.6g}" in done.stdout
    assert verified(noisy).is_good
    assert is_whole(noisy)


def test_confirming_again_runs_nothing_and_needs_no_objective(noisy):
    tinytune("confirm", noisy, "--top", 2, "--repeats", 2, "--quiet", "--no-git")
    before = repeats_of(noisy)
    (noisy.parent / "seeded.py").unlink()
    code, _, errors = spoken("confirm", noisy, "--top", 2, "--repeats", 2)
    assert (code, errors) == (0, "")
    assert repeats_of(noisy) == before
    shown = said(0, "confirm", noisy, "--show", "--format", "csv")
    table = list(csv.DictReader(io.StringIO(shown)))
    assert [int(row["runs"]) for row in table] == [2, 2]
    assert [row["x"] for row in table] != ["", ""]
    told = said(1, "confirm", noisy, "--top", 2, "--repeats", 3)
    assert "--objective" in told
    assert repeats_of(noisy) == before  # nothing was entered for an objective that is not there


def test_more_repeats_are_added_to_those_there_are(noisy):
    tinytune("confirm", noisy, "--top", 2, "--repeats", 2, "--quiet", "--no-git")
    before = repeats_of(noisy)
    tinytune("confirm", noisy, "--top", 3, "--repeats", 3, "--quiet", "--no-git")
    after = repeats_of(noisy)
    assert len(after) == 9
    assert set(map(repr, before)) <= set(map(repr, after))
    assert len({seed for _, _, seed, _, _ in after}) == 3


def test_a_killed_confirmation_goes_on(noisy, tmp_path):
    plain = tmp_path / "plain.db"
    shutil.copy(noisy, plain)
    assert (
        tinytune("confirm", plain, "--top", 3, "--repeats", 4, "--quiet", "--no-git").returncode
        == 0
    )
    set_wait(noisy, 0.2)
    command = ("confirm", noisy, "--top", 3, "--repeats", 4, "--workers", 2)
    running = start(*command, "--no-capture")
    await_true(lambda: sum(value is not None for *_, value in repeats_of(noisy)) >= 3, running)
    kill_all(running)
    running.communicate()
    assert any(value is None for *_, value in repeats_of(noisy))
    assert "left: give the same command again" in said(0, "confirm", noisy, "--show")
    set_wait(noisy, 0.0)
    done = tinytune(*command)
    assert done.returncode == 0, done.stderr
    assert "12 runs, " in done.stderr  # some had ended before
    assert repeats_of(noisy) == repeats_of(plain)
    found = verified(noisy)
    assert found.count("exact") == 8 + 12
    assert [p for p in found.problems if "study's own row" not in p] == []  # the wait was set


def test_an_interrupted_confirmation_says_how_to_go_on_and_resume_does_so(noisy):
    set_wait(noisy, 30)
    running = start("confirm", noisy, "--top", 2, "--repeats", 2)
    await_true(lambda: tinytune_states(noisy).count("running") == 1, running)
    running.send_signal(signal.SIGINT)
    running.send_signal(signal.SIGINT)
    out, errors = running.communicate()
    assert running.returncode == 130
    assert "4 runs left: give the same command again" in out
    assert "no configuration has two complete runs yet" in out
    assert "interrupted" in errors
    set_wait(noisy, 0)
    assert tinytune("resume", noisy, "--trials", "+2", "--quiet", "--no-git").returncode == 0
    assert tinytune_states(noisy) == ["complete"] * 14
    assert said(0, "confirm", noisy, "--show").startswith("  rank")


def tinytune_states(path):
    with Reader(path) as reader:
        return [trial.state for trial in reader.trials()]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--repeats", 0], "repeats must be from 2 to 1000, not 0"),
        (["--repeats", 1], "repeats must be from 2 to 1000, not 1"),
        (["--repeats", 10**30], "repeats must be from 2 to 1000, not 1"),
        (["--top", 0], "top must be from 1 to 1000, not 0"),
        (["--top", 10**30], "top must be from 1 to 1000, not 1"),
        (["--top", 9], "has 8 complete configurations, not 9: say --top 8, or run more trials"),
        (["--format", "xml"], "there is no format 'xml' here"),
    ],
)
def test_bad_wishes_are_refused(noisy, arguments, told):
    assert told in said(2, "confirm", noisy, *arguments)
    assert repeats_of(noisy) == []


def test_what_cannot_be_confirmed_is_said(tmp_path, noisy):
    assert "nothing of" in said(1, "confirm", noisy, "--show")
    assert "has no complete trial yet" in said(1, "confirm", make_study(tmp_path))
    assert "there is no study" in said(1, "confirm", tmp_path / "none.db")


def test_an_objective_that_is_not_noisy_is_told_so(tmp_path):
    path = confirmed_study(tmp_path, top=3, change=0.0)
    shown = said(0, "confirm", path, "--show")
    assert "every run of a configuration gave the same value: no lead is luck" in shown
    assert "leads" not in shown


def test_failures_are_shown_and_can_be_retried(tmp_path):
    path = make_study(tmp_path)
    run_all(path)
    with Store(path) as store:
        best = store.best(store.study().goals[0], 2)
        store.add_repeats(confirm.runs(best, 3), 1)
    with Study(path, repeats_only=True) as study:
        for number in range(6):
            ill = Outcome("failed", error="no good")
            study.tell(study.ask(), ill if number == 2 else number / 7)
    assert "failed" in said(0, "confirm", path, "--show").splitlines()[0]
    rows = json.loads(said(0, "confirm", path, "--show", "--format", "json"))["configurations"]
    by_trial = {row["trial"]: row for row in rows}
    lame, well = (by_trial[trial.number] for trial in best)
    assert (lame["runs"], lame["failed"], well["runs"], well["failed"]) == (2, 1, 3, 0)
    assert {row["pairs"] for row in rows} == {None, 2}  # the pairs that are whole
    said(0, "retry", path)
    with Study(path, repeats_only=True) as study:
        study.tell(study.ask(), 0.5)
        assert study.ask() is None
    assert "failed" not in said(0, "confirm", path, "--show").splitlines()[0]
    assert verified(path).is_good


def test_large_values_are_good_where_the_goal_says_so(tmp_path):
    path = confirmed_study(tmp_path, direction="maximize", top=3)
    with Reader(path) as reader:
        found = confirm.ranking(reader, reader.study().goals[0])
    assert [row.mean.mean for row in found.rows] == sorted(
        (row.mean.mean for row in found.rows), reverse=True
    )
    assert all(
        row.optimism == pytest.approx(1.0) for row in found.rows
    )  # by 1 worse than it looked
    assert found.first_choice is found.rows[0]


def test_each_configuration_is_run_once_for_all_its_trials(tmp_path):
    path = make_study(tmp_path, budget=2)
    run_all(path)
    with Study(path) as study:
        params = study.best.params
        study.add(params, -5.0)  # the same again, and far better
    with Reader(path) as reader:
        first = confirm.chosen(reader, 2)
        with pytest.raises(UsageError, match="2 complete configurations, not 3"):
            confirm.chosen(reader, 3)
    assert [trial.value for trial in first] == [-5.0, pytest.approx(first[1].value)]
    with Store(path) as store:
        store.add_repeats(confirm.runs(first, 2), 1)
    with Study(path) as study:
        study.add(params, -6.0)
    with Reader(path) as reader:  # it keeps the name under which it was run again
        assert [t.number for t in confirm.chosen(reader, 2)] == [t.number for t in first]


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.9875, 0.999])
def test_quantiles_of_student_s_t(level):
    for freedom in (1, 2, 3, 4, 5, 10, 29, 30, 100, 999):
        expected = stats.t.ppf((1 + level) / 2, freedom)
        assert student.quantile(level, freedom) == pytest.approx(expected, rel=1e-12)


def test_means_of_few_or_equal_numbers():
    assert student.mean([2.0], 0.95) == student.Mean(1, 2.0, None, None, None)
    assert student.mean([3.0, 3.0, 3.0], 0.95).margin == 0.0
    assert student.mean([1e308, 1e308, -1e308], 0.95).deviation == math.inf  # and no error


def test_equal_configurations_are_seldom_told_apart():
    """The intervals of all leads hold together: at most one study in twenty names a winner."""
    chance = random.Random(3)
    goal = Goal("loss", "minimize")
    studies = 400
    wrong = 0
    for _ in range(studies):
        rows = [
            confirm.confirmed(
                trial_of(n), [trial_of(n, chance.gauss(0, 1), r) for r in range(5)], goal
            )
            for n in range(5)
        ]
        _, *others = confirm.ranked(rows, goal)
        wrong += any(not row.gap.is_tie for row in others)
    assert wrong / studies < 0.08  # 0.05 is promised; three standard errors are 0.033


def trial_of(number, value=0.0, repeat=None):
    known = dict.fromkeys(TrialRecord._fields)
    known |= {"number": number, "value": value, "state": "complete", "repeat": repeat, "told": 1}
    return TrialRecord(**known)


# the best


def best_said(path, *arguments):
    code, out, errors = spoken("best", path, *arguments)
    assert not code
    return out, errors.strip()


def test_the_best_is_the_best_mean_once_configurations_were_run_again(tmp_path):
    path = make_study(tmp_path)
    run_all(path)
    assert best_said(path)[1] == ""  # nothing hints at noise, and nobody sits at a terminal
    with Store(path) as store:
        lucky, true, _ = store.best(store.study().goals[0], 3)
        store.add_repeats(confirm.runs([lucky, true], 3), 1)
    with Study(path, repeats_only=True) as study:
        for number in range(6):
            trial = study.ask()
            if number == 3:
                assert study.best.number == lucky.number  # one run each is not enough
                assert "3 runs that would confirm it left" in best_said(path)[1]
            study.tell(trial, (9.0 if trial.params == lucky.params else 1.0) + number)
    with Study(path) as study:
        assert study.best.number == study.progress.best.number == true.number
        assert [t.number for t in study.best_trials(2)] == [true.number, lucky.number]
        assert len(study.best_trials(99)) == 6
        assert len({t.number for t in study.best_trials(99)}) == 6
    out, errors = best_said(path, "--format", "json")
    assert errors == ""
    shown = json.loads(out)
    assert (shown["number"], shown["value"], shown["confirmed"]["runs"]) == (
        true.number, true.value, 3,
    )  # fmt: skip
    assert shown["confirmed"]["mean"] == pytest.approx(4.0)
    table = best_said(path, "--top", 3)[0].splitlines()
    assert re.search(r"loss +mean loss +± +runs", table[0])
    assert re.search(r"^ +\d+ +complete +[\d.e-]+ +4 +5 +3 ", table[2])
    found = json.loads(best_said(path, "--top", 3, "--format", "json")[0])
    assert [row["confirmed"] is None for row in found] == [False, False, True]
    assert f"trial {true.number}: " in said(0, "status", path)
    assert re.search(r"confirmed +loss 4 ± 5 in 3 new runs", said(0, "status", path))


def test_a_trial_that_was_better_in_its_one_run_than_all_that_were_run_again_is_first(tmp_path):
    path = confirmed_study(tmp_path)
    with Study(path) as study:
        before = study.best
        study.add({"x": 0.125, "kind": "a", "value": 0.0}, 99.0)  # worse
        study.add(before.params, -99.0)  # the same configuration as a confirmed one
        assert study.best.number == before.number
        better = study.add({"x": 0.25, "kind": "a", "value": 0.0}, -5.0)
        assert study.best.number == better
    errors = best_said(path)[1]
    assert f"trial {better} rests on one run only, in which it was better than" in errors
    assert errors.endswith(f"tinytune confirm {path}")


def test_signs_of_noise_are_told(tmp_path):
    path = make_study(tmp_path, budget=2)
    run_all(path)
    with Study(path) as study:
        best = study.best
        again = study.add(best.params, best.value)
        assert best_said(path)[1] == ""  # it repeats itself
        again = study.add(best.params, best.value + 1.0)
    errors = best_said(path)[1]
    assert errors.startswith(f"trial {best.number} rests on one run only, and trials {best.number}")
    assert f"and {again} gave" in errors


def test_trials_and_show_name_what_was_run_again(tmp_path):
    path = confirmed_study(tmp_path)
    header, *rows = csv.reader(io.StringIO(said(0, "trials", path, "--format", "csv")))
    place = header.index("confirms")
    assert [row[place] == "" for row in rows] == [True] * 6 + [False] * 4
    assert re.search(rf"confirms +trial {rows[6][place]}\n", said(0, "show", path, 6))
    listed = json.loads(said(0, "trials", path, "--format", "json"))
    assert [str(t["confirms"] or "") for t in listed] == [row[place] for row in rows]
    last = said(0, "trials", path, "--sort=-confirms", "--top", 1)
    assert len(last.splitlines()) == 3
    assert re.search(r"trials +6 of 6 ended", said(0, "status", path))
    assert re.search(r"run again +4 of 4 ended", said(0, "status", path))


def test_a_search_is_not_told_of_a_repeat_that_runs(tmp_path):
    path = make_study(tmp_path, search="cma-es")
    run_all(path)
    with Store(path) as store:
        store.add_repeats([(store.trial(0), 0), (store.trial(0), 1)], 1)
        store.set_budget(7)
    with Study(path, repeats_only=True) as study, Study(path) as other:
        running = study.ask()
        assert running.seed == draw.confirm_seed(1, 0)
        assert other.reader.pending(before=999) == []
        waited = other.ask()  # the one that waits comes first
        assert waited.seed == draw.confirm_seed(1, 1)
        assert other.ask().number == 8
    assert verified(path).is_good


def test_seeds_that_are_not_the_study_s_are_noticed(tmp_path):
    path = make_study(tmp_path)
    run_all(path)
    with Store(path) as store:
        store.add_repeats([(store.trial(0), 0)], 2)  # the study's seed is 1
    assert verified(path).problems == ("the seed of trial 6 is not the study's",)


def test_a_seal_that_is_gone_is_noticed(tmp_path):
    path = confirmed_study(tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE trial SET seal = NULL WHERE number = 7")
    assert verified(path).problems == ("trial 7 was changed afterwards",)


def test_a_configuration_with_too_few_runs_is_last(tmp_path):
    path = make_study(tmp_path)
    run_all(path)
    with Store(path) as store:
        best = store.best(store.study().goals[0], 2)
        store.add_repeats(confirm.runs(best, 2), 1)
    with Study(path, repeats_only=True) as study:
        for value in (-9.0, 1.0, None, 2.0):  # the first one fails the second time
            study.tell(study.ask(), Outcome("failed", error="no good") if value is None else value)
    with Reader(path) as reader:
        found = confirm.ranking(reader, reader.study().goals[0])
    assert [row.trial.number for row in found.rows] == [best[1].number, best[0].number]
    assert [row.counts for row in found.rows] == [True, False]
    assert "stands alone: nothing to compare it with" in said(0, "confirm", path, "--show")


# From Python.


@objective(minimize="loss")
def luck(x: Annotated[float, Float(-1, 1)] = 0.5) -> float:
    return x * x + random.Random(current_seed()).gauss(0, 0.1)


def test_python_confirms_as_the_command_does(tmp_path):
    path, other = tmp_path / "a.db", tmp_path / "b.db"
    luck.tune(path, search="random", trials=8, quiet=True).close()
    shutil.copy(path, other)
    found = luck.confirm(path, top=3, repeats=2, quiet=True)
    assert [len(row.values) for row in found.rows] == [2, 2, 2]
    assert spoken("confirm", other, "--top", 3, "--repeats", 2, "-q")[0] == 0
    with Reader(other) as reader:
        expected = confirm.ranking(reader, Goal("loss", "minimize"))
    assert [(row.trial.number, row.values, row.mean) for row in found.rows] == [
        (row.trial.number, row.values, row.mean) for row in expected.rows
    ]
    assert found.rows[0].gap is None
    assert found.rows[1].gap == expected.rows[1].gap
    again = luck.confirm(path, top=3, repeats=3, quiet=True)  # adds one run of each
    assert [len(row.values) for row in again.rows] == [3, 3, 3]
    assert luck.confirm(path, top=3, repeats=3) == again  # and now runs nothing
    assert verified(path).is_good
    assert is_whole(path)


def test_python_runs_nothing_but_what_confirms(tmp_path):
    path = tmp_path / "a.db"
    luck.tune(path, search="random", trials=4, quiet=True).close()
    with Study(path) as study:
        study.add({"x": 0.25})
    luck.confirm(path, repeats=2, quiet=True)
    with Reader(path) as reader:
        states = [trial.state for trial in reader.trials()]
    assert states == ["complete"] * 4 + ["waiting"] + ["complete"] * 8


WRONG = [
    {"top": 9}, {"repeats": 1}, {"workers": 0}, {"top": 2.5}, {"top": "2"}, {"repeats": 2.5},
    {"trial_timeout": 0}, {"max_memory": -5}, {"timeout": math.nan},
]  # fmt: skip


@pytest.mark.parametrize("arguments", WRONG)
def test_python_refuses_what_cannot_be_confirmed(tmp_path, arguments):
    path = tmp_path / "a.db"
    luck.tune(path, search="random", trials=3, quiet=True).close()
    with pytest.raises(UsageError):
        luck.confirm(path, **arguments)

    @objective(minimize="loss")
    def wider(x: Annotated[float, Float(-2, 1)] = 0.5) -> float:
        return x

    with pytest.raises(StudyMismatchError):
        wider.confirm(path)
    with Reader(path) as reader:
        assert reader.repeats() == []
