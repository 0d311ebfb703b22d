"""Worker processes of the DataLoader: the same batches, random numbers, errors, deaths, shared memory, clean ends."""

import contextlib
import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.utils import data
from minigrad.utils.data import transport

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="worker processes need a POSIX system"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create [23] worker"),  # on a machine with fewer processors
]


@pytest.fixture(autouse=True)
def nothing_left():
    """No worker and no descriptor outlives a test."""
    yield
    gc.collect()
    left = [child for child in multiprocessing.active_children() if "Fork" in type(child).__name__]
    assert not left, left


class Rows(data.Dataset):
    def __init__(self, length=23):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        return {"x": mg.full((3,), float(i)), "y": i, "name": f"row {i}"}


class Shards(data.IterableDataset):
    """0..length-1, every worker its share, of different sizes."""

    def __init__(self, length=20, split=True):
        self.length, self.split = length, split

    def __iter__(self):
        info = data.get_worker_info()
        if info is None or not self.split:
            return iter(range(self.length))
        return iter(range(info.id * info.id, self.length, info.num_workers))


class Broken(data.Dataset):
    """Goes wrong at index 5."""

    def __init__(self, what):
        self.what = what

    def __len__(self):
        return 12

    def __getitem__(self, i):
        if i == 5:
            self.what()
        return i


def plain(batch):
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items()}
    return batch.tolist() if hasattr(batch, "tolist") else batch


@pytest.mark.parametrize(
    "options", [{}, {"shuffle": True}, {"drop_last": True}, {"prefetch_factor": 5}, {"persistent_workers": True}]
)
def test_the_same_batches_for_any_number_of_workers(options):
    def epochs(num_workers):
        mg.manual_seed(3)
        given = options if num_workers else {k: v for k, v in options.items() if k in ("shuffle", "drop_last")}
        loader = data.DataLoader(Rows(), 4, num_workers=num_workers, **given)
        result = [[plain(batch) for batch in loader] for _ in range(2)]
        return result, mg.get_rng_state().tolist()

    expected = epochs(0)
    assert [epochs(n) for n in (1, 2, 3)] == [expected] * 3


def test_a_generator_gives_the_same_order_with_workers():
    def order(num_workers):
        loader = data.DataLoader(range(40), 7, shuffle=True, generator=mg.Generator().manual_seed(5), num_workers=num_workers)
        return [batch.tolist() for _ in range(2) for batch in loader]

    assert order(2) == order(0)


def test_no_batching_and_other_collate_functions():
    assert list(data.DataLoader(range(5), batch_size=None, num_workers=2)) == [0, 1, 2, 3, 4]
    assert list(data.DataLoader(range(5), 2, collate_fn=tuple, num_workers=2)) == [(0, 1), (2, 3), (4,)]
    assert [
        b.tolist() for b in data.DataLoader(range(5), batch_sampler=[[4, 0], [], [2]], collate_fn=mg.tensor, num_workers=2)
    ] == [
        [4, 0],
        [],
        [2],
    ]


def test_iterable_datasets(lib):
    """The order in which batches of unequal shards come is PyTorch's."""
    dataset = Shards() if lib is mg else as_torch_stream(lib)
    expected = [[0, 2, 4], [1, 3, 5], [6, 8, 10], [7, 9, 11], [12, 14, 16], [13, 15, 17], [18], [19]]
    assert [b.tolist() for b in lib.utils.data.DataLoader(dataset, 3, num_workers=2)] == expected
    dropped = lib.utils.data.DataLoader(dataset, 3, num_workers=2, drop_last=True)
    assert [b.tolist() for b in dropped] == expected[:-2]
    assert sorted(lib.utils.data.DataLoader(dataset, None, num_workers=1)) == list(range(20))


def as_torch_stream(torch):
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            info = torch.utils.data.get_worker_info()
            return iter(range(info.id * info.id, 20, info.num_workers))

    return Stream()


