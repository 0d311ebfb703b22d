/* softmax, log_softmax, cross entropy, negative log likelihood and squared error. Compiled through multiversion.h: see there for
   REAL, NAME, LANES, VECTOR.

   Geometry: (outer, n, inner) with the classes in the middle; inner == 1 goes row by row, vectorised along the classes; otherwise up to
   LOSS_COLUMNS neighbouring positions go together, vectorised along the positions. Exponents are taken of x - max, and
   log-probabilities formed as (x - max) - log(sum), so nothing overflows and nothing cancels (Blanchard, Higham, Higham,
   "Accurately computing the log-sum-exp and softmax functions", 2021). */

#include "vecmath.h"

#ifndef LOSS_COLUMNS
#define LOSS_COLUMNS 128        /* positions that one owner takes together: two arrays of them fit L1 beside the lines in flight */
#define LOSS_SEGMENT 4096       /* values summed in REAL before double takes over */
#define LOSS_MEAN_SEGMENT 8192  /* elements of squared_error that make one partial sum */
#endif

MG_INLINE REAL NAME(row_max)(const REAL *x, int64_t n) {
    REAL m = -(REAL)INFINITY;
    int64_t i = 0;
    if (n >= LANES) {
        VECTOR a = *(const VECTOR *)x;
        for (i = LANES; i + LANES <= n; i += LANES) {
            const VECTOR v = *(const VECTOR *)(x + i);
            const IVECTOR larger = v > a;                             /* C has no v > a ? v : a of vectors */
            a = (VECTOR)((larger & (IVECTOR)v) | (~larger & (IVECTOR)a));
        }
        for (int lane = 0; lane < LANES; lane++) m = a[lane] > m ? a[lane] : m;
    }
    for (; i < n; i++) m = x[i] > m ? x[i] : m;
    return m;
}

/* The sum of exp(x - m); the exponentials are kept in out unless that is NULL. */
MG_INLINE double NAME(row_exp_sum)(const REAL *x, REAL m, REAL *out, int64_t n) {
    double total = 0;
    for (int64_t start = 0; start < n; start += LOSS_SEGMENT) {
        const int64_t end = start + LOSS_SEGMENT < n ? start + LOSS_SEGMENT : n;
        REAL sum = 0;
        if (out) {
            _Pragma("omp simd reduction(+ : sum)")
            for (int64_t i = start; i < end; i++) { const REAL e = NAME(v_exp)(x[i] - m); out[i] = e; sum += e; }
        } else {
            _Pragma("omp simd reduction(+ : sum)")
            for (int64_t i = start; i < end; i++) sum += NAME(v_exp)(x[i] - m);
        }
        total += sum;
    }
    return total;
}

/* For `columns` neighbouring positions of n classes, `inner` apart: the largest value, and the sum of exp(x - max); the exponentials
   are kept in out unless that is NULL. */
MG_INLINE void NAME(column_exp_sum)(const REAL *x, REAL *out, REAL *max, REAL *sum, int64_t n, int64_t inner, int64_t columns) {
    REAL part[LOSS_COLUMNS];
    for (int64_t j = 0; j < columns; j++) { max[j] = -(REAL)INFINITY; sum[j] = 0; }
    for (int64_t c = 0; c < n; c++) {
        const REAL *row = x + c * inner;
        _Pragma("omp simd")
        for (int64_t j = 0; j < columns; j++) max[j] = row[j] > max[j] ? row[j] : max[j];
    }
    for (int64_t start = 0; start < n; start += 64) {                 /* sums of sums: the error grows with 64 + n / 64 */
        const int64_t end = start + 64 < n ? start + 64 : n;
        for (int64_t j = 0; j < columns; j++) part[j] = 0;
        for (int64_t c = start; c < end; c++) {
            const REAL *row = x + c * inner;
            if (out) {
                REAL *o = out + c * inner;
                _Pragma("omp simd")
                for (int64_t j = 0; j < columns; j++) { const REAL e = NAME(v_exp)(row[j] - max[j]); o[j] = e; part[j] += e; }
            } else {
                _Pragma("omp simd")
                for (int64_t j = 0; j < columns; j++) part[j] += NAME(v_exp)(row[j] - max[j]);
            }
        }
        for (int64_t j = 0; j < columns; j++) sum[j] += part[j];
    }
}

