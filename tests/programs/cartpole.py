"""A pole on a cart, by Euler steps (Barto, Sutton, Anderson 1983)."""

import math

import torch


class CartPole:
    def __init__(self, rng):
        self.rng = rng

    def reset(self):
        self.state = self.rng.uniform(-0.05, 0.05, 4).astype("float32")
        self.steps = 0
        return self.state

    def step(self, action):
        x, x_dot, theta, theta_dot = (float(v) for v in self.state)
        force = 10.0 if action == 1 else -10.0
        cos, sin = math.cos(theta), math.sin(theta)
        temp = (force + 0.05 * theta_dot**2 * sin) / 1.1
        theta_acc = (9.8 * sin - cos * temp) / (0.5 * (4.0 / 3.0 - 0.1 * cos**2 / 1.1))
        x_acc = temp - 0.05 * theta_acc * cos / 1.1
        values = [x + 0.02 * x_dot, x_dot + 0.02 * x_acc, theta + 0.02 * theta_dot, theta_dot + 0.02 * theta_acc]
        self.state = torch.tensor(values).numpy()
        self.steps += 1
        return self.state, 1.0, abs(values[0]) > 2.4 or abs(values[2]) > 0.2095 or self.steps >= 100


if __name__ == "__main__":
    import numpy as np

    env = CartPole(np.random.default_rng(0))
    env.reset()
    while True:
        state, reward, done = env.step(env.steps % 2)
        if done:
            break
    print(env.steps, float(state[2]))
