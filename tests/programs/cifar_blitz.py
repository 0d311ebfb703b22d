import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
import torchvision
import torchvision.transforms as transforms
from common import fill
from PIL import Image


class Pictures(torch.utils.data.Dataset):
    """Coloured stripes, in CIFAR's shape."""

    classes = ("across", "down", "flat")

    def __init__(self, count, seed, transform):
        rng = np.random.default_rng(seed)
        self.targets = rng.integers(0, 3, count)
        waves = 127.5 + 127.5 * np.sin(np.arange(32) * rng.uniform(0.5, 2.0, (count, 1)))
        images = np.full((count, 32, 32, 3), 127.5)
        images[self.targets == 0] = waves[self.targets == 0][:, :, None, None]
        images[self.targets == 1] = waves[self.targets == 1][:, None, :, None]
        self.data = np.clip(images + rng.normal(0, 30, images.shape), 0, 255).astype(np.uint8)
        self.transform = transform

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.data[index])), int(self.targets[index])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 3)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))])
print(transform)
trainloader = torch.utils.data.DataLoader(Pictures(64, 0, transform), batch_size=4, shuffle=False, num_workers=0)
testloader = torch.utils.data.DataLoader(Pictures(24, 1, transform), batch_size=4, shuffle=False)
images, labels = next(iter(trainloader))
grid = torchvision.utils.make_grid(images)
print(tuple(grid.shape), grid.mean().item(), " ".join(Pictures.classes[labels[j]] for j in range(4)))

net = fill(Net())
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.005, momentum=0.9)
for epoch in range(3):
    running_loss = 0.0
    for i, data in enumerate(trainloader, 0):
        inputs, labels = data
        optimizer.zero_grad()
        loss = criterion(net(inputs), labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
        if i % 8 == 7:
            print(f"[{epoch + 1}, {i + 1:5d}] loss: {running_loss / 8:.4f}")
            running_loss = 0.0

correct_pred = dict.fromkeys(Pictures.classes, 0)
total_pred = dict.fromkeys(Pictures.classes, 0)
with torch.no_grad():
    for images, labels in testloader:
        _, predictions = torch.max(net(images), 1)
        for label, prediction in zip(labels, predictions):
            if label == prediction:
                correct_pred[Pictures.classes[label]] += 1
            total_pred[Pictures.classes[label]] += 1
for classname, correct_count in correct_pred.items():
    print(f"Accuracy for class: {classname:6s} is {100 * correct_count / total_pred[classname]:.1f} %")
