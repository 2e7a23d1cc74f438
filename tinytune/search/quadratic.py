"""Quadratic models through known points, and their minima within a ball and bounds.

Everything here is in the model's own coordinates: the best point is the origin, and lengths are
parts of the trust region's radius, so that the numbers are near 1. Arithmetic is in a fixed order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tinytune.portable.linear import dot, matmul, matvec, solve

Array: TypeAlias = NDArray[np.float64]

_ANGLES = 8  # to try on the trust region's surface


@dataclass(frozen=True)
class Quadratic:
    """The function g.s + s.Hs/2; its constant is of no account."""

    gradient: Array  # (n,)
    hessian: Array  # (n, n)

    def slope(self, s: Array) -> Array:
        """Return the gradient (n,) at s (n,)."""
        return self.gradient + matvec(self.hessian, s)

    def at(self, s: Array) -> float:
        """Return the value at s (n,), 0 at the origin."""
        return dot(self.gradient, s) + 0.5 * dot(s, matvec(self.hessian, s))

    def scaled(self, by: float) -> Quadratic:
        """Return the quadratic times a number."""
        return Quadratic(by * self.gradient, by * self.hessian)


class Interpolation:
    """What depends on the points alone: Lagrange polynomials of least Frobenius norm.

    With the points y_j as rows of Y (m, n), a quadratic whose Hessian has the least Frobenius norm
    is c + g.s + sum_j l_j (y_j.s)^2 / 2, where l, c and g solve Powell's (2004) system
    [A X; X' 0] (l; c, g) = (f; 0) with A_ij = (y_i.y_j)^2 / 2 and X = (1 Y). ValueError where
    the points do not determine a linear function.
    """

    def __init__(self, points: Array) -> None:  # (m, n)
        self.points = points
        count, size = points.shape
        products = matmul(points, points.T)
        system = np.zeros((count + 1 + size, count + 1 + size))
        system[:count, :count] = 0.5 * products * products
        system[:count, count] = system[count, :count] = 1.0
        system[:count, count + 1 :] = points
        system[count + 1 :, :count] = points.T
        self._inverse = solve(system, np.eye(len(system), count))  # its first columns

    def through(self, values: Array) -> Quadratic:
        """Return the quadratic through values (m,) that has the least Frobenius norm."""
        return self._quadratic(matvec(self._inverse, values))

    def lagrange(self, index: int) -> Quadratic:
        """Return the polynomial that is 1 at one point and 0 at the others, less its constant."""
        return self._quadratic(self._inverse[:, index])

    def constant(self, index: int) -> float:
        """Return that polynomial's value at the origin."""
        return float(self._inverse[len(self.points), index])

    def lagrange_at(self, s: Array) -> Array:
        """Return the values (m,) of all those polynomials at s (n,)."""
        along = matvec(self.points, s)
        terms = np.concatenate((0.5 * along * along, [1.0], s))
        return matvec(self._inverse.T, terms)

    def _quadratic(self, solution: Array) -> Quadratic:
        count = len(self.points)
        weighted = solution[:count, None] * self.points
        return Quadratic(solution[count + 1 :], matmul(self.points.T, weighted))


def minimum(model: Quadratic, radius: float, low: Array, high: Array) -> Array:
    """Return where a model is about lowest with |s| <= radius and low <= s <= high, all (n,).

    Conjugate gradients, begun anew whenever a bound is hit (Powell 2009, section 3), then moves
    on the surface of the ball. The origin must be within the bounds.
    """
    s = np.zeros(len(low))
    is_fixed = np.zeros(len(low), dtype=bool)
    for _ in range(2 * len(low) + 1):
        slope = model.slope(s)
        is_fixed = is_fixed | ((s <= low) & (slope > 0.0)) | ((s >= high) & (slope < 0.0))
        s, hit = _conjugate(model, s, ~is_fixed, radius, low, high)
        if hit is None:
            return s
        if hit < 0:
            return _on_surface(model, s, ~is_fixed, low, high)
        is_fixed[hit] = True
    return s


def _conjugate(
    model: Quadratic, s: Array, is_free: NDArray[np.bool_], radius: float, low: Array, high: Array
) -> tuple[Array, int | None]:
    """Go down from s; return where that ends and what was hit: a coordinate, -1 the ball, None."""
    rest = np.where(is_free, -model.slope(s), 0.0)
    direction, square = rest, dot(rest, rest)
    enough = 1e-12 * square
    for _ in range(len(s)):
        if not square > enough or square == 0.0:
            return s, None
        bent = np.where(is_free, matvec(model.hessian, direction), 0.0)
        curvature = dot(direction, bent)
        length = square / curvature if curvature > 0.0 else math.inf
        to_ball = _to_ball(s, direction, radius)
        to_bound, hit = _to_bound(s, direction, low, high)
        if min(to_ball, to_bound) <= length:
            s = np.clip(s + min(to_ball, to_bound) * direction, low, high)
            if to_bound <= to_ball:
                s[hit] = high[hit] if direction[hit] > 0.0 else low[hit]
                return s, hit
            return s, -1
        s = np.clip(s + length * direction, low, high)
        rest = rest - length * bent
        before, square = square, dot(rest, rest)
        direction = rest + (square / before) * direction
    return s, None


def _to_ball(s: Array, direction: Array, radius: float) -> float:
    """Return the t >= 0 with |s + t direction| = radius."""
    a, b = dot(direction, direction), dot(s, direction)
    room = max(radius * radius - dot(s, s), 0.0)
    root = math.sqrt(b * b + a * room)
    return (root - b) / a if b < 0.0 else room / (root + b) if root + b > 0.0 else 0.0


def _to_bound(s: Array, direction: Array, low: Array, high: Array) -> tuple[float, int]:
    """Return the t at which s + t direction meets a bound first, and which."""
    room = np.where(direction > 0.0, high - s, s - low)
    speed = np.abs(direction)
    times = np.full(len(s), np.inf)
    np.divide(room, speed, out=times, where=speed > 0.0)
    hit = int(np.argmin(times))
    return float(times[hit]), hit


def _on_surface(
    model: Quadratic, s: Array, is_free: NDArray[np.bool_], low: Array, high: Array
) -> Array:
    """Turn s towards lower values, in the plane of its free part and the slope (Powell 2009)."""
    lowest = model.at(s)
    for _ in range(len(s)):
        inner, outer = np.where(is_free, s, 0.0), np.where(is_free, 0.0, s)
        slope = np.where(is_free, model.slope(s), 0.0)
        length = dot(inner, inner)
        if length == 0.0:
            return s
        across = (dot(slope, inner) / length) * inner - slope
        width = dot(across, across)
        if not width > 1e-8 * dot(slope, slope):
            return s
        turn = _Turn(model, inner, math.sqrt(length / width) * across, outer)
        value = lowest
        for step in range(1, _ANGLES + 1):
            turned = turn.to(step / _ANGLES)
            if bool(np.any(turned < low)) or bool(np.any(turned > high)):
                break
            turned_value = turn.value(step / _ANGLES)
            if turned_value < lowest:
                s, lowest = turned, turned_value
        if not value - lowest > -0.01 * lowest:
            return s
    return s


class _Turn:
    """A model on the circle outer + inner cos a + across sin a, by h = tan(a / 2)."""

    def __init__(self, model: Quadratic, inner: Array, across: Array, outer: Array) -> None:
        self._inner, self._across, self._outer = inner, across, outer
        slope = model.slope(outer)
        bent_inner, bent_across = matvec(model.hessian, inner), matvec(model.hessian, across)
        self._constant = model.at(outer)
        self._slopes = dot(slope, inner), dot(slope, across)
        self._bends = dot(inner, bent_inner), dot(inner, bent_across), dot(across, bent_across)

    def to(self, half: float) -> Array:
        """Return the point (n,) at h."""
        cosine, sine = self._parts(half)
        return cosine * self._inner + sine * self._across + self._outer

    def value(self, half: float) -> float:
        """Return the model's value at h."""
        (c, s), (a, b), (aa, ab, bb) = self._parts(half), self._slopes, self._bends
        return self._constant + c * a + s * b + 0.5 * (c * c * aa + s * s * bb) + c * s * ab

    def _parts(self, half: float) -> tuple[float, float]:
        scale = 1.0 / (1.0 + half * half)
        return scale * (1.0 - half * half), scale * 2.0 * half
