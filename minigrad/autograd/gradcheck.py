"""gradcheck and gradgradcheck: are the gradients of a function those that finite differences find?

The numerical derivative is the central difference (f(x + eps u) - f(x - eps u)) / (2 eps) in float64, whose error is of order
eps^2 from truncation and |f| 1e-16 / eps from rounding: about 1e-10 at the default eps, well within the tolerances.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from minigrad._ext.engine import TensorBase, from_array
from minigrad.autograd.backward import grad
from minigrad.autograd.grad_mode import set_grad_enabled

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

# Up to so many entries in the Jacobians of all inputs and outputs, whole Jacobians are compared: 1024 entries, those of a
# function of 32 numbers, cost 64 calls and 32 backward passes, a few milliseconds. Above it random projections are.
FULL_JACOBIAN_ENTRIES = 1024
PROJECTIONS = 3


class GradcheckError(RuntimeError):
    """Raised by gradcheck and gradgradcheck when a check fails."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_grad_dtypes: bool = False,
    fast_mode: bool | None = None,
) -> bool:
    """Compares the gradients of `func` at `inputs` with central differences.

    A gradient passes if |analytical - numerical| <= atol + rtol |numerical|. Every output is checked against every input
    that requires grad, with no gradient arriving at the other outputs.

    Args:
        func: takes the inputs, returns a Tensor or a sequence of them. It must be deterministic.
        inputs: a Tensor or a sequence of arguments. Those Tensors that require grad are checked; they should be float64, and
            are perturbed in place while `func` runs.
        eps: size of the perturbation.
        atol, rtol: tolerances.
        raise_exception: raise on a mismatch; otherwise return False.
        nondet_tol: largest difference allowed between two runs of the same backward pass.
        check_grad_dtypes: also check that a gradient has its input's dtype.
        fast_mode: False compares whole Jacobians, True compares v^T J u for a few random u and v, None (the default) chooses by
            size. PyTorch's default is False.

    Returns:
        True if all is well.

    Raises:
        GradcheckError: a gradient is wrong, has the wrong shape or dtype, or differs between two runs.
        ValueError: no input requires grad, or an input that does is read-only or has elements that share memory.
    """
    arguments = _as_tuple(inputs)
    _check_inputs(arguments)
    checker = _Checker(func, arguments, eps, atol, rtol, nondet_tol, check_grad_dtypes)
    try:
        checker.run(fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_grad_dtypes: bool = False,
    fast_mode: bool | None = None,
) -> bool:
    """Checks second derivatives: gradcheck of the function that takes (inputs, grad_outputs) to the gradients of the inputs.

    Args:
        grad_outputs: the incoming gradients, one for each differentiable output; random ones from a fixed seed where None.
        gen_non_contig_grad_outputs: make those random ones non-contiguous.
        (The other arguments are gradcheck's.)

    Returns and raises as gradcheck does.
    """
    arguments = _as_tuple(inputs)
    _check_inputs(arguments)
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        with set_grad_enabled(True):
            outputs = _differentiable(func(*arguments))
        incoming = tuple(_random_like(y, rng, gen_non_contig_grad_outputs).requires_grad_() for y in outputs)
    else:
        incoming = _as_tuple(grad_outputs)

    def gradients(*args: Any) -> tuple[Tensor, ...]:
        xs, gs = args[: len(arguments)], args[len(arguments) :]
        outputs = _differentiable(func(*xs))
        wanted = tuple(x for x in xs if _is_tensor(x) and x.requires_grad)
        found = grad(outputs, wanted, gs, create_graph=True, allow_unused=True)
        return tuple(gx for gx in found if gx is not None)

    gradients.__qualname__ = f"the gradient of {_name(func)}"
    return gradcheck(
        gradients,
        (*arguments, *incoming),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_grad_dtypes=check_grad_dtypes,
        fast_mode=fast_mode,
    )


