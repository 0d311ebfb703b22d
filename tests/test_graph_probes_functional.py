"""autograd.functional: probes that come to the same on minigrad and on PyTorch."""

import pytest

from tests.probes import check, name, probes, says


def given(lib, *data, grad=False):
    return lib.tensor(list(data or (1.0, 2.0)), dtype=lib.float64, requires_grad=grad)


def cubes(x):
    return x**3


def mixed(x, y):
    return (x * x * y).sum(), x * y[:2]


def scalar(x, y):
    return (x**3 * y).sum() + (y * y).sum()


def probe_jacobian(lib):
    return lib.autograd.functional.jacobian(cubes, given(lib))


def probe_jacobian_of_a_matrix(lib):
    x = given(lib, 1, 2, 3, 4).view(2, 2)
    return lib.autograd.functional.jacobian(lambda x: x.sum(1, keepdim=True), x)


def probe_jacobian_of_several_inputs(lib):
    return lib.autograd.functional.jacobian(lambda x, y: x * y.sum(), (given(lib), given(lib, 3, 4, 5)))


def probe_jacobian_of_several_outputs(lib):
    return lib.autograd.functional.jacobian(lambda x: (x.sum(), x * 2), given(lib))


def probe_jacobian_of_several_of_both(lib):
    return lib.autograd.functional.jacobian(mixed, (given(lib), given(lib, 3, 4)))


def probe_jacobian_of_one_in_a_tuple(lib):
    return lib.autograd.functional.jacobian(lambda x: (x * 2,), (given(lib),))


def probe_jacobian_with_create_graph(lib):
    x = given(lib, grad=True)
    found = lib.autograd.functional.jacobian(cubes, x, create_graph=True)
    return found, lib.autograd.grad(found.sum(), x)


def probe_jacobian_vectorized(lib):
    return lib.autograd.functional.jacobian(cubes, given(lib), vectorize=True)


def probe_jacobian_of_what_does_not_depend(lib):
    return lib.autograd.functional.jacobian(lambda x, y: x * 2, (given(lib), given(lib)))


def probe_jacobian_of_a_constant(lib):
    return lib.autograd.functional.jacobian(lambda x: lib.ones(2, dtype=lib.float64), given(lib))


def probe_jacobian_leaves_the_inputs_alone(lib):
    x = given(lib)
    y = given(lib, grad=True)
    lib.autograd.functional.jacobian(lambda x, y: x * y, (x, y))
    return x.requires_grad, y.grad


def probe_jacobian_in_no_grad(lib):
    with lib.no_grad():
        return lib.autograd.functional.jacobian(cubes, given(lib))


@says("does not require gradients")
def probe_strict_jacobian_of_a_constant(lib):
    lib.autograd.functional.jacobian(lambda x: lib.ones(2, dtype=lib.float64), given(lib), strict=True)


@says("independent of input 1")
def probe_strict_jacobian(lib):
    lib.autograd.functional.jacobian(lambda x, y: x * 2, (given(lib), given(lib)), strict=True)


@says("must be either a Tensor or a tuple of Tensors")
def probe_jacobian_of_a_list(lib):
    lib.autograd.functional.jacobian(cubes, [given(lib)])


@says("must be either a Tensor or a tuple of Tensors")
def probe_jacobian_of_a_function_that_gives_a_number(lib):
    lib.autograd.functional.jacobian(lambda x: 3.0, given(lib))


def probe_hessian(lib):
    return lib.autograd.functional.hessian(lambda x: (x**3).sum(), given(lib))


def probe_hessian_of_several_inputs(lib):
    return lib.autograd.functional.hessian(scalar, (given(lib), given(lib, 3, 4)))


def probe_hessian_with_create_graph(lib):
    x = given(lib, grad=True)
    found = lib.autograd.functional.hessian(lambda x: (x**4).sum(), x, create_graph=True)
    return found, lib.autograd.grad(found.sum(), x)


