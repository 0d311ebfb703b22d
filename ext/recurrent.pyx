"""Time steps of recurrent networks: arrays in, arrays out. All arrays are C-contiguous; states are (N, H)."""
cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t

from minigrad._ext.threads cimport plan_threads

cnp.import_array()


# The C names are macros that pick the function for the pointer's type (isa.h: MG_CALL), hence "...": Cython must not cast.
cdef extern from "recurrent.h" nogil:
    void lstm_step_c "lstm_step"(...)
    void lstm_step_backward_c "lstm_step_backward"(...)
    void gru_step_c "gru_step"(...)
    void gru_step_backward_c "gru_step_backward"(...)


def lstm_step(floating[:, ::1] gates, const floating[:, ::1] c0, floating[:, ::1] c, floating[:, ::1] h):
    """Writes c = s(f) c0 + s(i) tanh(g) and h = s(o) tanh(c); gates (N, 4 H), i, f, g and o, become what s and tanh gave."""
    cdef int64_t N = h.shape[0], H = h.shape[1]
    if N * H > 0:
        with nogil:
            lstm_step_c(&gates[0, 0], &c0[0, 0], &c[0, 0], &h[0, 0], N, H, plan_threads(N * H * 4))


def lstm_step_backward(const floating[:, ::1] gh, floating[:, ::1] gc, const floating[:, ::1] gates, const floating[:, ::1] c0,
                       const floating[:, ::1] c, floating[:, ::1] out):
    """Writes the gradient for the gates before s and tanh; gc, the gradient for c, becomes that for c0. gates: as lstm_step left them."""
    cdef int64_t N = gh.shape[0], H = gh.shape[1]
    if N * H > 0:
        with nogil:
            lstm_step_backward_c(&gh[0, 0], &gc[0, 0], &gates[0, 0], &c0[0, 0], &c[0, 0], &out[0, 0], N, H,
                                 plan_threads(N * H * 2))


def gru_step(const floating[:, ::1] x, const floating[:, ::1] y, const floating[:, ::1] h0, floating[:, ::1] gates,
             floating[:, ::1] h):
    """r, z = s(x + y), n = tanh(x_n + r y_n), h = n + z (h0 - n): writes h and gates (N, 4 H), which are r, z, n and y_n."""
    cdef int64_t N = h.shape[0], H = h.shape[1]
    if N * H > 0:
        with nogil:
            gru_step_c(&x[0, 0], &y[0, 0], &h0[0, 0], &gates[0, 0], &h[0, 0], N, H, plan_threads(N * H * 3))


def gru_step_backward(const floating[:, ::1] gh, const floating[:, ::1] gates, const floating[:, ::1] h0, floating[:, ::1] gx,
                      floating[:, ::1] gy, floating[:, ::1] gh0):
    """Writes the gradients for x, for y and, but for its way through y, for h0."""
    cdef int64_t N = gh.shape[0], H = gh.shape[1]
    if N * H > 0:
        with nogil:
            gru_step_backward_c(&gh[0, 0], &gates[0, 0], &h0[0, 0], &gx[0, 0], &gy[0, 0], &gh0[0, 0], N, H,
                                plan_threads(N * H * 2))
