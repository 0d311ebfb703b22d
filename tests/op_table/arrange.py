"""Joining, splitting, placing, running extrema, counting; top-level names whose signature is not that of nn.functional."""

import numpy as np

from tests.op_table.row import Buffer, Error, Op, Sample
from tests.op_table.tensor import distinct, indices, normal, positive


def listed(function):
    return lambda x, *args, **kwargs: list(function(x, *args, **kwargs))


ARRANGE = [
    Op(
        "atleast_1d",
        lambda rng: [Sample(normal(rng)), Sample(normal(rng, 2, 3)), Sample(normal(rng), normal(rng, 2))],
        aliases=True,
    ),
    Op("atleast_2d", lambda rng: [Sample(normal(rng)), Sample(normal(rng, 3)), Sample([normal(rng, 2, 3)])], aliases=True),
    Op("atleast_3d", lambda rng: [Sample(normal(rng)), Sample(normal(rng, 3)), Sample(normal(rng, 2, 3))], aliases=True),
    Op(
        "dstack",
        lambda rng: [Sample([normal(rng, 2, 3), normal(rng, 2, 3)]), Sample([normal(rng, 3), normal(rng, 3)])],
        np.dstack,
    ),
    Op("column_stack", lambda rng: [Sample([normal(rng, 3), normal(rng, 3, 2)]), Sample([normal(rng), normal(rng)])]),
    Op("block_diag", lambda rng: [Sample(normal(rng, 2, 3), normal(rng, 1, 2), normal(rng, 3), normal(rng))]),
    Op(
        "cartesian_prod",
        lambda rng: [Sample(normal(rng, 2), normal(rng, 3), normal(rng, 2)), Sample(normal(rng, 2))],
        aliases=True,
    ),
    Op("split_with_sizes", lambda rng: [Sample(normal(rng, 5, 2), [1, 4]), Sample(normal(rng, 2, 5), (2, 3), 1)], aliases=True),
    Op(
        "tensor_split",
        lambda rng: [
            Sample(normal(rng, 7, 2), 3),
            Sample(normal(rng, 2, 7), (2, 5), dim=1),
            Sample(normal(rng, 3), 5),
            Sample(normal(rng, 4), [1, 1, 9]),
        ],
        listed(lambda x, where, dim=0: np.array_split(x, where, dim)),
        aliases=True,
        errors=lambda rng: [Error(Sample(normal(rng), 2), RuntimeError), Error(Sample(normal(rng, 3), 0), RuntimeError)],
    ),
    Op(
        "hsplit",
        lambda rng: [Sample(normal(rng, 2, 4), 2), Sample(normal(rng, 5), [1, 3])],
        np.hsplit,
        aliases=True,
        errors=lambda rng: [Error(Sample(normal(rng, 2, 4), 3), RuntimeError), Error(Sample(normal(rng), 1), RuntimeError)],
    ),
    Op("vsplit", lambda rng: [Sample(normal(rng, 4, 3), 2), Sample(normal(rng, 5, 1), [1, 3])], np.vsplit, aliases=True),
    Op("dsplit", lambda rng: [Sample(normal(rng, 1, 2, 4), 2), Sample(normal(rng, 2, 1, 5), [1, 3])], np.dsplit, aliases=True),
    Op(
        "Tensor.unfold",
        lambda rng: [Sample(normal(rng, 7), 0, 3, 2), Sample(normal(rng, 2, 5, 3), 1, 2, 1), Sample(normal(rng, 4), -1, 4, 1)],
        aliases=True,
        errors=lambda rng: [
            Error(Sample(normal(rng, 3), 0, 4, 1), RuntimeError),
            Error(Sample(normal(rng, 3), 0, 2, 0), RuntimeError),
        ],
        note="The windows are a copy, not a view.",
    ),
    Op(
        "rot90",
        lambda rng: [Sample(normal(rng, 2, 3)), *(Sample(normal(rng, 2, 3, 2), k, (1, 2)) for k in (0, 2, 3, -1))],
        lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims),
    ),
    Op("adjoint", lambda rng: [Sample(normal(rng, 2, 3)), Sample(normal(rng, 2, 3, 4))], aliases=True),
    Op(
        "diag_embed",
        lambda rng: [Sample(normal(rng, 3)), Sample(normal(rng, 2, 3), 1), Sample(normal(rng, 2, 3), -1, 0, 2)],
    ),
    Op("diagflat", lambda rng: [Sample(normal(rng, 2, 2)), Sample(normal(rng, 3), 1)], np.diagflat),
    Op(
        "trace",
        lambda rng: [Sample(normal(rng, 3, 4)), Sample(np.arange(4).reshape(2, 2))],
        np.trace,
        errors=lambda rng: [Error(Sample(normal(rng, 3)), RuntimeError)],
    ),
    Op("select_scatter", lambda rng: [Sample(normal(rng, 3, 4), normal(rng, 3), 1, 2)]),
    Op(
        "slice_scatter",
        lambda rng: [Sample(normal(rng, 3, 5), normal(rng, 3, 2), 1, 0, 4, 2), Sample(normal(rng, 3), normal(rng, 3))],
    ),
    Op(
        "diagonal_scatter",
        lambda rng: [Sample(normal(rng, 3, 4), normal(rng, 3)), Sample(normal(rng, 3, 3), normal(rng, 2), -1)],
    ),
    Op(
        "index_put",
        lambda rng: [
            Sample(normal(rng, 4, 3), (indices(2, 0),), normal(rng, 2, 3)),
            Sample(normal(rng, 4, 3), (indices(2, 0), indices(1, 1)), normal(rng)),
            Sample(normal(rng, 4, 3), (indices(2, 2, 0),), normal(rng, 3, 3), accumulate=True),
        ],
    ),
    Op(
        "masked_scatter",
        lambda rng: [
            Sample(normal(rng, 3, 4), normal(rng, 3, 4) > 0, normal(rng, 13)),
            Sample(normal(rng, 3, 4), normal(rng, 4) > 0, normal(rng, 3, 4)),
        ],
        errors=lambda rng: [Error(Sample(normal(rng, 3), np.ones(3, bool), normal(rng, 2)), RuntimeError)],
    ),
    Op("cummax", lambda rng: [Sample(distinct(rng, 3, 5), 1), Sample(distinct(rng, 4), 0), Sample(np.array([1, 3, 3, 2]), 0)]),
    Op("cummin", lambda rng: [Sample(distinct(rng, 3, 5), 0), Sample(distinct(rng), 0), Sample(np.array([3, 1, 1, 2]), 0)]),
    Op(
        "diff",
        lambda rng: [
            Sample(normal(rng, 2, 5)),
            Sample(normal(rng, 5, 2), 2, 0),
            Sample(normal(rng, 2, 3), prepend=normal(rng, 2, 1), append=normal(rng, 2, 2)),
            Sample(normal(rng, 2), 3),
        ],
        errors=lambda rng: [Error(Sample(normal(rng)), RuntimeError), Error(Sample(normal(rng, 3), -1), RuntimeError)],
    ),
    Op("msort", lambda rng: [Sample(distinct(rng, 4, 3))], lambda x: np.sort(x, 0)),
    Op("dist", lambda rng: [Sample(normal(rng, 2, 3), normal(rng, 3)), Sample(normal(rng, 3), normal(rng, 3), 1.5)]),
    Op(
        "cdist",
        lambda rng: [
            Sample(normal(rng, 3, 4), normal(rng, 2, 4)),
            Sample(normal(rng, 2, 3, 2), normal(rng, 2, 4, 2), 1.0),
            Sample(normal(rng, 3, 4), normal(rng, 2, 4), p=3.0),
            Sample(normal(rng, 2, 3, 4), normal(rng, 27, 4)),
            Sample(normal(rng, 3, 4), normal(rng, 2, 4), compute_mode="use_mm_for_euclid_dist"),
        ],
        order=1,
        errors=lambda rng: [Error(Sample(normal(rng, 3, 4), normal(rng, 2, 3)), RuntimeError)],
    ),
    Op(
        "cross",
        lambda rng: [Sample(normal(rng, 2, 3), normal(rng, 2, 3), dim=1), Sample(normal(rng, 3), normal(rng, 3), 0)],
        lambda x, y, dim: np.cross(x, y, axis=dim),
        errors=lambda rng: [Error(Sample(normal(rng, 2), normal(rng, 2), 0), RuntimeError)],
    ),
    Op("kron", lambda rng: [Sample(normal(rng, 2, 3), normal(rng, 3, 2)), Sample(normal(rng, 2), normal(rng, 2, 2))], np.kron),
    Op("argwhere", lambda rng: [Sample(np.array([[0.0, 1.5], [2.0, 0.0]]))], np.argwhere, order=0),
    Op("tril_indices", lambda rng: [Sample(3, 4), Sample(4, 3, 1), Sample(2, 2, -5)], order=0),
    Op("triu_indices", lambda rng: [Sample(3, 4), Sample(4, 3, -1), Sample(0, 2)], order=0),
    Op(
        "bincount",
        lambda rng: [
            Sample(np.array([1, 3, 1])),
            Sample(np.array([1, 3, 1]), np.array([0.5, 1.0, 2.0])),
            Sample(np.array([], np.int64), minlength=3),
        ],
        order=0,
        errors=[Error(Sample(np.array([1, -1])), RuntimeError)],
    ),
    Op(
        "isin",
        lambda rng: [Sample(np.array([[1, 2], [3, 4]]), np.array([2, 3])), Sample(np.array([1, 2]), 2, invert=True)],
        order=0,
    ),
    Op(
        "searchsorted",
        lambda rng: [
            Sample(np.array([1.0, 3.0, 5.0]), np.array([[3.0, 0.0], [9.0, 4.0]])),
            Sample(np.array([[1, 3], [2, 4]]), np.array([[1, 2, 3], [2, 3, 5]]), right=True),
            Sample(np.array([1, 3, 5]), 3, side="right", out_int32=True),
        ],
        order=0,
    ),
    Op(
        "bucketize",
        lambda rng: [
            Sample(np.array([[3.0, 6.0], [0.0, 9.0]]), np.array([1.0, 3.0, 5.0, 7.0])),
            Sample(3, np.array([1, 3]), right=True),
        ],
        order=0,
    ),
    Op("is_nonzero", lambda rng: [Sample(np.array([1.5])), Sample(np.array(0))], order=0),
    Op(
        "is_same_size",
        lambda rng: [Sample(np.array([1.5]), np.array([0]))],
        order=0,
        function=lambda lib: lib.Tensor.is_same_size,
    ),
    Op("detach", lambda rng: [Sample(normal(rng, 3))], np.copy, order=0, aliases=True),
    Op(
        "addr",
        lambda rng: [
            Sample(normal(rng, 3, 2), normal(rng, 3), normal(rng, 2)),
            Sample(normal(rng, 2), normal(rng, 3), normal(rng, 2), beta=0.5, alpha=-2),
        ],
    ),
    Op("addbmm", lambda rng: [Sample(normal(rng, 3, 2), normal(rng, 4, 3, 2), normal(rng, 4, 2, 2), beta=0.5, alpha=-2)]),
    Op(
        "matrix_power",
        lambda rng: [Sample(normal(rng, 3, 3), n) for n in (1, 2, 5)] + [Sample(normal(rng, 2, 2, 2), 3)],
        np.linalg.matrix_power,
        errors=lambda rng: [Error(Sample(normal(rng, 2, 3), 2), RuntimeError)],
    ),
]

