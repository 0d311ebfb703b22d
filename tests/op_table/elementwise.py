"""Elementwise mathematics, activations and reductions."""

from tests.op_table.row import Op

ROWS: list[Op] = []
