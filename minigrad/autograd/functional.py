"""Derivatives of functions: Jacobians, Hessians, and their products with vectors, by PyTorch's names.

func takes as many Tensors as there are inputs and returns a Tensor or a tuple of them. Results have the structure of the inputs (or
outputs) that they belong to: a Tensor where a Tensor was given, a tuple where a tuple was. With create_graph the results can be
differentiated; with strict, an output that does not depend on an input raises RuntimeError, where otherwise its derivative is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad._ext.engine import TensorBase, from_array
from minigrad.autograd.backward import grad
from minigrad.autograd.grad_mode import enable_grad
from minigrad.ops.shape import reshape, stack, view_as

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

Tensors = Any  # a Tensor or a tuple of Tensors


def _as_tuple(value: Any, what: str, name: str) -> tuple[Tensor, ...]:
    """The Tensors of an argument or a result. TypeError for anything else."""
    values = value if isinstance(value, tuple) else (value,)
    for i, element in enumerate(values):
        if not isinstance(element, TensorBase):
            if isinstance(value, tuple):
                raise TypeError(
                    f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the value at index {i} has type "
                    f"{type(element)}."
                )
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the given {what} has type {type(element)}."
            )
    return values


def _zeros_like(x: Tensor) -> Tensor:
    return from_array(np.zeros_like(x._array))


class _Call:
    """A call of func on inputs of its own: aliases that require grad, in the caller's graph if the result is to be differentiated."""

    def __init__(self, func: Callable[..., Any], inputs: Tensors, name: str, create_graph: bool, keeps_graph: bool) -> None:
        self.name = name
        self.one_input = not isinstance(inputs, tuple)
        self.inputs = tuple(
            view_as(x, x) if create_graph and x.requires_grad else x.detach().requires_grad_()
            for x in _as_tuple(inputs, "inputs", name)
        )
        outputs = func(*self.inputs)
        self.one_output = not isinstance(outputs, tuple)
        self.outputs = _as_tuple(outputs, "outputs of the user-provided function", name)
        self.keeps_graph = create_graph or keeps_graph

    def check_outputs(self, strict: bool) -> None:
        """Raises in strict mode for an output that does not require grad."""
        for i, out in enumerate(self.outputs):
            if strict and not out.requires_grad:
                raise RuntimeError(
                    f"Output {i} of the user-provided function does not require gradients. The outputs must be computed in a "
                    "differentiable manner from the input when running in strict mode."
                )

    def give(self, results: tuple[Tensor, ...], one: bool, create_graph: bool) -> Tensors:
        """Results in the caller's structure, outside of the graph unless create_graph."""
        if not create_graph:
            results = tuple(x.detach() for x in results)
        return results[0] if one else results


def _vector(v: Tensors | None, like: tuple[Tensor, ...], name: str) -> tuple[Tensor, ...]:
    """v, one Tensor for each of `like`; by default the number 1 for a single one of one element. RuntimeError where it does not fit."""
    if v is None:
        if len(like) != 1 or like[0]._array.size != 1:
            raise RuntimeError(
                f"The vector v can only be None if the input to {name} is a single Tensor with a single element."
            )
        return (from_array(np.ones_like(like[0]._array)),)
    vector = _as_tuple(v, "v", name)
    if len(vector) != len(like) and len(like) == 1:
        raise RuntimeError("The given v should contain a single Tensor.")
    if len(vector) != len(like):
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(vector)}.")
    for i, (a, b) in enumerate(zip(vector, like, strict=True)):
        if a._array.shape != b._array.shape:
            raise RuntimeError(
                f"Entry {i} in v has invalid size: should be {list(b._array.shape)} but got {list(a._array.shape)}."
            )
    return vector


def _gradients(
    outputs: tuple[Tensor, ...],
    inputs: tuple[Tensor, ...],
    vectors: tuple[Tensor, ...] | None,
    create_graph: bool,
    strict: str | None = None,
    retain: bool | None = None,
) -> tuple[Tensor, ...]:
    """grad(), with zeros for an input that was not used; with `strict`, an error that begins with these words."""
    used = [i for i, out in enumerate(outputs) if out.requires_grad]
    found: tuple[Tensor | None, ...] = (None,) * len(inputs)
    if used:
        chosen = None if vectors is None else [vectors[i] for i in used]
        found = grad(
            [outputs[i] for i in used], inputs, chosen, retain_graph=retain, create_graph=create_graph, allow_unused=True
        )
    for i, g in enumerate(found):
        if strict and g is None:
            raise RuntimeError(f"{strict} independent of input {i}. This is not allowed in strict mode.")
        if strict and create_graph and g is not None and not g.requires_grad:
            raise RuntimeError(
                f"The Jacobian of the user-provided function is independent of input {i}. This is not allowed in strict mode when "
                "create_graph=True."
            )
    return tuple(_zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True))


def vjp(
    func: Callable[..., Tensors], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensors, Tensors]:
    """func(*inputs), and the vector v times its Jacobian: shaped as the inputs. v has the shapes of the outputs."""
    with enable_grad():
        call = _Call(func, inputs, "vjp", create_graph, False)
        call.check_outputs(strict)
        vectors = _vector(v, call.outputs, "vjp")
        found = _gradients(
            call.outputs, call.inputs, vectors, create_graph, "The output of the user-provided function is" if strict else None
        )
    return call.give(call.outputs, call.one_output, create_graph), call.give(found, call.one_input, create_graph)


