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

INDICES = np.array([[1, 4, 1], [0, 4, 4]])


def one_call(index, *arguments, **kwargs):
    """Samples with one float table (5, 3) after an index tensor."""
    return Sample(index, np.random.default_rng(0).standard_normal((5, 3)), *arguments, **kwargs)


LAYERS = [
    Op(
        "nn.functional.linear",
        calls(
            ((2, 3), (5, 3), (5,)),
            ((3,), (5, 3), (5,)),
            ((2, 1, 3), (5, 3), (5,)),
            ((2, 3), (5, 3)),
            ((2, 3), (3,)),
            ((2, 3), (5, 3), (1,)),
            ((0, 3), (5, 3), (5,)),
            ((2, 0), (5, 0), (5,)),
            ((17, 40), (35, 40), (35,)),
        ),
        lambda x, w, b=0.0: x @ w.T + b,
        errors=[
            Error(Sample(MATRIX, np.ones((5, 4))), RuntimeError, "2x3 and 4x5"),
            Error(Sample(np.ones((2, 2, 3)), np.ones((5, 4))), RuntimeError, "4x3 and 4x5"),
            Error(Sample(MATRIX, np.ones((5, 3)), np.ones(4)), RuntimeError),
            Error(Sample(MATRIX, np.ones((2, 5, 3))), RuntimeError),
            Error(Sample(np.ones(()), np.ones((5, 3))), RuntimeError, "at least 1D"),
            Error(Sample(LONG, np.ones((5, 4))), RuntimeError, "same dtype"),
            Error(Sample(MATRIX, 3), TypeError),
        ],
    ),
    Op(
        "nn.functional.bilinear",
        calls(((2, 3), (2, 4), (5, 3, 4), (5,)), ((3,), (4,), (5, 3, 4)), ((2, 1, 3), (2, 1, 4), (2, 3, 4), (2,))),
        lambda x, y, w, b=0.0: np.einsum("...i,oij,...j->...o", x, w, y) + b,
        errors=[
            Error(Sample(MATRIX, np.ones((2, 4)), np.ones((5, 3, 3))), RuntimeError, "input2 size"),
            Error(Sample(MATRIX, np.ones((3, 4)), np.ones((5, 3, 4))), RuntimeError, "batch dimensions"),
            Error(Sample(MATRIX, np.ones((2, 4)), np.ones((5, 3, 4)), np.ones(4)), RuntimeError, "bias size"),
            Error(Sample(MATRIX, np.ones((2, 4)), np.ones((5, 3))), IndexError),
        ],
    ),
    Op(
        "nn.functional.embedding",
        lambda rng: [
            one_call(INDICES),
            one_call(INDICES.astype(np.int32)),
            one_call(np.array(2)),
            one_call(np.zeros((0, 2), np.int64)),
        ],
        lambda i, w, **_: w[i],
        errors=[
            Error(one_call(np.array([5])), IndexError, "out of range"),
            Error(one_call(np.array([-1])), IndexError, "out of range"),
            Error(one_call(np.array([1.0])), RuntimeError, "int64 or int32"),
            Error(one_call(np.array([1]), padding_idx=7), AssertionError, "num_embeddings"),
            Error(Sample(np.array([1]), np.ones(3)), RuntimeError, "2-D"),
            Error(one_call(np.array([1]), sparse=True), NotImplementedError, torch="gives a sparse gradient"),
            Error(one_call(np.array([1]), max_norm=1.0), NotImplementedError, torch="renormalises weight in place"),
        ],
        note="`max_norm` and `sparse=True` raise NotImplementedError.",
    ),
    Op(
        "nn.functional.one_hot",
        lambda rng: [Sample(INDICES), Sample(INDICES, 6), Sample(np.array(2), num_classes=3), Sample(np.zeros(0, np.int64), 3)],
        lambda i, n=-1, **k: np.eye(max(n, k.get("num_classes", n), i.max(initial=0) + 1), dtype=np.int64)[i],
        order=0,
        errors=[
            Error(Sample(np.array([-1])), RuntimeError, "non-negative"),
            Error(Sample(np.array([5]), 3), RuntimeError, "smaller than"),
            Error(Sample(np.zeros(0, np.int64)), RuntimeError, "empty"),
            Error(Sample(np.array([1.0])), RuntimeError, "int64"),
        ],
    ),
    Op(
        "nn.functional.cosine_similarity",
        lambda rng: [
            Sample(*normal(rng, (3, 4), (3, 4))),
            Sample(*normal(rng, (3, 4), (1, 4)), dim=0),
            Sample(*normal(rng, (2, 3, 4), (3, 4)), dim=-1, eps=1e-3),
        ],
        lambda x, y, dim=1, **_: (x * y).sum(dim) / np.sqrt((x * x + 0 * y).sum(dim) * (y * y + 0 * x).sum(dim)),
        errors=[
            Error(Sample(MATRIX, np.ones((4, 3))), RuntimeError),
            Error(Sample(LONG, LONG), RuntimeError, "floating point"),
            Error(Sample(MATRIX, MATRIX, dim=2), IndexError),
        ],
    ),
    Op(
        "nn.functional.pairwise_distance",
        lambda rng: [
            Sample(*normal(rng, (3, 4), (3, 4))),
            Sample(*normal(rng, (4,), (3, 4)), p=1.0, keepdim=True),
            Sample(*normal(rng, (3, 4), (3, 4)), p=3.0, eps=0.25),
            Sample(*normal(rng, (3, 4), (3, 4)), p=float("inf")),
        ],
        lambda x, y, p=2.0, eps=1e-6, keepdim=False: np.linalg.norm(x - y + eps, p, -1, keepdim),
        errors=[Error(Sample(MATRIX, np.ones((4, 3))), RuntimeError)],
    ),
]


