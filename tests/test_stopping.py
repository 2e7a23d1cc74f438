"""The stopping rules against the papers' sentences and tables."""

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.studies import record
from tinytune import stopping
from tinytune.errors import UsageError
from tinytune.history import Decision, Ended, RuleSpec
from tinytune.stopping.asha import Asha
from tinytune.stopping.curve import Curve
from tinytune.stopping.hyperband import Hyperband, table
from tinytune.stopping.judge import Judge, sentence
from tinytune.stopping.racing import signed_rank

VALUES = st.floats(-100, 100) | st.just(math.nan)
CURVES = st.lists(st.dictionaries(st.integers(0, 8), VALUES, min_size=1), min_size=1, max_size=9)


def judge(text, direction="minimize", seed=1, audit=0.0):
    made = record(seed=seed, direction=direction)
    rules = stopping.specs(stopping.parse(text))
    return Judge(made._replace(stopping=rules, audit=audit))


def ended(number, curve, told=1):
    return Ended(number, told, tuple(("loss", step, value) for step, value in curve.items()))


def judged(rules, curve, number=99):
    """Return the step at which a new trial with this curve is stopped, None if it is not."""
    attempt = rules.attempt(number, 1)
    for step, value in curve.items():
        attempt.add(step, {"loss": value})
        for rung in rules.rungs(attempt, step):
            rules.note(rung)
        if rules.decide(attempt, step, 0):
            return step
    return None


def worst(value):
    return math.inf if math.isnan(value) else value


def by_the_paper(curve, others, share, grace, sign):
    """Golovin et al. 2017, 3.2.2: best objective value by step s, median of running averages."""
    seen = {}
    for step, value in curve.items():
        seen[step] = value
        means = []
        for other in others:
            until = [worst(sign * v) for s, v in sorted(other.items()) if s <= step]
            if until:
                means.append(sum(until) / len(until))
        if len(seen) < grace or len(means) < 2:
            continue
        best = min(worst(sign * v) for v in seen.values())
        place = share * (len(means) - 1)
        low, high = (sorted(means)[i] for i in (math.floor(place), math.ceil(place)))
        limit = statistics.median(means) if share == 0.5 else low + (place % 1) * (high - low)
        if low == high:
            limit = low
        elif math.isinf(high):
            limit = high
        if best > limit and not math.isclose(best, limit, rel_tol=1e-12):
            return step
    return None


@settings(max_examples=150)
@given(
    others=CURVES,
    curve=st.dictionaries(st.integers(0, 8), VALUES, min_size=1),
    grace=st.integers(0, 3),
    share=st.sampled_from([0.5, 0.25, 0.8]),
    up=st.booleans(),
)
def test_median_and_percentile_are_the_papers_sentence(others, curve, grace, share, up):
    name = "median" if share == 0.5 else "percentile"
    more = "" if share == 0.5 else f", percentile={100 * share}"
    direction = "maximize" if up else "minimize"
    rules = judge(f"{name}(grace={grace}, min_trials=2{more})", direction)
    for number, other in enumerate(others):
        rules.tell(ended(number, other))
    wanted = by_the_paper(curve, others, share, grace, -1.0 if up else 1.0)
    assert judged(rules, curve) == wanted


@given(others=CURVES, curves=CURVES)
def test_a_fold_is_the_same_as_one_built_anew(others, curves):
    told_early, told_late = judge("median(min_trials=1, grace=0)"), None
    for number, other in enumerate(others):
        for curve in curves[:2]:
            judged(told_early, curve)  # asks about steps before all are told
        told_early.tell(ended(number, other))
    told_late = judge("median(min_trials=1, grace=0)")
    for number, other in enumerate(others):
        told_late.tell(ended(number, other))
    for curve in curves:
        assert judged(told_early, curve) == judged(told_late, curve)


def test_ties_never_stop():
    rules = judge("median(grace=0, min_trials=1)+asha(min_steps=1, eta=2)")
    same = dict.fromkeys(range(6), 0.5)
    for number in range(5):
        rules.tell(ended(number, same))
        assert judged(rules, same, number) is None


def test_median_waits_for_trials_and_for_steps():
    rules = judge("median(min_trials=3)")
    bad = dict.fromkeys(range(100), 9.0)
    for number in range(3):
        assert judged(rules, bad) is None
        rules.tell(ended(number, dict.fromkeys(range(100), 1.0)))
    assert judged(rules, bad) == 4  # after a twentieth of 100 reports
    assert judged(judge("median(min_trials=3, grace=9, interval=4)"), bad) is None


# Li et al. 2018 (JMLR), table 1: R = 81, eta = 3; and R = 243, where logarithms of floats fail.
R81 = [
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    [(34, 3), (11, 9), (3, 27), (1, 81)],
    [(15, 9), (5, 27), (1, 81)],
    [(8, 27), (2, 81)],
    [(5, 81)],
]


