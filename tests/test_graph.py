"""What the graph does: each test that takes `lib` runs on minigrad and on torch, so that passing proves the two agree."""

import gc
import threading
import warnings
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad._ext.engine import Function, apply


def values(t):
    return t.detach().numpy().tolist()


def leaf(lib, data=(1.0, 2.0, 3.0)):
    return lib.tensor(list(data), requires_grad=True)


# ------------------------------------------------------------------------------------------------------ leaves and .grad


def test_gradients_accumulate(lib):
    x = leaf(lib)
    (x * 2).sum().backward()
    assert values(x.grad) == [2, 2, 2]
    (x * x).sum().backward()
    assert values(x.grad) == [4, 6, 8]


def test_the_gradient_object_is_accumulated_into_in_place(lib):
    x = leaf(lib)
    (x * 2).sum().backward()
    g = x.grad
    (x * 2).sum().backward()
    assert x.grad is g
    assert values(g) == [4, 4, 4]


def test_grad_can_be_set_and_removed(lib):
    x = leaf(lib)
    x.grad = lib.tensor([1.0, 1.0, 1.0])
    (x * 2).sum().backward()
    assert values(x.grad) == [3, 3, 3]
    x.grad = None
    assert x.grad is None
    (x * 2).sum().backward()
    assert values(x.grad) == [2, 2, 2]


def test_grad_of_the_wrong_shape_or_type_is_refused(lib):
    x = leaf(lib)
    with pytest.raises(RuntimeError, match=r"shape|size"):
        x.grad = lib.ones(2)
    with pytest.raises(RuntimeError, match=r"dtype|type"):
        x.grad = lib.ones(3, dtype=lib.float64)
    with pytest.raises(TypeError):
        x.grad = 1.0


def test_a_leaf_that_is_the_root(lib):
    x = lib.tensor(2.0, requires_grad=True)
    x.backward()
    assert values(x.grad) == 1


def test_leaves(lib):
    x = leaf(lib)
    constant = lib.ones(3)
    y = x * 2
    assert x.is_leaf
    assert constant.is_leaf
    assert (constant * 2).is_leaf
    assert not y.is_leaf
    assert y.detach().is_leaf
    assert x.grad_fn is None
    assert y.grad_fn is not None
    assert type(y.grad_fn).__name__.startswith("Mul") or y.grad_fn.name().startswith("Mul")


def test_requires_grad_spreads(lib):
    x, constant = leaf(lib), lib.ones(3)
    assert (x + constant).requires_grad
    assert not (constant + constant).requires_grad
    assert not (x > 1).requires_grad
    assert not x.argmax().requires_grad


def test_requires_grad_of_non_leaf_cannot_be_cleared(lib):
    y = leaf(lib) * 2
    with pytest.raises(RuntimeError, match="leaf"):
        y.requires_grad_(False)
    with pytest.raises(RuntimeError, match="leaf"):
        y.requires_grad = False
    assert y.requires_grad_(True) is y


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool"])
def test_integers_cannot_require_grad(lib, dtype):
    with pytest.raises(RuntimeError, match="floating point"):
        lib.ones(3, dtype=getattr(lib, dtype)).requires_grad_()
    with pytest.raises(RuntimeError, match="floating point"):
        lib.tensor([1, 0], dtype=getattr(lib, dtype), requires_grad=True)


def test_retain_grad(lib):
    x = leaf(lib)
    y = x * 2
    assert not y.retains_grad
    y.retain_grad()
    assert y.retains_grad
    (y * y).sum().backward()
    assert values(y.grad) == [4, 8, 12]
    assert values(x.grad) == [8, 16, 24]
    with pytest.raises(RuntimeError, match="requires_grad=False"):
        lib.ones(2).retain_grad()


def test_the_gradient_of_a_non_leaf_is_not_kept(lib):
    y = leaf(lib) * 2
    y.sum().backward()
    with pytest.warns(UserWarning, match="not a leaf"):
        assert y.grad is None


# -------------------------------------------------------------------------------------------------------------- backward


def test_second_backward_raises(lib):
    x = leaf(lib)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"backward through the graph a second time"):
        y.backward()


