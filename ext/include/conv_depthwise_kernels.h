/* Depthwise convolutions: one input channel and one output channel a group. Compiled through multiversion.h.

   They move as much memory as they multiply, so each image is read and written once: a band of its rows is copied into L1 or L2 with the
   padding around and columns split by phase of the stride, and four rows of the result at a time are sums in registers, so that a vector
   of the band is loaded once for up to four of them. Square kernels and strides that are known when this is compiled; the strip algorithm
   has the others. */

#define DEPTHWISE_ROWS 4     /* rows of the result at a time */
#define DEPTHWISE_BAND 16384 /* elements of a band: 64 KB of float */

/* The geometry of one plane: rows x columns of the result from an image of size[0] x size[1], strips of `length` a row and phase. */
typedef struct {
    int64_t size[2], rows, columns, padding[2], length, band;
} NAME(depthwise_plane);

static NAME(depthwise_plane) NAME(depthwise_plan)(const int64_t *size, const int64_t *result, const int64_t *padding, int64_t K,
                                                  int64_t S) {
    NAME(depthwise_plane) p = {.size = {size[1], size[2]}, .rows = result[1], .columns = result[2], .padding = {padding[0], padding[1]}};
    p.length = conv_round_up(p.columns, LANES) + K;
    p.band = conv_round_up(conv_min(p.rows, DEPTHWISE_BAND / (p.length * S * S) + 1), DEPTHWISE_ROWS);
    return p;
}

static int64_t NAME(depthwise_elements)(const NAME(depthwise_plane) *p, int64_t K, int64_t S) {
    return ((p->band - 1) * S + K) * S * p->length;
}

/* What rows first .. first + count - 1 of the result read, as band[row][phase][length]. */
static void NAME(depthwise_fill)(REAL *band, const NAME(depthwise_plane) *p, int64_t K, int64_t S, const REAL *x, int64_t first,
                                 int64_t count) {
    for (int64_t i = first * S; i < (first + count - 1) * S + K; i++)
        for (int64_t phase = 0; phase < S; phase++, band += p->length) {
            const int64_t row = i - p->padding[0], start = phase - p->padding[1];
            int64_t from, to;
            NAME(conv_inside)(p->length, start, S, p->size[1], &from, &to);
            if (row < 0 || row >= p->size[0]) from = to = 0;
            NAME(conv_fill_row)(band, p->length, x + row * p->size[1] + start, S, from, to);
        }
}

/* y (rows, columns) = bias + the correlation of x with w (K, K) */
MG_INLINE void NAME(depthwise_image)(const int K, const int S, REAL *y, const NAME(depthwise_plane) *p, const REAL *x, const REAL *w,
                                     REAL bias, REAL *band) {
    for (int64_t first = 0; first < p->rows; first += p->band) {
        const int64_t count = conv_min(p->band, p->rows - first);
        NAME(depthwise_fill)(band, p, K, S, x, first, conv_round_up(count, DEPTHWISE_ROWS)); /* rows past the last one are dropped */
        for (int64_t r = 0; r < count; r += DEPTHWISE_ROWS)
            for (int64_t j = 0; j < p->columns; j += LANES) {
                VECTOR sum[DEPTHWISE_ROWS];
                _Pragma("GCC unroll 4") for (int q = 0; q < DEPTHWISE_ROWS; q++) sum[q] = (VECTOR){0} + bias;
                _Pragma("GCC unroll 16") for (int i = 0; i < (DEPTHWISE_ROWS - 1) * S + K; i++)
                    _Pragma("GCC unroll 8") for (int k = 0; k < K; k++) {
                        const VECTOR v = *(const VECTOR *)(band + ((r * S + i) * S + k % S) * p->length + j + k / S);
                        _Pragma("GCC unroll 4") for (int q = 0; q < DEPTHWISE_ROWS; q++)
                            if (i - q * S >= 0 && i - q * S < K) sum[q] += w[(i - q * S) * K + k] * v;
                    }
                REAL *const to = y + (first + r) * p->columns + j;
                for (int q = 0; q < DEPTHWISE_ROWS && r + q < count; q++)
                    NAME(gemm_store)(to + q * p->columns, sum[q], conv_min(LANES, p->columns - j));
            }
    }
}

