/* Depthwise convolutions: one input channel and one output channel a group. Compiled through multiversion.h.

   They move as much memory as they multiply, so each image is read where it lies, without a copy: a vector is masked where it
   reaches over the border, and a row beyond the border is a row of zeros. A few rows of the result at a time are sums in
   registers, so that a vector serves all of them. Square kernels and strides that are known when this is compiled; the strip
   algorithm has the others. */

#define DEPTHWISE_ROWS 4  /* rows of the result at a time */
#define DEPTHWISE_READ 13 /* rows of the source that they read, at most: 4 rows of a stride of 2, or 7, by 7 taps */
#define DEPTHWISE_PAIRS 2 /* the same of the adjoint of a stride of 2, in pairs */

/* One plane. A row of the result comes in `blocks` vectors; each of them reads `loads` vectors of a row of the source, lanes
   mask[block * loads + u] of vector u. */
typedef struct {
    int64_t height, width, rows, columns; /* of the source and of the result */
    int64_t top, left, blocks, loads;     /* padding */
    REAL *zeros, *dropped;                /* a row beyond the border of the source, and of the result */
    uint32_t *mask;
} NAME(depthwise_plane);

/* Row h of the source x. */
MG_INLINE const REAL *NAME(depthwise_row)(const NAME(depthwise_plane) *p, const REAL *x, int64_t h) {
    return h >= 0 && h < p->height ? x + h * p->width : p->zeros;
}

/* Row r of the result y. A branch around the stores instead would make gcc move the sums into it, row by row: half as fast. */
MG_INLINE REAL *NAME(depthwise_to)(const NAME(depthwise_plane) *p, REAL *y, int64_t r) {
    return r >= 0 && r < p->rows ? y + r * p->columns : p->dropped;
}

/* The first of n elements that belongs to a block: the last block overlaps its neighbour, to be a whole one. */
MG_INLINE int64_t NAME(depthwise_first)(int64_t n, int64_t block) {
    return conv_min(block * LANES, n > LANES ? n - LANES : 0);
}

/* Prepares the masks for rows of n elements, where element j reads from j * S + start on; stride 2 takes pairs of vectors.
   disjoint: blocks do not overlap. Scratch is the thread's own. */
static void NAME(depthwise_prepare)(NAME(depthwise_plane) *p, int64_t n, int64_t S, int64_t start, int64_t loads,
                                    int disjoint) {
    p->blocks = (n + LANES - 1) / LANES;
    p->loads = loads;
    p->zeros = mg_thread_scratch((p->width + p->columns) * sizeof(REAL) + p->blocks * loads * sizeof(uint32_t));
    p->dropped = p->zeros + p->width;
    p->mask = (uint32_t *)(p->dropped + p->columns);
    memset(p->zeros, 0, p->width * sizeof(REAL));
    for (int64_t b = 0; b < p->blocks; b++)
        for (int64_t u = 0; u < loads; u++) {
            const int64_t j = disjoint ? b * LANES : NAME(depthwise_first)(n, b), half = S == 2 ? u % 2 : 0;
            const int64_t at = j * S + start + u - half + half * LANES; /* what lane 0 reads */
            const int64_t end = conv_min(p->width - at, conv_min(LANES, n - j) * S - half * LANES);
            p->mask[b * loads + u] = NAME(conv_lanes)(-at, end);
        }
}

/* v[0] (and v[1] of a stride of 2) = what taps k and k + 1 of a row read for a block, from its first lane's first tap on. */
MG_INLINE void NAME(depthwise_taps)(const int k, const int S, VECTOR *v, const REAL *from, const uint32_t *mask) {
    v[0] = NAME(conv_masked)(mask[k], from + k);
    if (S == 1) return;
    const VECTOR low = v[0], high = NAME(conv_masked)(mask[k + 1], from + k + LANES);
    v[0] = NAME(conv_every_second)(low, high, 0);
    v[1] = NAME(conv_every_second)(low, high, 1);
}

/* y (rows, columns) = bias + the correlation of x with w (K, K), R rows at a time. Columns of the kernel come one after
   another, so that their elements stay in registers. 7x7 takes 7 rows, of which sums, taps and a vector of x are 15 registers. */
