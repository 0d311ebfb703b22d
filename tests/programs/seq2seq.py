import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import fill
from torch import optim

SOS_token, EOS_token, MAX_LENGTH, SIZE, HIDDEN = 0, 1, 7, 12, 16


class EncoderRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(SIZE, HIDDEN)
        self.gru = nn.GRU(HIDDEN, HIDDEN, batch_first=True)

    def forward(self, input):
        return self.gru(self.embedding(input))


class BahdanauAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.Wa, self.Ua, self.Va = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 1)

    def forward(self, query, keys):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys)))
        weights = F.softmax(scores.squeeze(2).unsqueeze(1), dim=-1)
        return torch.bmm(weights, keys), weights


class AttnDecoderRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(SIZE, HIDDEN)
        self.attention = BahdanauAttention()
        self.gru = nn.GRU(2 * HIDDEN, HIDDEN, batch_first=True)
        self.out = nn.Linear(HIDDEN, SIZE)

    def forward(self, encoder_outputs, encoder_hidden, target_tensor=None):
        decoder_input = torch.empty(encoder_outputs.size(0), 1, dtype=torch.long).fill_(SOS_token)
        hidden, outputs, attentions = encoder_hidden, [], []
        for i in range(MAX_LENGTH):
            embedded = self.embedding(decoder_input)
            context, weights = self.attention(hidden.permute(1, 0, 2), encoder_outputs)
            output, hidden = self.gru(torch.cat((embedded, context), dim=2), hidden)
            output = self.out(output)
            outputs.append(output)
            attentions.append(weights)
            guess = output.topk(1)[1].squeeze(-1).detach()
            decoder_input = guess if target_tensor is None else target_tensor[:, i].unsqueeze(1)  # teacher forcing
        return F.log_softmax(torch.cat(outputs, dim=1), dim=-1), hidden, torch.cat(attentions, dim=1)


rng = np.random.default_rng(0)
source = rng.integers(2, SIZE, (64, MAX_LENGTH))
source[:, -1] = EOS_token
target = source.copy()
target[:, :-1] = source[:, -2::-1]  # the words backwards
source, target = torch.from_numpy(source), torch.from_numpy(target)
encoder, decoder = fill(EncoderRNN(), 1), fill(AttnDecoderRNN(), 2)
encoder_optimizer = optim.Adam(encoder.parameters(), lr=5e-3)
decoder_optimizer = optim.Adam(decoder.parameters(), lr=5e-3)
criterion = nn.NLLLoss()
for epoch in range(3):
    total_loss = 0
    for i in range(0, 64, 16):
        encoder_optimizer.zero_grad()
        decoder_optimizer.zero_grad()
        encoder_outputs, encoder_hidden = encoder(source[i : i + 16])
        decoder_outputs, _, _ = decoder(encoder_outputs, encoder_hidden, target[i : i + 16])
        loss = criterion(decoder_outputs.view(-1, decoder_outputs.size(-1)), target[i : i + 16].reshape(-1))
        loss.backward()
        encoder_optimizer.step()
        decoder_optimizer.step()
        total_loss += loss.item()
    print(f"({epoch}) {total_loss / 4:.6f}")
with torch.no_grad():
    outputs, _, attentions = decoder(*encoder(source[:2]))
    print(outputs.max().item(), tuple(attentions.shape), attentions.sum().item())
