"""Copies between layouts, rows and elements by index, beside numpy; and which reshapes are views."""

import math

import numpy as np
import pytest

import minigrad
from minigrad._ext import arrange, index, views
from minigrad.ops.shape import _can_view
from tests import isa


def layouts(count, largest):
    """Arrays of random dtype and layout: permuted, sliced with steps of either sign, expanded."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        ndim = int(rng.integers(0, 6))
        shape = rng.integers(1, largest if ndim < 4 else 7, ndim)
        x = np.asarray(rng.integers(0, 100, shape)).astype(rng.choice(["f4", "f8", "u1", "i2", "?"]))
        x = x.transpose(rng.permutation(ndim))
        x = x[tuple(slice(None, None, int(rng.choice([1, 1, 2, -1, -2]))) for _ in range(ndim))]
        yield np.broadcast_to(x, (3, *x.shape)) if rng.random() < 0.3 else x


@pytest.mark.parametrize("largest", [7, 80])
def test_copies_of_any_layout(largest):
    for x in layouts(300, largest):
        x = np.asarray(x)
        y = arrange.copied(x)
        assert y.flags.c_contiguous
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y, x)
        out = np.zeros(x.shape[::-1], x.dtype).T
        arrange.copy_into(out, x)
        np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_copies_that_are_cut_into_pieces(dtype):
    x = np.random.default_rng(0).integers(0, 100, (3, 150_001)).astype(dtype)
    for view in (x, x[:, ::-1], x[:, ::2], x[::-1, 1:], x[0], x[0, ::-1], np.broadcast_to(x[:, :1], x.shape), x[:, :70_000]):
        np.testing.assert_array_equal(arrange.copied(view), view)


def test_a_copy_between_arrays_that_overlap_reads_before_it_writes():
    for step in (1, -1):
        x = np.arange(1000, dtype=np.float32)
        arrange.copy_into(x[1:], x[:-1][::step])
        np.testing.assert_array_equal(x[1:], np.arange(999)[::step])


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int16, np.bool_])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_join(dtype, axis):
    rng = np.random.default_rng(0)
    parts = []
    for size in (3, 0, 1, 70):
        shape = [5, 41, 6]
        shape[axis] = size
        parts.append(rng.integers(0, 2, shape[::-1]).astype(dtype).T)
    expected = np.concatenate(parts, axis)
    np.testing.assert_array_equal(arrange.joined(axis, *parts), expected, strict=True)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_stack(axis):
    parts = [np.random.default_rng(i).integers(0, 100, (6, 41, 5)).astype(np.float32).transpose(2, 1, 0) for i in range(3)]
    np.testing.assert_array_equal(arrange.stacked(axis, *parts), np.stack(parts, axis), strict=True)


def test_join_of_many_parts():
    rng = np.random.default_rng(0)
    for count in (15, 16, 17, 100):
        parts = [rng.integers(0, 100, (5, int(rng.integers(0, 4)), 3)).astype(np.float32) for _ in range(count)]
        expected = np.concatenate(parts, 1)
        np.testing.assert_array_equal(arrange.joined(1, *parts), expected, strict=True)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int16, np.bool_])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (5,), (3, 0, 2), (37, 70, 11), (2,) * 6, (300, 301)])
def test_rolls_flips_and_entries(shape, dtype):
    rng = np.random.default_rng(0)
    given = rng.integers(0, 2 if dtype == np.bool_ else 100, shape).astype(dtype)
    for x in (given, given.T, given[..., ::-1] if shape else given):
        axes = tuple(range(x.ndim))
        for _ in range(3):
            moves = tuple(int(rng.integers(0, n)) if n else 0 for n in x.shape)
            some = tuple(d for d in axes if rng.random() < 0.5)
            for out, expected in [
                (arrange.rolled(x, moves), np.roll(x, moves, axes) if axes else x),
                (arrange.flipped(x, some), np.flip(x, some)),
            ]:
                np.testing.assert_array_equal(out, expected, strict=True)
                assert out.flags.c_contiguous
                assert not np.shares_memory(out, x)
        for axis in axes:
            parts = views.entries(x, axis)
            assert len(parts) == x.shape[axis]
            for i, view in enumerate(parts):
                np.testing.assert_array_equal(view, x.take(i, axis), strict=True)
                assert np.shares_memory(view, x) == (view.size > 0)
                assert view.flags.writeable
            if parts:
                np.testing.assert_array_equal(arrange.stacked(axis, *parts), x)
            sizes = [x.shape[axis] // 3, 0, x.shape[axis] - x.shape[axis] // 3]
            for view, expected in zip(views.pieces(x, sizes, axis), np.split(x, np.cumsum(sizes[:-1]), axis), strict=True):
                np.testing.assert_array_equal(view, expected, strict=True)
                assert view.size == 0 or np.shares_memory(view, x)


def test_entries_of_what_cannot_be_written():
    x = np.broadcast_to(np.float32(1), (3, 4))
    assert not any(view.flags.writeable for view in views.entries(x, 0))


@pytest.mark.parametrize("level", ["v2", "v3"])
def test_other_instruction_sets(level):
    isa.check_at(level, __file__, "not other_instruction_sets and not joining")


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "i2", "?"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (5, 1, 7), (300, 301)])
def test_filled(shape, dtype):
    out = arrange.filled(shape, 1.75, np.dtype(dtype))
    assert out.flags.c_contiguous
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, np.full(shape, 1.75, dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int16, np.bool_])
@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 5), (7, 1), (1, 7), (0, 3), (3, 0), (260, 270)])
def test_triangle(shape, dtype):
    x = np.random.default_rng(0).integers(1, 100, shape).astype(dtype)
    rows, columns = shape[-2:]
    for diagonal in {-rows, -rows + 1, -1, 0, 1, columns - 1, columns} & set(range(-rows, columns + 1)):
        np.testing.assert_array_equal(arrange.triangle(x, True, diagonal), np.tril(x, diagonal))
        np.testing.assert_array_equal(arrange.triangle(x, False, diagonal), np.triu(x, diagonal + 1))


def test_copies_only_between_equals():
    with pytest.raises(ValueError, match="copy_into"):
        arrange.copy_into(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="copy_into"):
        arrange.copy_into(np.zeros(3), np.zeros(3, np.float32))


def test_a_reshape_is_a_view_where_numpys_is():
    rng = np.random.default_rng(1)
    for x in layouts(500, 7):
        if x.ndim == 0:
            continue
        shape = list(x.shape)
        at = int(rng.integers(0, len(shape)))
        if len(shape) > 1 and rng.random() < 0.7:
            shape[at : at + 2] = [int(np.prod(shape[at : at + 2]))]
        else:
            shape[at : at + 1] = [2, shape[at] // 2] if shape[at] % 2 == 0 else [shape[at], 1]
        assert _can_view(x, tuple(shape)) == np.may_share_memory(x.reshape(shape), x), (x.shape, x.strides, shape)


def test_conversions_between_floats():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal(10001), [np.inf, -np.inf, np.nan, 1e300, 1e-50, -0.0]])
    with np.errstate(over="ignore"):
        narrow = x.astype(np.float32)
    np.testing.assert_array_equal(arrange.converted(x, np.dtype(np.float32)), narrow)
    np.testing.assert_array_equal(arrange.converted(narrow, np.dtype(np.float64)), narrow.astype(np.float64))
    np.testing.assert_array_equal(arrange.converted(narrow[:5000:3], np.dtype(np.int64)), narrow[:5000:3].astype(np.int64))


@pytest.mark.parametrize("source", [np.int64, np.uint8, np.bool_, np.int32])
@pytest.mark.parametrize("target", [np.float32, np.float64])
def test_conversions_of_integers_to_floats(source, target):
    rng = np.random.default_rng(0)
    bounds = (0, 2) if source is np.bool_ else (np.iinfo(source).min, np.iinfo(source).max)
    x = rng.integers(*bounds, 70001).astype(source)
    x[:2] = bounds[0], bounds[1] - 1
    for part in (x, x[:0], x[:1], x[1:], x[::3], x[:24].reshape(2, 3, 4)):
        out = arrange.converted(part, np.dtype(target))
        assert out.dtype == target
        assert out.flags.c_contiguous
        np.testing.assert_array_equal(out, part.astype(target))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sizes", [(1,), (5, 5), (1, 40, 3), tuple(range(20)), (0, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_joining_cuts_all_parts_into_the_same_slices(axis, sizes, dtype):
    rng = np.random.default_rng(0)
    shape = [9, 65, 33]
    parts = []
    for size in sizes:
        shape[axis] = size
        parts.append(rng.integers(0, 200, shape).astype(dtype))
    want = np.concatenate(parts, axis)
    np.testing.assert_array_equal(arrange.joined(axis, *parts), want, strict=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint8])
@pytest.mark.parametrize(
    ("outer", "size", "inner", "count"), [(1, 7, 5, 20), (3, 50, 1, 9000), (2, 9, 33, 4), (0, 3, 2, 4), (2, 3, 4, 0)]
)
def test_rows(dtype, outer, size, inner, count):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, (outer, size, inner)).astype(dtype)
    at = rng.integers(0, size, count)
    rows = index.take_rows(x, at, 1, 1)
    np.testing.assert_array_equal(rows, x[:, at])
    if x.itemsize > 1:
        expected = x.copy()
        np.add.at(expected, (slice(None), at), rows)
        np.testing.assert_array_equal(index.add_rows(x, x.shape, rows, at, 1, 1), expected)
        np.testing.assert_allclose(index.add_rows(None, x.shape, rows, at, 1, 1), expected - x)
    for bad in (-1, size):
        if count:
            outside = np.append(at[1:], bad)
            assert index.take_rows(x, outside, 1, 1) is None
            assert x.itemsize == 1 or index.add_rows(x, x.shape, rows, outside, 1, 1) is None


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint8])
@pytest.mark.parametrize(
    ("shape", "dim", "merged", "count"), [((3, 50, 40, 2), 1, 2, 9000), ((7, 5), 0, 1, 20), ((200, 3, 11), 1, 1, 6)]
)
def test_rows_that_are_replaced(dtype, shape, dim, merged, count, threads):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, shape).astype(dtype)
    at = rng.integers(0, math.prod(shape[dim : dim + merged]), count)
    rows = rng.integers(100, 200, (*shape[:dim], count, *shape[dim + merged :])).astype(dtype)
    expected = x.copy().reshape(*shape[:dim], -1, *shape[dim + merged :])
    for i in range(count):
        expected[(slice(None),) * dim + (at[i],)] = rows[(slice(None),) * dim + (i,)]
    before = minigrad.get_num_threads()
    minigrad.set_num_threads(threads)
    try:
        found = index.put_rows(x, rows, at, dim, merged, False)
        assert not np.shares_memory(found, x)
        assert index.put_rows(x, rows, at, dim, merged, True) is x
    finally:
        minigrad.set_num_threads(before)
    np.testing.assert_array_equal(found, expected.reshape(shape))
    np.testing.assert_array_equal(x, found)
    assert index.put_rows(x, rows, at - at.max() - 1, dim, merged, False) is None


def test_places_in_several_dimensions():
    rng = np.random.default_rng(0)
    first, second = rng.integers(-7, 7, (90, 101)), rng.integers(-30, 30, (90, 101))
    expected = np.ravel_multi_index((first % 7, second % 30), (7, 30))
    np.testing.assert_array_equal(index.merged([first, second], [7, 30]), expected)
    for worst in (30, -31):
        second[-1, -1] = worst
        assert index.merged([first, second], [7, 30]) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize(
    ("outer", "size", "inner", "count"), [(1, 7, 5, 20), (60, 50, 1, 500), (2, 9, 33, 4), (0, 3, 2, 4), (2, 3, 4, 0)]
)
def test_elements(dtype, outer, size, inner, count):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((outer, size, inner)) * 2.0**20).astype(dtype)
    at = rng.integers(0, size, (outer, count, inner))
    found = index.gather(x, at, outer, size, inner)
    np.testing.assert_array_equal(found, np.take_along_axis(x, at, 1))
    put = index.scatter(x, x.shape, found * 2, at, outer, size, inner, False)
    added = index.scatter(x, x.shape, found, at, outer, size, inner, True)
    alone = index.scatter(None, x.shape, found, at, outer, size, inner, False)
    np.put_along_axis(x_put := x.copy(), at, found * 2, 1)
    np.testing.assert_array_equal(put, x_put)
    grid = np.ogrid[:outer, :count, :inner]
    expected = x.copy()
    np.add.at(expected, (grid[0], at, grid[2]), found)
    np.testing.assert_array_equal(added, expected)
    hole = np.zeros_like(x)
    np.put_along_axis(hole, at, found, 1)
    np.testing.assert_array_equal(alone, hole)
    for bad in (-1, size):
        if at.size:
            at.flat[-1] = bad
            assert index.gather(x, at, outer, size, inner) is None
            assert index.scatter(x, x.shape, found, at, outer, size, inner, True) is None


@pytest.mark.parametrize("n", [0, 1, 1000])
def test_places_of_a_mask(n):
    mask = np.random.default_rng(0).random(n) < 0.3
    np.testing.assert_array_equal(index.places(mask), np.flatnonzero(mask))
    np.testing.assert_array_equal(index.places(np.ones(n, bool)), np.arange(n))


@pytest.mark.parametrize("source", ["float32", "float64", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("target", ["float32", "float64", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("n", [0, 1, 37, 50_001])
def test_conversions_are_numpys(source, target, n):
    x = np.random.default_rng(0).integers(-100, 100, n)
    x = (np.abs(x) if source == "uint8" else x % 2 if source == "bool" else x).astype(source)
    if n and source.startswith("float"):
        x[-1] = -0.0
        if target not in ("int64", "int32", "uint8"):
            x[: n // 2] += np.nan if target == "bool" else 0.1
        elif target == "uint8":
            x = np.abs(x)
    if n and source == "int64":
        x[0] = 2**53 + 1
    out = arrange.converted(x, np.dtype(target))
    assert out.dtype == target
    np.testing.assert_array_equal(out, x.astype(target))
