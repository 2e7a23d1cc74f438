"""The store against a small model of what it must do, under any order of events.

Workers claim, suggest, report, tell, give back, die, are buried, and come back as zombies; failed
trials are retried, the budget grows, the file is closed and opened. Liveness is the model's: no
process is really looked at.
"""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.studies import make_study
from tinytune import process
from tinytune.errors import LeaseLostError
from tinytune.history import Outcome
from tinytune.store.writer import MAX_DEATHS, Store


class Model:
    """What a study must hold: plain Python, no SQL."""

    def __init__(self, budget):
        self.budget = budget
        self.state, self.holder, self.attempt, self.deaths = [], [], [], []
        self.value, self.reports, self.suggested = [], [], []
        self.tick = 0

    def claim(self, worker):
        waiting = [n for n, state in enumerate(self.state) if state == "waiting"]
        if not waiting and len(self.state) >= self.budget:
            return None
        self.tick += 1
        if waiting:
            number = waiting[0]
            self.attempt[number] += 1
        else:
            number = len(self.state)
            for column, start in (
                (self.state, ""), (self.holder, None), (self.attempt, 1), (self.deaths, 0),
                (self.value, None), (self.reports, {}), (self.suggested, False),
            ):  # fmt: skip
                column.append(start)
        self.state[number], self.holder[number] = "running", worker
        return number

    def holds(self, token):
        number, attempt, worker = token
        return (
            self.state[number] == "running"
            and self.attempt[number] == attempt
            and self.holder[number] == worker
        )

    def bury(self, worker):
        for number, state in enumerate(self.state):
            if state == "running" and self.holder[number] == worker:
                self.tick += 1
                self.deaths[number] += 1
                dead = self.deaths[number] >= MAX_DEATHS
                self.state[number] = "failed" if dead else "waiting"

    def leave(self, worker):
        for number, state in enumerate(self.state):
            if state == "running" and self.holder[number] == worker:
                self.tick += 1
                self.state[number] = "waiting"


class StoreMachine(RuleBasedStateMachine):
    @initialize(budget=st.integers(1, 4))
    def start(self, budget):
        self.folder = tempfile.TemporaryDirectory()
        self.path = make_study(Path(self.folder.name), budget=budget)
        self.store = Store(self.path)
        self.model = Model(budget)
        self.workers = []
        self.tokens = []  # all that were ever given, with those of zombies
        self.join()

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    @rule()
    def join(self):
        self.workers.append(self.store.join(process.current(), "0", "3", None))

    @rule(data=st.data(), suggests=st.booleans())
    def claim(self, data, suggests):
        worker = data.draw(st.sampled_from(self.workers))
        suggest = (lambda number: ({"x": number / 9}, "search")) if suggests else None
        claim = self.store.claim(worker, "random/1", 0, suggest)
        number = self.model.claim(worker)
        assert (claim and claim.token.number) == number
        if claim is not None:
            self.tokens.append(claim.token)
            if claim.params is not None:
                self.model.suggested[number] = True
                assert claim.params == {"x": number / 9}
            assert (claim.params is not None) == self.model.suggested[number]

    def write(self, data, write, change):
        """A write by whoever has ever held a trial is done if, and only if, it still holds it."""
        token = data.draw(st.sampled_from(self.tokens))
        held = self.model.holds((token.number, token.attempt, token.worker))
        try:
            write(token)
        except LeaseLostError:
            assert not held
        else:
            assert held
            self.model.tick += 1
            change(token.number)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def suggest(self, data):
        def change(number):
            self.model.suggested[number] = True

        self.write(
            data, lambda t: self.store.suggest(t, {"x": t.number / 9}, "search", "random/1"), change
        )  # fmt: skip

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), step=st.integers(0, 3), value=st.floats(allow_nan=False))
    def report(self, data, step, value):
        def change(number):
            self.model.reports[number][self.model.attempt[number], step] = value

        self.write(data, lambda t: self.store.report(t, step, {"loss": value}), change)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), value=st.floats(allow_nan=False, allow_infinity=False))
    def tell(self, data, value):
        def change(number):
            self.model.state[number], self.model.value[number] = "complete", value

        outcome = Outcome("complete", value, {"loss": value})
        self.write(data, lambda t: self.store.tell(t, outcome, 1.0), change)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def fail(self, data):
        def change(number):
            self.model.state[number] = "failed"

        outcome = Outcome("failed", error="bad")
        self.write(data, lambda t: self.store.tell(t, outcome, 1.0), change)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def give_back(self, data):
        def change(number):
            self.model.state[number] = "waiting"

        self.write(data, self.store.give_back, change)

    @rule(data=st.data())
    def die(self, data):
        worker = data.draw(st.sampled_from(self.workers))
        self.store.bury([worker], "vanished")
        self.model.bury(worker)

    @rule(data=st.data())
    def leave(self, data):
        worker = data.draw(st.sampled_from(self.workers))
        self.store.leave(worker)
        self.model.leave(worker)

    @rule()
    def retry(self):
        failed = [n for n, state in enumerate(self.model.state) if state == "failed"]
        self.store.retry(failed)
        for number in failed:
            self.model.state[number], self.model.deaths[number] = "waiting", 0

    @rule(change=st.integers(-3, 2))
    def set_budget(self, change):
        wanted = max(self.model.budget + change, 0)
        self.store.set_budget(wanted)
        self.model.budget = max(wanted, len(self.model.state))

    @rule()
    def reopen(self):
        self.store.close()
        self.store = Store(self.path)

    @invariant()
    def the_file_is_as_the_model(self):
        if not hasattr(self, "store"):
            return
        trials = self.store.trials()
        model = self.model
        assert [t.number for t in trials] == list(range(len(model.state)))
        assert [t.state for t in trials] == model.state
        assert [t.attempt for t in trials] == model.attempt
        assert [t.deaths for t in trials] == model.deaths
        assert [t.value for t in trials if t.state == "complete"] == [
            value
            for value, state in zip(model.value, model.state, strict=True)
            if state == "complete"
        ]
        assert self.store.tick() == model.tick
        asked = [t.asked for t in trials]
        assert asked == sorted(set(asked))
        told = [t.told for t in trials if t.told is not None]
        assert len(told) == len(set(told))
        for trial in trials:
            expected = {
                step: value
                for (attempt, step), value in model.reports[trial.number].items()
                if attempt == trial.attempt
            }
            assert self.store.curves(trial).get("loss", {}) == expected


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
