"""Elementwise kernels: arrays in, arrays out.

Every function takes numpy arrays of any layout and gives a new C-contiguous array; a 0-d array gives a 0-d array.
The unary functions and the backward kernels take float32 or float64 and raise TypeError for anything else; the binary functions
broadcast as numpy does and take any dtype, Python scalars included. NaN goes through, also in maximum and relu.

`<op>_backward(g, saved)` is the gradient for the op's input, where `saved` is the op's output for tanh, sigmoid and relu, and
its input for the others.
"""
import numpy as np

cimport cython
cimport numpy as cnp
from libc.stdint cimport int64_t, uint8_t, uint32_t

from minigrad._ext.arrange cimport may_overlap
from minigrad._ext.memory cimport empty
from minigrad._ext.threads cimport plan_threads

from minigrad._ext.arrange import copied

cnp.import_array()
cnp.import_ufunc()


cdef extern from *:
    """
    #define MG_LOOP_SPAN 8192
    /* A ufunc's inner loop over n elements, in spans that do not depend on the number of threads: the loops compute the end of a span
       with other instructions than its middle, and not always to the same bits. */
    static void run_loop(PyUFuncGenericFunction loop, void *data, char **arrays, npy_intp *steps, int count, int64_t n, int threads) {
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
        for (int64_t at = 0; at < n; at += MG_LOOP_SPAN) {
            char *here[3];
            npy_intp length = n - at < MG_LOOP_SPAN ? n - at : MG_LOOP_SPAN;
            for (int k = 0; k < count; k++) here[k] = arrays[k] + at * steps[k];
            loop(here, &length, steps, data);
        }
    }
    """
    void run_loop(cnp.PyUFuncGenericFunction loop, void *data, char **arrays, cnp.npy_intp *steps, int count, int64_t n,
                  int threads) nogil


