import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from common import digits, fill


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, kernel_size=3)
        self.conv2_drop = nn.Dropout2d(p=0.0)
        self.fc1, self.fc2 = nn.Linear(72, 32), nn.Linear(32, 10)
        # Spatial transformer localization-network
        self.localization = nn.Sequential(nn.Conv2d(1, 8, kernel_size=3), nn.MaxPool2d(2, stride=2), nn.ReLU(True))
        # Regressor for the 3 * 2 affine matrix
        self.fc_loc = nn.Sequential(nn.Linear(72, 16), nn.ReLU(True), nn.Linear(16, 3 * 2))

    def initialize(self):
        # the weights/bias with identity transformation
        self.fc_loc[2].weight.data.zero_()
        self.fc_loc[2].bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))

    def stn(self, x):
        xs = self.localization(x)
        theta = self.fc_loc(xs.view(-1, 72)).view(-1, 2, 3)
        grid = F.affine_grid(theta, x.size(), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv1(self.stn(x))), 2))
        x = F.dropout(F.relu(self.fc1(x.view(-1, 72))), p=0.0, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


images, labels = map(torch.from_numpy, digits(192))
model = fill(Net())
model.initialize()
optimizer = optim.SGD(model.parameters(), lr=0.1)
for epoch in range(4):
    for i in range(0, 192, 32):
        optimizer.zero_grad()
        loss = F.nll_loss(model(images[i : i + 32]), labels[i : i + 32])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item(), model.fc_loc[2].bias.detach().tolist())

# The fast gradient sign method against it
model.eval()
for epsilon in (0.0, 0.1, 0.3):
    data = images[:64].clone()
    data.requires_grad = True
    loss = F.nll_loss(model(data), labels[:64])
    model.zero_grad()
    loss.backward()
    perturbed = torch.clamp(data + epsilon * data.grad.data.sign(), 0, 1)
    correct = (model(perturbed).max(1, keepdim=True)[1].flatten() == labels[:64]).sum().item()
    print(f"Epsilon: {epsilon}\tLoss = {loss.item():.6f}\tAccuracy = {correct} / 64")
