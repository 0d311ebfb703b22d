"""numpy, DLPack, buffers, copies and pickles; most tests run on PyTorch too."""

import copy
import ctypes
import math
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.utils import dlpack

DTYPES = [np.bool_, np.uint8, np.int8, np.int16, np.int32, np.int64, np.float32, np.float64]
GRAD = "Can't call numpy\\(\\) on Tensor that requires grad"


def address(t):
    return t.ctypes.data if isinstance(t, np.ndarray) else t.data_ptr()


# ---- arrays from tensors


def test_an_array_shares_the_tensor_s_memory(lib):
    t = lib.zeros(2, 3)
    a, b = np.asarray(t), t.numpy()
    a[0, 0], b[1, 2] = 1, 2
    assert t.tolist() == [[1, 0, 0], [0, 0, 2]]
    assert address(np.asarray(t.t())) == address(t)
    assert np.asarray(t, dtype=np.float64).dtype == np.float64
    assert np.array([lib.tensor(3), lib.tensor(4)]).tolist() == [3, 4]
    assert np.asarray(lib.tensor(2.5)).shape == ()


def test_copies_of_the_array_protocol():
    t = mg.ones(3)
    assert address(np.array(t)) != address(t)
    assert address(np.array(t, copy=False)) == address(t)
    assert np.array(t, copy=True, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="Unable to avoid copy"):
        np.array(t, copy=False, dtype=np.float64)


def test_tensors_that_require_grad_give_no_array(lib):
    t = lib.ones(2, requires_grad=True)
    for convert in (np.asarray, lambda t: t.numpy(), np.sin):
        with pytest.raises(RuntimeError, match=GRAD):
            convert(t)
    assert t.numpy(force=True).tolist() == t.detach().numpy().tolist() == [1, 1]
    assert t.tolist() == [1, 1]
    with lib.no_grad():
        assert t.numpy().tolist() == [1, 1]


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")
def test_numpy_functions_give_tensors(lib):
    t, a = lib.tensor([1.0, 4.0]), np.array([2.0, 3.0])
    for result, expected in (
        (np.add(t, a), [3, 7]),
        (np.add(a, t), [3, 7]),
        (np.sqrt(t), [1, 2]),
        (np.isnan(t), [False, False]),
    ):
        assert type(result) is lib.Tensor
        assert result.tolist() == expected
    assert np.sqrt(t).dtype is lib.float32
    assert np.add(t, a).dtype is lib.float64
    assert (np.float64(2) * t).dtype is lib.float32
    assert np.concatenate([t, t]).tolist() == [1, 4, 1, 4]
    np.testing.assert_allclose(t, t.numpy())


def test_operators_and_numpy_s_names_of_them_keep_the_graph(rng):
    a = rng.uniform(1, 2, (2, 2)).astype(np.float32)
    for ufunc in (np.add, np.subtract, np.multiply, np.divide, np.power, np.matmul, np.remainder, np.floor_divide):
        t = mg.tensor(rng.uniform(1, 2, (2, 2)).astype(np.float32), requires_grad=True)
        result = ufunc(a, t)
        assert result.grad_fn is not None
        np.testing.assert_allclose(result.detach(), ufunc(a, t.detach().numpy()), rtol=1e-6)
        np.testing.assert_allclose(ufunc(t, a).detach(), ufunc(t.detach().numpy(), a), rtol=1e-6)
    t = mg.ones(2, requires_grad=True)
    (np.array([2.0, 3.0], np.float32) * t).sum().backward()
    assert t.grad.tolist() == [2, 3]
    assert (np.arange(2) < mg.ones(2)).tolist() == [True, False]
    assert (np.arange(2) == mg.ones(2)).tolist() == [False, True]
    assert np.negative(t).grad_fn is not None


def test_arrays_as_targets():
    a = np.ones(2)
    same = a
    a += mg.ones(2)
    assert a is same
    assert a.tolist() == [2, 2]
    quotient, rest = np.divmod(mg.tensor([7, 8]), 3)
    assert (quotient.tolist(), rest.tolist()) == ([2, 2], [1, 2])
    assert np.add.reduce(mg.arange(4)).item() == 6
    with pytest.raises(TypeError):
        np.add(np.ones(2), np.ones(2), out=mg.ones(2))
    with pytest.raises(RuntimeError, match=GRAD):
        a += mg.ones(2, requires_grad=True)