cdef extern from "elementwise.h" nogil:
    const int BOX_DIMS "MG_BOX_DIMS"
    ctypedef struct box_t "mg_box":
        int ndim
        int64_t size
        int64_t *shape
        int64_t *x
        int64_t *y
    ctypedef struct unary_kernel:
        void (*f32)(const float *, float *, int64_t, int) noexcept nogil
        void (*f64)(const double *, double *, int64_t, int) noexcept nogil
    ctypedef struct unary_3_kernel:
        void (*f32)(const float *, float *, int64_t, double, double, double, int) noexcept nogil
        void (*f64)(const double *, double *, int64_t, double, double, double, int) noexcept nogil
    ctypedef struct grad_3_kernel:
        void (*f32)(const float *, const float *, float *, int64_t, double, double, double, int) noexcept nogil
        void (*f64)(const double *, const double *, double *, int64_t, double, double, double, int) noexcept nogil
    ctypedef struct binary_kernel:
        void (*f32)(const float *, const float *, float *, const box_t *, int) noexcept nogil
        void (*f64)(const double *, const double *, double *, const box_t *, int) noexcept nogil
        void (*flat_f32)(const float *, int64_t, const float *, int64_t, float *, int64_t, int) noexcept nogil
        void (*flat_f64)(const double *, int64_t, const double *, int64_t, double *, int64_t, int) noexcept nogil

    ctypedef struct ternary_kernel:
        void (*f32)(const float *, int64_t, const float *, int64_t, const float *, int64_t, float *, int64_t, double,
                    int) noexcept nogil
        void (*f64)(const double *, int64_t, const double *, int64_t, const double *, int64_t, double *, int64_t, double,
                    int) noexcept nogil
    void normal_pairs "MG_PICK(normal_pairs, f32)"(const uint32_t *bits, float *out, int64_t n, int threads)
    void glu_c "glu"(...)
    void glu_backward_c "glu_backward"(...)
    void choose_f32 "MG_PICK(choose, f32)"(...)
    void choose_f64 "MG_PICK(choose, f64)"(...)

    const binary_kernel ADD "MG_BINARY_KERNEL(binary_add)"
    const binary_kernel SUB "MG_BINARY_KERNEL(binary_sub)"
    const binary_kernel MUL "MG_BINARY_KERNEL(binary_mul)"
    const binary_kernel DIV "MG_BINARY_KERNEL(binary_div)"
    const binary_kernel MAXIMUM "MG_BINARY_KERNEL(binary_maximum)"
    const binary_kernel MINIMUM "MG_BINARY_KERNEL(binary_minimum)"
    const binary_kernel PRELU "MG_BINARY_KERNEL(binary_prelu)"
    const binary_kernel INVERSE_SQUARE "MG_BINARY_KERNEL(binary_inverse_square)"
    const binary_kernel SAME "MG_BINARY_KERNEL(binary_same)"
    const binary_kernel TANH_BACKWARD "MG_BINARY_KERNEL(binary_tanh_backward)"
    const binary_kernel SIGMOID_BACKWARD "MG_BINARY_KERNEL(binary_sigmoid_backward)"
    const binary_kernel RELU_BACKWARD "MG_BINARY_KERNEL(binary_relu_backward)"
    const binary_kernel GELU_BACKWARD "MG_BINARY_KERNEL(binary_gelu_backward)"
    const binary_kernel GELU_TANH_BACKWARD "MG_BINARY_KERNEL(binary_gelu_tanh_backward)"
    const binary_kernel SILU_BACKWARD "MG_BINARY_KERNEL(binary_silu_backward)"
    const binary_kernel MISH_BACKWARD "MG_BINARY_KERNEL(binary_mish_backward)"
    const binary_kernel LOGSIGMOID_BACKWARD "MG_BINARY_KERNEL(binary_logsigmoid_backward)"
    const binary_kernel HARDSIGMOID_BACKWARD "MG_BINARY_KERNEL(binary_hardsigmoid_backward)"
    const binary_kernel HARDSWISH_BACKWARD "MG_BINARY_KERNEL(binary_hardswish_backward)"
    const binary_kernel LOGADDEXP "MG_BINARY_KERNEL(binary_logaddexp)"
    const binary_kernel XLOGY "MG_BINARY_KERNEL(binary_xlogy)"
    const binary_kernel LOGIT_BACKWARD "MG_BINARY_KERNEL(binary_logit_backward)"
    const binary_kernel ABS_BACKWARD "MG_BINARY_KERNEL(binary_abs_backward)"
    const binary_kernel HYPOT "MG_FLOAT_BINARY_KERNEL(binary_hypot)"
    const binary_kernel FMOD "MG_FLOAT_BINARY_KERNEL(binary_fmod)"
    const binary_kernel REMAINDER "MG_FLOAT_BINARY_KERNEL(binary_remainder)"
    const binary_kernel FLOOR_DIVIDE "MG_FLOAT_BINARY_KERNEL(binary_floor_divide)"
    const ternary_kernel LERP "MG_KERNEL(ternary_kernel, ternary_lerp)"
    const ternary_kernel ADDCMUL "MG_KERNEL(ternary_kernel, ternary_addcmul)"
    const ternary_kernel ADDCDIV "MG_KERNEL(ternary_kernel, ternary_addcdiv)"
    const ternary_kernel PRELU_BACKWARD "MG_KERNEL(ternary_kernel, ternary_prelu_backward)"
    const ternary_kernel MAXIMUM_BACKWARD "MG_KERNEL(ternary_kernel, ternary_maximum_backward)"
    const ternary_kernel MINIMUM_BACKWARD "MG_KERNEL(ternary_kernel, ternary_minimum_backward)"
    const unary_kernel SIN "MG_FLOAT_KERNEL(unary_sin)"
    const unary_kernel COS "MG_FLOAT_KERNEL(unary_cos)"
    const unary_kernel FLOOR "MG_KERNEL(unary_kernel, unary_floor)"
    const unary_kernel CEIL "MG_KERNEL(unary_kernel, unary_ceil)"
    const unary_kernel TRUNC "MG_KERNEL(unary_kernel, unary_trunc)"
    const unary_kernel FRAC "MG_KERNEL(unary_kernel, unary_frac)"
    const unary_kernel RINT "MG_KERNEL(unary_kernel, unary_rint)"
    const unary_kernel CUBE "MG_KERNEL(unary_kernel, unary_cube)"
    const unary_kernel INVERSE_OF_SQUARE "MG_KERNEL(unary_kernel, unary_inverse_of_square)"
    const unary_kernel LOGIT "MG_KERNEL(unary_kernel, unary_logit)"
    const unary_kernel NEG "MG_KERNEL(unary_kernel, unary_neg)"
    const unary_kernel ABS "MG_KERNEL(unary_kernel, unary_abs)"
    const unary_kernel SIGN "MG_KERNEL(unary_kernel, unary_sign)"
    const unary_kernel SQUARE "MG_KERNEL(unary_kernel, unary_square)"
    const unary_kernel RECIPROCAL "MG_KERNEL(unary_kernel, unary_reciprocal)"
    const unary_kernel SQRT "MG_KERNEL(unary_kernel, unary_sqrt)"
    const unary_kernel RSQRT "MG_KERNEL(unary_kernel, unary_rsqrt)"
    const unary_kernel EXP "MG_KERNEL(unary_kernel, unary_exp)"
    const unary_kernel EXPM1 "MG_KERNEL(unary_kernel, unary_expm1)"
    const unary_kernel LOG "MG_KERNEL(unary_kernel, unary_log)"
    const unary_kernel LOG1P "MG_KERNEL(unary_kernel, unary_log1p)"
    const unary_kernel TANH "MG_KERNEL(unary_kernel, unary_tanh)"
    const unary_kernel SIGMOID "MG_KERNEL(unary_kernel, unary_sigmoid)"
    const unary_kernel ERF "MG_KERNEL(unary_kernel, unary_erf)"
    const unary_kernel RELU "MG_KERNEL(unary_kernel, unary_relu)"
    const unary_kernel GELU "MG_KERNEL(unary_kernel, unary_gelu)"
    const unary_kernel GELU_TANH "MG_KERNEL(unary_kernel, unary_gelu_tanh)"
    const unary_kernel SILU "MG_KERNEL(unary_kernel, unary_silu)"
    const unary_kernel MISH "MG_KERNEL(unary_kernel, unary_mish)"
    const unary_kernel SOFTSIGN "MG_KERNEL(unary_kernel, unary_softsign)"
    const unary_kernel LOGSIGMOID "MG_KERNEL(unary_kernel, unary_logsigmoid)"
    const unary_kernel HARDSIGMOID "MG_KERNEL(unary_kernel, unary_hardsigmoid)"
    const unary_kernel HARDSWISH "MG_KERNEL(unary_kernel, unary_hardswish)"
    const unary_3_kernel LEAKY_RELU "MG_KERNEL(unary_3_kernel, unary_leaky_relu)"
    const unary_3_kernel ELU "MG_KERNEL(unary_3_kernel, unary_elu)"
    const unary_3_kernel HARDTANH "MG_KERNEL(unary_3_kernel, unary_hardtanh)"
    const unary_3_kernel HUBER "MG_KERNEL(unary_3_kernel, unary_huber)"
    const unary_3_kernel SOFTPLUS "MG_KERNEL(unary_3_kernel, unary_softplus)"
    const unary_3_kernel THRESHOLD "MG_KERNEL(unary_3_kernel, unary_threshold)"
    const unary_3_kernel NAN_TO_NUM "MG_KERNEL(unary_3_kernel, unary_nan_to_num)"
    const unary_3_kernel HARDSHRINK "MG_KERNEL(unary_3_kernel, unary_hardshrink)"
    const unary_3_kernel SOFTSHRINK "MG_KERNEL(unary_3_kernel, unary_softshrink)"
    const grad_3_kernel LEAKY_RELU_BACKWARD "MG_KERNEL(grad_3_kernel, grad_leaky_relu)"
    const grad_3_kernel ELU_BACKWARD "MG_KERNEL(grad_3_kernel, grad_elu)"
    const grad_3_kernel HARDTANH_BACKWARD "MG_KERNEL(grad_3_kernel, grad_hardtanh)"
    const grad_3_kernel CLAMP_BACKWARD "MG_KERNEL(grad_3_kernel, grad_clamp)"
    const grad_3_kernel HUBER_BACKWARD "MG_KERNEL(grad_3_kernel, grad_huber)"
    const grad_3_kernel SOFTPLUS_BACKWARD "MG_KERNEL(grad_3_kernel, grad_softplus)"
    const grad_3_kernel THRESHOLD_BACKWARD "MG_KERNEL(grad_3_kernel, grad_threshold)"
    const grad_3_kernel SHRINK_BACKWARD "MG_KERNEL(grad_3_kernel, grad_shrink)"


