# The nodes of the graph, how an operation is recorded, and what a node keeps for its gradient: a part of engine.pyx.


@cython.final
@cython.freelist(64)
cdef class Edge:
    """The way of a gradient to an output other than the first of a node with several."""

cdef object edge_of(TensorBase t):
    """Where the gradient of t goes: a node, an Edge, the leaf itself, or None."""
    if not needs_grad(t):
        return None
    if t.node is None:
        return t
    if t.nr == 0:
        return t.node
    cdef Edge edge = Edge.__new__(Edge)
    edge.node, edge.output_nr = t.node, t.nr
    return edge


class AccumulateGrad:
    """What grad_fn.next_functions shows for a leaf: its gradient is added to variable.grad."""

    next_functions = ()

    def __init__(self, variable):
        self.variable = variable

    def name(self) -> str:
        return "AccumulateGrad"

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {hex(id(self.variable))}>"


cdef dict kept_by_class = {}


cdef tuple what_is_kept(type cls):
    """For each parameter of cls.backward after g: (its index in forward, or -1 for `out`; bit mask of the inputs whose gradient
    reads it). Read off the signatures once for each class."""
    cdef object known = kept_by_class.get(cls)
    if known is not None:
        return <tuple> known
    code = cls.forward.__code__
    forward = list(code.co_varnames[1:code.co_argcount])
    variadic = code.co_flags & 0x04                          # forward(self, *arrays)
    code = cls.backward.__code__
    named = list(code.co_varnames[2:code.co_argcount])
    reads = cls.reads or {}
    keeps = []
    for name in named:
        if name != "out" and (variadic or name not in forward):
            raise TypeError(f"{cls.__name__}.backward names {name!r}: neither `out` nor a parameter of forward {forward}")
        readers = 0
        for i, parameter in enumerate(forward):
            if name in reads.get(parameter, named):
                readers |= 1 << i
        keeps.append((-1 if name == "out" else forward.index(name), -1 if variadic else readers))
    kept_by_class[cls] = tuple(keeps)
    return kept_by_class[cls]


@cython.final
cdef class Extras:
    """What few nodes have: who waits for the gradient of an output, hooks, notes, and what was packed of what they save."""

    def __cinit__(self):
        self.captures = []           # (the walk that wants it, output_nr, place in its results) or (None, output_nr, weak tensor)


