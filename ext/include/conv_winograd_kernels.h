/* 3x3 convolutions of stride 1 by Winograd's minimal filtering. Compiled through multiversion.h, for float alone.

   Lavin and Gray, "Fast algorithms for convolutional neural networks" (2015, arXiv:1509.09308): F(m x m, 3x3) computes a tile of
   m x m outputs from a tile d of (m + 2) x (m + 2) inputs by (m + 2)^2 multiplications where the definition takes 9 m^2,

       y = A' [ sum over channels of (G w G') * (B' d B) ] A          * elementwise, ' transposed

   so that over all tiles and channels each of the (m + 2)^2 places is one matrix product. m = 4 takes a quarter of the
   multiplications, m = 2 takes 4/9. The matrices evaluate and interpolate polynomials at m + 2 points. Those of m = 4 are 0, +-3/4,
   +-3/2 and infinity: Barabasz, Anderson, Soodhalter and Gregg, "Error analysis and improving the accuracy of Winograd
   convolution for deep neural networks" (2018, arXiv:1803.10986) show how much the points matter; these lose a quarter of what
   the textbook's 0, +-1, +-2 do.

   The gradient of x is the same with the kernel turned round. That of w is the transposed algorithm,

       gw = G' [ sum over tiles of (B' d B) * (A g A') ] G

   Lanes are channels: rows of LANES images are transposed in registers into a strip (row, column, LANES), where transforms are
   plain vector arithmetic. The unit of work is a piece of a row of tiles, of one image; a chunk is so many units that its transformed
   tiles stay in the L2 cache, where the products and the transform back find them. */

#if REAL_IS_FLOAT

#define WINO_WIDE (2 * LANES) /* output channels of one matrix product */
#define WINO_DEEP 128         /* input channels of one matrix product: U of one place, 128 x 32, is 16 KB */
#define WINO_GROUP 128        /* input channels, and output channels, whose products are accumulated at a time */
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

MG_INLINE void NAME(wino_1d)(const int matrix, const int m, const VECTOR *x, VECTOR *y) {
    if (matrix == WINO_INPUT) NAME(wino_input)(m, x, y);
    else if (matrix == WINO_KERNEL) NAME(wino_kernel)(m, x, y);
    else if (matrix == WINO_KERNEL_BACK) NAME(wino_kernel_back)(m, x, y);
    else if (matrix == WINO_OUTPUT) NAME(wino_output)(m, x, y);
    else NAME(wino_output_back)(m, x, y);
}

