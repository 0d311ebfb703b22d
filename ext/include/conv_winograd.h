/* How Winograd's algorithm (conv_winograd_kernels.h) cuts images into tiles, units and chunks: by shapes only. */
#ifndef MINIGRAD_CONV_WINOGRAD_H
#define MINIGRAD_CONV_WINOGRAD_H

enum { WINO_INPUT, WINO_KERNEL, WINO_KERNEL_BACK, WINO_OUTPUT, WINO_OUTPUT_BACK }; /* the transforms B', G, G', A', A */

#define WINO_PIECE 28       /* most tiles of a unit: its strip of 6 rows x 114 columns x 16 channels is 43 KB */
#define WINO_CACHE 400000   /* bytes of transformed tiles of a chunk: with the products of 32 channels and their kernels well below 1 MB */
#define WINO_LEAST 28       /* tiles of a chunk at least, so that kernels are not fetched too often */
#define WINO_FEW 160        /* up to so many tiles are one chunk, and threads share the kernels instead */
#define WINO_SHARED 24000000 /* bytes that the gradient of w may keep of all tiles, and of all products */
#define WINO_CHUNKS 8       /* least chunks otherwise, for threads to share */

/* Images (N, channels, size) of tiles of m x m results. A unit is up to `piece` tiles of a row of tiles. */
typedef struct {
    int m;
    int64_t rows, across;                /* rows of tiles of an image, tiles of a row */
    int64_t pieces, piece, units;        /* units of a row, tiles of a unit (the last of a row may have fewer), all units */
    int64_t chunk, chunks, chunk_tiles;  /* units of a chunk, how many chunks, most tiles of one */
} wino_grid;

typedef struct {
    /* image, row and column in it (counted in tiles), tiles, number of the first of them */
    int64_t n, row, column, count, tile;
} wino_place;

static wino_place wino_unit(const wino_grid *g, int64_t u) {
    const int64_t line = u / g->pieces, column = u % g->pieces * g->piece;
    const wino_place at = {line / g->rows, line % g->rows, column, conv_min(g->piece, g->across - column),
                           line * g->across + column};
    return at;
}

/* row: floats of one tile at one place of what is transformed; cache: bytes of a chunk; least: chunks, if there are as many
   units */
static wino_grid wino_plan(int64_t m, int64_t N, const int64_t *size, int64_t row, int64_t cache, int64_t least) {
    wino_grid g = {.m = (int)m, .rows = (size[0] + m - 1) / m, .across = (size[1] + m - 1) / m};
    const int64_t bytes = (m + 2) * (m + 2) * row * (int64_t)sizeof(float);
    g.pieces = (g.across + WINO_PIECE - 1) / WINO_PIECE;
    g.piece = (g.across + g.pieces - 1) / g.pieces;
    g.pieces = (g.across + g.piece - 1) / g.piece;
    g.units = N * g.rows * g.pieces;
    g.chunk = cache / bytes > WINO_LEAST ? cache / bytes / g.piece : (WINO_LEAST + g.piece - 1) / g.piece;
    if (g.chunk < 1) g.chunk = 1;
    g.chunks = conv_min(g.units, (g.units + g.chunk - 1) / g.chunk);
    if (g.chunks < least) g.chunks = conv_min(least, g.units);
    g.chunk = (g.units + g.chunks - 1) / g.chunks;
    g.chunks = (g.units + g.chunk - 1) / g.chunk;
    g.chunk_tiles = g.chunk * g.piece;
    return g;
}

#endif
