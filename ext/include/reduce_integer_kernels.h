/* Folds of integers over the middle axis of a contiguous (outer, n, inner) array. Compiled through multiversion.h: see there for NAME;
   MG_INT is int32_t beside float and int64_t beside double. Their order is free, for sums and products wrap: they are unsigned. */

#if REAL_IS_FLOAT
#define MG_UINT uint32_t
#else
#define MG_UINT uint64_t
#endif
#define MG_INTEGER_TILE 64 /* columns that are folded at a time */

/* out[i] = x[i] OP x[stride + i] OP ... over n > 0 rows of `width` <= MG_INTEGER_TILE elements, `stride` apart. */
#define MG_INTEGER_FOLD(name, NUMBER, STEP, CLAUSE)                                                                     \
    static void NAME(name)(const void *source, void *result, int64_t n, int64_t stride, int64_t width) {                \
        const NUMBER *x = source;                                                                                       \
        NUMBER *out = result, best[MG_INTEGER_TILE];                                                                    \
        if (stride == 1) {                                                                                              \
            NUMBER b = x[0];                                                                                            \
            _Pragma(CLAUSE)                                                                                             \
            for (int64_t k = 1; k < n; k++) { const NUMBER a = x[k]; b = STEP; }                                        \
            out[0] = b;                                                                                                 \
            return;                                                                                                     \
        }                                                                                                               \
        for (int64_t i = 0; i < width; i++) best[i] = x[i];                                                             \
        for (int64_t k = 1; k < n; k++)                                                                                 \
            _Pragma("omp simd") for (int64_t i = 0; i < width; i++) {                                                   \
                const NUMBER a = x[k * stride + i], b = best[i];                                                        \
                best[i] = STEP;                                                                                         \
            }                                                                                                           \
        for (int64_t i = 0; i < width; i++) out[i] = best[i];                                                           \
    }

MG_INTEGER_FOLD(integer_sum, MG_UINT, a + b, "omp simd reduction(+ : b)")
MG_INTEGER_FOLD(integer_prod, MG_UINT, a * b, "omp simd reduction(* : b)")
MG_INTEGER_FOLD(integer_max, MG_INT, a > b ? a : b, "omp simd reduction(max : b)")
MG_INTEGER_FOLD(integer_min, MG_INT, a < b ? a : b, "omp simd reduction(min : b)")

/* at[i] = the first k at which x[k * stride + i] is value[i], which is there. */
static void NAME(integer_find)(const void *source, const void *values, int64_t *at, int64_t n, int64_t stride, int64_t width) {
    const MG_INT *x = source, *value = values;
    if (stride == 1) {
        int64_t k = 0;
        while (x[k] != value[0]) k++;
        at[0] = k;
        return;
    }
    for (int64_t k = n - 1; k >= 0; k--)
        _Pragma("omp simd") for (int64_t i = 0; i < width; i++) at[i] = x[k * stride + i] == value[i] ? k : at[i];
}

#undef MG_UINT
#undef MG_INTEGER_FOLD
