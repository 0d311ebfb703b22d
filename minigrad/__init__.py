"""minigrad: a minimal autograd engine with PyTorch's names, for the CPU."""

# First, so that the function `tensor`, imported below, has its name in this package rather than the module.
from .tensor import Size as Size
from .tensor import Tensor as Tensor
from .tensor import is_floating_point as is_floating_point
from .tensor import is_tensor as is_tensor
from .tensor import numel as numel

# isort: split

from math import e as e
from math import inf as inf
from math import nan as nan
from math import pi as pi
from typing import TYPE_CHECKING as _TYPE_CHECKING

from . import amp as amp
from . import autograd as autograd
from . import nn as nn
from . import random as random
from . import utils as utils
from . import version as version
from ._device import device as device
from ._device import layout as layout
from ._device import strided as strided
from ._dtype import bfloat16 as bfloat16
from ._dtype import bool as bool
from ._dtype import cdouble as cdouble
from ._dtype import cfloat as cfloat
from ._dtype import complex64 as complex64
from ._dtype import complex128 as complex128
from ._dtype import double as double
from ._dtype import dtype as dtype
from ._dtype import finfo as finfo
from ._dtype import float as float
from ._dtype import float16 as float16
from ._dtype import float32 as float32
from ._dtype import float64 as float64
from ._dtype import get_default_dtype as get_default_dtype
from ._dtype import half as half
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
from ._ext.memory import empty_cache as empty_cache
from ._ext.memory import memory_stats as memory_stats
from ._ext.memory import reset_peak_memory_stats as reset_peak_memory_stats
from ._ext.memory import set_cache_limit as set_cache_limit
from ._ext.threads import get_num_threads as get_num_threads
from ._ext.threads import instruction_set as _instruction_set
from ._ext.threads import openmp_version as _openmp_version
from ._ext.threads import set_num_threads as set_num_threads
from ._lazy import late as _late
from ._out import accepts_out as _accepts_out
from ._repr import set_printoptions as set_printoptions
from .amp import GradScaler as GradScaler
from .amp import autocast as autocast
from .autograd import enable_grad as enable_grad
from .autograd import inference_mode as inference_mode
from .autograd import is_grad_enabled as is_grad_enabled
from .autograd import is_inference_mode_enabled as is_inference_mode_enabled
from .autograd import no_grad as no_grad
from .autograd import set_grad_enabled as set_grad_enabled
from .autograd.anomaly_mode import is_anomaly_check_nan_enabled as is_anomaly_check_nan_enabled
from .autograd.anomaly_mode import is_anomaly_enabled as is_anomaly_enabled
from .creation import arange as arange
from .creation import as_tensor as as_tensor
from .creation import asarray as asarray
from .creation import empty as empty
from .creation import empty_like as empty_like
from .creation import eye as eye
from .creation import from_dlpack as from_dlpack
from .creation import from_numpy as from_numpy
from .creation import frombuffer as frombuffer
from .creation import full as full
from .creation import full_like as full_like
from .creation import linspace as linspace
from .creation import logspace as logspace
from .creation import meshgrid as meshgrid
from .creation import ones as ones
from .creation import ones_like as ones_like
from .creation import scalar_tensor as scalar_tensor
from .creation import tensor as tensor
from .creation import zeros as zeros
from .creation import zeros_like as zeros_like
from .functions import adaptive_max_pool1d as adaptive_max_pool1d
from .functions import alpha_dropout as alpha_dropout
from .functions import batch_norm as batch_norm
from .functions import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from .functions import cosine_embedding_loss as cosine_embedding_loss
from .functions import dropout as dropout
from .functions import embedding as embedding
from .functions import feature_alpha_dropout as feature_alpha_dropout
from .functions import feature_dropout as feature_dropout
from .functions import group_norm as group_norm
from .functions import hinge_embedding_loss as hinge_embedding_loss
from .functions import instance_norm as instance_norm
from .functions import kl_div as kl_div
from .functions import layer_norm as layer_norm
from .functions import margin_ranking_loss as margin_ranking_loss
from .functions import poisson_nll_loss as poisson_nll_loss
from .functions import rrelu as rrelu
from .functions import triplet_margin_loss as triplet_margin_loss
from .io import load as load
from .io import save as save
from .nn.functional import adaptive_avg_pool1d as adaptive_avg_pool1d
from .nn.functional import avg_pool1d as avg_pool1d
from .nn.functional import bilinear as bilinear
from .nn.functional import celu_ as celu_
from .nn.functional import channel_shuffle as channel_shuffle
from .nn.functional import conv1d as conv1d
from .nn.functional import conv2d as conv2d
from .nn.functional import conv3d as conv3d
from .nn.functional import conv_transpose1d as conv_transpose1d
from .nn.functional import conv_transpose2d as conv_transpose2d
from .nn.functional import conv_transpose3d as conv_transpose3d
from .nn.functional import cosine_similarity as cosine_similarity
from .nn.functional import max_pool1d as max_pool1d
from .nn.functional import max_pool1d_with_indices as max_pool1d_with_indices
from .nn.functional import max_pool2d as max_pool2d
from .nn.functional import max_pool3d as max_pool3d
from .nn.functional import native_channel_shuffle as native_channel_shuffle
from .nn.functional import pairwise_distance as pairwise_distance
from .nn.functional import pixel_shuffle as pixel_shuffle
from .nn.functional import pixel_unshuffle as pixel_unshuffle
from .nn.functional import rms_norm as rms_norm
from .nn.functional import rrelu_ as rrelu_
from .nn.functional import selu_ as selu_
from .nn.functional import threshold_ as threshold_
from .ops.activation import celu as celu
from .ops.activation import hardshrink as hardshrink
from .ops.activation import prelu as prelu
from .ops.activation import relu as relu
from .ops.activation import relu_ as relu_
from .ops.activation import selu as selu
from .ops.activation import threshold as threshold
from .ops.arrange import adjoint as adjoint
from .ops.arrange import argwhere as argwhere
from .ops.arrange import atleast_1d as atleast_1d
from .ops.arrange import atleast_2d as atleast_2d
from .ops.arrange import atleast_3d as atleast_3d
from .ops.arrange import bincount as bincount
from .ops.arrange import block_diag as block_diag
from .ops.arrange import bucketize as bucketize
from .ops.arrange import cartesian_prod as cartesian_prod
from .ops.arrange import cdist as cdist
from .ops.arrange import column_stack as column_stack
from .ops.arrange import cross as cross
from .ops.arrange import cummax as cummax
from .ops.arrange import cummin as cummin
from .ops.arrange import detach as detach
from .ops.arrange import diag_embed as diag_embed
from .ops.arrange import diagflat as diagflat
from .ops.arrange import diagonal_scatter as diagonal_scatter
from .ops.arrange import diff as diff
from .ops.arrange import dist as dist
from .ops.arrange import dsplit as dsplit
from .ops.arrange import dstack as dstack
from .ops.arrange import hsplit as hsplit
from .ops.arrange import is_nonzero as is_nonzero
from .ops.arrange import is_same_size as is_same_size
from .ops.arrange import isin as isin
from .ops.arrange import kron as kron
from .ops.arrange import masked_scatter as masked_scatter
from .ops.arrange import msort as msort
from .ops.arrange import rot90 as rot90
from .ops.arrange import searchsorted as searchsorted
from .ops.arrange import select_scatter as select_scatter
from .ops.arrange import slice_scatter as slice_scatter
from .ops.arrange import split_with_sizes as split_with_sizes
from .ops.arrange import tensor_split as tensor_split
from .ops.arrange import trace as trace
from .ops.arrange import tril_indices as tril_indices
from .ops.arrange import triu_indices as triu_indices
from .ops.arrange import vsplit as vsplit
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
from .ops.elementwise import rsub as rsub
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
from .ops.factor import cholesky as cholesky
from .ops.factor import det as det
from .ops.factor import inverse as inverse
from .ops.factor import logdet as logdet
from .ops.factor import slogdet as slogdet
from .ops.index import gather as gather
from .ops.index import index_add as index_add
from .ops.index import index_copy as index_copy
from .ops.index import index_fill as index_fill
from .ops.index import index_put as index_put
from .ops.index import index_select as index_select
from .ops.index import masked_fill as masked_fill
from .ops.index import masked_select as masked_select
from .ops.index import nonzero as nonzero
from .ops.index import repeat_interleave as repeat_interleave
from .ops.index import scatter as scatter
from .ops.index import scatter_add as scatter_add
from .ops.index import take as take
from .ops.index import take_along_dim as take_along_dim
from .ops.linalg import addbmm as addbmm
from .ops.linalg import addmm as addmm
from .ops.linalg import addmv as addmv
from .ops.linalg import addr as addr
from .ops.linalg import baddbmm as baddbmm
from .ops.linalg import bmm as bmm
from .ops.linalg import dot as dot
from .ops.linalg import einsum as einsum
from .ops.linalg import inner as inner
from .ops.linalg import matmul as matmul
from .ops.linalg import matrix_power as matrix_power
from .ops.linalg import mm as mm
from .ops.linalg import mv as mv
from .ops.linalg import outer as outer
from .ops.linalg import tensordot as tensordot
from .ops.loss import log_softmax as log_softmax
from .ops.loss import softmax as softmax
from .ops.mathematics import acos as acos
from .ops.mathematics import acosh as acosh
from .ops.mathematics import asin as asin
from .ops.mathematics import asinh as asinh
from .ops.mathematics import atan2 as atan2
from .ops.mathematics import atanh as atanh
from .ops.mathematics import bitwise_left_shift as bitwise_left_shift
from .ops.mathematics import bitwise_right_shift as bitwise_right_shift
from .ops.mathematics import copysign as copysign
from .ops.mathematics import cosh as cosh
from .ops.mathematics import deg2rad as deg2rad
from .ops.mathematics import exp2 as exp2
from .ops.mathematics import float_power as float_power
from .ops.mathematics import fmax as fmax
from .ops.mathematics import fmin as fmin
from .ops.mathematics import hypot as hypot
from .ops.mathematics import isneginf as isneginf
from .ops.mathematics import isposinf as isposinf
from .ops.mathematics import isreal as isreal
from .ops.mathematics import logaddexp as logaddexp
from .ops.mathematics import logaddexp2 as logaddexp2
from .ops.mathematics import logit as logit
from .ops.mathematics import nan_to_num as nan_to_num
from .ops.mathematics import positive as positive
from .ops.mathematics import rad2deg as rad2deg
from .ops.mathematics import signbit as signbit
from .ops.mathematics import sinc as sinc
from .ops.mathematics import sinh as sinh
from .ops.mathematics import xlogy as xlogy
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
from .ops.shape import swapaxes as swapaxes
from .ops.shape import t as t
from .ops.shape import tile as tile
from .ops.shape import transpose as transpose
from .ops.shape import tril as tril
from .ops.shape import triu as triu
from .ops.shape import unbind as unbind
from .ops.shape import unflatten as unflatten
from .ops.shape import unsqueeze as unsqueeze
from .ops.shape import vstack as vstack
from .ops.special import can_cast as can_cast
from .ops.special import conj as conj
from .ops.special import digamma as digamma
from .ops.special import erfc as erfc
from .ops.special import erfinv as erfinv
from .ops.special import gcd as gcd
from .ops.special import heaviside as heaviside
from .ops.special import is_complex as is_complex
from .ops.special import is_signed as is_signed
from .ops.special import lcm as lcm
from .ops.special import lgamma as lgamma
from .ops.special import polygamma as polygamma
from .ops.special import real as real
from .ops.statistics import bartlett_window as bartlett_window
from .ops.statistics import blackman_window as blackman_window
from .ops.statistics import chain_matmul as chain_matmul
from .ops.statistics import combinations as combinations
from .ops.statistics import corrcoef as corrcoef
from .ops.statistics import cov as cov
from .ops.statistics import cumulative_trapezoid as cumulative_trapezoid
from .ops.statistics import hamming_window as hamming_window
from .ops.statistics import hann_window as hann_window
from .ops.statistics import histc as histc
from .ops.statistics import mode as mode
from .ops.statistics import nanmedian as nanmedian
from .ops.statistics import nanquantile as nanquantile
from .ops.statistics import quantile as quantile
from .ops.statistics import renorm as renorm
from .ops.statistics import trapezoid as trapezoid
from .ops.statistics import trapz as trapz
from .ops.statistics import unique_consecutive as unique_consecutive
from .ops.statistics import unravel_index as unravel_index
from .ops.statistics import vander as vander
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
from .settings import are_deterministic_algorithms_enabled as are_deterministic_algorithms_enabled
from .settings import channels_last as channels_last
from .settings import channels_last_3d as channels_last_3d
from .settings import compile as compile
from .settings import contiguous_format as contiguous_format
from .settings import get_default_device as get_default_device
from .settings import get_float32_matmul_precision as get_float32_matmul_precision
from .settings import get_num_interop_threads as get_num_interop_threads
from .settings import memory_format as memory_format
from .settings import preserve_format as preserve_format
from .settings import set_default_device as set_default_device
from .settings import set_default_tensor_type as set_default_tensor_type
from .settings import set_float32_matmul_precision as set_float32_matmul_precision
from .settings import set_flush_denormal as set_flush_denormal
from .settings import set_num_interop_threads as set_num_interop_threads
from .settings import use_deterministic_algorithms as use_deterministic_algorithms
from .tensor_types import BoolTensor as BoolTensor
from .tensor_types import ByteTensor as ByteTensor
from .tensor_types import CharTensor as CharTensor
from .tensor_types import DoubleTensor as DoubleTensor
from .tensor_types import FloatTensor as FloatTensor
from .tensor_types import IntTensor as IntTensor
from .tensor_types import LongTensor as LongTensor
from .tensor_types import ShortTensor as ShortTensor
from .version import __version__ as __version__

