/* Convolutions by definition, of any geometry. Compiled through multiversion.h; conv_strip.h explains grids and strips.

   There is no im2col buffer. The source of a tile is copied once into a zero-padded strip, split by phase of the stride, where
   every tap of every channel is a constant offset; the micro-kernel multiplies a block of output channels by a run of
   neighbouring points, reading the source at strip + offset[k]. What lies between the rows of the destination is computed too
   and dropped; where that would be too much (small outputs) the columns are gathered first, which is im2col for one register
   tile. */

#if ISA_LEVEL >= 4
#define CONV_ROWS 14 /* output channels of a register tile: 14 x 2 accumulators of 32 registers */
#define CONV_VECTORS(rows) ((rows) <= 3 ? 8 : (rows) <= 6 ? 4 : 2)
#define CONV_OUTPUTS 3 /* output channels of a register tile whose lanes are points, by up to 8 taps */
#else
#define CONV_ROWS 6
#define CONV_VECTORS(rows) ((rows) == 1 ? 8 : (rows) <= 3 ? 4 : 2)
#define CONV_OUTPUTS 1
#endif
#define CONV_STRIP (524288 / (int64_t)sizeof(REAL)) /* elements of a strip: 512 KB, half of an L2 cache */
#define CONV_JOBS 8                                 /* pieces that a large enough problem is cut into at least */
#define CONV_LARGE 1000000                          /* multiplications from which cutting it further is worth the trouble */

/* y[j * y_row + i] = x[i * x_row + j] for i < rows <= LANES, j < n; what is missing of a row of LANES in y becomes 0. */
static void NAME(conv_turn_rows)(REAL *y, int64_t y_row, const REAL *x, int64_t x_row, int64_t rows, int64_t n) {
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        VECTOR r[LANES];
        if (rows == LANES) {
#pragma GCC unroll 16
            for (int i = 0; i < LANES; i++) r[i] = *(const VECTOR *)(x + i * x_row + j);
        } else
            for (int i = 0; i < LANES; i++) r[i] = i < rows ? *(const VECTOR *)(x + i * x_row + j) : (VECTOR){0};
        NAME(gemm_transpose)(r);
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) *(VECTOR *)(y + (j + i) * y_row) = r[i];
    }
    for (; j < n; j++)
        for (int i = 0; i < LANES; i++) y[j * y_row + i] = i < rows ? x[i * x_row + j] : 0;
}

/* c[i][j] = sum over k of a[k][i] * b[offset[k] + j];  a (K, rows), rows x (vectors * LANES) results, each sum in order of k */
MG_INLINE void NAME(conv_micro)(const int rows, const int vectors, int64_t K, const REAL *a, const REAL *b,
                                const int64_t *offset, REAL *c, int64_t c_row) {
    VECTOR sum[CONV_ROWS][8];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) sum[i][j] = (VECTOR){0};
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

/* sum[i][j] += sum over the points p of a tile of x[offset[i] + position(p)] * g[p][j];  a row of the result for each tap.
   Points come in `planes` x `lines` runs of `length`, `plane` and `line` elements apart in x. Each tile is summed on its own
   and then added. */
MG_INLINE void NAME(conv_weight_micro)(const int rows, const int vectors, const REAL *x, const int64_t *offset, const REAL *g,
                                       int64_t planes, int64_t plane, int64_t lines, int64_t line, int64_t length, REAL *sum,
                                       int64_t sum_row) {
    VECTOR part[CONV_ROWS][2];
    const REAL *at[CONV_ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        at[i] = x + offset[i];
#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++) part[i][j] = (VECTOR){0};
    }
    for (int64_t d = 0; d < planes; d++)
        for (int64_t h = 0; h < lines; h++) {
            const int64_t start = d * plane + h * line;
            for (int64_t p = start; p < start + length; p++, g += vectors * LANES) {
                VECTOR b[2];
#pragma GCC unroll 2
                for (int j = 0; j < vectors; j++) b[j] = *(const VECTOR *)(g + j * LANES);
#pragma GCC unroll 16
                for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
                    for (int j = 0; j < vectors; j++) part[i][j] += at[i][p] * b[j];
            }
        }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++) *(VECTOR *)(sum + i * sum_row + j * LANES) += part[i][j];
}

