/* Convolutions on small images. Compiled through multiversion.h; conv_strip.h explains the phases of a stride.

   Where a line of the result is shorter than a few vectors, lanes that span points of it are half empty. So here

   * lanes are channels of the result (forward, and the gradient of x where it has channels enough): a tile of SMALL_POINTS
     points by LANES channels is summed in registers, each tap of each channel being one vector of weights times one broadcast
     element of x for each point, and transposed on the way out. A tile is made of segments of `width` points of a line; any
     segments share a tile, also of several images. The last segment of a line lies further to the left where it would pass the
     end;
   * the gradient of x of a convolution without much padding, whose image is so much larger than its output that a correlation
     would mostly multiply zeros, is one matrix product, columns = w' g, (C * kernel, O) @ (O, out), and every line of x gathers
     the columns that reach it: col2im without writing any element twice. */

#if ISA_LEVEL >= 4
#define SMALL_POINTS 16
#else
#define SMALL_POINTS 8
#endif

/* sum[point][channel] = sum over c, t of x[c][offset[t] + place of the point] * w[c][t][channel]; the segments start at
   start[i], with points `step` apart. */
MG_INLINE void NAME(small_tile_of)(const int64_t width, const int64_t step, REAL *sum, const REAL *const *start,
                                   int64_t x_channel, const REAL *w, int64_t C, const int64_t *offset, int64_t taps) {
    VECTOR part[SMALL_POINTS];
    const REAL *at[SMALL_POINTS / 2];
    _Pragma("GCC unroll 8") for (int i = 0; i < SMALL_POINTS / width; i++) at[i] = start[i];
    _Pragma("GCC unroll 16") for (int p = 0; p < SMALL_POINTS; p++) part[p] = (VECTOR){0};
    for (int64_t c = 0; c < C * x_channel; c += x_channel)
        for (int64_t t = 0; t < taps; t++, w += LANES) {
            const VECTOR v = *(const VECTOR *)w;
            const int64_t k = c + offset[t];
            _Pragma("GCC unroll 16") for (int p = 0; p < SMALL_POINTS; p++) part[p] += at[p / width][k + p % width * step] * v;
        }
    _Pragma("GCC unroll 16") for (int p = 0; p < SMALL_POINTS; p++) *(VECTOR *)(sum + p * LANES) = part[p];
}

static void NAME(small_tile)(int64_t width, int64_t step, REAL *sum, const REAL *const *start, int64_t x_channel, const REAL *w,
                             int64_t C, const int64_t *offset, int64_t taps) {
    if (width == 4 && step == 1) NAME(small_tile_of)(4, 1, sum, start, x_channel, w, C, offset, taps);
    else if (width == 4 && step == 2) NAME(small_tile_of)(4, 2, sum, start, x_channel, w, C, offset, taps);
    else NAME(small_tile_of)(2, step, sum, start, x_channel, w, C, offset, taps);
}

/* The sums of a tile + bias, to `segments` segments of `columns` points `step` apart, of `lanes` channels `plane` apart;
   segment i starts at y + to[i]. */
static void NAME(small_write)(REAL *y, int64_t plane, const int64_t *to, int64_t segments, int64_t width, int64_t columns,
                              int64_t step, const REAL *sum, const REAL *bias, int64_t lanes) {
    REAL turned[LANES * SMALL_POINTS];
    for (int64_t p = 0; p < SMALL_POINTS; p += LANES) {
        VECTOR r[LANES];
        _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++) r[l] = *(const VECTOR *)(sum + (p + l) * LANES);
        NAME(gemm_transpose)(r);
        _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++) *(VECTOR *)(turned + l * SMALL_POINTS + p) = r[l];
    }
    int joined = columns == width && step == 1; /* whether the segments lie side by side */
    for (int64_t i = 1; i < segments; i++) joined &= to[i] == to[i - 1] + width;
    for (int64_t l = 0; l < lanes; l++) {
        const REAL add = bias ? bias[l] : 0;
        if (joined) NAME(conv_put_row)(y + l * plane + to[0], turned + l * SMALL_POINTS, add, segments * width, 1);
        else
            for (int64_t i = 0; i < segments; i++)
                NAME(conv_put_row)(y + l * plane + to[i], turned + l * SMALL_POINTS + i * width, add, columns, step);
    }
}