if _TYPE_CHECKING:
    from . import accelerator as accelerator
    from . import backends as backends
    from . import cuda as cuda
    from . import distributed as distributed
    from . import distributions as distributions
    from . import func as func
    from . import hub as hub
    from . import jit as jit
    from . import linalg as linalg
    from . import mps as mps
    from . import multiprocessing as multiprocessing
    from . import onnx as onnx
    from . import optim as optim
    from . import profiler as profiler
    from . import special as special
    from . import testing as testing
    from . import viz as viz
    from . import xpu as xpu
    from .summary_table import summary as summary

__getattr__, __dir__ = _late(
    __name__,
    (
        "accelerator",
        "backends",
        "cuda",
        "distributed",
        "distributions",
        "func",
        "hub",
        "jit",
        "linalg",
        "mps",
        "multiprocessing",
        "onnx",
        "optim",
        "profiler",
        "special",
        "testing",
        "viz",
        "xpu",
    ),
    {"summary": "summary_table"},
)

# PyTorch's functions that write their result where `out` says. Operators and methods go past this.
add = _accepts_out(add)
sub = _accepts_out(sub)
mul = _accepts_out(mul)
div = _accepts_out(div)
pow = _accepts_out(pow)
remainder = _accepts_out(remainder)
fmod = _accepts_out(fmod)
floor_divide = _accepts_out(floor_divide)
maximum = _accepts_out(maximum)
minimum = _accepts_out(minimum)
atan2 = _accepts_out(atan2)
lerp = _accepts_out(lerp)
where = _accepts_out(where)
addcmul = _accepts_out(addcmul)
addcdiv = _accepts_out(addcdiv)
logaddexp = _accepts_out(logaddexp)
eq = _accepts_out(eq)
ne = _accepts_out(ne)
lt = _accepts_out(lt)
le = _accepts_out(le)
gt = _accepts_out(gt)
ge = _accepts_out(ge)
logical_and = _accepts_out(logical_and)
logical_or = _accepts_out(logical_or)
logical_not = _accepts_out(logical_not)
logical_xor = _accepts_out(logical_xor)
bitwise_and = _accepts_out(bitwise_and)
bitwise_or = _accepts_out(bitwise_or)
bitwise_xor = _accepts_out(bitwise_xor)
abs = _accepts_out(abs)
neg = _accepts_out(neg)
exp = _accepts_out(exp)
expm1 = _accepts_out(expm1)
log = _accepts_out(log)
log1p = _accepts_out(log1p)
log2 = _accepts_out(log2)
log10 = _accepts_out(log10)
sqrt = _accepts_out(sqrt)
rsqrt = _accepts_out(rsqrt)
square = _accepts_out(square)
reciprocal = _accepts_out(reciprocal)
sin = _accepts_out(sin)
cos = _accepts_out(cos)
tan = _accepts_out(tan)
asin = _accepts_out(asin)
acos = _accepts_out(acos)
atan = _accepts_out(atan)
sinh = _accepts_out(sinh)
cosh = _accepts_out(cosh)
tanh = _accepts_out(tanh)
sigmoid = _accepts_out(sigmoid)
erf = _accepts_out(erf)
floor = _accepts_out(floor)
ceil = _accepts_out(ceil)
round = _accepts_out(round)
trunc = _accepts_out(trunc)
frac = _accepts_out(frac)
sign = _accepts_out(sign)
clamp = _accepts_out(clamp)
sum = _accepts_out(sum)
mean = _accepts_out(mean)
prod = _accepts_out(prod)
std = _accepts_out(std)
var = _accepts_out(var)
amax = _accepts_out(amax)
amin = _accepts_out(amin)
argmax = _accepts_out(argmax)
argmin = _accepts_out(argmin)
max = _accepts_out(max)
min = _accepts_out(min)
sort = _accepts_out(sort)
topk = _accepts_out(topk)
cumsum = _accepts_out(cumsum)
cumprod = _accepts_out(cumprod)
any = _accepts_out(any)
all = _accepts_out(all)
norm = _accepts_out(norm)
logsumexp = _accepts_out(logsumexp)
matmul = _accepts_out(matmul)
mm = _accepts_out(mm)
bmm = _accepts_out(bmm)
mv = _accepts_out(mv)
dot = _accepts_out(dot)
outer = _accepts_out(outer)
addmm = _accepts_out(addmm)
addmv = _accepts_out(addmv)
baddbmm = _accepts_out(baddbmm)
inner = _accepts_out(inner)
cat = _accepts_out(cat)
stack = _accepts_out(stack)
gather = _accepts_out(gather)
index_select = _accepts_out(index_select)
masked_select = _accepts_out(masked_select)
take = _accepts_out(take)
tril = _accepts_out(tril)
triu = _accepts_out(triu)
diag = _accepts_out(diag)

