"""The optimizers: equal to PyTorch step by step, and to the formulas in numpy; groups, state and errors."""

import copy
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim
from minigrad._ext import optim as kernels
from minigrad._ext.threads import set_parallel_threshold

SETTINGS = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        {"lr": 0.1, "momentum": 0.7, "dampening": 0.3, "weight_decay": 0.05},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "maximize": True},
        {"lr": 0.1, "weight_decay": 0.2, "maximize": True},
    ],
    "Adam": [{}, {"weight_decay": 0.1, "amsgrad": True}, {"lr": 0.02, "betas": (0.5, 0.9), "maximize": True, "eps": 1e-3}],
    "AdamW": [{}, {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True}],
    "RMSprop": [
        {},
        {"momentum": 0.9},
        {"centered": True, "weight_decay": 0.1},
        {"centered": True, "momentum": 0.5, "alpha": 0.8},
    ],
    "Adagrad": [{}, {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.2}],
    "Adadelta": [{}, {"lr": 0.5, "rho": 0.7, "weight_decay": 0.1, "maximize": True}],
}
CASES = [(name, options) for name, settings in SETTINGS.items() for options in settings]


def parameters(lib, arrays):
    return [lib.nn.Parameter(lib.tensor(array)) for array in arrays]


def set_grads(lib, params, grads):
    for param, grad in zip(params, grads, strict=True):
        param.grad = lib.tensor(grad)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_steps_are_those_of_torch(torch, rng, name, options, dtype):
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((5, 3), (7,), ())]
    ours, theirs = parameters(mg, arrays), parameters(torch, arrays)
    a, b = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for _ in range(12):
        grads = [np.asarray(rng.standard_normal(x.shape), dtype) for x in arrays]
        set_grads(mg, ours, grads)
        set_grads(torch, theirs, grads)
        a.step()
        b.step()
    limit = {"float32": 5e-6, "float64": 1e-13}[dtype]
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x.detach().numpy(), y.detach().numpy(), rtol=limit, atol=limit)
        for key, value in b.state.get(y, {}).items():
            if value is not None:
                np.testing.assert_allclose(a.state[x][key].numpy(), value.numpy(), rtol=10 * limit, atol=limit)
    ours_state, theirs_state = a.state_dict(), b.state_dict()
    assert ours_state["param_groups"] == theirs_state["param_groups"]
    assert {k: set(v) for k, v in ours_state["state"].items()} == {
        k: {key for key, value in v.items() if value is not None} for k, v in theirs_state["state"].items()
    }
    assert repr(a) == repr(b)


def test_sgd_against_the_formula(rng):
    p, g1, g2 = (rng.standard_normal(6) for _ in range(3))
    param = mg.nn.Parameter(mg.tensor(p))
    optimizer = optim.SGD([param], lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.3)
    d = g1 + 0.3 * p
    b = d
    p = p - 0.1 * b
    param.grad = mg.tensor(g1)
    optimizer.step()
    np.testing.assert_allclose(param.detach().numpy(), p, rtol=1e-14)
    b = 0.9 * b + 0.8 * (g2 + 0.3 * p)
    p = p - 0.1 * b
    param.grad = mg.tensor(g2)
    optimizer.step()
    np.testing.assert_allclose(param.detach().numpy(), p, rtol=1e-14)


def test_adam_against_the_formula(rng):
    p = rng.standard_normal(6)
    param = mg.nn.Parameter(mg.tensor(p))
    optimizer = optim.AdamW([param], lr=0.1, betas=(0.8, 0.9), weight_decay=0.2)
    m = v = 0
    for t in range(1, 4):
        g = rng.standard_normal(6)
        param.grad = mg.tensor(g)
        optimizer.step()
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        p = p * (1 - 0.1 * 0.2)
        p = p - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-8)
    np.testing.assert_allclose(param.detach().numpy(), p, rtol=1e-13)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_bits_do_not_depend_on_threads(rng, name, options):
    array, grads = rng.standard_normal(30_001).astype("f"), rng.standard_normal((3, 30_001)).astype("f")
    results = []
    threads_before, old = mg.get_num_threads(), set_parallel_threshold(0)
    try:
        for threads in (1, 2, 3):
            mg.set_num_threads(threads)
            param = mg.nn.Parameter(mg.tensor(array))
            optimizer = getattr(optim, name)([param], **options)
            for grad in grads:
                param.grad = mg.tensor(grad)
                optimizer.step()
            results.append(param.detach().numpy().tobytes())
    finally:
        set_parallel_threshold(old)
        mg.set_num_threads(threads_before)
    assert results[0] == results[1] == results[2]


