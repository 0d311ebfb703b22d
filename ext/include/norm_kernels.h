/* Normalisation: batch_norm over (N, C, P), and row_norm (layer_norm, group_norm, instance_norm, rms_norm) over rows of K * P.
   Compiled through multiversion.h: see there for REAL, NAME, LANES, VECTOR.

   Statistics take two passes. The first gives a mean that may be off by rounding; the second sums d = x - pivot and d^2 about that
   mean as a pivot, so mean = pivot + sum(d) / n and n var = sum(d^2) - sum(d)^2 / n are right to the last bits even where the
   mean is 10^4 standard deviations (Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983: the corrected
   two-pass algorithm). Sums run in REAL over at most NORM_SEGMENT elements and in double from there on. Means are kept in
   double, and x - mean is formed as (x - (REAL)mean) - rest: the first difference is exact near the mean.

   Every channel (batch_norm) or row (row_norm) has one owner, so no reduction depends on how work is cut between threads, and a
   channel or a row stays in cache from the first pass to the last. */

#ifndef NORM_SEGMENT
#define NORM_SEGMENT 4096       /* elements: 16 KB of float, half of a small L1; an accumulator lane adds at most 4096 / (4 LANES) values */
#define NORM_COLUMNS 64         /* columns that one owner walks down together where planes are small: one to four cache lines a row */
#define NORM_SMALL_PLANE 16     /* planes below this many elements are walked as columns: shorter ones do not fill vectors */
#define NORM_ROWS 32            /* rows whose parameter gradients are summed in REAL before double takes over */
#endif

/* The sum of a vector's lanes, by halves. The masks are written out: GCC 12 does not fold computed ones (twice the time for short rows). */
MG_INLINE REAL NAME(norm_lanes)(VECTOR a) {
#if LANES == 16
    a += __builtin_shuffle(a, (IVECTOR){8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7});
    a += __builtin_shuffle(a, (IVECTOR){4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3});
    a += __builtin_shuffle(a, (IVECTOR){2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1});
    return a[0] + a[1];
#elif LANES == 8
    a += __builtin_shuffle(a, (IVECTOR){4, 5, 6, 7, 0, 1, 2, 3});
    a += __builtin_shuffle(a, (IVECTOR){2, 3, 0, 1, 2, 3, 0, 1});
    return a[0] + a[1];
#elif LANES == 4
    return (a[0] + a[2]) + (a[1] + a[3]);
#else
    return a[0] + a[1];
#endif
}

/* The sum of n = planes * size values: planes of `size` neighbours, `stride` apart. */
static double NAME(norm_sum)(const REAL *x, int64_t planes, int64_t stride, int64_t size) {
    double total = 0;
    VECTOR a = {0}, b = {0}, c = {0}, d = {0};
    int64_t pending = 0;
    for (int64_t p = 0; p < planes; p++) {
        const REAL *plane = x + p * stride;
        for (int64_t start = 0; start < size; start += NORM_SEGMENT) {
            const int64_t end = start + NORM_SEGMENT < size ? start + NORM_SEGMENT : size;
            int64_t i = start;
            for (; i + 4 * LANES <= end; i += 4 * LANES) {
                a += *(const VECTOR *)(plane + i);
                b += *(const VECTOR *)(plane + i + LANES);
                c += *(const VECTOR *)(plane + i + 2 * LANES);
                d += *(const VECTOR *)(plane + i + 3 * LANES);
            }
            for (; i + LANES <= end; i += LANES) a += *(const VECTOR *)(plane + i);
            for (; i < end; i++) total += plane[i];
            pending += end - start;
            if (pending >= NORM_SEGMENT) {
                total += NAME(norm_lanes)((a + b) + (c + d));
                a = b = c = d = (VECTOR){0};
                pending = 0;
            }
        }
    }
    return total + NAME(norm_lanes)((a + b) + (c + d));
}

