"""Starting values reach the rates that theory predicts, equal their formulas, and say why."""

import math
from typing import Annotated

import numpy as np
import pytest

import tinytune
from tinytune import Float, recipes
from tinytune.errors import UsageError

MU, L = 0.5, 40.0
DIMENSION = 12


def problem(seed=0):
    """Return a positive definite matrix with eigenvalues from MU to L, and the optimum."""
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.normal(size=(DIMENSION, DIMENSION)))
    return basis @ np.diag(np.geomspace(MU, L, DIMENSION)) @ basis.T, rng.normal(size=DIMENSION)


def descend(gradient, start, recipe, steps, *, ahead=False):
    """Yield the points of gradient descent with momentum, Nesterov's where it looks ahead."""
    x = before = start
    for _ in range(steps):
        moved = x + recipe.momentum * (x - before)
        x, before = moved - recipe.step * gradient(moved if ahead else x), x
        yield x


METHODS = {
    "gradient_descent": (recipes.gradient_descent, False),
    "heavy_ball": (recipes.heavy_ball, False),
    "nesterov": (recipes.nesterov, True),
}


@pytest.mark.parametrize("name", METHODS)
def test_the_predicted_rate_is_reached_on_a_quadratic(name):
    method, ahead = METHODS[name]
    recipe, (matrix, optimum) = method(MU, L), problem()
    errors = [
        float(np.linalg.norm(x - optimum))
        for x in descend(lambda x: matrix @ (x - optimum), optimum + 1.0, recipe, 100, ahead=ahead)
    ]
    reached = (errors[99] / errors[29]) ** (1 / 70)
    assert reached <= recipe.rate + 0.02  # heavy ball's falls as k times its rate's power
    if name != "nesterov":  # whose guarantee is for more than quadratics
        assert reached >= recipe.rate - 0.02


def test_no_other_step_is_better_for_a_quadratic():
    """A step or momentum that is a tenth off has a larger spectral radius."""

    def radius(step, momentum):
        return max(
            np.abs(np.roots([1.0, -(1 + momentum - step * curvature), momentum])).max()
            for curvature in np.geomspace(MU, L, 200)
        )

    descent, ball = recipes.gradient_descent(MU, L), recipes.heavy_ball(MU, L)
    assert radius(descent.step, 0.0) == pytest.approx(descent.rate)
    assert radius(ball.step, ball.momentum) == pytest.approx(ball.rate, abs=1e-6)
    for factor in (0.9, 1.1):
        assert radius(factor * descent.step, 0.0) > descent.rate + 1e-3
        assert radius(factor * ball.step, ball.momentum) > ball.rate + 1e-3
        assert radius(ball.step, min(0.999, factor * ball.momentum)) > ball.rate + 1e-3


@pytest.mark.parametrize("name", ["gradient_descent", "nesterov"])
def test_the_predicted_rate_is_reached_on_logistic_regression(name):
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(80, 5)) * [1, 2, 1, 0.5, 3]
    labels = np.where(rows @ [1, -1, 0.5, 2, 0] + rng.normal(size=80) > 0, 1.0, -1.0)
    penalty = 0.1

    def gradient(w):
        slopes = -labels / (1 + np.exp(labels * (rows @ w)))
        return rows.T @ slopes / len(rows) + penalty * w

    def hessian_vector(v):  # at any point no more than with weights of 1/4
        return rows.T @ (rows @ v) / (4 * len(rows)) + penalty * v

    curvature = recipes.largest_curvature(hessian_vector, 5).value
    method, ahead = METHODS[name]
    recipe = method(penalty, curvature)
    *_, optimum = descend(gradient, np.zeros(5), recipe, 5_000, ahead=ahead)
    errors = [np.linalg.norm(optimum)]
    errors += [
        np.linalg.norm(x - optimum)
        for x in descend(gradient, np.zeros(5), recipe, 100, ahead=ahead)
    ]
    scale = math.sqrt(1 + curvature / penalty)  # Nesterov's bound is on the values
    bound = [scale * errors[0] * recipe.rate**k for k in range(101)]
    assert all(error <= most + 1e-9 for error, most in zip(errors, bound, strict=True))
    assert errors[100] < 0.05 * errors[0]


def test_the_largest_curvature():
    matrix, _ = problem(3)
    found = recipes.largest_curvature(lambda v: matrix @ v, DIMENSION)
    assert found.value == pytest.approx(L, rel=1e-6)
    assert recipes.largest_curvature(lambda v: matrix @ v, DIMENSION) == found
    assert recipes.largest_curvature(lambda v: -3 * v, 4).value == pytest.approx(3)
    assert recipes.largest_curvature(lambda v: 0 * v, 4).value == 0
    with pytest.raises(UsageError, match="product 1 is not finite"):
        recipes.largest_curvature(lambda v: v * math.nan, 4)


