"""python -m minigrad.as_torch: a program that imports torch runs on minigrad."""

import os
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest

import minigrad
from minigrad import as_torch

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-W", "error", "-m", "minigrad.as_torch", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


PROGRAM = """
import sys
import torch, torch.nn as nn, torch.nn.functional as F
import torch.backends.cudnn as cudnn
import torch.utils.data
from torch import optim
from torch.nn.modules.conv import Conv2d
from torch.optim.lr_scheduler import StepLR

cudnn.benchmark = True
torch.backends.cudnn.deterministic = True
assert __name__ == "__main__" and sys.argv[1:] == ["--epochs", "3"], sys.argv
assert nn is torch.nn and Conv2d is nn.Conv2d and F is nn.functional
assert optim.SGD is torch.optim.SGD and torch.utils.data.DataLoader
assert "minigrad" in torch.__version__ and torch.__version__.startswith("2.")
import helper  # beside the program
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = nn.Linear(2, 1).to(device)
print(model(torch.ones(3, 2)).shape, isinstance(model.weight, torch.Tensor))
for name in ("creation", "as_torch", "vision", "ops", "show_config"):
    assert not hasattr(torch, name), name
from torch.hub import tqdm
from torch.cuda.amp import GradScaler, autocast
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.container import Sequential
from torch.nn.utils.stateless import functional_call
from torch.optim.adamw import AdamW
from torch.nn.parallel import DistributedDataParallel
from torch.distributed import init_process_group, destroy_process_group
with torch.autograd.profiler.profile() as profile:
    torch.ones(2) + 1
assert profile.key_averages().table(sort_by="self_cpu_time_total") and not isinstance(nn.ReLU(), DistributedDataParallel)
try:
    DistributedDataParallel(nn.ReLU())
except RuntimeError as error:
    assert "one process" in str(error)
assert issubclass(nn.BatchNorm2d, _BatchNorm) and Sequential is nn.Sequential and AdamW is optim.AdamW
assert torch.cuda.amp.autocast is autocast and torch.func.functional_call is functional_call
for statement in ("from torch import fx", "import torch.fx", "torch.fx", "from torch.nn import xyz", "torch.random.xyz"):
    try:
        exec(statement)
    except (ImportError, AttributeError) as error:
        print(type(error).__name__, error)


def forward():
    model(torch.ones(5))


forward()
"""


def test_a_program_runs_with_its_arguments_and_errors_show_its_lines(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "helper.py").write_text("import torch\n")
    (tmp_path / "train.py").write_text(PROGRAM)
    result = run("../train.py", "--epochs", "3", cwd=tmp_path / "elsewhere")
    assert result.stdout.splitlines() == [
        "minigrad.Size([3, 1]) True",
        "ModuleNotFoundError minigrad has no torch.fx; see docs/from_pytorch.md",
        "ModuleNotFoundError minigrad has no torch.fx; see docs/from_pytorch.md",
        "AttributeError minigrad has no torch.fx; see docs/from_pytorch.md",
        "ModuleNotFoundError minigrad has no torch.nn.xyz; see docs/from_pytorch.md",
        "AttributeError minigrad has no torch.random.xyz; see docs/from_pytorch.md",
    ], result.stderr
    lines = result.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "train.py" in lines[1], "the first frame is the program's"
    assert "runpy" not in result.stderr
    assert "as_torch" not in result.stderr
    assert lines[-1].startswith("RuntimeError: Linear(in_features=2")
    assert result.returncode == 1


def test_a_module_and_a_command_run_too(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "train.py").write_text("import sys, torch\nfrom . import other\nprint(sys.argv[1:], torch)\nsys.exit(7)\n")
    (package / "other.py").write_text("")
    result = run("-m", "package.train", "-x", cwd=tmp_path)
    assert (result.stdout, result.returncode) == ("['-x'] <module 'torch': minigrad>\n", 7), result.stderr
    result = run("-c", "import sys, torch; print(sys.argv, torch.ones(2))", "-x", cwd=tmp_path)
    assert (result.stdout, result.returncode) == ("['-c', '-x'] tensor([1., 1.])\n", 0), result.stderr


@pytest.mark.parametrize("arguments", [[], ["--epochs", "3"], ["-m"]], ids=["nothing", "an option", "no module"])
def test_what_is_no_program_gives_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        as_torch.run(arguments)
    assert stop.value.code == 2
    assert "usage: python -m minigrad.as_torch" in capsys.readouterr().err


