"""Weight normalization by a hook that runs before forward. `nn.utils.parametrizations.weight_norm` is the newer way."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter, is_lazy
from minigrad.ops.reduce import norm
from minigrad.tensor import Tensor

M = TypeVar("M", bound=Module)


def norm_except_dim(v: Tensor, dim: int) -> Tensor:
    """The 2-norm over all dimensions but one, which stays, with size 1 for the others; over all of them, 0-d, for dim=-1."""
    return norm(v) if dim == -1 else norm(v, 2.0, tuple(d for d in range(v.ndim) if d != dim), True)


def normalized(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """v * (g / |v|), the norm as by `norm_except_dim`."""
    return v * (g / norm_except_dim(v, dim))


class WeightNorm:
    """The hook: puts g v / |v| in the place of a weight, from the parameters <name>_g and <name>_v."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Tensor:
        """The weight of this moment, in the graph."""
        return normalized(getattr(module, f"{self.name}_v"), getattr(module, f"{self.name}_g"), self.dim)

    def remove(self, module: Module) -> None:
        """Makes the weight a parameter again."""
        weight = self.compute_weight(module)
        delattr(module, self.name)
        del module._parameters[f"{self.name}_g"]
        del module._parameters[f"{self.name}_v"]
        setattr(module, self.name, Parameter(weight.data))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Splits a weight into its length g and its direction v: weight = g v / |v|, computed anew before every forward.

    The parameter `name` gives way to <name>_g and <name>_v; there is one length for each index of `dim`, or a single one for None.
    Returns the module. RuntimeError where the weight is normalized already, ValueError where it has no shape yet. Warns that it is
    deprecated. Source: Salimans and Kingma, "Weight normalization", 2016.
    """
    warnings.warn(
        "`torch.nn.utils.weight_norm` is deprecated in favor of `torch.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    if any(isinstance(hook, WeightNorm) and hook.name == name for hook in module._forward_pre_hooks.values()):
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    weight = getattr(module, name)
    if is_lazy(weight):
        raise ValueError(
            "The module passed to `WeightNorm` can't have uninitialized parameters. Make sure to run the dummy forward before "
            "applying weight normalization"
        )
    hook = WeightNorm(name, dim)
    del module._parameters[name]
    module.register_parameter(f"{name}_g", Parameter(norm_except_dim(weight, hook.dim).data))
    module.register_parameter(f"{name}_v", Parameter(weight.data))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Takes `weight_norm` back: the weight of this moment becomes a parameter. ValueError where there is none."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