cdef cnp.ndarray contiguous(object x, str name):
    """x as an aligned C-contiguous array of float32 or float64."""
    cdef int typenum
    if type(x) is np.ndarray:
        typenum = cnp.PyArray_TYPE(<cnp.ndarray> x)
        if (typenum == cnp.NPY_FLOAT32 or typenum == cnp.NPY_FLOAT64) and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> x):
            return <cnp.ndarray> x
    if isinstance(x, np.generic):
        x = np.asarray(x)
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{name} expects a numpy array, but got {type(x).__name__}")
    typenum = cnp.PyArray_TYPE(<cnp.ndarray> x)
    if typenum != cnp.NPY_FLOAT32 and typenum != cnp.NPY_FLOAT64:
        raise TypeError(f"{name} expects a float32 or float64 array, but got {x.dtype}")
    if cnp.PyArray_ISBEHAVED_RO(<cnp.ndarray> x) and not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray> x):
        return copied(x)
    return cnp.PyArray_FROMANY(x, typenum, 0, 0, cnp.NPY_ARRAY_CARRAY_RO)


# The cost of a float32 in picoseconds on one thread, for plan_threads: vectorised, from cache. A float64 takes twice as long.
cdef enum:
    MOVE = 200
    CHEAP = 400
    TRANSCENDENTAL = 900
    HEAVY = 1800


cdef int threads_for(int64_t n, int64_t picoseconds, bint is_float) noexcept nogil:
    return plan_threads(n * picoseconds // (1000 if is_float else 500))


cdef cnp.ndarray unary(object x, str name, unary_kernel kernel, int64_t cost):
    cdef cnp.ndarray source = contiguous(x, name)
    cdef int typenum = cnp.PyArray_TYPE(source)
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(source), cnp.PyArray_DIMS(source), typenum)
    cdef const void *from_ = cnp.PyArray_DATA(source)
    cdef void *to = cnp.PyArray_DATA(out)
    cdef int64_t n = cnp.PyArray_SIZE(source)
    cdef int threads = threads_for(n, cost, typenum == cnp.NPY_FLOAT32)
    with nogil:
        if typenum == cnp.NPY_FLOAT32:
            kernel.f32(<const float *> from_, <float *> to, n, threads)
        else:
            kernel.f64(<const double *> from_, <double *> to, n, threads)
    return out


cdef cnp.ndarray unary_3(object x, str name, unary_3_kernel kernel, int64_t cost, double p, double q, double r):
    cdef cnp.ndarray source = contiguous(x, name)
    cdef int typenum = cnp.PyArray_TYPE(source)
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(source), cnp.PyArray_DIMS(source), typenum)
    cdef const void *from_ = cnp.PyArray_DATA(source)
    cdef void *to = cnp.PyArray_DATA(out)
    cdef int64_t n = cnp.PyArray_SIZE(source)
    cdef int threads = threads_for(n, cost, typenum == cnp.NPY_FLOAT32)
    with nogil:
        if typenum == cnp.NPY_FLOAT32:
            kernel.f32(<const float *> from_, <float *> to, n, p, q, r, threads)
        else:
            kernel.f64(<const double *> from_, <double *> to, n, p, q, r, threads)
    return out


cdef cnp.ndarray grad_3(object g, object x, str name, grad_3_kernel kernel, int64_t cost, double p, double q, double r):
    cdef cnp.ndarray incoming = contiguous(g, name), source = contiguous(x, name)
    cdef int typenum = cnp.PyArray_TYPE(source)
    if cnp.PyArray_TYPE(incoming) != typenum or not cnp.PyArray_SAMESHAPE(incoming, source):
        raise ValueError(f"{name}: g is {g.dtype} {g.shape} but the saved array is {x.dtype} {x.shape}")
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(source), cnp.PyArray_DIMS(source), typenum)
    cdef const void *along = cnp.PyArray_DATA(incoming)
    cdef const void *from_ = cnp.PyArray_DATA(source)
    cdef void *to = cnp.PyArray_DATA(out)
    cdef int64_t n = cnp.PyArray_SIZE(source)
    cdef int threads = threads_for(n, cost, typenum == cnp.NPY_FLOAT32)
    with nogil:
        if typenum == cnp.NPY_FLOAT32:
            kernel.f32(<const float *> along, <const float *> from_, <float *> to, n, p, q, r, threads)
        else:
            kernel.f64(<const double *> along, <const double *> from_, <double *> to, n, p, q, r, threads)
    return out


cdef enum:
    MAX_NDIM = 64


cdef struct Plan:
    int ndim
    cnp.npy_intp out_shape[MAX_NDIM]
    box_t box


cdef bint plan_binary(cnp.ndarray x, cnp.ndarray y, Plan *plan) noexcept:
    """Broadcasts x and y and merges neighbouring dimensions. False where the kernels do not reach: shapes that do
    not broadcast, too many merged dimensions, or an innermost step other than 0 and 1."""
    cdef int nx = cnp.PyArray_NDIM(x), ny = cnp.PyArray_NDIM(y), ndim = max(nx, ny), i, merged = 0
    cdef int64_t size_x, size_y, size, step_x, step_y, item = cnp.PyArray_ITEMSIZE(x)
    cdef int64_t shape[MAX_NDIM]
    cdef int64_t x_steps[MAX_NDIM]
    cdef int64_t y_steps[MAX_NDIM]
    cdef bint nothing = cnp.PyArray_SIZE(x) == 0 or cnp.PyArray_SIZE(y) == 0
    cdef box_t *box = &plan.box
    plan.ndim, box.size = ndim, 1
    for i in range(1, ndim + 1):  # from the innermost dimension outwards
        size_x = cnp.PyArray_DIM(x, nx - i) if i <= nx else 1
        size_y = cnp.PyArray_DIM(y, ny - i) if i <= ny else 1
        if size_x != size_y and size_x != 1 and size_y != 1:
            return False
        size = size_y if size_x == 1 else size_x
        plan.out_shape[ndim - i] = size
        box.size *= size
        if size == 1 or nothing:
            continue
        step_x = cnp.PyArray_STRIDE(x, nx - i) // item if size_x != 1 else 0
        step_y = cnp.PyArray_STRIDE(y, ny - i) // item if size_y != 1 else 0
        if merged and step_x == x_steps[merged - 1] * shape[merged - 1] and step_y == y_steps[merged - 1] * shape[merged - 1]:
            shape[merged - 1] *= size
            continue
        if merged == 0 and (step_x < 0 or step_x > 1 or step_y < 0 or step_y > 1):
            return False
        shape[merged], x_steps[merged], y_steps[merged] = size, step_x, step_y
        merged += 1
    while merged < 2:
        shape[merged], x_steps[merged], y_steps[merged] = 1, 0, 0
        merged += 1
    if merged > BOX_DIMS:
        return False
    box.ndim = merged
    for i in range(merged):
        box.shape[i], box.x[i], box.y[i] = shape[merged - 1 - i], x_steps[merged - 1 - i], y_steps[merged - 1 - i]
    return True


