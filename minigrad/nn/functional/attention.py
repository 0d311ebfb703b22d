"""Attention: softmax(q k^T / sqrt(E)) v, and its form with several heads and projections of inputs and output."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad._ext.engine import TensorBase, from_array
from minigrad.nn.functional.dropout import dropout
from minigrad.nn.functional.linear import linear
from minigrad.nn.functional.padding import pad
from minigrad.ops.attention import attention, attention_weights, causal_bias
from minigrad.ops.index import masked_fill, repeat_interleave
from minigrad.ops.linalg import matmul
from minigrad.ops.reduce import mean
from minigrad.ops.shape import cat, chunk, expand, permute, reshape, split, squeeze, transpose, unsqueeze

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    scale: float,
    dropout_p: float,
    causal: bool = False,
    need_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """(softmax(scale q k^T + bias) v, the softmax if needed): (..., L, E), (..., S, E), (..., S, V), a bias that broadcasts to
    (..., L, S), or (causal) none."""
    if 0 <= dropout_p < 1 and not (dropout_p and need_weights):
        found = attention(q, k, v, bias, scale, causal, dropout_p, need_weights)
        if found is not None:
            return found[0], found[1] if need_weights else None
    if causal:
        bias = causal_bias(q.shape[-2], k.shape[-2], q.dtype.np)
    weights = attention_weights(q, k, bias, scale)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p)
    return matmul(weights, v), weights  # (..., L, S) @ (..., S, V) -> (..., L, V)


def _check_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, is_causal: bool) -> None:
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if not isinstance(tensor, TensorBase):
            raise TypeError(f"scaled_dot_product_attention(): argument '{name}' must be Tensor, not {type(tensor).__name__}")
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(
            "scaled_dot_product_attention: Expected query, key, and value to all be at least 2 dimensional, but got query.dim(): "
            f"{query.ndim}, key.dim(): {key.ndim} and value.dim(): {value.ndim} instead."
        )
    if not query.dtype is key.dtype is value.dtype:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{query.dtype} key.dtype: {key.dtype} and value.dtype: {value.dtype} instead."
        )
    if attn_mask is None:
        return
    if is_causal:
        raise RuntimeError("scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
    if attn_mask.dtype is not query.dtype and attn_mask.dtype.np.kind != "b" and attn_mask.dtype.name != "float32":
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{attn_mask.dtype} and query.dtype: {query.dtype} instead."
        )


def _bias_of(mask: Tensor, dtype: Any) -> tuple[Tensor, Tensor | None]:
    """What is added to the scores, and which rows may look at nothing, (..., L, 1): their result is 0. None where no row is."""
    if mask.dtype.np.kind == "b":
        mask = from_array(np.where(mask._array, dtype.np.type(0), dtype.np.type(-np.inf)))
    bias = mask.to(dtype)
    blocked = (bias._array == -np.inf).all(-1, keepdims=True)
    if not blocked.any():
        return bias, None
    rows = from_array(blocked)
    return masked_fill(bias, rows, 0.0), rows


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(scale query key^T + mask) value.

    Args:
        query: (..., L, E).
        key: (..., S, E); value: (..., S, V). The leading dimensions broadcast.
        attn_mask: broadcasts to (..., L, S). Bool: True where a query may look at a key; float: added to the scores.
        dropout_p: the probability of a zero in the weights, whether training or not.
        is_causal: query i looks at keys 0 to i.
        scale: 1/sqrt(E) if None.
        enable_gqa: keys and values, (..., H', S, *), have fewer heads than queries, (..., H, L, E): each serves H / H' of them.

    Returns:
        (..., L, V). A query that may look at nothing gets zeros.

    Raises:
        RuntimeError: fewer than two dimensions, different dtypes, shapes that do not fit, a mask that is neither bool nor of
            a float dtype, or a mask together with is_causal; with enable_gqa, heads that do not divide.
        ValueError: a dropout_p outside [0, 1].
    """
    _check_attention(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        heads, others = query.shape[-3], (key.shape[-3], value.shape[-3])
        if any(n == 0 or heads % n for n in others):
            raise RuntimeError(
                "scaled_dot_product_attention: Number of heads in key and value must divide the number of heads in query, but got "
                f"{heads} in query, {others[0]} in key and {others[1]} in value"
            )
        key = repeat_interleave(key, heads // others[0], -3)
        value = repeat_interleave(value, heads // others[1], -3)
    if scale is None:
        scale = 1 / math.sqrt(query.shape[-1]) if query.shape[-1] else 1.0
    bias, blocked = None, None
    if attn_mask is not None:
        bias, blocked = _bias_of(attn_mask, query.dtype)
    out, _ = _attend(query, key, value, bias, scale, dropout_p, is_causal)
    return out if blocked is None else masked_fill(out, blocked, 0.0)


# Several heads


def additive_mask(mask: Tensor | None, name: str, other: Tensor | None, other_name: str, dtype: Any) -> Tensor | None:
    """A mask that forbids (bool, True where it does) as one that is added: -inf where True, 0 elsewhere. A float mask as it is.

    AssertionError for another dtype; warns where `other`, the mask that goes with it, has another dtype.
    """
    if mask is None:
        return None
    if mask.dtype.np.kind not in "bf":
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if other is not None and mask.dtype is not other.dtype:
        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.", stacklevel=3
        )
    if mask.dtype.np.kind == "f":
        return mask
    return from_array(np.where(mask._array, dtype.np.type(-np.inf), dtype.np.type(0)))


def _check_heads(
    query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None, attn_mask: Tensor | None, num_heads: int
) -> bool:
    """Whether there is a batch. AssertionError for dimensions that do not go together."""
    if query.ndim not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor")
    batched, n = query.ndim == 3, query.ndim
    what = f"For {'batched' if batched else 'unbatched'} ({n}-D) `query`, expected"
    if key.ndim != n or value.ndim != n:
        raise AssertionError(
            f"{what} `key` and `value` to be {n}-D but found {key.ndim}-D and {value.ndim}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.ndim != n - 1:
        raise AssertionError(
            f"{what} `key_padding_mask` to be `None` or {n - 1}-D but found {key_padding_mask.ndim}-D tensor instead"
        )
    if attn_mask is None:
        return batched
    if attn_mask.ndim not in (2, 3):
        raise AssertionError(f"{what} `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.ndim}-D tensor instead")
    if not batched and attn_mask.ndim == 3:
        expected = (num_heads, query.shape[0], key.shape[0])
        if tuple(attn_mask.shape) != expected:
            raise AssertionError(f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}")
    return batched


def _linear_as_it_lies(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """linear of (L, N, I), whose rows are taken in the order of memory: that of a turned (N, L, I) needs no copy, and the result is turned
    as well."""
    if not x._array.flags.c_contiguous and x._array.transpose(1, 0, 2).flags.c_contiguous:
        return transpose(linear(transpose(x, 0, 1), weight, bias), 0, 1)
    return linear(x, weight, bias)


def _project(query: Tensor, key: Tensor, value: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, ...]:
    """Queries, keys and values from one weight (3 E, E): in one product where they come from one tensor."""
    if query is key and key is value:
        return chunk(_linear_as_it_lies(query, weight, bias), 3, -1)
    size = query.shape[-1]
    if key is value:
        w_query, w_rest = split(weight, [size, 2 * size])
        b_query, b_rest = (None, None) if bias is None else split(bias, [size, 2 * size])
        return _linear_as_it_lies(query, w_query, b_query), *chunk(_linear_as_it_lies(key, w_rest, b_rest), 2, -1)
    biases = (None,) * 3 if bias is None else chunk(bias, 3)
    parts = zip((query, key, value), chunk(weight, 3), biases, strict=True)
    return tuple(_linear_as_it_lies(x, w, b) for x, w, b in parts)


def _into_heads(x: Tensor, heads: int) -> Tensor:
    """(L, N, E) -> (N, H, L, E / H)"""
    length, batch, size = x.shape
    return permute(reshape(x, length, batch, heads, size // heads), 1, 2, 0, 3)


def _static(name: str, x: Tensor, batch: int, heads: int, size: int) -> Tensor:
    """Keys or values that were given already projected, (N H, S, E / H) -> (N, H, S, E / H)."""
    for dim, expected in ((0, batch * heads), (2, size)):
        if x.shape[dim] != expected:
            raise AssertionError(f"expecting {name}.size({dim}) of {expected}, but got {x.shape[dim]}")
    return reshape(x, batch, heads, x.shape[1], size)


def _check_embedding(
    query: Tensor, key: Tensor, value: Tensor, embed_dim: int, num_heads: int, separate: tuple[Tensor | None, ...] | None
) -> None:
    if query.shape[-1] != embed_dim:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim}, but got {query.shape[-1]}")
    if embed_dim % num_heads:
        raise AssertionError(f"embed_dim {embed_dim} not divisible by num_heads {num_heads}")
    if separate is None:
        if tuple(key.shape) != tuple(value.shape):
            raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")
        return
    if tuple(key.shape[:2]) != tuple(value.shape[:2]):
        raise AssertionError(f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}")
    for name, weight in zip("qkv", separate, strict=True):
        if weight is None:
            raise AssertionError(f"use_separate_proj_weight is True but {name}_proj_weight is None")


def _by_head(mask: Tensor, batch: int, heads: int, rows: int, columns: int) -> Tensor:
    """A mask (L, S) or (N H, L, S) in a shape that broadcasts to (N, H, L, S). RuntimeError for another."""
    expected = (rows, columns) if mask.ndim == 2 else (batch * heads, rows, columns)
    if tuple(mask.shape) != expected:
        raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be {expected}.")
    return mask if mask.ndim == 2 else reshape(mask, batch, heads, rows, columns)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of several heads: project, attend with each head's share of the features, join, project.

    Args:
        query: (L, N, E) or (L, E); key and value: (S, N, *) or (S, *).
        embed_dim_to_check, num_heads: E and H, which divides it.
        in_proj_weight, in_proj_bias: (3 E, E) and (3 E,), of queries, keys and values in turn; or None for the bias. With
            use_separate_proj_weight q_proj_weight (E, E), k_proj_weight and v_proj_weight (E, *) take the place of the weight.
        bias_k, bias_v: (1, 1, E), one more key and value for each sequence; both or neither.
        add_zero_attn: one more key and value of zeros.
        dropout_p: the probability of a zero in the weights where training.
        out_proj_weight, out_proj_bias: (E, E) and (E,) or None.
        key_padding_mask: (N, S) or (S,): keys to ignore. Bool (True: ignore) or float (added to the scores).
        need_weights: return the weights too, (N, L, S) averaged over the heads, or (N, H, L, S) with average_attn_weights=False.
        attn_mask: (L, S) or (N H, L, S): bool (True: may not look) or float (added to the scores).
        static_k, static_v: (N H, S, E / H), what stands for the projected keys and values.
        is_causal: attn_mask is the causal one; it must be given (RuntimeError).

    Returns:
        The output, shaped as query, and the weights or None.

    Raises AssertionError or RuntimeError for shapes that do not fit.
    """
    batched = _check_heads(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        once = {id(x): unsqueeze(x, 1) for x in (query, key, value)}  # what was one tensor stays one
        query, key, value = once[id(query)], once[id(key)], once[id(value)]
        key_padding_mask = None if key_padding_mask is None else unsqueeze(key_padding_mask, 0)
    (rows, batch, _), columns, heads = query.shape, key.shape[0], num_heads
    key_padding_mask = additive_mask(key_padding_mask, "key_padding_mask", attn_mask, "attn_mask", query.dtype)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    is_causal = is_causal and key_padding_mask is None and not need_weights
    attn_mask = None if is_causal else additive_mask(attn_mask, "attn_mask", None, "", query.dtype)
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    _check_embedding(query, key, value, embed_dim_to_check, heads, separate)
    if separate is not None:
        biases = (None,) * 3 if in_proj_bias is None else chunk(in_proj_bias, 3)
        q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), separate, biases, strict=True))  # type: ignore[arg-type]
    elif in_proj_weight is None:
        raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
    else:
        q, k, v = _project(query, key, value, in_proj_weight, in_proj_bias)
    if attn_mask is not None:
        attn_mask = _by_head(attn_mask, batch, heads, rows, columns)
    extra = int(add_zero_attn)
    if (bias_k is None) != (bias_v is None):
        raise AssertionError("bias_k and bias_v must both be set or both be None")
    if bias_k is not None and bias_v is not None:
        if static_k is not None or static_v is not None:
            raise AssertionError(
                "bias cannot be added to static key." if static_k is not None else "bias cannot be added to static value."
            )
        k = cat([k, expand(bias_k, 1, batch, embed_dim_to_check)])
        v = cat([v, expand(bias_v, 1, batch, embed_dim_to_check)])
        extra += 1
    size = embed_dim_to_check // heads
    q = _into_heads(q, heads)
    k = _into_heads(k, heads) if static_k is None else _static("static_k", static_k, batch, heads, size)
    v = _into_heads(v, heads) if static_v is None else _static("static_v", static_v, batch, heads, size)
    if add_zero_attn:
        k, v = pad(k, (0, 0, 0, 1)), pad(v, (0, 0, 0, 1))
    bias = attn_mask if attn_mask is None or not extra else pad(attn_mask, (0, extra))
    if key_padding_mask is not None:
        padding = pad(key_padding_mask, (0, extra)) if extra else key_padding_mask
        expected = (batch, k.shape[2])
        if tuple(padding.shape) != expected:
            raise AssertionError(f"Expected key_padding_mask to have the shape {expected}, but got {padding.shape}")
        padding = reshape(padding, batch, 1, 1, expected[1])
        bias = padding if bias is None else bias + padding
    p = dropout_p if training else 0.0
    weights = None
    if need_weights:
        out, weights = _attend(q, k, v, bias, 1 / math.sqrt(size), p, need_weights=True)
        weights = mean(weights, 1) if average_attn_weights else weights  # type: ignore[arg-type]
        weights = weights if batched else squeeze(weights, 0)  # type: ignore[arg-type]
    else:
        out = scaled_dot_product_attention(q, k, v, bias, p, is_causal)
    joined = reshape(permute(out, 2, 0, 1, 3), rows, batch, embed_dim_to_check)  # (N, H, L, E / H) -> (L, N, E)
    out = linear(joined, out_proj_weight, out_proj_bias)
    return (out if batched else squeeze(out, 1)), weights
