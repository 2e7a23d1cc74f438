"""Starting values from theory, each with a sentence on where it is from and what it assumes.

A value is a parameter's default, around which a search looks for a better one:

    lr: Annotated[float, Float(1e-4, 1, log=True)] = recipes.heavy_ball(mu, L).step
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinytune import draw
from tinytune.bounds import shown
from tinytune.errors import UsageError
from tinytune.portable import linear, scalars

Vector = NDArray[np.float64]

_MOST_ROWS = 1_000  # of the samples, between which distances are taken
_STEADY = 1e-9  # relative change at which power iteration has found its value


@dataclass(frozen=True)
class Step:
    """A step size and momentum; the distance to the optimum shrinks by `rate` in each step."""

    step: float
    momentum: float
    rate: float
    why: str


@dataclass(frozen=True)
class Value:
    """One value."""

    value: float
    why: str


@dataclass(frozen=True)
class Count:
    """One whole number."""

    value: int
    why: str


@dataclass(frozen=True)
class AdamSettings:
    """Adam's four settings."""

    step: float
    beta1: float
    beta2: float
    epsilon: float
    why: str


def gradient_descent(mu: float, L: float) -> Step:  # noqa: N803
    """Return the step 2 / (L + mu) of gradient descent; curvatures lie from `mu` to `L`.

    UsageError unless 0 <= mu <= L and 0 < L. Nesterov (2004), theorem 2.1.15.
    """
    _check_curvatures(mu, L)
    if mu == 0:
        why = (
            "Step 1/L, for convex functions whose gradient is L-Lipschitz; the error falls as 1/k, "
            "without a rate, since no curvature from below is known (Nesterov 2004)."
        )
        return Step(1 / L, 0.0, 1.0, why)
    why = (
        "Step 2/(L + mu) shrinks the distance by (L - mu)/(L + mu) in each step, for functions "
        "whose curvature lies between mu and L everywhere (Nesterov 2004, theorem 2.1.15)."
    )
    return Step(2 / (L + mu), 0.0, (L - mu) / (L + mu), why)


def heavy_ball(mu: float, L: float) -> Step:  # noqa: N803
    """Return step and momentum of the heavy ball method for a quadratic; see Polyak (1964).

    UsageError unless 0 < mu <= L.
    """
    _check_curvatures(mu, L)
    _check_positive("mu", mu)
    low, high = math.sqrt(mu), math.sqrt(L)
    rate = (high - low) / (high + low)
    why = (
        "Step 4/(sqrt(L) + sqrt(mu))^2 and momentum ((sqrt(L) - sqrt(mu))/(sqrt(L) + sqrt(mu)))^2 "
        "are the best for a quadratic, or near an optimum, with curvatures from mu to L (Polyak "
        "1964); far from the optimum of another function they need not converge."
    )
    return Step(4 / (high + low) ** 2, rate * rate, rate, why)


def nesterov(mu: float, L: float) -> Step:  # noqa: N803
    """Return step and momentum of Nesterov's method with constant momentum.

    UsageError unless 0 < mu <= L. Nesterov (2004), scheme 2.2.11 and theorem 2.2.3.
    """
    _check_curvatures(mu, L)
    _check_positive("mu", mu)
    ratio = math.sqrt(mu / L)
    why = (
        "Step 1/L and momentum (1 - q)/(1 + q), q = sqrt(mu/L), shrink the error by 1 - q in each "
        "step, and so the distance by its root, for functions whose curvature lies between mu and "
        "L everywhere (Nesterov 2004, theorem 2.2.3)."
    )
    return Step(1 / L, (1 - ratio) / (1 + ratio), math.sqrt(1 - ratio), why)


