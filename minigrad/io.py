"""Saving and loading: any nest of dicts, lists, tuples, tensors, numbers, strings and None, as one safetensors file.

The tensors are the file's tensors, by their path in the nest ("model.0.weight"); the rest of the nest is JSON in the file's metadata.
There is no pickle anywhere: loading runs no code. A plain safetensors file of another program loads as a dict of tensors.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad import _dtype
from minigrad._ext.engine import TensorBase, from_array

# The one key of our metadata. One key, since safetensors writes several in an order that differs from run to run.
_STRUCTURE = "minigrad nest 1"


def _describe(obj: Any, path: str, tensors: dict[str, np.ndarray]) -> Any:
    """The nest as JSON, with its tensors taken out under their paths."""
    if isinstance(obj, TensorBase):
        name = path or "tensor"
        while name in tensors:
            name += "'"
        tensors[name] = np.asarray(obj._array, order="C")
        return {"tensor": name}
    if obj is None or isinstance(obj, (bool, str)):
        return {"value": obj}
    if isinstance(obj, (int, np.integer)):
        return {"int": str(int(obj))}
    if isinstance(obj, (float, np.floating)):
        return {"float": float(obj).hex()}
    if isinstance(obj, Mapping):
        items = []
        for key, value in obj.items():
            if not isinstance(key, (str, int)) or isinstance(key, bool):
                raise TypeError(
                    f"save: keys must be str or int, but {path or 'the object'} has the key {key!r} ({type(key).__name__})"
                )
            items.append([key, _describe(value, f"{path}.{key}" if path else str(key), tensors)])
        return {"dict": items}
    if isinstance(obj, (list, tuple)):
        items = [_describe(value, f"{path}.{i}" if path else str(i), tensors) for i, value in enumerate(obj)]
        return {"list" if isinstance(obj, list) else "tuple": items}
    raise TypeError(
        f"save: {path or 'the object'} is a {type(obj).__name__}; only dicts, lists, tuples, tensors, numbers, strings and None can be "
        "saved. Save a Module's or an Optimizer's state_dict(), not the object itself."
    )


def _rebuild(node: Any, tensors: dict[str, Any]) -> Any:
    """The nest from its JSON. Raises ValueError for JSON that is none of ours."""
    if isinstance(node, dict) and len(node) == 1:
        ((kind, value),) = node.items()
        if kind == "tensor" and isinstance(value, str) and value in tensors:
            return tensors[value]
        if kind == "value" and (value is None or isinstance(value, (bool, str))):
            return value
        if kind == "int" and isinstance(value, str):
            return int(value)
        if kind == "float" and isinstance(value, str):
            return float.fromhex(value)
        if kind == "dict" and isinstance(value, list) and all(isinstance(i, list) and len(i) == 2 for i in value):
            if all(isinstance(key, (str, int)) for key, _ in value):
                return {key: _rebuild(item, tensors) for key, item in value}
        if kind in ("list", "tuple") and isinstance(value, list):
            items = [_rebuild(item, tensors) for item in value]
            return items if kind == "list" else tuple(items)
    raise ValueError("load: the file's description of its contents is damaged")


def save(obj: Any, f: str | os.PathLike) -> None:
    """Writes the nest to a safetensors file: the old file or the new one is there, whole, whenever the process is killed.

    Raises TypeError for a part that cannot be saved, before anything is written.
    """
    import json  # loaded at first use, as safetensors: most programs save nothing

    from safetensors.numpy import save as to_bytes

    tensors: dict[str, np.ndarray] = {}
    structure = _describe(obj, "", tensors)
    data = to_bytes(tensors, {_STRUCTURE: json.dumps(structure)})
    path = os.path.abspath(os.fspath(f))
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def load(f: str | os.PathLike) -> Any:
    """The nest that save() wrote, or a dict of the tensors of any other safetensors file.

    Raises FileNotFoundError, and ValueError for a file that is damaged or of another kind.
    """
    import json

    from safetensors import SafetensorError, safe_open

    path = os.fspath(f)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"load: there is no file {path!r}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {}
            for name in file.keys():  # noqa: SIM118 (a safetensors file is no dict)
                array = np.array(file.get_tensor(name))
                _dtype.from_numpy(array.dtype)
                tensors[name] = from_array(array)
    except (SafetensorError, OSError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"load: {path!r} is no safetensors file that minigrad can read: {error}") from error
    if _STRUCTURE not in metadata:
        return tensors
    try:
        structure = json.loads(metadata[_STRUCTURE])
    except (RecursionError, ValueError) as error:
        raise ValueError(f"load: the description in {path!r} is damaged: {error}") from error
    return _rebuild(structure, tensors)
