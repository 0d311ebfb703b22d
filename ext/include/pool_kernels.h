/* Pooling over the last three axes of (planes, D, H, W). Compiled through multiversion.h: see there for REAL, NAME and VECTOR;
   pool.h holds pool_axis. Lower-dimensional pooling has leading axes of size 1, windows of one element and stride 1.

   Max pooling walks the taps of a window in row-major order and replaces the maximum by a greater element or a NaN, as PyTorch
   does: the first of equal maxima wins, and the last NaN. A vector holds LANES outputs of one row. */

#include <math.h>
#include <string.h>

#if LANES == 16
#define POOL_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define POOL_ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define POOL_LANES 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define POOL_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define POOL_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define POOL_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define POOL_ODD 1, 3, 5, 7, 9, 11, 13, 15
#define POOL_LANES 0, 1, 2, 3, 4, 5, 6, 7
#define POOL_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define POOL_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#elif LANES == 4
#define POOL_EVEN 0, 2, 4, 6
#define POOL_ODD 1, 3, 5, 7
#define POOL_LANES 0, 1, 2, 3
#define POOL_LOW 0, 4, 1, 5
#define POOL_HIGH 2, 6, 3, 7
#else
#define POOL_EVEN 0, 2
#define POOL_ODD 1, 3
#define POOL_LANES 0, 1
#define POOL_LOW 0, 2
#define POOL_HIGH 1, 3
#endif

#define POOL_LOAD(p) (*(const VECTOR *)(p))
#define POOL_STORE(p, v) (*(VECTOR *)(p) = (v))
#define POOL_SPREAD(a) ((a) - (VECTOR){0})
#define POOL_SELECT(mask, a, b) ((VECTOR)(((mask) & (IVECTOR)(a)) | (~(mask) & (IVECTOR)(b))))
#define POOL_ROUND_UP(n) (((n) + LANES - 1) / LANES * LANES)

/* LANES int32 from p on, in the width of REAL. */
MG_INLINE IVECTOR NAME(pool_load_index)(const int32_t *p) {
#if REAL_IS_FLOAT
    return *(const IVECTOR *)p;
#else
    IVECTOR k = {0};
    for (int l = 0; l < LANES; l++) k[l] = p[l];
    return k;
#endif
}

/* LANES elements p[0], p[s], p[2 s], ... For s == 2 the 2 LANES elements from p on are read, all of which must exist. */
MG_INLINE VECTOR NAME(pool_load)(const REAL *p, int64_t s) {
    if (s == 1) return POOL_LOAD(p);
    if (s == 2) return __builtin_shuffle(POOL_LOAD(p), POOL_LOAD(p + LANES), (IVECTOR){POOL_EVEN});
    VECTOR v;
    for (int l = 0; l < LANES; l++) v[l] = p[l * s];
    return v;
}

/* One candidate (v, index) in every lane against the maximum so far (m, k). */
MG_INLINE void NAME(max_step)(VECTOR v, IVECTOR index, VECTOR *m, IVECTOR *k) {
    const IVECTOR replace = (v > *m) | (v != v);
    *m = POOL_SELECT(replace, v, *m);
    *k = (replace & index) | (~replace & *k);
}

/* The maximum (m, k) of one large window of a plane x, a row of the window in one or more vectors: each lane walks its share in
   order, so that the lanes together know the first of equal maxima and the last NaN. */
static void NAME(max_large_window)(const REAL *x, const REAL *x_end, const pool_axis *axes, int64_t od, int64_t oh,
                                   int64_t ow, REAL *m, int64_t *k) {
    const pool_axis *ad = &axes[0], *ah = &axes[1], *aw = &axes[2];
    const int64_t width = aw->stop[ow] - aw->start[ow];
    const IVECTOR lanes = {POOL_LANES}, inside = lanes < (MG_INT)pool_min(width, LANES);
    VECTOR vm = POOL_SPREAD(-(REAL)INFINITY);
    IVECTOR vk = (IVECTOR){0} + (MG_INT)*k;
    for (int64_t d = ad->start[od]; d < ad->stop[od]; d += ad->dilation)
        for (int64_t h = ah->start[oh]; h < ah->stop[oh]; h += ah->dilation) {
            const int64_t row = (d * ah->size + h) * aw->size, end = row + aw->stop[ow];
            int64_t w = row + aw->start[ow];
            if (width < LANES) { /* the lanes behind the window are -inf, which never replaces anything */
                VECTOR v = POOL_SPREAD(-(REAL)INFINITY);
                if (x_end - (x + w) >= LANES)
                    v = POOL_SELECT(inside, POOL_LOAD(x + w), v);
                else
                    for (int64_t i = 0; i < width; i++) v[i] = x[w + i];
                NAME(max_step)(v, lanes + (MG_INT)w, &vm, &vk);
                continue;
            }
            for (; w + LANES <= end; w += LANES) NAME(max_step)(POOL_LOAD(x + w), lanes + (MG_INT)w, &vm, &vk);
            /* the last LANES of the row: lanes see some elements again, or what another lane has seen, which changes nothing */
            if (w < end) NAME(max_step)(POOL_LOAD(x + end - LANES), lanes + (MG_INT)(end - LANES), &vm, &vk);
        }
    *m = vm[0];
    *k = vk[0];
    for (int l = 1; l < LANES; l++) {
        const int better = vm[l] != vm[l] ? *m == *m || vk[l] > *k : vm[l] > *m || (vm[l] == *m && vk[l] < *k);
        if (better) { *m = vm[l]; *k = vk[l]; }
    }
}

