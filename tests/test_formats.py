"""What the columns of the tables hold, whatever parameters and objectives are called."""

import csv
import io

from tests.studies import record
from tinytune import study as study_module
from tinytune.distributions import Float
from tinytune.history import Goal, Outcome
from tinytune.output import formats
from tinytune.space import Space
from tinytune.store.reader import Reader
from tinytune.study import Study


def row(tmp_path, params, goals, outcome, columns=None):
    """Return the only trial's row of a study, by its columns."""
    space = Space.of({name: Float(0, 9) for name in params}, params)
    goals = tuple(Goal(name, "minimize") for name in goals)
    path = tmp_path / "study.db"
    study_module.start(path, record(budget=1, space=space)._replace(goals=goals), None)
    with Study(path) as study:
        study.tell(study.ask(), outcome)
    with Reader(path) as reader:
        text = formats.trials_text(
            reader.trials(), reader.study(), formats.ListFormat.CSV, columns=columns
        )
        header, cells = csv.reader(io.StringIO(text))
        assert len(header) == len(set(header))
        ordered = formats.sorted_trials(reader.trials(), reader.study(), header[-1])
        assert len(ordered) == 1
    found = dict(zip(header, cells, strict=True))
    found.pop("seconds")
    return found


def test_parameters_named_like_facts_have_columns_as_in_the_view(tmp_path):
    found = row(tmp_path, {"number": 1, "state": 2, "value": 3, "error": 4}, ["loss"], {"loss": 5})
    params = {"number_": "1.0", "state_": "2.0", "value_": "3.0", "error_": "4.0"}
    assert found == {"number": "0", "state": "complete", "loss": "5.0", **params}


def test_objectives_named_like_facts_or_parameters_keep_their_own_values(tmp_path):
    results = {"state": 5, "x": 6, "tags": 7}
    found = row(tmp_path, {"x": 1}, ["state", "x", "tags"], results)
    goals = {"value": "5.0", "x_": "6.0", "tags_": "7.0"}
    assert found == {"number": "0", "state": "complete", **goals, "x": "1.0"}


def test_why_a_trial_failed_has_a_column_beside_an_objective_named_error(tmp_path):
    failed = Outcome("failed", error="ValueError: no")
    found = row(tmp_path, {"x": 1}, ["error"], failed)
    assert (found["error"], found["failure"]) == ("", "ValueError: no")


def test_the_column_of_failures_can_be_chosen(tmp_path):
    failed = Outcome("failed", error="ValueError: no")
    columns = ["number", "failure", "seconds"]
    assert row(tmp_path, {"x": 1}, ["error"], failed, columns)["failure"] == "ValueError: no"
