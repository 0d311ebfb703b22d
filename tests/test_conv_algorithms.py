"""The fast algorithms of convolution against the definition in float64, over random geometry: values, error bounds, NaN, threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad._ext import conv
from minigrad._ext.threads import get_num_threads, set_num_threads, set_parallel_threshold
from tests.fuzz import fuzz
from tests.test_conv_kernels import axis, geometry, naive, reads, zeros_around
from tests.test_conv_kernels import check as check_by_definition

# max|y - exact| / max|exact|: what minigrad.backends tells of large results, and as much again for small ones
BOUND = {4: 8e-6, 2: 2e-6, 0: 6e-6}


def three(dtype, batch, channels, filters, groups, axes, seed=0, spoil=None):
    """y, gx and gw of random arrays; with `spoil`, a value at one place of x, g and w."""
    rng = np.random.default_rng(seed)
    image, kernel, out = ([a[i] for a in axes] for i in range(3))
    arrays = [
        (batch, channels, *image),
        (filters, channels // groups, *kernel),
        (batch, filters, *out),
        (filters,),
        (channels,),
    ]
    x, w, g, bias, back = (rng.standard_normal(shape, np.float32).astype(dtype) for shape in arrays)
    if spoil is not None:
        for array in (x, w, g)[spoil[0] : spoil[0] + 1]:
            array[np.unravel_index(spoil[1] % array.size, array.shape)] = spoil[2]
    y, gx, gw = (np.full(a.shape, -1, dtype) for a in (g, x, w))
    numbers = geometry(groups, axes)
    conv.conv(x, w, bias, y, numbers)
    conv.conv_transpose(g, w, back, gx, numbers)
    conv.conv_weight(x, g, gw, numbers)
    return y, gx, gw


def plans(batch, channels, filters, groups, axes, is_float=True):
    numbers = geometry(groups, axes)
    return [conv.plan(numbers, batch, channels, filters, direction, is_float) for direction in range(3)]


def check(*sizes, tile=4, seed=0):
    with mg.backends.winograd.flags(tile):
        results, algorithms = three(np.float32, *sizes, seed=seed), plans(*sizes)
    for result, exact, algorithm in zip(results, three(np.float64, *sizes, seed=seed), algorithms):
        bound = BOUND[tile if algorithm == "winograd" else 0]
        assert np.abs(result - exact).max() <= bound * np.abs(exact).max()


WINOGRAD = {  # batch, C, O, groups, axes
    "one tile": (1, 32, 32, 1, [axis(4, 3, 1, 1), axis(4, 3, 1, 1)]),
    "few tiles, many channels": (3, 130, 100, 1, [axis(9, 3, 1, 1), axis(7, 3, 1, 2)]),
    "tiles low and narrow": (5, 50, 70, 1, [axis(7, 3, 1, 1), axis(10, 3, 1, 1)]),
    "tiles low": (2, 40, 64, 1, [axis(11, 3, 1, 1), axis(8, 3, 1, 1)]),
    "tiles narrow, all of them low": (3, 66, 80, 1, [axis(3, 3, 1, 1), axis(19, 3, 1, 1)]),
    "many tiles": (3, 40, 33, 1, [axis(41, 3, 1, 1), axis(27, 3, 1)]),
    "wide": (2, 17, 70, 1, [axis(5, 3, 1, 1), axis(250, 3, 1, 1)]),
    "padding beyond the kernel": (2, 32, 32, 1, [axis(8, 3, 1, 5), axis(9, 3, 1, 4)]),
    "uneven padding": (2, 32, 32, 1, [axis(8, 3, 1, 0, after=2), axis(13, 3, 1, 2, after=-1)]),
    "long": (2, 64, 64, 1, [axis(12, 3, 1, 1), axis(200, 3, 1, 1)]),
    "groups": (2, 68, 100, 2, [axis(13, 3, 1, 1), axis(8, 3, 1, 1)]),
    "groups, many tiles": (3, 60, 48, 3, [axis(40, 3, 1, 1), axis(27, 3, 1)]),
    "dilated": (2, 36, 50, 1, [axis(23, 3, 1, 2, 2), axis(24, 3, 1, 3, 3)]),
    "dilated along one axis": (1, 32, 32, 1, [axis(12, 3, 1, 1), axis(250, 3, 1, 2, 2)]),
    "three axes": (2, 18, 36, 1, [axis(5, 3, 1, 1), axis(8, 3, 1, 1), axis(12, 3, 1)]),
    "three axes, all of it": (2, 64, 56, 2, [axis(7, 2, 1, 3, 2), axis(15, 3, 1, 2, 2), axis(16, 3, 1, 1)]),
    "planes": (1, 32, 32, 1, [axis(6, 1, 1, 1), axis(8, 3, 1, 1), axis(8, 3, 1, 1)]),
}
WINOGRAD_5X5 = {  # by F(2x2, 5x5): not with tiles of 2
    "5x5": (3, 33, 50, 1, [axis(13, 5, 1, 2), axis(18, 5, 1, 2)]),
    "5x5, many channels": (2, 140, 70, 1, [axis(9, 5, 1, 4), axis(8, 5, 1, 0, after=3)]),
    "5x5, all of it": (2, 32, 48, 2, [axis(4, 5, 1, 2), axis(12, 5, 1, 2), axis(30, 5, 1, 4, 2)]),
}


def chosen(name, tile):
    """A convolution, and that Winograd's algorithm computes it or a gradient of it."""
    sizes = {**WINOGRAD, **WINOGRAD_5X5}[name]
    with mg.backends.winograd.flags(tile):
        assert "winograd" in plans(*sizes)
    return sizes


