cimport numpy as cnp

cpdef cnp.ndarray relu(object x)
cpdef cnp.ndarray relu_backward(object g, object out)
cpdef cnp.ndarray sigmoid(object x)
cpdef cnp.ndarray sigmoid_backward(object g, object out)
cpdef cnp.ndarray tanh(object x)
cpdef cnp.ndarray tanh_backward(object g, object out)
