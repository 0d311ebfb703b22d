"""repr and str of tensors are those of torch, to the character."""

import re

import numpy as np
import pytest

import minigrad as mg

nan, inf = float("nan"), float("inf")

CASES = {
    "scalar": lambda lib: lib.tensor(1.0),
    "fractional scalar": lambda lib: lib.tensor(1.2345678),
    "small scalar": lambda lib: lib.tensor(1.5e-7),
    "large scalar": lambda lib: lib.tensor(123456789.0),
    "integer scalar": lambda lib: lib.tensor(7),
    "bool": lambda lib: lib.tensor(True),
    "vector": lambda lib: lib.tensor([1.0, 2.0, 3.0]),
    "fractional vector": lambda lib: lib.tensor([1.0, 2.5, -3.25]),
    "integers": lambda lib: lib.tensor([1, -20, 300]),
    "bools": lambda lib: lib.tensor([True, False]),
    "float64": lambda lib: lib.tensor([1.0, 2.5], dtype=lib.float64),
    "int32": lambda lib: lib.tensor([1, 2], dtype=lib.int32),
    "uint8": lambda lib: lib.tensor([1, 2], dtype=lib.uint8),
    "wide range": lambda lib: lib.tensor([1e-5, 1.0, 1e5]),
    "tiny": lambda lib: lib.tensor([1e-10, 2e-10]),
    "huge": lambda lib: lib.tensor([1e10, 2.5e10]),
    "whole and huge": lambda lib: lib.tensor([1.0, 1e9]),
    "nan and inf": lambda lib: lib.tensor([nan, inf, -inf, 1.5]),
    "only nan": lambda lib: lib.tensor([nan, nan]),
    "whole with inf": lambda lib: lib.tensor([1.0, inf]),
    "negative zero": lambda lib: lib.tensor([-0.0, 0.0]),
    "matrix": lambda lib: lib.tensor([[1.0, 2.0], [3.5, -4.0]]),
    "cube": lambda lib: lib.arange(24.0).reshape(2, 3, 4),
    "four axes": lambda lib: lib.arange(16.0).reshape(2, 2, 2, 2),
    "long row": lambda lib: lib.arange(30.0),
    "long fractional row": lambda lib: lib.arange(30.0) / 7,
    "summarised": lambda lib: lib.arange(2000.0),
    "summarised matrix": lambda lib: lib.arange(10000).reshape(100, 100),
    "summarised in one axis": lambda lib: lib.arange(3000.0).reshape(3, 1000),
    "empty": lambda lib: lib.tensor([]),
    "empty rows": lambda lib: lib.zeros((0, 3)),
    "empty integers": lambda lib: lib.zeros((2, 0), dtype=lib.int64),
    "requires grad": lambda lib: lib.tensor([1.0, 2.0], requires_grad=True),
    "grad_fn": lambda lib: lib.tensor([1.0, 2.0], requires_grad=True) * 2,
    "grad_fn add": lambda lib: lib.tensor([1.0, 2.0], requires_grad=True) + 2,
    "grad_fn sum": lambda lib: lib.tensor([1.0, 2.0], requires_grad=True).sum(),
    "grad_fn float64": lambda lib: lib.tensor([1.0], dtype=lib.float64, requires_grad=True).exp(),
    "grad_fn view": lambda lib: lib.ones((2, 2), requires_grad=True).view(4),
    "long with grad": lambda lib: (lib.arange(30.0) / 7).requires_grad_(),
    "transposed": lambda lib: lib.arange(6.0).reshape(2, 3).T,
    "size": lambda lib: lib.ones((2, 3)).shape,
    "parameter": lambda lib: lib.nn.Parameter(lib.tensor([1.0, 2.0])),
    "thirds": lambda lib: lib.tensor([1 / 3, 2 / 3, 1.0, 1000.123]),
    "mixed columns": lambda lib: lib.tensor([[1.5, 100.25, -3.0], [0.001, 12.0, 7.0]]),
    "format": lambda lib: f"{lib.tensor(1.23456):.2f} {lib.tensor(3)} {lib.tensor([1.0])}",
}


def as_torch(value):
    """The text of a value with torch's name; where a line is broken before the dtype depends on the length of the name."""
    text = value if isinstance(value, str) else repr(value)
    return re.sub(r",\s+dtype=", ", dtype=", text.replace("minigrad", "torch"))


@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
def test_repr(torch, make):
    found, expected = make(mg), make(torch)
    assert as_torch(found) == as_torch(expected)
    assert str(found).replace("minigrad", "torch") == str(expected)


def test_dtypes_and_printing_random_values(torch, rng):
    for scale in (1e-6, 1e-3, 1.0, 1e3, 1e6):
        for dtype in (np.float32, np.float64):
            a = (rng.standard_normal((3, 4)) * scale).astype(dtype)
            assert as_torch(mg.from_numpy(a)) == as_torch(torch.from_numpy(a))


def test_tolist_and_item(lib):
    assert lib.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert lib.tensor(1.5).tolist() == 1.5
    assert type(lib.tensor(3).item()) is int
    assert type(lib.tensor(3.0).item()) is float
    assert type(lib.tensor(True).item()) is bool
