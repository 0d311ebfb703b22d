"""Padding, interpolation, grid sampling, shuffles."""

from tests.op_table.row import Op

ROWS: list[Op] = []
