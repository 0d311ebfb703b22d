"""Optimizer: parameter groups, their options, and the state that belongs to each parameter."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import numpy as np

from minigrad._ext.engine import from_array
from minigrad.autograd import enable_grad
from minigrad.autograd.observer import active_observers, record_function
from minigrad.nn.module import clear_grad
from minigrad.tensor import Tensor
from minigrad.utils.hooks import RemovableHandle

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class _Required:
    """Stands in `defaults` for an option that every group must give."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


def check_not_negative(**options: float) -> None:
    """ValueError "Invalid <name>: <value>" for an option below 0 or NaN; underscores of a name may stand for spaces."""
    for name, value in options.items():
        if not value >= 0.0:
            raise ValueError(f"Invalid {name.replace('__', ' ')}: {value}")


def check_rate(lr: float | Tensor) -> None:
    """ValueError for a learning rate below 0, or a tensor of more than one element."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    check_not_negative(learning__rate=lr)  # type: ignore[arg-type]


def check_not_differentiable(differentiable: bool) -> None:
    """NotImplementedError if gradients shall flow through the update: it is a compiled kernel without a derivative."""
    if differentiable:
        raise NotImplementedError("differentiable=True: minigrad's optimizer steps are not recorded in the graph")


def state_like(param: Tensor, value: float = 0.0) -> Tensor:
    """A contiguous tensor of the parameter's shape and dtype, filled with `value`."""
    return from_array(np.full(param.shape, value, param.dtype.np))


def step_counter() -> Tensor:
    """The count of the updates of one parameter: a float32 scalar, as PyTorch keeps it."""
    return from_array(np.zeros((), np.float32))


def advance(counter: Tensor) -> float:
    """Adds one to a `step_counter` and returns its value."""
    array = counter._array
    array += 1
    return float(array)