def test_strided_parameters_and_gradients(rng):
    array, grad = rng.standard_normal((4, 6)), rng.standard_normal((4, 6))
    dense = mg.nn.Parameter(mg.tensor(array))
    base = mg.tensor(np.ascontiguousarray(array.T))
    strided = mg.nn.Parameter(base.T)
    for param, g in ((dense, mg.tensor(grad)), (strided, mg.tensor(np.ascontiguousarray(grad.T)).T)):
        param.grad = g
    for param in (dense, strided):
        optim.SGD([param], lr=0.5, momentum=0.9).step()
    assert strided.tolist() == dense.tolist()
    assert base.T.tolist() == dense.tolist()


def test_zero_sized_and_gradientless_parameters(lib):
    empty, unused = lib.nn.Parameter(lib.zeros(0, 3)), lib.nn.Parameter(lib.ones(2))
    empty.grad = lib.zeros(0, 3)
    optimizer = lib.optim.SGD([empty, unused], lr=0.1, momentum=0.9)
    optimizer.step()
    assert unused.tolist() == [1, 1]
    assert list(optimizer.state_dict()["state"]) == [0]


def test_infinite_parameter_stays_without_weight_decay(lib):
    p = lib.nn.Parameter(lib.tensor([float("inf"), 1.0]))
    p.grad = lib.tensor([1.0, 1.0])
    lib.optim.SGD([p], lr=0.5).step()
    assert p.tolist() == [float("inf"), 0.5]


@pytest.mark.parametrize(
    ("name", "options"),
    [("SGD", {"momentum": 0.9}), ("Adam", {}), ("RMSprop", {"momentum": 0.5}), ("AdamW", {"weight_decay": 0.0})],
)
def test_state_of_a_dead_unit_becomes_zero_and_not_a_denormal_number(name, options):
    """A denormal number times 0.9 rounds to itself: it would stay for ever, and slow down every step."""
    tiny = np.finfo(np.float32).tiny
    p = mg.ones(70_000, requires_grad=True)
    optimizer = getattr(optim, name)([p], lr=0.01, **options)
    p.grad = mg.full(p.shape, 4 * float(tiny))
    for _ in range(60):
        optimizer.step()
        p.grad.zero_()
    for state in optimizer.state[p].values():
        values = np.abs(state.numpy())
        assert not ((values > 0) & (values < tiny)).any()
    assert np.isfinite(p.detach().numpy()).all()


def test_step_counts_as_a_write(lib):
    p = lib.nn.Parameter(lib.ones(2))
    loss = (p * p).sum()
    loss.backward(retain_graph=True)
    version = p._version
    lib.optim.SGD([p], lr=0.1).step()
    assert p._version > version
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_read_only_parameter_is_refused():
    array = np.ones(3, "f")
    array.setflags(write=False)
    p = mg.nn.Parameter()
    p._set_array(array)
    p.grad = mg.ones(3)
    with pytest.raises(RuntimeError, match="read-only"):
        optim.SGD([p], lr=0.1).step()


def test_state_that_does_not_fit_is_refused():
    p = mg.nn.Parameter(mg.ones(3))
    p.grad = mg.ones(3)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9)
    optimizer.step()
    optimizer.state[p]["momentum_buffer"] = mg.ones(2)
    with pytest.raises(RuntimeError, match="does not fit"):
        optimizer.step()
    with pytest.raises(RuntimeError, match="does not fit"):
        kernels.sgd([np.ones(3)], [np.ones(2)], [None], [False], 0.1, 0, 0, 0, False, False)


def test_closure_and_zero_grad(lib):
    p = lib.nn.Parameter(lib.ones(2))
    optimizer = lib.optim.SGD([p], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with lib.no_grad():
        assert optimizer.step(closure).item() == 2
    assert p.tolist() == [0.5, 0.5]
    assert optimizer.step() is None
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0, 0]
    optimizer.zero_grad()
    assert p.grad is None


