"""NAdam, RAdam, Adamax, ASGD and Rprop: optimizers that change one parameter after the other with numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad._ext.engine import from_array
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


class _Elementwise(Optimizer):
    """A subclass says with what state a parameter begins, and how its array p changes for the gradient g."""

    def _begin(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        raise NotImplementedError

    def _change(self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> None:
        raise NotImplementedError

    def _update(self, group: dict[str, Any]) -> None:
        for param in group["params"]:
            if param.grad is None:
                continue
            state = self.state[param]
            if not state:
                state.update(self._begin(param, group))
            g = param.grad._array
            self._change(param._array, -g if group["maximize"] else g, state, group)
            param._bump_version()


def _check_betas(betas: Sequence[float]) -> None:
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


def _decayed(p: np.ndarray, g: np.ndarray, group: dict[str, Any]) -> np.ndarray:
    """g + weight_decay p; or p shrunk in place by 1 - lr weight_decay, and g, where the decay is decoupled."""
    decay = group["weight_decay"]
    if decay == 0:
        return g
    if group.get("decoupled_weight_decay"):
        p *= 1 - float(group["lr"]) * decay
        return g
    return g + p * decay


def _follow(mean: np.ndarray, value: np.ndarray, beta: float) -> None:
    """mean = beta mean + (1 - beta) value, in place."""
    mean *= beta
    mean += value * (1 - beta)


class NAdam(_Elementwise):
    """Adam with Nesterov's momentum.

    m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g**2; mu_t = beta1 (1 - 0.96**(t momentum_decay) / 2), M_t the product
    of all mu so far; p -= lr ((1 - mu_t) g / (1 - M_t) + mu_{t+1} m / (1 - M_{t+1})) / (sqrt(v / (1 - beta2**t)) + eps).
    `weight_decay` adds weight_decay * p to g, or, with `decoupled_weight_decay`, shrinks p by 1 - lr * weight_decay first.

    ValueError for a negative option or betas outside [0, 1). `foreach` and `capturable` are accepted and change nothing;
    `differentiable=True` raises NotImplementedError. Source: Dozat, "Incorporating Nesterov momentum into Adam", 2016.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_rate(lr)
        check_not_negative(epsilon__value=eps)
        _check_betas(betas)
        check_not_negative(weight_decay__value=weight_decay, momentum_decay__value=momentum_decay)
        check_not_differentiable(differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _begin(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        product = from_array(np.ones((), np.float32))
        return {
            "step": step_counter(),
            "mu_product": product,
            "exp_avg": state_like(param),
            "exp_avg_sq": state_like(param),
        }

    def _change(self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        lr, decay = float(group["lr"]), group["momentum_decay"]
        t = advance(state["step"])
        g = _decayed(p, g, group)
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (k * decay)) for k in (t, t + 1))
        product = state["mu_product"]._array
        product *= mu
        m, v = state["exp_avg"]._array, state["exp_avg_sq"]._array
        _follow(m, g, beta1)
        _follow(v, g * g, beta2)
        divisor = np.sqrt(v / (1 - beta2**t)) + group["eps"]
        p -= g / divisor * (lr * (1 - mu) / (1 - float(product)))
        p -= m / divisor * (lr * mu_next / (1 - float(product) * mu_next))


class RAdam(_Elementwise):
    """Adam with a rectified rate: as long as the mean of squares rests on few gradients, plain momentum takes its place.

    m and v as in Adam; R = 2 / (1 - beta2) - 1, r = R - 2 t beta2**t / (1 - beta2**t);
    p -= lr m / (1 - beta1**t) * sqrt((r - 4) (r - 2) R / ((R - 4) (R - 2) r)) sqrt(1 - beta2**t) / (sqrt(v) + eps), the factors
    from the root on only where r > 5. `weight_decay` as in NAdam.

    Errors and ignored options as in NAdam. Source: Liu et al., "On the variance of the adaptive learning rate and beyond", 2019.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_rate(lr)
        check_not_negative(epsilon__value=eps)
        _check_betas(betas)
        check_not_negative(weight_decay__value=weight_decay)
        check_not_differentiable(differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _begin(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        return {"step": step_counter(), "exp_avg": state_like(param), "exp_avg_sq": state_like(param)}

    def _change(self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        t = advance(state["step"])
        g = _decayed(p, g, group)
        m, v = state["exp_avg"]._array, state["exp_avg_sq"]._array
        _follow(m, g, beta1)
        _follow(v, g * g, beta2)
        rest = 1 - beta2**t
        limit = 2 / (1 - beta2) - 1
        r = limit - 2 * t * beta2**t / rest
        update = m * (float(group["lr"]) / (1 - beta1**t))
        if r > 5:
            rectified = ((r - 4) * (r - 2) * limit / ((limit - 4) * (limit - 2) * r)) ** 0.5
            update *= rectified * rest**0.5 / (np.sqrt(v) + group["eps"])
        p -= update


class Adamax(_Elementwise):
    """Adam with the infinity norm: m = beta1 m + (1 - beta1) g; u = max(beta2 u, |g| + eps); p -= lr / (1 - beta1**t) m / u.

    `weight_decay` adds weight_decay * p to g. Errors and ignored options as in NAdam. Source: Kingma and Ba, 2014, section 7.1.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_rate(lr)
        check_not_negative(epsilon__value=eps)
        _check_betas(betas)
        check_not_negative(weight_decay__value=weight_decay)
        check_not_differentiable(differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _begin(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        return {"step": step_counter(), "exp_avg": state_like(param), "exp_inf": state_like(param)}

    def _change(self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        t = advance(state["step"])
        g = _decayed(p, g, group)
        m, u = state["exp_avg"]._array, state["exp_inf"]._array
        _follow(m, g, beta1)
        u *= beta2
        np.maximum(u, np.abs(g) + group["eps"], out=u)
        p -= m / u * (float(group["lr"]) / (1 - beta1**t))


class ASGD(_Elementwise):
    """Averaged stochastic gradient descent: p = (1 - lambd eta) p - eta g; the state "ax" is the mean of p from step t0 on.

    eta = lr / (1 + lambd lr t)**alpha; ax += (p - ax) / max(1, t - t0). `weight_decay` adds weight_decay * p to g.

    ValueError for a negative lr or weight_decay; ignored options as in NAdam. Source: Polyak and Juditsky, 1992.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_rate(lr)
        check_not_negative(weight_decay__value=weight_decay)
        check_not_differentiable(differentiable)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _begin(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        eta, mu = (from_array(np.full((), value, np.float32)) for value in (float(group["lr"]), 1.0))
        return {"step": step_counter(), "eta": eta, "mu": mu, "ax": state_like(param)}

    def _change(self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> None:
        lr, lambd = float(group["lr"]), group["lambd"]
        t = advance(state["step"])
        g = _decayed(p, g, group)
        eta, mu, mean = (state[name]._array for name in ("eta", "mu", "ax"))
        p *= 1 - lambd * float(eta)
        p -= g * float(eta)
        if mu == 1:
            mean[...] = p
        else:
            mean += (p - mean) * float(mu)
        eta[...] = lr / (1 + lambd * lr * t) ** group["alpha"]
        mu[...] = 1 / max(1, t - group["t0"])


class Rprop(_Elementwise):
    """Resilient propagation: each element has a step size of its own, and only the sign of its gradient counts.

    The size grows by etas[1] where the sign stays, shrinks by etas[0] where it changes (the element then rests for a step), and
    remains within `step_sizes`; it begins at lr. p -= sign(g) size.

    ValueError for a negative lr or etas that are not 0 < etas[0] < 1 < etas[1]; ignored options as in NAdam.
    Source: Riedmiller and Braun, 1993.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_rate(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        check_not_differentiable(differentiable)
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _begin(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        return {"step": step_counter(), "prev": state_like(param), "step_size": state_like(param, float(group["lr"]))}

    def _change(self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> None:
        advance(state["step"])
        before, size = state["prev"]._array, state["step_size"]._array
        agreement = g * before
        shrink, grow = group["etas"]
        size *= np.where(agreement > 0, grow, np.where(agreement < 0, shrink, 1.0)).astype(p.dtype)
        np.clip(size, *group["step_sizes"], out=size)
        g = np.where(agreement < 0, p.dtype.type(0), g)
        p -= np.sign(g) * size
        before[...] = g