/* sums[0] = sum of u, sums[1] = sum of u (x - pivot), where u is g, or g w, or (without g) x - pivot itself. w runs along a plane. */
MG_INLINE void NAME(norm_two_sums)(const REAL *g, const REAL *w, const REAL *x, REAL pivot, int64_t planes, int64_t stride,
                                   int64_t size, double sums[2]) {
    double first = 0, second = 0;
    VECTOR a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0};
    int64_t pending = 0;
    for (int64_t p = 0; p < planes; p++) {
        const REAL *xp = x + p * stride, *gp = g ? g + p * stride : 0;
        for (int64_t start = 0; start < size; start += NORM_SEGMENT) {
            const int64_t end = start + NORM_SEGMENT < size ? start + NORM_SEGMENT : size;
            int64_t i = start;
            for (; i + 2 * LANES <= end; i += 2 * LANES) {
                const VECTOR d0 = *(const VECTOR *)(xp + i) - pivot, d1 = *(const VECTOR *)(xp + i + LANES) - pivot;
                VECTOR u0 = d0, u1 = d1;
                if (g) { u0 = *(const VECTOR *)(gp + i); u1 = *(const VECTOR *)(gp + i + LANES); }
                if (w) { u0 *= *(const VECTOR *)(w + i); u1 *= *(const VECTOR *)(w + i + LANES); }
                a0 += u0; a1 += u1;
                b0 += u0 * d0; b1 += u1 * d1;
            }
            for (; i + LANES <= end; i += LANES) {
                const VECTOR d0 = *(const VECTOR *)(xp + i) - pivot;
                VECTOR u0 = d0;
                if (g) u0 = *(const VECTOR *)(gp + i);
                if (w) u0 *= *(const VECTOR *)(w + i);
                a0 += u0;
                b0 += u0 * d0;
            }
            for (; i < end; i++) {
                const REAL d = xp[i] - pivot;
                REAL u = g ? gp[i] : d;
                if (w) u *= w[i];
                first += u;
                second += u * d;
            }
            pending += end - start;
            if (pending >= NORM_SEGMENT) {
                first += NAME(norm_lanes)(a0 + a1);
                second += NAME(norm_lanes)(b0 + b1);
                a0 = a1 = b0 = b1 = (VECTOR){0};
                pending = 0;
            }
        }
    }
    sums[0] = first + NAME(norm_lanes)(a0 + a1);
    sums[1] = second + NAME(norm_lanes)(b0 + b1);
}

static void NAME(norm_moments)(const REAL *x, REAL pivot, int64_t planes, int64_t stride, int64_t size, double sums[2]) {
    NAME(norm_two_sums)(0, 0, x, pivot, planes, stride, size, sums);
}

static void NAME(norm_products)(const REAL *g, const REAL *x, REAL pivot, int64_t planes, int64_t stride, int64_t size,
                                double sums[2]) {
    NAME(norm_two_sums)(g, 0, x, pivot, planes, stride, size, sums);
}

static void NAME(norm_weighted_products)(const REAL *g, const REAL *w, const REAL *x, REAL pivot, int64_t size, double sums[2]) {
    NAME(norm_two_sums)(g, w, x, pivot, 1, 0, size, sums);
}

/* mean and biased variance of n values from the sums of d = x - pivot and of d^2. NaN stays NaN. */
MG_INLINE void NAME(norm_finish)(double d, double d2, double n, REAL pivot, double *mean, double *var) {
    const double v = (d2 - d * (d / n)) / n;
    *mean = pivot + d / n;
    *var = v < 0 ? 0 : v;
}

/* out = (x - pivot) * scale + shift */
MG_INLINE void NAME(norm_affine)(const REAL *x, REAL pivot, REAL scale, REAL shift, REAL *out, int64_t n) {
    _Pragma("omp simd")
    for (int64_t i = 0; i < n; i++) out[i] = (x[i] - pivot) * scale + shift;
}

/* ---- batch_norm ---------------------------------------------------------------------------------------------------------- */

/* out = (x - mean) / sqrt(var + eps) * weight + bias on N planes of P elements, `stride` apart. */
static void NAME(batch_norm_planes)(const REAL *x, double weight, double bias, double mean, double var, double eps, REAL *out,
                                    int64_t N, int64_t stride, int64_t P) {
    const double scale = weight / sqrt(var + eps);
    const REAL pivot = (REAL)mean, shift = (REAL)(bias - (mean - pivot) * scale);
    for (int64_t i = 0; i < N; i++) NAME(norm_affine)(x + i * stride, pivot, (REAL)scale, shift, out + i * stride, P);
}

