"""Convolutions and their two gradients: minigrad beside PyTorch (oneDNN), float32.

    python benchmarks/conv.py [threads]

Each library runs in a process of its own (two OpenMP pools in one process fight); a figure is the median of many calls in
microseconds, PyTorch's / minigrad's, and their ratio (above 1: minigrad is faster).
"""

import subprocess
import sys
import time

import numpy as np

# name: N, C, H = W, O, kernel, stride, padding, groups
LAYERS = {
    "LeNet 1->6 5x5, batch 1": (1, 1, 28, 6, 5, 1, 0, 1),
    "LeNet 1->6 5x5, batch 64": (64, 1, 28, 6, 5, 1, 0, 1),
    "LeNet 6->16 5x5, batch 1": (1, 6, 12, 16, 5, 1, 0, 1),
    "LeNet 6->16 5x5, batch 64": (64, 6, 12, 16, 5, 1, 0, 1),
    "3x3 64, 56x56, batch 16": (16, 64, 56, 64, 3, 1, 1, 1),
    "3x3 128, 28x28, batch 8": (8, 128, 28, 128, 3, 1, 1, 1),
    "3x3 256, 14x14, batch 8": (8, 256, 14, 256, 3, 1, 1, 1),
    "3x3 512, 7x7, batch 8": (8, 512, 7, 512, 3, 1, 1, 1),
    "3x3 stride 2 64->128": (16, 64, 56, 128, 3, 2, 1, 1),
    "depthwise 3x3 64, 56x56": (16, 64, 56, 64, 3, 1, 1, 64),
    "1x1 64->256, 56x56": (16, 64, 56, 256, 1, 1, 0, 1),
    "11x11 stride 4 3->64": (16, 3, 112, 64, 11, 4, 2, 1),
}


def calls(library, threads, arrays, stride, padding, groups):
    """Forward, gradient of the input and gradient of the weight, as functions without arguments."""
    if library == "torch":
        import torch

        torch.set_num_threads(threads)
        x, w, b, g = map(torch.from_numpy, arrays)

        def backward(*wanted):
            return torch.ops.aten.convolution_backward(
                g, x, w, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups, [*wanted, False]
            )

        forward = lambda: torch.conv2d(x, w, b, stride, padding, 1, groups)  # noqa: E731
        return forward, lambda: backward(True, False), lambda: backward(False, True)
    import minigrad
    from minigrad.nn import functional as F
    from minigrad.ops import conv

    minigrad.set_num_threads(threads)
    x, w, b, g = map(minigrad.from_numpy, arrays)
    pairs = [(n, n) for n in (stride, padding, 1)]
    geometry = conv.Geometry(arrays[0].shape[2:], arrays[1].shape[2:], arrays[3].shape[2:], *pairs, groups)
    return (
        lambda: F.conv2d(x, w, b, stride, padding, 1, groups),
        lambda: conv.conv_transpose(g, w, None, geometry),
        lambda: conv.conv_weight(x, g, geometry),
    )


def median(run, seconds):
    run()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e6 * sorted(times)[len(times) // 2]


def measure(library, threads, seconds=0.3):
    """Microseconds of the three calls of each layer."""
    rng, found = np.random.default_rng(0), []
    for N, C, size, O, kernel, stride, padding, groups in LAYERS.values():  # noqa: E741
        out = (size + 2 * padding - kernel) // stride + 1
        shapes = (N, C, size, size), (O, C // groups, kernel, kernel), (O,), (N, O, out, out)
        arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
        found += [median(run, seconds) for run in calls(library, threads, arrays, stride, padding, groups)]
    return found


def main():
    if len(sys.argv) > 2:
        print(*measure(sys.argv[1], int(sys.argv[2])))
        return
    threads = sys.argv[1] if len(sys.argv) > 1 else "1"
    columns = []
    for library in ("torch", "minigrad"):
        done = subprocess.run([sys.executable, __file__, library, threads], capture_output=True, text=True, check=True)
        columns.append([float(t) for t in done.stdout.split()])
    print(f"{'':26}" + "".join(f"{name:>28}" for name in ("forward", "gradient of x", "gradient of w")))
    for i, name in enumerate(LAYERS):
        both = [(columns[0][3 * i + j], columns[1][3 * i + j]) for j in range(3)]
        print(f"{name:26}" + "".join(f"{theirs:10.0f} /{ours:8.0f} ={theirs / ours:6.2f}" for theirs, ours in both))


if __name__ == "__main__":
    main()