def test_the_table_of_hyperband():
    assert table(81, 3) == R81
    assert [bracket[0] for bracket in table(243, 3)] == [
        (243, 1), (98, 3), (41, 9), (18, 27), (9, 81), (6, 243),
    ]  # fmt: skip
    assert len(table(243, 3)) == 6
    assert table(81, 3, 9) == [[(9, 9), (3, 27), (1, 81)], [(5, 27), (1, 81)], [(3, 81)]]


def test_brackets_are_drawn_with_the_tables_odds():
    rule = Hyperband(max_steps=81).start(seed=3)
    firsts = [rule.first(number) for number in range(6000)]
    total = sum(bracket[0][0] for bracket in R81)
    for bracket in R81:
        n, r = bracket[0]
        assert firsts.count(r) / 6000 == pytest.approx(n / total, rel=0.25)


def test_the_rungs_of_asha():
    rule = Asha(min_steps=2, eta=3).start(0)
    curve = Curve(0)
    rungs = []
    for step in range(60):
        curve.add(step, 1.0)
        if rule.rung(curve):
            rungs.append(len(curve))
    assert rungs == [2, 6, 18, 54]
    limited = Asha(min_steps=2, eta=3, max_steps=18).start(0)
    curve = Curve(0)
    for step in range(18):
        curve.add(step, 1.0)
        assert limited.rung(curve) == (len(curve) in (2, 6))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(2, 4))
