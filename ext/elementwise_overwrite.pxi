# Kernels that write over their first argument: a part of elementwise.pyx.
#
# Each takes a C-contiguous array and whatever else the operation was given, numbers and arrays, under PyTorch's names for them, and gives
# whether it did the work. What it refuses (another dtype, a shape that does not fit, operands that share memory) it leaves untouched, for
# the general way.


cdef inline bint is_real(cnp.ndarray x) noexcept:
    cdef int typenum = cnp.PyArray_TYPE(x)
    return (typenum == cnp.NPY_FLOAT32 or typenum == cnp.NPY_FLOAT64) and cnp.PyArray_ISCARRAY(x)


cdef inline bint is_number(object value) noexcept:
    return type(value) is float or type(value) is int


cdef cnp.ndarray operand_for(cnp.ndarray x, object value):
    """A number as a 0-d array of x's dtype; an array of that dtype that may be read while x is written element by element. None for
    any other value."""
    cdef cnp.ndarray y
    if is_number(value):
        y = empty(0, NULL, cnp.PyArray_TYPE(x))
        if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
            (<float *> cnp.PyArray_DATA(y))[0] = <float> (<double> value)
        else:
            (<double *> cnp.PyArray_DATA(y))[0] = <double> value
        return y
    if not isinstance(value, np.ndarray):
        return None
    y = <cnp.ndarray> value
    if cnp.PyArray_TYPE(y) != cnp.PyArray_TYPE(x) or not cnp.PyArray_ISBEHAVED_RO(y) or cnp.PyArray_SIZE(x) == 0:
        return None
    if cnp.PyArray_DATA(x) == cnp.PyArray_DATA(y) and cnp.PyArray_SAMESHAPE(x, y) and cnp.PyArray_IS_C_CONTIGUOUS(y):
        return y
    return None if cnp.PyArray_SIZE(y) == 0 or may_overlap(x, y) else y


@cython.final
cdef class Overwrite:
    """x = f(x)"""
    cdef unary_kernel kernel
    cdef int64_t cost

    def __call__(self, cnp.ndarray x) -> bool:
        if not is_real(x):
            return False
        cdef bint is_float = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32
        cdef void *data = cnp.PyArray_DATA(x)
        cdef int64_t n = cnp.PyArray_SIZE(x)
        cdef int threads = threads_for(n, self.cost, is_float)
        with nogil:
            if is_float:
                self.kernel.f32(<const float *> data, <float *> data, n, threads)
            else:
                self.kernel.f64(<const double *> data, <double *> data, n, threads)
        return True


@cython.final
cdef class OverwriteBinary:
    """x = f(x, y), where y is broadcast to x; by numpy for integers of one dtype, if there is a ufunc"""
    cdef binary_kernel kernel
    cdef object ufunc

    def __call__(self, cnp.ndarray x, object other) -> bool:
        cdef Plan plan
        cdef cnp.ndarray y
        if not is_real(x):
            return self.overwrite_integers(x, other)
        y = operand_for(x, other)
        if y is None or cnp.PyArray_NDIM(y) > cnp.PyArray_NDIM(x):
            return False
        if not plan_binary(x, y, &plan):
            y = innermost_dense(y)
            if not plan_binary(x, y, &plan):
                return False
        if plan.box.size != cnp.PyArray_SIZE(x):
            return False
        cdef bint is_float = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32
        cdef void *data = cnp.PyArray_DATA(x)
        cdef const void *from_ = cnp.PyArray_DATA(y)
        cdef int threads = threads_for(plan.box.size, CHEAP, is_float)
        with nogil:
            run_binary(self.kernel, data, from_, data, &plan.box, is_float, threads)
        return True

    cdef bint overwrite_integers(self, cnp.ndarray x, object other) except -1:
        cdef int typenum = cnp.PyArray_TYPE(x)
        if self.ufunc is None or typenum != cnp.NPY_INT64 and typenum != cnp.NPY_INT32 or not cnp.PyArray_ISCARRAY(x):
            return False
        if isinstance(other, np.ndarray):
            if cnp.PyArray_TYPE(other) != typenum or cnp.PyArray_NDIM(other) and not cnp.PyArray_SAMESHAPE(x, other):
                return False
        elif type(other) is not int or not -1 << 31 <= other < 1 << 31:
            return False
        self.ufunc(x, other, x)
        return True


@cython.final
cdef class OverwriteTernary:
    """x = f(x, y, z, p) for operands of x's shape, or 0-d"""
    cdef ternary_kernel kernel

    def __call__(self, cnp.ndarray x, object tensor1, object tensor2, value=1) -> bool:
        cdef cnp.ndarray y, z
        if not is_real(x) or not is_number(value):
            return False
        y, z = operand_for(x, tensor1), operand_for(x, tensor2)
        if y is None or z is None:
            return False
        for y_or_z in (y, z):
            if cnp.PyArray_NDIM(y_or_z) and not cnp.PyArray_SAMESHAPE(x, y_or_z):
                return False
        y, z = contiguous(y, "operand"), contiguous(z, "operand")
        cdef bint is_float = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32
        cdef int64_t n = cnp.PyArray_SIZE(x), y_step = cnp.PyArray_NDIM(y) > 0, z_step = cnp.PyArray_NDIM(z) > 0
        cdef double p = value
        cdef void *data = cnp.PyArray_DATA(x)
        cdef const void *py = cnp.PyArray_DATA(y)
        cdef const void *pz = cnp.PyArray_DATA(z)
        cdef int threads = threads_for(n, CHEAP, is_float)
        with nogil:
            if is_float:
                self.kernel.f32(<const float *> data, 1, <const float *> py, y_step, <const float *> pz, z_step, <float *> data, n,
                                p, threads)
            else:
                self.kernel.f64(<const double *> data, 1, <const double *> py, y_step, <const double *> pz, z_step,
                                <double *> data, n, p, threads)
        return True


