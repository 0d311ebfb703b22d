/* Convolutions of stride 1 with kernels of 3x3 and 5x5 by Winograd's minimal filtering. Compiled through multiversion.h, for
   float alone.

   Lavin and Gray, "Fast algorithms for convolutional neural networks" (2015, arXiv:1509.09308): F(m x m, r x r) computes a tile
   of m x m outputs from a tile d of points x points inputs, points = m + r - 1, by points^2 multiplications where the
   definition takes (m r)^2,

       y = A' [ sum over channels of (G w G') * (B' d B) ] A          * elementwise, ' transposed

   so that over all tiles and channels each of the points^2 places is one matrix product. F(4x4, 3x3) takes a quarter of the
   multiplications, F(2x2, 3x3) 4/9, F(2x2, 5x5) 36/100. conv_winograd_transform_kernels.h has the matrices.

   The gradient of x is the same with the kernel turned round. That of w, in conv_winograd_weight_kernels.h, is the transposed
   algorithm,

       gw = G' [ sum over tiles of (B' d B) * (A g A') ] G

   A kernel dilated by d sees d phases of rows, and of columns, each as a plain kernel would: tiles take every d-th row and
   column. Three axes are planes, and one sum over taps in depth and channels. Groups are convolutions beside each other.

   Lanes are channels: rows of LANES images are transposed in registers into a strip (row, column, LANES), where transforms are
   plain vector arithmetic. The unit of work is a piece of a row of tiles, of one plane; a chunk is so many units that its
   transformed tiles stay in the L2 cache, where the products and the transform back find them. */

#if REAL_IS_FLOAT

#include "conv_winograd_transform_kernels.h"

#define WINO_WIDE (2 * LANES) /* most output channels of one matrix product */
#define WINO_DEEP 128         /* input channels of one matrix product: U of one place, 128 x 32, is 16 KB */
#define WINO_HALF 16          /* channels of kernels that are half transformed at a time, in L1 */
#define WINO_SKEW 16          /* floats between slabs: streams that lie a power of two apart would meet in one set of a cache */

/* ---- images -> transformed tiles (place, tile, channel) ---- */

/* What tiles are taken from: x (N, channels, size), zero outside. Results begin `padding` before it. */
typedef struct {
    const REAL *x;
    int64_t channels, size[3], padding[3];
} NAME(wino_images);

/* strip (rows, columns, LANES) = every step-th row of the plane from (row, column) on, zero outside its height and width;
   `channels` <= LANES planes `next` apart. */
static void NAME(wino_strip)(REAL *strip, int64_t rows, int64_t columns, const REAL *x, int64_t next, int64_t channels,
                             int64_t height, int64_t width, int64_t row, int64_t column, int64_t step) {
    const int64_t left = column < 0 ? conv_min(-column, columns) : 0;
    const int64_t inside = width - column < columns ? width - column - left : columns - left;
    for (; rows > 0; rows--, row += step, strip += columns * LANES) {
        const int64_t here = row < 0 || row >= height || inside < 0 ? 0 : inside;
        for (int64_t j = 0; j < left; j++) *(VECTOR *)(strip + j * LANES) = (VECTOR){0};
        if (here > 0) NAME(gemm_pack)(channels, here, x + row * width + column + left, next, 1, strip + left * LANES, LANES);
        for (int64_t j = left + here; j < columns; j++) *(VECTOR *)(strip + j * LANES) = (VECTOR){0};
    }
}

/* to[place * slab + (tile - base) * to_row] = a vector of channels of the tiles of units first .. end-1, from channel c on and
   `shift` planes further. What is beyond the last of `channels` <= LANES repeats it. */