/* ---- softmax and log_softmax --------------------------------------------------------------------------------------------- */

/* x, out (outer, n, inner), none of them 0: out = exp(x) / sum exp(x) over the middle axis, or (logarithm) its logarithm. */
static void NAME(softmax_forward)(const REAL *x, REAL *out, int logarithm, int64_t outer, int64_t n, int64_t inner, int threads) {
    if (inner == 1) {
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
        for (int64_t r = 0; r < outer; r++) {
            const REAL *row = x + r * n, m = NAME(row_max)(row, n);
            REAL *o = out + r * n;
            if (logarithm) {
                const REAL l = (REAL)log(NAME(row_exp_sum)(row, m, 0, n));
                _Pragma("omp simd")
                for (int64_t i = 0; i < n; i++) o[i] = (row[i] - m) - l;
            } else {
                const REAL scale = (REAL)(1 / NAME(row_exp_sum)(row, m, o, n));
                _Pragma("omp simd")
                for (int64_t i = 0; i < n; i++) o[i] *= scale;
            }
        }
        return;
    }
    const int64_t blocks = (inner + LOSS_COLUMNS - 1) / LOSS_COLUMNS;
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t b = 0; b < outer * blocks; b++) {
        const int64_t start = b % blocks * LOSS_COLUMNS, columns = start + LOSS_COLUMNS < inner ? LOSS_COLUMNS : inner - start;
        const REAL *xb = x + b / blocks * n * inner + start;
        REAL *ob = out + b / blocks * n * inner + start, max[LOSS_COLUMNS], sum[LOSS_COLUMNS];
        NAME(column_exp_sum)(xb, logarithm ? 0 : ob, max, sum, n, inner, columns);
        if (logarithm) {
            _Pragma("omp simd")
            for (int64_t j = 0; j < columns; j++) sum[j] = NAME(v_log)(sum[j]);
        } else {
            _Pragma("omp simd")
            for (int64_t j = 0; j < columns; j++) sum[j] = 1 / sum[j];
        }
        for (int64_t c = 0; c < n; c++) {
            const REAL *row = xb + c * inner;
            REAL *o = ob + c * inner;
            if (logarithm) {
                _Pragma("omp simd")
                for (int64_t j = 0; j < columns; j++) o[j] = (row[j] - max[j]) - sum[j];
            } else {
                _Pragma("omp simd")
                for (int64_t j = 0; j < columns; j++) o[j] *= sum[j];
            }
        }
    }
}

