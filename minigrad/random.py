"""Random numbers: Generator, the default one, and the factories and in-place samplers that draw from it.

The bits come from numpy's PCG64. A seed gives the same numbers for any number of threads and on every machine (normal float32 numbers
to rounding, which differs between instruction sets), but they are not the numbers that PyTorch draws for that seed.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import _dtype
from minigrad._device import CPU, check_device
from minigrad._dtype import dtype as DType
from minigrad._dtype import get_default_dtype
from minigrad._ext import elementwise as kernels
from minigrad._ext import random as integers
from minigrad._ext.engine import TensorBase, from_array
from minigrad._ext.memory import empty_array
from minigrad._ext.views import new_shape

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

_STATE_BYTES = 45  # state (16), increment (16), has_uint32 (1), uinteger (4), initial seed (8)
_MASK64 = 2**64 - 1

# PyTorch's names of the element types in its messages.
_TORCH_NAMES = {
    "float32": "Float", "float64": "Double", "int64": "Long", "int32": "Int", "int16": "Short", "int8": "Char",
    "uint8": "Byte", "bool": "Bool",
}  # fmt: skip
_C_NAMES = {
    "int64": "long", "int32": "int", "int16": "short", "int8": "signed char", "uint8": "unsigned char", "bool": "bool",
    "float32": "float", "float64": "double",
}  # fmt: skip


class Generator:
    """A stream of random numbers. `rng` is the numpy.random.Generator that it draws from.

    A new one has PyTorch's default seed, 67280421310721; only the CPU is accepted as `device` (RuntimeError).
    """

    _rng: np.random.Generator | None

    def __init__(self, device: Any = "cpu") -> None:
        check_device(device)
        self.manual_seed(67280421310721)

    @property
    def device(self) -> Any:
        """The device of the generator: the CPU."""
        return CPU

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream that belongs to this seed, -2**63 to 2**64-1; a negative one stands for 2**64 + seed. Returns self.

        RuntimeError for a seed that is no int, ValueError for one outside that range.
        """
        if not isinstance(seed, int | np.integer):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"Overflow when unpacking long long: a seed lies in [-2**63, 2**64), but got {seed}")
        self._seed = int(seed) & _MASK64
        self._rng = None
        return self

    @property
    def rng(self) -> np.random.Generator:
        """The numpy generator that the numbers come from. Made at the first use: numpy.random is slow to import."""
        if self._rng is None:
            self._rng = np.random.Generator(np.random.PCG64(self._seed))
        return self._rng

    def seed(self) -> int:
        """Starts a stream with a seed from the operating system's randomness, and returns that seed."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little") >> 11)
        return self._seed

    def initial_seed(self) -> int:
        """The seed that was set last."""
        return self._seed

    def get_state(self) -> Tensor:
        """The state of the stream, a uint8 tensor for `set_state`."""
        state: Any = self.rng.bit_generator.state
        numbers = ((state["state"]["state"], 16), (state["state"]["inc"], 16), (state["has_uint32"], 1), (state["uinteger"], 4))
        raw = b"".join(value.to_bytes(size, "little") for value, size in (*numbers, (self._seed, 8)))
        return from_array(np.frombuffer(raw, np.uint8).copy())

    def set_state(self, new_state: Tensor) -> Generator:
        """Goes back to a state that `get_state` gave. TypeError unless it is a uint8 tensor, RuntimeError for another size."""
        if not isinstance(new_state, TensorBase):
            raise TypeError(f"expected a uint8 Tensor, but got {type(new_state).__name__}")
        if new_state.dtype is not _dtype.uint8:
            raise TypeError(f"RNG state must be a uint8 Tensor, but its dtype is {new_state.dtype}")
        if new_state.numel() != _STATE_BYTES:
            raise RuntimeError(
                f"Expected a state of size {_STATE_BYTES} but found the input RNG state size to be {new_state.numel()}"
            )
        raw = new_state.numpy().tobytes()
        cuts = (0, 16, 32, 33, 37, 45)
        state, inc, has_uint32, uinteger, seed = (int.from_bytes(raw[a:b], "little") for a, b in itertools.pairwise(cuts))
        rng = np.random.Generator(np.random.PCG64(0))
        rng.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": inc},
            "has_uint32": has_uint32,
            "uinteger": uinteger,
        }
        self._rng, self._seed = rng, seed
        return self

    def clone_state(self) -> Generator:
        """A new generator that will give the same numbers as this one from here on."""
        return Generator().set_state(self.get_state())

    def __getstate__(self) -> bytes:
        return self.get_state().numpy().tobytes()

    def __setstate__(self, state: bytes) -> None:
        self.set_state(from_array(np.frombuffer(state, np.uint8).copy()))


default_generator = Generator()
default_generator.seed()


def manual_seed(seed: int) -> Generator:
    """Seeds the default generator and returns it. ValueError for what is no integer or outside [-2**63, 2**64)."""
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Seeds the default generator from the operating system's randomness, and returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator, a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Takes the default generator back to a state that `get_rng_state` gave."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:
    """A context, or decorator, that puts the default generator back to where it stood; not if `enabled` is False.

    `devices` are PyTorch's: there are none but the CPU.
    """
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


# ---- the draws, as arrays


def _rng(generator: Generator | None) -> np.random.Generator:
    if generator is None:
        return default_generator.rng
    if not isinstance(generator, Generator):
        raise TypeError(f"argument 'generator' must be minigrad.Generator, not {type(generator).__name__}")
    return generator.rng


def _float_dtype(dtype: DType, kernel: str) -> np.dtype:
    if not dtype.is_floating_point:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{_TORCH_NAMES[dtype.name]}'")
    return dtype.np


def _draw_uniform(shape: Any, dtype: DType, low: float, high: float, generator: Generator | None) -> np.ndarray:
    real = _float_dtype(dtype, "check_uniform_bounds")
    if low > high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
    values = _rng(generator).random(shape, real)
    if (low, high) != (0, 1):
        values = np.asarray(values)
        values *= real.type(high - low)
        values += real.type(low)
        # Rounding may reach `high`, which lies outside the half-open range.
        if low < high:
            np.minimum(values, np.nextafter(real.type(high), real.type(low)), out=values)
    return values


def _draw_normal(shape: Any, dtype: DType, mean: Any, std: Any, generator: Generator | None) -> np.ndarray:
    real = _float_dtype(dtype, "normal_kernel_cpu")
    if dtype is _dtype.float32:
        n = math.prod(shape)
        values = kernels.normals(_words(_rng(generator), n + n % 2), n).reshape(shape)
    else:
        values = np.asarray(_rng(generator).standard_normal(shape, real))
    if std is not None:
        values *= np.asarray(std, real)
        values += np.asarray(mean, real)
    return values


def draw_keep_mask(shape: tuple[int, ...], p: float, generator: Generator | None = None) -> np.ndarray:
    """A bool array that is True with probability p, from one 32-bit number an element."""
    rng = _rng(generator)
    if p >= 1:
        return np.ones(shape, np.bool_)
    size = math.prod(shape)
    bits = _words(rng, size).reshape(shape)  # twice as fast as integers()
    return np.asarray(bits < _limit(p))


def _limit(p: float) -> np.uint32:
    """What a random word is below with probability p < 1."""
    return np.uint32(min(round(p * 2**32), 2**32 - 1))


def draw_keep_factor(shape: tuple[int, ...], p: float, dtype: np.dtype) -> np.ndarray:
    """1 / p where draw_keep_mask(shape, p) is True, else 0."""
    factor = empty_array((math.prod(shape),), dtype)
    if p >= 1:
        factor.fill(1)
    else:
        integers.keep(_rng(None).bit_generator, _limit(p), 1 / p, factor)
    return factor.reshape(shape)


def _check_range(low: int, high: int, dtype: DType) -> None:
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if dtype.is_floating_point:
        limits = np.finfo(dtype.np)
        least, most = -limits.max, limits.max
    elif dtype is _dtype.bool:
        least, most = 0, 1
    else:
        info = np.iinfo(dtype.np)
        least, most = info.min, info.max
    for what, value in (("from", low), ("to - 1", high - 1)):
        if not least <= value <= most:
            raise RuntimeError(f"{what} is out of bounds for {_C_NAMES[dtype.name]}")


def _draw_integers(shape: Any, dtype: DType, low: int, high: int, generator: Generator | None) -> np.ndarray:
    _check_range(low, high, dtype)
    rng, size = _rng(generator), high - low
    if size > 2**32:
        return np.asarray(rng.integers(low, high, shape, np.int64)).astype(dtype.np, copy=False)
    values, done = empty_array((math.prod(shape),), np.int64), 0
    while done < values.size:
        done += integers.bounded(_words(rng, values.size - done), low, size, values[done:])
    return values.reshape(shape).astype(dtype.np, copy=False)


def _words(rng: np.random.Generator, n: int) -> np.ndarray:
    """n random uint32."""
    return integers.words(rng.bit_generator, n)


def _draw_order(n: int, generator: Generator | None) -> np.ndarray:
    """A random order of 0 to n - 1."""
    rng = _rng(generator)
    if n >= 2**32:
        return rng.permutation(n)
    order, left = np.arange(n), n
    while left > 1:  # on one thread: the others would fall asleep while it shuffles, and waking them costs what they save
        words = rng.bit_generator.random_raw((left + 1) // 2).view(np.uint32)[:left]
        left = integers.shuffle(words, order, left)
    return order


# ---- factories


def _shape(size: tuple[Any, ...], function: str) -> tuple[int, ...]:
    """The shape from `*size`: integers, or one sequence of them."""
    plain = new_shape(size) if size else None
    if plain is not None:
        return plain
    if len(size) == 1 and not isinstance(size[0], int | np.integer):
        if not isinstance(size[0], Sequence) or isinstance(size[0], str):
            raise TypeError(f"{function}(): argument 'size' (position 1) must be tuple of ints, not {type(size[0]).__name__}")
        size = tuple(size[0])
    elif not size:
        raise TypeError(f"{function}() needs a size: one or more ints, or a tuple of ints (() for a 0-d tensor)")
    for i, n in enumerate(size):
        if not isinstance(n, int | np.integer) or isinstance(n, bool):
            raise TypeError(
                f"{function}(): argument 'size' must be tuple of ints, but found element of type {type(n).__name__} at pos {i}"
            )
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(size)}")
    return tuple(int(n) for n in size)


def _dtype_or_default(dtype: Any, function: str) -> DType:
    return get_default_dtype() if dtype is None else _dtype.check(dtype, function)


def _finish(values: Any, out: Tensor | None, requires_grad: bool) -> Tensor:
    """The drawn values as a tensor, or written into `out`."""
    result = from_array(np.asarray(values))
    if out is not None:
        if tuple(out.shape) != tuple(result.shape):
            raise RuntimeError(f"out has shape {tuple(out.shape)}, but the result has shape {tuple(result.shape)}")
        return out.copy_(result)
    return result.requires_grad_() if requires_grad else result


def rand(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of the given size, drawn from the uniform distribution on [0, 1).

    TypeError for a size that is not made of ints, RuntimeError for a negative one or a device other than the CPU,
    NotImplementedError for an integer dtype.
    """
    check_device(device)
    shape = _shape(sizes if size is None else (size,), "rand")
    return _finish(_draw_uniform(shape, _out_dtype(out, dtype, "rand"), 0, 1, generator), out, requires_grad)


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of the given size, drawn from the normal distribution with mean 0 and variance 1. Raises as `rand` does."""
    check_device(device)
    values = _draw_normal(
        _shape(sizes if size is None else (size,), "randn"), _out_dtype(out, dtype, "randn"), 0, None, generator
    )
    return _finish(values, out, requires_grad)


def _out_dtype(out: Tensor | None, dtype: Any, function: str) -> DType:
    return out.dtype if out is not None and dtype is None else _dtype_or_default(dtype, function)


def randint(
    *args: Any,
    low: int | None = None,
    high: int | None = None,
    size: Any = None,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`randint(low=0, high, size)`: integers from low to high - 1, each as likely as the others; int64 unless dtype says otherwise.

    RuntimeError if low >= high, a bound does not fit the dtype, or an integer tensor shall require a gradient; TypeError for
    arguments of other types.
    """
    check_device(device)
    names = ["low", "high", "size"]
    given = {"low": low, "high": high, "size": size}
    rest = list(args)
    if rest and not isinstance(rest[-1], int | np.integer) and size is None:
        given["size"] = rest.pop()
    numbers = ["low", "high"] if len(rest) == 2 else ["low"] if high is not None else ["high"]
    for name, value in zip(numbers, rest, strict=False):
        given[name] = value
    if len(rest) > 2 or given["high"] is None or given["size"] is None or isinstance(given["size"], int | np.integer):
        got = ", ".join(
            [type(a).__name__ for a in args] + [f"{n}={type(given[n]).__name__}" for n in names if given[n] is not None]
        )
        raise TypeError(
            f"randint() expects (low=0, high, size) with ints low and high and a tuple of ints size, but got ({got})"
        )
    for name in ("low", "high"):
        if given[name] is not None and not isinstance(given[name], int | np.integer):
            raise TypeError(f"randint(): argument '{name}' must be int, not {type(given[name]).__name__}")
    element = _dtype.int64 if dtype is None and out is None else _out_dtype(out, dtype, "randint")
    shape = _shape((given["size"],), "randint")
    values = _draw_integers(shape, element, int(given["low"] or 0), int(given["high"]), generator)
    return _finish(values, out, requires_grad)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A random order of the integers 0 to n - 1; int64 unless dtype says otherwise.

    TypeError unless n is an int, RuntimeError if it is negative or n - 1 does not fit the dtype.
    """
    check_device(device)
    if not isinstance(n, int | np.integer) or isinstance(n, bool):
        raise TypeError(f"randperm(): argument 'n' (position 1) must be int, not {type(n).__name__}")
    _shape((n,), "randperm")
    element = _dtype.int64 if dtype is None and out is None else _out_dtype(out, dtype, "randperm")
    if n > 1:
        _check_range(0, int(n), element)
    return _finish(_draw_order(int(n), generator).astype(element.np, copy=False), out, requires_grad)


def normal(
    mean: float | Tensor = 0.0,
    std: float | Tensor = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal random numbers with these means and standard deviations, which broadcast; two numbers need a `size`.

    RuntimeError for a negative std or shapes that do not broadcast, TypeError for two numbers without a size or a size beside
    tensors. No gradient flows to mean and std.
    """
    check_device(device)
    tensors = [t for t in (mean, std) if isinstance(t, TensorBase)]
    if bool(tensors) == (size is not None):
        raise TypeError("normal() expects (Tensor, Tensor), (Tensor, float), (float, Tensor) or (float, float, size)")
    if isinstance(std, TensorBase):
        if not bool((std.detach().numpy() >= 0).all()):
            raise RuntimeError("normal expects all elements of std >= 0.0")
    elif not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    if tensors:
        element = tensors[0].dtype if dtype is None else _dtype.check(dtype, "normal")
        _float_dtype(element, "normal_kernel_cpu")
        shapes = [tuple(t.shape) for t in tensors]
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError:
            raise RuntimeError(f"normal: the shapes of mean and std, {shapes[0]} and {shapes[1]}, do not broadcast") from None
    else:
        element, shape = _out_dtype(out, dtype, "normal"), _shape((size,), "normal")
    mean, std = (v.detach().numpy() if isinstance(v, TensorBase) else v for v in (mean, std))
    return _finish(_draw_normal(shape, element, mean, std, generator), out, requires_grad)


