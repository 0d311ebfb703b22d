"""nn.utils: clipping, vectors of parameters, weight and spectral normalization, parametrizations, fusion; most beside PyTorch."""

import copy
import math
import pickle

import numpy as np
import pytest

import minigrad as mg
from tests.twins import copy_weights

INF = math.inf


def with_grads(lib, arrays):
    params = [lib.nn.Parameter(lib.tensor(np.zeros_like(array))) for array in arrays]
    for param, array in zip(params, arrays, strict=True):
        param.grad = lib.tensor(array.copy())
    return [*params, lib.nn.Parameter(lib.ones(2))]  # the last one has no gradient


@pytest.mark.parametrize("norm_type", [2, 2.0, 1, 3.5, 0, INF, -INF])
@pytest.mark.parametrize("max_norm", [0.3, 1e6])
def test_clip_grad_norm(torch, rng, norm_type, max_norm):
    arrays = [rng.standard_normal(shape) for shape in ((3, 4), (5,), ())]
    ours, theirs = with_grads(mg, arrays), with_grads(torch, arrays)
    a = mg.nn.utils.clip_grad_norm_(ours, max_norm, norm_type, foreach=False)
    b = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert a.item() == pytest.approx(b.item(), rel=1e-13)
    assert a.dtype is mg.float64
    for p, q in zip(ours[:-1], theirs[:-1], strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)
    total = mg.nn.utils.get_total_norm([p.grad for p in ours[:-1]], norm_type)
    assert total.item() == pytest.approx(torch.nn.utils.get_total_norm([p.grad for p in theirs[:-1]], norm_type).item())


def test_clipping_in_special_cases(lib):
    p = lib.nn.Parameter(lib.ones(2))
    clip = lib.nn.utils.clip_grad_norm_
    assert clip([p], 1.0).item() == 0
    assert clip([], 1.0).item() == 0
    with pytest.warns(UserWarning, match="empty generator"):
        clip((q for q in []), 1.0)
    p.grad = lib.tensor([INF, 1.0])
    with pytest.raises(RuntimeError, match="is non-finite, so it cannot be clipped"):
        clip(p, 1.0, error_if_nonfinite=True)
    assert p.grad.tolist() == [INF, 1]
    p.grad = lib.tensor([30.0, 40.0])
    assert clip(p, 5).item() == 50
    assert p.grad.tolist() == pytest.approx([3, 4])
    with pytest.warns(FutureWarning, match="clip_grad_norm` is now deprecated"):
        lib.nn.utils.clip_grad_norm(p, 1.0)
    p.grad = lib.tensor([-3.0, 0.25])
    lib.nn.utils.clip_grad_value_(p, 0.5)
    assert p.grad.tolist() == [-0.5, 0.25]
    lib.nn.utils.clip_grad_value_(iter([p]), 0.125)
    assert p.grad.tolist() == [-0.125, 0.125]
    lib.nn.utils.clip_grads_with_norm_([p], 1.0, lib.tensor(4.0))
    assert p.grad.tolist() == pytest.approx([-0.125 / 4, 0.125 / 4])


def test_parameters_and_vectors(lib):
    net = lib.nn.Linear(2, 3)
    vector = lib.nn.utils.parameters_to_vector(net.parameters())
    assert vector.tolist() == [*net.weight.reshape(-1).tolist(), *net.bias.tolist()]
    assert vector.requires_grad
    params = list(net.parameters())
    lib.nn.utils.vector_to_parameters(lib.arange(9).float(), net.parameters())
    assert net.weight.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert net.bias.tolist() == [6, 7, 8]
    assert [p is q for p, q in zip(params, net.parameters(), strict=True)] == [True, True]
    assert net.weight.requires_grad
    with pytest.raises(TypeError, match="but got: list"):
        lib.nn.utils.vector_to_parameters([1.0], net.parameters())
    with pytest.raises(RuntimeError):
        lib.nn.utils.vector_to_parameters(lib.ones(8), net.parameters())