MG_INLINE void NAME(depthwise_image)(const int K, const int S, const int R, REAL *y, const NAME(depthwise_plane) *p,
                                     const REAL *x, const REAL *w, REAL bias) {
    for (int64_t r = 0; r < p->rows; r += R) {
        const REAL *from[DEPTHWISE_READ];
        _Pragma("GCC unroll 16") for (int i = 0; i < (R - 1) * S + K; i++)
            from[i] = NAME(depthwise_row)(p, x, r * S + i - p->top) - p->left;
        for (int64_t b = 0; b < p->blocks; b++) {
            const int64_t j = NAME(depthwise_first)(p->columns, b);
            VECTOR sum[R];
            _Pragma("GCC unroll 8") for (int q = 0; q < R; q++) sum[q] = (VECTOR){0} + bias;
            _Pragma("GCC unroll 8") for (int k = 0; k < K; k += S) {
                VECTOR v[2], tap[2][7];
                _Pragma("GCC unroll 8") for (int i = 0; i < K; i++)
                    _Pragma("GCC unroll 2") for (int u = 0; u < S; u++)
                        if (k + u < K) tap[u][i] = w[i * K + k + u] - (VECTOR){0};
                _Pragma("GCC unroll 16") for (int i = 0; i < (R - 1) * S + K; i++) {
                    NAME(depthwise_taps)(k, S, v, from[i] + j * S, p->mask + b * p->loads);
                    _Pragma("GCC unroll 2") for (int u = 0; u < S; u++)
                        _Pragma("GCC unroll 8") for (int q = 0; q < R; q++)
                            if (k + u < K && i - q * S >= 0 && i - q * S < K) sum[q] += tap[u][i - q * S] * v[u];
                }
            }
            _Pragma("GCC unroll 8") for (int q = 0; q < R; q++)
                NAME(gemm_store)(NAME(depthwise_to)(p, y, r + q) + j, sum[q], conv_min(LANES, p->columns));
        }
    }
}

/* gx (rows, columns) = bias + the adjoint of a correlation of stride 2 of g with w (K, K). `odd` is p->left % 2.
   Columns 2 * t and 2 * t + 1 come together: with s 0 and 1, column 2 * t + s gets w[.][kw] * g[.][t + p->left / 2 + d] where
   s + odd - kw = 2 * d. Rows 2 * q - p->top and the next one get w[2 * m][.] and w[2 * m + 1][.] of row q - m of g. */
MG_INLINE void NAME(depthwise_spread)(const int K, const int odd, REAL *gx, const NAME(depthwise_plane) *p, const REAL *g,
                                      const REAL *w, REAL bias) {
    const int back = K / 2, first = odd - back;
    const int64_t left = (p->left - odd) / 2 + first, q_end = ((p->rows - 1 + p->top) >> 1) + 1;
    for (int64_t q = p->top >> 1; q < q_end; q += DEPTHWISE_PAIRS)
        for (int64_t b = 0; b < p->blocks; b++) {
            const int64_t t = NAME(depthwise_first)((p->columns + 1) / 2, b), here = conv_min(2 * LANES, p->columns - 2 * t);
            VECTOR sum[DEPTHWISE_PAIRS * 2][2];
            _Pragma("GCC unroll 8") for (int i = 0; i < DEPTHWISE_PAIRS * 4; i++) sum[i / 2][i % 2] = (VECTOR){0} + bias;
            _Pragma("GCC unroll 4") for (int i = 0; i < DEPTHWISE_PAIRS + back; i++) {
                const REAL *const from = NAME(depthwise_row)(p, g, q + i - back) + t + left;
                _Pragma("GCC unroll 4") for (int d = 0; d <= back; d++) {
                    const VECTOR v = NAME(conv_masked)(p->mask[b * p->loads + d], from + d);
                    _Pragma("GCC unroll 4") for (int row = 0; row < DEPTHWISE_PAIRS * 2; row++)
                        _Pragma("GCC unroll 2") for (int side = 0; side < 2; side++) {
                            const int kh = 2 * (row / 2 + back - i) + row % 2, kw = side + odd - 2 * (first + d);
                            if (kh >= 0 && kh < K && kw >= 0 && kw < K) sum[row][side] += w[kh * K + kw] * v;
                        }
                }
            }
            _Pragma("GCC unroll 4") for (int row = 0; row < DEPTHWISE_PAIRS * 2; row++) {
                REAL *const to = NAME(depthwise_to)(p, gx, 2 * q + row - p->top) + 2 * t;
                NAME(gemm_store)(to, NAME(conv_in_turn)(sum[row][0], sum[row][1], 0), conv_min(LANES, here));
                if (here > LANES)
                    NAME(gemm_store)(to + LANES, NAME(conv_in_turn)(sum[row][0], sum[row][1], 1), here - LANES);
            }
        }
}

