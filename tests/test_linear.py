"""Linear algebra against numpy and scipy, and the same bits under every setting."""

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg

from tests import portable_bits
from tinytune import draw
from tinytune.portable import linear

SIZES = [1, 2, 3, 7, 20, 50, 100]
ROOT = Path(__file__).resolve().parents[1]


def matrix(rows, columns, name="a"):
    """Return random numbers, the same each time."""
    return draw.normals(rows * columns, 11, rows, name).reshape(rows, columns)


def positive_definite(n):
    a = matrix(n, n)
    return a @ a.T + 0.1 * n * np.eye(n)


def assert_close(ours, theirs, relative=1e-12):
    assert np.shape(ours) == np.shape(theirs)
    largest = np.max(np.abs(theirs), initial=1e-300)
    assert np.max(np.abs(ours - theirs), initial=0.0) <= relative * largest


FLOATS = st.lists(st.floats(-1e100, 1e100), max_size=70)


@given(FLOATS)
def test_totals_are_nearly_exact(x):
    exact = sum(map(Fraction, x), Fraction(0))
    size = sum(map(abs, map(Fraction, x)), Fraction(0))
    assert abs(Fraction(linear.total(x)) - exact) <= size * Fraction(8, 2**53)


@given(FLOATS)
def test_inner_products_are_nearly_exact(x):
    y = [0.1 * i - 2.0 for i in range(len(x))]
    terms = [Fraction(a) * Fraction(b) for a, b in zip(x, y, strict=True)]
    exact, size = sum(terms, Fraction(0)), sum(map(abs, terms), Fraction(0))
    assert abs(Fraction(linear.dot(x, y)) - exact) <= size * Fraction(9, 2**53) + Fraction(5e-324)


def test_a_total_adds_the_second_half_to_the_first():
    a, b, c, d, e = 0.1, 1e16, -1e16, 0.7, 3.3
    assert linear.total([a, b, c, d, e]) == ((a + d) + c) + (b + e)
    assert linear.total([]) == 0.0
    assert type(linear.total([1.0])) is type(linear.total([])) is float


@pytest.mark.parametrize("shape", [(3, 4), (1, 5), (5, 1), (2, 3, 4), (0, 4), (4, 0)])
def test_totals_over_an_axis(shape):
    x = matrix(int(np.prod(shape)), 1).reshape(shape)
    for axis in range(-1, len(shape)):
        ours = linear.total(x, axis=axis)
        assert_close(ours, np.sum(x, axis=axis))
        for where in np.ndindex(ours.shape):
            line = np.moveaxis(x, axis, -1)[where]
            assert ours[where] == linear.total(line.copy())


def test_totals_do_not_depend_on_the_memorys_order():
    x = matrix(37, 23)
    for other in [np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], x.astype(">f8")]:
        assert linear.total(x) == linear.total(other)
        for axis in (0, 1):
            assert np.array_equal(linear.total(x, axis), linear.total(other, axis))
            assert np.array_equal(linear.total(x, axis), linear.total(other.T, 1 - axis))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30))
def test_norms_are_right_even_where_squares_are_out_of_range(x):
    exact = sum((Fraction(v) ** 2 for v in x), Fraction(0))
    norm = linear.norm(x)
    if norm == float("inf"):
        assert exact > Fraction(1.79e308) ** 2
    else:
        slack = Fraction(1, 2**46) * exact + Fraction(1e-322) ** 2
        assert abs(Fraction(norm) ** 2 - exact) <= slack + 2 * Fraction(norm) * Fraction(5e-324)


def test_the_norm_of_what_is_not_finite():
    assert linear.norm([1.0, float("-inf")]) == float("inf")
    assert np.isnan(linear.norm([1.0, float("nan")]))


@pytest.mark.parametrize("n", SIZES)
def test_products(n):
    a, b, x = matrix(n, n + 2), matrix(n + 2, 5, "b"), matrix(n + 2, 1, "x")[:, 0]
    assert_close(linear.matmul(a, b), a @ b)
    assert_close(linear.matvec(a, x), a @ x)
    assert_close(linear.dot(x, x), x @ x)
    assert linear.matvec(a, x).tolist() == [linear.dot(row, x) for row in a]
    assert linear.matmul(a, b).tolist() == [[linear.dot(row, y) for y in b.T] for row in a]