cdef void run_binary(binary_kernel kernel, const void *x, const void *y, void *out, const box_t *box, bint is_float,
                     int threads) noexcept nogil:
    """out = the kernel of x and y, elements of the box's loops."""
    cdef int last = box.ndim - 1
    cdef bint flat = box.size == box.shape[last]
    if box.size == 0:
        return
    if is_float and flat:
        kernel.flat_f32(<const float *> x, box.x[last], <const float *> y, box.y[last], <float *> out, box.size, threads)
    elif is_float:
        kernel.f32(<const float *> x, <const float *> y, <float *> out, box, threads)
    elif flat:
        kernel.flat_f64(<const double *> x, box.x[last], <const double *> y, box.y[last], <double *> out, box.size, threads)
    else:
        kernel.f64(<const double *> x, <const double *> y, <double *> out, box, threads)


cdef cnp.ndarray scalar_like(object x, object other):
    """x as an array; a Python number beside a float array takes that array's dtype."""
    cdef bint adopts = isinstance(x, (int, float)) and isinstance(other, np.ndarray) and other.dtype.kind == "f"
    return np.asarray(x, other.dtype if adopts else None)


cdef cnp.ndarray innermost_dense(cnp.ndarray x):
    """x, copied if its elements neither lie in order nor repeat along the last axis."""
    cdef int last = cnp.PyArray_NDIM(x) - 1
    if last < 0 or cnp.PyArray_DIM(x, last) == 1 or cnp.PyArray_STRIDE(x, last) in (0, cnp.PyArray_ITEMSIZE(x)):
        return x
    return copied(x)


cdef object binary(object x, object y, object ufunc, binary_kernel kernel, int64_t cost):
    cdef Plan plan
    cdef cnp.ndarray a, b, out
    cdef int typenum, threads
    cdef bint is_float
    cdef const void *pa
    cdef const void *pb
    cdef void *to
    if not isinstance(x, np.ndarray):
        x = scalar_like(x, y)
    if not isinstance(y, np.ndarray):
        y = scalar_like(y, x)
    a, b = x, y
    typenum = cnp.PyArray_TYPE(a)
    is_float = typenum == cnp.NPY_FLOAT32
    if not (is_float or typenum == cnp.NPY_FLOAT64) or cnp.PyArray_TYPE(b) != typenum \
            or not (cnp.PyArray_ISBEHAVED_RO(a) and cnp.PyArray_ISBEHAVED_RO(b)):
        return by_ufunc(x, y, ufunc)
    if not plan_binary(a, b, &plan):
        a, b = innermost_dense(a), innermost_dense(b)
        if not plan_binary(a, b, &plan):
            return by_ufunc(a, b, ufunc)
    out = empty(plan.ndim, plan.out_shape, typenum)
    pa, pb, to = cnp.PyArray_DATA(a), cnp.PyArray_DATA(b), cnp.PyArray_DATA(out)
    threads = threads_for(plan.box.size, cost, is_float)
    with nogil:
        run_binary(kernel, pa, pb, to, &plan.box, is_float, threads)
    return out


cdef object by_ufunc(object x, object y, object function):
    """The general path of a binary function: numpy's ufunc. Without one (None): TypeError."""
    if function is None:
        raise TypeError("expected float32 or float64 arrays of one dtype that broadcast in at most 8 merged dimensions, got "
                        f"{x.dtype} {x.shape} and {y.dtype} {y.shape}")
    return ufunc(function, x, y)


# The loops of numpy's ufuncs for operands of one dtype: (function, type number) -> the place in its tables, -1 if there is none.
cdef dict loops = {}


cdef int find_loop(cnp.ufunc function, int typenum) except -2:
    cdef int loop, k
    cdef bint fits
    key = (function, typenum)
    found = loops.get(key)
    if found is None:
        found = -1
        for loop in range(function.ntypes):
            fits = function.functions[loop] != NULL
            for k in range(function.nin):
                fits = fits and function.types[loop * function.nargs + k] == typenum
            if fits:
                found = loop
                break
        loops[key] = found
    return found