cdef class Function:
    """A node of the graph: one differentiable operation, with what its backward reads.

    A subclass defines `forward(self, *arrays)`, which gives an array or a tuple of arrays, and
    `backward(self, g, ...)`, which gives a Tensor or None for each of forward's parameters. Operation parameters (a
    dimension, a stride) go to the constructor. `apply(XFunction(...), x, w)` runs it.

    Class attributes:
        reads          {"x": ("y",), ...}: the gradient for parameter x reads y and no more. What no gradient that is
                       asked for reads is not kept, and arrives in backward as None.
        returns_view   forward gives a view of its first array.
        label          the name that the node is shown by, where it is not the class's.
        frees          names of attributes (of arrays, not differentiable) to delete when the graph is freed.
    """
    reads = None
    label = None
    returns_view = False
    frees = ()

    def forward(self, *arrays):
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, g):
        raise NotImplementedError(f"the derivative of {self.name()} is not implemented")

    def name(self) -> str:
        """The operation's name, as PyTorch spells it: MulBackward0."""
        return self.own_name() if self.extras is None or self.extras.label is None else self.extras.label

    def own_name(self) -> str:
        """name(), unless the operation is a part of one that is shown by a name of its own."""
        return self.label or type(self).__name__.removesuffix("Function") + "Backward0"

    def __repr__(self) -> str:
        return f"<{self.name()} object at {hex(id(self))}>"

    @property
    def needs_input_grad(self) -> tuple:
        """For each of forward's parameters, whether its gradient is asked for."""
        if self.edges is None:
            return (False,) * 64
        return tuple([self.needs(i) for i in range(len(self.edges))])

    @property
    def next_functions(self) -> tuple:
        """The nodes that this node's gradients flow to, with the number of their output."""
        found = []
        for edge in self.edges or ():
            if edge is None:
                found.append((None, 0))
            elif isinstance(edge, TensorBase):
                found.append((AccumulateGrad(edge), 0))
            elif type(edge) is Edge:
                found.append(((<Edge> edge).node, (<Edge> edge).output_nr))
            else:
                found.append((edge, 0))
        return tuple(found)

    @property
    def metadata(self) -> dict:
        """What has been noted about this node; empty unless somebody wrote into it."""
        if extras_of(self).metadata is None:
            self.extras.metadata = {}
        return self.extras.metadata

    def register_prehook(self, hook):
        """Calls hook(grad_outputs) before this node's rule runs; a tuple that it returns takes their place. Returns a handle."""
        if extras_of(self).pre_hooks is None:
            self.extras.pre_hooks = {}
        return HookHandle(self.extras.pre_hooks, hook)

    def register_hook(self, hook):
        """Calls hook(grad_inputs, grad_outputs) after this node's rule has run; a tuple that it returns takes the place of grad_inputs.

        Returns a handle whose remove() takes the hook away.
        """
        if extras_of(self).post_hooks is None:
            self.extras.post_hooks = {}
        return HookHandle(self.extras.post_hooks, hook)

    @property
    def saved_arrays(self) -> tuple:
        """The arrays kept for backward."""
        found = [(<TensorBase> kept)._array for kept in self.saved or () if kept is not None]
        found.extend(self.saved_out if type(self.saved_out) is tuple else (self.saved_out,))
        found.extend([getattr(self, name, None) for name in type(self).frees])
        return tuple([array for array in found if isinstance(array, np.ndarray)])

    @property
    def saved_bytes(self) -> int:
        """The bytes of the arrays kept for backward."""
        return sum([array.nbytes for array in self.saved_arrays])

    @property
    def output_shape(self):
        """The shape of the output; None for a node with several."""
        if self.edges is None or self.n_outputs != 1 or self.out_ndim > 8:
            return None
        return size_class([self.out_dims[i] for i in range(self.out_ndim)])

    @property
    def output_dtype(self):
        """The dtype of the output; None for a node with several."""
        return None if self.output_shape is None else dtype_of_typenum[self.out_typenum]

    cdef bint needs(self, int i) noexcept:
        # Bits are shared from the 64th input on: a gradient too many may be computed, and is then dropped.
        return self.edges is not None and self.edges[i] is not None and (self.mask >> (i & 63)) & 1

    cdef int keep(self, TensorBase x, TensorBase y) except -1:
        """Keeps two inputs (or None) for a compiled rule, stamped with their versions."""
        self.saved = (x, y)
        cdef long x_version = 0 if x is None else stamp_of(x), y_version = 0 if y is None else stamp_of(y)
        if x_version or y_version:
            self.stamps = (x_version, y_version)
        if saving_hooks_were_used and mg_saving_hooks != NULL:
            pack(self)
        return 0

    cdef int check_saved(self) except -1:
        """Raises if what was kept has been freed, or written since."""
        cdef Py_ssize_t i
        cdef long expected
        if self.freed:
            raise_freed(self)
        for i in range(0 if self.saved is None else len(self.saved)):
            kept = self.saved[i]
            if kept is not None:
                expected = 0 if self.stamps is None else self.stamps[i]
                if (<TensorBase> kept).version is not None and (<TensorBase> kept).version.value != expected:
                    raise_modified(self, <TensorBase> kept, expected)
        return 0

    cdef void describe_output(self, cnp.ndarray array) noexcept:
        cdef int i
        self.out_ndim = cnp.PyArray_NDIM(array)
        self.out_typenum = cnp.PyArray_TYPE(array)
        for i in range(min(self.out_ndim, 8)):
            self.out_dims[i] = cnp.PyArray_DIM(array, i)

    cdef object run_backward(self, object g, bint create_graph):
        """Runs the rule on what was kept. Compiled nodes override this."""
        cdef list arguments = [g]
        cdef Py_ssize_t i = 0
        if self.saved is None and self.saved_out is None:
            if self.freed:
                raise_freed(self)
        else:
            self.check_saved()
        for where, _ in what_is_kept(type(self)):
            if where >= 0:
                arguments.append(self.saved[i])
                i += 1
            else:
                arguments.append(unpack_out(self, create_graph))
        return self.backward(*arguments)


