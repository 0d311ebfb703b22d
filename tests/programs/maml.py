import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(0)


def sine_task():
    amplitude, phase = rng.uniform(0.1, 5.0), rng.uniform(0, np.pi)
    x = torch.from_numpy(rng.uniform(-5, 5, (20, 1)).astype("float32"))
    y = amplitude * torch.sin(x + phase)
    return x[:10], y[:10], x[10:], y[10:]


def net(x, params):
    x = F.relu(F.linear(x, params[0], params[1]))
    x = F.relu(F.linear(x, params[2], params[3]))
    return F.linear(x, params[4], params[5])


def make_params():
    params = []
    for n_out, n_in in ((20, 1), (20, 20), (1, 20)):
        params.append(torch.from_numpy(rng.uniform(-1, 1, (n_out, n_in)).astype("float32") * (3 / n_in) ** 0.5))
        params.append(torch.zeros(n_out))
    return [p.requires_grad_() for p in params]


params = make_params()
optimizer = torch.optim.Adam(params, lr=1e-3)
for iteration in range(10):
    meta_loss = 0.0
    for _ in range(4):
        x, y, x_query, y_query = sine_task()
        fast = params
        for _ in range(2):
            loss = F.mse_loss(net(x, fast), y)
            grads = torch.autograd.grad(loss, fast, create_graph=True)
            fast = [p - 0.01 * g for p, g in zip(fast, grads)]
        meta_loss = meta_loss + F.mse_loss(net(x_query, fast), y_query)
    optimizer.zero_grad()
    (meta_loss / 4).backward()
    optimizer.step()
    print(f"{iteration} {meta_loss.item() / 4:.6f} {params[0].grad.norm().item():.6f}")