def ufunc(cnp.ufunc function, *operands):
    """function(*operands) for a ufunc of one or two operands and one result, without warnings.

    numpy's own loop runs over spans of fixed size, in threads, where the operands are contiguous arrays of one shape and dtype, 0-d arrays
    aside; anything else is left to numpy.
    """
    cdef cnp.ndarray array, shaped = None, out
    cdef int loop, k, threads, typenum = -1, nin = len(operands)
    cdef char *data[3]
    cdef cnp.npy_intp steps[3]
    cdef int64_t n
    cdef bint plain = nin == function.nin and nin <= 2 and function.nout == 1
    if plain:
        for operand in operands:
            if not isinstance(operand, np.ndarray):
                plain = False
                break
            array = operand
            if typenum < 0:
                typenum = cnp.PyArray_TYPE(array)
            if cnp.PyArray_TYPE(array) != typenum or not cnp.PyArray_ISCARRAY_RO(array):
                plain = False
                break
            if shaped is None or cnp.PyArray_NDIM(shaped) == 0:
                shaped = array
            elif cnp.PyArray_NDIM(array) and not cnp.PyArray_SAMESHAPE(array, shaped):
                plain = False
                break
    loop = find_loop(function, typenum) if plain and typenum <= cnp.NPY_DOUBLE else -1
    if loop < 0:
        with np.errstate(all="ignore"):
            return np.asarray(function(*operands))
    out = empty(cnp.PyArray_NDIM(shaped), cnp.PyArray_DIMS(shaped), function.types[loop * function.nargs + nin])
    for k in range(nin):
        array = operands[k]
        data[k] = <char *> cnp.PyArray_DATA(array)
        steps[k] = cnp.PyArray_ITEMSIZE(array) if cnp.PyArray_NDIM(array) or not cnp.PyArray_NDIM(shaped) else 0
    data[nin] = <char *> cnp.PyArray_DATA(out)
    steps[nin] = cnp.PyArray_ITEMSIZE(out)
    n = cnp.PyArray_SIZE(out)
    threads = plan_threads(n // 2 if nin == 1 else n // 8)
    with nogil:
        run_loop(function.functions[loop], function.data[loop], data, steps, nin + 1, n, threads)
    return out


cdef cnp.ndarray ternary(object x, object y, object z, str name, ternary_kernel kernel, double p):
    """A kernel of three arrays of one dtype and one shape, 0-d arrays aside."""
    cdef cnp.ndarray a = contiguous(x, name), b = contiguous(y, name), c = contiguous(z, name), out, shaped = a
    cdef int typenum = cnp.PyArray_TYPE(a), threads
    cdef int64_t n
    for array in (b, c):
        if cnp.PyArray_NDIM(array) and not cnp.PyArray_NDIM(shaped):
            shaped = array
    for array in (a, b, c):
        if cnp.PyArray_TYPE(array) != typenum or cnp.PyArray_NDIM(array) and not cnp.PyArray_SAMESHAPE(array, shaped):
            raise ValueError(f"{name}: expected one dtype and shape, got {x.dtype} {x.shape}, {y.dtype} {y.shape}, {z.dtype} {z.shape}")
    out = empty(cnp.PyArray_NDIM(shaped), cnp.PyArray_DIMS(shaped), typenum)
    n = cnp.PyArray_SIZE(out)
    threads = threads_for(n, CHEAP, typenum == cnp.NPY_FLOAT32)
    cdef int64_t a_step = step_of(a, n), b_step = step_of(b, n), c_step = step_of(c, n)
    cdef const void *pa = cnp.PyArray_DATA(a)
    cdef const void *pb = cnp.PyArray_DATA(b)
    cdef const void *pc = cnp.PyArray_DATA(c)
    cdef void *to = cnp.PyArray_DATA(out)
    with nogil:
        if typenum == cnp.NPY_FLOAT32:
            kernel.f32(<const float *> pa, a_step, <const float *> pb, b_step, <const float *> pc, c_step, <float *> to, n, p,
                       threads)
        else:
            kernel.f64(<const double *> pa, a_step, <const double *> pb, b_step, <const double *> pc, c_step, <double *> to, n,
                       p, threads)
    return out


cdef inline int64_t step_of(cnp.ndarray array, int64_t n) noexcept:
    """0 for a single element beside n others, else 1."""
    return 0 if cnp.PyArray_SIZE(array) == 1 and n != 1 else 1


cdef cnp.ndarray one_or_all(cnp.ndarray array):
    """An expanded view of one element as that element, anything else contiguous."""
    cdef int axis
    for axis in range(cnp.PyArray_NDIM(array)):
        if cnp.PyArray_STRIDE(array, axis) != 0 and cnp.PyArray_DIM(array, axis) != 1:
            return np.ascontiguousarray(array)
    return array[(slice(0, 1),) * array.ndim] if cnp.PyArray_SIZE(array) > 1 else np.ascontiguousarray(array)


cdef void choose_into(cnp.ndarray out, cnp.ndarray mask, cnp.ndarray x, int64_t x_step, cnp.ndarray y, int64_t y_step) noexcept:
    """out = x where the mask holds, y elsewhere, in elements of 4 or 8 bytes: all contiguous, a step of 0 for a single one."""
    cdef int64_t n = cnp.PyArray_SIZE(out)
    cdef bint narrow = cnp.PyArray_ITEMSIZE(out) == 4
    cdef int threads = threads_for(n, CHEAP, narrow)
    cdef const uint8_t *pm = <const uint8_t *> cnp.PyArray_DATA(mask)
    cdef const void *px = cnp.PyArray_DATA(x)
    cdef const void *py = cnp.PyArray_DATA(y)
    cdef void *to = cnp.PyArray_DATA(out)
    with nogil:
        if narrow:
            choose_f32(pm, <const float *> px, x_step, <const float *> py, y_step, <float *> to, n, threads)
        else:
            choose_f64(pm, <const double *> px, x_step, <const double *> py, y_step, <double *> to, n, threads)


def where(cnp.ndarray mask, x, y):
    """x where the contiguous bool mask holds, y elsewhere; all of one shape, x and y of one dtype, or one of them a number."""
    if not isinstance(x, np.ndarray):
        x = scalar_like(x, y)
    if not isinstance(y, np.ndarray):
        y = scalar_like(y, x)
    if cnp.PyArray_ITEMSIZE(x) not in (4, 8) or cnp.PyArray_TYPE(y) != cnp.PyArray_TYPE(x):
        return np.where(mask, x, y)
    cdef cnp.ndarray a = one_or_all(x), b = one_or_all(y)
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(mask), cnp.PyArray_DIMS(mask), cnp.PyArray_TYPE(x))
    cdef int64_t n = cnp.PyArray_SIZE(out)
    choose_into(out, mask, a, step_of(a, n), b, step_of(b, n))
    return out


cdef object backward(object g, object saved, str name, binary_kernel kernel, int64_t cost):
    """A backward kernel of two arrays of one shape; g may be an expanded view (steps of 0)."""
    cdef cnp.ndarray source = contiguous(saved, name)
    cdef cnp.ndarray incoming = g
    if cnp.PyArray_TYPE(incoming) != cnp.PyArray_TYPE(source) or not cnp.PyArray_SAMESHAPE(incoming, source):
        raise ValueError(f"{name}: g is {g.dtype} {g.shape} but the saved array is {saved.dtype} {saved.shape}")
    cdef Plan plan
    if not cnp.PyArray_ISBEHAVED_RO(incoming) or not plan_binary(incoming, source, &plan):
        incoming = contiguous(g, name)
    return binary(incoming, source, None, kernel, cost)


