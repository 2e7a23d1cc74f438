"""A short torture; `make torture` does a thousand kills."""

import pytest

from tests.faults.kills import Torture


@pytest.mark.parametrize("mode", ["one", "four"])
@pytest.mark.parametrize("search", ["random", "grid", "learner"])
def test_killed_at_random_nothing_is_lost_and_nothing_done_twice(tmp_path, search, mode):
    outcome = Torture(tmp_path, search, mode, kills=6, seed=7).go()
    assert outcome.wrong == []
    assert outcome.kills >= (4 if search == "grid" else 6)  # a grid may be used up before
    assert outcome.acknowledged_results > 10
    assert outcome.acknowledged_reports > 50
