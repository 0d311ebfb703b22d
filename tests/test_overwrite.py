"""In-place operations outside the graph, which kernels write straight into the tensor: what they give out of place."""

import numpy as np
import pytest

import minigrad as mg
from minigrad._ext import elementwise, threads
from minigrad._ext.arrange import fill_with
from tests import isa

SHAPES = [(), (0,), (1,), (7,), (3, 5), (301, 67)]
DTYPES = [np.float32, np.float64, np.int64]
NAMES = "abs neg sign floor ceil trunc square exp expm1 log log1p sqrt rsqrt reciprocal tanh sigmoid erf"
BINARY = [("add", {}), ("add", {"alpha": 3}), ("sub", {}), ("sub", {"alpha": 2}), ("mul", {}), ("div", {}),
          ("add", {"alpha": -0.3}), ("div", {"rounding_mode": "floor"}), ("div", {"rounding_mode": None})]  # fmt: skip


def draw(dtype, *shapes):
    rng = np.random.default_rng(0)
    return [mg.from_numpy(np.asarray(rng.normal(size=shape) * 3 + 1).astype(dtype)) for shape in shapes]


def check(name, x, *args, **kwargs):
    """x.name_(...) is what x.name(...) is, or refused where that is of another dtype or shape; x itself is then as it was."""
    written, before = x.clone(), x._version
    try:
        wanted = getattr(x, name)(*args, **kwargs)
    except (RuntimeError, TypeError, IndexError):
        wanted = None
    if wanted is None or wanted.dtype is not x.dtype or wanted.shape != x.shape:
        with pytest.raises((RuntimeError, TypeError, IndexError)):
            getattr(written, name + "_")(*args, **kwargs)
        np.testing.assert_array_equal(written.numpy(), x.numpy())
        return
    assert getattr(written, name + "_")(*args, **kwargs) is written
    np.testing.assert_array_equal(written.numpy(), wanted.numpy(), strict=True)
    assert (written._version, x._version) == (1, before)


