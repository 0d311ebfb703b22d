import numpy as np
import torch
from common import fill, noise
from torch import autograd, nn, optim

DIM, LAMBDA, CRITIC_ITERS, BATCH = 32, 0.1, 3, 32
rng = np.random.default_rng(0)
torch.set_default_dtype(torch.float64)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(nn.Linear(2, DIM), nn.ReLU(True), nn.Linear(DIM, DIM), nn.ReLU(True), nn.Linear(DIM, 2))

    def forward(self, noise):
        return self.main(noise)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(nn.Linear(2, DIM), nn.Tanh(), nn.Linear(DIM, DIM), nn.LeakyReLU(0.2), nn.Linear(DIM, 1))

    def forward(self, inputs):
        return self.main(inputs).view(-1)


def calc_gradient_penalty(netD, real_data, fake_data):
    alpha = torch.from_numpy(rng.random((BATCH, 1))).expand(real_data.size())
    interpolates = alpha * real_data + (1 - alpha) * fake_data
    interpolates = autograd.Variable(interpolates, requires_grad=True)
    disc_interpolates = netD(interpolates)
    gradients = autograd.grad(
        outputs=disc_interpolates,
        inputs=interpolates,
        grad_outputs=torch.ones(disc_interpolates.size()),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean() * LAMBDA


netG, netD = fill(Generator(), 1), fill(Discriminator(), 2)
optimizerD = optim.Adam(netD.parameters(), lr=1e-3, betas=(0.5, 0.9))
optimizerG = optim.Adam(netG.parameters(), lr=1e-3, betas=(0.5, 0.9))
one = torch.tensor(1.0)
mone = one * -1
for iteration in range(5):
    for p in netD.parameters():  # reset requires_grad
        p.requires_grad = True  # they are set to False below in netG update
    for _ in range(CRITIC_ITERS):
        angle = torch.from_numpy(rng.integers(0, 8, BATCH) * np.pi / 4)
        real = torch.stack([angle.cos(), angle.sin()], 1) + 0.02 * noise(rng, BATCH, 2).double()
        netD.zero_grad()
        D_real = netD(real).mean()
        D_real.backward(mone)
        fake = netG(noise(rng, BATCH, 2).double()).detach()
        D_fake = netD(fake).mean()
        D_fake.backward(one)
        gradient_penalty = calc_gradient_penalty(netD, real, fake)
        gradient_penalty.backward()
        optimizerD.step()
    for p in netD.parameters():
        p.requires_grad = False  # to avoid computation
    netG.zero_grad()
    G = netD(netG(noise(rng, BATCH, 2).double())).mean()
    G.backward(mone)
    optimizerG.step()
    print(
        f"{iteration} D {(D_fake - D_real + gradient_penalty).item():.6f} G {-G.item():.6f} penalty {gradient_penalty.item():.6f}"
    )
