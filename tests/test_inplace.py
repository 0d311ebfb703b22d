"""In-place operations, views and versions. Each test that takes `lib` runs on minigrad and on torch."""

import numpy as np
import pytest

import minigrad as mg

MODIFIED = r"modified by an inplace operation"


def values(t):
    return t.detach().numpy().tolist()


def leaf(lib, data=(1.0, 2.0, 3.0)):
    return lib.tensor(list(data), requires_grad=True)


# ---------------------------------------------------------------------------------------------------------- what is refused


IN_PLACE = {
    "add_": lambda t: t.add_(1),
    "+=": lambda t: t.__iadd__(1),
    "mul_": lambda t: t.mul_(2),
    "zero_": lambda t: t.zero_(),
    "fill_": lambda t: t.fill_(3),
    "copy_": lambda t: t.copy_(t.detach() * 2),
    "setitem": lambda t: t.__setitem__(0, 5),
    "view": lambda t: t[1:].mul_(2),
}


@pytest.mark.parametrize("operation", IN_PLACE.values(), ids=IN_PLACE.keys())
def test_a_leaf_that_requires_grad_is_refused(lib, operation):
    x = leaf(lib)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        operation(x)
    assert values(x) == [1, 2, 3]
    with lib.no_grad():
        operation(x)
    assert x.requires_grad
    assert x.is_leaf
    assert values(x) != [1, 2, 3]


def test_a_result_of_another_shape_is_refused(lib):
    with pytest.raises(RuntimeError, match=r"shape"):
        lib.ones(1).add_(lib.ones(3))
    with pytest.raises(RuntimeError, match=r"expand|shape|match|size"):
        lib.ones(3).copy_(lib.ones(2))


def test_a_result_of_another_type_is_refused(lib):
    with pytest.raises(RuntimeError, match="can't be cast"):
        lib.ones(3, dtype=lib.int64).add_(0.5)
    with pytest.raises(RuntimeError, match="can't be cast"):
        lib.ones(3, dtype=lib.int64).div_(2)
    x = lib.ones(3)
    x += lib.ones(3, dtype=lib.float64)
    assert x.dtype == lib.float32


# --------------------------------------------------------------------------------------------------------- right gradients


def test_in_place_arithmetic_is_recorded(lib):
    x = leaf(lib)
    y = x * 2
    y.add_(1).mul_(3)
    y -= x
    y /= 2
    y.sum().backward()
    assert values(x.grad) == [2.5] * 3


def test_in_place_with_a_tensor_that_requires_grad(lib):
    x = leaf(lib)
    y = lib.ones(3)
    y.mul_(x)
    assert y.requires_grad
    assert not y.is_leaf
    (y * y).sum().backward()
    assert values(x.grad) == [2, 4, 6]


def test_in_place_relu_and_its_kin(lib):
    x = leaf(lib, [-1.0, 0.5, 2.0])
    y = (x * 2).relu_()
    z = (x * 1).exp_()
    w = (x * 1).clamp_(0, 1)
    (y.sum() + z.sum() + w.sum()).backward()
    np.testing.assert_allclose(values(x.grad), [np.exp(-1), 2 + np.exp(0.5) + 1, 2 + np.exp(2.0)], rtol=1e-6)


def test_setitem_is_differentiable(lib):
    x, v = leaf(lib), lib.tensor(5.0, requires_grad=True)
    y = x * 2
    y[1] = v
    assert values(y) == [2, 5, 6]
    (y * y).sum().backward()
    assert values(x.grad) == [8, 0, 24]
    assert values(v.grad) == 10


def test_setitem_broadcasts(lib):
    x, v = lib.ones((2, 3), requires_grad=True), leaf(lib)
    y = x * 1
    y[:, :] = v
    y.sum().backward()
    assert values(v.grad) == [2, 2, 2]
    assert values(x.grad) == [[0, 0, 0]] * 2


def test_fill_and_zero_cut_the_gradient(lib):
    x = leaf(lib)
    y = x * 2
    y.zero_()
    (y + x).sum().backward()
    assert values(x.grad) == [1, 1, 1]


def test_what_was_overwritten_gets_no_gradient_even_from_infinity(lib):
    x = leaf(lib)
    y, z = x * 2, x * 2
    y.zero_()
    z[1] = 0.0
    (y.sqrt() + z * x.new_tensor([0.0, float("inf"), 0.0])).sum().backward()
    assert values(x.grad) == [0, 0, 0]


