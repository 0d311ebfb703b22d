import math

import torch


class LegendrePolynomial3(torch.autograd.Function):
    """P3(x) = (5 x^3 - 3 x) / 2"""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return 0.5 * (5 * input**3 - 3 * input)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output * 1.5 * (5 * input**2 - 1)


class MyReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input, threshold):
        ctx.save_for_backward(input)
        ctx.threshold = threshold
        return input.clamp(min=threshold)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        grad_input = grad_output.clone()
        grad_input[input < ctx.threshold] = 0
        return grad_input, None


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        gx = grad * weight if ctx.needs_input_grad[0] else None
        gw = (grad * x).sum() if ctx.needs_input_grad[1] else None
        return gx, gw


x = torch.linspace(-math.pi, math.pi, 200)
y = torch.sin(x)
a, b = torch.full((), 0.0, requires_grad=True), torch.full((), -1.0, requires_grad=True)
c, d = torch.full((), 0.0, requires_grad=True), torch.full((), 0.3, requires_grad=True)
learning_rate = 5e-6
for t in range(300):
    P3 = LegendrePolynomial3.apply
    y_pred = a + b * P3(c + d * x)
    loss = (y_pred - y).pow(2).sum()
    if t % 60 == 59:
        print(t, loss.item())
    loss.backward()
    with torch.no_grad():
        for p in (a, b, c, d):
            p -= learning_rate * p.grad
            p.grad = None
print(f"Result: y = {a.item():.5f} + {b.item():.5f} * P3({c.item():.5f} + {d.item():.5f} x)")

data = (torch.arange(12.0).reshape(3, 4) - 5.5) / 3
data.requires_grad_()
MyReLU.apply(data, 0.1).sum().backward()
print(data.grad.tolist())
weight = torch.tensor(2.0, dtype=torch.double, requires_grad=True)
inputs = torch.linspace(0.1, 1, 5, dtype=torch.double, requires_grad=True)
print(torch.autograd.gradcheck(Scale.apply, (inputs, weight)), torch.autograd.gradgradcheck(Scale.apply, (inputs, weight)))
print(torch.autograd.gradcheck(LegendrePolynomial3.apply, (inputs,)))
Scale.apply(inputs.detach(), weight).sum().backward()
print(weight.grad.item(), inputs.grad is None)
