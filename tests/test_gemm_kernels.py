"""Matrix product kernels against numpy in float64, at odd sizes, any strides, any number of threads."""

import numpy as np
import pytest

from minigrad._ext import gemm, threads
from tests.isa import check_at

# every register tile height and both its edges, one row or column, K of 0 and 1, more than one block of K, M and N; a few
# multiplications; few rows of fewer than LANES products; a sum over K in parts
SIZES = [
    (1, 1, 1), (1, 7, 5), (7, 1, 5), (1, 300, 70), (300, 1, 70), (5, 6, 0), (3, 2, 1), (64, 16, 16), (16, 10, 84), (9, 33, 17),
    (11, 31, 300), (13, 32, 257), (15, 47, 40), (29, 100, 9), (31, 65, 513), (200, 70, 30), (400, 33, 20), (40, 1100, 25),
    (2, 3, 2), (3, 4, 5), (7, 9, 3), (37, 41, 1), (5, 2100, 1), (3, 5, 20011), (33, 20, 3001), (1, 20, 9001), (20, 1, 9001),
]  # fmt: skip

BATCHES = [
    ((3, 5, 7), (3, 7, 4)), ((3, 5, 7), (7, 4)), ((5, 7), (3, 7, 4)), ((1, 5, 7), (3, 7, 4)), ((3, 5, 7), (1, 7, 4)),
    ((0, 5, 7), (0, 7, 4)), ((2, 0, 7), (2, 7, 4)), ((2, 5, 0), (2, 0, 4)),
]  # fmt: skip


def strided(rng, shape, dtype, layout):
    """A random array of this shape: C order ("n"), transposed ("t"), every other column ("s"), both axes reversed ("r")."""
    *batch, rows, columns = shape
    if layout == "t":
        return rng.standard_normal((*batch, columns, rows)).astype(dtype).swapaxes(-1, -2)
    if layout == "s":
        return rng.standard_normal((*batch, rows, 2 * columns)).astype(dtype)[..., ::2]
    x = rng.standard_normal(shape).astype(dtype)
    return x[..., ::-1, ::-1] if layout == "r" else x


def assert_product(out, a, b, extra=0.0):
    exact = a.astype(np.float64) @ b.astype(np.float64) + extra
    bound = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64)) + np.abs(extra)
    assert out.shape == exact.shape
    assert out.dtype == a.dtype
    error = np.abs(out - exact)
    assert (error <= 30 * np.finfo(a.dtype).eps * bound).all(), error.max()


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.mark.parametrize("layouts", ["nn", "nt", "tn", "tt", "sn", "ns", "st", "rr"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matmul(size, layouts, dtype):
    rng = np.random.default_rng(sum(size))
    M, N, K = size
    a, b = strided(rng, (M, K), dtype, layouts[0]), strided(rng, (K, N), dtype, layouts[1])
    bias = rng.standard_normal(N).astype(dtype)
    assert_product(gemm.matmul(a, b, None), a, b)
    assert_product(gemm.matmul(a, b, bias), a, b, bias.astype(np.float64))
    out = rng.standard_normal((M, N)).astype(dtype)
    start = out.astype(np.float64)
    gemm.matmul_into(a, b, out, True)
    assert_product(out, a, b, start)
    gemm.matmul_into(a, b, out, False)
    assert_product(out, a, b)


@pytest.mark.parametrize("layouts", ["nn", "nt", "tn", "ss"])
@pytest.mark.parametrize(("left", "right"), BATCHES)
def test_batched(left, right, layouts, dtype):
    rng = np.random.default_rng(1)
    a, b = strided(rng, left, dtype, layouts[0]), strided(rng, right, dtype, layouts[1])
    bias = rng.standard_normal(right[-1]).astype(dtype)
    assert_product(gemm.matmul(a, b, None), a, b)
    assert_product(gemm.matmul(a, b, bias), a, b, bias.astype(np.float64))


@pytest.mark.parametrize("size", [(5, 7, 9), (37, 41, 1), (3, 5, 20011), (2, 2, 3)], ids=str)
@pytest.mark.parametrize("form", ["full", "transposed", "row", "column", "steps"])
def test_addend(size, form, dtype):
    rng = np.random.default_rng(4)
    (M, N, K), batch = size, 3
    a, b = rng.standard_normal((batch, M, K)).astype(dtype), rng.standard_normal((batch, K, N)).astype(dtype)
    normal = lambda *shape: rng.standard_normal(shape).astype(dtype)  # noqa: E731
    e = {
        "full": normal(batch, M, N),
        "transposed": normal(batch, N, M).swapaxes(1, 2),
        "row": np.broadcast_to(normal(1, 1, N), (batch, M, N)),
        "column": np.broadcast_to(normal(M, 1), (batch, M, N)),
        "steps": normal(batch, 2 * M, N)[:, ::-2],
    }[form]
    assert_product(gemm.matmul(a, b, e), a, b, e.astype(np.float64))
    assert_product(gemm.matmul(a[0], b[0], e[0]), a[0], b[0], e[0].astype(np.float64))


def test_expanded_and_misaligned_operands(dtype):
    rng = np.random.default_rng(2)
    b = rng.standard_normal((6, 5)).astype(dtype)
    row, column = rng.standard_normal((1, 6)).astype(dtype), rng.standard_normal((4, 1)).astype(dtype)
    for a in (np.broadcast_to(row, (4, 6)), np.broadcast_to(column, (4, 6)), np.broadcast_to(column, (3, 4, 6))):
        assert_product(gemm.matmul(a, b, None), a, b)
    packed = np.zeros(8, dtype=[("gap", "u1"), ("value", dtype, (6,))])
    packed["value"] = rng.standard_normal((8, 6))
    assert_product(gemm.matmul(packed["value"], b, None), packed["value"], b)


def test_nan_and_inf_stay_where_they_belong(dtype):
    a, b = np.ones((20, 40), dtype), np.ones((40, 37), dtype)
    a[3, 5], b[7, 36] = np.nan, np.inf
    out = gemm.matmul(a, b, None)
    expected = np.full((20, 37), 40.0)
    expected[:, 36] = np.inf
    expected[3] = np.nan
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("size", [(1, 300, 300, 300), (1, 64, 784, 500), (1, 3000, 10, 300), (1, 1, 4000, 700), (1, 3000, 1, 900),
                                  (1, 1, 1, 70001), (1, 515, 97, 300), (9, 70, 90, 110),
                                  (1, 9, 17, 70001), (3, 5, 8, 90001), (1, 900, 700, 1)], ids=str)  # fmt: skip
@pytest.mark.parametrize("layouts", ["nn", "nt", "tn"])
def test_bits_do_not_depend_on_threads(size, layouts, dtype):
    rng = np.random.default_rng(3)
    batch, M, N, K = size
    a, b = strided(rng, (batch, M, K), dtype, layouts[0]), strided(rng, (batch, K, N), dtype, layouts[1])
    before = threads.get_num_threads()
    try:
        results = []
        for n in (1, 2, 3):
            threads.set_num_threads(n)
            results.append(gemm.matmul(a, b, None))
    finally:
        threads.set_num_threads(before)
    assert_product(results[0], a, b)
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


@pytest.mark.parametrize("isa", ["v2", "v3", "v4"])
def test_every_instruction_set(isa):
    check_at(isa, __file__, "test_matmul or test_batched or test_bits")
