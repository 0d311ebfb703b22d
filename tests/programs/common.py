"""Data and starting weights that do not depend on a library's random numbers, for the programs beside this file."""

import numpy as np
import torch


def fill(model, seed=0):
    """Matrices and kernels uniform, of variance 1 / fan-in; vectors of weights one, biases small and uniform."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                bound = (3 / parameter[0].numel()) ** 0.5
            elif name.endswith("weight"):
                parameter.fill_(1.0)
                continue
            else:
                bound = 0.1
            values = rng.uniform(-bound, bound, tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(values).to(parameter.dtype))
    return model


def digits(count, seed=0):
    """Images (count, 1, 8, 8) in float32, 0 ... 1, and labels (count,) of handwritten digits."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(images))[:count]
    return (images[order] / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels[order].astype(np.int64)


def noise(rng, *shape):
    """Normal numbers in float32."""
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
