/* Matrix products. Compiled through multiversion.h: see there for REAL, NAME and VECTOR.

   Another family may use gemm_block inside its own parallel region: its foo_kernels.h starts with #include "gemm_kernels.h"
   (no include guard: it is compiled once for every instruction set and type, and one translation unit holds one such family).

   NAME(gemm_block)(M, N, K, A, a_row, a_col, B, b_row, b_col, C, c_row, accumulate, scratch):
       C = A @ B, or C += A @ B where accumulate is not 0;   (M, K) @ (K, N) -> (M, N)
       strides are in elements; A and B may have any (transposed, 0, negative), C has columns side by side (column stride 1).
       C must not overlap A or B. K == 0 gives zeros (or leaves C as it is).
       scratch: GEMM_SCRATCH REALs that belong to the calling thread (no alignment needed, contents are neither read before
       they are written nor of use afterwards).
       It runs on the calling thread and takes the sum over K for each element of C in an order that depends on M, N, K and the
       strides alone.
   NAME(gemm_block_add)(..., C, c_row, E, e_row, e_col, scratch): C = A @ B + E, where row i of E starts at E + i * e_row (a
       row stride of 0 is a bias for the columns); E may be C itself, or NULL for none. e_col is 1, or 0 for rows of 2 * LANES
       elements that all columns repeat (a bias for the rows; M above 1, and B's columns side by side).

   The method is that of Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008), in the form of BLIS:
   a tile of C lives in registers (GEMM_ROWS rows x 2 vectors) while a panel of A (rows interleaved, in L1/L2) and a panel of B
   (2 vectors wide, in L1) go by. Two liberties: an operand that already lies as the tile wants it is used where it is when it is
   small or read only a few times; and where K is the contiguous axis of both operands and there are few rows, the sums run
   along K in vectors (gemm_dot), without packing.

   Every element of C is summed over blocks of K (at most GEMM_K long, cut by K alone), within a block in sequence by fused
   multiply-adds. So in the packed path the bits depend neither on how C is cut nor on what was packed. */

#ifndef GEMM_SCRATCH
#define GEMM_SCRATCH 204800 /* REALs that gemm_block needs as scratch: 800 KB of float, 1.6 MB of double */
#define GEMM_K 256          /* one panel of B, GEMM_K x 2 vectors, fills two thirds of a 48 KB L1 cache, all of a 32 KB one */
#define GEMM_M 168          /* rows of A packed at a time: 168 KB of float, 336 KB of double, in L2 */
#define GEMM_N 512          /* columns of B packed at a time */
/* where K is contiguous in both operands, sums along K beat packing up to 8 rows, and up to 32 where K is long; not where it is as
   short as 8: a batch of 512 products of 8x8 by 8x8 takes 44 us packed, 76 by sums along K */
#define GEMM_DOT_ROWS 32
#define GEMM_DOT_WINS(M, K) ((M) <= 8 ? (K) > 8 || (M) == 1 : (M) <= GEMM_DOT_ROWS && (K) >= 192)
#define GEMM_TINY 32 /* multiplications */
/* Two-operand shuffle with constant lanes: clang and GCC >= 12 spell it one way, older GCC another. */
#if defined(__clang__) || __GNUC__ >= 12
#define GEMM_SHUFFLE(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define GEMM_SHUFFLE(x, y, ...) __builtin_shuffle(x, y, (IVECTOR){__VA_ARGS__})
#endif
#endif

/* Register tiles: v4 has 32 vector registers (28 sums, 2 of B, 1 of A), the others 16. */
#if ISA_LEVEL == 4
#define GEMM_ROWS 14
#else
#define GEMM_ROWS 6
#endif

/* The first n lanes of p, the others 0; 1 <= n <= LANES. */
MG_INLINE VECTOR NAME(gemm_load)(const REAL *p, int64_t n) {
#if ISA_LEVEL == 4 && REAL_IS_FLOAT
    return (VECTOR)_mm512_maskz_loadu_ps((__mmask16)(0xffffu >> (16 - n)), p);
#elif ISA_LEVEL == 4
    return (VECTOR)_mm512_maskz_loadu_pd((__mmask8)(0xffu >> (8 - n)), p);
#elif ISA_LEVEL == 3 && REAL_IS_FLOAT /* no branch: GCC fuses a multiplication and an addition only within a basic block */
    return (VECTOR)_mm256_maskload_ps(p, (__m256i)((IVECTOR){0, 1, 2, 3, 4, 5, 6, 7} < (MG_INT)n));
#elif ISA_LEVEL == 3
    return (VECTOR)_mm256_maskload_pd(p, (__m256i)((IVECTOR){0, 1, 2, 3} < (MG_INT)n));
#else
    if (n == LANES) return *(const VECTOR *)p;
    VECTOR x = {0};
    for (int64_t i = 0; i < n; i++) x[i] = p[i];
    return x;
#endif
}

