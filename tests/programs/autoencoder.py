import torch
from common import digits, fill
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.PReLU(),
            nn.Conv2d(8, 4, 3, stride=2, padding=1),
            nn.Flatten(),
            nn.Linear(16, 8),
        )
        self.decoder = nn.Sequential(
            nn.Linear(8, 16),
            nn.Unflatten(1, (4, 2, 2)),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(4, 8, 3, padding=1),
            nn.ELU(),
            nn.ConvTranspose2d(8, 1, 3, stride=2, padding=1, output_padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


images, labels = digits(256)
dataset = TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
train_set, valid_set = torch.utils.data.Subset(dataset, range(192)), torch.utils.data.Subset(dataset, range(192, 256))
loader = DataLoader(train_set, batch_size=32, drop_last=True)
net = fill(AutoEncoder())
with torch.no_grad():
    net.encoder[1].weight.fill_(0.25)
print(net)
optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=1e-2)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=4 * len(loader))
for epoch in range(4):
    for x, _ in loader:
        noisy = x + 0.1 * torch.sin(37 * x)
        loss = nn.functional.mse_loss(net(noisy), x)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
    with torch.inference_mode():
        valid = torch.stack([valid_set[i][0] for i in range(len(valid_set))])
        print(epoch, loss.item(), nn.functional.l1_loss(net(valid), valid).item(), scheduler.get_last_lr()[0])
codes = net.encoder(valid.clone()).detach()
distance = torch.cdist(codes, codes)
print(distance.mean().item(), distance.argsort(dim=1)[:4, 0].tolist())
