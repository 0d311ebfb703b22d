/* One time step of recurrent networks, and its gradient. Compiled through multiversion.h: see there for REAL and NAME.

   States are (N, H); gates are (N, 4 H), for each row the H values of the first gate, those of the second and so on. Each element
   of a state depends on its own gates alone, so threads take rows and the bits do not depend on them. */

#include "gemm_kernels.h"
#include "vecmath.h"

#ifndef MG_ROWS
#define MG_ROWS \
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)") \
    for (int64_t row = 0; row < N; row++)
#define MG_SEQUENCES 8
#define MG_EACH _Pragma("omp simd") for (int64_t k = 0; k < H; k++)
#endif

/* One step of `rows` rows. gates: W_ih x + b_ih + W_hh h + b_hh on entry, (i, f, g, o) = s, s, tanh, s of it on return;
   c = f c0 + i g; h = o tanh(c). */
MG_INLINE void NAME(lstm_step)(REAL *gates, const REAL *c0, REAL *c, REAL *h, int64_t rows, int64_t H) {
    for (int64_t row = 0; row < rows; row++) {
        REAL *i = gates + row * 4 * H, *f = i + H, *g = f + H, *o = g + H;
        const REAL *before = c0 + row * H;
        REAL *cell = c + row * H, *hidden = h + row * H;
        MG_EACH {
            i[k] = NAME(v_sigmoid)(i[k]);
            f[k] = NAME(v_sigmoid)(f[k]);
            g[k] = NAME(v_tanh)(g[k]);
            o[k] = NAME(v_sigmoid)(o[k]);
            cell[k] = f[k] * before[k] + i[k] * g[k];
            hidden[k] = o[k] * NAME(v_tanh)(cell[k]);
        }
    }
}

/* From the gradient gh for h, and gc for c by what comes after: out for the sums of the gates, and gc becomes that for c0. */
MG_INLINE void NAME(lstm_step_backward)(const REAL *gh, REAL *gc, const REAL *gates, const REAL *c0, const REAL *c, REAL *out,
                                        int64_t rows, int64_t H) {
    for (int64_t row = 0; row < rows; row++) {
        const REAL *i = gates + row * 4 * H, *f = i + H, *g = f + H, *o = g + H;
        const REAL *before = c0 + row * H, *cell = c + row * H, *incoming = gh + row * H;
        REAL *carried = gc + row * H, *gi = out + row * 4 * H, *gf = gi + H, *gg = gf + H, *go = gg + H;
        MG_EACH {
            const REAL t = NAME(v_tanh)(cell[k]);
            const REAL of_c = carried[k] + incoming[k] * o[k] * (1 - t * t);
            gi[k] = of_c * g[k] * i[k] * (1 - i[k]);
            gf[k] = of_c * before[k] * f[k] * (1 - f[k]);
            gg[k] = of_c * i[k] * (1 - g[k] * g[k]);
            go[k] = incoming[k] * t * o[k] * (1 - o[k]);
            carried[k] = of_c * f[k];
        }
    }
}

/* All T steps of an LSTM. gates (T N, 4 H): W_ih x and the biases on entry, what lstm_step leaves on return; w (H, 4 H): W_hh
   transposed; hidden and cells ((T + 1) N, H): the first state is there, before the others or, if `reverse`, behind them.
   Sequences do not know of each other: a thread takes some through all their steps. */
static void NAME(lstm_forward)(REAL *gates, const REAL *w, REAL *hidden, REAL *cells, int64_t T, int64_t N, int64_t H, int reverse,
                               int threads) {
    _Pragma("omp parallel num_threads(threads) if (threads > 1)")
    {
        REAL *const scratch = mg_thread_scratch(GEMM_SCRATCH * sizeof(REAL));
        _Pragma("omp for schedule(static)")
        for (int64_t row = 0; row < N; row += MG_SEQUENCES) {
            const int64_t rows = N - row < MG_SEQUENCES ? N - row : MG_SEQUENCES;
            for (int64_t step = 0; step < T; step++) {
                const int64_t t = reverse ? T - 1 - step : step;
                const int64_t before = ((t + (reverse ? 1 : 0)) * N + row) * H, after = ((t + (reverse ? 0 : 1)) * N + row) * H;
                REAL *const now = gates + (t * N + row) * 4 * H;
                NAME(gemm_block)(rows, 4 * H, H, hidden + before, H, 1, w, 4 * H, 1, now, 4 * H, 1, scratch);
                NAME(lstm_step)(now, cells + before, cells + after, hidden + after, rows, H);
            }
        }
    }
}