def test_groups(lib):
    a, b, c = (lib.nn.Parameter(lib.ones(1)) for _ in range(3))
    optimizer = lib.optim.SGD([{"params": a, "lr": 1.0}, {"params": [b]}], lr=0.5, momentum=0.0)
    optimizer.add_param_group({"params": [c], "lr": 0.25})
    for p in (a, b, c):
        p.grad = lib.ones(1)
    optimizer.step()
    assert [p.item() for p in (a, b, c)] == [0, 0.5, 0.75]
    assert [group["params"] for group in optimizer.state_dict()["param_groups"]] == [[0], [1], [2]]


def test_named_parameters(lib):
    layer = lib.nn.ParameterDict({"a": lib.ones(1), "b": lib.ones(2)})
    optimizer = lib.optim.SGD(layer.named_parameters(), lr=0.1)
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["a", "b"]
    with pytest.raises(ValueError, match="should be with/without names"):
        optimizer.add_param_group({"params": [lib.nn.Parameter(lib.ones(1))]})
    with pytest.raises(ValueError, match="Some param names are missing"):
        lib.optim.SGD([("a", layer["a"]), layer["b"]], lr=0.1)


def test_state_dict_round_trip(lib):
    def make():
        params = [lib.nn.Parameter(lib.ones(2)), lib.nn.Parameter(lib.ones(3))]
        return params, lib.optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}], lr=0.1, momentum=0.9)

    params, optimizer = make()
    for p in params:
        p.grad = p.detach().clone()
    optimizer.step()
    state = copy.deepcopy(optimizer.state_dict())
    others, other = make()
    other.load_state_dict(state)
    for p, q in zip(params, others, strict=True):
        with lib.no_grad():
            q.copy_(p)
        q.grad = p.grad.clone()
    optimizer.step()
    other.step()
    assert [p.tolist() for p in params] == [q.tolist() for q in others]
    assert other.param_groups[1]["lr"] == 0.5
    with pytest.raises(ValueError, match="different number of parameter groups"):
        lib.optim.SGD(params, lr=0.1).load_state_dict(state)
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        lib.optim.SGD([{"params": params}, {"params": [lib.nn.Parameter(lib.ones(1))]}], lr=0.1).load_state_dict(state)


def test_loaded_state_takes_the_dtype_of_the_parameter(lib):
    p = lib.nn.Parameter(lib.ones(2, dtype=lib.float64))
    optimizer = lib.optim.Adam([p])
    buffers = {"step": lib.tensor(3.0), "exp_avg": lib.ones(2), "exp_avg_sq": lib.ones(2)}
    optimizer.load_state_dict({"state": {0: buffers}, "param_groups": optimizer.state_dict()["param_groups"]})
    assert optimizer.state[p]["exp_avg"].dtype is lib.float64
    assert optimizer.state[p]["step"].dtype is lib.float32


def test_pickle_and_deepcopy():
    p = mg.nn.Parameter(mg.ones(2))
    p.grad = mg.ones(2)
    optimizer = optim.SGD([p], lr=0.5, momentum=0.5)
    optimizer.step()
    for other in (pickle.loads(pickle.dumps(optimizer)), copy.deepcopy(optimizer)):
        (q,) = other.param_groups[0]["params"]
        assert q is not p
        assert other.state[q]["momentum_buffer"].tolist() == [1, 1]
        q.grad = mg.ones(2)
        other.step()
        assert q.tolist() == [-0.25, -0.25]


def test_hooks(lib):
    p = lib.nn.Parameter(lib.ones(1))
    optimizer = lib.optim.SGD([p], lr=0.1)
    seen = []
    handle = optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("pre"))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("post"))
    optimizer.step()
    handle.remove()
    optimizer.step()
    assert seen == ["pre", "post", "post"]


def test_hooks_of_state_dicts(lib):
    optimizer = lib.optim.SGD([lib.nn.Parameter(lib.ones(1))], lr=0.1)
    seen = []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("save"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "extra": 1})
    optimizer.register_state_dict_post_hook(lambda o, state: seen.append(sorted(state)), prepend=True)
    optimizer.register_load_state_dict_pre_hook(lambda o, state: seen.append(state.pop("extra")))
    handle = optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    state = optimizer.state_dict()
    assert state["extra"] == 1
    optimizer.load_state_dict(state)
    assert state["extra"] == 1
    handle.remove()
    optimizer.load_state_dict(state)
    assert seen == ["save", ["param_groups", "state"], 1, "loaded", 1]


