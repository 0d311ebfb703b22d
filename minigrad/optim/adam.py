"""Adam and AdamW."""

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


class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and of its square.

    m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g**2;
    p -= lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps). With `amsgrad` the largest v so far takes v's place.
    `weight_decay` adds weight_decay * p to g, or, with `decoupled_weight_decay`, shrinks p by 1 - lr * weight_decay first.

    ValueError for a negative lr, eps or weight_decay, or betas outside [0, 1). `foreach`, `fused` and `capturable` are accepted
    and change nothing; `differentiable=True` raises NotImplementedError.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2014.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_rate(lr)
        check_not_negative(epsilon__value=eps)
        for i, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        check_not_negative(weight_decay__value=weight_decay)
        if not (isinstance(betas[0], float) and isinstance(betas[1], float)):
            raise ValueError("betas must be either both floats or both Tensors")
        check_not_differentiable(differentiable)
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _update(self, group: dict[str, Any]) -> None:
        params, grads, means, squares, tops, steps = [], [], [], [], [], []
        amsgrad = group["amsgrad"]
        for param in group["params"]:
            if param.grad is None:
                continue
            state = self.state[param]
            if not state:
                state["step"] = step_counter()
                state["exp_avg"] = state_like(param)
                state["exp_avg_sq"] = state_like(param)
                if amsgrad:
                    state["max_exp_avg_sq"] = state_like(param)
            params.append(param._array)
            grads.append(param.grad._array)
            means.append(state["exp_avg"]._array)
            squares.append(state["exp_avg_sq"]._array)
            tops.append(state["max_exp_avg_sq"]._array if amsgrad else None)
            steps.append(advance(state["step"]))
            param._bump_version()
        beta1, beta2 = group["betas"]
        kernels.adam(
            params,
            grads,
            means,
            squares,
            tops,
            steps,
            float(group["lr"]),
            beta1,
            beta2,
            group["eps"],
            group["weight_decay"],
            group["decoupled_weight_decay"],
            group["maximize"],
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: p shrinks by the factor 1 - lr * weight_decay at each step.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2017.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