def probe_hessian_of_what_is_linear(lib):
    return lib.autograd.functional.hessian(lambda x: x.sum() * 2, given(lib))


@says("should contain a single element")
def probe_hessian_of_a_vector(lib):
    lib.autograd.functional.hessian(cubes, given(lib))


@says("should return a single Tensor")
def probe_hessian_of_a_tuple(lib):
    lib.autograd.functional.hessian(lambda x: (x.sum(), x.sum()), given(lib))


@says("strict mode")
def probe_strict_hessian_of_what_is_linear(lib):
    lib.autograd.functional.hessian(lambda x: x.sum() * 2, given(lib), strict=True)


def probe_vjp(lib):
    return lib.autograd.functional.vjp(cubes, given(lib), given(lib, 5, 7))


def probe_vjp_of_a_scalar(lib):
    return lib.autograd.functional.vjp(lambda x: x.sum(), given(lib))


def probe_vjp_of_several(lib):
    return lib.autograd.functional.vjp(
        mixed, (given(lib), given(lib, 3, 4)), (lib.tensor(2.0, dtype=lib.float64), given(lib, 5, 7))
    )


def probe_vjp_with_create_graph(lib):
    x = given(lib, grad=True)
    out, found = lib.autograd.functional.vjp(cubes, x, given(lib, 5, 7), create_graph=True)
    return out, found, lib.autograd.grad(found.sum(), x)


@says("can only be None")
def probe_vjp_without_v(lib):
    lib.autograd.functional.vjp(cubes, given(lib))


@says("has invalid size")
def probe_vjp_with_v_of_another_shape(lib):
    lib.autograd.functional.vjp(cubes, given(lib), given(lib, 1, 2, 3))


@says("should contain a single Tensor")
def probe_vjp_with_too_many_v(lib):
    lib.autograd.functional.vjp(cubes, given(lib), (given(lib), given(lib)))


@says("invalid length")
def probe_vjp_with_too_few_v(lib):
    lib.autograd.functional.vjp(mixed, (given(lib), given(lib, 3, 4)), given(lib))


def probe_jvp(lib):
    return lib.autograd.functional.jvp(cubes, given(lib), given(lib, 5, 7))


def probe_jvp_of_several(lib):
    return lib.autograd.functional.jvp(mixed, (given(lib), given(lib, 3, 4)), (given(lib, 1, 0), given(lib, 5, 7)))


def probe_jvp_of_what_is_linear(lib):
    return lib.autograd.functional.jvp(lambda x: x * 3, given(lib), given(lib, 5, 7))


def probe_jvp_with_create_graph(lib):
    x = given(lib, grad=True)
    out, found = lib.autograd.functional.jvp(cubes, x, given(lib, 5, 7), create_graph=True)
    return out, found, lib.autograd.grad(found.sum(), x)


def probe_vhp(lib):
    return lib.autograd.functional.vhp(scalar, (given(lib), given(lib, 3, 4)), (given(lib, 1, 0), given(lib, 5, 7)))


def probe_hvp(lib):
    return lib.autograd.functional.hvp(scalar, (given(lib), given(lib, 3, 4)), (given(lib, 1, 0), given(lib, 5, 7)))


def probe_hvp_with_create_graph(lib):
    x = given(lib, grad=True)
    out, found = lib.autograd.functional.hvp(lambda x: (x**4).sum(), x, given(lib, 1, 1), create_graph=True)
    return out, found, lib.autograd.grad(found.sum(), x)


def probe_hvp_of_what_is_linear(lib):
    return lib.autograd.functional.hvp(lambda x: x.sum(), given(lib), given(lib))


@says("strict mode")
def probe_strict_hvp_of_what_is_linear(lib):
    lib.autograd.functional.hvp(lambda x: x.sum(), given(lib), given(lib), strict=True)


@pytest.mark.parametrize("probe", probes(globals()), ids=name)
def test_functional_is_as_in_torch(probe, torch):
    check(probe, torch)