winograd_cases = pytest.mark.parametrize(
    ("name", "tile"), [(name, tile) for name in WINOGRAD for tile in (4, 2)] + [(name, 4) for name in WINOGRAD_5X5]
)


@winograd_cases
def test_winograd(name, tile):
    check(*chosen(name, tile), tile=tile)


@st.composite
def winograd_axes(draw):
    """Two or three axes with kernels of 3 or 5 along the last two."""
    kernel, depth = draw(st.sampled_from([3, 3, 5])), []
    if draw(st.booleans()):
        taps, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        size = (taps - 1) * dilation + draw(st.integers(1, 4))
        depth.append(axis(size, taps, 1, draw(st.integers(0, 3)), dilation, draw(st.integers(0, 3))))
    for _ in range(2):
        dilation = draw(st.integers(1, 3))
        size = (kernel - 1) * dilation + draw(st.integers(1, 30))
        depth.append(axis(size, kernel, 1, draw(st.integers(0, 6)), dilation, draw(st.integers(0, 6))))
    return depth


@fuzz(30)
@given(
    st.integers(1, 3),
    st.integers(16, 80),
    st.integers(16, 80),
    st.integers(1, 3),
    winograd_axes(),
    st.sampled_from([4, 2]),
    st.integers(0, 2**32 - 1),
)
def test_winograd_of_any_size(batch, channels, filters, groups, axes, tile, seed):
    check(batch, channels * groups, filters * groups, groups, axes, tile=tile, seed=seed)


@fuzz(15)
@given(
    st.sampled_from(sorted([*WINOGRAD, *WINOGRAD_5X5])),
    st.integers(0, 2),
    st.integers(0, 2**31),
    st.sampled_from([np.nan, np.inf, -np.inf, 1e38]),
)
def test_nan_and_inf_are_where_the_definition_has_them(name, which, place, value):
    sizes = chosen(name, 4)
    results = three(np.float32, *sizes, spoil=(which, place, value))
    with mg.backends.winograd.flags(0):
        expected = three(np.float32, *sizes, spoil=(which, place, value))
    for result, exact in zip(results, expected):
        if value != 1e38:
            np.testing.assert_array_equal(np.isfinite(result), np.isfinite(exact))
        elif np.isfinite(exact).all():  # large, and no overflow by definition: none by a transform either
            assert np.isfinite(result).all()


def same_bits(*sizes):
    """That the results are the same on 1, 2, 3, 4 and 7 threads."""
    before, threshold, expected = get_num_threads(), set_parallel_threshold(0), None
    try:
        for count in (1, 2, 3, 4, 7):
            set_num_threads(count)
            found = [a.tobytes() for a in three(np.float32, *sizes)]
            assert expected is None or found == expected
            expected = found
    finally:
        set_num_threads(before)
        set_parallel_threshold(threshold)


@winograd_cases
def test_winograd_has_the_same_bits_on_any_number_of_threads(name, tile):
    with mg.backends.winograd.flags(tile):
        same_bits(*chosen(name, tile))


