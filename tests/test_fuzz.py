"""Convolutions, pooling and resizing of any geometry: values and gradients against naive oracles and PyTorch, and its errors.

MINIGRAD_FUZZ=<cases> sets how many cases each test draws.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import agree, fuzz, in_layout

RANKS = pytest.mark.parametrize("n", [1, 2, 3])
SEEDS = st.integers(0, 2**32 - 2)
LAYOUTS = st.sampled_from(["contiguous", "contiguous", "transposed", "strided"])
DTYPES = st.sampled_from([np.float32, np.float64])
LARGEST = {1: 70, 2: 24, 3: 7}


def each(values, n):
    """An int or a sequence as n ints."""
    values = [values] if isinstance(values, int) else list(values)
    return values * n if len(values) == 1 else values


def rarely(draw, one_in):
    """True once in so many draws."""
    return draw(st.integers(0, one_in - 1)) == one_in - 1


def parameter(draw, n, low, high, wild):
    """An int, or n of them; if wild also out of range, or of the wrong length."""
    one = st.integers(low - 1, high + 3) if wild else st.integers(low, high)
    if draw(st.booleans()):
        return draw(one)
    length = n + (wild and draw(st.integers(-1, 1)))
    return tuple(draw(one) for _ in range(max(length, 1)))


def spatial(draw, n, empty=False):
    large = LARGEST[n]
    size = st.one_of(st.integers(1, 6), st.integers(1, 6), st.integers(0 if empty else 1, large))
    return tuple(draw(size) for _ in range(n))


def lead(draw, channels, wild):
    """(N, C) or (C,): a batch of 0 to 3, or none."""
    if wild and rarely(draw, 6):
        return draw(st.sampled_from([(), (2, 2, channels)]))
    return draw(st.sampled_from([(1, channels), (2, channels), (3, channels), (channels,), (0, channels)]))


def normal(draw, rng, shape, dtype):
    return in_layout(rng.standard_normal(shape).astype(dtype), draw(LAYOUTS))


# Convolutions


def taps(kernel, small, stride, dilation):
    """Each place in a kernel, with what it reads in the padded image."""
    for tap in np.ndindex(*kernel):
        yield tap, (..., *(slice(t * d, t * d + o * s, s) for t, d, o, s in zip(tap, dilation, small, stride)))


def conv_by_taps(x, w, b, g, stride, before, after, dilation, groups):
    """[y, gx, gw, gb] of a convolution of a batch: one einsum for each place in the kernel, over an image with zeros around."""
    batch, kernel = len(x), w.shape[2:]
    small = [
        (n + p + q - d * (k - 1) - 1) // s + 1 for n, p, q, d, k, s in zip(x.shape[2:], before, after, dilation, kernel, stride)
    ]
    padded = np.pad(x, [(0, 0), (0, 0), *((p, q + s) for p, q, s in zip(before, after, stride))])
    inside = (..., *(slice(p, p + n) for p, n in zip(before, x.shape[2:])))
    split = w.reshape(groups, -1, *w.shape[1:])
    y = np.zeros((batch, groups, split.shape[1], *small))
    g = np.zeros_like(y) if g is None else g.reshape(y.shape)
    gpadded, gw = np.zeros_like(padded), np.zeros(split.shape)
    for tap, at in taps(kernel, small, stride, dilation):
        part, weight = padded[at].reshape(batch, groups, w.shape[1], *small), split[(..., *tap)]
        y += np.einsum("ngc...,goc->ngo...", part, weight)
        gpadded[at] += np.einsum("ngo...,goc->ngc...", g, weight).reshape(batch, -1, *small)
        flat = part.reshape(*part.shape[:3], -1), g.reshape(*g.shape[:3], -1)
        gw[(..., *tap)] = np.einsum("ngcp,ngop->goc", *flat)
    y, g = y.reshape(batch, len(w), *small), g.reshape(batch, len(w), *small)
    gb = None if b is None else g.sum((0, *range(2, g.ndim)))
    return [y if b is None else y + b.reshape(-1, *(1,) * len(small)), gpadded[inside], gw.reshape(w.shape), gb]


def transposed_by_taps(x, w, b, g, stride, padding, extra, dilation, groups):
    """[y, gx, gw, gb] of a transposed convolution: each input element adds a scaled kernel to the output."""
    batch, kernel, small = len(x), w.shape[2:], x.shape[2:]
    full = [
        (n - 1) * s + d * (k - 1) + 1 + s + max(e, 2 * p)
        for n, s, d, k, e, p in zip(small, stride, dilation, kernel, extra, padding)
    ]
    sizes = [
        (n - 1) * s - 2 * p + d * (k - 1) + 1 + e for n, s, p, d, k, e in zip(small, stride, padding, dilation, kernel, extra)
    ]
    inside = (..., *(slice(p, p + n) for p, n in zip(padding, sizes)))
    split, x = w.reshape(groups, -1, *w.shape[1:]), x.reshape(batch, groups, -1, *small)
    filters = w.shape[1]
    y, gy = np.zeros((batch, groups * filters, *full)), np.zeros((batch, groups * filters, *full))
    if g is not None:
        gy[inside] = g
    gx, gw = np.zeros(x.shape), np.zeros(split.shape)
    for tap, at in taps(kernel, small, stride, dilation):
        weight, part = split[(..., *tap)], gy[at].reshape(batch, groups, filters, *small)
        y[at] += np.einsum("ngc...,gco->ngo...", x, weight).reshape(batch, -1, *small)
        gx += np.einsum("ngo...,gco->ngc...", part, weight)
        flat = x.reshape(*x.shape[:3], -1), part.reshape(*part.shape[:3], -1)
        gw[(..., *tap)] = np.einsum("ngcp,ngop->gco", *flat)
    y = y[inside]
    gb = None if b is None else gy[inside].sum((0, *range(2, gy.ndim)))
    return [y if b is None else y + b.reshape(-1, *(1,) * len(small)), gx.reshape(batch, -1, *small), gw.reshape(w.shape), gb]


def batched(function, n, x, w, b, g, *geometry):
    """An oracle of batches applied to an input with or without a batch, in float64."""
    alone = x.ndim == n + 1
    x, w, b, g = (None if v is None else v.astype(np.float64) for v in (x, w, b, g))
    results = function(x[None] if alone else x, w, b, g if g is None or not alone else g[None], *geometry)
    return [results[0][0], results[1][0], *results[2:]] if alone else results


@st.composite
def convolutions(draw, n, transposed):
    wild = rarely(draw, 6)
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    inner, outer = (draw(st.one_of(st.integers(1, 4), st.integers(1, 17 if n < 3 else 9))) for _ in range(2))
    if rarely(draw, 5):
        groups, inner, outer = inner * outer, 1, 1  # depthwise
    dtype, rng = draw(DTYPES), np.random.default_rng(draw(SEEDS))
    kernel = tuple(draw(st.integers(1, 5 if n < 3 else 3)) for _ in range(n))
    stride, dilation = parameter(draw, n, 1, 3, wild), parameter(draw, n, 1, 3, wild)
    padding, image = parameter(draw, n, 0, 3, wild), spatial(draw, n, empty=wild)
    if not transposed and not wild:  # grow an image that the kernel does not fit
        needs = [d * (k - 1) + 1 - 2 * p for d, k, p in zip(each(dilation, n), kernel, each(padding, n))]
        image = tuple(max(size, need) for size, need in zip(image, needs))
    if wild and rarely(draw, 3):
        groups += draw(st.integers(-3, 2))
    total = max(groups, 1) * inner + (1 if wild and rarely(draw, 4) else 0)
    x = normal(draw, rng, (*lead(draw, total, wild), *image), dtype)
    first = max(groups, 1) * (inner if transposed else outer) + (1 if wild and rarely(draw, 4) else 0)
    w = normal(draw, rng, (first, outer if transposed else inner, *kernel), dtype)
    filters = w.shape[1] * max(groups, 1) if transposed else w.shape[0]
    b = normal(draw, rng, (filters + (1 if wild and rarely(draw, 6) else 0),), dtype) if draw(st.booleans()) else None
    if transposed:
        extra = parameter(draw, n, 0, 2, wild)
        if not wild:
            most = [max(s, d) - 1 for s, d in zip(each(stride, n), each(dilation, n))]
            extra = tuple(min(e, m) for e, m in zip(each(extra, n), most))
        return x, w, b, {"stride": stride, "padding": padding, "output_padding": extra, "groups": groups, "dilation": dilation}
    if rarely(draw, 4):
        padding = draw(st.sampled_from(["same", "valid", "same", "full"] if wild else ["same", "valid"]))
        if not wild:
            stride = 1 if padding == "same" else stride
    return x, w, b, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@RANKS
@fuzz()
@given(st.data(), SEEDS)
def test_conv(n, data, seed):
    x, w, b, kwargs = data.draw(convolutions(n, False))

    def oracle(g):
        stride, dilation, padding = each(kwargs["stride"], n), each(kwargs["dilation"], n), kwargs["padding"]
        total = [d * (k - 1) for d, k in zip(dilation, w.shape[2:])]
        before = {"same": [t // 2 for t in total], "valid": [0] * n}.get(padding) or each(padding, n)
        after = [t - t // 2 for t in total] if padding == "same" else before
        return batched(conv_by_taps, n, x, w, b, g, stride, before, after, dilation, kwargs["groups"])

    def differs(result):
        """torch does not check every parameter for an empty batch."""
        return isinstance(result, Exception) and 0 in x.shape

    agree(f"conv{n}d", f"conv{n}d", [x, w, b], (), kwargs, seed=seed, oracle=oracle, differs=differs)


@RANKS
@fuzz()
@given(st.data(), SEEDS)
def test_conv_transpose(n, data, seed):
    x, w, b, kwargs = data.draw(convolutions(n, True))

    def oracle(g):
        numbers = [each(kwargs[name], n) for name in ("stride", "padding", "output_padding", "dilation")]
        return batched(transposed_by_taps, n, x, w, b, g, *numbers, kwargs["groups"])

    def differs(result):
        """Of an empty output torch raises for some dtypes and batches; of an empty batch it does not check every parameter."""
        return 0 in x.shape if isinstance(result, Exception) else 0 in result[0].shape[-n:]

    name = f"conv_transpose{n}d"
    agree(name, name, [x, w, b], (), kwargs, seed=seed, oracle=oracle, differs=differs)


def blocks(image, kernel, dilation, padding, stride):
    """For each tap and block its flat place in the image, or -1: (KH * KW, L)."""
    out = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in zip(image, kernel, dilation, padding, stride)]
    places = np.full((math.prod(kernel), *out), -1)
    for row, (i_tap, j_tap) in enumerate(np.ndindex(*kernel)):
        for i, j in np.ndindex(*out):
            y, x = i * stride[0] - padding[0] + i_tap * dilation[0], j * stride[1] - padding[1] + j_tap * dilation[1]
            if 0 <= y < image[0] and 0 <= x < image[1]:
                places[row, i, j] = y * image[1] + x
    return places.reshape(len(places), -1)


def columns_of(x, places):
    """(..., C, P) -> (..., C * KH * KW, L)"""
    columns = np.where(places < 0, 0, x[..., places])
    return columns.reshape(*x.shape[:-2], -1, places.shape[1])


def image_of(columns, places, size):
    """(..., C * KH * KW, L) -> (..., C, P), adding up."""
    columns = columns.reshape(-1, places.size)
    image = np.zeros((len(columns), size + 1))
    for plane, values in zip(image, columns):
        np.add.at(plane, places.ravel(), values)
    return image[:, :-1]


def block_parameters(draw, wild):
    names = ("kernel_size", 1, 4), ("dilation", 1, 3), ("padding", 0, 2), ("stride", 1, 3)
    return {name: parameter(draw, 2, low, high, wild) for name, low, high in names}


def block_places(image, kwargs):
    return blocks(image, *(each(kwargs[name], 2) for name in ("kernel_size", "dilation", "padding", "stride")))


@fuzz()
@given(st.data(), SEEDS)
def test_unfold(data, seed):
    wild, rng = rarely(data.draw, 6), np.random.default_rng(seed)
    first = lead(data.draw, data.draw(st.integers(1, 5)), wild)
    shape = (*first, *spatial(data.draw, 2, wild and len(first) > 0))
    kwargs = block_parameters(data.draw, wild and len(first) > 0)
    x = normal(data.draw, rng, shape, data.draw(DTYPES))

    def oracle(g):
        places = block_places(shape[-2:], kwargs)
        gx = None if g is None else image_of(g.astype(np.float64), places, math.prod(shape[-2:])).reshape(shape)
        return [columns_of(x.reshape(*shape[:-2], math.prod(shape[-2:])), places), gx]

    agree("unfold", "unfold", [x], (), kwargs, seed=seed, oracle=oracle)


@fuzz()
@given(st.data(), SEEDS)
def test_fold(data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    wild = rarely(draw, 6)
    kwargs = block_parameters(draw, False)
    image = spatial(draw, 2)
    needs = [d * (k - 1) + 1 - 2 * p for d, k, p in zip(*(each(kwargs[v], 2) for v in ("dilation", "kernel_size", "padding")))]
    image = tuple(max(size, need) for size, need in zip(image, needs))
    places = block_places(image, kwargs)
    channels = draw(st.integers(1, 4))
    shape = [*draw(st.sampled_from([(), (1,), (2,), (0,)])), channels * len(places), places.shape[1]]
    if wild:
        kwargs |= {name: value for name, value in block_parameters(draw, True).items() if draw(st.booleans())}
        shape[-1] += draw(st.integers(-1, 1))
    x = normal(draw, rng, shape, draw(DTYPES))

    def oracle(g):
        places, size = block_places(image, kwargs), math.prod(image)
        lead_shape = (*shape[:-2], shape[-2] // len(places))
        y = image_of(x.astype(np.float64), places, size).reshape(*lead_shape, *image)
        return [y, None if g is None else columns_of(g.reshape(*lead_shape, size), places)]

    agree("fold", "fold", [x], (image,), kwargs, seed=seed, oracle=oracle)


# Pooling


def window_axis(size, kernel, stride, padding, dilation, ceil_mode):
    """(O, K): which element each tap of each window reads; -1 in the padding, -2 beyond the padding."""
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    out = (math.ceil(span / stride) if ceil_mode else span // stride) + 1
    if ceil_mode and (out - 1) * stride >= size + padding:
        out -= 1
    places = np.arange(out)[:, None] * stride - padding + np.arange(kernel) * dilation
    return np.where(places >= size + padding, -2, np.where((places < 0) | (places >= size), -1, places))


def adaptive_axis(size, out):
    ends = [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]
    widest = max((b - a for a, b in ends), default=1)
    return np.array([[*range(a, b)] + [-2] * (widest - b + a) for a, b in ends]).reshape(out, widest)


def windows(axes):
    """Flat places of all taps of all windows (*out, taps), -1 and -2 as above, from those of each axis with sizes [(L, places)]."""
    n = len(axes)
    flat, outside, beyond = 0, False, False
    for a, (size, places) in enumerate(axes):
        shape = [1] * (2 * n)
        shape[a], shape[n + a] = places.shape
        places = places.reshape(shape)
        flat, outside, beyond = flat * size + np.maximum(places, 0), outside | (places < 0), beyond | (places == -2)
    flat = np.where(beyond, -2, np.where(outside, -1, flat))
    return flat.reshape(*flat.shape[:n], -1)


def max_of(x, n, axes, g):
    """[values, gradient, indices] of maxima over windows; NaN wins, then the first of equals."""
    places, size = windows(axes), math.prod(x.shape[-n:])
    planes = np.concatenate([x.reshape(math.prod(x.shape[:-n]), size), np.full((math.prod(x.shape[:-n]), 1), -np.inf)], 1)
    taken = np.where(places < 0, size, places)
    values = planes[:, taken]
    inside = places >= 0
    key = np.where(np.isnan(values), np.inf, np.where(inside, values, -np.inf))
    first = key.argmax(-1)
    missing = np.isnan(values)
    first = np.where(missing.any(-1), values.shape[-1] - 1 - missing[..., ::-1].argmax(-1), first)
    where = np.take_along_axis(np.broadcast_to(taken, values.shape), first[..., None], -1)[..., 0]
    y = np.take_along_axis(planes, where.reshape(len(planes), -1), 1).reshape(where.shape)
    gx = np.zeros_like(planes)
    if g is not None:
        for plane, at, part in zip(gx, where.reshape(len(gx), -1), g.astype(np.float64).reshape(len(gx), -1)):
            np.add.at(plane, at, part)
    shape = (*x.shape[:-n], *places.shape[:-1])
    return y.reshape(shape), gx[:, :size].reshape(x.shape), where.reshape(shape)


def mean_of(x, n, axes, g, count_include_pad=True, divisor=None):
    """[values, gradient] of means over windows."""
    places, size = windows(axes), math.prod(x.shape[-n:])
    count = (places > -2).sum(-1) if count_include_pad else (places >= 0).sum(-1)
    count = count if divisor is None else divisor
    planes = np.concatenate(
        [x.astype(np.float64).reshape(math.prod(x.shape[:-n]), size), np.zeros((math.prod(x.shape[:-n]), 1))], 1
    )
    taken = np.where(places < 0, size, places)
    y, gx = planes[:, taken].sum(-1) / count, np.zeros_like(planes)
    if g is not None:
        parts = g.reshape(y.shape).astype(np.float64) / count
        for plane, part in zip(gx, parts):
            np.add.at(plane, taken, np.broadcast_to(part[..., None], taken.shape))
    return y.reshape(*x.shape[:-n], *places.shape[:-1]), gx[:, :size].reshape(x.shape)


def pool_input(draw, rng, n, wild, image=None):
    """Values with ties, without, or with NaN."""
    shape = (*lead(draw, draw(st.integers(1, 4)), wild), *(image or spatial(draw, n, wild)))
    x = rng.integers(-3, 4, shape) if draw(st.booleans()) else rng.standard_normal(shape)
    return in_layout(x.astype(draw(DTYPES)), draw(LAYOUTS))


def pool_parameters(draw, n, wild, dilated):
    kwargs = {"kernel_size": parameter(draw, n, 1, 4, wild)}
    if draw(st.booleans()):
        kwargs["stride"] = draw(st.none()) if rarely(draw, 4) else parameter(draw, n, 1, 4, wild)
    kernel = kwargs["kernel_size"]
    padding = parameter(draw, n, 0, 2, wild)
    if not wild:
        padding = tuple(min(p, k // 2) for p, k in zip(each(padding, n), each(kernel, n)))
    kwargs |= {"padding": padding, "ceil_mode": draw(st.booleans())}
    if dilated:
        kwargs["dilation"] = parameter(draw, n, 1, 3, wild)
    return kwargs


def pool_image(draw, n, wild, kwargs):
    image = spatial(draw, n, wild)
    if wild:
        return image
    kernel, dilation = each(kwargs["kernel_size"], n), each(kwargs.get("dilation", 1), n)
    padding = each(kwargs.get("padding", 0), n) if n < 3 or "dilation" in kwargs else [0] * n  # avg_pool3d: kernel <= size
    return tuple(max(size, d * (k - 1) + 1 - 2 * p) for size, k, d, p in zip(image, kernel, dilation, padding))


def pool_axes(image, n, kwargs):
    kernel = each(kwargs["kernel_size"], n)
    stride = kernel if kwargs.get("stride") is None else each(kwargs["stride"], n)
    numbers = zip(image, kernel, stride, each(kwargs.get("padding", 0), n), each(kwargs.get("dilation", 1), n))
    return [(axis[0], window_axis(*axis, kwargs["ceil_mode"])) for axis in numbers]


def in_padding_alone(result):
    """minigrad refuses a window that lies in the padding alone; torch gives -inf and an index outside the input."""
    return isinstance(result, RuntimeError) and "padding alone" in str(result)


@RANKS
@fuzz()
@given(st.data(), SEEDS)
def test_max_pool(n, data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    wild = rarely(draw, 6)
    kwargs = pool_parameters(draw, n, wild, True) | {"return_indices": draw(st.booleans())}
    x = pool_input(draw, rng, n, wild, pool_image(draw, n, wild, kwargs))
    if x.size and rarely(draw, 4):
        x[rng.random(x.shape) < 0.1] = np.nan

    def oracle(g):
        y, gx, indices = max_of(x, n, pool_axes(x.shape[-n:], n, kwargs), g)
        return [y, indices, gx] if kwargs["return_indices"] else [y, gx]

    agree(f"max_pool{n}d", f"max_pool{n}d", [x], (), kwargs, seed=seed, oracle=oracle, differs=in_padding_alone)


@RANKS
@fuzz()
@given(st.data(), SEEDS)
def test_avg_pool(n, data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    wild = rarely(draw, 6)
    kwargs = pool_parameters(draw, n, wild, False) | {"count_include_pad": draw(st.booleans())}
    if n > 1:
        kwargs["divisor_override"] = draw(st.none() | st.integers(0 if wild else 1, 7) | st.integers(-7, -1))
    x = pool_input(draw, rng, n, wild, pool_image(draw, n, wild, kwargs))

    def oracle(g):
        axes = pool_axes(x.shape[-n:], n, kwargs)
        return mean_of(x, n, axes, g, kwargs["count_include_pad"], kwargs.get("divisor_override"))

    agree(f"avg_pool{n}d", f"avg_pool{n}d", [x], (), kwargs, seed=seed, oracle=oracle, differs=in_padding_alone)


@RANKS
@fuzz()
@given(st.data(), SEEDS)
def test_lp_pool(n, data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    wild = rarely(draw, 6)
    kwargs = {"kernel_size": parameter(draw, n if n > 1 or wild else 1, 1, 4, wild), "ceil_mode": draw(st.booleans())}
    if draw(st.booleans()):
        kwargs["stride"] = parameter(draw, n, 1, 4, wild)
    if n == 1 and isinstance(kwargs["kernel_size"], tuple):
        kwargs["kernel_size"] = kwargs["kernel_size"][0]
    norm = draw(st.sampled_from([1, 2, 2.0, 3, 0.5, 1.7, math.inf, -math.inf]))
    image = pool_image(draw, n, wild, kwargs)
    shape = (*lead(draw, draw(st.integers(1, 3)), wild), *image)
    x = in_layout(rng.uniform(0.1, 2, shape).astype(draw(DTYPES)), draw(LAYOUTS))
    if norm == 2 and draw(st.booleans()):
        x[...] *= rng.choice([-1, 1], shape)
    if x.size and rarely(draw, 4):
        x[rng.random(shape) < 0.5] = 0

    def oracle(g):
        if abs(norm) == math.inf:
            y = np.sign(norm) * max_of(np.sign(norm) * np.abs(x), n, pool_axes(image, n, kwargs), None)[0]
        else:
            mean = mean_of(x.astype(np.float64) ** norm, n, pool_axes(image, n, kwargs), None)[0]
            y = (mean * math.prod(each(kwargs["kernel_size"], n))) ** (1 / norm)
        return [y]

    agree(f"lp_pool{n}d", f"lp_pool{n}d", [x], (norm,), kwargs, seed=seed, oracle=oracle)


def adaptive(draw, n, wild):
    """output_size, and a function of the image that gives it as n ints."""
    size = parameter(draw, n, 1, 9, wild)
    if n > 1 and isinstance(size, tuple) and draw(st.booleans()):
        size = tuple(draw(st.sampled_from([None, s])) for s in size)
    return size, lambda image: [i if s is None else s for s, i in zip(each(size, n), image)]


@RANKS
@fuzz()
@given(st.data(), SEEDS)
def test_adaptive_avg_pool(n, data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    wild = rarely(draw, 6)
    size, out = adaptive(draw, n, wild)
    x = pool_input(draw, rng, n, wild)

    def oracle(g):
        image = x.shape[-n:]
        axes = [(length, adaptive_axis(length, o)) for length, o in zip(image, out(image))]
        return mean_of(x, n, axes, g)

    def differs(result):
        """torch gives NaN for an empty image and an output_size of 1."""
        return isinstance(result, RuntimeError) and "empty" in str(result) and set(each(size, n)) == {1}

    name = f"adaptive_avg_pool{n}d"
    agree(name, name, [x], (size,), seed=seed, oracle=oracle, differs=differs)


@RANKS
@fuzz()
@given(st.data(), SEEDS)
def test_adaptive_max_pool(n, data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    wild, return_indices = rarely(draw, 6), draw(st.booleans())
    size, out = adaptive(draw, n, wild)
    x = pool_input(draw, rng, n, wild)
    if x.size and rarely(draw, 4):
        x[rng.random(x.shape) < 0.1] = np.nan

    def oracle(g):
        image = x.shape[-n:]
        axes = [(length, adaptive_axis(length, o)) for length, o in zip(image, out(image))]
        y, gx, indices = max_of(x, n, axes, g)
        return [y, indices, gx] if return_indices else [y, gx]

    name = f"adaptive_max_pool{n}d"
    agree(name, name, [x], (size, return_indices), seed=seed, oracle=oracle)


@RANKS
@fuzz()
@given(st.data(), SEEDS)
def test_max_unpool(n, data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    wild = rarely(draw, 6)
    names = ("kernel_size", 1, 4), ("stride", 1, 4), ("padding", 0, 1)
    kwargs = {name: parameter(draw, n, low, high + wild, False) for name, low, high in names}
    x = pool_input(draw, rng, n, wild)
    if x.ndim not in (n + 1, n + 2):
        kwargs["padding"] = 0  # one error at a time
    x = np.ascontiguousarray(x)  # the gradient of torch raises for some other strides
    full = [
        (length - 1) * s + k - 2 * p
        for length, k, s, p in zip(x.shape[-n:], *(each(kwargs[name], n) for name in ("kernel_size", "stride", "padding")))
    ]
    if x.ndim in (n + 1, n + 2) and draw(st.booleans()):
        full = [length + draw(st.integers(-1, 1 + 2 * wild)) for length in full]
        kwargs["output_size"] = (*x.shape[:2], *full) if x.ndim == n + 2 and draw(st.booleans()) else tuple(full)
    elements = math.prod(full)
    below = max(elements, 1) if wild and draw(st.booleans()) else max(elements - 1, 1)
    indices = rng.integers(-(wild and rarely(draw, 8)), below + (wild and rarely(draw, 4)), x.shape)
    if not wild and elements >= math.prod(x.shape[-n:]) and x.size:  # as max_pool gives them: no element twice
        planes = indices.reshape(-1, math.prod(x.shape[-n:]))
        for plane in planes:
            plane[:] = rng.permutation(elements)[: planes.shape[1]]

    def oracle(g):
        size, taken = math.prod(x.shape[-n:]), indices.reshape(math.prod(x.shape[:-n]), -1)
        y = np.zeros((len(taken), elements))
        for plane, at, values in zip(y, taken, x.reshape(len(taken), size)):
            plane[at] = values
        gx = None if g is None else np.take_along_axis(g.reshape(len(taken), elements), taken, 1).reshape(x.shape)
        return [y.reshape(*x.shape[:-n], *full), gx]

    name = f"max_unpool{n}d"

    def differs(result):
        """torch does not look at the indices where the output has no elements."""
        return isinstance(result, RuntimeError) and "invalid max index" in str(result) and 0 in full

    agree(name, name, [x, indices], (), kwargs, seed=seed, oracle=oracle, differs=differs)


# Resizing

SCALES = (0.4, 0.5, 0.7, 0.9, 1.0, 1.3, 1.5, 2.0, 2.3, 3.0)
MODES = [
    ("nearest", 1), ("nearest", 2), ("nearest", 3), ("nearest-exact", 1), ("nearest-exact", 2), ("nearest-exact", 3),
    ("area", 1), ("area", 2), ("area", 3), ("linear", 1), ("bilinear", 2), ("bicubic", 2), ("trilinear", 3),
    ("bilinear antialias", 2), ("bicubic antialias", 2), ("lanczos antialias", 2),
]  # fmt: skip


def cubic(t, a=-0.75):
    t = abs(t)
    if t <= 1:
        return ((a + 2) * t - (a + 3)) * t * t + 1
    return (((t - 5) * t + 8) * t - 4) * a if t < 2 else 0.0


def antialiasing(mode, t):
    """The filters of Pillow."""
    if mode == "bilinear":
        return max(0.0, 1 - abs(t))
    return cubic(t, -0.5) if mode == "bicubic" else np.sinc(t) * np.sinc(t / 3) * (abs(t) < 3)


def resize_matrix(mode, size, out, scale, align_corners, antialias):
    """The (out, size) matrix of one axis, or None where rounding decides which element is the nearest."""
    matrix = np.zeros((out, size))
    if mode == "area":
        for row, taken in zip(matrix, adaptive_axis(size, out)):
            row[taken[taken >= 0]] = 1 / (taken >= 0).sum()
        return matrix
    if size == out and (antialias or mode.endswith("linear")):
        return np.eye(size)  # whatever the scale
    step = size / out if scale is None else 1 / scale
    if align_corners:
        step = (size - 1) / (out - 1) if out > 1 else 0.0
    for i, row in enumerate(matrix):
        if antialias:
            row[:] = [antialiasing(mode, (j + 0.5 - (i + 0.5) * step) / max(step, 1)) for j in range(size)]
            row /= row.sum()
            continue
        at = i * step if align_corners or mode == "nearest" else (i + 0.5) * step
        if mode.startswith("nearest"):
            if abs(at - round(at)) < 1e-4 and step not in (0.5, 1.0, 2.0):
                return None
            row[min(int(at), size - 1)] = 1
            continue
        at -= 0 if align_corners else 0.5
        if mode != "bicubic":
            at = max(at, 0.0)
        low = math.floor(at)
        for j in range(low - 1, low + 3):
            weight = cubic(at - j) if mode == "bicubic" else max(0.0, 1 - abs(at - j))
            row[min(max(j, 0), size - 1)] += weight
    return matrix


def along_axes(x, matrices):
    for axis, matrix in enumerate(matrices, x.ndim - len(matrices)):
        x = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
    return x


@pytest.mark.parametrize(("mode", "n"), MODES)
@fuzz()
@given(st.data(), SEEDS)
def test_interpolate(mode, n, data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    family = f"interpolate {mode} {n}d"
    mode, _, antialias = mode.partition(" ")
    wild, sizes = rarely(draw, 6), spatial(draw, n)
    kwargs = {"mode": mode}
    if mode.endswith(("linear", "cubic")):
        kwargs["align_corners"] = draw(st.sampled_from([None, True, False]))
    if antialias:
        kwargs["antialias"] = True
    smallest = 2 if antialias else 1  # of width 1 the values of torch are not those of the filter
    if wild:
        sizes = spatial(draw, n, True)
        if draw(st.booleans()):
            kwargs["size"] = parameter(draw, n, 1, 9, True)
        if draw(st.booleans()):
            kwargs["scale_factor"] = draw(st.sampled_from([0.1, 0, -1.0, 2.0, (1.5,) * n, (2.0,) * (n + 1), 1]))
        if rarely(draw, 3):
            kwargs["recompute_scale_factor"] = draw(st.booleans())
        if rarely(draw, 3):
            kwargs["mode"] = draw(st.sampled_from(["linear", "bilinear", "bicubic", "trilinear", "nearest", "area", "cubic"]))
        if rarely(draw, 3):
            kwargs["align_corners"] = draw(st.booleans())
    elif draw(st.booleans()):
        size = st.integers(smallest, LARGEST[n])
        kwargs["size"] = draw(size) if draw(st.booleans()) else tuple(draw(size) for _ in range(n))
    else:
        fits = [[s for s in SCALES if int(size * s) >= smallest] or [2.0] for size in sizes]
        kwargs["scale_factor"] = tuple(draw(st.sampled_from(choices)) for choices in fits)
        kwargs["recompute_scale_factor"] = draw(st.sampled_from([None, True, False]))
    first = (draw(st.integers(0, 3)), draw(st.integers(0 if wild else 1, 5)))
    shape = (*(first[: draw(st.sampled_from([1, 2, 2, 2]))] if wild else first), *sizes)
    x = normal(draw, rng, shape, draw(DTYPES))

    def oracle(g):
        out, scales = kwargs.get("size"), [None] * n
        if out is None:
            given_scales = (
                kwargs["scale_factor"] if isinstance(kwargs["scale_factor"], tuple) else (kwargs["scale_factor"],) * n
            )
            out = [int(size * s) for size, s in zip(sizes, given_scales)]
            scales = scales if kwargs.get("recompute_scale_factor") else given_scales
        align = bool(kwargs.get("align_corners"))
        matrices = [resize_matrix(kwargs["mode"], *axis, align, antialias) for axis in zip(sizes, each(out, n), scales)]
        if x.ndim != n + 2 or any(matrix is None for matrix in matrices):
            return []
        gx = None if g is None else along_axes(g.astype(np.float64), [matrix.T for matrix in matrices])
        return [along_axes(x.astype(np.float64), matrices), gx]

    agree(family, "interpolate", [x], (), kwargs, seed=seed, oracle=oracle, linear=True)


NUMPY_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("mode", list(NUMPY_MODES))
@fuzz()
@given(st.data(), SEEDS)
def test_pad(mode, data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    wild, n = rarely(draw, 6), draw(st.integers(1, 3))
    front = draw(st.integers(0, 3) if mode == "constant" or wild else st.integers(1, 2))
    sizes = tuple(draw(st.integers(0 if wild or (a == 0 and front == 2) else 1, 6)) for a in range(front + n))
    pads = []
    for size in sizes[: -n - 1 : -1]:
        most = 9 if wild else {"reflect": size - 1, "circular": size}.get(mode, 5)
        before, after = (draw(st.integers(-2 if rarely(draw, 4) else 0, most)) for _ in range(2))
        if not wild:
            if mode == "circular":  # at most what is left after cropping is there to wrap around
                left = size + min(before, 0) + min(after, 0)
                before, after = min(before, left), min(after, left)
            if size + before + after < 1:
                before = after = 0
        pads += [before, after]
    if wild and rarely(draw, 4):
        pads = pads[1:]
    value = draw(st.sampled_from([None, 1.5, -2])) if mode == "constant" or wild else None
    x = normal(draw, rng, sizes, draw(DTYPES))

    def oracle(g):
        widths = [(0, 0)] * (len(sizes) - len(pads) // 2) + list(zip(pads[::2], pads[1::2]))[::-1]
        if mode != "constant" and min(pads) < 0:
            return []
        crop = tuple(slice(max(-before, 0), size - max(-after, 0)) for size, (before, after) in zip(sizes, widths))
        grow = [(max(before, 0), max(after, 0)) for before, after in widths]
        fill = {"constant_values": -1} if mode == "constant" else {}
        places = np.pad(np.arange(x.size).reshape(sizes)[crop], grow, NUMPY_MODES[mode], **fill)
        y = np.where(places < 0, value or 0, x.ravel()[np.maximum(places, 0)] if x.size else 0)
        gx = np.zeros(x.size + 1)
        if g is not None:
            np.add.at(gx, places, g)
        return [y, gx[:-1].reshape(sizes)]

    agree(f"pad {mode}", "pad", [x], (pads, mode, value), seed=seed, oracle=oracle)


@pytest.mark.parametrize(("mode", "n"), [("bilinear", 2), ("bilinear", 3), ("nearest", 2), ("nearest", 3), ("bicubic", 2)])
@fuzz()
@given(st.data(), SEEDS)
def test_grid_sample(mode, n, data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    wild, batch, dtype = rarely(draw, 6), draw(st.integers(0, 3)), draw(DTYPES)
    image = tuple(draw(st.integers(0 if wild else 1, 9 if n == 2 else 5)) for _ in range(n))
    points = tuple(draw(st.integers(0, 6 if n == 2 else 4)) for _ in range(n))
    x = normal(draw, rng, (batch, draw(st.integers(0 if wild else 1, 5)), *image), dtype)
    axes = n + (draw(st.integers(-1, 1)) if wild else 0)
    grid = rng.standard_normal((batch + (wild and rarely(draw, 3)), *points, axes)) * draw(st.sampled_from([0.7, 3.0]))
    grid = in_layout(grid.astype(dtype), draw(LAYOUTS))
    padding_mode = draw(st.sampled_from(["zeros", "border", "reflection"]))
    align_corners = draw(st.booleans())
    if wild and rarely(draw, 3):
        mode = draw(st.sampled_from(["bicubic", "trilinear", "nearest"]))

    def oracle(g):
        if mode != "bilinear" or padding_mode != "zeros":
            return []
        numbers = np.array(image[::-1])
        at = (grid + 1) / 2 * (numbers - 1) if align_corners else ((grid + 1) * numbers - 1) / 2
        y = np.zeros((*x.shape[:2], *points))
        for i in np.ndindex(batch, *points):
            low = np.floor(at[i]).astype(int)
            for corner in np.ndindex(*(2,) * n):
                place = (low + corner)[::-1]
                if all(0 <= p < size for p, size in zip(place, image)):
                    weight = np.prod(1 - np.abs(at[i] - (low + corner)))
                    y[(i[0], slice(None), *i[1:])] += weight * x[(i[0], slice(None), *place)]
        return [y]

    agree(
        f"grid_sample {mode} {n}d", "grid_sample", [x, grid], (mode, padding_mode, align_corners), seed=seed, oracle=oracle,
        tolerance=(1e-4, 1e-11),
    )  # fmt: skip