/* p[:n] = x[:n]; 1 <= n <= LANES. */
MG_INLINE void NAME(gemm_store)(REAL *p, VECTOR x, int64_t n) {
#if ISA_LEVEL == 4 && REAL_IS_FLOAT
    _mm512_mask_storeu_ps(p, (__mmask16)(0xffffu >> (16 - n)), (__m512)x);
#elif ISA_LEVEL == 4
    _mm512_mask_storeu_pd(p, (__mmask8)(0xffu >> (8 - n)), (__m512d)x);
#else
    if (n == LANES) *(VECTOR *)p = x;
    else
        for (int64_t i = 0; i < n; i++) p[i] = x[i];
#endif
}

/* ---- transposing LANES x LANES in registers, as Eklundh (1972): swap the off-diagonal blocks of size s = 1, 2, 4, ... ---- */

#define GEMM_LOW(s, l) ((l) & (s) ? LANES + (l) - (s) : (l))
#define GEMM_HIGH(s, l) ((l) & (s) ? LANES + (l) : (l) + (s))
#if LANES == 16
#define GEMM_EACH(f, s)                                                                                        \
    f(s, 0), f(s, 1), f(s, 2), f(s, 3), f(s, 4), f(s, 5), f(s, 6), f(s, 7), f(s, 8), f(s, 9), f(s, 10), f(s, 11), \
        f(s, 12), f(s, 13), f(s, 14), f(s, 15)
#elif LANES == 8
#define GEMM_EACH(f, s) f(s, 0), f(s, 1), f(s, 2), f(s, 3), f(s, 4), f(s, 5), f(s, 6), f(s, 7)
#elif LANES == 4
#define GEMM_EACH(f, s) f(s, 0), f(s, 1), f(s, 2), f(s, 3)
#else
#define GEMM_EACH(f, s) f(s, 0), f(s, 1)
#endif
#define GEMM_SWAP(s)                                                                        \
    _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) if (!(i & (s))) {              \
        const VECTOR low = GEMM_SHUFFLE(r[i], r[i + (s)], GEMM_EACH(GEMM_LOW, s));          \
        r[i + (s)] = GEMM_SHUFFLE(r[i], r[i + (s)], GEMM_EACH(GEMM_HIGH, s));               \
        r[i] = low;                                                                         \
    }

MG_INLINE void NAME(gemm_transpose)(VECTOR r[LANES]) {
    GEMM_SWAP(1)
#if LANES >= 4
    GEMM_SWAP(2)
#endif
#if LANES >= 8
    GEMM_SWAP(4)
#endif
#if LANES >= 16
    GEMM_SWAP(8)
#endif
}

/* The sum of the lanes, by halves. */
MG_INLINE REAL NAME(gemm_sum)(VECTOR x) {
#if LANES >= 16
    x += GEMM_SHUFFLE(x, x, GEMM_EACH(GEMM_HIGH, 8));
#endif
#if LANES >= 8
    x += GEMM_SHUFFLE(x, x, GEMM_EACH(GEMM_HIGH, 4));
#endif
#if LANES >= 4
    x += GEMM_SHUFFLE(x, x, GEMM_EACH(GEMM_HIGH, 2));
#endif
    return x[0] + x[1];
}

/* ---- packing ---- */

/* to[k * step + i] = from[i * row + k * col] for i < n and k < K. What lies beyond n in a row of `to`, up to a multiple of LANES,
   is overwritten: by the next row where step is not such a multiple, so `to` needs LANES spare elements at its end. */
