/* Linear maps along the axes of an image, and samples of an image at given points. Compiled through multiversion.h: see there
   for REAL, NAME, LANES, VECTOR, IVECTOR, MG_INT.

   1. map_planes: out[p] = R x[p] C^T for planes x[p] of (height, width), where R (out_height, height) and C (out_width, width)
      are sparse matrices, given row by row (CSR): output i is the sum over t in [offset[i], offset[i+1]) of
      weight[t] * input[index[t]].
      Every way to resize or to pad an axis is such a matrix, and its adjoint is the transposed one: there is no second kernel.
      A null offset stands for the identity.

   2. sample, sample_adjoint, sample_weights: out[n, c, o] = sum over k of weight[n, k, o] * x[n, c, index[n, k, o]],
      bilinear in x and weight, and its two adjoints. A negative index stands for a value of zero outside the image.

   Every output element is the work of one thread and is summed in the order of its taps, so no bit depends on their number. */

#include "gemm_kernels.h"

/* ---- 1. linear maps along axes ----------------------------------------------------------------------------------------

   One output row at a time. Downwards first the rows are combined into a row of the input's width, vectorised over its columns;
   then the columns of that row. Upwards it is the other way round, and a row with its columns mapped serves several outputs.
   Column taps at arbitrary places would be LANES scalar loads; but the inputs that LANES neighbouring outputs read with their t-th tap
   mostly lie within 2 * LANES elements, whatever the resizing, down to half the size, and upwards within LANES: two loads and one
   permutation fetch them (`window` below), or one load; often one window serves all taps. Other blocks gather lane by lane. */

enum NAME(kind) { NAME(narrow_window), NAME(window), NAME(partial_window), NAME(scattered) };

/* What LANES neighbouring outputs read. Taps first_tap .. next block's first_tap share one window, or each has its own. */
typedef struct {
    int64_t first_tap, base;
    int shared, kind;
} NAME(block);

typedef struct {
    int64_t base;  /* the first element of the window */
    int kind;
} NAME(tap);

typedef struct {
    int64_t count;
    int64_t uniform;            /* how many taps each block has if all have as many, in one full window; else 0 */
    int narrow;                 /* whether such windows are all of one vector, as they are upwards */
    NAME(block) *blocks;        /* [count + 1] */
    NAME(tap) *taps;            /* [all taps] */
    MG_INT *lanes;              /* [all taps][LANES]: where in the window, or in the row if scattered; -1 for no tap */
    REAL *weights;              /* [all taps][LANES] */
    void *memory;
} NAME(column_plan);

/* Makes the indices of some taps relative to one window if they fit into one; returns their kind. */
static int NAME(fit_window)(MG_INT *lanes, int64_t n, int64_t *base) {
    int64_t low = INT64_MAX, high = -1, missing = 0;
    for (int64_t i = 0; i < n; i++) {
        if (lanes[i] < 0) { missing++; continue; }
        low = lanes[i] < low ? lanes[i] : low;
        high = lanes[i] > high ? lanes[i] : high;
    }
    *base = 0;
    if (ISA_LEVEL == 2 || high < 0 || high - low >= 2 * LANES) return NAME(scattered);
    *base = low;
    for (int64_t i = 0; i < n; i++)
        if (lanes[i] >= 0) lanes[i] -= low;
    return missing ? NAME(partial_window) : high - low < LANES ? NAME(narrow_window) : NAME(window);
}

/* Cuts the map of the columns into blocks of LANES outputs. Lanes behind the last output repeat it, so that the last block is like the
   others. Returns 0, or -1 if there is no memory. */
static int NAME(plan_columns)(NAME(column_plan) *plan, const int64_t *offset, const int32_t *index, const REAL *weight,
                              int64_t out_width) {
    const int64_t count = (out_width + LANES - 1) / LANES;
    int64_t total = 0;
    for (int64_t b = 0; b < count; b++) {
        int64_t most = 0;
        for (int64_t o = b * LANES; o < (b + 1) * LANES && o < out_width; o++)
            most = offset[o + 1] - offset[o] > most ? offset[o + 1] - offset[o] : most;
        total += most;
    }
    const size_t lane_bytes = total * LANES * sizeof(REAL), tap_bytes = total * sizeof(NAME(tap));
    plan->memory = mg_aligned_alloc(2 * lane_bytes + tap_bytes + (count + 1) * sizeof(NAME(block)));
    if (!plan->memory) return -1;
    plan->count = count;
    plan->lanes = plan->memory;
    plan->weights = (REAL *)((char *)plan->lanes + lane_bytes);
    plan->taps = (NAME(tap) *)((char *)plan->weights + lane_bytes);
    plan->blocks = (NAME(block) *)((char *)plan->taps + tap_bytes);
    int64_t tap = 0;
    plan->uniform = offset[1];
    plan->narrow = 1;
    for (int64_t b = 0; b < count; b++) {
        NAME(block) *block = plan->blocks + b;
        block->first_tap = tap;
        for (int64_t t = 0;; t++, tap++) {
            int present = 0;
            for (int64_t o = b * LANES; o < (b + 1) * LANES && o < out_width; o++) present |= offset[o] + t < offset[o + 1];
            if (!present) break;
            for (int64_t l = 0; l < LANES; l++) {
                const int64_t o = b * LANES + l < out_width ? b * LANES + l : out_width - 1;
                const int there = offset[o] + t < offset[o + 1];
                plan->lanes[tap * LANES + l] = there ? index[offset[o] + t] : -1;
                plan->weights[tap * LANES + l] = there ? weight[offset[o] + t] : 0;
            }
        }
        const int64_t taps = tap - block->first_tap;
        MG_INT *lanes = plan->lanes + block->first_tap * LANES;
        block->kind = NAME(fit_window)(lanes, taps * LANES, &block->base);
        block->shared = block->kind != NAME(scattered);
        if (block->kind > NAME(window) || taps != plan->uniform) plan->uniform = 0;
        plan->narrow &= block->kind == NAME(narrow_window);
        for (int64_t t = 0; t < taps && !block->shared; t++) {
            NAME(tap) *entry = plan->taps + block->first_tap + t;
            entry->kind = NAME(fit_window)(lanes + t * LANES, LANES, &entry->base);
        }
    }
    plan->blocks[count].first_tap = tap;
    return 0;
}

