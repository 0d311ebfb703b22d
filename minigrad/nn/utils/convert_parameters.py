"""All parameters of a network as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from minigrad.ops.shape import cat, narrow, reshape
from minigrad.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters in one vector, a function of them in the graph. ValueError for no parameters."""
    return cat([reshape(param, -1) for param in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Gives the parameters the values of a vector, piece by piece; they share its memory then. The inverse of the above.

    TypeError for what is no Tensor; RuntimeError for a vector that is too short, before any parameter has changed.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected minigrad.Tensor, but got: {type(vec).__name__}")
    listed, start = list(parameters), 0
    pieces = []
    for param in listed:
        pieces.append(reshape(narrow(vec, 0, start, param.numel()), *param.shape))
        start += param.numel()
    for param, piece in zip(listed, pieces, strict=True):
        param.data = piece.data
