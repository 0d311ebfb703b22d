/* The inner loops of index_rows.h. Compiled through multiversion.h: see there for REAL and NAME. */

#if !REAL_IS_FLOAT
/* Whether all of n indices are in [0, size). */
static int NAME(are_inside)(const int64_t *at, int64_t n, int64_t size) {
    uint64_t outside = 0;
    _Pragma("omp simd reduction(| : outside)")
    for (int64_t i = 0; i < n; i++) outside |= (uint64_t)at[i] | (uint64_t)(size - 1 - at[i]);
    return !(outside >> 63);
}
#endif

static void NAME(add_row)(REAL *restrict to, const REAL *restrict from, int64_t n) {
    _Pragma("omp simd") for (int64_t i = 0; i < n; i++) to[i] += from[i];
}
