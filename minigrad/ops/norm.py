"""Normalisation: batch_norm over (N, C, ...), and row_norm, of which layer, group, instance and rms norm are cases.

Each is a fused kernel, its backward a Grad node with a fused kernel, and that node's backward elementary operations that compute
the statistics again from x: a node's arrays of means and variances are only a cache of what its kernel computed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext import norm as kernels
from minigrad._ext.engine import Function, apply, constant_of, from_array, try_kernel
from minigrad._ext.memory import empty_array
from minigrad._naming import named_node
from minigrad.ops.elementwise import rsqrt
from minigrad.ops.reduce import mean
from minigrad.ops.shape import reshape, sum_to_size

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def _planes(x: np.ndarray) -> np.ndarray:
    """(N, C, ...) as a contiguous (N, C, P)."""
    return np.ascontiguousarray(x).reshape(x.shape[0], x.shape[1], math.prod(x.shape[2:]))


def _flat(x: np.ndarray | None) -> np.ndarray | None:
    return None if x is None else np.ascontiguousarray(x).reshape(-1)


def _empty_if(wanted: bool, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    return empty_array(shape, dtype) if wanted else None


def _chosen(wanted: tuple[bool, ...], values: tuple) -> object:
    """The wanted values as a tuple; a single one bare."""
    chosen = tuple(value for want, value in zip(wanted, values, strict=True) if want)
    return chosen if len(chosen) > 1 else chosen[0]


def _gradients(node: Function, grad_node: Function, g: Tensor, x: Tensor, weight: Tensor | None) -> tuple:
    """(gx, gw, gb) from a Grad node that gives those of them that are wanted."""
    out = apply(grad_node, g, x, weight)
    found = iter(out if type(out) is tuple else (out,))
    return tuple(next(found) if want else None for want in node.needs_input_grad)


def _second_order(
    node: Function,
    gs: object,
    g: Tensor,
    x: Tensor,
    weight: Tensor | None,
    view: tuple,
    affine: tuple,
    dims: tuple,
    statistics: tuple | None,
    centered: bool,
) -> tuple:
    """The gradients for (g, x, weight) of a Grad node's outputs, whose incoming gradients are gs.

    In the shapes `view` of x and `affine` of weight, with P v = v - mean(v) - xh mean(v xh) over dims, xh = (x - mean) r and u = weight g,
    the node gave gx = r P u, gw = sum g xh, gb = sum g. With incoming a, b, c for these:

        for g:       weight r P a + b xh + c
        for weight:  sum g r P a
        for x:       r P q - r^2 xh mean(a P u) over dims,  where q = -r (a mean(u xh) + u mean(a xh)) + b g

    (P is its own adjoint, dr / dx = -r^2 xh / n, and x -> xh has the adjoint r P.) Without centering P v = v - xh mean(v xh); with
    constant statistics P v = v, and only b g r is left for x.
    """
    found = iter(gs if type(gs) is tuple else (gs,))
    a, b, c = (next(found) if want else None for want in node.wanted)
    wants_g, wants_x, wants_weight = node.needs_input_grad
    source = x
    x, g = reshape(x, *view), reshape(g, *view)
    w = None if weight is None else reshape(weight, *affine)
    a = None if a is None else reshape(a, *view)
    b, c = (None if v is None else reshape(v, *affine) for v in (b, c))
    if statistics is None:
        d = x - mean(x, dims, True) if centered else x
        r = rsqrt(mean(d * d, dims, True) + node.eps)
        xh = d * r
    else:
        r = from_array((1 / np.sqrt(statistics[1] + node.eps)).astype(x._array.dtype).reshape(affine))
        xh = (x - from_array(statistics[0].astype(x._array.dtype).reshape(affine))) * r

    def project(v: Tensor) -> Tensor:
        if statistics is not None:
            return v
        v_hat = xh * mean(v * xh, dims, True)
        return v - mean(v, dims, True) - v_hat if centered else v - v_hat

    gg = gx = gw = None
    if a is not None:
        pa = project(a) * r
        gg = pa if w is None else pa * w
        if w is not None and wants_weight:
            gw = sum_to_size(g * pa, *affine)
        if wants_x and statistics is None:
            u = g if w is None else g * w
            q = -r * (a * mean(u * xh, dims, True) + u * mean(a * xh, dims, True))
            gx = project(q) * r - r * r * xh * mean(a * project(u), dims, True)
    if b is not None:
        gg = b * xh if gg is None else gg + b * xh
        if wants_x:
            direct = project(b * g) * r
            gx = direct if gx is None else gx + direct
    if c is not None:
        gg = c + g * 0 if gg is None else gg + c
    return (
        reshape(gg, *source._array.shape) if wants_g and gg is not None else None,
        reshape(gx, *source._array.shape) if wants_x and gx is not None else None,
        reshape(gw, *weight._array.shape) if weight is not None and gw is not None else None,
    )


# batch_norm


class BatchNormFunction(Function):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of x (N, C, ...).

    mean and var (float64 arrays of C): the batch's own, biased, written by forward, if None is given; constants otherwise.
    """

    label = "NativeBatchNormBackward0"

    def __init__(self, eps, mean=None, var=None):
        self.eps, self.mean, self.var = eps, mean, var
        self.training = mean is None

    def forward(self, x, weight, bias):
        out = empty_array(x.shape, x.dtype)
        if self.training:
            self.mean, self.var = np.zeros(x.shape[1]), np.zeros(x.shape[1])
        kernels.batch_norm_forward(
            _planes(x), _flat(weight), _flat(bias), self.eps, self.training, _planes(out), self.mean, self.var
        )
        return out

    def backward(self, g, x, weight):
        return _gradients(self, BatchNormGradFunction(self), g, x, weight)


