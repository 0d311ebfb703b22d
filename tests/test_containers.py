"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict: every test holds for PyTorch too."""

from collections import OrderedDict

import pytest

from tests.test_module import make_linear


@pytest.fixture
def Lin(lib):
    return make_linear(lib)


def test_sequential_calls_and_names(lib, Lin):
    a, b = Lin(3, 4), Lin(4, 2)
    x = lib.ones(2, 3)
    net = lib.nn.Sequential(a, b)
    assert net(x).tolist() == b(a(x)).tolist()
    named = lib.nn.Sequential(OrderedDict(first=a, second=b))
    assert next(iter(named.state_dict())) == "first.weight"
    assert named.second is b
    assert named[-1] is b
    assert list(net) == [a, b]
    assert len(net) == 2
    assert repr(named[:1]) == "Sequential(\n  (first): Lin(3)\n)"
    assert repr(net[1:]) == "Sequential(\n  (0): Lin(4)\n)" or list(net[1:]._modules) == ["1"]
    assert lib.nn.Sequential()(x) is x


def test_sequential_changes(lib, Lin):
    layers = [Lin(1, 1) for _ in range(5)]
    net = lib.nn.Sequential(*layers[:2])
    assert net.append(layers[2]) is net
    assert net.insert(0, layers[3]) is net
    assert list(net) == [layers[3], *layers[:3]]
    assert net.extend(lib.nn.Sequential(layers[4])) is net
    assert list(net._modules) == ["0", "1", "2", "3", "4"]
    assert net.pop(1) is layers[0]
    del net[0:2]
    assert list(net) == [layers[2], layers[4]]
    assert list(net._modules) == ["0", "1"]
    net[-1] = layers[0]
    assert list(net) == [layers[2], layers[0]]
    net.insert(-1, layers[1])
    assert list(net) == [layers[2], layers[1], layers[0]]
    with pytest.raises(IndexError, match="index 3 is out of range"):
        net[3]
    with pytest.raises(IndexError, match="index -4 is out of range"):
        del net[-4]
    with pytest.raises(IndexError, match="Index out of range: 5"):
        net.insert(5, layers[0])
    with pytest.raises(AssertionError, match="module should be of type"):
        net.insert(0, 3)
    with pytest.raises(TypeError, match="is not a Module subclass"):
        net.append(3)
    with pytest.raises(TypeError):
        net["0"]


def test_sequential_arithmetic(lib, Lin):
    a, b = lib.nn.Sequential(Lin(1, 1), Lin(1, 1)), lib.nn.Sequential(Lin(1, 1))
    assert list(a + b) == [*a, *b]
    assert list(a * 2) == [*a, *a]
    assert list(2 * a) == [*a, *a]
    before = list(a)
    same = a
    a += b
    assert a is same
    assert list(a) == [*before, *b]
    b *= 3
    assert len(b) == 3
    with pytest.raises(ValueError, match="add operator supports only objects of Sequential class"):
        a + 3
    with pytest.raises(ValueError, match="add operator supports only objects of Sequential class"):
        a += 3
    with pytest.raises(TypeError, match="unsupported operand type"):
        a * 1.5
    with pytest.raises(ValueError, match="Non-positive multiplication factor 0"):
        a * 0
    with pytest.raises(ValueError, match="Non-positive multiplication factor -1"):
        a *= -1


def test_module_list(lib, Lin):
    layers = [Lin(1, 1) for _ in range(5)]
    modules = lib.nn.ModuleList(layers[:3])
    assert len(list(modules.parameters())) == 6
    assert list(modules[1:]) == layers[1:3]
    assert type(modules[1:]) is lib.nn.ModuleList
    assert modules[-1] is layers[2]
    modules.insert(1, layers[3])
    assert list(modules) == [layers[0], layers[3], layers[1], layers[2]]
    modules += [layers[4]]
    assert modules.pop(0) is layers[0]
    del modules[::2]
    assert list(modules) == [layers[1], layers[4]]
    assert list(modules._modules) == ["0", "1"]
    modules[0] = layers[2]
    assert modules.append(layers[0]) is modules
    assert list(modules + [layers[3]]) == [layers[2], layers[4], layers[0], layers[3]]  # noqa: RUF005
    assert "0" not in dir(modules)
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"index {index} is out of range"):
            modules[index]
    with pytest.raises(TypeError, match=r"ModuleList\.extend should be called with an iterable, but got int"):
        modules.extend(3)
    with pytest.raises(NotImplementedError):
        modules(lib.ones(1))


def test_module_list_repr(lib, Lin):
    assert repr(lib.nn.ModuleList()) == "ModuleList()"
    modules = lib.nn.ModuleList([Lin(1, 1), Lin(1, 1), Lin(2, 2), lib.nn.Sequential(Lin(1, 1)), lib.nn.Sequential(Lin(1, 1))])
    assert repr(modules) == (
        "ModuleList(\n  (0-1): 2 x Lin(1)\n  (2): Lin(2)\n  (3-4): 2 x Sequential(\n    (0): Lin(1)\n  )\n)"
    )