def test_formulas():
    assert recipes.gradient_descent(0, 4).step == 0.25
    assert recipes.scaled_step(0.1, 256, 64).value == pytest.approx(0.4)
    assert recipes.scaled_step(0.1, 256, 64, "sqrt").value == pytest.approx(0.2)
    assert recipes.ridge(2.0, [1.0, 2.0, 2.0]).value == pytest.approx(6 / 9)
    assert recipes.lasso(0.5, 200, 50).value == pytest.approx(0.5 * math.sqrt(math.log(50) / 100))
    samples = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]  # distances 1, 1, sqrt(2)
    assert recipes.svm_gamma(samples).value == pytest.approx(0.5)
    assert recipes.svm_gamma(samples, "scale").value == pytest.approx(1 / (2 * np.var(samples)))
    assert recipes.forest_mtry(64, "classification").value == 8
    assert recipes.forest_mtry(64, "regression").value == 21
    assert recipes.forest_mtry(1, "regression").value == 1
    assert recipes.adam().step == 0.001


def test_a_bandwidth_equals_scipys():
    from scipy import stats

    x = np.random.default_rng(2).normal(size=400)
    scott = stats.gaussian_kde(x, "scott").factor * x.std(ddof=1)  # without the constant 1.06
    assert recipes.bandwidth(x, "scott").value == pytest.approx(1.06 * scott)
    spread = min(x.std(ddof=1), stats.iqr(x) / 1.34)
    assert recipes.bandwidth(x).value == pytest.approx(0.9 * spread * 400**-0.2)
    assert recipes.bandwidth([0.0] * 9 + [1.0]).value > 0  # whose quartiles are equal


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: recipes.heavy_ball(0, 1), "mu must be above 0, not 0"),
        (lambda: recipes.nesterov(2, 1), "the curvatures must be 0 <= mu <= L and 0 < L"),
        (lambda: recipes.gradient_descent(0, math.nan), "the curvatures must be"),
        (lambda: recipes.scaled_step(0.1, 0, 64), "batch must be above 0, not 0"),
        (lambda: recipes.scaled_step(0.1, 1, 64, "cubic"), "'linear' or 'sqrt', not 'cubic'"),
        (lambda: recipes.ridge(1.0, [0.0]), "the weights must not all be 0"),
        (lambda: recipes.lasso(1.0, 0, 5), "rows must be above 0"),
        (lambda: recipes.svm_gamma([[1.0], [1.0]]), "the samples do not differ"),
        (lambda: recipes.svm_gamma([1.0, 2.0]), "samples must be finite, in at least two rows"),
        (lambda: recipes.svm_gamma([[1.0], [2.0]], "auto"), "'median' or 'scale', not 'auto'"),
        (lambda: recipes.bandwidth([1.0, 1.0]), "at least two that differ"),
        (lambda: recipes.bandwidth([1.0, 2.0], "auto"), "'silverman' or 'scott', not 'auto'"),
        (lambda: recipes.forest_mtry(0, "regression"), "columns must be above 0"),
        (lambda: recipes.forest_mtry(4, "ranking"), "'classification' or 'regression'"),
        (lambda: recipes.largest_curvature(lambda v: v, 0), "must be at least 1"),
        (lambda: recipes.largest_curvature(lambda v: v, "x"), "must be at least 1"),
        (lambda: recipes.largest_curvature(3, 2), "3 is no function of a vector"),
        (lambda: recipes.largest_curvature(lambda v: v[:1], 2), r"product has the shape \(1,\)"),
        (lambda: recipes.heavy_ball("x", None), "not mu='x' and L=None"),
        (lambda: recipes.lasso([], 1, 1), r"noise_std must be above 0, not \[\]"),
        (lambda: recipes.ridge(1.0, "x"), "weights must be an array of numbers, not 'x'"),
        (lambda: recipes.forest_mtry(2.5, "regression"), "columns must be above 0, and whole"),
    ],
)
def test_what_makes_no_sense_is_refused(call, complaint):
    with pytest.raises(UsageError, match=complaint):
        call()


def test_each_says_why():
    x = np.arange(6.0)
    for found in (
        recipes.gradient_descent(0, 1), recipes.gradient_descent(1, 2), recipes.heavy_ball(1, 2),
        recipes.nesterov(1, 2), recipes.largest_curvature(lambda v: v, 2),
        recipes.scaled_step(1, 1, 1), recipes.scaled_step(1, 1, 1, "sqrt"), recipes.ridge(1, x),
        recipes.lasso(1, 1, 1), recipes.svm_gamma(x[:, None]),
        recipes.svm_gamma(x[:, None], "scale"),
        recipes.bandwidth(x), recipes.bandwidth(x, "scott"), recipes.adam(),
        recipes.forest_mtry(1, "regression"), recipes.forest_mtry(1, "classification"),
    ):  # fmt: skip
        assert found.why.endswith((".", ")."))
        assert len(found.why) > 40


def test_a_value_is_a_parameters_default():
    @tinytune.trial
    def train(lr: Annotated[float, Float(1e-4, 1, log=True)] = recipes.heavy_ball(MU, L).step):
        return lr

    assert train.space.defaults == {"lr": recipes.heavy_ball(MU, L).step}
