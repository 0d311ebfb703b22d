import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from common import digits, fill


class Teacher(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.GELU(), nn.MaxPool2d(2)
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(256, 32), nn.Hardswish(), nn.Linear(32, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.SiLU(), nn.AvgPool2d(2), nn.Flatten())
        self.classifier = nn.Linear(64, 10)

    def forward(self, x):
        return self.classifier(self.features(x))


images, labels = map(torch.from_numpy, digits(256))
batches = [(images[i : i + 64], labels[i : i + 64]) for i in range(0, 256, 64)]
teacher = fill(Teacher(), 1)
optimizer = optim.Adam(teacher.parameters(), lr=5e-3)
for _epoch in range(4):
    for inputs, targets in batches:
        optimizer.zero_grad()
        loss = F.cross_entropy(teacher(inputs), targets)
        loss.backward()
        optimizer.step()
print("teacher", loss.item())
teacher.eval()


def distill(student, T=2.0, soft_weight=0.25, cosine=False):
    optimizer = optim.Adagrad(student.parameters(), lr=5e-2) if cosine else optim.Adam(student.parameters(), lr=5e-3)
    for epoch in range(2):
        running = 0.0
        for inputs, targets in batches:
            optimizer.zero_grad()
            with torch.no_grad():
                teacher_logits = teacher(inputs)
            logits = student(inputs)
            soft_targets = F.softmax(teacher_logits / T, dim=-1)
            soft_prob = F.log_softmax(logits / T, dim=-1)
            if cosine:
                soft = F.cosine_embedding_loss(logits, teacher_logits, torch.ones(len(inputs)))
            else:
                soft = F.kl_div(soft_prob, soft_targets, reduction="batchmean") * T**2
            loss = soft_weight * soft + (1 - soft_weight) * F.cross_entropy(logits, targets)
            loss.backward()
            optimizer.step()
            running += loss.item()
        print(epoch, running / len(batches))


distill(fill(Student(), 2))
distill(fill(Student(), 2), cosine=True)
