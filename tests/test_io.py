"""save and load: round trips, other programs' files, damaged files, interrupted writes."""

import io
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, OrderedDict, defaultdict

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
    with pytest.raises(TypeError, match=r"model.* is a SGD"):
        mg.save({"x": mg.ones(3), "model": mg.optim.SGD([mg.ones(1)], 0.1)}, path)
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


def test_no_file():
    with pytest.raises(FileNotFoundError, match="nowhere"):
        mg.load("nowhere")


def test_files_of_other_programs(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    safetensors.save_file({"w": np.arange(6, dtype=np.float32).reshape(2, 3)}, tmp_path / "plain")
    assert same(mg.load(tmp_path / "plain"), {"w": mg.arange(6.0).reshape(2, 3)})
    mg.save({"a": {"b": mg.ones(2)}}, tmp_path / "ours")
    assert np.array_equal(safetensors.load_file(tmp_path / "ours")["a.b"], np.ones(2, np.float32))


# ---- what is kept


def test_kinds_of_tensors_are_kept(tmp_path):
    nest = {
        "leaf": mg.ones(2, requires_grad=True),
        "parameter": nn.Parameter(mg.ones(2)),
        "frozen": nn.Parameter(mg.ones(2), requires_grad=False),
        "result": mg.ones(2, requires_grad=True) * 2,
        "dtype": mg.int16,
        "size": mg.ones(2, 3).shape,
        "array": np.arange(3),
        "numbers": [np.float32(0.5), np.int64(3), np.bool_(True), 10**5000, -7, float("-inf"), -0.0],
        "bytes": b"\x00\xff",
    }
    mg.save(nest, tmp_path / "f")
    again = mg.load(tmp_path / "f")
    assert again["leaf"].requires_grad
    assert type(again["leaf"]) is mg.Tensor
    assert type(again["parameter"]) is type(again["frozen"]) is nn.Parameter
    assert [again[key].requires_grad for key in ("parameter", "frozen", "result")] == [True, False, True]
    assert again["result"].is_leaf
    assert again["dtype"] is mg.int16
    assert (type(again["size"]), again["size"]) == (mg.Size, (2, 3))
    assert type(again["array"]) is np.ndarray
    assert again["array"].tolist() == [0, 1, 2]
    assert again["numbers"] == [0.5, 3, True, 10**5000, -7, float("-inf"), 0.0]
    assert str(again["numbers"][-1]) == "-0.0"
    assert again["bytes"] == b"\x00\xff"
    assert math.isnan(round_trip(float("nan")))


@pytest.mark.parametrize("dtype", [mg.bool, mg.uint8, mg.int8, mg.int16, mg.int32, mg.int64, mg.float32, mg.float64], ids=str)
def test_every_dtype_and_layout(dtype, rng):
    whole = mg.tensor(rng.integers(0, 2, (4, 6))).to(dtype)
    for t in (whole, whole.t(), whole[::2, 1::3], whole[0, 0], whole[:0], whole[:, None].expand(4, 3, 6)):
        assert same(round_trip(t), t)


def round_trip(obj):
    stream = io.BytesIO()
    mg.save(obj, stream)
    stream.seek(0)
    return mg.load(stream)


def test_one_memory_is_one_memory_again(tmp_path):
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    model[1].weight = model[0].weight
    x = mg.arange(6.0)
    mg.save({"model": model.state_dict(), "x": x, "tail": x[2:], "same": [x, x]}, tmp_path / "f")
    again = mg.load(tmp_path / "f")
    again["model"]["0.weight"].zero_()
    assert again["model"]["1.weight"].sum().item() == 0
    again["x"].zero_()
    assert again["same"][1].tolist() == [0.0] * 6
    assert again["tail"].tolist() == [2, 3, 4, 5]  # another view: by itself
    safetensors = pytest.importorskip("safetensors.numpy")
    assert set(safetensors.load_file(tmp_path / "f")) == {"model.0.weight", "model.1.weight", "x", "tail", "same.0", "same.1"}


def test_nests_without_end_are_refused():
    loop = {"a": []}
    loop["a"].append(loop)
    with pytest.raises(ValueError, match=r"save: a\.0 contains itself"):
        round_trip(loop)
    deep = []
    for _ in range(99):
        deep = [deep]
    assert round_trip(deep) == deep
    with pytest.raises(ValueError, match="more than 100 levels deep"):
        round_trip([deep])


@pytest.mark.parametrize("obj", [optim.SGD([mg.ones(1)], lr=1), {1, 2}, 1j, object(), np.array(["a"]), len], ids=repr)
def test_other_objects_raise_type_error(obj, tmp_path):
    with pytest.raises(TypeError, match=r"save: deep\.0 is a .*state_dict\(\)"):
        mg.save({"deep": [obj]}, tmp_path / "f")
    assert os.listdir(tmp_path) == []


# ---- PyTorch's arguments, file objects, other programs' files


def test_arguments_of_torch_load(tmp_path):
    mg.save({"w": mg.ones(2)}, str(tmp_path / "f"))
    for options in (
        {"weights_only": True, "map_location": "cpu"},
        {"weights_only": False, "map_location": mg.device("cpu"), "mmap": True},
        {"map_location": lambda storage, location: storage},
        {"map_location": {"cuda:0": "cpu"}},
    ):
        assert mg.load(tmp_path / "f", **options)["w"].tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="CPU only"):
        mg.load(tmp_path / "f", map_location="cuda")
    with pytest.raises(RuntimeError, match="CPU only"):
        mg.load(tmp_path / "f", map_location={"cpu": "cuda"})
    import pickle

    with pytest.raises(ValueError, match="no pickle"):
        mg.load(tmp_path / "f", pickle_module=pickle)
    with pytest.raises(ValueError, match="no pickle"):
        mg.save(1, tmp_path / "f", pickle_module=pickle)
    with pytest.raises(IsADirectoryError):
        mg.load(tmp_path)


