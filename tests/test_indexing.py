"""Reading and writing by index against numpy; every case also on torch."""

import numpy as np
import pytest

import minigrad

A = np.arange(60.0).reshape(3, 4, 5)

CASES = {
    "integer": 1,
    "negative integer": -1,
    "integers": (1, 2),
    "all integers": (1, 2, 3),
    "numpy integer": np.int64(1),
    "slice": slice(1, 3),
    "slice with step": (slice(None), slice(None, None, 2), slice(1, None, 3)),
    "empty slice": slice(2, 1),
    "slice beyond the end": slice(1, 100),
    "negative slice": slice(-2, None),
    "ellipsis": (Ellipsis, 1),
    "ellipsis in the middle": (1, Ellipsis, slice(1, 3)),
    "ellipsis alone": Ellipsis,
    "none": (None, 1, slice(None), None),
    "empty tuple": (),
    "list": [2, 0, 2],
    "negative list": [-1, 0],
    "two lists": ([0, 1, 2], [3, 2, 1]),
    "lists that broadcast": ([[0], [2]], [1, 3]),
    "list, slice, list": ([0, 1], slice(None), [2, 3]),
    "slice, list": (slice(None), [3, 1, 1]),
    "slice, list, slice": (slice(1, None), [3, 0], slice(None, 2)),
    "ellipsis, list": (Ellipsis, [0, 4]),
    "list, none": ([1, 2], None),
    "array": np.array([2, 0]),
    "matrix": np.array([[2, 0], [1, 1]]),
    "empty array": np.zeros(0, dtype=np.int64),
    "mask": A > 30,
    "mask of rows": np.array([True, False, True]),
    "mask of the last axis": (slice(None), slice(None), np.array([True, False, False, True, True])),
    "mask of two axes": A[..., 0] > 20,
    "mask of nothing": np.zeros((3, 4), dtype=bool),
    "mask and integer": (np.array([True, False, True]), 2),
    "mask and slice": (np.array([True, False, True]), slice(1, 3)),
    "list of bools": [True, False, True],
}


def as_index(lib, index):
    """The index with numpy arrays as tensors."""
    if isinstance(index, tuple):
        return tuple(as_index(lib, part) for part in index)
    return lib.from_numpy(index.copy()) if isinstance(index, np.ndarray) else index


@pytest.mark.parametrize("index", CASES.values(), ids=CASES.keys())
def test_get(lib, index):
    found = lib.from_numpy(A.copy())[as_index(lib, index)]
    np.testing.assert_array_equal(found.numpy(), A[index], strict=True)


@pytest.mark.parametrize("index", CASES.values(), ids=CASES.keys())
def test_gradient_of_get(lib, index, rng):
    x = lib.from_numpy(A.copy()).requires_grad_()
    y = x[as_index(lib, index)]
    g = np.asarray(rng.standard_normal(tuple(y.shape)))
    y.backward(lib.from_numpy(g))
    expected = np.zeros_like(A)
    np.add.at(expected, index, g)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("index", CASES.values(), ids=CASES.keys())
def test_get_and_set_in_a_permuted_view(lib, index):
    base = lib.from_numpy(A.transpose(2, 0, 1).copy())
    view, expected = base.permute(1, 2, 0), A.copy()
    np.testing.assert_array_equal(view[as_index(lib, index)].numpy(), A[index], strict=True)
    expected[index] = -1
    view[as_index(lib, index)] = lib.full((), -1.0, dtype=lib.float64)
    np.testing.assert_array_equal(base.numpy(), expected.transpose(2, 0, 1), strict=True)


def test_of_equal_positions_the_last_stays_and_has_the_gradient():
    y = minigrad.arange(1.0, 7.0).reshape(3, 2).requires_grad_()
    x = minigrad.zeros(4, 2)
    x[minigrad.tensor([1, 3, 1])] = y
    assert x.tolist() == [[0, 0], [5, 6], [0, 0], [3, 4]]
    (x * x).sum().backward()
    assert y.grad.tolist() == [[0, 0], [6, 8], [10, 12]]


@pytest.mark.parametrize("index", CASES.values(), ids=CASES.keys())
def test_set(lib, index, rng):
    expected = A.copy()
    value = rng.standard_normal(expected[index].shape)
    if has_duplicates(index):
        value = np.full_like(value, 7.0)  # which of several writes to one place wins is not defined
    expected[index] = value
    x = lib.from_numpy(A.copy())
    x[as_index(lib, index)] = lib.from_numpy(np.asarray(value))
    np.testing.assert_array_equal(x.numpy(), expected)
    x[as_index(lib, index)] = 5
    expected[index] = 5
    np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize("index", CASES.values(), ids=CASES.keys())
def test_gradient_of_set(lib, index, rng):
    if has_duplicates(index):
        return
    x = lib.from_numpy(A.copy()).requires_grad_()
    v = lib.from_numpy(np.asarray(rng.standard_normal(A[index].shape))).requires_grad_()
    y = x * 1
    y[as_index(lib, index)] = v
    g = rng.standard_normal(A.shape)
    y.backward(lib.from_numpy(g))
    expected = g.copy()
    expected[index] = 0
    np.testing.assert_array_equal(x.grad.numpy(), expected)
    np.testing.assert_array_equal(v.grad.numpy(), g[index])