TOP_LEVEL = [
    Op("adaptive_max_pool1d", lambda rng: [Sample(distinct(rng, 2, 3, 7), 3)]),
    Op(
        "batch_norm",
        lambda rng: [
            Sample(
                normal(rng, 4, 3),
                normal(rng, 3),
                normal(rng, 3),
                Buffer(normal(rng, 3)),
                Buffer(positive(rng, 3)),
                training,
                0.2,
                1e-3,
                True,
            )
            for training in (True, False)
        ],
        function=lambda lib: lambda *args: lib.batch_norm(*args),
    ),
    Op(
        "instance_norm",
        lambda rng: [Sample(normal(rng, 2, 3, 5), normal(rng, 3), normal(rng, 3), None, None, True, 0.1, 1e-3, True)],
    ),
    Op("layer_norm", lambda rng: [Sample(normal(rng, 3, 5), (5,), normal(rng, 5), normal(rng, 5), 1e-3, False)]),
    Op("group_norm", lambda rng: [Sample(normal(rng, 2, 4, 3), 2, normal(rng, 4), normal(rng, 4), 1e-3, False)]),
    Op(
        "embedding", lambda rng: [Sample(normal(rng, 5, 3), np.array([[1, 4], [1, 0]])), Sample(normal(rng, 5, 3), np.array(1))]
    ),
    Op(
        "dropout",
        lambda rng: [Sample(normal(rng, 3, 4), 0.4, True), Sample(normal(rng, 3), 0.4, False)],
        random=True,
        aliases=True,
    ),
    Op("alpha_dropout", lambda rng: [Sample(normal(rng, 3, 4), 0.4, True)], random=True),
    Op("feature_dropout", lambda rng: [Sample(normal(rng, 3, 4, 2), 0.4, True)], random=True),
    Op("feature_alpha_dropout", lambda rng: [Sample(normal(rng, 3, 4, 2), 0.4, True)], random=True),
    Op("rrelu", lambda rng: [Sample(distinct(rng, 3, 4)), Sample(distinct(rng, 3, 4), 0.1, 0.3)]),
    *(
        Op(
            name,
            lambda rng, first=first, second=second, more=more: [
                Sample(first(rng, 3, 4), second(rng, 3, 4), *more, reduction=r) for r in (0, 1, 2)
            ],
        )
        for name, first, second, more in [
            ("binary_cross_entropy_with_logits", normal, lambda rng, *shape: rng.uniform(0.1, 0.9, shape), ()),
            ("kl_div", normal, positive, ()),
            ("hinge_embedding_loss", distinct, lambda rng, *shape: np.where(rng.random(shape) > 0.5, 1, -1), (2.0,)),
            ("poisson_nll_loss", normal, positive, (True, False, 1e-8)),
        ]
    ),
    Op(
        "margin_ranking_loss",
        lambda rng: [Sample(distinct(rng, 5), normal(rng, 5), np.array([1, -1, 1, 1, -1]), 0.3, r) for r in (0, 1, 2)],
    ),
    Op(
        "cosine_embedding_loss",
        lambda rng: [Sample(normal(rng, 3, 4), normal(rng, 3, 4), np.array([1, -1, 1]), 0.1, r) for r in (0, 1, 2)],
    ),
    Op(
        "triplet_margin_loss",
        lambda rng: [
            Sample(normal(rng, 3, 4), normal(rng, 3, 4), normal(rng, 3, 4), 3.0, swap=True, reduction=r) for r in (0, 1, 2)
        ],
    ),
]

ROWS: list[Op] = [*ARRANGE, *TOP_LEVEL]
