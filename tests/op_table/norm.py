"""Normalisations and losses."""

from tests.op_table.row import Op

ROWS: list[Op] = []
