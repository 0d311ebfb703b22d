/* Convolutions of stride 1 on small images. Compiled through multiversion.h.

   Where a line of the result is shorter than a few vectors, lanes that span points of it are half empty. So here

   * lanes are channels of the result (forward, and the gradient of x where it has channels enough): a tile of SMALL_LINES x
     SMALL_WIDTH points by LANES channels is summed in registers, each tap of each channel being one vector of weights times one
     broadcast element of x for each point, and transposed on the way out;
   * the gradient of x of a convolution without much padding, whose image is so much larger than its output that a correlation
     would mostly multiply zeros, is one matrix product, columns = w' g, (C * kernel, O) @ (O, out), and every line of x gathers
     the columns that reach it: col2im without writing any element twice. */

#if ISA_LEVEL >= 4
#define SMALL_LINES 2
#else
#define SMALL_LINES 1
#endif
#define SMALL_WIDTH 8
#define SMALL_POINTS (SMALL_LINES * SMALL_WIDTH)

/* sum[point][channel] = sum over c, k of x[c][line + k / KW][column + k % KW] * w[c][k][channel] */
MG_INLINE void NAME(small_tile_of)(const int64_t KW, REAL *sum, const REAL *x, int64_t x_channel, int64_t x_row, const REAL *w,
                                   int64_t C, int64_t KH) {
    VECTOR part[SMALL_POINTS];
    _Pragma("GCC unroll 16") for (int p = 0; p < SMALL_POINTS; p++) part[p] = (VECTOR){0};
    for (int64_t c = 0; c < C; c++)
        for (int64_t kh = 0; kh < KH; kh++) {
            const REAL *at[SMALL_LINES];
            for (int i = 0; i < SMALL_LINES; i++) at[i] = x + c * x_channel + (kh + i) * x_row;
            _Pragma("GCC unroll 5") for (int64_t kw = 0; kw < KW; kw++, w += LANES) {
                const VECTOR v = *(const VECTOR *)w;
                _Pragma("GCC unroll 16") for (int p = 0; p < SMALL_POINTS; p++)
                    part[p] += at[p / SMALL_WIDTH][kw + p % SMALL_WIDTH] * v;
            }
        }
    _Pragma("GCC unroll 16") for (int p = 0; p < SMALL_POINTS; p++) *(VECTOR *)(sum + p * LANES) = part[p];
}

static void NAME(small_tile)(REAL *sum, const REAL *x, int64_t x_channel, int64_t x_row, const REAL *w, int64_t C, int64_t KH,
                             int64_t KW) {
    if (KW == 5) NAME(small_tile_of)(5, sum, x, x_channel, x_row, w, C, KH);
    else if (KW == 3) NAME(small_tile_of)(3, sum, x, x_channel, x_row, w, C, KH);
    else NAME(small_tile_of)(KW, sum, x, x_channel, x_row, w, C, KH);
}

/* y[channel][line][column] of a tile = its sums + bias; `lanes` channels, `lines` x `columns` points of the tile. */
static void NAME(small_write)(REAL *y, int64_t plane, int64_t row, const REAL *sum, const REAL *bias, int64_t lanes,
                              int64_t lines,
                              int64_t columns) {
    REAL turned[LANES * SMALL_POINTS];
    for (int64_t p = 0; p < SMALL_POINTS; p += LANES) {
        VECTOR r[LANES];
        _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++) r[l] = *(const VECTOR *)(sum + (p + l) * LANES);
        NAME(gemm_transpose)(r);
        _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++) *(VECTOR *)(turned + l * SMALL_POINTS + p) = r[l];
    }
    for (int64_t l = 0; l < lanes; l++) {
        const REAL add = bias ? bias[l] : 0;
        if (row == SMALL_WIDTH && columns == SMALL_WIDTH) /* whole lines of y lie side by side */
            NAME(conv_put_row)(y + l * plane, turned + l * SMALL_POINTS, add, lines * SMALL_WIDTH, 1);
        else
            for (int64_t i = 0; i < lines; i++)
                NAME(conv_put_row)(y + l * plane + i * row, turned + l * SMALL_POINTS + i * SMALL_WIDTH, add, columns, 1);
    }
}

/* As conv_strip. */
static int64_t NAME(conv_small)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const conv_geometry *s, int adjoint,
                                int threads, char *scratch) {
    const int64_t in = adjoint ? s->O : s->C, out = adjoint ? s->C : s->O, KH = s->kernel[1], KW = s->kernel[2], K = KH * KW;
    const int64_t *from = adjoint ? s->out : s->image, *to = adjoint ? s->image : s->out;
    const int64_t top = adjoint ? KH - 1 - s->padding[1] : s->padding[1];
    const int64_t left = adjoint ? KW - 1 - s->padding[2] : s->padding[2], blocks = (out + LANES - 1) / LANES;
    const int64_t lines = conv_round_up(to[1], SMALL_LINES), width = conv_round_up(to[2], SMALL_WIDTH);
    const int64_t plane = to[1] * to[2], source = from[1] * from[2];
    /* x is read where it is if no tile reads beyond it */
    const int copy = top || left || lines + KH - 1 > from[1] || width + KW - 1 > from[2];
    const int64_t rows = copy ? lines + KH - 1 : from[1], row = copy ? width + KW - 1 : from[2];
    const int64_t chunks = s->N < 8 ? blocks : 1; /* of the channels, where there are few images to share */
    conv_arena arena = {scratch, 0};
    REAL *const packed = conv_take(&arena, (blocks * in * K + 1) * LANES * sizeof(REAL));
    if (!scratch) return arena.used;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const sum = mg_thread_scratch((SMALL_POINTS * LANES + (copy ? in * rows * row : 0)) * sizeof(REAL));
        REAL *const copied = sum + SMALL_POINTS * LANES;
#pragma omp for schedule(static)
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t lanes = conv_min(LANES, out - b * LANES);
            REAL *const block = packed + b * in * K * LANES;
            if (adjoint) /* from O to C with the kernels turned round */
                for (int64_t i = 0; i < in; i++)
                    NAME(gemm_pack)(lanes, K, w + (i * out + b * LANES) * K + K - 1, K, -1, block + i * K * LANES, LANES);
            else
                NAME(gemm_pack)(lanes, in * K, w + b * LANES * in * K, in * K, 1, block, LANES);
        }
