"""Convolutions, transposed convolutions, fold and unfold."""

import math

import numpy as np

from tests.op_table.row import Constant, Error, Op, Sample


def normal(rng, *shape):
    return rng.standard_normal(shape)


def conv_samples(rank):
    """Samples of every parameter; sizes shrink with the rank so that gradgradcheck stays quick."""

    def samples(rng):
        image = {1: (9,), 2: (5, 6), 3: (3, 4, 5)}[rank]
        kernel = {1: (3,), 2: (3, 2), 3: (2, 1, 3)}[rank]
        each = lambda *values: values[:rank]  # noqa: E731
        x, w, b = normal(rng, 2, 2, *image), normal(rng, 3, 2, *kernel), normal(rng, 3)
        return [
            Sample(x, w, b),
            Sample(x, w, stride=each(2, 3, 2), padding=each(1, 2, 1)),
            Sample(x, w, b, padding=3, dilation=each(2, 1, 2)),
            Sample(normal(rng, 2, *image), normal(rng, 3, 2, *(3,) * rank), b, padding="same", dilation=each(3, 1, 2)),
            Sample(normal(rng, 1, 4, *image), normal(rng, 6, 2, *kernel), normal(rng, 6), 2, 1, 1, 2),
            Sample(normal(rng, 2, 3, *image), normal(rng, 3, 1, *kernel), None, 1, "valid", 1, 3),
            Sample(normal(rng, 0, 2, *image), w, b),
        ]

    return samples


def conv_errors(rank):
    def errors(rng):
        size = (6,) * rank
        kernel = (3,) * rank

        def sample(x, w, *more, **options):
            return Sample(Constant(normal(rng, *x, *size)), Constant(normal(rng, *w, *kernel)), *more, **options)

        good = (2, 4), (6, 4)
        return [
            Error(sample((2, 3), (4, 6)), RuntimeError, "expected 6 input channels, got 3"),
            Error(sample((1, 2, 3), (4, 3)), RuntimeError, "input of"),
            Error(sample((2, 4), (6, 1, 4)), RuntimeError, "weight of"),
            Error(sample(*good, Constant(normal(rng, 5))), RuntimeError, "bias of shape"),
            Error(sample(*good, groups=4), RuntimeError, "groups"),
            Error(sample(*good, groups=0), RuntimeError, "non-positive groups"),
            Error(sample(*good, stride=0), RuntimeError, "non-positive stride"),
            Error(sample(*good, padding=-1), RuntimeError, "negative padding"),
            Error(sample(*good, dilation=0), RuntimeError, "non-positive dilation"),
            Error(sample(*good, dilation=3), RuntimeError, "larger than the padded input"),
            Error(sample(*good, stride=(1,) * 4), RuntimeError, "stride"),
            Error(sample(*good, stride=1.5), TypeError, "stride"),
            Error(sample(*good, padding="full"), RuntimeError, "padding string"),
            Error(sample(*good, padding="same", stride=2), RuntimeError, "strided"),
            Error(Sample(Constant(normal(rng, 2, 4, *size)), None), TypeError, "weight"),
            Error(
                Sample(np.zeros((1, 1, *size), np.int64), np.zeros((1, 1, *kernel), np.int64)),
                NotImplementedError,
                "not implemented",
                torch="computes with integers",
            ),
        ]

    return errors


def transpose_samples(rank):
    def samples(rng):
        image = {1: (5,), 2: (3, 4), 3: (2, 1, 3)}[rank]
        kernel = {1: (3,), 2: (3, 2), 3: (2, 1, 3)}[rank]
        each = lambda *values: values[:rank]  # noqa: E731
        x, w, b = normal(rng, 2, 3, *image), normal(rng, 3, 2, *kernel), normal(rng, 2)
        return [
            Sample(x, w, b),
            Sample(x, w, None, each(2, 3, 1), each(1, 0, 0), each(1, 2, 0)),
            Sample(x, w, b, stride=each(3, 2, 2), dilation=each(2, 3, 1), output_padding=1),
            Sample(normal(rng, 3, *image), w, b, stride=2),
            Sample(normal(rng, 1, 4, *image), normal(rng, 4, 3, *kernel), normal(rng, 6), 2, 0, 1, 2),
            Sample(normal(rng, 0, 3, *image), w, b),
        ]

    return samples


def transpose_errors(rank):
    def errors(rng):
        size, kernel = (4,) * rank, (3,) * rank

        def sample(x, w, *more, **options):
            return Sample(Constant(normal(rng, *x, *size)), Constant(normal(rng, *w, *kernel)), *more, **options)

        good = (2, 4), (4, 3)
        return [
            Error(sample((2, 3), (4, 6)), RuntimeError, "expected 4 input channels, got 3"),
            Error(sample(*good, Constant(normal(rng, 4))), RuntimeError, "bias of shape"),
            Error(sample(*good, groups=3), RuntimeError, "groups"),
            Error(sample(*good, stride=0), RuntimeError, "non-positive stride"),
            Error(sample(*good, padding=-1), RuntimeError, "negative padding"),
            Error(sample(*good, padding="same"), TypeError, "padding"),
            Error(sample(*good, stride=2, output_padding=2), RuntimeError, "output_padding must be smaller"),
            Error(sample(*good, stride=2, output_padding=-1), RuntimeError, "negative output_padding"),
            Error(sample(*good, padding=4), RuntimeError, "output would have"),
        ]

    return errors