def _check_p(p: float) -> None:
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")


def _bernoulli_array(p: np.ndarray, generator: Generator | None) -> np.ndarray:
    if not ((p >= 0) & (p <= 1)).all():
        raise RuntimeError(
            "Expected p_in >= 0 && p_in <= 1 to be true, but got false: a probability lies outside [0, 1] or is NaN"
        )
    return _rng(generator).random(p.shape) < p


def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None, out: Tensor | None = None
) -> Tensor:
    """Ones with probability `input`, elementwise, else zeros; with a number `p`, that probability everywhere.

    The result has the shape and dtype of `input`. RuntimeError for a probability outside [0, 1], NotImplementedError for an
    integer `input` without `p`.
    """
    if p is not None:
        _check_p(p)
        return _finish(draw_keep_mask(tuple(input.shape), p, generator).astype(input.dtype.np), out, False)
    real = _float_dtype(input.dtype, "bernoulli_tensor_cpu_p_")
    return _finish(_bernoulli_array(input.detach().numpy(), generator).astype(real), out, False)


def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Indices drawn with probabilities proportional to the weights in each row of `input`: (K,) -> (num_samples,), or
    (N, K) -> (N, num_samples), int64.

    Without replacement the order is that of the draws (the K smallest of Exp(1) / weight; Efraimidis and Spirakis, "Weighted
    random sampling with a reservoir", 2006); weights of 0 come last, in no particular order. RuntimeError for another number of
    dimensions, an integer dtype, a weight that is negative, infinite or NaN, a row that sums to 0, or num_samples < 1 or (without
    replacement) > K.
    """
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {_TORCH_NAMES[input.dtype.name]}")
    if input.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > input.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    weights = input.detach().numpy().astype(np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    totals = np.cumsum(weights, axis=-1)
    if weights.size and not (totals[..., -1] > 0).all():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    rng = _rng(generator)
    if replacement:
        rows = totals.reshape(-1, weights.shape[-1])
        points = (1 - rng.random((len(rows), num_samples))) * rows[:, -1:]  # (0, total]: a weight of 0 is never hit
        picks = np.empty(points.shape, np.int64)
        for i, row in enumerate(rows):
            picks[i] = np.searchsorted(row, points[i], side="left")
        np.minimum(picks, weights.shape[-1] - 1, out=picks)
        picks = picks.reshape(*weights.shape[:-1], num_samples)
    else:
        times = rng.standard_exponential(weights.shape)
        with np.errstate(divide="ignore"):
            times /= weights
        picks = np.argsort(times, axis=-1, kind="stable")[..., :num_samples].astype(np.int64)
    return _finish(np.ascontiguousarray(picks), out, False)


def _like_dtype(input: Any, dtype: Any, function: str, device: Any) -> DType:
    check_device(device)
    if not isinstance(input, TensorBase):
        raise TypeError(f"{function}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    return input.dtype if dtype is None else _dtype.check(dtype, function)


def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform random numbers on [0, 1) in the shape and, unless given, the dtype of `input`."""
    element = _like_dtype(input, dtype, "rand_like", device)
    return _finish(_draw_uniform(tuple(input.shape), element, 0, 1, generator), None, requires_grad)


def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Standard normal random numbers in the shape and, unless given, the dtype of `input`."""
    element = _like_dtype(input, dtype, "randn_like", device)
    return _finish(_draw_normal(tuple(input.shape), element, 0, None, generator), None, requires_grad)


def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`randint_like(input, high)` or `(input, low, high)`: random integers in the shape and, unless given, the dtype of `input`."""
    element = _like_dtype(input, dtype, "randint_like", device)
    low, high = (0, low) if high is None else (low, high)
    return _finish(_draw_integers(tuple(input.shape), element, low, high, generator), None, requires_grad)


# ---- in-place samplers


def _write(tensor: Tensor, values: np.ndarray) -> Tensor:
    return tensor.copy_(from_array(np.asarray(values)))


def uniform_(tensor: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with uniform random numbers on [from_, to). RuntimeError if from_ > to."""
    return _write(tensor, _draw_uniform(tuple(tensor.shape), tensor.dtype, from_, to, generator))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with normal random numbers. RuntimeError for a negative std."""
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    return _write(tensor, _draw_normal(tuple(tensor.shape), tensor.dtype, mean, std, generator))


def bernoulli_(tensor: Tensor, p: float | Tensor = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor, of any dtype, with ones of probability p (a number, or a tensor that broadcasts) and zeros.

    RuntimeError for a probability outside [0, 1].
    """
    if isinstance(p, TensorBase):
        chances = np.broadcast_to(p.detach().numpy(), tuple(tensor.shape))
        return _write(tensor, _bernoulli_array(chances, generator).astype(tensor.dtype.np))
    _check_p(p)
    return _write(tensor, draw_keep_mask(tuple(tensor.shape), p, generator).astype(tensor.dtype.np))


def random_(tensor: Tensor, from_: int | None = None, to: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with random integers: `random_(to)` on [0, to), `random_(from_, to)` on [from_, to).

    Without bounds on [0, the largest value] of an integer dtype, and on [0, 2**mantissa] of a float one, as PyTorch does.
    """
    dtype = tensor.dtype
    if from_ is None:
        if to is not None:
            from_ = 0
        elif dtype.is_floating_point:
            from_, to = 0, 2 ** (np.finfo(dtype.np).nmant + 1) + 1
        else:
            from_, to = 0, 2 if dtype is _dtype.bool else np.iinfo(dtype.np).max + 1
        if to > 2**63 - 1:
            return _write(tensor, np.asarray(_rng(generator).integers(0, 2**63 - 1, tuple(tensor.shape), endpoint=True)))
    elif to is None:
        from_, to = 0, from_
    return _write(tensor, _draw_integers(tuple(tensor.shape), dtype, int(from_), int(to), generator))


def exponential_(tensor: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with exponential random numbers of mean 1 / lambd. RuntimeError unless lambd > 0 and the dtype is a float."""
    if not tensor.dtype.is_floating_point:
        raise RuntimeError(
            "Exponential distribution is a continuous probability distribution. "
            f"dtype must be a floating point but you specified {_TORCH_NAMES[tensor.dtype.name]}"
        )
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
    return _write(
        tensor, _rng(generator).standard_exponential(tuple(tensor.shape), tensor.dtype.np) / tensor.dtype.np.type(lambd)
    )
