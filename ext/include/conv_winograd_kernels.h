/* 3x3 convolutions of stride 1 by Winograd's minimal filtering. Compiled through multiversion.h, for float alone.

   Lavin and Gray, "Fast algorithms for convolutional neural networks" (2015, arXiv:1509.09308): F(m x m, 3x3) computes a tile
   of m x m outputs from a tile d of (m + 2) x (m + 2) inputs by (m + 2)^2 multiplications where the definition takes 9 m^2,

       y = A' [ sum over channels of (G w G') * (B' d B) ] A          * elementwise, ' transposed

   so that over all tiles and channels each of the (m + 2)^2 places is one matrix product. m = 4 takes a quarter of the
   multiplications, m = 2 takes 4/9. The matrices evaluate and interpolate polynomials at m + 2 points. Those of m = 4 are 0, +-3/4,
   +-3/2 and infinity: Barabasz, Anderson, Soodhalter and Gregg, "Error analysis and improving the accuracy of Winograd
   convolution for deep neural networks" (2018, arXiv:1803.10986) show how much the points matter; these lose a quarter of what
   the textbook's 0, +-1, +-2 do.

   The gradient of x is the same with the kernel turned round. That of w is the transposed algorithm,

       gw = G' [ sum over tiles of (B' d B) * (A g A') ] G

   Lanes are channels: rows of LANES images are transposed in registers into a strip (row, column, LANES), where transforms are
   plain vector arithmetic. The unit of work is a piece of a row of tiles, of one image; a chunk is so many units that its
   transformed tiles stay in the L2 cache, where the products and the transform back find them. */

#if REAL_IS_FLOAT

#define WINO_WIDE (2 * LANES) /* output channels of one matrix product */
#define WINO_DEEP 128         /* input channels of one matrix product: U of one place, 128 x 32, is 16 KB */
#define WINO_GROUP 128        /* input channels, and output channels, whose products are accumulated at a time */
#define WINO_HALF 16          /* channels of kernels that are half transformed at a time, in L1 */
#define WINO_SKEW 16          /* floats between slabs: streams that lie a power of two apart would meet in one set of a cache */

/* Interpolation points of F(4x4): 0, +-P, +-Q, infinity. */
#define WINO_P 0.75f
#define WINO_Q 1.5f
#define WINO_P2 (WINO_P * WINO_P)
#define WINO_Q2 (WINO_Q * WINO_Q)
#define WINO_NP (0.5f / (WINO_P2 * (WINO_P2 - WINO_Q2))) /* 1 / prod of differences of P to the other finite points */
#define WINO_NQ (0.5f / (WINO_Q2 * (WINO_Q2 - WINO_P2)))

/* y = B' x, m + 2 values from m + 2 */
MG_INLINE void NAME(wino_input)(const int m, const VECTOR *x, VECTOR *y) {
    if (m == 4) {
        const VECTOR p_even = x[4] - WINO_Q2 * x[2], p_odd = WINO_P * (x[3] - WINO_Q2 * x[1]);
        const VECTOR q_even = x[4] - WINO_P2 * x[2], q_odd = WINO_Q * (x[3] - WINO_P2 * x[1]);
        y[0] = WINO_P2 * WINO_Q2 * x[0] + (x[4] - (WINO_P2 + WINO_Q2) * x[2]);
        y[1] = p_even + p_odd;
        y[2] = p_even - p_odd;
        y[3] = q_even + q_odd;
        y[4] = q_even - q_odd;
        y[5] = WINO_P2 * WINO_Q2 * x[1] + (x[5] - (WINO_P2 + WINO_Q2) * x[3]);
    } else {
        y[0] = x[0] - x[2];
        y[1] = x[1] + x[2];
        y[2] = x[2] - x[1];
        y[3] = x[3] - x[1];
    }
}

/* y = G x, m + 2 values from 3 */
MG_INLINE void NAME(wino_kernel)(const int m, const VECTOR *x, VECTOR *y) {
    if (m == 4) {
        const VECTOR p_even = WINO_NP * x[0] + WINO_NP * WINO_P2 * x[2], q_even = WINO_NQ * x[0] + WINO_NQ * WINO_Q2 * x[2];
        y[0] = 1 / (WINO_P2 * WINO_Q2) * x[0];
        y[1] = p_even + WINO_NP * WINO_P * x[1];
        y[2] = p_even - WINO_NP * WINO_P * x[1];
        y[3] = q_even + WINO_NQ * WINO_Q * x[1];
        y[4] = q_even - WINO_NQ * WINO_Q * x[1];
        y[5] = x[2];
    } else {
        const VECTOR even = 0.5f * (x[0] + x[2]);
        y[0] = x[0];
        y[1] = even + 0.5f * x[1];
        y[2] = even - 0.5f * x[1];
        y[3] = x[2];
    }
}

