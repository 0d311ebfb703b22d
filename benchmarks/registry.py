"""The list of workloads, and the inputs they are written with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

WORKLOADS: dict[str, Workload] = {}


@dataclass(frozen=True)
class Input:
    """An argument drawn from a seeded generator: floats (kind normal, uniform, positive), or integers below `high`."""

    shape: tuple[int, ...]
    kind: str = "normal"
    high: int = 0
    grad: bool = True

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        if self.kind == "integers":
            return rng.integers(0, self.high, self.shape)
        if self.kind == "bool":
            return rng.random(self.shape) < 0.5
        if self.kind == "normal":
            return rng.standard_normal(self.shape, dtype=np.float32)
        low = {"uniform": -1.0, "positive": 0.05}[self.kind]
        return (low + (1 - low) * rng.random(self.shape, dtype=np.float32)).astype(np.float32)

    @property
    def differentiable(self) -> bool:
        return self.grad and self.kind not in ("integers", "bool")


@dataclass(frozen=True)
class Workload:
    """One line of the table. build(lib) gives the calls to time by mode: "forward" and "both" (forward and backward) for an
    operation, "step" for anything else.

    control: the same computation on numpy arrays, made by control() in a process of its own; bytes and flops: the least that
    the forward (or the step) must move and multiply, from which the machine's limit follows.
    """

    name: str
    family: str
    build: Callable[[Any], dict[str, Callable[[], object]]]
    control: Callable[[], Callable[[], object]] | None = None
    bytes: float = 0
    flops: float = 0
    modes: tuple[str, ...] = field(default=("forward", "both"))


def _register(workload: Workload) -> None:
    if workload.name in WORKLOADS:
        raise ValueError(f"two workloads are called {workload.name}")
    WORKLOADS[workload.name] = workload


def normal(*shape: int, grad: bool = True) -> Input:
    return Input(shape, grad=grad)


def uniform(*shape: int, grad: bool = True) -> Input:
    """Floats in [-1, 1)."""
    return Input(shape, "uniform", grad=grad)


def positive(*shape: int, grad: bool = True) -> Input:
    """Floats in [0.05, 1)."""
    return Input(shape, "positive", grad=grad)


def integers(high: int, *shape: int) -> Input:
    return Input(shape, "integers", high)


def mask(*shape: int) -> Input:
    return Input(shape, "bool")


def op(
    family: str,
    name: str,
    function: Callable[..., Any],
    *inputs: Input,
    control: Callable[..., object] | None = None,
    flops: float = 0,
    backward: bool = True,
) -> None:
    """Registers function(lib, *tensors): its forward on inputs that need no gradient, and forward and backward together for an
    incoming gradient of ones (autograd.grad for every input that can have one). Of several results the first is differentiated.
    """

    def arrays() -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [given.draw(rng) for given in inputs]

    def build(lib: Any) -> dict[str, Callable[[], object]]:
        plain = [lib.from_numpy(array) for array in arrays()]
        calls: dict[str, Callable[[], object]] = {"forward": lambda: function(lib, *plain)}
        if backward:
            leaves = [
                lib.from_numpy(array).requires_grad_() if given.differentiable else lib.from_numpy(array)
                for array, given in zip(arrays(), inputs, strict=True)
            ]
            wanted = [leaf for leaf in leaves if leaf.requires_grad]
            first = function(lib, *leaves)
            g = lib.ones_like((first if hasattr(first, "backward") else first[0]).detach())

            def both() -> object:
                out = function(lib, *leaves)
                return lib.autograd.grad(out if hasattr(out, "backward") else out[0], wanted, g)

            calls["both"] = both
        return calls

    def numpy_call() -> Callable[[], object]:
        drawn = arrays()
        return lambda: control(*drawn)

    _register(
        Workload(
            name,
            family,
            build,
            numpy_call if control else None,
            sum(float(np.prod(given.shape)) * (8 if given.kind == "integers" else 4) for given in inputs),
            flops,
            ("forward", "both") if backward else ("forward",),
        )
    )


def call(family: str, name: str, control: Callable[[], Callable[[], object]] | None = None, flops: float = 0):
    """Registers the decorated build(lib) -> (() -> object): what it gives is timed as a step of its own."""

    def decorate(build: Callable[[Any], Callable[[], object]]):
        _register(Workload(name, family, lambda lib: {"step": build(lib)}, control, 0, flops, ("step",)))
        return build

    return decorate
