"""Early stopping by domination: several objectives at once, and what is told of it."""

import math
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.hostile_files import spoken
from tests.studies import record
from tinytune import pareto, savings, stopping
from tinytune import study as study_module
from tinytune.errors import TrialStopped, UsageError
from tinytune.history import Ended, Goal
from tinytune.rules import of_repeats
from tinytune.stopping.judge import Judge, sentence
from tinytune.store.reader import Reader
from tinytune.study import Study
from tinytune.verify import verify

GOALS = (Goal("error", "minimize"), Goal("recall", "maximize"), Goal("seconds", "minimize"))
FEW = st.sampled_from([0.0, 1.0, 2.0, 3.0, math.nan])
REPORTS = st.lists(
    st.tuples(st.integers(0, 4), st.dictionaries(st.sampled_from(["error", "recall"]), FEW)),
    min_size=1, max_size=6,
)  # fmt: skip


def wanted(text, goals=GOALS, audit=0.0):
    rules = stopping.specs(stopping.parse(text))
    return record(budget=40)._replace(stopping=rules, goals=goals, audit=audit)


def ended(number, reports):
    rows = ((name, step, value) for step, made in reports for name, value in made.items())
    return Ended(number, number, tuple(rows))


def small(name, value):
    return math.inf if math.isnan(value) else -value if name == "recall" else value


def by_the_sentence(own, others, share, grace):
    """Return at which report the trial is stopped, by the words of the rule's description."""
    names = []

    def point(reports, step):
        found = {}
        for at, made in sorted(reports, key=lambda report: report[0]):
            found.update({n: small(n, v) for n, v in made.items() if at <= step})
        return [found[name] for name in names] if set(names) <= found.keys() else None

    for count, (step, made) in enumerate(own):
        seen = own[: count + 1]
        made_of = [m for reports in [*others, seen] for _, m in reports]
        names = [name for name in ("error", "recall") if any(name in m for m in made_of)]
        here = point(seen, step)
        there = [p for p in (point(other, step) for other in others) if p is not None]
        reports = max((len({s for s, m in seen if n in m}) for n in names), default=0)
        if not made or here is None or len(names) < 2 or reports < grace or len(there) < 2:
            continue
        worse = sum(pareto.dominates(p, here) for p in there)
        if worse and worse >= share * len(there):
            return count
    return None


@settings(max_examples=80)
@given(
    others=st.lists(REPORTS, max_size=6),
    own=REPORTS,
    share=st.sampled_from([0.2, 0.5, 0.9]),
    grace=st.integers(1, 3),
)
def test_it_is_what_its_description_says(others, own, share, grace):
    made = wanted(f"dominated(share={share}, grace={grace}, min_trials=2)")
    early, late = Judge(made), Judge(made)
    for number, other in enumerate(others):
        early.decide(_reported(early, own), own[-1][0], 0)  # asks before all are told
        early.tell(ended(number, other))
        late.tell(ended(number, other))
    found = []
    for judge in (early, late):
        attempt = judge.attempt(99, 1)
        stops = []
        for count, (step, metrics) in enumerate(own):
            attempt.add(step, metrics)
            if judge.decide(attempt, step, 0):
                stops.append(count)
        found.append(stops[0] if stops else None)
    assert found == [by_the_sentence(own, others, share, grace)] * 2


def _reported(judge, reports):
    attempt = judge.attempt(98, 1)
    for step, metrics in reports:
        attempt.add(step, metrics)
    return attempt


def test_what_is_not_reported_is_left_out_and_one_of_several_says_nothing():
    judge = Judge(wanted("dominated(grace=1, min_trials=1)"))
    judge.tell(ended(4, [(0, {"error": 0.1, "recall": 0.9})]))
    decision = judge.decide(_reported(judge, [(0, {"error": 0.25, "recall": 0.5})]), 0, 0)
    assert decision.facts == {
        "own error": 0.25, "own recall": 0.5, "its error": 0.1, "its recall": 0.9, "trial": 4,
        "dominating": 1, "trials": 1, "compared": 2, "objectives": 3,
    }  # fmt: skip
    assert sentence(wanted("dominated").stopping[0], decision.facts) == (
        "1 of 1 finished trials dominate its error 0.25, recall 0.5, as trial 4 with error 0.1, "
        "recall 0.9; 1 of 3 objectives not reported, left out"
    )
    alone = Judge(wanted("dominated(grace=1, min_trials=1)"))
    alone.tell(ended(4, [(0, {"error": 0.1})]))
    assert alone.decide(_reported(alone, [(0, {"error": 0.25})]), 0, 0) is None
    assert judge.decide(_reported(judge, [(0, {"error": 0.25})]), 0, 0) is None
    assert judge.decide(_reported(judge, [(0, {"error": 9.0, "recall": 0.0})]), 0, 0)
    assert not judge.decide(_reported(judge, [(0, {"error": 9.0}), (0, {"other": 0.0})]), 0, 0)