def test_streams_of_very_different_lengths():
    class Uneven(data.IterableDataset):
        def __iter__(self):
            yield from range(*((0, 1) if data.get_worker_info().id == 0 else (100, 110)))

    loader = data.DataLoader(Uneven(), 2, num_workers=2, persistent_workers=True)
    expected = [[0], *([i, i + 1] for i in range(100, 110, 2))]
    for _ in range(2):
        assert [b.tolist() for b in loader] == expected


def test_a_stream_that_is_longer_than_it_says_warns(lib):
    class Liar(lib.utils.data.IterableDataset):
        def __len__(self):
            return 3

        def __iter__(self):
            return iter(range(4))

    loader = lib.utils.data.DataLoader(Liar(), 1, num_workers=0)
    list(loader)
    assert len(loader) == 3
    with pytest.warns(UserWarning, match="was reported to be 3.*4 samples have been fetched"):
        list(loader)


def describe(_):
    info = data.get_worker_info()
    return (
        [info.id, info.num_workers, info.seed, random.random(), np.random.rand(), mg.rand(()).item(), mg.get_num_threads()],
        os.getpid(),
    )


def remember(worker_id):
    data.get_worker_info().dataset.length = 100 + worker_id


def test_what_a_worker_knows_and_draws():
    loader = data.DataLoader(range(4), 1, num_workers=2, collate_fn=describe, generator=mg.Generator().manual_seed(1))
    (first, pid_0), (second, pid_1), _, _ = loader
    base = first[2]
    assert base == mg.randint(2**63 - 1, (), generator=mg.Generator().manual_seed(1)).item()
    assert (first[:3], second[:3]) == ([0, 2, base], [1, 2, base + 1])
    assert first[3] == random.Random(base).random()
    assert second[5] == mg.rand((), generator=mg.Generator().manual_seed(base + 1)).item()
    assert first[4] != second[4]
    assert first[6] == second[6] == 1
    assert len({pid_0, pid_1, os.getpid()}) == 3
    assert data.get_worker_info() is None
    again = data.DataLoader(range(4), 1, num_workers=2, collate_fn=describe, generator=mg.Generator().manual_seed(1))
    assert next(iter(again))[0] == first

    loader = data.DataLoader(
        Rows(), 1, num_workers=2, worker_init_fn=remember, collate_fn=lambda _: data.get_worker_info().dataset.length
    )
    assert list(loader)[:2] == [100, 101]


def test_an_error_keeps_its_type_and_shows_where_it_was_raised(lib):
    Loader = lib.utils.data.DataLoader

    def missing():
        return {}["no such key"]

    loader = iter(Loader(Broken(missing), 4, num_workers=2))
    assert next(loader).tolist() == [0, 1, 2, 3]
    with pytest.raises(
        KeyError, match=r"(?s)^Caught KeyError in DataLoader worker process 1.\nOriginal Traceback.*in missing"
    ) as caught:
        next(loader)
    assert "KeyError: 'no such key'" in str(caught.value)
    assert next(loader).tolist() == [8, 9, 10, 11]
    assert list(loader) == []


