"""Attention."""

import numpy as np

from tests.op_table.row import Constant, Error, Op, Sample


def _softmax(x):
    e = np.exp(x - np.maximum(x.max(-1, keepdims=True), -1e300))
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def _attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    if enable_gqa:
        k, v = (np.repeat(x, q.shape[-3] // x.shape[-3], -3) for x in (k, v))
    scores = np.einsum("...le,...se->...ls", q, k) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = np.tril(np.ones(scores.shape[-2:], bool))
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else scores + attn_mask
    return np.einsum("...ls,...sv->...lv", _softmax(scores), v)


def _attention_samples(rng):
    q, k, v = (rng.standard_normal(shape) for shape in ((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3)))
    allowed = rng.integers(0, 2, (3, 5)).astype(bool)
    allowed[:, 1] = True
    blocked = allowed.copy()
    blocked[2] = False
    return [
        Sample(q, k, v),
        Sample(q, k, v, is_causal=True),
        Sample(q, k, v, is_causal=True, scale=0.3),
        Sample(q, k, v, allowed),
        Sample(q, k, v, blocked),
        Sample(q, k, v, rng.standard_normal((2, 1, 3, 5))),
        Sample(q, k, v, Constant(np.where(blocked, 0, -np.inf))),
        Sample(q[0, 0], k[0, 0], v[0, 0]),
        Sample(q[:, :1], k[:, :1], v[:, :1], allowed[None, None]),
        Sample(rng.standard_normal((4, 3, 2)), k[0, :, :, :2], v[0, :, :, :2], enable_gqa=True),
    ]


def _attention_errors(rng):
    q, k = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, 4))
    mask = np.ones((3, 5), bool)
    return [
        Error(Sample(q, k, k, mask, is_causal=True), RuntimeError, "attn_mask should not be set when is_causal=True"),
        Error(Sample(q[0, 0], k, k), RuntimeError, "at least 2 dimensional"),
        Error(Sample(q, k, np.ones((2, 5, 4), np.int64)), RuntimeError, "to have the same dtype"),
        Error(Sample(q, k, k, np.ones((3, 5), np.int64)), RuntimeError, "Expected attn_mask dtype to be bool or float"),
        Error(Sample(q, rng.standard_normal((2, 5, 3)), k), RuntimeError),
        Error(Sample(q, k, k, np.ones((2, 5), bool)), RuntimeError),
        Error(Sample([1.0], k, k), TypeError, "must be Tensor, not list"),
    ]


