"""minigrad: a minimal autograd engine with PyTorch's names, for the CPU."""

# First, so that the function `tensor`, imported below, has its name in this package rather than the module.
from .tensor import Size as Size
from .tensor import Tensor as Tensor
from .tensor import is_floating_point as is_floating_point
from .tensor import is_tensor as is_tensor
from .tensor import numel as numel

# isort: split

from . import autograd as autograd
from . import nn as nn
from . import optim as optim
from . import random as random
from . import utils as utils
from ._device import device as device
from ._dtype import bool as bool
from ._dtype import double as double
from ._dtype import dtype as dtype
from ._dtype import finfo as finfo
from ._dtype import float as float
from ._dtype import float32 as float32
from ._dtype import float64 as float64
from ._dtype import get_default_dtype as get_default_dtype
from ._dtype import iinfo as iinfo
from ._dtype import int as int
from ._dtype import int8 as int8
from ._dtype import int16 as int16
from ._dtype import int32 as int32
from ._dtype import int64 as int64
from ._dtype import long as long
from ._dtype import promote_types as promote_types
from ._dtype import set_default_dtype as set_default_dtype
from ._dtype import short as short
from ._dtype import uint8 as uint8
from ._ext.hot import neg as neg
from ._ext.threads import get_num_threads as get_num_threads
from ._ext.threads import openmp_version as _openmp_version
from ._ext.threads import set_num_threads as set_num_threads
from ._repr import set_printoptions as set_printoptions
from .autograd import enable_grad as enable_grad
from .autograd import inference_mode as inference_mode
from .autograd import is_grad_enabled as is_grad_enabled
from .autograd import no_grad as no_grad
from .autograd import set_grad_enabled as set_grad_enabled
from .creation import arange as arange
from .creation import as_tensor as as_tensor
from .creation import empty as empty
from .creation import empty_like as empty_like
from .creation import eye as eye
from .creation import from_numpy as from_numpy
from .creation import full as full
from .creation import full_like as full_like
from .creation import linspace as linspace
from .creation import logspace as logspace
from .creation import meshgrid as meshgrid
from .creation import ones as ones
from .creation import ones_like as ones_like
from .creation import tensor as tensor
from .creation import zeros as zeros
from .creation import zeros_like as zeros_like
from .io import load as load
from .io import save as save
from .ops.activation import celu as celu
from .ops.activation import hardshrink as hardshrink
from .ops.activation import prelu as prelu
from .ops.activation import relu as relu
from .ops.activation import relu_ as relu_
from .ops.activation import selu as selu
from .ops.activation import threshold as threshold
from .ops.elementwise import abs as abs
from .ops.elementwise import add as add
from .ops.elementwise import addcdiv as addcdiv
from .ops.elementwise import addcmul as addcmul
from .ops.elementwise import allclose as allclose
from .ops.elementwise import atan as atan
from .ops.elementwise import bitwise_and as bitwise_and
from .ops.elementwise import bitwise_not as bitwise_not
from .ops.elementwise import bitwise_or as bitwise_or
from .ops.elementwise import bitwise_xor as bitwise_xor
from .ops.elementwise import ceil as ceil
from .ops.elementwise import clamp as clamp
from .ops.elementwise import clamp_max as clamp_max
from .ops.elementwise import clamp_min as clamp_min
from .ops.elementwise import cos as cos
from .ops.elementwise import div as div
from .ops.elementwise import eq as eq
from .ops.elementwise import equal as equal
from .ops.elementwise import erf as erf
from .ops.elementwise import exp as exp
from .ops.elementwise import expm1 as expm1
from .ops.elementwise import floor as floor
from .ops.elementwise import floor_divide as floor_divide
from .ops.elementwise import fmod as fmod
from .ops.elementwise import frac as frac
from .ops.elementwise import ge as ge
from .ops.elementwise import gt as gt
from .ops.elementwise import isclose as isclose
from .ops.elementwise import isfinite as isfinite
from .ops.elementwise import isinf as isinf
from .ops.elementwise import isnan as isnan
from .ops.elementwise import le as le
from .ops.elementwise import lerp as lerp
from .ops.elementwise import log as log
from .ops.elementwise import log1p as log1p
from .ops.elementwise import log2 as log2
from .ops.elementwise import log10 as log10
from .ops.elementwise import logical_and as logical_and
from .ops.elementwise import logical_not as logical_not
from .ops.elementwise import logical_or as logical_or
from .ops.elementwise import logical_xor as logical_xor
from .ops.elementwise import lt as lt
from .ops.elementwise import maximum as maximum
from .ops.elementwise import minimum as minimum
from .ops.elementwise import mul as mul
from .ops.elementwise import ne as ne
from .ops.elementwise import pow as pow
from .ops.elementwise import reciprocal as reciprocal
from .ops.elementwise import remainder as remainder
from .ops.elementwise import result_type as result_type
from .ops.elementwise import round as round
from .ops.elementwise import rsqrt as rsqrt
from .ops.elementwise import sigmoid as sigmoid
from .ops.elementwise import sign as sign
from .ops.elementwise import sin as sin
from .ops.elementwise import sqrt as sqrt
from .ops.elementwise import square as square
from .ops.elementwise import sub as sub
from .ops.elementwise import tan as tan
from .ops.elementwise import tanh as tanh
from .ops.elementwise import trunc as trunc
from .ops.elementwise import where as where
from .ops.index import gather as gather
from .ops.index import index_add as index_add
from .ops.index import index_copy as index_copy
from .ops.index import index_fill as index_fill
from .ops.index import index_select as index_select
from .ops.index import masked_fill as masked_fill
from .ops.index import masked_select as masked_select
from .ops.index import nonzero as nonzero
from .ops.index import repeat_interleave as repeat_interleave
from .ops.index import scatter as scatter
from .ops.index import scatter_add as scatter_add
from .ops.index import take as take
from .ops.index import take_along_dim as take_along_dim
from .ops.linalg import addmm as addmm
from .ops.linalg import addmv as addmv
from .ops.linalg import baddbmm as baddbmm
from .ops.linalg import bmm as bmm
from .ops.linalg import dot as dot
from .ops.linalg import einsum as einsum
from .ops.linalg import inner as inner
from .ops.linalg import matmul as matmul
from .ops.linalg import mm as mm
from .ops.linalg import mv as mv
from .ops.linalg import outer as outer
from .ops.linalg import tensordot as tensordot
from .ops.reduce import all as all
from .ops.reduce import amax as amax
from .ops.reduce import amin as amin
from .ops.reduce import aminmax as aminmax
from .ops.reduce import any as any
from .ops.reduce import argmax as argmax
from .ops.reduce import argmin as argmin
from .ops.reduce import argsort as argsort
from .ops.reduce import count_nonzero as count_nonzero
from .ops.reduce import cumprod as cumprod
from .ops.reduce import cumsum as cumsum
from .ops.reduce import kthvalue as kthvalue
from .ops.reduce import logsumexp as logsumexp
from .ops.reduce import max as max
from .ops.reduce import mean as mean
from .ops.reduce import median as median
from .ops.reduce import min as min
from .ops.reduce import nanmean as nanmean
from .ops.reduce import nansum as nansum
from .ops.reduce import norm as norm
from .ops.reduce import prod as prod
from .ops.reduce import sort as sort
from .ops.reduce import std as std
from .ops.reduce import std_mean as std_mean
from .ops.reduce import sum as sum
from .ops.reduce import topk as topk
from .ops.reduce import unique as unique
from .ops.reduce import var as var
from .ops.reduce import var_mean as var_mean
from .ops.shape import broadcast_shapes as broadcast_shapes
from .ops.shape import broadcast_tensors as broadcast_tensors
from .ops.shape import broadcast_to as broadcast_to
from .ops.shape import cat as cat
from .ops.shape import chunk as chunk
from .ops.shape import clone as clone
from .ops.shape import diag as diag
from .ops.shape import diagonal as diagonal
from .ops.shape import flatten as flatten
from .ops.shape import flip as flip
from .ops.shape import fliplr as fliplr
from .ops.shape import flipud as flipud
from .ops.shape import hstack as hstack
from .ops.shape import movedim as movedim
from .ops.shape import narrow as narrow
from .ops.shape import permute as permute
from .ops.shape import ravel as ravel
from .ops.shape import reshape as reshape
from .ops.shape import roll as roll
from .ops.shape import select as select
from .ops.shape import split as split
from .ops.shape import squeeze as squeeze
from .ops.shape import stack as stack
from .ops.shape import sum_to_size as sum_to_size
from .ops.shape import t as t
from .ops.shape import tile as tile
from .ops.shape import transpose as transpose
from .ops.shape import tril as tril
from .ops.shape import triu as triu
from .ops.shape import unbind as unbind
from .ops.shape import unflatten as unflatten
from .ops.shape import unsqueeze as unsqueeze
from .ops.shape import vstack as vstack
from .random import Generator as Generator
from .random import bernoulli as bernoulli
from .random import default_generator as default_generator
from .random import get_rng_state as get_rng_state
from .random import initial_seed as initial_seed
from .random import manual_seed as manual_seed
from .random import multinomial as multinomial
from .random import normal as normal
from .random import rand as rand
from .random import rand_like as rand_like
from .random import randint as randint
from .random import randint_like as randint_like
from .random import randn as randn
from .random import randn_like as randn_like
from .random import randperm as randperm
from .random import seed as seed
from .random import set_rng_state as set_rng_state

absolute = abs
clip = clamp
concat = concatenate = cat
divide = true_divide = div
ger = outer
moveaxis = movedim
multiply = mul
negative = neg
subtract = sub
swapaxes = transpose

__version__ = "0.1.0"


def show_config() -> str:
    """How the library was built and what it uses: OpenMP, threads, the instruction set of the kernels."""
    version = _openmp_version()
    openmp = f"OpenMP {version}" if version else "no OpenMP (every kernel runs on one thread)"
    return f"minigrad {__version__}: {openmp}, {get_num_threads()} threads"
