"""Searches and rules on learning curves that nothing was chosen by: prints a table.

python benchmarks/stopping/untouched.py [--seeds 5] [--only "gp + hyperband"]

Curves of scikit-learn's models on its own data are recorded over grids, once, in
build/stopping/tables; between grid points the logarithm of the loss is interpolated linearly, so
that the best configuration is one of the grid's. Needs numpy and scikit-learn.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from compare import RUNS, Study
from numpy.typing import NDArray

from tinytune.distributions import Float, Int
from tinytune.space import Space

TRAININGS = 50
PAIRS = {
    f"{search} + {rules.partition('(')[0]}": (search, rules)
    for search in ("gp", "tpe")
    for rules in ("none", "hyperband(max_steps={R})")
}
WHOLE = {"batch", "hidden", "leaf", "depth"}
LOG = {"lr", "alpha", "batch", "hidden", "leaf"}
Axes = dict[str, NDArray[np.float64]]
Curve = Callable[..., NDArray[np.float64]]


def sgd_diabetes() -> tuple[Axes, Curve]:
    """Return the grid, and the mean squared error per epoch, of 27, over five splits."""
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import SGDRegressor
    from sklearn.model_selection import train_test_split

    x, y = load_diabetes(return_X_y=True)
    x, y = (x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std()
    splits = [train_test_split(np.arange(len(y)), test_size=0.3, random_state=s) for s in range(5)]
    axes = {
        "lr": np.logspace(-5, -0.5, 9),
        "alpha": np.logspace(-6, 0, 5),
        "l1": np.linspace(0, 1, 3),
        "power": np.linspace(0, 0.6, 3),
    }

    def curve(lr: float, alpha: float, l1: float, power: float) -> NDArray[np.float64]:
        total = np.zeros(27)
        for seed, (learn, test) in enumerate(splits):
            model = SGDRegressor(
                eta0=lr, alpha=alpha, penalty="elasticnet", l1_ratio=l1, power_t=power,
                learning_rate="invscaling", random_state=seed,
            )  # fmt: skip
            random = np.random.default_rng(seed)
            for epoch in range(27):
                order = learn[random.permutation(len(learn))]
                model.partial_fit(x[order], y[order])
                errors = (np.clip(model.predict(x[test]), -1e3, 1e3) - y[test]) ** 2
                total[epoch] += min(float(np.mean(errors)), 20.0)
        return total / 5

    return axes, curve


def adam_digits() -> tuple[Axes, Curve]:
    """Return the grid, and the log loss per epoch, of 27, of a network learning 700 digits."""
    from sklearn.datasets import load_digits
    from sklearn.metrics import log_loss
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    x, y = load_digits(return_X_y=True)
    x, classes = x / 16, np.arange(10)
    learn, test = train_test_split(np.arange(len(y)), test_size=0.4, random_state=0, stratify=y)
    axes = {
        "lr": np.logspace(-4, -0.5, 7),
        "alpha": np.logspace(-5, 1, 4),
        "batch": np.array([16.0, 64.0, 256.0]),
        "hidden": np.array([6.0, 16.0, 48.0]),
    }

    def curve(lr: float, alpha: float, batch: float, hidden: float) -> NDArray[np.float64]:
        size = int(batch)
        model = MLPClassifier(
            (int(hidden),), learning_rate_init=lr, alpha=alpha, batch_size=size, random_state=0
        )
        found, random = [], np.random.default_rng(1)
        for _ in range(27):
            order = random.permutation(learn[:700])
            for start in range(0, len(order) - size + 1, size):
                part = order[start : start + size]
                model.partial_fit(x[part], y[part], classes=classes)
            found.append(min(log_loss(y[test], model.predict_proba(x[test]), labels=classes), 20))
        return np.array(found)

    return axes, curve


def gbm_diabetes() -> tuple[Axes, Curve]:
    """Return the grid, and the mean squared error after each of 81 boosted trees."""
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.model_selection import train_test_split

    x, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    splits = [train_test_split(np.arange(len(y)), test_size=0.3, random_state=s) for s in range(3)]
    axes = {
        "lr": np.logspace(-2.5, 0, 8),
        "depth": np.array([1.0, 2.0, 3.0, 5.0]),
        "subsample": np.array([0.3, 0.6, 1.0]),
        "leaf": np.array([1.0, 8.0, 40.0]),
    }

    def curve(lr: float, depth: float, subsample: float, leaf: float) -> NDArray[np.float64]:
        total = np.zeros(81)
        for seed, (learn, test) in enumerate(splits):
            model = GradientBoostingRegressor(
                learning_rate=lr, max_depth=int(depth), subsample=subsample,
                min_samples_leaf=int(leaf), n_estimators=81, random_state=seed,
            ).fit(x[learn], y[learn])  # fmt: skip
            after = model.staged_predict(x[test])
            total += [min(float(np.mean((found - y[test]) ** 2)), 20.0) for found in after]
        return total / 3

    return axes, curve


PROBLEMS = (sgd_diabetes, adam_digits, gbm_diabetes)


class Table:
    """Recorded curves between whose grid points the logarithm is linear."""

    def __init__(self, name: str, axes: Axes, curves: NDArray[np.float64]) -> None:
        self.name, self._logs = name, np.log(curves)
        self.steps = curves.shape[-1]
        self._axes = {n: np.log(a) if n in LOG else a for n, a in axes.items()}
        self.parameters = [
            {"name": n, "type": "int" if n in WHOLE else "float", "log": n in LOG,
             "low": int(a[0]) if n in WHOLE else float(a[0]),
             "high": int(a[-1]) if n in WHOLE else float(a[-1])}
            for n, a in axes.items()
        ]  # fmt: skip
        self.best = float(np.exp(self._logs[..., -1].min()))
        space = Space.of(
            {p["name"]: (Int if p["type"] == "int" else Float)(p["low"], p["high"], log=p["log"])
             for p in self.parameters}
        )  # fmt: skip
        lasts = np.sort([self.curve(space.sample(0, n, "usual"))[-1] for n in range(4000)])
        self.usual = float(lasts[round((1 - 0.5 ** (1 / TRAININGS)) * 4000)])

    def curve(self, params: Any) -> NDArray[np.float64]:
        """Return the curve of a configuration."""
        part = self._logs
        for name, axis in self._axes.items():
            place = np.log(params[name]) if name in LOG else params[name]
            low = int(np.clip(np.searchsorted(axis, place, side="right") - 1, 0, len(axis) - 2))
            share = np.clip((place - axis[low]) / (axis[low + 1] - axis[low]), 0, 1)
            part = (1 - share) * part[low] + share * part[low + 1]
        return np.exp(part)

    def regret(self, seed: int, search: str, rules: str) -> float:
        """Return the regret after 50 trainings' worth of steps, normalised as in compare.py."""
        study = Study(self.parameters, seed, self.steps, search, rules)
        left, best = TRAININGS * self.steps, np.inf
        while left:
            config = study.ask()
            curve = self.curve(config)
            for step in range(1, min(self.steps, left) + 1):
                left -= 1
                is_stopped = study.report(config, step, float(curve[step - 1]))
                if step == self.steps:
                    best = min(best, float(curve[-1]))
                    study.tell(config, float(curve[-1]))
                elif is_stopped:
                    study.tell(config, None)
                    break
        return float(np.clip((best - self.best) / (self.usual - self.best), 0, 2))


