/* The optimizers' updates, each one pass over a parameter and its state. Compiled through multiversion.h: see there for REAL and NAME.

   All arrays have n elements. Hyperparameters come as double and are rounded to REAL once, as PyTorch does. `maximize` is 0 or 1.
   The work is cut into blocks of fixed size, so that the bits do not depend on the number of threads.

   Results below the smallest normal number are flushed to zero: the momentum of a weight whose gradient has become zero (a unit that
   died) would else shrink to such a number, stay there for ever, and slow every step down tenfold. */

#define MG_OPTIM_BLOCK 8192

#if defined(__SSE2__)
#define MG_FLUSH_TO_ZERO(...)                       \
    const unsigned int mode = _mm_getcsr();         \
    _mm_setcsr(mode | 0x8000);                      \
    __VA_ARGS__                                     \
    _mm_setcsr(mode);
#else
#define MG_FLUSH_TO_ZERO(...) __VA_ARGS__
#endif

/* Runs the statements for i in [0, n). */
#define MG_EACH(...)                                                                               \
    const int64_t blocks = (n + MG_OPTIM_BLOCK - 1) / MG_OPTIM_BLOCK;                              \
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")             \
    for (int64_t block = 0; block < blocks; block++) {                                             \
        const int64_t start = block * MG_OPTIM_BLOCK;                                              \
        const int64_t stop = start + MG_OPTIM_BLOCK < n ? start + MG_OPTIM_BLOCK : n;              \
        MG_FLUSH_TO_ZERO(_Pragma("omp simd") for (int64_t i = start; i < stop; i++) { __VA_ARGS__ })  \
    }

/* The gradient with weight decay. Without any, nothing is multiplied: an infinite parameter stays infinite. */
#define MG_D(x) (decay != 0 ? sign * g[i] + decay * (x) : sign * g[i])

static inline REAL NAME(optim_root)(REAL x) {
#if REAL_IS_FLOAT
    return sqrtf(x);
#else
    return sqrt(x);
#endif
}

/* d = +-g + weight_decay p;  b = momentum b + (1 - dampening) d, b = d at first;  p -= lr (b, or d + momentum b under nesterov) */
static void NAME(sgd_plain)(REAL *p, const REAL *g, int64_t n, REAL lr, REAL decay, REAL sign, int threads) {
    MG_EACH(p[i] -= lr * (MG_D(p[i]));)
}

static void NAME(sgd_first)(REAL *p, const REAL *g, REAL *b, int64_t n, REAL lr, REAL decay, REAL sign, REAL look, int threads) {
    MG_EACH(const REAL d = MG_D(p[i]); b[i] = d; p[i] -= lr * (d + look * d);)
}

static void NAME(sgd_heavy)(REAL *p, const REAL *g, REAL *b, int64_t n, REAL lr, REAL momentum, REAL share, REAL decay, REAL sign,
                            int threads) {
    MG_EACH(const REAL d = MG_D(p[i]); const REAL v = momentum * b[i] + share * d; b[i] = v; p[i] -= lr * v;)
}

static void NAME(sgd_nesterov)(REAL *p, const REAL *g, REAL *b, int64_t n, REAL lr, REAL momentum, REAL share, REAL decay,
                               REAL sign, int threads) {
    MG_EACH(const REAL d = MG_D(p[i]); const REAL v = momentum * b[i] + share * d; b[i] = v;
            p[i] -= lr * (d + momentum * v);)
}

static void NAME(optim_sgd)(REAL *p, const REAL *g, REAL *b, int64_t n, double lr, double momentum, double dampening,
                            double weight_decay, int nesterov, int maximize, int first, int threads) {
    const REAL rate = (REAL)lr, decay = (REAL)weight_decay, sign = maximize ? -1 : 1;
    const REAL m = (REAL)momentum, share = (REAL)(1 - dampening);
    if (momentum == 0) NAME(sgd_plain)(p, g, n, rate, decay, sign, threads);
    else if (first) NAME(sgd_first)(p, g, b, n, rate, decay, sign, nesterov ? m : 0, threads);
    else if (nesterov) NAME(sgd_nesterov)(p, g, b, n, rate, m, share, decay, sign, threads);
    else NAME(sgd_heavy)(p, g, b, n, rate, m, share, decay, sign, threads);
}

/* m += (1 - beta1) (d - m);  v = beta2 v + (1 - beta2) d^2;  p -= step_size m / (sqrt(v or its maximum so far) / root + eps).
   `shrink` multiplies p first (decoupled weight decay); `weight_decay` adds to the gradient. `top` is NULL without amsgrad. */
