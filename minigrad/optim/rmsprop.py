"""RMSprop."""

from __future__ import annotations

from typing import Any

from minigrad._ext import optim as kernels
from minigrad.optim.optimizer import (
    Optimizer,
    Params,
    advance,
    check_not_differentiable,
    check_not_negative,
    check_rate,
    state_like,
    step_counter,
)
from minigrad.tensor import Tensor


class RMSprop(Optimizer):
    """Steps divided by the root of a running mean of the squared gradient.

    s = alpha * s + (1 - alpha) * g**2; u = g / (sqrt(s) + eps); b = momentum * b + u; p -= lr * b (u without momentum). With
    `centered` s - mean(g)**2, the variance, takes the place of s. `weight_decay` adds weight_decay * p to g.

    ValueError for a negative lr, eps, momentum, weight_decay or alpha. `foreach` and `capturable` are accepted and change
    nothing; `differentiable=True` raises NotImplementedError. Source: Hinton's lecture 6e, 2012.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_rate(lr)
        check_not_negative(epsilon__value=eps, momentum__value=momentum, weight_decay__value=weight_decay, alpha__value=alpha)
        check_not_differentiable(differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _update(self, group: dict[str, Any]) -> None:
        params, grads, squares, averages, buffers = [], [], [], [], []
        momentum, centered = group["momentum"], group["centered"]
        for param in group["params"]:
            if param.grad is None:
                continue
            state = self.state[param]
            if not state:
                state["step"] = step_counter()
                state["square_avg"] = state_like(param)
                if momentum > 0:
                    state["momentum_buffer"] = state_like(param)
                if centered:
                    state["grad_avg"] = state_like(param)
            advance(state["step"])
            params.append(param._array)
            grads.append(param.grad._array)
            squares.append(state["square_avg"]._array)
            averages.append(state["grad_avg"]._array if centered else None)
            buffers.append(state["momentum_buffer"]._array if momentum > 0 else None)
            param._bump_version()
        kernels.rmsprop(
            params,
            grads,
            squares,
            averages,
            buffers,
            float(group["lr"]),
            group["alpha"],
            group["eps"],
            group["weight_decay"],
            momentum,
            group["maximize"],
        )