static void NAME(wino_fill)(REAL *to, int64_t to_row, int64_t slab, int matrix, const wino_grid *g,
                            const NAME(wino_images) *from, int64_t c, int64_t channels, int64_t shift,
                            int64_t first, int64_t end, int64_t base, REAL *strip) {
    const int64_t *size = from->size, m = g->m, step = g->step[1];
    const int64_t takes = WINO_TAKES(matrix, g->points, m), common = takes - m; /* rows of a strip, and of two */
    for (int64_t u = first; u < end; u++) {
        const wino_place at = wino_unit(g, u);
        const int64_t columns = at.count * m + common * step, row = columns * LANES;
        const int64_t kept = g->pieces > 1 || u == first || at.top ? 0 : common;
        const int64_t depth = at.depth + shift - from->padding[0], outside = depth < 0 || depth >= size[0];
        const REAL *const x = from->x + ((at.n * from->channels + c) * size[0] + (outside ? 0 : depth)) * size[1] * size[2];
        REAL *const tiles = to + (at.tile - base) * to_row, *const last = to + (at.last - base) * to_row;
        REAL *const half = strip + takes * row;
        if (kept) memmove(strip, strip + m * row, common * row * sizeof(REAL));
        NAME(wino_strip)(strip + kept * row, takes - kept, columns, x, size[0] * size[1] * size[2], channels,
                         outside ? 0 : size[1], size[2], at.row - from->padding[1] + kept * g->step[0],
                         at.column - from->padding[2], g->step[0]);
        NAME(wino_pass)(matrix, g, strip, row, LANES, half, row, LANES, columns);
        for (int64_t i = 0; i < g->points; i++) {
            for (int64_t phase = 0; phase < step; phase++)
                NAME(wino_pass)(matrix, g, half + i * row + phase * LANES, step * LANES, m * step * LANES,
                                tiles + i * g->points * slab + phase * to_row, slab, step * to_row, at.whole / step);
            if (at.whole < at.count)
                NAME(wino_pass)(matrix, g, half + i * row + at.whole * m * LANES, LANES, 0, last + i * g->points * slab, slab,
                                0, 1);
        }
    }
}

/* ---- products of transformed tiles -> images ---- */

/* y = the strip (rows, columns, LANES) plus a bias for each lane, for `channels` images `plane` apart, rows `y_row` long. Gives
   a vector with NaN where anything is not finite. */
static VECTOR NAME(wino_unstrip)(REAL *y, int64_t plane, int64_t y_row, const REAL *strip, int64_t strip_row, int64_t rows,
                                 int64_t columns, int64_t channels, VECTOR bias) {
    VECTOR bad = {0};
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j += LANES) {
            const int64_t here = conv_min(LANES, columns - j);
            const REAL *from = strip + i * strip_row + j * LANES;
            VECTOR r[LANES];
            if (here == LANES) {
                _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++) r[l] = *(const VECTOR *)(from + l * LANES) + bias;
            } else
                for (int l = 0; l < LANES; l++) r[l] = bias + *(const VECTOR *)(from + conv_min(l, here - 1) * LANES);
            NAME(gemm_transpose)(r);
            for (int64_t l = 0; l < channels; l++) {
                bad += 0 * r[l];
                NAME(gemm_store)(y + l * plane + i * y_row + j, r[l], here);
            }
        }
    return bad;
}

/* ---- the forward direction and the gradient of x ---- */

/* What both ways to share the work among threads need to know. Each group has V, transformed tiles, as [k][place][tile][depth]
   with all places of a k side by side; and U, transformed kernels, as [place][depth][wide] for each block of channels of y and
   each k, which counts the taps in depth and in them the blocks of channels of x. */
typedef struct {
    const conv_geometry *s;
    NAME(wino_images) from;
    const REAL *w, *bias;
    REAL *y;
    int adjoint;
    const int64_t *to;              /* the size of y */
    int64_t in, out;                /* channels of x and of y in a group */
    int64_t wide, blocks;           /* channels of a block of y, blocks of a group */
    int64_t depth, parts, deep;     /* channels of a block of x, blocks of a tap, blocks of all taps in depth */
    int64_t places, v_size, v_panel, v_slab, u_size, u_slab, p_size, p_slab, strip_size, taps_size;
    wino_grid grid;
} NAME(wino_task);

/* Channels of block k of x. */
static int64_t NAME(wino_count)(const NAME(wino_task) *t, int64_t k) {
    return conv_min(t->depth, t->in - k % t->parts * t->depth);
}

/* V of a group, from tile `base` on, for the tiles of units first .. end-1. */
static void NAME(wino_fill_inputs)(const NAME(wino_task) *t, REAL *V, int64_t group, int64_t first, int64_t end, int64_t base,
                                   REAL *strip) {
    for (int64_t k = 0; k < t->deep; k++)
        for (int64_t c = 0, count = NAME(wino_count)(t, k); c < count; c += LANES)
            NAME(wino_fill)(V + k * t->v_panel + c, t->depth, t->v_slab, WINO_INPUT, &t->grid, &t->from,
                            group * t->in + k % t->parts * t->depth + c, conv_min(LANES, count - c),
                            k / t->parts * t->s->dilation[0], first, end, base, strip);
}

