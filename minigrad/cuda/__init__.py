"""torch.cuda on a machine without a GPU: it says so, seeds and empties nothing, and refuses the rest."""

from __future__ import annotations

from typing import Any

from minigrad._no_device import refuse

from . import amp as amp


def is_available() -> bool:
    """Whether there is a GPU: never."""
    return False


def device_count() -> int:
    """The number of GPUs: 0."""
    return 0


def is_initialized() -> bool:
    """Whether CUDA is in use: never."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether there is a GPU with bfloat16: never."""
    return False


def manual_seed(seed: int) -> None:
    """Nothing: there is no GPU whose generator could be seeded."""


def manual_seed_all(seed: int) -> None:
    """Nothing: there is no GPU whose generator could be seeded."""


def seed() -> None:
    """Nothing: there is no GPU whose generator could be seeded."""


def seed_all() -> None:
    """Nothing: there is no GPU whose generator could be seeded."""


def empty_cache() -> None:
    """Nothing: there is no memory of a GPU."""


def ipc_collect() -> None:
    """Nothing: there is no memory of a GPU."""


def memory_allocated(device: Any = None) -> int:
    """The bytes in use on a GPU: 0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def reset_peak_memory_stats(device: Any = None) -> None:
    """Nothing: there is no memory of a GPU."""


def get_rng_state_all() -> list:
    """The states of the GPUs' generators: none."""
    return []


def set_rng_state_all(new_states: list) -> None:
    """Nothing, for the empty list of get_rng_state_all(). RuntimeError for the states of a GPU."""
    if len(new_states):
        raise RuntimeError(f"cuda.set_rng_state_all: got the states of {len(new_states)} GPUs, but there is none")


set_device = refuse("cuda.set_device", "GPU")
current_device = refuse("cuda.current_device", "GPU")
get_device_name = refuse("cuda.get_device_name", "GPU")
get_device_properties = refuse("cuda.get_device_properties", "GPU")
get_device_capability = refuse("cuda.get_device_capability", "GPU")
mem_get_info = refuse("cuda.mem_get_info", "GPU")
get_rng_state = refuse("cuda.get_rng_state", "GPU")
set_rng_state = refuse("cuda.set_rng_state", "GPU")
synchronize = refuse("cuda.synchronize", "GPU")
init = refuse("cuda.init", "GPU")
Event = refuse("cuda.Event", "GPU")
Stream = refuse("cuda.Stream", "GPU")
current_stream = refuse("cuda.current_stream", "GPU")
