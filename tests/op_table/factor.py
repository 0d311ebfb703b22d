"""Special functions, statistics, inverses and determinants."""

import numpy as np
from scipy import special

from tests.op_table.mathematics import inside
from tests.op_table.row import Error, Op, Sample
from tests.op_table.tensor import distinct, in_place, normal, positive, unary


def regular(rng, *shape):
    """Matrices far from singular."""
    return normal(rng, *shape) + 3 * np.eye(shape[-1])


def _mode(x, dim=-1, keepdim=False):
    def most(row):
        values, counts = np.unique(row, return_counts=True)
        return values[counts.argmax()]

    out = np.apply_along_axis(most, dim, x)
    return np.expand_dims(out, dim) if keepdim else out


def with_nan(rng):
    x = distinct(rng, 3, 5)
    x[0, 1] = x[2, 4] = np.nan
    return x


# PyTorch's polygamma functions have an error of some 1e-10.
LOOSE = {"float32": 5e-5, "float64": 1e-8}

SPECIAL = [
    unary("erfc", special.erfc),
    unary("erfinv", special.erfinv, inside),
    unary("lgamma", special.gammaln, lambda rng, *shape: np.asarray(rng.uniform(0.3, 4, shape))),
    Op("digamma", lambda rng: [Sample(np.asarray(rng.uniform(1.6, 4, (3, 2))))], special.digamma, gradient_rtol=LOOSE),
    Op(
        "polygamma",
        lambda rng: [Sample(n, np.asarray(rng.uniform(1, 4, (3, 2)))) for n in (0, 1, 2)],
        lambda n, x: special.polygamma(n, x),
        errors=lambda rng: [Error(Sample(-1, normal(rng, 2)), RuntimeError)],
        rtol={"float32": 2e-5, "float64": 1e-9},
        gradient_rtol=LOOSE,
    ),
    Op(
        "heaviside",
        lambda rng: [Sample(np.array([-1.0, 0.0, 2.0]), np.array(0.5)), Sample(np.array([-1, 0, 2]), np.array([3, 4, 5]))],
        np.heaviside,
        order=0,
        function=lambda lib: lambda x, values: lib.heaviside(x.detach(), values.detach()),
    ),
    Op("gcd", lambda rng: [Sample(np.array([12, -18, 0]), np.array([8, 27, 5])), Sample(np.array([[4], [6]]), np.array([2, 9]))],
       np.gcd, order=0, errors=[Error(Sample(np.array([1.5]), np.array([2.0])), NotImplementedError)]),
    Op("lcm", lambda rng: [Sample(np.array([12, -18, 0]), np.array([8, 27, 5]))], np.lcm, order=0),
    *(
        in_place(name, lambda rng, make=make: [Sample(make(rng, 3, 4))], reference)
        for name, make, reference in [
            ("erfc_", normal, special.erfc),
            ("erfinv_", inside, special.erfinv),
            ("lgamma_", positive, special.gammaln),
        ]
    ),
]  # fmt: skip

