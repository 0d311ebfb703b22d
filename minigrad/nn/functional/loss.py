"""Loss functions: arguments are checked here; the fused ones are in minigrad.ops.loss, the others are compositions.

`reduction` is "none" (a loss for each element or sample), "mean" or "sum"; ValueError for anything else. `size_average` and
`reduce` are PyTorch's older names for it, accepted with a warning.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext import hot_loss
from minigrad._ext.engine import TensorBase, from_array
from minigrad._naming import named_node
from minigrad.nn.functional.distance import pairwise_distance
from minigrad.ops import loss as ops
from minigrad.ops.activation import logsigmoid
from minigrad.ops.elementwise import broadcast_operands, clamp_min, exp, log, minimum, sqrt, where
from minigrad.ops.index import gather
from minigrad.ops.reduce import sum as sum_over
from minigrad.ops.shape import reshape, unsqueeze

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

_TORCH_NAMES = {
    "float32": "Float",
    "float64": "Double",
    "int64": "Long",
    "int32": "Int",
    "int16": "Short",
    "int8": "Char",
    "uint8": "Byte",
    "bool": "Bool",
}


# Checks


def _torch_name(x: Tensor) -> str:
    return _TORCH_NAMES[x.dtype.name]


def _size(x: Tensor) -> str:
    return f"torch.Size({list(x._array.shape)})"


def legacy_reduction(size_average: bool | None, reduce: bool | None, stacklevel: int = 3) -> str:
    """The reduction that PyTorch's older arguments mean, with its deprecation warning."""
    reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.", stacklevel=stacklevel
    )
    return reduction