def test_products_do_not_depend_on_blocks_or_the_memorys_order():
    a, b = matrix(90, 70), matrix(70, 80, "b")
    whole = linear.matmul(a, b)
    assert np.array_equal(linear.matmul(a[17:19], b), whole[17:19])
    assert np.array_equal(linear.matmul(a, b[:, 5:6]), whole[:, 5:6])
    assert np.array_equal(linear.matmul(np.asfortranarray(a), np.asfortranarray(b)), whole)
    assert np.array_equal(linear.matvec(np.asfortranarray(a), b[:, 3]), whole[:, 3])


def test_products_of_nothing():
    assert linear.matmul(np.ones((2, 0)), np.ones((0, 3))).tolist() == [[0.0] * 3] * 2
    assert linear.matmul(np.ones((0, 2)), np.ones((2, 3))).shape == (0, 3)
    assert linear.matmul(np.ones((3, 2)), np.ones((2, 0))).shape == (3, 0)
    assert linear.matvec(np.ones((2, 0)), np.ones(0)).tolist() == [0.0, 0.0]
    assert linear.dot([], []) == 0.0


@pytest.mark.parametrize("n", SIZES)
def test_cholesky_and_what_solves_with_it(n):
    a, b = positive_definite(n), matrix(n, 4, "b")
    lower = linear.cholesky(a)
    assert_close(lower, np.linalg.cholesky(a))
    assert np.array_equal(lower, np.tril(lower))
    for right in (b, b[:, 0]):
        assert_close(
            linear.solve_lower(lower, right), linalg.solve_triangular(lower, right, lower=True)
        )
        assert_close(linear.solve_upper(lower.T, right), linalg.solve_triangular(lower.T, right))
        assert_close(linear.solve_spd(a, right), np.linalg.solve(a, right))


@pytest.mark.parametrize("n", SIZES)
def test_elimination(n):
    a, b = matrix(n, n), matrix(n, 4, "b")
    for right in (b, b[:, 0]):
        assert_close(linear.solve(a, right), np.linalg.solve(a, right), 1e-11)


def test_elimination_exchanges_rows():
    a = [[0.0, 2.0, 0.0], [0.0, 0.0, 4.0], [1e-20, 1.0, 1.0]]
    assert_close(linear.solve(a, [2.0, 4.0, 2.0]), np.array([0.0, 1.0, 1.0]))


def test_only_the_triangle_that_is_meant_is_read():
    a, b = positive_definite(6), matrix(6, 2, "b")
    broken = np.tril(a) + np.triu(np.full((6, 6), np.nan), 1)
    assert np.array_equal(linear.cholesky(broken), linear.cholesky(a))
    assert np.array_equal(linear.solve_lower(broken, b), linear.solve_lower(a, b))
    assert np.array_equal(linear.solve_upper(broken.T, b), linear.solve_upper(a, b))
    assert np.array_equal(linear.eigh_small(broken)[0], linear.eigh_small(a)[0])


def test_columns_of_a_right_side_are_solved_alone():
    a, b = positive_definite(12), matrix(12, 5, "b")
    lower = linear.cholesky(a)
    for solver, left in [
        (linear.solve_lower, lower),
        (linear.solve_upper, lower.T),
        (linear.solve_spd, a),
        (linear.solve, a),
    ]:
        whole = solver(left, b)
        assert np.array_equal(solver(left, b[:, 2]), whole[:, 2])
        assert np.array_equal(solver(np.asfortranarray(left), np.asfortranarray(b)), whole)


def test_arguments_are_not_changed():
    a, b = positive_definite(5), matrix(5, 2, "b")
    kept = a.copy(), b.copy()
    for array in (a, b):
        array.flags.writeable = False
    linear.total(a)
    linear.total(a, axis=0)
    linear.matmul(a, b)
    linear.cholesky(a)
    linear.eigh_small(a)
    for solver in (linear.solve_lower, linear.solve_upper, linear.solve_spd, linear.solve):
        solver(a, b)
    assert np.array_equal(a, kept[0])
    assert np.array_equal(b, kept[1])


@pytest.mark.parametrize(
    "a",
    [
        [[0.0]],
        [[-1.0]],
        [[float("nan")]],
        [[float("inf")]],
        [[1.0, 2.0], [2.0, 1.0]],
        np.ones((3, 3)),
    ],
)
def test_cholesky_refuses_what_is_not_positive_definite(a):
    with pytest.raises(ValueError, match=r"not positive definite: pivot \d"):
        linear.cholesky(a)