cdef raise_freed(Function node):
    raise RuntimeError(
        f"Trying to backward through the graph a second time, at {node.name()}: what it had saved was freed by the first "
        "backward(). Specify retain_graph=True in the first call if you need to backward through the graph a second time."
    )


cdef raise_modified(Function node, TensorBase kept, long expected):
    made_by = "" if kept.node is None or kept.node is node else f", which is output {kept.nr} of {kept.node.name()},"
    raise RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[{kept.dtype} {list((<object> kept._array).shape)}]{made_by} saved for {node.name()}, is at version {kept._version}; expected "
        f"version {expected} instead. Hint: use the out-of-place form of the operation that wrote it, or clone() it first."
    )


cdef inline void stamp_out(Function node, TensorBase out) noexcept:
    node.saved_out = out._array
    node.out_versions = (shared_version(out), out.version.value)


cdef int keep_out(Function node, TensorBase out) except -1:
    """Keeps the output for a compiled rule, stamped with its version; unpack_out gives it back."""
    stamp_out(node, out)
    if saving_hooks_were_used and mg_saving_hooks != NULL:
        pack(node)
    return 0


cdef object unpack_out(Function node, bint create_graph):
    """The saved output, bound to its own node again when the gradient is to be differentiated. None if no gradient reads it."""
    cdef Py_ssize_t i
    if node.saved_out is None:
        return None
    if type(node.saved_out) is tuple:
        outs = []
        for i, array in enumerate(node.saved_out):
            version, stamp = node.out_versions[i]
            outs.append(bind_out(node, array, <Version> version, stamp, i, create_graph))
        return tuple(outs)
    version, stamp = node.out_versions
    return bind_out(node, node.saved_out, <Version> version, stamp, 0, create_graph)


cdef TensorBase bind_out(Function node, cnp.ndarray array, Version version, long stamp, int i, bint create_graph):
    cdef TensorBase t = wrap(array)
    t.version = version
    if version.value != stamp:
        t.node, t.nr = node, i
        raise_modified(node, t, stamp)
    if create_graph and cnp.PyArray_ISFLOAT(array):
        t.node, t.nr = node, i
    return t


cdef inline long stamp_of(TensorBase t) except -1:
    """The version of a tensor that a node is about to save."""
    if t.inference:
        raise RuntimeError(
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in computation tracked "
            "by autograd. To work around this, you can make a clone to get a normal tensor and use it in autograd, or use no_grad() "
            "instead of inference_mode()."
        )
    return 0 if t.version is None else t.version.value


cdef inline void attach(TensorBase out, Function node, tuple edges) noexcept:
    """Makes `node` the maker of `out`: the end of every differentiable operation that is recorded."""
    global mg_sequence
    mg_sequence += 1
    node.seq = mg_sequence
    node.edges = edges
    node.mask = <unsigned long> -1
    node.n_outputs = 1
    node.describe_output(out._array)
    out.node = node


def apply(Function node, *inputs):
    """Runs node.forward on the arrays of the inputs (Tensors, or None for an absent one) and records it if need be.

    Returns a Tensor, or a tuple of Tensors where forward gave a tuple.
    """
    if not watching:
        return run_forward(node, inputs)
    outs = None
    begin(node, inputs)
    try:
        outs = run_forward(node, inputs)
    finally:
        end(node, inputs, outs)
    return outs


