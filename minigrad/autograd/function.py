"""Operations that a user differentiates by hand: `class Exp(autograd.Function)` with static `forward` and `backward`.

The context `ctx` that both get is the node of the graph itself, of a class made for each Function (ExpBackward for Exp). It is not the
engine's own Function, whose forward sees arrays: here forward and backward see Tensors.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad._ext.engine import ContextNode, TensorBase, _set_grad_enabled, apply, from_array, is_grad_enabled
from minigrad._ext.engine import Function as Node
from minigrad.autograd.observer import active_observers
from minigrad.ops.inplace import take_place
from minigrad.ops.shape import sum_to_size

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class FunctionCtx:
    """What `ctx` offers in forward, setup_context and backward. Any other attribute may be set on it as well."""

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps tensors (or None) for backward, which finds them in ctx.saved_tensors.

        A tensor that is written in place in between makes backward raise RuntimeError.
        """
        self.to_save: tuple[Tensor | None, ...] = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Does nothing: there is no forward-mode differentiation here, so that a Function's `jvp` is never called."""

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Names the inputs that forward wrote in place. Each must be returned from forward."""
        self.dirty_tensors: tuple[Tensor, ...] = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Names the outputs that do not require grad; their gradient arrives in backward as zeros."""
        self.non_differentiable: tuple[Tensor, ...] = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether the gradient of an output that was not used arrives in backward as zeros (the default) or as None."""
        self.materialize_grads: bool = value


class BackwardCFunction(FunctionCtx, ContextNode):
    """The node of a custom Function: its context, and the rule that the engine runs."""

    _forward_cls: type[Function]
    _input_shapes: tuple[tuple[int, ...] | None, ...] = ()  # None for an argument that is no Tensor
    _output_types: tuple[tuple[tuple[int, ...], np.dtype] | None, ...] = ()
    to_save: tuple[Tensor | None, ...] = ()
    dirty_tensors: tuple[Tensor, ...] = ()
    non_differentiable: tuple[Tensor, ...] = ()
    materialize_grads = True
    needs_input_grad: tuple[bool, ...] = ()

    def name(self) -> str:
        """The name of the Function's class with `Backward` after it."""
        return type(self).__name__

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What forward kept. RuntimeError if it was freed by a backward before, or written in place since."""
        return self._kept()

    def run_rule(self, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        """Calls the user's backward on the gradients of the outputs, and gives what it returns for the Tensors among the inputs.

        Raises RuntimeError for a wrong number of gradients, one for an argument that is no Tensor, or one of the wrong type or shape.
        """
        if self.materialize_grads:
            grads = tuple(
                from_array(np.zeros(*kind)) if g is None and kind is not None else g
                for g, kind in zip(grads, self._output_types, strict=True)
            )
        result = self._forward_cls._rule()(self, *grads)
        given = result if isinstance(result, tuple) else (result,)
        count = len(self._input_shapes)
        if len(given) < count or any(g is not None for g in given[count:]):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {count}, got {len(given)})"
            )
        checked = []
        for i, shape in enumerate(self._input_shapes):
            if shape is not None:
                checked.append(self._check(i, given[i], shape))
            elif given[i] is not None:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different than None at position {i + 1}, but the corresponding "
                    "forward input was not a Variable"
                )
        return tuple(checked)

    def _check(self, i: int, g: Any, shape: tuple[int, ...]) -> Tensor | None:
        """The gradient for input i of this shape, summed where the rule gave it in a broadcast shape."""
        if g is None:
            return None
        if not isinstance(g, TensorBase):
            raise RuntimeError(f"function {self.name()}: expected Variable or None (got {type(g).__name__})")
        got = g._array.shape
        if got == shape:
            return g  # type: ignore[return-value]
        trailing = got[len(got) - len(shape) :]
        if len(got) < len(shape) or any(size not in (1, n) for size, n in zip(shape, trailing, strict=True)):
            raise RuntimeError(
                f"Function {self.name()} returned an invalid gradient at index {i} - got {list(got)} but expected shape compatible "
                f"with {list(shape)}"
            )
        return sum_to_size(g, shape)  # type: ignore[arg-type]


class _FunctionMeta(type):
    """Gives each Function a class of nodes of its own, `<Name>Backward`."""

    def __init__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> None:
        super().__init__(name, bases, attributes)
        cls._backward_cls = type(name + "Backward", (BackwardCFunction,), {"_forward_cls": cls, "__module__": cls.__module__})


class Function(metaclass=_FunctionMeta):
    """Base class of operations with a hand-written derivative. Called by `apply`, never instantiated.

        class Square(autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return 2 * g * x

        y = Square.apply(x)

    forward sees the Tensors themselves, with grad mode off, and returns a Tensor or a tuple. backward gets a gradient for each output and
    returns one, or None, for each argument of forward; under create_graph it is recorded, so that it can be differentiated again.
    Instead of the first argument of forward, a static `setup_context(ctx, inputs, output)` can fill the context afterwards.
    """

    _backward_cls: type[BackwardCFunction]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            f"{type(self).__name__} should not be instantiated. Legacy autograd function with non-static forward method is deprecated: "
            "write a static forward and call it by the class's apply()."
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """forward(ctx, *args), or forward(*args) beside a setup_context: computes the outputs. A subclass must define it."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Fills ctx after a forward that has no ctx argument."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of forward's arguments, given those of its outputs. A subclass must define it (or vjp)."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @classmethod
    def _rule(cls) -> Callable[..., Any]:
        if cls.backward is Function.backward:
            return cls.vjp
        if cls.vjp is not Function.vjp:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one of them."
            )
        return cls.backward

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Runs forward on the arguments, and records it if grad mode is on and one of the Tensors among them requires grad."""
        has_setup = cls.setup_context is not Function.setup_context
        if kwargs or has_setup:
            first = () if has_setup else (None,)
            bound = inspect.signature(cls.forward).bind(*first, *args, **kwargs)
            if has_setup:
                bound.apply_defaults()
            args = bound.args[len(first) :]
        ctx = cls._backward_cls()
        observers = active_observers()
        if not observers:
            return cls._run(ctx, args, has_setup)
        tensors, result = _tensors(args), None
        for observer in observers:
            observer.begin(ctx, tensors)
        try:
            result = cls._run(ctx, args, has_setup)
        finally:
            for observer in reversed(observers):
                observer.end(
                    ctx, tensors, None if result is None else _tensors(result if isinstance(result, tuple) else (result,))
                )
        return result

    @classmethod
    def _run(cls, ctx: BackwardCFunction, args: tuple[Any, ...], has_setup: bool) -> Any:
        """forward, with the outputs put in their places in the graph."""
        tensors = _tensors(args)
        ctx.needs_input_grad = tuple(isinstance(x, TensorBase) and x.requires_grad for x in args)
        recorded = ctx._begin(tensors)
        before = _set_grad_enabled(False)
        try:
            if has_setup:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args)
        finally:
            _set_grad_enabled(before)
        outputs = result if isinstance(result, tuple) else (result,)
        _check_marked(ctx, outputs)
        if recorded:
            ctx._input_shapes = tuple(x._array.shape if isinstance(x, TensorBase) else None for x in args)
            ctx._output_types = tuple((x._array.shape, x._array.dtype) if isinstance(x, TensorBase) else None for x in outputs)
            ctx._number(outputs)
        outputs = tuple(
            _place(ctx, i, out, any(out is x for x in tensors), recorded) if isinstance(out, TensorBase) else out
            for i, out in enumerate(outputs)
        )
        if recorded:
            ctx._keep(ctx.to_save)
        ctx.to_save = ctx.dirty_tensors = ctx.non_differentiable = ()
        return outputs if isinstance(result, tuple) else outputs[0]


def _tensors(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x for x in values if isinstance(x, TensorBase))


def _check_marked(ctx: BackwardCFunction, outputs: tuple[Any, ...]) -> None:
    """Raises for what save_for_backward and mark_dirty cannot take."""
    for i, tensor in enumerate(ctx.to_save):
        if tensor is not None and not isinstance(tensor, TensorBase):
            raise TypeError(f"save_for_backward can only save variables, but argument {i} is of type {type(tensor).__name__}")
    for marked, what in ((ctx.dirty_tensors, "mark_dirty"), (ctx.non_differentiable, "mark_non_differentiable")):
        for i, tensor in enumerate(marked):
            if not isinstance(tensor, TensorBase):
                raise TypeError(f"{what} only accepts variables, but argument {i} is of type {type(tensor).__name__}")
    if any(all(tensor is not out for out in outputs) for tensor in ctx.dirty_tensors):
        raise RuntimeError(
            "Some elements marked as dirty during the forward method were not returned as output. The inputs that are modified inplace "
            "must all be outputs of the Function."
        )


def _place(ctx: BackwardCFunction, i: int, out: Any, is_input: bool, recorded: bool) -> Any:
    """Output i of a custom Function, with its place in the graph."""
    dirty = any(out is x for x in ctx.dirty_tensors)
    if not recorded or not out.is_floating_point() or any(out is x for x in ctx.non_differentiable):
        return out.detach() if out.requires_grad else out
    if dirty:
        if out.is_leaf and out.requires_grad:
            raise RuntimeError("a leaf Variable that requires grad has been used in an in-place operation.")
        written = from_array(out._array)
        ctx._bind(written, i)
        take_place(out, written)
        return out
    if is_input:
        out = ctx._alias(out)
    elif out.requires_grad:  # made outside of this call: it keeps its own place
        out = out.detach()
    ctx._bind(out, i)
    return out


class _TwiceFunction(Node):
    """The identity on what a once-differentiable backward gave, as a function of its arguments; its own derivative raises."""

    def __init__(self, count: int) -> None:
        self.count = count

    def forward(self, *arrays: Any) -> Any:
        return arrays[: self.count]

    def backward(self, g: Any) -> Any:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates the backward of a Function that is not differentiable itself: it runs outside the graph, and a second derivative raises."""

    @functools.wraps(fn)
    def wrapper(ctx: Any, *args: Any) -> Any:
        recorded = is_grad_enabled()
        before = _set_grad_enabled(False)
        try:
            outputs = fn(ctx, *args)
        finally:
            _set_grad_enabled(before)
        sources = [arg for arg in args if isinstance(arg, TensorBase) and arg.requires_grad]
        if not recorded or not sources:
            return outputs
        results = list(outputs) if isinstance(outputs, tuple) else [outputs]
        places = [i for i, out in enumerate(results) if isinstance(out, TensorBase)]
        bound = apply(_TwiceFunction(len(places)), *(results[i].detach() for i in places), *sources)
        for i, out in zip(places, bound, strict=True):
            results[i] = out
        return tuple(results) if isinstance(outputs, tuple) else results[0]

    return wrapper
