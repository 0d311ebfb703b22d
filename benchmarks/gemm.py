"""Matrix products: minigrad beside numpy (OpenBLAS on one thread) and PyTorch (MKL).

    python benchmarks/gemm.py [threads]

Each library runs in a process of its own (two OpenMP pools in one process fight), in short blocks; a figure is the best block.
"""

import os
import subprocess
import sys
import time

import numpy as np

# M, N, K and how A and B lie: n as it is, t transposed
SHAPES = [
    (64, 16, 16, "nn"), (16, 10, 84, "nt"), (16, 120, 400, "nt"), (64, 256, 784, "nt"), (1, 256, 784, "nt"), (64, 784, 256, "nn"),
    (256, 784, 64, "tn"), (64, 64, 64, "nn"), (128, 128, 128, "nn"), (256, 256, 256, "nn"), (512, 512, 512, "nn"),
    (1024, 1024, 1024, "nn"), (64, 3136, 256, "nn"), (256, 3136, 64, "nn"), (1, 1024, 1024, "nn"), (1024, 1, 1024, "nn"),
    (16, 1024, 1024, "nt"),
]  # fmt: skip


def laid_out(rng, rows, columns, layout):
    if layout == "t":
        return rng.standard_normal((columns, rows)).astype(np.float32).T
    return rng.standard_normal((rows, columns)).astype(np.float32)


def product(library, threads):
    """A function (a, b) -> () -> a @ b in this library."""
    if library == "torch":
        import torch

        torch.set_num_threads(threads)
        return lambda a, b: (lambda x, y: lambda: torch.mm(x, y))(torch.from_numpy(a), torch.from_numpy(b))
    if library == "minigrad":
        import minigrad

        minigrad.set_num_threads(threads)
        return lambda a, b: (lambda x, y: lambda: minigrad.mm(x, y))(minigrad.from_numpy(a), minigrad.from_numpy(b))
    return lambda a, b: lambda: a @ b


def measure(library, threads, seconds=0.2):
    """Microseconds of each shape."""
    rng, make, times = np.random.default_rng(0), product(library, threads), []
    for M, N, K, (left, right) in SHAPES:
        run = make(laid_out(rng, M, K, left), laid_out(rng, K, N, right))
        block, best, end = max(1, int(1e6 / (2 * M * N * K))), float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            for _ in range(block):
                run()
            best = min(best, (time.perf_counter() - start) / block)
        times.append(best * 1e6)
    return times


def main():
    if len(sys.argv) > 2:
        print(*measure(sys.argv[1], int(sys.argv[2])))
        return
    threads = sys.argv[1] if len(sys.argv) > 1 else "1"
    columns = {}
    for library in ("minigrad", "numpy", "torch"):
        command = [sys.executable, __file__, library, threads]
        done = subprocess.run(
            command, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            columns[library] = [float(t) for t in done.stdout.split()]
    print(f"{'M x N x K':>20}" + "".join(f"{library:>14} us" for library in columns) + "   GFLOP/s of minigrad")
    for i, (M, N, K, layout) in enumerate(SHAPES):
        figures = "".join(f"{times[i]:17.2f}" for times in columns.values())
        print(f"{M:>6}x{N:>4}x{K:>4} {layout:>3}" + figures + f"{2e-3 * M * N * K / columns['minigrad'][i]:12.1f}")


if __name__ == "__main__":
    main()
