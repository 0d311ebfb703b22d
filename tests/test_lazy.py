"""Lazy layers: before and after their first input, their state dicts, copies and errors. Most tests run on PyTorch too."""

import copy
import inspect
import pickle

import pytest

import minigrad as mg

CASES = [
    ("LazyLinear", (3,), (2, 4)),
    ("LazyLinear", (3, False), (2, 5, 4)),
    ("LazyConv1d", (6, 3), (2, 4, 7)),
    ("LazyConv2d", (6, 3, 2, 1, 1, 2), (2, 4, 7, 6)),
    ("LazyConv3d", (2, (1, 2, 3)), (1, 2, 3, 4, 5)),
    ("LazyConv2d", (3, 2), (4, 5, 5)),
    ("LazyConvTranspose1d", (6, 3), (2, 4, 7)),
    ("LazyConvTranspose2d", (6, 3, 2, 1, 1, 2), (2, 4, 5, 6)),
    ("LazyConvTranspose3d", (2, 2), (1, 2, 2, 3, 2)),
    ("LazyBatchNorm1d", (), (4, 3)),
    ("LazyBatchNorm2d", (1e-3, 0.2), (4, 3, 2, 2)),
    ("LazyBatchNorm3d", (1e-5, None, False), (4, 3, 2, 2, 1)),
    ("LazyInstanceNorm1d", (), (4, 3, 2)),
    ("LazyInstanceNorm2d", (1e-5, 0.1, True, False), (4, 3, 2, 2)),
    ("LazyInstanceNorm3d", (), (4, 3, 2, 2, 1)),
]


@pytest.mark.parametrize(("name", "args", "shape"), CASES)
def test_a_lazy_layer_becomes_an_ordinary_one(lib, name, args, shape):
    layer = getattr(lib.nn, name)(*args)
    assert type(layer).__name__ == name
    lazy = [p for p in [*layer.parameters(), *layer.buffers()] if "Uninitialized" in type(p).__name__]
    before = list(layer.parameters())
    out = layer(lib.ones(*shape))
    assert type(layer) is getattr(lib.nn, name.removeprefix("Lazy"))
    assert [p is q for p, q in zip(before, layer.parameters(), strict=True)] == [True] * len(before)
    assert all(type(p) is lib.nn.Parameter for p in layer.parameters())
    assert all(type(b) is lib.Tensor for b in layer.buffers())
    assert all(t.numel() > 0 for t in lazy)
    assert out.shape == layer(lib.ones(*shape)).shape
    if before:
        out.sum().backward()
        assert all(p.grad is not None for p in layer.parameters())


@pytest.mark.parametrize(("name", "args", "shape"), CASES)
def test_lazy_layers_are_those_of_torch(torch, name, args, shape):
    ours, theirs = getattr(mg.nn, name)(*args), getattr(torch.nn, name)(*args)
    parameters = [inspect.signature(type(layer)).parameters.values() for layer in (ours, theirs)]
    assert [(p.name, p.default) for p in parameters[0]] == [(p.name, p.default) for p in parameters[1]]
    assert repr(ours) == repr(theirs)
    assert repr(list(ours.state_dict().items())[:1]) == repr(list(theirs.state_dict().items())[:1])
    ours(mg.ones(*shape))
    theirs(torch.ones(*shape))
    assert repr(ours) == repr(theirs)
    assert [(k, tuple(v.shape)) for k, v in ours.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]


def test_the_values_to_start_with(lib):
    layer = lib.nn.LazyLinear(200)
    layer(lib.ones(1, 100))
    assert 0.09 < abs(layer.weight).max().item() <= 0.1
    assert 0.09 < abs(layer.bias).max().item() <= 0.1
    norm = lib.nn.LazyBatchNorm1d()
    norm(lib.ones(2, 3))
    assert norm.weight.tolist() == [1, 1, 1]
    assert norm.num_batches_tracked.item() == 1


def test_state_dicts_before_and_after(lib):
    ready, lazy, other = (lib.nn.Sequential(lib.nn.LazyLinear(3), lib.nn.LazyBatchNorm1d()) for _ in range(3))
    ready(lib.ones(2, 4))
    lazy.load_state_dict(ready.state_dict())
    assert lazy[0].weight.shape == (3, 4)
    assert lazy[0].weight.tolist() == ready[0].weight.tolist()
    lazy(lib.ones(2, 4))
    assert [type(layer) for layer in lazy] == [type(layer) for layer in ready]
    assert lazy[0].weight.tolist() == ready[0].weight.tolist()
    assert str(other.load_state_dict(other.state_dict())) == "<All keys matched successfully>"
    with pytest.raises(RuntimeError):
        ready.load_state_dict(other.state_dict())


