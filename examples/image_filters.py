"""Classical image filters, each one call of conv2d: gamma, Sobel, Gaussian, Laplacian, difference of Gaussians, a pyramid, a low-pass.

On scikit-learn's photograph of a temple, or with --data on a picture of yours. The low-pass is done twice, as a convolution and as a
product of spectra (scipy.fft), and both results are compared.

Marr, Hildreth: Theory of edge detection, 1980 (Laplacian of Gaussian); Lowe: Distinctive image features from scale-invariant keypoints,
2004 (the pyramid of differences and its extrema).
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import plumbing
import scipy.fft
from plumbing import data, pictures

import minigrad as mg
import minigrad.nn.functional as F


def gaussian(sigma: float) -> mg.Tensor:
    """A Gaussian's samples out to three deviations, sum 1: (K,)."""
    radius = math.ceil(3 * sigma)
    bell = mg.exp(-(mg.arange(-radius, radius + 1, dtype=mg.float32) ** 2) / (2 * sigma**2))
    return bell / bell.sum()


def filtered(image: mg.Tensor, kernel: mg.Tensor) -> mg.Tensor:
    """Every channel of (N, C, H, W) convolved with one kernel (KH, KW) of odd sides; the edge pixels go on beyond the edge."""
    rows, columns = kernel.shape
    channels = image.shape[1]
    padded = F.pad(image, (columns // 2, columns // 2, rows // 2, rows // 2), mode="replicate")
    return F.conv2d(padded, kernel.expand(channels, 1, rows, columns), groups=channels)


def blurred(image: mg.Tensor, sigma: float) -> mg.Tensor:
    """A Gaussian blur: a row of the bell, then a column, which costs 2 K multiplications a pixel where the square costs K * K."""
    bell = gaussian(sigma)
    return filtered(filtered(image, bell[None, :]), bell[:, None])


def laplacian_of_gaussian(sigma: float) -> mg.Tensor:
    """The Laplacian of a Gaussian: (x^2 + y^2 - 2 s^2) / s^4 times the bell, made to sum to 0: (K, K)."""
    bell = gaussian(sigma)
    radius = len(bell) // 2
    squares = mg.arange(-radius, radius + 1, dtype=mg.float32) ** 2
    kernel = (squares[:, None] + squares[None, :] - 2 * sigma**2) / sigma**4 * bell[:, None] * bell[None, :]
    return kernel - kernel.mean()


def sobel(grey: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor]:
    """The slope across and down, each smoothed the other way."""
    across = mg.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    return filtered(grey, across), filtered(grey, across.T)


def extrema(below: mg.Tensor, here: mg.Tensor, above: mg.Tensor, threshold: float) -> np.ndarray:
    """Where a level of the pyramid is larger (or smaller) than all 26 neighbours in place and scale: rows and columns, (N, 2)."""
    found = []
    for sign in (1, -1):
        stack = mg.cat([sign * below, sign * here, sign * above], dim=1)  # (1, 3, H, W)
        largest = F.max_pool3d(stack.unsqueeze(1), (3, 3, 3), stride=1, padding=(0, 1, 1))[0, 0, 0]
        found.append(mg.nonzero((sign * here[0, 0] == largest) & (sign * here[0, 0] > threshold)))
    return mg.cat(found).numpy()


def low_pass_by_spectrum(image: np.ndarray, sigma: float) -> np.ndarray:
    """The same blur as a product of spectra; the picture goes on at one edge where it ended at the other."""
    bell = gaussian(sigma).numpy()
    kernel = np.zeros(image.shape[-2:], np.float32)
    radius = len(bell) // 2
    kernel[: len(bell), : len(bell)] = np.outer(bell, bell)
    kernel = np.roll(kernel, (-radius, -radius), axis=(0, 1))  # the middle of the kernel to the origin
    return scipy.fft.irfft2(scipy.fft.rfft2(image) * scipy.fft.rfft2(kernel), image.shape[-2:])


def low_pass_by_convolution(image: mg.Tensor, sigma: float) -> mg.Tensor:
    """A blur of (N, C, H, W) whose padding wraps around, as a spectrum's does."""
    bell = gaussian(sigma)
    radius, channels = len(bell) // 2, image.shape[1]
    padded = F.pad(image, (radius,) * 4, mode="circular")
    return F.conv2d(padded, (bell[:, None] * bell[None, :]).expand(channels, 1, -1, -1), groups=channels)


def main() -> None:
    args = plumbing.parser(__doc__, data="a picture file (default: scikit-learn's photograph of a temple)").parse_args()
    picture = data.photographs()["china"] if args.data is None else data.read_photograph(args.data)
    image = mg.from_numpy(picture).unsqueeze(0)  # (1, 3, H, W)
    if args.quick:
        image = image[:, :, ::2, ::2].contiguous()
    grey = (image * mg.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)).sum(dim=1, keepdim=True)

    across, down = sobel(grey)
    edges = mg.sqrt(across**2 + down**2)
    zero_crossings = filtered(grey, laplacian_of_gaussian(2.0))
    difference = blurred(grey, 1.6) - blurred(grey, 1.0)
    pictures.draw_images(
        args.out / "filters.png",
        {
            "the picture": image[0].numpy(),
            "gamma 0.5 (lighter)": (image**0.5)[0].numpy(),
            "gamma 2 (darker)": (image**2.0)[0].numpy(),
            "Gaussian blur, deviation 3": blurred(image, 3.0)[0].numpy(),
            "Sobel: slope across": across[0].numpy(),
            "Sobel: slope down": down[0].numpy(),
            "Sobel: steepness": edges[0].numpy(),
            "Laplacian of Gaussian, deviation 2": zero_crossings[0].numpy(),
            "difference of Gaussians 1.6 - 1.0": difference[0].numpy(),
        },
        columns=3,
        size=3.6,
    )

    scales = [1.6 * 2 ** (i / 2) for i in range(7)]  # half an octave apart
    blurs = [blurred(grey, sigma) for sigma in scales]
    levels = [after - before for before, after in pairwise(blurs)]
    figure, grid = pictures.plt.subplots(2, 2, figsize=(11, 7.6))
    for axes, i in zip(grid.flat, range(1, 5)):
        points = extrema(levels[i - 1], levels[i], levels[i + 1], threshold=0.015)
        pictures.show(axes, image[0].numpy(), f"deviation {scales[i]:.1f}: {len(points)} extrema")
        axes.scatter(points[:, 1], points[:, 0], s=(3 * scales[i]) ** 2, facecolors="none", edgecolors="yellow", linewidths=0.9)
    figure.suptitle("Extrema of the pyramid of differences of Gaussians: blobs, each at its own size")
    pictures.save_figure(figure, args.out / "pyramid.png")

    by_spectrum = low_pass_by_spectrum(image.numpy(), sigma=4.0)[0]
    by_convolution = low_pass_by_convolution(image, sigma=4.0)[0].numpy()
    spectrum = np.log1p(np.abs(scipy.fft.fftshift(scipy.fft.fft2(grey[0, 0].numpy()))))
    kept = np.log1p(np.abs(scipy.fft.fftshift(scipy.fft.fft2(by_convolution.mean(axis=0)))))
    pictures.draw_images(
        args.out / "low_pass.png",
        {
            "low-pass as a convolution": by_convolution,
            "low-pass as a product of spectra": by_spectrum,
            "spectrum of the picture (logarithm)": spectrum,
            "spectrum after the low-pass": kept,
        },
        columns=2,
        size=4.2,
    )
    plumbing.result("largest difference of the two low-passes", float(np.abs(by_spectrum - by_convolution).max()), form=".1e")


if __name__ == "__main__":
    main()