/* y = G' x, 3 values from m + 2 */
MG_INLINE void NAME(wino_kernel_back)(const int m, const VECTOR *x, VECTOR *y) {
    if (m == 4) {
        const VECTOR p_even = WINO_NP * (x[1] + x[2]), p_odd = WINO_NP * (x[1] - x[2]);
        const VECTOR q_even = WINO_NQ * (x[3] + x[4]), q_odd = WINO_NQ * (x[3] - x[4]);
        y[0] = 1 / (WINO_P2 * WINO_Q2) * x[0] + (p_even + q_even);
        y[1] = WINO_P * p_odd + WINO_Q * q_odd;
        y[2] = x[5] + (WINO_P2 * p_even + WINO_Q2 * q_even);
    } else {
        const VECTOR even = 0.5f * (x[1] + x[2]);
        y[0] = x[0] + even;
        y[1] = 0.5f * (x[1] - x[2]);
        y[2] = x[3] + even;
    }
}

/* y = A' x, m values from m + 2 */
MG_INLINE void NAME(wino_output)(const int m, const VECTOR *x, VECTOR *y) {
    if (m == 4) {
        const VECTOR p_even = x[1] + x[2], p_odd = x[1] - x[2], q_even = x[3] + x[4], q_odd = x[3] - x[4];
        y[0] = x[0] + p_even + q_even;
        y[1] = WINO_P * p_odd + WINO_Q * q_odd;
        y[2] = WINO_P2 * p_even + WINO_Q2 * q_even;
        y[3] = x[5] + (WINO_P2 * WINO_P * p_odd + WINO_Q2 * WINO_Q * q_odd);
    } else {
        y[0] = x[0] + x[1] + x[2];
        y[1] = x[1] - x[2] + x[3];
    }
}

/* y = A x, m + 2 values from m */
MG_INLINE void NAME(wino_output_back)(const int m, const VECTOR *x, VECTOR *y) {
    if (m == 4) {
        const VECTOR p_even = x[0] + WINO_P2 * x[2], p_odd = WINO_P * x[1] + WINO_P2 * WINO_P * x[3];
        const VECTOR q_even = x[0] + WINO_Q2 * x[2], q_odd = WINO_Q * x[1] + WINO_Q2 * WINO_Q * x[3];
        y[0] = x[0];
        y[1] = p_even + p_odd;
        y[2] = p_even - p_odd;
        y[3] = q_even + q_odd;
        y[4] = q_even - q_odd;
        y[5] = x[3];
    } else {
        y[0] = x[0];
        y[1] = x[0] + x[1];
        y[2] = x[0] - x[1];
        y[3] = x[1];
    }
}

/* The 1-d transforms above by number, and how many values they take and make. */
#define WINO_TAKES(matrix, m) ((matrix) == WINO_KERNEL ? 3 : (matrix) == WINO_OUTPUT_BACK ? (m) : (m) + 2)
#define WINO_MAKES(matrix, m) ((matrix) == WINO_KERNEL_BACK ? 3 : (matrix) == WINO_OUTPUT ? (m) : (m) + 2)

MG_INLINE void NAME(wino_pass_of)(const int matrix, const int m, const REAL *x, int64_t x_step, int64_t x_next, REAL *y,
                                  int64_t y_step, int64_t y_next, int64_t count) {
    const int takes = WINO_TAKES(matrix, m), makes = WINO_MAKES(matrix, m);
    for (int64_t n = 0; n < count; n++, x += x_next, y += y_next) {
        VECTOR in[6], out[6];
        _Pragma("GCC unroll 6") for (int i = 0; i < takes; i++) in[i] = *(const VECTOR *)(x + i * x_step);
        if (matrix == WINO_INPUT) NAME(wino_input)(m, in, out);
        else if (matrix == WINO_KERNEL) NAME(wino_kernel)(m, in, out);
        else if (matrix == WINO_KERNEL_BACK) NAME(wino_kernel_back)(m, in, out);
        else if (matrix == WINO_OUTPUT) NAME(wino_output)(m, in, out);
        else NAME(wino_output_back)(m, in, out);
        _Pragma("GCC unroll 6") for (int i = 0; i < makes; i++) *(VECTOR *)(y + i * y_step) = out[i];
    }
}

/* One axis of a 2-d transform: `count` 1-d transforms of vectors, x_next and y_next apart, of values x_step apart into values
   y_step apart. It may be done in place. */
static void NAME(wino_pass)(int matrix, int m, const REAL *x, int64_t x_step, int64_t x_next, REAL *y, int64_t y_step, int64_t y_next,
                            int64_t count) {
#define WINO_CASE(matrix)                                                                                      \
    case matrix:                                                                                               \
        if (m == 4) NAME(wino_pass_of)(matrix, 4, x, x_step, x_next, y, y_step, y_next, count);                \
        else NAME(wino_pass_of)(matrix, 2, x, x_step, x_next, y, y_step, y_next, count);                       \
        break;
    switch (matrix) {
        WINO_CASE(WINO_INPUT)
        WINO_CASE(WINO_KERNEL)
        WINO_CASE(WINO_KERNEL_BACK)
        WINO_CASE(WINO_OUTPUT)
        WINO_CASE(WINO_OUTPUT_BACK)
    }
#undef WINO_CASE
}