/* taps (count, size, LANES): the kernels from `count` input channels, by_in apart, to `lanes` output channels, by_out apart. */
static void NAME(wino_taps)(REAL *taps, int64_t size, const REAL *w, int64_t by_in, int64_t by_out, int64_t count,
                            int64_t lanes) {
    if (lanes <= 0)
        for (int64_t k = 0; k < size * count; k++) *(VECTOR *)(taps + k * LANES) = (VECTOR){0};
    else if (by_in == size)
        NAME(gemm_pack)(lanes, size * count, w, by_out, 1, taps, LANES);
    else
        for (int64_t c = 0; c < count; c++) {
            for (int64_t i = 0; by_out == size && i < size * lanes; i += 16) /* far apart: 512 channels 14 % faster */
                __builtin_prefetch(w + conv_min(c + 8, count - 1) * by_in + i);
            NAME(gemm_pack)(lanes, size, w + c * by_in, by_out, 1, taps + c * size * LANES, LANES);
        }
}

/* U for one block of output channels (counted over all groups) and one k, 0 where there is no channel. w (O, C / groups, KD, r,
   r); the adjoint goes from O to C with kernels turned round. */
static void NAME(wino_fill_kernels)(const NAME(wino_task) *t, REAL *U, int64_t block, int64_t k, REAL *taps) {
    REAL half[6 * 5 * WINO_HALF * LANES];
    const int64_t r = t->s->kernel[1], size = r * r, deep = t->s->kernel[0], points = t->grid.points;
    const int64_t turn = t->adjoint ? -1 : 1;
    const int64_t group = block / t->blocks, o = block % t->blocks * t->wide;
    const int64_t c0 = k % t->parts * t->depth, count = NAME(wino_count)(t, k);
    const int64_t by_out = deep * size * (t->adjoint ? 1 : t->in), by_in = deep * size * (t->adjoint ? t->out : 1);
    const int64_t tap = t->adjoint ? deep - 1 - k / t->parts : k / t->parts;
    const REAL *const w = t->w + group * t->in * t->out * deep * size + tap * size + o * by_out + c0 * by_in;
    for (int64_t part = 0; part < t->wide; part += LANES) {
        NAME(wino_taps)(taps, size, w + part * by_out, by_in, by_out, count, conv_min(LANES, t->out - o - part));
        for (int64_t c = 0; c < count; c += WINO_HALF) {
            const int64_t here = conv_min(WINO_HALF, count - c), row = r * here * LANES;
            const REAL *first = taps + (c * size + (t->adjoint ? size - 1 : 0)) * LANES; /* adjoint: the last tap first */
            for (int64_t j = 0; j < r; j++)
                NAME(wino_pass)(WINO_KERNEL, &t->grid, first + j * turn * LANES, r * turn * LANES, size * LANES,
                                half + j * LANES, row, r * LANES, here);
            for (int64_t i = 0; i < points; i++)
                NAME(wino_pass)(WINO_KERNEL, &t->grid, half + i * row, LANES, r * LANES,
                                U + part + c * t->wide + i * points * t->u_slab, t->u_slab, t->wide, here);
        }
    }
}

/* product[place] = V[k][place] @ U[place], or += for k > 0, for tiles first .. end-1;  (tiles, depth) @ (depth, wide) */
MG_INLINE void NAME(wino_multiply)(const NAME(wino_task) *t, int64_t place, int64_t k, int64_t first, int64_t end,
                                   const REAL *V, const REAL *U, REAL *product, REAL *pack) {
    NAME(gemm_block)(end - first, t->wide, NAME(wino_count)(t, k), V + k * t->v_panel + place * t->v_slab + first * t->depth,
                     t->depth, 1, U + place * t->u_slab, t->wide, 1, product + place * t->p_slab + first * t->wide, t->wide,
                     k > 0, pack);
}

/* The images of a block of channels (counted over all groups) from the products, from tile `base` on, of units first .. end-1.
   Gives whether they are finite. */
