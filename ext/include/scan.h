/* Running sums and products along the middle axis of (outer, n, inner), in double. Each line has one owner and a fixed order. */
#ifndef MINIGRAD_SCAN_H
#define MINIGRAD_SCAN_H

#include <stdint.h>

#define MG_SCAN_LINES 8 /* lines side by side, so that an addition need not wait for the last one */

/* out[o, k, i] = x[o, 0, i] OP ... OP x[o, k, i]; backwards from the end if `reverse`. */
#define MG_SCAN(REAL, OP, identity, name)                                                                                \
    static void name(const REAL *x, REAL *out, int64_t outer, int64_t n, int64_t inner, int reverse, int threads) {      \
        const int64_t lines = outer * inner, groups = (lines + MG_SCAN_LINES - 1) / MG_SCAN_LINES;                       \
        const int64_t step = reverse ? -inner : inner;                                                                   \
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")                               \
        for (int64_t group = 0; group < groups; group++) {                                                               \
            const int64_t first = group * MG_SCAN_LINES, left = lines - first;                                           \
            const int count = left < MG_SCAN_LINES ? (int)left : MG_SCAN_LINES;                                          \
            int64_t at[MG_SCAN_LINES];                                                                                   \
            double total[MG_SCAN_LINES];                                                                                 \
            for (int l = 0; l < MG_SCAN_LINES; l++) {                                                                    \
                const int64_t line = first + (l < count ? l : 0);                                                        \
                at[l] = (line / inner * n + (reverse ? n - 1 : 0)) * inner + line % inner;                               \
                total[l] = identity;                                                                                     \
            }                                                                                                            \
            if (count == MG_SCAN_LINES) {                                                                                \
                for (int64_t k = 0, move = 0; k < n; k++, move += step)                                                  \
                    _Pragma("GCC unroll 8") for (int l = 0; l < MG_SCAN_LINES; l++) {                                    \
                        total[l] = total[l] OP x[at[l] + move];                                                          \
                        out[at[l] + move] = (REAL)total[l];                                                              \
                    }                                                                                                    \
            } else {                                                                                                     \
                for (int64_t k = 0, move = 0; k < n; k++, move += step)                                                  \
                    for (int l = 0; l < count; l++) {                                                                    \
                        total[l] = total[l] OP x[at[l] + move];                                                          \
                        out[at[l] + move] = (REAL)total[l];                                                              \
                    }                                                                                                    \
            }                                                                                                            \
        }                                                                                                                \
    }

MG_SCAN(float, +, 0, mg_cumsum_f32)
MG_SCAN(double, +, 0, mg_cumsum_f64)
MG_SCAN(float, *, 1, mg_cumprod_f32)
MG_SCAN(double, *, 1, mg_cumprod_f64)
#undef MG_SCAN

#endif
