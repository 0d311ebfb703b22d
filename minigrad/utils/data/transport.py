"""How objects travel between a DataLoader and its workers: over a socket, and large ones in memory that both processes see.

A message is a kind and a size; its content is a file without a name in memory, whose descriptor goes along with it. So a message
is a few bytes whatever it carries, no name is left behind by a process that is killed, and the kernel frees the memory with its
last user. Arrays are written as they are, beside the pickle of the object that holds them (PEP 574), and the receiver's arrays lie
in the mapped file.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import struct
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad._ext.engine import TensorBase

if TYPE_CHECKING:
    import socket

_HEAD = struct.Struct("<BQ")
_ALIGNMENT = 64
# Below this size reading into new memory is as quick as mapping the file (both 140 us at 1 MB; 16 against 8.5 ms at 38 MB).
_MAP_FROM = 1 << 20
# Each mapping holds a file descriptor, of which a process has about a thousand. Who keeps more batches than this has them copied.
_MAX_MAPPED = 128
_mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def _memory_file() -> int:
    """The descriptor of a new file that has no name: in memory on Linux, else in the folder for temporary files."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("minigrad batch", os.MFD_CLOEXEC)
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _padding(size: int) -> int:
    return -size % _ALIGNMENT


class _Pickler(pickle.Pickler):
    """Refuses what a pickle of a tensor leaves behind without a word: its graph."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, TensorBase) and not obj.is_leaf:
            raise RuntimeError(
                "a tensor that requires grad and is no leaf cannot leave its process, which has the graph: detach() it first"
            )
        return NotImplemented


def _parts(obj: Any) -> list[Any]:
    """The bytes of an object: sizes, pickle, and the memory of its arrays, each at a multiple of 64 bytes."""
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(obj)  # type: ignore[arg-type]
    text = stream.getbuffer()
    views = [buffer.raw() for buffer in buffers]
    sizes = np.array([len(views), len(text), *(view.nbytes for view in views)], np.uint64).tobytes()
    parts: list[Any] = [sizes, text, bytes(_padding(len(sizes) + len(text)))]
    for view in views:
        parts += [view, bytes(_padding(view.nbytes))]
    return parts


def _object(memory: Any) -> Any:
    """The object whose bytes these are. Its arrays share the memory."""
    view = memoryview(memory)
    count, text_size = struct.unpack_from("<2Q", view)
    sizes = struct.unpack_from(f"<{count}Q", view, 16)
    start = 16 + 8 * count
    text = view[start : start + text_size]
    position = start + text_size
    buffers = []
    for size in sizes:
        position += _padding(position)
        buffers.append(view[position : position + size])
        position += size
    return pickle.loads(text, buffers=buffers)


def _write(descriptor: int, parts: Sequence[Any]) -> int:
    """Writes the parts one after the other and returns how many bytes they are."""
    total = 0
    for part in parts:
        rest = memoryview(part).cast("B")
        total += rest.nbytes
        while rest.nbytes:
            rest = rest[os.write(descriptor, rest) :]
    return total


def _contents(descriptor: int, size: int) -> Any:
    """The contents of the file: mapped if large, else copied."""
    if size >= _MAP_FROM and len(_mapped) < _MAX_MAPPED:
        memory = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0))
        _mapped.add(memory)
        return memory
    copy = np.empty(size, np.uint8)
    done = 0
    while done < size:
        done += os.preadv(descriptor, [copy.data[done:]], done)  # type: ignore[list-item]
    return copy


def send(sock: socket.socket, kind: int, *content: Any) -> None:
    """Sends a message with at most one object. Raises OSError if the other side is gone."""
    if not content:
        sock.sendall(_HEAD.pack(kind, 0))
        return
    import socket

    parts = _parts(content[0])
    descriptor = _memory_file()
    try:
        size = _write(descriptor, parts)
        socket.send_fds(sock, [_HEAD.pack(kind, size)], [descriptor])
    finally:
        os.close(descriptor)


def receive(sock: socket.socket) -> tuple[int, Any]:
    """The kind and the object of the next message; no object is None. Raises EOFError if the other side is gone."""
    import socket

    head, descriptors, _, _ = socket.recv_fds(sock, _HEAD.size, 1, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
    while head and len(head) < _HEAD.size:
        more = sock.recv(_HEAD.size - len(head))
        head = head + more if more else b""
    try:
        if not head:
            raise EOFError("the other process has closed the connection")
        kind, size = _HEAD.unpack(head)
        return kind, _object(_contents(descriptors[0], size)) if size else None
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
