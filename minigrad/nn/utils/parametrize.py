"""Parameters that are functions of other parameters: `module.weight` is computed whenever it is read."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from minigrad.autograd import no_grad
from minigrad.nn.containers import ModuleDict, ModuleList
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.tensor import Tensor

_cache: dict[tuple[int, str], Tensor] = {}
_cached_blocks = 0


@contextmanager
def cached() -> Iterator[None]:
    """In such a block every parametrized tensor is computed once, when it is first read."""
    global _cached_blocks
    _cached_blocks += 1
    try:
        yield
    finally:
        _cached_blocks -= 1
        if not _cached_blocks:
            _cache.clear()


def _register(module: Module, name: str, value: Tensor) -> None:
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


def _check_same(what: str, new: Any, old: Tensor, where: str) -> None:
    """ValueError unless `new` is a tensor of the dtype and shape of `old`."""
    if not isinstance(new, Tensor):
        raise ValueError(f"{what} must return a tensor. Got {type(new).__name__}.")
    for aspect in ("dtype", "shape"):
        if getattr(new, aspect) != getattr(old, aspect):
            raise ValueError(
                f"Registering a parametrization may not change the {aspect} of the tensor, unless `unsafe` flag is enabled.\n"
                f"{where}: {getattr(old, aspect)} before, {getattr(new, aspect)} after {what}"
            )


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, one on the output of the other, and what the first is computed from.

    That is `original`, or where the right_inverse of the first returns several tensors `original0`, `original1`, ...
    """

    original: Tensor

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        before = original.detach()
        new = self._inverse(original, strict=False)
        if not isinstance(new, Tensor | Sequence):
            raise ValueError(
                f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got {type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if isinstance(new, Tensor) else len(new)
        if isinstance(new, Tensor):
            if new.dtype is not original.dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {original.dtype}\nright_inverse(original).dtype: {new.dtype}"
                )
            original.data = new.data
            _register(self, "original", original)
        else:
            for i, part in enumerate(new):
                if not isinstance(part, Tensor):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                        f"Got element {i} of the sequence with type {type(part).__name__}."
                    )
                part = part.detach()
                _register(
                    self, f"original{i}", Parameter(part, original.requires_grad) if isinstance(original, Parameter) else part
                )
        if not unsafe:
            _check_same("A parametrization", self(), before, "unparametrized")

    def _inverse(self, value: Any, strict: bool) -> Any:
        """The right inverses of all, from the last to the first. Without `strict` those that have none are passed over."""
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    try:
                        value = module.right_inverse(value)
                    except NotImplementedError:
                        if strict:
                            raise
                elif strict:
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
        return value

    def right_inverse(self, value: Tensor) -> None:
        """Sets the originals so that the parametrized tensor is `value`, as far as the right inverses go.

        RuntimeError for a parametrization without right_inverse, ValueError for a result that does not fit.
        """
        new = self._inverse(value, strict=True)
        if self.is_tensor:
            if not isinstance(new, Tensor):
                raise ValueError(f"`right_inverse` should return a tensor. Got {type(new).__name__}")
            new = [new]
        elif not isinstance(new, Sequence) or len(new) != self.ntensors:
            got = f"a sequence of length {len(new)}" if isinstance(new, Sequence) else type(new).__name__
            raise ValueError(f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got {got}.")
        originals = self._originals()
        for i, (own, part) in enumerate(zip(originals, new, strict=True)):
            if part.dtype is not own.dtype:
                raise ValueError(
                    f"Tensor {i} returned by `right_inverse` has dtype {part.dtype} while the original has dtype {own.dtype}"
                )
        for own, part in zip(originals, new, strict=True):
            own.data = part.data

    def _originals(self) -> list[Tensor]:
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def forward(self) -> Tensor:
        """The parametrized tensor of this moment, in the graph."""
        first, *rest = self
        x = first(*self._originals())
        for module in rest:
            x = module(x)
        return x


def _parametrized_property(name: str) -> property:
    def read(self: Any) -> Tensor:
        if not _cached_blocks:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in _cache:
            _cache[key] = self.parametrizations[name]()
        return _cache[key]

    def write(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(read, write)


def _copy(self: Any, memo: dict[int, Any]) -> Any:
    replica = self.__new__(type(self))
    memo[id(self)] = replica
    replica.__setstate__(copy.deepcopy(Module.__getstate__(self), memo))
    return replica


def _refuse_pickle(self: Any) -> Any:
    raise RuntimeError("Serialization of parametrized modules is only supported through state_dict().")


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether this tensor of the module, or any of them, is parametrized."""
    lists = getattr(module, "parametrizations", None)
    if not isinstance(lists, ModuleDict):
        return False
    return len(lists) > 0 if tensor_name is None else tensor_name in lists


def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> Module:
    """Makes a parameter or buffer of a module the output of `parametrization`; on one that is, the new one comes after it.

    The tensor moves to module.parametrizations.<name>.original and module.<name> becomes `parametrization(original)`, computed
    when it is read. A `right_inverse(value)` of the parametrization gives the first original, and makes the tensor assignable; it
    may return several tensors, original0, original1, ... Returns the module, whose class is now a subclass, Parametrized<Class>.

    ValueError for a name that is neither parameter, buffer nor parametrized, or, unless `unsafe`, for a parametrization that
    changes shape or dtype.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        lists: Any = module.parametrizations  # type: ignore[attr-defined]
        if not unsafe:
            before = getattr(module, tensor_name)
            after = parametrization(before)
            _check_same("A parametrization", after, before, f"module.{tensor_name}")
            if hasattr(parametrization, "right_inverse"):
                try:
                    back = parametrization.right_inverse(after)
                except NotImplementedError:
                    back = before
                _check_same("parametrization.right_inverse", back, before, f"module.{tensor_name}")
        lists[tensor_name].append(parametrization)
        lists[tensor_name].unsafe |= unsafe
        return module
    if tensor_name not in module._buffers and tensor_name not in module._parameters:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'"
        )
    made = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        cls: Any = type(module)
        methods = {"__getstate__": _refuse_pickle, "__deepcopy__": _copy}
        module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), methods)
        module.parametrizations = ModuleDict()  # type: ignore[attr-defined]
    setattr(type(module), tensor_name, _parametrized_property(tensor_name))
    module.parametrizations[tensor_name] = made  # type: ignore[attr-defined]
    return module


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Takes all parametrizations of a tensor back. Returns the module.

    The tensor keeps its parametrized value, or with leave_parametrized=False gets the original again. ValueError where it is
    not parametrized, or where that original is several tensors.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    lists: Any = module.parametrizations  # type: ignore[attr-defined]
    if lists[tensor_name].is_tensor:
        value = lists[tensor_name].original
        if leave_parametrized:
            with no_grad():
                value.data = getattr(module, tensor_name).data
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        value = Parameter(value.detach()) if value.requires_grad else value
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence of "
            "tensors."
        )
    delattr(type(module), tensor_name)
    del lists[tensor_name]
    _register(module, tensor_name, value)
    if not is_parametrized(module):
        del module.parametrizations  # type: ignore[attr-defined]
        module.__class__ = type_before_parametrizations(module)
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that the module had before it was parametrized, or has."""
    cls = type(module)
    return cls.__bases__[0] if cls.__dict__.get("__getstate__") is _refuse_pickle else cls
