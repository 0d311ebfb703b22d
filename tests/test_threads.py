"""Threads: how many there are never changes a bit, a fork does not hang, and bad numbers are refused."""

import hashlib
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad._ext import threads
from minigrad.nn import functional as F


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.Tanh(),
        nn.Linear(120, 10),
    )


def train(steps, batch, dtype):
    """A hash of every loss, gradient and weight of a few steps."""
    mg.manual_seed(3)
    net = lenet().to(dtype)
    rng = np.random.default_rng(3)
    images = mg.from_numpy(rng.standard_normal((batch, 1, 28, 28))).to(dtype)
    labels = mg.from_numpy(rng.integers(0, 10, batch))
    optimizer = mg.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    digest = hashlib.sha256()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        digest.update(loss.detach().numpy().tobytes())
        for parameter in net.parameters():
            digest.update(parameter.grad.numpy().tobytes())
        optimizer.step()
        for parameter in net.parameters():
            digest.update(parameter.detach().numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture
def restored():
    number, threshold = threads.get_num_threads(), threads.set_parallel_threshold(40_000)
    threads.set_parallel_threshold(threshold)
    yield
    threads.set_num_threads(number)
    threads.set_parallel_threshold(threshold)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("threshold", [0, 40_000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_gives_the_same_bits_on_any_number_of_threads(dtype, threshold):
    threads.set_parallel_threshold(threshold)
    hashes = {}
    for number in (1, 2, 3, 4):
        mg.set_num_threads(number)
        hashes[number] = train(steps=3, batch=16 if threshold else 5, dtype=getattr(mg, dtype))
    assert len(set(hashes.values())) == 1, hashes


def test_set_num_threads(lib):
    before = lib.get_num_threads()
    try:
        lib.set_num_threads(3)
        assert lib.get_num_threads() == (3 if lib is not mg or threads.openmp_version() else 1)
    finally:
        lib.set_num_threads(before)


@pytest.mark.parametrize(
    ("number", "exception"),
    [(0, RuntimeError), (-1, RuntimeError), (1.5, (TypeError, RuntimeError)), ("2", (TypeError, RuntimeError))],
)
def test_bad_numbers_of_threads(lib, number, exception):
    before = lib.get_num_threads()
    with pytest.raises(exception):
        lib.set_num_threads(number)
    assert lib.get_num_threads() == before


def run_script(script, **environment):
    """Runs a script in a new interpreter, in this checkout, within a minute."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("value", "expected"), [("3", 3), ("1", 1), ("2,4", 2)])
def test_omp_num_threads_is_honoured(value, expected):
    result = run_script("import minigrad; print(minigrad.get_num_threads())", OMP_NUM_THREADS=value)
    assert result.stdout.split() == [str(expected if threads.openmp_version() else 1)], result.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_neither_hangs_nor_crashes():
    result = run_script(
        """
        import os, warnings
        import minigrad as mg
        from minigrad._ext import threads
        warnings.simplefilter("ignore")
        mg.set_num_threads(2)
        threads.set_parallel_threshold(0)

        def work():
            x = mg.ones((2, 3, 12, 12), requires_grad=True)
            w = mg.ones((4, 3, 3, 3), requires_grad=True)
            y = mg.nn.functional.relu(mg.nn.functional.conv2d(x, w))
            (y @ mg.ones((10, 7))).sum().backward()
            return float(w.grad.sum())

        expected = work()
        for _ in range(3):
            child = os.fork()
            if child == 0:
                grandchild = os.fork()
                same = work() == expected
                if grandchild == 0:
                    os._exit(0 if same else 1)
                _, status = os.waitpid(grandchild, 0)
                os._exit(0 if same and status == 0 else 1)
            assert work() == expected
            _, status = os.waitpid(child, 0)
            assert status == 0, status
        print("done")
        """
    )
    assert result.stdout.split() == ["done"], result.stderr


def test_a_parallel_pass_in_several_python_threads():
    result = run_script(
        """
        import threading
        import minigrad as mg
        from minigrad._ext import threads
        mg.set_num_threads(2)
        threads.set_parallel_threshold(0)
        found = []

        def work():
            for _ in range(10):
                x = mg.ones((2, 3, 12, 12), requires_grad=True)
                w = mg.ones((4, 3, 3, 3), requires_grad=True)
                mg.nn.functional.conv2d(x, w).exp().sum().backward()
                found.append((float(w.grad.sum()), float(x.grad.sum())))

        workers = [threading.Thread(target=work) for _ in range(3)]
        [worker.start() for worker in workers]
        [worker.join() for worker in workers]
        assert len(found) == 30 and len(set(found)) == 1, set(found)
        print("done")
        """
    )
    assert result.stdout.split() == ["done"], result.stderr


@pytest.mark.parametrize("level", ["v2", "v3", "v4", "v9"])
def test_show_config_tells_the_instruction_set(level):
    result = run_script("import minigrad; print(minigrad.show_config())", MINIGRAD_ISA=level)
    shown = result.stdout.strip().removesuffix(" kernels").rpartition(" ")[2]
    assert shown in ("x86-64-v2", "x86-64-v3", "x86-64-v4", "generic"), result.stderr
    if level == "v2":
        assert shown in ("x86-64-v2", "generic")
    if level == "v9":  # unknown, so ignored
        assert shown == threads.instruction_set() or "MINIGRAD_ISA" in os.environ


@pytest.mark.skipif(not (sys.platform == "linux" and threads.openmp_version()), reason="Linux with OpenMP")
def test_a_region_of_one_thread_makes_no_threads():
    """Each kernel below the threshold, and each kernel of a single-threaded library, runs on the caller's thread alone."""
    result = run_script(
        """
        import os
        import minigrad as mg
        mg.set_num_threads(1)
        x = mg.ones((2, 3, 12, 12), requires_grad=True)
        w = mg.ones((4, 3, 3, 3), requires_grad=True)
        net = mg.nn.Sequential(mg.nn.BatchNorm2d(4), mg.nn.ReLU(), mg.nn.MaxPool2d(2), mg.nn.Flatten(), mg.nn.Linear(100, 3))
        optimizer = mg.optim.Adam(net.parameters())
        for _ in range(20):
            optimizer.zero_grad()
            mg.nn.functional.cross_entropy(net(mg.nn.functional.conv2d(x, w)), mg.tensor([0, 2])).backward()
            optimizer.step()
        print(len(os.listdir("/proc/self/task")))
        """,
        OPENBLAS_NUM_THREADS="1",
    )
    assert result.stdout.split() == ["1"], result.stderr