def recorded(problem: Callable[[], tuple[Axes, Curve]], folder: Path) -> Table:
    """Return the table of a problem, recorded if it is not there."""
    axes, curve = problem()
    path = folder / f"{problem.__name__}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings(action="ignore"):
            curves = [curve(*point) for point in itertools.product(*axes.values())]
        np.save(path, np.reshape(curves, [*map(len, axes.values()), -1]).astype(np.float32))
    return Table(problem.__name__, axes, np.load(path).astype(np.float64))


def main() -> None:
    """Record what is missing, run, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=list(PAIRS))
    parser.add_argument("--problem", choices=[p.__name__ for p in PROBLEMS])
    parser.add_argument("--tables", type=Path, default=RUNS / "tables")
    asked = parser.parse_args()
    wanted = [p for p in PROBLEMS if asked.problem in (None, p.__name__)]
    tables = [recorded(problem, asked.tables) for problem in wanted]
    print("| |", " | ".join(table.name for table in tables), "|\n|" + " --- |" * (len(tables) + 1))
    for label in [asked.only] if asked.only else PAIRS:
        cells = []
        for table in tables:
            found = [table.regret(seed, *PAIRS[label]) for seed in range(asked.seeds)]
            cells.append(f"{np.mean(found):.2f} ± {np.std(found, ddof=1) / len(found) ** 0.5:.2f}")
        print(f"| {label} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
