"""Module: registration, names, conversion, state dicts, hooks, and the path in error messages. Most tests run on PyTorch too."""

import copy
import pickle
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


def make_linear(lib):
    class Lin(lib.nn.Module):
        def __init__(self, n_in, n_out):
            super().__init__()
            self.n_in = n_in
            self.weight = lib.nn.Parameter(lib.arange(n_in * n_out, dtype=lib.float32).reshape(n_out, n_in) / 7)
            self.bias = lib.nn.Parameter(lib.ones(n_out))
            self.register_buffer("count", lib.zeros((), dtype=lib.int64))

        def forward(self, x, shift=0):
            if x.shape[-1] != self.n_in:
                raise ValueError(f"expected {self.n_in} features, got {x.shape[-1]}")
            return (x.unsqueeze(-2) * self.weight).sum(-1) + self.bias + shift

        def extra_repr(self):
            return f"{self.n_in}"

    return Lin


class Scale(nn.Module):
    """At module level, so that it can be pickled."""

    def __init__(self, n):
        super().__init__()
        self.gain = nn.Parameter(mg.ones(n))
        self.register_buffer("mask", mg.ones(n), persistent=False)

    def forward(self, x):
        return x * self.gain * self.mask


@pytest.fixture
def net(lib):
    Lin = make_linear(lib)

    class Net(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = lib.nn.Sequential(Lin(3, 4), lib.nn.Flatten(0), lib.nn.Unflatten(0, (-1, 4)))
            self.head = Lin(4, 2)
            self.scale = lib.nn.Parameter(lib.ones(1))

        def forward(self, x):
            return self.head(self.body(x)) * self.scale

    return Net()


def names(pairs):
    return [name for name, _ in pairs]


def same_error(lib, kind, call, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value.args[0]).replace("torch.", "minigrad.")


def test_named_members_come_in_the_order_of_registration(net):
    assert names(net.named_parameters()) == ["scale", "body.0.weight", "body.0.bias", "head.weight", "head.bias"]
    assert names(net.named_parameters(prefix="p", recurse=False)) == ["p.scale"]
    assert names(net.named_buffers()) == ["body.0.count", "head.count"]
    assert names(net.named_modules()) == ["", "body", "body.0", "body.1", "body.2", "head"]
    assert names(net.named_children()) == ["body", "head"]
    assert [len(list(x)) for x in (net.parameters(), net.buffers(), net.children(), net.modules())] == [5, 2, 2, 6]


def test_shared_members_come_once_unless_asked(lib):
    Lin = make_linear(lib)
    layer = Lin(2, 2)
    tied = lib.nn.Sequential(layer, layer, Lin(2, 2))
    tied[2].weight = layer.weight
    assert names(tied.named_parameters()) == ["0.weight", "0.bias", "2.bias"]
    assert names(tied.named_modules()) == ["", "0", "2"]
    assert names(tied.named_modules(remove_duplicate=False)) == ["", "0", "1", "2"]
    assert len(names(tied.named_parameters(remove_duplicate=False))) == 6
    assert sum("weight" in name for name in tied.state_dict()) == 3


def test_repr(net):
    assert repr(net) == (
        "Net(\n  (body): Sequential(\n    (0): Lin(3)\n    (1): Flatten(start_dim=0, end_dim=-1)\n"
        "    (2): Unflatten(dim=0, unflattened_size=(-1, 4))\n  )\n  (head): Lin(4)\n)"
    )


def test_repr_of_empty_and_of_several_lines(lib):
    class Two(lib.nn.Module):
        def extra_repr(self):
            return "a=1\nb=2"

    assert repr(lib.nn.Module()) == "Module()"
    assert repr(Two()) == "Two(\n  a=1\n  b=2\n)"
    outer = lib.nn.Module()
    outer.add_module("none", None)
    outer.inner = Two()
    assert repr(outer) == "Module(\n  (none): None\n  (inner): Two(\n    a=1\n    b=2\n  )\n)"


def test_parameter_repr_and_flags(lib):
    p = lib.nn.Parameter(lib.tensor([1.0, 2.0]))
    assert repr(p) == "Parameter containing:\ntensor([1., 2.], requires_grad=True)"
    assert isinstance(p, lib.Tensor)
    assert p.requires_grad
    assert p.is_leaf
    with lib.no_grad():
        assert lib.nn.Parameter(lib.ones(2)).requires_grad
    assert not lib.nn.Parameter(lib.ones(2), requires_grad=False).requires_grad
    assert lib.nn.Parameter().shape == (0,)


def test_parameter_shares_memory_and_copies_deeply(lib):
    data = lib.zeros(3)
    p = lib.nn.Parameter(data)
    data[0] = 5
    assert p[0].item() == 5
    q = copy.deepcopy(p)
    assert type(q) is lib.nn.Parameter
    assert q.requires_grad
    data[0] = 6
    assert q[0].item() == 5
    memo = {}
    assert copy.deepcopy([p, p], memo)[0] is copy.deepcopy(p, memo)
    r = pickle.loads(pickle.dumps(p))
    assert type(r) is lib.nn.Parameter
    assert r.tolist() == p.tolist()
    assert r.requires_grad


def test_assignment_moves_a_name_between_the_tables(lib):
    m = lib.nn.Module()
    m.x = 3
    m.x = lib.nn.Parameter(lib.ones(2))
    assert names(m.named_parameters()) == ["x"]
    m.x = None
    assert names(m.named_parameters()) == []
    assert m.x is None
    del m.x
    m.x = lib.nn.Flatten()
    m.x = None
    m.x = lib.nn.Flatten()
    assert names(m.named_children()) == ["x"]
    del m.x
    assert not hasattr(m, "x")
    m.b = lib.nn.Buffer(lib.ones(2), persistent=False)
    assert names(m.named_buffers()) == ["b"]
    assert list(m.state_dict()) == []
    m.b = lib.zeros(3)
    assert names(m.named_buffers()) == ["b"]
    m.plain = lib.zeros(3)
    assert names(m.named_buffers()) == ["b"]
    del m.b
    assert names(m.named_buffers()) == []


def test_tables_can_be_written_directly(lib):
    m = make_linear(lib)(2, 2)
    w = lib.nn.Parameter(lib.zeros(2, 2))
    m._parameters["weight"] = w
    assert m.weight is w
    del m._parameters["bias"]
    assert not hasattr(m, "bias")
    m.bias = 3
    assert m.bias == 3
    m._buffers.clear()
    assert not hasattr(m, "count")
    m._parameters.update(a=w)
    assert m.a is w
    assert m._parameters.setdefault("a") is w
    assert m._parameters.pop("a") is w
    assert not hasattr(m, "a")
    assert m._parameters.popitem() == ("weight", w)
    assert not hasattr(m, "weight")
    m._modules = {"child": lib.nn.Flatten()}
    assert m.child is next(m.children())
    m._modules = {}
    assert not hasattr(m, "child")


def test_a_module_is_freed_without_the_garbage_collector():
    net = nn.Sequential(Scale(2), nn.ModuleList([Scale(1)]))
    alive = [weakref.ref(thing) for thing in (net, net[0], net[0].gain, net[1][0].mask)]
    del net
    assert [reference() for reference in alive] == [None] * 4


def test_shallow_copy_has_its_own_tables():
    a = Scale(2)
    b = copy.copy(a)
    assert b.gain is a.gain
    b.gain = nn.Parameter(mg.zeros(2))
    assert a.gain.tolist() == [1, 1]
    assert list(b.state_dict()) == ["gain"]


def test_assignment_errors(lib):
    m = make_linear(lib)(2, 2)
    m.child = lib.nn.Flatten()
    text = "cannot assign 'minigrad.FloatTensor' as parameter 'weight' (minigrad.nn.Parameter or None expected)"
    same_error(lib, TypeError, lambda: setattr(m, "weight", lib.ones(2)), text)
    same_error(lib, TypeError, lambda: setattr(m, "weight", m.child), "cannot assign")
    same_error(lib, TypeError, lambda: setattr(m, "child", lib.nn.Buffer(lib.ones(2))), "as child module 'child'")
    same_error(
        lib, TypeError, lambda: setattr(m, "child", 3), "cannot assign 'int' as child module 'child' (minigrad.nn.Module"
    )
    same_error(
        lib, TypeError, lambda: setattr(m, "count", 3), "cannot assign 'int' as buffer 'count' (minigrad.nn.Buffer, minigrad"
    )
    same_error(lib, AttributeError, lambda: m.nothing, "'Lin' object has no attribute 'nothing'")
    with pytest.raises(AttributeError):
        del m.nothing


def test_registering_errors(lib):
    m = make_linear(lib)(2, 2)
    p = lib.nn.Parameter(lib.ones(2))
    same_error(lib, KeyError, lambda: m.register_parameter("a.b", p), "parameter name can't contain")
    same_error(lib, KeyError, lambda: m.register_parameter("", p), "parameter name can't be empty string")
    same_error(lib, KeyError, lambda: m.register_parameter("forward", p), "attribute 'forward' already exists")
    same_error(lib, TypeError, lambda: m.register_parameter(3, p), "parameter name should be a string. Got int")
    same_error(
        lib, TypeError, lambda: m.register_parameter("q", 3), "cannot assign 'int' object to parameter 'q' (minigrad.nn.Par"
    )
    same_error(lib, ValueError, lambda: _register_non_leaf(lib, m), "Cannot assign non-leaf Tensor to parameter 'q'")
    same_error(lib, KeyError, lambda: m.register_buffer("a.b", None), "buffer name can't contain")
    same_error(lib, KeyError, lambda: m.register_buffer("weight", None), "attribute 'weight' already exists")
    same_error(lib, TypeError, lambda: m.register_buffer("q", 3), "cannot assign 'int' object to buffer 'q' (")
    same_error(lib, TypeError, lambda: m.add_module("q", 3), "int is not a Module subclass")
    same_error(lib, KeyError, lambda: m.add_module("a.b", None), "module name can't contain")
    same_error(lib, KeyError, lambda: m.register_module("weight", None), "attribute 'weight' already exists")
    assert names(m.named_parameters()) == ["weight", "bias"]


def _register_non_leaf(lib, module):
    class Result(lib.nn.Parameter):
        @property
        def grad_fn(self):
            return True

    module.register_parameter("q", Result(lib.ones(2)))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda lib: lib.nn.Parameter(lib.ones(1)), "cannot assign parameters before Module.__init__() call"),
        (lambda lib: lib.nn.Flatten(), "cannot assign module before Module.__init__() call"),
        (lambda lib: lib.nn.Buffer(lib.ones(1)), "cannot assign buffer before Module.__init__() call"),
    ],
)
def test_assigning_before_init_raises(lib, make, text):
    class Early(lib.nn.Module):
        def __init__(self):
            self.x = make(lib)

    same_error(lib, AttributeError, Early, text)