def jvp(
    func: Callable[..., Tensors], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensors, Tensors]:
    """func(*inputs), and its Jacobian times the vector v: shaped as the outputs. v has the shapes of the inputs.

    The vector-Jacobian product is linear in its vector; its derivative with respect to that vector is the product asked for.
    """
    with enable_grad():
        call = _Call(func, inputs, "jvp", create_graph, True)
        call.check_outputs(strict)
        vectors = _vector(v, call.inputs, "jvp")
        dummies = tuple(_zeros_like(out).requires_grad_() for out in call.outputs)
        products = _gradients(
            call.outputs, call.inputs, dummies, True, "The output of the user-provided function is" if strict else None
        )
        found = _gradients(products, dummies, vectors, create_graph)
    return call.give(call.outputs, call.one_output, create_graph), call.give(found, call.one_output, create_graph)


def jacobian(
    func: Callable[..., Tensors],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The derivative of each output element by each input element: of shape output.shape + input.shape for each pair, [output][input].

    One backward pass for each output element, whether `vectorize` or not. NotImplementedError for strategy="forward-mode".
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs than inputs, '
            '"forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode":
        raise NotImplementedError("jacobian: there is no forward-mode differentiation; use strategy='reverse-mode'")
    with enable_grad():
        call = _Call(func, inputs, "jacobian", create_graph, True)
        call.check_outputs(strict)
        rows = []
        for i, out in enumerate(call.outputs):
            flat = reshape(out, (-1,))
            name = f"Output {i} of the user-provided function is" if strict else None
            found = [
                _gradients((flat[j],), call.inputs, None, create_graph, name, retain=True) for j in range(flat._array.size)
            ]
            row = tuple(
                reshape(stack([g[k] for g in found]), (*out._array.shape, *x._array.shape)) if found
                else from_array(np.zeros((*out._array.shape, *x._array.shape), x._array.dtype))
                for k, x in enumerate(call.inputs)
            )  # fmt: skip
            rows.append(call.give(row, call.one_input, create_graph))
    return rows[0] if call.one_output else tuple(rows)


def hessian(
    func: Callable[..., Tensor],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function of one element: of shape input_i.shape + input_j.shape for each pair, [i][j]."""
    one_input = not isinstance(inputs, tuple)

    def gradient(*xs: Tensor) -> tuple[Tensor, ...]:
        found = jacobian(lambda *ys: _single(func(*ys), "hessian"), xs, create_graph=True)
        if strict:
            for i, g in enumerate(found):
                if not g.requires_grad:
                    raise RuntimeError(
                        f"The jacobian of the user-provided function with respect to input {i} is independent of the input. This is "
                        "not allowed in strict mode."
                    )
        return found

    xs = _as_tuple(inputs, "inputs", "hessian")
    found = jacobian(gradient, xs, create_graph=create_graph, strict=strict, strategy=outer_jacobian_strategy)
    return found[0][0] if one_input else found


def _single(out: Any, name: str) -> Tensor:
    """The result of a function of one element. RuntimeError for any other."""
    outs = _as_tuple(out, "outputs of the user-provided function", name)
    if isinstance(out, tuple):
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if outs[0]._array.size != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element")
    return reshape(outs[0], ())


def vhp(
    func: Callable[..., Tensor], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensor, Tensors]:
    """func(*inputs), of one element, and the vector v times its Hessian: shaped as the inputs, as v is."""
    with enable_grad():
        call = _Call(func, inputs, "vhp", create_graph, True)
        vectors = _vector(v, call.inputs, "vhp")
        _single(call.outputs[0] if call.one_output else call.outputs, "vhp")
        call.check_outputs(strict)
        first = _gradients(
            call.outputs, call.inputs, None, True, "The output of the user-provided function is" if strict else None
        )
        found = _gradients(
            first, call.inputs, vectors, create_graph, "The jacobian of the user-provided function is" if strict else None
        )
    return call.give(call.outputs, True, create_graph), call.give(found, call.one_input, create_graph)


def hvp(
    func: Callable[..., Tensor], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensor, Tensors]:
    """func(*inputs), of one element, and its Hessian times the vector v; as the Hessian is symmetric where it exists, this is vhp."""
    with enable_grad():
        call = _Call(func, inputs, "hvp", create_graph, True)
        vectors = _vector(v, call.inputs, "hvp")
        _single(call.outputs[0] if call.one_output else call.outputs, "hvp")
        call.check_outputs(strict)
        first = _gradients(
            call.outputs, call.inputs, None, True, "The output of the user-provided function is" if strict else None
        )
        dummies = tuple(_zeros_like(x).requires_grad_() for x in call.inputs)
        second = _gradients(
            first, call.inputs, dummies, True, "The jacobian of the user-provided function is" if strict else None
        )
        found = _gradients(second, dummies, vectors, create_graph)
    return call.give(call.outputs, True, create_graph), call.give(found, call.one_input, create_graph)