/* part[k] += LANES partial sums of x at tap k of rows top .. top + deep of a kernel, times g, over R rows of g from row r on */
MG_INLINE void NAME(depthwise_weight_rows)(const int K, const int S, const int top, const int deep, const int R, VECTOR *part,
                                           const NAME(depthwise_plane) *p, const REAL *x, const REAL *g, int64_t r) {
    const REAL *from[DEPTHWISE_READ];
    _Pragma("GCC unroll 16") for (int i = 0; i < (R - 1) * S + deep; i++)
        from[i] = NAME(depthwise_row)(p, x, r * S + i + top - p->top) - p->left;
    for (int64_t b = 0, j = 0; b < p->blocks; b++, j += LANES) {
        VECTOR line[DEPTHWISE_ROWS], v[2];
        const int64_t here = conv_min(LANES, p->columns - j);
        _Pragma("GCC unroll 4") for (int q = 0; q < R; q++) line[q] = NAME(gemm_load)(g + (r + q) * p->columns + j, here);
        _Pragma("GCC unroll 16") for (int i = 0; i < (R - 1) * S + deep; i++)
            _Pragma("GCC unroll 8") for (int k = 0; k < K; k += S) {
                NAME(depthwise_taps)(k, S, v, from[i] + j * S, p->mask + b * p->loads);
                _Pragma("GCC unroll 2") for (int u = 0; u < S; u++)
                    _Pragma("GCC unroll 4") for (int q = 0; q < R; q++)
                        if (k + u < K && i - q * S >= 0 && i - q * S < deep) part[(i - q * S) * K + k + u] += line[q] * v[u];
            }
    }
}

/* sum[k] += LANES partial sums of x at tap k of rows top .. top + deep of a kernel, times g, over one image; as many rows as
   have their sums in registers */
MG_INLINE void NAME(depthwise_weight)(const int K, const int S, const int top, const int deep, VECTOR *sum,
                                      const NAME(depthwise_plane) *p, const REAL *x, const REAL *g) {
    VECTOR part[25];
    int64_t r = 0;
    _Pragma("GCC unroll 25") for (int k = 0; k < deep * K; k++) part[k] = sum[top * K + k];
    for (; r + DEPTHWISE_ROWS <= p->rows; r += DEPTHWISE_ROWS)
        NAME(depthwise_weight_rows)(K, S, top, deep, DEPTHWISE_ROWS, part, p, x, g, r);
    for (; r < p->rows; r++) /* no row of zeros for g: x may be Inf or NaN there */
         NAME(depthwise_weight_rows)(K, S, top, deep, 1, part, p, x, g, r);
    _Pragma("GCC unroll 25") for (int k = 0; k < deep * K; k++) sum[top * K + k] = part[k];
}