cdef Overwrite unary_overwrite(unary_kernel kernel, int64_t cost):
    cdef Overwrite made = Overwrite.__new__(Overwrite)
    made.kernel, made.cost = kernel, cost
    return made


cdef OverwriteBinary binary_overwrite(binary_kernel kernel, object function):
    cdef OverwriteBinary made = OverwriteBinary.__new__(OverwriteBinary)
    made.kernel, made.ufunc = kernel, function
    return made


cdef OverwriteTernary ternary_overwrite(ternary_kernel kernel):
    cdef OverwriteTernary made = OverwriteTernary.__new__(OverwriteTernary)
    made.kernel = kernel
    return made


neg_ = unary_overwrite(NEG, MOVE)
abs_ = unary_overwrite(ABS, MOVE)
sign_ = unary_overwrite(SIGN, MOVE)
floor_ = unary_overwrite(FLOOR, MOVE)
ceil_ = unary_overwrite(CEIL, MOVE)
trunc_ = unary_overwrite(TRUNC, MOVE)
square_ = unary_overwrite(SQUARE, MOVE)
relu_ = unary_overwrite(RELU, MOVE)
reciprocal_ = unary_overwrite(RECIPROCAL, CHEAP)
sqrt_ = unary_overwrite(SQRT, CHEAP)
rsqrt_ = unary_overwrite(RSQRT, CHEAP)
exp_ = unary_overwrite(EXP, TRANSCENDENTAL)
expm1_ = unary_overwrite(EXPM1, TRANSCENDENTAL)
log_ = unary_overwrite(LOG, TRANSCENDENTAL)
log1p_ = unary_overwrite(LOG1P, TRANSCENDENTAL)
tanh_ = unary_overwrite(TANH, TRANSCENDENTAL)
sigmoid_ = unary_overwrite(SIGMOID, TRANSCENDENTAL)
erf_ = unary_overwrite(ERF, TRANSCENDENTAL)
mul_ = binary_overwrite(MUL, np.multiply)
div_ = binary_overwrite(DIV, None)
addcmul_ = ternary_overwrite(ADDCMUL)
addcdiv_ = ternary_overwrite(ADDCDIV)

cdef OverwriteBinary plus = binary_overwrite(ADD, np.add)
cdef OverwriteBinary minus = binary_overwrite(SUB, np.subtract)
cdef OverwriteTernary moved = ternary_overwrite(LERP)


def add_(cnp.ndarray x, other, alpha=1) -> bool:
    """x = x + alpha other"""
    return plus(x, other) if type(alpha) is int and alpha == 1 else addcmul_(x, other, alpha)


def sub_(cnp.ndarray x, other, alpha=1) -> bool:
    """x = x - alpha other"""
    return minus(x, other) if type(alpha) is int and alpha == 1 else is_number(alpha) and addcmul_(x, other, -alpha)


def lerp_(cnp.ndarray x, end, weight) -> bool:
    """x = x + weight (end - x) for a number as weight"""
    return is_number(weight) and moved(x, end, weight)


def clamp_(cnp.ndarray x, min=None, max=None) -> bool:
    """x, or the number that it exceeds"""
    if not is_real(x) or min is None and max is None:
        return False
    cdef double low = -np.inf, high = np.inf
    if min is not None:
        if not is_number(min):
            return False
        low = min
    if max is not None:
        if not is_number(max):
            return False
        high = max
    if low != low or high != high:
        return False
    cdef void *data = cnp.PyArray_DATA(x)
    cdef bint is_float = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32
    cdef int64_t n = cnp.PyArray_SIZE(x)
    cdef int threads = threads_for(n, MOVE, is_float)
    with nogil:
        if is_float:
            HARDTANH.f32(<const float *> data, <float *> data, n, low, high, 0, threads)
        else:
            HARDTANH.f64(<const double *> data, <double *> data, n, low, high, 0, threads)
    return True


def masked_fill_(cnp.ndarray x, mask, value) -> bool:
    """x = value where the bool mask of x's shape holds"""
    cdef cnp.ndarray y
    if not is_real(x) or not is_number(value) or not isinstance(mask, np.ndarray):
        return False
    if cnp.PyArray_TYPE(mask) != cnp.NPY_BOOL or not cnp.PyArray_SAMESHAPE(x, mask) or not cnp.PyArray_ISCARRAY_RO(mask):
        return False
    y = operand_for(x, value)
    choose_into(x, mask, y, 0, x, 1)
    return True
