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


class Unpooling(nn.Module):
    """An autoencoder whose decoder puts values back where the encoder's maxima were."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)

    def forward(self, x):
        h, indices = self.pool(self.encode(x).tanh())
        return self.decode(self.unpool(h, indices))


def block(channels, out, **options):
    return [nn.Conv2d(channels, out, 3, padding=1, **options), nn.BatchNorm2d(out), nn.ReLU()]


NETS = {
    "mlp": lambda: [nn.Flatten(), nn.Linear(784, 128), nn.Tanh(), nn.LayerNorm(128), nn.Linear(128, 10)],
    "lenet": lambda: [
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 10),
    ],
    "vgg": lambda: [
        *block(1, 32), *block(32, 32), nn.MaxPool2d(2), *block(32, 64), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 49, 10),
    ],
    "strided": lambda: [*block(1, 16, stride=2), *block(16, 33, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(33, 10)],
    "separable": lambda: [
        *block(1, 16), *block(16, 16, groups=16), nn.Conv2d(16, 24, 1), nn.GroupNorm(4, 24), nn.GELU(), nn.Conv2d(24, 24, 3, dilation=2),
        nn.Flatten(2), nn.AvgPool1d(576), nn.Flatten(), nn.Linear(24, 10),
    ],
    "upsampler": lambda: [
        nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.LeakyReLU(), nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1), nn.InstanceNorm2d(8),
        nn.SiLU(), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(8, 1, 3, stride=2, padding=1),
    ],
    "unpooling autoencoder": lambda: [Unpooling()],
}  # fmt: skip


def train(name, steps, batch, dtype):
    """A hash of every loss, gradient, weight and statistic of a few steps."""
    mg.manual_seed(3)
    net = nn.Sequential(*NETS[name]()).to(dtype)
    rng = np.random.default_rng(3)
    images = mg.from_numpy(rng.standard_normal((batch, 1, 28, 28))).to(dtype)
    labels = mg.from_numpy(rng.integers(0, 10, batch))
    optimizer = (mg.optim.Adam if batch % 2 else mg.optim.SGD)(net.parameters(), lr=0.01, weight_decay=1e-3)
    digest = hashlib.sha256()
    for _ in range(steps):
        optimizer.zero_grad()
        y = net(images)
        loss = F.cross_entropy(y, labels) if y.ndim == 2 else F.mse_loss(y, images)
        loss.backward()
        for array in (loss, *(parameter.grad for parameter in net.parameters())):
            digest.update(array.detach().numpy().tobytes())
        optimizer.step()
        for array in net.state_dict().values():
            digest.update(array.numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture
def restored():
    number, threshold = threads.get_num_threads(), threads.set_parallel_threshold(40_000)
    threads.set_parallel_threshold(threshold)
    yield
    threads.set_num_threads(number)
    threads.set_parallel_threshold(threshold)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    ("dtype", "batch", "threshold"),
    [("float32", 3, 0), ("float64", 2, 0), ("float32", 32, 40_000)],
    ids=["small, each kernel on all threads", "float64", "as large as is worth the threads"],
)
@pytest.mark.parametrize("name", NETS)
def test_training_gives_the_same_bits_on_any_number_of_threads(name, dtype, batch, threshold):
    threads.set_parallel_threshold(threshold)
    hashes = {}
    for number in (1, 2, 3, 4, 7):
        mg.set_num_threads(number)
        hashes[number] = train(name, 2, batch, getattr(mg, dtype))
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


def cgroup(root, **files):
    """A control group with these files, __ for the dot in their names."""
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(text)


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/", {"": "max 100000"}, np.inf),
        ("0::/", {"": "150000 100000"}, 1.5),
        ("0::/a/b", {"a/b": "max 100000", "a": "300000 100000", "": "800000 100000"}, 3),
        ("0::/a/b", {"a/b": "50000 100000", "a": "300000 100000"}, 0.5),
        ("0::/a", {"a": "nonsense"}, np.inf),
        ("", {}, np.inf),
    ],
)
def test_the_quota_of_the_control_group_and_of_those_above_it(tmp_path, membership, files, cores):
    for name, text in files.items():
        cgroup(tmp_path / "fs" / name, cpu__max=text)
    (tmp_path / "membership").write_text(membership)
    assert threads._cgroup_quota(str(tmp_path / "fs"), str(tmp_path / "membership")) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", np.inf), ("250000", 2.5)])
def test_the_quota_of_an_older_control_group(tmp_path, quota, cores):
    cgroup(tmp_path / "cpu,cpuacct" / "a", cpu__cfs_quota_us=quota, cpu__cfs_period_us="100000")
    (tmp_path / "membership").write_text("3:memory:/a\n2:cpu,cpuacct:/a\n")
    assert threads._cgroup_quota(str(tmp_path), str(tmp_path / "membership")) == cores
    assert threads._cgroup_quota(str(tmp_path), str(tmp_path / "missing")) == np.inf


@pytest.mark.skipif(not (sys.platform == "linux" and threads.openmp_version()), reason="Linux with OpenMP")
def test_large_kernels_run_on_the_threads_they_are_given():
    result = run_script(
        """
        import os
        import minigrad as mg
        mg.set_num_threads(3)
        mg.ones(4, 1000, 1000).exp()
        print(len(os.listdir("/proc/self/task")))
        """,
        OPENBLAS_NUM_THREADS="1",
    )
    assert result.stdout.split() == ["3"], result.stderr


WORK = """
import numpy as np
x = mg.ones((2, 3, 12, 12), requires_grad=True)
w = mg.ones((4, 3, 3, 3), requires_grad=True)
y = mg.nn.functional.conv2d(x, w).exp()
(y @ mg.ones((10, 7))).sum().backward()
mine = float(w.grad[0, 0, 0, 0])
"""


@pytest.mark.parametrize("first", ["minigrad as mg", "torch"])
def test_beside_pytorch_in_either_order(torch, first):
    """Both libraries' pools of threads in one process; `torch` is here so that the test is skipped without it."""
    second = "torch" if first != "torch" else "minigrad as mg"
    script = f"import {first}\nimport {second}\n" + textwrap.dedent("""
        from minigrad._ext import threads
        threads.set_parallel_threshold(0)
        mg.set_num_threads(2)
        torch.set_num_threads(2)
        for _ in range(3):
            WORK
            x = torch.ones((2, 3, 12, 12), requires_grad=True)
            w = torch.ones((4, 3, 3, 3), requires_grad=True)
            (torch.nn.functional.conv2d(x, w).exp() @ torch.ones((10, 7))).sum().backward()
            big = torch.ones(1000, 1000).exp().sum()
            assert abs(float(w.grad[0, 0, 0, 0]) / mine - 1) < 1e-5
        print("done")
    """).replace("    WORK", textwrap.indent(WORK, "    "))
    result = run_script(script)
    assert result.stdout.split() == ["done"], result.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_worker_processes_compute_as_their_parent_does(tmp_path, method):
    (tmp_path / "work.py").write_text(
        textwrap.dedent("""
        import multiprocessing, sys, warnings
        import minigrad as mg
        from minigrad._ext import threads

        def work(_):
            mg.set_num_threads(2)
            threads.set_parallel_threshold(0)
            x, w = mg.ones((2, 3, 12, 12)), mg.ones((4, 3, 3, 3), requires_grad=True)
            mg.nn.functional.conv2d(x, w).exp().sum().backward()
            return float(w.grad.sum())

        if __name__ == "__main__":
            warnings.simplefilter("ignore")
            before = work(0)
            with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
                there = pool.map(work, range(4))
                assert work(0) == before
            assert set(there) == {before}, (there, before)
            print("done")
        """)
    )
    result = subprocess.run(
        [sys.executable, "work.py", method], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )  # fmt: skip
    assert result.stdout.split() == ["done"], result.stderr


@pytest.mark.skipif(not (sys.platform == "linux" and threads.openmp_version()), reason="Linux with OpenMP")
@pytest.mark.parametrize(("environment", "expected"), [({}, "4000"), ({"GOMP_SPINCOUNT": "77"}, "77")])
def test_waiting_threads_spin_for_microseconds_unless_the_user_says_otherwise(environment, expected):
    script = """
        import os
        before = dict(os.environ)
        import minigrad
        assert os.environ == before
        print("done")
    """
    result = run_script(script, OMP_DISPLAY_ENV="verbose", **environment)
    assert result.stdout.split() == ["done"], result.stderr
    assert f"GOMP_SPINCOUNT = '{expected}'" in result.stderr