class BatchNormGradFunction(Function):
    """gx, gw, gb of batch_norm, those of them that are wanted; what it reads of the node is its parameters and statistics."""

    def __init__(self, node):
        self.wanted = node.needs_input_grad
        self.eps, self.mean, self.var, self.training = node.eps, node.mean, node.var, node.training

    def forward(self, g, x, weight):
        gx = _empty_if(self.wanted[0], x.shape, x.dtype)
        gw, gb = empty_array((x.shape[1],), x.dtype), empty_array((x.shape[1],), x.dtype)
        kernels.batch_norm_backward(
            _planes(g),
            _planes(x),
            _flat(weight),
            self.mean,
            self.var,
            self.eps,
            self.training,
            None if gx is None else _planes(gx),
            gw,
            gb,
        )
        return _chosen(self.wanted, (gx, gw, gb))

    def backward(self, gs, g, x, weight):
        shape = x._array.shape
        view, affine = (shape[0], shape[1], math.prod(shape[2:])), (1, shape[1], 1)
        statistics = None if self.training else (self.mean, self.var)
        return _second_order(self, gs, g, x, weight, view, affine, (0, 2), statistics, True)


def _follow(
    mean: Tensor | None, var: Tensor | None, batch_mean: np.ndarray, batch_var: np.ndarray, count: int, momentum: float
) -> None:
    """running = (1 - momentum) running + momentum batch, in place, with the unbiased variance of `count` values."""
    if count == 0:
        return
    for running, batch, factor in ((mean, batch_mean, 1.0), (var, batch_var, count / max(count - 1, 1))):
        if running is not None:
            kernels.update_running(running._array, batch, factor, momentum)
            running._bump_version()


def batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """x (N, C, ...) normalised by the statistics of each channel: the batch's own (training; the running ones, if they are given,
    then move towards them, the variance unbiased), or the running ones."""
    if not training:
        constants = (t._array.astype(np.float64) for t in (running_mean, running_var))
        return apply(BatchNormFunction(eps, *constants), x, weight, bias)
    node = BatchNormFunction(eps)
    out = apply(node, x, weight, bias)
    count = x._array.size // max(x._array.shape[1], 1)
    _follow(running_mean, running_var, node.mean, node.var, count, momentum)
    return out


# row_norm