def test_file_objects(tmp_path):
    with open(tmp_path / "two", "wb") as file:
        file.write(b"head")
        mg.save({"a": mg.ones(2)}, file)
    with open(tmp_path / "two", "rb") as file:
        file.seek(4)
        assert same(mg.load(file), {"a": mg.ones(2)})
    with pytest.raises(ValueError, match="the file object is no safetensors file"):
        mg.load(io.BytesIO(b"x" * 100))


def test_files_of_torch(torch, tmp_path):
    from safetensors.torch import load_file, save_file

    theirs = {
        "f": torch.randn(2, 3), "d": torch.randn(2, dtype=torch.float64), "i": torch.arange(4), "b": torch.tensor([True, False]),
        "u": torch.arange(3, dtype=torch.uint8), "zero": torch.tensor(2.5), "empty": torch.zeros(0, 4),
        "half": torch.tensor([1.5, float("inf"), 6e-8], dtype=torch.float16), "bf": torch.randn(40).to(torch.bfloat16),
    }  # fmt: skip
    save_file(theirs, tmp_path / "theirs")
    loaded = mg.load(tmp_path / "theirs")
    assert set(loaded) == set(theirs)
    for name, t in theirs.items():
        expected = t.float() if t.dtype in (torch.float16, torch.bfloat16) else t
        assert np.array_equal(loaded[name].numpy(), expected.numpy())
        assert loaded[name].numpy().dtype == expected.numpy().dtype
    mg.save({"model": loaded, "epoch": 3}, tmp_path / "ours")
    back = load_file(tmp_path / "ours")
    assert all(np.array_equal(back[f"model.{name}"].numpy(), loaded[name].numpy()) for name in theirs)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_of_torch_is_refused_with_the_mend(torch, tmp_path, zipped):
    torch.save({"w": torch.ones(2)}, tmp_path / "model.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"a file of torch\.save.*safetensors\.torch\.save_file\(torch\.load"):
        mg.load(tmp_path / "model.pt")


# ---- damage

HEADERS = {
    "offsets beyond the end": '{"a":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}',
    "negative offsets": '{"a":{"dtype":"F32","shape":[4],"data_offsets":[-16,0]}}',
    "offsets in reverse": '{"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}}',
    "overlap": '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}',
    "gap": '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}',
    "gigantic": '{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}',
    "overflowing": '{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,16]}}',
    "gigantic and empty": '{"a":{"dtype":"F32","shape":[0,4611686018427387904,8],"data_offsets":[0,0]}}',
    "wrong size": '{"a":{"dtype":"F64","shape":[4],"data_offsets":[0,16]}}',
    "unknown dtype": '{"a":{"dtype":"Q7","shape":[4],"data_offsets":[0,16]}}',
    "dtype that we lack": '{"a":{"dtype":"C64","shape":[2],"data_offsets":[0,16]}}',
    "dtype of a wrong type": '{"a":{"dtype":["F32"],"shape":[4],"data_offsets":[0,16]}}',
    "shape of bools": '{"a":{"dtype":"F32","shape":[true,4],"data_offsets":[0,16]}}',
    "shape of floats": '{"a":{"dtype":"F32","shape":[4.0],"data_offsets":[0,16]}}',
    "too many dimensions": '{"a":{"dtype":"F32","shape":[%s4],"data_offsets":[0,16]}}' % ("1," * 64),
    "twice the same name": '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
    "no offsets": '{"a":{"dtype":"F32","shape":[4]}}',
    "three offsets": '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,8,16]}}',
    "no object": "[1,2]",
    "deep": "[" * 100_000,
    "deep in an object": '{"a":' * 50_000,
    "a number of many digits": '{"a":{"dtype":"F32","shape":[' + "9" * 5000 + '],"data_offsets":[0,16]}}',
    "bytes that are no text": '{"\\udcff":1}',
    "metadata of a wrong type": '{"__metadata__":{"minigrad nest 1":3},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
}  # fmt: skip
NESTS = {
    "no JSON": "{",
    "unknown kind": '{"exec":"1"}',
    "missing tensor": '{"tensor":"b"}',
    "number": "3",
    "bad int": '{"int":"zz"}',
    "bad float": '{"float":"zz"}',
    "bad dtype": '{"dtype":"float9"}',
    "two kinds": '{"int":"1","float":"1"}',
    "dict of no pairs": '{"dict":[[1]]}',
    "dict with bad keys": '{"dict":[[[1],{"int":"0x1"}]]}',
    "deep": '{"list":[' * 200 + "]}" * 200,
    "very deep": '{"list":[' * 30_000,
    "a parameter of ints": '{"parameter":"i"}',
}


def file_with(header, data):
    text = header.encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize("name", HEADERS)
def test_hostile_headers(name):
    with pytest.raises(ValueError, match="is no safetensors file that minigrad can read"):
        mg.load(io.BytesIO(file_with(HEADERS[name], bytes(0 if "empty" in name else 16))))


@pytest.mark.parametrize("name", NESTS)
def test_hostile_descriptions(name):
    tensor = {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]}
    header = json.dumps({"__metadata__": {"minigrad nest 1": NESTS[name]}, "i": tensor})
    with pytest.raises(ValueError, match="is no safetensors file that minigrad can read"):
        mg.load(io.BytesIO(file_with(header, bytes(16))))


def test_bools_are_zero_or_one():
    header = '{"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}'
    assert mg.load(io.BytesIO(file_with(header, b"\x01\x00")))["a"].tolist() == [True, False]
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        mg.load(io.BytesIO(file_with(header, b"\x02\x00")))


CORRUPTION = """
import io, json, random, resource, sys
import minigrad as mg

mg.manual_seed(0)
random.seed(int(sys.argv[1]))
nest = {"x": mg.randn(40, 5), "n": [1, 2.5, {"y": mg.arange(7), "z": (mg.tensor(True), None, "text")}], "f": mg.ones(3).double()}
stream = io.BytesIO()
mg.save(nest, stream)
good = stream.getvalue()
header = 8 + int.from_bytes(good[:8], "little")
mg.load(io.BytesIO(good))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)  # what a load may take beyond what is there


def flip(data, end):
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        data[random.randrange(end)] ^= 1 << random.randrange(8)


def digits(data):
    places = [i for i in range(8, header) if chr(data[i]).isdigit()]
    for _ in range(random.choice((1, 2, 4))):
        data[random.choice(places)] = random.choice(b"0123456789-.e")


def swap(data):
    length = random.randrange(1, 30)
    a, b = (random.randrange(8, header - length) for _ in range(2))
    data[a : a + length], data[b : b + length] = data[b : b + length], data[a : a + length]


DAMAGE = [
    lambda d: d.__delitem__(slice(random.randrange(len(d)), None)),
    lambda d: flip(d, header),
    lambda d: flip(d, len(d)),
    lambda d: flip(d, 8),
    digits,
    swap,
    lambda d: d.extend(random.randbytes(random.randrange(1, 50))),
    lambda d: d.__setitem__(slice(0, 8), random.randrange(2**64).to_bytes(8, "little")),
    lambda d: d.__setitem__(slice(random.randrange(8, header), header), b"[" * random.randrange(1000)),
]
counts = {"refused": 0, "loaded": 0}
for i in range(1000):
    data = bytearray(good)
    DAMAGE[i % len(DAMAGE)](data)
    try:
        mg.load(io.BytesIO(bytes(data)))
        counts["loaded"] += 1
    except ValueError:
        counts["refused"] += 1
print(json.dumps(counts))
"""


def test_a_thousand_damaged_files(request):
    """Each raises ValueError or loads something (a bit of a number, say), and takes no more than 64 MB."""
    result = subprocess.run([sys.executable, "-c", CORRUPTION, "1"], capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    counts = json.loads(result.stdout)
    assert sum(counts.values()) == 1000
    assert counts["refused"] > 700


# ---- killed while saving


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_fifty_moments(tmp_path, rng):
    """The file is the old one or the new one, whole, and what was left beside it goes with the next save."""
    path = tmp_path / "checkpoint"
    mg.save({"version": -1, "x": mg.full((50_000,), -1.0)}, path)
    versions, left = [], 0
    for delay in rng.uniform(0, 0.05, 50):
        child = os.fork()
        if child == 0:
            try:
                for version in itertools.count(len(versions) * 1000):
                    mg.save({"version": version, "x": mg.full((50_000,), float(version))}, path)
            finally:
                os._exit(1)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        loaded = mg.load(path)
        assert (loaded["x"] == float(loaded["version"])).all()
        versions.append(loaded["version"])
        left = max(left, len(os.listdir(tmp_path)) - 1)
        assert left <= 1
    assert versions == sorted(versions)
    assert len(set(versions)) > 2
    assert left == 1
    mg.save(1, path)
    assert os.listdir(tmp_path) == ["checkpoint"]


def test_links_permissions_and_devices(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    mg.save(1, target)
    target.chmod(0o600)
    link.symlink_to(target)
    mg.save(2, link)
    assert link.is_symlink()
    assert mg.load(target) == mg.load(link) == 2
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["folder", "link"]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    mg.save(3, pipe)
    reader.join()
    assert mg.load(io.BytesIO(received[0])) == 3
    assert pipe.is_fifo()
    with pytest.raises(IsADirectoryError):
        mg.save(4, tmp_path)


@pytest.mark.parametrize("dtype", ["?", "B", "H", "I", "L", "b", "h", "i", "l", "e", "f", "d"])
def test_arrays_of_every_dtype(dtype, tmp_path):
    a = np.array([[0, 1], [1, 0]], dtype)
    again = round_trip([a, a.T, a[:0]])
    assert [b.dtype for b in again] == [a.dtype] * 3
    assert [b.tolist() for b in again] == [a.tolist(), a.T.tolist(), []]
    np.random.seed(3)
    state = round_trip(np.random.get_state())
    expected = np.random.rand()
    np.random.set_state(state)
    assert np.random.rand() == expected


def test_dtypes_that_tensors_lack():
    header = '{"a":{"dtype":"U32","shape":[4],"data_offsets":[0,16]}}'
    with pytest.raises(ValueError, match="of the dtype uint32, which minigrad does not have"):
        mg.load(io.BytesIO(file_with(header, bytes(16))))


def test_kinds_of_mappings():
    nest = [OrderedDict(b=1, a=2), Counter("abb"), defaultdict(list, x=[1])]
    again = round_trip(nest)
    assert again == nest
    assert [type(mapping) for mapping in again] == [OrderedDict, Counter, dict]
    optimizer = optim.SGD([mg.ones(1)], lr=1.0)
    scheduler = optim.lr_scheduler.MultiStepLR(optimizer, [2, 2, 3])
    scheduler.load_state_dict(round_trip(scheduler.state_dict()))
    assert sorted(scheduler.milestones.elements()) == [2, 2, 3]


@pytest.mark.parametrize("obj", [{}, [], None, 5, "text", {"__metadata__": 1}], ids=repr)
def test_nests_without_tensors(obj):
    assert round_trip(obj) == obj


def test_awkward_names():
    nest = {"__metadata__": mg.ones(2), "": mg.zeros(1), 'é \n"': mg.ones(1), "a": {"": mg.ones(3)}, "x" * 1000: mg.ones(1)}
    assert same(round_trip(nest), nest)


def test_threads_that_save_to_one_path(tmp_path):
    def work(i):
        for _ in range(10):
            mg.save({"i": i, "x": mg.full((1000,), float(i))}, tmp_path / "f")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loaded = mg.load(tmp_path / "f")
    assert (loaded["x"] == float(loaded["i"])).all()
    assert os.listdir(tmp_path) == ["f"]


class Whole(nn.Module):
    """Has what modules have: layers, shared weights, buffers, plain attributes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.rest = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU())
        self.tied = nn.Conv2d(1, 2, 3)
        self.tied.weight = self.conv.weight
        self.register_buffer("scratch", mg.ones(2), persistent=False)
        self.register_parameter("nothing", None)
        self.sizes, self.outside = (1, 2), [nn.Linear(2, 2)]

    def forward(self, x):
        return self.rest(self.conv(x) + self.tied(x))


def test_a_whole_module_is_made_again_if_asked_for(tmp_path):
    path = tmp_path / "model.pt"
    model = Whole().eval()
    model.conv.bias.requires_grad_(False)
    mg.save({"model": model, "epoch": 3}, path)
    with pytest.raises(ValueError, match="weights_only=False"):
        mg.load(path)
    again = mg.load(path, weights_only=False)["model"]
    x = mg.randn(2, 1, 5, 5)
    assert type(again) is Whole
    assert repr(again) == repr(model)
    assert mg.equal(again(x), model(x))
    assert list(again.state_dict()) == list(model.state_dict())
    assert again.tied.weight is again.conv.weight
    assert isinstance(again.conv.weight, nn.Parameter)
    assert not again.conv.bias.requires_grad
    assert again.sizes == (1, 2)
    assert not again.training
    assert repr(again.outside) == repr(model.outside)
    again.register_forward_hook(print)
    with pytest.raises(TypeError, match="hooks"):
        mg.save(again, path)


def test_only_a_module_that_the_program_knows_is_made(tmp_path, monkeypatch):
    class Local(nn.Module):
        pass

    with pytest.raises(TypeError, match="inside a function"):
        mg.save(Local(), tmp_path / "f")
    mg.save(Whole(), tmp_path / "f")
    for other in (dict, print, 3):
        monkeypatch.setitem(globals(), "Whole", other)
        with pytest.raises(ValueError, match="no Module of the running program"):
            mg.load(tmp_path / "f", weights_only=False)
