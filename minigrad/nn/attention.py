"""Attention with several heads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any

from minigrad.creation import empty
from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.ops.shape import transpose

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class SDPBackend(Enum):
    """The ways in which PyTorch computes F.scaled_dot_product_attention. minigrad has one, and takes these names for sdpa_kernel."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextmanager
def sdpa_kernel(backends: SDPBackend | list[SDPBackend], set_priority: bool = False) -> Iterator[None]:
    """A context that changes nothing: there is one way to compute attention. Raises AssertionError unless backends are SDPBackends."""
    for backend in backends if isinstance(backends, (list, tuple)) else [backends]:
        if not isinstance(backend, SDPBackend):
            raise AssertionError("Backend must be an instance of SDPBackend or a list of SDPBackend instances")
    yield


class NonDynamicallyQuantizableLinear(Linear):
    """Linear, under the name that PyTorch prints for the last projection of MultiheadAttention."""


class MultiheadAttention(Module):
    """Attention of num_heads heads, each with a share of the embed_dim features.

    Args:
        embed_dim, num_heads: E and H, which divides it (AssertionError).
        dropout: the probability of a zero in the attention weights, in training.
        bias: whether the projections have biases.
        add_bias_kv: one more key and value, bias_k and bias_v (1, 1, E), learned.
        add_zero_attn: one more key and value of zeros.
        kdim, vdim: the features of keys and values, E if None.
        batch_first: inputs and outputs are (N, L, *) instead of (L, N, *).

    Parameters: in_proj_weight (3 E, E), or with another kdim or vdim q_proj_weight (E, E), k_proj_weight (E, kdim) and
    v_proj_weight (E, vdim); in_proj_bias (3 E,), out_proj.weight (E, E), out_proj.bias (E,).

    Source: Vaswani et al., "Attention is all you need", 2017.
    """

    __constants__ = ["batch_first"]

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        if embed_dim % num_heads:
            raise AssertionError("embed_dim must be divisible by num_heads")
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads

        def make(*shape: int) -> Parameter:
            return Parameter(empty(*shape, device=device, dtype=dtype))

        separate = not self._qkv_same_embed_dim
        self.register_parameter("q_proj_weight", make(embed_dim, embed_dim) if separate else None)
        self.register_parameter("k_proj_weight", make(embed_dim, self.kdim) if separate else None)
        self.register_parameter("v_proj_weight", make(embed_dim, self.vdim) if separate else None)
        self.register_parameter("in_proj_weight", None if separate else make(3 * embed_dim, embed_dim))
        self.register_parameter("in_proj_bias", make(3 * embed_dim) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        self.bias_k = make(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v = make(1, 1, embed_dim) if add_bias_kv else None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for weight in (self.bias_k, self.bias_v):
            if weight is not None:
                init.xavier_normal_(weight)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(the output, shaped as query; the weights (N, L, S), or None if not needed). See F.multi_head_attention_forward."""
        turn = self.batch_first and query.ndim == 3
        if turn:
            turned = {id(x): transpose(x, 0, 1) for x in (query, key, value)}  # what was one tensor stays one
            query, key, value = turned[id(query)], turned[id(key)], turned[id(value)]
        out, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return (transpose(out, 0, 1) if turn else out), weights