static void NAME(gemm_pack)(int64_t n, int64_t K, const REAL *from, int64_t row, int64_t col, REAL *to, int64_t step) {
    if (row == 1) {
        for (int64_t k = 0; k < K; k++) {
            int64_t i = 0;
            for (; i + LANES <= n; i += LANES) *(VECTOR *)(to + k * step + i) = *(const VECTOR *)(from + k * col + i);
            if (i < n) *(VECTOR *)(to + k * step + i) = NAME(gemm_load)(from + k * col + i, n - i);
        }
    } else if (col == 1) {
        for (int64_t k = 0; k < K; k += LANES) {
            const int64_t here = K - k < LANES ? K - k : LANES;
            /* the last group first: it spills over into the next row, which the first group then overwrites */
            for (int64_t i = (n - 1) / LANES * LANES; i >= 0; i -= LANES) {
                VECTOR r[LANES];
                const REAL *x = from + i * row + k;
                const int64_t rows = n - i < LANES ? n - i : LANES;
                if (here == LANES && rows == LANES) {
                    _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++) r[l] = *(const VECTOR *)(x + l * row);
                    NAME(gemm_transpose)(r);
                    _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++) *(VECTOR *)(to + (k + l) * step + i) = r[l];
                } else {
                    _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++)
                        r[l] = NAME(gemm_load)(x + (l < rows ? l : rows - 1) * row, here);
                    NAME(gemm_transpose)(r);
                    _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++)
                        if (l < here) *(VECTOR *)(to + (k + l) * step + i) = r[l];
                }
            }
        }
    } else {
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = 0; i < n; i++) to[k * step + i] = from[i * row + k * col];
    }
}

/* ---- the register tile ---- */

/* c[i, :] = sum over k of a[i, k] * b[k, :], plus e[i, :] where e is not NULL, for the rows first <= i < R. The tile is V vectors
   wide, `width` lanes of the last one count. a: unit_row ? a[i + k * a_step] : a[i * a_step + k]. */
MG_INLINE void NAME(gemm_tile)(const int R, const int V, const int unit_row, int64_t K, const REAL *a, int64_t a_step,
                               const REAL *b, int64_t b_row, REAL *c, int64_t c_row, const REAL *e, int64_t e_row,
                               int64_t width, int64_t first) {
    VECTOR sum[GEMM_ROWS][2];
    _Pragma("GCC unroll 16") for (int i = 0; i < R; i++)
        _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) sum[i][v] = (VECTOR){0};
    _Pragma("GCC unroll 16") for (int i = 0; i < R; i++) { /* C arrives from memory while the sums are taken */
        __builtin_prefetch(c + i * c_row, 1);
        if (V == 2) __builtin_prefetch(c + i * c_row + LANES + width - 1, 1);
    }
    for (int64_t k = 0; k < K; k++) {
        VECTOR y[2];
#if ISA_LEVEL == 4
        y[0] = V == 1 ? NAME(gemm_load)(b, width) : *(const VECTOR *)b;
        if (V == 2) y[1] = NAME(gemm_load)(b + LANES, width);
#else /* b is a packed panel or `width` is LANES: see pack_b */
        _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) y[v] = *(const VECTOR *)(b + v * LANES);
#endif
        _Pragma("GCC unroll 16") for (int i = 0; i < R; i++) {
            const REAL x = unit_row ? a[i] : a[i * a_step];
            _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) sum[i][v] += x * y[v];
        }
        a += unit_row ? a_step : 1;
        b += b_row;
    }
    _Pragma("GCC unroll 16") for (int i = 0; i < R; i++) {
        if (i < first) continue;
        if (V == 2) {
            if (e) sum[i][0] += *(const VECTOR *)(e + i * e_row);
            *(VECTOR *)(c + i * c_row) = sum[i][0];
        }
        if (e) sum[i][V - 1] += NAME(gemm_load)(e + i * e_row + (V - 1) * LANES, width);
        NAME(gemm_store)(c + i * c_row + (V - 1) * LANES, sum[i][V - 1], width);
    }
}

typedef void (*NAME(gemm_tile_pointer))(int64_t, const REAL *, int64_t, const REAL *, int64_t, REAL *, int64_t, const REAL *,
                                        int64_t, int64_t, int64_t);

#define GEMM_TILE(R, V, U)                                                                                                \
    static void NAME(gemm_tile_##R##_##V##_##U)(int64_t K, const REAL *a, int64_t a_step, const REAL *b, int64_t b_row,   \
                                                REAL *c, int64_t c_row, const REAL *e, int64_t e_row, int64_t width,      \
                                                int64_t first) {                                                          \
        NAME(gemm_tile)(R, V, U, K, a, a_step, b, b_row, c, c_row, e, e_row, width, first);                               \
    }