# ---- tensors from arrays


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
def test_from_numpy_shares_every_dtype(lib, dtype, rng):
    a = rng.integers(0, 2, (3, 4)).astype(dtype)
    for array in (a, a.T, a[::2, 1:], a[0, 0:1].reshape(()), np.broadcast_to(a[:, :1].copy(), (3, 5)).copy()):
        t = lib.from_numpy(array)
        assert address(t) == address(array)
        assert t.tolist() == array.tolist()
        assert t.numpy().dtype == dtype
    a[0, 0] = 1 - a[0, 0]
    assert lib.from_numpy(a)[0, 0].item() == a[0, 0]


@pytest.mark.parametrize(
    ("kind", "array", "text"),
    [
        (TypeError, [1], "expected np.ndarray"),
        (TypeError, np.float32(1), r"expected np.ndarray \(got numpy.float32\)"),
        (TypeError, np.array(["a"]), "can't convert np.ndarray of type numpy.str_"),
        (TypeError, np.array([None]), "can't convert np.ndarray of type numpy.object_"),
        (ValueError, np.arange(3)[::-1], "negative"),
        (ValueError, np.ones(2, ">f4"), "byte order"),
        (ValueError, np.zeros(3, [("a", "i4"), ("b", "i2")])["a"], "not a multiple of the element byte size"),
    ],
    ids=["list", "scalar", "str", "object", "negative stride", "byte order", "field"],
)
def test_arrays_that_are_refused(lib, kind, array, text):
    with pytest.raises(kind, match=text):
        lib.from_numpy(array)


def test_read_only_arrays_stay_read_only():
    """PyTorch warns, and writes to them."""
    a = np.ones(2)
    a.flags.writeable = False
    for t in (mg.from_numpy(a), mg.as_tensor(a), mg.asarray(a), mg.from_dlpack(a), mg.frombuffer(b"abcd", dtype=mg.uint8)):
        with pytest.raises(RuntimeError, match=r"read-only. Please clone\(\)"):
            t[0] = 5
        assert (t + 1).sum().item() > 0
    assert a.tolist() == [1, 1]


def test_as_tensor_and_asarray_share(lib):
    a = np.ones(3)
    for make in (lib.as_tensor, lib.asarray, lib.from_dlpack):
        assert address(make(a)) == address(a)
    assert address(lib.tensor(a)) != address(a)
    assert address(lib.as_tensor(a, dtype=lib.float32)) != address(a)
    assert address(lib.asarray(a, copy=True)) != address(a)
    t = lib.ones(2)
    assert lib.as_tensor(t) is t
    assert lib.asarray(t) is t
    assert lib.as_tensor(t, dtype=lib.float64).dtype is lib.float64


def test_asarray(lib):
    assert lib.asarray(3).dtype is lib.int64
    assert lib.asarray([1, 2.5]).dtype is lib.float32
    assert lib.asarray(np.float64(2)).dtype is lib.float64
    assert lib.asarray(1.5, dtype=lib.int32).item() == 1
    assert lib.asarray(bytearray(b"\x00\x00\x80?")).tolist() == [1.0]
    assert lib.asarray(bytearray(b"\x01\x02"), dtype=lib.uint8).tolist() == [1, 2]
    assert lib.asarray(np.ones(2).__dlpack__()).tolist() == [1, 1]
    assert lib.asarray([1.0], requires_grad=True).requires_grad
    x = lib.ones(2, requires_grad=True)
    assert lib.asarray(x * 2, copy=True, requires_grad=True).grad_fn is not None
    assert not lib.asarray(x, requires_grad=False).requires_grad
    for arguments, text in ((([1],), "can't alias"), ((np.ones(2), lib.float32), "can't alias.*dtype")):
        with pytest.raises(ValueError, match=text):
            lib.asarray(arguments[0], dtype=arguments[1] if len(arguments) > 1 else None, copy=False)
    with pytest.raises((TypeError, RuntimeError)):
        lib.asarray(object())
    with pytest.raises(RuntimeError, match="floating point"):
        lib.asarray([1, 2], requires_grad=True)


def test_frombuffer(lib):
    memory = bytearray(np.arange(4, dtype=np.int16).tobytes())
    t = lib.frombuffer(memory, dtype=lib.int16, count=2, offset=2)
    assert t.tolist() == [1, 2]
    t[0] = 9
    assert memory[2] == 9
    assert lib.frombuffer(memory, dtype=lib.int16).shape == (4,)
    for options, text in (
        ({"dtype": lib.int64, "offset": 1}, "must be a multiple of element size"),
        ({"dtype": lib.int8, "offset": 8}, "must be non-negative and no greater than buffer length"),
        ({"dtype": lib.int8, "count": 9}, "must not be greater than actual buffer length"),
        ({"dtype": lib.int8, "count": 0}, "must not be 0"),
    ):
        with pytest.raises(ValueError, match=text):
            lib.frombuffer(memory, **options)
    with pytest.raises(ValueError, match="does not implement Python buffer protocol"):
        lib.frombuffer([1], dtype=lib.int8)
    with pytest.raises(RuntimeError, match="floating point"):
        lib.frombuffer(memory, dtype=lib.int16, requires_grad=True)