/* The values that one tap reads from a row, in lanes. */
MG_INLINE VECTOR NAME(fetch)(const REAL *row, VECTOR low, VECTOR high, const MG_INT *lanes, int kind) {
    VECTOR value;
#if ISA_LEVEL > 2
    if (kind != NAME(scattered)) {
        const IVECTOR at = *(const IVECTOR *)lanes;
        value = kind == NAME(narrow_window) ? __builtin_shuffle(low, at) : __builtin_shuffle(low, high, at);
        if (kind == NAME(partial_window)) value = (VECTOR)((IVECTOR)value & (at >= 0));
        return value;
    }
#endif
    for (int l = 0; l < LANES; l++) value[l] = lanes[l] < 0 ? 0 : row[lanes[l]];
    return value;
}

/* The outputs of a block whose `taps` taps share the window (low, high). */
MG_INLINE VECTOR NAME(sum_taps)(VECTOR low, VECTOR high, const MG_INT *lanes, const REAL *weights, int64_t taps, int kind) {
    VECTOR sum = *(const VECTOR *)weights * NAME(fetch)(NULL, low, high, lanes, kind);
    for (int64_t t = 1; t < taps; t++)
        sum += *(const VECTOR *)(weights + t * LANES) * NAME(fetch)(NULL, low, high, lanes + t * LANES, kind);
    return sum;
}

/* The outputs of a block that reaches past the end of the row. */
static void NAME(store_part)(VECTOR value, int64_t n, REAL *out) { memcpy(out, &value, n * sizeof(REAL)); }

/* map_row where the plan is uniform; a constant number of taps unrolls the sums: 1.5 times as fast. */
MG_INLINE void NAME(map_row_uniform)(const REAL *row, const NAME(column_plan) *plan, REAL *out, int64_t out_width, int whole,
                                     int64_t taps, int kind) {
    const MG_INT *lanes = plan->lanes;
    const REAL *weights = plan->weights;
    const NAME(block) *block = plan->blocks;
    int64_t i = 0;
    for (; i < out_width; i += LANES, block++, lanes += taps * LANES, weights += taps * LANES) {
        const REAL *window = row + block->base;
        const VECTOR low = *(const VECTOR *)window, high = kind == NAME(window) ? *(const VECTOR *)(window + LANES) : low;
        const VECTOR sum = NAME(sum_taps)(low, high, lanes, weights, taps, kind);
        if (!whole && i + LANES > out_width) { NAME(store_part)(sum, out_width - i, out + i); return; }
        *(VECTOR *)(out + i) = sum;
    }
}

