"""Small studies to test with."""

from tinytune import study as study_module
from tinytune.distributions import Choice, Float, Int
from tinytune.history import Goal, ObjectiveReference, SearchSpec, StudyRecord
from tinytune.space import Space
from tinytune.study import Study

SPACE = Space.of(
    {
        "x": Float(-1.0, 1.0),
        "kind": Choice("a", "b"),
        "n": Int(1, 5, when={"kind": "b"}),
        "value": Float(0.0, 1.0, step=0.5),  # a name that the views use themselves
    },
    {"x": 0.5, "kind": "a", "n": 3, "value": 0.5},
)


DEFAULTS = {"random": {"without_replacement": False}}


def record(budget=6, search="random", seed=1, space=SPACE, direction="minimize", **options):
    return StudyRecord(
        space=space,
        search=SearchSpec(search, 1, options or DEFAULTS.get(search, {})),
        goals=(Goal("loss", direction),),
        settings={"epochs": 3},
        seed=seed,
        use_defaults=True,
        budget=budget,
        objective=ObjectiveReference("train"),
    )


def make_study(folder, **changes):
    path = folder / "study.db"
    assert study_module.start(path, record(**changes), None)
    return path


def run_all(path):
    """Run every trial of a study with a simple objective."""
    with Study(path) as study:
        while (trial := study.ask()) is not None:
            trial.report(0, loss=trial.params["x"])
            study.tell(trial, trial.params["x"] ** 2)
