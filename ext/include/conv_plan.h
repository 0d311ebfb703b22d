/* Which algorithm computes a convolution. The one place that decides, and by shapes alone, so that the bits of a result do not
   depend on the machine's load, on threads, or on what was computed before. */
#ifndef MINIGRAD_CONV_PLAN_H
#define MINIGRAD_CONV_PLAN_H

enum { CONV_FORWARD, CONV_ADJOINT, CONV_WEIGHT };
enum { CONV_STRIP, CONV_WINOGRAD, CONV_DEPTHWISE, CONV_POINTWISE, CONV_SMALL, CONV_COLUMNS, CONV_PATCHES };
static const char *const CONV_NAMES[] = {"strip", "winograd", "depthwise", "pointwise", "small", "columns", "patches"};
#define CONV_SMALL_PHASES 4 /* of a stride of 2 along two axes */
#define CONV_COLUMNS_WIDTH 32 /* the widest kernel of the columns algorithm */
enum { CONV_NO_MEMORY = -1, CONV_NOT_FINITE = -2 }; /* what an algorithm may answer instead of a number of bytes */

/* One group, stride 1, dilation 1, along two axes. */
static int conv_plan_plain(const conv_geometry *s) {
    if (s->groups != 1 || s->image[0] != 1 || s->out[0] != 1 || s->kernel[0] != 1 || s->padding[0] != 0) return 0;
    return s->stride[1] == 1 && s->stride[2] == 1 && s->dilation[1] == 1 && s->dilation[2] == 1;
}

/* m where Winograd's algorithm F(m x m, kernel) can compute it, else 0: stride 1, kernels of 3x3 and 5x5, any third axis. */
static int64_t conv_winograd_tile(const conv_geometry *s) {
    const int64_t kernel = s->kernel[1];
    if (s->stride[0] != 1 || s->stride[1] != 1 || s->stride[2] != 1 || kernel != s->kernel[2]) return 0;
    return kernel == 3 ? s->winograd : kernel == 5 && s->winograd == 4 ? 2 : 0;
}

/* Winograd's algorithm needs enough channels to make little of its transforms, and images that its tiles fill fairly well. What it
   rounds away is for large layers alone: a network of 16 channels, trained by Adam for 30 steps, ended 4e-4 off the definition. */
static int conv_plan_winograd(const conv_geometry *s, int direction) {
    const int64_t *result = direction == CONV_ADJOINT ? s->image : s->out, m = conv_winograd_tile(s);
    const int64_t C = s->C / s->groups, O = s->O / s->groups, points = m + s->kernel[1] - 1;
    if (m == 0 || C < 16 || O < 16 || s->C * s->O * s->kernel[0] < 1024) return 0;
    const int64_t rows = conv_round_up(result[1], m * s->dilation[1]), columns = conv_round_up(result[2], m * s->dilation[2]);
    const double products = (double)(rows * columns * points * points) / (m * m) * (C + 4) * (O + 4);
    return 10 * products < 7.0 * (double)(result[1] * result[2] * s->kernel[1] * s->kernel[2]) * C * O;
}

/* Two axes, and what conv_depthwise_kernels.h is compiled for. */
static int conv_plan_depthwise(const conv_geometry *s) {
    if (s->groups != s->C || s->groups != s->O || s->image[0] != 1 || s->out[0] != 1 || s->kernel[0] != 1 ||
        s->padding[0] != 0) return 0;
    if (s->kernel[1] != s->kernel[2] || s->stride[1] != s->stride[2] || s->dilation[1] != 1 || s->dilation[2] != 1) return 0;
    if (s->kernel[1] != 3 && s->kernel[1] != 5 && s->kernel[1] != 7) return 0;
    return s->stride[1] <= 2;
}

