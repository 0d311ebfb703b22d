"""Matrix products and what is made of them. The nodes that all rest on are compiled: ext/hot_linalg.pyx."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minigrad._arguments import normalize_dim
from minigrad._ext import gemm, hot_linalg
from minigrad._ext.engine import Function, TensorBase, apply, from_array
from minigrad._naming import named_node
from minigrad.ops.elementwise import where
from minigrad.ops.reduce import sum as sum_
from minigrad.ops.shape import broadcast_shapes, clone, diagonal, expand, permute, reshape, squeeze, transpose, unsqueeze

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


hot_linalg.configure(sum=sum_)


def _product(x: Tensor, y: Tensor) -> Tensor:
    """x @ y for two matrices, or two batches of as many matrices, whose shapes agree. Integers go through numpy."""
    if x.dtype is not y.dtype:
        raise RuntimeError(
            f"matmul: expected both operands to have the same dtype, but got {x.dtype} and {y.dtype}: convert one with .to(dtype)"
        )
    if x.dtype.is_floating_point:
        return hot_linalg.matmul(x, y)
    if x.dtype.np.kind == "b":
        raise NotImplementedError('matmul: not implemented for "bool": convert the operands with .to(dtype)')
    return from_array(np.matmul(x._array, y._array))


def _check_tensors(name: str, *arguments: object) -> None:
    for i, argument in enumerate(arguments):
        if not isinstance(argument, TensorBase):
            raise TypeError(f"{name}(): argument in position {i + 1} must be Tensor, not {type(argument).__name__}")


def _shapes_error(rows: int, columns: int, other: tuple[int, ...]) -> RuntimeError:
    return RuntimeError(
        f"mat1 and mat2 shapes cannot be multiplied ({rows}x{columns} and {other[0]}x{other[1]}): mat1 must have as many columns "
        f"as mat2 has rows, but {columns} is not {other[0]}"
    )


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """(M, K) @ (K, N) -> (M, N). No broadcasting: see matmul.

    Raises RuntimeError unless both are matrices of one dtype with agreeing shapes.
    """
    _check_mm(input, mat2)
    return _product(input, mat2)


def _check_mm(input: Tensor, mat2: Tensor) -> None:
    _check_tensors("mm", input, mat2)
    if input.ndim != 2:
        raise RuntimeError(f"mm: self must be a matrix, but its shape is {tuple(input.shape)}")
    if mat2.ndim != 2:
        raise RuntimeError(f"mm: mat2 must be a matrix, but its shape is {tuple(mat2.shape)}")
    if input._array.shape[1] != mat2._array.shape[0]:
        raise _shapes_error(*input._array.shape, mat2._array.shape)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """(B, M, K) @ (B, K, N) -> (B, M, N). No broadcasting: see matmul.

    Raises RuntimeError unless both have three dimensions, one dtype and agreeing shapes.
    """
    _check_bmm(input, mat2)
    return _product(input, mat2)


def _check_bmm(input: Tensor, mat2: Tensor) -> None:
    _check_tensors("bmm", input, mat2)
    for name, x in (("batch1", input), ("batch2", mat2)):
        if x.ndim != 3:
            raise RuntimeError(f"bmm: {name} must be a 3D tensor, but its shape is {tuple(x.shape)}")
    batch, _, inner = input._array.shape
    if mat2._array.shape[:2] != (batch, inner):
        raise RuntimeError(
            f"bmm: Expected size for first two dimensions of batch2 tensor to be: [{batch}, {inner}] but got: "
            f"{list(mat2._array.shape[:2])}."
        )


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """(M, K) @ (K,) -> (M,). Raises RuntimeError unless the shapes and dtypes agree."""
    out = hot_linalg.try_mv(input, vec)
    if out is not None:
        return out
    _check_tensors("mv", input, vec)
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"mv: matrix @ vector expected, but got shapes {tuple(input.shape)} and {tuple(vec.shape)}")
    (rows, columns), (size,) = input._array.shape, vec._array.shape
    if columns != size:
        raise RuntimeError(f"mv: size mismatch, got input ({rows}), mat ({rows}x{columns}), vec ({size})")
    return reshape(_product(input, unsqueeze(vec, 1)), rows)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The sum of the products of two vectors' elements: (K,), (K,) -> (). Raises RuntimeError unless shapes and dtypes agree."""
    out = hot_linalg.try_dot(input, tensor)
    if out is not None:
        return out
    _check_tensors("dot", input, tensor)
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"dot: 1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    (n,), (m,) = input._array.shape, tensor._array.shape
    if n != m:
        raise RuntimeError(
            f"dot: inconsistent tensor size, expected tensor [{n}] and src [{m}] to have the same number of elements, but got "
            f"{n} and {m} elements respectively"
        )
    return reshape(_product(unsqueeze(input, 0), unsqueeze(tensor, 1)), ())


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Every product of two vectors' elements: (M,), (N,) -> (M, N). Raises RuntimeError for anything but vectors."""
    out = hot_linalg.try_outer(input, vec2)
    if out is not None:
        return out
    _check_tensors("outer", input, vec2)
    for name, x in (("self", input), ("vec2", vec2)):
        if x.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {x.ndim}-D")
    return unsqueeze(input, 1) * vec2


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product, input @ other, with PyTorch's rules for the number of dimensions.

    (M, K) @ (K, N) -> (M, N); a vector counts as a row on the left and as a column on the right, and its dimension is
    dropped again; dimensions before the last two are a batch and are broadcast. Both have one dtype.

    Raises RuntimeError for a 0-d operand, shapes that do not agree or different dtypes.
    """
    out = hot_linalg.try_matmul(input, other)
    if out is not None:
        return out
    _check_tensors("matmul", input, other)
    left, right = input._array.shape, other._array.shape
    if len(left) == 2 and len(right) == 2:
        if left[1] != right[0]:
            raise _shapes_error(*left, right)
        return _product(input, other)
    if not left or not right:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {len(left)}D and {len(right)}D")
    if len(right) == 1:
        if len(left) == 1:
            return dot(input, other)
        if left[-1] != right[0]:
            rows = math.prod(left[:-1])
            raise RuntimeError(f"matmul: size mismatch, got input ({rows}), mat ({rows}x{left[-1]}), vec ({right[0]})")
        if len(left) == 2:
            return mv(input, other)
        return squeeze(matmul(input, unsqueeze(other, 1)), -1)
    if len(left) == 1:
        if left[0] != right[-2]:
            raise _shapes_error(1, left[0], right[-2:])
        out = hot_linalg.try_vm(input, other)
        return out if out is not None else squeeze(matmul(unsqueeze(input, 0), other), -2)
    if len(right) == 2:  # a batch on the left alone: its rows are one tall matrix
        if left[-1] != right[0]:
            raise _shapes_error(math.prod(left[:-1]), left[-1], right)
        rows = reshape(input, math.prod(left[:-1]), left[-1])
        return reshape(_product(rows, other), *left[:-1], right[1])
    batch = broadcast_shapes(left[:-2], right[:-2])
    if left[-1] != right[-2]:
        n = math.prod(batch)
        raise RuntimeError(
            f"matmul: Expected size for first two dimensions of batch2 tensor to be: [{n}, {left[-1]}] but got: [{n}, {right[-2]}]."
        )
    out = _product(_as_batch(input, batch), _as_batch(other, batch))
    return out if len(batch) == 1 else reshape(out, *batch, left[-2], right[-1])


def _as_batch(x: Tensor, batch: tuple[int, ...]) -> Tensor:
    """The matrices x of shape (..., R, C), broadcast to (*batch, R, C), as (B, R, C)."""
    matrix = x._array.shape[-2:]
    if x._array.shape[:-2] != batch:
        x = expand(x, *batch, *matrix)
    return x if len(batch) == 1 else reshape(x, math.prod(batch), *matrix)


def rmatmul(input: Tensor, other: Tensor) -> Tensor:
    """matmul(other, input): what `other @ input` means where other is no Tensor. Raises TypeError then."""
    return matmul(other, input)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """input @ weight.T + bias: (..., I), (O, I), (O,) or None -> (..., O); see nn.functional.linear, which checks."""
    lead = input._array.shape[:-1]
    rows = reshape(input, math.prod(lead), input._array.shape[-1])
    return reshape(hot_linalg.try_linear(rows, weight, bias), *lead, weight._array.shape[0])


class AddmmFunction(Function):
    """a + x @ y, with an a of the result's shape: (..., M, N) + (..., M, K) @ (..., K, N). gx = g @ y^T, gy = x^T @ g."""

    reads = {"a": (), "x": ("y",), "y": ("x",)}

    def forward(self, a, x, y):
        return gemm.matmul(x, y, a)

    def backward(self, g, x, y):
        of_a, of_x, of_y = self.needs_input_grad
        return (
            g if of_a else None,
            _product(g, transpose(y, -1, -2)) if of_x else None,
            _product(transpose(x, -1, -2), g) if of_y else None,
        )


