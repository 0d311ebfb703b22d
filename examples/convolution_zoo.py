"""Convolution in every form: what each does to a photograph's shape, parameters, multiply-adds and receptive field, and to the photograph.

Then three ways to see one convolution, which must agree: minigrad's kernel, one sparse matrix, and im2col (unfold) with one matrix product;
and a separable kernel, 3x1 after 1x3, against its outer product.

Dumoulin, Visin: A guide to convolution arithmetic for deep learning, 2016; Howard and others: MobileNets, 2017 (depthwise separable);
Jin, Dundar, Culurciello: Flattened convolutional neural networks, 2015; Zhang and others: ShuffleNet, 2018 (channel shuffle).
"""

from __future__ import annotations

import numpy as np
import plumbing
import scipy.sparse
from plumbing import data, pictures

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn


def zoo(channels: int = 12) -> dict[str, nn.Module]:
    """Convolutions of `channels` channels, by the name of what is special about each."""
    c = channels
    return {
        "3x3": nn.Conv2d(c, c, 3),
        "3x3, padding 1": nn.Conv2d(c, c, 3, padding=1),
        "3x3, padding 1, reflect": nn.Conv2d(c, c, 3, padding=1, padding_mode="reflect"),
        "3x3, padding 1, replicate": nn.Conv2d(c, c, 3, padding=1, padding_mode="replicate"),
        "3x3, padding 1, circular": nn.Conv2d(c, c, 3, padding=1, padding_mode="circular"),
        "3x3, stride 2": nn.Conv2d(c, c, 3, stride=2),
        "3x3, dilation 3": nn.Conv2d(c, c, 3, dilation=3),
        "5x5": nn.Conv2d(c, c, 5),
        "two 3x3 in a row": nn.Sequential(nn.Conv2d(c, c, 3), nn.Conv2d(c, c, 3)),
        "1x1": nn.Conv2d(c, c, 1),
        "3x3 in 3 groups": nn.Conv2d(c, c, 3, groups=3),
        "3x3 in 3 groups, shuffled": nn.Sequential(nn.Conv2d(c, c, 3, groups=3), nn.ChannelShuffle(3)),
        "depthwise 3x3": nn.Conv2d(c, c, 3, groups=c),
        "depthwise separable": nn.Sequential(nn.Conv2d(c, c, 3, groups=c), nn.Conv2d(c, c, 1)),
        "spatially separable": nn.Sequential(nn.Conv2d(c, c, (3, 1)), nn.Conv2d(c, c, (1, 3))),
        "flattened": nn.Sequential(nn.Conv2d(c, 1, 1), nn.Conv2d(1, 1, (3, 1)), nn.Conv2d(1, c, (1, 3))),
        "transposed 3x3, stride 2": nn.ConvTranspose2d(c, c, 3, stride=2),
    }


def sparse_matrix(weight: np.ndarray, size: int) -> scipy.sparse.csr_matrix:
    """The convolution of one (size, size) image by one (K, K) kernel as a matrix: a row an output pixel, a column an input pixel."""
    k, out = len(weight), size - len(weight) + 1
    rows, columns, values = [], [], []
    for i in range(out):
        for j in range(out):
            for a in range(k):
                for b in range(k):
                    rows.append(i * out + j)
                    columns.append((i + a) * size + j + b)
                    values.append(weight[a, b])
    return scipy.sparse.csr_matrix((values, (rows, columns)), shape=(out * out, size * size))