def largest_curvature(
    hessian_vector: Callable[[Vector], ArrayLike], dimension: int, iterations: int = 1_000
) -> Value:
    """Return L, the Hessian's largest eigenvalue in size, by power iteration.

    `hessian_vector` maps v to H v, both of shape (dimension,). The start is the same every time.
    It stops when the value is steady to nine digits, or after `iterations` products; UsageError
    where a product is not finite.
    """
    if not (_is_whole(dimension) and _is_whole(iterations)):
        raise UsageError("largest_curvature: dimension and iterations must be at least 1")
    if not callable(hessian_vector):
        raise UsageError(f"largest_curvature: {shown(hessian_vector)} is no function of a vector")
    vector = draw.uniforms(dimension, 0, 0, "power iteration") - 0.5
    value, products = 0.0, 0
    for products in range(1, iterations + 1):
        vector = vector / linear.norm(vector)
        image = _array("largest_curvature: the product", hessian_vector(vector))
        if image.size != dimension:
            raise UsageError(f"largest_curvature: a product has the shape {image.shape}")
        image = image.reshape(dimension)
        before, value = value, linear.norm(image)
        if not math.isfinite(value):
            raise UsageError(f"largest_curvature: product {products} is not finite")
        if value == 0 or abs(value - before) <= _STEADY * value:
            break
        vector = image
    why = (
        f"The largest curvature at one point, by {products} Hessian-vector products; elsewhere it "
        "may be larger, unless the function is quadratic (power iteration, von Mises 1929)."
    )
    # To the digits that are steady, so that it is the same whoever adds up the products.
    return Value(float(f"{value:.9g}"), why)


def scaled_step(
    step: float, batch: int, reference_batch: int, rule: Literal["linear", "sqrt"] = "linear"
) -> Value:
    """Return a step size for another batch size: "linear" for SGD, "sqrt" for Adam.

    UsageError where a number is not above 0, or the rule is neither.
    """
    for name, number in (("step", step), ("batch", batch), ("reference_batch", reference_batch)):
        _check_positive(name, number)
    ratio = batch / reference_batch
    if rule == "linear":
        why = (
            "The step grows with the batch, for SGD, while the batch is small beside the "
            "gradient's noise and the first epochs are warmed up (Goyal et al. 2017)."
        )
        return Value(step * ratio, why)
    if rule == "sqrt":
        why = (
            "The step grows with the root of the batch, for Adam and its kin, whose updates have "
            "the size of the step whatever the gradient's (Malladi et al. 2022)."
        )
        return Value(step * math.sqrt(ratio), why)
    raise UsageError(f"scaled_step: rule must be 'linear' or 'sqrt', not {rule!r}")


def ridge(noise_variance: float, weights: ArrayLike) -> Value:
    """Return the penalty d s^2 / |w|^2 of ridge regression, for |y - X w|^2 + penalty |w|^2.

    `weights`, shape (d,), are a first guess, of least squares for example. UsageError where they
    are all 0 or the variance is not above 0. Hoerl, Kennard and Baldwin (1975).
    """
    _check_positive("noise_variance", noise_variance)
    w = _array("ridge: weights", weights).ravel()
    size = linear.dot(w, w)
    if not size > 0:
        raise UsageError("ridge: the weights must not all be 0")
    why = (
        "The penalty d s^2/|w|^2 is the best in the mean for orthogonal columns and weights of the "
        "size |w|^2 (Hoerl, Kennard and Baldwin 1975)."
    )
    return Value(len(w) * noise_variance / size, why)


def lasso(noise_std: float, rows: int, columns: int) -> Value:
    """Return the penalty s sqrt(2 ln d / n), for |y - X w|^2 / (2 n) + penalty |w|_1.

    UsageError where the deviation is not above 0, or there are no rows or columns.
    """
    for name, number in (("noise_std", noise_std), ("rows", rows), ("columns", columns)):
        _check_positive(name, number)
    why = (
        "At s sqrt(2 ln(d)/n) noise alone enters hardly ever, for columns of mean square 1 and "
        "normal noise (Donoho and Johnstone 1994; Bickel, Ritov and Tsybakov 2009)."
    )
    return Value(noise_std * math.sqrt(2 * scalars.log(float(max(columns, 2))) / rows), why)


def svm_gamma(samples: ArrayLike, rule: Literal["median", "scale"] = "median") -> Value:
    """Return gamma of the kernel exp(-gamma |x - y|^2); `samples` has the shape (n, d).

    "median" is 1 / (2 m^2) with m the median distance of two samples, of at most 1,000 evenly
    taken; "scale" is 1 / (d v) with v the variance of all entries. UsageError where all samples
    are equal, there are fewer than two, or the rule is neither.
    """
    x = _array("svm_gamma: samples", samples)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise UsageError("svm_gamma: samples must be finite, in at least two rows: shape (n, d)")
    if rule == "scale":
        spread = x.shape[1] * float(x.var())
        why = "1/(d v) makes the exponent about 1 for columns of one scale (scikit-learn's rule)."
    elif rule == "median":
        picked = x[np.unique(np.linspace(0, len(x) - 1, _MOST_ROWS).astype(int))]
        distances = [np.sum((picked[i + 1 :] - row) ** 2, axis=1) for i, row in enumerate(picked)]
        spread = 2 * float(np.median(np.concatenate(distances)))
        why = (
            "1/(2 m^2), m the median distance, puts half of all pairs within the kernel's width; "
            "columns should have one scale (the median heuristic, Gretton et al. 2012)."
        )
    else:
        raise UsageError(f"svm_gamma: rule must be 'median' or 'scale', not {rule!r}")
    if not spread > 0:
        raise UsageError("svm_gamma: the samples do not differ")
    return Value(1 / spread, why)


