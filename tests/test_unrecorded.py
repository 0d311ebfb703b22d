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
    "flip": lambda x, y: x.flip(0, -1),
    "flip nothing": lambda x, y: x.flip(()),
    "roll": lambda x, y: x.roll((3, -7, 1), (0, 1, 0)),
    "roll in order": lambda x, y: x.roll(-3),
    "cast": lambda x, y: x.double().float(),
    "channel_shuffle": lambda x, y: F.channel_shuffle(mg.stack([x, y, x, y], -1).permute(0, 2, 1).unsqueeze(-1), 2),
    "pixel_shuffle": lambda x, y: F.pixel_shuffle(mg.stack([x, y, x, y], -1).permute(2, 0, 1), 2),
    "pixel_unshuffle": lambda x, y: F.pixel_unshuffle(
        mg.stack([x, y, x, y]).permute(1, 0, 2).unsqueeze(-1).repeat(1, 1, 2, 2), 2
    ),
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


IN_PLACE = {
    "add": lambda x, y: x.add_(y),
    "iadd": lambda x, y: x.__iadd__(y),
    "sub": lambda x, y: x.sub_(y),
    "mul": lambda x, y: x.mul_(y),
    "imul": lambda x, y: x.__imul__(y),
    "div": lambda x, y: x.div_(y),
    "relu": lambda x, _: F.relu_(x),
}
OPERANDS = {
    "one shape": lambda x: mg.arange(12.0).reshape(3, 4).to(x.dtype) + 0.5,
    "a number": lambda _: 3,
    "no dimensions": lambda x: mg.tensor(0.3, dtype=x.dtype),
    "itself": lambda x: x,
    "an element of it": lambda x: x[0, 0],
    "a row of it": lambda x: x[1],
    "it transposed back": lambda x: x.t().contiguous().t(),
    "another dtype": lambda x: mg.ones(3, 4, dtype=mg.float32 if x.dtype is mg.float64 else mg.int64),
}


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("operand", OPERANDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_place_is_as_out_of_place(rng, name, operand, dtype):
    x = mg.tensor(rng.standard_normal((3, 4)).astype(dtype))
    twin = x.clone()
    array, version = x.numpy(), x._version
    wanted = IN_PLACE[name](twin, OPERANDS[operand](twin.clone()))
    assert IN_PLACE[name](x, OPERANDS[operand](x)) is x
    assert x.numpy() is array or np.shares_memory(x.numpy(), array)
    assert x._version == version + 1
    np.testing.assert_array_equal(array, wanted.numpy())


def test_memory_that_is_shifted():
    memory = mg.arange(9.0)
    x, y = mg.tensor(0.0), mg.tensor(0.0)
    x.data, y.data = memory[1:].detach(), memory[:-1].detach()
    x += y
    np.testing.assert_array_equal(memory.numpy(), [0, 1, 3, 5, 7, 9, 11, 13, 15])


def test_in_place_is_recorded_and_refused():
    w = mg.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        w += 1
    x = mg.zeros(3)
    x += w
    assert x.requires_grad
    saved = mg.ones(3)
    y = w * saved
    saved *= 2.0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    frozen = mg.zeros(3)
    frozen.numpy().flags.writeable = False
    with pytest.raises(RuntimeError, match="read-only"):
        frozen += 1.0
    with mg.no_grad():
        w += 1
    np.testing.assert_array_equal(w.detach().numpy(), [2, 2, 2])
    base = mg.zeros(2, 2)
    row = base[0]
    base += 1.0
    row += 1.0
    np.testing.assert_array_equal(base.numpy(), [[2, 2], [1, 1]])


@pytest.mark.parametrize("name", ["add", "sub", "mul"])
@pytest.mark.parametrize("other", ["same", "transposed", 3, -(2**62), 2**63 - 1, 0.5])
def test_arithmetic_of_integers(torch, name, other):
    values = np.array([[0, 1, -2], [5, 2**62, -(2**63)], [7, 7, 7]])
    x, y = mg.tensor(values), torch.tensor(values)
    operands = {"same": (x, y), "transposed": (x.t(), y.t())}.get(other, (other, other))
    got, wanted = getattr(mg, name)(x, operands[0]), getattr(torch, name)(y, operands[1])
    assert str(got.dtype).split(".")[-1] == str(wanted.dtype).split(".")[-1]
    np.testing.assert_array_equal(got.numpy(), wanted.numpy())


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "amax", "amin"])
@pytest.mark.parametrize("dim", [0, -1])
@pytest.mark.parametrize("keepdim", [False, True])
def test_reductions_agree(rng, name, dim, keepdim):
    x = mg.tensor(rng.standard_normal((3, 5)).astype("float32"))
    recorded = getattr(x.clone().requires_grad_(), name)(dim, keepdim)
    assert recorded.requires_grad
    np.testing.assert_array_equal(getattr(x, name)(dim, keepdim).numpy(), recorded.detach().numpy())