/* out = (map of the columns) row. row must have 2 * LANES readable elements behind its end. */
static void NAME(map_row)(const REAL *row, const NAME(column_plan) *plan, REAL *out, int64_t out_width, int whole) {
    if (plan->uniform == 1) { NAME(map_row_uniform)(row, plan, out, out_width, whole, 1, NAME(window)); return; }
    if (plan->uniform == 2 && plan->narrow) { NAME(map_row_uniform)(row, plan, out, out_width, whole, 2, NAME(narrow_window)); return; }
    if (plan->uniform == 2) { NAME(map_row_uniform)(row, plan, out, out_width, whole, 2, NAME(window)); return; }
    if (plan->uniform == 4 && plan->narrow) { NAME(map_row_uniform)(row, plan, out, out_width, whole, 4, NAME(narrow_window)); return; }
    for (int64_t b = 0; b < plan->count; b++) {
        const NAME(block) *block = plan->blocks + b;
        const int64_t taps = block[1].first_tap - block->first_tap;
        const MG_INT *lanes = plan->lanes + block->first_tap * LANES;
        const REAL *weights = plan->weights + block->first_tap * LANES;
        VECTOR sum = {0};
        if (block->shared) {
            const VECTOR low = *(const VECTOR *)(row + block->base), high = *(const VECTOR *)(row + block->base + LANES);
            if (block->kind <= NAME(window)) sum = NAME(sum_taps)(low, high, lanes, weights, taps, NAME(window));
            else sum = NAME(sum_taps)(low, high, lanes, weights, taps, NAME(partial_window));
        } else for (int64_t t = 0; t < taps; t++) {
            const NAME(tap) *tap = plan->taps + block->first_tap + t;
            const VECTOR low = *(const VECTOR *)(row + tap->base), high = *(const VECTOR *)(row + tap->base + LANES);
            const VECTOR value = NAME(fetch)(row, low, high, lanes + t * LANES, tap->kind);
            const VECTOR part = *(const VECTOR *)(weights + t * LANES) * value;
            if (t == 0) sum = part;
            else sum += part;
        }
        if (whole || (b + 1) * LANES <= out_width) *(VECTOR *)(out + b * LANES) = sum;
        else NAME(store_part)(sum, out_width - b * LANES, out + b * LANES);
    }
}

/* out = sum of weight[t] * lines[index[t]] over `taps` lines. whole: elements up to a multiple of LANES may be read and written. */
static void NAME(combine_lines)(const REAL *lines, int64_t stride, int64_t width, const int32_t *index, const REAL *weight,
                                int64_t taps, int whole, REAL *out) {
    if (taps == 0) { memset(out, 0, width * sizeof(REAL)); return; }
    int64_t i = 0;
    const int64_t end = whole ? width : width / LANES * LANES;
    if (taps == 2) {
        const REAL *a = lines + index[0] * stride, *b = lines + index[1] * stride;
        const REAL u = weight[0], v = weight[1];
        for (; i < end; i += LANES) *(VECTOR *)(out + i) = u * *(const VECTOR *)(a + i) + v * *(const VECTOR *)(b + i);
    } else for (; i < end; i += LANES) {
        VECTOR sum = weight[0] * *(const VECTOR *)(lines + index[0] * stride + i);
        for (int64_t t = 1; t < taps; t++) sum += weight[t] * *(const VECTOR *)(lines + index[t] * stride + i);
        *(VECTOR *)(out + i) = sum;
    }
    for (; i < width; i++) {
        REAL sum = weight[0] * lines[index[0] * stride + i];
        for (int64_t t = 1; t < taps; t++) sum += weight[t] * lines[index[t] * stride + i];
        out[i] = sum;
    }
}

/* A row whose columns are to be mapped; from `end` on nothing may be read, so that the last rows are copied to `buffer` first. */
MG_INLINE const REAL *NAME(readable)(const REAL *row, int64_t width, const REAL *end, REAL *buffer) {
    if (row + width + 2 * LANES <= end) return row;
    memcpy(buffer, row, width * sizeof(REAL));
    return buffer;
}

/* What map_planes maps, and how. */
typedef struct {
    const REAL *x, *end, *row_weight;
    REAL *out;
    const int64_t *row_offset;
    const int32_t *row_index, *slot;    /* slot: of each tap of the rows where the columns come first, else null */
    const NAME(column_plan) *columns;   /* null: as they are */
    int64_t height, width, out_height, out_width, stride;
} NAME(plane_map);

/* Rows r0 to r1 of the result for one plane. scratch: MAP_SLOTS + 1 lines of m->stride. Whole vectors are written past the end of a
   row (the next row then overwrites them), but not past the last one. */
static void NAME(map_band)(const NAME(plane_map) *m, int64_t p, int64_t r0, int64_t r1, REAL *scratch) {
    const REAL *plane = m->x + p * m->height * m->width;
    const int padded = plane + m->height * m->width + LANES <= m->end; /* whether whole vectors of each row can be read */
    REAL *buffer = scratch + MAP_SLOTS * m->stride;
    int32_t held[MAP_SLOTS];            /* which row of the plane a line of the scratch holds, its columns mapped */
    for (int s = 0; s < MAP_SLOTS; s++) held[s] = -1;
    for (int64_t r = r0; r < r1; r++) {
        const int64_t first = m->row_offset ? m->row_offset[r] : r, taps = m->row_offset ? m->row_offset[r + 1] - first : 1;
        const int32_t *index = m->row_offset ? m->row_index + first : NULL;
        const REAL *weight = m->row_offset ? m->row_weight + first : NULL;
        REAL *to = m->out + (p * m->out_height + r) * m->out_width;
        const int whole = (m->out_width + LANES - 1) / LANES * LANES <= (r1 - r) * m->out_width;
        if (!m->row_offset || (taps == 1 && weight[0] == 1)) {
            const REAL *row = plane + (m->row_offset ? index[0] : r) * m->width;
            if (m->columns) NAME(map_row)(NAME(readable)(row, m->width, m->end, buffer), m->columns, to, m->out_width, whole);
            else memcpy(to, row, m->width * sizeof(REAL));
        } else if (!m->columns) {
            NAME(combine_lines)(plane, m->width, m->width, index, weight, taps, whole && padded, to);
        } else if (!m->slot) {
            NAME(combine_lines)(plane, m->width, m->width, index, weight, taps, padded, buffer);
            NAME(map_row)(buffer, m->columns, to, m->out_width, whole);
        } else {
            const int32_t *slot = m->slot + first;
            for (int64_t t = 0; t < taps; t++) {
                if (held[slot[t]] == index[t]) continue;
                const REAL *row = NAME(readable)(plane + index[t] * m->width, m->width, m->end, buffer);
                NAME(map_row)(row, m->columns, scratch + slot[t] * m->stride, m->out_width, 1);
                held[slot[t]] = index[t];
            }
            NAME(combine_lines)(scratch, m->stride, m->out_width, slot, weight, taps, whole, to);
        }
    }
}