/* One row of outputs (od, oh) of a plane x, window by window: for few large windows. */
static void NAME(max_row_windows)(const REAL *x, const REAL *x_end, const pool_axis *axes, int64_t od, int64_t oh, REAL *y,
                                  int32_t *index) {
    for (int64_t ow = 0; ow < axes[2].out; ow++) {
        REAL m;
        int64_t k = (axes[0].start[od] * axes[1].size + axes[1].start[oh]) * axes[2].size + axes[2].start[ow];
        NAME(max_large_window)(x, x_end, axes, od, oh, ow, &m, &k);
        y[ow] = m;
        index[ow] = (int32_t)k;
    }
}

/* The maximum of each of LANES columns of a plane over planes x rows elements, and its flat index; `at` is that of the first
   column's first element, apart and step lie between neighbouring planes' and rows'. Only a part of the last vector may be
   readable: so many lanes. */
MG_INLINE void NAME(max_of_columns)(const REAL *x, int64_t at, int64_t planes, int64_t apart, int64_t rows, int64_t step,
                                    int64_t part, VECTOR *m, IVECTOR *k) {
    *k = (IVECTOR){POOL_LANES} + (MG_INT)at;
    *m = POOL_SPREAD(-(REAL)INFINITY);
    for (int64_t d = 0; d < planes; d++) {
        const REAL *p = x + at + d * apart;
        IVECTOR index = (IVECTOR){POOL_LANES} + (MG_INT)(at + d * apart);
#pragma GCC unroll 3
        for (int64_t r = 0; r < rows; r++, p += step, index += (MG_INT)step) {
            VECTOR v = *m;
            if (part == LANES) v = POOL_LOAD(p);
            else memcpy(&v, p, part * sizeof(REAL));
            NAME(max_step)(v, index, m, k);
        }
    }
}

/* The maximum of each of the columns from .. to - 1 of a plane x over the rows of the windows (od, oh), and its flat index.
   Whole vectors are written. */
static void NAME(max_columns)(const REAL *x, const REAL *x_end, const pool_axis *axes, int64_t od, int64_t oh, int64_t from,
                              int64_t to, REAL *best, MG_INT *where) {
    const pool_axis *ad = &axes[0], *ah = &axes[1];
    const int64_t W = axes[2].size, planes = pool_taps(ad, od), rows = pool_taps(ah, oh);
    const int64_t apart = ad->dilation * ah->size * W, step = ah->dilation * W;
    const int64_t first = (ad->start[od] * ah->size + ah->start[oh]) * W;
    const int64_t readable = x_end - (x + first + (planes - 1) * apart + (rows - 1) * step); /* elements of the last row on */
    VECTOR m;
    IVECTOR k;
    for (int64_t w = from; w < to; w += LANES) {
        const int64_t at = first + w;
        if (w + LANES > readable) NAME(max_of_columns)(x, at, planes, apart, rows, step, to - w, &m, &k);
        else if (planes == 1 && rows == 3) NAME(max_of_columns)(x, at, 1, apart, 3, step, LANES, &m, &k);
        else NAME(max_of_columns)(x, at, planes, apart, rows, step, LANES, &m, &k);
        POOL_STORE(best + w - from, m);
        *(IVECTOR *)(where + w - from) = k;
    }
}