#define GEMM_TILES(R) GEMM_TILE(R, 1, 0) GEMM_TILE(R, 1, 1) GEMM_TILE(R, 2, 0) GEMM_TILE(R, 2, 1)
#define GEMM_NAMES(R)                                                                                          \
    {{NAME(gemm_tile_##R##_1_0), NAME(gemm_tile_##R##_1_1)}, {NAME(gemm_tile_##R##_2_0), NAME(gemm_tile_##R##_2_1)}}
#define GEMM_NONE {{0, 0}, {0, 0}}

GEMM_TILES(1) GEMM_TILES(2) GEMM_TILES(3) GEMM_TILES(4) GEMM_TILES(5) GEMM_TILES(6)
#if ISA_LEVEL == 4
GEMM_TILES(7) GEMM_TILES(8) GEMM_TILES(9) GEMM_TILES(10) GEMM_TILES(11) GEMM_TILES(12) GEMM_TILES(13) GEMM_TILES(14)
#endif

/* [rows][vectors - 1][unit_row] */
static const NAME(gemm_tile_pointer) NAME(gemm_tiles)[GEMM_ROWS + 1][2][2] = {
    GEMM_NONE, GEMM_NAMES(1), GEMM_NAMES(2), GEMM_NAMES(3), GEMM_NAMES(4), GEMM_NAMES(5), GEMM_NAMES(6),
#if ISA_LEVEL == 4
    GEMM_NAMES(7), GEMM_NAMES(8), GEMM_NAMES(9), GEMM_NAMES(10), GEMM_NAMES(11), GEMM_NAMES(12), GEMM_NAMES(13), GEMM_NAMES(14),
#endif
};

/* How many rows a tile has, so that M rows take the fewest tiles of nearly equal height. The last tile may overlap the one
   before it: it computes the rows they share again and stores only its own. */
MG_INLINE int64_t NAME(gemm_height)(int64_t M) {
    const int64_t tiles = (M + GEMM_ROWS - 1) / GEMM_ROWS;
    return (M + tiles - 1) / tiles;
}

/* ---- few rows, K contiguous in both operands: sums along K ---- */

#if ISA_LEVEL == 4
#define GEMM_DOT_COLUMNS 4
#else
#define GEMM_DOT_COLUMNS 2
#endif

MG_INLINE void NAME(gemm_dot_tile)(const int R, int64_t columns, int64_t K, const REAL *A, int64_t a_row, const REAL *B,
                                   int64_t b_col, REAL *C, int64_t c_row, int64_t c_col, const REAL *E, int64_t e_row,
                                   int64_t e_col) {
    VECTOR sum[4][GEMM_DOT_COLUMNS];
    const REAL *y[GEMM_DOT_COLUMNS];
    _Pragma("GCC unroll 4") for (int j = 0; j < GEMM_DOT_COLUMNS; j++) y[j] = B + (j < columns ? j : columns - 1) * b_col;
    _Pragma("GCC unroll 4") for (int i = 0; i < R; i++)
        _Pragma("GCC unroll 4") for (int j = 0; j < GEMM_DOT_COLUMNS; j++) sum[i][j] = (VECTOR){0};
    int64_t k = 0;
    for (; k + LANES <= K; k += LANES) {
        VECTOR x[4];
        _Pragma("GCC unroll 4") for (int i = 0; i < R; i++) x[i] = *(const VECTOR *)(A + i * a_row + k);
        _Pragma("GCC unroll 4") for (int j = 0; j < GEMM_DOT_COLUMNS; j++) {
            const VECTOR z = *(const VECTOR *)(y[j] + k);
            _Pragma("GCC unroll 4") for (int i = 0; i < R; i++) sum[i][j] += x[i] * z;
        }
    }
    if (k < K) {
        VECTOR x[4];
        _Pragma("GCC unroll 4") for (int i = 0; i < R; i++) x[i] = NAME(gemm_load)(A + i * a_row + k, K - k);
        _Pragma("GCC unroll 4") for (int j = 0; j < GEMM_DOT_COLUMNS; j++) {
            const VECTOR z = NAME(gemm_load)(y[j] + k, K - k);
            _Pragma("GCC unroll 4") for (int i = 0; i < R; i++) sum[i][j] += x[i] * z;
        }
    }
    _Pragma("GCC unroll 4") for (int i = 0; i < R; i++)
        _Pragma("GCC unroll 4") for (int j = 0; j < GEMM_DOT_COLUMNS; j++) if (j < columns) {
            const REAL total = NAME(gemm_sum)(sum[i][j]);
            C[i * c_row + j * c_col] = E ? total + E[i * e_row + j * e_col] : total;
        }
}

/* The sum of a[k] * b[k]: in eight vectors over blocks of fixed size, whose sums are added in order. */
static REAL NAME(gemm_inner)(int64_t K, const REAL *a, const REAL *b) {
    const int64_t block = 512 * LANES;
    VECTOR total = {0};
    for (int64_t first = 0; first < K; first += block) {
        const int64_t end = K - first < block ? K : first + block;
        VECTOR sum[8];
        int64_t k = first;
        _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) sum[i] = (VECTOR){0};
        for (; k + 8 * LANES <= end; k += 8 * LANES)
            _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++)
                sum[i] += *(const VECTOR *)(a + k + i * LANES) * *(const VECTOR *)(b + k + i * LANES);
        for (; k < end; k += LANES) {
            const int64_t n = end - k < LANES ? end - k : LANES;
            sum[0] += NAME(gemm_load)(a + k, n) * NAME(gemm_load)(b + k, n);
        }
        total += ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
    }
    return NAME(gemm_sum)(total);
}

/* C = A @ B + E with A[i * a_row + k] and B[k + j * b_col]. */
static void NAME(gemm_dot)(int64_t M, int64_t N, int64_t K, const REAL *A, int64_t a_row, const REAL *B, int64_t b_col, REAL *C,
                           int64_t c_row, int64_t c_col, const REAL *E, int64_t e_row, int64_t e_col) {
#define GEMM_DOT(R) \
    case R: NAME(gemm_dot_tile)(R, columns, K, a, a_row, b, b_col, c, c_row, c_col, e, e_row, e_col); break;
    for (int64_t j = 0; j < N; j += GEMM_DOT_COLUMNS)
        for (int64_t i = 0; i < M; i += 4) {
            const int64_t columns = N - j < GEMM_DOT_COLUMNS ? N - j : GEMM_DOT_COLUMNS;
            const REAL *a = A + i * a_row, *b = B + j * b_col, *e = E ? E + i * e_row + j * e_col : 0;
            REAL *c = C + i * c_row + j * c_col;
            switch (M - i < 4 ? M - i : 4) { GEMM_DOT(1) GEMM_DOT(2) GEMM_DOT(3) GEMM_DOT(4) }
        }
#undef GEMM_DOT
}

/* ---- one row: C = a @ B + E with B[k * b_row + j], by adding scaled rows of B to E, eight at a time ---- */

static void NAME(gemm_row)(int64_t N, int64_t K, const REAL *A, int64_t a_col, const REAL *B, int64_t b_row, REAL *C,
                           const REAL *E) {
    const int64_t chunk = 2048; /* of C, stays in L1 */
    for (int64_t first = 0; first < N; first += chunk) {
        const int64_t n = N - first < chunk ? N - first : chunk;
        REAL *c = C + first;
        if (!E) memset(c, 0, n * sizeof(REAL)); /* not `E ? E[j] : 0`: that becomes a masked load from NULL, which traps inside */
        else if (E != C) memcpy(c, E + first, n * sizeof(REAL));
        int64_t k = 0;
        for (; k + 8 <= K; k += 8) {
            const REAL *b = B + k * b_row + first;
            REAL x[8];
            for (int i = 0; i < 8; i++) x[i] = A[(k + i) * a_col];
            int64_t j = 0;
            for (; j + LANES <= n; j += LANES) {
                VECTOR sum = *(VECTOR *)(c + j);
                _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) sum += x[i] * *(const VECTOR *)(b + i * b_row + j);
                *(VECTOR *)(c + j) = sum;
            }
            if (j < n) {
                VECTOR sum = NAME(gemm_load)(c + j, n - j);
                _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) sum += x[i] * NAME(gemm_load)(b + i * b_row + j, n - j);
                NAME(gemm_store)(c + j, sum, n - j);
            }
        }
        for (; k < K; k++) {
            const REAL x = A[k * a_col], *b = B + k * b_row + first;
            for (int64_t j = 0; j < n; j++) c[j] += x * b[j];
        }
    }
}

