import random

import torch
import torch.nn as nn
from common import fill
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

NAMES = {
    "Italian": ["rossi", "bianchi", "esposito", "ricci", "marino", "greco", "conti", "gallo", "mancini", "costa"],
    "Russian": ["ivanov", "petrov", "smirnov", "popov", "volkov", "sokolov", "lebedev", "kozlov", "novikov", "orlov"],
    "Japanese": ["sato", "suzuki", "takahashi", "tanaka", "watanabe", "ito", "yamamoto", "nakamura", "kobayashi", "kato"],
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class NamesDataset(Dataset):
    def __init__(self):
        self.labels_uniq = sorted(NAMES)
        self.data = [(name, label) for label, names in NAMES.items() for name in names]
        random.Random(0).shuffle(self.data)

    def __len__(self):
        return len(self.data)

    def __getitem__(self, idx):
        name, label = self.data[idx]
        return torch.tensor([LETTERS.index(c) for c in name]), self.labels_uniq.index(label)


def collate(batch):
    batch = sorted(batch, key=lambda pair: -len(pair[0]))
    lengths = torch.tensor([len(name) for name, _ in batch])
    return pad_sequence([name for name, _ in batch], batch_first=True), lengths, torch.tensor([label for _, label in batch])


class CharRNN(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.embed = nn.Embedding(26, 8)
        self.rnn = getattr(nn, kind)(8, 12, batch_first=True, bidirectional=kind == "GRU")
        self.fc = nn.Linear(24 if kind == "GRU" else 12, 3)

    def forward(self, names, lengths):
        packed = pack_padded_sequence(self.embed(names), lengths, batch_first=True)
        output, _ = self.rnn(packed)
        output, lengths = pad_packed_sequence(output, batch_first=True)
        last = output[torch.arange(len(lengths)), lengths - 1]
        return nn.functional.log_softmax(self.fc(last), dim=1)


loader = DataLoader(NamesDataset(), batch_size=10, collate_fn=collate)
for kind in ("RNN", "GRU", "LSTM"):
    model = fill(CharRNN(kind))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.15, momentum=0.5, nesterov=True)
    for epoch in range(3):
        total = 0.0
        for names, lengths, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.nll_loss(model(names, lengths), labels)
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), 3)
            optimizer.step()
            total += loss.item()
        print(kind, epoch, total / len(loader))
confusion = torch.zeros(3, 3)
with torch.no_grad():
    for names, lengths, labels in loader:
        for label, guess in zip(labels, model(names, lengths).argmax(1)):
            confusion[label][guess] += 1
confusion /= confusion.sum(1, keepdim=True)
print(confusion.tolist())
