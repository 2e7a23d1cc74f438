"""The heart of CMA-ES: one generation's step of a normal distribution, on raw coordinates.

Hansen (2016), "The CMA Evolution Strategy: A Tutorial" (arXiv 1604.00772), with two differences:
the factor of the covariance is Cholesky's, A A' = C, so that A^-1 stands for C^(-1/2) (Krause,
Arbones and Igel 2016), and steps may be given that this distribution did not draw (Hansen 2011,
"Injecting external solutions into CMA-ES", arXiv 1110.4181): long ones are shortened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from tinytune.portable import linear, scalars

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rates:
    """The constants of CMA-ES for a dimension and a population; names as in the tutorial."""

    size: int  # d
    population: int  # lambda
    weights: Vector  # (lambda,), by rank; those of the worse half are negative, or 0
    mu_eff: float
    c_1: float
    c_mu: float
    c_sigma: float
    d_sigma: float
    c_c: float
    chi: float  # E|N(0, I)|
    longest: float  # the greatest |A^-1 y| of a step that is not shortened


def default_population(size: int) -> int:
    """Return 4 + floor(3 ln d); table 1."""
    return 4 + int(3 * scalars.log(float(size)))


@lru_cache(maxsize=64)
def rates(size: int, population: int, active: bool = True) -> Rates:  # noqa: FBT001 - a cache's key
    """Return the constants of table 1; `active` gives the worse half negative weights."""
    half = scalars.log((population + 1) / 2)
    raw = [half - scalars.log(float(rank)) for rank in range(1, population + 1)]
    good = [weight for weight in raw if weight > 0]
    bad = [-weight for weight in raw if weight < 0]
    mu_eff = _effective(good)
    c_1 = 2 / ((size + 1.3) * (size + 1.3) + mu_eff)  # eq. 57
    c_mu = min(1 - c_1, 2 * (mu_eff - 2 + 1 / mu_eff) / ((size + 2) * (size + 2) + mu_eff))  # 58
    c_sigma = (mu_eff + 2) / (size + mu_eff + 5)  # eq. 55
    d_sigma = 1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (size + 1)) - 1) + c_sigma
    strength = 0.0
    if active and c_mu > 0:  # eqs. 50-53
        strength = min(
            1 + c_1 / c_mu,
            1 + 2 * _effective(bad) / (mu_eff + 2),
            (1 - c_1 - c_mu) / (size * c_mu),
        )
    plus, minus = _sum(good), _sum(bad)
    weights = [w / plus if w > 0 else strength * w / minus for w in raw]
    return Rates(
        size=size,
        population=population,
        weights=np.array(weights),
        mu_eff=mu_eff,
        c_1=c_1,
        c_mu=c_mu,
        c_sigma=c_sigma,
        d_sigma=d_sigma,
        c_c=(4 + mu_eff / size) / (size + 4 + 2 * mu_eff / size),  # eq. 56
        chi=math.sqrt(size) * (1 - 1 / (4 * size) + 1 / (21 * size * size)),
        longest=math.sqrt(size) + 2 * size / (size + 2),
    )


def _effective(weights: list[float]) -> float:
    """Return (sum w)^2 / sum w^2; eq. 8."""
    total = _sum(weights)
    squares = _sum([weight * weight for weight in weights])
    return total * total / squares


def _sum(numbers: list[float]) -> float:
    total = 0.0  # not `sum`: it rounds otherwise from Python 3.12 on
    for number in numbers:
        total = total + number
    return total


@dataclass(frozen=True, eq=False)
class State:
    """A normal distribution N(mean, sigma^2 C) and the memory of how it moved."""

    mean: Vector  # (d,)
    sigma: float
    covariance: Matrix  # C, (d, d)
    factor: Matrix  # A, lower, A A' = C, (d, d)
    path_sigma: Vector  # (d,)
    path_c: Vector  # (d,)
    decay: float = 1.0  # (1 - c_sigma)^(2 generations)

    @cached_property
    def deviations(self) -> Vector:
        """The standard deviation along each coordinate, shape (d,)."""
        return self.sigma * np.sqrt(np.diagonal(self.covariance))

    def point(self, normals: Vector) -> Vector:
        """Return mean + sigma A z, shape (d,), for z of shape (d,)."""
        return self.mean + self.sigma * linear.matvec(self.factor, normals)


def beginning(mean: Vector, sigma: float) -> State:
    """Return a round distribution."""
    size = len(mean)
    return State(mean, sigma, np.eye(size), np.eye(size), np.zeros(size), np.zeros(size))


def updated(state: State, rates: Rates, points: Matrix, values: Vector) -> State:
    """Return the distribution after one generation.

    points: (lambda, d), drawn from this distribution or not; values: (lambda,), minimised.
    """
    weights = ranked(values, rates.weights)
    good = ranked(values, np.maximum(rates.weights, 0.0))
    steps = (points - state.mean) / state.sigma  # y, (n, d)
    standard = linear.solve_lower(state.factor, steps.T)  # A^-1 y, (d, n)
    lengths = np.sqrt(linear.total(standard * standard, axis=0))  # (n,)
    shorter = np.minimum(1.0, rates.longest / np.maximum(lengths, 1e-300))
    steps, standard, lengths = steps * shorter[:, None], standard * shorter, lengths * shorter
    shift = linear.matvec(steps.T, good)  # eq. 41
    whole = linear.matvec(standard, good)
    pace = math.sqrt(rates.c_sigma * (2 - rates.c_sigma) * rates.mu_eff)
    path_sigma = (1 - rates.c_sigma) * state.path_sigma + pace * whole  # eq. 43
    length = linear.norm(path_sigma)
    growth = rates.c_sigma / rates.d_sigma * (length / rates.chi - 1)  # eq. 44
    decay = state.decay * (1 - rates.c_sigma) * (1 - rates.c_sigma)
    is_usual = length / math.sqrt(1 - decay) < (1.4 + 2 / (rates.size + 1)) * rates.chi
    pace = math.sqrt(rates.c_c * (2 - rates.c_c) * rates.mu_eff) if is_usual else 0.0
    path_c = (1 - rates.c_c) * state.path_c + pace * shift  # eq. 45
    # eq. 46: a negative weight pushes as if its step had length sqrt(d).
    pushes = rates.size / np.maximum(lengths * lengths, 1e-300)
    scaled = np.where(weights < 0, weights * pushes, weights)
    scaled = np.where(lengths < 1e-150, np.maximum(scaled, 0.0), scaled)
    lost = 0.0 if is_usual else rates.c_1 * rates.c_c * (2 - rates.c_c)
    kept = 1 + lost - rates.c_1 - rates.c_mu * linear.total(weights)
    covariance = (  # eq. 47
        kept * state.covariance
        + rates.c_1 * (path_c[:, None] * path_c[None, :])
        + rates.c_mu * linear.matmul(steps.T * scaled, steps)
    )
    covariance = (covariance + covariance.T) * 0.5
    return State(
        state.mean + state.sigma * shift,
        state.sigma * scalars.exp(min(growth, 1.0)),
        covariance,
        _factor(covariance),
        path_sigma,
        path_c,
        decay,
    )


def _factor(covariance: Matrix) -> Matrix:
    """Return A; where rounding has left no positive definite matrix, that of the diagonal."""
    try:
        return linear.cholesky(covariance)
    except ValueError:
        return np.diag(np.sqrt(np.diagonal(covariance)))


def rescaled(state: State, mean: Vector, scale: Vector) -> State:
    """Return the distribution with another mean, its coordinates stretched by `scale`, (d,)."""
    return replace(
        state,
        mean=mean,
        covariance=state.covariance * scale[:, None] * scale[None, :],
        factor=state.factor * scale[:, None],
        path_c=state.path_c * scale,
    )


def ranked(values: Vector, by_rank: Vector) -> Vector:
    """Return each result's weight, shape (n,); equal values share the weights of their ranks.

    values: (n,), the smaller the better; by_rank: (n,), from the best on.
    """
    order = np.argsort(values, kind="stable")
    weights = np.empty(len(values))
    weights[order] = by_rank
    ordered = values[order]
    if not np.count_nonzero(ordered[1:] == ordered[:-1]):
        return weights
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        weights[order[start:end]] = linear.total(by_rank[start:end]) / (end - start)
        start = end
    return weights


def centre(points: Matrix, counts: NDArray[np.bool_], weights: Vector) -> tuple[Vector, float]:
    """Return the weighted mean of points, (n, d) -> (d,), and how far from it they lie.

    That is the root of the mean square distance along one coordinate of those that count, (d,).
    """
    mean = linear.matvec(points.T, weights)
    away = (points - mean)[:, counts]
    return mean, math.sqrt(float(linear.total(away * away)) / away.size)
