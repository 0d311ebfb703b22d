"""Custom autograd.Functions: probes that come to the same on minigrad and on PyTorch."""

import gc
import warnings
import weakref

import pytest

import minigrad as mg
from tests.probes import check, name, probes, says


def leaf(lib, *data):
    return lib.tensor(list(data or (1.0, 2.0)), requires_grad=True)


def make(lib, forward, backward, name="Op"):
    """A Function with these two rules."""
    rules = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type(name, (lib.autograd.Function,), rules)


def product(lib):
    """x * y * k, with a backward that can be differentiated."""

    def forward(ctx, x, y, k=2):
        ctx.save_for_backward(x, y)
        ctx.k = k
        return x * y * k

    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return g * y * ctx.k, g * x * ctx.k, None

    return make(lib, forward, backward, "Product")


def exponential(lib):
    """exp(x), which keeps its output."""

    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    return make(lib, forward, lambda ctx, g: g * ctx.saved_tensors[0], "Exp")


def doubled_in_place(ctx, x):
    x.mul_(2)
    ctx.mark_dirty(x)
    return x


def probe_gradients_of_a_product(lib):
    x, y = leaf(lib), leaf(lib, 3.0, 4.0)
    out = product(lib).apply(x, y, 5)
    out.sum().backward()
    return out, x.grad, y.grad


def probe_keyword_arguments(lib):
    return product(lib).apply(leaf(lib), y=leaf(lib), k=3)


def probe_what_forward_sees(lib):
    x, seen = leaf(lib), []

    def forward(ctx, a, b, k):
        seen.append((ctx.needs_input_grad, lib.is_grad_enabled(), a is x, a.requires_grad, b is None))
        return a * 1

    make(lib, forward, None).apply(x, None, 2)
    with lib.no_grad():
        make(lib, forward, None).apply(x, None, 2)
    return seen


def probe_what_backward_sees(lib):
    x, seen = leaf(lib), []

    def backward(ctx, g):
        seen.append((ctx.needs_input_grad, lib.is_grad_enabled(), ctx.name(), ctx.k))
        return g, None

    def forward(ctx, a, b):
        ctx.k = 7
        return a * b

    out = make(lib, forward, backward).apply(x, lib.ones(2))
    lib.autograd.grad(out.sum(), x, retain_graph=True)
    lib.autograd.grad(out.sum(), x, create_graph=True)
    return seen


def probe_names_and_graph(lib):
    out = product(lib).apply(leaf(lib), lib.ones(2), 2)
    node = out.grad_fn
    nexts = [n if n is None else type(n).__name__ for n, _ in node.next_functions]
    return repr(out), node.name(), type(node).__name__, nexts


def probe_saved_tensors_of_the_node(lib):
    x = leaf(lib)
    node = product(lib).apply(x, lib.ones(2)).grad_fn
    return node.saved_tensors, node.saved_tensors[0] is x


def probe_double_backward(lib):
    x, y = leaf(lib), leaf(lib, 3.0, 4.0)
    gx, gy = lib.autograd.grad((product(lib).apply(x, y) ** 2).sum(), (x, y), create_graph=True)
    return gx, gy, lib.autograd.grad((gx * gy).sum(), (x, y))


def probe_double_backward_through_a_saved_output(lib):
    x = leaf(lib, 0.0, 0.0)
    (g,) = lib.autograd.grad(exponential(lib).apply(x).sum(), x, create_graph=True)
    (gg,) = lib.autograd.grad(g.sum(), x, create_graph=True)
    return g, gg, lib.autograd.grad(gg.sum(), x)


def probe_the_saved_output_in_backward_has_its_node(lib):
    seen = []
    x = leaf(lib, 0.0)

    def forward(ctx, a):
        b = a.exp()
        ctx.save_for_backward(b)
        return b

    def backward(ctx, g):
        seen.append(ctx.saved_tensors[0].grad_fn is not None)
        return g

    make(lib, forward, backward).apply(x).sum().backward()
    return seen


