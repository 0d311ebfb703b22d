"""torch.func's functional_call: a Module called with other parameters and buffers than its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minigrad.nn import Module
from minigrad.tensor import Tensor

Values = Mapping[str, Tensor]


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Values | Sequence[Values],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """module(*args, **kwargs) with these tensors in the place of the parameters and buffers of these names, for this call only.

    Gradients flow to the given tensors. With tie_weights a tensor that the module has under several names is replaced under all.
    ValueError for a name given twice; with strict RuntimeError unless the names are the module's, all of them. Without it a name
    that the module does not have is passed over, as in PyTorch.
    """
    dicts = (
        [parameter_and_buffer_dicts] if isinstance(parameter_and_buffer_dicts, Mapping) else list(parameter_and_buffer_dicts)
    )
    values: dict[str, Tensor] = {}
    for part in dicts:
        twice = values.keys() & part.keys()
        if twice:
            raise ValueError(f"{sorted(twice)} appear in multiple dictionaries; behavior of functional call is ambiguous")
        values.update(part)
    own = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    missing = [name for name, _ in own if name not in values]
    unexpected = sorted(values.keys() - dict(own).keys())
    for what, names in (("Unexpected", unexpected), ("Missing", missing)):
        if strict and names:
            raise RuntimeError(f"functional_call: {what} key(s): {', '.join(names)}.")
    places = {name: _place(module, name) for name, _ in own if name in values}
    if tie_weights:
        new = {id(table[leaf]): values[name] for name, (table, leaf) in places.items()}
        for name in missing:
            table, leaf = _place(module, name)
            if id(table[leaf]) in new:
                places[name], values[name] = (table, leaf), new[id(table[leaf])]
    before = {name: table[leaf] for name, (table, leaf) in places.items()}
    try:
        for name, (table, leaf) in places.items():
            table[leaf] = values[name]
        inputs = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*inputs, **(kwargs or {}))
    finally:
        for name, (table, leaf) in places.items():
            table[leaf] = before[name]


def _place(module: Module, name: str) -> tuple[dict[str, Any], str]:
    """The dictionary of parameters or buffers that holds this name, and its last part."""
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    return (owner._parameters if leaf in owner._parameters else owner._buffers), leaf
