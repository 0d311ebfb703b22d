"""The results as a table on the terminal, as Markdown, and as a chart."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

Row = dict[str, Any]

FAMILIES = {
    "step": "whole training steps", "tiny": "tiny operations", "call": "calls with small tensors", "convolution": "convolution",
    "matmul": "matrix products", "pooling": "pooling", "norm": "normalization", "activation": "activations",
    "elementwise": "elementwise functions", "reduction": "reductions", "softmax": "softmax", "loss": "losses",
    "resize": "resizing and sampling", "pad": "padding", "index": "indexing and embedding", "shape": "joining and copying",
    "random": "random numbers and dropout", "sequence": "layers over sequences", "optim": "optimizer steps",
    "allocator": "new memory", "program": "whole processes",
}  # fmt: skip
NOT_OPS = ("step", "tiny", "call", "sequence", "optim", "allocator", "program")


def median(row: Row, library: str) -> float | None:
    return row.get(library, {}).get("median")


def ratio(row: Row) -> float | None:
    """PyTorch's best block / minigrad's median: above 1, minigrad is faster. None where one of the two is missing."""
    ours, theirs = median(row, "minigrad"), row.get("torch", {}).get("best")
    return theirs / ours if ours and theirs else None


def geometric_mean(rows: Iterable[Row]) -> float | None:
    ratios = [found for row in rows if (found := ratio(row))]
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None


def means(rows: list[Row]) -> list[tuple[str, float | None, int]]:
    """(what, geometric mean of the ratios, how many rows) for the two families of targets and for each family."""
    ops = [row for row in rows if row["family"] not in NOT_OPS]
    groups = [
        ("all whole training steps", [row for row in rows if row["family"] == "step"]),
        ("all operations, forward and backward", [row for row in ops if row["mode"] == "both"]),
        ("all operations, forward", [row for row in ops if row["mode"] == "forward"]),
    ]
    groups += [
        (label, [row for row in rows if row["family"] == family and row["mode"] != "forward"])
        for family, label in FAMILIES.items()
        if family != "step"
    ]
    return [(what, geometric_mean(group), len(group)) for what, group in groups if group]


# What the library is to reach: (what, rows as 'family/name mode', at least, stretch). The worst of the rows counts.
TARGETS = [
    ("adding two 4x4 tensors, recorded", r"^tiny/add ", 4, 8),
    ("ten multiplications and a sum, forward and backward", r"^tiny/ten ", 9, 15),
    ("a step of the MLP 2-16-16-1 at batch 64", r"^step/MLP 2-16-16-1, batch 64, tanh", 10, 20),
    ("a step of LeNet at batch 1", r"^step/LeNet, batch 1 ", 6, 9),
    ("steps of LeNet at batch 16 and more", r"^step/LeNet, batch (16|64|256) ", 2, 3),
    ("3x3 convolution of stride 1 with 32 channels and more", r"/conv2d 3x3 (32|64|128|256|512), ", 2, 2.5),
    ("1x1 convolution", r"/conv2d 1x1.* both", 2, 3),
    ("depthwise convolution", r"/conv2d depthwise.* both", 5, 8),
    (
        "other convolutions: strided, large, dilated, grouped, 1-d, 3-d, transposed",
        r"/conv(2d (3x3 (stride|dilated|in 4)|5x5|7x7|11x11)|1d|3d|_transpose).* both",
        1,
        1.5,
    ),
    ("max_pool2d of images, forward", r"/max_pool2d [23]x[23]( stride 2)? forward", 10, 30),
    ("avg_pool2d of images, forward", r"/avg_pool2d [23]x[23]( stride 2)? forward", 8, 15),
    ("bilinear interpolation, forward", r"/bilinear x2.* forward", 8, 12),
    ("batch_norm in training, forward", r"/batch_norm training forward", 4, 5),
    (
        "layer_norm, group_norm, instance_norm, cross_entropy, tanh, exp, forward and backward",
        r"/(layer_norm|group_norm|instance_norm|cross_entropy|tanh|exp) ?.* both",
        1.3,
        2,
    ),
    (
        "relu, add, sum, softmax, sigmoid, matmul from 256",
        r"/(relu \d|add \d|sum \d|softmax|sigmoid|matmul (256|512|1024)).* (both|forward)",
        0.9,
        1,
    ),
    ("LeNet to 97.5 % on MNIST, the whole script", r"^program/MNIST", 2.5, 5),
    ("peak memory of a VGG step", r"^program/growth of memory", 1 / 0.9, 1 / 0.6),
]


def targets(rows: list[Row]) -> list[tuple[str, float, float, float, str]]:
    """(what, at least, stretch, reached, by which row) for the targets that have rows with a ratio."""
    ops = [row for row in rows if row["family"] not in NOT_OPS]
    found = []
    groups = [("all whole training steps, geometric mean", [row for row in rows if row["family"] == "step"], 2.5, 4)]
    groups += [("all operations, forward and backward, geometric mean", [row for row in ops if row["mode"] == "both"], 2, 3)]
    for what, group, least, stretch in groups:
        if mean := geometric_mean(group):
            found.append((what, least, stretch, mean, f"{len(group)} rows"))
    rated = [(rate, row) for row in rows if (rate := ratio(row))]
    for what, pattern, least, stretch in [("every row", "", 0.9, 1), *TARGETS]:
        chosen = [
            (rate, row["name"]) for rate, row in rated if re.search(pattern, f"{row['family']}/{row['name']} {row['mode']}")
        ]
        if chosen:
            found.append((what, least, stretch, *min(chosen)))
    for row in rows:
        if row["name"] == "import" and "numpy" in row and "minigrad" in row:
            found.append(
                ("import minigrad / import numpy, at most", 1.6, 1.3, median(row, "minigrad") / median(row, "numpy"), "import")
            )
    return found


def number(value: float | None, width: int = 0) -> str:
    """Three significant digits; nothing for None."""
    if value is None:
        return " " * width
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:{width}.{digits}f}"


def heading() -> str:
    return (
        f"{'':58}{'':>9}{'minigrad':>11}{'best':>9}{'worst':>9}{'PyTorch':>11}{'ratio':>7}{'numpy':>10}{'limit':>9}{'share':>7}"
    )


def line(row: Row) -> str:
    """A line of the terminal's table. A star marks times taken while other processes ran."""
    ours, limit = row.get("minigrad", {}), row.get("limit")
    errors = [
        f"{library}: {row[library]['error']}" for library in ("minigrad", "torch", "numpy") if "error" in row.get(library, {})
    ]
    share = f"{100 * limit / ours['median']:5.0f} %" if limit and "median" in ours else ""
    stars = "*" if any(row.get(library, {}).get("noisy") for library in ("minigrad", "torch")) else ""
    cells = [number(ours.get(key), width) for key, width in (("median", 9), ("best", 9), ("worst", 9))]
    cells += [number(median(row, "torch"), 11), number(ratio(row), 7), number(median(row, "numpy"), 10), number(limit, 9)]
    return f"{row['name']:58.58}{row['mode']:>9}{cells[0]}{row['unit']:>2}{''.join(cells[1:])}{share:>7} {stars}{'; '.join(errors)}"