/* ---- K of 1: C = a b' + E, row by row, as memory lies ---- */

static void NAME(gemm_outer)(int64_t M, int64_t N, const REAL *A, int64_t a_row, const REAL *B, int64_t b_col, REAL *C,
                             int64_t c_row, const REAL *E, int64_t e_row, REAL *scratch) {
    for (int64_t first = 0; first < N; first += GEMM_SCRATCH) {
        const int64_t n = N - first < GEMM_SCRATCH ? N - first : GEMM_SCRATCH;
        const REAL *b = B + first * b_col;
        if (b_col != 1) {
            for (int64_t j = 0; j < n; j++) scratch[j] = b[j * b_col];
            b = scratch;
        }
        for (int64_t i = 0; i < M; i++) {
            const REAL x = A[i * a_row];
            REAL *const c = C + i * c_row + first;
            if (E) {
                const REAL *const e = E + i * e_row + first;
                _Pragma("omp simd") for (int64_t j = 0; j < n; j++) c[j] = x * b[j] + e[j]; /* e may be c */
            } else {
                _Pragma("omp simd") for (int64_t j = 0; j < n; j++) c[j] = x * b[j];
            }
        }
    }
}

/* ---- a few multiplications: C = A @ B + E by definition; packing 4x4 takes longer than its product ---- */