def as_view(TensorBase x, cnp.ndarray view, cls, *arguments):
    """apply(cls(*arguments), x) where the array that it would give, a view, is made already: the node is made only if it is recorded.

    cls is a Function whose forward keeps no more than x.shape, as `source`.
    """
    cdef TensorBase out
    cdef Function node
    if watching:
        return apply(cls(*arguments), x)
    out = wrap(view)
    set_view(out, x)
    if mg_grad_mode and needs_grad(x):
        node = cls(*arguments)
        node.source = (<object> x._array).shape
        attach(out, node, (edge_of(x),))
    return out


def try_kernel(kernel, *arguments):
    """kernel(*arguments), with its array for each tensor, where that is all there is to do: the tensors are of one float dtype and shape,
    none of them needs a gradient, and nobody watches. Else None, and the operation goes by way of a node.

    A node costs as much as a kernel of a thousand elements. The kernel makes its arrays by minigrad._ext.memory.
    """
    cdef TensorBase t
    cdef cnp.ndarray first = None
    cdef int typenum = 0
    cdef list given = []
    if watching:
        return None
    for x in arguments:
        if isinstance(x, TensorBase):
            t = <TensorBase> x
            if first is None:
                first, typenum = t._array, cnp.PyArray_TYPE(t._array)
                if typenum != cnp.NPY_FLOAT32 and typenum != cnp.NPY_FLOAT64:
                    return None
            elif cnp.PyArray_TYPE(t._array) != typenum or not cnp.PyArray_SAMESHAPE(t._array, first):
                return None
            if mg_grad_mode and needs_grad(t):
                return None
            x = t._array
        given.append(x)
    return None if first is None else as_output(kernel(*given))


cdef object run_forward(Function node, tuple inputs):
    cdef list arrays = []
    cdef bint recorded = False, large = False
    cdef TensorBase t
    for x in inputs:
        if x is None:
            arrays.append(None)
            continue
        if not isinstance(x, TensorBase):
            raise TypeError(f"{type(node).__name__.removesuffix('Function')}: expected a Tensor, but got {type(x).__name__}")
        t = <TensorBase> x
        arrays.append(t._array)
        large = large or cnp.PyArray_NBYTES(t._array) >= CACHED_FROM
        if mg_grad_mode and needs_grad(t):
            recorded = True
    if recorded:
        node.mask = <unsigned long> -1
        node.edges = tuple([None if x is None else edge_of(<TensorBase> x) for x in inputs])
    if large:
        before = enter_cache()
        try:
            y = node.forward(*arrays)
        finally:
            leave_cache(before)
    else:
        y = node.forward(*arrays)
    cls = type(node)
    if type(y) is tuple:
        outs = tuple([as_output(part) for part in y])
    else:
        outs = as_output(y)
    if cls.returns_view:
        if type(outs) is tuple:
            for out in outs:
                set_view(<TensorBase> out, <TensorBase> inputs[0])
        else:
            set_view(<TensorBase> outs, <TensorBase> inputs[0])
    if recorded:
        record(node, inputs, outs, what_is_kept(cls))
    return outs


cdef TensorBase as_output(object y):
    if type(y) is not np.ndarray:
        y = np.asarray(y)
    return wrap(<cnp.ndarray> y)


cdef set_view(TensorBase out, TensorBase source):
    out.base = source if source.base is None else source.base
    out.version = shared_version(source)
    out.seen = out.version.value
    out.origin = RECORDED if mg_grad_mode else IN_INFERENCE if mg_inference else WITHOUT_GRAD
    out.inference = source.inference