def _bags(input, weight, offsets=None, mode="mean", per_sample_weights=None, include_last_offset=False, padding_idx=None):
    if input.ndim == 2:
        factors = [None] * len(input) if per_sample_weights is None else per_sample_weights
        parts = list(zip(input, factors))
    else:
        ends = list(offsets[1:]) if include_last_offset else [*offsets[1:], len(input)]
        parts = [(input[a:b], None if per_sample_weights is None else per_sample_weights[a:b]) for a, b in zip(offsets, ends)]
    out = []
    for index, factors in parts:
        kept = np.ones(len(index), bool) if padding_idx is None else index != padding_idx
        rows = weight[index[kept]] * (1 if factors is None else factors[kept][:, None])
        if len(rows) == 0:
            out.append(np.zeros(weight.shape[1]))
        else:
            out.append({"sum": np.sum, "mean": np.mean, "max": np.max}[mode](rows, axis=0))
    return np.array(out).reshape(len(parts), weight.shape[1])


def _bag_samples(rng):
    weight, flat, wide = rng.standard_normal((6, 3)), np.array([0, 2, 2, 5, 1, 4, 0]), rng.integers(0, 6, (3, 4))
    offsets = np.array([0, 3, 3, 5])
    return [
        Sample(wide, weight),
        Sample(wide, weight, mode="max"),
        Sample(flat, weight, offsets, mode="sum"),
        Sample(flat, weight, offsets, mode="mean", padding_idx=2),
        Sample(flat, weight, offsets, mode="max", padding_idx=0),
        Sample(flat, weight, offsets, mode="sum", per_sample_weights=rng.standard_normal(7), padding_idx=1),
        Sample(flat, weight, np.array([0, 2, 7]), mode="mean", include_last_offset=True),
        Sample(wide, weight, mode="sum", per_sample_weights=rng.standard_normal((3, 4))),
    ]


def _bag_errors(rng):
    weight, flat, wide = rng.standard_normal((6, 3)), np.array([0, 2, 1]), np.zeros((2, 2), np.int64)
    return [
        Error(Sample(wide, weight, np.array([0])), ValueError, "if input is 2D, then offsets has to be None"),
        Error(Sample(flat, weight), ValueError, "offsets has to be a 1D Tensor but got None"),
        Error(Sample(flat, weight, np.array([[0]])), ValueError, "offsets has to be a 1D Tensor"),
        Error(Sample(np.zeros((1, 1, 1), np.int64), weight), ValueError, "input has to be 1D or 2D Tensor"),
        Error(Sample(flat, weight, np.array([1, 2])), RuntimeError, r"offsets\[0\] has to be 0"),
        Error(Sample(wide, weight, mode="product"), ValueError, "mode has to be one of"),
        Error(Sample(wide, weight, mode="mean", per_sample_weights=rng.standard_normal((2, 2))), NotImplementedError),
        Error(
            Sample(wide, weight, mode="sum", per_sample_weights=rng.standard_normal(4)), ValueError, "must have the same shape"
        ),
    ]


ROWS: list[Op] = [
    *PRODUCTS,
    *LAYERS,
    Op(
        name="nn.functional.pdist",
        samples=lambda rng: [
            Sample(rng.standard_normal((4, 3))),
            Sample(rng.standard_normal((3, 2)), 1.0),
            Sample(rng.standard_normal((1, 2))),
        ],
        reference=lambda x, p=2.0: np.array(
            [(abs(x[i] - x[j]) ** p).sum() ** (1 / p) for i in range(len(x)) for j in range(i + 1, len(x))], x.dtype
        ),
        errors=lambda rng: [
            Error(Sample(rng.standard_normal(3)), RuntimeError, "only supports 2D tensors"),
            Error(Sample(rng.standard_normal((3, 2)), -1.0), RuntimeError, "only supports non-negative p values"),
        ],
    ),
    Op(
        name="nn.functional.embedding_bag",
        samples=_bag_samples,
        reference=_bags,
        errors=_bag_errors,
    ),
]