def test_init_takes_no_arguments(lib):
    same_error(lib, TypeError, lambda: lib.nn.Module(3), "takes 1 positional argument but 2 were given")
    same_error(lib, TypeError, lambda: lib.nn.Module(a=3), "got an unexpected keyword argument 'a'")


def test_forward_is_required(lib):
    same_error(
        lib, NotImplementedError, lambda: lib.nn.Module()(3), 'Module [Module] is missing the required "forward" function'
    )


def test_members_by_path(lib, net):
    assert net.get_submodule("") is net
    assert net.get_submodule("body.0") is net.body[0]
    assert net.get_parameter("body.0.weight") is net.body[0].weight
    assert net.get_buffer("head.count") is net.head.count
    same_error(lib, AttributeError, lambda: net.get_submodule("body.9"), "has no attribute `9`")
    same_error(lib, AttributeError, lambda: net.get_submodule("scale"), "`scale` is not an nn.Module")
    same_error(lib, AttributeError, lambda: net.get_parameter("head.count"), "`count` is not an nn.Parameter")
    same_error(lib, AttributeError, lambda: net.get_parameter("head.no"), "Lin has no attribute `no`")
    same_error(lib, AttributeError, lambda: net.get_buffer("head.weight"), "`weight` is not a buffer")
    new = lib.nn.Flatten()
    net.set_submodule("body.1", new)
    assert net.body[1] is new
    same_error(lib, ValueError, lambda: net.set_submodule("", new), "Cannot set the submodule without a target name!")


