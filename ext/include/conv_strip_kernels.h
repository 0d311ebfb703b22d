/* Convolutions by definition, of any geometry. Compiled through multiversion.h; conv_strip.h explains grids and strips.

   There is no im2col buffer. The source of a tile is copied once into a zero-padded strip, split by phase of the stride, where
   every tap of every channel is a constant offset; the micro-kernel multiplies a block of output channels by a run of
   neighbouring points, reading the source at strip + offset[k]. What lies between the rows of the destination is computed too
   and dropped; where that would be too much (small outputs) the columns are gathered first, which is im2col for one register
   tile. */

#if ISA_LEVEL >= 4
#define CONV_ROWS 14 /* output channels of a register tile: 14 x 2 accumulators of 32 registers */
#define CONV_VECTORS(rows) ((rows) <= 3 ? 8 : (rows) <= 6 ? 4 : 2)
#else
#define CONV_ROWS 6
#define CONV_VECTORS(rows) ((rows) == 1 ? 8 : (rows) <= 3 ? 4 : 2)
#endif
#define CONV_STRIP (524288 / (int64_t)sizeof(REAL)) /* elements of a strip: 512 KB, half of an L2 cache */
#define CONV_JOBS 8                                 /* pieces that a large enough problem is cut into at least */
#define CONV_GATHERED 128 /* taps that are gathered at a time: by two vectors, 16 KB, half of an L1 cache */
#define CONV_TAKEN 64  /* pieces of lines that are copied for all channels at a time */
#define CONV_LARGE 1000000                          /* multiplications from which cutting it further is worth the trouble */

/* c[i][j] = sum over k of a[k][i] * b[offset[k] + j];  a (K, rows), rows x (vectors * LANES) results, each sum in order of k,
   from what c has on where there is `more` of it */
MG_INLINE void NAME(conv_micro)(const int rows, const int vectors, int64_t K, const REAL *a, const REAL *b,
                                const int64_t *offset, REAL *c, int64_t c_row, int more) {
    VECTOR sum[CONV_ROWS][8];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) sum[i][j] = more ? *(const VECTOR *)(c + i * c_row + j * LANES) : (VECTOR){0};
    for (int64_t k = 0; k < K; k++, a += rows) {
        const REAL *from = b + offset[k];
        VECTOR x[8];
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) x[j] = *(const VECTOR *)(from + j * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
            for (int j = 0; j < vectors; j++) sum[i][j] += a[i] * x[j];
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) *(VECTOR *)(c + i * c_row + j * LANES) = sum[i][j];
}

#define CONV_MICRO(n)                                                                                                          \
    static __attribute__((noinline)) void NAME(conv_micro_##n)(int64_t K, const REAL *a, const REAL *b, const int64_t *offset, \
                                                               REAL *c, int64_t c_row, int more) {                             \
        NAME(conv_micro)(n, CONV_VECTORS(n), K, a, b, offset, c, c_row, more);                                                 \
    }
CONV_MICRO(1) CONV_MICRO(2) CONV_MICRO(3) CONV_MICRO(4) CONV_MICRO(5) CONV_MICRO(6)
#if CONV_ROWS > 6
CONV_MICRO(7) CONV_MICRO(8) CONV_MICRO(9) CONV_MICRO(10) CONV_MICRO(11) CONV_MICRO(12) CONV_MICRO(13) CONV_MICRO(14)
#endif

