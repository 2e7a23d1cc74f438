"""Trust region search: fits a quadratic through the results and goes where that is lowest.

In the manner of Powell's BOBYQA (2009): far ahead of other searches on smooth objectives of up to
some twenty numbers without noise. It is a local search that restarts at random points, and has
little to offer where the objective is rough, noisy or mostly categories.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from tinytune.bounds import is_finite, shown
from tinytune.errors import UsageError
from tinytune.portable.linear import dot, matvec
from tinytune.search.cube import Vector
from tinytune.search.mixed import Axes, Found, lifted, runs
from tinytune.search.oracle import Runs, Wanted
from tinytune.search.quadratic import Interpolation, Quadratic, minimum
from tinytune.space import Params, Space

_GUESSES = 4  # geometry points that idle workers may try


@dataclass(frozen=True)
class TrustRegion:
    """Options of trust region search.

    `step` is the first radius, as a part of each range: the first 2n + 1 points are the defaults
    (or the best configuration known) and a step up and down along each of the n numbers. The
    radius shrinks as the model's forecasts come true, or fail to; at `tolerance` the other options
    of each category are tried, and if none is better the next run begins at a random point.
    Discrete numbers are rounded; categories and what is inactive stay as they are during a run.
    """

    step: float = 0.2
    tolerance: float = 1e-3

    name: ClassVar[str] = "trust-region"
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = True
    exhausts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not is_finite(self.step) or not 0 < self.step <= 0.5:
            raise UsageError(f"trust-region: step {shown(self.step)} must be above 0, up to 0.5")
        if not is_finite(self.tolerance) or not 0 < self.tolerance < self.step:
            raise UsageError(
                f"trust-region: tolerance {shown(self.tolerance)} must be above 0 "
                f"and below the step {self.step}"
            )

    def start(self, space: Space, seed: int, first: Params | None) -> Runs:
        """Return the search at work; it begins at `first`, or at the defaults and middles."""
        return runs(space, seed, first, self.name, self._phase, self._design)

    def _design(self, axes: Axes) -> list[Vector]:
        return design(axes, self.step)

    def _phase(self, axes: Axes, value: float, turn: int) -> Generator[Wanted, float, Found]:
        """Let a trust region move and shrink from the axes' base."""
        step = self.step if turn == 0 else max(0.5 * self.step, 2.0 * self.tolerance)
        walk = Walk(axes, step, self.tolerance).steps(value)
        return (yield from lifted(walk, axes))


def design(axes: Axes, step: float) -> list[Vector]:
    """Return the points around the origin: a step up and down each axis, or both inward."""
    ups, downs = [], []
    for axis in range(axes.size):
        now = float(axes.origin[axis])
        if now + step > 1.0:
            ways = (-step, -2.0 * step)
        elif now - step < 0.0:
            ways = (step, 2.0 * step)
        else:
            ways = (step, -step)
        moves = [axes.moved(axes.origin, axis, way) for way in ways]
        ups.append(moves[0])
        if moves[0] is None or (moves[1] is not None and moves[1][axis] != moves[0][axis]):
            downs.append(moves[1])
    return [part for part in (*ups, *downs) if part is not None]


@dataclass(frozen=True)
class Model:
    """A fitted quadratic around the best point; s is in units of the trust region's radius."""

    centre: Vector  # (n,)
    radius: float
    surface: Quadratic
    lagrange: Interpolation
    distances: Vector  # (m,) of the points from the centre, in parts of the cube

    def minimum(self, radius: float) -> Vector:
        """Return the part (n,) within a radius where the surface is about lowest."""
        return self._lowest(self.surface, radius)

    def spread(self, index: int, radius: float) -> Vector:
        """Return the part (n,) within a radius that would best replace the point `index`.

        There its Lagrange polynomial is about largest: the model's geometry gains most.
        """
        polynomial, constant = self.lagrange.lagrange(index), self.lagrange.constant(index)
        ends = [self._lowest(polynomial.scaled(sign), radius) for sign in (-1.0, 1.0)]
        sizes = [math.fabs(constant + polynomial.at(self.units(end))) for end in ends]
        return ends[0] if sizes[0] >= sizes[1] else ends[1]

    def units(self, part: Vector) -> Vector:
        """Return a part of the cube (n,) as s (n,)."""
        return (part - self.centre) / self.radius

    @np.errstate(all="ignore")  # values as large as floats go
    def _lowest(self, quadratic: Quadratic, radius: float) -> Vector:
        low, high = -self.centre / self.radius, (1.0 - self.centre) / self.radius
        s = minimum(quadratic, radius / self.radius, low, high)
        return np.clip(self.centre + self.radius * s, 0.0, 1.0)


