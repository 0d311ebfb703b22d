/* softmax, log_softmax, cross entropy, negative log likelihood and squared error. Compiled through multiversion.h: see there for
   REAL, NAME, LANES, VECTOR.

   Geometry: (outer, n, inner) with the classes in the middle. Long rows (inner == 1) go one by one, vectorised along the classes;
   otherwise up to LOSS_COLUMNS neighbouring positions go together, vectorised along the positions, short rows by way of a
   transposed copy (64 rows of 10 classes: 5 us row by row, 1 us so). Exponents are taken of x - max, and
   log-probabilities formed as (x - max) - log(sum), so nothing overflows and nothing cancels (Blanchard, Higham, Higham,
   "Accurately computing the log-sum-exp and softmax functions", 2021). */

#include "vecmath.h"

#ifndef LOSS_COLUMNS
#define LOSS_COLUMNS 128        /* positions that one owner takes together: two arrays of them fit L1 beside the lines in flight */
#define LOSS_SHORT 32           /* rows of at most this many classes do not fill vectors: LOSS_COLUMNS of them are transposed first */
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

/* out (n, LOSS_COLUMNS) = the transpose of `rows` rows of n, and the way back. */
MG_INLINE void NAME(transpose_in)(const REAL *x, REAL *out, int64_t rows, int64_t n) {
    for (int64_t c = 0; c < n; c++)
        for (int64_t j = 0; j < rows; j++) out[c * LOSS_COLUMNS + j] = x[j * n + c];
}

MG_INLINE void NAME(transpose_out)(const REAL *x, REAL *out, int64_t rows, int64_t n) {
    for (int64_t j = 0; j < rows; j++)
        for (int64_t c = 0; c < n; c++) out[j * n + c] = x[c * LOSS_COLUMNS + j];
}

/* ---- softmax and log_softmax --------------------------------------------------------------------------------------------- */

/* softmax_forward on `columns` neighbouring positions; x and out may be the same. */
static void NAME(softmax_columns)(const REAL *x, REAL *out, int logarithm, int64_t n, int64_t inner, int64_t columns) {
    REAL max[LOSS_COLUMNS], sum[LOSS_COLUMNS];
    NAME(column_exp_sum)(x, logarithm ? 0 : out, max, sum, n, inner, columns);
    if (logarithm) {
        _Pragma("omp simd")
        for (int64_t j = 0; j < columns; j++) sum[j] = NAME(v_log)(sum[j]);
    } else {
        _Pragma("omp simd")
        for (int64_t j = 0; j < columns; j++) sum[j] = 1 / sum[j];
    }
    for (int64_t c = 0; c < n; c++) {
        const REAL *row = x + c * inner;
        REAL *o = out + c * inner;
        if (logarithm) {
            _Pragma("omp simd")
            for (int64_t j = 0; j < columns; j++) o[j] = (row[j] - max[j]) - sum[j];
        } else {
            _Pragma("omp simd")
            for (int64_t j = 0; j < columns; j++) o[j] *= sum[j];
        }
    }
}

