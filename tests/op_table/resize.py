"""Padding, interpolation, grid sampling, shuffles."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from tests.op_table.row import Error, Op, Sample

UINT8 = np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4)
INT64 = np.arange(24).reshape(1, 2, 3, 4)


def _interpolate_samples(rng: np.random.Generator) -> list[Sample]:
    def x(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    return [
        Sample(x(2, 3, 5), 7),
        Sample(x(1, 2, 3, 4), scale_factor=(2.3, 0.7)),
        Sample(x(1, 2, 2, 3, 2), size=(3, 2, 5), mode="nearest-exact"),
        Sample(x(2, 1, 7), scale_factor=1.5, mode="linear"),
        Sample(x(1, 2, 3, 4), (5, 9), mode="bilinear"),
        Sample(x(1, 2, 3, 4), scale_factor=2.3, mode="bilinear", align_corners=True),
        Sample(x(1, 2, 5, 4), scale_factor=0.7, mode="bilinear", recompute_scale_factor=True),
        Sample(x(1, 2, 5, 6), (2, 4), mode="bilinear", antialias=True),
        Sample(x(1, 1, 3, 4), (5, 3), mode="bicubic"),
        Sample(x(1, 1, 3, 4), scale_factor=(1.5, 2.3), mode="bicubic", align_corners=True),
        Sample(x(1, 1, 6, 5), (4, 3), mode="bicubic", antialias=True),
        Sample(x(1, 1, 6, 5), (3, 7), mode="lanczos", antialias=True),
        Sample(x(1, 2, 2, 3, 2), scale_factor=1.7, mode="trilinear", align_corners=False),
        Sample(x(1, 2, 5, 7), (3, 4), mode="area"),
        Sample(x(0, 2, 5, 7), (3, 4), mode="bilinear"),
        Sample(UINT8, scale_factor=2),
    ]


def _interpolate_errors(rng: np.random.Generator) -> list[Error]:
    x = rng.standard_normal((1, 2, 3, 4))
    return [
        Error(Sample(x), ValueError, "size or scale_factor"),
        Error(Sample(x, 2, 2.0), ValueError, "only one"),
        Error(Sample(x, 2, align_corners=True), ValueError, "align_corners"),
        Error(Sample(x, (2,)), ValueError, "size"),
        Error(Sample(x, scale_factor=(2.0,)), ValueError, "scale_factor"),
        Error(Sample(x, (2.0, 3)), TypeError, "size"),
        Error(Sample(x, 2.5), TypeError, "size"),
        Error(Sample(x, scale_factor="a"), TypeError, "scale_factor"),
        Error(Sample(x, scale_factor=float("inf")), RuntimeError),
        Error(Sample(x, 2, recompute_scale_factor=True), ValueError, "recompute_scale_factor"),
        Error(Sample(x, 2, mode="foo"), NotImplementedError, "foo"),
        Error(Sample(x, 2, mode="linear"), NotImplementedError, "3-D"),
        Error(Sample(x[0], 2, mode="bilinear"), NotImplementedError, "4-D"),
        Error(Sample(x[0, 0], 2), NotImplementedError, "2-D"),
        Error(Sample(x, 2, antialias=True), ValueError, "antialias"),
        Error(Sample(x, 2, mode="lanczos"), ValueError, "lanczos"),
        Error(Sample(x, 0), RuntimeError, "greater than 0"),
        Error(Sample(x, scale_factor=0.1), RuntimeError, "greater than 0"),
        Error(Sample(x[..., :0], 2), RuntimeError, "greater than 0"),
        Error(Sample(x[:, :0], 2), RuntimeError, "channel"),
        Error(Sample(x, -3, mode="area"), RuntimeError, "negative"),
        Error(Sample(INT64, 2), NotImplementedError, "int64"),
        Error(Sample(UINT8, 2, mode="area"), NotImplementedError, "uint8"),
        Error(Sample(UINT8, 2, mode="bilinear"), NotImplementedError, "uint8", torch="interpolates uint8 with 8-bit weights"),
    ]


def _old(name: str, *samples: Callable[[np.random.Generator], Sample]) -> Op:
    """A row for an old name of interpolate, which warns."""

    def function(lib: ModuleType) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                return getattr(lib.nn.functional, name)(*args, **kwargs)

        return call

    return Op(f"nn.functional.{name}", lambda rng: [sample(rng) for sample in samples], function=function)


OLD_NAMES = [
    _old(
        "upsample",
        lambda rng: Sample(rng.standard_normal((1, 2, 3, 4)), scale_factor=2),
        lambda rng: Sample(rng.standard_normal((2, 1, 5)), 7, mode="linear", align_corners=True),
    ),
    _old("upsample_nearest", lambda rng: Sample(rng.standard_normal((1, 2, 3, 4)), (5, 6))),
    _old("upsample_bilinear", lambda rng: Sample(rng.standard_normal((1, 2, 3, 4)), scale_factor=2)),
]


def _pad_samples(rng: np.random.Generator) -> list[Sample]:
    def x(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    return [
        Sample(x(3, 4), (1, 2)),
        Sample(x(2, 3, 4), [2, -1, -1, 3, 1, 0], value=1.5),
        Sample(x(5), (-2, -3)),
        Sample(x(2, 1, 2, 3, 2), (1, 0, 0, 2, 1, 1, 0, 1, 2, 0)),
        Sample(x(2, 3), ()),
        Sample(x(2, 3, 5), (4, 2), "reflect"),
        Sample(x(1, 2, 4, 3), (2, 1, -1, 3), "reflect"),
        Sample(x(1, 2, 3, 2, 4), (1, 2, 1, 0, 2, 1), "reflect"),
        Sample(x(3, 4), (6, 1), "replicate"),
        Sample(x(2, 3, 4), (1, 2, 3, -1), "replicate"),
        Sample(x(1, 1, 2, 3, 2), (1, 2, 0, 1, 2, 2), "replicate"),
        Sample(x(2, 3, 4), (4, 2), "circular"),
        Sample(x(1, 2, 3, 4), (-1, 2, 3, 1), "circular"),
        Sample(x(1, 2, 3, 2), (1, 2, 0, 1, 2, 2), "circular"),
        Sample(x(0, 2, 3, 4), (1, 1, 1, 1), "reflect"),
        Sample(INT64, (1, -1), value=2.7),
        Sample(INT64, (1, 2, 2, 1), "reflect"),
        Sample(INT64 > 9, (1, 2)),
    ]


def _pad_errors(rng: np.random.Generator) -> list[Error]:
    x = rng.standard_normal((1, 2, 3, 4))
    return [
        Error(Sample(x, 1), TypeError, "tuple of ints"),
        Error(Sample(x, (1.0, 1)), TypeError, "tuple of ints"),
        Error(Sample([1.0, 2.0], (1, 1)), TypeError, "Tensor"),
        Error(Sample(x, (1, 1), value="a"), TypeError, "value"),
        Error(Sample(x, (1, 2, 3)), RuntimeError, "two numbers"),
        Error(Sample(x, (1,) * 10), RuntimeError, "10 numbers"),
        Error(Sample(x, (-3, -3)), RuntimeError, "negative size"),
        Error(Sample(x, (1, 1), "foo"), NotImplementedError, "foo"),
        Error(Sample(x, (1, 1, 1, 1), "reflect", 1.0), RuntimeError, "value"),
        Error(Sample(x, (1, 1), "reflect"), NotImplementedError, "last axis"),
        Error(Sample(x[0, 0, 0], (1, 1), "replicate"), NotImplementedError, "last axis"),
        Error(Sample(x, (4, 1, 1, 1), "reflect"), RuntimeError, "less padding"),
        Error(Sample(x, (5, 1, 1, 1), "circular"), RuntimeError, "wraps around"),
        Error(Sample(x, (-3, -3, 1, 1), "replicate"), RuntimeError, "negative size"),
        Error(Sample(x[..., :0], (1, 1, 1, 1), "replicate"), RuntimeError, "empty"),
        Error(Sample(x[:, :0], (1, 1, 1, 1), "reflect"), RuntimeError, "empty"),
        Error(Sample(INT64 > 9, (1, 1, 0, 0), "reflect"), NotImplementedError, "bool"),
    ]


def _grid(rng: np.random.Generator, sizes: tuple[int, ...], shape: tuple[int, ...], align_corners: bool) -> np.ndarray:
    """Points inside and around the image at least 0.1 pixels from where the derivative jumps: centers, half-way points, edges.

    sizes (H, W) or (D, H, W), shape (N, OH, OW) or (N, OD, OH, OW).
    """
    grid = np.empty((*shape, len(sizes)))
    for column, size in enumerate(reversed(sizes)):
        halves = rng.integers(-3, 2 * size + 2, shape) / 2  # multiples of half a pixel
        pixel = halves + rng.uniform(0.1, 0.4, shape)
        grid[..., column] = 2 * pixel / (size - 1) - 1 if align_corners else (2 * pixel + 1) / size - 1
    return grid


def _grid_sample_samples(rng: np.random.Generator) -> list[Sample]:
    samples = []
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding_mode, align_corners in (("zeros", False), ("border", True), ("reflection", False), ("reflection", True)):
            x = rng.standard_normal((2, 2, 3, 4))
            samples.append(Sample(x, _grid(rng, (3, 4), (2, 2, 3), align_corners), mode, padding_mode, align_corners))
    for mode, padding_mode, align_corners in (
        ("bilinear", "zeros", True),
        ("bilinear", "reflection", False),
        ("nearest", "border", False),
    ):
        x = rng.standard_normal((1, 2, 2, 3, 2))
        samples.append(Sample(x, _grid(rng, (2, 3, 2), (1, 2, 1, 2), align_corners), mode, padding_mode, align_corners))
    return samples


def _grid_sample_errors(rng: np.random.Generator) -> list[Error]:
    x, grid = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 2, 2))
    return [
        Error(Sample(x, grid, "foo", align_corners=False), ValueError, "foo"),
        Error(Sample(x, grid, padding_mode="foo", align_corners=False), ValueError, "foo"),
        Error(Sample(x, grid[:1], align_corners=False), RuntimeError, "batch"),
        Error(Sample(x, grid[..., :1], align_corners=False), RuntimeError, "last axis"),
        Error(Sample(x[:, :, None], grid, align_corners=False), RuntimeError, "last axis"),
        Error(Sample(x, grid[:, None], align_corners=False), RuntimeError, "4-D"),
        Error(Sample(x[..., :0], grid, align_corners=False), RuntimeError, "empty"),
        Error(
            Sample(x[:, :, None], rng.standard_normal((2, 1, 2, 2, 3)), "bicubic", align_corners=False), RuntimeError, "bicubic"
        ),
        Error(Sample(INT64, np.zeros((1, 2, 2, 2), np.int64), align_corners=False), NotImplementedError, "int64"),
    ]


def _affine_grid_errors(rng: np.random.Generator) -> list[Error]:
    theta = rng.standard_normal((2, 2, 3))
    return [
        Error(Sample(theta, (2, 3, 4), align_corners=False), NotImplementedError, "size"),
        Error(Sample(theta, (3, 3, 4, 5), align_corners=False), RuntimeError, "batch"),
        Error(Sample(theta, (2, 3, 0, 5), align_corners=False), ValueError, "positive"),
        Error(Sample(theta[:, :1], (2, 3, 4, 5), align_corners=False), ValueError, "theta"),
        Error(Sample(np.ones((2, 2, 3), np.int64), (2, 3, 4, 5), align_corners=False), ValueError, "int64"),
        Error(Sample(theta, (2, 3, 1.5, 5), align_corners=False), TypeError, "ints"),
    ]


def _shuffle_errors(groups: str, shape: tuple[int, ...]) -> list[Error]:
    x = np.zeros(shape)
    return [
        Error(Sample(x, 0), RuntimeError, "positive"),
        Error(Sample(x, -1), RuntimeError, "positive"),
        Error(Sample(x, 2.0), TypeError, groups),
        Error(Sample(x, 7), RuntimeError),
        Error(Sample(x[0, 0], 1), RuntimeError, "3 axes"),
    ]


def _channel_shuffle(name: str) -> Op:
    return Op(
        name=name,
        torch_name="channel_shuffle",
        samples=lambda rng: [
            Sample(rng.standard_normal((2, 6, 3)), 3),
            Sample(rng.standard_normal((1, 6, 2, 3)), groups=2),
            Sample(np.arange(8).reshape(1, 4, 2), 2),
        ],
        reference=lambda x, groups: x.reshape(len(x), groups, -1, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape),
        errors=_shuffle_errors("groups", (1, 4, 3, 2)),
    )


ROWS: list[Op] = [
    *OLD_NAMES,
    Op(
        name="nn.functional.interpolate",
        samples=_interpolate_samples,
        errors=_interpolate_errors,
        note="uint8 in the modes nearest and nearest-exact only; antialias=True with an output one element wide gives the"
        " filter's values, which PyTorch's gradient has but not its values.",
    ),
    Op(
        name="nn.functional.pad",
        samples=_pad_samples,
        errors=_pad_errors,
        note="mode circular with a negative number raises where the other side wraps around more than what is left.",
    ),
    Op(name="nn.functional.grid_sample", samples=_grid_sample_samples, errors=_grid_sample_errors),
    Op(
        name="nn.functional.affine_grid",
        samples=lambda rng: [
            Sample(rng.standard_normal((2, 2, 3)), (2, 3, 4, 5), align_corners=False),
            Sample(rng.standard_normal((1, 2, 3)), (1, 1, 2, 3), align_corners=True),
            Sample(rng.standard_normal((2, 3, 4)), (2, 1, 2, 3, 2), align_corners=False),
        ],
        errors=_affine_grid_errors,
    ),
    Op(
        name="nn.functional.pixel_shuffle",
        samples=lambda rng: [
            Sample(rng.standard_normal((2, 8, 3, 2)), 2),
            Sample(rng.standard_normal((9, 2, 1)), upscale_factor=3),
            Sample(rng.standard_normal((2, 1, 4, 2, 3)), 2),
            Sample(np.arange(8).reshape(1, 4, 2, 1), 2),
        ],
        errors=_shuffle_errors("upscale_factor", (1, 4, 3, 2)),
    ),
    Op(
        name="nn.functional.pixel_unshuffle",
        samples=lambda rng: [
            Sample(rng.standard_normal((2, 2, 6, 4)), 2),
            Sample(rng.standard_normal((1, 3, 6)), downscale_factor=3),
            Sample(rng.standard_normal((2, 1, 2, 4, 2)), 2),
        ],
        errors=_shuffle_errors("downscale_factor", (1, 4, 3, 2)),
    ),
    _channel_shuffle("nn.functional.channel_shuffle"),
    _channel_shuffle("nn.functional.native_channel_shuffle"),
]
