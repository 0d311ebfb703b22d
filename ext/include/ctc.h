/* Connectionist temporal classification: the forward and backward variables of Graves et al. 2006, equations 6 to 10, as
   logarithms in double precision. A sequence of labels has `width` states: a blank before, between and after its labels. State
   s of a step is reached from states s and s - 1 of the step before, and from s - 2 between two labels that differ. Sequences
   are independent, so the result does not depend on the number of threads. */
#ifndef MINIGRAD_CTC_H
#define MINIGRAD_CTC_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

static inline int mg_ctc_skips(const int64_t *labels, int64_t s, int64_t blank) {
    return labels[s] != blank && labels[s] != labels[s - 2];
}

#define MG_CTC(REAL, EXP, LOG, t)                                                                                              \
    /* log(e^a + e^b + e^c), what is added to the largest in the precision of REAL; NaN if one is NaN */                       \
    static inline double mg_ctc_add_##t(double a, double b, double c) {                                                        \
        if (b > a) { const double x = a; a = b; b = x; }                                                                       \
        if (c > a) { const double x = a; a = c; c = x; }                                                                       \
        if (a == -INFINITY || (b == -INFINITY && c == -INFINITY)) return a + (b == b ? 0 : b) + (c == c ? 0 : c);              \
        REAL rest = EXP((REAL)(b - a));                                                                                        \
        if (c != -INFINITY) rest += EXP((REAL)(c - a));                                                                        \
        return a + LOG(1 + rest);                                                                                              \
    }                                                                                                                          \
    /* alpha[steps][width] of one sequence, whose step is at scores + step * stride; gives log p(labels) */                    \
    static double mg_ctc_forward_##t(const REAL *scores, int64_t stride, const int64_t *labels, int64_t steps, int64_t width,  \
                                     int64_t blank, double *alpha) {                                                           \
        for (int64_t step = 0; step < steps; step++, scores += stride) {                                                       \
            double *now = alpha + step * width;                                                                                \
            const double *before = now - width;                                                                                \
            for (int64_t s = 0; s < width; s++) {                                                                              \
                const double stay = step ? before[s] : s < 2 ? 0 : -INFINITY;                                                  \
                const double next = step && s > 0 ? before[s - 1] : -INFINITY;                                                 \
                const double skip = step && s > 1 && mg_ctc_skips(labels, s, blank) ? before[s - 2] : -INFINITY;               \
                now[s] = mg_ctc_add_##t(stay, next, skip) + scores[labels[s]];                                                 \
            }                                                                                                                  \
        }                                                                                                                      \
        if (steps == 0) return width == 1 ? 0 : -INFINITY;                                                                     \
        const double *last = alpha + (steps - 1) * width;                                                                      \
        return mg_ctc_add_##t(last[width - 1], width > 1 ? last[width - 2] : -INFINITY, -INFINITY);                            \
    }                                                                                                                          \
    /* Subtracts from out[step][class] what the class has of the probability of all alignments. Overwrites beta. */            \
    static void mg_ctc_subtract_##t(const REAL *scores, int64_t stride, const int64_t *labels, int64_t steps, int64_t width,   \
                                    int64_t blank, const double *alpha, double *beta, double total, double factor, REAL *out) {\
        for (int64_t step = steps - 1; step >= 0; step--) {                                                                    \
            const REAL *score = scores + step * stride;                                                                        \
            for (int64_t s = 0; s < width; s++) { /* beta[s] reads beta[s], beta[s + 1] and beta[s + 2] of the step after */   \
                const int last = step == steps - 1;                                                                            \
                const double stay = last ? (s >= width - 2 ? 0 : -INFINITY) : beta[s];                                         \
                const double next = !last && s + 1 < width ? beta[s + 1] : -INFINITY;                                          \
                const double skip = !last && s + 2 < width && mg_ctc_skips(labels, s + 2, blank) ? beta[s + 2] : -INFINITY;    \
                const double after = mg_ctc_add_##t(stay, next, skip);                                                         \
                beta[s] = after + score[labels[s]];                                                                            \
                const double share = alpha[step * width + s] + after - total;                                                  \
                if (share != -INFINITY) out[step * stride + labels[s]] -= (REAL)factor * EXP((REAL)share);                     \
            }                                                                                                                  \
        }                                                                                                                      \
    }                                                                                                                          \
    /* losses[n] = -log p(labels n); 0 if memory was short. Sequence n has steps[n] of the T steps and counts[n] labels. */    \
    static int mg_ctc_losses_##t(const REAL *scores, const int64_t *labels, const int64_t *steps, const int64_t *counts,       \
                                 int64_t T, int64_t N, int64_t C, int64_t width, int64_t blank, REAL *losses, int threads) {   \
        int good = 1;                                                                                                          \
        _Pragma("omp parallel num_threads(threads) if (threads > 1) reduction(&& : good)")                                     \
        {                                                                                                                      \
            double *alpha = malloc((T * width + 1) * sizeof *alpha);                                                           \
            good = alpha != NULL;                                                                                              \
            _Pragma("omp for schedule(static)")                                                                                \
            for (int64_t n = 0; n < N; n++) {                                                                                  \
                if (!alpha) continue;                                                                                          \
                losses[n] = (REAL)-mg_ctc_forward_##t(scores + n * C, N * C, labels + n * width, steps[n], 2 * counts[n] + 1,  \
                                                      blank, alpha);                                                           \
            }                                                                                                                  \
            free(alpha);                                                                                                       \
        }                                                                                                                      \
        return good;                                                                                                           \
    }                                                                                                                          \
    /* out = d (sum of g[n] losses[n]) / d what log_softmax made the scores of; 0 where a loss is infinite */                  \
    static int mg_ctc_gradient_##t(const REAL *scores, const int64_t *labels, const int64_t *steps, const int64_t *counts,     \
                                   int64_t T, int64_t N, int64_t C, int64_t width, int64_t blank, const REAL *g, REAL *out,    \
                                   int threads) {                                                                              \
        int good = 1;                                                                                                          \
        _Pragma("omp parallel num_threads(threads) if (threads > 1) reduction(&& : good)")                                     \
        {                                                                                                                      \
            double *alpha = malloc(((T + 1) * width + 1) * sizeof *alpha), *beta = alpha + T * width;                          \
            good = alpha != NULL;                                                                                              \
            _Pragma("omp for schedule(static)")                                                                                \
            for (int64_t n = 0; n < N; n++) {                                                                                  \
                if (!alpha) continue;                                                                                          \
                const REAL *from = scores + n * C;                                                                             \
                const int64_t *states = labels + n * width, states_n = 2 * counts[n] + 1;                                      \
                const double total = mg_ctc_forward_##t(from, N * C, states, steps[n], states_n, blank, alpha);                \
                const int possible = total != -INFINITY;                                                                       \
                for (int64_t step = 0; step < T; step++)                                                                       \
                    for (int64_t c = 0; c < C; c++)                                                                            \
                        out[(step * N + n) * C + c] =                                                                          \
                            possible && step < steps[n] ? g[n] * EXP(from[step * N * C + c]) : 0;                              \
                if (possible)                                                                                                  \
                    mg_ctc_subtract_##t(from, N * C, states, steps[n], states_n, blank, alpha, beta, total, g[n], out + n * C);\
            }                                                                                                                  \
            free(alpha);                                                                                                       \
        }                                                                                                                      \
        return good;                                                                                                           \
    }

MG_CTC(float, expf, logf, f32)
MG_CTC(double, exp, log, f64)
#undef MG_CTC

#endif
