"""Saving and loading: any nest of dicts, lists, tuples, tensors, arrays, numbers, strings and None, as one safetensors file.

The tensors are the file's tensors, by their path in the nest ("model.0.weight"); the rest of the nest is JSON in the file's metadata.
There is no pickle anywhere: loading runs no code. A plain safetensors file of another program loads as a dict of tensors.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import stat
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np

from minigrad import _dtype
from minigrad._device import check_device
from minigrad._ext.engine import TensorBase, from_array
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.nn.whole import put_together, take_apart
from minigrad.tensor import Size

# The one key of our metadata. One key, since safetensors writes several in an order that differs from run to run.
_STRUCTURE = "minigrad nest 1"
# Deeper nests are refused, on both ways: Python's own limit would be met somewhere between here and 1,000.
_MAX_DEPTH = 100
# The format's own limit.
_MAX_HEADER = 100_000_000

_DTYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
    "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64,
    "F16": np.float16, "F32": np.float32, "F64": np.float64, "BF16": np.uint16,
}  # fmt: skip
_NUMPY_DTYPES = frozenset(map(np.dtype, _DTYPES.values()))

# The first that an object is an instance of is its kind.
_MAPPINGS: dict[str, Any] = {"counter": Counter, "ordered dict": OrderedDict, "dict": dict}
_SEQUENCES: dict[str, Any] = {"list": list, "size": Size, "tuple": tuple}


def _kind(obj: Any) -> str:
    name = type(obj).__name__
    return f"{name} of dtype {obj.dtype}" if isinstance(obj, np.ndarray) else name


class _Writer:
    """Takes a nest apart: `describe` gives it as JSON and puts its tensors into `tensors` under their paths."""

    def __init__(self) -> None:
        self.tensors: dict[str, np.ndarray] = {}
        self._names: dict[Any, str] = {}
        self._above: list[int] = []

    def _tensor(self, array: np.ndarray, path: str) -> str:
        """The name under which the array is saved; that of another one in the same memory, if there is one."""
        name = path or "tensor"
        while name in self.tensors or name == "__metadata__":
            name += "'"
        # What shares memory is saved under each of its names, for other programs, and loaded once.
        self.tensors[name] = np.asarray(array, order="C")
        memory = (array.ctypes.data, array.shape, array.strides, array.dtype)
        return self._names.setdefault(memory, name) if array.size else name

    def describe(self, obj: Any, path: str = "") -> Any:
        if isinstance(obj, TensorBase):
            name = self._tensor(obj._array, path)
            if isinstance(obj, Parameter):
                return {"parameter" if obj.requires_grad else "frozen parameter": name}
            return {"leaf" if obj.requires_grad else "tensor": name}
        if isinstance(obj, np.ndarray) and obj.dtype in _NUMPY_DTYPES:
            return {"array": self._tensor(obj, path)}
        if obj is None or isinstance(obj, (bool, str)):
            return {"value": obj}
        if isinstance(obj, np.bool_):
            return {"value": bool(obj)}
        if isinstance(obj, (int, np.integer)):
            return {"int": hex(obj)}
        if isinstance(obj, (float, np.floating)):
            return {"float": float(obj).hex()}
        if isinstance(obj, bytes):
            return {"bytes": obj.hex()}
        if isinstance(obj, _dtype.dtype):
            return {"dtype": obj.name}
        if isinstance(obj, (Mapping, list, tuple)):
            return self._container(obj, path)
        if isinstance(obj, Module):
            return {"module": [self._container(take_apart(obj), path)]}
        raise TypeError(
            f"save: {path or 'the object'} is a {_kind(obj)}; only dicts, lists, tuples, tensors, arrays, numbers, strings, bytes, "
            "dtypes, Modules and None can be saved. Save an Optimizer's state_dict(), not the object itself, and vars() of a namespace."
        )

    def _container(self, obj: Any, path: str) -> Any:
        if id(obj) in self._above:
            raise ValueError(f"save: {path} contains itself")
        if len(self._above) == _MAX_DEPTH:
            raise ValueError(f"save: the nest is more than {_MAX_DEPTH} levels deep, at {path[:80]}...")
        self._above.append(id(obj))
        items: list[Any] = []
        for key, value in obj.items() if isinstance(obj, Mapping) else enumerate(obj):
            if not isinstance(key, (str, int)) or isinstance(key, bool):
                raise TypeError(
                    f"save: keys must be str or int, but {path or 'the object'} has the key {key!r} ({type(key).__name__})"
                )
            item = self.describe(value, f"{path}.{key}" if path else str(key))
            items.append([key, item] if isinstance(obj, Mapping) else item)
        self._above.pop()
        kinds = {**_MAPPINGS, "dict": Mapping} if isinstance(obj, Mapping) else _SEQUENCES
        return {next(kind for kind, cls in kinds.items() if isinstance(obj, cls)): items}


def _tensor(array: np.ndarray) -> Any:
    """A tensor of the array's memory, if its dtype is one of tensors'; of float16 one of float32. ValueError for another."""
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.dtype not in {t.np for t in _dtype.ALL}:
        raise ValueError(f"a tensor in it is of the dtype {array.dtype}, which minigrad does not have")
    return from_array(array)


class _Reader:
    """Puts a nest together from its JSON and the file's arrays. Raises ValueError for JSON that is none of ours."""

    def __init__(self, arrays: dict[str, np.ndarray], modules: bool) -> None:
        self._arrays = arrays
        self._modules = modules
        self._tensors: dict[tuple[str, str], Any] = {}

    def rebuild(self, node: Any, depth: int = 0) -> Any:
        if isinstance(node, dict) and len(node) == 1 and depth <= _MAX_DEPTH:
            ((kind, value),) = node.items()
            if kind == "value" and (value is None or isinstance(value, (bool, str))):
                return value
            if isinstance(value, str):
                return self._leaf(kind, value)
            if isinstance(value, list):
                return self._container(kind, value, depth + 1)
        raise ValueError("it is no nest of minigrad's, or too deep")

    def _leaf(self, kind: str, value: str) -> Any:
        if kind == "int":
            return int(value, 16)
        if kind == "float":
            return float.fromhex(value)
        if kind == "bytes":
            return bytes.fromhex(value)
        if kind == "dtype" and value in {t.name for t in _dtype.ALL}:
            return _dtype.from_name(value)
        if kind in ("tensor", "leaf", "parameter", "frozen parameter", "array") and value in self._arrays:
            if (kind, value) not in self._tensors:
                self._tensors[kind, value] = self._wrap(kind, self._arrays[value])
            return self._tensors[kind, value]
        raise ValueError(f"it has a part of kind {kind[:40]!r}")

    def _wrap(self, kind: str, array: np.ndarray) -> Any:
        if kind == "array":
            return array
        tensor = _tensor(array)
        if kind.endswith("parameter"):
            return Parameter(tensor, requires_grad=kind == "parameter")
        return tensor.requires_grad_(kind == "leaf")

    def _container(self, kind: str, value: list[Any], depth: int) -> Any:
        if kind == "module" and len(value) == 1:
            if not self._modules:
                raise ValueError(
                    "it holds a whole Module: pass weights_only=False to have it made from the class that the program has imported"
                )
            return put_together(self.rebuild(value[0], depth))
        if kind in _MAPPINGS:
            if not all(isinstance(item, list) and len(item) == 2 and type(item[0]) in (str, int) for item in value):
                raise ValueError("a dict in it has other items than pairs")
            return _MAPPINGS[kind]({key: self.rebuild(item, depth) for key, item in value})
        if kind in _SEQUENCES:
            return _SEQUENCES[kind](self.rebuild(item, depth) for item in value)
        raise ValueError(f"it has a part of kind {kind[:40]!r}")


