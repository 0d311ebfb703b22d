"""Runs a PyTorch program on minigrad, as it stands.

    python -m minigrad.as_torch train.py --epochs 3
    python -m minigrad.as_torch -m package.train --epochs 3
    python -m minigrad.as_torch -c "import torch; print(torch.ones(2))"

While it runs, `torch` and everything below it is minigrad, and `torchvision` is minigrad.vision. `install()` does the same inside a
program or a notebook, if it is called before the first import of torch.

What minigrad does not have raises AttributeError where it is read and ImportError where it is imported, by PyTorch's name.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import runpy
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import minigrad

# PyTorch's packages, and what stands for them. The longest name that fits counts; the rest of a module's path is the same in both.
STAND_INS = {
    "torch": "minigrad",
    "torch.autograd.profiler": "minigrad.profiler",
    "torch.nn.modules": "minigrad.nn",
    "torch.nn.modules.batchnorm": "minigrad.nn.normalization",
    "torch.nn.modules.container": "minigrad.nn.containers",
    "torch.nn.modules.instancenorm": "minigrad.nn.normalization",
    "torch.nn.utils.stateless": "minigrad.func",
    "torch.optim.adadelta": "minigrad.optim.adagrad",
    "torch.optim.adamw": "minigrad.optim.adam",
    "torchvision": "minigrad.vision",
}
# What belongs to minigrad alone: no name of PyTorch's, or one that means something else there.
_OWN = {"minigrad": {"as_torch", "creation", "functions", "io", "ops", "settings", "show_config", "tensor_types", "vision"}}

USAGE = "usage: python -m minigrad.as_torch (script.py | -m module | -c command) [arguments of the program]"


def _stand_in(name: str) -> str | None:
    """The module of minigrad that stands for this module of PyTorch: "minigrad.nn" for "torch.nn"; None for other packages."""
    package, rest = name, ""
    while package not in STAND_INS:
        package, dot, last = package.rpartition(".")
        if not dot:
            return None
        rest = f".{last}{rest}"
    return STAND_INS[package] + rest


def _exists(name: str | None) -> bool:
    try:
        return name is not None and importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package
        return False


def _missing(name: str) -> str:
    return f"minigrad has no {name}; see docs/from_pytorch.md"


class StandIn(ModuleType):
    """A module with PyTorch's name and minigrad's contents."""

    def __getattr__(self, name: str) -> Any:
        source = _stand_in(self.__name__) or ""
        if not name.startswith("__") and name not in _OWN.get(source, set()):
            child = f"{self.__name__}.{name}"
            if _exists(_stand_in(child)):
                return importlib.import_module(child)
            found = getattr(sys.modules.get(source), name, None)  # what the module makes when it is asked for
            if found is not None and not isinstance(found, ModuleType):
                return found
        raise AttributeError(_missing(f"{self.__name__}.{name}"), name=name, obj=self)

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}: {_stand_in(self.__name__)}>"


class StandInFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `torch`, `torchvision` and all below them in minigrad."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The stand-in's spec; None for other packages. ModuleNotFoundError for a module of PyTorch that minigrad does not have."""
        source = _stand_in(fullname)
        if source is None:
            return None
        if not _exists(source) or fullname.rpartition(".")[2] in _OWN.get(source.rpartition(".")[0], set()):
            # Without name=: `from torch import x` would replace the message of an error that carries the name by its own.
            raise ModuleNotFoundError(_missing(fullname))
        return ModuleSpec(fullname, self, origin=source, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty stand-in."""
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Fills the stand-in with the names of minigrad's module; the modules among them become stand-ins when they are asked for."""
        source = importlib.import_module(_stand_in(module.__name__) or "")
        own = _OWN.get(source.__name__, set())
        for name, value in vars(source).items():
            wanted = not name.startswith("__") or name in ("__all__", "__doc__", "__file__")
            if wanted and name not in own and not isinstance(value, ModuleType):
                setattr(module, name, value)
        if module.__name__ == "torch":
            module.__version__ = minigrad.version.torch_version  # type: ignore[attr-defined]


def install() -> None:
    """From here on, `import torch` and `import torchvision` import minigrad. RuntimeError if one of them is already imported."""
    if any(isinstance(finder, StandInFinder) for finder in sys.meta_path):
        return
    there = [name for name in ("torch", "torchvision") if name in sys.modules]
    if there:
        raise RuntimeError(
            f"{' and '.join(there)} is already imported: minigrad can only take its place before the first import"
        )
    sys.meta_path.insert(0, StandInFinder())


def uninstall() -> None:
    """Takes install() back: the next `import torch` imports PyTorch."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, StandInFinder)]
    for name in [name for name, module in sys.modules.items() if isinstance(module, StandIn)]:
        del sys.modules[name]


def _users_part(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the lines that led to the program: those of this file and of runpy."""
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if file not in (__file__, runpy.run_path.__code__.co_filename):
            break
        traceback = traceback.tb_next
    return traceback


def run(arguments: list[str]) -> None:
    """Runs a program: [script, *its arguments], ["-m", module, ...] or ["-c", command, ...]. SystemExit 2 for anything else."""
    kind = arguments[0] if arguments else ""
    if kind in ("-h", "--help"):
        print(f"{USAGE}\n\n{__doc__}")
        return
    if not arguments or (kind.startswith("-") and (kind not in ("-m", "-c") or len(arguments) < 2)):
        print(USAGE, file=sys.stderr)
        raise SystemExit(2)
    install()
    try:
        if kind == "-c":
            sys.argv[:] = ["-c", *arguments[2:]]
            main = ModuleType("__main__")
            sys.modules["__main__"] = main
            exec(compile(arguments[1], "<string>", "exec"), vars(main))
        elif kind == "-m":
            sys.argv[:] = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv[:] = arguments
            sys.path[0] = str(Path(kind).resolve().parent)
            runpy.run_path(kind, run_name="__main__")
    except Exception as error:
        traceback = _users_part(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(traceback), traceback)
        raise SystemExit(1) from None


if __name__ == "__main__":
    # By its own name, so that the program and this command share one StandIn.
    importlib.import_module("minigrad.as_torch").run(sys.argv[1:])