def _heads(query, key, value, size, heads, weight, bias, bias_k, bias_v, zero, p, out_weight, out_bias, **options):
    """The same in naive loops over sequences and heads, for the options of the samples below."""
    L, N, E = query.shape
    separate = [options.get(f"{name}_proj_weight") for name in "qkv"]
    weights = np.split(weight, 3) if weight is not None else separate
    biases = np.split(bias, 3) if bias is not None else [0, 0, 0]
    q, k, v = (x @ w.T + b for x, w, b in zip((query, key, value), weights, biases))
    if bias_k is not None:
        k, v = (np.concatenate([x, np.broadcast_to(b, (1, N, E))]) for x, b in ((k, bias_k), (v, bias_v)))
    if zero:
        k, v = (np.concatenate([x, np.zeros((1, N, E))]) for x in (k, v))
    out, maps = np.zeros((L, N, E)), np.zeros((N, heads, L, k.shape[0]))
    for n in range(N):
        for h in range(heads):
            part = slice(h * E // heads, (h + 1) * E // heads)
            scores = q[:, n, part] @ k[:, n, part].T / np.sqrt(E // heads)
            mask, padding = options.get("attn_mask"), options.get("key_padding_mask")
            S = key.shape[0]
            if mask is not None:
                mask = mask if mask.ndim == 2 else mask[n * heads + h]
                scores[:, :S] = np.where(mask, -np.inf, scores[:, :S]) if mask.dtype == bool else scores[:, :S] + mask
            if padding is not None:
                scores[:, :S] = np.where(padding[n], -np.inf, scores[:, :S])
            maps[n, h] = _softmax(scores)
            out[:, n, part] = maps[n, h] @ v[:, n, part]
    out = out @ out_weight.T + (0 if out_bias is None else out_bias)
    if not options.get("need_weights", True):
        return (out,)
    return out, maps.mean(1) if options.get("average_attn_weights", True) else maps


def _heads_samples(rng):
    x, memory = rng.standard_normal((3, 2, 4)), rng.standard_normal((5, 2, 4))
    w, b, o, ob = (rng.standard_normal(shape) for shape in ((12, 4), (12,), (4, 4), (4,)))
    bk, bv = rng.standard_normal((1, 1, 4)), rng.standard_normal((1, 1, 4))
    mask, padding = np.triu(np.ones((3, 3), bool), 1), np.array([[False] * 5, [False, False, True, True, True]])
    wk, wv = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    separate = {"use_separate_proj_weight": True, "q_proj_weight": w[:4], "k_proj_weight": wk, "v_proj_weight": wv}
    many = rng.standard_normal((4, 3, 5))
    return [
        Sample(x, memory, memory, 4, 2, w, b, None, None, False, 0.0, o, ob, key_padding_mask=padding),
        Sample(x, memory, memory, 4, 2, w, b, bk, bv, True, 0.0, o, ob, average_attn_weights=False, key_padding_mask=padding),
        Sample(x, x, x, 4, 2, w, None, None, None, False, 0.0, o, None, attn_mask=mask, need_weights=False),
        Sample(x, x, x, 4, 1, w, b, None, None, False, 0.0, o, ob, attn_mask=mask, is_causal=True, need_weights=False),
        Sample(x, memory, memory, 4, 2, w, b, bk, bv, False, 0.0, o, ob, attn_mask=many),
        Sample(x, memory[..., :3], memory[..., :2], 4, 2, None, b, None, None, False, 0.0, o, ob, **separate),
    ]


def _heads_errors(rng):
    x, w, o = rng.standard_normal((3, 2, 4)), rng.standard_normal((12, 4)), rng.standard_normal((4, 4))
    rest = (None, None, None, False, 0.0, o, None)
    wrong = np.ones((2, 3), bool)
    return [
        Error(Sample(x[0, 0], x, x, 4, 2, w, *rest), AssertionError, "query should be unbatched 2D or batched 3D"),
        Error(Sample(x, x[0], x[0], 4, 2, w, *rest), AssertionError, "expected `key` and `value` to be 3-D"),
        Error(Sample(x, x, x, 6, 2, w, *rest), AssertionError, "was expecting embedding dimension of 6, but got 4"),
        Error(Sample(x, x, x, 4, 3, w, *rest), AssertionError, "not divisible by num_heads 3"),
        Error(Sample(x, x, x[:2], 4, 2, w, *rest), AssertionError, "does not match value"),
        Error(Sample(x, x, x, 4, 2, w, *rest, is_causal=True), RuntimeError, "Need attn_mask if specifying the is_causal hint"),
        Error(Sample(x, x, x, 4, 2, w, *rest, attn_mask=wrong), RuntimeError, "The shape of the 2D attn_mask is"),
        Error(
            Sample(x, x, x, 4, 2, w, *rest, attn_mask=np.ones((2, 3, 3), bool)), RuntimeError, "The shape of the 3D attn_mask"
        ),
        Error(Sample(x, x, x, 4, 2, w, *rest, attn_mask=np.ones((3, 3), np.int64)), AssertionError, "only bool and floating"),
        Error(Sample(x, x, x, 4, 2, w, *rest, key_padding_mask=wrong[:, :2]), AssertionError, "Expected key_padd"),
        Error(
            Sample(x, x, x, 4, 2, w, *rest, key_padding_mask=wrong[0]), AssertionError, "`key_padding_mask` to be `None` or 2-D"
        ),
        Error(Sample(x, x, x, 4, 2, None, *rest), AssertionError, "in_proj_weight is None"),
    ]


ROWS = [
    Op(
        name="nn.functional.scaled_dot_product_attention",
        samples=_attention_samples,
        reference=_attention,
        errors=_attention_errors,
    ),
    Op(
        name="nn.functional.multi_head_attention_forward",
        samples=_heads_samples,
        reference=_heads,
        errors=_heads_errors,
        rtol={"float32": 3e-5},
        gradient_rtol={"float32": 1e-4},
    ),
]