static int NAME(wino_finite_images)(const NAME(wino_task) *t, const REAL *product, int64_t block, int64_t first, int64_t end,
                                    int64_t base, REAL *strip) {
    const wino_grid *g = &t->grid;
    const int64_t *size = t->to, plane = size[0] * size[1] * size[2];
    const int64_t step = g->step[1], slab = t->p_slab, o = block % t->blocks * t->wide;
    const int64_t channel = block / t->blocks * t->out + o, channels = t->s->groups * t->out;
    VECTOR bad = {0};
    for (int64_t u = first; u < end; u++) {
        const wino_place at = wino_unit(g, u);
        const int64_t columns = at.count * g->m, rows = conv_ceil_div(size[1] - at.row, g->step[0]);
        REAL *const y = t->y + (at.n * channels + channel) * plane + (at.depth * size[1] + at.row) * size[2] + at.column;
        for (int64_t part = 0; part < t->wide && o + part < t->out; part += LANES) {
            const int64_t lanes = conv_min(LANES, t->out - o - part);
            const REAL *const from = product + (at.tile - base) * t->wide + part;
            const REAL *const last = product + (at.last - base) * t->wide + part;
            for (int64_t i = 0; i < g->points; i++) {
                for (int64_t phase = 0; phase < step; phase++)
                    NAME(wino_pass)(WINO_OUTPUT, g, from + i * g->points * slab + phase * t->wide, slab, step * t->wide,
                                    strip + (i * columns + phase) * LANES, step * LANES, g->m * step * LANES, at.whole / step);
                if (at.whole < at.count)
                    NAME(wino_pass)(WINO_OUTPUT, g, last + i * g->points * slab, slab, 0,
                                    strip + (i * columns + at.whole * g->m) * LANES, LANES, 0, 1);
            }
            NAME(wino_pass)(WINO_OUTPUT, g, strip, columns * LANES, LANES, strip, columns * LANES, LANES, columns);
            const VECTOR add = t->bias ? NAME(gemm_load)(t->bias + channel + part, lanes) : (VECTOR){0};
            bad += NAME(wino_unstrip)(y + part * plane, plane, g->step[0] * size[2], strip, columns * LANES,
                                      conv_min(g->m, rows), conv_min(columns, size[2] - at.column), lanes, add);
        }
    }
    const REAL sum = NAME(gemm_sum)(bad);
    return sum == sum;
}

/* Many tiles: the kernels are transformed once, and a thread works on its own tiles, which never leave its cache. */
static int NAME(wino_by_tiles)(const NAME(wino_task) *t, REAL *U, int threads) {
    const wino_grid *g = &t->grid;
    int finite = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const V = mg_thread_scratch((t->v_size + t->p_size + t->strip_size + t->taps_size + GEMM_SCRATCH) * sizeof(REAL));
        REAL *const product = V + t->v_size, *const strip = product + t->p_size, *const taps = strip + t->strip_size;
        REAL *const pack = taps + t->taps_size;
#pragma omp for schedule(static)
        for (int64_t i = 0; i < t->s->groups * t->blocks * t->deep; i++)
            NAME(wino_fill_kernels)(t, U + i * t->u_size, i / t->deep, i % t->deep, taps);
#pragma omp for schedule(dynamic)
        for (int64_t job = 0; job < t->s->groups * g->chunks; job++) {
            const int64_t group = job / g->chunks, first = job % g->chunks * g->chunk;
            const int64_t end = conv_min(first + g->chunk, g->units);
            const int64_t base = wino_unit(g, first).tile, tiles = wino_unit(g, end).tile - base;
            NAME(wino_fill_inputs)(t, V, group, first, end, base, strip);
            for (int64_t block = group * t->blocks; block < (group + 1) * t->blocks; block++) {
                for (int64_t k = 0; k < t->deep; k++)
                    for (int64_t place = 0; place < t->places; place++)
                        NAME(wino_multiply)(t, place, k, 0, tiles, V, U + (block * t->deep + k) * t->u_size, product, pack);
                if (!NAME(wino_finite_images)(t, product, block, first, end, base, strip)) {
#pragma omp atomic write
                    finite = 0;
                }
            }
        }
    }
    return finite;
}

/* Few tiles and many kernels: the tiles are transformed once, and a thread works on its own kernels, which never leave its
   cache. */
