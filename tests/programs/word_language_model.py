import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import fill

TEXT = (
    """the cat sat on the mat . the dog sat on the log . the cat saw the dog . the dog saw the cat .
a bird flew over the house . the house stood on a hill . a cat ran up the hill . the bird saw the cat and flew . """
    * 3
)


class Dictionary:
    def __init__(self):
        self.word2idx, self.idx2word = {}, []

    def add_word(self, word):
        if word not in self.word2idx:
            self.idx2word.append(word)
            self.word2idx[word] = len(self.idx2word) - 1
        return self.word2idx[word]

    def __len__(self):
        return len(self.idx2word)


class RNNModel(nn.Module):
    """Container module with an encoder, a recurrent module, and a decoder."""

    def __init__(self, ntoken, ninp, nhid, nlayers, dropout=0.0, tie_weights=False):
        super().__init__()
        self.ntoken = ntoken
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, nhid, nlayers, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            self.decoder.weight = self.encoder.weight
        self.init_weights()
        self.nhid, self.nlayers = nhid, nlayers

    def init_weights(self):
        initrange = 0.1
        nn.init.uniform_(self.encoder.weight, -initrange, initrange)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -initrange, initrange)

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        decoded = self.decoder(self.drop(output))
        return F.log_softmax(decoded.view(-1, self.ntoken), dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        return (weight.new_zeros(self.nlayers, bsz, self.nhid), weight.new_zeros(self.nlayers, bsz, self.nhid))


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    return data.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()


def repackage_hidden(h):
    """Wraps hidden states in new Tensors, to detach them from their history."""
    return h.detach() if isinstance(h, torch.Tensor) else tuple(repackage_hidden(v) for v in h)


def get_batch(source, i, bptt=8):
    seq_len = min(bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


corpus = Dictionary()
ids = torch.tensor([corpus.add_word(word) for word in TEXT.split()]).type(torch.int64)
train_data = batchify(ids, 4)
model = fill(RNNModel(len(corpus), 12, 12, 2, tie_weights=True))
print(sum(p.numel() for p in model.parameters()), len(corpus), tuple(train_data.shape))
criterion = nn.NLLLoss()
lr, best = 5.0, None
for epoch in range(1, 4):
    model.train()
    total_loss = 0.0
    hidden = model.init_hidden(4)
    for batch, i in enumerate(range(0, train_data.size(0) - 1, 8)):
        data, targets = get_batch(train_data, i)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(data, hidden)
        loss = criterion(output, targets)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        total_loss += loss.item()
    cur_loss = total_loss / (batch + 1)
    print(f"| epoch {epoch:3d} | lr {lr:02.2f} | loss {cur_loss:5.4f} | ppl {math.exp(cur_loss):8.4f} | norm {norm.item():.5f}")
    if best is None or cur_loss < best:
        best = cur_loss
    else:
        lr /= 4.0

model.eval()
rng = np.random.default_rng(0)
input, hidden, words = torch.zeros(1, 1, dtype=torch.long), model.init_hidden(1), []
with torch.no_grad():
    for _ in range(8):
        output, hidden = model(input, hidden)
        word_weights = output.squeeze().div(1.0).exp().cpu()
        word_idx = int(np.searchsorted(np.cumsum(word_weights.numpy()), rng.random()))
        input.fill_(word_idx)
        words.append(corpus.idx2word[word_idx])
print(" ".join(words))