static void NAME(gemm_tiny)(int64_t M, int64_t N, int64_t K, const REAL *A, int64_t a_row, int64_t a_col, const REAL *B,
                            int64_t b_row, int64_t b_col, REAL *C, int64_t c_row, const REAL *E, int64_t e_row, int64_t e_col) {
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++) {
            REAL sum = 0;
            for (int64_t k = 0; k < K; k++) sum += A[i * a_row + k * a_col] * B[k * b_row + j * b_col];
            C[i * c_row + j] = E ? sum + E[i * e_row + j * e_col] : sum;
        }
}

/* ---- the whole product ---- */

static void NAME(gemm_block_add)(int64_t M, int64_t N, int64_t K, const REAL *A, int64_t a_row, int64_t a_col, const REAL *B,
                                 int64_t b_row, int64_t b_col, REAL *C, int64_t c_row, const REAL *E, int64_t e_row,
                                 int64_t e_col, REAL *scratch) {
    if (M <= 0 || N <= 0) return;
    if (M == 1 && N == 1 && a_col == 1 && b_row == 1) {
        const REAL sum = NAME(gemm_inner)(K, A, B);
        *C = E ? sum + *E : sum;
        return;
    }
    if (M * N * K <= GEMM_TINY) {
        NAME(gemm_tiny)(M, N, K, A, a_row, a_col, B, b_row, b_col, C, c_row, E, e_row, e_col);
        return;
    }
    if (K == 1 && N > 1 && e_col == 1) {
        NAME(gemm_outer)(M, N, A, a_row, B, b_col, C, c_row, E, e_row, scratch);
        return;
    }
    if (M == 1 && b_col == 1) {
        NAME(gemm_row)(N, K, A, a_col, B, b_row, C, E);
        return;
    }
    if (N == 1 && K <= GEMM_SCRATCH) { /* matrix @ vector: the transposed product has one row */
        if (a_row == 1 && c_row == 1 && (!E || e_row == 1)) {
            NAME(gemm_row)(M, K, B, b_row, A, a_col, C, E);
            return;
        }
        if (a_col == 1) {
            if (b_row != 1) NAME(gemm_pack)(1, K, B, 0, b_row, scratch, 1);
            NAME(gemm_dot)(1, M, K, b_row == 1 ? B : scratch, 0, A, a_row, C, 0, c_row, E, 0, e_row);
            return;
        }
    }
    if (N == 1) b_col = 1;
    if (K == 1) a_col = b_row = 1;
    if (a_col == 1 && b_row == 1 && b_col != 1 && GEMM_DOT_WINS(M, K)) {
        NAME(gemm_dot)(M, N, K, A, a_row, B, b_col, C, c_row, 1, E, e_row, 1);
        return;
    }
    const int64_t height = NAME(gemm_height)(M), wide = 2 * LANES;
    const int64_t k_blocks = K > GEMM_K ? (K + GEMM_K - 1) / GEMM_K : 1, k_size = (K + k_blocks - 1) / k_blocks;
    const int64_t m_size = GEMM_M / height * height;
    const int64_t n_blocks = (N + GEMM_N - 1) / GEMM_N, n_size = ((N + n_blocks - 1) / n_blocks + wide - 1) / wide * wide;
    const int64_t bytes = (int64_t)sizeof(REAL);
    /* B as it lies will do if its rows are contiguous and it is small, or read only a few times */
    int pack_b = b_col != 1 || (M > 5 * GEMM_ROWS && K * N * bytes > 16384);
#if ISA_LEVEL < 4
    pack_b = pack_b || N % LANES != 0; /* no cheap partial loads */
#endif
    const int pack_a = (a_row != 1 && a_col != 1) || (N > 4 * wide && K > 16);
    const int unit_row = pack_a || a_row == 1;
    REAL *const a_panels = scratch, *const b_panels = scratch + (GEMM_M + GEMM_ROWS) * GEMM_K + LANES;

    for (int64_t n0 = 0; n0 < N; n0 += n_size) {
        const int64_t n_here = N - n0 < n_size ? N - n0 : n_size;
        int64_t k0 = 0;
        do {
            const int64_t k_here = K - k0 < k_size ? K - k0 : k_size;
            const REAL *const e_block = k0 ? C : E;
            const int64_t e_step = k0 ? c_row : e_row, e_next = k0 ? 1 : e_col;
            if (pack_b)
                for (int64_t j = 0; j < n_here; j += wide)
                    NAME(gemm_pack)(n_here - j < wide ? n_here - j : wide, k_here, B + k0 * b_row + (n0 + j) * b_col, b_col, b_row,
                                    b_panels + j * k_here, wide);
            for (int64_t m0 = 0; m0 < M; m0 += m_size) {
                const int64_t m_end = M - m0 < m_size ? M : m0 + m_size;
                if (pack_a)
                    for (int64_t i = m0; i < m_end; i += height) {
                        const int64_t top = i < M - height ? i : M - height;
                        NAME(gemm_pack)(height, k_here, A + top * a_row + k0 * a_col, a_row, a_col, a_panels + (i - m0) * k_here,
                                        height);
                    }
                for (int64_t j = 0; j < n_here; j += wide) {
                    const int64_t columns = n_here - j < wide ? n_here - j : wide, vectors = columns > LANES ? 2 : 1;
                    const int64_t width = columns - (vectors - 1) * LANES;
                    const REAL *const b = pack_b ? b_panels + j * k_here : B + k0 * b_row + n0 + j;
                    const int64_t b_step = pack_b ? wide : b_row;
                    const NAME(gemm_tile_pointer) tile = NAME(gemm_tiles)[height][vectors - 1][unit_row];
                    for (int64_t i = m0; i < m_end; i += height) {
                        const int64_t top = i < M - height ? i : M - height, at = top * c_row + n0 + j;
                        const REAL *const a = pack_a ? a_panels + (i - m0) * k_here : A + top * a_row + k0 * a_col;
                        tile(k_here, a, pack_a ? height : unit_row ? a_col : a_row, b, b_step, C + at, c_row,
                             e_block ? e_block + top * e_step + (n0 + j) * e_next : 0, e_step, width, i - top);
                    }
                }
            }
            k0 += k_size;
        } while (k0 < K);
    }
}

static void NAME(gemm_block)(int64_t M, int64_t N, int64_t K, const REAL *A, int64_t a_row, int64_t a_col, const REAL *B,
                             int64_t b_row, int64_t b_col, REAL *C, int64_t c_row, int accumulate, REAL *scratch) {
    NAME(gemm_block_add)(M, N, K, A, a_row, a_col, B, b_row, b_col, C, c_row, accumulate ? C : 0, c_row, 1, scratch);
}

#undef GEMM_ROWS
#undef GEMM_LOW
#undef GEMM_HIGH
#undef GEMM_EACH
#undef GEMM_SWAP
#undef GEMM_TILE
#undef GEMM_TILES
#undef GEMM_NAMES
#undef GEMM_NONE
#undef GEMM_DOT_COLUMNS
