"""Two nets enlarge photographs twice, by sub-pixel convolution and by transposed convolution, beside bicubic interpolation.

Trained on patches from the left of scikit-learn's two photographs and tested on their right (with --data, on a picture of yours). The
nets learn what bicubic lacks: their output is added to it. The measure is the peak signal-to-noise ratio in decibels,
PSNR = -10 log10(mean squared error).

Shi and others: Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural network, 2016.
"""

from __future__ import annotations

import math

import numpy as np
import plumbing
from plumbing import data, pictures
from tqdm import tqdm

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.optim import Adam
from minigrad.optim.lr_scheduler import CosineAnnealingLR

SCALE = 2


def bicubic(x: mg.Tensor) -> mg.Tensor:
    """The usual way to enlarge."""
    return F.interpolate(x, scale_factor=SCALE, mode="bicubic", align_corners=False)


def shrunk(x: mg.Tensor) -> mg.Tensor:
    """What the nets are given: each pixel the mean of SCALE x SCALE."""
    return F.avg_pool2d(x, SCALE)


class Enlarger(nn.Module):
    """(N, 3, H, W) -> (N, 3, SCALE * H, SCALE * W): three convolutions at the small size, then `up`, added to bicubic."""

    def __init__(self, up: nn.Module):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.up = up

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return bicubic(x) + self.up(self.body(x))


UPSAMPLERS = {
    "sub-pixel (PixelShuffle)": lambda: nn.Sequential(nn.Conv2d(32, 3 * SCALE**2, 3, padding=1), nn.PixelShuffle(SCALE)),
    "transposed convolution": lambda: nn.ConvTranspose2d(32, 3, 4, stride=2, padding=1),
}


def psnr(guess: mg.Tensor, truth: mg.Tensor) -> float:
    """Peak signal-to-noise ratio in decibels of pictures in [0, 1]."""
    return -10 * math.log10(F.mse_loss(guess.clamp(0, 1), truth).item())


def patches(photographs: list[mg.Tensor], count: int, side: int, rng: np.random.Generator) -> mg.Tensor:
    """Squares from random places of (3, H, W) photographs, half of them mirrored: (count, 3, side, side)."""
    squares = []
    for n in range(count):
        photograph = photographs[n % len(photographs)]
        i, j = (rng.integers(0, size - side + 1) for size in photograph.shape[1:])
        squares.append(photograph[:, i : i + side, j : j + side])
    squares = mg.stack(squares)
    return mg.cat([squares[: count // 2], squares[count // 2 :].flip(3)])


def main() -> None:
    args = plumbing.parser(
        __doc__, epochs=600, data="picture to enlarge (default: the right of scikit-learn's photographs)"
    ).parse_args()
    steps = 30 if args.quick else args.epochs
    # Halved first, (3, 213, 320) each: at full size the finest detail is the camera's noise, which nothing can foresee.
    photographs = [F.avg_pool2d(mg.from_numpy(photograph), 2) for photograph in data.photographs().values()]
    train = [photograph[:, :, :192] for photograph in photographs]
    if args.data is None:
        truth = mg.cat([photograph[:, :, 192:] for photograph in photographs], dim=2)
    else:
        truth = mg.from_numpy(data.read_photograph(args.data))
    truth = truth[:, : truth.shape[1] // SCALE * SCALE, : truth.shape[2] // SCALE * SCALE].unsqueeze(0)
    small = shrunk(truth)

    results = {"bicubic": bicubic(small)}
    curves = {}
    for name, up in UPSAMPLERS.items():
        mg.manual_seed(args.seed)
        rng = np.random.default_rng(args.seed)
        model = Enlarger(up())
        for parameter in model.up.parameters():
            nn.init.zeros_(parameter)  # the first guess is bicubic
        optimizer = Adam(model.parameters(), lr=1e-3)
        schedule = CosineAnnealingLR(optimizer, steps)
        curves[name] = []
        progress = tqdm(range(steps), name, unit="step")
        for step in progress:
            batch = patches(train, 16, 24 * SCALE, rng)
            optimizer.zero_grad()
            F.mse_loss(model(shrunk(batch)), batch).backward()
            optimizer.step()
            schedule.step()
            if step % max(1, steps // 20) == 0 or step == steps - 1:
                with mg.no_grad():
                    results[name] = model(small)
                curves[name].append(psnr(results[name], truth))
                progress.set_postfix(psnr=f"{curves[name][-1]:.2f} dB")

    base = psnr(results["bicubic"], truth)
    for name, picture in results.items():
        print(f"{name:<26}{psnr(picture, truth):.2f} dB")
    height, width = truth.shape[2:]
    rows, columns = slice(height // 2, height // 2 + 72), slice(width // 8, width // 8 + 96)  # a detail to look at
    sheet = {"the picture": truth, "given to the nets": F.interpolate(small, scale_factor=SCALE, mode="nearest")} | results
    pictures.draw_images(
        args.out / "enlarged.png",
        {
            f"{name}, {psnr(picture, truth):.2f} dB" if name in results else name: picture[0, :, rows, columns].numpy()
            for name, picture in sheet.items()
        },
        columns=3,
        size=4,
    )
    pictures.draw_lines(
        args.out / "psnr.png",
        curves | {"bicubic": [base] * len(next(iter(curves.values())))},
        f"measurement (every {max(1, steps // 20)} steps)",
        "PSNR of the test picture, dB",
        "Enlarging twice",
    )
    plumbing.result("decibels above bicubic", psnr(results["sub-pixel (PixelShuffle)"], truth) - base)


if __name__ == "__main__":
    main()