static int NAME(wino_by_kernels)(const NAME(wino_task) *t, REAL *V, int threads) {
    const wino_grid *g = &t->grid;
    const int64_t u_size = t->u_size, p_size = t->p_size;
    const int64_t blocks = t->s->groups * t->blocks;
    const int64_t pair = blocks < WINO_CHUNKS ? 1 : 2; /* blocks at a time: the tiles come from far away */
    int finite = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const int64_t floats = pair * (u_size + p_size) + t->strip_size + t->taps_size + GEMM_SCRATCH;
        REAL *const U = mg_thread_scratch(floats * sizeof(REAL));
        REAL *const product = U + pair * u_size, *const strip = product + pair * p_size, *const taps = strip + t->strip_size;
        REAL *const pack = taps + t->taps_size;
#pragma omp for schedule(static)
        for (int64_t job = 0; job < t->s->groups * g->units; job++) {
            const int64_t group = job / g->units, unit = job % g->units;
            NAME(wino_fill_inputs)(t, V + group * t->v_size, group, unit, unit + 1, 0, strip);
        }
        if (g->low || g->narrow) memset(product, 0, pair * p_size * sizeof(REAL)); /* for places without: no denormals */
#pragma omp for schedule(dynamic)
        for (int64_t start = 0; start < blocks; start += pair) {
            const int64_t here = conv_min(pair, blocks - start);
            for (int64_t k = 0; k < t->deep; k++) {
                for (int64_t b = 0; b < here; b++) NAME(wino_fill_kernels)(t, U + b * u_size, start + b, k, taps);
                for (int64_t place = 0; place < t->places; place++) {
                    int64_t first;
                    const int64_t end = wino_needed(g, place, &first);
                    for (int64_t b = 0; b < here && first < end; b++)
                        NAME(wino_multiply)(t, place, k, first, end, V + (start + b) / t->blocks * t->v_size, U + b * u_size,
                                            product + b * p_size, pack);
                }
            }
            for (int64_t b = 0; b < here; b++)
                if (!NAME(wino_finite_images)(t, product + b * p_size, start + b, 0, g->units, 0, strip)) {
#pragma omp atomic write
                    finite = 0;
                }
        }
    }
    return finite;
}

/* As conv_strip; CONV_NOT_FINITE says that an element of y is not finite. */
static int64_t NAME(conv_winograd)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const conv_geometry *s, int adjoint,
                                   int threads, char *scratch) {
    NAME(wino_task) t = {.s = s, .w = w, .bias = bias, .y = y, .adjoint = adjoint, .to = adjoint ? s->image : s->out};
    t.in = (adjoint ? s->O : s->C) / s->groups;
    t.out = (adjoint ? s->C : s->O) / s->groups;
    t.from = (NAME(wino_images)){.x = x, .channels = t.in * s->groups};
    for (int i = 0; i < 3; i++) {
        t.from.size[i] = adjoint ? s->out[i] : s->image[i];
        t.from.padding[i] = adjoint ? (s->kernel[i] - 1) * s->dilation[i] - s->padding[i] : s->padding[i];
    }
    t.wide = conv_min(WINO_WIDE, conv_round_up(t.out, LANES));
    t.blocks = conv_ceil_div(t.out, t.wide);
    t.depth = conv_round_up(conv_ceil_div(t.in, conv_ceil_div(t.in, WINO_DEEP)), LANES);
    t.parts = conv_ceil_div(t.in, t.depth);
    t.deep = s->kernel[0] * t.parts;
    t.grid = wino_plan(s, t.to, t.deep * t.depth, WINO_CACHE, WINO_CHUNKS);
    const int64_t tiles = wino_unit(&t.grid, t.grid.units).tile;
    const int by_kernels = tiles <= WINO_FEW && s->groups * t.blocks > 1;
    const int64_t most = by_kernels ? tiles : t.grid.chunk_tiles;
    if (by_kernels) wino_sort(&t.grid, t.to);
    t.places = t.grid.points * t.grid.points;
    t.v_slab = most * t.depth + WINO_SKEW;
    t.v_panel = t.places * t.v_slab;
    t.v_size = t.deep * t.v_panel;
    t.u_slab = t.depth * t.wide + WINO_SKEW;
    t.u_size = t.places * t.u_slab;
    t.p_slab = most * t.wide + WINO_SKEW;
    t.p_size = t.places * t.p_slab;
    t.strip_size = wino_strip_size(&t.grid, LANES);
    t.taps_size = (s->kernel[1] * s->kernel[2] * t.depth + 1) * LANES;

    conv_arena arena = {scratch, 0};
    REAL *const shared = conv_take(&arena, s->groups * (by_kernels ? t.v_size : t.blocks * t.deep * t.u_size) * sizeof(REAL));
    if (!scratch) return arena.used;
    const int finite = by_kernels ? NAME(wino_by_kernels)(&t, shared, threads) : NAME(wino_by_tiles)(&t, shared, threads);
    return finite ? 0 : CONV_NOT_FINITE;
}

#include "conv_winograd_weight_kernels.h"

#undef WINO_TAKES
#undef WINO_MAKES
#undef WINO_WIDE
#endif
