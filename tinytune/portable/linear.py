"""Linear algebra of small matrices that gives the same bits on every machine.

BLAS and LAPACK round differently on other processors, in other versions and with other numbers of
threads; numpy's own sums depend on the memory layout. Here every sum has one order, that of
`total`, and every product and every addition is a ufunc of its own. Right for up to some 250 rows.
"""

from __future__ import annotations

import math
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_BLOCK = 1 << 15  # this many products at a time stay in the processor's cache

# What overflows is infinite: neither a warning nor what the user made of warnings.
_quiet = np.errstate(all="ignore")


def _as_floats(x: ArrayLike) -> Floats:
    return np.asarray(x, dtype=np.float64)


def _halved(terms: Floats) -> Floats:
    """Sum over the first axis, of at least one term, in halves; `terms` is overwritten."""
    count = len(terms)
    while count > 1:
        kept = (count + 1) // 2
        first = terms[: count - kept]
        np.add(first, terms[kept:count], first)
        count = kept
    result: Floats = terms[0]
    return result


@overload
def total(x: ArrayLike, axis: None = None) -> float: ...
@overload
def total(x: ArrayLike, axis: int) -> Floats: ...
@_quiet
def total(x: ArrayLike, axis: int | None = None) -> float | Floats:
    """Return the sum of all elements, or over one axis.

    The second half is added to the first until one term is left: the error grows only with the
    logarithm of the count.
    """
    array = _as_floats(x)
    if axis is None:
        return float(_halved(array.flatten())) if array.size else 0.0
    terms = np.moveaxis(array, axis, 0)
    return _halved(terms.copy()) if len(terms) else np.zeros(terms.shape[1:])


@_quiet
def dot(a: ArrayLike, b: ArrayLike) -> float:
    """Return the inner product of two vectors."""
    a, b = _as_floats(a), _as_floats(b)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"dot needs two vectors of one length, not {a.shape} and {b.shape}.")
    return float(_halved(a * b)) if len(a) else 0.0