def test_of_one_objective_it_compares_that():
    judge = Judge(
        wanted("dominated(grace=1, min_trials=2, share=0.9)", (Goal("gain", "maximize"),))
    )
    for number in range(2):
        judge.tell(ended(number, [(0, {"gain": 1.0 + number})]))
    assert [
        judge.decide(_reported(judge, [(0, {"gain": gain})]), 0, 0) is not None
        for gain in (0.5, 1.0, 3.0)
    ] == [True, False, False]


def test_what_misses_the_requirements_does_not_count(tmp_path):
    made = wanted("dominated(grace=1, min_trials=1)", GOALS[:2])._replace(subject_to=("size < 5",))
    path = tmp_path / "study.db"
    assert study_module.start(path, made, None)
    with Study(path) as study:
        stops = []
        for size in (9, 1, 1):
            trial = study.ask()
            trial.report(0, error=trial.number + 1.0, recall=0.5, stop=False)
            stops.append(trial.should_stop)
            study.tell(trial, {"error": 1.0, "recall": 0.5, "size": size})
    assert stops == [False, False, True]
    with Reader(path) as reader:
        assert reader.decision_of(reader.trial(2)).facts["trial"] == 1
        assert verify(reader, lambda *_: None).is_good


def test_options_that_make_no_sense():
    with pytest.raises(UsageError, match="dominated: share 0 must be above 0 and below 1"):
        stopping.parse("dominated(share=0)")
    with pytest.raises(UsageError, match="the rule 'dominated' has no option 'metric'"):
        stopping.parse("dominated(metric=error)")
    (rule,) = stopping.parse("dominated")
    assert of_repeats(rule, 3, GOALS[0]) == rule


def ran(folder, text, names=("error", "seconds"), audit=0.0):
    """Return a study of 40 trials, three at a time, whose seconds speak for every third."""
    path = folder / "study.db"
    goals = (Goal("error", "minimize"), Goal("seconds", "minimize"))
    assert study_module.start(path, wanted(text, goals, audit), None)
    with Study(path) as study:
        while trials := [trial for trial in (study.ask() for _ in range(3)) if trial is not None]:
            values = [
                {"error": (t.number * 7 % 40) / 40, "seconds": (t.number * 11 % 40) + 1.0}
                for t in trials
            ]
            for step in range(4):
                for trial, known in zip(trials, values, strict=True):
                    if trial.should_stop or not names:
                        continue
                    at = {**known, "seconds": known["seconds"] * (step + 1)}
                    with suppress(TrialStopped):
                        trial.report(step, **{name: at[name] for name in names})
            for trial, known in zip(trials, values, strict=True):
                study.tell(trial, None if trial.should_stop else known)
    return path


def test_every_stop_is_told_recomputed_and_audited(tmp_path):
    path = ran(tmp_path, "dominated(min_trials=5)", audit=0.3)
    with Reader(path) as reader:
        found = verify(reader, lambda *_: None)
        stopped = reader.trials("stopped")
        report = savings.savings(reader)
    assert found.is_good, found.problems
    assert found.stops == len(stopped) + report.spared
    assert report.by_rule == {"dominated": len(stopped)}
    assert len(stopped) > 8
    assert report.spared > 3
    assert report.steps_saved > 20
    assert (report.spared_good, report.spared_best) == (None, 0)
    _, out, _ = spoken("show", path, stopped[0].number)
    assert "at step 1 by dominated: " in out
    assert " finished trials dominate its error " in out
    _, out, _ = spoken("stopping-report", path)
    assert "ran to the end, none ended on the Pareto front" in out
    assert "dominated compares error, seconds" in out


def test_where_one_objective_alone_is_reported_it_is_said_that_nothing_is_stopped(tmp_path):
    path = ran(tmp_path, "dominated(min_trials=5)", names=("error",))
    for command in ("stopping-report", "status"):
        _, out, _ = spoken(command, path)
        assert out.count("dominated") == 1 + (command == "status")
        assert (
            "dominated(min_trials=5) has stopped no trial, since it compares at least two "
            "objectives, and only 'error' is reported at steps: report seconds there too, or do "
            f"without: tinytune set {path} --stop none" in out
        )


def test_where_no_objective_is_reported_it_is_said_which_are_to_be(tmp_path):
    path = ran(tmp_path, "dominated", names=())
    _, out, _ = spoken("status", path)
    assert "none has reported anything: call tinytune.report(step, error=…, seconds=…) in" in out