class _Checker:
    """One gradcheck: `func` at `arguments`, of which `inputs` require grad. Arrays are indexed [output][input]."""

    def __init__(
        self,
        func: Callable[..., Any],
        arguments: tuple[Any, ...],
        eps: float,
        atol: float,
        rtol: float,
        nondet_tol: float,
        check_grad_dtypes: bool,
    ) -> None:
        self.func, self.arguments = func, arguments
        self.eps, self.atol, self.rtol, self.nondet_tol = eps, atol, rtol, nondet_tol
        self.check_grad_dtypes = check_grad_dtypes
        self.inputs = [x for x in arguments if _is_tensor(x) and x.requires_grad]
        self.values = [x.detach().numpy() for x in self.inputs]  # these share memory with the inputs

    def run(self, fast_mode: bool | None) -> None:
        with set_grad_enabled(True):
            result = _as_tuple(self.func(*self.arguments))
        outputs = _differentiable(result)
        if not outputs:
            self.check_constant(result)
            return
        rng = np.random.default_rng(0)
        for j, y in enumerate(outputs):
            self.check_deterministic(outputs, j, rng.standard_normal(tuple(y.shape)))
        if fast_mode is None:
            fast_mode = sum(x.size for x in self.values) * sum(y.numel() for y in outputs) > FULL_JACOBIAN_ENTRIES
        if fast_mode:
            us = [[_unit(x.shape, rng) for x in self.values] for _ in range(PROJECTIONS)]
            vs = [[_unit(tuple(y.shape), rng) for y in outputs] for _ in range(PROJECTIONS)]
            self.compare("projected Jacobian", self.projected(outputs, us, vs), self.numerical_projected(us, vs))
        else:
            self.compare("Jacobian", self.jacobians(outputs), self.numerical_jacobians())

    def compare(self, kind: str, analytical: list[list[np.ndarray]], numerical: list[list[np.ndarray]]) -> None:
        for j, row in enumerate(analytical):
            for i, found in enumerate(row):
                expected = numerical[j][i]
                if np.allclose(found, expected, rtol=self.rtol, atol=self.atol, equal_nan=True):
                    continue
                difference = np.abs(found - expected)
                worst = np.max(difference[np.isfinite(difference)], initial=0)
                raise GradcheckError(
                    f"{kind} mismatch for output {j} of {_name(self.func)} with respect to input {i} of shape "
                    f"{tuple(self.inputs[i].shape)} and dtype {self.inputs[i].dtype}, by up to {worst:.3g} "
                    f"(atol={self.atol}, rtol={self.rtol})\nnumerical:\n{expected}\nanalytical:\n{found}"
                )

    def check_constant(self, result: tuple[Any, ...]) -> None:
        """No output requires grad, so that every numerical derivative must be 0 (integer outputs are left out)."""
        for j, row in enumerate(self.numerical_jacobians(constant=True)):
            for i, jacobian in enumerate(row):
                if not np.allclose(jacobian, 0, rtol=0, atol=self.atol):
                    raise GradcheckError(
                        f"output {j} of {_name(self.func)} does not require grad, but its numerical gradient with respect to "
                        f"input {i} is not zero:\n{jacobian}"
                    )

    def check_deterministic(self, outputs: list[Tensor], j: int, g: np.ndarray) -> None:
        for i, (first, second) in enumerate(zip(self.backward(outputs, j, g), self.backward(outputs, j, g))):
            if not np.allclose(first, second, rtol=0, atol=self.nondet_tol, equal_nan=True):
                raise GradcheckError(
                    f"backward of {_name(self.func)} is not deterministic: two runs gave different gradients for input {i} "
                    f"from output {j}, by up to {np.nanmax(np.abs(first - second)):.3g} (nondet_tol={self.nondet_tol})"
                )

    def backward(self, outputs: list[Tensor], j: int, g: np.ndarray) -> list[np.ndarray]:
        """The gradients of (g * outputs[j]).sum() for every input, checked for shape and dtype; zeros where it is unused."""
        incoming = from_array(np.array(g, dtype=_numpy_dtype(outputs[j])))
        gradients = grad(outputs[j], self.inputs, incoming, retain_graph=True, allow_unused=True)
        found = []
        for i, (x, gx) in enumerate(zip(self.inputs, gradients)):
            if gx is None:
                found.append(np.zeros(self.values[i].shape))
                continue
            if gx.shape != x.shape:
                raise GradcheckError(
                    f"the gradient of output {j} of {_name(self.func)} with respect to input {i} has shape {tuple(gx.shape)}, "
                    f"but the input has shape {tuple(x.shape)}"
                )
            if self.check_grad_dtypes and gx.dtype != x.dtype:
                raise GradcheckError(f"the gradient for input {i} has dtype {gx.dtype}, but the input has dtype {x.dtype}")
            found.append(gx.detach().numpy().astype(np.float64))
        return found

    def difference(self, x: np.ndarray, u: np.ndarray, constant: bool = False) -> list[np.ndarray]:
        """(f(x + eps u) - f(x - eps u)) / (2 eps) for every output, flattened. x is written to and restored."""
        before, sides = x.copy(), []
        try:
            for step in (self.eps, -self.eps):
                np.copyto(x, before + step * u)
                with set_grad_enabled(True):
                    outputs = _as_tuple(self.func(*self.arguments))
                kept = _floating(outputs) if constant else _differentiable(outputs)
                sides.append([y.detach().numpy().astype(np.float64).ravel() for y in kept])
        finally:
            np.copyto(x, before)
        with np.errstate(invalid="ignore"):  # an infinity that does not move has derivative 0
            return [np.where(plus == minus, 0, (plus - minus) / (2 * self.eps)) for plus, minus in zip(*sides)]

    def jacobians(self, outputs: list[Tensor]) -> list[list[np.ndarray]]:
        """Arrays of shape (elements of the input, elements of the output), one backward pass a column."""
        result = []
        for j, y in enumerate(outputs):
            found = [np.zeros((x.size, y.numel())) for x in self.values]
            for k in range(y.numel()):
                g = np.zeros(y.numel())
                g[k] = 1
                for jacobian, gx in zip(found, self.backward(outputs, j, g.reshape(y.shape))):
                    jacobian[:, k] = gx.ravel()
            result.append(found)
        return result

    def numerical_jacobians(self, constant: bool = False) -> list[list[np.ndarray]]:
        """The same arrays, two calls a row."""
        by_input = []
        for x in self.values:
            rows = [self.difference(x, np.zeros(x.shape), constant)]  # one more, for the shapes where x is empty
            for k in range(x.size):
                u = np.zeros(x.size)
                u[k] = 1
                rows.append(self.difference(x, u.reshape(x.shape), constant))
            by_input.append([np.stack(column)[1:] for column in zip(*rows)])
        return [list(row) for row in zip(*by_input)]

    def projected(
        self, outputs: list[Tensor], us: list[list[np.ndarray]], vs: list[list[np.ndarray]]
    ) -> list[list[np.ndarray]]:
        """v^T J u for the directions u of each input and v of each output: arrays of shape (PROJECTIONS,)."""
        found = np.zeros((len(outputs), len(self.inputs), PROJECTIONS))
        for p in range(PROJECTIONS):
            for j, v in enumerate(vs[p]):
                for i, gx in enumerate(self.backward(outputs, j, v)):
                    found[j, i, p] = np.sum(gx * us[p][i])
        return [list(row) for row in found]

    def numerical_projected(self, us: list[list[np.ndarray]], vs: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
        found = np.zeros((len(vs[0]), len(self.inputs), PROJECTIONS))
        for p in range(PROJECTIONS):
            for i, x in enumerate(self.values):
                for j, column in enumerate(self.difference(x, us[p][i])):
                    found[j, i, p] = np.sum(column * vs[p][j].ravel())
        return [list(row) for row in found]


def _check_inputs(arguments: tuple[Any, ...]) -> None:
    inputs = [x for x in arguments if _is_tensor(x) and x.requires_grad]
    if not inputs:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them has requires_grad=True"
        )
    for i, x in enumerate(inputs):
        a = x.detach().numpy()
        if a.dtype != np.float64:
            warnings.warn(
                f"input {i} of gradcheck requires gradient and is {x.dtype}, not float64: the check will likely fail",
                stacklevel=3,
            )
        if a.size and any(stride == 0 and size > 1 for stride, size in zip(a.strides, a.shape)):
            raise ValueError(
                f"input {i} of gradcheck has elements that share memory (an expanded tensor): call .clone() on it first"
            )
        if not a.flags.writeable:
            raise ValueError(
                f"input {i} of gradcheck is read-only, but gradcheck perturbs it in place: call .clone() on it first"
            )


def _is_tensor(value: Any) -> TypeGuard[Tensor]:
    return isinstance(value, TensorBase)


def _differentiable(result: Any) -> list[Tensor]:
    return [y for y in _as_tuple(result) if _is_tensor(y) and y.requires_grad]


def _floating(result: tuple[Any, ...]) -> list[Tensor]:
    return [y for y in result if _is_tensor(y) and _numpy_dtype(y).kind == "f"]


def _unit(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    u = rng.standard_normal(shape)
    return u / np.sqrt(np.sum(u * u)) if u.size else u


def _random_like(y: Tensor, rng: np.random.Generator, non_contiguous: bool) -> Tensor:
    a = rng.standard_normal((*y.shape, 2)).astype(_numpy_dtype(y))
    return from_array(a[..., 0] if non_contiguous else a[..., 0].copy())


def _numpy_dtype(y: Tensor) -> np.dtype:
    return y.detach().numpy().dtype


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _name(func: Callable[..., Any]) -> str:
    return getattr(func, "__qualname__", None) or type(func).__name__
