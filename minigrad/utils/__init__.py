"""Helpers around training: data loading and hook handles."""

from . import data as data
from . import dlpack as dlpack
from . import hooks as hooks