static void NAME(optim_adam)(REAL *p, const REAL *g, REAL *m, REAL *v, REAL *top, int64_t n, double step_size, double beta1,
                             double beta2, double eps, double root, double shrink, double weight_decay, int maximize,
                             int threads) {
    const REAL rate = (REAL)step_size, take = (REAL)(1 - beta1), keep2 = (REAL)beta2, take2 = (REAL)(1 - beta2);
    const REAL small = (REAL)eps, bias = (REAL)root, scale = (REAL)shrink, decay = (REAL)weight_decay, sign = maximize ? -1 : 1;
    if (top == NULL) {
        MG_EACH(const REAL x = p[i] * scale; const REAL d = MG_D(x); const REAL a = m[i] + take * (d - m[i]);
                const REAL s = keep2 * v[i] + take2 * d * d; m[i] = a; v[i] = s;
                p[i] = x - rate * a / (NAME(optim_root)(s) / bias + small);)
    } else {
        MG_EACH(const REAL x = p[i] * scale; const REAL d = MG_D(x); const REAL a = m[i] + take * (d - m[i]);
                const REAL s = keep2 * v[i] + take2 * d * d; const REAL most = top[i] >= s ? top[i] : s;
                m[i] = a; v[i] = s; top[i] = most; p[i] = x - rate * a / (NAME(optim_root)(most) / bias + small);)
    }
}

/* s = alpha s + (1 - alpha) d^2;  with a: a += (1 - alpha) (d - a), variance s - a^2;  u = d / (sqrt(.) + eps);
   with b: b = momentum b + u, u = b;  p -= lr u. `a` is NULL unless centered, `b` without momentum. */
static void NAME(optim_rmsprop)(REAL *p, const REAL *g, REAL *s, REAL *a, REAL *b, int64_t n, double lr, double alpha, double eps,
                                double weight_decay, double momentum, int maximize, int threads) {
    const REAL rate = (REAL)lr, keep = (REAL)alpha, take = (REAL)(1 - alpha), small = (REAL)eps, decay = (REAL)weight_decay;
    const REAL mass = (REAL)momentum, sign = maximize ? -1 : 1;
    if (a == NULL && b == NULL) {
        MG_EACH(const REAL d = MG_D(p[i]); const REAL q = keep * s[i] + take * d * d; s[i] = q;
                p[i] -= rate * (d / (NAME(optim_root)(q) + small));)
    } else if (a == NULL) {
        MG_EACH(const REAL d = MG_D(p[i]); const REAL q = keep * s[i] + take * d * d; s[i] = q;
                const REAL u = mass * b[i] + d / (NAME(optim_root)(q) + small); b[i] = u; p[i] -= rate * u;)
    } else if (b == NULL) {
        MG_EACH(const REAL d = MG_D(p[i]); const REAL q = keep * s[i] + take * d * d; s[i] = q;
                const REAL c = a[i] + take * (d - a[i]); a[i] = c;
                p[i] -= rate * (d / (NAME(optim_root)(q - c * c) + small));)
    } else {
        MG_EACH(const REAL d = MG_D(p[i]); const REAL q = keep * s[i] + take * d * d; s[i] = q;
                const REAL c = a[i] + take * (d - a[i]); a[i] = c;
                const REAL u = mass * b[i] + d / (NAME(optim_root)(q - c * c) + small); b[i] = u; p[i] -= rate * u;)
    }
}

/* s += d^2;  p -= rate d / (sqrt(s) + eps) */
static void NAME(optim_adagrad)(REAL *p, const REAL *g, REAL *s, int64_t n, double lr, double eps, double weight_decay,
                                int maximize, int threads) {
    const REAL rate = (REAL)lr, small = (REAL)eps, decay = (REAL)weight_decay, sign = maximize ? -1 : 1;
    MG_EACH(const REAL d = MG_D(p[i]); const REAL q = s[i] + d * d; s[i] = q;
            p[i] -= rate * (d / (NAME(optim_root)(q) + small));)
}

/* s = rho s + (1 - rho) d^2;  u = sqrt(t + eps) / sqrt(s + eps) d;  t = rho t + (1 - rho) u^2;  p -= lr u */
static void NAME(optim_adadelta)(REAL *p, const REAL *g, REAL *s, REAL *t, int64_t n, double lr, double rho, double eps,
                                 double weight_decay, int maximize, int threads) {
    const REAL rate = (REAL)lr, keep = (REAL)rho, take = (REAL)(1 - rho), small = (REAL)eps, decay = (REAL)weight_decay;
    const REAL sign = maximize ? -1 : 1;
    MG_EACH(const REAL d = MG_D(p[i]); const REAL q = keep * s[i] + take * d * d; s[i] = q;
            const REAL u = NAME(optim_root)(t[i] + small) / NAME(optim_root)(q + small) * d;
            t[i] = keep * t[i] + take * u * u; p[i] -= rate * u;)
}

#undef MG_EACH
#undef MG_D
#undef MG_FLUSH_TO_ZERO
#undef MG_OPTIM_BLOCK
