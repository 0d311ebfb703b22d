cimport numpy as cnp


cdef class Version:
    cdef readonly long value


cdef class TensorBase:
    cdef readonly cnp.ndarray _array
    cdef TensorBase _grad
    cdef Function node
    cdef int nr
    cdef bint leaf_requires_grad
    cdef int origin
    cdef unsigned char retains
    cdef unsigned char inference
    cdef Version version
    cdef long seen
    cdef TensorBase base
    cdef dict hooks
    cdef dict post_hooks
    cdef dict __dict__
    cdef object __weakref__


cdef class Edge:
    cdef readonly Function node
    cdef readonly int output_nr


cdef class Extras:
    cdef str label
    cdef list captures
    cdef dict hooks
    cdef dict metadata
    cdef dict pre_hooks
    cdef dict post_hooks
    cdef object unpack
    cdef tuple packed
    cdef tuple packed_out


cdef class Function:
    cdef tuple edges
    cdef tuple saved
    cdef tuple stamps
    cdef object saved_out
    cdef object out_versions
    cdef int n_outputs
    cdef bint gives_tuple
    cdef object pending
    cdef bint pending_owned
    cdef int running
    cdef void *walker
    cdef long seq
    cdef bint freed
    cdef unsigned long mask
    cdef Extras extras
    cdef int out_ndim
    cdef int out_typenum
    cdef cnp.npy_intp out_dims[8]
    cdef object __weakref__

    cdef object run_backward(self, object g, bint create_graph)
    cdef int keep(self, TensorBase x, TensorBase y) except -1
    cdef int check_saved(self) except -1
    cdef bint needs(self, int i) noexcept
    cdef void describe_output(self, cnp.ndarray array) noexcept


cdef class ContextNode(Function):
    cdef tuple places


cdef bint watching
cdef begin(object operation, tuple inputs)
cdef end(object operation, tuple inputs, object outputs)
cdef bint grad_enabled() noexcept
cdef TensorBase wrap(cnp.ndarray array)
cdef bint needs_grad(TensorBase t) except -1
cdef object edge_of(TensorBase t)
cdef void attach(TensorBase out, Function node, tuple edges) noexcept
cdef int keep_out(Function node, TensorBase out) except -1
cdef object unpack_out(Function node, bint create_graph)
