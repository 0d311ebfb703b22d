"""Convolution layers: parameters, start values, repr, padding modes and output sizes; conv2d's padding and messages."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")


def pair(name, *arguments, **named):
    """The layer in minigrad and in torch, with the same parameters in float64."""
    mine, theirs = getattr(nn, name)(*arguments, **named).double(), getattr(torch.nn, name)(*arguments, **named).double()
    mine.load_state_dict({key: mg.from_numpy(value.numpy().copy()) for key, value in theirs.state_dict().items()})
    return mine, theirs


def compare(mine, theirs, shape, **named):
    x = np.random.default_rng(0).standard_normal(shape)
    y = mine(mg.from_numpy(x), **named)
    expected = theirs(torch.from_numpy(x), **named).detach().numpy()
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


LAYERS = [
    ("Conv1d", (4, 6, 3), {"padding": "same"}, (2, 4, 9)),
    ("Conv2d", (4, 6, (3, 2)), {"stride": 2, "padding": 1, "dilation": (2, 1), "groups": 2, "bias": False}, (2, 4, 9, 8)),
    ("Conv2d", (1, 6, 5), {}, (1, 12, 12)),
    ("Conv3d", (2, 3, 2), {"padding": (0, 1, 2)}, (1, 2, 3, 4, 5)),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "groups": 2}, (2, 4, 5)),
    ("ConvTranspose2d", (4, 6, 3, 2, 1, 1), {}, (2, 4, 5, 4)),
    ("ConvTranspose3d", (2, 3, 2), {"dilation": 2, "bias": False}, (2, 2, 3, 4, 3)),
    ("Unfold", (3,), {"padding": (1, 0)}, (2, 3, 5, 6)),
    ("Fold", ((5, 6), 2), {"stride": (3, 2)}, (2, 12, 6)),
]


@pytest.mark.parametrize(("name", "arguments", "named", "shape"), LAYERS)
def test_layers_are_those_of_torch(name, arguments, named, shape):
    mine, theirs = pair(name, *arguments, **named)
    assert repr(mine) == repr(theirs)
    compare(mine, theirs, shape)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize(("rank", "padding"), [(1, 2), (2, (1, 3)), (2, "same"), (2, "valid"), (3, 1)])
def test_padding_modes(mode, rank, padding):
    mine, theirs = pair(f"Conv{rank}d", 2, 3, 3, padding=padding, dilation=2 if padding == "same" else 1, padding_mode=mode)
    assert repr(mine) == repr(theirs)
    compare(mine, theirs, (2, 2, *(5, 6, 4)[:rank]))


@pytest.mark.parametrize("size", [(11, 9), (12, 10), (2, 6, 12, 9)])
def test_output_size(size):
    compare(*pair("ConvTranspose2d", 4, 6, 3, stride=2), (2, 4, 5, 4), output_size=size)


def test_output_size_out_of_range():
    layer = nn.ConvTranspose2d(4, 6, 3, stride=2)
    with pytest.raises(ValueError, match=r"valid sizes range from \(11, 11\) to \(12, 12\)"):
        layer(mg.zeros(1, 4, 5, 5), output_size=(13, 12))
    with pytest.raises(ValueError, match="2 or 4 elements"):
        layer(mg.zeros(1, 4, 5, 5), output_size=(12,))


def test_same_padding_puts_the_odd_zero_after():
    rng = np.random.default_rng(0)
    x, w = mg.from_numpy(rng.standard_normal((2, 3, 5, 6))), mg.from_numpy(rng.standard_normal((4, 3, 2, 4)))
    y = F.conv2d(x, w, padding="same")
    padded = mg.from_numpy(np.pad(x.numpy(), [(0, 0), (0, 0), (0, 1), (1, 2)]))
    np.testing.assert_allclose(y.numpy(), F.conv2d(padded, w).numpy(), rtol=1e-13)


@pytest.mark.parametrize("layer", [nn.Conv2d(8, 12, (3, 5), groups=2), nn.ConvTranspose2d(12, 8, (3, 5), groups=2)])
def test_start_values(layer):
    assert layer.weight.shape == (12, 4, 3, 5)
    bound = 1 / math.sqrt(4 * 3 * 5)
    for parameter in (layer.weight, layer.bias):
        assert parameter.requires_grad
        assert 0.5 * bound < abs(parameter.detach().numpy()).max() <= bound


@pytest.mark.parametrize(
    ("arguments", "named", "match"),
    [
        ((4, 6, 3), {"groups": 4}, "out_channels must be divisible"),
        ((5, 6, 3), {"groups": 2}, "in_channels must be divisible"),
        ((4, 6, 3), {"groups": 0}, "positive integer"),
        ((4, 6, 3), {"padding": "full"}, "invalid padding"),
        ((4, 6, 3), {"padding": "same", "stride": 2}, "strided"),
        ((4, 6, 3), {"padding_mode": "mirror"}, "padding_mode"),
    ],
)
def test_bad_layers(arguments, named, match):
    with pytest.raises(ValueError, match=match):
        nn.Conv2d(*arguments, **named)
    with pytest.raises(ValueError):  # noqa: PT011
        torch.nn.Conv2d(*arguments, **named)


def test_messages_give_function_argument_both_shapes_and_the_mend():
    with pytest.raises(RuntimeError) as error:
        F.conv2d(mg.zeros(16, 3, 32, 32), mg.zeros(16, 6, 5, 5))
    message = (
        "conv2d: expected 6 input channels, got 3 in an input of shape (16, 3, 32, 32) for a weight of shape (16, 6, 5, 5)"
    )
    assert str(error.value) == message
    with pytest.raises(RuntimeError, match=r"minigrad.float32, minigrad.float64: convert with"):
        F.conv2d(mg.zeros(1, 1, 3, 3), mg.zeros(1, 1, 3, 3, dtype=mg.float64))


def test_no_channels_give_the_bias():
    y = F.conv2d(mg.zeros(2, 0, 5, 5), mg.zeros(4, 0, 3, 3), mg.ones(4))
    assert y.shape == (2, 4, 3, 3)
    assert (y.numpy() == 1).all()


def test_third_derivative():
    """gradcheck of the double backward: every one of the three operations is reached in both arguments."""
    rng = np.random.default_rng(0)
    x, w, b = (mg.from_numpy(rng.standard_normal(s)).requires_grad_() for s in ((2, 2, 4, 5), (4, 1, 2, 3), (4,)))

    def double_backward(x, w, b):
        y = F.conv2d(x, w, b, stride=(2, 1), padding=1, groups=2)
        gx, gw = mg.autograd.grad((y * y * y).sum(), (x, w), create_graph=True)
        return mg.autograd.grad((gx * gx).sum() + (gw * gw).sum(), (x, w, b), create_graph=True)

    assert mg.autograd.gradcheck(double_backward, (x, w, b))
