"""A Gaussian process of warped values: kernel, priors, most probable parameters, prediction.

Matérn's kernel with nu = 5/2 and a length for each coordinate; the scale of the process has a
closed form (its inverse has a gamma prior). Rasmussen and Williams (2006), chapters 2, 4 and 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tinytune.portable import arrays, linear

Floats = NDArray[np.float64]

_JITTER = 1e-6  # of the diagonal: the least noise, in parts of the process's variance
_EVALUATIONS = 30  # of the posterior density, in one fit
_STEP = 2.0  # the longest step of a logarithm


@dataclass(frozen=True)
class Prior:
    """Normal priors of the logarithms of lengths and of noise, and the weight of scale 1."""

    length: float  # mean of a length's logarithm
    length_spread: float
    noise: float  # mean of the logarithm of the noise's share of the variance
    noise_spread: float
    scale_weight: float = 2.0  # the gamma's shape and rate


@dataclass(frozen=True)
class Parameters:
    """What a fit finds."""

    lengths: Floats  # (d,)
    noise: float  # variance, in parts of the process's
    scale: float  # variance of the process


def inverse(a: Floats) -> tuple[Floats, Floats] | None:
    """Return the inverse (n, n) of a positive definite matrix and its pivots (n,), or None.

    Gauss's and Jordan's elimination in place, with no pivoting; None where a pivot is not positive.
    """
    a = a.copy()
    n = len(a)
    pivots = np.empty(n)
    product = np.empty_like(a)
    for k in range(n):
        pivot = float(a[k, k])
        if not 0.0 < pivot < math.inf:
            return None
        pivots[k] = pivot
        row, column = a[k] / pivot, a[:, k].copy()
        np.multiply(column[:, None], row, product)
        np.subtract(a, product, a)
        a[k] = row
        a[:, k] = -column / pivot
        a[k, k] = 1.0 / pivot
    return a, pivots


class Evidence:
    """The negative log posterior density of lengths and noise, and its gradient.

    `squares` (d, n (n-1) / 2) are the squared distances of pairs of results, coordinate by
    coordinate, in the order of the lower triangle; `values` (n,).
    """

    def __init__(self, squares: Floats, values: Floats, prior: Prior) -> None:
        self._squares, self._values, self._prior = squares, values, prior
        self._rows, self._columns = np.tril_indices(len(values), -1)

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Return the value and its gradient (d + 1,) at logarithms (d + 1,): lengths, noise."""
        prior, n = self._prior, len(self._values)
        weights = arrays.exp(-2.0 * theta[:-1])  # (d,)
        noise = arrays.exp(float(theta[-1]))
        kernel, slope = matern(weighted(self._squares, weights))
        found = inverse(self._full(kernel, 1.0 + noise + _JITTER))
        if found is None:
            return math.inf, np.zeros(len(theta))
        inverted, pivots = found
        alpha = linear.matvec(inverted, self._values)
        fit = 0.5 * linear.dot(self._values, alpha) + prior.scale_weight
        shape = 0.5 * n + prior.scale_weight
        centre = np.full(len(theta), prior.length)
        spread = np.full(len(theta), prior.length_spread)
        centre[-1], spread[-1] = prior.noise, prior.noise_spread
        off = (theta - centre) / spread
        value = shape * arrays.log(fit) + 0.5 * linear.total(arrays.log(pivots))
        value += 0.5 * linear.dot(off, off)
        share = shape / fit
        pairs = inverted[self._rows, self._columns]
        pairs = pairs - share * (alpha[self._rows] * alpha[self._columns])
        gradient = np.empty(len(theta))
        gradient[:-1] = linear.matvec(self._squares, pairs * slope) * weights
        trace = linear.total(inverted.diagonal()) - share * linear.dot(alpha, alpha)
        gradient[-1] = 0.5 * noise * trace
        return float(value), gradient + off / spread

    def scale(self, theta: Floats) -> float:
        """Return the process's variance at these parameters."""
        kernel, _ = matern(weighted(self._squares, arrays.exp(-2.0 * theta[:-1])))
        full = self._full(kernel, 1.0 + arrays.exp(float(theta[-1])) + _JITTER)
        half = linear.solve_lower(linear.cholesky(full), self._values)
        weight = self._prior.scale_weight
        return (0.5 * linear.dot(half, half) + weight) / (0.5 * len(half) + weight)

    def _full(self, kernel: Floats, diagonal: float) -> Floats:
        full = np.empty((len(self._values), len(self._values)))
        full[self._rows, self._columns] = kernel
        full[self._columns, self._rows] = kernel
        np.fill_diagonal(full, diagonal)
        return full


def weighted(squares: Floats, weights: Floats) -> Floats:
    """Return the sum of squares (d, ...) times weights (d,), in the order of coordinates."""
    result = np.zeros(squares.shape[1:])
    for square, weight in zip(squares, weights.tolist(), strict=True):
        result += square * weight
    return result