/* g, y, gx (outer, n, inner), y the output of softmax_forward: gx = y (g - sum g y), or (logarithm) gx = g - exp(y) sum g. */
static void NAME(softmax_backward)(const REAL *g, const REAL *y, REAL *gx, int logarithm, int64_t outer, int64_t n, int64_t inner,
                                   int threads) {
    if (inner == 1) {
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
        for (int64_t r = 0; r < outer; r++) {
            const REAL *gr = g + r * n, *yr = y + r * n;
            REAL *o = gx + r * n;
            double total = 0;
            for (int64_t start = 0; start < n; start += LOSS_SEGMENT) {
                const int64_t end = start + LOSS_SEGMENT < n ? start + LOSS_SEGMENT : n;
                REAL sum = 0;
                if (logarithm) {
                    _Pragma("omp simd reduction(+ : sum)")
                    for (int64_t i = start; i < end; i++) sum += gr[i];
                } else {
                    _Pragma("omp simd reduction(+ : sum)")
                    for (int64_t i = start; i < end; i++) sum += gr[i] * yr[i];
                }
                total += sum;
            }
            const REAL sum = (REAL)total;
            if (logarithm) {
                _Pragma("omp simd")
                for (int64_t i = 0; i < n; i++) o[i] = gr[i] - NAME(v_exp)(yr[i]) * sum;
            } else {
                _Pragma("omp simd")
                for (int64_t i = 0; i < n; i++) o[i] = yr[i] * (gr[i] - sum);
            }
        }
        return;
    }
    const int64_t blocks = (inner + LOSS_COLUMNS - 1) / LOSS_COLUMNS;
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t b = 0; b < outer * blocks; b++) {
        const int64_t start = b % blocks * LOSS_COLUMNS, columns = start + LOSS_COLUMNS < inner ? LOSS_COLUMNS : inner - start;
        const int64_t offset = b / blocks * n * inner + start;
        REAL sum[LOSS_COLUMNS] = {0}, part[LOSS_COLUMNS];
        for (int64_t first = 0; first < n; first += 64) {
            const int64_t end = first + 64 < n ? first + 64 : n;
            for (int64_t j = 0; j < columns; j++) part[j] = 0;
            for (int64_t c = first; c < end; c++) {
                const REAL *gr = g + offset + c * inner, *yr = y + offset + c * inner;
                if (logarithm) {
                    _Pragma("omp simd")
                    for (int64_t j = 0; j < columns; j++) part[j] += gr[j];
                } else {
                    _Pragma("omp simd")
                    for (int64_t j = 0; j < columns; j++) part[j] += gr[j] * yr[j];
                }
            }
            for (int64_t j = 0; j < columns; j++) sum[j] += part[j];
        }
        for (int64_t c = 0; c < n; c++) {
            const REAL *gr = g + offset + c * inner, *yr = y + offset + c * inner;
            REAL *o = gx + offset + c * inner;
            if (logarithm) {
                _Pragma("omp simd")
                for (int64_t j = 0; j < columns; j++) o[j] = gr[j] - NAME(v_exp)(yr[j]) * sum[j];
            } else {
                _Pragma("omp simd")
                for (int64_t j = 0; j < columns; j++) o[j] = yr[j] * (gr[j] - sum[j]);
            }
        }
    }
}

/* ---- cross entropy with class indices ------------------------------------------------------------------------------------ */

/* The sums of the losses and of the weights of the targets that count, in index order (so the bits do not depend on threads). */
static void NAME(loss_totals)(const REAL *losses, const int64_t *target, const REAL *weight, int64_t ignore, int64_t count,
                              double totals[2]) {
    double sum = 0, weights = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += losses[i];
        if (target[i] != ignore) weights += weight ? weight[target[i]] : 1;
    }
    totals[0] = sum;
    totals[1] = weights;
}

/* x (N, C, D), target (N, D) with values in [0, C) or `ignore`, weight (C) or NULL. With log p = (x - max) - l, t the target and s the
   label smoothing:   losses = -(1 - s) weight[t] log p[t] - s / C sum_c weight[c] log p[c],   0 where t is ignored.
   losses, max, logs (N, D) are written; totals = {sum of losses, sum of weight[t]}. */
