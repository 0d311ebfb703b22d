"""The transforms as objects: each is called with a Pillow image or a tensor (..., C, H, W). Random ones use minigrad's generator."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import minigrad
from minigrad import Tensor, dtype, nn
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.functional import InterpolationMode, interpolation_mode

if TYPE_CHECKING:
    from PIL.Image import Image

    from minigrad.vision.transforms.functional import Picture


def _uniform(low: float, high: float) -> float:
    return minigrad.empty(1).uniform_(low, high).item()


def _chance(p: float) -> bool:
    return minigrad.rand(1).item() < p


def _whole(low: int, high: int) -> int:
    """low ... high - 1"""
    return int(minigrad.randint(low, high, size=(1,)).item())


def _pair(size: Sequence[int] | int) -> tuple[int, int]:
    if isinstance(size, (int, float)):
        return int(size), int(size)
    if len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError("Please provide only two dimensions (h, w) for size.")
    return size[0], size[1]


def _lines(name: str, transforms: Sequence[Any], first: str = "") -> str:
    return "\n".join([f"{name}({first}", *(f"    {t}" for t in transforms), ")"])


class Compose:
    """One transform after another."""

    def __init__(self, transforms: Sequence[Callable]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return _lines(type(self).__name__, self.transforms)


class ToTensor:
    """A Pillow image or array (H, W, C) of 0 ... 255 as a float tensor (C, H, W) of 0 ... 1; other dtypes are not scaled."""

    def __call__(self, pic: Image | np.ndarray) -> Tensor:
        return F.to_tensor(pic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class PILToTensor:
    """A Pillow image as a tensor (C, H, W) of its own pixels."""

    def __call__(self, pic: Image) -> Tensor:
        return F.pil_to_tensor(pic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ToPILImage:
    """A tensor (C, H, W) or an array (H, W, C) as a Pillow image."""

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, pic: Tensor | np.ndarray) -> Image:
        return F.to_pil_image(pic, self.mode)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.mode is None else f'mode={self.mode}'})"


class Lambda:
    """A function of the user's. TypeError for what cannot be called."""

    def __init__(self, lambd: Callable) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Transform(nn.Module):
    """A transform that may stand in nn.Sequential; its repr is one line."""

    def describe(self) -> str:
        """What the repr says between its parentheses."""
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.describe()})"


class ConvertImageDtype(_Transform):
    """A tensor in another dtype, its values scaled to the range of the dtype."""

    def __init__(self, dtype: dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, image: Tensor) -> Tensor:
        """(..., H, W) -> the same shape in the dtype."""
        return F.convert_image_dtype(image, self.dtype)


