"""torch.distributed where it was not built: programs that ask is_available() train in one process."""

from __future__ import annotations

from minigrad._no_device import refuse_because


def is_available() -> bool:
    """Whether several machines can train together: never."""
    return False


def is_initialized() -> bool:
    """Whether a group of processes was made: never."""
    return False


def is_torchelastic_launched() -> bool:
    """Whether torchrun started the process: never."""
    return False


init_process_group = refuse_because("distributed.init_process_group", "minigrad trains in one process, on one machine")
destroy_process_group = refuse_because("distributed.destroy_process_group", "minigrad trains in one process, on one machine")
get_rank = refuse_because("distributed.get_rank", "minigrad trains in one process, on one machine")
get_world_size = refuse_because("distributed.get_world_size", "minigrad trains in one process, on one machine")
barrier = refuse_because("distributed.barrier", "minigrad trains in one process, on one machine")
all_reduce = refuse_because("distributed.all_reduce", "minigrad trains in one process, on one machine")