/* Where the columns of a row are mapped before rows are combined, a mapped row waits in line index % MAP_SLOTS for the other outputs
   that read it: slot[t] is that of tap t. Returns whether no output reads two rows of one line. */
static int NAME(assign_slots)(const int64_t *offset, const int32_t *index, int64_t out_height, int32_t *slot) {
    for (int64_t r = 0; r < out_height; r++) {
        int32_t held[MAP_SLOTS];
        for (int s = 0; s < MAP_SLOTS; s++) held[s] = -1;
        for (int64_t t = offset[r]; t < offset[r + 1]; t++) {
            slot[t] = index[t] % MAP_SLOTS;
            if (held[slot[t]] >= 0 && held[slot[t]] != index[t]) return 0;
            held[slot[t]] = index[t];
        }
    }
    return 1;
}

/* Returns 0, or -1 if there is no memory for the scratch. */
static int NAME(map_planes)(const REAL *x, const int64_t *row_offset, const int32_t *row_index, const REAL *row_weight,
                            const int64_t *column_offset, const int32_t *column_index, const REAL *column_weight, REAL *out,
                            int64_t planes, int64_t height, int64_t width, int64_t out_height, int64_t out_width, int threads) {
    NAME(column_plan) plan = {0};
    const int64_t longest = width > out_width ? width : out_width, stride = (longest + 64 + 4 * LANES) / 64 * 64;
    const int64_t bands = (out_height + MAP_BAND - 1) / MAP_BAND, size = (MAP_SLOTS + 1) * stride;
    const int64_t taps = row_offset ? row_offset[out_height] : 0;
    REAL *scratch = mg_aligned_alloc(threads * size * sizeof(REAL));
    int32_t *slot = mg_aligned_alloc(taps * sizeof(int32_t));
    int failed = !scratch || !slot;
    if (!failed && column_offset) failed = NAME(plan_columns)(&plan, column_offset, column_index, column_weight, out_width);
    if (!failed) {
        /* Upwards each row's columns are mapped once rather than for each of the outputs that read it. Downwards there are fewer
           outputs than rows. */
        const int columns_first = row_offset && out_height >= height && NAME(assign_slots)(row_offset, row_index, out_height, slot);
        const NAME(plane_map) m = {x, x + planes * height * width, row_weight, out, row_offset, row_index, columns_first ? slot : NULL,
                                   column_offset ? &plan : NULL, height, width, out_height, out_width, stride};
        memset(scratch, 0, threads * size * sizeof(REAL));
        #pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
        for (int64_t band = 0; band < planes * bands; band++) {
            const int64_t r = band % bands * MAP_BAND;
#ifdef _OPENMP
            REAL *own = scratch + omp_get_thread_num() * size;
#else
            REAL *own = scratch;
#endif
            NAME(map_band)(&m, band / bands, r, r + MAP_BAND < out_height ? r + MAP_BAND : out_height, own);
        }
    }
    free(slot);
    free(scratch);
    free(plan.memory);
    return failed ? -1 : 0;
}

/* ---- 2. samples at given points ------------------------------------------------------------------------------------- */

MG_INLINE REAL NAME(value_at)(const REAL *plane, int32_t index) {
    const REAL value = plane[index < 0 ? 0 : index];
    return index < 0 ? 0 : value;
}

/* With several channels a tap is a vector of SAMPLE_CHANNELS of them: the planes of a block are transposed to (element,
   channel) first, and the results back. That reads a cache line where the planes one by one would gather from as many. */
#ifndef SAMPLE_CHANNELS
#define SAMPLE_CHANNELS 16
#define SAMPLE_POINTS 64
#define SAMPLE_LEAST_CHANNELS 4  /* with fewer the transposition costs more than it saves */
#endif