@pytest.mark.parametrize("a", [[[0.0]], [[1.0, 2.0], [2.0, 4.0]], [[float("nan")]]])
def test_elimination_refuses_what_is_singular(a):
    with pytest.raises(ValueError, match="singular: it has no pivot in column"):
        linear.solve(a, np.ones(len(a)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linear.dot([1.0], [1.0, 2.0]), "one length"),
        (lambda: linear.matvec(np.ones((2, 3)), np.ones(2)), "A x needs"),
        (lambda: linear.matmul(np.ones((2, 3)), np.ones((2, 3))), "A B needs"),
        (lambda: linear.cholesky(np.ones((2, 3))), "must be square"),
        (lambda: linear.solve_lower(np.eye(2), np.ones(3)), "must have 2 rows"),
        (lambda: linear.solve(np.eye(2), np.ones((1, 2))), "must have 2 rows"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_empty_systems_have_empty_solutions():
    for solver in (linear.solve_lower, linear.solve_upper, linear.solve_spd, linear.solve):
        assert solver(np.zeros((0, 0)), np.zeros(0)).shape == (0,)
        assert solver(np.eye(3), np.zeros((3, 0))).shape == (3, 0)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 6, 7, 20, 50])
def test_eigenvalues_and_vectors(n):
    indefinite = matrix(n, n)
    for a in (positive_definite(n) if n else np.zeros((0, 0)), indefinite + indefinite.T):
        values, vectors = linear.eigh_small(a)
        assert_close(values, np.linalg.eigvalsh(a))
        assert (np.diff(values) >= 0).all()
        assert_close(vectors.T @ vectors, np.eye(n))
        assert_close((vectors * values) @ vectors.T, a)
        largest = np.argmax(np.abs(vectors), axis=0) if n else []
        assert all(vectors[row, column] > 0 for column, row in enumerate(largest))


def test_eigenvalues_of_very_different_sizes_keep_their_digits():
    scales = np.array([1e-12, 1e-6, 1.0, 1e6])
    correlations = positive_definite(4)
    values, _ = linear.eigh_small(correlations * scales[:, None] * scales)
    exact = np.prod(np.diag(linear.cholesky(correlations)) ** 2) * np.prod(scales**2)
    assert np.prod(values) == pytest.approx(exact, rel=1e-10)


def test_eigenvalues_that_are_equal_zero_or_on_the_diagonal_already():
    for a in (np.zeros((3, 3)), np.eye(5), np.diag([3.0, -1.0, 2.0]), np.ones((4, 4))):
        values, vectors = linear.eigh_small(a)
        assert values == pytest.approx(np.linalg.eigvalsh(a), abs=1e-15)
        assert_close((vectors * values) @ vectors.T, a, 1e-14)


# To make it anew, after a change that is meant to change bits: python -m tests.portable_bits
# The same on every machine; whoever finds another one has found a fault.
HASH = "8369768d3e7f1c87a54c5d63ac47c98bd0360ebe5d19d01a3f52697c12ae707d"


def settings():
    """Return environments in which numpy and BLAS use other instructions and threads."""
    features = portable_bits.enabled_features()
    without = [" ".join(features[start:]) for start in range(len(features))]
    cores = ["Haswell", "Prescott", "Nehalem", "Zen", "Sandybridge"]
    found = [{"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "2"}]
    for index, disabled in enumerate(without or [""]):
        found.append(
            {
                "OPENBLAS_CORETYPE": cores[(index + 1) % len(cores)],
                "OPENBLAS_NUM_THREADS": str(1 + index % 2),
                **({"NPY_DISABLE_CPU_FEATURES": disabled} if disabled else {}),
            }
        )
    return found


@pytest.mark.parametrize("setting", settings(), ids=lambda setting: " ".join(setting.values()))
def test_bits_are_the_same_under_every_setting(setting):
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NPY_", "OPENBLAS_"))
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.portable_bits"],
        cwd=ROOT,
        env={**inherited, **setting},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    disabled = set(setting.get("NPY_DISABLE_CPU_FEATURES", "").split())
    assert disabled.isdisjoint(answer["features"])
    here = portable_bits.hashes()
    different = [name for name, digest in answer["hashes"].items() if digest != here[name]]
    assert not different, f"other bits than in this process: {different}"
    assert answer["hashes"]["all"] == HASH
