"""saved_tensors_hooks and checkpointing: probes that come to the same on minigrad and on PyTorch."""

import gc

import pytest

import minigrad as mg
from minigrad.utils.checkpoint import CheckpointError, checkpoint
from tests.probes import check, name, probes, says


def leaf(lib, *data):
    return lib.tensor(list(data or (1.0, 2.0)), requires_grad=True)


def checkpointed(lib, *args, **kwargs):
    return __import__(f"{lib.__name__}.utils.checkpoint", fromlist=["checkpoint"]).checkpoint(*args, **kwargs)


def in_segments(lib, *args, **kwargs):
    return __import__(f"{lib.__name__}.utils.checkpoint", fromlist=["checkpoint"]).checkpoint_sequential(*args, **kwargs)


def network(lib):
    """A small network with weights that are the same on both libraries."""
    model = lib.nn.Sequential(
        lib.nn.Linear(3, 4), lib.nn.Tanh(), lib.nn.Linear(4, 4), lib.nn.ReLU(), lib.nn.Linear(4, 2), lib.nn.Sigmoid()
    )
    with lib.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_((lib.arange(p.numel()) % 5 - 2).reshape(p.shape) * 0.25 + 0.1 * i)
    return model


def rounded(tensors):
    return [[float(f"{v:.4g}") for v in t.flatten().tolist()] for t in tensors]


# Hooks on what is saved


def probe_hooks_change_what_was_saved(lib):
    x = leaf(lib)
    with lib.autograd.graph.saved_tensors_hooks(lambda t: t * 10, lambda t: t):
        y = x.exp() * x
    y.sum().backward()
    return rounded([x.grad])


def probe_hooks_keep_anything(lib):
    x, seen = leaf(lib), []

    def pack(t):
        seen.append(t.tolist())
        return t.tolist()

    with lib.autograd.graph.saved_tensors_hooks(pack, lib.tensor):
        y = x * x
    y.sum().backward()
    return x.grad, seen


def probe_hooks_and_double_backward(lib):
    x = leaf(lib)
    with lib.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), lib.tensor):
        y = (x**3).exp() * x
    (g,) = lib.autograd.grad(y.sum(), x, create_graph=True)
    return rounded([g, *lib.autograd.grad(g.sum(), x)])


def probe_hooks_on_a_custom_function(lib):
    class Cube(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            return 3 * ctx.saved_tensors[0] ** 2 * g

    x = leaf(lib)
    with lib.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), lib.tensor):
        y = Cube.apply(x)
    y.sum().backward()
    return x.grad


def probe_hooks_in_hooks(lib):
    x, seen = leaf(lib), []
    with lib.autograd.graph.saved_tensors_hooks(lambda t: seen.append("outer") or t, lambda t: t):
        with lib.autograd.graph.saved_tensors_hooks(lambda t: seen.append("inner") or t, lambda t: t):
            x.exp()
        x.exp()
    x.exp()
    return seen


def probe_retain_graph_with_hooks(lib):
    x = leaf(lib)
    with lib.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), lib.tensor):
        y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


@says("Trying to backward through the graph a second time")
def probe_a_second_backward_with_hooks(lib):
    x = leaf(lib)
    with lib.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), lib.tensor):
        y = (x * x).sum()
    y.backward()
    y.backward()


@says("unpack_hook expected to be a Tensor")
def probe_unpacking_to_no_tensor(lib):
    x = leaf(lib)
    with lib.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: 3):
        y = (x * x).sum()
    y.backward()


@says("not today")
def probe_hooks_disabled(lib):
    graph = lib.autograd.graph
    with graph.disable_saved_tensors_hooks("not today"), graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        pass


def probe_save_on_cpu(lib):
    x = leaf(lib)
    with lib.autograd.graph.save_on_cpu():
        y = (x * x).exp().sum()
    y.backward()
    return rounded([x.grad])


def probe_gradient_edges(lib):
    x = leaf(lib)
    edge = lib.autograd.graph.get_gradient_edge(x.exp())
    return edge.output_nr, edge.node.name(), type(lib.autograd.graph.get_gradient_edge(x).node).__name__


def probe_increment_version(lib):
    x = lib.ones(2)
    lib.autograd.graph.increment_version(x)
    return x._version


def probe_variable(lib):
    x = leaf(lib)
    v = lib.autograd.Variable(x * 2)
    w = lib.autograd.Variable(x, requires_grad=True)
    return (
        v,
        w,
        w is x,
        isinstance(x, lib.autograd.Variable),
        isinstance(3, lib.autograd.Variable),
        w.data_ptr() == x.data_ptr(),
    )


# Checkpointing


def probe_checkpoint(lib):
    found = []
    for reentrant in (False, True):
        model, x = network(lib), lib.ones(5, 3, requires_grad=True)
        h = checkpointed(lib, model[:2], x, use_reentrant=reentrant)
        model[2:](h).sum().backward()
        found.append(rounded([x.grad, *(p.grad for p in model.parameters())]))
    return found