/* The maximum (y, index) of n windows whose columns are best and where. first: the elements of each window. */
static void NAME(join_columns_apart)(const REAL *best, const MG_INT *where, int64_t n, int64_t dilation, const int32_t *start,
                                     const int32_t *stop, REAL *y, int32_t *index) {
    for (int64_t o = 0; o < n; o++) {
        int64_t held = start[o];
        for (int64_t w = held + dilation; w < stop[o]; w += dilation) { /* a branch would be guessed wrong */
            const REAL v = best[w], m = best[held];
            const int later = where[w] > where[held];
            const int better = (v > m) | ((v == m) & !later) | ((v != v) & ((m == m) | later));
            held += (w - held) & -(int64_t)better;
        }
        y[o] = best[held];
        index[o] = (int32_t)where[held];
    }
}

/* The same for windows that move by s, 1 or 2, and begin with best[0]: a vector of them at once. Where one_row is set column
   c of best has the index first + c. What a vector writes past the end of the row the next row overwrites; it never reaches
   y_end, the end of the thread's block. */
MG_INLINE void NAME(join_columns)(const REAL *best, const MG_INT *where, int one_row, int64_t first, int64_t n, int64_t kernel,
                                  int64_t dilation, int64_t s, REAL *y, const REAL *y_end, int32_t *index) {
    const IVECTOR lanes = (IVECTOR){POOL_LANES} * (MG_INT)s + (MG_INT)first;
    for (int64_t c = 0; c < n; c += LANES) {
        VECTOR m = NAME(pool_load)(best + c * s, s);
        IVECTOR k = lanes + (MG_INT)(c * s);
        if (!one_row) k = (IVECTOR)NAME(pool_load)((const REAL *)(where + c * s), s);
#pragma GCC unroll 3
        for (int64_t j = dilation; j < kernel * dilation; j += dilation) {
            const VECTOR v = NAME(pool_load)(best + c * s + j, s);
            if (one_row) { NAME(max_step)(v, lanes + (MG_INT)(c * s + j), &m, &k); continue; }
            const IVECTOR at = (IVECTOR)NAME(pool_load)((const REAL *)(where + c * s + j), s), later = at > k;
            const IVECTOR replace = (v > m) | ((v == m) & ~later) | ((v != v) & ((m == m) | later));
            m = POOL_SELECT(replace, v, m);
            k = (replace & at) | (~replace & k);
        }
        if (y_end - (y + c) >= LANES) {
            POOL_STORE(y + c, m);
            for (int l = 0; l < LANES; l++) index[c + l] = (int32_t)k[l];
        } else
            for (int l = 0; l < n - c; l++) { y[c + l] = m[l]; index[c + l] = (int32_t)k[l]; }
    }
}

/* join_columns with the common shapes as compile-time constants. */
MG_INLINE void NAME(join_columns_any)(const REAL *best, const MG_INT *where, int one_row, int64_t first, int64_t n,
                                      const pool_axis *axis, REAL *y, const REAL *y_end, int32_t *index) {
    if (axis->stride == 1)
        NAME(join_columns)(best, where, one_row, first, n, axis->kernel, axis->dilation, 1, y, y_end, index);
    else if (axis->kernel == 3 && axis->dilation == 1)
        NAME(join_columns)(best, where, one_row, first, n, 3, 1, 2, y, y_end, index);
    else
        NAME(join_columns)(best, where, one_row, first, n, axis->kernel, axis->dilation, 2, y, y_end, index);
}

/* One row of outputs (od, oh) of a plane x: first the maximum of each column over the rows of the windows, in vectors, then
   of the columns of each window: of equal ones that with the lower index, of NaNs that with the higher. Columns in the
   padding are -inf, with an index that is the higher one. */
static void NAME(max_row_columns)(const REAL *x, const REAL *x_end, const pool_axis *axes, int64_t od, int64_t oh, REAL *y,
                                  const REAL *y_end, int32_t *index, REAL *scratch) {
    const pool_axis *aw = &axes[2];
    const int64_t s = aw->stride, first = (axes[0].start[od] * axes[1].size + axes[1].start[oh]) * aw->size;
    const int one_row = pool_taps(&axes[0], od) * pool_taps(&axes[1], oh) == 1;
    REAL *best = scratch;
    MG_INT *where = (MG_INT *)(scratch + pool_reach(aw));
    for (int64_t c0 = 0; c0 < aw->out; c0 += POOL_COLUMNS) {
        const int64_t n = pool_min(POOL_COLUMNS, aw->out - c0);
        const int64_t left = s ? c0 * s - aw->padding : aw->start[c0];
        const int64_t from = pool_max(left, 0), to = aw->stop[c0 + n - 1];
        if (s != 1 && s != 2) {
            NAME(max_columns)(x, x_end, axes, od, oh, from, to, best, where);
            NAME(join_columns_apart)(best - from, where - from, n, aw->dilation, aw->start + c0, aw->stop + c0, y + c0,
                                     index + c0);
            continue;
        }
        const int64_t end = left + (n - 1) * s + (aw->kernel - 1) * aw->dilation + 1, read = left + pool_reach(aw);
        if (one_row && left >= 0 && end <= aw->size && x_end - (x + first + read) >= 0) {
            NAME(join_columns_any)(x + first + left, NULL, 1, first + left, n, aw, y + c0, y_end, index + c0);
            continue;
        }
        NAME(max_columns)(x, x_end, axes, od, oh, from, to, best + from - left, where + from - left);
        for (int64_t i = 0; i < from - left; i++) { best[i] = -(REAL)INFINITY; where[i] = INT32_MAX; }
        for (int64_t i = to - left; i < end - left; i++) { best[i] = -(REAL)INFINITY; where[i] = INT32_MAX; }
        NAME(join_columns_any)(best, where, 0, 0, n, aw, y + c0, y_end, index + c0);
    }
}