class RowNormFunction(Function):
    """(x - mean) / sqrt(var + eps) * weight + bias for each row of channels * plane neighbours of x.

    Row r uses the weights from (r % groups) * channels on, each for `plane` neighbours. Without centering (rms_norm) the mean is 0.
    mean and var (float64 arrays, one element a row) are written by forward.
    """

    def __init__(self, groups, channels, plane, eps, centered):
        self.geometry = groups, channels, plane
        self.eps, self.centered = eps, centered

    def forward(self, x, weight, bias):
        out, self.mean, self.var = kernels.row_norm_forward(x, weight, bias, self.eps, self.centered, *self.geometry)
        return out

    def backward(self, g, x, weight):
        return _gradients(self, RowNormGradFunction(self), g, x, weight)


class RowNormGradFunction(Function):
    """gx, gw, gb of row_norm, those of them that are wanted; what it reads of the node is its parameters and statistics."""

    def __init__(self, node):
        self.wanted = node.needs_input_grad
        self.eps, self.mean, self.var, self.centered, self.geometry = (
            node.eps,
            node.mean,
            node.var,
            node.centered,
            node.geometry,
        )

    def forward(self, g, x, weight):
        groups, channels, plane = self.geometry
        wants_x, wants_weight, wants_bias = self.wanted
        gx = _empty_if(wants_x, x.shape, x.dtype)
        gw = _empty_if(wants_weight or wants_bias, (groups * channels,), x.dtype)
        gb = _empty_if(wants_weight or wants_bias, (groups * channels,), x.dtype)
        kernels.row_norm_backward(
            _flat(g),
            _flat(x),
            _flat(weight),
            self.mean,
            self.var,
            self.eps,
            self.centered,
            _flat(gx),
            gw,
            gb,
            groups,
            channels,
            plane,
        )
        if weight is not None and gw is not None:
            gw, gb = gw.reshape(weight.shape), gb.reshape(weight.shape)
        return _chosen(self.wanted, (gx, gw, gb))

    def backward(self, gs, g, x, weight):
        groups, channels, plane = self.geometry
        view = (x._array.size // max(groups * channels * plane, 1), groups, channels, plane)
        return _second_order(self, gs, g, x, weight, view, (1, groups, channels, 1), (2, 3), None, self.centered)


def _row_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, centered: bool, *geometry: int) -> Tensor:
    w, b = constant_of(weight), constant_of(bias)
    if (w is not None or weight is None) and (b is not None or bias is None):
        out = try_kernel(kernels.row_norm, x, w, b, eps, centered, *geometry)
        if out is not None:
            return out
    return apply(RowNormFunction(*geometry, eps, centered), x, weight, bias)


@named_node
def layer_norm(x: Tensor, size: int, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Each run of `size` neighbours of x normalised by its own mean and variance; weight and bias have `size` elements."""
    return _row_norm(x, weight, bias, eps, True, 1, size, 1)


def rms_norm(x: Tensor, size: int, weight: Tensor | None, eps: float) -> Tensor:
    """Each run of `size` neighbours of x divided by its root mean square; weight has `size` elements."""
    return _row_norm(x, weight, None, eps, False, 1, size, 1)


@named_node
def group_norm(x: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """x (N, C, ...) normalised by the mean and variance of each sample's groups of C / groups channels."""
    shape = x._array.shape
    return _row_norm(x, weight, bias, eps, True, groups, shape[1] // groups, math.prod(shape[2:]))


@named_node
def instance_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    momentum: float,
    eps: float,
) -> Tensor:
    """x (N, C, ...) normalised by the mean and variance of each sample's channels; the running statistics, if they are given, move
    towards the samples' average, the variance unbiased."""
    N, C, *spatial = x._array.shape
    count = math.prod(spatial)
    node = RowNormFunction(C, 1, count, eps, True)
    out = apply(node, x, weight, bias)
    if x._array.size and (running_mean is not None or running_var is not None):
        batch_mean, batch_var = (s.reshape(N, C).mean(0) for s in (node.mean, node.var))
        _follow(running_mean, running_var, batch_mean, batch_var, count, momentum)
    return out
