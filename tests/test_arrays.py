"""The elementary functions of arrays, against mpmath, and numpy and scipy at the edges."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import special

from tinytune import draw
from tinytune.portable import arrays

ANY = st.floats(allow_nan=True, allow_infinity=True)
FUNCTIONS = [getattr(arrays, name) for name in arrays.__all__]
NAMES = arrays.__all__


@pytest.fixture(autouse=True)
def _forty_digits():
    with mpmath.workdps(40):
        yield


def between(low, high, count=400):
    """Return random numbers, the same each time."""
    return low + (high - low) * draw.uniforms(count, 7, 0, f"{low} {high}")


def sizes(low, high, count=400):
    """Return random numbers between powers of ten."""
    return np.power(10.0, between(low, high, count))


def around(*points):
    """Return the points with the four floats next to each."""
    found = []
    for point in points:
        below, above = math.nextafter(point, -math.inf), math.nextafter(point, math.inf)
        found += [math.nextafter(below, -math.inf), below, point, above]
        found += [math.nextafter(above, math.inf)]
    return np.array(found)


def worst_ulps(function, reference, x):
    """Return the largest error in units in the last place of the exact result, and where it is."""
    worst = (0.0, None)
    for point, value in zip(x.tolist(), function(x).tolist(), strict=True):
        exact = reference(mpmath.mpf(point))
        unit = math.ulp(float(exact))
        if math.isinf(value) and abs(exact) > mpmath.mpf(1.797e308):
            continue
        worst = max(worst, (float(abs(mpmath.mpf(value) - exact) / mpmath.mpf(unit)), point))
    return worst


def exact_cdf(x):
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def exact_log_cdf(x):
    return mpmath.log(exact_cdf(x)) if x < 0 else mpmath.log1p(-exact_cdf(-x))


def exact_pdf(x):
    return mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)


def exact_quantile(p):
    with mpmath.workdps(60):
        z = mpmath.mpf(float(special.ndtri(float(p))))
        for _ in range(3):  # Newton's steps on the logarithm, which is smooth in the tail
            value = exact_cdf(z)
            z -= (mpmath.log(value) - mpmath.log(p)) * value / exact_pdf(z)
        return z


HALVES = [(k + 0.5) * math.log(2) for k in (-1074, -1022, -30, -2, -1, 0, 1, 2, 30, 1022)]
BOTH = np.array([1.0, -1.0])[:, None]
RANGES = {
    "exp": [
        between(-1, 1),
        between(-745, -700),
        between(-700, 709.7),
        sizes(-300, 0),
        around(*HALVES, 700.0, -700.0, -708.4, -745.1, 709.78),
    ],
    "expm1": [
        between(-1, 1),
        between(-0.5, -0.2),
        between(0.3, 0.6),
        between(-60, 60),
        between(60, 709.7),
        -sizes(-300, 0),
        sizes(-300, 0),
        around(*HALVES[2:], 700.0, -700.0, -37.0, 1e-17, 5e-324),
    ],
    "log": [
        between(0.5, 2),
        between(0.99, 1.01),
        sizes(-308, 308),
        sizes(-323.3, -307),
        around(math.sqrt(0.5), math.sqrt(2), 2 * math.sqrt(2), 1.0, 2.0**-1022, 1.7e308),
    ],
    "log1p": [
        between(-0.999, 1),
        between(-0.3, 0.5),
        sizes(-300, 300),
        -sizes(-300, -0.001),
        around(math.sqrt(0.5) - 1, math.sqrt(2) - 1, 1e-16, -1e-16, 2.0**53, 1.7e308, 1e-320),
    ],
    "tanh": [between(-1, 1), between(-22, 22), sizes(-300, 0), around(1.0, -1.0, 50.0)],
    "erf": [between(-1, 1), between(-6, 6), sizes(-300, 0), around(0.625, -0.625, 6.0)],
    "erfc": [
        between(-1, 1),
        between(0.5, 2),
        between(2, 26.5),
        between(-6, 0),
        around(0.625, -0.625, 26.0),
    ],
    "normal_cdf": [
        between(-1, 1),
        between(-3, -0.5),
        between(-37.5, 0),
        between(0, 9),
        around(0.671875, -0.671875, 0.0),
    ],
    "normal_pdf": [between(-1, 1), between(-37.5, 37.5), between(-38.5, -37.5, 50)],
    "log_normal_cdf": [
        between(-1, 0),
        between(-5, 1),
        between(0, 9),
        between(-60, -0.5),
        -sizes(1, 150, 100),
        around(-0.671875, 0.671875, -40.0, 0.0),
    ],
    "normal_quantile": [
        between(0.001, 0.999, 700),
        sizes(-300, -1, 100),
        around(0.075, 0.925, 0.5, 1.3887943864964021e-11),
        np.array([5e-324, 1e-323, 1e-310, math.nextafter(1.0, 0.0)]),
    ],
}
REFERENCES = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "normal_cdf": exact_cdf,
    "normal_pdf": exact_pdf,
    "log_normal_cdf": exact_log_cdf,
    "normal_quantile": exact_quantile,
}
# In units in the last place, as the docstrings say.
LIMITS = {
    "exp": 1,
    "expm1": 1,
    "log": 1,
    "log1p": 1,
    "tanh": 2,
    "erf": 2,
    "erfc": 2,
    "normal_cdf": 2,
    "normal_pdf": 1,
    "log_normal_cdf": 3,
    "normal_quantile": 6,
}


@pytest.mark.parametrize("name", NAMES)
def test_errors_stay_within_the_promised_units(name):
    x = np.concatenate(RANGES[name])
    worst, where = worst_ulps(getattr(arrays, name), REFERENCES[name], x)
    assert len(x) > 800
    assert worst <= LIMITS[name], f"{name}({where!r}) is off by {worst} units"


NUMPY = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "erf": special.erf,
    "erfc": special.erfc,
    "normal_cdf": special.ndtr,
    "log_normal_cdf": special.log_ndtr,
    "normal_quantile": special.ndtri,
}


@pytest.mark.parametrize("name", NUMPY)
@given(x=ANY)
@example(x=0.0)
@example(x=-0.0)
@example(x=1.0)
@example(x=-1.0)
@example(x=5e-324)
@example(x=-5e-324)
@example(x=math.inf)
@example(x=-math.inf)
@example(x=math.nan)
@example(x=1.7976931348623157e308)
@example(x=-1.7976931348623157e308)
@example(x=2.2250738585072014e-308)
@example(x=709.782712893384)
@example(x=709.7827128933841)
@example(x=-745.1332191019411)
@example(x=-745.1332191019412)
@example(x=math.nextafter(1.0, 0.0))
@example(x=math.nextafter(-1.0, 0.0))
def test_edges_are_numpys(name, x):
    ours = getattr(arrays, name)(x)
    with np.errstate(all="ignore"):
        theirs = float(NUMPY[name](x))
    assert type(ours) is float
    if math.isfinite(theirs):
        assert ours == pytest.approx(theirs, rel=1e-13, abs=1e-321)  # scipy's

        if theirs == ours == 0.0:
            assert math.copysign(1.0, ours) == math.copysign(1.0, theirs)
    else:
        assert ours == theirs or (math.isnan(ours) and math.isnan(theirs))


@given(ANY)
def test_the_density_is_that_of_scipy(x):
    ours = arrays.normal_pdf(x)
    with np.errstate(all="ignore"):
        theirs = float(np.exp(-np.float64(x) * x / 2)) / math.sqrt(2 * math.pi)
    assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-320, nan_ok=True)


def test_values_that_are_known_exactly():
    assert arrays.exp(0.0) == arrays.exp(-0.0) == 1.0
    assert arrays.log(1.0) == arrays.log1p(0.0) == 0.0
    assert arrays.normal_cdf(0.0) == 0.5
    assert arrays.normal_quantile(0.5) == 0.0
    assert arrays.erfc(0.0) == 1.0
    assert arrays.erfc(-30.0) == 2.0
    assert arrays.erf(7.0) == 1.0
    assert arrays.tanh(-50.0) == -1.0


@pytest.mark.parametrize(
    ("p", "z"),
    [
        (0.25, -0.6744897501960817),
        (0.001, -3.090232306167813),
        (1e-20, -9.262340089798408),
    ],
)
def test_quantiles_are_those_that_wichura_printed(p, z):
    assert arrays.normal_quantile(p) == pytest.approx(z, rel=1e-15)
    assert arrays.normal_cdf(z) == pytest.approx(p, rel=1e-13)


@given(st.floats(1e-300, 0.5))
def test_quantile_and_distribution_undo_each_other(p):
    assert arrays.log_normal_cdf(arrays.normal_quantile(p)) == pytest.approx(
        math.log(p), rel=1e-14, abs=4e-15
    )


@given(st.floats(-1e4, 1e4), st.floats(0, 10))
def test_functions_that_rise_do_not_fall_by_more_than_rounding(x, step):
    for name in ("exp", "expm1", "tanh", "erf", "normal_cdf", "log_normal_cdf"):
        low, high = getattr(arrays, name)(np.array([x, x + step])).tolist()
        assert low <= high + 4 * math.ulp(high), name


# Numbers of all kinds, in more than one block.
MIXED = np.concatenate(
    [draw.bits(9_000, 3, 0, "mixed").view(np.float64), *[between(-40, 40), between(0, 1)] * 12]
)


def same_bits(a, b):
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


@pytest.mark.parametrize("function", FUNCTIONS, ids=NAMES)
def test_an_element_depends_on_no_other(function):
    whole = function(MIXED)
    assert whole.shape == MIXED.shape
    for part in [slice(3, 7), slice(8_000, 8_300), slice(1, None, 3), slice(None, None, -7)]:
        assert same_bits(function(MIXED[part]), whole[part])
    for i in range(8_990, 9_010):
        assert same_bits(function(MIXED[i : i + 1]), whole[i : i + 1])
        assert same_bits(np.array(function(float(MIXED[i]))), whole[i])


@pytest.mark.parametrize("function", FUNCTIONS, ids=NAMES)
def test_memory_makes_no_difference(function):
    whole = function(MIXED[:600])
    memory = bytearray(600 * 8 + 1)
    unaligned = np.frombuffer(memory, dtype=np.float64, count=600, offset=1)
    unaligned[:] = MIXED[:600]
    assert not unaligned.flags.aligned
    assert same_bits(function(unaligned), whole)
    assert same_bits(function(MIXED[:600].astype(">f8")), whole)
    fortran = np.asfortranarray(MIXED[:600].reshape(20, 30))
    assert same_bits(function(fortran), whole)
    assert same_bits(function(fortran.T), whole.reshape(20, 30).T)
    strided = np.empty((600, 3))
    strided[:, 1] = MIXED[:600]
    assert same_bits(function(strided[:, 1]), whole)


@pytest.mark.parametrize("function", FUNCTIONS, ids=NAMES)
def test_shapes_stay_and_arguments_are_not_changed(function):
    for shape in [(0,), (1,), (2, 3), (2, 0, 3), (), (2, 3, 4)]:
        x = np.full(shape, 0.25)
        result = function(x)
        assert result.shape == shape
        assert result.dtype == np.float64
        assert (x == 0.25).all()
        assert not np.shares_memory(result, x)
    assert type(function(0.25)) is type(function(1)) is float
    assert function([0.25, 0.5]).shape == (2,)
    frozen = MIXED.copy()
    frozen.flags.writeable = False
    function(frozen)


@pytest.mark.parametrize("function", FUNCTIONS, ids=NAMES)
def test_what_the_user_made_of_numpys_errors_makes_no_difference(function):
    with np.errstate(all="raise"):
        strict = function(MIXED)
    assert same_bits(strict, function(MIXED))


def test_normals_are_quantiles_of_uniforms_and_look_normal():
    z = draw.normals(20_000, 5, 6, "test")
    u = draw.uniforms(20_000, 5, 6, "test")
    assert same_bits(z, arrays.normal_quantile(u))
    assert same_bits(z[:10], draw.normals(10, 5, 6, "test"))
    assert not np.array_equal(z[:10], draw.normals(10, 5, 6, "test", draw=1))
    assert abs(z.mean()) < 4 / math.sqrt(20_000)
    assert abs(z.std() - 1) < 4 / math.sqrt(2 * 20_000)
    assert abs(np.mean(z**4) - 3) < 4 * math.sqrt(96 / 20_000)