static void NAME(cross_entropy_forward)(const REAL *x, const int64_t *target, const REAL *weight, int64_t ignore, double smoothing,
                                        REAL *losses, REAL *max, REAL *logs, double *totals, int64_t N, int64_t C, int64_t D,
                                        int threads) {
    const double keep = 1 - smoothing, share = smoothing / (double)C;
    const int64_t blocks = (D + LOSS_COLUMNS - 1) / LOSS_COLUMNS;
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t b = 0; b < N * blocks; b++) {
        const int64_t start = b % blocks * LOSS_COLUMNS, columns = start + LOSS_COLUMNS < D ? LOSS_COLUMNS : D - start;
        const int64_t position = b / blocks * D + start;
        const REAL *xb = x + b / blocks * C * D + start;
        REAL *m = max + position, *l = logs + position;
        if (D == 1) {
            m[0] = NAME(row_max)(xb, C);
            l[0] = (REAL)log(NAME(row_exp_sum)(xb, m[0], 0, C));
        } else {
            NAME(column_exp_sum)(xb, 0, m, l, C, D, columns);
            _Pragma("omp simd")
            for (int64_t j = 0; j < columns; j++) l[j] = NAME(v_log)(l[j]);
        }
        for (int64_t j = 0; j < columns; j++) {
            const int64_t t = target[position + j];
            double loss = 0;
            if (t != ignore) {
                loss = keep * (weight ? weight[t] : 1) * ((double)(m[j] - xb[t * D + j]) + l[j]);
                if (smoothing > 0) {
                    double smooth = 0;
                    for (int64_t c = 0; c < C; c++) smooth += (weight ? weight[c] : 1) * ((double)(m[j] - xb[c * D + j]) + l[j]);
                    loss += share * smooth;
                }
            }
            losses[position + j] = (REAL)loss;
        }
    }
    NAME(loss_totals)(losses, target, weight, ignore, N * D, totals);
}

/* gx of cross_entropy_forward. With a = g[position * g_step] * scale:
   gx[c] = a ((1 - s) weight[t] + s / C sum(weight)) p[c] - a (1 - s) weight[t] [c == t] - a s / C weight[c],   0 where t is ignored. */
static void NAME(cross_entropy_backward)(const REAL *g, int64_t g_step, double scale, const REAL *x, const int64_t *target,
                                         const REAL *weight, int64_t ignore, double smoothing, const REAL *max, const REAL *logs,
                                         REAL *gx, int64_t N, int64_t C, int64_t D, int threads) {
    const double keep = 1 - smoothing, share = smoothing / (double)C;
    double weights = (double)C;
    if (weight) {
        weights = 0;
        for (int64_t c = 0; c < C; c++) weights += weight[c];
    }
    const int64_t blocks = (D + LOSS_COLUMNS - 1) / LOSS_COLUMNS;
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t b = 0; b < N * blocks; b++) {
        const int64_t start = b % blocks * LOSS_COLUMNS, columns = start + LOSS_COLUMNS < D ? LOSS_COLUMNS : D - start;
        const int64_t position = b / blocks * D + start, offset = b / blocks * C * D + start;
        const REAL *m = max + position, *l = logs + position;
        REAL a[LOSS_COLUMNS], all[LOSS_COLUMNS];                       /* a, and what multiplies p */
        for (int64_t j = 0; j < columns; j++) {
            const int64_t t = target[position + j];
            const double each = t == ignore ? 0 : g[(position + j) * g_step] * scale;
            a[j] = (REAL)each;
            all[j] = t == ignore ? 0 : (REAL)(each * (keep * (weight ? weight[t] : 1) + share * weights));
        }
        if (D == 1) {
            const REAL m0 = m[0], l0 = l[0], all0 = all[0], *row = x + offset;
            REAL *o = gx + offset;
            if (target[position] == ignore) {
                for (int64_t c = 0; c < C; c++) o[c] = 0;
            } else {
                _Pragma("omp simd")
                for (int64_t c = 0; c < C; c++) o[c] = all0 * NAME(v_exp)((row[c] - m0) - l0);
            }
        } else {
            for (int64_t c = 0; c < C; c++) {
                const REAL *row = x + offset + c * D;
                REAL *o = gx + offset + c * D;
                _Pragma("omp simd")
                for (int64_t j = 0; j < columns; j++) {
                    const REAL p = NAME(v_exp)((row[j] - m[j]) - l[j]);
                    o[j] = all[j] == 0 ? 0 : all[j] * p;
                }
            }
        }
        if (smoothing > 0)
            for (int64_t c = 0; c < C; c++)
                for (int64_t j = 0; j < columns; j++) gx[offset + c * D + j] -= (REAL)(a[j] * share * (weight ? weight[c] : 1));
        for (int64_t j = 0; j < columns; j++) {
            const int64_t t = target[position + j];
            if (t != ignore) gx[offset + t * D + j] -= (REAL)(a[j] * keep * (weight ? weight[t] : 1));
        }
    }
}