def _add_product(input: Tensor, x: Tensor, y: Tensor, beta: float, alpha: float) -> Tensor:
    """beta * input + alpha * (x @ y), for two matrices or batches of as many; see _scaled_sum."""
    if beta == 1 and alpha == 1 and input.dtype is x.dtype is y.dtype and x.dtype.is_floating_point:
        return apply(AddmmFunction(), expand(input, *x._array.shape[:-1], y._array.shape[-1]), x, y)
    return _scaled_sum(input, _product(x, y), beta, alpha)


def _ignored(input: Tensor, instead: Tensor | float) -> Tensor:
    """The other tensor or number, whatever input holds; the gradient of input is zero."""
    return where(from_array(np.zeros((), bool)), input, instead)


def _scaled_sum(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    """beta * input + alpha * product, with input broadcast; beta 0 ignores input, and alpha 0 the product, NaN and all."""
    if input.dtype is not product.dtype:
        raise RuntimeError(f"self and mat2 must have the same dtype, but got {input.dtype} and {product.dtype}")
    input = expand(input, *product._array.shape)
    if alpha == 0:
        product = _ignored(product, 0)
    elif alpha != 1:
        product = product * alpha
    if beta == 0:
        return _ignored(input, product)
    return (input if beta == 1 else input * beta) + product


@named_node
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2); input is broadcast to (M, N). beta 0 ignores what is in input.

    Raises RuntimeError as mm does, and where input cannot be broadcast or has another dtype.
    """
    _check_tensors("addmm", input, mat1, mat2)
    for name, x in (("mat1", mat1), ("mat2", mat2)):
        if x.ndim != 2:
            raise RuntimeError(f"addmm: {name} must be a matrix, got {x.ndim}-D tensor")
    _check_mm(mat1, mat2)
    return _add_product(input, mat1, mat2, beta, alpha)


@named_node
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec); input is broadcast to (M,). beta 0 ignores what is in input."""
    _check_tensors("addmv", input, mat, vec)
    return _scaled_sum(input, mv(mat, vec), beta, alpha)