/* The 2-d transform: along columns, then along rows. Steps between neighbours are in floats, of x and of y. */
MG_INLINE void NAME(wino_2d)(const int matrix, const int m, const REAL *x, int64_t x_row, int64_t x_column, REAL *y,
                             int64_t y_row, int64_t y_column) {
    const int takes = WINO_TAKES(matrix, m), makes = WINO_MAKES(matrix, m);
    VECTOR half[6][6];
    _Pragma("GCC unroll 6") for (int j = 0; j < takes; j++) {
        VECTOR in[6], out[6];
        _Pragma("GCC unroll 6") for (int i = 0; i < takes; i++)
            in[i] = *(const VECTOR *)(x + i * x_row + j * x_column);
        NAME(wino_1d)(matrix, m, in, out);
        _Pragma("GCC unroll 6") for (int i = 0; i < makes; i++) half[i][j] = out[i];
    }
    _Pragma("GCC unroll 6") for (int i = 0; i < makes; i++) {
        VECTOR out[6];
        NAME(wino_1d)(matrix, m, half[i], out);
        _Pragma("GCC unroll 6") for (int j = 0; j < makes; j++)
            *(VECTOR *)(y + i * y_row + j * y_column) = out[j];
    }
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

MG_INLINE void NAME(wino_tiles_of)(const int matrix, const int m, const REAL *strip, int64_t columns, int64_t count, REAL *to,
                                   int64_t to_row, int64_t slab) {
    for (int64_t t = 0; t < count; t++)
        NAME(wino_2d)(matrix, m, strip + t * m * LANES, columns * LANES, LANES, to + t * to_row, (m + 2) * slab, slab);
}

/* The tiles of units first .. end-1 of a grid over `channels` of the channels of x (image after image x_image apart), as panels of
   to_row channels: to[place * slab + c / to_row * panel + tile * to_row + c % to_row]. What is beyond the last channel in a vector
   repeats it. */
static void NAME(wino_fill)(REAL *to, int64_t to_row, int64_t panel, int64_t slab, int matrix, const wino_grid *g, const REAL *x,
                            int64_t x_image, int64_t channels, const int64_t *size, const int64_t *padding, int64_t first,
                            int64_t end, REAL *strip) {
    const int64_t base = wino_unit(g, first).tile, takes = WINO_TAKES(matrix, g->m), plane = size[0] * size[1];
    for (int64_t u = first; u < end; u++) {
        const wino_place at = wino_unit(g, u);
        const int64_t columns = (at.count - 1) * g->m + takes;
        for (int64_t c = 0; c < channels; c += LANES) {
            REAL *const tiles = to + c / to_row * panel + (at.tile - base) * to_row + c % to_row;
            NAME(wino_strip)(strip, takes, columns, x + at.n * x_image + c * plane, plane, conv_min(LANES, channels - c), size,
                             at.row * g->m - padding[0], at.column * g->m - padding[1]);
            if (matrix == WINO_INPUT && g->m == 4)
                NAME(wino_tiles_of)(WINO_INPUT, 4, strip, columns, at.count, tiles, to_row, slab);
            else if (matrix == WINO_INPUT)
                NAME(wino_tiles_of)(WINO_INPUT, 2, strip, columns, at.count, tiles, to_row, slab);
            else if (g->m == 4)
                NAME(wino_tiles_of)(WINO_OUTPUT_BACK, 4, strip, columns, at.count, tiles, to_row, slab);
            else
                NAME(wino_tiles_of)(WINO_OUTPUT_BACK, 2, strip, columns, at.count, tiles, to_row, slab);
        }
    }
}

/* ---- products of transformed tiles -> images ---- */

MG_INLINE void NAME(wino_outputs_of)(const int m, const REAL *product, int64_t slab, int64_t columns, int64_t count, REAL *strip) {
    for (int64_t t = 0; t < count; t++)
        NAME(wino_2d)(WINO_OUTPUT, m, product + t * WINO_WIDE, (m + 2) * slab, slab, strip + t * m * LANES, columns * LANES, LANES);
}

/* y = the strip (rows, columns, LANES) plus a bias for each lane, for `channels` images `plane` apart, rows `y_row` long. Gives a vector
   with NaN where anything is not finite. */
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

/* y, channels o .. o + WINO_WIDE - 1 of `channels`, from the products of units first .. end-1. Gives NaN if anything is not finite. */
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
            if (g->m == 4) NAME(wino_outputs_of)(4, from, slab, columns, at.count, strip);
            else NAME(wino_outputs_of)(2, from, slab, columns, at.count, strip);
            const VECTOR add = bias ? NAME(gemm_load)(bias + o + part, lanes) : (VECTOR){0};
            bad += NAME(wino_unstrip)(y + (at.n * channels + o + part) * plane + row * size[1] + column, plane, size[1], strip,
                                      columns * LANES, conv_min(g->m, size[0] - row), conv_min(columns, size[1] - column), lanes,
                                      add);
        }
    }
    return NAME(gemm_sum)(bad);
}

/* ---- kernels ---- */

MG_INLINE void NAME(wino_kernels_of)(const int m, const REAL *taps, int turned, int64_t count, REAL *to, int64_t slab) {
    for (int64_t c = 0; c < count; c++) /* turned: the nine taps from the last to the first */
        NAME(wino_2d)(WINO_KERNEL, m, taps + (c * 9 + (turned ? 8 : 0)) * LANES, turned ? -3 * LANES : 3 * LANES,
                      turned ? -LANES : LANES, to + c * WINO_WIDE, (m + 2) * slab, slab);
}

/* U[place * slab + c * WINO_WIDE + lane]: the kernels from input channels c0 .. c0 + count - 1 to output channels o .. , 0 where there is
   none. w (O, C, 3, 3); the adjoint goes from O to C with kernels turned round. taps: scratch of 9 * WINO_DEEP * LANES + LANES. */