class Normalize(_Transform):
    """(image - mean) / std, with a number for each channel of a float tensor."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean, self.std, self.inplace = mean, std, inplace

    def forward(self, tensor: Tensor) -> Tensor:
        """(..., C, H, W) -> the same shape."""
        return F.normalize(tensor, self.mean, self.std, self.inplace)

    def describe(self) -> str:
        return f"mean={self.mean}, std={self.std}"


class Resize(_Transform):
    """The image in (height, width) `size`; a single number is that of the shorter side."""

    def __init__(
        self,
        size: Sequence[int] | int,
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        if not isinstance(size, (int, Sequence)):
            raise TypeError(f"Size should be int or sequence. Got {type(size)}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        self.size, self.max_size, self.antialias = size, max_size, antialias
        self.interpolation = interpolation_mode(interpolation)

    def forward(self, img: Picture) -> Picture:
        """(..., H, W) -> (..., height, width)"""
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def describe(self) -> str:
        return (
            f"size={self.size}, interpolation={self.interpolation.value}, max_size={self.max_size}, antialias={self.antialias}"
        )


class CenterCrop(_Transform):
    """The middle of the image; a smaller image is padded with zeros first."""

    def __init__(self, size: Sequence[int] | int) -> None:
        super().__init__()
        self.size = _pair(size)

    def forward(self, img: Picture) -> Picture:
        """(..., H, W) -> (..., height, width)"""
        return F.center_crop(img, self.size)

    def describe(self) -> str:
        return f"size={self.size}"


class Pad(_Transform):
    """The image with a border: all sides, (left and right, top and bottom), or (left, top, right, bottom)."""

    def __init__(self, padding: Sequence[int] | int, fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
        if isinstance(padding, Sequence) and len(padding) not in (1, 2, 4):
            raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element tuple")
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def forward(self, img: Picture) -> Picture:
        """(..., H, W) -> (..., top + H + bottom, left + W + right)"""
        return F.pad(img, self.padding, self.fill, self.padding_mode)

    def describe(self) -> str:
        return f"padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode}"


class RandomCrop(_Transform):
    """A part of the image at a random place; `padding` first, and pad_if_needed for smaller images."""

    def __init__(
        self,
        size: Sequence[int] | int,
        padding: Sequence[int] | int | None = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = _pair(size)
        self.padding, self.pad_if_needed, self.fill, self.padding_mode = padding, pad_if_needed, fill, padding_mode

    @staticmethod
    def get_params(img: Picture, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """A random (top, left, height, width). ValueError if the image is smaller."""
        _, h, w = F.get_dimensions(img)
        height, width = output_size
        if h < height or w < width:
            raise ValueError(f"Required crop size {(height, width)} is larger than input image size {(h, w)}")
        if (h, w) == (height, width):
            return 0, 0, h, w
        return _whole(0, h - height + 1), _whole(0, w - width + 1), height, width

    def forward(self, img: Picture) -> Picture:
        """(..., H, W) -> (..., height, width)"""
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, height, width = F.get_dimensions(img)
        if self.pad_if_needed and width < self.size[1]:
            img = F.pad(img, [self.size[1] - width, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and height < self.size[0]:
            img = F.pad(img, [0, self.size[0] - height], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def describe(self) -> str:
        return f"size={self.size}, padding={self.padding}"


class _WithProbability(_Transform):
    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def describe(self) -> str:
        return f"p={self.p}"


class RandomHorizontalFlip(_WithProbability):
    """The mirror image, with probability p."""

    def forward(self, img: Picture) -> Picture:
        """(..., H, W) -> the same shape."""
        return F.hflip(img) if _chance(self.p) else img


class RandomVerticalFlip(_WithProbability):
    """The image upside down, with probability p."""

    def forward(self, img: Picture) -> Picture:
        """(..., H, W) -> the same shape."""
        return F.vflip(img) if _chance(self.p) else img


class RandomGrayscale(_WithProbability):
    """The image in gray with as many channels, with probability p."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def forward(self, img: Picture) -> Picture:
        """(..., C, H, W) -> the same shape."""
        channels = F.get_image_num_channels(img)
        return F.rgb_to_grayscale(img, channels) if _chance(self.p) else img


class RandomResizedCrop(_Transform):
    """A part of random area (a share `scale` of the image) and shape (width / height in `ratio`), resized to `size`."""

    def __init__(
        self,
        size: Sequence[int] | int,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size, self.scale, self.ratio, self.antialias = _pair(size), scale, ratio, antialias
        if scale[0] > scale[1] or ratio[0] > ratio[1]:
            warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=2)
        self.interpolation = interpolation_mode(interpolation)

    @staticmethod
    def get_params(img: Picture, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """A random (top, left, height, width); after ten tries that do not fit, the middle of the image."""
        _, height, width = F.get_dimensions(img)
        low, high = math.log(ratio[0]), math.log(ratio[1])
        for _ in range(10):
            area = height * width * _uniform(scale[0], scale[1])
            shape = math.exp(_uniform(low, high))
            w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if 0 < w <= width and 0 < h <= height:
                return _whole(0, height - h + 1), _whole(0, width - w + 1), h, w
        shape = width / height
        w = round(height * max(ratio)) if shape > max(ratio) else width
        h = round(width / min(ratio)) if shape < min(ratio) else height
        return (height - h) // 2, (width - w) // 2, h, w

    def forward(self, img: Picture) -> Picture:
        """(..., H, W) -> (..., height, width)"""
        place = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *place, self.size, self.interpolation, self.antialias)

    def describe(self) -> str:
        scale, ratio = tuple(round(s, 4) for s in self.scale), tuple(round(r, 4) for r in self.ratio)
        return f"size={self.size}, scale={scale}, ratio={ratio}, interpolation={self.interpolation.value}, antialias={self.antialias}"