@named_node
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2); input is broadcast to (B, M, N). beta 0 ignores what is in input.

    Raises RuntimeError as bmm does, and where input cannot be broadcast or has another dtype.
    """
    _check_tensors("baddbmm", input, batch1, batch2)
    _check_bmm(batch1, batch2)
    return _add_product(input, batch1, batch2, beta, alpha)


def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sums of products over the last dimension of both: (..., K), (*, K) -> (..., *). A 0-d operand multiplies.

    Raises RuntimeError where the last dimensions differ.
    """
    _check_tensors("inner", input, other)
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    left, right = input._array.shape, other._array.shape
    if left[-1] != right[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(left)} and {list(right)}"
        )
    return tensordot(input, other, ([-1], [-1]))


def tensordot(a: Tensor, b: Tensor, dims: int | Sequence[Sequence[int]] | Tensor = 2) -> Tensor:
    """The sums of products over pairs of dimensions: the last `dims` of a with the first of b, or (dims of a, dims of b).

    Raises RuntimeError where the lists differ in length or the paired dimensions in size, IndexError for a dimension that is
    not there. A paired dimension of size 1 is broadcast.
    """
    _check_tensors("tensordot", a, b)
    if isinstance(dims, TensorBase):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        dims = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    dims_a, dims_b = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(dims_a) != len(dims_b):
        raise RuntimeError(f"tensordot: both dimension lists should have same length, but got {dims_a} and {dims_b}")
    dims_a = [normalize_dim(d, a.ndim) for d in dims_a]
    dims_b = [normalize_dim(d, b.ndim) for d in dims_b]
    for listed in (dims_a, dims_b):
        if len(set(listed)) != len(listed):
            raise RuntimeError(f"tensordot: a dim appears multiple times in the list of dims {listed}")
    for i, j in zip(dims_a, dims_b, strict=True):
        n, m = a._array.shape[i], b._array.shape[j]
        if n != m and 1 not in (n, m):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {n} in dim {i} and second has size {m} in dim {j}"
            )
    labels_a = list(range(a.ndim))
    labels_b = [a.ndim + d for d in range(b.ndim)]
    for i, j in zip(dims_a, dims_b, strict=True):
        labels_b[j] = i
    out = [d for d in labels_a if d not in dims_a] + [label for label in labels_b if label >= a.ndim]
    return _contract(a, labels_a, b, labels_b, out)