/* sum[o][i] += sum over the runs of x[offset[i] + ...] * g[o], LANES partial sums for each of `outputs` channels and `rows`
   taps. g has runs of `length` padded with zeros to a multiple of LANES; x is masked there, for it may hold NaN or Inf that
   belongs to other points. */
MG_INLINE void NAME(conv_weight_lines)(const int outputs, const int rows, const REAL *x, const int64_t *offset, const REAL *g,
                                       int64_t g_row, int64_t planes, int64_t plane, int64_t lines, int64_t line,
                                       int64_t length, REAL *sum, int64_t sum_row) {
    VECTOR part[CONV_OUTPUTS][8];
    const uint32_t all = (uint32_t)((1ull << LANES) - 1), last = length % LANES ? (1u << length % LANES) - 1 : all;
#pragma GCC unroll 4
    for (int o = 0; o < outputs; o++)
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) part[o][i] = (VECTOR){0};
    for (int64_t d = 0; d < planes; d++)
        for (int64_t h = 0; h < lines; h++)
            for (int64_t p = 0; p < length; p += LANES, g += LANES) {
                const REAL *const from = x + d * plane + h * line + p;
                const uint32_t mask = p + LANES <= length ? all : last;
                VECTOR b[CONV_OUTPUTS];
#pragma GCC unroll 4
                for (int o = 0; o < outputs; o++) b[o] = *(const VECTOR *)(g + o * g_row);
#pragma GCC unroll 8
                for (int i = 0; i < rows; i++) {
                    const VECTOR v = NAME(conv_masked)(mask, from + offset[i]);
#pragma GCC unroll 4
                    for (int o = 0; o < outputs; o++) part[o][i] += b[o] * v;
                }
            }
#pragma GCC unroll 4
    for (int o = 0; o < outputs; o++)
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) *(VECTOR *)(sum + o * sum_row + i * LANES) += part[o][i];
}

#define CONV_MICRO(n)                                                                                                          \
    static __attribute__((noinline)) void NAME(conv_micro_##n)(int64_t K, const REAL *a, const REAL *b, const int64_t *offset, \
                                                               REAL *c, int64_t c_row) {                                       \
        NAME(conv_micro)(n, CONV_VECTORS(n), K, a, b, offset, c, c_row);                                                       \
    }                                                                                                                          \
    static __attribute__((noinline)) void NAME(conv_weight_micro_##n)(                                                         \
        int vectors, const REAL *x, const int64_t *offset, const REAL *g, int64_t planes, int64_t plane, int64_t lines,        \
        int64_t line, int64_t length, REAL *sum, int64_t sum_row) {                                                            \
        if (vectors == 2)                                                                                                      \
            NAME(conv_weight_micro)(n, 2, x, offset, g, planes, plane, lines, line, length, sum, sum_row);                     \
        else                                                                                                                   \
            NAME(conv_weight_micro)(n, 1, x, offset, g, planes, plane, lines, line, length, sum, sum_row);                     \
    }
#define CONV_LINES(n)                                                                                                          \
    static __attribute__((noinline)) void NAME(conv_weight_lines_##n)(                                                         \
        int64_t outputs, const REAL *x, const int64_t *offset, const REAL *g, int64_t g_row, int64_t planes, int64_t plane,    \
        int64_t lines, int64_t line, int64_t length, REAL *sum, int64_t sum_row) {                                             \
        if (CONV_OUTPUTS == 3 && outputs == 3)                                                                                 \
            NAME(conv_weight_lines)(CONV_OUTPUTS, n, x, offset, g, g_row, planes, plane, lines, line, length, sum, sum_row);   \
        else                                                                                                                   \
            for (int64_t o = 0; o < outputs; o++)                                                                              \
                NAME(conv_weight_lines)(1, n, x, offset, g + o * g_row, 0, planes, plane, lines, line, length,                 \
                                        sum + o * sum_row, 0);                                                                 \
    }
