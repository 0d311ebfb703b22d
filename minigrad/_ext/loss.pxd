cimport numpy as cnp
from libc.stdint cimport int64_t

cpdef double squared_error(cnp.ndarray x, cnp.ndarray y) except? -1
cpdef int scaled_difference(cnp.ndarray x, cnp.ndarray y, double scale, cnp.ndarray out) except -1
cpdef int64_t find_bad_target(cnp.ndarray target, int64_t classes, int64_t ignore)
cpdef tuple cross_entropy_forward(cnp.ndarray x, cnp.ndarray target, cnp.ndarray weight, int64_t ignore, double smoothing,
                                  cnp.ndarray losses, cnp.ndarray maxima, cnp.ndarray logs)
cpdef object cross_entropy_backward(cnp.ndarray g, double scale, cnp.ndarray x, cnp.ndarray target, cnp.ndarray weight, int64_t ignore,
                                    double smoothing, cnp.ndarray maxima, cnp.ndarray logs, cnp.ndarray gx)
cpdef tuple nll_forward(cnp.ndarray x, cnp.ndarray target, cnp.ndarray weight, int64_t ignore, cnp.ndarray losses)
cpdef object nll_backward(cnp.ndarray g, double scale, cnp.ndarray target, cnp.ndarray weight, int64_t ignore, cnp.ndarray gx)
