"""Module: the base of every layer and network. It holds state (parameters, buffers, child modules, mode) and does no arithmetic."""

from __future__ import annotations

import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ParamSpec, Protocol, Self, TypeVar, overload

from minigrad._device import check_device
from minigrad.autograd import no_grad
from minigrad.autograd.observer import active_observers, on_change
from minigrad.creation import empty_like
from minigrad.nn import global_hooks
from minigrad.nn.backward_hooks import BackwardHooks
from minigrad.nn.error_path import locate
from minigrad.nn.global_hooks import register_module_buffer_registration_hook as register_module_buffer_registration_hook
from minigrad.nn.global_hooks import register_module_forward_hook as register_module_forward_hook
from minigrad.nn.global_hooks import register_module_forward_pre_hook as register_module_forward_pre_hook
from minigrad.nn.global_hooks import register_module_full_backward_hook as register_module_full_backward_hook
from minigrad.nn.global_hooks import register_module_full_backward_pre_hook as register_module_full_backward_pre_hook
from minigrad.nn.global_hooks import register_module_module_registration_hook as register_module_module_registration_hook
from minigrad.nn.global_hooks import register_module_parameter_registration_hook as register_module_parameter_registration_hook
from minigrad.nn.members import Members
from minigrad.nn.parameter import Buffer, Parameter, UninitializedTensorMixin, is_lazy
from minigrad.tensor import Tensor
from minigrad.utils.hooks import RemovableHandle