/* One row of outputs of 2x2 windows with stride 2 and no padding. x is the upper left element of the first window and `at` its
   flat index. Whole vectors are read and written past the end of the row as in max_row_vectors. */
static void NAME(max_row_2x2)(const REAL *x, const REAL *x_end, int64_t W, int64_t OW, int64_t at, REAL *y, const REAL *y_end,
                              int32_t *index) {
    const int64_t rounded = POOL_ROUND_UP(OW);
    const int64_t whole = y_end - y >= rounded && x_end - (x + W) >= 2 * rounded ? rounded : OW / LANES * LANES;
    int64_t c = 0;
    for (; c < whole; c += LANES) {
        const REAL *p = x + 2 * c, *q = p + W;
        const IVECTOR base = (IVECTOR){POOL_LANES} * 2 + (MG_INT)(at + 2 * c);
        const VECTOR a = POOL_LOAD(p), b = POOL_LOAD(p + LANES), d = POOL_LOAD(q), e = POOL_LOAD(q + LANES);
        VECTOR m = __builtin_shuffle(a, b, (IVECTOR){POOL_EVEN});
        IVECTOR k = base;
        NAME(max_step)(__builtin_shuffle(a, b, (IVECTOR){POOL_ODD}), base + 1, &m, &k);
        NAME(max_step)(__builtin_shuffle(d, e, (IVECTOR){POOL_EVEN}), base + (MG_INT)W, &m, &k);
        NAME(max_step)(__builtin_shuffle(d, e, (IVECTOR){POOL_ODD}), base + (MG_INT)(W + 1), &m, &k);
        POOL_STORE(y + c, m);
        for (int l = 0; l < LANES; l++) index[c + l] = (int32_t)k[l];
    }
    for (; c < OW; c++) {
        const int64_t taps[4] = {0, 1, W, W + 1};
        int64_t k = 2 * c;
        for (int t = 1; t < 4; t++) {
            const REAL v = x[2 * c + taps[t]];
            if (v > x[k] || v != v) k = 2 * c + taps[t];
        }
        y[c] = x[k];
        index[c] = (int32_t)(at + k);
    }
}

/* y (planes, OD, OH, OW) = max over the windows of x (planes, D, H, W), and the flat index in its plane of each maximum. A
   block is a number of rows of outputs, of one plane or several, that one thread computes in order. */
static void NAME(max_pool_forward)(const REAL *x, REAL *y, int32_t *index, int64_t planes, const pool_axis *axes, REAL *scratch,
                                   int threads) {
    const int64_t H = axes[1].size, W = axes[2].size, OH = axes[1].out, OW = axes[2].out, rows = axes[0].out * OH;
    const int64_t plane = axes[0].size * H * W, scratch_size = pool_max_scratch(axes);
    const int64_t block_rows = pool_block_rows(axes), blocks = (planes * rows + block_rows - 1) / block_rows;
    const REAL *x_end = x + planes * plane;
    const int is_2x2 = pool_is_2x2(axes), by_windows = pool_by_windows(&axes[2]);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t r0 = b * block_rows, r1 = pool_min(planes * rows, r0 + block_rows);
        const REAL *y_end = y + r1 * OW;
        int64_t p = r0 / rows, od = r0 % rows / OH, oh = r0 % OH;
        for (int64_t r = r0; r < r1; r++) {
            const REAL *xp = x + p * plane;
            if (is_2x2)
                NAME(max_row_2x2)(xp + 2 * oh * W, x_end, W, OW, 2 * oh * W, y + r * OW, y_end, index + r * OW);
            else if (by_windows)
                NAME(max_row_windows)(xp, x_end, axes, od, oh, y + r * OW, index + r * OW);
            else
                NAME(max_row_columns)(xp, x_end, axes, od, oh, y + r * OW, y_end, index + r * OW,
                                      scratch + POOL_THREAD * scratch_size);
            if (++oh == OH) {
                oh = 0;
                if (++od == axes[0].out) { od = 0; p++; }
            }
        }
    }
}