cdef cnp.ndarray broadcastable(cnp.ndarray x, cnp.ndarray y, str name):
    """y, or where the loops of a binary operation with x do not reach it, y broadcast to x and contiguous."""
    cdef Plan plan
    if cnp.PyArray_ISBEHAVED_RO(y) and plan_binary(x, y, &plan):
        return y
    return contiguous(np.broadcast_to(y, (<object> x).shape), name)


def add(x, y):
    """x + y, broadcast as numpy does."""
    return binary(x, y, np.add, ADD, CHEAP)


def sub(x, y):
    """x - y, broadcast as numpy does."""
    return binary(x, y, np.subtract, SUB, CHEAP)


def mul(x, y):
    """x * y, broadcast as numpy does."""
    return binary(x, y, np.multiply, MUL, CHEAP)


def div(x, y):
    """x / y, broadcast as numpy does."""
    return binary(x, y, np.true_divide, DIV, CHEAP)


def maximum(x, y):
    """The larger of x and y, NaN where either is NaN."""
    return binary(x, y, np.maximum, MAXIMUM, CHEAP)


def minimum(x, y):
    """The smaller of x and y, NaN where either is NaN."""
    return binary(x, y, np.minimum, MINIMUM, CHEAP)


def same(x, y):
    """1 where x equals y or both are NaN, 0 elsewhere, in their dtype; y is broadcast to x."""
    x = contiguous(x, "same")
    return binary(x, broadcastable(x, y, "same"), None, SAME, CHEAP)


def inverse_square(x, y):
    """1 / (x^2 + y^2), 0 where both are 0, for float arrays of one dtype; y is broadcast to x."""
    x = contiguous(x, "inverse_square")
    return binary(x, broadcastable(x, y, "inverse_square"), None, INVERSE_SQUARE, CHEAP)


def pow(x, y):
    """x^y, broadcast as numpy does. The exponents 2, 3, 0.5, -1 and -2 as scalars have kernels of their own."""
    if isinstance(x, np.ndarray) and cnp.PyArray_TYPE(x) in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64):
        if isinstance(y, np.ndarray) and y.ndim == 0 and cnp.PyArray_TYPE(y) == cnp.PyArray_TYPE(x):
            y = y.item()
        if isinstance(y, (int, float)):
            return pow_scalar(x, y)
    elif not isinstance(x, np.ndarray):
        x = scalar_like(x, y)
    return by_ufunc(x, np.asarray(y), np.power)


cdef object pow_scalar(cnp.ndarray x, double exponent):
    if exponent == 2:
        return unary(x, "square", SQUARE, MOVE)
    if exponent == 3:
        return unary(x, "cube", CUBE, MOVE)
    if exponent == 0.5:
        return unary(x, "sqrt", SQRT, CHEAP)
    if exponent == -1:
        return unary(x, "reciprocal", RECIPROCAL, CHEAP)
    if exponent == -2:
        return unary(x, "inverse_of_square", INVERSE_OF_SQUARE, CHEAP)
    return by_ufunc(x, np.asarray(exponent, x.dtype), np.power)


def logaddexp(x, y):
    """log(e^x + e^y), broadcast as numpy does."""
    return binary(x, y, np.logaddexp, LOGADDEXP, HEAVY)


def xlogy(x, y):
    """x log y, 0 where x is 0 and y is a number; float arrays of one dtype and shape."""
    return binary(contiguous(x, "xlogy"), contiguous(y, "xlogy"), None, XLOGY, TRANSCENDENTAL)


def hypot(x, y):
    """sqrt(x^2 + y^2), broadcast as numpy does."""
    return float_binary(x, y, np.hypot, HYPOT)


def fmod(x, y):
    """The remainder of x / y with the sign of x, broadcast as numpy does."""
    return float_binary(x, y, np.fmod, FMOD)


def remainder(x, y):
    """The remainder of x / y with the sign of y, broadcast as numpy does."""
    return float_binary(x, y, np.remainder, REMAINDER)


def floor_divide(x, y):
    """x / y rounded down, broadcast as numpy does."""
    return float_binary(x, y, np.floor_divide, FLOOR_DIVIDE)


cdef object float_binary(object x, object y, object function, binary_kernel kernel):
    """A kernel that exists for float32 only; numpy serves the other dtypes."""
    if isinstance(x, np.ndarray) and cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
        return binary(x, y, function, kernel, TRANSCENDENTAL)
    return by_ufunc(x, y, function)


def lerp(x, end, weight):
    """x + weight (end - x), from the nearer end, for arrays of one dtype and shape, or 0-d; weight may be a number."""
    if not isinstance(weight, np.ndarray):
        weight = scalar_like(weight, x)
    return ternary(x, end, weight, "lerp", LERP, 0)


def addcmul(x, y, z, double value):
    """x + value y z for arrays of one dtype and shape, or 0-d."""
    return ternary(x, y, z, "addcmul", ADDCMUL, value)


def addcdiv(x, y, z, double value):
    """x + value (y / z) for arrays of one dtype and shape, or 0-d."""
    return ternary(x, y, z, "addcdiv", ADDCDIV, value)


def maximum_backward(g, x, y):
    """g where x > y, g / 2 where they are equal, 0 where x < y: the gradient for x."""
    return ternary(g, x, y, "maximum_backward", MAXIMUM_BACKWARD, 0)


def minimum_backward(g, x, y):
    """g where x < y, g / 2 where they are equal, 0 where x > y: the gradient for x."""
    return ternary(g, x, y, "minimum_backward", MINIMUM_BACKWARD, 0)


def prelu(x, weight):
    """x where x > 0, weight x elsewhere; weight is broadcast to x."""
    x = contiguous(x, "prelu")
    return binary(x, broadcastable(x, weight, "prelu"), None, PRELU, CHEAP)