class TakesTwo(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


def test_errors_of_awkward_types_become_runtime_errors():
    class Local(Exception):
        pass

    def end():
        raise StopIteration

    def raiser(error):
        def raise_it():
            raise error

        return raise_it

    for what, text in ((raiser(TakesTwo(1, 2)), "TakesTwo"), (raiser(Local("x")), "Local"), (end, "StopIteration")):
        with pytest.raises(RuntimeError, match=f"Caught {text} in DataLoader worker process 0"):
            list(data.DataLoader(Broken(what), 12, num_workers=1))
    with pytest.raises(ValueError, match="Caught ValueError"):
        list(data.DataLoader(Broken(raiser(ValueError("x"))), 12, num_workers=1))
    with pytest.raises(Exception, match=r"Can't pickle|Can't get local object|cannot pickle"):
        list(data.DataLoader(range(3), 1, collate_fn=lambda _: lambda: 0, num_workers=1))


def test_errors_of_init_functions_and_streams():
    def fail(_):
        raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck"):
        list(data.DataLoader(range(3), 1, num_workers=1, worker_init_fn=fail))

    class Late(data.IterableDataset):
        def __iter__(self):
            yield 1
            raise KeyError("late")

    loader = iter(data.DataLoader(Late(), 1, num_workers=1))
    assert next(loader).tolist() == [1]
    with pytest.raises(KeyError, match="late"):
        next(loader)


def test_a_non_leaf_tensor_cannot_leave_a_worker():
    dataset = [mg.ones(2, requires_grad=True) * 2]
    with pytest.raises(RuntimeError, match=r"(?s)Caught RuntimeError in DataLoader worker process 0.*leaf"):
        list(data.DataLoader(dataset, None, num_workers=1))


@pytest.mark.parametrize(
    ("what", "text"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "is killed by signal: Killed"),
        (lambda: os._exit(3), "exited unexpectedly with exit code 3"),
        (lambda: sys.exit(0), "exited unexpectedly with exit code 0"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "is killed by signal: Terminated"),
    ],
    ids=["SIGKILL", "_exit", "exit", "SIGTERM"],
)
def test_a_worker_that_dies_raises(what, text):
    started = time.monotonic()
    loader = iter(data.DataLoader(Broken(what), 4, num_workers=2))
    assert next(loader).tolist() == [0, 1, 2, 3]
    with pytest.raises(RuntimeError, match=rf"DataLoader worker 1 \(pid \d+\) {text}"):
        next(loader)
    with pytest.raises(RuntimeError, match="workers of this DataLoader iterator are gone"):
        next(loader)
    assert time.monotonic() - started < 20


def test_workers_killed_from_outside_between_batches():
    loader = data.DataLoader(Rows(1000), 4, num_workers=2, persistent_workers=True)
    iterator = iter(loader)
    next(iterator)
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="is killed by signal: Killed"):
        for _ in iterator:
            pass
    assert len(list(loader)) == 250  # new workers


def test_timeout():
    loader = data.DataLoader(Broken(lambda: time.sleep(60)), 12, num_workers=1, timeout=0.2)
    started = time.monotonic()
    iterator = iter(loader)
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.2 seconds"):
        next(iterator)
    for child in multiprocessing.active_children():
        child.kill()
    del iterator
    assert time.monotonic() - started < 20


def test_an_abandoned_loader_ends_its_workers():
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else None
    for _ in data.DataLoader(Rows(10**6), 4, num_workers=2):
        assert len(multiprocessing.active_children()) == 2
        break
    gc.collect()
    assert multiprocessing.active_children() == []
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before


def test_persistent_workers_live_on():
    loader = data.DataLoader(range(6), 2, num_workers=2, persistent_workers=True, collate_fn=lambda b: (b, os.getpid()))
    first = list(loader)
    assert {pid for _, pid in first} == {child.pid for child in multiprocessing.active_children()}
    next(iter(loader))  # an epoch given up: what its workers still hold is dropped
    assert list(loader) == first


def test_two_loaders_at_once_and_one_in_the_other():
    outer, inner = (data.DataLoader(range(n), 1, num_workers=2) for n in (3, 4))
    assert [(a.item(), [b.item() for b in inner]) for a in outer] == [(i, [0, 1, 2, 3]) for i in range(3)]


def nested(_):
    return [b.tolist() for b in data.DataLoader(range(3), 2)]


def nested_workers(_):
    return list(data.DataLoader(range(3), 2, num_workers=1))


def test_loaders_within_workers():
    assert list(data.DataLoader(range(2), 2, collate_fn=nested, num_workers=1)) == [[[0, 1], [2]]]
    with pytest.raises(AssertionError, match="daemonic processes are not allowed to have children"):
        list(data.DataLoader(range(2), 2, collate_fn=nested_workers, num_workers=1))