def test_conversion_changes_floats_only_and_keeps_the_objects(lib, net):
    weight = net.head.weight
    (net(lib.ones(2, 3)).sum()).backward()
    assert net.double() is net
    assert net.head.weight is weight
    assert weight.dtype is lib.float64
    assert weight.grad.dtype is lib.float64
    assert weight.requires_grad
    assert weight.is_leaf
    assert net.head.count.dtype is lib.int64
    assert net.float().head.weight.dtype is lib.float32
    assert net.to(lib.float64).head.bias.dtype is lib.float64
    assert net.to("cpu", lib.float32).head.bias.dtype is lib.float32
    assert net.to(dtype=lib.float64).head.bias.dtype is lib.float64
    assert net.to(lib.ones(1)).head.bias.dtype is lib.float32
    assert net.to(device="cpu").cpu() is net
    assert net.type(lib.float64).head.count.dtype is lib.float64
    with pytest.raises(TypeError, match="only accepts floating point"):
        net.to(lib.int64)
    with pytest.raises((RuntimeError, AssertionError)):
        net.cuda()


def test_no_half():
    with pytest.raises(NotImplementedError, match="float32 and float64 only"):
        nn.Flatten().half()
    with pytest.raises(NotImplementedError, match="float32 and float64 only"):
        nn.Flatten().bfloat16()
    with pytest.raises(RuntimeError, match="CPU only"):
        nn.Flatten().to("cuda:0")


