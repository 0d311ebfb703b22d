"""utils.data: datasets, samplers, collate and the DataLoader; most tests run on PyTorch too."""

from collections import namedtuple

import numpy as np
import pytest

import minigrad as mg
from minigrad.utils import data

Pair = namedtuple("Pair", ["x", "y"])


def lists(batches):
    return [[t.tolist() for t in batch] for batch in batches]


@pytest.fixture
def pairs(lib):
    return lib.utils.data.TensorDataset(lib.arange(14, dtype=lib.float32).reshape(7, 2), lib.arange(7))


class Squares:
    """No Dataset at all: __getitem__ and __len__ are enough."""

    def __len__(self):
        return 5

    def __getitem__(self, i):
        if not 0 <= i < 5:
            raise IndexError(i)
        return i * i


def test_tensor_dataset(lib, pairs):
    assert len(pairs) == 7
    assert [t.tolist() for t in pairs[2]] == [[4, 5], 2]
    assert [t.tolist() for t in pairs[5:]] == [[[10, 11], [12, 13]], [5, 6]]
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        lib.utils.data.TensorDataset(lib.ones(2), lib.ones(3))


def test_concat_chain_stack_subset(lib, pairs):
    D = lib.utils.data
    joined = pairs + D.TensorDataset(lib.zeros(2, 2), lib.tensor([8, 9]))
    assert isinstance(joined, D.ConcatDataset)
    assert joined.cumulative_sizes == [7, 9]
    assert [joined[i][1].item() for i in (0, 6, 7, 8, -1, -9)] == [0, 6, 8, 9, 9, 0]
    with pytest.raises(ValueError, match="absolute value of index should not exceed dataset length"):
        joined[-10]
    with pytest.raises(AssertionError, match="datasets should not be an empty iterable"):
        D.ConcatDataset([])
    part = D.Subset(pairs, [5, 1, 3])
    assert [part[i][1].item() for i in range(3)] == [5, 1, 3]
    assert [s[1].item() for s in part.__getitems__([0, 2])] == [5, 3]
    assert [t.tolist() for t in part[[0, 1]]][1] == [5, 1]
    stacked = D.StackDataset(Squares(), Squares())
    assert (stacked[2], len(stacked)) == ((4, 4), 5)
    assert D.StackDataset(a=Squares())[3] == {"a": 9}
    with pytest.raises(ValueError, match="At least one dataset should be passed"):
        D.StackDataset()
    with pytest.raises(ValueError, match="Size mismatch between datasets"):
        D.StackDataset(Squares(), pairs)
    with pytest.raises(NotImplementedError):
        D.Dataset()[0]


class TensOfMany(Squares):
    """Its samples differ when many are asked for at once."""

    def __getitems__(self, indices):
        return [10 * i for i in indices]


def test_many_samples_at_once(lib):
    D = lib.utils.data
    assert D.StackDataset(TensOfMany(), Squares()).__getitems__([0, 2]) == [(0, 0), (20, 4)]
    assert D.StackDataset(a=TensOfMany(), b=Squares()).__getitems__([2]) == [{"a": 20, "b": 4}]
    assert [b.tolist() for b in D.DataLoader(D.Subset(TensOfMany(), [2, 1]), 2)] == [[20, 10]]

    class Short(Squares):
        def __getitems__(self, indices):
            return []

    with pytest.raises(ValueError, match=r"Nested dataset's output size mismatch. Expected 2, got 0"):
        D.StackDataset(Short()).__getitems__([0, 1])


def test_random_split(lib, pairs):
    D = lib.utils.data
    parts = D.random_split(pairs, [4, 3], generator=lib.Generator().manual_seed(1))
    assert [len(part) for part in parts] == [4, 3]
    assert sorted(i for part in parts for i in part.indices) == list(range(7))
    assert [len(part) for part in D.random_split(pairs, [0.3, 0.3, 0.4])] == [3, 2, 2]
    with pytest.raises(ValueError, match="Sum of input lengths does not equal the length of the input dataset!"):
        D.random_split(pairs, [4, 4])
    with pytest.raises(ValueError, match="Fraction at index 0 is not between 0 and 1"):
        D.random_split(pairs, [-0.5, 1.5])
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        D.random_split(Squares(), [0.99, 0.01])