def test_help_is_printed(capsys):
    as_torch.run(["--help"])
    assert "-c command" in capsys.readouterr().out


@pytest.fixture
def no_torch(monkeypatch):
    """sys.modules as if torch and torchvision had never been imported."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("torch", "torchvision")]:
        monkeypatch.delitem(sys.modules, name)
    yield
    as_torch.uninstall()


def test_install_and_uninstall(no_torch):
    as_torch.install()
    as_torch.install()  # once is enough
    import torch
    import torch.nn.functional as F

    assert torch.tensor is minigrad.tensor
    assert F.relu is minigrad.nn.functional.relu
    assert torch.Tensor is minigrad.Tensor
    assert sum(isinstance(finder, as_torch.StandInFinder) for finder in sys.meta_path) == 1
    as_torch.uninstall()
    assert "torch" not in sys.modules
    assert not any(isinstance(finder, as_torch.StandInFinder) for finder in sys.meta_path)


def test_install_after_the_import_of_torch_is_refused(no_torch, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", os)
    with pytest.raises(RuntimeError, match="torch is already imported"):
        as_torch.install()
    assert not any(isinstance(finder, as_torch.StandInFinder) for finder in sys.meta_path)


def test_there_is_no_other_device():
    for module in (minigrad.cuda, minigrad.mps, minigrad.accelerator):
        assert module.is_available() is False
        assert module.device_count() == 0
        with pytest.raises(RuntimeError, match="CPU only"):
            module.synchronize()
    assert minigrad.accelerator.current_accelerator() is None
    assert not minigrad.backends.mps.is_available()
    assert not minigrad.backends.cudnn.is_available()
    assert minigrad.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2", "AVX512")
    minigrad.cuda.manual_seed_all(1)
    minigrad.cuda.set_rng_state_all(minigrad.cuda.get_rng_state_all())
    with pytest.raises(RuntimeError, match="there is none"):
        minigrad.cuda.set_rng_state_all([1])
    with minigrad.device("cpu") as device:
        assert device.type == "cpu"
    minigrad.set_default_device("cpu")
    with pytest.raises(RuntimeError, match="CPU only"):
        minigrad.set_default_device("cuda")
    assert minigrad.get_default_device() == minigrad.device("cpu")


@pytest.mark.filterwarnings("ignore:torch.set_default_tensor_type")
def test_tensor_types(lib):
    assert lib.FloatTensor(2, 3).shape == (2, 3)
    assert lib.FloatTensor(lib.Size([2, 3])).shape == (2, 3)
    assert lib.FloatTensor().shape == (0,)
    whole = lib.LongTensor([[1, 2], [3, 4]])
    assert whole.dtype == lib.int64
    assert whole.tolist() == [[1, 2], [3, 4]]
    assert lib.FloatTensor((1, 2)).tolist() == [1.0, 2.0]
    assert isinstance(whole, lib.LongTensor)
    assert not isinstance(whole, lib.FloatTensor)
    assert not isinstance(3, lib.LongTensor)
    with pytest.raises(TypeError):
        lib.FloatTensor(whole)
    assert whole.type(lib.FloatTensor).dtype == lib.float32
    assert whole.type("torch.DoubleTensor").dtype == lib.float64
    assert whole.type().endswith(".LongTensor")
    with pytest.raises(ValueError, match="invalid type"):
        whole.type("torch.NoTensor")
    lib.set_default_tensor_type(lib.DoubleTensor)
    assert lib.get_default_dtype() == lib.float64
    lib.set_default_tensor_type("torch.FloatTensor")
    assert lib.get_default_dtype() == lib.float32
    with pytest.raises(TypeError):
        lib.set_default_tensor_type(3)


def test_settings_are_kept(lib):
    assert lib.get_float32_matmul_precision() == "highest"
    lib.set_float32_matmul_precision("high")
    assert lib.get_float32_matmul_precision() == "high"
    lib.set_float32_matmul_precision("highest")
    lib.use_deterministic_algorithms(True)
    assert lib.are_deterministic_algorithms_enabled()
    lib.use_deterministic_algorithms(False)
    with pytest.raises(RuntimeError):
        lib.set_num_interop_threads(0)
    assert lib.inf > 1e308
    assert lib.nan != lib.nan
    assert lib.ones(3)[lib.newaxis].shape == (1, 3)


def test_settings_that_mean_nothing_here():
    with pytest.raises(RuntimeError, match="not one of"):
        minigrad.set_float32_matmul_precision("low")
    minigrad.set_num_interop_threads(2)
    assert minigrad.get_num_interop_threads() == 1
    assert minigrad.set_flush_denormal(True) is False
    layer = minigrad.nn.Linear(2, 2)
    assert minigrad.compile(layer, mode="max-autotune") is layer
    assert minigrad.compile(fullgraph=True)(layer) is layer
    assert minigrad.jit.script(layer) is minigrad.jit.trace(layer, minigrad.ones(1, 2)) is layer
    assert minigrad.jit.ignore(drop=True)(len) is minigrad.jit.ignore(len) is minigrad.jit.export(len) is len
    assert not minigrad.jit.is_scripting()
    assert not minigrad.jit.is_tracing()


def test_autocast_and_the_scaler_are_off():
    with minigrad.autocast("cpu", enabled=False), minigrad.amp.autocast("cuda", enabled=False):
        assert minigrad.ones(1).dtype == minigrad.float32
    with pytest.warns(UserWarning, match="CPU only"):
        context = minigrad.autocast("cuda", dtype=minigrad.float32)
    assert context(abs)(-1) == 1
    with pytest.raises(RuntimeError, match="no lower precision"):
        minigrad.autocast("cpu")
    with pytest.raises(ValueError, match="device_type"):
        minigrad.autocast(3)
    with pytest.raises(RuntimeError, match="no half precision"):
        minigrad.amp.GradScaler("cpu")
    with pytest.warns(UserWarning, match="Disabling"), pytest.warns(FutureWarning, match="GradScaler"):
        scaler = minigrad.cuda.amp.GradScaler()
    with pytest.warns(FutureWarning, match="torch.amp.autocast"), minigrad.cuda.amp.autocast(enabled=False):
        assert minigrad.ones(1).dtype == minigrad.float32
    with pytest.warns(UserWarning, match="CPU only"), pytest.warns(FutureWarning, match="torch.amp.autocast"):
        minigrad.cuda.amp.autocast(dtype=minigrad.float16)
    weight = minigrad.nn.Parameter(minigrad.ones(1))
    optimizer = minigrad.optim.SGD([weight], lr=0.5)
    scaler.scale((weight * 2).sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert weight.item() == 0.0
    assert not scaler.is_enabled()
    assert scaler.get_scale() == 1.0
    assert scaler.state_dict() == {}


def test_data_parallel_without_gpus(lib):
    inner = lib.nn.Linear(2, 3)
    parallel = lib.nn.DataParallel(inner)
    assert list(parallel.state_dict()) == ["module.weight", "module.bias"]
    x = lib.ones(4, 2)
    assert lib.equal(parallel(x), inner(x))
    assert parallel.module is inner
    assert parallel.device_ids == []


def test_data_parallel_has_no_gpus():
    inner, x = minigrad.nn.Linear(2, 3), minigrad.ones(4, 2)
    assert minigrad.equal(minigrad.nn.parallel.data_parallel(inner, x), inner(x))
    for ask in (lambda: minigrad.nn.DataParallel(inner, [0, 1]), lambda: minigrad.nn.parallel.data_parallel(inner, x, [0])):
        with pytest.raises(RuntimeError, match="CPU only"):
            ask()


def test_tensors_of_sequences_that_are_no_lists(lib):
    assert lib.tensor(deque([1, 2.5])).tolist() == [1.0, 2.5]
    assert lib.tensor([range(2), deque([3, lib.tensor(4)])]).tolist() == [[0, 1], [3, 4]]
    assert lib.tensor(bytearray(b"ab")).tolist() == [97, 98]
    for wrong in ("12", {1, 2}):
        with pytest.raises((TypeError, RuntimeError)):
            lib.tensor(wrong)


def test_no_machines_no_onnx_no_intel_gpu():
    assert not minigrad.distributed.is_available()
    assert not minigrad.distributed.is_initialized()
    assert not minigrad.distributed.is_torchelastic_launched()
    assert not minigrad.onnx.is_in_onnx_export()
    assert not minigrad.xpu.is_available()
    assert minigrad.xpu.device_count() == 0
    for call in (minigrad.distributed.init_process_group, minigrad.onnx.export, minigrad.xpu.synchronize):
        with pytest.raises(RuntimeError, match="minigrad"):
            call()
    with pytest.raises(RuntimeError, match="no GPU"):
        minigrad.ones(1).pin_memory()
    assert not minigrad.ones(1).is_pinned()


def test_models_of_a_folder(tmp_path):
    (tmp_path / "hubconf.py").write_text(
        "import minigrad, parts\ndef net(width=2):\n    'A net.'\n    return minigrad.nn.Linear(width, parts.OUT)\n_private = print\n"
    )
    (tmp_path / "parts.py").write_text("OUT = 5\n")
    before = list(sys.path)
    assert minigrad.hub.list(tmp_path, source="local") == ["net"]
    assert minigrad.hub.help(tmp_path, "net", source="local") == "A net."
    assert repr(minigrad.hub.load(tmp_path, "net", width=3, source="local")).startswith("Linear(in_features=3, out_features=5")
    assert sys.path == before
    with pytest.raises(RuntimeError, match="downloads no code"):
        minigrad.hub.load("pytorch/vision", "resnet18")
    with pytest.raises(RuntimeError, match="cannot find callable"):
        minigrad.hub.load(tmp_path, "other", source="local")
    with pytest.raises(FileNotFoundError, match=r"hubconf\.py"):
        minigrad.hub.load(tmp_path / "nowhere", "net", source="local")
    with pytest.raises(RuntimeError, match="downloads no weights"):
        minigrad.hub.load_state_dict_from_url("https://example.org/weights.pt")
    assert callable(minigrad.hub.tqdm)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("size", [10, 7, 2])
def test_distributed_sampler(lib, size, drop_last):
    parts = []
    for rank in range(3):
        sampler = lib.utils.data.distributed.DistributedSampler(range(size), 3, rank, shuffle=False, drop_last=drop_last)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler)
    if lib is not minigrad:
        ours = [minigrad.utils.data.DistributedSampler(range(size), 3, r, shuffle=False, drop_last=drop_last) for r in range(3)]
        assert parts == [list(sampler) for sampler in ours]


def test_distributed_sampler_shuffles_by_epoch():
    samplers = [minigrad.utils.data.DistributedSampler(range(12), 2, rank) for rank in range(2)]
    first = [list(sampler) for sampler in samplers]
    assert sorted(first[0] + first[1]) == list(range(12))
    samplers[0].set_epoch(1)
    assert list(samplers[0]) != first[0]
    with pytest.raises(ValueError, match="Invalid rank"):
        minigrad.utils.data.DistributedSampler(range(12), 2, 2)
    with pytest.raises(RuntimeError, match="must be given"):
        minigrad.utils.data.DistributedSampler(range(12))


def add_to(rank, model):
    with minigrad.no_grad():
        model.weight[rank] += rank + 1.0
    if model.out_features == 2 and rank == 1:
        raise SystemExit(3)


def test_processes_train_one_model():
    mp = minigrad.multiprocessing
    mp.set_start_method("spawn", force=True)
    assert mp.get_start_method() == "fork"
    model = minigrad.nn.Linear(1, 3).share_memory()
    assert model.weight.is_shared()
    assert not minigrad.ones(3).is_shared()
    before = model.weight.detach().clone()
    mp.spawn(add_to, args=(model,), nprocs=3)
    assert minigrad.equal(model.weight.detach(), before + minigrad.tensor([[1.0], [2.0], [3.0]]))
    process = mp.Process(target=add_to, args=(0, model))
    process.start()
    process.join()
    assert model.weight[0].item() == pytest.approx(before[0].item() + 1 + 1)
    with pytest.raises(RuntimeError, match="exit code 3"):
        mp.spawn(add_to, args=(minigrad.nn.Linear(1, 2).share_memory(),), nprocs=2)
    with pytest.raises(ValueError, match="nonsense"):
        mp.set_start_method("nonsense")


def test_memory_formats_are_accepted(lib):
    x = lib.arange(24.0).reshape(1, 2, 3, 4)
    for y in (
        x.to(memory_format=lib.channels_last),
        x.to(lib.float32, memory_format=lib.preserve_format),
        x.contiguous(memory_format=lib.channels_last),
        x.clone(memory_format=lib.contiguous_format),
    ):
        assert lib.equal(x, y)
    model = lib.nn.Conv2d(2, 3, 2).to(memory_format=lib.channels_last)
    assert model(x.to(memory_format=lib.channels_last)).shape == (1, 3, 2, 3)
    assert x.is_contiguous(memory_format=lib.contiguous_format)