def test_modes_and_gradients(lib, net):
    assert net.training
    net.eval()
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    with pytest.raises(ValueError, match="training mode is expected to be boolean"):
        net.train(1)
    net(lib.ones(2, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(p.grad is not None and not p.grad.numpy().any() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())


def test_apply_goes_from_the_leaves_up(net):
    seen = []
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Lin", "Flatten", "Unflatten", "Sequential", "Lin", "Net"]


def test_state_dict(lib, net):
    state = net.state_dict()
    expected = ["scale", "body.0.weight", "body.0.bias", "body.0.count", "head.weight", "head.bias", "head.count"]
    assert list(state) == expected
    assert isinstance(state, OrderedDict)
    assert dict(state._metadata)["body.0"] == {"version": 1}
    assert not state["scale"].requires_grad
    assert net.state_dict(keep_vars=True)["scale"] is net.scale
    assert next(iter(net.state_dict(prefix="p."))) == "p.scale"
    net.scale.data[0] = 9
    assert state["scale"].item() == 9
    assert repr(net.load_state_dict(state)) == "<All keys matched successfully>"


def test_load_state_dict_copies_values_and_keeps_objects(lib, net):
    other = copy.deepcopy(net)
    with lib.no_grad():
        for p in other.parameters():
            p.add_(1)
    weight, version = net.head.weight, net.head.weight._version
    result = net.load_state_dict(other.state_dict())
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    assert net.head.weight is weight
    assert net.head.weight.tolist() == other.head.weight.tolist()
    assert net.head.weight.requires_grad
    assert weight._version > version
    with lib.no_grad():
        other.head.weight.zero_()
    assert net.head.weight.detach().numpy().any()


def test_load_state_dict_reports_everything_and_loads_nothing():
    Lin = make_linear(mg)
    net = nn.Sequential(Lin(3, 4), Lin(4, 2))
    state = {key: value + 1 for key, value in net.state_dict().items()}
    state["1.weight"] = mg.zeros(5, 5)
    state["1.nonsense"] = mg.zeros(1)
    state["2.weight"] = mg.zeros(1)
    del state["0.bias"]
    before = {key: value.tolist() for key, value in net.state_dict().items()}
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Sequential:\n\t"
        'Missing key(s) in state_dict: "0.bias". \n\t'
        'Unexpected key(s) in state_dict: "2.weight", "1.nonsense". \n\t'
        "size mismatch for 1.weight: copying a param with shape minigrad.Size([5, 5]) from checkpoint, "
        "the shape in current model is minigrad.Size([2, 4])."
    )
    assert {key: value.tolist() for key, value in net.state_dict().items()} == before


def test_load_state_dict_message_is_that_of_torch(torch):
    messages = []
    for lib in (mg, torch):
        Lin = make_linear(lib)
        net = lib.nn.Sequential(Lin(3, 4), Lin(4, 2))
        state = dict(net.state_dict())
        state.update({"1.weight": lib.zeros(5, 5), "1.extra": lib.zeros(1), "x": lib.zeros(1)})
        del state["0.bias"], state["1.count"]
        with pytest.raises(RuntimeError) as caught:
            net.load_state_dict(state)
        messages.append(str(caught.value).replace("minigrad", "torch"))
    assert messages[0] == messages[1]


def test_load_state_dict_not_strict(lib, net):
    state = net.state_dict()
    del state["scale"]
    state["more"] = lib.zeros(1)
    result = net.load_state_dict(state, strict=False)
    assert (result.missing_keys, result.unexpected_keys) == (["scale"], ["more"])
    text = "_IncompatibleKeys(missing_keys=['scale'], unexpected_keys=['more'])"
    assert repr(result) == text
    state["scale"] = lib.zeros(3)
    with pytest.raises(RuntimeError, match="size mismatch for scale"):
        net.load_state_dict(state, strict=False)
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like"):
        net.load_state_dict([1])
    with pytest.raises(RuntimeError, match="While copying the parameter named"):
        net.load_state_dict({"scale": 3.0}, strict=False)


def test_load_state_dict_scalar_from_one_element(lib, net):
    state = net.state_dict()
    state["head.count"] = lib.tensor([7])
    net.load_state_dict(state)
    assert net.head.count.item() == 7
    assert net.head.count.shape == ()


def test_load_state_dict_assign(lib, net):
    state = {key: value.clone() for key, value in net.state_dict().items()}
    net.scale.requires_grad_(False)
    net.load_state_dict(state, assign=True)
    state["scale"][0] = 4
    assert net.scale.item() == 4
    assert isinstance(net.scale, lib.nn.Parameter)
    assert not net.scale.requires_grad
    assert net.head.weight.requires_grad


def test_extra_state(lib):
    class Counting(lib.nn.Module):
        n = 0

        def get_extra_state(self):
            return {"n": self.n}

        def set_extra_state(self, state):
            self.n = state["n"]

    a, b = lib.nn.Sequential(Counting()), lib.nn.Sequential(Counting())
    a[0].n = 3
    assert list(a.state_dict()) == ["0._extra_state"]
    b.load_state_dict(a.state_dict())
    assert b[0].n == 3
    with pytest.raises(RuntimeError, match="_extra_state"):
        b.load_state_dict({})
    with pytest.raises(RuntimeError, match="Unexpected"):
        lib.nn.Sequential(lib.nn.Flatten()).load_state_dict(a.state_dict())


def test_positional_arguments_of_state_dict(lib, net):
    with pytest.warns(FutureWarning, match="Positional args are being deprecated"):
        state = net.state_dict(OrderedDict(), "p.", True)
    assert next(iter(state)) == "p.scale"
    assert state["p.scale"] is net.scale


def test_state_dict_hooks(lib, net):
    seen = []
    net.register_state_dict_pre_hook(lambda module, prefix, keep_vars: seen.append(("pre", prefix, keep_vars)))
    net.register_state_dict_post_hook(lambda module, state, prefix, meta: state.update(extra=lib.ones(1)))
    net.register_load_state_dict_pre_hook(lambda module, state, *rest: state.pop("extra") and None)
    handle = net.register_load_state_dict_post_hook(lambda module, keys: seen.append(tuple(keys)))
    state = net.state_dict()
    assert "extra" in state
    net.load_state_dict(state)
    assert seen == [("pre", "", False), ([], [])]
    assert "extra" in state
    handle.remove()
    net.load_state_dict(state)
    assert len(seen) == 2


def test_deepcopy_and_pickle():
    net = nn.Sequential(Scale(3), nn.Dropout(0.25), Scale(3)).eval()
    net[2].gain = net[0].gain
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert repr(other) == repr(net)
        assert other[0].gain is not net[0].gain
        assert other[2].gain is other[0].gain
        assert not other[1].training
        assert other[1].p == 0.25
        assert "mask" not in other.state_dict()
        assert other(mg.ones(3)).tolist() == [1, 1, 1]


def test_dir(net):
    assert {"scale", "body", "forward", "training"} <= set(dir(net))
    assert "0" not in dir(net.body)


# Hooks


def test_forward_hooks(lib):
    layer = make_linear(lib)(2, 1)
    x = lib.ones(1, 2)
    plain = layer(x).item()
    order = []
    first = layer.register_forward_pre_hook(lambda m, args: order.append("pre"))
    layer.register_forward_pre_hook(lambda m, args: (args[0] * 2,), prepend=True)
    layer.register_forward_pre_hook(lambda m, args, kwargs: (args, {"shift": kwargs["shift"] + 1}), with_kwargs=True)
    layer.register_forward_hook(lambda m, args, out: order.append("post"))
    layer.register_forward_hook(lambda m, args, kwargs, out: out + 100 * kwargs["shift"], with_kwargs=True)
    assert layer(x, shift=1).item() == pytest.approx(2 * (plain - 1) + 1 + 2 + 200)
    assert order == ["pre", "post"]
    first.remove()
    first.remove()
    layer(x, shift=1)
    assert order == ["pre", "post", "post"]
    layer.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="forward pre-hook must return None or a tuple"):
        layer(x, shift=1)


