"""Adagrad and Adadelta."""

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


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients.

    s += g**2, from `initial_accumulator_value` on; p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps). `weight_decay`
    adds weight_decay * p to g.

    ValueError for a negative option. `foreach` and `fused` are accepted and change nothing; `differentiable=True` raises
    NotImplementedError. Source: Duchi et al., "Adaptive subgradient methods", 2011.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_rate(lr)
        check_not_negative(
            lr_decay__value=lr_decay,
            weight_decay__value=weight_decay,
            initial_accumulator_value__value=initial_accumulator_value,
            epsilon__value=eps,
        )
        check_not_differentiable(differentiable)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for param in group["params"]:
                self._begin(param, group)

    def _begin(self, param: Tensor, group: dict[str, Any]) -> None:
        self.state[param]["step"] = step_counter()
        self.state[param]["sum"] = state_like(param, group["initial_accumulator_value"])

    def _update(self, group: dict[str, Any]) -> None:
        params, grads, sums, rates = [], [], [], []
        lr, decay = float(group["lr"]), group["lr_decay"]
        for param in group["params"]:
            if param.grad is None:
                continue
            state = self.state[param]
            if not state:  # of a group that was added later
                self._begin(param, group)
            rates.append(lr / (1 + (advance(state["step"]) - 1) * decay))
            params.append(param._array)
            grads.append(param.grad._array)
            sums.append(state["sum"]._array)
            param._bump_version()
        kernels.adagrad(params, grads, sums, rates, group["eps"], group["weight_decay"], group["maximize"])


class Adadelta(Optimizer):
    """Steps whose unit is that of the parameter: the ratio of running root mean squares of past steps and gradients.

    s = rho * s + (1 - rho) * g**2; u = sqrt(t + eps) / sqrt(s + eps) * g; t = rho * t + (1 - rho) * u**2; p -= lr * u.
    `weight_decay` adds weight_decay * p to g.

    ValueError for a negative option or rho above 1. `foreach` and `capturable` are accepted and change nothing;
    `differentiable=True` raises NotImplementedError. Source: Zeiler, "ADADELTA: an adaptive learning rate method", 2012.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_rate(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_not_negative(epsilon__value=eps, weight_decay__value=weight_decay)
        check_not_differentiable(differentiable)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _update(self, group: dict[str, Any]) -> None:
        params, grads, squares, updates = [], [], [], []
        for param in group["params"]:
            if param.grad is None:
                continue
            state = self.state[param]
            if not state:
                state["step"] = step_counter()
                state["square_avg"] = state_like(param)
                state["acc_delta"] = state_like(param)
            advance(state["step"])
            params.append(param._array)
            grads.append(param.grad._array)
            squares.append(state["square_avg"]._array)
            updates.append(state["acc_delta"]._array)
            param._bump_version()
        kernels.adadelta(
            params,
            grads,
            squares,
            updates,
            float(group["lr"]),
            group["rho"],
            group["eps"],
            group["weight_decay"],
            group["maximize"],
        )