def test_loading_what_does_not_fit_changes_nothing():
    ready, lazy = mg.nn.Linear(2, 3), mg.nn.Sequential(mg.nn.LazyLinear(3), mg.nn.Linear(3, 1))
    state = {"0.weight": ready.weight, "0.bias": ready.bias, "1.weight": mg.ones(1, 4), "1.bias": mg.ones(1)}
    with pytest.raises(RuntimeError, match=r"size mismatch for 1\.weight"):
        lazy.load_state_dict(state)
    assert type(lazy[0].weight) is mg.nn.UninitializedParameter
    state["1.weight"] = mg.ones(1, 3)
    lazy.load_state_dict(state, assign=True)
    assert mg.equal(lazy[0].weight, ready.weight)
    assert lazy(mg.ones(4, 2)).shape == (4, 1)


def test_a_loaded_convolution_knows_its_channels():
    ready, lazy = mg.nn.LazyConv2d(4, 3), mg.nn.LazyConv2d(4, 3)
    ready(mg.ones(1, 2, 5, 5))
    lazy.load_state_dict(ready.state_dict())
    lazy(mg.ones(1, 2, 5, 5))
    assert repr(lazy) == "Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1))"
    norm = mg.nn.LazyBatchNorm1d()
    norm.load_state_dict(mg.nn.BatchNorm1d(3).state_dict())
    norm(mg.ones(2, 3))
    assert norm.num_features == 3


def test_conversion_copies_and_optimizers(lib):
    layer = lib.nn.LazyLinear(3).double()
    assert layer.weight.dtype is lib.float64
    twin = copy.deepcopy(layer)
    assert repr(twin.weight) == "<UninitializedParameter>"
    assert twin.weight is not layer.weight
    optimizer = lib.optim.SGD(layer.parameters(), lr=0.1)
    optimizer.zero_grad()
    layer(lib.ones(2, 4).double()).sum().backward()
    before = layer.bias.tolist()
    optimizer.step()
    assert layer.bias.tolist() == pytest.approx([b - 0.2 for b in before])
    assert "Lazy" in type(twin).__name__
    frozen = lib.nn.UninitializedParameter(requires_grad=False)
    frozen.materialize((2, 2))
    assert not frozen.requires_grad
    assert frozen.shape == (2, 2)


def test_pickle():
    layer = pickle.loads(pickle.dumps(mg.nn.Sequential(mg.nn.LazyLinear(3), mg.nn.LazyBatchNorm1d()).double()))
    assert layer(mg.ones(2, 4).double()).shape == (2, 3)
    assert type(layer[0]) is mg.nn.Linear
    assert layer[1].running_mean.dtype is mg.float64


@pytest.mark.parametrize(
    ("kind", "text", "call"),
    [
        (RuntimeError, "Can't access the shape of an uninitialized parameter", lambda lib, p: p.shape),
        (ValueError, "Attempted to use an uninitialized parameter", lambda lib, p: p + 1),
        (ValueError, "Attempted to use an uninitialized parameter", lambda lib, p: 1 - p),
        (ValueError, "Attempted to use an uninitialized parameter", lambda lib, p: lib.ones(2, 2) @ p),
        (ValueError, "Attempted to use an uninitialized parameter", lambda lib, p: p.sum()),
        (ValueError, "Attempted to use an uninitialized parameter", lambda lib, p: p.numel()),
        (ValueError, "Attempted to use an uninitialized parameter", lambda lib, p: lib.nn.init.ones_(p)),
    ],
)
def test_what_needs_elements_is_refused(lib, kind, text, call):
    for tensor in (lib.nn.UninitializedParameter(), lib.nn.LazyBatchNorm1d().running_mean):
        with pytest.raises(kind, match=text):
            call(lib, tensor)


@pytest.mark.parametrize(
    ("kind", "text", "call"),
    [
        (RuntimeError, "Expected 3D (unbatched) or 4D (batched) input", lambda lib: lib.nn.LazyConv2d(4, 3)(lib.ones(2))),
        (ValueError, "in_channels must be divisible", lambda lib: lib.nn.LazyConv1d(4, 3, groups=2)(lib.ones(1, 3, 4))),
    ],
)
def test_errors(lib, kind, text, call):
    with pytest.raises(kind) as caught:
        call(lib)
    assert text in str(caught.value)


def test_own_lazy_module():
    from minigrad.nn.lazy import LazyModuleMixin

    class Scale(LazyModuleMixin):
        def __init__(self):
            super().__init__()
            self.gain = mg.nn.UninitializedParameter()
            self.shift = mg.nn.UninitializedParameter()

        def initialize_parameters(self, x):
            self.gain.materialize(x.shape[-1:])
            mg.nn.init.ones_(self.gain)

        def forward(self, x):
            return x * self.gain

    scale = Scale()
    with pytest.raises(RuntimeError, match="has not been fully initialized"):
        scale(mg.ones(2, 3))
    with pytest.raises(NotImplementedError, match="initialize_parameters is not implemented for LazyModuleMixin"):
        LazyModuleMixin()(1)
