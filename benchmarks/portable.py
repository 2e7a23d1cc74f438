"""How much the same bits everywhere cost: tinytune.portable beside numpy and scipy.

Prints microseconds of processor time per call, the best of several repetitions. Run it with
`python benchmarks/portable.py`; it needs scipy. On a busy machine only the ratios mean something.
"""

import time
import timeit

import numpy as np
from scipy import special
from scipy.linalg import solve_triangular

from tinytune.portable import arrays, linear

REPETITIONS, SECONDS = 7, 0.02


def microseconds(call):
    """Return the CPU time of one call, at best."""
    timer = timeit.Timer(call, timer=time.process_time)
    once = max(timer.timeit(3) / 3, 1e-6)
    number = max(1, int(SECONDS / once))
    return min(timer.repeat(REPETITIONS, number)) / number * 1e6


def show(name, size, ours, theirs):
    """Print a line of the table."""
    mine, other = microseconds(ours), microseconds(theirs)
    print(f"{name:16} {size:>9} {mine:11.1f} {other:11.1f} {mine / other:8.1f}")


def elementary(n):
    """Compare the functions of arrays for n elements."""
    random = np.random.default_rng(1)
    z, p = random.normal(size=n), random.uniform(size=n)
    for name, ours, theirs, x in [
        ("exp", arrays.exp, np.exp, z),
        ("expm1", arrays.expm1, np.expm1, z),
        ("log", arrays.log, np.log, p),
        ("log1p", arrays.log1p, np.log1p, p),
        ("tanh", arrays.tanh, np.tanh, z),
        ("erf", arrays.erf, special.erf, z),
        ("erfc", arrays.erfc, special.erfc, z),
        ("normal_pdf", arrays.normal_pdf, lambda x: np.exp(-0.5 * x * x) * 0.3989, z),
        ("normal_cdf", arrays.normal_cdf, special.ndtr, z),
        ("log_normal_cdf", arrays.log_normal_cdf, special.log_ndtr, z),
        ("normal_quantile", arrays.normal_quantile, special.ndtri, p),
        ("total", linear.total, np.sum, z),
        ("norm", linear.norm, np.linalg.norm, z),
    ]:
        show(name, n, lambda f=ours, x=x: f(x), lambda f=theirs, x=x: f(x))
    show("dot", n, lambda: linear.dot(z, p), lambda: z @ p)


def matrices(n):
    """Compare the linear algebra for n rows."""
    random = np.random.default_rng(1)
    square, b, many = random.normal(size=(n, n)), random.normal(size=n), random.normal(size=(n, 64))
    spd = square @ square.T + n * np.eye(n)
    lower = np.linalg.cholesky(spd)
    lowers = {"lower": True}
    show("matvec", n, lambda: linear.matvec(square, b), lambda: square @ b)
    show("matmul", n, lambda: linear.matmul(square, square), lambda: square @ square)
    show("cholesky", n, lambda: linear.cholesky(spd), lambda: np.linalg.cholesky(spd))
    show(
        "solve_lower",
        n,
        lambda: linear.solve_lower(lower, b),
        lambda: solve_triangular(lower, b, **lowers),
    )
    show(
        "solve_lower, 64",
        n,
        lambda: linear.solve_lower(lower, many),
        lambda: solve_triangular(lower, many, **lowers),
    )
    show("solve_spd", n, lambda: linear.solve_spd(spd, b), lambda: np.linalg.solve(spd, b))
    show("solve", n, lambda: linear.solve(square, b), lambda: np.linalg.solve(square, b))
    if n <= 50:
        show("eigh_small", n, lambda: linear.eigh_small(spd), lambda: np.linalg.eigh(spd))


def main():
    """Print the table."""
    print(f"{'':16} {'size':>9} {'ours, us':>11} {'theirs, us':>11} {'ratio':>8}")
    for n in (20, 1_000, 100_000):
        elementary(n)
    for n in (10, 20, 50, 100, 200):
        matrices(n)


if __name__ == "__main__":
    main()
