/* Reductions over the middle axis of a contiguous (outer, n, inner) array. Compiled through multiversion.h: see there for
   REAL and NAME.

   The order of every reduction depends on the shape (and the instruction set) alone, never on the number of threads:
   * inner == 1: a row is cut into blocks of 32 additions a vector lane, and the sums of the blocks are added pairwise;
   * inner > 1: tiles of columns; 128 rows are added up in registers, then those sums;
   * where that leaves few pieces of work, n is cut into chunks of a size given by the shape, and the chunks' results are
     combined pairwise. */

#define MG_TILE (8 * LANES)     /* columns of a tile */
#define MG_BLOCK (128 * LANES)  /* elements of a row's block: four accumulators of 32 additions a lane */

#ifndef MG_FEW_TASKS
#define MG_FEW_TASKS 16      /* with fewer independent pieces of work than this, a long n is cut */
#define MG_ROW_CHUNKS 256    /* into at most so many chunks where inner == 1, */
#define MG_COLUMN_CHUNKS 16  /* or so many where inner > 1, */
#define MG_CHUNK 65536       /* of at least so many elements */
#define MG_ROWS_A_SUM 128
#endif

/* Elements of x to a chunk: at least MG_CHUNK, a multiple of `unit`, at most `chunks` of them to n * unit elements. */
MG_INLINE int64_t NAME(reduce_chunk)(int64_t n, int64_t unit, int64_t chunks) {
    const int64_t least = (MG_CHUNK + unit - 1) / unit, wanted = (n + chunks - 1) / chunks;
    return wanted > least ? wanted : least;
}

/* A vector with its lane l + width at l, for a fold of lanes without the detour through memory (products of 256 rows of 64: 1.5 us,
   with it 4.1). */
static const MG_INT NAME(counting)[24] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
MG_INLINE VECTOR NAME(turned)(VECTOR a, int width) {
    return __builtin_shuffle(a, *(const IVECTOR *)(NAME(counting) + width));
}

/* MG_FOLD(name, operator, identity, f): name(x, center, out, outer, n, inner, threads) with
       out[o, i] = identity OP f(x[o, 0, i], center[o, i]) OP ... OP f(x[o, n - 1, i], center[o, i])
   where f is an expression in a and c that works for VECTORs as well. center may be NULL: c is then 0. */