def _refuse_pickle(function: str, pickle_module: Any) -> None:
    if pickle_module is not None:
        raise ValueError(
            f"{function}: pickle_module is not supported: the files are safetensors files, there is no pickle in them"
        )


def _locked_file(stem: str) -> tuple[IO[bytes], str]:
    """A new file that this process holds locked, and its path: `stem` and 16 random digits."""
    while True:
        path = stem + os.urandom(8).hex()
        file = open(path, "xb")  # noqa: SIM115 (the caller closes it)
        with contextlib.suppress(OSError):  # a file system without locks: then nothing is taken for stale on it either
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.path.exists(path):  # else another process took it for a stale one before it was locked
            return file, path
        file.close()


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[IO[bytes]]:
    """Gives a new file beside `path` to write to and, if all goes well, puts it in its place, safe on the disk.

    What killed processes left behind is deleted: a file that nobody holds locked.
    """
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    stem = f".{name}.saving-"
    for other in os.listdir(folder):
        if other.startswith(stem) and len(other) == len(stem) + 16:
            with contextlib.suppress(OSError), open(os.path.join(folder, other), "rb") as stale:
                fcntl.flock(stale, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(stale.name)
    file, temporary = _locked_file(os.path.join(folder, stem))
    with file:
        try:
            if os.path.exists(path):
                os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    directory = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems cannot; the new file is in its place
            os.fsync(directory)
    finally:
        os.close(directory)


def save(obj: Any, f: str | os.PathLike[str] | IO[bytes], pickle_module: None = None) -> None:
    """Writes the nest to a safetensors file, or a binary file object.

    At a path, the old file or the new one is there, whole, whenever the process is killed; missing folders are made, a link stays
    a link, and a file keeps its permissions. Tensors keep their dtypes, `requires_grad`, and whether they are Parameters; of tensors
    that are one memory, one is loaded under all their names, while other views are saved by themselves. numpy arrays, OrderedDicts
    and Counters stay what they are; other mappings become dicts, other sequences lists or tuples. Modules are saved whole, by the
    name of their class and what they hold.

    Raises TypeError for a part that cannot be saved, ValueError for a nest that contains itself or is more than 100 deep or
    for a `pickle_module`, before anything is written.
    """
    import json  # loaded at first use, as safetensors: most programs save nothing

    from safetensors.numpy import save as to_bytes

    _refuse_pickle("save", pickle_module)
    writer = _Writer()
    structure = writer.describe(obj)
    data = to_bytes(writer.tensors, {_STRUCTURE: json.dumps(structure)})
    if not isinstance(f, (str, os.PathLike)):
        f.write(data)
        return
    path = os.path.realpath(f)
    if os.path.exists(path) and not os.path.isfile(path):  # a device or a pipe is written to, not replaced
        with open(path, "wb") as file:
            file.write(data)
        return
    with _replacing(path) as file:
        file.write(data)


def _fill(file: IO[bytes], array: np.ndarray) -> None:
    rest = memoryview(array.reshape(-1).view(np.uint8).data)
    while rest.nbytes:
        data = file.read(min(rest.nbytes, 1 << 24))
        if not data:
            raise ValueError("it ends too early")
        rest[: len(data)] = data
        rest = rest[len(data) :]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("its header has a name twice")
    return result


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _layout(header: dict[str, Any], size: int) -> list[tuple[int, int, str, np.dtype, list[int]]]:
    """(begin, end, name, dtype, shape) of each tensor, in the order of the file, which they must fill without gaps or overlaps."""
    layout = []
    for name, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"tensor {name[:80]!r} is not described by its dtype, shape and data_offsets")
        shape, offsets = entry["shape"], entry["data_offsets"]
        if not isinstance(shape, list) or len(shape) > 64 or not all(map(_is_count, shape)):
            raise ValueError(f"tensor {name[:80]!r} has no valid shape")
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_count, offsets)):
            raise ValueError(f"tensor {name[:80]!r} has no valid offsets")
        if not isinstance(entry["dtype"], str) or entry["dtype"] not in _DTYPES:
            raise ValueError(f"tensor {name[:80]!r} is of the dtype {str(entry['dtype'])[:20]}, which minigrad does not have")
        dtype = np.dtype(_DTYPES[entry["dtype"]])
        begin, end = offsets
        if end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"tensor {name[:80]!r} has offsets that do not fit its shape and dtype")
        layout.append((begin, end, name, dtype, shape))
    layout.sort(key=lambda entry: entry[:2])
    position = 0
    for begin, end, name, _, _ in layout:
        if begin != position:
            raise ValueError(f"tensor {name[:80]!r} overlaps another one or leaves a gap")
        position = end
    if position != size:
        raise ValueError(f"its tensors take {position} bytes, but there are {size}")
    return layout