def test_module_dict(lib, Lin):
    a, b = Lin(1, 1), Lin(2, 2)
    modules = lib.nn.ModuleDict({"b": b, "a": a})
    assert (list(modules), list(modules.keys()), list(modules.values())) == (["b", "a"], ["b", "a"], [b, a])
    assert list(modules.items()) == [("b", b), ("a", a)]
    assert "a" in modules
    assert "c" not in modules
    assert repr(modules) == "ModuleDict(\n  (b): Lin(2)\n  (a): Lin(1)\n)"
    modules["c"] = lib.nn.Flatten()
    modules.update([["d", a]])
    modules.update(lib.nn.ModuleDict([("e", b)]))
    assert len(modules) == 5
    assert modules.pop("c").start_dim == 1
    del modules["d"]
    assert list(modules) == ["b", "a", "e"]
    with pytest.raises(KeyError):
        modules["x"]
    with pytest.raises(KeyError):
        modules["forward"] = a
    with pytest.raises(
        TypeError, match=r"ModuleDict\.update should be called with an iterable of key/value pairs, but got int"
    ):
        modules.update(3)
    with pytest.raises(TypeError, match="element #0 should be Iterable; isint"):
        modules.update([3])
    with pytest.raises(ValueError, match="element #0 has length 1; 2 is required"):
        modules.update([("a",)])
    modules.clear()
    assert len(modules) == 0


def test_parameter_list(lib):
    p = lib.nn.Parameter(lib.ones(2))
    values = lib.nn.ParameterList([p, lib.zeros(2, 3), "text"])
    assert values[0] is p
    assert isinstance(values[1], lib.nn.Parameter)
    assert [name for name, _ in values.named_parameters()] == ["0", "1"]
    assert values[-1] == "text"
    assert [type(v) for v in values[:2]] == [lib.nn.Parameter] * 2
    assert values.append(p) is values
    values += [p]
    values[2] = lib.ones(1)
    assert len(values) == 5
    assert len(list(values.parameters())) == 3
    with pytest.raises(IndexError, match="index 5 is out of range"):
        values[5]
    for wrong in (3, lib.ones(2)):
        with pytest.raises(TypeError, match=r"ParameterList\.extend should be called with an iterable"):
            values.extend(wrong)
    with pytest.raises(RuntimeError, match="should not be called"):
        values(1)


def test_parameter_dict(lib):
    p = lib.nn.Parameter(lib.ones(2))
    values = lib.nn.ParameterDict({"b": p, "a": lib.zeros(3)})
    assert list(values) == ["a", "b"]
    assert list(reversed(values)) == ["b", "a"]
    assert isinstance(values["a"], lib.nn.Parameter)
    values["c"] = 3
    assert (values.get("c"), values.get("x"), values.get("x", 1)) == (3, None, 1)
    assert values.setdefault("c", 4) == 3
    assert values.setdefault("d", 4) == 4
    assert list(values.copy().keys()) == ["a", "b", "c", "d"]
    assert values.popitem() == ("d", 4)
    assert values.pop("c") == 3
    assert [name for name, _ in values.named_parameters()] == ["a", "b"]
    assert [k for k, _ in values.items()] == ["a", "b"]
    assert len(list(values.values())) == 2
    joined = values | lib.nn.ParameterDict({"z": lib.ones(1)})
    assert list(joined) == ["a", "b", "z"]
    values |= lib.nn.ParameterDict([("y", p)])
    assert list(values) == ["a", "b", "y"]
    assert list(values.fromkeys(["k", "l"], 1).items()) == [("k", 1), ("l", 1)]
    del values["y"]
    assert "y" not in values
    with pytest.raises(TypeError, match="Index given to ParameterDict cannot be used as a key"):
        values[3]
    with pytest.raises(RuntimeError, match="should not be called"):
        values(1)
    values.clear()
    assert len(values) == 0


def test_parameter_container_reprs(lib):
    values = lib.nn.ParameterList([lib.zeros(2, 3), "text"])
    dictionary = lib.nn.ParameterDict({"a": lib.zeros(2, 3), "b": 3})
    name = lib.__name__
    assert repr(values) == (
        f"ParameterList(\n    (0): Parameter containing: [{name}.float32 of size 2x3]\n    (1): Object of type: str\n)"
    )
    assert repr(dictionary) == (
        f"ParameterDict(\n    (a): Parameter containing: [{name}.FloatTensor of size 2x3]\n    (b): Object of type: int\n)"
    )


def test_flatten_and_unflatten(lib):
    x = lib.arange(24).reshape(2, 3, 4)
    assert lib.nn.Flatten()(x).shape == (2, 12)
    assert lib.nn.Flatten(0, 1)(x).shape == (6, 4)
    assert lib.nn.Unflatten(2, (2, -1))(x).shape == (2, 3, 2, 2)
    assert lib.nn.Unflatten(1, [3, 1])(x).tolist() == x.reshape(2, 3, 1, 4).tolist()
    with pytest.raises(TypeError, match="unflattened_size must be tuple of ints, but found element of type float at pos 1"):
        lib.nn.Unflatten(1, (3, 1.0))
    with pytest.raises(TypeError, match="unflattened_size must be a tuple of ints, but found type int"):
        lib.nn.Unflatten(1, 3)
