"""Callbacks in the real libraries: every step is reported, and a stop leaves the library whole.

`make test` has scikit-learn alone; `make integrations` installs the others, and then skips none.
"""

import importlib
import os
import re
import sys
import warnings
from typing import Annotated, Any

import numpy as np
import pytest

import tinytune
from tests.shell import ROOT
from tinytune import Float, loading
from tinytune.errors import ObjectiveError, TinytuneError

MODULES = {
    "lightgbm": "lightgbm",
    "xgboost": "xgboost",
    "keras": "keras",
    "lightning": "lightning.pytorch",
    "sklearn": "sklearn",
}
pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' own


def loaded(extra: str) -> Any:
    """Return a library, or skip the test and say why."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(MODULES[extra])
        except ImportError as error:
            if "TINYTUNE_INTEGRATIONS" in os.environ:
                raise
            pytest.skip(f"{extra} is not installed ({error}): make integrations")


def data(rows: int = 80):
    """Return a line with noise: (n, 2), (n,)."""
    generator = np.random.RandomState(0)
    features = generator.rand(rows, 2)
    return features, features[:, 0] * 3 + generator.rand(rows) / 10


class LightGbm:
    """Each of these trains 6 steps and returns what the library itself remembers of them."""

    steps, own_name = 6, "valid_0-l2"
    wrong = "give it valid_sets"

    @staticmethod
    def train(callback, lr, *, evaluate=True):
        lightgbm = loaded("lightgbm")
        x, y = data()
        train = lightgbm.Dataset(x[:60], y[:60])
        history = {}
        booster = lightgbm.train(
            {"learning_rate": lr, "verbose": -1, "num_threads": 1, "metric": ["l2", "l1"]},
            train,
            num_boost_round=6,
            valid_sets=[train.create_valid(x[60:], y[60:])] if evaluate else None,
            callbacks=[callback, lightgbm.record_evaluation(history)],
        )
        assert booster.current_iteration() == len(history["valid_0"]["l2"])  # it is left whole
        assert booster.best_iteration in {0, booster.current_iteration()}
        assert booster.predict(x).shape == (80,)
        return history["valid_0"]["l2"]


class XgBoost:
    steps, own_name = 6, "valid-rmse"
    wrong = "give it evals"

    @staticmethod
    def train(callback, lr, *, evaluate=True):
        xgboost = loaded("xgboost")
        x, y = data()
        history = {}
        booster = xgboost.train(
            {"learning_rate": lr, "nthread": 1, "eval_metric": ["rmse", "mae"]},
            xgboost.DMatrix(x[:60], y[:60]),
            num_boost_round=6,
            evals=[(xgboost.DMatrix(x[60:], y[60:]), "valid")] if evaluate else [],
            evals_result=history,
            callbacks=[callback],
            verbose_eval=False,
        )
        assert booster.num_boosted_rounds() == len(history["valid"]["rmse"])
        assert booster.predict(xgboost.DMatrix(x)).shape == (80,)
        return history["valid"]["rmse"]


class Keras:
    steps, own_name = 6, "val_loss"
    wrong = None  # there always is a loss

    @staticmethod
    def train(callback, lr, *, evaluate=True):
        keras = loaded("keras")
        x, y = data()
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(lr), "mse", metrics=["mae"])
        history = model.fit(
            x[:60], y[:60], validation_data=(x[60:], y[60:]) if evaluate else None,
            epochs=6, verbose=0, callbacks=[callback],
        )  # fmt: skip
        assert model.predict(x, verbose=0).shape == (80, 1)
        return history.history["val_loss"]


class Lightning:
    steps, own_name = 6, "val_loss"
    wrong = "log something in the module"

    @staticmethod
    def train(callback, lr, *, evaluate=True):
        pytorch = loaded("lightning")
        import torch

        class Line(pytorch.LightningModule):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(2, 1)
                self.seen = []

            def loss(self, batch):
                x, y = batch
                return torch.nn.functional.mse_loss(self.layer(x)[:, 0], y)

            def training_step(self, batch):
                return self.loss(batch)

            def validation_step(self, batch):
                self.log("val_loss", self.loss(batch))

            def on_validation_epoch_end(self):
                if not self.trainer.sanity_checking:
                    self.seen.append(float(self.trainer.callback_metrics["val_loss"]))

            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), lr)

        torch.manual_seed(0)
        torch.set_num_threads(1)
        x, y = (torch.tensor(part, dtype=torch.float32) for part in data())
        train, valid = (
            torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*part), batch_size=20)
            for part in ((x[:60], y[:60]), (x[60:], y[60:]))
        )
        trainer = pytorch.Trainer(
            max_epochs=6, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, callbacks=[callback],
        )  # fmt: skip
        module = Line()
        trainer.fit(module, train, valid if evaluate else None)
        assert trainer.state.finished
        assert not trainer.interrupted
        assert trainer.current_epoch == len(module.seen)
        return module.seen


class PartialFit:
    """scikit-learn has no callbacks: the loop is ours."""

    steps, own_name = 6, "score"

    @staticmethod
    def train(callback, lr):
        loaded("sklearn")
        from sklearn.linear_model import SGDRegressor
        from sklearn.metrics import mean_squared_error

        from tinytune.integrations import sklearn

        x, y = data()
        seen = []

        def scoring(model, features, targets):
            seen.append(mean_squared_error(targets, model.predict(features)))
            return seen[-1]

        model = SGDRegressor(learning_rate="constant", eta0=lr / 10, random_state=0)
        last = sklearn.partial_fit(
            model, x[:60], y[:60], epochs=6, validation=(x[60:], y[60:]), metric="loss",
            scoring=scoring,
        )  # fmt: skip
        assert last == seen[-1]
        return seen


LIBRARIES = {
    "lightgbm": LightGbm,
    "xgboost": XgBoost,
    "keras": Keras,
    "lightning": Lightning,
    "sklearn": PartialFit,
}
WITH_CALLBACKS = [extra for extra in LIBRARIES if extra != "sklearn"]


def callback_of(extra: str, **names: str) -> Any:
    loaded(extra)
    if extra == "sklearn":
        return None
    return importlib.import_module(f"tinytune.integrations.{extra}").callback(**names)


def tuned(folder, extra, *, stopping=None, names=None, trials=1):
    """Train in a study; return it, and what the library itself recorded in the last trial."""
    names = {"loss": LIBRARIES[extra].own_name} if names is None else names
    loaded(extra)
    seen = []

    @tinytune.trial(minimize="loss")
    def objective(lr: Annotated[float, Float(0.01, 0.2)] = 0.1) -> float:
        seen[:] = LIBRARIES[extra].train(callback_of(extra, **names), lr)
        return seen[-1]

    study = objective.tune(
        folder / "study.db",
        search="random", trials=trials, stopping=stopping, max_failures=99, quiet=True,
    )  # fmt: skip
    return study, seen


@pytest.mark.parametrize("extra", LIBRARIES)
def test_every_step_is_reported(tmp_path, extra):
    study, seen = tuned(tmp_path, extra)
    (trial,) = study.trials()
    assert trial.state == "complete", trial.error
    assert len(seen) == 6
    assert study.curves(0) == {"loss": pytest.approx(dict(enumerate(seen)))}


@pytest.mark.parametrize("extra", WITH_CALLBACKS)
def test_without_names_every_metric_is_reported(tmp_path, extra):
    study, seen = tuned(tmp_path, extra, names={})
    curves = study.curves(0)
    assert list(curves[LIBRARIES[extra].own_name].values()) == pytest.approx(seen)
    assert len(curves) == {"keras": 4, "lightning": 1}.get(extra, 2)


@pytest.mark.parametrize("extra", LIBRARIES)
def test_a_rule_ends_the_training_and_then_the_trial(tmp_path, extra):
    """A loss that should be above itself: it stops where the grace ends, whatever the direction."""
    study, seen = tuned(tmp_path, extra, stopping="threshold(upper=0, grace=3, metric=loss)")
    (trial,) = study.trials()
    assert len(seen) == 3  # the library has trained no longer, and left its loop by itself
    assert (trial.state, trial.value) == ("stopped", pytest.approx(seen[-1]))
    assert len(study.curves(0)["loss"]) == 3


@pytest.mark.parametrize("extra", LIBRARIES)
def test_outside_of_a_study_it_trains_to_the_end(extra):
    names = {"anything": LIBRARIES[extra].own_name}
    assert len(LIBRARIES[extra].train(callback_of(extra, **names), 0.1)) == 6


@pytest.mark.parametrize("extra", WITH_CALLBACKS)
def test_a_metric_that_is_not_there_fails_the_trial_and_names_those_that_are(tmp_path, extra):
    study, _ = tuned(tmp_path, extra, names={"loss": "typo"})
    (trial,) = study.trials()
    assert trial.state == "failed"
    assert "no 'typo' to report at step 0" in trial.error
    assert LIBRARIES[extra].own_name in trial.error


@pytest.mark.parametrize("extra", [e for e in WITH_CALLBACKS if LIBRARIES[e].wrong])
def test_without_any_evaluation_it_says_what_to_do(extra):
    callback = callback_of(extra)
    with pytest.raises(TinytuneError, match=LIBRARIES[extra].wrong):
        LIBRARIES[extra].train(callback, 0.1, evaluate=False)


@pytest.mark.parametrize("extra", LIBRARIES)
def test_a_missing_library_is_named_with_what_installs_it(monkeypatch, extra):
    module = importlib.import_module(f"tinytune.integrations.{extra}")  # needs no library yet
    for name in list(sys.modules):
        if name.split(".")[0] == extra:
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, extra, None)
    x, y = data()
    with pytest.raises(ObjectiveError, match=rf"pip install 'tinytune\[{extra}\]'") as caught:
        module.cross_val_score(None, x, y, metric="r2") if extra == "sklearn" else module.callback()
    assert "\n" not in str(caught.value)


def test_every_extra_is_declared():
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert set(MODULES) <= set(extras)
    assert re.findall(r"\w+", extras["integrations"][0])[1:] == sorted(MODULES)


def lightgbm_cv(callback):
    lightgbm = loaded("lightgbm")
    x, y = data()
    found = lightgbm.cv(
        {"verbose": -1, "num_threads": 1, "metric": "l2"},
        lightgbm.Dataset(x, y),
        num_boost_round=6, nfold=2, stratified=False, callbacks=[callback],
    )  # fmt: skip
    return found["valid l2-mean"]


def lightgbm_estimator(callback):
    lightgbm = loaded("lightgbm")
    x, y = data()
    model = lightgbm.LGBMRegressor(n_estimators=6, verbose=-1, n_jobs=1)
    model.fit(x[:60], y[:60], eval_set=[(x[60:], y[60:])], eval_metric="l2", callbacks=[callback])
    return model.evals_result_["valid_0"]["l2"]


def xgboost_cv(callback):
    xgboost = loaded("xgboost")
    x, y = data()
    found = xgboost.cv(
        {"nthread": 1}, xgboost.DMatrix(x, y),
        num_boost_round=6, nfold=2, metrics=["rmse"], callbacks=[callback], as_pandas=False,
    )  # fmt: skip
    return found["test-rmse-mean"]


def xgboost_estimator(callback):
    xgboost = loaded("xgboost")
    x, y = data()
    model = xgboost.XGBRegressor(n_estimators=6, n_jobs=1, callbacks=[callback])
    model.fit(x[:60], y[:60], eval_set=[(x[60:], y[60:])], verbose=False)
    return model.evals_result()["validation_0"]["rmse"]


@pytest.mark.parametrize(
    ("extra", "name", "train"),
    [
        ("lightgbm", "valid-l2", lightgbm_cv),
        ("lightgbm", "valid_0-l2", lightgbm_estimator),
        ("xgboost", "test-rmse", xgboost_cv),
        ("xgboost", "validation_0-rmse", xgboost_estimator),
    ],
)
@pytest.mark.parametrize("stops", [False, True])
def test_cross_validation_and_estimators_of_the_libraries(tmp_path, extra, name, train, stops):
    seen = []

    @tinytune.trial(minimize="loss", space={"x": Float(0, 1)})
    def objective(x=0.5):
        seen[:] = train(callback_of(extra, loss=name))
        return seen[-1]

    loaded(extra)
    rule = "threshold(upper=0, grace=3)" if stops else None
    study = objective.tune(tmp_path / "study.db", trials=1, stopping=rule, quiet=True)
    (trial,) = study.trials()
    assert trial.state == ("stopped" if stops else "complete"), trial.error
    assert len(seen) == (3 if stops else 6)
    assert list(study.curves(0)["loss"].values()) == pytest.approx(list(seen))


@pytest.mark.parametrize("stops", [False, True])
def test_lightgbm_s_own_early_stopping_beside_ours(tmp_path, stops):
    lightgbm = loaded("lightgbm")
    kept = []

    @tinytune.trial(minimize="loss", space={"x": Float(0, 1)})
    def objective(x=0.5):
        features, targets = data()
        train = lightgbm.Dataset(features[:60], targets[:60])
        booster = lightgbm.train(
            {"learning_rate": 0.9, "verbose": -1, "num_threads": 1},
            train,
            num_boost_round=50,
            valid_sets=[train.create_valid(features[60:], targets[60:])],
            callbacks=[lightgbm.early_stopping(3), callback_of("lightgbm", loss="valid_0-l2")],
        )
        kept.append((booster.current_iteration(), booster.best_iteration))
        return 1.0

    rule = "threshold(upper=0, grace=2)" if stops else None
    study = objective.tune(tmp_path / "study.db", trials=1, stopping=rule, quiet=True)
    curve = study.curves(0)["loss"]
    ((made, best),) = kept
    if stops:
        assert (len(curve), made, best) == (2, 2, 2)
    else:
        assert 3 < len(curve) < 50
        assert best == len(curve) - 3  # its last iteration is reported too
        assert best == made == min(curve, key=curve.get) + 1


def goes_on_in_lightgbm(callback):
    lightgbm = loaded("lightgbm")
    dataset = lightgbm.Dataset(*data(), free_raw_data=False)
    booster = None
    for _ in range(2):
        booster = lightgbm.train(
            {"verbose": -1, "num_threads": 1}, dataset, 3, valid_sets=[dataset], init_model=booster,
            callbacks=[callback()], keep_training_booster=True,
        )  # fmt: skip


def goes_on_in_xgboost(callback):
    xgboost = loaded("xgboost")
    dataset = xgboost.DMatrix(*data())
    booster = None
    for _ in range(2):
        rounds = booster.num_boosted_rounds() if booster else 0
        booster = xgboost.train(
            {"nthread": 1}, dataset, 3, evals=[(dataset, "train")], xgb_model=booster,
            verbose_eval=False, callbacks=[callback(start=rounds)],
        )  # fmt: skip


def goes_on_in_keras(callback):
    keras = loaded("keras")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    for begin in (0, 3):
        model.fit(*data(), epochs=begin + 3, initial_epoch=begin, verbose=0, callbacks=[callback()])


@pytest.mark.parametrize("train", [goes_on_in_lightgbm, goes_on_in_xgboost, goes_on_in_keras])
def test_a_loaded_model_goes_on_with_its_steps(tmp_path, train):
    extra = train.__name__.removeprefix("goes_on_in_")
    loaded(extra)

    @tinytune.trial(minimize="loss", space={"x": Float(0, 1)})
    def objective(x=0.5):
        train(importlib.import_module(f"tinytune.integrations.{extra}").callback)
        return x

    study = objective.tune(tmp_path / "study.db", trials=1, quiet=True)
    (curve, *_) = study.curves(0).values()
    assert list(curve) == [0, 1, 2, 3, 4, 5], study.trials()[0].error


def test_keras_goes_on_with_the_next_fit(tmp_path):
    """A model that a rule has stopped is not left in a state that stops the next training."""
    keras = loaded("keras")
    x, y = data()
    epochs = []

    @tinytune.trial(minimize="loss", space={"lr": Float(0, 1)})
    def objective(lr=0.5):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        for callbacks in ([callback_of("keras")], []):
            history = model.fit(x, y, epochs=5, verbose=0, callbacks=callbacks)
            epochs.append(len(history.epoch))
        return 1.0

    objective.tune(
        tmp_path / "study.db", trials=1, stopping="threshold(upper=0, grace=2)", quiet=True
    )
    assert epochs == [2, 5]


def folds(**options):
    loaded("sklearn")
    from sklearn.datasets import load_iris
    from sklearn.model_selection import StratifiedKFold
    from sklearn.neighbors import KNeighborsClassifier

    x, y = load_iris(return_X_y=True)
    splitter = StratifiedKFold(5, shuffle=True, random_state=3)
    return KNeighborsClassifier(**options), x, y, splitter


@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_folds_have_the_scores_that_scikit_learn_gives_them(scoring):
    from sklearn.model_selection import cross_val_score

    from tinytune.integrations import sklearn

    model, x, y, splitter = folds()
    theirs = cross_val_score(model, x, y, cv=splitter, scoring=scoring)
    ours = sklearn.cross_val_score(model, x, y, metric="m", cv=splitter, scoring=scoring)
    assert ours.tolist() == theirs.tolist()
    default = sklearn.cross_val_score(model, x, y, metric="m")
    assert default.tolist() == cross_val_score(model, x, y).tolist()


@pytest.mark.parametrize("splits", [3, "groups"])
def test_folds_by_number_and_by_group(splits):
    from sklearn.model_selection import GroupKFold, cross_val_score

    from tinytune.integrations import sklearn

    model, x, y, _ = folds()
    how = {"cv": splits}
    if splits == "groups":
        how = {"cv": GroupKFold(4), "groups": np.arange(len(y)) % 8}
    theirs = cross_val_score(model, x, y, **how)
    assert sklearn.cross_val_score(model, x, y, metric="m", **how).tolist() == theirs.tolist()


def race(folder, rule):
    from tinytune.integrations import sklearn

    ran = []

    @tinytune.trial(maximize="accuracy", space={"n_neighbors": tinytune.Int(1, 90)})
    def objective(n_neighbors=5):
        model, x, y, splitter = folds(n_neighbors=n_neighbors)
        scores = sklearn.cross_val_score(model, x, y, metric="accuracy", cv=splitter)
        ran.append(len(scores))
        return scores.mean()

    study = objective.tune(
        folder / f"{rule}.db", search="random", trials=20, stopping=rule, quiet=True
    )
    return study, ran


def test_racing_finds_the_same_best_with_fewer_folds(tmp_path):
    whole, all_folds = race(tmp_path, None)
    raced, fewer = race(tmp_path, "racing(folds=5)")
    assert raced.best.number == whole.best.number
    assert raced.best.value == whole.best.value
    assert all_folds == [5] * 20
    assert sum(fewer) < 80  # of 100
    for trial, ran in zip(raced.trials(), fewer, strict=True):
        assert (trial.state == "complete") == (ran == 5)
        reported = raced.curves(trial.number)["accuracy"]
        assert list(reported) == list(range(ran))
        assert trial.value == pytest.approx(sum(reported.values()) / ran)


def test_an_epoch_sees_the_same_rows_wherever_it_begins(tmp_path):
    """A loaded model that goes on at `start` is the one that never stopped."""
    loaded("sklearn")
    from sklearn.linear_model import SGDRegressor

    from tinytune.integrations import sklearn

    x, y = data()
    whole, parts = SGDRegressor(random_state=0), SGDRegressor(random_state=0)
    how = {"validation": (x, y), "metric": "r2"}
    score = sklearn.partial_fit(whole, x, y, epochs=4, **how)
    sklearn.partial_fit(parts, x, y, epochs=2, **how)
    assert sklearn.partial_fit(parts, x, y, epochs=4, start=2, **how) == score
    assert parts.coef_.tolist() == whole.coef_.tolist()
    assert sklearn.partial_fit(parts, x, y, epochs=4, start=4, **how) == score  # nothing is left


def test_rows_come_in_another_order_in_each_epoch_and_trial(tmp_path):
    loaded("sklearn")
    from tinytune.integrations import sklearn

    base = importlib.import_module("sklearn.base").BaseEstimator
    y = np.arange(20)
    orders = []

    class Rows(base):
        """A model that remembers in which order it saw its rows."""

        def fit(self):
            """Do nothing: scikit-learn takes what has it for a model."""

        def partial_fit(self, x, y):
            assert (x[:, 0] == y).all()
            orders.append(tuple(y))

        def score(self, x, y):
            return 0.0

    @tinytune.trial(maximize="score", space={"x": Float(0, 1)})
    def objective(x=0.5):
        how = {"validation": (None, None), "metric": "score"}
        return sklearn.partial_fit(Rows(), y[:, None], y, epochs=3, **how)

    objective.tune(tmp_path / "study.db", search="random", trials=2, quiet=True)
    assert len(set(orders)) == 6
    assert all(sorted(order) == y.tolist() for order in orders)


def test_a_model_without_partial_fit_is_named():
    loaded("sklearn")
    from sklearn.svm import SVC

    from tinytune.integrations import sklearn

    _, x, y, _ = folds()
    with pytest.raises(ObjectiveError, match=r"^SVC has no partial_fit"):
        sklearn.partial_fit(SVC(), x, y, epochs=2, validation=(x, y), metric="accuracy")


def test_classifiers_are_told_their_classes():
    loaded("sklearn")
    from sklearn.linear_model import SGDClassifier

    from tinytune.integrations import sklearn

    _, x, y, _ = folds()
    model = SGDClassifier(random_state=0)
    score = sklearn.partial_fit(model, x, y, epochs=3, validation=(x, y), metric="accuracy")
    assert score == model.score(x, y) > 0.5


EXAMPLES = re.findall(
    r"^## ([\w -]+)\n.*?^```python\n(.*?)^```",
    (ROOT / "docs" / "integrations.md").read_text(),
    re.MULTILINE | re.DOTALL,
)


@pytest.mark.parametrize(("title", "text"), EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_the_examples_of_the_page_run(tmp_path, title, text):
    extra = {"scikit-learn": "sklearn"}.get(title, title.lower())
    for library in {extra, "sklearn"} & MODULES.keys():
        loaded(library)
    (tmp_path / "train.py").write_text(text)
    hopeless = "patience(patience=1, min_delta=1e9, grace=3)"  # whatever is reported
    objective = loading.load(f"{tmp_path / 'train.py'}:train")
    with objective.tune(
        tmp_path / "study.db", search="random", trials=2, stopping=hopeless, quiet=True
    ) as study:
        goal = study.record.goals[0].name
        for trial in study.trials():
            assert trial.state == "stopped", trial.error
            curve = study.curves(trial.number)[goal]
            assert list(curve) == [0, 1, 2]
            assert curve[2] == pytest.approx(trial.value)


def test_the_page_has_an_example_of_each_library():
    assert len(EXAMPLES) == len(MODULES) + 1
