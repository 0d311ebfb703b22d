/* softmax(scale q k^T + bias) v, and its gradient. Compiled through multiversion.h: see there for REAL and NAME.

   A thread takes a block of the rows of one head through the two products and the softmax between them, while the scores lie in
   its L2 cache. Operands are read where they lie, so the heads of a projection need no copy. The gradient of k and v is a sum
   over the queries, so there a thread takes all blocks of a head, in order. */

#include "gemm_kernels.h"
#include "vecmath.h"

#ifndef ATTENTION_SCORES
#define ATTENTION_SCORES 32768 /* of a block: 8x8x128x64 takes 1795 us with half as many, 1680 with these */
#define ATTENTION_PRAGMA(x) _Pragma(#x)
#define ATTENTION_SIMD(...) ATTENTION_PRAGMA(omp simd __VA_ARGS__)
/* Where the rows of one head and one query begin. */
#define ATTENTION_AT(x, strides, n, row) \
    ((x) + (n) / s->H * s->strides[0] + (n) % s->H * s->strides[1] + (row) * s->strides[2])

/* How many rows make a block: whole register tiles of 14, but for few keys. */
static int64_t attention_rows(const attention_shape *s) {
    const int64_t rows = ATTENTION_SCORES / (s->S > 1 ? s->S : 1) / 14 * 14;
    return rows < 14 ? 14 : rows > s->L ? s->L : rows;
}

/* How many keys the queries before `row` see. */
static int64_t attention_keys(const attention_shape *s, int64_t row) { return s->causal && row < s->S ? row : s->S; }
#endif

/* x = softmax(scale x + bias), of n scores. */
static void NAME(attention_softmax)(REAL *x, int64_t n, REAL scale, const REAL *bias, int64_t step) {
    REAL largest = -(REAL)INFINITY, sum = 0;
    if (!bias) {
        ATTENTION_SIMD() for (int64_t j = 0; j < n; j++) x[j] *= scale;
    } else if (step == 1) {
        ATTENTION_SIMD() for (int64_t j = 0; j < n; j++) x[j] = x[j] * scale + bias[j];
    } else {
        for (int64_t j = 0; j < n; j++) x[j] = x[j] * scale + bias[j * step];
    }
    ATTENTION_SIMD(reduction(max : largest)) for (int64_t j = 0; j < n; j++) largest = x[j] > largest ? x[j] : largest;
    ATTENTION_SIMD(reduction(+ : sum)) for (int64_t j = 0; j < n; j++) {
        const REAL e = NAME(v_exp)(x[j] - largest);
        x[j] = e;
        sum += e;
    }
    const REAL share = 1 / sum;
    ATTENTION_SIMD() for (int64_t j = 0; j < n; j++) x[j] *= share;
}

/* out and, unless it is NULL, weights (B, H, L, S), the softmax. factor: NULL or (B, H, L, S), what the weights are multiplied
   by on their way to v. */
static void NAME(attention_forward)(const REAL *q, const REAL *k, const REAL *v, const REAL *bias, const REAL *factor,
                                    REAL *weights, REAL *out, const attention_shape *s, int threads) {
    const int64_t block = attention_rows(s), blocks = (s->L + block - 1) / block, S = s->S;
    const size_t bytes = (GEMM_SCRATCH + 2 * block * S) * sizeof(REAL);
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t t = 0; t < s->B * s->H * blocks; t++) {
        REAL *const scratch = mg_thread_scratch(bytes), *const own = scratch + GEMM_SCRATCH;
        const int64_t n = t / blocks, row = t % blocks * block, rows = s->L - row < block ? s->L - row : block;
        const int64_t keys = attention_keys(s, row + rows), at = (n * s->L + row) * S;
        REAL *const scores = weights ? weights + at : own, *const scaled = factor ? own + block * S : scores;
        NAME(gemm_block)(rows, keys, s->E, ATTENTION_AT(q, q, n, row), s->q[2], 1, ATTENTION_AT(k, k, n, 0), 1, s->k[2], scores,
                         S, 0, scratch);
        for (int64_t i = 0; i < rows; i++) {
            const int64_t seen = attention_keys(s, row + i + 1);
            REAL *const x = scores + i * S;
            NAME(attention_softmax)(x, seen, (REAL)s->scale, bias ? ATTENTION_AT(bias, bias, n, row + i) : 0, s->bias[3]);
            if (seen < S) memset(x + seen, 0, (S - seen) * sizeof(REAL));
            if (factor)
                ATTENTION_SIMD() for (int64_t j = 0; j < keys; j++) scaled[i * S + j] = x[j] * factor[at + i * S + j];
        }
        NAME(gemm_block)(rows, s->V, keys, scaled, S, 1, ATTENTION_AT(v, v, n, 0), s->v[2], 1, ATTENTION_AT(out, out, n, row),
                         s->out[2], 0, scratch);
    }
}