class RandomRotation(_Transform):
    """A Pillow image turned by a random angle: of (-degrees, degrees), or of a pair (min, max)."""

    def __init__(
        self,
        degrees: Sequence[float] | float,
        interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[int] | None = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        if isinstance(degrees, (int, float)):
            if degrees < 0:
                raise ValueError("If degrees is a single number, it must be positive.")
            degrees = [-degrees, degrees]
        if len(degrees) != 2:
            raise ValueError("degrees should be a sequence of length 2.")
        self.degrees = [float(d) for d in degrees]
        self.interpolation, self.expand, self.center, self.fill = interpolation_mode(interpolation), expand, center, fill

    def forward(self, img: Image) -> Image:
        """The turned image, of the same size unless expand."""
        angle = _uniform(self.degrees[0], self.degrees[1])
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, self.fill)

    def describe(self) -> str:
        center = "" if self.center is None else f", center={self.center}"
        fill = "" if self.fill is None else f", fill={self.fill}"
        return f"degrees={self.degrees}, interpolation={self.interpolation.value}, expand={self.expand}{center}{fill}"


class Grayscale(_Transform):
    """The image in gray, with one channel or three equal ones."""

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img: Picture) -> Picture:
        """(..., 3, H, W) -> (..., num_output_channels, H, W)"""
        return F.rgb_to_grayscale(img, self.num_output_channels)

    def describe(self) -> str:
        return f"num_output_channels={self.num_output_channels}"


class ColorJitter(_Transform):
    """Random brightness, contrast, saturation and hue, in random order.

    A number x stands for the factors max(0, 1 - x) ... 1 + x (hue: -x ... x, at most 0.5); a pair is the range itself.
    """

    def __init__(
        self,
        brightness: float | tuple[float, float] = 0,
        contrast: float | tuple[float, float] = 0,
        saturation: float | tuple[float, float] = 0,
        hue: float | tuple[float, float] = 0,
    ) -> None:
        super().__init__()
        self.brightness = self._range(brightness, "brightness")
        self.contrast = self._range(contrast, "contrast")
        self.saturation = self._range(saturation, "saturation")
        self.hue = self._range(hue, "hue", 0, (-0.5, 0.5))

    @staticmethod
    def _range(
        value: Any, name: str, center: float = 1, bound: tuple[float, float] = (0, float("inf"))
    ) -> tuple[float, float] | None:
        if isinstance(value, (int, float)):
            if value < 0:
                raise ValueError(f"If {name} is a single number, it must be non negative.")
            value = [center - float(value), center + float(value)]
            if name != "hue":
                value[0] = max(value[0], 0.0)
        elif not isinstance(value, (tuple, list)) or len(value) != 2:
            raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
        if not bound[0] <= value[0] <= value[1] <= bound[1]:
            raise ValueError(f"{name} values should be between {bound}, but got {value}.")
        return None if value[0] == value[1] == center else tuple(value)

    def forward(self, img: Picture) -> Picture:
        """(..., C, H, W) -> the same shape."""
        parts = [
            (F.adjust_brightness, self.brightness),
            (F.adjust_contrast, self.contrast),
            (F.adjust_saturation, self.saturation),
            (F.adjust_hue, self.hue),
        ]
        for i in minigrad.randperm(4).tolist():
            adjust, limits = parts[i]
            if limits is not None:
                img = adjust(img, _uniform(limits[0], limits[1]))
        return img

    def describe(self) -> str:
        return f"brightness={self.brightness}, contrast={self.contrast}, saturation={self.saturation}, hue={self.hue}"