def test_second_backward_through_a_shared_part_raises(lib):
    x = leaf(lib)
    square = x * x
    square.sum().backward()
    with pytest.raises(RuntimeError, match=r"retain_graph=True"):
        (square * 2).sum().backward()


def test_second_backward_of_a_graph_that_kept_nothing(lib):
    x = leaf(lib)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    assert values(x.grad) == [2, 2, 2]


def test_retain_graph(lib):
    x = leaf(lib)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert values(x.grad) == [4, 8, 12]


def test_non_scalar_root_needs_a_gradient(lib):
    x = leaf(lib)
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar outputs"):
        (x * 2).backward()
    (x * 2).backward(lib.tensor([1.0, 10.0, 100.0]))
    assert values(x.grad) == [2, 20, 200]


def test_a_root_of_one_element_is_scalar_enough(lib):
    x = lib.tensor([[3.0]], requires_grad=True)
    (x * x).backward()
    assert values(x.grad) == [[6]]


def test_bad_roots_and_gradients(lib):
    x = leaf(lib)
    with pytest.raises(RuntimeError, match="does not require grad"):
        lib.ones(()).backward()
    with pytest.raises(RuntimeError, match="shape"):
        (x * 2).backward(lib.ones(2))
    with pytest.raises(RuntimeError, match="shape"):
        (x * 2).backward(lib.ones(()))
    with pytest.raises((RuntimeError, TypeError)):
        (x * 2).backward("gradient")


def test_backward_with_inputs(lib):
    x, y = leaf(lib), leaf(lib)
    (x * y).sum().backward(inputs=[x])
    assert values(x.grad) == [1, 2, 3]
    assert y.grad is None


def test_backward_of_several_roots(lib):
    x = leaf(lib)
    lib.autograd.backward([(x * 2).sum(), (x * 3)], [None, lib.tensor([1.0, 0.0, 1.0])])
    assert values(x.grad) == [5, 2, 5]


def test_diamonds(lib):
    x = lib.tensor(3.0, requires_grad=True)
    a = x * 2
    b, c = a * a, a + 1
    (b * c + a).backward()  # 8 x^3 + 4 x^2 + 2 x
    assert values(x.grad) == 24 * 9 + 8 * 3 + 2


def test_the_same_tensor_as_both_operands(lib):
    x = leaf(lib)
    (x * x + x + x).sum().backward()
    assert values(x.grad) == [4, 6, 8]


def test_a_ladder_of_diamonds_takes_linear_time(lib):
    x = lib.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(60):
        y = y * 0.5 + y * 0.5
    y.backward()
    assert values(x.grad) == 1


def test_sum_over_a_branch_that_needs_no_grad(lib):
    x, constant = leaf(lib), lib.ones(3)
    (x * constant + constant * 2).sum().backward()
    assert values(x.grad) == [1, 1, 1]
    assert constant.grad is None


def test_gradients_of_broadcast_operands_have_their_shapes(lib):
    a = lib.ones((3, 1), requires_grad=True)
    b = lib.ones((1, 4), requires_grad=True)
    c = lib.tensor(2.0, requires_grad=True)
    (a * b * c).sum().backward()
    assert tuple(a.grad.shape) == (3, 1)
    assert tuple(b.grad.shape) == (1, 4)
    assert tuple(c.grad.shape) == ()
    assert values(c.grad) == 12
    assert values(a.grad) == [[8]] * 3


def test_a_node_of_a_hundred_inputs(lib):
    xs = [leaf(lib, [float(i)]) for i in range(100)]
    weight = lib.arange(100.0)
    (lib.cat(xs) * weight).sum().backward()
    assert [values(x.grad)[0] for x in xs] == list(range(100))
    xs = [lib.ones(1, requires_grad=i == 70) for i in range(100)]
    (lib.cat(xs) * weight).sum().backward()
    assert values(xs[70].grad) == [70]
    assert xs[6].grad is None


# ----------------------------------------------------------------------------------------------------------------- detach


def test_detach_shares_memory_and_cuts(lib):
    x = leaf(lib)
    d = x.detach()
    assert not d.requires_grad
    assert d.is_leaf
    (x * d).sum().backward()
    assert values(x.grad) == [1, 2, 3]
    d[0] = 7
    assert values(x)[0] == 7


