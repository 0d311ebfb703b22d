"""The type of a result, for all pairs of types, of tensors, 0-d tensors and Python numbers. torch is the oracle."""

import itertools
import operator

import numpy as np
import pytest

import minigrad as mg

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64")
KINDS = ("tensor", "0-d", "scalar")
BINARY = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "floordiv": operator.floordiv,
    "pow": operator.pow,
    "lt": operator.lt,
    "eq": operator.eq,
}


def make(lib, dtype, kind):
    """An operand: a tensor, a 0-d tensor, or the Python number of the dtype's kind (None where there is no such one)."""
    if kind == "scalar":
        return {"bool": True, "int64": 2, "float64": 2.5}.get(dtype)
    return lib.tensor([1, 2] if kind == "tensor" else 2, dtype=getattr(lib, dtype))


def dtype_name(dtype):
    return str(dtype).rpartition(".")[2]


def outcome(function, *args):
    """(dtype, values) of the result, or the type of exception."""
    try:
        result = function(*args)
    except (TypeError, RuntimeError, ValueError, IndexError, NotImplementedError) as error:
        return type(error).__name__
    return dtype_name(result.dtype), result.numpy().tolist()


def assert_equal_tables(found, expected):
    different = [f"{key}: {found[key]}, torch {expected[key]}" for key in expected if not same(found[key], expected[key])]
    assert not different, f"{len(different)} of {len(expected)} differ:\n" + "\n".join(different[:60])


