"""The one device and the one layout there are: the CPU and strided, by PyTorch's names."""

from __future__ import annotations

from typing import Any


class device:
    """device("cpu"). RuntimeError for any other device: minigrad computes on the CPU only."""

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index
        check_device(type)
        name, _, number = type.partition(":")
        self.type = name
        self.index = int(number) if number else index

    def __repr__(self) -> str:
        return f"device(type='{self.type}')" if self.index is None else f"device(type='{self.type}', index={self.index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __enter__(self) -> device:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))


def check_device(device: Any) -> None:
    """Accepts None and the CPU in any spelling. RuntimeError for another device, TypeError for what names none."""
    if device is None:
        return
    name = device if isinstance(device, str) else getattr(device, "type", None)
    if not isinstance(name, str):
        raise TypeError(f"device must be a str or a device object, but got {type(device).__name__}")
    if name.partition(":")[0] != "cpu":
        raise RuntimeError(
            f"minigrad runs on the CPU only, but device {str(device)!r} was asked for; leave it out or use 'cpu'"
        )


CPU = device("cpu")


class layout:
    """How a tensor is stored: strided is the only one."""

    def __repr__(self) -> str:
        return "minigrad.strided"


strided = layout()
