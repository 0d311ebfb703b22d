"""Dropout and the random factories."""

from tests.op_table.row import Op

ROWS: list[Op] = []
