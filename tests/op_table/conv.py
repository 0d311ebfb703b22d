"""Convolutions, transposed convolutions, fold and unfold."""

from tests.op_table.row import Op

ROWS: list[Op] = []