#pragma omp for schedule(static)
        for (int64_t job = 0; job < s->N * chunks; job++) {
            const int64_t n = job / chunks, chunk = job % chunks;
            const REAL *image = x + n * in * source;
            if (copy) {
                for (int64_t i = 0; i < in * rows; i++) {
                    const int64_t h = i % rows - top;
                    int64_t first, end;
                    NAME(conv_inside)(row, -left, 1, from[2], &first, &end);
                    if (h < 0 || h >= from[1]) first = end = 0;
                    NAME(conv_fill_row)(copied + i * row, row, image + i / rows * source + h * from[2] - left, 1, first, end);
                }
                image = copied;
            }
            for (int64_t b = blocks * chunk / chunks; b < blocks * (chunk + 1) / chunks; b++)
                for (int64_t h = 0; h < to[1]; h += SMALL_LINES)
                    for (int64_t j = 0; j < to[2]; j += SMALL_WIDTH) {
                        NAME(small_tile)(sum, image + h * row + j, rows * row, row, packed + b * in * K * LANES, in, KH, KW);
                        NAME(small_write)(y + (n * out + b * LANES) * plane + h * to[2] + j, plane, to[2], sum,
                                          bias ? bias + b * LANES : NULL, conv_min(LANES, out - b * LANES),
                                          conv_min(SMALL_LINES, to[1] - h), conv_min(SMALL_WIDTH, to[2] - j));
                    }
        }
    }
    return arena.used;
}

#if REAL_IS_FLOAT /* double takes strips: a second set of the micro-kernels of matrix products would be 150 KB of code */

/* Lanes l of p with bit l of the mask, 0 elsewhere. */
MG_INLINE VECTOR NAME(small_masked)(uint32_t mask, const REAL *p) {
#if ISA_LEVEL == 4
    return (VECTOR)_mm512_maskz_loadu_ps((__mmask16)mask, p);
#else
    if (mask == (1u << LANES) - 1) return *(const VECTOR *)p;
    VECTOR x = {0};
    for (int l = 0; l < LANES; l++)
        if (mask >> l & 1) x[l] = p[l];
    return x;
#endif
}

/* gx (C, image) of one image: each element is the sum of the columns[c * K + k][out] that it went into, in order of k, plus
   bias. */
static void NAME(small_gather)(REAL *gx, const REAL *columns, const REAL *bias, const conv_geometry *s) {
    const int64_t KH = s->kernel[1], KW = s->kernel[2], OH = s->out[1], OW = s->out[2], H = s->image[1], W = s->image[2];
    for (int64_t j = 0; j < W; j += LANES) {
        uint32_t mask[CONV_COLUMNS_WIDTH]; /* lane l reads element j + l + padding - kw of a line of out */
        const int64_t at = j + s->padding[2], lanes = conv_min(LANES, W - j);
        for (int64_t kw = 0; kw < KW; kw++) {
            const int64_t first = kw > at ? conv_min(kw - at, LANES) : 0, end = OW + kw - at < LANES ? OW + kw - at : LANES;
            mask[kw] = end > first ? (1u << end) - (1u << first) : 0;
        }
        for (int64_t c = 0; c < s->C; c++)
            for (int64_t h = 0; h < H; h++) {
                const int64_t top = h + s->padding[1], start = top >= OH ? top - OH + 1 : 0, stop = conv_min(KH, top + 1);
                VECTOR sum = (VECTOR){0} + (bias ? bias[c] : 0);
                for (int64_t kh = start; kh < stop; kh++) {
                    const REAL *from = columns + (((c * KH + kh) * KW) * OH + top - kh) * OW + at;
                    for (int64_t kw = 0; kw < KW; kw++, from += OH * OW - 1) sum += NAME(small_masked)(mask[kw], from);
                }
                NAME(gemm_store)(gx + (c * H + h) * W + j, sum, lanes);
            }
    }
}
/* The adjoint by columns, as conv_strip. */
static int64_t NAME(conv_columns)(const REAL *g, const REAL *w, const REAL *bias, REAL *gx, const conv_geometry *s, int threads,
                                  char *scratch) {
    if (!scratch) return 0;
    const int64_t rows = s->C * s->kernel[1] * s->kernel[2], points = s->out[1] * s->out[2];
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const pack = mg_thread_scratch((GEMM_SCRATCH + rows * points) * sizeof(REAL)),
            *const columns = pack + GEMM_SCRATCH;
#pragma omp for schedule(static)
        for (int64_t n = 0; n < s->N; n++) { /* (C * kernel, O) @ (O, out) */
            NAME(gemm_block)(rows, points, s->O, w, 1, rows, g + n * s->O * points, points, 1, columns, points, 0, pack);
            NAME(small_gather)(gx + n * s->C * s->image[1] * s->image[2], columns, bias, s);
        }
    }
    return 0;
}

#endif

#undef SMALL_LINES
#undef SMALL_WIDTH
#undef SMALL_POINTS
