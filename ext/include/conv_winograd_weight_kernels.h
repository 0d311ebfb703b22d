/* The gradient of w by Winograd's minimal filtering: see conv_winograd_kernels.h.

   Each place of a tile is one product over all tiles, (channels of x, tiles) @ (tiles, channels of g). It is cut into pairs of
   a group of channels of x and one of g, whose products for all places stay in the L2 cache, where the transform back finds
   them. V, transformed tiles of x, is [place][vector of channels][tile][LANES], D, those of g, [place][panel of channels][tile]
   [wide]: the register tiles of the product read both as they lie. */

#define WINO_ROWS (LANES > 8 ? 8 : 4) /* channels of x of a register tile: half of a vector, so that a panel of V has two */
#define WINO_GROUP 64                 /* most channels of a group: 36 x 64 x 64 products are 590 KB */
#define WINO_LONG 64                  /* tiles that a piece of them has at least, so that products are not moved too often */

typedef struct {
    const conv_geometry *s;
    NAME(wino_images) x, g;
    REAL *gw;
    int64_t in, out;                            /* channels of x and of g in a group of the convolution */
    int64_t c_size, o_size, c_groups, o_groups; /* channels of a group of the product, groups */
    int64_t pairs, pieces;                      /* pairs of groups, pieces of the tiles */
    int64_t wide, places;                       /* channels of a panel of D, places of a tile */
    int64_t v_panel, v_slab, v_size, d_panel, d_slab, d_size, p_slab, p_size, strip_size, taps_size;
    wino_grid grid;
} NAME(wino_weight_task);

/* V, from tile `base` on, for group c of all groups: (group of the convolution, tap in depth, group of channels). */
static void NAME(wino_fill_v)(const NAME(wino_weight_task) *t, REAL *V, int64_t c, int64_t first, int64_t end, int64_t base,
                              REAL *strip) {
    const int64_t tap = c / t->c_groups % t->s->kernel[0], group = c / t->c_groups / t->s->kernel[0];
    const int64_t start = c % t->c_groups * t->c_size;
    for (int64_t i = 0; i < t->c_size && start + i < t->in; i += LANES)
        NAME(wino_fill)(V + i / LANES * t->v_panel, LANES, t->v_slab, WINO_INPUT, &t->grid, &t->x, group * t->in + start + i,
                        conv_min(LANES, t->in - start - i), tap * t->s->dilation[0], first, end, base, strip);
}

/* D, from tile `base` on, for group o of all groups: (group of the convolution, group of channels). */
static void NAME(wino_fill_d)(const NAME(wino_weight_task) *t, REAL *D, int64_t o, int64_t first, int64_t end, int64_t base,
                              REAL *strip) {
    const int64_t group = o / t->o_groups, start = o % t->o_groups * t->o_size;
    for (int64_t i = 0; i < t->o_size && start + i < t->out; i += LANES)
        NAME(wino_fill)(D + i / t->wide * t->d_panel + i % t->wide, t->wide, t->d_slab, WINO_OUTPUT_BACK, &t->grid, &t->g,
                        group * t->out + start + i, conv_min(LANES, t->out - start - i), 0, first, end, base, strip);
}

/* product[place] = V[place]' @ D[place], or +=;  (c_size, tiles) @ (tiles, o_size) */
static void NAME(wino_multiply_pair)(const NAME(wino_weight_task) *t, int64_t tiles, const REAL *V, const REAL *D,
                                     REAL *product, int accumulate) {
    const NAME(gemm_tile_pointer) tile = NAME(gemm_tiles)[WINO_ROWS][t->wide / LANES - 1][1];
    for (int64_t place = 0; place < t->places; place++, V += t->v_slab, D += t->d_slab, product += t->p_slab)
        for (int64_t k = 0; k < tiles; k += WINO_DEEP)
            for (int64_t o = 0; o < t->o_size; o += t->wide)
                for (int64_t c = 0; c < t->c_size; c += WINO_ROWS) {
                    REAL *const to = product + c * t->o_size + o;
                    tile(conv_min(WINO_DEEP, tiles - k), V + c / LANES * t->v_panel + k * LANES + c % LANES, LANES,
                         D + o / t->wide * t->d_panel + k * t->wide, t->wide, to, t->o_size, accumulate || k > 0 ? to : NULL,
                         t->o_size, LANES, 0);
                }
}

/* gw for a pair of groups and one vector of its output channels, G' P G of its products P[place][c][o], summed over pieces of
   them (in place). Gives whether it is finite. */