STATISTICS = [
    Op(
        "quantile",
        lambda rng: [
            Sample(distinct(rng, 3, 4), 0.3),
            Sample(distinct(rng, 3, 4), np.float64(0.3).item(), 1, True),
            Sample(distinct(rng, 5, 3), 0.55, 0),
            *(Sample(distinct(rng, 6), 0.37, interpolation=how) for how in ("lower", "higher", "midpoint", "nearest")),
        ],
        lambda x, q, dim=None, keepdim=False, interpolation="linear": np.quantile(x, q, dim, keepdims=keepdim, method=interpolation),
        errors=lambda rng: [
            Error(Sample(np.arange(3), 0.5), RuntimeError),
            Error(Sample(normal(rng, 3), 1.5), RuntimeError),
            Error(Sample(normal(rng, 0), 0.5), RuntimeError),
        ],
    ),
    Op(
        "nanquantile",
        lambda rng: [Sample(with_nan(rng), 0.3), Sample(with_nan(rng), 0.6, 1), Sample(with_nan(rng), 0.6, 1, True)],
        lambda x, q, dim=None, keepdim=False: np.nanquantile(x, q, dim, keepdims=keepdim),
        order=0,
        function=lambda lib: lambda x, *args: lib.nanquantile(x.detach(), *args),
    ),
    Op(
        "mode",
        lambda rng: [
            Sample(rng.integers(0, 3, (4, 7)).astype(float), dim, keepdim) for dim, keepdim in ((-1, False), (0, True))
        ],
        _mode,
        gradcheck={"eps": 1e-7},
        order=0,
        function=lambda lib: lambda x, *args: lib.mode(x.detach(), *args),
    ),
    Op("nanmedian", lambda rng: [Sample(distinct(rng, 3, 5)), Sample(distinct(rng, 3, 5), 1), Sample(distinct(rng, 4, 3), 0, True)]),
    Op("histc", lambda rng: [Sample(normal(rng, 50), 7), Sample(normal(rng, 50), 5, -1, 2)], order=0,
       function=lambda lib: lambda x, *args: lib.histc(x.detach(), *args),
       errors=lambda rng: [Error(Sample(normal(rng, 3), 0), RuntimeError), Error(Sample(normal(rng, 3), 4, 2, 1), RuntimeError)]),
    Op("cov", lambda rng: [Sample(normal(rng, 3, 6)), Sample(normal(rng, 6), correction=0),
                           Sample(normal(rng, 2, 4), fweights=np.array([1, 2, 1, 3])),
                           Sample(normal(rng, 2, 4), aweights=np.array([0.5, 2.0, 1.0, 1.5]))],
       lambda x, correction=1, fweights=None, aweights=None: np.cov(x, ddof=correction, fweights=fweights, aweights=aweights),
       errors=lambda rng: [Error(Sample(normal(rng, 2, 2, 2)), RuntimeError)]),
    Op("corrcoef", lambda rng: [Sample(normal(rng, 3, 6))], np.corrcoef),
    Op("trapezoid", lambda rng: [Sample(normal(rng, 3, 5)), Sample(normal(rng, 3, 5), dx=0.3, dim=0),
                                 Sample(normal(rng, 3, 5), normal(rng, 5)), Sample(normal(rng, 3, 5), normal(rng, 3), dim=0)],
       lambda y, x=None, dx=1.0, dim=-1: np.trapezoid(y, x, dx, dim)),
    Op("cumulative_trapezoid", lambda rng: [Sample(normal(rng, 3, 5)), Sample(normal(rng, 3, 5), normal(rng, 5)),
                                            Sample(normal(rng, 3, 5), dx=0.3, dim=0)]),
    Op("unique_consecutive", lambda rng: [Sample(np.array([1, 1, 2, 2, 3, 1, 1])), Sample(np.array([[1, 1], [2, 2]]), True, True),
                                          Sample(np.array([[1, 1, 2], [3, 3, 4]]), True, True, 1)], order=0),
    Op("combinations", lambda rng: [Sample(normal(rng, 4)), Sample(normal(rng, 4), 3), Sample(normal(rng, 3), 2, True)],
       errors=lambda rng: [Error(Sample(normal(rng, 2, 2)), RuntimeError)]),
    Op("vander", lambda rng: [Sample(normal(rng, 4)), Sample(normal(rng, 4), 3), Sample(normal(rng, 4), 3, increasing=True)],
       np.vander, torch_name=None, errors=lambda rng: [Error(Sample(normal(rng, 2, 2)), RuntimeError)]),
    Op("unravel_index", lambda rng: [Sample(np.array([0, 5, 11]), (3, 4)), Sample(np.array([[1], [7]]), (2, 2, 2))],
       lambda i, shape: np.unravel_index(i, shape), order=0),
    Op("renorm", lambda rng: [Sample(normal(rng, 3, 4), 2, 0, 1.0), Sample(normal(rng, 3, 4), 1, 1, 1.5)],
       rtol={"float64": 1e-6}, gradient_rtol={"float64": 1e-6}),
    Op("chain_matmul", lambda rng: [Sample(normal(rng, 2, 3), normal(rng, 3, 4), normal(rng, 4, 2))],
       lambda *m: np.linalg.multi_dot(m), torch_name="linalg.multi_dot",
       function=lambda lib: (lambda *m: lib.chain_matmul(*m)) if lib.__name__ == "minigrad" else lambda *m: lib.linalg.multi_dot(m)),
    *(
        Op(f"{name}_window", lambda rng: [Sample(n, periodic) for n in (0, 1, 2, 7, 8) for periodic in (True, False)], order=0,
           dtypes=("float32",))
        for name in ("hann", "hamming", "blackman", "bartlett")
    ),
]  # fmt: skip