def _read(file: IO[bytes], size: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the metadata of a safetensors file of `size` bytes.

    Read here and not by the package safetensors, since that maps the file: a mapped file that another program truncates kills
    the process. Nothing is allocated before the header is found to agree with the size. ValueError for what is no such file.
    """
    import json

    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > min(size - 8, _MAX_HEADER):
        if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
            raise ValueError(
                "it is a file of torch.save, a pickle, which can run code when it is loaded. Convert it once where PyTorch is "
                "installed: safetensors.torch.save_file(torch.load(path, weights_only=True), 'weights.safetensors')"
            )
        raise ValueError("it is truncated, or of another format")
    text = file.read(length)
    if len(text) < length or text[:1] != b"{":
        raise ValueError("its header is damaged")
    header = json.loads(text.decode(), object_pairs_hook=_unique)
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata are not texts")
    bfloat16 = {name for name, entry in header.items() if isinstance(entry, dict) and entry.get("dtype") == "BF16"}
    arrays = {}
    for _, _, name, dtype, shape in _layout(header, size - 8 - length):
        array = np.empty(shape, dtype)
        _fill(file, array)
        if dtype == np.bool_ and array.size and array.view(np.uint8).max() > 1:
            raise ValueError(f"tensor {name[:80]!r} has bools that are neither 0 nor 1")
        if name in bfloat16:  # the upper half of a float32
            array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
        arrays[name] = array
    return {name: arrays[name] for name in header}, metadata


def _check_location(map_location: Any) -> None:
    """Everything is loaded to the CPU: other devices are refused; a function is not asked."""
    if map_location is not None and not callable(map_location):
        for place in map_location.values() if isinstance(map_location, Mapping) else [map_location]:
            check_device(place)


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: Any = None,
    pickle_module: None = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
) -> Any:
    """The nest that save() wrote, or a dict of the tensors of any other safetensors file, from a path or a binary file object.

    Tensors of other programs in float16 and bfloat16 become float32, which holds their values exactly. No code of the file is
    ever run. A whole Module in it is made only with weights_only=False, from its class, which the program must have imported. The
    file is read, not mapped, also with `mmap`. A file object must be able to seek; the file is what follows its position.

    Raises FileNotFoundError; ValueError for a file that is damaged or of another kind, or a `pickle_module`; RuntimeError for a
    `map_location` other than the CPU.
    """
    _refuse_pickle("load", pickle_module)
    _check_location(map_location)
    if isinstance(f, (str, os.PathLike)):
        path = os.fspath(f)
        if not os.path.exists(path):
            raise FileNotFoundError(f"load: there is no file {path!r}")
        with open(path, "rb") as source:
            return _load(source, repr(path), weights_only is False)
    return _load(f, "the file object", weights_only is False)


def _load(file: IO[bytes], name: str, modules: bool) -> Any:
    import json

    position = file.tell()
    size = file.seek(0, os.SEEK_END) - position
    file.seek(position)
    try:
        arrays, metadata = _read(file, size)
        if _STRUCTURE not in metadata:
            return {name: _tensor(array) for name, array in arrays.items()}
        return _Reader(arrays, modules).rebuild(json.loads(metadata[_STRUCTURE], object_pairs_hook=_unique))
    except (ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(f"load: {name} is no safetensors file that minigrad can read: {error}") from error