def test_forward_hook_called_on_error(lib):
    layer = make_linear(lib)(2, 1)
    seen = []
    layer.register_forward_hook(lambda m, args, out: seen.append("no"))
    with layer.register_forward_hook(lambda m, args, out: seen.append("yes"), always_call=True):
        with pytest.raises(ValueError, match="expected 2 features"):
            layer(lib.ones(1, 3))
        assert seen == ["yes"]
    with pytest.raises(ValueError, match="expected 2 features"):
        layer(lib.ones(1, 3))
    assert seen == ["yes"]


def test_full_backward_hooks(lib):
    layer = make_linear(lib)(2, 1)
    x = lib.ones(3, 2, requires_grad=True)
    seen = []

    def hook(module, grad_input, grad_output):
        seen.append((tuple(grad_input[0].shape), tuple(grad_output[0].shape)))
        return (grad_input[0] * 10,)

    layer.register_full_backward_hook(hook)
    layer.register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 2,))
    layer(x).sum().backward()
    assert seen == [((3, 2), (3, 1))]
    np.testing.assert_allclose(x.grad.tolist(), np.tile(20 * np.asarray(layer.weight.tolist()), (3, 1)), rtol=1e-6)
    assert layer.bias.grad.tolist() == [6]


def registry(lib):
    return lib.nn.module if lib is mg else lib.nn.modules.module


