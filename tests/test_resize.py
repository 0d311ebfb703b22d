"""interpolate, pad and grid_sample over many drawn arguments against PyTorch."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")

FUZZ = settings(max_examples=100, deadline=None, derandomize=True, database=None)
SCALES = (0.4, 0.5, 0.7, 0.9, 1.0, 1.5, 2.0, 2.3, 3.0)
MODES = {
    1: ("nearest", "nearest-exact", "linear", "area"),
    2: ("nearest", "nearest-exact", "bilinear", "bicubic", "area"),
    3: ("nearest", "nearest-exact", "trilinear", "area"),
}


def agree(name, arrays, args, kwargs, gradient=True):
    """Values and gradients of nn.functional.<name>(*arrays, *args, **kwargs) are those of torch."""
    ours = [mg.tensor(x, requires_grad=True) for x in arrays]
    theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
    y, expected = getattr(F, name)(*ours, *args, **kwargs), getattr(torch.nn.functional, name)(*theirs, *args, **kwargs)
    tolerance = 5e-6 if arrays[0].dtype == np.float32 else 1e-13
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=0, atol=tolerance)
    assert str(y.dtype).rpartition(".")[2] == str(expected.dtype).rpartition(".")[2]
    if gradient:
        g = np.random.default_rng(0).standard_normal(y.shape).astype(arrays[0].dtype)
        y.backward(mg.tensor(g))
        expected.backward(torch.tensor(g))
        for x, t in zip(ours, theirs):
            scale = max(1.0, float(t.grad.abs().max())) if t.numel() else 1.0
            np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=0, atol=4 * tolerance * scale)


@st.composite
def interpolations(draw):
    axes = draw(st.integers(1, 3))
    sizes = draw(st.tuples(*[st.integers(1, 9 if axes < 3 else 5)] * axes))
    mode = draw(st.sampled_from(MODES[axes]))
    kwargs = {"mode": mode}
    if mode.endswith(("linear", "cubic")):
        kwargs["align_corners"] = draw(st.booleans())
    antialias = mode in ("bilinear", "bicubic") and draw(st.booleans())
    smallest = 2 if antialias else 1  # of width 1 the values of PyTorch are not those of the filter
    if draw(st.booleans()):
        kwargs["size"] = draw(st.tuples(*[st.integers(smallest, 14 if axes < 3 else 7)] * axes))
    else:
        fits = [[s for s in SCALES if int(n * s) >= smallest] or [2.0] for n in sizes]
        kwargs["scale_factor"] = tuple(draw(st.sampled_from(choices)) for choices in fits)
        kwargs["recompute_scale_factor"] = draw(st.sampled_from([None, True, False]))
        same = [int(n * s) in (n, 2 * n) for n, s in zip(sizes, kwargs["scale_factor"])]
        if mode == "nearest" and axes != 2 and any(same):  # there the gradient of PyTorch is not that of its values
            kwargs["recompute_scale_factor"] = True
    return sizes, kwargs | {"antialias": antialias}, draw(st.sampled_from([np.float32, np.float64]))


@FUZZ
@given(interpolations(), st.integers(0, 2**32 - 1))
def test_interpolate(drawn, seed):
    sizes, kwargs, dtype = drawn
    agree("interpolate", [np.random.default_rng(seed).standard_normal((2, 2, *sizes)).astype(dtype)], (), kwargs)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_nearest_of_small_and_large_images(mode, dtype):
    for width, scale in ((3, 2.3), (3, 1.3), (60, 2.03), (100, 1.007), (41, 1 / 3), (100, 0.7)):
        for channels in (2, 5):
            x = np.random.default_rng(0).integers(0, 256, (1, channels, 3, width)).astype(dtype)
            y = F.interpolate(mg.tensor(x), scale_factor=(2.3, scale), mode=mode)
            expected = torch.nn.functional.interpolate(torch.tensor(x), scale_factor=(2.3, scale), mode=mode)
            np.testing.assert_array_equal(y.numpy(), expected.numpy())


@st.composite
def paddings(draw):
    mode = draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
    axes = draw(st.integers(1, 3))
    lead = draw(st.integers(0, 2) if mode == "constant" else st.integers(1, 2))
    sizes = draw(st.tuples(*[st.integers(1, 5)] * (lead + axes)))
    pads = []
    for size in sizes[: -axes - 1 : -1]:
        most = {"reflect": size - 1, "circular": size}.get(mode, 4)
        before, after = draw(st.integers(-1, most)), draw(st.integers(-1, most))
        if mode == "circular" and min(before, after) < 0:  # PyTorch wraps around what is left after cropping
            before, after = max(min(before, size - 1), 0), min(after, 0)
        if size + before + after < 1:
            before, after = 0, 0
        pads += [before, after]
    return mode, sizes, pads


@FUZZ
@given(paddings(), st.integers(0, 2**32 - 1))
def test_pad(drawn, seed):
    mode, sizes, pads = drawn
    x = np.random.default_rng(seed).standard_normal(sizes)
    agree("pad", [x], (pads, mode, 1.5 if mode == "constant" else None), {})


@FUZZ
@given(
    st.integers(2, 3),
    st.sampled_from(["bilinear", "nearest", "bicubic"]),
    st.sampled_from(["zeros", "border", "reflection"]),
    st.booleans(),
    st.sampled_from([0.7, 3.0]),
    st.integers(0, 2**32 - 1),
)
def test_grid_sample(axes, mode, padding_mode, align_corners, spread, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 3, *rng.integers(1, 6, axes)))
    grid = rng.standard_normal((2, *rng.integers(1, 5, axes), axes)) * spread
    mode = "bilinear" if mode == "bicubic" and axes == 3 else mode
    agree("grid_sample", [x, grid], (mode, padding_mode, align_corners), {})


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample_at_no_place(mode, padding_mode):
    """NaN, infinite and huge coordinates read nothing out of bounds and warn of nothing."""
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    places = [np.nan, np.inf, -np.inf, 1e30, -1e30, 1e300]
    grid = np.stack(np.meshgrid(places, [0.0, *places]), -1)[None]
    y = F.grid_sample(mg.tensor(x), mg.tensor(grid), mode, padding_mode, align_corners=False).numpy()
    assert y.shape == (1, 1, 7, 6)
    assert ((np.abs(y) <= 40) | np.isnan(y)).all()


def test_missing_align_corners_warns():
    with pytest.warns(UserWarning, match="align_corners"):
        F.grid_sample(mg.ones(1, 1, 2, 2), mg.zeros(1, 1, 1, 2))
    with pytest.warns(UserWarning, match="align_corners"):
        F.affine_grid(mg.ones(1, 2, 3), (1, 1, 2, 2))
    with pytest.warns(UserWarning, match="one element"):
        F.affine_grid(mg.ones(1, 2, 3), (1, 1, 1, 2), align_corners=True)


@pytest.mark.parametrize("name", ["upsample", "upsample_nearest", "upsample_bilinear"])
def test_old_names_warn(name):
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    with pytest.warns(UserWarning, match=name):
        y = getattr(F, name)(mg.tensor(x), scale_factor=2)
    with pytest.warns(UserWarning, match=name):
        expected = getattr(torch.nn.functional, name)(torch.tensor(x), scale_factor=2)
    np.testing.assert_allclose(y.numpy(), expected.numpy(), atol=1e-13)


def test_signatures_are_those_of_torch():
    for name in ("interpolate", "upsample", "upsample_nearest", "upsample_bilinear", "grid_sample", "affine_grid"):
        ours, theirs = (inspect.signature(getattr(lib, name)).parameters for lib in (F, torch.nn.functional))
        assert {k: p.default for k, p in ours.items()} == {k: p.default for k, p in theirs.items()}