_EXTRA_STATE = "_extra_state"
_TABLES = ("_parameters", "_buffers", "_modules")
_Member = TypeVar("_Member")
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result", covariant=True)


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` returns: the keys that the state dict lacked, and those that the module does not have."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


def _typename(value: object) -> str:
    if isinstance(value, Tensor):
        return value.type()
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _indent(text: str) -> str:
    """Indents every line but the first by two spaces."""
    return text.replace("\n", "\n  ")


class _WithoutModule:
    """A hook that is called without its first argument, the module."""

    def __init__(self, hook: Callable[..., Any]) -> None:
        self.hook = hook

    def __call__(self, module: Module, *rest: Any) -> Any:
        return self.hook(*rest)


class _Replacing:
    """A hook of `state_dict` that may return another dictionary."""

    def __init__(self, hook: Callable[..., Any]) -> None:
        self.hook = hook

    def __call__(self, *args: Any) -> Any:
        return self.hook(*args)


class _Forwarding(Protocol[_Arguments, _Result]):
    @property
    def forward(self) -> Callable[_Arguments, _Result]: ...


class _CalledAsForward:
    """Tells type checkers that a module is called with the arguments of its `forward` and gives what that gives."""

    def __get__(self, module: _Forwarding[_Arguments, _Result], owner: Any = None) -> Callable[_Arguments, _Result]:
        raise NotImplementedError("for type checkers alone")


class Module:
    """Base class of all layers and networks.

    A subclass calls `super().__init__()`, then assigns Parameters, Buffers and Modules as attributes, which registers them in
    that order, and defines `forward`. Calling the module runs the hooks and `forward`. An error that leaves a call carries the
    path of the layer it came from: `features.3 (Linear(...)): ...`.
    """

    dump_patches: bool = False
    _version: int = 1
    training: bool
    call_super_init: bool = False

    # True once any forward or backward hook was registered on the instance, and for all while an Observer watches or there is
    # a hook of all modules: calls then take the long way.
    _hooked: bool = False

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Makes an empty module in training mode. Takes no arguments (TypeError)."""
        if not self.call_super_init:
            if kwargs:
                raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'")
            if args:
                raise TypeError(f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given")
        # Straight into __dict__: __setattr__ below needs these to be there.
        self.__dict__.update(
            training=True,
            _parameters=Members(self),
            _buffers=Members(self),
            _non_persistent_buffers_set=set(),
            _modules=Members(self),
            **_hook_tables(),
        )
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    forward: Callable[..., Any]

    def forward(self, *input: Any) -> Any:  # type: ignore[no-redef]
        """Computes the module's output. Every subclass that is called defines it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    # ---- calling

    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooked:
                return self._call_watched(args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            locate(error, self)
            raise

    __call__: _CalledAsForward = _call_impl  # type: ignore[assignment]

    def _call_watched(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        observers = active_observers()
        if not observers:
            return self._call_with_hooks(args, kwargs)
        result = None
        for observer in observers:
            observer.enter(self)
        try:
            result = self._call_with_hooks(args, kwargs)
        finally:
            for observer in reversed(observers):
                observer.leave(self, result)
        return result

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = None
        called: set[int] = set()
        try:
            for key, hook in (*global_hooks.forward_pre_hooks.items(), *self._forward_pre_hooks.items()):
                if key in self._forward_pre_hooks_with_kwargs:
                    changed = hook(self, args, kwargs)
                    if changed is not None:
                        if not (isinstance(changed, tuple) and len(changed) == 2):
                            raise RuntimeError(
                                f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                            )
                        args, kwargs = changed
                else:
                    changed = hook(self, args)
                    if changed is not None:
                        args = changed if isinstance(changed, tuple) else (changed,)
            backward = None
            hooks = [*global_hooks.backward_hooks.values(), *self._backward_hooks.values()]
            pre_hooks = [*global_hooks.backward_pre_hooks.values(), *self._backward_pre_hooks.values()]
            if hooks or pre_hooks:
                backward = BackwardHooks(self, hooks, pre_hooks)
                args = backward.watch_inputs(args)
            result = self.forward(*args, **kwargs)
            for key, hook in self._all_forward_hooks():
                called.add(key)
                result = self._run_forward_hook(key, hook, args, kwargs, result)
            if backward is not None:
                result = backward.watch_outputs(result)
            return result
        except Exception:
            always = self._forward_hooks_always_called.keys() | global_hooks.forward_hooks_always_called.keys()
            for key, hook in self._all_forward_hooks():
                if key in always and key not in called:
                    result = self._run_forward_hook(key, hook, args, kwargs, result)
            raise

    def _all_forward_hooks(self) -> tuple[tuple[int, Callable[..., Any]], ...]:
        return (*global_hooks.forward_hooks.items(), *self._forward_hooks.items())

    def _run_forward_hook(self, key: int, hook: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> Any:
        with_kwargs = key in self._forward_hooks_with_kwargs or key in global_hooks.forward_hooks_with_kwargs
        changed = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
        return result if changed is None else changed

    # ---- hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Runs `hook(module, args)` before every `forward`; what it returns, unless None, replaces the positional arguments.

        With `with_kwargs` it is `hook(module, args, kwargs)` and returns None or `(args, kwargs)`, else the call raises
        RuntimeError. `prepend` puts it before the hooks there are. The handle's `remove()` takes it out.
        """
        flags = [self._forward_pre_hooks_with_kwargs] if with_kwargs else []
        return self._add_hook(self._forward_pre_hooks, hook, prepend, flags)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Runs `hook(module, args, output)` after every `forward`; what it returns, unless None, replaces the output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`. `always_call` runs it also when `forward` raises.
        """
        flags = [self._forward_hooks_with_kwargs] if with_kwargs else []
        if always_call:
            flags.append(self._forward_hooks_always_called)
        return self._add_hook(self._forward_hooks, hook, prepend, flags)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Runs `hook(module, grad_output)` before the gradients of the module are computed.

        `grad_output` is a tuple; what the hook returns, unless None, takes its place.
        """
        return self._add_hook(self._backward_pre_hooks, hook, prepend, [])

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Runs `hook(module, grad_input, grad_output)` when the gradients for the module's inputs have been computed.

        Both are tuples, with None for what is no Tensor or needs no gradient, `grad_input` over the positional arguments.
        What the hook returns, unless None, takes the place of `grad_input` in the rest of the backward pass.
        """
        return self._add_hook(self._backward_hooks, hook, prepend, [])

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Runs `hook(module, state_dict, prefix, local_metadata)` after `state_dict`; it may change the dictionary in place."""
        return self._add_hook(self._state_dict_hooks, hook, False, [], calls=False)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Runs `hook(module, prefix, keep_vars)` before `state_dict`."""
        return self._add_hook(self._state_dict_pre_hooks, hook, False, [], calls=False)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Runs `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`.

        It runs before the module's part of `load_state_dict`, on a copy of the dictionary that it may change.
        """
        return self._add_hook(self._load_state_dict_pre_hooks, hook, False, [], calls=False)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Runs `hook(module, incompatible_keys)` once the keys were compared; it may change the two lists in place."""
        return self._add_hook(self._load_state_dict_post_hooks, hook, False, [], calls=False)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """As `register_state_dict_post_hook`, but what the hook returns, unless None, takes the place of the dictionary."""
        return self._add_hook(self._state_dict_hooks, _Replacing(hook), False, [], calls=False)

    def _register_load_state_dict_pre_hook(self, hook: Callable[..., Any], with_module: bool = False) -> RemovableHandle:
        """As `register_load_state_dict_pre_hook`; without `with_module` the hook does not get the module."""
        return self._add_hook(
            self._load_state_dict_pre_hooks, hook if with_module else _WithoutModule(hook), False, [], calls=False
        )

    def _add_hook(
        self, hooks: OrderedDict[int, Any], hook: Callable[..., Any], prepend: bool, flags: list[Any], calls: bool = True
    ) -> RemovableHandle:
        handle = RemovableHandle(hooks, extra_dict=flags)
        hooks[handle.id] = hook
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        for flag in flags:
            flag[handle.id] = True
        if calls:
            self.__dict__["_hooked"] = True
        return handle

    # ---- attributes

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if "_modules" in own:
            for table in _TABLES:
                members = own[table]
                if name in members:
                    return members[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Parameter):
            self._check_initialised("parameters")
            self._forget(name, "_buffers", "_modules", "_non_persistent_buffers_set")
            self.register_parameter(name, value)
        elif name in own.get("_parameters", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as parameter '{name}' (minigrad.nn.Parameter or None expected)"
                )
            self.register_parameter(name, None)
        elif isinstance(value, Module):
            self._check_initialised("module")
            self._forget(name, "_parameters", "_buffers", "_non_persistent_buffers_set")
            own["_modules"][name] = global_hooks.registered("module", self, name, value)
        elif name in own.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as child module '{name}' (minigrad.nn.Module or None expected)"
                )
            own["_modules"][name] = global_hooks.registered("module", self, name, None)
        elif isinstance(value, Buffer):
            self._check_initialised("buffer")
            self._forget(name, "_parameters", "_modules")
            self.register_buffer(name, value, value.persistent)
        elif name in own.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as buffer '{name}' "
                    "(minigrad.nn.Buffer, minigrad.Tensor or None expected)"
                )
            own["_buffers"][name] = global_hooks.registered("buffer", self, name, value)
        elif name in _TABLES and name in own:
            own[name].clear()
            own[name] = Members(self, value)
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = [*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers]
        return sorted({name for name in names if not name[0].isdigit()})

    def _check_initialised(self, what: str) -> None:
        if "_modules" not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")

    def _forget(self, name: str, *tables: str) -> None:
        """Removes what is stored under `name` as a plain attribute and in the given tables."""
        self.__dict__.pop(name, None)
        for table in tables:
            members = self.__dict__[table]
            if name in members:
                members.discard(name) if isinstance(members, set) else members.pop(name)

    # ---- registering

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter (or None, which holds its place) under `name`.

        AttributeError before `Module.__init__()`; TypeError unless `name` is a str and `param` a Parameter or None; KeyError for
        a name that is empty, has a dot or is an attribute already; ValueError for a Tensor that is no leaf of the graph.
        """
        self._check_initialised("parameter")
        self._check_name(name, "parameter", self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_typename(param)}' object to parameter '{name}' (minigrad.nn.Parameter or None required)"
            )
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. To express "
                f"'{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = None if param is None else global_hooks.registered("parameter", self, name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a buffer (or None, which holds its place) under `name`; `persistent=False` keeps it out of `state_dict`.

        Raises as `register_parameter` does; TypeError unless `tensor` is a Tensor or None.
        """
        self._check_initialised("buffer")
        self._check_name(name, "buffer", self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{_typename(tensor)}' object to buffer '{name}' (minigrad Tensor or None required)")
        self._buffers[name] = global_hooks.registered("buffer", self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a child module (or None, which holds its place) under `name`.

        TypeError unless `module` is a Module or None and `name` a str; KeyError for a name that is empty, has a dot or is an
        attribute already.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_typename(module)} is not a Module subclass")
        self._check_name(name, "module", self._modules)
        self._modules[name] = global_hooks.registered("module", self, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    def _check_name(self, name: str, what: str, table: dict[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {_typename(name)}")
        if name not in table and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain "."' + (f", got: {name}" if what == "module" else ""))
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')

    # ---- members by path

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path, `self` for the empty one. AttributeError where a step does not exist or is no Module."""
        module: Any = self
        for step in target.split(".") if target else ():
            if not hasattr(module, step):
                raise AttributeError(f"{module._get_name()} has no attribute `{step}`")
            module = getattr(module, step)
            if not isinstance(module, Module):
                raise AttributeError(f"`{step}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts `module` at a dotted path. ValueError for an empty path or what is no Module.

        AttributeError where the way to it does not exist, where a non-module stands there, or, with `strict`, nothing does.
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path. AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        param = getattr(module, name)
        if not isinstance(param, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return param

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path. AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return getattr(module, name)

    # ---- iterators

    def _named_members(
        self,
        members: Callable[[Module], Iterable[tuple[str, _Member | None]]],
        prefix: str,
        recurse: bool,
        remove_duplicate: bool,
    ) -> Iterator[tuple[str, _Member]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, member in members(module):
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield (f"{path}.{name}" if path else name), member

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Iterates over the parameters, each once, in the order of registration; with `recurse` also over the children's."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Iterates over (dotted name, parameter). A shared parameter comes once, under its first name, if `remove_duplicate`."""
        return self._named_members(lambda module: module._parameters.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Iterates over the buffers, each once; with `recurse` also over the children's."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Iterates over (dotted name, buffer)."""
        return self._named_members(lambda module: module._buffers.items(), prefix, recurse, remove_duplicate)

    def children(self) -> Iterator[Module]:
        """Iterates over the immediate child modules, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Iterates over (name, immediate child module), each module once."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self) -> Iterator[Module]:
        """Iterates over this module and everything below it, each once, parents first."""
        for _, module in self.named_modules():
            yield module

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Iterates over (dotted path, module) for this module and everything below it, parents first.

        A module that appears at several places comes once, under its first path, if `remove_duplicate`. `memo` is the set of
        modules already seen.
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    # ---- conversion and mode

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Calls `fn` on every module below this one and then on this one. Returns self."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replaces the values of all parameters, their gradients and the buffers by `fn` of them; parameters stay the same objects."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        with no_grad():
            for param in self._parameters.values():
                if param is not None:
                    grad = param.grad
                    param.grad = None
                    param.data = fn(param.detach())
                    if grad is not None:
                        param.grad = fn(grad)
            for name, buffer in self._buffers.items():
                if buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """`to(device)`, `to(dtype)`, `to(device, dtype)` or `to(tensor)`: converts floating point parameters and buffers in place.

        Only the CPU is there (RuntimeError for another device); TypeError for a dtype that is not float32 or float64.
        """
        device, dtype = _parse_to(*args, **kwargs)
        check_device(device)
        if dtype is None:
            return self
        if not dtype.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}")
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def type(self, dst_type: Any) -> Self:
        """Converts all parameters and buffers, integer ones too, to this dtype."""
        return self._apply(lambda t: t.to(dst_type))

    def float(self) -> Self:
        """Converts all floating point parameters and buffers to float32."""
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def share_memory(self) -> Self:
        """Moves parameters and buffers into memory that processes forked from now on share, and returns the module."""
        for tensor in (*self.parameters(), *self.buffers()):
            tensor.share_memory_()
        return self

    def double(self) -> Self:
        """Converts all floating point parameters and buffers to float64."""
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self) -> Self:
        """Raises NotImplementedError: minigrad computes in float32 and float64 only."""
        raise NotImplementedError("Module.half(): minigrad computes in float32 and float64 only; use float() or double()")

    def bfloat16(self) -> Self:
        """Raises NotImplementedError: minigrad computes in float32 and float64 only."""
        raise NotImplementedError("Module.bfloat16(): minigrad computes in float32 and float64 only; use float() or double()")

    def cpu(self) -> Self:
        """Returns self: everything is on the CPU."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Raises RuntimeError: minigrad runs on the CPU only."""
        check_device("cuda")
        return self

    def xpu(self, device: Any = None) -> Self:
        """Raises RuntimeError: minigrad runs on the CPU only."""
        check_device("xpu")
        return self

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Gives all parameters and buffers new memory with any values. RuntimeError for a device that is not the CPU."""
        check_device(device)
        return self._apply(empty_like, recurse=recurse)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: every operation is compiled already. The arguments are ignored."""

    def train(self, mode: bool = True) -> Self:
        """Sets training mode (or evaluation mode, `mode=False`) here and below. ValueError unless `mode` is a bool."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Sets evaluation mode here and below: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Sets `requires_grad` of every parameter. Returns self."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all parameters, or with `set_to_none=False` fills them with zeros."""
        for param in self.parameters():
            clear_grad(param, set_to_none)

    # ---- saving and loading

    def get_extra_state(self) -> Any:
        """What `state_dict` shall hold beside parameters and buffers. Overridden together with `set_extra_state`."""
        raise RuntimeError("get_extra_state() is called only where a subclass overrides it")

    def set_extra_state(self, state: Any) -> None:
        """Takes back what `get_extra_state` gave. Overridden together with it."""
        raise RuntimeError("set_extra_state() is called only where a subclass overrides it")

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Puts this module's own parameters, persistent buffers and extra state into `destination`."""
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = param if keep_vars else param.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + _EXTRA_STATE] = self.get_extra_state()

    @overload
    def state_dict(self, *, destination: _Member, prefix: str = ..., keep_vars: bool = ...) -> _Member: ...

    @overload
    def state_dict(self, *, prefix: str = ..., keep_vars: bool = ...) -> dict[str, Any]: ...

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """An OrderedDict from dotted names to the parameters and persistent buffers, which it shares memory with.

        The tensors are detached from the graph unless `keep_vars`. A shared parameter appears under each of its names. The
        dictionary's `_metadata` holds the version of every module. Positional arguments are these three, with a FutureWarning.
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead: state_dict(destination=, prefix=, keep_vars=)",
                FutureWarning,
                stacklevel=2,
            )
            return self.state_dict(**dict(zip(("destination", "prefix", "keep_vars"), args, strict=False)))
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            result = hook(self, destination, prefix, metadata)
            if result is not None:
                if not isinstance(hook, _Replacing):
                    raise RuntimeError("state_dict post-hook must return None")
                destination = result
        return destination

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> _IncompatibleKeys:
        """Copies the values of a state dict into the parameters and buffers (`assign=True`: puts its tensors in their place).

        Returns the missing and the unexpected keys. With `strict` either kind is a RuntimeError, as is a shape that does not
        match in any case; the message lists them all. Everything is checked first: when this raises, nothing was loaded.
        TypeError if `state_dict` is no mapping.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing_keys: list[str] = []
        unexpected_keys: list[str] = []
        error_msgs: list[str] = []
        pending: list[Callable[[], None]] = []
        metadata = getattr(state_dict, "_metadata", None)
        values = OrderedDict(state_dict)
        if metadata is not None:
            values._metadata = metadata  # type: ignore[attr-defined]

        def check(module: Module, values: Mapping[str, Any], prefix: str) -> None:
            local_metadata = dict((metadata or {}).get(prefix[:-1], {}), pending_loads=pending)
            if assign:
                local_metadata["assign_to_params_buffers"] = True
            module._load_from_state_dict(values, prefix, local_metadata, True, missing_keys, unexpected_keys, error_msgs)
            for name, child in module._modules.items():
                if child is not None:
                    below = f"{prefix}{name}."
                    check(child, OrderedDict(item for item in values.items() if item[0].startswith(below)), below)
            incompatible = _IncompatibleKeys(missing_keys, unexpected_keys)
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, incompatible) is not None:
                    raise AssertionError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values, "
                        "if incompatible_keys need to be modified, it should be done inplace."
                    )

        check(self, values, "")
        if strict:
            for what, keys in (("Unexpected", unexpected_keys), ("Missing", missing_keys)):
                if keys:
                    error_msgs.insert(
                        0, f"{what} key(s) in state_dict: {', '.join(f'{chr(34)}{key}{chr(34)}' for key in keys)}. "
                    )
        if error_msgs:
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(error_msgs))
        run_loads(pending)
        return _IncompatibleKeys(missing_keys, unexpected_keys)

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Checks this module's own part of a state dict, and appends what is to be done to `local_metadata["pending_loads"]`.

        A subclass that overrides it to read older versions changes `state_dict` (a copy) and then calls this one. Without
        that list what passed its check is loaded at once.
        """
        for hook in self._load_state_dict_pre_hooks.values():
            hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        at_once = "pending_loads" not in local_metadata
        pending = local_metadata.setdefault("pending_loads", [])
        assign = local_metadata.get("assign_to_params_buffers", False)
        persistent = {name: b for name, b in self._buffers.items() if name not in self._non_persistent_buffers_set}
        state = {name: own for name, own in [*self._parameters.items(), *persistent.items()] if own is not None}
        for name, own in state.items():
            key = prefix + name
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            value = state_dict[key]
            if not isinstance(value, Tensor):
                error_msgs.append(
                    f'While copying the parameter named "{key}", expected minigrad.Tensor or Tensor-like object from '
                    f"checkpoint but received {type(value)}"
                )
            elif is_lazy(own) or is_lazy(value):
                if not is_lazy(value):
                    pending.append(_Load(self, name, own, value, assign))
                elif not is_lazy(own):
                    error_msgs.append(
                        f"the parameter named {key} is uninitialized in the checkpoint, but not in the current model."
                    )
            elif value.shape != own.shape and not (own.ndim == 0 and tuple(value.shape) == (1,)):
                error_msgs.append(
                    f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
                    f"the shape in current model is {own.shape}."
                )
            else:
                pending.append(_Load(self, name, own, value.reshape(own.shape) if value.shape != own.shape else value, assign))
        extra_key = prefix + _EXTRA_STATE
        if type(self).set_extra_state is not Module.set_extra_state:
            if extra_key in state_dict:
                extra = state_dict[extra_key]
                pending.append(lambda: self.set_extra_state(extra))
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra_key:
                    head, dot, _ = key[len(prefix) :].partition(".")
                    if head not in (self._modules if dot else state):
                        unexpected_keys.append(key)
        if at_once:
            run_loads(local_metadata.pop("pending_loads"))

    def __getstate__(self) -> dict[str, Any]:
        members = {name for table in _TABLES for name in self.__dict__.get(table, ())}
        return {name: value for name, value in self.__dict__.items() if name not in members}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for table in _TABLES:
            self.__dict__[table] = Members(self, state.get(table, ()))
        for name, table in _hook_tables().items():
            self.__dict__.setdefault(name, table)

    # ---- text

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses of the repr: the arguments of the module, in one line or several."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        if len(lines) == 1 and not self._modules:
            return f"{self._get_name()}({extra})"
        lines += [f"({name}): {_indent(repr(module))}" for name, module in self._modules.items()]
        body = "\n  " + "\n  ".join(lines) + "\n" if lines else ""
        return f"{self._get_name()}({body})"


class _Load:
    """One value of a state dict that passed every check, ready to be put in its place."""

    __slots__ = ("assign", "module", "name", "own", "value")

    def __init__(self, module: Module, name: str, own: Tensor, value: Tensor, assign: bool) -> None:
        self.module, self.name, self.own, self.value, self.assign = module, name, own, value, assign

    def __call__(self) -> None:
        if not self.assign:
            if isinstance(self.own, UninitializedTensorMixin):
                self.own.materialize(self.value.shape)
            self.own.copy_(self.value)
            return
        value = self.value
        if isinstance(self.own, Parameter):
            if isinstance(value, Parameter):
                value.requires_grad_(self.own.requires_grad)
            else:
                value = Parameter(value, requires_grad=self.own.requires_grad)
        setattr(self.module, self.name, value)


def run_loads(pending: list[Callable[[], None]]) -> None:
    """Puts the values of a state dict that passed every check in their places, outside the graph."""
    with no_grad():
        for load in pending:
            load()


def clear_grad(param: Tensor, set_to_none: bool) -> None:
    """Drops the gradient of a tensor, or fills it with zeros in place, detached from the graph."""
    grad = param.grad
    if grad is None:
        return
    if set_to_none:
        param.grad = None
        return
    if grad.grad_fn is not None:
        grad = param.grad = grad.detach()
    else:
        grad.requires_grad_(False)
    grad.zero_()


def _hook_tables() -> dict[str, Any]:
    return {
        "_backward_pre_hooks": OrderedDict(),
        "_backward_hooks": OrderedDict(),
        "_forward_hooks": OrderedDict(),
        "_forward_hooks_with_kwargs": OrderedDict(),
        "_forward_hooks_always_called": OrderedDict(),
        "_forward_pre_hooks": OrderedDict(),
        "_forward_pre_hooks_with_kwargs": OrderedDict(),
        "_state_dict_hooks": OrderedDict(),
        "_state_dict_pre_hooks": OrderedDict(),
        "_load_state_dict_pre_hooks": OrderedDict(),
        "_load_state_dict_post_hooks": OrderedDict(),
    }


def _parse_to(
    *args: Any,
    device: Any = None,
    dtype: Any = None,
    non_blocking: bool = False,
    tensor: Tensor | None = None,
    memory_format: Any = None,
) -> tuple[Any, Any]:
    """(device, dtype) from the arguments of `Module.to`; a memory_format changes nothing.

    Raises TypeError for what is neither a device, a dtype nor a Tensor.
    """
    rest = list(args)
    if rest and isinstance(rest[0], Tensor):
        tensor = rest.pop(0)
    elif rest and not hasattr(rest[0], "is_floating_point"):
        device = rest.pop(0)
    if tensor is not None:
        return tensor.device, tensor.dtype
    if rest and (rest[0] is None or hasattr(rest[0], "is_floating_point")):
        dtype = rest.pop(0)
    if len(rest) > 1 or (rest and not isinstance(rest[0], bool)):
        raise TypeError(f"to() expects a device, a dtype or a Tensor, but got {', '.join(type(a).__name__ for a in args)}")
    return device, dtype


def _watch(_: bool) -> None:
    Module._hooked = bool(active_observers()) or global_hooks.there_are_hooks_of_calls()


on_change(_watch)
global_hooks.on_change(_watch)