# ---- DLPack


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
def test_dlpack_with_numpy(lib, dtype, rng):
    a = rng.integers(0, 2, (2, 3)).astype(dtype)
    t = lib.from_dlpack(a.T)
    assert address(t) == address(a)
    assert t.tolist() == a.T.tolist()
    back = np.from_dlpack(t)
    assert address(back) == address(a)
    assert back.dtype == dtype
    assert address(lib.from_dlpack(a, copy=True)) != address(a)
    assert tuple(map(int, t.__dlpack_device__())) == (1, 0)
    again = lib.utils.dlpack.from_dlpack(lib.utils.dlpack.to_dlpack(t))
    assert address(again) == address(a)
    assert lib.from_dlpack(np.array(2.5)).shape == ()
    assert lib.from_dlpack(np.zeros((0, 3))).shape == (0, 3)


def test_dlpack_errors(lib):
    with pytest.raises(BufferError, match=r"Can't export tensors that require gradient, use tensor.detach"):
        np.from_dlpack(lib.ones(2, requires_grad=True))
    with pytest.raises(RuntimeError, match="from_dlpack"):
        lib.from_dlpack([1])


def test_dlpack_refuses_what_tensors_cannot_be():
    with pytest.raises(TypeError, match="complex128"):
        mg.from_dlpack(np.ones(1, complex))
    with pytest.raises(ValueError, match="negative"):
        mg.from_dlpack(np.arange(3)[::-1])
    with pytest.raises(RuntimeError, match="CPU only"):
        mg.from_dlpack(np.ones(1), device="cuda")


def test_dlpack_with_torch(torch):
    ours = mg.arange(6.0).reshape(2, 3)
    theirs = torch.from_dlpack(ours)
    assert theirs.data_ptr() == ours.data_ptr()
    theirs[0, 0] = 7
    assert ours[0, 0].item() == 7
    back = mg.from_dlpack(theirs.t())
    assert back.data_ptr() == ours.data_ptr()
    assert back.tolist() == ours.t().tolist()
    assert dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(theirs)).data_ptr() == ours.data_ptr()
    assert torch.utils.dlpack.from_dlpack(dlpack.to_dlpack(ours)).data_ptr() == ours.data_ptr()
    assert mg.asarray(theirs).data_ptr() == ours.data_ptr()
    with pytest.raises(BufferError, match="require gradient"):
        mg.from_dlpack(torch.ones(2, requires_grad=True))


@pytest.mark.parametrize("via", ["numpy", "dlpack", "buffer"])
def test_shared_memory_outlives_its_first_owner(via):
    if via == "buffer":
        t = mg.frombuffer(bytearray(np.arange(1000.0).tobytes()), dtype=mg.float64)
    else:
        t = (mg.from_numpy if via == "numpy" else mg.from_dlpack)(np.arange(1000.0))
    mg.ones(1000, dtype=mg.float64)
    a = np.from_dlpack(t)
    del t
    mg.ones(1000, dtype=mg.float64)
    assert a.tolist() == list(range(1000))


# ---- numbers


def test_numbers(lib):
    assert float(lib.tensor([[2.5]])) == 2.5
    assert int(lib.tensor(-2.7)) == -2
    assert [1, 2, 3][lib.tensor(1)] == 2
    assert list(range(lib.tensor([2]))) == [0, 1]
    assert [type(lib.tensor(1, dtype=d).item()) for d in (lib.bool, lib.uint8, lib.int64, lib.float32)] == [
        bool,
        int,
        int,
        float,
    ]
    assert math.sqrt(lib.tensor(4.0)) == 2
    assert f"{lib.tensor(2.5):.3f}" == "2.500"
    assert lib.tensor(1.5).tolist() == 1.5
    for convert in (float, int):
        with pytest.raises(ValueError, match="only one element tensors can be converted to Python scalars"):
            convert(lib.ones(2))
    for t, text in ((lib.ones(2), "more than one value"), (lib.ones(0), "no values")):
        with pytest.raises(RuntimeError, match=f"Boolean value of Tensor with {text} is ambiguous"):
            bool(t)
        with pytest.raises(RuntimeError, match="elements cannot be converted to Scalar"):
            t.item()
    for t in (lib.tensor(1.0), lib.tensor([1, 2])):
        with pytest.raises(TypeError, match="only integer tensors of a single element can be converted to an index"):
            [1, 2][t]
    with pytest.raises(ValueError, match="cannot convert float NaN to integer"):
        int(lib.tensor(math.nan))
    with pytest.raises(OverflowError):
        int(lib.tensor(math.inf))