# einsum


def einsum(*args: object) -> Tensor:
    """Sums of products as Einstein wrote them: einsum("bij,bjk->bik", x, y), or einsum(x, [0, 1], y, [1, 2], [0, 2]).

    A letter is a dimension. One that is repeated within an operand takes the diagonal; one missing from the output is summed
    over; `...` stands for dimensions that are broadcast. Without "->" the output is `...`, then every letter that occurs once,
    sorted. Dimensions of size 1 are broadcast. The operands, of one dtype, are contracted from left to right.

    Raises ValueError without operands, RuntimeError for an equation that is malformed or does not fit the shapes.
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its subscripts list"
        )
    if len(args) == 3 and isinstance(args[0], str) and isinstance(args[1], TensorBase) and isinstance(args[2], TensorBase):
        steps = _pair_steps(args[0], args[1]._array.shape, args[2]._array.shape)
        if steps is not None:
            return _run_contraction(steps, args[1], args[2])
    if isinstance(args[0], str):
        operands = list(args[1]) if len(args) == 2 and isinstance(args[1], (list, tuple)) else list(args[1:])
        inputs, output = _parse_equation(args[0].replace(" ", ""))
    else:
        operands = [args[i] for i in range(0, len(args) - 1, 2)]
        inputs = [_sublist(args[i]) for i in range(1, len(args), 2)]
        output = _sublist(args[-1]) if len(args) % 2 else None
    _check_tensors("einsum", *operands)
    if len(operands) != len(inputs):
        more = "more" if len(operands) > len(inputs) else "fewer"
        raise RuntimeError(f"einsum(): {more} operands were provided than specified in the equation")
    pairs = [_labelled(i, x, labels) for i, (x, labels) in enumerate(zip(operands, inputs, strict=True))]
    wide = max((sum(isinstance(label, int) for label in labels) for _, labels in pairs), default=0)
    ellipsis = list(range(wide, 0, -1))
    if output is None:
        letters = [label for labels in inputs for label in labels if label is not Ellipsis]
        out = ellipsis + sorted({label for label in letters if letters.count(label) == 1})
    else:
        out = _output_labels(output, ellipsis, pairs)
    _check_sizes([(labels, x._array.shape) for x, labels in pairs])
    x, labels = pairs[0]
    for i, (y, labels_y) in enumerate(pairs[1:]):
        later = set(out).union(*(rest for _, rest in pairs[i + 2 :]))
        both = labels + [label for label in labels_y if label not in labels]
        kept = [label for label in both if label in later]
        x, labels = _contract(x, labels, y, labels_y, kept), kept
    x = _sum_labels(x, labels, set(out))
    labels = [label for label in labels if label in out]
    for label in out:
        if label not in labels:  # a dimension of `...` that no operand has
            x, labels = unsqueeze(x, 0), [label, *labels]
    return permute(x, *[labels.index(label) for label in out]) if labels != out else x


def _parse_equation(equation: str) -> tuple[list[list], list | None]:
    """The labels of each operand and of the output (None without "->"); Ellipsis stands for "..."."""
    left, arrow, right = equation.partition("->")
    return [_parse_term(term, f"for operand {i}") for i, term in enumerate(left.split(","))], (
        _parse_term(right, "for the output") if arrow else None
    )


def _parse_term(term: str, whose: str) -> list:
    labels: list = []
    at = 0
    while at < len(term):
        if term.startswith("...", at):
            if Ellipsis in labels:
                raise RuntimeError(f"einsum(): found '.' {whose} for which an ellipsis was already found")
            labels.append(Ellipsis)
            at += 3
            continue
        if term[at] == ".":
            raise RuntimeError(f"einsum(): found '.' {whose} that is not part of any ellipsis")
        if not (term[at].isascii() and term[at].isalpha()):
            raise RuntimeError(
                f"einsum(): invalid subscript {term[at]!r} given at index {at} of {term!r} {whose}, subscripts must be in [a-zA-Z]"
            )
        labels.append(term[at])
        at += 1
    return labels


def _sublist(labels: object) -> list:
    """The labels of einsum(x, [0, 1, Ellipsis], ...) as those of an equation."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    if not isinstance(labels, (list, tuple)):
        raise TypeError(f"einsum(): expected a list of subscripts after each operand, but got {type(labels).__name__}")
    for label in labels:
        if label is not Ellipsis and not (isinstance(label, int) and 0 <= label < 52):
            raise RuntimeError(f"einsum(): subscript {label!r} must be Ellipsis or an integer within [0, 52)")
    return [label if label is Ellipsis else alphabet[label] for label in labels]


