"""A generative adversarial net draws handwritten digits: DCGAN with transposed convolutions and batch norm, and detach between its halves.

The discriminator learns to tell scikit-learn's digits (at 16x16) from the generator's; the generator learns from the discriminator's
gradients. Writes a grid of samples and an animation of the same samples through training.

Radford, Metz, Chintala: Unsupervised representation learning with deep convolutional generative adversarial networks, 2016.
"""

from __future__ import annotations

import numpy as np
import plumbing
from plumbing import data, pictures
from tqdm import tqdm

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.optim import Adam
from minigrad.utils.data import DataLoader, TensorDataset

CODE = 32  # random numbers that a digit is made from


def generator() -> nn.Sequential:
    """(N, CODE, 1, 1) -> (N, 1, 16, 16) in [-1, 1]."""
    return nn.Sequential(
        nn.ConvTranspose2d(CODE, 64, 4, bias=False),  # -> (N, 64, 4, 4)
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1, bias=False),  # -> (N, 32, 8, 8)
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),  # -> (N, 1, 16, 16)
        nn.Tanh(),
    )


def discriminator() -> nn.Sequential:
    """(N, 1, 16, 16) -> (N,) scores of being real."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 4, stride=2, padding=1),  # -> (N, 32, 8, 8)
        nn.LeakyReLU(0.2),
        nn.Conv2d(32, 64, 4, stride=2, padding=1, bias=False),  # -> (N, 64, 4, 4)
        nn.BatchNorm2d(64),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 1, 4),  # -> (N, 1, 1, 1)
        nn.Flatten(0),
    )


def initialize(module: nn.Module) -> None:
    """The paper's weights: normal with deviation 0.02, around 1 for batch norm."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, mean=1.0, std=0.02)


def sheet(images: mg.Tensor, columns: int = 10) -> mg.Tensor:
    """(N, 1, H, W) in [-1, 1] as one picture of rows of `columns`."""
    return mg.cat([mg.cat(list(row[:, 0]), dim=1) for row in ((images + 1) / 2).split(columns)], dim=0)


def main() -> None:
    args = plumbing.parser(__doc__, epochs=40).parse_args()
    epochs = 2 if args.quick else args.epochs
    mg.manual_seed(args.seed)
    digits, _ = data.digit_images(args.seed, size=16)
    loader = DataLoader(
        TensorDataset(2 * digits - 1), 64, shuffle=True, drop_last=True, generator=mg.Generator().manual_seed(args.seed)
    )
    g, d = generator().apply(initialize), discriminator().apply(initialize)
    optimizer_g, optimizer_d = (Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999)) for net in (g, d))
    score = F.binary_cross_entropy_with_logits
    shown, frames = mg.randn(50, CODE, 1, 1), []
    losses = {"discriminator": [], "generator": []}

    for _ in tqdm(range(epochs), "DCGAN", unit="epoch"):
        sums = [0.0, 0.0]
        for (real,) in loader:
            fake = g(mg.randn(len(real), CODE, 1, 1))
            optimizer_d.zero_grad()
            on_real, on_fake = d(real), d(fake.detach())  # detach: the discriminator's step must not reach the generator
            loss_d = score(on_real, mg.full_like(on_real, 0.9)) + score(on_fake, mg.zeros_like(on_fake))
            loss_d.backward()
            optimizer_d.step()
            optimizer_g.zero_grad()
            on_fake = d(fake)  # not detached: the gradient goes through the discriminator into the generator
            loss_g = score(on_fake, mg.ones_like(on_fake))
            loss_g.backward()
            optimizer_g.step()
            sums[0] += loss_d.item()
            sums[1] += loss_g.item()
        for values, total in zip(losses.values(), sums):
            values.append(total / len(loader))
        g.eval()
        with mg.no_grad():
            frames.append(sheet(g(shown)).numpy())
        g.train()

    real, fake = sheet(2 * digits[:50] - 1).numpy(), frames[-1]
    pictures.draw_images(
        args.out / "samples.png", {"scanned digits": real, f"drawn after {epochs} epochs": fake}, columns=2, size=5
    )
    figure, axes = pictures.plt.subplots(figsize=(6, 3.4))

    def draw(i: int) -> None:
        axes.clear()
        pictures.show(axes, frames[i], f"epoch {i + 1}", vmin=0, vmax=1)

    pictures.save_animation(figure, draw, len(frames), args.out / "training.gif")
    pictures.draw_lines(args.out / "losses.png", losses, "epoch", "loss", "The two halves of the game")
    with mg.no_grad():
        drawn = g.eval()(mg.randn(500, CODE, 1, 1))
    # Where real digits vary from one to the next, drawn ones should, and nowhere else.
    agreement = np.corrcoef(digits.std(dim=0).flatten().numpy(), drawn.std(dim=0).flatten().numpy())[0, 1]
    plumbing.result("correlation of the deviations of pixels, drawn with real", agreement)


if __name__ == "__main__":
    main()
