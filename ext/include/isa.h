/* Which instruction set the kernels use: the best one this machine has. See multiversion.h. */
#ifndef MINIGRAD_ISA_H
#define MINIGRAD_ISA_H

#include <stdint.h>
#include <stdlib.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MG_X86_GCC 1
#include <immintrin.h> /* here, outside any #pragma GCC target: its functions keep their own targets */
#else
#define MG_X86_GCC 0
#endif

#define MG_INLINE static inline __attribute__((always_inline))

static int mg_isa_level_cached = 0;

/* 2, 3 or 4. The environment variable MINIGRAD_ISA=v2|v3|v4 lowers it, never raises it above what the machine has. */
static int mg_isa_level_find(void) {
    int level = 2;
#if MG_X86_GCC
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) level = 4;
    else if (__builtin_cpu_supports("x86-64-v3")) level = 3;
    const char *wanted = getenv("MINIGRAD_ISA");
    if (wanted && wanted[0] == 'v' && wanted[1] >= '2' && wanted[1] <= '4' && wanted[2] == 0 && wanted[1] - '0' < level)
        level = wanted[1] - '0';
#endif
    return mg_isa_level_cached = level;
}

static inline int mg_isa_level(void) { return mg_isa_level_cached ? mg_isa_level_cached : mg_isa_level_find(); }

#if MG_X86_GCC
#define MG_PICK(f, t) (mg_isa_level() == 4 ? f##_##t##_v4 : mg_isa_level() == 3 ? f##_##t##_v3 : f##_##t##_v2)
#else
#define MG_PICK(f, t) f##_##t##_v2
#endif

/* The function f for the real type that the pointer x points to, for this machine. */
#define MG_CALL(f, x)                                                                                      \
    _Generic((x), float *: MG_PICK(f, f32), const float *: MG_PICK(f, f32), double *: MG_PICK(f, f64), \
             const double *: MG_PICK(f, f64))

#endif