/* A kernel of one point that moves over the whole image, points that fill vectors fairly well, and enough of them. */
static int conv_plan_pointwise(const conv_geometry *s, int direction) {
    const int64_t points = s->out[0] * s->out[1] * s->out[2];
    for (int i = 0; i < 3; i++)
        if (s->kernel[i] != 1 || s->stride[i] != 1 || s->padding[i] != 0 || s->out[i] != s->image[i]) return 0;
    if (direction == CONV_WEIGHT || s->C < 8 * s->groups || s->O < 8 * s->groups || s->N * points < 1024) return 0;
    return 100 * points >= 85 * conv_round_up(points, 16);
}

/* Stride 1 or 2 along two axes, with a result of up to 256 points for each phase of the stride of the adjoint, and vectors that
   its channels fill well. */
static int conv_plan_small(const conv_geometry *s, int direction) {
    const int64_t *result = direction == CONV_ADJOINT ? s->image : s->out, channels = direction == CONV_ADJOINT ? s->C : s->O;
    const int64_t stride = s->stride[1], step = direction == CONV_ADJOINT ? stride : 1;
    if (s->groups != 1 || s->image[0] != 1 || s->out[0] != 1 || s->kernel[0] != 1 || s->padding[0] != 0) return 0;
    if (stride != s->stride[2] || stride > 2 || s->dilation[1] != 1 || s->dilation[2] != 1) return 0;
    const int64_t height = (result[1] + step - 1) / step, width = (result[2] + step - 1) / step;
    if (direction == CONV_WEIGHT || height * width > 256 || (height * width < 16 && s->N < 64)) return 0;
    return 10 * channels * width >= 7 * conv_round_up(channels, 16) * conv_round_up(width, width > 2 ? 4 : 2);
}

/* An image that has at least half as many points again as the output, columns that fit in a cache, and enough to sum up in a
   product. */
static int conv_plan_columns(const conv_geometry *s, int direction) {
    const int64_t out = s->out[1] * s->out[2], rows = s->C * s->kernel[1] * s->kernel[2];
    if (direction != CONV_ADJOINT || !conv_plan_plain(s) || s->O < 8) return 0;
    if (s->kernel[2] > CONV_COLUMNS_WIDTH) return 0;
    if (s->N < 8 && rows * out * s->O > 2000000) return 0; /* an image is the work of one thread */
    return 2 * s->image[1] * s->image[2] >= 3 * out && rows * out <= 65536 && out >= 16;
}

/* Kernels that tile the image, with room for patches as rows of a matrix. Forward lines of 8 and more: with 4 it takes 0.78 ms
   for the strips' 0.70 (3 channels, 224x224). */
static int conv_plan_patches(const conv_geometry *s, int direction) {
    const int64_t kernel = s->kernel[0] * s->kernel[1] * s->kernel[2];
    if (direction == CONV_WEIGHT || s->groups != 1 || kernel == 1 || s->C * kernel > 8192 || s->O < 8) return 0;
    for (int i = 0; i < 3; i++)
        if (s->kernel[i] != s->stride[i] || s->padding[i] != 0 || s->out[i] * s->kernel[i] != s->image[i] ||
            (s->dilation[i] != 1 && s->kernel[i] > 1)) return 0;
    return direction == CONV_FORWARD ? s->kernel[2] >= 8 : s->out[0] * s->out[1] * s->out[2] >= 16;
}

static int conv_plan(const conv_geometry *s, int direction, int is_float) {
    if (is_float && conv_plan_winograd(s, direction)) return CONV_WINOGRAD;
    if (conv_plan_depthwise(s)) return CONV_DEPTHWISE;
    if (is_float && conv_plan_patches(s, direction)) return CONV_PATCHES;
    if (is_float && conv_plan_columns(s, direction)) return CONV_COLUMNS;
    if (is_float && conv_plan_pointwise(s, direction)) return CONV_POINTWISE;
    if (conv_plan_small(s, direction)) return CONV_SMALL;
    return CONV_STRIP;
}

#endif