/* first[j] = sum over the N rows of u, second[j] = sum of u (x - pivot[j]); u = g, or x - pivot[j] without g. */
MG_INLINE void NAME(norm_column_sums)(const REAL *g, const REAL *x, const REAL *pivot, int64_t N, int64_t stride, int64_t columns,
                                      double *first, double *second) {
    for (int64_t j = 0; j < columns; j++) first[j] = second[j] = 0;
    for (int64_t start = 0; start < N; start += 256) {
        const int64_t end = start + 256 < N ? start + 256 : N;
        REAL a[NORM_COLUMNS] = {0}, b[NORM_COLUMNS] = {0};
        for (int64_t i = start; i < end; i++) {
            const REAL *row = x + i * stride;
            if (g) {
                const REAL *g_row = g + i * stride;
                _Pragma("omp simd")
                for (int64_t j = 0; j < columns; j++) { a[j] += g_row[j]; b[j] += g_row[j] * (row[j] - pivot[j]); }
            } else {
                _Pragma("omp simd")
                for (int64_t j = 0; j < columns; j++) { const REAL d = row[j] - pivot[j]; a[j] += d; b[j] += d * d; }
            }
        }
        for (int64_t j = 0; j < columns; j++) { first[j] += a[j]; second[j] += b[j]; }
    }
}

/* `channels` neighbouring channels with small planes, channels * P <= NORM_COLUMNS: each of their elements is a column down N rows. */
static void NAME(batch_norm_columns)(const REAL *x, const REAL *weight, const REAL *bias, double eps, int training, REAL *out,
                                     double *mean, double *var, int64_t N, int64_t stride, int64_t channels, int64_t P) {
    const int64_t columns = channels * P;
    const double n = (double)(N * P);
    REAL pivot[NORM_COLUMNS] = {0}, scale[NORM_COLUMNS], shift[NORM_COLUMNS];
    double first[NORM_COLUMNS], second[NORM_COLUMNS];
    if (training) {
        NAME(norm_column_sums)(0, x, pivot, N, stride, columns, first, second);
        for (int64_t c = 0; c < channels; c++) {
            double total = 0;
            for (int64_t j = c * P; j < c * P + P; j++) total += first[j];
            for (int64_t j = c * P; j < c * P + P; j++) pivot[j] = (REAL)(total / n);
        }
        NAME(norm_column_sums)(0, x, pivot, N, stride, columns, first, second);
        for (int64_t c = 0; c < channels; c++) {
            double d = 0, d2 = 0;
            for (int64_t j = c * P; j < c * P + P; j++) { d += first[j]; d2 += second[j]; }
            NAME(norm_finish)(d, d2, n, pivot[c * P], mean + c, var + c);
        }
    }
    for (int64_t c = 0; c < channels; c++) {
        const double s = (weight ? weight[c] : 1) / sqrt(var[c] + eps);
        const REAL m = (REAL)mean[c], t = (REAL)((bias ? bias[c] : 0) - (mean[c] - m) * s);
        for (int64_t j = c * P; j < c * P + P; j++) { pivot[j] = m; scale[j] = (REAL)s; shift[j] = t; }
    }
    for (int64_t i = 0; i < N; i++) {
        const REAL *row = x + i * stride;
        REAL *o = out + i * stride;
        _Pragma("omp simd")
        for (int64_t j = 0; j < columns; j++) o[j] = (row[j] - pivot[j]) * scale[j] + shift[j];
    }
}

/* x, out (N, C, P); weight, bias (C) or NULL. training: mean and biased var (C) are computed and written; otherwise read. N P > 0. */
static void NAME(batch_norm_forward)(const REAL *x, const REAL *weight, const REAL *bias, double eps, int training, REAL *out,
                                     double *mean, double *var, int64_t N, int64_t C, int64_t P, int threads) {
    if (P < NORM_SMALL_PLANE) {
        const int64_t group = NORM_COLUMNS / P, blocks = (C + group - 1) / group;
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t c = b * group, channels = c + group < C ? group : C - c;
            NAME(batch_norm_columns)(x + c * P, weight ? weight + c : 0, bias ? bias + c : 0, eps, training, out + c * P, mean + c,
                                     var + c, N, C * P, channels, P);
        }
        return;
    }
    if (!training) {
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
        for (int64_t plane = 0; plane < N * C; plane++) {
            const int64_t c = plane % C;
            NAME(batch_norm_planes)(x + plane * P, weight ? weight[c] : 1, bias ? bias[c] : 0, mean[c], var[c], eps, out + plane * P,
                                    1, P, P);
        }
        return;
    }
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t c = 0; c < C; c++) {
        const REAL pivot = (REAL)(NAME(norm_sum)(x + c * P, N, C * P, P) / (double)(N * P));
        double sums[2];
        NAME(norm_moments)(x + c * P, pivot, N, C * P, P, sums);
        NAME(norm_finish)(sums[0], sums[1], (double)(N * P), pivot, mean + c, var + c);
        NAME(batch_norm_planes)(x + c * P, weight ? weight[c] : 1, bias ? bias[c] : 0, mean[c], var[c], eps, out + c * P, N, C * P, P);
    }
}