def three_ways(path, seed: int) -> float:
    """One convolution as kernel, sparse matrix and im2col; draws the matrix; the largest difference."""
    rng = np.random.default_rng(seed)
    size, k = 8, 3
    image, weight = rng.standard_normal((1, 1, size, size)), rng.standard_normal((1, 1, k, k))
    x, w = mg.tensor(image), mg.tensor(weight)
    kernel = F.conv2d(x, w).flatten().numpy()
    matrix = sparse_matrix(weight[0, 0], size)
    columns = F.unfold(x, k)  # (1, K*K, OH*OW): each column holds the pixels under the kernel at one place
    im2col = (w.reshape(1, k * k) @ columns[0]).flatten().numpy()

    figure, (left, right) = pictures.plt.subplots(1, 2, figsize=(11, 5), width_ratios=(1.35, 1))
    left.spy(matrix, markersize=2)
    left.set(
        xlabel="input pixel (8 x 8 of them)",
        ylabel="output pixel (6 x 6)",
        title="A 3x3 convolution is this matrix: 9 entries a row",
    )
    picture = right.imshow(columns[0].numpy(), cmap="RdBu_r", aspect="auto")
    right.set(xlabel="output pixel", ylabel="tap of the kernel", title="im2col: the pixels under the kernel, place by place")
    right.grid(False)
    figure.colorbar(picture, ax=right, label="value of the pixel")
    pictures.save_figure(figure, path)

    column, row = rng.standard_normal((1, 1, k, 1)), rng.standard_normal((1, 1, 1, k))
    separable = F.conv2d(F.conv2d(x, mg.tensor(column)), mg.tensor(row)).numpy()
    outer = F.conv2d(x, mg.tensor(column * row)).numpy()
    return max(np.abs(matrix @ image.ravel() - kernel).max(), np.abs(im2col - kernel).max(), np.abs(separable - outer).max())


def effects(photograph: np.ndarray) -> dict[str, np.ndarray]:
    """What hyperparameters do to a picture: each channel convolved by itself with a blur, or with a blur that sees holes."""
    x = mg.from_numpy(photograph).unsqueeze(0)
    blur = mg.full((3, 1, 9, 9), 1 / 81)
    edge = mg.tensor([[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]]).expand(3, 1, 3, 3) / 4
    black = F.conv2d(x, blur, padding=36, groups=3)
    ways = {mode: F.conv2d(F.pad(x, (36,) * 4, mode=mode), blur, groups=3) for mode in ("reflect", "replicate", "circular")}
    colours = nn.ChannelShuffle(3)(x.repeat(1, 3, 1, 1))[
        :, :3
    ]  # the channels r g b r g b r g b as r r r g g g b b b: red is left
    return {
        "blur, zeros around": black[0].numpy(),
        **{f"blur, padding mode {mode}": y[0].numpy() for mode, y in ways.items()},
        "stride 6": F.conv2d(x, blur, stride=6, groups=3)[0].numpy(),
        "edges, 3x3": 0.5 + F.conv2d(x, edge, groups=3)[0].numpy(),
        "edges, dilation 4": 0.5 + F.conv2d(x, edge, dilation=4, groups=3)[0].numpy(),
        "r g b r g b r g b shuffled: r r r": colours[0].numpy(),
    }


def main() -> None:
    args = plumbing.parser(__doc__, data="a picture file (default: scikit-learn's photograph of a dahlia)").parse_args()
    mg.manual_seed(args.seed)
    photograph = data.photographs()["flower"][:, 60:380, 100:420] if args.data is None else data.read_photograph(args.data)

    print(f"{'(1, 12, 32, 32) through':<28}{'output':>18}{'parameters':>12}{'multiply-adds':>15}{'receptive field':>17}")
    for name, model in zoo().items():
        total = mg.summary(model, (1, 12, 32, 32)).total
        field = " x ".join(map(str, total.receptive_field))
        print(f"{name:<28}{total.output_shape!s:>18}{total.parameters:>12,}{total.multiply_adds:>15,}{field:>17}")
    video = mg.summary(nn.Conv3d(3, 4, kernel_size=(3, 5, 5), padding=(1, 2, 2)), (1, 3, 8, 16, 16)).total
    print(f"3-d, on 8 frames of 16x16 pixels in 3 colours: {video.output_shape}, {video.parameters:,} parameters")

    pictures.draw_images(args.out / "effects.png", effects(photograph), columns=4, size=2.9)
    plumbing.result("largest difference of the ways to convolve", three_ways(args.out / "matrices.png", args.seed), form=".1e")


if __name__ == "__main__":
    main()