def neg(x):
    """-x."""
    return unary(x, "neg", NEG, MOVE)


def abs(x):
    """|x|."""
    return unary(x, "abs", ABS, MOVE)


def sign(x):
    """-1, 0 or 1 with the sign of x, 0 for NaN."""
    return unary(x, "sign", SIGN, MOVE)


def floor(x):
    """The largest integers that are not larger."""
    return unary(x, "floor", FLOOR, MOVE)


def ceil(x):
    """The smallest integers that are not smaller."""
    return unary(x, "ceil", CEIL, MOVE)


def trunc(x):
    """The integer parts."""
    return unary(x, "trunc", TRUNC, MOVE)


def frac(x):
    """x - trunc(x)."""
    return unary(x, "frac", FRAC, MOVE)


def round(x):
    """The nearest integers, halves to the even one."""
    return unary(x, "round", RINT, MOVE)


def logit(x):
    """log(x / (1 - x))."""
    return unary(x, "logit", LOGIT, TRANSCENDENTAL)


def sin(x):
    """The sine."""
    return unary(x, "sin", SIN, TRANSCENDENTAL) if x.dtype == np.float32 else ufunc(np.sin, x)


def cos(x):
    """The cosine."""
    return unary(x, "cos", COS, TRANSCENDENTAL) if x.dtype == np.float32 else ufunc(np.cos, x)


def square(x):
    """x^2."""
    return unary(x, "square", SQUARE, MOVE)


def reciprocal(x):
    """1 / x."""
    return unary(x, "reciprocal", RECIPROCAL, CHEAP)


def sqrt(x):
    """The square root of x, NaN below 0."""
    return unary(x, "sqrt", SQRT, CHEAP)


def rsqrt(x):
    """1 / sqrt(x)."""
    return unary(x, "rsqrt", RSQRT, CHEAP)


def exp(x):
    """e^x."""
    return unary(x, "exp", EXP, TRANSCENDENTAL)


def expm1(x):
    """e^x - 1."""
    return unary(x, "expm1", EXPM1, TRANSCENDENTAL)


def log(x):
    """The natural logarithm: -inf at 0, NaN below."""
    return unary(x, "log", LOG, TRANSCENDENTAL)


def log1p(x):
    """log(1 + x)."""
    return unary(x, "log1p", LOG1P, TRANSCENDENTAL)


cpdef cnp.ndarray tanh(object x):
    """The hyperbolic tangent."""
    return unary(x, "tanh", TANH, TRANSCENDENTAL)


cpdef cnp.ndarray sigmoid(object x):
    """1 / (1 + e^-x)."""
    return unary(x, "sigmoid", SIGMOID, TRANSCENDENTAL)


def erf(x):
    """The error function."""
    return unary(x, "erf", ERF, TRANSCENDENTAL)


cpdef cnp.ndarray relu(object x):
    """max(x, 0)."""
    return unary(x, "relu", RELU, MOVE)


def gelu(x):
    """x Phi(x), Phi the normal distribution function."""
    return unary(x, "gelu", GELU, HEAVY)


