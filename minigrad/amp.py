"""torch.amp: minigrad computes in float32 and float64, so there is no lower precision to cast to."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any


class autocast:
    """A context and decorator that changes nothing where PyTorch's would not either: enabled=False, or a device that is not there.

    autocast("cuda") warns and stays off, as PyTorch does on a machine without a GPU. RuntimeError for autocast("cpu"), which would
    compute in bfloat16: pass enabled=False.
    """

    def __init__(
        self, device_type: str = "cuda", dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.device, self.fast_dtype = device_type, dtype
        self._enabled = False
        if enabled and device_type == "cpu":
            raise RuntimeError(
                "autocast: minigrad computes in float32 and float64 only, there is no lower precision for autocast('cpu'); "
                "pass enabled=False"
            )
        if enabled:
            warnings.warn(
                f"User provided device_type of '{device_type}', but minigrad runs on the CPU only. Disabling", stacklevel=2
            )

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def unchanged(*args: Any, **keywords: Any) -> Any:
            return function(*args, **keywords)

        return unchanged


class GradScaler:
    """A scaler of losses that is off: scale() gives the loss as it is, step() is the optimizer's.

    GradScaler("cuda") warns and stays off, as PyTorch's does on a machine without a GPU. RuntimeError for GradScaler("cpu").
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled and device == "cpu":
            raise RuntimeError("GradScaler: minigrad has no half precision whose gradients need a scale; pass enabled=False")
        if enabled:
            warnings.warn("GradScaler is enabled, but minigrad runs on the CPU only.  Disabling.", stacklevel=2)

    def is_enabled(self) -> bool:
        """Whether losses are scaled: never."""
        return False

    def get_scale(self) -> float:
        """The scale: 1."""
        return 1.0

    def scale(self, outputs: Any) -> Any:
        """The outputs as they are."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Nothing: gradients are not scaled."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """optimizer.step()"""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Nothing: there is no scale to update."""

    def state_dict(self) -> dict[str, Any]:
        """An empty dict, as of PyTorch's scaler when it is off."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: there is no state."""


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast can be enabled for the device: never."""
    return False
