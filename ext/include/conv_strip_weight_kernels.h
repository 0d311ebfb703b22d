/* The gradient of w by definition, of any geometry, from the tiles and strips of conv_strip_kernels.h. Output channels fill the
   lanes, or points where there are few of them. */

#if ISA_LEVEL >= 4
#define CONV_OUTPUTS 3 /* output channels of a register tile whose lanes are points, by up to 8 taps */
#else
#define CONV_OUTPUTS 1
#endif

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

/* Points of a tile: size[0] planes of size[1] lines, and how far planes, lines and points are apart in x and in g. */
typedef struct {
    int64_t size[3], x_step[3], g_step[3];
} NAME(conv_box);

/* sum[to[i] + j] += sum over the points p of a box of x[offset[i] + position(p)] * g[p][j];  a row of the result for each tap.
   Each box is summed on its own and then added. */
MG_INLINE void NAME(conv_weight_micro)(const int rows, const int vectors, const REAL *x, const int64_t *offset, const REAL *g,
                                       const NAME(conv_box) *box, REAL *sum, const int64_t *to) {
    VECTOR part[CONV_ROWS][2];
    const REAL *at[CONV_ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        at[i] = x + offset[i];
#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++) part[i][j] = (VECTOR){0};
    }
    const int64_t planes = box->size[0], lines = box->size[1], length = box->size[2];
    const int64_t plane = box->x_step[0], line = box->x_step[1];
    const int64_t next_line = (box->g_step[1] - length) * vectors * LANES;
    const int64_t next_plane = (box->g_step[0] - lines * box->g_step[1]) * vectors * LANES;
    for (int64_t d = 0; d < planes; d++, g += next_plane)
        for (int64_t h = 0; h < lines; h++, g += next_line) {
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
        for (int j = 0; j < vectors; j++) *(VECTOR *)(sum + to[i] + j * LANES) += part[i][j];
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

#define CONV_WEIGHT_MICRO(n)                                                                                                   \
    static __attribute__((noinline)) void NAME(conv_weight_micro_##n)(                                                         \
        int vectors, const REAL *x, const int64_t *offset, const REAL *g, const NAME(conv_box) *box, REAL *sum,                \
        const int64_t *to) {                                                                                                   \
        if (vectors == 2) NAME(conv_weight_micro)(n, 2, x, offset, g, box, sum, to);                                           \
        else NAME(conv_weight_micro)(n, 1, x, offset, g, box, sum, to);                                                        \
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
CONV_WEIGHT_MICRO(1) CONV_WEIGHT_MICRO(2) CONV_WEIGHT_MICRO(3) CONV_WEIGHT_MICRO(4) CONV_WEIGHT_MICRO(5) CONV_WEIGHT_MICRO(6)
#if CONV_ROWS > 6
CONV_WEIGHT_MICRO(7) CONV_WEIGHT_MICRO(8) CONV_WEIGHT_MICRO(9) CONV_WEIGHT_MICRO(10) CONV_WEIGHT_MICRO(11) CONV_WEIGHT_MICRO(12)
CONV_WEIGHT_MICRO(13) CONV_WEIGHT_MICRO(14)
#endif
CONV_LINES(1) CONV_LINES(2) CONV_LINES(3) CONV_LINES(4) CONV_LINES(5) CONV_LINES(6) CONV_LINES(7) CONV_LINES(8)

typedef void (*NAME(conv_weight_micro_t))(int, const REAL *, const int64_t *, const REAL *, const NAME(conv_box) *, REAL *,
                                          const int64_t *);
typedef void (*NAME(conv_weight_lines_t))(int64_t, const REAL *, const int64_t *, const REAL *, int64_t, int64_t, int64_t,
                                          int64_t, int64_t, int64_t, REAL *, int64_t);
static const NAME(conv_weight_lines_t) NAME(conv_weight_lines_table)[9] = {
    NULL, CONV_FIRST_SIX(conv_weight_lines), NAME(conv_weight_lines_7), NAME(conv_weight_lines_8)};
static const NAME(conv_weight_micro_t) NAME(conv_weight_micro_table)[CONV_ROWS + 1] = CONV_TABLE(conv_weight_micro);

/* gw (O, C / groups, kernel) = sum over images and points of x at each tap times g: the weight gradient.
   x (N, C, image), g (N, O, out). Output channels fill the lanes, or points where there are few output channels a group.
   The images and tiles are cut into fixed pieces; their partial sums are added in order.
   With scratch NULL nothing is computed. Returns the bytes of scratch that are needed. */
static int64_t NAME(conv_strip_weight)(const REAL *x, const REAL *g, REAL *gw, const conv_geometry *geometry, int threads,
                                      char *scratch) {
    conv_geometry s = *geometry;
    conv_merge_axes(&s);
    int64_t step[3];
    conv_steps(s.image, step);
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
    const int64_t most = own_jobs < wanted ? conv_min(units, (wanted + own_jobs - 1) / own_jobs) : 1;
    const int64_t pieces = units > 0 ? conv_ceil_div(units, conv_ceil_div(units, most)) : most; /* even ones */
    const int64_t part_size = s.groups * K * (by_points ? O : wide);

    conv_arena arena = {scratch, 0};
    const int64_t c_last = C - (c_blocks - 1) * c_block; /* channels of the last block: their taps have tables of their own */
    int64_t *const offsets = conv_take(&arena, (c_block + c_last) * kernel * sizeof(int64_t));
    int64_t *const rows_to = conv_take(&arena, (c_block + c_last) * kernel * sizeof(int64_t));
    REAL *part = conv_take(&arena, pieces * part_size * sizeof(REAL));
    const int64_t strip_bytes = conv_round_up((c_block * t->channel + 2 * LANES) * sizeof(REAL), 64);
    const int64_t packed =
        t->images * (by_points ? CONV_OUTPUTS * t->tile[0] * t->tile[1] * conv_round_up(t->tile[2], LANES)
                               : conv_points(t) * o_block);
    const int64_t packed_bytes = conv_round_up(packed * sizeof(REAL), 64);
    const int64_t sums_bytes = conv_round_up(by_points ? O * kernel * LANES * sizeof(REAL) : 0, 64);
    const int64_t ranges_bytes = conv_round_up(3 * kernel * sizeof(conv_range), 64);
    const int64_t each = strip_bytes + packed_bytes + sums_bytes + ranges_bytes;
    char *own = conv_take(&arena, each * threads);
    if (!scratch) return arena.used;
    conv_offsets(t, c_block, s.kernel, offsets, NULL);
    conv_offsets(t, c_last, s.kernel, offsets + c_block * kernel, NULL);
    for (int64_t i = 0; i < c_block * kernel; i++) rows_to[i] = (i % c_block * kernel + i / c_block) * wide;
    for (int64_t i = 0; i < c_last * kernel; i++) rows_to[c_block * kernel + i] = (i % c_last * kernel + i / c_last) * wide;

#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(dynamic)
        for (int64_t job = 0; job < own_jobs * pieces; job++) {
            REAL *const strip = (REAL *)(own + CONV_THREAD * each), *const rows = (REAL *)((char *)strip + strip_bytes);
            REAL *const sums = (REAL *)((char *)rows + packed_bytes);
            conv_range *const ranges = (conv_range *)((char *)sums + sums_bytes);
            int64_t rest = job;
            const int64_t o0 = rest % o_blocks * o_block, o_size = conv_min(o_block, O - o0);
            rest /= o_blocks;
            const int64_t c0 = rest % c_blocks * c_block, c_size = conv_min(c_block, C - c0), taps = c_size * kernel;
            const int64_t table = c_size == c_block ? 0 : c_block * kernel, *const offset = offsets + table;
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
                NAME(conv_fill_strip)(strip, x + (n * s.C + group * C + c0) * image, image, s.C * image, step, c_size,
                                      images, t, s.image, m, a);
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
                /* Points that read padding are left out, unless NaN comes of it. */
                int whole = conv_points_inside(t, s.image, m, a, ranges);
                if (!whole) whole = !NAME(conv_finite)(rows, points * conv_round_up(o_size, LANES));
                const int64_t blocks = (taps + CONV_ROWS - 1) / CONV_ROWS, size = (taps + blocks - 1) / blocks;
                for (int64_t o = 0; o < o_size; o += 2 * LANES) {
                    const int vectors = o_size - o > LANES ? 2 : 1;
                    for (int64_t k = 0; k < taps; k += size) {
                        const int64_t here = conv_min(size, taps - k);
                        NAME(conv_box) box = {{planes, a[1], a[2]}, {plane, line, 1}, {a[1] * a[2], a[2], 1}};
                        int64_t x_first = 0, g_first = 0;
                        for (int i = t->images > 1; i < 3 && !whole; i++) {
                            conv_range range = ranges[k / c_size * 3 + i];
                            for (int64_t tap = k / c_size + 1; tap <= (k + here - 1) / c_size; tap++) {
                                range.first = conv_min(range.first, ranges[tap * 3 + i].first);
                                range.end = conv_max(range.end, ranges[tap * 3 + i].end);
                            }
                            box.size[i] = conv_max(range.end - range.first, 0);
                            x_first += range.first * box.x_step[i];
                            g_first += range.first * box.g_step[i];
                        }
                        NAME(conv_weight_micro_table)[here](vectors, strip + x_first, offset + k,
                                                            rows + o * points + g_first * vectors * LANES, &box,
                                                            sum + c0 * kernel * wide + o0 + o, rows_to + table + k);
                    }
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

#undef CONV_OUTPUTS
#undef CONV_WEIGHT_MICRO
#undef CONV_LINES