absolute = abs
arccos = acos
arccosh = acosh
arcsin = asin
arcsinh = asinh
arctan = atan
arctan2 = atan2
arctanh = atanh
clip = clamp
concat = concatenate = cat
divide = true_divide = div
fix = trunc
ger = outer
greater = gt
greater_equal = ge
less = lt
less_equal = le
moveaxis = movedim
multiply = mul
negative = neg
newaxis = None
not_equal = ne
row_stack = vstack
sgn = sign
subtract = sub
swapdims = transpose
vdot = dot

# In place
abs_ = Tensor.abs_
acos_ = Tensor.acos_
acosh_ = Tensor.acosh_
addmv_ = Tensor.addmv_
arccos_ = Tensor.arccos_
arccosh_ = Tensor.arccosh_
arcsin_ = Tensor.arcsin_
arcsinh_ = Tensor.arcsinh_
arctan_ = Tensor.arctan_
arctanh_ = Tensor.arctanh_
asin_ = Tensor.asin_
asinh_ = Tensor.asinh_
atan_ = Tensor.atan_
atanh_ = Tensor.atanh_
ceil_ = Tensor.ceil_
clamp_ = Tensor.clamp_
clamp_max_ = Tensor.clamp_max_
clamp_min_ = Tensor.clamp_min_
clip_ = Tensor.clip_
cos_ = Tensor.cos_
cosh_ = Tensor.cosh_
deg2rad_ = Tensor.deg2rad_
detach_ = Tensor.detach_
erf_ = Tensor.erf_
exp2_ = Tensor.exp2_
exp_ = Tensor.exp_
expm1_ = Tensor.expm1_
fill_ = Tensor.fill_
fix_ = Tensor.fix_
floor_ = Tensor.floor_
frac_ = Tensor.frac_
index_put_ = Tensor.index_put_
log10_ = Tensor.log10_
log1p_ = Tensor.log1p_
log2_ = Tensor.log2_
log_ = Tensor.log_
logit_ = Tensor.logit_
nan_to_num_ = Tensor.nan_to_num_
neg_ = Tensor.neg_
negative_ = Tensor.negative_
rad2deg_ = Tensor.rad2deg_
reciprocal_ = Tensor.reciprocal_
round_ = Tensor.round_
rsqrt_ = Tensor.rsqrt_
sigmoid_ = Tensor.sigmoid_
sin_ = Tensor.sin_
sinc_ = Tensor.sinc_
sinh_ = Tensor.sinh_
sqrt_ = Tensor.sqrt_
square_ = Tensor.square_
tan_ = Tensor.tan_
tanh_ = Tensor.tanh_
trunc_ = Tensor.trunc_
xlogy_ = Tensor.xlogy_
zero_ = Tensor.zero_


def show_config() -> str:
    """How the library was built and what it uses: OpenMP, threads, the instruction set of the kernels."""
    version = _openmp_version()
    openmp = f"OpenMP {version}" if version else "no OpenMP (every kernel runs on one thread)"
    return f"minigrad {__version__}: {openmp}, {get_num_threads()} threads, {_instruction_set()} kernels"
