from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from common import fill, noise

POLY_DEGREE = 4
rng = np.random.default_rng(0)
W_target = noise(rng, POLY_DEGREE, 1) * 5
b_target = noise(rng, 1) * 5


def make_features(x):
    """Builds features i.e. a matrix with columns [x, x^2, x^3, x^4]."""
    x = x.unsqueeze(1)
    return torch.cat([x**i for i in range(1, POLY_DEGREE + 1)], 1)


def f(x):
    """Approximated function."""
    return x.mm(W_target) + b_target.item()


def poly_desc(W, b):
    """Creates a string description of a polynomial."""
    result = "y = "
    for i, w in enumerate(W):
        result += f"{w:+.2f} x^{i + 1} "
    return result + f"{b[0]:+.2f}"


def get_batch(batch_size=32):
    """Builds a batch i.e. (x, f(x)) pair."""
    x = make_features(noise(rng, batch_size))
    return x, f(x)


fc = fill(torch.nn.Linear(W_target.size(0), 1))
for batch_idx in count(1):
    batch_x, batch_y = get_batch()
    fc.zero_grad()
    output = F.smooth_l1_loss(fc(batch_x), batch_y)
    loss = output.item()
    output.backward()
    for param in fc.parameters():
        param.data.add_(-0.1 * param.grad)
    if loss < 1e-3 or batch_idx == 150:
        break
    if batch_idx % 30 == 1:
        print(batch_idx, loss)
print(f"Loss: {loss:.6f} after {batch_idx} batches")
print("==> Learned function:\t" + poly_desc(fc.weight.view(-1), fc.bias))
print("==> Actual function:\t" + poly_desc(W_target.view(-1), b_target))
