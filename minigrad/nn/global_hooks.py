"""Hooks of all Modules: called before those of a Module itself, and when a Module gets a parameter, a buffer or a child."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from minigrad.utils.hooks import RemovableHandle

_Hooks = OrderedDict[int, Callable[..., Any]]

forward_pre_hooks: _Hooks = OrderedDict()
forward_hooks: _Hooks = OrderedDict()
forward_hooks_with_kwargs: OrderedDict[int, bool] = OrderedDict()
forward_hooks_always_called: OrderedDict[int, bool] = OrderedDict()
backward_pre_hooks: _Hooks = OrderedDict()
backward_hooks: _Hooks = OrderedDict()
registration_hooks: dict[str, _Hooks] = {what: OrderedDict() for what in ("parameter", "buffer", "module")}

_switches: list[Callable[[bool], None]] = []


def on_change(switch: Callable[[bool], None]) -> None:
    """Has switch(are there hooks of calls) called whenever one comes or goes."""
    _switches.append(switch)


def there_are_hooks_of_calls() -> bool:
    """Whether a call of a Module has to run any of these hooks."""
    return bool(forward_pre_hooks or forward_hooks or backward_pre_hooks or backward_hooks)


def registered(what: str, module: Any, name: str, value: Any) -> Any:
    """What is registered in place of the value: the last result of the hooks that is not None, or the value."""
    for hook in list(registration_hooks[what].values()):
        result = hook(module, name, value)
        if result is not None:
            value = result
    return value


class _Handle(RemovableHandle):
    def remove(self) -> None:
        """Takes the hook out. Does nothing when that was done before."""
        super().remove()
        _changed()


def _changed() -> None:
    for switch in _switches:
        switch(there_are_hooks_of_calls())


def _add(hooks: _Hooks, hook: Callable[..., Any], flags: list[Any]) -> RemovableHandle:
    handle = _Handle(hooks, extra_dict=flags)
    hooks[handle.id] = hook
    for flag in flags:
        flag[handle.id] = True
    _changed()
    return handle


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Runs `hook(module, args)` before the forward of every Module; what it returns, unless None, replaces the arguments."""
    return _add(forward_pre_hooks, hook, [])


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Runs `hook(module, args, output)` after the forward of every Module; what it returns, unless None, replaces the output.

    With `with_kwargs` it is `hook(module, args, kwargs, output)`. `always_call` runs it also when forward raises.
    """
    flags = [forward_hooks_with_kwargs] if with_kwargs else []
    if always_call:
        flags.append(forward_hooks_always_called)
    return _add(forward_hooks, hook, flags)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Runs `hook(module, grad_output)` for every Module as `Module.register_full_backward_pre_hook` does for one."""
    return _add(backward_pre_hooks, hook, [])


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Runs `hook(module, grad_input, grad_output)` for every Module as `Module.register_full_backward_hook` does for one."""
    return _add(backward_hooks, hook, [])


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Runs `hook(module, name, parameter)` when a Module gets a parameter, not for None; what it gives, unless None, takes its place."""
    return _add(registration_hooks["parameter"], hook, [])


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Runs `hook(module, name, buffer)` when a Module gets a buffer; what it returns, unless None, is put in its place."""
    return _add(registration_hooks["buffer"], hook, [])


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Runs `hook(module, name, child)` when a Module gets a child; what it returns, unless None, is put in its place."""
    return _add(registration_hooks["module"], hook, [])