typedef void (*NAME(depthwise_function))(REAL *, const NAME(depthwise_plane) *, const REAL *, const REAL *, REAL);
typedef void (*NAME(depthwise_weight_function))(VECTOR *, const NAME(depthwise_plane) *, const REAL *, const REAL *);
#define DEPTHWISE_FUNCTION(f, K, T, ...)                                                                                       \
    static void NAME(depthwise_##f##_##K##_##T)(REAL *y, const NAME(depthwise_plane) *p, const REAL *x, const REAL *w,         \
                                                REAL bias) {                                                                   \
        NAME(depthwise_##f)(K, __VA_ARGS__, y, p, x, w, bias);                                                                 \
    }
#define DEPTHWISE(K)                                                                                                           \
    DEPTHWISE_FUNCTION(image, K, 1, 1, K == 7 ? 7 : DEPTHWISE_ROWS) DEPTHWISE_FUNCTION(image, K, 2, 2, DEPTHWISE_ROWS)         \
    DEPTHWISE_FUNCTION(spread, K, 0, 0) DEPTHWISE_FUNCTION(spread, K, 1, 1)                                                    \
    DEPTHWISE_WEIGHT(K, 1) DEPTHWISE_WEIGHT(K, 2)
#define DEPTHWISE_WEIGHT(K, S)                                                                                                 \
    static void NAME(depthwise_weight_##K##_##S)(VECTOR *sum, const NAME(depthwise_plane) *p, const REAL *x, const REAL *g) {  \
        NAME(depthwise_weight)(K, S, 0, K == 7 ? 3 : K, sum, p, x, g);                                                         \
        if (K == 7) NAME(depthwise_weight)(K, S, 3, 2, sum, p, x, g);                                                          \
        if (K == 7) NAME(depthwise_weight)(K, S, 5, 2, sum, p, x, g);                                                          \
    }
DEPTHWISE(3) DEPTHWISE(5) DEPTHWISE(7)
#define DEPTHWISE_TABLE(f, first, second)                                                                                      \
    {{NAME(f##_3_##first), NAME(f##_3_##second)}, {NAME(f##_5_##first), NAME(f##_5_##second)},                                 \
     {NAME(f##_7_##first), NAME(f##_7_##second)}}
static const NAME(depthwise_function) NAME(depthwise_images)[3][2] = DEPTHWISE_TABLE(depthwise_image, 1, 2);
static const NAME(depthwise_function) NAME(depthwise_spreads)[3][2] = DEPTHWISE_TABLE(depthwise_spread, 0, 1);
static const NAME(depthwise_weight_function) NAME(depthwise_weights)[3][2] = DEPTHWISE_TABLE(depthwise_weight, 1, 2);
#undef DEPTHWISE
#undef DEPTHWISE_FUNCTION
#undef DEPTHWISE_WEIGHT
#undef DEPTHWISE_TABLE

/* As conv_strip. */
static int64_t NAME(conv_depthwise)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const conv_geometry *s,
                                    int adjoint, int threads, char *scratch) {
    if (!scratch) return 0;
    const int K = (int)s->kernel[2], S = (int)s->stride[2], odd = (int)(s->padding[2] & 1);
    const int turned = adjoint && S == 1; /* a correlation with the kernel turned round, padded by what is missing */
    const int64_t *from = adjoint ? s->out : s->image, *to = adjoint ? s->image : s->out;
    const int spread = adjoint && S == 2;
    const NAME(depthwise_function) run =
        spread ? NAME(depthwise_spreads)[K / 2 - 1][odd] : NAME(depthwise_images)[K / 2 - 1][S - 1];
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        NAME(depthwise_plane) p = {from[1], from[2], to[1], to[2], s->padding[1], s->padding[2]};
        if (turned) p.top = K - 1 - p.top, p.left = K - 1 - p.left;
        if (spread)
            NAME(depthwise_prepare)(&p, (p.columns + 1) / 2, 1, (p.left + odd) / 2 - K / 2, K / 2 + 1, 0);
        else
            NAME(depthwise_prepare)(&p, p.columns, S, -p.left, K + S - 1, 0);
#pragma omp for schedule(static)
        for (int64_t plane = 0; plane < s->N * s->C; plane++) {
            const int64_t c = plane % s->C;
            REAL kernel[49];
            for (int k = 0; k < K * K; k++) kernel[k] = w[c * K * K + (turned ? K * K - 1 - k : k)];
            run(y + plane * to[1] * to[2], &p, x + plane * from[1] * from[2], kernel, bias ? bias[c] : 0);
        }
    }
    return 0;
}

/* As conv_strip_weight. A channel is one sum over all images. */
static int64_t NAME(conv_depthwise_weight)(const REAL *x, const REAL *g, REAL *gw, const conv_geometry *s, int threads,
                                           char *scratch) {
    if (!scratch) return 0;
    const int K = (int)s->kernel[2], S = (int)s->stride[2];
    const NAME(depthwise_weight_function) run = NAME(depthwise_weights)[K / 2 - 1][S - 1];
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        NAME(depthwise_plane) p = {s->image[1], s->image[2], s->out[1], s->out[2], s->padding[1], s->padding[2]};
        NAME(depthwise_prepare)(&p, p.columns, S, -p.left, K + S - 1, 1);
#pragma omp for schedule(dynamic)
        for (int64_t c = 0; c < s->C; c++) {
            VECTOR sum[49] = {0};
            for (int64_t n = 0; n < s->N; n++)
                run(sum, &p, x + (n * s->C + c) * s->image[1] * s->image[2], g + (n * s->C + c) * s->out[1] * s->out[2]);
            for (int k = 0; k < K * K; k++) gw[c * K * K + k] = NAME(gemm_sum)(sum[k]);
        }
    }
    return 0;
}

#undef DEPTHWISE_ROWS
#undef DEPTHWISE_READ
#undef DEPTHWISE_PAIRS