class Optimizer:
    """Base class of the optimizers.

    `params` is an iterable of tensors, of (name, tensor) pairs, or of dicts with an entry "params" and options that override
    `defaults`. A subclass defines `_update(group)`, which changes the parameters of a group that have a gradient; or it
    overrides `step` altogether. Raises TypeError for what is no iterable of tensors and ValueError for an empty one, a tensor
    that is no leaf, or a parameter in two groups.
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"minigrad.{type(params).__name__}"
            )
        self.defaults = defaults
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._steps_taken = 0
        self._make_hooks()
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _make_hooks(self) -> None:
        self._step_pre_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._step_post_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._state_dict_post_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._load_pre_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._load_post_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.setdefault("_steps_taken", 0)
        if "_step_pre_hooks" not in self.__dict__:
            self._make_hooks()

    def __repr__(self) -> str:
        lines = []
        for i, group in enumerate(self.param_groups):
            lines.append(f"\nParameter Group {i}\n")
            lines += [f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"]
        return f"{type(self).__name__} ({''.join(lines)})"

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group: a dict with "params" (a tensor or an iterable of tensors, no set) and options; the rest from `defaults`.

        Errors as the class; also ValueError where an option has no default, or only some parameters have names.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [param[0] for param in params if isinstance(param, tuple)]
        if names and len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        if names:
            params = [param[1] for param in params]
            param_group["param_names"] = names
        param_group["params"] = params
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(param).__name__}")
            if not (param.is_leaf or param.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        if len(params) != len({id(param) for param in params}):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; see "
                "github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=3,
            )
        for group in self.param_groups:
            if ("param_names" in param_group) != ("param_names" in group):
                kind = "with names" if names else "without names"
                raise ValueError(
                    f"all optimizer param groups should be with/without names. cannot add param group {kind} to the optimizer"
                )
        known = {id(param) for group in self.param_groups for param in group["params"]}
        if any(id(param) in known for param in params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all parameters, or with `set_to_none=False` fills them with zeros."""
        for group in self.param_groups:
            for param in group["params"]:
                clear_grad(param, set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient. Returns what `closure`, called first with grad mode on, returns.

        Not recorded in the graph; counts as a write of the parameter, so that a graph which saved it refuses to go backward.
        """
        args: tuple[Any, ...] = () if closure is None else (closure,)
        for hook in self._step_pre_hooks.values():
            changed = hook(self, args, {})
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(f"{self.step} must return None or a tuple of (new_args, new_kwargs), but got {changed}.")
                args = changed[0]
                closure = args[0] if args else None
        self._steps_taken += 1
        loss = self._run(closure)
        for hook in self._step_post_hooks.values():
            hook(self, args, {})
        return loss

    def _run(self, closure: Callable[[], Any] | None) -> Any:
        """A step without its hooks."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        if active_observers():
            with record_function(f"Optimizer.step#{type(self).__name__}.step"):
                self._update_all()
        else:
            self._update_all()
        return loss

    def _update_all(self) -> None:
        for group in self.param_groups:
            self._update(group)

    def _update(self, group: dict[str, Any]) -> None:
        raise NotImplementedError(f"{type(self).__name__} defines neither step() nor _update()")

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Runs `hook(optimizer, args, kwargs)` before every step; it may return new `(args, kwargs)`."""
        return _register(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Runs `hook(optimizer, args, kwargs)` after every step."""
        return _register(self._step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Runs `hook(optimizer)` before `state_dict`. `prepend` puts it before the hooks there are."""
        return _register(self._state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Runs `hook(optimizer, state_dict)` after `state_dict`; it may change the dictionary, or return another."""
        return _register(self._state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Runs `hook(optimizer, state_dict)` before `load_state_dict`, on a shallow copy; it may return another dictionary."""
        return _register(self._load_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Runs `hook(optimizer)` after `load_state_dict`."""
        return _register(self._load_post_hooks, hook, prepend)

    def state_dict(self) -> dict[str, Any]:
        """{"state": {index: state}, "param_groups": [options and indices]}: parameters are named by their position."""
        for hook in self._state_dict_pre_hooks.values():
            hook(self)
        index: dict[int, int] = {}
        start = 0
        groups = []
        for group in self.param_groups:
            for i, param in enumerate(group["params"], start):
                index.setdefault(id(param), i)
            start += len(group["params"])
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [index[id(param)] for param in group["params"]]
            groups.append(packed)
        state = {index[id(key)] if isinstance(key, Tensor) else key: value for key, value in self.state.items()}
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in self._state_dict_post_hooks.values():
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over state and options from `state_dict` of an optimizer with the same groups of parameters, in the same order.

        Floating point state is converted to the dtype of its parameter, but for the count "step". ValueError if the number of
        groups or the size of one differs; nothing is changed then.
        """
        state_dict = state_dict.copy()
        for hook in self._load_pre_hooks.values():
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        groups, saved = self.param_groups, copy.deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(group["params"]) != len(old["params"]) for group, old in zip(groups, saved, strict=True)):
            raise ValueError("loaded state dict contains a parameter group that doesn't match the size of optimizer's group")
        indices = chain.from_iterable(old["params"] for old in saved)
        param_of = dict(zip(indices, chain.from_iterable(group["params"] for group in groups), strict=True))
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in param_of:
                state[param_of[key]] = _cast(param_of[key], value)
            else:
                state[key] = value
        for group, old in zip(groups, saved, strict=True):
            old["params"] = group["params"]
            if "param_names" in group and "param_names" not in old:
                old["param_names"] = group["param_names"]
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._load_post_hooks.values():
            hook(self)


def _register(hooks: OrderedDict[int, Callable[..., Any]], hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def _cast(param: Tensor, value: Any, key: Any = None) -> Any:
    """A copy of loaded state, its floating point tensors in the dtype of the parameter."""
    if isinstance(value, Tensor):
        array = value.detach().numpy()
        convert = key != "step" and param.is_floating_point()
        return from_array(np.array(array, param.dtype.np if convert else array.dtype, order="C"))
    if isinstance(value, dict):
        return {name: _cast(param, item, name) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_cast(param, item) for item in value)
    return value