def _reduction(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """The checked reduction."""
    if size_average is not None or reduce is not None:
        return legacy_reduction(size_average, reduce, 4)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def _check_tensors(function: str, **tensors: Tensor | None) -> None:
    for position, (name, value) in enumerate(tensors.items(), 1):
        if not isinstance(value, TensorBase):
            raise TypeError(f"{function}(): argument '{name}' (position {position}) must be Tensor, not {type(value).__name__}")


def _pair(function: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """input and target in one float dtype and one shape, with PyTorch's warning where they are broadcast."""
    _check_tensors(function, input=input, target=target)
    if input._array.shape != target._array.shape:
        warnings.warn(
            f"Using a target size ({_size(target)}) that is different to the input size ({_size(input)}). This will likely lead to "
            "incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )
    elif input.dtype is target.dtype and input.dtype.is_floating_point:
        return input, target
    x, y = broadcast_operands(function, input, target)
    if not x.dtype.is_floating_point:
        raise NotImplementedError(f"\"{function}\" not implemented for '{_torch_name(x)}': pass float tensors")
    return x, y


def _weighted(loss: Tensor, input: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return loss
    if weight._array.shape != input._array.shape:
        raise ValueError(f"Weights and input must have the same size, but got {_size(weight)} and {_size(input)}.")
    return loss * weight


# Regression


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2. Warns where the two are broadcast. weight (of input's shape): the mean is then the weighted mean."""
    if weight is None and size_average is None and reduce is None and (reduction == "mean" or reduction == "sum"):
        loss = hot_loss.try_squared_error(input, target, reduction == "mean")
        if loss is not None:
            return loss
    reduction = _reduction(reduction, size_average, reduce)
    x, y = _pair("mse_loss", input, target)
    if weight is not None:
        loss = _weighted((x - y) ** 2, input, weight)
        return loss.sum() / weight.sum() if reduction == "mean" else ops.mean_or_sum(loss, reduction)
    if reduction == "none":
        return _square(x - y)
    return ops.squared_error(x, y, reduction == "mean")


@named_node
def _square(x: Tensor) -> Tensor:
    return x * x


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target|. Warns where the two are broadcast. weight (of input's shape): the mean is then the weighted mean."""
    reduction = _reduction(reduction, size_average, reduce)
    _check_tensors("l1_loss", input=input, target=target)
    if not (input.dtype.is_floating_point or target.dtype.is_floating_point):
        raise RuntimeError(f"l1_loss: input dtype must be a floating point dtype. Got: {_torch_name(input)}")
    x, y = _pair("l1_loss", input, target)
    if weight is None and reduction != "none":
        return ops.difference_loss(x, y, None, reduction == "mean")
    loss = _weighted((x - y).abs(), input, weight)
    if weight is not None and reduction == "mean":
        return loss.sum() / weight.sum()
    return ops.mean_or_sum(loss, reduction)


@named_node
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) where d = |input - target| < beta, and d - beta / 2 elsewhere. RuntimeError for a negative beta."""
    reduction = _reduction(reduction, size_average, reduce)
    x, y = _pair("smooth_l1_loss", input, target)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if reduction != "none":
        loss = ops.difference_loss(x, y, beta or None, reduction == "mean")
        return loss if beta in (0, 1) else loss / beta
    d = x - y
    return ops.mean_or_sum(d.abs() if beta == 0 else ops.huber(d, beta) / beta, reduction)


@named_node
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """d^2 / 2 where d = |input - target| <= delta, and delta (d - delta / 2) elsewhere. RuntimeError for delta <= 0."""
    reduction = _reduction(reduction)
    x, y = _pair("huber_loss", input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    if weight is None and reduction != "none":
        return ops.difference_loss(x, y, delta, reduction == "mean")
    return ops.mean_or_sum(_weighted(ops.huber(x - y, delta), input, weight), reduction)


# Classification by class indices


def _class_arguments(function: str, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> None:
    """Raises what PyTorch raises for class indices that do not fit the scores (N, C, ...) or (C)."""
    shape, wanted = input._array.shape, target._array.shape
    if not shape:
        raise ValueError(f"Expected 1 or more dimensions (got 0): {function} takes scores of shape (N, C, ...) or (C)")
    classes = shape[0] if len(shape) == 1 else shape[1]
    if len(shape) == 1:
        if len(wanted) > 1 or (wanted and wanted[0] != 1):
            raise ValueError(f"Expected input batch_size (1) to match target batch_size ({wanted[0]}).")
    elif len(shape) == 2 and len(wanted) > 1:
        raise RuntimeError(
            f"0D or 1D target tensor expected, multi-target not supported ({function}: input {list(shape)}, target {list(wanted)})"
        )
    elif not wanted or shape[0] != wanted[0]:
        raise ValueError(
            f"Expected input batch_size ({shape[0]}) to match target batch_size ({wanted[0] if wanted else 'none: it is 0-d'})."
        )
    elif len(shape) == 4 and len(wanted) != 3:
        raise RuntimeError(
            f"only batches of spatial targets supported (3D tensors) but got targets of dimension: {len(wanted)}"
        )
    elif wanted != (shape[0], *shape[2:]):
        raise RuntimeError(f"Expected target size {[shape[0], *shape[2:]]}, got {list(wanted)}")
    if target.dtype.name not in ("int64", "uint8"):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {_torch_name(target)}")
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"{function}\" not implemented for '{_torch_name(input)}': pass float scores")
    _check_class_weight(function, input, weight, classes)
    bad = ops.find_bad_target(target._array.astype(np.int64, copy=False), classes, ignore_index)
    if bad is not None:
        raise IndexError(
            f"Target {bad} is out of bounds. {function}: there are {classes} classes in an input of shape {list(shape)}"
        )


def _check_class_weight(function: str, input: Tensor, weight: Tensor | None, classes: int) -> None:
    if weight is None:
        return
    if weight.requires_grad:
        raise RuntimeError(
            f"The function '{function}' is not differentiable with respect to argument 'weight'. This input cannot have requires_grad "
            "True."
        )
    if weight._array.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of shape: "
            f"{list(weight._array.shape)}"
        )
    if weight.dtype is not input.dtype:
        raise RuntimeError(
            f"expected scalar type {_torch_name(input)} but found {_torch_name(weight)}: weight must have the input's dtype"
        )


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross entropy of softmax(input) over the classes and the target.

    input: scores (N, C), (N, C, d1, ...) or (C). target: classes (N), (N, d1, ...) or (), or probabilities of input's shape.
    weight (C): a factor for each class; the mean is then the weighted mean. Raises ValueError, RuntimeError and IndexError as PyTorch
    does for a batch size, shape, dtype or class that does not fit, before anything is computed.
    """
    plain = weight is None and size_average is None and reduce is None and reduction in ("mean", "sum")
    if plain and 0 <= label_smoothing <= 1:
        loss = hot_loss.try_class_loss(input, target, ignore_index, reduction == "mean", True, label_smoothing)
        if loss is not None:
            return loss
    reduction = _reduction(reduction, size_average, reduce)
    if not (isinstance(input, TensorBase) and isinstance(target, TensorBase)):
        name, position, value = ("target", 2, target) if isinstance(input, TensorBase) else ("input", 1, input)
        raise TypeError(
            f"cross_entropy_loss(): argument '{name}' (position {position}) must be Tensor, not {type(value).__name__}"
        )
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if input._array.shape == target._array.shape:
        return _cross_entropy_of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    _class_arguments("cross_entropy", input, target, weight, ignore_index)
    return ops.cross_entropy(input, target, weight, ignore_index, label_smoothing, reduction)


def _cross_entropy_of_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float
) -> Tensor:
    if not target.dtype.is_floating_point:
        raise RuntimeError(f"Expected floating point type for target with class probabilities, got {_torch_name(target)}")
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    dim = 0 if input.ndim == 1 else 1
    classes = input._array.shape[dim] if input.ndim else 1
    if weight is not None and weight._array.shape != (classes,):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of "
            f"shape: {list(weight._array.shape)}"
        )
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / classes
    loss = ops.log_softmax(input, dim if input.ndim else 0) * target
    if weight is not None:
        loss = loss * reshape(weight, (1,) * dim + (classes,) + (1,) * (input.ndim - dim - 1))
    if reduction == "none":
        return -sum_over(loss, dim)
    total = -sum_over(loss)
    return total / (input._array.size / classes) if reduction == "mean" else total


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-weight[t] input[t] for log probabilities input (N, C, d1, ...) or (C) and classes t. Arguments and errors as cross_entropy's."""
    if weight is None and size_average is None and reduce is None and reduction in ("mean", "sum"):
        loss = hot_loss.try_class_loss(input, target, ignore_index, reduction == "mean", False, 0)
        if loss is not None:
            return loss
    reduction = _reduction(reduction, size_average, reduce)
    _check_tensors("nll_loss", input=input, target=target)
    _class_arguments("nll_loss_forward", input, target, weight, ignore_index)
    return ops.nll_loss(input, target, weight, ignore_index, reduction)


# Binary and multi-label classification


@named_node
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target log input + (1 - target) log(1 - input)) * weight, for probabilities; logarithms are cut at -100.

    Raises ValueError for sizes that differ, RuntimeError for a target of another dtype and for an input outside [0, 1].
    """
    reduction = _reduction(reduction, size_average, reduce)
    _check_tensors("binary_cross_entropy", input=input, target=target)
    if input._array.shape != target._array.shape:
        raise ValueError(
            f"Using a target size ({_size(target)}) that is different to the input size ({_size(input)}) is deprecated. Please "
            "ensure they have the same size."
        )
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"binary_cross_entropy\" not implemented for '{_torch_name(input)}': pass probabilities")
    if target.dtype is not input.dtype:
        raise RuntimeError(f"Found dtype {_torch_name(target)} but expected {_torch_name(input)}")
    values = input._array
    if values.size and not (values.min() >= 0 and values.max() <= 1) and not np.isnan(values).any():
        raise RuntimeError(
            f"all elements of input should be between 0 and 1, but got values from {values.min()} to {values.max()}: binary_cross_"
            "entropy takes probabilities; for scores use binary_cross_entropy_with_logits"
        )
    loss = ops.binary_cross_entropy(input, target)
    return ops.mean_or_sum(loss if weight is None else loss * weight, reduction)


@named_node
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy(sigmoid(input), target), without overflow or loss of digits; pos_weight multiplies the target's part.

    Raises ValueError for sizes that differ.
    """
    reduction = _reduction(reduction, size_average, reduce)
    _check_tensors("binary_cross_entropy_with_logits", input=input, target=target)
    if input._array.shape != target._array.shape:
        raise ValueError(f"Target size ({_size(target)}) must be the same as input size ({_size(input)})")
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"binary_cross_entropy_with_logits: input must be a float tensor, but got {_torch_name(input)}")
    if not target.dtype.is_floating_point:
        raise RuntimeError(
            f"binary_cross_entropy_with_logits: target must be a float tensor, but got {_torch_name(target)}; use target.float()"
        )
    if weight is None and pos_weight is None and reduction != "none" and input.dtype is target.dtype:
        return ops.logit_loss(input, target, reduction == "mean")
    log_probability = logsigmoid(input)
    if pos_weight is not None:
        log_probability = (1 + (pos_weight - 1) * target) * log_probability
    loss = (1 - target) * input - log_probability
    return ops.mean_or_sum(loss if weight is None else loss * weight, reduction)


@named_node
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(-target * input)), for targets of 1 and -1."""
    reduction = _reduction(reduction, size_average, reduce)
    _check_tensors("soft_margin_loss", input=input, target=target)
    return ops.mean_or_sum(-logsigmoid(input * target), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over the classes (the last dimension) of binary_cross_entropy_with_logits(input, target) * weight."""
    reduction = _reduction(reduction, size_average, reduce)
    _check_tensors("multilabel_soft_margin_loss", input=input, target=target)
    loss = (target - 1) * logsigmoid(-input) - target * logsigmoid(input)
    if weight is not None:
        loss = loss * weight
    return ops.mean_or_sum(sum_over(loss, -1) / input._array.shape[-1], reduction)