/* With xh = (x - mean) rstd:  gb = sum g,  gw = sum g xh,  gx = weight rstd (g - gb / n - xh gw / n), or, where the statistics do
   not depend on x (training = 0), gx = weight rstd g. The three coefficients of gx = k g + k2 (x - pivot) + k3: */
MG_INLINE void NAME(batch_norm_coefficients)(double sum_g, double sum_gx, double weight, double mean, double var, double eps,
                                             int training, double n, REAL *gw, REAL *gb, REAL k[3]) {
    const REAL pivot = (REAL)mean;
    const double rest = mean - pivot, rstd = 1 / sqrt(var + eps), dot = sum_gx - rest * sum_g;
    const double k2 = training ? -weight * rstd * rstd * rstd * dot / n : 0;
    *gb = (REAL)sum_g;
    *gw = (REAL)(dot * rstd);
    k[0] = (REAL)(weight * rstd);
    k[1] = (REAL)k2;
    k[2] = training ? (REAL)(-weight * rstd * sum_g / n - k2 * rest) : 0;
}

static void NAME(batch_norm_columns_backward)(const REAL *g, const REAL *x, const REAL *weight, const double *mean,
                                              const double *var, double eps, int training, REAL *gx, REAL *gw, REAL *gb, int64_t N,
                                              int64_t stride, int64_t channels, int64_t P) {
    const int64_t columns = channels * P;
    REAL pivot[NORM_COLUMNS], k1[NORM_COLUMNS], k2[NORM_COLUMNS], k3[NORM_COLUMNS];
    double first[NORM_COLUMNS], second[NORM_COLUMNS];
    for (int64_t j = 0; j < columns; j++) pivot[j] = (REAL)mean[j / P];
    NAME(norm_column_sums)(g, x, pivot, N, stride, columns, first, second);
    for (int64_t c = 0; c < channels; c++) {
        double a = 0, b = 0;
        REAL k[3];
        for (int64_t j = c * P; j < c * P + P; j++) { a += first[j]; b += second[j]; }
        NAME(batch_norm_coefficients)(a, b, weight ? weight[c] : 1, mean[c], var[c], eps, training, (double)(N * P), gw + c, gb + c, k);
        for (int64_t j = c * P; j < c * P + P; j++) { k1[j] = k[0]; k2[j] = k[1]; k3[j] = k[2]; }
    }
    if (!gx) return;
    for (int64_t i = 0; i < N; i++) {
        const REAL *row = x + i * stride, *g_row = g + i * stride;
        REAL *o = gx + i * stride;
        if (training) {
            _Pragma("omp simd")
            for (int64_t j = 0; j < columns; j++) o[j] = k1[j] * g_row[j] + (k2[j] * (row[j] - pivot[j]) + k3[j]);
        } else {
            _Pragma("omp simd")
            for (int64_t j = 0; j < columns; j++) o[j] = k1[j] * g_row[j];
        }
    }
}

