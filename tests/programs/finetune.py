import copy

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from common import fill
from torch.optim import lr_scheduler
from torchvision import models

rng = np.random.default_rng(0)
labels = torch.from_numpy(rng.integers(0, 2, 24))
images = torch.from_numpy(rng.standard_normal((24, 3, 32, 32)).astype("float32"))
images[labels == 1, 0] += 1.0
dataloaders = {
    "train": [(images[i : i + 8], labels[i : i + 8]) for i in (0, 8)],
    "val": [(images[16:], labels[16:])],
}
dataset_sizes = {"train": 16, "val": 8}


def train_model(model, criterion, optimizer, scheduler, num_epochs=2):
    best_model_wts, best_acc = copy.deepcopy(model.state_dict()), 0.0
    for epoch in range(num_epochs):
        print(f"Epoch {epoch}/{num_epochs - 1}")
        for phase in ["train", "val"]:
            model.train() if phase == "train" else model.eval()
            running_loss, running_corrects = 0.0, 0
            for inputs, targets in dataloaders[phase]:
                optimizer.zero_grad()
                with torch.set_grad_enabled(phase == "train"):
                    outputs = model(inputs)
                    _, preds = torch.max(outputs, 1)
                    loss = criterion(outputs, targets)
                    if phase == "train":
                        loss.backward()
                        optimizer.step()
                running_loss += loss.item() * inputs.size(0)
                running_corrects += torch.sum(preds == targets.data)
            if phase == "train":
                scheduler.step()
            epoch_loss = running_loss / dataset_sizes[phase]
            epoch_acc = running_corrects.double() / dataset_sizes[phase]
            print(f"{phase} Loss: {epoch_loss:.4f} Acc: {epoch_acc:.4f}")
            if phase == "val" and epoch_acc > best_acc:
                best_acc, best_model_wts = epoch_acc, copy.deepcopy(model.state_dict())
    model.load_state_dict(best_model_wts)
    return model


model_conv = fill(models.resnet18(weights=None))
for param in model_conv.parameters():
    param.requires_grad = False
# Parameters of newly constructed modules have requires_grad=True by default
num_ftrs = model_conv.fc.in_features
model_conv.fc = fill(nn.Linear(num_ftrs, 2))
print(num_ftrs, sum(p.requires_grad for p in model_conv.parameters()))
optimizer_conv = optim.SGD(model_conv.fc.parameters(), lr=0.01, momentum=0.9)
exp_lr_scheduler = lr_scheduler.StepLR(optimizer_conv, step_size=1, gamma=0.1)
before = model_conv.layer1[0].conv1.weight.clone()
train_model(model_conv, nn.CrossEntropyLoss(), optimizer_conv, exp_lr_scheduler)
print(torch.equal(before, model_conv.layer1[0].conv1.weight), model_conv.conv1.weight.grad)
for param in model_conv.layer4.parameters():
    param.requires_grad_(True)
optimizer = optim.Adam(filter(lambda p: p.requires_grad, model_conv.parameters()), lr=1e-4)
train_model(model_conv, nn.CrossEntropyLoss(), optimizer, lr_scheduler.ExponentialLR(optimizer, 0.9), num_epochs=1)