def test_detach_in_place(lib):
    x = leaf(lib)
    y = x * 2
    assert y.detach_() is y
    assert y.is_leaf
    assert not y.requires_grad
    assert y.grad_fn is None


# -------------------------------------------------------------------------------------------------------------- grad mode


def test_no_grad(lib):
    x = leaf(lib)
    with lib.no_grad():
        assert not lib.is_grad_enabled()
        y = x * 2
        made = lib.ones(2, requires_grad=True)
        with lib.enable_grad():
            z = x * 2
        assert not lib.is_grad_enabled()
    assert lib.is_grad_enabled()
    assert not y.requires_grad
    assert y.grad_fn is None
    assert made.requires_grad
    assert z.requires_grad


def test_grad_mode_is_restored_by_an_exception(lib):
    with pytest.raises(KeyError), lib.no_grad():
        raise KeyError
    assert lib.is_grad_enabled()


@pytest.mark.parametrize("form", ["no_grad()", "no_grad", "set_grad_enabled(False)"])
def test_grad_mode_as_a_decorator(lib, form):
    name, _, rest = form.partition("(")
    decorator = getattr(lib, name)
    if rest:
        decorator = decorator(False) if rest.startswith("False") else decorator()

    @decorator
    def double(t):
        """The doc."""
        return t * 2

    assert lib.is_grad_enabled()
    assert not double(leaf(lib)).requires_grad
    assert double.__name__ == "double"
    assert double.__doc__ == "The doc."
    assert lib.is_grad_enabled()


def test_grad_mode_decorates_generators(lib):
    @lib.no_grad()
    def numbers():
        yield lib.is_grad_enabled()
        yield lib.is_grad_enabled()

    found = []
    for inside in numbers():
        found.append((inside, lib.is_grad_enabled()))
    assert found == [(False, True), (False, True)]


def test_set_grad_enabled(lib):
    lib.set_grad_enabled(False)
    try:
        assert not lib.is_grad_enabled()
        assert not (leaf(lib) * 2).requires_grad
    finally:
        lib.set_grad_enabled(True)
    with lib.set_grad_enabled(False):
        assert not lib.is_grad_enabled()
    assert lib.is_grad_enabled()


def test_one_context_can_be_entered_twice(lib):
    context = lib.no_grad()
    with context:
        pass
    with context:
        assert not lib.is_grad_enabled()
    assert lib.is_grad_enabled()


def test_grad_mode_is_the_thread_s_own(lib):
    seen = []
    with lib.no_grad():
        worker = threading.Thread(target=lambda: seen.append(lib.is_grad_enabled()))
        worker.start()
        worker.join()
    assert seen == [True]


def test_backward_in_other_threads(lib):
    results = [None] * 4

    def work(i):
        x = leaf(lib, [float(i)])
        for _ in range(20):
            x.grad = None
            (x * x * x).sum().backward()
        results[i] = values(x.grad)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [[3 * i * i] for i in range(4)]


def test_backward_inside_no_grad(lib):
    x = leaf(lib)
    y = (x * x).sum()
    with lib.no_grad():
        y.backward()
    assert values(x.grad) == [2, 4, 6]
    assert not x.grad.requires_grad


# -------------------------------------------------------------------------------------------------- autograd.grad, higher order


def test_grad_leaves_dot_grad_alone(lib):
    x = leaf(lib)
    (gx,) = lib.autograd.grad((x * x).sum(), x)
    assert values(gx) == [2, 4, 6]
    assert x.grad is None
    assert not gx.requires_grad


def test_grad_of_a_non_leaf(lib):
    x = leaf(lib)
    y = x * 2
    gy, gx = lib.autograd.grad((y * y).sum(), [y, x])
    assert values(gy) == [4, 8, 12]
    assert values(gx) == [8, 16, 24]


def test_grad_of_the_root_itself(lib):
    x = leaf(lib)
    y = (x * x).sum()
    (gy,) = lib.autograd.grad(y, y)
    assert values(gy) == 1


