"""What a user waits for: tiny operations, whole training steps and imports, minigrad beside PyTorch.

    python benchmarks/steps.py [rounds]

Each library runs in a process of its own, in turn, `rounds` times (default 3); a figure is the median of many short blocks, the best
round of each library. PyTorch's time / minigrad's: above 1, minigrad is faster.
"""

import importlib
import json
import os
import statistics
import subprocess
import sys
import time


def median_us(call, repeats):
    """The median time of a call over 15 blocks, in microseconds."""
    blocks = []
    for _ in range(repeats // 5 + 1):
        call()
    for _ in range(15):
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        blocks.append((time.perf_counter() - start) / repeats * 1e6)
    return statistics.median(blocks)


def measure(library):
    """{workload: microseconds} for "minigrad" or "torch"."""
    lib = importlib.import_module(library)
    nn, functional = lib.nn, lib.nn.functional
    lib.manual_seed(0)
    results = {}

    a, b = lib.ones(4, 4, requires_grad=True), lib.ones(4, 4)
    results["add of two 4x4, recorded"] = median_us(lambda: a + b, 20000)

    def ten_multiplications():
        a.grad = None
        y = a
        for _ in range(10):
            y = y * b
        y.sum().backward()

    results["10 multiplications and a sum, forward and backward"] = median_us(ten_multiplications, 1000)

    def step(model, loss_function, x, y):
        optimizer = lib.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

        def one():
            optimizer.zero_grad()
            loss_function(model(x), y).backward()
            optimizer.step()

        return one

    mlp = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    results["MLP 2-16-16-1, batch 64, a training step"] = median_us(
        step(mlp, functional.mse_loss, lib.randn(64, 2), lib.randn(64, 1)), 300
    )
    for batch in (1, 16, 64, 256):
        lenet = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
        )  # fmt: skip
        call = step(lenet, functional.cross_entropy, lib.randn(batch, 1, 28, 28), lib.randint(0, 10, (batch,)))
        results[f"LeNet, batch {batch}, a training step"] = median_us(call, max(5, 300 // batch))
    return results


def import_seconds(library):
    """The median wall time of a process that imports the library and ends."""
    times = []
    for _ in range(9):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {library}"], check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "--worker":
        print(json.dumps(measure(sys.argv[2])))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    best = {"torch": {}, "minigrad": {}}
    for _ in range(rounds):
        for library, found in best.items():
            run = subprocess.run(
                [sys.executable, __file__, "--worker", library], check=True, capture_output=True, text=True, env=os.environ
            )
            for name, value in json.loads(run.stdout).items():
                found[name] = min(value, found.get(name, value))
    print(f"{'':52}  {'PyTorch':>10}  {'minigrad':>10}  ratio")
    for name, ours in best["minigrad"].items():
        theirs = best["torch"][name]
        print(f"{name:52}  {theirs:8.2f}us  {ours:8.2f}us  {theirs / ours:5.1f}")
    numpy, ours, theirs = (import_seconds(library) for library in ("numpy", "minigrad", "torch"))
    print(f"import: numpy {numpy:.3f} s, minigrad {ours:.3f} s ({ours / numpy:.2f} of numpy), torch {theirs:.3f} s")


if __name__ == "__main__":
    main()
