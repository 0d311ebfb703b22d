"""Learning rate schedules: equal to PyTorch's to the last bit for 50 steps, and to their formulas; state, warnings, errors."""

import math

import pytest

import minigrad as mg

SCHEDULES = {
    "StepLR": [{"step_size": 7}, {"step_size": 3, "gamma": 0.7}],
    "MultiStepLR": [{"milestones": [3, 8, 8, 20], "gamma": 0.5}],
    "ConstantLR": [{}, {"factor": 0.2, "total_iters": 9}],
    "LinearLR": [{}, {"start_factor": 0.9, "end_factor": 0.1, "total_iters": 20}],
    "ExponentialLR": [{"gamma": 0.93}],
    "PolynomialLR": [{}, {"total_iters": 30, "power": 2.0}],
    "CosineAnnealingLR": [{"T_max": 10}, {"T_max": 13, "eta_min": 0.01}],
    "CosineAnnealingWarmRestarts": [{"T_0": 6}, {"T_0": 4, "T_mult": 2, "eta_min": 0.01}],
    "LambdaLR": [{"lr_lambda": lambda t: 0.9**t}, {"lr_lambda": [lambda t: 1 / (t + 1), lambda t: t]}],
    "MultiplicativeLR": [{"lr_lambda": lambda t: 0.95 if t % 2 else 1.01}],
    "CyclicLR": [
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 7},
        {"base_lr": [0.01, 0.02], "max_lr": [0.1, 0.3], "step_size_up": 4, "step_size_down": 6, "mode": "triangular2"},
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 5, "mode": "exp_range", "gamma": 0.97, "cycle_momentum": False},
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 5, "scale_fn": lambda x: 0.5**x, "base_momentum": 0.7},
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 5, "scale_fn": lambda x: 0.9**x, "scale_mode": "iterations"},
    ],
    "OneCycleLR": [
        {"max_lr": 0.5, "total_steps": 51},
        {"max_lr": [0.5, 0.1], "epochs": 10, "steps_per_epoch": 6, "anneal_strategy": "linear", "three_phase": True},
        {"max_lr": 0.5, "total_steps": 60, "cycle_momentum": False, "pct_start": 0.1, "div_factor": 3, "final_div_factor": 7},
    ],
}
CASES = [(name, options) for name, settings in SCHEDULES.items() for options in settings]


def make_optimizer(lib, kind="SGD", **options):
    params = [lib.nn.Parameter(lib.ones(1)) for _ in range(2)]
    return getattr(lib.optim, kind)([{"params": params[:1]}, {"params": params[1:], "lr": 0.3}], lr=0.1, **options)


def run(lib, make, steps=50, kind="SGD"):
    optimizer = make_optimizer(lib, kind, **({"momentum": 0.9} if kind == "SGD" else {}))
    scheduler = make(lib.optim.lr_scheduler, optimizer)
    rates = []
    for _ in range(steps):
        rates.append([(g["lr"], g.get("momentum"), g.get("betas")) for g in optimizer.param_groups])
        assert scheduler.get_last_lr() == [g["lr"] for g in optimizer.param_groups]
        optimizer.step()
        scheduler.step()
    return rates, scheduler


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_rates_are_those_of_torch(torch, name, options, kind):
    def make(module, optimizer):
        return getattr(module, name)(optimizer, **options)

    ours, a = run(mg, make, kind=kind)
    theirs, b = run(torch, make, kind=kind)
    assert ours == theirs
    state, expected = a.state_dict(), b.state_dict()
    assert set(state) == set(expected)
    for key, value in expected.items():
        if key != "_schedule_phases":
            assert state[key] == value


def sequential(module, optimizer):
    parts = [module.ConstantLR(optimizer, 0.1, 2), module.ExponentialLR(optimizer, 0.9), module.StepLR(optimizer, 3)]
    return module.SequentialLR(optimizer, parts, milestones=[5, 20])


def chained(module, optimizer):
    return module.ChainedScheduler([module.LinearLR(optimizer, 0.1, total_iters=4), module.ExponentialLR(optimizer, 0.9)])


@pytest.mark.parametrize("make", [sequential, chained])
def test_composed_rates_are_those_of_torch(torch, make):
    assert run(mg, make)[0] == run(torch, make)[0]


def test_cyclic_state_with_a_scale_object():
    class Half:
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, x):
            return self.factor**x

    def make(factor):
        optimizer = make_optimizer(mg, momentum=0.9)
        return mg.optim.lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, 3, scale_fn=Half(factor))

    first, other = make(0.5), make(0.25)
    for _ in range(4):
        first.optimizer.step()
        first.step()
    other.load_state_dict(first.state_dict())
    assert other.scale_fn(2) == 0.25
    for scheduler in (first, other):
        scheduler.optimizer.step()
        scheduler.step()
    assert first.get_last_lr() == other.get_last_lr()