def test_grad_with_grad_outputs(lib):
    x = leaf(lib)
    (gx,) = lib.autograd.grad(x * 2, x, lib.tensor([1.0, 2.0, 3.0]))
    assert values(gx) == [2, 4, 6]
    (gx,) = lib.autograd.grad([x * 2, (x * 3).sum()], [x], [lib.ones(3), None])
    assert values(gx) == [5, 5, 5]


def test_unused_inputs(lib):
    x, unused = leaf(lib), leaf(lib)
    with pytest.raises(RuntimeError, match="allow_unused=True"):
        lib.autograd.grad((x * 2).sum(), [x, unused])
    gx, gu = lib.autograd.grad((x * 2).sum(), [x, unused], allow_unused=True)
    assert values(gx) == [2, 2, 2]
    assert gu is None
    with pytest.raises(RuntimeError, match="require"):
        lib.autograd.grad((x * 2).sum(), [lib.ones(3)], allow_unused=True)


def test_materialize_grads(lib):
    x, unused = leaf(lib), leaf(lib)
    _, gu = lib.autograd.grad((x * 2).sum(), [x, unused], materialize_grads=True)
    assert values(gu) == [0, 0, 0]


def test_grad_frees_the_graph_unless_told(lib):
    x = leaf(lib)
    y = (x * x).sum()
    lib.autograd.grad(y, x, retain_graph=True)
    lib.autograd.grad(y, x)
    with pytest.raises(RuntimeError, match="a second time"):
        lib.autograd.grad(y, x)


def test_a_gradient_for_an_intermediate_tensor_leaves_its_node_whole(lib):
    w = lib.tensor([2.0], requires_grad=True)
    fast = w * 2
    for _ in range(2):  # two steps of gradient descent, differentiated through
        (g,) = lib.autograd.grad((fast**2).sum(), fast, create_graph=True, only_inputs=True)
        fast = fast - 0.25 * g
    fast.sum().backward()
    assert w.grad.item() == 0.5  # fast = 2 w / 2 / 2


def test_create_graph_keeps_the_graph(lib):
    x = leaf(lib)
    y = (x * x * x).sum()
    lib.autograd.grad(y, x, create_graph=True)
    lib.autograd.grad(y, x)


def test_derivatives_of_any_order(lib):
    x = lib.tensor([0.5, -1.5], dtype=lib.float64, requires_grad=True)
    y = lib.exp(x * 2)
    expected = y.detach().numpy()
    for order in range(1, 5):
        (y,) = lib.autograd.grad(y.sum(), x, create_graph=True)
        np.testing.assert_allclose(y.detach().numpy(), expected * 2**order, rtol=1e-13)


def test_third_derivative_of_a_product(lib):
    x = lib.tensor(2.0, dtype=lib.float64, requires_grad=True)
    y = x**4 / 4 + x * lib.sin(x)
    for expected in (8 + np.sin(2) + 2 * np.cos(2), 12 + 2 * np.cos(2) - 2 * np.sin(2), 12 - 3 * np.sin(2) - 2 * np.cos(2)):
        (y,) = lib.autograd.grad(y, x, create_graph=True)
        np.testing.assert_allclose(values(y), expected, rtol=1e-13)


def test_double_backward_with_backward(lib):
    x = leaf(lib)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns of the cycle that this makes
        (x**3).sum().backward(create_graph=True)
    first = x.grad
    assert first.requires_grad
    x.grad = None
    first.sum().backward()
    assert values(x.grad) == [6, 12, 18]


def test_gradient_penalty(lib):
    x = lib.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=lib.float64, requires_grad=True)
    w = lib.tensor([[0.5], [-0.25]], dtype=lib.float64, requires_grad=True)
    (gx,) = lib.autograd.grad(lib.tanh(x @ w).sum(), x, create_graph=True)
    ((gx * gx).sum() - 1).backward()
    a, b = x.detach().numpy(), w.detach().numpy()
    t = np.tanh(a @ b)
    s = 1 - t * t  # gx = s w', sum gx^2 = sum s^2 |w|^2
    expected = 2 * b * np.sum(s * s) + np.sum(b * b) * (a.T @ (2 * s * -2 * t * s))
    np.testing.assert_allclose(w.grad.numpy(), expected, rtol=1e-12)