def probe_setup_context(lib):
    seen = []

    class Scale(lib.autograd.Function):
        @staticmethod
        def forward(x, k=3):
            return x * k

        @staticmethod
        def setup_context(ctx, inputs, output):
            seen.append((len(inputs), inputs[1], output.requires_grad))
            ctx.k = inputs[1]

        @staticmethod
        def backward(ctx, g):
            return g * ctx.k, None

    x = leaf(lib)
    Scale.apply(x).sum().backward()
    Scale.apply(x, k=5).sum().backward()
    return x.grad, seen


def probe_vjp_is_another_name_for_backward(lib):
    class Twice(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def vjp(ctx, g):
            return g * 2

    x = leaf(lib)
    Twice.apply(x).sum().backward()
    return x.grad


def probe_a_jvp_may_be_defined(lib):
    class Twice(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_forward(x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

        @staticmethod
        def jvp(ctx, t):
            return t * 2

    x = leaf(lib)
    Twice.apply(x).sum().backward()
    return x.grad


@says("backward")
def probe_backward_and_vjp(lib):
    op = make(lib, lambda ctx, x: x * 1, lambda ctx, g: g)
    op.vjp = staticmethod(lambda ctx, g: g)
    op.apply(leaf(lib)).sum().backward()


@says("You must implement the forward")
def probe_no_forward(lib):
    type("Empty", (lib.autograd.Function,), {}).apply(leaf(lib))


@says("You must implement either the backward or vjp")
def probe_no_backward(lib):
    type("Half", (lib.autograd.Function,), {"forward": staticmethod(lambda ctx, x: x * 1)}).apply(leaf(lib)).sum().backward()


@says("Legacy autograd function with non-static forward")
def probe_an_instance(lib):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        product(lib)()(leaf(lib), leaf(lib))


@says("returned an incorrect number of gradients (expected 2, got 1)")
def probe_too_few_gradients(lib):
    make(lib, lambda ctx, x, y: x * y, lambda ctx, g: g).apply(leaf(lib), leaf(lib)).sum().backward()


@says("returned an incorrect number of gradients (expected 1, got 2)")
def probe_too_many_gradients(lib):
    make(lib, lambda ctx, x: x * 1, lambda ctx, g: (g, g)).apply(leaf(lib)).sum().backward()


def probe_further_none_gradients(lib):
    x = leaf(lib)
    make(lib, lambda ctx, x: x * 1, lambda ctx, g: (g, None, None)).apply(x).sum().backward()
    return x.grad


@says("different than None at position 2")
def probe_a_gradient_for_what_is_no_tensor(lib):
    make(lib, lambda ctx, x, k: x * k, lambda ctx, g: (g, g)).apply(leaf(lib), 2).sum().backward()


def probe_no_gradient_at_all(lib):
    x = leaf(lib)
    make(lib, lambda ctx, x: x * 1, lambda ctx, g: None).apply(x).sum().backward()
    return x.grad


@says("got [3] but expected shape compatible with [2]")
def probe_a_gradient_of_the_wrong_shape(lib):
    make(lib, lambda ctx, x: x * 1, lambda ctx, g: lib.ones(3)).apply(leaf(lib)).sum().backward()


def probe_a_gradient_of_a_broadcast_shape_is_summed(lib):
    x = leaf(lib)
    make(lib, lambda ctx, x: x * 1, lambda ctx, g: lib.ones(3, 2)).apply(x).sum().backward()
    return x.grad


@says("expected Variable or None (got float)")
def probe_a_gradient_that_is_no_tensor(lib):
    make(lib, lambda ctx, x: x * 1, lambda ctx, g: 1.0).apply(leaf(lib)).sum().backward()


def probe_a_gradient_of_another_dtype_is_cast(lib):
    x = leaf(lib)
    make(lib, lambda ctx, x: x * 1, lambda ctx, g: g.double()).apply(x).sum().backward()
    return x.grad


def probe_several_outputs(lib):
    x, seen = leaf(lib), []

    def backward(ctx, *grads):
        seen.append(grads)
        return grads[0] + grads[1]

    a, b = make(lib, lambda ctx, x: (x * 2, x.sum() * 3), backward).apply(x)
    a.sum().backward(retain_graph=True)
    (a.sum() + b).backward()
    return a, b, a.output_nr, b.output_nr, seen, x.grad


def probe_gradients_that_are_not_materialized(lib):
    x, seen = leaf(lib), []

    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    def backward(ctx, *grads):
        seen.append(grads)
        return grads[0]

    make(lib, forward, backward).apply(x)[0].sum().backward()
    return seen, x.grad


def probe_outputs_that_are_not_differentiable(lib):
    x, seen = leaf(lib), []

    def forward(ctx, x):
        marked = x * 2
        ctx.mark_non_differentiable(marked)
        return marked, x.argmax(), x * 3, 7, None

    def backward(ctx, *grads):
        seen.append(grads)
        return grads[2]

    outs = make(lib, forward, backward).apply(x)
    outs[2].sum().backward()
    return outs, seen, x.grad


def probe_a_list_is_no_tuple_of_outputs(lib):
    return make(lib, lambda ctx, x: [x * 1], None).apply(leaf(lib))


def probe_the_identity(lib):
    x = leaf(lib)
    out = make(lib, lambda ctx, x: x, lambda ctx, g: g * 3).apply(x)
    out.sum().backward()
    return out is x, out, out._is_view(), out._base is x, x.grad


@says("cloning the output of the custom Function")
def probe_the_identity_cannot_be_written(lib):
    make(lib, lambda ctx, x: x, lambda ctx, g: g * 3).apply(leaf(lib) * 1).mul_(2)


@says("cloning the output of the custom Function")
def probe_a_view_cannot_be_written(lib):
    make(lib, lambda ctx, x: x.view(1, 2), lambda ctx, g: g.view(2)).apply(leaf(lib) * 1).mul_(2)


@says("its base or another view of its base has been modified inplace")
def probe_a_view_whose_base_was_written(lib):
    base = leaf(lib) * 1
    out = make(lib, lambda ctx, x: x.view(1, 2), lambda ctx, g: g.view(2)).apply(base)
    base.mul_(2)
    return out.sum()


def probe_a_view_has_the_custom_gradient(lib):
    x = leaf(lib)
    out = make(lib, lambda ctx, x: x.view(1, 2), lambda ctx, g: g.view(2) * 5).apply(x)
    out.sum().backward()
    return out, out._is_view(), x.grad


def probe_a_detached_output(lib):
    x = leaf(lib)
    out = make(lib, lambda ctx, x: x.detach(), lambda ctx, g: g * 4).apply(x)
    out.sum().backward()
    return out, x.grad


def probe_without_grad_the_result_is_a_leaf(lib):
    with lib.no_grad():
        out = exponential(lib).apply(leaf(lib, 0.0))
    return out, out.grad_fn, out.is_leaf


def probe_in_place(lib):
    x = leaf(lib)
    y = x * 1
    out = make(lib, doubled_in_place, lambda ctx, g: g * 2).apply(y)
    out.sum().backward()
    return out is y, out, x.grad


def probe_in_place_through_a_view(lib):
    x = leaf(lib)
    y = x * 1
    view = y[:1]
    out = make(lib, doubled_in_place, lambda ctx, g: g * 2).apply(view)
    (y * lib.tensor([3.0, 5.0])).sum().backward()
    return out is view, y, x.grad


@says("a leaf Variable that requires grad has been used in an in-place operation")
def probe_in_place_on_a_leaf(lib):
    make(lib, doubled_in_place, lambda ctx, g: g * 2).apply(leaf(lib))


@says("marked as dirty during the forward method were not returned")
def probe_in_place_without_returning_it(lib):
    make(lib, lambda ctx, x: doubled_in_place(ctx, x) * 1, lambda ctx, g: g).apply(leaf(lib) * 1)


def probe_in_place_that_keeps_its_output(lib):
    def forward(ctx, x):
        x.exp_()
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    x = leaf(lib, 0.0, 0.0)
    out = make(lib, forward, lambda ctx, g: g * ctx.saved_tensors[0]).apply(x * 1)
    (g,) = lib.autograd.grad(out.sum(), x, create_graph=True)
    return g, lib.autograd.grad(g.sum(), x)


@says("can only save variables, but argument 1 is of type int")
def probe_only_tensors_are_saved(lib):
    make(lib, lambda ctx, x: ctx.save_for_backward(x, 2) or x * 1, None).apply(leaf(lib))


def probe_none_is_saved(lib):
    def forward(ctx, x):
        ctx.save_for_backward(None, x)
        return x * 1

    seen = []
    make(lib, forward, lambda ctx, g: seen.append(ctx.saved_tensors)).apply(leaf(lib)).sum().backward()
    return seen


def probe_nothing_is_saved(lib):
    seen = []
    make(lib, lambda ctx, x: x * 1, lambda ctx, g: seen.append(ctx.saved_tensors)).apply(leaf(lib)).sum().backward()
    return seen


@says("modified by an inplace operation")
def probe_a_saved_input_that_was_written(lib):
    y = leaf(lib) * 1
    out = product(lib).apply(y, lib.ones(2))
    y.add_(1)
    out.sum().backward()


@says("modified by an inplace operation")
def probe_a_saved_output_that_was_written(lib):
    out = exponential(lib).apply(leaf(lib))
    out.add_(1)
    out.sum().backward()


@says("Trying to backward through the graph a second time")
def probe_a_second_backward(lib):
    out = product(lib).apply(leaf(lib), leaf(lib)).sum()
    out.backward()
    out.backward()


@says("Trying to backward through the graph a second time")
def probe_saved_tensors_after_backward(lib):
    out = exponential(lib).apply(leaf(lib))
    out.sum().backward()
    return out.grad_fn.saved_tensors


def probe_a_second_backward_of_what_saved_nothing(lib):
    x = leaf(lib)
    out = make(lib, lambda ctx, x: x * 2, lambda ctx, g: g * 2).apply(x).sum()
    out.backward()
    out.backward()
    return x.grad


def probe_retain_graph(lib):
    x = leaf(lib)
    out = exponential(lib).apply(x).sum()
    out.backward(retain_graph=True)
    first = x.grad.clone()
    out.backward()
    return bool((x.grad == 2 * first).all())


def once(lib, forward=lambda ctx, x: x**2):
    return make(lib, forward, lib.autograd.function.once_differentiable(lambda ctx, g: g * 3), "Once")


def probe_once_differentiable(lib):
    x = leaf(lib)
    once(lib).apply(x).sum().backward()
    return x.grad


@says("marked with @once_differentiable")
def probe_once_differentiable_twice(lib):
    x = leaf(lib)
    (g,) = lib.autograd.grad((once(lib).apply(x) ** 2).sum(), x, create_graph=True)
    g.sum().backward()


def probe_a_ste_quantizer(lib):
    """The straight-through estimator, as tutorials write it."""
    x = leaf(lib, 0.2, 1.7, -0.6)
    out = make(lib, lambda ctx, x: x.round(), lambda ctx, g: g.clamp(-1, 1)).apply(x)
    (out * lib.tensor([3.0, 0.5, -2.0])).sum().backward()
    return out, x.grad


def probe_the_tutorial_s_relu(lib):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        g = g.clone()
        g[x < 0] = 0
        return g

    x = leaf(lib, -1.0, 2.0)
    (make(lib, forward, backward).apply(x) ** 2).sum().backward()
    return x.grad


def probe_gradcheck_of_a_custom_function(lib):
    x = lib.tensor([0.3, -0.7], dtype=lib.float64, requires_grad=True)
    y = lib.tensor([1.3, 0.2], dtype=lib.float64, requires_grad=True)
    op = product(lib).apply
    return lib.autograd.gradcheck(op, (x, y)), lib.autograd.gradgradcheck(op, (x, y))


@pytest.mark.parametrize("probe", probes(globals()), ids=name)
def test_custom_functions_are_as_in_torch(probe, torch):
    check(probe, torch)


def test_a_custom_function_makes_no_reference_cycle():
    gc.collect()
    gc.disable()
    try:
        x = leaf(mg)
        out = exponential(mg).apply(x) + product(mg).apply(x, x)
        gone = weakref.ref(out.grad_fn)
        out.sum().backward()
        del out
        assert gone() is None
    finally:
        gc.enable()


def test_a_captured_leaf_that_forward_returns_keeps_its_place():
    """PyTorch gives the leaf itself the node; here the output is another tensor, and the leaf stays one."""
    captured = leaf(mg)
    out = make(mg, lambda ctx, x: captured, lambda ctx, g: g).apply(leaf(mg))
    assert out is not captured
    assert captured.is_leaf
    assert out.grad_fn.name() == "OpBackward"