def _labelled(position: int, x: Tensor, labels: list) -> tuple[Tensor, list]:
    """The operand with one label a dimension: `...` spelled out as ..., 2, 1, repeated letters brought down to a diagonal."""
    named = len(labels) - (Ellipsis in labels)
    if x.ndim < named or (x.ndim > named and Ellipsis not in labels):
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) does not match the number of dimensions ({x.ndim}) for "
            f"operand {position}" + ("" if Ellipsis in labels else " and no ellipsis was given")
        )
    if Ellipsis in labels:
        at = labels.index(Ellipsis)
        labels = [*labels[:at], *range(x.ndim - named, 0, -1), *labels[at + 1 :]]
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            n, m = x._array.shape[first], x._array.shape[second]
            if n != m:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand {position} but the sizes don't match, {m} != {n}"
                )
            x = diagonal(x, 0, first, second)
            labels = [other for i, other in enumerate(labels) if i not in (first, second)] + [label]
    return x, labels


def _output_labels(output: list, ellipsis: list[int], pairs: list[tuple[Tensor, list]]) -> list:
    known = {label for _, labels in pairs for label in labels}
    for label in output:
        if output.count(label) > 1:
            raise RuntimeError(f"einsum(): output subscript {label} appears more than once in the output")
        if label is not Ellipsis and label not in known:
            raise RuntimeError(f"einsum(): output subscript {label} does not appear in the equation for any input operand")
    return [label for item in output for label in (ellipsis if item is Ellipsis else [item])]


def _check_sizes(pairs: list[tuple[list, tuple[int, ...]]]) -> None:
    sizes: dict = {}
    for i, (labels, shape) in enumerate(pairs):
        for label, size in zip(labels, shape, strict=True):
            seen = sizes.get(label, 1)
            if 1 not in (seen, size) and seen != size:
                raise RuntimeError(
                    f"einsum(): subscript {label} has size {size} for operand {i} which does not broadcast with previously seen size "
                    f"{seen}"
                )
            sizes[label] = size if seen == 1 else seen


