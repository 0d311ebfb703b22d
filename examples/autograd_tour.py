"""A tour of automatic differentiation: every rule of the graph on numbers small enough to check by hand.

Each line shows a value beside the one worked out by hand in the comment above it, and the run stops if they differ.
Draws the graph of its first function to runs/autograd_tour/graph.svg.
"""

from __future__ import annotations

import plumbing

import minigrad as mg
from minigrad import viz

checked = 0


def show(what: str, value: mg.Tensor | bool | None, by_hand: object) -> None:
    """Prints a value beside what it must be; raises ValueError if it is not."""
    global checked
    found = value.tolist() if isinstance(value, mg.Tensor) else value
    print(f"  {what:<46} {found!s:<16} by hand {by_hand}")
    if found != by_hand:
        raise ValueError(f"{what} is {found}, not {by_hand}")
    checked += 1


def refused(what: str, action) -> None:
    """Prints the error that an action must end in."""
    global checked
    try:
        action()
    except RuntimeError as error:
        print(f"  {what:<46} RuntimeError: {str(error).splitlines()[0][:110]}")
        checked += 1
    else:
        raise ValueError(f"{what} should have raised an error")


def accumulation() -> None:
    # y = x0^2 + 3 x1: dy/dx = (2 x0, 3) = (4, 3) at x = (2, 5).
    x = mg.tensor([2.0, 5.0], requires_grad=True)
    for time in (1, 2):
        (x[0] ** 2 + 3 * x[1]).backward()
        show(f"x.grad after backward number {time}", x.grad, [4.0 * time, 3.0 * time])  # gradients add up ...
    x.grad.zero_()  # ... until they are cleared: in place,
    show("after x.grad.zero_()", x.grad, [0.0, 0.0])
    mg.optim.SGD([x], lr=0.1).zero_grad()  # or by an optimizer, which drops them
    show("after optimizer.zero_grad()", x.grad, None)


def cutting() -> None:
    # y = x * x with the second x held constant: dy/dx = x = 3, not 2 x = 6.
    x = mg.tensor(3.0, requires_grad=True)
    (x * x.detach()).backward()
    show("x * x.detach(): x.grad", x.grad, 3.0)
    part = x.detach()  # shares x's memory: a write to one is a write to both
    part.fill_(7.0)
    show("x after x.detach().fill_(7)", x, 7.0)
    with mg.no_grad():  # nothing is recorded in here
        show("under no_grad, (2 * x).requires_grad", (2 * x).requires_grad, False)


def freezing() -> None:
    # loss = c (b a): with b frozen it still passes a gradient on: dloss/da = c b = 4 * 3 = 12, dloss/dc = b a = 3 * 2 = 6.
    a, b, c = (mg.tensor(value, requires_grad=True) for value in (2.0, 3.0, 4.0))
    b.requires_grad_(False)
    middle = b * a
    middle.retain_grad()  # a result inside the graph keeps its gradient only when asked
    (c * middle).backward()
    show("a.grad through the frozen b", a.grad, 12.0)
    show("b.grad", b.grad, None)
    show("c.grad", c.grad, 6.0)
    show("middle.grad (retain_grad) = c", middle.grad, 4.0)


def twice() -> None:
    # y = x^3: y' = 3 x^2 = 12; backward twice over one graph gives 24, if the first call kept what the second needs.
    x = mg.tensor(2.0, requires_grad=True)
    y = x**3
    y.backward(retain_graph=True)
    y.backward()
    show("two backward calls with retain_graph", x.grad, 24.0)
    refused("a third, after the graph was freed", y.backward)
    # y'' = 6 x = 12, y''' = 6: with create_graph a gradient is a function like any other.
    y = x**3
    (first,) = mg.autograd.grad(y, x, create_graph=True)
    (second,) = mg.autograd.grad(first, x, create_graph=True)
    (third,) = mg.autograd.grad(second, x)
    show("y'", first, 12.0)
    show("y''", second, 12.0)
    show("y'''", third, 6.0)


def in_place() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    # exp keeps its result for backward; overwriting the result makes backward refuse rather than give a wrong gradient.
    y = x.exp()
    y += 1
    refused("y = x.exp(); y += 1; y.sum().backward()", y.sum().backward)
    # y = 3 x keeps nothing of y, so y may be overwritten: d(3 x + 1)/dx = 3.
    y = 3 * x
    y += 1
    y.sum().backward()
    show("y = 3 * x; y += 1: x.grad", x.grad, [3.0, 3.0])
    # A write through a view: y = (2 x0, 10 * 2 x1), so the gradient is (2, 20).
    x.grad = None
    y = 2 * x
    y[1:].mul_(10)
    y.sum().backward()
    show("y = 2 * x; y[1:].mul_(10): x.grad", x.grad, [2.0, 20.0])
    refused("x += 1 on a leaf that wants a gradient", lambda: x.add_(1))


def main() -> None:
    args = plumbing.parser(__doc__).parse_args()
    for section in (accumulation, cutting, freezing, twice, in_place):
        print(section.__name__.replace("_", " "))
        section()

    x, w = mg.tensor([2.0, 5.0], requires_grad=True), mg.tensor([3.0, 1.0], requires_grad=True)
    loss = ((x * w).tanh() - w).pow(2).sum()
    args.out.mkdir(parents=True, exist_ok=True)
    viz.graph(loss, params={"x": x, "w": w}).save(args.out / "graph.svg")
    print(f"wrote {args.out / 'graph.svg'}")
    plumbing.result("values as worked out by hand", checked, form="d")


if __name__ == "__main__":
    main()
