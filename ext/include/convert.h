/* Contiguous elements as another type, in threads: the conversions that are exact, rounded to nearest or a comparison with 0. Floats to
   integers stay with numpy: what becomes of those out of range is not C's to say. */
#ifndef MINIGRAD_CONVERT_H
#define MINIGRAD_CONVERT_H

#include <numpy/ndarraytypes.h>
#include <stdint.h>

typedef void (*mg_conversion)(const void *from, void *to, int64_t n, int threads);

#define MG_CONVERSIONS(CONVERT)                                  \
    CONVERT(NPY_FLOAT64, double, NPY_FLOAT32, float, (float)x)   \
    CONVERT(NPY_FLOAT32, float, NPY_FLOAT64, double, x)          \
    CONVERT(NPY_INT64, int64_t, NPY_FLOAT32, float, (float)x)    \
    CONVERT(NPY_INT64, int64_t, NPY_FLOAT64, double, (double)x)  \
    CONVERT(NPY_INT64, int64_t, NPY_INT32, int32_t, (int32_t)x)  \
    CONVERT(NPY_INT32, int32_t, NPY_INT64, int64_t, x)           \
    CONVERT(NPY_INT32, int32_t, NPY_FLOAT32, float, (float)x)    \
    CONVERT(NPY_UINT8, uint8_t, NPY_FLOAT32, float, x)           \
    CONVERT(NPY_UINT8, uint8_t, NPY_INT64, int64_t, x)           \
    CONVERT(NPY_BOOL, uint8_t, NPY_FLOAT32, float, x)            \
    CONVERT(NPY_BOOL, uint8_t, NPY_INT64, int64_t, x)            \
    CONVERT(NPY_FLOAT32, float, NPY_BOOL, uint8_t, x != 0)       \
    CONVERT(NPY_INT64, int64_t, NPY_BOOL, uint8_t, x != 0)       \
    CONVERT(NPY_UINT8, uint8_t, NPY_BOOL, uint8_t, x != 0)

#define MG_CONVERT(source, FROM, target, TO, expression)                                             \
    static void mg_convert_##source##_##target(const void *from, void *to, int64_t n, int threads) { \
        const FROM *xs = from;                                                                       \
        TO *out = to;                                                                                \
        _Pragma("omp parallel for simd num_threads(threads) if (parallel : threads > 1) schedule(static)")\
        for (int64_t i = 0; i < n; i++) { const FROM x = xs[i]; out[i] = expression; }               \
    }
#define MG_FIND(source, FROM, target, TO, expression) \
    if (from == source && to == target) return mg_convert_##source##_##target;

MG_CONVERSIONS(MG_CONVERT)

/* The conversion of one numpy type number into another, NULL if there is none here. */
static mg_conversion mg_find_conversion(int from, int to) {
    MG_CONVERSIONS(MG_FIND)
    return NULL;
}

#undef MG_CONVERSIONS
#undef MG_CONVERT
#undef MG_FIND
#endif