def test_in_order_false_gives_every_batch():
    loader = data.DataLoader(range(50), 3, num_workers=2, in_order=False)
    assert sorted(i for batch in loader for i in batch.tolist()) == list(range(50))


def test_workers_after_parallel_regions():
    """Both the parent and its workers run kernels with threads, before and after the forks."""
    a = mg.ones(400, 400)

    def product(indices):
        return (a @ a)[0, 0] + len(indices)

    threads = mg.get_num_threads()
    mg.set_num_threads(2)
    assert (a @ a)[0, 0].item() == 400
    assert [b.item() for b in data.DataLoader(range(6), 2, collate_fn=product, num_workers=2)] == [402.0] * 3
    assert (a @ a)[0, 0].item() == 400
    mg.set_num_threads(threads)


# ---- memory


def test_large_arrays_come_in_shared_memory(rng):
    images = mg.tensor(rng.standard_normal((6, 3, 200, 200)).astype(np.float32))
    (batch,) = data.DataLoader(data.TensorDataset(images, mg.arange(6)), 6, num_workers=1)
    assert mg.equal(batch[0], images)
    assert batch[1].tolist() == [0, 1, 2, 3, 4, 5]
    assert len(transport._mapped) == 1
    batch[0].add_(1)  # the memory is the caller's own
    batch[0].requires_grad_()
    del batch
    gc.collect()
    assert len(transport._mapped) == 0


def test_kept_batches_do_not_use_up_descriptors(monkeypatch):
    monkeypatch.setattr(transport, "_MAP_FROM", 1000)
    monkeypatch.setattr(transport, "_MAX_MAPPED", 5)
    kept = list(data.DataLoader([mg.full((300,), float(i)) for i in range(40)], 1, num_workers=2))
    assert len(transport._mapped) == 5
    assert [t[0, 0].item() for t in kept] == list(range(40))


def test_many_kinds_of_objects_travel(rng):
    shared = mg.ones(3)
    sample = {
        "empty": mg.zeros(0, 3),
        "scalar": mg.tensor(2.5, dtype=mg.float64),
        "bools": mg.tensor([True, False]),
        "transposed": mg.arange(6).reshape(2, 3).t(),
        "twice": [shared, shared],
        "leaf": mg.ones(2, requires_grad=True),
        "array": np.asfortranarray(rng.standard_normal((4, 5))),
        "text": "é" * 10,
    }
    (out,) = data.DataLoader([sample], None, num_workers=1, collate_fn=lambda x: x)
    assert out["empty"].shape == (0, 3)
    assert (out["scalar"].item(), out["scalar"].dtype, out["scalar"].ndim) == (2.5, mg.float64, 0)
    assert out["bools"].tolist() == [True, False]
    assert out["transposed"].tolist() == sample["transposed"].tolist()
    assert out["twice"][0] is out["twice"][1]
    assert out["leaf"].requires_grad
    assert np.array_equal(out["array"], sample["array"])
    assert out["text"] == sample["text"]
    out["scalar"].add_(1)


def open_files(pid):
    """Files that a process has open or mapped; only those with a name could be left behind."""
    folder = Path(f"/proc/{pid}/fd")
    if not folder.exists():
        return []
    found = [line.split()[-1] for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    for link in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            found.append(os.readlink(link))
    return found


# ---- processes of their own

PROGRAM = """
import os, signal, sys, time
import minigrad as mg
from minigrad.utils import data

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts the tests in the background has it ignored

class Rows(data.Dataset):
    def __len__(self): return 10**6
    def __getitem__(self, i): return mg.full((10**5,), float(i))

def pid(batch): return batch[0], os.getpid()
"""


def start(body):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-W", "ignore:This DataLoader will create", "-c", PROGRAM + textwrap.dedent(body)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def gone(pid, seconds=15.0):
    """Whether the process ends within that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] if os.path.exists("/proc") else ""
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


LOOP = """
for batch, worker in data.DataLoader(Rows(), 4, num_workers=2, collate_fn=pid):
    print(worker, flush=True)
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM], ids=lambda s: s.name)
def test_workers_end_with_their_parent(stop):
    with start(LOOP) as process:
        workers = [int(process.stdout.readline()) for _ in range(4)]
        assert not any(path.startswith("/dev/shm") for pid in (process.pid, workers[0]) for path in open_files(pid))
        if stop is signal.SIGINT:
            os.killpg(process.pid, stop)  # what Ctrl-C does: every process of the terminal is told
        else:
            process.send_signal(stop)
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert all(gone(worker) for worker in workers)
    assert errors.count("KeyboardInterrupt") == (1 if stop is signal.SIGINT else 0), errors
    assert "ResourceWarning" not in errors