/* From g, the gradient for out, whose strides are s->out, and g_weights (B, H, L, S) or NULL, that for the weights: the
   gradients for q, k and v, and, unless g_scores is NULL, that for the bias, (B, H, L, S). */
static void NAME(attention_backward)(const REAL *g, const REAL *g_weights, const REAL *q, const REAL *k, const REAL *v,
                                     const REAL *factor, const REAL *weights, REAL *gq, REAL *gk, REAL *gv, REAL *g_scores,
                                     const attention_shape *s, int threads) {
    const int64_t block = attention_rows(s), S = s->S;
    const size_t bytes = (GEMM_SCRATCH + 2 * block * S) * sizeof(REAL);
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t n = 0; n < s->B * s->H; n++) {
        REAL *const scratch = mg_thread_scratch(bytes), *const d = scratch + GEMM_SCRATCH, *const scaled = d + block * S;
        for (int64_t j = 0; j < S; j++) {
            memset(ATTENTION_AT(gk, gk, n, j), 0, s->E * sizeof(REAL));
            memset(ATTENTION_AT(gv, gv, n, j), 0, s->V * sizeof(REAL));
        }
        for (int64_t row = 0; row < s->L; row += block) {
            const int64_t rows = s->L - row < block ? s->L - row : block, keys = attention_keys(s, row + rows);
            const int64_t at = (n * s->L + row) * S;
            const REAL *const w = weights + at, *const g_row = ATTENTION_AT(g, out, n, row);
            NAME(gemm_block)(rows, keys, s->V, g_row, s->out[2], 1, ATTENTION_AT(v, v, n, 0), 1, s->v[2], d, S, 0, scratch);
            for (int64_t i = 0; i < rows; i++) {
                const REAL *const y = w + i * S;
                REAL *const x = d + i * S;
                REAL sum = 0;
                if (factor) ATTENTION_SIMD() for (int64_t j = 0; j < keys; j++) {
                    x[j] *= factor[at + i * S + j];
                    scaled[i * S + j] = y[j] * factor[at + i * S + j];
                }
                if (g_weights) ATTENTION_SIMD() for (int64_t j = 0; j < keys; j++) x[j] += g_weights[at + i * S + j];
                ATTENTION_SIMD(reduction(+ : sum)) for (int64_t j = 0; j < keys; j++) sum += x[j] * y[j];
                ATTENTION_SIMD() for (int64_t j = 0; j < keys; j++) x[j] = y[j] * (x[j] - sum);
                if (g_scores) {
                    memcpy(g_scores + at + i * S, x, keys * sizeof(REAL));
                    memset(g_scores + at + i * S + keys, 0, (S - keys) * sizeof(REAL));
                }
                ATTENTION_SIMD() for (int64_t j = 0; j < keys; j++) x[j] *= (REAL)s->scale;
            }
            NAME(gemm_block)(keys, s->V, rows, factor ? scaled : w, 1, S, g_row, s->out[2], 1, ATTENTION_AT(gv, gv, n, 0),
                             s->gv[2], 1, scratch);
            NAME(gemm_block)(rows, s->E, keys, d, S, 1, ATTENTION_AT(k, k, n, 0), s->k[2], 1, ATTENTION_AT(gq, gq, n, row),
                             s->gq[2], 0, scratch);
            NAME(gemm_block)(keys, s->E, rows, d, 1, S, ATTENTION_AT(q, q, n, row), s->q[2], 1, ATTENTION_AT(gk, gk, n, 0),
                             s->gk[2], 1, scratch);
        }
    }
}
