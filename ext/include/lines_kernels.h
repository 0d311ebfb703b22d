/* Lines of elements that are all one value, or that come in reverse. Compiled through multiversion.h; a REAL is any word of its size,
   which it only moves. */

static void NAME(fill_line)(REAL *to, REAL value, int64_t n) {
    #pragma omp simd
    for (int64_t i = 0; i < n; i++) to[i] = value;
}

static void NAME(reverse_line)(REAL *restrict to, const REAL *restrict from, int64_t n) {
    #pragma omp simd
    for (int64_t i = 0; i < n; i++) to[i] = from[n - 1 - i];
}
