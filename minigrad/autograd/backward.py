"""Where backward passes start: backward() and grad()."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad._ext.engine import TensorBase, from_array, run_backward

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def _as_list(value: Any) -> list:
    return [value] if value is None or isinstance(value, TensorBase) else list(value)


def _incoming(outputs: list, gradients: object) -> list[Tensor]:
    """A gradient for each output: the one given, or 1 for a scalar. Raises RuntimeError where neither is there or it does not fit."""
    given = [None] * len(outputs) if gradients is None else _as_list(gradients)
    if len(given) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(given)} gradients")
    complete = []
    for i, (out, g) in enumerate(zip(outputs, given, strict=True)):
        if not isinstance(out, TensorBase):
            raise TypeError(f"gradients can be computed for Tensors only, but got {type(out).__name__}")
        if not out.requires_grad:
            raise RuntimeError(f"element {i} of tensors does not require grad and does not have a grad_fn")
        if g is None:
            if out._array.size != 1:
                raise RuntimeError(
                    f"grad can be implicitly created only for scalar outputs, but element {i} has shape {list(out._array.shape)}: "
                    "pass a gradient of that shape, or reduce it with sum() or mean() first"
                )
            g = from_array(np.ones(out._array.shape, out._array.dtype))
        elif not isinstance(g, TensorBase):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
        elif g._array.shape != out._array.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {list(g._array.shape)} and output[{i}] has a shape of "
                f"{list(out._array.shape)}."
            )
        complete.append(g)
    return complete


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Adds the gradients of the tensors' sum (weighted by grad_tensors) to .grad of every leaf they depend on, or of `inputs` alone.

    Frees the graph unless retain_graph (by default create_graph); create_graph=True makes the gradients differentiable.
    Raises RuntimeError for a tensor that does not require grad, and for a non-scalar one without a gradient.
    """
    outputs = _as_list(tensors)
    if inputs is not None:
        inputs = _as_list(inputs)
        if not inputs:
            raise RuntimeError("'inputs' argument to backward() cannot be empty.")
        for x in inputs:
            if not x.requires_grad:
                raise RuntimeError("One of the differentiated Tensors does not require grad")
    gradients = _incoming(outputs, grad_tensors)
    retain = create_graph if retain_graph is None else retain_graph
    if inputs is None or all(x.is_leaf for x in inputs):
        run_backward(outputs, gradients, retain, create_graph, inputs, True)
        return
    for x, g in zip(inputs, run_backward(outputs, gradients, retain, create_graph, inputs, False), strict=True):
        if g is not None and not x.retains_grad:  # what retains its gradient has it by now
            x._add_grad(g)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the outputs' sum (weighted by grad_outputs) with respect to the inputs. Touches no .grad.

    Raises RuntimeError for an input that does not require grad or (unless allow_unused) was not used.
    """
    if not only_inputs:
        raise ValueError("grad: only_inputs=False is not supported (nor is it in PyTorch any more); use backward()")
    if is_grads_batched:
        raise NotImplementedError("grad: is_grads_batched=True is not implemented; call grad() once for each gradient")
    if allow_unused is None:
        allow_unused = materialize_grads
    elif materialize_grads and not allow_unused:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    outs, ins = _as_list(outputs), _as_list(inputs)
    if not ins:
        raise ValueError("grad requires non-empty inputs.")
    for x in ins:
        if not isinstance(x, TensorBase):
            raise TypeError(f"grad: inputs must be Tensors, but got {type(x).__name__}")
        if not x.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    gradients = _incoming(outs, grad_outputs)
    results = run_backward(outs, gradients, create_graph if retain_graph is None else retain_graph, create_graph, ins, False)
    if materialize_grads:
        results = [from_array(np.zeros_like(x._array)) if g is None else g for x, g in zip(ins, results, strict=True)]
    elif not allow_unused and any(g is None for g in results):
        raise RuntimeError(
            "One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if this is the desired "
            f"behavior. (input {next(i for i, g in enumerate(results) if g is None)})"
        )
    return tuple(results)
