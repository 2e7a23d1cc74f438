"""Every stopping rule is put to the checks for rules of one's own; and so are broken ones."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from tests.shell import ROOT, tinytune
from tests.studies import record
from tinytune import changing, loading, stopping, testing
from tinytune.changing import Wanted
from tinytune.errors import UsageError
from tinytune.history import RuleSpec
from tinytune.stopping.curve import Curve
from tinytune.study import start

OWN = [
    "median", "percentile(percentile=40)", "dominated(min_trials=3)", "patience(patience=3)",
    "threshold(upper=1.2)", "asha",
    "asha(pause=true, max_steps=12)", "hyperband(max_steps=12)",
    "hyperband(max_steps=12, pause=true)", "successive-halving(max_steps=9, trials=9)",
    "racing(folds=12)", "racing(folds=12, rule=forgiving)", "racing(folds=12, rule=wilcoxon)",
]  # fmt: skip


def test_all_rules_are_put_to_the_checks():
    assert {text.partition("(")[0] for text in OWN} == {
        module.replace("_", "-") for module in stopping._CLASSES
    }


@pytest.mark.parametrize("check", testing.RULE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("text", OWN)
def test_every_rule_keeps_its_promises(text, check):
    (rule,) = stopping.parse(text)
    check(rule)


def test_the_rule_of_ones_own_keeps_every_promise():
    loading.load(f"{ROOT}/examples/own_rule.py")
    testing.check_rule(stopping.make("behind", {}))


def test_a_study_with_a_rule_of_ones_own_proves_itself(tmp_path):
    example = ROOT / "examples" / "own_rule.py"
    how = ["--stop", "behind(slack=0.05)", "--trials", 12, "--workers", 2, "--quiet"]
    done = tinytune("run", example, *how, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = tinytune("verify", "study.db", "--objective", example, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "early stops recomputed exactly" in done.stdout
    done = tinytune("verify", "study.db", cwd=tmp_path)  # nobody has said where the rule is
    assert done.returncode == 0, done.stdout + done.stderr
    assert "decisions to stop were not recomputed: there is no stopping rule" in done.stdout
    assert "all digests hold" in done.stdout
    change = ["--stop", "behind(slack=0.3)", "--objective", example]
    done = tinytune("set", "study.db", *change, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "behind(slack=0.05) → behind(slack=0.3)" in done.stderr


def test_without_its_file_a_rule_of_ones_own_is_named_and_can_be_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(stopping, "_registered", {})
    path = tmp_path / "a.db"
    rule = RuleSpec("behind", 1, {"slack": 0.2})
    assert start(path, record(budget=3)._replace(stopping=(rule,)), None)
    assert stopping.text([rule]) == "behind(slack=0.2)"
    (line,) = changing.change(path, Wanted(stopping=stopping.parse("median")))
    assert line.endswith("stopping: behind(slack=0.2) → median")


# A rule that keeps every promise, and others like it that break one each


class AtWork:
    """Stops what is worse than the median of what was seen after 3 reports."""

    def __init__(self):
        self.seen = {}

    def tell(self, curve):
        pass

    def rung(self, curve):
        return len(curve) == 3 and curve.latest == 2

    def note(self, number, place, value):
        self.seen[number] = value

    def decide(self, curve):
        if not self.rung(curve):
            return None
        better = sum(value < curve.values[-1] for value in self.seen.values())
        if 2 * better <= len(self.seen):
            return None
        return {"better": better, "value": curve.values[-1]}


class Declared:
    name: ClassVar[str] = "made-up"
    version: ClassVar[int] = 1
    looks: ClassVar[bool] = False
    climbs: ClassVar[bool] = True


@dataclass(frozen=True)
class MadeUp(Declared):
    metric: str | None = None
    direction: str | None = None

    at_work: ClassVar[type] = AtWork

    def start(self, seed):
        return self.at_work()

    @staticmethod
    def sentence(facts):
        return f"{facts['better']} are better"


@pytest.fixture
def made_up(monkeypatch):
    """Return a function that makes the rule known with other attributes, and returns it."""

    def make(at_work=AtWork, **attributes):
        options = type("MadeUp", (MadeUp,), {"at_work": at_work, **attributes})
        options = dataclass(frozen=True)(options)
        monkeypatch.setattr(stopping, "_registered", {})
        stopping.register(options)
        return options()

    return make


def test_a_rule_of_ones_own_is_put_to_the_checks(made_up):
    testing.check_rule(made_up())


class CountsCalls(AtWork):
    calls = 0

    def decide(self, curve):
        self.calls += 1
        return {"better": 1} if self.calls % 9 == 0 else None


class SeesTheFuture(AtWork):
    told: ClassVar[dict] = {}  # shared by all that were started

    def note(self, number, place, value):
        super().note(number, place, value)
        self.told[number] = value

    def decide(self, curve):
        self.seen = self.told
        return super().decide(curve)


class ChangesCurves(AtWork):
    def decide(self, curve):
        found = super().decide(curve)
        if curve.values:
            curve.values[-1] += 0.5
        return found


class NumpyFacts(AtWork):
    def decide(self, curve):
        return None if super().decide(curve) is None else {"better": np.int64(1)}


class Looks(AtWork):
    least = 1e9

    def tell(self, curve):
        self.least = min(self.least, *curve.values)

    def decide(self, curve):
        return {"better": 1} if len(curve) > 4 and curve.best > self.least else None


class Overflows(AtWork):
    def decide(self, curve):
        found = super().decide(curve)
        return found if np.float64(curve.values[-1]) * 4 - curve.best else None


class PausesAnything(AtWork):
    pauses = True

    def resumed(self, number, place):
        pass

    def promotable(self, state):
        best = min(self.seen, key=self.seen.__getitem__, default=None)
        if best is None or state(best) == "running":
            return None
        return best, {"better": 0, "reports": 3}


BROKEN = [
    (CountsCalls, {}, "check_rule_purity", "asked several times, it makes "),
    (CountsCalls, {}, "check_rule_replay", "replayed, is "),
    (SeesTheFuture, {}, "check_rule_replay", "replayed, is "),
    (ChangesCurves, {}, "check_rule_purity", "asked several times, it makes "),
    (NumpyFacts, {}, "check_rule_facts", "it compared better=np.int64(1), no plain number"),
    (AtWork, {"sentence": staticmethod(lambda _: 3)}, "check_rule_facts", "its sentence for {"),
    (AtWork, {"climbs": False}, "check_rule_needs", "it has rungs, and climbs is not True"),
    (Looks, {}, "check_rule_needs", "complete trials matter, and looks is not True"),
    (PausesAnything, {}, "check_rule_pauses", "it lets on trial "),
    (PausesAnything, {"climbs": False}, "check_rule_options", "it pauses, and climbs is not True"),
    (AtWork, {"version": 0}, "check_rule_options", "version is no number from 1 on"),
    (AtWork, {"looks": None}, "check_rule_options", "looks is not True or False"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("at_work", "attributes", "check", "message"),
    BROKEN,
    ids=[f"{b[0].__name__}-{b[2]}-{len(b[1])}" for b in BROKEN],
)
def test_a_broken_promise_is_found(made_up, at_work, attributes, check, message):
    with pytest.raises(AssertionError) as caught:
        getattr(testing, check)(made_up(at_work, **attributes))
    assert message in str(caught.value)


def test_an_error_of_a_rule_comes_through(made_up):
    with pytest.raises(RuntimeWarning):
        testing.check_rule_hard_curves(made_up(Overflows))


def test_options_that_can_be_changed_or_do_not_survive_a_file(made_up, monkeypatch):
    @dataclass
    class Loose(Declared):
        share: float = 0.5
        metric: str | None = None
        direction: str | None = None
        sentence = staticmethod(MadeUp.sentence)

        def start(self, seed):
            return AtWork()

    monkeypatch.setattr(stopping, "_registered", {"made-up": Loose})
    with pytest.raises(AssertionError, match="option share can be changed: freeze the dataclass"):
        testing.check_rule_options(Loose())
    with pytest.raises(AssertionError, match="options differ after JSON"):
        testing.check_rule_options(Loose(share=(1, 2)))


def test_a_rule_of_ones_own_must_have_all_constants():
    class Bare:
        name = "bare"

    with pytest.raises(UsageError, match="Bare has no 'version'"):
        stopping.register(Bare)
    with pytest.raises(UsageError, match="there is a rule 'asha' already"):
        stopping.register(dataclass(frozen=True)(type("Mine", (MadeUp,), {"name": "asha"})))


def test_the_curves_that_rules_see_are_as_documented():
    curve = Curve(3)
    for step, value in ((0, 2.0), (5, float("nan")), (0, 1.0)):
        curve.add(step, value)
    assert (curve.values, curve.latest, curve.best) == ([1.0, float("inf")], 0, 1.0)