def test_a_retained_gradient_is_that_of_the_tensor_as_it_is_now(lib):
    x = leaf(lib)
    y, z = x * 2, x * 2
    y.retain_grad()
    z.retain_grad()
    y.mul_(3)
    z[0] = 5.0
    (y + z).sum().backward()
    assert values(x.grad) == [6, 8, 8]
    assert values(y.grad) == values(z.grad) == [1, 1, 1]


def test_copy(lib):
    x, z = leaf(lib), lib.tensor(2.0, requires_grad=True)
    y = x * 2
    y.copy_(z)
    (y * 3).sum().backward()
    assert values(x.grad) == [0, 0, 0]
    assert values(z.grad) == 9


def test_masked_fill_in_place(lib):
    x = leaf(lib)
    y = (x * 2).masked_fill_(lib.tensor([True, False, False]), 9.0)
    y.sum().backward()
    assert values(y) == [9, 4, 6]
    assert values(x.grad) == [0, 2, 2]


# ------------------------------------------------------------------------------------------------------------- views


def test_views_alias_memory(lib):
    x = lib.arange(12.0).reshape(3, 4)
    views = {
        "slice": x[1:],
        "integer": x[1],
        "step": x[:, ::2],
        "none": x[None],
        "ellipsis": x[..., 1],
        "view": x.view(4, 3),
        "reshape": x.reshape(2, 6),
        "transpose": x.transpose(0, 1),
        "T": x.T,
        "permute": x.permute(1, 0),
        "unsqueeze": x.unsqueeze(0),
        "squeeze": x.squeeze(),
        "flatten": x.flatten(),
        "expand": x.expand(2, 3, 4),
        "select": x.select(0, 1),
        "narrow": x.narrow(0, 1, 2),
        "chunk": x.chunk(2)[1],
        "split": x.split(2)[0],
        "unbind": x.unbind()[2],
        "detach": x.detach(),
        "diagonal": x.diagonal(),
    }
    for name, view in views.items():
        assert np.shares_memory(view.numpy(), x.numpy()), name
    x.fill_(7)
    for name, view in views.items():
        assert np.all(view.numpy() == 7), name


def test_copies_do_not_alias(lib):
    x = lib.arange(12.0).reshape(3, 4)
    copies = {
        "clone": x.clone(),
        "mask": x[x > 3],
        "index": x[[0, 2]],
        "contiguous": x.T.contiguous(),
        "reshape": x.T.reshape(12),
        "to": x.to(lib.float64),
        "cat": lib.cat([x]),
    }
    for name, copy in copies.items():
        assert not np.shares_memory(copy.numpy(), x.numpy()), name
    assert x.contiguous() is x or np.shares_memory(x.contiguous().numpy(), x.numpy())
    assert x.to(lib.float32) is x