static void NAME(wino_kernels)(REAL *U, int64_t slab, int m, const REAL *w, const conv_geometry *s, int adjoint, int64_t o,
                               int64_t c0, int64_t count, REAL *taps) {
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
        if (m == 4) NAME(wino_kernels_of)(4, taps, adjoint, count, U + part, slab);
        else NAME(wino_kernels_of)(2, taps, adjoint, count, U + part, slab);
    }
}

/* ---- the forward direction and the gradient of x ---- */

/* As conv_strip; CONV_NOT_FINITE says that an element of y is not finite. */
static int64_t NAME(conv_winograd)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const conv_geometry *s, int adjoint,
                                   int threads, char *scratch) {
    const int64_t in = adjoint ? s->O : s->C, out = adjoint ? s->C : s->O;
    const int64_t x_image = in * (adjoint ? s->out[1] * s->out[2] : s->image[1] * s->image[2]);
    const int64_t *from = adjoint ? s->out + 1 : s->image + 1, *to = adjoint ? s->image + 1 : s->out + 1;
    const int64_t padding[2] = {adjoint ? 2 - s->padding[1] : s->padding[1], adjoint ? 2 - s->padding[2] : s->padding[2]};
    const int64_t blocks = (out + WINO_WIDE - 1) / WINO_WIDE, deep = (in + WINO_DEEP - 1) / WINO_DEEP;
    const int64_t depth = (in + deep - 1) / deep, v_row = conv_round_up(in, LANES) + (in % 128 ? 0 : WINO_SKEW);
    wino_grid grid = wino_plan(s->winograd, s->N, to, v_row, WINO_CHUNKS), *const g = &grid;
    /* Many tiles: the kernels are transformed once, and a thread works on its own tiles. Few tiles and many kernels: the tiles are
       transformed once, and a thread works on its own kernels, which never leave its cache. */
    const int by_kernels = s->N * g->rows * g->across <= WINO_FEW && blocks > 1;
    if (by_kernels) grid.chunk_tiles = s->N * g->rows * g->across;
    const int64_t places = (g->m + 2) * (g->m + 2), most = g->chunk_tiles;
    const int64_t v_slab = most * v_row + WINO_SKEW, u_slab = depth * WINO_WIDE + WINO_SKEW, p_slab = most * WINO_WIDE + WINO_SKEW;

    conv_arena arena = {scratch, 0};
    REAL *const V = conv_take(&arena, by_kernels ? places * v_slab * sizeof(REAL) : 0);
    REAL *const U = conv_take(&arena, by_kernels ? 0 : blocks * deep * places * u_slab * sizeof(REAL));
    if (!scratch) return arena.used;
    const int64_t own_v = by_kernels ? 0 : places * v_slab, own_u = by_kernels ? places * u_slab : 0;
    const int64_t strip_size = (g->m + 2) * (g->piece * g->m + 2) * LANES + LANES, taps_size = 9 * WINO_DEEP * LANES + LANES;
    const int64_t own = own_v + own_u + places * p_slab + strip_size + taps_size + GEMM_SCRATCH;
    int finite = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const my_v = mg_thread_scratch(own * sizeof(REAL)), *const my_u = my_v + own_v, *const product = my_u + own_u;
        REAL *const strip = product + places * p_slab, *const taps = strip + strip_size, *const pack = taps + taps_size;
        if (by_kernels) {
#pragma omp for schedule(static)
            for (int64_t u = 0; u < g->units; u++)
                NAME(wino_fill)(V + wino_unit(g, u).tile * v_row, v_row, 0, v_slab, WINO_INPUT, g, x,
                                x_image, in, from, padding, u, u + 1, strip);
        } else {
#pragma omp for schedule(static)
            for (int64_t b = 0; b < blocks * deep; b++)
                NAME(wino_kernels)(U + b * places * u_slab, u_slab, g->m, w, s, adjoint, b / deep * WINO_WIDE, b % deep * depth,
                                   conv_min(depth, in - b % deep * depth), taps);
        }
#pragma omp for schedule(dynamic)
        for (int64_t job = 0; job < (by_kernels ? blocks : g->chunks); job++) {
            const int64_t first = by_kernels ? 0 : job * g->chunk;
            const int64_t end = by_kernels ? g->units : conv_min(first + g->chunk, g->units);
            const int64_t tiles = wino_unit(g, end).tile - wino_unit(g, first).tile;
            const REAL *const v = by_kernels ? V : my_v;
            if (!by_kernels)
                NAME(wino_fill)(my_v, v_row, 0, v_slab, WINO_INPUT, g, x, x_image, in, from, padding, first, end, strip);
            for (int64_t b = by_kernels ? job : 0; b < (by_kernels ? job + 1 : blocks); b++) {
                for (int64_t k = 0; k < deep; k++) {
                    const int64_t here = conv_min(depth, in - k * depth);
                    const REAL *const u = by_kernels ? my_u : U + (b * deep + k) * places * u_slab;
                    if (by_kernels) NAME(wino_kernels)(my_u, u_slab, g->m, w, s, adjoint, b * WINO_WIDE, k * depth, here, taps);
                    for (int64_t i = 0; i < places; i++) /* (tiles, here) @ (here, WINO_WIDE) */
                        NAME(gemm_block)(tiles, WINO_WIDE, here, v + i * v_slab + k * depth, v_row, 1, u + i * u_slab, WINO_WIDE,
                                         1, product + i * p_slab, WINO_WIDE, k > 0, pack);
                }
                const REAL bad = NAME(wino_drain)(product, p_slab, g, y, out, to, b * WINO_WIDE, bias, first, end, strip);
                if (bad != bad) {
#pragma omp atomic write
                    finite = 0;
                }
            }
        }
    }
    return finite ? 0 : CONV_NOT_FINITE;
}