def test_samplers(lib):
    D = lib.utils.data
    five = range(5)
    assert list(D.SequentialSampler(five)) == [0, 1, 2, 3, 4]
    g = lib.Generator().manual_seed(2)
    order = list(D.RandomSampler(five, generator=g))
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert sorted(list(D.RandomSampler(five, num_samples=12))[:10]) == sorted([*five, *five])
    drawn = list(D.RandomSampler(five, replacement=True, num_samples=40))
    assert len(drawn) == 40
    assert set(drawn) <= set(five)
    assert sorted(D.SubsetRandomSampler([3, 7, 9])) == [3, 7, 9]
    weighted = D.WeightedRandomSampler([0.0, 1.0, 0.0, 2.0], 50)
    assert set(weighted) == {1, 3}
    assert len(weighted) == 50
    assert sorted(D.WeightedRandomSampler([1, 1, 1], 3, replacement=False)) == [0, 1, 2]
    assert list(D.BatchSampler(five, 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(D.BatchSampler(five, 2, True)) == [[0, 1], [2, 3]]
    assert [len(D.BatchSampler(five, 2, drop)) for drop in (False, True)] == [3, 2]


@pytest.mark.parametrize(
    ("kind", "call", "text"),
    [
        (TypeError, lambda D: D.RandomSampler([1], 1), "replacement should be a boolean value, but got replacement=1"),
        (ValueError, lambda D: D.RandomSampler([]), "num_samples should be a positive integer value, but got num_samples=0"),
        (
            ValueError,
            lambda D: D.WeightedRandomSampler([1.0], 0),
            "num_samples should be a positive integer value, but got num_sam",
        ),
        (
            ValueError,
            lambda D: D.WeightedRandomSampler([1.0], 1, 3),
            "replacement should be a boolean value, but got replacement=3",
        ),
        (
            ValueError,
            lambda D: D.WeightedRandomSampler([[1.0]], 1),
            "weights should be a 1d sequence but given weights have shape",
        ),
        (
            ValueError,
            lambda D: D.BatchSampler([1], 0, False),
            "batch_size should be a positive integer value, but got batch_size=0",
        ),
        (
            ValueError,
            lambda D: D.BatchSampler([1], True, False),
            "batch_size should be a positive integer value, but got batch_size",
        ),
        (ValueError, lambda D: D.BatchSampler([1], 1, 3), "drop_last should be a boolean value, but got drop_last=3"),
        (ValueError, lambda D: D.DataLoader([1], num_workers=-1), "num_workers option should be non-negative"),
        (ValueError, lambda D: D.DataLoader([1], timeout=-1), "timeout option should be non-negative"),
        (
            ValueError,
            lambda D: D.DataLoader([1], prefetch_factor=2),
            "prefetch_factor option could only be specified in multiproc",
        ),
        (ValueError, lambda D: D.DataLoader([1], persistent_workers=True), "persistent_workers option needs num_workers > 0"),
        (
            ValueError,
            lambda D: D.DataLoader([1], multiprocessing_context="fork"),
            "multiprocessing_context can only be used with",
        ),
        (
            ValueError,
            lambda D: D.DataLoader([1], sampler=[0], shuffle=True),
            "sampler option is mutually exclusive with shuffle",
        ),
        (
            ValueError,
            lambda D: D.DataLoader([1], batch_sampler=[[0]], drop_last=True),
            "batch_sampler option is mutually exclusive",
        ),
        (
            ValueError,
            lambda D: D.DataLoader([1], batch_size=None, drop_last=True),
            "batch_size=None option disables auto-batching",
        ),
        (
            ValueError,
            lambda D: D.DataLoader([1], batch_size=0),
            "batch_size should be a positive integer value, but got batch_size=0",
        ),
    ],
)
def test_errors(lib, kind, call, text):
    with pytest.raises(kind) as caught:
        call(lib.utils.data)
    assert text in str(caught.value)


def test_loader_batches(lib, pairs):
    Loader = lib.utils.data.DataLoader
    assert [y for _, y in lists(Loader(pairs, batch_size=3))] == [[0, 1, 2], [3, 4, 5], [6]]
    assert lists(Loader(pairs, 3))[1][0] == [[6, 7], [8, 9], [10, 11]]
    dropping = Loader(pairs, 3, drop_last=True)
    assert [y for _, y in lists(dropping)] == [[0, 1, 2], [3, 4, 5]]
    assert (len(Loader(pairs, 3)), len(dropping), len(Loader(pairs))) == (3, 2, 7)
    g = lib.Generator().manual_seed(3)
    shuffled = Loader(pairs, 3, shuffle=True, generator=g)
    first, second = ([y for _, ys in lists(shuffled) for y in ys] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second
    assert [y for _, y in lists(Loader(pairs, 2, sampler=[4, 1, 0]))] == [[4, 1], [0]]
    assert [y for _, y in lists(Loader(pairs, batch_sampler=[[6, 0], [1]]))] == [[6, 0], [1]]
    assert [t.tolist() for t in next(iter(Loader(pairs, batch_size=None)))] == [[0, 1], 0]
    assert len(Loader(pairs, batch_size=None)) == 7
    assert next(iter(Loader(pairs, 2, collate_fn=len))) == 2
    part = lib.utils.data.Subset(lib.utils.data.Subset(pairs, [6, 5, 4]), [2, 0])
    assert lists(Loader(part, 2)) == [[[[8, 9], [12, 13]], [4, 6]]]
    with pytest.raises(IndexError):
        list(Loader(pairs, 2, sampler=[0, 7]))


def test_fast_path_equals_the_slow_one(rng):
    x, y = mg.tensor(rng.standard_normal((11, 2, 3))), mg.arange(11)
    dataset = data.TensorDataset(x, y)
    slow = data.DataLoader(dataset, 4, collate_fn=lambda batch: data.default_collate(batch))
    fast = data.DataLoader(dataset, 4)
    for a, b in zip(fast, slow, strict=True):
        assert type(a) is type(b) is list
        for s, t in zip(a, b, strict=True):
            assert (s.tolist(), s.dtype, s.shape) == (t.tolist(), t.dtype, t.shape)
    (first, _) = next(iter(fast))
    first[0] = 0
    assert x[0].numpy().any()
    with pytest.raises(IndexError):
        list(data.DataLoader(dataset, 2, sampler=[11]))
    x.requires_grad_()
    (batch, _) = next(iter(data.DataLoader(dataset, 2)))
    assert batch.requires_grad


def test_plain_objects_as_datasets(lib):
    Loader = lib.utils.data.DataLoader
    assert [b.tolist() for b in Loader(Squares(), 2)] == [[0, 1], [4, 9], [16]]
    assert [b.tolist() for b in Loader([1.5, 2.5], 2)] == [[1.5, 2.5]]
    assert next(iter(Loader([1.5], 1))).dtype is lib.float64
    assert list(Loader(["a", "b"], 2)) == [["a", "b"]]


def test_iterable_dataset(lib):
    class Stream(lib.utils.data.IterableDataset):
        def __iter__(self):
            return iter(range(5))

        def __len__(self):
            return 5

    Loader = lib.utils.data.DataLoader
    assert [b.tolist() for b in Loader(Stream(), 2)] == [[0, 1], [2, 3], [4]]
    assert [b.tolist() for b in Loader(Stream(), 2, drop_last=True)] == [[0, 1], [2, 3]]
    assert list(Loader(Stream(), batch_size=None)) == [0, 1, 2, 3, 4]
    assert (len(Loader(Stream(), 2)), len(Loader(Stream(), 2, drop_last=True)), len(Loader(Stream(), None))) == (3, 2, 5)
    chain = Stream() + Stream()
    assert len(chain) == 10
    assert [b.tolist() for b in Loader(chain, 7)] == [[0, 1, 2, 3, 4, 0, 1], [2, 3, 4]]
    with pytest.raises(ValueError, match="expected unspecified shuffle option, but got shuffle=True"):
        Loader(Stream(), shuffle=True)
    with pytest.raises(ValueError, match="expected unspecified sampler option"):
        Loader(Stream(), sampler=[0])
    with pytest.raises(ValueError, match="expected unspecified batch_sampler option"):
        Loader(Stream(), batch_sampler=[[0]])
    with pytest.raises(AssertionError, match="ConcatDataset does not support IterableDataset"):
        lib.utils.data.ConcatDataset([Stream()])


def test_default_collate(lib):
    collate = lib.utils.data.default_collate
    x = lib.ones(2)
    batch = collate([{"a": x, "b": [1, 2.0], "s": "p"}, {"a": x * 2, "b": [3, 4.0], "s": "q"}])
    assert batch["a"].tolist() == [[1, 1], [2, 2]]
    assert [b.tolist() for b in batch["b"]] == [[1, 3], [2, 4]]
    assert [b.dtype for b in batch["b"]] == [lib.int64, lib.float64]
    assert batch["s"] == ["p", "q"]
    named = collate([Pair(x, 1), Pair(x, 2)])
    assert type(named) is Pair
    assert named.y.tolist() == [1, 2]
    assert type(collate([(x, 1), (x, 2)])) is list
    assert collate([np.ones(2, "f"), np.zeros(2, "f")]).tolist() == [[1, 1], [0, 0]]
    assert collate([np.float32(1), np.float32(2)]).dtype is lib.float32
    assert collate([True, False]).dtype is lib.bool
    assert collate([b"x"]) == [b"x"]
    with pytest.raises(
        TypeError, match="default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found"
    ):
        collate([object()])
    with pytest.raises(TypeError, match="found <U1"):
        collate([np.array(["a"])])
    with pytest.raises(RuntimeError, match="each element in list of batch should be of equal size"):
        collate([[1], [1, 2]])
    with pytest.raises(RuntimeError):
        collate([lib.ones(2), lib.ones(3)])
    with pytest.raises(TypeError, match="expected Tensor as element 1"):
        collate([lib.ones(2), 1])


def test_default_collate_keeps_gradients(lib):
    x = lib.ones(2, requires_grad=True)
    lib.utils.data.default_collate([x, x]).sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_default_convert(lib):
    convert = lib.utils.data.default_convert
    assert convert(np.ones(2)).dtype is lib.float64
    assert convert({"a": [np.int64(3)], "b": "t"})["b"] == "t"
    assert convert(Pair(np.ones(1), 2)).x.tolist() == [1]
    assert convert((np.ones(1), 2))[1] == 2
    assert convert(np.array(["a"])).dtype.kind == "U"