def test_the_gradient_depends_on_the_incoming_gradient(lib):
    x = leaf(lib)
    g = lib.tensor([1.0, 1.0, 1.0], requires_grad=True)
    (gx,) = lib.autograd.grad(x * x, x, g, create_graph=True)
    (gg,) = lib.autograd.grad(gx.sum(), g)
    assert values(gg) == [2, 4, 6]


# ------------------------------------------------------------------------------------------------------------------ hooks


def test_hooks_change_and_observe_gradients(lib):
    x = leaf(lib)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(values(g)))
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    y.sum().backward()
    assert seen == [[1, 1, 1]]
    assert values(x.grad) == [21, 21, 21]


def test_hooks_run_once_on_the_whole_gradient(lib):
    x = leaf(lib)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(values(g)))
    (y + y * 3).sum().backward()
    assert seen == [[4, 4, 4]]


def test_a_leaf_s_hooks_run_once_on_the_whole_gradient(lib):
    x = leaf(lib)
    seen = []
    x.register_hook(lambda g: seen.append(values(g)))
    x.register_hook(lambda g: g.clamp(-1, 1))
    (x * 2 - x * 3 + x * 4).sum().backward()
    assert seen == [[3, 3, 3]]
    assert values(x.grad) == [1, 1, 1]
    assert values(lib.autograd.grad((x * 2 - x * 2).sum(), x)[0]) == [0, 0, 0]


def test_hooks_can_be_removed(lib):
    x = leaf(lib)
    handle = x.register_hook(lambda g: g * 0)
    handle.remove()
    handle.remove()
    (x * 2).sum().backward()
    assert values(x.grad) == [2, 2, 2]


def test_hooks_need_requires_grad(lib):
    with pytest.raises(RuntimeError, match="require"):
        lib.ones(3).register_hook(lambda g: g)


def test_post_accumulate_hooks(lib):
    x = leaf(lib)
    seen = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append(values(t.grad)))
    (x * 2).sum().backward()
    (x + x).sum().backward()
    assert seen == [[2, 2, 2], [4, 4, 4]]


def test_an_exception_in_a_hook_reaches_the_caller(lib):
    x = leaf(lib)

    def hook(g):
        raise KeyError("from the hook")

    x.register_hook(hook)
    with pytest.raises(KeyError, match="from the hook"):
        (x * 2).sum().backward()
    assert lib.is_grad_enabled()


def test_hooks_under_create_graph(lib):
    x = leaf(lib)
    y = x * x
    y.register_hook(lambda g: g * 2)
    (gx,) = lib.autograd.grad(y.sum(), x, create_graph=True)
    assert values(gx) == [4, 8, 12]
    (ggx,) = lib.autograd.grad(gx.sum(), x)
    assert values(ggx) == [4, 4, 4]


# ------------------------------------------------------------------------------------------------------ memory and depth


def test_a_chain_of_a_million_operations():
    """Forward, backward and freeing are iterative; torch takes several times as long, so it is left out."""
    x, one = mg.tensor(1.0, requires_grad=True), mg.tensor(1.0)
    y = x
    for _ in range(1_000_000):
        y = y + one
    y.backward()
    assert values(x.grad) == 1
    y = x
    for _ in range(100_000):
        y = y * one
    del y  # freed without a backward pass