/* out[p, i] = x[p, index[p, i]];   x (planes, size), index and out (planes, count) */
static void NAME(gather_planes)(const REAL *x, const int32_t *index, REAL *out, int64_t planes, int64_t size, int64_t count,
                                int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t p = 0; p < planes; p++)
        for (int64_t i = 0; i < count; i++) out[p * count + i] = x[p * size + index[p * count + i]];
}

/* out = 0, then out[p, index[p, i]] += g[p, i] (accumulate), or = g[p, i] (the last one stays);   g, index (planes, count) */
static void NAME(scatter_planes)(const REAL *g, const int32_t *index, REAL *out, int64_t planes, int64_t size, int64_t count,
                                 int accumulate, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t p = 0; p < planes; p++) {
        REAL *o = out + p * size;
        const REAL *gp = g + p * count;
        const int32_t *k = index + p * count;
        memset(o, 0, size * sizeof(REAL));
        if (accumulate)
            for (int64_t i = 0; i < count; i++) o[k[i]] += gp[i];
        else
            for (int64_t i = 0; i < count; i++) o[k[i]] = gp[i];
    }
}

/* One row of gradients spread over one row of their 2x2 windows: out[2 c + j] = g[c] where index[c] == at + 2 c + j, else 0.
   Whole vectors are read and written up to `whole` outputs (a multiple of LANES), though only OW outputs count. */
static void NAME(scatter_2x2_row)(const REAL *g, const int32_t *index, int64_t at, int64_t OW, int64_t whole, REAL *out) {
    int64_t c = 0;
    for (; c < whole; c += LANES) {
        const IVECTOR k = NAME(pool_load_index)(index + c) - ((IVECTOR){POOL_LANES} * 2 + (MG_INT)(at + 2 * c));
        const VECTOR v = POOL_LOAD(g + c);
        const VECTOR even = (VECTOR)((k == 0) & (IVECTOR)v), odd = (VECTOR)((k == 1) & (IVECTOR)v);
        POOL_STORE(out + 2 * c, __builtin_shuffle(even, odd, (IVECTOR){POOL_LOW}));
        POOL_STORE(out + 2 * c + LANES, __builtin_shuffle(even, odd, (IVECTOR){POOL_HIGH}));
    }
    for (; c < OW; c++) {
        const int64_t k = index[c] - at - 2 * c;
        out[2 * c] = k == 0 ? g[c] : 0;
        out[2 * c + 1] = k == 1 ? g[c] : 0;
    }
}

/* scatter_planes for indices that come from 2x2 windows with stride 2 and no padding: out is written once, in order. What a
   vector writes past the end of its row is overwritten by the next row; it never leaves the group of planes that a thread fills
   in order. */
static void NAME(scatter_2x2)(const REAL *g, const int32_t *index, REAL *out, int64_t planes, int64_t H, int64_t W, int64_t OH,
                              int64_t OW, int threads) {
    const int64_t total = planes * OH * OW, rounded = POOL_ROUND_UP(OW), group = pool_max(1, POOL_BLOCK / (H * W));
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t p0 = 0; p0 < planes; p0 += group) {
        const int64_t p1 = pool_min(planes, p0 + group);
        const REAL *group_end = out + p1 * H * W;
        for (int64_t p = p0; p < p1; p++) {
            REAL *o = out + p * H * W;
            for (int64_t r = 0; r < 2 * OH; r++) {
                const int64_t i = (p * OH + r / 2) * OW;
                const int inside = total - i >= rounded && group_end - (o + r * W) >= 2 * rounded;
                NAME(scatter_2x2_row)(g + i, index + i, r * W, OW, inside ? rounded : OW / LANES * LANES, o + r * W);
                for (int64_t w = 2 * OW; w < W; w++) o[r * W + w] = 0;
            }
            for (int64_t i = 2 * OH * W; i < H * W; i++) o[i] = 0;
        }
    }
}

#include "pool_avg_kernels.h"

#undef POOL_EVEN
#undef POOL_ODD
#undef POOL_LANES
#undef POOL_LOW
#undef POOL_HIGH
#undef POOL_LOAD
#undef POOL_STORE
#undef POOL_SPREAD
#undef POOL_SELECT
#undef POOL_ROUND_UP
