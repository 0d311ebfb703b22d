"""The caching allocator: what it reuses, what it gives back, what it refuses, and that nobody notices it otherwise."""

import gc
import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import minigrad as mg
from minigrad._ext.memory import empty_array, zeros_array

MB = 1 << 20
FLOAT = np.dtype(np.float32)

caching = pytest.mark.skipif(mg.memory_stats()["cache_limit"] == 0, reason="the caching allocator is off in this process")


@pytest.fixture(autouse=True)
def clean():
    """Each test starts with an empty cache and ends with the limit it found."""
    gc.collect()
    limit = mg.memory_stats()["cache_limit"]
    mg.empty_cache()
    mg.reset_peak_memory_stats()
    yield
    mg.set_cache_limit(limit)


def run_script(script, **environment):
    """The output of a script in a new interpreter."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=True,
    ).stdout.split()  # fmt: skip


@caching
def test_freed_memory_is_used_again_for_the_same_size():
    x = mg.ones(512, 512)
    first = x + 1
    address = first._array.ctypes.data
    del first
    before = mg.memory_stats()
    assert before["cached"] >= MB
    second = x * 3
    after = mg.memory_stats()
    assert second._array.ctypes.data == address
    assert after["reused"] > before["reused"]
    assert after["fresh"] == before["fresh"]
    np.testing.assert_array_equal(second.numpy(), 3)


@caching
@pytest.mark.parametrize("size", [64 << 10, 100_000, MB, 2 * MB - 4, 3 * MB])
def test_large_arrays_start_a_page(size):
    """So that no result lies just behind its argument in a page: loads would wait for stores they only seem to depend on."""
    arrays = [empty_array((size // 4,), FLOAT) for _ in range(5)]
    assert [a.ctypes.data % 4096 for a in arrays] == [0] * 5


@caching
def test_a_larger_block_serves_a_smaller_request_but_not_a_much_smaller_one():
    large = empty_array((MB // 4,), FLOAT)
    address = large.ctypes.data
    del large
    assert empty_array((MB // 16,), FLOAT).ctypes.data != address
    assert mg.memory_stats()["cached"] == MB + MB // 4
    mg.empty_cache()
    large = empty_array((MB // 4,), FLOAT)
    del large
    assert mg.memory_stats()["cached"] == MB
    smaller = empty_array((MB // 4 * 5 // 8 + 1,), FLOAT)
    assert mg.memory_stats()["cached"] == 0
    del smaller


@caching
def test_statistics_count_what_is_alive_cached_and_the_peak():
    base = mg.memory_stats()["allocated"]
    arrays = [empty_array((n, 1024), FLOAT) for n in (64, 64, 256)]
    stats = mg.memory_stats()
    assert stats["allocated"] - base == (64 + 64 + 256) * 4096
    assert stats["cached"] == 0
    del arrays[0]
    stats = mg.memory_stats()
    assert stats["allocated"] - base == (64 + 256) * 4096
    assert stats["cached"] == 64 * 4096
    assert stats["peak_allocated"] - base == (64 + 64 + 256) * 4096
    mg.empty_cache()
    assert mg.memory_stats()["cached"] == 0
    mg.reset_peak_memory_stats()
    assert mg.memory_stats()["peak_allocated"] - base == (64 + 256) * 4096


@caching
def test_small_arrays_stay_with_numpy():
    before = mg.memory_stats()
    arrays = [empty_array((n,), FLOAT) for n in (0, 1, 1000, 65532 // 4)]
    assert mg.memory_stats() == before
    assert empty_array((65536 // 4,), FLOAT).nbytes == 65536
    assert mg.memory_stats() != before
    assert len(arrays) == 4


@caching
@pytest.mark.parametrize("shape", [(2, 0, 1 << 40), (1 << 30, 0)])
def test_empty_arrays_of_long_sides(shape):
    assert empty_array(shape, FLOAT).shape == shape


@caching
@pytest.mark.parametrize("nbytes", [65536, 65540, 81920, 81924, MB - 4, MB, MB + 4, 2 * MB - 4, 2 * MB, 2 * MB + 4, 9 * MB + 4])
def test_every_byte_of_an_array_is_its_own(nbytes):
    arrays = [empty_array((nbytes // 4,), FLOAT) for _ in range(3)]
    for i, array in enumerate(arrays):
        array.fill(i)
    assert [(array.min(), array.max()) for array in arrays] == [(0, 0), (1, 1), (2, 2)]
    assert all(array.ctypes.data % 64 == 0 for array in arrays)
    if nbytes >= 2 * MB:
        assert all(array.ctypes.data % (2 * MB) == 0 for array in arrays)


@caching
@pytest.mark.parametrize("size", [100, 300_000, 3_000_000])
def test_zeros_are_zero_in_used_memory_too(size):
    for _ in range(3):
        array = zeros_array((size,), FLOAT)
        assert not array.any()
        array.fill(7)
        del array


@caching
def test_numpy_may_resize_such_an_array():
    array = empty_array((100_000,), FLOAT)
    array[:] = np.arange(100_000)
    for size in (100_001, 3_000_000, 50_000, 10, 200_000):
        kept = min(size, len(array))
        expected = array[:kept].copy()
        array.resize(size, refcheck=False)
        np.testing.assert_array_equal(array[:kept], expected)
    base = mg.memory_stats()["allocated"]
    del array
    assert mg.memory_stats()["allocated"] < base


@caching
def test_the_limit_bounds_what_is_kept():
    before = mg.set_cache_limit(3 * MB)
    assert before > 0
    assert mg.memory_stats()["cache_limit"] == 3 * MB
    arrays = [empty_array((MB // 4,), FLOAT) for _ in range(6)]
    del arrays
    assert mg.memory_stats()["cached"] == 3 * MB
    large = empty_array((MB,), FLOAT)
    del large  # 4 MB alone are above the limit
    assert mg.memory_stats()["cached"] <= 3 * MB
    assert mg.set_cache_limit(0) == 3 * MB
    assert mg.memory_stats()["cached"] == 0
    del (array := [empty_array((MB // 4,), FLOAT)])[0]
    assert not array
    assert mg.memory_stats()["cached"] == 0


@pytest.mark.parametrize(
    ("limit", "error"), [(1.5, TypeError), ("1", TypeError), (None, TypeError), (True, TypeError), (-1, ValueError)]
)
def test_bad_limits(limit, error):
    with pytest.raises(error, match="set_cache_limit expects"):
        mg.set_cache_limit(limit)


@caching
def test_changing_shapes_do_not_grow_the_cache():
    rng = np.random.default_rng(0)
    live_at_most = 0
    for _ in range(1000):
        sizes = rng.integers(20_000, 2_000_000, 4)
        arrays = [empty_array((size,), FLOAT) for size in sizes]
        stats = mg.memory_stats()
        live_at_most = max(live_at_most, stats["allocated"])
        assert stats["allocated"] + stats["cached"] <= 1.125 * stats["peak_allocated"] + 16 * MB
        del arrays
    assert stats["peak_allocated"] == live_at_most


@caching
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
def test_a_thousand_steps_of_changing_shapes_do_not_grow_the_process():
    grown, live = map(
        int,
        run_script(
            """
            import minigrad as mg, random
            from minigrad.nn import functional as F

            def resident():
                with open("/proc/self/statm") as file:
                    return int(file.read().split()[1]) * 4096

            random.seed(0)
            w = mg.randn(8, 3, 3, 3, requires_grad=True)

            def step():
                x = mg.rand(random.randint(1, 6), 3, random.randint(32, 96), random.randint(32, 96))
                F.max_pool2d(F.conv2d(x, w).relu(), 2).mean().backward()

            for _ in range(200):
                step()
            start = resident()
            for _ in range(800):
                step()
            print(resident() - start, mg.memory_stats()["peak_allocated"])
            """
        ),
    )
    assert grown < 8 * MB + live // 4


@pytest.mark.parametrize("caching", ["0", "1"])
def test_absurd_sizes_raise_memory_error(caching):
    assert run_script(
        """
        import minigrad as mg
        for size in (2**42, 2**45):
            for make in (mg.empty, lambda n: mg.ones(1).expand(n) + 1):
                try:
                    make(size)
                except MemoryError as error:
                    assert "allocate" in str(error), error
                else:
                    raise SystemExit(f"{size} floats")
        print((mg.ones(300, 300) + 1).sum().item())
        """,
        MINIGRAD_CACHING_ALLOCATOR=caching,
    ) == ["180000.0"]


def test_off_by_the_environment():
    script = """
        import minigrad as mg
        x = (mg.ones(300, 300) + 1).exp()
        del x
        print(mg.set_cache_limit(1 << 30), *mg.memory_stats().values())
    """
    assert run_script(script, MINIGRAD_CACHING_ALLOCATOR="0") == ["0"] * 7


@caching
def test_off_under_a_checker_of_memory():
    script = "import minigrad as mg; print(mg.memory_stats()['cache_limit'])"
    assert run_script(script, LD_PRELOAD="/nowhere/vgpreload_memcheck-amd64-linux.so") == ["0"]


@caching
def test_threads_share_the_cache():
    failures = []

    def work(value):
        for i in range(300):
            array = empty_array((20_000 + 1000 * (i % 7),), FLOAT)
            array.fill(value)
            if array.min() != value or array.max() != value:
                failures.append(value)

    base = mg.memory_stats()["allocated"]
    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures
    assert mg.memory_stats()["allocated"] == base


@caching
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_both_sides_of_a_fork_go_on_allocating():
    assert run_script(
        """
        import os, threading, warnings
        import minigrad as mg
        warnings.simplefilter("ignore")
        stop = []

        def churn():
            while not stop:
                mg.ones(200, 200) + 1

        threading.Thread(target=churn, daemon=True).start()
        for _ in range(30):
            child = os.fork()
            if child == 0:
                x = [mg.ones(200, 200) * i for i in range(4)]
                os._exit(0 if [t.sum().item() for t in x] == [0, 40000, 80000, 120000] else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop.append(1)
        print("done")
        """
    ) == ["done"]


@caching
def test_the_handler_is_numpys_own_again_after_every_call():
    before = np._core.multiarray.get_handler_name()
    mg.ones(512, 512).exp()
    with pytest.raises(RuntimeError):
        mg.ones(512, 512) @ mg.ones(3, 3)
    with pytest.raises(MemoryError):
        empty_array((1 << 45,), FLOAT)
    assert np._core.multiarray.get_handler_name() == before
    assert np._core.multiarray.get_handler_name(mg.ones(512, 512).exp()._array) == "minigrad_caching"
    assert np._core.multiarray.get_handler_name(np.ones((512, 512))) == before
