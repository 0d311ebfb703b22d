/* Grids of points, strips and tiles of the strip algorithm (conv_strip_kernels.h).

   Both directions, image -> output and output -> image, are written as a correlation over a grid of points with unit steps:
   grid point m along an axis reads source elements m * step + base(tap) and writes destination element to + m * to_step.
   The forward direction is one grid; its adjoint splits into one grid for each phase of the stride, each with the taps that
   reach it. So nothing is scattered: every element of the result has one owner, and its sum one order. */
#ifndef MINIGRAD_CONV_STRIP_H
#define MINIGRAD_CONV_STRIP_H

/* One axis of a grid. Tap i = 0 .. taps-1 is kernel element first_k + i * k_step and reads at base + i * base_step.
   A strip (see fill_strip) holds the source split by phase of `step`, so that a tap is a constant offset into it:
   element j of phase p is source element lo + p * unit + j * step. */
typedef struct {
    int64_t count, step, to, to_step;
    int64_t taps, first_k, k_step, base, base_step;
    int64_t lo, unit, phases, reach; /* reach: by how much the largest shift of a tap lengthens a strip */
} conv_axis;

static int64_t conv_gcd(int64_t a, int64_t b) {
    while (b) {
        const int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static void conv_finish_axis(conv_axis *a) {
    const int64_t back = a->base_step < 0 ? -a->base_step : a->base_step, span = a->taps > 1 ? (a->taps - 1) * back : 0;
    a->lo = a->base_step < 0 ? a->base - span : a->base;
    a->unit = a->taps > 1 ? conv_gcd(a->step, back) : a->step;
    a->phases = a->step / a->unit < span / a->unit + 1 ? a->step / a->unit : span / a->unit + 1;
    a->reach = span / a->step;
}

/* The axis of the forward direction. */
static conv_axis conv_forward_axis(const conv_geometry *s, int i) {
    conv_axis a = {.count = s->out[i], .step = s->stride[i], .to = 0, .to_step = 1, .taps = s->kernel[i], .first_k = 0,
                   .k_step = 1, .base = -s->padding[i], .base_step = s->dilation[i]};
    conv_finish_axis(&a);
    return a;
}

/* The axis of the adjoint for image elements e with (e + padding) % stride == phase: element e = q * stride + phase - padding
   gets kernel element k from output element q - (k * dilation - phase) / stride, for every k that makes this whole. */
static conv_axis conv_adjoint_axis(const conv_geometry *s, int i, int64_t phase) {
    const int64_t S = s->stride[i], D = s->dilation[i], P = s->padding[i], K = s->kernel[i];
    const int64_t q0 = conv_ceil_div(P - phase, S), common = conv_gcd(D, S);
    conv_axis a = {.step = 1, .to = q0 * S + phase - P, .to_step = S, .k_step = S / common, .base_step = -D / common};
    a.count = a.to < s->image[i] ? (s->image[i] - a.to - 1) / S + 1 : 0;
    while (a.first_k < K && a.first_k * D % S != phase && a.first_k < a.k_step) a.first_k++;
    a.taps = a.first_k < K && a.first_k < a.k_step ? (K - a.first_k - 1) / a.k_step + 1 : 0;
    a.base = q0 - (a.first_k * D - phase) / S;
    if (a.taps == 0) a.base = 0;
    conv_finish_axis(&a);
    return a;
}

/* A grid cut into tiles; how it is cut depends on shapes only. */
typedef struct {
    conv_axis axis[3];
    int64_t tile[3], tiles[3], length[3]; /* points of a tile, tiles along each axis, strip elements of a tile for each phase */
    int64_t images, image_tiles;          /* images that share a tile */
    int64_t taps, K;                      /* taps, and channels * taps */
    int64_t plane, channel;               /* strip elements of one channel: of one image, of all images of the tile */
    int64_t chunks, jobs, first_job;      /* pieces of the output channels; independent pieces of work */
    int level;                            /* what a run of columns spans, see conv_run */
    int64_t *offset;                      /* (K): where in the strip each (channel, tap) reads */
    int64_t *k;                           /* (taps): which element of a kernel each tap is */
    void *packed;                         /* (groups, blocks, K, rows): the weights of each block of output channels */
} conv_grid;

static int64_t conv_points(const conv_grid *g) { return g->tile[0] * g->tile[1] * g->tile[2]; }

static void conv_measure(conv_grid *g, int64_t channels) {
    g->plane = 1;
    for (int i = 0; i < 3; i++) {
        const conv_axis *a = &g->axis[i];
        g->tiles[i] = (a->count + g->tile[i] - 1) / g->tile[i];
        g->tile[i] = (a->count + g->tiles[i] - 1) / g->tiles[i];
        g->length[i] = g->tile[i] + a->reach;
        g->plane *= g->length[i] * a->phases;
    }
    g->channel = g->images * g->plane;
    g->K = channels * g->taps;
}

/* Halves the tile along its first axis longer than 1 (the last only down to `least` points), if possible one along which strips
   do not overlap; 0 where it is as small as can be. */
static int conv_halve(conv_grid *g, int64_t least, int64_t channels) {
    int axis = -1;
    for (int i = 2; i >= 0; i--)
        if (g->tile[i] > (i == 2 ? least : 1) && (axis < 0 || axis == 2 || g->axis[i].reach == 0 || g->axis[axis].reach > 0))
            axis = i;
    if (axis < 0) return 0;
    g->tile[axis] = (g->tile[axis] + 1) / 2;
    conv_measure(g, channels);
    return 1;
}

static void conv_start_tiles(conv_grid *g, int64_t channels) {
    g->taps = 1;
    for (int i = 0; i < 3; i++) {
        g->taps *= g->axis[i].taps;
        g->tile[i] = g->axis[i].count;
    }
    g->images = 1;
    conv_measure(g, channels);
}

static int64_t conv_tiles(const conv_grid *g) { return g->tiles[0] * g->tiles[1] * g->tiles[2]; }

/* Tile number t: its first point along each axis and how many points it has. */
static void conv_tile(const conv_grid *g, int64_t t, int64_t *first, int64_t *size) {
    for (int i = 2; i >= 0; i--) {
        first[i] = t % g->tiles[i] * g->tile[i];
        t /= g->tiles[i];
        size[i] = g->axis[i].count - first[i] < g->tile[i] ? g->axis[i].count - first[i] : g->tile[i];
    }
}

/* The points of a tile of size a are computed in runs of neighbouring strip elements. A run spans, by level, 0 the whole tile,
   1 an image, 2 a plane, 3 a row; what lies between the points of a run is computed too and dropped. At level CONV_GATHER the
   points alone are gathered into one run. Gives the number of runs, and the length of one. */
#define CONV_GATHER 4
static int64_t conv_run(const conv_grid *g, const int64_t *a, int64_t images, int level, int64_t *length) {
    const int64_t row = a[2], plane = (a[1] - 1) * g->length[2] + row, image = (a[0] - 1) * g->length[1] * g->length[2] + plane;
    *length = level == 0   ? (images - 1) * g->plane + image
              : level == 1 ? image
              : level == 2 ? plane
              : level == 3 ? row
                           : images * a[0] * a[1] * a[2];
    return level == 1 ? images : level == 2 ? images * a[0] : level == 3 ? images * a[0] * a[1] : 1;
}

/* offset[t * channels + c] for every tap and channel, taps of a line side by side; where `k` is given, k[t] is the place of tap
   t in a kernel (KD, KH, KW). */
static void conv_offsets(const conv_grid *g, int64_t channels, const int64_t *kernel, int64_t *offset, int64_t *k) {
    int64_t t = 0, at[3], index[3], phase[3];
    for (at[0] = 0; at[0] < g->axis[0].taps; at[0]++)
        for (at[1] = 0; at[1] < g->axis[1].taps; at[1]++)
            for (at[2] = 0; at[2] < g->axis[2].taps; at[2]++, t++) {
                int64_t shift[3];
                for (int i = 0; i < 3; i++) {
                    const conv_axis *a = &g->axis[i];
                    const int64_t up = a->base + at[i] * a->base_step - a->lo;
                    phase[i] = up % a->step / a->unit;
                    shift[i] = up / a->step;
                    index[i] = a->first_k + at[i] * a->k_step;
                }
                const int64_t plane = (phase[0] * g->axis[1].phases + phase[1]) * g->axis[2].phases + phase[2];
                const int64_t at_t = ((plane * g->length[0] + shift[0]) * g->length[1] + shift[1]) * g->length[2] + shift[2];
                for (int64_t c = 0; c < channels; c++) offset[t * channels + c] = at_t + c * g->channel;
                if (k) k[t] = (index[0] * kernel[1] + index[1]) * kernel[2] + index[2];
            }
}

/* An axis of kernel 1, stride 1 without padding only enumerates elements: two such neighbours are one axis. */
static void conv_merge_axes(conv_geometry *s) {
    for (int turn = 0; turn < 3; turn++) {
        const int i = turn < 2; /* twice the last two axes, for all three may be plain; then the first two */
        int plain = 1;
        for (int j = i; j < i + 2; j++)
            plain &= s->kernel[j] == 1 && s->stride[j] == 1 && s->padding[j] == 0 && s->image[j] == s->out[j];
        if (!plain) continue;
        s->image[i + 1] *= s->image[i];
        s->out[i + 1] *= s->out[i];
        s->image[i] = s->out[i] = 1;
        if (i == 1) { /* what was the first axis moves next to the last one */
            for (int64_t *v = s->image; v < (int64_t *)(s + 1); v += 3) {
                v[1] = v[0];
                v[0] = v == s->padding ? 0 : 1;
            }
        }
    }
}

/* How many elements lie between neighbours along each axis of an array of these sizes. */
static void conv_steps(const int64_t *size, int64_t *step) {
    step[2] = 1;
    step[1] = size[2];
    step[0] = size[1] * size[2];
}

/* A kernel along one of two axes, such as 1x7, with a twentieth of its taps and more in the padding: that axis, the images and
   the other axis become the three axes of one image. So neighbours in a strip have the same taps in the padding, which are left
   out, and no line ends before the tile does. steps: between elements of the image and of the output, which stay where they
   are. */
static void conv_turn_axes(conv_geometry *s, int64_t *image_step, int64_t *out_step) {
    const int along = s->kernel[1] > 1 ? 1 : 2, other = 3 - along;
    const int64_t S = s->stride[along], P = s->padding[along], image = s->image[along], out = s->out[along];
    for (int i = 0; i < 3; i++)
        if (i != along && (s->kernel[i] != 1 || s->stride[i] != 1 || s->padding[i] != 0 || s->image[i] != s->out[i])) return;
    if (s->image[0] != 1 || s->image[other] < 8) return;
    int64_t inside = 0;
    for (int64_t k = 0; k < s->kernel[along]; k++) {
        const int64_t back = P - k * s->dilation[along], first = conv_ceil_div(back, S), end = conv_ceil_div(image + back, S);
        inside += conv_max(conv_min(end, out) - conv_max(first, 0), 0);
    }
    if (20 * inside > 19 * out * s->kernel[along]) return;
    const int64_t lines = s->image[other], axes[3][6] = {
        {image, s->kernel[along], out, S, P, s->dilation[along]}, {s->N, 1, s->N, 1, 0, 1}, {lines, 1, lines, 1, 0, 1}};
    const int64_t image_turned[3] = {image_step[along], s->C * image * lines, image_step[other]};
    const int64_t out_turned[3] = {out_step[along], s->O * out * lines, out_step[other]};
    for (int i = 0; i < 3; i++) {
        s->image[i] = axes[i][0], s->kernel[i] = axes[i][1], s->out[i] = axes[i][2];
        s->stride[i] = axes[i][3], s->padding[i] = axes[i][4], s->dilation[i] = axes[i][5];
        image_step[i] = image_turned[i], out_step[i] = out_turned[i];
    }
    s->N = 1;
}

/* For each plane m .. m + count of a tile, which of the K = taps * channels products do not lie in the padding in front of and
   behind the planes of the source: those from low[d] up to high[d]. */
static void conv_planes_inside(const conv_grid *g, int64_t size, int64_t m, int64_t count, int64_t *low, int64_t *high) {
    const conv_axis *a = &g->axis[0];
    for (int64_t d = 0; d < count; d++) {
        low[d] = g->K;
        high[d] = 0;
        for (int64_t i = 0; i < a->taps; i++) {
            const int64_t at = (m + d) * a->step + a->base + i * a->base_step;
            if (at < 0 || at >= size) continue;
            low[d] = conv_min(low[d], i * (g->K / a->taps));
            high[d] = (i + 1) * (g->K / a->taps);
        }
    }
}

typedef struct {
    int64_t first, end;
} conv_range;

/* For each tap and axis, which of the points m .. m + a read the image of this size and not its padding; whether all do. */
static int conv_points_inside(const conv_grid *g, const int64_t *size, const int64_t *m, const int64_t *a, conv_range *range) {
    int whole = 1;
    for (int64_t t = 0; t < g->taps; t++, range += 3)
        for (int64_t i = 2, rest = t; i >= 0; rest /= g->axis[i--].taps) {
            const conv_axis *axis = &g->axis[i];
            const int64_t from = m[i] * axis->step + axis->base + rest % axis->taps * axis->base_step;
            range[i].first = conv_min(conv_max(conv_ceil_div(-from, axis->step), 0), a[i]);
            range[i].end = conv_max(conv_min(conv_ceil_div(size[i] - from, axis->step), a[i]), range[i].first);
            whole &= range[i].end - range[i].first == a[i];
        }
    return whole;
}

#endif
