"""Differentiable operations: the only place where a derivative is written. One file a family."""