CONV_MICRO(1) CONV_MICRO(2) CONV_MICRO(3) CONV_MICRO(4) CONV_MICRO(5) CONV_MICRO(6)
#if CONV_ROWS > 6
CONV_MICRO(7) CONV_MICRO(8) CONV_MICRO(9) CONV_MICRO(10) CONV_MICRO(11) CONV_MICRO(12) CONV_MICRO(13) CONV_MICRO(14)
#endif
CONV_LINES(1) CONV_LINES(2) CONV_LINES(3) CONV_LINES(4) CONV_LINES(5) CONV_LINES(6) CONV_LINES(7) CONV_LINES(8)

typedef void (*NAME(conv_micro_t))(int64_t, const REAL *, const REAL *, const int64_t *, REAL *, int64_t);
typedef void (*NAME(conv_weight_micro_t))(int, const REAL *, const int64_t *, const REAL *, int64_t, int64_t, int64_t, int64_t,
                                          int64_t, REAL *, int64_t);
typedef void (*NAME(conv_weight_lines_t))(int64_t, const REAL *, const int64_t *, const REAL *, int64_t, int64_t, int64_t,
                                          int64_t, int64_t, int64_t, REAL *, int64_t);
#define CONV_FIRST_SIX(f) NAME(f##_1), NAME(f##_2), NAME(f##_3), NAME(f##_4), NAME(f##_5), NAME(f##_6)
static const NAME(conv_weight_lines_t) NAME(conv_weight_lines_table)[9] = {
    NULL, CONV_FIRST_SIX(conv_weight_lines), NAME(conv_weight_lines_7), NAME(conv_weight_lines_8)};
