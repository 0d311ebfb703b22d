"""Transposed convolution seen four ways that agree, its output sizes, and the checkerboard it draws with its cure.

A transposed convolution is a convolution's matrix, transposed: (1) each input pixel stamps the kernel on the output, (2) zeros are put
between the pixels and the turned kernel is convolved, (3) the transposed matrix is multiplied, (4) minigrad's kernel.

Dumoulin, Visin: A guide to convolution arithmetic for deep learning, 2016; Odena, Dumoulin, Olah: Deconvolution and checkerboard
artifacts, Distill, 2016.
"""

from __future__ import annotations

import numpy as np
import plumbing
from convolution_zoo import sparse_matrix
from plumbing import data, pictures
from tqdm import tqdm

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.optim import Adam


def by_scatter(x: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """Each pixel of (H, W) stamps the kernel (K, K) on the output, scaled by itself; stamps that meet add up."""
    k = len(weight)
    out = np.zeros([(side - 1) * stride + k for side in x.shape])
    for i, j in np.ndindex(*x.shape):
        out[i * stride : i * stride + k, j * stride : j * stride + k] += x[i, j] * weight
    return out


def by_zero_insertion(x: mg.Tensor, weight: mg.Tensor, stride: int) -> mg.Tensor:
    """Zeros between the pixels, K - 1 zeros around, then an ordinary convolution with the kernel turned by half a turn."""
    rows, columns = x.shape
    spread = mg.zeros((rows - 1) * stride + 1, (columns - 1) * stride + 1, dtype=x.dtype)
    spread[::stride, ::stride] = x
    return F.conv2d(spread[None, None], weight.flip(0, 1)[None, None], padding=len(weight) - 1)[0, 0]


def four_ways(seed: int) -> float:
    """The largest difference of the four ways, for strides 1 and 2."""
    rng = np.random.default_rng(seed)
    image, weight = rng.standard_normal((5, 5)), rng.standard_normal((3, 3))
    x, w = mg.tensor(image), mg.tensor(weight)
    worst = 0.0
    for stride in (1, 2):
        kernel = F.conv_transpose2d(x[None, None], w[None, None], stride=stride)[0, 0].numpy()
        size = len(kernel)
        rows = sparse_matrix(weight, size)  # of the convolution of stride 1: keep the rows of the places that the stride visits
        visited = np.arange((size - 2) ** 2).reshape(size - 2, size - 2)[::stride, ::stride].ravel()
        ways = (by_scatter(image, weight, stride), by_zero_insertion(x, w, stride).numpy(), rows[visited].T @ image.ravel())
        worst = max(worst, *(np.abs(way.reshape(size, size) - kernel).max() for way in ways))
    return worst


def print_sizes() -> None:
    """out = (in - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1."""
    x, w = mg.zeros(1, 1, 5, 5), mg.zeros(1, 1, 3, 3)
    print("a 5x5 input, a 3x3 kernel")
    for options in (
        {},
        {"stride": 2},
        {"stride": 2, "padding": 1},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": 3, "padding": 1, "dilation": 2, "output_padding": 2},
    ):
        side = F.conv_transpose2d(x, w, **options).shape[-1]
        print(f"  {', '.join(f'{name} {value}' for name, value in options.items()) or 'stride 1':<56} {side}x{side}")
    layer = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1)
    print(
        f"  {'stride 2, padding 1, asked for output_size 10x10':<56} {'x'.join(map(str, layer(x, output_size=(10, 10)).shape[2:]))}"
    )
    try:
        layer(x, output_size=(12, 12))
    except ValueError as error:
        print(f"  asked for 12x12: ValueError: {str(error)[:100]}")


def decoder(up) -> nn.Sequential:
    """From 6 numbers to a (3, 48, 48) picture; `up(i, o)` doubles the sides."""
    return nn.Sequential(
        nn.Linear(6, 64 * 6 * 6),
        nn.Unflatten(1, (64, 6, 6)),
        nn.ReLU(),
        up(64, 32),
        nn.ReLU(),
        up(32, 16),
        nn.ReLU(),
        up(16, 3),
    )


def transposed(i: int, o: int) -> nn.Module:
    """Kernel 3 at stride 2: the kernels of neighbours overlap on every other pixel only, hence the checkerboard."""
    return nn.ConvTranspose2d(i, o, 3, stride=2, padding=1, output_padding=1)


def resized(i: int, o: int) -> nn.Module:
    """The cure: enlarge first, then an ordinary convolution, which treats every pixel alike."""
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(i, o, 3, padding=1))


def unevenness(picture: np.ndarray) -> float:
    """How much of the variation of a (3, H, W) picture alternates from pixel to pixel: energy at the highest frequency, over all."""
    spectrum = np.abs(np.fft.fft2(picture - picture.mean(axis=(1, 2), keepdims=True))) ** 2
    half = spectrum.shape[-1] // 2
    return float((spectrum[:, half, :].sum() + spectrum[:, :, half].sum()) / spectrum.sum())


def main() -> None:
    args = plumbing.parser(__doc__, epochs=200).parse_args()
    steps = 20 if args.quick else args.epochs
    print_sizes()

    photograph = mg.from_numpy(data.photographs()["flower"][:, 40:424, 120:504]).unsqueeze(0)
    target = F.interpolate(photograph, size=(48, 48), mode="area")
    sheet = {"the picture": target[0].numpy()}
    for name, up in (("transposed convolution", transposed), ("resize + convolution", resized)):
        mg.manual_seed(args.seed)
        model, code = decoder(up), mg.randn(1, 6)
        fresh = model(code)[0].detach().numpy()
        sheet[f"{name}, untrained\nalternating share {unevenness(fresh):.1%}"] = (fresh - fresh.min()) / np.ptp(fresh)
        optimizer = Adam(model.parameters(), lr=3e-3)
        for _ in tqdm(range(steps), name, unit="step"):
            optimizer.zero_grad()
            F.mse_loss(model(code), target).backward()
            optimizer.step()
        sheet[f"{name}, {steps} steps"] = model(code)[0].detach().numpy()
    pictures.draw_images(args.out / "checkerboard.png", sheet, columns=5, size=2.6)
    plumbing.result("largest difference of the four ways", four_ways(args.seed), form=".1e")


if __name__ == "__main__":
    main()