# ---- copies and pickles


def copies(t):
    return copy.deepcopy(t), pickle.loads(pickle.dumps(t))


def test_leaves_are_copied(lib):
    x = lib.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    for y in copies(x):
        assert y.requires_grad
        assert y.is_leaf
        assert y.data_ptr() != x.data_ptr()
    assert copy.deepcopy(x).grad.tolist() == [3, 3]
    assert pickle.loads(pickle.dumps(x)).grad is None
    a, b = copy.deepcopy([x, x])
    assert a is b
    shallow = copy.copy(x)
    assert shallow.data_ptr() == x.data_ptr()
    x.note = ["text"]
    for y in copies(x):
        assert y.note == ["text"]
        assert y.note is not x.note
    assert copy.deepcopy(lib.ones(2, 3).t()).stride() == (1, 3)


def test_copies_of_views_share_memory_as_the_originals_do(lib):
    t = lib.arange(6.0).reshape(2, 3)
    for views in ([t, t[1], t.t()], [t.t(), t[1, 1:], t]):
        first, *others = copy.deepcopy(views)
        assert [first.tolist(), *(o.tolist() for o in others)] == [v.tolist() for v in views]
        assert [v.stride() for v in (first, *others)] == [v.stride() for v in views]
        first.fill_(9)
        assert all((o == 9).all() for o in others)
    assert t.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert copy.deepcopy(lib.ones(1).expand(3)).tolist() == [1, 1, 1]
    assert copy.deepcopy(t[:, 1:2][:0]).shape == (0, 1)


def test_results_are_not_deep_copied_and_lose_their_graph_in_a_pickle(lib):
    y = lib.ones(2, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user"):
        copy.deepcopy(y)
    z = pickle.loads(pickle.dumps(y))
    assert (z.requires_grad, z.is_leaf, z.tolist()) == (True, True, [2, 2])


def test_pickles_of_everything_else(lib):
    p = pickle.loads(pickle.dumps(lib.nn.Parameter(lib.ones(2))))
    assert type(p) is lib.nn.Parameter
    assert p.requires_grad
    assert pickle.loads(pickle.dumps(lib.int16)) is lib.int16
    assert pickle.loads(pickle.dumps(lib.ones(2, 3).shape)) == (2, 3)
    assert pickle.loads(pickle.dumps(lib.device("cpu"))) == lib.device("cpu")
    model = lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.BatchNorm1d(3), lib.nn.Dropout(0.5))
    model.eval()
    x = lib.ones(4, 2)
    for other in copies(model):
        assert repr(other) == repr(model)
        assert not other.training
        assert lib.equal(other(x), model(x))
        assert next(other.parameters()).data_ptr() != next(model.parameters()).data_ptr()
    state = pickle.loads(pickle.dumps(model.state_dict()))
    assert list(state) == list(model.state_dict())
    optimizer = pickle.loads(pickle.dumps(lib.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)))
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_tied_parameters_stay_tied(lib):
    model = lib.nn.Sequential(lib.nn.Embedding(5, 3), lib.nn.Linear(3, 5, bias=False))
    model[1].weight = model[0].weight
    for other in copies(model):
        assert other[0].weight is other[1].weight


def test_generators_are_pickled_with_their_state():
    g = mg.Generator().manual_seed(3)
    mg.rand(5, generator=g)
    for other in copies(g):
        assert mg.equal(mg.rand(3, generator=other), mg.rand(3, generator=g.clone_state()))


def test_a_write_through_numpy_is_not_seen_by_the_version_counter(lib):
    """As in PyTorch: who writes to shared memory by other means answers for the gradient."""
    x = lib.ones(2, requires_grad=True)
    y = x * 1
    (y * y).sum()
    before = y._version
    y.detach().numpy()[0] = 5
    assert y._version == before
    ctypes.memset(y.data_ptr(), 0, 4)
    assert y.tolist() == [0, 1]


def test_modules_of_parameters_in_numpy():
    weight = np.ones((3, 2), np.float32)
    layer = nn.Linear(2, 3, bias=False)
    layer.weight = nn.Parameter(mg.from_numpy(weight))
    weight[0, 0] = 5
    assert layer.weight[0, 0].item() == 5
