"""Every optimizer and its options beside PyTorch: parameters at each of 50 steps, and state, within 1e-6; averages of weights."""

import copy
import math

import numpy as np
import pytest

import minigrad as mg
from tests.twins import copy_weights

SETTINGS = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.2},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "maximize": True},
    ],
    "Adam": [{}, {"lr": 0.02, "betas": (0.5, 0.9), "weight_decay": 0.1, "amsgrad": True}, {"maximize": True, "eps": 1e-3}],
    "AdamW": [{}, {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True}],
    "RMSprop": [{}, {"momentum": 0.9, "alpha": 0.8}, {"centered": True, "weight_decay": 0.1, "maximize": True}],
    "Adagrad": [{}, {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.2, "maximize": True}],
    "Adadelta": [{}, {"lr": 0.5, "rho": 0.7, "weight_decay": 0.1, "maximize": True}],
    "NAdam": [
        {},
        {"lr": 0.02, "betas": (0.5, 0.9), "weight_decay": 0.1, "momentum_decay": 0.01},
        {"decoupled_weight_decay": True, "weight_decay": 0.2, "maximize": True},
    ],
    "RAdam": [
        {},
        {"lr": 0.02, "betas": (0.5, 0.9), "weight_decay": 0.1},
        {"decoupled_weight_decay": True, "weight_decay": 0.2},
    ],
    "Adamax": [{}, {"lr": 0.02, "betas": (0.5, 0.9), "weight_decay": 0.1, "maximize": True, "eps": 1e-3}],
    "ASGD": [{}, {"lr": 0.1, "lambd": 0.01, "alpha": 0.5, "t0": 10, "weight_decay": 0.1, "maximize": True}],
    "Rprop": [{}, {"lr": 0.1, "etas": (0.4, 1.3), "step_sizes": (1e-3, 0.2), "maximize": True}],
}
CASES = [(name, options) for name, settings in SETTINGS.items() for options in settings]


def make(lib, name, arrays, options):
    params = [lib.nn.Parameter(lib.tensor(array)) for array in arrays]
    return params, getattr(lib.optim, name)(params, **options)


def set_grads(lib, params, grads):
    for param, grad in zip(params, grads, strict=True):
        param.grad = lib.tensor(grad)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_fifty_steps(torch, rng, name, options, dtype):
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((5, 3), (7,), ())]
    (ours, a), (theirs, b) = (make(lib, name, arrays, options) for lib in (mg, torch))
    limit = {"float32": 1e-6, "float64": 1e-12}[dtype]
    for step in range(50):
        grads = [np.asarray(rng.standard_normal(x.shape) / (1 + step / 20), dtype) for x in arrays]
        set_grads(mg, ours, grads)
        set_grads(torch, theirs, grads)
        a.step()
        b.step()
        for x, y in zip(ours, theirs, strict=True):
            wanted = y.detach().numpy()
            np.testing.assert_allclose(x.detach().numpy(), wanted, rtol=0, atol=limit * max(1, abs(wanted).max()))
    mine, wanted = a.state_dict(), b.state_dict()
    assert mine["param_groups"] == wanted["param_groups"]
    for index, state in wanted["state"].items():
        kept = {key: value for key, value in state.items() if value is not None}
        assert list(mine["state"][index]) == list(kept)
        for key, value in kept.items():
            assert str(mine["state"][index][key].dtype) == str(value.dtype).replace("torch", "minigrad")
            np.testing.assert_allclose(mine["state"][index][key].numpy(), value.numpy(), rtol=20 * limit, atol=20 * limit)
    assert repr(a) == repr(b)


@pytest.mark.parametrize("name", [*SETTINGS, "LBFGS"])
def test_signatures(torch, name):
    import inspect

    mine, wanted = (list(inspect.signature(getattr(lib.optim, name)).parameters.values()) for lib in (mg, torch))
    assert [(p.name, p.default, p.kind) for p in mine] == [(p.name, p.default, p.kind) for p in wanted]