static int NAME(wino_finite_weights)(const NAME(wino_weight_task) *t, int64_t pair, int64_t vector, REAL *P, REAL *taps) {
    REAL half[6 * 5 * WINO_HALF * LANES];
    const wino_grid *g = &t->grid;
    const int64_t r = t->s->kernel[1], size = r * r, deep = t->s->kernel[0], row = t->o_size, slab = t->p_slab;
    const int64_t c0 = pair / t->o_groups % t->c_groups * t->c_size, o = pair % t->o_groups * t->o_size + vector * LANES;
    const int64_t tap = pair / t->o_groups / t->c_groups % deep, group = pair / t->o_groups / t->c_groups / deep;
    if (c0 >= t->in || o >= t->out) return 1;
    const int64_t count = conv_min(t->c_size, t->in - c0), lanes = conv_min(LANES, t->out - o), by_out = t->in * deep * size;
    P += vector * LANES;
    for (int64_t c = 0; c < count; c += WINO_HALF) {
        const int64_t here = conv_min(WINO_HALF, count - c), half_row = r * here * LANES;
        for (int64_t p = 1; p < t->pieces; p++)
            for (int64_t place = 0; place < t->places; place++) {
                REAL *const sum = P + place * slab + c * row;
                const REAL *const more = sum + p * t->p_size;
                for (int64_t i = 0; i < here; i++) *(VECTOR *)(sum + i * row) += *(const VECTOR *)(more + i * row);
            }
        for (int64_t i = 0; i < g->points; i++)
            NAME(wino_pass)(WINO_KERNEL_BACK, g, P + c * row + i * g->points * slab, slab, row, half + i * half_row, LANES,
                            r * LANES, here);
        for (int64_t j = 0; j < r; j++)
            NAME(wino_pass)(WINO_KERNEL_BACK, g, half + j * LANES, half_row, r * LANES, taps + (c * size + j) * LANES,
                            r * LANES, size * LANES, here);
    }
    REAL *const gw = t->gw + (((group * t->out + o) * t->in + c0) * deep + tap) * size;
    const int64_t joined = deep == 1 ? count : 1; /* channels whose taps lie one after another */
    const VECTOR sums = NAME(wino_unstrip)(gw, by_out, deep * size, taps, size * LANES, count / joined, joined * size, lanes,
                                           (VECTOR){0});
    const REAL bad = NAME(gemm_sum)(sums);
    return bad == bad;
}

/* Threads share pairs, and fixed pieces of the tiles where there are few pairs; their products are added up at the end. Where V
   and D have room for all tiles these are transformed first; else a pair transforms a chunk at a time for itself. */
static int NAME(wino_weights)(const NAME(wino_weight_task) *t, REAL *V, REAL *D, REAL *products, int threads) {
    const wino_grid *g = &t->grid;
    const int64_t c_all = t->s->groups * t->s->kernel[0] * t->c_groups, o_all = t->s->groups * t->o_groups;
    const int64_t vectors = t->o_size / LANES;
    const int64_t own = (V ? 0 : t->v_size + t->d_size) + (t->pieces > 1 ? 0 : t->p_size);
    int finite = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const strip = mg_thread_scratch((own + t->strip_size + t->taps_size) * sizeof(REAL));
        REAL *const taps = strip + t->strip_size, *const own_product = taps + t->taps_size;
        REAL *const own_v = own_product + (t->pieces > 1 ? 0 : t->p_size), *const own_d = own_v + t->v_size;
        if (V) {
#pragma omp for schedule(static)
            for (int64_t unit = 0; unit < g->units; unit++) {
                for (int64_t c = 0; c < c_all; c++) NAME(wino_fill_v)(t, V + c * t->v_size, c, unit, unit + 1, 0, strip);
                for (int64_t o = 0; o < o_all; o++) NAME(wino_fill_d)(t, D + o * t->d_size, o, unit, unit + 1, 0, strip);
            }
        }
#pragma omp for schedule(dynamic)
        for (int64_t job = 0; job < t->pairs * t->pieces; job++) {
            const int64_t pair = job / t->pieces, piece = job % t->pieces, c = pair / t->o_groups;
            const int64_t o = c / t->c_groups / t->s->kernel[0] * t->o_groups + pair % t->o_groups;
            const int64_t start = g->units * piece / t->pieces, stop = g->units * (piece + 1) / t->pieces;
            REAL *const product = t->pieces > 1 ? products + job * t->p_size : own_product;
            for (int64_t first = start; first < stop; first += V ? stop - start : g->chunk) {
                const int64_t end = V ? stop : conv_min(first + g->chunk, stop), tile = wino_unit(g, first).tile;
                if (!V) {
                    NAME(wino_fill_v)(t, own_v, c, first, end, tile, strip);
                    NAME(wino_fill_d)(t, own_d, o, first, end, tile, strip);
                }
                NAME(wino_multiply_pair)(t, wino_unit(g, end).tile - tile, V ? V + c * t->v_size + tile * LANES : own_v,
                                         V ? D + o * t->d_size + tile * t->wide : own_d, product, first > start);
            }
            if (t->pieces > 1) continue;
            for (int64_t vector = 0; vector < vectors; vector++)
                if (!NAME(wino_finite_weights)(t, pair, vector, product, taps)) {
#pragma omp atomic write
                    finite = 0;
                }
        }
        if (t->pieces > 1) {
#pragma omp for schedule(static)
            for (int64_t job = 0; job < t->pairs * vectors; job++) {
                REAL *const product = products + job / vectors * t->pieces * t->p_size;
                if (!NAME(wino_finite_weights)(t, job / vectors, job % vectors, product, taps)) {
#pragma omp atomic write
                    finite = 0;
                }
            }
        }
    }
    return finite;
}

