"""Bounds for gradients: on their norm, or on each of their elements."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterable

from minigrad.autograd import no_grad
from minigrad.creation import tensor
from minigrad.ops.elementwise import clamp_max
from minigrad.ops.reduce import norm
from minigrad.ops.shape import stack
from minigrad.tensor import Tensor

Tensors = Tensor | Iterable[Tensor]


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


@no_grad()
def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """The norm of all elements of some tensors, as if they were one vector: a 0-d tensor, 0 for no tensors.

    RuntimeError for a norm that is NaN or infinite, if `error_if_nonfinite`. `foreach` changes nothing.
    """
    norms = [norm(t, float(norm_type)) for t in _listed(tensors)]
    if not norms:
        return tensor(0.0)
    total = norm(stack([each.to(norms[0].dtype) for each in norms]), float(norm_type))
    if error_if_nonfinite and not total.isfinite().item():
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is non-finite, so it cannot be clipped. To "
            "disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


@no_grad()
def clip_grads_with_norm_(parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None) -> None:
    """Multiplies every gradient in place by min(1, max_norm / (total_norm + 1e-6)). `foreach` changes nothing."""
    grads = [p.grad for p in _listed(parameters) if p.grad is not None]
    factor = clamp_max(float(max_norm) / (total_norm + 1e-6), 1.0)
    for grad in grads:
        grad.mul_(factor.to(grad.dtype))


@no_grad()
def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales all gradients together, in place, so that their norm is at most max_norm. Returns the norm before.

    norm_type is p of the p-norm over all elements of all gradients, also inf. RuntimeError for a norm that is NaN or infinite,
    if `error_if_nonfinite`; nothing has changed then. Warns of a generator that yields nothing. `foreach` changes nothing.
    """
    listed = _listed(parameters)
    if isinstance(parameters, types.GeneratorType) and not listed:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3)
    grads = [p.grad for p in listed if p.grad is not None]
    total = get_total_norm(grads, norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(listed, max_norm, total, foreach)
    return total


def clip_grad_norm(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The old name of `clip_grad_norm_`; warns."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


@no_grad()
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Clamps every element of every gradient, in place, to [-clip_value, clip_value]. `foreach` changes nothing."""
    bound = float(clip_value)
    for p in _listed(parameters):
        if p.grad is not None:
            p.grad.clamp_(-bound, bound)
