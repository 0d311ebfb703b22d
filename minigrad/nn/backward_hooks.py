"""Full backward hooks of a Module: identity nodes around its inputs and outputs that see the gradients pass."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minigrad._ext.engine import Function, apply
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from minigrad.nn.module import Module


class _WatchFunction(Function):
    """The identity on several tensors. Its backward hands the gradients to `seen` and passes on what that returns."""

    def __init__(self, seen: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> None:
        self.seen = seen

    def forward(self, *arrays: Any) -> Any:
        # Copies: the module may write to its inputs, its caller to the outputs, and what others saved must not change unseen.
        return tuple(array.copy() for array in arrays) if len(arrays) > 1 else arrays[0].copy()

    def backward(self, g: Any) -> Any:
        grads = self.seen(g if isinstance(g, tuple) else (g,))
        return grads if len(grads) > 1 else grads[0]


class BackwardHooks:
    """The hooks of one call of a module: makes `grad_output` of what arrives at its outputs, `grad_input` of what leaves its inputs."""

    def __init__(self, module: Module, hooks: list[Callable[..., Any]], pre_hooks: list[Callable[..., Any]]) -> None:
        self.module = module
        self.hooks = hooks
        self.pre_hooks = pre_hooks
        self.grad_output: tuple[Any, ...] = ()
        self.n_inputs = 0
        self.input_places: list[int] = []
        self.output_places: list[int] = []
        self.n_outputs = 0

    def watch_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The positional arguments, the tensors that require a gradient among them behind a watching node."""
        self.n_inputs = len(args)
        self.input_places = [i for i, arg in enumerate(args) if isinstance(arg, Tensor) and arg.requires_grad]
        return _replace(args, self.input_places, self._inputs_seen)

    def watch_outputs(self, result: Any) -> Any:
        """The output of the module, a Tensor or a tuple, behind a watching node; anything else is left alone."""
        outputs = result if isinstance(result, tuple) else (result,)
        self.n_outputs = len(outputs)
        self.output_places = [i for i, out in enumerate(outputs) if isinstance(out, Tensor) and out.requires_grad]
        watched = _replace(outputs, self.output_places, self._outputs_seen)
        if not isinstance(result, tuple):
            return watched[0]
        return type(result)(*watched) if hasattr(result, "_fields") else watched

    def _outputs_seen(self, g: tuple[Any, ...]) -> tuple[Any, ...]:
        grads = _spread(g, self.output_places, self.n_outputs)
        for hook in self.pre_hooks:
            grads = _changed(hook(self.module, grads), grads, "Backward pre hook")
        self.grad_output = grads
        if not self.input_places:
            if self.hooks:
                warnings.warn(
                    "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs "
                    "require gradients.",
                    stacklevel=2,
                )
            for hook in self.hooks:
                if hook(self.module, (None,) * self.n_inputs, grads) is not None:
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None for all "
                        "gradients."
                    )
        return tuple(grads[i] for i in self.output_places)

    def _inputs_seen(self, g: tuple[Any, ...]) -> tuple[Any, ...]:
        grads = _spread(g, self.input_places, self.n_inputs)
        for hook in self.hooks:
            grads = _changed(hook(self.module, grads, self.grad_output), grads, "Backward hook")
        return tuple(grads[i] for i in self.input_places)


def _replace(values: tuple[Any, ...], places: list[int], seen: Callable[..., Any]) -> tuple[Any, ...]:
    if not places:
        return values
    watched = apply(_WatchFunction(seen), *(values[i] for i in places))
    watched = watched if isinstance(watched, tuple) else (watched,)
    replaced = list(values)
    for i, value in zip(places, watched, strict=True):
        replaced[i] = value
    return tuple(replaced)


def _spread(g: tuple[Any, ...], places: list[int], count: int) -> tuple[Any, ...]:
    grads: list[Any] = [None] * count
    for i, value in zip(places, g, strict=True):
        grads[i] = value
    return tuple(grads)


def _changed(result: Any, grads: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    if result is None:
        return grads
    result = result if isinstance(result, tuple) else (result,)
    if len(result) != len(grads):
        raise RuntimeError(f"{what} returned an invalid number of grad_input, got {len(result)}, but expected {len(grads)}")
    return result
