/* Convolutions whose kernels tile the image, as the patches of a vision transformer do: stride and kernel are equal, nothing is
   padded. Compiled through multiversion.h.

   Each element of x belongs to one patch, and a patch to one point. With patches as rows, (points, C * kernel), y' = patches @
   w' and gx = g' @ w are matrix products, and a patch is copied line by line of the kernel. */

#if REAL_IS_FLOAT /* as columns: see conv_small_kernels.h */

#define PATCHES_DEEP 256   /* elements of 32 patches that are multiplied at a time; 128 and 384 take as long */
#define PATCHES_SIZE 65536 /* elements of patches at a time in the gradient of x: 256 KB, in L2 */

/* Copies `count` lines of `width` elements, `step` apart, to rows of K, or back. */
MG_INLINE void NAME(patches_line)(const int64_t width, const int back, REAL *x, int64_t step, REAL *row, int64_t K,
                                  int64_t count) {
    for (int64_t p = 0; p < count; p++, x += step, row += K) memcpy(back ? x : row, back ? row : x, width * sizeof(REAL));
}

/* Copies patches first .. first + count of one image x (C, image) to rows (count, K), or back. Widths that are known when this
   is compiled are moved in registers: 4x4, 3 channels, 224x224: the gradient of x 0.57 for 0.88 ms. */
MG_INLINE void NAME(patches_copy)(const int back, REAL *x, REAL *rows, int64_t K, const conv_geometry *s, int64_t first,
                                  int64_t count) {
    const int64_t *out = s->out, *kernel = s->kernel, *image = s->image, width = kernel[2];
    for (int64_t p = first, here; p < first + count; p += here, rows += here * K) {
        const int64_t w = p % out[2], h = p / out[2] % out[1] * kernel[1], d = p / out[2] / out[1] * kernel[0];
        here = conv_min(out[2] - w, first + count - p);
        REAL *row = rows;
        for (int64_t c = 0; c < s->C; c++)
            for (int64_t kd = d; kd < d + kernel[0]; kd++)
                for (int64_t kh = h; kh < h + kernel[1]; kh++, row += width) {
                    REAL *const at = x + ((c * image[0] + kd) * image[1] + kh) * image[2] + w * width;
                    if (width == 16) NAME(patches_line)(16, back, at, 16, row, K, here);
                    else if (width == 8) NAME(patches_line)(8, back, at, 8, row, K, here);
                    else if (width == 4) NAME(patches_line)(4, back, at, 4, row, K, here);
                    else if (width == 2) NAME(patches_line)(2, back, at, 2, row, K, here);
                    else NAME(patches_line)(width, back, at, width, row, K, here);
                }
    }
}

/* y (N, O, points), by panels of 2 * LANES patches, counted over all images; scratch and answer as those of conv_strip. */
static int64_t NAME(patches_forward)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const conv_geometry *s,
                                     int threads, char *scratch) {
    const int64_t K = s->C * s->kernel[0] * s->kernel[1] * s->kernel[2], wide = 2 * LANES;
    const int64_t points = s->out[0] * s->out[1] * s->out[2], image = s->C * s->image[0] * s->image[1] * s->image[2];
    const int64_t height = NAME(gemm_height)(s->O), blocks = conv_ceil_div(s->O, height);
    const int64_t block = K * height + LANES;
    const int64_t deep = conv_ceil_div(K, conv_ceil_div(K, PATCHES_DEEP));
    const NAME(gemm_tile_pointer) tile = NAME(gemm_tiles)[height][1][1];
    conv_arena arena = {scratch, 0};
    REAL *const packed = conv_take(&arena, blocks * block * sizeof(REAL));
    if (!scratch) return arena.used;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const rows = mg_thread_scratch((wide * (K + deep + blocks * height)) * sizeof(REAL));
        REAL *const panel = rows + wide * K, *const result = panel + wide * deep;
        memset(rows, 0, wide * K * sizeof(REAL)); /* patches that there are not */
#pragma omp for schedule(static)
        for (int64_t b = 0; b < blocks; b++) /* the last block may overlap the one before it */
            NAME(gemm_pack)(height, K, w + conv_min(b * height, s->O - height) * K, K, 1, packed + b * block, height);
#pragma omp for schedule(dynamic)
        for (int64_t first = 0; first < s->N * points; first += wide) {
            const int64_t count = conv_min(wide, s->N * points - first);
            for (int64_t q = 0, here; q < count; q += here) {
                const int64_t n = (first + q) / points, p = (first + q) % points;
                here = conv_min(count - q, points - p);
                NAME(patches_copy)(0, (REAL *)x + n * image, rows + q * K, K, s, p, here);
            }
            for (int64_t k = 0; k < K; k += deep) {
                const int64_t size = conv_min(deep, K - k);
                NAME(gemm_pack)(wide, size, rows + k, K, 1, panel, wide);
                for (int64_t b = 0; b < blocks; b++) {
                    const int64_t top = conv_min(b * height, s->O - height);
                    REAL *const to = result + top * wide;
                    tile(size, packed + b * block + k * height, height, panel, wide, to, wide, k ? to : NULL, wide, LANES,
                         b * height - top);
                }
            }
            for (int64_t q = 0, here; q < count; q += here) {
                const int64_t n = (first + q) / points, p = (first + q) % points;
                here = conv_min(count - q, points - p);
                for (int64_t o = 0; o < s->O; o++)
                    NAME(conv_put_row)(y + (n * s->O + o) * points + p, result + o * wide + q, bias ? bias[o] : 0, here, 1);
            }
        }
    }
    return 0;
}

/* gx (N, C, image), by pieces of the points of an image. */
static int64_t NAME(patches_adjoint)(const REAL *g, const REAL *w, const REAL *bias, REAL *gx, const conv_geometry *s,
                                     int threads, char *scratch) {
    if (!scratch) return 0;
    const int64_t kernel = s->kernel[0] * s->kernel[1] * s->kernel[2], K = s->C * kernel;
    const int64_t points = s->out[0] * s->out[1] * s->out[2], image = s->C * s->image[0] * s->image[1] * s->image[2];
    const int64_t least = conv_round_up(conv_ceil_div(PATCHES_SIZE, K), 14), pieces = conv_ceil_div(points, least);
    const int64_t size = conv_ceil_div(points, pieces);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const pack = mg_thread_scratch((GEMM_SCRATCH + size * K + K) * sizeof(REAL)), *const rows = pack + GEMM_SCRATCH;
        REAL *const start = rows + size * K;
        for (int64_t k = 0; bias && k < K; k++) start[k] = bias[k / kernel];
#pragma omp for schedule(static)
        for (int64_t job = 0; job < s->N * pieces; job++) {
            const int64_t n = job / pieces, first = job % pieces * size, count = conv_min(size, points - first);
            NAME(gemm_block_add)(count, K, s->O, g + n * s->O * points + first, 1, points, w, K, 1, rows, K,
                                 bias ? start : NULL, 0, 1, pack);
            NAME(patches_copy)(1, gx + n * image, rows, K, s, first, count);
        }
    }
    return 0;
}

#undef PATCHES_DEEP
#undef PATCHES_SIZE

#endif
