"""torch.hub for models in local folders: minigrad downloads no code."""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

from minigrad._no_device import refuse_because


def _hubconf(function: str, repo_or_dir: str | os.PathLike, source: str) -> ModuleType:
    """hubconf.py of the folder, imported while the folder leads sys.path."""
    if source != "local":
        raise RuntimeError(
            f"hub.{function}: minigrad downloads no code; get the repository and pass its folder with source='local'"
        )
    folder = os.path.expanduser(repo_or_dir)
    path = os.path.join(folder, "hubconf.py")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"hub.{function}: there is no file {path!r}")
    spec = importlib.util.spec_from_file_location("hubconf", path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"hub.{function}: {path!r} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, os.fspath(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(os.fspath(folder))
    return module


def _entry(function: str, module: ModuleType, name: str) -> Any:
    entry = getattr(module, name, None)
    if not callable(entry):
        raise RuntimeError(f"hub.{function}: cannot find callable {name} in hubconf")
    return entry


def list(github: str | os.PathLike, source: str = "github", **_: Any) -> Any:
    """The names of the models in the folder's hubconf.py. RuntimeError unless source="local"."""
    module = _hubconf("list", github, source)
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]


def help(github: str | os.PathLike, model: str, source: str = "github", **_: Any) -> str | None:
    """The docstring of a model in the folder's hubconf.py. RuntimeError unless source="local"."""
    return _entry("help", _hubconf("help", github, source), model).__doc__


def load(repo_or_dir: str | os.PathLike, model: str, *args: Any, source: str = "github", **kwargs: Any) -> Any:
    """model(*args, **kwargs) of the folder's hubconf.py. RuntimeError unless source="local"; FileNotFoundError without that file."""
    return _entry("load", _hubconf("load", repo_or_dir, source), model)(*args, **kwargs)


load_state_dict_from_url = refuse_because(
    "hub.load_state_dict_from_url", "minigrad downloads no weights; download them as a safetensors file and minigrad.load() it"
)


def __getattr__(name: str) -> Any:
    if name == "tqdm":  # programs take it from here; it is optional
        from tqdm import tqdm

        return tqdm
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
