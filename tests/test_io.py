"""save and load: round trips, other programs' files, damaged files, interrupted writes."""

import contextlib
import os

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim


def same(a, b):
    if isinstance(a, mg.Tensor):
        return isinstance(b, mg.Tensor) and a.dtype is b.dtype and a.shape == b.shape and mg.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def test_round_trip(tmp_path):
    nest = {
        "weights": {"0.weight": mg.arange(6.0).reshape(2, 3), 1: mg.tensor(True)},
        "list": [1, 2.5, float("inf"), -0.1, 2**80, None, True, "text", (mg.zeros(0, 3), mg.tensor(2.0, dtype=mg.float64))],
        "transposed": mg.arange(6).reshape(2, 3).t(),
        "bytes": mg.tensor([1, 255], dtype=mg.uint8),
        "empty": [{}, [], ()],
    }
    mg.save(nest, tmp_path / "deep" / "file.safetensors")
    assert same(mg.load(tmp_path / "deep" / "file.safetensors"), nest)
    assert os.listdir(tmp_path / "deep") == ["file.safetensors"]


def test_a_bare_tensor_and_equal_names(tmp_path):
    mg.save(mg.ones(3), tmp_path / "t")
    assert same(mg.load(tmp_path / "t"), mg.ones(3))
    clash = {"a.b": mg.ones(1), "a": {"b": mg.zeros(2)}}
    mg.save(clash, tmp_path / "clash")
    assert same(mg.load(tmp_path / "clash"), clash)


def test_equal_contents_make_equal_files(tmp_path):
    for name in "ab":
        mg.save({"x": mg.ones(2), "n": 1, "y": mg.zeros(3, dtype=mg.int64)}, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_model_and_optimizer(tmp_path):
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(mg.randn(5, 3)).sum().backward()
    optimizer.step()
    mg.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "c")
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    again = optim.SGD(other.parameters(), lr=0.5)
    checkpoint = mg.load(tmp_path / "c")
    other.load_state_dict(checkpoint["model"])
    again.load_state_dict(checkpoint["optimizer"])
    assert all(mg.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert again.param_groups[0]["momentum"] == 0.9
    x = mg.randn(5, 3)
    for m, o in ((model, optimizer), (other, again)):
        o.zero_grad()
        m(x).pow(2).sum().backward()
        o.step()
    assert all(mg.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_what_cannot_be_saved_leaves_the_old_file(tmp_path):
    path = tmp_path / "f"
    mg.save({"x": mg.ones(2)}, path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match=r"model.* is a Linear"):
        mg.save({"x": mg.ones(3), "model": nn.Linear(2, 2)}, path)
    with pytest.raises(TypeError, match="keys must be str or int"):
        mg.save({(1, 2): mg.ones(3)}, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["f"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "f"
    mg.save({"x": mg.ones(2)}, path)

    def fail(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        mg.save({"x": mg.zeros(2)}, path)
    assert same(mg.load(path), {"x": mg.ones(2)})
    assert os.listdir(tmp_path) == ["f"]


def test_damaged_files_raise_value_error(tmp_path, rng):
    mg.save({"x": mg.arange(50.0), "n": [1, {"y": mg.ones(2, 3)}]}, tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    path = tmp_path / "bad"
    for cut in (0, 1, 7, 8, 9, 40, len(good) - 1):
        path.write_bytes(good[:cut])
        with pytest.raises(ValueError, match="safetensors"):
            mg.load(path)
    path.write_bytes(b"\xff" * 8 + good[8:])  # a header of 2**64 - 1 bytes
    with pytest.raises(ValueError, match="safetensors"):
        mg.load(path)
    header = int.from_bytes(good[:8], "little") + 8
    for _ in range(300):
        damaged = bytearray(good)
        for position in rng.integers(0, header, rng.integers(1, 4)):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(ValueError):  # a change within a name or a number can leave a good file
            mg.load(path)


def test_no_file():
    with pytest.raises(FileNotFoundError, match="nowhere"):
        mg.load("nowhere")


def test_files_of_other_programs(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    safetensors.save_file({"w": np.arange(6, dtype=np.float32).reshape(2, 3)}, tmp_path / "plain")
    assert same(mg.load(tmp_path / "plain"), {"w": mg.arange(6.0).reshape(2, 3)})
    mg.save({"a": {"b": mg.ones(2)}}, tmp_path / "ours")
    assert np.array_equal(safetensors.load_file(tmp_path / "ours")["a.b"], np.ones(2, np.float32))