LAYERS = [("Linear", (4, 3), (2, 4)), ("Conv2d", (2, 3, 2), (1, 2, 4, 4)), ("ConvTranspose1d", (2, 3, 2), (1, 2, 4))]


def train(torch, ours, theirs, shape, rng, steps=3):
    """Some steps of SGD on both; the outputs must be equal at each."""
    optimizers = [lib.optim.SGD(net.parameters(), lr=0.1, momentum=0.9) for lib, net in ((mg, ours), (torch, theirs))]
    for _ in range(steps):
        x = rng.standard_normal(shape)
        outputs = []
        for lib, net, optimizer in zip((mg, torch), (ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            out = net(lib.tensor(x))
            (out * out).sum().backward()
            optimizer.step()
            outputs.append(out.detach().numpy())
        np.testing.assert_allclose(*outputs, rtol=1e-9, atol=1e-10)


def normalized_pair(torch, kind, how, name, args, **options):
    """A layer of each library with equal weights, normalized by nn.utils.<kind> or nn.utils.parametrizations.<kind>."""
    layers = []
    for lib in (mg, torch):
        utils = lib.nn.utils if how == "hook" else lib.nn.utils.parametrizations
        layer = getattr(lib.nn, name)(*args).double()
        if how == "hook" and kind == "weight_norm":
            with pytest.warns(FutureWarning, match="deprecated"):
                utils.weight_norm(layer, **options)
        else:
            getattr(utils, kind)(layer, **options)
        layers.append(layer)
    copy_weights(*layers)
    return layers


@pytest.mark.parametrize("how", ["hook", "parametrization"])
@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize(("name", "args", "shape"), LAYERS)
def test_weight_norm(torch, rng, name, args, shape, dim, how):
    ours, theirs = normalized_pair(torch, "weight_norm", how, name, args, dim=dim)
    assert repr(ours).replace("minigrad", "torch") == repr(theirs)
    train(torch, ours, theirs, shape, rng)
    before = ours.weight.detach().numpy()
    if how == "hook":
        removed = mg.nn.utils.remove_weight_norm(ours)
        with pytest.raises(ValueError, match="weight_norm of 'weight' not found in"):
            mg.nn.utils.remove_weight_norm(ours)
    else:
        removed = mg.nn.utils.parametrize.remove_parametrizations(ours, "weight")
    assert removed is ours
    assert type(ours) is getattr(mg.nn, name)
    assert sorted(ours.state_dict()) == ["bias", "weight"]
    ours(mg.tensor(rng.standard_normal(shape)))
    if how == "parametrization":
        np.testing.assert_allclose(ours.weight.detach().numpy(), before, rtol=1e-13)


@pytest.mark.parametrize("how", ["hook", "parametrization"])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(("name", "args", "shape"), LAYERS)
def test_spectral_norm(torch, rng, name, args, shape, steps, how):
    ours, theirs = normalized_pair(torch, "spectral_norm", how, name, args, n_power_iterations=steps)
    train(torch, ours, theirs, shape, rng)
    for net in (ours, theirs):
        net.eval()
    x = rng.standard_normal(shape)
    for _ in range(2):
        pair = [net(lib.tensor(x)).detach().numpy() for lib, net in ((mg, ours), (torch, theirs))]
        np.testing.assert_allclose(*pair, rtol=1e-9)
    ours.train()
    for _ in range(30):
        ours(mg.tensor(x))
    dim = 1 if "Transpose" in name else 0
    matrix = np.moveaxis(ours.weight.detach().numpy(), dim, 0)
    assert np.linalg.norm(matrix.reshape(matrix.shape[0], -1), 2) == pytest.approx(1, rel=1e-3)
    if how == "hook":
        mg.nn.utils.remove_spectral_norm(ours)
        with pytest.raises(ValueError, match="spectral_norm of 'weight' not found in"):
            mg.nn.utils.remove_spectral_norm(ours)
        assert sorted(ours.state_dict()) == ["bias", "weight"]


def test_errors_of_normalizations(lib):
    utils = lib.nn.utils
    layer = utils.spectral_norm(lib.nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match="Cannot register two spectral_norm hooks on the same parameter weight"):
        utils.spectral_norm(layer)
    with pytest.raises(ValueError, match="n_power_iterations to be positive"):
        utils.spectral_norm(lib.nn.Linear(2, 2), n_power_iterations=0)
    with pytest.raises(ValueError, match="parameter `bias` is None"):
        utils.spectral_norm(lib.nn.Linear(2, 2, bias=False), "bias")
    with pytest.raises(ValueError, match="can't have uninitialized parameters"):
        utils.spectral_norm(lib.nn.LazyLinear(2))
    with pytest.raises(ValueError, match="has no parameter or buffer with name 'gain'"):
        utils.parametrizations.spectral_norm(lib.nn.Linear(2, 2), "gain")
    with pytest.raises(IndexError, match="Dimension out of range"):
        utils.parametrizations.spectral_norm(lib.nn.Linear(2, 2), dim=2)
    with pytest.warns(FutureWarning), pytest.raises(ValueError, match="can't have uninitialized parameters"):
        utils.weight_norm(lib.nn.LazyLinear(2))
    with pytest.warns(FutureWarning), pytest.raises(RuntimeError, match="Cannot register two weight_norm hooks"):
        utils.weight_norm(utils.weight_norm(lib.nn.Linear(2, 2)))


def test_weight_norm_reads_state_dicts_with_the_old_names(lib):
    with pytest.warns(FutureWarning):
        old = lib.nn.utils.weight_norm(lib.nn.Linear(3, 2))
    new = lib.nn.Sequential(lib.nn.utils.parametrizations.weight_norm(lib.nn.Linear(3, 2)))
    new.load_state_dict({f"0.{key}": value for key, value in old.state_dict().items()})
    x = lib.ones(1, 3)
    assert new(x).tolist() == old(x).tolist()


# parametrize


def double_and_symmetric(lib):
    class Double(lib.nn.Module):
        def forward(self, x):
            return 2 * x

        def right_inverse(self, x):
            return x / 2

    class Symmetric(lib.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).transpose(-1, -2)

    return Double, Symmetric


def test_parametrizations(lib):
    parametrize = lib.nn.utils.parametrize
    Double, Symmetric = double_and_symmetric(lib)
    layer = lib.nn.Linear(3, 3)
    before = layer.weight.tolist()
    original = layer.weight
    assert parametrize.register_parametrization(layer, "weight", Double()) is layer
    assert type(layer).__name__ == "ParametrizedLinear"
    assert isinstance(layer, lib.nn.Linear)
    assert layer.weight.tolist() == before
    assert layer.parametrizations.weight.original is original
    assert original.tolist() == [[x / 2 for x in row] for row in before]
    assert [name for name, _ in layer.named_parameters()] == ["bias", "parametrizations.weight.original"]
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert layer.weight.tolist() == layer.weight.transpose(0, 1).tolist()
    assert parametrize.is_parametrized(layer, "weight")
    assert not parametrize.is_parametrized(layer, "bias")
    layer(lib.ones(1, 3)).sum().backward()
    assert original.grad is not None
    with pytest.raises(RuntimeError, match="does not implement right_inverse"):
        layer.weight = lib.ones(3, 3)
    twin = copy.deepcopy(layer)
    assert twin.parametrizations.weight.original is not original
    assert twin(lib.ones(1, 3)).tolist() == layer(lib.ones(1, 3)).tolist()
    with pytest.raises(RuntimeError, match=r"only supported through state_dict\(\)"):
        pickle.dumps(layer)
    value = layer.weight.tolist()
    assert parametrize.type_before_parametrizations(layer) is lib.nn.Linear
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is lib.nn.Linear
    assert layer.weight is original
    assert layer.weight.tolist() == value
    assert not hasattr(layer, "parametrizations")
    assert parametrize.is_parametrized(twin)


def test_assigning_and_removing_a_parametrized_tensor(lib):
    parametrize = lib.nn.utils.parametrize
    Double, _ = double_and_symmetric(lib)
    layer = lib.nn.Linear(2, 2)
    parametrize.register_parametrization(layer, "weight", Double())
    layer.weight = lib.ones(2, 2)
    assert layer.parametrizations.weight.original.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert layer.weight.tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_parametrizing_buffers(lib):
    parametrize = lib.nn.utils.parametrize
    Double, _ = double_and_symmetric(lib)
    norm = lib.nn.BatchNorm1d(2)
    parametrize.register_parametrization(norm, "running_mean", Double())
    assert "parametrizations.running_mean.original" in dict(norm.named_buffers())


def test_errors_of_parametrizations(lib):
    class Cut(lib.nn.Module):
        def forward(self, x):
            return x[:1]

    class Number(lib.nn.Module):
        def forward(self, x):
            return 3

    parametrize = lib.nn.utils.parametrize
    with pytest.raises(ValueError, match="does not have a parameter, a buffer, or a"):
        parametrize.register_parametrization(lib.nn.Linear(2, 2), "gain", Cut())
    with pytest.raises(ValueError, match="may not change the shape of the tensor"):
        parametrize.register_parametrization(lib.nn.Linear(2, 2), "weight", Cut())
    with pytest.raises(ValueError, match=r"A parametrization must return a tensor\. Got int"):
        parametrize.register_parametrization(lib.nn.Linear(2, 2), "weight", Number())
    layer = parametrize.register_parametrization(lib.nn.Linear(2, 2, bias=False), "weight", Cut(), unsafe=True)
    assert layer(lib.ones(1, 2)).shape == (1, 1)
    with pytest.raises(ValueError, match="does not have a parametrization on bias"):
        parametrize.remove_parametrizations(layer, "bias")
    normed = lib.nn.utils.parametrizations.weight_norm(lib.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="in terms of a sequence of"):
        parametrize.remove_parametrizations(normed, "weight", leave_parametrized=False)


# the rest


@pytest.mark.parametrize("name", ["Linear", "Conv2d", "ConvTranspose2d"])
@pytest.mark.parametrize("affine", [True, False])
def test_fusion(rng, name, affine):
    args, shape = ((4, 3), (5, 4)) if name == "Linear" else ((4, 3, 2), (5, 4, 3, 3))
    layer = getattr(mg.nn, name)(*args, bias=affine).double()
    norm = (mg.nn.BatchNorm1d if name == "Linear" else mg.nn.BatchNorm2d)(3, affine=affine).double()
    for _ in range(3):
        norm(layer(mg.tensor(rng.standard_normal(shape) * 3 + 1)))
    utils = mg.nn.utils
    if name == "Linear":
        fuse = utils.fuse_linear_bn_eval
    else:

        def fuse(layer, norm):
            return utils.fuse_conv_bn_eval(layer, norm, "Transpose" in name)

    with pytest.raises(AssertionError, match="Fusion only for eval!"):
        fuse(layer, norm)
    layer.eval()
    norm.eval()
    x = mg.tensor(rng.standard_normal(shape))
    fused = fuse(layer, norm)
    assert type(fused) is type(layer)
    np.testing.assert_allclose(fused(x).detach().numpy(), norm(layer(x)).detach().numpy(), rtol=1e-10, atol=1e-12)


def test_skip_init(lib):
    lib.manual_seed(0)
    expected = lib.rand(3).tolist()
    lib.manual_seed(0)
    layer = lib.nn.utils.skip_init(lib.nn.Linear, 3, 4)
    assert type(layer) is lib.nn.Linear
    assert layer.weight.shape == (4, 3)
    assert lib.rand(3).tolist() == expected
    with pytest.raises(RuntimeError, match="Expected a Module; got"):
        lib.nn.utils.skip_init(int)
    with pytest.raises(RuntimeError, match="Module must support a 'device' arg"):
        lib.nn.utils.skip_init(lib.nn.Identity)
