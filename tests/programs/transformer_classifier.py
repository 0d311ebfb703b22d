import math

import numpy as np
import torch
import torch.nn as nn
from common import fill


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, dropout=0.0, max_len=64):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        pe = torch.zeros(max_len, d_model)
        position = torch.arange(0, max_len, dtype=torch.float).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
        pe[:, 0::2] = torch.sin(position * div_term)
        pe[:, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe.unsqueeze(0))

    def forward(self, x):
        return self.dropout(x + self.pe[:, : x.size(1), :])


class Classifier(nn.Module):
    def __init__(self, vocab, d_model=16, nhead=4, layers=2, classes=3):
        super().__init__()
        self.embed = nn.Embedding(vocab, d_model, padding_idx=0)
        self.pos_encoder = PositionalEncoding(d_model)
        layer = nn.TransformerEncoderLayer(d_model, nhead, dim_feedforward=32, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(d_model), nn.Linear(d_model, classes))

    def forward(self, tokens):
        mask = tokens == 0
        x = self.pos_encoder(self.embed(tokens) * math.sqrt(16))
        x = self.encoder(x, src_key_padding_mask=mask)
        x = x.masked_fill(mask.unsqueeze(-1), 0.0).sum(1) / (~mask).sum(1, keepdim=True)
        return self.head(x)


rng = np.random.default_rng(0)
tokens = rng.integers(4, 20, (96, 10))
for row, length in zip(tokens, rng.integers(5, 11, 96)):
    row[length:] = 0
labels = rng.integers(0, 3, 96)
tokens[np.arange(96), rng.integers(0, 5, 96)] = 1 + labels  # the class is the one small token
tokens, labels = torch.from_numpy(tokens), torch.from_numpy(labels)

model = fill(Classifier(20))
print(sum(p.numel() for p in model.parameters() if p.requires_grad))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, betas=(0.9, 0.98), eps=1e-9)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) ** -0.5, (step + 1) * 10**-1.5))
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
for epoch in range(5):
    model.train()
    total = 0.0
    for i in range(0, 96, 16):
        optimizer.zero_grad()
        loss = criterion(model(tokens[i : i + 16]), labels[i : i + 16])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        scheduler.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        accuracy = (model(tokens).argmax(-1) == labels).float().mean()
    print(f"epoch {epoch} loss {total / 6:.5f} accuracy {accuracy:.2f} lr {scheduler.get_last_lr()[0]:.6f}")