@pytest.mark.parametrize("dtype", DTYPES)
@np.errstate(all="ignore")
def test_values_are_those_out_of_place(dtype):
    for shape in SHAPES:
        x, y, z = draw(dtype, shape, shape, shape)
        for name in NAMES.split():
            check(name, x)
        for name, keywords in BINARY:
            for other in (y, 2, 0.5, float("inf"), True, None, "2", y[..., :1] if y.ndim else y, mg.ones(2, 2, 2, 2)):
                check(name, x, other, **keywords)
        for name in ("addcmul", "addcdiv"):
            check(name, x, y, z)
            check(name, x, y, z, value=-0.7)
        check("lerp", x, y, 0.3)
        check("lerp", x, y, 0.7)
        check("lerp", x, y, z)
        for bounds in ((-1, 1), (None, 0.5), (float("nan"), 1), (y, z), (None, None)):
            check("clamp", x, *bounds)
        for mask in (y > 1, (y > 1)[..., :1] if y.ndim else y > 1, y):
            check("masked_fill", x, mask, 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_other_layouts_and_shared_memory(dtype):
    for operation in (lambda x, y: x.add_(y), lambda x, y: x.mul_(y), lambda x, y: x.addcmul_(y, y), lambda x, y: x.copy_(y)):
        for left, right in [
            (lambda m: m, lambda m: m), (lambda m: m, lambda m: m.t()), (lambda m: m.t(), lambda m: m), (lambda m: m[1:], lambda m: m[:-1]),
            (lambda m: m[:-1], lambda m: m[1:]), (lambda m: m[:, 1:], lambda m: m[:, :-1]), (lambda m: m, lambda m: m[0]),
            (lambda m: m[::2], lambda m: m[1::2]), (lambda m: m.view(-1)[1:], lambda m: m.view(-1)[:-1]),
        ]:  # fmt: skip
            [m] = draw(dtype, (6, 6))
            alone = m.clone()
            operation(left(m), right(m))
            operation(left(alone), right(alone.clone()))
            np.testing.assert_array_equal(m.numpy(), alone.numpy())


def test_whether_it_is_recorded():
    p, x = mg.ones(3, requires_grad=True), mg.ones(3)
    assert x.mul_(p).grad_fn is not None
    with pytest.raises(RuntimeError, match="leaf Variable"):
        p.add_(1)
    with mg.no_grad():
        p.add_(1, alpha=2)
        p[1:] = 5
    assert (p.tolist(), p._version, p.is_leaf, p.requires_grad) == ([3, 5, 5], 2, True, True)
    y = p * 2
    view = y[1:]
    view.mul_(3)
    assert y.sum().item() == 66
    y.sum().backward()
    assert p.grad.tolist() == [2, 6, 6]


def test_a_saved_tensor_that_was_written_is_noticed():
    for write in (lambda x: x.add_(1), lambda x: x.fill_(1), lambda x: x.copy_(mg.ones(3)), lambda x: x.__setitem__(0, 1),
                  lambda x: x[1:].neg_(), lambda x: x.masked_fill_(x > 0, 1)):  # fmt: skip
        x, w = mg.ones(3), mg.ones(3, requires_grad=True)
        out = (w * x).sum()
        write(x)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            out.backward()


def test_bits_do_not_depend_on_threads():
    x, y = draw(np.float32, (40_000,), (40_000,))
    before, results = threads.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            threads.set_num_threads(n)
            results.append(x.clone().add_(y, alpha=0.1).mul_(y).sigmoid_().addcdiv_(y, x).tolist())
    finally:
        threads.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def off_the_lines(x, offset):
    """A copy that starts `offset` elements behind a cache line."""
    room = np.empty(x.size + 64, x.dtype)
    first = (-room.ctypes.data // x.itemsize) % (64 // x.itemsize) + offset
    room[first : first + x.size] = x
    return room[first : first + x.size]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("number", [1, 2])
@np.errstate(all="ignore")
def test_bits_do_not_depend_on_where_the_array_starts(dtype, number):
    """Kernels that write where they read bring their vectors to cache lines first."""
    n = 20_011
    x, y, z = (t.numpy() for t in draw(dtype, (n,), (n,), (n,)))
    calls = [(name + "_", ()) for name in [*NAMES.split(), "relu"]]
    calls += [(name, (y,)) for name in ("add_", "sub_", "mul_", "div_")] + [(name, (y, z)) for name in ("addcmul_", "addcdiv_")]
    calls += [("mul_", (0.3,)), ("add_", (y, -0.3)), ("lerp_", (y, 0.3)), ("lerp_", (y, 0.7)), ("clamp_", (-1, 1))]
    before = threads.get_num_threads()
    threads.set_num_threads(number)
    try:
        for name, operands in calls:
            kernel = getattr(elementwise, name)
            pieces = [off_the_lines(x[at : at + 8192], 0) for at in range(0, n, 8192)]  # each in one span, from a cache line
            for at, piece in zip(range(0, n, 8192), pieces, strict=True):
                assert kernel(piece, *(o[at : at + 8192] if isinstance(o, np.ndarray) else o for o in operands))
            wanted = np.concatenate(pieces)
            for offset in range(64 // x.itemsize):
                got = off_the_lines(x, offset)
                assert kernel(got, *operands)
                np.testing.assert_array_equal(got.view(np.uint8), wanted.view(np.uint8), err_msg=f"{name} {offset}")
    finally:
        threads.set_num_threads(before)


@pytest.mark.parametrize("level", ["v2", "v3"])
def test_other_instruction_sets(level):
    isa.check_at(level, __file__, "where_the_array_starts")


@pytest.mark.parametrize("dtype", ["?", "u1", "i4", "f4", "f8", "c16"])
@pytest.mark.parametrize("n", [0, 1, 1023, 1025, 80_001])
def test_fill_reaches_every_element_and_no_other(dtype, n):
    for offset in (0, 1, 3):
        room = np.zeros(n + 8, dtype)
        assert fill_with(room[offset : offset + n], 1)
        np.testing.assert_array_equal(room, [0] * offset + [1] * n + [0] * (8 - offset))
        room = np.zeros((2, n + 8), dtype)
        assert fill_with(room.T[offset : offset + n], 1)
        np.testing.assert_array_equal(room, [[0] * offset + [1] * n + [0] * (8 - offset)] * 2)


INDICES = [
    lambda: (mg.tensor([0, 2]),), lambda: (mg.tensor([0, 2]), mg.tensor([1, 1])), lambda: mg.tensor([True, False, True]),
    lambda: (slice(None), mg.tensor([0, -1])), lambda: (1, slice(None), mg.tensor([0, 2])), lambda: mg.arange(60).reshape(3, 4, 5) > 7,
    lambda: (mg.tensor([0, 1]), slice(None), mg.tensor([0, 2])), lambda: (Ellipsis, mg.tensor([1])), lambda: (mg.tensor([3]),),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_assignments_by_index_are_those_of_a_graph(index, dtype):
    for value in (
        3,
        1.5,
        True,
        "2",
        mg.ones(()),
        mg.ones(1, 1, 1, 1),
        mg.ones(1, 7),
        *draw(dtype, (), (5,), (4, 2), (2, 4), (2,), (4, 1)),
    ):
        [x] = draw(dtype, (3, 4, 5))
        recorded = x.clone().double().requires_grad_() * 1
        try:
            recorded[index()] = value.double() if isinstance(value, mg.Tensor) else value
        except (IndexError, RuntimeError, TypeError) as error:
            with pytest.raises(type(error)):
                x[index()] = value
            continue
        x[index()] = value
        expected = recorded.detach().numpy().astype(dtype)
        np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize(
    "value", [-3, -255, -256, 256, 2.7, -2.7, 1e10, 1e30, 3.5e38, -1e300, float("nan"), float("inf"), -(2**31) - 1]
)
@pytest.mark.parametrize(
    "write", [lambda x, v: x.fill_(v), lambda x, v: x.__setitem__(0, v), lambda x, v: x.t().__setitem__(0, v)]
)
def test_numbers_beyond_the_dtype_are_refused(torch, dtype, value, write):
    """uint8 takes negative integers modulo 256, as in PyTorch."""
    wanted, got = torch.zeros(2, 2, dtype=getattr(torch, dtype)), mg.zeros(2, 2, dtype=getattr(mg, dtype))
    try:
        write(wanted, value)
    except RuntimeError:
        with pytest.raises(RuntimeError, match="without overflow"):
            write(got, value)
    else:
        write(got, value)
    np.testing.assert_array_equal(got.numpy(), wanted.numpy())


def test_alpha_scales_in_the_dtype_of_the_sum():
    x = mg.tensor([200, 3], dtype=mg.uint8)
    assert mg.ones(2).add_(x, alpha=2).tolist() == mg.add(mg.ones(2), x, alpha=2).tolist() == [401, 7]
    assert mg.ones(2).sub_(x, alpha=2).tolist() == mg.sub(mg.ones(2), x, alpha=2).tolist() == [-399, -5]


def test_a_view_without_elements_is_written():
    x = mg.zeros(2, 0).expand(2, 0)
    x[None] = x[:1]
    mg.zeros(1, 0).expand(3, 0).add_(mg.zeros(3, 1))