#define MG_FOLD(name, OP, identity, f)                                                                               \
    static REAL NAME(name##_block)(const REAL *x, int64_t n, const REAL c) {                                         \
        VECTOR s0 = (VECTOR){0} + identity, s1 = s0, s2 = s0, s3 = s0, a;                                            \
        int64_t i = 0;                                                                                               \
        (void)c;                                                                                                     \
        for (; i + 4 * LANES <= n; i += 4 * LANES) {                                                                 \
            a = *(const VECTOR *)(x + i), s0 = s0 OP (f);                                                            \
            a = *(const VECTOR *)(x + i + LANES), s1 = s1 OP (f);                                                    \
            a = *(const VECTOR *)(x + i + 2 * LANES), s2 = s2 OP (f);                                                \
            a = *(const VECTOR *)(x + i + 3 * LANES), s3 = s3 OP (f);                                                \
        }                                                                                                            \
        for (; i + LANES <= n; i += LANES) a = *(const VECTOR *)(x + i), s0 = s0 OP (f);                             \
        s0 = (s0 OP s1) OP (s2 OP s3);                                                                               \
        REAL total = identity;                                                                                       \
        _Pragma("GCC unroll 4")                                                                                      \
        for (int width = LANES / 2; width > 0; width /= 2) s0 = s0 OP NAME(turned)(s0, width);                       \
        for (; i < n; i++) { const REAL a = x[i]; total = total OP (f); }                                            \
        return s0[0] OP total;                                                                                       \
    }                                                                                                                \
    /* Blocks combined pairwise: after block b the stack holds one result for each bit that is set in b + 1. */      \
    static REAL NAME(name##_run)(const REAL *x, int64_t n, const REAL c) {                                           \
        REAL stack[64];                                                                                              \
        int top = 0;                                                                                                 \
        if (n <= MG_BLOCK) return NAME(name##_block)(x, n, c);                                                       \
        for (int64_t b = 0; b * MG_BLOCK < n; b++) {                                                                 \
            const int64_t left = n - b * MG_BLOCK;                                                                   \
            REAL s = NAME(name##_block)(x + b * MG_BLOCK, left < MG_BLOCK ? left : MG_BLOCK, c);                     \
            for (int64_t k = b + 1; k % 2 == 0; k /= 2) { top--; s = stack[top] OP s; }                              \
            stack[top++] = s;                                                                                        \
        }                                                                                                            \
        REAL total = stack[--top];                                                                                   \
        while (top > 0) { top--; total = stack[top] OP total; }                                                      \
        return total;                                                                                                \
    }                                                                                                                \
    /* out[i] = fold over k < n of x[k * stride + i], i < width <= MG_TILE. */                                       \
    static void NAME(name##_tile)(const REAL *x, int64_t n, int64_t stride, int64_t width, const REAL *center,       \
                                  REAL *out) {                                                                       \
        REAL total[MG_TILE], part[MG_TILE], zero[MG_TILE] = {0};                                                     \
        if (!center) center = zero;                                                                                  \
        for (int64_t i = 0; i < MG_TILE; i++) total[i] = identity;                                                   \
        for (int64_t start = 0; start < n; start += MG_ROWS_A_SUM) {                                                 \
            const int64_t end = start + MG_ROWS_A_SUM < n ? start + MG_ROWS_A_SUM : n;                               \
            if (width == MG_TILE) {                                                                                  \
                VECTOR s[8];                                                                                         \
                for (int v = 0; v < 8; v++) s[v] = (VECTOR){0} + identity;                                           \
                for (int64_t k = start; k < end; k++)                                                                \
                    _Pragma("GCC unroll 8") for (int v = 0; v < 8; v++) {                                            \
                        const VECTOR a = *(const VECTOR *)(x + k * stride + v * LANES);                              \
                        const VECTOR c = *(const VECTOR *)(center + v * LANES);                                      \
                        (void)c;                                                                                     \
                        s[v] = s[v] OP (f);                                                                          \
                    }                                                                                                \
                for (int v = 0; v < 8; v++) *(VECTOR *)(total + v * LANES) = *(VECTOR *)(total + v * LANES) OP s[v]; \
            } else {                                                                                                 \
                for (int64_t i = 0; i < width; i++) part[i] = identity;                                              \
                for (int64_t k = start; k < end; k++) {                                                              \
                    const REAL *row = x + k * stride;                                                                \
                    _Pragma("omp simd") for (int64_t i = 0; i < width; i++) {                                        \
                        const REAL a = row[i], c = center[i];                                                        \
                        (void)c;                                                                                     \
                        part[i] = part[i] OP (f);                                                                    \
                    }                                                                                                \
                }                                                                                                    \
                for (int64_t i = 0; i < width; i++) total[i] = total[i] OP part[i];                                  \
            }                                                                                                        \
        }                                                                                                            \
        for (int64_t i = 0; i < width; i++) out[i] = total[i];                                                       \
    }                                                                                                                \
    /* out[i] = fold over k < n of x[k * inner + i], where inner is small: several rows make one tile. */            \
    static void NAME(name##_narrow)(const REAL *x, int64_t n, int64_t inner, const REAL *center, REAL *out) {        \
        const int64_t rows = MG_TILE / inner, groups = n / rows, width = rows * inner;                               \
        REAL centers[MG_TILE] = {0}, folded[MG_TILE], rest[MG_TILE];                                                 \
        if (center) for (int64_t i = 0; i < width; i++) centers[i] = center[i % inner];                              \
        NAME(name##_tile)(x, groups, width, width, centers, folded);                                                 \
        NAME(name##_tile)(x + groups * width, n - groups * rows, inner, inner, centers, rest);                       \
        for (int64_t i = 0; i < inner; i++) {                                                                        \
            REAL s = folded[i];                                                                                      \
            for (int64_t r = 1; r < rows; r++) s = s OP folded[r * inner + i];                                       \
            out[i] = s OP rest[i];                                                                                   \
        }                                                                                                            \
    }                                                                                                                \
    static void NAME(name##_columns)(const REAL *x, int64_t n, int64_t inner, int64_t tile, const REAL *center,      \
                                     REAL *out) {                                                                    \
        const int64_t at = tile * MG_TILE, width = inner - at < MG_TILE ? inner - at : MG_TILE;                      \
        if (2 * inner <= MG_TILE && n > 4) NAME(name##_narrow)(x, n, inner, center, out);                            \
        else NAME(name##_tile)(x + at, n, inner, width, center ? center + at : NULL, out + at);                      \
    }                                                                                                                \
    static void NAME(name)(const REAL *x, const REAL *center, REAL *out, int64_t outer, int64_t n, int64_t inner,    \
                           int threads) {                                                                            \
        const int64_t tiles = inner == 1 ? 1 : (inner + MG_TILE - 1) / MG_TILE, tasks = outer * tiles;               \
        const int64_t chunk = NAME(reduce_chunk)(n, inner, inner == 1 ? MG_ROW_CHUNKS : MG_COLUMN_CHUNKS);           \
        const int64_t chunks = (n + chunk - 1) / chunk;                                                              \
        REAL partial[MG_FEW_TASKS * MG_TILE * MG_COLUMN_CHUNKS];                                                     \
        if (tasks >= MG_FEW_TASKS || chunks <= 1) {                                                                  \
            _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")                       \
            for (int64_t task = 0; task < tasks; task++) {                                                           \
                const int64_t o = task / tiles;                                                                      \
                if (inner == 1) out[o] = NAME(name##_run)(x + o * n, n, center ? center[o] : 0);                     \
                else NAME(name##_columns)(x + o * n * inner, n, inner, task % tiles, center ? center + o * inner : NULL, \
                                          out + o * inner);                                                          \
            }                                                                                                        \
            return;                                                                                                  \
        }                                                                                                            \
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")                           \
        for (int64_t task = 0; task < tasks * chunks; task++) {                                                      \
            const int64_t o = task / (tiles * chunks), part = task / tiles % chunks, start = part * chunk;           \
            const int64_t length = n - start < chunk ? n - start : chunk;                                            \
            const REAL *from = x + (o * n + start) * inner;                                                          \
            REAL *to = partial + (o * chunks + part) * inner;                                                        \
            if (inner == 1) *to = NAME(name##_run)(from, length, center ? center[o] : 0);                            \
            else NAME(name##_columns)(from, length, inner, task % tiles, center ? center + o * inner : NULL, to);    \
        }                                                                                                            \
        for (int64_t o = 0; o < outer; o++) {                                                                        \
            REAL *first = partial + o * chunks * inner;                                                              \
            for (int64_t step = 1; step < chunks; step *= 2)                                                         \
                for (int64_t part = 0; part + step < chunks; part += 2 * step)                                       \
                    for (int64_t i = 0; i < inner; i++)                                                              \
                        first[part * inner + i] = first[part * inner + i] OP first[(part + step) * inner + i];       \
            for (int64_t i = 0; i < inner; i++) out[o * inner + i] = first[i];                                       \
        }                                                                                                            \
    }

MG_FOLD(reduce_sum, +, 0, a)
MG_FOLD(reduce_prod, *, 1, a)
MG_FOLD(reduce_deviation, +, 0, a - c)
MG_FOLD(reduce_square_deviation, +, 0, (a - c) * (a - c))

/* MG_EXTREMUM(name, >, pragma): name(x, out, indices, outer, n, inner, threads) with the largest of x[o, :, i], n > 0, and, unless
   indices is NULL, where it is first found. A NaN beats everything; the first one wins.

   Where only values are asked for, the comparison takes no notice of NaN, which is one instruction, and a sum that is NaN tells that
   there may be one: those elements are then compared again by name##_exact. */
#define MG_EXTREMUM(name, BEATS, REDUCTION)                                                                           \
    static REAL NAME(name##_exact)(const REAL *x, int64_t n, int64_t stride) {                                       \
        REAL best = x[0];                                                                                            \
        for (int64_t k = 1; k < n; k++) {                                                                            \
            const REAL a = x[k * stride];                                                                            \
            best = (a BEATS best) | ((a != a) & (best == best)) ? a : best;                                          \
        }                                                                                                            \
        return best;                                                                                                 \
    }                                                                                                                \
    static REAL NAME(name##_run)(const REAL *x, int64_t n) {                                                         \
        const int64_t half = n / 2;                                                                                  \
        REAL first = x[0], second = x[0], sum = x[n - 1];                                                            \
        _Pragma(REDUCTION)                                                                                           \
        for (int64_t i = 0; i < half; i++) {                                                                         \
            const REAL a = x[i], b = x[half + i];                                                                    \
            first = a BEATS first ? a : first;                                                                       \
            second = b BEATS second ? b : second;                                                                    \
            sum += a + b;                                                                                            \
        }                                                                                                            \
        if (sum != sum) return NAME(name##_exact)(x, n, 1);                                                          \
        first = second BEATS first ? second : first;                                                                 \
        return x[n - 1] BEATS first ? x[n - 1] : first;                                                              \
    }                                                                                                                \
    /* out[i] = the extremum over k < n of x[k * stride + i], i < width <= MG_TILE; four rows at a time. */          \
    static void NAME(name##_values)(const REAL *x, int64_t n, int64_t stride, int64_t width, REAL *out) {            \
        REAL best[MG_TILE], sum[MG_TILE];                                                                            \
        int64_t k = 0;                                                                                               \
        for (int64_t i = 0; i < width; i++) best[i] = x[i], sum[i] = 0;                                              \
        for (; k + 4 <= n; k += 4) {                                                                                 \
            const REAL *row = x + k * stride;                                                                        \
            _Pragma("omp simd") for (int64_t i = 0; i < width; i++) {                                                \
                const REAL a = row[i], b = row[i + stride], c = row[i + 2 * stride], d = row[i + 3 * stride];        \
                const REAL p = a BEATS b ? a : b, q = c BEATS d ? c : d, r = p BEATS q ? p : q;                      \
                best[i] = r BEATS best[i] ? r : best[i];                                                             \
                sum[i] += (a + b) + (c + d);                                                                         \
            }                                                                                                        \
        }                                                                                                            \
        for (; k < n; k++)                                                                                           \
            _Pragma("omp simd") for (int64_t i = 0; i < width; i++) {                                                \
                const REAL a = x[k * stride + i];                                                                    \
                best[i] = a BEATS best[i] ? a : best[i];                                                             \
                sum[i] += a;                                                                                         \
            }                                                                                                        \
        for (int64_t i = 0; i < width; i++)                                                                          \
            out[i] = sum[i] == sum[i] ? best[i] : NAME(name##_exact)(x + i, n, stride);                              \
    }                                                                                                                \
    static void NAME(name##_tile)(const REAL *x, int64_t n, int64_t stride, int64_t width, REAL *out,                \
                                  int64_t *indices) {                                                                \
        REAL best[MG_TILE];                                                                                          \
        MG_INT at[MG_TILE];                                                                                          \
        for (int64_t i = 0; i < width; i++) best[i] = x[i], at[i] = 0;                                               \
        for (int64_t k = 1; k < n; k++) {                                                                            \
            const REAL *row = x + k * stride;                                                                        \
            const MG_INT now = (MG_INT)k;                                                                            \
            _Pragma("omp simd") for (int64_t i = 0; i < width; i++) {                                                \
                const REAL a = row[i], b = best[i];                                                                  \
                const int wins = (a BEATS b) | ((a != a) & (b == b));                                                \
                best[i] = wins ? a : b;                                                                              \
                at[i] = wins ? now : at[i];                                                                          \
            }                                                                                                        \
        }                                                                                                            \
        for (int64_t i = 0; i < width; i++) out[i] = best[i];                                                        \
        for (int64_t i = 0; i < width; i++) indices[i] = at[i];                                                      \
    }                                                                                                                \
    static void NAME(name)(const REAL *x, REAL *out, int64_t *indices, int64_t outer, int64_t n, int64_t inner,      \
                           int threads) {                                                                            \
        if (inner > 1) {                                                                                             \
            const int64_t tiles = (inner + MG_TILE - 1) / MG_TILE;                                                   \
            _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")                       \
            for (int64_t task = 0; task < outer * tiles; task++) {                                                   \
                const int64_t o = task / tiles, at = task % tiles * MG_TILE;                                         \
                const int64_t width = inner - at < MG_TILE ? inner - at : MG_TILE, to = o * inner + at;              \
                const REAL *from = x + o * n * inner + at;                                                           \
                if (indices) NAME(name##_tile)(from, n, inner, width, out + to, indices + to);                       \
                else NAME(name##_values)(from, n, inner, width, out + to);                                           \
            }                                                                                                        \
            return;                                                                                                  \
        }                                                                                                            \
        if (outer >= MG_FEW_TASKS || n <= MG_CHUNK) {                                                                \
            _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")                       \
            for (int64_t o = 0; o < outer; o++) {                                                                    \
                out[o] = NAME(name##_run)(x + o * n, n);                                                             \
                if (indices) indices[o] = NAME(find)(x + o * n, n, out[o]);                                          \
            }                                                                                                        \
            return;                                                                                                  \
        }                                                                                                            \
        const int64_t chunk = NAME(reduce_chunk)(n, 1, MG_ROW_CHUNKS), chunks = (n + chunk - 1) / chunk;             \
        REAL partial[MG_FEW_TASKS * MG_ROW_CHUNKS];                                                                  \
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")                           \
        for (int64_t task = 0; task < outer * chunks; task++) {                                                      \
            const int64_t start = task % chunks * chunk;                                                             \
            partial[task] = NAME(name##_run)(x + task / chunks * n + start, n - start < chunk ? n - start : chunk);  \
        }                                                                                                            \
        for (int64_t o = 0; o < outer; o++) {                                                                        \
            out[o] = NAME(name##_run)(partial + o * chunks, chunks);                                                 \
            if (!indices) continue;                                                                                  \
            const int64_t start = NAME(find)(partial + o * chunks, chunks, out[o]) * chunk;                          \
            indices[o] = start + NAME(find)(x + o * n + start, n - start, out[o]);                                   \
        }                                                                                                            \
    }

/* The first place of the value in x, of a NaN if the value is NaN. It must be there. */
static int64_t NAME(find)(const REAL *x, int64_t n, REAL value) {
    int64_t start = 0;
    if (value == value)
        for (; start + 256 <= n; start += 256) {
            MG_INT place = 256;
            _Pragma("omp simd reduction(min : place)")
            for (MG_INT i = 0; i < 256; i++) {
                const MG_INT here = x[start + i] == value ? i : 256;
                place = here < place ? here : place;
            }
            if (place < 256) return start + place;
        }
    for (; start < n; start++)
        if (x[start] == value || (value != value && x[start] != x[start])) return start;
    return 0;
}

MG_EXTREMUM(reduce_max, >, "omp simd reduction(max : first, second) reduction(+ : sum)")
MG_EXTREMUM(reduce_min, <, "omp simd reduction(min : first, second) reduction(+ : sum)")

#undef MG_FOLD
#undef MG_EXTREMUM
#undef MG_TILE
#undef MG_BLOCK
