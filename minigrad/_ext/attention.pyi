"""Attention of several heads in one pass: ext/attention.pyx."""

from typing import Any

def forward(q: Any, k: Any, v: Any, bias: Any, factor: Any, weights: Any, out: Any, scale: float, causal: bool) -> None: ...
def backward(
    g: Any, g_weights: Any, q: Any, k: Any, v: Any, factor: Any, weights: Any, gq: Any, gk: Any, gv: Any, g_scores: Any,
    scale: float, causal: bool,
) -> None: ...  # fmt: skip