/* to[i, c] = planes[c, i] for c < channels, 0 for the others of the block. Whole tiles are transposed in registers. */
static void NAME(interleave)(const REAL *planes, int64_t stride, int64_t n, int64_t channels, REAL *to) {
    int64_t whole = 0;
    if (channels == SAMPLE_CHANNELS)
        for (; whole + LANES <= n; whole += LANES)
            for (int c = 0; c < SAMPLE_CHANNELS; c += LANES) {
                VECTOR r[LANES];
                for (int j = 0; j < LANES; j++) r[j] = *(const VECTOR *)(planes + (c + j) * stride + whole);
                NAME(gemm_transpose)(r);
                for (int j = 0; j < LANES; j++) *(VECTOR *)(to + (whole + j) * SAMPLE_CHANNELS + c) = r[j];
            }
    for (int64_t i = whole; i < n; i++)
        for (int64_t c = 0; c < SAMPLE_CHANNELS; c++) to[i * SAMPLE_CHANNELS + c] = c < channels ? planes[c * stride + i] : 0;
}

/* planes[c, i] = from[i, c] for c < channels */
static void NAME(separate)(const REAL *from, int64_t n, int64_t channels, REAL *planes, int64_t stride) {
    int64_t whole = 0;
    if (channels == SAMPLE_CHANNELS)
        for (; whole + LANES <= n; whole += LANES)
            for (int c = 0; c < SAMPLE_CHANNELS; c += LANES) {
                VECTOR r[LANES];
                for (int j = 0; j < LANES; j++) r[j] = *(const VECTOR *)(from + (whole + j) * SAMPLE_CHANNELS + c);
                NAME(gemm_transpose)(r);
                for (int j = 0; j < LANES; j++) *(VECTOR *)(planes + (c + j) * stride + whole) = r[j];
            }
    for (int64_t i = whole; i < n; i++)
        for (int64_t c = 0; c < channels; c++) planes[c * stride + i] = from[i * SAMPLE_CHANNELS + c];
}

/* Adds some taps of n points to results, or writes them there. The line before the first one is zero: that of index -1. */
MG_INLINE void NAME(sample_taps)(const REAL *lines, const REAL *weight, const int32_t *index, int64_t stride, int64_t n,
                                 int taps, int add, REAL *results) {
    enum { VECTORS = SAMPLE_CHANNELS / LANES };
    for (int64_t o = 0; o < n; o++) {
        VECTOR *to = (VECTOR *)(results + o * SAMPLE_CHANNELS), sum[VECTORS];
        for (int v = 0; v < VECTORS; v++) sum[v] = add ? to[v] : (VECTOR){0};
        for (int k = 0; k < taps; k++) {
            const int32_t at = index[k * stride + o] < 0 ? -1 : index[k * stride + o];
            const REAL w = at < 0 ? 0 : weight[k * stride + o];
            const VECTOR *line = (const VECTOR *)(lines + (int64_t)at * SAMPLE_CHANNELS);
            for (int v = 0; v < VECTORS; v++) sum[v] += w * line[v];
        }
        for (int v = 0; v < VECTORS; v++) to[v] = sum[v];
    }
}

/* sample() for one block of channels; lines (1 + size, SAMPLE_CHANNELS) is scratch. Results wait in L1 for their transposition,
   and four taps at a time read eight streams, which lie in one set of L1 for images of a power of two: more would push each
   other out. */
static void NAME(sample_block)(const REAL *x, const REAL *weight, const int32_t *index, REAL *out, int64_t channels,
                               int64_t size, int64_t taps, int64_t points, REAL *lines) {
    REAL results[SAMPLE_POINTS * SAMPLE_CHANNELS] __attribute__((aligned(64)));
    memset(lines, 0, SAMPLE_CHANNELS * sizeof(REAL));
    lines += SAMPLE_CHANNELS;
    NAME(interleave)(x, size, size, channels, lines);
    for (int64_t o = 0; o < points; o += SAMPLE_POINTS) {
        const int64_t n = points - o < SAMPLE_POINTS ? points - o : SAMPLE_POINTS;
        int64_t k = 0;
        for (; k + 4 <= taps; k += 4)
            NAME(sample_taps)(lines, weight + k * points + o, index + k * points + o, points, n, 4, k > 0, results);
        for (; k < taps; k++)
            NAME(sample_taps)(lines, weight + k * points + o, index + k * points + o, points, n, 1, k > 0, results);
        NAME(separate)(results, n, channels, out + o, points);
    }
}

/* sample_adjoint() for one block of channels, gx overwritten. */
static void NAME(sample_adjoint_block)(const REAL *g, const REAL *weight, const int32_t *index, REAL *gx, int64_t channels,
                                       int64_t size, int64_t taps, int64_t points, REAL *lines, REAL *results) {
    NAME(interleave)(g, points, points, channels, results);
    memset(lines, 0, size * SAMPLE_CHANNELS * sizeof(REAL));
    for (int64_t k = 0; k < taps; k++)
        for (int64_t o = 0; o < points; o++) {
            const int32_t at = index[k * points + o];
            if (at < 0) continue;
            const REAL w = weight[k * points + o], *from = results + o * SAMPLE_CHANNELS;
            REAL *line = lines + (int64_t)at * SAMPLE_CHANNELS;
            for (int c = 0; c < SAMPLE_CHANNELS; c++) line[c] += w * from[c];
        }
    NAME(separate)(lines, size, channels, gx, size);
}