def test_hooks_of_all_modules_come_before_its_own(lib):
    hooks, seen = registry(lib), []
    net = lib.nn.Sequential(make_linear(lib)(2, 2))
    net[0].register_forward_pre_hook(lambda m, args: seen.append("own pre"))
    net[0].register_forward_hook(lambda m, args, out: seen.append("own"))
    handles = [
        hooks.register_module_forward_pre_hook(lambda m, args: seen.append(f"pre {type(m).__name__}")),
        hooks.register_module_forward_hook(lambda m, args, kwargs, out: seen.append(sorted(kwargs)), with_kwargs=True),
        hooks.register_module_forward_hook(lambda m, args, out: out * 2 if isinstance(m, lib.nn.Sequential) else None),
    ]
    x = lib.ones(2)
    doubled = net(x)
    assert seen == ["pre Sequential", "pre Lin", "own pre", [], "own", []]
    for handle in handles:
        handle.remove()
    seen.clear()
    assert (net(x) * 2).tolist() == doubled.tolist()
    assert seen == ["own pre", "own"]
    assert lib is not mg or not nn.Module._hooked


def test_backward_hooks_of_all_modules(lib):
    hooks, seen = registry(lib), []
    net = lib.nn.Sequential(make_linear(lib)(2, 3))
    with (
        hooks.register_module_full_backward_pre_hook(lambda m, go: (go[0] * 2,)),
        hooks.register_module_full_backward_hook(lambda m, gi, go: seen.append((type(m).__name__, go[0].tolist()))),
    ):
        x = lib.ones(2, requires_grad=True)
        net(x).sum().backward()
    assert seen == [("Lin", [4.0] * 3), ("Sequential", [2.0] * 3)]
    hooked = x.grad.clone()
    x.grad = None
    net(x).sum().backward()
    assert hooked.tolist() == (4 * x.grad).tolist()


def test_a_hook_of_all_modules_that_is_always_called(lib):
    hooks, seen = registry(lib), []
    with (
        hooks.register_module_forward_hook(lambda m, args, out: seen.append(out), always_call=True),
        hooks.register_module_forward_hook(lambda m, args, out: seen.append("not this")),
        pytest.raises(ValueError, match="expected 2 features"),
    ):
        make_linear(lib)(2, 2)(lib.ones(3))
    assert seen == [None]


def test_hooks_of_registration(lib):
    hooks, seen = registry(lib), []

    def note(module, name, value):
        seen.append((name, None if value is None else type(value).__name__))

    with (
        hooks.register_module_parameter_registration_hook(note),
        hooks.register_module_buffer_registration_hook(note),
        hooks.register_module_module_registration_hook(note),
    ):
        module = make_linear(lib)(1, 1)
        module.bias = None
        module.count = lib.ones(1)
        module.child = lib.nn.ReLU()
        module.child = None
        module.add_module("other", lib.nn.Tanh())
    module.later = lib.nn.ReLU()
    assert seen == [
        ("weight", "Parameter"), ("bias", "Parameter"), ("count", "Tensor"), ("count", "Tensor"), ("child", "ReLU"), ("child", None),
        ("other", "Tanh"),
    ]  # fmt: skip
    with hooks.register_module_parameter_registration_hook(lambda m, name, p: lib.nn.Parameter(p * 2)):
        module = lib.nn.Module()
        module.twice = lib.nn.Parameter(lib.ones(1))
    assert module.twice.tolist() == [2.0]