/* ---- the gradient of w ---- */

/* gw = G' P G of the products P[place * slab + c * row + o], for c < count and one vector of `lanes` output channels, summed over
   `pieces` of them `step` apart. gw (.., C, 3, 3) with 9 * C = gw_row between output channels. Gives NaN if anything is not finite. */
static REAL NAME(wino_finish)(REAL *gw, int64_t gw_row, int m, const REAL *P, int64_t slab, int64_t row, int64_t step,
                              int64_t pieces, int64_t count, int64_t lanes, REAL *taps) {
    for (int64_t c = 0; c < count; c++) {
        REAL *const to = taps + c * 9 * LANES;
        for (int64_t p = 0; p < pieces; p++) {
            REAL part[9 * LANES], *const at = p ? part : to;
            if (m == 4) NAME(wino_2d)(WINO_KERNEL_BACK, 4, P + p * step + c * row, 6 * slab, slab, at, 3 * LANES, LANES);
            else NAME(wino_2d)(WINO_KERNEL_BACK, 2, P + p * step + c * row, 4 * slab, slab, at, 3 * LANES, LANES);
            if (p)
                for (int64_t i = 0; i < 9 * LANES; i += LANES) *(VECTOR *)(to + i) += *(const VECTOR *)(part + i);
        }
    }
    return NAME(gemm_sum)(NAME(wino_unstrip)(gw, gw_row, 0, taps, 0, 1, 9 * count, lanes, (VECTOR){0}));
}

/* As conv_strip_weight; CONV_NOT_FINITE says that an element of gw is not finite. Channels are cut into groups, so that the products of a
   pair of them stay in the cache; images into fixed pieces, if there are fewer pairs than threads might want. */