/* The share of one block of channels in sample_weights(), added to gw. */
static void NAME(sample_weights_block)(const REAL *g, const REAL *x, const int32_t *index, REAL *gw, int64_t channels, int64_t size,
                                       int64_t taps, int64_t points, REAL *lines, REAL *results) {
    NAME(interleave)(x, size, size, channels, lines);
    NAME(interleave)(g, points, points, channels, results);
    for (int64_t k = 0; k < taps; k++)
        for (int64_t o = 0; o < points; o++) {
            const int32_t at = index[k * points + o];
            if (at < 0) continue;
            const REAL *line = lines + (int64_t)at * SAMPLE_CHANNELS, *from = results + o * SAMPLE_CHANNELS;
            REAL sum = 0;
            _Pragma("omp simd reduction(+ : sum)") for (int c = 0; c < SAMPLE_CHANNELS; c++) sum += from[c] * line[c];
            gw[k * points + o] += sum;
        }
}

/* Whether blocks of channels serve: the transposition of an image must pay for itself. */
MG_INLINE int NAME(sample_in_blocks)(int64_t channels, int64_t size, int64_t taps, int64_t points) {
    return channels >= SAMPLE_LEAST_CHANNELS && size > 0 && taps * points >= 2 * size;
}

/* How much scratch a block needs. */
MG_INLINE int64_t NAME(sample_scratch)(int64_t size, int64_t points) {
    return (size + points) * SAMPLE_CHANNELS * (int64_t)sizeof(REAL);
}

#define SAMPLE_BLOCKS(channels) (((channels) + SAMPLE_CHANNELS - 1) / SAMPLE_CHANNELS)
#define SAMPLE_OF_BLOCK(channels, first) ((channels) - (first) < SAMPLE_CHANNELS ? (channels) - (first) : SAMPLE_CHANNELS)

/* out[n, c, o] = sum over k of weight[n, k, o] * x[n, c, index[n, k, o]] */
static void NAME(sample)(const REAL *x, const REAL *weight, const int32_t *index, REAL *out, int64_t batch, int64_t channels,
                         int64_t size, int64_t taps, int64_t points, int threads) {
    if (NAME(sample_in_blocks)(channels, size, taps, points)) {
        const int64_t blocks = SAMPLE_BLOCKS(channels);
        #pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
        for (int64_t task = 0; task < batch * blocks; task++) {
            const int64_t n = task / blocks, c = task % blocks * SAMPLE_CHANNELS;
            REAL *lines = mg_thread_scratch((1 + size) * SAMPLE_CHANNELS * (int64_t)sizeof(REAL));
            NAME(sample_block)(x + (n * channels + c) * size, weight + n * taps * points, index + n * taps * points,
                               out + (n * channels + c) * points, SAMPLE_OF_BLOCK(channels, c), size, taps, points, lines);
        }
        return;
    }
    #pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t p = 0; p < batch * channels; p++) {
        const int64_t n = p / channels;
        const REAL *plane = x + p * size;
        REAL *restrict to = out + p * points;
        if (size == 0 || taps == 0) memset(to, 0, points * sizeof(REAL));
        for (int64_t k = 0; k < taps && size > 0; k++) {
            const REAL *w = weight + (n * taps + k) * points;
            const int32_t *at = index + (n * taps + k) * points;
            if (k == 0) {
                #pragma omp simd
                for (int64_t o = 0; o < points; o++) to[o] = w[o] * NAME(value_at)(plane, at[o]);
            } else {
                #pragma omp simd
                for (int64_t o = 0; o < points; o++) to[o] += w[o] * NAME(value_at)(plane, at[o]);
            }
        }
    }
}

/* gx[n, c, s] = sum over (k, o) with index[n, k, o] = s of weight[n, k, o] * g[n, c, o]; gx must come zeroed */
static void NAME(sample_adjoint)(const REAL *g, const REAL *weight, const int32_t *index, REAL *gx, int64_t batch,
                                 int64_t channels, int64_t size, int64_t taps, int64_t points, int threads) {
    if (NAME(sample_in_blocks)(channels, size, taps, points)) {
        const int64_t blocks = SAMPLE_BLOCKS(channels);
        #pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
        for (int64_t task = 0; task < batch * blocks; task++) {
            const int64_t n = task / blocks, c = task % blocks * SAMPLE_CHANNELS;
            REAL *lines = mg_thread_scratch(NAME(sample_scratch)(size, points));
            NAME(sample_adjoint_block)(g + (n * channels + c) * points, weight + n * taps * points, index + n * taps * points,
                                       gx + (n * channels + c) * size, SAMPLE_OF_BLOCK(channels, c), size, taps, points, lines,
                                       lines + size * SAMPLE_CHANNELS);
        }
        return;
    }
    #pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t p = 0; p < batch * channels; p++) {
        const int64_t n = p / channels;
        const REAL *from = g + p * points;
        REAL *plane = gx + p * size;
        for (int64_t k = 0; k < taps; k++) {
            const REAL *w = weight + (n * taps + k) * points;
            const int32_t *at = index + (n * taps + k) * points;
            for (int64_t o = 0; o < points; o++)
                if (at[o] >= 0) plane[at[o]] += w[o] * from[o];
        }
    }
}