/* g, x, gx (N, C, P), gx may be NULL; weight (C) or NULL; gw, gb (C). */
static void NAME(batch_norm_backward)(const REAL *g, const REAL *x, const REAL *weight, const double *mean, const double *var,
                                      double eps, int training, REAL *gx, REAL *gw, REAL *gb, int64_t N, int64_t C, int64_t P,
                                      int threads) {
    if (P < NORM_SMALL_PLANE) {
        const int64_t group = NORM_COLUMNS / P, blocks = (C + group - 1) / group;
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t c = b * group, channels = c + group < C ? group : C - c;
            NAME(batch_norm_columns_backward)(g + c * P, x + c * P, weight ? weight + c : 0, mean + c, var + c, eps, training,
                                              gx ? gx + c * P : 0, gw + c, gb + c, N, C * P, channels, P);
        }
        return;
    }
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t c = 0; c < C; c++) {
        const REAL pivot = (REAL)mean[c];
        double sums[2];
        REAL k[3];
        NAME(norm_products)(g + c * P, x + c * P, pivot, N, C * P, P, sums);
        NAME(batch_norm_coefficients)(sums[0], sums[1], weight ? weight[c] : 1, mean[c], var[c], eps, training, (double)(N * P),
                                      gw + c, gb + c, k);
        if (!gx) continue;
        const REAL k1 = k[0], k2 = k[1], k3 = k[2];
        for (int64_t i = 0; i < N; i++) {
            const REAL *xp = x + (i * C + c) * P, *gp = g + (i * C + c) * P;
            REAL *o = gx + (i * C + c) * P;
            if (training) {
                _Pragma("omp simd")
                for (int64_t j = 0; j < P; j++) o[j] = k1 * gp[j] + (k2 * (xp[j] - pivot) + k3);
            } else {
                _Pragma("omp simd")
                for (int64_t j = 0; j < P; j++) o[j] = k1 * gp[j];
            }
        }
    }
}

/* ---- row_norm ------------------------------------------------------------------------------------------------------------ */

/* x, out (R, K P): R = N G rows of K channels with P elements each; weight, bias (G K) or NULL, row r uses those from (r % G) K on.
   mean, var (R) are written. centered = 0 (rms_norm): the mean is taken as 0, var is the mean square. */
static void NAME(row_norm_forward)(const REAL *x, const REAL *weight, const REAL *bias, double eps, int centered, REAL *out,
                                   double *mean, double *var, int64_t R, int64_t G, int64_t K, int64_t P, int threads) {
    const int64_t n = K * P;
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t r = 0; r < R; r++) {
        const REAL *row = x + r * n, *w = weight ? weight + r % G * K : 0, *b = bias ? bias + r % G * K : 0;
        REAL *o = out + r * n;
        double sums[2];
        const REAL about = centered ? (REAL)(NAME(norm_sum)(row, 1, 0, n) / (double)n) : 0;
        NAME(norm_moments)(row, about, 1, 0, n, sums);
        if (centered) {
            NAME(norm_finish)(sums[0], sums[1], (double)n, about, mean + r, var + r);
        } else {
            mean[r] = 0;
            var[r] = sums[1] / (double)n;
        }
        const double rstd = 1 / sqrt(var[r] + eps);
        const REAL pivot = (REAL)mean[r], scale = (REAL)rstd, shift = (REAL)(-(mean[r] - pivot) * rstd);
        if (!w && !b) {
            NAME(norm_affine)(row, pivot, scale, shift, o, n);
        } else if (P == 1 && w && b) {
            _Pragma("omp simd")
            for (int64_t i = 0; i < n; i++) o[i] = ((row[i] - pivot) * scale + shift) * w[i] + b[i];
        } else if (P == 1 && w) {
            _Pragma("omp simd")
            for (int64_t i = 0; i < n; i++) o[i] = ((row[i] - pivot) * scale + shift) * w[i];
        } else {
            for (int64_t k = 0; k < K; k++) {
                const double s = rstd * (w ? w[k] : 1), t = (b ? b[k] : 0) - (mean[r] - pivot) * s;
                NAME(norm_affine)(row + k * P, pivot, (REAL)s, (REAL)t, o + k * P, P);
            }
        }
    }
}

