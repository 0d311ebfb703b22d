/* Sums, products and extrema of int32 and int64: the kernels for both and for every instruction set, and how they share the work. */
#ifndef MINIGRAD_REDUCE_INTEGER_H
#define MINIGRAD_REDUCE_INTEGER_H

#define KERNELS "reduce_integer_kernels.h"
#include "multiversion.h"

#define MG_INTEGER_FEW 16       /* with fewer independent folds than this, a long one is cut */
#define MG_INTEGER_CHUNK 65536  /* into pieces of so many elements or more, */
#define MG_INTEGER_CHUNKS 256   /* at most so many */

typedef void (*mg_integer_fold)(const void *x, void *out, int64_t n, int64_t stride, int64_t width);

#define mg_integer_kernel(name, wide) ((wide) ? MG_PICK(name, f64) : MG_PICK(name, f32))

/* out[o, i] = the fold of x[o, :, i] for n > 0 items of 4 or 8 bytes; and, unless `at` is NULL, at[o, i] = where that is first found. */
static void mg_fold_integers(mg_integer_fold fold, const char *x, char *out, int64_t *at, int64_t outer, int64_t n, int64_t inner,
                             int64_t item, int threads) {
    const int64_t tiles = (inner + MG_INTEGER_TILE - 1) / MG_INTEGER_TILE;
    if (inner == 1 && outer < MG_INTEGER_FEW && n > MG_INTEGER_CHUNK) {
        int64_t partial[MG_INTEGER_FEW * MG_INTEGER_CHUNKS];
        const int64_t least = (n + MG_INTEGER_CHUNKS - 1) / MG_INTEGER_CHUNKS;
        const int64_t chunk = least > MG_INTEGER_CHUNK ? least : MG_INTEGER_CHUNK, chunks = (n + chunk - 1) / chunk;
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
        for (int64_t task = 0; task < outer * chunks; task++) {
            const int64_t o = task / chunks, start = task % chunks * chunk;
            fold(x + (o * n + start) * item, (char *)partial + task * item, n - start < chunk ? n - start : chunk, 1, 1);
        }
        for (int64_t o = 0; o < outer; o++) {
            fold((char *)partial + o * chunks * item, out + o * item, chunks, 1, 1);
            if (at) mg_integer_kernel(integer_find, item == 8)(x + o * n * item, out + o * item, at + o, n, 1, 1);
        }
        return;
    }
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t task = 0; task < outer * tiles; task++) {
        const int64_t o = task / tiles, first = task % tiles * MG_INTEGER_TILE;
        const int64_t width = inner - first < MG_INTEGER_TILE ? inner - first : MG_INTEGER_TILE, to = o * inner + first;
        const char *from = x + (o * n * inner + first) * item;
        fold(from, out + to * item, n, inner, width);
        if (at) mg_integer_kernel(integer_find, item == 8)(from, out + to * item, at + to, n, inner, width);
    }
}

#define MG_INTEGER(name)                                                                                                      \
    static void mg_##name(const void *x, void *out, int64_t *at, int64_t outer, int64_t n, int64_t inner, int64_t item,       \
                          int threads) {                                                                                      \
        mg_fold_integers(mg_integer_kernel(name, item == 8), x, out, at, outer, n, inner, item, threads);                     \
    }
MG_INTEGER(integer_sum)
MG_INTEGER(integer_prod)
MG_INTEGER(integer_max)
MG_INTEGER(integer_min)
#undef MG_INTEGER

#endif
