import math

import torch
import torch.nn as nn
from common import fill


class PINN(nn.Module):
    """u(x, t) of the heat equation u_t = a u_xx with an unknown a."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
        self.a = nn.Parameter(torch.tensor(0.5))

    def forward(self, x, t):
        return self.net(torch.cat([x, t], dim=1))


def derivative(y, x):
    return torch.autograd.grad(y, x, grad_outputs=torch.ones_like(y), create_graph=True, retain_graph=True)[0]


torch.set_default_dtype(torch.float64)
model = fill(PINN())
model.a.data.fill_(0.5)
x, t = torch.meshgrid(torch.linspace(0, math.pi, 9), torch.linspace(0, 1, 7), indexing="ij")
x, t = x.reshape(-1, 1).requires_grad_(), t.reshape(-1, 1).requires_grad_()
exact = torch.exp(-0.8 * t.detach()) * torch.sin(x.detach())


def loss_terms():
    u = model(x, t)
    residual = derivative(u, t) - model.a * derivative(derivative(u, x), x)
    return residual.pow(2).mean(), (u - exact).pow(2).mean()


optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(40):
    optimizer.zero_grad()
    physics, fit = loss_terms()
    (physics + fit).backward()
    optimizer.step()
    if step % 10 == 9:
        print(step, physics.item(), fit.item(), model.a.item())
optimizer = torch.optim.LBFGS(model.parameters(), max_iter=8, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    loss = sum(loss_terms())
    loss.backward()
    return loss


print(optimizer.step(closure).item(), sum(loss_terms()).item(), model.a.item())
jacobian = torch.autograd.functional.jacobian(lambda p: model(p, torch.zeros(3, 1)).sum(), torch.ones(3, 1))
hessian = torch.autograd.functional.hessian(lambda p: model(p, torch.zeros(1, 1)).sum(), torch.ones(1, 1))
print(jacobian.flatten().tolist(), hessian.item())
torch.set_default_dtype(torch.float32)
