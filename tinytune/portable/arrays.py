"""Elementary functions of arrays that give the same bits on every machine.

numpy's own exp and log differ between processors in the last bit. These are built from + - * /,
sqrt, comparisons and integer arithmetic only, which IEEE 754 leaves no freedom in; each step is a
ufunc of its own, so no compiler fuses two of them. What an element gives depends on nothing but
that element: not on its neighbours, nor on the array's length, strides or alignment.

Every function takes a float or an array of any shape and returns the same. Edges are numpy's
(log(0) is -inf, log(-1) is nan), without warnings.
"""

from tinytune.portable.elementary import exp, expm1, log, log1p, tanh
from tinytune.portable.normal import (
    erf,
    erfc,
    log_normal_cdf,
    normal_cdf,
    normal_pdf,
    normal_quantile,
)

__all__ = [
    "exp", "expm1", "log", "log1p", "tanh",
    "erf", "erfc", "log_normal_cdf", "normal_cdf", "normal_pdf", "normal_quantile",
]  # fmt: skip