/* As conv_strip_weight; CONV_NOT_FINITE says that an element of gw is not finite. */
static int64_t NAME(conv_winograd_weight)(const REAL *x, const REAL *g, REAL *gw, const conv_geometry *s, int threads,
                                          char *scratch) {
    NAME(wino_weight_task) t = {.s = s, .gw = gw, .in = s->C / s->groups, .out = s->O / s->groups};
    t.x = (NAME(wino_images)){.x = x, .channels = s->C};
    t.g = (NAME(wino_images)){.x = g, .channels = s->O};
    for (int i = 0; i < 3; i++) {
        t.x.size[i] = s->image[i];
        t.x.padding[i] = s->padding[i];
        t.g.size[i] = s->out[i];
    }
    wino_grid grid = wino_plan(s, s->out, 1, WINO_CACHE, 1);
    const int64_t tiles = wino_unit(&grid, grid.units).tile;
    t.places = grid.points * grid.points;
    const int64_t bytes = t.places * tiles * (s->C * s->kernel[0] + s->O) * (int64_t)sizeof(REAL);
    const int few = bytes <= (t.in > 2 * WINO_GROUP || t.out > 2 * WINO_GROUP ? WINO_SHARED : WINO_SHARED_TWICE);
    const int64_t parts = few ? conv_ceil_div(tiles, WINO_LONG) : WINO_CHUNKS;
    int64_t group = WINO_GROUP;
    const int64_t jobs = s->groups * s->kernel[0] * conv_ceil_div(t.in, group) * conv_ceil_div(t.out, group) * parts;
    if (jobs < WINO_CHUNKS / 2) group /= 2; /* for threads to share */
    t.c_size = conv_round_up(conv_ceil_div(t.in, conv_ceil_div(t.in, group)), LANES);
    t.o_size = conv_round_up(conv_ceil_div(t.out, conv_ceil_div(t.out, group)), LANES);
    t.c_groups = conv_ceil_div(t.in, t.c_size);
    t.o_groups = conv_ceil_div(t.out, t.o_size);
    t.pairs = s->groups * s->kernel[0] * t.c_groups * t.o_groups;
    t.wide = t.o_size % WINO_WIDE ? LANES : WINO_WIDE;
    t.grid = wino_plan(s, s->out, t.c_size + t.o_size, 2 * WINO_CACHE, 1);
    t.pieces = t.pairs >= WINO_CHUNKS ? 1 : conv_min(conv_ceil_div(WINO_CHUNKS, t.pairs), parts);
    t.pieces = conv_min(t.pieces, few ? t.grid.units : t.grid.chunks);
    const int64_t most = few ? tiles : t.grid.chunk_tiles;
    t.v_panel = most * LANES + WINO_SKEW;
    t.v_slab = t.c_size / LANES * t.v_panel;
    t.v_size = t.places * t.v_slab;
    t.d_panel = most * t.wide + WINO_SKEW;
    t.d_slab = t.o_size / t.wide * t.d_panel;
    t.d_size = t.places * t.d_slab;
    t.p_slab = t.c_size * t.o_size + WINO_SKEW;
    t.p_size = t.places * t.p_slab;
    t.strip_size = wino_strip_size(&t.grid, LANES);
    t.taps_size = (s->kernel[1] * s->kernel[2] * t.c_size + 1) * LANES;

    conv_arena arena = {scratch, 0};
    REAL *const products = conv_take(&arena, t.pieces > 1 ? t.pairs * t.pieces * t.p_size * sizeof(REAL) : 0);
    REAL *const V = conv_take(&arena, few ? s->groups * s->kernel[0] * t.c_groups * t.v_size * sizeof(REAL) : 0);
    REAL *const D = conv_take(&arena, few ? s->groups * t.o_groups * t.d_size * sizeof(REAL) : 0);
    if (!scratch) return arena.used;
    return NAME(wino_weights)(&t, few ? V : NULL, D, products, threads) ? 0 : CONV_NOT_FINITE;
}

#undef WINO_ROWS