MATRICES = [
    Op(
        "inverse",
        lambda rng: [Sample(regular(rng, 3, 3)), Sample(regular(rng, 2, 2, 2))],
        np.linalg.inv,
        errors=lambda rng: [
            Error(Sample(normal(rng, 2, 3)), RuntimeError),
            Error(Sample(normal(rng, 3)), RuntimeError),
            Error(Sample(np.zeros((2, 2))), RuntimeError, "singular"),
        ],
        gradient_rtol={"float32": 1e-4},
    ),
    Op(
        "linalg.solve",
        lambda rng: [
            Sample(regular(rng, 3, 3), normal(rng, 3, 2)),
            Sample(regular(rng, 3, 3), normal(rng, 3)),
            Sample(regular(rng, 2, 3, 3), normal(rng, 2, 3, 1)),
            Sample(regular(rng, 3, 3), normal(rng, 2, 3), left=False),
        ],
        gradient_rtol={"float32": 1e-4},
        errors=lambda rng: [Error(Sample(np.zeros((2, 2)), normal(rng, 2, 1)), RuntimeError, "singular")],
    ),
    Op(
        "det",
        lambda rng: [Sample(regular(rng, 3, 3)), Sample(regular(rng, 2, 2, 2))],
        np.linalg.det,
        note="The gradient at a singular matrix raises.",
        gradient_rtol={"float32": 1e-4},
    ),
    Op(
        "slogdet",
        lambda rng: [Sample(regular(rng, 3, 3)), Sample(-regular(rng, 2, 3, 3))],
        function=lambda lib: lambda x: (lib.slogdet(x)[0].detach(), lib.slogdet(x)[1]),
        gradient_rtol={"float32": 1e-4},
    ),
    Op("logdet", lambda rng: [Sample(regular(rng, 4, 4) + 3 * np.eye(4))], gradient_rtol={"float32": 1e-4}),
    *(
        Op(
            name,
            lambda rng: [Sample(normal(rng, 3, 3)), Sample(normal(rng, 2, 2, 2))],
            function=lambda lib, upper=upper: lambda x: lib.linalg.cholesky(
                x @ x.mT + 2 * lib.eye(x.shape[-1], dtype=x.dtype), upper=upper
            ),
            gradient_rtol={"float32": 1e-4},
        )
        for name, upper in (("linalg.cholesky", False), ("cholesky", True))
    ),
    Op("linalg.vector_norm", lambda rng: [Sample(distinct(rng, 3, 4), *args) for args in ((), (3, 1), (float("inf"), 0, True))]),
    Op("linalg.matrix_norm",
       lambda rng: [Sample(normal(rng, 2, 3, 4), *args) for args in ((), (1,), (float("inf"),), (-1, (0, 1), True))],
       errors=lambda rng: [Error(Sample(normal(rng, 2, 2), 2), NotImplementedError, torch="computes it from singular values")]),
    Op("linalg.norm",
       lambda rng: [Sample(normal(rng, 3, 4), *args) for args in ((), ("fro",), (1,), (1, 0))] + [Sample(normal(rng, 5), 1)]),
    Op("linalg.multi_dot", lambda rng: [Sample([normal(rng, 4, 2), normal(rng, 2, 5), normal(rng, 5, 3)]),
                                        Sample([normal(rng, 2), normal(rng, 2, 3), normal(rng, 3)])],
       np.linalg.multi_dot),
    Op("linalg.vecdot", lambda rng: [Sample(normal(rng, 3, 4), normal(rng, 3, 4)), Sample(normal(rng, 3, 4), normal(rng, 3, 4), dim=0)]),
    Op("linalg.cross", lambda rng: [Sample(normal(rng, 4, 3), normal(rng, 4, 3))]),
    Op("linalg.diagonal", lambda rng: [Sample(normal(rng, 2, 3, 4))], aliases=True),
]  # fmt: skip

ROWS: list[Op] = [*SPECIAL, *STATISTICS, *MATRICES]