class GaussianBlur(_Transform):
    """The image smoothed by a Gaussian of this (width, height) kernel_size, its sigma drawn from the range."""

    def __init__(self, kernel_size: Sequence[int] | int, sigma: Sequence[float] | float = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = _pair(kernel_size)
        if any(k <= 0 or k % 2 == 0 for k in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        self.sigma = (sigma, sigma) if isinstance(sigma, (int, float)) else tuple(sigma)
        if not 0.0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"sigma values should be positive and of the form (min, max). Got {self.sigma}")

    def forward(self, img: Picture) -> Picture:
        """(..., C, H, W) -> the same shape."""
        sigma = _uniform(self.sigma[0], self.sigma[1])
        return F.gaussian_blur(img, self.kernel_size, [sigma, sigma])

    def describe(self) -> str:
        return f"kernel_size={self.kernel_size}, sigma={self.sigma}"


class FiveCrop(_Transform):
    """The four corners and the middle, as a tuple of five images."""

    def __init__(self, size: Sequence[int] | int) -> None:
        super().__init__()
        self.size = _pair(size)

    def forward(self, img: Picture) -> tuple[Picture, ...]:
        """(..., H, W) -> five times (..., height, width)"""
        return F.five_crop(img, self.size)

    def describe(self) -> str:
        return f"size={self.size}"


class TenCrop(_Transform):
    """FiveCrop of the image and of its mirror image (upside down with vertical_flip), as a tuple of ten images."""

    def __init__(self, size: Sequence[int] | int, vertical_flip: bool = False) -> None:
        super().__init__()
        self.size, self.vertical_flip = _pair(size), vertical_flip

    def forward(self, img: Picture) -> tuple[Picture, ...]:
        """(..., H, W) -> ten times (..., height, width)"""
        return F.ten_crop(img, self.size, self.vertical_flip)

    def describe(self) -> str:
        return f"size={self.size}, vertical_flip={self.vertical_flip}"


class RandomErasing(_Transform):
    """A tensor image with a random rectangle set to `value` (a number, one for each channel, or "random" noise), with probability p.

    The rectangle has a share `scale` of the area and a height / width in `ratio`. Source: Zhong et al., "Random Erasing Data
    Augmentation", arXiv:1708.04896.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | Sequence[float] | str = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        if not 0 <= p <= 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p, self.scale, self.ratio, self.value, self.inplace = p, scale, ratio, value, inplace

    def forward(self, img: Tensor) -> Tensor:
        """(..., C, H, W) -> the same shape. ValueError if `value` does not have a number for each channel."""
        if not _chance(self.p):
            return img
        channels, height, width = F.get_dimensions(img)
        for _ in range(10):
            area = height * width * _uniform(self.scale[0], self.scale[1])
            shape = math.exp(_uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            h, w = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if h < height and w < width:
                filling = self._filling(channels, h, w)
                return F.erase(img, _whole(0, height - h + 1), _whole(0, width - w + 1), h, w, filling, self.inplace)
        return img

    def _filling(self, channels: int, h: int, w: int) -> Tensor:
        if isinstance(self.value, str):
            return minigrad.randn(channels, h, w)
        values = [float(self.value)] if isinstance(self.value, (int, float)) else [float(v) for v in self.value]
        if len(values) not in (1, channels):
            raise ValueError(
                f"If value is a sequence, it should have either a single value or {channels} (number of input channels)"
            )
        return minigrad.tensor(values).reshape(-1, 1, 1)

    def describe(self) -> str:
        return f"p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value}, inplace={self.inplace}"


class RandomApply(_Transform):
    """All of these transforms, or, with probability 1 - p, none."""

    def __init__(self, transforms: Sequence[Callable], p: float = 0.5) -> None:
        super().__init__()
        self.transforms, self.p = transforms, p

    def forward(self, img: Any) -> Any:
        """What the transforms give."""
        if _chance(self.p):
            for transform in self.transforms:
                img = transform(img)
        return img

    def __repr__(self) -> str:
        return _lines(type(self).__name__, self.transforms, f"\n    p={self.p}")


class RandomOrder:
    """All of these transforms, in random order."""

    def __init__(self, transforms: Sequence[Callable]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for i in minigrad.randperm(len(self.transforms)).tolist():
            img = self.transforms[i](img)
        return img

    def __repr__(self) -> str:
        return _lines(type(self).__name__, self.transforms)


class RandomChoice:
    """One of these transforms, with probabilities in proportion to p, or equal ones. ValueError for another number of them."""

    def __init__(self, transforms: Sequence[Callable], p: Sequence[float] | None = None) -> None:
        if p is not None and len(p) != len(transforms):
            raise ValueError(f"Length of p doesn't match the number of transforms: {len(p)} != {len(transforms)}")
        self.transforms, self.p = transforms, p

    def __call__(self, img: Any) -> Any:
        weights = minigrad.ones(len(self.transforms)) if self.p is None else minigrad.tensor([float(p) for p in self.p])
        return self.transforms[int(minigrad.multinomial(weights, 1).item())](img)

    def __repr__(self) -> str:
        return _lines(type(self).__name__, self.transforms) + f"(p={self.p})"
