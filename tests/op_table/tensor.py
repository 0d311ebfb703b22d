"""Arithmetic, comparisons, shapes, indexing."""

from tests.op_table.row import Op

ROWS: list[Op] = []
