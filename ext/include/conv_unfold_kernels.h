/* unfold and fold: im2col and col2im as operations of their own. Compiled through multiversion.h. */

/* columns[n, c, k, p] = image[n, c, p * stride - padding + k * dilation], 0 outside;  (N, C, image) -> (N, C * kernel, out) */
static void NAME(unfold)(const REAL *x, REAL *columns, const conv_geometry *s, int threads) {
    const int64_t kernel = s->kernel[0] * s->kernel[1] * s->kernel[2], image = s->image[0] * s->image[1] * s->image[2];
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t job = 0; job < s->N * s->C * kernel; job++) {
        const int64_t k = job % kernel, nc = job / kernel;
        const int64_t tap[3] = {k / s->kernel[2] / s->kernel[1], k / s->kernel[2] % s->kernel[1], k % s->kernel[2]};
        const int64_t at_w = tap[2] * s->dilation[2] - s->padding[2];
        REAL *row = columns + job * s->out[0] * s->out[1] * s->out[2];
        int64_t from, to;
        NAME(conv_inside)(s->out[2], at_w, s->stride[2], s->image[2], &from, &to);
        for (int64_t d = 0; d < s->out[0]; d++)
            for (int64_t h = 0; h < s->out[1]; h++, row += s->out[2]) {
                const int64_t at_d = d * s->stride[0] - s->padding[0] + tap[0] * s->dilation[0];
                const int64_t at_h = h * s->stride[1] - s->padding[1] + tap[1] * s->dilation[1];
                if (at_d < 0 || at_d >= s->image[0] || at_h < 0 || at_h >= s->image[1])
                    for (int64_t j = 0; j < s->out[2]; j++) row[j] = 0;
                else
                    NAME(conv_fill_row)(row, s->out[2], x + nc * image + (at_d * s->image[1] + at_h) * s->image[2] + at_w,
                                        s->stride[2], from, to);
            }
    }
}

/* The adjoint of unfold: every column element is added to the image element it came from, in order of k, then p. */
static void NAME(fold)(const REAL *columns, REAL *x, const conv_geometry *s, int threads) {
    const int64_t kernel = s->kernel[0] * s->kernel[1] * s->kernel[2], image = s->image[0] * s->image[1] * s->image[2];
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t nc = 0; nc < s->N * s->C; nc++) {
        REAL *const plane = x + nc * image;
        const REAL *row = columns + nc * kernel * s->out[0] * s->out[1] * s->out[2];
        for (int64_t i = 0; i < image; i++) plane[i] = 0;
        for (int64_t k = 0; k < kernel; k++) {
            const int64_t tap[3] = {k / s->kernel[2] / s->kernel[1], k / s->kernel[2] % s->kernel[1], k % s->kernel[2]};
            const int64_t start = tap[2] * s->dilation[2] - s->padding[2], S = s->stride[2], W = s->image[2];
            int64_t from, to;
            NAME(conv_inside)(s->out[2], start, S, W, &from, &to);
            for (int64_t d = 0; d < s->out[0]; d++)
                for (int64_t h = 0; h < s->out[1]; h++, row += s->out[2]) {
                    const int64_t at_d = d * s->stride[0] - s->padding[0] + tap[0] * s->dilation[0];
                    const int64_t at_h = h * s->stride[1] - s->padding[1] + tap[1] * s->dilation[1];
                    if (at_d < 0 || at_d >= s->image[0] || at_h < 0 || at_h >= s->image[1]) continue;
                    REAL *line = plane + (at_d * s->image[1] + at_h) * W + start;
                    for (int64_t j = from; j < to; j++) line[j * S] += row[j];
                }
        }
    }
}