@named_node
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over i != t of weight[t] max(0, margin - input[t] + input[i])^p / C, for input (N, C) or (C), and p 1 or 2."""
    reduction = _reduction(reduction, size_average, reduce)
    _check_tensors("multi_margin_loss", input=input, target=target)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    shape, wanted = input._array.shape, target._array.shape
    if len(shape) not in (1, 2) or shape[-1] == 0:
        raise RuntimeError(f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(shape)}")
    N, C = (1, *shape) if len(shape) == 1 else shape
    if wanted != (N,) and not (len(shape) == 1 and wanted == ()):
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). Expected target "
            f"size [{N}], but got {list(wanted)}. Input has shape {list(shape)}."
        )
    if target.dtype.name != "int64":
        raise RuntimeError(f"expected scalar type Long but found {_torch_name(target)}")
    if weight is not None and weight._array.shape != (C,):
        raise RuntimeError(f"inconsistent weight size, expected {C} but got {list(weight._array.shape)}")
    classes = target._array.reshape(N)
    if classes.size and (classes.min() < 0 or classes.max() >= C):
        raise RuntimeError(f"target out of range: multi_margin_loss has {C} classes in an input of shape {list(shape)}")
    x = reshape(input, N, C)
    if p == 1 and input.dtype.is_floating_point:
        loss = ops.multi_margin_loss(x, classes, None if weight is None else weight._array, margin)
    else:
        loss = clamp_min(x - gather(x, 1, reshape(target, N, 1)) + margin, 0)
        others = ops.constant_like(classes[:, None] != np.arange(C), x)
        loss = loss * others if p == 1 else loss * loss * others
        if weight is not None:
            loss = loss * from_array(weight._array[classes[:, None]])
        loss = sum_over(loss, 1) / C
    return ops.mean_or_sum(reshape(loss, wanted) if reduction == "none" else loss, reduction)


@named_node
def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """sum over j, i of max(0, 1 - input[t_j] + input[i]) / C: t_j the sample's classes, up to the first -1 of its row of target, and i
    every other class. input and target are (N, C) or (C)."""
    reduction = _reduction(reduction, size_average, reduce)
    _check_tensors("multilabel_margin_loss", input=input, target=target)
    shape = input._array.shape
    if len(shape) > 2:
        raise RuntimeError(f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(shape)}")
    if target._array.shape != shape:
        raise RuntimeError(f"inconsistent target size: {list(target._array.shape)} for input of size: {list(shape)}")
    if target.dtype.name != "int64":
        raise RuntimeError(f"expected scalar type Long but found {_torch_name(target)}")
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"multilabel_margin_loss\" not implemented for '{_torch_name(input)}': pass float scores")
    N, C = (1, *shape) if len(shape) == 1 else shape or (1, 1)
    classes = target._array.reshape(N, C)
    if ops.find_bad_target(classes, C, -1) is not None:
        raise RuntimeError(f"argument #2 'target' is out of range: multilabel_margin_loss has {C} classes, -1 ends a row")
    loss = ops.multilabel_margin_loss(reshape(input, N, C), classes.copy())
    return ops.mean_or_sum(reshape(loss, shape[:-1]) if reduction == "none" else loss, reduction)


# Distributions


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target (log target - input), for log probabilities input; with log_target, exp(target) (target - input).

    reduction "batchmean" is the sum over the first dimension's size, which is the divergence's definition; "mean" warns.
    """
    batch_mean = reduction == "batchmean" and size_average is None and reduce is None
    if reduction == "mean" and size_average is None and reduce is None:
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only by the batch "
            "size, and aligns with the KL div math definition.'mean' will be changed to behave the same as 'batchmean' in the next "
            "major release.",
            stacklevel=2,
        )
    reduction = _reduction("sum" if batch_mean else reduction, size_average, reduce)
    _check_tensors("kl_div", input=input, target=target)
    x, y = broadcast_operands("kl_div", input, target)
    loss = exp(y) * (y - x) if log_target else y * log(where(y == 0, 1.0, y)) - y * x
    reduced = ops.mean_or_sum(loss, reduction)
    return reduced / input._array.shape[0] if batch_mean and input.ndim else reduced


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """(log var + (input - target)^2 / var) / 2, and log(2 pi) / 2 more if `full`; var is cut at eps, which its gradient does not see.

    var: of input's shape, or without its last dimension, or with size 1 in one dimension, or a number. Raises ValueError for a
    negative one, or one of another shape.
    """
    _check_tensors("gaussian_nll_loss", input=input, target=target)
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = ops.constant_like(np.full(input._array.shape, var), input)
    elif (var._array < 0).any():
        raise ValueError("var has negative entry/entries")
    shape, given = input._array.shape, var._array.shape
    if given != shape:
        if shape[:-1] == given:
            var = unsqueeze(var, -1)
        elif len(shape) != len(given) or sum(n for m, n in zip(shape, given, strict=True) if m != n) != 1:
            raise ValueError(f"var is of incorrect size: {list(given)} for an input of size {list(shape)}")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    var = where(var.detach() < eps, var - var.detach() + eps, var)
    difference = input - target
    loss = (log(var) + difference * difference / var) * 0.5
    return ops.mean_or_sum(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(input) - target input; without log_input, input - target log(input + eps). `full` adds Stirling's approximation of log target!
    for targets above 1: target log target - target + log(2 pi target) / 2."""
    reduction = _reduction(reduction, size_average, reduce)
    _check_tensors("poisson_nll_loss", input=input, target=target)
    loss = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        large = where(target > 1, target, 1.0)
        stirling = large * log(large) - large + log(large * (2 * math.pi)) * 0.5
        loss = loss + where(target > 1, stirling, 0.0)
    return ops.mean_or_sum(loss, reduction)


# Distances and rankings


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target (input1 - input2) + margin), for targets of 1 and -1."""
    reduction = _reduction(reduction, size_average, reduce)
    _check_tensors("margin_ranking_loss", input1=input1, input2=input2, target=target)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            f"margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: {_size(input1)}, input2: "
            f"{_size(input2)}, target: {_size(target)} "
        )
    return ops.mean_or_sum(clamp_min(-target * (input1 - input2) + margin, 0), reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """input where target is 1, max(0, margin - input) where it is -1."""
    reduction = _reduction(reduction, size_average, reduce)
    _check_tensors("hinge_embedding_loss", input=input, target=target)
    x, y = broadcast_operands("hinge_embedding_loss", input, target)
    loss = where(y != 1, clamp_min(-x + margin, 0), 0.0) + where(y != -1, x, 0.0)
    return ops.mean_or_sum(loss, reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1: cos of the angle between the rows of (N, D), or of two (D)."""
    reduction = _reduction(reduction, size_average, reduce)
    _check_tensors("cosine_embedding_loss", input1=input1, input2=input2, target=target)
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    for name, x in (("input1", input1), ("input2", input2)):
        if x.ndim != target.ndim + 1:
            raise RuntimeError(
                f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found {name} of size {list(x._array.shape)}"
            )
    x, y = broadcast_operands("cosine_embedding_loss", input1, input2)
    floor = 1e-12
    cos = sum_over(x * y, -1) / sqrt((sum_over(x * x, -1) + floor) * (sum_over(y * y, -1) + floor))
    loss = where(target == 1, 1 - cos, 0.0) + where(target == -1, clamp_min(cos - margin, 0), 0.0)
    return ops.mean_or_sum(loss, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) with d(x, y) = |x - y + eps|_p over the last dimension.

    swap: the distance from the negative is the smaller of those to the anchor and to the positive.
    """
    reduction = _reduction(reduction, size_average, reduce)
    return _triplet(anchor, positive, negative, lambda x, y: pairwise_distance(x, y, p, eps), margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """triplet_margin_loss with a distance of one's own: distance_function(x, y), by default |x - y + 1e-6|_2 over the last dimension."""
    return _triplet(anchor, positive, negative, distance_function or pairwise_distance, margin, swap, _reduction(reduction))


def _triplet(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    _check_tensors("triplet_margin_loss", anchor=anchor, positive=positive, negative=negative)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: anchor "
            f"{anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    to_positive, to_negative = distance(anchor, positive), distance(anchor, negative)
    if swap:
        to_negative = minimum(to_negative, distance(positive, negative))
    return ops.mean_or_sum(clamp_min(to_positive - to_negative + margin, 0), reduction)
