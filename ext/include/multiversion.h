/* Compiles a kernel header once for every (instruction set, real type) pair, and picks the instruction set at run time.

   A kernel family foo lives in foo_kernels.h, written once in terms of

       REAL       float or double
       NAME(f)    f, spelled for this pair: f_f32_v4, f_f64_v3, ...
       LANES      how many REALs fill one vector register of this instruction set
       VECTOR     a vector of LANES REALs (GCC vector extension, may alias, unaligned)
       IVECTOR    integers of REAL's width, as many: what a comparison of VECTORs gives
       ISA_LEVEL  2, 3 or 4: x86-64-v2 / -v3 (AVX2, FMA) / -v4 (AVX-512); 2 is also "any other machine"

   and is compiled by

       #define KERNELS "foo_kernels.h"
       #include "multiversion.h"

   in foo.h, which then gives each entry point one name for all pairs:

       #define foo(x, ...) MG_CALL(foo, x)(x, __VA_ARGS__)      // x: any pointer to REAL; its type picks f32 or f64

   There is no include guard: one translation unit may compile several families. -march=native is never used, so a binary
   built here runs on any x86-64. */

#include "isa.h"

#define MG_PASTE3_(f, t, v) f##_##t##_##v
#define MG_PASTE3(f, t, v) MG_PASTE3_(f, t, v)

#if MG_X86_GCC

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
#define ISA_LEVEL 4
#define MG_BYTES 64
#define MG_SUFFIX v4
#include "multiversion_types.h"
#undef ISA_LEVEL
#undef MG_BYTES
#undef MG_SUFFIX
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#define ISA_LEVEL 3
#define MG_BYTES 32
#define MG_SUFFIX v3
#include "multiversion_types.h"
#undef ISA_LEVEL
#undef MG_BYTES
#undef MG_SUFFIX
#pragma GCC pop_options

#endif

/* Machines of before 2013 get small code: their kernels at full optimization would be a third of the installed library. */
#if MG_X86_GCC
#pragma GCC push_options
#pragma GCC optimize("Os")
#endif
#define ISA_LEVEL 2
#define MG_BYTES 16
#define MG_SUFFIX v2
#include "multiversion_types.h"
#if MG_X86_GCC
#pragma GCC pop_options
#endif
#undef ISA_LEVEL
#undef MG_BYTES
#undef MG_SUFFIX

#undef KERNELS
