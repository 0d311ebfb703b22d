/* How Winograd's algorithm (conv_winograd_kernels.h) cuts images into tiles, units and chunks: by shapes only. */
#ifndef MINIGRAD_CONV_WINOGRAD_H
#define MINIGRAD_CONV_WINOGRAD_H

enum { WINO_INPUT, WINO_KERNEL, WINO_KERNEL_BACK, WINO_OUTPUT, WINO_OUTPUT_BACK }; /* the transforms B', G, G', A', A */

#define WINO_PIECE 28       /* most tiles of a unit: its strip of 6 rows x 114 columns x 16 channels is 43 KB */
#define WINO_CACHE 400000   /* bytes of transformed tiles of a chunk: with products of 32 channels and kernels below 1 MB */
#define WINO_LEAST 28       /* tiles of a chunk at least, so that kernels are not fetched too often */
#define WINO_FEW 160        /* up to so many tiles are one chunk, and threads share the kernels instead */
/* Bytes that the gradient of w may keep of all transformed tiles; and the same where each would else be transformed twice at
   most, which takes less than moving so much: dilated, 64 channels, 28x28, 1.04 ms for 1.42; 128 channels 3.4 for 3.8. */
#define WINO_SHARED 24000000
#define WINO_SHARED_TWICE 6000000
#define WINO_CHUNKS 8       /* least chunks otherwise, for threads to share */

/* Planes (image, depth) of tiles of m x m results, each of which takes points x points inputs. Where the kernel is dilated by
   `step`, a tile has every step-th row and column. A unit is up to `piece` tiles of a row of tiles, those of all step[1]
   phases of its columns one after another. */
typedef struct {
    int m, points;
    int64_t step[2], depth;              /* depth: planes of an image */
    int64_t rows, across;                /* rows of tiles of a phase of the rows of a plane, tiles of a row */
    int64_t pieces, piece, units;        /* units of a row, tiles of a unit (the last of a row may have fewer), all units */
    int64_t chunk, chunks, chunk_tiles;  /* units of a chunk, how many chunks, most tiles of one */
    int low, narrow;                     /* see wino_sort: low rows of tiles of a plane, narrow tiles of a row, 0 or 1 */
    int64_t tall;                        /* other rows of tiles, of all planes */
} wino_grid;

typedef struct {
    int64_t n, depth, row, column; /* image, plane of it, first row and column of its results */
    int64_t count, tile;           /* tiles, number of the first of them */
    int64_t whole, last;           /* tiles that follow each other from there; number of the one after these, if any */
    int top;                       /* whether no row of tiles lies above */
} wino_place;

/* The last of the points, infinity, has a part in the last row (or column) of a tile's results alone: a tile at the edge of an
   image that lacks them needs no products there, 121 of 144 are left for images of 7x7, 529 of 576 for 14x14. Products are of
   tiles that lie side by side, so tiles are numbered in the order (tall and narrow, tall and wide, low and wide, low and
   narrow). Only where a row of tiles is one unit of one phase. */
static void wino_sort(wino_grid *g, const int64_t *size) {
    if (g->step[0] > 1 || g->step[1] > 1 || g->pieces > 1) return;
    g->low = size[1] % g->m != 0;
    g->narrow = size[2] % g->m != 0;
    g->tall = g->units / g->rows * (g->rows - g->low);
}

/* Numbers of the tiles that need a place, from *begin to the result. */
static int64_t wino_needed(const wino_grid *g, int64_t place, int64_t *begin) {
    const int low = g->low && place / g->points == g->points - 1, narrow = g->narrow && place % g->points == g->points - 1;
    *begin = narrow ? g->tall : 0;
    return *begin + (low ? g->tall : g->units / g->pieces) * (g->across - narrow);
}

static wino_place wino_unit(const wino_grid *g, int64_t u) {
    const int64_t line = u / g->pieces, start = u % g->pieces * g->piece, phase = line / g->rows % g->step[0];
    const int64_t plane = line / g->rows / g->step[0];
    wino_place at = {.n = plane / g->depth, .depth = plane % g->depth, .row = phase + line % g->rows * g->m * g->step[0],
                     .column = start * g->m, .count = conv_min(g->piece, g->across - start),
                     .tile = line * g->across + start, .top = line % g->rows == 0};
    at.whole = at.count - g->narrow;
    if (g->low || g->narrow) {
        const int64_t high = g->rows - g->low, row = line % g->rows;
        const int64_t here = row < high ? plane * high + row : g->tall + plane;
        at.tile = here * at.whole + (g->narrow ? g->tall : 0);
        at.last = here < g->tall ? here : g->units * at.whole + here;
    }
    return at;
}

/* size: of an image of results; row: floats of one tile at one place of what is transformed; cache: bytes of a chunk; least:
   chunks, if there are as many units */
static wino_grid wino_plan(const conv_geometry *s, const int64_t *size, int64_t row, int64_t cache, int64_t least) {
    const int64_t m = conv_winograd_tile(s), points = m + s->kernel[1] - 1;
    wino_grid g = {.m = (int)m, .points = (int)points, .step = {s->dilation[1], s->dilation[2]}, .depth = size[0]};
    const int64_t bytes = points * points * row * (int64_t)sizeof(float), step = g.step[1];
    const int64_t across = conv_ceil_div(size[2], m * step), most = WINO_PIECE > step ? WINO_PIECE / step : 1;
    g.rows = conv_ceil_div(size[1], m * g.step[0]);
    g.across = across * step;
    g.piece = conv_ceil_div(across, conv_ceil_div(across, most)) * step;
    g.pieces = conv_ceil_div(g.across, g.piece);
    g.units = s->N * g.depth * g.step[0] * g.rows * g.pieces;
    g.chunk = cache / bytes > WINO_LEAST ? cache / bytes / g.piece : conv_ceil_div(WINO_LEAST, g.piece);
    if (g.chunk < 1) g.chunk = 1;
    g.chunks = conv_min(g.units, conv_ceil_div(g.units, g.chunk));
    if (g.chunks < least) g.chunks = conv_min(least, g.units);
    g.chunk = conv_ceil_div(g.units, g.chunks);
    g.chunks = conv_ceil_div(g.units, g.chunk);
    g.chunk_tiles = g.chunk * g.piece;
    return g;
}

/* Floats of scratch for the strips of a unit, and their transforms. */
static int64_t wino_strip_size(const wino_grid *g, int64_t lanes) {
    return (2 * g->points * (g->piece * g->m + (g->points - g->m) * g->step[1]) + 1) * lanes;
}

#endif
