# The tensor's core: a part of engine.pyx.


cdef enum Origin:             # of a view
    RECORDED
    WITHOUT_GRAD
    IN_FUNCTION
    IN_INFERENCE


@cython.freelist(64)
@cython.final
cdef class Version:
    """How often a storage was written. Shared by a tensor, its views and its detached aliases."""

    def __cinit__(self):
        self.value = 0


cdef class TensorBase:
    """The compiled core of Tensor: an array, its place in the graph, its gradient, and the version of its storage."""

    @property
    def shape(self):
        """The size of each dimension, a tuple."""
        return size_class((<object> self._array).shape)

    @property
    def dtype(self):
        """The type of the elements, e.g. minigrad.float32."""
        return dtype_of_typenum[cnp.PyArray_TYPE(self._array)]

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return cnp.PyArray_NDIM(self._array)

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded so that gradients can flow to it."""
        return needs_grad(self)

    @requires_grad.setter
    def requires_grad(self, bint value):
        if needs_grad(self) == value:
            return
        if self.node is not None:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
                "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        if value and not cnp.PyArray_ISFLOAT(self._array):
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, but this one has dtype {self.dtype}"
            )
        if value and self.inference and not mg_inference:
            raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.")
        self.leaf_requires_grad = value

    @property
    def is_leaf(self) -> bool:
        """True for a tensor that no recorded operation made: the end of a gradient's way."""
        needs_grad(self)
        return self.node is None

    @property
    def grad_fn(self):
        """The node of the operation that made this tensor, None for a leaf."""
        needs_grad(self)
        return self.node

    @property
    def output_nr(self) -> int:
        """Which output of grad_fn this tensor is."""
        return self.nr

    @property
    def grad(self):
        """The gradient accumulated by backward(), None before the first. Warns for a non-leaf tensor that does not retain it."""
        if self._grad is None and self.node is not None and not self.retains:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be populated "
                "during autograd.backward(). Call .retain_grad() on it first if you want it to be.",
                UserWarning,
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is None:
            self._grad = None
            return
        if not isinstance(value, TensorBase):
            raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}")
        cdef TensorBase new = <TensorBase> value
        if new is self:
            raise RuntimeError("can't assign Variable as its own grad")
        if cnp.PyArray_TYPE(new._array) != cnp.PyArray_TYPE(self._array):
            raise RuntimeError(f"assigned grad has data of a different type: expected {self.dtype}, got {new.dtype}")
        if not cnp.PyArray_SAMESHAPE(new._array, self._array):
            raise RuntimeError(
                f"assigned grad has data of a different size: expected {tuple(self.shape)}, got {tuple(new.shape)}"
            )
        self._grad = new

    @grad.deleter
    def grad(self):
        self._grad = None

    @property
    def data(self):
        """The same storage as a tensor outside the graph; writes to it escape the version counter."""
        return wrap(self._array)

    @data.setter
    def data(self, value):
        if not isinstance(value, TensorBase):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if self.leaf_requires_grad and not cnp.PyArray_ISFLOAT((<TensorBase> value)._array):
            raise RuntimeError("data set to a tensor that requires gradients must be floating point dtype")
        self._array = (<TensorBase> value)._array

    @property
    def _version(self) -> int:
        """How often this tensor's storage was written by in-place operations. RuntimeError for an inference tensor."""
        if self.inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return 0 if self.version is None else self.version.value

    @property
    def _base(self):
        """The tensor that this one is a differentiable view of, None for any other tensor."""
        return self.base

    @property
    def retains_grad(self) -> bool:
        """Whether backward() keeps this non-leaf tensor's gradient in .grad."""
        return self.retains != 0

    def is_inference(self) -> bool:
        """Whether this tensor was made in inference mode: it takes no part in any graph."""
        return self.inference != 0

    def _is_view(self) -> bool:
        """Whether this tensor is a differentiable view of another."""
        return self.base is not None

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
        """Adds the gradient of this tensor (a scalar, or weighted by `gradient`) to .grad of every leaf it depends on.

        Frees the graph unless retain_graph (by default create_graph); create_graph=True makes the gradients differentiable.
        inputs: the only tensors to accumulate into. Raises RuntimeError for a tensor that does not require grad, and for one
        that is no scalar without a gradient. See minigrad.autograd.backward.
        """
        cdef Walk walk
        cdef bint create, retain
        if gradient is not None or inputs is not None or cnp.PyArray_SIZE(self._array) != 1 or not needs_grad(self):
            general_backward(self, gradient, retain_graph, create_graph, inputs)
            return
        create = create_graph
        retain = create if retain_graph is None else retain_graph
        walk = Walk.__new__(Walk)
        walk.queue = Queue()
        walk.retain_graph, walk.create_graph, walk.accumulate = retain, create, True
        walk.deliver(None, edge_of(self), ones_like(self), False)
        walk.run()

    def detach(self):
        """The same storage, cut from the graph. Writes to it are seen by the version check of the original."""
        cdef TensorBase out = wrap(self._array)
        out.version = shared_version(self)
        out.inference = self.inference
        return out

    def detach_(self):
        """Cuts this tensor from the graph, in place: it becomes a leaf that does not require grad."""
        if self.base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self.node = None
        self.nr = 0
        self.leaf_requires_grad = False
        return self

    def requires_grad_(self, bint requires_grad=True):
        """Sets requires_grad and gives the tensor itself."""
        self.requires_grad = requires_grad
        return self

    def retain_grad(self) -> None:
        """Has backward() keep this tensor's gradient in .grad, as it does for leaves."""
        if not needs_grad(self):
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self.node is None or self.retains:
            return
        self.retains = True
        keep_gradient(self)

    def register_hook(self, hook):
        """Calls hook(gradient) when this tensor's gradient is complete; a Tensor it returns takes the gradient's place.

        Returns a handle whose remove() takes the hook away.
        """
        if not needs_grad(self):
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.node is None:
            if self.hooks is None:
                self.hooks = {}
            return HookHandle(self.hooks, hook)
        if extras_of(self.node).hooks is None:
            self.node.extras.hooks = {}
        return HookHandle(self.node.extras.hooks.setdefault(self.nr, {}), hook)

    def register_post_accumulate_grad_hook(self, hook):
        """Calls hook(tensor) after backward() has accumulated into this leaf's .grad."""
        if self.node is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        if not self.leaf_requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.post_hooks is None:
            self.post_hooks = {}
        return HookHandle(self.post_hooks, hook)

    # What the in-place operations (minigrad/ops/inplace.py) are made of.

    def _set_array(self, cnp.ndarray array) -> None:
        """Gives a tensor made by __new__ its array."""
        self._array = array
        self.inference = inference_was_used and mg_inference

    def _is_plain(self) -> bool:
        """Whether writing the elements, which lie in order, changes nothing but the version: no graph, no mode, nobody who watches."""
        return is_plain(self)

    def _shadow(self):
        """The tensor as it is now, under another name: its node stays when an in-place operation gives the original a new one."""
        needs_grad(self)
        cdef TensorBase out = wrap(self._array)
        out.node, out.nr, out.leaf_requires_grad = self.node, self.nr, self.leaf_requires_grad
        out.version, out.base, out.seen, out.inference = shared_version(self), self.base, self.seen, self.inference
        return out

    def _own_storage(self) -> None:
        """Gives a shadow that a node has saved its own copy of the values, which the write to come does not reach."""
        cdef Version version = Version.__new__(Version)
        version.value = self.version.value
        self._array, self.version, self.base = self._array.copy(), version, None

    def _add_grad(self, TensorBase g) -> None:
        """Adds to .grad, for a tensor that need not be a leaf."""
        self._grad = g if self._grad is None else self._grad + g

    def _bump_version(self) -> None:
        """Notes that the storage was written."""
        bump(self)

    def _rebind(self, TensorBase result) -> None:
        """Takes over the place of `result` in the graph, and counts a write of the storage."""
        drop_gradient(self)
        self.node, self.nr = result.node, result.nr
        if self.node is not None:
            self.leaf_requires_grad = False
            if self.retains:
                keep_gradient(self)
        self._bump_version()
        self.seen = self.version.value

    def _rearrange(self, TensorBase result, bint recorded) -> None:
        """Takes over the shape of `result`, a view of this tensor, and if `recorded` its place in the graph; counts a write."""
        drop_gradient(self)
        self._array = result._array
        if recorded:
            self.node, self.nr = result.node, result.nr
            if self.node is not None and self.retains:
                keep_gradient(self)
        self._bump_version()
        self.seen = self.version.value

    def _set_view_node(self, TensorBase result) -> None:
        """Gives a view whose base was written the node that derives it from the base as it is now."""
        self.node, self.nr = result.node, result.nr
        self.seen = self.version.value

    def _origin(self) -> int:
        """How this view was made: 0 recorded, 1 while grad mode was off, 2 by a user's autograd.Function, 3 in inference mode."""
        return self.origin