/* ---- images -> transformed tiles (place, tile, channel) ---- */

/* strip (rows, columns, LANES) = the image from (row, column) on, zero outside; `channels` <= LANES images `plane` apart. */
static void NAME(wino_strip)(REAL *strip, int64_t rows, int64_t columns, const REAL *x, int64_t plane, int64_t channels,
                             const int64_t *size, int64_t row, int64_t column) {
    const int64_t left = column < 0 ? conv_min(-column, columns) : 0;
    const int64_t inside = size[1] - column < columns ? size[1] - column - left : columns - left;
    for (int64_t i = row; i < row + rows; i++, strip += columns * LANES) {
        const int64_t here = i < 0 || i >= size[0] || inside < 0 ? 0 : inside;
        for (int64_t j = 0; j < left; j++) *(VECTOR *)(strip + j * LANES) = (VECTOR){0};
        if (here > 0)
            NAME(gemm_pack)(channels, here, x + i * size[1] + column + left, plane, 1, strip + left * LANES, LANES);
        for (int64_t j = left + here; j < columns; j++) *(VECTOR *)(strip + j * LANES) = (VECTOR){0};
    }
}

/* The tiles of units first .. end-1 of a grid over `channels` of the channels of x (image after image x_image apart), as panels
   of to_row channels: to[place * slab + c / to_row * panel + tile * to_row + c % to_row]. What is beyond the last channel in a
   vector repeats it. */