def unfold_reference(x, kernel_size, dilation=1, padding=0, stride=1):
    pair = lambda v: (v, v) if isinstance(v, int) else v  # noqa: E731
    (KH, KW), (DH, DW), (PH, PW), (SH, SW) = map(pair, (kernel_size, dilation, padding, stride))
    lead = x.shape[:-2]
    x = np.pad(x, [(0, 0)] * len(lead) + [(PH, PH), (PW, PW)])
    OH, OW = (x.shape[-2] - DH * (KH - 1) - 1) // SH + 1, (x.shape[-1] - DW * (KW - 1) - 1) // SW + 1
    taps = [
        x[..., k * DH : k * DH + OH * SH : SH, l * DW : l * DW + OW * SW : SW].reshape(*lead, OH * OW)
        for k in range(KH)
        for l in range(KW)  # noqa: E741
    ]
    return np.stack(taps, -2).reshape(*lead[:-1], lead[-1] * KH * KW, OH * OW)


def fold_reference(columns, output_size, *blocks, **named):
    """The transpose of unfold's matrix, one unit image at a time."""
    H, W = (output_size, output_size) if isinstance(output_size, int) else output_size
    units = np.eye(H * W).reshape(H * W, 1, H, W)
    matrix = unfold_reference(units, *blocks, **named).reshape(H * W, -1)
    lead = columns.shape[:-2]
    channels = math.prod(columns.shape[-2:]) // matrix.shape[1]
    return (columns.reshape(*lead, channels, matrix.shape[1]) @ matrix.T).reshape(*lead, channels, H, W)


ROWS: list[Op] = [
    *(
        Op(
            name=f"nn.functional.conv{rank}d",
            samples=conv_samples(rank),
            errors=conv_errors(rank),
            note="integer tensors raise NotImplementedError",
        )
        for rank in (1, 2, 3)
    ),
    *(
        Op(
            name=f"nn.functional.conv_transpose{rank}d",
            samples=transpose_samples(rank),
            errors=transpose_errors(rank),
            note="integer tensors raise NotImplementedError",
        )
        for rank in (1, 2, 3)
    ),
    Op(
        name="nn.functional.unfold",
        samples=lambda rng: [
            Sample(normal(rng, 2, 2, 5, 4), 2),
            Sample(normal(rng, 3, 5, 6), (2, 3), stride=(2, 1), padding=(0, 1)),
            Sample(normal(rng, 1, 1, 7, 6), (3, 2), (2, 3), 1, 2),
            Sample(normal(rng, 0, 2, 5, 4), 3),
        ],
        reference=unfold_reference,
        errors=lambda rng: [
            Error(Sample(Constant(normal(rng, 2, 3, 2, 2)), 3), RuntimeError, "no block fits"),
            Error(Sample(Constant(normal(rng, 2, 3, 5, 5)), 0), RuntimeError, "kernel_size"),
            Error(Sample(Constant(normal(rng, 2, 3, 5, 5)), 2, padding=-1), RuntimeError, "padding"),
            Error(Sample(Constant(normal(rng, 2, 3, 5, 5)), 2, stride=0), RuntimeError, "stride"),
            Error(Sample(Constant(normal(rng, 2, 3, 5, 5)), (2, 2, 2)), RuntimeError, "kernel_size"),
            Error(Sample(Constant(normal(rng, 2, 0, 5, 5)), 2), RuntimeError, "empty"),
            Error(Sample(np.zeros((2, 3, 5, 5), np.int64), 2), NotImplementedError, "not implemented"),
        ],
    ),
    Op(
        name="nn.functional.fold",
        samples=lambda rng: [
            Sample(normal(rng, 2, 8, 12), (5, 4), 2),
            Sample(normal(rng, 6, 12), (5, 6), (2, 3), stride=(2, 1), padding=(1, 0)),
            Sample(normal(rng, 1, 6, 9), (7, 6), (3, 2), (2, 3), 1, 2),
            Sample(normal(rng, 0, 9, 6), (5, 4), 3),
        ],
        reference=fold_reference,
        errors=lambda rng: [
            Error(Sample(Constant(normal(rng, 2, 12, 21)), (5, 6), 2), RuntimeError, "blocks"),
            Error(Sample(Constant(normal(rng, 2, 13, 20)), (5, 6), 2), RuntimeError, "multiple"),
            Error(Sample(Constant(normal(rng, 13)), (5, 6), 2), RuntimeError, "expected an input"),
            Error(Sample(Constant(normal(rng, 2, 12, 16)), 5, 2, stride=0), RuntimeError, "stride"),
            Error(Sample(np.zeros((2, 12, 16), np.int64), 5, 2), NotImplementedError, "not implemented"),
        ],
    ),
]
