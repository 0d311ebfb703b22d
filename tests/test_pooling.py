"""Pooling against PyTorch: any geometry, odd arguments, NaN, and the layers."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.nn.functional import pooling as F
from tests.fuzz import fuzz

torch = pytest.importorskip("torch")

SHAPES = [(2, 3, 9), (3, 8), (2, 2, 5, 7), (2, 6, 4), (1, 2, 3, 5, 4), (2, 3, 4, 5)]


def both(name, x, *args, **kwargs):
    """[values, gradient, indices or None] or the type of the exception, from minigrad and from torch."""
    answers = []
    for lib, functional in ((mg, F), (torch, torch.nn.functional)):
        tensor = lib.tensor(x.tolist(), dtype=lib.float64, requires_grad=True) if x.size else lib.zeros(x.shape)
        try:
            out = getattr(functional, name)(tensor, *args, **kwargs)
        except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
            answers.append(type(error))
            continue
        values, indices = out if isinstance(out, tuple) else (out, None)
        weights = np.arange(1.0, np.prod(values.shape) + 1).reshape(tuple(values.shape))
        differentiable = x.size > 0 and weights.size > 0  # torch has no derivative of an output without elements
        if differentiable:
            (values * lib.tensor(weights.tolist(), dtype=lib.float64).reshape(tuple(values.shape))).sum().backward()
        answers.append(
            [
                values.detach().numpy(),
                tensor.grad.numpy() if differentiable else None,
                None if indices is None else indices.numpy(),
            ]
        )
    return answers


def check(name, x, *args, **kwargs):
    ours, theirs = both(name, x, *args, **kwargs)
    if isinstance(theirs, type):
        assert ours is theirs
        return
    assert not isinstance(ours, type), f"{name}{args, kwargs} raised {ours}"
    for a, b in zip(ours, theirs):
        if b is None:
            assert a is None
        else:
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def parameter(n, low, high):
    """An int, or n or (wrongly) n + 1 of them; rarely out of range."""
    one = st.integers(low, high) | st.integers(low - 1, high + 1)
    return one | st.lists(one, min_size=n, max_size=n) | st.lists(one, min_size=1, max_size=n + 1).map(tuple)


@st.composite
def calls(draw):
    shape = draw(st.sampled_from(SHAPES))
    n = draw(st.sampled_from([max(len(shape) - 2, 1), min(len(shape) - 1, 3)]))
    kind = draw(st.sampled_from(["max", "avg", "adaptive_max", "adaptive_avg"]))
    if kind.startswith("adaptive"):
        return f"{kind}_pool{n}d", shape, {"output_size": draw(parameter(n, 1, 6))}
    kwargs = {"kernel_size": draw(parameter(n, 1, 4)), "stride": draw(st.none() | parameter(n, 1, 4))}
    kwargs |= {"padding": draw(parameter(n, 0, 2)), "ceil_mode": draw(st.booleans())}
    if kind == "max":
        kwargs |= {"dilation": draw(parameter(n, 1, 3)), "return_indices": draw(st.booleans())}
    else:
        kwargs["count_include_pad"] = draw(st.booleans())
        if n > 1:
            kwargs["divisor_override"] = draw(st.none() | st.integers(-2, 5))
    return f"{kind}_pool{n}d", shape, kwargs


@fuzz(150)
@given(calls())
def test_any_call(call):
    name, shape, kwargs = call
    x = np.random.default_rng(0).integers(-4, 5, shape).astype(np.float64)
    with contextlib.suppress(WindowInPadding):
        reject_window_in_padding(name, shape, kwargs)
        check(name, x, **kwargs)


class WindowInPadding(Exception):
    """minigrad raises where torch returns -inf and an index outside the input."""


def reject_window_in_padding(name, shape, kwargs):
    if name.startswith("max"):
        n = int(name[-2])
        try:
            getattr(F, name)(mg.zeros(shape), **kwargs)
        except RuntimeError as error:
            if "padding alone" in str(error):
                _, indices = getattr(torch.nn.functional, name)(torch.zeros(shape), **{**kwargs, "return_indices": True})
                assert (indices >= np.prod(shape[-n:])).any()
                raise WindowInPadding from None
        except (TypeError, ValueError, IndexError):
            pass


@pytest.mark.parametrize("name", ["max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool"])
@pytest.mark.parametrize(
    "shape",
    [
        (),
        (4,),
        (4, 4),
        (0, 3, 4),
        (2, 0, 4),
        (0, 4, 4, 4),
        (2, 3, 4, 4),
        (2, 3, 0, 4),
        (2, 3, 4, 4, 4),
        (0, 3, 4, 4, 4),
        (2, 0, 4, 4, 4),
        (1, 1, 1, 1, 1, 1),
    ],
)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_ranks_and_empty_dimensions(name, shape, n):
    ours, theirs = both(f"{name}{n}d", np.zeros(shape), 2)
    assert ours is theirs if isinstance(theirs, type) else ours[0].shape == theirs[0].shape


@pytest.mark.parametrize("kwargs", [{}, {"padding": 1}, {"stride": 1}, {"ceil_mode": True}])
@pytest.mark.parametrize("shape", [(1, 2, 9), (1, 2, 7, 41)])
def test_nan_and_ties(shape, kwargs):
    x = np.random.default_rng(0).integers(0, 3, shape).astype(np.float64)
    x[np.random.default_rng(1).random(shape) < 0.1] = np.nan
    check(f"max_pool{len(shape) - 2}d", x, 3, **kwargs, return_indices=True)
    check(f"adaptive_max_pool{len(shape) - 2}d", x, 4, return_indices=True)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("norm_type", [1, 2.0, 3, 0.5, float("inf"), -float("inf")])
def test_lp_pool(n, norm_type):
    x = np.random.default_rng(0).uniform(0.1, 2, (2, 2, 5, 6, 4)[: n + 2])
    check(f"lp_pool{n}d", x, norm_type, 2)
    check(f"lp_pool{n}d", x, norm_type, 3, stride=2, ceil_mode=True)
    x[:] = 0
    check(f"lp_pool{n}d", x, norm_type, 2)


def test_a_window_in_the_padding_alone_is_refused():
    with pytest.raises(RuntimeError, match="padding alone"):
        F.max_pool1d(mg.zeros(1, 2), 2, 1, 1, 3)


def test_indices_that_repeat_when_unpooling():
    answers = []
    for lib, functional in ((mg, F), (torch, torch.nn.functional)):
        x = lib.tensor([[[3.0, 4.0, 5.0]]], requires_grad=True)
        out = functional.max_unpool1d(x, lib.tensor([[[1, 1, 4]]]), 2)
        (out * lib.arange(6.0)).sum().backward()
        answers.append((out.detach().numpy(), x.grad.numpy()))
    for ours, theirs in zip(*answers):
        np.testing.assert_array_equal(ours, theirs)


def layers(lib):
    nn = lib.nn
    for n in (1, 2, 3):
        for name in ("MaxPool", "AvgPool", "MaxUnpool"):
            yield getattr(nn, f"{name}{n}d")(2)
            yield getattr(nn, f"{name}{n}d")((3,) * n, 2, 1)
        yield getattr(nn, f"LPPool{n}d")(2, 3)
        yield getattr(nn, f"LPPool{n}d")(3.5, (2,) * n if n > 1 else 2, stride=1, ceil_mode=True)
        for name in ("AdaptiveAvgPool", "AdaptiveMaxPool"):
            yield getattr(nn, f"{name}{n}d")(2)
            yield getattr(nn, f"{name}{n}d")((3,) * n)
    yield nn.MaxPool2d(3, 2, 1, 1, ceil_mode=True)
    yield nn.AvgPool2d(3, 2, 1, True, False, 7)
    yield nn.AdaptiveAvgPool2d((None, 3))


def test_layers():
    pytest.importorskip("minigrad.nn.module")
    for ours, theirs in zip(layers(mg), layers(torch)):
        assert repr(ours) == repr(theirs)
        n = int(type(ours).__name__[-2])
        x = np.random.default_rng(0).uniform(0.5, 1.5, (2, 2, 6, 6, 6)[: n + 2])
        if "Unpool" in type(ours).__name__:
            x = x[(slice(None), slice(None), *[slice(2)] * n)].copy()
            indices = np.arange(2**n).reshape((2,) * n)
            indices = np.broadcast_to(indices, x.shape).copy()
            a, b = ours(mg.from_numpy(x), mg.from_numpy(indices)), theirs(torch.from_numpy(x), torch.from_numpy(indices))
        else:
            a, b = ours(mg.from_numpy(x)), theirs(torch.from_numpy(x))
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)
    values, indices = mg.nn.MaxPool2d(2, return_indices=True)(mg.ones(1, 4, 4))
    assert mg.nn.MaxUnpool2d(2)(values, indices).shape == (1, 4, 4)