DEPTHWISE = {
    "3x3": (3, 5, 5, 5, [axis(9, 3, 1, 1), axis(21, 3, 1, 1)]),
    "3x3 stride 2": (2, 3, 3, 3, [axis(13, 3, 2, 1), axis(70, 3, 2, 0)]),
    "5x5": (1, 2, 2, 2, [axis(301, 5, 1, 2), axis(90, 5, 1, 4)]),
    "3x3 stride 2, paddings even and odd": (2, 3, 3, 3, [axis(14, 3, 2, 2), axis(67, 3, 2, 1)]),
    "5x5 stride 2, paddings odd and even": (1, 2, 2, 2, [axis(11, 5, 2, 1), axis(18, 5, 2, 4)]),
    "5x5 stride 2": (2, 17, 17, 17, [axis(33, 5, 2, 2), axis(35, 5, 2, 1)]),
    "7x7": (2, 3, 3, 3, [axis(15, 7, 1, 3), axis(37, 7, 1, 3)]),
    "7x7 stride 2, paddings odd and even": (2, 3, 3, 3, [axis(16, 7, 2, 3), axis(41, 7, 2, 2)]),
    "padding beyond the kernel": (1, 2, 2, 2, [axis(5, 3, 1, 6), axis(6, 3, 1, 4)]),
    "uneven padding": (1, 2, 2, 2, [axis(9, 3, 1, 0, after=3), axis(16, 3, 1, 2, after=-1)]),
}


@pytest.mark.parametrize("name", DEPTHWISE)
def test_depthwise(name):
    assert {*plans(*DEPTHWISE[name]), *plans(*DEPTHWISE[name], is_float=False)} == {"depthwise"}
    batch, channels, _, _, axes = DEPTHWISE[name]
    for dtype in (np.float32, np.float64):
        check_by_definition(dtype, batch, 1, 1, channels, axes)
    same_bits(*DEPTHWISE[name])


@fuzz(25)
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.sampled_from([3, 5, 7]),
    st.integers(1, 2),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=2),
    st.integers(0, 2**32 - 1),
)
def test_depthwise_of_any_size(batch, channels, kernel, stride, sides, seed):
    axes = [axis(kernel + size, kernel, stride, before, after=after) for size, before, after in sides]
    check_by_definition(np.float32, batch, 1, 1, channels, axes, seed)


SMALL = {  # and the algorithms of the forward direction and of the gradient of x
    "LeNet": (3, 6, 16, 1, [axis(12, 5), axis(12, 5)], ["small", "columns"]),
    "padded": (2, 15, 30, 1, [axis(9, 3, 1, 1), axis(16, 5, 1, 2)], ["small", "small"]),
    "one line": (9, 5, 16, 1, [axis(1, 1), axis(20, 4, 1, 1)], ["small", "strip"]),
    "many images": (11, 3, 32, 1, [axis(8, 3), axis(10, 3)], ["small", "columns"]),
    "wide": (2, 2, 48, 1, [axis(6, 3), axis(34, 19)], ["small", "columns"]),
    "padding beyond the kernel": (2, 3, 16, 1, [axis(2, 3, 1, 4), axis(4, 3, 1, 3)], ["small", "strip"]),
    "uneven padding": (2, 16, 16, 1, [axis(10, 3, 1, 0, after=2), axis(16, 2, 1, 1, after=0)], ["small", "small"]),
    "stride 2": (9, 16, 30, 1, [axis(8, 3, 2, 1), axis(13, 3, 2, 1)], ["small", "small"]),
    "transposed, stride 2": (2, 16, 16, 1, [axis(16, 4, 2, 1), axis(18, 4, 2, 1)], ["small", "small"]),
    "a phase without taps": (3, 16, 16, 1, [axis(9, 1, 2), axis(15, 1, 2)], ["small", "small"]),
    "images that share tiles": (71, 14, 15, 1, [axis(4, 3, 2, 1), axis(3, 3, 2, 1)], ["small", "small"]),
    "points alone": (10, 18, 31, 1, [axis(7, 1), axis(9, 1)], ["small", "strip"]),
}


@pytest.mark.parametrize("name", SMALL)
def test_small_images(name):
    batch, channels, filters, groups, axes, expected = SMALL[name]
    with mg.backends.winograd.flags(0):
        assert plans(batch, channels, filters, groups, axes)[:2] == expected
        for dtype in (np.float32, np.float64):
            check_by_definition(dtype, batch, channels, filters, 1, axes)
        same_bits(batch, channels, filters, groups, axes)


POINTWISE = {
    "images": (9, 20, 33, 1, [axis(14, 1), axis(14, 1)]),
    "one large image": (1, 9, 8, 1, [axis(31, 1), axis(63, 1)]),
    "channels beyond a block of a product": (6, 300, 14, 1, [axis(13, 1), axis(15, 1)]),
    "groups": (9, 24, 48, 3, [axis(11, 1), axis(15, 1)]),
    "lines": (10, 17, 10, 1, [axis(111, 1)]),
    "volumes": (3, 16, 29, 1, [axis(7, 1), axis(9, 1), axis(6, 1)]),
}