cdef record(Function node, tuple inputs, object outs, tuple keeps):
    """Gives the outputs their node, and the node what its backward reads."""
    global mg_sequence
    cdef TensorBase out, t
    cdef long wanted = 0
    cdef Py_ssize_t i
    cdef list saved = [], stamps = []
    cdef bint stamped = False, keeps_out = False
    mg_sequence += 1
    node.seq = mg_sequence
    for i in range(len(inputs)):
        if node.edges[i] is not None:
            wanted |= <long> 1 << (i & 63)
    for where, readers in keeps:
        if where < 0:
            keeps_out = keeps_out or (readers & wanted) != 0
            continue
        if inputs[where] is None or not (readers & wanted):
            saved.append(None)
            stamps.append(0)
            continue
        t = <TensorBase> inputs[where]
        saved.append(t)
        stamps.append(stamp_of(t))
        stamped = stamped or stamps[len(stamps) - 1] != 0
    if saved:
        node.saved = tuple(saved)
        if stamped:
            node.stamps = tuple(stamps)
    if type(outs) is tuple:
        node.n_outputs = len(outs)
        node.gives_tuple = True
        for i in range(len(outs)):
            out = <TensorBase> outs[i]
            if cnp.PyArray_ISFLOAT(out._array):
                out.node, out.nr = node, i
        if keeps_out:
            node.saved_out = tuple([(<TensorBase> o)._array for o in outs])
            node.out_versions = tuple([(shared_version(<TensorBase> o), (<TensorBase> o)._version) for o in outs])
        if len(outs) == 1:
            node.describe_output((<TensorBase> outs[0])._array)
        else:
            node.out_ndim = -1
    else:
        out = <TensorBase> outs
        node.n_outputs = 1
        node.describe_output(out._array)
        if cnp.PyArray_ISFLOAT(out._array):
            out.node = node
        if keeps_out:
            stamp_out(node, out)
    if saving_hooks_were_used and mg_saving_hooks != NULL:
        pack(node)


# What saved_tensors_hooks change: a node keeps what `pack` gave for each tensor, and asks `unpack` for it when its rule runs.

cdef inline Extras extras_of(Function node):
    if node.extras is None:
        node.extras = Extras.__new__(Extras)
    return node.extras


cdef pack(Function node):
    """Puts what pack gives in the place of each tensor that the node has saved."""
    cdef Extras extras
    cdef TensorBase t
    if node.saved is None and node.saved_out is None:
        return
    pack_hook, unpack_hook = (<list> mg_saving_hooks)[len(<list> mg_saving_hooks) - 1]
    extras = extras_of(node)
    extras.unpack = unpack_hook
    saved, arrays = node.saved or (), node.saved_out if type(node.saved_out) is tuple else (node.saved_out,)
    node.saved = node.saved_out = None
    extras.packed = tuple([None if t is None else (edge_of(t), pack_hook(t)) for t in saved])
    extras.packed_out = tuple([None if array is None else pack_hook(wrap(array)) for array in arrays])


cdef unpack(Function node, bint create_graph):
    """Gives the node what it had saved for the time that its rule runs."""
    cdef Extras extras = node.extras
    saved = []
    for packed in extras.packed:
        saved.append(None if packed is None else bind_unpacked(unpacked(extras.unpack, packed[1]), packed[0], create_graph))
    node.saved = tuple(saved) if saved else None
    node.stamps = tuple([0 if t is None else stamp_of(<TensorBase> t) for t in saved])
    arrays, versions = [], []
    for packed in extras.packed_out:
        t = None if packed is None else unpacked(extras.unpack, packed)
        arrays.append(None if t is None else (<TensorBase> t)._array)
        versions.append(None if t is None else (shared_version(<TensorBase> t), (<TensorBase> t).version.value))
    if type(node.out_versions) is tuple and len(arrays) and arrays[0] is not None:
        several = type((<tuple> node.out_versions)[0]) is tuple
        node.saved_out = tuple(arrays) if several else arrays[0]
        node.out_versions = tuple(versions) if several else versions[0]


