"""Matrix products, linear layers, embeddings and distances."""

import numpy as np

from tests.op_table.row import Error, Op, Sample


def normal(rng, *shapes):
    """Arrays of normal numbers, one a shape."""
    return [rng.standard_normal(shape) for shape in shapes]


def calls(*shapes_of_calls, **kwargs):
    """Samples of float tensors: one call for each tuple of shapes."""
    return lambda rng: [Sample(*normal(rng, *shapes), **kwargs) for shapes in shapes_of_calls]


def equations(*rows):
    """Samples of einsum: (equation, shape of each operand)."""
    return lambda rng: [Sample(equation, *normal(rng, *shapes)) for equation, *shapes in rows]


MATRIX, LONG = np.ones((2, 3)), np.ones((3, 4), np.int64)


def naive_addmm(x, a, b, beta=1, alpha=1):
    return beta * x + alpha * (a @ b)


MATMUL = calls(
    ((2, 3), (3, 5)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (2, 3, 4)), ((2, 3, 4), (4, 2)), ((2, 1, 2, 3), (3, 3, 2)), ((1, 0), (0, 2))
)  # fmt: skip

PRODUCTS = [
    Op(
        "matmul",
        MATMUL,
        np.matmul,
        errors=[
            Error(Sample(MATRIX, np.ones((4, 5))), RuntimeError, r"cannot be multiplied \(2x3 and 4x5\)"),
            Error(Sample(MATRIX, np.ones(4)), RuntimeError, "size mismatch"),
            Error(Sample(np.ones(3), np.ones((4, 5))), RuntimeError, "1x3 and 4x5"),
            Error(Sample(np.ones((2, 2, 3)), np.ones((4, 5))), RuntimeError, "4x3 and 4x5"),
            Error(Sample(np.ones((2, 2, 3)), np.ones((3, 3, 5))), RuntimeError),
            Error(Sample(np.ones((2, 2, 3)), np.ones((2, 4, 5))), RuntimeError, r"\[2, 3\] but got: \[2, 4\]"),
            Error(Sample(np.ones(()), MATRIX), RuntimeError, "at least 1D"),
            Error(Sample(MATRIX, LONG), RuntimeError, "same dtype"),
            Error(Sample(MATRIX > 0, LONG > 0), NotImplementedError),
            Error(Sample(MATRIX, 2), TypeError),
        ],
    ),
    Op("Tensor.__matmul__", MATMUL, np.matmul),
    Op(
        "mm",
        calls(((2, 3), (3, 5)), ((7, 1), (1, 3)), ((2, 0), (0, 3))),
        np.matmul,
        errors=[
            Error(Sample(MATRIX, np.ones((4, 5))), RuntimeError, "2x3 and 4x5"),
            Error(Sample(MATRIX, np.ones(3)), RuntimeError, "matrix"),
            Error(Sample(np.ones(2), MATRIX), RuntimeError, "matrix"),
        ],
    ),
    Op(
        "bmm",
        calls(((2, 3, 4), (2, 4, 5)), ((0, 3, 4), (0, 4, 2))),
        np.matmul,
        errors=[
            Error(Sample(MATRIX, MATRIX), RuntimeError, "3D"),
            Error(Sample(np.ones((2, 3, 4)), np.ones((2, 3, 4))), RuntimeError, "first two dimensions"),
        ],
    ),
    Op(
        "mv",
        calls(((2, 3), (3,)), ((5, 1), (1,))),
        np.matmul,
        errors=[Error(Sample(MATRIX, np.ones(4)), RuntimeError), Error(Sample(MATRIX, MATRIX), RuntimeError)],
    ),
    Op(
        "dot",
        calls(((3,), (3,)), ((0,), (0,))),
        np.dot,
        errors=[Error(Sample(np.ones(3), np.ones(4)), RuntimeError), Error(Sample(MATRIX, np.ones(3)), RuntimeError)],
    ),
    Op("outer", calls(((2,), (3,))), np.outer, errors=[Error(Sample(MATRIX, np.ones(3)), RuntimeError, "Expected 1-D")]),
    Op(
        "inner",
        calls(((2, 3), (4, 3)), ((3,), (3,)), ((), (2, 3)), ((2, 1, 3), (3,))),
        np.inner,
        errors=[Error(Sample(MATRIX, np.ones(4)), RuntimeError, "last dimension")],
    ),
    Op(
        "addmm",
        lambda rng: [
            Sample(*normal(rng, (2, 4), (2, 3), (3, 4))),
            Sample(*normal(rng, (4,), (2, 3), (3, 4)), beta=0.5, alpha=-2.0),
            Sample(*normal(rng, (1,), (2, 3), (3, 4)), beta=0),
        ],
        naive_addmm,
        errors=[
            Error(Sample(np.ones(4), MATRIX, np.ones((4, 5))), RuntimeError),
            Error(Sample(np.ones(4), MATRIX, np.ones((3, 5))), RuntimeError),
            Error(Sample(np.ones(4), MATRIX, np.ones(3)), RuntimeError),
        ],
    ),
    Op("addmv", calls(((2,), (2, 3), (3,)), ((1,), (2, 3), (3,)), beta=0.5, alpha=3.0), naive_addmm),
    Op(
        "baddbmm",
        lambda rng: [
            Sample(*normal(rng, (2, 3, 5), (2, 3, 4), (2, 4, 5))),
            Sample(*normal(rng, (3, 1), (2, 3, 4), (2, 4, 5)), beta=0.5, alpha=-2.0),
        ],
        naive_addmm,
        errors=[Error(Sample(np.ones(7), np.ones((2, 2, 3)), np.ones((2, 3, 5))), RuntimeError)],
    ),
    Op(
        "tensordot",
        lambda rng: [
            Sample(*normal(rng, (2, 3, 4), (3, 4, 5))),
            Sample(*normal(rng, (2, 3), (4,)), dims=0),
            Sample(*normal(rng, (2, 3, 4), (3, 5, 2)), dims=([1, 0], [0, 2])),
            Sample(*normal(rng, (2, 1), (3, 4)), dims=([-1], [0])),
        ],
        errors=[
            Error(Sample(MATRIX, np.ones((4, 5)), 1), RuntimeError, "contracted dimensions"),
            Error(Sample(MATRIX, np.ones((4, 5)), 3), RuntimeError),
            Error(Sample(MATRIX, np.ones((3, 5)), ([1], [0, 1])), RuntimeError, "same length"),
            Error(Sample(MATRIX, np.ones((3, 5)), ([5], [0])), IndexError),
        ],
    ),
    Op(
        "einsum",
        equations(
            ("ij,jk->ik", (2, 3), (3, 4)),
            ("ij, kj", (2, 3), (4, 3)),
            ("...ij,...jk->...ik", (2, 1, 3, 4), (3, 4, 5)),
            ("iij->j", (3, 3, 2)),
            ("ba", (2, 3)),
            ("i,j->ji", (2,), (3,)),
            ("bi,oij,bj->bo", (2, 3), (4, 3, 5), (2, 5)),
            ("ij,jk->k", (2, 1), (3, 4)),
            ("bij,bjk->bik", (1, 3, 4), (2, 4, 5)),
        ),
        np.einsum,
        errors=[
            Error(Sample("ij,jk", MATRIX, np.ones((4, 5))), RuntimeError, "does not broadcast"),
            Error(Sample("ij,jk->ii", MATRIX, np.ones((3, 5))), RuntimeError, "more than once"),
            Error(Sample("ijk", MATRIX), RuntimeError, "no ellipsis"),
            Error(Sample("ij->k", MATRIX), RuntimeError, "does not appear"),
            Error(Sample("ij,jk", MATRIX), RuntimeError, "fewer operands"),
            Error(Sample("ij", MATRIX, MATRIX), RuntimeError, "more operands"),
            Error(Sample("i1", MATRIX), RuntimeError, "a-zA-Z"),
            Error(Sample("i.j", MATRIX), RuntimeError, "ellipsis"),
            Error(Sample("ii", MATRIX), RuntimeError, "sizes don't match"),
            Error(Sample("ij"), ValueError),
        ],
    ),
]

ROWS: list[Op] = [*PRODUCTS]
