/* VECTOR and IVECTOR for one (instruction set, type) pair. C11 lets a typedef be repeated, so several families may share a unit. */
typedef REAL NAME(vector) __attribute__((vector_size(MG_BYTES), aligned(sizeof(REAL)), may_alias));
typedef MG_INT NAME(ivector) __attribute__((vector_size(MG_BYTES), aligned(sizeof(REAL)), may_alias));
#undef VECTOR
#undef IVECTOR
#define VECTOR NAME(vector)
#define IVECTOR NAME(ivector)