/* From the gradients gh for all states ((T + 1) N, H), which take in what comes from later steps, and gc for the last c, which
   becomes that for the first: out (T N, 4 H), the gradient for the sums of the gates. w: W_hh (4 H, H). */
static void NAME(lstm_backward)(REAL *gh, REAL *gc, const REAL *gates, const REAL *w, const REAL *cells, REAL *out, int64_t T,
                                int64_t N, int64_t H, int reverse, int threads) {
    _Pragma("omp parallel num_threads(threads) if (threads > 1)")
    {
        REAL *const scratch = mg_thread_scratch(GEMM_SCRATCH * sizeof(REAL));
        _Pragma("omp for schedule(static)")
        for (int64_t row = 0; row < N; row += MG_SEQUENCES) {
            const int64_t rows = N - row < MG_SEQUENCES ? N - row : MG_SEQUENCES;
            for (int64_t step = T - 1; step >= 0; step--) {
                const int64_t t = reverse ? T - 1 - step : step, sums = (t * N + row) * 4 * H;
                const int64_t before = ((t + (reverse ? 1 : 0)) * N + row) * H, after = ((t + (reverse ? 0 : 1)) * N + row) * H;
                NAME(lstm_step_backward)(gh + after, gc + row * H, gates + sums, cells + before, cells + after, out + sums, rows, H);
                NAME(gemm_block)(rows, H, 4 * H, out + sums, 4 * H, 1, w, H, 1, gh + before, H, 1, scratch);
            }
        }
    }
}

/* x = W_ih x + b_ih and y = W_hh h0 + b_hh, (N, 3 H) each, in the order r, z, n. gates = (r, z, n, y_n): r, z = s(x + y);
   n = tanh(x_n + r y_n); h = n + z (h0 - n). */
static void NAME(gru_step)(const REAL *x, const REAL *y, const REAL *h0, REAL *gates, REAL *h, int64_t N, int64_t H, int threads) {
    MG_ROWS {
        const REAL *xr = x + row * 3 * H, *xz = xr + H, *xn = xz + H, *yr = y + row * 3 * H, *yz = yr + H, *yn = yz + H;
        const REAL *before = h0 + row * H;
        REAL *r = gates + row * 4 * H, *z = r + H, *n = z + H, *m = n + H, *hidden = h + row * H;
        MG_EACH {
            r[k] = NAME(v_sigmoid)(xr[k] + yr[k]);
            z[k] = NAME(v_sigmoid)(xz[k] + yz[k]);
            n[k] = NAME(v_tanh)(xn[k] + r[k] * yn[k]);
            m[k] = yn[k];
            hidden[k] = n[k] + z[k] * (before[k] - n[k]);
        }
    }
}

/* From the gradient gh for h: gx and gy for x and y, and gh0, that for h0 but for its way through y. */
static void NAME(gru_step_backward)(const REAL *gh, const REAL *gates, const REAL *h0, REAL *gx, REAL *gy, REAL *gh0, int64_t N,
                                    int64_t H, int threads) {
    MG_ROWS {
        const REAL *r = gates + row * 4 * H, *z = r + H, *n = z + H, *m = n + H;
        const REAL *before = h0 + row * H, *incoming = gh + row * H;
        REAL *xr = gx + row * 3 * H, *xz = xr + H, *xn = xz + H, *yr = gy + row * 3 * H, *yz = yr + H, *yn = yz + H;
        REAL *direct = gh0 + row * H;
        MG_EACH {
            const REAL of_n = incoming[k] * (1 - z[k]) * (1 - n[k] * n[k]);
            xr[k] = yr[k] = of_n * m[k] * r[k] * (1 - r[k]);
            xz[k] = yz[k] = incoming[k] * (before[k] - n[k]) * z[k] * (1 - z[k]);
            xn[k] = of_n;
            yn[k] = of_n * r[k];
            direct[k] = incoming[k] * z[k];
        }
    }
}
