"""Activation layers: their functions, defaults, representation and state."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

LAYERS = [
    ("ReLU", (), F.relu, ""),
    ("ReLU6", (), F.relu6, ""),
    ("LeakyReLU", (0.2,), lambda x: F.leaky_relu(x, 0.2), "negative_slope=0.2"),
    ("ELU", (0.5,), lambda x: F.elu(x, 0.5), "alpha=0.5"),
    ("SELU", (), F.selu, ""),
    ("CELU", (0.5,), lambda x: F.celu(x, 0.5), "alpha=0.5"),
    ("GELU", ("tanh",), lambda x: F.gelu(x, "tanh"), "approximate='tanh'"),
    ("SiLU", (), F.silu, ""),
    ("Mish", (), F.mish, ""),
    ("Softplus", (2.0, 5.0), lambda x: F.softplus(x, 2.0, 5.0), "beta=2.0, threshold=5.0"),
    ("Softsign", (), F.softsign, ""),
    ("Hardtanh", (-0.5, 0.7), lambda x: F.hardtanh(x, -0.5, 0.7), "min_val=-0.5, max_val=0.7"),
    ("Hardswish", (), F.hardswish, ""),
    ("Hardsigmoid", (), F.hardsigmoid, ""),
    ("LogSigmoid", (), F.logsigmoid, ""),
    ("Sigmoid", (), F.sigmoid, ""),
    ("Tanh", (), F.tanh, ""),
    ("Tanhshrink", (), F.tanhshrink, ""),
    ("Softshrink", (0.3,), lambda x: F.softshrink(x, 0.3), "0.3"),
    ("Hardshrink", (0.3,), lambda x: F.hardshrink(x, 0.3), "0.3"),
    ("Threshold", (0.1, 2), lambda x: F.threshold(x, 0.1, 2), "threshold=0.1, value=2"),
    ("PReLU", (3, 0.1), lambda x: F.prelu(x, mg.tensor([0.1] * 3)), "num_parameters=3"),
    ("GLU", (0,), lambda x: F.glu(x, 0), "dim=0"),
]
INPLACE = ["ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "CELU", "SiLU", "Mish", "Hardtanh", "Hardswish", "Hardsigmoid", "RReLU"]


def sample():
    return mg.from_numpy(np.random.default_rng(0).normal(0, 2, (4, 3)).astype(np.float32))


@pytest.mark.parametrize(("name", "arguments", "function", "text"), LAYERS, ids=[layer[0] for layer in LAYERS])
def test_layer_is_its_function(name, arguments, function, text):
    layer, x = getattr(nn, name)(*arguments), sample()
    before = x.numpy().copy()
    np.testing.assert_array_equal(layer(x).detach().numpy(), function(x).numpy())
    np.testing.assert_array_equal(x.numpy(), before)
    assert repr(layer) == f"{name}({text})"


@pytest.mark.parametrize("name", INPLACE)
def test_inplace_writes_the_input_and_gradients_flow(name):
    layer, plain = getattr(nn, name)(inplace=True).eval(), getattr(nn, name)().eval()
    x = sample()
    expected = plain(x)
    out = layer(x)
    assert out is x
    np.testing.assert_array_equal(x.numpy(), expected.numpy())
    shown = name in ("Hardswish", "Hardsigmoid")  # PyTorch does not show it for these two either
    assert ("inplace=True" in repr(layer)) != shown
    leaves = [sample().requires_grad_() for _ in range(2)]
    layer(leaves[0] * 1.0).sum().backward()
    plain(leaves[1] * 1.0).sum().backward()
    np.testing.assert_array_equal(leaves[0].grad.numpy(), leaves[1].grad.numpy())
    with pytest.raises(RuntimeError, match="leaf"):
        layer(sample().requires_grad_())


def test_prelu_learns_its_weight():
    layer = nn.PReLU()
    assert [tuple(p.shape) for p in layer.parameters()] == [(1,)]
    assert layer.weight.item() == 0.25
    layer(mg.tensor([-2.0, 3.0])).sum().backward()
    assert layer.weight.grad.tolist() == [-2.0]
    with mg.no_grad():
        layer.weight.fill_(7)
    layer.reset_parameters()
    assert layer.weight.item() == 0.25


def test_rrelu_is_random_only_in_training():
    layer, x = nn.RReLU(0.1, 0.3), mg.full((1000,), -1.0)
    mg.manual_seed(0)
    y = -layer(x).numpy()
    assert y.min() >= np.float32(0.1)
    assert y.max() <= np.float32(0.3)
    assert y.std() > 0.05
    mg.manual_seed(0)
    np.testing.assert_array_equal(-layer(x).numpy(), y)
    np.testing.assert_allclose(layer.eval()(x).numpy(), -0.2, rtol=1e-6)
    assert repr(layer) == "RReLU(lower=0.1, upper=0.3)"


def test_nan_goes_through():
    x = mg.tensor([float("nan")])
    for function in (F.relu, F.relu6, F.leaky_relu, F.elu, F.gelu, F.silu, F.hardtanh, F.hardswish, F.hardsigmoid, F.softplus,
                     F.mish, F.softshrink, F.hardshrink, F.logsigmoid, F.softsign, F.tanhshrink):  # fmt: skip
        assert np.isnan(function(x).item())


def test_extremes():
    x = mg.tensor([-np.inf, -1000.0, 1000.0, np.inf], requires_grad=True)
    for function, expected, slope in [
        (F.softplus, [0, 0, 1000, np.inf], [0, 0, 1, 1]),
        (F.logsigmoid, [-np.inf, -1000, 0, 0], [1, 1, 0, 0]),
        (F.elu, [-1, -1, 1000, np.inf], [0, 0, 1, 1]),
        (F.relu6, [0, 0, 6, 6], [0, 0, 0, 0]),
        (F.sigmoid, [0, 0, 1, 1], [0, 0, 0, 0]),
        (F.tanh, [-1, -1, 1, 1], [0, 0, 0, 0]),
    ]:
        y = function(x)
        np.testing.assert_array_equal(y.detach().numpy(), np.array(expected, np.float32))
        np.testing.assert_array_equal(mg.autograd.grad(y.sum(), x)[0].numpy(), np.array(slope, np.float32))


@pytest.mark.parametrize("arguments", [(1, 1), (2, 1)])
def test_hardtanh_wants_an_interval(arguments):
    with pytest.raises(AssertionError, match="max_val"):
        nn.Hardtanh(*arguments)
