"""Grad mode, inference mode, hooks of nodes: probes that come to the same on minigrad and on PyTorch."""

import warnings

import pytest

from tests.probes import check, name, probes, says


def leaf(lib, *data):
    return lib.tensor(list(data or (1.0, 2.0)), requires_grad=True)


def made_in_inference(lib):
    with lib.inference_mode():
        return lib.ones(2)


# Inference mode


def probe_inference_tensors(lib):
    with lib.inference_mode():
        x = lib.ones(2)
        y = x * 2
        inside = lib.is_inference_mode_enabled(), lib.is_grad_enabled()
    outside = lib.is_inference_mode_enabled(), lib.is_grad_enabled()
    return x.is_inference(), y.is_inference(), x.requires_grad, x, inside, outside


@says("Setting requires_grad=True on inference tensor outside InferenceMode")
def probe_an_inference_tensor_cannot_require_grad(lib):
    made_in_inference(lib).requires_grad_()


def probe_requires_grad_inside_inference_mode(lib):
    with lib.inference_mode():
        x = leaf(lib)
        y = x * 2
    return x.requires_grad, y.requires_grad, x.is_leaf


@says("Inference tensors cannot be saved for backward")
def probe_an_inference_tensor_cannot_be_saved(lib):
    return leaf(lib) * made_in_inference(lib)


@says("Inference tensors cannot be saved for backward")
def probe_an_inference_tensor_cannot_be_saved_by_a_matrix_product(lib):
    return leaf(lib) @ made_in_inference(lib)


@says("Inference tensors cannot be saved for backward")
def probe_a_custom_function_cannot_save_one(lib):
    class Keep(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(y)
            return x * 1

    return Keep.apply(leaf(lib), made_in_inference(lib))


def probe_an_inference_tensor_that_is_not_saved(lib):
    x = leaf(lib)
    (x + made_in_inference(lib)).sum().backward()
    return x.grad


def probe_a_clone_of_an_inference_tensor(lib):
    x = made_in_inference(lib).clone()
    x.requires_grad_()
    (x * x).sum().backward()
    return x.is_inference(), x.grad


@says("Inplace update to inference tensor outside InferenceMode")
def probe_writing_an_inference_tensor(lib):
    made_in_inference(lib).add_(1)


@says("Inplace update to inference tensor outside InferenceMode")
def probe_writing_an_inference_tensor_in_no_grad(lib):
    x = made_in_inference(lib)
    with lib.no_grad():
        x[0] = 3


def probe_writing_an_inference_tensor_inside(lib):
    with lib.inference_mode():
        x = lib.ones(2)
        x.add_(1)
        x[0] = 5
    return x


@says("Inference tensors do not track version counter")
def probe_the_version_of_an_inference_tensor(lib):
    return made_in_inference(lib)._version


def probe_a_view_made_in_inference_mode(lib):
    base = lib.ones(2)
    with lib.inference_mode():
        view = base.view(1, 2)
    view.add_(1)
    return view.is_inference(), view._is_view(), base


@says("A view was created in inference mode and is being modified inplace")
def probe_writing_a_view_made_in_inference_mode(lib):
    base = leaf(lib) * 1
    with lib.inference_mode():
        view = base.view(1, 2)
    view.add_(1)


def probe_writing_an_ordinary_tensor_in_inference_mode(lib):
    x = lib.ones(2)
    with lib.inference_mode():
        x.add_(1)
    return x, x._version, x.is_inference()


def probe_what_is_made_of_inference_tensors(lib):
    x = made_in_inference(lib)
    return x.view(1, 2).is_inference(), x.detach().is_inference(), (x * 2).is_inference()


def probe_nested_inference_modes(lib):
    seen = []
    with lib.inference_mode():
        with lib.inference_mode(False):
            x = leaf(lib)
            seen.append((x.is_inference(), (x * 2).requires_grad, lib.is_grad_enabled()))
        with lib.enable_grad():
            y = leaf(lib) * 2
            seen.append((y.is_inference(), y.requires_grad, lib.is_grad_enabled()))
        seen.append((lib.is_grad_enabled(), lib.is_inference_mode_enabled()))
    with lib.no_grad(), lib.inference_mode(False):
        seen.append(lib.is_grad_enabled())
    return seen, lib.is_grad_enabled()


def probe_inference_mode_as_a_decorator(lib):
    def state():
        return lib.is_inference_mode_enabled(), lib.is_grad_enabled()

    return [lib.inference_mode(state)(), lib.inference_mode()(state)(), lib.inference_mode(mode=False)(state)(), state()]


@says("does not require grad")
def probe_backward_in_inference_mode(lib):
    w = leaf(lib)
    with lib.inference_mode():
        (w * 2).sum().backward()


def probe_backward_in_inference_mode_of_an_earlier_graph(lib):
    w = leaf(lib)
    loss = (w * w).sum()
    with lib.inference_mode():
        loss.backward()
    return w.grad


def probe_a_model_in_inference_mode(lib):
    model = lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.ReLU(), lib.nn.Linear(3, 1))
    with lib.inference_mode():
        y = model(lib.ones(4, 2))
    return y.is_inference(), y.requires_grad, y.shape == (4, 1), model(lib.ones(4, 2)).requires_grad


