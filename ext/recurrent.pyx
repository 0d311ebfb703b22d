"""Time steps of recurrent networks: arrays in, arrays out. All arrays are C-contiguous; states are (N, H)."""
cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t

from minigrad._ext.threads cimport plan_threads

cnp.import_array()


# The C names are macros that pick the function for the pointer's type (isa.h: MG_CALL), hence "...": Cython must not cast.
cdef extern from "recurrent.h" nogil:
    void lstm_forward_c "lstm_forward"(...)
    void lstm_backward_c "lstm_backward"(...)
    void gru_step_c "gru_step"(...)
    void gru_step_backward_c "gru_step_backward"(...)


cdef int threads_for(int64_t states, int64_t H) noexcept nogil:
    """For so many numbers of state: 8 H flops each at 100 GFLOP/s, and 3 ns for the functions of the gates."""
    return plan_threads(states * (3 + H * 8 // 100))


def lstm_forward(floating[:, ::1] gates, const floating[:, ::1] w, floating[:, ::1] hidden, floating[:, ::1] cells, int reverse):
    """Writes the states h and c of all steps of N sequences. hidden and cells ((T + 1) N, H) hold the first state, in front or, if
    `reverse`, at the end. gates (T N, 4 H): x's part of i, f, g and o on entry, what s and tanh gave on return; w: (H, 4 H)."""
    cdef int64_t H = hidden.shape[1], N = hidden.shape[0] - gates.shape[0]
    cdef int64_t T
    if N * H > 0 and gates.shape[0] > 0:
        T = gates.shape[0] // N
        with nogil:
            lstm_forward_c(&gates[0, 0], &w[0, 0], &hidden[0, 0], &cells[0, 0], T, N, H, reverse, threads_for(T * N * H, H))


def lstm_backward(floating[:, ::1] gh, floating[:, ::1] gc, const floating[:, ::1] gates, const floating[:, ::1] w,
                  const floating[:, ::1] cells, floating[:, ::1] out, int reverse):
    """Writes the gradient for the gates' sums. gh ((T + 1) N, H) holds the gradients of the states by the outputs, and takes in the rest:
    that for the first state is left in its place; gc (N, H), that for the last c, becomes that for the first. w: (4 H, H)."""
    cdef int64_t H = gh.shape[1], N = gh.shape[0] - gates.shape[0]
    cdef int64_t T
    if N * H > 0 and gates.shape[0] > 0:
        T = gates.shape[0] // N
        with nogil:
            lstm_backward_c(&gh[0, 0], &gc[0, 0], &gates[0, 0], &w[0, 0], &cells[0, 0], &out[0, 0], T, N, H, reverse,
                            threads_for(T * N * H, H))


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
