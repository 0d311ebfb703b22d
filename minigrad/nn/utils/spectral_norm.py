"""Spectral normalization by a hook that runs before forward. `nn.utils.parametrizations.spectral_norm` is the newer way."""

from __future__ import annotations

from typing import Any, TypeVar

from minigrad.autograd import no_grad
from minigrad.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from minigrad.nn.functional.normalization import normalize
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter, is_lazy
from minigrad.ops.linalg import dot, mv
from minigrad.ops.shape import flatten, movedim
from minigrad.random import randn
from minigrad.tensor import Tensor

M = TypeVar("M", bound=Module)


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """The weight with `dim` in front and all others flattened: (R, C)."""
    return flatten(movedim(weight, dim, 0) if dim else weight, 1)


def random_direction(size: int, like: Tensor, eps: float) -> Tensor:
    """A random vector of length 1."""
    return normalize(randn(size, dtype=like.dtype), dim=0, eps=eps)


def output_dim(module: Module, dim: int | None) -> int:
    """The dimension of a weight that counts the outputs: 1 for transposed convolutions, else 0, unless `dim` says."""
    if dim is not None:
        return dim
    return 1 if isinstance(module, ConvTranspose1d | ConvTranspose2d | ConvTranspose3d) else 0


class SpectralNorm:
    """The hook: puts W / sigma in the place of a weight, sigma = u^T W v with the buffers u and v that follow W's singular vectors."""

    def __init__(self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        if n_power_iterations <= 0:
            raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
        self.name = name
        self.dim = dim
        self.n_power_iterations = n_power_iterations
        self.eps = eps

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        """The weight of this moment, in the graph; u and v go on first if told so."""
        weight: Tensor = getattr(module, f"{self.name}_orig")
        u, v = getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")
        matrix = as_matrix(weight, self.dim)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(normalize(mv(matrix.t(), u), dim=0, eps=self.eps))
                    u.copy_(normalize(mv(matrix, v), dim=0, eps=self.eps))
            u, v = u.clone(), v.clone()  # the buffers change at the next call, what the graph keeps must not
        return weight / dot(u, mv(matrix, v))

    def remove(self, module: Module) -> None:
        """Makes the weight a parameter again."""
        with no_grad():
            weight = self.compute_weight(module, False)
        for suffix in ("", "_u", "_v", "_orig"):
            delattr(module, self.name + suffix)
        module.register_parameter(self.name, Parameter(weight))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """Divides a weight, seen as a matrix, by an estimate of its largest singular value, computed anew before every forward.

    The parameter `name` gives way to <name>_orig; the buffers <name>_u and <name>_v hold the singular vectors, which
    n_power_iterations steps of the power method improve before every forward in training. `dim` is the dimension of the rows.
    Returns the module. RuntimeError where the weight is normalized already; ValueError for a weight that is None or has no shape
    yet, or for no iterations. Source: Miyato et al., "Spectral normalization for generative adversarial networks", 2018.
    """
    if any(isinstance(hook, SpectralNorm) and hook.name == name for hook in module._forward_pre_hooks.values()):
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    hook = SpectralNorm(name, n_power_iterations, output_dim(module, dim), eps)
    weight = module._parameters[name]
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    if is_lazy(weight):
        raise ValueError(
            "The module passed to `SpectralNorm` can't have uninitialized parameters. Make sure to run the dummy forward before "
            "applying spectral normalization"
        )
    rows, columns = as_matrix(weight.data, hook.dim).shape
    u, v = random_direction(rows, weight, eps), random_direction(columns, weight, eps)
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.data)
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Takes `spectral_norm` back: the weight of this moment becomes a parameter. ValueError where there is none."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"spectral_norm of '{name}' not found in {module}")