cdef TensorBase unpacked(object hook, object packed):
    t = hook(packed)
    if not isinstance(t, TensorBase):
        raise TypeError(f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(t).__name__}")
    return <TensorBase> t


cdef class UnpackedFunction(Function):
    """The identity: what was unpacked, in the place of the tensor that was saved."""

    cdef object run_backward(self, object g, bint create_graph):
        return g


cdef TensorBase bind_unpacked(TensorBase t, object edge, bint create_graph):
    """The unpacked tensor, with the way of the original's gradient where that is to be differentiated."""
    cdef TensorBase out
    if not create_graph:
        return t
    out = wrap(t._array)
    if edge is not None:
        attach(out, UnpackedFunction.__new__(UnpackedFunction), (edge,))
    return out


cdef class ContextNode(Function):
    """The node of a user's autograd.Function (minigrad/autograd/function.py). It has an edge for each Tensor among the arguments; its rule
    `run_rule(gradients)` gives a tuple with a gradient or None for each, and asks for what was kept itself.
    """

    def run_rule(self, g: tuple) -> tuple:
        raise NotImplementedError(f"{type(self).__name__} has no rule")

    cdef object run_backward(self, object g, bint create_graph):
        return self.run_rule(g)

    def _begin(self, tensors: tuple) -> bool:
        """Notes the ways of the gradients to the input tensors; gives whether the operation is recorded."""
        if not mg_grad_mode:
            return False
        edges = tuple([edge_of(<TensorBase> t) for t in tensors])
        for edge in edges:
            if edge is not None:
                self.edges = edges
                self.mask = <unsigned long> -1
                return True
        return False

    def _number(self, outputs: tuple) -> None:
        """Gives the node its place in the order of the graph, after all that its forward recorded."""
        global mg_sequence
        mg_sequence += 1
        self.seq = mg_sequence
        self.n_outputs = len(outputs)
        self.gives_tuple = True
        if len(outputs) == 1 and isinstance(outputs[0], TensorBase):
            self.describe_output((<TensorBase> outputs[0])._array)

    def _bind(self, TensorBase out, int nr) -> None:
        """Makes the tensor output `nr` of this node; a view among the outputs may not be written from now on."""
        out.node, out.nr = self, nr
        if out.base is not None:
            out.origin = IN_FUNCTION

    def _alias(self, TensorBase source):
        """The same elements as a view of their own, which can have another place in the graph."""
        cdef TensorBase out = wrap(source._array)
        set_view(out, source)
        return out

    def _keep(self, tensors: tuple) -> None:
        """Keeps tensors (or None) for backward, stamped with their versions; outputs of this node without a reference to themselves."""
        cdef TensorBase t
        cdef Py_ssize_t i
        inputs, stamps, places, arrays, versions = [], [], [], [], []
        for i, kept in enumerate(tensors):
            t = <TensorBase> kept
            if t is not None and t.node is self:
                places.append((i, t.nr))
                arrays.append(t._array)
                versions.append((shared_version(t), t.version.value))
                t = None
            inputs.append(t)
            stamps.append(0 if t is None else stamp_of(t))
        self.saved, self.stamps = tuple(inputs), tuple(stamps)
        if places:
            self.places, self.saved_out, self.out_versions = tuple(places), tuple(arrays), tuple(versions)
        if saving_hooks_were_used and mg_saving_hooks != NULL:
            pack(self)

    def _kept(self) -> tuple:
        """What was kept. Raises RuntimeError if it was freed, or written since."""
        cdef Py_ssize_t i
        cdef bint packed = self.saved is None and self.extras is not None and self.extras.packed is not None
        if packed:
            unpack(self, True)
        self.check_saved()
        found = list(self.saved or ())
        for i in range(len(self.places or ())):
            place, nr = self.places[i]
            version, stamp = self.out_versions[i]
            found[place] = bind_out(self, self.saved_out[i], <Version> version, stamp, nr, True)
        if packed:
            self.saved = self.saved_out = None
        return tuple(found)
