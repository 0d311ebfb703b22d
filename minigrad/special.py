"""torch.special, as far as minigrad has it."""

from __future__ import annotations

from minigrad.nn.functional import log_softmax as log_softmax
from minigrad.nn.functional import softmax as softmax
from minigrad.ops.elementwise import erf as erf
from minigrad.ops.elementwise import expm1 as expm1
from minigrad.ops.elementwise import log1p as log1p
from minigrad.ops.elementwise import round as round
from minigrad.ops.elementwise import sigmoid as expit
from minigrad.ops.mathematics import exp2 as exp2
from minigrad.ops.mathematics import logit as logit
from minigrad.ops.mathematics import sinc as sinc
from minigrad.ops.mathematics import xlogy as xlogy
from minigrad.ops.reduce import logsumexp as logsumexp
from minigrad.ops.special import digamma as digamma
from minigrad.ops.special import erfc as erfc
from minigrad.ops.special import erfinv as erfinv
from minigrad.ops.special import lgamma as gammaln
from minigrad.ops.special import polygamma as polygamma

__all__ = [
    "digamma", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammaln", "log1p", "log_softmax", "logit", "logsumexp",
    "polygamma", "psi", "round", "sinc", "softmax", "xlogy",
]  # fmt: skip

psi = digamma