def test_full_backward_hook_without_input_gradient(lib):
    layer = make_linear(lib)(2, 1)
    seen = []
    handle = layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, tuple(go[0].shape))))
    with pytest.warns(
        UserWarning, match="Full backward hook is firing when gradients are computed with respect to module outputs"
    ):
        layer(lib.ones(3, 2)).sum().backward()
    assert seen == [((None,), (3, 1))]
    handle.remove()
    layer(lib.ones(3, 2)).sum().backward()
    assert len(seen) == 1


# The path in error messages


def raised(net, x):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        net(x)
    return caught.value


class Raising(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        raise self.error


def nested(layer):
    outer = nn.Module()
    outer.features = nn.Sequential(nn.Flatten(), nn.Sequential(layer))
    outer.forward = lambda x: outer.features(x)
    return outer


def test_error_names_the_path():
    Lin = make_linear(mg)
    net = nested(Lin(3, 4))
    error = raised(net, mg.ones(2, 5))
    assert type(error) is ValueError
    assert str(error) == "features.1.0 (Lin(3)): expected 3 features, got 5"
    assert error.__traceback__ is not None
    assert str(raised(Lin(3, 4), mg.ones(2, 5))) == "Lin(3): expected 3 features, got 5"


def test_located_error_can_be_pickled():
    class Local(Raising):
        pass

    error = pickle.loads(pickle.dumps(raised(nested(Local(ValueError("bad"))), mg.ones(2, 2))))
    assert (type(error), str(error)) == (ValueError, "features.1.0 (Local()): bad")


def test_error_of_a_container_itself_names_its_class():
    Lin = make_linear(mg)
    net = nn.Sequential(Lin(3, 4), nn.ModuleList([Lin(1, 1)]))
    assert str(raised(net, mg.ones(2, 3))).startswith('1 (ModuleList): Module [ModuleList] is missing the required "forward"')


def test_path_of_a_grandchild_called_directly():
    Lin = make_linear(mg)
    net = nn.Module()
    net.block = nn.Module()
    net.block.conv = Lin(3, 4)
    net.forward = lambda x: net.block.conv(x)
    assert str(raised(net, mg.ones(2, 5))).startswith("block.conv (Lin(3)): expected")


def test_unregistered_module_keeps_its_own_description():
    Lin = make_linear(mg)
    hidden = Lin(3, 4)
    net = nn.Module()
    net.forward = lambda x: hidden(x)
    assert str(raised(nn.Sequential(net), mg.ones(2, 5))) == "Lin(3): expected 3 features, got 5"


class Odd(Exception):
    def __init__(self, code, *, reason):
        super().__init__(code, reason)

    def __str__(self):
        return f"odd {self.args}"


@pytest.mark.parametrize("error", [KeyError("k"), Odd(3, reason="r"), OSError(2, "no file"), RuntimeError(), ValueError(1, 2)])
def test_error_with_other_arguments_gets_a_note(error):
    text, args = str(error), error.args
    got = raised(nested(Raising(error)), mg.ones(2, 2))
    assert got is error
    assert (str(got), got.args) == (text, args)
    assert got.__notes__ == ["in features.1.0 (Raising())"]


def test_error_subclass_keeps_its_type():
    class Custom(ValueError):
        pass

    got = raised(nested(Raising(Custom("bad"))), mg.ones(2, 2))
    assert type(got) is Custom
    assert str(got) == "features.1.0 (Raising()): bad"


def test_stop_iteration_and_recursion_pass_untouched():
    for error in (StopIteration("x"), RecursionError("deep")):
        got = raised(nested(Raising(error)), mg.ones(2, 2))
        assert got is error
        assert got.args in (("x",), ("deep",))
        assert not hasattr(got, "__notes__")


def test_error_in_extra_repr_does_not_hide_the_error():
    class Broken(Raising):
        def extra_repr(self):
            raise AttributeError("half built")

    assert str(raised(nested(Broken(ValueError("bad"))), mg.ones(2, 2))) == "features.1.0 (Broken): bad"