/* As conv_strip. */
static int64_t NAME(conv_small)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const conv_geometry *geometry,
                                int adjoint, int threads, char *scratch) {
    conv_geometry merged = *geometry, *const s = &merged;
    conv_merge_axes(s);
    const int64_t in = adjoint ? s->O : s->C, out = adjoint ? s->C : s->O, K = s->kernel[1] * s->kernel[2];
    const int64_t *from = adjoint ? s->out : s->image, *to = adjoint ? s->image : s->out;
    const int64_t phases = adjoint ? s->stride[1] * s->stride[2] : 1, blocks = (out + LANES - 1) / LANES;
    const int64_t to_plane = to[1] * to[2];
    conv_axis down[CONV_SMALL_PHASES], across[CONV_SMALL_PHASES];
    int64_t top = 0, bottom = from[1], left = 0, right = from[2], widest = 0, narrowest = INT64_MAX, points = 0;
    for (int64_t p = 0; p < phases; p++) {
        conv_axis *const h = &down[p], *const j = &across[p];
        *h = adjoint ? conv_adjoint_axis(s, 1, p / s->stride[2]) : conv_forward_axis(s, 1);
        *j = adjoint ? conv_adjoint_axis(s, 2, p % s->stride[2]) : conv_forward_axis(s, 2);
        if (j->count > widest) widest = j->count;
        if (j->count < narrowest) narrowest = j->count;
        points += h->count * j->count;
        if (h->count * j->count * h->taps * j->taps == 0) continue;
        top = conv_min(top, h->lo);
        left = conv_min(left, j->lo);
        bottom = -conv_min(-bottom, -(h->lo + (h->count - 1) * h->step + h->taps));
        right = -conv_min(-right, -(j->lo + (j->count - 1) * j->step + j->taps));
    }
    const int64_t width = widest > 2 ? 4 : 2, lines = SMALL_POINTS / width;
    /* x is read where it is if no tile reads beyond it */
    const int copy = bottom - top > from[1] || right - left > from[2] || narrowest < width;
    const int64_t rows = bottom - top, row = right - left, plane = rows * row, slack = 2 * SMALL_POINTS;
    /* pieces of the channels where there are few images to share: each of them copies its image anew */
    const int64_t chunks = s->N < 8 ? conv_min(blocks, (16 + s->N - 1) / s->N) : 1;
    int64_t images = 1; /* images that share the tiles of a job, and the weights that it has read */
    while (images * points < 64 && images * 16 <= s->N && images * in * plane < 32768) images *= 2;
    conv_arena arena = {scratch, 0};
    REAL *const packed = conv_take(&arena, (blocks * in * K + 1) * LANES * sizeof(REAL));
    int64_t *const offset = conv_take(&arena, K * sizeof(int64_t)), *const place = conv_take(&arena, K * sizeof(int64_t));
    int64_t first_tap[CONV_SMALL_PHASES], first_segment[CONV_SMALL_PHASES + 1], each[CONV_SMALL_PHASES], taps = 0, segments = 0;
    for (int64_t p = 0; p < phases; p++) {
        first_tap[p] = taps;
        first_segment[p] = segments;
        taps += down[p].taps * across[p].taps;
        each[p] = down[p].count * ((across[p].count + width - 1) / width); /* segments of one image */
        segments += images * each[p];
    }
    int64_t *const segment_from = conv_take(&arena, segments * sizeof(int64_t));
    int64_t *const segment_to = conv_take(&arena, segments * sizeof(int64_t));
    if (!scratch) return arena.used;
    for (int64_t p = 0; p < phases; p++) {
        const conv_axis *const h = &down[p], *const j = &across[p];
        int64_t at = first_tap[p], segment = first_segment[p];
        for (int64_t a = 0; a < h->taps; a++)
            for (int64_t b = 0; b < j->taps; b++, at++) { /* in order of the source: the kernel of the adjoint turned round */
                const int64_t kh = h->first_k + (adjoint ? h->taps - 1 - a : a) * h->k_step;
                const int64_t kw = j->first_k + (adjoint ? j->taps - 1 - b : b) * j->k_step;
                place[at] = kh * s->kernel[2] + kw;
                offset[at] = (h->lo - top + a) * row + j->lo - left + b;
            }
        for (int64_t n = 0; n < images; n++)
            for (int64_t i = 0; i < h->count; i++)
                for (int64_t m = 0; m < j->count; m += width, segment++) {
                    const int64_t first = j->count < width ? 0 : conv_min(m, j->count - width);
                    segment_from[segment] = n * in * plane + i * h->step * row + first * j->step;
                    segment_to[segment] = n * out * to_plane + (h->to + i * h->to_step) * to[2] + j->to + first * j->to_step;
                }
    }
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const int64_t copied_size = copy ? images * in * plane + slack : 0;
        REAL *const sum = mg_thread_scratch((SMALL_POINTS * LANES + K * LANES + copied_size) * sizeof(REAL));
        REAL *const turned = sum + SMALL_POINTS * LANES, *const copied = turned + K * LANES;
        memset(copied, 0, copied_size * sizeof(REAL)); /* what surrounds the copies stays 0 */
#pragma omp for schedule(static)
        for (int64_t b = 0; b < blocks; b++) { /* (phase, in, tap, LANES) */
            const int64_t lanes = conv_min(LANES, out - b * LANES);
            REAL *const block = packed + b * in * K * LANES;
            if (!adjoint) {
                NAME(gemm_pack)(lanes, in * K, w + b * LANES * in * K, in * K, 1, block, LANES);
                continue;
            }
            for (int64_t i = 0; i < in; i++) {
                NAME(gemm_pack)(lanes, K, w + (i * out + b * LANES) * K, K, 1, turned, LANES);
                for (int64_t p = 0; p < phases; p++) {
                    const int64_t here = down[p].taps * across[p].taps;
                    REAL *to_tap = block + (first_tap[p] * in + i * here) * LANES;
                    for (int64_t t = 0; t < here; t++, to_tap += LANES)
                        *(VECTOR *)to_tap = *(const VECTOR *)(turned + place[first_tap[p] + t] * LANES);
                }
            }
        }
#pragma omp for schedule(static)
        for (int64_t job = 0; job < (s->N + images - 1) / images * chunks; job++) {
            const int64_t n = job / chunks * images, chunk = job % chunks, here = conv_min(images, s->N - n);
            const REAL *image = x + n * in * from[1] * from[2];
            if (copy) {
                for (int64_t i = 0; i < here * in; i++)
                    for (int64_t h = 0; h < from[1]; h++, image += from[2])
                        NAME(conv_take_row)(copied + i * plane + (h - top) * row - left, image, from[2], 1);
                image = copied;
            }
            for (int64_t b = blocks * chunk / chunks; b < blocks * (chunk + 1) / chunks; b++)
                for (int64_t p = 0; p < phases; p++) {
                    const int64_t *const source = segment_from + first_segment[p];
                    const int64_t *const target = segment_to + first_segment[p];
                    for (int64_t q = 0; q < here * each[p]; q += lines) {
                        const int64_t count = conv_min(lines, here * each[p] - q);
                        const REAL *start[SMALL_POINTS / 2];
                        for (int64_t i = 0; i < lines; i++) start[i] = image + source[q + conv_min(i, count - 1)];
                        NAME(small_tile)(width, across[p].step, sum, start, plane,
                                         packed + (b * K + first_tap[p]) * in * LANES, in, offset + first_tap[p],
                                         down[p].taps * across[p].taps);
                        NAME(small_write)(y + (n * out + b * LANES) * to_plane, to_plane, target + q, count, width,
                                          conv_min(width, across[p].count), across[p].to_step, sum,
                                          bias ? bias + b * LANES : NULL, conv_min(LANES, out - b * LANES));
                    }
                }
        }
    }
    return arena.used;
}

#if REAL_IS_FLOAT /* double takes strips: a second set of the micro-kernels of matrix products would be 150 KB of code */

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
                    for (int64_t kw = 0; kw < KW; kw++, from += OH * OW - 1) sum += NAME(conv_masked)(mask[kw], from);
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

#undef SMALL_POINTS