@cython.final
cdef class HookHandle:
    """Takes a hook away again: handle.remove(), or use it as a context manager."""
    cdef dict _hooks
    cdef object _key

    def __cinit__(self, dict hooks, object hook):
        if not callable(hook):
            raise TypeError(f"a hook must be callable, but got {type(hook).__name__}")
        self._hooks = hooks
        self._key = object()
        hooks[self._key] = hook

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        self._hooks.pop(self._key, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


cdef TensorBase wrap(cnp.ndarray array):
    """A new leaf Tensor around the array."""
    cdef TensorBase t = <TensorBase> mg_new(tensor_type, no_arguments)
    t._array = array
    if inference_was_used and mg_inference:
        t.inference = True
    return t


cdef TensorBase ones_like(TensorBase t):
    """The incoming gradient of a scalar of any shape."""
    cdef cnp.ndarray one = empty(cnp.PyArray_NDIM(t._array), cnp.PyArray_DIMS(t._array), cnp.PyArray_TYPE(t._array))
    if cnp.PyArray_TYPE(one) == cnp.NPY_FLOAT32:
        (<float *> cnp.PyArray_DATA(one))[0] = 1
    else:
        (<double *> cnp.PyArray_DATA(one))[0] = 1
    return wrap(one)


cdef bint is_plain(TensorBase t) except -1:
    if watching or t.inference or inference_was_used and mg_inference or not cnp.PyArray_ISCARRAY(t._array):
        return False
    if not mg_grad_mode:
        return True
    return not needs_grad(t) and (t.base is None or t.origin == RECORDED and not needs_grad(t.base))


cdef inline void bump(TensorBase t):
    cdef Version version = shared_version(t)
    version.value = version.value + 1


cpdef object constant_of(object value):
    """The array of a tensor to which no gradient would flow now, a number itself; None for anything else."""
    if isinstance(value, TensorBase):
        return None if mg_grad_mode and needs_grad(<TensorBase> value) else (<TensorBase> value)._array
    return value if type(value) is float or type(value) is int else None


def are_alike(list tensors) -> bool:
    """Whether these are tensors of one dtype and one shape."""
    cdef TensorBase t
    cdef cnp.ndarray first = None
    for x in tensors:
        if not isinstance(x, TensorBase):
            return False
        t = <TensorBase> x
        if first is None:
            first = t._array
        elif cnp.PyArray_TYPE(t._array) != cnp.PyArray_TYPE(first) or not cnp.PyArray_SAMESHAPE(t._array, first):
            return False
    return True


def overwritten(object overwrite, TensorBase input, tuple args, dict kwargs) -> bool:
    """Whether overwrite(array, ...), given the arrays of the other arguments, has written its result over the elements of the
    tensor: not if that were to be recorded, or an argument is neither a number nor a tensor without a gradient."""
    cdef list operands
    cdef dict keywords = {}
    if not is_plain(input):
        return False
    operands = [input._array]
    for given in args:
        value = constant_of(given)
        if value is None:
            return False
        operands.append(value)
    for name, given in kwargs.items():
        value = constant_of(given)
        if value is None:
            return False
        keywords[name] = value
    if not overwrite(*operands, **keywords):
        return False
    bump(input)
    return True


def from_array(cnp.ndarray array):
    """A new leaf Tensor around the array (of a supported dtype): shared, not copied."""
    return wrap(array)


cdef inline Version shared_version(TensorBase t):
    if t.version is None:
        t.version = Version.__new__(Version)
    return t.version


cpdef raise_function_view(TensorBase t, str what):
    """Refuses the write of a view that a custom Function made, or of the base of one that is used afterwards."""
    maker = "a custom Function" if t.node is None else t.node.name()
    raise RuntimeError(
        f"Output {t.nr} of {maker} is a view and {what} modified inplace. This view was created inside a custom Function (or because an "
        "input was returned as-is) and the write would bypass the custom backward, leading to incorrect gradients. You can fix this by "
        "cloning the output of the custom Function."
    )


cdef inline bint late_base(TensorBase t) noexcept:
    """Whether the base of this view, which was made while the graph was recorded, has come to require grad since."""
    return t.base.leaf_requires_grad and t.origin == RECORDED


cdef inline bint needs_grad(TensorBase t) except -1:
    """requires_grad, after a view whose base was written has been given its new node."""
    if t.base is not None and (t.version.value != t.seen or (t.node is None and not t.leaf_requires_grad and late_base(t))):
        if t.origin == IN_FUNCTION:
            raise_function_view(t, "its base or another view of its base has been")
        refresh_view(t)
    return t.node is not None or t.leaf_requires_grad
