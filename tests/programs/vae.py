import numpy as np
import torch
from common import digits, fill, noise
from torch import nn, optim
from torch.nn import functional as F

rng = np.random.default_rng(0)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 32)
        self.fc21 = nn.Linear(32, 5)
        self.fc22 = nn.Linear(32, 5)
        self.fc3 = nn.Linear(5, 32)
        self.fc4 = nn.Linear(32, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = noise(rng, *std.shape)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 64))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


# Reconstruction + KL divergence losses summed over all elements and batch
def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 64), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


images, _ = digits(384)
train_loader = torch.utils.data.DataLoader(torch.from_numpy(images[:256]), batch_size=64)
test_loader = torch.utils.data.DataLoader(torch.from_numpy(images[256:]), batch_size=64)
model = fill(VAE())
optimizer = optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(1, 6):
    model.train()
    train_loss = 0
    for data in train_loader:
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    print(f"====> Epoch: {epoch} Average loss: {train_loss / len(train_loader.dataset):.4f}")
    model.eval()
    test_loss = 0
    with torch.no_grad():
        for data in test_loader:
            test_loss += loss_function(*(lambda out: (out[0], data, *out[1:]))(model(data))).item()
    print(f"====> Test set loss: {test_loss / len(test_loader.dataset):.4f}")
with torch.no_grad():
    sample = model.decode(noise(rng, 8, 5)).view(8, 1, 8, 8)
    comparison = torch.cat([images_ := next(iter(test_loader))[:8], sample])
print(comparison.shape[0], sample.mean().item(), images_.mean().item())