@pytest.mark.parametrize("name", ["NAdam", "RAdam", "Adamax", "ASGD", "Rprop"])
def test_a_saved_state_goes_on(name, rng):
    arrays, grads = [rng.standard_normal(4)], [[rng.standard_normal(4)] for _ in range(6)]
    straight, optimizer = make(mg, name, arrays, {"lr": 0.1})
    first, saved = make(mg, name, arrays, {"lr": 0.1})
    for i, grad in enumerate(grads):
        set_grads(mg, straight, grad)
        optimizer.step()
        if i == 3:
            state = copy.deepcopy(saved.state_dict())
            first, saved = make(mg, name, [first[0].detach().numpy()], {"lr": 1.0})
            saved.load_state_dict(state)
        set_grads(mg, first, grad)
        saved.step()
    assert first[0].tolist() == pytest.approx(
        straight[0].tolist(), rel=1e-6
    )  # scalars are loaded in the dtype of the parameter


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("Invalid beta parameter at index 1: 1.0", lambda lib, p: lib.optim.NAdam(p, betas=(0.9, 1.0))),
        ("Invalid momentum_decay value: -1", lambda lib, p: lib.optim.NAdam(p, momentum_decay=-1)),
        ("Invalid epsilon value: -1", lambda lib, p: lib.optim.RAdam(p, eps=-1)),
        ("Invalid learning rate: -1", lambda lib, p: lib.optim.Adamax(p, lr=-1)),
        ("Invalid weight_decay value: -1", lambda lib, p: lib.optim.ASGD(p, weight_decay=-1)),
        ("Invalid eta values: 0.5, 0.9", lambda lib, p: lib.optim.Rprop(p, etas=(0.5, 0.9))),
        ("LBFGS doesn't support per-parameter options",
         lambda lib, p: lib.optim.LBFGS([{"params": p}, {"params": [lib.nn.Parameter(lib.ones(1))]}])),
    ],
)  # fmt: skip
def test_errors(lib, text, call):
    with pytest.raises(ValueError, match=text.split("(")[0]):
        call(lib, [lib.nn.Parameter(lib.ones(2))])


# LBFGS


def rosenbrock(lib, x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def logistic(lib, x):
    a = lib.arange(12, dtype=lib.float64).reshape(3, 4) / 7 - 0.8
    return lib.log(1 + lib.exp(-(a @ x))).sum() + 0.01 * (x * x).sum()


@pytest.mark.parametrize("problem", [rosenbrock, logistic])
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.01, "max_iter": 5},
        {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "history_size": 2, "max_iter": 3, "lr": 0.7},
        {"line_search_fn": "strong_wolfe", "max_iter": 4, "max_eval": 6, "tolerance_grad": 1e-4},
    ],
    ids=str,
)
def test_lbfgs(torch, rng, problem, options):
    start = rng.standard_normal(4) * 0.5
    runs = []
    for lib in (mg, torch):
        x = lib.nn.Parameter(lib.tensor(start))
        optimizer = lib.optim.LBFGS([x], **options)

        def closure(lib=lib, x=x, optimizer=optimizer):
            optimizer.zero_grad()
            loss = problem(lib, x)
            loss.backward()
            return loss

        path = []
        for _ in range(12):
            loss = optimizer.step(closure)
            state = optimizer.state_dict()["state"][0]
            path.append([loss.item(), state["n_iter"], state["func_evals"], *x.tolist()])
        runs.append((path, sorted(state)))
    np.testing.assert_allclose(runs[0][0], runs[1][0], rtol=1e-6, atol=1e-7)
    assert runs[0][1] == runs[1][1]


def test_lbfgs_trains_and_resumes(lib):
    target = lib.tensor([3.0, -1.0])

    def run(steps, saved=None):
        x, y = lib.nn.Parameter(lib.zeros(2)), lib.nn.Parameter(lib.ones(1))  # y has no gradient
        optimizer = lib.optim.LBFGS([x, y], lr=0.3, max_iter=2)
        if saved is not None:
            with lib.no_grad():
                x.copy_(saved[0])
            optimizer.load_state_dict(saved[1])

        def closure():
            optimizer.zero_grad()
            loss = ((x - target) ** 4).sum()
            loss.backward()
            return loss

        for _ in range(steps):
            optimizer.step(closure)
        return x.detach().clone(), copy.deepcopy(optimizer.state_dict())

    assert run(4)[0].tolist() == run(2, run(2))[0].tolist()
    assert (run(20)[0] - target).abs().max().item() < 0.5