/* x, out (outer, n, inner), none of them 0: out = exp(x) / sum exp(x) over the middle axis, or (logarithm) its logarithm. */
static void NAME(softmax_forward)(const REAL *x, REAL *out, int logarithm, int64_t outer, int64_t n, int64_t inner, int threads) {
    if (inner == 1 && n <= LOSS_SHORT) {
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
        for (int64_t start = 0; start < outer; start += LOSS_COLUMNS) {
            const int64_t rows = start + LOSS_COLUMNS < outer ? LOSS_COLUMNS : outer - start;
            REAL block[LOSS_SHORT * LOSS_COLUMNS];
            NAME(transpose_in)(x + start * n, block, rows, n);
            NAME(softmax_columns)(block, block, logarithm, n, LOSS_COLUMNS, rows);
            NAME(transpose_out)(block, out + start * n, rows, n);
        }
        return;
    }
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
        const int64_t offset = b / blocks * n * inner + start;
        NAME(softmax_columns)(x + offset, out + offset, logarithm, n, inner, columns);
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

/* How N rows of D positions are cut into blocks of at most LOSS_COLUMNS: along D, or along N where rows are short (D == 1). */
typedef struct { int64_t length, blocks, count; } NAME(loss_cut);

MG_INLINE NAME(loss_cut) NAME(loss_cut_of)(int64_t N, int64_t D, int short_rows) {
    const int64_t length = short_rows ? N : D, blocks = (length + LOSS_COLUMNS - 1) / LOSS_COLUMNS;
    return (NAME(loss_cut)){length, blocks, short_rows ? blocks : N * blocks};
}

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

/* What label smoothing adds for C classes: max - x, weighted and summed over a row (stride == 1), or for each of `columns` positions. */
MG_INLINE void NAME(smooth_sum)(const REAL *x, const REAL *max, const REAL *weight, REAL *sum, int64_t C, int64_t stride,
                                int64_t columns) {
    if (stride == 1) {
        double total = 0;
        for (int64_t start = 0; start < C; start += LOSS_SEGMENT) {
            const int64_t end = start + LOSS_SEGMENT < C ? start + LOSS_SEGMENT : C;
            const REAL m = max[0];
            REAL part = 0;
            if (weight) {
                _Pragma("omp simd reduction(+ : part)")
                for (int64_t c = start; c < end; c++) part += weight[c] * (m - x[c]);
            } else {
                _Pragma("omp simd reduction(+ : part)")
                for (int64_t c = start; c < end; c++) part += m - x[c];
            }
            total += part;
        }
        sum[0] = (REAL)total;
        return;
    }
    REAL part[LOSS_COLUMNS];
    for (int64_t j = 0; j < columns; j++) sum[j] = 0;
    for (int64_t start = 0; start < C; start += 64) {
        const int64_t end = start + 64 < C ? start + 64 : C;
        for (int64_t j = 0; j < columns; j++) part[j] = 0;
        for (int64_t c = start; c < end; c++) {
            const REAL *row = x + c * stride, w = weight ? weight[c] : 1;
            _Pragma("omp simd")
            for (int64_t j = 0; j < columns; j++) part[j] += w * (max[j] - row[j]);
        }
        for (int64_t j = 0; j < columns; j++) sum[j] += part[j];
    }
}

/* gx[c] -= a share weight[c] over a row (stride == 1) or for each of `columns` positions: the gradient of what smoothing adds. */
MG_INLINE void NAME(subtract_shares)(REAL *gx, const REAL *a, double share, const REAL *weight, int64_t C, int64_t stride,
                                     int64_t columns) {
    if (stride == 1) {
        const REAL each = (REAL)(a[0] * share);
        if (weight) {
            _Pragma("omp simd")
            for (int64_t c = 0; c < C; c++) gx[c] -= each * weight[c];
        } else {
            _Pragma("omp simd")
            for (int64_t c = 0; c < C; c++) gx[c] -= each;
        }
        return;
    }
    for (int64_t c = 0; c < C; c++) {
        REAL *row = gx + c * stride;
        const REAL each = (REAL)(share * (weight ? weight[c] : 1));
        _Pragma("omp simd")
        for (int64_t j = 0; j < columns; j++) row[j] -= a[j] * each;
    }
}

MG_INLINE double NAME(weight_sum)(const REAL *weight, int64_t C) {
    if (!weight) return (double)C;
    double sum = 0;
    for (int64_t c = 0; c < C; c++) sum += weight[c];
    return sum;
}

/* x (N, C, D), target (N, D) with values in [0, C) or `ignore`, weight (C) or NULL. With log p = (x - max) - l, t the target and s the
   label smoothing:   losses = -(1 - s) weight[t] log p[t] - s / C sum_c weight[c] log p[c],   0 where t is ignored.
   losses, max, logs (N, D) are written; totals = {sum of losses, sum of weight[t]}. */
static void NAME(cross_entropy_forward)(const REAL *x, const int64_t *target, const REAL *weight, int64_t ignore, double smoothing,
                                        REAL *losses, REAL *max, REAL *logs, double *totals, int64_t N, int64_t C, int64_t D,
                                        int threads) {
    const double keep = 1 - smoothing, share = smoothing / (double)C, weights = NAME(weight_sum)(weight, C);
    const int short_rows = D == 1 && C <= LOSS_SHORT;
    const NAME(loss_cut) cut = NAME(loss_cut_of)(N, D, short_rows);
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t b = 0; b < cut.count; b++) {
        const int64_t start = b % cut.blocks * LOSS_COLUMNS, outer = b / cut.blocks;
        const int64_t columns = start + LOSS_COLUMNS < cut.length ? LOSS_COLUMNS : cut.length - start;
        const int64_t position = outer * cut.length + start, stride = short_rows ? LOSS_COLUMNS : D;
        const REAL *xb = x + outer * C * D + start;
        REAL *m = max + position, *l = logs + position, block[LOSS_SHORT * LOSS_COLUMNS], smooth[LOSS_COLUMNS];
        if (short_rows) {
            NAME(transpose_in)(x + start * C, block, columns, C);
            xb = block;
        }
        if (D == 1 && !short_rows) {
            m[0] = NAME(row_max)(xb, C);
            l[0] = (REAL)log(NAME(row_exp_sum)(xb, m[0], 0, C));
        } else {
            NAME(column_exp_sum)(xb, 0, m, l, C, stride, columns);
            _Pragma("omp simd")
            for (int64_t j = 0; j < columns; j++) l[j] = NAME(v_log)(l[j]);
        }
        if (smoothing > 0) NAME(smooth_sum)(xb, m, weight, smooth, C, stride, columns);
        for (int64_t j = 0; j < columns; j++) {
            const int64_t t = target[position + j];
            double loss = 0;
            if (t != ignore) {
                loss = keep * (weight ? weight[t] : 1) * ((double)(m[j] - xb[t * stride + j]) + l[j]);
                if (smoothing > 0) loss += share * (smooth[j] + weights * l[j]);
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
    const double keep = 1 - smoothing, share = smoothing / (double)C, weights = NAME(weight_sum)(weight, C);
    const int short_rows = D == 1 && C <= LOSS_SHORT;
    const NAME(loss_cut) cut = NAME(loss_cut_of)(N, D, short_rows);
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t b = 0; b < cut.count; b++) {
        const int64_t start = b % cut.blocks * LOSS_COLUMNS, outer = b / cut.blocks;
        const int64_t columns = start + LOSS_COLUMNS < cut.length ? LOSS_COLUMNS : cut.length - start;
        const int64_t position = outer * cut.length + start, stride = short_rows ? LOSS_COLUMNS : D;
        const REAL *m = max + position, *l = logs + position, *xb = x + outer * C * D + start;
        REAL *ob = gx + outer * C * D + start, block[LOSS_SHORT * LOSS_COLUMNS];
        REAL a[LOSS_COLUMNS], all[LOSS_COLUMNS];                       /* a, and what multiplies p */
        if (short_rows) {
            NAME(transpose_in)(x + start * C, block, columns, C);
            xb = ob = block;
        }
        for (int64_t j = 0; j < columns; j++) {
            const int64_t t = target[position + j];
            const double each = t == ignore ? 0 : g[(position + j) * g_step] * scale;
            a[j] = (REAL)each;
            all[j] = t == ignore ? 0 : (REAL)(each * (keep * (weight ? weight[t] : 1) + share * weights));
        }
        if (D == 1 && !short_rows) {
            const REAL m0 = m[0], l0 = l[0], all0 = all[0];
            if (target[position] == ignore) {
                for (int64_t c = 0; c < C; c++) ob[c] = 0;
            } else {
                _Pragma("omp simd")
                for (int64_t c = 0; c < C; c++) ob[c] = all0 * NAME(v_exp)((xb[c] - m0) - l0);
            }
        } else {
            for (int64_t c = 0; c < C; c++) {
                const REAL *row = xb + c * stride;
                REAL *o = ob + c * stride;
                _Pragma("omp simd")
                for (int64_t j = 0; j < columns; j++) {
                    const REAL p = NAME(v_exp)((row[j] - m[j]) - l[j]);
                    o[j] = all[j] == 0 ? 0 : all[j] * p;
                }
            }
        }
        if (smoothing > 0) NAME(subtract_shares)(ob, a, share, weight, C, stride, columns);
        for (int64_t j = 0; j < columns; j++) {
            const int64_t t = target[position + j];
            if (t != ignore) ob[t * stride + j] -= (REAL)(a[j] * keep * (weight ? weight[t] : 1));
        }
        if (short_rows) NAME(transpose_out)(block, gx + start * C, columns, C);
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

/* ---- log sum exp ---------------------------------------------------------------------------------------------------------- */

/* out[r] = log(sum(exp(x[r, :]))) of rows of n, exponents taken of x - max unless the largest is infinite. */
static void NAME(log_sum_exp)(const REAL *x, REAL *out, int64_t rows, int64_t n, int threads) {
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t r = 0; r < rows; r++) {
        const REAL *row = x + r * n, largest = NAME(row_max)(row, n), m = isfinite(largest) ? largest : 0;
        out[r] = (REAL)log(NAME(row_exp_sum)(row, m, 0, n)) + m;
    }
}

/* ---- multi-label margin --------------------------------------------------------------------------------------------------- */

/* losses[n] = the sum of max(0, 1 - x[n, t] + x[n, i]) / C over the targets t before the row's first negative one and the classes i that
   are not among them, slopes (N, C) its derivatives; scratch (N, 3, C). The scores of those classes lie side by side, filled up to whole
   vectors with ones that count for nothing. */
static void NAME(multilabel_margin)(const REAL *x, const int64_t *target, REAL *scratch, REAL *losses, REAL *slopes, int64_t N,
                                    int64_t C, int threads) {
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t n = 0; n < N; n++) {
        const REAL *row = x + n * C;
        const int64_t *t = target + n * C;
        REAL *others = scratch + n * 3 * C, *counts = others + C, *is_target = counts + C, *slope = slopes + n * C;
        int64_t m = 0, end = 0;
        double total = 0;
        for (int64_t i = 0; i < C; i++) slope[i] = is_target[i] = counts[i] = 0;
        for (; end < C && t[end] >= 0; end++) is_target[t[end]] = 1;
        for (int64_t i = 0; i < C; i++) {
            others[m] = row[i];
            m += is_target[i] == 0;
        }
        const int64_t filled = (m + LANES - 1) / LANES * LANES, whole = filled < C ? filled : C;
        for (int64_t i = m; i < whole; i++) others[i] = -(REAL)INFINITY;
        for (int64_t j = 0; j < end; j++) {
            const REAL rest = 1 - row[t[j]];
            REAL sum = 0, count = 0;
            _Pragma("omp simd reduction(+ : sum, count)")
            for (int64_t i = 0; i < whole; i++) {
                const REAL z = rest + others[i], one = z > 0 ? 1 : 0;
                sum += z > 0 ? z : 0;
                count += one;
                counts[i] += one;
            }
            total += sum;
            slope[t[j]] -= count;
        }
        losses[n] = (REAL)(total / (double)C);
        for (int64_t i = 0, other = 0; i < C; i++) slope[i] = (is_target[i] != 0 ? slope[i] : counts[other++]) / (REAL)C;
    }
}

/* losses[n] = weight[t] / C times the sum over i != t of max(0, margin - x[n, t] + x[n, i]), t = target[n]; slopes (N, C) its derivatives.
   weight (C) may be NULL. */
static void NAME(multi_margin)(const REAL *x, const int64_t *target, const REAL *weight, double margin, REAL *losses, REAL *slopes,
                               int64_t N, int64_t C, int threads) {
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t n = 0; n < N; n++) {
        const int64_t t = target[n];
        const REAL *row = x + n * C;
        REAL *slope = slopes + n * C;
        const REAL rest = (REAL)margin - row[t], share = (weight ? weight[t] : 1) / (REAL)C;
        REAL total = 0, others = 0;
        for (int side = 0; side < 2; side++) {                        /* before and after t */
            const int64_t start = side ? t + 1 : 0, end = side ? C : t;
            REAL sum = 0, count = 0;
            _Pragma("omp simd reduction(+ : sum, count)")
            for (int64_t i = start; i < end; i++) {
                const REAL z = rest + row[i], one = z > 0 ? 1 : 0; /* 0 beside a NaN, as in PyTorch */
                sum += z <= 0 ? 0 : z;
                count += one;
                slope[i] = share * one;
            }
            total += sum;
            others += count;
        }
        slope[t] = -share * others;
        losses[n] = share * total;
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

/* Losses of pairs (x, y), d = x - y, one term an element: name(x, y, delta, partial, n, threads) gives partial[b] = sum of the terms of the
   b-th LOSS_MEAN_SEGMENT elements, and name_gradient(x, y, delta, scale, out, n, threads) out = scale times the slope for x. */
#define LOSS_OF_PAIRS(name, term, slope)                                                                                \
    static void NAME(name)(const REAL *xs, const REAL *ys, double delta, double *partial, int64_t n, int threads) {     \
        const int64_t blocks = (n + LOSS_MEAN_SEGMENT - 1) / LOSS_MEAN_SEGMENT;                                         \
        const REAL limit = (REAL)delta;                                                                                 \
        (void)limit;                                                                                                    \
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")                              \
        for (int64_t b = 0; b < blocks; b++) {                                                                          \
            const int64_t end = (b + 1) * LOSS_MEAN_SEGMENT < n ? (b + 1) * LOSS_MEAN_SEGMENT : n;                      \
            REAL sum = 0;                                                                                               \
            _Pragma("omp simd reduction(+ : sum)")                                                                      \
            for (int64_t i = b * LOSS_MEAN_SEGMENT; i < end; i++) {                                                     \
                const REAL x = xs[i], y = ys[i], d = x - y;                                                             \
                (void)d;                                                                                                \
                sum += term;                                                                                            \
            }                                                                                                           \
            partial[b] = sum;                                                                                           \
        }                                                                                                               \
    }                                                                                                                   \
    static void NAME(name##_gradient)(const REAL *xs, const REAL *ys, double delta, double scale, REAL *out, int64_t n, \
                                      int threads) {                                                                    \
        const REAL limit = (REAL)delta, s = (REAL)scale;                                                                \
        (void)limit;                                                                                                    \
        _Pragma("omp parallel for simd num_threads(threads) if (parallel : threads > 1) schedule(static)")              \
        for (int64_t i = 0; i < n; i++) {                                                                               \
            const REAL x = xs[i], y = ys[i], d = x - y;                                                                 \
            (void)d;                                                                                                    \
            out[i] = s * (slope);                                                                                       \
        }                                                                                                               \
    }

MG_INLINE REAL NAME(loss_clamp)(REAL d, REAL limit) {
    const REAL low = d < -limit ? -limit : d;
    return low > limit ? limit : low;
}
MG_INLINE REAL NAME(loss_huber)(REAL d, REAL limit) {
    const REAL c = NAME(loss_clamp)(d, limit);
    return c * (d - (REAL)0.5 * c);
}

LOSS_OF_PAIRS(absolute_error, NAME(v_abs)(d), (REAL)(d > 0) - (REAL)(d < 0))
LOSS_OF_PAIRS(huber_error, NAME(loss_huber)(d, limit), NAME(loss_clamp)(d, limit))
/* -y log s(x) - (1 - y) log(1 - s(x)), s the sigmoid */
LOSS_OF_PAIRS(logit_error, ((1 - y) * x - (x > 0 ? 0 : x)) + NAME(v_log1p_exp)(NAME(v_abs)(x)), NAME(v_sigmoid)(x) - y)
#undef LOSS_OF_PAIRS