# Grad mode


def probe_a_decorated_class(lib):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        @lib.no_grad()
        class Thing:
            def __init__(self):
                self.inside = lib.is_grad_enabled()

            def method(self):
                return lib.is_grad_enabled()

    return Thing().inside, Thing().method(), [w.category.__name__ for w in caught]


def probe_set_grad_enabled_as_a_decorator(lib):
    @lib.set_grad_enabled(False)
    def state():
        return lib.is_grad_enabled()

    return state(), lib.is_grad_enabled()


def probe_a_decorated_generator(lib):
    seen = []

    @lib.no_grad()
    def steps():
        try:
            got = yield lib.is_grad_enabled()
            seen.append((got, lib.is_grad_enabled()))
            yield 1
        except ValueError:
            yield "caught", lib.is_grad_enabled()
        finally:
            seen.append(("finally", lib.is_grad_enabled()))

    generator = steps()
    found = [
        next(generator),
        lib.is_grad_enabled(),
        generator.send("sent"),
        generator.throw(ValueError()),
        lib.is_grad_enabled(),
    ]
    generator.close()
    return found, seen


def probe_the_return_value_of_a_decorated_generator(lib):
    @lib.enable_grad()
    def steps():
        yield 1
        return 2

    def outer():
        return (yield from steps())

    generator, found = outer(), []
    with lib.no_grad():
        found.append(next(generator))
        try:
            next(generator)
        except StopIteration as stop:
            found.append(stop.value)
    return found


def probe_methods_keep_their_names(lib):
    @lib.no_grad()
    def documented():
        """Text."""

    return documented.__name__, documented.__doc__


# Nodes


def probe_hooks_of_a_node(lib):
    w, seen = leaf(lib), []
    loss = (w * 2).exp().sum()
    node = loss.grad_fn.next_functions[0][0]

    def hook(grad_inputs, grad_outputs):
        seen.append(("hook", grad_inputs[0] > 0, grad_outputs))
        return (grad_inputs[0] * 0 + 1,)

    def prehook(grad_outputs):
        seen.append(("prehook", grad_outputs))
        return (grad_outputs[0] * 2,)

    node.register_hook(hook)
    handle = node.register_prehook(prehook)
    loss.backward(retain_graph=True)
    handle.remove()
    loss.backward()
    return seen, w.grad


@says("has returned an incorrect number of values (got 2, but expected 1)")
def probe_a_node_s_hook_of_too_many_gradients(lib):
    loss = (leaf(lib) * 2).exp().sum()
    loss.grad_fn.next_functions[0][0].register_hook(lambda grad_inputs, grad_outputs: (grad_inputs[0], grad_inputs[0]))
    loss.backward()


def probe_metadata(lib):
    node = (leaf(lib) * 2).grad_fn
    before = dict(node.metadata)
    node.metadata["note"] = 3
    return before, node.metadata


def probe_order_of_hooks(lib):
    seen, w = [], leaf(lib)
    y = w * 2
    y.register_hook(lambda g: seen.append("tensor"))
    y.grad_fn.register_prehook(lambda g: seen.append("prehook"))
    y.grad_fn.register_hook(lambda gi, go: seen.append("hook"))
    w.register_hook(lambda g: seen.append("leaf"))
    w.register_post_accumulate_grad_hook(lambda p: seen.append("accumulated"))
    y.sum().backward()
    return seen


@says("has changed the type of value")
def probe_a_hook_of_another_dtype(lib):
    w = leaf(lib)
    w.register_hook(lambda g: g.double())
    w.sum().backward()


@says("has changed the size of value")
def probe_a_hook_of_another_shape(lib):
    y = leaf(lib) * 2
    y.register_hook(lambda g: g[:1])
    y.sum().backward()


def probe_a_backward_inside_a_rule_over_the_same_graph(lib):
    """The inner pass goes through nodes that the outer one has in hand: neither may see the other's gradients."""
    w, found = leaf(lib), []
    shared = w * w

    class Inner(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            with lib.enable_grad():
                found.append(lib.autograd.grad((shared * 5).sum(), w, retain_graph=True)[0])
            return g

    (Inner.apply(shared) + shared * 3).sum().backward()
    return found, w.grad


@pytest.mark.parametrize("probe", probes(globals()), ids=name)
def test_modes_and_hooks_are_as_in_torch(probe, torch):
    check(probe, torch)
