"""A module of minigrad and its twin of PyTorch: equal weights in, equal outputs and gradients out."""

import numpy as np

import minigrad as mg


def twins(torch, name, *args, **options):
    """A module of each library, float64, with the same weights; names and reprs are compared on the way."""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*args, **options).double()
    ours = getattr(mg.nn, name)(*args, **options).double()
    assert repr(ours) == repr(theirs)
    copy_weights(ours, theirs)
    return ours, theirs


def copy_weights(ours, theirs):
    """Gives the module of minigrad the parameters and buffers of its twin, which have the same names in the same order."""
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict({key: mg.tensor(value.numpy()) for key, value in state.items()})
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]


def flat(result):
    """The tensors in a nest of tuples, a PackedSequence by its data; None is left out."""
    if result is None:
        return []
    if isinstance(result, tuple):
        parts = [result.data] if hasattr(result, "batch_sizes") else result
        return [tensor for part in parts for tensor in flat(part)]
    return [result]


def compare(torch, ours, theirs, call, arrays, rtol=1e-9, atol=1e-10):
    """`call(lib, module, *inputs)` gives equal outputs, and equal gradients of inputs and parameters for random ones of outputs."""
    results, grads = [], []
    for lib, module in ((mg, ours), (torch, theirs)):
        inputs = [lib.tensor(array, requires_grad=array.dtype.kind == "f") for array in arrays]
        outputs = flat(call(lib, module, *inputs))
        rng = np.random.default_rng(0)
        loss = sum((out * lib.tensor(rng.standard_normal(tuple(out.shape)))).sum() for out in outputs)
        loss.backward()
        results.append([out.detach().numpy() for out in outputs])
        reached = [t.grad for t in [*inputs, *module.parameters()]]
        grads.append([None if grad is None else grad.numpy() for grad in reached])
        module.zero_grad()
    for mine, wanted in (results, grads):
        assert len(mine) == len(wanted)
        for a, b in zip(mine, wanted, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                assert a.shape == b.shape
                np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
