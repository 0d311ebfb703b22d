"""In-place changes of shape, views whose base comes to require grad, repeated indices: probes that come to the same on both libraries."""

import functools
import warnings

import pytest

import minigrad as mg
from tests.probes import check, name, probes, says


def leaf(lib, *data):
    return lib.tensor(list(data or (1.0, 2.0, 3.0)), requires_grad=True)


def matrix(lib):
    """A matrix with a gradient, no leaf."""
    x = lib.arange(6.0).requires_grad_()
    return x, x.view(2, 3) * 1


def quiet(function):
    """The probe, without PyTorch's warnings."""

    @functools.wraps(function)
    def run(lib):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(lib)

    return run


def weigh(lib, y):
    """A sum of all elements with different weights, so that a gradient that lands in the wrong place shows."""
    return (y * (lib.arange(float(y.numel())) + 1).view(y.shape)).sum()


def probe_changes_of_shape(lib):
    x, y = matrix(lib)
    seen = []
    for change in (
        lambda: y.unsqueeze_(0), lambda: y.squeeze_(0), lambda: y.t_(), lambda: y.transpose_(0, 1), lambda: y.swapaxes_(0, 1),
        lambda: y.swapdims_(0, 1), lambda: y.unsqueeze_(-1), lambda: y.squeeze_(),
    ):  # fmt: skip
        seen.append((change() is y, list(y.shape), list(y.stride()), y._version))
    y.t_()
    weigh(lib, y).backward()
    return seen, x.grad, y._is_view()


@says("a leaf Variable that requires grad is being used in an in-place operation")
def probe_a_leaf_keeps_its_shape(lib):
    leaf(lib).unsqueeze_(0)


def probe_a_leaf_in_no_grad(lib):
    x = leaf(lib)
    with lib.no_grad():
        x.unsqueeze_(0)
    weigh(lib, x).backward()
    return x, x.is_leaf, x.grad


def probe_a_view_changes_shape(lib):
    x, y = matrix(lib)
    view = y[0]
    view.unsqueeze_(0)
    y.mul_(2)
    weigh(lib, view).backward()
    return list(view.shape), view._base is y, x.grad


def probe_a_base_changes_shape_under_its_view(lib):
    x, y = matrix(lib)
    view = y[0]
    y.t_()
    y.mul_(2)
    (weigh(lib, view) + 10 * weigh(lib, y)).backward()
    return list(y.shape), view, x.grad


def probe_a_write_through_a_view_of_a_transposed_base(lib):
    x, y = matrix(lib)
    view = y[1]
    y.t_()
    view.mul_(3)
    weigh(lib, y).backward()
    return y, x.grad


@says("modified by an inplace operation")
def probe_a_saved_tensor_changes_shape(lib):
    _, y = matrix(lib)
    z = y * y
    y.t_()
    z.sum().backward()


@says("Dimension out of range")
def probe_a_dimension_that_is_not_there(lib):
    lib.ones(2).unsqueeze_(3)


def probe_resize(lib):
    x = lib.arange(6.0)
    seen = [x.resize_(2, 3).clone(), x.resize_(3).clone(), x.resize_((3, 1)).clone()]
    return seen, list(x.resize_as_(lib.ones(4, 2)).shape), x[:3].flatten()[:3]


@says("cannot resize variables that require grad")
def probe_resize_of_what_requires_grad(lib):
    (leaf(lib) * 1).resize_(1)


def probe_apply(lib):
    return lib.tensor([1.0, 2.0]).apply_(lambda v: v * 10 + 1)


@says("Can't call apply_() on Variable that requires grad")
def probe_apply_of_what_requires_grad(lib):
    leaf(lib).apply_(abs)


def probe_fill_diagonal(lib):
    x, y = matrix(lib)
    y.fill_diagonal_(7)
    weigh(lib, y).backward()
    return y, x.grad, lib.zeros(7, 2).fill_diagonal_(1, wrap=True), lib.zeros(2, 2, 2).fill_diagonal_(3)


@says("equal length")
def probe_fill_diagonal_of_unequal_sizes(lib):
    lib.zeros(2, 2, 3).fill_diagonal_(3)


def probe_a_view_requires_grad_as_soon_as_its_base_does(lib):
    base = lib.ones(4)
    view = base[:2]
    base.requires_grad_()
    return view.requires_grad, (view * 2).requires_grad


def probe_negative_indices_of_take_along_dim(lib):
    x, y = matrix(lib)
    out = lib.take_along_dim(y, lib.tensor([[-1], [0]]), 1)
    weigh(lib, out).backward()
    return out, x.grad


@says("out of bounds")
def probe_negative_indices_of_gather(lib):
    lib.gather(lib.arange(6.0).view(2, 3), 1, lib.tensor([[-1], [0]]))