/* sum[k] += LANES partial sums of x at tap k times g, over one image */
MG_INLINE void NAME(depthwise_weight)(const int K, const int S, REAL *sum, const NAME(depthwise_plane) *p, const REAL *x,
                                      const REAL *g, REAL *band) {
    VECTOR part[25];
    _Pragma("GCC unroll 25") for (int k = 0; k < K * K; k++) part[k] = *(const VECTOR *)(sum + k * LANES);
    for (int64_t first = 0; first < p->rows; first += p->band) {
        const int64_t count = conv_min(p->band, p->rows - first);
        NAME(depthwise_fill)(band, p, K, S, x, first, count);
        for (int64_t r = 0; r < count; r++)
            for (int64_t j = 0; j < p->columns; j += LANES) {
                const int64_t here = conv_min(LANES, p->columns - j);
                const VECTOR v = NAME(gemm_load)(g + (first + r) * p->columns + j, here);
                const REAL *const from = band + r * S * S * p->length + j;
                if (here == LANES) {
                    _Pragma("GCC unroll 25") for (int k = 0; k < K * K; k++)
                        part[k] += v * *(const VECTOR *)(from + (k / K * S + k % K % S) * p->length + k % K / S);
                } else { /* both are masked: x may be Inf or NaN where g ends */
                    _Pragma("GCC unroll 25") for (int k = 0; k < K * K; k++)
                        part[k] += v * NAME(gemm_load)(from + (k / K * S + k % K % S) * p->length + k % K / S, here);
                }
            }
    }
    _Pragma("GCC unroll 25") for (int k = 0; k < K * K; k++) *(VECTOR *)(sum + k * LANES) = part[k];
}

#define DEPTHWISE(K, S)                                                                                                          \
    static void NAME(depthwise_image_##K##_##S)(REAL *y, const NAME(depthwise_plane) *p, const REAL *x, const REAL *w, REAL bias, \
                                                REAL *band) {                                                                    \
        NAME(depthwise_image)(K, S, y, p, x, w, bias, band);                                                                     \
    }                                                                                                                            \
    static void NAME(depthwise_weight_##K##_##S)(REAL *sum, const NAME(depthwise_plane) *p, const REAL *x, const REAL *g,        \
                                                 REAL *band) {                                                                   \
        NAME(depthwise_weight)(K, S, sum, p, x, g, band);                                                                        \
    }
DEPTHWISE(3, 1) DEPTHWISE(3, 2) DEPTHWISE(5, 1) DEPTHWISE(5, 2)
#undef DEPTHWISE

/* As conv_strip. */
static int64_t NAME(conv_depthwise)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const conv_geometry *s, int adjoint,
                                    int threads, char *scratch) {
    if (!scratch) return 0;
    const int K = (int)s->kernel[2], S = (int)s->stride[2]; /* 1 for the adjoint: the kernel turned round, padded by what is missing */
    const int64_t padding[2] = {adjoint ? K - 1 - s->padding[1] : s->padding[1], adjoint ? K - 1 - s->padding[2] : s->padding[2]};
    const int64_t *from = adjoint ? s->out : s->image, *to = adjoint ? s->image : s->out;
    const NAME(depthwise_plane) p = NAME(depthwise_plan)(from, to, padding, K, S);
    void (*const image)(REAL *, const NAME(depthwise_plane) *, const REAL *, const REAL *, REAL, REAL *) =
        K == 3 ? (S == 1 ? NAME(depthwise_image_3_1) : NAME(depthwise_image_3_2))
               : (S == 1 ? NAME(depthwise_image_5_1) : NAME(depthwise_image_5_2));
    const int64_t elements = NAME(depthwise_elements)(&p, K, S);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const band = mg_thread_scratch(elements * sizeof(REAL));
#pragma omp for schedule(static)
        for (int64_t plane = 0; plane < s->N * s->C; plane++) {
            const int64_t c = plane % s->C;
            REAL kernel[25];
            for (int k = 0; k < K * K; k++) kernel[k] = w[c * K * K + (adjoint ? K * K - 1 - k : k)];
            image(y + plane * to[1] * to[2], &p, x + plane * from[1] * from[2], kernel, bias ? bias[c] : 0, band);
        }
    }
    return 0;
}

/* As conv_strip_weight. A channel is one sum over all images. */
static int64_t NAME(conv_depthwise_weight)(const REAL *x, const REAL *g, REAL *gw, const conv_geometry *s, int threads, char *scratch) {
    if (!scratch) return 0;
    const int K = (int)s->kernel[2], S = (int)s->stride[2];
    const NAME(depthwise_plane) p = NAME(depthwise_plan)(s->image, s->out, s->padding + 1, K, S);
    void (*const weight)(REAL *, const NAME(depthwise_plane) *, const REAL *, const REAL *, REAL *) =
        K == 3 ? (S == 1 ? NAME(depthwise_weight_3_1) : NAME(depthwise_weight_3_2))
               : (S == 1 ? NAME(depthwise_weight_5_1) : NAME(depthwise_weight_5_2));
    const int64_t elements = NAME(depthwise_elements)(&p, K, S);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const band = mg_thread_scratch(elements * sizeof(REAL));
#pragma omp for schedule(dynamic)
        for (int64_t c = 0; c < s->C; c++) {
            REAL sum[25 * LANES] = {0};
            for (int64_t n = 0; n < s->N; n++)
                weight(sum, &p, x + (n * s->C + c) * s->image[1] * s->image[2], g + (n * s->C + c) * s->out[1] * s->out[2], band);
            for (int k = 0; k < K * K; k++) gw[c * K * K + k] = NAME(gemm_sum)(*(const VECTOR *)(sum + k * LANES));
        }
    }
    return 0;
}

#undef DEPTHWISE_ROWS
#undef DEPTHWISE_BAND