def summary(rows: list[Row]) -> str:
    found = means(rows)
    if not any(mean for _, mean, _ in found):
        return ""
    lines = ["", "geometric means of PyTorch / minigrad"]
    lines += [f"  {what:44}{number(mean, 7)}   ({count} rows)" for what, mean, count in found if mean]
    slow = sorted((found, row["name"], row["mode"]) for row in rows if (found := ratio(row)) and found < 0.9)
    if slow:
        lines += [f"below 0.9: {len(slow)} rows", *(f"  {number(value)}  {name}, {mode}" for value, name, mode in slow)]
    return "\n".join(lines)


def markdown(results: dict[str, Any]) -> str:
    """The whole table as a page."""
    machine, rows = results["machine"], results["rows"]
    text = [
        "# Benchmarks: every operation beside PyTorch",
        "",
        "Written by `python -m benchmarks --markdown`; do not edit. [performance.md](performance.md) says how it is measured.",
        "",
        f"{machine['processor']}, {results['threads']} threads; "
        + ", ".join(f"{name} {version}" for name, version in {"Python": machine["python"], **results["versions"]}.items())
        + ".",
    ]
    if results.get("limits"):
        speed = dict(map(tuple, results["limits"]["bandwidth"]))
        text += [
            "",
            f"Limits measured: {results['limits']['flops'] / 1e9:.0f} GFLOP/s in float32; copying moves "
            + ", ".join(f"{speed[size] / 1e9:.0f} GB/s at {size >> 20} MB" for size in (1 << 20, 1 << 22, 1 << 24, 1 << 27))
            + " (bytes read and written).",
        ]
    text += ["", "| geometric mean of | ratio | rows |", "|---|---|---|"]
    text += [f"| {what} | {number(mean)} | {count} |" for what, mean, count in means(rows) if mean]
    text += ["", "## Targets", "", "| ratio of | at least | stretch | reached | by |", "|---|---|---|---|---|"]
    for what, least, stretch, reached, where in targets(rows):
        good = reached <= least if "at most" in what else reached >= least
        figure = f"**{number(reached)}**" if good else number(reached)
        text.append(f"| {what} | {number(least)} | {number(stretch)} | {figure} | {where} |")
    text += ["", "Bold: reached. The worst row counts, and is named."]
    for family, label in FAMILIES.items():
        chosen = [row for row in rows if row["family"] == family]
        if not chosen:
            continue
        text += [
            "",
            f"## {label[0].upper()}{label[1:]}",
            "",
            "| | | minigrad | PyTorch | ratio | numpy | share of the limit |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in chosen:
            ours, limit = median(row, "minigrad"), row.get("limit")
            share = f"{100 * limit / ours:.0f} %" if limit and ours else ""
            mode = {"both": "forward + backward", "forward": "forward"}.get(row["mode"], "")
            cells = [f"{number(value)} {row['unit']}" if value else "" for value in (ours, median(row, "torch"))]
            numpy = f"{number(median(row, 'numpy'))} {row['unit']}" if "numpy" in row else ""
            name = row["name"].replace("*", "\\*").replace("|", "\\|")
            text.append(f"| {name} | {mode} | {cells[0]} | {cells[1]} | {number(ratio(row))} | {numpy} | {share} |")
    return "\n".join(text) + "\n"


def chart(results: dict[str, Any], path: str) -> None:
    """Draws the ratios of the whole steps and programs, and the geometric mean of each family, as bars on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FixedLocator, NullLocator

    rows = results["rows"]
    bars = [(row["name"], ratio(row), "tab:blue") for row in rows if row["family"] in ("step", "program") and ratio(row)]
    families = [(label, family) for family, label in FAMILIES.items() if family not in ("step", "program")]
    for label, family in families:
        mean = geometric_mean(row for row in rows if row["family"] == family and row["mode"] != "forward")
        if mean:
            bars.append((label, mean, "tab:orange"))
    if not bars:
        raise ValueError("nothing to draw: no row has both libraries")
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.27 * len(bars)), layout="constrained")
    for place, (_, value, color) in enumerate(bars):
        axes.barh(place, value - 1, left=1, color=color, height=0.72)
        axes.annotate(
            f"{value:.1f}" if value < 9.95 else f"{value:.0f}",
            (max(value, 1), place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(bars)), [label for label, _, _ in bars], fontsize=8)
    axes.invert_yaxis()
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xscale("log")
    low, high = min(0.8, *(value for _, value, _ in bars)), max(value for _, value, _ in bars)
    axes.set_xlim(low / 1.1, high * 1.5)
    ticks = [tick for tick in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100) if low / 1.1 <= tick <= high * 1.5]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick:g}x" for tick in ticks])
    axes.axvline(1, color="black", linewidth=1)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_title(f"How many times as fast as PyTorch ({results['threads']} threads, CPU)", fontsize=10, loc="left")
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=color) for color in ("tab:blue", "tab:orange")]
    labels = ["one program or training step", "a family of operations, forward + backward (geometric mean)"]
    figure.legend(handles, labels, fontsize=8, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
