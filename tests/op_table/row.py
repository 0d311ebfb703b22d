"""The shape of one row of the op table: what an op is called with, and what its answers are compared to.

A row is written once and run through every check of tests/test_ops.py:

    Op(
        name="nn.functional.leaky_relu",                       # getattr path, the same in minigrad and torch
        samples=lambda rng: [Sample(rng.standard_normal((3, 5))), Sample(rng.standard_normal(7), negative_slope=0.2)],
        reference=lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
        errors=[Error(Sample([1.0, 2.0]), TypeError)],
    )

What the arguments of a Sample become:

    numpy float64 array        a tensor of the dtype under test that requires grad; every gradient check covers it
    any other numpy array      a tensor of exactly that dtype (indices, masks, labels) without a gradient
    Constant(array)            a tensor of the dtype under test without a gradient
    Buffer(array)              the same, and the op may write into it; the result is compared too (running_mean)
    Dtype("float32")           lib.float32
    a list, tuple or dict      converted item by item (torch.cat takes a list)
    anything else              passed as it is
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import numpy as np

SAME = "same"


class Constant(NamedTuple):
    """An array that becomes a tensor of the dtype under test which never requires grad."""

    array: np.ndarray


class Buffer(NamedTuple):
    """An array that becomes a tensor of the dtype under test which the op may write into."""

    array: np.ndarray


class Dtype(NamedTuple):
    """A dtype argument by name: `lib.float32` for minigrad and torch, `np.dtype("float32")` for the reference."""

    name: str


class Sample:
    """One call: positional and keyword arguments, as they are written in the call."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args
        self.kwargs = kwargs

    def __repr__(self) -> str:
        def text(value: Any) -> str:
            if isinstance(value, np.ndarray):
                return f"{value.dtype}{list(value.shape)}"
            if isinstance(value, (Constant, Buffer)):
                return f"{type(value).__name__}({text(value.array)})"
            if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
                return "[" + ", ".join(map(text, value)) + "]"
            return repr(value)

        return "Sample(" + ", ".join([*map(text, self.args), *(f"{k}={text(v)}" for k, v in self.kwargs.items())]) + ")"


class Error(NamedTuple):
    """A call that must raise.

    torch must raise the same type on the same sample. Where it does not (it accepts the call, or raises another type), `torch`
    says what it does instead, in words: the difference is then documented here and torch is not called.
    """

    sample: Sample
    exception: type[BaseException] | tuple[type[BaseException], ...]
    match: str = ""
    torch: str = SAME


@dataclass(frozen=True)
class Op:
    """One row. Only `name` and `samples` are needed.

    Attributes:
        name: getattr path from the package: "add", "nn.functional.relu", "Tensor.view".
        samples: rng -> list of Samples, seeded per row. Few and small (tens of elements), odd sizes, no parameter at 1 only.
            Keep values away from kinks (|x| > 0.05 for relu), ties (max) and the border of the domain (log).
        reference: an oracle in plain numpy / scipy that takes the Sample's arguments as float64 arrays; None where only torch
            is the oracle. It may leave out trailing outputs, none in between.
        torch_name: the path in torch where it differs; None where torch has no counterpart.
        function: lib -> callable, in place of a path, for what is not one attribute: `lambda lib: lambda x: x[1:, None]`.
            `name` is then the public name that the row stands for.
        dtypes: the float dtypes that a float64 array is converted to.
        order: 2 gradcheck and gradgradcheck, 1 gradcheck only (say why in `note`), 0 no output requires grad.
        rtol, atol: by dtype; an output y passes when |y - expected| <= atol + rtol * max|expected|.
        gradient_rtol: by dtype, the same for gradients.
        gradcheck: keyword arguments for gradcheck and gradgradcheck.
        random: the op draws random numbers: manual_seed(0) before every call, and values are not compared with torch.
        contiguous_only: a non-contiguous input is rejected or gives another kind of result, as in torch (`view`).
        aliases: outputs share memory with an input (views, in-place); the checks that write are then left out.
        errors: calls that must raise, rng -> list or a list.
        note: how minigrad differs from PyTorch here, one sentence for docs/ops.md.
    """

    name: str
    samples: Callable[[np.random.Generator], Sequence[Sample]]
    reference: Callable[..., Any] | None = None
    torch_name: str | None = SAME
    function: Callable[[ModuleType], Callable[..., Any]] | None = None
    dtypes: tuple[str, ...] = ("float32", "float64")
    order: int = 2
    rtol: Mapping[str, float] = field(default_factory=dict)
    atol: Mapping[str, float] = field(default_factory=dict)
    gradient_rtol: Mapping[str, float] = field(default_factory=dict)
    gradcheck: Mapping[str, Any] = field(default_factory=dict)
    random: bool = False
    contiguous_only: bool = False
    aliases: bool = False
    errors: Sequence[Error] | Callable[[np.random.Generator], Sequence[Error]] = ()
    note: str = ""

    RTOL: ClassVar = {"float32": 1e-5, "float64": 1e-12}
    ATOL: ClassVar = {"float32": 1e-6, "float64": 1e-13}
    GRADIENT_RTOL: ClassVar = {"float32": 2e-5, "float64": 1e-11}

    def __post_init__(self) -> None:
        for name in ("rtol", "atol", "gradient_rtol"):
            object.__setattr__(self, name, {**getattr(self, name.upper()), **getattr(self, name)})

    def rng(self) -> np.random.Generator:
        """A generator with a seed of the row's own, so that adding a row changes no other."""
        return np.random.default_rng(list(self.name.encode()))

    def sample_list(self) -> list[Sample]:
        return list(self.samples(self.rng()))

    def error_list(self) -> list[Error]:
        errors = self.errors(self.rng()) if callable(self.errors) else self.errors
        return [error if isinstance(error, Error) else Error(*error) for error in errors]

    def resolve(self, lib: ModuleType) -> Callable[..., Any]:
        """The function under this row's name in `lib` (minigrad or torch)."""
        if self.function is not None:
            return self.function(lib)
        path = self.torch_name if lib.__name__ == "torch" and self.torch_name != SAME else self.name
        found: Any = lib
        for part in path.split("."):
            found = getattr(found, part)
        return found
