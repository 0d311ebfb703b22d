"""Helpers around training: data loading, checkpointing and hook handles."""

from . import checkpoint as checkpoint
from . import data as data
from . import dlpack as dlpack
from . import hooks as hooks