class Walk:
    """The points that a model goes through, and the trust region around the best of them.

    `radius` is the trust region's; `resolution` is the distance below which points are too close
    to tell anything, which only ever shrinks (Powell's Delta and rho).
    """

    def __init__(self, axes: Axes, step: float, tolerance: float) -> None:
        self._axes, self._tolerance = axes, tolerance
        self._radius = self._resolution = step
        self._points: list[Vector] = [axes.origin]  # m of (n,)
        self._values: list[float] = []
        self._was_poor = self._was_small = False  # the last step: it brought little, nothing
        self._hessian = np.zeros((axes.size, axes.size))  # in parts of the cube

    def steps(self, value: float) -> Generator[Wanted, float, Found]:
        """Walk until the resolution is below the tolerance; return the best point and its value."""
        self._values.append(value)
        first = design(self._axes, self._radius)
        for index, point in enumerate(first):
            new = yield Wanted(point, partial(iter, first[index + 1 :]))
            self._points.append(point)
            self._values.append(new)
        while (model := self._fitted()) is not None:
            if self._was_poor:
                self._was_poor = False
                if (yield from self._spread(model, 2.0 * self._radius)):
                    continue
                if self._was_small and not self._refine():
                    break
            point = self._axes.snapped(model.minimum(self._radius))
            forecast = model.surface.at(model.units(point))
            if self._is_worthwhile(point, model) and forecast < 0.0:
                yield from self._descend(model, point, forecast)
                continue
            self._narrow()
            if (yield from self._spread(model, 10.0 * self._resolution)):
                continue
            if not self._refine():
                if forecast < 0.0 and self._is_new(point):
                    self._put(self._furthest(model), point, (yield Wanted(point)))
                break
        best = self._best
        return self._points[best], self._values[best]

    @property
    def _best(self) -> int:
        return int(np.argmin(self._values))

    @np.errstate(all="ignore")
    def _fitted(self) -> Model | None:
        """Return the model whose Hessian is nearest to the last one's (Powell 2004); None: no more.

        An infinite value counts as far worse than the worst finite one.
        """
        values, best = np.array(self._values), self._best
        finite = values[np.isfinite(values)]
        if not len(finite):
            return None
        worst = float(np.max(finite))
        values[~np.isfinite(values)] = worst + (worst - float(values[best])) + 1e-9 * abs(worst)
        centre, radius = self._points[best], self._radius
        steps = np.array(self._points) - centre
        points = steps / radius
        hessian = radius * radius * self._hessian
        bent = np.array([0.5 * dot(y, matvec(hessian, y)) for y in points])
        try:
            lagrange = Interpolation(points)
        except ValueError:
            return None
        change = lagrange.through(values - values[best] - bent)
        surface = Quadratic(change.gradient, hessian + change.hessian)
        if not (np.all(np.isfinite(surface.gradient)) and np.all(np.isfinite(surface.hessian))):
            return None
        self._hessian = surface.hessian / (radius * radius)
        distances = np.array([math.sqrt(dot(step, step)) for step in steps])
        return Model(centre, radius, surface, lagrange, distances)

    def _is_new(self, point: Vector) -> bool:
        return not any(np.array_equal(point, other) for other in self._points)

    def _is_worthwhile(self, point: Vector, model: Model) -> bool:
        length = _length(point - model.centre)
        return length >= 0.5 * self._resolution and self._is_new(point)

    def _descend(
        self, model: Model, point: Vector, forecast: float
    ) -> Generator[Wanted, float, None]:
        """Evaluate the model's minimum; change the radius by how true the forecast was."""
        before, length = self._values[self._best], _length(point - model.centre)
        value = yield Wanted(point, partial(self._guesses, model), certain=False)
        ratio = (before - value) / -forecast
        if ratio <= 0.1:
            self._radius = min(0.5 * self._radius, length)
        elif ratio <= 0.7:
            self._radius = max(0.5 * self._radius, length)
        else:
            self._radius = max(0.5 * self._radius, 2.0 * length)
        if self._radius <= 1.5 * self._resolution:
            self._radius = self._resolution
        self._put(self._leaving(model, point, value < before), point, value)
        self._was_poor = ratio <= 0.1
        self._was_small = ratio <= 0.0 and max(self._radius, length) <= self._resolution

    def _guesses(self, model: Model) -> Iterator[Vector]:
        """Yield what may follow a step that fails: a shorter one, or points for the geometry."""
        yield self._axes.snapped(model.minimum(0.5 * self._radius))
        order = np.argsort(-model.distances, kind="stable")
        for index in order[:_GUESSES].tolist():
            yield self._axes.snapped(model.spread(index, self._radius))

    def _spread(self, model: Model, limit: float) -> Generator[Wanted, float, bool]:
        """Replace the furthest point, if it is beyond a limit; return whether that was done."""
        index = self._furthest(model)
        distance = float(model.distances[index])
        if distance <= limit:
            return False
        radius = max(min(0.1 * distance, self._radius), self._resolution)
        point = self._axes.snapped(model.spread(index, radius))
        if not self._is_new(point):
            return False
        value = yield Wanted(point, partial(self._guesses, model), certain=False)
        self._put(index, point, value)
        return True

    def _leaving(self, model: Model, point: Vector, is_better: bool) -> int:  # noqa: FBT001
        """Return which point the new one replaces: far away, and not missed (Powell 2009, 2.8)."""
        weights = np.abs(model.lagrange.lagrange_at(model.units(point)))
        centre = point if is_better else model.centre
        for index, old in enumerate(self._points):
            distance = _length(old - centre) / self._radius
            weights[index] = weights[index] * max(1.0, distance * distance)
        if not is_better:
            weights[self._best] = -1.0
        return int(np.argmax(weights))

    def _furthest(self, model: Model) -> int:
        return int(np.argmax(model.distances))

    def _put(self, index: int, point: Vector, value: float) -> None:
        self._points[index], self._values[index] = point, value

    def _narrow(self) -> None:
        """Shrink the trust region after a step that was too short to be worth a trial."""
        self._radius = 0.1 * self._radius
        if self._radius <= 1.5 * self._resolution:
            self._radius = self._resolution

    def _refine(self) -> bool:
        """Lower the resolution (Powell 2009, eq. 6.6); return False at the tolerance."""
        if self._resolution <= self._tolerance:
            return False
        before, ratio = self._resolution, self._resolution / self._tolerance
        if ratio <= 16.0:
            self._resolution = self._tolerance
        elif ratio <= 250.0:
            self._resolution = math.sqrt(ratio) * self._tolerance
        else:
            self._resolution = 0.1 * before
        self._radius = max(0.5 * before, self._resolution)
        return True


def _length(step: Vector) -> float:
    return math.sqrt(dot(step, step))