/* One row of row_norm_backward. gw, gb (K): the owner's partial sums, added to; NULL if the parameters' gradients are not wanted. */
static void NAME(row_norm_backward_row)(const REAL *g, const REAL *x, const REAL *w, double mean, double var, double eps,
                                        int centered, REAL *gx, REAL *gw, REAL *gb, int64_t K, int64_t P) {
    const int64_t n = K * P;
    const REAL pivot = (REAL)mean;
    const double rstd = 1 / sqrt(var + eps), rest = mean - pivot;
    double S = 0, T = 0;                                              /* the sums of w g and of w g (x - mean) */
    if (P == 1 || (!w && !gw)) {
        double sums[2];
        if (w) NAME(norm_weighted_products)(g, w, x, pivot, n, sums);
        else NAME(norm_products)(g, x, pivot, 1, 0, n, sums);
        S = sums[0];
        T = sums[1] - rest * S;
    } else {
        for (int64_t k = 0; k < K; k++) {
            double sums[2];
            NAME(norm_products)(g + k * P, x + k * P, pivot, 1, 0, P, sums);
            const double t = sums[1] - rest * sums[0], weight = w ? w[k] : 1;
            S += weight * sums[0];
            T += weight * t;
            if (gw) { gw[k] += (REAL)(t * rstd); gb[k] += (REAL)sums[0]; }
        }
    }
    /* gx = k1 w g + k2 (x - pivot) + k3 */
    const double c2 = -rstd * rstd * rstd * T / (double)n, c3 = centered ? -rstd * S / (double)n - c2 * rest : 0;
    const REAL k1 = (REAL)rstd, k2 = (REAL)c2, k3 = (REAL)c3, shift = (REAL)(-rest * rstd);
    if (P == 1 && gw) {
        if (gx && w) {
            _Pragma("omp simd")
            for (int64_t i = 0; i < n; i++) {
                const REAL d = x[i] - pivot, gi = g[i];
                gw[i] += gi * (d * k1 + shift);
                gb[i] += gi;
                gx[i] = k1 * (w[i] * gi) + (k2 * d + k3);
            }
            return;
        }
        _Pragma("omp simd")
        for (int64_t i = 0; i < n; i++) { gw[i] += g[i] * ((x[i] - pivot) * k1 + shift); gb[i] += g[i]; }
    }
    if (!gx) return;
    if (P == 1 && w) {
        _Pragma("omp simd")
        for (int64_t i = 0; i < n; i++) gx[i] = k1 * (w[i] * g[i]) + (k2 * (x[i] - pivot) + k3);
    } else if (!w) {
        _Pragma("omp simd")
        for (int64_t i = 0; i < n; i++) gx[i] = k1 * g[i] + (k2 * (x[i] - pivot) + k3);
    } else {
        for (int64_t k = 0; k < K; k++) {
            const REAL *gp = g + k * P, *xp = x + k * P, kw = (REAL)(rstd * w[k]);
            REAL *o = gx + k * P;
            _Pragma("omp simd")
            for (int64_t i = 0; i < P; i++) o[i] = kw * gp[i] + (k2 * (xp[i] - pivot) + k3);
        }
    }
}

/* g, x, gx (R, K P), gx may be NULL; weight (G K) or NULL; mean, var (R). partial (blocks, 2, G K), blocks = ceil(R / NORM_ROWS), zeroed:
   the sums of g xh and of g over the rows of each block, or NULL. gw, gb (G K): their sums over the blocks, in order. */
static void NAME(row_norm_backward)(const REAL *g, const REAL *x, const REAL *weight, const double *mean, const double *var,
                                    double eps, int centered, REAL *gx, REAL *gw, REAL *gb, REAL *partial, int64_t R, int64_t G,
                                    int64_t K, int64_t P, int threads) {
    const int64_t n = K * P, C = G * K, blocks = (R + NORM_ROWS - 1) / NORM_ROWS;
    _Pragma("omp parallel num_threads(threads) if (threads > 1)")
    {
        _Pragma("omp for schedule(static)")
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t end = (b + 1) * NORM_ROWS < R ? (b + 1) * NORM_ROWS : R;
            for (int64_t r = b * NORM_ROWS; r < end; r++) {
                const int64_t c = r % G * K;
                NAME(row_norm_backward_row)(g + r * n, x + r * n, weight ? weight + c : 0, mean[r], var[r], eps, centered,
                                            gx ? gx + r * n : 0, partial ? partial + b * 2 * C + c : 0,
                                            partial ? partial + b * 2 * C + C + c : 0, K, P);
            }
        }
        if (partial) {
            _Pragma("omp for schedule(static)")
            for (int64_t start = 0; start < 2 * C; start += NORM_COLUMNS) {
                const int64_t columns = start + NORM_COLUMNS < 2 * C ? NORM_COLUMNS : 2 * C - start;
                double total[NORM_COLUMNS] = {0};
                for (int64_t b = 0; b < blocks; b++)
                    for (int64_t j = 0; j < columns; j++) total[j] += partial[b * 2 * C + start + j];
                for (int64_t j = start; j < start + columns; j++) *(j < C ? gw + j : gb + j - C) = (REAL)total[j - start];
            }
        }
    }
}