typedef void (*NAME(conv_micro_t))(int64_t, const REAL *, const REAL *, const int64_t *, REAL *, int64_t, int);
#define CONV_FIRST_SIX(f) NAME(f##_1), NAME(f##_2), NAME(f##_3), NAME(f##_4), NAME(f##_5), NAME(f##_6)
#if CONV_ROWS > 6
#define CONV_TABLE(f)                                                                                                     \
    {NULL, CONV_FIRST_SIX(f), NAME(f##_7), NAME(f##_8), NAME(f##_9), NAME(f##_10), NAME(f##_11), NAME(f##_12), NAME(f##_13), \
     NAME(f##_14)}
#else
#define CONV_TABLE(f) {NULL, CONV_FIRST_SIX(f)}
#endif
static const NAME(conv_micro_t) NAME(conv_micro_table)[CONV_ROWS + 1] = CONV_TABLE(conv_micro);

/* A vector of a line of a strip, or what there is of it: n elements, taken from element `from` of an image on, of which those
   from `first` up to `end` lie in it; mask: the lanes of each of the vectors there that do. */
typedef struct {
    int64_t from, to, n, first, end;
    uint32_t mask[4];
} NAME(conv_taken);

static NAME(conv_taken) NAME(conv_piece_of_line)(int64_t at, int64_t to, int64_t n, int64_t step, int64_t size) {
    NAME(conv_taken) piece = {.from = at, .to = to, .n = n};
    NAME(conv_inside)(n, at, step, size, &piece.first, &piece.end);
    for (int i = 0; i < 4; i++) piece.mask[i] = NAME(conv_lanes)(-at - i * LANES, conv_min(size - at, n * step) - i * LANES);
    return piece;
}

/* Whether the phases of a line are copied one after another, element by element. Else they are copied together, as vectors: 4x4
   of stride 4, 3 to 96 channels, 224x224, takes 0.70 ms so, and 0.79 with vectors for one phase at a time. */
static int NAME(conv_by_elements)(const conv_axis *a, int64_t x_step) {
    return x_step > 1 || (a->step != 1 && a->step != 2 && a->step != 4) || (a->phases > 1 && a->unit > 1);
}

/* y[p * phase + j] = x[p + j * step] for p < phases, j < n <= LANES; 0 for elements whose lane of x is not in the mask. */
MG_INLINE void NAME(conv_split)(const int step, REAL *y, int64_t phase, int64_t phases, int64_t n, const REAL *x,
                                const uint32_t *mask) {
    VECTOR v[4], u[4];
    _Pragma("GCC unroll 4") for (int i = 0; i < step; i++) v[i] = NAME(conv_masked)(mask[i], x + i * LANES);
    _Pragma("GCC unroll 2") for (int half = 0; step == 4 && half < 2; half++) {
        const VECTOR low = NAME(conv_every_second)(v[0], v[1], half), high = NAME(conv_every_second)(v[2], v[3], half);
        u[half] = NAME(conv_every_second)(low, high, 0);
        u[half + 2] = NAME(conv_every_second)(low, high, 1);
    }
    _Pragma("GCC unroll 2") for (int half = 0; step == 2 && half < 2; half++)
        u[half] = NAME(conv_every_second)(v[0], v[1], half);
    if (step == 1) u[0] = v[0];
    _Pragma("GCC unroll 4") for (int p = 0; p < step; p++)
        if (p < phases) NAME(gemm_store)(y + p * phase, u[p], n);
}

/* Copies the pieces of all channels and images of a tile. */
static void NAME(conv_fill_pieces)(REAL *strip, const REAL *x, int64_t x_channel, int64_t x_image, int64_t x_step,
                                   int64_t channels, int64_t images, const conv_grid *g, const NAME(conv_taken) *piece,
                                   int64_t pieces) {
    const int64_t step = g->axis[2].step, phases = g->axis[2].phases, phase = g->length[0] * g->length[1] * g->length[2];
    const int by_elements = NAME(conv_by_elements)(&g->axis[2], x_step);
    for (int64_t c = 0; c < channels; c++)
        for (int64_t n = 0; n < images; n++) {
            const REAL *const image = x + n * x_image + c * x_channel;
            REAL *const plane = strip + c * g->channel + n * g->plane;
            for (const NAME(conv_taken) *q = piece; q < piece + pieces; q++) {
                if (by_elements)
                    NAME(conv_fill_row)(plane + q->to, q->n, image + q->from, step * x_step, q->first, q->end);
                else if (step == 1) NAME(conv_split)(1, plane + q->to, phase, phases, q->n, image + q->from, q->mask);
                else if (step == 2) NAME(conv_split)(2, plane + q->to, phase, phases, q->n, image + q->from, q->mask);
                else NAME(conv_split)(4, plane + q->to, phase, phases, q->n, image + q->from, q->mask);
            }
        }
}

/* Copies what a tile (first point m, size a) reads of `channels` channels of `images` images into a strip. Where each piece
   lies is found once for all of them, since small images have short lines: the gradient of w of 3x3 with a stride of 2, 64 to
   128 channels, 8x8, takes 0.53 ms and not 0.63. */
static void NAME(conv_fill_strip)(REAL *strip, const REAL *x, int64_t x_channel, int64_t x_image, const int64_t *x_step,
                                  int64_t channels, int64_t images, const conv_grid *g, const int64_t *size, const int64_t *m,
                                  const int64_t *a) {
    const conv_axis *D = &g->axis[0], *H = &g->axis[1], *W = &g->axis[2];
    const int64_t at_once = NAME(conv_by_elements)(W, x_step[2]) ? 1 : W->phases;
    NAME(conv_taken) piece[CONV_TAKEN];
    int64_t pieces = 0, phase = 0;
    for (int64_t pd = 0; pd < D->phases; pd++)
        for (int64_t ph = 0; ph < H->phases; ph++)
            for (int64_t pw = 0; pw < W->phases; pw += at_once, phase += at_once)
                for (int64_t d = 0; d < a[0] + D->reach; d++)
                    for (int64_t h = 0; h < a[1] + H->reach; h++) {
                        const int64_t at_d = (m[0] + d) * D->step + D->lo + pd * D->unit;
                        const int64_t at_h = (m[1] + h) * H->step + H->lo + ph * H->unit;
                        const int64_t at_w = m[2] * W->step + W->lo + pw * W->unit, n_w = a[2] + W->reach;
                        const int64_t to = ((phase * g->length[0] + d) * g->length[1] + h) * g->length[2];
                        const int inside = at_d >= 0 && at_d < size[0] && at_h >= 0 && at_h < size[1];
                        for (int64_t j = 0; j < n_w; j += LANES) {
                            NAME(conv_taken) *const next = &piece[pieces++];
                            *next = NAME(conv_piece_of_line)(at_w + j * W->step, to + j, conv_min(LANES, n_w - j), W->step,
                                                    inside ? size[2] : 0);
                            next->from = inside ? at_d * x_step[0] + at_h * x_step[1] + next->from * x_step[2] : 0;
                            if (pieces < CONV_TAKEN) continue;
                            NAME(conv_fill_pieces)(strip, x, x_channel, x_image, x_step[2], channels, images, g, piece, pieces);
                            pieces = 0;
                        }
                    }
    NAME(conv_fill_pieces)(strip, x, x_channel, x_image, x_step[2], channels, images, g, piece, pieces);
}

/* Cuts a grid into tiles, by shapes alone. rows: of the register tile. */
static void NAME(conv_strip_plan)(conv_grid *g, int64_t N, int64_t groups, int64_t channels, int64_t blocks, int64_t rows) {
    const int64_t columns = CONV_VECTORS(rows) * LANES;
    conv_start_tiles(g, channels);
    const int64_t points = conv_points(g), work = N * groups * blocks * rows * g->K * points;
    const int64_t wanted = work < CONV_LARGE ? 1 : CONV_JOBS;
    while (channels * g->channel > CONV_STRIP && conv_halve(g, 4 * columns, channels)) {}
    /* from 32 columns of points on: 7x1, 128 channels, 17x17, takes 2434 us so, from 16 on 2480; others are within the noise */
    while (N * groups * conv_tiles(g) < wanted && conv_points(g) >= 32 * columns && conv_halve(g, 4 * columns, channels)) {}
    if (conv_tiles(g) == 1) { /* small images share a tile */
        const int64_t most = channels * g->plane > 0 ? CONV_STRIP / (channels * g->plane) : N;
        g->images = conv_min(conv_min(most, (8 * columns + points - 1) / points), N * groups / wanted);
        g->images = g->images < 1 ? 1 : conv_min(g->images, N);
        conv_measure(g, channels);
    }
    g->image_tiles = (N + g->images - 1) / g->images;
    g->jobs = g->image_tiles * conv_tiles(g) * groups;
    g->chunks = g->jobs < wanted ? conv_min(blocks, (wanted + g->jobs - 1) / g->jobs) : 1;
    g->jobs *= g->chunks;
    /* Each vector, and each piece of a line, that is gathered costs about 3 cycles, once; a dropped element costs its share of
       the product of every block. */
    const int64_t cost = (blocks + g->chunks - 1) / g->chunks * rows;
    const int64_t gather = 3 * (columns / g->tile[2] + columns / LANES + 1) * LANES / columns;
    int64_t least = INT64_MAX, length;
    for (int level = 0; level <= CONV_GATHER; level++) {
        int64_t total = conv_run(g, g->tile, g->images, level, &length);
        total *= conv_round_up(length, columns) * (cost + (level == CONV_GATHER ? gather : 0));
        if (total < least) {
            least = total;
            g->level = level;
        }
    }
}

/* The weights of one block of output channels as (K, rows): w[i * w_out + c * w_in + k[t]] for k = (t, c), row i. */
static void NAME(conv_pack)(REAL *packed, const REAL *w, int64_t rows, int64_t here, int64_t w_out, int64_t w_in,
                            int64_t channels, int64_t taps, const int64_t *k) {
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t t = 0; t < taps; t++)
                packed[(t * channels + c) * rows + i] = i < here ? w[i * w_out + c * w_in + k[t]] : 0;
}

/* Whether every element is a number. */
static int NAME(conv_finite)(const REAL *x, int64_t n) {
    REAL sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += x[i] * 0;
    return sum == 0;
}

/* A tile of one image or more, and the blocks of output channels of a piece of work. Lines of `width` points start at
   line_at[i] in the strip, and at line_to[i] in y, where points are `step` apart. */
typedef struct {
    const conv_grid *grid;
    NAME(conv_micro_t) micro;
    int64_t rows, columns;              /* of a register tile */
    int64_t blocks, channels, plane;    /* blocks of channels and the channels that they have; elements of a plane of y */
    int64_t lines, width, step;
    const int64_t *line_at, *line_to, *in_order;
    const int64_t *low, *high; /* of `planes`, see conv_planes_inside; NULL: nothing is left out */
    int64_t planes;
    const REAL *strip, *weights, *bias; /* weights (blocks, K, rows) */
    REAL *panel, *result, *y;
} NAME(conv_strip_job);

/* A run of points of a line: where it starts in the strip, in y and in a panel of gathered columns. */
typedef struct {
    int64_t from, to, at;
} NAME(conv_piece);

/* The pieces of lines that points q .. q + count are, and one more where they end. */
static int64_t NAME(conv_pieces)(NAME(conv_piece) *piece, const NAME(conv_strip_job) *t, int64_t q, int64_t count) {
    int64_t pieces = 0, line = q / t->width, skip = q % t->width;
    for (int64_t j = 0; j < count; line++, skip = 0) {
        piece[pieces++] = (NAME(conv_piece)){t->line_at[line] + skip, t->line_to[line] + skip * t->step, j};
        j += t->width - skip;
    }
    piece[pieces].at = count;
    return pieces;
}

/* panel (K, columns): what each of K taps reads for the points of the pieces. Whole vectors are copied, in order, so that each
   overwrites what the one before it had too much: the panel needs LANES spare elements. */
static void NAME(conv_gather)(REAL *panel, int64_t columns, const REAL *strip, const int64_t *offset, int64_t K,
                              const NAME(conv_piece) *piece, int64_t pieces) {
    const REAL *from[9 * LANES];
    int64_t to[9 * LANES], copies = 0;
    for (int64_t i = 0; i < pieces; i++)
        for (int64_t j = piece[i].at; j < piece[i + 1].at; j += LANES) {
            from[copies] = strip + piece[i].from - piece[i].at + j;
            to[copies++] = j;
        }
    for (int64_t k = 0; k < K; k++, panel += columns)
        for (int64_t i = 0; i < copies; i++) *(VECTOR *)(panel + to[i]) = *(const VECTOR *)(from[i] + offset[k]);
}

/* Points are gathered for all blocks, CONV_GATHERED taps at a time. Without any tap (a phase of an adjoint may have none), they
   are 0. */
static void NAME(conv_gathered_points)(const NAME(conv_strip_job) *t) {
    const int64_t K = t->grid->K, parts = K > 0 ? conv_ceil_div(K, CONV_GATHERED) : 1, deep = conv_ceil_div(K, parts);
    const int64_t points = t->lines * t->width, columns = t->columns, size = t->rows * columns;
    for (int64_t q = 0; q < points; q += columns) {
        NAME(conv_piece) piece[8 * LANES + 1];
        const int64_t pieces = NAME(conv_pieces)(piece, t, q, conv_min(columns, points - q));
        int64_t k = 0;
        do {
            const int64_t here = conv_min(deep, K - k);
            NAME(conv_gather)(t->panel, columns, t->strip, t->grid->offset + k, here, piece, pieces);
            for (int64_t b = 0; b < t->blocks; b++)
                t->micro(here, t->weights + (b * K + k) * t->rows, t->panel, t->in_order, t->result + b * size, columns, k > 0);
            k += deep;
        } while (k < K);
        for (int64_t o = 0; o < t->channels; o++)
            for (int64_t i = 0; i < pieces; i++)
                NAME(conv_put_row)(t->y + o * t->plane + piece[i].to, t->result + o * columns + piece[i].at,
                                   t->bias ? t->bias[o] : 0, piece[i + 1].at - piece[i].at, t->step);
    }
}

/* Products of a block of output channels by the points from `at` on in the strip, without the taps that none of them needs. */
static void NAME(conv_product)(const NAME(conv_strip_job) *t, int64_t b, int64_t at, REAL *c, int64_t c_row) {
    const conv_grid *g = t->grid;
    int64_t low = 0, high = g->K;
    if (t->low) {
        const int64_t plane = g->length[1] * g->length[2], end = conv_min((at + t->columns - 1) / plane + 1, t->planes);
        low = g->K;
        high = 0;
        for (int64_t d = at / plane; d < end; d++) {
            low = conv_min(low, t->low[d]);
            high = conv_max(high, t->high[d]);
        }
        low = conv_min(low, high);
    }
    t->micro(high - low, t->weights + (b * g->K + low) * t->rows, t->strip + at, g->offset + low, c, c_row, 0);
}

/* Points are read where they lie in the strip, in runs of length `run`; line_from: where lines start in a row of results. */
static void NAME(conv_runs_of_points)(const NAME(conv_strip_job) *t, int64_t runs, int64_t run, const int64_t *line_from) {
    for (int64_t b = 0; b < t->blocks; b++) {
        for (int64_t r = 0; r < runs; r++)
            for (int64_t q = 0; q < run; q += t->columns)
                NAME(conv_product)(t, b, t->line_at[r * (t->lines / runs)] + q, t->result + r * run + q, runs * run);
        for (int64_t i = 0; i < conv_min(t->rows, t->channels - b * t->rows); i++) {
            const int64_t o = b * t->rows + i;
            for (int64_t line = 0; line < t->lines; line++)
                NAME(conv_put_row)(t->y + o * t->plane + t->line_to[line], t->result + i * runs * run + line_from[line],
                                   t->bias ? t->bias[o] : 0, t->width, t->step);
        }
    }
}

/* y = correlation of x with w over the grids of the geometry, plus bias (NULL: none).
   adjoint 0: x (N, C, image) -> y (N, O, out); adjoint 1: x (N, O, out) -> y (N, C, image); w (O, C / groups, kernel).
   With scratch NULL nothing is computed. Returns the bytes of scratch that are needed, -1 without memory. */
static int64_t NAME(conv_strip)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const conv_geometry *geometry,
                                int adjoint, int threads, char *scratch) {
    conv_geometry s = *geometry;
    int64_t image_step[3], out_step[3];
    conv_merge_axes(&s);
    const int64_t image_size = s.image[0] * s.image[1] * s.image[2], out_size = s.out[0] * s.out[1] * s.out[2];
    conv_steps(s.image, image_step);
    conv_steps(s.out, out_step);
    conv_turn_axes(&s, image_step, out_step);
    const int64_t in = (adjoint ? s.O : s.C) / s.groups, channels = (adjoint ? s.C : s.O) / s.groups;
    const int64_t *from = adjoint ? s.out : s.image, *from_step = adjoint ? out_step : image_step;
    const int64_t *to_step = adjoint ? image_step : out_step;
    const int64_t kernel = s.kernel[0] * s.kernel[1] * s.kernel[2], C = s.C / s.groups, O = s.O / s.groups;
    const int64_t w_out = adjoint ? kernel : C * kernel, w_in = adjoint ? C * kernel : kernel, w_group = O * C * kernel;
    const int64_t from_size = adjoint ? out_size : image_size, to_size = adjoint ? image_size : out_size;
    const int64_t blocks = (channels + CONV_ROWS - 1) / CONV_ROWS, rows = (channels + blocks - 1) / blocks;
    const int64_t columns = CONV_VECTORS(rows) * LANES;
    const NAME(conv_micro_t) micro = NAME(conv_micro_table)[rows];
    const int64_t phases = adjoint ? s.stride[0] * s.stride[1] * s.stride[2] : 1;
    conv_grid *grids = malloc(phases * sizeof(conv_grid));
    if (!grids) return -1;
    conv_arena arena = {scratch, 0};
    int64_t count = 0, jobs = 0, strip = 0, tile = 0, gathered = 0, most_lines = 0, most_planes = 0;
    for (int64_t p = 0; p < phases; p++) {
        conv_grid *g = &grids[count];
        int64_t rest = p, points = 1;
        for (int i = 2; i >= 0; i--) {
            g->axis[i] = adjoint ? conv_adjoint_axis(&s, i, rest % s.stride[i]) : conv_forward_axis(&s, i);
            if (adjoint) rest /= s.stride[i];
            points *= g->axis[i].count;
        }
        if (points == 0) continue;
        NAME(conv_strip_plan)(g, s.N, s.groups, in, blocks, rows);
        g->first_job = jobs;
        jobs += g->jobs;
        count++;
        g->offset = conv_take(&arena, g->K * sizeof(int64_t));
        g->k = conv_take(&arena, g->taps * sizeof(int64_t));
        g->packed = conv_take(&arena, s.groups * blocks * g->K * rows * sizeof(REAL));
        int64_t length, runs = conv_run(g, g->tile, g->images, g->level, &length);
        runs *= rows * conv_round_up(length, columns);
        if (g->level == CONV_GATHER) runs = conv_ceil_div(blocks, g->chunks) * rows * columns;
        if (runs > tile) tile = runs;
        if (in * g->channel > strip) strip = in * g->channel;
        if (g->level == CONV_GATHER) gathered = CONV_GATHERED;
        most_lines = conv_max(most_lines, g->images * g->tile[0] * g->tile[1]);
        most_planes = conv_max(most_planes, g->tile[0]);
        if (scratch) conv_offsets(g, in, s.kernel, g->offset, g->k);
    }
    int64_t *in_order = conv_take(&arena, gathered * sizeof(int64_t)); /* offsets into a panel of gathered columns */
    const int64_t strip_bytes = conv_round_up((strip + columns + LANES) * sizeof(REAL), 64);
    const int64_t tile_bytes = conv_round_up(tile * sizeof(REAL), 64);
    const int64_t panel_bytes = conv_round_up((gathered * columns + LANES) * sizeof(REAL), 64);
    const int64_t lines_bytes = conv_round_up((3 * most_lines + 2 * most_planes) * sizeof(int64_t), 64);
    const int64_t each = strip_bytes + tile_bytes + panel_bytes + lines_bytes;
    char *own = conv_take(&arena, each * threads);
    if (!scratch) {
        free(grids);
        return arena.used;
    }
    for (int64_t k = 0; k < gathered; k++) in_order[k] = k * columns;
    int finite = 1; /* else padding times a weight is NaN */

#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        /* What is dropped is computed too, from what lies between and behind the lines of a strip: left as it is, it would
           often be denormal numbers, on which a multiplication takes a hundred times as long. */
        memset(own + CONV_THREAD * each, 0, strip_bytes + panel_bytes);
#pragma omp for schedule(static) reduction(&& : finite)
        for (int64_t i = 0; i < count * s.groups * blocks; i++) {
            const conv_grid *g = &grids[i / (s.groups * blocks)];
            const int64_t b = i % (s.groups * blocks), first = b % blocks * rows;
            REAL *const packed = (REAL *)g->packed + b * g->K * rows;
            NAME(conv_pack)(packed, w + b / blocks * w_group + first * w_out, rows,
                            conv_min(rows, channels - first), w_out, w_in, in, g->taps, g->k);
            finite = finite && NAME(conv_finite)(packed, g->K * rows);
        }
#pragma omp for schedule(dynamic)
        for (int64_t job = 0; job < jobs; job++) {
            REAL *const source = (REAL *)(own + CONV_THREAD * each), *const panel = (REAL *)((char *)source + strip_bytes);
            REAL *const result = (REAL *)((char *)panel + panel_bytes);
            int64_t *const line_from = (int64_t *)((char *)result + tile_bytes), *const line_to = line_from + most_lines;
            int64_t *const line_at = line_to + most_lines, *const low = line_at + most_lines, *const high = low + most_planes;
            const conv_grid *g = grids;
            while (g + 1 < grids + count && g[1].first_job <= job) g++;
            int64_t rest = job - g->first_job, m[3], a[3];
            const int64_t chunk = rest % g->chunks;
            rest /= g->chunks;
            conv_tile(g, rest % conv_tiles(g), m, a);
            rest /= conv_tiles(g);
            const int64_t group = rest % s.groups, n0 = rest / s.groups * g->images, images = conv_min(g->images, s.N - n0);
            const REAL *first_image = x + (n0 * s.groups + group) * in * from_size;
            NAME(conv_fill_strip)(source, first_image, from_size, s.groups * in * from_size, from_step, in, images, g, from, m,
                                  a);
            const int leave_out = finite && images == 1 && a[0] > 1 && g->axis[0].taps > 1;
            if (leave_out) conv_planes_inside(g, from[0], m[0], a[0], low, high);
            int64_t length;
            const int64_t lines = images * a[0] * a[1], runs = conv_run(g, a, images, g->level, &length);
            const int64_t run = conv_round_up(length, columns);
            const int64_t step = g->axis[2].to_step * to_step[2], y_image = s.groups * channels * to_size;
            for (int64_t i = 0, n = 0; n < images; n++) /* where each line starts in the strip, in `result` and in y */
                for (int64_t d = 0; d < a[0]; d++)
                    for (int64_t h = 0; h < a[1]; h++, i++) {
                        line_at[i] = n * g->plane + (d * g->length[1] + h) * g->length[2];
                        line_from[i] = g->level == 0   ? line_at[i]
                                       : g->level == 1 ? n * run + (d * g->length[1] + h) * g->length[2]
                                       : g->level == 2 ? (n * a[0] + d) * run + h * g->length[2]
                                                       : i * run;
                        line_to[i] = n * y_image + (g->axis[0].to + (m[0] + d) * g->axis[0].to_step) * to_step[0] +
                                     (g->axis[1].to + (m[1] + h) * g->axis[1].to_step) * to_step[1] +
                                     g->axis[2].to * to_step[2] + m[2] * step;
                    }
            const int64_t b = blocks * chunk / g->chunks, end = blocks * (chunk + 1) / g->chunks;
            const int64_t o = group * channels + b * rows;
            const NAME(conv_strip_job) t = {
                .grid = g, .micro = micro, .rows = rows, .columns = columns, .blocks = end - b,
                .channels = conv_min(end * rows, channels) - b * rows, .plane = to_size, .lines = lines, .width = a[2],
                .step = step, .low = leave_out ? low : NULL, .high = high, .planes = a[0],
                .line_at = line_at, .line_to = line_to, .in_order = in_order, .strip = source,
                .weights = (const REAL *)g->packed + (group * blocks + b) * g->K * rows, .bias = bias ? bias + o : NULL,
                .panel = panel, .result = result, .y = y + (n0 * s.groups * channels + o) * to_size};
            if (g->level == CONV_GATHER) NAME(conv_gathered_points)(&t);
            else NAME(conv_runs_of_points)(&t, runs, run, line_from);
        }
    }
    free(grids);
    return arena.used;
}

#include "conv_strip_weight_kernels.h"

#undef CONV_ROWS
#undef CONV_VECTORS
#undef CONV_STRIP
#undef CONV_JOBS
#undef CONV_TAKEN
#undef CONV_LARGE
#undef CONV_MICRO
#undef CONV_FIRST_SIX
#undef CONV_TABLE