def gelu_tanh(x):
    """x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    return unary(x, "gelu_tanh", GELU_TANH, HEAVY)


def silu(x):
    """x sigmoid(x)."""
    return unary(x, "silu", SILU, TRANSCENDENTAL)


def mish(x):
    """x tanh(softplus(x))."""
    return unary(x, "mish", MISH, HEAVY)


def softsign(x):
    """x / (1 + |x|)."""
    return unary(x, "softsign", SOFTSIGN, CHEAP)


def logsigmoid(x):
    """log(sigmoid(x))."""
    return unary(x, "logsigmoid", LOGSIGMOID, HEAVY)


def hardsigmoid(x):
    """clamp(x + 3, 0, 6) / 6."""
    return unary(x, "hardsigmoid", HARDSIGMOID, CHEAP)


def hardswish(x):
    """x clamp(x + 3, 0, 6) / 6."""
    return unary(x, "hardswish", HARDSWISH, CHEAP)


def leaky_relu(x, double slope):
    """x where x > 0, slope x elsewhere."""
    return unary_3(x, "leaky_relu", LEAKY_RELU, MOVE, slope, 0, 0)


def elu(x, double negative, double positive, double inner):
    """negative (e^(inner x) - 1) where x <= 0, positive x elsewhere: elu, selu and celu."""
    return unary_3(x, "elu", ELU, TRANSCENDENTAL, negative, positive, inner)


def hardtanh(x, double low, double high):
    """x clamped to [low, high]."""
    return unary_3(x, "hardtanh", HARDTANH, MOVE, low, high, 0)


def softplus(x, double beta, double threshold):
    """log(1 + e^(beta x)) / beta, and x where beta x > threshold."""
    return unary_3(x, "softplus", SOFTPLUS, HEAVY, beta, threshold, 0)


def nan_to_num(x, double nan, double posinf, double neginf):
    """x with other numbers for NaN and the infinities."""
    return unary_3(x, "nan_to_num", NAN_TO_NUM, MOVE, nan, posinf, neginf)


def threshold(x, double threshold, double value):
    """x where x > threshold, value elsewhere."""
    return unary_3(x, "threshold", THRESHOLD, MOVE, threshold, value, 0)


def hardshrink(x, double lambd):
    """0 where |x| <= lambd, x elsewhere."""
    return unary_3(x, "hardshrink", HARDSHRINK, MOVE, lambd, 0, 0)


def softshrink(x, double lambd):
    """x moved towards 0 by lambd, 0 where |x| <= lambd."""
    return unary_3(x, "softshrink", SOFTSHRINK, MOVE, lambd, 0, 0)


def prelu_backward(g, x, weight):
    """g where x > 0, weight g elsewhere: arrays of one shape, or a 0-d weight."""
    return ternary(g, x, weight, "prelu_backward", PRELU_BACKWARD, 0)


def normals(cnp.ndarray bits, int64_t n):
    """n float32 from the normal distribution, made of uint32 random bits (n rounded up to an even number of them or more).

    Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958. Up to 5.9 standard deviations.
    """
    cdef cnp.npy_intp size = n
    cdef cnp.ndarray out = empty(1, &size, cnp.NPY_FLOAT32)
    cdef const uint32_t *source = <const uint32_t *> cnp.PyArray_DATA(bits)
    cdef float *to = <float *> cnp.PyArray_DATA(out)
    cdef int threads = plan_threads(n * 2)
    with nogil:
        normal_pairs(source, to, n, threads)
    return out


def huber(x, double delta):
    """x^2 / 2 where |x| <= delta, delta (|x| - delta / 2) elsewhere."""
    return unary_3(x, "huber", HUBER, MOVE, delta, 0, 0)


def huber_backward(g, x, double delta):
    """g times x clamped to [-delta, delta]."""
    return grad_3(g, x, "huber_backward", HUBER_BACKWARD, CHEAP, delta, 0, 0)


def clamp_backward(g, x, double low, double high):
    """g where low <= x <= high, 0 elsewhere."""
    return grad_3(g, x, "clamp_backward", CLAMP_BACKWARD, CHEAP, low, high, 0)


def logit_backward(g, x):
    """g / (x (1 - x)), NaN outside [0, 1]."""
    return backward(g, x, "logit_backward", LOGIT_BACKWARD, CHEAP)


def abs_backward(g, x):
    """g times the sign of x."""
    return backward(g, x, "abs_backward", ABS_BACKWARD, CHEAP)


cpdef cnp.ndarray tanh_backward(object g, object out):
    """g (1 - out^2)."""
    return backward(g, out, "tanh_backward", TANH_BACKWARD, CHEAP)


cpdef cnp.ndarray sigmoid_backward(object g, object out):
    """g out (1 - out)."""
    return backward(g, out, "sigmoid_backward", SIGMOID_BACKWARD, CHEAP)


cpdef cnp.ndarray relu_backward(object g, object out):
    """g where out > 0, 0 elsewhere."""
    return backward(g, out, "relu_backward", RELU_BACKWARD, CHEAP)


def gelu_backward(g, x):
    """g (Phi(x) + x phi(x))."""
    return backward(g, x, "gelu_backward", GELU_BACKWARD, HEAVY)


def gelu_tanh_backward(g, x):
    """g times the slope of gelu_tanh at x."""
    return backward(g, x, "gelu_tanh_backward", GELU_TANH_BACKWARD, HEAVY)


def silu_backward(g, x):
    """g s (1 + x (1 - s)), s = sigmoid(x)."""
    return backward(g, x, "silu_backward", SILU_BACKWARD, HEAVY)


def mish_backward(g, x):
    """g (t + x sigmoid(x) (1 - t^2)), t = tanh(softplus(x))."""
    return backward(g, x, "mish_backward", MISH_BACKWARD, HEAVY)


def logsigmoid_backward(g, x):
    """g sigmoid(-x)."""
    return backward(g, x, "logsigmoid_backward", LOGSIGMOID_BACKWARD, TRANSCENDENTAL)


def hardsigmoid_backward(g, x):
    """g / 6 where |x| < 3, 0 elsewhere."""
    return backward(g, x, "hardsigmoid_backward", HARDSIGMOID_BACKWARD, CHEAP)


def hardswish_backward(g, x):
    """g (x / 3 + 1 / 2) where |x| < 3, 0 below, g above."""
    return backward(g, x, "hardswish_backward", HARDSWISH_BACKWARD, CHEAP)


def leaky_relu_backward(g, x, double slope):
    """g where x > 0, slope g elsewhere."""
    return grad_3(g, x, "leaky_relu_backward", LEAKY_RELU_BACKWARD, CHEAP, slope, 0, 0)


def elu_backward(g, x, double negative, double positive, double inner):
    """g negative inner e^(inner x) where x <= 0, positive g elsewhere."""
    return grad_3(g, x, "elu_backward", ELU_BACKWARD, TRANSCENDENTAL, negative, positive, inner)


def hardtanh_backward(g, x, double low, double high):
    """g where low < x < high, 0 elsewhere."""
    return grad_3(g, x, "hardtanh_backward", HARDTANH_BACKWARD, CHEAP, low, high, 0)


def softplus_backward(g, x, double beta, double threshold):
    """g sigmoid(beta x), and g where beta x > threshold."""
    return grad_3(g, x, "softplus_backward", SOFTPLUS_BACKWARD, TRANSCENDENTAL, beta, threshold, 0)


def threshold_backward(g, x, double threshold):
    """g where x > threshold, 0 elsewhere."""
    return grad_3(g, x, "threshold_backward", THRESHOLD_BACKWARD, CHEAP, threshold, 0, 0)


def shrink_backward(g, x, double lambd):
    """g where |x| > lambd, 0 elsewhere: for hardshrink and softshrink."""
    return grad_3(g, x, "shrink_backward", SHRINK_BACKWARD, CHEAP, lambd, 0, 0)


def glu(cnp.ndarray x, int64_t rows, int64_t half, cnp.ndarray out) -> None:
    """out (rows, half) = a sigmoid(b) for the halves a and b of the rows of x (rows, 2 half); contiguous, of one float dtype."""
    cdef bint is_float = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32
    cdef int threads = threads_for(rows * half, TRANSCENDENTAL, is_float)
    cdef const void *source = cnp.PyArray_DATA(x)
    cdef void *to = cnp.PyArray_DATA(out)
    with nogil:
        if is_float:
            glu_c(<const float *> source, <float *> to, rows, half, threads)
        else:
            glu_c(<const double *> source, <double *> to, rows, half, threads)


def glu_backward(cnp.ndarray g, cnp.ndarray x, int64_t rows, int64_t half, cnp.ndarray gx) -> None:
    """gx (rows, 2 half): g s and g a s (1 - s), s = sigmoid(b), for the arguments of glu and g (rows, half)."""
    cdef bint is_float = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32
    cdef int threads = threads_for(rows * half, TRANSCENDENTAL, is_float)
    cdef const void *along = cnp.PyArray_DATA(g)
    cdef const void *source = cnp.PyArray_DATA(x)
    cdef void *to = cnp.PyArray_DATA(gx)
    with nogil:
        if is_float:
            glu_backward_c(<const float *> along, <const float *> source, <float *> to, rows, half, threads)
        else:
            glu_backward_c(<const double *> along, <const double *> source, <double *> to, rows, half, threads)


include "elementwise_overwrite.pxi"