def test_asha_keeps_the_best_of_every_eta(values, eta):
    rules = judge(f"asha(min_steps=1, eta={eta})")
    for number, value in enumerate(values):
        seen = values[: number + 1]
        kept = max(1, len(seen) // eta)
        rank = 1 + sum(other < value for other in seen)
        assert (judged(rules, {0: float(value)}, number) == 0) == (rank > kept)


def test_an_attempt_that_is_made_again_counts_once():
    rule = Asha().start(0)
    for value in (5.0, 3.0):
        rule.note(7, 1, value)
    rule.note(8, 1, 4.0)
    assert rule._at[0, 1] == [(3.0, 7), (4.0, 8)]


def test_patience():
    rules = judge("patience(patience=3, min_delta=0.1)")
    assert judged(rules, dict(enumerate([9, 5, 4.95, 4.92, 4.91, 3]))) == 4
    assert judged(rules, dict(enumerate([9, 5, 4, 3, 2, 1, 0]))) is None
    assert judged(judge("patience(patience=2, grace=5)"), dict.fromkeys(range(9), 1.0)) == 4
    up = judge("patience(patience=2)", "maximize")
    assert judged(up, dict(enumerate([1, 2, 3, 3, 3]))) == 4
    assert judged(rules, dict(enumerate([math.nan, math.nan, math.nan, math.nan, 2.0]))) == 3


def test_threshold_sees_what_was_reported():
    for direction in ("minimize", "maximize"):
        rules = judge("threshold(upper=10, lower=-2)", direction)
        assert judged(rules, {0: 9.0, 1: 11.0}) == 1
        assert judged(rules, {0: 9.0, 1: -3.0}) == 1
        assert judged(rules, {0: 9.0, 1: math.nan}) == 1
        assert judged(judge("threshold(nan=false)", direction), {0: math.inf}) is None


@settings(max_examples=200)
@given(st.lists(st.lists(st.integers(0, 20), min_size=5, max_size=5), min_size=2, max_size=8))
def test_the_bound_of_racing_loses_no_winner(trials):
    rules = judge("racing(folds=5)")
    best_fold = min(min(folds) for folds in trials)
    for number, folds in enumerate(trials):
        curve = {step: float(value) for step, value in enumerate(folds)}
        stopped = judged(rules, curve, number)
        before = [sum(other) for other in trials[:number]]
        if stopped is not None and min(folds) >= min(min(o) for o in trials[:number]):
            assert sum(folds) > min(before)  # it would not have become the best
        if stopped is None:
            rules.tell(ended(number, curve))
    assert best_fold >= 0


def test_racing_by_the_worst_fold_and_by_ranks():
    leader = dict(enumerate([1.0, 2.0, 3.0, 2.0, 2.0]))
    forgiving = judge("racing(rule=forgiving)")
    forgiving.tell(ended(0, leader))
    assert judged(forgiving, {0: 2.9, 1: 3.0}) is None
    assert judged(forgiving, {0: 2.9, 1: 3.2}) == 1
    ranks = judge("racing(rule=wilcoxon)")
    ranks.tell(ended(0, leader))
    # all worse: p = 1/2, 1/4, 1/8, 1/16
    assert judged(ranks, {0: 1.1, 1: 2.2, 2: 3.3, 3: 2.4}) == 3
    assert judged(ranks, {0: 1.1, 1: 1.9, 2: 3.3, 3: 2.4}) is None


@pytest.mark.parametrize("gaps", [[1.0], [1, 2, 3], [1, -2, 3, 4], [1, 1, -1, 2], [0, 1, 2, -3, 5]])
def test_the_signed_rank_test_is_the_exact_one(gaps):
    signs = [g for g in gaps if g]
    order = sorted(map(abs, signs))
    rank = {v: sum(i + 1 for i, o in enumerate(order) if o == v) / order.count(v) for v in order}
    seen = sum(rank[abs(g)] for g in signs if g > 0)
    ways = 0
    for mask in range(2 ** len(signs)):
        total = sum(rank[abs(g)] for i, g in enumerate(signs) if mask >> i & 1)
        ways += total >= seen
    assert signed_rank(list(map(float, gaps))) == ways / 2 ** len(signs)


def test_rules_look_at_their_metric():
    rules = judge("median(grace=0, min_trials=1, metric=error)+threshold(metric=norm, upper=5)")
    rules.tell(Ended(0, 1, (("error", 0, 1.0), ("norm", 0, 1.0))))
    attempt = rules.attempt(1, 1)
    attempt.add(0, {"norm": 9.0})
    decision = rules.decide(attempt, 0, 7)
    assert (decision.part, decision.facts) == (1, {"value": 9.0, "bound": 5.0})
    other = rules.attempt(2, 1)
    other.add(0, {"loss": 99.0})
    assert rules.decide(other, 0, 8) is None
    other.add(0, {"error": 2.0})
    assert rules.decide(other, 0, 9).part == 0


def test_what_is_maximised_is_told_with_its_own_sign():
    rules = judge("median(grace=0, min_trials=1)", "maximize")
    rules.tell(ended(0, {0: 0.9}))
    attempt = rules.attempt(1, 1)
    attempt.add(0, {"loss": 0.5})
    decision = rules.decide(attempt, 0, 3)
    assert decision.facts == {"best": 0.5, "limit": 0.9, "trials": 1}
    told = sentence(RuleSpec("median", 1, {}), decision.facts)
    assert told == "best so far 0.5, median of 1 finished trials' running means 0.9"


def test_a_share_of_trials_is_spared():
    rules = judge("threshold(upper=0)", audit=0.3)
    verdicts = []
    for number in range(400):
        attempt = rules.attempt(number, 1)
        attempt.add(0, {"loss": 1.0})
        verdicts.append(rules.decide(attempt, 0, 1).verdict)
    assert 0.2 < verdicts.count("spared") / 400 < 0.4


def test_rules_are_read_and_written():
    text = "median(grace=5)+threshold(upper=10)+asha"
    specs = stopping.specs(stopping.parse(text))
    assert stopping.text(specs) == text
    assert [stopping.from_spec(spec) for spec in specs] == stopping.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("medium", "there is no stopping rule 'medium': use one of median, percentile"),
        ("median(x=1)", "the rule 'median' has no option 'x': it has grace"),
        ("median(grace=-1)", "grace -1 must be a whole number from 0"),
        ("median(min_trials=0)", "min_trials 0 must be a whole number from 1"),
        ("median(metric=3)", "metric 3 is not the name of a metric"),
        ("asha(metric=['a', 'b'])", "asha: metric names 2 metrics, and a rule compares one"),
        ("median(direction=up)", "direction 'up' must be minimize or maximize"),
        ("percentile(percentile=100)", "percentile 100 must be above 0 and below 100"),
        ("asha(eta=1)", "eta 1 must be a whole number from 2"),
        ("asha(min_steps=9, max_steps=3)", "max_steps 3 must be a whole number from min_steps"),
        ("hyperband(max_steps=2)", "makes one bracket only"),
        ("hyperband(max_steps=None)", "max_steps None must be a whole number"),
        ("successive-halving(max_steps=None)", "max_steps None must be a whole number"),
        ("threshold(upper=1, lower=2)", "lower 2 must be below upper 1"),
        ("racing(rule=best)", "rule 'best' must be bound, forgiving, wilcoxon"),
        ("median+", "'' is not a stopping rule"),
        ("median(grace=", "is not a stopping rule: write a name, or name"),
    ],
)
def test_rules_that_make_no_sense(text, message):
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        stopping.parse(text)


def test_facts_that_were_changed_are_told_all_the_same():
    decision = Decision(0, 1, 1, 0, 1, "stop", {"other": 1})
    assert "not finite" in sentence(RuleSpec("median", 1, {}), decision.facts)
    assert sentence(RuleSpec("somebody's", 1, {}), {"n": 3}) == "n 3"