def test_lbfgs_in_special_cases(lib):
    x = lib.nn.Parameter(lib.zeros(2))
    optimizer = lib.optim.LBFGS([x], line_search_fn="newton")
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'closure'"):
        optimizer.step()

    def closure():
        optimizer.zero_grad()
        loss = ((x - 1) ** 2).sum()
        loss.backward()
        return loss

    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        optimizer.step(closure)
    at_the_end = lib.nn.Parameter(lib.ones(2))
    optimizer = lib.optim.LBFGS([at_the_end])
    x = at_the_end
    assert optimizer.step(closure).item() == 0
    assert x.tolist() == [1, 1]


# Averages


@pytest.mark.parametrize("kind", ["swa", "ema", "avg_fn", "ema multi", "buffers"])
def test_averaged_models(torch, rng, kind):
    models, averages = [], []
    for lib in (mg, torch):
        swa = lib.optim.swa_utils
        model = lib.nn.Sequential(lib.nn.Linear(3, 2), lib.nn.BatchNorm1d(2)).double()
        models.append(model)
    copy_weights(*models)
    for lib, model in zip((mg, torch), models, strict=True):
        swa = lib.optim.swa_utils
        options = {
            "swa": {},
            "ema": {"avg_fn": swa.get_ema_avg_fn(0.7)},
            "avg_fn": {"avg_fn": lambda average, value, count: average + 0.1 * (value - average) / (count + 1)},
            "ema multi": {"multi_avg_fn": swa.get_ema_multi_avg_fn(0.8)},
            "buffers": {"use_buffers": True, "multi_avg_fn": swa.get_ema_multi_avg_fn(0.9)},
        }[kind]
        averages.append(swa.AveragedModel(model, **options))
    assert repr(averages[0]) == repr(averages[1])
    for _ in range(4):
        x = rng.standard_normal((5, 3))
        for lib, model, average in zip((mg, torch), models, averages, strict=True):
            model(lib.tensor(x)).pow(2).sum().backward()
            with lib.no_grad():
                for p in model.parameters():
                    p.sub_(0.1 * p.grad)
            average.update_parameters(model)
    states = [average.state_dict() for average in averages]
    assert list(states[0]) == list(states[1])
    for key, value in states[1].items():
        np.testing.assert_allclose(states[0][key].numpy(), value.numpy(), rtol=1e-10, atol=1e-12)
    x = rng.standard_normal((5, 3))
    outputs = [average(lib.tensor(x)).detach().numpy() for lib, average in zip((mg, torch), averages, strict=True)]
    np.testing.assert_allclose(*outputs, rtol=1e-9)


def test_batch_statistics_of_an_average(lib):
    swa = lib.optim.swa_utils
    model = lib.nn.Sequential(lib.nn.BatchNorm1d(2, momentum=0.3))
    batches = [lib.tensor([[0.0, 1.0], [2.0, 3.0]]), [lib.tensor([[4.0, 5.0], [6.0, 9.0]]), None]]
    model.eval()
    swa.update_bn(batches, model)
    assert model[0].running_mean.tolist() == [3, 4.5]
    assert model[0].momentum == 0.3
    assert not model.training
    swa.update_bn(batches, lib.nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"Invalid decay value 1\.5"):
        swa.get_ema_avg_fn(1.5)
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn"):
        swa.AveragedModel(model, avg_fn=swa.get_swa_avg_fn(), multi_avg_fn=swa.get_swa_multi_avg_fn())


@pytest.mark.parametrize("options", [{}, {"anneal_epochs": 5, "anneal_strategy": "linear"}, {"anneal_epochs": 0}], ids=str)
def test_swalr(torch, options):
    rates = []
    for lib in (mg, torch):
        optimizer = lib.optim.SGD([lib.nn.Parameter(lib.ones(1))], lr=0.5)
        scheduler = lib.optim.swa_utils.SWALR(optimizer, swa_lr=0.05, **options)
        path = []
        for _ in range(50):
            path.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        rates.append(path)
    assert rates[0] == pytest.approx(rates[1], rel=1e-14, abs=0)
    assert math.isclose(rates[0][-1], 0.05)