static void NAME(wino_fill)(REAL *to, int64_t to_row, int64_t panel, int64_t slab, int matrix, const wino_grid *g, const REAL *x,
                            int64_t x_image, int64_t channels, const int64_t *size, const int64_t *padding, int64_t first,
                            int64_t end, REAL *strip) {
    const int64_t base = wino_unit(g, first).tile, plane = size[0] * size[1], m = g->m;
    const int64_t takes = WINO_TAKES(matrix, m), common = takes - m; /* rows of a strip, and those it shares with the next one */
    for (int64_t c = 0; c < channels; c += LANES)
        for (int64_t u = first; u < end; u++) {
            const wino_place at = wino_unit(g, u);
            const int64_t columns = (at.count - 1) * m + takes, row = columns * LANES;
            const int64_t kept = g->pieces == 1 && u > first && at.row > 0 ? common : 0;
            REAL *const tiles = to + c / to_row * panel + (at.tile - base) * to_row + c % to_row, *const half = strip + takes * row;
            if (kept) memcpy(strip, strip + m * row, common * row * sizeof(REAL));
            NAME(wino_strip)(strip + kept * row, takes - kept, columns, x + at.n * x_image + c * plane, plane,
                             conv_min(LANES, channels - c), size, at.row * m - padding[0] + kept, at.column * m - padding[1]);
            NAME(wino_pass)(matrix, m, strip, row, LANES, half, row, LANES, columns);
            for (int64_t i = 0; i < m + 2; i++)
                NAME(wino_pass)(matrix, m, half + i * row, LANES, m * LANES, tiles + i * (m + 2) * slab, slab, to_row, at.count);
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

/* y, channels o .. o + WINO_WIDE - 1 of `channels`, from the products of units first .. end-1. Gives NaN if anything is not
   finite. */
static REAL NAME(wino_drain)(const REAL *product, int64_t slab, const wino_grid *g, REAL *y, int64_t channels,
                             const int64_t *size, int64_t o, const REAL *bias, int64_t first, int64_t end, REAL *strip) {
    const int64_t base = wino_unit(g, first).tile, plane = size[0] * size[1];
    VECTOR bad = {0};
    for (int64_t u = first; u < end; u++) {
        const wino_place at = wino_unit(g, u);
        const int64_t columns = at.count * g->m, row = at.row * g->m, column = at.column * g->m;
        for (int64_t part = 0; part < WINO_WIDE && o + part < channels; part += LANES) {
            const int64_t lanes = conv_min(LANES, channels - o - part);
            const REAL *from = product + (at.tile - base) * WINO_WIDE + part;
            for (int64_t i = 0; i < g->m + 2; i++)
                NAME(wino_pass)(WINO_OUTPUT, g->m, from + i * (g->m + 2) * slab, slab, WINO_WIDE, strip + i * columns * LANES, LANES,
                                g->m * LANES, at.count);
            NAME(wino_pass)(WINO_OUTPUT, g->m, strip, columns * LANES, LANES, strip, columns * LANES, LANES, columns);
            const VECTOR add = bias ? NAME(gemm_load)(bias + o + part, lanes) : (VECTOR){0};
            bad += NAME(wino_unstrip)(y + (at.n * channels + o + part) * plane + row * size[1] + column, plane, size[1], strip,
                                      columns * LANES, conv_min(g->m, size[0] - row), conv_min(columns, size[1] - column), lanes,
                                      add);
        }
    }
    return NAME(gemm_sum)(bad);
}

/* ---- kernels ---- */

/* U[place * slab + c * WINO_WIDE + lane]: the kernels from input channels c0 .. c0 + count - 1 to output channels o .. , 0
   where there is none. w (O, C, 3, 3); the adjoint goes from O to C with kernels turned round. taps: 9 * count * LANES + LANES
   floats of scratch. */
static void NAME(wino_kernels)(REAL *U, int64_t slab, int m, const REAL *w, const conv_geometry *s, int adjoint, int64_t o,
                               int64_t c0, int64_t count, REAL *taps) {
    REAL half[6 * 3 * WINO_HALF * LANES];
    const int64_t channels = adjoint ? s->C : s->O, by_out = adjoint ? 9 : 9 * s->C, by_in = adjoint ? 9 * s->C : 9;
    for (int64_t part = 0; part < WINO_WIDE; part += LANES) {
        const int64_t lanes = conv_min(LANES, channels - o - part);
        if (lanes <= 0)
            for (int64_t k = 0; k < 9 * count; k++) *(VECTOR *)(taps + k * LANES) = (VECTOR){0};
        else {
            const REAL *from = w + (o + part) * by_out + c0 * by_in;
            if (adjoint)
                for (int64_t c = 0; c < count; c++)
                    NAME(gemm_pack)(lanes, 9, from + c * by_in, by_out, 1, taps + c * 9 * LANES, LANES);
            else
                NAME(gemm_pack)(lanes, 9 * count, from, by_out, 1, taps, LANES);
        }
        for (int64_t c = 0; c < count; c += WINO_HALF) {
            const int64_t here = conv_min(WINO_HALF, count - c), row = 3 * here * LANES, turn = adjoint ? -1 : 1;
            const REAL *first = taps + (c * 9 + (adjoint ? 8 : 0)) * LANES; /* adjoint: the nine taps from the last to the first */
            for (int64_t j = 0; j < 3; j++)
                NAME(wino_pass)(WINO_KERNEL, m, first + j * turn * LANES, 3 * turn * LANES, 9 * LANES, half + j * LANES, row, 3 * LANES,
                                here);
            for (int64_t i = 0; i < m + 2; i++)
                NAME(wino_pass)(WINO_KERNEL, m, half + i * row, LANES, 3 * LANES, U + part + c * WINO_WIDE + i * (m + 2) * slab, slab,
                                WINO_WIDE, here);
        }
    }
}

/* ---- the forward direction and the gradient of x ---- */

/* What both ways to share the work among threads need to know. V, transformed tiles, is [depth block][place][tile][depth] with
   all places of a depth block side by side; U, transformed kernels, [place][depth][WINO_WIDE] for each block and depth block.
   */
typedef struct {
    const conv_geometry *s;
    const REAL *x, *w, *bias;
    REAL *y;
    int adjoint;
    const int64_t *from, *to;                    /* sizes of the images of x and of y */
    int64_t padding[2], in, out, x_image;        /* channels of x and of y, floats of an image of x */
    int64_t blocks, deep, depth;                 /* blocks of WINO_WIDE channels of y, and of `depth` channels of x */
    int64_t places, v_panel, v_slab, u_slab, p_slab, strip_size, taps_size;
    wino_grid grid;
} NAME(wino_task);

static void NAME(wino_fill_inputs)(const NAME(wino_task) *t, REAL *V, int64_t first, int64_t end, REAL *strip) {
    NAME(wino_fill)(V, t->depth, t->v_panel, t->v_slab, WINO_INPUT, &t->grid, t->x, t->x_image, t->in, t->from, t->padding, first, end,
                    strip);
}

static void NAME(wino_fill_kernels)(const NAME(wino_task) *t, REAL *U, int64_t block, int64_t k, REAL *taps) {
    NAME(wino_kernels)(U, t->u_slab, t->grid.m, t->w, t->s, t->adjoint, block * WINO_WIDE, k * t->depth,
                       conv_min(t->depth, t->in - k * t->depth), taps);
}

/* product[place] = V[k][place] @ U[place], or += for k > 0;  (tiles, depth) @ (depth, WINO_WIDE) */
MG_INLINE void NAME(wino_multiply)(const NAME(wino_task) *t, int64_t place, int64_t k, int64_t tiles, const REAL *V, const REAL *U,
                                   REAL *product, REAL *pack) {
    NAME(gemm_block)(tiles, WINO_WIDE, conv_min(t->depth, t->in - k * t->depth), V + k * t->v_panel + place * t->v_slab, t->depth, 1,
                     U + place * t->u_slab, WINO_WIDE, 1, product + place * t->p_slab, WINO_WIDE, k > 0, pack);
}

/* The images of a block of channels from its products. Gives whether they are finite. */
static int NAME(wino_finite_images)(const NAME(wino_task) *t, const REAL *product, int64_t block, int64_t first, int64_t end,
                                    REAL *strip) {
    const REAL bad = NAME(wino_drain)(product, t->p_slab, &t->grid, t->y, t->out, t->to, block * WINO_WIDE, t->bias, first, end, strip);
    return bad == bad;
}

/* Many tiles: the kernels are transformed once, and a thread works on its own tiles, which never leave its cache. */
static int NAME(wino_by_tiles)(const NAME(wino_task) *t, REAL *U, int threads) {
    const wino_grid *g = &t->grid;
    const int64_t u_size = t->places * t->u_slab, p_size = t->places * t->p_slab, v_size = t->deep * t->v_panel;
    int finite = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const V = mg_thread_scratch((v_size + p_size + t->strip_size + t->taps_size + GEMM_SCRATCH) * sizeof(REAL));
        REAL *const product = V + v_size, *const strip = product + p_size, *const taps = strip + t->strip_size;
        REAL *const pack = taps + t->taps_size;
#pragma omp for schedule(static)
        for (int64_t i = 0; i < t->blocks * t->deep; i++)
            NAME(wino_fill_kernels)(t, U + i * u_size, i / t->deep, i % t->deep, taps);
#pragma omp for schedule(dynamic)
        for (int64_t chunk = 0; chunk < g->chunks; chunk++) {
            const int64_t first = chunk * g->chunk, end = conv_min(first + g->chunk, g->units);
            const int64_t tiles = wino_unit(g, end).tile - wino_unit(g, first).tile;
            NAME(wino_fill_inputs)(t, V, first, end, strip);
            for (int64_t block = 0; block < t->blocks; block++) {
                for (int64_t k = 0; k < t->deep; k++)
                    for (int64_t place = 0; place < t->places; place++)
                        NAME(wino_multiply)(t, place, k, tiles, V, U + (block * t->deep + k) * u_size, product, pack);
                if (!NAME(wino_finite_images)(t, product, block, first, end, strip)) {
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
    const int64_t u_size = t->places * t->u_slab, p_size = t->places * t->p_slab, tiles = wino_unit(g, g->units).tile;
    const int64_t group = t->blocks < WINO_CHUNKS ? 1 : 2; /* blocks at a time: the tiles come from far away */
    int finite = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const U = mg_thread_scratch((group * (u_size + p_size) + t->strip_size + t->taps_size + GEMM_SCRATCH) * sizeof(REAL));
        REAL *const product = U + group * u_size, *const strip = product + group * p_size, *const taps = strip + t->strip_size;
        REAL *const pack = taps + t->taps_size;
#pragma omp for schedule(static)
        for (int64_t unit = 0; unit < g->units; unit++)
            NAME(wino_fill_inputs)(t, V + wino_unit(g, unit).tile * t->depth, unit, unit + 1, strip);
#pragma omp for schedule(dynamic)
        for (int64_t start = 0; start < t->blocks; start += group) {
            const int64_t here = conv_min(group, t->blocks - start);
            for (int64_t k = 0; k < t->deep; k++) {
                for (int64_t b = 0; b < here; b++) NAME(wino_fill_kernels)(t, U + b * u_size, start + b, k, taps);
                for (int64_t place = 0; place < t->places; place++)
                    for (int64_t b = 0; b < here; b++)
                        NAME(wino_multiply)(t, place, k, tiles, V, U + b * u_size, product + b * p_size, pack);
            }
            for (int64_t b = 0; b < here; b++)
                if (!NAME(wino_finite_images)(t, product + b * p_size, start + b, 0, g->units, strip)) {
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
    const int64_t *from = adjoint ? s->out + 1 : s->image + 1, *to = adjoint ? s->image + 1 : s->out + 1;
    NAME(wino_task) t = {.s = s, .x = x, .w = w, .bias = bias, .y = y, .adjoint = adjoint, .from = from, .to = to};
    for (int i = 0; i < 2; i++) t.padding[i] = adjoint ? 2 - s->padding[i + 1] : s->padding[i + 1];
    t.in = adjoint ? s->O : s->C;
    t.out = adjoint ? s->C : s->O;
    t.x_image = t.in * from[0] * from[1];
    t.blocks = (t.out + WINO_WIDE - 1) / WINO_WIDE;
    t.deep = (t.in + WINO_DEEP - 1) / WINO_DEEP;
    t.depth = conv_round_up((t.in + t.deep - 1) / t.deep, LANES);
    t.deep = (t.in + t.depth - 1) / t.depth;
    t.grid = wino_plan(s->winograd, s->N, to, t.deep * t.depth, WINO_CACHE, WINO_CHUNKS);
    const int64_t tiles = wino_unit(&t.grid, t.grid.units).tile;
    const int by_kernels = tiles <= WINO_FEW && t.blocks > 1;
    const int64_t most = by_kernels ? tiles : t.grid.chunk_tiles;
    t.places = (t.grid.m + 2) * (t.grid.m + 2);
    t.v_slab = most * t.depth + WINO_SKEW;
    t.v_panel = t.places * t.v_slab;
    t.u_slab = t.depth * WINO_WIDE + WINO_SKEW;
    t.p_slab = most * WINO_WIDE + WINO_SKEW;
    t.strip_size = 2 * (t.grid.m + 2) * (t.grid.piece * t.grid.m + 2) * LANES + LANES;
    t.taps_size = 9 * t.depth * LANES + LANES;

    conv_arena arena = {scratch, 0};
    REAL *const shared = conv_take(&arena, t.deep * t.places * (by_kernels ? t.v_slab : t.blocks * t.u_slab) * sizeof(REAL));
    if (!scratch) return arena.used;
    const int finite = by_kernels ? NAME(wino_by_kernels)(&t, shared, threads) : NAME(wino_by_tiles)(&t, shared, threads);
    return finite ? 0 : CONV_NOT_FINITE;
}

/* ---- the gradient of w ---- */

/* gw = G' P G of the products P[place * slab + c * row + o], for c < count and one vector of `lanes` output channels, summed
   over `pieces` of them `step` apart (in place). gw (.., C, 3, 3) with 9 * C = gw_row between output channels. Gives NaN if
   anything is not finite. */
static REAL NAME(wino_finish)(REAL *gw, int64_t gw_row, int64_t m, REAL *P, int64_t slab, int64_t row, int64_t step, int64_t pieces,
                              int64_t count, int64_t lanes, REAL *taps) {
    REAL half[6 * 3 * WINO_HALF * LANES];
    for (int64_t c = 0; c < count; c += WINO_HALF) {
        const int64_t here = conv_min(WINO_HALF, count - c), half_row = 3 * here * LANES;
        for (int64_t p = 1; p < pieces; p++)
            for (int64_t place = 0; place < (m + 2) * (m + 2); place++) {
                REAL *const sum = P + place * slab + c * row;
                for (int64_t i = 0; i < here; i++) *(VECTOR *)(sum + i * row) += *(const VECTOR *)(sum + p * step + i * row);
            }
        for (int64_t i = 0; i < m + 2; i++)
            NAME(wino_pass)(WINO_KERNEL_BACK, m, P + c * row + i * (m + 2) * slab, slab, row, half + i * half_row, LANES, 3 * LANES, here);
        for (int64_t j = 0; j < 3; j++)
            NAME(wino_pass)(WINO_KERNEL_BACK, m, half + j * LANES, half_row, 3 * LANES, taps + (c * 9 + j) * LANES, 3 * LANES, 9 * LANES,
                            here);
    }
    return NAME(gemm_sum)(NAME(wino_unstrip)(gw, gw_row, 0, taps, 0, 1, 9 * count, lanes, (VECTOR){0}));
}

typedef struct {
    const conv_geometry *s;
    const REAL *x, *g;
    REAL *gw;
    int64_t c_size, o_size, c_groups, o_groups; /* channels of a group, groups */
    int64_t places, most, pieces;               /* places of a tile; most tiles in V and D at a time; pieces of the tiles */
    int64_t v_slab, d_slab, p_slab, p_size;     /* p_size: floats of the products of a pair of groups */
    int64_t strip_size, taps_size;
    wino_grid grid;
} NAME(wino_weight_task);

/* The transformed tiles of units first .. end-1: c_count channels of x from c on as V[group][place][tile][c_size], o_count
   channels of g from o on as D[group][place][tile][o_size]. */
static void NAME(wino_fill_pair)(const NAME(wino_weight_task) *t, REAL *V, REAL *D, int64_t c, int64_t c_count, int64_t o,
                                 int64_t o_count, int64_t first, int64_t end, REAL *strip) {
    const conv_geometry *s = t->s;
    const int64_t image = s->image[1] * s->image[2], out = s->out[1] * s->out[2], none[2] = {0, 0};
    NAME(wino_fill)(V, t->c_size, t->places * t->v_slab, t->v_slab, WINO_INPUT, &t->grid, t->x + c * image, s->C * image,
                    conv_min(c_count, s->C - c), s->image + 1, s->padding + 1, first, end, strip);
    NAME(wino_fill)(D, t->o_size, t->places * t->d_slab, t->d_slab, WINO_OUTPUT_BACK, &t->grid, t->g + o * out, s->O * out,
                    conv_min(o_count, s->O - o), s->out + 1, none, first, end, strip);
}

/* The transformed tiles of one unit, all channels. */
static void NAME(wino_fill_unit)(const NAME(wino_weight_task) *t, REAL *V, REAL *D, int64_t unit, REAL *strip) {
    const int64_t tile = wino_unit(&t->grid, unit).tile;
    NAME(wino_fill_pair)(t, V + tile * t->c_size, D + tile * t->o_size, 0, t->s->C, 0, t->s->O, unit, unit + 1, strip);
}

/* product[place] = V[place]' @ D[place], or +=;  (c_size, tiles) @ (tiles, o_size) */
MG_INLINE void NAME(wino_multiply_pair)(const NAME(wino_weight_task) *t, int64_t place, int64_t tiles, const REAL *V, const REAL *D,
                                        REAL *product, int accumulate, REAL *pack) {
    NAME(gemm_block)(t->c_size, t->o_size, tiles, V + place * t->v_slab, 1, t->c_size, D + place * t->d_slab, t->o_size, 1,
                     product + place * t->p_slab, t->o_size, accumulate, pack);
}

/* gw for the pair of groups and one vector of its output channels, from the products of its pieces. Gives whether it is finite.
   */
static int NAME(wino_finite_weights)(const NAME(wino_weight_task) *t, int64_t pair, int64_t vector, REAL *products, REAL *taps) {
    const conv_geometry *s = t->s;
    const int64_t c = pair / t->o_groups * t->c_size, o = pair % t->o_groups * t->o_size + vector * LANES;
    if (c >= s->C || o >= s->O) return 1;
    const REAL bad = NAME(wino_finish)(t->gw + (o * s->C + c) * 9, s->C * 9, t->grid.m, products + vector * LANES, t->p_slab, t->o_size,
                                       t->p_size, t->pieces, conv_min(t->c_size, s->C - c), conv_min(LANES, s->O - o), taps);
    return bad == bad;
}

/* Few tiles, and products of all places that are not too large: the tiles are transformed first, then each place is a product
   of its own. There is one group of each. */
static int NAME(wino_weight_by_places)(const NAME(wino_weight_task) *t, REAL *V, REAL *D, REAL *products, int threads) {
    const wino_grid *g = &t->grid;
    int finite = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const strip = mg_thread_scratch((t->strip_size + t->taps_size + GEMM_SCRATCH) * sizeof(REAL));
        REAL *const taps = strip + t->strip_size, *const pack = taps + t->taps_size;
#pragma omp for schedule(static)
        for (int64_t unit = 0; unit < g->units; unit++) NAME(wino_fill_unit)(t, V, D, unit, strip);
#pragma omp for schedule(dynamic)
        for (int64_t place = 0; place < t->places; place++) NAME(wino_multiply_pair)(t, place, t->most, V, D, products, 0, pack);
#pragma omp for schedule(static)
        for (int64_t vector = 0; vector < t->o_size / LANES; vector++)
            if (!NAME(wino_finite_weights)(t, 0, vector, products, taps)) {
#pragma omp atomic write
                finite = 0;
            }
    }
    return finite;
}

/* Otherwise a thread works on a pair of groups of channels, whose products stay in its cache. Where V and D have room for all
   tiles these are transformed first; else the thread transforms a chunk at a time for itself. Fewer pairs than threads might
   want are cut further, into fixed pieces of the chunks, whose products are added up at the end. */
static int NAME(wino_weight_by_pairs)(const NAME(wino_weight_task) *t, REAL *V, REAL *D, REAL *products, int threads) {
    const wino_grid *g = &t->grid;
    const int64_t pairs = t->c_groups * t->o_groups, v_size = t->places * t->v_slab, d_size = t->places * t->d_slab;
    const int64_t own = (V ? 0 : v_size + d_size) + (t->pieces > 1 ? 0 : t->p_size);
    int finite = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const strip = mg_thread_scratch((own + t->strip_size + t->taps_size + GEMM_SCRATCH) * sizeof(REAL));
        REAL *const taps = strip + t->strip_size, *const pack = taps + t->taps_size, *const own_product = pack + GEMM_SCRATCH;
        REAL *const own_v = own_product + (t->pieces > 1 ? 0 : t->p_size), *const own_d = own_v + v_size;
        if (V) {
#pragma omp for schedule(static)
            for (int64_t unit = 0; unit < g->units; unit++) NAME(wino_fill_unit)(t, V, D, unit, strip);
        }
#pragma omp for schedule(dynamic)
        for (int64_t job = 0; job < pairs * t->pieces; job++) {
            const int64_t pair = job / t->pieces, piece = job % t->pieces, c_group = pair / t->o_groups, o_group = pair % t->o_groups;
            const int64_t start = V ? 0 : g->chunks * piece / t->pieces, stop = V ? 1 : g->chunks * (piece + 1) / t->pieces;
            REAL *const product = t->pieces > 1 ? products + job * t->p_size : own_product;
            const REAL *const v = V ? V + c_group * v_size : own_v, *const d = V ? D + o_group * d_size : own_d;
            for (int64_t chunk = start; chunk < stop; chunk++) {
                const int64_t first = V ? 0 : chunk * g->chunk, end = V ? g->units : conv_min(first + g->chunk, g->units);
                if (!V)
                    NAME(wino_fill_pair)(t, own_v, own_d, c_group * t->c_size, t->c_size, o_group * t->o_size, t->o_size, first, end,
                                         strip);
                for (int64_t place = 0; place < t->places; place++)
                    NAME(wino_multiply_pair)(t, place, wino_unit(g, end).tile - wino_unit(g, first).tile, v, d, product, chunk > start,
                                             pack);
            }
            if (t->pieces > 1) continue;
            for (int64_t vector = 0; vector < t->o_size / LANES; vector++)
                if (!NAME(wino_finite_weights)(t, pair, vector, product, taps)) {
#pragma omp atomic write
                    finite = 0;
                }
        }
        if (t->pieces > 1) {
#pragma omp for schedule(static)
            for (int64_t job = 0; job < pairs * (t->o_size / LANES); job++) {
                const int64_t pair = job / (t->o_size / LANES), vector = job % (t->o_size / LANES);
                if (!NAME(wino_finite_weights)(t, pair, vector, products + pair * t->pieces * t->p_size, taps)) {
#pragma omp atomic write
                    finite = 0;
                }
            }
        }
    }
    return finite;
}

/* As conv_strip_weight; CONV_NOT_FINITE says that an element of gw is not finite. */
static int64_t NAME(conv_winograd_weight)(const REAL *x, const REAL *g, REAL *gw, const conv_geometry *s, int threads, char *scratch) {
    NAME(wino_weight_task) t = {.s = s, .x = x, .g = g, .gw = gw, .places = (s->winograd + 2) * (s->winograd + 2)};
    const int64_t tiles = s->N * conv_ceil_div(s->out[1], s->winograd) * conv_ceil_div(s->out[2], s->winograd);
    const int few = t.places * tiles * (s->C + s->O) * (int64_t)sizeof(REAL) <= WINO_SHARED;
    const int by_places = few && t.places * s->C * s->O * (int64_t)sizeof(REAL) <= WINO_SHARED;
    t.c_groups = by_places ? 1 : (s->C + WINO_GROUP - 1) / WINO_GROUP;
    t.o_groups = by_places ? 1 : (s->O + WINO_GROUP - 1) / WINO_GROUP;
    t.c_size = conv_round_up((s->C + t.c_groups - 1) / t.c_groups, LANES);
    t.o_size = conv_round_up((s->O + t.o_groups - 1) / t.o_groups, LANES);
    t.c_groups = (s->C + t.c_size - 1) / t.c_size;
    t.o_groups = (s->O + t.o_size - 1) / t.o_size;
    t.grid = wino_plan(s->winograd, s->N, s->out + 1, t.c_size + t.o_size, 2 * WINO_CACHE, 1);
    const int64_t pairs = t.c_groups * t.o_groups;
    t.pieces = few || pairs >= WINO_CHUNKS ? 1 : conv_min((WINO_CHUNKS + pairs - 1) / pairs, t.grid.chunks);
    t.most = few ? tiles : t.grid.chunk_tiles;
    t.v_slab = t.most * t.c_size + WINO_SKEW;
    t.d_slab = t.most * t.o_size + WINO_SKEW;
    t.p_slab = t.c_size * t.o_size + WINO_SKEW;
    t.p_size = t.places * t.p_slab;
    t.strip_size = 2 * (t.grid.m + 2) * (t.grid.piece * t.grid.m + 2) * LANES + LANES;
    t.taps_size = (9 * t.c_size + 1) * LANES;

    conv_arena arena = {scratch, 0};
    REAL *const products = conv_take(&arena, by_places || t.pieces > 1 ? pairs * t.pieces * t.p_size * sizeof(REAL) : 0);
    REAL *const V = conv_take(&arena, few ? t.c_groups * t.places * t.v_slab * sizeof(REAL) : 0);
    REAL *const D = conv_take(&arena, few ? t.o_groups * t.places * t.d_slab * sizeof(REAL) : 0);
    if (!scratch) return arena.used;
    const int finite = by_places ? NAME(wino_weight_by_places)(&t, V, D, products, threads)
                                 : NAME(wino_weight_by_pairs)(&t, few ? V : NULL, D, products, threads);
    return finite ? 0 : CONV_NOT_FINITE;
}

#undef WINO_TAKES
#undef WINO_MAKES
#undef WINO_WIDE
#endif
