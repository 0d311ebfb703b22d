/* The inner half of multiversion.h: KERNELS once for float and once for double. */

#define REAL float
#define MG_INT int32_t
#define NAME(f) MG_PASTE3(f, f32, MG_SUFFIX)
#define LANES (MG_BYTES / 4)
#define REAL_IS_FLOAT 1
#include "multiversion_vector.h"
#include KERNELS
#undef REAL
#undef MG_INT
#undef NAME
#undef LANES
#undef REAL_IS_FLOAT

#define REAL double
#define MG_INT int64_t
#define NAME(f) MG_PASTE3(f, f64, MG_SUFFIX)
#define LANES (MG_BYTES / 8)
#define REAL_IS_FLOAT 0
#include "multiversion_vector.h"
#include KERNELS
#undef REAL
#undef MG_INT
#undef NAME
#undef LANES
#undef REAL_IS_FLOAT