def has_duplicates(index):
    counts = np.zeros(A.shape)
    np.add.at(counts, index, 1)
    return bool(np.any(counts > 1))


ERRORS = {
    "too large": (3, IndexError),
    "too small": (-4, IndexError),
    "too many": ((0, 0, 0, 0), IndexError),
    "list too large": ([0, 3], IndexError),
    "second list too large": (([0, 1], [1, 4]), IndexError),
    "lists that do not broadcast": (([0, 1], [1, 2, 3]), IndexError),
    "float": (1.5, (IndexError, TypeError)),
    "float tensor": (np.array([1.0]), IndexError),
    "mask of the wrong shape": (np.array([True, False]), IndexError),
    "string": ("a", (IndexError, TypeError)),
    "step of zero": (slice(None, None, 0), ValueError),
    "negative step": (slice(None, None, -1), ValueError),
}


@pytest.mark.parametrize(("index", "exception"), ERRORS.values(), ids=ERRORS.keys())
def test_errors(lib, index, exception):
    x = lib.from_numpy(A.copy())
    with pytest.raises(exception):
        x[as_index(lib, index)]
    with pytest.raises(exception):
        x[as_index(lib, index)] = 0.0
    if lib is minigrad:  # torch has written up to the index that was out of range
        np.testing.assert_array_equal(x.numpy(), A)


def test_an_integer_beside_lists_only_selects(lib):
    """Not numpy's rule, in which the integer counts as an index array and moves the axis of the list to the front."""
    found = lib.from_numpy(A.copy())[1, 1:3, [0, 4]]
    np.testing.assert_array_equal(found.numpy(), A[1][1:3][:, [0, 4]])


def test_a_value_of_the_wrong_shape(lib):
    x = lib.from_numpy(A.copy())
    for index in (0, [0, 1]):
        with pytest.raises((RuntimeError, ValueError, IndexError)):
            x[index] = lib.ones(7, dtype=lib.float64)
    np.testing.assert_array_equal(x.numpy(), A)


def test_a_value_of_another_type_is_converted(lib):
    x = lib.tensor([1, 2, 3])
    x[0] = 7.9
    x[1:] = lib.tensor([1.5, 2.5])
    assert x.tolist() == [7, 1, 2]
    y = lib.ones(3)
    y[0] = lib.tensor(2.0, dtype=lib.float64)
    assert y.dtype == lib.float32


def test_zero_dimensions(lib):
    x = lib.tensor(3.0)
    assert x[()].item() == 3
    assert x[None].tolist() == [3]
    assert x[...].item() == 3
    with pytest.raises(IndexError):
        x[0]
    x[()] = 4
    assert x.item() == 4
    assert x[lib.tensor(True)].tolist() == [4]


def test_a_0_d_tensor_as_an_index(lib):
    x = lib.arange(5.0)
    assert x[lib.tensor(2)].item() == 2
    assert tuple(x[lib.tensor([2])].shape) == (1,)


def test_iteration_and_membership(lib):
    x = lib.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert len(x) == 2
    assert 3 in x
    assert 7 not in x
    with pytest.raises(TypeError, match="0-d"):
        iter(lib.tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        len(lib.tensor(1.0))
    first, second = x
    assert (first.tolist(), second.tolist()) == ([1, 2], [3, 4])


def test_truth(lib):
    assert lib.tensor(1.0)
    assert not lib.tensor([0])
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(lib.ones(2))
    assert lib.tensor(2).__index__() == 2
    assert [10, 20, 30][lib.tensor(1)] == 20
    assert float(lib.tensor([2.5])) == 2.5
    assert int(lib.tensor(2.9)) == 2
    with pytest.raises((RuntimeError, ValueError)):
        lib.ones(2).item()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32"])
def test_entries_of_0_d_tensors(dtype):
    x, one, first = (
        minigrad.zeros((), dtype=getattr(minigrad, dtype)),
        minigrad.ones((), dtype=getattr(minigrad, dtype)),
        minigrad.tensor([0]),
    )
    for out in (
        x.index_add(0, first, one),
        x.index_copy(-1, first, one),
        x.index_fill(0, first, 1),
        x.clone().index_add_(0, first, one),
    ):
        assert (out.shape, out.dtype, out.item()) == ((), x.dtype, 1)
    with pytest.raises(IndexError):
        x.index_copy_(0, minigrad.tensor([1]), one)
    assert x.item() == 0


def test_alpha_of_index_add_has_the_dtype_of_the_sum():
    first = minigrad.tensor([0])
    for dtype, alpha, wanted in ((minigrad.bool, 2, True), (minigrad.int64, 2.9, 2), (minigrad.int32, 0.5, 0)):
        out = minigrad.zeros(2, dtype=dtype).index_add(0, first, minigrad.ones(1, dtype=dtype), alpha=alpha)
        assert (out.dtype, out.tolist()) == (dtype, [wanted, 0])


@pytest.mark.parametrize(
    "source",
    [
        minigrad.ones(4),
        minigrad.ones(1, 4),
        minigrad.ones(()),
        minigrad.ones(2, 3),
        minigrad.ones(2, 4, dtype=minigrad.float64),
    ],
)
def test_index_copy_refuses_another_shape_or_dtype(source):
    x = minigrad.zeros(3, 4)
    with pytest.raises(RuntimeError, match="index_copy_"):
        x.index_copy_(0, minigrad.tensor([0, 1]), source)
    assert not x.any()