def one(lib):
    return [lib.nn.Parameter(lib.ones(1))]


@pytest.mark.parametrize(
    ("kind", "call", "text"),
    [
        (ValueError, lambda lib: lib.optim.SGD([], lr=0.1), "optimizer got an empty parameter list"),
        (ValueError, lambda lib: lib.optim.SGD(one(lib), lr=-0.1), "Invalid learning rate: -0.1"),
        (ValueError, lambda lib: lib.optim.SGD(one(lib), momentum=-1), "Invalid momentum value: -1"),
        (ValueError, lambda lib: lib.optim.SGD(one(lib), weight_decay=-1), "Invalid weight_decay value: -1"),
        (ValueError, lambda lib: lib.optim.SGD(one(lib), nesterov=True), "Nesterov momentum requires a momentum and zero"),
        (ValueError, lambda lib: lib.optim.Adam(one(lib), lr=-1), "Invalid learning rate: -1"),
        (ValueError, lambda lib: lib.optim.Adam(one(lib), eps=-1), "Invalid epsilon value: -1"),
        (ValueError, lambda lib: lib.optim.Adam(one(lib), betas=(0.9, 1.0)), "Invalid beta parameter at index 1: 1.0"),
        (ValueError, lambda lib: lib.optim.Adam(one(lib), betas=(0, 0.9)), "betas must be either both floats or both Tensors"),
        (ValueError, lambda lib: lib.optim.RMSprop(one(lib), alpha=-1), "Invalid alpha value: -1"),
        (ValueError, lambda lib: lib.optim.RMSprop(one(lib), momentum=-1), "Invalid momentum value: -1"),
        (ValueError, lambda lib: lib.optim.Adagrad(one(lib), lr_decay=-1), "Invalid lr_decay value: -1"),
        (
            ValueError,
            lambda lib: lib.optim.Adagrad(one(lib), initial_accumulator_value=-1),
            "Invalid initial_accumulator_value val",
        ),
        (ValueError, lambda lib: lib.optim.Adadelta(one(lib), rho=2), "Invalid rho value: 2"),
        (
            TypeError,
            lambda lib: lib.optim.SGD(lib.ones(2), lr=0.1),
            "params argument given to the optimizer should be an iterable",
        ),
        (
            TypeError,
            lambda lib: lib.optim.SGD([3], lr=0.1),
            "optimizer can only optimize Tensors, but one of the params is int",
        ),
        (
            TypeError,
            lambda lib: lib.optim.SGD([{"params": {*one(lib)}}], lr=0.1),
            "need to be organized in ordered collections",
        ),
        (ValueError, lambda lib: lib.optim.SGD([one(lib)[0] * 2], lr=0.1), "can't optimize a non-leaf Tensor"),
        (TypeError, lambda lib: lib.optim.SGD(one(lib), lr=0.1).add_param_group([]), "param_group must be a dict"),
    ],
)
def test_errors(lib, kind, call, text):
    with pytest.raises(kind) as caught:
        call(lib)
    assert text in str(caught.value)


def test_parameters_in_two_groups(lib):
    p = one(lib)
    with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
        lib.optim.SGD([{"params": p}, {"params": p}], lr=0.1)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        lib.optim.SGD(p + p, lr=0.1)


def test_differentiable_is_refused():
    with pytest.raises(NotImplementedError, match="differentiable=True"):
        optim.SGD(one(mg), lr=0.1, differentiable=True)


def test_own_optimizer(lib):
    class Half(lib.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"factor": 0.5})

        def step(self, closure=None):
            with lib.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p.mul_(group["factor"])
                        self.state[p]["n"] = self.state[p].get("n", 0) + 1

    p = one(lib)
    optimizer = Half(p)
    optimizer.step()
    assert p[0].item() == 0.5
    assert optimizer.state_dict() == {"state": {0: {"n": 1}}, "param_groups": [{"factor": 0.5, "params": [0]}]}
    lib.optim.lr_scheduler.LRScheduler  # noqa: B018
    with pytest.raises(NotImplementedError):
        lib.optim.Optimizer(one(lib), {}).step()
