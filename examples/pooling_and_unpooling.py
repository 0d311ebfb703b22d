"""Pooling in every form, what unpooling puts back, and an autoencoder that outlines digits by the places its pools remember.

The autoencoder pools with indices on its way down and unpools to the same places on its way up, as SegNet does; its twin without the
indices enlarges by repetition. Both learn to draw the outline of a digit, one pixel wide, from scikit-learn's digits at 32x32. On scans
as smooth as these, with a decoder as small as this, the twin does as well or better; the sheet shows how differently the two err.

Badrinarayanan, Kendall, Cipolla: SegNet: a deep convolutional encoder-decoder architecture for image segmentation, 2015.
"""

from __future__ import annotations

import plumbing
from plumbing import data, pictures
from tqdm import tqdm

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.optim import Adam
from minigrad.utils.data import DataLoader, TensorDataset


def tour() -> None:
    """The parameters of pooling on numbers small enough to check by eye."""
    x = mg.arange(25.0).reshape(1, 1, 5, 5)
    rows = {
        "max, 2x2": F.max_pool2d(x, 2),
        "max, 2x2, ceil_mode: the odd edge counts": F.max_pool2d(x, 2, ceil_mode=True),
        "average, 2x2, padding 1": F.avg_pool2d(x, 2, padding=1),
        "the same, padding not counted": F.avg_pool2d(x, 2, padding=1, count_include_pad=False),
        "the same, divisor_override 1: sums": F.avg_pool2d(x, 2, padding=1, divisor_override=1),
        "adaptive average to 3x3": F.adaptive_avg_pool2d(x, 3),
        "adaptive maximum to 2x2": F.adaptive_max_pool2d(x, 2),
    }
    print("on the numbers 0 to 24 in five rows")
    for name, y in rows.items():
        print(f"  {name:<42} {y[0, 0].tolist()}")
    values, indices = F.max_pool2d(x, 2, return_indices=True)
    print(f"  {'indices of the maxima, in the flat input':<42} {indices[0, 0].tolist()}")
    print(f"  {'unpooled to 5x5':<42} {F.max_unpool2d(values, indices, 2, output_size=(5, 5))[0, 0].int().tolist()}")


class Autoencoder(nn.Module):
    """Two pools down, two (un)pools up: (N, 1, 32, 32) -> (N, 1, 32, 32) scores of being on the outline."""

    def __init__(self, remember: bool):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.up2, self.up1 = nn.Conv2d(16, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
        self.repeat = nn.Upsample(scale_factor=2, mode="nearest")
        self.remember = remember

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        x, places1 = self.pool(F.relu(self.down1(x)))  # -> (N, 8, 16, 16)
        x, places2 = self.pool(F.relu(self.down2(x)))  # -> (N, 16, 8, 8)
        x = F.relu(self.up2(self.unpool(x, places2) if self.remember else self.repeat(x)))  # -> (N, 8, 16, 16)
        return self.up1(self.unpool(x, places1) if self.remember else self.repeat(x))


def overlap(scores: mg.Tensor, outlines: mg.Tensor) -> float:
    """Intersection over union of the drawn and the true mask."""
    drawn, true = scores > 0, outlines > 0.5
    return ((drawn & true).sum() / (drawn | true).sum()).item()


def main() -> None:
    args = plumbing.parser(__doc__, epochs=12).parse_args()
    epochs = 2 if args.quick else args.epochs
    tour()

    mg.manual_seed(args.seed)
    clean, _ = data.digit_images(args.seed, size=32)
    ink = (clean > 0.5).float()
    outlines = ink - ink * -F.max_pool2d(-ink, 3, stride=1, padding=1)  # the ink less what is left when a pixel is worn off
    rare = mg.tensor(4.0)  # an outline has few pixels: each counts for four
    cut = 1437
    curves, drawings = {}, {"digit": clean, "outline": outlines}
    for name, remember in (("with indices (MaxUnpool2d)", True), ("without (Upsample)", False)):
        mg.manual_seed(args.seed)
        model = Autoencoder(remember)
        optimizer = Adam(model.parameters(), lr=5e-3)
        loader = DataLoader(
            TensorDataset(clean[:cut], outlines[:cut]), 32, shuffle=True, generator=mg.Generator().manual_seed(args.seed)
        )
        curves[name] = []
        for _ in tqdm(range(epochs), name, unit="epoch"):
            for x, y in loader:
                optimizer.zero_grad()
                F.binary_cross_entropy_with_logits(model(x), y, pos_weight=rare).backward()
                optimizer.step()
            with mg.no_grad():
                scores = model(clean[cut:])
            curves[name].append(overlap(scores, outlines[cut:]))
        drawings[name] = mg.cat([mg.zeros(cut, 1, 32, 32), scores.sigmoid()])
        print(f"{name}: intersection over union {curves[name][-1]:.4f} on digits not trained on")

    pictures.draw_lines(args.out / "overlap.png", curves, "epoch", "intersection over union", "Outlines of test digits")
    pictures.draw_images(
        args.out / "outlines.png",
        {name: mg.cat(list(x[cut : cut + 8, 0]), dim=1).numpy() for name, x in drawings.items()},
        columns=1,
        size=9,
        vmin=0,
        vmax=1,
    )
    plumbing.result("intersection over union", curves["with indices (MaxUnpool2d)"][-1])


if __name__ == "__main__":
    main()