#if CONV_ROWS > 6
#define CONV_TABLE(f)                                                                                                     \
    {NULL, CONV_FIRST_SIX(f), NAME(f##_7), NAME(f##_8), NAME(f##_9), NAME(f##_10), NAME(f##_11), NAME(f##_12), NAME(f##_13), \
     NAME(f##_14)}
#else
#define CONV_TABLE(f) {NULL, CONV_FIRST_SIX(f)}
#endif
static const NAME(conv_micro_t) NAME(conv_micro_table)[CONV_ROWS + 1] = CONV_TABLE(conv_micro);
static const NAME(conv_weight_micro_t) NAME(conv_weight_micro_table)[CONV_ROWS + 1] = CONV_TABLE(conv_weight_micro);

/* Copies what a tile (first point m, size a) reads of `channels` channels of `images` images into a strip. */
static void NAME(conv_fill_strip)(REAL *strip, const REAL *x, int64_t x_channel, int64_t x_image, int64_t channels,
                                  int64_t images, const conv_grid *g, const int64_t *size, const int64_t *m, const int64_t *a) {
    const conv_axis *D = &g->axis[0], *H = &g->axis[1], *W = &g->axis[2];
    for (int64_t c = 0; c < channels; c++)
        for (int64_t n = 0; n < images; n++) {
            const REAL *from = x + n * x_image + c * x_channel;
            REAL *plane = strip + c * g->channel + n * g->plane;
            for (int64_t pd = 0; pd < D->phases; pd++)
                for (int64_t ph = 0; ph < H->phases; ph++)
                    for (int64_t pw = 0; pw < W->phases; pw++, plane += g->length[0] * g->length[1] * g->length[2]) {
                        const int64_t at_w = m[2] * W->step + W->lo + pw * W->unit, n_w = a[2] + W->reach;
                        int64_t first, end;
                        NAME(conv_inside)(n_w, at_w, W->step, size[2], &first, &end);
                        for (int64_t d = 0; d < a[0] + D->reach; d++)
                            for (int64_t h = 0; h < a[1] + H->reach; h++) {
                                const int64_t at_d = (m[0] + d) * D->step + D->lo + pd * D->unit;
                                const int64_t at_h = (m[1] + h) * H->step + H->lo + ph * H->unit;
                                REAL *row = plane + (d * g->length[1] + h) * g->length[2];
                                if (at_d < 0 || at_d >= size[0] || at_h < 0 || at_h >= size[1])
                                    NAME(conv_fill_row)(row, n_w, from, 1, 0, 0);
                                else {
                                    const REAL *source = from + (at_d * size[1] + at_h) * size[2] + at_w;
                                    NAME(conv_fill_row)(row, n_w, source, W->step, first, end);
                                }
                            }
                    }
        }
}

/* Cuts a grid into tiles, by shapes alone. rows: of the register tile. */
static void NAME(conv_strip_plan)(conv_grid *g, int64_t N, int64_t groups, int64_t channels, int64_t blocks, int64_t rows) {
    const int64_t columns = CONV_VECTORS(rows) * LANES;
    conv_start_tiles(g, channels);
    const int64_t points = conv_points(g), work = N * groups * blocks * rows * g->K * points;
    const int64_t wanted = work < CONV_LARGE ? 1 : CONV_JOBS;
    while (channels * g->channel > CONV_STRIP && conv_halve(g, 4 * columns, channels)) {}
    while (N * groups * conv_tiles(g) < wanted && conv_points(g) > 16 * columns && conv_halve(g, 4 * columns, channels)) {}
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
    /* A gathered element costs about 1.5 cycles once; a dropped one costs its share of the product of every block. */
    const int64_t cost = (blocks + g->chunks - 1) / g->chunks * rows;
    int64_t least = INT64_MAX, length;
    for (int level = 0; level <= CONV_GATHER; level++) {
        int64_t total = conv_run(g, g->tile, g->images, level, &length);
        total *= conv_round_up(length, columns) * (cost + (level == CONV_GATHER ? 3 * LANES / 2 : 0));
        if (total < least) {
            least = total;
            g->level = level;
        }
    }
}

/* The weights of one block of output channels as (K, rows): w[i * w_out + c * w_in + k[t]] for k = (c, t), row i. */
static void NAME(conv_pack)(REAL *packed, const REAL *w, int64_t rows, int64_t here, int64_t w_out, int64_t w_in,
                            int64_t channels, int64_t taps, const int64_t *k) {
    for (int64_t c = 0; c < channels; c++, packed += rows * taps, w += w_in)
        for (int64_t i = 0; i < rows; i++)
            if (i < here)
                for (int64_t t = 0; t < taps; t++) packed[t * rows + i] = w[i * w_out + k[t]];
            else
                for (int64_t t = 0; t < taps; t++) packed[t * rows + i] = 0;
}

/* panel (K, columns): what every tap reads for the points from number q on; line_at: where lines of `width` points start. */
static void NAME(conv_gather)(REAL *panel, int64_t columns, const REAL *strip, const conv_grid *g, const int64_t *line_at,
                              int64_t width, int64_t q, int64_t points) {
    int64_t place[8 * LANES];
    for (int64_t j = 0; j < columns; j++) { /* columns past the last point repeat it */
        const int64_t p = conv_min(q + j, points - 1);
        place[j] = line_at[p / width] + p % width;
    }
    for (int64_t k = 0; k < g->K; k++, panel += columns) {
        const REAL *at = strip + g->offset[k];
        for (int64_t j = 0; j < columns; j++) panel[j] = at[place[j]];
    }
}

/* y = correlation of x with w over the grids of the geometry, plus bias (NULL: none).
   adjoint 0: x (N, C, image) -> y (N, O, out); adjoint 1: x (N, O, out) -> y (N, C, image); w (O, C / groups, kernel).
   With scratch NULL nothing is computed. Returns the bytes of scratch that are needed, -1 without memory. */
static int64_t NAME(conv_strip)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const conv_geometry *geometry,
                                int adjoint, int threads, char *scratch) {
    conv_geometry s = *geometry;
    conv_merge_axes(&s);
    const int64_t in = (adjoint ? s.O : s.C) / s.groups, channels = (adjoint ? s.C : s.O) / s.groups;
    const int64_t *from = adjoint ? s.out : s.image, *to = adjoint ? s.image : s.out;
    const int64_t kernel = s.kernel[0] * s.kernel[1] * s.kernel[2], C = s.C / s.groups, O = s.O / s.groups;
    const int64_t w_out = adjoint ? kernel : C * kernel, w_in = adjoint ? C * kernel : kernel, w_group = O * C * kernel;
    const int64_t from_size = from[0] * from[1] * from[2], to_size = to[0] * to[1] * to[2];
    const int64_t blocks = (channels + CONV_ROWS - 1) / CONV_ROWS, rows = (channels + blocks - 1) / blocks;
    const int64_t columns = CONV_VECTORS(rows) * LANES;
    const NAME(conv_micro_t) micro = NAME(conv_micro_table)[rows];
    const int64_t phases = adjoint ? s.stride[0] * s.stride[1] * s.stride[2] : 1;
    conv_grid *grids = malloc(phases * sizeof(conv_grid));
    if (!grids) return -1;
    conv_arena arena = {scratch, 0};
    int64_t count = 0, jobs = 0, strip = 0, tile = 0, gathered = 0, most_lines = 0;
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
        if (runs > tile) tile = runs;
        if (in * g->channel > strip) strip = in * g->channel;
        if (g->level == CONV_GATHER && g->K > gathered) gathered = g->K;
        most_lines = most_lines > g->images * g->tile[0] * g->tile[1] ? most_lines : g->images * g->tile[0] * g->tile[1];
        if (scratch) conv_offsets(g, in, s.kernel, g->offset, g->k);
    }
    int64_t *in_order = conv_take(&arena, gathered * sizeof(int64_t)); /* offsets into a panel of gathered columns */
    const int64_t strip_bytes = conv_round_up((strip + columns + LANES) * sizeof(REAL), 64);
    const int64_t tile_bytes = conv_round_up(tile * sizeof(REAL), 64);
    const int64_t panel_bytes = conv_round_up(gathered * columns * sizeof(REAL), 64);
    const int64_t lines_bytes = conv_round_up(3 * most_lines * sizeof(int64_t), 64);
    const int64_t each = strip_bytes + tile_bytes + panel_bytes + lines_bytes;
    char *own = conv_take(&arena, each * threads);
    if (!scratch) {
        free(grids);
        return arena.used;
    }
    for (int64_t k = 0; k < gathered; k++) in_order[k] = k * columns;

#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        /* What is dropped is computed too, from what lies between and behind the lines of a strip: left as it is, it would
           often be denormal numbers, on which a multiplication takes a hundred times as long. */
        memset(own + CONV_THREAD * each, 0, strip_bytes);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < count * s.groups * blocks; i++) {
            const conv_grid *g = &grids[i / (s.groups * blocks)];
            const int64_t b = i % (s.groups * blocks), first = b % blocks * rows;
            NAME(conv_pack)((REAL *)g->packed + b * g->K * rows, w + b / blocks * w_group + first * w_out, rows,
                            conv_min(rows, channels - first), w_out, w_in, in, g->taps, g->k);
        }
#pragma omp for schedule(dynamic)
        for (int64_t job = 0; job < jobs; job++) {
            REAL *const source = (REAL *)(own + CONV_THREAD * each), *const result = (REAL *)((char *)source + strip_bytes);
            REAL *const panel = (REAL *)((char *)result + tile_bytes);
            int64_t *const line_from = (int64_t *)((char *)panel + panel_bytes), *const line_to = line_from + most_lines;
            int64_t *const line_at = line_to + most_lines;
            const conv_grid *g = grids;
            while (g + 1 < grids + count && g[1].first_job <= job) g++;
            int64_t rest = job - g->first_job, m[3], a[3];
            const int64_t chunk = rest % g->chunks;
            rest /= g->chunks;
            conv_tile(g, rest % conv_tiles(g), m, a);
            rest /= conv_tiles(g);
            const int64_t group = rest % s.groups, n0 = rest / s.groups * g->images, images = conv_min(g->images, s.N - n0);
            const REAL *first_image = x + (n0 * s.groups + group) * in * from_size;
            NAME(conv_fill_strip)(source, first_image, from_size, s.groups * in * from_size, in, images, g, from, m, a);
            int64_t length;
            const int64_t lines = images * a[0] * a[1], runs = conv_run(g, a, images, g->level, &length);
            const int64_t run = conv_round_up(length, columns), row = runs * run, lines_of_run = lines / runs;
            const int64_t step = g->axis[2].to_step, y_image = s.groups * channels * to_size;
            for (int64_t i = 0, n = 0; n < images; n++) /* where each line starts in the strip, in `result` and in y */
                for (int64_t d = 0; d < a[0]; d++)
                    for (int64_t h = 0; h < a[1]; h++, i++) {
                        line_at[i] = n * g->plane + (d * g->length[1] + h) * g->length[2];
                        line_from[i] = g->level == 0   ? line_at[i]
                                       : g->level == 1 ? n * run + (d * g->length[1] + h) * g->length[2]
                                       : g->level == 2 ? (n * a[0] + d) * run + h * g->length[2]
                                       : g->level == 3 ? i * run
                                                       : i * a[2];
                        line_to[i] = n * y_image + (g->axis[0].to + (m[0] + d) * g->axis[0].to_step) * to[1] * to[2] +
                                     (g->axis[1].to + (m[1] + h) * g->axis[1].to_step) * to[2] + g->axis[2].to + m[2] * step;
                    }
            for (int64_t b = blocks * chunk / g->chunks; b < blocks * (chunk + 1) / g->chunks; b++) {
                const REAL *weights = (const REAL *)g->packed + (group * blocks + b) * g->K * rows;
                for (int64_t r = 0; r < runs; r++)
                    for (int64_t q = 0; q < run; q += columns) {
                        if (g->level == CONV_GATHER) {
                            NAME(conv_gather)(panel, columns, source, g, line_at, a[2], q, lines * a[2]);
                            micro(g->K, weights, panel, in_order, result + q, row);
                        } else
                            micro(g->K, weights, source + line_at[r * lines_of_run] + q, g->offset, result + r * run + q, row);
                    }
                const int64_t first = b * rows, here = conv_min(rows, channels - first);
                for (int64_t o = 0; o < here; o++) {
                    const REAL add = bias ? bias[group * channels + first + o] : 0;
                    REAL *const plane = y + (n0 * s.groups + group) * channels * to_size + (first + o) * to_size;
                    for (int64_t i = 0; i < lines; i++) {
                        const REAL *src = result + o * row + line_from[i];
                        REAL *dst = plane + line_to[i];
                        NAME(conv_put_row)(dst, src, add, a[2], step);
                    }
                }
            }
        }
    }
    free(grids);
    return arena.used;
}