static int64_t NAME(conv_winograd_weight)(const REAL *x, const REAL *gradient, REAL *gw, const conv_geometry *s, int threads,
                                          char *scratch) {
    const int64_t c_groups = (s->C + WINO_GROUP - 1) / WINO_GROUP, o_groups = (s->O + WINO_GROUP - 1) / WINO_GROUP;
    const int64_t c_size = conv_round_up((s->C + c_groups - 1) / c_groups, LANES);
    const int64_t o_size = conv_round_up((s->O + o_groups - 1) / o_groups, WINO_WIDE), pairs = c_groups * o_groups;
    const wino_grid grid = wino_plan(s->winograd, s->N, s->out + 1, c_size + o_size, 1), *const g = &grid;
    const int64_t pieces = pairs < WINO_CHUNKS ? conv_min((WINO_CHUNKS + pairs - 1) / pairs, g->chunks) : 1;
    const int64_t places = (g->m + 2) * (g->m + 2), most = g->chunk_tiles, none[2] = {0, 0};
    const int64_t v_slab = most * c_size + WINO_SKEW, d_slab = most * o_size + WINO_SKEW, p_slab = c_size * o_size + WINO_SKEW;
    const int64_t product_size = places * p_slab, image = s->image[1] * s->image[2], out = s->out[1] * s->out[2];

    conv_arena arena = {scratch, 0};
    REAL *const parts = conv_take(&arena, pieces > 1 ? pairs * pieces * product_size * sizeof(REAL) : 0);
    if (!scratch) return arena.used;
    const int64_t strip_size = (g->m + 2) * (g->piece * g->m + 2) * LANES + LANES, taps_size = (9 * c_size + 1) * LANES;
    const int64_t own = places * (v_slab + d_slab) + (pieces > 1 ? 0 : product_size) + strip_size + taps_size + GEMM_SCRATCH;
    int finite = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const V = mg_thread_scratch(own * sizeof(REAL)), *const D = V + places * v_slab, *const strip = D + places * d_slab;
        REAL *const taps = strip + strip_size, *const pack = taps + taps_size, *const my_product = pack + GEMM_SCRATCH;
#pragma omp for schedule(dynamic)
        for (int64_t job = 0; job < pieces * pairs; job++) {
            const int64_t pair = job / pieces, piece = job % pieces, c = pair / o_groups * c_size, o = pair % o_groups * o_size;
            const int64_t inputs = conv_min(c_size, s->C - c), outputs = conv_min(o_size, s->O - o);
            REAL *const product = pieces > 1 ? parts + job * product_size : my_product;
            const int64_t start = g->chunks * piece / pieces, stop = g->chunks * (piece + 1) / pieces;
            if (inputs <= 0 || outputs <= 0) continue;
            for (int64_t chunk = start; chunk < stop; chunk++) {
                const int64_t first = chunk * g->chunk, end = conv_min(first + g->chunk, g->units);
                const int64_t tiles = wino_unit(g, end).tile - wino_unit(g, first).tile;
                NAME(wino_fill)(V, c_size, 0, v_slab, WINO_INPUT, g, x + c * image, s->C * image, inputs, s->image + 1,
                                s->padding + 1, first, end, strip);
                NAME(wino_fill)(D, WINO_WIDE, most * WINO_WIDE, d_slab, WINO_OUTPUT_BACK, g, gradient + o * out, s->O * out, outputs,
                                s->out + 1, none, first, end, strip);
                for (int64_t i = 0; i < places; i++)
                    for (int64_t b = 0; b < outputs; b += WINO_WIDE) /* (inputs, tiles) @ (tiles, WINO_WIDE) */
                        NAME(gemm_block)(inputs, WINO_WIDE, tiles, V + i * v_slab, 1, c_size, D + i * d_slab + b * most, WINO_WIDE, 1,
                                         product + i * p_slab + b, o_size, chunk > start, pack);
            }
            if (pieces > 1) continue;
            for (int64_t l = 0; l < outputs; l += LANES) {
                const REAL bad = NAME(wino_finish)(gw + ((o + l) * s->C + c) * 9, s->C * 9, g->m, product + l, p_slab, o_size, 0, 1,
                                                   inputs, conv_min(LANES, outputs - l), taps);
                if (bad != bad) {
#pragma omp atomic write
                    finite = 0;
                }
            }
        }
        if (pieces > 1) {
            const int64_t vectors = o_size / LANES;
#pragma omp for schedule(static)
            for (int64_t job = 0; job < pairs * vectors; job++) {
                const int64_t pair = job / vectors, l = job % vectors * LANES;
                const int64_t c = pair / o_groups * c_size, o = pair % o_groups * o_size + l;
                if (c >= s->C || o >= s->O) continue;
                const REAL bad = NAME(wino_finish)(gw + (o * s->C + c) * 9, s->C * 9, g->m, parts + pair * pieces * product_size + l,
                                                   p_slab, o_size, product_size, pieces, conv_min(c_size, s->C - c),
                                                   conv_min(LANES, s->O - o), taps);
                if (bad != bad) {
#pragma omp atomic write
                    finite = 0;
                }
            }
        }
    }
    return finite ? 0 : CONV_NOT_FINITE;
}

#undef WINO_TAKES
#undef WINO_MAKES
#undef WINO_WIDE
#endif
