"""What functions with several results give back, as PyTorch's return_types: named tuples with a printed form of their own."""

from __future__ import annotations

from collections import namedtuple


class _Printed:
    __slots__ = ()

    def __repr__(self) -> str:
        fields = ",\n".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))  # type: ignore[attr-defined, call-overload]
        return f"minigrad.return_types.{type(self).__name__}(\n{fields})"


class _Selected(_Printed, namedtuple("_Selected", ("values", "indices"))):
    """(values, indices)"""

    __slots__ = ()


class max(_Selected):
    __slots__ = ()


class min(_Selected):
    __slots__ = ()


class sort(_Selected):
    __slots__ = ()


class topk(_Selected):
    __slots__ = ()


class median(_Selected):
    __slots__ = ()


class nanmedian(_Selected):
    __slots__ = ()


class mode(_Selected):
    __slots__ = ()


class kthvalue(_Selected):
    __slots__ = ()


class cummax(_Selected):
    __slots__ = ()


class cummin(_Selected):
    __slots__ = ()


class aminmax(_Printed, namedtuple("aminmax", ("min", "max"))):
    """(min, max)"""

    __slots__ = ()


class linalg_slogdet(_Printed, namedtuple("linalg_slogdet", ("sign", "logabsdet"))):
    """(sign, logabsdet)"""

    __slots__ = ()