/* gw (O, C / groups, kernel) = sum over images and points of x at each tap times g: the weight gradient.
   x (N, C, image), g (N, O, out). Output channels fill the lanes, or points where there are few output channels a group.
   The images and tiles are cut into fixed pieces; their partial sums are added in order.
   With scratch NULL nothing is computed. Returns the bytes of scratch that are needed. */
static int64_t NAME(conv_strip_weight)(const REAL *x, const REAL *g, REAL *gw, const conv_geometry *geometry, int threads,
                                      char *scratch) {
    conv_geometry s = *geometry;
    conv_merge_axes(&s);
    const int64_t C = s.C / s.groups, O = s.O / s.groups, kernel = s.kernel[0] * s.kernel[1] * s.kernel[2], K = C * kernel;
    const int64_t image = s.image[0] * s.image[1] * s.image[2], out = s.out[0] * s.out[1] * s.out[2];
    const int64_t wide = conv_round_up(O, LANES), long_line = conv_round_up(s.out[2], LANES);
    /* Few output channels: lanes hold points. LeNet's first layer at batch 256, with 6, takes 480 instead of 860 us so. */
    const int few = CONV_OUTPUTS > 1 && kernel >= 8 && 10 * O * long_line <= 6 * wide * s.out[2];
    const int by_points = O < (LANES > 4 ? 4 : 2) || few;
    /* g is packed anew for each block of taps: 256 taps are enough work to make little of that. */
    const int64_t c_most = by_points ? 1 : conv_min(C, (256 + kernel - 1) / kernel), c_blocks = (C + c_most - 1) / c_most;
    const int64_t c_block = (C + c_blocks - 1) / c_blocks;
    const int64_t o_block = by_points ? O : conv_min(wide, 4 * 2 * LANES), o_blocks = (O + o_block - 1) / o_block;
    conv_grid grid, *const t = &grid;
    for (int i = 0; i < 3; i++) t->axis[i] = conv_forward_axis(&s, i);
    conv_start_tiles(t, c_block);
    while ((c_block * t->channel > CONV_STRIP / 2 || conv_points(t) * o_block > CONV_STRIP / 2) &&
           conv_halve(t, 64, c_block)) {}
    const int64_t own_jobs = s.groups * c_blocks * o_blocks, wanted = s.N * out * s.O * K < CONV_LARGE ? 1 : 2 * CONV_JOBS;
    /* Small images of two axes share a tile, each of them a plane of it, so that the sums in registers are long. */
    while (conv_tiles(t) == 1 && s.out[0] == 1 && t->images * out < 128 && 2 * t->images * wanted <= s.N * own_jobs &&
           2 * c_block * t->channel <= CONV_STRIP / 2 && 2 * t->images * out * o_block <= CONV_STRIP / 2) {
        t->images *= 2;
        conv_measure(t, c_block);
    }
    const int64_t units = (s.N + t->images - 1) / t->images * conv_tiles(t);
    const int64_t pieces = own_jobs < wanted ? conv_min(units, (wanted + own_jobs - 1) / own_jobs) : 1;
    const int64_t part_size = s.groups * K * (by_points ? O : wide);

    conv_arena arena = {scratch, 0};
    int64_t *offset = conv_take(&arena, c_block * kernel * sizeof(int64_t));
    REAL *part = conv_take(&arena, pieces * part_size * sizeof(REAL));
    const int64_t strip_bytes = conv_round_up((c_block * t->channel + 2 * LANES) * sizeof(REAL), 64);
    const int64_t packed =
        t->images * (by_points ? CONV_OUTPUTS * t->tile[0] * t->tile[1] * conv_round_up(t->tile[2], LANES)
                               : conv_points(t) * o_block);
    const int64_t packed_bytes = conv_round_up(packed * sizeof(REAL), 64);
    const int64_t sums_bytes = conv_round_up(by_points ? O * kernel * LANES * sizeof(REAL) : 0, 64);
    const int64_t each = strip_bytes + packed_bytes + sums_bytes;
    char *own = conv_take(&arena, each * threads);
    if (!scratch) return arena.used;
    conv_offsets(t, c_block, s.kernel, offset, NULL);

#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(dynamic)
        for (int64_t job = 0; job < own_jobs * pieces; job++) {
            REAL *const strip = (REAL *)(own + CONV_THREAD * each), *const rows = (REAL *)((char *)strip + strip_bytes);
            REAL *const sums = (REAL *)((char *)rows + packed_bytes);
            int64_t rest = job;
            const int64_t o0 = rest % o_blocks * o_block, o_size = conv_min(o_block, O - o0);
            rest /= o_blocks;
            const int64_t c0 = rest % c_blocks * c_block, c_size = conv_min(c_block, C - c0), taps = c_size * kernel;
            rest /= c_blocks;
            const int64_t group = rest % s.groups, piece = rest / s.groups;
            REAL *const sum = part + piece * part_size + group * K * (by_points ? O : wide);
            if (by_points)
                for (int64_t i = 0; i < O * kernel * LANES; i++) sums[i] = 0;
            else
                for (int64_t k = c0 * kernel; k < c0 * kernel + taps; k++)
                    for (int64_t o = o0; o < o0 + conv_min(o_block, wide - o0); o++) sum[k * wide + o] = 0;
            for (int64_t u = units * piece / pieces; u < units * (piece + 1) / pieces; u++) {
                const int64_t n = u / conv_tiles(t) * t->images, images = conv_min(t->images, s.N - n);
                int64_t m[3], a[3];
                conv_tile(t, u % conv_tiles(t), m, a);
                NAME(conv_fill_strip)(strip, x + (n * s.C + group * C + c0) * image, image, s.C * image, c_size, images, t,
                                      s.image, m, a);
                const int64_t planes = images * a[0], points = planes * a[1] * a[2], line = t->length[2];
                const int64_t plane = t->images > 1 ? t->plane : t->length[1] * line;
                const int64_t g_plane = t->images > 1 ? s.O * out : s.out[1] * s.out[2];
                const REAL *tile_g = g + (n * s.O + group * O + o0) * out + (m[0] * s.out[1] + m[1]) * s.out[2] + m[2];
                if (by_points) {
                    const int64_t g_row = planes * a[1] * conv_round_up(a[2], LANES);
                    const int64_t k_blocks = (kernel + 7) / 8, k_size = (kernel + k_blocks - 1) / k_blocks;
                    for (int64_t o = 0; o < o_size; o += CONV_OUTPUTS) {
                        const int64_t outputs = conv_min(CONV_OUTPUTS, o_size - o);
                        REAL *to = rows;
                        for (int64_t i = o; i < o + outputs; i++)
                            for (int64_t d = 0; d < planes; d++)
                                for (int64_t h = 0; h < a[1]; h++, to += conv_round_up(a[2], LANES))
                                    NAME(conv_fill_row)(to, conv_round_up(a[2], LANES),
                                                        tile_g + i * out + d * g_plane + h * s.out[2], 1, 0, a[2]);
                        for (int64_t k = 0; k < kernel; k += k_size)
                            NAME(conv_weight_lines_table)[conv_min(k_size, kernel - k)](
                                outputs, strip, offset + k, rows, g_row, planes, plane, a[1], line, a[2],
                                sums + (o * kernel + k) * LANES, kernel * LANES);
                    }
                    continue;
                }
                /* lanes of output channels: rows (vector pairs, points, 2 * LANES), the last pair may be one vector. A tile of
                   whole lines is one run in g. */
                const int64_t joined = a[2] < s.out[2] ? 1 : a[1] < s.out[1] ? a[1] : a[0] * a[1], run = joined * a[2];
                for (int64_t o = 0; o < o_size; o += LANES) {
                    const int64_t pair = o / (2 * LANES) * 2 * LANES, lanes = o_size - pair > LANES ? 2 * LANES : LANES;
                    REAL *to = rows + pair * points + o - pair;
                    for (int64_t i = 0; i < planes * a[1]; i += joined, to += run * lanes)
                        NAME(conv_turn_rows)(to, lanes, tile_g + o * out + i / a[1] * g_plane + i % a[1] * s.out[2], out,
                                             conv_min(LANES, o_size - o), run);
                }
                const int64_t blocks = (taps + CONV_ROWS - 1) / CONV_ROWS, size = (taps + blocks - 1) / blocks;
                for (int64_t o = 0; o < o_size; o += 2 * LANES) {
                    const int vectors = o_size - o > LANES ? 2 : 1;
                    for (int64_t k = 0; k < taps; k += size)
                        NAME(conv_weight_micro_table)[conv_min(size, taps - k)](
                            vectors, strip, offset + k, rows + o * points, planes, plane, a[1], line, a[2],
                            sum + (c0 * kernel + k) * wide + o0 + o, wide);
                }
            }
            if (by_points)
                for (int64_t o = 0; o < O; o++)
                    for (int64_t k = 0; k < kernel; k++) {
                        REAL total = 0;
                        for (int l = 0; l < LANES; l++) total += sums[(o * kernel + k) * LANES + l];
                        sum[(c0 * kernel + k) * O + o] = total;
                    }
        }
        if (by_points) {
#pragma omp for schedule(static)
            for (int64_t o = 0; o < s.O; o++)
                for (int64_t k = 0; k < K; k++) {
                    REAL total = 0;
                    for (int64_t piece = 0; piece < pieces; piece++)
                        total += part[piece * part_size + (o / O * K + k) * O + o % O];
                    gw[o * K + k] = total;
                }
        } else {
            const int64_t k_blocks = (K + LANES - 1) / LANES;
#pragma omp for schedule(static)
            for (int64_t job = 0; job < s.groups * (wide / LANES) * k_blocks; job++) { /* LANES x LANES at a time, turned */
                const int64_t k = job % k_blocks * LANES, o = job / k_blocks % (wide / LANES) * LANES;
                const int64_t group = job / k_blocks / (wide / LANES), here = conv_min(LANES, K - k);
                VECTOR r[LANES];
                for (int64_t i = 0; i < LANES; i++) {
                    r[i] = (VECTOR){0};
                    for (int64_t piece = 0; piece < pieces && i < here; piece++)
                        r[i] += *(const VECTOR *)(part + piece * part_size + (group * K + k + i) * wide + o);
                }
                NAME(gemm_transpose)(r);
                for (int64_t i = 0; i < conv_min(LANES, O - o); i++)
                    NAME(gemm_store)(gw + (group * O + o + i) * K + k, r[i], here);
            }
        }
    }
    return arena.used;
}

#undef CONV_ROWS
#undef CONV_VECTORS
#undef CONV_OUTPUTS
#undef CONV_STRIP
#undef CONV_JOBS
#undef CONV_LARGE
#undef CONV_MICRO
#undef CONV_LINES
#undef CONV_FIRST_SIX
#undef CONV_TABLE