/* ---- negative log likelihood --------------------------------------------------------------------------------------------- */

/* losses (N, D) = -weight[t] x[n, t, d], 0 where t is ignored; the rest as in cross_entropy_forward. */
static void NAME(nll_forward)(const REAL *x, const int64_t *target, const REAL *weight, int64_t ignore, REAL *losses, double *totals,
                              int64_t N, int64_t C, int64_t D) {
    for (int64_t n = 0; n < N; n++)
        for (int64_t d = 0; d < D; d++) {
            const int64_t t = target[n * D + d];
            losses[n * D + d] = t == ignore ? 0 : -(weight ? weight[t] : 1) * x[(n * C + t) * D + d];
        }
    NAME(loss_totals)(losses, target, weight, ignore, N * D, totals);
}

/* gx (N, C, D), zeroed by the caller: gx[n, t, d] = -weight[t] g[position * g_step] scale where t is not ignored. */
static void NAME(nll_backward)(const REAL *g, int64_t g_step, double scale, const int64_t *target, const REAL *weight, int64_t ignore,
                               REAL *gx, int64_t N, int64_t C, int64_t D) {
    for (int64_t n = 0; n < N; n++)
        for (int64_t d = 0; d < D; d++) {
            const int64_t t = target[n * D + d];
            if (t != ignore) gx[(n * C + t) * D + d] = (REAL)(-(weight ? weight[t] : 1) * (g[(n * D + d) * g_step] * scale));
        }
}

/* ---- squared error ------------------------------------------------------------------------------------------------------- */

/* partial[b] = sum of (x - y)^2 over the b-th LOSS_MEAN_SEGMENT elements. */
static void NAME(squared_error)(const REAL *x, const REAL *y, double *partial, int64_t n, int threads) {
    const int64_t blocks = (n + LOSS_MEAN_SEGMENT - 1) / LOSS_MEAN_SEGMENT;
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t end = (b + 1) * LOSS_MEAN_SEGMENT < n ? (b + 1) * LOSS_MEAN_SEGMENT : n;
        int64_t i = b * LOSS_MEAN_SEGMENT;
        VECTOR p = {0}, q = {0}, r = {0}, s = {0};
        double sum = 0;
        for (; i + 4 * LANES <= end; i += 4 * LANES) {
            const VECTOR d0 = *(const VECTOR *)(x + i) - *(const VECTOR *)(y + i);
            const VECTOR d1 = *(const VECTOR *)(x + i + LANES) - *(const VECTOR *)(y + i + LANES);
            const VECTOR d2 = *(const VECTOR *)(x + i + 2 * LANES) - *(const VECTOR *)(y + i + 2 * LANES);
            const VECTOR d3 = *(const VECTOR *)(x + i + 3 * LANES) - *(const VECTOR *)(y + i + 3 * LANES);
            p += d0 * d0;
            q += d1 * d1;
            r += d2 * d2;
            s += d3 * d3;
        }
        p = (p + q) + (r + s);
        for (int lane = 0; lane < LANES; lane++) sum += p[lane];
        for (; i < end; i++) { const REAL d = x[i] - y[i]; sum += d * d; }
        partial[b] = sum;
    }
}

/* out = (x - y) * scale */
static void NAME(scaled_difference)(const REAL *x, const REAL *y, double scale, REAL *out, int64_t n, int threads) {
    const REAL s = (REAL)scale;
    _Pragma("omp parallel for simd num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t i = 0; i < n; i++) out[i] = (x[i] - y[i]) * s;
}
