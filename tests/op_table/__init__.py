"""The op table: one row an op, in one module a family. ROWS is what tests/test_ops.py runs."""

from tests.op_table import (
    activation,
    arrange,
    attention,
    conv,
    ctc,
    elementwise,
    factor,
    gemm,
    loss,
    mathematics,
    nn,
    norm,
    pool,
    recurrent,
    reduce,
    resize,
    tensor,
)
from tests.op_table.row import Op

ROWS: list[Op] = [
    *activation.ROWS,
    *arrange.ROWS,
    *attention.ROWS,
    *conv.ROWS,
    *ctc.ROWS,
    *elementwise.ROWS,
    *factor.ROWS,
    *gemm.ROWS,
    *loss.ROWS,
    *mathematics.ROWS,
    *nn.ROWS,
    *norm.ROWS,
    *pool.ROWS,
    *recurrent.ROWS,
    *reduce.ROWS,
    *resize.ROWS,
    *tensor.ROWS,
]