def probe_checkpoint_of_an_input_without_grad(lib):
    model = network(lib)
    checkpointed(lib, model, lib.ones(5, 3), use_reentrant=False).sum().backward()
    return rounded(p.grad for p in model.parameters())


def probe_checkpoint_with_grad(lib):
    x = leaf(lib)
    y = checkpointed(lib, lambda x, k: (x * k).exp(), x, k=0.5, use_reentrant=False)
    return rounded(lib.autograd.grad(y.sum(), x))


def probe_checkpoint_differentiated_twice(lib):
    x = leaf(lib)
    y = checkpointed(lib, lambda x: (x**3).exp() * x, x, use_reentrant=False)
    (g,) = lib.autograd.grad(y.sum() * 0.01, x, create_graph=True)
    return rounded([g, *lib.autograd.grad((g * 0.01).sum(), x)])


def probe_checkpoint_calls_the_function_twice(lib):
    calls, x = [], leaf(lib)

    def function(x):
        calls.append(lib.is_grad_enabled())
        return x.exp().sin()

    y = checkpointed(lib, function, x, use_reentrant=False)
    y.sum().backward()
    return calls


def probe_checkpoint_in_no_grad(lib):
    with lib.no_grad():
        return checkpointed(lib, lambda x: x * 2, leaf(lib), use_reentrant=False)


def probe_checkpoint_of_random_numbers(lib):
    x = lib.ones(64, requires_grad=True)
    y = checkpointed(lib, lambda x: lib.nn.functional.dropout(x * x, 0.5), x, use_reentrant=False)
    y.sum().backward()
    return bool((x.grad == y.detach() * 2).all())


def probe_checkpoint_inside_checkpoint(lib):
    x = leaf(lib)

    def inner(x):
        return x.sin().exp()

    def outer(x):
        return checkpointed(lib, inner, x * 2, use_reentrant=False).cos()

    checkpointed(lib, outer, x, use_reentrant=False).sum().backward()
    return rounded([x.grad])


def probe_checkpoint_sequential(lib):
    found = []
    for segments in (1, 2, 3):
        model, x = network(lib), lib.ones(5, 3, requires_grad=True)
        in_segments(lib, model, segments, x, use_reentrant=False).sum().backward()
        found.append(rounded([x.grad, *(p.grad for p in model.parameters())]))
    return found


@says("A different number of tensors was saved")
def probe_checkpoint_of_what_changes(lib):
    calls = []

    def function(x):
        calls.append(1)
        return x.exp().sin() if len(calls) == 1 else x.exp()

    checkpointed(lib, function, leaf(lib), use_reentrant=False).sum().backward()


@says("different metadata")
def probe_checkpoint_of_what_changes_shape(lib):
    calls = []

    def function(x):
        calls.append(1)
        return x.exp().sin().sum() if len(calls) == 1 else x[:1].exp().sin().sum()

    checkpointed(lib, function, leaf(lib), use_reentrant=False).sum().backward()


@says("Unexpected keyword arguments")
def probe_reentrant_checkpoint_with_keywords(lib):
    checkpointed(lib, lambda x, k: x, leaf(lib), k=3, use_reentrant=True)


@pytest.mark.parametrize("probe", probes(globals()), ids=name)
@pytest.mark.filterwarnings("ignore:.*None of the inputs:UserWarning")
def test_saving_is_as_in_torch(probe, torch):
    check(probe, torch)


def saved_bytes(node):
    """What the nodes of a graph keep."""
    seen, stack, total = set(), [node], 0
    while stack:
        node = stack.pop()
        if node is not None and id(node) not in seen and hasattr(node, "saved_bytes"):
            seen.add(id(node))
            total += node.saved_bytes
            stack += [below for below, _ in node.next_functions]
    return total


def test_a_checkpoint_keeps_no_activations():
    x = mg.ones(100, 100, requires_grad=True)

    def function(x):
        for _ in range(5):
            x = x.exp().sin()
        return x

    assert saved_bytes(function(x).grad_fn) >= 9 * 40000
    assert saved_bytes(checkpoint(function, x, use_reentrant=False).grad_fn) == 0


def test_an_input_written_before_the_recomputation_raises():
    x = mg.ones(2, requires_grad=True) * 1
    y = checkpoint(lambda x: x.exp().sin(), x, use_reentrant=False)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_checkpoint_error_is_a_runtime_error():
    assert issubclass(CheckpointError, RuntimeError)


def test_hooks_make_no_reference_cycle():
    gc.collect()
    gc.disable()
    try:
        y = checkpoint(lambda x: x.exp().sin(), mg.ones(2, requires_grad=True), use_reentrant=False)
        y.sum().backward()
        del y
        assert gc.collect() == 0
    finally:
        gc.enable()
