"""Convolution layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from minigrad._arguments import ntuple
from minigrad.creation import empty
from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

Ints = int | Sequence[int]


class _ConvNd(Module):
    """What all convolution layers share: the parameters, their start values, and the text of repr."""

    __constants__ = [
        "stride",
        "padding",
        "dilation",
        "groups",
        "padding_mode",
        "output_padding",
        "in_channels",
        "out_channels",
        "kernel_size",
    ]
    rank: ClassVar[int]
    transposed: ClassVar[bool] = False
    padding: tuple[int, ...] | str

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints,
        padding: Ints | str,
        output_padding: Ints,
        dilation: Ints,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        layer, rank = type(self).__name__, self.rank
        if groups <= 0:
            raise ValueError(f"{layer}: groups must be a positive integer, but got {groups}")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{layer}: {name} must be divisible by groups, but got {channels} and groups={groups}")
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(
                f"{layer}: padding_mode must be one of 'zeros', 'reflect', 'replicate', 'circular', but got {padding_mode!r}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = ntuple(kernel_size, rank, layer, "kernel_size")
        self.stride = ntuple(stride, rank, layer, "stride")
        self.padding = padding if isinstance(padding, str) else ntuple(padding, rank, layer, "padding")
        self.dilation = ntuple(dilation, rank, layer, "dilation")
        self.output_padding = ntuple(output_padding, rank, layer, "output_padding")
        self.groups = groups
        self.padding_mode = padding_mode
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"{layer}: invalid padding string {padding!r}, should be one of 'valid', 'same'")
            if padding == "same" and max(self.stride) > 1:
                raise ValueError(f"{layer}: padding='same' is not supported for strided convolutions, but got stride={stride}")
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(empty(first, second // groups, *self.kernel_size, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights and biases, uniform in +-1/sqrt(inputs of an output)."""
        if self.weight.numel() == 0:
            return
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        """What stands in the brackets of repr: the parameters that are not at their default."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, default in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name)
            if value != (default,) * self.rank:
                text += f", {name}={value}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_ConvNd):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints | str = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, 0, dilation, groups, bias, padding_mode, device, dtype
        )

    def _padded(self, input: Tensor) -> tuple[Tensor, tuple[int, ...] | str]:
        """The input padded in this layer's mode, and the padding that is left for the convolution to do with zeros."""
        if self.padding_mode == "zeros":
            return input, self.padding
        pads: list[int] = []
        for i in reversed(range(self.rank)):
            if self.padding == "same":
                total = self.dilation[i] * (self.kernel_size[i] - 1)
                pads += [total // 2, total - total // 2]
            else:
                pads += [0 if isinstance(self.padding, str) else self.padding[i]] * 2
        return F.pad(input, pads, mode=self.padding_mode), (0,) * self.rank


class Conv1d(_Conv):
    """A layer of nn.functional.conv1d: (N, C, L) or (C, L) -> (N, O, OL) or (O, OL). Arguments as in Conv2d."""

    rank = 1

    def forward(self, input: Tensor) -> Tensor:
        """See nn.functional.conv1d."""
        x, padding = self._padded(input)
        return F.conv1d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Conv):
    """A layer of nn.functional.conv2d: (N, C, H, W) or (C, H, W) -> (N, O, OH, OW) or (O, OH, OW).

    Args:
        in_channels, out_channels: C and O, multiples of groups.
        kernel_size, stride, dilation: an int or a pair.
        padding: an int, a pair, 'same' (the output is as large as the input; stride 1 only) or 'valid' (none).
        groups: the channels are cut into as many groups, which do not see each other.
        bias: whether a number is added to each output channel.
        padding_mode: what is padded with: 'zeros', 'reflect', 'replicate' or 'circular'.

    weight is (O, C / groups, KH, KW), bias (O,) or None; both start uniform in +-1/sqrt(C / groups * KH * KW).
    Raises ValueError for channels that groups do not divide and for an unknown padding or padding_mode.
    """

    rank = 2

    def forward(self, input: Tensor) -> Tensor:
        """See nn.functional.conv2d."""
        x, padding = self._padded(input)
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv3d(_Conv):
    """A layer of nn.functional.conv3d: (N, C, D, H, W) or (C, D, H, W), arguments as in Conv2d."""

    rank = 3

    def forward(self, input: Tensor) -> Tensor:
        """See nn.functional.conv3d."""
        x, padding = self._padded(input)
        return F.conv3d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class _ConvTranspose(_ConvNd):
    transposed = True
    padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f"{type(self).__name__}: only padding_mode='zeros' is supported, but got {padding_mode!r}")
        if isinstance(padding, str):
            raise TypeError(f"{type(self).__name__}: padding must be an int or a tuple of ints, not {padding!r}")
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _output_padding(self, input: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """The output_padding that gives output_size; this layer's own where that is None."""
        if output_size is None:
            return self.output_padding
        wanted, name, rank = tuple(output_size), type(self).__name__, self.rank
        lead = input.ndim - rank
        if len(wanted) not in (rank, rank + lead):
            raise ValueError(
                f"{name}: for an input of shape {tuple(input.shape)}, output_size must have {rank} or {rank + lead} elements, but "
                f"got {wanted}"
            )
        wanted = wanted[-rank:]
        small: tuple[int, ...] = tuple(input.shape[-rank:])
        sizes = zip(small, self.kernel_size, self.stride, self.padding, self.dilation)
        least = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in sizes)
        most = tuple(n + s - 1 for n, s in zip(least, self.stride))
        if any(not low <= size <= high for low, size, high in zip(least, wanted, most)):
            raise ValueError(
                f"{name}: requested an output size of {wanted}, but valid sizes range from {least} to {most} for an input of shape "
                f"{tuple(input.shape)}"
            )
        return tuple(size - low for size, low in zip(wanted, least))


class ConvTranspose1d(_ConvTranspose):
    """A layer of nn.functional.conv_transpose1d: (N, C, L) or (C, L). Arguments as in ConvTranspose2d."""

    rank = 1

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """See nn.functional.conv_transpose1d; output_size picks one of the sizes that the stride leaves open."""
        extra = self._output_padding(input, output_size)
        return F.conv_transpose1d(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)


class ConvTranspose2d(_ConvTranspose):
    """A layer of nn.functional.conv_transpose2d: (N, C, H, W) or (C, H, W) -> (N, O, OH, OW) or (O, OH, OW).

    Args:
        in_channels, out_channels: C and O, multiples of groups.
        kernel_size, stride, dilation: an int or a pair.
        padding: how much is cut off on both sides of the output.
        output_padding: how much the output is longer at the end.
        groups, bias: as in Conv2d.

    weight is (C, O / groups, KH, KW), bias (O,) or None; both start uniform in +-1/sqrt(O / groups * KH * KW).
    Raises ValueError for channels that groups do not divide and for another padding_mode than 'zeros'.
    """

    rank = 2

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """See nn.functional.conv_transpose2d; output_size (OH, OW) picks one of the sizes that the stride leaves open.

        Raises ValueError for a size that is not among them.
        """
        extra = self._output_padding(input, output_size)
        return F.conv_transpose2d(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)


class ConvTranspose3d(_ConvTranspose):
    """A layer of nn.functional.conv_transpose3d: (N, C, D, H, W) or (C, D, H, W). Arguments as in ConvTranspose2d."""

    rank = 3

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """See nn.functional.conv_transpose3d; output_size picks one of the sizes that the stride leaves open."""
        extra = self._output_padding(input, output_size)
        return F.conv_transpose3d(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)
