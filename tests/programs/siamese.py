import random

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from common import digits, fill
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten()
        )
        self.fc = nn.Sequential(nn.Linear(32, 16), nn.ReLU(inplace=True), nn.Linear(16, 1))
        self.sigmoid = nn.Sigmoid()
        self.features.apply(self.init_weights)
        self.fc.apply(self.init_weights)

    def init_weights(self, m):
        if isinstance(m, nn.Linear):
            torch.nn.init.xavier_uniform_(m.weight)
            m.bias.data.fill_(0.01)

    def forward_once(self, x):
        output = self.features(x)
        return output.view(output.size()[0], -1)

    def forward(self, input1, input2):
        output = torch.cat((self.forward_once(input1), self.forward_once(input2)), 1)
        return self.sigmoid(self.fc(output))


class AppMatcher(Dataset):
    def __init__(self, count, seed):
        super().__init__()
        random.seed(seed)
        images, targets = digits(count, seed)
        self.data = torch.from_numpy(images).clone()
        self.grouped_examples = {i: np.where(targets == i)[0] for i in range(10)}

    def __len__(self):
        return self.data.shape[0]

    def __getitem__(self, index):
        selected_class = random.randint(0, 9)
        image_1 = self.data[random.choice(self.grouped_examples[selected_class])].clone().float()
        if index % 2 == 0:
            other, target = selected_class, torch.tensor(1, dtype=torch.float)
        else:
            other = random.choice([i for i in range(10) if i != selected_class])
            target = torch.tensor(0, dtype=torch.float)
        image_2 = self.data[random.choice(self.grouped_examples[other])].clone().float()
        return image_1, image_2, target


train_loader = DataLoader(AppMatcher(320, 1), batch_size=32)
test_loader = DataLoader(AppMatcher(100, 2), batch_size=50)
model = SiameseNetwork()
fill(model.features)
fill(model.fc)
criterion = nn.BCELoss()
optimizer = optim.Adadelta(model.parameters(), lr=0.5)
scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
for epoch in range(1, 4):
    model.train()
    for batch_idx, (images_1, images_2, targets) in enumerate(train_loader):
        optimizer.zero_grad()
        outputs = model(images_1, images_2).squeeze()
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        if batch_idx % 4 == 0:
            print(f"Train Epoch: {epoch} [{batch_idx * len(images_1)}/{len(train_loader.dataset)}]\tLoss: {loss.item():.6f}")
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for images_1, images_2, targets in test_loader:
            outputs = model(images_1, images_2).squeeze()
            test_loss += criterion(outputs, targets).sum().item()
            pred = torch.where(outputs > 0.5, 1, 0)
            correct += pred.eq(targets.view_as(pred)).sum().item()
    print(f"\nTest set: loss {test_loss:.4f}, accuracy {correct}/{len(test_loader.dataset)}\n")
    scheduler.step()
