"""Pooling and unpooling."""

from tests.op_table.row import Op

ROWS: list[Op] = []