@quiet
def probe_scatter_reduce_forward(lib):
    x, i = lib.arange(1.0, 4), lib.tensor([0, 0, 1])
    s = lib.tensor([5.0, 6.0, 7.0])
    return [
        x.scatter(0, i, s, reduce="add"), x.scatter(0, i, s, reduce="multiply"), x.scatter(0, i, 2.0, reduce="multiply"),
        x.clone().scatter_(0, i, s, reduce="multiply"),
    ]  # fmt: skip


@quiet
@says("reduce argument must be either add or multiply")
def probe_scatter_with_another_reduction(lib):
    lib.ones(3).scatter(0, lib.tensor([0]), lib.ones(1), reduce="mean")


def probe_accumulating_at_repeated_indices(lib):
    x, v = leaf(lib), leaf(lib, 5.0, 6.0, 7.0)
    y = x * 1
    y.index_put_((lib.tensor([0, 0, 1]),), v, accumulate=True)
    weigh(lib, y).backward()
    return y, x.grad, v.grad


def probe_reading_at_repeated_indices(lib):
    x = leaf(lib)
    weigh(lib, x[lib.tensor([0, 0, 2, 0])]).backward()
    return x.grad


def probe_integers_in_place(lib):
    x = lib.tensor([4, 6, 9])
    return x.clone().gcd_(lib.tensor(6)), x.clone().lcm_(lib.tensor(6)), (x - 6.0).heaviside_(lib.tensor(0.5))


def probe_detach_in_place(lib):
    y = leaf(lib) * 2
    z = y * y
    y.detach_()
    return y.is_leaf, y.requires_grad, y.grad_fn, z.requires_grad


def probe_requires_grad_of_what_is_no_leaf(lib):
    y = leaf(lib) * 2
    return y.requires_grad_() is y, y.is_leaf


@says("you can only change requires_grad flags of leaf variables")
def probe_requires_grad_cannot_be_taken_from_a_result(lib):
    (leaf(lib) * 2).requires_grad_(False)


@says("only Tensors of floating point")
def probe_integers_cannot_require_grad(lib):
    lib.arange(3).requires_grad_()


def probe_backward_of_several_with_inputs(lib):
    x, y = leaf(lib), leaf(lib)
    a, b = x * y, (x + y) * 2
    lib.autograd.backward([a, b.sum()], [lib.ones(3), None], inputs=[x])
    return x.grad, y.grad


def probe_backward_into_a_result(lib):
    x = leaf(lib)
    y = x * 2
    y.retain_grad()
    loss = (y * y).sum()
    found = []
    for _ in range(2):
        loss.backward(inputs=[y], retain_graph=True)
        found.append(y.grad.clone())
    loss.backward()
    return x.grad, y.grad, found


@says("cannot be empty")
def probe_backward_into_nothing(lib):
    leaf(lib).sum().backward(inputs=[])


def probe_a_post_accumulate_hook_frees_the_gradient(lib):
    x, seen = leaf(lib), []

    def hook(p):
        seen.append(p.grad.clone())
        p.grad = None

    handle = x.register_post_accumulate_grad_hook(hook)
    (x * x).sum().backward()
    handle.remove()
    (x * x).sum().backward()
    return seen, x.grad


@says("post accumulate grad hooks cannot be registered on non-leaf tensors")
def probe_a_post_accumulate_hook_on_a_result(lib):
    (leaf(lib) * 2).register_post_accumulate_grad_hook(lambda p: None)


@pytest.mark.parametrize("probe", probes(globals()), ids=name)
def test_writes_are_as_in_torch(probe, torch):
    check(probe, torch)


def test_the_gradient_of_a_view_reaches_a_base_that_came_to_require_it():
    """PyTorch drops this gradient without a word."""
    base = mg.ones(4)
    view = base[:2]
    base.requires_grad_()
    (view * mg.tensor([2.0, 3.0])).sum().backward()
    assert base.grad.tolist() == [2, 3, 0, 0]


def test_a_retained_gradient_has_the_shape_of_the_tensor_as_it_is_now():
    """PyTorch's keeps the shape from before the change."""
    _, y = matrix(mg)
    y.retain_grad()
    y.t_()
    weigh(mg, y).backward()
    assert y.grad.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_scatter_multiply_has_no_derivative():
    x = mg.ones(3, requires_grad=True)
    out = x.scatter(0, mg.tensor([0]), mg.ones(1), reduce="multiply")
    with pytest.raises(RuntimeError, match="not implemented"):
        out.sum().backward()


def test_every_in_place_method_of_torch_whose_operation_is_here_is_here(torch):
    names = [name for name in dir(torch.Tensor) if name.endswith("_") and not name.startswith("_")]
    assert [name for name in names if hasattr(mg.Tensor, name[:-1]) and not hasattr(mg.Tensor, name)] == []