def test_a_chain_of_python_nodes_is_freed_without_recursion():
    x = mg.tensor([[1.0, 2.0]], requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y.reshape(2, 1) if y.shape[0] == 1 else y.reshape(1, 2)
    del y
    assert gc.collect() >= 0


@pytest.fixture
def no_automatic_collection():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_automatic_collection")
@pytest.mark.parametrize("create_graph", [False, True])
def test_no_reference_cycles(create_graph):
    def step(x, w):
        h = mg.exp(x @ w)
        y = mg.sum(mg.tanh(h) * h, 1)
        z = mg.relu(y).mean()
        gone = [weakref.ref(t) for t in (h, y, z)]
        gx, gw = mg.autograd.grad(z, [x, w], create_graph=create_graph)
        gone += [weakref.ref(gx), weakref.ref(gw)]
        return gone

    x = mg.ones((3, 4), requires_grad=True)
    w = mg.ones((4, 2), requires_grad=True)
    step(x, w)
    gc.collect()
    gone = step(x, w)
    assert [ref() for ref in gone] == [None] * len(gone)
    assert gc.collect() == 0


@pytest.mark.usefixtures("no_automatic_collection")
def test_no_reference_cycles_without_backward():
    x = mg.ones((3, 4), requires_grad=True)
    y = mg.exp(x)[1:].sum()
    gone = weakref.ref(y)
    del y
    assert gone() is None
    assert gc.collect() == 0


def test_nodes_keep_only_what_backward_reads():
    x = mg.ones(1000, requires_grad=True)
    y = mg.ones(1000, requires_grad=True)
    nothing = {"add": x + y, "sub": x - y, "neg": -x, "sum": x.sum(), "reshape": x.reshape(10, 100), "cat": mg.cat([x, y])}
    for name, t in nothing.items():
        assert t.grad_fn.saved_bytes == 0, f"{name} keeps an array"
    assert (x * y).grad_fn.saved_bytes == 2 * x.nbytes
    assert (x * y.detach()).grad_fn.saved_bytes == x.nbytes
    assert mg.relu(x).grad_fn.saved_bytes == x.nbytes
    assert mg.exp(x).grad_fn.saved_bytes == x.nbytes


def test_backward_frees_what_was_kept():
    x = mg.ones(1000, requires_grad=True)
    h = x * 2
    y = h * h
    loss = y.sum()
    node = y.grad_fn
    gone = weakref.ref(h)
    del h
    assert gone() is not None
    loss.backward()
    assert node.saved_bytes == 0
    assert gone() is None


# --------------------------------------------------------------------------------------------------------- rules of users


class TwiceFunction(Function):
    def forward(self, x):
        return x * 2

    def backward(self, g):
        return g * 2


class WithoutRuleFunction(Function):
    def forward(self, x):
        return x + 1


class TooFewFunction(Function):
    def forward(self, x, y):
        return x + y

    def backward(self, g):
        return (g,)


class WrongShapeFunction(Function):
    def forward(self, x):
        return x + 1

    def backward(self, g):
        return g.sum()


def test_a_node_s_name_and_repr():
    y = apply(TwiceFunction(), mg.ones(3, requires_grad=True))
    assert y.grad_fn.name() == "TwiceBackward0"
    assert repr(y).endswith("grad_fn=<TwiceBackward0>)")


def test_an_op_without_a_rule_raises_by_name():
    y = apply(WithoutRuleFunction(), mg.ones(3, requires_grad=True))
    with pytest.raises((RuntimeError, NotImplementedError), match="WithoutRule"):
        y.sum().backward()
    assert mg.is_grad_enabled()


def test_a_rule_of_the_wrong_count_or_shape_raises_by_name():
    x, y = mg.ones(3, requires_grad=True), mg.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="TooFew"):
        apply(TooFewFunction(), x, y).sum().backward()
    with pytest.raises(RuntimeError, match=r"(?s)WrongShape.*shape"):
        apply(WrongShapeFunction(), x).sum().backward()


def test_an_exception_in_a_rule_leaves_grad_mode_as_it_was():
    y = apply(WithoutRuleFunction(), mg.ones(3, requires_grad=True)).sum()
    with mg.no_grad():
        with pytest.raises(NotImplementedError):
            y.backward()
        assert not mg.is_grad_enabled()
    assert mg.is_grad_enabled()


class FailsOnceFunction(Function):
    failed = False

    def forward(self, x, y):
        return x + y

    def backward(self, g):
        if not FailsOnceFunction.failed:
            FailsOnceFunction.failed = True
            raise RuntimeError("once")
        gx, gy = self.needs_input_grad
        return g if gx else None, g if gy else None


def test_an_exception_in_grad_does_not_narrow_the_next_backward():
    x, y = mg.ones(3, requires_grad=True), mg.ones(3, requires_grad=True)
    z = apply(FailsOnceFunction(), x, y).sum()
    with pytest.raises(RuntimeError, match="once"):
        mg.autograd.grad(z, x, retain_graph=True)
    z.backward()
    assert values(x.grad) == values(y.grad) == [1, 1, 1]