def _sum_labels(x: Tensor, labels: list, kept: set) -> Tensor:
    """x summed over the dimensions whose label is not kept."""
    dims = [i for i, label in enumerate(labels) if label not in kept]
    return sum_(x, dims) if dims else x


class _Arrangement(NamedTuple):
    """How an operand becomes a factor of _product (or of *): dimensions to sum, then their order, sizes to expand to, a shape; None
    for a step that changes nothing."""

    summed: list[int] | None
    order: list[int] | None
    wide: tuple[int, ...] | None
    shape: tuple[int, ...] | None


class _Contraction(NamedTuple):
    """The steps of _contract for two shapes: the operands', and the result's shape and order; without a shape, no sum is left and the
    product is elementwise."""

    x: _Arrangement
    y: _Arrangement
    shape: tuple[int, ...] | None
    order: list[int] | None


def _contract(x: Tensor, labels_x: list, y: Tensor, labels_y: list, out: list) -> Tensor:
    """The products of x and y summed over every label that is not in `out`, which gives the order of the result's dimensions.

    A label that only one of them has (or that has size 1 in the other) is summed before the product. What remains is a batch
    of matrix products, or without a common label to sum over, a broadcast multiplication.
    """
    steps = _plan_contraction(tuple(labels_x), x._array.shape, tuple(labels_y), y._array.shape, tuple(out))
    return _run_contraction(steps, x, y)


def _run_contraction(steps: _Contraction, x: Tensor, y: Tensor) -> Tensor:
    x, y = _arrange(x, steps.x), _arrange(y, steps.y)
    product = x * y if steps.shape is None else reshape(_product(x, y), *steps.shape)
    return product if steps.order is None else permute(product, *steps.order)


def _arrange(x: Tensor, steps: _Arrangement) -> Tensor:
    if steps.summed is not None:
        x = sum_(x, steps.summed)
    if steps.order is not None:
        x = permute(x, *steps.order)
    if steps.wide is not None:
        x = expand(x, *steps.wide)
    return x if steps.shape is None else reshape(x, *steps.shape)


@lru_cache(maxsize=1024)  # an einsum of small tensors spent 25 us on this
def _pair_steps(equation: str, shape_x: tuple[int, ...], shape_y: tuple[int, ...]) -> _Contraction | None:
    """What einsum does for two operands, without `...` and with no label twice in one of them; else None."""
    inputs, output = _parse_equation(equation.replace(" ", ""))
    if len(inputs) != 2 or any(
        Ellipsis in labels or len(set(labels)) != len(labels) or len(labels) != len(shape)
        for labels, shape in zip(inputs, (shape_x, shape_y), strict=True)
    ):
        return None
    labels_x, labels_y = inputs
    if output is None:
        output = sorted(set(labels_x) ^ set(labels_y))
    elif Ellipsis in output or len(set(output)) != len(output) or not set(output) <= {*labels_x, *labels_y}:
        return None
    _check_sizes([(labels_x, shape_x), (labels_y, shape_y)])
    return _plan_contraction(tuple(labels_x), shape_x, tuple(labels_y), shape_y, tuple(output))