/* gw[n, k, o] = sum over c of g[n, c, o] * x[n, c, index[n, k, o]] */
static void NAME(sample_weights)(const REAL *g, const REAL *x, const int32_t *index, REAL *gw, int64_t batch, int64_t channels,
                                 int64_t size, int64_t taps, int64_t points, int threads) {
    if (NAME(sample_in_blocks)(channels, size, taps, points)) {
        #pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
        for (int64_t n = 0; n < batch; n++) {
            REAL *lines = mg_thread_scratch(NAME(sample_scratch)(size, points));
            memset(gw + n * taps * points, 0, taps * points * sizeof(REAL));
            for (int64_t c = 0; c < channels; c += SAMPLE_CHANNELS)
                NAME(sample_weights_block)(g + (n * channels + c) * points, x + (n * channels + c) * size, index + n * taps * points,
                                           gw + n * taps * points, SAMPLE_OF_BLOCK(channels, c), size, taps, points, lines,
                                           lines + size * SAMPLE_CHANNELS);
        }
        return;
    }
    #pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t row = 0; row < batch * taps; row++) {
        const int64_t n = row / taps;
        const int32_t *at = index + row * points;
        REAL *restrict to = gw + row * points;
        memset(to, 0, points * sizeof(REAL));
        for (int64_t c = 0; c < channels && size > 0; c++) {
            const REAL *from = g + (n * channels + c) * points, *plane = x + (n * channels + c) * size;
            #pragma omp simd
            for (int64_t o = 0; o < points; o++) to[o] += from[o] * NAME(value_at)(plane, at[o]);
        }
    }
}

/* Where the points of a grid lie: the taps of sample() and their weights, or a derivative of the weights.

   grid (batch, points, axes) holds coordinates in [-1, 1], the last axis of the image first. `taps` along each axis: 1
   (nearest), 2 (linear) or 4 (cubic convolution with a = -3/4). weight (batch, taps^axes, points) is the product over the
   axes of the weights along them, differentiated orders[axis] times by the grid's coordinate of that axis: polynomials of
   the fraction of the pixel coordinate, times a power of its slope, so every order is at hand. index (batch, taps^axes,
   points), null if not wanted, is the element of each tap, -1 outside. */

enum { NAME(chunk) = 128 };

MG_INLINE REAL NAME(round_down)(REAL x) { return REAL_IS_FLOAT ? floorf(x) : floor(x); }
MG_INLINE REAL NAME(round_near)(REAL x) { return REAL_IS_FLOAT ? rintf(x) : rint(x); }

/* at[i], held at 0 and last (NaN at 0); slope[i] becomes 0 there. */
MG_INLINE void NAME(clip_places)(REAL *at, REAL *slope, REAL last, int64_t n) {
    #pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const int inside = at[i] > 0 && at[i] < last;
        const REAL above = at[i] > 0 ? at[i] : 0;
        slope[i] = inside ? slope[i] : 0;
        at[i] = above < last ? above : last;
    }
}

/* at[i], mirrored at the borders until it lies between them; slope[i] changes its sign with each mirror. */
MG_INLINE void NAME(reflect_places)(REAL *at, REAL *slope, int64_t size, int align_corners, int64_t n) {
    const REAL low = align_corners ? 0 : (REAL)-0.5, span = align_corners ? size - 1 : size, period = 2 * span;
    #pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const REAL away = at[i] - low, distance = away < 0 ? -away : away;
        const REAL rest = span > 0 ? distance - NAME(round_down)(distance / period) * period : 0;
        const int mirrored = rest >= span, negative = away < 0;
        at[i] = (mirrored ? period - rest : rest) + low;
        slope[i] = mirrored != negative ? -slope[i] : slope[i];
    }
}

/* The order-th derivative of the weight of tap k at the fraction t, by t. */
MG_INLINE REAL NAME(tap_weight)(REAL t, int k, int taps, int order) {
    if (taps == 1) return order == 0;
    if (taps == 2) return order == 0 ? (k ? t : 1 - t) : order == 1 ? (k ? 1 : -1) : 0;
    const REAL a = (REAL)-0.75, sign = k > 1 && order % 2 ? -1 : 1;
    const REAL x = k == 0 ? t + 1 : k == 1 ? t : k == 2 ? 1 - t : 2 - t;
    if (k == 1 || k == 2)
        return sign * (order == 0 ? ((a + 2) * x - (a + 3)) * x * x + 1 : order == 1 ? (3 * (a + 2) * x - 2 * (a + 3)) * x
                       : order == 2 ? 6 * (a + 2) * x - 2 * (a + 3) : order == 3 ? 6 * (a + 2) : 0);
    return sign * (order == 0 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : order == 1 ? (3 * a * x - 10 * a) * x + 8 * a
                   : order == 2 ? 6 * a * x - 10 * a : order == 3 ? 6 * a : 0);
}

