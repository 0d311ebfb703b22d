"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from minigrad._ext import optim as kernels
from minigrad.optim.optimizer import Optimizer, Params, check_not_differentiable, check_not_negative, check_rate, state_like
from minigrad.tensor import Tensor


class SGD(Optimizer):
    """Gradient descent, with momentum if `momentum` is not 0.

    d = g + weight_decay * p (-g if `maximize`); b = momentum * b + (1 - dampening) * d, but b = d at the first step of a
    parameter; p -= lr * b, or lr * (d + momentum * b) if `nesterov`. Without momentum p -= lr * d.

    ValueError for a negative lr, momentum or weight_decay, or for `nesterov` without momentum or with dampening. `foreach` and
    `fused` are accepted and change nothing: there is one compiled kernel; `differentiable=True` raises NotImplementedError.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_rate(lr)
        check_not_negative(momentum__value=momentum, weight_decay__value=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_not_differentiable(differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _update(self, group: dict[str, Any]) -> None:
        momentum = group["momentum"]
        params, grads, buffers, first = [], [], [], []
        for param in group["params"]:
            grad = param.grad
            if grad is None:
                continue
            buffer, fresh = None, False
            if momentum != 0:
                state = self.state[param]
                buffer = state.get("momentum_buffer")
                if buffer is None:
                    buffer = state["momentum_buffer"] = state_like(param)
                    fresh = True
                buffer = buffer._array
            params.append(param._array)
            grads.append(grad._array)
            buffers.append(buffer)
            first.append(fresh)
            param._bump_version()
        kernels.sgd(
            params,
            grads,
            buffers,
            first,
            float(group["lr"]),
            momentum,
            group["dampening"],
            group["weight_decay"],
            group["nesterov"],
            group["maximize"],
        )
