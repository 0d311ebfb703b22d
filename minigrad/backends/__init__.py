"""torch.backends: which libraries compute. minigrad's own kernels do, so every switch here is kept and changes nothing, but for
`winograd`, which is minigrad's own."""

from __future__ import annotations

from minigrad.backends import cpu as cpu
from minigrad.backends import cuda as cuda
from minigrad.backends import cudnn as cudnn
from minigrad.backends import mkl as mkl
from minigrad.backends import mkldnn as mkldnn
from minigrad.backends import mps as mps
from minigrad.backends._winograd import winograd as winograd