@_quiet
def norm(x: ArrayLike) -> float:
    """Return the Euclidean length of a vector, also where its square is out of range."""
    x = _as_floats(x)
    squared = dot(x, x)
    if 1e-280 < squared < 1e300 or not len(x):
        return float(np.sqrt(squared))
    largest = float(np.max(np.abs(x)))
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    scale = math.ldexp(1.0, -(math.frexp(largest)[1] // 2))  # twice a half: 2^1074 is too large
    scaled = x * scale * scale
    return float(np.sqrt(dot(scaled, scaled))) / scale / scale


@_quiet
def matvec(a: ArrayLike, x: ArrayLike) -> Floats:
    """Return A x, shape (n,), for A (n, m) and x (m,): each element is `dot(A[i], x)`."""
    a, x = _as_floats(a), _as_floats(x)
    if a.ndim != 2 or x.shape != a.shape[1:]:
        raise ValueError(f"A x needs (n, m) and (m,), not {a.shape} and {x.shape}.")
    return _halved((a * x).T).copy() if len(x) else np.zeros(len(a))


@_quiet
def matmul(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return A B, shape (n, m), for A (n, k) and B (k, m): each element is `dot(A[i], B[:, j])`."""
    a, b = _as_floats(a), _as_floats(b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"A B needs (n, k) and (k, m), not {a.shape} and {b.shape}.")
    result = np.zeros((a.shape[0], b.shape[1]))
    if not a.shape[1]:
        return result
    step = max(1, _BLOCK // max(1, b.size))
    for start in range(0, len(a), step):
        rows = a[start : start + step]
        # (k, rows, m): the sum runs over the first axis
        result[start : start + step] = _halved(rows.T[:, :, None] * b[:, None, :])
    return result


@_quiet
def cholesky(a: ArrayLike) -> Floats:
    """Return the lower triangular L with L L^T = A, shape (n, n), for a positive definite A.

    Only the lower triangle of A is read. ValueError where A is not positive definite.
    """
    rest = _square(a).copy()
    n = len(rest)
    lower = np.zeros((n, n))
    space = np.empty(n * n)  # one place for all products: the system need not give new ones
    for k in range(n):
        pivot = float(rest[k, k])
        if not 0.0 < pivot < math.inf:
            raise ValueError(
                f"The matrix is not positive definite: pivot {k} of its Cholesky factor is "
                f"{pivot}; add to its diagonal."
            )
        column = rest[k:, k] / math.sqrt(pivot)
        lower[k:, k] = column
        below, trailing = column[1:], rest[k + 1 :, k + 1 :]
        product = space[: trailing.size].reshape(trailing.shape)
        np.multiply(below[:, None], below, product)
        np.subtract(trailing, product, trailing)
    return lower


@_quiet
def solve_lower(lower: ArrayLike, b: ArrayLike) -> Floats:
    """Return X with L X = B for a lower triangular L (n, n) and B (n,) or (n, m), column by column.

    What is above the diagonal is not read.
    """
    lower, x = _square(lower), _right_side(lower, b)
    for k in range(len(x)):
        x[k] /= lower[k, k]
        x[k + 1 :] -= lower[k + 1 :, k, None] * x[k]
    return x.reshape(np.shape(b))


@_quiet
def solve_upper(upper: ArrayLike, b: ArrayLike) -> Floats:
    """Return X with U X = B for an upper triangular U (n, n) and B (n,) or (n, m)."""
    upper, x = _square(upper), _right_side(upper, b)
    for k in range(len(x) - 1, -1, -1):
        x[k] /= upper[k, k]
        x[:k] -= upper[:k, k, None] * x[k]
    return x.reshape(np.shape(b))


@_quiet
def solve_spd(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return X with A X = B for a positive definite A (n, n) and B (n,) or (n, m)."""
    lower = cholesky(a)
    return solve_upper(lower.T, solve_lower(lower, b))


@_quiet
def solve(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return X with A X = B for any regular A (n, n) and B (n,) or (n, m).

    Gauss's elimination with partial pivoting. ValueError where A is singular.
    """
    rest, x = _square(a).copy(), _right_side(a, b)
    n = len(rest)
    for k in range(n):
        pivot = k + int(np.argmax(np.abs(rest[k:, k])))
        if not 0.0 < abs(rest[pivot, k]) < np.inf:
            raise ValueError(f"The matrix is singular: it has no pivot in column {k}.")
        if pivot != k:
            rest[[k, pivot]] = rest[[pivot, k]]
            x[[k, pivot]] = x[[pivot, k]]
        factors = rest[k + 1 :, k, None] / rest[k, k]
        rest[k + 1 :, k + 1 :] -= factors * rest[k, k + 1 :]
        x[k + 1 :] -= factors * x[k]
    return solve_upper(rest, x).reshape(np.shape(b))


def _square(a: ArrayLike) -> Floats:
    a = _as_floats(a)
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(f"The matrix must be square, and its shape is {a.shape}.")
    return a


def _right_side(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return a copy of a right-hand side, (n,) or (n, m), as (n, m)."""
    b, n = _as_floats(b), np.shape(a)[0]
    if b.ndim not in (1, 2) or len(b) != n:
        raise ValueError(f"The right-hand side must have {n} rows, and its shape is {b.shape}.")
    return b.reshape(n, -1).copy() if b.size else np.zeros((n, 0 if n else 1))


_SWEEPS = 30  # 6 to 9 are enough for up to 50 rows


@_quiet
def eigh_small(a: ArrayLike) -> tuple[Floats, Floats]:
    """Return the eigenvalues, rising, and the eigenvectors (columns) of a symmetric A (n, n).

    Jacobi's rotations, n/2 disjoint ones at a time in the order of a round-robin tournament
    (Brent and Luk 1985). Of each vector the largest element, the first of equals, is positive.
    Only the lower triangle of A is read. For up to some 50 rows.
    """
    a = _square(a)
    n = len(a)
    both = np.concatenate([np.tril(a) + np.tril(a, -1).T, np.eye(n)])  # the vectors below
    rounds = _tournament(n)
    for _ in range(_SWEEPS):
        rotated = 0
        for first, second in rounds:
            rotated += _rotate(both, first, second)
        if not rotated:
            break
    values = both[:n].diagonal()
    order = np.argsort(values, kind="stable")
    vectors = both[n:, order]
    largest = vectors[np.argmax(np.abs(vectors), axis=0), np.arange(n)] if n else np.zeros(0)
    return values[order], vectors * np.where(largest < 0.0, -1.0, 1.0)


def _tournament(n: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return the rounds of a tournament in which each two of n meet once, as (first, second)."""
    players = list(range(n + n % 2))  # with an odd number one player has a free round
    rounds = []
    for _ in range(len(players) - 1):
        pairs = zip(players[: len(players) // 2], reversed(players), strict=False)
        met = sorted((min(pair), max(pair)) for pair in pairs if max(pair) < n)
        if met:
            rounds.append((np.array([p for p, _ in met]), np.array([q for _, q in met])))
        players = [players[0], players[-1], *players[1:-1]]
    return rounds


def _rotate(both: Floats, p: NDArray[np.intp], q: NDArray[np.intp]) -> bool:
    """Make the elements (p, q) zero, in place; return whether any was not negligible.

    `both` is the matrix and below it the vectors. Golub and Van Loan, Matrix Computations,
    algorithm 8.4.1.
    """
    off, low, high = both[p, q], both[p, p], both[q, q]
    large = np.abs(off) > 2.0**-54 * np.sqrt(np.abs(low)) * np.sqrt(np.abs(high))
    if not np.count_nonzero(large):
        return False
    tau = (high - low) / (2.0 * np.where(large, off, 1.0))
    t = np.where(tau < 0.0, -1.0, 1.0) / (np.abs(tau) + np.sqrt(1.0 + tau * tau))
    t[~large] = 0.0
    cosine = 1.0 / np.sqrt(1.0 + t * t)
    sine = t * cosine
    cosine, sine = cosine[:, None], sine[:, None]
    for lines in (both[: both.shape[1]], both.T):  # the matrix's rows, then the columns of both
        upper, lower = lines[p], lines[q]
        lines[p] = cosine * upper - sine * lower
        lines[q] = sine * upper + cosine * lower
    both[p[large], q[large]] = 0.0
    both[q[large], p[large]] = 0.0
    return True