def test_writing_a_view_changes_its_base_s_gradient(lib):
    x = leaf(lib)
    y = x * 1
    v = y[1:]
    v.mul_(10)
    (y * lib.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert values(y) == [1, 20, 30]
    assert values(x.grad) == [1, 20, 30]


def test_writing_a_base_changes_its_view_s_gradient(lib):
    x = leaf(lib)
    y = x * 1
    v = y[1:]
    y.mul_(10)
    (v * lib.tensor([2.0, 3.0])).sum().backward()
    assert values(x.grad) == [0, 20, 30]


def test_writing_one_view_changes_the_other(lib):
    x = leaf(lib)
    y = x * 1
    v, w = y[:2], y[1:]
    v.mul_(lib.tensor([2.0, 5.0]))
    w.sum().backward()
    assert values(x.grad) == [0, 5, 1]


def test_views_of_views(lib):
    x = lib.ones((2, 3, 4), requires_grad=True)
    y = x * 1
    y.transpose(0, 1)[1].unsqueeze(0).permute(2, 1, 0)[1:3].squeeze(2).mul_(5)
    y.sum().backward()
    expected = np.ones((2, 3, 4))
    expected[:, 1, 1:3] = 5
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_writing_a_differentiable_value_through_a_view(lib):
    x, v = lib.ones((2, 3), requires_grad=True), leaf(lib)
    y = x * 2
    y[0].copy_(v * v)
    (y * y).sum().backward()
    assert values(x.grad) == [[0, 0, 0], [8, 8, 8]]
    assert values(v.grad) == [4, 32, 108]


def test_writing_a_view_makes_its_base_require_grad(lib):
    base, v = lib.zeros(3), lib.tensor(2.0, requires_grad=True)
    view = base[1:]
    view[0] = v
    assert base.requires_grad
    assert view.requires_grad
    (base * 3).sum().backward()
    assert values(v.grad) == 3


def test_a_view_made_without_grad_cannot_be_written_with_it(lib):
    x = leaf(lib)
    y = x * 1
    with lib.no_grad():
        v = y[1:]
    with pytest.raises(RuntimeError, match="no_grad"):
        v.mul_(2)


def test_in_place_on_one_of_several_views():
    """torch refuses this (the output of a function that returns multiple views); here the gradient is right."""
    x = mg.ones((2, 3), requires_grad=True)
    for views in ((x * 1).unbind, lambda: (x * 1).chunk(2), lambda: (x * 1).split([1, 1])):
        first, second = views()
        first.mul_(2)
        x.grad = None
        ((first._base * 3).sum() + second.sum()).backward()
        assert values(x.grad) == [[6, 6, 6], [4, 4, 4]]


def test_is_view_and_base(lib):
    x = lib.ones((2, 3))
    v = x[0]
    assert v._base is x
    assert v[1:]._base is x
    assert x._base is None
    assert v._is_view()
    assert not x._is_view()


# ------------------------------------------------------------------------------------------------------------- versions


def test_versions_count_writes(lib):
    x = lib.ones(3)
    assert x._version == 0
    x.add_(1)
    x[0] = 3
    assert x._version == 2
    x[1:].mul_(2)
    assert x._version == 3
    assert x.detach()._version == 3
    assert (x * 2)._version == 0
    assert x.clone()._version == 0


def test_views_share_the_version(lib):
    x = lib.ones(3)
    v = x[1:]
    v.add_(1)
    assert (x._version, v._version) == (1, 1)
    x.add_(1)
    assert (x._version, v._version) == (2, 2)


def test_a_saved_input_that_was_written_raises(lib):
    x, y = leaf(lib), lib.ones(3)
    z = x * y
    y.add_(1)
    with pytest.raises(RuntimeError, match=rf"(?s){MODIFIED}.*version 1; expected version 0"):
        z.sum().backward()


def test_a_saved_output_that_was_written_raises(lib):
    x = leaf(lib)
    y = lib.exp(x)
    y.mul_(2)
    y.mul_(2)
    with pytest.raises(RuntimeError, match=rf"(?s){MODIFIED}.*Exp.*version 2; expected version 0"):
        y.sum().backward()


def test_a_saved_tensor_that_was_written_through_a_view_raises(lib):
    x = leaf(lib)
    y = x * 1
    z = y * y
    y[0].zero_()
    with pytest.raises(RuntimeError, match=MODIFIED):
        z.sum().backward()


def test_a_saved_tensor_that_was_written_through_detach_raises(lib):
    x = leaf(lib)
    y = x * 1
    z = y * y
    y.detach().zero_()
    with pytest.raises(RuntimeError, match=MODIFIED):
        z.sum().backward()


def test_a_saved_leaf_that_was_written_under_no_grad_raises(lib):
    x, w = leaf(lib), leaf(lib)
    z = x * w
    with lib.no_grad():
        w.sub_(0.5)
    with pytest.raises(RuntimeError, match=MODIFIED):
        z.sum().backward()


def test_what_is_not_read_may_be_written(lib):
    x, y = leaf(lib), lib.ones(3)
    z = x + y
    y.add_(1)
    w = x * 2
    w.add_(1)
    (z + w).sum().backward()
    assert values(x.grad) == [3, 3, 3]


def test_what_no_wanted_gradient_reads_may_be_written(lib):
    x, y = leaf(lib), lib.ones(3)
    t = y * 1
    z = t * x
    del t
    x_before = values(x)
    with lib.no_grad():
        x.add_(0)  # y needs no gradient, so that x was not saved
    z.sum().backward()
    assert values(x) == x_before
    assert values(x.grad) == [1, 1, 1]


def test_writing_before_it_is_saved_is_fine(lib):
    x, y = leaf(lib), lib.ones(3)
    y.add_(1)
    (x * y).sum().backward()
    assert values(x.grad) == [2, 2, 2]


# ----------------------------------------------------------------------------------------------------------------- .data


def test_data_shares_memory_and_escapes_the_versions(lib):
    x = leaf(lib)
    y = x * x
    x.data.mul_(10)
    assert x._version == 0
    assert not x.data.requires_grad
    y.sum().backward()
    assert values(x) == [10, 20, 30]
    assert values(x.grad) == [20, 40, 60]


def test_data_can_be_replaced(lib):
    x = leaf(lib)
    x.data = lib.tensor([4.0, 5.0])
    assert values(x) == [4, 5]
    assert x.requires_grad
    (x * x).sum().backward()
    assert values(x.grad) == [8, 10]


# ---------------------------------------------------------------------------------------------------------------- numpy


def test_from_numpy_and_numpy_share_memory(lib):
    a = np.arange(3.0)
    t = lib.from_numpy(a)
    assert t.dtype == lib.float64
    a[0] = 5
    assert values(t) == [5, 1, 2]
    t.add_(1)
    assert a.tolist() == [6, 2, 3]
    assert np.shares_memory(t.numpy(), a)


def test_numpy_of_what_requires_grad_is_refused(lib):
    with pytest.raises(RuntimeError, match="requires grad"):
        leaf(lib).numpy()
    with lib.no_grad():
        assert leaf(lib).numpy().tolist() == [1, 2, 3]


def test_tensor_copies(lib):
    a = np.arange(3.0)
    t = lib.tensor(a)
    a[0] = 5
    assert values(t) == [0, 1, 2]


def test_as_tensor_shares(lib):
    a = np.arange(3.0)
    t = lib.as_tensor(a)
    a[0] = 5
    assert values(t) == [5, 1, 2]
    assert lib.as_tensor(t) is t


def test_non_contiguous_arrays(lib):
    a = np.arange(12.0).reshape(3, 4).T[::2]
    t = lib.from_numpy(a)
    assert tuple(t.shape) == (2, 3)
    assert not t.is_contiguous()
    assert t.stride() == (2, 4)
    assert values(t * 1) == a.tolist()


def test_read_only_arrays_are_not_written():
    a = np.arange(3.0)
    a.flags.writeable = False
    t = mg.from_numpy(a)
    assert values(t * 2) == [0, 2, 4]
    with pytest.raises((RuntimeError, ValueError), match="read-only"):
        t.add_(1)
    assert a.tolist() == [0, 1, 2]


def test_a_refused_write_changes_nothing(lib):
    x = lib.ones(3)
    with pytest.raises((RuntimeError, IndexError)):
        x[5] = 2
    with pytest.raises(RuntimeError):
        x.add_(lib.ones(2))
    assert values(x) == [1, 1, 1]


def test_indices_may_be_written_after_their_use():
    x, i, table = mg.arange(4.0).requires_grad_(), mg.tensor([1, 2]), mg.ones(4, 2, requires_grad=True)
    rows, weight = mg.arange(6.0).reshape(2, 3).requires_grad_(), mg.ones(3)
    mask = x.detach() > 1
    F = mg.nn.functional
    results = [x[i], x.gather(0, i), x.index_select(0, i), x[mask], x.masked_select(mask)]
    results += [F.embedding(i, table), F.cross_entropy(rows, i, weight=weight), F.nll_loss(rows, i)]
    values, places = x.sort(descending=True)
    largest, at = rows.max(1)
    expected = [mg.autograd.grad(y.sum(), t, retain_graph=True)[0].tolist() for y, t in _leaves(results, x, table, rows)]
    for written in (i, mask, places, at, weight):
        written.zero_()
    assert expected == [mg.autograd.grad(y.sum(), t)[0].tolist() for y, t in _leaves(results, x, table, rows)]
    assert mg.autograd.grad((values * mg.arange(4.0)).sum(), x)[0].tolist() == [3, 2, 1, 0]
    assert mg.autograd.grad(largest.sum(), rows)[0].tolist() == [[0, 0, 1], [0, 0, 1]]


def _leaves(results, x, table, rows):
    return list(zip(results, [x] * 5 + [table, rows, rows], strict=True))


def test_a_gradient_of_another_shape_than_grad_is_refused():
    x = mg.ones(4, requires_grad=True)
    (x * 2).sum().backward()
    x.data = mg.zeros(2)
    with pytest.raises(RuntimeError, match="shape"):
        (x * 2).sum().backward()