def matern(squared: Floats) -> tuple[Floats, Floats]:
    """Return Matérn's kernel of scaled squared distances, and its slope.

    k = (1 + r + r^2 / 3) exp(-r) with r^2 = 5 s; the slope is dk / d log l_j for a coordinate
    that contributes 1 to s: (5/3) (1 + r) exp(-r).
    """
    square = 5.0 * squared
    r = np.sqrt(square)
    tail = arrays.exp(-r)
    once = 1.0 + r
    return (once + square * (1.0 / 3.0)) * tail, (5.0 / 3.0) * once * tail


def minimise(function: Evidence, start: Floats, evaluations: int) -> tuple[float, Floats]:
    """Return the least value and where it is: Broyden, Fletcher, Goldfarb and Shanno's method.

    Nocedal and Wright (2006), algorithm 6.1, with halved steps until one descends enough.
    """
    x = start
    value, gradient = function(x)
    count = len(x)
    metric = np.zeros((count, count))
    np.fill_diagonal(metric, 0.3)
    step, left = 1.0, evaluations - 1
    while left > 0:
        direction = -linear.matvec(metric, gradient)
        descent = linear.dot(direction, gradient)
        if not descent < -1e-4:
            break
        longest = float(np.max(np.abs(direction)))
        step = min(1.0, _STEP / longest)
        better = False
        while left > 0 and step > 1e-4:
            there = x + step * direction
            new_value, new_gradient = function(there)
            left -= 1
            if new_value <= value + 1e-4 * step * descent:
                better = True
                break
            step *= 0.35
        if not better:
            break
        moved, change = there - x, new_gradient - gradient
        gain = value - new_value
        x, value, gradient = there, new_value, new_gradient
        metric = _updated(metric, moved, change)
        if gain < 1e-3:
            break
    return value, x


def _updated(metric: Floats, moved: Floats, change: Floats) -> Floats:
    """Return the inverse Hessian's next estimate, Nocedal and Wright's equation 6.17."""
    curvature = linear.dot(moved, change)
    if curvature < 1e-10:
        return metric
    towards = linear.matvec(metric, change)
    factor = (1.0 + linear.dot(change, towards) / curvature) / curvature
    cross = towards[:, None] * moved
    cross = (cross + cross.T) / curvature
    result: Floats = metric + factor * (moved[:, None] * moved) - cross
    return result


def fitted(squares: Floats, values: Floats, prior: Prior) -> Parameters:
    """Return the most probable parameters, from fixed starts: nothing else is remembered."""
    return _fitted(squares.tobytes(), len(squares), values.tobytes(), prior)


@lru_cache(maxsize=4)  # a key takes up to 5 MB
def _fitted(squares: bytes, size: int, values: bytes, prior: Prior) -> Parameters:
    # A pure function of its arguments: that it remembers some changes no result.
    targets = np.frombuffer(values)
    evidence = Evidence(np.frombuffer(squares).reshape(size, -1), targets, prior)
    starts = []
    for length, noise in ((0.0, 0.0), (1.0, -1.0), (-1.0, 0.0)):
        theta = np.full(size + 1, prior.length + length * prior.length_spread)
        theta[-1] = prior.noise + noise * prior.noise_spread
        starts.append((evidence(theta)[0], theta))
    start = min(starts, key=lambda pair: pair[0])[1]
    _, theta = minimise(evidence, start, _EVALUATIONS)
    return Parameters(
        arrays.exp(theta[:-1]), arrays.exp(float(theta[-1])) + _JITTER, evidence.scale(theta)
    )


class Posterior:
    """The process after its results: mean and variance anywhere.

    Points that are pending take the mean as their value (the kriging believer of Ginsbourger et
    al. 2010): the mean stays what it is, the variance shrinks.
    """

    def __init__(self, squares: Floats, values: Floats, found: Parameters) -> None:
        """Take in the squares (d, n + q, n) of n results and then q pending points, of all."""
        self.found, self._weights = found, 1.0 / (found.lengths * found.lengths)
        count = len(values)
        kernel, _ = matern(weighted(squares, self._weights))
        places = np.arange(len(kernel))
        kernel[places, places] = 1.0 + found.noise
        self._lower = linear.cholesky(kernel)
        lower = self._lower[:count, :count]
        self._alpha = linear.solve_upper(lower.T, linear.solve_lower(lower, values))
        cross = kernel[:, :count].copy()
        cross[places[:count], places[:count]] = 1.0
        self.known = linear.matvec(cross, self._alpha)
        """The mean at all results and pending points, (n + q,)."""
        self.lengths = found.lengths

    def at(self, squares: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance (m,), without noise; `squares` (d, n + q, m) to new points."""
        kernel, _ = matern(weighted(squares, self._weights))  # (n + q, m)
        mean = linear.total(kernel[: len(self._alpha)] * self._alpha[:, None], 0)
        half = linear.solve_lower(self._lower, kernel)
        share = 1.0 - linear.total(half * half, 0)
        return mean, np.maximum(share, 1e-12) * self.found.scale