/* Elements and weights of the taps along one axis for n points, grid[i * stride]. Vectorised where taps and order
   are constants: nearest takes a quarter of the time, linear a third. */
MG_INLINE void NAME(any_axis_taps)(const REAL *grid, int64_t stride, int64_t n, int64_t size, int taps, int padding,
                                   int align_corners, int order, REAL weight[4][NAME(chunk)], int32_t element[4][NAME(chunk)]) {
    const REAL half = align_corners ? (REAL)(size - 1) / 2 : (REAL)size / 2, shift = align_corners ? 0 : (REAL)0.5;
    REAL at[NAME(chunk)], slope[NAME(chunk)], fraction[NAME(chunk)], tap_at[NAME(chunk)], flat[NAME(chunk)];
    #pragma omp simd
    for (int64_t i = 0; i < n; i++) { at[i] = (grid[i * stride] + 1) * half - shift; slope[i] = half; }
    if (taps < 4 && padding == MG_REFLECTION) NAME(reflect_places)(at, slope, size, align_corners, n);
    if (taps < 4 && padding != MG_ZEROS) NAME(clip_places)(at, slope, size - 1, n);
    #pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const REAL whole = taps == 1 ? NAME(round_near)(at[i]) : NAME(round_down)(at[i]);
        fraction[i] = at[i] - whole;
        at[i] = taps == 4 ? whole - 1 : whole;
    }
    for (int k = 0; k < taps; k++) {
        #pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            REAL value = NAME(tap_weight)(fraction[i], k, taps, order);
            for (int m = 0; m < order && m < 4; m++) value *= slope[i];
            weight[k][i] = value;
            tap_at[i] = at[i] + k;
            flat[i] = 0;
        }
        if (taps == 4 && padding == MG_REFLECTION) NAME(reflect_places)(tap_at, flat, size, align_corners, n);
        if (taps == 4 && padding != MG_ZEROS) NAME(clip_places)(tap_at, flat, size - 1, n);
        #pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            const int inside = tap_at[i] >= 0 && tap_at[i] < size;
            const REAL safe = inside ? tap_at[i] : -1;
            element[k][i] = (int32_t)safe;
        }
    }
}

static void NAME(axis_taps)(const REAL *grid, int64_t stride, int64_t n, int64_t size, int taps, int padding, int align_corners,
                            int order, REAL weight[4][NAME(chunk)], int32_t element[4][NAME(chunk)]) {
    if (order > 0) NAME(any_axis_taps)(grid, stride, n, size, taps, padding, align_corners, order, weight, element);
    else if (taps == 1) NAME(any_axis_taps)(grid, stride, n, size, 1, padding, align_corners, 0, weight, element);
    else if (taps == 2) NAME(any_axis_taps)(grid, stride, n, size, 2, padding, align_corners, 0, weight, element);
    else NAME(any_axis_taps)(grid, stride, n, size, 4, padding, align_corners, 0, weight, element);
}

static void NAME(grid_taps)(const REAL *grid, const int64_t *sizes, const int64_t *orders, int axes, int taps, int padding,
                            int align_corners, REAL *weight, int32_t *index, int64_t batch, int64_t points, int threads) {
    const int64_t chunks = (points + NAME(chunk) - 1) / NAME(chunk);
    int64_t total = 1;
    for (int a = 0; a < axes; a++) total *= taps;
    #pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t job = 0; job < batch * chunks; job++) {
        const int64_t b = job / chunks, start = job % chunks * NAME(chunk);
        const int64_t n = points - start < NAME(chunk) ? points - start : NAME(chunk);
        REAL along[3][4][NAME(chunk)];
        int32_t element[3][4][NAME(chunk)];
        for (int a = 0; a < axes; a++)
            NAME(axis_taps)(grid + (b * points + start) * axes + axes - 1 - a, axes, n, sizes[a], taps, padding, align_corners,
                            (int)orders[a], along[a], element[a]);
        for (int64_t k = 0; k < total; k++) {
            REAL *to = weight + (b * total + k) * points + start;
            int32_t *at = index ? index + (b * total + k) * points + start : NULL;
            int64_t rest = k, scale = total;
            for (int a = 0; a < axes; a++) {
                scale /= taps;
                const REAL *w = along[a][rest / scale];
                const int32_t *e = element[a][rest / scale];
                const int32_t size = (int32_t)sizes[a];
                rest %= scale;
                if (a == 0) memcpy(to, w, n * sizeof(REAL));
                else {
                    #pragma omp simd
                    for (int64_t i = 0; i < n; i++) to[i] *= w[i];
                }
                if (!at) continue;
                if (a == 0) memcpy(at, e, n * sizeof(int32_t));
                else {
                    #pragma omp simd
                    for (int64_t i = 0; i < n; i++) at[i] = at[i] < 0 || e[i] < 0 ? -1 : at[i] * size + e[i];
                }
            }
        }
    }
}