@pytest.mark.parametrize("name", POINTWISE)
def test_kernels_of_one_point(name):
    batch, channels, filters, groups, axes = POINTWISE[name]
    assert plans(*POINTWISE[name])[:2] == ["pointwise", "pointwise"]
    check_by_definition(np.float32, batch, channels // groups, filters // groups, groups, axes)
    same_bits(*POINTWISE[name])


PATCHES = {  # and the algorithm of the forward direction
    "16x16": (3, 3, 40, 1, [axis(48, 16, 16), axis(112, 16, 16)], "patches"),
    "lines beyond a vector, more elements than are multiplied at a time": (
        2,
        3,
        9,
        1,
        [axis(36, 9, 9), axis(80, 20, 20)],
        "patches",
    ),
    "many small images": (41, 2, 15, 1, [axis(4, 1, 1), axis(32, 8, 8)], "patches"),
    "4x4": (2, 5, 17, 1, [axis(20, 4, 4), axis(24, 4, 4)], "strip"),
    "2x2": (2, 16, 29, 1, [axis(34, 2, 2), axis(36, 2, 2)], "strip"),
    "volumes": (2, 3, 8, 1, [axis(4, 2, 2), axis(6, 3, 3), axis(16, 2, 2)], "strip"),
    "lines": (2, 9, 16, 1, [axis(160, 10, 10)], "patches"),
    "pieces": (1, 17, 16, 1, [axis(80, 8, 8), axis(120, 8, 8)], "patches"),
}


@pytest.mark.parametrize("name", PATCHES)
def test_patches(name):
    *sizes, forward = PATCHES[name]
    batch, channels, filters, groups, axes = sizes
    assert plans(*sizes)[:2] == [forward, "patches"]
    assert "patches" not in plans(*sizes, is_float=False)
    check(*sizes)
    check_by_definition(np.float32, batch, channels, filters, groups, axes)
    same_bits(*sizes)


FEW_FILTERS = {  # whose gradient of w has points in its lanes
    "LeNet": (33, 1, 6, 1, [axis(28, 5), axis(28, 5)]),
    "an output beyond three": (3, 2, 7, 1, [axis(9, 3, 1, 1), axis(33, 3, 1, 1)]),
    "stride 2 and groups": (2, 6, 10, 2, [axis(13, 3, 2, 1), axis(63, 5, 2, 0)]),
    "tiles": (1, 2, 5, 1, [axis(301, 4, 1, 1), axis(307, 4, 1, 0)]),
}


@pytest.mark.parametrize("name", FEW_FILTERS)
def test_few_filters(name):
    batch, channels, filters, groups, axes = FEW_FILTERS[name]
    for dtype in (np.float32, np.float64):
        check_by_definition(dtype, batch, channels // groups, filters // groups, groups, axes)
    same_bits(*FEW_FILTERS[name])
    for which in (0, 2):  # a NaN at the end of a line of x and g reaches the weights that it is multiplied with, and no other
        found, exact = (three(dtype, *FEW_FILTERS[name], spoil=(which, -1, np.nan))[2] for dtype in (np.float32, np.float64))
        np.testing.assert_array_equal(np.isnan(found), np.isnan(exact))


def small_side(stride):
    sizes = st.tuples(st.integers(0, 16), st.integers(1, 6), st.integers(0, 3), st.integers(0, 3))
    return sizes.map(lambda a: axis(a[0] + a[1], a[1], stride, a[2], after=a[3]))


small_sides = st.integers(1, 2).flatmap(lambda stride: st.tuples(small_side(stride), small_side(stride)))


@fuzz(20)
@given(st.integers(1, 10), st.integers(1, 20), st.sampled_from([8, 15, 16, 31, 32]), small_sides, st.integers(0, 99))
def test_small_images_of_any_size(batch, channels, filters, sides, seed):
    check_by_definition(np.float32, batch, channels, filters, 1, list(sides), seed)


@pytest.mark.parametrize("name", ["LeNet", "padded", "many images"])
def test_a_nan_reaches_its_surroundings_of_a_small_image_and_nothing_else(name):
    batch, channels, filters, _, axes, _ = SMALL[name]
    image, kernel, out = ([a[i] for a in axes] for i in range(3))
    x, w, g = np.zeros((batch, channels, *image)), np.ones((filters, channels, *kernel)), np.zeros((batch, filters, *out))
    x[1, 1, 2, 3] = g[1, 3, 1, 2] = 1
    expected_y, expected_gx = naive(x, w, 1, axes) > 0, np.zeros_like(x)
    conv.conv_transpose(g, w, None, expected_gx, geometry(1, axes))  # in float64, of finite numbers
    x[1, 1, 2, 3] = g[1, 3, 1, 2] = np.nan
    y, gx = g.astype(np.float32), x.astype(np.float32)
    conv.conv(x.astype(np.float32), w.astype(np.float32), None, y, geometry(1, axes))
    np.testing.assert_array_equal(np.isnan(y), expected_y)
    conv.conv_transpose(g.astype(np.float32), w.astype(np.float32), None, gx, geometry(1, axes))
    np.testing.assert_array_equal(np.isnan(gx), expected_gx > 0)


@pytest.mark.parametrize("name", DEPTHWISE)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_nan_reaches_what_reads_it_and_nothing_else(name, value):
    batch, channels, _, _, axes = DEPTHWISE[name]
    image, kernel, out = ([a[i] for a in axes] for i in range(3))
    for place in ((0, 0), (image[0] // 2, image[1] // 2), (image[0] - 1, image[1] - 1)):
        x, w, g = np.zeros((batch, channels, *image)), np.ones((channels, 1, *kernel)), np.ones((batch, channels, *out))
        x[0, 1, place[0], place[1]] = 1
        padded, inside = zeros_around(x, axes)
        padded[inside] = x
        expected_y = naive(x, w, channels, axes) > 0
        expected_gw = np.array([padded[(..., *reads(tap, axes))].any((0, 2, 3)) for tap in np.ndindex(*kernel)])
        x[0, 1, place[0], place[1]] = value
        y, gw = g.astype(np.float32), w.astype(np.float32)
        conv.conv(x.astype(np.float32), w.astype(np.float32), None, y, geometry(channels, axes))
        conv.conv_weight(x.astype(np.float32), g.astype(np.float32), gw, geometry(channels, axes))
        np.testing.assert_array_equal(~np.isfinite(y), expected_y)
        np.testing.assert_array_equal(~np.isfinite(gw.reshape(channels, -1)), expected_gw.T)


def test_what_winograd_is_never_used_for():
    size = axis(12, 3, 1, 1)
    assert plans(2, 64, 64, 1, [size, size]) == ["winograd"] * 3
    others = {
        "float64": plans(2, 64, 64, 1, [size, size], is_float=False),
        "few channels": plans(2, 3, 64, 1, [size, size]),
        "few channels in a group": plans(2, 64, 64, 8, [size, size]),
        "stride": plans(2, 64, 64, 1, [size, axis(12, 3, 2, 1)]),
        "stride along depth": plans(2, 64, 64, 1, [axis(12, 3, 2, 1), size, size]),
        "dilation that its tiles do not fill": plans(2, 64, 64, 1, [axis(12, 3, 1, 5, 5), axis(12, 3, 1, 5, 5)]),
        "kernel": plans(2, 64, 64, 1, [size, axis(12, 5, 1, 1)]),
        "4x4": plans(2, 64, 64, 1, [axis(12, 4, 1, 1), axis(12, 4, 1, 1)]),
        "one axis": plans(2, 64, 64, 1, [size]),
    }
    with mg.backends.winograd.flags(0):
        others["off"] = plans(2, 64, 64, 1, [size, size])
        others["off, 5x5"] = plans(2, 64, 64, 1, [axis(12, 5, 1, 2), axis(12, 5, 1, 2)])
    with mg.backends.winograd.flags(2):
        others["5x5 with tiles of 2"] = plans(2, 64, 64, 1, [axis(12, 5, 1, 2), axis(12, 5, 1, 2)])
    assert {name: plan for name, plan in others.items() if "winograd" in plan} == {}


def test_the_switch():
    winograd = mg.backends.winograd
    assert winograd.tile == 4
    with winograd.flags(tile=2):
        assert winograd.tile == 2
        with pytest.raises(KeyError), winograd.flags(0):
            raise KeyError
        assert winograd.tile == 2
    winograd.tile = 0
    assert winograd.tile == 0
    winograd.tile = 4
    for wrong in (3, True, "4", None, 6):
        with pytest.raises(ValueError, match=r"winograd\.tile must be 4, 2 or 0"):
            winograd.tile = wrong
    assert winograd.tile == 4
