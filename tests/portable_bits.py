"""Print what `tinytune.portable` computes here, as one hash for each function: JSON.

`python -m tests.portable_bits` prints the hashes, the hash of them all last. It is run by
test_linear.py under several settings, and has the one hash that test_linear.py compares with.
"""

import hashlib
import json

import numpy as np

from tinytune import draw
from tinytune.portable import arrays, linear

COUNT = 20_000


def elementary_inputs():
    """Return numbers of every size, with subnormals, infinities and nans, and of usual sizes."""
    everything = draw.bits(COUNT, 1, 2, "bits").view(np.float64)
    unit = draw.uniforms(COUNT, 1, 2, "unit")
    wide = [(unit - 0.5) * width for width in (1.0, 4.0, 80.0, 1500.0)]
    edges = [0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324, np.inf, -np.inf, np.nan, 1.7976931348623157e308]
    return np.concatenate([everything, unit, unit * 2.0**-40, 1.0 - unit * 2.0**-40, *wide, edges])


def linear_results():
    """Yield the results of every function of `linear` on matrices of 1 to 60 rows."""
    for n in (1, 2, 3, 17, 20, 60):
        entries = draw.normals(n * n, 1, n, "matrix")
        a = entries.reshape(n, n)
        b = draw.normals(3 * n, 1, n, "right side").reshape(n, 3)
        gram = linear.matmul(a, a.T)
        spd = gram + np.eye(n)
        lower = linear.cholesky(spd)
        values, vectors = linear.eigh_small(spd)
        yield from [
            ("dot", linear.dot(entries, entries * 0.5)),
            ("norm", linear.norm(entries)),
            ("total", linear.total(a)),
            ("total over axis 0", linear.total(a, axis=0)),
            ("total over axis 1", linear.total(a, axis=1)),
            ("matvec", linear.matvec(a, b[:, 0])),
            ("matmul", linear.matmul(a, b)),
            ("cholesky", lower),
            ("solve_lower", linear.solve_lower(lower, b)),
            ("solve_upper", linear.solve_upper(lower.T, b)),
            ("solve_spd", linear.solve_spd(spd, b)),
            ("solve", linear.solve(a, b)),
            ("eigh_small", np.concatenate([values, vectors.ravel()])),
        ]


def hashes():
    """Return the name of each function with the hash of its results; "all" comes last."""
    found = {}
    x = elementary_inputs()
    results = [(name, getattr(arrays, name)(x)) for name in arrays.__all__]
    results += [("normals", draw.normals(COUNT, 1, 2, "normals")), *linear_results()]
    for name, result in results:
        # little-endian, with one kind of nan only: the arrays' own
        text = np.ascontiguousarray(result, dtype="<f8").tobytes()
        found.setdefault(name, hashlib.sha256()).update(text)
    digests = {name: digest.hexdigest() for name, digest in found.items()}
    digests["all"] = hashlib.sha256("".join(digests.values()).encode()).hexdigest()
    return digests


def enabled_features():
    """Return the processor's features that numpy has code of its own for, and may use."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]


if __name__ == "__main__":
    print(json.dumps({"features": enabled_features(), "hashes": hashes()}, indent=1))