def test_cyclic_errors(lib):
    with pytest.raises(ValueError, match="mode is invalid and scale_fn is None"):
        lib.optim.lr_scheduler.CyclicLR(make_optimizer(lib), 0.1, 0.2, mode="square")
    with pytest.raises(ValueError, match="optimizer must support momentum or beta1"):
        lib.optim.lr_scheduler.CyclicLR(make_optimizer(lib, "Adagrad"), 0.1, 0.2)
    with pytest.raises(TypeError, match="is not an Optimizer"):
        lib.optim.lr_scheduler.CyclicLR(3, 0.1, 0.2)


def test_step_lr_against_the_formula():
    rates, _ = run(mg, lambda module, optimizer: module.StepLR(optimizer, step_size=4, gamma=0.5), steps=12)
    for t, groups in enumerate(rates):
        assert [lr for lr, *_ in groups] == pytest.approx([0.1 * 0.5 ** (t // 4), 0.3 * 0.5 ** (t // 4)], rel=1e-12)


def test_cosine_against_the_formula():
    rates, _ = run(mg, lambda module, optimizer: module.CosineAnnealingLR(optimizer, 8, 0.05), steps=20)
    for t, ((lr, *_), _) in enumerate(rates):
        assert lr == pytest.approx(0.05 + 0.05 * (1 + math.cos(math.pi * t / 8)) / 2, rel=1e-9)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_reduce_on_plateau_is_that_of_torch(torch, mode, threshold_mode):
    results = []
    for lib in (mg, torch):
        optimizer = make_optimizer(lib)
        scheduler = lib.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, mode, 0.5, 2, 0.01, threshold_mode, cooldown=3, min_lr=[0.01, 0.02], eps=1e-4
        )
        metrics = [1, 0.9, 0.9, 0.899, 0.9, 0.95, 1.2, 0.3, 0.3, 0.3, 0.3] * 5
        results.append([(scheduler.step(lib.tensor(m)), scheduler.get_last_lr(), scheduler.in_cooldown) for m in metrics])
    assert results[0] == results[1]
    assert results[0][-1][1] == [0.01, 0.02]


@pytest.mark.parametrize(("name", "options"), [case for case in CASES if case[0] not in ("OneCycleLR", "CyclicLR")])
def test_state_dict_resumes(name, options):
    def make(module, optimizer):
        return getattr(module, name)(optimizer, **options)

    expected, _ = run(mg, make)
    half, scheduler = run(mg, make, steps=20)
    optimizer = make_optimizer(mg, momentum=0.9)
    other = make(mg.optim.lr_scheduler, optimizer)
    other.load_state_dict(scheduler.state_dict())
    for group, rate in zip(optimizer.param_groups, scheduler.get_last_lr(), strict=True):
        group["lr"] = rate
    rates = []
    for _ in range(30):
        rates.append([(g["lr"], g.get("momentum"), None) for g in optimizer.param_groups])
        optimizer.step()
        other.step()
    assert half + rates == expected


def test_resume_by_last_epoch(lib):
    optimizer = make_optimizer(lib)
    with pytest.raises(KeyError, match="initial_lr"):
        lib.optim.lr_scheduler.StepLR(optimizer, 3, last_epoch=4)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    scheduler = lib.optim.lr_scheduler.StepLR(optimizer, 3, last_epoch=4)
    assert scheduler.last_epoch == 5
    optimizer.step()
    scheduler.step()
    assert scheduler.last_epoch == 6


def test_warning_before_the_first_optimizer_step(lib):
    optimizer = make_optimizer(lib)
    scheduler = lib.optim.lr_scheduler.StepLR(optimizer, 3)
    with pytest.warns(UserWarning, match=r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
        scheduler.step()
    scheduler.step()


def test_get_lr_outside_of_step_warns(lib):
    scheduler = lib.optim.lr_scheduler.ExponentialLR(make_optimizer(lib), 0.5)
    with pytest.warns(UserWarning, match="please use `get_last_lr"):
        scheduler.get_lr()


def test_epoch_argument_uses_the_closed_form(lib):
    optimizer = make_optimizer(lib)
    scheduler = lib.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)
    optimizer.step()
    with pytest.warns(UserWarning, match="The epoch parameter in"):
        scheduler.step(7)
    assert scheduler.get_last_lr() == [0.1 * 0.25, 0.3 * 0.25]


@pytest.mark.parametrize("t_mult", [1, 2, 3])
def test_warm_restarts_by_fractions_are_those_of_torch(torch, t_mult):
    rates = []
    for lib in (mg, torch):
        optimizer = make_optimizer(lib)
        scheduler = lib.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 5, t_mult)
        rates.append([(scheduler.step(i / 3), scheduler.get_last_lr(), scheduler.T_i) for i in range(100)])
        with pytest.raises(ValueError, match="Expected non-negative epoch, but got -1"):
            scheduler.step(-1)
    for (_, ours, period), (_, theirs, expected) in zip(*rates, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9)
        assert period == expected


def test_own_schedule(lib):
    class Harmonic(lib.optim.lr_scheduler.LRScheduler):
        def get_lr(self):
            return [base / (self.last_epoch + 1) for base in self.base_lrs]

    optimizer = make_optimizer(lib)
    scheduler = Harmonic(optimizer)
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.05, 0.15]


