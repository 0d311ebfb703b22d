"""A Module as plain data, so that a file can hold it whole: its class by name, and everything it has."""

from __future__ import annotations

import sys
from typing import Any

from minigrad.nn.module import Module

_EMPTY = Module()


def take_apart(module: Module) -> dict[str, Any]:
    """{"class": [module, name], "parameters": ..., "buffers": ..., "modules": ..., "attributes": ...} of a Module.

    Raises TypeError for a Module with hooks, which are code, and for a class inside a function, which no name leads to.
    """
    cls = type(module)
    if "<locals>" in cls.__qualname__:
        raise TypeError(f"save: {cls.__qualname__} is defined inside a function, so that load() could not find it")
    members: dict[str, Any] = {"_parameters": module._parameters, "_buffers": module._buffers, "_modules": module._modules}
    attributes = {}
    for name, value in vars(module).items():
        if name in members or any(name in group for group in members.values()):
            continue
        if name not in vars(_EMPTY) or name == "training":
            attributes[name] = value
        elif name != "_non_persistent_buffers_set" and value:
            raise TypeError(f"save: {cls.__qualname__} has hooks ({name}), which a file cannot hold; remove them first")
    return {
        "class": [cls.__module__, cls.__qualname__],
        "parameters": dict(module._parameters),
        "buffers": dict(module._buffers),
        "not persistent": sorted(module._non_persistent_buffers_set),
        "modules": dict(module._modules),
        "attributes": attributes,
    }


def put_together(parts: Any) -> Module:
    """The Module of take_apart(). Its class must be a Module that the program has already imported; none of its code runs.

    Raises ValueError for another class, and for parts that are none of take_apart()'s.
    """
    keys = {"class", "parameters", "buffers", "not persistent", "modules", "attributes"}
    if not isinstance(parts, dict) or set(parts) != keys or list(map(type, parts["class"])) != [str, str]:
        raise ValueError("a Module in it is damaged")
    package, path = parts["class"]
    found: Any = sys.modules.get(package)
    for name in path.split("."):
        found = getattr(found, "__dict__", {}).get(name)
    if not isinstance(found, type) or not issubclass(found, Module):
        raise ValueError(f"it holds a {package}.{path}, which is no Module of the running program; import or define it first")
    module = object.__new__(found)
    Module.__init__(module)
    try:
        for name, parameter in parts["parameters"].items():
            Module.register_parameter(module, name, parameter)
        for name, buffer in parts["buffers"].items():
            Module.register_buffer(module, name, buffer, name not in parts["not persistent"])
        for name, inner in parts["modules"].items():
            Module.add_module(module, name, inner)
        vars(module).update(parts["attributes"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"a {path} in it is damaged: {error}") from error
    return module