def bandwidth(samples: ArrayLike, rule: Literal["silverman", "scott"] = "silverman") -> Value:
    """Return the width of a normal kernel for the density of numbers, shape (n,).

    UsageError where there are fewer than two numbers, they do not differ, or the rule is neither.
    """
    x = _array("bandwidth: samples", samples).ravel()
    if len(x) < 2 or not np.isfinite(x).all() or float(x.min()) == float(x.max()):
        raise UsageError("bandwidth: samples must be finite numbers, at least two that differ")
    deviation = float(x.std(ddof=1))
    if rule == "scott":
        why = "1.06 s n^(-1/5) is the best for normal data, and too wide for others (Scott 1992)."
        return Value(1.06 * deviation * _fifth(len(x)), why)
    if rule == "silverman":
        quarters = np.quantile(x, [0.25, 0.75])
        middle = float(quarters[1] - quarters[0]) / 1.34
        spread = min(deviation, middle) if middle > 0 else deviation
        why = (
            "0.9 min(s, IQR/1.34) n^(-1/5), for data with one hump or two that lie near each other "
            "(Silverman 1986, equation 3.31)."
        )
        return Value(0.9 * spread * _fifth(len(x)), why)
    raise UsageError(f"bandwidth: rule must be 'silverman' or 'scott', not {rule!r}")


def forest_mtry(columns: int, task: Literal["classification", "regression"]) -> Count:
    """Return how many columns a random forest looks at for each split.

    UsageError where there is no column, or the task is neither.
    """
    if not _is_whole(columns):
        raise UsageError(f"columns must be above 0, and whole, not {shown(columns)}")
    if task == "classification":
        why = "The root of the number of columns: trees differ enough (Breiman 2001)."
        return Count(max(1, math.isqrt(columns)), why)
    if task == "regression":
        why = "A third of the columns, since single trees need more of them (Liaw and Wiener 2002)."
        return Count(max(1, columns // 3), why)
    raise UsageError(f"forest_mtry: task must be 'classification' or 'regression', not {task!r}")


def adam() -> AdamSettings:
    """Return the settings of Adam from its paper."""
    why = (
        "Updates have about the size of the step, so 0.001 suits weights of the order of 0.1 to 1 "
        "(Kingma and Ba 2015); it is folklore rather than theory."
    )
    return AdamSettings(0.001, 0.9, 0.999, 1e-8, why)


def _fifth(count: int) -> float:
    """Return count^(-1/5)."""
    return scalars.exp(-scalars.log(float(count)) / 5)


def _check_curvatures(mu: float, L: float) -> None:  # noqa: N803
    if not (_is_number(mu) and _is_number(L) and 0 <= mu <= L and L > 0):
        raise UsageError(
            f"the curvatures must be 0 <= mu <= L and 0 < L, not mu={shown(mu)} and L={shown(L)}"
        )


def _check_positive(name: str, number: float) -> None:
    if not (_is_number(number) and number > 0):
        raise UsageError(f"{name} must be above 0, not {shown(number)}")


def _is_number(given: object) -> bool:
    """Return whether this is a finite real number, which may be one of numpy's."""
    if isinstance(given, bool) or not isinstance(given, Real):
        return False
    try:
        return math.isfinite(given)
    except OverflowError:
        return False


def _is_whole(given: object) -> bool:
    """Return whether this is a whole number from 1, which may be one of numpy's."""
    return isinstance(given, Integral) and _is_number(given) and int(given) >= 1


def _array(name: str, given: object) -> NDArray[np.float64]:
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{name} must be an array of numbers, not {shown(given)}") from None