@pytest.mark.parametrize(
    ("kind", "call", "text"),
    [
        (TypeError, lambda s, o: s.StepLR(3, 3), "int is not an Optimizer"),
        (ValueError, lambda s, o: s.LambdaLR(o, [abs]), "Expected 2 lr_lambdas, but got 1"),
        (ValueError, lambda s, o: s.ConstantLR(o, 2.0), "Constant multiplicative factor expected to be between 0 and 1"),
        (ValueError, lambda s, o: s.LinearLR(o, 0.0), "Starting multiplicative factor expected to be greater than 0"),
        (ValueError, lambda s, o: s.LinearLR(o, 0.5, 2.0), "Ending multiplicative factor expected to be between 0 and 1"),
        (ValueError, lambda s, o: s.ReduceLROnPlateau(o, factor=1.0), "Factor should be < 1.0."),
        (ValueError, lambda s, o: s.ReduceLROnPlateau(o, "avg"), "mode avg is unknown!"),
        (ValueError, lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="x"), "threshold mode x is unknown!"),
        (ValueError, lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.0]), "expected 2 min_lrs, got 1"),
        (ValueError, lambda s, o: s.CosineAnnealingWarmRestarts(o, 0), "Expected positive integer T_0, but got 0"),
        (ValueError, lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 0), "Expected integer T_mult >= 1, but got 0"),
        (ValueError, lambda s, o: s.OneCycleLR(o, 0.1), "You must define either total_steps OR"),
        (ValueError, lambda s, o: s.OneCycleLR(o, 0.1, total_steps=0), "Expected positive integer total_steps, but got 0"),
        (
            ValueError,
            lambda s, o: s.OneCycleLR(o, 0.1, epochs=0, steps_per_epoch=3),
            "Expected positive integer epochs, but got 0",
        ),
        (
            ValueError,
            lambda s, o: s.OneCycleLR(o, 0.1, 10, pct_start=2.0),
            "Expected float between 0 and 1 pct_start, but got 2.0",
        ),
        (
            ValueError,
            lambda s, o: s.OneCycleLR(o, 0.1, 10, anneal_strategy="x"),
            "anneal_strategy must be one of 'cos' or 'linear'",
        ),
        (ValueError, lambda s, o: s.OneCycleLR(o, [0.1], 10), "max_lr must have the same length as optimizer.param_groups"),
        (ValueError, lambda s, o: s.SequentialLR(o, [], []), "expects at least one scheduler, but got no scheduler"),
        (ValueError, lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [1]), "one more than the number of milestone points"),
        (ValueError, lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []), "does not support `ReduceLROnPlateau`"),
        (ValueError, lambda s, o: s.ChainedScheduler([]), "expects at least one scheduler to be chained"),
    ],
)
def test_errors(lib, kind, call, text):
    optimizer = make_optimizer(lib)
    with pytest.raises(kind) as caught:
        call(lib.optim.lr_scheduler, optimizer)
    assert text in str(caught.value)


def test_schedulers_of_different_optimizers(lib):
    module = lib.optim.lr_scheduler
    a, b = make_optimizer(lib), make_optimizer(lib)
    with pytest.raises(ValueError, match="expects all schedulers to belong to the same optimizer"):
        module.ChainedScheduler([module.StepLR(a, 1), module.StepLR(b, 1)])


def test_one_cycle_ends(lib):
    optimizer = make_optimizer(lib, momentum=0.9)
    scheduler = lib.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=3)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    with pytest.raises(ValueError, match=r"Tried to step 4 times\. The specified number of total steps is 3"):
        scheduler.step()
    adagrad = make_optimizer(lib, "Adagrad")
    with pytest.raises(ValueError, match="optimizer must support momentum or beta1"):
        lib.optim.lr_scheduler.OneCycleLR(adagrad, 0.1, total_steps=3)
