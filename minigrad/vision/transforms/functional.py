"""The transforms as functions: each takes a Pillow image or a tensor (..., C, H, W), and gives the same kind back."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor, dtype

if TYPE_CHECKING:
    from PIL.Image import Image

    Picture = Image | Tensor


class InterpolationMode(enum.Enum):
    """How resize and rotate compute new pixels; the last three for Pillow images only."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_PILLOW_CODES = {
    InterpolationMode.NEAREST: 0,
    InterpolationMode.NEAREST_EXACT: 0,
    InterpolationMode.LANCZOS: 1,
    InterpolationMode.BILINEAR: 2,
    InterpolationMode.BICUBIC: 3,
    InterpolationMode.BOX: 4,
    InterpolationMode.HAMMING: 5,
}


def interpolation_mode(interpolation: InterpolationMode | int) -> InterpolationMode:
    """The mode itself, or that of Pillow's number. TypeError for anything else."""
    if isinstance(interpolation, int):
        known = [mode for mode, code in _PILLOW_CODES.items() if code == interpolation]
        if known:
            return known[0]
    if not isinstance(interpolation, InterpolationMode):
        raise TypeError("Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant")
    return interpolation


def is_pillow(img: Any) -> bool:
    """Whether img is a Pillow image."""
    if isinstance(img, (Tensor, np.ndarray)):
        return False
    from PIL import Image

    return isinstance(img, Image.Image)


def _image_tensor(img: Any) -> Tensor:
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be PIL Image or Tensor. Got {type(img)}")
    if img.ndim < 2:
        raise TypeError("Tensor is not a torch image.")
    return img


def get_dimensions(img: Picture) -> list[int]:
    """[channels, height, width]"""
    if is_pillow(img):
        return [len(img.getbands()), img.height, img.width]
    shape = _image_tensor(img).shape
    return [1 if len(shape) == 2 else shape[-3], shape[-2], shape[-1]]


def get_image_size(img: Picture) -> list[int]:
    """[width, height]"""
    return get_dimensions(img)[:0:-1]


def get_image_num_channels(img: Picture) -> int:
    """The number of channels."""
    return get_dimensions(img)[0]


# Between images, arrays and tensors