def same(a, b):
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    return a[0] == b[0] and np.allclose(a[1], b[1], rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("name", BINARY)
def test_binary_operators(torch, name):
    tables = []
    for lib in (mg, torch):
        table = {}
        for a, b in itertools.product(itertools.product(DTYPES, KINDS), repeat=2):
            x, y = make(lib, *a), make(lib, *b)
            if x is None or y is None or (a[1] == b[1] == "scalar"):
                continue
            table[(a, b)] = outcome(BINARY[name], x, y)
        tables.append(table)
    assert_equal_tables(*tables)


@pytest.mark.parametrize("name", ["add_", "mul_", "div_", "sub_", "copy_", "fill_"])
def test_in_place(torch, name):
    tables = []
    for lib in (mg, torch):
        table = {}
        for a, (b, kind) in itertools.product(DTYPES, itertools.product(DTYPES, KINDS)):
            y = make(lib, b, kind)
            if y is None or (name == "fill_" and kind == "tensor") or (name == "copy_" and kind == "scalar"):
                continue
            table[(a, b, kind)] = outcome(lambda x, y: getattr(x, name)(y), make(lib, a, "tensor"), y)
        tables.append(table)
    assert_equal_tables(*tables)


UNARY = {
    "neg": operator.neg,
    "invert": operator.invert,
    "abs": abs,
    "exp": lambda x: x.exp(),
    "sqrt": lambda x: x.sqrt(),
    "sigmoid": lambda x: x.sigmoid(),
    "tanh": lambda x: x.tanh(),
    "relu": lambda x: x.relu(),
    "floor": lambda x: x.floor(),
    "sign": lambda x: x.sign(),
    "sum": lambda x: x.sum(),
    "sum-dim": lambda x: x.sum(0),
    "prod": lambda x: x.prod(),
    "mean": lambda x: x.mean(),
    "cumsum": lambda x: x.cumsum(0),
    "max": lambda x: x.max(),
    "argmax": lambda x: x.argmax(),
    "any": lambda x: x.any(),
    "all": lambda x: x.all(),
    "var": lambda x: x.var(),
    "clamp": lambda x: x.clamp(0, 1),
    "clamp-float": lambda x: x.clamp(0.5, 1.5),
    "softmax": lambda x: x.softmax(0),
    "matmul": lambda x: x @ x,
    "pow-2": lambda x: x**2,
    "pow-half": lambda x: x**0.5,
    "rpow": lambda x: 2**x,
    "rsub": lambda x: 1 - x,
    "rdiv": lambda x: 1 / x,
    "isnan": lambda x: x.isnan(),
    "float": lambda x: x.float(),
    "long": lambda x: x.long(),
    "bool": lambda x: x.bool(),
}


@pytest.mark.parametrize("name", UNARY)
def test_unary(torch, name):
    assert_equal_tables(*({dtype: outcome(UNARY[name], make(lib, dtype, "tensor")) for dtype in DTYPES} for lib in (mg, torch)))


SEVERAL = {
    "cat": lambda lib, x, y: lib.cat([x, y]),
    "stack": lambda lib, x, y: lib.stack([x, y]),
    "where": lambda lib, x, y: lib.where(lib.tensor([True, False]), x, y),
    "maximum": lambda lib, x, y: lib.maximum(x, y),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_tensors(torch, name):
    tables = []
    for lib in (mg, torch):
        pairs = itertools.product(DTYPES, repeat=2)
        tables.append({(a, b): outcome(SEVERAL[name], lib, make(lib, a, "tensor"), make(lib, b, "tensor")) for a, b in pairs})
    assert_equal_tables(*tables)


def test_result_type_and_promote_types(torch):
    for a, b in itertools.product(DTYPES, repeat=2):
        types, promoted = [], []
        for lib in (mg, torch):
            types.append(dtype_name(lib.result_type(make(lib, a, "tensor"), make(lib, b, "0-d"))))
            promoted.append(dtype_name(lib.promote_types(getattr(lib, a), getattr(lib, b))))
        assert types[0] == types[1], (a, b)
        assert promoted[0] == promoted[1], (a, b)


FACTORIES = {
    "int": lambda lib: lib.tensor(3),
    "float": lambda lib: lib.tensor(3.5),
    "bool": lambda lib: lib.tensor(True),
    "mixed": lambda lib: lib.tensor([1, 2.5]),
    "bools": lambda lib: lib.tensor([[True], [False]]),
    "empty": lambda lib: lib.tensor([]),
    "numpy float64": lambda lib: lib.tensor(np.array([1.0])),
    "numpy float32 scalar": lambda lib: lib.tensor(np.float32(1.0)),
    "list of numpy": lambda lib: lib.tensor([np.float64(1.0), np.float64(2.0)]),
    "list of 0-d": lambda lib: lib.tensor([lib.tensor(1.0), lib.tensor(2.0)]),
    "arange int": lambda lib: lib.arange(5),
    "arange float": lambda lib: lib.arange(0.0, 1.0, 0.25),
    "linspace": lambda lib: lib.linspace(0, 1, 3),
    "full int": lambda lib: lib.full((2,), 3),
    "full float": lambda lib: lib.full((2,), 3.5),
    "full bool": lambda lib: lib.full((2,), True),
    "zeros": lambda lib: lib.zeros(2),
    "ones_like": lambda lib: lib.ones_like(lib.arange(3)),
    "full_like": lambda lib: lib.full_like(lib.arange(3), 2),
    "eye": lambda lib: lib.eye(2, 3),
    "double": lambda lib: lib.tensor([1, 2], dtype=lib.float64),
    "to int": lambda lib: lib.tensor([1.7, -1.7]).to(lib.int64),
    "to uint8": lambda lib: lib.tensor([1.7, 200.2]).to(lib.uint8),
}


@pytest.mark.parametrize("name", FACTORIES)
def test_factories(torch, name):
    assert_equal_tables(*({name: outcome(FACTORIES[name], lib)} for lib in (mg, torch)))


def test_default_dtype(torch):
    for lib in (mg, torch):
        before = lib.get_default_dtype()
        assert before == lib.float32
        try:
            lib.set_default_dtype(lib.float64)
            assert lib.tensor(1.5).dtype == lib.float64
            assert lib.zeros(2).dtype == lib.float64
            assert (lib.arange(3) / 2).dtype == lib.float64
            assert (lib.arange(3) + 1.5).dtype == lib.float64
            with pytest.raises(TypeError):
                lib.set_default_dtype(lib.int64)
        finally:
            lib.set_default_dtype(before)


def test_gradients_have_the_type_of_their_tensors(lib):
    x = lib.ones(3, requires_grad=True)
    y = lib.ones(3, dtype=lib.float64, requires_grad=True)
    i = lib.tensor([1, 2, 3])
    (x * y * i + y * 2).sum().backward()
    assert x.grad.dtype == lib.float32
    assert y.grad.dtype == lib.float64
    z = lib.ones(2, requires_grad=True)
    z.to(lib.float64).sum().backward()
    assert z.grad.dtype == lib.float32


def test_arrays_as_operands():
    x, a = mg.ones(3, requires_grad=True), np.array([1.0, 2.0, 3.0])
    for y, expected in ((x + a, [2, 3, 4]), (a - x, [0, 1, 2]), (x * a[::-1], [3, 2, 1]), (a / x, [1, 2, 3])):
        assert y.dtype == mg.float64
        assert y.tolist() == expected
    assert (x == a).tolist() == [True, False, False]
    assert (x < a.astype(np.float32)).tolist() == [False, True, True]
    (x * a).sum().backward()
    assert x.grad.tolist() == [1, 2, 3]
    y = mg.ones(3)
    y += a
    assert y.dtype == mg.float32
    assert y.tolist() == [2, 3, 4]
    with pytest.raises(RuntimeError):
        x + np.ones(2)


def test_bounds_of_clamp_that_are_nan():
    nan = float("nan")
    y = mg.clamp(mg.tensor([1.0, 2.0, nan, 4.0]), min=mg.tensor([nan, 3.0, 1.0, 0.0]), max=mg.tensor([5.0, 5.0, 5.0, nan]))
    assert np.isnan(y.numpy()).tolist() == [True, False, True, True]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_division_of_integers_towards_zero(torch, dtype):
    x, y = np.array([5, 7, 200, 6, -5, -6, 7]).astype(dtype), np.array([2, 3, 7, 2, 2, 3, -2]).astype(dtype)
    wanted = torch.div(torch.tensor(x), torch.tensor(y), rounding_mode="trunc").numpy()
    np.testing.assert_array_equal(mg.div(mg.tensor(x), mg.tensor(y), rounding_mode="trunc").numpy(), wanted, strict=True)


def test_products_are_of_the_promoted_dtype():
    x = mg.tensor([200, 3], dtype=mg.uint8)
    assert mg.addcmul(mg.ones(2), x, x).tolist() == mg.ones(2).addcmul_(x, x).tolist() == [40001, 10]
    assert (mg.ones(2) ** np.int64(-1)).dtype is mg.float32