@lru_cache(maxsize=1024)
def _plan_contraction(
    labels_x: tuple, shape_x: tuple[int, ...], labels_y: tuple, shape_y: tuple[int, ...], out: tuple
) -> _Contraction:
    size_x = dict(zip(labels_x, shape_x, strict=True))
    size_y = dict(zip(labels_y, shape_y, strict=True))
    summed = [label for label in labels_x if label in size_y and label not in out]
    alone = {label for label in summed if 1 in (size_x[label], size_y[label])}
    kept_x = [label for label in labels_x if label not in alone and (label in out or label in size_y)]
    kept_y = [label for label in labels_y if label not in alone and (label in out or label in size_x)]
    summed = [label for label in summed if label not in alone]
    if not summed:
        pair = (
            _steps_to(labels, size, kept, out)
            for labels, size, kept in ((labels_x, size_x, kept_x), (labels_y, size_y, kept_y))
        )
        return _Contraction(*pair, shape=None, order=None)
    batch = [label for label in out if label in kept_x and label in kept_y]
    left = [label for label in out if label in kept_x and label not in kept_y]
    right = [label for label in out if label in kept_y and label not in kept_x]
    sizes = {label: size_y.get(label, 1) if size_x.get(label, 1) == 1 else size_x[label] for label in out}
    b, m, n = (math.prod([sizes[label] for label in group]) for group in (batch, left, right))
    k = math.prod([size_x[label] for label in summed])
    lead, wide = (b,) if batch else (), tuple(sizes[label] for label in batch)
    order = batch + left + right
    return _Contraction(  # (b, m, k) @ (b, k, n) -> (b, m, n)
        _steps_to(labels_x, size_x, kept_x, batch + left + summed, wide, (*lead, m, k)),
        _steps_to(labels_y, size_y, kept_y, batch + summed + right, wide, (*lead, k, n)),
        shape=tuple(sizes[label] for label in order),
        order=None if order == list(out) else [order.index(label) for label in out],
    )


def _steps_to(
    labels: Sequence,
    sizes: dict,
    kept: list,
    order: Sequence,
    wide: tuple[int, ...] = (),
    shape: tuple[int, ...] | None = None,
) -> _Arrangement:
    """To sum all labels but `kept`, give those in this order, with a size of 1 for one that is not there, the first ones as `wide` as
    this, and all in this shape."""
    summed = [i for i, label in enumerate(labels) if label not in kept]
    present = [label for label in order if label in kept]
    arranged = tuple(sizes[label] for label in present)
    expanded = wide + arranged[len(wide) :] if shape is not None else arranged
    if shape is None:
        shape = tuple(sizes.get(label, 1) if label in kept else 1 for label in order)
    return _Arrangement(
        summed=summed or None,
        order=None if present == kept else [kept.index(label) for label in present],
        wide=None if expanded == arranged else expanded,
        shape=None if shape == expanded else shape,
    )


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """y[..., o] = input1[..., i] weight[o, i, j] input2[..., j] + bias[o]; see nn.functional.bilinear, which checks."""
    out, n, m = weight._array.shape
    lead = input1._array.shape[:-1]
    rows = math.prod(lead)
    flat = reshape(permute(weight, 1, 0, 2), n, out * m)
    half = reshape(mm(reshape(input1, rows, n), flat), rows, out, m)  # (R, I) @ (I, O*J) -> (R, O, J)
    y = reshape(bmm(half, reshape(input2, rows, m, 1)), *lead, out)  # (R, O, J) @ (R, J, 1) -> (R, O, 1)
    return y if bias is None else y + bias


@named_node
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha vec1 vec2^T; NaN and infinity come through an alpha of 0."""
    product = outer(vec1, vec2)
    return _scaled_sum(input, product if alpha == 1 else product * alpha, beta, 1)


@named_node
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha times the sum of the products of a batch."""
    return _scaled_sum(input, sum_(bmm(batch1, batch2), 0), beta, alpha)


def matrix_power(input: Tensor, n: int) -> Tensor:
    """The n-th power of square matrices. Raises NotImplementedError for a negative n: there is no inverse."""
    if input.ndim < 2 or input._array.shape[-1] != input._array.shape[-2]:
        raise RuntimeError(
            f"linalg.matrix_power: A must be batches of square matrices, but got shape {list(input._array.shape)}"
        )
    if n < 0:
        raise NotImplementedError(f"matrix_power: a negative power ({n}) needs an inverse, which is not implemented")
    if n == 1:
        return clone(input)
    if n == 0:
        return expand(from_array(np.eye(input._array.shape[-1], dtype=input._array.dtype)), *input._array.shape)
    out = None
    while n:
        if n & 1:
            out = input if out is None else matmul(out, input)
        n >>= 1
        if n:
            input = matmul(input, input)
    return out
