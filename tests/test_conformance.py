"""Every search keeps the promises of tinytune.testing, and a search that does not is found out."""

import hashlib
import json
import math
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import tinytune
from tests import golden
from tests.shell import LONG
from tests.studies import record
from tinytune import search, study, testing
from tinytune.distributions import Choice, Int
from tinytune.errors import SpaceError, UsageError
from tinytune.search.auto import Automatic
from tinytune.search.grid import Grid
from tinytune.search.random import Random
from tinytune.space import Space
from tinytune.testing import checks

OWN = golden.names()  # others' tests register more


def grid_options(space, order="even"):
    """Two values for each parameter that has none of its own."""
    continuous = [
        p.name
        for p in space.parameters
        if p.distribution.size is None or getattr(p.distribution, "log", False)
    ]
    return Grid(dict.fromkeys(continuous, 2), order)


@contextmanager
def cheap_model():
    """Let the automatic choice take another search for its dear model, which is checked itself."""

    def begun(self, name):
        options = search.make("one-plus-one" if name == "gp" else name, {})
        return options.start(self._space, self._seed, self._first)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Automatic, "_begun", begun)
        yield


# Options of searches that need some; a model that is dear comes late, and is small.
OPTIONS = {
    "grid": grid_options,
    "gp": search.make("gp", {"startup": 16, "most": 30, "candidates": 30}),
}
SOME = ("2 numbers", "whole numbers", "conditions and a constraint", "4 configurations", "wide")
SOME_SPACES = {name: testing.spaces()[name] for name in SOME}
# These choose spaces themselves.
OWN_SPACES = (checks.check_pending, checks.check_extreme_values, checks.check_growth)
LEFT_OUT: dict[str, set[str]] = {}  # search -> checks that its documentation excepts it from


def options_of(name):
    return OPTIONS[name] if name in OPTIONS else search.make(name, {})


