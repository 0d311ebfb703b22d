"""Operations of which nothing is recorded go by their kernel alone: to the results of the way by a node, and only where that is right."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.autograd import observer

F = mg.nn.functional

OPERATIONS = {
    "abs": lambda x, y: mg.abs(x),
    "exp": lambda x, y: mg.exp(x),
    "floor": lambda x, y: mg.floor(x),
    "square": lambda x, y: mg.square(x),
    **{f"pow {n}": lambda x, y, n=n: x**n for n in (0, 1, 2, 3, 4, 0.5, -1, -2, 1.7)},
    "clamp": lambda x, y: x.clamp(-0.5, 0.5),
    "clamp below": lambda x, y: x.clamp(min=0),
    "clamp crossed": lambda x, y: x.clamp(0.5, -0.5),
    "maximum": lambda x, y: mg.maximum(x, y),
    "minimum": lambda x, y: mg.minimum(x, y),
    "lerp": lambda x, y: mg.lerp(x, y, 0.3),
    "addcmul": lambda x, y: mg.addcmul(x, y, x, value=0.7),
    "where": lambda x, y: mg.where(x > y, x, y),
    "where a number": lambda x, y: mg.where(x > 0, 1, y),
    "masked_fill": lambda x, y: x.masked_fill(y > 0, -np.inf),
    "gelu": lambda x, y: F.gelu(x),
    "hardtanh": lambda x, y: F.hardtanh(x, -0.2, 0.7),
    "softplus": lambda x, y: F.softplus(x, 2.0, 1.0),
    "prelu": lambda x, y: F.prelu(x, y.reshape(-1)[: x.shape[1]]),
    "one prelu": lambda x, y: F.prelu(x, y.reshape(-1)[:1]),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "expanded", "empty"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_both_ways_agree(rng, name, layout, dtype):
    x, y = (mg.tensor(rng.standard_normal((5, 5)).astype(dtype)) for _ in range(2))
    if layout == "transposed":
        x = x.t()
    elif layout == "expanded":
        x = x[:1].expand(5, 5)
    elif layout == "empty":
        x, y = x[:0], y[:0]
        y = mg.ones(5, 1).to(x.dtype)[:, 0] if "prelu" in name else y
    alone = OPERATIONS[name](x, y)
    recorded = OPERATIONS[name](x.clone().requires_grad_(), y.clone().requires_grad_())
    assert not alone.requires_grad
    assert recorded.requires_grad
    assert alone.dtype is recorded.dtype
    np.testing.assert_array_equal(alone.numpy(), recorded.detach().numpy())


def test_recorded_under_no_grad(rng):
    x = mg.tensor(rng.standard_normal((3, 3)), requires_grad=True)
    with mg.no_grad():
        assert not mg.abs(x).requires_grad
        assert not F.prelu(x, x[0, :1]).requires_grad
    assert mg.abs(x).requires_grad
    assert mg.where(x.detach() > 0, x, 0.0).requires_grad


def test_observers_see_them():
    seen = []

    class Watch(observer.Observer):
        def begin(self, operation, inputs):
            seen.append(operation if isinstance(operation, str) else operation.name())

    with Watch():
        mg.abs(mg.ones(2))
        mg.ones(2).clamp(0, 1)
    assert seen == ["AbsBackward0", "ClampBackward1"]


def test_where_does_not_share_its_mask():
    """Its gradient is that of the mask as it was."""
    x, mask = mg.ones(3, requires_grad=True), mg.tensor([True, False, True])
    y = mg.where(mask, x, 0.0)
    mask.fill_(False)
    np.testing.assert_array_equal(mg.autograd.grad(y.sum(), x)[0].numpy(), [1, 0, 1])


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_xor"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("other", ["same", 1, 1.5, -1, 300, 2**63 - 1, 2**63, float("nan"), True])
def test_comparisons(torch, name, dtype, other):
    """Of one dtype and shape, or with a number, straight to the loop; anything else promoted."""
    values = np.array([[0, 1, 2], [1, 1, 0]], dtype)
    if name.startswith("logical") and other != "same":
        return
    try:
        wanted = getattr(torch, name)(torch.tensor(values), torch.tensor(values.T.copy().T) if other == "same" else other)
    except (RuntimeError, OverflowError):
        return
    got = getattr(mg, name)(mg.tensor(values), mg.tensor(values) if other == "same" else other)
    assert got.dtype is mg.bool
    np.testing.assert_array_equal(got.numpy(), wanted.numpy())
