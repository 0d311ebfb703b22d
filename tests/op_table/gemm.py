"""Matrix products and linear layers."""

from tests.op_table.row import Op

ROWS: list[Op] = []
