/* Convolutions with kernels of one point and a stride of 1: matrix products, (O, C) @ (C, points) for each image and group, in
   pieces of the points. Compiled through multiversion.h. */

#if REAL_IS_FLOAT /* as columns: see conv_small_kernels.h */

#define POINTWISE_COLUMNS 512 /* points of a piece: of 256 channels, 512 KB */
#define POINTWISE_JOBS 8      /* pieces that few images are cut into */

/* As conv_strip. */
static int64_t NAME(conv_pointwise)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const conv_geometry *s,
                                    int adjoint, int threads, char *scratch) {
    if (!scratch) return 0;
    const int64_t C = s->C / s->groups, O = s->O / s->groups, in = adjoint ? O : C, out = adjoint ? C : O;
    const int64_t points = s->out[0] * s->out[1] * s->out[2], products = s->N * s->groups, wide = 2 * LANES;
    int64_t pieces = (points + POINTWISE_COLUMNS - 1) / POINTWISE_COLUMNS;
    if (products * pieces < POINTWISE_JOBS) pieces = POINTWISE_JOBS / products;
    const int64_t size = conv_round_up((points + pieces - 1) / pieces, wide);
    pieces = (points + size - 1) / size;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const pack = mg_thread_scratch((GEMM_SCRATCH + out * wide) * sizeof(REAL)), *const start = pack + GEMM_SCRATCH;
#pragma omp for schedule(static)
        for (int64_t job = 0; job < products * pieces; job++) {
            const int64_t image = job / pieces, group = image % s->groups, first = job % pieces * size;
            for (int64_t i = 0; bias && i < out * wide; i++) start[i] = bias[group * out + i / wide];
            NAME(gemm_block_add)(out, conv_min(size, points - first), in, w + group * O * C, adjoint ? 1 : C, adjoint ? C : 1,
                                 x + image * in * points + first, points, 1, y + image * out * points + first, points,
                                 bias ? start : NULL, wide, 0, pack);
        }
    }
    return 0;
}

#undef POINTWISE_COLUMNS
#undef POINTWISE_JOBS

#endif
