"""The op table: one row an op, in one module a family. ROWS is what tests/test_ops.py runs."""

from tests.op_table import activation, conv, elementwise, gemm, loss, nn, norm, pool, reduce, resize, tensor
from tests.op_table.row import Op

ROWS: list[Op] = [
    *activation.ROWS,
    *conv.ROWS,
    *elementwise.ROWS,
    *gemm.ROWS,
    *loss.ROWS,
    *nn.ROWS,
    *norm.ROWS,
    *pool.ROWS,
    *reduce.ROWS,
    *resize.ROWS,
    *tensor.ROWS,
]