def pil_to_tensor(pic: Image) -> Tensor:
    """A Pillow image as a tensor (C, H, W) of its own pixels, uint8 for the usual modes. TypeError for what is no Pillow image."""
    if not is_pillow(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    pixels = np.array(pic)
    if pixels.dtype == np.uint16:  # the mode I;16: as torchvision, in int16
        pixels = pixels.view(np.int16)
    return minigrad.from_numpy(pixels.reshape(pic.height, pic.width, -1)).permute(2, 0, 1)


def to_tensor(pic: Image | np.ndarray) -> Tensor:
    """A Pillow image or an array (H, W) or (H, W, C) as a tensor (C, H, W); pixels of 0 ... 255 become floats of 0 ... 1.

    Raises TypeError for another kind, ValueError for an array of another number of dimensions.
    """
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        pixels = minigrad.from_numpy(np.ascontiguousarray(pic.reshape(*pic.shape[:2], -1).transpose(2, 0, 1)))
    elif is_pillow(pic):
        pixels = pil_to_tensor(pic).contiguous()
        if pic.mode == "1":
            pixels = pixels.to(minigrad.uint8) * 255
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    return pixels.to(minigrad.get_default_dtype()).div(255) if pixels.dtype is minigrad.uint8 else pixels


def convert_image_dtype(image: Tensor, dtype: dtype = minigrad.float32) -> Tensor:
    """The image in another dtype, its values scaled: floats of 0 ... 1 against integers of 0 ... their greatest value.

    Raises RuntimeError for floats to integers too wide to be exact (float32 to int32 or int64, float64 to int64).
    """
    if not isinstance(image, Tensor):
        raise TypeError("Input img should be Tensor Image")
    if image.dtype is dtype or (image.is_floating_point() and dtype.is_floating_point):
        return image.to(dtype)
    if image.is_floating_point():
        if (image.dtype.name, dtype.name) in (("float32", "int32"), ("float32", "int64"), ("float64", "int64")):
            raise RuntimeError(f"The cast from {image.dtype} to {dtype} cannot be performed safely.")
        return image.mul(_greatest(dtype) + 1.0 - 1e-3).to(dtype)
    if dtype.is_floating_point:
        return image.to(dtype) / _greatest(image.dtype)
    factor = (_greatest(image.dtype) + 1) // (_greatest(dtype) + 1)
    if factor >= 1:
        return image.div(factor, rounding_mode="floor").to(dtype)
    return image.to(dtype) * ((_greatest(dtype) + 1) // (_greatest(image.dtype) + 1))


def _greatest(dtype: dtype) -> int:
    return 1 if dtype is minigrad.bool else minigrad.iinfo(dtype).max


_MODES = {1: ("L", "1"), 2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}


def to_pil_image(pic: Tensor | np.ndarray, mode: str | None = None) -> Image:
    """A tensor (C, H, W) or an array (H, W, C), or (H, W), as a Pillow image; floats of 0 ... 1 become pixels of 0 ... 255.

    mode: one of the modes for this number of channels; by default "L", "LA", "RGB" or "RGBA". Raises TypeError for another kind or
    dtype, ValueError for a shape or mode that does not fit.
    """
    from PIL import Image

    if not isinstance(pic, (Tensor, np.ndarray)):
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if pic.ndim not in (2, 3):
        raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
    if isinstance(pic, Tensor):
        pixels = pic.detach().numpy()
        if pixels.dtype.kind == "f" and mode != "F":
            pixels = (pic.detach() * 255).to(minigrad.uint8).numpy()
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels.transpose(1, 2, 0)
    else:
        pixels = pic.reshape(*pic.shape[:2], -1)
    channels = pixels.shape[2]
    if channels > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {channels} channels.")
    if channels == 1:
        pixels = pixels[:, :, 0]
        known = {"|u1": "L", "<i2": "I;16", "<i4": "I", "<f4": "F"}.get(pixels.dtype.str)
        if known is None:
            raise TypeError(f"Input type {pixels.dtype} is not supported")
        if mode is not None and mode != known:
            raise ValueError(f"Incorrect mode ({mode}) supplied for input type {pixels.dtype}. Should be {known}")
        mode = known
    elif pixels.dtype != np.uint8:
        raise TypeError(f"Input type {pixels.dtype} is not supported")
    elif mode is not None and mode not in _MODES[channels]:
        raise ValueError(f"Only modes {list(_MODES[channels])} are supported for {channels}D inputs")
    pixels = np.ascontiguousarray(pixels)
    return Image.frombytes(mode or _MODES[channels][0], pixels.shape[1::-1], pixels.tobytes())


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    """(tensor - mean) / std, a number for each channel. TypeError for integers, ValueError for a std of zero."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.ndim < 3:
        raise ValueError(f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {tensor.size()}")
    center = minigrad.as_tensor(mean, dtype=tensor.dtype).reshape(-1, 1, 1)
    scale = minigrad.as_tensor(std, dtype=tensor.dtype).reshape(-1, 1, 1)
    if (scale == 0).any():
        raise ValueError(f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero.")
    return tensor.sub_(center).div_(scale) if inplace else tensor.sub(center).div(scale)


# Size and position


def _resized(width: int, height: int, size: Sequence[int] | int, max_size: int | None) -> tuple[int, int]:
    """(height, width) of an image whose shorter side becomes `size` and whose longer one stays below max_size."""
    if not isinstance(size, int) and len(size) == 2:
        if max_size is not None:
            raise ValueError("max_size should only be passed if size specifies the length of the smaller edge")
        return size[0], size[1]
    wanted = size if isinstance(size, int) else size[0]
    short, long = min(width, height), max(width, height)
    new_short, new_long = wanted, int(wanted * long / short)
    if max_size is not None:
        if max_size <= wanted:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the smaller edge size = {size}"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_long, new_short) if width <= height else (new_short, new_long)


def resize(
    img: Picture,
    size: Sequence[int] | int,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Picture:
    """The image in (height, width) `size`; one number is that of the shorter side, and the ratio of the sides stays.

    Pillow's own filters for Pillow images; nn.functional.interpolate for tensors, with antialias for BILINEAR and BICUBIC.
    """
    mode = interpolation_mode(interpolation)
    _, height, width = get_dimensions(img)
    new_height, new_width = _resized(width, height, size, max_size)
    if (new_height, new_width) == (height, width):
        return img
    if is_pillow(img):
        return img.resize((new_width, new_height), _PILLOW_CODES[mode])
    linear = mode in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)
    if not linear and mode not in (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT):
        raise ValueError(f"This interpolation mode is unsupported with Tensor input: {mode.value}")
    pixels = img if img.is_floating_point() else img.to(minigrad.float32)
    batch = pixels.reshape(-1, 1 if img.ndim == 2 else img.shape[-3], height, width)
    out = F.interpolate(
        batch,
        size=(new_height, new_width),
        mode=mode.value,
        align_corners=False if linear else None,
        antialias=bool(antialias) and linear,
    ).reshape(*img.shape[:-2], new_height, new_width)
    return _back_to(img, out)


def _back_to(img: Tensor, out: Tensor) -> Tensor:
    """`out` in img's dtype: integers are rounded, bytes clamped to 0 ... 255."""
    if img.is_floating_point():
        return out
    out = out.round()
    return (out.clamp(0, 255) if img.dtype is minigrad.uint8 else out).to(img.dtype)


def _sides(padding: Sequence[int] | int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom)"""
    sides = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(sides) not in (1, 2, 4):
        raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(sides)} element tuple")
    return (sides * (4 // len(sides)))[:4]  # type: ignore[return-value]


def pad(img: Picture, padding: Sequence[int] | int, fill: Any = 0, padding_mode: str = "constant") -> Picture:
    """The image with a border: all sides, (left and right, top and bottom), or (left, top, right, bottom).

    padding_mode: "constant" (of value `fill`), "edge", "reflect" or "symmetric". Negative padding crops. ValueError for another mode.
    """
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    left, top, right, bottom = _sides(padding)
    _, height, width = get_dimensions(img)
    if min(left, top, right, bottom) < 0 or padding_mode == "constant":
        if is_pillow(img):
            from PIL import Image

            out = Image.new(img.mode, (width + left + right, height + top + bottom), _fill_of(img, fill))
            if img.mode == "P" and img.palette is not None:
                out.putpalette(img.palette)
            out.paste(img, (left, top))
        else:
            out = F.pad(img, (left, right, top, bottom), value=float(fill[0] if isinstance(fill, (list, tuple)) else fill or 0))
        if padding_mode == "constant":
            return out
        img, (left, top, right, bottom) = crop(img, -min(top, 0), -min(left, 0), height + min(top, 0) + min(bottom, 0),
            width + min(left, 0) + min(right, 0)), (max(s, 0) for s in (left, top, right, bottom))  # fmt: skip
        _, height, width = get_dimensions(img)
    rows = np.pad(np.arange(height), (top, bottom), padding_mode)  # type: ignore[call-overload]
    columns = np.pad(np.arange(width), (left, right), padding_mode)  # type: ignore[call-overload]
    if is_pillow(img):
        from PIL import Image

        out = Image.fromarray(np.ascontiguousarray(np.asarray(img)[rows][:, columns]))
        if img.mode == "P" and img.palette is not None:
            out = Image.frombytes("P", out.size, out.tobytes())
            out.putpalette(img.palette)
        return out
    return img.index_select(-2, minigrad.from_numpy(rows)).index_select(-1, minigrad.from_numpy(columns))


def _fill_of(img: Image, fill: Any) -> Any:
    """A colour as Pillow takes it: one number for each band."""
    bands = len(img.getbands())
    if isinstance(fill, (list, tuple)):
        if len(fill) not in (1, bands):
            raise ValueError(
                f"The number of elements in 'fill' does not match the number of channels of the image ({len(fill)} != {bands})"
            )
        fill = tuple(fill) if len(fill) == bands else tuple(fill) * bands
        return fill if bands > 1 else fill[0]
    fill = 0 if fill is None else fill
    return fill if bands == 1 or img.mode == "P" else (int(fill),) * bands


def crop(img: Picture, top: int, left: int, height: int, width: int) -> Picture:
    """The part of this size at this place; what lies outside the image is zero."""
    if is_pillow(img):
        return img.crop((left, top, left + width, top + height))
    _, h, w = get_dimensions(img)
    bottom, right = top + height, left + width
    inside = img[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if top < 0 or left < 0 or bottom > h or right > w:
        sides = (
            max(-left + min(0, right), 0),
            max(right - max(w, left), 0),
            max(-top + min(0, bottom), 0),
            max(bottom - max(h, top), 0),
        )
        return F.pad(inside, sides)
    return inside


def _pair(size: Sequence[int] | int) -> tuple[int, int]:
    """(height, width) of a square's side, or of both."""
    if isinstance(size, int):
        return size, size
    if len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError("Please provide only two dimensions (h, w) for size.")
    return size[0], size[1]


def center_crop(img: Picture, output_size: Sequence[int] | int) -> Picture:
    """The middle of the image, (height, width) `output_size`; a smaller image is padded with zeros first."""
    height, width = _pair(output_size)
    _, h, w = get_dimensions(img)
    if width > w or height > h:
        missing = max(width - w, 0), max(height - h, 0)
        img = pad(img, [missing[0] // 2, missing[1] // 2, (missing[0] + 1) // 2, (missing[1] + 1) // 2])
        _, h, w = get_dimensions(img)
        if (width, height) == (w, h):
            return img
    return crop(img, round((h - height) / 2.0), round((w - width) / 2.0), height, width)


def resized_crop(
    img: Picture,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Sequence[int],
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Picture:
    """resize(crop(...))"""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def five_crop(img: Picture, size: Sequence[int] | int) -> tuple[Picture, ...]:
    """The four corners (top left, top right, bottom left, bottom right) and the middle. ValueError if the image is smaller."""
    height, width = _pair(size)
    _, h, w = get_dimensions(img)
    if width > w or height > h:
        raise ValueError(f"Requested crop size {(height, width)} is bigger than input size {(h, w)}")
    corners = [(0, 0), (0, w - width), (h - height, 0), (h - height, w - width)]
    return (*(crop(img, top, left, height, width) for top, left in corners), center_crop(img, (height, width)))


def ten_crop(img: Picture, size: Sequence[int] | int, vertical_flip: bool = False) -> tuple[Picture, ...]:
    """five_crop of the image and of its mirror image (upside down with vertical_flip)."""
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


def hflip(img: Picture) -> Picture:
    """Left becomes right."""
    return img.transpose(0) if is_pillow(img) else _image_tensor(img).flip(-1)


def vflip(img: Picture) -> Picture:
    """Top becomes bottom."""
    return img.transpose(1) if is_pillow(img) else _image_tensor(img).flip(-2)


def rotate(
    img: Picture,
    angle: float,
    interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[int] | None = None,
    fill: Any = None,
) -> Picture:
    """A Pillow image turned counterclockwise by `angle` degrees around its middle, or around `center` (x, y). TypeError for a tensor."""
    if not is_pillow(img):
        raise TypeError("rotate: minigrad turns Pillow images only; put the transform before ToTensor()")
    return img.rotate(angle, _PILLOW_CODES[interpolation_mode(interpolation)], expand, center, fillcolor=_fill_of(img, fill))


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Tensor, inplace: bool = False) -> Tensor:
    """The tensor image with the rectangle at (i, j), of size (h, w), set to v."""
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    out = img if inplace else img.clone()
    out[..., i : i + h, j : j + w] = v
    return out


# Colours


def to_grayscale(img: Image, num_output_channels: int = 1) -> Image:
    """A Pillow image in gray, with one channel or three equal ones."""
    if not is_pillow(img):
        raise TypeError("Input should be PIL Image")
    return rgb_to_grayscale(img, num_output_channels)


def rgb_to_grayscale(img: Picture, num_output_channels: int = 1) -> Picture:
    """The image in gray (0.2989 red + 0.587 green + 0.114 blue), with one channel or three equal ones."""
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    if is_pillow(img):
        gray = img.convert("L")
        if num_output_channels == 3:
            from PIL import Image

            gray = Image.merge("RGB", (gray, gray, gray))
        return gray
    out = _gray(_image_tensor(img))
    return out.expand(img.shape).clone() if num_output_channels == 3 else out


def _gray(img: Tensor) -> Tensor:
    channels = get_image_num_channels(img)
    if channels not in (1, 3):
        raise TypeError(f"Input image tensor permitted channel values are [1, 3], but found {channels}")
    if channels == 1:
        return img.clone()
    red, green, blue = img.unbind(-3)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).to(img.dtype).unsqueeze(-3)


def _blend(img: Tensor, other: Tensor, ratio: float) -> Tensor:
    bound = 1.0 if img.is_floating_point() else _greatest(img.dtype)
    return (ratio * img + (1.0 - ratio) * other).clamp(0, bound).to(img.dtype)


def _enhanced(img: Image, what: str, factor: float) -> Image:
    from PIL import ImageEnhance

    return getattr(ImageEnhance, what)(img).enhance(factor)


def _checked_factor(name: str, factor: float) -> None:
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")


def adjust_brightness(img: Picture, brightness_factor: float) -> Picture:
    """0 gives black, 1 the image itself, 2 twice its values."""
    if is_pillow(img):
        return _enhanced(img, "Brightness", brightness_factor)
    _checked_factor("brightness_factor", brightness_factor)
    return _blend(_image_tensor(img), minigrad.zeros_like(img), brightness_factor)


def adjust_contrast(img: Picture, contrast_factor: float) -> Picture:
    """0 gives the mean gray, 1 the image itself."""
    if is_pillow(img):
        return _enhanced(img, "Contrast", contrast_factor)
    _checked_factor("contrast_factor", contrast_factor)
    gray = _gray(_image_tensor(img))
    mean = (gray if img.is_floating_point() else gray.to(minigrad.float32)).mean((-3, -2, -1), keepdim=True)
    return _blend(img, mean, contrast_factor)


def adjust_saturation(img: Picture, saturation_factor: float) -> Picture:
    """0 gives the image in gray, 1 the image itself."""
    if is_pillow(img):
        return _enhanced(img, "Color", saturation_factor)
    _checked_factor("saturation_factor", saturation_factor)
    return img if get_image_num_channels(img) == 1 else _blend(img, _gray(img), saturation_factor)


def adjust_hue(img: Picture, hue_factor: float) -> Picture:
    """A Pillow image with its hues turned by hue_factor, -0.5 ... 0.5 of the circle. TypeError for a tensor."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    if not is_pillow(img):
        raise TypeError("adjust_hue: minigrad turns the hues of Pillow images only; put the transform before ToTensor()")
    if img.mode in ("L", "1", "I", "F"):
        return img
    from PIL import Image

    hue, saturation, value = img.convert("HSV").split()
    turned = np.asarray(hue) + np.array(hue_factor * 255).astype(np.int32).astype(np.uint8)  # modulo 256: a circle
    return Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert(img.mode)


def gaussian_blur(img: Picture, kernel_size: Sequence[int] | int, sigma: Sequence[float] | float | None = None) -> Picture:
    """The image smoothed by a Gaussian of odd (width, height) kernel_size; sigma is 0.15 of it plus 0.35 unless given.

    ValueError for an even or negative size or a sigma that is not positive.
    """
    sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    if len(sizes) != 2 or any(k <= 0 or k % 2 == 0 for k in sizes):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {sizes}")
    if sigma is None:
        sigma = [k * 0.15 + 0.35 for k in sizes]
    sigmas = [float(sigma)] * 2 if isinstance(sigma, (int, float)) else list(sigma) * (2 // len(sigma))
    if len(sigmas) != 2 or min(sigmas) <= 0:
        raise ValueError(f"sigma should have positive values. Got {sigmas}")
    pixels = pil_to_tensor(img) if is_pillow(img) else _image_tensor(img)
    values = pixels if pixels.is_floating_point() else pixels.to(minigrad.float32)
    lines = []
    for k, s in zip(sizes, sigmas):
        offset = minigrad.linspace(-(k - 1) * 0.5, (k - 1) * 0.5, k, dtype=values.dtype)
        density = (-0.5 * (offset / s).pow(2)).exp()
        lines.append(density / density.sum())
    channels, height, width = get_dimensions(values)
    kernel = minigrad.outer(lines[1], lines[0]).expand(channels, 1, sizes[1], sizes[0])
    batch = values.reshape(-1, channels, height, width)
    batch = F.pad(batch, (sizes[0] // 2, sizes[0] // 2, sizes[1] // 2, sizes[1] // 2), mode="reflect")
    out = _back_to(pixels, F.conv2d(batch, kernel, groups=channels).reshape(values.shape))
    return to_pil_image(out, img.mode) if is_pillow(img) else out
