"""Dropout and the hooks of modules. The random factories, which have no gradient, are tested in tests/test_random.py."""

from tests.op_table.row import Op, Sample


def image(rng, *shape):
    return rng.standard_normal(shape)


def errors(*shape):
    def make(rng):
        return [
            (Sample(image(rng, *shape), 1.5, True), ValueError),
            (Sample(image(rng, *shape), -0.1, True), ValueError),
            (Sample(rng.integers(0, 3, shape), 0.5, True), RuntimeError),
        ]

    return make


def dropout_row(name, *shapes):
    def samples(rng):
        calls = [Sample(image(rng, *shape), p, True) for shape in shapes for p in (0.4, 1.0)]
        return [*calls, Sample(image(rng, *shapes[0]), p=0.3, training=False), Sample(image(rng, *shapes[0]), 0.0, True)]

    # Without a drop the input itself comes back, as in PyTorch.
    return Op(name=f"nn.functional.{name}", samples=samples, random=True, aliases=True, errors=errors(*shapes[0]))


def hooked(lib):
    """(x, y) -> outputs of a module with full backward hooks: identity nodes around its inputs and outputs."""

    class Product(lib.nn.Module):
        def forward(self, x, y):
            return x * y, x + y

    module = Product()
    module.register_full_backward_hook(lambda module, grad_input, grad_output: None)
    module.register_full_backward_pre_hook(lambda module, grad_output: None)
    return module


ROWS = [
    dropout_row("dropout", (3, 4, 2), (7,)),
    dropout_row("alpha_dropout", (3, 4, 2), (7,)),
    dropout_row("feature_alpha_dropout", (3, 4, 2), (2, 5)),
    dropout_row("dropout1d", (3, 4, 2), (5, 2)),
    dropout_row("dropout2d", (3, 4, 2, 2)),
    dropout_row("dropout3d", (2, 3, 2, 1, 2), (3, 2, 1, 2)),
    Op(
        name="nn.functional.gumbel_softmax",
        samples=lambda rng: [Sample(image(rng, 3, 4)), Sample(image(rng, 3, 4), 0.7, dim=0)],
        dtypes=("float64",),  # float32 draws other numbers from the same seed
        random=True,
    ),
    Op(
        name="nn.Module.register_full_backward_hook",
        function=hooked,
        samples=lambda rng: [Sample(image(rng, 3, 2), image(rng, 3, 2))],
        aliases=True,
    ),
]