@pytest.mark.parametrize("check", testing.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", OWN)
def test_every_search_keeps_every_promise(name, check):
    if check.__name__ in LEFT_OUT.get(name, ()):
        pytest.skip("its documentation says otherwise")
    # A dear model is looked at in a few spaces, of which one is of each kind; and in all of them
    # by `make torture`.
    spaces = SOME_SPACES if name == "gp" and not LONG and check not in OWN_SPACES else None
    with cheap_model():
        check(options_of(name), spaces)


FINITE_SPACES = {
    name: space
    for name, space in testing.spaces().items()
    if all(p.distribution.size is not None for p in space.parameters)
}
VARIANTS = {
    "lexicographic grid": (partial(grid_options, order="lexicographic"), SOME_SPACES),
    "random without replacement": (Random(without_replacement=True), FINITE_SPACES),
    "plain sobol": (search.make("sobol", {"scramble": False}), SOME_SPACES),
    "plain halton": (search.make("halton", {"scramble": False}), SOME_SPACES),
    "centered latin": (search.make("latin", {"points": 20, "centered": True}), SOME_SPACES),
}


@pytest.mark.parametrize("check", testing.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("variant", VARIANTS)
def test_other_options_keep_every_promise(variant, check):
    options, spaces = VARIANTS[variant]
    if check is testing.check_pending:  # is about continuous spaces
        spaces = {name: space for name, space in spaces.items() if name == "2 numbers"}
    if check is not testing.check_growth:
        check(options, spaces)


@pytest.mark.parametrize("name", OWN)
def test_every_search_is_a_public_name(name):
    options = search.options_class(name)
    assert options.__name__ in tinytune.__all__
    assert getattr(tinytune, options.__name__) is options


# The simulated study

SPACE = testing.spaces()["conditions"]


def test_a_simulated_study():
    loss = testing.bowl(SPACE)
    run = testing.simulate(Random(), SPACE, loss, 200, 4, 1, fail_share=0.2, stop_share=0.3)
    assert sorted(trial.result.number for trial in run) == list(range(200))
    assert [trial.ended for trial in run] == sorted(trial.ended for trial in run)
    assert [trial.result.number for trial in run] != list(range(200))
    states = [trial.result.state for trial in run]
    assert 20 < states.count("failed") < 60
    assert 35 < states.count("stopped") < 85
    for trial in run:
        assert trial.started < trial.ended
        failed = trial.result.state == "failed"
        assert trial.result.value == (None if failed else loss(trial.result.params))
        told = {earlier.result.number for earlier in run[: trial.seen]}
        waiting = {pending.number for pending in trial.pending}
        assert len(waiting) <= 3
        assert told.isdisjoint(waiting)
        assert told | waiting == set(range(trial.result.number))
        assert all(earlier.ended <= trial.started for earlier in run[: trial.seen])


def test_one_worker_sees_everything_and_waits_for_nothing():
    run = testing.simulate(Random(), SPACE, testing.bowl(SPACE), 20)
    assert [trial.seen for trial in run] == list(range(20))
    assert all(trial.pending == () for trial in run)


def test_a_simulated_study_is_the_same_every_time_and_differs_by_seed():
    runs = [
        testing.simulate(Random(), SPACE, testing.bowl(SPACE), 30, 3, seed) for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1]
    assert [t.ended for t in runs[0]] != [t.ended for t in runs[2]]


def test_a_simulated_study_ends_with_its_search_and_counts_none_as_a_failure():
    space = Space.of({"kind": Choice("a", "b"), "n": Int(1, 3)})
    run = testing.simulate(Grid(), space, lambda params: None, 50, 4)
    assert sorted(trial.result.number for trial in run) == list(range(6))
    assert {trial.result.state for trial in run} == {"failed"}


DIGESTS = """
from tests.test_conformance import digests
print(digests())
"""


def digests():
    """Return a hash of a whole simulated study of each search."""
    found = {}
    for name in OWN:
        for place in ("conditions and a constraint", "20 numbers"):
            space = testing.spaces()[place]
            options = options_of(name)
            options = options(space) if callable(options) else options
            with cheap_model():
                run = testing.simulate(options, space, testing.bowl(space), 20, 3, 5)
            found[f"{name} {place}"] = hashlib.sha256(repr(run).encode()).hexdigest()
    return json.dumps(found)


def test_the_same_in_a_new_process():
    """Set order and the hashes of text change from process to process."""
    found = []
    for hash_seed in ("1", "2"):
        process = subprocess.run(
            [sys.executable, "-c", DIGESTS],
            capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
            env={"PYTHONHASHSEED": hash_seed},
        )  # fmt: skip
        found.append(json.loads(process.stdout))
    assert found[0] == found[1] == json.loads(digests())
    others = ("auto ", "nsga-ii ")  # which begin as others do
    of_its_own = [found[0][place] for place in found[0] if not place.startswith(others)]
    assert len(set(of_its_own)) == len(of_its_own)


# A search that keeps every promise, and others like it that break one each


class AtWork:
    """Draws anew from where the best trial's number points to."""

    size = None
    is_quick = True

    def __init__(self, options, space, seed, first):
        self.options, self.space, self.seed, self.first = options, space, seed, first
        self.best, self.value = None, math.inf

    def tell(self, result):
        if result.value is not None and result.value < self.value:
            self.best, self.value = result.number, result.value

    def suggest(self, number, pending):
        if number == 0 and self.first is not None:
            return dict(self.first)
        return self.space.sample(self.seed, number, f"made-up {self.best}")


@dataclass(frozen=True)
class MadeUp:
    name: ClassVar[str] = "made-up"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = True
    exhausts: ClassVar[bool] = False
    at_work: ClassVar[type] = AtWork

    def start(self, space, seed, first):
        return self.at_work(self, space, seed, first)


@pytest.fixture
def made_up(monkeypatch):
    """Return a function that makes the search known with other attributes, and returns it."""

    def make(at_work=AtWork, **attributes):
        options = type("MadeUp", (MadeUp,), {"at_work": at_work, **attributes})
        options = dataclass(frozen=True)(options)
        monkeypatch.setattr(search, "_registered", {"made-up": options})
        return options()

    return make


@pytest.mark.parametrize("check", testing.CHECKS, ids=lambda check: check.__name__)
def test_a_search_of_ones_own_is_put_to_the_checks(check, made_up):
    check(made_up())


class NumpyValues(AtWork):
    def suggest(self, number, pending):
        params = super().suggest(number, pending)
        return {k: np.float64(v) if type(v) is float else v for k, v in params.items()}


class OutOfRange(AtWork):
    def suggest(self, number, pending):
        return dict.fromkeys(super().suggest(number, pending), 1e9)


class Inactive(AtWork):
    def suggest(self, number, pending):
        return {p.name: p.distribution.from_unit(0.4) for p in self.space.parameters}


class Reversed(AtWork):
    def suggest(self, number, pending):
        return dict(reversed(super().suggest(number, pending).items()))


class CountsCalls(AtWork):
    calls = 0

    def suggest(self, number, pending):
        self.calls += 1
        return super().suggest(self.calls, pending)


class SeesTheFuture(AtWork):
    told: ClassVar[dict] = {}  # shared by all that were started

    def tell(self, result):
        super().tell(result)
        self.told[result.number] = result.value

    def suggest(self, number, pending):
        return super().suggest(len(self.told) * 1000 + number, pending)


class LearnsWhenAsked(AtWork):
    last = None

    def tell(self, result):
        self.last = result

    def suggest(self, number, pending):
        if self.last is not None:
            super().tell(self.last)
        return super().suggest(number, pending)


class HandsOutItsOwn(AtWork):
    def suggest(self, number, pending):
        if not hasattr(self, "made"):
            self.made = {}
        if number not in self.made:
            self.made[number] = super().suggest(number, pending)
        return self.made[number]


class NoFirst(AtWork):
    def suggest(self, number, pending):
        return self.space.sample(self.seed, number, "made-up")


class OwnFirst(AtWork):
    def suggest(self, number, pending):
        return self.first if number == 0 and self.first else super().suggest(number, pending)


class EndsEarly(AtWork):
    def suggest(self, number, pending):
        return super().suggest(number, pending) if number < 20 else None


class GoesOn(AtWork):
    size = 20

    def suggest(self, number, pending):
        return super().suggest(number, pending) if number != 20 else None


class Stubborn(AtWork):
    def suggest(self, number, pending):
        return super().suggest(number // 2, pending)


class NeedsValues(AtWork):
    def tell(self, result):
        super().tell(result)
        self.rounded = round(result.value)


class KnowsItsOwn(AtWork):
    def suggest(self, number, pending):
        self.asked = {*getattr(self, "asked", ()), number}
        return super().suggest(number, pending)

    def tell(self, result):
        super().tell(result)
        self.asked.remove(result.number)


class Overflows(AtWork):
    def tell(self, result):
        super().tell(result)
        np.float64(result.value or 0) * 1e9


class LooksAtAll(AtWork):
    def tell(self, result):
        self.told = [*getattr(self, "told", ()), result]

    def suggest(self, number, pending):
        for result in getattr(self, "told", ())[::8]:
            super().tell(result)
        return super().suggest(number, pending)


BROKEN = [
    (NumpyValues, "check_suggestions_lie_in_the_space", "trial 0: x0 is np.float64(0."),
    (OutOfRange, "check_suggestions_lie_in_the_space", "x0': 1000000000.0 is outside of 0 to 1"),
    (Inactive, "check_suggestions_lie_in_the_space", "in the space 'conditions': trial 0 is"),
    (Reversed, "check_suggestions_lie_in_the_space", "in the space '2 numbers': trial 0 is"),
    (CountsCalls, "check_purity", "trial 8, asked in another order, is "),
    (CountsCalls, "check_replay", "replayed, is "),
    (SeesTheFuture, "check_replay", "replayed, is "),
    (LearnsWhenAsked, "check_fold", "rebuilt from 21 results, is "),
    (HandsOutItsOwn, "check_purity", "asked in another order, is {}, not "),
    (NoFirst, "check_first", "trial 0, with a first configuration, is "),
    (OwnFirst, "check_first", "trial 0, its copy changed, is {}, not "),
    (EndsEarly, "check_end", "it ended after 20 trials, but its size is None"),
    (GoesOn, "check_end", "it goes on at 21 after its end"),
    (Stubborn, "check_pending", "trial 1 repeats a pending one after 0 results"),
    (LooksAtAll, "check_growth", " steps after 1,000 results and "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("at_work", "check", "message"), BROKEN, ids=[f"{b[0].__name__}-{b[1]}" for b in BROKEN]
)
def test_a_broken_promise_is_found(made_up, at_work, check, message):
    with pytest.raises(AssertionError) as caught:
        getattr(testing, check)(made_up(at_work))
    assert str(caught.value).startswith("MadeUp() in the space '")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("at_work", "check", "error"),
    [
        (NeedsValues, "check_failures", TypeError),
        (KnowsItsOwn, "check_foreign_results", (AttributeError, KeyError)),
        (Overflows, "check_extreme_values", RuntimeWarning),
    ],
)
def test_an_error_of_a_search_comes_through(made_up, at_work, check, error):
    with pytest.raises(error):
        getattr(testing, check)(made_up(at_work))


def test_a_search_that_says_it_does_not_learn(made_up):
    with pytest.raises(AssertionError, match="after results, is "):
        testing.check_learning(made_up(learns=False))


def test_a_search_that_repeats_although_it_exhausts(made_up):
    repeats = type("Repeats", (EndsEarly,), {"size": 20})
    with pytest.raises(AssertionError, match="'steps': it repeats configurations"):
        testing.check_end(made_up(repeats, exhausts=True))


def test_options_that_do_not_survive_a_file(made_up):
    pair = {"pair": (1, 2), "__annotations__": {"pair": tuple}}
    with pytest.raises(AssertionError, match="options differ after JSON"):
        testing.check_options(made_up(**pair))
    with pytest.raises(AssertionError, match="version is no number from 1 on"):
        testing.check_options(made_up(version=0))
    with pytest.raises(AssertionError, match="exhausts is not True or False"):
        testing.check_options(made_up(exhausts=None))
    with pytest.raises(AssertionError, match="size is 0"):
        testing.check_options(made_up(type("Empty", (AtWork,), {"size": 0})))
    with pytest.raises(AssertionError, match="cannot be read back: there is no search 'unknown'"):
        testing.check_options(made_up(name="unknown"))


class OutsideOnce(AtWork):
    def suggest(self, number, pending):
        params = super().suggest(number, pending)
        return {**params, "x": 5.0} if number == 2 else params


def test_what_a_search_of_ones_own_must_not_suggest_is_not_run(made_up, tmp_path):
    path = tmp_path / "study.db"
    made_up(OutsideOnce)
    assert study.start(path, record(search="made-up"), None)
    with study.Study(path) as opened:
        for _ in range(2):
            opened.tell(opened.ask(), 1.0)
        with pytest.raises(SpaceError, match="'made-up' made an impossible suggestion, number 2"):
            opened.ask()


def test_a_search_of_ones_own_must_have_all_constants():
    class Bare:
        name = "bare"

    with pytest.raises(UsageError, match="Bare has no 'version'"):
        search.register(Bare)


def test_options_that_can_be_changed(monkeypatch):
    @dataclass
    class Loose:
        share: float = 0.5
        name: ClassVar[str] = "made-up"
        version: ClassVar[int] = 1
        learns: ClassVar[bool] = True
        exhausts: ClassVar[bool] = False

        def start(self, space, seed, first):
            return AtWork(self, space, seed, first)

    monkeypatch.setattr(search, "_registered", {"made-up": Loose})
    with pytest.raises(AssertionError, match="option share can be changed: freeze the dataclass"):
        testing.check_options(Loose())


def _square(n):
    return n * n


def test_the_steps_counted_are_the_same_every_time_and_leave_the_tracer_as_it_was():
    before = sys.gettrace()
    counts = [checks._steps(partial(list, map(_square, range(n)))) for n in (10, 10, 1000)]
    assert counts[0] == counts[1] >= 20
    assert counts[2] > 50 * counts[0]
    assert sys.gettrace() is before