ALIVE_AT_EXIT = """
iterator = iter(data.DataLoader(Rows(), 4, num_workers=2, persistent_workers=True))
next(iterator)
"""
LEFT_ALONE_BY_A_FORK = """
iterator = iter(data.DataLoader(Rows(), 4, num_workers=2))
next(iterator)
if os.fork() == 0:
    del iterator
    os._exit(0)
os.wait()
next(iterator)
"""


@pytest.mark.parametrize("body", [ALIVE_AT_EXIT, LEFT_ALONE_BY_A_FORK], ids=["at exit", "in a fork"])
def test_programs_that_end_with_an_iterator_alive(body):
    with start(body) as process:
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


def test_other_start_methods(tmp_path):
    """A script whose dataset can be pickled, under spawn and forkserver; and the tracebacks of Ctrl-C are not doubled."""
    script = tmp_path / "script.py"
    script.write_text(
        "from minigrad.utils import data\n"
        "class Rows(data.Dataset):\n"
        "    def __len__(self): return 5\n"
        "    def __getitem__(self, i): return i, data.get_worker_info().num_workers\n"
        "if __name__ == '__main__':\n"
        "    for method in ('spawn', 'forkserver'):\n"
        "        loader = data.DataLoader(Rows(), 2, num_workers=2, multiprocessing_context=method)\n"
        "        print([[t.tolist() for t in batch] for batch in loader])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    result = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert result.stdout.splitlines() == ["[[[0, 1], [2, 2]], [[2, 3], [2, 2]], [[4], [2]]]"] * 2, result.stderr


# ---- arguments


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        (ValueError, {"prefetch_factor": -1}, "prefetch_factor option should be non-negative"),
        (ValueError, {"multiprocessing_context": "thread"}, "should specify a valid start method"),
        (TypeError, {"multiprocessing_context": 3}, "should be a valid context object or a string"),
        (ValueError, {"timeout": -1}, "timeout option should be non-negative"),
    ],
)
def test_options_that_are_refused(lib, kind, options, text):
    with pytest.raises(kind, match=text):
        lib.utils.data.DataLoader([1], num_workers=1, **options)


def test_a_prefetch_factor_of_zero_is_refused():
    with pytest.raises(ValueError, match="prefetch_factor option should be at least 1"):
        data.DataLoader([1], num_workers=1, prefetch_factor=0)


def test_attributes_that_are_fixed(lib):
    loader = lib.utils.data.DataLoader([1], num_workers=1)
    assert (loader.prefetch_factor, loader.num_workers, loader.persistent_workers) == (2, 1, False)
    for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"):
        with pytest.raises(ValueError, match=f"{name} attribute should not be set after DataLoader is initialized"):
            setattr(loader, name, None)
    loader.collate_fn = len


def test_more_workers_than_processors_warn(lib):
    with pytest.warns(UserWarning, match="This DataLoader will create 99 worker processes in total"):
        lib.utils.data.DataLoader([1], num_workers=99)


def test_iterators_are_not_pickled():
    import pickle

    with pytest.raises(NotImplementedError, match="state_dict"):
        pickle.dumps(iter(data.DataLoader([1])))
